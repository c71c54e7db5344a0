//! The login as types: one struct for each state, and each arrow a function that consumes the state before it.
//!
//! ```text
//! Start ──password──▶ FirstFactorPassed ─┬─ nothing due, or spared ─────────────▶ Ready ─┬─▶ SignedIn
//!                                        ├─▶ CodeDue ──accept(proof)────────────▶ Ready
//!                                        │    by the app, by mail, or by a recovery code
//!                                        └─▶ EnrolmentDue ─┬─ proved(proof) ─▶ RecoveryCodesShown ──saved──▶ Ready
//!                                                          └─ declined, where none is due (any more) ▶ Ready
//! Ready ──the password is too old, or must be changed──▶ PasswordChangeDue ──changed──▶ SignedIn
//! a session ──step_up─┬─ nothing due ▶ (as it is)
//!                     ├─▶ CodeDue ──accept(proof)──▶ Ready ──▶ SignedIn, the same session with a new value
//!                     └─▶ the password again, then EnrolmentDue
//! a session, confirmed ─┬─another_app──▶ EnrolmentDue, in the same session
//!                       └─new_codes────▶ RecoveryCodesShown, in the same session
//! ```
//!
//! A password is never changed before the second factor; within a session none is asked for.
//!
//! There is no other way to [`SignedIn`], and no function from [`FirstFactorPassed`] to [`Ready`] but the one that asks what
//! is due. What proves a step ([`password::Matches`], [`totp::Accepted`], [`mail_code::Accepted`], [`recovery_code::Unspent`])
//! can only be made by the function that judges it.
//!
//! Between requests a state is kept in a [`Flow`]. Every step is given the account as it is now: one that was disabled, or
//! whose epoch has risen, has no next state ([`Stale`]).

mod flow;
mod within_session;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::flow::{Flow, Part, State};
pub use self::within_session::{StepUp, another_app, confirm, give_up, has_lost_app, new_codes, step_up, switch_on};
use super::device::Device;
use super::mail_code::{self, MailedCode};
use super::password;
use super::recovery_code::{self, RecoverySet};
use super::session::Session;
use super::totp;
use super::user::{Method, StoredPassword, TotpEnrolment, User};
use crate::authz::SecondFactorDemand;
use crate::authz::identity::AccountSecondFactor;
use crate::authz::requirement::Due;
use crate::clock::Timestamp;
use crate::id::{SessionId, UserId};
use crate::secret::Sealed;

/// How many wrong codes one flow takes; more need the password again. (`mail_code.max_attempts` is that of one mailed code.)
pub const MAX_WRONG_CODES: u32 = 10;

/// The account was disabled, or changed in a way that ends what was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale;

/// Whose login this is, and what it has to satisfy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Attempt {
    user: UserId,
    epoch: u64,
    demand: SecondFactorDemand,
    /// The session that steps up; `None`: a login from the start.
    session: Option<SessionId>,
    /// It steps up to confirm a change ([`super::confirmation`]), and nothing else is to come of it.
    #[serde(default)]
    confirms: bool,
}

impl Attempt {
    /// Within a session, which goes on afterwards.
    const fn within(session: &Session, demand: SecondFactorDemand) -> Self {
        Self { user: session.user, epoch: session.epoch, demand, session: Some(session.id), confirms: false }
    }

    fn check(&self, user: &User) -> Result<(), Stale> {
        let same = self.user == user.id && self.epoch == user.epoch && !user.disabled;
        if same { Ok(()) } else { Err(Stale) }
    }
}

/// Nothing is known yet.
#[derive(Debug)]
pub struct Start;

/// The password was right.
#[derive(Debug)]
pub struct FirstFactorPassed {
    attempt: Attempt,
}

/// A code is due.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CodeDue {
    attempt: Attempt,
    method: Method,
    wrong: u32,
    /// The newest code that was mailed.
    #[serde(default)]
    mailed: Option<MailedCode>,
}

/// An app has to be enrolled before anything else.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnrolmentDue {
    attempt: Attempt,
    /// The key on offer, sealed for this flow; made when the page is first shown.
    offered: Option<Sealed>,
    wrong: u32,
    /// When the app was enrolled that the new one takes the place of.
    #[serde(default)]
    replaces: Option<Timestamp>,
}

/// An app was enrolled, and its owner has yet to say that the recovery codes are saved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecoveryCodesShown {
    attempt: Attempt,
    proved_at: Timestamp,
    /// Sealed for this flow.
    codes: Sealed,
    remember: bool,
    /// Made anew without an app: nothing was proved by them.
    #[serde(default)]
    alone: bool,
}

/// What an enrolment writes into the account, and keeps to be shown.
#[derive(Debug)]
pub struct NewFactor {
    /// The app's key, sealed for the account.
    pub key: Sealed,
    pub recovery: RecoverySet,
    /// The recovery codes themselves, sealed for the flow.
    pub codes: Sealed,
    /// Whether the person wished this browser to be spared the code.
    pub remember: bool,
}

