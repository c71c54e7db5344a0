//! How the upstreams are, by route and upstream.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::{counters, gauges, registered};

const LABELS: &[&str] = &["route", "upstream"];

/// Families over all upstreams.
#[derive(Clone)]
pub struct Upstreams {
    up: IntGaugeVec,
    connect_failures: IntCounterVec,
    retries: IntCounterVec,
    ejections: IntCounterVec,
    check_failures: IntCounterVec,
}

/// The figures of one upstream of one route.
#[derive(Clone)]
pub struct UpstreamFigures {
    /// 1 while it gets its share of the requests; 0 while it is left out.
    pub up: IntGauge,
    /// Connections that could not be made.
    pub connect_failures: IntCounter,
    /// Requests that failed here and were tried once more.
    pub retries: IntCounter,
    pub ejections: IntCounter,
    pub check_failures: IntCounter,
}

impl Upstreams {
    pub(super) fn new(registry: &Registry) -> Self {
        let counter = |name: &str, help: &str| registered(registry, counters(name, help, LABELS));
        Self {
            up: registered(
                registry,
                gauges(
                    "sekisho_upstream_up",
                    "Whether an upstream gets requests: 0 while its health checks fail or it is ejected.",
                    LABELS,
                ),
            ),
            connect_failures: counter(
                "sekisho_upstream_connect_failures_total",
                "Connections to an upstream that could not be made.",
            ),
            retries: counter(
                "sekisho_upstream_retries_total",
                "Requests that failed at an upstream and were tried once more, there or elsewhere.",
            ),
            ejections: counter(
                "sekisho_upstream_ejections_total",
                "How often an upstream was left out for a while after failures in a row.",
            ),
            check_failures: counter("sekisho_upstream_check_failures_total", "Health checks that an upstream failed."),
        }
    }

    /// The figures of this upstream of this route; from now on they are served.
    #[must_use]
    pub fn of(&self, route: &str, upstream: &str) -> UpstreamFigures {
        let labels = &[route, upstream];
        UpstreamFigures {
            up: self.up.with_label_values(labels),
            connect_failures: self.connect_failures.with_label_values(labels),
            retries: self.retries.with_label_values(labels),
            ejections: self.ejections.with_label_values(labels),
            check_failures: self.check_failures.with_label_values(labels),
        }
    }

    /// The upstream is gone from the configuration.
    pub fn forget(&self, route: &str, upstream: &str) {
        let labels = &[route, upstream];
        let _ = self.up.remove_label_values(labels);
        for family in [&self.connect_failures, &self.retries, &self.ejections, &self.check_failures] {
            let _ = family.remove_label_values(labels);
        }
    }
}
