//! H.264: field pairs, recovery points, and the leading pictures of a film that begins at one.

use std::collections::BTreeMap;

use super::bits::Bits;
use super::nal::{Framing, nals, take_sized, unescape};
use super::{Odd, Verdict};
use framefleet_model::index::Key;

#[derive(Debug, Default)]
pub(crate) struct Rules {
    framing: Framing,
    sets: Sets,
    /// A field that waits for its other half.
    half: Option<Slice>,
    start: Start,
}

/// Parameter sets by their ids.
#[derive(Debug, Default)]
struct Sets {
    sequence: BTreeMap<u32, Sps>,
    /// The sequence parameter set that each picture parameter set refers to.
    picture: BTreeMap<u32, u32>,
}

/// What a sequence parameter set says of slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sps {
    separate_planes: bool,
    frame_num_bits: u32,
    order: Order,
    pub(crate) scan: Coded,
}

/// Whether a stream may hold fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coded {
    FramesOnly,
    FieldsToo,
}

/// How output order is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Lsb { bits: u32 },
    Other,
}

/// Where the film stands with regard to its first key.
#[derive(Clone, Copy, Debug, Default)]
enum Start {
    #[default]
    Waiting,
    /// At a recovery point: pictures that are put out before this one are broken.
    Open {
        order: Option<u32>,
        bits: u32,
    },
    Clean,
}

/// The part of a slice header that tells pictures apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slice {
    kind: u32,
    idr: bool,
    reference: bool,
    frame_num: u32,
    field: Field,
    order: Option<u32>,
    order_bits: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Frame,
    Top,
    Bottom,
}

/// A picture of a unit, slice by slice.
#[derive(Clone, Copy)]
struct Picture {
    first: Slice,
    intra: bool,
}

const SLICE_HEADER_BYTES: usize = 64;
const SPS_BYTES: usize = 1024;
const SEI_BYTES: usize = 4096;

impl Rules {
    pub(crate) fn set_codec_data(&mut self, codec_data: Option<&[u8]>) -> Option<()> {
        let Some(avcc) = codec_data else {
            self.framing = Framing::StartCodes;
            return Some(());
        };
        let (framing, sets) = parse_avcc(avcc)?;
        self.framing = framing;
        for nal in sets {
            self.sets.learn(nal);
        }
        Some(())
    }

    pub(crate) fn judge(&mut self, unit: &[u8]) -> Result<Verdict, Odd> {
        let mut pictures: Vec<Picture> = Vec::new();
        let mut recovers = false;
        for nal in nals(self.framing, unit) {
            let Some(head) = nal.first() else { continue };
            match head & 0x1f {
                1 | 2 | 5 => {
                    let slice = self.sets.slice(nal).ok_or(Odd("a slice refers to unknown parameter sets"))?;
                    add_slice(&mut pictures, slice);
                }
                6 => recovers |= holds_recovery_point(nal),
                7 | 8 => self.sets.learn(nal),
                _ => {}
            }
        }
        let shown = self.shown(&pictures)?;
        let Some(first) = pictures.first() else { return Ok(Verdict::NOTHING) };
        let key = match shown {
            0 => Key::No,
            _ if first.first.idr => Key::Yes,
            _ if recovers && first.intra => Key::Open,
            _ => Key::No,
        };
        Ok(self.verdict(first.first, shown, key))
    }

    /// Counts pictures, a field pair as one.
    fn shown(&mut self, pictures: &[Picture]) -> Result<u8, Odd> {
        let mut shown = 0_u8;
        for picture in pictures {
            let second = self.half.take().is_some_and(|first| first.pairs_with(picture.first));
            if second {
                continue;
            }
            if picture.first.field != Field::Frame {
                self.half = Some(picture.first);
            }
            shown = shown.saturating_add(1);
        }
        if shown > 1 { Err(Odd("a unit holds several pictures")) } else { Ok(shown) }
    }

    fn verdict(&mut self, slice: Slice, shown: u8, key: Key) -> Verdict {
        if shown == 0 {
            return Verdict { key, shows: 0 };
        }
        self.start = match self.start {
            _ if slice.idr => Start::Clean,
            Start::Waiting if key != Key::No => Start::Open { order: slice.order, bits: slice.order_bits },
            // Leading pictures follow their key at once.
            Start::Open { order, bits } if !slice.is_before(order, bits) => Start::Clean,
            same => same,
        };
        let hidden = match self.start {
            Start::Waiting => true,
            Start::Open { .. } => key == Key::No,
            Start::Clean => false,
        };
        Verdict { key, shows: if hidden { 0 } else { shown } }
    }
}

impl Slice {
    fn pairs_with(&self, second: Slice) -> bool {
        let opposite = matches!((self.field, second.field), (Field::Top, Field::Bottom) | (Field::Bottom, Field::Top));
        opposite && self.frame_num == second.frame_num && (self.idr || !second.idr)
    }

    fn is_before(&self, order: Option<u32>, bits: u32) -> bool {
        let (Some(mine), Some(start)) = (self.order, order) else { return false };
        // Output order counts modulo a power of two: the upper half of distances is the past.
        let distance = mine.wrapping_sub(start) & ((1_u32 << bits) - 1);
        distance >> (bits - 1) == 1
    }

    /// Whether both belong to one picture (ITU-T H.264 §7.4.1.2.4).
    fn continues(&self, other: &Self) -> bool {
        let same = |s: &Self| (s.idr, s.reference, s.frame_num, s.field, s.order);
        same(self) == same(other)
    }

    fn is_intra(&self) -> bool {
        matches!(self.kind % 5, 2 | 4)
    }
}

