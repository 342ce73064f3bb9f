//! Those that steps speak to, and sources that lie with others.

use std::time::Duration;

use framefleet_model::fault::Fault;
use framefleet_model::step::life::Patience;
use framefleet_steps::cdn::Area;
use framefleet_steps::sql::Schema;
use framefleet_steps::webhook::Key;
use ipnet::IpNet;
use reqwest::Url;

use super::Credentials;
use super::raw::{Raw, RawCdn, RawDatabase, RawSteps, RawWebhook};
use super::reading::{Reading, text};
use super::secret::{Secret, ServerUrl};
use super::servers::AccessKey;
use crate::asked::steps::Names;

const TIMEOUT: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);
const TRIES_MAX: u32 = 100;
const HOUR: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug)]
pub struct TargetsConfig {
    pub webhooks: Vec<WebhookConfig>,
    pub databases: Vec<DatabaseConfig>,
    pub cdns: Vec<CdnConfig>,
    pub patience: Patience,
}

/// To hosts that others name.
#[derive(Clone, Debug)]
pub struct WayOut {
    /// Private networks that one may be sent to.
    pub allow: Vec<IpNet>,
    /// How long a source behind HTTP may be; none: there are no such sources.
    pub source_bytes_max: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct WebhookConfig {
    pub name: String,
    pub url: Secret,
    /// One or two.
    pub keys: Vec<Key>,
    pub timeout: Duration,
}

#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    pub name: String,
    pub url: ServerUrl,
    pub schema: Schema,
}

#[derive(Clone, Debug)]
pub struct CdnConfig {
    pub name: String,
    pub endpoint: Url,
    pub credentials: Credentials,
    /// With a slash at its end, as `url`.
    pub origin: String,
    pub url: String,
    pub area: Area,
}

impl TargetsConfig {
    /// Whom steps may speak to.
    pub fn names(&self) -> Names {
        Names {
            webhooks: self.webhooks.iter().map(|webhook| webhook.name.clone()).collect(),
            databases: self.databases.iter().map(|database| database.name.clone()).collect(),
            cdns: self.cdns.iter().map(|cdn| cdn.name.clone()).collect(),
        }
    }
}

pub(super) fn of(reading: &Reading<'_>, raw: &Raw) -> Result<TargetsConfig, Fault> {
    let targets = TargetsConfig {
        webhooks: each(&raw.webhooks, |at, raw| webhook(reading, at, raw))?,
        databases: each(&raw.databases, |at, raw| database(reading, at, raw))?,
        cdns: each(&raw.cdns, |at, raw| cdn(reading, at, raw))?,
        patience: patience(reading, &raw.steps)?,
    };
    once(reading, "webhooks", targets.webhooks.iter().map(|webhook| webhook.name.as_str()))?;
    once(reading, "databases", targets.databases.iter().map(|database| database.name.as_str()))?;
    once(reading, "cdns", targets.cdns.iter().map(|cdn| cdn.name.as_str()))?;
    Ok(targets)
}

fn each<R, C>(raw: &[R], one: impl Fn(usize, &R) -> Result<C, Fault>) -> Result<Vec<C>, Fault> {
    raw.iter().enumerate().map(|(at, raw)| one(at, raw)).collect()
}

fn once<'a>(reading: &Reading<'_>, section: &str, names: impl Iterator<Item = &'a str>) -> Result<(), Fault> {
    let mut known = std::collections::BTreeSet::new();
    for (at, name) in names.enumerate() {
        if !known.insert(name) {
            return Err(reading.refuse(text(&format!("{section}[{at}].name"), name), "is there twice"));
        }
    }
    Ok(())
}

fn webhook(reading: &Reading<'_>, at: usize, raw: &RawWebhook) -> Result<WebhookConfig, Fault> {
    let key = |name: &str| format!("webhooks[{at}].{name}");
    let scheme = reading.one_of(text(&key("http"), &raw.http), [("tls", "https"), ("plain", "http")])?;
    let url = reading.or_file(text(&key("url"), &raw.url), text(&key("url_file"), &raw.url_file))?;
    let form =
        || reading.refuse_key(&key("url"), format!("is no {scheme}://host/…, as http = {:?} wants it", raw.http));
    let parsed = Url::parse(&url).map_err(|_| form())?;
    if parsed.scheme() != scheme || parsed.host_str().is_none_or(str::is_empty) {
        return Err(form());
    }
    let secret = |name: &str, (own, file): (&str, &str)| {
        let (key, key_file) = (key(name), key(&[name, "_file"].concat()));
        let written = reading.or_file(text(&key, own), text(&key_file, file))?;
        let parsed = (!written.is_empty()).then(|| Key::parse(&written)).transpose();
        parsed.map_err(|why| reading.refuse_key(&key, why))
    };
    let first = secret("secret", (&raw.secret, &raw.secret_file))?;
    let first =
        first.ok_or_else(|| reading.refuse_key(&key("secret"), "is not set: nobody could believe the events"))?;
    let other = secret("other_secret", (&raw.other_secret, &raw.other_secret_file))?;
    Ok(WebhookConfig {
        name: reading.word(text(&key("name"), &raw.name))?,
        url: Secret::new(url),
        keys: [first].into_iter().chain(other).collect(),
        timeout: reading.duration(text(&key("timeout"), &raw.timeout), TIMEOUT)?,
    })
}

