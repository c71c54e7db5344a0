//! How often an account is sent a code or a link (F9): a pure count, kept under `throttle/` apart from the failures. Nothing but
//! time lowers it: no right password, right code or unlock is a way to have more mails sent.
//!
//! Whoever knows a password can begin as many logins as they like, and each wants its code. So the count is the account's:
//!
//! - between two mails lies `resend_after`;
//! - beyond a handful within an hour, each wait is twice the one before;
//! - and within a day there are so many, not more.
//!
//! A browser with a device key for the account has a count of its own, so that somebody who asks for codes from elsewhere
//! cannot keep the owner's from being sent.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::DeviceId;

/// Mails within [`HOUR`] that wait for `resend_after` alone: a first one, and somebody who tries it again and again.
const AT_EASE: usize = 5;
/// The first wait beyond these, where `resend_after` is not longer still.
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Mails within [`DAY`]: more than any re-check interval that people bear needs.
const PER_DAY: usize = 40;

/// The mails of one kind that an account was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MailThrottle {
    /// Asked for by browsers without a device key for the account, all together.
    strangers: Count,
    /// By each browser with a valid one.
    devices: BTreeMap<DeviceId, Count>,
}

/// When each was sent, oldest first; none that is older than a day, so [`PER_DAY`] at most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Count(Vec<Timestamp>);

impl MailThrottle {
    /// For how long this browser has to wait for the next mail; zero: not any more. `device`: its valid key for the account.
    #[must_use]
    pub fn wait(&self, device: Option<DeviceId>, resend_after: Duration, now: Timestamp) -> Duration {
        let count = match device {
            Some(device) => self.devices.get(&device),
            None => Some(&self.strangers),
        };
        count.map(|count| count.wait(resend_after, now)).unwrap_or_default()
    }

    /// The count after one more mail.
    #[must_use]
    pub fn sent(mut self, device: Option<DeviceId>, now: Timestamp) -> Self {
        self.strangers.forget(now);
        self.devices.values_mut().for_each(|count| count.forget(now));
        self.devices.retain(|_, count| !count.0.is_empty());
        let count = match device {
            Some(device) => self.devices.entry(device).or_default(),
            None => &mut self.strangers,
        };
        count.0.push(now);
        count.0.sort_unstable();
        self
    }

    /// When it may be forgotten as a whole.
    #[must_use]
    pub fn over_at(&self) -> Timestamp {
        let newest = self.devices.values().chain([&self.strangers]).filter_map(|count| count.0.last()).max();
        newest.map_or(Timestamp::from_secs(0), |newest| newest.plus(DAY))
    }
}

impl Count {
    fn wait(&self, resend_after: Duration, now: Timestamp) -> Duration {
        let counts = |within: Duration| self.0.iter().copied().filter(move |at| matters(*at, within, now));
        let Some(newest) = counts(DAY).max() else { return Duration::ZERO };
        let beyond = counts(HOUR).count().checked_sub(AT_EASE).and_then(|beyond| u32::try_from(beyond).ok());
        let pause = match beyond {
            None => resend_after,
            Some(beyond) => resend_after.max(MINUTE).saturating_mul(2_u32.saturating_pow(beyond)).min(HOUR),
        };
        let today = counts(DAY).count();
        // The one that has to be a day old before there may be another.
        let leaves = today.checked_sub(PER_DAY).and_then(|skip| counts(DAY).nth(skip)).map(|at| at.plus(DAY));
        newest.plus(pause).max(leaves.unwrap_or(newest)).since(now)
    }

    fn forget(&mut self, now: Timestamp) {
        self.0.retain(|at| matters(*at, DAY, now));
    }
}

