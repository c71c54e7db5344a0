//! The head of an HTTP/1 request, judged byte by byte before anything else reads it.
//!
//! Whatever two readers of HTTP could understand differently is refused here: line ends other than CRLF, folded lines,
//! two lengths, a length beside a transfer coding, names that are no tokens (RFC 9112 §2.2, §3.2, §5, §6). What the
//! target means is `authz`'s to say; this file only sees to it that its bytes can stand in a request line.

use memchr::{memchr, memchr_iter};

/// Longest request line, CRLF not counted: 414 beyond it.
const MAX_REQUEST_LINE: usize = 16 * 1024;
/// Longest head, the empty line included: 431 beyond it.
pub const MAX_HEAD: usize = 64 * 1024;
/// Most field lines: 431 beyond it.
pub const MAX_FIELDS: usize = 100;

/// What the client is told instead of being served; the connection is closed after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("malformed request: {0}")]
    Malformed(&'static str),
    #[error("the method is not allowed")]
    MethodNotAllowed,
    #[error("the request took too long")]
    Timeout,
    #[error("the request line is too long")]
    TargetTooLong,
    #[error("the header section is too large")]
    HeadTooLarge,
    #[error("the method is not known")]
    MethodUnknown,
    #[error("the version of HTTP is not spoken here")]
    Version,
}

impl Refusal {
    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::MethodNotAllowed => 405,
            Self::Timeout => 408,
            Self::TargetTooLong => 414,
            Self::HeadTooLarge => 431,
            Self::MethodUnknown => 501,
            Self::Version => 505,
        }
    }
}

/// How the body that follows the head is delimited (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Length(u64),
    Chunked,
}

/// Looks for the end of a head while it comes in, and stops at the first byte that can be in none.
#[derive(Debug, Default)]
pub struct Scanner {
    /// Up to here everything has been looked at.
    at: usize,
    line_start: usize,
    lines: usize,
}

impl Scanner {
    /// The length of the head at the start of `bytes`, its empty line included, as soon as all of it is there.
    ///
    /// # Errors
    /// What makes it a head that is not served, even if more bytes came.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        while let Some(found) = bytes.get(self.at..).and_then(|rest| memchr(b'\n', rest)) {
            let newline = self.at + found;
            let line = bytes.get(self.line_start..newline).unwrap_or_default();
            let Some(line) = line.strip_suffix(b"\r") else {
                return Err(Refusal::Malformed("a line ends without CRLF"));
            };
            self.at = newline + 1;
            self.line_start = self.at;
            if self.lines == 0 && line.len() > MAX_REQUEST_LINE {
                return Err(Refusal::TargetTooLong);
            }
            if self.at > MAX_HEAD {
                return Err(Refusal::HeadTooLarge);
            }
            if line.is_empty() {
                return if self.lines == 0 { Err(Refusal::Malformed("no request line")) } else { Ok(Some(self.at)) };
            }
            self.lines += 1;
            if self.lines > MAX_FIELDS + 1 {
                return Err(Refusal::HeadTooLarge);
            }
        }
        self.at = bytes.len();
        if self.lines == 0 && bytes.len() > MAX_REQUEST_LINE {
            return Err(Refusal::TargetTooLong);
        }
        if bytes.len() > MAX_HEAD {
            return Err(Refusal::HeadTooLarge);
        }
        Ok(None)
    }
}

/// Judges a whole head, from the request line to the empty line.
///
/// # Errors
/// Why it is not served.
pub fn check(head: &[u8]) -> Result<Framing, Refusal> {
    let mut lines = Lines(head);
    let request_line = lines.next().ok_or(Refusal::Malformed("no request line"))?;
    let (target, http10) = check_request_line(request_line)?;
    let mut fields = Fields::default();
    for line in lines {
        if line.is_empty() {
            break;
        }
        fields.check(line)?;
    }
    check_form(target, fields.host.ok_or(Refusal::Malformed("no Host"))?)?;
    fields.framing(http10)
}

/// The lines of a head without their CRLF.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr_iter(b'\r', self.0).find(|&at| self.0.get(at + 1) == Some(&b'\n'))?;
        let (line, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.get(2..)?;
        Some(line)
    }
}

/// Returns the target, and whether the version is 1.0.
fn check_request_line(line: &[u8]) -> Result<(&[u8], bool), Refusal> {
    let mut parts = line.split(|&b| b == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::Malformed("the request line has not three parts"));
    };
    if target.is_empty() || !target.iter().all(u8::is_ascii_graphic) || target.contains(&b'#') {
        return Err(Refusal::Malformed("the target has bytes that cannot be in one"));
    }
    check_method(method)?;
    match version {
        b"HTTP/1.1" => Ok((target, false)),
        b"HTTP/1.0" => Ok((target, true)),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Err(Refusal::Version)
        }
        _ => Err(Refusal::Malformed("no version of HTTP")),
    }
}

