//! What is merged: the segments of one rendition in order, each opened when it is written, and the sound tracks.

use std::sync::Arc;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::media::Orientation;
use framefleet_model::pipeline::Coding;
use framefleet_model::plan::VideoRendition;
use framefleet_model::task::{MergeVideo, MergeWork};
use framefleet_model::time::MediaTime;

use crate::merge::headers;
use crate::merge::schedule::Schedule;
use crate::merge::sound::SoundInput;
use crate::muxing::{Film, Video};
use crate::read_at::ReadAt;
use crate::reader::Reader;
use crate::segment::{Entry, SegmentReader};

pub(crate) struct Inputs {
    pub(crate) pictures: Option<PictureInput>,
    /// In the output's order.
    pub(crate) sounds: Vec<SoundInput>,
}

pub(crate) struct PictureInput {
    pub(crate) rendition: VideoRendition,
    pub(crate) schedule: Arc<Schedule>,
    pub(crate) caps: String,
    /// What the muxer is told of decoding.
    codec_data: Vec<u8>,
    reader: Reader,
    /// Objects of the segments that have not been opened.
    coming: std::vec::IntoIter<u32>,
    opened: usize,
    current: Option<SegmentReader>,
}

impl Inputs {
    pub(crate) fn open(work: &MergeWork, reader: &Reader) -> Result<Self, Fault> {
        let pictures = work.video.as_ref().map(|video| PictureInput::open(video, reader));
        let sounds = work.audio.iter().map(|audio| SoundInput::open(audio, reader)).collect::<Result<_, _>>()?;
        Ok(Self { pictures: pictures.transpose()?, sounds })
    }

    pub(crate) fn next_picture(&mut self) -> Result<Option<(Entry, &[u8])>, Fault> {
        match &mut self.pictures {
            Some(pictures) => pictures.next(),
            None => Ok(None),
        }
    }

    pub(crate) fn next_sound(&mut self, track: usize) -> Result<Option<(Entry, &[u8])>, Fault> {
        match self.sounds.get_mut(track) {
            Some(sound) => sound.track.next(),
            None => Ok(None),
        }
    }

    /// Where the last sound ends.
    pub(crate) fn heard_until(&self) -> Option<MediaTime> {
        self.sounds.iter().map(|sound| sound.track.extent.end).max()
    }

    /// The output as a muxer is told of it.
    pub(crate) fn film(&self, work: &MergeWork) -> Result<Film, Fault> {
        let film = Film {
            video: self.pictures.as_ref().map(PictureInput::track).transpose()?,
            audio: self.sounds.iter().map(SoundInput::track).collect::<Result<_, _>>()?,
            tags: work.tags.clone(),
            chapters: work.chapters.clone(),
            plan: work.plan.clone(),
        };
        Ok(film.later(work.delay))
    }
}

impl PictureInput {
    /// Waits for the first segment that holds a picture: its header is the film's.
    fn open(video: &MergeVideo, reader: &Reader) -> Result<Self, Fault> {
        let objects: Vec<u32> = video.segments.iter().map(|segment| segment.object).collect();
        let mut input = Self {
            rendition: (*video.rendition).clone(),
            schedule: Arc::new(Schedule::of(video, reader)?),
            caps: String::new(),
            codec_data: Vec::new(),
            reader: reader.clone(),
            coming: objects.into_iter(),
            opened: 0,
            current: None,
        };
        input.reach_picture()?;
        if let Some(segment) = &input.current {
            input.codec_data =
                headers::of_pictures(segment, (video.rendition.settings.codec, &input.rendition.format))?;
        }
        Ok(input)
    }

    /// The next picture in decoding order.
    pub(crate) fn next(&mut self) -> Result<Option<(Entry, &[u8])>, Fault> {
        self.reach_picture()?;
        let codec = self.rendition.settings.codec;
        let next = self.current.as_mut().map(SegmentReader::next).transpose()?.flatten();
        Ok(next.map(|(entry, data)| (entry, headers::unit(codec, data))))
    }

    /// Opens segments until one has a picture left.
    fn reach_picture(&mut self) -> Result<(), Fault> {
        while self.current.as_ref().is_none_or(SegmentReader::is_done) {
            let Some(object) = self.coming.next() else { return Ok(()) };
            let (number, segment) = (self.opened, open_segment(object, &self.reader)?);
            self.schedule.check(number, &segment.entries)?;
            if self.caps.is_empty() {
                self.caps.clone_from(&segment.caps);
            } else if !segment.entries.is_empty() && segment.caps != self.caps {
                let what = format!("the header of segment {number} differs from the first one's");
                return Err(Fault::new(FaultKind::LedgerOpen, what));
            }
            self.opened += 1;
            self.current = Some(segment);
        }
        Ok(())
    }

