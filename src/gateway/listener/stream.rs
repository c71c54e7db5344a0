//! A client's connection, of which Pingora gets a [`lease`] for the length of one request.
//!
//! Over HTTP/1 a lease hands on exactly the bytes of one request: the head that was judged, then the body as
//! [`super::framing`] delimits it. What comes behind them stays here until the next request, or until the upstream has
//! agreed to switch protocols. When Pingora drops the lease, whatever the reason, the connection comes back, so that it
//! can be closed in order.

pub mod lease;

use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use pingora::protocols::SocketDigest;
use pingora::protocols::l4::socket::SocketAddr as PingoraAddr;
use rustls::ProtocolVersion;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::Instant;

use super::frames::{Abuse, Watch};
use super::framing::Body;
use super::head::Framing;
use super::socket::Socket;
use super::websocket::{Farewell, Tunnel};
use crate::authz::target::must_be_escaped;
use crate::gateway::certificate::Certificate;
use crate::gateway::context::Endpoints;

/// How much of what comes after a request is kept for the next one.
const MAX_AHEAD: usize = 64 * 1024;
/// How much is read from the socket at once.
const READ_SIZE: usize = 16 * 1024;
/// Answers up to this size go out by one call to the kernel, as Pingora writes heads and bodies apart: when it says so, or when it turns to
/// the client.
const WRITE_SIZE: usize = 4 * 1024;

/// What the gate tells the connection while a request is under way, and the other way round.
#[derive(Debug, Default)]
pub struct Signals {
    /// The upstream switched protocols: what the client sends now goes through as it comes.
    tunnel: AtomicBool,
    /// Why the tunnel is to be closed; zero: it is not.
    farewell: AtomicU8,
    /// The request's body was malformed: 400, if anything can still be said.
    malformed: AtomicBool,
    /// By which number its own connections to upstreams are known, once it has any; zero: it has none.
    number: AtomicU64,
}

impl Signals {
    pub fn open_tunnel(&self) {
        self.tunnel.store(true, Ordering::Release);
    }

    pub fn is_tunnel(&self) -> bool {
        self.tunnel.load(Ordering::Acquire)
    }

    /// What is under way to the client in the tunnel goes out to its end and nothing else; the tool is told, and then it is over.
    pub fn end_tunnel(&self, why: Farewell) {
        self.farewell.store(why as u8, Ordering::Release);
    }

    /// Why the tunnel is to be closed.
    pub fn farewell(&self) -> Option<Farewell> {
        Farewell::from_number(self.farewell.load(Ordering::Acquire))
    }

    /// The number by which its own connections to upstreams are known, if it has any.
    pub fn number(&self) -> Option<u64> {
        Some(self.number.load(Ordering::Acquire)).filter(|number| *number != 0)
    }

    /// The same; from now on it has one.
    pub fn own_number(&self, next: impl FnOnce() -> u64) -> u64 {
        self.number().unwrap_or_else(|| {
            let number = next();
            self.number.store(number, Ordering::Release);
            number
        })
    }

    pub fn body_is_malformed(&self) -> bool {
        self.malformed.load(Ordering::Acquire)
    }
}

/// A client's connection.
pub struct Connection {
    socket: Socket,
    /// What came and was not handed on yet.
    buffer: BytesMut,
    /// What was written over HTTP/1, and is to go out with what follows.
    unsent: BytesMut,
    feed: Feed,
    /// Once the upstream has switched protocols.
    tunnel: Option<Box<Tunnel>>,
    abuse: Option<Abuse>,
    signals: Arc<Signals>,
    endpoints: Endpoints,
    certificate: Option<Arc<Certificate>>,
    digest: Arc<SocketDigest>,
    fd: i32,
    http2: bool,
}

/// What may be read by whoever holds the lease.
enum Feed {
    Request {
        head: usize,
        body: Body,
    },
    /// Everything, as far as its frames are in order: HTTP/2.
    Frames(Box<Watch>),
    /// Everything: what follows a 101.
    All,
}

