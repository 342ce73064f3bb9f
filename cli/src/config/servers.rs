//! Where store, broker and objects are, and how they are reached.

use framefleet_common::adapters::blob::url;
use framefleet_model::event::Provider;
use framefleet_model::fault::Fault;
use reqwest::Url;

use super::raw::{RawBroker, RawStorage, RawStore, RawWork};
use super::reading::{Reading, text};
use super::secret::{Secret, ServerUrl};
use super::{
    Addressing, BrokerConfig, Credentials, Durability, Endpoint, StorageConfig, StoreConfig, StoreServer, Topology,
};

const REPLICAS_MAX: u32 = 16;
/// Where servers that know no regions believe to be.
const AMAZONS_FIRST: &str = "us-east-1";

pub(super) fn store(reading: &Reading<'_>, raw: &RawStore) -> Result<StoreConfig, Fault> {
    let known = [("required", Durability::Required), ("waived", Durability::Waived)];
    Ok(StoreConfig {
        server: store_server(reading, raw)?,
        prefix: reading.word(text("store.prefix", &raw.prefix))?,
        replicas: reading.number("store.replicas", raw.replicas, 0..=REPLICAS_MAX)?,
        durability: reading.one_of(text("store.durability", &raw.durability), known)?,
    })
}

fn store_server(reading: &Reading<'_>, raw: &RawStore) -> Result<StoreServer, Fault> {
    let written = reading.or_file(text("store.url", &raw.url), text("store.url_file", &raw.url_file))?;
    if written.is_empty() {
        return Err(
            reading.refuse_key("store.url", "is not set: a role of a fleet needs redis://host or rediss://host")
        );
    }
    let url = reading.server(text("store.url", &written), ["redis", "rediss"])?;
    let login = sentinel_login(reading, raw)?;
    match (raw.sentinels.as_slice(), raw.primary.as_str()) {
        ([], "") if login.is_some() => {
            Err(reading.refuse_key("store.sentinel_password", "is of store.sentinels, which are not set"))
        }
        ([], "") => Ok(StoreServer::Known(url)),
        ([], primary) => Err(reading.refuse(text("store.primary", primary), "has no store.sentinels to be asked for")),
        (_, "") => Err(reading.refuse_key("store.sentinels", "are to be asked for store.primary, which is not set")),
        (sentinels, primary) => {
            let with_login = |sentinel: ServerUrl| match &login {
                Some((user, password)) => sentinel.with_login(user, password),
                None => sentinel,
            };
            let sentinels = sentinels.iter().map(|one| Ok(with_login(self::sentinel(reading, one)?)));
            let sentinels = sentinels.collect::<Result<_, Fault>>()?;
            Ok(StoreServer::Elected { sentinels, primary: primary.to_owned(), url })
        }
    }
}

fn sentinel_login(reading: &Reading<'_>, raw: &RawStore) -> Result<Option<(String, Secret)>, Fault> {
    const KEY: &str = "store.sentinel_password";
    let file = text("store.sentinel_password_file", &raw.sentinel_password_file);
    let password = reading.or_file(text(KEY, &raw.sentinel_password), file)?;
    match (raw.sentinel_user.as_str(), password.is_empty()) {
        ("", true) => Ok(None),
        (user, true) => Err(reading.refuse(text("store.sentinel_user", user), "has no store.sentinel_password")),
        (user, false) => Ok(Some((user.to_owned(), Secret::new(password)))),
    }
}

/// `redis-1:26379`, `rediss://redis-1:26379`. A password in it would be shown with the rest of the list.
fn sentinel(reading: &Reading<'_>, written: &str) -> Result<ServerUrl, Fault> {
    let refuse = |why: &str| reading.refuse_key("store.sentinels", why);
    if written.contains(['@', '?']) {
        return Err(refuse("hold a login: it belongs into store.sentinel_user and store.sentinel_password_file"));
    }
    let url = if written.contains("://") { written.to_owned() } else { ["redis://", written].concat() };
    let place = url.strip_prefix("redis://").or_else(|| url.strip_prefix("rediss://"));
    let parts = place.and_then(|place| place.rsplit_once(':')).filter(|(host, _)| !host.contains('/'));
    let port = parts.and_then(|(_, port)| port.parse::<u16>().ok()).filter(|port| *port > 0);
    let found = port.and_then(|_| ServerUrl::parse(&url).ok());
    let why = "is no host and port such as redis-1:26379 or, for TLS, rediss://redis-1:26379";
    found.ok_or_else(|| reading.refuse(text("store.sentinels", written), why))
}

