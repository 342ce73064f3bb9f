//! One unbroken run of samples out of a source that may have holes and overlaps, and its encoders.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::ledger::{AudioProof, Silence};
use framefleet_model::media::{AudioCodec, AudioFormat};
use framefleet_model::plan::AudioRendition;
use framefleet_model::time::{MediaTime, NS_PER_SECOND, Span, scale_round};
use gst::prelude::*;

use crate::decode::pull;
use crate::pipe::{Pipe, internal, make};
use crate::rendition::fingerprint;
use crate::segment::{Extent, SegmentWriter, Sync};

/// Holes and overlaps up to this are the rounding of container clocks and are ignored.
const SLACK: MediaTime = MediaTime::from_millis(40);
/// A block that begins so far before the last one's end does not overlap it: the source's clock was set back.
const SET_BACK: MediaTime = MediaTime::from_millis(500);
/// The part of a second that is more than any resampling filter.
const RESAMPLER_TAIL: u32 = 10;
/// Silence is handed on in blocks of this many samples.
const SILENCE_BLOCK: u64 = 1 << 16;
pub(crate) const SAMPLE_BYTES: u64 = 4;

/// Where the next sample of the source belongs.
pub(crate) struct Run {
    format: AudioFormat,
    /// The source's running time of sample 0.
    begun: MediaTime,
    /// The wanted samples, counted from sample 0.
    wanted: std::ops::Range<u64>,
    /// How far the source's clock was set back so far.
    set_back: MediaTime,
    /// Samples placed so far, wanted or not.
    placed: u64,
    kept: u64,
    silences: Vec<Silence>,
    overlapped: u64,
}

impl Run {
    /// `begun` is the running time of the first decoded sample; only what lies in `span` is kept.
    pub(crate) fn new(format: AudioFormat, begun: MediaTime, span: Span) -> Self {
        let at = |time: MediaTime| u64::try_from(samples_in(time - begun, format.rate)).unwrap_or(0);
        let wanted = at(span.start)..if span.end == MediaTime::MAX { u64::MAX } else { at(span.end) };
        Self {
            format,
            begun,
            wanted,
            set_back: MediaTime::ZERO,
            placed: 0,
            kept: 0,
            silences: Vec::new(),
            overlapped: 0,
        }
    }

    pub(crate) fn format(&self) -> AudioFormat {
        self.format
    }

    /// Samples kept.
    pub(crate) fn heard(&self) -> u64 {
        self.kept
    }

    /// The running time of the first kept sample.
    pub(crate) fn first(&self) -> MediaTime {
        self.begun + samples_time(self.wanted.start, self.format.rate)
    }

    /// The blocks that follow what was placed so far: silence for a hole, the new part of an overlap.
    pub(crate) fn place(&mut self, at: Option<MediaTime>, data: &[u8]) -> Vec<Vec<u8>> {
        let frame = SAMPLE_BYTES * u64::from(self.format.channels);
        let mut samples = data.len() as u64 / frame;
        let mut skip = 0;
        let mut blocks = Vec::new();
        if let Some(at) = at {
            let at = self.on_one_clock(at);
            let off = samples_in(at - self.begun, self.format.rate) - self.placed.cast_signed();
            let slack = samples_in(SLACK, self.format.rate);
            if off > slack {
                self.fill(off.unsigned_abs(), &mut blocks);
            } else if off < -slack {
                skip = off.unsigned_abs().min(samples);
                self.overlapped += skip;
            }
        }
        samples -= skip;
        let kept = self.keep(samples);
        if !kept.is_empty() {
            let byte = |sample: u64| usize::try_from((skip + sample) * frame).unwrap_or(usize::MAX);
            blocks.push(data[byte(kept.start)..byte(kept.end)].to_vec());
        }
        blocks
    }

