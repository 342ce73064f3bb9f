//! Sound as ffmpeg hears it: levels, loudness, peaks.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{clip, film};

/// What ffmpeg generates from this expression of its `lavfi` device, kept as PCM or FLAC, by the name's extension.
pub fn generated(name: &str, scene: &str) -> PathBuf {
    clip::kept(name, |out| {
        let mut command = Command::new("ffmpeg");
        film::run(command.args(["-v", "error", "-f", "lavfi", "-i", scene]).arg(out)).map(drop)
    })
}

/// The root mean square of each channel, in dB of full scale, after more of ffmpeg's filters.
pub fn levels(file: &Path, filters: &str) -> Vec<f64> {
    let filters = format!("{filters}astats=measure_perchannel=RMS_level:measure_overall=none");
    figures(&told(file, &filters), "RMS level dB:")
}

/// Integrated loudness in LUFS and true peak in dBTP.
pub fn loudness(file: &Path) -> (f64, f64) {
    let said = told(file, "ebur128=peak=true:framelog=verbose");
    let last = |word| figures(&said, word).last().copied().unwrap_or(f64::NEG_INFINITY);
    (last("I:"), last("Peak:"))
}

/// Samples of the first channel, 48 000 a second.
pub fn samples(file: &Path) -> Vec<f32> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-i"]).arg(file);
    command.args(["-map", "0:a:0", "-ac", "1", "-ar", "48000", "-f", "f32le", "-"]);
    let heard = film::run(&mut command).unwrap_or_else(|why| panic!("{why}"));
    heard.as_chunks().0.iter().map(|sample| f32::from_le_bytes(*sample)).collect()
}

fn told(file: &Path, filters: &str) -> String {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-nostdin", "-hide_banner", "-i"])
        .arg(file)
        .args(["-map", "0:a:0", "-af", filters, "-f", "null", "-"]);
    let ran = command.output().expect("ffmpeg starts");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{said}");
    said
}

/// The numbers behind this word, line by line; silence has none that is finite.
fn figures(said: &str, word: &str) -> Vec<f64> {
    let behind = said.lines().filter_map(|line| line.split_once(word));
    let number = |text: &str| text.split_whitespace().next().and_then(|text| text.parse().ok());
    behind.filter_map(|(_, rest)| number(rest)).collect()
}
