//! A child process from spawn to outcome or fault.
//!
//! One loop waits for whatever comes first: a word, the end of its reads, a bad look, a cancel, its exit. Whatever it
//! was, the child is dead and reaped before a verdict is given, so that nobody writes into the scratch any more.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;

use async_trait::async_trait;
use framefleet_model::cost;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::reads::SPEC_BYTES_MAX;
use framefleet_model::task::{CHILD_PROTOCOL, ChildSpec, Line, Outcome, Progress, Sandbox, Work};
use rustix::process::Signal;
use tokio::process::{Child, ChildStdout};
use tokio::sync::watch::Sender;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use super::crowd::{Crowd, Member};
use super::evidence::Remains;
use super::limits::Limits;
use super::output::{LastLines, OutputError, Words};
use super::reads::{ServeError, Traffic, serve};
use super::spawn::{Spawned, Spawner, command, signal_group};
use super::verdict::{Case, Ended, judge};
use super::watch::{Sample, Usage, Watch};
use super::{Attempt, Media};

/// The hidden subcommand that is the child.
const SUBCOMMAND: &str = "media";

/// Runs media work in children of this program.
pub struct ChildMedia {
    program: PathBuf,
    registry: PathBuf,
    limits: Limits,
    sandbox: Sandbox,
    spawner: Spawner,
    crowd: Crowd,
}

/// A child at work, as its parent hears and sees it.
struct Running {
    child: Child,
    weight: Member,
    words: Words<ChildStdout>,
    progress: Sender<Progress>,
    traffic: Arc<Traffic>,
    limits: Limits,
    started: Instant,
    usage: Usage,
    /// Its last word: an outcome or a fault.
    last: Option<Line>,
    hearing: Hearing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hearing {
    Open,
    /// It closed its output, or gave its last word: from here on it should exit.
    Over(Instant),
}

impl ChildMedia {
    /// `registry` is what [`super::registry::prepare`] made.
    pub fn new((program, registry): (PathBuf, PathBuf), limits: Limits, sandbox: Sandbox) -> io::Result<Self> {
        Ok(Self { program, registry, limits, sandbox, spawner: Spawner::start()?, crowd: Crowd::default() })
    }

    async fn spawn(&self, scratch: &Path) -> Result<Spawned, Fault> {
        let mut command = command(&self.program, SUBCOMMAND, &self.registry);
        command.env("GST_REGISTRY_UPDATE", "no").env("TMPDIR", scratch).current_dir(scratch);
        let cannot = |e| format!("the media child {} cannot be started: {e}", self.program.display());
        self.spawner.spawn(command).await.map_err(|e| Fault::new(FaultKind::Internal, cannot(e)))
    }

    fn spec(&self, scratch: &Path, work: &Work) -> Result<Vec<u8>, Fault> {
        let refused = |message: String| Fault::new(FaultKind::Internal, message);
        let path = scratch.to_str().filter(|_| scratch.is_absolute());
        let path = path.ok_or_else(|| refused(format!("{scratch:?} is no absolute path in UTF-8")))?;
        let spec = ChildSpec {
            protocol: CHILD_PROTOCOL,
            scratch: path.to_owned(),
            limits: self.limits.own,
            sandbox: self.sandbox,
            work: work.clone(),
        };
        let json = serde_json::to_vec(&spec).map_err(|e| refused(format!("the child's spec: {e}")))?;
        if json.len() > SPEC_BYTES_MAX as usize {
            return Err(refused(format!("a spec of {} bytes is over the bound of {SPEC_BYTES_MAX}", json.len())));
        }
        Ok(json)
    }
}

#[async_trait]
impl Media for ChildMedia {
    async fn run(&self, work: Work, attempt: Attempt<'_>) -> Result<Outcome, Fault> {
        let spec = self.spec(attempt.scratch, &work)?;
        let Spawned { mut child, pid, socket } = self.spawn(attempt.scratch).await?;
        let (stdout, stderr) = child.stdout.take().zip(child.stderr.take()).expect("both are piped");
        let last_lines = LastLines::default();
        let mut collecting = JoinSet::new();
        collecting.spawn(last_lines.clone().collect(stderr).instrument(Span::current()));
        let traffic = Arc::<Traffic>::default();
        let reads = serve(socket, &spec, attempt.objects, Arc::clone(&traffic));
        let mut running = Running {
            child,
            weight: self.crowd.join(pid),
            words: Words::new(stdout),
            progress: attempt.progress,
            traffic: Arc::clone(&traffic),
            limits: self.limits,
            started: Instant::now(),
            usage: Usage::default(),
            last: None,
            hearing: Hearing::Open,
        };
        let ended = running
            .conduct(reads, Watch::new(self.limits, self.limits.cpu_max(cost::of(&work))), &attempt.cancel)
            .await;
        let status = running.end().await;
        attempt.spent.tell(running.usage.cpu);
        // A grandchild may hold the pipe open: what was heard until then must do.
        let _ = timeout(self.limits.end_grace, collecting.join_next()).await;
        let remains = Remains { status, usage: running.usage, last_lines: last_lines.take() };
        let case = Case { work: &work, scratch: attempt.scratch, limits: &self.limits, read_fault: traffic.fault() };
        judge(&case, ended, remains)
    }
}

impl Running {
    /// Until the child has exited or must. Takes `reads`, so that the socket is closed when it returns.
    async fn conduct(
        &mut self,
        reads: impl Future<Output = Result<(), ServeError>>,
        mut watch: Watch,
        cancel: &CancellationToken,
    ) -> Ended {
        let mut reads = std::pin::pin!(reads);
        let mut reading = true;
        let mut looks = tokio::time::interval(self.limits.watch_interval);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let ended = tokio::select! {
                () = cancel.cancelled() => Some(Ended::Cancelled),
                served = &mut reads, if reading => {
                    reading = false;
                    served.err().map(Ended::Broke)
                }
                word = self.words.next(), if self.hearing == Hearing::Open => self.hear(word),
                _ = self.child.wait() => Some(self.last_words().await),
                _ = looks.tick() => self.look(&mut watch),
            };
            if let Some(ended) = ended {
                self.strike(&ended);
                return ended;
            }
        }
    }

