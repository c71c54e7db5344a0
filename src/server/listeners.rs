//! The sockets that a gateway listens on, each with the task that accepts from it.
//!
//! A set is prepared first, which may fail, and taken up then, which may not: a configuration with a busy port changes nothing.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::sockets::{self, Bound, Given, Purpose};
use crate::config::{Listen, Server};
use crate::gateway::listener::Reception;

/// The listening sockets of one gateway.
pub struct Listeners {
    reception: Reception,
    acceptor: TlsAcceptor,
    open: Mutex<Vec<Open>>,
}

/// A socket that is accepted from.
struct Open {
    purpose: Purpose,
    address: SocketAddr,
    listener: Arc<TcpListener>,
    stop: CancellationToken,
}

/// The sockets that a configuration wants and that were not open.
pub struct Prepared {
    wanted: Vec<Purpose>,
    new: Vec<Bound>,
}

impl Prepared {
    /// Binds all that `server` wants, for a gateway that listens nowhere yet.
    ///
    /// # Errors
    /// Where one of them cannot be had; none is kept then.
    pub fn all(server: &Server, given: &Given) -> Result<Self, StartError> {
        Self::beside(&[], server, given)
    }

    fn beside(open: &[Purpose], server: &Server, given: &Given) -> Result<Self, StartError> {
        let known = |listen: &Listen| open.iter().filter(|purpose| purpose.listen == *listen).count();
        let wanted = sockets::purposes(server, |listen| known(listen) + given.count(listen));
        let new = wanted.iter().filter(|purpose| !open.contains(purpose));
        let new = new.map(|purpose| sockets::bind(purpose.clone(), given)).collect::<Result<_, _>>()?;
        Ok(Self { wanted, new })
    }
}

impl Listeners {
    pub fn new(reception: Reception, acceptor: TlsAcceptor) -> Self {
        Self { reception, acceptor, open: Mutex::default() }
    }

    /// Binds what `server` wants and is not open yet; accepts nothing from it.
    ///
    /// # Errors
    /// Where one of them cannot be had; none is kept then.
    pub fn prepare(&self, server: &Server, given: &Given) -> Result<Prepared, StartError> {
        let open: Vec<Purpose> = self.open().iter().map(|open| open.purpose.clone()).collect();
        Prepared::beside(&open, server, given)
    }

    /// The port of the first TLS listener, once these are taken up: where plain HTTP is redirected to.
    pub fn tls_port(&self, prepared: &Prepared) -> Option<u16> {
        let first = prepared.wanted.iter().find(|purpose| purpose.tls)?;
        let new = prepared.new.iter().find(|bound| bound.purpose == *first).map(|bound| bound.address.port());
        new.or_else(|| self.open().iter().find(|open| open.purpose == *first).map(|open| open.address.port()))
    }

    /// Accepts from these from now on, and from no other one. Connections that are open stay open.
    pub fn take_up(&self, prepared: Prepared) {
        let mut open = self.open();
        open.retain(|open| {
            let stays = prepared.wanted.contains(&open.purpose);
            if !stays {
                tracing::info!(address = %open.address, tls = open.purpose.tls, "no longer listening");
                open.stop.cancel();
            }
            stays
        });
        open.extend(prepared.new.into_iter().map(|bound| self.accept_from(bound)));
        let place = |purpose: &Purpose| prepared.wanted.iter().position(|wanted| wanted == purpose);
        open.sort_by_key(|open| place(&open.purpose));
    }

    fn accept_from(&self, bound: Bound) -> Open {
        let Bound { purpose, listener, address } = bound;
        tracing::info!(%address, tls = purpose.tls, "listening");
        let (listener, stop) = (Arc::new(listener), CancellationToken::new());
        let acceptor = purpose.tls.then(|| self.acceptor.clone());
        let accepting = self.reception.clone().accept(Arc::clone(&listener), acceptor, stop.clone());
        self.reception.tasks.spawn(accepting);
        Open { purpose, address, listener, stop }
    }

    /// Where it listens, plain HTTP first; port 0 has become a real one.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.open().iter().map(|open| open.address).collect()
    }

    /// The sockets themselves, for another process.
    ///
    /// # Errors
    /// Where there are no descriptors left.
    pub fn descriptors(&self) -> std::io::Result<Vec<(Purpose, OwnedFd)>> {
        self.open().iter().map(|open| Ok((open.purpose.clone(), open.listener.as_fd().try_clone_to_owned()?))).collect()
    }

    /// Accepts no more. What waits in the backlog waits for whoever else has the socket, or is refused when nobody has.
    pub fn stop_accepting(&self) {
        self.open().drain(..).for_each(|open| open.stop.cancel());
    }

    fn open(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
