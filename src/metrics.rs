//! What is counted, for Prometheus: one registry for each gateway, families as public fields, so that whoever counts names
//! what it counts and nothing is looked up by its text.
//!
//! Names are `sekisho_…` in base units (seconds, bytes), counters end in `_total`; a process' own are `process_…`, as
//! everywhere. No label holds what people or strangers choose: no login, address, path, session. Families with labels are at
//! zero from the start, so that the first of something rare is seen as a rise. `docs/monitoring.md` describes each; a test
//! compares.
//!
//! Some figures are kept elsewhere, in rooms that know nothing of this one. Whoever puts the rooms together gives a function
//! that reads them whenever somebody asks ([`Metrics::also`]).

mod configuration;
mod connections;
mod events;
mod hashing;
mod mails;
mod population;
mod process;
mod reading;
mod requests;
mod upstreams;

use std::sync::{Mutex, PoisonError};

use prometheus::core::{Atomic, Collector, GenericGauge};
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::clock::Timestamp;

pub use configuration::Configuration;
pub use connections::{Connections, Protocol, Tunnel};
pub use events::{Events, Logins};
pub use hashing::Hashing;
pub use mails::{Letters, Mails};
pub use population::Population;
pub use reading::{Reading, Times};
pub use requests::{Outcome, Requests, RouteMeter};
pub use upstreams::{UpstreamFigures, Upstreams};

/// Where figures are read that are kept elsewhere.
type Source = Box<dyn Fn() -> Vec<Reading> + Send + Sync>;

/// Everything that one gateway counts.
pub struct Metrics {
    registry: Registry,
    sources: Mutex<Vec<Source>>,
    pub configuration: Configuration,
    pub requests: Requests,
    pub connections: Connections,
    pub logins: Logins,
    pub events: Events,
    pub mails: Mails,
    pub hashing: Hashing,
    pub population: Population,
    pub upstreams: Upstreams,
}

impl Metrics {
    /// All families, at zero.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        Self {
            sources: Mutex::new(vec![Box::new(build), Box::new(process::readings)]),
            configuration: Configuration::new(&registry),
            requests: Requests::new(&registry),
            connections: Connections::new(&registry),
            logins: Logins::new(&registry),
            events: Events::new(&registry),
            mails: Mails::new(&registry),
            hashing: Hashing::new(&registry),
            population: Population::new(&registry),
            upstreams: Upstreams::new(&registry),
            registry,
        }
    }

    /// From now on these are read, too, whenever somebody asks. It must not wait.
    pub fn also(&self, source: impl Fn() -> Vec<Reading> + Send + Sync + 'static) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(source));
    }

    /// It has begun to count at this time.
    pub fn started(&self, at: Timestamp) {
        let seconds = at.millis() as f64 / 1e3;
        let help = "When the gateway started, since the epoch.";
        self.also(move || vec![Reading::gauge("process_start_time_seconds", help, seconds)]);
    }

    /// The text exposition format, version 0.0.4.
    #[must_use]
    pub fn text(&self) -> String {
        let readings: Vec<Reading> = {
            let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
            sources.iter().flat_map(|read| read()).collect()
        };
        let mut families = self.registry.gather();
        families.extend(reading::families(readings));
        families.sort_by(|one, other| one.name().cmp(other.name()));
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&families, &mut text) {
            tracing::warn!(%error, "the metrics could not be written");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn build() -> Vec<Reading> {
    let build = Reading::gauge("sekisho_build_info", "The version that runs; always 1.", 1.0);
    vec![build.with("version", env!("CARGO_PKG_VERSION"))]
}

/// Something that is counted for as long as it lasts.
#[derive(Debug)]
pub struct Held(prometheus::IntGauge);

impl Held {
    /// One more from now on, until this is dropped.
    #[must_use]
    pub fn new(gauge: &prometheus::IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A gauge. Its name is a constant of this room.
#[expect(clippy::expect_used, reason = "names and helps are constants, each made by a test")]
fn gauge<P: Atomic>(name: &str, help: &str) -> GenericGauge<P> {
    GenericGauge::with_opts(Opts::new(name, help)).expect("a valid name")
}

/// A counter, the same way.
#[expect(clippy::expect_used, reason = "names and helps are constants, each made by a test")]
fn counter(name: &str, help: &str) -> IntCounter {
    IntCounter::new(name, help).expect("a valid name")
}

/// Counters by labels, the same way.
#[expect(clippy::expect_used, reason = "names and helps are constants, each made by a test")]
fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), labels).expect("a valid name")
}

/// Gauges by labels, the same way.
#[expect(clippy::expect_used, reason = "names and helps are constants, each made by a test")]
fn gauges(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    IntGaugeVec::new(Opts::new(name, help), labels).expect("a valid name")
}

/// Durations, the same way; bounds in seconds, rising.
#[expect(clippy::expect_used, reason = "names, helps and bounds are constants, each made by a test")]
fn durations(name: &str, help: &str, bounds: &[f64]) -> Histogram {
    Histogram::with_opts(HistogramOpts::new(name, help).buckets(bounds.to_vec())).expect("a valid name")
}

/// Makes a family known. A name that is already there, or no name at all, is a mistake in this source, which the tests find;
/// a running gateway goes on without the family.
fn registered<C: Collector + Clone + 'static>(registry: &Registry, family: C) -> C {
    if let Err(error) = registry.register(Box::new(family.clone())) {
        tracing::error!(%error, "a metric could not be registered");
    }
    family
}

#[cfg(test)]
mod tests;
