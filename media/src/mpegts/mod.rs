//! Transport streams of our own (ISO/IEC 13818-1), for what GStreamer's muxer does not do: tables wherever a file is to
//! begin, and counters that go on from one file to the next.
//!
//! ```text
//! put_tables ─▶ PAT · PMT        picture ─▶ PES in packets, PCR in the first        sound ─▶ PES in packets
//! ```
//! Nothing is drawn at random and no clock is asked: equal units give equal bytes.

/// Coded units as transport streams carry them.
pub(crate) mod payload;
/// A stream taken apart again.
pub(crate) mod reading;
/// Program tables.
mod tables;

use self::tables::{pat, pmt};

pub(crate) const PACKET_BYTES: usize = 188;
pub(crate) const SYNC: u8 = 0x47;
/// Ticks a second of PTS and DTS.
pub(crate) const CLOCK: u32 = 90_000;
pub(crate) const PAT_PID: u16 = 0;
pub(crate) const PMT_PID: u16 = 0x1000;
pub(crate) const VIDEO_PID: u16 = 0x100;
pub(crate) const AUDIO_PID: u16 = 0x101;

const VIDEO_STREAM: u8 = 0xe0;
const AUDIO_STREAM: u8 = 0xc0;
/// How long before its decoding a picture begins to arrive, in ticks.
const LEAD: i64 = 63_000;
/// PTS and DTS have 33 bits.
const TIME_MASK: u64 = (1 << 33) - 1;
const HEADER_BYTES: usize = 4;

/// What a stream carries besides pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sound {
    None,
    /// AAC in ADTS, of this language (ISO 639-2/T).
    Aac([u8; 3]),
}

/// Where a unit stands on the stream's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) pts: i64,
    pub(crate) dts: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Decoding may begin here.
    Random,
    Later,
}

/// A stream under way: the counters of its packets.
pub(crate) struct Stream {
    sound: Sound,
    tables: Counter,
    map: Counter,
    video: Counter,
    audio: Counter,
}

#[derive(Clone, Copy, Default)]
struct Counter(u8);

impl Counter {
    fn next(&mut self) -> u8 {
        let now = self.0;
        self.0 = (now + 1) & 0x0f;
        now
    }
}

impl Stream {
    pub(crate) fn new(sound: Sound) -> Self {
        let (tables, map, video, audio) =
            (Counter::default(), Counter::default(), Counter::default(), Counter::default());
        Self { sound, tables, map, video, audio }
    }

    /// What stands wherever reading may begin.
    pub(crate) fn put_tables(&mut self, out: &mut Vec<u8>) {
        put_packets(out, (PAT_PID, &mut self.tables), &pat(PMT_PID), &[]);
        put_packets(out, (PMT_PID, &mut self.map), &pmt(self.sound), &[]);
    }

    /// A picture in the byte-stream format.
    pub(crate) fn put_picture(&mut self, out: &mut Vec<u8>, (stamp, access): (Stamp, Access), data: &[u8]) {
        let mut pes = pes_header(VIDEO_STREAM, stamp, None);
        pes.extend_from_slice(data);
        put_packets(out, (VIDEO_PID, &mut self.video), &pes, &clock(stamp.dts - LEAD, access));
    }

    /// Whole ADTS frames, the first of which stands at `pts`.
    pub(crate) fn put_sound(&mut self, out: &mut Vec<u8>, pts: i64, frames: &[u8]) {
        let mut pes = pes_header(AUDIO_STREAM, Stamp { pts, dts: pts }, Some(frames.len()));
        pes.extend_from_slice(frames);
        put_packets(out, (AUDIO_PID, &mut self.audio), &pes, &[]);
    }
}

/// The adaptation field of a picture's first packet, without its length.
fn clock(ticks: i64, access: Access) -> Vec<u8> {
    let base = ticks.cast_unsigned() & TIME_MASK;
    let random = if access == Access::Random { 0x40 } else { 0 };
    let mut field = vec![0x10 | random];
    // 33 bits of the 90 kHz clock, 6 reserved, 9 of the 27 MHz clock, which stand at 0.
    let bits = base << 15 | 0x7e00;
    field.extend_from_slice(&bits.to_be_bytes()[2..]);
    field
}