/// Whether a mail of then still counts. A moment that lies ahead does: another request read the clock a little later. One that
/// lies far ahead was noted before the clock was set back, which must keep nobody waiting for good.
fn matters(at: Timestamp, within: Duration, now: Timestamp) -> bool {
    now.since(at) < within && at.since(now) < HOUR
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(30);
    const START: Timestamp = Timestamp::from_secs(1_000_000);

    fn at(secs: u64) -> Timestamp {
        START.plus(Duration::from_secs(secs))
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn device(number: u8) -> Option<DeviceId> {
        Some(DeviceId::from_bytes([number; 10]))
    }

    /// Asks again the moment that it may, for as long as told; when each mail was sent, in seconds.
    fn greedy(device: Option<DeviceId>, pause: Duration, until: u64) -> Vec<u64> {
        let mut throttle = MailThrottle::default();
        let mut sent = Vec::new();
        let mut now = START;
        while now < at(until) {
            match throttle.wait(device, pause, now) {
                Duration::ZERO => {
                    throttle = throttle.sent(device, now);
                    sent.push(now.since(START).as_secs());
                }
                wait => now = now.plus(wait),
            }
        }
        sent
    }

    #[test]
    fn a_handful_waits_for_resend_after_and_each_one_beyond_twice_as_long() {
        let first_hour = [0, 30, 60, 90, 120, 180, 300, 540, 1020, 1980];
        assert_eq!(greedy(None, PAUSE, 3600), first_hour);
        assert_eq!(greedy(device(1), PAUSE, 3600), first_hour);
    }

    #[test]
    fn however_short_the_pause_there_are_few_in_an_hour_and_forty_in_a_day() {
        for pause in [secs(1), PAUSE, secs(600), secs(3600)] {
            let sent = greedy(None, pause, 3 * 24 * 3600);
            let most_within = |window: u64| {
                let within = |from: &u64| sent.iter().filter(|at| (*from..from + window).contains(at)).count();
                sent.iter().map(within).max().unwrap()
            };
            assert!(most_within(3600) <= 12, "{pause:?}: {sent:?}");
            assert!(most_within(24 * 3600) <= PER_DAY, "{pause:?}: {sent:?}");
            assert!(sent.windows(2).all(|pair| pair[1] - pair[0] >= pause.as_secs()), "{pause:?}: {sent:?}");
            assert!(sent.len() >= 24, "{pause:?}: nobody is locked out for good: {sent:?}");
        }
    }

    #[test]
    fn a_login_now_and_then_never_waits() {
        let mut throttle = MailThrottle::default();
        for hour in 0..100 {
            let now = at(hour * 3600);
            assert_eq!(throttle.wait(None, PAUSE, now), Duration::ZERO, "hour {hour}");
            throttle = throttle.sent(None, now);
        }
        assert!(throttle.strangers.0.len() <= 25, "what is over is forgotten");
        assert_eq!(throttle.over_at(), at(99 * 3600).plus(DAY));
    }

    #[test]
    fn codes_asked_for_from_elsewhere_do_not_keep_those_of_a_known_browser_back() {
        let mut throttle = MailThrottle::default();
        for _ in 0..PER_DAY {
            throttle = throttle.sent(None, START);
        }
        assert_eq!(throttle.wait(None, PAUSE, at(3600)), DAY - HOUR);
        assert_eq!(throttle.wait(device(1), PAUSE, START), Duration::ZERO);
        throttle = throttle.sent(device(1), START);
        assert_eq!(throttle.wait(device(1), PAUSE, at(10)), secs(20), "it has a count of its own");
        assert_eq!(throttle.wait(device(2), PAUSE, at(10)), Duration::ZERO);
        // Keys that were not used for a day take no place.
        let later = throttle.sent(device(2), at(2 * 24 * 3600));
        assert_eq!((later.devices.len(), later.strangers.0.len()), (1, 0));
    }

    #[test]
    fn requests_that_read_the_clock_in_another_order_win_nothing() {
        let throttle = MailThrottle::default().sent(None, at(1));
        assert_eq!(throttle.wait(None, PAUSE, START), secs(31));
        let throttle = throttle.sent(None, START);
        assert_eq!(throttle.wait(None, PAUSE, at(2)), secs(29));
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nobody_waiting() {
        let throttle = MailThrottle::default().sent(None, at(1_000_000));
        assert_eq!(throttle.wait(None, PAUSE, START), Duration::ZERO);
        assert_eq!(throttle.sent(None, START).strangers.0, [START]);
    }
}
