//! Names of outputs with parts of their source in them: `s3://made/{date}/{stem}.mp4`.
//!
//! Text and values are both as they stand in URLs, so that nothing in a source's name can be taken for anything but a
//! name: a filled template lies below what stands before its first variable, whatever the source is called.

use std::fmt;

use crate::id::JobId;
use crate::percent;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// What a name may tell of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// The source's name without its extension.
    Stem,
    Ext,
    /// The source's folder in its bucket.
    Dir,
    /// The job's id.
    Job,
    /// The day on which the source was last changed, in UTC.
    Date,
}

/// What stands for the variables, as it stands in a URL.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    pub stem: &'a str,
    pub ext: &'a str,
    pub dir: &'a str,
    pub job: &'a JobId,
    pub date: &'a str,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("{{{name}}} in {template:?} is not one of: {{stem}}, {{ext}}, {{dir}}, {{job}}, {{date}}")]
    Unknown { name: String, template: String },
    #[error("{0:?} has a {{ without a }} after it")]
    Open(String),
    #[error("{0:?} has a % without two hexadecimal digits after it")]
    Encoding(String),
    #[error("{0:?} has nothing, . or .. between slashes")]
    Parts(String),
    #[error("{0:?} has a control character in it")]
    Control(String),
    #[error("{0:?} is no place such as s3://bucket/folder or file:///folder, with no variable in scheme and bucket")]
    Place(String),
}

/// A name that nothing can be written to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} has . or .. between slashes")]
pub struct Unnameable(pub String);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(Variable),
}

impl Template {
    /// A name below something else: no scheme, no slash at either end.
    pub fn of_name(text: &str) -> Result<Self, TemplateError> {
        let mut template = Self { parts: Vec::new() };
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, tail) = after.split_once('}').ok_or_else(|| TemplateError::Open(text.to_owned()))?;
            let variable = Variable::ALL.into_iter().find(|variable| variable.name() == name);
            let unknown = || TemplateError::Unknown { name: name.to_owned(), template: text.to_owned() };
            template.push(Part::Text(plain(before, text)?));
            template.push(Part::Variable(variable.ok_or_else(unknown)?));
            rest = tail;
        }
        template.push(Part::Text(plain(rest, text)?));
        let shown: String = template.parts.iter().map(Part::shown).collect();
        if shown.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(TemplateError::Parts(text.to_owned()));
        }
        Ok(template)
    }

    /// A folder that others lie below: `s3://bucket/…` or `file:///…`.
    pub fn of_folder(text: &str) -> Result<Self, TemplateError> {
        let bad = || TemplateError::Place(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(bad)?;
        let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
        if scheme.contains(['{', '}']) || bucket.contains(['{', '}']) || bucket.is_empty() != (scheme == "file") {
            return Err(bad());
        }
        let mut template = Self { parts: Vec::new() };
        template.push(Part::Text([scheme, "://", bucket].concat()));
        let folder = folder.trim_end_matches('/');
        Ok(if folder.is_empty() { template } else { template.below(&Self::of_name(folder)?) })
    }

    /// The name `other` below this folder.
    pub fn below(&self, other: &Self) -> Self {
        let mut joined = self.clone();
        joined.push(Part::Text("/".to_owned()));
        other.parts.iter().for_each(|part| joined.push(part.clone()));
        joined
    }

    /// What every name of it begins with.
    pub fn head(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            Some(Part::Variable(_)) | None => "",
        }
    }

    /// The folder that every name of it lies in or below, with a slash at its end.
    pub fn folder(&self) -> String {
        let whole = [self.head(), "/"].concat();
        match self.head().rsplit_once('/') {
            // What stands after the last slash may go on in many ways.
            Some((folder, _)) if !self.is_fixed() => [folder, "/"].concat(),
            Some(_) | None => whole,
        }
    }

    /// What every name of it ends with.
    pub fn tail(&self) -> &str {
        match self.parts.last() {
            Some(Part::Text(text)) => text,
            Some(Part::Variable(_)) | None => "",
        }
    }

    /// It is the same name for every source.
    pub fn is_fixed(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// A value that is empty takes the slash after it along.
    pub fn fill(&self, values: &Values<'_>) -> Result<String, Unnameable> {
        let filled: String = self.parts.iter().map(|part| part.filled(values)).collect();
        let (start, path) = filled.split_once("://").unwrap_or(("", &filled));
        let parts: Vec<&str> =
            path.split('/').enumerate().filter(|(at, p)| *at == 0 || !p.is_empty()).map(|(_, p)| p).collect();
        if parts.iter().any(|part| matches!(*part, "." | "..")) {
            return Err(Unnameable(filled));
        }
        let path = parts.join("/");
        Ok(if start.is_empty() { path } else { [start, "://", &path].concat() })
    }

    /// Neighbouring texts are one.
    fn push(&mut self, part: Part) {
        match (self.parts.last_mut(), part) {
            (_, Part::Text(text)) if text.is_empty() => {}
            (Some(Part::Text(last)), Part::Text(text)) => last.push_str(&text),
            (Some(Part::Text(_) | Part::Variable(_)) | None, part) => self.parts.push(part),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| f.write_str(&part.shown()))
    }
}

impl Part {
    fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Variable(variable) => format!("{{{}}}", variable.name()),
        }
    }

    fn filled<'a>(&'a self, values: &Values<'a>) -> &'a str {
        match self {
            Self::Text(text) => text,
            Self::Variable(Variable::Stem) => values.stem,
            Self::Variable(Variable::Ext) => values.ext,
            Self::Variable(Variable::Dir) => values.dir,
            Self::Variable(Variable::Job) => values.job.as_str(),
            Self::Variable(Variable::Date) => values.date,
        }
    }
}

