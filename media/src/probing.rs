//! The probe: what a film says of itself and what its first units show, without reading it through.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::media::{AudioFormat, VideoFormat};
use framefleet_model::probe::{Content, Length, Pictures, Probed, Said, Track};
use framefleet_model::task::ProbeWork;
use framefleet_model::time::MediaTime;

use crate::isobmff::reader::{self as isobmff, Brand, Fragmented, Glance, Presented, Refusal, Slim};
use crate::pass::{self, Passed, Until};
use crate::read_at::ReadAt;
use crate::stamps::{self, Stream};
use crate::tap::{Heard, Kind, Tap};
use crate::{decoder, described, formats, indexing, names, promise, sounding};

/// No headers, indexes and first units of a film are more; a file without any of them is not searched to its end.
const READ_BYTES_MAX: u64 = 64 << 20;
const TAG_CHARS_MAX: usize = 1024;
/// Tags that describe a film, not its streams.
const TAGS: [&str; 17] = [
    "title",
    "artist",
    "album",
    "album-artist",
    "comment",
    "description",
    "composer",
    "copyright",
    "contact",
    "datetime",
    "genre",
    "keywords",
    "location",
    "organization",
    "show-name",
    "track-number",
    "encoder",
];

/// A film of which only so much may be read.
struct Thrift {
    film: Arc<dyn ReadAt>,
    read: AtomicU64,
}

pub(crate) fn run(work: &ProbeWork, film: Arc<dyn ReadAt>, step: impl FnMut(u64)) -> Result<Probed, Fault> {
    if film.size() == 0 {
        return Err(Fault::new(FaultKind::Corrupt, "the source is empty (0 bytes)"));
    }
    let thrift = Arc::new(Thrift { film, read: AtomicU64::new(0) });
    probe(work, thrift.clone(), step).map_err(|fault| match thrift.is_spent() {
        true => {
            let message = format!("nothing was found in {READ_BYTES_MAX} bytes of the source, which is the bound");
            Fault::new(FaultKind::Corrupt, message)
        }
        false => fault,
    })
}

fn probe(work: &ProbeWork, film: Arc<dyn ReadAt>, step: impl FnMut(u64)) -> Result<Probed, Fault> {
    let slim = Arc::new(Slim::of(film.clone()).map_err(unreadable)?);
    let movie = isobmff::glance(&*slim).map_err(Refusal::fault)?;
    let presented = Arc::new(Presented::of(slim.clone()));
    let passed = pass::run(presented.clone(), (work.limits.tracks_max, Until::Glance), step)?;
    described::mark_tracks(&passed.taps, &presented);
    let mut chapters = described::chapters(&passed.taps);
    if chapters.is_empty() {
        chapters = isobmff::chapters(&presented);
    }
    let mut taps: Vec<&Tap> = passed.taps.iter().collect();
    taps.sort_by_cached_key(|tap| tap.heard().id.clone());
    let tracks: Vec<Track> =
        taps.into_iter().filter_map(|tap| track(&tap.heard(), &presented, movie.as_ref())).collect();
    check_decoders(&tracks, &passed)?;
    let length = length(&*film, &passed, movie.as_ref())?;
    indexing::end_chapters(&mut chapters, length.map_or(MediaTime::ZERO, |length| length.time));
    let fragmented = movie.as_ref().is_some_and(|movie| movie.fragmented == Fragmented::Yes);
    // A short table of samples does not tell where the last one ends.
    let samples = if slim.is_as_it_was() { presented.movie() } else { &[] };
    Ok(Probed {
        container: container(&passed, &tracks, movie.as_ref()),
        length,
        tags: tags(&passed.taps),
        chapters,
        unread: passed.missing,
        cut_off: if fragmented { None } else { promise::broken(&*film, samples) },
        tracks,
    })
}

fn unreadable(error: io::Error) -> Fault {
    Fault::new(FaultKind::SourceUnreadable, format!("the source cannot be read: {error}"))
}

/// `None` for streams that are of no use to anybody: they have no caps.
fn track(heard: &Heard, film: &Presented, movie: Option<&Glance>) -> Option<Track> {
    let (_, caps) = heard.caps.first()?;
    let told = caps.structure(0)?;
    let text = |field: &str| told.get::<String>(field).ok();
    let (decoder, content) = match heard.kind {
        Kind::Video => pictures(heard, caps, (film, movie)),
        Kind::Audio => sound(heard, caps),
        Kind::Other => (None, other(told.name())),
    };
    Some(Track {
        id: heard.id.clone(),
        codec: names::codec(told),
        profile: text("profile").or_else(|| text("variant")),
        level: text("level"),
        language: described::language(&heard.tags),
        title: heard.title.clone(),
        shown: heard.shown(),
        decoder,
        content,
    })
}

