//! The API's own description. It is made of the routes; what is true of all of them is added here.

use std::collections::BTreeMap;

use axum::Extension;
use axum::http::header;
use axum::response::IntoResponse;
use bytes::Bytes;
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, Response, ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::callers::Scope;
use super::guard::Need;
use super::problem::CONTENT_TYPE;
use super::{NamedSchema, Shared};
use crate::ops::wire::Problem;

/// What the scheme of tokens is called.
const TOKEN: &str = "token";

/// The document as it is sent.
#[derive(Clone)]
pub(super) struct Text(Bytes);

impl Text {
    pub(super) fn of(document: &OpenApi) -> Self {
        Self(serde_json::to_vec(document).expect("a document has only string keys and finite numbers").into())
    }
}

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(openapi))
}

/// This document
#[utoipa::path(
    get, path = "/openapi.json", tag = "the API itself", operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)),
    security(()),
)]
async fn openapi(Extension(Text(text)): Extension<Text>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text)
}

/// What stands at the document's head.
pub(super) fn head() -> OpenApi {
    let info = InfoBuilder::new()
        .title("framefleet")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Transcodes films in parallel parts and joins them exactly."));
    OpenApiBuilder::new().info(info).build()
}

/// With what all routes share: the scheme of their tokens, and the problems that they may answer with.
pub(super) fn complete(mut document: OpenApi, schemas: &[NamedSchema]) -> OpenApi {
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.extend(schemas.iter().cloned());
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(scheme));
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            let changes = matches!(method, HttpMethod::Post);
            let need = need(operation);
            let problems = PROBLEMS.iter().filter(|(when, ..)| match when {
                When::Always => true,
                When::Secured => need != Some(Need::Nothing),
                When::Named => path.contains('{'),
                When::Body => operation.request_body.is_some(),
                When::Changing => changes,
            });
            for (_, status, description) in problems {
                let response = operation.responses.responses.entry((*status).to_owned());
                response.or_insert_with(|| problem(description).into());
            }
        }
    }
    document
}

/// Of which routes a problem is.
enum When {
    Always,
    Secured,
    Named,
    Body,
    Changing,
}

const PROBLEMS: [(When, &str, &str); 13] = [
    (When::Always, "400", "Something that is said is wrong."),
    (When::Secured, "401", "No token is given, or none that is known."),
    (When::Always, "403", "The token may not do this, or this page may not ask."),
    (When::Named, "404", "It is not there, or not for this token to see."),
    (When::Body, "408", "The body did not come in time."),
    (When::Changing, "409", "Something stands in the way where outputs are to go."),
    (When::Body, "413", "The body is too long."),
    (When::Body, "415", "The body is of another kind."),
    (When::Changing, "422", "The film cannot be taken, or the key named another wish before."),
    (When::Always, "429", "More is asked at once than is answered: come again after `retry-after` seconds."),
    (When::Always, "500", "A bug of ours."),
    (When::Always, "503", "Store or storage do not answer."),
    (When::Always, "default", "Whatever else is wrong."),
];

fn problem(description: &str) -> Response {
    let schema = Ref::from_schema_name(Problem::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(description).content(CONTENT_TYPE, content).build()
}

/// What each route asks of its callers, by method and path. A route that says nothing of it would be everybody's, and is a
/// bug.
pub(super) fn needs(document: &OpenApi) -> BTreeMap<(String, String), Need> {
    let mut document = document.clone();
    let mut needs = BTreeMap::new();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            let need = need(operation).unwrap_or_else(|| panic!("{path} says not which scope it needs"));
            needs.insert((name(&method).to_owned(), path.clone()), need);
        }
    }
    needs
}

fn need(operation: &Operation) -> Option<Need> {
    let said = serde_json::to_value(operation.security.as_ref()?.first()?).ok()?;
    let Some(scopes) = said.get(TOKEN) else { return Some(Need::Nothing) };
    scopes.get(0)?.as_str()?.parse::<Scope>().ok().map(Need::Scope)
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let all = [
        (HttpMethod::Get, get),
        (HttpMethod::Put, put),
        (HttpMethod::Post, post),
        (HttpMethod::Delete, delete),
        (HttpMethod::Patch, patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn name(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Put => "PUT",
        HttpMethod::Post => "POST",
        HttpMethod::Delete => "DELETE",
        HttpMethod::Patch => "PATCH",
        HttpMethod::Head => "HEAD",
        HttpMethod::Options => "OPTIONS",
        HttpMethod::Trace => "TRACE",
    }
}
