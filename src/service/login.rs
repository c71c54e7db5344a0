//! The login: password, then what is due, then a session. Each call loads the flow, takes one step of [`authn::login`], and
//! commits it before it answers.
//!
//! Every commit compares what it was judged by: the account, the flow, the failures counted. Where somebody came in between,
//! the step is judged anew, so that of fifty requests with the same code one wins, and of fifty guesses at once no more are
//! judged than one after the other.
//!
//! [`authn::login`]: crate::authn::login

use std::sync::Arc;
use std::time::Duration;

use super::ServiceError;
use super::context::Context;
use super::own::Own;
use super::visit::Visit;
pub use crate::authn::confirmation::Missing;
use crate::authn::login as states;
use crate::authn::password::Weakness;
use crate::authn::user::{Method, User};
use crate::authz::SecondFactorDemand;
use crate::config::RememberDevice;
use crate::id::UserId;
pub use crate::mail::Delivery;
use crate::secret::{SecretString, Token};

mod code;
mod confirm;
pub(super) mod device_keys;
pub(super) mod flows;
pub(super) mod mailed;
mod new_password;
mod own_password;
pub(super) mod password;
pub(super) mod recovery;
pub(super) mod sign_in;
mod step_up;
mod welcome;

/// All logins.
pub struct Logins {
    context: Arc<Context>,
}

/// What a browser or script gave for itself.
#[derive(Debug)]
pub struct Credentials {
    pub login: String,
    pub password: SecretString,
}

/// Where the person wanted to go: decides what is asked for, and where the way leads afterwards.
#[derive(Debug, Clone)]
pub struct Destination {
    pub demand: SecondFactorDemand,
    /// A checked path on the same host.
    pub return_to: String,
}

/// Where a login stands after a step.
#[derive(Debug)]
pub enum Step {
    /// A code is due.
    Code {
        flow: Token,
    },
    /// An authenticator app has to be enrolled first.
    Enrol {
        flow: Token,
    },
    /// New recovery codes are to be shown; the login goes on when the person has saved them
    /// ([`super::enrolment::Enrolments::saved`]).
    RecoveryCodes {
        flow: Token,
        /// The new value of the session in which another app was set up.
        session: Option<Token>,
    },
    /// Another password is due first.
    ChangePassword {
        flow: Token,
    },
    /// In. `device`: the browser's new device key, to be set as its cookie.
    SignedIn {
        account: UserId,
        session: Token,
        device: Option<Token>,
        return_to: String,
        /// There is something to tell ([`Logins::welcome`]) before the way goes on.
        welcome: bool,
    },
    Refused(Refusal),
}

/// Why a step was not taken. Values of the domain; the pages turn them into words (F14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Wrong login or password, or locked for a while: deliberately the same.
    InvalidCredentials,
    /// The code is wrong. `clock_hint`: repeated failures, the phone's clock may be off (F16).
    WrongCode { clock_hint: bool },
    /// The code was good, once: it or a newer one was used before.
    UsedCode,
    /// No code was mailed in this login yet: send one. Another login's is no good here.
    NoCodeYet,
    /// The mailed code was right once, but its time is over: send again.
    ExpiredCode,
    /// The mailed code was tried too often and is dead: send again.
    TooManyTries,
    /// No such recovery code, or it was used before.
    WrongRecoveryCode,
    /// Too many tries, for this address, flow or account, or too soon after the last mail.
    TooManyAttempts { retry_after: Duration },
    /// The owner has changed the second factor too often within a short time.
    TooManyChanges { retry_after: Duration },
    /// The flow is over, unknown, or another browser's: from the start.
    RestartLogin,
    /// The account was changed or locked meanwhile (said only after the right password in this flow).
    Locked,
}

/// What somebody signed in wishes to change about how they sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Anything,
    /// A recovery code that was given for a lost app counts for longer here.
    AnotherApp,
    /// The password comes along with it, so the code alone may be missing.
    NewPassword,
}

/// What the page of a login in progress shows.
#[derive(Debug, Clone)]
pub struct FlowView {
    pub login: String,
    pub method: Method,
    pub stage: Stage,
    pub return_to: String,
    /// For how long a remembered device is spared the code on the way this person is going.
    pub recheck_interval: Duration,
    /// Whether the page asks "skip the code on this device".
    pub offers_remember: bool,
    /// A step-up of somebody signed in, not a login from the start.
    pub step_up: bool,
    /// Where the code is a mailed one.
    pub mail: Option<MailView>,
    /// The account has unspent recovery codes: another way.
    pub recovery_codes: bool,
    /// What a new password must not hold.
    pub personal: KnownOf,
    /// The password is to be changed because somebody else has set it, not for its age.
    pub password_was_given: bool,
}

