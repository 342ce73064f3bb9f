//! What every role of a fleet shares.

use std::sync::Arc;

use crate::adapters::blob::Root;
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
    pub mint: Mint,
}

impl Fleet {
    pub fn board(&self) -> Board {
        Board::new(self.store.clone())
    }
}
