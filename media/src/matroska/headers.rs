//! Everything before the first cluster, and the cues after the last.

use framefleet_model::language;
use framefleet_model::media::{AudioCodec, Colour, ColourRange, ContentLight, MasteringDisplay, VideoCodec};
use framefleet_model::probe::Shown;
use framefleet_model::time::{NS_PER_SECOND, scale_round};

use super::ebml::Elements;
use super::{DocType, SCALE_NS, id};
use crate::audio_files::flac_head;
use crate::muxing::{Audio, Film, MuxError, Video, vp9};

/// Seconds from 1970 to 2001, where Matroska's dates begin.
const EPOCH: i64 = 978_307_200;
const APP: &str = "framefleet";
/// What a decoder of Opus needs to hear before it is right (RFC 7845, 4.6).
const OPUS_PREROLL_NS: u64 = 80_000_000;
/// Display sizes are a ratio, not pixels.
const AS_RATIO: u64 = 3;

/// Numbers of the tracks, and Matroska's numbers of their types; more sound tracks have the numbers after the first's.
pub(crate) const VIDEO: u64 = 1;
pub(crate) const AUDIO: u64 = 2;
/// Where the names of sound tracks but the first begin: those of chapters lie below.
const MORE_SOUND: u64 = 1 << 32;

/// A cluster that a player may jump to.
pub(crate) struct Cue {
    /// In ticks.
    pub(crate) at: i64,
    pub(crate) track: u64,
    /// From the segment's first payload byte.
    pub(crate) cluster: u64,
    /// From the cluster's first payload byte.
    pub(crate) block: u64,
}

/// Refuses what has no codec id here.
pub(crate) fn check(film: &Film) -> Result<(), MuxError> {
    match film.video.as_ref().map(|video| video.codec) {
        Some(VideoCodec::Mpeg4) => Err(MuxError::Codec { container: "matroska", codec: "mpeg4" }),
        Some(VideoCodec::H264 | VideoCodec::Hevc | VideoCodec::Vp8 | VideoCodec::Vp9 | VideoCodec::Av1) | None => {
            Ok(())
        }
    }
}

pub(crate) fn ebml_header(doc: DocType) -> Vec<u8> {
    let mut e = Elements::default();
    e.master(id::EBML, |e| {
        e.uint(0x4286, 1);
        e.uint(0x42f7, 1);
        e.uint(0x42f2, 4);
        e.uint(0x42f3, 8);
        e.text(
            0x4282,
            match doc {
                DocType::Matroska => "matroska",
                DocType::Webm => "webm",
            },
        );
        e.uint(0x4287, 4);
        e.uint(0x4285, 2);
    });
    e.into_bytes()
}

pub(crate) fn info(film: &Film) -> Vec<u8> {
    let mut e = Elements::default();
    e.master(id::INFO, |e| {
        e.uint(0x2ad7b1, SCALE_NS.unsigned_abs());
        let end = film.end().ns();
        e.float(0x4489, end as f64 / SCALE_NS as f64);
        if let Some(created) = film.tags.created_unix {
            e.int(0x4461, created.saturating_sub(EPOCH).saturating_mul(NS_PER_SECOND));
        }
        if let Some(title) = &film.tags.title {
            e.text(0x7ba9, title);
        }
        e.text(0x4d80, APP);
        e.text(0x5741, APP);
        e.binary(0x73a4, &uid(film, 0).to_be_bytes().repeat(2));
    });
    e.into_bytes()
}

/// A number that no other part of this film has, never zero.
fn uid(film: &Film, part: u64) -> u64 {
    let hex = film.plan.to_string();
    let base = hex.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(1);
    base.wrapping_add(part).max(1)
}

pub(crate) fn tracks(film: &Film) -> Vec<u8> {
    let mut e = Elements::default();
    e.master(id::TRACKS, |e| {
        if let Some(video) = &film.video {
            e.master(id::TRACK, |e| put_video(e, video, uid(film, VIDEO)));
        }
        for (audio, place) in film.audio.iter().zip(0..) {
            let uid = uid(film, if place == 0 { AUDIO } else { MORE_SOUND + place });
            e.master(id::TRACK, |e| put_audio(e, audio, (AUDIO + place, uid)));
        }
    });
    e.into_bytes()
}

