//! MPEG transport streams, by GStreamer's muxer, which draws nothing at random.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::language;
use framefleet_model::media::{AudioCodec, VideoCodec};
use framefleet_model::time::MediaTime;
use gst::prelude::*;

use crate::child::Teller;
use crate::merge::inputs::{Inputs, PictureInput};
use crate::merge::sound::SoundInput;
use crate::pipe::{Pipe, internal, make};
use crate::segment::{Entry, Sync};

/// DTS and priming lie before zero; a pipeline's clock does not.
const BASE: MediaTime = MediaTime::from_secs(1000 * 3600);
const AHEAD_BYTES: u64 = 8 << 20;
/// What stands before the stream's zero is left out. AAC's first unit is all priming; others' hold sound, and zero comes as
/// much earlier.
/// Pads of the muxer are named after the streams' identifiers; the pictures' is 256.
const FIRST_SOUND_PID: u16 = 257;
const HEADROOM: MediaTime = MediaTime::from_secs(1);

/// ```text
/// pictures ─▶ {appsrc} ! {h264parse} ! byte-stream ! {queue} ! sink_256 {mpegtsmux} ! {filesink}
/// sound ────▶ {appsrc} ! {aacparse} ! adts ! {queue} ! sink_257, and so on for each track
/// ```
pub(crate) fn mux(inputs: &mut Inputs, path: &Path, teller: &Teller) -> Result<(), Fault> {
    let pipe = Pipe::new();
    let muxer = make("mpegtsmux")?;
    let sink = make("filesink")?;
    sink.set_property("location", path.to_string_lossy().as_ref());
    sink.set_property("async", false);
    pipe.chain(&[&muxer, &sink])?;
    let pictures = inputs.pictures.as_mut().map(|p| Ok::<_, Fault>((video_row(&pipe, &muxer, p)?, p))).transpose()?;
    let sounds = inputs.sounds.iter_mut().zip(FIRST_SOUND_PID..);
    let sounds = sounds.map(|(s, pid)| Ok::<_, Fault>((audio_row(&pipe, (&muxer, pid), s)?, s)));
    let sounds = sounds.collect::<Result<Vec<_>, _>>()?;
    pipe.play()?;
    let zero = inputs_zero(sounds.iter().map(|(_, input)| &**input));
    let pushed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let (pipe, pushed) = (&pipe, &pushed);
        let video = pictures
            .map(|(source, input)| scope.spawn(move || pipe.or_end(push_pictures((&source, pushed, zero), input))));
        let push = |(source, input)| scope.spawn(move || pipe.or_end(push_sound((&source, pushed, zero), input)));
        let audio: Vec<_> = sounds.into_iter().map(push).collect();
        let ended = pipe.wait_end(|| teller.step(pushed.load(Ordering::Relaxed), MediaTime::ZERO));
        // Pushing threads may wait for room in a pipeline that no longer moves.
        let _ = pipe.element().set_state(gst::State::Null);
        let pushed = video
            .into_iter()
            .chain(audio)
            .map(|t| t.join().unwrap_or_else(|_| Err(internal("a pushing thread panicked"))));
        let pushed: Result<(), Fault> = pushed.collect();
        ended.and(pushed)
    })
}

fn video_row(pipe: &Pipe, muxer: &gst::Element, input: &PictureInput) -> Result<gst_app::AppSrc, Fault> {
    let (parser, media_type) = match input.rendition.settings.codec {
        VideoCodec::H264 => ("h264parse", "video/x-h264"),
        VideoCodec::Hevc => ("h265parse", "video/x-h265"),
        codec @ (VideoCodec::Vp8 | VideoCodec::Vp9 | VideoCodec::Av1 | VideoCodec::Mpeg4) => {
            return Err(Fault::new(FaultKind::Settings, format!("ts holds no {}", codec.name())));
        }
    };
    let parser = make(parser)?;
    parser.set_property("config-interval", -1_i32);
    let stream = gst::Caps::builder(media_type).field("stream-format", "byte-stream").field("alignment", "au").build();
    row(pipe, (&input.caps, &parser, &stream), (muxer, "sink_256"))
}

fn audio_row(pipe: &Pipe, (muxer, pid): (&gst::Element, u16), input: &SoundInput) -> Result<gst_app::AppSrc, Fault> {
    let mpeg = |version: i32| gst::Caps::builder("audio/mpeg").field("mpegversion", version);
    let (parser, stream) = match input.rendition.settings.codec {
        AudioCodec::Aac => ("aacparse", mpeg(4).field("stream-format", "adts").build()),
        AudioCodec::Mp3 => ("mpegaudioparse", mpeg(1).build()),
        AudioCodec::Ac3 => ("ac3parse", gst::Caps::builder("audio/x-ac3").build()),
        codec @ (AudioCodec::Opus | AudioCodec::Vorbis | AudioCodec::Flac | AudioCodec::Pcm) => {
            return Err(Fault::new(FaultKind::Settings, format!("ts holds no {}", codec.name())));
        }
    };
    let source = row(pipe, (&input.track.caps, &make(parser)?, &stream), (muxer, &format!("sink_{pid}")))?;
    if let Some(language) = &input.rendition.language {
        tell_language(&source, language)?;
    }
    Ok(source)
}

