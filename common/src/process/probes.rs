//! Whether this process lives, whether it is ready for work, and its figures: three pages for machines.
//!
//! ```text
//! /livez    200 while the program's own loop turns
//! /readyz   200, or 503: a line for each check, `name: ok` or what is wrong and what to do about it
//! /metrics  Prometheus text
//! ```
//!
//! One request a connection, a bound on connections and on the life of each: whoever dawdles takes nobody's place for
//! long. A process that drains is not ready from the first moment on, and answers until its work has ended.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use framefleet_model::fault::{Fault, FaultKind};
use futures::future::join_all;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ports::clock::Clock;
use crate::process::bounded::BoundedListener;
use crate::process::metrics;

/// One check may take so long; one that takes longer has failed.
const CHECK_TIME_MAX: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_secs(1);
/// A loop that has not turned for so long is stuck.
const TICK_AGE_MAX: Duration = Duration::from_secs(30);

/// Something that must be right before a process is given work.
#[async_trait]
pub trait Check: Send + Sync {
    /// One word, such as `store`.
    fn name(&self) -> &str;

    /// In words for people: what is known besides, or nothing; else what is wrong, and what to do about it.
    async fn check(&self) -> Result<String, String>;
}

/// What is asked, and of whom.
pub struct Probes {
    pub registry: Registry,
    pub checks: Vec<Arc<dyn Check>>,
    /// Cancelled when the process takes nothing more.
    pub draining: CancellationToken,
    pub clock: Arc<dyn Clock>,
}

/// Probes that can be asked.
pub struct BoundProbes {
    probes: Probes,
    listener: TcpListener,
    address: SocketAddr,
}

struct Asked {
    probes: Probes,
    /// When the program's loop turned last, by the clock.
    ticked: watch::Receiver<Duration>,
}

impl Probes {
    pub async fn bind(self, address: SocketAddr) -> Result<BoundProbes, Fault> {
        let refused = |e: std::io::Error| {
            Fault::new(FaultKind::Settings, format!("ops_listen {address} cannot be listened on: {e}"))
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(BoundProbes { probes: self, listener, address })
    }

    async fn readiness(&self) -> (StatusCode, String) {
        if self.draining.is_cancelled() {
            return (StatusCode::SERVICE_UNAVAILABLE, "draining: takes nothing more, another will\n".to_owned());
        }
        let found = join_all(self.checks.iter().map(|check| self.checked(&**check))).await;
        let all = found.iter().all(|(_, found)| found.is_ok());
        let lines = found.iter().map(|(name, found)| match found {
            Ok(known) if known.is_empty() => format!("{name}: ok\n"),
            Ok(known) => format!("{name}: ok ({})\n", one_line(known)),
            Err(wrong) => format!("{name}: {}\n", one_line(wrong)),
        });
        (if all { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, lines.collect())
    }

    async fn checked<'a>(&self, check: &'a dyn Check) -> (&'a str, Result<String, String>) {
        let found = tokio::select! {
            biased;
            found = check.check() => found,
            () = self.clock.sleep(CHECK_TIME_MAX) => Err(format!("no answer within {} s", CHECK_TIME_MAX.as_secs())),
        };
        (check.name(), found)
    }
}

impl BoundProbes {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers for as long as the work runs, which it does in the caller's own task: a loop of it that no longer
    /// turns is seen from outside.
    pub async fn beside<T>(self, work: impl Future<Output = T>) -> T {
        let clock = self.probes.clock.clone();
        let (tick, ticked) = watch::channel(clock.elapsed());
        let router = router(Asked { probes: self.probes, ticked });
        let mut server = JoinSet::new();
        server.spawn(axum::serve(BoundedListener::new(self.listener), router).into_future());
        let ticking = async {
            loop {
                clock.sleep(TICK).await;
                tick.send_replace(clock.elapsed());
            }
        };
        tokio::select! {
            biased;
            done = work => done,
            () = ticking => unreachable!("ticking has no end"),
        }
    }
}

impl Asked {
    fn life(&self) -> (StatusCode, String) {
        let age = self.probes.clock.elapsed().saturating_sub(*self.ticked.borrow());
        if age <= TICK_AGE_MAX {
            return (StatusCode::OK, "ok\n".to_owned());
        }
        let text =
            format!("the program's loop has not turned for {} s, {} at most\n", age.as_secs(), TICK_AGE_MAX.as_secs());
        (StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

fn router(asked: Asked) -> Router {
    Router::new()
        .route("/livez", get(async |State(asked): State<Arc<Asked>>| answer(asked.life())))
        .route("/readyz", get(async |State(asked): State<Arc<Asked>>| answer(asked.probes.readiness().await)))
        .route("/metrics", get(async |State(asked): State<Arc<Asked>>| figures(&asked.probes.registry)))
        .fallback(async || answer((StatusCode::NOT_FOUND, "there are /livez, /readyz and /metrics\n".to_owned())))
        .with_state(Arc::new(asked))
}

fn answer((status, text): (StatusCode, String)) -> impl IntoResponse {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CONNECTION, "close")], text)
}

fn figures(registry: &Registry) -> impl IntoResponse + use<> {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE), (CONNECTION, "close")], metrics::text(registry))
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
