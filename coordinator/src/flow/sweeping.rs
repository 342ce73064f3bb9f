//! Sweeping: what is kept of a trigger, and which of the objects in its place nobody told of.
//!
//! ```text
//! first seen ──▶ waits ──due──▶ passes, page by page ──last page──▶ waits …
//! ```
//! A pass goes over all names, for storages list by name and not by age. What appeared before the last whole pass began,
//! less an overlap for clocks that differ and uploads that take long, was looked at by that pass.

use framefleet_model::event::WallTime;
use framefleet_model::time::StoreTime;
use framefleet_model::trigger::{Trigger, Version};
use serde::{Deserialize, Serialize};

const WATCH_VERSION: u32 = 1;
/// Of a trigger's pipeline. Sources of older ones were swept long ago.
const VERSIONS_MAX: usize = 32;
/// A pass that so often in a row could not go on begins anew: servers forget where a list was.
const FAILURES_MAX: u32 = 3;

/// What is kept of a trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    version: u32,
    /// Nothing older is ever swept.
    pub first_seen: StoreTime,
    /// What its sources went through, the youngest last: a job of any of them is a source's job.
    pub versions: Vec<Version>,
    /// When the last whole pass began.
    pub since: StoreTime,
    pass: Option<Pass>,
    /// When somebody last took a turn.
    turn: Option<StoreTime>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pass {
    began: StoreTime,
    /// Where the last page ended.
    cursor: Option<String>,
    failures: u32,
}

impl Watch {
    pub fn new(trigger: &Trigger, now: StoreTime) -> Self {
        let watch =
            Self { version: WATCH_VERSION, first_seen: now, versions: Vec::new(), since: now, pass: None, turn: None };
        watch.with(trigger).unwrap_or(watch)
    }

    /// The same with the versions that the trigger has now; `None` if it has them already.
    pub fn with(&self, trigger: &Trigger) -> Option<Self> {
        let tenant = &trigger.terms.tenant;
        let now = trigger.versions().map(|pipeline| Version { tenant: tenant.clone(), pipeline: pipeline.clone() });
        let new: Vec<Version> = now.filter(|version| !self.versions.contains(version)).collect();
        if new.is_empty() {
            return None;
        }
        let mut versions = [self.versions.as_slice(), &new].concat();
        versions.drain(..versions.len().saturating_sub(VERSIONS_MAX));
        Some(Self { versions, ..self.clone() })
    }

    /// Takes a turn; `None` if it is not due. Others then wait, unless whoever took it dies.
    pub fn begin(&self, now: StoreTime, every_ms: i64) -> Option<Self> {
        if self.due(every_ms).is_some_and(|due| due > now) {
            return None;
        }
        let pass = self.pass.clone().unwrap_or(Pass { began: now, cursor: None, failures: 0 });
        Some(Self { pass: Some(pass), turn: Some(now), ..self.clone() })
    }

    /// When the next turn may be taken; `None`: now.
    pub fn due(&self, every_ms: i64) -> Option<StoreTime> {
        self.turn.map(|turn| turn.after_ms(every_ms))
    }

    /// Where the next page of the pass under way begins.
    pub fn cursor(&self) -> Option<&str> {
        self.pass.as_ref()?.cursor.as_deref()
    }

    pub fn is_passing(&self) -> bool {
        self.pass.is_some()
    }

    /// After a page, all of whose sources have a job, or need none.
    pub fn turned(&self, next: Option<String>) -> Self {
        let Some(pass) = &self.pass else { return self.clone() };
        match next {
            Some(cursor) => {
                Self { pass: Some(Pass { cursor: Some(cursor), failures: 0, ..pass.clone() }), ..self.clone() }
            }
            None => Self { since: pass.began, pass: None, ..self.clone() },
        }
    }

    /// After a page that could not be had.
    pub fn stalled(&self) -> Self {
        let Some(pass) = &self.pass else { return self.clone() };
        let failures = pass.failures + 1;
        let pass = if failures < FAILURES_MAX {
            Pass { failures, ..pass.clone() }
        } else {
            Pass { cursor: None, failures: 0, ..pass.clone() }
        };
        Self { pass: Some(pass), ..self.clone() }
    }

