//! The running gateway's side: starts a successor, gives it everything in turn, and takes everything back where that fails.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::launch::{Launch, LaunchError};
use super::link::{Link, LinkError};
use super::message::{FromPredecessor, FromSuccessor, Hello, Passed, Protocol};
use crate::config::Diagnostic;
use crate::control::Control;
use crate::server::listeners::Listeners;
use crate::server::notify;
use crate::server::observation::Observation;
use crate::service::Services;
use crate::store::engine::{Engine as _, StoreError};
use crate::store::record::Store;
use crate::store::relay::Remote;
use crate::store::switch::{Paused, Switch};

/// How long the successor may take to say who it is: it reads its configuration before.
const HELLO: Duration = Duration::from_secs(20);
/// To bind what is new.
const PREPARED: Duration = Duration::from_secs(10);
/// How long a request that needs the store may be kept waiting by those before it.
const PAUSE: Duration = Duration::from_secs(5);
/// To open the store, which reads all of it once. Nobody gets anything from it meanwhile.
const STORE: Duration = Duration::from_secs(20);
/// How long a successor that was killed may take to be gone.
const GONE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };
/// How long the store is tried to be opened again, and how often.
const REOPEN: Duration = Duration::from_secs(30);
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// Opens the store again.
pub type Reopen = Arc<dyn Fn() -> BoxFuture<'static, Result<Store, StoreError>> + Send + Sync>;

/// A gateway that can be followed by another process.
pub struct Predecessor {
    pub launch: Launch,
    pub reopen: Reopen,
    pub services: Services,
    pub switch: Arc<Switch>,
    pub listeners: Arc<Listeners>,
    pub observation: Arc<Observation>,
    pub control: Arc<Control>,
    /// Tells connections that they are not to be used for long any more.
    pub shutdown: watch::Sender<bool>,
    /// The gateway is being stopped: a successor would be stopped with it.
    pub stopping: CancellationToken,
    pub turn: Mutex<()>,
    pub end: watch::Sender<Option<End>>,
}

/// Why this process ends without having been asked to.
#[derive(Debug, Clone)]
pub enum End {
    /// Another one serves. `broken` fires when that one is gone, too.
    Succeeded { broken: CancellationToken },
    /// The store was given away and did not come back.
    StoreLost,
}

/// Another process serves.
#[derive(Debug, Clone)]
pub struct HandedOver {
    pub pid: u32,
    pub version: String,
    /// How long whoever needed the store had to wait.
    pub pause: Duration,
}

/// This process goes on as if nothing had been.
#[derive(Debug, thiserror::Error)]
pub enum NotHandedOver {
    #[error("an upgrade is under way")]
    UnderWay,
    #[error("this process has been followed by another one already")]
    Done,
    #[error("this process is the first of its container, which would end with it")]
    First,
    #[error("the gateway is being stopped")]
    Stopping,
    #[error("the configuration is invalid")]
    Invalid(Vec<Diagnostic>),
    #[error("the new process cannot serve: {reason}")]
    Unfit { reason: String, hint: Option<String> },
    #[error("{program} is sekisho {version}, which cannot follow sekisho {} without a restart", env!("CARGO_PKG_VERSION"))]
    OtherProtocol { program: String, version: String },
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error("the new process failed before it {before}: {source}")]
    Link { before: &'static str, source: LinkError },
    #[error("the store could not be given away: {0}")]
    Store(&'static str),
    #[error("the sockets could not be passed on: {0}")]
    Sockets(#[from] io::Error),
    #[error("the new process failed, and the store cannot be opened again: {0}; this process ends")]
    Lost(StoreError),
}

impl NotHandedOver {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::First => "start a new container in its place".into(),
            Self::OtherProtocol { .. } => {
                "restart the gateway; with systemd's sockets no connection is refused meanwhile".into()
            }
            Self::Unfit { hint, .. } => return hint.clone(),
            Self::Link { .. } | Self::Launch(_) => "the gateway's log says more; the old process serves on".into(),
            Self::Lost(_) => "start it again".into(),
            _ => return None,
        })
    }
}

