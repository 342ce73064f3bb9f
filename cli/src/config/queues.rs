//! Queues that a bridge takes from.

use std::time::Duration;

use framefleet_bridge::bridge::Signature;
use framefleet_model::fault::Fault;
use reqwest::Url;

use super::QueueConfig;
use super::raw::RawQueue;
use super::reading::{Reading, text};
use super::servers::AccessKey;

/// Queues have no longer names.
const NAME_BYTES_MAX: usize = 120;
const WAIT_MIN: Duration = Duration::from_secs(1);
/// Queues wait no longer.
const WAIT_MAX: Duration = Duration::from_secs(30);

pub(super) fn queues(reading: &Reading<'_>, raw: &[RawQueue]) -> Result<Vec<QueueConfig>, Fault> {
    let mut all: Vec<QueueConfig> = Vec::new();
    for (at, raw) in raw.iter().enumerate() {
        let section = format!("bridge.queues[{at}]");
        let key = |name: &str| format!("{section}.{name}");
        let name_key = key("name");
        let name = name(reading, (&name_key, &raw.name))?;
        // Figures and routing keys tell queues apart by their names.
        if all.iter().any(|other| other.name == name) {
            return Err(reading.refuse(text(&name_key, &raw.name), "is there twice"));
        }
        let RawQueue { key_id, key_id_file, secret, secret_file, token, token_file, .. } = raw;
        let access = AccessKey { id: (key_id, key_id_file), secret: (secret, secret_file), token: (token, token_file) };
        all.push(QueueConfig {
            name,
            endpoint: endpoint(reading, (&section, raw))?,
            signature: signature(reading, (&section, raw))?,
            credentials: access.read(reading, &section)?,
            wait: reading.duration(text(&key("wait"), &raw.wait), WAIT_MIN..=WAIT_MAX)?,
        });
    }
    Ok(all)
}

fn name(reading: &Reading<'_>, (key, name): (&str, &str)) -> Result<String, Fault> {
    let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(letter);
    let refuse = || reading.refuse(text(key, name), format!("is not 1 to {NAME_BYTES_MAX} of A-Z, a-z, 0-9, - and _"));
    if fits { Ok(name.to_owned()) } else { Err(refuse()) }
}

fn endpoint(reading: &Reading<'_>, (section, raw): (&str, &RawQueue)) -> Result<String, Fault> {
    let (key, http_key) = (format!("{section}.endpoint"), format!("{section}.http"));
    let scheme = reading.one_of(text(&http_key, &raw.http), [("tls", "https"), ("plain", "http")])?;
    let refuse = |why: String| reading.refuse(text(&key, &raw.endpoint), why);
    let url = Url::parse(&raw.endpoint).map_err(|e| refuse(format!("is no URL: {e}")))?;
    let plain = url.username().is_empty() && url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if url.scheme() != scheme || url.host_str().is_none_or(str::is_empty) || !plain {
        let form = format!("{scheme}://<account>.mns.<region>.aliyuncs.com, as http = {:?} wants it", raw.http);
        return Err(refuse(format!("is not {form}")));
    }
    Ok(raw.endpoint.trim_end_matches('/').to_owned())
}

fn signature(reading: &Reading<'_>, (section, raw): (&str, &RawQueue)) -> Result<Signature, Fault> {
    let (key, region) = (format!("{section}.signature"), format!("{section}.region"));
    match (reading.one_of(text(&key, &raw.signature), [("v2", 2), ("v4", 4)])?, raw.region.as_str()) {
        (2, "") => Ok(Signature::V2),
        (2, set) => Err(reading.refuse(text(&region, set), "is of no use to signature v2")),
        (_, "") => match region_of(&raw.endpoint) {
            Some(region) => Ok(Signature::V4 { region }),
            None => {
                Err(reading.refuse_key(&region, "is not set, and signature v4 needs it: the endpoint does not say it"))
            }
        },
        (_, set) => Ok(Signature::V4 { region: reading.word(text(&region, set))? }),
    }
}

/// `https://1234567890.mns.cn-hangzhou-internal.aliyuncs.com` is in `cn-hangzhou`.
fn region_of(endpoint: &str) -> Option<String> {
    let url = Url::parse(endpoint).ok()?;
    let (_, rest) = url.host_str()?.split_once(".mns.")?;
    let region = rest.strip_suffix(".aliyuncs.com")?;
    let region = region.strip_suffix("-vpc").unwrap_or(region);
    Some(region.strip_suffix("-internal").unwrap_or(region).to_owned())
}
