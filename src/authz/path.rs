//! Paths: the one normal form that is forwarded, the form that is matched, and the other ways in which an upstream might
//! read the same bytes.
//!
//! What is forwarded has no empty segments and no dot segments; escapes of unreserved characters are decoded, other
//! escapes are in upper case, and printable characters that may not stand in a path are escaped (RFC 3986 §6.2.2: all
//! equivalent spellings). What is matched is that path as an upstream understands it: escapes decoded, every segment's
//! `;parameters` removed; only `%25`, `%2F` and bytes above ASCII stay escaped in it.
//!
//! Where upstreams are known to disagree about a path (are parameters part of it, is `%3B` one, is it decoded twice…),
//! each such reading is kept beside the matched one (see [`readings`]): the route table refuses a path whose readings lead
//! to different routes.

use std::fmt;

use super::target::BadTarget;
use readings::{overlong, read_all};

mod readings;

/// A path that was settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NormalPath {
    /// What is forwarded.
    pub forwarded: String,
    /// What is matched, where it differs.
    pub matching: Option<String>,
    /// The other ways to read it.
    pub readings: Vec<String>,
    pub has_encoded_slash: bool,
}

/// Brings a path that begins with `/` to its normal form. Most need none of this: see [`is_plain`].
pub(super) fn normalise(raw: &[u8]) -> Result<NormalPath, BadTarget> {
    let mut forwarded = String::with_capacity(raw.len() + 16);
    // Where each segment that stands begins, for `..` to take it away again.
    let mut starts = Vec::new();
    let mut has_encoded_slash = false;
    let mut open_end = true;
    for segment in raw.split(|byte| *byte == b'/').skip(1) {
        if segment.is_empty() {
            open_end = true;
            continue;
        }
        let start = forwarded.len();
        forwarded.push('/');
        let decoded = append_segment(&mut forwarded, segment)?;
        has_encoded_slash |= decoded.contains(&b'/');
        let kind = kind_of(&decoded)?;
        open_end = kind != Kind::Name;
        match kind {
            Kind::Name => starts.push(start),
            Kind::Dot => forwarded.truncate(start),
            // How far up `a%2Fb/..` leads depends on who decodes first.
            Kind::DotDot if has_encoded_slash => return Err(BadTarget::EncodedSlash),
            Kind::DotDot => forwarded.truncate(starts.pop().ok_or(BadTarget::Climbs)?),
        }
    }
    if open_end {
        forwarded.push('/');
    }
    let (matching, readings) = read_all(&forwarded)?;
    Ok(NormalPath { matching: (matching != forwarded).then_some(matching), forwarded, readings, has_encoded_slash })
}

/// Appends a segment in normal form, and returns what its bytes mean.
fn append_segment(out: &mut String, segment: &[u8]) -> Result<Vec<u8>, BadTarget> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment;
    while let Some((&byte, after)) = rest.split_first() {
        let value = if byte == b'%' {
            let (value, after) = escape(rest).ok_or(BadTarget::Path)?;
            if value.is_ascii_control() || value == b'\\' || is_overlong(value, after) {
                return Err(BadTarget::Path);
            }
            push_byte(out, value, is_unreserved(value));
            rest = after;
            value
        } else {
            if !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'#' | b'?') {
                return Err(BadTarget::Path);
            }
            push_byte(out, byte, is_path_character(byte));
            rest = after;
            byte
        };
        decoded.push(value);
    }
    if decoded.contains(&b'%') && hides_escapes(&decoded) {
        return Err(BadTarget::Path);
    }
    Ok(decoded)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Name,
    Dot,
    DotDot,
}

/// Tells dot segments from names. What only some servers take for a dot segment is refused: see [`may_be_dots`].
fn kind_of(decoded: &[u8]) -> Result<Kind, BadTarget> {
    match decoded {
        b"." => return Ok(Kind::Dot),
        b".." => return Ok(Kind::DotDot),
        _ if may_be_dots(decoded) => return Err(BadTarget::Path),
        _ => {}
    }
    // Whether the parameters end at an encoded slash is anybody's guess.
    if decoded.contains(&b'/') && decoded.contains(&b';') {
        return Err(BadTarget::EncodedSlash);
    }
    Ok(Kind::Name)
}

