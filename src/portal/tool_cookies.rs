//! The tool's own cookies (F41): its session does not outlive the person's, and nobody comes into what another one has left in the
//! browser. Those that `forget_cookies` names are expired at a logout, and when the browser changes hands.
//!
//! Whose they are stands in a cookie of sekisho's, a keyed digest of the account: without power, and nobody can make somebody else's. Where it
//! is not there or does not fit, the browser has changed hands. So it needs no memory of sessions that are long over.

use http::header::SET_COOKIE;

use super::cookie;
use super::exchange::Exchange;
use crate::authz::Host;
use crate::id::UserId;
use crate::secret::Purpose;
use crate::service::cookies::CookieKind;

/// Expires them, and nobody owns what comes after.
pub fn forget(exchange: &mut Exchange) {
    if expire(exchange) {
        exchange.clear_cookie(CookieKind::Owner);
    }
}

/// This account is in now: expires them unless they are its own.
pub fn hand_to(exchange: &mut Exchange, account: UserId) {
    let keys = &exchange.visit.config.keys;
    let name = account.to_string();
    let parts: [&[u8]; 1] = [name.as_bytes()];
    let known = exchange.visit.cookies.owner.as_ref();
    if known.is_some_and(|mark| keys.verify(Purpose::ToolCookies, &parts, mark.as_bytes())) {
        return;
    }
    // Without a key there is no mark, and they are expired the next time again.
    let mark = keys.mac(Purpose::ToolCookies, &parts);
    if let (true, Ok(mark)) = (expire(exchange), mark) {
        exchange.add(SET_COOKIE, cookie::owner(&mark, exchange.visit.secure));
    }
}

/// Whether there are any on this host.
fn expire(exchange: &mut Exchange) -> bool {
    let secure = exchange.visit.secure;
    let lines: Vec<_> = {
        let host = exchange.visit.target.host();
        let named = named(exchange);
        let line = |(name, path, domain): &(String, String, Option<&str>)| cookie::expired(name, path, *domain, secure);
        named.iter().flat_map(|(name, paths)| places(name, paths, host)).map(|place| line(&place)).collect()
    };
    let any = !lines.is_empty();
    lines.into_iter().for_each(|line| exchange.add(SET_COOKIE, line));
    any
}

/// The names that this host's routes give, each once, with the paths of those routes.
fn named(exchange: &Exchange) -> Vec<(String, Vec<String>)> {
    let (config, host) = (&exchange.visit.config, exchange.visit.target.host());
    let mut named: Vec<(String, Vec<String>)> = Vec::new();
    for (id, route) in config.routes.iter().filter(|(_, route)| route.host.covers(host)) {
        for name in config.upstream(id).map(|upstream| upstream.forget_cookies.as_slice()).unwrap_or_default() {
            let path = route.path.as_str().to_owned();
            match named.iter_mut().find(|(known, _)| known == name) {
                Some((_, paths)) if paths.contains(&path) => {}
                Some((_, paths)) => paths.push(path),
                None => named.push((name.clone(), vec![path])),
            }
        }
    }
    named
}

/// Where tools set a cookie of this name: for this host alone, at the root or at their own path with or without the slash, or, at the
/// root, for the host's domain and those above it.
fn places<'a>(name: &str, paths: &[String], host: &'a Host) -> Vec<(String, String, Option<&'a str>)> {
    let mut places = vec![(name.to_owned(), "/".to_owned(), None)];
    for path in paths.iter().map(|path| path.trim_end_matches('/')).filter(|path| fits(path)) {
        places.push((name.to_owned(), path.to_owned(), None));
        places.push((name.to_owned(), format!("{path}/"), None));
    }
    // Browsers take no `Domain` with this prefix (RFC 6265bis §4.1.3.2).
    if !name.get(..7).is_some_and(|prefix| prefix.eq_ignore_ascii_case("__host-")) {
        places.extend(host.domains().map(|domain| (name.to_owned(), "/".to_owned(), Some(domain))));
    }
    places
}

/// Whether a path can stand in a Set-Cookie line.
fn fits(path: &str) -> bool {
    !path.is_empty() && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';')
}