/// Nothing is missing any more.
#[derive(Debug)]
pub struct Ready {
    attempt: Attempt,
    second_factor_at: Option<Timestamp>,
    given: Option<Given>,
}

/// Nothing is missing but another password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PasswordChangeDue {
    attempt: Attempt,
    second_factor_at: Option<Timestamp>,
    given: Option<Given>,
    along: Along,
}

/// What a login brings along to its session's browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Along {
    /// Whether this browser is to be spared the code from now on; `None`: as before.
    pub remember: Option<bool>,
    /// Whether a browser without a key for the account is worth a mail. Not where the mail about a new app tells it already.
    pub tells_of_new_device: bool,
}

/// What follows once nothing is missing.
#[derive(Debug)]
pub enum Arrival {
    SignedIn(SignedIn),
    PasswordChange(PasswordChangeDue),
}

/// By what a second factor was given just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Given {
    Method,
    RecoveryCode,
}

/// In. From this, and from nothing else, a session is made.
#[derive(Debug)]
pub struct SignedIn {
    attempt: Attempt,
    second_factor_at: Option<Timestamp>,
    given: Option<Given>,
    /// The epoch that the attempt began with, where a new password has raised it.
    raised_from: Option<u64>,
}

/// What follows a right password.
#[derive(Debug)]
pub enum Next {
    Ready(Ready),
    Code(CodeDue),
    Enrolment(EnrolmentDue),
}

impl Start {
    /// The password was right: `proof` is of the hash that the account has now.
    ///
    /// # Errors
    /// [`Stale`] where the account is disabled, or its password is another one by now.
    pub fn password(
        self,
        user: &User,
        proof: &password::Matches,
        demand: SecondFactorDemand,
    ) -> Result<FirstFactorPassed, Stale> {
        let current = user.password.as_ref().is_some_and(|stored| proof.is_of(&stored.hash));
        if !current || user.disabled {
            return Err(Stale);
        }
        Ok(FirstFactorPassed {
            attempt: Attempt { user: user.id, epoch: user.epoch, demand, session: None, confirms: false },
        })
    }
}

impl FirstFactorPassed {
    /// What is due now. `key`: the device key that this browser has for the account, where keys spare the code at all.
    ///
    /// # Errors
    /// [`Stale`].
    pub fn next(self, user: &User, key: Option<&Device>, now: Timestamp) -> Result<Next, Stale> {
        self.attempt.check(user)?;
        let last = key.and_then(|key| key.sparing(user));
        let attempt = self.attempt;
        Ok(match attempt.demand.due(facts(user), last, now) {
            Due::Nothing => Next::Ready(Ready { attempt, second_factor_at: last, given: None }),
            Due::Code => Next::Code(CodeDue::new(attempt, user)),
            Due::Enrolment => Next::Enrolment(EnrolmentDue { attempt, offered: None, wrong: 0, replaces: None }),
        })
    }
}

impl CodeDue {
    const fn new(attempt: Attempt, user: &User) -> Self {
        Self { attempt, method: user.second_factor.method, wrong: 0, mailed: None }
    }

    /// The code was right. The step that it spends is written into `user`, which the caller commits.
    ///
    /// # Errors
    /// [`Stale`].
    pub fn accept(self, user: &mut User, proof: &totp::Accepted, now: Timestamp) -> Result<Ready, Stale> {
        self.attempt.check(user)?;
        let enrolled = user.second_factor.totp.as_mut().ok_or(Stale)?;
        enrolled.last_step = enrolled.last_step.max(proof.step());
        Ok(Ready { attempt: self.attempt, second_factor_at: Some(now), given: Some(Given::Method) })
    }

    /// The mailed code was right; the caller's commit spends it together with the flow.
    ///
    /// # Errors
    /// [`Stale`].
    pub fn accept_mailed(self, user: &User, proof: mail_code::Accepted, now: Timestamp) -> Result<Ready, Stale> {
        let mail_code::Accepted { .. } = proof;
        self.attempt.check(user)?;
        if user.second_factor.method != Method::Mail {
            return Err(Stale);
        }
        Ok(Ready { attempt: self.attempt, second_factor_at: Some(now), given: Some(Given::Method) })
    }

    /// A recovery code was right. It is spent in `user`, which the caller commits.
    ///
    /// # Errors
    /// [`Stale`].
    pub fn accept_recovery(
        self,
        user: &mut User,
        code: recovery_code::Unspent,
        now: Timestamp,
    ) -> Result<Ready, Stale> {
        self.attempt.check(user)?;
        let set = user.second_factor.recovery.take().ok_or(Stale)?;
        user.second_factor.recovery = Some(set.spend(code));
        Ok(Ready { attempt: self.attempt, second_factor_at: Some(now), given: Some(Given::RecoveryCode) })
    }

