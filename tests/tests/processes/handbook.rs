//! What docs/OPERATIONS.md tells to type, typed: a handbook whose commands fail helps nobody at three in the morning.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use framefleet_tests::place;
use framefleet_tests::processes::fleet::Fleet;
use framefleet_tests::processes::jobs::{self, Load};
use framefleet_tests::processes::servers::Servers;
use rustix::process::Signal;

use super::poison;

/// What they speak to is nobody's here: `deploy/check/commands.py` looks at their words.
const ELSEWHERE: [&str; 4] = ["kubectl", "aws", "docker", "printf"];
const OURS: [&str; 3] = ["framefleet", "jobs", "dead"];
const RABBIT: [&str; 2] = ["rabbitmqctl", "rabbitmq-diagnostics"];
/// With what stands around them in their blocks.
const REDIS: [&str; 3] = ["redis-cli", "cp", "export"];
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

#[test]
fn what_the_handbook_tells_to_ask_the_fleet_is_answered() {
    let (servers, handbook) = (Servers::start(), handbook());
    let mut fleet = Fleet::new(&servers, "handbook");
    let (films, made) = (jobs::url(&fleet.path("in")), jobs::url(&fleet.path("out")));
    fleet.configure(&format!(
        "[[pipelines]]\nname = \"web\"\nversion = \"1\"\noutputs = [{{ to = \"{{stem}}.mp4\" }}]\n\
         [[triggers]]\nname = \"T\"\nbucket = \"{films}\"\nprefix = \"swept/\"\npipeline = \"web@1\"\noutput = \"{made}\"\n"
    ));
    fleet.start(1, 1);
    let load = Load::new(&fleet, &["mp4"]);
    let job = load.one(&mut fleet);
    assert_eq!(fleet.over(&job).job.state, "completed");
    let home = place::scratch();
    symlink(place::framefleet(), home.path().join("framefleet")).unwrap();
    symlink(fleet.config(), home.path().join("framefleet.toml")).unwrap();
    let path = format!("{}:{}", home.path().display(), std::env::var("PATH").unwrap());
    let mut asked = 0;
    for told in of(&handbook, &OURS) {
        let words =
            if told.program() == "framefleet" { told.words.clone() } else { format!("framefleet {}", told.words) };
        let words = if told.is_name() { format!("{words} --help") } else { with_id(&words, &mut fleet, &load) };
        let words = words.replace(" TIME", " 2026-01-01");
        let words = if words.contains("sweep") { format!("{words} --config framefleet.toml") } else { words };
        let mut shell = Command::new("timeout");
        shell
            .args(["300", "bash", "-eu", "-c", &words])
            .current_dir(home.path())
            .env("PATH", &path)
            .env("NO_COLOR", "1");
        shell.env("FRAMEFLEET__SERVER", format!("http://127.0.0.1:{}", fleet.apis()[0]));
        run(shell, &words);
        asked += 1;
    }
    assert!(asked > 12, "{asked}");
}

#[test]
fn what_the_handbook_tells_to_do_at_the_servers_is_done() {
    let home = place::scratch();
    let handbook = handbook();
    let mut servers = Servers::start();
    let waits = servers.redis_command(&["COMMAND", "INFO", "waitaof"]).contains("waitaof");
    let users = std::fs::read_to_string(place::top().join("deploy/redis/users.acl")).unwrap();
    // The administrator of tests looks at this server, too; and it may be older than what is shipped is for.
    let users = users.lines().filter(|line| !line.contains("user default")).collect::<Vec<_>>().join("\n");
    let users = if waits { users } else { users.replace(" +waitaof", "") };
    let file = home.path().join("users.acl").display().to_string();
    std::fs::write(&file, format!("user default on nopass ~* &* +@all\n{users}\n")).unwrap();
    servers.replace_redis(&["--aclfile", &file]);
    for told in of(&handbook, &RABBIT) {
        let words = match told.is_name() {
            true => format!("rabbitmqctl help {}", told.words.split(' ').nth(1).unwrap()),
            false => told.words.clone(),
        };
        let mut shell = servers.rabbit_shell(&words);
        shell.current_dir(place::top());
        run(shell, &words);
    }
    let (port, data) = (servers.redis_port().to_string(), servers.redis_folder().display().to_string());
    let here = BTreeMap::from([
        ("redis-cli ", format!("redis-cli -p {port} ")),
        ("/data/", format!("{data}/")),
        ("/backup/", format!("{}/", home.path().display())),
        ("REDISCLI_AUTH=…", format!("REDISCLI_AUTH={PASSWORD}")),
    ]);
    let redis: Vec<String> =
        of(&handbook, &REDIS).filter(|told| told.place == Place::Block).map(|told| told.words.clone()).collect();
    assert!(redis.len() > 6, "{redis:?}");
    let script = here.iter().fold(redis.join("\n"), |text, (known, ours)| text.replace(known, ours));
    let mut shell = Command::new("bash");
    shell.args(["-eu", "-o", "pipefail", "-c", &script]).env("HOME", home.path());
    let said = run(shell, &script);
    assert!(said.contains("aof_rewrite_in_progress:0") && !said.contains("ERR") && !said.contains("NOPERM"), "{said}");
    let copied = std::fs::read_dir(home.path()).unwrap().flatten();
    assert!(copied.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with("appendonlydir-")));
}

fn handbook() -> Vec<Told> {
    let text = std::fs::read_to_string(place::top().join("docs/OPERATIONS.md")).unwrap();
    let commands = commands(&text);
    let known: Vec<&str> = [&ELSEWHERE[..], &OURS, &RABBIT, &REDIS].concat();
    let unknown: Vec<&Told> =
        commands.iter().filter(|told| told.place == Place::Block && !known.contains(&told.program())).collect();
    assert!(unknown.is_empty(), "who runs these? {unknown:?}");
    commands
}
