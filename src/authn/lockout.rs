//! Failures, and what they lead to (F23): pure counters, which `service` keeps under `throttle/` and commits before it
//! answers.
//!
//! Three counters stop three people:
//!
//! - `max_failures` wrong passwords within `window` lock the account for `duration`. A browser with a valid device key for
//!   the account has a counter of its own, so that somebody who guesses from elsewhere cannot lock the owner out.
//! - `max_in_row` wrong passwords, from wherever, with no right one between them: browsers without a device key for the
//!   account wait for a manager. The same number of wrong codes stops every browser. Time alone heals neither.
//! - Many failures from one address, whatever the accounts, make that address wait.
//!
//! A clock that is set back unlocks nobody. It keeps nobody out for good either: what lies too far ahead is counted from the next
//! try on.
//!
//! What is tried during a lock is not judged, so it is not counted towards the row: otherwise a hundred quick requests would
//! do what five hours of guessing may.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::DeviceId;

/// The settings of `lockout`.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub max_failures: u32,
    pub window: Duration,
    pub duration: Duration,
    pub max_in_row: u32,
}

/// Stands for "until a manager lifts it" where a moment is shown: 9999-01-01T00:00:00Z.
pub const INDEFINITELY: Timestamp = Timestamp::from_secs(253_370_764_800);

/// Wrong codes in one flow after which the clock of the phone may be to blame (F16).
const CLOCK_HINT_AFTER: u32 = 3;

/// Whether to say that the phone's clock may be off.
#[must_use]
pub const fn hints_at_the_clock(wrong_codes: u32) -> bool {
    wrong_codes >= CLOCK_HINT_AFTER
}

/// Wrong passwords within the window, and the lock that they led to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counter {
    /// When each happened; at most `max_failures` of them.
    failures: Vec<Timestamp>,
    locked_until: Option<Timestamp>,
}

/// All that is counted of one account, or of one slot of unknown logins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountThrottle {
    /// Browsers without a device key for the account, all together.
    strangers: Counter,
    /// Each browser with a valid one.
    devices: BTreeMap<DeviceId, Counter>,
    passwords_in_row: u32,
    codes_in_row: u32,
    /// What was tried during a lock, since the last right password.
    unjudged: u64,
}

/// Why no password is judged for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    Until(Timestamp),
    /// Until a manager lifts it.
    InRow,
}

impl AccountThrottle {
    /// Whether a password from this browser is judged at all. `device`: its valid key for the account.
    #[must_use]
    pub fn password_lock(&self, device: Option<DeviceId>, limits: Limits, now: Timestamp) -> Option<Lock> {
        if device.is_none() && self.passwords_in_row >= limits.max_in_row {
            return Some(Lock::InRow);
        }
        let counter = match device {
            Some(device) => self.devices.get(&device),
            None => Some(&self.strangers),
        };
        counter.and_then(|counter| counter.lock(now)).map(Lock::Until)
    }

    /// Counts a wrong password. True: this one has begun a lock.
    pub fn wrong_password(&mut self, device: Option<DeviceId>, limits: Limits, now: Timestamp) -> bool {
        if self.password_lock(device, limits, now).is_some() {
            self.strangers.bound(limits, now);
            self.devices.values_mut().for_each(|counter| counter.bound(limits, now));
            self.unjudged = self.unjudged.saturating_add(1);
            return false;
        }
        self.passwords_in_row = self.passwords_in_row.saturating_add(1);
        self.devices.retain(|_, counter| counter.matters(limits, now));
        let counter = match device {
            Some(device) => self.devices.entry(device).or_default(),
            None => &mut self.strangers,
        };
        let locked = counter.count(limits, now);
        locked || (device.is_none() && self.passwords_in_row >= limits.max_in_row)
    }

    /// Notes that something was tried that could not succeed, so that it costs the same commit.
    pub const fn unjudged(&mut self) {
        self.unjudged = self.unjudged.saturating_add(1);
    }

    /// A right password, given while there was no lock. The strangers' lock stays where a browser with a key gave it.
    pub fn right_password(&mut self, device: Option<DeviceId>) {
        self.passwords_in_row = 0;
        self.unjudged = 0;
        match device {
            Some(device) => drop(self.devices.remove(&device)),
            None => self.strangers = Counter::default(),
        }
    }

    /// Counts a wrong code.
    pub const fn wrong_code(&mut self) {
        self.codes_in_row = self.codes_in_row.saturating_add(1);
    }

    /// A right code: the row of wrong ones ends.
    pub const fn right_code(&mut self) {
        self.codes_in_row = 0;
    }

    /// Whether codes of this account are no longer judged.
    #[must_use]
    pub const fn codes_are_locked(&self, limits: Limits) -> bool {
        self.codes_in_row >= limits.max_in_row
    }

