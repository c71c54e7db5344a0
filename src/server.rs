//! Puts the rooms together: configuration, store, services, portal, sockets, background work.
//!
//! A gateway runs within the caller's tokio runtime, and several can run in one process. Signals are the caller's.

mod limits;
mod listeners;
pub mod notify;
mod observation;
mod operator;
mod sockets;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::listeners::{Listeners, Prepared};
use self::observation::Observation;
use self::operator::Operator;
use self::sockets::Given;
use crate::audit::AuditFile;
use crate::clock::Clock;
use crate::config::Config;
use crate::gateway::Gateway;
use crate::gateway::listener::Reception;
use crate::gateway::listener::tls::{self, Certificates};
use crate::mail::{Outbox, TransportError};
use crate::secret::{EntropyError, random_bytes};
use crate::service::Services;
use crate::store::record::Store;
use crate::{control, portal};

/// How long what was cut may take to notice.
const AFTER_ABORT: Duration = Duration::from_secs(5);

/// A gateway that runs, within the caller's tokio runtime.
pub struct Running {
    gateway: Arc<Gateway>,
    listeners: Arc<Listeners>,
    observation: Arc<Observation>,
    services: Services,
    grace: Duration,
    shutdown: watch::Sender<bool>,
    abort: CancellationToken,
    connections: TaskTracker,
    stop_background: CancellationToken,
    background: Vec<JoinHandle<()>>,
}

/// Why it did not start: what happened. [`StartError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {source}")]
    Bind { address: String, source: std::io::Error },
    #[error("no socket named {name:?} can be taken over from systemd: this version cannot do that yet")]
    Systemd { name: String },
    #[error("cannot open the control socket {}: {source}", path.display())]
    Control { path: PathBuf, source: std::io::Error },
    #[error("cannot write the audit file {}: {source}", path.display())]
    AuditFile { path: PathBuf, source: std::io::Error },
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("mail cannot be sent: {0}")]
    Mail(#[from] TransportError),
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl StartError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        use std::io::ErrorKind;
        match self {
            Self::Bind { source, .. } => match source.kind() {
                ErrorKind::AddrInUse => Some("another program listens there: stop it, or choose another port"),
                ErrorKind::PermissionDenied => Some(
                    "ports below 1024 are for root, or for who has CAP_NET_BIND_SERVICE: `setcap` or systemd's \
                          AmbientCapabilities= give it",
                ),
                ErrorKind::AddrNotAvailable => Some("no interface of this machine has that address: see `ip address`"),
                _ => None,
            },
            Self::Systemd { .. } => Some("write an address and a port instead"),
            Self::Control { .. } => Some("its directory must exist and belong to the user that sekisho runs as"),
            Self::Mail(_) => {
                Some("see `mail.smtp`: `ca` names a file of PEM certificates, and must be one that rustls takes")
            }
            Self::AuditFile { .. } | Self::Tls(_) | Self::Entropy(_) => None,
        }
    }
}

