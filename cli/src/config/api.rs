//! Who may ask a coordinator, from text to values.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::sync::Arc;

use framefleet_coordinator::ops::http::ApiSettings;
use framefleet_coordinator::ops::http::tokens::Tokens;
use framefleet_model::fault::Fault;
use reqwest::Url;

use super::raw::RawApi;
use super::reading::{Reading, text};

const RATE: RangeInclusive<u32> = 1..=100_000;
/// Fewer would not bear those who ask beside those who follow.
const CONNECTIONS: RangeInclusive<u32> = 8..=65_536;
const WATCHERS: RangeInclusive<u32> = 1..=65_536;

pub(super) fn api(reading: &Reading<'_>, raw: &RawApi) -> Result<ApiSettings, Fault> {
    let tokens = if raw.tokens_file.is_empty() { None } else { Some(Arc::new(tokens(reading, raw)?)) };
    let rate = reading.number("api.requests_per_second", raw.requests_per_second, RATE)?;
    let connections = reading.number("api.connections", raw.connections, CONNECTIONS)?;
    let watchers = reading.number("api.watchers", raw.watchers, WATCHERS)?;
    if watchers >= connections {
        let why = format!("{watchers} is not below api.connections {connections}: nobody else could ask");
        return Err(reading.refuse_key("api.watchers", why));
    }
    let origins = raw.cors_origins.iter().map(|origin| self::origin(reading, origin));
    let count = |number: u32| usize::try_from(number).expect("a number of connections is small");
    Ok(ApiSettings {
        tokens,
        requests_per_second: NonZeroU32::new(rate).expect("its bound is above zero"),
        connections: count(connections),
        watchers: count(watchers),
        cors_origins: origins.collect::<Result<_, _>>()?,
    })
}

/// The file must be right when a process begins, as any other.
fn tokens(reading: &Reading<'_>, raw: &RawApi) -> Result<Tokens, Fault> {
    let file = text("api.tokens_file", &raw.tokens_file);
    Tokens::open(&reading.folder(file)?).map_err(|wrong| reading.refuse_key(file.key, wrong.message))
}

/// As browsers say it: in lower case, without a path, without the usual port.
fn origin(reading: &Reading<'_>, origin: &str) -> Result<String, Fault> {
    let url = Url::parse(origin).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let is_plain = url.is_some_and(|url| url.origin().ascii_serialization() == origin);
    let why = "is no origin such as https://films.example or http://localhost:5173, and * would be everybody";
    if is_plain { Ok(origin.to_owned()) } else { Err(reading.refuse(text("api.cors_origins", origin), why)) }
}
