//! Buckets by the protocol of S3: how their servers are spoken to.
//!
//! Two clients speak to each bucket, because the time that a server may be silent counts from the moment a request is
//! begun: 60 s are plenty for an answer to begin or to go on, and not enough for a part to go up on a slow line.
//! Nothing bounds a request as a whole but its tries: 5 within 2 minutes, with a growing and random pause before each.
//!
//! OSS is spoken to by the same protocol, with manners of its own: the bucket stands in the host's name, and the access
//! key comes from where Alibaba's tools look for it.
//!
//! Every request is signed with the SHA-256 of its body, which servers hold the body against: no further checksum is
//! asked of them, and none is that some of them refuse. Nor are conditional writes, for the same reason.

use std::fmt;
use std::time::Duration;

use framefleet_model::event::Provider;
use framefleet_model::fault::{Fault, FaultKind};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use crate::adapters::alibaba::AlibabaKeys;
use crate::adapters::blob::storages::{Addressing, Credentials, Http, StorageSettings};
use crate::adapters::blob::url;
use crate::process::tls;

const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(60);
/// 16 MiB in this time are 28 kB/s; a line that is dead is noticed by the kernel long before.
const UPLOAD: Duration = Duration::from_secs(600);
const TRIES_MAX: usize = 5;
const TRIES_WITHIN: Duration = Duration::from_secs(120);
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// From where `credentials` are none: what those who run a fleet put there on purpose.
const ENVIRONMENT: [(&str, AmazonS3ConfigKey); 9] = [
    ("AWS_ACCESS_KEY_ID", AmazonS3ConfigKey::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", AmazonS3ConfigKey::SecretAccessKey),
    ("AWS_SESSION_TOKEN", AmazonS3ConfigKey::Token),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AmazonS3ConfigKey::ContainerCredentialsFullUri),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AmazonS3ConfigKey::ContainerAuthorizationTokenFile),
];

/// A bucket, and who speaks to it.
pub(crate) struct Bucket {
    pub(crate) provider: Provider,
    pub(crate) name: String,
    /// For what is asked.
    pub(crate) reads: AmazonS3,
    /// For what is sent.
    pub(crate) writes: AmazonS3,
}

impl Bucket {
    pub(crate) fn open((provider, name): (Provider, &str), settings: &StorageSettings) -> Result<Self, Fault> {
        let endpoint = endpoint((provider, name), settings)?;
        tls::install();
        let mut builder = builder(name, settings);
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        builder = match provider {
            Provider::S3 => with_credentials(builder, settings),
            Provider::Oss => builder.with_credentials(AlibabaKeys::of(settings.credentials.as_ref())?),
        };
        let client = |silence| {
            let built = builder.clone().with_client_options(options(settings.http, silence)).build();
            built.map_err(|error| refused(settings, &format!("cannot be used: {error}")))
        };
        Ok(Self { provider, name: name.to_owned(), reads: client(ANSWER)?, writes: client(UPLOAD)? })
    }

    /// The URL of one of its keys.
    pub(crate) fn url(&self, key: &str) -> String {
        url::of_key(self.provider, (&self.name, key))
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.name).finish()
    }
}

fn builder(name: &str, settings: &StorageSettings) -> AmazonS3Builder {
    let backoff = BackoffConfig { init_backoff: PAUSE_FIRST, max_backoff: PAUSE_MAX, base: 2. };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(name)
        .with_virtual_hosted_style_request(settings.addressing == Addressing::VirtualHost)
        .with_conditional_put(S3ConditionalPut::Disabled)
        .with_disable_tagging(true)
        .with_disable_bulk_delete(true)
        .with_retry(RetryConfig { backoff, max_retries: TRIES_MAX - 1, retry_timeout: TRIES_WITHIN });
    if let Some(region) = &settings.region {
        builder = builder.with_region(region);
    }
    builder
}

fn with_credentials(mut builder: AmazonS3Builder, settings: &StorageSettings) -> AmazonS3Builder {
    match &settings.credentials {
        Some(Credentials { key_id, secret, token }) => {
            builder = builder.with_access_key_id(key_id).with_secret_access_key(secret);
            token.iter().fold(builder, |builder, token| builder.with_token(token))
        }
        None => ENVIRONMENT.iter().fold(builder, |builder, (name, key)| match std::env::var(name) {
            Ok(value) => builder.with_config(*key, value),
            Err(_) => builder,
        }),
    }
}

