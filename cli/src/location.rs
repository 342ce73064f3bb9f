//! Where films are and go: a path or a URL as it was typed, made absolute, so that equal places are equal.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use framefleet_common::adapters::blob::url;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::percent;

/// Where a film is or an output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    url: String,
    /// Of a file: absolute, its folder without symbolic links. Of an object: its key.
    path: PathBuf,
}

/// Where places may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Files of this machine, by path or `file://` URL.
    Here,
    /// Files of this machine by path, anything by URL.
    Named,
    /// URLs alone: whoever reads them is elsewhere.
    Elsewhere,
}

impl Location {
    pub fn parse(text: &str, reach: Reach) -> Result<Self, Fault> {
        match (scheme(text), reach) {
            (None, Reach::Elsewhere) => Err(refused(format!("{text:?} is no URL such as file:///… or s3://bucket/…"))),
            (None | Some("file"), Reach::Here | Reach::Named) => Self::of_path(&typed_path(text)?),
            (Some("file"), Reach::Elsewhere) => Ok(Self::of_file(url::to_path(text)?)),
            (Some("s3" | "oss"), Reach::Named | Reach::Elsewhere) => Self::of_object(text),
            (Some("http" | "https"), Reach::Named | Reach::Elsewhere) => Self::of_web(text),
            (Some(scheme), Reach::Here) => Err(refused(format!("{text}: {scheme}:// is not one of: a path, file://"))),
            (Some(scheme), _) => Err(refused(format!("{text}: {scheme}:// is not one of: file://, s3://, oss://"))),
        }
    }

    /// `text` with `{stem}`, `{ext}` and `{dir}` standing for parts of `source`.
    pub fn parse_template(text: &str, source: &Self, reach: Reach) -> Result<Self, Fault> {
        if !text.contains('{') {
            return Self::parse(text, reach);
        }
        // In a URL parts stand as they stand in the source's own; in a path as they are.
        let filled = if scheme(text).is_some() || reach == Reach::Elsewhere {
            expand(text, Path::new(source.without_query()))?
        } else {
            expand(text, &source.path)?
        };
        Self::parse(&filled, reach)
    }

    /// What names its end: a file's path, an object's key.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is called in its bucket, or from the root of its host on, as it stands in a URL.
    pub fn key(&self) -> String {
        percent::encode(self.path.as_os_str().as_bytes()).trim_start_matches('/').to_owned()
    }

    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// As people call it.
    pub fn display(&self) -> String {
        match scheme(&self.url) {
            Some("file") => self.path.display().to_string(),
            _ => self.without_query().to_owned(),
        }
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
        Ok(Self::of_file(found.or_else(by_folder).unwrap_or(absolute)))
    }

    fn of_file(path: PathBuf) -> Self {
        Self { url: url::of_path(&path), path }
    }

    /// It lies with others, who let it be read.
    pub fn is_web(&self) -> bool {
        matches!(scheme(&self.url), Some("http" | "https"))
    }

    /// What is asked of a server behind the question mark is no part of a name.
    fn without_query(&self) -> &str {
        let end = if self.is_web() { self.url.find(['?', '#']) } else { None };
        end.map_or(&self.url, |end| &self.url[..end])
    }

    fn of_web(text: &str) -> Result<Self, Fault> {
        let url = reqwest::Url::parse(text).map_err(|e| refused(format!("the source's URL is none: {e}")))?;
        let path = percent::decode(url.path()).and_then(|path| String::from_utf8(path).ok()).unwrap_or_default();
        Ok(Self { url: url.to_string(), path: PathBuf::from(path) })
    }

    fn of_object(text: &str) -> Result<Self, Fault> {
        let (provider, bucket, key) = url::to_key(text)?;
        Ok(Self { url: url::of_key(provider, (&bucket, &key)), path: PathBuf::from(key) })
    }
}

/// What stands before `://`, if that is a scheme.
fn scheme(text: &str) -> Option<&str> {
    text.split_once("://").map(|(scheme, _)| scheme).filter(|scheme| is_scheme(scheme))
}