impl Connection {
    /// A connection that was accepted, its handshake done; `endpoints` as they were known before it.
    ///
    /// # Errors
    /// Where the peer is gone already.
    pub fn new(socket: Socket, endpoints: Endpoints) -> io::Result<Self> {
        let (tcp, http2, tls_version, shown) = match &socket {
            Socket::Plain(tcp) => (tcp, false, None, None),
            Socket::Tls(tls) => {
                let (tcp, session) = tls.get_ref();
                let version = match session.protocol_version() {
                    Some(ProtocolVersion::TLSv1_2) => "1.2",
                    _ => "1.3",
                };
                (tcp, session.alpn_protocol() == Some(b"h2"), Some(version), session.peer_certificates())
            }
        };
        let endpoints = Endpoints { tls: tls_version.is_some(), tls_version, ..endpoints };
        let certificate = shown.and_then(Certificate::shown).map(Arc::new);
        let fd = tcp.as_raw_fd();
        let digest = SocketDigest::from_raw_fd(fd);
        // Asking the kernel later, when the socket may be closed and its number used again, would name another client.
        let _ = digest.peer_addr.set(Some(PingoraAddr::Inet(tcp.peer_addr()?)));
        let _ = digest.local_addr.set(Some(PingoraAddr::Inet(tcp.local_addr()?)));
        Ok(Self {
            socket,
            buffer: BytesMut::new(),
            unsent: BytesMut::new(),
            feed: Feed::All,
            tunnel: None,
            abuse: None,
            signals: Arc::default(),
            endpoints,
            certificate,
            digest: Arc::new(digest),
            fd,
            http2,
        })
    }

    pub const fn endpoints(&self) -> Endpoints {
        self.endpoints
    }

    /// What the client showed in its handshake.
    pub const fn certificate(&self) -> Option<&Arc<Certificate>> {
        self.certificate.as_ref()
    }

    pub const fn is_http2(&self) -> bool {
        self.http2
    }

    pub fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// What came and was not handed on yet.
    pub fn buffered(&self) -> &[u8] {
        &self.buffer
    }

    /// Forgets the first `n` bytes of what came.
    pub fn skip(&mut self, n: usize) {
        self.buffer.advance(n.min(self.buffer.len()));
    }

