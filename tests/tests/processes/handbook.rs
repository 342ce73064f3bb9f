//! What docs/OPERATIONS.md tells to type, typed: a handbook whose commands fail helps nobody at three in the morning.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use framefleet_tests::place;
use framefleet_tests::processes::fleet::Fleet;
use framefleet_tests::processes::jobs::{self, Load};
use framefleet_tests::processes::servers::{Buckets, Servers};
use framefleet_tests::processes::until;
use rustix::process::Signal;

use super::poison;

/// What they speak to is nobody's here. `deploy/check/commands.py` looks at the words of kubectl, `deploy/check/storage.py` at whose rule
/// each bucket is given; at docker's nobody looks.
const ELSEWHERE: [&str; 5] = ["kubectl", "aws", "ossutil", "docker", "printf"];
const OURS: [&str; 3] = ["framefleet", "jobs", "dead"];
const RABBIT: [&str; 2] = ["rabbitmqctl", "rabbitmq-diagnostics"];
/// With what stands around them in their blocks.
const REDIS: [&str; 4] = ["redis-cli", "cp", "mv", "export"];
const PASSWORD: &str = "fleet-on-a-laptop";
const ALL: usize = 1 << 10;

#[derive(Debug)]
struct Told {
    words: String,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Block,
    /// In the midst of a sentence, and often only its name.
    Sentence,
}

impl Told {
    fn program(&self) -> &str {
        self.words.split(' ').next().unwrap_or_default()
    }

    /// It names a command and does not say how.
    fn is_name(&self) -> bool {
        let told_how = |word: &str| word.starts_with('-') || word.chars().all(|sign| sign.is_ascii_uppercase());
        self.place == Place::Sentence && !self.words.split(' ').skip(1).any(told_how)
    }
}

/// Commands in blocks for a shell, and those in sentences, as they come, each once.
fn commands(handbook: &str) -> Vec<Told> {
    let joined = handbook.replace("\\\n", "");
    let (mut all, mut in_block): (Vec<Told>, bool) = (Vec::new(), false);
    for line in joined.lines().map(str::trim) {
        if line.starts_with("```") {
            in_block = !in_block;
            continue;
        }
        let told: Vec<Told> = match in_block {
            true => vec![Told { words: line.trim_start_matches("$ ").to_owned(), place: Place::Block }],
            false => {
                let spans = line.split('`').skip(1).step_by(2).filter(|words| words.contains(' '));
                spans.map(|words| Told { words: words.to_owned(), place: Place::Sentence }).collect()
            }
        };
        all.extend(told);
    }
    let mut known = std::collections::BTreeSet::new();
    all.retain(|told| known.insert(told.words.clone()));
    all
}

fn of<'a>(commands: &'a [Told], programs: &'a [&str]) -> impl Iterator<Item = &'a Told> {
    commands.iter().filter(|told| programs.contains(&told.program())).take(ALL)
}

