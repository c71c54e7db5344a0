//! Takes the configuration file anew while everything goes on: reads and builds all of it, and only then changes anything.
//!
//! ```text
//! read, compare (config) ─▶ keys fit the store? ─▶ outbox, file of events, TLS, sockets ─┬─ all there ─▶ swap ─▶ judge what is open
//!                                                                                        └─ a problem ─▶ nothing was changed
//! ```
//!
//! The swap itself waits for nothing and cannot fail. A request goes on with the configuration that it came under; connections stay
//! open, those of sockets that are given up among them. What cannot change while the gateway runs is refused
//! (`config::load_beside`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::listeners::{self, Listeners};
use super::observation::{self, Observation};
use super::sockets::Given;
use super::{StartError, notify};
use crate::audit::AuditFile;
use crate::config::{self, Anchors, Config, Diagnostic, Loaded, Server, Severity, Unusable};
use crate::gateway::Gateway;
use crate::gateway::listener::tls;
use crate::mail::Outbox;
use crate::portal;
use crate::service::Services;
use crate::service::reload::{AskedBy, Belongings};

/// A socket that was given up a moment ago may not be free yet: how often it is tried again, and after what time.
const TRIES: u32 = 4;
const BETWEEN_TRIES: Duration = Duration::from_millis(250);

/// Takes configurations, one at a time.
pub struct Reloader {
    services: Services,
    gateway: Arc<Gateway>,
    sockets: Sockets,
    /// Ends the delivery of mails, at a stop.
    stop: CancellationToken,
    turn: Mutex<()>,
}

/// All that is listened on for people and machines.
pub struct Sockets {
    pub listeners: Arc<Listeners>,
    pub observation: Arc<Observation>,
}

/// What a configuration wants to listen on and was not open yet, bound.
struct Prepared {
    listeners: listeners::Prepared,
    observation: observation::Prepared,
}

/// A configuration was taken.
#[derive(Debug)]
pub struct Reloaded {
    /// What may be wise to change in it.
    pub warnings: Vec<Diagnostic>,
}

/// A configuration was not taken: the one before is in force, whole.
#[derive(Debug)]
pub struct NotReloaded {
    /// At least one error, and the warnings.
    pub problems: Vec<Diagnostic>,
    pub because: Because,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// The file is no valid configuration.
    Invalid,
    /// It is, but this gateway cannot take it now: a port is taken, or a key cannot change while it runs.
    Refused,
}

impl Reloader {
    pub fn new(services: Services, gateway: Arc<Gateway>, sockets: Sockets, stop: CancellationToken) -> Self {
        let configuration = &services.metrics.configuration;
        configuration.reload_successful.set(1);
        configuration.reload_seconds.set(seconds(&services));
        Self { services, gateway, sockets, stop, turn: Mutex::default() }
    }

