//! Sample entries: how the samples of a track are to be decoded and shown.

use framefleet_model::media::{Colour, ColourRange, ContentLight, MasteringDisplay, VideoCodec};

use super::boxes::Boxes;
use crate::muxing::{Audio, Video};

const AAC: u8 = 0x40;
const AUDIO_STREAM: u8 = 0x15;
/// 72 dots an inch, in 16.16.
const RESOLUTION: u32 = 0x0048_0000;
const DEPTH: u16 = 0x18;

pub(crate) fn put_video(b: &mut Boxes, video: &Video) {
    let (entry, record) = match video.codec {
        VideoCodec::H264 => (b"avc1", b"avcC"),
        VideoCodec::Hevc => (b"hvc1", b"hvcC"),
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
        b.nest(record, |b| b.raw(&video.codec_data));
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

pub(crate) fn put_audio(b: &mut Boxes, audio: &Audio) {
    b.nest(b"mp4a", |b| {
        b.zeros(6);
        b.u16(1);
        b.zeros(8);
        b.u16(audio.format.channels);
        b.u16(16);
        b.u32(0);
        // A rate that does not fit stands in the codec data alone.
        b.u16(u16::try_from(audio.format.rate).unwrap_or(0));
        b.u16(0);
        b.full(b"esds", 0, |b| put_elementary_stream(b, audio));
    });
}

fn put_elementary_stream(b: &mut Boxes, audio: &Audio) {
    let specific = audio.codec_data.len();
    put_descriptor(b, 3, 3 + 5 + 13 + 5 + specific + 5 + 1);
    b.u16(0);
    b.u8(0);
    put_descriptor(b, 4, 13 + 5 + specific);
    b.u8(AAC);
    b.u8(AUDIO_STREAM);
    b.zeros(3);
    b.u32(audio.bitrate);
    b.u32(audio.bitrate);
    put_descriptor(b, 5, specific);
    b.raw(&audio.codec_data);
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
