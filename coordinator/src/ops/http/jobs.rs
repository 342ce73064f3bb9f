//! Jobs: asked for, listed, shown, cancelled, begun anew.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use framefleet_common::ports::store::Entry;
use framefleet_model::fault::Fault;
use framefleet_model::id::JobId;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::asked::{Asked, JobInPath, Whole};
use super::problem::{Trouble, missing, refused};
use crate::inbox::Submission;
use crate::ops::wire::{JobJson, ListJson, SubmittedJson, ViewJson};
use crate::ops::{JobView, Page};

const PAGE_DEFAULT: usize = 100;
const KEY_BYTES_MAX: usize = 255;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only jobs in this state.
    state: Option<String>,
    /// Only jobs of this tenant.
    tenant: Option<String>,
    /// So many at most.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// Where an earlier page ended: its `next`.
    after: Option<String>,
}

/// Why a job is to end.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct CancelBody {
    #[schema(max_length = 1024)]
    reason: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(submit, list))
        .routes(routes!(show))
        .routes(routes!(plan))
        .routes(routes!(ledger))
        .routes(routes!(cancel))
        .routes(routes!(retry))
}

/// Ask for a job
///
/// The same key, or without one the same source and the same wish, is the same job.
#[utoipa::path(
    post, path = "/v1/jobs", tag = "jobs", operation_id = "submit",
    params(("idempotency-key" = Option<String>, Header, description = "Names the job in place of source and wish.",
        min_length = 1, max_length = 255, pattern = "^[\\x21-\\x7e]([\\x20-\\x7e]*[\\x21-\\x7e])?$")),
    request_body(description = "A job file, as JSON or YAML; its places are URLs.", content(
        (ref("#/components/schemas/JobFile") = "application/json"),
        (ref("#/components/schemas/JobFile") = "application/yaml"),
    )),
    responses((status = 202, description = "The job.", body = SubmittedJson,
        headers(("location" = String, description = "Where the job is shown.")))),
    security(("token" = ["submit"])),
)]
async fn submit(State(api): State<Api>, headers: HeaderMap, Whole(body): Whole) -> Result<Response, Trouble> {
    let key = headers.get("idempotency-key").map(|key| key.to_str().unwrap_or_default().to_owned());
    if let Some(key) = key.as_ref().filter(|key| key.is_empty() || key.len() > KEY_BYTES_MAX) {
        let text = format!("Idempotency-Key of {} bytes is not within 1 to {KEY_BYTES_MAX} of ASCII", key.len());
        return Err(refused(text).into());
    }
    let submission = (api.read)(&body)?;
    let (id, submitted) = api.ops.submit(&Submission { key, ..submission }).await?;
    let location = format!("/v1/jobs/{id}");
    let answer = Json(SubmittedJson::new(id.to_string(), submitted));
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], answer).into_response())
}

/// List jobs, the youngest first
#[utoipa::path(
    get, path = "/v1/jobs", tag = "jobs", operation_id = "list",
    params(ListQuery),
    responses((status = 200, description = "A page of jobs.", body = ListJson)),
    security(("token" = ["read"])),
)]
async fn list(State(api): State<Api>, Asked(query): Asked<ListQuery>) -> Result<Json<ListJson>, Trouble> {
    let ListQuery { state, tenant, limit, after } = query;
    let after = after.as_deref().map(cursor).transpose()?;
    let listed = api.ops.list(&Page { state, tenant, limit: limit.unwrap_or(PAGE_DEFAULT), after }).await?;
    let next = listed.next.map(|entry| format!("{}.{}", entry.score, entry.member));
    Ok(Json(ListJson { jobs: listed.jobs.iter().map(JobJson::from).collect(), next }))
}

