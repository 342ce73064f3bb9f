//! Pipelines: shown, and looked at before they are configured.

use axum::extract::State;
use axum::response::Json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Shared;
use super::asked::{JSON, NameInPath, Whole, YAML};
use super::problem::{Trouble, missing, refused};
use crate::ops::pipelines::{PipelineJson, ValidatedJson, called};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(pipelines)).routes(routes!(validate)).routes(routes!(pipeline))
}

/// List the pipelines that are configured, every version of each
#[utoipa::path(
    get, path = "/v1/pipelines", tag = "pipelines", operation_id = "pipelines",
    responses((status = 200, description = "The pipelines.", body = [PipelineJson])),
    security(("token" = ["read"])),
)]
async fn pipelines(State(shared): State<Shared>) -> Json<Vec<PipelineJson>> {
    Json(shared.api.pipelines.known().to_vec())
}

/// Show all versions of a pipeline, or one of them
#[utoipa::path(
    get, path = "/v1/pipelines/{name}", tag = "pipelines", operation_id = "pipeline",
    params(("name" = String, Path, description = "`name` or `name@version`.", pattern = "^[A-Za-z0-9._-]{1,64}(@[A-Za-z0-9._-]{1,64})?$")),
    responses((status = 200, description = "What is made of a source, by each.", body = [PipelineJson])),
    security(("token" = ["read"])),
)]
async fn pipeline(
    State(shared): State<Shared>,
    NameInPath(name): NameInPath,
) -> Result<Json<Vec<PipelineJson>>, Trouble> {
    let found: Vec<PipelineJson> = called(shared.api.pipelines.known(), &name).into_iter().cloned().collect();
    if found.is_empty() {
        return Err(missing(format!("there is no pipeline {name:?}")));
    }
    Ok(Json(found))
}

/// Say whether pipelines and triggers would be taken, without configuring them
///
/// They are looked at beside those that are configured, in place of any of the same name and version. What is refused is said
/// in the words that a process would begin with.
#[utoipa::path(
    post, path = "/v1/pipelines/validate", tag = "pipelines", operation_id = "validate",
    request_body(description = "`pipelines` and `triggers`, lists of tables as in a configuration, as JSON or YAML.", content(
        (ref("#/components/schemas/Rules") = "application/json"),
        (ref("#/components/schemas/Rules") = "application/yaml"),
    )),
    responses((status = 200, description = "Whether they would, and if not, why.", body = ValidatedJson)),
    security(("token" = ["read"])),
)]
async fn validate(State(shared): State<Shared>, body: Whole) -> Result<Json<ValidatedJson>, Trouble> {
    let body = body.of(&[JSON, YAML])?;
    let text = std::str::from_utf8(&body).map_err(|e| refused(format!("rules: {e}")))?;
    Ok(Json(shared.api.pipelines.validate(text)?))
}
