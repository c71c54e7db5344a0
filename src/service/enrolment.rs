//! Enrolling an authenticator app, within a login: a new key is offered, and is the account's once a first code proves it.

use std::sync::Arc;

use super::ServiceError;
use super::context::Context;
use super::login::Step;
use super::visit::Visit;
use crate::secret::{SecretString, Token};

/// All enrolments.
pub struct Enrolments {
    context: Arc<Context>,
}

/// What the enrolment page shows: good for this flow alone, never shown again once it is confirmed.
#[derive(Debug)]
pub struct Offer {
    /// `otpauth://totp/…`, the text of the QR code.
    pub uri: SecretString,
    /// The key in base32, in groups of four, one space apart.
    pub key: SecretString,
    pub issuer: String,
    pub account: String,
    /// Where the second factor is optional, the login goes on without one.
    pub optional: bool,
}

impl Enrolments {
    pub(super) const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The key offered in this flow; made at the first call, the same one at every reload. `None`: no such flow.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn offer(&self, _visit: &Visit, _flow: &Token) -> Result<Option<Offer>, ServiceError> {
        todo!("service helper")
    }

    /// A first code: if it is right, the app is enrolled and the login goes on.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn confirm(
        &self,
        _visit: &Visit,
        _user_agent: Option<&str>,
        _flow: &Token,
        _code: &str,
        _remember: bool,
    ) -> Result<Step, ServiceError> {
        todo!("service helper")
    }

    /// Not now: goes on without a second factor where that is allowed, else ends the flow ([`super::login::Refusal::RestartLogin`]).
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn cancel(&self, _visit: &Visit, _user_agent: Option<&str>, _flow: &Token) -> Result<Step, ServiceError> {
        todo!("service helper")
    }
}
