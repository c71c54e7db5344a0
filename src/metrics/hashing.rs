//! The threads that hash passwords: what waits for them, how long one takes, who was told to come again.

use prometheus::{Histogram, IntCounter, IntGauge, Registry};

use super::{counter, durations, gauge, registered};

/// In seconds: one hash at the default cost takes some 20 ms alone, and more where all cores are busy.
const BOUNDS: [f64; 10] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];

/// The pool of threads.
#[derive(Clone)]
pub struct Hashing {
    pub waiting: IntGauge,
    pub threads: IntGauge,
    pub busy: IntGauge,
    /// The queue was full.
    pub rejected: IntCounter,
    pub duration: Histogram,
}

impl Hashing {
    pub(super) fn new(registry: &Registry) -> Self {
        let gauge = |name: &str, help: &str| registered(registry, gauge(name, help));
        let rejected =
            counter("sekisho_hash_rejected_total", "Passwords that were not hashed because too many waited.");
        let duration = durations("sekisho_hash_duration_seconds", "How long one password took on its thread.", &BOUNDS);
        Self {
            waiting: gauge("sekisho_hash_waiting", "Passwords that wait for a thread."),
            threads: gauge("sekisho_hash_threads", "Threads that hash passwords."),
            busy: gauge("sekisho_hash_threads_busy", "Threads that hash a password at this moment."),
            rejected: registered(registry, rejected),
            duration: registered(registry, duration),
        }
    }
}
