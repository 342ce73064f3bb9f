//! GStreamer calls MPEG-1, 2 and 4 video by one name: the first start code that only one of them has decides.

use super::nal::{find_start_code, start_codes};
use super::{Odd, Verdict, mpeg2, mpeg4};

#[derive(Debug, Default)]
pub(crate) enum Rules {
    #[default]
    Undecided,
    Mpeg2(mpeg2::Rules),
    Mpeg4(mpeg4::Rules),
}

impl Rules {
    /// Headers that came apart from the units.
    pub(crate) fn set_codec_data(&mut self, codec_data: Option<&[u8]>) {
        let Some(headers) = codec_data else { return };
        if matches!(self, Self::Undecided) {
            *self = Self::of(headers);
        }
        if let Self::Mpeg4(rules) = self {
            rules.learn(headers);
        }
    }

    pub(crate) fn judge(&mut self, unit: &[u8]) -> Result<Verdict, Odd> {
        if matches!(self, Self::Undecided) {
            *self = Self::of(unit);
        }
        match self {
            Self::Undecided if find_start_code(unit).is_none() => Err(Odd("a unit of MPEG video has no start code")),
            Self::Undecided => Ok(Verdict::NOTHING),
            Self::Mpeg2(rules) => rules.judge(unit),
            Self::Mpeg4(rules) => rules.judge(unit),
        }
    }

    /// MPEG-4 begins with 0xb0 or a layer, or a VOP, which MPEG-2 reserves; MPEG-2 with a sequence header or a group,
    /// or a picture and its first slice, which MPEG-4 would call objects.
    fn of(unit: &[u8]) -> Self {
        let has = |wanted: fn(u8) -> bool| start_codes(unit).any(|(code, _)| wanted(code));
        let slices = has(|code| code == mpeg2::FIRST_SLICE);
        if has(|code| matches!(code, 0xb0 | mpeg4::VOP)) || (has(mpeg4::is_layer) && !slices) {
            return Self::Mpeg4(mpeg4::Rules::default());
        }
        if slices || has(|code| matches!(code, mpeg2::SEQUENCE)) {
            return Self::Mpeg2(mpeg2::Rules::default());
        }
        Self::Undecided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_telling_start_code_decides() {
        let decided = |codes: &[u8]| {
            let unit: Vec<u8> = codes.iter().flat_map(|code| [0, 0, 1, *code, 9, 9, 9]).collect();
            match Rules::of(&unit) {
                Rules::Undecided => 0,
                Rules::Mpeg2(_) => 2,
                Rules::Mpeg4(_) => 4,
            }
        };
        assert_eq!(decided(&[0xb3, 0xb5, 0xb8, 0x00, 0xb5, 0x01]), 2);
        assert_eq!(decided(&[0x00, 0x01, 0x20, 0x21]), 2, "rows of a tall picture look like layers");
        assert_eq!(decided(&[0xb0, 0xb5, 0x00, 0x20]), 4);
        assert_eq!(decided(&[0xb6]), 4);
        assert_eq!(decided(&[0x00, 0x20]), 4);
        assert_eq!(decided(&[0xb2]), 0);
    }
}
