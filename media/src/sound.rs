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
use crate::sound_coding;

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
    source_format: AudioFormat,
    /// Samples that went in, at the source's rate.
    pushed: u64,
    /// Samples of silence, at the source's rate, in front.
    lead: u64,
    writing: Option<JoinHandle<Result<SegmentWriter, Fault>>>,
}

impl Encoder {
    /// ```text
    /// {appsrc} ! {audioconvert} ! {audioresample} ! {audioconvert} ! raw caps ─ count ─▶ encoder ! {appsink} ─▶ file
    /// ```
    pub(crate) fn start(
        rendition: &AudioRendition,
        (caps, source_format): (&gst::CapsRef, AudioFormat),
        scratch: &Path,
    ) -> Result<Self, Fault> {
        let pipe = Pipe::new();
        let source =
            gst_app::AppSrc::builder().caps(&with_positions(caps)).format(gst::Format::Time).block(true).build();
        source.set_max_bytes(4 << 20);
        let resample = make("audioresample")?;
        resample.set_property("quality", 10_i32);
        // What came out of a decoder with as many bits as it goes in with again must come through untouched.
        let narrow = make("audioconvert")?;
        narrow.set_property_from_str("dithering", "none");
        let filter = make("capsfilter")?;
        filter.set_property("caps", encoder_caps(rendition));
        let sink = gst_app::AppSink::builder().sync(false).max_buffers(64).build();
        sink.set_property("enable-last-sample", false);
        sink.set_property("async", false);
        let mut row = vec![source.clone().upcast(), make("audioconvert")?, resample, narrow, filter.clone()];
        row.extend(sound_coding::encoder(rendition)?);
        row.push(sink.clone().upcast());
        pipe.chain(&row.iter().collect::<Vec<_>>())?;
        let encoded = count_samples(&filter, rendition)?;
        pipe.play()?;
        let writer = SegmentWriter::create(scratch, &format!("audio-{}", rendition.number))?;
        let units = Units::of(rendition);
        let writing = std::thread::spawn(move || write(&pipe, &sink, (writer, units)));
        let (rendition, writing) = (rendition.clone(), Some(writing));
        Ok(Self { rendition, source, encoded, source_format, pushed: 0, lead: 0, writing })
    }

    /// Fills the time from where a container without times begins up to the source's first sample, which stands at `first`
    /// of the output.
    pub(crate) fn lead(&mut self, first: MediaTime) -> Result<(), Fault> {
        let Some(begins) = self.rendition.begins else { return Ok(()) };
        self.lead = u64::try_from(samples_in(first - begins, self.source_format.rate)).unwrap_or(0);
        let frame = SAMPLE_BYTES * u64::from(self.source_format.channels);
        let mut left = self.lead;
        while left > 0 {
            let block = left.min(SILENCE_BLOCK);
            self.push(&vec![0; usize::try_from(block * frame).unwrap_or(0)])?;
            left -= block;
        }
        Ok(())
    }

    pub(crate) fn push(&mut self, block: &[u8]) -> Result<(), Fault> {
        let mut buffer = gst::Buffer::from_mut_slice(block.to_vec());
        if let Some(buffer) = buffer.get_mut() {
            // Without a clock Vorbis' encoder does not tell how long its units are.
            let at = samples_time(self.pushed, self.source_format.rate).ns().unsigned_abs();
            buffer.set_pts(gst::ClockTime::from_nseconds(at));
        }
        self.pushed += block.len() as u64 / (SAMPLE_BYTES * u64::from(self.source_format.channels.max(1)));
        match self.source.push_buffer(buffer) {
            Ok(_) => Ok(()),
            Err(_) => self.written().and(Err(internal("the audio encoder takes no more sound"))),
        }
    }

    pub(crate) fn finish(mut self, (first, lost): (MediaTime, u32), run: &Run) -> Result<AudioProof, Fault> {
        let (given, from, to) = (run.heard() + self.lead, run.format().rate, self.rendition.format.rate);
        if from != to {
            // A resampler keeps its filter's last samples back.
            let frame = SAMPLE_BYTES * u64::from(run.format().channels);
            self.push(&vec![0; usize::try_from(u64::from(from / RESAMPLER_TAIL) * frame).unwrap_or(0)])?;
        }
        // A pipeline that has failed says so through the writing thread.
        let _ = self.source.end_of_stream();
        let mut writer = self.written()?;
        let due = scale_round(given.cast_signed(), i64::from(to), i64::from(from.max(1))).unsigned_abs();
        let samples = self.encoded.load(Ordering::SeqCst);
        let samples = if from == to { samples } else { samples.min(due) };
        let length = samples_time(samples, to);
        let first = self.rendition.begins.unwrap_or(first);
        writer.truncate_at(length);
        writer.shift(first);
        let written = writer.finish(Extent { samples, end: first + length })?;
        let units = written.entries.len() as u64;
        let codec = self.rendition.settings.codec;
        let (unit, priming) = (codec.unit_samples(to), u64::from(codec.priming_samples()));
        if unit.is_some_and(|unit| units * u64::from(unit) < samples + priming) {
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
            fingerprint: fingerprint(sound_coding::factory(codec).unwrap_or("audioconvert")),
            file: written.file,
        })
    }

    fn written(&mut self) -> Result<SegmentWriter, Fault> {
        let writing = self.writing.take().ok_or_else(|| internal("the audio file was asked for twice"))?;
        writing.join().unwrap_or_else(|_| Err(internal("the writing thread panicked")))
    }
}

