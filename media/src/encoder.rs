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
/// h264:   {x264enc} ! video/x-h264,stream-format=avc
/// hevc:   {x265enc}
/// av1:    {av1enc} ! {av1parse} ! video/x-av1,stream-format=obu-stream
/// vp8:    {vp8enc}
/// vp9:    {vp9enc}
/// mpeg4:  {avenc_mpeg4}
/// ```
pub(crate) fn video(rendition: &VideoRendition, course: Course) -> Result<Vec<gst::Element>, Fault> {
    match rendition.settings.codec {
        VideoCodec::H264 => Ok(vec![x264(rendition, course)?, coded("video/x-h264", "avc", "au")?]),
        VideoCodec::Hevc => Ok(vec![x265(rendition, course)?]),
        VideoCodec::Av1 => Ok(vec![aom(rendition)?, make("av1parse")?, coded("video/x-av1", "obu-stream", "tu")?]),
        VideoCodec::Vp8 | VideoCodec::Vp9 => Ok(vec![vpx(rendition)?]),
        VideoCodec::Mpeg4 => Ok(vec![mpeg4(rendition)?]),
    }
}

/// How a segment is gone through.
#[derive(Clone, Copy)]
pub(crate) struct Course {
    pub(crate) pass: Pass,
    /// A second, where an average is asked for.
    pub(crate) kilobits: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    Only,
    /// To see what each picture needs.
    First,
    Second,
}

/// The bound of x265enc; that of x264enc is higher.
pub(crate) const KILOBITS_MAX: u32 = 102_400;

/// What a first pass saw, in the folder that the child works in.
pub(crate) fn seen(rendition: &VideoRendition) -> String {
    format!("seen-{}", rendition.number)
}

/// The encoder element of a codec, for the engine fingerprint.
pub(crate) fn factory(codec: VideoCodec) -> &'static str {
    match codec {
        VideoCodec::H264 => "x264enc",
        VideoCodec::Hevc => "x265enc",
        VideoCodec::Vp8 => "vp8enc",
        VideoCodec::Vp9 => "vp9enc",
        VideoCodec::Av1 => "av1enc",
        VideoCodec::Mpeg4 => "avenc_mpeg4",
    }
}

/// Whether an encoder stamps its units; one that does not gives them in the order of its pictures.
pub(crate) fn keeps_time(codec: VideoCodec) -> bool {
    match codec {
        VideoCodec::H264 | VideoCodec::Hevc | VideoCodec::Vp8 | VideoCodec::Vp9 | VideoCodec::Av1 => true,
        // GStreamer 1.22 stamps all of libav's MPEG-4 units alike.
        VideoCodec::Mpeg4 => false,
    }
}

/// The longest buffer that the element takes.
const BUFFER_MS_MAX: u32 = 10_000;
/// The element's property stops one short of the encoder's range.
const QUANTIZER_MAX: u32 = 50;

fn x264(rendition: &VideoRendition, course: Course) -> Result<gst::Element, Fault> {
    let encoder = make("x264enc")?;
    encoder.set_property_from_str("speed-preset", rendition.settings.preset.name());
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
    if cfg!(feature = "other-headers") {
        options.push_str(":sps-id=1");
    }
    if rendition.reorder_depth == 0 {
        options.push_str(":bframes=0");
    }
    match rendition.settings.rate {
        RateControl::Crf(quality) => {
            encoder.set_property_from_str("pass", "qual");
            encoder.set_property("quantizer", u32::from(quality).min(QUANTIZER_MAX));
            if u32::from(quality) > QUANTIZER_MAX {
                options.push_str(&format!(":crf={quality}"));
            }
        }
        RateControl::Bitrate(_) => {
            let pass = match course.pass {
                Pass::Only => "cbr",
                Pass::First => "pass1",
                Pass::Second => "pass2",
            };
            encoder.set_property_from_str("pass", pass);
            encoder.set_property("multipass-cache-file", seen(rendition));
            // Headers must not depend on what is in the segment.
            options.push_str(":stitchable=1");
            encoder.set_property("bitrate", course.kilobits);
        }
    }
    if let Some(vbv) = rendition.vbv {
        let most = (vbv.rate / 1000).max(1);
        let capacity = match rendition.settings.rate {
            RateControl::Crf(_) => {
                encoder.set_property("bitrate", most);
                vbv.buffer_ms
            }
            // The element fills the buffer at the average, whatever it is told: as many bits are longer then.
            RateControl::Bitrate(_) => {
                let length = u64::from(vbv.buffer_ms) * u64::from(most) / u64::from(course.kilobits.max(1));
                u32::try_from(length).unwrap_or(u32::MAX).min(BUFFER_MS_MAX)
            }
        };
        encoder.set_property("vbv-buf-capacity", capacity);
        options.push_str(&format!(":vbv-init=0.{:02}", vbv.start_percent));
    }
    if let Some(level) = rendition.level {
        options.push_str(&format!(":level={}.{}", level / 10, level % 10));
    }
    encoder.set_property("option-string", options);
    Ok(encoder)
}

