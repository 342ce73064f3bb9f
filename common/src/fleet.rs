//! What every role of a fleet shares.

use std::sync::Arc;

use crate::adapters::blob::root::Root;
use crate::adapters::blob::storages::Storages;
use crate::board::{Board, Mint};
use crate::ports::broker::Broker;
use crate::ports::clock::Clock;
use crate::ports::store::Store;

#[derive(Clone)]
pub struct Fleet {
    pub store: Arc<dyn Store>,
    pub broker: Arc<dyn Broker>,
    pub clock: Arc<dyn Clock>,
    /// Where work objects are kept.
    pub work: Root,
    /// Where films and outputs may lie.
    pub storages: Storages,
    pub mint: Mint,
}

impl Fleet {
    pub fn board(&self) -> Board {
        Board::new(self.store.clone())
    }
}
