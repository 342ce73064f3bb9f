//! What is logged of jobs, and that docs/LOGGING.md says so.
#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use framefleet_common::process::telemetry::{Format, Telemetry};
use framefleet_coordinator::inbox::Submission;
use framefleet_coordinator::ops::Ops as _;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::JobId;
use framefleet_model::task::Work;
use framefleet_tests::fleet::media::{Fate, TextMedia};
use framefleet_tests::fleet::{Rig, request};
use framefleet_tests::place;
use framefleet_tests::tidy::{Tree, logged};
use serde_json::Value;

const FILM: &str = "pictures=250 gop=25";
const SEGMENTS: u64 = 10;
/// The segment whose first attempt crashes.
const UNLUCKY: u32 = 3;
/// Where the page is made of what the program says.
const EXAMPLES: [&str; 2] = ["<!-- examples -->\n", "<!-- end of examples -->\n"];
const EVENTS: [&str; 2] = ["<!-- events -->\n", "<!-- end of events -->\n"];

/// Lines as they are written.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

/// The first attempt at one segment crashes, whichever film's comes first.
#[derive(Default)]
struct OnceUnlucky(AtomicBool);

#[async_trait]
impl Fate for OnceUnlucky {
    async fn of(&self, work: &Work) -> Result<(), Fault> {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let unlucky = matches!(work, Work::Encode(work) if work.segment.number == UNLUCKY);
        if unlucky && !self.0.swap(true, Ordering::SeqCst) {
            return Err(Fault::new(FaultKind::Crashed, "the media child ended with signal 11 (SIGSEGV) and no result"));
        }
        Ok(())
    }
}

/// Two films at once, and all that was logged of them as the programs log by default.
async fn two_jobs(format: Format) -> ([JobId; 2], Vec<String>) {
    let log = Log::default();
    let writer = log.clone();
    let telemetry = Telemetry { format, filter: Some("info".into()) };
    let _logging = tracing::subscriber::set_default(telemetry.subscriber(move || writer.clone()).unwrap());
    let rig = Rig::new(Arc::new(TextMedia::new(OnceUnlucky::default())));
    let mut jobs = Vec::new();
    for name in ["a", "b"] {
        let asked = request(&rig.film(&format!("{name}.mov"), FILM), &[rig.path(&format!("{name}.mp4"))]);
        jobs.push(rig.ops().submit(&Submission::of(asked)).await.unwrap().0);
    }
    let roles = [rig.start_coordinator("c"), rig.start_worker("w1"), rig.start_worker("w2")];
    for job in &jobs {
        rig.end_of(job).await.unwrap();
    }
    for role in roles {
        role.stop().await;
    }
    (jobs.try_into().unwrap(), log.lines())
}

/// Its lines by the one query that docs/LOGGING.md names.
fn of_job(lines: &[String], job: &JobId) -> Vec<Value> {
    let parsed = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    parsed.filter(|line| line["job"] == job.as_str()).collect()
}

fn saying<'l>(lines: &'l [Value], message: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["message"] == message).collect()
}

/// An attempt as a line names it: task, segment, attempt, try.
fn attempt(line: &Value) -> (String, Option<u64>, String, u64) {
    let text = |name: &str| line[name].as_str().unwrap_or_else(|| panic!("no {name}: {line}")).to_owned();
    (text("task"), line["segment"].as_u64(), text("attempt"), line["try"].as_u64().unwrap())
}

fn assert_whole_life(lines: &[Value]) {
    for once in ["job accepted", "merge began", "merge ended"] {
        assert_eq!(saying(lines, once).len(), 1, "{once}: {lines:#?}");
    }
    let states: Vec<&str> = saying(lines, "job went on").iter().filter_map(|line| line["to"].as_str()).collect();
    assert_eq!(states, ["indexing", "encoding", "merging", "publishing", "completed"]);
    let effects: Vec<&str> = saying(lines, "effect done").iter().filter_map(|line| line["effect"].as_str()).collect();
    assert_eq!(effects, ["check", "plan", "compare", "prove", "publish", "close"]);
    let told = saying(lines, "event published");
    assert!(told.iter().any(|line| line["key"] == "job.completed.default"), "{told:#?}");
    let begun: BTreeMap<_, _> = saying(lines, "claimed").into_iter().map(|line| (attempt(line), line)).collect();
    let ended: BTreeMap<_, _> = saying(lines, "attempt ended").into_iter().map(|line| (attempt(line), line)).collect();
    assert!(begun.keys().eq(ended.keys()), "each attempt begins and ends: {begun:#?} {ended:#?}");
    let settled = ended.iter().filter(|(_, line)| line["outcome"] == "settled");
    let segments: Vec<u64> = settled.clone().filter_map(|((_, segment, ..), _)| *segment).collect();
    assert_eq!(segments, (0..SEGMENTS).collect::<Vec<_>>(), "each segment once");
    let tasks: Vec<&str> =
        settled.map(|((task, ..), _)| task.as_str()).filter(|task| !task.starts_with("encode")).collect();
    assert_eq!(tasks, ["audio-00000", "index-00000"]);
}

