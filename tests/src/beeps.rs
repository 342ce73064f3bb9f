//! Where the beeps of a clip stand, against where they stood in its source.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{clip, film, oracle};

/// Sound may be off by what a container's clock rounds; an encoder's ringing moves where a beep is seen to begin.
const BEEP_OFF_MAX: f64 = 0.002;

/// What the oracle reads in a clip, kept beside it.
pub fn facts_of(source: &Path) -> Result<PathBuf, String> {
    let name = source.file_name().and_then(|name| name.to_str()).ok_or("a clip without a name")?;
    let told = oracle::read(source)?.json();
    Ok(clip::kept(&format!("{name}.json"), |out| std::fs::write(out, told).map_err(|e| e.to_string())))
}

/// Every beep of the source, at its place in a file of sound.
pub fn beeps_stand(source: &Path, made: &Path) -> Result<(), String> {
    let (was, is) = (oracle::read(source)?, oracle::read(made)?);
    let (was, is) = (was.beeps.unwrap_or_default(), is.beeps.unwrap_or_default());
    // A file of sound begins with its first sample, whatever ffmpeg calls the time of it.
    let begins = first_sample(made)?;
    let off = was.iter().zip(&is).map(|(due, at)| (due - (at - begins)).abs()).fold(0.0, f64::max);
    if was.len() == is.len() && off <= BEEP_OFF_MAX { Ok(()) } else { Err(format!("beeps at {is:?} for {was:?}")) }
}

/// Where beeps stand from the first picture on; but for the first, whose beginning an encoder's priming blurs.
pub fn from_first_picture(file: &Path) -> Vec<f64> {
    let facts = oracle::read(file).expect("ffmpeg reads it");
    let begins = facts.times.first().copied().unwrap_or_default();
    facts.beeps.unwrap_or_default().into_iter().map(|at| at - begins).filter(|at| *at > 0.5).collect()
}

/// The same from the file's beginning.
pub fn from_beginning(file: &Path) -> Vec<f64> {
    let (facts, begins) = (oracle::read(file).expect("ffmpeg reads it"), first_sample(file).expect("ffprobe reads it"));
    // What is to be left out is told as a time before zero.
    let begins = begins.max(0.0);
    facts.beeps.unwrap_or_default().into_iter().map(|at| at - begins).filter(|at| *at > 0.5).collect()
}

fn first_sample(made: &Path) -> Result<f64, String> {
    let show = ["-v", "error", "-show_entries", "format=start_time", "-of", "csv=p=0"];
    let told = film::run(Command::new("ffprobe").args(show).arg(made))?;
    // "N/A" where the container has no such thing.
    Ok(String::from_utf8_lossy(&told).trim().parse().unwrap_or(0.0))
}