    /// With a code on its way by mail; an earlier one is void.
    #[must_use]
    pub fn sent(self, code: MailedCode) -> Self {
        Self { mailed: Some(code), ..self }
    }

    /// The newest mailed code.
    #[must_use]
    pub const fn mailed(&self) -> Option<&MailedCode> {
        self.mailed.as_ref()
    }

    /// The code was wrong: one of the app, or a recovery code. (A mailed code counts its own: [`MailedCode::tried`].)
    #[must_use]
    pub fn wrong(self) -> Self {
        Self { wrong: self.wrong.saturating_add(1), ..self }
    }

    #[must_use]
    pub const fn wrong_so_far(&self) -> u32 {
        self.wrong
    }

    /// Whether no more codes are judged in this flow.
    #[must_use]
    pub const fn is_exhausted(&self) -> bool {
        self.wrong >= MAX_WRONG_CODES
    }

    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// Whether both are the same person's, in the same session, with the same to satisfy.
    #[must_use]
    pub fn is_same_attempt(&self, other: &Self) -> bool {
        self.attempt == other.attempt
    }
}

impl EnrolmentDue {
    /// The key on offer.
    #[must_use]
    pub const fn offered(&self) -> Option<&Sealed> {
        self.offered.as_ref()
    }

    /// With a key to offer; one that was offered before stays.
    #[must_use]
    pub fn offering(self, key: Sealed) -> Self {
        Self { offered: Some(self.offered.unwrap_or(key)), ..self }
    }

    /// A first code has proved the app. The enrolment and its recovery codes are written into `user`, which the caller
    /// commits; earlier recovery codes are void. Within a session it raises the epoch, over which the caller carries that session:
    /// another app is another factor. (In a login it is the first one, and no login goes on without it: [`EnrolmentDue::is_open`],
    /// [`PasswordChangeDue::changed`].)
    ///
    /// # Errors
    /// [`Stale`], also where an app was enrolled meanwhile: the first one stays.
    pub fn proved(
        self,
        user: &mut User,
        new: NewFactor,
        proof: &totp::Accepted,
        now: Timestamp,
    ) -> Result<RecoveryCodesShown, Stale> {
        if !self.is_open(user) {
            return Err(Stale);
        }
        let NewFactor { key, recovery, codes, remember } = new;
        user.second_factor.method = Method::Totp;
        // Whoever sets a first one up without being made to wishes to be asked for it (F5).
        user.second_factor.switched_on |= self.is_in_session() && self.replaces.is_none();
        user.second_factor.totp = Some(TotpEnrolment { key, last_step: proof.step(), enrolled_at: now });
        user.second_factor.recovery = Some(recovery);
        if self.is_in_session() {
            user.raise_epoch();
        }
        let attempt = Attempt { epoch: user.epoch, ..self.attempt };
        Ok(RecoveryCodesShown { attempt, proved_at: now, codes, remember, alone: false })
    }

    /// Whether this enrolment can still happen: no other app was enrolled meanwhile.
    #[must_use]
    pub fn is_open(&self, user: &User) -> bool {
        let enrolled = user.second_factor.totp.as_ref().map(|enrolled| enrolled.enrolled_at);
        self.attempt.check(user).is_ok() && enrolled == self.replaces
    }

    /// Whether it is wished by somebody signed in, and not part of a login.
    #[must_use]
    pub const fn is_in_session(&self) -> bool {
        self.attempt.session.is_some()
    }

    /// Whether it takes the place of another app.
    #[must_use]
    pub const fn is_renewal(&self) -> bool {
        self.replaces.is_some()
    }

    /// Whether the person may go on without: nothing is asked of this account (any more), or they are in already.
    #[must_use]
    pub fn is_optional(&self, user: &User) -> bool {
        self.is_in_session() || !self.attempt.demand.applies_to(facts(user))
    }

    /// Not now.
    ///
    /// # Errors
    /// [`Stale`] where it is not optional: the login is over. Also within a session: there is no login that could go on.
    pub fn declined(self, user: &User) -> Result<Ready, Stale> {
        self.attempt.check(user)?;
        if !self.is_optional(user) || self.is_in_session() {
            return Err(Stale);
        }
        Ok(Ready { attempt: self.attempt, second_factor_at: None, given: None })
    }

    /// The code was wrong.
    #[must_use]
    pub fn wrong(self) -> Self {
        Self { wrong: self.wrong.saturating_add(1), ..self }
    }

    #[must_use]
    pub const fn wrong_so_far(&self) -> u32 {
        self.wrong
    }

    /// Whether no more codes are judged in this flow.
    #[must_use]
    pub const fn is_exhausted(&self) -> bool {
        self.wrong >= MAX_WRONG_CODES
    }
}

