//! From text to values. Every refusal names the key, the value, the bound, and where the value came from.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use framefleet_model::fault::Fault;

use super::layers::Merged;
use super::secret::ServerUrl;
use crate::settings::refused;

const SECRET_FILE_BYTES_MAX: u64 = 64 << 10;
const NAME_BYTES_MAX: usize = 64;

/// A key with its text.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) key: &'a str,
    pub(super) text: &'a str,
}

pub(super) struct Reading<'a> {
    pub(super) merged: &'a Merged,
}

/// A key with its text, short enough for a table of them.
pub(super) fn text<'a>(key: &'a str, text: &'a str) -> Text<'a> {
    Text { key, text }
}

impl Reading<'_> {
    /// `store.replicas 99 is not within 0 to 16 (/etc/framefleet/framefleet.toml)`
    pub(super) fn refuse(&self, value: Text<'_>, why: impl Display) -> Fault {
        refused(format!("{} {:?} {why} ({})", value.key, value.text, self.merged.origin(value.key)))
    }

    /// For values that must not be shown, or are not there.
    pub(super) fn refuse_key(&self, key: &str, why: impl Display) -> Fault {
        refused(format!("{key} {why} ({})", self.merged.origin(key)))
    }

    pub(super) fn number(&self, key: &str, value: i64, bounds: RangeInclusive<u32>) -> Result<u32, Fault> {
        let within = u32::try_from(value).ok().filter(|value| bounds.contains(value));
        within.ok_or_else(|| {
            self.refuse_key(key, format!("{value} is not within {} to {}", bounds.start(), bounds.end()))
        })
    }

    pub(super) fn duration(&self, value: Text<'_>, bounds: RangeInclusive<Duration>) -> Result<Duration, Fault> {
        let parsed = parse_duration(value.text);
        let parsed = parsed.ok_or_else(|| self.refuse(value, "is no duration such as 500ms, 30s, 10m, 24h or 30d"))?;
        if bounds.contains(&parsed) {
            return Ok(parsed);
        }
        let (low, high) = (shown(*bounds.start()), shown(*bounds.end()));
        Err(self.refuse(value, format!("is not within {low} to {high}")))
    }

    pub(super) fn bytes(&self, value: Text<'_>) -> Result<u64, Fault> {
        let parsed = parse_bytes(value.text).filter(|bytes| *bytes > 0);
        parsed.ok_or_else(|| self.refuse(value, "is no number of bytes such as 8589934592, 512MiB or 64GiB, nor auto"))
    }

    pub(super) fn one_of<T, const N: usize>(&self, value: Text<'_>, known: [(&str, T); N]) -> Result<T, Fault> {
        let names = known.each_ref().map(|(name, _)| *name).join(", ");
        let found = known.into_iter().find(|(name, _)| *name == value.text).map(|(_, value)| value);
        found.ok_or_else(|| self.refuse(value, format!("is not one of: {names}")))
    }

    pub(super) fn address(&self, value: Text<'_>) -> Result<SocketAddr, Fault> {
        let parsed = value.text.parse();
        parsed.map_err(|_| self.refuse(value, "is no address and port such as 127.0.0.1:9090 or [::]:9090"))
    }

    pub(super) fn folder(&self, value: Text<'_>) -> Result<PathBuf, Fault> {
        let path = PathBuf::from(value.text);
        if path.is_absolute() { Ok(path) } else { Err(self.refuse(value, "is no absolute path")) }
    }

    /// A word that is part of names elsewhere: keys, queues, log lines.
    pub(super) fn word(&self, value: Text<'_>) -> Result<String, Fault> {
        let fits = (1..=NAME_BYTES_MAX).contains(&value.text.len())
            && value.text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        let refuse = || self.refuse(value, format!("is not 1 to {NAME_BYTES_MAX} of A-Z, a-z, 0-9, -, _ and ."));
        if fits { Ok(value.text.to_owned()) } else { Err(refuse()) }
    }

    /// A server's URL, which may hold a password and is therefore not repeated.
    pub(super) fn server(&self, value: Text<'_>, schemes: [&str; 2]) -> Result<ServerUrl, Fault> {
        let [plain, tls] = schemes;
        let url = ServerUrl::parse(value.text)
            .map_err(|e| self.refuse_key(value.key, format!("is no URL such as {plain}://host: {e}")))?;
        if schemes.contains(&url.scheme()) {
            return Ok(url);
        }
        let why = format!("begins with {}://, not with {plain}:// or {tls}://", url.scheme());
        Err(self.refuse_key(value.key, why))
    }

    /// The text itself, or that of the file which is named instead. Empty where neither is set.
    pub(super) fn or_file(&self, own: Text<'_>, file: Text<'_>) -> Result<String, Fault> {
        match (own.text, file.text) {
            (text, "") => Ok(text.to_owned()),
            ("", path) => self.file_text(file, Path::new(path)),
            (_, _) => {
                let other = format!("contradicts {} ({})", own.key, self.merged.origin(own.key));
                Err(self.refuse(file, other))
            }
        }
    }

    fn file_text(&self, value: Text<'_>, path: &Path) -> Result<String, Fault> {
        let refuse = |e: std::io::Error| self.refuse(value, format!("cannot be read: {e}"));
        if !path.is_absolute() {
            return Err(self.refuse(value, "is no absolute path"));
        }
        let size = std::fs::metadata(path).map_err(refuse)?.len();
        if size > SECRET_FILE_BYTES_MAX {
            let why = format!("holds {size} bytes, over the bound of {SECRET_FILE_BYTES_MAX}");
            return Err(self.refuse(value, why));
        }
        let text = std::fs::read_to_string(path).map_err(refuse)?;
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() { Err(self.refuse(value, "is empty")) } else { Ok(text.to_owned()) }
    }
}

