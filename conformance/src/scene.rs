//! A fact's own threads, and what becomes of it.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// No part of a fact may take longer, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// Threads on which a fact and what it opened live, and end together.
pub struct Scene {
    runtime: Runtime,
    stop: CancellationToken,
}

impl Scene {
    pub fn new(stop: CancellationToken) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
        Self { runtime, stop }
    }

    /// Runs a part of a fact to its end. Told to stop, or out of patience, it panics as a fact does.
    pub fn run<T>(&self, part: impl Future<Output = T>) -> T {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => panic!("told to stop"),
                done = timeout(PATIENCE, part) => done.expect("within the patience of this suite"),
            }
        })
    }
}

/// Whether a fact holds, or the last panic on the way, which those before it led to: where, and what it says. One at a
/// time in a process, because who is told of panics is the process's.
pub fn holds(fact: impl FnOnce()) -> Result<(), String> {
    let last = Arc::new(Mutex::new(None::<String>));
    let heard = last.clone();
    let usual = take_hook();
    set_hook(Box::new(move |panic| {
        let at = panic.location().map(|at| format!("{}:{}: ", at.file(), at.line())).unwrap_or_default();
        let says = panic.payload_as_str().unwrap_or("a panic without words");
        *heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{at}{says}"));
    }));
    let outcome = catch_unwind(AssertUnwindSafe(fact));
    set_hook(usual);
    // A panic that somebody caught on the way is none of the fact's.
    let last = last.lock().unwrap_or_else(PoisonError::into_inner).take();
    outcome.map_err(|_| last.unwrap_or_else(|| "a panic that nobody heard".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_that_does_not_hold_says_where_and_what() {
        assert_eq!(holds(|| ()), Ok(()));
        let scene = Scene::new(CancellationToken::new());
        let said = holds(|| scene.run(async { assert_eq!(1 + 1, 3, "sums") })).unwrap_err();
        assert!(said.contains("scene.rs:") && said.contains("sums") && said.contains("right: 3"), "{said}");
    }

    #[test]
    fn a_fact_that_is_told_to_stop_ends() {
        let stop = CancellationToken::new();
        let scene = Scene::new(stop.clone());
        stop.cancel();
        assert!(holds(|| scene.run(std::future::pending())).unwrap_err().ends_with("told to stop"));
    }
}