impl Predecessor {
    /// Hands over. Goes on to its end even where nobody waits for it.
    ///
    /// # Errors
    /// [`NotHandedOver`]: this process serves on.
    pub async fn hand_over(self: &Arc<Self>) -> Result<HandedOver, NotHandedOver> {
        let this = Arc::clone(self);
        let task = tokio::spawn(async move { this.attempt().await });
        task.await.unwrap_or(Err(NotHandedOver::Store("the attempt broke off")))
    }

    async fn attempt(&self) -> Result<HandedOver, NotHandedOver> {
        let _turn = self.turn.try_lock().map_err(|_| NotHandedOver::UnderWay)?;
        if self.end.borrow().is_some() {
            return Err(NotHandedOver::Done);
        }
        if std::process::id() == 1 {
            return Err(NotHandedOver::First);
        }
        let began = Instant::now();
        tracing::info!(program = %self.launch.program().display(), "upgrade: starting a new process");
        let outcome = self.steps(began).await;
        match &outcome {
            Ok(done) => tracing::info!(
                pid = done.pid,
                version = done.version,
                took_ms = millis(began.elapsed()),
                pause_ms = millis(done.pause),
                "upgrade: handed over; this process ends what is in flight"
            ),
            Err(error) => {
                tracing::error!(%error, took_ms = millis(began.elapsed()), "upgrade: not handed over; this process serves on");
            }
        }
        outcome
    }

    async fn steps(&self, began: Instant) -> Result<HandedOver, NotHandedOver> {
        let mut link = self.launch.start().await?;
        let hello = self.hear(&mut link, HELLO, "said who it is").await?;
        let FromSuccessor::Hello(Hello { protocol, pid, version }) = hello else {
            return Err(out_of_turn("said who it is"));
        };
        let heir = Heir::new(pid);
        if protocol != Protocol::OURS {
            let program = self.launch.program().display().to_string();
            return Err(NotHandedOver::OtherProtocol { program, version });
        }
        tracing::info!(pid, version, took_ms = millis(began.elapsed()), "upgrade: the new process is there");

        self.pass_on(&mut link).await?;
        let FromSuccessor::Prepared = self.hear(&mut link, PREPARED, "had all it needs").await? else {
            return Err(out_of_turn("had all it needs"));
        };
        tracing::info!(pid, took_ms = millis(began.elapsed()), "upgrade: the new process has the sockets");

        if self.switch.is_shared() {
            // Both use it: there is nothing to give, and nobody waits.
            return match self.give_store(&mut link).await {
                Ok(control) => {
                    heir.let_go();
                    let beside = link.into_stream();
                    tokio::spawn(async move { tokio::io::copy(&mut { beside }, &mut tokio::io::sink()).await });
                    self.retire(CancellationToken::new(), pid, control);
                    Ok(HandedOver { pid, version, pause: Duration::ZERO })
                }
                Err(error) => {
                    drop(link);
                    heir.kill().await;
                    Err(error)
                }
            };
        }
        let paused_at = Instant::now();
        let mut paused = timeout(PAUSE, self.switch.pause()).await.map_err(|_| NotHandedOver::Store("it is busy"))?;
        let engine = paused.take().ok_or(NotHandedOver::Store("somebody else uses it"))?;
        // Waits for the disk.
        let _ = spawn_blocking(move || drop(engine)).await;
        tracing::info!(pid, took_ms = millis(paused_at.elapsed()), "upgrade: the store is closed");

        match self.give_store(&mut link).await {
            Ok(control) => {
                let pause = paused_at.elapsed();
                heir.let_go();
                let remote = Remote::new(link.into_stream());
                let broken = remote.broken();
                paused.resume(Arc::new(remote));
                self.retire(broken, pid, control);
                Ok(HandedOver { pid, version, pause })
            }
            Err(error) => {
                drop(link);
                heir.kill().await;
                self.take_back(paused).await?;
                Err(error)
            }
        }
    }