fn options(http: Http, silence: Duration) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(http == Http::Plain)
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT)
        .with_read_timeout(silence)
}

/// Where the server is; none for Amazon's own. What is wrong with it would otherwise be found out by the first film, and
/// be hard to make out then.
fn endpoint((provider, name): (Provider, &str), settings: &StorageSettings) -> Result<Option<String>, Fault> {
    if (provider, settings.addressing) == (Provider::Oss, Addressing::Path) {
        return Err(refused(settings, "is addressed by path, which OSS forbids"));
    }
    let endpoint = match (&settings.endpoint, provider, &settings.region) {
        (Some(endpoint), _, _) => endpoint.trim_end_matches('/').to_owned(),
        (None, Provider::S3, _) => return Ok(None),
        (None, Provider::Oss, Some(region)) => return Ok(Some(format!("https://{name}.oss-{region}.aliyuncs.com"))),
        (None, Provider::Oss, None) => return Err(refused(settings, "has neither an endpoint nor a region")),
    };
    check(name, (&endpoint, settings))?;
    Ok(Some(endpoint))
}

fn check(name: &str, (endpoint, settings): (&str, &StorageSettings)) -> Result<(), Fault> {
    let (scheme, host) = endpoint.split_once("://").unwrap_or(("", endpoint));
    match (scheme, settings.http) {
        ("https", _) | ("http", Http::Plain) => {}
        ("http", Http::Tls) => {
            return Err(refused(settings, &format!("has the endpoint {endpoint} without TLS, which is not allowed")));
        }
        _ => return Err(refused(settings, "has an endpoint that is no https://host")),
    }
    if host.contains(['@', '?', '#']) || host.is_empty() {
        return Err(refused(settings, "has an endpoint with more in it than host, port and path"));
    }
    if settings.addressing == Addressing::VirtualHost && !host.starts_with(&format!("{name}.")) {
        let text = format!("has the endpoint {endpoint}: addressed by host, it has to begin with {name}.");
        return Err(refused(settings, &text));
    }
    Ok(())
}

fn refused(settings: &StorageSettings, why: &str) -> Fault {
    Fault::new(FaultKind::Settings, format!("storage {} {why}", settings.url))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use object_store::ClientConfigKey;

    use super::*;

    #[test]
    fn oss_is_reached_by_host_and_nowhere_else() {
        let settings = |addressing, region: Option<&str>| StorageSettings {
            url: "oss://films".to_owned(),
            region: region.map(str::to_owned),
            addressing,
            ..StorageSettings::folder(Path::new("/"))
        };
        let found = |settings: &StorageSettings| endpoint((Provider::Oss, "films"), settings).map_err(|f| f.message);
        let by_host = settings(Addressing::VirtualHost, Some("cn-hangzhou"));
        assert_eq!(found(&by_host), Ok(Some("https://films.oss-cn-hangzhou.aliyuncs.com".to_owned())));
        let internal = "https://films.oss-cn-hangzhou-internal.aliyuncs.com/";
        let inside = StorageSettings { endpoint: Some(internal.to_owned()), ..by_host.clone() };
        assert_eq!(found(&inside), Ok(Some(internal.trim_end_matches('/').to_owned())));
        let bare = StorageSettings { endpoint: Some("https://oss-cn-hangzhou.aliyuncs.com".to_owned()), ..by_host };
        assert!(found(&bare).unwrap_err().contains("it has to begin with films."));
        let refusal = |addressing, region| found(&settings(addressing, region)).unwrap_err();
        assert!(refusal(Addressing::Path, Some("cn-hangzhou")).contains("which OSS forbids"));
        assert!(refusal(Addressing::VirtualHost, None).contains("neither an endpoint nor a region"));
    }

    #[test]
    fn only_silence_ends_a_request() {
        for (silence, text) in [(ANSWER, "1m"), (UPLOAD, "10m")] {
            let options = options(Http::Tls, silence);
            let value = |key| options.get_config_value(&key);
            assert_eq!(value(ClientConfigKey::Timeout), None);
            assert_eq!(value(ClientConfigKey::ConnectTimeout).as_deref(), Some("10s"));
            assert_eq!(value(ClientConfigKey::ReadTimeout).as_deref(), Some(text));
            assert_eq!(value(ClientConfigKey::AllowHttp).as_deref(), Some("false"));
        }
    }
}
