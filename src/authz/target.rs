//! The target: request line and Host (or `:authority`) become one [`NormalTarget`], or 400. What was matched is what is
//! forwarded.
//!
//! The path's rules are in [`super::path`], the host's in [`super::host`]. The query is passed on as it came, but for
//! [`must_be_escaped`], and takes no part in any decision.

use std::fmt;

use super::host::{Host, parse_authority};
use super::path::{NormalPath, is_plain, normalise, push_byte};
use super::text::Text;

/// The longest target that is read, in bytes: what the usual web servers take in a request line. A longer one is 414.
pub const MAX_TARGET: usize = 8 * 1024;
/// What most targets are no longer than, in bytes; a longer one takes memory of its own.
const SHORT: usize = 156;

/// What came over the wire, unjudged.
#[derive(Debug, Clone, Copy)]
pub struct RawTarget<'a> {
    /// The request target as it stood in the request line, or `:path`.
    pub target: &'a [u8],
    /// The value of the one Host field, or `:authority`. None: there was no such field.
    pub authority: Option<&'a [u8]>,
    /// Whether the connection is TLS: an absolute-form target must have the matching scheme.
    pub secure: bool,
}

/// Where a request wants to go, in the one form that is matched and forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalTarget {
    host: Host,
    port: Option<u16>,
    /// What is forwarded: slashes merged, dot segments resolved, parameters included; then the query as it came.
    path_and_query: Text<SHORT>,
    path_length: usize,
    /// What is matched: escapes decoded, every segment's parameters removed. `None`: the path as it is.
    matching: Option<String>,
    /// The other ways in which an upstream might read the path.
    readings: Vec<String>,
    has_encoded_slash: bool,
}

impl NormalTarget {
    /// Settles a target.
    ///
    /// # Errors
    /// [`BadTarget`] for whatever two readers could understand differently.
    pub fn parse(raw: RawTarget<'_>) -> Result<Self, BadTarget> {
        if raw.target.len() > MAX_TARGET {
            return Err(BadTarget::TooLong);
        }
        let (host, port) = parse_authority(raw.authority.ok_or(BadTarget::Host)?, raw.secure)?;
        let target = origin_form(raw, &host, port)?;
        let path_end = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
        let (path, query) = target.split_at_checked(path_end).ok_or(BadTarget::Form)?;
        if !query.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#') {
            return Err(BadTarget::Query);
        }
        if path.first() == Some(&b'/') && is_plain(path) && !query.iter().any(|byte| must_be_escaped(*byte)) {
            let path_and_query = std::str::from_utf8(target).map_err(|_| BadTarget::Path)?;
            return Ok(Self {
                host,
                port,
                path_and_query: Text::new(path_and_query),
                path_length: path_end,
                matching: None,
                readings: Vec::new(),
                has_encoded_slash: false,
            });
        }
        // Here it is empty, as in an absolute-form without a path, or begins with a slash.
        let NormalPath { forwarded, matching, readings, has_encoded_slash } = normalise(path)?;
        let path_length = forwarded.len();
        let mut path_and_query = forwarded;
        query.iter().for_each(|byte| push_byte(&mut path_and_query, *byte, !must_be_escaped(*byte)));
        let path_and_query = Text::new(&path_and_query);
        Ok(Self { host, port, path_and_query, path_length, matching, readings, has_encoded_slash })
    }

    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port as the client named it; `None` where it named none, or the one that the scheme implies.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The path as it is forwarded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path_and_query().get(..self.path_length).unwrap_or_default()
    }

    /// The path as it is matched against routes, and against the portal's.
    #[must_use]
    pub fn matching_path(&self) -> &str {
        self.matching.as_deref().unwrap_or_else(|| self.path())
    }

    /// The other ways in which an upstream might read the path; empty for nearly all.
    pub(super) fn readings(&self) -> impl Iterator<Item = &str> {
        self.readings.iter().map(String::as_str)
    }

    /// Whether the path has a `%2F`, which few routes admit and no page of sekisho's own.
    #[must_use]
    pub const fn has_encoded_slash(&self) -> bool {
        self.has_encoded_slash
    }

    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.path_and_query().get(self.path_length..)?.strip_prefix('?')
    }

    /// Path and query, as they are forwarded.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        self.path_and_query.as_str()
    }

    /// The origin of the host asked for, as a browser spells it.
    #[must_use]
    pub fn origin(&self, secure: bool) -> String {
        let (scheme, default) = if secure { ("https", 443) } else { ("http", 80) };
        match self.port.filter(|port| *port != default) {
            Some(port) => format!("{scheme}://{}:{port}", self.host),
            None => format!("{scheme}://{}", self.host),
        }
    }

    /// Whether these are the bytes of [`Self::authority`].
    #[must_use]
    pub fn has_authority(&self, bytes: &[u8]) -> bool {
        let Some(rest) = bytes.strip_prefix(self.host.as_str().as_bytes()) else { return false };
        match self.port {
            None => rest.is_empty(),
            Some(port) => match rest {
                // Neither a sign nor a zero before it.
                [b':', digits @ ..] if matches!(digits.first(), Some(b'1'..=b'9')) => {
                    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()) == Some(port)
                }
                _ => false,
            },
        }
    }

    /// `host` or `host:port`, as the upstream sees it where the route preserves the host.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.as_str().to_owned(),
        }
    }
}

/// Bytes that scripts put into a target as they are, although they may not stand there (RFC 3986 §2), and that HTTP
/// libraries refuse. Escaped they mean the same.
#[must_use]
pub const fn must_be_escaped(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'`')
}

/// Takes scheme and authority off an absolute-form (RFC 9112 §3.2.2) that says the same as the connection and its Host.
fn origin_form<'a>(raw: RawTarget<'a>, host: &Host, port: Option<u16>) -> Result<&'a [u8], BadTarget> {
    if raw.target.first() == Some(&b'/') {
        return Ok(raw.target);
    }
    let scheme: &[u8] = if raw.secure { b"https://" } else { b"http://" };
    let rest = match raw.target.split_at_checked(scheme.len()) {
        Some((own, rest)) if own.eq_ignore_ascii_case(scheme) => rest,
        _ => return Err(BadTarget::Form),
    };
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).ok_or(BadTarget::Form)?;
    let (own_host, own_port) = parse_authority(authority, raw.secure).map_err(|_| BadTarget::Form)?;
    if own_host == *host && own_port == port { Ok(path) } else { Err(BadTarget::Form) }
}

/// As it is forwarded, without the query: queries carry secrets, and this ends up in logs.
impl fmt::Display for NormalTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

/// Why a target is refused with 400 (414 for [`BadTarget::TooLong`]). The text is for logs; the client is told no more
/// than "bad request".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    #[error("no host, or one that is not a host name")]
    Host,
    #[error("the target is neither origin-form nor an absolute-form that matches the host")]
    Form,
    #[error("the path has bytes or escapes that servers read differently")]
    Path,
    #[error("the query has bytes that cannot be in one")]
    Query,
    #[error("the path climbs over the root")]
    Climbs,
    #[error("the path has an encoded slash, which this route does not admit")]
    EncodedSlash,
    #[error("the route differs with and without path parameters")]
    Parameters,
    #[error("the target is longer than {MAX_TARGET} bytes")]
    TooLong,
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
