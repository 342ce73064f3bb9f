//! The way out to hosts that others name: receivers of webhooks, sources by HTTP.
//!
//! ```text
//! URL ─▶ scheme, literal address? ─▶ name ─▶ addresses ─▶ those that are public, or allowed ─▶ connect to just these
//! ```
//! A name is looked up anew for each connection, and a connection goes to an address that was looked at and to no other:
//! a name that changes its meaning in between gains nothing. Redirects are never followed here, and no proxy is used, for
//! it would look names up by itself.

use std::error::Error as _;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use framefleet_model::fault::{Fault, FaultKind};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Url};

use crate::process::tls;

const CONNECT: Duration = Duration::from_secs(10);

/// Whither nobody is sent, and which name that has.
const CLOSED: [(&str, Ipv4Net); 18] = [
    ("unspecified", v4([0, 0, 0, 0], 8)),
    ("private", v4([10, 0, 0, 0], 8)),
    // Alibaba's metadata service is in it
    ("shared with a provider", v4([100, 64, 0, 0], 10)),
    ("loopback", v4([127, 0, 0, 0], 8)),
    // Azure's way to its own machines
    ("a provider's own", v4([168, 63, 129, 16], 32)),
    // and with it the metadata services of most
    ("link-local", v4([169, 254, 0, 0], 16)),
    ("private", v4([172, 16, 0, 0], 12)),
    ("reserved for protocols", v4([192, 0, 0, 0], 24)),
    ("for documents", v4([192, 0, 2, 0], 24)),
    ("a sink of names", v4([192, 31, 196, 0], 24)),
    ("a relay", v4([192, 52, 193, 0], 24)),
    ("a relay", v4([192, 88, 99, 0], 24)),
    ("private", v4([192, 168, 0, 0], 16)),
    ("for benchmarks", v4([198, 18, 0, 0], 15)),
    ("for documents", v4([198, 51, 100, 0], 24)),
    ("for documents", v4([203, 0, 113, 0], 24)),
    ("multicast", v4([224, 0, 0, 0], 4)),
    ("reserved", v4([240, 0, 0, 0], 4)),
];

/// All that is public of IPv6, and what of it is not.
const PUBLIC: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
const CLOSED_V6: [(&str, Ipv6Net); 4] = [
    // Teredo and ORCHID are in it
    ("reserved for protocols", v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23)),
    ("for documents", v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32)),
    ("a relay", v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16)),
    ("for documents", v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20)),
];
/// Where a network without IPv4 puts the rest of the world.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

/// What addresses a name has.
#[async_trait]
pub trait Names: Send + Sync {
    async fn look_up(&self, host: &str) -> std::io::Result<Vec<IpAddr>>;
}

/// The rule of one fleet.
#[derive(Clone)]
pub struct Egress {
    allow: Arc<[IpNet]>,
    names: Arc<dyn Names>,
}

/// An HTTP client that goes nowhere else.
#[derive(Clone)]
pub struct Guarded {
    egress: Egress,
    client: Client,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    #[error("{0} is {1}, and in no network of egress.allow")]
    Address(IpAddr, &'static str),
    #[error("{host} is {why}")]
    Host { host: String, why: String },
    #[error("{0} is no scheme to be sent by: http and https are")]
    Scheme(String),
}

struct HostNames;

impl Egress {
    /// `allow` names networks of one's own that somebody may be sent to all the same.
    pub fn new(allow: Vec<IpNet>) -> Self {
        Self::with_names(allow, Arc::new(HostNames))
    }

    pub fn with_names(allow: Vec<IpNet>, names: Arc<dyn Names>) -> Self {
        Self { allow: allow.into(), names }
    }

    pub fn admit(&self, address: IpAddr) -> Result<(), Forbidden> {
        let meant = meant(address);
        let is_allowed = self.allow.iter().any(|network| network.contains(&meant) || network.contains(&address));
        match closed(meant) {
            Some(what) if !is_allowed => Err(Forbidden::Address(address, what)),
            Some(_) | None => Ok(()),
        }
    }

    /// Which addresses of a host may be connected to: at least one, or a refusal.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Forbidden> {
        let odd = |why: String| Forbidden::Host { host: host.to_owned(), why };
        let all = self.names.look_up(host).await.map_err(|e| odd(format!("not found: {e}")))?;
        let mut last = odd("a name without addresses".to_owned());
        let mut admitted = Vec::new();
        for address in all {
            match self.admit(address) {
                Ok(()) => admitted.push(address),
                Err(Forbidden::Address(address, what)) => {
                    last = odd(format!("{address}, which is {what} and in no network of egress.allow"));
                }
                Err(other) => last = other,
            }
        }
        if admitted.is_empty() { Err(last) } else { Ok(admitted) }
    }

    /// Every connection is a new one, and its address looked at.
    pub fn client(&self) -> Result<Guarded, Fault> {
        tls::install();
        let client = Client::builder()
            .dns_resolver(Arc::new(self.clone()))
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(0)
            .user_agent(concat!("framefleet/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| Fault::new(FaultKind::Internal, format!("no HTTP client: {e}")))?;
        Ok(Guarded { egress: self.clone(), client })
    }
}

impl Guarded {
    /// Names are looked at when they are connected to; addresses are nobody's to look up, and are looked at here.
    pub fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder, Forbidden> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Forbidden::Scheme(url.scheme().to_owned()));
        }
        let literal = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        if let Some(address) = literal {
            self.egress.admit(address)?;
        }
        Ok(self.client.request(method, url.clone()))
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress").field("allow", &self.allow).finish_non_exhaustive()
    }
}

impl Resolve for Egress {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = self.clone();
        Box::pin(async move {
            let addresses = egress.addresses(name.as_str()).await?;
            // the port is the URL's
            let sockets: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(sockets)
        })
    }
}

#[async_trait]
impl Names for HostNames {
    async fn look_up(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|socket| socket.ip()).collect())
    }
}

/// What an HTTP error says, down to its cause, without the URL, which may hold a secret.
pub fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = [&text, ": ", &more].concat();
        }
        cause = error.source();
    }
    text
}

/// The address that is spoken to in the end: IPv4 wears several disguises.
fn meant(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    match v6.to_ipv4_mapped() {
        Some(mapped) => mapped.into(),
        None if NAT64.contains(&v6) => {
            let [.., a, b, c, d] = v6.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        None => address,
    }
}

fn closed(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => CLOSED.iter().find(|(_, network)| network.contains(&v4)).map(|(what, _)| *what),
        IpAddr::V6(v6) if v6.is_loopback() => Some("loopback"),
        IpAddr::V6(v6) if v6.is_unspecified() => Some("unspecified"),
        IpAddr::V6(v6) if v6.is_multicast() => Some("multicast"),
        IpAddr::V6(v6) if v6.is_unique_local() => Some("private"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("link-local"),
        IpAddr::V6(v6) if !PUBLIC.contains(&v6) => Some("not public"),
        IpAddr::V6(v6) => CLOSED_V6.iter().find(|(_, network)| network.contains(&v6)).map(|(what, _)| *what),
    }
}

const fn v4([a, b, c, d]: [u8; 4], bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), bits)
}

#[cfg(test)]
mod tests;
