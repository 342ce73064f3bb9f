//! A plan as people and programs are shown it: cuts and why, segments, tasks, renditions, outputs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use framefleet_coordinator::flow::PlannedTask;
use framefleet_model::index::Index;
use framefleet_model::media::{AudioFormat, Geometry};
use framefleet_model::pipeline::{Coding, RateControl};
use framefleet_model::plan::{AudioRendition, Cut, CutReason, Decode, OutputPlan, Plan, Segment, VideoRendition};
use framefleet_model::shots::ImagePlan;
use framefleet_model::sound::{Downmix, Loudness};
use framefleet_model::time::{MediaTime, Rational};
use serde::Serialize;

use crate::render::{Table, or_dash};

#[derive(Serialize)]
pub struct Planned {
    /// Of the plan itself: equal plans have equal digests.
    digest: String,
    source: String,
    film: Film,
    segments: Vec<Row>,
    /// Why the film is one segment, where it could not be cut.
    uncut: Option<String>,
    renditions: Vec<Rendition>,
    outputs: Vec<Output>,
    tasks: Vec<Task>,
}

#[derive(Serialize)]
struct Film {
    container: String,
    video: Option<String>,
    size: Option<Geometry>,
    rate: Option<String>,
    pictures: usize,
    sounds: Vec<Sound>,
    /// The part that is wanted.
    #[serde(rename = "duration_ns")]
    duration: MediaTime,
    ignored: Vec<String>,
}

/// A sound track of the film.
#[derive(Serialize)]
struct Sound {
    number: u32,
    codec: String,
    language: Option<String>,
    title: Option<String>,
    #[serde(flatten)]
    format: AudioFormat,
}

#[derive(Serialize)]
struct Row {
    number: u32,
    /// On the output's time line.
    #[serde(rename = "start_ns")]
    start: MediaTime,
    #[serde(rename = "end_ns")]
    end: MediaTime,
    /// Why it begins there.
    cut: &'static str,
    /// Pictures that are decoded only to reach its first one.
    preroll: u32,
    /// `None`: only decoding tells.
    pictures: Option<u32>,
    decode: &'static str,
}

#[derive(Serialize)]
struct Rendition {
    kind: &'static str,
    number: u32,
    settings: String,
}

