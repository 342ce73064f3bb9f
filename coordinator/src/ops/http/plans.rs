//! A plan before there is any job.

use axum::extract::State;
use axum::response::Json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::asked::Whole;
use super::problem::Trouble;
use crate::ops::planned::PlannedJson;

pub(super) fn routes() -> OpenApiRouter<Api> {
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
async fn preview(State(api): State<Api>, Whole(body): Whole) -> Result<Json<PlannedJson>, Trouble> {
    let submission = (api.read)(&body)?;
    Ok(Json(PlannedJson::of(&api.ops.preview(&submission.request).await?)))
}
