//! The operations over HTTP.
//!
//! ```text
//! connections ─▶ guard ─▶ routes: jobs · watching · plans · pipelines · dead · workers ─▶ Ops
//!           callers, tokens         document ◀── made of the routes: what /openapi.json says is what is served
//! problem ◀── every error, as problem+json (RFC 9457) with the fault's code
//! asked   ─── what a request says, or a problem
//! ```
//! A further group of routes is a module with a `routes()` of its own, merged in `routes` below.

mod asked;
/// Who asks, and what they may.
pub mod callers;
mod dead;
mod document;
mod guard;
mod jobs;
mod observe;
mod pipelines;
mod plans;
mod problem;
/// The tokens' file.
pub mod tokens;
mod watching;
mod workers;

use std::any::Any;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use framefleet_common::process::connections::{self, Bounds};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::terms::Tenant;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;
use utoipa::openapi::{OpenApi, RefOr, Schema};
use utoipa_axum::router::OpenApiRouter;

use crate::inbox::Submission;
use crate::ops::Ops;
use crate::ops::pipelines::Pipelines;

use guard::Guard;
pub use observe::ApiObserver;
use problem::{Trouble, missing, refused};
use tokens::Tokens;

const BODY_BYTES_MAX: usize = 1 << 20;

/// Reads a job file that came over the network: only URLs, no paths of this machine's own folders.
pub type ReadJob = Arc<dyn Fn(&[u8]) -> Result<Wish, Fault> + Send + Sync>;

/// How a kind of body looks, with the name that routes call it by.
pub type NamedSchema = (String, RefOr<Schema>);

/// What a job file asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub submission: Submission,
    /// Whose it is to be, where the file says so; the submission's own is then the same.
    pub tenant: Option<Tenant>,
}

#[derive(Clone)]
pub struct Api {
    pub ops: Arc<dyn Ops>,
    pub read: ReadJob,
    pub pipelines: Arc<dyn Pipelines>,
    /// Of what `read` reads: `JobFile`, and what it is made of.
    pub schemas: Vec<NamedSchema>,
    pub settings: ApiSettings,
    pub observer: ApiObserver,
    /// Ends what would otherwise go on for as long as somebody watches.
    pub stop: CancellationToken,
}

/// Who is let in, and how many.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// `None`: nobody is asked who they are, so the API must listen on loopback alone.
    pub tokens: Option<Arc<Tokens>>,
    /// Pages of these origins may ask, in browsers.
    pub cors_origins: Vec<String>,
    /// Of each token, or of each peer where there are none; twice as many at once.
    pub requests_per_second: NonZeroU32,
    pub connections: usize,
    /// How many may follow jobs at once, of the connections.
    pub watchers: usize,
}

/// What routes know.
#[derive(Clone)]
struct Shared {
    api: Api,
    watchers: Arc<Semaphore>,
}

/// Serves until told to stop.
pub async fn serve(listener: TcpListener, api: Api) -> std::io::Result<()> {
    let (bounds, stop) = (Bounds::of(api.settings.connections), api.stop.clone());
    connections::serve(listener, router(api), bounds, stop).await
}

/// What the API serves, as OpenAPI 3.1 has it.
pub fn document(schemas: &[NamedSchema]) -> OpenApi {
    document::complete(routes().into_openapi(), schemas)
}

fn routes() -> OpenApiRouter<Shared> {
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
    let ApiSettings { tokens, cors_origins, requests_per_second, watchers, .. } = api.settings.clone();
    let cors = cors(&cors_origins);
    let guard = Guard::new((tokens, cors_origins), requests_per_second, &document, api.observer.clone());
    router
        .layer(axum::Extension(document::Text::of(&document)))
        .method_not_allowed_fallback(|| async {
            Trouble(StatusCode::METHOD_NOT_ALLOWED, refused("this path does not take this method"))
        })
        .fallback(|| async { missing("there is nothing at this path") })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Arc::new(guard), guard::guard))
        .layer(cors)
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(Shared { api, watchers: Arc::new(Semaphore::new(watchers)) })
}

/// Pages of no origin may ask, but of those that are named.
fn cors(origins: &[String]) -> CorsLayer {
    if origins.is_empty() {
        return CorsLayer::new();
    }
    let origins = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    CorsLayer::new()
        .allow_origin(origins.collect::<Vec<_>>())
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
        ])
        .expose_headers([header::LOCATION, header::RETRY_AFTER])
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    let text = "a bug of ours: the log of this coordinator says where";
    Trouble::from(Fault::new(FaultKind::Internal, text)).into_response()
}