fn add_slice(pictures: &mut Vec<Picture>, slice: Slice) {
    match pictures.last_mut() {
        Some(picture) if picture.first.continues(&slice) => picture.intra &= slice.is_intra(),
        _ => pictures.push(Picture { first: slice, intra: slice.is_intra() }),
    }
}

impl Sets {
    /// Keeps a parameter set; a damaged one changes nothing.
    fn learn(&mut self, nal: &[u8]) {
        let Some((head, _)) = nal.split_first() else { return };
        if head & 0x1f == 7 {
            if let Some((id, sps)) = parse_sps(nal) {
                self.sequence.insert(id, sps);
            }
            return;
        }
        let payload = unescape(&nal[1..], 16);
        let mut bits = Bits::new(&payload);
        if let (Some(id @ 0..256), Some(sps @ 0..32)) = (bits.ue(), bits.ue()) {
            self.picture.insert(id, sps);
        }
    }

    fn slice(&self, nal: &[u8]) -> Option<Slice> {
        let head = *nal.first()?;
        let payload = unescape(&nal[1..], SLICE_HEADER_BYTES);
        let mut bits = Bits::new(&payload);
        bits.ue()?;
        let kind = bits.ue()?;
        let sps = self.sequence.get(self.picture.get(&bits.ue()?)?)?;
        if sps.separate_planes {
            bits.take(2)?;
        }
        let frame_num = bits.take(sps.frame_num_bits)?;
        let field = match sps.scan {
            Coded::FramesOnly => Field::Frame,
            Coded::FieldsToo => read_field(&mut bits)?,
        };
        let idr = head & 0x1f == 5;
        if idr {
            bits.ue()?;
        }
        let (order, order_bits) = match sps.order {
            Order::Lsb { bits: n } => (Some(bits.take(n)?), n),
            Order::Other => (None, 1),
        };
        Some(Slice { kind, idr, reference: head & 0x60 != 0, frame_num, field, order, order_bits })
    }
}

fn read_field(bits: &mut Bits<'_>) -> Option<Field> {
    if !bits.flag()? {
        return Some(Field::Frame);
    }
    Some(if bits.flag()? { Field::Bottom } else { Field::Top })
}

/// NAL framing and parameter sets of an avcC record.
pub(crate) fn parse_avcc(avcc: &[u8]) -> Option<(Framing, Vec<&[u8]>)> {
    if *avcc.first()? != 1 {
        return None;
    }
    let framing = Framing::Lengths(usize::from(avcc.get(4)? & 3) + 1);
    let mut sets = Vec::new();
    let (count, mut rest) = avcc.get(5..)?.split_first()?;
    for _ in 0..count & 0x1f {
        sets.push(take_sized(&mut rest)?);
    }
    let (count, mut rest) = rest.split_first()?;
    for _ in 0..*count {
        sets.push(take_sized(&mut rest)?);
    }
    Some((framing, sets))
}

/// A sequence parameter set and its id.
pub(crate) fn parse_sps(nal: &[u8]) -> Option<(u32, Sps)> {
    let payload = unescape(nal.get(1..)?, SPS_BYTES);
    let mut bits = Bits::new(&payload);
    let profile = bits.take(8)?;
    bits.take(16)?;
    let id = bits.ue().filter(|id| *id < 32)?;
    let separate_planes = match profile {
        100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135 => read_high_profile(&mut bits)?,
        _ => false,
    };
    let frame_num_bits = bits.ue().filter(|n| *n <= 12)? + 4;
    let order = read_order(&mut bits)?;
    bits.ue()?;
    bits.flag()?;
    bits.ue()?;
    bits.ue()?;
    let scan = if bits.flag()? { Coded::FramesOnly } else { Coded::FieldsToo };
    Some((id, Sps { separate_planes, frame_num_bits, order, scan }))
}

/// Chroma format, bit depths and scaling lists; says whether colour planes are coded apart.
fn read_high_profile(bits: &mut Bits<'_>) -> Option<bool> {
    let chroma = bits.ue()?;
    let separate = chroma == 3 && bits.flag()?;
    bits.ue()?;
    bits.ue()?;
    bits.flag()?;
    if bits.flag()? {
        for list in 0..if chroma == 3 { 12 } else { 8 } {
            if bits.flag()? {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some(separate)
}

fn skip_scaling_list(bits: &mut Bits<'_>, entries: u32) -> Option<()> {
    let (mut last, mut next) = (8_i32, 8_i32);
    for _ in 0..entries {
        if next != 0 {
            next = last.wrapping_add(bits.se()?) & 0xff;
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

fn read_order(bits: &mut Bits<'_>) -> Option<Order> {
    match bits.ue()? {
        0 => Some(Order::Lsb { bits: bits.ue().filter(|n| *n <= 12)? + 4 }),
        1 => {
            bits.flag()?;
            bits.se()?;
            bits.se()?;
            for _ in 0..bits.ue().filter(|n| *n < 256)? {
                bits.se()?;
            }
            Some(Order::Other)
        }
        2 => Some(Order::Other),
        _ => None,
    }
}

/// Whether an SEI says that decoding from here is right at once.
fn holds_recovery_point(nal: &[u8]) -> bool {
    let payload = unescape(&nal[1..], SEI_BYTES);
    let mut rest = &payload[..];
    while rest.len() > 2 {
        let (Some(kind), Some(size)) = (take_sei_number(&mut rest), take_sei_number(&mut rest)) else { return false };
        if kind == 6 {
            return Bits::new(rest).ue() == Some(0);
        }
        rest = rest.get(size..).unwrap_or(&[]);
    }
    false
}

/// A number coded as a run of 255s and a last byte.
fn take_sei_number(rest: &mut &[u8]) -> Option<usize> {
    let mut sum = 0;
    loop {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        sum += usize::from(*byte);
        if *byte != 255 {
            return Some(sum);
        }
    }
}
