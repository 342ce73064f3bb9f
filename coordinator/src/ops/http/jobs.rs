//! Jobs: asked for, listed, shown, cancelled, begun anew.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use framefleet_model::fault::Fault;
use framefleet_model::id::JobId;
use framefleet_model::terms::Tenant;
use framefleet_model::time::StoreTime;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::asked::{Asked, JSON, JobInPath, Whole, YAML, cursor, cursor_text, limit};
use super::guard::Asking;
use super::problem::{Trouble, missing, refused};
use super::{Shared, Wish};
use crate::inbox::{Asker, Submission};
use crate::ops::wire::{JobJson, ListJson, SubmittedJson, ViewJson};
use crate::ops::{Created, JobView, Listed, Page};

const KEY_BYTES_MAX: usize = 255;
const REASON_CHARS_MAX: usize = 1024;
/// The end of the year 9999.
const MOMENT_MAX: i64 = 253_402_300_799_999;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only jobs in this state.
    #[param(inline)]
    state: Option<StateName>,
    /// Only jobs of this tenant.
    #[param(pattern = "^[a-z0-9_-]{1,32}$")]
    tenant: Option<String>,
    /// Only jobs of sources whose URL begins so.
    source: Option<String>,
    /// Only jobs created at this moment or later, in milliseconds since 1970.
    #[param(minimum = 0, maximum = 253402300799999i64)]
    created_from_ms: Option<i64>,
    /// Only jobs created before this moment.
    #[param(minimum = 0, maximum = 253402300799999i64)]
    created_until_ms: Option<i64>,
    /// So many at most.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// Where an earlier page ended: its `next`.
    #[param(pattern = "^-?[0-9]{1,18}\\.[0-9a-f]{32}$")]
    after: Option<String>,
}

/// What a job waits for, or how it ended.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum StateName {
    Accepted,
    Indexing,
    Encoding,
    Merging,
    Publishing,
    Completed,
    Failed,
    Cancelled,
}

/// Why a job is to end.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct CancelBody {
    #[schema(max_length = 1024)]
    reason: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Shared> {
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
/// The same source and the same wish of the same tenant are the same job, however often they are asked for. A key names the
/// job in their place; the same key with another wish is refused. A job that ended stays ended: `/retry` begins it
/// anew.
#[utoipa::path(
    post, path = "/v1/jobs", tag = "jobs", operation_id = "submit",
    params(("idempotency-key" = Option<String>, Header, description = "Names the job in place of source and wish.",
        min_length = 1, max_length = 255, pattern = "^[!-~]([ -~]*[!-~])?$")),
    request_body(description = "A job file, as JSON or YAML; its places are URLs.", content(
        (ref("#/components/schemas/JobFile") = "application/json"),
        (ref("#/components/schemas/JobFile") = "application/yaml"),
    )),
    responses((status = 202, description = "The job.", body = SubmittedJson,
        headers(("location" = String, description = "Where the job is shown.")))),
    security(("token" = ["submit"])),
)]
async fn submit(
    State(shared): State<Shared>,
    Asking(caller): Asking,
    headers: HeaderMap,
    body: Whole,
) -> Result<Response, Trouble> {
    let key = headers.get("idempotency-key").map(|key| key.to_str().unwrap_or_default().to_owned());
    if let Some(key) = key.as_ref().filter(|key| key.is_empty() || key.len() > KEY_BYTES_MAX) {
        let text = format!("Idempotency-Key of {} bytes is not within 1 to {KEY_BYTES_MAX} of ASCII", key.len());
        return Err(refused(text).into());
    }
    let Wish { mut submission, tenant } = (shared.api.read)(&body.of(&[JSON, YAML])?)?;
    submission.terms.tenant = caller.tenant_for(tenant)?;
    caller.check_places(&submission.wanted)?;
    let (id, submitted) = shared.api.ops.submit(&Submission { key, asked: asker(&headers), ..submission }).await?;
    let location = format!("/v1/jobs/{id}");
    let answer = Json(SubmittedJson::new(id.to_string(), submitted));
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], answer).into_response())
}

/// Where the caller says they are in a trace; what is no `traceparent` says nothing.
fn asker(headers: &HeaderMap) -> Asker {
    let trace = headers.get("traceparent").and_then(|text| text.to_str().ok()?.parse().ok());
    trace.map_or(Asker::Unsaid, Asker::Within)
}

