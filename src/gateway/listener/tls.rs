//! TLS: the handshake's settings, and which certificate is shown to whom.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::config::Certificate;

/// The certificates in use; a reload swaps them without touching what is open.
#[derive(Debug)]
pub struct Certificates(ArcSwap<Vec<Arc<CertifiedKey>>>);

impl Certificates {
    /// From the configuration, in its order.
    #[must_use]
    pub fn new(certificates: &[Certificate]) -> Self {
        Self(ArcSwap::from_pointee(keys(certificates)))
    }

    /// Shows these from the next handshake on.
    pub fn replace(&self, certificates: &[Certificate]) {
        self.0.store(Arc::new(keys(certificates)));
    }

    /// The first certificate that is good for this name; the first of all where the client named none, or one that none
    /// is for.
    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let keys = self.0.load();
        let wanted = name.and_then(|name| ServerName::try_from(name).ok());
        let matching = wanted.and_then(|wanted| keys.iter().find(|key| is_for(key, &wanted)));
        matching.or_else(|| keys.first()).map(Arc::clone)
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

/// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, no early data.
///
/// # Errors
/// Where the crypto provider has none of them, which this build's has.
pub fn acceptor(certificates: Arc<Certificates>) -> Result<TlsAcceptor, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