    /// The block's time as if the clock had never been set back: what is heard goes on, as the pictures do.
    fn on_one_clock(&mut self, at: MediaTime) -> MediaTime {
        let due = self.begun + samples_time(self.placed, self.format.rate);
        if MediaTime((due - at).ns().abs()) <= SLACK {
            // A single time was wrong, or the clock was put right again.
            self.set_back = MediaTime::ZERO;
        }
        let early = due - (at + self.set_back);
        if self.placed > 0 && early > SET_BACK {
            self.set_back = self.set_back + early;
        }
        at + self.set_back
    }

    fn fill(&mut self, samples: u64, blocks: &mut Vec<Vec<u8>>) {
        let at = self.begun + samples_time(self.placed, self.format.rate);
        self.silences.push(Silence { at, length: samples_time(samples, self.format.rate) });
        let frame = SAMPLE_BYTES * u64::from(self.format.channels);
        let mut left = samples;
        while left > 0 {
            let kept = self.keep(left.min(SILENCE_BLOCK));
            left -= left.min(SILENCE_BLOCK);
            if !kept.is_empty() {
                blocks.push(vec![0; usize::try_from((kept.end - kept.start) * frame).unwrap_or(0)]);
            }
        }
    }

    /// Which of the next `samples` are wanted; all are placed.
    fn keep(&mut self, samples: u64) -> std::ops::Range<u64> {
        let (from, to) = (self.placed, self.placed + samples);
        self.placed = to;
        let start = from.max(self.wanted.start).min(to);
        let end = to.min(self.wanted.end).max(start);
        self.kept += end - start;
        start - from..end - from
    }
}

/// One rendition of the sound.
pub(crate) struct Encoder {
    rendition: AudioRendition,
    source: gst_app::AppSrc,
    encoded: Arc<AtomicU64>,
    writing: Option<JoinHandle<Result<SegmentWriter, Fault>>>,
}

impl Encoder {
    /// ```text
    /// {appsrc} ! {audioconvert} ! {audioresample} ! raw caps ─ count ─▶ {avenc_aac} ! {appsink} ─▶ file
    /// ```
    pub(crate) fn start(rendition: &AudioRendition, caps: &gst::CapsRef, scratch: &Path) -> Result<Self, Fault> {
        let pipe = Pipe::new();
        let source =
            gst_app::AppSrc::builder().caps(&with_positions(caps)).format(gst::Format::Time).block(true).build();
        source.set_max_bytes(4 << 20);
        let resample = make("audioresample")?;
        resample.set_property("quality", 10_i32);
        let filter = make("capsfilter")?;
        let side = |v: u32| i32::try_from(v).unwrap_or(i32::MAX);
        let wanted = gst::Caps::builder("audio/x-raw")
            .field("rate", side(rendition.format.rate))
            .field("channels", i32::from(rendition.format.channels))
            .field_if_some("channel-mask", channel_mask(rendition.format.channels));
        filter.set_property("caps", wanted.build());
        let sink = gst_app::AppSink::builder().sync(false).max_buffers(64).build();
        sink.set_property("enable-last-sample", false);
        sink.set_property("async", false);
        let encoder = aac(rendition)?;
        pipe.chain(&[source.upcast_ref(), &make("audioconvert")?, &resample, &filter, &encoder, sink.upcast_ref()])?;
        let encoded = count_samples(&filter, rendition.format.channels)?;
        pipe.play()?;
        let writer = SegmentWriter::create(scratch, &format!("audio-{}", rendition.number))?;
        let rate = rendition.format.rate;
        let writing = std::thread::spawn(move || write(&pipe, &sink, (writer, rate)));
        Ok(Self { rendition: rendition.clone(), source, encoded, writing: Some(writing) })
    }

    pub(crate) fn push(&mut self, block: &[u8]) -> Result<(), Fault> {
        match self.source.push_buffer(gst::Buffer::from_mut_slice(block.to_vec())) {
            Ok(_) => Ok(()),
            Err(_) => self.written().and(Err(internal("the audio encoder takes no more sound"))),
        }
    }

