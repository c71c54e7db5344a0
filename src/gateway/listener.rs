//! Sockets: accepting, TLS, and everything that is judged before Pingora reads a request.

pub mod frames;
pub mod framing;
pub mod head;
mod http1;
pub mod places;
pub mod proxy_protocol;
mod socket;
pub mod stream;
pub mod tls;
pub mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora::apps::ServerApp;
use pingora::server::ShutdownWatch;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Gateway;
use super::app::App;
use super::context::Endpoints;
use crate::metrics::Protocol;
use frames::{Abuse, Watch};
use places::Places;
use proxy_protocol::BadHeader;
use socket::Socket;
use stream::Connection;
use stream::lease::{Home, Lease, take_home};
use tls::Tls;

/// A client that is silent is asked whether it is still there; one that is not frees its place after two minutes.
const SILENT: Duration = Duration::from_secs(60);
const ASK_AGAIN: Duration = Duration::from_secs(15);
const ASKED_IN_VAIN: u32 = 4;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A pause after a failed accept, which is out of file descriptors more often than not.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a socket that is given up may be silent until nobody is taken to wait at it.
const LAST_CALL: Duration = Duration::from_millis(100);

/// What all listening sockets of a gateway share.
#[derive(Clone)]
pub struct Reception {
    pub gateway: Arc<Gateway>,
    /// One for each connection that may be open at once.
    pub places: Arc<Places>,
    /// Turns true when no connection is to be used for long any more: each answers what is under way, or the next request, and
    /// says that it was the last.
    pub shutdown: ShutdownWatch,
    /// Turns true when those that are silent are closed, too: the gateway stops, and nobody comes after it.
    pub leaving: ShutdownWatch,
    /// Cuts what has not ended within the grace.
    pub abort: CancellationToken,
    pub tasks: TaskTracker,
}

impl Reception {
    /// Accepts connections until `stop` fires.
    pub async fn accept(self, listener: Arc<TcpListener>, tls: Option<Arc<Tls>>, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.accept_one(&listener, tls.as_ref()) => {}
            }
        }
    }

    /// Accepts what has come already, and no more.
    pub async fn accept_the_last(self, listener: Arc<TcpListener>, tls: Option<Arc<Tls>>) {
        let waiting = async { while timeout(LAST_CALL, self.accept_one(&listener, tls.as_ref())).await.is_ok() {} };
        // Whoever comes again and again does not keep it open.
        let _ = timeout(LAST_CALL * 10, waiting).await;
    }

    async fn accept_one(&self, listener: &TcpListener, tls: Option<&Arc<Tls>>) {
        // The place comes first: what has none waits in the backlog, where it costs nothing.
        let Some(place) = self.places.any().await else { return };
        let (tcp, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                self.gateway.metrics().connections.accept_errors.inc();
                tokio::time::sleep(ACCEPT_PAUSE).await;
                return;
            }
        };
        let reception = self.clone();
        let tls = tls.map(|tls| tls.acceptor());
        self.tasks.spawn(async move {
            let abort = reception.abort.clone();
            tokio::select! {
                biased;
                () = abort.cancelled() => {}
                () = reception.serve(tcp, peer, tls) => {}
            }
            drop(place);
        });
    }

    async fn serve(self, mut tcp: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>) {
        let _ = tcp.set_nodelay(true);
        keep_alive(&tcp);
        let gateway = Arc::clone(&self.gateway);
        let counted = &gateway.metrics().connections;
        counted.accepted.inc();
        let beginning = counted.open(Protocol::Handshake);
        let Ok(local) = tcp.local_addr() else { return };
        let mut endpoints = Endpoints::new(peer, local);
        if self.gateway.expects_proxy_header(endpoints.peer) {
            match proxy_protocol::read(&mut tcp, Instant::now() + HANDSHAKE).await {
                Ok(header) => endpoints = endpoints.behind(header),
                Err(error @ (BadHeader::Silent | BadHeader::Socket(_))) => {
                    return tracing::debug!(proxy = %endpoints.peer, %error, "connection refused");
                }
                Err(error) => {
                    counted.bad_proxy_headers.inc();
                    return tracing::warn!(proxy = %endpoints.peer, %error, "connection refused");
                }
            }
        }
        let peer = endpoints.peer;
        // A proxy that is trusted brings many people, and sees to it itself that none of them is too many.
        let of_many = gateway.is_trusted_proxy(peer);
        let _share = match (!of_many).then(|| self.places.of(peer)) {
            Some(Err(full)) => {
                counted.cut_share.inc();
                if full.first {
                    tracing::warn!(client = %peer, share = full.share, "as many connections as one address may have");
                }
                return;
            }
            Some(Ok(place)) => Some(place),
            None => None,
        };
        let socket = match tls {
            None => Socket::Plain(tcp),
            Some(acceptor) => match timeout(HANDSHAKE, gateway.turns().take(acceptor.accept(tcp))).await {
                Ok(Ok(stream)) => Socket::Tls(Box::new(stream)),
                Ok(Err(error)) => {
                    counted.tls_failed.inc();
                    return tracing::debug!(client = %peer, %error, "TLS handshake failed");
                }
                Err(_) => {
                    counted.tls_timed_out.inc();
                    return tracing::debug!(client = %peer, "TLS handshake took too long");
                }
            },
        };
        let Ok(mut connection) = Connection::new(socket, endpoints).map(Box::new) else { return };
        let _open = counted.open(if connection.is_http2() { Protocol::Http2 } else { Protocol::Http1 });
        drop(beginning);
        let certificate = connection.certificate().cloned();
        let app = Arc::new(App::new(self.gateway, &connection, self.abort, &self.tasks));
        let served = async {
            if connection.is_http2() {
                connection.watch_frames(Watch::new(http1::HEAD, !of_many));
                let home = Home::default();
                let stream = Box::new(Lease::new(connection, Home::clone(&home)));
                let _ = app.process_new(stream, &self.shutdown).await;
                if let Some(abuse) = take_home(&home).and_then(|connection| connection.abuse()) {
                    match abuse {
                        Abuse::Slow => counted.cut_slow.inc(),
                        Abuse::Flood => counted.cut_flood.inc(),
                    }
                    tracing::debug!(client = %peer, %abuse, "connection cut");
                }
            } else {
                http1::serve(&app, connection, &self.shutdown, &self.leaving).await;
            }
        };
        let Some(certificate) = certificate else { return served.await };
        tokio::select! {
            () = served => {}
            () = gateway.outlasts(&certificate) => {
                tracing::debug!(client = %peer, "closed, as its client's certificate is good no longer");
            }
        }
    }
}

/// Has the system ask silent clients whether they are there (RFC 9293 §3.8.4): of a WebSocket or a stream of events nobody
/// else would notice.
fn keep_alive(tcp: &TcpStream) {
    use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl};
    let _ = set_socket_keepalive(tcp, true);
    let _ = set_tcp_keepidle(tcp, SILENT);
    let _ = set_tcp_keepintvl(tcp, ASK_AGAIN);
    let _ = set_tcp_keepcnt(tcp, ASKED_IN_VAIN);
}
