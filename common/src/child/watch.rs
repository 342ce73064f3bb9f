//! Looks at a running child and says when it must die: too long, too silent, too busy, too fat.

use std::time::Duration;

use rustix::process::Pid;

use super::limits::Limits;

/// A look at a child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Since its start.
    pub(crate) at: Duration,
    pub(crate) bytes_served: u64,
    pub(crate) steps: u64,
    /// A read of it waits for us.
    pub(crate) waits: bool,
    pub(crate) usage: Usage,
    /// Resident memory that it answers for: its own, or that of all if it is the heaviest.
    pub(crate) charged_bytes: u64,
}

/// What the kernel says of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) resident_bytes: u64,
    pub(crate) resident_bytes_peak: u64,
}

/// Why a child must die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Overrun,
    Silent,
    Spinning,
    Overspent,
    OutOfMemory { charged_bytes: u64 },
}

/// Remembers when the child last showed life.
pub(crate) struct Watch {
    limits: Limits,
    cpu_max: Duration,
    /// The look at which it last did.
    lively: Sample,
    /// The look at which it last got anywhere.
    moved: Sample,
}

impl Watch {
    /// More CPU time than `cpu_max` is more than the work can need.
    pub(crate) fn new(limits: Limits, cpu_max: Duration) -> Self {
        Self { limits, cpu_max, lively: Sample::default(), moved: Sample::default() }
    }

    pub(crate) fn look(&mut self, now: Sample) -> Option<Verdict> {
        let charged_bytes = now.charged_bytes;
        if charged_bytes > self.limits.resident_bytes_max {
            return Some(Verdict::OutOfMemory { charged_bytes });
        }
        if now.at >= self.limits.deadline {
            return Some(Verdict::Overrun);
        }
        if now.usage.cpu > self.cpu_max {
            return Some(Verdict::Overspent);
        }
        let moves = now.waits || now.bytes_served != self.moved.bytes_served || now.steps != self.moved.steps;
        let computed = now.usage.cpu.saturating_sub(self.lively.usage.cpu) >= self.limits.silence_cpu;
        if moves {
            self.moved = now;
        }
        if moves || computed {
            self.lively = now;
        }
        let since = |then: &Sample| now.at.saturating_sub(then.at);
        if since(&self.moved) >= self.limits.spin {
            return Some(Verdict::Spinning);
        }
        (since(&self.lively) >= self.limits.silence).then_some(Verdict::Silent)
    }
}

impl Usage {
    /// `None` once the process has ended.
    pub(crate) fn of(pid: Pid) -> Option<Self> {
        let folder = format!("/proc/{}", pid.as_raw_nonzero());
        let stat = std::fs::read_to_string(format!("{folder}/stat")).ok()?;
        let status = std::fs::read_to_string(format!("{folder}/status")).ok()?;
        Some(Self {
            cpu: cpu_time(&stat)?,
            resident_bytes: kib(&status, "VmRSS:")?,
            resident_bytes_peak: kib(&status, "VmHWM:")?,
        })
    }
}

/// User and system time of all its threads: fields 14 and 15, counted after the name, which may hold anything.
fn cpu_time(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_millis(ticks.saturating_mul(1000) / per_second))
}

fn kib(status: &str, name: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use framefleet_model::time::MediaTime;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u32) -> Sample {
        Sample { at: SECOND * seconds, ..Sample::default() }
    }

    fn watch() -> Watch {
        Watch::new(Limits::of_memory(1 << 30), Duration::MAX)
    }

    fn busy(cpu: Duration) -> Usage {
        Usage { cpu, ..Usage::default() }
    }

    #[test]
    fn silence_is_no_byte_no_step_and_hardly_any_cpu() {
        let mut silent = watch();
        assert_eq!(silent.look(Sample { usage: busy(SECOND / 2), ..at(59) }), None);
        assert_eq!(silent.look(Sample { usage: busy(SECOND * 9 / 10), ..at(60) }), Some(Verdict::Silent));
        for life in [
            Sample { bytes_served: 1, ..at(59) },
            Sample { steps: 1, ..at(59) },
            Sample { waits: true, ..at(59) },
            Sample { usage: busy(SECOND), ..at(59) },
        ] {
            let mut watch = watch();
            assert_eq!(watch.look(life), None);
            assert_eq!(watch.look(Sample { at: SECOND * 118, waits: false, ..life }), None, "{life:?}");
            assert_eq!(watch.look(Sample { at: SECOND * 119, waits: false, ..life }), Some(Verdict::Silent));
        }
    }

    #[test]
    fn the_deadline_and_the_memory_bound_hold_for_a_lively_child_too() {
        let limits = Limits { deadline: SECOND * 10, ..Limits::of_memory(1 << 30) };
        let lively = Sample { steps: 7, ..at(10) };
        assert_eq!(Watch::new(limits, Duration::MAX).look(lively), Some(Verdict::Overrun));
        let charged_bytes = limits.resident_bytes_max + 1;
        let fat = Sample { charged_bytes, ..at(1) };
        assert_eq!(Watch::new(limits, Duration::MAX).look(fat), Some(Verdict::OutOfMemory { charged_bytes }));
    }

    #[test]
    fn a_child_that_steps_for_ever_is_bounded_by_its_estimate() {
        let limits = Limits::of_memory(1 << 30);
        let mut watch = Watch::new(limits, limits.cpu_max(Some(MediaTime::from_secs(100))));
        let stepping = |cpu: u32| Sample { steps: cpu.into(), usage: busy(SECOND * cpu), ..at(cpu) };
        assert_eq!(watch.look(stepping(2000)), None);
        assert_eq!(watch.look(stepping(2001)), Some(Verdict::Overspent));
        assert_eq!(limits.cpu_max(Some(MediaTime::from_secs(1))), limits.cpu_floor);
        assert_eq!(limits.cpu_max(None), Duration::MAX);
    }

    #[test]
    fn a_busy_child_that_gets_nowhere_spins() {
        let mut watch = watch();
        let busy = |minutes: u32| Sample { steps: 1, usage: busy(SECOND * 60 * minutes), ..at(60 * minutes) };
        assert!((1..=20).all(|minutes| watch.look(busy(minutes)).is_none()));
        assert_eq!(watch.look(busy(21)), Some(Verdict::Spinning));
    }

    #[test]
    fn usage_is_read_of_a_living_process_only() {
        let own = Usage::of(rustix::process::getpid()).unwrap();
        assert!(own.resident_bytes > 0 && own.resident_bytes_peak >= own.resident_bytes);
        assert_eq!(cpu_time("1 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 100 50 0"), Some(SECOND * 3 / 2));
    }
}