/// What tracks of all kinds say of themselves.
struct Common<'a> {
    number: u64,
    uid: u64,
    kind: u64,
    shown: Shown,
    language: Option<&'a str>,
    title: Option<&'a str>,
}

fn put_common(e: &mut Elements, track: &Common<'_>) {
    let named = track.language;
    e.uint(0xd7, track.number);
    e.uint(0x73c5, track.uid);
    e.uint(0x83, track.kind);
    e.uint(0x88, u64::from(track.shown == Shown::Default));
    e.uint(0x9c, 0);
    if let Some(title) = track.title {
        e.text(0x536e, title);
    }
    let letters = language::three_letters(named);
    e.binary(0x22b59c, &letters);
    if let Some(tag) = named {
        e.text(0x22b59d, tag);
    }
}

fn put_video(e: &mut Elements, video: &Video, uid: u64) {
    let (language, shown) = (video.language.as_deref(), Shown::Default);
    put_common(e, &Common { number: VIDEO, uid, kind: VIDEO, shown, language, title: None });
    e.text(
        0x86,
        match video.codec {
            VideoCodec::H264 => "V_MPEG4/ISO/AVC",
            VideoCodec::Hevc => "V_MPEGH/ISO/HEVC",
            VideoCodec::Vp8 => "V_VP8",
            VideoCodec::Vp9 => "V_VP9",
            VideoCodec::Av1 | VideoCodec::Mpeg4 => "V_AV1",
        },
    );
    if video.codec == VideoCodec::Vp9 {
        e.binary(0x63a2, &vp9_features(video));
    } else if !video.codec_data.is_empty() {
        e.binary(0x63a2, &video.codec_data);
    }
    let frame = scale_round(NS_PER_SECOND, i64::from(video.rate.den()), i64::from(video.rate.num()));
    e.uint(0x23e383, frame.max(1).unsigned_abs());
    e.master(0xe0, |e| {
        e.uint(0xb0, u64::from(video.geometry.width));
        e.uint(0xba, u64::from(video.geometry.height));
        put_display(e, video);
        put_colour(e, video);
    });
}

