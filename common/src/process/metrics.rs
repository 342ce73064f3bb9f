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
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

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

/// How long things took, told apart by one label.
#[derive(Clone, Debug)]
pub struct Timings {
    members: BTreeMap<String, Histogram>,
}

impl Timings {
    /// `bounds` are seconds, rising.
    pub fn new(
        registry: &Registry,
        (name, sentence): Named<'_>,
        (label, values): Labelled<'_>,
        bounds: &[f64],
    ) -> Self {
        let options = HistogramOpts::new(name, sentence).buckets(bounds.to_vec());
        let family = HistogramVec::new(options, &[label]).expect("figures have names that Prometheus takes");
        let members = values.iter().map(|value| ((*value).to_owned(), family.with_label_values(&[value])));
        let members = members.collect();
        register(registry, family);
        Self { members }
    }

    /// As `Counters::add`.
    pub fn took(&self, value: &str, time: Duration) {
        let member = self.members.get(value);
        debug_assert!(member.is_some(), "{value:?} is no value of this label");
        if let Some(member) = member {
            member.observe(time.as_secs_f64());
        }
    }
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

    /// Sets every member anew; values that the family was not made with have no place.
    pub fn each(&self, figure: impl Fn(&str) -> i64) {
        for (value, member) in &self.members {
            member.set(figure(value));
        }
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

/// One figure of how long things took; `bounds` are seconds, rising.
pub fn timing(registry: &Registry, (name, sentence): Named<'_>, bounds: &[f64]) -> Histogram {
    let options = HistogramOpts::new(name, sentence).buckets(bounds.to_vec());
    let histogram = Histogram::with_opts(options).expect("figures have names that Prometheus takes");
    register(registry, histogram.clone());
    histogram
}

/// A family of more labels than one, registered.
pub fn family<F: Collector + Clone + 'static>(registry: &Registry, family: prometheus::Result<F>) -> F {
    let family = family.expect("figures have names that Prometheus takes");
    register(registry, family.clone());
    family
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
        let waits =
            Timings::new(&registry, ("framefleet_wait_seconds", "Waits."), ("op", &["load", "scan"]), &[0.1, 1.0]);
        waits.took("scan", Duration::from_millis(500));
        timing(&registry, ("framefleet_life_seconds", "Lives."), &[60.0]).observe(61.0);
        let text = text(&registry);
        for line in [
            "framefleet_hints_total{end=\"ok\"} 2",
            "framefleet_hints_total{end=\"stale\"} 0",
            "framefleet_slots{class=\"light\"} 3",
            "framefleet_ends_total 1",
            "framefleet_jobs -1",
            "framefleet_wait_seconds_bucket{op=\"scan\",le=\"0.1\"} 0",
            "framefleet_wait_seconds_bucket{op=\"scan\",le=\"1\"} 1",
            "framefleet_wait_seconds_count{op=\"load\"} 0",
            "framefleet_life_seconds_sum 61",
            "# HELP framefleet_hints_total Hints by what became of them.",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} in\n{text}");
        }
    }
}
