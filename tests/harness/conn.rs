//! A raw connection to the gateway: exactly the bytes given are sent, and what comes back is read with a deadline.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// A connection, plain or TLS.
pub struct Conn {
    stream: Box<dyn Stream>,
    /// Read, and not taken yet.
    buffer: Vec<u8>,
    ended: bool,
}

/// What a connection is made of.
pub trait Stream: Read + Write + Send {
    /// The socket below, for deadlines.
    fn socket(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

/// One response, as it came.
#[derive(Debug, Clone, Default)]
pub struct Response {
    pub status: u16,
    /// In the order in which they came; names as they were spelled.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The head, byte for byte, the empty line included.
    pub head: Vec<u8>,
}

impl Response {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All headers of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }

    /// What is set under this cookie name, attributes left out.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.all("set-cookie").into_iter().find_map(|line| {
            let (key, value) = line.split(';').next()?.split_once('=')?;
            (key.trim() == name).then(|| value.trim().to_owned())
        })
    }
}

impl Conn {
    /// Over plain TCP.
    #[track_caller]
    pub fn plain(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}")))
    }

    /// Over anything.
    pub fn over(stream: impl Stream + 'static) -> Self {
        let _ = stream.socket().set_nodelay(true);
        stream.socket().set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream: Box::new(stream), buffer: Vec::new(), ended: false }
    }

    /// Sends these bytes, and these alone.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.try_send(bytes.as_ref()).expect("the gateway takes the bytes");
        self
    }

    /// Sends, and tells whether the other side took it; it may have closed for good reason.
    ///
    /// # Errors
    /// Where it did not.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// From now on sending fails where the other side takes nothing for so long.
    pub fn send_within(&mut self, patience: Duration) {
        self.stream.socket().set_write_timeout(Some(patience)).unwrap();
    }

    /// Whatever comes within `patience`; `None`: nothing did, and nothing will.
    pub fn came(&mut self, patience: Duration) -> Option<Vec<u8>> {
        let end = Instant::now() + patience;
        while Instant::now() < end && self.fill(end.saturating_duration_since(Instant::now())) {}
        let came = std::mem::take(&mut self.buffer);
        (!came.is_empty() || !self.ended).then_some(came)
    }

    /// Reads one whole response to a request that was not HEAD.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.read_response(false).expect("a response comes")
    }

    /// Reads one response to a HEAD request.
    #[track_caller]
    pub fn head_response(&mut self) -> Response {
        self.read_response(true).expect("a response comes")
    }

    /// Reads one response; `None`: the connection ended before its head was whole. 1xx other than 101 are passed over.
    pub fn read_response(&mut self, to_head: bool) -> Option<Response> {
        loop {
            let mut response = self.read_head()?;
            if (100..200).contains(&response.status) && response.status != 101 {
                continue;
            }
            if !to_head && !matches!(response.status, 101 | 204 | 304) {
                response.body = self.read_body(&response);
            }
            return Some(response);
        }
    }

    /// Reads a head alone, leaving the body unread.
    pub fn read_head(&mut self) -> Option<Response> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if !self.fill(PATIENCE) {
                return None;
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let text = String::from_utf8_lossy(&head).into_owned();
        let mut lines = text.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers =
            lines.filter_map(|line| line.split_once(':')).map(|(k, v)| (k.to_owned(), v.trim().to_owned())).collect();
        Some(Response { status, headers, body: Vec::new(), head })
    }

    fn read_body(&mut self, response: &Response) -> Vec<u8> {
        if response.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return self.read_chunked();
        }
        match response.header("content-length").and_then(|length| length.parse().ok()) {
            Some(length) => self.take(length),
            None => self.until_close(),
        }
    }

    fn read_chunked(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let size = self.line();
            let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16).unwrap_or(0);
            if size == 0 {
                while !self.line().is_empty() {}
                return body;
            }
            body.extend(self.take(size));
            self.line();
        }
    }

    /// Takes up to `count` bytes; fewer only if the connection ends.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count && self.fill(PATIENCE) {}
        self.buffer.drain(..count.min(self.buffer.len())).collect()
    }

    /// Takes one line, without its end; empty at the end of the connection.
    pub fn line(&mut self) -> String {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return String::from_utf8_lossy(&line[..at]).into_owned();
            }
            if !self.fill(PATIENCE) {
                return String::new();
            }
        }
    }

    /// Everything until the other side closes.
    #[track_caller]
    pub fn until_close(&mut self) -> Vec<u8> {
        let end = Instant::now() + PATIENCE;
        while self.fill(end.saturating_duration_since(Instant::now())) {}
        assert!(self.ended, "the gateway does not close the connection");
        std::mem::take(&mut self.buffer)
    }

    /// Whether the other side closes within `patience` without another byte.
    pub fn closes_within(&mut self, patience: Duration) -> bool {
        self.buffer.is_empty() && !self.fill(patience) && self.ended
    }

    /// Whether the other side ends it within `patience`, whatever it sends before.
    pub fn ends_within(&mut self, patience: Duration) -> bool {
        const KEPT: usize = 4096;
        let end = Instant::now() + patience;
        while self.fill(end.saturating_duration_since(Instant::now())) {
            self.buffer.truncate(KEPT);
        }
        self.ended
    }

    /// What came and was not taken.
    pub fn seen(&self) -> &[u8] {
        &self.buffer
    }

    /// Whether the other side says something, or ends it, within `patience`.
    pub fn speaks_or_ends_within(&mut self, patience: Duration) -> bool {
        self.fill(patience) || self.ended
    }

    /// Whether nothing at all comes for `patience`, with the connection still open.
    pub fn is_silent_for(&mut self, patience: Duration) -> bool {
        self.buffer.is_empty() && !self.fill(patience) && !self.ended
    }

    /// Reads something, if anything comes within `patience`; false at the end of the connection, and where nothing came.
    fn fill(&mut self, patience: Duration) -> bool {
        if self.ended {
            return false;
        }
        let patience = patience.max(Duration::from_millis(1));
        self.stream.socket().set_read_timeout(Some(patience)).unwrap();
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => self.ended = true,
                Ok(read) => {
                    self.buffer.extend_from_slice(&chunk[..read]);
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                // A reset, or TLS without its closing alert, is an end as well.
                Err(_) => self.ended = true,
            }
            return false;
        }
    }
}

/// A TCP connection from this address of the machine's own: `127.0.0.2` and whatever else is loopback.
///
/// # Errors
/// Where nobody takes it.
pub fn tcp_from(source: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddr::from((source, 0)))?;
    connect(&socket, &to)?;
    Ok(socket.into())
}

/// Where `needle` begins.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
