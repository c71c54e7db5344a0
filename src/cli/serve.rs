//! `sekisho serve`: the gateway, until it is asked to stop, or another process has followed it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use futures_util::future::BoxFuture;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::backend::{open_for_gateway, open_store, store_failure};
use super::log_lines::Named;
use super::{ConfigFile, Failure, Status, output};
use crate::clock::SystemClock;
use crate::config::{self, Config, LogFormat, diagnostic};
use crate::portal;
use crate::server::reload::Reloader;
use crate::server::takeover::{self, End, Inheritance, Knock, Launch, Successor};
use crate::server::{self, Beginning, Following, Prepared, Running, StartError, notify};
use crate::service::reload::AskedBy;
use crate::store::engine::StoreError;
use crate::store::record::Store;

/// How often a successor tries to open the store, and after what time: what its predecessor was just reading from it may still
/// hold it for a moment.
const TRIES: u32 = 50;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
pub struct ServeCommand {
    #[command(flatten)]
    config: ConfigFile,
    /// Follow the gateway that started this process; `sekisho upgrade` has it do so
    #[arg(long, value_enum, hide = true)]
    successor: Option<Stage>,
}

/// A successor is started by a process in between.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Stage {
    Launch,
    TakeOver,
}

pub fn run(command: &ServeCommand) -> Result<(), Failure> {
    // A reload reads it again, and compares paths that the file gives relative to its own.
    let file = &ConfigFile { config: super::absolute(&command.config.config)? };
    match command.successor {
        None => afresh(file),
        Some(Stage::Launch) => {
            takeover::launch(&file.config).map_err(|error| Failure::of("cannot start the new process", &error))
        }
        Some(Stage::TakeOver) => follow(file),
    }
}

fn afresh(file: &ConfigFile) -> Result<(), Failure> {
    // The first thing that is done: what systemd passes is told apart by its number.
    let passed = server::passed();
    let config = super::load(file)?;
    log_to_stderr(config.log.format, "info");
    complain_of_theme(&config);
    let passed = passed.map_err(|error| not_started(&error))?;
    runtime(&config)?.block_on(async {
        let signals = Signals::new()?;
        let following = following(file, &config)?;
        let store = open_for_gateway(&config).await.map_err(|error| store_failure(&error, &config))?;
        let beginning = Beginning::afresh(&config, &passed).map_err(|error| not_started(&error))?;
        let beginning = Beginning { following: Some(following), ..beginning };
        let running = server::start_with(config, store, Arc::new(SystemClock), beginning);
        let running = running.await.map_err(|error| not_started(&error))?;
        serve(running, signals).await
    })
}

/// Pages that it would spoil are shown without it, so that it stops nobody from serving.
fn complain_of_theme(config: &Config) {
    output::complain(&diagnostic::render(&portal::theme::check(&config.portal)));
}

/// The predecessor is told of whatever goes wrong, and serves on.
fn follow(file: &ConfigFile) -> Result<(), Failure> {
    let knock = Knock::on_stdin().map_err(|error| Failure::of("there is no gateway to follow", &error))?;
    let config = match config::load(&file.config) {
        Ok(loaded) => loaded.config,
        Err(problems) => {
            output::complain(&diagnostic::render(&problems));
            knock.invalid(problems);
            return Err(Failure::silent(Status::Configuration));
        }
    };
    log_to_stderr(config.log.format, "info");
    complain_of_theme(&config);
    runtime(&config)?.block_on(async {
        let mut signals = Signals::new()?;
        let successor = knock.enter().map_err(|error| Failure::of("there is no gateway to follow", &error))?;
        let running = tokio::select! {
            running = take_over(successor, config, file) => running?,
            () = signals.stop.next() => return Err(Failure::because("stopped before it had followed the gateway that runs")),
        };
        serve(running, signals).await
    })
}

async fn take_over(mut successor: Successor, config: Config, file: &ConfigFile) -> Result<Running, Failure> {
    let Inheritance { sockets, metrics, control } = match successor.inherit(&config).await {
        Ok(inheritance) => inheritance,
        Err(error) => {
            let failure = Failure::from_error(&error);
            successor.refuse(error.to_string(), error.hint().map(str::to_owned)).await;
            return Err(failure);
        }
    };
    let sockets = match Prepared::all(&config.server, &sockets) {
        Ok(sockets) => sockets,
        Err(error) => return Err(refused(successor, &error).await),
    };
    let following = following(file, &config)?;
    successor.prepared().await.map_err(|error| Failure::from_error(&error))?;
    let store = match own_store(&config).await {
        Ok(store) => store,
        Err(error) => {
            successor.refuse(error.to_string(), None).await;
            return Err(store_failure(&error, &config));
        }
    };
    let given = control.as_ref().map(|(_, path)| path.clone());
    let beginning = Beginning { sockets, metrics, control, following: Some(following) };
    let running = match server::start_with(config, store, Arc::new(SystemClock), beginning).await {
        Ok(running) => running,
        Err(error) => return Err(refused(successor, &error).await),
    };
    match successor.serving(running.has_control_of(given.as_ref())).await {
        Ok(stream) => running.serve_predecessor(stream),
        // The store is ours, and nobody else is there.
        Err(error) => tracing::warn!(%error, "the gateway that was followed is gone before its time"),
    }
    Ok(running)
}

