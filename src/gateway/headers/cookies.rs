//! sekisho's cookies go to nobody but sekisho, and nobody but sekisho sets them.

use http::HeaderValue;

use crate::gateway::credential::{is_own, pairs};
use crate::service::cookies::is_sekishos;

/// The cookies of all lines but sekisho's, in one line and in their order (RFC 9113 §8.2.3); `None`: there are none.
pub fn without_own<'a>(lines: impl Iterator<Item = &'a HeaderValue>) -> Option<HeaderValue> {
    let mut rest: Vec<u8> = Vec::new();
    for line in lines {
        for pair in pairs(line.as_bytes()) {
            let pair = pair.trim_ascii();
            if pair.is_empty() || is_own(pair) {
                continue;
            }
            if !rest.is_empty() {
                rest.extend_from_slice(b"; ");
            }
            rest.extend_from_slice(pair);
        }
    }
    if rest.is_empty() { None } else { HeaderValue::from_bytes(&rest).ok() }
}

/// The pairs of a line but for those with such a name.
pub fn pairs_without(line: &[u8], unwanted: impl Fn(&[u8]) -> bool) -> impl Iterator<Item = &[u8]> {
    let named = |pair: &[u8]| pair.split(|&b| b == b'=').next().unwrap_or_default().trim_ascii().to_vec();
    pairs(line).map(<[u8]>::trim_ascii).filter(move |pair| !pair.is_empty() && !unwanted(&named(pair)))
}

/// Whether this `Set-Cookie` would make a browser send a cookie of sekisho's name. A cookie without a name is sent as its
/// bare value, so the value of one counts as a name too (RFC 6265bis §5.4).
pub fn sets_own(value: &HeaderValue) -> bool {
    let pair = value.as_bytes().split(|&b| b == b';').next().unwrap_or_default();
    let name = skip_to_name(pair);
    let ascii = name.iter().position(|b| !b.is_ascii()).and_then(|end| name.get(..end)).unwrap_or(name);
    std::str::from_utf8(ascii).is_ok_and(is_sekishos)
}

fn skip_to_name(mut pair: &[u8]) -> &[u8] {
    while let [b'=' | b'\0'..=b' ' | 0x7f..=0xff, rest @ ..] = pair {
        pair = rest;
    }
    pair
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(lines: &[&str]) -> Option<String> {
        let lines: Vec<_> = lines.iter().map(|line| HeaderValue::from_str(line).unwrap()).collect();
        without_own(lines.iter()).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_tools_cookies_stay_in_their_order() {
        let cases: [(&[&str], Option<&str>); 10] = [
            (&["a=1; b=2"], Some("a=1; b=2")),
            (&["a=1; __Host-sekisho-session=x; b=\"q q\""], Some("a=1; b=\"q q\"")),
            (&["__Host-sekisho-session=x"], None),
            (&["__Host-sekisho-device=x;a=1", "sekisho-session=y", "b=2"], Some("a=1; b=2")),
            (&["__HOST-SEKISHO-session=x; Sekisho-Session=y; a=1"], Some("a=1")),
            (&["a=1;  __Host-sekisho-session =x; sekisho-anything; =b"], Some("a=1; =b")),
            // A no-break space is a blank to some.
            (&["a=1; \u{a0}sekisho-session=x; \u{3000}__Host-sekisho-session=y"], Some("a=1")),
            (&["a=__Host-sekisho-session=x"], Some("a=__Host-sekisho-session=x")),
            (&["sekisho=1; mysekisho-session=2"], Some("sekisho=1; mysekisho-session=2")),
            (&[""], None),
        ];
        for (lines, expected) in cases {
            assert_eq!(without(lines).as_deref(), expected, "{lines:?}");
        }
    }

    #[test]
    fn an_upstream_sets_no_cookie_of_sekishos() {
        let own = [
            "__Host-sekisho-session=x; Path=/",
            "sekisho-session=x",
            "SEKISHO-SESSION=x",
            " sekisho-device=x",
            "=sekisho-session=x",
            "= __Host-sekisho-flow=x",
            "sekisho-x",
            "\tsekisho-session =x",
        ];
        for value in own {
            assert!(sets_own(&HeaderValue::from_bytes(value.as_bytes()).unwrap()), "{value}");
        }
        for value in ["sid=x; Path=/", "a=sekisho-session", "sekishosession=x", "x=1; sekisho-session=y", ""] {
            assert!(!sets_own(&HeaderValue::from_str(value).unwrap()), "{value}");
        }
    }
}
