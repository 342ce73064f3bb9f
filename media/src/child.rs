//! The child process: the spec, its limits, its jail, then the one piece of work and one answer.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use framefleet_jail::jail;
use framefleet_jail::places::Places;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::index::Method;
use framefleet_model::task::{CHILD_PROTOCOL, ChildLimits, ChildSpec, Line, Outcome, Progress, Work, object};
use framefleet_model::time::MediaTime;
use framefleet_model::watermark;

use crate::isobmff::reader::{Presented, Refusal};
use crate::pipe::internal;
use crate::read_at::ReadAt;
use crate::reader::Reader;
use crate::{allow, audio, encode, image, indexing, merge, probing};

/// Progress is told at most this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Runs the work that the socket on standard input asks for; the answer goes to standard output.
pub fn run() -> ExitCode {
    let answer = match answer() {
        Ok(outcome) => Line::Done(outcome),
        Err(fault) => Line::Fault(fault),
    };
    let failed = matches!(answer, Line::Fault(_));
    say(&answer);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Fills GStreamer's registry file, so that children need not.
pub fn scan_registry() -> ExitCode {
    match gst::init() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Tells the parent, sparingly, that the work moves.
#[derive(Clone)]
pub(crate) struct Teller(Arc<Mutex<Told>>);

struct Told {
    at: Option<Instant>,
    progress: Progress,
}

impl Teller {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Told { at: None, progress: Progress::default() })))
    }

    pub(crate) fn step(&self, steps: u64, position: MediaTime) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let progress =
            Progress { steps: told.progress.steps.max(steps), position: told.progress.position.max(position) };
        if progress == told.progress || told.at.is_some_and(|at| at.elapsed() < PROGRESS_EVERY) {
            return;
        }
        *told = Told { at: Some(Instant::now()), progress };
        say(&Line::Progress(progress));
    }
}

fn answer() -> Result<Outcome, Fault> {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().map_err(|e| internal(format!("no socket: {e}")))?;
    let (reader, spec) = Reader::accept(UnixStream::from(socket)).map_err(|e| internal(format!("no spec: {e}")))?;
    if spec.protocol != CHILD_PROTOCOL {
        return Err(internal(format!("a spec of protocol {}, this child speaks {CHILD_PROTOCOL}", spec.protocol)));
    }
    confine(&spec.limits)?;
    // Before there is a second thread, and before anything of the film is read.
    jail::enter(spec.sandbox, &Places::of_child(Path::new(&spec.scratch)))
        .map_err(|lacking| internal(format!("no jail for the media child: {lacking}")))?;
    gst::init().map_err(|e| Fault::new(FaultKind::PluginMissing, format!("GStreamer does not start: {e}")))?;
    allow::close_all_but_the_list();
    work(&reader, &spec)
}

/// Binds this process before it opens anything: it dies with its parent, gains no rights, and its data, files and
/// descriptors are bounded.
fn confine(limits: &ChildLimits) -> Result<(), Fault> {
    let refused = |what: &str, e: rustix::io::Errno| internal(format!("the child cannot set {what}: {e}"));
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|e| refused("its death signal", e))?;
    rustix::thread::set_no_new_privs(true).map_err(|e| refused("no_new_privs", e))?;
    let bounds = [
        (rustix::process::Resource::Data, limits.data_bytes_max),
        (rustix::process::Resource::Fsize, limits.file_bytes_max),
        (rustix::process::Resource::Nofile, limits.open_files_max),
        (rustix::process::Resource::Core, 0),
    ];
    for (resource, bound) in bounds {
        let limit = rustix::process::Rlimit { current: Some(bound), maximum: Some(bound) };
        rustix::process::setrlimit(resource, limit).map_err(|e| refused("its limits", e))?;
    }
    Ok(())
}

fn work(reader: &Reader, spec: &ChildSpec) -> Result<Outcome, Fault> {
    let scratch = Path::new(&spec.scratch);
    let teller = Teller::new();
    let open = |number: u32| -> Result<Arc<dyn ReadAt>, Fault> {
        let opened = reader.object(number);
        Ok(Arc::new(opened.map_err(|e| Fault::new(FaultKind::SourceUnreadable, e.to_string()))?))
    };
    let presented = || Presented::plainly(open(object::SOURCE)?).map(Arc::new).map_err(Refusal::fault);
    // Sample tables need no demuxer, and a task should read no more than its units.
    let sources = |method: Method| -> Result<encode::Sources, Fault> {
        let film = match method {
            Method::Tables => open(object::SOURCE)?,
            Method::Pass => presented()?,
        };
        Ok(encode::Sources { film, index: open(object::INDEX)?, images: Vec::new() })
    };
    match &spec.work {
        Work::Index(work) => {
            let film = open(object::SOURCE)?;
            indexing::run(work, film, scratch, |bytes| teller.step(bytes, MediaTime::ZERO)).map(Outcome::Index)
        }
        Work::Encode(work) => {
            let images = watermark::images(work.renditions.iter().map(|rendition| &rendition.settings)).len();
            let images = (object::IMAGES..).take(images).map(open).collect::<Result<_, _>>()?;
            let sources = encode::Sources { images, ..sources(work.method)? };
            encode::run(work, &sources, scratch, &teller).map(Outcome::Encode)
        }
        Work::Image(work) => image::run(work, &sources(work.method)?, scratch, &teller).map(Outcome::Image),
        Work::Audio(work) => audio::run(work, presented()?, scratch, &teller).map(Outcome::Audio),
        Work::Merge(work) => merge::run(work, reader, scratch, &teller).map(Outcome::Merge),
        Work::Probe(work) => {
            let film = open(object::GLANCE)?;
            probing::run(work, film, |bytes| teller.step(bytes, MediaTime::ZERO)).map(Outcome::Probe)
        }
    }
}

/// A parent that no longer listens kills this process; there is nobody else to tell.
fn say(line: &Line) {
    let mut out = std::io::stdout().lock();
    let _ = serde_json::to_writer(&mut out, line);
    let _ = out.write_all(b"\n");
    let _ = out.flush();
}
