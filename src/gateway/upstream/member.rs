//! One upstream of one route, as it has behaved so far. Outlives a reload that keeps it.
//!
//! ```text
//!          3 failures in a row, and another one is there           3 checks failed (the first one alone, at the beginning)
//!        ┌───────────────────────────────────────▶ ejected        ┌──────────────────────────▶ down
//!   in ──┤                                            │      in ──┤                              │
//!        ◀────────────── 10 s, 20 s, … 5 min ─────────┘           ◀───── 2 checks passed ────────┘
//! ```
//!
//! An upstream can be both; it gets requests while it is neither.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::{UpstreamFigures, Upstreams};

/// Failures in a row after which an upstream is left out for a while.
const FAILURES: u32 = 3;
/// For how long the first time; each further time for twice as long.
const FIRST_EJECTION: Duration = Duration::from_secs(10);
const LONGEST_EJECTION: Duration = Duration::from_secs(300);
/// Health checks in a row that change what is thought of an upstream.
const CHECKS_UP: u32 = 2;
const CHECKS_DOWN: u32 = 3;

/// Bits of [`Member::out`].
const DOWN: u8 = 1;
const EJECTED: u8 = 2;

/// One upstream.
pub struct Member {
    pub route: String,
    /// As the configuration spells it.
    pub upstream: String,
    pub figures: UpstreamFigures,
    /// Why it is left out; zero: it is not. All that a request reads.
    out: AtomicU8,
    /// Requests that failed in a row.
    failures: AtomicU32,
    ejection: Mutex<Ejection>,
    checks: Mutex<Checks>,
    /// The TLS settings under which all this was seen.
    settings: AtomicU64,
}

#[derive(Default)]
struct Ejection {
    until: Option<Instant>,
    /// How often in succession.
    count: u32,
}

#[derive(Default)]
struct Checks {
    passed: u32,
    failed: u32,
}

impl Member {
    fn new(route: &str, upstream: &str, figures: UpstreamFigures, settings: u64) -> Self {
        figures.up.set(1);
        Self {
            route: route.to_owned(),
            upstream: upstream.to_owned(),
            figures,
            out: AtomicU8::new(0),
            failures: AtomicU32::new(0),
            ejection: Mutex::default(),
            checks: Mutex::default(),
            settings: AtomicU64::new(settings),
        }
    }

    /// Whether it gets its share of the requests.
    pub fn is_in(&self) -> bool {
        self.out.load(Ordering::Acquire) == 0
    }

    /// It has answered a request, whatever the answer says.
    pub fn answered(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// A request found no answer here. True: it is one too many in a row.
    pub fn failed(&self) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1) >= FAILURES
    }

    /// Leaves it out for a while. The caller has seen that another one is there.
    pub fn eject(&self, now: Instant) {
        let mut ejection = lock(&self.ejection);
        if self.out.load(Ordering::Acquire) & EJECTED != 0 {
            return;
        }
        // Whoever behaved for as long as the longest ejection begins anew.
        if ejection.until.is_some_and(|until| now >= until + LONGEST_EJECTION) {
            ejection.count = 0;
        }
        let length = FIRST_EJECTION.saturating_mul(1 << ejection.count.min(8)).min(LONGEST_EJECTION);
        ejection.count += 1;
        ejection.until = Some(now + length);
        self.figures.ejections.inc();
        self.leave(EJECTED);
        tracing::warn!(
            route = self.route,
            upstream = self.upstream,
            seconds = length.as_secs(),
            "an upstream is left out for a while: it failed too often in a row"
        );
    }

    /// Lets it in again where its time is over. The first failure after that is one too many.
    pub fn let_in(&self, now: Instant) {
        if self.out.load(Ordering::Acquire) & EJECTED == 0 {
            return;
        }
        let ejection = lock(&self.ejection);
        if ejection.until.is_none_or(|until| now >= until) {
            self.failures.store(FAILURES - 1, Ordering::Relaxed);
            self.enter(EJECTED);
            tracing::info!(route = self.route, upstream = self.upstream, "an upstream is given requests again");
        }
    }

    /// A health check has ended; `failure` says why it did not pass.
    pub fn checked(&self, failure: Option<&str>) {
        let mut checks = lock(&self.checks);
        let is_first = checks.passed == 0 && checks.failed == 0;
        let Some(reason) = failure else {
            checks.failed = 0;
            checks.passed = checks.passed.saturating_add(1);
            if checks.passed >= CHECKS_UP && self.enter(DOWN) {
                tracing::info!(route = self.route, upstream = self.upstream, "an upstream is healthy again");
            }
            return;
        };
        self.figures.check_failures.inc();
        checks.passed = 0;
        checks.failed = checks.failed.saturating_add(1);
        if (is_first || checks.failed >= CHECKS_DOWN) && self.leave(DOWN) {
            tracing::warn!(route = self.route, upstream = self.upstream, reason, "an upstream is not healthy");
        }
    }

    /// Nobody asks after its health any more.
    pub fn is_not_checked(&self) {
        *lock(&self.checks) = Checks::default();
        self.enter(DOWN);
    }

    /// Under other settings what was seen so far says nothing.
    fn settled(&self, settings: u64) {
        if self.settings.swap(settings, Ordering::Relaxed) != settings {
            *lock(&self.ejection) = Ejection::default();
            *lock(&self.checks) = Checks::default();
            self.failures.store(0, Ordering::Relaxed);
            self.enter(DOWN | EJECTED);
        }
    }

    /// True where it was not out for this reason before.
    fn leave(&self, why: u8) -> bool {
        let before = self.out.fetch_or(why, Ordering::AcqRel);
        self.figures.up.set(0);
        before & why == 0
    }

    /// True where it was out for this reason.
    fn enter(&self, why: u8) -> bool {
        let before = self.out.fetch_and(!why, Ordering::AcqRel);
        self.figures.up.set(i64::from(before & !why == 0));
        before & why != 0
    }
}

/// Every upstream of the configuration in force, by route and upstream.
pub struct Members {
    figures: Upstreams,
    known: Mutex<HashMap<(String, String), Arc<Member>>>,
}

impl Members {
    pub fn new(figures: Upstreams) -> Self {
        Self { figures, known: Mutex::default() }
    }

    /// The upstream with what is known of it; `settings` tells TLS settings apart.
    pub fn of(&self, route: &str, upstream: &str, settings: u64) -> Arc<Member> {
        let mut known = lock(&self.known);
        let key = (route.to_owned(), upstream.to_owned());
        let member = known
            .entry(key)
            .or_insert_with(|| Arc::new(Member::new(route, upstream, self.figures.of(route, upstream), settings)));
        member.settled(settings);
        Arc::clone(member)
    }

    /// Forgets all but these.
    pub fn keep<'m>(&self, these: impl Iterator<Item = &'m Arc<Member>>) {
        let these: Vec<_> = these.map(Arc::as_ptr).collect();
        lock(&self.known).retain(|(route, upstream), member| {
            let kept = these.contains(&Arc::as_ptr(member));
            if !kept {
                self.figures.forget(route, upstream);
            }
            kept
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