impl RecoveryCodesShown {
    /// The person has saved the codes, which is noted in `user`; the caller commits it.
    ///
    /// # Errors
    /// [`Stale`].
    pub fn saved(self, user: &mut User) -> Result<Ready, Stale> {
        self.attempt.check(user)?;
        // Another set may have taken the place of the one that was shown.
        let shown = |set: &RecoverySet| set.made_at == self.proved_at;
        user.second_factor.recovery = match user.second_factor.recovery.take() {
            Some(set) if shown(&set) => Some(set.saved()),
            other => other,
        };
        Ok(Ready { attempt: self.attempt, second_factor_at: Some(self.proved_at), given: Some(Given::Method) })
    }

    /// The codes.
    #[must_use]
    pub const fn codes(&self) -> &Sealed {
        &self.codes
    }

    /// Whether they were made anew without an app, so that the session goes on as it is.
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        self.alone
    }

    /// When they were made.
    #[must_use]
    pub const fn made_at(&self) -> Timestamp {
        self.proved_at
    }

    /// Whether the person wished this browser to be spared the code.
    #[must_use]
    pub const fn remember(&self) -> bool {
        self.remember
    }
}

impl Ready {
    /// The last arrow: in, but for a password that must be changed first (`max_age`: `None` is never). A session that steps
    /// up goes on with the password it has.
    #[must_use]
    pub fn arrive(self, user: &User, along: Along, max_age: Option<Duration>, now: Timestamp) -> Arrival {
        let Self { attempt, second_factor_at, given } = self;
        let due = user.password.as_ref().is_some_and(|password| password.change_is_due(max_age, now));
        if due && attempt.session.is_none() {
            return Arrival::PasswordChange(PasswordChangeDue { attempt, second_factor_at, given, along });
        }
        Arrival::SignedIn(SignedIn { attempt, second_factor_at, given, raised_from: None })
    }

    /// What the session will take over.
    #[must_use]
    pub const fn second_factor_at(&self) -> Option<Timestamp> {
        self.second_factor_at
    }
}

impl PasswordChangeDue {
    /// The new password is written into `user`, which the caller commits. Whatever else was open for the account ends with
    /// the epoch; this login goes on.
    ///
    /// # Errors
    /// [`Stale`], also where no second factor was asked for at the time, and one is by now.
    pub fn changed(self, user: &mut User, new: StoredPassword, now: Timestamp) -> Result<SignedIn, Stale> {
        self.attempt.check(user)?;
        if self.second_factor_at.is_none() && self.attempt.demand.due(facts(user), None, now) == Due::Code {
            return Err(Stale);
        }
        let before = user.epoch;
        user.change_password(new);
        let Self { attempt, second_factor_at, given, .. } = self;
        let attempt = Attempt { epoch: user.epoch, ..attempt };
        Ok(SignedIn { attempt, second_factor_at, given, raised_from: Some(before) })
    }

    #[must_use]
    pub const fn along(&self) -> Along {
        self.along
    }
}

impl SignedIn {
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.attempt.user
    }

    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.attempt.epoch
    }

    /// The epoch of what this browser has had of the account so far.
    #[must_use]
    pub fn epoch_before(&self) -> u64 {
        self.raised_from.unwrap_or(self.attempt.epoch)
    }

    /// Whether the password was changed in this login.
    #[must_use]
    pub const fn changed_password(&self) -> bool {
        self.raised_from.is_some()
    }

    /// The session that has stepped up; `None`: a new one begins.
    #[must_use]
    pub const fn session(&self) -> Option<SessionId> {
        self.attempt.session
    }

    /// What the session takes over: the code just given, or the one of the key that spared it. A spared login moves nothing
    /// forward.
    #[must_use]
    pub const fn second_factor_at(&self) -> Option<Timestamp> {
        self.second_factor_at
    }

    /// Whether a second factor was given just now: only then is there a new device key.
    #[must_use]
    pub const fn gave_second_factor(&self) -> bool {
        self.given.is_some()
    }

    /// Whether that was a recovery code.
    #[must_use]
    pub fn by_recovery_code(&self) -> bool {
        self.given == Some(Given::RecoveryCode)
    }
}

/// The account's side of the second factor, as decisions need it. For mailed codes the address is all it takes: where no mail
/// can be sent, the code is asked for all the same, and nobody who has the password alone enrols an app instead.
#[must_use]
pub const fn facts(user: &User) -> AccountSecondFactor {
    AccountSecondFactor {
        switched_on: user.second_factor.switched_on,
        method: user.second_factor.method,
        usable: match user.second_factor.method {
            Method::Totp => user.second_factor.totp.is_some(),
            Method::Mail => user.email.is_some(),
        },
    }
}

#[cfg(test)]
mod tests;
