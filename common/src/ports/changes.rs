//! Which shards had commits, as heard by one subscriber. A wake-up, never the news itself: whoever is woken loads.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;

use crate::ports::store::Shard;

/// One subscriber's ear.
#[derive(Debug)]
pub struct Changes {
    heard: Arc<Heard>,
}

/// The store's mouth: an adapter keeps one and announces the shard of each commit.
#[derive(Debug, Default)]
pub struct Announcer {
    subscribers: Mutex<Vec<Weak<Heard>>>,
}

#[derive(Debug, Default)]
struct Heard {
    /// One bit a shard: however many commits, a slow subscriber costs no memory.
    shards: Mutex<u128>,
    wake: Notify,
}

impl Changes {
    /// The shards that had commits since the last call, at least one; waits for it. Safe to cancel.
    pub async fn next(&mut self) -> Vec<Shard> {
        loop {
            let woken = self.heard.wake.notified();
            let shards = std::mem::take(&mut *lock(&self.heard.shards));
            if shards != 0 {
                return Shard::all().filter(|s| shards & bit(*s) != 0).collect();
            }
            woken.await;
        }
    }
}

impl Announcer {
    pub fn subscribe(&self) -> Changes {
        let heard = Arc::new(Heard::default());
        let mut subscribers = lock(&self.subscribers);
        subscribers.retain(|s| s.strong_count() > 0);
        subscribers.push(Arc::downgrade(&heard));
        Changes { heard }
    }

    pub fn announce(&self, shard: Shard) {
        for heard in lock(&self.subscribers).iter().filter_map(Weak::upgrade) {
            *lock(&heard.shards) |= bit(shard);
            heard.wake.notify_one();
        }
    }
}

fn bit(shard: Shard) -> u128 {
    1 << shard.number()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is behind these locks is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_subscriber_hears_each_shard_once_however_often_it_changed() {
        let announcer = Announcer::default();
        let mut changes = announcer.subscribe();
        announcer.announce(Shard::GLOBAL);
        announcer.announce(Shard::all().next().unwrap());
        announcer.announce(Shard::GLOBAL);
        assert_eq!(changes.next().await.len(), 2);
        announcer.announce(Shard::GLOBAL);
        assert_eq!(changes.next().await, [Shard::GLOBAL]);
    }

    #[tokio::test]
    async fn a_waiting_subscriber_is_woken() {
        let announcer = Arc::new(Announcer::default());
        let mut changes = announcer.subscribe();
        let waiting = async { changes.next().await };
        let speaking = async {
            tokio::task::yield_now().await;
            announcer.announce(Shard::GLOBAL);
        };
        let (heard, ()) = tokio::join!(waiting, speaking);
        assert_eq!(heard, [Shard::GLOBAL]);
    }
}
