//! Names of headers, as loosely as tools read them.
//!
//! CGI and its heirs turn `-` into `_`, some turn `.` too, and fold runs (A14). Two names are the same here if they are the same after
//! everything but letters and digits has become a single `-`.

use std::borrow::Cow;

use http::HeaderName;

use super::values::Bad;

/// Names that sekisho or HTTP itself sets: no template and no `strip` may touch them.
const RESERVED_HEADERS: &[&str] = &[
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "sec-websocket-key",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
    "x-sekisho-assertion",
];

/// What is removed of a client's headers besides what always is (`identity.strip`), in its normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stripped {
    Name(String),
    /// All names that begin so. A `-` at its end is what makes `X-Tool-*` spare `X-Toolbox`.
    Beginning(String),
}

/// Lower case, every run of anything but letters and digits a single `-`, none at the ends.
#[must_use]
pub fn normal(name: &str) -> Cow<'_, str> {
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

/// The name of a header that an identity template may set.
pub(super) fn of_identity(text: &str) -> Result<HeaderName, Bad> {
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| Bad::new("is not the name of a header"))?;
    if RESERVED_HEADERS.contains(&&*normal(name.as_str())) {
        return Err(Bad::new("cannot carry an identity: it has a meaning of its own").hint("like Remote-User"));
    }
    Ok(name)
}

/// A name to strip, or with a `*` at its end the beginning of names.
pub(super) fn stripped(text: &str) -> Result<Stripped, Bad> {
    let no_name = || Bad::new("is not the name of a header").hint("like X-User, or X-User-* for all that begin so");
    let stem = text.strip_suffix('*').unwrap_or(text);
    let lower = HeaderName::from_bytes(stem.as_bytes()).map_err(|_| no_name())?;
    let stripped = match normal(lower.as_str()) {
        nothing if nothing.is_empty() => return Err(no_name()),
        name if stem.len() == text.len() => Stripped::Name(name.into_owned()),
        whole if !stem.ends_with(|c: char| c.is_ascii_alphanumeric()) => Stripped::Beginning(format!("{whole}-")),
        beginning => Stripped::Beginning(beginning.into_owned()),
    };
    match RESERVED_HEADERS.iter().find(|name| stripped.covers(name)) {
        Some(name) => Err(Bad::new(format!("would take {name} away, which HTTP or sekisho itself needs"))),
        None => Ok(stripped),
    }
}

impl Stripped {
    fn covers(&self, name: &str) -> bool {
        match self {
            Self::Name(stripped) => stripped == name,
            Self::Beginning(beginning) => name.starts_with(&**beginning),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stripped_is_what_tools_would_read() {
        let name = |name: &str| Stripped::Name(name.to_owned());
        let beginning = |beginning: &str| Stripped::Beginning(beginning.to_owned());
        for (text, expected) in [
            ("X-Old", name("x-old")),
            ("x__OLD_", name("x-old")),
            ("X-Tool-*", beginning("x-tool-")),
            ("x_tool_*", beginning("x-tool-")),
            ("X-Tool*", beginning("x-tool")),
        ] {
            assert_eq!(stripped(text).unwrap(), expected, "{text}");
        }
        for text in ["", "*", "_*", "-*", "_", "Host", "host_", "Content_Length", "Content_*", "C*", "x forwarded"] {
            assert!(stripped(text).is_err(), "{text}");
        }
        for text in ["Cookie", "content_length", "X__Real_IP"] {
            assert!(of_identity(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn normal_is_a_fixed_point(name in ".{0,40}") {
            let once = normal(&name).into_owned();
            proptest::prop_assert_eq!(normal(&once).into_owned(), once);
        }
    }
}
