//! Which triggers may stand beside one another: no object may be two triggers', and no output may ever be a source again.
//!
//! Names are compared by what they must begin and end with. Whatever cannot be ruled out by that is refused, because a
//! loop costs more than a name.

use crate::percent;
use crate::pipeline::OutputRequest;
use crate::trigger::Trigger;
use crate::trigger::pipeline::Pipeline;
use crate::trigger::template::Template;

/// Two rules that contradict each other, both by name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    #[error("there are two triggers {0}")]
    Name(String),
    #[error("triggers {0} and {1} overlap: both would take {2}")]
    Overlap(String, String, String),
    #[error(
        "output {output} of pipeline {pipeline}, made by trigger {maker}, may be a source of trigger {taker}, which takes \
         {takes}: that would be a loop"
    )]
    Loop { output: String, pipeline: String, maker: String, taker: String, takes: String },
    #[error("trigger {0} has neither prefix nor suffix: every output of any job in its bucket would be a source")]
    Boundless(String),
    #[error("trigger {0} takes {1}, with which the work store {2} overlaps")]
    Work(String, String, String),
}

/// `work` is the URL of the work store.
pub fn check(triggers: &[Trigger], work: &str) -> Result<(), Conflict> {
    for (at, trigger) in triggers.iter().enumerate() {
        triggers[..at].iter().try_for_each(|other| apart(other, trigger))?;
        bounded(trigger, work)?;
    }
    let pairs = triggers.iter().flat_map(|maker| triggers.iter().map(move |taker| (maker, taker)));
    for (maker, taker) in pairs {
        let canary = maker.canary.as_ref().map(|canary| &canary.pipeline);
        for pipeline in [&maker.pipeline].into_iter().chain(canary) {
            no_loop(maker, pipeline, taker)?;
        }
    }
    Ok(())
}

fn apart(one: &Trigger, other: &Trigger) -> Result<(), Conflict> {
    if one.name == other.name {
        return Err(Conflict::Name(one.name.clone()));
    }
    let (a, b) = (Span::of(one), Span::of(other));
    // Events know names, whatever places they are of.
    let same_name = one.place.called().is_some() && one.place.called() == other.place.called();
    let starts = match same_name {
        true => one.prefix.starts_with(&other.prefix) || other.prefix.starts_with(&one.prefix),
        false => a.start.starts_with(&b.start) || b.start.starts_with(&a.start),
    };
    let ends = a.end.ends_with(&b.end) || b.end.ends_with(&a.end);
    if !starts || !ends {
        return Ok(());
    }
    let longest = |a: &str, b: &str| if a.len() < b.len() { b.to_owned() } else { a.to_owned() };
    let both = [longest(&a.start, &b.start), "*".to_owned(), longest(&a.end, &b.end)].concat();
    Err(Conflict::Overlap(one.name.clone(), other.name.clone(), both))
}

/// An empty suffix needs a prefix that no output can have; a folder is one. Outputs of other jobs may lie anywhere in a
/// bucket, work objects where they are.
fn bounded(trigger: &Trigger, work: &str) -> Result<(), Conflict> {
    if !trigger.suffix.is_empty() {
        return Ok(());
    }
    if trigger.prefix.is_empty() && !trigger.place.is_folder() {
        return Err(Conflict::Boundless(trigger.name.clone()));
    }
    let (span, work) = (Span::of(trigger), [work.trim_end_matches('/'), "/"].concat());
    if span.start.starts_with(&work) || work.starts_with(&span.start) {
        return Err(Conflict::Work(trigger.name.clone(), span.shown(), work));
    }
    Ok(())
}

fn no_loop(maker: &Trigger, pipeline: &Pipeline, taker: &Trigger) -> Result<(), Conflict> {
    let span = Span::of(taker);
    for (name, output) in pipeline.outputs() {
        let name = maker.output.below(name);
        if may_be_taken(&name, output, &span) {
            return Err(Conflict::Loop {
                output: name.to_string(),
                pipeline: pipeline.id().to_string(),
                maker: maker.name.clone(),
                taker: taker.name.clone(),
                takes: span.shown(),
            });
        }
    }
    Ok(())
}

/// Whether a source can be called so that what is made of it is taken.
fn may_be_taken(name: &Template, output: &OutputRequest, span: &Span) -> bool {
    // Beside a playlist, a sheet or a numbered picture lie others, of other names.
    let is_one = output.package.is_none() && output.images.is_none();
    let (head, tail) = (name.head(), name.tail());
    if is_one && name.is_fixed() {
        return span.takes(head);
    }
    let folder = head.rsplit_once('/').map_or("", |(folder, _)| folder);
    let head = if is_one { head } else { folder };
    let starts = head.starts_with(&span.start) || span.start.starts_with(head);
    let ends = !is_one || tail.ends_with(&span.end) || span.end.ends_with(tail);
    starts && ends
}

/// What URLs of a trigger's sources begin and end with.
struct Span {
    start: String,
    end: String,
}

impl Span {
    fn of(trigger: &Trigger) -> Self {
        let encoded = |text: &str| percent::encode(text.as_bytes());
        let start = [trigger.place.url(), encoded(&trigger.prefix)].concat();
        Self { start, end: encoded(&trigger.suffix) }
    }

    fn takes(&self, url: &str) -> bool {
        url.strip_prefix(&self.start).is_some_and(|rest| rest.ends_with(&self.end))
    }

    fn shown(&self) -> String {
        [self.start.as_str(), "*", &self.end].concat()
    }
}
