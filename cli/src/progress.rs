//! How far a job is, on a terminal: segments, speed against real time, time to go. Quiet everywhere else.

use std::time::{Duration, Instant};

use framefleet_coordinator::ops::JobView;
use framefleet_model::job::JobState;
use framefleet_model::time::MediaTime;
use indicatif::{ProgressBar, ProgressStyle};

const TEMPLATE: &str = "{prefix:10} {bar:30} {msg}";
const REDRAW: Duration = Duration::from_millis(250);

pub struct Bar {
    bar: ProgressBar,
    /// When encoding was first seen, and how much was encoded by then: earlier lives do not count.
    begun: Option<(Instant, MediaTime)>,
}

impl Bar {
    /// Draws on standard error, and only if that is a terminal.
    pub fn on_terminal() -> Self {
        let bar = ProgressBar::new(0);
        bar.set_style(ProgressStyle::with_template(TEMPLATE).expect("the template is ours").progress_chars("=> "));
        if !bar.is_hidden() {
            bar.enable_steady_tick(REDRAW);
        }
        Self { bar, begun: None }
    }

    pub fn show(&mut self, view: &JobView) {
        let (done, total) = match &view.job.state {
            JobState::Merging(_) | JobState::Publishing(_) => (view.merges.done, view.merges.total),
            JobState::Accepted
            | JobState::Indexing(_)
            | JobState::Encoding(_)
            | JobState::Completed(_)
            | JobState::Failed(_)
            | JobState::Cancelled(_) => (view.segments.done, view.segments.total),
        };
        self.bar.set_prefix(view.job.state.name());
        self.bar.set_length(total.into());
        self.bar.set_position(done.into());
        let message = self.message(view);
        self.bar.set_message(message);
    }

    fn message(&mut self, view: &JobView) -> String {
        match &view.job.state {
            JobState::Encoding(_) => {
                let (since, before) = *self.begun.get_or_insert_with(|| (Instant::now(), view.encoded));
                let pace = pace(view.encoded - before, view.length - view.encoded, since.elapsed());
                format!("{}/{} segments{pace}", view.segments.done, view.segments.total)
            }
            JobState::Merging(_) | JobState::Publishing(_) => {
                format!("{}/{} outputs", view.merges.done, view.merges.total)
            }
            JobState::Accepted
            | JobState::Indexing(_)
            | JobState::Completed(_)
            | JobState::Failed(_)
            | JobState::Cancelled(_) => String::new(),
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// `, 3.4 × real time, 0:12 to go`, once there is something to tell it from.
fn pace(done: MediaTime, left: MediaTime, elapsed: Duration) -> String {
    let done_ms = u128::try_from(done.ns() / 1_000_000).unwrap_or(0);
    let elapsed_ms = elapsed.as_millis();
    if done_ms == 0 || elapsed_ms == 0 {
        return String::new();
    }
    let tenths = done_ms * 10 / elapsed_ms;
    let left_ms = u128::try_from(left.ns() / 1_000_000).unwrap_or(0);
    let to_go = left_ms * elapsed_ms / done_ms / 1000;
    format!(", {}.{} × real time, {}:{:02} to go", tenths / 10, tenths % 10, to_go / 60, to_go % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_is_speed_and_time_to_go() {
        let s = MediaTime::from_secs;
        assert_eq!(pace(s(34), s(170), Duration::from_secs(10)), ", 3.4 × real time, 0:50 to go");
        assert_eq!(pace(s(1), s(7200), Duration::from_secs(2)), ", 0.5 × real time, 240:00 to go");
        assert_eq!(pace(s(0), s(10), Duration::from_secs(2)), "");
    }
}
