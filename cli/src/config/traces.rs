//! Where traces go, from text to values.

use framefleet_model::fault::Fault;
use framefleet_model::trace::Share;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

use super::raw::RawTelemetry;
use super::reading::{Reading, text};
use super::secret::Secret;

const PATH: &str = "/v1/traces";
const HEADERS_MAX: usize = 16;
const MILLION: f64 = 1e6;

#[derive(Clone, Debug)]
pub struct TracesConfig {
    /// The whole address.
    pub url: String,
    pub headers: Vec<(String, Secret)>,
    pub share: Share,
}

/// None: nothing is traced.
pub(super) fn of(reading: &Reading<'_>, raw: &RawTelemetry) -> Result<Option<TracesConfig>, Fault> {
    let share = share(reading, &raw.traces_share)?;
    let headers = headers(reading, &raw.traces_headers_file)?;
    if raw.traces_url.is_empty() {
        return Ok(None);
    }
    let value = text("telemetry.traces_url", &raw.traces_url);
    let url = Url::parse(&raw.traces_url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let plain = |url: &Url| url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let Some(mut url) = url.filter(|url| url.has_host() && url.fragment().is_none() && plain(url)) else {
        let why = "is no URL such as http://tempo:4318; secrets go into telemetry.traces_headers_file";
        // It may hold what it should not.
        return Err(reading.refuse_key(value.key, why));
    };
    if url.path() == "/" {
        url.set_path(PATH);
    }
    Ok(Some(TracesConfig { url: url.into(), headers, share }))
}

fn share(reading: &Reading<'_>, written: &str) -> Result<Share, Fault> {
    let value = text("telemetry.traces_share", written);
    let share = written.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    let share = share.ok_or_else(|| reading.refuse(value, "is no number within 0 to 1, such as 0.05"))?;
    Share::of_millionths((share * MILLION).round() as u32).map_err(|wrong| reading.refuse(value, wrong))
}

fn headers(reading: &Reading<'_>, path: &str) -> Result<Vec<(String, Secret)>, Fault> {
    let key = "telemetry.traces_headers_file";
    let written = reading.or_file(text(key, ""), text(key, path))?;
    let lines: Vec<&str> = written.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.len() > HEADERS_MAX {
        return Err(reading.refuse_key(key, format!("names a file of {} lines, {HEADERS_MAX} at most", lines.len())));
    }
    let refuse = |number: u32| reading.refuse_key(key, format!("line {number} is not `name: value`"));
    lines.iter().zip(1..).map(|(line, number)| header(line).ok_or_else(|| refuse(number))).collect()
}

fn header(line: &str) -> Option<(String, Secret)> {
    let (name, value) = line.split_once(':')?;
    let (name, value) = (name.trim().parse::<HeaderName>().ok()?, value.trim());
    HeaderValue::from_str(value).ok()?;
    Some((name.to_string(), Secret::new(value.to_owned())))
}
