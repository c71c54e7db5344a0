//! Puts the rooms together: configuration, store, services, portal, sockets, background work.
//!
//! A gateway runs within the caller's tokio runtime, and several can run in one process. Signals are the caller's.

mod activation;
mod limits;
mod listeners;
pub mod notify;
mod observation;
mod operator;
pub mod reload;
mod sockets;
pub mod takeover;

use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::UnixStream;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::activation::passed;
use self::listeners::Listeners;
pub use self::listeners::Prepared;
use self::observation::Observation;
use self::operator::Operator;
use self::reload::Reloader;
pub use self::sockets::Given;
use self::takeover::{End, Launch, Predecessor, Reopen};
use crate::audit::AuditFile;
use crate::clock::Clock;
use crate::config::Config;
use crate::control::Control;
use crate::gateway::Gateway;
use crate::gateway::listener::Reception;
use crate::gateway::listener::places::Places;
use crate::gateway::listener::tls::{self, Tls};
use crate::mail::{Outbox, TransportError};
use crate::secret::{EntropyError, random_bytes};
use crate::service::Services;
use crate::store::engine::Engine;
use crate::store::record::Store;
use crate::store::relay;
use crate::store::switch::Switch;
use crate::{control, portal};

/// How long what was cut may take to notice.
const AFTER_ABORT: Duration = Duration::from_secs(5);

/// A gateway that runs, within the caller's tokio runtime.
pub struct Running {
    gateway: Arc<Gateway>,
    listeners: Arc<Listeners>,
    observation: Arc<Observation>,
    reloader: Arc<Reloader>,
    services: Services,
    switch: Arc<Switch>,
    control: Arc<Control>,
    predecessor: Option<Arc<Predecessor>>,
    shutdown: watch::Sender<bool>,
    leaving: watch::Sender<bool>,
    abort: CancellationToken,
    connections: TaskTracker,
    /// Processes before this one that have not ended what is in flight there, and have their records from here.
    dependants: TaskTracker,
    stop_background: CancellationToken,
    background: Vec<JoinHandle<()>>,
}

/// Why it did not start: what happened. [`StartError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {source}")]
    Bind { address: String, key: &'static str, source: std::io::Error },
    #[error("systemd has passed no socket named {name:?}{}", if left.is_empty() { String::new() } else { format!(", but: {left}") })]
    NotPassed { name: String, left: String },
    #[error("systemd has passed sockets that nothing listens on: {names}")]
    NotAsked { names: String },
    #[error("what systemd has passed as {name:?} is no listening socket for TCP")]
    NotListening { name: String },
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
            Self::NotPassed { .. } => Some(
                "`FileDescriptorName=` in the socket unit is its name; systemd passes it where the socket unit runs and starts \
                 the service",
            ),
            Self::NotAsked { .. } => {
                Some("write them into server.listen or server.tls.listen, or take them out of the socket unit")
            }
            Self::NotListening { .. } => Some("in the socket unit: `ListenStream=` with a port, and no `Accept=yes`"),
            Self::Control { .. } => Some("its directory must exist and belong to the user that sekisho runs as"),
            Self::Mail(_) => {
                Some("see `mail.smtp`: `ca` names a file of PEM certificates, and must be one that rustls takes")
            }
            Self::AuditFile { .. } | Self::Tls(_) | Self::Entropy(_) => None,
        }
    }
}

/// What a gateway begins with, beside its configuration and its store.
pub struct Beginning {
    pub sockets: Prepared,
    /// The socket of metrics of the gateway that it follows, and how that one's configuration named it.
    pub metrics: Option<(SocketAddr, StdTcpListener)>,
    /// The control socket of that gateway, and where its file is.
    pub control: Option<(OwnedFd, PathBuf)>,
    /// How it can be followed itself; `None`: it cannot.
    pub following: Option<Following>,
}

