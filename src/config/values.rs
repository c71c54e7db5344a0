//! Single values: text → what it means, or the rule that it breaks. Nothing here knows where the text stood.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use http::Method;
use ipnet::IpNet;

use super::{Language, Listen};
use crate::authn::user::{Group, LoginName};
use crate::authz::{Host, HostPattern, RoutePath};

/// Why a text will not do: a predicate that can follow the quoted text, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bad {
    pub rule: String,
    pub hint: Option<String>,
}

impl Bad {
    pub fn new(rule: impl Into<String>) -> Self {
        Self { rule: rule.into(), hint: None }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

pub(super) const DURATION_HINT: &str = "write a whole number and a unit: 30s, 15m, 12h, 7d";

pub(super) const SIZE_HINT: &str = "write a whole number and a unit: 64KiB, 10MiB, 1GiB";

pub(super) const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

pub(super) const fn minutes(number: u64) -> Duration {
    seconds(number * 60)
}

pub(super) const fn hours(number: u64) -> Duration {
    minutes(number * 60)
}

pub(super) const fn days(number: u64) -> Duration {
    hours(number * 24)
}

/// `30s`, `15m`, `12h`, `7d`.
pub(super) fn duration(text: &str, range: RangeInclusive<Duration>) -> Result<Duration, Bad> {
    let not_one = || Bad::new("is not a duration").hint(DURATION_HINT);
    let (number, unit) = number_and_unit(text).ok_or_else(not_one)?;
    let seconds_each = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(not_one()),
    };
    let duration = number.checked_mul(seconds_each).map(Duration::from_secs);
    duration.filter(|duration| range.contains(duration)).ok_or_else(|| {
        let (from, to) = (spell_duration(*range.start()), spell_duration(*range.end()));
        Bad::new(format!("must be from {from} to {to}"))
    })
}

/// A duration as the file would spell it, in the largest unit that divides it.
pub(super) fn spell_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let whole = units.iter().find(|(length, _)| seconds > 0 && seconds.is_multiple_of(*length));
    whole.map_or_else(|| format!("{seconds}s"), |(length, unit)| format!("{}{unit}", seconds / length))
}

/// `512B`, `64KiB`, `10MiB`, `2GiB`, in bytes.
pub(super) fn size(text: &str, range: RangeInclusive<u64>) -> Result<u64, Bad> {
    let not_one = || Bad::new("is not a size").hint(SIZE_HINT);
    let (number, unit) = number_and_unit(text).ok_or_else(not_one)?;
    let bytes_each = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(not_one()),
    };
    let bytes = number.checked_mul(bytes_each).filter(|bytes| range.contains(bytes));
    bytes
        .ok_or_else(|| Bad::new(format!("must be from {} to {}", spell_size(*range.start()), spell_size(*range.end()))))
}

pub(super) fn spell_size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let whole = units.iter().find(|(length, _)| bytes > 0 && bytes.is_multiple_of(*length));
    whole.map_or_else(|| format!("{bytes}B"), |(length, unit)| format!("{}{unit}", bytes / length))
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let (number, unit) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit())?)?;
    Some((number.parse().ok()?, unit))
}

/// A name in a client's certificate: a host, or a URI.
pub(super) fn certificate_name(text: &str) -> Result<String, Bad> {
    let bad = || {
        let hint = "a host (backup.example.com) or a URI (spiffe://example.com/backup), as the certificate has it among \
                    its alternative names";
        Bad::new("is no name of a certificate's").hint(hint)
    };
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b',' && b != b'*');
    if text.contains("://") {
        return if plain { Ok(text.to_owned()) } else { Err(bad()) };
    }
    let host = host(text).map_err(|_| bad())?;
    // Addresses stand elsewhere in a certificate, and are no programme's name.
    let is_address = host.as_str().trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    if is_address { Err(bad()) } else { Ok(host.as_str().to_owned()) }
}

/// `0.0.0.0:80`, `[::1]:8080`, `systemd:NAME`.
pub(super) fn listen(text: &str) -> Result<Listen, Bad> {
    if let Some(name) = text.strip_prefix("systemd:") {
        // sd_listen_fds_with_names(3): printable ASCII, no colon, at most 255 characters.
        let ok = (1..=255).contains(&name.len()) && name.chars().all(|c| c.is_ascii_graphic() && c != ':');
        return if ok {
            Ok(Listen::Systemd(name.to_owned()))
        } else {
            Err(Bad::new("names no socket").hint("the name is what FileDescriptorName= says in the socket unit"))
        };
    }
    socket_address(text).map(Listen::Address)
}

/// An IP address and a port.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, Bad> {
    text.parse().map_err(|_| {
        let port = text.rsplit_once(':').map_or(text, |(_, port)| port);
        let hint = if port.parse::<u16>().is_ok() {
            format!("write an IP address and a port: 127.0.0.1:{port} for this machine alone, 0.0.0.0:{port} for all")
        } else {
            "write an IP address and a port, like 0.0.0.0:80 or [::1]:8080".to_owned()
        };
        Bad::new("is not an address to listen on").hint(hint)
    })
}

