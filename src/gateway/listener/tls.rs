//! TLS: the handshake's settings, and which certificate is shown to whom.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoClientAuth, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::config::Certificate;

/// TLS as the configuration in force has it. A change is for the next handshakes; what is open stays as it is.
pub struct Tls(ArcSwap<ServerConfig>);

/// Settings that were made, and can be put in force without anything going wrong.
pub struct Ready(Arc<ServerConfig>);

impl Tls {
    #[must_use]
    pub fn new(ready: Ready) -> Self {
        Self(ArcSwap::new(ready.0))
    }

    /// Shows these certificates from the next handshake on. No session of before is resumed: that would show none at all.
    pub fn replace(&self, ready: Ready) {
        self.0.store(ready.0);
    }

    /// For one handshake.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.load_full())
    }
}

/// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, no early data, with these certificates. Where clients may show certificates of their own, no session
/// is resumed: each handshake proves anew whose it is.
///
/// # Errors
/// Where the crypto provider has none of them, which this build's has.
pub fn prepare(
    certificates: &[Certificate],
    clients: Option<&Arc<dyn ClientCertVerifier>>,
) -> Result<Ready, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(
            clients.map_or_else(|| Arc::new(NoClientAuth) as Arc<dyn ClientCertVerifier>, Arc::clone),
        )
        .with_cert_resolver(Arc::new(Certificates(keys(certificates))));
    if clients.is_some() {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Ready(Arc::new(config)))
}

/// The certificates, in the configuration's order.
#[derive(Debug)]
struct Certificates(Vec<Arc<CertifiedKey>>);

impl Certificates {
    /// The first certificate that is good for this name; the first of all where the client named none, or one that none
    /// is for.
    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let wanted = name.and_then(|name| ServerName::try_from(name).ok());
        let matching = wanted.and_then(|wanted| self.0.iter().find(|key| is_for(key, &wanted)));
        matching.or_else(|| self.0.first()).map(Arc::clone)
    }
}

fn keys(certificates: &[Certificate]) -> Vec<Arc<CertifiedKey>> {
    certificates.iter().map(|certificate| Arc::clone(&certificate.certified)).collect()
}

fn is_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = key.end_entity_cert().and_then(ParsedCertificate::try_from);
    parsed.and_then(|certificate| verify_server_name(&certificate, name)).is_ok()
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}