async fn refused(successor: Successor, error: &StartError) -> Failure {
    successor.refuse(error.to_string(), error.hint().map(str::to_owned)).await;
    not_started(error)
}

async fn own_store(config: &Config) -> Result<Store, StoreError> {
    let mut tries = TRIES;
    loop {
        match open_store(config, false).await {
            Err(StoreError::Locked(_)) if tries > 0 => {
                tries -= 1;
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
            result => return result,
        }
    }
}

/// How this process can be followed in its turn.
fn following(file: &ConfigFile, config: &Config) -> Result<Following, Failure> {
    let launch = Launch::of_this_process(&file.config).map_err(|error| Failure::of("cannot start", &error))?;
    let config = config.clone();
    let reopen = move || -> BoxFuture<'static, _> {
        let config = config.clone();
        Box::pin(async move { open_store(&config, false).await })
    };
    Ok(Following { launch, reopen: Arc::new(reopen) })
}

fn runtime(config: &Config) -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.server.workers)
        .thread_name("sekisho")
        .enable_all()
        .build()
        .map_err(|error| Failure::of("cannot start", &error))
}

/// Until the process ends.
async fn serve(running: Running, mut signals: Signals) -> Result<(), Failure> {
    notify::ready();
    let end = loop {
        tokio::select! {
            () = signals.stop.next() => break None,
            end = running.ended() => break Some(end),
            _ = signals.hangup.recv() => reload(Arc::clone(running.reloader())),
        }
    };
    match end {
        Some(End::Succeeded { broken }) => {
            running.finish(broken, signals.stop.next()).await;
            Ok(())
        }
        end => {
            notify::stopping(running.services().config.load().server.shutdown_grace);
            tokio::select! {
                () = running.stop() => (),
                () = signals.stop.next() => return Err(Failure::because("stopped at once by a second signal")),
            }
            match end {
                None => Ok(()),
                Some(_) => Err(Failure::because("the store was lost at an upgrade").hint("start the gateway again")),
            }
        }
    }
}

/// What is wrong with the file, if anything is, stands in the log then.
fn reload(reloader: Arc<Reloader>) {
    tokio::spawn(async move { reloader.reload(AskedBy::Signal).await.is_ok() });
}

fn not_started(error: &server::StartError) -> Failure {
    let failure = Failure::from_error(error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Whose finer lines show whole heads of requests, cookies and all: they say no more than this, whatever is asked for. h2 would
/// write a warning for each of certain frames, and Pingora an error for each connection that breaks off before its first frame: as
/// many as a client cares for.
const QUIET: [(&str, LevelFilter); 5] = [
    ("pingora_core", LevelFilter::WARN),
    ("pingora_core::apps", LevelFilter::OFF),
    ("pingora_proxy", LevelFilter::WARN),
    ("pingora_pool", LevelFilter::WARN),
    ("h2", LevelFilter::ERROR),
];

/// Logs of this process, and of Pingora through `log`. `SEKISHO_LOG` takes a filter such as `debug` or `sekisho=trace`.
pub fn log_to_stderr(format: LogFormat, default: &str) {
    // A filter that cannot be read must not stop the gateway: it says so and takes the default.
    let (filter, wrong) = match std::env::var("SEKISHO_LOG") {
        Ok(text) if !text.is_empty() => match EnvFilter::try_new(&text) {
            Ok(filter) => (filter, None),
            Err(_) => (EnvFilter::new(default), Some(text)),
        },
        _ => (EnvFilter::new(default), None),
    };
    // Beside the filter that was asked for and not in it: there, whatever names a part of such a crate would have its way.
    let most = filter.max_level_hint().unwrap_or(LevelFilter::TRACE);
    let quiet = Targets::new().with_default(most).with_targets(QUIET);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let _ = match format {
        LogFormat::Json => {
            builder.json().map_event_format(|inner| Named { inner, format }).finish().with(quiet).try_init()
        }
        LogFormat::Text => {
            let ansi = io::IsTerminal::is_terminal(&io::stderr());
            builder.with_ansi(ansi).map_event_format(|inner| Named { inner, format }).finish().with(quiet).try_init()
        }
    };
    if let Some(text) = wrong {
        tracing::warn!(SEKISHO_LOG = text, "not a log filter; using the default");
    }
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::of("cannot listen for signals", &error))
}

/// What this process is told from outside.
struct Signals {
    stop: StopSignals,
    /// By itself it would end the process, and a rotation of logs may send it at any moment.
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        Ok(Self { stop: StopSignals::new()?, hangup: listen(SignalKind::hangup())? })
    }
}

/// SIGTERM and SIGINT, in the order in which they come.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// From now on they no longer end the process by themselves.
    pub fn new() -> Result<Self, Failure> {
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Returns when the next one comes.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }
}
