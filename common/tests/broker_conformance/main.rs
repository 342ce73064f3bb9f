//! One suite that every broker must pass. Facts of the memory broker are trials of their own; those of RabbitMQ share
//! one trial and one server, because starting it takes longer than all of them.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod dead;
mod facts;
mod ground;
#[path = "../servers/rabbit.rs"]
mod rabbit;
#[path = "../servers/raw.rs"]
mod raw;
mod uploads;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};

use ground::Ground;
use rabbit::Rabbit;

/// No fact may take longer, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(120);

type Fact = fn(Ground) -> Pin<Box<dyn Future<Output = ()>>>;

fn main() -> ExitCode {
    let mut trials: Vec<Trial> = FACTS.iter().map(|(name, fact)| memory(name, *fact)).collect();
    trials.push(Trial::test("amqp::every_fact", amqp));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

macro_rules! facts {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$((stringify!($name), |ground| Box::pin($module::$name(ground)))),*]
    };
}

const FACTS: &[(&str, Fact)] = facts![
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

fn memory(name: &str, fact: Fact) -> Trial {
    Trial::test(format!("memory::{name}"), move || {
        run(async { fact(Ground::memory()).await });
        Ok(())
    })
}

fn amqp() -> Result<(), Failed> {
    let rabbit = Rabbit::start();
    let mut broken = Vec::new();
    for (name, fact) in FACTS {
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            run(async {
                let (ground, broker) = Ground::amqp(&rabbit.url(), name).await;
                fact(ground).await;
                broker.close().await;
            });
        }));
        eprintln!("{name}: {:?} in {:?}", outcome.is_ok(), begun.elapsed());
        if outcome.is_err() {
            broken.push(*name);
        }
    }
    if broken.is_empty() { Ok(()) } else { Err(format!("not so on RabbitMQ: {broken:?}").into()) }
}

/// Runs a fact on threads of its own.
fn run(fact: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, fact).await.expect("within the patience of this suite") });
}
