//! What every process of a fleet shows of itself: its build, whether it drains, how it stands with the broker. Read when
//! somebody asks.

use std::sync::Arc;

use framefleet_common::adapters::amqp::{AmqpBroker, Standing};
use framefleet_common::process::metrics;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, IntGaugeVec, Opts, Registry};
use tokio_util::sync::CancellationToken;

/// The broker, once there is one.
pub type Broker = Box<dyn Fn() -> Option<Arc<AmqpBroker>> + Send + Sync>;

struct Shown {
    /// None where the broker is this process itself.
    broker: Option<Broker>,
    draining: CancellationToken,
    is_connected: IntGauge,
    is_blocked: IntGauge,
    is_draining: IntGauge,
    reconnects: IntCounter,
}

pub fn show(registry: &Registry, broker: Option<Broker>, draining: CancellationToken) {
    let build = Opts::new("framefleet_build_info", "1; which framefleet and which GStreamer this is.");
    let build = metrics::family(registry, IntGaugeVec::new(build, &["version", "gstreamer"]));
    build.with_label_values(&[env!("CARGO_PKG_VERSION"), &framefleet_media::doctor::gstreamer()]).set(1);
    let gauge = |name: &str, help: &str| IntGauge::new(name, help).expect("figures have names that Prometheus takes");
    let reconnects =
        IntCounter::new("framefleet_broker_reconnects_total", "How often a connection to the broker was made anew.");
    let shown = Shown {
        broker,
        draining,
        is_connected: gauge("framefleet_broker_connected", "1 while both connections to the broker are up."),
        is_blocked: gauge("framefleet_broker_blocked", "1 while the broker takes no messages."),
        is_draining: gauge("framefleet_draining", "1 once this process takes nothing more."),
        reconnects: reconnects.expect("figures have names that Prometheus takes"),
    };
    registry.register(Box::new(shown)).expect("every figure of a registry has a name of its own");
}

impl Shown {
    fn figures(&self) -> Vec<&dyn Collector> {
        let of_broker: [&dyn Collector; 3] = [&self.is_connected, &self.is_blocked, &self.reconnects];
        let of_broker = of_broker.into_iter().filter(|_| self.broker.is_some());
        of_broker.chain([&self.is_draining as &dyn Collector]).collect()
    }
}

impl Collector for Shown {
    fn desc(&self) -> Vec<&Desc> {
        self.figures().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let none = Standing { is_connected: false, is_blocked: false, reconnects: 0 };
        let broker = self.broker.as_ref().and_then(|broker| broker());
        let standing = broker.map_or(none, |broker| broker.standing());
        self.is_connected.set(standing.is_connected.into());
        self.is_blocked.set(standing.is_blocked.into());
        self.is_draining.set(self.draining.is_cancelled().into());
        self.reconnects.inc_by(standing.reconnects.saturating_sub(self.reconnects.get()));
        self.figures().into_iter().flat_map(Collector::collect).collect()
    }
}
