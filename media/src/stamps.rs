//! How long a stream without a header lasts: from the first and last time stamps of its packets (ISO/IEC 13818-1).

use std::collections::BTreeMap;
use std::io;

use framefleet_model::time::MediaTime;

use crate::read_at::ReadAt;

/// What is looked through at either end.
const WINDOW_BYTES: u64 = 512 << 10;
/// More of the end is looked through where so little has no time stamp.
const WINDOW_BYTES_MAX: u64 = 4 << 20;
const SYNC: u8 = 0x47;
/// Packets alone, with a time before each, and with a check sum after each.
const PACKET_BYTES: [usize; 3] = [188, 192, 204];
/// Packets that begin one after the other are no accident.
const SYNCS: usize = 5;
const CLOCK: u32 = 90_000;
/// Stamps have 33 bits.
const WRAP: i64 = 1 << 33;

/// By track, in the order of their packets.
type Stamps = BTreeMap<u16, Vec<Stamp>>;

/// When a packet is shown, and how many bytes it says it has: packets of pictures may say none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    at: i64,
    bytes: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Transport,
    Program,
}

pub(crate) fn length(film: &dyn ReadAt, stream: Stream) -> io::Result<Option<MediaTime>> {
    let head = stamps(&window(film, 0, WINDOW_BYTES)?, stream);
    let Some(first) = head.values().flatten().next().copied() else { return Ok(None) };
    let near = |stamp: &Stamp| (stamp.at - first.at + WRAP / 2).rem_euclid(WRAP) - WRAP / 2;
    let begin = head.values().flatten().map(near).min().unwrap_or(0);
    let mut bytes = WINDOW_BYTES;
    loop {
        let tail = stamps(&window(film, film.size().saturating_sub(bytes), bytes)?, stream);
        if let Some(end) = tail.values().filter_map(|track| end(track, first.at, begin)).max() {
            return Ok(Some(MediaTime::from_ticks(end - begin, CLOCK)));
        }
        if bytes >= WINDOW_BYTES_MAX.min(film.size()) {
            return Ok(None);
        }
        bytes *= 2;
    }
}

/// When a track's last packet is over: it lasts as long as the one before, by its bytes if it says how many it has.
fn end(track: &[Stamp], first: i64, begin: i64) -> Option<i64> {
    // The end lies after the beginning, within one turn of the clock.
    let late = |stamp: &Stamp| Stamp { at: (stamp.at - first - begin).rem_euclid(WRAP) + begin, ..*stamp };
    let mut track: Vec<Stamp> = track.iter().map(late).collect();
    track.sort_unstable();
    let last = track.last()?;
    let before = track.iter().rev().find(|stamp| stamp.at < last.at);
    let length = before.map_or(0, |before| match (before.bytes, last.bytes) {
        (0, _) | (_, 0) => last.at - before.at,
        (whole, part) => (last.at - before.at) * part.min(whole) / whole,
    });
    Some(last.at + length)
}

fn window(film: &dyn ReadAt, at: u64, bytes: u64) -> io::Result<Vec<u8>> {
    let mut buf = vec![0; usize::try_from(bytes.min(film.size() - at)).map_err(io::Error::other)?];
    let got = film.read_at(at, &mut buf)?;
    buf.truncate(got);
    Ok(buf)
}

fn stamps(bytes: &[u8], stream: Stream) -> Stamps {
    match stream {
        Stream::Transport => of_packets(bytes),
        Stream::Program => of_start_codes(bytes),
    }
}

fn of_packets(bytes: &[u8]) -> Stamps {
    let mut stamps = Stamps::new();
    let Some((start, size)) = packets(bytes) else { return stamps };
    for packet in bytes[start..].chunks_exact(size) {
        let starts = packet[0] == SYNC && packet[1] & 0x40 != 0;
        let adaptation = if packet[3] & 0x20 != 0 { 1 + usize::from(packet[4]) } else { 0 };
        if let Some(payload) = packet[..188].get(4 + adaptation..).filter(|_| starts && packet[3] & 0x10 != 0)
            && payload.starts_with(&[0, 0, 1])
            && let Some(stamp) = stamp(&payload[3..])
        {
            let track = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
            stamps.entry(track).or_default().push(stamp);
        }
    }
    stamps
}

/// Where the first packet begins, and how long packets are.
fn packets(bytes: &[u8]) -> Option<(usize, usize)> {
    let fits = |(start, size): (usize, usize)| (0..SYNCS).all(|n| bytes.get(start + n * size) == Some(&SYNC));
    let sizes = |start: usize| PACKET_BYTES.map(|size| (start, size));
    (0..bytes.len().min(4096)).flat_map(sizes).find(|place| fits(*place))
}