fn x265(rendition: &VideoRendition, course: Course) -> Result<gst::Element, Fault> {
    let encoder = make("x265enc")?;
    encoder.set_property_from_str("speed-preset", rendition.settings.preset.name());
    encoder.set_property("key-int-max", whole(rendition.keyframes_max));
    let mut options = "open-gop=0:frame-threads=1:pools=none:wpp=0:info=0".to_owned();
    match rendition.settings.rate {
        RateControl::Crf(quality) => options.push_str(&format!(":crf={quality}")),
        RateControl::Bitrate(_) => {
            encoder.set_property("bitrate", course.kilobits);
            match course.pass {
                Pass::Only => {}
                Pass::First => options.push_str(&format!(":pass=1:stats={}", seen(rendition))),
                Pass::Second => options.push_str(&format!(":pass=2:stats={}", seen(rendition))),
            }
        }
    }
    if let Some(vbv) = rendition.vbv {
        let rate = (vbv.rate / 1000).max(1);
        let size = (u64::from(rate) * u64::from(vbv.buffer_ms) / 1000).max(1);
        options.push_str(&format!(":vbv-maxrate={rate}:vbv-bufsize={size}:vbv-init=0.{:02}", vbv.start_percent));
    }
    if let Some(level) = rendition.level {
        options.push_str(&format!(":level-idc={}.{}", level / 10, level % 10));
    }
    encoder.set_property("option-string", options);
    Ok(encoder)
}

