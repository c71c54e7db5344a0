//! What TLS to a route's upstreams asks for, as Pingora takes it.
//!
//! Pingora's own list of authorities is empty, so that it never meets the machine's files, which can make it panic: each connection
//! brings the authorities of its route's configuration along. Pooled connections are told apart by address and server name, but
//! neither by authorities nor, reliably, by client certificate; the group key does that.

use std::sync::Arc;

use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use rustls_pki_types::CertificateDer;

use crate::config::UpstreamTls;

/// The settings of one route.
pub struct PeerTls {
    authorities: Arc<CaType>,
    client: Option<Arc<CertKey>>,
    server_name: Option<String>,
    group: u64,
}

/// Lists of authorities that several routes have in common: the machine's own is some hundred kilobytes.
#[derive(Default)]
pub struct Shared(Vec<(Arc<[CertificateDer<'static>]>, Arc<CaType>)>);

impl PeerTls {
    /// Every certificate was proved readable when the configuration was loaded.
    pub fn new(tls: &UpstreamTls, shared: &mut Shared) -> Self {
        let client = tls.client.as_ref().map(|client| {
            let chain = client.chain.iter().map(|certificate| certificate.to_vec()).collect();
            Arc::new(CertKey::new(chain, client.key.secret_der().to_vec()))
        });
        Self {
            authorities: shared.list(&tls.authorities),
            client,
            server_name: tls.server_name.clone(),
            // Even: the last bit tells the sockets of handshakes apart.
            group: tls.fingerprint() & !1,
        }
    }

    /// Makes `peer` one that speaks TLS by these settings. `host`: the upstream's, without brackets.
    pub fn apply(&self, peer: &mut HttpPeer, host: &str) {
        // Never empty: Pingora verifies nothing where there is no name to verify.
        peer.sni = self.server_name.as_deref().unwrap_or(host).to_owned();
        peer.options.ca = Some(Arc::clone(&self.authorities));
        peer.client_cert_key.clone_from(&self.client);
        peer.group_key = self.group;
    }
}

impl Shared {
    fn list(&mut self, authorities: &Arc<[CertificateDer<'static>]>) -> Arc<CaType> {
        if let Some((_, list)) = self.0.iter().find(|(known, _)| Arc::ptr_eq(known, authorities)) {
            return Arc::clone(list);
        }
        let list: Arc<CaType> =
            authorities.iter().map(|authority| WrappedX509::new(authority.to_vec(), parse_x509)).collect();
        self.0.push((Arc::clone(authorities), Arc::clone(&list)));
        list
    }
}
