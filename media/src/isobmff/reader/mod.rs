//! The fast index: a film's time line from its movie box alone.
//!
//! Only plain sample tables qualify, and only where what the demuxer's pass would give can be told exactly; anything
//! odd is [`Refusal::Odd`] and takes the pass. Times are what GStreamer 1.22's demuxer gives in a pass without
//! seeking, to the nanosecond: ticks are scaled by rounding down, composition offsets are shifted until none is
//! negative, an edit's media time is taken off, and a leading hole put on. Where an edit ends is for [`Presented`] to
//! say.
//!
//! It reads the headers of the file's boxes, the movie box, and the titles of a chapter track: nothing else.

mod bytes;
mod edits;
mod entry;
mod find;
mod fragments;
mod gather;
mod glance;
mod keys;
mod line;
mod overlay;
mod plain;
mod presented;
mod run;
mod samples;
pub(crate) mod segments;
mod slim;
mod tags;
mod track;
mod window;

pub use entry::{Pictures, Sound};
pub(crate) use glance::{Brand, Fragmented, Glance, glance};
pub use presented::Presented;
pub(crate) use slim::Slim;
pub use track::Enabled;

use std::collections::HashSet;
use std::io;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::index::{Key, Unit};
use framefleet_model::media::{Chapter, ContentLight, MasteringDisplay, Orientation, Tags, VideoCodec};
use framefleet_model::time::{MediaTime, Rational, Span};

use self::bytes::Bytes;
use self::edits::{Clock, Rates};
use self::samples::Sample;
use self::track::Track;
use crate::bitstream::{h264, hevc};
use crate::read_at::ReadAt;

/// A film as its movie box describes it.
#[derive(Clone, Debug)]
pub struct FastTables {
    pub video: FastVideo,
    pub audio: Vec<FastAudio>,
    /// Tracks that are neither, one line each.
    pub ignored: Vec<String>,
    pub tags: Tags,
    pub chapters: Vec<Chapter>,
}

#[derive(Clone, Debug)]
pub struct FastVideo {
    /// As the demuxer names the track.
    pub id: String,
    pub pictures: Pictures,
    /// GStreamer caps of the units.
    pub caps: String,
    pub orientation: Orientation,
    /// Constant rate, where all units last equally long.
    pub rate: Option<Rational>,
    pub span: Span,
    pub units: Vec<Unit>,
}

#[derive(Clone, Debug)]
pub struct FastAudio {
    pub id: String,
    pub sound: Sound,
    pub language: Option<String>,
    pub enabled: Enabled,
    pub span: Span,
}

/// Why a film's movie box does not do.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    Odd(String),
    #[error("track {0} is encrypted")]
    Encrypted(u32),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Refusal {
    /// Of a film that nothing else can be made of, either.
    pub(crate) fn fault(self) -> Fault {
        let (kind, text) = match self {
            Self::Odd(reason) => (FaultKind::Corrupt, reason),
            Self::Encrypted(track) => (FaultKind::Encrypted, format!("the film is encrypted (track {track})")),
            Self::Io(error) => (FaultKind::SourceUnreadable, format!("the source cannot be read: {error}")),
        };
        Fault::new(kind, text)
    }
}

const TRACKS_MAX: usize = 64;

pub(crate) fn odd(reason: impl Into<String>) -> Refusal {
    Refusal::Odd(reason.into())
}

/// Reads the movie box of an MP4 or MOV film with H.264 or HEVC pictures.
pub fn fast_index(film: &dyn ReadAt) -> Result<FastTables, Refusal> {
    let (_, movie) = find::movie(film)?;
    let movie = Bytes::new(&movie);
    if movie.find(b"mvex").is_some() || movie.find(b"cmov").is_some() {
        return Err(odd("the film is fragmented or its movie box compressed"));
    }
    let movie_rate = movie_timescale(movie).ok_or_else(|| odd("the movie box has no time scale"))?;
    let boxes = movie.boxes().filter(|(kind, _)| kind == b"trak").map(|(_, payload)| payload);
    let tracks = boxes.take(TRACKS_MAX).map(Track::read).collect::<Result<Vec<_>, _>>()?;
    check_encryption(&tracks)?;
    let video = only_video(&tracks)?;
    let titles: Vec<u32> = tracks.iter().flat_map(Track::chapter_tracks).collect();
    let audio = tracks.iter().filter(|track| &track.handler == b"soun");
    let rest =
        tracks.iter().filter(|track| !matches!(&track.handler, b"vide" | b"soun") && !titles.contains(&track.id));
    Ok(FastTables {
        video: read_video(film, video, movie_rate)?,
        audio: audio.map(|track| read_audio(track, movie_rate)).collect::<Result<_, _>>()?,
        ignored: rest.map(Track::describe).collect(),
        tags: tags::read(movie),
        chapters: tags::chapters(film, movie, &tracks),
    })
}

