//! What a child's end means: an outcome that was looked at, or a coded fault. Pure but for the look at the files.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use framefleet_model::cost;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::ledger::Produced;
use framefleet_model::task::{Line, Outcome, Work};

use super::evidence::{Remains, ending};
use super::limits::Limits;
use super::output::{OutputError, printable};
use super::reads::ServeError;
use super::watch::Verdict;

const SIGXFSZ: i32 = 25;
/// What the jail's filter of system calls ends a process with.
const SIGSYS: i32 = 31;
/// What allocators say before they give up.
const NO_MEMORY: [&str; 3] = ["memory allocation of", "failed to allocate", "Cannot allocate memory"];
const NO_ROOM: [&str; 1] = ["No space left on device"];
const MESSAGE_CHARS_MAX: usize = 1000;
const EVIDENCE_LINES_MAX: usize = 64;

/// Why the parent ended the wait, or that it did not have to.
pub(crate) enum Ended {
    /// By itself, with its last word if there was one.
    Itself(Option<Line>),
    Watched(Verdict),
    Cancelled,
    Babbled(OutputError),
    Broke(ServeError),
    /// It gave its last word and did not exit.
    Lingered,
}

pub(crate) struct Case<'a> {
    pub(crate) work: &'a Work,
    pub(crate) scratch: &'a Path,
    pub(crate) limits: &'a Limits,
    /// What an object of ours answered a read with, if it was a fault.
    pub(crate) read_fault: Option<&'a Fault>,
}

pub(crate) fn judge(case: &Case<'_>, ended: Ended, remains: Remains) -> Result<Outcome, Fault> {
    let done = match ended {
        Ended::Itself(Some(Line::Done(outcome))) if remains.status.success() => {
            look_at_files(case, outcome).map_err(|message| Fault::new(FaultKind::Internal, message))
        }
        Ended::Itself(last) => Err(own_end(case, last, &remains)),
        Ended::Watched(verdict) => Err(watched(case, verdict)),
        Ended::Cancelled => Err(Fault::new(FaultKind::Cancelled, "the attempt was cancelled")),
        Ended::Babbled(error) => Err(Fault::new(FaultKind::Internal, format!("the child is not understood: {error}"))),
        Ended::Broke(error) => Err(Fault::new(FaultKind::Internal, format!("the child is not understood: {error}"))),
        Ended::Lingered => {
            let message = format!("the child did not exit within {:?} of its last word", case.limits.end_grace);
            Err(Fault::new(FaultKind::Hung, message))
        }
    };
    done.map_err(|mut fault| {
        fault.evidence.extend(remains.lines());
        fault
    })
}

/// It ended by itself without a valid outcome: the most telling reason counts.
fn own_end(case: &Case<'_>, last: Option<Line>, remains: &Remains) -> Fault {
    let told = match last {
        Some(Line::Fault(fault)) => Some(bounded(fault)),
        Some(Line::Done(_) | Line::Progress(_)) | None => None,
    };
    if let Some(fault) = case.read_fault {
        let heard = told.map(|told| format!("the child: {}", told.message));
        return heard.into_iter().fold(fault.clone(), Fault::with_evidence);
    }
    let ours = told.as_ref().is_none_or(|fault| fault.kind == FaultKind::Internal);
    match said_by_remains(case, remains) {
        Some(kind_and_message) if ours => kind_and_message,
        _ => told.unwrap_or_else(|| {
            let message = format!("the media child ended with {} and no result", ending(remains.status));
            Fault::new(FaultKind::Crashed, message)
        }),
    }
}

fn said_by_remains(case: &Case<'_>, remains: &Remains) -> Option<Fault> {
    if remains.status.signal() == Some(SIGXFSZ) {
        let message = format!("a scratch file grew over the bound of {} bytes", case.limits.own.file_bytes_max);
        return Some(Fault::new(FaultKind::ScratchFull, message));
    }
    if remains.status.signal() == Some(SIGSYS) {
        let message = "the jail ended the media child: it made a system call that no media work makes, which the kernel's \
                       log names (audit, type 1326)";
        return Some(Fault::new(FaultKind::Crashed, message));
    }
    if remains.says(&NO_ROOM) || no_room(case.scratch) {
        return Some(Fault::new(FaultKind::ScratchFull, format!("no room is left in {}", case.scratch.display())));
    }
    let bound = case.limits.own.data_bytes_max;
    let message = format!("the media child needed more memory than its bound of {bound} bytes");
    remains.says(&NO_MEMORY).then(|| Fault::new(FaultKind::OutOfMemory, message))
}

