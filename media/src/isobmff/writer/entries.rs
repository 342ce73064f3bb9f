//! Sample entries: how the samples of a track are to be decoded and shown.

use framefleet_model::media::{AudioCodec, Colour, ColourRange, ContentLight, MasteringDisplay, VideoCodec};

use super::Brand;
use super::boxes::Boxes;
use crate::audio_files::loudspeakers;
use crate::muxing::{Audio, Film, MuxError, Video, vp9};

/// Object types of ISO/IEC 14496-1, table 5.
const AAC: u8 = 0x40;
const MPEG2_SOUND: u8 = 0x69;
const MPEG1_SOUND: u8 = 0x6b;
const AUDIO_STREAM: u8 = 0x15;
/// 72 dots an inch, in 16.16.
const RESOLUTION: u32 = 0x0048_0000;
const DEPTH: u16 = 0x18;

/// Refuses what has no sample entry here.
pub(crate) fn check(film: &Film, brand: Brand) -> Result<(), MuxError> {
    let refuse = |codec| Err(MuxError::Codec { container: "mp4", codec });
    match film.video.as_ref().map(|video| video.codec) {
        Some(codec @ (VideoCodec::Vp8 | VideoCodec::Mpeg4)) => return refuse(codec.name()),
        Some(VideoCodec::H264 | VideoCodec::Hevc | VideoCodec::Vp9 | VideoCodec::Av1) | None => {}
    }
    film.audio.iter().try_for_each(|audio| match audio.codec {
        AudioCodec::Pcm if brand == Brand::QuickTime => Ok(()),
        codec @ (AudioCodec::Opus | AudioCodec::Vorbis | AudioCodec::Flac | AudioCodec::Pcm) => refuse(codec.name()),
        AudioCodec::Aac | AudioCodec::Mp3 | AudioCodec::Ac3 => Ok(()),
    })
}

pub(crate) fn put_video(b: &mut Boxes, video: &Video) {
    let (entry, record) = match video.codec {
        VideoCodec::H264 => (b"avc1", b"avcC"),
        VideoCodec::Hevc => (b"hvc1", b"hvcC"),
        VideoCodec::Av1 => (b"av01", b"av1C"),
        VideoCodec::Vp9 | VideoCodec::Vp8 | VideoCodec::Mpeg4 => (b"vp09", b"vpcC"),
    };
    b.nest(entry, |b| {
        b.zeros(6);
        b.u16(1);
        b.zeros(16);
        b.u16(u16::try_from(video.geometry.width).unwrap_or(u16::MAX));
        b.u16(u16::try_from(video.geometry.height).unwrap_or(u16::MAX));
        b.u32(RESOLUTION);
        b.u32(RESOLUTION);
        b.u32(0);
        b.u16(1);
        b.zeros(32);
        b.u16(DEPTH);
        b.u16(u16::MAX);
        if video.codec == VideoCodec::Vp9 {
            b.full(record, 1, |b| b.raw(&vp9::record(video)));
        } else {
            b.nest(record, |b| b.raw(&video.codec_data));
        }
        b.nest(b"pasp", |b| {
            b.u32(video.pixel_aspect.num());
            b.u32(video.pixel_aspect.den());
        });
        if video.colour != Colour::UNSPECIFIED {
            put_colour(b, video.colour);
        }
        if let Some(mastering) = &video.mastering {
            put_mastering(b, mastering);
        }
        if let Some(light) = video.light {
            put_light(b, light);
        }
    });
}

fn put_colour(b: &mut Boxes, colour: Colour) {
    b.nest(b"colr", |b| {
        b.raw(b"nclx");
        b.u16(u16::from(colour.primaries));
        b.u16(u16::from(colour.transfer));
        b.u16(u16::from(colour.matrix));
        b.u8(match colour.range {
            ColourRange::Limited => 0,
            ColourRange::Full => 0x80,
        });
    });
}

/// Green, blue, red: the order of the SEI message that the box copies.
fn put_mastering(b: &mut Boxes, mastering: &MasteringDisplay) {
    let [red, green, blue] = mastering.primaries;
    b.nest(b"mdcv", |b| {
        for (x, y) in [green, blue, red, mastering.white] {
            b.u16(x);
            b.u16(y);
        }
        b.u32(mastering.luminance_max);
        b.u32(mastering.luminance_min);
    });
}

fn put_light(b: &mut Boxes, light: ContentLight) {
    b.nest(b"clli", |b| {
        b.u16(light.max_cll);
        b.u16(light.max_fall);
    });
}

