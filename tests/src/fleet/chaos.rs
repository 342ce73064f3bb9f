//! Seeded misfortune: a store that does not answer or whose answers are lost, attempts that crash or stall.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use framefleet_common::ports::changes::Changes;
use framefleet_common::ports::store::{Commit, Loaded, Message, Peek, RowKey, Scan, Scanned, Store, StoreError};
use framefleet_common::ports::txn::Txn;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::task::Work;

use crate::fleet::media::Fate;

/// Numbers that follow from a seed (splitmix64).
#[derive(Clone)]
pub struct Dice {
    state: Arc<Mutex<u64>>,
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self { state: Arc::new(Mutex::new(seed)) }
    }

    /// One of `0..sides`.
    pub fn roll(&self, sides: u64) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// Fails one call in `out_of`, commits before or after they took place.
pub struct FlakyStore {
    pub store: Arc<dyn Store>,
    pub dice: Dice,
    pub out_of: u64,
}

impl FlakyStore {
    fn stumble(&self) -> Result<(), StoreError> {
        match self.dice.roll(self.out_of) {
            0 => Err(StoreError::Unavailable("as rolled".to_owned())),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Store for FlakyStore {
    async fn load(&self, keys: &[RowKey]) -> Result<Loaded, StoreError> {
        self.stumble()?;
        self.store.load(keys).await
    }

    async fn commit(&self, txn: Txn) -> Result<Commit, StoreError> {
        self.stumble()?;
        let committed = self.store.commit(txn).await?;
        // Done, and nobody is told.
        self.stumble()?;
        Ok(committed)
    }

    async fn scan(&self, scan: Scan) -> Result<Scanned, StoreError> {
        self.store.scan(scan).await
    }

    async fn peek(&self, peek: Peek) -> Result<Vec<Message>, StoreError> {
        self.stumble()?;
        self.store.peek(peek).await
    }

    async fn barrier(&self) -> Result<(), StoreError> {
        self.stumble()?;
        self.store.barrier().await
    }

    fn subscribe(&self) -> Changes {
        self.store.subscribe()
    }
}

/// A third crash of one task, all by chance, would rightly end its job.
const CRASHES_MAX: u32 = 2;

/// Attempts take up to 20 s; some crash, some take so long that they outlive their lease's patience.
pub struct Misfortune {
    dice: Dice,
    crashes: AtomicU32,
}

impl Misfortune {
    pub fn new(dice: Dice) -> Self {
        Self { dice, crashes: AtomicU32::new(0) }
    }
}

#[async_trait]
impl Fate for Misfortune {
    async fn of(&self, _work: &Work) -> Result<(), Fault> {
        let luck = self.dice.roll(20);
        let pause = if luck == 0 { 200 } else { self.dice.roll(20) };
        tokio::time::sleep(Duration::from_secs(pause)).await;
        let crashes = luck == 1 && self.crashes.fetch_add(1, Ordering::SeqCst) < CRASHES_MAX;
        if crashes { Err(Fault::new(FaultKind::Crashed, "as rolled")) } else { Ok(()) }
    }
}
