//! A media child without media: does what the file `script` in its folder says.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Digest;
use framefleet_model::ledger::Produced;
use framefleet_model::reads::{Op, REPLY_BYTES, ReadReply, ReadRequest, Status};
use framefleet_model::task::{ChildSpec, IndexDone, Line, Outcome, Progress, object};
use framefleet_model::time::MediaTime;
use rustix::process::{Signal, getpid, kill_process};

pub(crate) fn run() -> ExitCode {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let stdin = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).unwrap();
    let mut socket = UnixStream::from(stdin);
    let spec = accept(&mut socket);
    assert_eq!(spec.scratch, std::env::current_dir().unwrap().to_str().unwrap());
    let script = std::fs::read_to_string("script").unwrap();
    perform(script.trim(), &mut socket)
}

fn perform(script: &str, socket: &mut UnixStream) -> ExitCode {
    match script {
        "read" => done(&read_about(socket)),
        "read missing" => read_missing(socket),
        "wait" => done(&read(socket, object::INPUTS, 0, 4)),
        "crash" => {
            eprintln!("about to\nfall over");
            kill_process(getpid(), Signal::ILL).unwrap();
        }
        "forbidden" => kill_process(getpid(), Signal::SYS).unwrap(),
        "exit" => return ExitCode::from(3),
        "garbage" => println!("hello, I am no protocol"),
        "silent" => until_the_socket_closes(socket),
        "alive" => say(&Line::Progress(Progress { steps: 7, position: MediaTime::ZERO })),
        "grow" => grow(),
        "starved" => {
            eprintln!("memory allocation of 4096 bytes failed");
            kill_process(getpid(), Signal::ABORT).unwrap();
        }
        "fault" => say(&Line::Fault(Fault::new(FaultKind::Encrypted, "it is \x1b[1mencrypted"))),
        "linger" => {
            done(b"made");
            until_the_socket_closes(socket);
        }
        "lie" => say(&claim("elsewhere/../../etc/passwd", 1)),
        "exaggerate" => {
            std::fs::write("made", b"four").unwrap();
            say(&claim("made", 5));
        }
        "environment" => {
            let names: Vec<String> = std::env::vars().map(|(name, value)| format!("{name}={value}\n")).collect();
            done(names.concat().as_bytes());
        }
        "loud" => {
            (0..100_000).for_each(|n| eprintln!("line {n}"));
            done(b"made");
        }
        "stubborn" => {
            let shell = "trap '' TERM; echo '{\"progress\":{\"steps\":1,\"position\":0}}'; while :; do sleep 1; done";
            panic!("{}", std::process::Command::new("/bin/sh").args(["-c", shell]).exec());
        }
        "orphan" => {
            let mut fifo = std::fs::File::options().write(true).open("fifo").unwrap();
            writeln!(fifo, "born").unwrap();
            std::thread::park();
        }
        other => panic!("no such script: {other:?}"),
    }
    if script == "alive" {
        until_the_socket_closes(socket);
    }
    ExitCode::SUCCESS
}

fn accept(socket: &mut UnixStream) -> ChildSpec {
    let mut len = [0; 4];
    socket.read_exact(&mut len).unwrap();
    let mut json = vec![0; u32::from_le_bytes(len) as usize];
    socket.read_exact(&mut json).unwrap();
    serde_json::from_slice(&json).unwrap()
}

fn say(line: &Line) {
    println!("{}", serde_json::to_string(line).unwrap());
}

fn claim(name: &str, size: u64) -> Line {
    let file = Produced { name: name.to_owned(), size, digest: Digest::of(b"") };
    Line::Done(Outcome::Index(IndexDone { file, units: 0 }))
}

fn done(content: &[u8]) {
    std::fs::write("made", content).unwrap();
    say(&claim("made", content.len() as u64));
}

fn until_the_socket_closes(socket: &mut UnixStream) {
    let _ = socket.read(&mut [0]);
}

fn grow() {
    let mut held = Vec::new();
    for _ in 0..256 {
        held.push(vec![1_u8; 4 << 20]);
        std::hint::black_box(&held);
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
}

fn ask(socket: &mut UnixStream, request: ReadRequest) {
    socket.write_all(&request.to_bytes()).unwrap();
}

fn hear(socket: &mut UnixStream) -> (ReadReply, Vec<u8>) {
    let mut head = [0; REPLY_BYTES];
    socket.read_exact(&mut head).unwrap();
    let reply = ReadReply::from_bytes(&head).unwrap();
    let mut payload = vec![0; usize::try_from(reply.len).unwrap()];
    socket.read_exact(&mut payload).unwrap();
    (reply, payload)
}

fn read(socket: &mut UnixStream, object: u32, offset: u64, len: u32) -> Vec<u8> {
    ask(socket, ReadRequest { tag: 1, object, op: Op::Read { offset, len } });
    hear(socket).1
}

/// The whole of object 0 by twenty tagged reads that are all under way at once, put together by their tags, then a
/// read over its end and the end of object 1.
fn read_about(socket: &mut UnixStream) -> Vec<u8> {
    ask(socket, ReadRequest { tag: 99, object: object::SOURCE, op: Op::Size });
    let mut head = [0; REPLY_BYTES];
    socket.read_exact(&mut head).unwrap();
    let size = ReadReply::from_bytes(&head).unwrap().len;
    let step = size.div_ceil(20);
    for tag in (0..20).rev() {
        let op = Op::Read { offset: u64::from(tag) * step, len: u32::try_from(step).unwrap() };
        ask(socket, ReadRequest { tag, object: object::SOURCE, op });
    }
    let mut parts = vec![Vec::new(); 20];
    for _ in 0..20 {
        let (reply, payload) = hear(socket);
        parts[reply.tag as usize] = payload;
    }
    assert!(read(socket, object::SOURCE, size, 100).is_empty());
    let mut whole = parts.concat();
    whole.extend(read(socket, object::INDEX, 3, 100));
    whole
}

fn read_missing(socket: &mut UnixStream) {
    ask(socket, ReadRequest { tag: 5, object: 404, op: Op::Read { offset: 0, len: 1 } });
    let (reply, message) = hear(socket);
    assert_eq!((reply.tag, reply.status), (5, Status::Failed));
    let message = format!("cannot go on: {}", String::from_utf8(message).unwrap());
    say(&Line::Fault(Fault::new(FaultKind::Internal, message)));
}
