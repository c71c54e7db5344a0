//! An upstream that says with each answer whom it took the request for, and answers in every way that there is, some of them
//! against the rules.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// In what way it is to answer: the first segment of the path.
pub const KINDS: [&str; 14] = [
    "plain",
    "chunked",
    "empty",
    "unchanged",
    "interim",
    "early",
    "unread",
    "closes",
    "long",
    "plain",
    // Against the rules: bytes behind the answer's end, which look like another answer.
    "stray",
    "stray-unchanged",
    "stray-empty",
    "stray-chunked",
];

const STRAY: &[u8] = b"HTTP/1.1 200 OK\r\nX-Saw: stray answer\r\nContent-Length: 5\r\n\r\nstray";

/// The upstream, and what went wrong at it.
pub struct Marking {
    address: SocketAddr,
    pub seen: Arc<AtomicUsize>,
    pub connections: Arc<AtomicUsize>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    markers: HashSet<String>,
    faults: Vec<String>,
}

struct Head {
    method: String,
    kind: String,
    marker: String,
    saw: String,
    length: usize,
    chunked: bool,
}

impl Marking {
    /// On a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = Self { address, seen: Arc::default(), connections: Arc::default(), shared: Arc::default() };
        let (seen, connections) = (Arc::clone(&upstream.seen), Arc::clone(&upstream.connections));
        let shared = Arc::clone(&upstream.shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                connections.fetch_add(1, Ordering::SeqCst);
                let (seen, shared) = (Arc::clone(&seen), Arc::clone(&shared));
                std::thread::spawn(move || {
                    let _ = stream.set_nodelay(true);
                    let _ = serve(stream, &seen, &shared);
                });
            }
        });
        upstream
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests that were not their sender's, or came twice.
    pub fn faults(&self) -> Vec<String> {
        self.shared.lock().unwrap().faults.clone()
    }
}

/// What was read and not used yet.
struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    fn fill(&mut self) -> std::io::Result<bool> {
        let mut piece = [0; 8192];
        let count = self.stream.read(&mut piece)?;
        self.buffer.extend_from_slice(&piece[..count]);
        Ok(count > 0)
    }

    fn until(&mut self, end: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end) {
                return Ok(Some(self.buffer.drain(..at + end.len()).collect()));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    fn skip(&mut self, count: usize) -> std::io::Result<bool> {
        while self.buffer.len() < count {
            if !self.fill()? {
                return Ok(false);
            }
        }
        self.buffer.drain(..count);
        Ok(true)
    }

    fn skip_body(&mut self, head: &Head) -> std::io::Result<bool> {
        if !head.chunked {
            return self.skip(head.length);
        }
        loop {
            let Some(line) = self.until(b"\r\n")? else { return Ok(false) };
            let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).unwrap_or(0);
            if !self.skip(size + 2)? || size == 0 {
                return Ok(size == 0);
            }
        }
    }
}

fn serve(stream: TcpStream, seen: &AtomicUsize, shared: &Mutex<Shared>) -> std::io::Result<()> {
    let mut wire = Wire { stream, buffer: Vec::new() };
    while let Some(head) = wire.until(b"\r\n\r\n")? {
        let head = read(&String::from_utf8_lossy(&head));
        note(&head, shared);
        seen.fetch_add(1, Ordering::SeqCst);
        let early = matches!(head.kind.as_str(), "early" | "unread");
        if !early && !wire.skip_body(&head)? {
            return Ok(());
        }
        wire.stream.write_all(&answer(&head))?;
        if head.kind == "unread" && (head.length > 0 || head.chunked) || head.kind == "closes" {
            return Ok(());
        }
        if early && !wire.skip_body(&head)? {
            return Ok(());
        }
    }
    Ok(())
}

fn read(head: &str) -> Head {
    let mut line = head.lines().next().unwrap_or_default().split(' ');
    let method = line.next().unwrap_or_default().to_owned();
    let mut path = line.next().unwrap_or_default().trim_start_matches('/').splitn(2, '/');
    let field = |name: &str| {
        let mut all =
            head.lines().filter_map(|line| line.split_once(": ")).filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let first = all.next().map(|(_, value)| value.trim().to_owned());
        if all.next().is_some() { Some("twice".to_owned()) } else { first }
    };
    let kind = path.next().unwrap_or_default().to_owned();
    let marker = path.next().unwrap_or_default().to_owned();
    let user = field("remote-user").unwrap_or_else(|| "nobody".to_owned());
    Head {
        saw: format!("{user} {marker}"),
        length: field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0),
        chunked: field("transfer-encoding").is_some(),
        method,
        kind,
        marker,
    }
}

fn note(head: &Head, shared: &Mutex<Shared>) {
    let mut shared = shared.lock().unwrap();
    let sender = head.marker.split('-').next().unwrap_or_default();
    if head.marker.is_empty() {
        return;
    }
    if !head.saw.starts_with(&format!("{sender} ")) {
        shared.faults.push(format!("taken for somebody else's: {}", head.saw));
    }
    // What changes nothing may be asked for again where a connection broke off (see `tests/never_twice.rs`).
    if !shared.markers.insert(head.marker.clone()) && !matches!(head.method.as_str(), "GET" | "HEAD") {
        shared.faults.push(format!("{} twice: {}", head.method, head.marker));
    }
}

fn answer(head: &Head) -> Vec<u8> {
    let (saw, body) = (&head.saw, &head.saw);
    let is_head = head.method == "HEAD";
    let plain = || {
        let body = if is_head { "" } else { body.as_str() };
        format!("HTTP/1.1 200 OK\r\nX-Saw: {saw}\r\nContent-Length: {}\r\n\r\n{body}", head.saw.len()).into_bytes()
    };
    let chunked = || {
        let body = if is_head { String::new() } else { format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()) };
        format!("HTTP/1.1 200 OK\r\nX-Saw: {saw}\r\nTransfer-Encoding: chunked\r\n\r\n{body}").into_bytes()
    };
    let empty = || format!("HTTP/1.1 204 No Content\r\nX-Saw: {saw}\r\n\r\n").into_bytes();
    let unchanged = || format!("HTTP/1.1 304 Not Modified\r\nX-Saw: {saw}\r\nETag: \"1\"\r\n\r\n").into_bytes();
    match head.kind.as_str() {
        "chunked" => chunked(),
        "empty" => empty(),
        "unchanged" => unchanged(),
        "interim" => [&b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"[..], &plain()].concat(),
        "long" => {
            let body = if is_head { Vec::new() } else { vec![b'x'; 200_000] };
            let head = format!("HTTP/1.1 200 OK\r\nX-Saw: {saw}\r\nContent-Length: 200000\r\n\r\n");
            [head.into_bytes(), body].concat()
        }
        "stray" => [&plain()[..], STRAY].concat(),
        "stray-chunked" => [&chunked()[..], STRAY].concat(),
        "stray-unchanged" => [&unchanged()[..], STRAY].concat(),
        "stray-empty" => [&empty()[..], STRAY].concat(),
        _ => plain(),
    }
}