impl Variable {
    pub const ALL: [Self; 5] = [Self::Stem, Self::Ext, Self::Dir, Self::Job, Self::Date];

    pub fn name(self) -> &'static str {
        match self {
            Self::Stem => "stem",
            Self::Ext => "ext",
            Self::Dir => "dir",
            Self::Job => "job",
            Self::Date => "date",
        }
    }
}

/// Text as people write it in a URL, in the one way that it is written here.
fn plain(text: &str, template: &str) -> Result<String, TemplateError> {
    let bytes = percent::decode(text).ok_or_else(|| TemplateError::Encoding(template.to_owned()))?;
    if bytes.iter().any(u8::is_ascii_control) {
        return Err(TemplateError::Control(template.to_owned()));
    }
    Ok(percent::encode(&bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(template: &Template, (stem, ext, dir): (&str, &str, &str)) -> Result<String, Unnameable> {
        let job = JobId::of_parts(&["a"]);
        let [stem, ext, dir] = [stem, ext, dir].map(|text| percent::encode(text.as_bytes()));
        template.fill(&Values { stem: &stem, ext: &ext, dir: &dir, job: &job, date: "2026-11-27" })
    }

    #[test]
    fn names_are_filled_from_the_source() {
        let folder = Template::of_folder("s3://made/web/{dir}/").unwrap();
        let check = |name: &str, expect: &str| {
            let name = folder.below(&Template::of_name(name).unwrap());
            assert_eq!(filled(&name, ("a film", "mov", "in/源")).unwrap(), expect);
        };
        check("{stem}.mp4", "s3://made/web/in/%E6%BA%90/a%20film.mp4");
        check("{date}/{ext}-{stem}.mp4", "s3://made/web/in/%E6%BA%90/2026-11-27/mov-a%20film.mp4");
        check("{job}.mp4", &format!("s3://made/web/in/%E6%BA%90/{}.mp4", JobId::of_parts(&["a"])));
        let name = folder.below(&Template::of_name("{stem}.mp4").unwrap());
        assert_eq!(filled(&name, ("a", "", "")).unwrap(), "s3://made/web/a.mp4");
        assert_eq!((name.head(), name.tail(), name.is_fixed()), ("s3://made/web/", ".mp4", false));
        let name = Template::of_folder("file:///").unwrap().below(&Template::of_name("{stem}.mp4").unwrap());
        assert_eq!(filled(&name, ("a", "", "")).unwrap(), "file:///a.mp4");
    }

    #[test]
    fn the_folder_of_a_template_is_what_no_value_leads_out_of() {
        let folder = |text: &str| Template::of_folder(text).unwrap().folder();
        for (text, expect) in [
            ("s3://made", "s3://made/"),
            ("s3://made/web/", "s3://made/web/"),
            ("s3://made/web/{dir}", "s3://made/web/"),
            ("s3://made/web{ext}", "s3://made/"),
            ("s3://made/w%65b/a-{stem}/b", "s3://made/web/"),
            ("file:///{dir}", "file:///"),
        ] {
            assert_eq!(folder(text), expect, "{text}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused_by_name() {
        let name = |text: &str| Template::of_name(text).unwrap_err().to_string();
        assert_eq!(name("{name}.mp4"), "{name} in \"{name}.mp4\" is not one of: {stem}, {ext}, {dir}, {job}, {date}");
        assert_eq!(name("{stem.mp4"), "\"{stem.mp4\" has a { without a } after it");
        assert_eq!(name("100%.mp4"), "\"100%.mp4\" has a % without two hexadecimal digits after it");
        for bad in ["", "/a.mp4", "a//b", "../{stem}", "a/%2e%2e/b", "a/./b", "{stem}/"] {
            assert!(name(bad).ends_with("has nothing, . or .. between slashes"), "{bad:?}");
        }
        assert!(name("a%0ab").ends_with("control character in it"));
        for bad in ["made", "s3://{dir}/made", "{ext}://made", "s3:///made", "file://host/made"] {
            let text = Template::of_folder(bad).unwrap_err().to_string();
            assert!(text.ends_with("no variable in scheme and bucket"), "{bad:?}: {text}");
        }
    }

    #[test]
    fn parts_that_values_make_up_are_looked_at_again() {
        let name = Template::of_folder("s3://made/web").unwrap().below(&Template::of_name("{stem}/.{ext}./a").unwrap());
        assert_eq!(filled(&name, ("a", "", "")), Err(Unnameable("s3://made/web/a/../a".to_owned())));
        assert!(filled(&name, ("a", "b", "")).is_ok());
    }

    proptest! {
        #[test]
        fn no_source_leads_out_of_the_folder(stem in "[^/\0]{0,12}", ext in "[^/\0.]{0,6}", dir in "([^/\0]{1,6}/){0,3}[^/\0]{1,6}") {
            let name = Template::of_folder("s3://made/web/{date}").unwrap();
            let name = name.below(&Template::of_name("{dir}/{stem}{ext}.mp4").unwrap());
            let Ok(url) = filled(&name, (&stem, &ext, &dir)) else { return Ok(()) };
            prop_assert!(url.starts_with("s3://made/web/2026-11-27/") && url.ends_with(".mp4"), "{url}");
            prop_assert!(url.is_ascii() && !url.split('/').skip(3).any(|part| matches!(part, "" | "." | "..")), "{url}");
            prop_assert!(!url.contains(['{', '}', '?', '#', ' ']), "{url}");
        }
    }
}
