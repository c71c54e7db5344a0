//! Where a route leads: its upstreams, how their health is seen, how TLS to them is spoken.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

use super::{HeaderTemplates, UpstreamAuth};

/// Where a route leads, and how.
#[derive(Debug, Clone)]
pub struct RouteUpstream {
    /// In the file's order, none of them twice, and not all of weight 0. Empty only where `access: deny` leads nowhere.
    pub upstreams: Vec<WeightedUpstream>,
    pub health_check: Option<HealthCheck>,
    /// There where one of the upstreams speaks https.
    pub tls: Option<Arc<UpstreamTls>>,
    pub identity: HeaderTemplates,
    /// How sekisho signs in to the tool, where it does.
    pub auth: Option<UpstreamAuth>,
    pub protocol: Protocol,
    pub preserve_host: bool,
    pub header_names: HeaderNames,
    pub timeouts: Timeouts,
    /// In bytes; `None`: no limit.
    pub max_body: Option<u64>,
    pub forget_cookies: Vec<String>,
}

/// What a route's upstreams speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    /// By prior knowledge over plain connections, by ALPN over TLS; clients must speak it, too.
    Http2,
}

/// How names of fields are written to upstreams that speak HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderNames {
    /// As HTTP/2 has them.
    Lower,
    /// For those that know `Cookie` and not `cookie`.
    Title,
}

/// One of a route's upstreams and its share of the requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightedUpstream {
    pub upstream: Upstream,
    /// 0: gets no new requests.
    pub weight: u32,
}

/// One upstream server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    Http { host: String, port: u16 },
    Https { host: String, port: u16 },
    Unix { path: PathBuf },
}

/// How often an upstream is asked whether it is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// Escaped as it stands in a request line.
    pub path: String,
    pub interval: Duration,
}

#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    pub connect: Duration,
    pub read: Duration,
    pub write: Duration,
}

/// TLS to an upstream, every part of it read and proved.
pub struct UpstreamTls {
    /// Who may have signed the upstream's certificate: the route's own, or the machine's. Never empty.
    pub authorities: Arc<[CertificateDer<'static>]>,
    /// The name in the certificate, where it is not the host of the URL.
    pub server_name: Option<String>,
    pub client: Option<ClientCertificate>,
    fingerprint: u64,
}

/// What sekisho shows to an upstream that asks who it is.
pub struct ClientCertificate {
    /// Its own certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl UpstreamTls {
    #[must_use]
    pub fn new(
        authorities: Arc<[CertificateDer<'static>]>,
        server_name: Option<String>,
        client: Option<ClientCertificate>,
    ) -> Self {
        let fingerprint = fingerprint(&authorities, server_name.as_deref(), client.as_ref());
        Self { authorities, server_name, client, fingerprint }
    }

    /// The same number for the same settings and no other: a connection made under some settings must never serve a route
    /// that has others.
    #[must_use]
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

fn fingerprint(
    authorities: &[CertificateDer<'static>],
    server_name: Option<&str>,
    client: Option<&ClientCertificate>,
) -> u64 {
    let mut digest = Sha256::new();
    // Each part behind its length, so that no two lists of parts run together to the same bytes.
    let mut part = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    part(&(authorities.len() as u64).to_be_bytes());
    authorities.iter().for_each(|authority| part(authority));
    part(server_name.unwrap_or_default().as_bytes());
    if let Some(client) = client {
        client.chain.iter().for_each(|certificate| part(certificate));
        part(client.key.secret_der());
    }
    let bytes: [u8; 32] = digest.finalize().into();
    bytes.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

impl fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamTls")
            .field("authorities", &self.authorities.len())
            .field("server_name", &self.server_name)
            .field("client", &self.client.is_some())
            .finish_non_exhaustive()
    }
}

/// As the file spells it; a default port is left out.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port, default) = match self {
            Self::Http { host, port } => ("http", host, *port, 80),
            Self::Https { host, port } => ("https", host, *port, 443),
            Self::Unix { path } => return write!(f, "unix:{}", path.display()),
        };
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{open}{host}{close}")?;
        if port == default { Ok(()) } else { write!(f, ":{port}") }
    }
}
