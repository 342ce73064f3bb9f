//! Who passes: before any route is asked, each request is counted, its caller named, and its right looked up.
//!
//! ```text
//! peer ─▶ token known? ─▶ rate ─▶ scope of the route ─▶ in time? ─▶ route
//!          no: 401        429     403                   503
//! ```
//! Which scope a route needs stands in the API's document and nowhere else. Where there are no tokens, only programs of
//! this machine are listened to: a page in a browser must not speak for its reader, so foreign origins and foreign names
//! for this host are refused.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use framefleet_common::process::connections::Peer;
use framefleet_model::fault::{Fault, FaultKind};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use utoipa::openapi::OpenApi;

use super::callers::{Caller, Scope};
use super::observe::ApiObserver;
use super::problem::Trouble;
use super::tokens::{Looked, Tokens};
use super::{document, plans};

/// A route answers, or begins to, within this time.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// So many at once, of the requests of a second.
const BURST: u32 = 2;
/// How often strangers that have not come for long are forgotten, in requests.
const FORGET_EVERY: usize = 4096;
const REALM: &str = "Bearer realm=\"framefleet\"";

pub(super) struct Guard {
    tokens: Option<Arc<Tokens>>,
    origins: Vec<String>,
    limiter: DefaultKeyedRateLimiter<Who>,
    asked: AtomicUsize,
    needs: BTreeMap<(String, String), Need>,
    observer: ApiObserver,
}

/// Whose requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    Token(String),
    /// Of a whole network of IPv6, which is one customer's.
    Peer(IpAddr),
}

/// What a route asks of its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Nothing,
    Scope(Scope),
}

impl Guard {
    pub(super) fn new(
        (tokens, origins): (Option<Arc<Tokens>>, Vec<String>),
        per_second: NonZeroU32,
        document: &OpenApi,
        observer: ApiObserver,
    ) -> Self {
        let burst = per_second.saturating_mul(NonZeroU32::new(BURST).expect("it is not zero"));
        let limiter = RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst));
        let needs = document::needs(document);
        Self { tokens, origins, limiter, asked: AtomicUsize::new(0), needs, observer }
    }

    /// Who asks; without a token that is known, nobody.
    fn caller(&self, headers: &HeaderMap) -> Option<Arc<Caller>> {
        let Some(tokens) = &self.tokens else { return Some(Arc::new(Caller::anybody())) };
        match tokens.look() {
            Looked::Same => {}
            Looked::Read { tokens } => self.observer.tokens_read(tokens),
            Looked::Wrong(fault) => self.observer.tokens_wrong(&fault),
        }
        tokens.find(bearer(headers)?)
    }

    /// How long until this one may ask again.
    fn wait(&self, who: &Who) -> Option<Duration> {
        if self.asked.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(who).err().map(|early| early.wait_time_from(DefaultClock::default().now()))
    }

    fn need(&self, request: &Request) -> Need {
        let Some(path) = request.extensions().get::<MatchedPath>() else { return Need::Nothing };
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        let need = self.needs.get(&(method.to_string(), path.as_str().to_owned()));
        // What is in no document is a path or a method that is not there, and refused as such.
        need.copied().unwrap_or(Need::Nothing)
    }

    /// Whether a browser asks for a page that has no business here.
    fn check_browser(&self, request: &Request) -> Result<(), Fault> {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        if let Some(host) = host.filter(|host| self.tokens.is_none() && !is_this_machine(host)) {
            let text = format!("this API is asked for as {host:?}, and without tokens it answers this machine alone");
            return Err(Fault::new(FaultKind::Forbidden, text));
        }
        let origin = request.headers().get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
        let Some(origin) = origin.filter(|_| !request.method().is_safe()) else { return Ok(()) };
        let is_own = origin.split_once("://").is_some_and(|(_, place)| Some(place) == host);
        if is_own || self.origins.iter().any(|known| known == origin) {
            return Ok(());
        }
        Err(Fault::new(FaultKind::Forbidden, format!("origin {origin:?} is not one of api.cors_origins")))
    }

    async fn answer(&self, mut request: Request, next: Next) -> Response {
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
        let caller = self.caller(request.headers());
        let who = match (&caller, &self.tokens, peer) {
            (Some(caller), Some(_), _) => Who::Token(caller.name.clone()),
            (_, _, peer) => Who::Peer(network(peer.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)))),
        };
        if let Some(wait) = self.wait(&who) {
            return busy("more requests came than are answered in a second", wait);
        }
        if let Err(fault) = self.check_browser(&request) {
            return Trouble(StatusCode::FORBIDDEN, fault).into_response();
        }
        if let Need::Scope(scope) = self.need(&request) {
            match &caller {
                None => return unauthenticated(bearer(request.headers()).is_some()),
                Some(caller) if !caller.may(scope) => return forbidden(caller, scope),
                Some(_) => {}
            }
        }
        if let Some(caller) = caller {
            request.extensions_mut().insert(Asking(caller));
        }
        let is_long = request.uri().path() == plans::PATH;
        let time_max = if is_long { plans::ANSWER_TIME_MAX } else { ANSWER_TIME_MAX };
        match tokio::time::timeout(time_max, next.run(request)).await {
            Ok(answer) => answer,
            Err(_) => {
                let text = format!("no answer within {} s", time_max.as_secs());
                Trouble(StatusCode::SERVICE_UNAVAILABLE, Fault::new(FaultKind::Busy, text)).into_response()
            }
        }
    }
}

