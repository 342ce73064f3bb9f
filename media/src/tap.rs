//! What the index pass hears on one elementary stream: its units, its tags, its first bytes for a trial decode.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use framefleet_model::index::{Key, Unit};
use framefleet_model::probe::Shown;
use framefleet_model::time::{MediaTime, Span};
use gst::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use crate::bitstream::Rules;
use crate::bitstream::display::Display;
use crate::demux::{FilmClock, has, pad_caps, track_id};
use crate::parameters::ParameterSets;

/// Enough for the first picture of any codec's reordering to come out.
const HEAD_UNITS_MAX: usize = 32;
const HEAD_BYTES_MAX: usize = 32 << 20;
/// Enough for any decoder of sound to give its first block.
const GLANCE_SOUND_UNITS: usize = 4;
const TITLE_CHARS_MAX: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Video,
    Audio,
    Other,
}

/// Shared between the streaming thread that fills it and the pass that reads it at the end.
#[derive(Clone)]
pub(crate) struct Tap(Arc<Mutex<Heard>>);

pub(crate) struct Heard {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) caps: Vec<(u32, gst::Caps)>,
    /// Parameter sets in force from a unit on, in hexadecimal.
    pub(crate) headers: Vec<(u32, String)>,
    pub(crate) units: Vec<Unit>,
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    pub(crate) head: Vec<gst::Buffer>,
    pub(crate) tags: gst::TagList,
    /// What the track is called, where its container names tracks.
    pub(crate) title: Option<String>,
    pub(crate) toc: Option<gst::Toc>,
    pub(crate) flags: gst::StreamFlags,
    pub(crate) span: Option<Span>,
    /// Why its pictures cannot be counted from its bits, if they cannot.
    pub(crate) odd: Option<String>,
    clock: FilmClock,
    segment: Option<gst::FormattedSegment<gst::format::Time>>,
    stream_tags: StreamTags,
    rules: Option<Rules>,
    display: Option<Display>,
    parameters: Option<ParameterSets>,
    head_keyed: bool,
    head_bytes: usize,
}

