//! What a container says of its own length: a film that was cut off says more than the file holds.
//!
//! Only what is told in so many bytes is believed. Transport and program streams say nothing, and of the others many say
//! that they do not know.

use crate::isobmff::reader as isobmff;
use crate::read_at::ReadAt;

/// More boxes than a film of fragments is looked through for.
const BOXES_MAX: usize = 4096;
/// Boxes whose payload a film cannot do without.
const NEEDED: [&[u8; 4]; 3] = [b"moov", b"moof", b"mdat"];
const FIRST: [&[u8; 4]; 8] = [b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"];
/// RIFF sizes from here on stand for a length that was not known when the header was written.
const RIFF_UNKNOWN: u64 = 0x7fff_f000;
/// Some writers count the header, or a byte of padding that they do not write.
const RIFF_SLACK: u64 = 8;

/// `None` for a film that is as long as it says, or does not say. `movie` is the payload of an MP4's movie box, if it has
/// one: where its samples are all there, a box that claims more claims nothing that anybody misses.
pub(crate) fn broken(film: &dyn ReadAt, movie: &[u8]) -> Option<String> {
    let head = film.read_exact_at(0, 12).ok()?;
    let slack = if &head[..4] == b"RIFF" { RIFF_SLACK } else { 0 };
    let told = match &head[..4] {
        b"RIFF" => riff(&head),
        [0x1a, 0x45, 0xdf, 0xa3] => matroska(film),
        _ => boxes(film, &head).map(|told| match isobmff::samples_end(movie) {
            Some(end) => ("its last sample".to_owned(), end),
            None => told,
        }),
    };
    let (what, end) = told?;
    let size = film.size();
    (end > size + slack).then(|| format!("{what} ends at byte {end}, the file at byte {size}"))
}

fn riff(head: &[u8]) -> Option<(String, u64)> {
    let size = u64::from(u32::from_le_bytes(head[4..8].try_into().ok()?));
    (size > 0 && size < RIFF_UNKNOWN).then(|| ("its RIFF chunk".to_owned(), size + 8))
}

fn matroska(film: &dyn ReadAt) -> Option<(String, u64)> {
    let (_, head) = element(film, 0)?;
    let (id, segment) = element(film, head.end?)?;
    let end = segment.end.filter(|_| id == 0x1853_8067)?;
    Some(("its segment".to_owned(), end))
}

struct Payload {
    /// `None`: not known when it was written.
    end: Option<u64>,
}

/// The element at a place (RFC 8794): its id, and where its payload ends.
fn element(film: &dyn ReadAt, at: u64) -> Option<(u32, Payload)> {
    let mut bytes = vec![0; 12];
    let got = film.read_at(at, &mut bytes).ok()?;
    let id_len = bytes[0].leading_zeros() as usize + 1;
    let size_len = bytes.get(id_len)?.leading_zeros() as usize + 1;
    if id_len > 4 || size_len > 8 || id_len + size_len > got {
        return None;
    }
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let id = u32::try_from(number(&bytes[..id_len])).ok()?;
    let mask = (1_u64 << (7 * size_len)) - 1;
    let size = number(&bytes[id_len..id_len + size_len]) & mask;
    let start = at + (id_len + size_len) as u64;
    Some((id, Payload { end: (size != mask).then_some(start.saturating_add(size)) }))
}

/// The first box that reaches beyond the file (ISO/IEC 14496-12 4.2).
fn boxes(film: &dyn ReadAt, head: &[u8]) -> Option<(String, u64)> {
    let kind_of = |head: &[u8]| <[u8; 4]>::try_from(head.get(4..8)?).ok();
    if !FIRST.contains(&&kind_of(head)?) {
        return None;
    }
    let mut at = 0_u64;
    for _ in 0..BOXES_MAX {
        let head = film.read_exact_at(at, 8).ok()?;
        let kind = kind_of(&head)?;
        let size = match u32::from_be_bytes(head[..4].try_into().ok()?) {
            0 => return None,
            1 => u64::from_be_bytes(film.read_exact_at(at + 8, 8).ok()?.try_into().ok()?),
            size => u64::from(size),
        };
        let end = at.checked_add(size).filter(|_| size >= 8)?;
        if end > film.size() {
            return NEEDED.contains(&&kind).then(|| (format!("its box {}", kind.escape_ascii()), end));
        }
        at = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(film: &Vec<u8>) -> Option<String> {
        broken(film, &[])
    }

    fn boxed(kind: &[u8; 4], payload: usize) -> Vec<u8> {
        let size = u32::try_from(payload + 8).unwrap().to_be_bytes();
        [size.as_slice(), kind, &vec![0; payload]].concat()
    }

    #[test]
    fn a_film_that_was_cut_off_says_so() {
        let mp4 = [boxed(b"ftyp", 16), boxed(b"moov", 100), boxed(b"mdat", 1000)].concat();
        assert_eq!(told(&mp4), None);
        assert_eq!(told(&mp4[..900].to_vec()).unwrap(), "its box mdat ends at byte 1140, the file at byte 900");
        // Rubbish behind a whole film, or a size that nobody knew, is no promise.
        assert_eq!(told(&[mp4.clone(), boxed(b"free", 50)[..20].to_vec()].concat()), None);
        assert_eq!(told(&b"not a film at all".to_vec()), None);

        let mkv = |size: &[u8]| {
            let head = [0x1a, 0x45, 0xdf, 0xa3, 0x81, 0, 0x18, 0x53, 0x80, 0x67];
            [head.as_slice(), size, &[0; 100]].concat()
        };
        assert_eq!(told(&mkv(&[0xe4])), None);
        assert_eq!(told(&mkv(&[0xe5])).unwrap(), "its segment ends at byte 112, the file at byte 111");
        assert_eq!(told(&mkv(&[0xff])), None);

        let riff = |size: u32| [b"RIFF".as_slice(), &size.to_le_bytes(), b"AVI ", &[0; 88]].concat();
        assert_eq!(told(&riff(92)), None);
        assert_eq!(told(&riff(100)), None, "the header was counted");
        assert!(told(&riff(101)).is_some());
        assert_eq!(told(&riff(u32::MAX)), None);
    }
}