fn of_start_codes(bytes: &[u8]) -> Stamps {
    let mut stamps = Stamps::new();
    for at in 0..bytes.len().saturating_sub(4) {
        if bytes[at..].starts_with(&[0, 0, 1])
            && let Some(stamp) = stamp(&bytes[at + 3..])
        {
            stamps.entry(u16::from(bytes[at + 3])).or_default().push(stamp);
        }
    }
    stamps
}

/// The time at which a packet of pictures or sound is shown; it begins with the id of its stream.
fn stamp(packet: &[u8]) -> Option<Stamp> {
    // private streams hold AC-3 and the like; 0xfd is an extended id
    if !matches!(packet.first()?, 0xbd | 0xc0..=0xef | 0xfd) {
        return None;
    }
    let bytes = i64::from(u16::from_be_bytes([*packet.get(1)?, *packet.get(2)?]));
    let mut header = packet.get(3..)?;
    if header.first()? >> 6 == 2 {
        let told = header.get(1)? >> 6;
        let at = told_time(header.get(3..8)?, if told == 3 { 3 } else { 2 }).filter(|_| told >= 2)?;
        return Some(Stamp { at, bytes });
    }
    // MPEG-1: stuffing, the size of a buffer, and then it may be told
    while header.first() == Some(&0xff) {
        header = &header[1..];
    }
    if header.first()? >> 6 == 1 {
        header = header.get(2..)?;
    }
    let mark = header.first()? >> 4;
    let at = told_time(header.get(..5)?, mark).filter(|_| matches!(mark, 2 | 3))?;
    Some(Stamp { at, bytes })
}

/// 33 bits in five bytes, with marks between.
fn told_time(bytes: &[u8], mark: u8) -> Option<i64> {
    let marked = bytes[0] >> 4 == mark && bytes[0] & bytes[2] & bytes[4] & 1 == 1;
    let high = i64::from(bytes[0] >> 1 & 7) << 30;
    let middle = i64::from(bytes[1]) << 22 | i64::from(bytes[2] >> 1) << 15;
    let low = i64::from(bytes[3]) << 7 | i64::from(bytes[4] >> 1);
    marked.then_some(high | middle | low)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stamp: i64) -> [u8; 5] {
        let part = |shift: i64, bits: i64| u8::try_from(stamp >> shift & bits).unwrap();
        [0x21 | part(30, 7) << 1, part(22, 255), part(15, 127) << 1 | 1, part(7, 255), part(0, 127) << 1 | 1]
    }

    /// A packet of this track that is shown then.
    fn packet(track: u8, stamp: i64) -> Vec<u8> {
        let mut packet = vec![SYNC, 0x40, track, 0x10, 0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5];
        packet.extend(told(stamp));
        packet.resize(188, 0xff);
        packet
    }

    fn film(stamps: &[i64]) -> Vec<u8> {
        stamps.iter().flat_map(|stamp| packet(33, *stamp)).collect()
    }

    #[test]
    fn the_last_packet_lasts_as_long_as_others() {
        let film = film(&[3600, 10_800, 7200, 14_400, 18_000]);
        assert_eq!(length(&film, Stream::Transport).unwrap(), Some(MediaTime::from_millis(200)));
        let rubbish = vec![0; 10_000];
        assert_eq!(length(&rubbish, Stream::Transport).unwrap(), None);
    }

    #[test]
    fn a_short_last_packet_of_sound_lasts_as_long_as_its_bytes() {
        let stamp = |at, bytes| Stamp { at, bytes };
        assert_eq!(end(&[stamp(0, 1000), stamp(9000, 1000), stamp(18_000, 100)], 0, 0), Some(18_900));
        assert_eq!(end(&[stamp(0, 0), stamp(3600, 0)], 0, 0), Some(7200));
    }

    #[test]
    fn a_clock_that_turns_over_goes_on() {
        let film = film(&[WRAP - 7200, WRAP - 3600, 0, 3600, 7200]);
        assert_eq!(length(&film, Stream::Transport).unwrap(), Some(MediaTime::from_millis(200)));
    }

    #[test]
    fn program_streams_of_both_kinds_are_read() {
        let second = |stamp| [[0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5].as_slice(), &told(stamp)].concat();
        let first = |stamp| [[0, 0, 1, 0xc0, 0, 0, 0xff, 0xff, 0x40, 0].as_slice(), &told(stamp)].concat();
        let film: Vec<u8> = [second(0), first(900), first(1800), second(3600), second(7200), vec![0; 8]].concat();
        assert_eq!(length(&film, Stream::Program).unwrap(), Some(MediaTime::from_millis(120)));
    }
}
