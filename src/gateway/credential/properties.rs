//! Cookies, whatever a client or an upstream makes of them: ours are read once, reach no upstream, and no upstream sets one.

use http::HeaderValue;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::gateway::headers::cookies::{sets_own, without_own};

const TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Something like a pair, with our names and their neighbours among them.
fn pair() -> impl Strategy<Value = Vec<u8>> {
    const NAMES: &[&str] = &[
        "sekisho-session",
        "sekisho-session",
        "__Host-sekisho-session",
        "Sekisho-Session",
        "__HOST-SEKISHO-device",
        "sekisho-",
        "sekisho",
        "mysekisho-session",
        "__Host-other",
        "a",
        "",
    ];
    const VALUES: &[&str] = &[TOKEN, "", "x", "\"q q\"", "a=b", "sekisho-session=x"];
    const BLANKS: &[&str] = &["", "", "", " ", "  ", "\t"];
    const SIGNS: &[&str] = &["=", "=", "=", "=", " = ", "", "=="];
    let made = (select(BLANKS), select(NAMES), select(SIGNS), select(VALUES), select(BLANKS));
    let made = made.prop_map(|(before, name, sign, value, behind)| [before, name, sign, value, behind].concat());
    let bytes = prop::collection::vec(prop_oneof![0x20..=0x7E_u8, 0x80..=0xFF_u8, Just(b'\t')], 0..8);
    prop_oneof![6 => made.prop_map(String::into_bytes), 1 => bytes]
}

fn lines() -> impl Strategy<Value = Vec<HeaderValue>> {
    let line = prop::collection::vec(pair(), 0..4).prop_map(|pairs| pairs.join(&b';'));
    let line = line.prop_filter_map("no header value", |line| HeaderValue::from_bytes(&line).ok());
    prop::collection::vec(line, 0..4)
}

fn headers(lines: &[HeaderValue]) -> HeaderMap {
    lines.iter().map(|line| (COOKIE, line.clone())).collect()
}

/// The names and values that a tool would read, blanks taken off.
fn read_by_a_tool(lines: &[HeaderValue]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pairs = lines.iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let pairs = pairs.map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        (pair[..equals].trim_ascii().to_vec(), pair.get(equals + 1..).unwrap_or_default().trim_ascii().to_vec())
    });
    pairs.filter(|(name, value)| !name.is_empty() || !value.is_empty()).collect()
}

fn looks_like_ours(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with(b"sekisho-") || name.starts_with(b"__host-sekisho-")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn an_upstream_gets_the_other_cookies_and_none_of_ours(lines in lines()) {
        let rest: Vec<HeaderValue> = without_own(lines.iter()).into_iter().collect();
        let mut expected = read_by_a_tool(&lines);
        expected.retain(|(name, _)| !looks_like_ours(name));
        prop_assert_eq!(read_by_a_tool(&rest), expected);
        prop_assert_eq!(without_own(rest.iter()).into_iter().collect::<Vec<_>>(), rest);
        let ours = read_by_a_tool(&lines).iter().any(|(name, _)| looks_like_ours(name));
        let cookies = Cookies::read(&headers(&lines), true);
        prop_assert_eq!(cookies.any_own, ours);
        prop_assert_eq!(cookies.any_other, without_own(lines.iter()).is_some());
    }

    #[test]
    fn a_session_is_presented_by_one_cookie_of_the_right_name_and_form(lines in lines(), secure: bool) {
        let own = if secure { "__Host-sekisho-session" } else { "sekisho-session" };
        let named = read_by_a_tool(&lines).into_iter().filter(|(name, _)| name == own.as_bytes());
        let values: Vec<Vec<u8>> = named.map(|(_, value)| value).collect();
        let cookies = Cookies::read(&headers(&lines), secure);
        match (cookies.presented(), values.as_slice()) {
            (Presented::None, []) => {}
            (Presented::Session(_), [value]) => prop_assert_eq!(value.as_slice(), TOKEN.as_bytes()),
            (Presented::Invalid, [value]) => prop_assert_ne!(value.as_slice(), TOKEN.as_bytes()),
            (Presented::Invalid, [_, _, ..]) => prop_assert!(cookies.own.session.is_none()),
            (presented, values) => prop_assert!(false, "{:?} of {:?}", presented, values),
        }
    }

    /// RFC 6265bis §5.6 and §5.8.3: how a browser keeps a `Set-Cookie`, and what it sends of it.
    #[test]
    fn what_an_upstream_may_set_is_never_taken_for_ours(pair in pair(), more in pair()) {
        let Ok(value) = HeaderValue::from_bytes(&[pair.as_slice(), &more].join(&b';')) else { return Ok(()) };
        let equals = pair.iter().position(|byte| *byte == b'=');
        let (name, kept) = equals.map_or((&[][..], &pair[..]), |at| (&pair[..at], &pair[at + 1..]));
        let (name, kept) = (name.trim_ascii(), kept.trim_ascii());
        let sent = if name.is_empty() { kept.to_vec() } else { [name, kept].join(&b'=') };
        let Ok(sent) = HeaderValue::from_bytes(&sent) else { return Ok(()) };
        if Cookies::read(&headers(&[sent]), true).any_own {
            prop_assert!(sets_own(&value), "{:?}", value);
        }
    }
}