/// `30s`; a number without a unit is none.
fn parse_duration(text: &str) -> Option<Duration> {
    let at = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let number: u64 = number.parse().ok()?;
    let (seconds, millis) = match unit {
        "ms" => (0, number),
        "s" => (number, 0),
        "m" => (number.checked_mul(60)?, 0),
        "h" => (number.checked_mul(3600)?, 0),
        "d" => (number.checked_mul(24 * 3600)?, 0),
        _ => return None,
    };
    Some(Duration::from_secs(seconds) + Duration::from_millis(millis))
}

fn shown(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    match seconds {
        _ if millis != 0 => format!("{}ms", duration.as_millis()),
        86_400.. if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        3_600.. if seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        60.. if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
    let unit = UNITS.into_iter().find_map(|(unit, bits)| Some((text.strip_suffix(unit)?, bits)));
    let (number, bits) = unit.unwrap_or((text, 0));
    let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| number.parse::<u64>().ok()?.checked_mul(1 << bits)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_have_units() {
        let millis = |text| parse_duration(text).map(|d| d.as_millis());
        assert_eq!(
            ["500ms", "30s", "10m", "24h", "30d"].map(millis),
            [500, 30_000, 600_000, 86_400_000, 2_592_000_000].map(Some)
        );
        assert_eq!(["", "30", "s", "1.5s", "-1s", "30 s", "99999999999999999999s", "30w"].map(millis), [None; 8]);
        for text in ["500ms", "30s", "10m", "24h", "30d", "90s"] {
            let again = shown(parse_duration(text).unwrap());
            assert_eq!(parse_duration(&again), parse_duration(text), "{again}");
        }
        assert_eq!(["1024", "1KiB", "2GiB", "1TiB"].map(parse_bytes), [1024, 1024, 2 << 30, 1 << 40].map(Some));
        assert_eq!(["", "GiB", "1.5GiB", "1GB", "-1", "99999999999TiB"].map(parse_bytes), [None; 6]);
    }
}
