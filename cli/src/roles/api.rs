//! A coordinator's API, as every role that has one serves it.

use std::sync::Arc;

use framefleet_coordinator::coordinator::Coordinator;
use framefleet_coordinator::ops::http::{self, Api, ReadJob};
use framefleet_model::fault::{Fault, FaultKind};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::pipelines::Rules;
use crate::jobfile::schema;
use crate::submission;

/// Until told to stop.
pub async fn serve(
    (coordinator, rules): (&Coordinator, &Arc<Rules>),
    listener: TcpListener,
    stop: &CancellationToken,
) -> Result<(), Fault> {
    let names = rules.names().clone();
    let read: ReadJob = Arc::new(move |bytes| submission::read(bytes, &names));
    let api = Api {
        ops: Arc::new(coordinator.ops()),
        read,
        pipelines: rules.clone(),
        schemas: schema::schemas(),
        stop: stop.clone(),
    };
    let ended = http::serve(listener, api).await;
    ended.map_err(|e| Fault::new(FaultKind::Internal, format!("the API ended: {e}")))
}
