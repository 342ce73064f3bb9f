//! A coordinator's API, as every role that has one serves it.

use std::sync::Arc;

use framefleet_coordinator::coordinator::Coordinator;
use framefleet_coordinator::ops::http::{self, Api, ApiObserver, ApiSettings, ReadJob};
use framefleet_model::fault::{Fault, FaultKind};
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::pipelines::Rules;
use crate::jobfile::schema;
use crate::submission;

/// Until told to stop.
pub async fn serve(
    (coordinator, rules): (&Coordinator, &Arc<Rules>),
    (settings, metrics): (&ApiSettings, &Registry),
    (listener, stop): (TcpListener, &CancellationToken),
) -> Result<(), Fault> {
    let known = rules.clone();
    let read: ReadJob = Arc::new(move |bytes| submission::read(bytes, &known));
    let api = Api {
        ops: Arc::new(coordinator.ops()),
        read,
        pipelines: rules.clone(),
        schemas: schema::schemas(),
        settings: settings.clone(),
        observer: ApiObserver::new(metrics),
        stop: stop.clone(),
    };
    let ended = http::serve(listener, api).await;
    ended.map_err(|e| Fault::new(FaultKind::Internal, format!("the API ended: {e}")))
}
