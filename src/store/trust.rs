//! How far what was read earlier may be believed, where the store can change without this process: one number for how often the thread of
//! changes was lost, and a moment until which it is held.
//!
//! Whoever remembers something notes the turn before reading it, and asks [`Trust::holds`] before going by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::monotonic_micros;

/// While this long nothing was heard of changes, nothing that was read before is believed.
pub const UNHEARD: Duration = Duration::from_secs(2);

const FOR_EVER: u64 = u64::MAX;

/// Shared by an engine, which sets it, and by whoever remembers what was read from it.
#[derive(Debug)]
pub struct Trust {
    /// Counts how often changes may have been missed. What was read in an earlier turn is worth nothing.
    turn: AtomicU64,
    /// In microseconds of the monotonic clock.
    until: AtomicU64,
}

/// In which turn something was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn(u64);

impl Trust {
    /// Of an engine whose every change goes through this process, or is told by the one that has the store.
    #[must_use]
    pub fn complete() -> Arc<Self> {
        Arc::new(Self { turn: AtomicU64::new(0), until: AtomicU64::new(FOR_EVER) })
    }

    /// Of an engine that has not heard anything yet.
    #[must_use]
    pub fn none_yet() -> Arc<Self> {
        Arc::new(Self { turn: AtomicU64::new(0), until: AtomicU64::new(0) })
    }

    /// To be noted before something is read that is to be remembered.
    #[must_use]
    pub fn turn(&self) -> Turn {
        Turn(self.turn.load(Ordering::Acquire))
    }

    /// Whether what was read in this turn may be gone by now.
    #[must_use]
    pub fn holds(&self, read: Turn) -> bool {
        let until = self.until.load(Ordering::Acquire);
        self.turn() == read && (until == FOR_EVER || monotonic_micros() < until)
    }

    /// Whether anything can be believed that is remembered.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !self.holds(self.turn())
    }

    /// From now on changes are heard, but some were missed.
    pub fn begin_turn(&self) {
        self.turn.fetch_add(1, Ordering::AcqRel);
    }

    /// All that was committed before `heard` (as [`monotonic_micros`] has it) was told: it is believed for so much longer.
    pub fn extend(&self, heard: u64, by: Duration) {
        let by = u64::try_from(by.as_micros()).unwrap_or(FOR_EVER / 2);
        self.until.store(heard.saturating_add(by), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_holds_within_its_turn_and_its_time() {
        let trust = Trust::none_yet();
        let first = trust.turn();
        assert!(!trust.holds(first) && trust.is_over());
        trust.extend(monotonic_micros(), Duration::from_secs(60));
        assert!(trust.holds(first) && !trust.is_over());
        trust.begin_turn();
        assert!(!trust.holds(first) && trust.holds(trust.turn()));
        trust.extend(monotonic_micros().saturating_sub(2_000_000), Duration::from_secs(1));
        assert!(trust.is_over());
        let complete = Trust::complete();
        assert!(complete.holds(complete.turn()));
    }
}
