//! A plan before there is any job.

use std::time::Duration;

use axum::extract::State;
use axum::response::Json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::asked::{JSON, Whole, YAML};
use super::guard::Asking;
use super::problem::Trouble;
use super::{Shared, Wish};
use crate::ops::planned::PlannedJson;

/// Where an answer may take as long as a film is read.
pub(super) const PATH: &str = "/v1/plans";
/// Making the plan gives up before.
pub(super) const ANSWER_TIME_MAX: Duration = Duration::from_secs(320);

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(preview))
}

/// Show the plan that a job would get, without any job
///
/// The film is indexed, which may take as long as reading it once. Nothing is written and no place is taken; two are made
/// at once, others wait for a few seconds and are then told to ask again.
#[utoipa::path(
    post, path = "/v1/plans", tag = "plans", operation_id = "preview",
    request_body(description = "A job file, as JSON or YAML; its places are URLs.", content(
        (ref("#/components/schemas/JobFile") = "application/json"),
        (ref("#/components/schemas/JobFile") = "application/yaml"),
    )),
    responses((status = 200, description = "Where it would be cut and why, and what would be made.", body = PlannedJson)),
    security(("token" = ["submit"])),
)]
async fn preview(
    State(shared): State<Shared>,
    Asking(caller): Asking,
    body: Whole,
) -> Result<Json<PlannedJson>, Trouble> {
    let Wish { mut submission, tenant } = (shared.api.read)(&body.of(&[JSON, YAML])?)?;
    submission.terms.tenant = caller.tenant_for(tenant)?;
    caller.check_places(&submission.wanted)?;
    Ok(Json(PlannedJson::of(&shared.api.ops.preview(&submission).await?)))
}
