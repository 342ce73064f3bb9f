//! What RabbitMQ does to its clients, done to ours: each fault ends in an error that says what it is, and when it is
//! over everything flows again. The facts of a trial share one server, because starting one takes seconds.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod outages;
#[path = "../servers/rabbit.rs"]
mod rabbit;
mod readiness;
mod refusals;
#[path = "../servers/relay.rs"]
mod relay;
mod scene;
mod tls;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Instant;

use libtest_mimic::{Arguments, Failed, Trial};

use rabbit::Rabbit;

type Fact = for<'r> fn(&'r mut Rabbit) -> Pin<Box<dyn Future<Output = ()> + 'r>>;

macro_rules! facts {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$((stringify!($name), (|rabbit| Box::pin($module::$name(rabbit))) as Fact)),*]
    };
}

const READINESS: &[(&str, Fact)] = facts![
    readiness::no_server_at_all,
    readiness::a_server_that_is_silent_is_given_up_without_a_trace,
    readiness::a_wrong_password,
    readiness::a_virtual_host_that_is_not_there,
    readiness::a_user_who_may_not_enter_and_then_may_only_read,
    readiness::a_queue_that_is_missing,
    readiness::a_queue_of_another_type,
    readiness::what_is_shipped_is_what_is_needed,
];

const FAULTS: &[(&str, Fact)] = facts![
    refusals::a_message_without_a_queue_is_no_success_whoever_publishes_beside_it,
    refusals::a_full_queue_says_so,
    outages::a_queue_deleted_under_its_consumer_is_declared_anew,
    outages::an_administrators_queue_is_waited_for_while_the_others_go_on,
    outages::an_alarm_holds_back_what_is_published_but_no_acknowledgement,
    outages::a_server_that_was_stopped_or_killed_is_found_again,
    outages::a_line_that_swallows_everything_is_noticed,
];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("tls") {
        return tls::client(&args.next().unwrap());
    }
    let trials = vec![
        Trial::test("readiness", || every(READINESS, &mut Rabbit::start())),
        Trial::test("faults", || every(FAULTS, &mut Rabbit::start())),
        Trial::test("tls", || {
            tls::a_server_with_a_certificate_is_trusted_only_with_it();
            Ok(())
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn every(facts: &[(&str, Fact)], rabbit: &mut Rabbit) -> Result<(), Failed> {
    let mut broken = Vec::new();
    for (name, fact) in facts {
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| scene::run(fact(rabbit))));
        eprintln!("{name}: {} after {:?}", if outcome.is_ok() { "so" } else { "not so" }, begun.elapsed());
        if outcome.is_err() {
            broken.push(*name);
        }
    }
    if broken.is_empty() { Ok(()) } else { Err(format!("not so: {broken:?}").into()) }
}
