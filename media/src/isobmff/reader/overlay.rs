//! A film with a run of its bytes told otherwise. What is told is never read from the film.

use std::io;
use std::sync::Arc;

use crate::read_at::ReadAt;

pub(crate) struct Overlay {
    film: Arc<dyn ReadAt>,
    at: u64,
    bytes: Vec<u8>,
}

impl Overlay {
    /// `bytes` stand at `at`.
    pub(crate) fn new(film: Arc<dyn ReadAt>, (at, bytes): (u64, Vec<u8>)) -> Self {
        Self { film, at, bytes }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl ReadAt for Overlay {
    fn size(&self) -> u64 {
        self.film.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let told = self.at..self.at + self.bytes.len() as u64;
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let left = buf.len() - done;
            if told.contains(&at) {
                let from = usize::try_from(at - told.start).unwrap_or(usize::MAX);
                let count = left.min(self.bytes.len() - from);
                buf[done..done + count].copy_from_slice(&self.bytes[from..from + count]);
                done += count;
                continue;
            }
            let until_told = if at < told.start { told.start - at } else { u64::MAX };
            let count = left.min(usize::try_from(until_told).unwrap_or(usize::MAX));
            let got = self.film.read_at(at, &mut buf[done..done + count])?;
            done += got;
            if got < count {
                break;
            }
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_across_the_told_bytes_are_whole() {
        let film: Vec<u8> = (0..100).collect();
        let overlay = Overlay::new(Arc::new(film), (40, vec![200; 20]));
        for (offset, len) in [(0, 100), (30, 15), (45, 5), (55, 20), (40, 20), (90, 20)] {
            let mut buf = vec![0; len];
            let got = overlay.read_at(offset, &mut buf).unwrap();
            let due = (offset..100).take(len).map(|at| if (40..60).contains(&at) { 200 } else { at as u8 });
            assert_eq!(buf[..got], due.collect::<Vec<u8>>(), "{len} bytes at {offset}");
        }
    }
}
