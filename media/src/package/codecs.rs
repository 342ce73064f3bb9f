//! RFC 6381's names of codecs, as the codecs' own records say.

use framefleet_model::media::{AudioCodec, VideoCodec};

use crate::muxing::{Audio, MuxError, Video};

/// An object type that does not fit five bits.
const ESCAPED: u8 = 31;

pub(crate) fn video(video: &Video) -> Result<String, MuxError> {
    match video.codec {
        VideoCodec::H264 => {
            let [_, profile, constraints, level, ..] = video.codec_data[..] else {
                return Err(MuxError::CodecData("avcC"));
            };
            Ok(format!("avc1.{profile:02x}{constraints:02x}{level:02x}"))
        }
        VideoCodec::Hevc => hevc(&video.codec_data).ok_or(MuxError::CodecData("hvcC")),
        codec @ (VideoCodec::Vp8 | VideoCodec::Vp9 | VideoCodec::Av1 | VideoCodec::Mpeg4) => {
            Err(MuxError::Codec { container: "a package", codec: codec.name() })
        }
    }
}

pub(crate) fn audio(audio: &Audio) -> Result<String, MuxError> {
    if audio.codec == AudioCodec::Ac3 {
        return Ok("ac-3".to_owned());
    }
    let [first, second, ..] = audio.codec_data[..] else { return Err(MuxError::CodecData("AudioSpecificConfig")) };
    let object = match first >> 3 {
        ESCAPED => 32 + ((first & 7) << 3 | second >> 5),
        object => object,
    };
    Ok(format!("mp4a.40.{object}"))
}

/// ISO/IEC 14496-15, annex E.3.
fn hevc(record: &[u8]) -> Option<String> {
    let [1, general, rest @ ..] = record else { return None };
    let (compatible, rest) = rest.split_first_chunk::<4>()?;
    let (constraints, rest) = rest.split_first_chunk::<6>()?;
    let level = rest.first()?;
    let space = ["", "A", "B", "C"][usize::from(general >> 6)];
    let tier = if general & 0x20 == 0 { 'L' } else { 'H' };
    let mut name =
        format!("hvc1.{space}{}.{:X}.{tier}{level}", general & 0x1f, u32::from_be_bytes(*compatible).reverse_bits());
    let said = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..said] {
        name.push_str(&format!(".{byte:X}"));
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn main_profile_of_hevc_is_named_as_in_the_standard() {
        let record = [1, 0x01, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 93];
        assert_eq!(hevc(&record).as_deref(), Some("hvc1.1.6.L93.B0"));
        assert_eq!(hevc(&record[..10]), None);
    }
}
