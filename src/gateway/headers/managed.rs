//! Which header names are sekisho's to set, and no client's.
//!
//! Tools read header names loosely: two are the same here if their normal forms are (`config::header_name`).

use std::collections::HashSet;
use std::fmt;

use http::HeaderName;

use crate::config::header_name::normal;
use crate::config::{Config, Stripped};

/// Names that tools or other login walls take a person's identity from (CONTRACT §2, `identity.strip`).
const IDENTITY_PREFIXES: [&str; 7] =
    ["remote-", "x-remote-", "x-auth-request-", "x-webauth-", "x-authentik-", "x-sekisho-", "x-ssl-client-"];
const IDENTITY: [&str; 6] = [
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    // CGI programs take it for their own HTTP_PROXY (httpoxy).
    "proxy",
];
/// Names that tell of the road so far; they count where a trusted proxy sent them.
const FORWARDING_PREFIX: &str = "x-forwarded-";
const FORWARDING: [&str; 16] = [
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "client-ip",
    "true-client-ip",
    "x-cluster-client-ip",
    "cf-connecting-ip",
    "x-original-url",
    "x-original-uri",
    "x-original-host",
    "x-original-method",
    "x-original-forwarded-for",
    "x-rewrite-url",
    "x-script-name",
    "x-scheme",
    "x-host",
];
/// By these some tools take another method than the request line's: removed where a route depends on the method.
const METHOD_OVERRIDE: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];
/// Names that the protocol gives a meaning: only their own spelling passes.
const PROTOCOL: [&str; 10] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "host",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
];

/// The managed names of one configuration, in their normal form.
#[derive(Debug)]
pub struct Managed {
    /// In their order, so that they can be searched.
    names: Vec<(String, Kind)>,
    identity_prefixes: Vec<String>,
    /// The names that answers of `/auth` may have, as they are written there.
    told: HashSet<String>,
    beginnings: Beginnings,
}

/// What a name is about, and so whose word on it counts. Of a name that is of two kinds the first one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Identity,
    Forwarding,
    Protocol,
}

/// How the managed names begin: most names of a request are through after one look. For every first byte, a bit for each second one, and one
/// for all that are neither letter nor digit, or not there.
struct Beginnings([u64; 256]);

impl Managed {
    /// The names of this configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let routes = config.upstreams.iter().flat_map(|route| &route.identity);
        let headers = config.identity.headers.iter().chain(routes).map(|(name, _)| name);
        let by_method = config.routes.iter().any(|(_, route)| !route.methods.is_empty());
        let headers: Vec<&str> = headers.map(HeaderName::as_str).collect();
        let assertion = config.identity.assertion.then_some("x-sekisho-assertion");
        let told = headers.iter().copied().chain(assertion).map(str::to_owned).collect();
        Self { told, ..Self::from_names(headers.into_iter(), &config.identity.strip, by_method) }
    }

    /// Whether a request that another proxy would pass on must not have this (lower-case) name: what is removed on sekisho's own way, but
    /// for names, in their own spelling, that such a proxy replaces by what it is told.
    #[must_use]
    pub fn is_claim(&self, name: &str) -> bool {
        self.is_removed(name, true) && !self.told.contains(name)
    }

    fn from_names<'a>(headers: impl Iterator<Item = &'a str>, strip: &[Stripped], by_method: bool) -> Self {
        let mut identity: HashSet<String> = headers.map(|name| normal(name).into_owned()).collect();
        identity.extend(IDENTITY.map(str::to_owned));
        if by_method {
            identity.extend(METHOD_OVERRIDE.map(str::to_owned));
        }
        let mut identity_prefixes: Vec<String> = IDENTITY_PREFIXES.map(str::to_owned).into();
        for stripped in strip {
            match stripped {
                Stripped::Name(name) => _ = identity.insert(name.clone()),
                Stripped::Beginning(beginning) => identity_prefixes.push(beginning.clone()),
            }
        }
        let identity = identity.into_iter().map(|name| (name, Kind::Identity));
        let forwarding = FORWARDING.map(|name| (name.to_owned(), Kind::Forwarding));
        let protocol = PROTOCOL.map(|name| (name.to_owned(), Kind::Protocol));
        let mut names: Vec<_> = identity.chain(forwarding).chain(protocol).collect();
        names.sort_unstable();
        // A name of the configuration's own is about a person, whatever else it might be: that kind is the first.
        names.dedup_by(|(later, _), (name, _)| later == name);
        let prefixes = identity_prefixes.iter().map(String::as_str).chain([FORWARDING_PREFIX]);
        let beginnings = Beginnings::of(names.iter().map(|(name, _)| name.as_str()), prefixes);
        Self { names, identity_prefixes, told: HashSet::new(), beginnings }
    }

    /// Whether a client's header of this (lower-case) name must not reach an upstream; `trusted`: it came by a proxy whose
    /// forwarding headers count.
    #[must_use]
    pub fn is_removed(&self, name: &str, trusted: bool) -> bool {
        if !self.beginnings.may_be(name) {
            return false;
        }
        let normal = normal(name);
        let respelt = *normal != *name;
        match self.kind(&normal) {
            Some(Kind::Identity) => true,
            Some(Kind::Forwarding) => respelt || !trusted,
            Some(Kind::Protocol) => respelt,
            None => false,
        }
    }

    fn kind(&self, normal: &str) -> Option<Kind> {
        if self.identity_prefixes.iter().any(|prefix| normal.starts_with(&**prefix)) {
            return Some(Kind::Identity);
        }
        let place = self.names.binary_search_by(|(name, _)| name.as_str().cmp(normal)).ok();
        let kind = place.and_then(|place| self.names.get(place)).map(|(_, kind)| *kind);
        kind.or_else(|| normal.starts_with(FORWARDING_PREFIX).then_some(Kind::Forwarding))
    }
}

