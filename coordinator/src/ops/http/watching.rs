//! Following a job, by server-sent events.

use std::convert::Infallible;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use framefleet_model::id::JobId;
use futures::stream::{self, Stream};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::asked::JobInPath;
use super::jobs;
use super::problem::Trouble;
use crate::ops::JobView;
use crate::ops::wire::ViewJson;

struct Watching {
    api: Api,
    id: JobId,
    seen: Option<JobView>,
    /// Seen, and not told yet.
    fresh: Option<JobView>,
}

pub(super) fn routes() -> OpenApiRouter<Api> {
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
    responses((status = 200, description = "Events named `job`, a job's view as JSON in each.", body = String,
        content_type = "text/event-stream")),
    security(("token" = ["read"])),
)]
async fn events(
    State(api): State<Api>,
    JobInPath(id): JobInPath,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Trouble> {
    let view = jobs::found(&api, &id).await?;
    let known = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let fresh = Some(view.clone()).filter(|view| known != Some(ViewJson::from(view).version.as_str()));
    let watching = Watching { api, id, seen: Some(view), fresh };
    Ok(Sse::new(stream::unfold(watching, Watching::next)).keep_alive(Default::default()))
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
