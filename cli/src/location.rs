//! Where films are and go: a path or a `file://` URL as it was typed, made absolute, so that equal places are equal.

use std::path::{Path, PathBuf};

use framefleet_common::adapters::blob::url;
use framefleet_model::fault::{Fault, FaultKind};

/// A file's place: absolute, its folder without symbolic links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    path: PathBuf,
}

impl Location {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        Self::of_path(&typed_path(text)?)
    }

    /// `text` with `{stem}`, `{ext}` and `{dir}` standing for parts of `source`.
    pub fn parse_template(text: &str, source: &Self) -> Result<Self, Fault> {
        let path = typed_path(text)?;
        let Some(template) = path.to_str().filter(|text| text.contains('{')) else { return Self::of_path(&path) };
        Self::of_path(Path::new(&expand(template, source)?))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn url(&self) -> String {
        url::of_path(&self.path)
    }

    /// The same file, be it by another name.
    pub fn is(&self, other: &Self) -> bool {
        self == other || std::fs::canonicalize(&self.path).is_ok_and(|path| path == other.path)
    }

    fn of_path(path: &Path) -> Result<Self, Fault> {
        let absolute = std::path::absolute(path).map_err(|e| refused(format!("{:?}: {e}", path.display())))?;
        let found = std::fs::canonicalize(&absolute).ok().filter(|_| !absolute.is_symlink());
        let by_folder = || {
            let folder = std::fs::canonicalize(absolute.parent()?).ok()?;
            Some(folder.join(absolute.file_name()?))
        };
        Ok(Self { path: found.or_else(by_folder).unwrap_or(absolute) })
    }
}

fn typed_path(text: &str) -> Result<PathBuf, Fault> {
    let Some((scheme, _)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
        if text.is_empty() {
            return Err(refused("an empty name is no place of a file".to_owned()));
        }
        return Ok(PathBuf::from(text));
    };
    if scheme != "file" {
        return Err(refused(format!("{text}: {scheme}:// is not one of: a path, file://")));
    }
    url::to_path(text)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// One pass: what stands for a part is not looked at again.
fn expand(template: &str, source: &Location) -> Result<String, Fault> {
    let path = source.path();
    let (mut out, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once('{') {
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        let part = match name {
            "stem" => path.file_stem(),
            "ext" => Some(path.extension().unwrap_or_default()),
            "dir" => path.parent().map(Path::as_os_str),
            _ => return Err(refused(format!("{{{name}}} in {template:?} is not one of: {{stem}}, {{ext}}, {{dir}}"))),
        };
        let part = part.and_then(|part| part.to_str());
        let part = part.ok_or_else(|| refused(format!("{{{name}}} of {} is not UTF-8", path.display())))?;
        out.push_str(before);
        out.push_str(part);
        rest = tail;
    }
    Ok(out + rest)
}

fn refused(message: String) -> Fault {
    Fault::new(FaultKind::Settings, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_from_the_source() {
        let source = Location::parse("/srv/in/a film.of 1.mov").unwrap();
        let check = |template: &str, expect: &str| {
            let place = Location::parse_template(template, &source).map(|l| l.path().display().to_string());
            assert_eq!(place.unwrap_or_else(|fault| fault.message), expect, "{template}");
        };
        check("/out/{stem}-small.mp4", "/out/a film.of 1-small.mp4");
        check("{dir}/x.{ext}.mkv", "/srv/in/x.mov.mkv");
        check("file:///out/{stem}.ts", "/out/a film.of 1.ts");
        check("/out/{name}.mp4", "{name} in \"/out/{name}.mp4\" is not one of: {stem}, {ext}, {dir}");
    }

    #[test]
    fn places_are_urls_that_read_back() {
        let place = Location::parse("/srv/100% new#1 ü.mov").unwrap();
        assert_eq!(place.url(), "file:///srv/100%25%20new%231%20%C3%BC.mov");
        assert_eq!(Location::parse(&place.url()).unwrap(), place);
        assert_eq!(Location::parse("s3://b/k").unwrap_err().message, "s3://b/k: s3:// is not one of: a path, file://");
        assert_eq!(Location::parse("file://host/k").unwrap_err().kind, FaultKind::Settings);
    }

    #[test]
    fn one_file_by_two_names_is_one_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.mp4");
        std::fs::write(&file, "a").unwrap();
        std::fs::create_dir(folder.path().join("b")).unwrap();
        std::os::unix::fs::symlink(&file, folder.path().join("link.mp4")).unwrap();
        let place = |name: &str| Location::parse(folder.path().join(name).to_str().unwrap()).unwrap();
        assert_eq!(place("a.mp4"), place("b/../a.mp4"));
        assert!(place("link.mp4").is(&place("a.mp4")) && !place("new.mp4").is(&place("a.mp4")));
        assert_eq!(place("new.mp4"), place("b/../new.mp4"));
    }
}
