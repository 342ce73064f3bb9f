//! A runtime that does the same in the same order in every run, so that a seed tells one tale.
//!
//! ```text
//! tasks:    poll ─ poll ─ idle                        poll ─ poll ─ idle
//! blocking:                   call ─ call ─ no more                    call ─ …
//! ```
//! Time is paused and one thread polls all tasks. What blocks, such as a look at a file, is done by one other thread,
//! call after call, only while no task has anything to do; and no task goes on before all of it is done. So none can
//! tell how fast that thread is.

use std::future::Future;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Builder;

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Tasks are polled.
    #[default]
    Closed,
    /// No task has anything to do: blocking calls may begin.
    Open,
    /// They have begun.
    Passed,
    /// Tasks are to be polled again as soon as the calls that began are done.
    Awaited,
}

impl Gate {
    fn open(&self) {
        self.set(State::Open);
    }

    fn close(&self) {
        let mut state = self.lock();
        if *state == State::Passed {
            *state = State::Awaited;
            state = self.wait_while(state, |state| state == State::Awaited);
        }
        *state = State::Closed;
    }

    fn pass(&self) {
        let mut state = self.wait_while(self.lock(), |state| state != State::Open);
        *state = State::Passed;
    }

    fn leave(&self) {
        let mut state = self.lock();
        *state = if *state == State::Awaited { State::Closed } else { State::Open };
        self.changed.notify_all();
    }

    fn set(&self, to: State) {
        *self.lock() = to;
        self.changed.notify_all();
    }

    fn wait_while<'a>(&self, state: MutexGuard<'a, State>, holds: impl Fn(State) -> bool) -> MutexGuard<'a, State> {
        self.changed.wait_while(state, |state| holds(*state)).unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs to its end what a seed decides.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let gate = Arc::new(Gate::default());
    let [idle, busy, begun, ended] = std::array::from_fn(|_| gate.clone());
    let mut runtime = Builder::new_current_thread();
    runtime.enable_all().start_paused(true);
    // The thread for blocking calls begins with the first that waits and ends with the last: there the gate can be.
    runtime.max_blocking_threads(1).thread_keep_alive(Duration::ZERO);
    runtime.on_thread_park(move || idle.open()).on_thread_unpark(move || busy.close());
    runtime.on_thread_start(move || begun.pass()).on_thread_stop(move || ended.leave());
    // What was done is heard of only when nothing else is to do.
    runtime.global_queue_interval(u32::MAX).event_interval(u32::MAX);
    let runtime = runtime.build().expect("a runtime of one thread");
    let output = runtime.block_on(future);
    gate.open();
    drop(runtime);
    output
}
