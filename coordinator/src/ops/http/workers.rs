//! Who works.

use axum::extract::State;
use axum::response::Json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Shared;
use super::problem::Trouble;
use crate::ops::wire::WorkerJson;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(workers))
}

/// List the workers that were heard within the hour, with their slots
#[utoipa::path(
    get, path = "/v1/workers", tag = "workers", operation_id = "workers",
    responses((status = 200, description = "The workers.", body = [WorkerJson])),
    security(("token" = ["read"])),
)]
async fn workers(State(shared): State<Shared>) -> Result<Json<Vec<WorkerJson>>, Trouble> {
    Ok(Json(shared.api.ops.workers().await?.iter().map(WorkerJson::from).collect()))
}
