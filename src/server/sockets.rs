//! Listening sockets, bound before anything else is built, so that a busy port is found at once and port 0 can be read back.

use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::sync::{Mutex, MutexGuard, PoisonError};

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

impl Purpose {
    /// The key of the configuration that asks for it.
    pub const fn key(&self) -> &'static str {
        if self.tls { "server.tls.listen" } else { "server.listen" }
    }
}

/// A listening socket.
pub struct Bound {
    pub purpose: Purpose,
    pub listener: TcpListener,
    pub address: SocketAddr,
}

/// Sockets that came from outside, already listening: from systemd, or from the gateway that this one follows.
#[derive(Default)]
pub struct Given(Mutex<Vec<(Purpose, StdTcpListener)>>);

impl Given {
    #[must_use]
    pub fn new(sockets: Vec<(Purpose, StdTcpListener)>) -> Self {
        Self(Mutex::new(sockets))
    }

    /// systemd knows their names; what is spoken on them, the configuration says.
    #[must_use]
    pub fn by_systemd(sockets: Vec<(String, StdTcpListener)>) -> Self {
        let plain = |name| Purpose { listen: Listen::Systemd(name), tls: false };
        Self::new(sockets.into_iter().map(|(name, socket)| (plain(name), socket)).collect())
    }

    /// What the sockets are called that nobody has taken.
    pub fn left(&self) -> Vec<String> {
        self.lock().iter().map(|(given, _)| given.listen.to_string()).collect()
    }

    /// How many there are of one name: a unit of systemd's may have several.
    pub fn count(&self, listen: &Listen) -> usize {
        self.lock().iter().filter(|(given, _)| given.listen == *listen).count()
    }

    fn take(&self, purpose: &Purpose) -> Option<StdTcpListener> {
        let mut sockets = self.lock();
        let same = sockets.iter().position(|(given, _)| given == purpose);
        // The same socket, for TLS from now on, or no longer.
        let index = same.or_else(|| sockets.iter().position(|(given, _)| given.listen == purpose.listen))?;
        Some(sockets.remove(index).1)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Purpose, StdTcpListener)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the configuration wants sockets for, plain HTTP first. `passed`: how many sockets there are of one name of systemd's.
pub fn purposes(server: &Server, passed: impl Fn(&Listen) -> usize) -> Vec<Purpose> {
    let plain = server.listen.iter().map(|listen| (listen, false));
    let tls = server.tls.iter().flat_map(|tls| &tls.listen).map(|listen| (listen, true));
    let each = plain.chain(tls).flat_map(|(listen, tls)| {
        let many = match listen {
            Listen::Address(_) => 1,
            Listen::Systemd(_) => passed(listen).max(1),
        };
        std::iter::repeat_n(Purpose { listen: listen.clone(), tls }, many)
    });
    each.collect()
}

/// The socket for this purpose: one that was given, else a new one.
pub fn bind(purpose: Purpose, given: &Given) -> Result<Bound, StartError> {
    let bound = match (given.take(&purpose), &purpose.listen) {
        (Some(listener), _) => adopt(listener),
        (None, Listen::Address(address)) => listen_on(*address),
        (None, Listen::Systemd(name)) => {
            return Err(StartError::NotPassed { name: name.clone(), left: given.left().join(", ") });
        }
    };
    match bound.and_then(|listener| Ok((listener.local_addr()?, listener))) {
        Ok((address, listener)) => Ok(Bound { purpose, listener, address }),
        Err(source) => Err(StartError::Bind { address: purpose.listen.to_string(), key: purpose.key(), source }),
    }
}

pub fn adopt(listener: StdTcpListener) -> std::io::Result<TcpListener> {
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
