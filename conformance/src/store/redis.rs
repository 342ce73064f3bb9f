//! Stores on one Redis server.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use framefleet_common::adapters::clock::HostClock;
use framefleet_common::adapters::redis::RedisStore;
use framefleet_common::adapters::redis::settings::RedisSettings;
use framefleet_common::ports::store::{Store, StoreError};

use super::Home;

/// Every store under a prefix of its own, below the settings' one.
pub struct RedisHome(pub RedisSettings);

#[async_trait]
impl Home for RedisHome {
    async fn open(&self, name: &str) -> Result<Arc<dyn Store>, StoreError> {
        let settings = RedisSettings { prefix: format!("{}:{name}", self.0.prefix), ..self.0.clone() };
        Ok(Arc::new(RedisStore::open(settings, Arc::new(HostClock::start())).await?))
    }

    /// The server has a clock of its own, which nobody turns.
    fn advance(&self, _by: Duration) {}

    fn histories(&self) -> u32 {
        48
    }
}
