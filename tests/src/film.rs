//! Sources on disk: made once, kept by the content of their recipe, safe for tests that run side by side.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::oracle::{self, Facts};
use crate::recipe::{self, Source};
use crate::{axis, place};

/// A source with what the oracle reads in it.
pub struct Film {
    pub path: PathBuf,
    pub facts: PathBuf,
}

/// The film of this recipe, made if it is not there yet.
pub fn of(source: &Source) -> Result<Film, String> {
    let name = format!("{}-{}-{:016x}", source.codec.name(), source.container.name(), fingerprint(source));
    let folder = place::cache("exact-sources");
    let film = Film {
        path: folder.join(format!("{name}.{}", source.extension())),
        facts: folder.join(format!("{name}.json")),
    };
    if film.facts.exists() && film.path.exists() {
        return Ok(film);
    }
    let making = tempfile::tempdir_in(&folder).map_err(|e| e.to_string())?;
    let made = make(source, making.path())?;
    let told = oracle::read(&made)?;
    check_source(source, &told)?;
    let facts = making.path().join("facts.json");
    std::fs::write(&facts, told.json()).map_err(|e| e.to_string())?;
    keep(&made, &film.path)?;
    keep(&facts, &film.facts)?;
    Ok(film)
}

/// Whoever is first wins: a name once given is never given to another file.
pub(crate) fn keep(made: &Path, name: &Path) -> Result<(), String> {
    match std::fs::hard_link(made, name) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(format!("{}: {error}", name.display())),
        _ => Ok(()),
    }
}

fn make(source: &Source, folder: &Path) -> Result<PathBuf, String> {
    let commands = source.commands();
    let mut base = PathBuf::new();
    for (step, command) in commands.iter().enumerate() {
        let extension = match command {
            recipe::Command { arguments, .. } if arguments[0].ends_with("paff.py") => "h264",
            _ => source.extension(),
        };
        let out = folder.join(format!("{step}.{extension}"));
        let fill = |word: &String| match word.as_str() {
            "{out}" => out.clone().into_os_string(),
            "{base}" => base.clone().into_os_string(),
            other => other.into(),
        };
        run(Command::new(command.program).args(command.arguments.iter().map(fill)))?;
        base = out;
    }
    Ok(base)
}

/// The oracle must read its own sources without doubt, or it proves nothing.
fn check_source(source: &Source, told: &Facts) -> Result<(), String> {
    let first = told.numbers.first().copied().flatten().ok_or("the source shows no picture that can be read")?;
    let count = u64::from(source.pictures());
    let hidden = source.shape == axis::Shape::EditList;
    let consecutive = told.numbers.iter().zip(first..).all(|(number, due)| *number == Some(due));
    // xvid keeps its last two pictures
    let whole =
        first + told.numbers.len() as u64 + 2 >= count && first == if hidden { recipe::EDIT_PICTURE } else { 0 };
    if !consecutive || !whole {
        return Err(format!("{source:?} shows {:?}, not {count} pictures in order", told.numbers));
    }
    let rising = told.times.windows(2).all(|pair| pair[0] < pair[1]);
    let timed = told.times.len() == told.numbers.len() && rising || source.container == axis::Container::Avi;
    if !timed {
        return Err(format!("{source:?} has pictures at {:?}", told.times));
    }
    if let Some(at) = off_its_rate(source, told) {
        return Err(format!("{source:?}: picture {at} does not stand at its rate's time: {:?}", told.times));
    }
    let beeps = told.beeps.as_ref().map_or(0, Vec::len) as u64;
    if beeps + u64::from(hidden) < u64::from(source.seconds()) {
        return Err(format!("{source:?} has {beeps} beeps in {} s", source.seconds()));
    }
    if !told.errors.is_empty() && !hidden {
        return Err(format!("{source:?} does not decode cleanly: {:?}", told.errors));
    }
    Ok(())
}

/// The first picture more than a millisecond off the constant rate, where there is one.
fn off_its_rate(source: &Source, told: &Facts) -> Option<usize> {
    if source.rate == axis::Rate::Variable || source.container == axis::Container::Avi {
        return None;
    }
    let (numerator, denominator) = source.rate.ratio().split_once('/').unwrap_or((source.rate.ratio(), "1"));
    let seconds: f64 = denominator.parse::<f64>().ok()? / numerator.parse::<f64>().ok()?;
    let off = |(at, time): (usize, &f64)| (time - told.times[0] - at as f64 * seconds).abs() > 0.001_001;
    told.times.iter().enumerate().position(off)
}

fn fingerprint(source: &Source) -> u64 {
    let mut hasher = DefaultHasher::new();
    for command in source.commands() {
        (command.program, command.arguments).hash(&mut hasher);
    }
    include_str!("../oracle/seamcheck.py").hash(&mut hasher);
    include_str!("../oracle/paff.py").hash(&mut hasher);
    hasher.finish()
}

/// Runs a command of the oracle's side from the top of the repository; what it says is the error.
pub fn run(command: &mut Command) -> Result<Vec<u8>, String> {
    let ran = command.current_dir(place::top()).stdin(std::process::Stdio::null()).output();
    let ran = ran.map_err(|e| format!("{command:?} does not start: {e}; `make setup` installs it"))?;
    if ran.status.success() {
        return Ok(ran.stdout);
    }
    let said = String::from_utf8_lossy(&ran.stderr).into_owned() + &String::from_utf8_lossy(&ran.stdout);
    Err(format!("{command:?} ended with {}: {said}", ran.status))
}
