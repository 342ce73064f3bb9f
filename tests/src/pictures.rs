//! Pictures as ffmpeg decodes them: their sums and times, and how like they are to others.

use std::path::Path;
use std::process::Command;

use crate::{film, place, product};

/// Time and checksum of each decoded picture; the size stands in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pictures {
    pub size: String,
    /// Microseconds and MD5.
    pub shown: Vec<(i64, String)>,
}

/// What ffmpeg decodes in the file.
pub fn of(path: &Path) -> Pictures {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(path);
    command.args(["-map", "0:v", "-vsync", "passthrough", "-enc_time_base", "1/1000000", "-f", "framemd5", "-"]);
    let told = film::run(&mut command).unwrap_or_else(|why| panic!("{why}"));
    let told = String::from_utf8(told).expect("framemd5 is text");
    let size = told.lines().find_map(|line| line.strip_prefix("#dimensions 0: ")).unwrap_or_default().to_owned();
    let shown = told.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        Some((fields.get(2)?.parse().ok()?, (*fields.get(5)?).to_owned()))
    });
    Pictures { size, shown: shown.collect() }
}

/// The film made without loss in segments of this length.
pub fn made(source: &Path, segments: &str, flags: &[&str]) -> (tempfile::TempDir, std::path::PathBuf) {
    let home = place::scratch();
    let made = home.path().join("film.mp4");
    let state = home.path().join("state").display().to_string();
    let fixed = ["--segment-duration", segments, "--crf", "0", "--workers", "2", "--state-dir", &state];
    let flags: Vec<&str> = fixed.into_iter().chain(flags.iter().copied()).collect();
    product::transcode(home.path(), source, &made, &flags).done().unwrap_or_else(|why| panic!("{flags:?}: {why}"));
    (home, made)
}

/// Makes the film uncut and cut in several ways: every picture must be the same, bit for bit. Gives the uncut one.
pub fn same_for_any_cut(source: &Path, flags: &[&str]) -> (tempfile::TempDir, std::path::PathBuf) {
    let (home, whole) = made(source, "none", flags);
    let due = of(&whole);
    for segments in ["700ms", "1370ms"] {
        let (_home, cut) = made(source, segments, flags);
        let ours = of(&cut);
        assert_eq!(ours.size, due.size, "{flags:?}");
        let off = ours.shown.iter().zip(&due.shown).position(|(ours, due)| ours != due);
        assert_eq!(
            off,
            None,
            "{flags:?} in {segments}: {:?}, due {:?}",
            off.map(|n| &ours.shown[n]),
            off.map(|n| &due.shown[n])
        );
        assert_eq!(ours.shown.len(), due.shown.len(), "{flags:?} in {segments}");
    }
    (home, whole)
}

/// The measure of each picture against ffmpeg's reading of `source` through `filters`: `ssim` or `psnr`, of luma.
pub fn likeness(measure: &str, made: &Path, (source, filters): (&Path, &str)) -> Vec<f64> {
    let folder = place::scratch();
    let stats = folder.path().join("stats");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(made).arg("-i").arg(source);
    let filter = format!(
        "[0:v]settb=AVTB,setpts=N,setsar=1[ours];[1:v]{filters},settb=AVTB,setpts=N,setsar=1[due];[ours][due]{measure}=stats_file={}",
        stats.display()
    );
    film::run(command.args(["-lavfi", &filter, "-f", "null", "-"])).unwrap_or_else(|why| panic!("{why}"));
    let text = std::fs::read_to_string(stats).expect("ffmpeg writes its measures");
    let key = if measure == "ssim" { "Y:" } else { "psnr_y:" };
    let luma = |line: &str| line.split(key).nth(1)?.split_whitespace().next()?.parse().ok();
    text.lines().filter_map(luma).map(|value: f64| value.min(99.0)).collect()
}
