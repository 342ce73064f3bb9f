//! One window ahead of a reader that goes forward, so that many small reads become few large ones.
//!
//! A read that begins where the last one ended is sequential; each further one in a row doubles what is fetched, up
//! to a bound, so that a reader that jumps about never pays for more than it asked.

use bytes::{Bytes, BytesMut};
use framefleet_model::fault::Fault;
use tokio::sync::Mutex;

use super::Objects;

const FIRST_BYTES: u32 = 256 << 10;
const WINDOW_BYTES_MAX: u32 = 4 << 20;

pub(crate) struct ReadAhead {
    object: u32,
    window: Mutex<Window>,
}

/// The bytes `[start, start + bytes.len())` of the object.
#[derive(Default)]
struct Window {
    start: u64,
    bytes: Bytes,
    /// Where a sequential read would begin.
    next: u64,
    /// What a sequential miss fetches.
    fetch: u32,
}

impl ReadAhead {
    pub(crate) fn of(object: u32) -> Self {
        Self { object, window: Mutex::default() }
    }

    pub(crate) async fn read(&self, objects: &dyn Objects, offset: u64, len: u32) -> Result<Bytes, Fault> {
        let mut window = self.window.lock().await;
        let sequential = offset == window.next;
        let head = window.slice(offset, len);
        window.next = offset.saturating_add(u64::from(len));
        let missing = len - u32::try_from(head.len()).unwrap_or(len);
        if missing == 0 {
            return Ok(head);
        }
        window.fetch = if sequential { (window.fetch * 2).clamp(FIRST_BYTES, WINDOW_BYTES_MAX) } else { 0 };
        let (from, want) = (offset + head.len() as u64, missing.max(window.fetch));
        window.bytes = objects.read(self.object, from, want).await?;
        window.start = from;
        let tail = window.slice(from, missing);
        if head.is_empty() {
            return Ok(tail);
        }
        let mut whole = BytesMut::with_capacity(len as usize);
        whole.extend_from_slice(&head);
        whole.extend_from_slice(&tail);
        Ok(whole.freeze())
    }
}

impl Window {
    /// What the window has of `len` bytes from `offset` on.
    fn slice(&self, offset: u64, len: u32) -> Bytes {
        let inside = offset.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        let Some(skip) = inside.filter(|skip| *skip < self.bytes.len()) else { return Bytes::new() };
        let end = self.bytes.len().min(skip + len as usize);
        self.bytes.slice(skip..end)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;

    use async_trait::async_trait;

    use super::*;

    /// A numbered film that writes down what was asked of it.
    struct Film {
        bytes: Bytes,
        asked: StdMutex<Vec<(u64, u32)>>,
    }

    #[async_trait]
    impl Objects for Film {
        async fn size(&self, _object: u32) -> Result<u64, Fault> {
            Ok(self.bytes.len() as u64)
        }
        async fn read(&self, _object: u32, offset: u64, len: u32) -> Result<Bytes, Fault> {
            self.asked.lock().unwrap().push((offset, len));
            let from = (offset as usize).min(self.bytes.len());
            Ok(self.bytes.slice(from..self.bytes.len().min(from + len as usize)))
        }
    }

    fn film(len: usize) -> Film {
        Film { bytes: (0..len).map(|n| (n % 251) as u8).collect(), asked: StdMutex::default() }
    }

    #[tokio::test]
    async fn any_order_of_reads_gives_the_bytes_of_the_object() {
        let (film, ahead) = (film(3 << 20), ReadAhead::of(0));
        let mut at = 1_u64;
        for step in 0..400_u64 {
            at = if step % 7 == 0 { at.wrapping_mul(2_654_435_761) % (3 << 20) } else { at + 1000 };
            let got = ahead.read(&film, at, 1000).await.unwrap();
            let from = (at as usize).min(film.bytes.len());
            assert_eq!(got, film.bytes.slice(from..film.bytes.len().min(from + 1000)), "at {at}");
        }
    }

    #[tokio::test]
    async fn a_sequential_reader_fetches_in_windows_and_a_jump_only_what_it_asked() {
        let (film, ahead) = (film(2 << 20), ReadAhead::of(0));
        for at in (0..1 << 20).step_by(4096) {
            ahead.read(&film, at, 4096).await.unwrap();
        }
        assert!(film.asked.lock().unwrap().len() <= 4);
        ahead.read(&film, 2_000_000, 16).await.unwrap();
        assert_eq!(film.asked.lock().unwrap().last(), Some(&(2_000_000, 16)));
    }
}
