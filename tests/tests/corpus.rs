//! Every file of a folder of real media, good and broken, through the program: see `tests/corpus/README.md`. A
//! difference that nobody has reviewed fails its file.

use std::path::Path;
use std::process::{Command, ExitCode};

use framefleet_tests::corpus::{self, Difference, Expected, Folder, Row, Sound};
use framefleet_tests::{film, place, product};
use libtest_mimic::{Arguments, Failed, Trial};

/// A codec's last block of sound may be padded, and decoders differ in how much of the first they skip.
const SAMPLES_OFF_MAX: u64 = 2 * 1152;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, trials()).exit_code()
}

fn trials() -> Vec<Trial> {
    let failed =
        |why: String| vec![Trial::test("the_corpus_is_where_it_is_said_to_be", move || Err(Failed::from(why)))];
    let folder = match corpus::folder() {
        Ok(Folder::Here(folder)) => folder,
        Ok(Folder::NotPartOfThisRun) => {
            let name = "the_corpus_is_not_part_of_this_run";
            return vec![Trial::test(name, || {
                println!("set FRAMEFLEET_CORPUS to a folder with a manifest.csv to make it part");
                Ok(())
            })];
        }
        Err(why) => return failed(why),
    };
    let (rows, differences) = match (corpus::manifest(&folder), corpus::differences()) {
        (Ok(rows), Ok(differences)) => (rows, differences),
        (Err(why), _) | (_, Err(why)) => return failed(why),
    };
    let trial = |row: Row| {
        let known = differences.get(&row.path).cloned().unwrap_or_default();
        let source = folder.join(&row.path);
        Trial::test(row.path.replace('/', "::"), move || judge(&row, &source, &known).map_err(Failed::from))
    };
    rows.into_iter().map(trial).collect()
}

/// Fails unless the file gives what the manifest says, but for exactly the reviewed differences.
fn judge(row: &Row, source: &Path, known: &[Difference]) -> Result<(), String> {
    let home = place::scratch();
    let made = home.path().join("made/film.mp4");
    std::fs::create_dir_all(home.path().join("made")).map_err(|e| e.to_string())?;
    let state = home.path().join("state").display().to_string();
    let damaged = if row.expected == Expected::Whole { "fail" } else { "keep" };
    let flags = ["--segment-duration", "2s", "--workers", "2", "--state-dir", &state, "--damaged", damaged];
    let ran = product::transcode(home.path(), source, &made, &flags);
    let found = deviations(row, &ran, (source, &made)).unwrap_or_else(|why| vec![("fault".to_owned(), one_line(&why))]);
    let known_here: Vec<(String, String)> = known.iter().map(|d| (d.field.clone(), d.ours.clone())).collect();
    let reviewed = found == known_here;
    score(row, &found, known, reviewed);
    if reviewed {
        return Ok(());
    }
    Err(format!("differs by {found:?}, reviewed are {known_here:?}; {}{}", ran.err, ran.out))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}

/// What differs from the manifest: field and our value.
fn deviations(row: &Row, ran: &product::Ran, (source, made): (&Path, &Path)) -> Result<Vec<(String, String)>, String> {
    let code = ran.code.map_or("signal".to_owned(), |code| code.to_string());
    let one = |field: &str, ours: String| Ok(vec![(field.to_owned(), ours)]);
    if ran.code != Some(0) {
        let lines = ran.err.lines().filter(|line| line.starts_with("framefleet:")).count();
        // A fault of ours comes with its evidence, line by line.
        let evident = ran.code == Some(70) || ran.err.lines().count() == 1;
        if lines != 1 || !evident {
            return Err(format!("exit code {code} with {lines} lines that say why: {}", ran.err));
        }
        let left = std::fs::read_dir(made.parent().expect("made lies in a folder")).map_err(|e| e.to_string())?.count();
        if left != 0 {
            return Err(format!("exit code {code}, and {left} files stand in the destination"));
        }
        let right = ran.code == Some(65) && matches!(row.expected, Expected::Refused | Expected::Either);
        return if right { Ok(Vec::new()) } else { one("exit", code) };
    }
    if ran.gave_up_cuts() {
        return Err(format!("its cuts did not prove: {}", ran.out));
    }
    let (pictures, samples) = decoded(made)?;
    if pictures == 0 && samples == 0 {
        return Err("an empty success: nothing in the output decodes".into());
    }
    if row.expected == Expected::Refused {
        return one("exit", code);
    }
    let mut all = Vec::new();
    if pictures != row.pictures {
        all.push(("pictures".to_owned(), pictures.to_string()));
    }
    let due = row.sound.map_or(0, |sound| due_samples(sound, made));
    if samples.abs_diff(due) > SAMPLES_OFF_MAX {
        all.push(("samples".to_owned(), samples.to_string()));
    }
    let tracks = sound_tracks(made)?;
    if row.sound.is_some() && tracks != sound_tracks(source)? {
        all.push(("tracks".to_owned(), tracks.to_string()));
    }
    Ok(all)
}

