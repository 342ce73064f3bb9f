//! The index pass: the whole film demuxed once, without seeking, all streams listened to.
//!
//! GStreamer's time line shifts after a seek, so only a pass without one tells the film's own time.

use std::sync::{Arc, Mutex, PoisonError};

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::time::MediaTime;
use gst::prelude::*;

use crate::demux::{Demux, has, pad_caps, sink_into_nothing};
use crate::pipe;
use crate::read_at::ReadAt;
use crate::tap::{Kind, Tap};

/// Every elementary stream of the film, in the order in which the demuxer showed them.
pub(crate) struct Passed {
    pub(crate) taps: Vec<Tap>,
    /// The container by its media type.
    pub(crate) container: String,
    /// Media types that no plugin of ours takes.
    pub(crate) missing: Vec<String>,
    /// What the demuxer ended with, after it had shown streams: a damaged film.
    pub(crate) trouble: Option<Fault>,
    /// As the demuxer tells it.
    pub(crate) length: Option<MediaTime>,
}

#[derive(Default)]
struct Shown {
    taps: Vec<Tap>,
    encrypted: Option<String>,
    refused: Option<Fault>,
}

/// A demuxer that gives more than this is going round in circles.
const UNIT_BYTES_PER_BYTE: u64 = 4;
const UNIT_BYTES_SLACK: u64 = 64 << 20;

/// How far a pass goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    End,
    /// Until so many tracks of pictures and sound have shown their first units.
    Heads(usize),
    /// Until every track has shown what it is, or so much has been heard that the others are not waited for.
    Glance,
}

/// Units of all tracks that a glance hears at most, beyond the last one.
const GLANCE_BYTES_MAX: u64 = 1 << 20;

/// ```text
/// {fleetsrc} ! {parsebin} ─ each pad ─▶ tap ! {fakesink}
/// ```
pub(crate) fn run(
    film: Arc<dyn ReadAt>,
    (tracks_max, until): (u32, Until),
    mut step: impl FnMut(u64),
) -> Result<Passed, Fault> {
    let shown = Arc::new(Mutex::new(Shown::default()));
    let listener = shown.clone();
    let bytes_max = film.size().saturating_mul(UNIT_BYTES_PER_BYTE).saturating_add(UNIT_BYTES_SLACK);
    let demux = Demux::open(film, move |pipeline, pad| {
        show(&listener, (pipeline, pad), tracks_max);
        match until {
            Until::End => {}
            Until::Heads(tracks) => stop_when(&listener, (pipeline, pad), move |taps| heads_are_whole(taps, tracks)),
            Until::Glance => {
                let grown = grown(pipeline);
                stop_when(&listener, (pipeline, pad), move |taps| all_are_seen(taps, grown));
            }
        }
    })?;
    demux.pipe.play()?;
    let source = demux.source.clone();
    let ended = demux.pipe.wait_end(|| {
        step(source.bytes_read());
        if refuse_loops(&shown, bytes_max) {
            pipe::stop_waiting(demux.pipe.element());
        }
    });
    let container = container_of(&demux);
    let length = demux.pipe.element().query_duration::<gst::ClockTime>();
    let length = length.and_then(|length| i64::try_from(length.nseconds()).ok()).map(MediaTime);
    let missing = demux.pipe.missing_plugins();
    drop(demux);
    let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(fault) = shown.refused.take() {
        return Err(fault);
    }
    if let Some(what) = shown.encrypted.take() {
        return Err(Fault::new(FaultKind::Encrypted, format!("the film is encrypted ({what})")));
    }
    let taps = std::mem::take(&mut shown.taps);
    taps.iter().for_each(|tap| tap.heard().settle_times());
    let heard_any = taps.iter().any(|tap| tap.heard().count > 0);
    match ended {
        Err(fault) if !heard_any => Err(unreadable(fault, &missing)),
        Err(fault) if fault.kind == FaultKind::SourceUnreadable => Err(fault),
        Err(fault) => Ok(Passed { taps, container, missing, trouble: Some(fault), length }),
        Ok(()) => Ok(Passed { taps, container, missing, trouble: None, length }),
    }
}

