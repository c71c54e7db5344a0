//! Mailed codes (F9): the newest one only, for one login in one browser, for a limited time and a limited number of tries.
//!
//! ```text
//! sent ──wrong──▶ sent, one try less … ──max_attempts──▶ dead      ("send again")
//!   └──right, within the lifetime──▶ spent
//! ```
//!
//! A new code begins with fresh tries, but the account's own count of wrong codes goes on (`lockout`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::secret::Mac;

/// Digits of a mailed code.
pub const DIGITS: u8 = 6;

/// The settings of `second_factor.mail_code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub lifetime: Duration,
    pub max_attempts: u32,
    pub resend_after: Duration,
}

/// The code that is outstanding in one login. A new one takes its place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MailedCode {
    /// Of the code, the flow and the account, under the key for [`crate::secret::Purpose::MailedCode`].
    mac: Mac,
    sent_at: Timestamp,
    wrong: u32,
}

/// Why the outstanding code is no longer judged, or how it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Right; the caller's commit spends it together with the flow.
    Accepted(Accepted),
    Wrong,
    /// Its lifetime is over: send again.
    Expired,
    /// Tried too often: send again.
    TooManyTries,
}

/// A proof that the outstanding code was given: only [`MailedCode::judge`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted(());

impl MailedCode {
    /// A code that is on its way.
    #[must_use]
    pub const fn new(mac: Mac, sent_at: Timestamp) -> Self {
        Self { mac, sent_at, wrong: 0 }
    }

    /// What is kept of the code: the digest of a given one is made with the same key.
    #[must_use]
    pub const fn mac(&self) -> &Mac {
        &self.mac
    }

    /// Judges a code by its digest. Dead codes are not compared at all: the right one is refused like any other.
    #[must_use]
    pub fn judge(&self, given: &Mac, settings: Settings, now: Timestamp) -> Verdict {
        if self.wrong >= settings.max_attempts {
            return Verdict::TooManyTries;
        }
        // A clock that was set back to long before the mail makes it no younger.
        if !self.sent_at.is_within(settings.lifetime, now) {
            return Verdict::Expired;
        }
        if self.mac.matches(given.as_bytes()) { Verdict::Accepted(Accepted(())) } else { Verdict::Wrong }
    }

    /// The same code with one try less; committed before the answer.
    #[must_use]
    pub const fn tried(mut self) -> Self {
        self.wrong = self.wrong.saturating_add(1);
        self
    }

    /// For how long another code has to wait; zero: not any more.
    #[must_use]
    pub fn resend_wait(&self, settings: Settings, now: Timestamp) -> Duration {
        settings.resend_after.saturating_sub(now.since(self.sent_at))
    }

    /// When it was sent.
    #[must_use]
    pub const fn sent_at(&self) -> Timestamp {
        self.sent_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{ExposeSecret, Keys, Purpose};

    const SETTINGS: Settings =
        Settings { lifetime: Duration::from_secs(1800), max_attempts: 10, resend_after: Duration::from_secs(30) };
    const SENT: Timestamp = Timestamp::from_secs(1_000_000);

    fn macs() -> (Mac, Mac) {
        let keys = Keys::parse(Keys::generate_line().unwrap().expose_secret()).unwrap();
        let mac = |code: &[u8]| keys.mac(Purpose::MailedCode, &[b"flow", code]).unwrap();
        (mac(b"123456"), mac(b"654321"))
    }

    fn after(secs: u64) -> Timestamp {
        SENT.plus(Duration::from_secs(secs))
    }

    #[test]
    fn the_right_code_is_accepted_within_its_lifetime_alone() {
        let (right, wrong) = macs();
        let code = MailedCode::new(right, SENT);
        assert!(matches!(code.judge(&right, SETTINGS, after(1799)), Verdict::Accepted(_)));
        assert_eq!(code.judge(&wrong, SETTINGS, after(1)), Verdict::Wrong);
        assert_eq!(code.judge(&right, SETTINGS, after(1800)), Verdict::Expired);
        let before = |secs: u64| Timestamp::from_secs(1_000_000 - secs);
        assert!(matches!(code.judge(&right, SETTINGS, before(60)), Verdict::Accepted(_)), "sent by another node");
        assert_eq!(code.judge(&right, SETTINGS, before(61)), Verdict::Expired);
    }

    #[test]
    fn after_ten_wrong_tries_the_right_code_is_refused() {
        let (right, _) = macs();
        let mut code = MailedCode::new(right, SENT);
        for _ in 0..10 {
            assert!(matches!(code.judge(&right, SETTINGS, after(1)), Verdict::Accepted(_)));
            code = code.tried();
        }
        assert_eq!(code.judge(&right, SETTINGS, after(1)), Verdict::TooManyTries);
    }

    #[test]
    fn another_code_has_to_wait_for_resend_after() {
        let code = MailedCode::new(macs().0, SENT);
        assert_eq!(code.resend_wait(SETTINGS, after(10)), Duration::from_secs(20));
        assert_eq!(code.resend_wait(SETTINGS, after(31)), Duration::ZERO);
    }
}
