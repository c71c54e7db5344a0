//! Where a request's body ends, followed byte by byte as it is read.
//!
//! Pingora reads chunked bodies leniently (a bare LF within a chunk extension, extensions of any length); here every byte
//! between the chunks must be as RFC 9112 §7.1 has it, and the first one that is not ends the connection. Nothing behind
//! the end of the body is handed on with it.

use super::head::Framing;

/// Longest chunk extension: nobody uses them, but the standard allows them.
const MAX_EXTENSION: usize = 256;
/// Longest trailer section.
const MAX_TRAILERS: usize = 8 * 1024;
/// Most digits of a chunk size: 2^60 bytes are enough, and no reader overflows.
const MAX_SIZE_DIGITS: usize = 15;

/// A byte that cannot stand where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the chunked body is malformed: {0}")]
pub struct BadChunk(&'static str);

/// What is left of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// So many bytes.
    Length(u64),
    Chunked(Chunk),
}

/// Within the chunked coding. The diagram, with what each state expects:
///
/// ```text
/// Size ─┬─';'─▶ Extension ─CR─▶ SizeEnd ─LF─▶ Data ─▶ DataCr ─CR─▶ DataLf ─LF─▶ Size
///       └─CR──────────────────▶    │
///                                  └(size 0)─▶ Trailer ⇄ line ─CR─▶ TrailerEnd ─LF (empty line)─▶ Done
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    Size { size: u64, digits: usize },
    Extension { size: u64, length: usize },
    SizeEnd { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    Trailer { line: usize, total: usize },
    TrailerEnd { line: usize, total: usize },
    Done,
}

const NEXT_SIZE: Chunk = Chunk::Size { size: 0, digits: 0 };

impl From<Framing> for Body {
    fn from(framing: Framing) -> Self {
        match framing {
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(NEXT_SIZE),
        }
    }
}

impl Body {
    /// Whether all of it was read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Done))
    }

    /// How many of `bytes` belong to this body; those count as read.
    ///
    /// # Errors
    /// [`BadChunk`] at the first byte that is out of place.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<usize, BadChunk> {
        match self {
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left = left.saturating_sub(taken as u64);
                Ok(taken)
            }
            Self::Chunked(chunk) => chunk.advance(bytes),
        }
    }
}

