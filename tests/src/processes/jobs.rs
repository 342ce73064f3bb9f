//! What is asked of a fleet, and what must come of it: the bytes that one process makes of the same film.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::fleet::Fleet;
use super::until;
use crate::{clip, place, product};

pub const CUT: &str = "500ms";
/// What a job asks for, as flags.
pub const FLAGS: [&str; 4] = ["--preset", "ultrafast", "--segment-duration", CUT];

/// Eight seconds in seventeen or so tasks.
pub fn film() -> PathBuf {
    let coding = "-c:v libx264 -preset veryfast -threads 1 -bf 3 -g 25";
    clip::numbered("bytes.mov", &["--seconds", "8", "--fps", "25", "--vargs", coding])
}

/// A job file of one film and one output, in pieces of half a second.
pub fn job(source: &str, to: &str) -> Value {
    json!({
        "version": 1,
        "source": source,
        "outputs": [{ "to": to, "video": { "preset": "ultrafast" } }],
        "segment": { "duration": CUT },
    })
}

/// The same with another value at a key.
pub fn with(mut job: Value, key: &str, value: Value) -> Value {
    job[key] = value;
    job
}

/// One film after the other, each to another kind of file, so that there is always something at work.
pub struct Load {
    film: PathBuf,
    kinds: Vec<(&'static str, Vec<u8>)>,
}

impl Load {
    pub fn new(fleet: &Fleet, kinds: &[&'static str]) -> Self {
        let kinds = kinds.iter().map(|kind| (*kind, golden(&film(), kind))).collect();
        Self { film: fleet.film("load.mov"), kinds }
    }

    /// Submits until so many jobs are not over.
    pub fn keep(&self, fleet: &mut Fleet, jobs: usize) {
        while fleet.open() < jobs {
            self.one(fleet);
        }
    }

    /// Waits until the fleet has finished some segments more, and has more to do all the while.
    pub fn goes_on(&self, fleet: &mut Fleet) {
        self.keep(fleet, 6);
        let before = settled(fleet);
        until("the fleet goes on", || {
            self.keep(fleet, 3);
            settled(fleet) >= before + 6
        });
    }

    /// Submits one.
    pub fn one(&self, fleet: &mut Fleet) -> String {
        let number = fleet.due.len();
        let (kind, golden) = &self.kinds[number % self.kinds.len()];
        fleet.submit(&self.film, &format!("{number}.{kind}"), golden)
    }
}

fn settled(fleet: &Fleet) -> usize {
    fleet.worker_lines("outcome=settled").len()
}

pub fn url(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// What one process makes of the film as this kind of file, by the same settings.
pub fn golden(film: &Path, kind: &str) -> Vec<u8> {
    golden_by(film, kind, &FLAGS)
}

/// The same by other flags.
pub fn golden_by(film: &Path, kind: &str, flags: &[&str]) -> Vec<u8> {
    golden_of(&place::framefleet(), (film, kind), flags)
}

/// The same by another build.
pub fn golden_of(program: &Path, (film, kind): (&Path, &str), flags: &[&str]) -> Vec<u8> {
    let home = place::scratch();
    let out = home.path().join(format!("golden.{kind}"));
    let mut command = product::command_of(program, home.path());
    command.arg("transcode").args([film, &out]).args(flags);
    let ran = product::Ran::of(&command.output().expect("coreutils' timeout starts"));
    ran.done().unwrap_or_else(|why| panic!("one process cannot do it: {why}"));
    std::fs::read(&out).expect("the output stands")
}