/// The chapters of any MP4 or MOV, which GStreamer 1.22's demuxer does not tell.
pub fn chapters(film: &Presented) -> Vec<Chapter> {
    let movie = Bytes::new(film.movie());
    let boxes = movie.boxes().filter(|(kind, _)| kind == b"trak").map(|(_, payload)| payload);
    let tracks: Vec<Track<'_>> = boxes.take(TRACKS_MAX).filter_map(|boxes| Track::read(boxes).ok()).collect();
    tags::chapters(film, movie, &tracks)
}

/// What the movie box says of a track and GStreamer 1.22's demuxer does not.
pub(crate) struct Told {
    /// As the demuxer names the track.
    pub(crate) id: String,
    pub(crate) enabled: Enabled,
    /// What it is called.
    pub(crate) title: Option<String>,
    pub(crate) mastering: Option<MasteringDisplay>,
    pub(crate) light: Option<ContentLight>,
}

pub(crate) fn told(film: &Presented) -> Vec<Told> {
    let boxes = Bytes::new(film.movie()).boxes().filter(|(kind, _)| kind == b"trak").map(|(_, payload)| payload);
    let tracks: Vec<Track<'_>> = boxes.take(TRACKS_MAX).filter_map(|boxes| Track::read(boxes).ok()).collect();
    let told = tracks.iter().map(|track| {
        let entry = entry::only(track.table).ok().filter(|_| &track.handler == b"vide");
        let (mastering, light) = entry.and_then(|(_, entry)| entry::display(entry)).unwrap_or_default();
        Told { id: track_name(track), enabled: track.enabled, title: track.title(&tracks), mastering, light }
    });
    told.collect()
}

/// Where the last sample of an unfragmented film ends, by the payload of its movie box.
pub(crate) fn samples_end(movie: &[u8]) -> Option<u64> {
    let movie = Bytes::new(movie);
    if movie.find(b"mvex").is_some() {
        return None;
    }
    let boxes = movie.boxes().filter(|(kind, _)| kind == b"trak").map(|(_, payload)| payload);
    let ends = boxes.take(TRACKS_MAX).map(|boxes| samples::end(Track::read(boxes).ok()?.table));
    // A track that cannot be read may have samples anywhere.
    ends.collect::<Option<Vec<u64>>>()?.into_iter().max()
}

fn movie_timescale(movie: Bytes<'_>) -> Option<u32> {
    let mut header = movie.find(b"mvhd")?;
    let version = header.version()?;
    header.take(if version == 1 { 16 } else { 8 })?;
    header.u32().filter(|timescale| *timescale > 0)
}

fn check_encryption(tracks: &[Track<'_>]) -> Result<(), Refusal> {
    for track in tracks.iter().filter(|track| matches!(&track.handler, b"vide" | b"soun")) {
        if let Ok((b"encv" | b"enca" | b"drmi" | b"drms", _)) = entry::only(track.table).as_ref().map(|(k, b)| (k, b)) {
            return Err(Refusal::Encrypted(track.id));
        }
    }
    Ok(())
}

fn only_video<'a, 'b>(tracks: &'a [Track<'b>]) -> Result<&'a Track<'b>, Refusal> {
    let videos: Vec<&Track<'_>> = tracks.iter().filter(|track| &track.handler == b"vide").collect();
    match videos[..] {
        [video] => Ok(video),
        _ => Err(odd(format!("the film has {} video tracks", videos.len()))),
    }
}

fn read_video(film: &dyn ReadAt, track: &Track<'_>, movie_rate: u32) -> Result<FastVideo, Refusal> {
    track.check_self_contained()?;
    let (kind, entry) = entry::only(track.table)?;
    let pictures = entry::pictures(kind, entry)?;
    check_headers(&pictures)?;
    let samples = samples::read(track.table, film.size())?;
    let clock = Clock::read(track.boxes, Rates { movie: movie_rate, track: track.timescale }, &samples)?;
    let mut units = read_units(&samples, &clock)?;
    keys::close(film, &pictures, &mut units)?;
    let rate = constant_rate(&samples, track.timescale);
    let span = span_of(&units).ok_or_else(|| odd("the video track has no samples"))?;
    Ok(FastVideo {
        id: track_name(track),
        caps: caps(&pictures, rate),
        orientation: track.orientation.ok_or_else(|| odd("the picture's matrix is no quarter turn"))?,
        rate,
        span,
        units,
        pictures,
    })
}

/// As the demuxer's stream ids end.
fn track_name(track: &Track<'_>) -> String {
    format!("{:03}", track.id)
}