impl Tap {
    /// Listens to everything that passes `pad` from now on.
    pub(crate) fn on(pipeline: &gst::Pipeline, pad: &gst::Pad) -> Self {
        let caps = pad_caps(pad);
        let heard = Heard {
            id: track_id(pad),
            kind: kind_of(&caps),
            caps: Vec::new(),
            headers: Vec::new(),
            parameters: None,
            units: Vec::new(),
            count: 0,
            bytes: 0,
            head: Vec::new(),
            tags: gst::TagList::new(),
            title: None,
            stream_tags: StreamTags::of(pipeline),
            toc: None,
            flags: gst::StreamFlags::empty(),
            span: None,
            odd: None,
            clock: FilmClock::of(pipeline),
            segment: None,
            rules: None,
            // AVI's demuxer gives key pictures the time at which they are decoded.
            display: (!has(pipeline, "avidemux")).then(Display::default),
            head_keyed: false,
            head_bytes: 0,
        };
        let tap = Self(Arc::new(Mutex::new(heard)));
        let listener = tap.clone();
        // Sticky events that came before the probe are heard too.
        pad.sticky_events_foreach(|event| {
            tap.heard().event(event);
            std::ops::ControlFlow::Continue(gst::EventForeachAction::Keep)
        });
        pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            match &info.data {
                Some(gst::PadProbeData::Event(event)) => listener.heard().event(event),
                Some(gst::PadProbeData::Buffer(buffer)) => listener.heard().buffer(buffer),
                _ => {}
            }
            gst::PadProbeReturn::Ok
        });
        tap
    }

    pub(crate) fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    pub(crate) fn media_type(&self) -> String {
        let caps = self.caps.first().and_then(|(_, caps)| caps.structure(0).map(|s| s.name().to_string()));
        caps.unwrap_or_default()
    }

    /// Whether players show it unasked.
    pub(crate) fn shown(&self) -> Shown {
        if self.flags.contains(gst::StreamFlags::SELECT) { Shown::Default } else { Shown::Asked }
    }

    /// Gives pictures the times that follow from others', once all are there.
    pub(crate) fn settle_times(&mut self) {
        if let Some(display) = self.display.take() {
            display.fill(&mut self.units);
        }
    }

    fn event(&mut self, event: &gst::EventRef) {
        match event.view() {
            gst::EventView::StreamStart(start) => self.flags = start.stream_flags(),
            gst::EventView::Caps(caps) => self.new_caps(caps.caps_owned()),
            gst::EventView::Segment(segment) => {
                self.segment = segment.segment().downcast_ref::<gst::format::Time>().cloned();
            }
            gst::EventView::Tag(tag) => {
                let mut tags = tag.tag_owned();
                if self.stream_tags == StreamTags::NameTracks && tags.scope() == gst::TagScope::Stream {
                    self.title =
                        tags.get::<gst::tags::Title>().and_then(|t| short_title(t.get())).or(self.title.take());
                    tags.make_mut().remove::<gst::tags::Title>();
                }
                self.tags = self.tags.merge(&tags, gst::TagMergeMode::Replace);
            }
            gst::EventView::Toc(toc) => self.toc = Some(toc.toc().0.to_owned()),
            _ => {}
        }
    }

    fn new_caps(&mut self, caps: gst::Caps) {
        if self.caps.last().is_some_and(|(_, last)| *last == caps) {
            return;
        }
        let structure = caps.structure(0);
        let media_type = structure.map_or("", |s| s.name().as_str());
        let codec_data = structure.and_then(|s| s.get::<gst::Buffer>("codec_data").ok());
        let codec_data = codec_data.as_ref().and_then(|b| b.map_readable().ok());
        if self.kind == Kind::Video {
            match &mut self.rules {
                Some(rules) => {
                    if rules.set_codec_data(codec_data.as_deref()).is_none() {
                        self.rules = None;
                    }
                }
                None => self.rules = Rules::for_codec(media_type, codec_data.as_deref()),
            }
        }
        if self.kind == Kind::Video && self.parameters.is_none() {
            self.parameters = structure.and_then(ParameterSets::of);
        }
        let version = structure.and_then(|s| s.get::<i32>("mpegversion").ok());
        if media_type != "video/mpeg" || !matches!(version, Some(1 | 2)) {
            self.display = None;
        }
        let at = u32::try_from(self.count).unwrap_or(u32::MAX);
        drop(codec_data);
        self.caps.push((at, caps));
    }

    fn buffer(&mut self, buffer: &gst::Buffer) {
        if self.kind == Kind::Audio && is_header(buffer) {
            return self.keep_head(buffer, Key::Yes);
        }
        let mut place = |time| self.clock.place(self.segment.as_ref(), time);
        let (pts, dts) = (place(buffer.pts()), place(buffer.dts()));
        let duration = buffer.duration().and_then(|d| i64::try_from(d.nseconds()).ok()).map(MediaTime);
        self.stretch_span(pts.or(dts), duration);
        let container_key = if buffer.flags().contains(gst::BufferFlags::DELTA_UNIT) { Key::No } else { Key::Yes };
        let mut key = container_key;
        if self.kind == Kind::Video
            && let Ok(bytes) = buffer.map_readable()
        {
            self.hear_parameters(&bytes);
            if let Some(display) = &mut self.display {
                display.hear(self.units.len(), &bytes);
            }
            let shows = self.judge(&bytes, &mut key);
            let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            self.units.push(Unit { pts, dts, duration, size, key, shows, hash: xxh3_64(&bytes), offset: None });
        }
        self.count += 1;
        self.bytes += buffer.size() as u64;
        self.keep_head(buffer, key);
    }

    fn hear_parameters(&mut self, bytes: &[u8]) {
        let Some(parameters) = &mut self.parameters else { return };
        parameters.hear(bytes);
        let hex = parameters.to_hex();
        if self.headers.last().is_none_or(|(_, last)| *last != hex) {
            self.headers.push((u32::try_from(self.count).unwrap_or(u32::MAX), hex));
        }
    }

    fn judge(&mut self, bytes: &[u8], key: &mut Key) -> u8 {
        let Some(rules) = &mut self.rules else {
            self.odd.get_or_insert_with(|| "no rule tells from its bits which units show a picture".to_owned());
            return 1;
        };
        match rules.judge(bytes) {
            Ok(verdict) => {
                *key = verdict.key;
                verdict.shows
            }
            Err(odd) => {
                self.odd.get_or_insert_with(|| odd.to_string());
                1
            }
        }
    }

    fn stretch_span(&mut self, at: Option<MediaTime>, duration: Option<MediaTime>) {
        let Some(at) = at else { return };
        let end = at + duration.unwrap_or_default();
        let span = self.span.get_or_insert(Span { start: at, end });
        span.start = span.start.min(at);
        span.end = span.end.max(end);
    }

    /// Whether what a trial decode needs is there; `None`: the track is neither pictures nor sound.
    pub(crate) fn head_is_whole(&self) -> Option<bool> {
        (self.kind != Kind::Other).then_some(self.head.len() >= HEAD_UNITS_MAX || self.head_bytes >= HEAD_BYTES_MAX)
    }

    /// Whether enough is there to tell what the track is.
    pub(crate) fn is_seen(&self) -> bool {
        match self.kind {
            // Field pairs may be two units.
            Kind::Video => self.head_keyed && self.head.len() >= 2,
            Kind::Audio => self.head.len() >= GLANCE_SOUND_UNITS,
            Kind::Other => true,
        }
    }

    fn keep_head(&mut self, buffer: &gst::Buffer, key: Key) {
        if self.kind == Kind::Other {
            return;
        }
        if key != Key::No && !self.head_keyed {
            self.head.clear();
            self.head_keyed = true;
        }
        if self.head.len() < HEAD_UNITS_MAX && self.head_bytes < HEAD_BYTES_MAX {
            self.head_bytes += buffer.size();
            self.head.push(buffer.clone());
        }
    }
}

