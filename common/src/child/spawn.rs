//! The child process itself: what it inherits, which is nothing but a short list, and how it is killed.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// Passed on where they are set; all else, secrets above all, stays here.
const PASSED_ON: [&str; 12] = [
    "PATH",
    "LD_LIBRARY_PATH",
    "GST_PLUGIN_PATH",
    "GST_PLUGIN_PATH_1_0",
    "GST_PLUGIN_SYSTEM_PATH",
    "GST_PLUGIN_SYSTEM_PATH_1_0",
    "GST_PLUGIN_SCANNER",
    "GST_PLUGIN_SCANNER_1_0",
    "GST_PLUGIN_LOADING_WHITELIST",
    "GST_PLUGIN_FEATURE_RANK",
    "GST_DEBUG",
    "RUST_BACKTRACE",
];

/// A child and our end of its socket.
pub(crate) struct Spawned {
    pub(crate) child: Child,
    pub(crate) pid: Pid,
    pub(crate) socket: UnixStream,
}

/// Starts children from one thread that lives as long as this value: PR_SET_PDEATHSIG means the death of the
/// thread that forked, and threads of a runtime's pool come and go.
pub(crate) struct Spawner {
    orders: mpsc::Sender<Order>,
}

struct Order {
    command: std::process::Command,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Spawned>>,
}

impl Spawner {
    pub(crate) fn start() -> io::Result<Self> {
        let (orders, mut inbox) = mpsc::channel::<Order>(16);
        std::thread::Builder::new().name("child-spawner".to_owned()).spawn(move || {
            while let Some(order) = inbox.blocking_recv() {
                let _entered = order.runtime.enter();
                // A caller that no longer waits drops the child, which kills it.
                let _ = order.reply.send(spawn(order.command));
            }
        })?;
        Ok(Self { orders })
    }

    pub(crate) async fn spawn(&self, command: std::process::Command) -> io::Result<Spawned> {
        let (reply, answer) = oneshot::channel();
        let order = Order { command, runtime: Handle::current(), reply };
        self.orders.send(order).await.map_err(io::Error::other)?;
        answer.await.map_err(io::Error::other)?
    }
}

/// `program subcommand` with the environment of a child.
pub(crate) fn command(program: &Path, subcommand: &str, registry: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    command.arg(subcommand).env_clear().envs(environment(registry));
    command
}

fn environment(registry: &Path) -> Vec<(&'static str, OsString)> {
    let passed_on = PASSED_ON.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let fixed = [("LANG", OsString::from("C.UTF-8")), ("GST_REGISTRY", PathBuf::from(registry).into_os_string())];
    passed_on.chain(fixed).collect()
}

fn spawn(mut command: std::process::Command) -> io::Result<Spawned> {
    use std::os::unix::process::CommandExt;
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut command = Command::from(command);
    let child = command.kill_on_drop(true).spawn()?;
    // `command` holds our copy of the child's end: it must close, or the child's death would not close the socket.
    drop(command);
    let raw = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let pid = raw.ok_or_else(|| io::Error::other("the child has no process id"))?;
    Ok(Spawned { child, pid, socket: UnixStream::from_std(ours)? })
}

/// Signals the child and all that it started. Call only while the child is not yet waited for: its id is then its own.
pub(crate) fn signal_group(leader: Pid, signal: Signal) {
    // The only way for this to fail is that nobody is left.
    let _ = rustix::process::kill_process_group(leader, signal);
}
