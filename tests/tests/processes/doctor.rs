//! `framefleet doctor` where a file system does not answer.

use std::process::Command;
use std::time::{Duration, Instant};

use framefleet_tests::place;
use framefleet_tests::processes::confined::hung_disk;
use framefleet_tests::product::Ran;
use serde_json::Value;

/// Longer than any check may take, and much shorter than for ever.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn a_doctor_does_not_wait_for_a_file_system_that_is_hung_and_judges_the_rest() {
    let home = place::scratch();
    let (hung, made) = (home.path().join("hung"), home.path().join("made"));
    std::fs::create_dir(&made).unwrap();
    let file = home.path().join("framefleet.toml");
    let storage = |folder: &str| format!("[[storage]]\nurl = \"file://{}/{folder}\"\n", home.path().display());
    std::fs::write(&file, storage("hung") + &storage("made")).unwrap();
    let words = hung_disk(&hung);
    let begun = Instant::now();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg(place::framefleet()).args(["doctor", "-o", "json", "--config"]).arg(&file);
    // Its state would lie there, too.
    let ran = Ran::of(&command.env("XDG_STATE_HOME", &hung).output().unwrap());
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    let report = ran.json();
    let said = |of: &str| {
        let checks = report["checks"].as_array().unwrap();
        let found = checks.iter().find(|check| check["of"].as_str().is_some_and(|named| named.ends_with(of)));
        let word = |check: &Value, name: &str| check[name].as_str().unwrap().to_owned();
        found.map(|check| (word(check, "state"), word(check, "says"))).unwrap_or_else(|| panic!("no {of}: {ran:?}"))
    };
    for silent in ["state", "/hung"] {
        let (state, says) = said(silent);
        assert!(state == "bad" && says.ends_with("does not answer within 7s"), "{silent}: {state}, {says}");
    }
    assert_eq!(said("/made"), ("ok".to_owned(), "written, read back, and emptied again".to_owned()));
    assert_eq!(ran.code, Some(64), "the first that is bad is this machine: {ran:?}");
}