fn database(reading: &Reading<'_>, at: usize, raw: &RawDatabase) -> Result<DatabaseConfig, Fault> {
    let key = |name: &str| format!("databases[{at}].{name}");
    let url = reading.or_file(text(&key("url"), &raw.url), text(&key("url_file"), &raw.url_file))?;
    Ok(DatabaseConfig {
        name: reading.word(text(&key("name"), &raw.name))?,
        url: reading.server(text(&key("url"), &url), ["postgres", "postgresql"])?,
        schema: if raw.migrate { Schema::Made } else { Schema::Expected },
    })
}

fn cdn(reading: &Reading<'_>, at: usize, raw: &RawCdn) -> Result<CdnConfig, Fault> {
    let section = format!("cdns[{at}]");
    let key = |name: &str| format!("{section}.{name}");
    let scheme = reading.one_of(text(&key("http"), &raw.http), [("tls", "https"), ("plain", "http")])?;
    let endpoint = Url::parse(&raw.endpoint).ok().filter(|url| url.scheme() == scheme && url.path() == "/");
    let endpoint = endpoint.ok_or_else(|| {
        let why = format!("is not {scheme}://host, as http = {:?} wants it", raw.http);
        reading.refuse(text(&key("endpoint"), &raw.endpoint), why)
    })?;
    let below = |name: &str, value: &str, schemes: &[&str]| {
        let is_one =
            value.split_once("://").is_some_and(|(scheme, rest)| schemes.contains(&scheme) && !rest.is_empty());
        let refuse = || reading.refuse(text(&key(name), value), format!("begins with none of: {}", schemes.join(", ")));
        if is_one { Ok([value.trim_end_matches('/'), "/"].concat()) } else { Err(refuse()) }
    };
    let RawCdn { key_id, key_id_file, secret, secret_file, token, token_file, .. } = raw;
    let access = AccessKey { id: (key_id, key_id_file), secret: (secret, secret_file), token: (token, token_file) };
    let areas = [("domain", Area::Domain), ("domestic", Area::Domestic), ("overseas", Area::Overseas)];
    Ok(CdnConfig {
        name: reading.word(text(&key("name"), &raw.name))?,
        endpoint,
        credentials: access.read(reading, &section)?,
        origin: below("origin", &raw.origin, &["oss", "s3", "file"])?,
        url: below("url", &raw.url, &["https", "http"])?,
        area: reading.one_of(text(&key("area"), &raw.area), areas)?,
    })
}

fn patience(reading: &Reading<'_>, raw: &RawSteps) -> Result<Patience, Fault> {
    let first = reading.duration(text("steps.first_wait", &raw.first_wait), Duration::from_millis(100)..=HOUR)?;
    let longest = reading.duration(text("steps.longest_wait", &raw.longest_wait), first..=24 * HOUR)?;
    let millis = |wait: Duration| i64::try_from(wait.as_millis()).expect("a day is not long");
    Ok(Patience {
        tries_max: reading.number("steps.tries", raw.tries, 1..=TRIES_MAX)?,
        first_ms: millis(first),
        longest_ms: millis(longest),
    })
}

pub(super) fn way_out(reading: &Reading<'_>, raw: &Raw) -> Result<WayOut, Fault> {
    let bytes_max = reading.bytes(text("sources.http_bytes_max", &raw.sources.http_bytes_max))?;
    Ok(WayOut {
        allow: raw.egress.allow.iter().map(|network| allowed(reading, network)).collect::<Result<_, _>>()?,
        source_bytes_max: raw.sources.http.then_some(bytes_max),
    })
}

fn allowed(reading: &Reading<'_>, network: &str) -> Result<IpNet, Fault> {
    let parsed: Option<IpNet> = network.parse().ok().filter(|network: &IpNet| network.trunc() == *network);
    let why = "is no network such as 10.2.0.0/16 or fd12::/32";
    parsed.ok_or_else(|| reading.refuse(text("egress.allow", network), why))
}
