//! A tool behind the wall with everything that stays open, which counts what is.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is open, by person and path.
type Open = Arc<Mutex<BTreeMap<(String, String), usize>>>;

/// The tool.
pub struct Tool {
    address: SocketAddr,
    open: Open,
    waiting: Waiting,
    got: Got,
}

/// What its WebSockets were sent, by person and path.
type Got = Arc<Mutex<Vec<((String, String), Vec<u8>)>>>;

/// Who waits for an answer.
type Waiting = Arc<Mutex<Vec<TcpStream>>>;

impl Tool {
    /// On a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tool = Self {
            address: listener.local_addr().unwrap(),
            open: Open::default(),
            waiting: Waiting::default(),
            got: Got::default(),
        };
        let (open, waiting, got) = (Arc::clone(&tool.open), Arc::clone(&tool.waiting), Arc::clone(&tool.got));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (open, waiting, got) = (Arc::clone(&open), Arc::clone(&waiting), Arc::clone(&got));
                std::thread::spawn(move || {
                    let _ = serve(stream, &open, &waiting, &got);
                });
            }
        });
        tool
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers whoever waits for it.
    pub fn answer_who_waits(&self) {
        for mut stream in self.waiting.lock().unwrap().drain(..) {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    /// What this person's WebSocket on `path` was sent until its end, once it has ended.
    pub fn got(&self, who: &str, path: &str) -> Option<Vec<u8>> {
        let got = self.got.lock().unwrap();
        got.iter().rev().find(|((user, on), _)| user == who && on == path).map(|(_, bytes)| bytes.clone())
    }

    /// What of this person's is open.
    pub fn open(&self, who: &str) -> BTreeMap<String, usize> {
        let open = self.open.lock().unwrap();
        open.iter()
            .filter(|((user, _), count)| user == who && **count > 0)
            .map(|((_, path), count)| (path.clone(), *count))
            .collect()
    }
}

/// Counted until it is dropped.
struct Counted(Open, (String, String));

impl Counted {
    fn new(open: &Open, who: &str, path: &str) -> Self {
        let key = (who.to_owned(), path.to_owned());
        *open.lock().unwrap().entry(key.clone()).or_default() += 1;
        Self(Arc::clone(open), key)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *self.0.lock().unwrap().get_mut(&self.1).unwrap() -= 1;
    }
}

fn serve(mut stream: TcpStream, open: &Open, waiting: &Waiting, got: &Got) -> std::io::Result<()> {
    let _ = stream.set_nodelay(true);
    loop {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte)? == 0 {
                return Ok(());
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let named = head.lines().find_map(|line| line.to_lowercase().strip_prefix("remote-user: ").map(str::to_owned));
        let who = named.unwrap_or_else(|| "nobody".to_owned());
        let kind = path.rsplit('/').next().unwrap_or_default();
        if matches!(kind, "" | "quick") {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
            continue;
        }
        let _counted = Counted::new(open, &who, &path);
        match kind {
            "idle" | "busy" => {
                stream.write_all(
                    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
                )?;
                // An empty text message, again and again.
                if kind == "busy" {
                    pour(&mut stream, &[0x81, 0])?;
                } else {
                    let mut sent = Vec::new();
                    let _ = stream.read_to_end(&mut sent);
                    got.lock().unwrap().push(((who, path), sent));
                }
            }
            "events" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: first\n\n")?;
                drain(&mut stream)?;
            }
            "download" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")?;
                pour(&mut stream, &[b'x'; 16 * 1024])?;
            }
            "waiting" => {
                waiting.lock().unwrap().push(stream.try_clone()?);
                drain(&mut stream)?;
            }
            _ => drain(&mut stream)?,
        }
        return Ok(());
    }
}

/// Reads until the other side is gone.
fn drain(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut piece = [0; 4096];
    while stream.read(&mut piece)? > 0 {}
    Ok(())
}

/// Writes until the other side is gone, as fast as it takes it.
fn pour(stream: &mut TcpStream, piece: &[u8]) -> std::io::Result<()> {
    stream.set_write_timeout(Some(Duration::from_millis(20)))?;
    stream.set_nonblocking(false)?;
    let mut read = stream.try_clone()?;
    read.set_read_timeout(Some(Duration::from_millis(20)))?;
    loop {
        match stream.write(piece) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                // Nobody takes it: only its own end tells that the other side is gone.
                match read.read(&mut [0; 64]) {
                    Ok(0) => return Ok(()),
                    Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                        return Err(error);
                    }
                    _ => {}
                }
            }
            Err(error) => return Err(error),
        }
        if piece.len() < 1024 {
            // Messages, not a flood: the pause is the read's.
            if let Ok(0) = read.read(&mut [0; 64]) {
                return Ok(());
            }
        }
    }
}
