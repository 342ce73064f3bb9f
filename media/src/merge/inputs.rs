//! What is merged: the segments of one rendition in order, and one sound track.

use std::sync::Arc;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::media::AudioCodec;
use framefleet_model::plan::{AudioRendition, VideoRendition};
use framefleet_model::task::{MergeInput, MergeWork};
use framefleet_model::time::{MediaTime, NS_PER_SECOND, scale_round};

use crate::muxing::{Audio, Film, Video};
use crate::pipe::internal;
use crate::read_at::ReadAt;
use crate::reader::Reader;
use crate::segment::{Entry, SegmentReader};
use crate::sound::UNIT_SAMPLES;

pub(crate) struct Inputs {
    pub(crate) pictures: Option<PictureInput>,
    pub(crate) sound: Option<SoundInput>,
}

pub(crate) struct PictureInput {
    pub(crate) rendition: VideoRendition,
    pub(crate) caps: String,
    segments: Vec<SegmentReader>,
    current: usize,
    /// Presentation times of all pictures, ascending.
    pub(crate) times: Vec<MediaTime>,
    pub(crate) end: MediaTime,
    pub(crate) dts_delay: MediaTime,
}

pub(crate) struct SoundInput {
    pub(crate) rendition: AudioRendition,
    pub(crate) track: SegmentReader,
}

impl Inputs {
    pub(crate) fn open(work: &MergeWork, reader: &Reader) -> Result<Self, Fault> {
        let pictures = work.video.as_ref().map(|video| open_pictures(&video.rendition, &video.segments, reader));
        let sound = work.audio.as_ref().map(|audio| -> Result<SoundInput, Fault> {
            Ok(SoundInput { rendition: audio.rendition.clone(), track: open_segment(&audio.input, reader)? })
        });
        Ok(Self { pictures: pictures.transpose()?, sound: sound.transpose()? })
    }

    pub(crate) fn next_picture(&mut self) -> Result<Option<(Entry, &[u8])>, Fault> {
        match &mut self.pictures {
            Some(pictures) => pictures.next(),
            None => Ok(None),
        }
    }

    pub(crate) fn next_sound(&mut self) -> Result<Option<(Entry, &[u8])>, Fault> {
        match &mut self.sound {
            Some(sound) => sound.track.next(),
            None => Ok(None),
        }
    }

    /// The output as a muxer is told of it.
    pub(crate) fn film(&self, work: &MergeWork) -> Result<Film, Fault> {
        Ok(Film {
            video: self.pictures.as_ref().map(PictureInput::track).transpose()?,
            audio: self.sound.as_ref().map(SoundInput::track).transpose()?,
            tags: work.tags.clone(),
            chapters: work.chapters.clone(),
            plan: work.plan.clone(),
        })
    }
}

impl PictureInput {
    /// The next picture in decoding order.
    pub(crate) fn next(&mut self) -> Result<Option<(Entry, &[u8])>, Fault> {
        while self.segments.get(self.current).is_some_and(SegmentReader::is_done) {
            self.current += 1;
        }
        match self.segments.get_mut(self.current) {
            Some(segment) => segment.next(),
            None => Ok(None),
        }
    }

    fn track(&self) -> Result<Video, Fault> {
        let format = &self.rendition.format;
        Ok(Video {
            codec: self.rendition.settings.codec,
            codec_data: codec_data(&self.caps)?,
            geometry: format.geometry,
            pixel_aspect: format.pixel_aspect,
            colour: format.colour,
            mastering: format.mastering,
            light: format.light,
            rate: format.rate,
            language: None,
            times: self.times.clone(),
            end: self.end,
            dts_delay: self.dts_delay,
        })
    }
}

impl SoundInput {
    pub(crate) fn first(&self) -> MediaTime {
        let rate = i64::from(self.rendition.format.rate);
        let priming = scale_round(i64::from(AudioCodec::Aac.priming_samples()), NS_PER_SECOND, rate);
        let first = self.track.entries.first().map_or(MediaTime::ZERO, |e| e.pts + MediaTime(priming));
        first.max(MediaTime::ZERO)
    }

