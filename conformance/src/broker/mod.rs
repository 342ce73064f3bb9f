//! Facts of brokers.

mod dead;
mod facts;
mod ground;
mod uploads;

use std::sync::Arc;

use framefleet_common::adapters::amqp::{AmqpBroker, AmqpSettings};
use framefleet_common::adapters::clock::HostClock;
use framefleet_common::ports::broker::Class;
use futures::future::BoxFuture;

pub use self::ground::Ground;

pub type Fact = fn(Ground) -> BoxFuture<'static, ()>;

macro_rules! facts {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$((stringify!($name), |ground| Box::pin($module::$name(ground)))),*]
    };
}

/// What holds for every broker.
pub const EVERY: &[(&str, Fact)] = facts![
    facts::hints_come_in_order_and_only_to_their_class,
    facts::a_slot_gets_its_next_hint_only_after_the_last_is_done_with,
    facts::a_hint_dropped_without_receipt_comes_again_as_redelivered,
    facts::every_hint_reaches_exactly_one_of_many_slots,
    facts::a_wait_that_is_cancelled_loses_no_hint,
    facts::a_closed_source_gives_back_what_was_on_its_way,
    facts::a_dropped_source_gives_back_what_was_on_its_way,
    facts::a_hint_that_is_held_outlives_its_source,
    facts::an_event_published_twice_comes_twice_under_one_id,
    dead::what_is_no_hint_becomes_a_dead_letter_and_never_comes_again,
    dead::a_dead_letter_is_gone_only_when_acknowledged,
    dead::hints_behind_what_is_no_hint_still_come,
    uploads::messages_of_uploads_come_as_they_are_until_they_are_acknowledged,
];

/// What the facts send hints to.
pub fn classes() -> Vec<Class> {
    vec![Class::light(), Class::standard(), Class::long()]
}

/// Tries a fact on what the settings name, which must be a prefix of the fact's own: it is declared.
pub async fn on_amqp(fact: Fact, settings: &AmqpSettings) {
    let (ground, closing) = Ground::amqp(settings).await;
    fact(ground).await;
    closing.close().await;
}

/// Takes away what a fact declared, however it ended.
pub async fn remove(settings: &AmqpSettings) -> Result<(), String> {
    AmqpBroker::remove(settings, &[ground::customer(&settings.prefix)], Arc::new(HostClock::start())).await
}