    /// The file that it reads: the one that the gateway was started with.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.services.config.load().file.clone()
    }

    /// Takes the configuration file anew, or says what is wrong with it. The file of events is opened anew in any case, as after a
    /// rotation.
    ///
    /// # Errors
    /// [`NotReloaded`]: nothing was changed.
    pub async fn reload(&self, asked_by: AskedBy) -> Result<Reloaded, NotReloaded> {
        let _turn = self.turn.lock().await;
        notify::reloading();
        let outcome = self.attempt().await;
        self.tell(asked_by, &outcome).await;
        self.reopen_events_file();
        notify::ready();
        outcome
    }

    async fn attempt(&self) -> Result<Reloaded, NotReloaded> {
        loop {
            if let Some(reloaded) = self.attempt_beside(self.services.config.load_full()).await? {
                return Ok(reloaded);
            }
        }
    }

    /// `None`: what was in force has changed meanwhile, as by a rotation of keys, and the file has to be read once more.
    async fn attempt_beside(&self, in_force: Arc<Config>) -> Result<Option<Reloaded>, NotReloaded> {
        let before = Arc::clone(&in_force);
        let services = self.services.clone();
        let stop = self.stop.clone();
        // Files and the name of a mail server's authority: all that waits for a disk is done beside the requests.
        let read = spawn_blocking(move || read(&in_force, &services, stop)).await;
        let read = read.map_err(|_| NotReloaded::refused(vec![self.unread()]))?;
        let Read { belongings, tls, warnings, anchors } = read?;
        self.check(&belongings.config, &anchors).await?;
        let sockets = self.bind(&belongings.config.server).await;
        let sockets = sockets.map_err(|error| NotReloaded::refused(vec![at(&anchors, &error)]))?;
        Ok(self.swap(&before, belongings, tls, sockets).then_some(Reloaded { warnings }))
    }

    /// The reading came to no end.
    fn unread(&self) -> Diagnostic {
        Diagnostic::of_file(&self.file(), "the configuration could not be read; the log says more")
    }

    async fn check(&self, config: &Config, anchors: &Anchors) -> Result<(), NotReloaded> {
        let (message, hint) = match self.services.can_do_with(&config.keys).await {
            Ok(true) => return Ok(()),
            Ok(false) => (
                "the key file no longer holds a key under which something in the store is sealed".to_owned(),
                "put the key's line back; `sekisho key rotate` seals everything under the first key",
            ),
            Err(error) => (format!("it cannot be told whether the keys fit the store: {error}"), "try again"),
        };
        Err(NotReloaded::refused(vec![anchors.error("secrets.key_file", message, Some(hint.to_owned()))]))
    }

    async fn bind(&self, server: &Server) -> Result<Prepared, StartError> {
        let mut tries = TRIES;
        loop {
            match self.sockets.prepare(server) {
                Err(StartError::Bind { source, .. }) if source.kind() == std::io::ErrorKind::AddrInUse && tries > 0 => {
                    tries -= 1;
                    tokio::time::sleep(BETWEEN_TRIES).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Nothing in here waits, and nothing fails once it has begun. False: it was overtaken.
    fn swap(&self, before: &Arc<Config>, belongings: Belongings, tls: tls::Ready, sockets: Prepared) -> bool {
        let Ok(old_file) = self.services.take(before, belongings) else { return false };
        let tls_port = sockets.listeners.tls_port();
        self.sockets.listeners.show(tls);
        self.gateway.redirect_to(tls_port);
        self.sockets.listeners.take_up(sockets.listeners);
        self.sockets.observation.take_up(sockets.observation);
        self.gateway.judge_what_is_open();
        if let Some(file) = old_file {
            // Until its disk has what was handed over.
            spawn_blocking(move || drop(file));
        }
        true
    }

    fn reopen_events_file(&self) {
        if let Some(file) = self.services.events_file() {
            spawn_blocking(move || {
                file.reopen();
                tracing::info!("the audit file was opened again");
            });
        }
    }

    /// To the log, the gauge and the events.
    async fn tell(&self, asked_by: AskedBy, outcome: &Result<Reloaded, NotReloaded>) {
        let configuration = &self.services.metrics.configuration;
        let file = self.file();
        match outcome {
            Ok(Reloaded { warnings }) => {
                configuration.reload_successful.set(1);
                configuration.reload_seconds.set(seconds(&self.services));
                for warning in warnings {
                    tracing::warn!(hint = warning.hint, "{}", warning.line());
                }
                tracing::info!(file = %file.display(), "the configuration was taken");
                self.services.note_reload(asked_by, Ok(())).await;
            }
            Err(NotReloaded { problems, .. }) => {
                configuration.reload_successful.set(0);
                let errors = || problems.iter().filter(|problem| problem.severity == config::Severity::Error);
                for problem in errors() {
                    tracing::error!(hint = problem.hint, "{}", problem.line());
                }
                tracing::error!(file = %file.display(), "the configuration was not taken; the one before stays in force");
                let first = errors().next().map(Diagnostic::line).unwrap_or_default();
                self.services.note_reload(asked_by, Err(&first)).await;
            }
        }
    }
}

impl Sockets {
    fn prepare(&self, server: &Server) -> Result<Prepared, StartError> {
        let listeners = self.listeners.prepare(server, &Given::default())?;
        Ok(Prepared { listeners, observation: self.observation.prepare(server.metrics)? })
    }
}

/// What was read and built, all that can go wrong without touching a socket.
struct Read {
    belongings: Belongings,
    tls: tls::Ready,
    warnings: Vec<Diagnostic>,
    anchors: Anchors,
}

/// Blocks.
fn read(in_force: &Config, services: &Services, stop: CancellationToken) -> Result<Read, NotReloaded> {
    let Loaded { config, mut warnings, anchors } =
        config::load_beside(&in_force.file, in_force).map_err(NotReloaded::from)?;
    // Where a gateway starts, a page that the theme would spoil is shown without it; here there is a theme that works.
    let theme = portal::theme::check(&config.portal);
    let (mut problems, minor): (Vec<_>, Vec<_>) =
        theme.into_iter().partition(|problem| problem.severity == Severity::Error);
    warnings.extend(minor);
    let mut had = |error: StartError| problems.push(at(&anchors, &error));
    let tls = tls::prepare(config.server.certificates(), config.server.client_verifier())
        .map_err(|error| had(error.into()))
        .ok();
    let outbox = config
        .mail
        .as_ref()
        .and_then(|mail| Outbox::open(mail, Arc::clone(&services.clock), stop).map_err(|error| had(error.into())).ok());
    let events_file = config.audit.file.as_deref().filter(|path| Some(*path) != in_force.audit.file.as_deref());
    let events_file = events_file.and_then(|path| open_events(path, services).map_err(had).ok());
    match tls {
        Some(tls) if problems.is_empty() => {
            Ok(Read { belongings: Belongings { config, outbox, events_file }, tls, warnings, anchors })
        }
        _ => Err(NotReloaded::refused(problems)),
    }
}

/// A file that cannot be written now is no reason to stop a gateway that runs, but one not to change to it.
fn open_events(path: &Path, services: &Services) -> Result<AuditFile, StartError> {
    let file = AuditFile::probe(path).and_then(|()| AuditFile::open(path, Arc::clone(&services.clock)));
    file.map_err(|source| StartError::AuditFile { path: path.to_owned(), source })
}

/// The problem, at the key that it comes from.
fn at(anchors: &Anchors, error: &StartError) -> Diagnostic {
    let key = match error {
        StartError::Bind { key, .. } => key,
        StartError::NotPassed { .. } | StartError::NotListening { .. } => "server.listen",
        StartError::Tls(_) => "server.tls",
        StartError::Mail(_) => "mail.smtp",
        StartError::AuditFile { .. } => "audit.file",
        _ => "server",
    };
    anchors.error(key, error.to_string(), error.hint().map(str::to_owned))
}

/// Since 1970.
fn seconds(services: &Services) -> i64 {
    i64::try_from(services.clock.now().secs()).unwrap_or_default()
}

impl From<Unusable> for NotReloaded {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Invalid(problems) => Self { problems, because: Because::Invalid },
            Unusable::Fixed(problems) => Self::refused(problems),
        }
    }
}

impl NotReloaded {
    const fn refused(problems: Vec<Diagnostic>) -> Self {
        Self { problems, because: Because::Refused }
    }
}
