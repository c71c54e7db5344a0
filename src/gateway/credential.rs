//! What a request shows for itself, found in one pass over its cookies.
//!
//! "Not presented" is not "failed": a cookie that is there but malformed is [`Presented::Invalid`], and never becomes
//! something else by falling through to another way in.

pub mod authorization;

use http::HeaderMap;
use http::header::COOKIE;
use memchr::memchr;

use crate::secret::{Mac, Token};
use crate::service::cookies::{CookieKind, is_sekishos};
use crate::service::visit::SekishoCookies;

/// What the cookies show. Machine tokens (`skt_…`) stand elsewhere: [`authorization`].
#[derive(Debug)]
pub enum Presented<'a> {
    None,
    /// There is a session cookie, and it cannot be one: malformed, or there twice.
    Invalid,
    Session(&'a Token),
}

/// The cookies of a request.
#[derive(Debug, Default)]
pub struct Cookies {
    /// sekisho's own, of the scheme's names, as far as they are well-formed and came once.
    pub own: SekishoCookies,
    /// Whether any cookie with a name of sekisho's came, so that it must be kept from the upstream.
    pub any_own: bool,
    /// Whether any with another name came, which is the upstream's.
    pub any_other: bool,
    /// How many lines there are: HTTP/2 clients send several, an HTTP/1.1 upstream gets one.
    pub lines: usize,
    session: Seen,
}

/// How often a cookie came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Seen {
    #[default]
    Never,
    Once,
    /// Two of one name: somebody planted one, and which of them counts nobody can say (CONTRACT §4).
    Twice,
}

impl Cookies {
    /// Reads the cookies; `secure` decides which names count.
    #[must_use]
    pub fn read(headers: &HeaderMap, secure: bool) -> Self {
        let mut cookies = Self::default();
        let mut seen = [Seen::Never; CookieKind::ALL.len()];
        for line in headers.get_all(COOKIE) {
            cookies.lines += 1;
            for pair in pairs(line.as_bytes()) {
                let (name, value) = split(pair);
                if !is_own_name(name) {
                    cookies.any_other |= !pair.trim_ascii().is_empty();
                    continue;
                }
                cookies.any_own = true;
                for (kind, seen) in CookieKind::ALL.into_iter().zip(&mut seen) {
                    if name == kind.name(secure).as_bytes() {
                        *seen = if *seen == Seen::Never { Seen::Once } else { Seen::Twice };
                        cookies.keep(kind, if *seen == Seen::Once { value } else { b"" });
                        if kind == CookieKind::Session {
                            cookies.session = *seen;
                        }
                    }
                }
            }
        }
        cookies
    }

    /// What counts as the request's credential.
    #[must_use]
    pub fn presented(&self) -> Presented<'_> {
        match (self.session, &self.own.session) {
            (Seen::Never, _) => Presented::None,
            (Seen::Once, Some(token)) => Presented::Session(token),
            _ => Presented::Invalid,
        }
    }

    /// Whether there is anything in the place of a session's cookie.
    #[must_use]
    pub fn shows_session(&self) -> bool {
        self.session != Seen::Never
    }

    fn keep(&mut self, kind: CookieKind, value: &[u8]) {
        let text = std::str::from_utf8(value).unwrap_or_default();
        match kind {
            CookieKind::Session => self.own.session = Token::parse(text),
            CookieKind::Device => self.own.device = Token::parse(text),
            CookieKind::Flow => self.own.flow = Token::parse(text),
            CookieKind::Handoff => self.own.handoff = Token::parse(text),
            CookieKind::Csrf => self.own.csrf = Token::parse(text),
            CookieKind::Reset => self.own.reset = Token::parse(text),
            CookieKind::Owner => self.own.owner = Mac::parse(text),
            CookieKind::Language => self.own.language = ["ja", "en"].into_iter().find(|known| *known == text),
        }
    }
}

/// The pairs of a Cookie line with the blanks around them, as they stood there.
pub fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let end = memchr(b';', line);
        rest = end.and_then(|end| line.get(end + 1..));
        line.get(..end.unwrap_or(line.len()))
    })
}

/// Whether this pair has a name of sekisho's, however it is padded: with blanks of any alphabet, too, as some tools take a
/// no-break space for one. What stands behind our prefix may be anything.
pub fn is_own(pair: &[u8]) -> bool {
    let (name, _) = split(pair);
    is_own_name(name)
}

fn is_own_name(name: &[u8]) -> bool {
    let begin = name.iter().position(u8::is_ascii_graphic).unwrap_or(name.len());
    let name = name.get(begin..).unwrap_or_default();
    let ascii = name.iter().position(|b| !b.is_ascii()).and_then(|end| name.get(..end)).unwrap_or(name);
    std::str::from_utf8(ascii).is_ok_and(is_sekishos)
}

fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr(b'=', pair).unwrap_or(pair.len());
    let (name, value) = (pair.get(..end), pair.get(end + 1..));
    (name.unwrap_or_default().trim_ascii(), value.unwrap_or_default().trim_ascii())
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
