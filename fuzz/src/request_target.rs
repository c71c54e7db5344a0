//! The request target: what the gateway matched is what any upstream understands of what it forwarded.

use std::sync::LazyLock;

use http::Method;
use sekisho::authz::{BadTarget, NormalTarget, RawTarget, RouteTable};

use crate::{sample, upstreams};

static ROUTES: LazyLock<RouteTable> = LazyLock::new(|| sample::CONFIG.routes.clone());

/// The routes again, by their names, for a matcher that is written here.
const PATHS: [(&str, &[u8]); 5] = [
    ("all", b"/"),
    ("public", b"/public/"),
    ("admin", b"/admin"),
    ("files", b"/files"),
    ("deep", "/files/a b/あ".as_bytes()),
];

fn parse(target: &[u8], secure: bool) -> Result<NormalTarget, BadTarget> {
    NormalTarget::parse(RawTarget { target, authority: Some(b"app.test"), secure })
}

/// The first byte says whether it comes over TLS; the rest is the target.
pub fn check(data: &[u8]) {
    let Some((flags, raw)) = data.split_first() else { return };
    let secure = flags & 1 == 0;
    let Ok(target) = parse(raw, secure) else { return };
    let whole = target.path_and_query();

    assert_eq!(parse(whole.as_bytes(), secure).as_ref(), Ok(&target), "the normal form is another's");
    assert!(whole.starts_with('/') && !whole.starts_with("//"), "{whole}");
    assert!(whole.bytes().all(|b| b.is_ascii_graphic() && b != b'#') && !target.path().contains('\\'), "{whole}");
    assert!(whole.len() <= 3 * raw.len() + 1, "{whole}");
    assert!(whole.parse::<http::uri::PathAndQuery>().is_ok_and(|parsed| parsed.as_str() == whole), "{whole}");
    assert_eq!(whole.split('?').next(), Some(target.path()));
    assert_eq!(whole.split_once('?').map(|(_, query)| query), target.query());
    leaves_nothing_to_interpret(target.path());
    as_browsers_read_it(&target);
    as_upstreams_read_it(&target);
}

/// No escape that hides a dot, a slash other than an admitted one, a backslash, NUL or a control byte, however often it is decoded.
fn leaves_nothing_to_interpret(path: &str) {
    let mut text = path.as_bytes().to_vec();
    for round in 0..4 {
        let next: Vec<u8> = percent_encoding::percent_decode(&text).collect();
        let slashes = |text: &[u8]| text.iter().filter(|b| **b == b'/').count();
        // `%2F` itself is for the route to admit; one that shows only later never is.
        assert!(round == 0 || slashes(&next) == slashes(&text), "{path}");
        assert!(!next.iter().any(|b| (round == 0 && b.is_ascii_control()) || matches!(b, b'\\' | 0)), "{path}");
        let dots = |segment: &[u8]| {
            let name = segment.split(|b| *b == b';').next().unwrap_or_default();
            matches!(name.trim_ascii(), b"." | b"..")
        };
        assert!(!next.split(|b| *b == b'/').any(dots), "{path}");
        assert!(!path.contains("//") && (path.contains("%2F") || !next.windows(2).any(|two| two == b"//")), "{path}");
        text = next;
    }
}

/// A browser that is sent there asks for exactly this (WHATWG URL).
fn as_browsers_read_it(target: &NormalTarget) {
    let url = url::Url::parse(&format!("http://app.test{}", target.path_and_query())).expect("an address");
    assert_eq!(url.host_str(), Some("app.test"));
    assert_eq!(url.path(), target.path());
}

fn as_upstreams_read_it(target: &NormalTarget) {
    let Ok(found) = ROUTES.find(target, &Method::GET) else { return };
    let matched = found.and_then(|id| ROUTES.get(id)).expect("one route is for everything");
    assert!(!target.path().contains("%2F") || matched.allow_encoded_slash, "{target}");
    for reader in upstreams::readers() {
        let understood = reader.path(target.path_and_query().as_bytes());
        let route = route_of(&understood);
        assert_eq!(matched.name, route, "{target} is {} to {reader:?}", String::from_utf8_lossy(&understood));
    }
}

/// The longest path that is a prefix up to a slash.
fn route_of(path: &[u8]) -> &'static str {
    let covers = |prefix: &[u8]| {
        path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest[0] == b'/' || prefix.ends_with(b"/"))
    };
    PATHS
        .iter()
        .filter(|(_, prefix)| covers(prefix))
        .max_by_key(|(_, prefix)| prefix.len())
        .map_or("", |(name, _)| name)
}
