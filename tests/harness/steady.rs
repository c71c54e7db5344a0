//! Requests at a steady rate, over connections that stay open, while something is done to the gateway. Every request that is not
//! answered as it should be counts, and so does every connection that the gateway ends.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsConnector;

use super::{PATIENCE, wait_until};

/// One connection that requests go over, and what each of them is.
#[derive(Clone)]
pub struct Lane {
    pub address: SocketAddr,
    /// The client's settings, whose ALPN says which HTTP is spoken, and the name that the server must show a certificate for.
    pub tls: Option<(Arc<ClientConfig>, String)>,
    /// Within the request: host and path, and whole cookie header, or nothing.
    pub host: String,
    pub path: String,
    pub cookies: String,
    /// What the answer must be.
    pub body: &'static str,
}

/// A request that was answered.
#[derive(Clone, Copy)]
pub struct Answer {
    /// When it was to be made.
    pub due: Instant,
    /// How long it took from then on.
    pub took: Duration,
}

/// Requests that are being made.
pub struct Steady {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    answered: AtomicU64,
    stopped: AtomicBool,
    faults: Mutex<Vec<String>>,
    took: Mutex<Vec<Answer>>,
}

impl Steady {
    /// Begins: `rate` requests a second in all, shared by the lanes.
    pub fn start(lanes: Vec<Lane>, rate: u32) -> Self {
        let shared = Arc::new(Shared::default());
        let each = Duration::from_secs(1) * u32::try_from(lanes.len()).unwrap() / rate;
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let lanes = lanes.into_iter().map(|lane| tokio::spawn(drive(lane, each, Arc::clone(&shared))));
                    for lane in lanes.collect::<Vec<_>>() {
                        lane.await.unwrap();
                    }
                });
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// How many requests were answered so far.
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// The requests that were answered since this was last asked. One that had to wait for the one before counts from when it was
    /// due, so that what a slow answer holds up is not left out.
    pub fn answers(&self) -> Vec<Answer> {
        std::mem::take(&mut self.shared.took.lock().unwrap())
    }

    /// Returns when so many more were answered.
    #[track_caller]
    pub fn more(&self, count: u64) {
        let enough = self.answered() + count;
        wait_until("requests are answered", || {
            (self.answered() >= enough || !self.shared.faults.lock().unwrap().is_empty()).then_some(())
        });
    }

    /// Ends it, and hands back how many were answered and everything that went wrong.
    pub fn stop(mut self) -> (u64, Vec<String>) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
        (self.answered(), std::mem::take(&mut *self.shared.faults.lock().unwrap()))
    }
}

impl Shared {
    fn fault(&self, lane: &Lane, what: impl std::fmt::Display) {
        self.faults.lock().unwrap().push(format!("{}{}: {what}", lane.host, lane.path));
    }
}

async fn drive(lane: Lane, each: Duration, shared: Arc<Shared>) {
    let mut ticks = interval(each);
    // What a busy machine delays is made up for: the rate is kept on the whole.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sender = match connect(&lane).await {
        Ok(sender) => sender,
        Err(error) => return shared.fault(&lane, format!("no connection: {error}")),
    };
    while !shared.stopped.load(Ordering::SeqCst) {
        let due = ticks.tick().await;
        match timeout(PATIENCE, sender.ask(&lane)).await {
            Ok(Ok(())) => {
                shared.took.lock().unwrap().push(Answer { due: due.into_std(), took: due.elapsed() });
                shared.answered.fetch_add(1, Ordering::SeqCst);
            }
            // The lane ends with its connection: that it was ended is the fault to be found.
            Ok(Err(error)) => return shared.fault(&lane, error),
            Err(_) => return shared.fault(&lane, "no answer"),
        }
    }
}

enum Sender {
    Http1(hyper::client::conn::http1::SendRequest<Empty<Bytes>>),
    Http2(hyper::client::conn::http2::SendRequest<Empty<Bytes>>),
}

type Fault = Box<dyn std::error::Error + Send + Sync>;

async fn connect(lane: &Lane) -> Result<Sender, Fault> {
    let tcp = TcpStream::connect(lane.address).await?;
    tcp.set_nodelay(true)?;
    let Some((config, name)) = &lane.tls else {
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await?;
        tokio::spawn(connection);
        return Ok(Sender::Http1(sender));
    };
    let tls = TlsConnector::from(Arc::clone(config)).connect(ServerName::try_from(name.clone())?, tcp).await?;
    if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await?;
        tokio::spawn(connection);
        return Ok(Sender::Http2(sender));
    }
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await?;
    tokio::spawn(connection);
    Ok(Sender::Http1(sender))
}

impl Sender {
    async fn ask(&mut self, lane: &Lane) -> Result<(), Fault> {
        let mut request = Request::builder().method("GET");
        if !lane.cookies.is_empty() {
            request = request.header("cookie", &lane.cookies);
        }
        let answer = match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                let request = request.uri(&lane.path).header("host", &lane.host);
                sender.send_request(request.body(Empty::new())?).await?
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                let request = request.uri(format!("https://{}{}", lane.host, lane.path));
                sender.send_request(request.body(Empty::new())?).await?
            }
        };
        let status = answer.status();
        let closes = answer.headers().get("connection").is_some_and(|value| value.as_bytes() == b"close");
        let body = answer.into_body().collect().await?.to_bytes();
        if status != 200 || body != lane.body || closes {
            return Err(format!("{status}, closes: {closes}, {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(())
    }
}
