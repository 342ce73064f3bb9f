//! `file://` URLs: every byte of a path survives the way there and back, whatever it is.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use framefleet_model::fault::{Fault, FaultKind};

const SCHEME: &str = "file://";

/// The URL of an absolute path.
pub fn of_path(path: &Path) -> String {
    let mut url = SCHEME.to_owned();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => url.push(byte.into()),
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

/// The path that a URL means. Only files for now; a host, a query or a fragment has no meaning for them.
pub fn to_path(url: &str) -> Result<PathBuf, Fault> {
    let refuse = |why: &str| Fault::new(FaultKind::Settings, format!("{url:?} {why}"));
    let Some(encoded) = url.strip_prefix(SCHEME) else {
        return Err(refuse("cannot be opened: file:///… can"));
    };
    if !encoded.starts_with('/') {
        return Err(refuse("names a host: file:/// and an absolute path is meant"));
    }
    let bytes = decode(encoded.as_bytes()).ok_or_else(|| refuse("has a % without two hexadecimal digits after it"))?;
    if bytes.contains(&0) {
        return Err(refuse("has a zero byte in its path"));
    }
    Ok(PathBuf::from(OsString::from_vec(bytes)))
}

fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.iter();
    while let Some(&byte) = rest.next() {
        let byte = if byte == b'%' { digit(*rest.next()?)? << 4 | digit(*rest.next()?)? } else { byte };
        bytes.push(byte);
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_path_survives_as_a_url(name in prop::collection::vec(1_u8.., 1..60)) {
            let path = Path::new("/").join(std::ffi::OsStr::from_bytes(&name));
            let url = of_path(&path);
            prop_assert!(url.is_ascii());
            prop_assert_eq!(to_path(&url).unwrap(), path);
        }
    }

    #[test]
    fn urls_are_read_as_people_write_them() {
        assert_eq!(to_path("file:///films/a%20b#1?.mov").unwrap(), Path::new("/films/a b#1?.mov"));
        assert_eq!(of_path(Path::new("/films/été 100%.mov")), "file:///films/%C3%A9t%C3%A9%20100%25.mov");
        for bad in
            ["s3://bucket/key", "file://host/film", "file:///a%2", "file:///a%zz", "file:///a%00", "film.mov", ""]
        {
            assert_eq!(to_path(bad).unwrap_err().kind, FaultKind::Settings, "{bad:?}");
        }
    }
}
