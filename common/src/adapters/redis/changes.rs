//! Others' commits: one listener hears the channel for the whole process and feeds its announcer.
//!
//! Whatever was said while nobody listened is lost, so after each pause every shard is announced. Our own commits are
//! announced where they are made, at once, and not a second time from here.

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use redis::aio::PubSub;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::adapters::redis::connection::{ANSWER, Maker, WATCH};
use crate::ports::changes::Announcer;
use crate::ports::store::{Shard, StoreError};

pub(super) struct Listener {
    pub(super) channel: String,
    pub(super) origin: String,
    pub(super) announcer: Arc<Announcer>,
}

/// Whether the channel is heard.
#[derive(Clone, Default)]
pub(super) struct Hearing {
    deaf: Arc<Mutex<Option<StoreError>>>,
}

impl Listener {
    /// Listens from now on, or, where that cannot be, as soon as it can.
    pub(super) async fn start(self, maker: &Maker, tasks: &mut JoinSet<()>) -> Hearing {
        let hearing = Hearing::default();
        let first = self.connect(maker).await;
        tasks.spawn(self.keep(maker.clone(), first, hearing.clone()));
        hearing
    }

    async fn keep(self, maker: Maker, first: Result<PubSub, StoreError>, hearing: Hearing) {
        let (mut connected, mut failures) = (first, 0);
        loop {
            match connected {
                Ok(channel) => {
                    hearing.set(None);
                    failures = 0;
                    self.listen(channel, &maker).await;
                    hearing.set(Some(StoreError::Unavailable("the connection is lost".into())));
                }
                Err(why) => hearing.set(Some(why)),
            }
            maker.pause(failures).await;
            failures = failures.saturating_add(1);
            connected = self.connect(&maker).await;
            if connected.is_ok() {
                Shard::all().for_each(|shard| self.announcer.announce(shard));
            }
        }
    }

    async fn connect(&self, maker: &Maker) -> Result<PubSub, StoreError> {
        let client = maker.within(maker.target.client()).await?;
        let mut channel = maker.within(client.get_async_pubsub()).await?;
        maker.within(channel.subscribe(&self.channel)).await?;
        Ok(channel)
    }

    /// Returns when the connection is lost, or is silent when asked for a sign of life.
    async fn listen(&self, channel: PubSub, maker: &Maker) {
        let (mut asking, mut hearing) = channel.split();
        loop {
            tokio::select! {
                message = hearing.next() => match message {
                    Some(message) => self.hear(message.get_payload_bytes()),
                    None => return,
                },
                () = maker.clock.sleep(WATCH) => {
                    if !matches!(timeout(ANSWER, asking.ping::<redis::Value>()).await, Ok(Ok(_))) {
                        return;
                    }
                }
            }
        }
    }

    /// Anybody may publish there: what is not understood is not for us.
    fn hear(&self, news: &[u8]) {
        let news = std::str::from_utf8(news).ok().and_then(|news| news.split_once(' '));
        let Some((number, _)) = news.filter(|(_, origin)| *origin != self.origin) else { return };
        let shard = number.parse().ok().and_then(|number: u8| Shard::all().find(|shard| shard.number() == number));
        if let Some(shard) = shard {
            self.announcer.announce(shard);
        }
    }
}

impl Hearing {
    pub(super) fn warning(&self) -> Option<String> {
        let deaf = self.lock();
        deaf.as_ref().map(|why| format!("others' commits are not heard, only found by polling: {why}"))
    }

    fn set(&self, deaf: Option<StoreError>) {
        *self.lock() = deaf;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<StoreError>> {
        // A single assignment leaves it whole.
        self.deaf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