pub(super) fn broker(reading: &Reading<'_>, raw: &RawBroker) -> Result<BrokerConfig, Fault> {
    let written = reading.or_file(text("broker.url", &raw.url), text("broker.url_file", &raw.url_file))?;
    if written.is_empty() {
        return Err(reading.refuse_key("broker.url", "is not set: a role of a fleet needs amqp://host or amqps://host"));
    }
    Ok(BrokerConfig {
        url: reading.server(text("broker.url", &written), ["amqp", "amqps"])?,
        prefix: reading.word(text("broker.prefix", &raw.prefix))?,
        topology: if raw.declare { Topology::Declared } else { Topology::Expected },
    })
}

pub(super) fn work(reading: &Reading<'_>, raw: &RawWork, storage: &[StorageConfig]) -> Result<String, Fault> {
    let value = text("work.url", &raw.url);
    match raw.url.split_once("://") {
        None if raw.url.is_empty() => {
            return Err(reading.refuse_key(
                "work.url",
                "is not set: a role of a fleet needs file:///…, s3://bucket/… or oss://bucket/…",
            ));
        }
        Some(("file", _)) => drop(url::to_path(&raw.url).map_err(|fault| reading.refuse(value, fault.message))?),
        Some(("s3" | "oss", _)) => {
            let (provider, bucket, key) = bucket_and_key(&raw.url).map_err(|why| reading.refuse(value, why))?;
            if !storage.iter().any(|storage| storage.provider == provider && storage.holds(&bucket, &key)) {
                return Err(reading.refuse(value, "is in no [[storage]]"));
            }
        }
        _ => return Err(reading.refuse(value, "is neither file:///…, s3://bucket/… nor oss://bucket/…")),
    }
    Ok(raw.url.clone())
}

/// Buckets, and folders of this machine.
pub(super) fn storage(reading: &Reading<'_>, raw: &[RawStorage]) -> Result<(Vec<StorageConfig>, Vec<String>), Fault> {
    let (mut all, mut folders): (Vec<StorageConfig>, _) = (Vec::new(), Vec::new());
    for (at, raw) in raw.iter().enumerate() {
        if raw.url.starts_with("file://") {
            let key = format!("storage[{at}].url");
            url::to_path(&raw.url).map_err(|fault| reading.refuse(text(&key, &raw.url), fault.message))?;
            folders.push(raw.url.clone());
            continue;
        }
        let one = Entry { reading, at, raw }.checked()?;
        let place = |one: &StorageConfig| (one.provider, one.bucket.clone(), one.prefix.clone());
        if all.iter().any(|other| place(other) == place(&one)) {
            let key = format!("storage[{at}].url");
            return Err(reading.refuse(text(&key, &raw.url), "is there twice"));
        }
        all.push(one);
    }
    Ok((all, folders))
}

impl StorageConfig {
    /// Whether an object, or a folder of objects, lies in it.
    pub fn holds(&self, bucket: &str, key: &str) -> bool {
        let rest = key.strip_prefix(self.prefix.as_str());
        let inside = rest.is_some_and(|rest| self.prefix.is_empty() || rest.is_empty() || rest.starts_with('/'));
        self.bucket == bucket && inside
    }
}

/// One `[[storage]]`.
struct Entry<'a> {
    reading: &'a Reading<'a>,
    at: usize,
    raw: &'a RawStorage,
}

