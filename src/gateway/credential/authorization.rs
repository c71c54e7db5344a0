//! The `Authorization` field, as far as it is sekisho's (CONTRACT §4): a Bearer value or a Basic password that begins with `skt_`. Whatever
//! else stands there is the tool's, and is passed on as it came.
//!
//! Whether it is sekisho's is judged leniently, as many servers read base64: what a tool could take for a token of ours must not reach it.
//! Whether it is good is judged strictly.

use std::sync::LazyLock;

use data_encoding::{Encoding, Specification};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use zeroize::Zeroizing;

use crate::authn::machine_token::{self, PREFIX};
use crate::secret::Token;

/// What a request shows for itself there.
#[derive(Debug)]
pub enum Shown {
    /// Nothing that is sekisho's.
    Nothing,
    /// Something that begins like a token and is none, or a token beside another field of that name.
    Malformed,
    Token(Token),
}

/// Looks at the fields.
pub fn shown(headers: &HeaderMap) -> Shown {
    let lines = headers.get_all(AUTHORIZATION);
    let Some(text) = lines.iter().find_map(|line| own(line.as_bytes())) else { return Shown::Nothing };
    let token = std::str::from_utf8(&text).ok().and_then(machine_token::read);
    match token {
        Some(token) if lines.iter().count() == 1 => Shown::Token(token),
        _ => Shown::Malformed,
    }
}

/// Whether there is anything that must not reach an upstream.
pub fn is_own(headers: &HeaderMap) -> bool {
    headers.get_all(AUTHORIZATION).iter().any(|line| own(line.as_bytes()).is_some())
}

/// The value, where it begins like a token.
fn own(line: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let line = line.trim_ascii();
    let end = line.iter().position(u8::is_ascii_whitespace)?;
    let (scheme, value) = line.split_at_checked(end)?;
    let value = value.trim_ascii();
    let text = if scheme.eq_ignore_ascii_case(b"bearer") {
        Zeroizing::new(value.to_vec())
    } else if scheme.eq_ignore_ascii_case(b"basic") {
        password(value)?
    } else {
        return None;
    };
    text.starts_with(PREFIX.as_bytes()).then_some(text)
}

/// What stands behind the first colon (RFC 7617 §2).
fn password(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let end = value.iter().position(|b| matches!(b, b'=' | b',' | b' ' | b'\t')).unwrap_or(value.len());
    let value = value.get(..end).unwrap_or_default();
    // One character alone is the beginning of a byte and no more.
    let whole = if value.len() % 4 == 1 { value.len() - 1 } else { value.len() };
    let pair = Zeroizing::new(LENIENT.decode(value.get(..whole).unwrap_or_default()).ok()?);
    let colon = pair.iter().position(|&b| b == b':')?;
    pair.get(colon + 1..).map(|password| Zeroizing::new(password.to_vec()))
}

/// Base64 of both alphabets, whatever its last bits are.
static LENIENT: LazyLock<Encoding> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    spec.translate.from.push_str("-_");
    spec.translate.to.push_str("+/");
    spec.check_trailing_bits = false;
    #[expect(
        clippy::expect_used,
        reason = "a constant of 64 distinct ASCII symbols and two more for the last ones is valid"
    )]
    spec.encoding().expect("64 distinct symbols")
});

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64, BASE64URL_NOPAD};
    use http::HeaderValue;

    use super::*;
    use crate::secret::ExposeSecret;

    fn token() -> String {
        machine_token::spelled(&Token::from_bytes([0xfb; 32])).expose_secret().to_owned()
    }

    fn judged(lines: &[&str]) -> &'static str {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, HeaderValue::from_str(line).unwrap());
        }
        let judged = match shown(&headers) {
            Shown::Nothing => "nothing",
            Shown::Malformed => "malformed",
            Shown::Token(found) => {
                assert_eq!(found.digest(), Token::from_bytes([0xfb; 32]).digest());
                "token"
            }
        };
        assert_eq!(is_own(&headers), judged != "nothing", "{lines:?}");
        judged
    }

    #[test]
    fn only_what_begins_like_a_token_is_sekishos() {
        let token = token();
        let basic = |text: &str| format!("Basic {}", BASE64.encode(text.as_bytes()));
        for (line, expected) in [
            (format!("Bearer {token}"), "token"),
            (format!("bearer   {token}  "), "token"),
            (format!("BEARER\t{token}"), "token"),
            (basic(&format!("any:{token}")), "token"),
            (basic(&format!(":{token}")), "token"),
            (format!("basic {}", BASE64URL_NOPAD.encode(format!("ü\u{7f}?:{token}").as_bytes())), "token"),
            (format!("Bearer {token}x"), "malformed"),
            (format!("Bearer {}", token.get(..46).unwrap()), "malformed"),
            (format!("Bearer {token},"), "malformed"),
            (format!("Bearer {token}, Basic dTpw"), "malformed"),
            ("Bearer skt_".to_owned(), "malformed"),
            (basic("any:skt_wrong"), "malformed"),
            (basic(&format!("any:{token}:x")), "malformed"),
            // Trailing characters that a lenient server drops.
            (format!("{}=x", basic(&format!("any:{token}"))), "token"),
            ("Bearer SKT_x".to_owned(), "nothing"),
            (format!("Bearer x{token}"), "nothing"),
            (format!("Bearer{token}"), "nothing"),
            (format!("Token {token}"), "nothing"),
            (basic(&token), "nothing"),
            (basic(&format!("{token}:")), "nothing"),
            (basic(&format!("a:b:{token}")), "nothing"),
            ("Basic !!!".to_owned(), "nothing"),
            ("Basic".to_owned(), "nothing"),
            ("Negotiate YII=".to_owned(), "nothing"),
            (String::new(), "nothing"),
        ] {
            assert_eq!(judged(&[&line]), expected, "{line}");
        }
    }

    #[test]
    fn a_token_beside_another_field_is_none() {
        let token = format!("Bearer {}", token());
        assert_eq!(judged(&[&token, &token]), "malformed");
        assert_eq!(judged(&[&token, "Basic dTpw"]), "malformed");
        assert_eq!(judged(&["NTLM x", &token]), "malformed");
        assert_eq!(judged(&["Basic dTpw", "Basic dTpw"]), "nothing");
        assert_eq!(judged(&[]), "nothing");
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_comes_makes_it_fail(line in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            let _ = own(&line);
            let mut basic = b"Basic ".to_vec();
            basic.extend(&line);
            let _ = own(&basic);
        }
    }
}