fn show(shown: &Mutex<Shown>, (pipeline, pad): (&gst::Pipeline, &gst::Pad), tracks_max: u32) {
    let caps = pad_caps(pad);
    let name = caps.structure(0).map_or_else(String::new, |s| s.name().to_string());
    let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
    if name == "application/x-cenc" || name == "application/x-webm-enc" {
        shown.encrypted = Some(name);
    }
    if shown.taps.len() >= tracks_max as usize {
        let message = format!("the film has more than {tracks_max} tracks, which is the bound");
        shown.refused = Some(Fault::new(FaultKind::Limits, message));
        return;
    }
    shown.taps.push(Tap::on(pipeline, pad));
    drop(shown);
    // A pad that cannot be linked stays unlinked: its demuxer goes on with the others.
    let _ = sink_into_nothing(pipeline, pad);
}

/// Whether the demuxer has given more than the film can hold, which is then refused.
fn refuse_loops(shown: &Mutex<Shown>, bytes_max: u64) -> bool {
    let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
    let bytes: u64 = shown.taps.iter().map(|tap| tap.heard().bytes).sum();
    if bytes > bytes_max {
        let message = format!("the source's units are {bytes} bytes and more; its size allows {bytes_max}");
        shown.refused = Some(Fault::new(FaultKind::Limits, message));
    }
    bytes > bytes_max
}

fn heads_are_whole(taps: &[Tap], tracks: usize) -> bool {
    let heads: Vec<bool> = taps.iter().filter_map(|tap| tap.heard().head_is_whole()).collect();
    heads.len() >= tracks && !heads.contains(&false)
}

/// Whether a film's demuxer shows all tracks before it gives any unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grown {
    Yes,
    No,
}

fn grown(pipeline: &gst::Pipeline) -> Grown {
    let growing = ["flvdemux", "mpegpsdemux", "tsdemux"].iter().any(|factory| has(pipeline, factory));
    if growing { Grown::No } else { Grown::Yes }
}

fn all_are_seen(taps: &[Tap], grown: Grown) -> bool {
    let there = |kind| taps.iter().any(|tap| tap.heard().kind == kind);
    let enough = match grown {
        Grown::Yes => there(Kind::Video) || there(Kind::Audio),
        Grown::No => there(Kind::Video) && there(Kind::Audio),
    };
    (enough && taps.iter().all(|tap| tap.heard().is_seen()))
        || taps.iter().map(|tap| tap.heard().bytes).sum::<u64>() >= GLANCE_BYTES_MAX
}

/// Ends the pass once enough is there: the pad then takes nothing more, and the main thread is told.
fn stop_when(
    shown: &Arc<Mutex<Shown>>,
    (pipeline, pad): (&gst::Pipeline, &gst::Pad),
    enough: impl Fn(&[Tap]) -> bool + Send + Sync + 'static,
) {
    let (shown, pipeline) = (shown.clone(), pipeline.downgrade());
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        if !enough(&shown.taps) {
            return gst::PadProbeReturn::Ok;
        }
        if let Some(pipeline) = pipeline.upgrade() {
            pipe::stop_waiting(&pipeline);
        }
        info.data = None;
        info.flow_res = Err(gst::FlowError::Eos);
        gst::PadProbeReturn::Handled
    });
}

/// What typefind found, as the demuxer's input caps.
fn container_of(demux: &Demux) -> String {
    let elements = demux.pipe.element().iterate_recurse().into_iter().flatten();
    let mut typefinds = elements.filter(|e| e.factory().is_some_and(|f| f.name() == "typefind"));
    let caps = typefinds.find_map(|e| e.property::<Option<gst::Caps>>("caps"));
    caps.and_then(|c| c.structure(0).map(|s| s.name().to_string())).unwrap_or_else(|| "unknown".to_owned())
}

/// Nothing was heard: an unknown format and a broken film are different answers.
fn unreadable(fault: Fault, missing: &[String]) -> Fault {
    let kind = match fault.kind {
        FaultKind::SourceUnreadable | FaultKind::Encrypted | FaultKind::PluginMissing => fault.kind,
        _ if !missing.is_empty() => FaultKind::Unsupported,
        FaultKind::Unsupported => FaultKind::Unsupported,
        _ => FaultKind::Corrupt,
    };
    let message = match (kind, missing.is_empty()) {
        (FaultKind::SourceUnreadable, _) => fault.message.clone(),
        (_, false) => format!("the source is {}, which framefleet does not read", missing.join(", ")),
        (FaultKind::Unsupported, true) => "the source is of no format that framefleet reads".to_owned(),
        (_, true) => format!("nothing in the source can be demuxed: {}", fault.message),
    };
    Fault { kind, message, evidence: fault.evidence }
}
