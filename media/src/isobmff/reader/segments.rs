//! The samples of a segment of one track, by its boxes alone: what a muxer of ours wrote, and nothing more lenient.

use std::ops::Range;

use framefleet_model::index::Key;

use super::bytes::{Bytes, Kind};

/// Of `trun` and `trex`: the sample needs another one.
const DEPENDENT: u32 = 0x0001_0000;
const BOX_HEADER: usize = 8;

/// A fragment with its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// Where it lies in the file.
    pub(crate) place: Range<usize>,
    pub(crate) number: u32,
    pub(crate) samples: Vec<Sample>,
}

/// In the track's ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) decoded: u64,
    pub(crate) shown: u64,
    pub(crate) duration: u32,
    pub(crate) size: u32,
    pub(crate) key: Key,
}

/// What a sample is unless its fragment says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usual {
    duration: u32,
    flags: u32,
}

/// By what stands in front of all fragments.
pub(crate) fn usual(init: &[u8]) -> Option<Usual> {
    let mut told = Bytes::new(init).path(&[b"moov", b"mvex", b"trex"])?;
    told.take(12)?;
    let duration = told.u32()?;
    told.take(4)?;
    Some(Usual { duration, flags: told.u32()? })
}

/// All fragments of a file; an error says what is wrong with it.
pub(crate) fn fragments(file: &[u8], usual: Usual) -> Result<Vec<Fragment>, String> {
    let mut found = Vec::new();
    let mut boxes = Outer { file, at: 0 };
    while let Some((kind, place)) = boxes.next()? {
        match &kind {
            b"styp" if found.is_empty() => {}
            b"moof" => {
                let (next, data) = boxes.next()?.ok_or("a fragment has no data")?;
                if &next != b"mdat" {
                    return Err(format!("a fragment's header at {} is not followed by its data", place.start));
                }
                found.push(fragment(file, (place, data), usual)?);
            }
            _ => return Err(format!("a box {:?} at {}", String::from_utf8_lossy(&kind), place.start)),
        }
    }
    Ok(found)
}

struct Outer<'a> {
    file: &'a [u8],
    at: usize,
}

impl Outer<'_> {
    fn next(&mut self) -> Result<Option<(Kind, Range<usize>)>, String> {
        if self.at == self.file.len() {
            return Ok(None);
        }
        let (at, mut head) = (self.at, Bytes::new(&self.file[self.at..]));
        let size = head.u32().and_then(|size| usize::try_from(size).ok());
        let end = size.filter(|size| *size >= BOX_HEADER).map(|size| at + size).filter(|end| *end <= self.file.len());
        let (Some(end), Some(kind)) = (end, head.kind()) else { return Err(format!("a damaged box at {at}")) };
        self.at = end;
        Ok(Some((kind, at..end)))
    }
}

fn fragment(file: &[u8], (head, data): (Range<usize>, Range<usize>), usual: Usual) -> Result<Fragment, String> {
    let at = head.start;
    let broken = |what: &str| format!("the fragment at {at} {what}");
    let boxes = Bytes::new(&file[head.start + BOX_HEADER..head.end]);
    let number = boxes.find(b"mfhd").and_then(|mut told| told.u64()).ok_or_else(|| broken("has no number"))?;
    let mut tracks = boxes.boxes().filter(|(kind, _)| kind == b"traf").map(|(_, part)| part);
    let (Some(track), None) = (tracks.next(), tracks.next()) else { return Err(broken("is not of one track")) };
    let (offset, samples) = samples(track, usual).ok_or_else(|| broken("does not parse"))?;
    let bytes: u64 = samples.iter().map(|sample| u64::from(sample.size)).sum();
    if at + offset != data.start + BOX_HEADER || bytes != (data.len() - BOX_HEADER) as u64 {
        return Err(broken("does not tell where all of its data are"));
    }
    if samples.is_empty() {
        return Err(broken("has no samples"));
    }
    Ok(Fragment { place: at..data.end, number: u32::try_from(number).unwrap_or(u32::MAX), samples })
}

