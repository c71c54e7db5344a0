//! `server.metrics`: `/metrics`, `/live` and `/ready`, on a socket of its own, so that no route and no login stands before them
//! and nobody reaches them over the gateway's own sockets.
//!
//! It is asked by machines of the same team, and still trusts none of them: few connections at once, each for one request and
//! a few seconds, whatever it does.

mod answers;
mod readiness;

use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::answers::Answers;
use self::readiness::Readiness;
use super::listeners::Listeners;
use super::{StartError, sockets};
use crate::service::Services;

/// Connections at once: some Prometheus servers and load balancers, each asking every few seconds.
const CONNECTIONS: usize = 32;
/// How long one may take in all, and its head.
const CONNECTION: Duration = Duration::from_secs(15);
const HEAD: Duration = Duration::from_secs(5);
/// More than any head that asks for these.
const MAX_HEAD: usize = 16 * 1024;
/// A pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where a gateway is observed from outside.
pub struct Observation {
    answers: Arc<Answers>,
    open: Mutex<Option<Open>>,
}

/// The socket that is accepted from.
struct Open {
    /// As the configuration has it.
    wanted: SocketAddr,
    listener: Arc<TcpListener>,
    /// Port 0 has become a real one.
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What a configuration wants, bound where it was not yet.
pub enum Prepared {
    Nothing,
    Same,
    New { wanted: SocketAddr, listener: TcpListener, address: SocketAddr },
}

impl Observation {
    /// Nothing is listened on yet.
    pub fn new(services: &Services, listeners: Arc<Listeners>) -> Self {
        let readiness = Readiness::new(services.clone(), listeners);
        Self { answers: Arc::new(Answers::new(Arc::clone(&services.metrics), readiness)), open: Mutex::default() }
    }

    /// Binds what `server.metrics` names, where that is not open yet; serves nothing from it.
    ///
    /// # Errors
    /// Where the socket cannot be had.
    pub fn prepare(&self, wanted: Option<SocketAddr>) -> Result<Prepared, StartError> {
        let Some(wanted) = wanted else { return Ok(Prepared::Nothing) };
        if self.open().as_ref().is_some_and(|open| open.wanted == wanted) {
            return Ok(Prepared::Same);
        }
        let bound = sockets::listen_on(wanted).and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) =
            bound.map_err(|source| StartError::Bind { address: wanted.to_string(), key: "server.metrics", source })?;
        Ok(Prepared::New { wanted, listener, address })
    }

    /// The same where the gateway that this one follows has listened: that socket is taken over where it is the one wanted.
    ///
    /// # Errors
    /// Where the socket cannot be had.
    pub fn prepare_after(
        &self,
        wanted: Option<SocketAddr>,
        given: Option<(SocketAddr, StdTcpListener)>,
    ) -> Result<Prepared, StartError> {
        match (wanted, given) {
            (Some(wanted), Some((given, listener))) if wanted == given => {
                let bound = sockets::adopt(listener).and_then(|listener| Ok((listener.local_addr()?, listener)));
                let (address, listener) = bound.map_err(|source| StartError::Bind {
                    address: wanted.to_string(),
                    key: "server.metrics",
                    source,
                })?;
                Ok(Prepared::New { wanted, listener, address })
            }
            (wanted, _) => self.prepare(wanted),
        }
    }

    /// The socket itself, for another process, and how the configuration names it.
    ///
    /// # Errors
    /// Where there are no descriptors left.
    pub fn descriptor(&self) -> std::io::Result<Option<(SocketAddr, OwnedFd)>> {
        let open = self.open();
        let passed = open.as_ref().map(|open| Ok((open.wanted, open.listener.as_fd().try_clone_to_owned()?)));
        passed.transpose()
    }

    /// Serves there from now on, and nowhere else. What is being answered is answered.
    pub fn take_up(&self, prepared: Prepared) {
        let mut open = self.open();
        if matches!(prepared, Prepared::Same) {
            return;
        }
        if let Some(former) = open.take() {
            former.close();
        }
        if let Prepared::New { wanted, listener, address } = prepared {
            tracing::info!(%address, "metrics are served");
            let (stop, tasks, listener) = (CancellationToken::new(), TaskTracker::new(), Arc::new(listener));
            tasks.spawn(accept(Arc::clone(&listener), Arc::clone(&self.answers), stop.clone(), tasks.clone()));
            *open = Some(Open { wanted, listener, address, stop, tasks });
        }
    }

    /// Both at once: what `server.metrics` names is served from now on, nothing where it names nothing.
    ///
    /// # Errors
    /// Where the socket cannot be had; then nothing has changed.
    pub fn replace(&self, wanted: Option<SocketAddr>) -> Result<(), StartError> {
        self.prepare(wanted).map(|prepared| self.take_up(prepared))
    }

    /// Where it is served.
    pub fn address(&self) -> Option<SocketAddr> {
        self.open().as_ref().map(|open| open.address)
    }

    /// From now on the gateway is not ready: whoever balances loads sends nobody here any more.
    pub fn stopping(&self) {
        self.answers.readiness().stopping();
    }

    /// Another process answers there from now on; what is being answered is answered.
    pub fn leave(&self) {
        if let Some(former) = self.open().take() {
            former.close();
        }
    }

    /// Lets go of the socket; when this returns, somebody else can have it.
    pub async fn stop(&self) {
        let former = self.open().take();
        if let Some(former) = former {
            former.close();
            former.tasks.wait().await;
        }
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
    }
}

async fn accept(listener: Arc<TcpListener>, answers: Arc<Answers>, stop: CancellationToken, tasks: TaskTracker) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = async {
            // The place comes first: what has none waits in the backlog.
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((place, listener.accept().await))
        };
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = accepted => accepted,
        };
        match accepted {
            Some((place, Ok((tcp, _)))) => {
                let answers = Arc::clone(&answers);
                tasks.spawn(async move {
                    let _ = timeout(CONNECTION, serve(tcp, answers)).await;
                    drop(place);
                });
            }
            Some((_, Err(error))) => {
                tracing::warn!(%error, "cannot accept a connection for the metrics");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            None => return,
        }
    }
}

async fn serve(tcp: TcpStream, answers: Arc<Answers>) {
    let service = service_fn(|request| {
        let answers = Arc::clone(&answers);
        async move { answers.answer(&request).await }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(tcp), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "whoever asked for the metrics broke off");
    }
}

#[cfg(test)]
mod tests;