    /// Waits for more bytes; returns how many came, 0 at the end of the stream.
    ///
    /// # Errors
    /// As the socket's.
    pub async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(READ_SIZE);
        self.socket.read_buf(&mut self.buffer).await
    }

    /// Escapes what HTTP libraries refuse in a target and scripts send all the same, in the head at the start of the
    /// buffer; returns the head's new length.
    pub fn respell_target(&mut self, head: usize) -> usize {
        let line = self.buffer.get(..head).unwrap_or_default();
        let blank = |from: usize| line.iter().skip(from).position(|&b| b == b' ').map(|at| from + at);
        let Some(start) = blank(0) else { return head };
        let Some(end) = blank(start + 1) else { return head };
        let target = line.get(start..end).unwrap_or_default();
        if !target.iter().any(|&b| must_be_escaped(b)) {
            return head;
        }
        let mut respelt = BytesMut::with_capacity(self.buffer.len() + 256);
        respelt.extend_from_slice(self.buffer.get(..start).unwrap_or_default());
        for &byte in target {
            if must_be_escaped(byte) {
                respelt.extend_from_slice(format!("%{byte:02X}").as_bytes());
            } else {
                respelt.extend_from_slice(&[byte]);
            }
        }
        respelt.extend_from_slice(self.buffer.get(end..).unwrap_or_default());
        let grown = respelt.len() - self.buffer.len();
        self.buffer = respelt;
        head + grown
    }

    /// From now on a lease reads one request: the `head` bytes at the start of the buffer, and the body after them.
    pub fn begin_request(&mut self, head: usize, framing: Framing) {
        self.feed = Feed::Request { head, body: framing.into() };
    }

    /// From now on a lease reads frames of HTTP/2, which are followed.
    pub fn watch_frames(&mut self, watch: Watch) {
        self.feed = Feed::Frames(Box::new(watch));
    }

    /// Why its frames were not followed any further.
    pub const fn abuse(&self) -> Option<Abuse> {
        self.abuse
    }

    /// Whether the client may still be sending something that was not read, so that closing at once would take the answer
    /// away from it.
    pub fn has_unread(&self) -> bool {
        let unfinished = match &self.feed {
            Feed::Request { head, body } => *head > 0 || !body.is_done(),
            Feed::Frames(_) | Feed::All => false,
        };
        unfinished || !self.buffer.is_empty()
    }

    /// What is still to be said in a tunnel that is to be closed; `None`: nothing can be said.
    pub fn last_words(&self) -> Option<Vec<u8>> {
        self.tunnel.as_ref()?.last_words(self.signals.farewell()?)
    }

    /// Writes an answer of the listener's own.
    ///
    /// # Errors
    /// As the socket's.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.send_rest().await?;
        self.socket.write_all(bytes).await?;
        self.socket.flush().await
    }

    /// Whether something was written that has yet to go out.
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Sends it.
    ///
    /// # Errors
    /// As the socket's.
    pub async fn send_rest(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_send_rest(cx)).await
    }

    /// Says that nothing more will be written.
    pub async fn finish_writing(&mut self) {
        let _ = self.send_rest().await;
        let _ = self.socket.shutdown().await;
    }

    /// Ends it at once: what was written and is still on its way to the client is not sent any more, and the end does not look
    /// like that of a whole answer.
    pub fn reset(self) {
        let tcp = match &self.socket {
            Socket::Plain(tcp) => tcp,
            Socket::Tls(tls) => tls.get_ref().0,
        };
        let _ = rustix::net::sockopt::set_socket_linger(tcp, Some(Duration::ZERO));
    }

    /// Reads and forgets; returns how many bytes came.
    ///
    /// # Errors
    /// As the socket's.
    pub async fn discard(&mut self) -> io::Result<usize> {
        self.buffer.clear();
        self.fill().await
    }

    fn poll_request(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Whoever turns to the client has nothing to add for now: a head must not wait for a body that is long in coming.
        if let Poll::Ready(sent) = self.poll_send_rest(cx) {
            sent?;
        }
        let (head, body) = match &mut self.feed {
            Feed::Request { head, body } => (head, body),
            Feed::Frames(_) => return self.poll_frames(cx, out),
            Feed::All => return self.poll_tunnel(cx, out),
        };
        if *head > 0 {
            let n = (*head).min(out.remaining()).min(self.buffer.len());
            put(out, &mut self.buffer, n);
            *head -= n;
            return Poll::Ready(Ok(()));
        }
        if body.is_done() {
            if self.signals.is_tunnel() {
                self.feed = Feed::All;
                return self.poll_tunnel(cx, out);
            }
            return self.poll_end(cx);
        }
        if self.buffer.is_empty() {
            if let Body::Length(left) = body {
                // No need to take a long upload through the buffer.
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let before = out.filled().len();
                if most >= out.remaining() {
                    ready!(Pin::new(&mut self.socket).poll_read(cx, out))?;
                } else {
                    let mut direct = ReadBuf::new(out.initialize_unfilled_to(most));
                    ready!(Pin::new(&mut self.socket).poll_read(cx, &mut direct))?;
                    let n = direct.filled().len();
                    out.advance(n);
                }
                *left -= (out.filled().len() - before) as u64;
                return Poll::Ready(Ok(()));
            }
            if ready!(poll_fill(&mut self.socket, &mut self.buffer, cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        let offered = self.buffer.len().min(out.remaining());
        match body.advance(self.buffer.get(..offered).unwrap_or_default()) {
            Ok(n) => {
                put(out, &mut self.buffer, n);
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                self.signals.malformed.store(true, Ordering::Release);
                Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)))
            }
        }
    }

    fn tunnel(&mut self) -> &mut Tunnel {
        self.tunnel.get_or_insert_default()
    }

    /// Of a client whose session has ended nothing is taken any more. What the tool gets in its place is the end, as soon as the
    /// client has what was under way to it: Pingora is through then, too.
    fn poll_tunnel(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(why) = self.signals.farewell() {
            let tunnel = self.tunnel();
            if !tunnel.down.is_settled() {
                // Whoever drives the call asks again when something was written, or gives up.
                return Poll::Pending;
            }
            if let Some(words) = tunnel.last_words_to_the_tool(why).filter(|words| words.len() <= out.remaining()) {
                out.put_slice(&words);
            }
            return Poll::Ready(Ok(()));
        }
        let before = out.filled().len();
        ready!(self.poll_all(cx, out))?;
        self.tunnel().up.follow(out.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }

    fn poll_all(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.buffer.is_empty() {
            return Pin::new(&mut self.socket).poll_read(cx, out);
        }
        let n = self.buffer.len().min(out.remaining());
        put(out, &mut self.buffer, n);
        Poll::Ready(Ok(()))
    }

    fn poll_frames(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Feed::Frames(watch) = &mut self.feed else { return self.poll_all(cx, out) };
        let before = out.filled().len();
        let followed = match Pin::new(&mut self.socket).poll_read(cx, out)? {
            Poll::Ready(()) => watch.read(out.filled().get(before..).unwrap_or_default(), Instant::now()),
            Poll::Pending => Err(ready!(watch.poll_late(cx))),
        };
        Poll::Ready(followed.map_err(|abuse| {
            out.set_filled(before);
            self.abuse = Some(abuse);
            abuse.into()
        }))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.signals.is_tunnel() {
            ready!(self.poll_send_rest(cx))?;
            return self.poll_write_down(cx, bytes);
        }
        if let Feed::Frames(watch) = &mut self.feed {
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, bytes))?;
            watch.wrote(written);
            return Poll::Ready(Ok(written));
        }
        if self.unsent.len() + bytes.len() <= WRITE_SIZE {
            self.unsent.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        loop {
            if self.unsent.is_empty() {
                return Pin::new(&mut self.socket).poll_write(cx, bytes);
            }
            let both = [IoSlice::new(&self.unsent), IoSlice::new(bytes)];
            let written = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, &both))?;
            let before = written.min(self.unsent.len());
            self.unsent.advance(before);
            if written > before {
                return Poll::Ready(Ok(written - before));
            }
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
    }

    /// Of a frame's head and its payload one record of TLS is made, and one call to the kernel.
    fn poll_write_pieces(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let Feed::Frames(watch) = &mut self.feed else {
            let first = pieces.iter().find(|piece| !piece.is_empty());
            return self.poll_write(cx, first.map_or(&[], |piece| piece));
        };
        let written = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, pieces))?;
        watch.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn poll_send_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.unsent))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send_rest(cx))?;
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    /// To the client, in a tunnel. Once that is to be closed, the frame that has begun goes out, and what comes after it nowhere.
    fn poll_write_down(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut wanted = bytes;
        if self.signals.farewell().is_some() {
            wanted = bytes.get(..self.tunnel().down.rest(bytes)).unwrap_or_default();
            if wanted.is_empty() {
                return Poll::Ready(Ok(bytes.len()));
            }
        }
        let written = ready!(Pin::new(&mut self.socket).poll_write(cx, wanted))?;
        self.tunnel().down.follow(wanted.get(..written).unwrap_or_default());
        Poll::Ready(Ok(written))
    }

    /// After the request's last byte there is only one thing to learn: that the client went away.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.buffer.len() < MAX_AHEAD {
            if ready!(poll_fill(&mut self.socket, &mut self.buffer, cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        // Whoever waits here waits for something else too; nothing of this connection needs to wake it.
        Poll::Pending
    }
}

fn put(out: &mut ReadBuf<'_>, buffer: &mut BytesMut, n: usize) {
    out.put_slice(buffer.get(..n).unwrap_or_default());
    buffer.advance(n);
}

fn poll_fill(socket: &mut Socket, buffer: &mut BytesMut, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    buffer.reserve(READ_SIZE);
    let reading = std::pin::pin!(socket.read_buf(buffer));
    reading.poll(cx)
}