    async fn pass_on(&self, link: &mut Link) -> Result<(), NotHandedOver> {
        let (purposes, mut descriptors): (Vec<_>, Vec<_>) = self.listeners.descriptors()?.into_iter().unzip();
        let metrics = self.observation.descriptor()?;
        let metrics = metrics.map(|(address, descriptor)| {
            descriptors.push(descriptor);
            address
        });
        let (control, path) = self.control.descriptor()?;
        descriptors.push(control);
        let message = FromPredecessor::Inheritance {
            sockets: purposes.iter().map(Passed::from).collect(),
            control: Some(path),
            metrics,
            store: self.store_path(),
        };
        let descriptors: Vec<_> = descriptors.iter().map(OwnedFd::as_fd).collect();
        link.send_with(&message, &descriptors).await.map_err(|source| link_failed("took the sockets", source))
    }

    fn store_path(&self) -> Option<PathBuf> {
        super::successor::store_path(&self.services.config.load()).cloned()
    }

    /// Tells the successor that the store is free; returns when it serves.
    async fn give_store(&self, link: &mut Link) -> Result<bool, NotHandedOver> {
        link.send(&FromPredecessor::Store).await.map_err(|source| link_failed("took the store", source))?;
        match self.hear(link, STORE, "served").await? {
            FromSuccessor::Serving { control } => Ok(control),
            _ => Err(out_of_turn("served")),
        }
    }

    /// What the successor says, unless it says that it cannot.
    async fn hear(
        &self,
        link: &mut Link,
        within: Duration,
        before: &'static str,
    ) -> Result<FromSuccessor, NotHandedOver> {
        let heard = tokio::select! {
            heard = link.receive(within) => heard,
            () = self.stopping.cancelled() => return Err(NotHandedOver::Stopping),
        };
        match heard.map_err(|source| link_failed(before, source))? {
            FromSuccessor::Invalid { problems } => Err(NotHandedOver::Invalid(problems)),
            FromSuccessor::Unfit { reason, hint } => Err(NotHandedOver::Unfit { reason, hint }),
            message => Ok(message),
        }
    }

    /// From here on there is no way back. `broken` fires when nobody can tell any more what has ended.
    fn retire(&self, broken: CancellationToken, pid: u32, control: bool) {
        // First, so that nobody is told that no listener is open.
        self.observation.leave();
        self.listeners.stop_accepting();
        self.shutdown.send_replace(true);
        self.control.retire(control);
        self.services.retire();
        notify::main_pid(pid);
        self.end.send_replace(Some(End::Succeeded { broken }));
    }

    /// Goes on with the store as it is now.
    async fn take_back(&self, paused: Paused) -> Result<(), NotHandedOver> {
        let began = Instant::now();
        loop {
            match (self.reopen)().await {
                Ok(store) => {
                    paused.resume(store.into_engine());
                    tracing::info!(took_ms = millis(began.elapsed()), "upgrade: the store is this process's again");
                    return Ok(());
                }
                Err(error) if began.elapsed() > REOPEN => {
                    tracing::error!(%error, "upgrade: the store cannot be opened again; this process ends");
                    drop(paused);
                    self.end.send_replace(Some(End::StoreLost));
                    return Err(NotHandedOver::Lost(error));
                }
                Err(_) => sleep(BETWEEN_TRIES).await,
            }
        }
    }
}

fn link_failed(before: &'static str, source: LinkError) -> NotHandedOver {
    NotHandedOver::Link { before, source }
}

fn out_of_turn(before: &'static str) -> NotHandedOver {
    link_failed(before, LinkError::NotUnderstood)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The new process, which does not outlive an attempt that failed.
struct Heir {
    /// Names this one process, whatever becomes of its number. `None`: the system gives no such handle, and the broken link has to do.
    handle: Option<OwnedFd>,
}

impl Heir {
    fn new(pid: u32) -> Self {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        Self { handle: pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) }
    }

    /// Ends it, and returns when it is gone.
    async fn kill(mut self) {
        let Some(handle) = self.handle.take() else { return };
        let _ = pidfd_send_signal(&handle, Signal::KILL);
        let gone = spawn_blocking(move || {
            // A handle can be read from when its process has ended.
            let mut ended = [PollFd::from_borrowed_fd(handle.as_fd(), PollFlags::IN)];
            poll(&mut ended, Some(&GONE))
        });
        let _ = gone.await;
    }

    fn let_go(mut self) {
        self.handle = None;
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            let _ = pidfd_send_signal(handle, Signal::KILL);
        }
    }
}