/// What the first picture shows; where it does not decode alone, what the stream's headers say.
fn pictures(
    heard: &Heard,
    caps: &gst::Caps,
    (film, movie): (&Presented, Option<&Glance>),
) -> (Option<String>, Content) {
    let kind = gst::ElementFactoryType::MEDIA_VIDEO | gst::ElementFactoryType::MEDIA_IMAGE;
    let (decoder, mut format): (Option<String>, Option<VideoFormat>) = match indexing::video_track(heard) {
        Some(track) => (Some(track.decoder), Some(track.format)),
        None => (
            decoder::candidates(caps, kind).into_iter().next(),
            formats::video_format(caps, caps, &heard.tags).map(|told| VideoFormat { layout: String::new(), ..told }),
        ),
    };
    let rate = movie.and_then(|movie| movie.rates.iter().find(|rate| rate.id == heard.id));
    if let Some(format) = &mut format {
        described::add_display(format, (&heard.id, film));
        // By its tables the rate is exact, and the demuxer's is a guess.
        if let Some(rate) = rate.filter(|rate| rate.mean.is_some()) {
            format.rate = rate.constant;
        }
    }
    (decoder, Content::Video(Pictures { format, mean_rate: rate.and_then(|rate| rate.mean) }))
}

fn sound(heard: &Heard, caps: &gst::Caps) -> (Option<String>, Content) {
    if let Some(track) = sounding::track(heard) {
        return (Some(track.decoder), Content::Audio(Some(track.format)));
    }
    let decoder = decoder::candidates(caps, gst::ElementFactoryType::MEDIA_AUDIO).into_iter().next();
    let number = |field: &str| caps.structure(0)?.get::<i32>(field).ok();
    let format = || {
        let (rate, channels) = (u32::try_from(number("rate")?).ok()?, u16::try_from(number("channels")?).ok()?);
        Some(AudioFormat { rate, channels })
    };
    (decoder, Content::Audio(format()))
}

fn other(media_type: &str) -> Content {
    let subtitles = ["text/", "subpicture/", "subtitle/", "closedcaption/", "application/x-ass", "application/x-ssa"];
    if subtitles.iter().any(|kind| media_type.starts_with(kind)) { Content::Subtitles } else { Content::Data }
}

/// A film of which nothing decodes is not one.
fn check_decoders(tracks: &[Track], passed: &Passed) -> Result<(), Fault> {
    if tracks.iter().any(|track| track.decoder.is_some()) {
        return Ok(());
    }
    let mut tried: Vec<&str> = tracks.iter().map(|track| track.codec.as_str()).collect();
    tried.extend(passed.missing.iter().map(String::as_str));
    let what = if tried.is_empty() { "it has no tracks".to_owned() } else { format!("it has {}", tried.join(", ")) };
    Err(Fault::new(FaultKind::Unsupported, format!("nothing in the source decodes: {what}")))
}

fn container(passed: &Passed, tracks: &[Track], movie: Option<&Glance>) -> String {
    match (movie.map(|movie| movie.brand), tracks) {
        (Some(Brand::Iso), _) => "mp4".to_owned(),
        (Some(Brand::QuickTime), _) => "mov".to_owned(),
        (None, [only]) if names::is_bare(&passed.container) && passed.container != "video/x-ivf" => only.codec.clone(),
        (None, _) => names::container(&passed.container),
    }
}

fn length(film: &dyn ReadAt, passed: &Passed, movie: Option<&Glance>) -> Result<Option<Length>, Fault> {
    let by = |said: Said| move |time| Length { time, by: said };
    let stream = match passed.container.as_str() {
        "video/mpegts" => Some(Stream::Transport),
        "video/mpeg" => Some(Stream::Program),
        _ => None,
    };
    if let Some(stream) = stream {
        return Ok(stamps::length(film, stream).map_err(unreadable)?.map(by(Said::TimeStamps)));
    }
    let said = if names::is_bare(&passed.container) { Said::BitRate } else { Said::Container };
    Ok(movie.and_then(|movie| movie.length).or(passed.length).map(by(said)))
}

fn tags(taps: &[Tap]) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::new();
    for tap in taps {
        let heard = tap.heard();
        for name in TAGS {
            if let Some(text) = heard.tags.index_generic(name, 0).and_then(text) {
                tags.entry(name.to_owned()).or_insert(text);
            }
        }
    }
    tags
}

fn text(value: &gst::glib::SendValue) -> Option<String> {
    let moment = |time: gst::DateTime| time.to_iso8601_string().ok().map(|text| text.to_string());
    let text = (value.get::<String>().ok())
        .or_else(|| value.get::<u32>().ok().map(|number| number.to_string()))
        .or_else(|| value.get::<gst::DateTime>().ok().and_then(moment))?;
    let text: String = text.chars().take(TAG_CHARS_MAX).collect();
    (!text.is_empty()).then_some(text)
}

impl Thrift {
    fn is_spent(&self) -> bool {
        self.read.load(Ordering::Relaxed) > READ_BYTES_MAX
    }
}

impl ReadAt for Thrift {
    fn size(&self) -> u64 {
        self.film.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        if self.is_spent() {
            return Err(io::Error::other(format!("a probe reads {READ_BYTES_MAX} bytes at most")));
        }
        self.film.read_at(offset, buf)
    }
}
