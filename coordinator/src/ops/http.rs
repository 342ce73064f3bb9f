//! The operations over HTTP, on loopback: no tokens yet.
//!
//! ```text
//! POST /v1/jobs                a job file, JSON or YAML; Idempotency-Key names the job  ─▶ 202 { job, submitted }
//! GET  /v1/jobs                ?state ?tenant ?limit ?after                             ─▶ 200 { jobs, next }
//! GET  /v1/jobs/{id}           · /plan · /ledger                                        ─▶ 200
//! GET  /v1/jobs/{id}/events    server-sent events, until the job is over
//! POST /v1/jobs/{id}/cancel    { reason } · /retry                                      ─▶ 202
//! GET  /v1/dead                · GET /v1/dead/{id} · POST /v1/dead/{id}/retry · DELETE /v1/dead/{id}
//! GET  /v1/workers
//! ```
//! Errors are problem+json (RFC 9457) with the fault's code.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use framefleet_common::ports::store::Entry;
use framefleet_model::fault::{Fault, FaultKind, Retry, Whose};
use framefleet_model::id::JobId;
use futures::stream::{self, Stream};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::inbox::Submission;
use crate::ops::wire::{self, JobJson, LetterJson, ListJson, Problem, SubmittedJson, ViewJson, WorkerJson};
use crate::ops::{JobView, Ops, Page};

const BODY_BYTES_MAX: usize = 1 << 20;
const PAGE_DEFAULT: usize = 100;
const KEY_BYTES_MAX: usize = 255;

/// Reads a job file that came over the network: only URLs, no paths of this machine's own folders.
pub type ReadJob = Arc<dyn Fn(&[u8]) -> Result<Submission, Fault> + Send + Sync>;

#[derive(Clone)]
pub struct Api {
    pub ops: Arc<dyn Ops>,
    pub read: ReadJob,
    /// Ends what would otherwise go on for as long as somebody watches.
    pub stop: CancellationToken,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    state: Option<String>,
    tenant: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CancelBody {
    reason: Option<String>,
}

/// Serves until told to stop.
pub async fn serve(listener: TcpListener, api: Api) -> std::io::Result<()> {
    let stop = api.stop.clone();
    axum::serve(listener, router(api)).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// Nobody is asked who they are yet, so nobody from elsewhere may come.
pub fn may_listen(address: &SocketAddr) -> Result<(), Fault> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let text = format!("listen {address} is not on loopback, and the API knows no tokens yet");
    Err(Fault::new(FaultKind::Settings, text))
}

fn router(api: Api) -> Router {
    Router::new()
        .route("/v1/jobs", post(submit).get(list))
        .route("/v1/jobs/{id}", get(show))
        .route("/v1/jobs/{id}/plan", get(plan))
        .route("/v1/jobs/{id}/ledger", get(ledger))
        .route("/v1/jobs/{id}/events", get(events))
        .route("/v1/jobs/{id}/cancel", post(cancel))
        .route("/v1/jobs/{id}/retry", post(retry))
        .route("/v1/dead", get(dead))
        .route("/v1/dead/{id}", get(letter).delete(drop_letter))
        .route("/v1/dead/{id}/retry", post(retry_letter))
        .route("/v1/workers", get(workers))
        .method_not_allowed_fallback(|| async {
            Trouble(StatusCode::METHOD_NOT_ALLOWED, refused("this path does not take this method"))
        })
        .fallback(|| async { Trouble(StatusCode::NOT_FOUND, refused("there is nothing at this path")) })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(api)
}

async fn submit(State(api): State<Api>, headers: HeaderMap, body: Body) -> Result<Response, Trouble> {
    let key = headers.get("idempotency-key").map(|key| key.to_str().unwrap_or_default().to_owned());
    if let Some(key) = key.as_ref().filter(|key| key.is_empty() || key.len() > KEY_BYTES_MAX) {
        let text = format!("Idempotency-Key of {} bytes is not within 1 to {KEY_BYTES_MAX} of ASCII", key.len());
        return Err(refused(text).into());
    }
    let submission = (api.read)(&whole(body)?)?;
    let (id, submitted) = api.ops.submit(&Submission { key, ..submission }).await?;
    let location = format!("/v1/jobs/{id}");
    let answer = Json(SubmittedJson::new(id.to_string(), submitted));
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], answer).into_response())
}

