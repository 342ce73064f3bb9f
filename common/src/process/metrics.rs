//! Figures for Prometheus: whole numbers, in families whose every member is there, at zero, from the start, so that a
//! rate over the first event is right. A label is written once, where its family is made.
//!
//! ```
//! # use framefleet_common::process::metrics::Counters;
//! let registry = prometheus::Registry::new();
//! let hints = Counters::new(&registry, ("framefleet_hints_total", "Hints by what became of them."), ("end", &["ok", "stale"]));
//! hints.add("ok", 1);
//! ```

use std::collections::BTreeMap;

use prometheus::core::Collector;
use prometheus::{Encoder as _, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

/// What kind of text `text` is.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Name and sentence of a figure.
pub type Named<'a> = (&'a str, &'a str);
/// A label and all the values that it takes.
pub type Labelled<'a> = (&'a str, &'a [&'a str]);

/// What only grows, told apart by one label.
#[derive(Clone, Debug)]
pub struct Counters {
    members: BTreeMap<String, IntCounter>,
}

/// What goes up and down, told apart by one label.
#[derive(Clone, Debug)]
pub struct Gauges {
    members: BTreeMap<String, IntGauge>,
}

impl Counters {
    pub fn new(registry: &Registry, named: Named<'_>, (label, values): Labelled<'_>) -> Self {
        let family = IntCounterVec::new(options(named), &[label]).expect("figures have names that Prometheus takes");
        let members = values.iter().map(|value| ((*value).to_owned(), family.with_label_values(&[value])));
        let members = members.collect();
        register(registry, family);
        Self { members }
    }

    /// Counts for one of the values that the family was made with; others are a mistake in the code and are not
    /// counted.
    pub fn add(&self, value: &str, count: u64) {
        let member = self.members.get(value);
        debug_assert!(member.is_some(), "{value:?} is no value of this label");
        if let Some(member) = member {
            member.inc_by(count);
        }
    }
}

impl Gauges {
    pub fn new(registry: &Registry, named: Named<'_>, (label, values): Labelled<'_>) -> Self {
        let family = IntGaugeVec::new(options(named), &[label]).expect("figures have names that Prometheus takes");
        let members = values.iter().map(|value| ((*value).to_owned(), family.with_label_values(&[value])));
        let members = members.collect();
        register(registry, family);
        Self { members }
    }

    /// As `Counters::add`.
    pub fn set(&self, value: &str, figure: i64) {
        let member = self.members.get(value);
        debug_assert!(member.is_some(), "{value:?} is no value of this label");
        if let Some(member) = member {
            member.set(figure);
        }
    }
}

/// One figure that only grows.
pub fn counter(registry: &Registry, named: Named<'_>) -> IntCounter {
    let counter = IntCounter::with_opts(options(named)).expect("figures have names that Prometheus takes");
    register(registry, counter.clone());
    counter
}

/// One figure that goes up and down.
pub fn gauge(registry: &Registry, named: Named<'_>) -> IntGauge {
    let gauge = IntGauge::with_opts(options(named)).expect("figures have names that Prometheus takes");
    register(registry, gauge.clone());
    gauge
}

/// All figures, as Prometheus reads them.
pub fn text(registry: &Registry) -> String {
    let mut bytes = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut bytes).expect("figures that registered can be written");
    String::from_utf8(bytes).expect("figures are text")
}

fn options((name, sentence): Named<'_>) -> Opts {
    Opts::new(name, sentence)
}

fn register(registry: &Registry, family: impl Collector + 'static) {
    registry.register(Box::new(family)).expect("every figure of a registry has a name of its own");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_is_there_at_zero() {
        let registry = Registry::new();
        let named = ("framefleet_hints_total", "Hints by what became of them.");
        let hints = Counters::new(&registry, named, ("end", &["ok", "stale"]));
        hints.add("ok", 2);
        let slots = Gauges::new(&registry, ("framefleet_slots", "Slots."), ("class", &["light"]));
        slots.set("light", 3);
        counter(&registry, ("framefleet_ends_total", "Ends.")).inc();
        gauge(&registry, ("framefleet_jobs", "Jobs.")).set(-1);
        let text = text(&registry);
        for line in [
            "framefleet_hints_total{end=\"ok\"} 2",
            "framefleet_hints_total{end=\"stale\"} 0",
            "framefleet_slots{class=\"light\"} 3",
            "framefleet_ends_total 1",
            "framefleet_jobs -1",
            "# HELP framefleet_hints_total Hints by what became of them.",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} in\n{text}");
        }
    }
}