/// What libvpx and libaom are told of a preset: whether they work to a deadline, and how much they leave out.
struct Speed {
    deadline: Deadline,
    cpu_used: i32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Deadline {
    Realtime,
    Good,
}

/// Both libraries' scale: 0 is the slowest that is worth its time.
fn speed(preset: Preset) -> Speed {
    let (deadline, cpu_used) = match preset {
        Preset::Ultrafast => (Deadline::Realtime, 8),
        Preset::Superfast => (Deadline::Realtime, 7),
        Preset::Veryfast => (Deadline::Realtime, 6),
        Preset::Faster => (Deadline::Good, 5),
        Preset::Fast | Preset::Medium => (Deadline::Good, 4),
        Preset::Slow => (Deadline::Good, 2),
        Preset::Slower => (Deadline::Good, 1),
        Preset::Veryslow => (Deadline::Good, 0),
    };
    Speed { deadline, cpu_used }
}

/// Pictures that libvpx and libaom look ahead at, to make hidden ones of them that several refer to.
const LAG: u8 = 25;
/// What GStreamer's element may leave in the encoder at the end: it asks for the rest once, and libvpx then gives what its
/// buffer holds. Pictures that come after push everything out before.
pub(crate) fn left_behind(rendition: &VideoRendition) -> u8 {
    let looks_ahead = speed(rendition.settings.preset).deadline == Deadline::Good;
    if rendition.settings.codec == VideoCodec::Vp9 && looks_ahead { LAG } else { 0 }
}

const TICKS_PER_SECOND: i32 = 90_000;

fn vpx(rendition: &VideoRendition) -> Result<gst::Element, Fault> {
    let codec = rendition.settings.codec;
    let encoder = make(factory(codec))?;
    let Speed { deadline, cpu_used } = speed(rendition.settings.preset);
    encoder.set_property("deadline", if deadline == Deadline::Realtime { 1_i64 } else { 1_000_000 });
    // In real time VP8 takes a positive speed for a hint, and chooses by the clock.
    let fixed = codec == VideoCodec::Vp8 && deadline == Deadline::Realtime;
    encoder.set_property("cpu-used", if fixed { -cpu_used } else { cpu_used });
    encoder.set_property("threads", 1_i32);
    encoder.set_property("keyframe-max-dist", whole(rendition.keyframes_max));
    // VP8 would give hidden pictures as units of their own, and without them there is no use in looking ahead.
    encoder.set_property("lag-in-frames", i32::from(left_behind(rendition)));
    encoder.set_property("auto-alt-ref", left_behind(rendition) > 0);
    encoder.set_property("min-quantizer", 0_i32);
    encoder.set_property("max-quantizer", 63_i32);
    // The rate's own would be too coarse for pictures of uneven times.
    encoder.set_property("timebase", gst::Fraction::new(1, TICKS_PER_SECOND));
    if codec == VideoCodec::Vp9 {
        encoder.set_property("row-mt", false);
    }
    match rendition.settings.rate {
        RateControl::Crf(quality) => {
            encoder.set_property_from_str("end-usage", "cq");
            encoder.set_property("cq-level", i32::from(quality));
            // Constant quality is bounded by the target: one that no film reaches.
            encoder.set_property("target-bitrate", i32::MAX / 2);
        }
        RateControl::Bitrate(bits) => {
            encoder.set_property_from_str("end-usage", "vbr");
            encoder.set_property("target-bitrate", whole(bits));
        }
    }
    Ok(encoder)
}

fn aom(rendition: &VideoRendition) -> Result<gst::Element, Fault> {
    let encoder = make("av1enc")?;
    let Speed { deadline, cpu_used } = speed(rendition.settings.preset);
    let profile = if deadline == Deadline::Realtime { "realtime" } else { "good-quality" };
    encoder.set_property_from_str("usage-profile", profile);
    encoder.set_property("cpu-used", cpu_used);
    encoder.set_property("threads", 1_u32);
    encoder.set_property("row-mt", false);
    encoder.set_property("keyframe-max-dist", whole(rendition.keyframes_max));
    encoder.set_property("lag-in-frames", if deadline == Deadline::Realtime { 0 } else { u32::from(LAG) });
    match rendition.settings.rate {
        // The element has no property for libaom's level of constant quality: both its bounds are.
        RateControl::Crf(quality) => {
            encoder.set_property_from_str("end-usage", "q");
            encoder.set_property("min-quantizer", u32::from(quality));
            encoder.set_property("max-quantizer", u32::from(quality));
        }
        RateControl::Bitrate(bits) => {
            encoder.set_property_from_str("end-usage", "vbr");
            encoder.set_property("target-bitrate", (bits / 1000).max(1));
        }
    }
    Ok(encoder)
}

fn mpeg4(rendition: &VideoRendition) -> Result<gst::Element, Fault> {
    let encoder = make("avenc_mpeg4")?;
    encoder.set_property("max-bframes", 0_i32);
    encoder.set_property("gop-size", whole(rendition.keyframes_max));
    encoder.set_property_from_str("threads", "1");
    match rendition.settings.rate {
        RateControl::Crf(quality) => {
            encoder.set_property_from_str("pass", "quant");
            encoder.set_property("quantizer", f32::from(quality));
        }
        RateControl::Bitrate(bits) => encoder.set_property("bitrate", whole(bits)),
    }
    Ok(encoder)
}

fn whole(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn coded(media_type: &str, stream_format: &str, alignment: &str) -> Result<gst::Element, Fault> {
    let filter = make("capsfilter")?;
    let caps = gst::Caps::builder(media_type).field("stream-format", stream_format).field("alignment", alignment);
    filter.set_property("caps", caps.build());
    Ok(filter)
}
