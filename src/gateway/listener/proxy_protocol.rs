//! The PROXY protocol, versions 1 and 2 (HAProxy's `proxy-protocol.txt`): a proxy that passes bytes on says first whose they
//! are.
//!
//! Where it is switched on, a connection from a trusted proxy must begin with a header, before TLS; one from anywhere else is
//! served as what it is, and a header that it sends is a malformed request like any other. So nobody but a trusted proxy
//! can claim an address, and whoever reaches the port without the proxy gains nothing by it: the address that counts is
//! its own.
//!
//! A parser of our own, as the crates for it take spellings that the document does not have (`PROXY_TCP4`, `UNKNOWNS`, `+80`,
//! lines of any length), and what two readers read differently is what attacks are made of.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// `proxy-protocol.txt` §2.1: the longest line of version 1, its line break included.
const MAX_V1: usize = 107;
/// §2.2: what version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, command, family and length.
const V2_HEAD: usize = 16;
/// Addresses and further values of version 2: more than any proxy sends, a client's certificate included.
const MAX_V2_REST: usize = 16 * 1024;
const PIECE: usize = 1024;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// The proxy asks for itself: a health check.
    Local,
    /// The proxy passes on what it cannot name.
    Unknown,
    /// The proxy passes on a connection from `source`, which was made to `destination`.
    Of { source: SocketAddr, destination: SocketAddr },
}

/// Why a connection from a trusted proxy is closed.
#[derive(Debug, thiserror::Error)]
pub enum BadHeader {
    #[error("it does not begin with a PROXY header")]
    Absent,
    #[error("its PROXY header is malformed: {0}")]
    Malformed(&'static str),
    #[error("its PROXY header is longer than is sensible")]
    TooLong,
    #[error("its PROXY header did not come in time")]
    Late,
    #[error("it ended within its PROXY header")]
    Cut,
    /// As a look whether the port is open.
    #[error("it ended before it said anything")]
    Silent,
    #[error(transparent)]
    Socket(#[from] io::Error),
}

/// Reads the header that a connection begins with, and not a byte more.
///
/// # Errors
/// Where there is none, or none that can be understood.
pub async fn read(tcp: &mut TcpStream, deadline: Instant) -> Result<Header, BadHeader> {
    let mut seen = Vec::with_capacity(MAX_V1);
    let mut piece = [0; PIECE];
    loop {
        // What is only looked at can still be left for the handshake.
        let came = timeout_at(deadline, tcp.peek(&mut piece)).await.map_err(|_| BadHeader::Late)??;
        if came == 0 {
            return Err(if seen.is_empty() { BadHeader::Silent } else { BadHeader::Cut });
        }
        let before = seen.len();
        seen.extend_from_slice(piece.get(..came).unwrap_or_default());
        let found = parse(&seen)?;
        let taken = found.map_or(came, |(_, length)| length.saturating_sub(before));
        tcp.read_exact(piece.get_mut(..taken).unwrap_or_default()).await?;
        if let Some((header, _)) = found {
            return Ok(header);
        }
    }
}

/// The header at the start of `bytes`, and its length; `None`: there is more to come, and all of `bytes` belongs to it.
///
/// # Errors
/// As soon as it cannot become one any more.
pub fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, BadHeader> {
    let begins_like = |with: &[u8]| bytes.iter().zip(with).all(|(a, b)| a == b);
    if begins_like(SIGNATURE) {
        version_2(bytes)
    } else if begins_like(b"PROXY ") {
        version_1(bytes)
    } else {
        Err(BadHeader::Absent)
    }
}

/// §2.1: one line of words with a single space between them.
fn version_1(bytes: &[u8]) -> Result<Option<(Header, usize)>, BadHeader> {
    let most = bytes.get(..MAX_V1).unwrap_or(bytes);
    let Some(end) = most.iter().position(|&b| b == b'\n') else {
        return if bytes.len() < MAX_V1 { Ok(None) } else { Err(BadHeader::TooLong) };
    };
    let line = most.get(..end).and_then(|line| line.strip_suffix(b"\r"));
    let line = line.ok_or(BadHeader::Malformed("its line does not end in CR LF"))?;
    let line = std::str::from_utf8(line).map_err(|_| BadHeader::Malformed("it is not ASCII"))?;
    let mut words = line.split(' ').skip(1);
    let header = match words.next() {
        // What follows must be passed over.
        Some("UNKNOWN") => Header::Unknown,
        Some("TCP4") => addresses::<Ipv4Addr>(words)?,
        Some("TCP6") => addresses::<Ipv6Addr>(words)?,
        _ => return Err(BadHeader::Malformed("it names neither TCP4, TCP6 nor UNKNOWN")),
    };
    Ok(Some((header, end + 1)))
}

fn addresses<'a, A: std::str::FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'a str>,
) -> Result<Header, BadHeader> {
    let mut address = || words.next()?.parse::<A>().ok().map(Into::into);
    let (source, destination): (Option<IpAddr>, Option<IpAddr>) = (address(), address());
    let (source_port, destination_port) = (words.next().and_then(port), words.next().and_then(port));
    match (source, destination, source_port, destination_port, words.next()) {
        (Some(source), Some(destination), Some(source_port), Some(destination_port), None) => Ok(Header::Of {
            source: SocketAddr::new(source, source_port),
            destination: SocketAddr::new(destination, destination_port),
        }),
        _ => Err(BadHeader::Malformed("it is not two addresses of its family and two ports")),
    }
}

/// Digits alone, and no zero before them.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|b| b.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    word.parse().ok().filter(|_| plain)
}

/// §2.2: a head of fixed size, addresses by their family, then type-length-values that nobody here asks for.
fn version_2(bytes: &[u8]) -> Result<Option<(Header, usize)>, BadHeader> {
    let Some(&[command, family, high, low]) = bytes.get(SIGNATURE.len()..).and_then(<[u8]>::first_chunk) else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(BadHeader::Malformed("its version or its command is unknown")),
    };
    let needed = match family {
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        0x31 => 216,
        _ => return Err(BadHeader::Malformed("it is not about a stream of a known family")),
    };
    // Whatever a LOCAL header holds must be passed over.
    if length < needed && !local {
        return Err(BadHeader::Malformed("it is too short for its addresses"));
    }
    if length > MAX_V2_REST {
        return Err(BadHeader::TooLong);
    }
    let Some(rest) = bytes.get(V2_HEAD..V2_HEAD + length) else { return Ok(None) };
    let header = match family {
        _ if local => Header::Local,
        0x11 => pair::<4, Ipv4Addr>(rest)?,
        0x21 => pair::<16, Ipv6Addr>(rest)?,
        _ => Header::Unknown,
    };
    Ok(Some((header, V2_HEAD + length)))
}

fn pair<const N: usize, A: From<[u8; N]> + Into<IpAddr>>(bytes: &[u8]) -> Result<Header, BadHeader> {
    let split = || {
        let (source, rest) = bytes.split_first_chunk::<N>()?;
        let (destination, rest) = rest.split_first_chunk::<N>()?;
        let (source_port, rest) = rest.split_first_chunk::<2>()?;
        let (destination_port, _) = rest.split_first_chunk::<2>()?;
        let end =
            |address: &[u8; N], port: &[u8; 2]| SocketAddr::new(A::from(*address).into(), u16::from_be_bytes(*port));
        Some(Header::Of { source: end(source, source_port), destination: end(destination, destination_port) })
    };
    split().ok_or(BadHeader::Malformed("it is too short for its addresses"))
}

#[cfg(test)]
mod tests;