#[tokio::test(start_paused = true)]
async fn a_jobs_whole_life_is_found_by_its_id() {
    let (jobs, lines) = two_jobs(Format::Json).await;
    let mut failed = Vec::new();
    for (job, other) in [(&jobs[0], &jobs[1]), (&jobs[1], &jobs[0])] {
        let found = of_job(&lines, job);
        assert_whole_life(&found);
        let mixed: Vec<_> = found.iter().filter(|line| line.to_string().contains(other.as_str())).collect();
        assert!(mixed.is_empty(), "lines of both jobs: {mixed:#?}");
        let unmarked: Vec<_> = lines.iter().filter(|line| line.contains(job.as_str())).collect();
        assert_eq!(unmarked.len(), found.len(), "each line that names a job has it as its field");
        failed.extend(saying(&found, "attempt failed").into_iter().cloned());
        let again: Vec<_> = saying(&found, "claimed").into_iter().filter(|line| line["try"] == 2).cloned().collect();
        assert_eq!(again.len(), usize::from(failed.iter().any(|line| line["job"] == job.as_str())));
        for line in again {
            assert_eq!((attempt(&line).1, line["job"].as_str()), (Some(UNLUCKY.into()), Some(job.as_str())));
            assert_ne!(line["attempt"], failed[0]["attempt"], "another attempt has another name");
        }
    }
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert_eq!((attempt(&failed[0]).1, attempt(&failed[0]).3), (Some(UNLUCKY.into()), 1));
    page(EXAMPLES, &examples(&lines, failed[0]["job"].as_str().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn lines_of_text_are_found_the_same_way() {
    let (jobs, lines) = two_jobs(Format::Text).await;
    for job in &jobs {
        let word = format!(" job={job}");
        let found: Vec<_> = lines.iter().filter(|line| line.contains(&word)).collect();
        assert_eq!(found.iter().filter(|line| line.contains(": claimed ")).count(), {
            found.iter().filter(|line| line.contains(": attempt ended ")).count()
        });
        assert!(found.len() > 30 && found.iter().all(|line| line.matches(" job=").count() == 1), "{found:#?}");
    }
}

/// The same lines in every run: what differs from run to run becomes what the page shows.
fn examples(lines: &[String], job: &str) -> String {
    let of = |line: &Value, message: &str| line["job"] == job && line["message"] == message;
    let unlucky = |line: &Value| line["segment"] == UNLUCKY;
    let wanted: [&dyn Fn(&Value) -> bool; 8] = [
        &|line| of(line, "job accepted"),
        &|line| of(line, "job went on") && line["to"] == "encoding",
        &|line| of(line, "claimed") && unlucky(line) && line["try"] == 1,
        &|line| of(line, "attempt failed"),
        &|line| of(line, "claimed") && unlucky(line) && line["try"] == 2,
        &|line| of(line, "attempt ended") && unlucky(line) && line["try"] == 2,
        &|line| of(line, "merge ended"),
        &|line| of(line, "event published") && line["key"] == "job.completed.default",
    ];
    let mut nonces = BTreeMap::new();
    let shown = wanted.map(|wanted| {
        let parsed = |line: &&String| serde_json::from_str(line).is_ok_and(|line: Value| wanted(&line));
        let line = lines.iter().find(parsed).unwrap();
        let value: Value = serde_json::from_str(line).unwrap();
        let mut line = line.replace(value["timestamp"].as_str().unwrap(), "2026-11-27T20:00:41.500000Z");
        if let Some(nonce) = value["attempt"].as_str() {
            let number = nonces.len();
            let number = *nonces.entry(nonce.to_owned()).or_insert(number);
            line = line.replace(nonce, &format!("{:032x}", 0x9c1e_77b2_04d8_u64 + number as u64 * 0x3511));
        }
        if let Some(took) = value["took_ms"].as_u64() {
            line = line.replace(&format!("\"took_ms\":{took}"), "\"took_ms\":412");
        }
        line.replace(job, "5f0c9d6be0a34c1f8e1d2b7a90c3f4d2")
    });
    format!("```json\n{}\n```\n", shown.join("\n"))
}

#[test]
fn all_that_can_be_logged_is_written_down() {
    let mut table = "| text | level | target | fields |\n|---|---|---|---|\n".to_owned();
    for (message, event) in logged::events(&Tree::of_repository()) {
        let list = |names: Vec<&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let levels: Vec<&str> = event.levels.into_iter().collect();
        let targets = list(event.targets.iter().map(String::as_str).collect());
        let fields = list(event.fields.iter().map(String::as_str).collect());
        table.push_str(&format!("| {message} | {} | {targets} | {fields} |\n", levels.join(", ")));
    }
    page(EVENTS, &table);
}

/// Holds a part of the page to what the program does.
fn page([from, to]: [&str; 2], part: &str) {
    let path: PathBuf = place::top().join("docs/LOGGING.md");
    // Two tests write parts of it.
    let held = std::fs::File::open(&path).unwrap();
    held.lock().unwrap();
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(from).expect("the page marks the part");
    let (known, after) = rest.split_once(to).expect("the page marks the part's end");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, [before, from, part, to, after].concat()).unwrap();
        return;
    }
    assert_eq!(known, part, "UPDATE=1 renews it");
}
