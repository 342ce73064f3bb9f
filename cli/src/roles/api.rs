//! A coordinator's API, as every role that has one serves it.

use std::sync::Arc;

use framefleet_coordinator::coordinator::Coordinator;
use framefleet_coordinator::ops::http::{self, Api};
use framefleet_model::fault::{Fault, FaultKind};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::jobfile::schema;
use crate::submission;

/// Until told to stop.
pub async fn serve(coordinator: &Coordinator, listener: TcpListener, stop: &CancellationToken) -> Result<(), Fault> {
    let (ops, read) = (Arc::new(coordinator.ops()), Arc::new(submission::read));
    let ended = http::serve(listener, Api { ops, read, schemas: schema::schemas(), stop: stop.clone() }).await;
    ended.map_err(|e| Fault::new(FaultKind::Internal, format!("the API ended: {e}")))
}
