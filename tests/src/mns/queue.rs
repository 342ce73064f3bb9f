//! A queue as MNS keeps it.

use std::time::{Duration, Instant};

pub(super) struct Queue {
    pub(super) visibility: Duration,
    messages: Vec<Message>,
    sent: usize,
    /// So often is each message given out as another.
    garbled: u32,
}

struct Message {
    id: String,
    body: String,
    times: u32,
    /// Until when it is hidden, and the one handle that means it.
    held: Option<(Instant, String)>,
}

/// A message as it is given out.
pub(super) struct Given {
    pub(super) id: String,
    pub(super) body: String,
    /// What it was when it came.
    pub(super) sent: String,
    pub(super) handle: String,
    pub(super) times: u32,
}

/// A handle that means nothing any more, or never did.
pub(super) struct Void;

impl Queue {
    pub(super) fn new(visibility: Duration) -> Self {
        Self { visibility, messages: Vec::new(), sent: 0, garbled: 0 }
    }

    pub(super) fn send(&mut self, body: String) -> String {
        self.sent += 1;
        let id = format!("5F290C926D472878-2-14D9529A8FA-{:08}", self.sent);
        self.messages.push(Message { id: id.clone(), body, times: 0, held: None });
        id
    }

    pub(super) fn left(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.messages.iter().filter(|message| message.is_free()).count()
    }

    pub(super) fn receive(&mut self, most: usize) -> Vec<Given> {
        let until = Instant::now() + self.visibility;
        let garbled = self.garbled;
        let free = self.messages.iter_mut().filter(|message| message.is_free());
        free.take(most)
            .map(|message| {
                message.times += 1;
                let handle = fresh_handle();
                message.held = Some((until, handle.clone()));
                let sent = message.body.clone();
                let body = if message.times <= garbled { [&sent, "x"].concat() } else { sent.clone() };
                Given { id: message.id.clone(), body, sent, handle, times: message.times }
            })
            .collect()
    }

    /// When something that is held now becomes free.
    pub(super) fn next_free(&self) -> Option<Instant> {
        self.messages.iter().filter_map(|message| message.held.as_ref().map(|(until, _)| *until)).min()
    }

    pub(super) fn delete(&mut self, handle: &str) -> Result<(), Void> {
        let at = self.messages.iter().position(|message| message.is_held_by(handle)).ok_or(Void)?;
        self.messages.remove(at);
        Ok(())
    }

    pub(super) fn extend(&mut self, handle: &str, visibility: Duration) -> Result<String, Void> {
        let message = self.messages.iter_mut().find(|message| message.is_held_by(handle)).ok_or(Void)?;
        let next = fresh_handle();
        message.held = Some((Instant::now() + visibility, next.clone()));
        Ok(next)
    }

    pub(super) fn garble(&mut self, times: u32) {
        self.garbled = times;
    }

    pub(super) fn expire(&mut self) {
        self.messages.iter_mut().for_each(|message| message.held = None);
    }
}

impl Message {
    fn is_free(&self) -> bool {
        self.held.as_ref().is_none_or(|(until, _)| *until <= Instant::now())
    }

    fn is_held_by(&self, handle: &str) -> bool {
        !self.is_free() && self.held.as_ref().is_some_and(|(_, own)| own == handle)
    }
}

/// With what a query must not garble in it.
fn fresh_handle() -> String {
    format!("1-{:016X}+/{:08X}==", rand::random::<u64>(), rand::random::<u32>())
}
