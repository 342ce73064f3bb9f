//! What muxers are told of decoding: the codecs' own records.

use framefleet_model::fault::Fault;
use framefleet_model::media::VideoCodec;
use framefleet_model::plan::EncodeFormat;

use crate::bitstream::av1;
use crate::pipe::internal;
use crate::segment::SegmentReader;

/// What the encoder's side put down for the muxer; nothing where units say it all.
pub(crate) fn codec_data(caps: &str) -> Result<Vec<u8>, Fault> {
    let caps: gst::Caps = caps.parse().map_err(|_| internal(format!("caps that do not parse: {caps}")))?;
    let data = caps.structure(0).and_then(|s| s.get::<gst::Buffer>("codec_data").ok());
    let map = data.as_ref().and_then(|d| d.map_readable().ok());
    Ok(map.map(|m| m.to_vec()).unwrap_or_default())
}

/// Of pictures, by the first segment that has some. GStreamer 1.22's encoder puts AV1's header into the stream alone.
pub(crate) fn of_pictures(
    segment: &SegmentReader,
    (codec, format): (VideoCodec, &EncodeFormat),
) -> Result<Vec<u8>, Fault> {
    let data = codec_data(&segment.caps)?;
    let Some(unit) = segment.first()?.filter(|_| codec == VideoCodec::Av1 && data.is_empty()) else { return Ok(data) };
    av1::record(&unit, depth(format)).ok_or_else(|| internal("the first AV1 unit has no sequence header"))
}

/// A unit as containers hold it: they say themselves where it begins, so AV1's delimiter is left out (AV1's binding to
/// ISOBMFF, 2.4; GStreamer 1.22's parser loses pictures over it).
pub(crate) fn unit(codec: VideoCodec, data: &[u8]) -> &[u8] {
    match codec {
        VideoCodec::Av1 => data.strip_prefix(&av1::DELIMITER).unwrap_or(data),
        VideoCodec::H264 | VideoCodec::Hevc | VideoCodec::Vp8 | VideoCodec::Vp9 | VideoCodec::Mpeg4 => data,
    }
}

/// Bits of a sample.
pub(crate) fn depth(format: &EncodeFormat) -> u8 {
    if format.layout.contains("_10") { 10 } else { 8 }
}
