//! What was given up.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json;
use framefleet_model::id::JobId;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Shared;
use super::asked::{Asked, NameInPath, cursor, cursor_text, limit};
use super::guard::Asking;
use super::problem::{Trouble, missing};
use crate::letters::Letter;
use crate::ops::LetterPage;
use crate::ops::wire::{LetterJson, LettersJson};

/// What letters are called in refusals.
const LETTERS: &str = "dead letters";

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeadQuery {
    /// So many at most.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// Where an earlier page ended: its `next`.
    #[param(pattern = "^-?[0-9]{1,18}\\.[0-9a-f]{32}(-[0-9]{1,9}){0,2}$")]
    after: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(dead)).routes(routes!(letter, drop_letter)).routes(routes!(retry_letter))
}

/// List what was given up, the youngest first
///
/// Letters are the whole fleet's: a token that is bound to tenants does not see them.
#[utoipa::path(
    get, path = "/v1/dead", tag = "dead letters", operation_id = "dead",
    params(DeadQuery),
    responses((status = 200, description = "A page of letters.", body = LettersJson)),
    security(("token" = ["read"])),
)]
async fn dead(
    State(shared): State<Shared>,
    Asking(caller): Asking,
    Asked(query): Asked<DeadQuery>,
) -> Result<Json<LettersJson>, Trouble> {
    let after = query.after.as_deref().map(|text| cursor(text, is_id)).transpose()?;
    let page = LetterPage { limit: limit(query.limit)?, after };
    caller.check_sees_all(LETTERS)?;
    let listed = shared.api.ops.dead(&page).await?;
    let next = listed.next.as_ref().map(cursor_text);
    Ok(Json(LettersJson { letters: listed.letters.iter().map(LetterJson::from).collect(), next }))
}

/// Show a dead letter
#[utoipa::path(
    get, path = "/v1/dead/{id}", tag = "dead letters", operation_id = "letter",
    params(("id" = String, Path, description = "The letter.", pattern = "^[0-9a-f]{32}(-[0-9]{1,9}){0,2}$")),
    responses((status = 200, description = "The letter with its evidence.", body = LetterJson)),
    security(("token" = ["read"])),
)]
async fn letter(
    State(shared): State<Shared>,
    asking: Asking,
    NameInPath(id): NameInPath,
) -> Result<Json<LetterJson>, Trouble> {
    Ok(Json(LetterJson::from(&found(&shared, &asking, &id).await?)))
}

/// Begin anew what it stopped, and throw the letter away
///
/// A message that nobody could use is read once more; one that still tells nothing stays, and can only be thrown away.
#[utoipa::path(
    post, path = "/v1/dead/{id}/retry", tag = "dead letters", operation_id = "retry_letter",
    params(("id" = String, Path, description = "The letter.", pattern = "^[0-9a-f]{32}(-[0-9]{1,9}){0,2}$")),
    responses((status = 202, description = "The job is tried again.")),
    security(("token" = ["admin"])),
)]
async fn retry_letter(
    State(shared): State<Shared>,
    asking: Asking,
    NameInPath(id): NameInPath,
) -> Result<StatusCode, Trouble> {
    found(&shared, &asking, &id).await?;
    shared.api.ops.retry_letter(&id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Throw a dead letter away
#[utoipa::path(
    delete, path = "/v1/dead/{id}", tag = "dead letters", operation_id = "drop_letter",
    params(("id" = String, Path, description = "The letter.", pattern = "^[0-9a-f]{32}(-[0-9]{1,9}){0,2}$")),
    responses((status = 204, description = "It is gone.")),
    security(("token" = ["admin"])),
)]
async fn drop_letter(
    State(shared): State<Shared>,
    asking: Asking,
    NameInPath(id): NameInPath,
) -> Result<StatusCode, Trouble> {
    found(&shared, &asking, &id).await?;
    shared.api.ops.drop_letter(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn found(shared: &Shared, Asking(caller): &Asking, id: &str) -> Result<Letter, Trouble> {
    caller.check_sees_all(LETTERS)?;
    let letter = if is_id(id) { shared.api.ops.letter(id).await? } else { None };
    letter.ok_or_else(|| missing(format!("there is no dead letter {id:?}")))
}

/// A message's letter has a hash for its name, a job's the job's id and its generation, a step's its number besides.
fn is_id(name: &str) -> bool {
    let mut parts = name.split('-');
    let id = parts.next().unwrap_or_default();
    let numbers: Vec<_> = parts.collect();
    id.parse::<JobId>().is_ok() && numbers.len() <= 2 && numbers.iter().all(|number| number.parse::<u32>().is_ok())
}
