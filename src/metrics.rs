//! What is counted, for Prometheus: one registry for each gateway, families as public fields, so that whoever counts names
//! what it counts and nothing is looked up by its text.
//!
//! Names are `sekisho_…` in base units (seconds, bytes), counters end in `_total`. No label holds what people or strangers
//! choose: no login, address, path, session.

mod configuration;

use prometheus::core::{Atomic, Collector, GenericGauge};
use prometheus::{Encoder, Opts, Registry, TextEncoder};

pub use configuration::Configuration;

/// Everything that one gateway counts.
pub struct Metrics {
    registry: Registry,
    pub configuration: Configuration,
}

impl Metrics {
    /// All families, at zero.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        Self { configuration: Configuration::new(&registry), registry }
    }

    /// The text exposition format, version 0.0.4.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
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

/// A gauge. Its name is a constant of this room.
#[expect(clippy::expect_used, reason = "names and helps are constants, each made by a test")]
fn gauge<P: Atomic>(name: &str, help: &str) -> GenericGauge<P> {
    GenericGauge::with_opts(Opts::new(name, help)).expect("a valid name")
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
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_served_as_text() {
        let metrics = Metrics::new();
        metrics.configuration.reload_successful.set(1);
        assert!(metrics.text().contains("\nsekisho_config_last_reload_successful 1\n"), "{}", metrics.text());
    }
}
