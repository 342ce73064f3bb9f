//! What an operator says about the server, and how it is reached: by its address, or by asking the sentinels.

use std::fmt;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, ProtocolVersion, RedisResult, TlsMode};

use crate::adapters::redis::fault;
use crate::ports::store::StoreError;

#[derive(Clone)]
pub struct RedisSettings {
    /// `redis[s]://[user:password@]host[:port][/database]`. Holds credentials: never shown.
    pub url: String,
    /// What all keys begin with.
    pub prefix: String,
    /// How many replicas must have what a barrier covers.
    pub replicas: u8,
    /// Where to ask for the primary; then of `url` only the credentials, the database and TLS count.
    pub sentinel: Option<SentinelSettings>,
    pub durability: Durability,
}

#[derive(Clone)]
pub struct SentinelSettings {
    /// The sentinels' own addresses. May hold credentials: never shown.
    pub urls: Vec<String>,
    /// The name by which the sentinels know the primary.
    pub primary: String,
}

/// Whether a server may be used that forgets: by evicting keys, or by keeping nothing on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    Required,
    Waived,
}

/// Settings that were understood.
pub(super) struct Target {
    server: ConnectionInfo,
    sentinel: Option<(Vec<ConnectionInfo>, String)>,
}

impl RedisSettings {
    pub fn new(url: impl Into<String>) -> Self {
        let prefix = "framefleet".to_owned();
        Self { url: url.into(), prefix, replicas: 0, sentinel: None, durability: Durability::Required }
    }
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("url", &"…")
            .field("prefix", &self.prefix)
            .field("replicas", &self.replicas)
            .field("sentinel", &self.sentinel)
            .field("durability", &self.durability)
            .finish()
    }
}

impl fmt::Debug for SentinelSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls = format_args!("{} of them", self.urls.len());
        f.debug_struct("SentinelSettings").field("urls", &urls).field("primary", &self.primary).finish()
    }
}

impl Target {
    pub(super) fn of(settings: &RedisSettings) -> Result<Self, StoreError> {
        let server = parse(&settings.url, "the store's url")?;
        let sentinel = settings.sentinel.as_ref().map(|sentinel| {
            if sentinel.urls.is_empty() {
                return Err(StoreError::Unusable("no sentinel is named: name at least one".into()));
            }
            let urls = sentinel.urls.iter().map(|url| parse(url, "a sentinel's url")).collect::<Result<_, _>>()?;
            Ok((urls, sentinel.primary.clone()))
        });
        Ok(Self { server, sentinel: sentinel.transpose()? })
    }

    /// A client of the server that is the primary now. Asks the sentinels afresh each time.
    pub(super) async fn client(&self) -> RedisResult<Client> {
        let Some((sentinels, primary)) = &self.sentinel else { return Client::open(self.server.clone()) };
        let mut nodes = SentinelNodeConnectionInfo::default()
            .set_redis_connection_info(self.server.redis_settings().clone())
            .set_tcp_settings(self.server.tcp_settings().clone());
        if let ConnectionAddr::TcpTls { insecure, .. } = self.server.addr() {
            nodes = nodes.set_tls_mode(if *insecure { TlsMode::Insecure } else { TlsMode::Secure });
        }
        let asked = SentinelClient::build(sentinels.clone(), primary, Some(nodes), SentinelServerType::Master);
        asked?.async_get_client().await
    }

    /// Where it is, without any secret.
    pub(super) fn place(&self) -> String {
        match &self.sentinel {
            Some((_, primary)) => format!("the primary {primary:?} of the sentinels"),
            None => self.server.addr().to_string(),
        }
    }
}

fn parse(url: &str, what: &str) -> Result<ConnectionInfo, StoreError> {
    let parsed = url.into_connection_info().map_err(|error| {
        let form = "redis://[user:password@]host[:port][/database], or rediss:// for TLS";
        StoreError::Unusable(format!("{what} is not understood ({}): write {form}", fault::text(&error)))
    })?;
    // Replies are read in the older form of the protocol, whatever the address asks for.
    let redis = parsed.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
    let redis = redis.set_lib_name("framefleet", env!("CARGO_PKG_VERSION"));
    Ok(parsed.set_redis_settings(redis).set_tcp_settings(tcp()))
}

/// A peer that is silent is given up by the kernel long before its own defaults.
fn tcp() -> TcpSettings {
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(5)).with_interval(Duration::from_secs(2)).with_retries(2);
    TcpSettings::default().set_nodelay(true).set_user_timeout(Duration::from_secs(5)).set_keepalive(keepalive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_sees_a_password_in_what_is_printed() {
        let mut settings = RedisSettings::new("redis://worker:s3cret@10.0.0.5:6380/2");
        settings.sentinel =
            Some(SentinelSettings { urls: vec!["redis://:s3cret@10.0.0.6".into()], primary: "main".into() });
        let printed = format!("{settings:?}");
        assert!(!printed.contains("s3cret") && printed.contains("main"), "{printed}");
        settings.sentinel = None;
        assert_eq!(Target::of(&settings).unwrap().place(), "10.0.0.5:6380");
        settings.url = "http://worker:s3cret@10.0.0.5".into();
        let Err(StoreError::Unusable(why)) = Target::of(&settings) else { panic!("understood") };
        assert!(!why.contains("s3cret") && why.contains("write redis://"), "{why}");
    }
}