/// What everybody can guess of a person: for the page that asks for a new password.
#[derive(Debug, Clone, Default)]
pub struct KnownOf {
    pub login: String,
    pub name: String,
    pub email: String,
}

impl KnownOf {
    pub(super) fn of(user: &User) -> Self {
        Self {
            login: user.login.to_string(),
            name: user.name.to_string(),
            email: user.email.as_ref().map(ToString::to_string).unwrap_or_default(),
        }
    }
}

/// What is known of a mailed code.
#[derive(Debug, Clone)]
pub struct MailView {
    /// Masked: `b••@example.com`.
    pub address: String,
    /// How long a code is good for.
    pub lifetime: Duration,
    /// For how long "send again" has to wait; zero: not any more.
    pub resend_wait: Duration,
    /// `None`: none was sent in this login, as the account was sent one for another a moment ago, or too many.
    pub delivery: Option<Delivery>,
}

/// What there is to tell somebody who has just signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// How many recovery codes are left, where that is at or below `low_water`.
    pub recovery_left: Option<usize>,
    /// The codes were shown, but their owner never said that they are saved.
    pub recovery_unsaved: bool,
    pub by_recovery_code: bool,
    /// [`super::enrolment::Enrolments::again`] is open to this session.
    pub new_app_possible: bool,
}

/// Which page a flow belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    CodeDue,
    EnrolmentDue,
    RecoveryCodesShown,
    PasswordChangeDue,
}

impl Step {
    /// Where a login in progress stands.
    pub(super) fn at(state: &states::State, flow: Token) -> Self {
        match state {
            states::State::CodeDue(_) => Self::Code { flow },
            states::State::EnrolmentDue(_) => Self::Enrol { flow },
            states::State::RecoveryCodesShown(_) => Self::RecoveryCodes { flow, session: None },
            states::State::PasswordChangeDue(_) => Self::ChangePassword { flow },
        }
    }
}

impl Logins {
    pub(super) const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The password step. The device and session cookies are the visit's; an old session of the same browser ends.
    ///
    /// # Errors
    /// [`ServiceError::Busy`] where too many hashes wait; others where the store cannot.
    pub async fn password(
        &self,
        visit: &Visit,
        user_agent: Option<&str>,
        credentials: Credentials,
        destination: Destination,
    ) -> Result<Step, ServiceError> {
        if !visit.may_sign_in {
            return Ok(Step::Refused(Refusal::RestartLogin));
        }
        password::step(&self.context, Browser { visit, user_agent }, credentials, &destination).await
    }

    /// The code step, for the flow of the visit's flow cookie (or the JSON API's `flow`).
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn code(
        &self,
        visit: &Visit,
        user_agent: Option<&str>,
        flow: &Token,
        code: &str,
        remember: bool,
    ) -> Result<Step, ServiceError> {
        if !visit.may_sign_in {
            return Ok(Step::Refused(Refusal::RestartLogin));
        }
        code::step(&self.context, Browser { visit, user_agent }, flow, code, remember).await
    }

    /// A recovery code instead of the account's own method.
    ///
    /// # Errors
    /// [`ServiceError::Busy`] where too many hashes wait; others where the store cannot.
    pub async fn recovery(
        &self,
        visit: &Visit,
        user_agent: Option<&str>,
        flow: &Token,
        code: &str,
        remember: bool,
    ) -> Result<Step, ServiceError> {
        if !visit.may_sign_in {
            return Ok(Step::Refused(Refusal::RestartLogin));
        }
        recovery::step(&self.context, Browser { visit, user_agent }, flow, code, remember).await
    }

