//! Given again (ASVS 7.5.1): whatever changes how an account signs in asks for the password and the second factor anew, unless
//! both were given within the last few minutes. A session that was left open, or stolen, is not enough.
//!
//! [`Confirmed`] is the proof that the steps which change a factor take; only [`judge`] and [`for_another_app`] make one.

use std::time::Duration;

use super::login::{Stale, facts};
use super::password;
use super::session::Session;
use super::user::User;
use crate::authz::SecondFactorDemand;
use crate::authz::requirement::Policy;
use crate::clock::Timestamp;
use crate::id::SessionId;

/// For how long what was given counts.
pub const COUNTS_FOR: Duration = Duration::from_secs(5 * 60);

/// What has to be given again, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Password,
    /// By the account's method, or a recovery code.
    Code,
}

/// A proof that the owner of an account has given all that there is to give, a moment ago.
#[derive(Debug)]
pub struct Confirmed {
    session: Session,
}

/// Whether the owner of `user` may change how it signs in, within `session`. An account that has nothing to give a second factor
/// with is asked for the password alone, whatever the policy; one that has is asked for it, whatever the policy.
///
/// # Errors
/// What is missing.
pub fn judge(session: &Session, user: &User, now: Timestamp) -> Result<Confirmed, Missing> {
    if !is_of(session, user) || !is_fresh(session.password_at, COUNTS_FOR, now) {
        return Err(Missing::Password);
    }
    if lacks_code(session, user, now) {
        return Err(Missing::Code);
    }
    Ok(Confirmed { session: session.clone() })
}

/// Whether the second factor is missing, where the password comes along with the change.
#[must_use]
pub fn lacks_code(session: &Session, user: &User, now: Timestamp) -> bool {
    facts(user).usable && !is_fresh(session.second_factor_at, COUNTS_FOR, now)
}

/// The same for taking another app: where a recovery code was given for one that is lost, that code counts for as long as any
/// second factor does, as there may be no other to give (F8).
///
/// # Errors
/// What is missing.
pub fn for_another_app(
    session: &Session,
    user: &User,
    demand: SecondFactorDemand,
    now: Timestamp,
) -> Result<Confirmed, Missing> {
    let by_recovery_code = session.by_recovery_code && is_fresh(session.second_factor_at, demand.recheck_interval, now);
    match judge(session, user, now) {
        Err(Missing::Code) if by_recovery_code => Ok(Confirmed { session: session.clone() }),
        judged => judged,
    }
}

/// The password was given again: `proof` is of the hash that the account has now.
///
/// # Errors
/// [`Stale`] where the session is not the account's any more, or its password is another one by now.
pub fn password_given(
    session: &Session,
    user: &User,
    proof: &password::Matches,
    now: Timestamp,
) -> Result<Session, Stale> {
    let current = user.password.as_ref().is_some_and(|stored| proof.is_of(&stored.hash));
    if !current || !is_of(session, user) {
        return Err(Stale);
    }
    Ok(Session { password_at: Some(now), last_seen: session.last_seen.max(now), ..session.clone() })
}

/// What a step-up has to satisfy that is begun for this reason.
#[must_use]
pub const fn demand() -> SecondFactorDemand {
    SecondFactorDemand { policy: Policy::Required, recheck_interval: COUNTS_FOR }
}

impl Confirmed {
    /// In which session.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session.id
    }

    pub(super) const fn record(&self) -> &Session {
        &self.session
    }
}

fn is_of(session: &Session, user: &User) -> bool {
    session.user == user.id && session.epoch == user.epoch && !user.disabled
}

/// What lies far in the future, as after a clock was set back, does not count.
fn is_fresh(at: Option<Timestamp>, counts_for: Duration, now: Timestamp) -> bool {
    at.is_some_and(|at| at.is_within(counts_for, now))
}

#[cfg(test)]
mod tests;