fn run(mut shell: Command, words: &str) -> String {
    let piped = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut running = piped.unwrap();
    // whoever asks for a password is told one
    let _ = running.stdin.take().unwrap().write_all(b"secret\n");
    let ended = running.wait_with_output().unwrap();
    let said = [ended.stdout, ended.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    println!("$ {words}\n{said}");
    assert!(ended.status.success(), "{words}: {}: {said}", ended.status);
    said
}

/// Of jobs: one that is new; for `retry` one that was cancelled. Of dead letters: one that nobody has dealt with.
fn with_id(words: &str, fleet: &mut Fleet, load: &Load) -> String {
    let Some((command, _)) = words.split_once(" ID") else { return words.to_owned() };
    let id = match command {
        "framefleet jobs show" | "framefleet jobs cancel" => load.one(fleet),
        "framefleet jobs retry" => {
            let id = load.one(fleet);
            fleet.client.cancel(&fleet.apis(), &id);
            assert_eq!(fleet.over(&id).job.state, "cancelled");
            id
        }
        "framefleet dead show" | "framefleet dead retry" | "framefleet dead drop" => {
            let job = poison::slow(fleet);
            poison::befall(fleet, load, (&job, Signal::KILL));
            let letters = fleet.client.dead(&fleet.apis());
            letters.into_iter().find(|letter| letter.what.contains(&job)).expect("a letter is left").id
        }
        other => panic!("what is {other} to be asked of?"),
    };
    words.replace(" ID", &format!(" {id}"))
}

/// A shell of somebody who has the program, the fleet's configuration and a way to its API.
struct Desk {
    home: tempfile::TempDir,
    path: String,
    server: String,
}

impl Desk {
    fn of(fleet: &Fleet) -> Self {
        let home = place::scratch();
        symlink(place::framefleet(), home.path().join("framefleet")).unwrap();
        symlink(fleet.config(), home.path().join("framefleet.toml")).unwrap();
        let path = format!("{}:{}", home.path().display(), std::env::var("PATH").unwrap());
        Self { home, path, server: format!("http://127.0.0.1:{}", fleet.apis()[0]) }
    }

    fn run(&self, words: &str) -> String {
        let words = words.replace(" TIME", " 2026-01-01");
        let mut shell = Command::new("timeout");
        shell.args(["300", "bash", "-eu", "-c", &words]).current_dir(self.home.path()).env("PATH", &self.path);
        shell.env("NO_COLOR", "1").env("FRAMEFLEET__SERVER", &self.server);
        run(shell, &words)
    }
}

fn pipeline_and_trigger(films: &str, made: &str) -> String {
    format!(
        "[[pipelines]]\nname = \"web\"\nversion = \"1\"\noutputs = [{{ to = \"{{stem}}.mp4\" }}]\n\
         [[triggers]]\nname = \"T\"\nbucket = \"{films}\"\nprefix = \"swept/\"\npipeline = \"web@1\"\noutput = \"{made}\"\n"
    )
}

#[test]
fn what_the_handbook_tells_to_ask_the_fleet_is_answered() {
    let (servers, handbook) = (Servers::start(), handbook());
    let mut fleet = Fleet::new(&servers, "handbook");
    let (films, made) = (jobs::url(&fleet.path("in")), jobs::url(&fleet.path("out")));
    fleet.configure(&pipeline_and_trigger(&films, &made));
    fleet.start(1, 1);
    let load = Load::new(&fleet, &["mp4"]);
    let job = load.one(&mut fleet);
    assert_eq!(fleet.over(&job).job.state, "completed");
    let desk = Desk::of(&fleet);
    let mut asked = 0;
    // A film that is begun anew is made this time, and stands where the next would go.
    let begins_anew = |told: &&Told| told.words.starts_with("framefleet dead retry ");
    let (last, first): (Vec<&Told>, Vec<&Told>) = of(&handbook, &OURS).partition(begins_anew);
    for told in first.into_iter().chain(last) {
        let words =
            if told.program() == "framefleet" { told.words.clone() } else { format!("framefleet {}", told.words) };
        let words = if told.is_name() { format!("{words} --help") } else { with_id(&words, &mut fleet, &load) };
        let bare = words.contains("sweep") && !words.contains("--config");
        desk.run(&if bare { format!("{words} --config framefleet.toml") } else { words });
        asked += 1;
    }
    assert!(asked > 12, "{asked}");
}

#[test]
fn uploads_that_had_no_job_when_redis_was_lost_are_found_as_the_handbook_says() {
    let (servers, buckets) = (Servers::start(), Buckets::start());
    let mut fleet = Fleet::on_buckets(&servers, "emptied", &buckets);
    fleet.configure(&pipeline_and_trigger("s3://films", "s3://made"));
    fleet.configure("[coordinator]\nsweep_every = \"1s\"\n");
    fleet.start(1, 1);
    let desk = Desk::of(&fleet);
    let upload = |name: &str| {
        std::fs::create_dir_all(buckets.path("films/swept")).unwrap();
        std::fs::copy(jobs::film(), buckets.path(&format!("films/swept/{name}.mov"))).unwrap();
    };
    // what was there before a trigger was first seen is not its
    let looked_through = |fleet: &Fleet| fleet.figure("c1", "framefleet_bucket_sweeps_total{what=\"pass\"}") > 0;
    until("the trigger is known", || looked_through(&fleet));
    upload("early");
    until("the early one is made", || buckets.path("made/early.mp4").exists() && fleet.open() == 0);
    fleet.role("c1").stop();
    upload("late");
    servers.forget_everything();
    let steps = section("After losing Redis");
    let told = |command: &'static str| {
        let of_it = move |told: &&Told| !told.is_name() && told.words.split(' ').nth(1) == Some(command);
        of(&steps, &OURS).filter(of_it).map(|told| told.words.as_str()).collect::<Vec<_>>()
    };
    assert!(!told("recover").is_empty());
    told("recover").into_iter().for_each(|words| drop(desk.run(words)));
    fleet.role("c1").run();
    fleet.until_ready();
    until("the bucket is looked through", || looked_through(&fleet));
    assert_eq!(fleet.client.jobs(&fleet.apis()).len(), 1, "no sweep looks back before an empty Redis");
    let [count, take] = told("sweep")[..] else { panic!("{:?}", told("sweep")) };
    let (counted, taken) = (desk.run(count), desk.run(take));
    assert!(counted.starts_with("1 objects of") && !counted.contains("submitted"), "{counted}");
    assert!(taken.contains("1 jobs were submitted"), "{taken}");
    until("the late one is made", || buckets.path("made/late.mp4").exists() && fleet.open() == 0);
    assert_eq!(fleet.client.jobs(&fleet.apis()).len(), 2, "and the early one not again");
}

