//! What begins within a session: stepping up, and changes of how its account signs in, each behind a [`Confirmed`].

use super::{Attempt, CodeDue, EnrolmentDue, RecoveryCodesShown, Stale, facts};
use crate::authn::confirmation::{self, Confirmed};
use crate::authn::recovery_code::RecoverySet;
use crate::authn::session::Session;
use crate::authn::user::User;
use crate::authz::SecondFactorDemand;
use crate::authz::requirement::Due;
use crate::clock::Timestamp;
use crate::secret::Sealed;

/// What follows the wish to step up.
#[derive(Debug)]
pub enum StepUp {
    Nothing,
    Code(CodeDue),
    /// Nothing is enrolled: whoever enrols must have proved the password just now.
    PasswordDue,
}

/// Begins a step-up: the session has given its password already.
///
/// # Errors
/// [`Stale`] where the session is not the account's any more.
pub fn step_up(session: &Session, user: &User, demand: SecondFactorDemand, now: Timestamp) -> Result<StepUp, Stale> {
    step_up_for(Attempt::within(session, demand), session, user, now)
}

/// Begins a step-up that confirms a change: the second factor was given longer ago than counts for that.
///
/// # Errors
/// [`Stale`] where the session is not the account's any more.
pub fn confirm(session: &Session, user: &User, now: Timestamp) -> Result<StepUp, Stale> {
    let attempt = Attempt { confirms: true, ..Attempt::within(session, confirmation::demand()) };
    step_up_for(attempt, session, user, now)
}

fn step_up_for(attempt: Attempt, session: &Session, user: &User, now: Timestamp) -> Result<StepUp, Stale> {
    attempt.check(user)?;
    Ok(match attempt.demand.due(facts(user), session.second_factor_at, now) {
        Due::Nothing => StepUp::Nothing,
        Due::Code => StepUp::Code(CodeDue::new(attempt, user)),
        Due::Enrolment => StepUp::PasswordDue,
    })
}

/// Whether a recovery code was given in this session for an app that is lost, and counts still.
#[must_use]
pub fn has_lost_app(session: &Session, user: &User, demand: SecondFactorDemand, now: Timestamp) -> bool {
    let counts = session.second_factor_at.is_some_and(|at| at.is_within(demand.recheck_interval, now));
    session.by_recovery_code && counts && user.second_factor.totp.is_some()
}

/// Begins the enrolment of an app within a session: the first one, or one in the place of that which is there until the new one
/// is proved.
///
/// # Errors
/// [`Stale`] where the session is not the account's any more.
pub fn another_app(confirmed: &Confirmed, user: &User, demand: SecondFactorDemand) -> Result<EnrolmentDue, Stale> {
    let attempt = Attempt::within(confirmed.record(), demand);
    attempt.check(user)?;
    let replaces = user.second_factor.totp.as_ref().map(|enrolled| enrolled.enrolled_at);
    Ok(EnrolmentDue { attempt, offered: None, wrong: 0, replaces })
}

/// A new set of recovery codes, without another app: written into `user`, which the caller commits. Earlier ones are void.
///
/// # Errors
/// [`Stale`] where the session is not the account's any more, or the account has no second factor that codes could stand in for.
pub fn new_codes(
    confirmed: &Confirmed,
    user: &mut User,
    demand: SecondFactorDemand,
    set: RecoverySet,
    codes: Sealed,
) -> Result<RecoveryCodesShown, Stale> {
    let attempt = Attempt::within(confirmed.record(), demand);
    attempt.check(user)?;
    if !facts(user).usable {
        return Err(Stale);
    }
    let proved_at = set.made_at;
    user.second_factor.recovery = Some(set);
    Ok(RecoveryCodesShown { attempt, proved_at, codes, remember: false, alone: true })
}

/// The owner gives the second factor up: written into `user`, which the caller commits. What was begun before ends with the epoch.
/// (Whether the policy allows it is the caller's to ask.)
///
/// # Errors
/// [`Stale`] where the session is not the account's any more.
pub fn give_up(confirmed: &Confirmed, user: &mut User, demand: SecondFactorDemand) -> Result<(), Stale> {
    Attempt::within(confirmed.record(), demand).check(user)?;
    user.second_factor.totp = None;
    user.second_factor.recovery = None;
    user.second_factor.switched_on = false;
    user.raise_epoch();
    Ok(())
}

/// The owner of an account whose codes come by mail switches them on: written into `user`, which the caller commits. What was begun
/// before, without one, ends with the epoch.
///
/// # Errors
/// [`Stale`] where the session is not the account's any more, or there is nothing to be switched on.
pub fn switch_on(confirmed: &Confirmed, user: &mut User, demand: SecondFactorDemand) -> Result<(), Stale> {
    Attempt::within(confirmed.record(), demand).check(user)?;
    if !facts(user).usable {
        return Err(Stale);
    }
    user.second_factor.switched_on = true;
    user.raise_epoch();
    Ok(())
}