impl Entry<'_> {
    fn checked(&self) -> Result<StorageConfig, Fault> {
        let named = bucket_and_key(&self.raw.url).map_err(|why| self.refuse("url", &self.raw.url, why))?;
        let (provider, bucket, prefix) = named;
        let addressing = self.addressing(provider)?;
        let endpoint = self.endpoint(&bucket, addressing)?;
        let region = match (self.raw.region.as_str(), provider) {
            ("", Provider::S3) => AMAZONS_FIRST.to_owned(),
            ("", Provider::Oss) => {
                let why = "is not set: oss:// needs one, such as cn-hangzhou";
                return Err(self.reading.refuse_key(&self.key("region"), why));
            }
            (region, _) => self.reading.word(text(&self.key("region"), region))?,
        };
        let credentials = self.credentials()?;
        Ok(StorageConfig { provider, bucket, prefix, endpoint, region, credentials, addressing })
    }

    fn key(&self, name: &str) -> String {
        format!("storage[{}].{name}", self.at)
    }

    fn refuse(&self, name: &str, value: &str, why: impl std::fmt::Display) -> Fault {
        self.reading.refuse(text(&self.key(name), value), why)
    }

    fn addressing(&self, provider: Provider) -> Result<Addressing, Fault> {
        let own = if provider == Provider::Oss { Addressing::Virtual } else { Addressing::Path };
        let known = [("auto", own), ("path", Addressing::Path), ("virtual", Addressing::Virtual)];
        let addressing = self.reading.one_of(text(&self.key("addressing"), &self.raw.addressing), known)?;
        if (provider, addressing) == (Provider::Oss, Addressing::Path) {
            return Err(self.refuse("addressing", &self.raw.addressing, "is what OSS forbids: virtual is meant"));
        }
        Ok(addressing)
    }

    fn endpoint(&self, bucket: &str, addressing: Addressing) -> Result<Endpoint, Fault> {
        let RawStorage { endpoint, http, .. } = self.raw;
        let refuse = |why: String| self.refuse("endpoint", endpoint, why);
        let plain = self.reading.one_of(text(&self.key("http"), http), [("tls", "https"), ("plain", "http")])?;
        if endpoint.is_empty() {
            return match plain {
                "http" => Err(self.refuse("http", http, "needs an endpoint that begins with http://")),
                _ => Ok(Endpoint::Provider),
            };
        }
        let url = Url::parse(endpoint).map_err(|e| refuse(format!("is no URL: {e}")))?;
        let host = url.host_str().unwrap_or_default();
        if url.scheme() != plain || host.is_empty() || !url.username().is_empty() || url.path() != "/" {
            return Err(refuse(format!("is not {plain}://host or {plain}://host:port, as http = {http:?} wants it")));
        }
        if addressing == Addressing::Virtual && !host.starts_with(&format!("{bucket}.")) {
            return Err(refuse(format!("does not begin with {bucket}., as virtual addressing wants it")));
        }
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        Ok(if plain == "http" { Endpoint::Plain(endpoint) } else { Endpoint::Tls(endpoint) })
    }

    fn credentials(&self) -> Result<Credentials, Fault> {
        let RawStorage { key_id, key_id_file, secret, secret_file, token, token_file, .. } = self.raw;
        let section = format!("storage[{}]", self.at);
        let access = AccessKey { id: (key_id, key_id_file), secret: (secret, secret_file), token: (token, token_file) };
        access.read(self.reading, &section)
    }
}

/// An access key as it is written: each part itself, or the file that holds it.
pub(super) struct AccessKey<'a> {
    pub(super) id: (&'a str, &'a str),
    pub(super) secret: (&'a str, &'a str),
    pub(super) token: (&'a str, &'a str),
}

impl AccessKey<'_> {
    pub(super) fn read(self, reading: &Reading<'_>, section: &str) -> Result<Credentials, Fault> {
        let read = |name: &str, (own, file): (&str, &str)| {
            let (key, key_file) = (format!("{section}.{name}"), format!("{section}.{name}_file"));
            reading.or_file(text(&key, own), text(&key_file, file))
        };
        let (id, secret, token) = (read("key_id", self.id)?, read("secret", self.secret)?, read("token", self.token)?);
        let refuse = |name: &str, why: &str| Err(reading.refuse_key(&format!("{section}.{name}"), why));
        match (id.as_str(), secret.as_str(), token.as_str()) {
            ("", "", "") => Ok(Credentials::Machine),
            ("", _, _) => refuse("key_id", "is not set, and its secret or token is"),
            (_, "", _) => refuse("secret", "is not set, and its key_id is"),
            (_, _, "") => Ok(Credentials::Key { id, secret: Secret::new(secret) }),
            (_, _, token) => {
                Ok(Credentials::Temporary { id, secret: Secret::new(secret), token: Secret::new(token.to_owned()) })
            }
        }
    }
}

