//! What has happened to accounts: every kept event by its kind, logins and lockouts apart, as they are what one looks for.

use prometheus::{IntCounter, IntCounterVec, Registry};

use super::{counter, counters, registered};

/// Logins.
pub struct Logins {
    pub succeeded: IntCounter,
    /// A login that nobody has, a wrong password, an account that is locked or disabled.
    pub failed: IntCounter,
    /// Told to wait before anything was looked at: too many failures from one address.
    pub throttled: IntCounter,
    pub lockouts: IntCounter,
}

/// Events by kind and result, whose names are the service's.
pub struct Events(IntCounterVec);

impl Logins {
    pub(super) fn new(registry: &Registry) -> Self {
        let logins = counters(
            "sekisho_logins_total",
            "Logins by how they ended; a wrong second factor is an event of its own.",
            &["result"],
        );
        let logins = registered(registry, logins);
        let lockouts = counter("sekisho_lockouts_total", "Accounts that were locked after too many failures.");
        Self {
            succeeded: logins.with_label_values(&["success"]),
            failed: logins.with_label_values(&["failure"]),
            throttled: logins.with_label_values(&["throttled"]),
            lockouts: registered(registry, lockouts),
        }
    }
}

impl Events {
    pub(super) fn new(registry: &Registry) -> Self {
        let help = "Audit events that were kept, by kind and result.";
        Self(registered(registry, counters("sekisho_audit_events_total", help, &["event", "result"])))
    }

    /// The counter of events of this kind with this result; kept, as this looks it up.
    #[must_use]
    pub fn of(&self, kind: &'static str, result: &'static str) -> IntCounter {
        self.0.with_label_values(&[kind, result])
    }
}
