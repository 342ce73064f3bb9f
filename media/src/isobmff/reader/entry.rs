//! Sample entries: what is coded how, and how it is to be shown.

use framefleet_model::media::{AudioFormat, Colour, ColourRange, ContentLight, Geometry, MasteringDisplay, VideoCodec};
use framefleet_model::time::Rational;

use super::bytes::{Bytes, Kind};
use super::{Refusal, odd};

const VISUAL_BYTES: usize = 78;
const SOUND_BYTES: usize = 28;

/// The pictures of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pictures {
    pub codec: VideoCodec,
    /// The sample entry, such as `avc1`.
    pub entry: Kind,
    /// The avcC or hvcC record.
    pub codec_data: Vec<u8>,
    pub geometry: Geometry,
    pub pixel_aspect: Rational,
    pub colour: Option<Colour>,
    pub mastering: Option<MasteringDisplay>,
    pub light: Option<ContentLight>,
}

/// The sound of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    pub entry: Kind,
    /// As the sample entry says, which AAC's own header may correct.
    pub format: AudioFormat,
}

/// The one sample entry of a track's `stsd`.
pub(crate) fn only(table: Bytes<'_>) -> Result<(Kind, Bytes<'_>), Refusal> {
    let mut list = table.find(b"stsd").ok_or_else(|| odd("a track has no sample entry"))?;
    let count = list.version().and_then(|_| list.u32());
    match count {
        Some(1) => list.boxes().next().ok_or_else(|| odd("a sample entry is damaged")),
        Some(count) => Err(odd(format!("a track has {count} sample entries"))),
        None => Err(odd("a sample entry is damaged")),
    }
}

pub(crate) fn pictures(kind: Kind, mut entry: Bytes<'_>) -> Result<Pictures, Refusal> {
    let (codec, record) = match &kind {
        b"avc1" | b"avc3" => (VideoCodec::H264, b"avcC"),
        b"hvc1" | b"hev1" => (VideoCodec::Hevc, b"hvcC"),
        _ => return Err(odd(format!("no sample tables are read for {}", name(kind)))),
    };
    let damaged = || odd("a picture's sample entry is damaged");
    let mut fixed = Bytes::new(entry.take(VISUAL_BYTES).ok_or_else(damaged)?);
    fixed.take(24);
    let (width, height) = fixed.u16().zip(fixed.u16()).ok_or_else(damaged)?;
    let codec_data = entry.find(record).ok_or_else(damaged)?.rest().to_vec();
    let pixel_aspect = entry.find(b"pasp").and_then(|mut b| Rational::new(b.u32()?, b.u32()?).ok());
    Ok(Pictures {
        codec,
        entry: kind,
        codec_data,
        geometry: Geometry { width: u32::from(width), height: u32::from(height) },
        pixel_aspect: pixel_aspect.unwrap_or(Rational::ONE),
        colour: entry.find(b"colr").and_then(colour),
        mastering: entry.find(b"mdcv").and_then(mastering),
        light: entry.find(b"clli").and_then(light),
    })
}

/// What a screen is to know of the pictures, whatever their codec.
pub(crate) fn display(mut entry: Bytes<'_>) -> Option<(Option<MasteringDisplay>, Option<ContentLight>)> {
    entry.take(VISUAL_BYTES)?;
    Some((entry.find(b"mdcv").and_then(mastering), entry.find(b"clli").and_then(light)))
}

pub(crate) fn sound(kind: Kind, mut entry: Bytes<'_>) -> Option<Sound> {
    let mut fixed = Bytes::new(entry.take(SOUND_BYTES)?);
    fixed.take(16)?;
    let channels = fixed.u16()?;
    fixed.take(6)?;
    let rate = u32::from(fixed.u16()?);
    Some(Sound { entry: kind, format: AudioFormat { rate, channels } })
}

fn colour(mut payload: Bytes<'_>) -> Option<Colour> {
    let kind = payload.kind()?;
    let mut point = || payload.u16().and_then(|point| u8::try_from(point).ok());
    let (primaries, transfer, matrix) = (point()?, point()?, point()?);
    let range = match &kind {
        b"nclx" if payload.u8()? & 0x80 != 0 => ColourRange::Full,
        b"nclx" | b"nclc" => ColourRange::Limited,
        _ => return None,
    };
    Some(Colour { primaries, transfer, matrix, range })
}

fn mastering(mut payload: Bytes<'_>) -> Option<MasteringDisplay> {
    let mut point = || payload.u16().zip(payload.u16());
    let (green, blue, red, white) = (point()?, point()?, point()?, point()?);
    let (luminance_max, luminance_min) = payload.u32().zip(payload.u32())?;
    Some(MasteringDisplay { primaries: [red, green, blue], white, luminance_max, luminance_min })
}

fn light(mut payload: Bytes<'_>) -> Option<ContentLight> {
    Some(ContentLight { max_cll: payload.u16()?, max_fall: payload.u16()? })
}

/// A box's name for people.
pub(crate) fn name(kind: Kind) -> String {
    kind.escape_ascii().to_string()
}