/// Binds every socket, builds the services, and serves until [`Running::stop`].
///
/// # Errors
/// Where a socket cannot be bound, or what the configuration asks for is not to be had.
pub async fn start(config: Config, store: Store, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
    let sockets = Prepared::all(&config.server, &Given::default())?;
    let instance = random_bytes()?;
    let certificates = config.server.tls.as_ref().map(|tls| tls.certificates.as_slice());
    let certificates = Arc::new(Certificates::new(certificates.unwrap_or_default()));
    let acceptor = tls::acceptor(Arc::clone(&certificates))?;
    let grace = config.server.shutdown_grace;
    let admin_socket = config.server.admin_socket.clone();

    let stop_background = CancellationToken::new();
    let outbox = match &config.mail {
        Some(mail) => Some(Outbox::open(mail, Arc::clone(&clock), stop_background.clone())?),
        None => None,
    };
    let services = Services::new(Arc::new(ArcSwap::from_pointee(config)), store, clock, outbox);
    if let Some(path) = services.config.load().audit.file.as_deref() {
        let file = AuditFile::open(path, Arc::clone(&services.clock));
        services.write_events_to(file.map_err(|source| StartError::AuditFile { path: path.to_owned(), source })?);
    }
    let portal = portal::service(services.clone());
    let gateway = Gateway::new(services.clone(), portal, instance);
    #[cfg(feature = "otlp")]
    match crate::gateway::spans::Spans::from_environment() {
        Ok(spans) => spans.into_iter().for_each(|spans| gateway.send_spans(spans)),
        Err(error) => tracing::warn!(%error, "no spans are sent"),
    }
    let gateway = Arc::new(gateway);

    let (shutdown, watch) = watch::channel(false);
    let places = limits::connections();
    services.metrics.connections.limit.set(i64::try_from(places).unwrap_or(i64::MAX));
    let reception = Reception {
        gateway: Arc::clone(&gateway),
        places: Arc::new(Semaphore::new(places)),
        shutdown: watch,
        abort: CancellationToken::new(),
        tasks: TaskTracker::new(),
    };
    let (abort, connections) = (reception.abort.clone(), reception.tasks.clone());
    let listeners = Arc::new(Listeners::new(reception, acceptor));
    let observation = Arc::new(Observation::new(services.clone(), Arc::clone(&listeners)));
    let observed = observation.prepare(services.config.load().server.metrics)?;

    let operator = Arc::new(Operator);
    let control = control::serve(services.clone(), operator, admin_socket.clone(), stop_background.clone())
        .map_err(|source| StartError::Control { path: admin_socket, source })?;
    let background = tokio::spawn({
        let (services, stop) = (services.clone(), stop_background.clone());
        async move { services.background(stop).await }
    });
    let admins = tokio::spawn(count_admins(services.clone()));
    let watchdog = tokio::spawn({
        let (services, stop) = (services.clone(), stop_background.clone());
        async move { stop.run_until_cancelled(notify::watchdog(|| services.store_answers())).await.unwrap_or_default() }
    });
    let upstreams = tokio::spawn({
        let (gateway, stop) = (Arc::clone(&gateway), stop_background.clone());
        async move { gateway.watch_upstreams(stop).await }
    });

    gateway.redirect_to(listeners.tls_port(&sockets));
    observation.take_up(observed);
    listeners.take_up(sockets);
    Ok(Running {
        gateway,
        listeners,
        observation,
        services,
        grace,
        shutdown,
        abort,
        connections,
        stop_background,
        background: vec![control, background, admins, watchdog, upstreams],
    })
}

/// Says so where one administrator at most can sign in (F28). Nothing waits for it.
async fn count_admins(services: Services) {
    const HINT: &str = "`sekisho user set LOGIN --role admin` makes another one";
    match services.users.effective_admins(services.clock.now()).await {
        Ok(0) => tracing::warn!(hint = HINT, "no administrator can sign in"),
        Ok(1) => tracing::warn!(hint = HINT, "only one administrator can sign in; a second one is wise"),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the administrators could not be counted"),
    }
}

impl Running {
    /// Where it listens, plain HTTP first; port 0 has become a real one.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.addresses()
    }

    /// Where `server.metrics` is served; port 0 has become a real one.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.observation.address()
    }

    /// The services, for whoever runs in the same process.
    #[must_use]
    pub const fn services(&self) -> &Services {
        &self.services
    }

    /// Stops accepting, lets what is in flight end within the grace, closes the store.
    pub async fn stop(self) {
        self.observation.stopping();
        self.listeners.stop_accepting();
        self.shutdown.send_replace(true);
        self.connections.close();
        if timeout(self.grace, self.connections.wait()).await.is_err() {
            tracing::warn!(open = self.connections.len(), "the grace is over: closing what is still open");
            self.abort.cancel();
            let _ = timeout(AFTER_ABORT, self.connections.wait()).await;
        }
        self.stop_background.cancel();
        for task in self.background {
            let _ = task.await;
        }
        if let Some(file) = self.services.events_file() {
            file.sync();
        }
        self.observation.stop().await;
        let gateway = self.gateway;
        let _ = tokio::task::spawn_blocking(move || gateway.finish_records()).await;
    }
}

#[cfg(test)]
mod tests;
