//! The one-process fleet's queue, which also writes what the world is told into a file: a line of JSON each, as it would
//! be published.
//!
//! A line is on disk before its event counts as told. Whoever dies in between tells it again, under the same id.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::adapters::memory::broker::MemoryBroker;
use crate::ports::broker::{Broker, BrokerError, Class, DeadLetters, Event, Hint, Hints, Uploads};

pub struct Journal {
    broker: MemoryBroker,
    file: Arc<Mutex<File>>,
}

impl Journal {
    /// Appends to what is there.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).create(true).append(true).open(path)?;
        end_line(&mut file)?;
        Ok(Self { broker: MemoryBroker::default(), file: Arc::new(Mutex::new(file)) })
    }
}

#[async_trait]
impl Broker for Journal {
    async fn publish_hint(&self, class: &Class, hint: &Hint) -> Result<(), BrokerError> {
        self.broker.publish_hint(class, hint).await
    }

    async fn publish_event(&self, event: &Event) -> Result<(), BrokerError> {
        let (file, body) = (self.file.clone(), event.body.clone());
        let writing = tokio::task::spawn_blocking(move || {
            // Whoever died of a write left a line that the next one ends.
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            append(&mut file, &body)
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

fn append(file: &mut File, body: &Bytes) -> io::Result<()> {
    // A write that failed half way must not run into the next line.
    end_line(file)?;
    file.write_all(&[body, b"\n".as_slice()].concat())?;
    file.sync_data()
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
}
