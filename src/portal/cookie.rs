//! Set-Cookie lines: one place that knows the attributes (attack case A41).

use cookie::time::Duration;
use cookie::{Cookie, SameSite};
use http::HeaderValue;

use crate::secret::{ExposeSecret, Mac, Token};
use crate::service::cookies::CookieKind;

/// The longest that a browser keeps a cookie (RFC 6265bis §5.6.2).
const LONGEST: Duration = Duration::days(400);

/// No longer than the link itself is good.
const LINK: Duration = Duration::minutes(30);

/// A bearer value. All but the device key go when the browser is closed.
#[must_use]
pub fn bearer(kind: CookieKind, token: &Token, secure: bool) -> Option<HeaderValue> {
    let value = token.encode();
    let mut line = base(kind, value.expose_secret(), secure);
    match kind {
        CookieKind::Device => line.set_max_age(LONGEST),
        CookieKind::Reset => line.set_max_age(LINK),
        _ => {}
    }
    header(&line, true)
}

/// The language that was chosen.
#[must_use]
pub fn language(tag: &'static str, secure: bool) -> Option<HeaderValue> {
    let mut line = base(CookieKind::Language, tag, secure);
    line.set_max_age(LONGEST);
    header(&line, false)
}

/// Whose the tool's cookies in this browser are.
#[must_use]
pub fn owner(mark: &Mac, secure: bool) -> Option<HeaderValue> {
    let mut line = base(CookieKind::Owner, &mark.encode(), secure);
    line.set_max_age(LONGEST);
    header(&line, true)
}

/// Expires a cookie of the tool's. A browser tells cookies apart by name, path and domain (RFC 6265 §5.3), so the last two have to be
/// those that it was set with; `Secure` is there so that the `__Secure-` and `__Host-` names are heard too.
#[must_use]
pub fn expired(name: &str, path: &str, domain: Option<&str>, secure: bool) -> Option<HeaderValue> {
    let mut line = Cookie::build((name, "")).path(path).max_age(Duration::ZERO).secure(secure);
    if let Some(domain) = domain {
        line = line.domain(domain);
    }
    header(&line.build(), false)
}

/// Takes a cookie away.
#[must_use]
pub fn cleared(kind: CookieKind, secure: bool) -> Option<HeaderValue> {
    let mut line = base(kind, "", secure);
    line.set_max_age(Duration::ZERO);
    header(&line, false)
}

fn base(kind: CookieKind, value: &str, secure: bool) -> Cookie<'static> {
    Cookie::build((kind.name(secure), value.to_owned()))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(secure)
        .build()
}

fn header(line: &Cookie<'_>, secret: bool) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&line.to_string()).ok()?;
    value.set_sensitive(secret);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(value: Option<HeaderValue>) -> String {
        value.unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn over_https_every_cookie_is_bound_to_the_host() {
        let token = Token::from_bytes([7; 32]);
        for kind in CookieKind::ALL {
            let line = line(bearer(kind, &token, true));
            assert!(line.starts_with("__Host-sekisho-"), "{line}");
            for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
                assert!(line.contains(attribute), "{line}");
            }
            assert!(!line.contains("Domain"), "{line}");
        }
    }

    #[test]
    fn the_device_key_stays_for_400_days_and_the_session_goes_with_the_browser() {
        let token = Token::from_bytes([7; 32]);
        assert!(line(bearer(CookieKind::Device, &token, true)).contains("Max-Age=34560000"));
        assert!(!line(bearer(CookieKind::Session, &token, true)).contains("Max-Age"));
    }

    #[test]
    fn on_loopback_without_tls_the_plain_names_are_used() {
        let line = line(cleared(CookieKind::Session, false));
        assert_eq!(line, "sekisho-session=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0");
    }
}
