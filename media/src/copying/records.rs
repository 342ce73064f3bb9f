//! Headers of pictures as our muxers take them, and the units that go with them: H.264 and HEVC with lengths in front of
//! their NAL units, AV1 without delimiters.
//!
//! A unit that has this form already goes on byte for byte. HEVC's parameter sets stand in the header alone, as its sample
//! entry (`hvc1`) says.

use std::borrow::Cow;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::index::CapsAt;
use framefleet_model::media::VideoCodec;
use gst::prelude::*;

use crate::bitstream::h264::parse_avcc;
use crate::bitstream::hevc::parse_hvcc;
use crate::bitstream::nal::{Framing, nals, without_zeros};
use crate::decode::pull;
use crate::parameters::bytes_of_hex;
use crate::pipe::{Pipe, internal, make};

const LENGTH_BYTES: usize = 4;
/// A temporal delimiter: nothing but its header and its size.
const AV1_DELIMITER: [u8; 2] = [0x12, 0];
/// HEVC's parameter sets: of the video, of sequences, of pictures.
const HEVC_SETS: std::ops::RangeInclusive<u8> = 32..=34;

/// The header of a film's pictures, and how its units become those that go with it.
pub(crate) struct Record {
    pub(crate) caps: gst::Caps,
    form: Form,
}

/// Where in its stream a unit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// GStreamer's parsers put the header's NAL units in front of the first unit that they hand on.
    Opening,
    Within,
}

enum Form {
    AsIs,
    /// H.264 as it is to be, with what its header holds.
    Lengths {
        framing: Framing,
        sets: Vec<Vec<u8>>,
    },
    /// H.264 between start codes.
    StartCodes,
    Hevc {
        framing: Framing,
        sets: Vec<Vec<u8>>,
    },
    Av1,
    /// MPEG-4 part 2 whose header is the container's: it comes before each key picture instead.
    Mpeg4(Vec<u8>),
}

impl Record {
    /// `first` is a key picture: a stream without a header of its own has it there.
    pub(crate) fn of(codec: VideoCodec, told: &CapsAt, first: &[u8]) -> Result<Self, Fault> {
        let caps: gst::Caps =
            told.caps.parse().map_err(|_| internal(format!("caps that do not parse: {}", told.caps)))?;
        let said = caps.structure(0).and_then(|s| s.get::<gst::Buffer>("codec_data").ok());
        let said =
            said.and_then(|data| data.map_readable().ok().map(|map| map.to_vec())).filter(|data| !data.is_empty());
        match (codec, said) {
            (VideoCodec::H264, Some(record)) => {
                let (framing, sets) = parse_avcc(&record).ok_or_else(|| no_header(codec))?;
                let form = Form::Lengths { framing, sets: sets.into_iter().map(<[u8]>::to_vec).collect() };
                Ok(Self { caps: with(&caps, Some("avc"), None), form })
            }
            (VideoCodec::H264, None) => {
                let record = parsed(("h264parse", "video/x-h264", "avc"), (&caps, told), first)?;
                Ok(Self { caps: with(&caps, Some("avc"), Some(record)), form: Form::StartCodes })
            }
            (VideoCodec::Hevc, Some(record)) => {
                let (framing, _) = parse_hvcc(&record).ok_or_else(|| no_header(codec))?;
                Self::hevc((&caps, framing), record)
            }
            (VideoCodec::Hevc, None) => {
                let record = parsed(("h265parse", "video/x-h265", "hvc1"), (&caps, told), first)?;
                Self::hevc((&caps, Framing::StartCodes), record)
            }
            // A header that the container lacks is made of the first unit, as for what is encoded.
            (VideoCodec::Av1, _) => Ok(Self { caps, form: Form::Av1 }),
            (VideoCodec::Mpeg4, Some(header)) => Ok(Self { caps, form: Form::Mpeg4(header) }),
            (VideoCodec::Vp8 | VideoCodec::Vp9, _) | (VideoCodec::Mpeg4, None) => Ok(Self { caps, form: Form::AsIs }),
        }
    }

