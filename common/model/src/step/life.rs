//! The life of a step, as pure functions over its row.
//!
//! ```text
//! the job ends ─▶ Waiting ─ claim ─▶ Waiting, until a try has ended ─ answer ─▶ Done | Dead | Waiting, later or for more
//!                    ▲                       └─ nobody answers: whoever comes then tries again       │
//!                    └───────────────── again, when somebody asks for it ◀── Dead ◀──────────────────┘
//! ```
//! A try is counted when it begins: one that takes its process with it is a try as well.

use serde::{Deserialize, Serialize};

use crate::id::JobId;
use crate::step::Step;
use crate::time::StoreTime;

pub const STEP_VERSION: u32 = 1;
/// As many of the last tries are told of.
const TRIED_KEPT: usize = 8;
/// What is never a failure by itself is one in the end: for so long nobody's quota stays used up.
const AGE_MS_MAX: i64 = 14 * 24 * 3_600_000;
/// Nobody who is asked to come later may ask for more.
const NOT_BEFORE_MS_MAX: i64 = 25 * 3_600_000;
const WHY_CHARS_MAX: usize = 500;

/// A step of a job's generation that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRow {
    pub version: u32,
    pub job: JobId,
    pub generation: u32,
    /// Its place among the job's steps.
    pub number: u32,
    pub step: Step,
    /// The id of the event of the job's end: the same for every try.
    pub event: String,
    /// That event, as everybody is told of it; gone once the step is done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// URLs of files that it has to do with; gone once the step is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// How many of them are dealt with.
    #[serde(default)]
    pub files_done: u32,
    /// When the job ended, or the step was last asked for again.
    pub since: StoreTime,
    pub tries: u32,
    /// The last tries that came to nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Tried>,
    pub state: StepState,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    pub at: StoreTime,
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    Waiting {
        due: StoreTime,
    },
    Done {
        at: StoreTime,
    },
    /// Given up until somebody asks for it again.
    Dead {
        at: StoreTime,
    },
}

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// So many of its files are dealt with now, and more are left.
    More {
        files_done: u32,
    },
    /// It failed, and may not another time.
    Again {
        why: String,
        not_before_ms: Option<i64>,
    },
    /// Nothing failed, but it is not the time.
    NotYet {
        why: String,
        wait_ms: i64,
    },
    /// It will fail every time.
    Never {
        why: String,
    },
}

/// How often and how soon a step that failed is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    pub tries_max: u32,
    /// The longest wait after the first failure; it doubles with each.
    pub first_ms: i64,
    pub longest_ms: i64,
}

impl Patience {
    /// Sixteen tries within about fifteen hours.
    pub const USUAL: Self = Self { tries_max: 16, first_ms: 10_000, longest_ms: 6 * 3_600_000 };

    /// Full jitter: `draw` is any random number.
    fn wait_ms(self, failures: u32, draw: u32) -> i64 {
        let doublings = failures.saturating_sub(1).min(30);
        let most = self.first_ms.saturating_mul(1 << doublings).min(self.longest_ms);
        (most * i64::from(draw)) >> 32
    }
}

impl StepRow {
    /// When somebody has to look at it.
    pub fn due(&self) -> Option<StoreTime> {
        match self.state {
            StepState::Waiting { due } => Some(due),
            StepState::Done { .. } | StepState::Dead { .. } => None,
        }
    }

    /// A try begins, which others leave alone until then; where there have been enough, none does.
    pub fn claimed(&self, (now, until): (StoreTime, StoreTime), patience: Patience) -> Self {
        if self.tries >= patience.tries_max {
            return self.dead(now, "the last try never came to an end".to_owned());
        }
        let state = StepState::Waiting { due: until };
        Self { tries: self.tries.saturating_add(1), state, ..self.clone() }
    }

    pub fn answered(&self, answer: Answer, (now, draw): (StoreTime, u32), patience: Patience) -> Self {
        match answer {
            Answer::Done => self.done(now),
            Answer::More { files_done } => {
                Self { files_done, tries: 0, state: StepState::Waiting { due: now }, ..self.clone() }
            }
            Answer::Never { why } => self.dead(now, why),
            Answer::Again { why, .. } if self.tries >= patience.tries_max => self.dead(now, why),
            Answer::Again { why, not_before_ms } => {
                let least = not_before_ms.unwrap_or(0).clamp(0, NOT_BEFORE_MS_MAX);
                let wait = patience.wait_ms(self.tries, draw).max(least);
                self.failed(now, why).waiting(now.after_ms(wait))
            }
            Answer::NotYet { why, .. } if now.ms_since(self.since) > AGE_MS_MAX => self.dead(now, why),
            Answer::NotYet { why, wait_ms } => {
                let uncounted = Self { tries: self.tries.saturating_sub(1), ..self.failed(now, why) };
                uncounted.waiting(now.after_ms(wait_ms.clamp(0, NOT_BEFORE_MS_MAX)))
            }
        }
    }

    /// Asked for again by somebody who has mended what stood in its way.
    pub fn again(&self, now: StoreTime) -> Self {
        Self { since: now, tries: 0, ..self.waiting(now) }
    }

