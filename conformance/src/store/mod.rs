//! Facts of stores: the port's promises one by one, random histories against one plain model, crowds.

mod crowd;
mod facts;
mod history;
/// Counting in lanes, each step of which touches all that a transaction can.
pub mod lanes;
mod model;
mod redis;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use framefleet_common::ports::store::{Store, StoreError};

pub use self::redis::RedisHome;
use crate::scene::Scene;

/// Where stores live, told apart by their names.
#[async_trait]
pub trait Home: Send + Sync {
    /// A name's first store is empty. Once it is dropped, the next of that name holds what it left.
    async fn open(&self, name: &str) -> Result<Arc<dyn Store>, StoreError>;

    /// Turns the clock of stores that go by one of ours.
    fn advance(&self, by: Duration);

    /// How many random histories are tried.
    fn histories(&self) -> u32;
}

/// What a fact is tried on.
pub struct Grounds {
    pub scene: Scene,
    pub home: Arc<dyn Home>,
    /// Of the fact: its stores' names begin with it.
    pub name: &'static str,
    pub opened: AtomicU32,
}

/// One store, which may be dropped and opened again.
struct Ground {
    home: Arc<dyn Home>,
    name: String,
    /// `None` only while it is opened again.
    store: Option<Arc<dyn Store>>,
}

pub type Fact = fn(&Grounds);

macro_rules! facts {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$((stringify!($name), |grounds| $module::$name(grounds))),*]
    };
}

/// What holds for every store.
pub const EVERY: &[(&str, Fact)] = facts![
    facts::a_commit_whose_expectation_fails_changes_nothing,
    facts::a_deleted_row_made_again_has_a_new_version,
    facts::an_expectation_holds_until_the_row_changes,
    facts::writes_of_a_transaction_happen_in_their_order,
    facts::acknowledged_messages_are_gone_and_their_numbers_too,
    facts::members_of_equal_score_are_paged_in_the_order_of_their_bytes,
    facts::shards_do_not_see_each_other,
    facts::rows_at_their_bounds_are_kept,
    facts::a_transaction_as_large_as_may_be_is_whole,
    facts::what_breaks_the_rules_is_refused,
    facts::commits_are_heard,
    history::any_history_is_as_the_model_says,
    crowd::one_of_many_creators_wins,
    crowd::no_increment_is_lost,
    crowd::a_reader_never_sees_half_a_transaction,
    crowd::a_barrier_comes_after_all_that_was_sent_before,
];

/// What holds where a clock of ours is gone by.
pub const BY_OUR_CLOCK: &[(&str, Fact)] = facts![facts::the_stores_time_is_told_with_every_answer];

/// What holds where more than memory is written to.
pub const KEPT: &[(&str, Fact)] = facts![lanes::what_was_committed_survives_being_dropped];

/// What holds of a server.
pub const SERVED: &[(&str, Fact)] = facts![facts::the_servers_time_is_told_with_every_answer];

impl Grounds {
    pub fn new(scene: Scene, home: Arc<dyn Home>, name: &'static str) -> Self {
        Self { scene, home, name, opened: AtomicU32::new(0) }
    }

    async fn open(&self) -> Ground {
        let name = format!("{}-{}", self.name, self.opened.fetch_add(1, Ordering::Relaxed));
        let store = Some(self.home.open(&name).await.unwrap());
        Ground { home: self.home.clone(), name, store }
    }

    fn ground(&self) -> Ground {
        self.run(self.open())
    }

    fn run<T>(&self, part: impl Future<Output = T>) -> T {
        self.scene.run(part)
    }
}

impl Ground {
    fn store(&self) -> &Arc<dyn Store> {
        self.store.as_ref().expect("open")
    }

    /// Drops the store as a dying process would, and opens what it left.
    async fn reopen(&mut self) {
        self.store = None;
        self.store = Some(self.home.open(&self.name).await.unwrap());
    }
}
