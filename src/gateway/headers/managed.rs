//! Which header names are sekisho's to set, and no client's.
//!
//! Tools read header names loosely: CGI and its heirs turn `-` into `_`, some turn `.` too, and fold runs (A14). Two names
//! are the same here if they are the same after everything but letters and digits has become a single `-`.

use std::borrow::Cow;
use std::collections::HashSet;

use http::HeaderName;

use crate::config::Config;

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
    identity: HashSet<String>,
    identity_prefixes: Vec<String>,
    forwarding: HashSet<&'static str>,
    protocol: HashSet<&'static str>,
    /// The names that answers of `/auth` may have, as they are written there.
    told: HashSet<String>,
    /// First bytes of all these names: most names of a request are through after one look.
    initials: [bool; 256],
}

impl Managed {
    /// The names of this configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let routes = config.upstreams.iter().flat_map(|route| &route.identity);
        let headers = config.identity.headers.iter().chain(routes).map(|(name, _)| name);
        let by_method = config.routes.iter().any(|(_, route)| !route.methods.is_empty());
        let headers: Vec<&str> = headers.map(HeaderName::as_str).collect();
        let strip = config.identity.strip.iter().map(String::as_str);
        let assertion = config.identity.assertion.then_some("x-sekisho-assertion");
        let told = headers.iter().copied().chain(assertion).map(str::to_owned).collect();
        Self { told, ..Self::from_names(headers.into_iter(), strip, by_method) }
    }

    /// Whether a request that another proxy would pass on must not have this (lower-case) name: what is removed on sekisho's own way, but
    /// for names, in their own spelling, that such a proxy replaces by what it is told.
    #[must_use]
    pub fn is_claim(&self, name: &str) -> bool {
        self.is_removed(name, true) && !self.told.contains(name)
    }

    fn from_names<'a>(
        headers: impl Iterator<Item = &'a str>,
        strip: impl Iterator<Item = &'a str>,
        by_method: bool,
    ) -> Self {
        let mut identity: HashSet<String> = headers.map(|name| normal(name).into_owned()).collect();
        identity.extend(IDENTITY.map(str::to_owned));
        if by_method {
            identity.extend(METHOD_OVERRIDE.map(str::to_owned));
        }
        let mut identity_prefixes: Vec<String> = IDENTITY_PREFIXES.map(str::to_owned).into();
        for name in strip {
            let lower = name.to_ascii_lowercase();
            match lower.strip_suffix('*') {
                // The `-` at its end is what makes `X-Tool-*` spare `X-Toolbox`.
                Some(prefix) if prefix.ends_with(|c: char| !c.is_ascii_alphanumeric()) => {
                    identity_prefixes.push(format!("{}-", normal(prefix)));
                }
                Some(prefix) => identity_prefixes.push(normal(prefix).into_owned()),
                None => {
                    identity.insert(normal(&lower).into_owned());
                }
            }
        }
        let mut initials = [false; 256];
        let names = identity.iter().chain(&identity_prefixes).map(String::as_str);
        let names = names.chain(FORWARDING).chain(PROTOCOL).chain([FORWARDING_PREFIX]);
        for first in names.filter_map(|name| name.bytes().next()) {
            if let Some(initial) = initials.get_mut(usize::from(first)) {
                *initial = true;
            }
        }
        // A prefix of nothing is everything.
        if identity_prefixes.iter().any(String::is_empty) {
            initials = [true; 256];
        }
        Self {
            identity,
            identity_prefixes,
            forwarding: HashSet::from(FORWARDING),
            protocol: HashSet::from(PROTOCOL),
            told: HashSet::new(),
            initials,
        }
    }

    /// Whether a client's header of this (lower-case) name must not reach an upstream; `trusted`: it came by a proxy whose
    /// forwarding headers count.
    #[must_use]
    pub fn is_removed(&self, name: &str, trusted: bool) -> bool {
        let first = name.bytes().next().unwrap_or(b'_');
        let plain_start = first.is_ascii_alphanumeric();
        if plain_start && !self.initials.get(usize::from(first)).copied().unwrap_or(true) {
            return false;
        }
        let normal = normal(name);
        let respelt = *normal != *name;
        if self.identity.contains(&*normal) || self.identity_prefixes.iter().any(|prefix| normal.starts_with(&**prefix))
        {
            return true;
        }
        if normal.starts_with(FORWARDING_PREFIX) || self.forwarding.contains(&*normal) {
            return respelt || !trusted;
        }
        respelt && self.protocol.contains(&*normal)
    }
}

/// Lower case, every run of anything but letters and digits a single `-`, none at the ends.
fn normal(name: &str) -> Cow<'_, str> {
    let mut after_dash = true;
    let is_normal = name.bytes().all(|b| {
        let dash = b == b'-';
        let fine = b.is_ascii_lowercase() || b.is_ascii_digit() || (dash && !after_dash);
        after_dash = dash;
        fine
    });
    if is_normal && !after_dash {
        return Cow::Borrowed(name);
    }
    let mut normal = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            normal.push(c.to_ascii_lowercase());
        } else if !normal.is_empty() && !normal.ends_with('-') {
            normal.push('-');
        }
    }
    if normal.ends_with('-') {
        normal.pop();
    }
    Cow::Owned(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn managed() -> Managed {
        Managed::from_names(["remote-user", "x-shop-login"].into_iter(), ["X-Tool-*", "Who"].into_iter(), true)
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
        fn normal_is_a_fixed_point(name in ".{0,40}") {
            let once = normal(&name).into_owned();
            proptest::prop_assert_eq!(normal(&once).into_owned(), once);
        }
    }
}
