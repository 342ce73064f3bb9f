//! What was given up.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::asked::NameInPath;
use super::problem::{Trouble, missing};
use crate::letters::Letter;
use crate::ops::wire::LetterJson;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(dead)).routes(routes!(letter, drop_letter)).routes(routes!(retry_letter))
}

/// List what was given up, the youngest first
#[utoipa::path(
    get, path = "/v1/dead", tag = "dead letters", operation_id = "dead",
    responses((status = 200, description = "The letters.", body = [LetterJson])),
    security(("token" = ["read"])),
)]
async fn dead(State(api): State<Api>) -> Result<Json<Vec<LetterJson>>, Trouble> {
    Ok(Json(api.ops.dead().await?.iter().map(LetterJson::from).collect()))
}

/// Show a dead letter
#[utoipa::path(
    get, path = "/v1/dead/{id}", tag = "dead letters", operation_id = "letter",
    params(("id" = String, Path, description = "The letter.")),
    responses((status = 200, description = "The letter with its evidence.", body = LetterJson)),
    security(("token" = ["read"])),
)]
async fn letter(State(api): State<Api>, NameInPath(id): NameInPath) -> Result<Json<LetterJson>, Trouble> {
    Ok(Json(LetterJson::from(&found(&api, &id).await?)))
}

/// Begin the job that it stopped anew, and throw the letter away
#[utoipa::path(
    post, path = "/v1/dead/{id}/retry", tag = "dead letters", operation_id = "retry_letter",
    params(("id" = String, Path, description = "The letter.")),
    responses((status = 202, description = "The job is tried again.")),
    security(("token" = ["admin"])),
)]
async fn retry_letter(State(api): State<Api>, NameInPath(id): NameInPath) -> Result<StatusCode, Trouble> {
    found(&api, &id).await?;
    api.ops.retry_letter(&id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Throw a dead letter away
///
/// One that is not there is thrown away already.
#[utoipa::path(
    delete, path = "/v1/dead/{id}", tag = "dead letters", operation_id = "drop_letter",
    params(("id" = String, Path, description = "The letter.")),
    responses((status = 204, description = "It is gone.")),
    security(("token" = ["admin"])),
)]
async fn drop_letter(State(api): State<Api>, NameInPath(id): NameInPath) -> Result<StatusCode, Trouble> {
    api.ops.drop_letter(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn found(api: &Api, id: &str) -> Result<Letter, Trouble> {
    api.ops.letter(id).await?.ok_or_else(|| missing(format!("there is no dead letter {id}")))
}
