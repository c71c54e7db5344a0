//! Against forms that another site sends in a person's name (attack case A45), in two layers: where the request says it
//! comes from, and a token that only a page of ours can know.
//!
//! The token is the keyed digest of a random cookie, bound to the form it stands in and to the flow or session that the
//! form acts on. Nothing is stored for it.

use data_encoding::BASE64URL_NOPAD;
use http::header::{HeaderName, ORIGIN};
use http::{HeaderMap, HeaderValue};

use crate::secret::{KeyError, Keys, Purpose, Token};
use crate::service::visit::Visit;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Which form a token is for.
#[derive(Debug, Clone, Copy)]
pub enum Form<'a> {
    Login,
    /// Giving a code, of whatever kind, and having one sent again.
    SecondFactor {
        flow: &'a Token,
    },
    /// Confirming and cancelling alike.
    Enrol {
        flow: &'a Token,
    },
    /// "I have saved them".
    RecoveryCodes {
        flow: &'a Token,
    },
    /// A new password, within a login.
    NewPassword {
        flow: &'a Token,
    },
    /// Asking for a link to a new password.
    Forgot,
    /// Setting one by a link.
    Reset {
        link: &'a Token,
    },
    EnrolAgain {
        session: &'a Token,
    },
    Logout {
        session: &'a Token,
    },
    /// One of a page of one's own or of administration, by its name.
    Own {
        form: &'static str,
        session: &'a Token,
    },
}

impl Form<'_> {
    const fn name(&self) -> &'static [u8] {
        match self {
            Self::Own { form, .. } => form.as_bytes(),
            Self::Login => b"login",
            Self::SecondFactor { .. } => b"second-factor",
            Self::Enrol { .. } => b"enrol",
            Self::RecoveryCodes { .. } => b"recovery-codes",
            Self::NewPassword { .. } => b"new-password",
            Self::Forgot => b"forgot",
            Self::Reset { .. } => b"reset",
            Self::EnrolAgain { .. } => b"enrol-again",
            Self::Logout { .. } => b"logout",
        }
    }

    const fn acts_on(&self) -> Option<&Token> {
        match self {
            Self::Login | Self::Forgot => None,
            Self::Reset { link } => Some(link),
            Self::SecondFactor { flow }
            | Self::Enrol { flow }
            | Self::RecoveryCodes { flow }
            | Self::NewPassword { flow } => Some(flow),
            Self::Logout { session } | Self::EnrolAgain { session } | Self::Own { session, .. } => Some(session),
        }
    }
}

/// The token for this form in this browser.
///
/// # Errors
/// As [`Keys::mac`].
pub fn token(keys: &Keys, browser: &Token, form: Form<'_>) -> Result<String, KeyError> {
    with_parts(browser, form, |parts| keys.mac(Purpose::Csrf, parts)).map(|mac| BASE64URL_NOPAD.encode(mac.as_bytes()))
}

/// Whether `given` is the token for this form in this browser.
#[must_use]
pub fn is_valid(keys: &Keys, browser: Option<&Token>, form: Form<'_>, given: &str) -> bool {
    let Some(browser) = browser else { return false };
    let Ok(mac) = BASE64URL_NOPAD.decode(given.as_bytes()) else { return false };
    with_parts(browser, form, |parts| keys.verify(Purpose::Csrf, parts, &mac))
}

fn with_parts<T>(browser: &Token, form: Form<'_>, then: impl FnOnce(&[&[u8]]) -> T) -> T {
    let browser = browser.digest();
    let acts_on = form.acts_on().map(Token::digest);
    let acts_on: &[u8] = acts_on.as_ref().map_or(&[], |digest| digest.as_bytes());
    // Names of a person's own forms are a space apart from those of the login's.
    let own: &[u8] = if matches!(form, Form::Own { .. }) { b"own" } else { b"" };
    then(&[own, form.name(), browser.as_bytes(), acts_on])
}

/// Whether a request may come from a page of this very origin. A client that says nothing about itself (no browser of
/// the last years) is let on to the token.
#[must_use]
pub fn is_from_here(headers: &HeaderMap, visit: &Visit) -> bool {
    let scheme = if visit.secure { "https" } else { "http" };
    let own = Authority { host: visit.target.host().as_str(), port: visit.target.port() };
    site_is_own(headers) && origin_is_own(headers, scheme, own)
}

/// Fetch Metadata: `same-origin`, or `none` for what the person began, as by loading a page again.
fn site_is_own(headers: &HeaderMap) -> bool {
    headers.get_all(SEC_FETCH_SITE).iter().all(|site| site == "same-origin" || site == "none")
}

