//! The sockets that a gateway listens on, each with the task that accepts from it.
//!
//! A set is prepared first, which may fail, and taken up then, which may not: a configuration with a busy port changes nothing.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::sockets::{self, Bound, Given, Purpose};
use crate::config::{Listen, Server};
use crate::gateway::listener::Reception;
use crate::gateway::listener::tls::{self, Tls};

/// The listening sockets of one gateway.
pub struct Listeners {
    reception: Reception,
    tls: Arc<Tls>,
    open: Mutex<Vec<Open>>,
    /// Another process accepts, or the gateway stops: nothing is taken up any more.
    closed: AtomicBool,
}

/// A socket that is accepted from.
struct Open {
    purpose: Purpose,
    address: SocketAddr,
    listener: Arc<TcpListener>,
    stop: CancellationToken,
}

/// The sockets that a configuration wants, in its order: those that are open, and others that were bound for it.
pub struct Prepared(Vec<Ready>);

struct Ready {
    purpose: Purpose,
    address: SocketAddr,
    listener: Arc<TcpListener>,
}

impl Prepared {
    /// Binds all that `server` wants, for a gateway that listens nowhere yet.
    ///
    /// # Errors
    /// Where one of them cannot be had; none is kept then.
    pub fn all(server: &Server, given: &Given) -> Result<Self, StartError> {
        Self::beside(Vec::new(), server, given)
    }

    fn beside(mut open: Vec<Ready>, server: &Server, given: &Given) -> Result<Self, StartError> {
        let known = |listen: &Listen| open.iter().filter(|open| open.purpose.listen == *listen).count();
        let wanted = sockets::purposes(server, |listen| known(listen) + given.count(listen));
        let mut kept: Vec<Option<Ready>> =
            wanted.iter().map(|purpose| take(&mut open, |open| open.purpose == *purpose)).collect();
        let mut ready = Vec::with_capacity(wanted.len());
        for (purpose, kept) in wanted.into_iter().zip(&mut kept) {
            // What spoke HTTP and is to speak TLS, or the other way round, is the same socket: it could not be bound twice.
            let same = kept.take().or_else(|| take(&mut open, |open| open.purpose.listen == purpose.listen));
            ready.push(match same {
                Some(same) => Ready { purpose, ..same },
                None => {
                    let Bound { purpose, listener, address } = sockets::bind(purpose, given)?;
                    Ready { purpose, address, listener: Arc::new(listener) }
                }
            });
        }
        Ok(Self(ready))
    }

    /// The port of the first TLS listener: where plain HTTP is redirected to.
    pub fn tls_port(&self) -> Option<u16> {
        self.0.iter().find(|ready| ready.purpose.tls).map(|ready| ready.address.port())
    }
}

fn take(from: &mut Vec<Ready>, wanted: impl Fn(&Ready) -> bool) -> Option<Ready> {
    let index = from.iter().position(wanted)?;
    Some(from.remove(index))
}

impl Listeners {
    pub fn new(reception: Reception, tls: Arc<Tls>) -> Self {
        Self { reception, tls, open: Mutex::default(), closed: AtomicBool::new(false) }
    }

    /// Binds what `server` wants and is not open yet; accepts nothing from it.
    ///
    /// # Errors
    /// Where one of them cannot be had; none is kept then.
    pub fn prepare(&self, server: &Server, given: &Given) -> Result<Prepared, StartError> {
        let open = self.open().iter().map(Open::ready).collect();
        Prepared::beside(open, server, given)
    }

    /// Accepts from these from now on, and from no other one. Connections that are open stay open, and who waits at a socket
    /// that is given up is still served.
    pub fn take_up(&self, prepared: Prepared) {
        let mut open = self.open();
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        let mut before = std::mem::take(&mut *open);
        for ready in prepared.0 {
            let known = before.iter().position(|open| Arc::ptr_eq(&open.listener, &ready.listener));
            let known = known.map(|index| before.remove(index));
            open.push(match known {
                Some(known) if known.purpose == ready.purpose => known,
                Some(known) => {
                    known.stop.cancel();
                    self.accept_from(ready)
                }
                None => self.accept_from(ready),
            });
        }
        for gone in before {
            tracing::info!(address = %gone.address, tls = gone.purpose.tls, "no longer listening");
            gone.stop.cancel();
            let last = self.reception.clone().accept_the_last(gone.listener, self.tls_for(&gone.purpose));
            self.reception.tasks.spawn(last);
        }
    }

    fn accept_from(&self, ready: Ready) -> Open {
        let Ready { purpose, listener, address } = ready;
        tracing::info!(%address, tls = purpose.tls, "listening");
        let stop = CancellationToken::new();
        let accepting = self.reception.clone().accept(Arc::clone(&listener), self.tls_for(&purpose), stop.clone());
        self.reception.tasks.spawn(accepting);
        Open { purpose, address, listener, stop }
    }

    fn tls_for(&self, purpose: &Purpose) -> Option<Arc<Tls>> {
        purpose.tls.then(|| Arc::clone(&self.tls))
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
        let mut open = self.open();
        self.closed.store(true, Ordering::Release);
        open.drain(..).for_each(|open| open.stop.cancel());
    }

    /// Of the same sockets, other certificates from now on.
    pub fn show(&self, certificates: tls::Ready) {
        self.tls.replace(certificates);
    }

    fn open(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn ready(&self) -> Ready {
        let (purpose, address) = (self.purpose.clone(), self.address);
        Ready { purpose, address, listener: Arc::clone(&self.listener) }
    }
}