/// Origin-form, or an absolute-form for the very Host that is named (RFC 9112 §3.2); whether the scheme is right as well is
/// for `authz` to say.
fn check_form(target: &[u8], host: &[u8]) -> Result<(), Refusal> {
    let absolute = [b"http://".as_slice(), b"https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let same_host = absolute
        .and_then(|rest| rest.strip_prefix(host))
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'/' | b'?')));
    if target.starts_with(b"/") || same_host {
        return Ok(());
    }
    Err(Refusal::Malformed("neither origin-form nor an absolute-form that matches the Host"))
}

/// Whether a request with this method is served: those of RFC 9110 §9.3 and RFC 5789, and what WebDAV, its versioning and
/// its calendars add. TRACE would send the cookies back to a page, CONNECT has no meaning here.
///
/// # Errors
/// Why it is not.
pub fn check_method(method: &[u8]) -> Result<(), Refusal> {
    match method {
        b"GET" | b"HEAD" | b"POST" | b"PUT" | b"DELETE" | b"OPTIONS" | b"PATCH" => Ok(()),
        b"PROPFIND" | b"PROPPATCH" | b"MKCOL" | b"COPY" | b"MOVE" | b"LOCK" | b"UNLOCK" | b"SEARCH" | b"REPORT"
        | b"ACL" | b"MKCALENDAR" | b"VERSION-CONTROL" | b"CHECKOUT" | b"CHECKIN" | b"UNCHECKOUT" | b"MKACTIVITY"
        | b"MKWORKSPACE" | b"UPDATE" | b"LABEL" | b"MERGE" | b"BASELINE-CONTROL" | b"ORDERPATCH" | b"BIND"
        | b"UNBIND" | b"REBIND" | b"QUERY" => Ok(()),
        b"TRACE" | b"CONNECT" | b"TRACK" => Err(Refusal::MethodNotAllowed),
        _ if is_token(method) => Err(Refusal::MethodUnknown),
        _ => Err(Refusal::Malformed("the method is no token")),
    }
}

/// What the fields say about host and body.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    chunked: bool,
}

impl<'a> Fields<'a> {
    fn check(&mut self, line: &'a [u8]) -> Result<(), Refusal> {
        let end = line.iter().position(|&b| !in_token(b)).ok_or(Refusal::Malformed("a field without colon"))?;
        // Also refuses a folded line (it begins with a blank) and a blank before the colon.
        let (name, [b':', value @ ..]) = line.split_at_checked(end).unwrap_or_default() else {
            return Err(Refusal::Malformed("a field name is no token"));
        };
        if name.is_empty() {
            return Err(Refusal::Malformed("a field without name"));
        }
        // Every byte is looked at, which takes less time than to stop at the first: so many go at once.
        if value.iter().fold(false, |found, &b| found | (b != b'\t' && (b < b' ' || b == 0x7f))) {
            return Err(Refusal::Malformed("a field value has control bytes"));
        }
        let value = trim_blanks(value);
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding(value),
            _ => Ok(()),
        }
    }

    fn host(&mut self, value: &'a [u8]) -> Result<(), Refusal> {
        let plausible = !value.is_empty()
            && value.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':' | b'[' | b']'));
        if self.host.is_some() || !plausible {
            return Err(Refusal::Malformed("not one plain Host"));
        }
        self.host = Some(value);
        Ok(())
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        const PLAIN: Refusal = Refusal::Malformed("not one plain Content-Length");
        if self.length.is_some() || !value.iter().all(u8::is_ascii_digit) {
            return Err(PLAIN);
        }
        let digits = std::str::from_utf8(value).map_err(|_| PLAIN)?;
        // More than a server can count in a signed 64-bit number is no length that anybody means.
        let length = digits.parse::<i64>().map_err(|_| PLAIN)?;
        self.length = Some(u64::try_from(length).map_err(|_| PLAIN)?);
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::Malformed("a Transfer-Encoding other than one `chunked`"));
        }
        self.chunked = true;
        Ok(())
    }

    fn framing(&self, http10: bool) -> Result<Framing, Refusal> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Refusal::Malformed("both Content-Length and Transfer-Encoding")),
            (true, None) if http10 => Err(Refusal::Malformed("Transfer-Encoding in HTTP/1.0")),
            (true, None) => Ok(Framing::Chunked),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

fn trim_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Whether this is a token (RFC 9110 §5.6.2).
pub(in crate::gateway) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| in_token(b))
}

const fn in_token(byte: u8) -> bool {
    matches!(
        byte,
        b'0'..=b'9'
            | b'A'..=b'Z'
            | b'a'..=b'z'
            | b'!'
            | b'#'..=b'\''
            | b'*'
            | b'+'
            | b'-'
            | b'.'
            | b'^'..=b'`'
            | b'|'
            | b'~'
    )
}

#[cfg(test)]
mod tests;