#[derive(Serialize)]
struct Output {
    number: u32,
    to: String,
    container: &'static str,
    /// Numbers of the source's sound tracks that it has, in its order.
    sounds: Vec<u32>,
    /// What the container makes of the settings.
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Task {
    id: String,
    class: String,
}

impl Planned {
    pub fn of(index: &Index, plan: &Plan, tasks: &[PlannedTask]) -> Self {
        let rows = plan.segments.iter().zip(&plan.cuts).map(|(segment, cut)| row(segment, cut, plan.origin));
        let video = plan.video.iter().map(video);
        let name = |output: &OutputPlan| {
            let images = plan.images.iter().find(|images| images.output == output.number);
            images.map_or(output.container.name(), ImagePlan::name)
        };
        let outputs = plan.outputs.iter().map(|output| Output {
            number: output.number,
            to: output.to.clone(),
            container: name(output),
            sounds: sounds(output, plan),
            notes: output.notes.clone(),
        });
        let task = |task: &PlannedTask| Task { id: task.id.to_string(), class: task.class.clone() };
        Self {
            digest: plan.digest().to_string(),
            source: plan.source.url.clone(),
            film: film(index, plan),
            segments: rows.collect(),
            uncut: plan.uncut.clone(),
            renditions: video.chain(plan.audio.iter().map(audio)).chain(plan.images.iter().map(images)).collect(),
            outputs: outputs.collect(),
            tasks: tasks.iter().map(task).collect(),
        }
    }
}

fn sounds(output: &OutputPlan, plan: &Plan) -> Vec<u32> {
    let rendition = |number: &u32| plan.audio.iter().find(|rendition| rendition.number == *number);
    output.audio.iter().filter_map(|number| rendition(number).map(|rendition| rendition.track)).collect()
}

fn film(index: &Index, plan: &Plan) -> Film {
    let header = &index.header;
    let video = header.video.as_ref();
    let sounds = header.audio.iter().map(|track| Sound {
        number: track.number,
        codec: track.codec.clone(),
        language: track.language.clone(),
        title: track.title.clone(),
        format: track.format,
    });
    Film {
        container: header.container.clone(),
        video: video.map(|track| track.codec.clone()),
        size: video.map(|track| track.format.geometry),
        rate: video.and_then(|track| track.format.rate).map(|rate| rate.to_string()),
        pictures: index.units.iter().filter(|unit| unit.shows > 0).count(),
        sounds: sounds.collect(),
        duration: plan.span.len(),
        ignored: header.ignored.clone(),
    }
}

fn row(segment: &Segment, cut: &Cut, origin: MediaTime) -> Row {
    let (cut, preroll) = match cut.reason {
        CutReason::Start => ("start", 0),
        CutReason::KeyPicture => ("key picture", 0),
        CutReason::InsideGop { preroll } => ("inside gop", preroll),
        CutReason::Package { preroll } => ("package", preroll),
        CutReason::End => ("end", 0),
    };
    let decode = match segment.decode {
        Decode::Slice { .. } => "slice",
        Decode::Whole => "whole",
    };
    let (start, end) = (segment.span.start - origin, segment.span.end - origin);
    Row { number: segment.number, start, end, cut, preroll, pictures: segment.pictures, decode }
}

fn video(rendition: &VideoRendition) -> Rendition {
    let (settings, format) = (&rendition.settings, &rendition.format);
    let rate = match settings.rate {
        RateControl::Crf(crf) => match settings.max_bitrate {
            Some(most) => format!("crf {crf} up to {most} bit/s"),
            None => format!("crf {crf}"),
        },
        RateControl::Bitrate(bits) => match settings.max_bitrate {
            Some(most) => format!("{bits} bit/s up to {most}"),
            None => format!("{bits} bit/s"),
        },
    };
    let times = format.grid.map_or("every picture at its own time".to_owned(), |grid: Rational| format!("{grid} fps"));
    let (codec, preset, size) = (settings.codec.name(), settings.preset.name(), format.geometry);
    let settings = match settings.coding {
        Coding::Encode => format!("{codec} {preset} {rate} {size}, {times}"),
        Coding::Copy => format!("{codec} {size}, copied"),
    };
    Rendition { kind: "video", number: rendition.number, settings }
}

fn audio(rendition: &AudioRendition) -> Rendition {
    let (settings, format) = (&rendition.settings, rendition.format);
    let (codec, bits) = (settings.codec.name(), settings.bitrate);
    let bits = match settings.coding {
        Coding::Encode => format!("{bits} bit/s"),
        Coding::Copy => "copied,".to_owned(),
    };
    let mut text = format!("{codec} {bits} {} Hz, {} channels", format.rate, format.channels);
    if rendition.track != 1 {
        text.push_str(&format!(", of track {}", rendition.track));
    }
    let treatment = &settings.treatment;
    if treatment.downmix != Downmix::default() {
        text.push_str(&format!(", downmix {}", treatment.downmix.name()));
    }
    if treatment.denoise {
        text.push_str(", denoised");
    }
    if let Some(Loudness { integrated, true_peak }) = treatment.loudness {
        text.push_str(&format!(", {integrated} LUFS, peaks up to {true_peak} dBTP"));
    }
    Rendition { kind: "audio", number: rendition.number, settings: text }
}

fn images(images: &ImagePlan) -> Rendition {
    let slices = images.reaches.iter().map(|reach| match &reach.decode {
        Decode::Slice { from, to, .. } => Some(to - from),
        Decode::Whole => None,
    });
    let decoded = match slices.sum::<Option<u32>>() {
        Some(units) => format!("{units} units decoded in {} slices", images.reaches.len()),
        None => "decoded from the first byte to the last".to_owned(),
    };
    let settings = format!("{} of {} pictures {}, {decoded}", images.name(), images.shots.len(), images.size);
    Rendition { kind: "images", number: images.number, settings }
}

pub fn table(planned: &Planned) -> String {
    let film = &planned.film;
    let mut out = String::new();
    let size = or_dash(film.size);
    let video = or_dash(film.video.as_ref());
    let sounds: Vec<&str> = film.sounds.iter().map(|sound| sound.codec.as_str()).collect();
    let audio = if sounds.is_empty() { "-".to_owned() } else { sounds.join(" + ") };
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{}\n{}, {video} {size}, {audio}, {}\n", planned.source, film.container, film.duration);
    let mut segments = Table::new(["SEGMENT", "START", "END", "PICTURES", "CUT", "PRE-ROLL"]);
    for row in &planned.segments {
        let (start, end) = (row.start.to_string(), row.end.to_string());
        let pictures = or_dash(row.pictures);
        segments.row([row.number.to_string(), start, end, pictures, row.cut.to_owned(), row.preroll.to_string()]);
    }
    if !planned.segments.is_empty() {
        let _ = writeln!(out, "{segments}");
    }
    if let Some(why) = &planned.uncut {
        let _ = writeln!(out, "not cut: {why}\n");
    }
    let mut renditions = Table::new(["RENDITION", "SETTINGS"]);
    for rendition in &planned.renditions {
        renditions.row([format!("{} {}", rendition.kind, rendition.number), rendition.settings.clone()]);
    }
    let mut outputs = Table::new(["OUTPUT", "CONTAINER"]);
    for output in &planned.outputs {
        outputs.row([output.to.clone(), output.container.to_owned()]);
    }
    let _ = writeln!(out, "{renditions}\n{outputs}");
    for note in planned.outputs.iter().flat_map(|output| &output.notes) {
        let _ = writeln!(out, "note: {note}");
    }
    let _ = write!(out, "{}", tasks(&planned.tasks));
    out
}

/// `tasks: 12 encode (standard), 1 audio (standard), 1 merge (merge)`
fn tasks(tasks: &[Task]) -> String {
    let mut counts = BTreeMap::<(&str, &str), usize>::new();
    for task in tasks {
        let kind = task.id.split('-').next().unwrap_or_default();
        *counts.entry((kind, task.class.as_str())).or_default() += 1;
    }
    let counts = counts.iter().map(|((kind, class), count)| format!("{count} {kind} ({class})"));
    format!("tasks: {}\n", counts.collect::<Vec<_>>().join(", "))
}