fn encoder_caps(rendition: &AudioRendition) -> gst::Caps {
    let side = |v: u32| i32::try_from(v).unwrap_or(i32::MAX);
    gst::Caps::builder("audio/x-raw")
        .field("format", sound_coding::layout(rendition.settings.codec).0)
        .field("rate", side(rendition.format.rate))
        .field("channels", i32::from(rendition.format.channels))
        .field_if_some("channel-mask", channel_mask(rendition.format.channels))
        .build()
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

fn count_samples(filter: &gst::Element, rendition: &AudioRendition) -> Result<Arc<AtomicU64>, Fault> {
    let counter = Arc::new(AtomicU64::new(0));
    let pad = filter.static_pad("src").ok_or_else(|| internal("a filter without a source pad"))?;
    let count = counter.clone();
    let frame = frame_bytes(rendition);
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &info.data {
            count.fetch_add(buffer.size() as u64 / frame, Ordering::SeqCst);
        }
        gst::PadProbeReturn::Ok
    });
    Ok(counter)
}

fn frame_bytes(rendition: &AudioRendition) -> u64 {
    sound_coding::layout(rendition.settings.codec).1 * u64::from(rendition.format.channels.max(1))
}

/// How an encoder's units are placed: by counting, whatever they are stamped with.
struct Units {
    codec: AudioCodec,
    rate: u32,
    frame: usize,
    /// The caps with the codec's record, once the first unit has come.
    caps: Option<gst::Caps>,
    /// Where the next unit begins, in samples of the encoder's input.
    next: i64,
    /// PCM that does not fill a unit yet.
    rest: Vec<u8>,
}

impl Units {
    fn of(rendition: &AudioRendition) -> Self {
        let codec = rendition.settings.codec;
        let frame = usize::try_from(frame_bytes(rendition)).unwrap_or(1);
        let next = -i64::from(codec.priming_samples());
        Self { codec, rate: rendition.format.rate, frame, caps: None, next, rest: Vec::new() }
    }

    fn take(&mut self, sample: &gst::Sample, writer: &mut SegmentWriter) -> Result<(), Fault> {
        let (Some(buffer), Some(caps)) = (sample.buffer(), sample.caps()) else { return Ok(()) };
        if buffer.flags().contains(gst::BufferFlags::HEADER) {
            return Ok(());
        }
        let data = buffer.map_readable().map_err(|_| internal("a unit that cannot be read"))?;
        if self.caps.is_none() {
            self.caps = Some(self.header(caps, &data)?);
        }
        if self.codec != AudioCodec::Pcm {
            // Only Vorbis' units are of several lengths, and tell by their granule where they end.
            let granule = i64::try_from(buffer.offset_end()).unwrap_or(self.next);
            let length = self.codec.unit_samples(self.rate).map_or(granule - self.next, i64::from);
            return self.push(&data, length, writer);
        }
        self.rest.extend_from_slice(&data);
        let unit = self.frame * self.codec.unit_samples(self.rate).unwrap_or(1) as usize;
        while self.rest.len() >= unit {
            let later = self.rest.split_off(unit);
            let whole = std::mem::replace(&mut self.rest, later);
            self.push(&whole, (unit / self.frame) as i64, writer)?;
        }
        Ok(())
    }

    fn end(&mut self, writer: &mut SegmentWriter) -> Result<(), Fault> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() { Ok(()) } else { self.push(&rest, (rest.len() / self.frame) as i64, writer) }
    }

    fn push(&mut self, data: &[u8], samples: i64, writer: &mut SegmentWriter) -> Result<(), Fault> {
        let at = MediaTime(scale_round(self.next, NS_PER_SECOND, i64::from(self.rate)));
        self.next += samples;
        let caps = self.caps.as_ref().ok_or_else(|| internal("a unit before its caps"))?;
        writer.push(caps, (at, Sync::Yes), data)
    }

    fn header(&self, caps: &gst::CapsRef, first: &[u8]) -> Result<gst::Caps, Fault> {
        let record = sound_coding::record(self.codec, caps, first)?;
        let mut ours = caps.to_owned();
        if let Some(structure) = ours.make_mut().structure_mut(0) {
            structure.remove_field("streamheader");
            if !record.is_empty() {
                structure.set("codec_data", gst::Buffer::from_slice(record));
            }
        }
        Ok(ours)
    }
}

fn write(
    pipe: &Pipe,
    sink: &gst_app::AppSink,
    (mut writer, mut units): (SegmentWriter, Units),
) -> Result<SegmentWriter, Fault> {
    pull(pipe, sink, &mut |sample| units.take(sample, &mut writer))?;
    units.end(&mut writer)?;
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
