//! Encoders of sound, and how their units are counted.

use framefleet_model::fault::Fault;
use framefleet_model::media::AudioCodec;
use framefleet_model::plan::AudioRendition;
use gst::prelude::*;

use crate::pipe::{internal, make};

/// The elements between resampled sound and coded units, in order; none where sound is kept as it is.
///
/// ```text
/// aac     {avenc_aac}        opus   {opusenc}      pcm
/// ac3     {avenc_ac3}        vorbis {vorbisenc}
/// mp3     {lamemp3enc}       flac   {flacenc}
/// ```
pub(crate) fn encoder(rendition: &AudioRendition) -> Result<Option<gst::Element>, Fault> {
    let bits = rendition.settings.bitrate;
    let Some(factory) = factory(rendition.settings.codec) else { return Ok(None) };
    let encoder = make(factory)?;
    match rendition.settings.codec {
        AudioCodec::Aac => {
            encoder.set_property("bitrate", whole(bits));
            encoder.set_property_from_str("threads", "1");
            encoder.set_property_from_str("aac-coder", "twoloop");
        }
        AudioCodec::Ac3 => {
            encoder.set_property("bitrate", whole(bits));
            encoder.set_property_from_str("threads", "1");
        }
        AudioCodec::Mp3 => {
            encoder.set_property_from_str("target", "bitrate");
            encoder.set_property("cbr", true);
            encoder.set_property("bitrate", whole(bits / 1000));
            encoder.set_property_from_str("encoding-engine-quality", "high");
        }
        AudioCodec::Opus => {
            encoder.set_property("bitrate", whole(bits));
            encoder.set_property_from_str("bitrate-type", "vbr");
            encoder.set_property_from_str("audio-type", "generic");
            encoder.set_property_from_str("frame-size", "20");
            encoder.set_property("complexity", 10_i32);
        }
        AudioCodec::Vorbis => encoder.set_property("quality", vorbis_quality(rendition)),
        AudioCodec::Flac => {
            encoder.set_property("blocksize", AudioCodec::Flac.unit_samples(rendition.format.rate).unwrap_or(4096));
        }
        AudioCodec::Pcm => {}
    }
    encoder.set_property("perfect-timestamp", false);
    encoder.set_property("hard-resync", false);
    Ok(Some(encoder))
}

pub(crate) fn factory(codec: AudioCodec) -> Option<&'static str> {
    match codec {
        AudioCodec::Aac => Some("avenc_aac"),
        AudioCodec::Ac3 => Some("avenc_ac3"),
        AudioCodec::Mp3 => Some("lamemp3enc"),
        AudioCodec::Opus => Some("opusenc"),
        AudioCodec::Vorbis => Some("vorbisenc"),
        AudioCodec::Flac => Some("flacenc"),
        AudioCodec::Pcm => None,
    }
}

/// The layout of a sample that an encoder is given, and its bytes.
pub(crate) fn layout(codec: AudioCodec) -> (&'static str, u64) {
    match codec {
        AudioCodec::Aac | AudioCodec::Ac3 | AudioCodec::Vorbis => ("F32LE", 4),
        AudioCodec::Mp3 | AudioCodec::Opus | AudioCodec::Flac | AudioCodec::Pcm => ("S16LE", 2),
    }
}

/// Vorbis has qualities, which stand for bit rates of stereo at 44.1 kHz.
fn vorbis_quality(rendition: &AudioRendition) -> f32 {
    const STEREO: [(f32, f32); 11] = [
        (64_000.0, 0.0),
        (80_000.0, 0.1),
        (96_000.0, 0.2),
        (112_000.0, 0.3),
        (128_000.0, 0.4),
        (160_000.0, 0.5),
        (192_000.0, 0.6),
        (224_000.0, 0.7),
        (256_000.0, 0.8),
        (320_000.0, 0.9),
        (500_000.0, 1.0),
    ];
    let (rate, channels) = (rendition.format.rate.max(1) as f32, f32::from(rendition.format.channels.max(1)));
    let bits = rendition.settings.bitrate as f32 * 2.0 / channels * 44_100.0 / rate;
    let above = STEREO.iter().position(|(known, _)| *known >= bits);
    match above {
        Some(0) => 0.0,
        None => 1.0,
        Some(at) => {
            let ((low, from), (high, to)) = (STEREO[at - 1], STEREO[at]);
            from + (to - from) * (bits - low) / (high - low)
        }
    }
}

