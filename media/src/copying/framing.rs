//! What stands around units and is the container's: units of sound without it, and the header that they need instead.

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::media::AudioCodec;

use crate::copying::adts::Frame;
use crate::pipe::internal;
use crate::sound_coding;

/// How units of sound come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// As they are to go on.
    Bare,
    /// AAC, each behind a header of its own.
    Adts,
}

impl Framing {
    pub(crate) fn of(codec: AudioCodec, caps: &gst::CapsRef) -> Result<Self, Fault> {
        let structure = caps.structure(0).ok_or_else(|| internal("empty caps"))?;
        let said = structure.get::<String>("stream-format").unwrap_or_default();
        match (codec, said.as_str()) {
            (AudioCodec::Aac, "adts") => Ok(Self::Adts),
            (AudioCodec::Aac, "raw") => Ok(Self::Bare),
            (AudioCodec::Aac, _) => Err(unsupported(format!(
                "the sound is aac framed as {said:?}, of which no copy is made, only of raw, adts"
            ))),
            _ => Ok(Self::Bare),
        }
    }

    /// The caps that units are written with.
    pub(crate) fn header(self, codec: AudioCodec, caps: &gst::CapsRef, unit: &[u8]) -> Result<gst::Caps, Fault> {
        let structure = caps.structure(0).ok_or_else(|| internal("empty caps"))?;
        let headless = codec == AudioCodec::Opus && !structure.has_field("streamheader");
        let record = match self {
            Self::Adts => Frame::of(unit).ok_or_else(several)?.config.to_vec(),
            Self::Bare if headless => opus_head(structure)?,
            Self::Bare => {
                let said = sound_coding::header(codec, caps, unit);
                return said.map_err(|why| unsupported(format!("the sound cannot be copied: {}", why.message)));
            }
        };
        let mut ours = caps.to_owned();
        if let Some(ours) = ours.make_mut().structure_mut(0) {
            if self == Self::Adts {
                ours.set("stream-format", "raw");
                ours.set("mpegversion", 4);
            }
            ours.set("codec_data", gst::Buffer::from_slice(record));
        }
        Ok(ours)
    }

    /// A unit without what is its container's.
    pub(crate) fn payload(self, unit: &[u8]) -> Result<&[u8], Fault> {
        match self {
            Self::Bare => Ok(unit),
            Self::Adts => Frame::of(unit).map(|frame| frame.data).ok_or_else(several),
        }
    }
}

/// An identification header (RFC 7845, 5.1) where the container has another form of it; what is skipped is said by whoever
/// writes it.
fn opus_head(caps: &gst::StructureRef) -> Result<Vec<u8>, Fault> {
    let field = |name: &str| caps.get::<i32>(name).ok();
    let family = field("channel-mapping-family").unwrap_or(0);
    let channels = field("channels").and_then(|channels| u8::try_from(channels).ok()).unwrap_or(2);
    if family != 0 {
        let text = format!("the sound cannot be copied: its header lacks the places of {channels} channels");
        return Err(unsupported(text));
    }
    let rate = field("rate").unwrap_or(48_000).to_le_bytes();
    Ok([b"OpusHead\x01".as_slice(), &[channels, 0, 0], &rate, &[0, 0, 0]].concat())
}

fn several() -> Fault {
    unsupported(
        "the sound is aac in frames of several blocks, or without a header of a known form: no copy is made".to_owned(),
    )
}

fn unsupported(text: String) -> Fault {
    Fault::new(FaultKind::Unsupported, text)
}
