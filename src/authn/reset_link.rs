//! A link by mail that sets a new password: good once, for [`LIFETIME`], and for the account as it was when the link was sent.
//!
//! The mailbox is one factor. Where it is the account's second factor too, a link that somebody asked for asks for a recovery
//! code as well; a manager's does not, as a manager vouches for the person.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::user::{Method, User};
use crate::clock::Timestamp;
use crate::id::UserId;
use crate::secret::{Mac, TokenDigest};

/// How long a link is good for.
pub const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// How many wrong recovery codes one link takes. (They count for the account, too.)
pub const MAX_WRONG_CODES: u32 = 10;

/// Who had it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SentBy {
    /// Somebody who knows the login or the mail address: the owner, by their own word.
    Asker,
    Manager,
}

/// A link, as it is stored under `reset/SHA256`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResetLink {
    pub user: UserId,
    pub expires_at: Timestamp,
    pub sent_by: SentBy,
    /// A keyed digest of what the account was: its epoch, and the address that the link went to. A new password, another address,
    /// or whatever else ends the account's sessions makes it void.
    bound: Mac,
    wrong: u32,
}

/// Which link is an account's newest, as it is stored under `reset-of/USER`: only that one is good.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewestLink {
    pub digest: TokenDigest,
    pub sent_by: SentBy,
    pub expires_at: Timestamp,
}

/// Whether this account can be sent a link at all.
#[must_use]
pub const fn is_possible(user: &User, sent_by: SentBy) -> bool {
    // Whoever never had a password has not forgotten it: the first one is a manager's to bring about.
    !user.disabled && user.email.is_some() && (user.password.is_some() || matches!(sent_by, SentBy::Manager))
}

/// Whether the link alone is not enough. `asked`: a second factor is asked of this account somewhere.
#[must_use]
pub const fn needs_recovery_code(user: &User, sent_by: SentBy, asked: bool) -> bool {
    asked && matches!((sent_by, user.second_factor.method), (SentBy::Asker, Method::Mail))
}

impl ResetLink {
    /// A link to be sent now. `bound`: see the field.
    #[must_use]
    pub fn new(user: UserId, sent_by: SentBy, bound: Mac, now: Timestamp) -> Self {
        Self { user, expires_at: now.plus(LIFETIME), sent_by, bound, wrong: 0 }
    }

    /// What is kept of the account as it was: the digest to compare with is made with the same key.
    #[must_use]
    pub const fn bound(&self) -> &Mac {
        &self.bound
    }

    /// Whether it is still good for the account as it is now.
    #[must_use]
    pub fn stands(&self, user: &User, bound: &Mac, now: Timestamp) -> bool {
        self.user == user.id
            && is_possible(user, self.sent_by)
            && self.bound.matches(bound.as_bytes())
            && self.wrong < MAX_WRONG_CODES
            && now < self.expires_at
            // It was sent before the clock was set back: nobody knows how long ago.
            && !self.expires_at.is_ahead_of(now.plus(LIFETIME))
    }

    /// A wrong recovery code was given with it.
    #[must_use]
    pub fn tried(self) -> Self {
        Self { wrong: self.wrong.saturating_add(1), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::user::{DisplayName, Role, SecondFactor, StoredPassword};
    use crate::secret::{ExposeSecret, Keys, Purpose};

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn user(method: Method) -> User {
        User {
            id: UserId::from_bytes([1; 10]),
            login: "alice".parse().unwrap(),
            name: DisplayName::default(),
            email: Some("alice@example.com".parse().unwrap()),
            groups: std::collections::BTreeSet::new(),
            role: Role::User,
            password: Some(StoredPassword { hash: String::new(), changed_at: NOW, must_change: false }),
            disabled: false,
            second_factor: SecondFactor { switched_on: true, method, totp: None, recovery: None },
            epoch: 3,
            registered_at: NOW,
            last_login: None,
        }
    }

    #[test]
    fn the_mailbox_alone_is_enough_unless_it_is_the_second_factor_as_well() {
        use SentBy::{Asker, Manager};
        let rows = [
            // method, sent by, a second factor is asked, a recovery code too
            (Method::Totp, Asker, true, false),
            (Method::Totp, Manager, true, false),
            (Method::Mail, Asker, true, true),
            (Method::Mail, Asker, false, false),
            (Method::Mail, Manager, true, false),
        ];
        for (method, sent_by, asked, expected) in rows {
            assert_eq!(needs_recovery_code(&user(method), sent_by, asked), expected, "{method:?} {sent_by:?} {asked}");
        }
    }

    #[test]
    fn a_first_password_comes_by_a_manager_and_a_disabled_account_or_one_without_an_address_gets_no_link() {
        let alice = user(Method::Totp);
        let disabled = User { disabled: true, ..alice.clone() };
        let no_address = User { email: None, ..alice.clone() };
        let no_password = User { password: None, ..alice.clone() };
        for (account, asker, manager) in
            [(alice, true, true), (disabled, false, false), (no_address, false, false), (no_password, false, true)]
        {
            assert_eq!(is_possible(&account, SentBy::Asker), asker);
            assert_eq!(is_possible(&account, SentBy::Manager), manager);
        }
    }

    #[test]
    fn a_link_is_good_for_its_time_its_account_as_it_was_and_ten_wrong_codes() {
        let keys = Keys::parse(Keys::generate_line().unwrap().expose_secret()).unwrap();
        let mac = |text: &[u8]| keys.mac(Purpose::ResetLink, &[text]).unwrap();
        let alice = user(Method::Totp);
        let link = ResetLink::new(alice.id, SentBy::Asker, mac(b"as it was"), NOW);
        assert!(link.stands(&alice, &mac(b"as it was"), NOW));
        assert!(link.stands(&alice, &mac(b"as it was"), NOW.plus(LIFETIME - Duration::from_millis(1))));
        assert!(!link.stands(&alice, &mac(b"as it was"), NOW.plus(LIFETIME)));
        assert!(!link.stands(&alice, &mac(b"changed"), NOW));
        let set_back = Timestamp::from_secs(NOW.secs() - 3600);
        assert!(!link.stands(&alice, &mac(b"as it was"), set_back));
        let other = User { id: UserId::from_bytes([2; 10]), ..alice.clone() };
        assert!(!link.stands(&other, &mac(b"as it was"), NOW));
        let nine = (0..9).fold(link, |link, _| link.tried());
        assert!(nine.stands(&alice, &mac(b"as it was"), NOW));
        assert!(!nine.tried().stands(&alice, &mac(b"as it was"), NOW));
    }
}