pub(crate) fn put_audio(b: &mut Boxes, audio: &Audio, brand: Brand) {
    if audio.codec == AudioCodec::Pcm {
        return put_pcm(b, audio);
    }
    let entry = if audio.codec == AudioCodec::Ac3 { b"ac-3" } else { b"mp4a" };
    b.nest(entry, |b| {
        b.zeros(6);
        b.u16(1);
        // QuickTime knows compressed sound by the second version of its entry.
        b.u16(u16::from(brand == Brand::QuickTime));
        b.zeros(6);
        b.u16(audio.format.channels);
        b.u16(16);
        b.u32(if brand == Brand::QuickTime { 0xfffe_0000 } else { 0 });
        // A rate that does not fit stands in the codec data alone.
        b.u16(u16::try_from(audio.format.rate).unwrap_or(0));
        b.u16(0);
        if audio.codec == AudioCodec::Ac3 {
            return b.nest(b"dac3", |b| b.raw(&audio.codec_data));
        }
        if brand != Brand::QuickTime {
            return b.full(b"esds", 0, |b| put_elementary_stream(b, audio));
        }
        [u32::try_from(audio.units.length().unwrap_or(0)).unwrap_or(0), 0, 0, 2].into_iter().for_each(|v| b.u32(v));
        b.nest(b"wave", |b| {
            b.nest(b"frma", |b| b.raw(b"mp4a"));
            b.nest(b"mp4a", |b| b.u32(0));
            b.full(b"esds", 0, |b| put_elementary_stream(b, audio));
            b.nest(&[0; 4], |_| {});
        });
    });
}

/// QuickTime's little-endian samples of 16 bits; more than two channels, or a rate that does not fit, have the second
/// version of the entry (QuickTime File Format, sound sample descriptions).
fn put_pcm(b: &mut Boxes, audio: &Audio) {
    let rate = audio.format.rate;
    let channels = audio.format.channels;
    let is_plain = channels <= 2 && u16::try_from(rate).is_ok();
    b.nest(if is_plain { b"sowt" } else { b"lpcm" }, |b| {
        b.zeros(6);
        b.u16(1);
        if is_plain {
            b.zeros(8);
            b.u16(channels);
            b.u16(16);
            b.u32(0);
            b.u16(u16::try_from(rate).unwrap_or(0));
            return b.u16(0);
        }
        b.u16(2);
        b.zeros(6);
        b.u16(3);
        b.u16(16);
        b.u16(0xfffe);
        b.u16(0);
        b.u32(0x0001_0000);
        b.u32(72);
        b.u64(f64::from(rate).to_bits());
        b.u32(u32::from(channels));
        b.u32(0x7f00_0000);
        b.u32(16);
        // Signed and packed.
        b.u32(0x0c);
        b.u32(2 * u32::from(channels));
        b.u32(1);
        if let Some(mask) = loudspeakers(channels) {
            // A bitmap instead of a number of layouts, and no descriptions.
            b.full(b"chan", 0, |b| [0x0001_0000, mask, 0].into_iter().for_each(|value| b.u32(value)));
        }
    });
}

fn put_elementary_stream(b: &mut Boxes, audio: &Audio) {
    let specific = audio.codec_data.len();
    let told = if specific > 0 { 5 + specific } else { 0 };
    put_descriptor(b, 3, 3 + 5 + 13 + told + 5 + 1);
    b.u16(0);
    b.u8(0);
    put_descriptor(b, 4, 13 + told);
    b.u8(match audio.codec {
        AudioCodec::Mp3 if audio.format.rate < 32_000 => MPEG2_SOUND,
        AudioCodec::Mp3 => MPEG1_SOUND,
        _ => AAC,
    });
    b.u8(AUDIO_STREAM);
    b.zeros(3);
    b.u32(audio.bitrate);
    b.u32(audio.bitrate);
    if specific > 0 {
        put_descriptor(b, 5, specific);
        b.raw(&audio.codec_data);
    }
    put_descriptor(b, 6, 1);
    b.u8(2);
}

/// Tag and size, the size in four bytes of seven bits.
fn put_descriptor(b: &mut Boxes, tag: u8, size: usize) {
    b.u8(tag);
    for shift in [21, 14, 7] {
        b.u8(0x80 | (size >> shift & 0x7f) as u8);
    }
    b.u8((size & 0x7f) as u8);
}

/// A QuickTime text sample entry: nothing in it matters for chapter titles.
pub(crate) fn put_text(b: &mut Boxes) {
    b.nest(b"text", |b| {
        b.zeros(6);
        b.u16(1);
        b.zeros(43);
        b.zeros(1);
    });
}
