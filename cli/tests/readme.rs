//! README's tables of what goes in and out, which are the code's own. `UPDATE=1` writes it anew.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use framefleet_cli::asked::{Asked, AskedAudio, AskedOutput, AskedVideo};
use framefleet_cli::location::Reach;
use framefleet_cli::request::check;
use framefleet_media::reads::{READS, Reads};
use framefleet_model::holds::{HOLDS, Sounds};
use framefleet_model::media::{AudioCodec, VideoCodec};
use framefleet_model::pipeline::OnExisting;

const IN: &str = "<!-- what goes in: made by the code, see cli/tests/readme.rs -->\n";
const OUT: &str = "<!-- what goes out: made by the code, see cli/tests/readme.rs -->\n";
const END: &str = "<!-- end -->\n";

fn sources() -> String {
    let mut text = "| in | |\n|---|---|\n".to_owned();
    for (kind, called) in [(Reads::Container, "containers"), (Reads::Pictures, "pictures"), (Reads::Sound, "sound")] {
        let mut names: Vec<&str> = READS.iter().filter(|row| row.1 == kind).map(|row| row.2).collect();
        names.dedup();
        text.push_str(&format!("| {called} | {} |\n", names.join(", ")));
    }
    text
}

fn table() -> String {
    let mut text = "| container | file names | pictures | sound | sound tracks |\n|---|---|---|---|---|\n".to_owned();
    for row in &HOLDS {
        let names: Vec<String> = row.extensions.iter().map(|extension| format!(".{extension}")).collect();
        let video: Vec<&str> = row.video.iter().map(|codec| codec.name()).collect();
        let audio: Vec<&str> = row.audio.iter().map(|codec| codec.name()).collect();
        let pictures = if video.is_empty() { "–".to_owned() } else { first_bold(&video) };
        let names = if names.is_empty() { format!("`--container {}`", row.name) } else { names.join(" ") };
        let sounds = if row.sounds == Sounds::Several { "all" } else { "one" };
        text.push_str(&format!("| {} | {names} | {pictures} | {} | {sounds} |\n", row.name, first_bold(&audio)));
    }
    text
}

/// The first is the default.
fn first_bold(names: &[&str]) -> String {
    let (first, rest) = names.split_first().unwrap();
    [format!("**{first}**")]
        .into_iter()
        .chain(rest.iter().map(|name| (*name).to_owned()))
        .collect::<Vec<_>>()
        .join(", ")
}

#[test]
fn readme_says_what_the_code_takes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let mut text = std::fs::read_to_string(&file).unwrap();
    for (begin, table) in [(IN, sources()), (OUT, table())] {
        let from = text.find(begin).expect("README has the table's beginning") + begin.len();
        let to = from + text[from..].find(END).expect("README has the table's end");
        if std::env::var_os("UPDATE").is_some() {
            text.replace_range(from..to, &table);
            std::fs::write(&file, &text).unwrap();
        } else {
            assert!(text[from..to] == table, "README's table is old (UPDATE=1 writes it anew)");
        }
    }
}

fn asked(container: &str, video: Option<&str>, audio: Option<&str>) -> Asked {
    let output = AskedOutput {
        to: "/nowhere/out".to_owned(),
        container: Some(container.to_owned()),
        video: AskedVideo { codec: video.map(str::to_owned), ..AskedVideo::default() },
        audio: AskedAudio { codec: audio.map(str::to_owned), ..AskedAudio::default() },
        ..AskedOutput::default()
    };
    Asked { source: "/nowhere/in.mov".to_owned(), outputs: vec![output], ..Asked::default() }
}

#[test]
fn every_pair_outside_the_table_is_refused_with_what_would_do() {
    let said = |asked: &Asked| check(asked, (OnExisting::Fail, Reach::Here)).map_err(|fault| fault.message);
    for row in &HOLDS {
        for codec in VideoCodec::ALL {
            let made = said(&asked(row.name, Some(codec.name()), None));
            match row.video.contains(&codec) {
                true => assert!(made.is_ok(), "{made:?}"),
                false => {
                    let why = made.unwrap_err();
                    assert!(why.starts_with(&format!("{} holds no {}", row.name, codec.name())), "{why}");
                    assert!(row.video.iter().all(|known| why.contains(known.name())), "{why}");
                }
            }
        }
        for codec in AudioCodec::ALL {
            let made = said(&asked(row.name, None, Some(codec.name())));
            let why = made.err().unwrap_or_default();
            assert_eq!(why.is_empty(), row.audio.contains(&codec), "{} in {}: {why}", codec.name(), row.name);
        }
    }
}
