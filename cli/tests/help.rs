//! The help texts, word by word: they are what most people read of us. `UPDATE=1` writes them anew.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use clap::CommandFactory;
use framefleet_cli::args::Cli;

fn check(words: &[&str]) {
    let mut command = Cli::command().term_width(100);
    command.build();
    let found = words.iter().fold(&mut command, |command, word| command.find_subcommand_mut(word).expect("a command"));
    let text = found.render_help().to_string();
    let name = words.last().unwrap_or(&"framefleet");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &text).unwrap();
    }
    let known = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(known == text, "{} differs (UPDATE=1 writes it anew):\n{text}", file.display());
}

#[test]
fn help_is_as_it_was_reviewed() {
    check(&[]);
    for command in [
        "transcode",
        "thumbnails",
        "sprites",
        "gif",
        "plan",
        "probe",
        "sample",
        "doctor",
        "serve",
        "coordinator",
        "worker",
        "bridge",
        "submit",
        "jobs",
        "pipelines",
        "dead",
        "workers",
        "token",
        "recover",
        "sweep",
    ] {
        check(&[command]);
    }
}