    fn hevc((caps, framing): (&gst::Caps, Framing), record: Vec<u8>) -> Result<Self, Fault> {
        let (_, sets) = parse_hvcc(&record).ok_or_else(|| no_header(VideoCodec::Hevc))?;
        let sets = sets.into_iter().map(<[u8]>::to_vec).collect();
        Ok(Self { caps: with(caps, Some("hvc1"), Some(record.clone())), form: Form::Hevc { framing, sets } })
    }

    /// The unit as it goes into an output.
    pub(crate) fn unit<'a>(&self, unit: &'a [u8], place: Place) -> Result<Cow<'a, [u8]>, Fault> {
        match &self.form {
            Form::AsIs => Ok(Cow::Borrowed(unit)),
            Form::Lengths { framing, sets } if place == Place::Opening => Ok(without(*framing, unit, sets)),
            Form::Lengths { .. } => Ok(Cow::Borrowed(unit)),
            Form::StartCodes => Ok(Cow::Owned(framed(LENGTH_BYTES, trimmed(Framing::StartCodes, unit)))),
            Form::Hevc { framing, sets } => {
                check_sets((*framing, sets), unit)?;
                Ok(without(*framing, unit, if place == Place::Opening { sets } else { &[] }))
            }
            Form::Av1 => Ok(Cow::Borrowed(unit.strip_prefix(&AV1_DELIMITER).unwrap_or(unit))),
            Form::Mpeg4(header) if is_mpeg4_key(unit) => Ok(Cow::Owned([header.as_slice(), unit].concat())),
            Form::Mpeg4(_) => Ok(Cow::Borrowed(unit)),
        }
    }
}

fn check_sets((framing, sets): (Framing, &[Vec<u8>]), unit: &[u8]) -> Result<(), Fault> {
    let strange = trimmed(framing, unit).filter(|nal| is_hevc_set(nal)).find(|nal| !sets.iter().any(|set| set == nal));
    strange.map_or(Ok(()), |nal| {
        let kind = nal[0] >> 1 & 0x3f;
        let text = format!("the pictures cannot be copied: a parameter set of type {kind} changes within the film");
        Err(Fault::new(FaultKind::Unsupported, text))
    })
}

fn is_hevc_set(nal: &[u8]) -> bool {
    nal.first().is_some_and(|head| HEVC_SETS.contains(&(head >> 1 & 0x3f)))
}

/// The unit without these NAL units of its header and, in HEVC, without parameter sets.
fn without<'a>(framing: Framing, unit: &'a [u8], header: &[Vec<u8>]) -> Cow<'a, [u8]> {
    let is_hevc = header.is_empty() || header.iter().any(|nal| is_hevc_set(nal));
    let goes = |nal: &&[u8]| (is_hevc && is_hevc_set(nal)) || header.iter().any(|known| known == nal);
    match framing {
        Framing::Lengths(_) if !trimmed(framing, unit).any(|nal| goes(&nal)) => Cow::Borrowed(unit),
        Framing::Lengths(bytes) => Cow::Owned(framed(bytes, trimmed(framing, unit).filter(|nal| !goes(nal)))),
        Framing::StartCodes => Cow::Owned(framed(LENGTH_BYTES, trimmed(framing, unit).filter(|nal| !goes(nal)))),
    }
}

/// NAL units without the zeros that may stand between one and the next start code.
fn trimmed(framing: Framing, unit: &[u8]) -> impl Iterator<Item = &[u8]> {
    nals(framing, unit).map(move |nal| match framing {
        Framing::StartCodes => without_zeros(nal),
        Framing::Lengths(_) => nal,
    })
}

/// NAL units behind lengths of so many bytes.
fn framed<'a>(bytes: usize, nals: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for nal in nals.filter(|nal| !nal.is_empty()) {
        let length = u32::try_from(nal.len()).unwrap_or(u32::MAX).to_be_bytes();
        out.extend_from_slice(&length[length.len() - bytes.min(length.len())..]);
        out.extend_from_slice(nal);
    }
    out
}

/// A picture that is coded by itself, in front of whose headers none stands.
fn is_mpeg4_key(unit: &[u8]) -> bool {
    unit.first_chunk::<5>().is_some_and(|head| head[..4] == [0, 0, 1, 0xb6] && head[4] >> 6 == 0)
}

