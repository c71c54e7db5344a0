//! Connections for WebSocket handshakes.
//!
//! Pingora 0.9.1 feeds the (empty) body of a handshake through a pipe, and takes the body's end for the end of the tunnel
//! where it meets it only after the upstream's 101 (`proxy_handle_upstream` polls both in random order). An upstream on the
//! same machine is quick enough for that to happen once in a few times. So a socket for a handshake gives what is in the
//! pipe the first turn: after every write, the first read comes back empty-handed once, and is polled again at once.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::L4Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::{Error, ErrorType};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::gateway::listener::stream::Signals;

/// Connects as Pingora would, and lets reads wait their turn.
#[derive(Debug)]
pub struct HandshakeConnector {
    pub limit: Duration,
    /// Of the client's connection: once the tunnel is open, reads wait no more.
    pub signals: Arc<Signals>,
}

#[async_trait]
impl L4Connect for HandshakeConnector {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream, Box<Error>> {
        let connecting = timeout(self.limit, open(address)).await;
        let socket = match connecting {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => return Err(Error::because(kind(&error), format!("connecting to {address}"), error)),
            Err(_) => return Err(Error::explain(ErrorType::ConnectTimedout, format!("connecting to {address}"))),
        };
        let signals = Arc::clone(&self.signals);
        let polite = Polite { socket, signals, yields: false };
        Ok(VirtualSocketStream::new(Box::new(polite)).into())
    }
}

async fn open(address: &SocketAddr) -> io::Result<Box<dyn Socket>> {
    match address {
        SocketAddr::Inet(address) => {
            let tcp = TcpStream::connect(address).await?;
            tcp.set_nodelay(true)?;
            Ok(Box::new(tcp))
        }
        SocketAddr::Unix(address) => {
            let path = address.as_pathname().ok_or(io::ErrorKind::InvalidInput)?;
            Ok(Box::new(UnixStream::connect(path).await?))
        }
    }
}

fn kind(error: &io::Error) -> ErrorType {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
        io::ErrorKind::TimedOut => ErrorType::ConnectTimedout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => ErrorType::ConnectNoRoute,
        _ => ErrorType::ConnectError,
    }
}

trait Socket: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug> Socket for T {}

/// A socket whose reads let others go first.
#[derive(Debug)]
struct Polite {
    socket: Box<dyn Socket>,
    signals: Arc<Signals>,
    /// Something was written since the last read.
    yields: bool,
}

impl VirtualSocket for Polite {
    fn set_socket_option(&self, _option: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Polite {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.yields) && !self.signals.is_tunnel() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Polite {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.yields = true;
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