    /// Whether something that appeared at this moment may not have been looked at yet.
    pub fn is_new(&self, appeared: WallTime, overlap_ms: i64) -> bool {
        appeared.0 >= self.first_seen.ms().max(self.since.ms().saturating_sub(overlap_ms))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use framefleet_model::event::{BucketName, Provider, UploadKind};
    use framefleet_model::pipeline::{Damaged, OnExisting, Range, Request, SegmentDuration};
    use framefleet_model::trigger::Place;
    use framefleet_model::trigger::pipeline::Pipeline;
    use framefleet_model::trigger::template::Template;

    use super::*;

    const HOUR: i64 = 3_600_000;

    fn trigger(pipeline: &str) -> Trigger {
        let request = Request {
            source: String::new(),
            outputs: Vec::new(),
            segments: SegmentDuration::Auto,
            damaged: Damaged::Fail,
            range: Range::default(),
            on_existing: OnExisting::Replace,
            steps: Vec::new(),
        };
        Trigger {
            name: "films".to_owned(),
            place: Place::Bucket { provider: Provider::S3, name: BucketName::new("films").unwrap() },
            prefix: "in/".to_owned(),
            suffix: ".mov".to_owned(),
            kinds: UploadKind::WHOLE.into(),
            quiet_ms: 0,
            pipeline: Arc::new(Pipeline::new(pipeline.parse().unwrap(), request).unwrap()),
            canary: None,
            terms: Default::default(),
            output: Template::of_folder("s3://made").unwrap(),
        }
    }

    fn at(hours: i64) -> StoreTime {
        StoreTime(hours * HOUR)
    }

    fn is_new(watch: &Watch, hours: i64) -> bool {
        watch.is_new(WallTime(hours * HOUR), 2 * HOUR)
    }

    #[test]
    fn the_first_sweep_looks_back_no_further_than_when_the_trigger_was_first_seen() {
        let watch = Watch::new(&trigger("web@1"), at(100)).begin(at(101), HOUR).unwrap();
        assert!(!is_new(&watch, 99) && is_new(&watch, 100) && is_new(&watch, 200));
        let watch = watch.turned(None);
        assert!(!is_new(&watch, 99), "nor does the overlap");
    }

    #[test]
    fn a_pass_goes_page_by_page_and_the_next_looks_at_what_came_since() {
        let watch = Watch::new(&trigger("web@1"), at(100));
        let watch = watch.begin(at(110), HOUR).unwrap();
        assert_eq!(watch.begin(at(110), HOUR), None, "somebody has it");
        let watch = watch.turned(Some("b".to_owned()));
        assert_eq!((watch.cursor(), watch.is_passing()), (Some("b"), true));
        assert!(is_new(&watch, 101), "the pass is not over");
        let watch = watch.begin(at(112), HOUR).unwrap();
        assert_eq!(watch.cursor(), Some("b"), "whoever comes next goes on");
        let watch = watch.turned(None);
        assert!(
            !watch.is_passing() && !is_new(&watch, 107) && is_new(&watch, 108),
            "since its beginning, less the overlap"
        );
    }

    #[test]
    fn a_list_that_cannot_be_gone_on_with_begins_anew() {
        let watch = Watch::new(&trigger("web@1"), at(100)).begin(at(100), HOUR).unwrap().turned(Some("b".to_owned()));
        let twice = watch.stalled().stalled();
        assert_eq!(twice.cursor(), Some("b"));
        assert_eq!((twice.stalled().cursor(), twice.stalled().is_passing()), (None, true));
        assert_eq!(twice.turned(Some("c".to_owned())).stalled().stalled().cursor(), Some("c"), "in a row");
    }

    #[test]
    fn versions_that_a_trigger_had_are_remembered() {
        let watch = Watch::new(&trigger("web@1"), at(1));
        assert_eq!(watch.with(&trigger("web@1")), None);
        let mut watch = watch.with(&trigger("web@2")).unwrap();
        let known: Vec<&str> = watch.versions.iter().map(|version| version.pipeline.as_str()).collect();
        assert_eq!(known, ["web@1", "web@2"]);
        for n in 3..100 {
            watch = watch.with(&trigger(&format!("web@{n}"))).unwrap();
        }
        assert_eq!((watch.versions.len(), watch.versions[31].pipeline.as_str()), (32, "web@99"));
    }
}
