//! The API's own description. It is made of the routes; what is true of all of them is added here.

use axum::Extension;
use axum::http::header;
use axum::response::IntoResponse;
use bytes::Bytes;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, Response, ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::CONTENT_TYPE;
use super::{Api, NamedSchema};
use crate::ops::wire::Problem;

/// The document as it is sent.
#[derive(Clone)]
pub(super) struct Text(Bytes);

impl Text {
    pub(super) fn of(document: &OpenApi) -> Self {
        Self(serde_json::to_vec(document).expect("a document has only string keys and finite numbers").into())
    }
}

pub(super) fn routes() -> OpenApiRouter<Api> {
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

/// With what all routes share: the scheme of their tokens, and the problems that any of them may answer with.
pub(super) fn complete(mut document: OpenApi, schemas: &[NamedSchema]) -> OpenApi {
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.extend(schemas.iter().cloned());
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme("token", SecurityScheme::Http(scheme));
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        let response = operation.responses.responses.entry("default".to_owned());
        response.or_insert_with(|| problem("Something is wrong.").into());
    }
    document
}

fn problem(description: &str) -> Response {
    let schema = Ref::from_schema_name(Problem::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(description).content(CONTENT_TYPE, content).build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
    [get, put, post, delete, options, head, patch, trace].into_iter().flatten()
}
