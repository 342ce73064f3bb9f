//! Traces by W3C Trace Context: whose story a span is part of, and under which span it stands.
//!
//! ```text
//! whoever asked ─▶ event ─▶ job ─┬─▶ check, plan, compare, prove, publish, close
//!                                ├─▶ hint ┄┄link┄┄▶ attempt          (index, encode, audio, image, merge)
//!                                └─▶ send                            (what the world is told)
//! ```
//! Ids are hashes of what they name: whoever knows a job's row knows the id of its span, without asking whoever will end
//! it, and a thing that is done twice is the same span twice.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::id::JobId;

/// Of the version of `traceparent` that is written; any later one begins alike.
const VERSION: &str = "00";
const WHOLE: u32 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpanId([u8; 8]);

/// A span, as others are told of it: `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceContext {
    pub trace: TraceId,
    pub span: SpanId,
    pub sampling: Sampling,
}

/// Whether anybody is told of a trace's spans: decided once, where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sampling {
    Kept,
    Left,
}

/// The share of traces that are kept, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u32);

/// A job's place in a trace, kept in its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTrace {
    /// The job's own span, which all that is done for it stands under.
    pub traceparent: TraceContext,
    /// What it stands under itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SpanId>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    #[error("{0:?} is no traceparent, such as 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    Context(String),
    #[error("{0:?} is no span id: 16 hexadecimal digits, not all of them 0")]
    Span(String),
    #[error("{0} millionths are no share, {WHOLE} at most")]
    Share(u32),
}

impl Share {
    pub const ALL: Self = Self(WHOLE);

    pub fn of_millionths(millionths: u32) -> Result<Self, TraceError> {
        if millionths <= WHOLE { Ok(Self(millionths)) } else { Err(TraceError::Share(millionths)) }
    }

    /// The same for a trace everywhere: ids are spread evenly.
    pub fn of(self, trace: TraceId) -> Sampling {
        let [.., a, b, c, d, e, f, g, h] = trace.0;
        let place = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
        let kept = u128::from(place) * u128::from(WHOLE) < u128::from(self.0) << 63;
        if kept { Sampling::Kept } else { Sampling::Left }
    }
}

impl TraceId {
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// The trace of a job that nobody's trace leads to: each generation has its own.
    pub fn of_job(job: &JobId, generation: u32) -> Self {
        let hash = hash(&["trace", job.as_str(), &generation.to_string()]);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        Self(bytes)
    }
}

impl SpanId {
    pub fn bytes(self) -> [u8; 8] {
        self.0
    }
}

impl TraceContext {
    /// The span of the same trace that is named by these words.
    pub fn span(&self, words: &[&str]) -> Self {
        let trace = self.trace.to_string();
        Self { span: span_of(&[&[trace.as_str()], words].concat()), ..*self }
    }

    pub fn is_kept(&self) -> bool {
        self.sampling == Sampling::Kept
    }
}

impl JobTrace {
    /// A job that was asked for by whoever is at this span.
    pub fn under(caller: TraceContext, (job, generation): (&JobId, u32)) -> Self {
        let traceparent = caller.span(&["job", job.as_str(), &generation.to_string()]);
        Self { traceparent, parent: Some(caller.span) }
    }

    /// A job that begins a trace.
    pub fn begun((job, generation): (&JobId, u32), share: Share) -> Self {
        let trace = TraceId::of_job(job, generation);
        let number = generation.to_string();
        let span = span_of(&[&trace.to_string(), "job", job.as_str(), &number]);
        Self { traceparent: TraceContext { trace, span, sampling: share.of(trace) }, parent: None }
    }
}

fn hash(words: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for word in words {
        hash.update((word.len() as u64).to_le_bytes());
        hash.update(word);
    }
    hash.finalize().into()
}

fn span_of(words: &[&str]) -> SpanId {
    let hash = hash(words);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash[..8]);
    SpanId(bytes)
}

fn hex<const LEN: usize>(text: &str) -> Option<[u8; LEN]> {
    let fits = text.len() == LEN * 2 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let mut bytes = [0; LEN];
    for (at, byte) in bytes.iter_mut().enumerate().filter(|_| fits) {
        *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()?;
    }
    // All zeros are no id.
    (fits && bytes != [0; LEN]).then_some(bytes)
}

