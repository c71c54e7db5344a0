//! What an engine counts of itself: plain numbers, which whoever wants to show them reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::engine::{Outcome, StoreError};

/// Upper bounds of durations, in milliseconds: a fast disk syncs within two, a bad one within some hundred.
const BOUNDS_MS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

/// Counters, for as long as the engine is open.
#[derive(Debug, Default)]
pub struct Figures {
    pub commits: Durations,
    pub syncs: Durations,
    pub conflicts: AtomicU64,
    pub failed_reads: AtomicU64,
    pub failed_commits: AtomicU64,
    pub reopened: AtomicU64,
    /// Commits that were asked for and not answered yet.
    waiting: AtomicU64,
}

/// The figures at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// From asking for a commit to its answer, those that were made.
    pub commits: Spread,
    /// One for all commits that waited at that moment.
    pub syncs: Spread,
    /// Commits whose compares did not hold: somebody came in between.
    pub conflicts: u64,
    pub failed_reads: u64,
    pub failed_commits: u64,
    pub reopened: u64,
    pub waiting: u64,
    /// Whether it takes reads now: false while it is being opened again.
    pub open: bool,
    /// Bytes of its files.
    pub size: Option<u64>,
    /// Bytes that could still be written.
    pub free: Option<u64>,
}

/// How often something took how long.
#[derive(Debug, Clone, Default)]
pub struct Spread {
    /// Upper bounds in seconds, and how often it was within this one and not the one before.
    pub counts: Vec<(f64, u64)>,
    pub count: u64,
    /// In seconds.
    pub sum: f64,
}

/// Durations by their length.
#[derive(Debug, Default)]
pub struct Durations {
    /// One for each bound, and one for what was longer.
    counts: [AtomicU64; BOUNDS_MS.len() + 1],
    nanos: AtomicU64,
}

/// A commit that is waited for, until it is dropped.
pub struct Waiting<'f> {
    figures: &'f Figures,
    began: Instant,
}

impl Figures {
    /// A commit is asked for.
    pub fn begin(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting { figures: self, began: Instant::now() }
    }

    /// What was counted so far; what an engine knows beside is left open.
    pub fn snapshot(&self) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            commits: self.commits.spread(),
            syncs: self.syncs.spread(),
            conflicts: read(&self.conflicts),
            failed_reads: read(&self.failed_reads),
            failed_commits: read(&self.failed_commits),
            reopened: read(&self.reopened),
            waiting: read(&self.waiting),
            ..Snapshot::default()
        }
    }
}

impl Waiting<'_> {
    /// It was answered like this.
    pub fn answered(self, answer: &Result<Outcome, StoreError>) {
        let figures = self.figures;
        match answer {
            Ok(Outcome::Committed(_)) => figures.commits.note(self.began.elapsed()),
            Ok(Outcome::Conflict) => _ = figures.conflicts.fetch_add(1, Ordering::Relaxed),
            Err(_) => _ = figures.failed_commits.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.figures.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Durations {
    pub fn note(&self, took: Duration) {
        let place = BOUNDS_MS.iter().position(|bound| took <= Duration::from_millis(*bound)).unwrap_or(BOUNDS_MS.len());
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn spread(&self) -> Spread {
        let bounds = BOUNDS_MS.iter().map(|bound| *bound as f64 / 1e3);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<_>>();
        Spread {
            count: counts.iter().sum(),
            sum: self.nanos.load(Ordering::Relaxed) as f64 / 1e9,
            counts: bounds.zip(counts).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_within_its_bound_and_longer_ones_in_all_alone() {
        let durations = Durations::default();
        for millis in [1, 2, 3, 6000] {
            durations.note(Duration::from_millis(millis));
        }
        let spread = durations.spread();
        assert_eq!(spread.counts[..3], [(0.001, 1), (0.002, 1), (0.005, 1)]);
        assert_eq!((spread.count, spread.sum), (4, 6.006));
    }

    #[test]
    fn what_waits_is_counted_until_it_is_given_up() {
        let figures = Figures::default();
        let waiting = figures.begin();
        assert_eq!(figures.snapshot().waiting, 1);
        drop(waiting);
        assert_eq!(figures.snapshot().waiting, 0);
    }
}
