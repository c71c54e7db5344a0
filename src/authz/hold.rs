//! Forms kept over a login (F34): which request is one, whose it is, and who may send it. Pure: what is known comes in as arguments.
//!
//! ```text
//! the form comes      a POST of a page of this very origin, as the whole window, in one of the three types that forms have
//! somebody's          by the cookie of a session that lives or is remembered, whose account still stands as it did
//! it is kept          for that account, as it is now, and for this origin alone
//! it is sent          by a session of that account, of the same epoch, at the same origin
//! ```
//!
//! So it is never a door for what another site sends in somebody's name: such a request is not kept at all, and what is kept nobody
//! else sees.

use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, ORIGIN, UPGRADE};
use http::{HeaderMap, HeaderValue, Method};
use serde::{Deserialize, Serialize};

use crate::id::UserId;

/// The types in which a browser sends a form (HTML, "enctype"). Scripts may send others, which no page of ours could show.
const FORM_TYPES: [&str; 3] = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];
/// Longer ones are no browser's.
const LONGEST_TYPE: usize = 256;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// Whether a request is a form that a page of this origin sends as the whole window; `own`: the origin, as a browser spells it.
#[must_use]
pub fn is_own_form(method: &Method, headers: &HeaderMap, own: &str) -> bool {
    let scripted = [X_REQUESTED_WITH, UPGRADE, CONTENT_ENCODING].iter().any(|name| headers.contains_key(name));
    *method == Method::POST
        && !scripted
        && comes_from(headers, own)
        && is_window(headers)
        && form_type(headers).is_some()
}

/// The one type that a form says it has.
#[must_use]
pub fn form_type(headers: &HeaderMap) -> Option<&str> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return None };
    let text = only.to_str().ok().filter(|text| text.len() <= LONGEST_TYPE)?;
    let essence = text.split(';').next().unwrap_or_default().trim();
    FORM_TYPES.iter().any(|known| essence.eq_ignore_ascii_case(known)).then_some(text)
}

/// What the browser says of where it comes from: `Origin` and Fetch Metadata, at least one of them, and each that is there.
fn comes_from(headers: &HeaderMap, own: &str) -> bool {
    let said = headers.contains_key(ORIGIN) || headers.contains_key(SEC_FETCH_SITE);
    let origin = |value: &HeaderValue| value.to_str().is_ok_and(|origin| origin.eq_ignore_ascii_case(own));
    said && headers.get_all(ORIGIN).iter().all(origin)
        && headers.get_all(SEC_FETCH_SITE).iter().all(|site| site == "same-origin")
}

/// A whole window and no frame, nor a script's request. A browser that says nothing of it asks for HTML.
fn is_window(headers: &HeaderMap) -> bool {
    if !headers.contains_key(SEC_FETCH_MODE) && !headers.contains_key(SEC_FETCH_DEST) {
        return headers.get_all(ACCEPT).iter().any(|value| value.to_str().is_ok_and(|text| text.contains("text/html")));
    }
    headers.get_all(SEC_FETCH_MODE).iter().all(|mode| mode == "navigate")
        && headers.get_all(SEC_FETCH_DEST).iter().all(|dest| dest == "document")
}

/// Whose a form is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub user: UserId,
    /// The account's epoch: a new password or factor, and it is nobody's any more.
    pub epoch: u64,
    /// The origin that it was sent to.
    pub origin: String,
}

impl Owner {
    /// Whether a session of `user`, begun under `epoch`, may see and send it at `origin`.
    #[must_use]
    pub fn may_send(&self, user: UserId, epoch: u64, origin: &str) -> bool {
        self.user == user && self.epoch == epoch && self.origin == origin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "https://shop.test";
    /// What a browser of today sends.
    const MODERN: [(&str, &str); 5] = [
        ("origin", OWN),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];

    fn kept(method: &Method, lines: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        is_own_form(method, &headers, OWN)
    }

    /// [`MODERN`] with this line in the place of its like, or none where the value is empty.
    fn with(name: &'static str, value: &'static str) -> bool {
        let lines = MODERN.into_iter().filter(|line| line.0 != name);
        let lines: Vec<_> = lines.chain((!value.is_empty()).then_some((name, value))).collect();
        kept(&Method::POST, &lines)
    }

    #[test]
    fn a_form_of_the_own_origin_is_one() {
        assert!(kept(&Method::POST, &MODERN));
        for form in
            ["multipart/form-data; boundary=x", "text/plain", "Application/X-WWW-Form-Urlencoded; charset=UTF-8"]
        {
            assert!(with("content-type", form), "{form}");
        }
        assert!(with("origin", "HTTPS://SHOP.TEST"));
        assert!(with("sec-fetch-site", "") && with("origin", ""), "one of them is enough");
        let old = [("origin", OWN), ("accept", "text/html,*/*"), ("content-type", "text/plain")];
        assert!(kept(&Method::POST, &old));
    }

    #[test]
    fn nothing_else_is() {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD] {
            assert!(!kept(&method, &MODERN), "{method}");
        }
        for (name, value) in [
            ("origin", "https://evil.test"),
            ("origin", "https://shop.test:8443"),
            ("origin", "http://shop.test"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-dest", "iframe"),
            ("sec-fetch-dest", "empty"),
            ("content-type", "application/json"),
            ("content-type", ""),
            ("x-requested-with", "XMLHttpRequest"),
            ("content-encoding", "gzip"),
        ] {
            assert!(!with(name, value), "{name}: {value}");
        }
        for (name, value) in
            [("origin", "https://evil.test"), ("sec-fetch-site", "cross-site"), ("content-type", "text/plain")]
        {
            let twice: Vec<_> = MODERN.into_iter().chain([(name, value)]).collect();
            assert!(!kept(&Method::POST, &twice), "{name} twice");
        }
        let silent = [("accept", "text/html"), ("content-type", "text/plain")];
        assert!(!kept(&Method::POST, &silent), "nobody says where it comes from");
        let script = [("origin", OWN), ("accept", "*/*"), ("content-type", "text/plain")];
        assert!(!kept(&Method::POST, &script));
    }

    #[test]
    fn it_is_its_owners_alone() {
        let [alice, bob] = [1, 2].map(|byte| UserId::from_bytes([byte; 10]));
        let owner = Owner { user: alice, epoch: 3, origin: OWN.to_owned() };
        assert!(owner.may_send(alice, 3, OWN));
        assert!(!owner.may_send(bob, 3, OWN));
        assert!(!owner.may_send(alice, 4, OWN) && !owner.may_send(alice, 2, OWN));
        assert!(!owner.may_send(alice, 3, "https://other.test") && !owner.may_send(alice, 3, "http://shop.test"));
    }
}
