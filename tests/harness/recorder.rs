//! An upstream that keeps every byte it is sent, and answers as it is told.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::conn::find;
use super::wait_until;

/// A raw upstream on a free port. It stops with the test.
pub struct Recorder {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    /// Bytes by connection, in the order in which the connections came.
    connections: Mutex<Vec<Vec<u8>>>,
    requests: Mutex<Vec<Recorded>>,
    sockets: Mutex<Vec<TcpStream>>,
    stopped: AtomicBool,
    answer: Box<Answer>,
}

/// Given a request, writes the answer; false closes the connection.
type Answer = dyn Fn(&Recorded, &mut TcpStream) -> bool + Send + Sync;

/// One request as the upstream saw it.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// `GET /path HTTP/1.1`
    pub line: String,
    /// In the order in which they came; names as they were spelled.
    pub headers: Vec<(String, String)>,
    /// Without the chunks' framing.
    pub body: Vec<u8>,
    /// The head, byte for byte.
    pub head: Vec<u8>,
    /// Which connection it came over, counted from zero.
    pub connection: usize,
}

impl Recorded {
    /// The request target.
    pub fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// The only header of this name; fails the test if it came twice.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} reached the upstream {} times: {all:?}", all.len());
        all.first().copied()
    }

    /// All headers of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }
}

impl Recorder {
    /// Answers every request with `200` and the body `ok`.
    pub fn ok() -> Self {
        Self::raw("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")
    }

    /// Answers every request with these bytes, and keeps the connection.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::with(move |_, stream| stream.write_all(&bytes).is_ok())
    }

    /// Reads, and never says a word.
    pub fn silent() -> Self {
        Self::with(|_, _| true)
    }

    /// Promises 1,000 bytes, sends ten, and is gone.
    pub fn dies_in_its_body() -> Self {
        Self::with(|_, stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0123456789");
            false
        })
    }

    /// Switches to WebSocket where a key is there, and from then on sends back every byte as it came.
    pub fn echo() -> Self {
        Self::with(|request, stream| {
            let accept = request.header("sec-websocket-key").map(|key| derive_accept_key(key.as_bytes()));
            let head = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n",
                accept.unwrap_or_default()
            );
            stream.write_all(head.as_bytes()).is_ok()
        })
    }

    /// Answers by `answer`; false from it closes the connection.
    pub fn with(answer: impl Fn(&Recorded, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            connections: Mutex::default(),
            requests: Mutex::default(),
            sockets: Mutex::default(),
            stopped: AtomicBool::new(false),
            answer: Box::new(answer),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let _ = stream.set_nodelay(true);
                accepting.sockets.lock().unwrap().extend(stream.try_clone());
                let shared = Arc::clone(&accepting);
                let index = {
                    let mut connections = shared.connections.lock().unwrap();
                    connections.push(Vec::new());
                    connections.len() - 1
                };
                std::thread::spawn(move || serve(&shared, index, stream));
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All whole requests so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The newest request.
    #[track_caller]
    pub fn last(&self) -> Recorded {
        self.requests().pop().expect("a request reached the upstream")
    }

    /// Waits until `count` whole requests have come.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Recorded> {
        wait_until("requests reach the upstream", || Some(self.requests()).filter(|all| all.len() >= count))
    }

    /// Every byte of every connection.
    pub fn connections(&self) -> Vec<Vec<u8>> {
        self.shared.connections.lock().unwrap().clone()
    }

    /// How many bytes have come: zero is what an attack must leave behind.
    pub fn bytes(&self) -> usize {
        self.shared.connections.lock().unwrap().iter().map(Vec::len).sum()
    }

    /// Forgets what came so far.
    pub fn clear(&self) {
        self.shared.connections.lock().unwrap().iter_mut().for_each(Vec::clear);
        self.shared.requests.lock().unwrap().clear();
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the accept loop.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        for socket in self.shared.sockets.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

fn serve(shared: &Shared, index: usize, mut stream: TcpStream) {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(shared, index, &mut stream, &mut buffer) {
        shared.requests.lock().unwrap().push(request.clone());
        let goes_on = (shared.answer)(&request, &mut stream);
        if !goes_on {
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
        if request.header("upgrade").is_some() {
            let _ = stream.write_all(&buffer);
            echo(shared, index, &mut stream);
            return;
        }
    }
}

fn read_request(shared: &Shared, index: usize, stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Recorded> {
    while find(buffer, b"\r\n\r\n").is_none() {
        more(shared, index, stream, buffer)?;
    }
    let head: Vec<u8> = buffer.drain(..find(buffer, b"\r\n\r\n")? + 4).collect();
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut lines = text.split("\r\n");
    let line = lines.next()?.to_owned();
    let headers: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once(':')).map(|(k, v)| (k.to_owned(), v.trim().to_owned())).collect();
    let mut request = Recorded { line, headers, body: Vec::new(), head, connection: index };
    if request.all("transfer-encoding").iter().any(|value| value.eq_ignore_ascii_case("chunked")) {
        loop {
            while find(buffer, b"\r\n").is_none() {
                more(shared, index, stream, buffer)?;
            }
            let size: Vec<u8> = buffer.drain(..find(buffer, b"\r\n")? + 2).collect();
            let size = usize::from_str_radix(String::from_utf8_lossy(&size).trim().split(';').next()?, 16).ok()?;
            while buffer.len() < size + 2 {
                more(shared, index, stream, buffer)?;
            }
            request.body.extend(buffer.drain(..size));
            buffer.drain(..2);
            if size == 0 {
                return Some(request);
            }
        }
    }
    let length: usize = request.all("content-length").first().and_then(|length| length.parse().ok()).unwrap_or(0);
    while buffer.len() < length {
        more(shared, index, stream, buffer)?;
    }
    request.body = buffer.drain(..length).collect();
    Some(request)
}

fn more(shared: &Shared, index: usize, stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 16 * 1024];
    let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
    shared.connections.lock().unwrap()[index].extend_from_slice(&chunk[..read]);
    buffer.extend_from_slice(&chunk[..read]);
    Some(())
}

fn echo(shared: &Shared, index: usize, stream: &mut TcpStream) {
    let mut buffer = Vec::new();
    while more(shared, index, stream, &mut buffer).is_some() && stream.write_all(&buffer).is_ok() {
        buffer.clear();
    }
}
