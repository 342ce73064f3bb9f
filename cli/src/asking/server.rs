//! A coordinator, somewhere, and the token that it is asked with.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use framefleet_common::process::tls;
use framefleet_coordinator::ops::wire::Problem;
use framefleet_model::fault::{Fault, FaultKind};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;

use crate::args::asking::{ServerArgs, TOKEN, TOKEN_FILE};
use crate::config::secret::Secret;
use crate::settings::refused;

const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// A coordinator answers at once, or its store does not.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
const TOKEN_BYTES_MAX: u64 = 4096;

pub(crate) struct Server {
    client: reqwest::Client,
    base: Url,
    token: Option<Secret>,
}

impl Server {
    pub(crate) fn of(args: &ServerArgs) -> Result<Self, Fault> {
        let base = args.server.trim_end_matches('/').to_owned() + "/";
        let base = Url::parse(&base).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let base = base.ok_or_else(|| refused(format!("server {:?} is no http:// or https:// URL", args.server)))?;
        let token = token(args.token_file.as_deref(), std::env::var_os(TOKEN))?;
        if token.is_some() && !args.insecure && !is_private(&base) {
            let text = "is another machine's, and over http:// whoever is on the way could read the token: https:// \
                        keeps it, --insecure sends it all the same";
            return Err(refused(format!("server {base} {text}")));
        }
        tls::install();
        // A token is for this server alone.
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let client = client.connect_timeout(CONNECT_TIME_MAX).build();
        let client = client.map_err(|e| Fault::new(FaultKind::Internal, format!("no HTTP client: {e}")))?;
        Ok(Self { client, base, token })
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.asked(self.client.request(method, self.url(path)).timeout(ANSWER_TIME_MAX))
    }

    /// Goes on for as long as there is something to hear.
    pub(super) fn streaming(&self, path: &str) -> RequestBuilder {
        self.asked(self.client.get(self.url(path)))
    }

    fn asked(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    fn url(&self, path: &str) -> Url {
        self.base.join(path).expect("a path of ours joins any base")
    }

    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, Fault> {
        let away = |e: reqwest::Error| {
            Fault::new(FaultKind::StoreAway, format!("coordinator {} does not answer: {}", self.base, causes(&e)))
        };
        let answer = request.send().await.map_err(away)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let body = answer.bytes().await.map_err(away)?;
        let problem: Problem = serde_json::from_slice(&body).map_err(|_| odd(format!("it answers {status}")))?;
        let kind = FaultKind::ALL.iter().find(|kind| kind.code() == problem.code);
        Err(Fault::new(kind.copied().unwrap_or(FaultKind::Internal), problem.detail))
    }

    pub(crate) async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Fault> {
        self.send(request).await?.json().await.map_err(|e| odd(causes(&e)))
    }
}

/// The file's, or the variable's; never a flag's, for others can read those. No error repeats what it found.
fn token(file: Option<&Path>, variable: Option<std::ffi::OsString>) -> Result<Option<Secret>, Fault> {
    let (text, from) = match (file, variable) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(refused(format!("{TOKEN} contradicts --token-file or {TOKEN_FILE}"))),
        (Some(path), None) => (read(path)?, path.display().to_string()),
        (None, Some(text)) => (text.to_string_lossy().into_owned(), TOKEN.to_owned()),
    };
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(Some(Secret::new(text.to_owned())));
    }
    Err(refused(format!("{from} holds no token: one line of letters and digits")))
}

fn read(path: &Path) -> Result<String, Fault> {
    let unreadable = |e: std::io::Error| refused(format!("token file {}: {e}", path.display()));
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > TOKEN_BYTES_MAX {
        let text = format!("token file {}: {bytes} bytes are over the bound of {TOKEN_BYTES_MAX}", path.display());
        return Err(refused(text));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// Nobody reads what goes there, but who may.
fn is_private(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default();
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    base.scheme() == "https" || host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

pub(super) fn odd(what: String) -> Fault {
    Fault::new(FaultKind::Internal, format!("the server is no coordinator of ours, or of another version: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(server: &str) -> ServerArgs {
        let output = crate::args::Format::Table;
        ServerArgs { server: server.to_owned(), token_file: None, insecure: false, output }
    }

    #[test]
    fn a_token_goes_nowhere_where_others_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "fft_0123\n").unwrap();
        let with = |server: &str| Server::of(&ServerArgs { token_file: Some(file.clone()), ..args(server) });
        for server in ["http://127.0.0.1:8080", "http://[::1]", "http://localhost:8080/", "https://films.example"] {
            assert_eq!(with(server).unwrap().token.unwrap().expose(), "fft_0123", "{server}");
        }
        for server in ["http://films.example", "http://10.0.0.1:8080", "http://127.0.0.1.films.example"] {
            let told = with(server).err().unwrap().message;
            assert!(told.contains("--insecure") && !told.contains("fft_"), "{told}");
            let insecure = ServerArgs { insecure: true, token_file: Some(file.clone()), ..args(server) };
            assert!(Server::of(&insecure).is_ok(), "{server}");
            assert!(Server::of(&args(server)).is_ok(), "without a token there is nothing to read");
        }
    }

    #[test]
    fn a_token_has_one_place_and_is_never_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        assert!(token(None, None).unwrap().is_none());
        assert!(token(Some(&file), None).unwrap_err().message.contains("No such file"));
        std::fs::write(&file, "fft_one two\n").unwrap();
        let told = token(Some(&file), None).unwrap_err().message;
        assert!(told.contains("holds no token") && !told.contains("fft_"), "{told}");
        assert_eq!(token(None, Some(" fft_x\n".into())).unwrap().unwrap().expose(), "fft_x");
        let told = token(Some(&file), Some("fft_x".into())).unwrap_err().message;
        assert!(told.contains("contradicts") && !told.contains("fft_"), "{told}");
    }
}