    /// A manager has set a new password: the count of wrong ones begins anew, that of codes stays.
    #[must_use]
    pub fn without_passwords(self) -> Self {
        Self { codes_in_row: self.codes_in_row, ..Self::default() }
    }

    /// Until when strangers are locked out, as it is shown to managers. [`INDEFINITELY`]: until a manager lifts it.
    #[must_use]
    pub fn locked_until(&self, limits: Limits, now: Timestamp) -> Option<Timestamp> {
        if self.codes_are_locked(limits) {
            return Some(INDEFINITELY);
        }
        self.password_lock(None, limits, now).map(|lock| match lock {
            Lock::Until(moment) => moment,
            Lock::InRow => INDEFINITELY,
        })
    }
}

impl Counter {
    /// A lock ends no later than one that begins now: it may have begun before the clock was set back.
    fn bound(&mut self, limits: Limits, now: Timestamp) {
        self.locked_until = self.locked_until.map(|until| until.min(now.plus(limits.duration)));
    }

    fn lock(&self, now: Timestamp) -> Option<Timestamp> {
        self.locked_until.filter(|until| now < *until)
    }

    fn count(&mut self, limits: Limits, now: Timestamp) -> bool {
        self.locked_until = None;
        self.failures.retain(|at| now.since(*at) < limits.window);
        self.failures.push(now);
        let reached = u32::try_from(self.failures.len()).unwrap_or(u32::MAX) >= limits.max_failures;
        if reached {
            self.failures.clear();
            self.locked_until = Some(now.plus(limits.duration));
        }
        reached
    }

    fn matters(&self, limits: Limits, now: Timestamp) -> bool {
        self.lock(now).is_some() || self.failures.iter().any(|at| now.since(*at) < limits.window)
    }
}

/// Failures from one address, over all accounts, in windows that follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressThrottle {
    since: Timestamp,
    until: Timestamp,
    failures: u32,
}

impl AddressThrottle {
    /// The count after one more failure, of which `before` is what was counted so far.
    #[must_use]
    pub fn count(before: Option<Self>, window: Duration, now: Timestamp) -> Self {
        match before.map(|before| before.as_of(now)) {
            Some(same) if now < same.until => Self { failures: same.failures.saturating_add(1), ..same },
            _ => Self { since: now, until: now.plus(window), failures: 1 },
        }
    }

    /// For how long this address has to wait, if it has to.
    #[must_use]
    pub fn wait(&self, max_failures: u32, now: Timestamp) -> Option<Duration> {
        let until = self.as_of(now).until;
        (now < until && self.failures >= max_failures).then(|| until.since(now))
    }

    /// The same count. Where its window has yet to begin, as the clock was set back, it begins now.
    #[must_use]
    pub fn as_of(&self, now: Timestamp) -> Self {
        let since = self.since.min(now);
        Self { since, until: since.plus(self.until.since(self.since)), failures: self.failures }
    }

    /// Whether it was counted before the clock was set back, so that it has to be written down anew: nothing else would end it.
    #[must_use]
    pub fn is_of_another_time(&self, now: Timestamp) -> bool {
        self.since.is_ahead_of(now)
    }

    /// When it may be forgotten.
    #[must_use]
    pub const fn over_at(&self) -> Timestamp {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        max_failures: 5,
        window: Duration::from_secs(900),
        duration: Duration::from_secs(900),
        max_in_row: 100,
    };
    const START: Timestamp = Timestamp::from_secs(1_000_000);

    fn at(secs: u64) -> Timestamp {
        START.plus(Duration::from_secs(secs))
    }

    fn device() -> Option<DeviceId> {
        Some(DeviceId::from_bytes([1; 10]))
    }

    #[test]
    fn the_fifth_wrong_password_within_the_window_locks_for_the_duration() {
        let mut throttle = AccountThrottle::default();
        for n in 0..4 {
            assert!(!throttle.wrong_password(None, LIMITS, at(n)));
            assert_eq!(throttle.password_lock(None, LIMITS, at(n)), None);
        }
        assert!(throttle.wrong_password(None, LIMITS, at(4)));
        assert_eq!(throttle.password_lock(None, LIMITS, at(903)), Some(Lock::Until(at(904))));
        assert_eq!(throttle.password_lock(None, LIMITS, at(904)), None);
    }

    #[test]
    fn failures_older_than_the_window_do_not_lock() {
        let mut throttle = AccountThrottle::default();
        for n in 0..20 {
            assert!(!throttle.wrong_password(None, LIMITS, at(n * 225)));
        }
    }

    #[test]
    fn a_right_password_begins_the_count_anew() {
        let mut throttle = AccountThrottle::default();
        (0..4).for_each(|n| {
            throttle.wrong_password(None, LIMITS, at(n));
        });
        throttle.right_password(None);
        assert_eq!(throttle, AccountThrottle::default());
    }

