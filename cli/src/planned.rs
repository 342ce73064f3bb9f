//! A plan as people are shown it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use framefleet_coordinator::ops::planned::{PlannedJson, PlannedWork};

use crate::render::{Table, or_dash};

pub fn table(planned: &PlannedJson) -> String {
    let film = &planned.film;
    let mut out = String::new();
    let size = or_dash(film.size);
    let video = or_dash(film.video.as_ref());
    let sounds: Vec<&str> = film.sounds.iter().map(|sound| sound.codec.as_str()).collect();
    let audio = if sounds.is_empty() { "-".to_owned() } else { sounds.join(" + ") };
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{}\n{}, {video} {size}, {audio}, {}\n", planned.source, film.container, film.duration);
    let mut segments = Table::new(["SEGMENT", "START", "END", "PICTURES", "CUT", "PRE-ROLL"]);
    for row in &planned.segments {
        let (start, end) = (row.start.to_string(), row.end.to_string());
        let pictures = or_dash(row.pictures);
        segments.row([row.number.to_string(), start, end, pictures, row.cut.to_owned(), row.preroll.to_string()]);
    }
    if !planned.segments.is_empty() {
        let _ = writeln!(out, "{segments}");
    }
    if let Some(why) = &planned.uncut {
        let _ = writeln!(out, "not cut: {why}\n");
    }
    let mut renditions = Table::new(["RENDITION", "SETTINGS"]);
    for rendition in &planned.renditions {
        renditions.row([format!("{} {}", rendition.kind, rendition.number), rendition.settings.clone()]);
    }
    let mut outputs = Table::new(["OUTPUT", "CONTAINER"]);
    for output in &planned.outputs {
        outputs.row([output.to.clone(), output.container.to_owned()]);
    }
    let _ = writeln!(out, "{renditions}\n{outputs}");
    for note in planned.outputs.iter().flat_map(|output| &output.notes) {
        let _ = writeln!(out, "note: {note}");
    }
    let _ = write!(out, "{}", tasks(&planned.tasks));
    out
}

/// `tasks: 12 encode (standard), 1 audio (standard), 1 merge (merge)`
fn tasks(tasks: &[PlannedWork]) -> String {
    let mut counts = BTreeMap::<(&str, &str), usize>::new();
    for task in tasks {
        let kind = task.id.split('-').next().unwrap_or_default();
        *counts.entry((kind, task.class.as_str())).or_default() += 1;
    }
    let counts = counts.iter().map(|((kind, class), count)| format!("{count} {kind} ({class})"));
    format!("tasks: {}\n", counts.collect::<Vec<_>>().join(", "))
}
