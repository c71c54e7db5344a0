//! Everything that one person can have open at once, over HTTP/1.1 and over an HTTP/2 connection that another person shares.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use rustls::pki_types::ServerName;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

use super::HOST;
use super::tool::Tool;
use crate::harness::{Client, Conn, PATIENCE, Sekisho, wait_until};

/// What is asked for, all below the route that this is opened on.
const HTTP1: [&str; 6] = ["idle", "busy", "events", "download", "upload", "waiting"];
const HTTP2: [&str; 4] = ["events", "download", "upload", "waiting"];

/// Everything of one person's that is open over HTTP/1.1.
pub struct Http1 {
    conns: Vec<(&'static str, Conn)>,
}

impl Http1 {
    /// Opens it all, and returns when the tool has it all.
    #[track_caller]
    pub fn open(tool: &Tool, client: &Client, who: &str, route: &str) -> Self {
        let conns = HTTP1.map(|kind| (kind, begin(client, route, kind)));
        wait_until("the tool has it all", || (tool.open(who).len() >= HTTP1.len()).then_some(()));
        Self { conns: conns.into() }
    }

    /// Which of it does not end by itself within `patience`; what was under way is taken, but for the download, which its reader has
    /// stopped to read.
    pub fn left_open_after(&mut self, patience: Duration) -> Vec<&'static str> {
        let open = self.conns.iter_mut().filter_map(|(kind, conn)| (!conn.ends_within(patience)).then_some(*kind));
        open.collect()
    }

    /// What came of this one before its end, as far as it was read.
    pub fn taken(&mut self, kind: &str) -> Vec<u8> {
        let conn = self.conns.iter_mut().find(|(known, _)| *known == kind);
        conn.map(|(_, conn)| conn.seen().to_vec()).unwrap_or_default()
    }

    /// What the WebSockets were told at their end, behind whole messages and nothing else: a code, and words.
    pub fn told(&mut self) -> [Option<(u16, String)>; 2] {
        ["idle", "busy"].map(|kind| {
            let taken = self.taken(kind);
            let messages = taken.chunks(2).take_while(|message| *message == [0x81, 0]).count();
            let [0x88, length, high, low, words @ ..] = &taken[messages * 2..] else { return None };
            let is_whole = words.len() + 2 == usize::from(*length);
            is_whole.then(|| (u16::from_be_bytes([*high, *low]), String::from_utf8_lossy(words).into_owned()))
        })
    }

    /// Which of it has ended. Looks at what says nothing by itself.
    pub fn ended(&mut self) -> Vec<&'static str> {
        let silent = self.conns.iter_mut().filter(|(kind, _)| matches!(*kind, "idle" | "upload" | "waiting"));
        silent
            .filter_map(|(kind, conn)| conn.speaks_or_ends_within(Duration::from_millis(1)).then_some(*kind))
            .collect()
    }
}

#[track_caller]
fn begin(client: &Client, route: &str, kind: &str) -> Conn {
    let mut conn = client.connect();
    let start = if kind == "upload" { "POST" } else { "GET" };
    let more = match kind {
        "idle" | "busy" => format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nOrigin: https://{HOST}\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ),
        "upload" => format!("Content-Length: 1000000\r\n\r\n{}", "x".repeat(1000)),
        _ => "\r\n".to_owned(),
    };
    conn.send(format!("{start} {route}/{kind} HTTP/1.1\r\nHost: {}\r\n{}{more}", client.host, client.cookie_header()));
    match kind {
        "idle" | "busy" => assert_eq!(conn.read_head().expect("a switch").status, 101),
        "events" | "download" => assert_eq!(conn.read_head().expect("a head").status, 200),
        _ => {}
    }
    conn
}

