//! Another mail address, wished by its owner: it counts once a code that was sent there is given together with one that was sent
//! to the old one. So neither an open session nor a mailbox alone moves an account's mail away.
//!
//! ```text
//! begin (confirmed) ──▶ both codes sent ──both right──▶ Proved ──apply──▶ the account has the new address
//!                            └──one wrong──▶ that one has one try less … ──▶ dead      ("send again")
//! ```
//!
//! Bound to the session that began it and to the account as it was: another address, a reset, a logout end it.

use serde::{Deserialize, Serialize};

use super::confirmation::Confirmed;
use super::login::Stale;
use super::mail_code::{self, MailedCode, Settings};
use super::session::Session;
use super::user::{Email, Method, User};
use crate::clock::Timestamp;
use crate::id::{SessionId, UserId};
use crate::secret::Mac;

/// A change that waits for its codes, as it is stored under `address-change/USER`: a newer one takes its place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AddressChange {
    user: UserId,
    epoch: u64,
    session: SessionId,
    /// The address that the account has had, where it had one.
    from: Option<Email>,
    to: Email,
    old_code: Option<MailedCode>,
    new_code: MailedCode,
    pub expires_at: Timestamp,
}

/// The digests of two codes: none for an address that there is not.
#[derive(Debug, Clone, Copy)]
pub struct Codes {
    pub old: Option<Mac>,
    pub new: Mac,
}

/// How two codes were judged.
#[derive(Debug)]
pub enum Verdict {
    Proved(Proved),
    /// One is wrong, or both; `next` is to be committed before anybody is told.
    Wrong {
        old: bool,
        new: bool,
        next: Box<AddressChange>,
    },
    /// Send again.
    Expired,
    /// Send again.
    TooManyTries,
}

/// A proof that both codes were given: only [`AddressChange::judge`] makes one.
#[derive(Debug)]
pub struct Proved {
    user: UserId,
    epoch: u64,
    from: Option<Email>,
    to: Email,
}

impl AddressChange {
    /// Codes are on their way to both addresses.
    ///
    /// # Errors
    /// [`Stale`] where the account is not the session's, or codes and addresses do not match.
    pub fn begin(
        confirmed: &Confirmed,
        user: &User,
        to: Email,
        codes: Codes,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Self, Stale> {
        let change = Self {
            user: user.id,
            epoch: user.epoch,
            session: confirmed.session(),
            from: user.email.clone(),
            to,
            old_code: codes.old.map(|mac| MailedCode::new(mac, now)),
            new_code: MailedCode::new(codes.new, now),
            expires_at,
        };
        let fits = change.from.is_some() == change.old_code.is_some();
        if fits && change.stands(confirmed.record(), user) { Ok(change) } else { Err(Stale) }
    }

    /// The same with other codes; the ones before are void.
    #[must_use]
    pub fn sent_again(self, codes: Codes, now: Timestamp, expires_at: Timestamp) -> Self {
        Self {
            old_code: codes.old.map(|mac| MailedCode::new(mac, now)),
            new_code: MailedCode::new(codes.new, now),
            expires_at,
            ..self
        }
    }

    /// Whether it can still come about, in this session and for the account as it is now.
    #[must_use]
    pub fn stands(&self, session: &Session, user: &User) -> bool {
        let account = self.user == user.id && self.epoch == user.epoch && self.from == user.email && !user.disabled;
        account && session.user == user.id && session.id == self.session
    }

    /// What is kept of both codes: digests of given ones are made with the same key.
    #[must_use]
    pub fn macs(&self) -> Codes {
        Codes { old: self.old_code.as_ref().map(|code| *code.mac()), new: *self.new_code.mac() }
    }

    /// Judges both codes by their digests.
    #[must_use]
    pub fn judge(&self, given: Codes, settings: Settings, now: Timestamp) -> Verdict {
        use mail_code::Verdict as One;
        let new = self.new_code.judge(&given.new, settings, now);
        let old = match (&self.old_code, given.old) {
            (Some(code), Some(given)) => Some(code.judge(&given, settings, now)),
            (Some(_), None) => Some(One::Wrong),
            (None, _) => None,
        };
        let either = |verdict: One| new == verdict || old == Some(verdict);
        if either(One::TooManyTries) {
            return Verdict::TooManyTries;
        }
        if either(One::Expired) {
            return Verdict::Expired;
        }
        let (old_wrong, new_wrong) = (old == Some(One::Wrong), new == One::Wrong);
        if old_wrong || new_wrong {
            let mut next = self.clone();
            next.old_code = next.old_code.map(|code| if old_wrong { code.tried() } else { code });
            next.new_code = if new_wrong { next.new_code.tried() } else { next.new_code };
            return Verdict::Wrong { old: old_wrong, new: new_wrong, next: Box::new(next) };
        }
        let Self { user, epoch, from, to, .. } = self.clone();
        Verdict::Proved(Proved { user, epoch, from, to })
    }

    #[must_use]
    pub const fn to(&self) -> &Email {
        &self.to
    }

    #[must_use]
    pub const fn from(&self) -> Option<&Email> {
        self.from.as_ref()
    }
}

impl Proved {
    /// The account has the new address, which the caller commits. Where the mailbox is the second factor, another one is another factor:
    /// whoever has begun a login with a code to the old one begins anew.
    ///
    /// # Errors
    /// [`Stale`] where the account was changed meanwhile.
    pub fn apply(self, user: &mut User) -> Result<(), Stale> {
        if self.user != user.id || self.epoch != user.epoch || self.from != user.email || user.disabled {
            return Err(Stale);
        }
        user.email = Some(self.to);
        if user.second_factor.method == Method::Mail {
            user.raise_epoch();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