    fn track(&self) -> Result<Audio, Fault> {
        Ok(Audio {
            codec_data: codec_data(&self.track.caps)?,
            format: self.rendition.format,
            language: self.rendition.language.clone(),
            bitrate: self.rendition.settings.bitrate,
            first: self.first(),
            priming: AudioCodec::Aac.priming_samples(),
            samples: self.track.extent.samples,
            units: u32::try_from(self.track.entries.len()).unwrap_or(u32::MAX),
            unit_samples: u32::try_from(UNIT_SAMPLES).unwrap_or(1024),
        })
    }
}

fn open_pictures(rendition: &VideoRendition, inputs: &[MergeInput], reader: &Reader) -> Result<PictureInput, Fault> {
    let mut segments: Vec<SegmentReader> = Vec::with_capacity(inputs.len());
    let open = |what: String| Fault::new(FaultKind::LedgerOpen, what);
    for (number, input) in inputs.iter().enumerate() {
        let segment = open_segment(input, reader)?;
        let held = u32::try_from(segment.entries.len()).unwrap_or(u32::MAX);
        if input.pictures.is_some_and(|due| due != held) {
            return Err(open(format!("segment {number} holds {held} pictures, the plan has {:?}", input.pictures)));
        }
        let first = segments.iter().find(|s| !s.entries.is_empty());
        if first.is_some_and(|first| !segment.entries.is_empty() && first.caps != segment.caps) {
            return Err(open(format!("the header of segment {number} differs from the first one's")));
        }
        segments.push(segment);
    }
    let order: Vec<MediaTime> = segments.iter().flat_map(|s| s.entries.iter().map(|e| e.pts)).collect();
    let mut times = order.clone();
    times.sort_unstable();
    if let Some(pair) = times.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(open(format!("two pictures stand at {}", pair[0])));
    }
    let need = times.iter().zip(&order).map(|(due, pts)| *due - *pts).max().unwrap_or_default().max(MediaTime::ZERO);
    let dts_delay = rendition.dts_delay.unwrap_or(need);
    if need > dts_delay {
        return Err(open(format!("the pictures are reordered by {need}, the plan has room for {dts_delay}")));
    }
    let caps = segments.iter().find(|s| !s.entries.is_empty()).map_or_else(String::new, |s| s.caps.clone());
    let end = segments.last().map_or(MediaTime::ZERO, |s| s.extent.end);
    if times.is_empty() {
        return Err(Fault::new(FaultKind::Corrupt, "no picture of the film decodes"));
    }
    // A film whose end is not known beforehand ends one nominal picture after its last.
    let end = if end == MediaTime::MAX || end <= times[times.len() - 1] {
        times[times.len() - 1] + rendition.format.rate.time_of(1)
    } else {
        end
    };
    Ok(PictureInput { rendition: rendition.clone(), caps, segments, current: 0, times, end, dts_delay })
}

fn open_segment(input: &MergeInput, reader: &Reader) -> Result<SegmentReader, Fault> {
    let object = reader.object(input.object);
    let object: Arc<dyn ReadAt> =
        Arc::new(object.map_err(|e| Fault::new(FaultKind::StorageAway, format!("a segment cannot be read: {e}")))?);
    SegmentReader::open(object)
}

/// The avcC, hvcC or AudioSpecificConfig record.
fn codec_data(caps: &str) -> Result<Vec<u8>, Fault> {
    let caps: gst::Caps = caps.parse().map_err(|_| internal(format!("caps that do not parse: {caps}")))?;
    let data = caps.structure(0).and_then(|s| s.get::<gst::Buffer>("codec_data").ok());
    let map = data.as_ref().and_then(|d| d.map_readable().ok());
    map.map(|m| m.to_vec()).ok_or_else(|| internal("an encoder gave no codec data"))
}
