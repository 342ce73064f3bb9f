//! The movie box.

use framefleet_model::language;
use framefleet_model::media::{Mirror, Tags};
use framefleet_model::probe::Shown;
use framefleet_model::time::MediaTime;

use super::Brand;
use super::boxes::Boxes;
use super::chapters;
use super::entries;
use super::fragments;
use super::tables::{Layout, Tables};
use crate::muxing::{Audio, Film};

/// Seconds from 1904, where QuickTime's clock begins, to 1970.
const EPOCH: i64 = 2_082_844_800;
const UNITY: u32 = 0x0001_0000;
const MATRIX: [u32; 9] = [UNITY, 0, 0, 0, UNITY, 0, 0, 0, 0x4000_0000];
const ENABLED: u32 = 1;
const IN_MOVIE: u32 = 2;

/// A track of the movie box but for its samples.
pub(crate) struct TrackPlan {
    pub(crate) kind: TrackKind,
    pub(crate) timescale: u32,
    /// In ticks of the track.
    pub(crate) media_duration: i64,
    pub(crate) edit: Edit,
    pub(crate) layout: Layout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrackKind {
    Video,
    /// By its place among the film's sound tracks.
    Audio(usize),
    Titles,
}

/// Where a track stands on the movie's time line: a hole, then the media from a tick on.
#[derive(Clone, Copy)]
pub(crate) struct Edit {
    pub(crate) hole: MediaTime,
    pub(crate) from: i64,
    pub(crate) duration: MediaTime,
}

pub(crate) struct Movie<'a> {
    pub(crate) film: &'a Film,
    /// Ticks a second of the movie.
    pub(crate) timescale: u32,
    pub(crate) tracks: &'a [TrackPlan],
    pub(crate) brand: Brand,
}

