//! Host names in one canonical form, and the authority (`host[:port]`) that a request names.

use std::borrow::Borrow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::target::BadTarget;
use super::text::Text;

/// A whole name (RFC 1035 §2.3.4, without the root's dot).
const MAX_NAME: usize = 253;
/// One label of it.
const MAX_LABEL: usize = 63;
/// Nearly all names that people give to machines; a longer one takes memory of its own.
const SHORT: usize = 44;

/// A host name in canonical form: lower case, without trailing dot, without port. IPv6 literals keep their brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(Text<SHORT>);

impl Host {
    /// Reads a host without port. International names are taken as A-labels (`xn--…`) only, as they stand on the wire;
    /// underscores are let through, because machines inside companies have them.
    ///
    /// # Errors
    /// [`BadTarget::Host`].
    pub fn parse(text: &str) -> Result<Self, BadTarget> {
        if let Some(literal) = text.strip_prefix('[') {
            let address = literal.strip_suffix(']').ok_or(BadTarget::Host)?;
            let address: Ipv6Addr = address.parse().map_err(|_| BadTarget::Host)?;
            return Ok(Self(Text::new(&format!("[{address}]"))));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.len() > MAX_NAME || !name.split('.').all(is_label) {
            return Err(BadTarget::Host);
        }
        // `127.1`, `0x7f.1` and `017700000001` are addresses to some and names to others: only the usual four numbers
        // may end in a number. `Ipv4Addr` takes no leading zeros.
        if name.rsplit('.').next().is_some_and(looks_numeric) && name.parse::<Ipv4Addr>().is_err() {
            return Err(BadTarget::Host);
        }
        let mut name = Text::new(name);
        name.make_ascii_lowercase();
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// This name and those above it that have a dot: what a cookie's `Domain` may say here. An address has none.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        let name = self.as_str();
        let is_name = !name.starts_with('[') && !name.rsplit('.').next().is_some_and(looks_numeric);
        let mut rest = is_name.then_some(name);
        std::iter::from_fn(move || {
            let domain = rest.filter(|name| name.contains('.'))?;
            rest = domain.split_once('.').map(|(_, above)| above);
            Some(domain)
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// So that tables can be searched by a part of a name.
impl Borrow<str> for Host {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

/// Reads `host` or `host:port`. A port that the scheme implies is left out, so that one place has one spelling.
pub(super) fn parse_authority(authority: &[u8], secure: bool) -> Result<(Host, Option<u16>), BadTarget> {
    let text = std::str::from_utf8(authority).map_err(|_| BadTarget::Host)?;
    let (host, port) = match text.rsplit_once(':') {
        // The colons of an IPv6 literal stand before its bracket.
        Some((host, port)) if !port.ends_with(']') => (host, Some(parse_port(port)?)),
        _ => (text, None),
    };
    let implied = if secure { 443 } else { 80 };
    Ok((Host::parse(host)?, port.filter(|port| *port != implied)))
}

fn parse_port(text: &str) -> Result<u16, BadTarget> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if canonical { text.parse().map_err(|_| BadTarget::Host) } else { Err(BadTarget::Host) }
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Whether a resolver might take a name that ends in this label for an address.
fn looks_numeric(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}