/// One HTTP/2 connection with streams of several people.
pub struct Http2 {
    ended: mpsc::UnboundedReceiver<(String, &'static str)>,
    so_far: Vec<(String, &'static str)>,
    /// Ends with the test.
    _driving: JoinHandle<()>,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Http2 {
    /// Opens everything for each of these over one connection, and returns when the tool has it.
    #[track_caller]
    pub fn open(gate: &Sekisho, tool: &Tool, people: &[(&str, &Client)], route: &str) -> Self {
        let config = gate.authority().client(&["h2"]);
        let address = gate.tls_address();
        let (tell, ended) = mpsc::unbounded_channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let before: Vec<usize> = people.iter().map(|(who, _)| tool.open(who).values().sum()).collect();
        let mut requests = Vec::new();
        for (who, client) in people {
            for kind in HTTP2 {
                let method = if kind == "upload" { "POST" } else { "GET" };
                let mut request = Request::builder().method(method).uri(format!("https://{HOST}{route}/{kind}"));
                for (name, value) in &client.cookies {
                    request = request.header("cookie", format!("{name}={value}"));
                }
                requests.push(((*who).to_owned(), kind, request.body(()).unwrap()));
            }
        }
        let driving = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
                let name = ServerName::try_from(HOST).unwrap();
                let tls = TlsConnector::from(Arc::clone(&config)).connect(name, tcp).await.unwrap();
                // What one stream does not read must not hold up the others.
                let mut builder = h2::client::Builder::new();
                builder.initial_connection_window_size(1 << 24);
                let (mut sender, connection) = builder.handshake::<_, Bytes>(tls).await.unwrap();
                tokio::spawn(connection);
                for (who, kind, request) in requests {
                    std::future::poll_fn(|cx| sender.poll_ready(cx)).await.unwrap();
                    let (response, mut body) = sender.send_request(request, kind != "upload").unwrap();
                    let tell = tell.clone();
                    tokio::spawn(async move {
                        if kind == "upload" {
                            let _ = body.send_data(Bytes::from_static(b"half"), false);
                        }
                        if let Ok(response) = response.await {
                            let mut stream = response.into_body();
                            // The download's reader takes nothing more: its window is full.
                            while let Some(Ok(_)) = stream.data().await {}
                        }
                        drop(body);
                        let _ = tell.send((who, kind));
                    });
                }
                let _ = stopped.await;
            });
        });
        for ((who, _), before) in people.iter().zip(before) {
            wait_until("the tool has all streams", || {
                (tool.open(who).values().sum::<usize>() >= before + HTTP2.len()).then_some(())
            });
        }
        Self { ended, so_far: Vec::new(), _driving: driving, _stop: stop }
    }

    /// Which streams of this person's have ended.
    pub fn ended(&mut self, who: &str) -> Vec<&'static str> {
        while let Ok(one) = self.ended.try_recv() {
            self.so_far.push(one);
        }
        self.so_far.iter().filter(|(user, _)| user == who).map(|(_, kind)| *kind).collect()
    }

    /// Whether all of this person's streams end within `patience`.
    pub fn all_end(&mut self, who: &str, patience: Duration) -> bool {
        debug_assert!(patience <= PATIENCE);
        crate::harness::poll(patience, || (self.ended(who).len() == HTTP2.len()).then_some(())).is_some()
    }
}

/// An answer over HTTP/2 whose reader takes eight bytes and no more, until it is told to go on.
pub struct Stalled {
    go_on: tokio::sync::mpsc::UnboundedSender<()>,
    whole: std::sync::mpsc::Receiver<bool>,
}

impl Stalled {
    /// Asks for it, and returns when it has begun.
    #[track_caller]
    pub fn begin(gate: &Sekisho, client: &Client, path: &str) -> Self {
        let config = gate.authority().client(&["h2"]);
        let address = gate.tls_address();
        let mut request = Request::get(format!("https://{HOST}{path}"));
        for (name, value) in &client.cookies {
            request = request.header("cookie", format!("{name}={value}"));
        }
        let request = request.body(()).unwrap();
        let (go_on, mut told) = mpsc::unbounded_channel();
        let (begun, begins) = std::sync::mpsc::channel();
        let (tell, whole) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
                let name = ServerName::try_from(HOST).unwrap();
                let tls = TlsConnector::from(config).connect(name, tcp).await.unwrap();
                let mut builder = h2::client::Builder::new();
                builder.initial_window_size(8);
                let (mut sender, connection) = builder.handshake::<_, Bytes>(tls).await.unwrap();
                tokio::spawn(connection);
                let response = sender.send_request(request, true).unwrap().0.await.unwrap();
                begun.send(response.status().as_u16()).unwrap();
                let mut stream = response.into_body();
                let (mut goes_on, mut held) = (false, 0);
                let whole = loop {
                    tokio::select! {
                        Some(()) = told.recv(), if !goes_on => goes_on = true,
                        piece = stream.data() => match piece {
                            Some(Ok(piece)) => held += piece.len(),
                            Some(Err(_)) => break false,
                            None => break true,
                        },
                    }
                    if goes_on {
                        let _ = stream.flow_control().release_capacity(std::mem::take(&mut held));
                    }
                };
                let _ = tell.send(whole);
            });
        });
        assert_eq!(begins.recv_timeout(PATIENCE), Ok(200));
        Self { go_on, whole }
    }

    /// Its reader takes the rest.
    pub fn go_on(&self) {
        let _ = self.go_on.send(());
    }

    /// Whether all of it came; `None`: it has not ended within `patience`.
    pub fn is_whole(&self, patience: Duration) -> Option<bool> {
        self.whole.recv_timeout(patience).ok()
    }
}
