//! Access keys of Alibaba Cloud, for OSS and for queues: one that was set up, or what the machine has, looked for where
//! Alibaba's own tools look, in this order:
//!
//! ```text
//! a role by the environment's key ─▶ environment ─▶ profile files ─▶ a URL ─▶ the ECS machine's role ─▶ OIDC (RRSA)
//! ```
//!
//! A key that expires is asked for again five minutes before it does; if nobody answers then, it is used to its end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use framefleet_model::fault::{Fault, FaultKind};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use reqsign_aliyun_oss::{Credential, DefaultCredentialProvider};
use reqsign_core::time::Timestamp;
use reqsign_core::{Context, Env, Error, ErrorKind, FileRead, HttpSend, OsEnv, ProvideCredential as _};
use reqsign_core::{Result as Provided, SigningCredential as _};
use tokio::sync::Mutex;

use crate::adapters::blob::storages::Credentials;
use crate::process::tls;

/// How long before its end a key is asked for anew.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// The service of an ECS machine answers at once or is not there.
const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(10);
const FILE_BYTES_MAX: u64 = 1 << 20;

pub struct AlibabaKeys(Source);

enum Source {
    Set(Credentials),
    Machine { chain: DefaultCredentialProvider, context: Context, kept: Mutex<Option<Credential>> },
}

#[derive(Clone, Copy, Debug)]
struct Files;

#[derive(Clone, Debug)]
struct Http(reqwest::Client);

impl AlibabaKeys {
    /// Those that were set up, or where none were, the machine's.
    pub fn of(set: Option<&Credentials>) -> Result<Arc<Self>, Fault> {
        match set {
            Some(set) => Ok(Arc::new(Self(Source::Set(set.clone())))),
            None => Self::of_machine(OsEnv).map(Arc::new),
        }
    }

    fn of_machine(environment: impl Env) -> Result<Self, Fault> {
        tls::install();
        let client = reqwest::Client::builder().connect_timeout(CONNECT).timeout(ANSWER).build();
        let client = client.map_err(|e| Fault::new(FaultKind::Internal, format!("no HTTP client: {e}")))?;
        let context = Context::new().with_file_read(Files).with_http_send(Http(client)).with_env(environment);
        let kept = Mutex::default();
        Ok(Self(Source::Machine { chain: DefaultCredentialProvider::new(), context, kept }))
    }

    pub async fn get(&self) -> Result<Credentials, String> {
        let (chain, context, kept) = match &self.0 {
            Source::Set(set) => return Ok(set.clone()),
            Source::Machine { chain, context, kept } => (chain, context, kept),
        };
        let mut kept = kept.lock().await;
        let valid = |key: &Credential, ahead: Duration| key.is_valid_at(Timestamp::now() + ahead);
        if let Some(key) = kept.as_ref().filter(|key| valid(key, EARLY)) {
            return Ok(credentials(key));
        }
        match chain.provide_credential(context).await {
            Ok(Some(key)) => {
                let given = credentials(&key);
                *kept = Some(key);
                Ok(given)
            }
            outcome => match kept.as_ref().filter(|key| valid(key, Duration::ZERO)) {
                Some(key) => Ok(credentials(key)),
                None => Err(match outcome {
                    Err(error) => format!("no access key of Alibaba Cloud: {error}"),
                    Ok(_) => "no access key of Alibaba Cloud: neither set up, nor in the environment, its files, the \
                              machine's role or OIDC"
                        .to_owned(),
                }),
            },
        }
    }
}

/// For OSS by the protocol of S3.
#[async_trait]
impl CredentialProvider for AlibabaKeys {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let refused = |why: String| object_store::Error::Generic { store: "OSS", source: why.into() };
        let Credentials { key_id, secret, token } = self.get().await.map_err(refused)?;
        Ok(Arc::new(AwsCredential { key_id, secret_key: secret, token }))
    }
}

