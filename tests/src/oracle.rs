//! What ffmpeg, which shares no code with framefleet, says about a file. See `tests/oracle/seamcheck.py`.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::film;

const SEAMCHECK: &str = "tests/oracle/seamcheck.py";

/// What was read in a file.
pub struct Facts {
    /// The number that each shown picture carries, where it can be read.
    pub numbers: Vec<Option<u64>>,
    /// When each picture is shown, in seconds.
    pub times: Vec<f64>,
    /// Where beeps stand; none without sound.
    pub beeps: Option<Vec<f64>>,
    /// Samples of the first sound track.
    pub samples: u64,
    pub errors: Vec<String>,
    json: Value,
}

impl Facts {
    pub fn json(&self) -> String {
        self.json.to_string()
    }
}

pub fn read(path: &Path) -> Result<Facts, String> {
    let told = film::run(Command::new("python3").arg(SEAMCHECK).arg("facts").arg(path))?;
    let json: Value = serde_json::from_slice(&told).map_err(|e| format!("{}: {e}", path.display()))?;
    let list = |key: &str| json[key].as_array().cloned().unwrap_or_default();
    let seconds = |values: &[Value]| values.iter().filter_map(Value::as_f64).collect::<Vec<_>>();
    Ok(Facts {
        numbers: list("numbers").iter().map(Value::as_u64).collect(),
        times: seconds(&list("times")),
        beeps: json["beeps"].as_array().map(|values| seconds(values)),
        samples: json["samples"].as_u64().unwrap_or(0),
        errors: list("errors").iter().map(|line| line.as_str().unwrap_or_default().to_owned()).collect(),
        json,
    })
}

/// Fails with every fault that makes `file` unlike the film whose facts are stored.
pub fn check(file: &Path, facts: &Path, more: &[&str]) -> Result<(), String> {
    let mut command = Command::new("python3");
    command.arg(SEAMCHECK).arg("check").arg(file).arg("--like-facts").arg(facts).args(more);
    film::run(&mut command).map(drop)
}