/// Whether somebody could take a segment, or a part of it beside an encoded slash, for a dot segment: because parameters
/// (`..;x`) or blanks are nothing to them, or because they decode before they look for the query (`..%3Fx`).
fn may_be_dots(decoded: &[u8]) -> bool {
    decoded.split(|byte| *byte == b'/').any(|part| {
        let name = part.split(|byte| matches!(byte, b';' | b'?' | b'#')).next().unwrap_or_default();
        matches!(name.trim_ascii(), b"." | b"..")
    })
}

/// Whether more rounds of decoding than the one that is due would turn up a dot, a slash, a backslash or NUL, or make a dot
/// segment.
fn hides_escapes(decoded: &[u8]) -> bool {
    let mut text = decoded.to_vec();
    // Nobody encodes a path four times in good faith, and without a bound each round costs a pass over it.
    for _ in 0..3 {
        let mut next = Vec::with_capacity(text.len());
        let mut rest = text.as_slice();
        while let Some((&byte, after)) = rest.split_first() {
            match escape(rest) {
                Some((value, after)) => {
                    if matches!(value, b'.' | b'/' | b'\\' | 0) || is_overlong(value, after) {
                        return true;
                    }
                    next.push(value);
                    rest = after;
                }
                None if is_wide_escape(rest) => return true,
                None => {
                    next.push(byte);
                    rest = after;
                }
            }
        }
        if next.len() == text.len() {
            return false;
        }
        if may_be_dots(&next) {
            return true;
        }
        text = next;
    }
    true
}

/// Whether `lead` and the escapes after it are a longer UTF-8 form of `.`, `/` or `\`.
fn is_overlong(lead: u8, after: &[u8]) -> bool {
    overlong(lead, after).is_some_and(|(value, _)| matches!(value, b'.' | b'/' | b'\\'))
}

/// `%uXXXX`, which some servers decode.
fn is_wide_escape(text: &[u8]) -> bool {
    matches!(text, [b'%', b'u' | b'U', a, b, c, d, ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()))
}

/// Whether a path (up to `?` or the end) is in normal form already, which nearly every one is, and has no other reading.
pub(super) fn is_plain(path: &[u8]) -> bool {
    let mut previous = 0;
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        let ordinary = match byte {
            b'/' => previous != b'/',
            b'.' if previous == b'/' => !matches!(after, [] | [b'/', ..] | [b'.'] | [b'.', b'/', ..]),
            _ => is_path_character(byte) && byte != b';',
        };
        if !ordinary {
            return false;
        }
        previous = byte;
        rest = after;
    }
    true
}

/// The byte that `%XX` at the beginning of `text` stands for, and what follows.
fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, rest @ ..] = text else { return None };
    Some((hex(*high)? << 4 | hex(*low)?, rest))
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Appends a byte as it is, or escaped.
pub(super) fn push_byte(out: &mut String, byte: u8, as_it_is: bool) {
    if as_it_is {
        out.push(char::from(byte));
    } else {
        let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0').to_ascii_uppercase();
        out.extend(['%', digit(byte >> 4), digit(byte & 0xF)]);
    }
}

/// RFC 3986 §2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What may stand in a path's segment as it is (RFC 3986 §3.3, `pchar`).
const fn is_path_character(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@')
}

/// The path of a route, in the form that is matched: a prefix that ends at a segment.
///
/// `/shop` covers `/shop` and `/shop/orders`, not `/shopping`; `/shop/` covers `/shop/orders`, not `/shop`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoutePath(String);

impl RoutePath {
    /// Reads a path as somebody wrote it: blanks and what is not ASCII may stand as they are.
    ///
    /// # Errors
    /// [`BadTarget`] where a request could not have this path, or where it is read in more than one way.
    pub fn parse(text: &str) -> Result<Self, BadTarget> {
        if !text.starts_with('/') {
            return Err(BadTarget::Form);
        }
        let mut escaped = String::with_capacity(text.len());
        for byte in text.bytes() {
            push_byte(&mut escaped, byte, byte.is_ascii() && byte != b' ');
        }
        let path = normalise(escaped.as_bytes())?;
        if path.has_encoded_slash {
            return Err(BadTarget::EncodedSlash);
        }
        let matching = path.matching.unwrap_or(path.forwarded);
        if path.readings.is_empty() { Ok(Self(matching)) } else { Err(BadTarget::Parameters) }
    }

    /// The path of everything.
    #[must_use]
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `matching` (see [`super::NormalTarget::matching_path`]) lies at or below this path.
    #[must_use]
    pub fn covers(&self, matching: &str) -> bool {
        matching
            .strip_prefix(self.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || self.0.ends_with('/'))
    }
}

impl fmt::Display for RoutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
