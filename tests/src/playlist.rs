//! Playlists taken apart, as a player does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The attributes of a tag's list, as they are written.
pub type Attributes = BTreeMap<String, String>;

/// The tags and the URIs of a playlist.
pub struct Playlist {
    pub folder: PathBuf,
    pub lines: Vec<String>,
}

impl Playlist {
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(text.starts_with("#EXTM3U\n"), "{text}");
        let folder = path.parent().expect("a playlist lies in a folder").to_owned();
        Self { folder, lines: text.lines().map(str::to_owned).collect() }
    }

    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags(name).next()
    }

    pub fn tags(&self, name: &str) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(move |line| line.strip_prefix(name)?.strip_prefix(':'))
    }

    /// What follows each tag of this name: its value, and the file on the next line that is no tag.
    pub fn entries(&self, tag: &str) -> Vec<(String, PathBuf)> {
        let found = self.lines.iter().enumerate().filter_map(|(at, line)| {
            let value = line.strip_prefix(tag)?.strip_prefix(':')?;
            let file = self.lines[at..].iter().find(|line| !line.starts_with('#'))?;
            Some((value.to_owned(), self.folder.join(file)))
        });
        found.collect()
    }
}

/// `A=1,B="x,y"` taken apart.
pub fn attributes(list: &str) -> Attributes {
    let (mut found, mut rest) = (Attributes::new(), list);
    while let Some((key, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').expect("a quote is closed"),
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        found.insert(key.to_owned(), value.to_owned());
        rest = after.strip_prefix(',').unwrap_or_default();
    }
    found
}

/// Of an `EXTINF`.
pub fn seconds(extinf: &str) -> f64 {
    extinf.trim_end_matches(',').parse().unwrap_or_else(|e| panic!("{extinf}: {e}"))
}