async fn list(
    State(api): State<Api>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<ListJson>, Trouble> {
    let Query(query) = query.map_err(|e| refused(e.body_text()))?;
    let ListQuery { state, tenant, limit, after } = query;
    let after = after.as_deref().map(cursor).transpose()?;
    let listed = api.ops.list(&Page { state, tenant, limit: limit.unwrap_or(PAGE_DEFAULT), after }).await?;
    let next = listed.next.map(|entry| format!("{}.{}", entry.score, entry.member));
    Ok(Json(ListJson { jobs: listed.jobs.iter().map(JobJson::from).collect(), next }))
}

async fn show(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<ViewJson>, Trouble> {
    let id = job_id(&id)?;
    let view = api.ops.show(&id).await?.ok_or_else(|| missing(format!("there is no job {id}")))?;
    Ok(Json(ViewJson::from(&view)))
}

async fn plan(State(api): State<Api>, Path(id): Path<String>) -> Result<Response, Trouble> {
    let plan = api.ops.plan(&job_id(&id)?).await?;
    Ok(Json(plan.ok_or_else(|| missing(format!("job {id} has no plan, or is not there")))?).into_response())
}

async fn ledger(State(api): State<Api>, Path(id): Path<String>) -> Result<Response, Trouble> {
    let ledger = api.ops.ledger(&job_id(&id)?).await?;
    Ok(Json(ledger.ok_or_else(|| missing(format!("job {id} has no ledger, or is not there")))?).into_response())
}

async fn cancel(State(api): State<Api>, Path(id): Path<String>, body: Body) -> Result<StatusCode, Trouble> {
    let body = whole(body)?;
    let odd = |e| refused(format!("the body is not {{\"reason\": …}}: {e}"));
    let body: CancelBody =
        if body.is_empty() { CancelBody::default() } else { serde_json::from_slice(&body).map_err(odd)? };
    let id = job_id(&id)?;
    api.ops.show(&id).await?.ok_or_else(|| missing(format!("there is no job {id}")))?;
    api.ops.cancel(&id, body.reason.as_deref().unwrap_or("asked for")).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn retry(State(api): State<Api>, Path(id): Path<String>) -> Result<Response, Trouble> {
    let id = job_id(&id)?;
    api.ops.show(&id).await?.ok_or_else(|| missing(format!("there is no job {id}")))?;
    let submitted = api.ops.retry(&id).await?;
    Ok((StatusCode::ACCEPTED, Json(SubmittedJson::new(id.to_string(), submitted))).into_response())
}

async fn dead(State(api): State<Api>) -> Result<Json<Vec<LetterJson>>, Trouble> {
    Ok(Json(api.ops.dead().await?.iter().map(LetterJson::from).collect()))
}

async fn letter(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<LetterJson>, Trouble> {
    let letter = api.ops.letter(&id).await?.ok_or_else(|| missing(format!("there is no dead letter {id}")))?;
    Ok(Json(LetterJson::from(&letter)))
}

async fn retry_letter(State(api): State<Api>, Path(id): Path<String>) -> Result<StatusCode, Trouble> {
    api.ops.letter(&id).await?.ok_or_else(|| missing(format!("there is no dead letter {id}")))?;
    api.ops.retry_letter(&id).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn drop_letter(State(api): State<Api>, Path(id): Path<String>) -> Result<StatusCode, Trouble> {
    api.ops.drop_letter(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn workers(State(api): State<Api>) -> Result<Json<Vec<WorkerJson>>, Trouble> {
    Ok(Json(api.ops.workers().await?.iter().map(WorkerJson::from).collect()))
}

/// What the job looks like, each time that it looks otherwise, until nothing more happens to it. An event's id names
/// that look, so whoever comes back with the last one gets only what is new, from any coordinator.
async fn events(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Trouble> {
    let id = job_id(&id)?;
    let view = api.ops.show(&id).await?.ok_or_else(|| missing(format!("there is no job {id}")))?;
    let known = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let fresh = Some(view.clone()).filter(|view| known != Some(ViewJson::from(view).version.as_str()));
    let watching = Watching { api, id, seen: Some(view), fresh };
    Ok(Sse::new(stream::unfold(watching, Watching::next)).keep_alive(Default::default()))
}

struct Watching {
    api: Api,
    id: JobId,
    seen: Option<JobView>,
    /// Seen, and not told yet.
    fresh: Option<JobView>,
}

impl Watching {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(view) = self.fresh.take() {
                let json = ViewJson::from(&view);
                let event = Event::default().event("job").id(&json.version);
                let event = event.json_data(&json).expect("a view has only string keys and finite numbers");
                return Some((Ok(event), self));
            }
            if self.seen.as_ref().is_none_or(JobView::is_over) {
                return None;
            }
            let view = tokio::select! {
                view = self.api.ops.watch(&self.id, self.seen.as_ref()) => view.ok()??,
                () = self.api.stop.cancelled() => return None,
            };
            let is_new = self.seen.as_ref().is_none_or(|seen| JobView { now: seen.now, ..view.clone() } != *seen);
            if is_new {
                self.fresh = Some(view.clone());
                self.seen = Some(view);
            }
        }
    }
}

/// A body that came whole and is not too long.
type Body = Result<Bytes, BytesRejection>;

fn whole(body: Body) -> Result<Bytes, Trouble> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Trouble(
            StatusCode::PAYLOAD_TOO_LARGE,
            refused(format!("the body is over its bound of {BODY_BYTES_MAX} bytes")),
        ),
        status => Trouble(status, refused(rejection.body_text())),
    })
}

fn job_id(text: &str) -> Result<JobId, Trouble> {
    text.parse().map_err(|_| missing(format!("{text:?} is no job id: 32 hexadecimal digits")))
}

fn cursor(text: &str) -> Result<Entry, Fault> {
    let parts = text.split_once('.').and_then(|(score, member)| Some((score.parse().ok()?, member)));
    let (score, member) = parts.ok_or_else(|| refused(format!("after {text:?} is nothing that `next` ever was")))?;
    Ok(Entry { score, member: member.to_owned() })
}

fn refused(text: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Settings, text)
}

fn missing(text: String) -> Trouble {
    Trouble(StatusCode::NOT_FOUND, refused(text))
}

/// A fault with the status that it is told by.
struct Trouble(StatusCode, Fault);

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        let status = match (fault.kind, fault.kind.whose()) {
            (FaultKind::Settings, _) => StatusCode::BAD_REQUEST,
            (FaultKind::StoreAway | FaultKind::StorageAway, _) => StatusCode::SERVICE_UNAVAILABLE,
            (_, Whose::Input) => StatusCode::UNPROCESSABLE_ENTITY,
            (_, Whose::Destination) => StatusCode::CONFLICT,
            (_, Whose::Ours) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, fault)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let Self(status, fault) = self;
        let problem = Problem {
            r#type: format!("urn:framefleet:fault:{}", fault.kind.code()),
            title: fault.kind.name().to_owned(),
            status: status.as_u16(),
            detail: fault.message.clone(),
            code: fault.kind.code(),
            whose: wire::whose(&fault).to_owned(),
            retried: fault.kind.retry() != Retry::Never,
        };
        (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(problem)).into_response()
    }
}