fn row(
    pipe: &Pipe,
    (caps, parser, stream): (&str, &gst::Element, &gst::Caps),
    (muxer, pad): (&gst::Element, &str),
) -> Result<gst_app::AppSrc, Fault> {
    let source = crate::decode::appsrc(caps)?;
    source.set_max_bytes(AHEAD_BYTES);
    source.set_property("handle-segment-change", true);
    let filter = make("capsfilter")?;
    filter.set_property("caps", stream);
    let queue = make("queue")?;
    queue.set_property("max-size-buffers", 0_u32);
    queue.set_property("max-size-time", 0_u64);
    queue.set_property("max-size-bytes", 16_u32 << 20);
    pipe.chain(&[source.upcast_ref(), parser, &filter, &queue])?;
    let target = muxer.request_pad_simple(pad).ok_or_else(|| internal(format!("mpegtsmux has no pad {pad}")))?;
    let out = queue.static_pad("src").ok_or_else(|| internal("a queue without a source pad"))?;
    out.link(&target).map_err(|e| internal(format!("cannot link mpegtsmux: {e:?}")))?;
    Ok(source)
}

/// The muxer puts three letters into the program's map (ISO/IEC 13818-1 2.6.18).
fn tell_language(source: &gst_app::AppSrc, named: &str) -> Result<(), Fault> {
    let letters = language::three_letters(Some(named));
    let letters = std::str::from_utf8(&letters).map_err(|e| internal(e.to_string()))?;
    let mut tags = gst::TagList::new();
    tags.make_mut().add::<gst::tags::LanguageCode>(&letters, gst::TagMergeMode::Replace);
    // Ahead of the first unit, by which the muxer puts the stream on its map.
    if source.send_event(gst::event::Tag::new(tags)) { Ok(()) } else { Err(internal("a source that takes no tags")) }
}

/// A track's way into the pipeline, how much went it on any, and what stands at the stream's zero.
type Way<'a> = (&'a gst_app::AppSrc, &'a AtomicU64, MediaTime);

fn inputs_zero<'a>(mut sounds: impl Iterator<Item = &'a SoundInput>) -> MediaTime {
    if sounds.any(SoundInput::begins_at_once) { MediaTime::ZERO - HEADROOM } else { MediaTime::ZERO }
}

fn push_pictures((source, pushed, zero): Way<'_>, input: &mut PictureInput) -> Result<(), Fault> {
    let schedule = input.schedule.clone();
    let mut number = 0;
    while let Some((entry, data)) = input.next()? {
        let dts = schedule.times.get(number).copied().unwrap_or(entry.pts) - schedule.dts_delay;
        number += 1;
        pushed.fetch_add(1, Ordering::Relaxed);
        if !push((source, zero), (entry, dts), data) {
            break;
        }
    }
    // A pipeline that has failed tells it on its bus.
    let _ = source.end_of_stream();
    Ok(())
}

fn push_sound((source, pushed, zero): Way<'_>, input: &mut SoundInput) -> Result<(), Fault> {
    while let Some((entry, data)) = input.track.next()? {
        pushed.fetch_add(1, Ordering::Relaxed);
        if !push((source, zero), (entry, entry.pts), data) {
            break;
        }
    }
    let _ = source.end_of_stream();
    Ok(())
}

/// `false` where the pipeline takes no more.
fn push((source, zero): (&gst_app::AppSrc, MediaTime), (entry, dts): (Entry, MediaTime), data: &[u8]) -> bool {
    let clock = |time: MediaTime| gst::ClockTime::from_nseconds(u64::try_from((time + BASE).ns()).unwrap_or(0));
    let mut buffer = gst::Buffer::from_mut_slice(data.to_vec());
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(clock(entry.pts));
        buffer.set_dts(clock(dts));
        if entry.sync == Sync::No {
            buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
        }
    }
    let mut segment = gst::FormattedSegment::<gst::format::Time>::new();
    segment.set_start(clock(zero));
    segment.set_position(clock(zero));
    let Some(caps) = source.caps() else { return false };
    let sample = gst::Sample::builder().buffer(&buffer).segment(&segment).caps(&caps).build();
    source.push_sample(&sample).is_ok()
}