/// `10.0.0.0/8`, or a single address.
pub(super) fn network(text: &str) -> Result<IpNet, Bad> {
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Ok(address.into());
    }
    let network: IpNet =
        text.parse().map_err(|_| Bad::new("is not a network").hint("like 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7"))?;
    // Host bits are mostly a slip of the pen, and two readings of who is meant.
    if network.addr() == network.network() {
        Ok(network)
    } else {
        Err(Bad::new("has bits beside its prefix").hint(format!("the network is {}", network.trunc())))
    }
}

/// One host, without port or wildcard.
pub(super) fn host(text: &str) -> Result<Host, Bad> {
    let rule =
        || Bad::new("is not a host name").hint("the name alone, like admin.example.com: no scheme, port or path");
    let host = Host::parse(text).map_err(|_| rule())?;
    if text.contains('*') { Err(rule()) } else { Ok(host) }
}

/// `admin.example.com`, `*.example.com`.
pub(super) fn host_pattern(text: &str) -> Result<HostPattern, Bad> {
    if text == "*" {
        return Err(Bad::new("is not a host name").hint("leave `host` out for a route of any host"));
    }
    match text.strip_prefix("*.") {
        Some(suffix) => host(suffix).map(HostPattern::Wildcard),
        None => host(text).map(HostPattern::Exact),
    }
}

/// A path prefix in the form that requests are matched in: `/`, `/shop`, `/shop/admin`.
pub(super) fn path(text: &str) -> Result<RoutePath, Bad> {
    if !text.starts_with('/') {
        return Err(Bad::new("is not a path").hint("a path begins with a slash"));
    }
    if text.contains(['?', '#']) {
        return Err(Bad::new("is not a path alone").hint("routes know no query and no fragment"));
    }
    let path = RoutePath::parse(text).map_err(|bad| Bad::new(format!("can never match a request: {bad}")))?;
    // Blanks and what is not ASCII are escaped for the writer; whatever else changes is probably not what was meant.
    let is_for_people = !text.is_ascii() || text.contains(' ');
    if path.as_str() == text || is_for_people {
        Ok(path)
    } else {
        Err(Bad::new("is not in normal form").hint(format!("write {path}")))
    }
}

/// A group of `allow.groups`.
pub(super) fn group(text: &str) -> Result<Group, Bad> {
    text.parse().map_err(|bad: crate::authn::user::InvalidField| Bad::new(bad.to_string()))
}

/// A login of `allow.users`.
pub(super) fn login(text: &str) -> Result<LoginName, Bad> {
    text.parse().map_err(|bad: crate::authn::user::InvalidField| Bad::new(bad.to_string()))
}

/// A method as it stands in a request line.
pub(super) fn method(text: &str) -> Result<Method, Bad> {
    let upper = text.to_ascii_uppercase();
    let method =
        Method::from_bytes(upper.as_bytes()).map_err(|_| Bad::new("is not a method").hint("like GET, POST"))?;
    if upper != text {
        return Err(Bad::new("is not a method").hint(format!("methods are upper case: {upper}")));
    }
    if matches!(method, Method::CONNECT | Method::TRACE) {
        return Err(Bad::new("is never forwarded"));
    }
    Ok(method)
}

/// The name of a cookie (RFC 6265 §4.1.1) that is not one of sekisho's.
pub(super) fn cookie_name(text: &str) -> Result<String, Bad> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if text.is_empty() || !text.chars().all(token) {
        return Err(Bad::new("is not the name of a cookie"));
    }
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("sekisho-") || lower.starts_with("__host-sekisho-") {
        return Err(Bad::new("is a cookie of sekisho's own"));
    }
    Ok(text.to_owned())
}

/// A language that the pages speak.
pub(super) fn language(text: &str) -> Result<Language, Bad> {
    match text {
        "ja" => Ok(Language::Ja),
        "en" => Ok(Language::En),
        _ => Err(Bad::new("is not a language of the pages").hint("ja or en")),
    }
}

/// A short text for people: a title, an issuer.
pub(super) fn label(text: &str) -> Result<String, Bad> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 100 || text.chars().any(char::is_control) {
        return Err(Bad::new("must be 1 to 100 characters on one line"));
    }
    Ok(text.to_owned())
}

/// What stands before the account in the app and in `otpauth://` addresses, which a colon ends.
pub(super) fn issuer(text: &str) -> Result<String, Bad> {
    let issuer = label(text)?;
    if issuer.contains(':') {
        Err(Bad::new("must not hold a colon: authenticator apps cut it there"))
    } else {
        Ok(issuer)
    }
}

/// A route's name: stands in logs, in tokens' scopes and in the assertion's `aud`.
pub(super) fn route_name(text: &str) -> Result<String, Bad> {
    let ok = text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if ok { Ok(text.to_owned()) } else { Err(Bad::new("must be 1 to 64 letters, digits or . _ -")) }
}