/// What a title among a stream's own tags is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamTags {
    NameTracks,
    NameFilm,
}

impl StreamTags {
    fn of(pipeline: &gst::Pipeline) -> Self {
        if has(pipeline, "matroskademux") { Self::NameTracks } else { Self::NameFilm }
    }
}

/// The film's sound tracks in the order of their numbers.
pub(crate) fn sound_taps(taps: &[Tap]) -> Vec<Tap> {
    let mut sounds: Vec<Tap> = taps.iter().filter(|tap| tap.heard().kind == Kind::Audio).cloned().collect();
    sounds.sort_by_cached_key(|tap| tap.heard().id.clone());
    sounds
}

/// Longer ones are cut: a tag is no place for a book.
pub(crate) fn short_title(title: &str) -> Option<String> {
    let title: String = title.trim().chars().take(TITLE_CHARS_MAX).collect();
    (!title.is_empty()).then_some(title)
}

/// What a decoder of sound must hear first, and is no sound. FLAC's parser does not flag the magic number.
pub(crate) fn is_header(buffer: &gst::BufferRef) -> bool {
    let is_magic = || buffer.map_readable().is_ok_and(|bytes| bytes.as_slice() == b"fLaC");
    buffer.flags().contains(gst::BufferFlags::HEADER) || (buffer.size() == 4 && is_magic())
}

fn kind_of(caps: &gst::Caps) -> Kind {
    let name = caps.structure(0).map_or("", |s| s.name().as_str());
    match name.split_once('/').map(|(family, _)| family) {
        Some("video" | "image") => Kind::Video,
        Some("audio") => Kind::Audio,
        _ => Kind::Other,
    }
}