    /// Sends another code by mail; the one before is void. [`Step::Code`]: it is on its way.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn resend(&self, visit: &Visit, user_agent: Option<&str>, flow: &Token) -> Result<Step, ServiceError> {
        if !visit.may_sign_in {
            return Ok(Step::Refused(Refusal::RestartLogin));
        }
        mailed::resend(&self.context, Browser { visit, user_agent }, flow).await
    }

    /// The password that a login asks for in place of one that is too old, or that somebody else has set (F22). What is wrong
    /// with it is for the page to say; the flow goes on.
    ///
    /// # Errors
    /// [`ServiceError::Busy`] where too many hashes wait; others where the store cannot.
    pub async fn change_password(
        &self,
        visit: &Visit,
        user_agent: Option<&str>,
        flow: &Token,
        new: SecretString,
    ) -> Result<Result<Step, Weakness>, ServiceError> {
        if !visit.may_sign_in {
            return Ok(Ok(Step::Refused(Refusal::RestartLogin)));
        }
        new_password::step(&self.context, Browser { visit, user_agent }, flow, new).await
    }

    /// Another password for whoever is signed in, in place of `current`. [`Step::SignedIn`]: the session's new value; all other
    /// sessions and browsers have to sign in anew. Failures count as at the login, and nothing is said of `new` before
    /// `current` was right.
    ///
    /// # Errors
    /// [`ServiceError::Busy`] where too many hashes wait; others where the store cannot.
    pub async fn change_own_password(
        &self,
        visit: &Visit,
        user_agent: Option<&str>,
        current: SecretString,
        new: SecretString,
    ) -> Result<Result<Step, Weakness>, ServiceError> {
        own_password::step(&self.context, Browser { visit, user_agent }, current, new).await
    }

    /// What there is to tell whoever has just signed in; `None`: nothing, or nobody is signed in.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn welcome(&self, visit: &Visit) -> Result<Option<Welcome>, ServiceError> {
        welcome::welcome(&self.context, visit).await
    }

    /// Begins a step-up for the visit's session: no password while the session lives, but the code or, where nothing is
    /// enrolled, the password again and then the enrolment ([`Step::Refused`] with [`Refusal::RestartLogin`]).
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn step_up(&self, visit: &Visit, destination: Destination) -> Result<Step, ServiceError> {
        step_up::begin(&self.context, visit, destination).await
    }

    /// What has to be given again before whoever is signed in may change how their account signs in; `None`: nothing.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn missing(&self, visit: &Visit, wish: Wish) -> Result<Option<Missing>, ServiceError> {
        let Some(own) = Own::load(&self.context, visit).await? else { return Ok(Some(Missing::Password)) };
        let judged = match wish {
            Wish::Anything => own.confirmed(visit),
            Wish::AnotherApp => own.for_another_app(visit),
            Wish::NewPassword => return Ok(own.lacks_code(visit).then_some(Missing::Code)),
        };
        Ok(judged.err())
    }

    /// The password given again. [`Step::SignedIn`]: it was right, and the session has a new value; the second factor may be
    /// missing still.
    ///
    /// # Errors
    /// As [`Logins::password`].
    pub async fn confirm_password(
        &self,
        visit: &Visit,
        user_agent: Option<&str>,
        password: SecretString,
        return_to: &str,
    ) -> Result<Step, ServiceError> {
        confirm::password(&self.context, Browser { visit, user_agent }, password, return_to).await
    }

    /// Begins a step-up that asks for the second factor again, unless it was given a moment ago.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn confirm_code(&self, visit: &Visit, return_to: &str) -> Result<Step, ServiceError> {
        step_up::confirm(&self.context, visit, return_to).await
    }

    /// The login in progress, for its page; `None`: over or unknown.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn view(&self, visit: &Visit, flow: &Token) -> Result<Option<FlowView>, ServiceError> {
        let Some(found) = flows::load(&self.context, visit, flow).await? else { return Ok(None) };
        let state = &found.flow.state;
        let Some(account) = self.context.user(state.user(), visit.now).await? else { return Ok(None) };
        if !state.stands(&account.user) {
            return Ok(None);
        }
        let (stage, method) = match state {
            states::State::CodeDue(due) => (Stage::CodeDue, due.method()),
            states::State::EnrolmentDue(_) => (Stage::EnrolmentDue, Method::Totp),
            states::State::RecoveryCodesShown(_) => (Stage::RecoveryCodesShown, Method::Totp),
            states::State::PasswordChangeDue(_) => (Stage::PasswordChangeDue, account.user.second_factor.method),
        };
        Ok(Some(FlowView {
            login: account.user.login.to_string(),
            method,
            stage,
            return_to: found.return_to(&visit.config)?,
            recheck_interval: state.demand().recheck_interval,
            offers_remember: visit.config.second_factor.remember_device == RememberDevice::Ask && !state.confirms(),
            step_up: state.session().is_some(),
            mail: mailed::view(&self.context, visit, &found, &account.user).await?,
            recovery_codes: account.user.second_factor.recovery.as_ref().is_some_and(|set| set.left() > 0),
            personal: KnownOf::of(&account.user),
            password_was_given: account.user.password.as_ref().is_some_and(|password| password.must_change),
        }))
    }
}

/// The browser that takes a step.
#[derive(Clone, Copy)]
pub(super) struct Browser<'a> {
    pub visit: &'a Visit,
    pub user_agent: Option<&'a str>,
}

/// No more codes are judged in this flow. The password begins another one at once.
pub(super) fn exhausted(browser: Browser<'_>, flow: &flows::Found) -> Step {
    Step::Refused(Refusal::TooManyAttempts { retry_after: flow.flow.expires_at.since(browser.visit.now) })
}

#[cfg(test)]
mod tests;