fn typed_path(text: &str) -> Result<PathBuf, Fault> {
    match (text, scheme(text)) {
        ("", _) => Err(refused("an empty name is no place of a file".to_owned())),
        (_, None) => Ok(PathBuf::from(text)),
        (_, Some(_)) => url::to_path(text),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// One pass: what stands for a part is not looked at again.
fn expand(template: &str, path: &Path) -> Result<String, Fault> {
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
        let source = Location::parse("/srv/in/a film.of 1.mov", Reach::Here).unwrap();
        let check = |template: &str, expect: &str| {
            let place =
                Location::parse_template(template, &source, Reach::Here).map(|l| l.path().display().to_string());
            assert_eq!(place.unwrap_or_else(|fault| fault.message), expect, "{template}");
        };
        check("/out/{stem}-small.mp4", "/out/a film.of 1-small.mp4");
        check("{dir}/x.{ext}.mkv", "/srv/in/x.mov.mkv");
        check("file:///out/{stem}.ts", "/out/a film.of 1.ts");
        check("/out/{name}.mp4", "{name} in \"/out/{name}.mp4\" is not one of: {stem}, {ext}, {dir}");
    }

    #[test]
    fn places_are_urls_that_read_back() {
        let place = Location::parse("/srv/100% new#1 ü.mov", Reach::Here).unwrap();
        assert_eq!(place.url(), "file:///srv/100%25%20new%231%20%C3%BC.mov");
        assert_eq!(Location::parse(&place.url(), Reach::Here).unwrap(), place);
        assert_eq!(
            Location::parse("s3://b/k", Reach::Here).unwrap_err().message,
            "s3://b/k: s3:// is not one of: a path, file://"
        );
        assert_eq!(Location::parse("file://host/k", Reach::Here).unwrap_err().kind, FaultKind::Settings);
    }

    #[test]
    fn urls_of_elsewhere_are_taken_as_they_stand() {
        let source = Location::parse("s3://media/in/a%20film.mov", Reach::Elsewhere).unwrap();
        assert_eq!((source.url().as_str(), source.path()), ("s3://media/in/a%20film.mov", Path::new("in/a film.mov")));
        let place = |to: &str| Location::parse_template(to, &source, Reach::Elsewhere).map(|place| place.url());
        assert_eq!(place("s3://out/{stem}.mp4"), Ok("s3://out/a%20film.mp4".to_owned()));
        assert_eq!(place("{dir}/{stem}-small.mp4"), Ok("s3://media/in/a%20film-small.mp4".to_owned()));
        let refused = |text: &str| Location::parse(text, Reach::Elsewhere).unwrap_err().message;
        assert_eq!(refused("film.mov"), "\"film.mov\" is no URL such as file:///… or s3://bucket/…");
        assert_eq!(refused("gs://b/k"), "gs://b/k: gs:// is not one of: file://, s3://, oss://");
        let web = Location::parse("https://films.example/in/a%20film.mov?token=x.y", Reach::Elsewhere).unwrap();
        let beside = Location::parse_template("s3://out/{stem}.mp4", &web, Reach::Elsewhere).unwrap();
        assert_eq!((beside.url().as_str(), web.is_web()), ("s3://out/a%20film.mp4", true));
        assert_eq!(web.display(), "https://films.example/in/a%20film.mov");
        let source = Location::parse("oss://media/源/a.mov", Reach::Elsewhere).unwrap();
        assert_eq!((source.url().as_str(), source.path()), ("oss://media/%E6%BA%90/a.mov", Path::new("源/a.mov")));
    }

    #[test]
    fn one_file_by_two_names_is_one_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.mp4");
        std::fs::write(&file, "a").unwrap();
        std::fs::create_dir(folder.path().join("b")).unwrap();
        std::os::unix::fs::symlink(&file, folder.path().join("link.mp4")).unwrap();
        let place = |name: &str| Location::parse(folder.path().join(name).to_str().unwrap(), Reach::Here).unwrap();
        assert_eq!(place("a.mp4"), place("b/../a.mp4"));
        assert!(place("link.mp4").is(&place("a.mp4")) && !place("new.mp4").is(&place("a.mp4")));
        assert_eq!(place("new.mp4"), place("b/../new.mp4"));
    }
}
