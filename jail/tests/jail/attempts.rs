//! What the child tries.

use std::fs::{self, File};
use std::io::{self, IoSliceMut, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use framefleet_jail::jail;
use framefleet_jail::places::Places;
use framefleet_model::task::Sandbox;
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::{Pid, getppid};

/// How an attempt ends in the jail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// EACCES, by Landlock alone.
    Landlock,
    /// EPERM
    Refused,
    /// ENOSYS
    Unknown,
    /// SIGSYS
    Death,
}

type Run = fn(&Around) -> io::Result<()>;

pub(crate) struct Attempt {
    pub(crate) name: &'static str,
    pub(crate) end: End,
    run: Run,
}

/// What is around the child.
struct Around {
    folder: PathBuf,
    port: u16,
    parent: Pid,
}

macro_rules! attempts {
    ($($name:ident: $end:ident),* $(,)?) => {
        pub(crate) const ATTEMPTS: &[Attempt] =
            &[$(Attempt { name: stringify!($name), end: End::$end, run: $name }),*];
    };
}

attempts! {
    read_a_secret: Landlock,
    list_a_folder: Landlock,
    read_its_own_environment: Landlock,
    read_its_own_memory: Landlock,
    list_its_own_descriptors: Landlock,
    read_the_parents_memory: Landlock,
    write_beside_the_scratch: Landlock,
    open_for_reading_and_empty: Unknown,
    change_the_rights_of_a_secret: Refused,
    connect_by_tcp: Refused,
    connect_to_a_unix_socket: Refused,
    send_to_a_unix_socket: Refused,
    exec: Refused,
    fork: Refused,
    signal_the_parent: Refused,
    ask_a_secret_without_reading_it: Unknown,
    list_the_hosts_interfaces: Refused,
    take_memory_that_is_not_counted: Refused,
    leave_the_group: Refused,
    bound_the_parent: Refused,
    trace_the_parent: Death,
    read_the_parents_memory_by_a_call: Death,
}

pub(crate) fn child(args: Vec<String>) -> ExitCode {
    let [mode, name, folder, port] = &args[..] else { panic!("{args:?}") };
    let (_, sandbox) = Sandbox::NAMED.into_iter().find(|(named, _)| named == mode).unwrap();
    let around = Around { folder: PathBuf::from(folder), port: port.parse().unwrap(), parent: getppid() };
    let others: [(&str, Run); 3] =
        [("work", work), ("connect_from_a_thread", connect_from_a_thread), ("count_its_rights", count_its_rights)];
    let listed = ATTEMPTS.iter().map(|attempt| (attempt.name, attempt.run));
    let (_, attempt) = listed.chain(others).find(|(known, _)| known == name).unwrap();
    if let Err(lacking) = jail::enter(sandbox, &Places::of_child(&around.folder.join("scratch"))) {
        println!("no jail: {lacking}");
        return ExitCode::SUCCESS;
    }
    match attempt(&around) {
        Ok(()) => println!("done"),
        Err(error) => {
            let known =
                error.raw_os_error().map_or_else(|| error.to_string(), |code| format!("{:?}", Errno::from_raw(code)));
            println!("refused: {known}");
        }
    }
    ExitCode::SUCCESS
}

fn secret(around: &Around) -> PathBuf {
    around.folder.join("token")
}

fn read_a_secret(around: &Around) -> io::Result<()> {
    fs::read(secret(around)).map(|read| assert_eq!(read, b"s3cr3t"))
}

fn list_a_folder(_: &Around) -> io::Result<()> {
    fs::read_dir("/etc").map(drop)
}

fn read_its_own_environment(_: &Around) -> io::Result<()> {
    fs::read("/proc/self/environ").map(drop)
}

fn read_its_own_memory(_: &Around) -> io::Result<()> {
    File::open("/proc/self/mem").map(drop)
}

/// Each of them could be opened anew with other rights.
fn list_its_own_descriptors(_: &Around) -> io::Result<()> {
    fs::read_dir("/proc/self/fd").map(drop)
}

fn read_the_parents_memory(around: &Around) -> io::Result<()> {
    File::open(format!("/proc/{}/mem", around.parent)).map(drop)
}

fn write_beside_the_scratch(around: &Around) -> io::Result<()> {
    fs::write(around.folder.join("left"), "x")
}

fn open_for_reading_and_empty(around: &Around) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags, open};
    open(secret(around), OFlags::RDONLY | OFlags::TRUNC, Mode::empty()).map(drop).map_err(io::Error::from)
}

fn change_the_rights_of_a_secret(around: &Around) -> io::Result<()> {
    fs::set_permissions(secret(around), fs::Permissions::from_mode(0o666))
}