/// Before every route, and before what is none.
pub(super) async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let answer = guard.answer(request, next).await;
    guard.observer.answered(answer.status());
    answer
}

/// Who asks, as the guard found it.
#[derive(Clone)]
pub(super) struct Asking(pub(super) Arc<Caller>);

impl<S: Send + Sync> FromRequestParts<S> for Asking {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Trouble> {
        let lost = || Fault::new(FaultKind::Internal, "a route was asked that no guard stands before");
        parts.extensions.get::<Self>().cloned().ok_or_else(|| lost().into())
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}

/// One that is wrong is not told apart in words from one that has never been.
fn unauthenticated(is_given: bool) -> Response {
    let (text, challenge) = match is_given {
        true => ("the token is not known here", format!("{REALM}, error=\"invalid_token\"")),
        false => ("a token is needed: Authorization: Bearer …", REALM.to_owned()),
    };
    let fault = Fault::new(FaultKind::Unauthenticated, text);
    ([(header::WWW_AUTHENTICATE, challenge)], Trouble(StatusCode::UNAUTHORIZED, fault)).into_response()
}

fn forbidden(caller: &Caller, scope: Scope) -> Response {
    let scope = scope.name();
    let text = format!("token {} has no scope {scope}, which this needs", caller.name);
    let challenge = format!("{REALM}, error=\"insufficient_scope\", scope=\"{scope}\"");
    let trouble = Trouble(StatusCode::FORBIDDEN, Fault::new(FaultKind::Forbidden, text));
    ([(header::WWW_AUTHENTICATE, challenge)], trouble).into_response()
}

/// Too much at once, and when to come again.
pub(super) fn busy(why: &str, wait: Duration) -> Response {
    let seconds = wait.as_secs_f64().ceil().max(1.0);
    let trouble = Trouble(StatusCode::TOO_MANY_REQUESTS, Fault::new(FaultKind::Busy, why));
    ([(header::RETRY_AFTER, seconds.to_string())], trouble).into_response()
}

fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Whether a `Host` names this machine to itself; another name may have been made to lead here.
fn is_this_machine(host: &str) -> bool {
    let uri: Option<Uri> = format!("http://{host}/").parse().ok();
    let name = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let address: Option<IpAddr> = name.trim_matches(['[', ']']).parse().ok();
    name.eq_ignore_ascii_case("localhost") || address.is_some_and(|address| address.to_canonical().is_loopback())
}
