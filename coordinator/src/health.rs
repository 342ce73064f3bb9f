//! Whether the store is broken in a way that waiting does not mend: whoever watches a job in this process is told,
//! instead of watching for ever.

use std::sync::{Arc, Mutex, PoisonError};

use framefleet_common::ports::store::StoreError;
use framefleet_model::fault::Fault;

use crate::observe::Observer;

#[derive(Clone)]
pub(crate) struct Health {
    observer: Observer,
    broken: Arc<Mutex<Option<Fault>>>,
}

impl Health {
    pub(crate) fn new(observer: Observer) -> Self {
        Self { observer, broken: Arc::default() }
    }

    pub(crate) fn heard(&self, error: &StoreError) {
        self.observer.store_away(error);
        match error {
            StoreError::Unavailable(_) => {}
            StoreError::Corrupt(_)
            | StoreError::Full(_)
            | StoreError::Locked { .. }
            | StoreError::Schema { .. }
            | StoreError::Unusable(_)
            | StoreError::Refused(_) => *self.lock() = Some(error.clone().into()),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Fault> {
        self.lock().clone().map_or(Ok(()), Err)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Fault>> {
        // A single assignment leaves it whole.
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
