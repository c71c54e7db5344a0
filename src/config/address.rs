//! Addresses with a scheme: where a route leads, where links in mails lead, which origins may open WebSockets.
//!
//! None of the messages repeats an address: somebody may have written a password into it.

use std::path::PathBuf;

use http::Uri;

use super::Upstream;
use super::values::{self, Bad};

/// `http://host[:port]`, `https://host[:port]`, `unix:/path`.
pub(super) fn upstream(text: &str) -> Result<Upstream, Bad> {
    if let Some(path) = text.strip_prefix("unix:") {
        return if path.starts_with('/') && path.len() <= LONGEST_SOCKET_PATH && !path.contains('\0') {
            Ok(Upstream::Unix { path: PathBuf::from(path) })
        } else {
            Err(Bad::new("names no socket")
                .hint("write unix: and an absolute path of at most 107 bytes, unix:/run/tool.sock"))
        };
    }
    let origin = Origin::read(text, "an upstream")?;
    let Origin { secure, host, port } = origin;
    let port = port.unwrap_or(if secure { 443 } else { 80 });
    if port == 0 {
        return Err(Bad::new("leads to port 0, where nothing can listen"));
    }
    Ok(if secure { Upstream::Https { host, port } } else { Upstream::Http { host, port } })
}

/// The kernel's limit for the path of a Unix socket, less the final NUL (unix(7)).
pub(super) const LONGEST_SOCKET_PATH: usize = 107;

/// An origin as a browser spells it in the `Origin` header (RFC 6454 §6.2): no default port, no path.
pub(super) fn web_origin(text: &str) -> Result<String, Bad> {
    Origin::read(text, "an origin").map(|origin| origin.spelled())
}

/// Where people's browsers reach sekisho: `https`, or `http` on this machine's own addresses.
pub(super) fn public_url(text: &str) -> Result<String, Bad> {
    let origin = Origin::read(text, "a URL of the gateway")?;
    let local = origin.host == "localhost"
        || origin.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if !origin.secure && !local {
        return Err(Bad::new("must begin with https://").hint("people cannot sign in over plain HTTP"));
    }
    Ok(origin.spelled())
}

/// The host of what [`public_url`] has read; an IPv6 address in its brackets.
pub(super) fn host_of(url: &str) -> Option<&str> {
    let (_, authority) = url.split_once("://")?;
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => Some(host),
        _ => Some(authority),
    }
}

struct Origin {
    secure: bool,
    /// An IPv6 address stands without its brackets.
    host: String,
    port: Option<u16>,
}

impl Origin {
    fn read(text: &str, what: &str) -> Result<Self, Bad> {
        let form = || {
            let bad = Bad::new(format!("must be {what}: http:// or https://, a host, and a port if need be"));
            if text.contains("://") { bad } else { bad.hint("put http:// or https:// before it") }
        };
        // Before anything else, so that a password written here is called what it is.
        if text.split(['/', '?', '#']).any(|part| part.contains('@')) {
            return Err(Bad::new("must not hold a user name or password"));
        }
        let uri: Uri = text.parse().map_err(|_| form())?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(form()),
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || text.contains('#') {
            return Err(Bad::new("must end after the host and port")
                .hint("no path, query or fragment: the path of each request is passed on as it is"));
        }
        let authority = uri.authority().ok_or_else(form)?;
        let host = authority.host();
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().map_err(|_| form())?.to_string(),
            None => values::host(host).map_err(|_| form())?.to_string(),
        };
        let port = authority.port_u16();
        if port.is_none() && authority.as_str().ends_with(|c: char| c == ':' || c.is_ascii_digit()) {
            // `host:` and `host:99999` have no port that can be read, but are not without one.
            let after_host = authority.as_str().get(authority.host().len()..).unwrap_or_default();
            if !after_host.is_empty() {
                return Err(form());
            }
        }
        Ok(Self { secure, host, port })
    }

    fn spelled(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let default = if self.secure { 443 } else { 80 };
        match self.port {
            Some(port) if port != default => format!("{scheme}://{host}:{port}"),
            _ => format!("{scheme}://{host}"),
        }
    }
}
