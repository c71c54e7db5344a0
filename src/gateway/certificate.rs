//! The certificate that a client showed in its TLS handshake (`server.tls.client_certificates`): whose it is, and whether it is good still.
//!
//! It was verified in the handshake, by rustls and by the authorities of the configuration that was in force then. A connection may outlast that
//! configuration, the certificate, and the lists of revoked ones: so the whole chain is verified again under each configuration that a request
//! meets, and again after a while. Once it is good no longer, what is open by it ends, and soon after the connection.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::ORIGIN;
use http::{HeaderMap, HeaderName};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Gateway;
use super::context::Request;
use crate::authz::{Machine, MachineId, Route};
use crate::clock::Timestamp;
use crate::config::Config;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// How long it is taken for good without looking anew.
const VERIFIED_FOR: Duration = Duration::from_secs(60);
/// How often a connection is asked whether its certificate is good still.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long what is open by it has to end, before its connection does: more than a WebSocket takes to be told.
const FAREWELL: Duration = Duration::from_secs(3);

/// A client's certificate, as the handshake left it.
pub struct Certificate {
    /// Its own first, then whatever else the client sent.
    chain: Vec<CertificateDer<'static>>,
    /// The names that it is for: hosts and URIs of the subject's alternative names (RFC 5280 §4.2.1.6).
    names: BTreeSet<String>,
    fingerprint: [u8; 32],
    not_before: Timestamp,
    not_after: Timestamp,
    /// By whom it was last found good, and when.
    verified: Mutex<Option<(Arc<dyn ClientCertVerifier>, Timestamp)>>,
    ended: CancellationToken,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Certificate {
    /// Of a handshake that verified this chain. `None`: there is nothing in it that sekisho reads.
    #[must_use]
    pub fn shown(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let own = chain.first()?;
        let (_, parsed) = X509Certificate::from_der(own).ok()?;
        // Two such extensions are an error, and then it has no name.
        let names = match parsed.subject_alternative_name() {
            Ok(Some(found)) => found.value.general_names.iter().filter_map(name).collect(),
            _ => BTreeSet::new(),
        };
        let moment = |seconds: i64| Timestamp::from_secs(u64::try_from(seconds).unwrap_or_default());
        let validity = parsed.validity();
        Some(Self {
            names,
            fingerprint: Sha256::digest(own).into(),
            not_before: moment(validity.not_before.timestamp()),
            not_after: moment(validity.not_after.timestamp()),
            chain: chain.iter().map(|certificate| certificate.clone().into_owned()).collect(),
            verified: Mutex::default(),
            ended: CancellationToken::new(),
        })
    }

    /// Fires when it is good no longer.
    #[must_use]
    pub fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    /// As which machine it lets a request of this route through, by this configuration; `None`: as none.
    #[must_use]
    pub fn machine(&self, route: &Route, config: &Config, now: Timestamp) -> Option<Arc<Machine>> {
        let name = route.client_certificates.iter().find(|name| self.names.contains(*name))?;
        self.is_good(config, now).then(|| {
            Arc::new(Machine {
                id: MachineId::Certificate(self.known_as(name)),
                name: name.clone(),
                routes: BTreeSet::from([route.name.clone()]),
                since: self.not_before,
                expires_at: self.not_after,
            })
        })
    }

    /// One certificate may have several names, and what is kept for one of them is not for another.
    fn known_as(&self, name: &str) -> [u8; 32] {
        Sha256::new().chain_update(self.fingerprint).chain_update(name).finalize().into()
    }

    fn is_good(&self, config: &Config, now: Timestamp) -> bool {
        let Some(verifier) = config.server.client_verifier() else { return false };
        if self.ended.is_cancelled() || now < self.not_before || now >= self.not_after {
            return false;
        }
        let fresh = |(by, at): &(Arc<dyn ClientCertVerifier>, Timestamp)| {
            Arc::ptr_eq(by, verifier) && now >= *at && now.since(*at) < VERIFIED_FOR
        };
        if self.verified().as_ref().is_some_and(fresh) {
            return true;
        }
        let Some((own, others)) = self.chain.split_first() else { return false };
        let moment = UnixTime::since_unix_epoch(Duration::from_secs(now.secs()));
        let good = verifier.verify_client_cert(own, others, moment).is_ok();
        if good {
            *self.verified() = Some((Arc::clone(verifier), now));
        }
        good
    }

    fn verified(&self) -> MutexGuard<'_, Option<(Arc<dyn ClientCertVerifier>, Timestamp)>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gateway {
    /// Comes back when this certificate is good no longer, and what was open by it has ended.
    pub(super) async fn outlasts(&self, certificate: &Certificate) {
        let services = &self.state().services;
        // By the wall clock, which may be set, and which goes on while the machine sleeps.
        while certificate.is_good(&services.config.load(), services.clock.now()) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        certificate.ended.cancel();
        tokio::time::sleep(FAREWELL).await;
    }
}

/// A host and a URI are told apart by how they are spelt, as the configuration spells both in one list; so each has to be what it says it is.
fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        // A name for many hosts is no name of one machine.
        GeneralName::DNSName(host) if !host.contains(['*', ':', '/']) => Some(host.to_ascii_lowercase()),
        GeneralName::URI(uri) if uri.contains("://") => Some((*uri).to_owned()),
        _ => None,
    }
}

/// Whether a certificate may speak for this request at all. What was said on purpose goes first: a token or a session's cookie, whatever they
/// are worth. A proxy's certificate says nothing of its clients. And a browser shows its certificate for whatever page asks for something:
/// what another site's page asks for is nobody's. Old browsers tell that by `Origin` alone.
pub fn may_speak_for(request: &Request, headers: &HeaderMap) -> bool {
    let arrival = &request.arrival;
    let own_site = |site: &http::HeaderValue| site == "same-origin" || site == "none";
    let own_origin = |origin: &http::HeaderValue| {
        origin.as_bytes().eq_ignore_ascii_case(arrival.target.origin(arrival.secure).as_bytes())
    };
    request.token.is_none()
        && !request.cookies.shows_session()
        && !arrival.trusted
        && headers.get_all(&SEC_FETCH_SITE).iter().all(own_site)
        && headers.get_all(ORIGIN).iter().all(own_origin)
}
