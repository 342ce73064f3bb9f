//! Steps: what happens once a job has ended. They name targets that a fleet's configuration describes: no job can name
//! a URL, a database or a secret of its own. What becomes of a step changes nothing of its job.

/// The life of a step as pure functions over its row.
pub mod life;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::job::JobState;

/// More would be told of one job than anybody can look through.
pub const STEPS_MAX: usize = 16;
/// What an account of Alibaba's CDN may ask for on a day, unless it was given more.
pub const FILES_MAX: u32 = 1000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The event of the job's end is posted to somebody.
    Webhook { target: String, events: BTreeSet<Ending> },
    /// A row of a database tells of the job.
    Sql { target: String, events: BTreeSet<Ending> },
    /// A CDN is asked to fetch files of the outputs, those that lead to others first.
    CdnPrefetch { target: String, files_max: u32 },
}

/// How jobs end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    Completed,
    Failed,
    Cancelled,
}

impl Ending {
    pub const ALL: [Self; 3] = [Self::Completed, Self::Failed, Self::Cancelled];

    /// `None`: the job has not ended.
    pub fn of(state: &JobState) -> Option<Self> {
        match state {
            JobState::Completed(_) => Some(Self::Completed),
            JobState::Failed(_) => Some(Self::Failed),
            JobState::Cancelled(_) => Some(Self::Cancelled),
            JobState::Accepted
            | JobState::Indexing(_)
            | JobState::Encoding(_)
            | JobState::Merging(_)
            | JobState::Publishing(_) => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Step {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Sql { .. } => "sql",
            Self::CdnPrefetch { .. } => "cdn_prefetch",
        }
    }

    /// What the configuration calls whom it speaks to.
    pub fn target(&self) -> &str {
        match self {
            Self::Webhook { target, .. } | Self::Sql { target, .. } | Self::CdnPrefetch { target, .. } => target,
        }
    }

    pub fn is_for(&self, ending: Ending) -> bool {
        match self {
            Self::Webhook { events, .. } | Self::Sql { events, .. } => events.contains(&ending),
            Self::CdnPrefetch { .. } => ending == Ending::Completed,
        }
    }

    /// How many of the outputs' files it has to do with.
    pub fn files_max(&self) -> u32 {
        match self {
            Self::Webhook { .. } | Self::Sql { .. } => 0,
            Self::CdnPrefetch { files_max, .. } => *files_max,
        }
    }
}

/// `webhook studio`
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.target())
    }
}