fn no_room(scratch: &Path) -> bool {
    rustix::fs::statvfs(scratch).is_ok_and(|s| s.f_blocks > 0 && s.f_bavail.saturating_mul(s.f_frsize) < 64 << 10)
}

fn watched(case: &Case<'_>, verdict: Verdict) -> Fault {
    let limits = case.limits;
    match verdict {
        Verdict::Overrun => {
            let message = format!("the media child ran longer than its deadline of {:?}", limits.deadline);
            Fault::new(FaultKind::Hung, message)
        }
        Verdict::Silent => {
            let message = format!("the media child read, made and computed nothing for {:?}", limits.silence);
            Fault::new(FaultKind::Hung, message)
        }
        Verdict::Spinning => {
            let message = format!("the media child computed for {:?} and got nowhere", limits.spin);
            Fault::new(FaultKind::Hung, message)
        }
        Verdict::Overspent => {
            let (most, factor) = (limits.cpu_max(cost::of(case.work)), limits.cpu_factor);
            let message = format!(
                "the media child used more than {most:?} of CPU time, the larger of the floor and {factor} times its estimate"
            );
            Fault::new(FaultKind::Hung, message)
        }
        Verdict::OutOfMemory { charged_bytes } => {
            let bound = limits.resident_bytes_max;
            let message = format!(
                "the media child, alone or as the heaviest of several, took {charged_bytes} bytes of memory, the bound is \
                 {bound}"
            );
            Fault::new(FaultKind::OutOfMemory, message)
        }
    }
}

/// A fault of the child's telling: bounded, and never one that only a parent may declare.
fn bounded(fault: Fault) -> Fault {
    let kind = match fault.kind {
        FaultKind::Cancelled => FaultKind::Internal,
        kind => kind,
    };
    let evidence = fault.evidence.iter().take(EVIDENCE_LINES_MAX);
    let evidence = evidence.map(|line| printable(line.as_bytes(), MESSAGE_CHARS_MAX)).collect();
    Fault { kind, message: printable(fault.message.as_bytes(), MESSAGE_CHARS_MAX), evidence }
}

fn look_at_files(case: &Case<'_>, outcome: Outcome) -> Result<Outcome, String> {
    let fits = matches!(
        (case.work, &outcome),
        (Work::Index(_), Outcome::Index(_))
            | (Work::Encode(_), Outcome::Encode(_))
            | (Work::Audio(_), Outcome::Audio(_))
            | (Work::Image(_), Outcome::Image(_))
            | (Work::Merge(_), Outcome::Merge(_))
            | (Work::Probe(_), Outcome::Probe(_))
    );
    if !fits {
        return Err("the media child answered another work than it was given".to_owned());
    }
    outcome.files().into_iter().try_for_each(|file| look_at(case.scratch, file))?;
    Ok(outcome)
}

fn look_at(scratch: &Path, file: &Produced) -> Result<(), String> {
    let name = printable(file.name.as_bytes(), MESSAGE_CHARS_MAX);
    if file.name.is_empty() || file.name.contains(['/', '\0']) || matches!(file.name.as_str(), "." | "..") {
        return Err(format!("the media child named {name:?}, which is no file name"));
    }
    let found = std::fs::symlink_metadata(scratch.join(&file.name));
    match found {
        Ok(meta) if !meta.is_file() => Err(format!("the media child named {name:?}, which is no regular file")),
        Ok(meta) if meta.len() != file.size => {
            Err(format!("the media child named {name:?} of {} bytes, it has {}", file.size, meta.len()))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(format!("the media child named {name:?}, which is not there: {error}")),
    }
}