#[test]
fn what_the_handbook_tells_to_do_at_rabbitmq_is_done() {
    let servers = Servers::start();
    for told in of(&handbook(), &RABBIT) {
        let words = match told.is_name() {
            true => format!("rabbitmqctl help {}", told.words.split(' ').nth(1).unwrap()),
            false => told.words.clone(),
        };
        let mut shell = servers.rabbit_shell(&words);
        shell.current_dir(place::top());
        run(shell, &words);
    }
}

#[test]
fn what_the_handbook_tells_to_do_at_redis_is_done_and_what_was_copied_is_there_again() {
    let home = place::scratch();
    let mut servers = redis_as_shipped(&home.path().join("users.acl"));
    let told: Vec<String> =
        of(&handbook(), &REDIS).filter(|told| told.place == Place::Block).map(|told| told.words.clone()).collect();
    let restore = told.iter().position(|words| words.starts_with("mv ")).unwrap();
    let (before, rest) = told.split_at(restore);
    let (swap, after) = rest.split_at(rest.iter().position(|words| words.starts_with("redis-cli")).unwrap());
    assert!(before.len() > 4 && swap.len() > 1 && after.len() > 3, "{told:?}");
    let (port, data) = (servers.redis_port().to_string(), servers.redis_folder().display().to_string());
    let run_here = |words: &[String], copy: &str| {
        let here = BTreeMap::from([
            ("redis-cli ", format!("redis-cli -p {port} ")),
            ("/data/", format!("{data}/")),
            ("/backup/", format!("{}/", home.path().display())),
            ("REDISCLI_AUTH=…", format!("REDISCLI_AUTH={PASSWORD}")),
            ("appendonlydir-2026-01-31", copy.to_owned()),
        ]);
        let script = here.iter().fold(words.join("\n"), |text, (known, ours)| text.replace(known, ours));
        let mut shell = Command::new("bash");
        shell.args(["-eu", "-o", "pipefail", "-c", &script]).env("HOME", home.path()).env("REDISCLI_AUTH", PASSWORD);
        let said = run(shell, &script);
        assert!(!said.contains("ERR") && !said.contains("NOPERM"), "{said}");
        said
    };
    servers.redis_command(&["SET", "framefleet:kept", "yes"]);
    assert!(run_here(before, "").contains("aof_rewrite_in_progress:0"));
    servers.redis_command(&["SET", "framefleet:later", "yes"]);
    let entries = std::fs::read_dir(home.path()).unwrap().flatten();
    let mut names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let copy = names.find(|name| name.starts_with("appendonlydir-")).expect("a copy was made");
    servers.without_redis(|| drop(run_here(swap, &copy)));
    assert!(servers.redis_command(&["GET", "framefleet:kept"]).contains("yes"));
    assert!(!servers.redis_command(&["GET", "framefleet:later"]).contains("yes"), "it came after the copy");
    run_here(after, "");
}

/// With the users of `deploy/redis/users.acl`, which go into this file.
fn redis_as_shipped(file: &Path) -> Servers {
    let mut servers = Servers::start();
    let waits = servers.redis_command(&["COMMAND", "INFO", "waitaof"]).contains("waitaof");
    let users = std::fs::read_to_string(place::top().join("deploy/redis/users.acl")).unwrap();
    // The administrator of tests looks at this server, too; and it may be older than what is shipped is for.
    let users = users.lines().filter(|line| !line.contains("user default")).collect::<Vec<_>>().join("\n");
    let users = if waits { users } else { users.replace(" +waitaof", "") };
    std::fs::write(file, format!("user default on nopass ~* &* +@all\n{users}\n")).unwrap();
    servers.replace_redis(&["--aclfile", &file.display().to_string()]);
    servers
}

fn text() -> String {
    std::fs::read_to_string(place::top().join("docs/OPERATIONS.md")).unwrap()
}

fn section(title: &str) -> Vec<Told> {
    let text = text();
    let (_, rest) = text.split_once(&format!("\n## {title}\n")).expect("the handbook has this section");
    commands(rest.split("\n## ").next().unwrap())
}

fn handbook() -> Vec<Told> {
    let commands = commands(&text());
    let known: Vec<&str> = [&ELSEWHERE[..], &OURS, &RABBIT, &REDIS].concat();
    let unknown: Vec<&Told> =
        commands.iter().filter(|told| told.place == Place::Block && !known.contains(&told.program())).collect();
    assert!(unknown.is_empty(), "who runs these? {unknown:?}");
    commands
}