    pub(crate) fn finish(mut self, (first, lost): (MediaTime, u32), run: &Run) -> Result<AudioProof, Fault> {
        let (heard, from, to) = (run.heard(), run.format().rate, self.rendition.format.rate);
        if from != to {
            // A resampler keeps its filter's last samples back.
            let frame = SAMPLE_BYTES * u64::from(run.format().channels);
            self.push(&vec![0; usize::try_from(u64::from(from / RESAMPLER_TAIL) * frame).unwrap_or(0)])?;
        }
        // A pipeline that has failed says so through the writing thread.
        let _ = self.source.end_of_stream();
        let mut writer = self.written()?;
        let due = scale_round(heard.cast_signed(), i64::from(to), i64::from(from.max(1))).unsigned_abs();
        let samples = self.encoded.load(Ordering::SeqCst);
        let samples = if from == to { samples } else { samples.min(due) };
        let length = samples_time(samples, to);
        writer.shift(first);
        writer.truncate((samples + u64::from(AudioCodec::Aac.priming_samples())).div_ceil(UNIT_SAMPLES));
        let written = writer.finish(Extent { samples, end: first + length })?;
        let units = written.entries.len() as u64;
        let priming = u64::from(AudioCodec::Aac.priming_samples());
        if units * UNIT_SAMPLES < samples + priming {
            let message = format!("{samples} samples and {priming} of priming do not fit the encoder's {units} units");
            return Err(Fault::new(FaultKind::LedgerOpen, message));
        }
        Ok(AudioProof {
            rendition: self.rendition.number,
            samples,
            first,
            units: u32::try_from(units).unwrap_or(u32::MAX),
            lost,
            silences: run.silences.clone(),
            overlapped_samples: run.overlapped,
            header: written.header,
            content: written.content,
            fingerprint: fingerprint("avenc_aac"),
            file: written.file,
        })
    }

    fn written(&mut self) -> Result<SegmentWriter, Fault> {
        let writing = self.writing.take().ok_or_else(|| internal("the audio file was asked for twice"))?;
        writing.join().unwrap_or_else(|_| Err(internal("the writing thread panicked")))
    }
}

/// Samples of one AAC-LC access unit.
pub(crate) const UNIT_SAMPLES: u64 = 1024;

fn aac(rendition: &AudioRendition) -> Result<gst::Element, Fault> {
    let encoder = make("avenc_aac")?;
    encoder.set_property("bitrate", i32::try_from(rendition.settings.bitrate).unwrap_or(i32::MAX));
    encoder.set_property_from_str("threads", "1");
    encoder.set_property_from_str("aac-coder", "twoloop");
    encoder.set_property("perfect-timestamp", false);
    encoder.set_property("hard-resync", false);
    Ok(encoder)
}

/// Channels that the source gives no loudspeakers get the usual ones of their number: sound without places cannot be
/// mixed or encoded.
fn with_positions(caps: &gst::CapsRef) -> gst::Caps {
    let mut caps = caps.to_owned();
    let Some(structure) = caps.make_mut().structure_mut(0) else { return caps };
    let placed = structure.get::<gst::Bitmask>("channel-mask").is_ok_and(|mask| *mask != 0);
    let channels = structure.get::<i32>("channels").ok().and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
    if channels > 2 && !placed {
        let usual = gst_audio::AudioChannelPosition::fallback_mask(channels);
        structure.set("channel-mask", gst::Bitmask::new(usual));
    }
    caps
}

/// Which loudspeakers the channels of AAC's configurations mean (ISO 14496-3, table 1.19).
fn channel_mask(channels: u16) -> Option<gst::Bitmask> {
    let mask = match channels {
        3 => 0x07,
        4 => 0x107,
        5 => 0x37,
        6 => 0x3f,
        _ => return None,
    };
    Some(gst::Bitmask::new(mask))
}

