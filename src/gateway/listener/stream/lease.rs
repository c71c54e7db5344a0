//! The connection as Pingora has it for the length of one request: what its traits ask for, and the way back home.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::{Connection, Feed};

/// Where a lease leaves the connection when it ends.
pub type Home = Arc<Mutex<Option<Box<Connection>>>>;

/// Takes the connection that a lease left.
pub fn take_home(home: &Home) -> Option<Box<Connection>> {
    home.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The connection as Pingora has it.
pub struct Lease {
    connection: Option<Box<Connection>>,
    home: Home,
}

impl Lease {
    pub const fn new(connection: Box<Connection>, home: Home) -> Self {
        Self { connection: Some(connection), home }
    }

    fn connection(&mut self) -> io::Result<&mut Connection> {
        self.connection.as_deref_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = self.connection.take();
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("fd", &self.id()).finish_non_exhaustive()
    }
}

impl AsyncRead for Lease {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.connection()?.poll_request(cx, buf)
    }
}

impl AsyncWrite for Lease {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.connection()?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.connection()?.poll_write_pieces(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| matches!(connection.feed, Feed::Frames(_)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let connection = self.connection()?;
        ready!(connection.poll_flush(cx))?;
        if connection.signals.farewell().is_some() {
            // What is said last is said when the connection has come home.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut connection.socket).poll_shutdown(cx)
    }
}

/// Pingora closes what it will not use again; over HTTP/1 the connection does that itself when it has come home.
#[async_trait]
impl Shutdown for Lease {
    async fn shutdown(&mut self) {
        let _ = AsyncWriteExt::flush(self).await;
    }
}

impl UniqueID for Lease {
    fn id(&self) -> i32 {
        self.connection.as_ref().map_or(-1, |connection| connection.fd)
    }
}

impl Ssl for Lease {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        let connection = self.connection.as_ref()?;
        connection.endpoints.tls.then(|| Arc::new(SslDigest::new("", "", None, None, Vec::new())))
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.connection.as_ref().map(|connection| if connection.http2 { ALPN::H2 } else { ALPN::H1 })
    }
}

impl GetTimingDigest for Lease {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Lease {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Lease {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.connection.as_ref().map(|connection| Arc::clone(&connection.digest))
    }
}

impl Peek for Lease {}