/// How a successor is started, and how the store is opened again where that one fails.
pub struct Following {
    pub launch: Launch,
    pub reopen: Reopen,
}

impl Beginning {
    /// Binds every socket.
    ///
    /// # Errors
    /// Where one of them cannot be had.
    pub fn afresh(config: &Config, given: &Given) -> Result<Self, StartError> {
        let sockets = Prepared::all(&config.server, given)?;
        match given.left() {
            left if left.is_empty() => Ok(Self { sockets, metrics: None, control: None, following: None }),
            left => Err(StartError::NotAsked { names: left.join(", ") }),
        }
    }
}

/// Binds every socket, builds the services, and serves until [`Running::stop`].
///
/// # Errors
/// Where a socket cannot be bound, or what the configuration asks for is not to be had.
pub async fn start(config: Config, store: Store, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
    let beginning = Beginning::afresh(&config, &Given::default())?;
    start_with(config, store, clock, beginning).await
}

/// The same with sockets that are there already.
///
/// # Errors
/// Where what the configuration asks for is not to be had.
pub async fn start_with(
    config: Config,
    store: Store,
    clock: Arc<dyn Clock>,
    beginning: Beginning,
) -> Result<Running, StartError> {
    let Beginning { sockets, metrics, control, following } = beginning;
    let switch = Arc::new(Switch::new(store.into_engine()));
    let store = Store::new(Arc::clone(&switch) as Arc<dyn Engine>);
    let instance = random_bytes()?;
    let tls = Arc::new(Tls::new(tls::prepare(config.server.certificates(), config.server.client_verifier())?));
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

    let (shutdown, shutdown_watch) = watch::channel(false);
    let (leaving, leaving_watch) = watch::channel(false);
    let places = limits::connections();
    services.metrics.connections.limit.set(i64::try_from(places).unwrap_or(i64::MAX));
    let reception = Reception {
        gateway: Arc::clone(&gateway),
        places: Arc::new(Places::new(places)),
        shutdown: shutdown_watch,
        leaving: leaving_watch,
        abort: CancellationToken::new(),
        tasks: TaskTracker::new(),
    };
    let (abort, connections) = (reception.abort.clone(), reception.tasks.clone());
    let listeners = Arc::new(Listeners::new(reception, tls));
    let observation = Arc::new(Observation::new(&services, Arc::clone(&listeners)));
    let observed = observation.prepare_after(services.config.load().server.metrics, metrics)?;

    let reloader = Arc::new(Reloader::new(
        services.clone(),
        Arc::clone(&gateway),
        reload::Sockets { listeners: Arc::clone(&listeners), observation: Arc::clone(&observation) },
        stop_background.clone(),
    ));
    let operator = Arc::new(Operator::new(Arc::clone(&reloader)));
    let socket = match control {
        Some((socket, path)) if path == admin_socket => control::adopt(socket, path),
        _ => control::bind(admin_socket.clone()),
    };
    let stop = stop_background.clone();
    let (control, answering) = socket
        .and_then(|socket| control::serve(services.clone(), Arc::clone(&operator) as Arc<_>, socket, stop))
        .map_err(|source| StartError::Control { path: admin_socket, source })?;
    let control = Arc::new(control);
    let predecessor = following.map(|Following { launch, reopen }| {
        Arc::new(Predecessor {
            launch,
            reopen,
            services: services.clone(),
            switch: Arc::clone(&switch),
            listeners: Arc::clone(&listeners),
            observation: Arc::clone(&observation),
            control: Arc::clone(&control),
            shutdown: shutdown.clone(),
            stopping: CancellationToken::new(),
            turn: Mutex::default(),
            end: watch::Sender::new(None),
        })
    });
    if let Some(predecessor) = &predecessor {
        operator.can_be_followed(Arc::clone(predecessor));
    }
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

    gateway.redirect_to(sockets.tls_port());
    observation.take_up(observed);
    listeners.take_up(sockets);
    Ok(Running {
        gateway,
        listeners,
        observation,
        reloader,
        services,
        switch,
        control,
        predecessor,
        shutdown,
        leaving,
        abort,
        connections,
        dependants: TaskTracker::new(),
        stop_background,
        background: vec![answering, background, admins, watchdog, upstreams],
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

    /// Whether it accepts at the control socket that it was given.
    #[must_use]
    pub fn has_control_of(&self, given: Option<&PathBuf>) -> bool {
        given.is_some_and(|given| self.control.path() == given)
    }

    /// Gives the process before this one its records, over this stream, until that one has ended.
    pub fn serve_predecessor(&self, stream: UnixStream) {
        let (engine, abort) = (Arc::clone(&self.switch) as Arc<dyn Engine>, self.abort.clone());
        self.dependants.spawn(async move {
            tokio::select! {
                () = abort.cancelled() => {}
                () = relay::serve(engine, stream) => tracing::info!("the process before this one has ended"),
            }
        });
    }

    /// Returns when this process has to end without having been asked to: another one has followed it, or its store is lost.
    pub async fn ended(&self) -> End {
        let Some(predecessor) = &self.predecessor else { return std::future::pending().await };
        let mut end = predecessor.end.subscribe();
        match end.wait_for(Option::is_some).await.map(|end| end.clone()) {
            Ok(Some(end)) => end,
            _ => std::future::pending().await,
        }
    }

    /// Another process serves: ends what is in flight, within the grace of an upgrade. `broken` fires when that process is gone; `hurry`
    /// returns where this one is asked to stop.
    pub async fn finish(self, broken: CancellationToken, hurry: impl Future<Output = ()>) {
        let grace = self.services.config.load().server.upgrade_grace;
        tracing::info!(grace_s = grace.as_secs(), "ending what is in flight");
        tokio::select! {
            ended = timeout(grace, self.in_flight()) => match ended {
                Ok(()) => tracing::info!("nothing is in flight any more"),
                Err(_) => tracing::warn!(open = self.connections.len(), "the grace is over: closing what is still open"),
            },
            () = broken.cancelled() => {
                tracing::warn!("the process that followed is gone: closing what is open, as nobody can tell which sessions have ended");
            }
            () = hurry => {
                self.leaving.send_replace(true);
                let _ = timeout(self.grace(), self.in_flight()).await;
            }
        }
        self.close().await;
    }

    /// Takes the configuration file anew, while everything goes on.
    #[must_use]
    pub const fn reloader(&self) -> &Arc<Reloader> {
        &self.reloader
    }

    /// What is in flight at a stop may take so long.
    fn grace(&self) -> Duration {
        self.services.config.load().server.shutdown_grace
    }

    /// Stops accepting, lets what is in flight end within the grace, closes the store.
    pub async fn stop(self) {
        if let Some(predecessor) = &self.predecessor {
            predecessor.stopping.cancel();
            let _turn = predecessor.turn.lock().await;
        }
        self.observation.stopping();
        self.listeners.stop_accepting();
        self.shutdown.send_replace(true);
        self.leaving.send_replace(true);
        self.connections.close();
        self.dependants.close();
        let ended = async {
            self.connections.wait().await;
            self.dependants.wait().await;
        };
        if timeout(self.grace(), ended).await.is_err() {
            tracing::warn!(open = self.connections.len(), "the grace is over: closing what is still open");
        }
        self.close().await;
    }

    /// Returns when no connection is open, every errand is run, and no process before this one has anything left.
    async fn in_flight(&self) {
        self.connections.close();
        self.dependants.close();
        self.connections.wait().await;
        self.control.retired().await;
        self.services.settled().await;
        self.dependants.wait().await;
    }

    /// Cuts what is open, ends the work beside it, and lets go of the store.
    async fn close(self) {
        self.abort.cancel();
        let _ = timeout(AFTER_ABORT, self.connections.wait()).await;
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
