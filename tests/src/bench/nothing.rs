//! Media work that is done at once: an encode is what its span says, all else as texts have it.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use framefleet_common::child::{Attempt, Media};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Digest;
use framefleet_model::ledger::{Produced, SegmentProof};
use framefleet_model::plan::{output_end, output_times};
use framefleet_model::task::{EncodeWork, Outcome, Work};
use framefleet_model::time::{MediaTime, Rational, Span};
use tokio::sync::Notify;

use crate::fleet::media::{Fate, TextMedia};

struct AtOnce;

#[async_trait]
impl Fate for AtOnce {
    async fn of(&self, _work: &Work) -> Result<(), Fault> {
        Ok(())
    }
}

pub struct Nothing {
    texts: TextMedia<AtOnce>,
    begun: Mutex<Begun>,
    index_begins: Notify,
}

/// What was begun, and when.
#[derive(Clone, Copy, Debug, Default)]
struct Begun {
    first_encode: Option<Instant>,
    indexes: usize,
    last_index: Option<Instant>,
}

impl Default for Nothing {
    fn default() -> Self {
        Self { texts: TextMedia::new(AtOnce), begun: Mutex::default(), index_begins: Notify::new() }
    }
}

impl Nothing {
    pub fn first_encode(&self) -> Option<Instant> {
        self.begun().first_encode
    }

    /// Indexes that were begun so far.
    pub fn indexes(&self) -> usize {
        self.begun().indexes
    }

    /// When the next index after so many began; waits for it.
    pub async fn index_after(&self, count: usize) -> Instant {
        loop {
            let begins = self.index_begins.notified();
            let begun = *self.begun();
            if let Some(at) = begun.last_index.filter(|_| begun.indexes > count) {
                return at;
            }
            begins.await;
        }
    }

    fn note(&self, work: &Work) {
        let now = Instant::now();
        let mut begun = self.begun();
        match work {
            Work::Index(_) => {
                begun.indexes += 1;
                begun.last_index = Some(now);
                self.index_begins.notify_one();
            }
            Work::Encode(_) => _ = begun.first_encode.get_or_insert(now),
            Work::Audio(_) | Work::Image(_) | Work::Merge(_) | Work::Probe(_) => {}
        }
    }

    fn begun(&self) -> std::sync::MutexGuard<'_, Begun> {
        // What is behind this lock is whole after every statement.
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Media for Nothing {
    async fn run(&self, work: Work, attempt: Attempt<'_>) -> Result<Outcome, Fault> {
        self.note(&work);
        match work {
            Work::Encode(work) => encode(&work, &attempt),
            Work::Index(_) | Work::Audio(_) | Work::Image(_) | Work::Merge(_) | Work::Probe(_) => {
                self.texts.run(work, attempt).await
            }
        }
    }
}

/// Texts have 25 pictures a second, every one on its tick.
fn encode(work: &EncodeWork, attempt: &Attempt<'_>) -> Result<Outcome, Fault> {
    let shown = pictures(work.segment.span);
    let proofs = work.renditions.iter().map(|rendition| {
        let line = rendition.line(work.origin);
        let times = output_times(&shown, work.segment.span, line);
        let text: String = times.iter().map(|t| format!("{} {}\n", rendition.number, t.ns())).collect();
        let name = format!("video-{}.seg", rendition.number);
        let written = std::fs::write(attempt.scratch.join(&name), &text);
        written.map_err(|e| Fault::new(FaultKind::ScratchFull, e.to_string()))?;
        let digest = Digest::of(text.as_bytes());
        Ok(SegmentProof {
            rendition: rendition.number,
            decoded: u32::try_from(shown.len()).unwrap_or(u32::MAX),
            pictures: u32::try_from(times.len()).unwrap_or(u32::MAX),
            first: times.first().copied().unwrap_or_default(),
            last: times.last().copied().unwrap_or_default(),
            end: output_end(work.segment.span, line),
            header: Digest::of(b"header"),
            content: digest.clone(),
            dts_need: MediaTime::ZERO,
            lost: vec![],
            build: String::new(),
            fingerprint: "text".into(),
            file: Produced { name, size: text.len() as u64, digest },
        })
    });
    Ok(Outcome::Encode(proofs.collect::<Result<_, Fault>>()?))
}

fn pictures(span: Span) -> Vec<MediaTime> {
    let rate = Rational::new(25, 1).expect("25 is positive");
    let first = rate.nearest(span.start);
    (first..).map(|n| rate.time_of(n)).take_while(|time| *time < span.end).filter(|time| span.contains(*time)).collect()
}
