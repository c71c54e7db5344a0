//! Mails: codes, links and notices, and what became of them.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry};

use super::{counters, gauge, registered};

/// All mails.
pub struct Mails {
    pub login_codes: Letters,
    pub address_codes: Letters,
    pub links: Letters,
    pub notices: Letters,
    /// Posted, and neither delivered nor given up.
    pub waiting: IntGauge,
}

/// One kind of mail.
#[derive(Clone)]
pub struct Letters {
    /// The mail server has taken it.
    pub delivered: IntCounter,
    /// It did not, for good or for too long.
    pub failed: IntCounter,
    /// It was never posted: the queue was full, there is no address, or no mail server in the configuration.
    pub refused: IntCounter,
}

impl Mails {
    pub(super) fn new(registry: &Registry) -> Self {
        let help = "Mails by what they are for and what became of them.";
        let total = registered(registry, counters("sekisho_mails_total", help, &["kind", "result"]));
        let waiting = gauge("sekisho_mails_waiting", "Mails that were posted and neither delivered nor given up.");
        Self {
            login_codes: Letters::new(&total, "login_code"),
            address_codes: Letters::new(&total, "address_code"),
            links: Letters::new(&total, "link"),
            notices: Letters::new(&total, "notice"),
            waiting: registered(registry, waiting),
        }
    }
}

impl Letters {
    fn new(total: &IntCounterVec, kind: &str) -> Self {
        let result = |result: &str| total.with_label_values(&[kind, result]);
        Self { delivered: result("delivered"), failed: result("failed"), refused: result("refused") }
    }
}