/// Where the data begin from the fragment's first byte on, and what they are.
fn samples(track: Bytes<'_>, usual: Usual) -> Option<(usize, Vec<Sample>)> {
    let mut header = track.find(b"tfhd")?;
    let flags = header.u32()?;
    header.u32()?;
    // Offsets must count from the fragment itself.
    if flags & 0x02_0000 == 0 || flags & 0x3 != 0 {
        return None;
    }
    let usual = Usual { duration: if flags & 0x8 == 0 { usual.duration } else { header.u32()? }, ..usual };
    let mut time = track.find(b"tfdt")?;
    let version = time.version()?;
    let mut decoded = time.wide(version)?;
    let mut run = track.find(b"trun")?;
    let flags = run.u32()?;
    let count = run.u32()?;
    let offset = (flags & 0x1 != 0).then(|| run.u32())??;
    let mut first = if flags & 0x4 == 0 { None } else { Some(run.u32()?) };
    let mut samples = Vec::new();
    for _ in 0..count {
        let mut said = |flag: u32, usual: u32| if flags & flag == 0 { Some(usual) } else { run.u32() };
        let (duration, size) = (said(0x100, usual.duration)?, said(0x200, 0)?);
        let (flags, offset) = (said(0x400, first.take().unwrap_or(usual.flags))?, said(0x800, 0)?);
        let key = if flags & DEPENDENT == 0 { Key::Yes } else { Key::No };
        samples.push(Sample { decoded, shown: decoded + u64::from(offset), duration, size, key });
        decoded += u64::from(duration);
    }
    Some((usize::try_from(offset).ok()?, samples))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isobmff::writer::fragments::{Head, Sample as Written, TrackFragment, header, segment_type};

    const USUAL: Usual = Usual { duration: 0, flags: 0x0101_0000 };

    fn part(head: Head, time: u64, samples: &[(u32, u32, u32)]) -> TrackFragment {
        let samples: Vec<Written> = samples
            .iter()
            .map(|(duration, size, offset)| Written { duration: *duration, size: *size, offset: *offset })
            .collect();
        let bytes: u32 = samples.iter().map(|sample| sample.size).sum();
        TrackFragment { track: 1, time, head, samples, data: vec![7; bytes as usize] }
    }

    fn file(parts: &[TrackFragment]) -> Vec<u8> {
        let mut bytes = segment_type();
        for (part, number) in parts.iter().zip(1..) {
            bytes.extend(header(number, std::slice::from_ref(part)).unwrap());
            bytes.extend_from_slice(&part.data);
        }
        bytes
    }

    #[test]
    fn what_was_written_is_read() {
        let parts = [
            part(Head::Key, 1 << 40, &[(40, 900, 80)]),
            part(Head::Usual, (1 << 40) + 40, &[(40, 5, 120), (40, 6, 0), (41, 0, 1)]),
        ];
        let bytes = file(&parts);
        let read = fragments(&bytes, USUAL).unwrap();
        assert_eq!(read.iter().map(|f| f.number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((read[0].place.end, read[1].place.end), (read[1].place.start, bytes.len()));
        let told: Vec<(u64, u64, Key)> =
            read.iter().flat_map(|f| &f.samples).map(|s| (s.decoded - (1 << 40), s.shown - (1 << 40), s.key)).collect();
        assert_eq!(told, [(0, 80, Key::Yes), (40, 160, Key::No), (80, 80, Key::No), (120, 121, Key::No)]);
    }

    #[test]
    fn a_file_that_is_cut_off_or_added_to_is_noticed() {
        let bytes = file(&[part(Head::Key, 0, &[(40, 900, 0), (40, 9, 0)])]);
        assert!(fragments(&bytes, USUAL).is_ok());
        for cut in [1, 100, bytes.len() - 10] {
            assert!(fragments(&bytes[..bytes.len() - cut], USUAL).is_err(), "{cut} bytes less");
        }
        let mut longer = bytes.clone();
        longer.extend_from_slice(b"\0\0\0\x08free");
        assert!(fragments(&longer, USUAL).unwrap_err().contains("free"));
        let mut wrong = bytes;
        let at = wrong.windows(4).position(|w| w == b"mdat").unwrap() - 1;
        wrong[at] += 1;
        assert!(fragments(&wrong, USUAL).is_err());
    }
}
