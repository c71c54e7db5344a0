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
use super::visit::Visit;
use crate::authn::login as states;
use crate::authn::user::Method;
use crate::authz::SecondFactorDemand;
use crate::config::RememberDevice;
use crate::secret::{SecretString, Token};

mod code;
mod device_keys;
pub(super) mod flows;
mod password;
pub(super) mod sign_in;
mod step_up;

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
    /// In. `device`: the browser's new device key, to be set as its cookie.
    SignedIn {
        session: Token,
        device: Option<Token>,
        return_to: String,
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
    /// Too many tries, for this address, code or account.
    TooManyAttempts { retry_after: Duration },
    /// The flow is over, unknown, or another browser's: from the start.
    RestartLogin,
    /// The account was changed or locked meanwhile (said only after the right password in this flow).
    Locked,
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
}

/// Which page a flow belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    CodeDue,
    EnrolmentDue,
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

    /// Begins a step-up for the visit's session: no password while the session lives, but the code or, where nothing is
    /// enrolled, the password again and then the enrolment ([`Step::Refused`] with [`Refusal::RestartLogin`]).
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn step_up(&self, visit: &Visit, destination: Destination) -> Result<Step, ServiceError> {
        step_up::begin(&self.context, visit, destination).await
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
        };
        Ok(Some(FlowView {
            login: account.user.login.to_string(),
            method,
            stage,
            return_to: found.return_to(&visit.config)?,
            recheck_interval: state.demand().recheck_interval,
            offers_remember: visit.config.second_factor.remember_device == RememberDevice::Ask,
            step_up: state.session().is_some(),
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
