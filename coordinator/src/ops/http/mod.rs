//! The operations over HTTP.
//!
//! ```text
//!            routes: jobs · watching · plans · pipelines · dead · workers ──▶ Ops
//! document ◀── made of the routes themselves: what /openapi.json says is what is served
//! problem  ◀── every error, as problem+json (RFC 9457) with the fault's code
//! asked    ── what a request says, or a problem
//! ```
//! A further group of routes is a module with a `routes()` of its own, merged in `routes` below.

/// What a request says.
mod asked;
mod dead;
mod document;
mod jobs;
mod pipelines;
mod plans;
mod problem;
mod watching;
mod workers;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use framefleet_model::fault::{Fault, FaultKind};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use utoipa::openapi::{OpenApi, RefOr, Schema};
use utoipa_axum::router::OpenApiRouter;

use crate::inbox::Submission;
use crate::ops::Ops;
use crate::ops::pipelines::Pipelines;

use problem::{Trouble, refused};

const BODY_BYTES_MAX: usize = 1 << 20;

/// Reads a job file that came over the network: only URLs, no paths of this machine's own folders.
pub type ReadJob = Arc<dyn Fn(&[u8]) -> Result<Submission, Fault> + Send + Sync>;

/// How a kind of body looks, with the name that routes call it by.
pub type NamedSchema = (String, RefOr<Schema>);

#[derive(Clone)]
pub struct Api {
    pub ops: Arc<dyn Ops>,
    pub read: ReadJob,
    pub pipelines: Arc<dyn Pipelines>,
    /// Of what `read` reads: `JobFile`, and what it is made of.
    pub schemas: Vec<NamedSchema>,
    /// Ends what would otherwise go on for as long as somebody watches.
    pub stop: CancellationToken,
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

/// What the API serves, as OpenAPI 3.1 has it.
pub fn document(schemas: &[NamedSchema]) -> OpenApi {
    document::complete(routes().into_openapi(), schemas)
}

fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(document::head())
        .merge(jobs::routes())
        .merge(watching::routes())
        .merge(plans::routes())
        .merge(pipelines::routes())
        .merge(dead::routes())
        .merge(workers::routes())
        .merge(document::routes())
}

fn router(api: Api) -> Router {
    let (router, document) = routes().split_for_parts();
    let document = document::complete(document, &api.schemas);
    router
        .layer(axum::Extension(document::Text::of(&document)))
        .method_not_allowed_fallback(|| async {
            Trouble(StatusCode::METHOD_NOT_ALLOWED, refused("this path does not take this method"))
        })
        .fallback(|| async { Trouble(StatusCode::NOT_FOUND, refused("there is nothing at this path")) })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(api)
}
