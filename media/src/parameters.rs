//! Parameter sets of a byte stream: open GOPs are keys without them, so a range that begins there is given them first.

use crate::bitstream::nal::{Framing, nals};

/// More distinct sets are no film's.
const SETS_MAX: usize = 64;

/// The distinct parameter sets so far, the latest last.
pub(crate) struct ParameterSets {
    is_set: fn(u8) -> bool,
    sets: Vec<Vec<u8>>,
}

impl ParameterSets {
    /// `None` for codecs, or streams, whose caps carry what a decoder needs.
    pub(crate) fn of(caps: &gst::StructureRef) -> Option<Self> {
        if caps.has_field("codec_data") {
            return None;
        }
        let is_set: fn(u8) -> bool = match caps.name().as_str() {
            "video/x-h264" => |first| matches!(first & 0x1f, 7 | 8),
            "video/x-h265" => |first| matches!(first >> 1 & 0x3f, 32..=34),
            _ => return None,
        };
        Some(Self { is_set, sets: Vec::new() })
    }

    pub(crate) fn hear(&mut self, unit: &[u8]) {
        for nal in nals(Framing::StartCodes, unit) {
            if !nal.first().is_some_and(|first| (self.is_set)(*first)) {
                continue;
            }
            self.sets.retain(|known| known != nal);
            if self.sets.len() < SETS_MAX {
                self.sets.push(nal.to_vec());
            }
        }
    }

    /// All of them as a byte stream, in hexadecimal.
    pub(crate) fn to_hex(&self) -> String {
        let framed = self.sets.iter().flat_map(|set| [0, 0, 0, 1].into_iter().chain(set.iter().copied()));
        framed.map(|byte| format!("{byte:02x}")).collect()
    }
}

pub(crate) fn bytes_of_hex(hex: &str) -> Vec<u8> {
    let digits = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|p| u8::from_str_radix(p, 16).ok());
    hex.as_bytes().chunks(2).filter_map(digits).collect()
}
