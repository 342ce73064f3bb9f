//! A film as somebody reads it who goes from box to box: small reads where boxes are far apart, few large ones where
//! they are not. Nothing is read twice as long as the reader only goes forward.

use std::io;
use std::sync::{Mutex, PoisonError};

use crate::read_at::ReadAt;

/// Enough for the heads of a fragment's boxes, and mostly for its tables.
const SMALL: usize = 4 << 10;
const LARGE: usize = 1 << 20;
/// A jump of less is no jump.
const NEAR: u64 = 64 << 10;

pub(crate) struct Window<'a> {
    film: &'a dyn ReadAt,
    held: Mutex<Held>,
}

struct Held {
    at: u64,
    bytes: Vec<u8>,
    /// How much is read at once.
    length: usize,
}

impl<'a> Window<'a> {
    pub(crate) fn over(film: &'a dyn ReadAt) -> Self {
        Self { film, held: Mutex::new(Held { at: 0, bytes: Vec::new(), length: SMALL / 2 }) }
    }
}

impl ReadAt for Window<'_> {
    fn size(&self) -> u64 {
        self.film.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut done = held.copy(offset, buf);
        while done < buf.len() {
            let from = offset.saturating_add(done as u64);
            held.fill(self.film, from, buf.len() - done)?;
            let got = held.copy(from, &mut buf[done..]);
            if got == 0 {
                break;
            }
            done += got;
        }
        Ok(done)
    }
}

impl Held {
    fn end(&self) -> u64 {
        self.at.saturating_add(self.bytes.len() as u64)
    }

    fn copy(&self, offset: u64, buf: &mut [u8]) -> usize {
        if !(self.at..self.end()).contains(&offset) {
            return 0;
        }
        let from = usize::try_from(offset - self.at).unwrap_or(usize::MAX);
        let count = buf.len().min(self.bytes.len() - from);
        buf[..count].copy_from_slice(&self.bytes[from..from + count]);
        count
    }

    fn fill(&mut self, film: &dyn ReadAt, from: u64, wanted: usize) -> io::Result<()> {
        let near = from.checked_sub(self.end()).is_some_and(|jump| jump < NEAR);
        self.length = if near { (self.length * 2).min(LARGE) } else { SMALL };
        let left = usize::try_from(film.size().saturating_sub(from)).unwrap_or(usize::MAX);
        self.bytes.resize(self.length.max(wanted.min(LARGE)).min(left), 0);
        self.at = from;
        let got = film.read_at(from, &mut self.bytes)?;
        self.bytes.truncate(got);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Counted {
        film: Vec<u8>,
        reads: AtomicUsize,
        bytes: AtomicUsize,
    }

    impl ReadAt for Counted {
        fn size(&self) -> u64 {
            self.film.size()
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(buf.len(), Ordering::Relaxed);
            self.film.read_at(offset, buf)
        }
    }

    /// Reads, and bytes of them, for heads of 16 bytes that stand so far apart.
    fn cost(film: usize, step: usize) -> (usize, usize) {
        let film: Vec<u8> = (0..film).map(|n| (n / 7) as u8).collect();
        let counted = Counted { film, reads: AtomicUsize::new(0), bytes: AtomicUsize::new(0) };
        let window = Window::over(&counted);
        for at in (0..counted.film.len()).step_by(step) {
            let due = &counted.film[at..counted.film.len().min(at + 16)];
            let mut buf = [0; 16];
            let got = window.read_at(at as u64, &mut buf).unwrap();
            assert_eq!(&buf[..got], due, "at {at}");
        }
        (counted.reads.into_inner(), counted.bytes.into_inner())
    }

    #[test]
    fn heads_far_apart_cost_little_and_near_ones_few_reads() {
        let (reads, bytes) = cost(20 << 20, 1 << 20);
        assert!(reads <= 20 && bytes <= 20 * SMALL, "{reads} reads of {bytes} bytes");
        let (reads, bytes) = cost(20 << 20, 3000);
        assert!(reads <= 40 && bytes <= 20 << 20, "{reads} reads of {bytes} bytes");
    }

    #[test]
    fn reads_larger_than_the_window_are_whole() {
        let film: Vec<u8> = (0..5 << 20).map(|n: usize| (n / 3) as u8).collect();
        let window = Window::over(&film);
        for (at, length) in [(0, 3 << 20), (100, 10), (4 << 20, 2 << 20), (6 << 20, 1)] {
            let mut buf = vec![0; length];
            let got = window.read_at(at, &mut buf).unwrap();
            let from = film.len().min(at as usize);
            assert_eq!(buf[..got], film[from..film.len().min(from + length)], "{length} at {at}");
        }
    }
}
