//! A plan as programs are shown it: cuts and why, segments, tasks, renditions, outputs.

use framefleet_model::index::Index;
use framefleet_model::media::Geometry;
use framefleet_model::pipeline::{Coding, RateControl};
use framefleet_model::plan::{AudioRendition, Cut, CutReason, Decode, OutputPlan, Plan, Segment, VideoRendition};
use framefleet_model::shots::ImagePlan;
use framefleet_model::sound::{Downmix, Loudness};
use framefleet_model::time::{MediaTime, Rational};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::flow::PlannedTask;
use crate::flow::planning::tasks::tasks;
use crate::preview::Preview;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedJson {
    /// Of the plan itself: equal plans have equal digests.
    pub digest: String,
    pub source: String,
    pub film: PlannedFilm,
    pub segments: Vec<PlannedSegment>,
    /// Why the film is one segment, where it could not be cut.
    pub uncut: Option<String>,
    pub renditions: Vec<PlannedRendition>,
    pub outputs: Vec<PlannedOutput>,
    pub tasks: Vec<PlannedWork>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedFilm {
    pub container: String,
    pub video: Option<String>,
    #[schema(value_type = Option<Object>)]
    pub size: Option<Geometry>,
    pub rate: Option<String>,
    pub pictures: usize,
    pub sounds: Vec<PlannedSound>,
    /// The part that is wanted.
    #[serde(rename = "duration_ns")]
    #[schema(value_type = i64)]
    pub duration: MediaTime,
    pub ignored: Vec<String>,
}

/// A sound track of the film.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedSound {
    pub number: u32,
    pub codec: String,
    pub language: Option<String>,
    pub title: Option<String>,
    /// Samples per second of one channel.
    pub rate: u32,
    pub channels: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedSegment {
    pub number: u32,
    /// On the output's time line.
    #[serde(rename = "start_ns")]
    #[schema(value_type = i64)]
    pub start: MediaTime,
    #[serde(rename = "end_ns")]
    #[schema(value_type = i64)]
    pub end: MediaTime,
    /// Why it begins there.
    pub cut: String,
    /// Pictures that are decoded only to reach its first one.
    pub preroll: u32,
    /// `None`: only decoding tells.
    pub pictures: Option<u32>,
    pub decode: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedRendition {
    pub kind: String,
    pub number: u32,
    pub settings: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedOutput {
    pub number: u32,
    pub to: String,
    pub container: String,
    /// Numbers of the source's sound tracks that it has, in its order.
    pub sounds: Vec<u32>,
    /// What the container makes of the settings.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedWork {
    pub id: String,
    pub class: String,
}

impl PlannedJson {
    pub fn of(Preview { index, plan }: &Preview) -> Self {
        let rows = plan.segments.iter().zip(&plan.cuts).map(|(segment, cut)| row(segment, cut, plan.origin));
        let video = plan.video.iter().map(video);
        let name = |output: &OutputPlan| {
            let images = plan.images.iter().find(|images| images.output == output.number);
            images.map_or(output.container.name(), ImagePlan::name)
        };
        let outputs = plan.outputs.iter().map(|output| PlannedOutput {
            number: output.number,
            to: output.to.clone(),
            container: name(output).to_owned(),
            sounds: sounds(output, plan),
            notes: output.notes.clone(),
        });
        let task = |task: &PlannedTask| PlannedWork { id: task.id.to_string(), class: task.class.clone() };
        Self {
            digest: plan.digest().to_string(),
            source: plan.source.url.clone(),
            film: film(index, plan),
            segments: rows.collect(),
            uncut: plan.uncut.clone(),
            renditions: video.chain(plan.audio.iter().map(audio)).chain(plan.images.iter().map(images)).collect(),
            outputs: outputs.collect(),
            tasks: tasks(plan).iter().map(task).collect(),
        }
    }
}

fn sounds(output: &OutputPlan, plan: &Plan) -> Vec<u32> {
    let rendition = |number: &u32| plan.audio.iter().find(|rendition| rendition.number == *number);
    output.audio.iter().filter_map(|number| rendition(number).map(|rendition| rendition.track)).collect()
}

fn film(index: &Index, plan: &Plan) -> PlannedFilm {
    let header = &index.header;
    let video = header.video.as_ref();
    let sounds = header.audio.iter().map(|track| PlannedSound {
        number: track.number,
        codec: track.codec.clone(),
        language: track.language.clone(),
        title: track.title.clone(),
        rate: track.format.rate,
        channels: track.format.channels,
    });
    PlannedFilm {
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

fn row(segment: &Segment, cut: &Cut, origin: MediaTime) -> PlannedSegment {
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
    let (cut, decode) = (cut.to_owned(), decode.to_owned());
    PlannedSegment { number: segment.number, start, end, cut, preroll, pictures: segment.pictures, decode }
}

fn video(rendition: &VideoRendition) -> PlannedRendition {
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
    PlannedRendition { kind: "video".to_owned(), number: rendition.number, settings }
}

fn audio(rendition: &AudioRendition) -> PlannedRendition {
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
    PlannedRendition { kind: "audio".to_owned(), number: rendition.number, settings: text }
}

fn images(images: &ImagePlan) -> PlannedRendition {
    let slices = images.reaches.iter().map(|reach| match &reach.decode {
        Decode::Slice { from, to, .. } => Some(to - from),
        Decode::Whole => None,
    });
    let decoded = match slices.sum::<Option<u32>>() {
        Some(units) => format!("{units} units decoded in {} slices", images.reaches.len()),
        None => "decoded from the first byte to the last".to_owned(),
    };
    let settings = format!("{} of {} pictures {}, {decoded}", images.name(), images.shots.len(), images.size);
    PlannedRendition { kind: "images".to_owned(), number: images.number, settings }
}