/// What only the bits of each unit would tell is refused by what the headers allow.
fn check_headers(pictures: &Pictures) -> Result<(), Refusal> {
    match pictures.codec {
        VideoCodec::H264 => {
            let parsed = h264::parse_avcc(&pictures.codec_data);
            let (_, sets) = parsed.ok_or_else(|| odd("the codec data does not parse"))?;
            let mut sequences = sets.iter().filter_map(|nal| h264::parse_sps(nal)).peekable();
            sequences.peek().ok_or_else(|| odd("the parameter sets are in the stream"))?;
            if sequences.any(|(_, sps)| sps.scan == h264::Coded::FieldsToo) {
                return Err(odd("pictures may be coded as fields"));
            }
        }
        VideoCodec::Hevc => {
            if let Some(reason) = hevc::oddity(&pictures.codec_data) {
                return Err(odd(reason));
            }
        }
        // No sample entry that is read here names another.
        VideoCodec::Vp8 | VideoCodec::Vp9 | VideoCodec::Av1 | VideoCodec::Mpeg4 => {}
    }
    Ok(())
}

fn read_units(samples: &[Sample], clock: &Clock) -> Result<Vec<Unit>, Refusal> {
    if clock.begins_late(samples) {
        return Err(odd("the edit list begins after a later key"));
    }
    if !samples.first().is_some_and(|first| first.sync) {
        return Err(odd("the film does not begin with a key"));
    }
    let mut units = Vec::with_capacity(samples.len());
    let mut seen = HashSet::with_capacity(samples.len());
    for sample in samples {
        let decoded = clock.decoded_ns(sample);
        let end = edits::to_ns(sample.decoded + u64::from(sample.duration), clock.timescale);
        let shown = clock.shown_ns(sample).ok_or_else(|| odd("a sample is shown before the film begins"))?;
        // The last sample may last no time: nothing comes after it.
        let still = sample.duration == 0 && units.len() + 1 < samples.len();
        if !seen.insert(shown) || still {
            return Err(odd("two samples have the same time"));
        }
        units.push(Unit {
            pts: Some(clock.running(shown)),
            dts: Some(clock.running(decoded)),
            duration: Some(MediaTime(end - decoded)),
            size: sample.size,
            key: if sample.sync { Key::Open } else { Key::No },
            shows: 1,
            hash: 0,
            offset: Some(sample.offset),
        });
    }
    let first = units.first().and_then(|unit| unit.pts);
    if units.iter().any(|unit| unit.pts < first) {
        return Err(odd("the film begins with leading pictures"));
    }
    Ok(units)
}

fn span_of(units: &[Unit]) -> Option<Span> {
    let times = || units.iter().filter_map(|unit| Some((unit.pts?, unit.pts? + unit.duration?)));
    let start = times().map(|(start, _)| start).min()?;
    let end = times().map(|(_, end)| end).max()?;
    Some(Span::new(start, end))
}

/// The rate that all samples but the last have.
fn constant_rate(samples: &[Sample], timescale: u32) -> Option<Rational> {
    let (first, rest) = samples.split_first()?;
    let all_but_last = rest.split_last().map_or(rest, |(_, middle)| middle);
    let constant = all_but_last.iter().all(|sample| sample.duration == first.duration);
    if constant { Rational::new(timescale, first.duration).ok() } else { None }
}

fn caps(pictures: &Pictures, rate: Option<Rational>) -> String {
    let (media_type, format) = match &pictures.entry {
        b"avc1" => ("video/x-h264", "avc"),
        b"avc3" => ("video/x-h264", "avc3"),
        b"hvc1" => ("video/x-h265", "hvc1"),
        _ => ("video/x-h265", "hev1"),
    };
    let hex: String = pictures.codec_data.iter().map(|byte| format!("{byte:02x}")).collect();
    let (geometry, aspect) = (pictures.geometry, pictures.pixel_aspect);
    let rate = rate.map_or(String::new(), |r| format!(", framerate=(fraction){}/{}", r.num(), r.den()));
    format!(
        "{media_type}, stream-format=(string){format}, alignment=(string)au, codec_data=(buffer){hex}, \
         width=(int){}, height=(int){}, pixel-aspect-ratio=(fraction){}/{}{rate}",
        geometry.width,
        geometry.height,
        aspect.num(),
        aspect.den()
    )
}

fn read_audio(track: &Track<'_>, movie_rate: u32) -> Result<FastAudio, Refusal> {
    track.check_self_contained()?;
    let (kind, entry) = entry::only(track.table)?;
    let damaged = || odd("a sound track is damaged");
    let ticks = samples::total_duration(track.table).ok_or_else(damaged)?;
    let clock = Clock::read(track.boxes, Rates { movie: movie_rate, track: track.timescale }, &[])?;
    let (start, end) = clock.span_of(ticks);
    Ok(FastAudio {
        id: track_name(track),
        sound: entry::sound(kind, entry).ok_or_else(damaged)?,
        language: track.language.clone(),
        enabled: track.enabled,
        span: Span::new(start, end),
    })
}