fn shown(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown(&self.0, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown(&self.0, f)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = match self.sampling {
            Sampling::Kept => "01",
            Sampling::Left => "00",
        };
        write!(f, "{VERSION}-{}-{}-{flags}", self.trace, self.span)
    }
}

impl FromStr for TraceContext {
    type Err = TraceError;

    fn from_str(text: &str) -> Result<Self, TraceError> {
        let parsed = || {
            let mut parts = text.split('-');
            let [version] = hex_any::<1>(parts.next()?)?;
            let (trace, span) = (TraceId(hex(parts.next()?)?), SpanId(hex(parts.next()?)?));
            let [flags] = hex_any::<1>(parts.next()?)?;
            // What is behind the flags is for a later version to say; in this one nothing is.
            let fits = version != 0xff && (version != 0 || parts.next().is_none());
            let sampling = if flags & 1 == 1 { Sampling::Kept } else { Sampling::Left };
            fits.then_some(Self { trace, span, sampling })
        };
        parsed().ok_or_else(|| TraceError::Context(text.chars().take(80).collect()))
    }
}

/// Zeros are as good as any.
fn hex_any<const LEN: usize>(text: &str) -> Option<[u8; LEN]> {
    if text == "0".repeat(LEN * 2) { Some([0; LEN]) } else { hex(text) }
}

impl FromStr for SpanId {
    type Err = TraceError;
    fn from_str(text: &str) -> Result<Self, TraceError> {
        hex(text).map(Self).ok_or_else(|| TraceError::Span(text.to_owned()))
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = TraceError;
            fn try_from(text: String) -> Result<Self, TraceError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(it: $name) -> String {
                it.to_string()
            }
        }
    };
}
as_text!(SpanId);
as_text!(TraceContext);

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_reads_back_and_what_is_none_is_refused() {
        let context: TraceContext = SAMPLE.parse().unwrap();
        assert_eq!((context.to_string().as_str(), context.is_kept()), (SAMPLE, true));
        let left: TraceContext = SAMPLE.replace("-01", "-00").parse().unwrap();
        assert!(!left.is_kept());
        let later = SAMPLE.replacen("00", "cc", 1) + "-what-comes";
        assert_eq!(later.parse::<TraceContext>().unwrap(), context);
        let zeros = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        for bad in [zeros, "", "00", &SAMPLE.replacen("00", "ff", 1), &SAMPLE.to_uppercase(), &format!("{SAMPLE}-00")] {
            assert!(bad.parse::<TraceContext>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_share_of_traces_is_kept_and_always_the_same_ones() {
        let traces: Vec<TraceId> = (1..=1000).map(|n| TraceId::of_job(&JobId::of_parts(&["film"]), n)).collect();
        let kept = |share: Share| traces.iter().filter(|trace| share.of(**trace) == Sampling::Kept).count();
        let share = |millionths| Share::of_millionths(millionths).unwrap();
        assert_eq!((kept(Share::ALL), kept(share(0))), (1000, 0));
        assert!((200..300).contains(&kept(share(250_000))), "{}", kept(share(250_000)));
        let (few, more) = (share(100_000), share(300_000));
        assert!(traces.iter().all(|t| few.of(*t) == Sampling::Left || more.of(*t) == Sampling::Kept));
        assert!(Share::of_millionths(1_000_001).is_err());
    }

    #[test]
    fn a_job_stands_under_whoever_asked_for_it_and_begins_a_trace_of_its_own_otherwise() {
        let (job, caller) = (JobId::of_parts(&["film"]), SAMPLE.parse::<TraceContext>().unwrap());
        let under = JobTrace::under(caller, (&job, 1));
        assert_eq!((under.traceparent.trace, under.parent), (caller.trace, Some(caller.span)));
        let [first, second] = [1, 2].map(|generation| JobTrace::begun((&job, generation), Share::ALL));
        assert_ne!(first.traceparent.trace, second.traceparent.trace);
        assert_eq!(first.traceparent.span(&["a"]), first.traceparent.span(&["a"]));
        assert_ne!(first.traceparent.span(&["a", "b"]).span, first.traceparent.span(&["ab"]).span);
        let json = serde_json::to_string(&under).unwrap();
        assert_eq!(serde_json::from_str::<JobTrace>(&json).unwrap(), under);
    }
}
