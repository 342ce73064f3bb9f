//! Encoders with every setting that matters said aloud, so that a segment's header never depends on a default.

use framefleet_model::fault::Fault;
use framefleet_model::media::{Scan, VideoCodec};
use framefleet_model::pipeline::{Preset, RateControl};
use framefleet_model::plan::VideoRendition;
use gst::prelude::*;

use crate::pipe::make;

/// The elements between raw pictures and coded units, in order.
///
/// ```text
/// h264:  {x264enc} ! video/x-h264,stream-format=avc
/// hevc:  {x265enc} ! {h265parse} ! video/x-h265,stream-format=hvc1
/// ```
pub(crate) fn video(rendition: &VideoRendition) -> Result<Vec<gst::Element>, Fault> {
    match rendition.settings.codec {
        VideoCodec::H264 => Ok(vec![x264(rendition)?, coded("video/x-h264", "avc")?]),
        VideoCodec::Hevc => Ok(vec![x265(rendition)?, make("h265parse")?, coded("video/x-h265", "hvc1")?]),
    }
}

/// The encoder element of a codec, for the engine fingerprint.
pub(crate) fn factory(codec: VideoCodec) -> &'static str {
    match codec {
        VideoCodec::H264 => "x264enc",
        VideoCodec::Hevc => "x265enc",
    }
}

/// The element's property stops one short of the encoder's range.
const QUANTIZER_MAX: u32 = 50;

fn x264(rendition: &VideoRendition) -> Result<gst::Element, Fault> {
    let encoder = make("x264enc")?;
    encoder.set_property_from_str("speed-preset", preset(rendition.settings.preset));
    encoder.set_property("threads", 1_u32);
    encoder.set_property("sliced-threads", false);
    encoder.set_property("key-int-max", rendition.keyframes_max);
    encoder.set_property("byte-stream", false);
    encoder.set_property("insert-vui", true);
    encoder.set_property("aud", false);
    encoder.set_property("interlaced", rendition.format.scan != Scan::Progressive);
    // Without it the encoder holds `pass=qual` to its default bit rate of 2048 kbit/s.
    encoder.set_property("vbv-buf-capacity", 0_u32);
    let mut options = "open-gop=0:intra-refresh=0".to_owned();
    match rendition.settings.rate {
        RateControl::Crf(quality) => {
            encoder.set_property_from_str("pass", "qual");
            encoder.set_property("quantizer", u32::from(quality).min(QUANTIZER_MAX));
            if u32::from(quality) > QUANTIZER_MAX {
                options.push_str(&format!(":crf={quality}"));
            }
        }
        RateControl::Bitrate(bits) => {
            encoder.set_property_from_str("pass", "cbr");
            encoder.set_property("bitrate", (bits / 1000).max(1));
        }
    }
    encoder.set_property("option-string", options);
    Ok(encoder)
}

fn x265(rendition: &VideoRendition) -> Result<gst::Element, Fault> {
    let encoder = make("x265enc")?;
    encoder.set_property_from_str("speed-preset", preset(rendition.settings.preset));
    encoder.set_property("key-int-max", i32::try_from(rendition.keyframes_max).unwrap_or(250));
    let mut options = "open-gop=0:frame-threads=1:pools=none:wpp=0:info=0".to_owned();
    match rendition.settings.rate {
        RateControl::Crf(quality) => options.push_str(&format!(":crf={quality}")),
        RateControl::Bitrate(bits) => encoder.set_property("bitrate", (bits / 1000).max(1)),
    }
    encoder.set_property("option-string", options);
    Ok(encoder)
}

fn coded(media_type: &str, stream_format: &str) -> Result<gst::Element, Fault> {
    let filter = make("capsfilter")?;
    let caps = gst::Caps::builder(media_type).field("stream-format", stream_format).field("alignment", "au").build();
    filter.set_property("caps", caps);
    Ok(filter)
}

fn preset(preset: Preset) -> &'static str {
    preset.name()
}
