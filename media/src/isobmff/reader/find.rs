//! Finds the movie box with a few small reads.

use super::bytes::{Bytes, Kind};
use super::{Refusal, odd};
use crate::read_at::ReadAt;

/// A film has a handful of boxes outside of fragments.
const BOXES_MAX: usize = 64;
/// More take the pass: a film of 18 hours with three tracks has no larger one.
const MOVIE_BYTES_MAX: u64 = 128 << 20;
const HEAD_BYTES: usize = 16;

/// A box of the file itself: its kind, and where its payload begins and ends.
pub(crate) struct Outer {
    pub(crate) kind: Kind,
    pub(crate) payload: u64,
    pub(crate) end: u64,
}

/// Where the payload of the movie box lies, and the payload.
pub(crate) fn movie(film: &dyn ReadAt) -> Result<(u64, Vec<u8>), Refusal> {
    let (from, to) = place(film)?;
    let size = usize::try_from(to - from).map_err(|_| odd("the movie box does not fit into memory"))?;
    Ok((from, film.read_exact_at(from, size)?))
}

/// Where the payload of the movie box begins and ends.
pub(crate) fn place(film: &dyn ReadAt) -> Result<(u64, u64), Refusal> {
    let mut at = 0;
    for _ in 0..BOXES_MAX {
        let Some(found) = outer(film, at)? else { return Err(odd("there is no movie box")) };
        match &found.kind {
            b"moov" => return check_size(&found),
            b"moof" | b"styp" | b"sidx" => return Err(odd("the film is fragmented")),
            _ => at = found.end,
        }
    }
    Err(odd(format!("there is no movie box among the first {BOXES_MAX}")))
}

fn check_size(found: &Outer) -> Result<(u64, u64), Refusal> {
    let size = found.end - found.payload;
    if size > MOVIE_BYTES_MAX {
        return Err(odd(format!("a movie box of {size} bytes is over the bound of {MOVIE_BYTES_MAX}")));
    }
    Ok((found.payload, found.end))
}

pub(crate) fn outer(film: &dyn ReadAt, at: u64) -> Result<Option<Outer>, Refusal> {
    let Some(found) = head(film, at)? else { return Ok(None) };
    let (size, left) = (found.end - at, film.size().saturating_sub(at));
    if size > left {
        return Err(odd(format!("a box at {at} claims {size} of {left} bytes")));
    }
    Ok(Some(found))
}

/// A box that may end beyond the file.
pub(crate) fn head(film: &dyn ReadAt, at: u64) -> Result<Option<Outer>, Refusal> {
    let left = film.size().saturating_sub(at);
    if left < 8 {
        return Ok(None);
    }
    let head = film.read_exact_at(at, HEAD_BYTES.min(usize::try_from(left).unwrap_or(HEAD_BYTES)))?;
    let mut bytes = Bytes::new(&head);
    let parsed = bytes.u32().zip(bytes.kind());
    let (size, kind) = parsed.ok_or_else(|| odd("a box has no header"))?;
    let (header, size) = match size {
        0 => (8, left),
        1 => (16, bytes.u64().unwrap_or(0)),
        _ => (8, u64::from(size)),
    };
    let end = at.checked_add(size).filter(|_| size >= header);
    let end = end.ok_or_else(|| odd(format!("a box at {at} claims {size} bytes, of {left}")))?;
    Ok(Some(Outer { kind, payload: at + header, end }))
}