/// `length`: how many bytes follow, where that is to be said.
fn pes_header(stream: u8, stamp: Stamp, length: Option<usize>) -> Vec<u8> {
    let times = if stamp.pts == stamp.dts { vec![(0x2, stamp.pts)] } else { vec![(0x3, stamp.pts), (0x1, stamp.dts)] };
    let room = times.len() * 5;
    let length = length.and_then(|length| u16::try_from(length + 3 + room).ok()).unwrap_or(0);
    let mut header = vec![0, 0, 1, stream];
    header.extend_from_slice(&length.to_be_bytes());
    // Aligned; which times there are; how long they are.
    header.extend_from_slice(&[0x84, if times.len() == 2 { 0xc0 } else { 0x80 }, u8::try_from(room).unwrap_or(10)]);
    for (mark, ticks) in times {
        put_time(&mut header, mark, ticks.cast_unsigned() & TIME_MASK);
    }
    header
}

fn put_time(out: &mut Vec<u8>, mark: u8, ticks: u64) {
    let byte = |shift: u32| u8::try_from(ticks >> shift & 0xff).unwrap_or(0);
    out.push(mark << 4 | (byte(30) & 0x07) << 1 | 1);
    out.push(byte(22));
    out.push(byte(14) & 0xfe | 1);
    out.push(byte(7));
    out.push((byte(0) & 0x7f) << 1 | 1);
}

/// Cuts what belongs together into packets, the last one filled up.
fn put_packets(out: &mut Vec<u8>, (pid, counter): (u16, &mut Counter), payload: &[u8], first: &[u8]) {
    let mut rest = payload;
    let mut field = first.to_vec();
    let mut start = 0x40;
    while !rest.is_empty() {
        let fixed = if field.is_empty() { 0 } else { 1 + field.len() };
        let take = rest.len().min(PACKET_BYTES - HEADER_BYTES - fixed);
        let adaptation = PACKET_BYTES - HEADER_BYTES - take;
        let [high, low] = pid.to_be_bytes();
        let has_field = if adaptation > 0 { 0x20 } else { 0 };
        out.extend_from_slice(&[SYNC, start | high, low, 0x10 | has_field | counter.next()]);
        if adaptation > 0 {
            out.push(u8::try_from(adaptation - 1).unwrap_or(u8::MAX));
            if adaptation > 1 && field.is_empty() {
                field.push(0);
            }
            let filling = (adaptation - 1).saturating_sub(field.len());
            out.extend_from_slice(&field);
            out.extend(std::iter::repeat_n(0xff, filling));
        }
        out.extend_from_slice(&rest[..take]);
        rest = &rest[take..];
        field.clear();
        start = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::reading::{Packets, Unit};
    use super::*;

    #[test]
    fn units_of_any_size_come_back_whole_in_packets_that_are_counted() {
        let mut stream = Stream::new(Sound::Aac(*b"deu"));
        let mut out = Vec::new();
        stream.put_tables(&mut out);
        let sizes = (0..600).chain([5000, 65_000, 200_000]);
        let units: Vec<Vec<u8>> = sizes.map(|size| (0..size).map(|n: u32| n.to_be_bytes()[3]).collect()).collect();
        for (unit, number) in units.iter().zip(0..) {
            let stamp = Stamp { pts: number * 3600 + 7200, dts: number * 3600 };
            let access = if number % 25 == 0 { Access::Random } else { Access::Later };
            stream.put_picture(&mut out, (stamp, access), unit);
            stream.put_sound(&mut out, stamp.dts, &unit[..unit.len().min(60_000)]);
        }
        assert_eq!(out.len() % PACKET_BYTES, 0);
        let mut packets = Packets::default();
        let read = packets.read(&out).unwrap();
        let pictures: Vec<&Unit> = read.iter().filter(|unit| unit.pid == VIDEO_PID).collect();
        assert_eq!(pictures.len(), units.len());
        for ((unit, data), number) in pictures.iter().zip(&units).zip(0..) {
            assert_eq!((unit.pts, unit.bytes), (number * 3600 + 7200, data.len()), "unit {number}");
            assert_eq!(unit.access == Access::Random, number % 25 == 0);
        }
        let sound: Vec<usize> = read.iter().filter(|unit| unit.pid == AUDIO_PID).map(|unit| unit.bytes).collect();
        assert_eq!(sound, units.iter().map(|unit| unit.len().min(60_000)).collect::<Vec<_>>());
    }

    #[test]
    fn a_lost_packet_is_noticed() {
        let mut stream = Stream::new(Sound::None);
        let mut out = Vec::new();
        stream.put_tables(&mut out);
        stream.put_picture(&mut out, (Stamp { pts: 0, dts: 0 }, Access::Random), &[7; 1000]);
        out.drain(3 * PACKET_BYTES..4 * PACKET_BYTES);
        assert!(Packets::default().read(&out).is_err());
    }
}