impl Movie<'_> {
    pub(crate) fn to_bytes(&self, tables: &[Tables]) -> Vec<u8> {
        let mut b = Boxes::default();
        b.nest(b"moov", |b| {
            self.put_header(b);
            for (number, (track, tables)) in self.tracks.iter().zip(tables).enumerate() {
                b.nest(b"trak", |b| self.put_track(b, number, (track, tables)));
            }
            if self.brand.is_in_fragments() {
                fragments::put_extends(b, self.ticks(self.end()), self.tracks.iter().map(|track| track.kind));
            }
            self.put_user_data(b);
        });
        b.into_bytes()
    }

    fn created(&self) -> u64 {
        let unix = self.film.tags.created_unix;
        unix.map_or(0, |seconds| seconds.saturating_add(EPOCH).max(0).cast_unsigned())
    }

    fn ticks(&self, time: MediaTime) -> u64 {
        time.to_ticks(self.timescale).max(0).cast_unsigned()
    }

    fn end(&self) -> MediaTime {
        let ends = self.tracks.iter().filter(|track| track.kind != TrackKind::Titles);
        ends.map(|track| track.edit.hole + track.edit.duration).max().unwrap_or(MediaTime::ZERO)
    }

    /// How long what the movie box itself tells of lasts: where there are fragments, it tells of nothing.
    fn told(&self, end: MediaTime) -> u64 {
        if self.brand.is_in_fragments() { 0 } else { self.ticks(end) }
    }

    fn put_header(&self, b: &mut Boxes) {
        b.full(b"mvhd", 1, |b| {
            b.u64(self.created());
            b.u64(self.created());
            b.u32(self.timescale);
            b.u64(self.told(self.end()));
            b.u32(UNITY);
            b.u16(0x0100);
            b.zeros(10);
            MATRIX.iter().for_each(|value| b.u32(*value));
            b.zeros(24);
            b.count(self.tracks.len() + 1);
        });
    }

    fn put_track(&self, b: &mut Boxes, number: usize, (track, tables): (&TrackPlan, &Tables)) {
        self.put_track_header(b, number, track);
        if self.brand != Brand::Cmaf {
            self.put_edits(b, track.edit);
        }
        let titles = self.tracks.iter().position(|track| track.kind == TrackKind::Titles);
        if let (Some(titles), true) = (titles, track.kind != TrackKind::Titles) {
            b.nest(b"tref", |b| b.nest(b"chap", |b| b.count(titles + 1)));
        }
        b.nest(b"mdia", |b| {
            self.put_media_header(b, track);
            self.put_kind(b, track.kind);
            b.nest(b"minf", |b| {
                put_kind_header(b, track.kind);
                b.nest(b"dinf", |b| {
                    b.full(b"dref", 0, |b| {
                        b.u32(1);
                        b.flagged(b"url ", 1, |_| {});
                    });
                });
                b.nest(b"stbl", |b| {
                    self.put_entry(b, track.kind);
                    tables.put(b, &track.layout);
                    let has_samples = !tables.sizes.is_empty();
                    if has_samples && self.audio(track.kind).is_some_and(|audio| audio.priming > 0) {
                        put_preroll(b, tables.sizes.len());
                    }
                });
            });
        });
        if let Some(title) = self.audio(track.kind).and_then(|audio| audio.title.as_ref()) {
            b.nest(b"udta", |b| b.nest(b"name", |b| b.raw(title.as_bytes())));
        }
    }

    /// What a track of sound is of the film.
    fn audio(&self, kind: TrackKind) -> Option<&Audio> {
        match kind {
            TrackKind::Audio(number) => self.film.audio.get(number),
            TrackKind::Video | TrackKind::Titles => None,
        }
    }

    /// Of tracks that stand for one another players play the one that is enabled.
    fn flags(&self, kind: TrackKind) -> u32 {
        match kind {
            TrackKind::Video => ENABLED | IN_MOVIE,
            TrackKind::Audio(_) if self.audio(kind).is_some_and(|audio| audio.shown == Shown::Default) => {
                ENABLED | IN_MOVIE
            }
            TrackKind::Audio(_) => IN_MOVIE,
            TrackKind::Titles => 0,
        }
    }

    fn put_kind(&self, b: &mut Boxes, kind: TrackKind) {
        let (handler, name) = match kind {
            TrackKind::Video => (b"vide", "video"),
            TrackKind::Audio(_) => {
                (b"soun", self.audio(kind).and_then(|audio| audio.title.as_deref()).unwrap_or("sound"))
            }
            TrackKind::Titles => (b"text", "chapters"),
        };
        b.full(b"hdlr", 0, |b| {
            b.u32(0);
            b.raw(handler);
            b.zeros(12);
            b.raw(name.as_bytes());
            b.u8(0);
        });
    }

    fn put_track_header(&self, b: &mut Boxes, number: usize, track: &TrackPlan) {
        let is_sound = self.audio(track.kind).is_some();
        b.flagged(b"tkhd", 1 << 24 | self.flags(track.kind), |b| {
            b.u64(self.created());
            b.u64(self.created());
            b.count(number + 1);
            b.u32(0);
            b.u64(self.told(track.edit.hole + track.edit.duration));
            b.zeros(8);
            b.u16(0);
            // All sound tracks are one group of alternatives, and have a volume.
            b.u16(u16::from(is_sound));
            b.u16(if is_sound { 0x0100 } else { 0 });
            b.u16(0);
            self.matrix(track.kind).iter().for_each(|value| b.u32(*value));
            let (width, height) = self.shown_size(track.kind);
            b.u32(width);
            b.u32(height);
        });
    }

    /// How the pictures are turned, and moved so that they begin at the corner again.
    fn matrix(&self, kind: TrackKind) -> [u32; 9] {
        let Some(video) = self.film.video.as_ref().filter(|_| kind == TrackKind::Video) else { return MATRIX };
        let (sin, cos) = [(0, 1), (1, 0), (0, -1), (-1, 0)][usize::from(video.turn.quarter_turns % 4)];
        let flip = if video.turn.mirror == Mirror::Horizontal { -1 } else { 1 };
        let [a, b, c, d] = [cos * flip, sin * flip, -sin, cos];
        let (width, height) = self.shown_size(kind);
        let unity = |value: i64| ((value << 16) as i32).cast_unsigned();
        // What lies left of or above zero comes to lie at zero.
        let moved = |x: i64, y: i64| {
            let (width, height) = (i64::from(width), i64::from(height));
            let beyond = -(x.min(0) * width + y.min(0) * height);
            u32::try_from(beyond).unwrap_or(0)
        };
        [unity(a), unity(b), 0, unity(c), unity(d), 0, moved(a, c), moved(b, d), MATRIX[8]]
    }

    /// In 16.16, the width stretched by the pixels' shape.
    fn shown_size(&self, kind: TrackKind) -> (u32, u32) {
        match (&self.film.video, kind) {
            (Some(video), TrackKind::Video) => {
                let (num, den) = (u64::from(video.pixel_aspect.num()), u64::from(video.pixel_aspect.den()));
                let width = (u64::from(video.geometry.width) << 16) * num / den;
                (u32::try_from(width).unwrap_or(u32::MAX), video.geometry.height << 16)
            }
            _ => (0, 0),
        }
    }

    fn put_edits(&self, b: &mut Boxes, edit: Edit) {
        let hole = self.ticks(edit.hole);
        b.nest(b"edts", |b| {
            b.full(b"elst", 1, |b| {
                b.u32(if hole > 0 { 2 } else { 1 });
                if hole > 0 {
                    b.u64(hole);
                    b.u64(u64::MAX);
                    b.u32(UNITY);
                }
                // Of fragments, an edit of no length is all that comes: readers differ in where one of them ends.
                b.u64(self.told(edit.hole + edit.duration).saturating_sub(hole));
                b.u64(edit.from.cast_unsigned());
                b.u32(UNITY);
            });
        });
    }

    fn put_media_header(&self, b: &mut Boxes, track: &TrackPlan) {
        let named = match track.kind {
            TrackKind::Video => self.film.video.as_ref().and_then(|video| video.language.as_deref()),
            TrackKind::Audio(_) => self.audio(track.kind).and_then(|audio| audio.language.as_deref()),
            TrackKind::Titles => None,
        };
        b.full(b"mdhd", 1, |b| {
            b.u64(self.created());
            b.u64(self.created());
            b.u32(track.timescale);
            b.u64(track.media_duration.max(0).cast_unsigned());
            b.u16(packed_language(language::three_letters(named)));
            b.u16(0);
        });
        // Three letters say it all; other names, regions and scripts need this.
        if let Some(tag) = named.filter(|tag| tag.len() != 3) {
            b.full(b"elng", 0, |b| {
                b.raw(tag.as_bytes());
                b.u8(0);
            });
        }
    }

    fn put_entry(&self, b: &mut Boxes, kind: TrackKind) {
        b.full(b"stsd", 0, |b| {
            b.u32(1);
            match (kind, &self.film.video, self.audio(kind)) {
                (TrackKind::Video, Some(video), _) => entries::put_video(b, video),
                (_, _, Some(audio)) => entries::put_audio(b, audio, self.brand),
                _ => entries::put_text(b),
            }
        });
    }

    fn put_user_data(&self, b: &mut Boxes) {
        let (tags, chapters) = (&self.film.tags, &self.film.chapters);
        if tags.title.is_none() && chapters.is_empty() {
            return;
        }
        b.nest(b"udta", |b| {
            if !chapters.is_empty() {
                chapters::put_list(b, chapters);
            }
            if let Tags { title: Some(title), .. } = tags {
                put_title(b, title);
            }
        });
    }
}