#[derive(Clone, Copy)]
struct Authority<'a> {
    host: &'a str,
    port: Option<u16>,
}

fn origin_is_own(headers: &HeaderMap, scheme: &str, own: Authority<'_>) -> bool {
    headers.get_all(ORIGIN).iter().all(|origin| is_own_origin(origin, scheme, own))
}

/// RFC 6454 §6.1 as browsers write it; `null` and whatever else cannot be read is not ours.
fn is_own_origin(origin: &HeaderValue, scheme: &str, own: Authority<'_>) -> bool {
    let Some((theirs, authority)) = origin.to_str().ok().and_then(|text| text.split_once("://")) else { return false };
    let standard = if scheme == "https" { 443 } else { 80 };
    // The colons of an IPv6 address stand in brackets; a port's colon stands behind them.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => match port.parse::<u16>() {
            Ok(port) => (host, port),
            Err(_) => return false,
        },
        _ => (authority, standard),
    };
    theirs == scheme && host.eq_ignore_ascii_case(own.host) && port == own.port.unwrap_or(standard)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::ExposeSecret;

    fn keys() -> Keys {
        Keys::parse(Keys::generate_line().unwrap().expose_secret()).unwrap()
    }

    #[test]
    fn a_token_is_good_for_its_form_browser_and_flow_alone() {
        let keys = keys();
        let [browser, other, flow, session] = [1, 2, 3, 4].map(|byte| Token::from_bytes([byte; 32]));
        let form = Form::SecondFactor { flow: &flow };
        let good = token(&keys, &browser, form).unwrap();
        assert!(is_valid(&keys, Some(&browser), form, &good));
        assert!(!is_valid(&keys, Some(&other), form, &good));
        assert!(!is_valid(&keys, None, form, &good));
        for form in [
            Form::Login,
            Form::Enrol { flow: &flow },
            Form::RecoveryCodes { flow: &flow },
            Form::NewPassword { flow: &flow },
            Form::Forgot,
            Form::Reset { link: &flow },
            Form::EnrolAgain { session: &session },
            Form::Logout { session: &session },
            Form::Own { form: "second-factor", session: &flow },
            Form::SecondFactor { flow: &session },
        ] {
            assert!(!is_valid(&keys, Some(&browser), form, &good), "{form:?}");
        }
        assert!(!is_valid(&super::tests::keys(), Some(&browser), form, &good));
        for wrong in ["", "x", &format!("{good}A"), &good.to_uppercase()] {
            assert!(!is_valid(&keys, Some(&browser), form, wrong), "{wrong}");
        }
    }

    fn from_here(origin: Option<&'static str>, site: Option<&'static str>, own: Authority<'_>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
        }
        if let Some(site) = site {
            headers.insert(SEC_FETCH_SITE, HeaderValue::from_static(site));
        }
        site_is_own(&headers) && origin_is_own(&headers, "https", own)
    }

    #[test]
    fn only_the_own_origin_is_from_here() {
        let plain = Authority { host: "app.test", port: None };
        let ported = Authority { host: "app.test", port: Some(8443) };
        assert!(from_here(None, None, plain));
        assert!(from_here(Some("https://app.test"), Some("same-origin"), plain));
        assert!(from_here(Some("https://app.test"), None, Authority { port: Some(443), ..plain }));
        assert!(from_here(Some("https://app.test:8443"), Some("same-origin"), ported));
        assert!(from_here(Some("https://[::1]"), None, Authority { host: "[::1]", port: None }));
        assert!(from_here(Some("https://[::1]:8443"), None, Authority { host: "[::1]", port: Some(8443) }));
        for foreign in [
            "null",
            "",
            "https://evil",
            "http://app.test",
            "https://app.test:8443",
            "https://app.test.evil",
            "app.test",
        ] {
            assert!(!from_here(Some(foreign), None, plain), "{foreign}");
        }
        assert!(!from_here(Some("https://app.test"), None, ported));
        for site in ["cross-site", "same-site", "unknown"] {
            assert!(!from_here(Some("https://app.test"), Some(site), plain), "{site}");
        }
    }

    #[test]
    fn of_two_origins_both_must_be_own() {
        let mut headers = HeaderMap::new();
        headers.append(ORIGIN, HeaderValue::from_static("https://app.test"));
        headers.append(ORIGIN, HeaderValue::from_static("https://evil"));
        assert!(!origin_is_own(&headers, "https", Authority { host: "app.test", port: None }));
    }
}
