//! The repository's own files, as text.

use std::collections::BTreeSet;
use std::path::Path;

use crate::place;

pub(super) const WORKSPACE: &str = "Cargo.toml";
pub(super) const SENT_TO_THE_IMAGE: &str = ".dockerignore";

/// A file by its path from the top of the repository.
#[derive(Clone, Debug)]
pub struct File {
    pub path: String,
    pub text: String,
}

pub struct Tree {
    pub files: Vec<File>,
}

impl File {
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().expect("a split has at least one part")
    }

    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Tests may be longer and may do what pure code may not.
    pub fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/") || self.name() == "tests.rs"
    }
}

impl Tree {
    pub fn of_repository() -> Self {
        let mut files = Vec::new();
        for name in [WORKSPACE, SENT_TO_THE_IMAGE, "ARCHITECTURE.md"] {
            if let Ok(text) = std::fs::read_to_string(place::top().join(name)) {
                files.push(File { path: name.into(), text });
            }
        }
        let workspace = files.iter().find(|file| file.path == WORKSPACE).map(|file| file.text.clone());
        for folder in top_folders(&workspace.unwrap_or_default()) {
            collect(&place::top().join(folder), folder, &mut files);
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { files }
    }

    /// A tree of one file, to see a rule fail.
    pub fn with(path: &str, text: &str) -> Self {
        Self { files: vec![File { path: path.into(), text: text.into() }] }
    }

    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_rust())
    }

    pub fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a File> {
        self.rust().filter(move |file| file.path.starts_with(folder))
    }

    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// Of the packages that a workspace's manifest lists, each once.
pub(super) fn top_folders(manifest: &str) -> BTreeSet<&str> {
    let members = manifest.split_once("members = [").and_then(|(_, rest)| rest.split_once(']'));
    let names = members.map(|(list, _)| list).unwrap_or_default().split('"').skip(1).step_by(2);
    names.filter_map(|name| name.split('/').next()).collect()
}

fn collect(folder: &Path, path: &str, files: &mut Vec<File>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let below = format!("{path}/{name}");
        if entry.path().is_dir() {
            collect(&entry.path(), &below, files);
        } else if (name.ends_with(".rs") || name == "Cargo.toml")
            && let Ok(text) = std::fs::read_to_string(entry.path())
        {
            files.push(File { path: below, text });
        }
    }
}