fn put_kind_header(b: &mut Boxes, kind: TrackKind) {
    match kind {
        TrackKind::Video => b.flagged(b"vmhd", 1, |b| b.zeros(8)),
        TrackKind::Audio(_) => b.full(b"smhd", 0, |b| b.zeros(4)),
        TrackKind::Titles => b.nest(b"gmhd", |b| {
            b.full(b"gmin", 0, |b| {
                b.u16(0x40);
                [0x8000; 3].into_iter().for_each(|colour| b.u16(colour));
                b.zeros(4);
            });
            b.nest(b"text", |b| MATRIX.iter().for_each(|value| b.u32(*value)));
        }),
    }
}

/// Says that a decoder needs the unit before the one that it starts at.
fn put_preroll(b: &mut Boxes, samples: usize) {
    b.full(b"sgpd", 1, |b| {
        b.raw(b"roll");
        b.u32(2);
        b.u32(1);
        b.u16(u16::MAX);
    });
    b.full(b"sbgp", 0, |b| {
        b.raw(b"roll");
        b.u32(1);
        b.count(samples);
        b.u32(1);
    });
}

fn put_title(b: &mut Boxes, title: &str) {
    b.full(b"meta", 0, |b| {
        b.full(b"hdlr", 0, |b| {
            b.u32(0);
            b.raw(b"mdirappl");
            b.zeros(9);
        });
        b.nest(b"ilst", |b| {
            b.nest(b"\xa9nam", |b| {
                b.nest(b"data", |b| {
                    b.u32(1);
                    b.u32(0);
                    b.raw(title.as_bytes());
                });
            });
        });
    });
}

/// Three letters in five bits each.
fn packed_language(letters: [u8; 3]) -> u16 {
    letters.iter().fold(0, |packed, letter| packed << 5 | u16::from(letter.saturating_sub(0x60) & 0x1f))
}