    fn hear(&mut self, word: Result<Option<Line>, OutputError>) -> Option<Ended> {
        match word {
            Ok(Some(Line::Progress(progress))) => {
                self.progress.send_replace(progress);
            }
            Ok(Some(last @ (Line::Done(_) | Line::Fault(_)))) => {
                self.last = Some(last);
                // The last moment at which it is sure to be there: what it did since the last look counts, too.
                self.usage = Usage::of(self.weight.pid()).unwrap_or(self.usage);
                self.hearing = Hearing::Over(Instant::now());
            }
            Ok(None) => self.hearing = Hearing::Over(Instant::now()),
            Err(error) => return Some(Ended::Babbled(error)),
        }
        None
    }

    fn look(&mut self, watch: &mut Watch) -> Option<Ended> {
        if let Hearing::Over(since) = self.hearing {
            return (since.elapsed() >= self.limits.end_grace).then_some(Ended::Lingered);
        }
        self.usage = Usage::of(self.weight.pid()).unwrap_or(self.usage);
        let steps = self.progress.borrow().steps;
        let (bytes_served, waits) = (self.traffic.bytes_served(), self.traffic.is_pending());
        let charged_bytes = self.weight.charge(self.usage.resident_bytes);
        let at = self.started.elapsed();
        let sample = Sample { at, bytes_served, steps, waits, usage: self.usage, charged_bytes };
        watch.look(sample).map(Ended::Watched)
    }

    /// It has exited: what it said before and nobody has read yet.
    async fn last_words(&mut self) -> Ended {
        let deadline = Instant::now() + self.limits.end_grace;
        while self.hearing == Hearing::Open {
            let Ok(word) = tokio::time::timeout_at(deadline, self.words.next()).await else { break };
            if let Some(babbled) = self.hear(word) {
                return babbled;
            }
        }
        Ended::Itself(self.last.take())
    }

    /// Strikes before the socket closes, so that the evidence names the signal and not what the child made of a
    /// closed socket.
    fn strike(&mut self, ended: &Ended) {
        let signal = match ended {
            Ended::Itself(_) => return,
            Ended::Cancelled => Signal::TERM,
            Ended::Watched(_) | Ended::Babbled(_) | Ended::Broke(_) | Ended::Lingered => Signal::KILL,
        };
        if matches!(self.child.try_wait(), Ok(None)) {
            signal_group(self.weight.pid(), signal);
        }
    }

    /// Sees to it that the child is dead and reaped.
    async fn end(&mut self) -> ExitStatus {
        if timeout(self.limits.end_grace, self.child.wait()).await.is_err() {
            signal_group(self.weight.pid(), Signal::KILL);
        }
        let status = self.child.wait().await;
        status.expect("a child of ours that nobody else waits for can be waited for")
    }
}
