//! Blocks of an index's units at rest: columns, each delta-coded, compressed together.

use crate::index::{Key, UNITS_PER_BLOCK, Unit};
use crate::time::MediaTime;

/// units:u32le, then lz4 of the columns.
pub(crate) fn pack_block(units: &[Unit]) -> Vec<u8> {
    let mut columns = Vec::with_capacity(units.len() * 16);
    for unit in units {
        let flags = u8::from(unit.is_key())
            | (unit.shows.min(1) << 1)
            | (u8::from(unit.pts.is_some()) << 2)
            | (u8::from(unit.dts.is_some()) << 3)
            | (u8::from(unit.duration.is_some()) << 4)
            | (u8::from(unit.offset.is_some()) << 5)
            | (u8::from(unit.key == Key::Open) << 6);
        columns.push(flags);
    }
    let optional: [fn(&Unit) -> Option<i64>; 4] = [
        |u| u.pts.map(MediaTime::ns),
        |u| u.dts.map(MediaTime::ns),
        |u| u.duration.map(MediaTime::ns),
        |u| u.offset.and_then(|o| i64::try_from(o).ok()),
    ];
    for column in optional {
        let mut last = 0_i64;
        for value in units.iter().filter_map(column) {
            put_varint(&mut columns, value.wrapping_sub(last));
            last = value;
        }
    }
    for unit in units {
        put_varint(&mut columns, i64::from(unit.size));
    }
    for unit in units {
        columns.extend_from_slice(&unit.hash.to_le_bytes());
    }
    let mut out = u32::try_from(units.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    out.extend(lz4_flex::compress_prepend_size(&columns));
    out
}

pub(crate) fn unpack_block(packed: &[u8], count: u32) -> Option<Vec<Unit>> {
    let count = count as usize;
    if count > UNITS_PER_BLOCK || packed.get(..4)? != u32::try_from(count).ok()?.to_le_bytes() {
        return None;
    }
    // 40 bytes a unit is more than any of them takes; a larger claim is a lie about the size.
    let claimed = u32::from_le_bytes(packed.get(4..8)?.try_into().ok()?) as usize;
    if claimed > count * 64 {
        return None;
    }
    let columns = lz4_flex::decompress_size_prepended(&packed[4..]).ok()?;
    let mut reader = Columns { rest: &columns };
    let flags = reader.take(count)?.to_vec();
    let pts = reader.optional(&flags, 2)?;
    let dts = reader.optional(&flags, 3)?;
    let duration = reader.optional(&flags, 4)?;
    let offset = reader.optional(&flags, 5)?;
    let mut sizes = Vec::with_capacity(count);
    for _ in 0..count {
        sizes.push(u32::try_from(reader.varint()?).ok()?);
    }
    let mut units = Vec::with_capacity(count);
    for i in 0..count {
        let hash = u64::from_le_bytes(reader.take(8)?.try_into().ok()?);
        units.push(Unit {
            pts: pts[i].map(MediaTime),
            dts: dts[i].map(MediaTime),
            duration: duration[i].map(MediaTime),
            size: sizes[i],
            key: match (flags[i] & 1, flags[i] >> 6 & 1) {
                (0, _) => Key::No,
                (_, 0) => Key::Yes,
                _ => Key::Open,
            },
            shows: flags[i] >> 1 & 1,
            hash,
            offset: offset[i].and_then(|o| u64::try_from(o).ok()),
        });
    }
    Some(units)
}

struct Columns<'a> {
    rest: &'a [u8],
}

impl<'a> Columns<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(head)
    }

    fn varint(&mut self) -> Option<i64> {
        let mut raw = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            raw |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()));
            }
        }
        None
    }

    fn optional(&mut self, flags: &[u8], bit: u8) -> Option<Vec<Option<i64>>> {
        let mut last = 0_i64;
        let mut values = Vec::with_capacity(flags.len());
        for flag in flags {
            if flag >> bit & 1 == 0 {
                values.push(None);
                continue;
            }
            last = last.wrapping_add(self.varint()?);
            values.push(Some(last));
        }
        Some(values)
    }
}

/// LEB128 of the zigzag form.
fn put_varint(out: &mut Vec<u8>, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while raw >= 0x80 {
        out.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}
