//! What a child says: lines on standard output are its words, lines on standard error are evidence.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use framefleet_model::task::Line;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use super::observe;

/// An outcome lists at most some thousand proofs.
const LINE_BYTES_MAX: usize = 16 << 20;
const STDERR_LINES_KEPT: usize = 64;
const STDERR_LINE_BYTES_MAX: usize = 512;
/// What a film makes its child say must not fill anybody's log.
const STDERR_LINES_LOGGED_MAX: usize = 256;
/// Of a line that is none of ours, as evidence.
const GARBAGE_CHARS_SHOWN: usize = 160;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OutputError {
    #[error("a line of its output is longer than the bound of {LINE_BYTES_MAX} bytes")]
    TooLong,
    #[error("a line of its output is none of the protocol: {0}")]
    Garbage(String),
    #[error("its output cannot be read: {0}")]
    Io(String),
}

/// The child's words, one line at a time.
pub(crate) struct Words<R> {
    from: BufReader<R>,
    line: Vec<u8>,
}

/// The last lines of standard error, shared with whoever collects them.
#[derive(Clone, Default)]
pub(crate) struct LastLines(Arc<Mutex<VecDeque<String>>>);

impl<R: AsyncRead + Unpin> Words<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from: BufReader::new(from), line: Vec::new() }
    }

    /// `None` at the end of the output; an unfinished line there is what a dying child could not finish, and no word.
    /// May be dropped while it waits, and called again.
    pub(crate) async fn next(&mut self) -> Result<Option<Line>, OutputError> {
        while !self.line.ends_with(b"\n") {
            let buffer = self.from.fill_buf().await.map_err(|e| OutputError::Io(e.to_string()))?;
            if buffer.is_empty() {
                return Ok(None);
            }
            let end = buffer.iter().position(|byte| *byte == b'\n').map_or(buffer.len(), |at| at + 1);
            self.line.extend_from_slice(&buffer[..end]);
            self.from.consume(end);
            if self.line.len() > LINE_BYTES_MAX {
                return Err(OutputError::TooLong);
            }
        }
        let line = std::mem::take(&mut self.line);
        serde_json::from_slice(&line).map(Some).map_err(|_| OutputError::Garbage(printable(&line, GARBAGE_CHARS_SHOWN)))
    }
}

impl LastLines {
    /// Keeps the last lines until the end of the output; never stops early, for a full pipe would stop the child.
    pub(crate) async fn collect(self, mut from: impl AsyncRead + Unpin) {
        let (mut buffer, mut line, mut lines) = (vec![0; 4096], Vec::new(), 0);
        while let Ok(got) = from.read(&mut buffer).await {
            if got == 0 {
                break;
            }
            for byte in &buffer[..got] {
                match byte {
                    b'\n' => {
                        self.push(&std::mem::take(&mut line), lines);
                        lines += 1;
                    }
                    _ if line.len() < STDERR_LINE_BYTES_MAX => line.push(*byte),
                    _ => {}
                }
            }
        }
        self.push(&line, lines);
    }

    pub(crate) fn take(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    fn push(&self, line: &[u8], before: usize) {
        if line.is_empty() {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == STDERR_LINES_KEPT {
            kept.pop_front();
        }
        let line = printable(line, STDERR_LINE_BYTES_MAX);
        match before {
            0..STDERR_LINES_LOGGED_MAX => observe::said(&line),
            STDERR_LINES_LOGGED_MAX => observe::said_too_much(before),
            _ => {}
        }
        kept.push_back(line);
    }
}

/// Text of an untrusted process for a log or a terminal: bounded, without control characters.
pub(crate) fn printable(bytes: &[u8], chars_max: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let clean = text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(chars_max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn words_are_read_line_by_line_and_garbage_is_named() {
        let text = b"{\"progress\":{\"steps\":3,\"position\":7}}\nhello \x1b[31mworld\n{\"done";
        let mut words = Words::new(&text[..]);
        assert!(matches!(words.next().await, Ok(Some(Line::Progress(p))) if p.steps == 3));
        assert_eq!(words.next().await, Err(OutputError::Garbage("hello  [31mworld".to_owned())));
        assert_eq!(words.next().await, Ok(None));
    }

    #[tokio::test]
    async fn an_endless_line_is_refused() {
        let mut words = Words::new(tokio::io::repeat(b'x'));
        assert_eq!(words.next().await, Err(OutputError::TooLong));
    }

    #[tokio::test]
    async fn only_the_last_lines_of_standard_error_are_kept() {
        let text: String = (0..200).map(|n| format!("line {n}\n")).collect();
        let last = LastLines::default();
        last.clone().collect(text.as_bytes()).await;
        let kept = last.take();
        assert_eq!((kept.len(), kept[0].as_str(), kept[63].as_str()), (64, "line 136", "line 199"));
    }
}
