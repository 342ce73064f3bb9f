//! A transport stream taken apart again, as far as its proof needs: packets counted without a gap, units with their
//! times. It takes nothing from the writer but the numbers of its streams.

use std::collections::BTreeMap;

use super::{AUDIO_PID, Access, PACKET_BYTES, PAT_PID, PMT_PID, SYNC, VIDEO_PID};

/// Where the packets of a stream have got to, from one file to the next.
#[derive(Default)]
pub(crate) struct Packets {
    counters: BTreeMap<u16, u8>,
}

/// One unit of a stream, or one piece of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) pid: u16,
    /// 0 for tables.
    pub(crate) pts: i64,
    pub(crate) access: Access,
    /// Without its headers.
    pub(crate) bytes: usize,
}

impl Packets {
    /// Whole packets of one file, in which every unit begins that is in it; or what is wrong with them.
    pub(crate) fn read(&mut self, file: &[u8]) -> Result<Vec<Unit>, String> {
        let mut units: Vec<Unit> = Vec::new();
        let mut open: BTreeMap<u16, usize> = BTreeMap::new();
        let (packets, rest) = file.as_chunks::<PACKET_BYTES>();
        if !rest.is_empty() {
            return Err(format!("{} bytes after the last packet", rest.len()));
        }
        for (packet, number) in packets.iter().zip(0_u64..) {
            let [SYNC, high, low, flags, rest @ ..] = packet else { return Err(format!("packet {number} is none")) };
            let pid = u16::from_be_bytes([high & 0x1f, *low]);
            self.count(pid, flags & 0x0f).map_err(|why| format!("packet {number}: {why}"))?;
            let (field, payload) = split(rest, *flags).ok_or_else(|| format!("packet {number} is overfull"))?;
            if high & 0x40 != 0 {
                open.insert(pid, units.len());
                units.push(unit(pid, field, payload).ok_or_else(|| format!("packet {number} begins no unit"))?);
            } else {
                let at = open.get(&pid).ok_or_else(|| format!("packet {number} continues what did not begin"))?;
                units[*at].bytes += payload.len();
            }
        }
        Ok(units)
    }

    fn count(&mut self, pid: u16, counter: u8) -> Result<(), String> {
        let due = self.counters.insert(pid, (counter + 1) & 0x0f).unwrap_or(counter);
        if due == counter { Ok(()) } else { Err(format!("stream {pid} counts {counter} where {due} is due")) }
    }
}

/// The adaptation field and the payload of a packet.
fn split(rest: &[u8], flags: u8) -> Option<(&[u8], &[u8])> {
    match flags & 0x30 {
        0x10 => Some((&[], rest)),
        0x30 => {
            let (length, rest) = rest.split_first()?;
            rest.split_at_checked(usize::from(*length))
        }
        _ => None,
    }
}

fn unit(pid: u16, field: &[u8], payload: &[u8]) -> Option<Unit> {
    let access = if field.first().is_some_and(|flags| flags & 0x40 != 0) { Access::Random } else { Access::Later };
    match pid {
        PAT_PID | PMT_PID => Some(Unit { pid, pts: 0, access, bytes: payload.len() }),
        VIDEO_PID | AUDIO_PID => {
            let [0, 0, 1, _, _, _, _, times, room, rest @ ..] = payload else { return None };
            let (header, data) = rest.split_at_checked(usize::from(*room))?;
            let pts = if times & 0x80 == 0 { return None } else { time(header.first_chunk::<5>()?) };
            Some(Unit { pid, pts, access, bytes: data.len() })
        }
        _ => None,
    }
}

fn time(bytes: &[u8; 5]) -> i64 {
    let [a, b, c, d, e] = bytes.map(i64::from);
    (a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1
}
