//! How many there are: sessions, device keys, accounts. Counted in the background now and then, never by who asks.

use prometheus::{IntGauge, Registry};

use super::{gauge, gauges, registered};

/// As of the last count.
pub struct Population {
    /// Living ones, as the overview counts them.
    pub sessions: IntGauge,
    /// Keys of browsers that have given a second factor.
    pub devices: IntGauge,
    pub accounts: IntGauge,
    pub locked: IntGauge,
    pub disabled: IntGauge,
    pub enrolled: IntGauge,
    pub unused: IntGauge,
    /// Administrators who can sign in.
    pub admins: IntGauge,
    /// When that was, in seconds since 1970; 0: not yet.
    pub counted_at: IntGauge,
}

impl Population {
    pub(super) fn new(registry: &Registry) -> Self {
        let gauge = |name: &str, help: &str| registered(registry, gauge(name, help));
        let help = "Accounts in some state; one account may be in several.";
        let states = registered(registry, gauges("sekisho_accounts_by_state", help, &["state"]));
        let state = |state: &str| states.with_label_values(&[state]);
        Self {
            sessions: gauge("sekisho_sessions", "Living sessions."),
            devices: gauge("sekisho_devices", "Keys of browsers that have given a second factor."),
            accounts: gauge("sekisho_accounts", "Accounts."),
            locked: state("locked"),
            disabled: state("disabled"),
            enrolled: state("enrolled"),
            unused: state("unused"),
            admins: gauge("sekisho_admins", "Administrators who can sign in."),
            counted_at: gauge(
                "sekisho_population_counted_timestamp_seconds",
                "When sessions, devices and accounts were counted last, since the epoch.",
            ),
        }
    }
}
