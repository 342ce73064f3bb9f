//! The facts that every broker must hold to, tried on ours. Those of the memory broker are trials of their own; those of
//! RabbitMQ share one trial and one server, because starting it takes longer than all of them.

#![allow(clippy::unwrap_used, reason = "a test program")]

#[path = "servers/rabbit.rs"]
mod rabbit;

use std::process::ExitCode;
use std::time::Instant;

use framefleet_common::adapters::amqp::{AmqpSettings, Declare};
use framefleet_conformance::broker::{EVERY, Fact, Ground, classes, on_amqp, remove};
use framefleet_conformance::scene::{Scene, holds};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio_util::sync::CancellationToken;

use rabbit::Rabbit;

fn main() -> ExitCode {
    let mut trials: Vec<Trial> = EVERY.iter().map(|(name, fact)| memory(name, *fact)).collect();
    trials.push(Trial::test("amqp::every_fact", amqp));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn memory(name: &str, fact: Fact) -> Trial {
    Trial::test(format!("memory::{name}"), move || {
        scene().run(fact(Ground::memory()));
        Ok(())
    })
}

fn amqp() -> Result<(), Failed> {
    let rabbit = Rabbit::start();
    let mut broken = Vec::new();
    for (name, fact) in EVERY {
        let settings = AmqpSettings {
            url: rabbit.url(),
            prefix: (*name).to_owned(),
            declare: Declare::Declare,
            classes: classes(),
            confirms_max: 16,
        };
        let begun = Instant::now();
        let outcome = holds(|| scene().run(on_amqp(*fact, &settings)));
        eprintln!("{name}: {outcome:?} in {:?}", begun.elapsed());
        scene().run(remove(&settings))?;
        broken.extend(outcome.err().map(|why| format!("{name}: {why}")));
    }
    let left = rabbit.ctl(&["-q", "list_queues", "name"]) + &rabbit.ctl(&["-q", "list_exchanges", "name"]);
    assert!(EVERY.iter().all(|(name, _)| !left.contains(name)), "something is left: {left}");
    if broken.is_empty() { Ok(()) } else { Err(format!("not so on RabbitMQ: {broken:?}").into()) }
}

fn scene() -> Scene {
    Scene::new(CancellationToken::new())
}
