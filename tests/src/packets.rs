//! Coded units as ffmpeg finds them in a file.

use std::path::Path;
use std::process::Command;

use crate::film;

/// The checksum of each packet of a track (`v` or `a`, or `a:1` for the second of sound), in the order of the file, after this bitstream filter if any. What a
/// demuxer says beside a packet's data stands behind it and is left out.
pub fn hashes(file: &Path, track: &str, filter: &str) -> Result<Vec<String>, String> {
    let mut command = Command::new("ffmpeg");
    let map = if track.contains(':') { format!("0:{track}") } else { format!("0:{track}:0") };
    command.args(["-v", "error", "-copyts", "-i"]).arg(file).args(["-map", &map, "-c", "copy"]);
    if !filter.is_empty() {
        command.args([&format!("-bsf:{track}"), filter]);
    }
    let told = film::run(command.args(["-f", "framehash", "-hash", "md5", "-"]))?;
    let told = String::from_utf8_lossy(&told);
    let packets = told.lines().filter(|line| !line.starts_with('#'));
    Ok(packets.filter_map(|line| line.split(',').nth(5).map(|hash| hash.trim().to_owned())).collect())
}

/// Fails unless what was made is a part of the source without a gap, and leaves out no more than so many packets.
pub fn is_part(source: &[String], made: &[String], left_out_max: usize) -> Result<(), String> {
    let (all, count) = (source.len(), made.len());
    if made.is_empty() || !source.windows(count.max(1)).any(|part| part == made) {
        let odd = made.iter().position(|hash| !source.contains(hash));
        return Err(format!("{count} packets are no part of {all}; the first strange one: {odd:?}"));
    }
    if all - count > left_out_max { Err(format!("{count} of {all} packets")) } else { Ok(()) }
}
