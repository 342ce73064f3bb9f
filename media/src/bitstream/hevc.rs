//! HEVC: random access points, the leading pictures that a decoder skips, and pictures that are not put out.

use std::collections::BTreeMap;

use super::bits::Bits;
use super::nal::{Framing, nals, take_sized, unescape};
use super::{Odd, Verdict};
use framefleet_model::index::Key;

#[derive(Debug, Default)]
pub(crate) struct Rules {
    framing: Framing,
    sets: BTreeMap<u32, Pps>,
    start: Start,
}

/// What a picture parameter set says of slice headers.
#[derive(Clone, Copy, Debug)]
struct Pps {
    says_output: bool,
    extra_bits: usize,
}

/// What came last that decides on skipped leading pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Start {
    /// Nothing yet to decode from.
    #[default]
    Waiting,
    /// The next picture begins a sequence.
    AfterEnd,
    /// The last random access point began a sequence: RASL pictures refer to what is not there.
    SkipsLeading,
    Clean,
}

const RASL: std::ops::RangeInclusive<u8> = 8..=9;
pub(crate) const IRAP: std::ops::RangeInclusive<u8> = 16..=23;
const BLA: std::ops::RangeInclusive<u8> = 16..=18;
const IDR: std::ops::RangeInclusive<u8> = 19..=20;
const PPS: u8 = 34;
const END_OF_SEQUENCE: u8 = 36;
const END_OF_STREAM: u8 = 37;
const SLICE_HEADER_BYTES: usize = 32;
/// Where an hvcC record has the profile's flags, and the flag for interlaced sources.
const GENERAL_FLAGS_AT: usize = 6;
const GENERAL_INTERLACED: u8 = 0x40;

impl Rules {
    pub(crate) fn set_codec_data(&mut self, codec_data: Option<&[u8]>) -> Option<()> {
        let Some(hvcc) = codec_data else {
            self.framing = Framing::StartCodes;
            return Some(());
        };
        let (framing, sets) = parse_hvcc(hvcc)?;
        self.framing = framing;
        for nal in sets {
            self.learn(nal);
        }
        Some(())
    }

    pub(crate) fn judge(&mut self, unit: &[u8]) -> Result<Verdict, Odd> {
        let mut verdict = None;
        for nal in nals(self.framing, unit) {
            let &[first, second, ..] = nal else { continue };
            let layer = (first & 1) << 5 | second >> 3;
            if layer > 0 {
                continue;
            }
            match first >> 1 & 0x3f {
                kind @ 0..=31 if nal.get(2).is_some_and(|byte| byte & 0x80 != 0) => {
                    if verdict.is_some() {
                        return Err(Odd("a unit holds several pictures"));
                    }
                    verdict = Some(self.picture(kind, nal)?);
                }
                PPS => self.learn(nal),
                END_OF_SEQUENCE | END_OF_STREAM if self.start != Start::Waiting => self.start = Start::AfterEnd,
                _ => {}
            }
        }
        Ok(verdict.unwrap_or(Verdict::NOTHING))
    }

    fn picture(&mut self, kind: u8, nal: &[u8]) -> Result<Verdict, Odd> {
        let begins = matches!(self.start, Start::Waiting | Start::AfterEnd);
        if IRAP.contains(&kind) {
            let skips = begins || BLA.contains(&kind);
            self.start = if skips && !IDR.contains(&kind) { Start::SkipsLeading } else { Start::Clean };
        }
        let skipped = match self.start {
            Start::Waiting => true,
            Start::SkipsLeading => RASL.contains(&kind),
            Start::AfterEnd | Start::Clean => false,
        };
        let put_out = self.is_put_out(kind, nal).ok_or(Odd("a slice refers to unknown parameter sets"))?;
        let key = if IRAP.contains(&kind) { Key::Yes } else { Key::No };
        Ok(Verdict { key, shows: u8::from(put_out && !skipped) })
    }

    fn is_put_out(&self, kind: u8, nal: &[u8]) -> Option<bool> {
        let payload = unescape(nal.get(2..)?, SLICE_HEADER_BYTES);
        let mut bits = Bits::new(&payload);
        bits.flag()?;
        if IRAP.contains(&kind) {
            bits.flag()?;
        }
        let pps = self.sets.get(&bits.ue()?)?;
        bits.skip(pps.extra_bits)?;
        bits.ue()?;
        if pps.says_output { bits.flag() } else { Some(true) }
    }

    /// Keeps a picture parameter set; a damaged one changes nothing.
    fn learn(&mut self, nal: &[u8]) {
        if nal.first().is_none_or(|head| head >> 1 & 0x3f != PPS) {
            return;
        }
        let payload = unescape(nal.get(2..).unwrap_or(&[]), 16);
        if let Some((id, pps)) = parse_pps(&mut Bits::new(&payload)) {
            self.sets.insert(id, pps);
        }
    }
}

fn parse_pps(bits: &mut Bits<'_>) -> Option<(u32, Pps)> {
    let id = bits.ue().filter(|id| *id < 64)?;
    bits.ue()?;
    bits.flag()?;
    let says_output = bits.flag()?;
    let extra_bits = bits.take(3)? as usize;
    Some((id, Pps { says_output, extra_bits }))
}

/// NAL framing and parameter sets of an hvcC record.
pub(crate) fn parse_hvcc(hvcc: &[u8]) -> Option<(Framing, Vec<&[u8]>)> {
    let framing = Framing::Lengths(usize::from(hvcc.get(21)? & 3) + 1);
    let (arrays, mut rest) = hvcc.get(22..)?.split_first()?;
    let mut sets = Vec::new();
    for _ in 0..*arrays {
        let (head, tail) = rest.split_at_checked(3)?;
        rest = tail;
        for _ in 0..u16::from_be_bytes([head[1], head[2]]) {
            sets.push(take_sized(&mut rest)?);
        }
    }
    Some((framing, sets))
}

/// Why an hvcC record leaves open what a unit shows, if it does.
pub(crate) fn oddity(hvcc: &[u8]) -> Option<&'static str> {
    let Some((_, sets)) = parse_hvcc(hvcc) else { return Some("the codec data does not parse") };
    let of_pictures = sets.iter().filter(|nal| nal.first().is_some_and(|head| head >> 1 & 0x3f == PPS));
    let mut pictures = of_pictures.map(|nal| parse_pps(&mut Bits::new(&unescape(nal.get(2..).unwrap_or(&[]), 16))));
    if sets.is_empty() {
        Some("the parameter sets are in the stream")
    } else if hvcc[GENERAL_FLAGS_AT] & GENERAL_INTERLACED != 0 {
        Some("pictures may be coded as fields")
    } else if pictures.any(|set| set.is_none_or(|(_, pps)| pps.says_output)) {
        Some("pictures may be hidden")
    } else {
        None
    }
}
