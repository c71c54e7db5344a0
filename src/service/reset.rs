//! Links by mail that set a new password: asked for by whoever forgot theirs, or sent by a manager.

use std::sync::Arc;

use super::ServiceError;
use super::actor::Actor;
use super::context::Context;
use super::rights::Authority;
use super::users::Rejection;
use crate::authz::permission::Act;
use crate::clock::Timestamp;
use crate::id::UserId;

/// All links.
pub struct Resets {
    context: Arc<Context>,
}

impl Resets {
    pub(super) const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// A manager's link: sends `user` a mail by which a new password can be set. It needs a mail address and the section
    /// `mail`; the second factor is asked for at the login all the same.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn send(
        &self,
        user: UserId,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<(), Rejection>, ServiceError> {
        let authority = match Authority::of(&self.context.store, actor, now).await? {
            Ok(authority) => authority,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let Some(found) = self.context.user(user, now).await? else {
            return Ok(Err(Rejection::NoSuchUser(user.to_string())));
        };
        if let Err(rejection) = authority.may(Act::SendLink, &found.user) {
            return Ok(Err(rejection));
        }
        if self.context.config.load().mail.is_none() {
            return Ok(Err(Rejection::MailNotConfigured));
        }
        if found.user.email.is_none() {
            return Ok(Err(Rejection::NoAddress(found.user.login)));
        }
        Ok(Err(Rejection::NotYet("links by mail")))
    }
}