fn with(caps: &gst::Caps, format: Option<&str>, record: Option<Vec<u8>>) -> gst::Caps {
    let mut ours = caps.clone();
    if let Some(structure) = ours.make_mut().structure_mut(0) {
        if let Some(format) = format {
            structure.set("stream-format", format);
        }
        if let Some(record) = record {
            structure.set("codec_data", gst::Buffer::from_slice(record));
        }
    }
    ours
}

/// The header that a parser makes out of a stream that has its own.
///
/// ```text
/// parameter sets and a picture ─▶ {appsrc} ! parser ! caps with a header ! {appsink}
/// ```
fn parsed(
    (parser, media_type, format): (&str, &str, &str),
    (caps, told): (&gst::Caps, &CapsAt),
    first: &[u8],
) -> Result<Vec<u8>, Fault> {
    let pipe = Pipe::new();
    let source = crate::decode::appsrc(&caps.to_string())?;
    let filter = make("capsfilter")?;
    filter.set_property("caps", gst::Caps::builder(media_type).field("stream-format", format).build());
    let sink = gst_app::AppSink::builder().sync(false).build();
    pipe.chain(&[source.as_ref(), &make(parser)?, &filter, sink.as_ref()])?;
    pipe.play()?;
    let unit = [bytes_of_hex(&told.headers), first.to_vec()].concat();
    let mut buffer = gst::Buffer::from_mut_slice(unit);
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(gst::ClockTime::ZERO);
    }
    // A pipeline that has failed says so when it is pulled from.
    let _ = source.push_buffer(buffer);
    let _ = source.end_of_stream();
    let mut record = Vec::new();
    pull(&pipe, &sink, &mut |sample| {
        let data =
            sample.caps().and_then(|caps| caps.structure(0)).and_then(|s| s.get::<gst::Buffer>("codec_data").ok());
        if let Some(data) = data {
            record = data.map_readable().map_err(|_| internal("a header that cannot be read"))?.to_vec();
        }
        Ok(())
    })?;
    if record.is_empty() {
        let text =
            format!("the pictures cannot be copied: no header is found in {media_type} of {} bytes", first.len());
        return Err(Fault::new(FaultKind::Unsupported, text));
    }
    Ok(record)
}

fn no_header(codec: VideoCodec) -> Fault {
    let text = format!("the pictures cannot be copied: their header is none of {}", codec.name());
    Fault::new(FaultKind::Unsupported, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_codes_become_lengths() {
        gst::init().unwrap();
        let unit = [0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x65, 7, 8, 0];
        let record = Record { caps: gst::Caps::new_empty(), form: Form::StartCodes };
        assert_eq!(record.unit(&unit, Place::Within).unwrap().as_ref(), [0, 0, 0, 2, 9, 0xf0, 0, 0, 0, 3, 0x65, 7, 8]);
    }

    #[test]
    fn what_a_parser_put_in_front_of_the_first_unit_is_taken_away() {
        gst::init().unwrap();
        let form = Form::Lengths { framing: Framing::Lengths(2), sets: vec![vec![0x67, 1], vec![0x68]] };
        let record = Record { caps: gst::Caps::new_empty(), form };
        let unit = [0, 2, 0x67, 1, 0, 1, 0x68, 0, 3, 0x65, 2, 3];
        assert_eq!(record.unit(&unit, Place::Opening).unwrap().as_ref(), &unit[7..]);
        assert_eq!(record.unit(&unit, Place::Within).unwrap().as_ref(), &unit);
    }

    #[test]
    fn parameter_sets_of_hevc_stand_in_the_header_alone() {
        gst::init().unwrap();
        let (set, picture) = ([0x42, 1, 5], [0x26, 1, 9]);
        let form = || Form::Hevc { framing: Framing::StartCodes, sets: vec![set.to_vec()] };
        let record = Record { caps: gst::Caps::new_empty(), form: form() };
        let unit = [&[0, 0, 1][..], &set, &[0, 0, 1], &picture].concat();
        assert_eq!(record.unit(&unit, Place::Within).unwrap().as_ref(), [0, 0, 0, 3, 0x26, 1, 9]);
        let other = [&[0, 0, 1][..], &[0x42, 1, 6], &[0, 0, 1], &picture].concat();
        let refused = record.unit(&other, Place::Within).unwrap_err();
        assert!(refused.message.contains("a parameter set of type 33 changes"), "{}", refused.message);
    }
}
