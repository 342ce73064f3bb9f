//! Following a job, by server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use framefleet_model::id::JobId;
use futures::stream;
use prometheus::IntGauge;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::asked::JobInPath;
use super::guard::{Asking, busy};
use super::problem::Trouble;
use super::{Api, Shared, jobs};
use crate::ops::JobView;
use crate::ops::wire::ViewJson;

/// After so long, whoever lost the line comes back.
const COME_BACK: Duration = Duration::from_secs(1);
/// What stands between us and a watcher must see that the line is in use.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// When all places are taken.
const FULL_WAIT: Duration = Duration::from_secs(5);

struct Watching {
    api: Api,
    id: JobId,
    seen: Option<JobView>,
    next: Next,
    _place: Place,
}

enum Next {
    /// How soon to come back if the line is lost, and then perhaps how the job looks.
    Greeting(Option<JobView>),
    /// Seen, and not told yet.
    Fresh(JobView),
    Awaited,
}

/// An event as it is heard.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
struct EventJson {
    /// `job`.
    event: String,
    /// What to come back with, as `Last-Event-ID`.
    id: String,
    /// The job's view, as JSON.
    data: String,
}

/// One of those that there are for watchers.
struct Place {
    gauge: IntGauge,
    _permit: OwnedSemaphorePermit,
}

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(events))
}

/// Follow a job until it is over
///
/// What the job looks like, each time that it looks otherwise. An event's id names that look, so whoever comes back with
/// the last one gets only what is new, from any coordinator.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/events", tag = "jobs", operation_id = "events",
    params(
        ("id" = String, Path, description = "The job.", pattern = "^[0-9a-f]{32}$"),
        ("last-event-id" = Option<String>, Header, description = "The id of the last event that was heard."),
    ),
    responses(
        (status = 200, description = "Events, each with a job's view.", body = EventJson,
            content_type = "text/event-stream"),
        (status = 204, description = "The job is over, and its last event was heard: there is nothing to come back for."),
    ),
    security(("token" = ["read"])),
)]
async fn events(
    State(shared): State<Shared>,
    asking: Asking,
    JobInPath(id): JobInPath,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let view = jobs::found(&shared, &asking, &id).await?;
    let heard = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let is_heard = heard == Some(ViewJson::from(&view).version.as_str());
    if is_heard && view.is_over() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let Ok(permit) = shared.watchers.clone().try_acquire_owned() else {
        return Ok(busy("as many jobs are followed as may be at once", FULL_WAIT));
    };
    let place = Place::take(shared.api.observer.watchers().clone(), permit);
    let next = Next::Greeting((!is_heard).then(|| view.clone()));
    let watching = Watching { api: shared.api, id, seen: Some(view), next, _place: place };
    let events = Sse::new(stream::unfold(watching, Watching::next));
    // A proxy that collects answers before it hands them on would make a film's progress one event.
    let unbuffered = [("x-accel-buffering", "no")];
    Ok((unbuffered, events.keep_alive(KeepAlive::new().interval(KEEP_ALIVE))).into_response())
}

impl Watching {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            match std::mem::replace(&mut self.next, Next::Awaited) {
                Next::Greeting(view) => {
                    self.next = view.map_or(Next::Awaited, Next::Fresh);
                    return Some((Ok(Event::default().retry(COME_BACK)), self));
                }
                Next::Fresh(view) => {
                    let json = ViewJson::from(&view);
                    let event = Event::default().event("job").id(&json.version);
                    let event = event.json_data(&json).expect("a view has only string keys and finite numbers");
                    return Some((Ok(event), self));
                }
                Next::Awaited => {}
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
                self.next = Next::Fresh(view.clone());
                self.seen = Some(view);
            }
        }
    }
}

impl Place {
    fn take(gauge: IntGauge, permit: OwnedSemaphorePermit) -> Self {
        gauge.inc();
        Self { gauge, _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}
