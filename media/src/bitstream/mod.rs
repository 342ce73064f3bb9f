//! What an access unit does, read from its own bytes: whether decoding may begin at it, and whether it puts a picture
//! on the screen.
//!
//! Containers and parsers do not tell: a field pair may be one unit or two, VP8 and VP9 carry pictures that are never
//! shown, packed MPEG-4 puts two pictures into one unit, and parsers call any I picture a key. A codec without a rule
//! here, or a unit that a rule calls `Odd`, makes the film one task, whose one decode is the count.
//!
//! The rules follow what a decoder that hides broken pictures shows when it starts at the film's first unit: nothing
//! before the first key, and no leading picture whose references lie before it.

pub(crate) mod av1;
pub(crate) mod bits;
pub(crate) mod display;
mod h263;
pub(crate) mod h264;
pub(crate) mod hevc;
mod mpeg;
mod mpeg2;
mod mpeg4;
pub(crate) mod nal;
mod vpx;

use framefleet_model::index::Key;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Decoding may begin here.
    pub key: Key,
    /// Pictures that it puts on the screen: 0 or 1.
    pub shows: u8,
}

/// Why a unit's pictures cannot be counted: a film that has such a unit is not cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Odd(pub &'static str);

/// The rules of one codec, and what they remember of the units so far.
#[derive(Debug)]
pub struct Rules(Codec);

#[derive(Debug)]
enum Codec {
    H264(h264::Rules),
    Hevc(hevc::Rules),
    Vp8(vpx::Vp8),
    Vp9(vpx::Vp9),
    Av1(av1::Rules),
    Mpeg(mpeg::Rules),
    H263(h263::Syntax),
    Theora,
    /// Every unit is a whole picture.
    AllIntra,
}

impl Rules {
    /// The rules for a codec by GStreamer's media type; `None`: not written.
    ///
    /// `codec_data` is that of the stream as units are judged: with it, H.264 and HEVC units are length-prefixed,
    /// without it they hold start codes.
    pub fn for_codec(media_type: &str, codec_data: Option<&[u8]>) -> Option<Self> {
        let mut rules = Self(match media_type {
            "video/x-h264" => Codec::H264(h264::Rules::default()),
            "video/x-h265" => Codec::Hevc(hevc::Rules::default()),
            "video/x-vp8" => Codec::Vp8(vpx::Vp8::default()),
            "video/x-vp9" => Codec::Vp9(vpx::Vp9::default()),
            "video/x-av1" => Codec::Av1(av1::Rules::default()),
            "video/mpeg" | "video/x-divx" => Codec::Mpeg(mpeg::Rules::default()),
            "video/x-h263" => Codec::H263(h263::Syntax::Itu),
            "video/x-flash-video" => Codec::H263(h263::Syntax::Sorenson),
            "video/x-theora" => Codec::Theora,
            "image/jpeg" | "image/png" | "image/x-jpc" | "image/x-j2c" | "video/x-prores" | "video/x-dnxhd"
            | "video/x-dv" | "video/x-huffyuv" | "video/x-ffvhuff" | "video/x-raw" => Codec::AllIntra,
            _ => return None,
        });
        rules.set_codec_data(codec_data)?;
        Some(rules)
    }

    /// The stream's headers changed: units from here on are framed and decoded by these. `None`: not understood.
    pub fn set_codec_data(&mut self, codec_data: Option<&[u8]>) -> Option<()> {
        match &mut self.0 {
            Codec::H264(rules) => return rules.set_codec_data(codec_data),
            Codec::Hevc(rules) => return rules.set_codec_data(codec_data),
            Codec::Av1(rules) => rules.set_codec_data(codec_data),
            Codec::Mpeg(rules) => rules.set_codec_data(codec_data),
            Codec::Vp8(_) | Codec::Vp9(_) | Codec::H263(_) | Codec::Theora | Codec::AllIntra => {}
        }
        Some(())
    }

    /// Judges the next unit in decoding order.
    pub fn judge(&mut self, unit: &[u8]) -> Result<Verdict, Odd> {
        if unit.is_empty() {
            return Ok(Verdict::NOTHING);
        }
        match &mut self.0 {
            Codec::H264(rules) => rules.judge(unit),
            Codec::Hevc(rules) => rules.judge(unit),
            Codec::Vp8(rules) => rules.judge(unit),
            Codec::Vp9(rules) => rules.judge(unit),
            Codec::Av1(rules) => rules.judge(unit),
            Codec::Mpeg(rules) => rules.judge(unit),
            Codec::H263(syntax) => syntax.judge(unit),
            Codec::Theora => Ok(theora(unit)),
            Codec::AllIntra => Ok(Verdict::KEY),
        }
    }
}

impl Verdict {
    const NOTHING: Self = Self { key: Key::No, shows: 0 };
    const PICTURE: Self = Self { key: Key::No, shows: 1 };
    const KEY: Self = Self { key: Key::Yes, shows: 1 };
}

/// The first bit tells headers from pictures, the second inter from key pictures.
fn theora(packet: &[u8]) -> Verdict {
    match packet[0] >> 6 {
        0b00 => Verdict::KEY,
        0b01 => Verdict::PICTURE,
        _ => Verdict::NOTHING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_without_rules_have_none() {
        for media_type in ["video/x-wmv", "video/x-svq", "audio/mpeg", ""] {
            assert!(Rules::for_codec(media_type, None).is_none(), "{media_type}");
        }
    }

    #[test]
    fn every_intra_unit_is_a_key_and_an_empty_one_shows_nothing() {
        let mut rules = Rules::for_codec("video/x-prores", None).unwrap();
        assert_eq!(rules.judge(b"icpf"), Ok(Verdict::KEY));
        assert_eq!(rules.judge(b""), Ok(Verdict::NOTHING));
    }

    #[test]
    fn theora_headers_show_nothing() {
        let mut rules = Rules::for_codec("video/x-theora", None).unwrap();
        let shows = [0x80, 0x00, 0x40].map(|byte| rules.judge(&[byte]).unwrap());
        assert_eq!(shows, [Verdict::NOTHING, Verdict::KEY, Verdict::PICTURE]);
    }
}