impl Beginnings {
    fn of<'a>(names: impl Iterator<Item = &'a str>, prefixes: impl Iterator<Item = &'a str>) -> Self {
        let mut beginnings = Self([0; 256]);
        for name in names {
            beginnings.add(name.bytes().next(), second(name));
        }
        for prefix in prefixes {
            // A shorter one leaves open what comes second.
            beginnings.add(prefix.bytes().next(), if prefix.len() < 2 { u64::MAX } else { second(prefix) });
        }
        beginnings
    }

    /// `None`: any first byte.
    fn add(&mut self, first: Option<u8>, seconds: u64) {
        for (byte, bits) in (0..=u8::MAX).zip(&mut self.0) {
            if first.is_none_or(|first| first == byte) {
                *bits |= seconds;
            }
        }
    }

    /// Whether this name may be managed. One that begins with neither letter nor digit may be any.
    fn may_be(&self, name: &str) -> bool {
        let first = name.bytes().next().filter(u8::is_ascii_alphanumeric);
        let bits = first.and_then(|first| self.0.get(usize::from(first.to_ascii_lowercase())));
        bits.is_none_or(|bits| bits & second(name) != 0)
    }
}

/// The bit of a name's second byte.
fn second(name: &str) -> u64 {
    match name.as_bytes().get(1).map(u8::to_ascii_lowercase) {
        Some(byte @ b'a'..=b'z') => 1 << (byte - b'a'),
        Some(byte @ b'0'..=b'9') => 1 << (26 + byte - b'0'),
        _ => 1 << 36,
    }
}

impl fmt::Debug for Beginnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beginnings").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn managed() -> Managed {
        let strip = [Stripped::Beginning("x-tool-".to_owned()), Stripped::Name("who".to_owned())];
        Managed::from_names(["remote-user", "x-shop-login"].into_iter(), &strip, true)
    }

    #[test]
    fn every_spelling_of_a_managed_name_is_removed() {
        for name in [
            "remote-user",
            "remote_user",
            "remote.user",
            "remote--user",
            "remote__user",
            "_remote_user",
            "-remote-user",
            "remote-user-",
            "remote-groups",
            "remote~anything",
            "x-shop-login",
            "x_shop_login",
            "x-remote-user",
            "x-forwarded-user",
            "x_forwarded_user",
            "x-auth-request-email",
            "x-webauth-user",
            "x-authentik-username",
            "x-sekisho-assertion",
            "x-ssl-client-cert",
            "proxy",
            "x-tool-a",
            "x_tool_a",
            "who",
            "x-http-method-override",
        ] {
            assert!(managed().is_removed(name, true), "{name}");
            assert!(managed().is_removed(name, false), "{name}");
        }
    }

    #[test]
    fn forwarding_headers_are_kept_from_a_trusted_proxy_in_their_own_spelling_alone() {
        for name in
            ["x-forwarded-for", "x-forwarded-host", "x-forwarded-uri", "x-real-ip", "forwarded", "x-original-url"]
        {
            assert!(managed().is_removed(name, false), "{name}");
            assert!(!managed().is_removed(name, true), "{name}");
            assert!(managed().is_removed(&name.replace('-', "_"), true) || !name.contains('-'), "{name}");
        }
    }

    #[test]
    fn the_protocols_own_names_pass_in_their_own_spelling_alone() {
        for name in PROTOCOL {
            assert!(!managed().is_removed(name, false), "{name}");
            assert!(managed().is_removed(&format!("{name}_"), false), "{name}");
        }
        for name in ["content_length", "transfer_encoding", "x_request_id"] {
            assert!(managed().is_removed(name, true), "{name}");
        }
    }

    #[test]
    fn a_name_that_the_configuration_strips_counts_from_nobody_whatever_else_it_is() {
        let strip = ["x-original-url", "traceparent"].map(|name| Stripped::Name(name.to_owned()));
        let managed = Managed::from_names([].into_iter(), &strip, false);
        assert!(managed.is_removed("x-original-url", true) && managed.is_removed("traceparent", true));
    }

    #[test]
    fn what_is_not_sekishos_passes() {
        for name in [
            "accept",
            "user-agent",
            "x-csrftoken",
            "x-toolbox",
            "x_custom_thing",
            "x-requested-with",
            "if-none-match",
            "remotely",
        ] {
            assert!(!managed().is_removed(name, false), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_respelling_gets_through(separators in proptest::collection::vec("[^a-zA-Z0-9 ]{1,3}", 1), upper in proptest::bool::ANY) {
            let separator = separators.first().map_or("-", String::as_str);
            let name = format!("remote{separator}user");
            let name = if upper { name.to_ascii_uppercase() } else { name };
            proptest::prop_assert!(managed().is_removed(&name.to_ascii_lowercase(), true), "{}", name);
        }

        #[test]
        fn a_look_at_the_beginning_takes_nothing_from_the_rules(
            name in "[a-zA-Z0-9_.-]{0,4}|(remote|x|x-forwarded|who|host|cookie|proxy|upgrade)[^a-zA-Z0-9]{0,2}[a-z]{0,5}",
            strip in "[a-z]{1,2}|[a-z]-|[a-z0-9]{1,3}",
            beginning in proptest::bool::ANY,
        ) {
            let strip = [if beginning { Stripped::Beginning(strip) } else { Stripped::Name(normal(&strip).into_owned()) }];
            let managed = Managed::from_names(["remote-user", "q"].into_iter(), &strip, true);
            let kind = managed.kind(&normal(&name));
            proptest::prop_assert!(kind.is_none() || managed.beginnings.may_be(&name), "{} is {:?}", name, kind);
        }
    }
}
