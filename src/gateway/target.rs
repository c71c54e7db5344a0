//! The road to the gateway: which target is meant, who asks from where, and over which scheme.
//!
//! Forwarding headers are the word of whoever sent them. They count where the peer is a proxy that the configuration trusts,
//! and nowhere else.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use pingora::http::RequestHeader;

use super::context::Endpoints;
use crate::authz::{BadTarget, NormalTarget, RawTarget};
use crate::config::Config;

pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// A request on its arrival.
#[derive(Debug)]
pub struct Arrival {
    pub target: NormalTarget,
    /// The effective client address.
    pub client: IpAddr,
    /// The peer of the connection, and whether its forwarding headers count.
    pub peer: IpAddr,
    pub trusted: bool,
    /// Whether the effective scheme is https.
    pub secure: bool,
    /// Whether anybody may sign in over it.
    pub may_sign_in: bool,
}

/// Settles where a request wants to go and where it comes from.
///
/// # Errors
/// [`BadTarget`]: 400.
pub fn settle(request: &RequestHeader, endpoints: Endpoints, config: &Config) -> Result<Arrival, BadTarget> {
    let authority = request
        .uri
        .authority()
        .filter(|_| request.version == http::Version::HTTP_2)
        .map(|authority| authority.as_str().as_bytes())
        .or_else(|| request.headers.get(http::header::HOST).map(http::HeaderValue::as_bytes));
    let target = NormalTarget::parse(RawTarget { target: request.raw_path(), authority, secure: endpoints.tls })?;
    let trusted = config.trusts(endpoints.peer) && !endpoints.anonymous;
    let client = if trusted { forwarded_client(&request.headers, endpoints.peer, config) } else { endpoints.peer };
    let secure = endpoints.tls || (trusted && forwarded_https(&request.headers));
    let may_sign_in =
        secure || (endpoints.loopback && client.is_loopback() && (trusted || !was_forwarded(&request.headers)));
    Ok(Arrival { target, client, peer: endpoints.peer, trusted, secure, may_sign_in })
}

/// The last address that no trusted proxy has: each proxy appends the peer it saw, so what stands further to the left is
/// the client's own word.
fn forwarded_client(headers: &HeaderMap, peer: IpAddr, config: &Config) -> IpAddr {
    let mut client = peer;
    for value in headers.get_all(X_FORWARDED_FOR).iter().rev() {
        // Byte by byte: proxies append to whatever the client wrote, and what is no text there must not hide the rest.
        for entry in value.as_bytes().rsplit(|&b| b == b',') {
            let Some(address) = std::str::from_utf8(entry).ok().and_then(|entry| parse_address(entry.trim())) else {
                return client;
            };
            client = address;
            if !config.trusts(address) {
                return client;
            }
        }
    }
    client
}

/// An address as proxies write it: bare, in brackets, or with a port.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address =
        bare.parse().ok().or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|with_port| with_port.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// Whether every proxy on the way says https.
fn forwarded_https(headers: &HeaderMap) -> bool {
    let mut said = false;
    for value in headers.get_all(X_FORWARDED_PROTO) {
        for scheme in value.as_bytes().split(|&b| b == b',') {
            if !scheme.trim_ascii().eq_ignore_ascii_case(b"https") {
                return false;
            }
            said = true;
        }
    }
    said
}

/// Whether something stands between the client and a listener that looks local.
fn was_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        name.starts_with("x-forwarded-") || name == "forwarded" || name == "via"
    })
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