/// `s3://bucket/key`, with or without a slash at its end.
fn bucket_and_key(text: &str) -> Result<(Provider, String, String), String> {
    const FORM: &str = "is not s3://bucket, s3://bucket/…, oss://bucket, oss://bucket/… or file:///folder";
    let (scheme, rest) = text.split_once("://").ok_or(FORM)?;
    let provider = Provider::of_scheme(scheme).ok_or(FORM)?;
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    let fits = (3..=63).contains(&bucket.len())
        && bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    if !fits {
        return Err(format!("{FORM}: a bucket's name is 3 to 63 of a-z, 0-9, - and ."));
    }
    let key = key.trim_end_matches('/');
    if key.starts_with('/') || key.split('/').any(|part| part == ".." || part == ".") || key.contains("//") {
        return Err("has an empty part, . or .. in its path".to_owned());
    }
    Ok((provider, bucket.to_owned(), key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::Told;
    use super::super::layers::Merged;
    use super::*;

    /// The sentinels of such variables of `[store]`, with their secrets, or why they are refused.
    fn sentinels(variables: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let always = [("URL", "rediss://:hunter2@unused"), ("PRIMARY", "main")];
        let environment = always.iter().chain(variables);
        let environment = environment.map(|(name, value)| (format!("FRAMEFLEET__STORE__{name}"), (*value).to_owned()));
        let told =
            Told { system: "/nowhere".into(), file: None, environment: environment.collect(), flags: Vec::new() };
        let merged = Merged::of(&told).unwrap();
        let server = store_server(&Reading { merged: &merged }, &merged.raw().unwrap().store);
        match server.map_err(|fault| fault.message)? {
            StoreServer::Elected { sentinels, .. } => Ok(sentinels.iter().map(|one| one.expose().to_owned()).collect()),
            StoreServer::Known(url) => panic!("{url}"),
        }
    }

    #[test]
    fn sentinels_have_a_scheme_and_a_login_of_their_own() {
        let two = ("SENTINELS", "a:1,rediss://b:2");
        assert_eq!(sentinels(&[two]).unwrap(), ["redis://a:1", "rediss://b:2"]);
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("password");
        std::fs::write(&file, "hunter2\n").unwrap();
        let file = ("SENTINEL_PASSWORD_FILE", file.to_str().unwrap());
        assert_eq!(sentinels(&[two, file]).unwrap(), ["redis://:hunter2@a:1", "rediss://:hunter2@b:2"]);
        let user = ("SENTINEL_USER", "we");
        assert_eq!(sentinels(&[two, file, user]).unwrap(), ["redis://we:hunter2@a:1", "rediss://we:hunter2@b:2"]);
    }

    #[test]
    fn sentinels_that_are_none_are_refused_and_no_password_is_shown() {
        let two = ("SENTINELS", "a:1,b:2");
        let password = ("SENTINEL_PASSWORD", "hunter2");
        for (variables, why) in [
            (&[("SENTINELS", "a")][..], "store.sentinels \"a\" is no host and port such as redis-1:26379 or, for TLS,"),
            (&[("SENTINELS", "http://a:1")], "store.sentinels \"http://a:1\" is no host and port"),
            (&[("SENTINELS", "rediss://a:1/2")], "store.sentinels \"rediss://a:1/2\" is no host and port"),
            (&[("SENTINELS", "rediss://:hunter2@a:1")], "store.sentinels hold a login: it belongs into"),
            (&[two, ("SENTINEL_USER", "we")], "store.sentinel_user \"we\" has no store.sentinel_password"),
            (&[two, password, ("SENTINEL_PASSWORD_FILE", "/x")], "contradicts store.sentinel_password"),
            (&[password, ("PRIMARY", "")], "store.sentinel_password is of store.sentinels, which are not set"),
        ] {
            let refused = sentinels(variables).unwrap_err();
            assert!(refused.contains(why) && !refused.contains("hunter2"), "{refused}");
        }
    }
}