    fn track(&self) -> Result<Video, Fault> {
        let format = &self.rendition.format;
        Ok(Video {
            codec: self.rendition.settings.codec,
            codec_data: self.codec_data.clone(),
            depth: headers::depth(format),
            geometry: format.geometry,
            pixel_aspect: format.pixel_aspect,
            // What is encoded stands upright.
            turn: match self.rendition.settings.coding {
                Coding::Encode => Orientation::UPRIGHT,
                Coding::Copy => self.rendition.turn,
            },
            colour: format.colour,
            mastering: format.mastering,
            light: format.light,
            rate: format.rate,
            language: None,
            times: self.schedule.times.clone(),
            end: self.schedule.end,
            dts_delay: self.schedule.dts_delay,
        })
    }
}

pub(crate) fn open_segment(object: u32, reader: &Reader) -> Result<SegmentReader, Fault> {
    SegmentReader::open(open_object(object, reader)?)
}

pub(crate) fn open_object(object: u32, reader: &Reader) -> Result<Arc<dyn ReadAt>, Fault> {
    let opened = reader.object(object);
    Ok(Arc::new(
        opened.map_err(|e| Fault::new(FaultKind::StorageAway, format!("object {object} cannot be read: {e}")))?,
    ))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::thread::JoinHandle;

    use framefleet_model::id::Digest;
    use framefleet_model::index::{Index, IndexHeader, Key, Method, Unit};
    use framefleet_model::media::{Colour, Container, Geometry, Mirror, Scan, Tags, VideoCodec};
    use framefleet_model::picture::{Deinterlace, Shape};
    use framefleet_model::pipeline::{Preset, RateControl, VideoSettings};
    use framefleet_model::plan::EncodeFormat;
    use framefleet_model::reads::{Op, REQUEST_BYTES, ReadReply, ReadRequest, Status};
    use framefleet_model::task::{CHILD_PROTOCOL, ChildLimits, ChildSpec, MergeSegment, Sandbox, Work, object};
    use framefleet_model::time::{Rational, Span};

    use super::*;
    use crate::segment::{Extent, SegmentWriter, Sync};

    const SEGMENTS: u32 = 3;
    const PICTURES: i64 = 4;

    fn at(picture: i64) -> MediaTime {
        MediaTime::from_millis(picture * 40)
    }

    fn rendition() -> VideoRendition {
        let geometry = Geometry { width: 64, height: 48 };
        let rate = Rational::new(25, 1).unwrap();
        let settings = VideoSettings {
            codec: VideoCodec::H264,
            coding: Coding::Encode,
            preset: Preset::Medium,
            rate: RateControl::Crf(23),
            max_bitrate: None,
            size: None,
            fps: None,
            keyframe_interval: None,
            shape: Shape::default(),
            watermarks: Vec::new(),
        };
        let format = EncodeFormat {
            geometry,
            layout: "I420".to_owned(),
            pixel_aspect: Rational::new(1, 1).unwrap(),
            rate,
            grid: None,
            scan: Scan::Progressive,
            colour: Colour::UNSPECIFIED,
            mastering: None,
            light: None,
        };
        let turn = Orientation { quarter_turns: 0, mirror: Mirror::No };
        let dts_delay = Some(MediaTime::ZERO);
        VideoRendition {
            number: 0,
            settings,
            format,
            turn,
            deinterlace: Deinterlace::Weave,
            crop: None,
            canvas: None,
            source_colour: None,
            keyframes_max: 250,
            reorder_depth: 0,
            warm_up: 0,
            vbv: None,
            level: None,
            dts_delay,
        }
    }

    fn index() -> Index {
        let unit = |picture| Unit {
            pts: Some(at(picture)),
            dts: Some(at(picture)),
            duration: None,
            size: 1,
            key: Key::Yes,
            shows: 1,
            hash: 0,
            offset: None,
        };
        let header = IndexHeader {
            container: "video/quicktime".to_owned(),
            method: Method::Pass,
            video: None,
            audio: Vec::new(),
            silent: Vec::new(),
            ignored: Vec::new(),
            tags: Tags::default(),
            chapters: Vec::new(),
            missing: Vec::new(),
            blocks: Vec::new(),
        };
        Index { header, units: (0..i64::from(SEGMENTS) * PICTURES).map(unit).collect() }
    }

    fn segment_file(number: u32) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = SegmentWriter::create(folder.path(), "segment").unwrap();
        let caps = gst::Caps::builder("video/x-h264").build();
        for picture in 0..PICTURES {
            let shown = at(i64::from(number) * PICTURES + picture);
            writer.push(&caps, (shown, Sync::Yes), &[7]).unwrap();
        }
        writer.finish(Extent { samples: 0, end: at(i64::from(number + 1) * PICTURES) }).unwrap();
        std::fs::read(folder.path().join("segment")).unwrap()
    }

    fn video(index: &Index) -> MergeVideo {
        let header = IndexHeader::from_bytes(&index.to_bytes()).unwrap();
        let span = |n: u32| Span::new(at(i64::from(n) * PICTURES), at(i64::from(n + 1) * PICTURES));
        let segments = (0..SEGMENTS).map(|n| MergeSegment { object: object::INPUTS + n, span: span(n) }).collect();
        MergeVideo { rendition: Box::new(rendition()), origin: MediaTime::ZERO, told: Some(header.blocks), segments }
    }

    /// A parent that answers from memory, and tells which objects were asked for their size, in order.
    fn serve(mut parent: UnixStream, objects: Vec<(u32, Vec<u8>)>) -> JoinHandle<Vec<u32>> {
        std::thread::spawn(move || {
            let mut sized = Vec::new();
            let mut request = [0; REQUEST_BYTES];
            while parent.read_exact(&mut request).is_ok() {
                let request = ReadRequest::from_bytes(&request).unwrap();
                let bytes = &objects.iter().find(|(number, _)| *number == request.object).unwrap().1;
                let payload = match request.op {
                    Op::Size => {
                        sized.push(request.object);
                        &[]
                    }
                    Op::Read { offset, len } => {
                        let from = usize::try_from(offset).unwrap();
                        &bytes[from..bytes.len().min(from + len as usize)]
                    }
                };
                let len = if request.op == Op::Size { bytes.len() } else { payload.len() } as u64;
                let reply = ReadReply { tag: request.tag, status: Status::Done, len };
                parent.write_all(&reply.to_bytes()).unwrap();
                parent.write_all(payload).unwrap();
            }
            sized
        })
    }

    fn work(video: MergeVideo) -> MergeWork {
        MergeWork {
            output: 0,
            container: Container::Mp4,
            video: Some(video),
            audio: Vec::new(),
            package: None,
            delay: MediaTime::ZERO,
            tags: Tags::default(),
            chapters: Vec::new(),
            folder: String::new(),
            plan: Digest::of(b"plan"),
        }
    }

    fn accept(child: UnixStream, mut parent: &UnixStream, work: &MergeWork) -> Reader {
        let limits = ChildLimits { data_bytes_max: 0, file_bytes_max: 0, open_files_max: 0 };
        let work = Work::Merge(work.clone());
        let (scratch, sandbox) = (String::new(), Sandbox::Off);
        let spec = ChildSpec { protocol: CHILD_PROTOCOL, scratch, limits, sandbox, work };
        let json = serde_json::to_vec(&spec).unwrap();
        parent.write_all(&u32::try_from(json.len()).unwrap().to_le_bytes()).unwrap();
        parent.write_all(&json).unwrap();
        Reader::accept(child).unwrap().0
    }

    #[test]
    fn a_segment_is_asked_for_when_its_turn_has_come() {
        gst::init().unwrap();
        let index = index();
        let work = work(video(&index));
        let (child, parent) = UnixStream::pair().unwrap();
        let reader = accept(child, &parent, &work);
        let segments = (0..SEGMENTS).map(|n| (object::INPUTS + n, segment_file(n)));
        let served = serve(parent, segments.chain([(object::INDEX, index.to_bytes())]).collect());
        let mut inputs = Inputs::open(&work, &reader).unwrap();
        let schedule = inputs.pictures.as_ref().unwrap().schedule.clone();
        let all: Vec<MediaTime> = (0..i64::from(SEGMENTS) * PICTURES).map(at).collect();
        assert_eq!((&schedule.times, schedule.end), (&all, at(i64::from(SEGMENTS) * PICTURES)));
        // All of the first segment is written, and no other was asked for yet.
        for due in &all[..usize::try_from(PICTURES).unwrap()] {
            assert_eq!(inputs.next_picture().unwrap().unwrap().0.pts, *due);
        }
        assert_eq!(inputs.pictures.as_ref().unwrap().opened, 1);
        for due in &all[usize::try_from(PICTURES).unwrap()..] {
            assert_eq!(inputs.next_picture().unwrap().unwrap().0.pts, *due);
        }
        assert!(inputs.next_picture().unwrap().is_none());
        drop((inputs, reader));
        let asked: Vec<u32> = (0..SEGMENTS).map(|n| object::INPUTS + n).collect();
        assert_eq!(served.join().unwrap(), [vec![object::INDEX], asked].concat());
    }
}
