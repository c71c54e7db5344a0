//! Clients that ask again and again, and keep account of whatever is not answered as it must be: refused, reset, 5xx.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::{Client, Conn, PATIENCE, Sekisho, wait_until};

/// Clients at work. They stop when this is dropped.
#[derive(Default)]
pub struct Load {
    shared: Arc<Shared>,
    workers: Vec<(&'static str, Arc<AtomicUsize>, JoinHandle<()>)>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    faults: Mutex<Vec<String>>,
}

impl Shared {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    fn fault(&self, what: String) {
        self.faults.lock().unwrap().push(what);
    }
}

impl Load {
    pub fn new() -> Self {
        Self::default()
    }

    fn work(&mut self, name: &'static str, work: impl FnOnce(&Shared, &AtomicUsize) + Send + 'static) {
        let (shared, done) = (Arc::clone(&self.shared), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&done);
        let worker = std::thread::spawn(move || work(&shared, &counted));
        self.workers.push((name, done, worker));
    }

    /// A connection for each request, over plain HTTP, with this client's cookies.
    #[must_use]
    pub fn fresh_connections(mut self, client: &Client, address: SocketAddr) -> Self {
        let request = request(client, "close");
        self.work("fresh", move |shared, done| {
            while shared.goes_on() {
                match TcpStream::connect(address) {
                    Ok(stream) => match ask(&mut Conn::over(stream), &request) {
                        Ok(_) => drop(done.fetch_add(1, Ordering::SeqCst)),
                        Err(fault) => shared.fault(format!("fresh connection: {fault}")),
                    },
                    Err(error) => shared.fault(format!("refused: {error}")),
                }
            }
        });
        self
    }

    /// One connection after the other, each for as long as the gateway keeps it.
    #[must_use]
    pub fn kept_connections(self, client: &Client, address: SocketAddr) -> Self {
        self.keep_asking(client, move || TcpStream::connect(address).map(Conn::over))
    }

    /// The same by this client's own way, to what is always there.
    #[must_use]
    pub fn kept_on_its_way(self, client: &Client) -> Self {
        let way = client.copy();
        self.keep_asking(client, move || Ok(way.connect()))
    }

    fn keep_asking(mut self, client: &Client, connect: impl Fn() -> std::io::Result<Conn> + Send + 'static) -> Self {
        let request = request(client, "keep-alive");
        self.work("kept", move |shared, done| {
            while shared.goes_on() {
                let mut conn = match connect() {
                    Ok(conn) => conn,
                    Err(error) => {
                        shared.fault(format!("refused: {error}"));
                        continue;
                    }
                };
                while shared.goes_on() {
                    match ask(&mut conn, &request) {
                        Ok(keeps) => {
                            done.fetch_add(1, Ordering::SeqCst);
                            if !keeps {
                                break;
                            }
                        }
                        Err(fault) => {
                            shared.fault(format!("kept connection: {fault}"));
                            break;
                        }
                    }
                }
            }
        });
        self
    }

    /// The same over TLS and HTTP/2: a new connection when the gateway says GOAWAY.
    #[must_use]
    pub fn http2(mut self, gate: &Sekisho, client: &Client) -> Self {
        let connector = TlsConnector::from(gate.authority().client(&["h2"]));
        let (address, host) = (gate.tls_address(), client.host.clone());
        let cookies: Vec<String> = client.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.work("http2", move |shared, done| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                while shared.goes_on() {
                    let one = one_http2_connection(&connector, address, &host, &cookies, shared, done);
                    if let Err(fault) = one.await {
                        shared.fault(format!("HTTP/2: {fault}"));
                    }
                }
            });
        });
        self
    }

    /// Waits until every client has had so many more answers.
    #[track_caller]
    pub fn goes_on_for(&self, count: usize) {
        let targets: Vec<usize> = self.workers.iter().map(|(_, done, _)| done.load(Ordering::SeqCst) + count).collect();
        for ((name, done, _), target) in self.workers.iter().zip(targets) {
            wait_until(&format!("{name} clients are answered"), || {
                let enough = done.load(Ordering::SeqCst) >= target || !self.faults().is_empty();
                enough.then_some(())
            });
        }
    }

    /// What went wrong so far.
    pub fn faults(&self) -> Vec<String> {
        self.shared.faults.lock().unwrap().clone()
    }

    /// Stops, and tells how many answers there were; fails the test where there was anything else.
    #[track_caller]
    pub fn done(mut self) -> usize {
        self.stop();
        let faults = self.faults();
        assert!(faults.is_empty(), "{} of them:\n{}", faults.len(), faults[..faults.len().min(20)].join("\n"));
        self.workers.iter().map(|(_, done, _)| done.load(Ordering::SeqCst)).sum()
    }

    fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        wait_until("the clients stop", || self.workers.iter().all(|(_, _, worker)| worker.is_finished()).then_some(()));
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
    }
}

fn request(client: &Client, connection: &str) -> Vec<u8> {
    format!("GET /load HTTP/1.1\r\nHost: {}\r\n{}Connection: {connection}\r\n\r\n", client.host, client.cookie_header())
        .into_bytes()
}

/// One request; whether the connection is kept.
fn ask(conn: &mut Conn, request: &[u8]) -> Result<bool, String> {
    conn.try_send(request).map_err(|error| format!("not taken: {error}"))?;
    let response = conn.read_response(false).ok_or("no answer")?;
    if response.status != 200 || response.body != b"ok" {
        return Err(format!("answered {} with {:?}", response.status, response.text()));
    }
    Ok(!response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")))
}

async fn one_http2_connection(
    connector: &TlsConnector,
    address: SocketAddr,
    host: &str,
    cookies: &[String],
    shared: &Shared,
    done: &AtomicUsize,
) -> Result<(), String> {
    let patience = |what: &'static str| move |_| format!("{what}: no answer");
    let tcp = tokio::net::TcpStream::connect(address).await.map_err(|error| format!("refused: {error}"))?;
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let tls = connector.connect(name, tcp).await.map_err(|error| format!("handshake: {error}"))?;
    let (mut sender, connection) = h2::client::handshake(tls).await.map_err(|error| format!("preface: {error}"))?;
    let driving = tokio::spawn(connection);
    while shared.goes_on() {
        // Told to go before it was asked: nothing is lost, and the next connection serves.
        if std::future::poll_fn(|context| sender.poll_ready(context)).await.is_err() {
            break;
        }
        let mut request = Request::get(format!("https://{host}/load"));
        for cookie in cookies {
            request = request.header("cookie", cookie);
        }
        let Ok((response, _)) = sender.send_request(request.body(()).unwrap(), true) else { break };
        let answer = async {
            let response = response.await.map_err(|error| format!("not answered: {error}"))?;
            let status = response.status();
            let mut stream = response.into_body();
            let mut body = Vec::new();
            while let Some(piece) = stream.data().await {
                let piece: Bytes = piece.map_err(|error| format!("broke off: {error}"))?;
                let _ = stream.flow_control().release_capacity(piece.len());
                body.extend_from_slice(&piece);
            }
            (status == 200 && body == b"ok").then_some(()).ok_or(format!("answered {status} with {} bytes", body.len()))
        };
        tokio::time::timeout(PATIENCE, answer).await.map_err(patience("a request"))??;
        done.fetch_add(1, Ordering::SeqCst);
    }
    drop(sender);
    let _ = tokio::time::timeout(Duration::from_secs(1), driving).await;
    Ok(())
}