/// Show a job
#[utoipa::path(
    get, path = "/v1/jobs/{id}", tag = "jobs", operation_id = "show",
    params(("id" = String, Path, description = "The job.", pattern = "^[0-9a-f]{32}$")),
    responses((status = 200, description = "The job as it is now.", body = ViewJson)),
    security(("token" = ["read"])),
)]
async fn show(State(api): State<Api>, JobInPath(id): JobInPath) -> Result<Json<ViewJson>, Trouble> {
    Ok(Json(ViewJson::from(&found(&api, &id).await?)))
}

/// Show the plan of a job that has one
#[utoipa::path(
    get, path = "/v1/jobs/{id}/plan", tag = "jobs", operation_id = "plan",
    params(("id" = String, Path, description = "The job.", pattern = "^[0-9a-f]{32}$")),
    responses((status = 200, description = "Cuts, renditions, tasks.", body = Object)),
    security(("token" = ["read"])),
)]
async fn plan(State(api): State<Api>, JobInPath(id): JobInPath) -> Result<Response, Trouble> {
    let plan = api.ops.plan(&id).await?;
    Ok(Json(plan.ok_or_else(|| missing(format!("job {id} has no plan, or is not there")))?).into_response())
}

/// Show the proof of a job that has been proved
#[utoipa::path(
    get, path = "/v1/jobs/{id}/ledger", tag = "jobs", operation_id = "ledger",
    params(("id" = String, Path, description = "The job.", pattern = "^[0-9a-f]{32}$")),
    responses((status = 200, description = "Every seam and every output against the film.", body = Object)),
    security(("token" = ["read"])),
)]
async fn ledger(State(api): State<Api>, JobInPath(id): JobInPath) -> Result<Response, Trouble> {
    let ledger = api.ops.ledger(&id).await?;
    Ok(Json(ledger.ok_or_else(|| missing(format!("job {id} has no ledger, or is not there")))?).into_response())
}

/// Ask for a job's end
///
/// It is cancelled when its state says so; a job that is being published is past it.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/cancel", tag = "jobs", operation_id = "cancel",
    params(("id" = String, Path, description = "The job.", pattern = "^[0-9a-f]{32}$")),
    request_body(description = "Why, or nothing.", content = Option<CancelBody>, content_type = "application/json"),
    responses((status = 202, description = "It was asked for.")),
    security(("token" = ["submit"])),
)]
async fn cancel(State(api): State<Api>, JobInPath(id): JobInPath, Whole(body): Whole) -> Result<StatusCode, Trouble> {
    let odd = |e| refused(format!("the body is not {{\"reason\": …}}: {e}"));
    let body: CancelBody =
        if body.is_empty() { CancelBody::default() } else { serde_json::from_slice(&body).map_err(odd)? };
    found(&api, &id).await?;
    api.ops.cancel(&id, body.reason.as_deref().unwrap_or("asked for")).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Begin a job that failed or was cancelled anew
#[utoipa::path(
    post, path = "/v1/jobs/{id}/retry", tag = "jobs", operation_id = "retry",
    params(("id" = String, Path, description = "The job.", pattern = "^[0-9a-f]{32}$")),
    responses((status = 202, description = "What became of it.", body = SubmittedJson)),
    security(("token" = ["submit"])),
)]
async fn retry(State(api): State<Api>, JobInPath(id): JobInPath) -> Result<Response, Trouble> {
    found(&api, &id).await?;
    let submitted = api.ops.retry(&id).await?;
    Ok((StatusCode::ACCEPTED, Json(SubmittedJson::new(id.to_string(), submitted))).into_response())
}

/// A job that is there.
pub(super) async fn found(api: &Api, id: &JobId) -> Result<JobView, Trouble> {
    api.ops.show(id).await?.ok_or_else(|| missing(format!("there is no job {id}")))
}

fn cursor(text: &str) -> Result<Entry, Fault> {
    let parts = text.split_once('.').and_then(|(score, member)| Some((score.parse().ok()?, member)));
    let (score, member) = parts.ok_or_else(|| refused(format!("after {text:?} is nothing that `next` ever was")))?;
    Ok(Entry { score, member: member.to_owned() })
}