fn connect_by_tcp(around: &Around) -> io::Result<()> {
    TcpStream::connect(("127.0.0.1", around.port)).map(drop)
}

fn connect_from_a_thread(around: &Around) -> io::Result<()> {
    let port = around.port;
    std::thread::spawn(move || TcpStream::connect(("127.0.0.1", port)).map(drop)).join().unwrap()
}

fn connect_to_a_unix_socket(around: &Around) -> io::Result<()> {
    UnixStream::connect(around.folder.join("socket")).map(drop)
}

/// A datagram socket could speak to anybody that has a name.
fn send_to_a_unix_socket(_: &Around) -> io::Result<()> {
    UnixDatagram::unbound().map(drop)
}

fn exec(_: &Around) -> io::Result<()> {
    use std::os::unix::process::CommandExt as _;
    Err(Command::new("/bin/echo").arg("done").exec())
}

fn fork(_: &Around) -> io::Result<()> {
    Command::new("/bin/true").status().map(drop)
}

fn signal_the_parent(around: &Around) -> io::Result<()> {
    Ok(kill(around.parent, None::<Signal>)?)
}

/// The fourth access mode: neither to read nor to write.
fn ask_a_secret_without_reading_it(around: &Around) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags, open};
    let neither = OFlags::WRONLY | OFlags::RDWR;
    open(secret(around), neither, Mode::empty()).map(drop).map_err(io::Error::from)
}

fn list_the_hosts_interfaces(_: &Around) -> io::Result<()> {
    let (ours, _theirs) = UnixStream::pair()?;
    rustix::net::netdevice::index_to_name(&ours, 1).map(drop).map_err(io::Error::from)
}

fn take_memory_that_is_not_counted(_: &Around) -> io::Result<()> {
    use rustix::fs::{MemfdFlags, memfd_create};
    memfd_create("m", MemfdFlags::empty()).map(drop).map_err(io::Error::from)
}

fn leave_the_group(_: &Around) -> io::Result<()> {
    rustix::process::setpgid(None, None).map_err(io::Error::from)
}

fn bound_the_parent(around: &Around) -> io::Result<()> {
    let pid = rustix::process::Pid::from_raw(around.parent.as_raw());
    let now = rustix::process::getrlimit(rustix::process::Resource::Core);
    rustix::process::prlimit(pid, rustix::process::Resource::Core, now).map(drop).map_err(io::Error::from)
}

fn trace_the_parent(around: &Around) -> io::Result<()> {
    ptrace::seize(around.parent, ptrace::Options::empty())?;
    Ok(())
}

fn read_the_parents_memory_by_a_call(around: &Around) -> io::Result<()> {
    // The program is the same, and both are told where it lies: only whether it may be read is of interest.
    let mut byte = [0];
    let base = fs::read_to_string(format!("/proc/{}/maps", around.parent)).unwrap_or_default();
    let base = base.split('-').next().and_then(|hex| usize::from_str_radix(hex, 16).ok()).unwrap_or_default();
    process_vm_readv(around.parent, &mut [IoSliceMut::new(&mut byte)], &[RemoteIoVec { base, len: 1 }])?;
    Ok(())
}

/// Of root's rights none but those of files.
fn count_its_rights(_: &Around) -> io::Result<()> {
    use rustix::thread::CapabilitySet;
    let files = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    let held = rustix::thread::capabilities(None)?;
    if files.contains(held.permitted | held.effective) && held.inheritable.is_empty() {
        return Ok(());
    }
    Err(io::Error::other("more than those of files"))
}

/// What children do all day: read what the kernel says, make files, talk through a socket pair, begin threads, wait.
fn work(around: &Around) -> io::Result<()> {
    let (mut ours, mut theirs) = UnixStream::pair()?;
    let made = around.folder.join("scratch").join("made");
    std::thread::spawn(move || {
        theirs.write_all(b"by a thread")?;
        fs::read_to_string("/proc/self/status")?;
        fs::read_to_string("/proc/self/cmdline")?;
        fs::read_to_string("/proc/self/maps")?;
        fs::read("/etc/ld.so.cache")?;
        File::open("/dev/urandom")?.read_exact(&mut [0; 8])
    })
    .join()
    .unwrap()?;
    let mut text = [0; 11];
    ours.read_exact(&mut text)?;
    let other = made.with_file_name("other");
    fs::write(&other, text)?;
    fs::rename(&other, &made)?;
    fs::create_dir(around.folder.join("scratch").join("folder"))?;
    fs::read_dir(Path::new("/usr/lib"))?.next().transpose()?;
    std::thread::available_parallelism()?;
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::CONT)?;
    assert!(ours.as_raw_fd() > 2);
    Ok(())
}
