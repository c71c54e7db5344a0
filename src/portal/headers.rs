//! The headers that every answer of the portal carries (attack case A46).

use std::borrow::Cow;

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue};

/// A content security policy: what all pages have in common, then what one kind of them adds.
macro_rules! policy {
    ($($more:literal)*) => {
        concat!("default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; object-src 'none'" $(, "; ", $more)*)
    };
}

/// What a page may load and do: style and pictures of its own, forms to its own host; nothing inline, no script, no frame.
const POLICY: &str = policy!("form-action 'self'" "frame-ancestors 'none'");

/// The same for a page whose form may lead into the tool. Chromium holds every redirect behind a form to `form-action`, so
/// that a tool which leads on to another site (its own login, another host) would end in an error right behind ours. Where
/// a tool leads is not known beforehand, and a list of everything would keep nothing out.
const LEADING_OUT_POLICY: &str = policy!("frame-ancestors 'none'");

/// What stands before and behind the hosts that a page's forms lead to, where these are known: with one sign-on for several hosts.
const LISTED_POLICY: (&str, &str) = (policy!("form-action 'self'"), "; frame-ancestors 'none'");

/// The same as the first for the one page that may stand in a frame of its own host: old tools have frames, and the person
/// in front of them must be able to find the way to the login.
const FRAMABLE_POLICY: HeaderValue = HeaderValue::from_static(policy!("form-action 'self'" "frame-ancestors 'self'"));

/// Everything that an answer depends on, beside its target.
const VARIES: HeaderValue =
    HeaderValue::from_static("Accept, Accept-Language, Cookie, Sec-Fetch-Dest, Sec-Fetch-Mode, X-Requested-With");

/// Sets what is not set already. `secure`: the effective scheme is https.
pub fn protect(headers: &mut HeaderMap, secure: bool) {
    let framable = headers.get(CONTENT_SECURITY_POLICY) == Some(&FRAMABLE_POLICY);
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(VARY, VARIES);
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static(if framable { "SAMEORIGIN" } else { "DENY" }));
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
        ("x-robots-tag", "noindex, nofollow"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if secure {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

/// Where a page's forms may lead, through every redirect behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forms {
    /// To its own host.
    Home,
    /// To wherever the tool likes.
    Anywhere,
    /// To its own host and to these.
    Listed(Vec<String>),
}

/// Gives a page the policy that it needs. `nonce`: that of its one script, a file of ours, which may ask sekisho. By its nonce and not by
/// where it is: the tool stands at the same origin, and what it serves there, or lets people upload, is no script of these pages.
pub fn allow(headers: &mut HeaderMap, forms: &Forms, nonce: Option<&str>) {
    let policy = match forms {
        Forms::Home => Cow::Borrowed(POLICY),
        Forms::Anywhere => Cow::Borrowed(LEADING_OUT_POLICY),
        Forms::Listed(hosts) => {
            let (before, behind) = LISTED_POLICY;
            Cow::Owned(format!("{before} {}{behind}", hosts.join(" ")))
        }
    };
    let scripted = nonce.map(|nonce| format!("{policy}; script-src 'nonce-{nonce}'; connect-src 'self'"));
    let policy = HeaderValue::try_from(scripted.as_deref().unwrap_or(&policy));
    headers.insert(CONTENT_SECURITY_POLICY, policy.unwrap_or(HeaderValue::from_static(POLICY)));
}

/// Lets this one answer stand in a frame of its own host.
pub fn allow_own_frames(headers: &mut HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, FRAMABLE_POLICY);
}
