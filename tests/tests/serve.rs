//! One process with everything: jobs by command and by HTTP, on a store of its own, through any death.

use std::process::Command;

use framefleet_tests::place;
use framefleet_tests::processes::serve::Serve;
use framefleet_tests::processes::settled::assert_same;
use framefleet_tests::processes::{jobs, until};
use rustix::process::Signal;

const CUT: [&str; 4] = ["--preset", "ultrafast", "--segment-duration", jobs::CUT];
/// So that a film takes a while.
const ONE_AT_A_TIME: [&str; 2] = ["--slots", "light=1,standard=1,long=1"];

fn job_of(said: &str) -> String {
    said.trim().to_owned()
}

#[test]
fn whoever_waits_for_a_job_ends_as_it_does() {
    let serve = Serve::start("");
    let film = jobs::film();
    let wait = [&CUT[..], &["--wait"]].concat();
    let ran = serve.submit((&film, &serve.path("film.mp4")), &wait);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.ends_with("completed: 16/16 segments, 1/1 outputs, 0 running\n"), "{}", ran.out);
    assert_same(&serve.path("film.mp4"), &jobs::golden(&film, "mp4"));

    let broken = serve.path("broken.mov");
    std::fs::write(&broken, "no film at all, but some text that is long enough to be looked at").unwrap();
    let ran = serve.submit((&broken, &serve.path("broken.mp4")), &["--wait"]);
    assert_eq!(ran.code, Some(65), "{ran:?}");
    assert!(ran.err.starts_with("framefleet: ") && ran.err.contains("input; not retried"), "{}", ran.err);
    assert!(!serve.path("broken.mp4").exists());
    let ran = serve.submit((&serve.path("none.mov"), &serve.path("none.mp4")), &["--wait"]);
    assert_eq!(ran.code, Some(66), "{ran:?}");
    let ran = serve.submit((&film, &serve.path("film.mp4")), &["--wait"]);
    assert_eq!(ran.code, Some(73), "another job's output: {ran:?}");
}

#[test]
fn the_state_folder_is_one_processs_own() {
    let mut serve = Serve::start("");
    let second = |state: &std::path::Path| {
        let mut command = Command::new(place::framefleet());
        command.args(["serve", "--listen", "127.0.0.1:1", "--ops-listen", "127.0.0.1:1", "--state-dir"]);
        command.arg(state).env("FRAMEFLEET_LOG", "off").output().unwrap()
    };
    let refused = second(&serve.path("state"));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    let holder = serve.role.pid().as_raw_nonzero();
    assert_eq!(refused.status.code(), Some(69), "{said}");
    let state = serve.path("state");
    assert!(said.contains(&format!("the state folder {} is in use by process {holder}", state.display())), "{said}");
    assert!(serve.role.stop().success());
}

#[test]
fn jobs_go_on_after_the_process_died_with_all_its_hints() {
    let mut serve = Serve::start_with("", &ONE_AT_A_TIME);
    let film = jobs::film();
    let ids: Vec<String> = ["a", "b"]
        .iter()
        .map(|name| {
            let ran = serve.submit((&film, &serve.path(&format!("{name}.mp4"))), &CUT);
            assert_eq!(ran.code, Some(0), "{ran:?}");
            job_of(&ran.out)
        })
        .collect();
    until("some segments are done", || serve.show(&ids[0]).segments.done >= 2);
    serve.role.kill();
    serve.role.run();
    serve.until_ready();
    let view = serve.show(&ids[0]);
    assert!(view.over || view.segments.done >= 2, "what was done stays done: {view:?}");
    let golden = jobs::golden(&film, "mp4");
    for (id, name) in ids.iter().zip(["a", "b"]) {
        let view = serve.over(id);
        assert_eq!((view.job.state.as_str(), view.job.generation), ("completed", 1), "{view:?}");
        assert_same(&serve.path(&format!("{name}.mp4")), &golden);
    }
    // A task whose hint was only waited for would have taken its minute.
    assert!(!serve.role.log().contains("unanswered"), "{}", serve.role.log());
}

#[test]
fn told_to_stop_it_puts_down_its_work_and_the_next_goes_on() {
    let mut serve = Serve::start_with("", &[&ONE_AT_A_TIME[..], &["--events", "DIR/events"]].concat());
    let film = jobs::film();
    let id = job_of(&serve.submit((&film, &serve.path("a.mp4")), &CUT).out);
    until("some segments are done", || serve.show(&id).segments.done >= 2);
    serve.role.signal(Signal::TERM);
    assert!(serve.role.end().success(), "{}", serve.role.log());
    let ran = serve.run(["jobs", "list"]);
    assert_eq!(ran.code, Some(69), "nobody is there: {ran:?}");
    serve.role.run();
    serve.until_ready();
    assert_eq!(serve.over(&id).job.state, "completed");
    assert_same(&serve.path("a.mp4"), &jobs::golden(&film, "mp4"));
    // Over both lives each event once, in order: no death came between a line and its record.
    let told = || std::fs::read_to_string(serve.path("events")).unwrap();
    until("its end is told", || told().lines().count() == 3);
    let ids = told()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].clone())
        .collect::<Vec<_>>();
    assert_eq!(ids, ["accepted", "started", "completed"].map(|what| format!("{id}:1:{what}")));
}

#[test]
fn storages_that_are_named_are_all_that_may_be_used() {
    let serve = Serve::start("[[storage]]\nurl = 'file://DIR/films'\n");
    std::fs::create_dir(serve.path("films")).unwrap();
    std::fs::copy(jobs::film(), serve.path("films/a.mov")).unwrap();
    let inside = serve.path("films/a.mov");
    for (source, out) in [(&inside, serve.path("a.mp4")), (&jobs::film(), serve.path("films/a.mp4"))] {
        let ran = serve.submit((source, &out), &["--wait"]);
        assert_eq!(ran.code, Some(64), "{ran:?}");
        assert!(ran.err.contains("lies in no storage of this fleet, which may use file://"), "{}", ran.err);
    }
    let ran = serve.submit((&inside, &serve.path("films/a.mp4")), &["--wait", "--preset", "ultrafast"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// Whatever its storages are: nobody reads jobs of others through a job.
#[test]
fn the_state_folder_is_no_place_for_films() {
    let serve = Serve::start("");
    let ran = serve.submit((&jobs::film(), &serve.path("state/work/a.mp4")), &["--wait"]);
    assert_eq!(ran.code, Some(64), "{ran:?}");
    assert!(ran.err.contains("lies in the work store"), "{}", ran.err);
}
