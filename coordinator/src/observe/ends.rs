//! How jobs end, in figures: how long they took, what they cost, why they failed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use framefleet_common::process::metrics;
use framefleet_model::fault::{FaultKind, Whose};
use framefleet_model::job::{Job, JobState};
use framefleet_model::time::{MediaTime, StoreTime};
use prometheus::{Counter, CounterVec, Histogram, IntCounterVec, Opts, Registry};

use crate::flow::{Announcement, Decision};

/// Seconds, from a clip to a night.
const JOB_BOUNDS: [f64; 10] = [5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 3600.0, 10_800.0, 21_600.0, 86_400.0];
const MERGE_BOUNDS: [f64; 8] = [0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 1200.0, 3600.0];
/// Who has a figure of their own; a label takes no name that anybody can invent without end.
const TENANTS_MAX: usize = 100;
const OTHERS: &str = "others";

#[derive(Clone, Debug)]
pub(crate) struct Ends {
    failures: IntCounterVec,
    took: Histogram,
    merge_took: Histogram,
    cpu: CounterVec,
    media: CounterVec,
    tenants: Arc<Mutex<BTreeMap<String, Costs>>>,
}

#[derive(Clone, Debug)]
struct Costs {
    cpu: Counter,
    media: Counter,
}

impl Ends {
    pub(crate) fn new(registry: &Registry) -> Self {
        let failed =
            Opts::new("framefleet_job_failures_total", "Jobs that failed, by the fault's code and whose it is.");
        let failures = metrics::family(registry, IntCounterVec::new(failed, &["code", "whose"]));
        for kind in FaultKind::ALL {
            failures.with_label_values(&[&kind.code().to_string(), whose(kind.whose())]);
        }
        let by_tenant = |name: &str, sentence: &str| {
            metrics::family(registry, CounterVec::new(Opts::new(name, sentence), &["tenant"]))
        };
        let cpu = by_tenant(
            "framefleet_job_cpu_seconds_total",
            "CPU time of jobs that ended, as their events tell it, by tenant.",
        );
        let media =
            by_tenant("framefleet_job_media_seconds_total", "Length of the films of jobs that completed, by tenant.");
        let named = ("framefleet_job_duration_seconds", "From accepted to completed.");
        let merge = ("framefleet_merge_duration_seconds", "How long merges took that settled.");
        let ends = Self {
            failures,
            took: metrics::timing(registry, named, &JOB_BOUNDS),
            merge_took: metrics::timing(registry, merge, &MERGE_BOUNDS),
            cpu,
            media,
            tenants: Arc::default(),
        };
        ends.costs(OTHERS);
        ends
    }

    /// What a decision ends, if anything.
    pub(crate) fn count(&self, decision: &Decision) {
        let job = &decision.job;
        match &job.state {
            JobState::Completed(end) => {
                self.took.observe(seconds(end.at, job));
                let outputs = decision.outbox.iter().filter_map(|told| match told {
                    Announcement::Completed(delivered) => Some(delivered),
                    Announcement::Accepted
                    | Announcement::Started
                    | Announcement::Failed(_)
                    | Announcement::Cancelled { .. } => None,
                });
                let longest = outputs.flatten().map(|output| output.proof.duration).max().unwrap_or(MediaTime::ZERO);
                self.costs(job.terms.tenant.as_str()).media.inc_by(longest.ns() as f64 / 1e9);
            }
            JobState::Failed(end) => {
                let kind = end.fault.kind;
                self.failures.with_label_values(&[&kind.code().to_string(), whose(kind.whose())]).inc();
            }
            JobState::Cancelled(_) => {}
            JobState::Accepted
            | JobState::Indexing(_)
            | JobState::Encoding(_)
            | JobState::Merging(_)
            | JobState::Publishing(_) => return,
        }
        self.costs(job.terms.tenant.as_str()).cpu.inc_by(job.cpu_ms as f64 / 1e3);
    }

    pub(crate) fn merged(&self, outcome: &str, took: Duration) {
        if outcome == "settled" {
            self.merge_took.observe(took.as_secs_f64());
        }
    }

    fn costs(&self, tenant: &str) -> Costs {
        // What is behind this lock is whole after every statement.
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = tenants.len() > TENANTS_MAX && !tenants.contains_key(tenant);
        let name = if is_full { OTHERS } else { tenant };
        let new = || Costs { cpu: self.cpu.with_label_values(&[name]), media: self.media.with_label_values(&[name]) };
        tenants.entry(name.to_owned()).or_insert_with(new).clone()
    }
}

fn seconds(ended: StoreTime, job: &Job) -> f64 {
    ended.ms_since(job.created) as f64 / 1e3
}

fn whose(whose: Whose) -> &'static str {
    match whose {
        Whose::Input => "input",
        Whose::Destination => "destination",
        Whose::Ours => "ours",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_anybody_invents_do_not_fill_the_memory() {
        let registry = Registry::new();
        let ends = Ends::new(&registry);
        for number in 0..500 {
            ends.costs(&format!("tenant-{number}")).cpu.inc_by(1.0);
        }
        let text = metrics::text(&registry);
        let shown = text.lines().filter(|line| line.starts_with("framefleet_job_cpu_seconds_total{"));
        assert_eq!(shown.count(), TENANTS_MAX + 1);
        assert!(text.contains("framefleet_job_cpu_seconds_total{tenant=\"tenant-0\"} 1\n"), "{text}");
        assert!(text.contains("framefleet_job_cpu_seconds_total{tenant=\"others\"} 400\n"), "{text}");
        assert!(text.contains("framefleet_job_failures_total{code=\"3001\",whose=\"ours\"} 0\n"), "{text}");
    }
}
