//! `sekisho serve`: the gateway, until it is asked to stop.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::backend::{open_for_gateway, store_failure};
use super::log_lines::Named;
use super::{ConfigFile, Failure};
use crate::clock::SystemClock;
use crate::config::LogFormat;
use crate::server::{self, notify};
use crate::service::Services;

pub fn run(file: &ConfigFile) -> Result<(), Failure> {
    let config = super::load(file)?;
    log_to_stderr(config.log.format, "info");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.server.workers)
        .thread_name("sekisho")
        .enable_all()
        .build()
        .map_err(|error| Failure::of("cannot start", &error))?;
    runtime.block_on(async {
        let mut stop = StopSignals::new()?;
        // By itself it would end the process, and a rotation of logs may send it at any moment.
        let mut hangup = listen(SignalKind::hangup())?;
        let store = open_for_gateway(&config).await.map_err(|error| store_failure(&error, &config))?;
        let running = server::start(config, store, Arc::new(SystemClock)).await.map_err(|error| not_started(&error))?;
        notify::ready();
        loop {
            tokio::select! {
                () = stop.next() => break,
                _ = hangup.recv() => reopen(running.services()),
            }
        }
        notify::stopping(running.services().config.load().server.shutdown_grace);
        tokio::select! {
            () = running.stop() => (),
            () = stop.next() => return Err(Failure::because("stopped at once by a second signal")),
        }
        Ok(())
    })
}

/// After a rotation of logs.
fn reopen(services: &Services) {
    let services = services.clone();
    // Waits for the disk.
    tokio::task::spawn_blocking(move || {
        if let Some(file) = services.events_file() {
            file.reopen();
            tracing::info!("the audit file was opened again");
        }
    });
}

fn not_started(error: &server::StartError) -> Failure {
    let failure = Failure::from_error(error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Whose finer lines show whole heads of requests, cookies and all: they say no more than warnings, whatever is asked for.
const QUIET: [&str; 4] = ["pingora_core", "pingora_proxy", "pingora_pool", "h2"];

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
    let filter = QUIET.iter().fold(filter, |filter, target| match format!("{target}=warn").parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let _ = match format {
        LogFormat::Json => builder.json().map_event_format(|inner| Named { inner, format }).try_init(),
        LogFormat::Text => {
            let ansi = io::IsTerminal::is_terminal(&io::stderr());
            builder.with_ansi(ansi).map_event_format(|inner| Named { inner, format }).try_init()
        }
    };
    if let Some(text) = wrong {
        tracing::warn!(SEKISHO_LOG = text, "not a log filter; using the default");
    }
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::of("cannot listen for signals", &error))
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
