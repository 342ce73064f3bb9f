//! The one-process fleet's queue, which also writes what the world is told into a file: a line of JSON each, as it would
//! be published.
//!
//! ```text
//! FILE ─ full ─▶ FILE.1 ─▶ FILE.2 ─▶ … FILE.4 ─▶ gone
//! ```
//! A line is on disk before its event counts as told. Whoever dies in between tells it again, under the same id. A file that
//! somebody else moves away is begun anew under its name.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::adapters::memory::broker::MemoryBroker;
use crate::ports::broker::{Broker, BrokerError, Class, DeadLetters, Event, Hint, Hints, Uploads};

/// A file that would grow longer becomes an older one.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// So many older ones are kept.
const OLDER_MAX: u32 = 4;

pub struct Journal {
    broker: MemoryBroker,
    lines: Arc<Mutex<Lines>>,
}

/// The file, and those that it was before.
struct Lines {
    path: PathBuf,
    file: File,
    bytes_max: u64,
}

impl Journal {
    /// Appends to what is there.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::bounded(path, FILE_BYTES_MAX)
    }

    fn bounded(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let mut file = opened(&path)?;
        end_line(&mut file)?;
        let lines = Lines { path, file, bytes_max };
        Ok(Self { broker: MemoryBroker::default(), lines: Arc::new(Mutex::new(lines)) })
    }
}

#[async_trait]
impl Broker for Journal {
    async fn publish_hint(&self, class: &Class, hint: &Hint) -> Result<(), BrokerError> {
        self.broker.publish_hint(class, hint).await
    }

    async fn publish_event(&self, event: &Event) -> Result<(), BrokerError> {
        let (lines, body) = (self.lines.clone(), event.body.clone());
        let writing = tokio::task::spawn_blocking(move || {
            // Whoever died of a write left a line that the next one ends.
            lines.lock().unwrap_or_else(PoisonError::into_inner).append(&body)
        });
        match writing.await {
            Ok(Ok(())) => self.broker.publish_event(event).await,
            Ok(Err(error)) => Err(BrokerError::Unconfirmed(format!("the file of events: {error}"))),
            Err(panic) => Err(BrokerError::Unconfirmed(format!("the file of events: {panic}"))),
        }
    }

    async fn consume(&self, class: &Class) -> Result<Box<dyn Hints>, BrokerError> {
        self.broker.consume(class).await
    }

    async fn uploads(&self) -> Result<Box<dyn Uploads>, BrokerError> {
        self.broker.uploads().await
    }

    async fn dead_letters(&self) -> Result<Box<dyn DeadLetters>, BrokerError> {
        self.broker.dead_letters().await
    }
}

impl Lines {
    fn append(&mut self, body: &Bytes) -> io::Result<()> {
        self.follow()?;
        // A write that failed half way must not run into the next line.
        end_line(&mut self.file)?;
        let line = [body, b"\n".as_slice()].concat();
        let length = self.file.metadata()?.len();
        if length > 0 && length + line.len() as u64 > self.bytes_max {
            self.turn()?;
        }
        self.file.write_all(&line)?;
        self.file.sync_data()
    }

    /// Whoever moves the file away, or removes it, wants a new one.
    fn follow(&mut self) -> io::Result<()> {
        let own = self.file.metadata()?;
        let is_own = match std::fs::metadata(&self.path) {
            Ok(named) => (named.dev(), named.ino()) == (own.dev(), own.ino()),
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if !is_own {
            self.file = opened(&self.path)?;
        }
        Ok(())
    }

    /// The oldest goes, all others grow older, and a new one begins.
    fn turn(&mut self) -> io::Result<()> {
        for age in (0..OLDER_MAX).rev() {
            match std::fs::rename(older(&self.path, age), older(&self.path, age + 1)) {
                Err(error) if age > 0 && error.kind() == ErrorKind::NotFound => {}
                renamed => renamed?,
            }
        }
        self.file = opened(&self.path)?;
        Ok(())
    }
}

/// What the file is called, so many turns ago.
fn older(path: &Path, age: u32) -> PathBuf {
    let mut name = OsString::from(path);
    if age > 0 {
        name.push(format!(".{age}"));
    }
    name.into()
}

/// At its end, and there for good.
fn opened(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).create(true).append(true).open(path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all()?,
        None => return Err(io::Error::new(ErrorKind::IsADirectory, "it is the root")),
    }
    Ok(file)
}

/// What is there ends with a whole line, be it one that nobody can read.
fn end_line(file: &mut File) -> io::Result<()> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str) -> Event {
        let body = format!("{{\"id\":\"{id}\"}}").into();
        Event { id: id.to_owned(), key: "job.completed.default".to_owned(), body, trace: None }
    }

    async fn tell(journal: &Journal, ids: std::ops::Range<u32>) {
        for id in ids {
            journal.publish_event(&event(&id.to_string())).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_told_stands_in_the_file_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let journal = Journal::open(&path).unwrap();
        journal.publish_event(&event("1")).await.unwrap();
        drop(journal);
        // somebody died in the middle of a line
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"id\":").unwrap();
        let journal = Journal::open(&path).unwrap();
        let mut heard = journal.broker.events();
        journal.publish_event(&event("2")).await.unwrap();
        assert_eq!(heard.recv().await.unwrap().id, "2");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"id\":\"1\"}\n{\"id\":\n{\"id\":\"2\"}\n");
    }

    #[tokio::test]
    async fn a_file_that_is_full_grows_older_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let read = |age| std::fs::read_to_string(older(&path, age)).ok();
        let lines = |ids: [u32; 2]| Some(ids.map(|id| format!("{{\"id\":\"{id}\"}}\n")).concat());
        // two lines of twelve bytes, and no third
        let journal = Journal::bounded(&path, 25).unwrap();
        tell(&journal, 10..14).await;
        assert_eq!((read(0), read(1), read(2)), (lines([12, 13]), lines([10, 11]), None));
        drop(journal);
        let journal = Journal::bounded(&path, 25).unwrap();
        tell(&journal, 14..22).await;
        let kept: Vec<_> = (0..=OLDER_MAX).map(read).collect();
        assert_eq!(kept, [[20, 21], [18, 19], [16, 17], [14, 15], [12, 13]].map(lines));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5);
        // longer than the bound, and told all the same
        journal.publish_event(&event(&"9".repeat(40))).await.unwrap();
        assert!(read(0).is_some_and(|text| text.len() > 40) && read(1) == lines([20, 21]));
    }

    #[tokio::test]
    async fn a_file_that_somebody_moves_away_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let journal = Journal::open(&path).unwrap();
        tell(&journal, 1..2).await;
        std::fs::rename(&path, folder.path().join("away")).unwrap();
        tell(&journal, 2..3).await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"id\":\"2\"}\n");
        assert_eq!(std::fs::read_to_string(folder.path().join("away")).unwrap(), "{\"id\":\"1\"}\n");
        std::fs::remove_file(&path).unwrap();
        tell(&journal, 3..4).await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"id\":\"3\"}\n");
    }
}
