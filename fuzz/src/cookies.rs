//! Cookies: sekisho's own go to no upstream, the tool's pass untouched and in order, and no upstream sets one of sekisho's.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use sekisho::gateway::fuzzing::{Cookies, Presented, sets_own, without_own};
use sekisho::secret::ExposeSecret;

/// The first byte says whether it came over https; then each line is a Cookie line of the request, and a Set-Cookie line of an answer.
pub fn check(data: &[u8]) {
    let Some((flags, rest)) = data.split_first() else { return };
    let secure = flags & 1 == 0;
    let lines: Vec<HeaderValue> =
        rest.split(|b| *b == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    stripped(&lines);
    believed(&lines, secure);
    lines.iter().for_each(set_by_an_upstream);
}

/// The pairs of all lines, as RFC 6265 §5.4 has them written: the name and the whole pair, without the blanks around them.
fn pairs(lines: &[HeaderValue]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs = lines.iter().flat_map(|line| line.as_bytes().split(|b| *b == b';')).map(<[u8]>::trim_ascii);
    pairs
        .filter(|pair| !pair.is_empty())
        .map(|pair| (pair.split(|b| *b == b'=').next().unwrap_or_default().trim_ascii(), pair))
}

fn is_ours(name: &[u8]) -> bool {
    // Whatever somebody could take for a blank before it.
    let begin = name.iter().position(u8::is_ascii_graphic).unwrap_or(name.len());
    let lower = name[begin..].to_ascii_lowercase();
    lower.starts_with(b"sekisho-") || lower.starts_with(b"__host-sekisho-")
}

fn stripped(lines: &[HeaderValue]) {
    let expected: Vec<&[u8]> = pairs(lines).filter(|(name, _)| !is_ours(name)).map(|(_, pair)| pair).collect();
    let rest = without_own(lines.iter());
    let rest = rest.as_ref().map_or(&b""[..], HeaderValue::as_bytes);
    assert_eq!(rest, expected.join(&b"; "[..]), "the tool's cookies");
    // As a tool's own parser reads what is left.
    let text = String::from_utf8_lossy(rest).into_owned();
    for cookie in cookie::Cookie::split_parse(text).flatten() {
        assert!(!is_ours(cookie.name().trim().as_bytes()), "{cookie}");
    }
    let again: Vec<HeaderValue> = HeaderValue::from_bytes(rest).into_iter().collect();
    assert_eq!(without_own(again.iter()).as_ref().map_or(&b""[..], HeaderValue::as_bytes), rest);
}

fn believed(lines: &[HeaderValue], secure: bool) {
    let mut headers = HeaderMap::new();
    for line in lines {
        if headers.try_append(COOKIE, line.clone()).is_err() {
            return;
        }
    }
    let cookies = Cookies::read(&headers, secure);
    assert_eq!(cookies.any_own, pairs(lines).any(|(name, _)| is_ours(name)), "whether there is anything to strip");
    assert_eq!(cookies.lines, lines.len());
    let values = |name: &str| {
        let name = format!("{}sekisho-{name}", if secure { "__Host-" } else { "" });
        values_of(lines, name.as_bytes())
    };
    let own = &cookies.own;
    for (name, token) in [
        ("session", &own.session),
        ("device", &own.device),
        ("flow", &own.flow),
        ("csrf", &own.csrf),
        ("reset", &own.reset),
    ] {
        let values = values(name);
        if let Some(token) = token {
            let text = token.encode();
            assert_eq!(values, [text.expose_secret().as_bytes()], "{name}: what counts came once, and was that");
        } else {
            let is_token = |value: &[u8]| {
                let alphabet = value.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
                // The last character holds four bits of 256.
                alphabet && value.len() == 43 && value.last().is_some_and(|b| b"AEIMQUYcgkosw048".contains(b))
            };
            assert!(values.len() != 1 || !is_token(values[0]), "{name}: it was there and did not count");
        }
    }
    let session = values("session");
    match cookies.presented() {
        Presented::None => assert!(session.is_empty()),
        Presented::Session(_) => assert_eq!(session.len(), 1),
        Presented::Invalid => assert!(!session.is_empty()),
    }
}

/// The values of all cookies of a name: exactly this spelling, and no other.
fn values_of<'a>(lines: &'a [HeaderValue], name: &[u8]) -> Vec<&'a [u8]> {
    let named = pairs(lines).filter(|(other, _)| *other == name);
    named.map(|(_, pair)| pair.splitn(2, |b| *b == b'=').nth(1).unwrap_or_default().trim_ascii()).collect()
}

/// Whatever a browser makes of a Set-Cookie line: if the gateway would take it for its own at the next request, it lets no upstream
/// send it.
fn set_by_an_upstream(line: &HeaderValue) {
    let Some(sent) = as_browsers_send_it(line.as_bytes()) else { return };
    let Ok(sent) = HeaderValue::from_bytes(&sent) else { return };
    let headers = HeaderMap::from_iter([(COOKIE, sent)]);
    let taken = [true, false].map(|secure| Cookies::read(&headers, secure).any_own);
    assert!(!taken.contains(&true) || sets_own(line), "an upstream sets a cookie of sekisho's");
}

/// RFC 6265bis §5.6 and §5.8.3: the Cookie line that comes of a Set-Cookie line; `None`: none.
fn as_browsers_send_it(line: &[u8]) -> Option<Vec<u8>> {
    if line.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
        return None;
    }
    let pair = line.split(|b| *b == b';').next().unwrap_or_default();
    let (name, value) = match pair.iter().position(|b| *b == b'=') {
        Some(at) => (&pair[..at], &pair[at + 1..]),
        None => (&b""[..], pair),
    };
    let (name, value) = (name.trim_ascii(), value.trim_ascii());
    match (name, value) {
        (b"", b"") => None,
        (b"", value) => Some(value.to_vec()),
        (name, value) => Some([name, b"=", value].concat()),
    }
}