impl fmt::Debug for AlibabaKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Set(set) => f.debug_tuple("AlibabaKeys").field(set).finish(),
            Source::Machine { .. } => f.write_str("AlibabaKeys(machine)"),
        }
    }
}

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> Provided<Vec<u8>> {
        let read = async {
            let size = tokio::fs::metadata(path).await?.len();
            if size > FILE_BYTES_MAX {
                return Err(std::io::Error::other(format!("{size} bytes, {FILE_BYTES_MAX} at most")));
            }
            tokio::fs::read(path).await
        };
        read.await.map_err(|error| unexpected(format!("{path}: {error}")))
    }
}

impl HttpSend for Http {
    async fn http_send(&self, request: http::Request<Bytes>) -> Provided<http::Response<Bytes>> {
        // What an error says of its URL may be a secret.
        let away = |error: reqwest::Error| unexpected(error.without_url().to_string());
        let request = request.try_into().map_err(away)?;
        let answer = self.0.execute(request).await.map_err(away)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut response = http::Response::new(answer.bytes().await.map_err(away)?);
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        Ok(response)
    }
}

fn unexpected(why: String) -> Error {
    Error::new(ErrorKind::Unexpected, why)
}

fn credentials(key: &Credential) -> Credentials {
    Credentials {
        key_id: key.access_key_id.clone(),
        secret: key.access_key_secret.clone(),
        token: key.security_token.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::extract::{Request, State};
    use axum::http::StatusCode;
    use reqsign_core::StaticEnv;

    use super::*;

    fn machine(variables: &[(&str, &str)]) -> AlibabaKeys {
        let envs: HashMap<_, _> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        AlibabaKeys::of_machine(StaticEnv { home_dir: None, envs }).unwrap()
    }

    fn key(id: &str, secret: &str, token: Option<&str>) -> Credentials {
        Credentials { key_id: id.into(), secret: secret.into(), token: token.map(str::to_owned) }
    }

    /// A service that gives keys which end in so many seconds each, until it has none left.
    struct Service {
        url: String,
        asked: Arc<AtomicUsize>,
    }

    #[derive(Clone)]
    struct Given {
        seconds: Arc<Vec<u64>>,
        asked: Arc<AtomicUsize>,
    }

    async fn service(seconds: &[u64]) -> Service {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let given = Given { seconds: Arc::new(seconds.to_vec()), asked: asked.clone() };
        let router = Router::new().fallback(give).with_state(given);
        tokio::spawn(axum::serve(listener, router).into_future());
        Service { url, asked }
    }

    async fn give(State(given): State<Given>, request: Request) -> Result<String, StatusCode> {
        if request.uri().path().starts_with("/latest/")
            && let Some(said) = of_machine(&request)
        {
            return said;
        }
        let number = given.asked.fetch_add(1, Ordering::SeqCst);
        let seconds = given.seconds.get(number).ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
        let end = Timestamp::now() + Duration::from_secs(*seconds);
        let end = end.format_rfc3339_zulu();
        let fields = format!(
            "\"AccessKeyId\": \"id-{number}\", \"AccessKeySecret\": \"s\", \"SecurityToken\": \"t\", \"Expiration\": \"{end}\""
        );
        Ok(if request.uri().query().is_some_and(|query| query.contains("AssumeRoleWithOIDC")) {
            format!("{{\"Credentials\": {{{fields}}}}}")
        } else {
            format!("{{\"Code\": \"Success\", {fields}}}")
        })
    }

    /// What the service of an ECS machine says before it gives keys: it wants a token, and is asked for the role's name.
    fn of_machine(request: &Request) -> Option<Result<String, StatusCode>> {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let below = request.uri().path().strip_prefix("/latest/meta-data/ram/security-credentials/");
        match (request.method().as_str(), request.uri().path(), below) {
            ("PUT", "/latest/api/token", _) if header("x-aliyun-ecs-metadata-token-ttl-seconds").is_some() => {
                Some(Ok("a-token".to_owned()))
            }
            ("GET", _, Some(_)) if header("x-aliyun-ecs-metadata-token") != Some("a-token") => {
                Some(Err(StatusCode::FORBIDDEN))
            }
            ("GET", _, Some("")) => Some(Ok("the-role".to_owned())),
            ("GET", _, Some("the-role")) => None,
            _ => Some(Err(StatusCode::NOT_FOUND)),
        }
    }

    #[tokio::test]
    async fn keys_come_from_settings_environment_and_files() {
        let set = AlibabaKeys::of(Some(&key("id", "hunter2", None))).unwrap();
        assert_eq!(set.get().await, Ok(key("id", "hunter2", None)));
        assert!(!format!("{set:?}").contains("hunter2"));
        let environment = machine(&[
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", "a"),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "b"),
            ("ALIBABA_CLOUD_SECURITY_TOKEN", "c"),
        ]);
        assert_eq!(environment.get().await, Ok(key("a", "b", Some("c"))));
        let aws = environment.get_credential().await.unwrap();
        assert_eq!((aws.key_id.as_str(), aws.secret_key.as_str(), aws.token.as_deref()), ("a", "b", Some("c")));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials");
        let profile = "[default]\nenable = true\ntype = access_key\naccess_key_id = f\naccess_key_secret = g\n";
        std::fs::write(&file, profile).unwrap();
        let files = machine(&[("ALIBABA_CLOUD_CREDENTIALS_FILE", file.to_str().unwrap())]);
        assert_eq!(files.get().await, Ok(key("f", "g", None)));
    }

    #[tokio::test]
    async fn a_role_by_oidc_is_taken_with_the_files_token() {
        let service = service(&[3600]).await;
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "jwt").unwrap();
        let keys = machine(&[
            ("ALIBABA_CLOUD_ROLE_ARN", "acs:ram::1:role/fleet"),
            ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "acs:ram::1:oidc-provider/ack"),
            ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", token.to_str().unwrap()),
            ("ALIBABA_CLOUD_STS_ENDPOINT", &service.url),
            ("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true"),
        ]);
        assert_eq!(keys.get().await, Ok(key("id-0", "s", Some("t"))));
    }

    #[tokio::test]
    async fn an_ecs_machines_role_is_asked_for_with_a_token() {
        let service = service(&[3600]).await;
        let at = |more: (&str, &str)| {
            machine(&[("ALIBABA_CLOUD_ECS_METADATA_SERVICE_ENDPOINT", service.url.as_str()), more])
        };
        let without = at(("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")).get().await.unwrap_err();
        assert!(without.starts_with("no access key of Alibaba Cloud"), "{without}");
        assert!(at(("ALIBABA_CLOUD_ECS_METADATA", "another-role")).get().await.is_err());
        assert_eq!(service.asked.load(Ordering::SeqCst), 0);
        let keys = at(("ALIBABA_CLOUD_IMDSV1_DISABLED", "true"));
        assert_eq!(keys.get().await, Ok(key("id-0", "s", Some("t"))));
        assert_eq!(keys.get().await, Ok(key("id-0", "s", Some("t"))));
        assert_eq!(service.asked.load(Ordering::SeqCst), 1, "kept");
    }

    #[tokio::test]
    async fn a_key_is_asked_for_anew_before_its_end_and_used_to_its_end() {
        // the second ends within the five minutes, so a third is asked for, which nobody gives
        let service = service(&[3600, 60]).await;
        let of_url = || {
            machine(&[
                ("ALIBABA_CLOUD_CREDENTIALS_URI", service.url.as_str()),
                ("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true"),
            ])
        };
        let first = of_url();
        for _ in 0..3 {
            assert_eq!(first.get().await, Ok(key("id-0", "s", Some("t"))));
        }
        assert_eq!(service.asked.load(Ordering::SeqCst), 1);
        let second = of_url();
        for _ in 0..2 {
            assert_eq!(second.get().await, Ok(key("id-1", "s", Some("t"))));
        }
        assert!(service.asked.load(Ordering::SeqCst) > 2);
        let none = of_url().get().await.unwrap_err();
        assert!(none.starts_with("no access key of Alibaba Cloud"), "{none}");
    }
}
