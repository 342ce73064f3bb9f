//! A RabbitMQ of a test's own: own node, folder and ports on the loopback, nothing shared with the machine's. It dies
//! with its value, and with the test's process however that ends.

#![allow(dead_code, reason = "included by programs that each use a part of it")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// The server needs 6 s of an idle machine.
const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) struct Rabbit {
    folder: tempfile::TempDir,
    ports: Ports,
    /// Kills what is left when our end of its standard input closes, and that happens to every dead process.
    reaper: Child,
    names: Child,
    server: Option<Child>,
}

#[derive(Clone, Copy)]
struct Ports {
    amqp: u16,
    node: u16,
    names: u16,
}

impl Rabbit {
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// With further lines of `rabbitmq.conf`.
    pub(crate) fn start_with(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ports = Ports::free();
        fs::write(folder.path().join("rabbitmq.conf"), settings).expect("settings written");
        fs::write(folder.path().join("plugins"), "[].\n").expect("list of plugins written");
        fs::write(folder.path().join("env"), "").expect("environment written");
        let cookie = folder.path().join(".erlang.cookie");
        fs::write(&cookie, format!("FRAMEFLEET{}", ports.node)).expect("cookie written");
        fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400)).expect("cookie hidden");
        let mut reaper = reaper();
        let names = Command::new("epmd")
            .args(["-port", &ports.names.to_string(), "-address", "127.0.0.1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("epmd of Erlang is installed");
        tell(&mut reaper, "add", &names);
        let mut rabbit = Self { folder, ports, reaper, names, server: None };
        wait_for_port(ports.names);
        rabbit.run();
        rabbit
    }

    pub(crate) fn port(&self) -> u16 {
        self.ports.amqp
    }

    /// The administrator's, of the default virtual host.
    pub(crate) fn url(&self) -> String {
        self.url_at(self.ports.amqp)
    }

    /// The same through a relay.
    pub(crate) fn url_at(&self, port: u16) -> String {
        format!("amqp://guest:guest@127.0.0.1:{port}/%2f")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// As a power cut does. RabbitMQ 3.10 does not survive it within seconds of a queue's declaration: the names of
    /// quorum queues' logs (`names.dets`) are written late. `stop` and `run` once before, and they are written.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
    }

    /// As an administrator does.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
    }

    /// After `kill` or `stop`: the same node on the same ports with what it kept.
    pub(crate) fn run(&mut self) {
        assert!(self.server.is_none(), "the server runs");
        let mut command = self.command("rabbitmq-server");
        let log = fs::File::create(self.folder().join("stderr")).expect("log made");
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).process_group(0).spawn();
        let mut server = spawned.expect("rabbitmq-server is installed");
        tell(&mut self.reaper, "add", &server);
        let output = server.stdout.take().expect("piped");
        self.server = Some(server);
        let (sender, started) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if line.contains("completed with") {
                    let _ = sender.send(());
                }
            }
        });
        if let Err(error) = started.recv_timeout(PATIENCE) {
            let stderr = fs::read_to_string(self.folder().join("stderr")).unwrap_or_default();
            panic!("RabbitMQ did not start ({error}): {stderr}");
        }
        self.greet();
    }

    /// `rabbitmqctl`; must succeed.
    pub(crate) fn ctl(&self, args: &[&str]) -> String {
        let output = self.command("rabbitmqctl").args(args).stdin(Stdio::null()).output().expect("rabbitmqctl runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "rabbitmqctl {args:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// The server's first words must be AMQP's.
    fn greet(&self) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports.amqp)).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time above zero");
        stream.write_all(b"AMQP\x00\x00\x09\x01").expect("header sent");
        let mut frame = [0; 11];
        stream.read_exact(&mut frame).expect("connection.start");
        assert_eq!((frame[0], &frame[7..11]), (1, &[0, 10, 0, 10][..]), "no AMQP: {frame:?}");
    }

    fn signal(&mut self, signal: Signal) {
        let mut server = self.server.take().expect("the server runs");
        let _ = kill_process_group(group(&server), signal);
        server.wait().expect("it can be waited for");
        // The script that started it can end before it.
        wait_for_no_port(self.ports.amqp);
        let _ = kill_process_group(group(&server), Signal::KILL);
        tell(&mut self.reaper, "drop", &server);
    }

    /// A shell's words, in which its tools speak to this server.
    #[allow(dead_code, reason = "shared with programs that use other parts of it")]
    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut command = self.command("rabbitmqctl");
        let tools = found("rabbitmqctl").parent().expect("a program lies in a folder").display().to_string();
        let path = format!("{tools}:{}", std::env::var("PATH").unwrap_or_default());
        let settings: Vec<_> =
            command.get_envs().map(|(key, value)| (key.to_owned(), value.map(ToOwned::to_owned))).collect();
        command = Command::new("bash");
        command.env_clear().envs(settings.into_iter().filter_map(|(key, value)| Some((key, value?)))).env("PATH", path);
        command.args(["-eu", "-c", script]);
        command
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(found(program));
        let folder = |name: &str| self.folder().join(name);
        let node = format!("ff{}@localhost", self.ports.node);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LANG", "C.UTF-8");
        command.env("HOME", self.folder()).env("RABBITMQ_NODENAME", node);
        command.env("RABBITMQ_CONF_ENV_FILE", folder("env")).env("RABBITMQ_CONFIG_FILE", folder("rabbitmq.conf"));
        command.env("RABBITMQ_ENABLED_PLUGINS_FILE", folder("plugins"));
        command.env("RABBITMQ_MNESIA_BASE", folder("data")).env("RABBITMQ_LOG_BASE", folder("log"));
        command.env("RABBITMQ_PID_FILE", folder("pid")).env("RABBITMQ_GENERATED_CONFIG_DIR", folder("generated"));
        command.env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1");
        command.env("RABBITMQ_NODE_PORT", self.ports.amqp.to_string());
        command.env("RABBITMQ_DIST_PORT", self.ports.node.to_string());
        command.env("ERL_EPMD_PORT", self.ports.names.to_string()).env("ERL_EPMD_ADDRESS", "127.0.0.1");
        let loopback = "-kernel inet_dist_use_interface {127,0,0,1}";
        command.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", loopback);
        command
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        for child in self.server.iter_mut().chain([&mut self.names]) {
            let _ = kill_process_group(group(child), Signal::KILL);
            let _ = child.wait();
            tell(&mut self.reaper, "drop", child);
        }
        drop(self.reaper.stdin.take());
        let _ = self.reaper.wait();
    }
}