    #[test]
    fn guessing_from_elsewhere_does_not_lock_out_a_browser_with_a_key() {
        let mut throttle = AccountThrottle::default();
        (0..5).for_each(|n| {
            throttle.wrong_password(None, LIMITS, at(n));
        });
        assert!(throttle.password_lock(None, LIMITS, at(6)).is_some());
        assert_eq!(throttle.password_lock(device(), LIMITS, at(6)), None);
        // And it has a lock of its own.
        (0..5).for_each(|n| {
            throttle.wrong_password(device(), LIMITS, at(6 + n));
        });
        assert!(throttle.password_lock(device(), LIMITS, at(11)).is_some());
        // Its right password leaves the strangers' lock alone.
        throttle.right_password(device());
        assert_eq!(throttle.password_lock(device(), LIMITS, at(11)), None);
        assert!(throttle.password_lock(None, LIMITS, at(11)).is_some());
    }

    #[test]
    fn after_a_hundred_in_a_row_time_alone_does_not_help_strangers() {
        let mut throttle = AccountThrottle::default();
        let mut now = START;
        for _ in 0..100 {
            throttle.wrong_password(None, LIMITS, now);
            now = now.plus(Duration::from_secs(901));
        }
        let much_later = now.plus(Duration::from_secs(1_000_000));
        assert_eq!(throttle.password_lock(None, LIMITS, much_later), Some(Lock::InRow));
        assert_eq!(throttle.password_lock(device(), LIMITS, much_later), None);
    }

    #[test]
    fn failures_of_browsers_with_a_key_add_to_the_hundred() {
        let mut throttle = AccountThrottle::default();
        let mut now = START;
        for _ in 0..100 {
            throttle.wrong_password(device(), LIMITS, now);
            now = now.plus(Duration::from_secs(901));
        }
        assert_eq!(throttle.password_lock(None, LIMITS, now), Some(Lock::InRow));
    }

    #[test]
    fn what_is_tried_during_a_lock_is_not_counted_towards_the_row() {
        let mut throttle = AccountThrottle::default();
        (0..1000).for_each(|_| {
            throttle.wrong_password(None, LIMITS, START);
        });
        assert_eq!(throttle.password_lock(None, LIMITS, at(901)), None);
    }

    #[test]
    fn only_a_right_code_ends_the_row_of_wrong_ones() {
        let mut throttle = AccountThrottle::default();
        (0..99).for_each(|_| throttle.wrong_code());
        throttle.right_password(None);
        assert!(!throttle.codes_are_locked(LIMITS));
        throttle.wrong_code();
        assert!(throttle.codes_are_locked(LIMITS));
        assert!(throttle.locked_until(LIMITS, START).is_some());
        throttle.right_code();
        assert!(!throttle.codes_are_locked(LIMITS));
    }

    #[test]
    fn a_clock_that_was_set_back_unlocks_nobody_and_locks_nobody_out_for_good() {
        let year = Duration::from_secs(365 * 24 * 3600);
        let ahead = START.plus(year);
        let mut throttle = AccountThrottle::default();
        for who in [None, device()].repeat(5) {
            throttle.wrong_password(who, LIMITS, ahead);
        }
        for who in [None, device()] {
            assert!(throttle.password_lock(who, LIMITS, START).is_some());
            throttle.wrong_password(who, LIMITS, START);
            assert_eq!(throttle.password_lock(who, LIMITS, at(899)), Some(Lock::Until(at(900))));
            assert_eq!(throttle.password_lock(who, LIMITS, at(900)), None);
            // More tries do not make it longer.
            throttle.wrong_password(who, LIMITS, at(500));
            assert_eq!(throttle.password_lock(who, LIMITS, at(900)), None);
        }

        let window = Duration::from_secs(900);
        let throttle = (0..200).fold(None, |before, _| Some(AddressThrottle::count(before, window, ahead))).unwrap();
        assert_eq!(throttle.wait(200, START), Some(window));
        assert!(throttle.is_of_another_time(START));
        let anew = throttle.as_of(START);
        assert!(!anew.is_of_another_time(START));
        assert_eq!((anew.wait(200, at(899)), anew.wait(200, at(900))), (Some(Duration::from_secs(1)), None));
        assert_eq!(AddressThrottle::count(Some(throttle), window, START).wait(201, START), Some(window));
    }

    #[test]
    fn an_address_waits_until_its_window_is_over() {
        let window = Duration::from_secs(900);
        let mut throttle = None;
        for n in 0..200 {
            throttle = Some(AddressThrottle::count(throttle, window, at(n)));
        }
        let throttle = throttle.unwrap();
        assert_eq!(throttle.wait(200, at(200)), Some(Duration::from_secs(700)));
        assert_eq!(throttle.wait(201, at(200)), None);
        assert_eq!(throttle.wait(200, at(900)), None);
        assert_eq!(AddressThrottle::count(Some(throttle), window, at(900)).wait(2, at(900)), None);
    }
}