impl Chunk {
    fn advance(&mut self, bytes: &[u8]) -> Result<usize, BadChunk> {
        let mut taken = 0;
        while let Some(&byte) = bytes.get(taken) {
            match *self {
                Self::Done => break,
                Self::Data { left } => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - taken);
                    let left = left - here as u64;
                    *self = if left == 0 { Self::DataCr } else { Self::Data { left } };
                    taken += here;
                }
                framing => {
                    *self = framing.step(byte)?;
                    taken += 1;
                }
            }
        }
        Ok(taken)
    }

    /// One byte between the data.
    fn step(self, byte: u8) -> Result<Self, BadChunk> {
        match (self, byte) {
            (Self::Size { digits, .. }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits >= MAX_SIZE_DIGITS => {
                Err(BadChunk("the size is too long"))
            }
            (Self::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                Ok(Self::Size { size: size * 16 + u64::from(digit), digits: digits + 1 })
            }
            (Self::Size { digits: 0, .. }, _) => Err(BadChunk("a size is missing")),
            (Self::Size { size, .. }, b';') => Ok(Self::Extension { size, length: 0 }),
            (Self::Size { size, .. } | Self::Extension { size, .. }, b'\r') => Ok(Self::SizeEnd { size }),
            (Self::Size { .. }, _) => Err(BadChunk("the size is no hexadecimal number")),
            (Self::Extension { length, .. }, _) if length >= MAX_EXTENSION => Err(BadChunk("an extension is too long")),
            (Self::Extension { size, length }, b' '..=b'~' | b'\t') => Ok(Self::Extension { size, length: length + 1 }),
            (Self::SizeEnd { size: 0 }, b'\n') => Ok(Self::Trailer { line: 0, total: 0 }),
            (Self::SizeEnd { size }, b'\n') => Ok(Self::Data { left: size }),
            (Self::DataCr, b'\r') => Ok(Self::DataLf),
            (Self::DataLf, b'\n') => Ok(NEXT_SIZE),
            (Self::Trailer { total, .. }, _) if total >= MAX_TRAILERS => Err(BadChunk("the trailers are too long")),
            (Self::Trailer { line, total }, b'\r') => Ok(Self::TrailerEnd { line, total: total + 1 }),
            (Self::Trailer { line: 0, .. }, b' ' | b'\t' | b':') => Err(BadChunk("a trailer without a name")),
            (Self::Trailer { line, total }, b' '..=b'~' | b'\t' | 0x80..) => {
                Ok(Self::Trailer { line: line + 1, total: total + 1 })
            }
            (Self::TrailerEnd { line: 0, .. }, b'\n') => Ok(Self::Done),
            (Self::TrailerEnd { total, .. }, b'\n') => Ok(Self::Trailer { line: 0, total: total + 1 }),
            _ => Err(BadChunk("a line does not end in CRLF, or has control bytes")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], at_once: usize) -> Result<(usize, bool), BadChunk> {
        let mut body = Body::from(Framing::Chunked);
        let mut taken = 0;
        for piece in bytes.chunks(at_once) {
            let n = body.advance(piece)?;
            taken += n;
            if n < piece.len() {
                break;
            }
        }
        Ok((taken, body.is_done()))
    }

    #[test]
    fn a_chunked_body_ends_where_it_ends_however_it_comes() {
        let bodies: [&[u8]; 4] = [
            b"0\r\n\r\n",
            b"5\r\nhello\r\n0\r\n\r\n",
            b"A;x=y\r\n0123456789\r\n1\r\nz\r\n000\r\n\r\n",
            b"2\r\nab\r\n0\r\nRemote-User: root\r\nX: y\r\n\r\n",
        ];
        for body in bodies {
            let mut with_more = body.to_vec();
            with_more.extend_from_slice(b"GET /smuggled HTTP/1.1\r\n");
            for at_once in [1, 2, 3, 7, 1000] {
                assert_eq!(read(&with_more, at_once), Ok((body.len(), true)), "{}", body.escape_ascii());
            }
        }
    }

    #[test]
    fn what_is_no_chunk_is_an_error_at_its_first_wrong_byte() {
        let long_extension = [b"2;".as_slice(), &[b'a'; 65536], b"\r\nab\r\n0\r\n\r\n"].concat();
        let long_trailer = [b"0\r\n".as_slice(), b"X: ", &[b'a'; 9000], b"\r\n\r\n"].concat();
        let bodies: [&[u8]; 17] = [
            b"0x2\r\nab\r\n0\r\n\r\n",
            b"2\r\nabc\r\n0\r\n\r\n",
            b"2\nab\r\n0\r\n\r\n",
            b"2\r\nab\n0\r\n\r\n",
            b"2;\nxx\r\nab\r\n0\r\n\r\n",
            b"2;a\rb\r\nab\r\n0\r\n\r\n",
            b"ffffffffffffffff1\r\nab",
            b"0000000000000000\r\n\r\n",
            b"\r\nab\r\n0\r\n\r\n",
            b"-2\r\nab\r\n0\r\n\r\n",
            b"+2\r\nab\r\n0\r\n\r\n",
            b"2 \r\nab\r\n0\r\n\r\n",
            b"0\r\n\n",
            b"0\r\n: x\r\n\r\n",
            b"0\r\nX: \0\r\n\r\n",
            &long_extension,
            &long_trailer,
        ];
        for body in bodies {
            for at_once in [1, 1000, 100_000] {
                assert!(read(body, at_once).is_err(), "{}", body.get(..40).unwrap_or(body).escape_ascii());
            }
        }
    }

    #[test]
    fn a_length_takes_no_byte_more() {
        let mut body = Body::from(Framing::Length(5));
        assert_eq!(body.advance(b"abc"), Ok(3));
        assert!(!body.is_done());
        assert_eq!(body.advance(b"deGET /"), Ok(2));
        assert!(body.is_done());
        assert_eq!(body.advance(b"T /"), Ok(0));
    }
}
