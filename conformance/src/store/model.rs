//! The store's rules once more, as lists that are searched from end to end: slow, and too plain to be wrong. It shares
//! nothing with the adapters.

use bytes::Bytes;
use framefleet_common::ports::store::{
    Committed, Entry, IndexKey, Message, Peek, QueueKey, RowKey, Scan, Sequence, Version,
};
use framefleet_common::ports::txn::{Expect, Txn, Write};

#[derive(Default)]
pub(super) struct Model {
    rows: Vec<(RowKey, Version, Bytes)>,
    entries: Vec<(IndexKey, Entry)>,
    messages: Vec<(QueueKey, Message)>,
    /// Every version a row ever had, and every number a queue ever gave.
    versions_given: Vec<(RowKey, Version)>,
    numbers_given: Vec<(QueueKey, Sequence)>,
}

impl Model {
    pub(super) fn row(&self, key: &RowKey) -> Option<(Version, Bytes)> {
        self.rows.iter().find(|(k, ..)| k == key).map(|(_, version, bytes)| (*version, bytes.clone()))
    }

    /// A version that the row had and has no more.
    pub(super) fn stale(&self, key: &RowKey) -> Option<Version> {
        let current = self.row(key).map(|(version, _)| version);
        let mut given = self.versions_given.iter().filter(|(k, v)| k == key && Some(*v) != current);
        given.next().map(|(_, version)| *version)
    }

    pub(super) fn would_commit(&self, txn: &Txn) -> bool {
        txn.expected.iter().all(|(row, expect)| match (expect, self.row(row)) {
            (Expect::Absent, found) => found.is_none(),
            (Expect::At(version), found) => found.is_some_and(|(current, _)| current == *version),
        })
    }

    /// Does what the store says it did, checking the numbers that it gave.
    pub(super) fn commit(&mut self, txn: &Txn, committed: &Committed) {
        let mut sequences = committed.sequences.iter().copied();
        for write in &txn.writes {
            match write {
                Write::Put { row, bytes } => {
                    self.rows.retain(|(k, ..)| k != row);
                    self.rows.push((row.clone(), committed.version, bytes.clone()));
                }
                Write::Delete { row } => self.rows.retain(|(k, ..)| k != row),
                Write::IndexSet { index, member, score } => {
                    self.entries.retain(|(k, entry)| k != index || entry.member != *member);
                    self.entries.push((index.clone(), Entry { score: *score, member: member.clone() }));
                }
                Write::IndexRemove { index, member } => {
                    self.entries.retain(|(k, entry)| k != index || entry.member != *member);
                }
                Write::Append { queue, bytes } => {
                    let sequence = sequences.next().expect("a sequence number for each message");
                    let earlier = self.numbers_given.iter().filter(|(k, _)| k == queue);
                    assert!(earlier.clone().all(|(_, given)| *given < sequence), "{sequence:?} does not rise");
                    self.numbers_given.push((queue.clone(), sequence));
                    self.messages.push((queue.clone(), Message { sequence, bytes: bytes.clone() }));
                }
                Write::Ack { queue, up_to } => {
                    self.messages.retain(|(k, message)| k != queue || message.sequence > *up_to);
                }
            }
        }
        assert_eq!(sequences.next(), None, "more sequence numbers than messages");
        self.note_versions(txn, committed.version);
    }

    pub(super) fn scan(&self, scan: &Scan) -> Vec<Entry> {
        let mut found: Vec<Entry> =
            self.entries.iter().filter(|(k, _)| *k == scan.index).map(|(_, entry)| entry.clone()).collect();
        found.sort_by(|a, b| (a.score, a.member.as_bytes()).cmp(&(b.score, b.member.as_bytes())));
        found.retain(|entry| scan.from <= entry.score && entry.score <= scan.to);
        if let Some(after) = &scan.after {
            found.retain(|e| (e.score, e.member.as_bytes()) > (after.score, after.member.as_bytes()));
        }
        found.truncate(scan.limit);
        found
    }

    pub(super) fn peek(&self, peek: &Peek) -> Vec<Message> {
        let mut found: Vec<Message> =
            self.messages.iter().filter(|(k, _)| *k == peek.queue).map(|(_, message)| message.clone()).collect();
        found.retain(|message| peek.after.is_none_or(|after| message.sequence > after));
        found.truncate(peek.limit);
        found
    }

    fn note_versions(&mut self, txn: &Txn, version: Version) {
        let mut put: Vec<&RowKey> = Vec::new();
        for write in &txn.writes {
            if let Write::Put { row, .. } = write
                && !put.contains(&row)
            {
                put.push(row);
            }
        }
        for row in put {
            let given = (row.clone(), version);
            assert!(!self.versions_given.contains(&given), "{given:?} was given before");
            self.versions_given.push(given);
        }
    }
}