    /// What it had to say is needed no more.
    pub fn done(&self, now: StoreTime) -> Self {
        let (body, files) = (String::new(), Vec::new());
        Self { body, files, state: StepState::Done { at: now }, ..self.clone() }
    }

    fn waiting(&self, due: StoreTime) -> Self {
        Self { state: StepState::Waiting { due }, ..self.clone() }
    }

    fn dead(&self, now: StoreTime, why: String) -> Self {
        Self { state: StepState::Dead { at: now }, ..self.failed(now, why) }
    }

    fn failed(&self, at: StoreTime, why: String) -> Self {
        let why = why.chars().take(WHY_CHARS_MAX).collect();
        let mut tried = self.tried.clone();
        tried.push(Tried { at, why });
        let older = tried.len().saturating_sub(TRIED_KEPT);
        tried.drain(..older);
        Self { tried, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: StoreTime = StoreTime(1_000_000);
    const CLAIM: (StoreTime, StoreTime) = (NOW, StoreTime(1_020_000));
    const PATIENCE: Patience = Patience { tries_max: 3, first_ms: 1_000, longest_ms: 3_000 };

    fn row() -> StepRow {
        StepRow {
            version: STEP_VERSION,
            job: JobId::of_parts(&["film"]),
            generation: 1,
            number: 0,
            step: Step::CdnPrefetch { target: "films".into(), files_max: 10 },
            event: "e".into(),
            body: "{}".into(),
            files: vec!["s3://made/a.mp4".into()],
            files_done: 0,
            since: NOW,
            tries: 0,
            tried: Vec::new(),
            state: StepState::Waiting { due: NOW },
        }
    }

    fn again(why: &str) -> Answer {
        Answer::Again { why: why.into(), not_before_ms: None }
    }

    #[test]
    fn a_step_is_dead_after_its_last_try_and_lives_again_when_asked_for() {
        let mut row = row();
        for (failures, longest) in [(1, 1_000), (2, 2_000)] {
            row = row.claimed(CLAIM, PATIENCE);
            assert_eq!((row.tries, row.due()), (failures, Some(CLAIM.1)));
            row = row.answered(again("no"), (NOW, u32::MAX), PATIENCE);
            assert_eq!(row.due(), Some(NOW.after_ms(longest - 1)));
        }
        row = row.claimed(CLAIM, PATIENCE).answered(again("still no"), (NOW, 0), PATIENCE);
        assert_eq!(row.state, StepState::Dead { at: NOW });
        assert_eq!(row.tried.iter().map(|tried| tried.why.as_str()).collect::<Vec<_>>(), ["no", "no", "still no"]);
        assert_eq!(row.body, "{}", "it may be asked for again");
        let row = row.again(NOW);
        assert_eq!((row.tries, row.due(), row.tried.len()), (0, Some(NOW), 3));
    }

    #[test]
    fn tries_that_took_their_process_with_them_are_counted() {
        let mut row = row();
        for _ in 0..3 {
            row = row.claimed(CLAIM, PATIENCE);
        }
        assert!(matches!(row.state, StepState::Waiting { .. }));
        assert_eq!(row.claimed(CLAIM, PATIENCE).state, StepState::Dead { at: NOW });
    }

    #[test]
    fn who_asks_to_come_later_is_heeded_within_bounds() {
        let later = |ms| {
            let answer = Answer::Again { why: "busy".into(), not_before_ms: Some(ms) };
            row().claimed(CLAIM, PATIENCE).answered(answer, (NOW, 0), PATIENCE).due().unwrap().ms_since(NOW)
        };
        assert_eq!([later(-5), later(5_000), later(i64::MAX)], [0, 5_000, NOT_BEFORE_MS_MAX]);
    }

    #[test]
    fn a_quota_that_is_used_up_is_no_failure_for_a_fortnight() {
        let answer = || Answer::NotYet { why: "quota".into(), wait_ms: 3_600_000 };
        let mut row = row();
        for _ in 0..50 {
            row = row.claimed(CLAIM, PATIENCE).answered(answer(), (NOW, 0), PATIENCE);
        }
        assert_eq!((row.tries, row.due(), row.tried.len()), (0, Some(NOW.after_ms(3_600_000)), TRIED_KEPT));
        let late = NOW.after_ms(AGE_MS_MAX + 1);
        assert!(matches!(row.answered(answer(), (late, 0), PATIENCE).state, StepState::Dead { .. }));
    }

    #[test]
    fn files_are_dealt_with_part_by_part_and_forgotten_at_the_end() {
        let more = row().claimed(CLAIM, PATIENCE).answered(Answer::More { files_done: 1 }, (NOW, 7), PATIENCE);
        assert_eq!((more.files_done, more.tries, more.due()), (1, 0, Some(NOW)));
        let done = more.claimed(CLAIM, PATIENCE).answered(Answer::Done, (NOW, 7), PATIENCE);
        assert_eq!((done.state, done.body.as_str(), done.files.len()), (StepState::Done { at: NOW }, "", 0));
        let gone = row().claimed(CLAIM, PATIENCE).answered(Answer::Never { why: "gone".into() }, (NOW, 7), PATIENCE);
        assert_eq!(gone.state, StepState::Dead { at: NOW });
    }
}
