//! A probed film as people and programs are shown it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use framefleet_model::media::{
    AudioFormat, Chapter, Colour, ColourRange, ContentLight, MasteringDisplay, Mirror, Scan, VideoFormat,
};
use framefleet_model::plan::SourceFacts;
use framefleet_model::probe::{Content, Pictures, Probed, Said, Shown};
use framefleet_model::time::{MediaTime, Rational};
use serde::Serialize;

use crate::render::{self, Table, or_dash};

#[derive(Serialize)]
pub struct Report {
    source: String,
    /// Of the file, in bytes.
    size: u64,
    container: String,
    #[serde(rename = "duration_ns")]
    duration: Option<MediaTime>,
    /// Who says how long it is: the container, or an estimate from time stamps or the bit rate.
    duration_by: Option<Said>,
    tracks: Vec<Track>,
    tags: BTreeMap<String, String>,
    chapters: Vec<Part>,
    /// Streams of types that nothing here reads.
    unread: Vec<String>,
    /// How the file is shorter than it says.
    cut_off: Option<String>,
    /// What was read of it to know all this.
    bytes_read: u64,
}

#[derive(Serialize)]
struct Track {
    kind: &'static str,
    /// Among those of its kind, from 1: as `--audio-tracks` counts.
    number: usize,
    id: String,
    codec: String,
    profile: Option<String>,
    level: Option<String>,
    language: Option<String>,
    title: Option<String>,
    default: bool,
    /// `None`: it cannot be decoded here.
    decoder: Option<String>,
    #[serde(flatten)]
    format: Format,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Format {
    Video(Box<Video>),
    Audio { sample_rate: Option<u32>, channels: Option<u16> },
    None {},
}

#[derive(Serialize)]
struct Video {
    width: Option<u32>,
    height: Option<u32>,
    pixel_aspect: Option<String>,
    /// Of decoded pictures, such as I420.
    layout: Option<String>,
    /// Pictures a second, where all last equally long or the stream says so.
    rate: Option<String>,
    /// Over the whole track, where the container has counted its pictures.
    mean_rate: Option<String>,
    scan: Option<Scan>,
    /// Degrees clockwise that bring the pictures upright, before they are mirrored.
    rotation: Option<u16>,
    mirror: Option<Mirror>,
    /// Code points of ITU-T H.273; 2 is unspecified.
    colour: Option<Colour>,
    /// SMPTE ST 2086, in 1/50000 and 1/10000 cd/m2.
    mastering: Option<MasteringDisplay>,
    /// CTA-861.3, in cd/m2.
    light: Option<ContentLight>,
}

#[derive(Serialize)]
struct Part {
    #[serde(rename = "start_ns")]
    start: MediaTime,
    #[serde(rename = "end_ns")]
    end: MediaTime,
    title: String,
}

impl Report {
    pub fn of(source: &SourceFacts, probed: Probed, bytes_read: u64) -> Self {
        let mut counts = BTreeMap::<&str, usize>::new();
        let tracks = probed.tracks.into_iter().map(|track| {
            let (kind, format) = format(track.content);
            let number = counts.entry(kind).or_default();
            *number += 1;
            Track {
                kind,
                number: *number,
                id: track.id,
                codec: track.codec,
                profile: track.profile,
                level: track.level,
                language: track.language,
                title: track.title,
                default: track.shown == Shown::Default,
                decoder: track.decoder,
                format,
            }
        });
        Self {
            source: source.url.clone(),
            size: source.size,
            container: probed.container,
            duration: probed.length.map(|length| length.time),
            duration_by: probed.length.map(|length| length.by),
            tracks: tracks.collect(),
            tags: probed.tags,
            chapters: probed
                .chapters
                .into_iter()
                .map(|Chapter { start, end, title }| Part { start, end, title })
                .collect(),
            unread: probed.unread,
            cut_off: probed.cut_off,
            bytes_read,
        }
    }
}

fn format(content: Content) -> (&'static str, Format) {
    match content {
        Content::Video(pictures) => ("video", Format::Video(Box::new(video(pictures)))),
        Content::Audio(format) => {
            let (rate, channels) = format.map(|AudioFormat { rate, channels }| (rate, channels)).unzip();
            ("audio", Format::Audio { sample_rate: rate, channels })
        }
        Content::Subtitles => ("subtitles", Format::None {}),
        Content::Data => ("data", Format::None {}),
    }
}

fn video(Pictures { format, mean_rate }: Pictures) -> Video {
    let told = format.as_ref();
    let text = |rate: Rational| rate.to_string();
    Video {
        width: told.map(|format| format.geometry.width),
        height: told.map(|format| format.geometry.height),
        pixel_aspect: told.map(|format| format!("{}:{}", format.pixel_aspect.num(), format.pixel_aspect.den())),
        layout: told.map(|format| format.layout.clone()).filter(|layout| !layout.is_empty()),
        rate: told.and_then(|format| format.rate).map(text),
        mean_rate: mean_rate.map(text),
        scan: told.map(|format| format.scan),
        rotation: told.map(|format| u16::from(format.orientation.quarter_turns) * 90),
        mirror: told.map(|format| format.orientation.mirror),
        colour: told.map(|format| format.colour),
        mastering: told.and_then(|format: &VideoFormat| format.mastering),
        light: told.and_then(|format| format.light),
    }
}

pub fn table(report: &Report) -> String {
    let mut out = String::new();
    let duration = match (report.duration, report.duration_by) {
        (Some(duration), Some(Said::Container)) => duration.to_string(),
        (Some(duration), Some(Said::TimeStamps)) => format!("about {duration} (by its first and last time stamps)"),
        (Some(duration), _) => format!("about {duration} (by its size and bit rate)"),
        (None, _) => "of unknown duration".to_owned(),
    };
    let size = render::bytes(report.size);
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{}\n{}, {duration}, {size}\n", report.source, report.container);
    let mut tracks = Table::new(["TRACK", "CODEC", "FORMAT", "LANGUAGE", "DEFAULT", "DECODER"]);
    for track in &report.tracks {
        let codec = [Some(&track.codec), track.profile.as_ref(), track.level.as_ref()];
        let codec = codec.into_iter().flatten().cloned().collect::<Vec<_>>().join(" ");
        let (name, default) = (format!("{} {}", track.kind, track.number), if track.default { "yes" } else { "no" });
        let (language, decoder) = (or_dash(track.language.as_ref()), or_dash(track.decoder.as_ref()));
        tracks.row([name, codec, in_words(&track.format), language, default.to_owned(), decoder]);
    }
    let _ = write!(out, "{tracks}");
    if !report.tags.is_empty() {
        let mut tags = Table::new(["TAG", "VALUE"]);
        report.tags.iter().for_each(|(name, value)| tags.row([name.clone(), render::printable(value)]));
        let _ = write!(out, "\n{tags}");
    }
    if !report.chapters.is_empty() {
        let mut chapters = Table::new(["CHAPTER", "START", "END"]);
        for part in &report.chapters {
            chapters.row([render::printable(&part.title), part.start.to_string(), part.end.to_string()]);
        }
        let _ = write!(out, "\n{chapters}");
    }
    for unread in &report.unread {
        let _ = writeln!(out, "\nnot read: a stream of {unread}");
    }
    if let Some(what) = &report.cut_off {
        let _ = writeln!(out, "\nnot whole: {what}");
    }
    out
}

/// `1920x1080, 25 fps, top field first, turned by 90 degrees, pq`
fn in_words(format: &Format) -> String {
    match format {
        Format::Video(video) => pictures_in_words(video),
        Format::Audio { sample_rate, channels } => {
            format!("{} Hz, {} channels", or_dash(*sample_rate), or_dash(*channels))
        }
        Format::None {} => "-".to_owned(),
    }
}

fn pictures_in_words(video: &Video) -> String {
    let size = video.width.zip(video.height).map(|(width, height)| format!("{width}x{height}"));
    let mut words = vec![or_dash(size)];
    words.extend(
        video.pixel_aspect.iter().filter(|aspect| *aspect != "1:1").map(|aspect| format!("pixels of {aspect}")),
    );
    words.push(match (&video.rate, &video.mean_rate) {
        (Some(rate), _) => format!("{rate} fps"),
        (None, Some(mean)) => format!("{mean} fps on average"),
        (None, None) => "unknown rate".to_owned(),
    });
    words.extend(match video.scan {
        Some(Scan::TopFirst) => Some("interlaced, top field first".to_owned()),
        Some(Scan::BottomFirst) => Some("interlaced, bottom field first".to_owned()),
        Some(Scan::Progressive) | None => None,
    });
    words.extend(video.rotation.filter(|turn| *turn > 0).map(|turn| format!("to be turned by {turn} degrees")));
    words.extend(video.mirror.filter(|mirror| *mirror == Mirror::Horizontal).map(|_| "mirrored".to_owned()));
    words.extend(video.layout.clone());
    words.extend(video.colour.and_then(|colour| match colour.transfer {
        16 => Some("HDR (PQ)".to_owned()),
        18 => Some("HDR (HLG)".to_owned()),
        _ => None,
    }));
    words.extend(video.colour.filter(|colour| colour.range == ColourRange::Full).map(|_| "full range".to_owned()));
    words.join(", ")
}