/// How many sound tracks ffmpeg finds.
fn sound_tracks(file: &Path) -> Result<usize, String> {
    let show = ["-v", "error", "-select_streams", "a", "-show_entries", "stream=index", "-of", "json"];
    let told = film::run(Command::new("ffprobe").args(show).arg(file))?;
    let told: serde_json::Value = serde_json::from_slice(&told).map_err(|e| e.to_string())?;
    Ok(told["streams"].as_array().map_or(0, Vec::len))
}

/// The manifest's samples at the rate that the output has.
fn due_samples(sound: Sound, made: &Path) -> u64 {
    let probe = ["-v", "error", "-select_streams", "a:0", "-show_entries", "stream=sample_rate", "-of", "csv=p=0"];
    let told = film::run(Command::new("ffprobe").args(probe).arg(made)).unwrap_or_default();
    let rate: u64 = String::from_utf8_lossy(&told).trim().parse().unwrap_or(sound.rate);
    sound.samples * rate / sound.rate
}

/// Pictures and samples that ffmpeg decodes in our output, which it must do without a word.
fn decoded(made: &Path) -> Result<(u64, u64), String> {
    let folder = place::scratch();
    let (progress, sound) = (folder.path().join("progress"), folder.path().join("sound"));
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-xerror", "-nostdin", "-progress"]).arg(&progress).arg("-i").arg(made);
    let kinds = film::run(
        Command::new("ffprobe").args(["-v", "error", "-show_entries", "stream=codec_type", "-of", "csv=p=0"]).arg(made),
    )?;
    let kinds = String::from_utf8_lossy(&kinds).into_owned();
    if kinds.contains("video") {
        command.args(["-map", "0:v:0", "-vsync", "passthrough", "-enc_time_base", "1/1000000", "-f", "null", "-"]);
    }
    if kinds.contains("audio") {
        command.args(["-map", "0:a:0", "-ac", "1", "-f", "s16le"]).arg(&sound);
    }
    film::run(&mut command)?;
    let told = std::fs::read_to_string(&progress).unwrap_or_default();
    let frames = told.lines().rev().find_map(|line| line.strip_prefix("frame=")?.trim().parse().ok());
    let samples = std::fs::metadata(&sound).map_or(0, |file| file.len() / 2);
    Ok((if kinds.contains("video") { frames.unwrap_or(0) } else { 0 }, samples))
}

/// One line for the scoreboard.
fn score(row: &Row, found: &[(String, String)], known: &[Difference], reviewed: bool) {
    let open = known.iter().any(Difference::is_open);
    let verdict = match (found.is_empty(), reviewed) {
        (true, true) => "same",
        (false, true) if open => "open",
        (false, true) => "reviewed",
        (_, false) => "unexpected",
    };
    let what: Vec<String> = found.iter().map(|(field, ours)| format!("{field} {ours}")).collect();
    let why: Vec<&str> = known.iter().map(|one| one.reason.as_str()).collect();
    let line = format!("{verdict}\t{}\t{}\t{}\n", row.path, what.join(", "), why.join("; "));
    let place = place::cache("corpus").join(row.path.replace('/', "_"));
    std::fs::write(place, line).expect("target can be written");
}