/// List jobs, the youngest first
///
/// A page with `next` is not the last, however few are on it.
#[utoipa::path(
    get, path = "/v1/jobs", tag = "jobs", operation_id = "list",
    params(ListQuery),
    responses((status = 200, description = "A page of jobs.", body = ListJson)),
    security(("token" = ["read"])),
)]
async fn list(
    State(shared): State<Shared>,
    Asking(caller): Asking,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<ListJson>, Trouble> {
    let tenant: Option<Tenant> = query.tenant.map(|name| name.parse()).transpose().map_err(odd_tenant)?;
    let tenants = match (tenant, caller.tenants.clone()) {
        (None, seen) => seen,
        (Some(tenant), _) if caller.sees(&tenant) => Some(BTreeSet::from([tenant])),
        (Some(_), _) => Some(BTreeSet::new()),
    };
    let created = Created { from: moment(query.created_from_ms)?, until: moment(query.created_until_ms)? };
    let after = query.after.as_deref().map(|text| cursor(text, is_id)).transpose()?;
    let state = query.state.map(|state| state.name().to_owned());
    let page = Page { state, tenants, source: query.source, created, limit: limit(query.limit)?, after };
    let is_empty = page.tenants.as_ref().is_some_and(BTreeSet::is_empty);
    let listed = if is_empty { Listed { jobs: Vec::new(), next: None } } else { shared.api.ops.list(&page).await? };
    let next = listed.next.as_ref().map(cursor_text);
    Ok(Json(ListJson { jobs: listed.jobs.iter().map(JobJson::from).collect(), next }))
}

/// Show a job
#[utoipa::path(
    get, path = "/v1/jobs/{id}", tag = "jobs", operation_id = "show",
    params(("id" = String, Path, description = "The job.", pattern = "^[0-9a-f]{32}$")),
    responses((status = 200, description = "The job as it is now.", body = ViewJson)),
    security(("token" = ["read"])),
)]
async fn show(
    State(shared): State<Shared>,
    asking: Asking,
    JobInPath(id): JobInPath,
) -> Result<Json<ViewJson>, Trouble> {
    Ok(Json(ViewJson::from(&found(&shared, &asking, &id).await?)))
}

/// Show the plan of a job that has one
#[utoipa::path(
    get, path = "/v1/jobs/{id}/plan", tag = "jobs", operation_id = "plan",
    params(("id" = String, Path, description = "The job.", pattern = "^[0-9a-f]{32}$")),
    responses((status = 200, description = "Cuts, renditions, tasks.", body = Object)),
    security(("token" = ["read"])),
)]
async fn plan(State(shared): State<Shared>, asking: Asking, JobInPath(id): JobInPath) -> Result<Response, Trouble> {
    found(&shared, &asking, &id).await?;
    let plan = shared.api.ops.plan(&id).await?;
    Ok(Json(plan.ok_or_else(|| missing(format!("job {id} has no plan")))?).into_response())
}

/// Show the proof of a job that has been proved
#[utoipa::path(
    get, path = "/v1/jobs/{id}/ledger", tag = "jobs", operation_id = "ledger",
    params(("id" = String, Path, description = "The job.", pattern = "^[0-9a-f]{32}$")),
    responses((status = 200, description = "Every seam and every output against the film.", body = Object)),
    security(("token" = ["read"])),
)]
async fn ledger(State(shared): State<Shared>, asking: Asking, JobInPath(id): JobInPath) -> Result<Response, Trouble> {
    found(&shared, &asking, &id).await?;
    let ledger = shared.api.ops.ledger(&id).await?;
    Ok(Json(ledger.ok_or_else(|| missing(format!("job {id} has no ledger")))?).into_response())
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
async fn cancel(
    State(shared): State<Shared>,
    asking: Asking,
    JobInPath(id): JobInPath,
    body: Whole,
) -> Result<StatusCode, Trouble> {
    let body = body.of(&[JSON])?;
    let odd = |e| refused(format!("the body is not {{\"reason\": …}}: {e}"));
    let body: Option<CancelBody> = if body.is_empty() { None } else { serde_json::from_slice(&body).map_err(odd)? };
    let reason = body.and_then(|body| body.reason).unwrap_or_else(|| "asked for".to_owned());
    let chars = reason.chars().count();
    if chars > REASON_CHARS_MAX {
        return Err(refused(format!("reason of {chars} characters is over the bound of {REASON_CHARS_MAX}")).into());
    }
    found(&shared, &asking, &id).await?;
    shared.api.ops.cancel(&id, &reason).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Begin a job that failed or was cancelled anew
#[utoipa::path(
    post, path = "/v1/jobs/{id}/retry", tag = "jobs", operation_id = "retry",
    params(("id" = String, Path, description = "The job.", pattern = "^[0-9a-f]{32}$")),
    responses((status = 202, description = "What became of it.", body = SubmittedJson)),
    security(("token" = ["submit"])),
)]
async fn retry(State(shared): State<Shared>, asking: Asking, JobInPath(id): JobInPath) -> Result<Response, Trouble> {
    found(&shared, &asking, &id).await?;
    let submitted = shared.api.ops.retry(&id).await?;
    Ok((StatusCode::ACCEPTED, Json(SubmittedJson::new(id.to_string(), submitted))).into_response())
}

/// A job that is there, and that this caller sees: another's job is as if it were not there.
pub(super) async fn found(shared: &Shared, Asking(caller): &Asking, id: &JobId) -> Result<JobView, Trouble> {
    let view = shared.api.ops.show(id).await?;
    let seen = view.filter(|view| caller.sees(&view.job.terms.tenant));
    seen.ok_or_else(|| missing(format!("there is no job {id}")))
}

impl StateName {
    fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Indexing => "indexing",
            Self::Encoding => "encoding",
            Self::Merging => "merging",
            Self::Publishing => "publishing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

fn is_id(name: &str) -> bool {
    name.parse::<JobId>().is_ok()
}

fn moment(ms: Option<i64>) -> Result<Option<StoreTime>, Fault> {
    match ms {
        Some(ms) if !(0..=MOMENT_MAX).contains(&ms) => {
            Err(refused(format!("created {ms} is not within 0 to {MOMENT_MAX} milliseconds")))
        }
        ms => Ok(ms.map(StoreTime)),
    }
}

fn odd_tenant(error: impl std::fmt::Display) -> Fault {
    refused(error.to_string())
}