impl Ports {
    fn free() -> Self {
        let listeners = [0; 3].map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let [amqp, node, names] = listeners.map(|listener| listener.local_addr().expect("bound").port());
        Self { amqp, node, names }
    }
}

fn reaper() -> Child {
    let script = "groups=; while read -r what group; do case $what in add) groups=\"$groups $group\" ;; \
        *) left=; for other in $groups; do [ $other = $group ] || left=\"$left $other\"; done; groups=$left ;; esac; \
        done; for group in $groups; do kill -s KILL -- -$group; done";
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command.spawn().expect("a shell")
}

fn tell(reaper: &mut Child, what: &str, child: &Child) {
    let stdin = reaper.stdin.as_mut().expect("piped");
    writeln!(stdin, "{what} {}", child.id()).expect("the reaper listens");
}

fn group(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// The scripts on the path change to a user of their own and forget the environment.
fn found(program: &str) -> PathBuf {
    let folders = ["/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin", "/usr/local/sbin"];
    let found = folders.map(|folder| Path::new(folder).join(program)).into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| panic!("RabbitMQ is not installed: no {program} in {folders:?}"))
}

fn wait_for_port(port: u16) {
    wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok(), "a port that listens");
}

fn wait_for_no_port(port: u16) {
    wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_err(), "a port that listens no more");
}

fn wait_until(fact: impl Fn() -> bool, what: &str) {
    let begun = Instant::now();
    while !fact() {
        assert!(begun.elapsed() < PATIENCE, "no {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
