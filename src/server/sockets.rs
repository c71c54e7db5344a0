//! Listening sockets, bound before anything else is built, so that a busy port is found at once and port 0 can be read back.

use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::sync::{Mutex, PoisonError};

use tokio::net::{TcpListener, TcpSocket};

use super::StartError;
use crate::config::{Listen, Server};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// What a listening socket is for: what the configuration calls it, and what is spoken on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose {
    pub listen: Listen,
    pub tls: bool,
}

/// A listening socket.
pub struct Bound {
    pub purpose: Purpose,
    pub listener: TcpListener,
    pub address: SocketAddr,
}

/// Sockets that came from outside, already listening.
#[derive(Default)]
pub struct Given(Mutex<Vec<(Purpose, StdTcpListener)>>);

impl Given {
    #[must_use]
    pub fn new(sockets: Vec<(Purpose, StdTcpListener)>) -> Self {
        Self(Mutex::new(sockets))
    }

    fn take(&self, purpose: &Purpose) -> Option<StdTcpListener> {
        let mut sockets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = sockets.iter().position(|(given, _)| given == purpose)?;
        Some(sockets.swap_remove(index).1)
    }
}

/// What the configuration wants sockets for, plain HTTP first.
pub fn purposes(server: &Server) -> Vec<Purpose> {
    let plain = server.listen.iter().map(|listen| (listen, false));
    let tls = server.tls.iter().flat_map(|tls| &tls.listen).map(|listen| (listen, true));
    plain.chain(tls).map(|(listen, tls)| Purpose { listen: listen.clone(), tls }).collect()
}

/// The socket for this purpose: one that was given, else a new one.
pub fn bind(purpose: Purpose, given: &Given) -> Result<Bound, StartError> {
    let bound = match (given.take(&purpose), &purpose.listen) {
        (Some(listener), _) => adopt(listener),
        (None, Listen::Address(address)) => listen_on(*address),
        (None, Listen::Systemd(name)) => return Err(StartError::Systemd { name: name.clone() }),
    };
    match bound.and_then(|listener| Ok((listener.local_addr()?, listener))) {
        Ok((address, listener)) => Ok(Bound { purpose, listener, address }),
        Err(source) => Err(StartError::Bind { address: purpose.listen.to_string(), source }),
    }
}

fn adopt(listener: StdTcpListener) -> std::io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// A new socket that listens there.
pub fn listen_on(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for the connections of its predecessor to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