fn count_samples(filter: &gst::Element, channels: u16) -> Result<Arc<AtomicU64>, Fault> {
    let counter = Arc::new(AtomicU64::new(0));
    let pad = filter.static_pad("src").ok_or_else(|| internal("a filter without a source pad"))?;
    let count = counter.clone();
    let frame = SAMPLE_BYTES * u64::from(channels);
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &info.data {
            count.fetch_add(buffer.size() as u64 / frame, Ordering::SeqCst);
        }
        gst::PadProbeReturn::Ok
    });
    Ok(counter)
}

/// Units are placed by counting: the first holds the priming alone.
fn write(
    pipe: &Pipe,
    sink: &gst_app::AppSink,
    (mut writer, rate): (SegmentWriter, u32),
) -> Result<SegmentWriter, Fault> {
    let mut unit = 0_i64;
    pull(pipe, sink, &mut |sample| {
        let (Some(buffer), Some(caps)) = (sample.buffer(), sample.caps()) else { return Ok(()) };
        let data = buffer.map_readable().map_err(|_| internal("a unit that cannot be read"))?;
        let sample = unit * UNIT_SAMPLES.cast_signed() - i64::from(AudioCodec::Aac.priming_samples());
        let at = MediaTime(scale_round(sample, NS_PER_SECOND, i64::from(rate)));
        unit += 1;
        writer.push(caps, (at, Sync::Yes), &data)
    })?;
    Ok(writer)
}

pub(crate) fn samples_time(samples: u64, rate: u32) -> MediaTime {
    MediaTime(scale_round(samples.cast_signed(), NS_PER_SECOND, i64::from(rate)))
}

fn samples_in(length: MediaTime, rate: u32) -> i64 {
    scale_round(length.ns(), i64::from(rate), NS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: AudioFormat = AudioFormat { rate: 1000, channels: 1 };

    fn block(samples: usize) -> Vec<u8> {
        vec![1; samples * 4]
    }

    fn whole() -> Span {
        Span::new(MediaTime::ZERO, MediaTime::from_secs(100))
    }

    #[test]
    fn holes_become_silence_overlaps_are_dropped_and_jitter_is_ignored() {
        let mut run = Run::new(FORMAT, MediaTime::ZERO, whole());
        let ms = |v| Some(MediaTime::from_millis(v));
        assert_eq!(run.place(ms(0), &block(100)).concat().len(), 400);
        assert_eq!(run.place(ms(130), &block(100)).concat().len(), 400, "30 ms is jitter");
        assert_eq!(run.place(ms(300), &block(100)).concat().len(), 800, "100 ms of silence");
        assert_eq!(run.place(ms(350), &block(100)).concat().len(), 200, "50 samples overlap");
        assert_eq!((run.heard(), run.overlapped, run.silences.len()), (450, 50, 1));
    }

    #[test]
    fn a_clock_that_is_set_back_costs_no_sound() {
        let mut run = Run::new(FORMAT, MediaTime::from_secs(10), whole());
        let place = |run: &mut Run, ms| run.place(Some(MediaTime::from_millis(ms)), &block(1000)).concat().len() / 4;
        let heard = [10_000, 11_000, 9_600, 10_600, 11_700].map(|ms| place(&mut run, ms));
        assert_eq!(heard, [1000, 1000, 1000, 1000, 1100], "the last comes after a hole");
        assert_eq!((run.overlapped, run.silences.len()), (0, 1));
        // One wrong time in a clock that goes on moves nothing after it.
        let mut run = Run::new(FORMAT, MediaTime::from_secs(10), whole());
        let heard = [10_000, 11_000, 9_600, 13_000, 14_000].map(|ms| place(&mut run, ms));
        assert_eq!((heard, run.silences.len()), ([1000; 5], 0));
    }

    #[test]
    fn only_the_wanted_samples_are_kept() {
        let span = Span::new(MediaTime::from_millis(150), MediaTime::from_millis(250));
        let mut run = Run::new(FORMAT, MediaTime::from_millis(100), span);
        assert_eq!(run.place(Some(MediaTime::from_millis(100)), &block(1000)).concat().len(), 400);
        assert_eq!((run.first(), run.heard()), (MediaTime::from_millis(150), 100));
    }
}