fn put_display(e: &mut Elements, video: &Video) {
    let (width, height) = (u64::from(video.geometry.width), u64::from(video.geometry.height));
    let (num, den) = (u64::from(video.pixel_aspect.num()), u64::from(video.pixel_aspect.den()));
    if (width * num).is_multiple_of(den) {
        e.uint(0x54b0, width * num / den);
        e.uint(0x54ba, height);
        return;
    }
    let divisor = gcd(width * num, height * den).max(1);
    e.uint(0x54b2, AS_RATIO);
    e.uint(0x54b0, width * num / divisor);
    e.uint(0x54ba, height * den / divisor);
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn put_colour(e: &mut Elements, video: &Video) {
    if video.colour == Colour::UNSPECIFIED && video.mastering.is_none() && video.light.is_none() {
        return;
    }
    e.master(0x55b0, |e| {
        e.uint(0x55b1, u64::from(video.colour.matrix));
        e.uint(
            0x55b9,
            match video.colour.range {
                ColourRange::Limited => 1,
                ColourRange::Full => 2,
            },
        );
        e.uint(0x55ba, u64::from(video.colour.transfer));
        e.uint(0x55bb, u64::from(video.colour.primaries));
        if let Some(ContentLight { max_cll, max_fall }) = video.light {
            e.uint(0x55bc, u64::from(max_cll));
            e.uint(0x55bd, u64::from(max_fall));
        }
        if let Some(mastering) = &video.mastering {
            e.master(0x55d0, |e| put_mastering(e, mastering));
        }
    });
}

fn put_mastering(e: &mut Elements, mastering: &MasteringDisplay) {
    let [red, green, blue] = mastering.primaries;
    let points = [red, green, blue, mastering.white].into_iter().flat_map(|(x, y)| [x, y]);
    for (id, value) in (0x55d1..).zip(points) {
        e.float(id, f64::from(value) / 50_000.0);
    }
    e.float(0x55d9, f64::from(mastering.luminance_max) / 10_000.0);
    e.float(0x55da, f64::from(mastering.luminance_min) / 10_000.0);
}

/// Profile, level, depth and sampling, each as number, length, value (WebM's VP9 codec features).
fn vp9_features(video: &Video) -> Vec<u8> {
    let profile = if video.depth > 8 { 2 } else { 0 };
    vec![1, 1, profile, 2, 1, vp9::level(video), 3, 1, video.depth, 4, 1, 1]
}

fn put_audio(e: &mut Elements, audio: &Audio, (number, uid): (u64, u64)) {
    let (language, title, shown) = (audio.language.as_deref(), audio.title.as_deref(), audio.shown);
    put_common(e, &Common { number, uid, kind: AUDIO, shown, language, title });
    let (id, private) = match audio.codec {
        AudioCodec::Aac => ("A_AAC", audio.codec_data.clone()),
        AudioCodec::Mp3 => ("A_MPEG/L3", Vec::new()),
        AudioCodec::Opus => ("A_OPUS", audio.codec_data.clone()),
        AudioCodec::Vorbis => ("A_VORBIS", audio.codec_data.clone()),
        AudioCodec::Flac => ("A_FLAC", flac_head(audio)),
        AudioCodec::Pcm => ("A_PCM/INT/LIT", Vec::new()),
        AudioCodec::Ac3 => ("A_AC3", Vec::new()),
    };
    e.text(0x86, id);
    if !private.is_empty() {
        e.binary(0x63a2, &private);
    }
    let rate = i64::from(audio.format.rate.max(1));
    let ns = |samples: u64| scale_round(samples.cast_signed(), NS_PER_SECOND, rate).unsigned_abs();
    if audio.codec == AudioCodec::Opus {
        e.uint(0x56aa, ns(u64::from(audio.priming)));
        e.uint(0x56bb, OPUS_PREROLL_NS);
    } else if let Some(length) = audio.units.length() {
        e.uint(0x56bb, if audio.codec == AudioCodec::Aac { ns(length) } else { 0 });
        e.uint(0x23e383, ns(length).max(1));
    }
    e.master(0xe1, |e| {
        e.float(0xb5, f64::from(audio.format.rate));
        e.uint(0x9f, u64::from(audio.format.channels));
        if audio.codec == AudioCodec::Pcm {
            e.uint(0x6264, 16);
        }
    });
}

pub(crate) fn chapters(film: &Film) -> Vec<u8> {
    let mut e = Elements::default();
    if film.chapters.is_empty() {
        return Vec::new();
    }
    e.master(id::CHAPTERS, |e| {
        e.master(0x45b9, |e| {
            e.uint(0x45bc, uid(film, 3));
            for (part, chapter) in (4..).zip(&film.chapters) {
                e.master(0xb6, |e| {
                    e.uint(0x73c4, uid(film, part));
                    e.uint(0x91, chapter.start.ns().max(0).unsigned_abs());
                    e.uint(0x92, chapter.end.ns().max(0).unsigned_abs());
                    e.master(0x80, |e| {
                        e.text(0x85, &chapter.title);
                        e.text(0x437c, "und");
                    });
                });
            }
        });
    });
    e.into_bytes()
}

pub(crate) fn cues(cues: &[Cue]) -> Vec<u8> {
    let mut e = Elements::default();
    e.master(id::CUES, |e| {
        for cue in cues {
            e.master(0xbb, |e| {
                e.uint(0xb3, cue.at.max(0).unsigned_abs());
                e.master(0xb7, |e| {
                    e.uint(0xf7, cue.track);
                    e.uint(0xf1, cue.cluster);
                    e.uint(0xf0, cue.block);
                });
            });
        }
    });
    e.into_bytes()
}

/// Where the parts of the segment lie, counted from its first payload byte; every entry has the same size.
pub(crate) fn seek_head(parts: &[(u32, u64)]) -> Vec<u8> {
    let mut e = Elements::default();
    e.master(id::SEEK_HEAD, |e| {
        for (part, at) in parts {
            e.master(0x4dbb, |e| {
                e.binary(0x53ab, &part.to_be_bytes());
                e.wide_uint(0x53ac, *at);
            });
        }
    });
    e.into_bytes()
}
