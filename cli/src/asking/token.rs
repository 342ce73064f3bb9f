//! `framefleet token`: lets somebody ask.

use framefleet_coordinator::ops::http::callers::{self, Caller};
use framefleet_coordinator::ops::http::tokens::{self, Hash};
use framefleet_model::fault::Fault;
use serde::Serialize;

use crate::args::asking::TokenArgs;
use crate::render::print;
use crate::settings::refused;

/// The only place where a new token is ever seen.
#[derive(Serialize)]
struct Made {
    token: String,
    line: String,
}

pub fn run(args: &TokenArgs) -> Result<(), Fault> {
    callers::check_name(&args.name).map_err(|why| refused(format!("the token {why}")))?;
    let wrong = |what: &str, why: String| refused(format!("{what}: {why}"));
    let scopes = callers::set(&args.scopes).map_err(|why| wrong("scopes", why))?;
    let tenants = args.tenants.as_deref().map(callers::set).transpose().map_err(|why| wrong("tenants", why))?;
    let places = args.places.as_deref().map(callers::places).transpose().map_err(|why| wrong("places", why))?;
    let token = tokens::token(rand::random());
    let line = Caller { name: args.name.clone(), scopes, tenants, places }.line(&Hash::of(&token));
    print(args.output, &Made { token, line }, |Made { token, line }| {
        format!("token, for whoever asks; it is shown this once:\n{token}\nline, for api.tokens_file:\n{line}\n")
    })
}