/// What a decoder must be told before the first unit, in the form that MP4 (AAC, AC-3) and Matroska (the others) have of
/// it; nothing where units say it all.
pub(crate) fn record(codec: AudioCodec, caps: &gst::CapsRef, first: &[u8]) -> Result<Vec<u8>, Fault> {
    let structure = caps.structure(0).ok_or_else(|| internal("empty caps"))?;
    let missing = || internal(format!("{} gave no header: {caps}", codec.name()));
    match codec {
        AudioCodec::Mp3 | AudioCodec::Pcm => Ok(Vec::new()),
        AudioCodec::Aac => structure.get::<gst::Buffer>("codec_data").ok().and_then(bytes).ok_or_else(missing),
        AudioCodec::Ac3 => dac3(first).map(|record| record.to_vec()).ok_or_else(missing),
        AudioCodec::Opus => headers(structure).into_iter().next().ok_or_else(missing),
        AudioCodec::Flac => {
            // 13 bytes of Ogg mapping stand before the block, 4 of its own head in front of it.
            let mapped = headers(structure).into_iter().next().ok_or_else(missing)?;
            mapped.get(17..51).map(<[u8]>::to_vec).ok_or_else(missing)
        }
        AudioCodec::Vorbis => {
            let headers = headers(structure);
            let [first, comment, setup] = headers.as_slice() else { return Err(missing()) };
            let mut record = vec![2];
            record.extend(lacing(first.len()));
            record.extend(lacing(comment.len()));
            Ok([record, first.clone(), comment.clone(), setup.clone()].concat())
        }
    }
}

/// The caps of coded units with that record, and without the headers that an encoder or a demuxer gave.
pub(crate) fn header(codec: AudioCodec, caps: &gst::CapsRef, first: &[u8]) -> Result<gst::Caps, Fault> {
    let record = record(codec, caps, first)?;
    let mut ours = caps.to_owned();
    if let Some(structure) = ours.make_mut().structure_mut(0) {
        structure.remove_field("streamheader");
        if !record.is_empty() {
            structure.set("codec_data", gst::Buffer::from_slice(record));
        }
    }
    Ok(ours)
}

/// A length in Xiph's lacing: as many 255 as fit, then the rest.
pub(crate) fn lacing(length: usize) -> Vec<u8> {
    let mut lace = vec![255; length / 255];
    lace.push((length % 255) as u8);
    lace
}

fn headers(structure: &gst::StructureRef) -> Vec<Vec<u8>> {
    let array = structure.get::<gst::Array>("streamheader");
    let buffers = array.iter().flat_map(|array| array.iter()).filter_map(|value| value.get::<gst::Buffer>().ok());
    buffers.filter_map(bytes).collect()
}

fn bytes(buffer: gst::Buffer) -> Option<Vec<u8>> {
    buffer.map_readable().ok().map(|map| map.to_vec())
}

/// The payload of MP4's box of this name, by the head of a sync frame (ETSI TS 102 366, 4.4.1 and F.4).
fn dac3(frame: &[u8]) -> Option<[u8; 3]> {
    let head = frame.get(..8).filter(|head| head[..2] == [0x0b, 0x77])?;
    let bits = head[4..8].iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
    let field = |at: u32, length: u32| bits >> (32 - at - length) & ((1 << length) - 1);
    let (fscod, frmsizecod, bsid, bsmod, acmod) = (field(0, 2), field(2, 6), field(8, 5), field(13, 3), field(16, 3));
    let mut lfe_at = 19;
    if acmod & 1 != 0 && acmod != 1 {
        lfe_at += 2;
    }
    if acmod & 4 != 0 {
        lfe_at += 2;
    }
    if acmod == 2 {
        lfe_at += 2;
    }
    let packed = fscod << 22 | bsid << 17 | bsmod << 14 | acmod << 11 | field(lfe_at, 1) << 10 | (frmsizecod >> 1) << 5;
    let [_, record @ ..] = packed.to_be_bytes();
    Some(record)
}

fn whole(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_frame_tells_its_box() {
        // 48 kHz, 192 kbit/s, bsid 8, stereo.
        let frame = [0x0b, 0x77, 0, 0, 0x14, 0x40, 0x43, 0xff];
        assert_eq!(dac3(&frame), Some([0x10, 0x11, 0x40]));
        assert_eq!(dac3(&frame[..7]), None);
        assert_eq!(dac3(&[0; 8]), None);
    }

    #[test]
    fn lengths_are_laced() {
        assert_eq!(
            [lacing(0), lacing(254), lacing(255), lacing(510)],
            [vec![0], vec![254], vec![255, 0], vec![255, 255, 0]]
        );
    }
}
