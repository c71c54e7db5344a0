//! Links by mail that set a new password: asked for by whoever forgot theirs, or sent by a manager.
//!
//! ```text
//! ask ──counted by address, one commit──▶ the same answer for everybody
//!        └─▶ later, off the answer's path: the account, its share of mails, the link, the mail
//! send (a manager) ──▶ the link, the mail
//! open ──▶ spends nothing: scanners of mail open every link
//! set ──one commit──▶ link spent, password changed, sessions ended, wrong passwords forgotten. No session: the login follows,
//!                      second factor and all
//! ```
//!
//! A newer link voids the older. Only digests are kept.

mod ask;
mod link;
mod set;

use std::sync::Arc;

use tokio::sync::{Mutex, Semaphore};

pub use self::ask::Asked;
pub use self::set::{Outcome, ResetView};
use super::ServiceError;
use super::actor::Actor;
use super::context::{Context, TRIES};
use super::events::{self, By};
use super::mail_limit::{self, Letter};
use super::rights::Authority;
use super::users::Rejection;
use super::visit::Visit;
use crate::audit::Kind;
use crate::authn::reset_link::SentBy;
use crate::authz::permission::Act;
use crate::clock::Timestamp;
use crate::config::Language;
use crate::id::UserId;
use crate::secret::{SecretString, Token};
use crate::store::record::Change;

/// How many that were asked for may wait to be looked at; more are dropped, and told the same.
const WAITING: usize = 64;

/// All links.
pub struct Resets {
    context: Arc<Context>,
    waiting: Arc<Semaphore>,
    /// One is looked at, at a time: whoever asks for many keeps nobody else's work from being done.
    one: Arc<Mutex<()>>,
}

impl Resets {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context, waiting: Arc::new(Semaphore::new(WAITING)), one: Arc::default() }
    }

    /// Somebody has forgotten the password of the account with this login or mail address. What is answered says nothing of
    /// whether there is one.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn ask(&self, visit: &Visit, user_agent: Option<&str>, typed: &str) -> Result<Asked, ServiceError> {
        ask::ask(self, visit, user_agent, typed).await
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
        let context = &self.context;
        let config = context.config.load_full();
        for _ in 0..TRIES {
            let authority = match Authority::of(&context.store, actor, now).await? {
                Ok(authority) => authority,
                Err(rejection) => return Ok(Err(rejection)),
            };
            let Some(found) = context.user(user, now).await? else {
                return Ok(Err(Rejection::NoSuchUser(user.to_string())));
            };
            let login = found.user.login.clone();
            if let Err(rejection) = authority.may(Act::SendLink, &found.user) {
                return Ok(Err(rejection));
            }
            if config.mail.is_none() || config.portal.url.is_none() {
                return Ok(Err(Rejection::MailNotConfigured));
            }
            if found.user.disabled {
                return Ok(Err(Rejection::Disabled(login)));
            }
            if found.user.email.is_none() {
                return Ok(Err(Rejection::NoAddress(login)));
            }
            let allowance = mail_limit::read(context, user, Letter::ManagersLink, None, link::PAUSE, now).await?;
            if !allowance.wait().is_zero() {
                return Ok(Err(Rejection::TooManyMails(login)));
            }
            let token = Token::generate()?;
            let change = authority.held(allowance.spend(Change::new()));
            let change = link::with(context, &config, change, &found, SentBy::Manager, &token, now).await?;
            let event = events::success(Kind::PasswordReset, now, Some(user), login.as_str(), By::Actor(actor))?;
            if context.commit(change, &[events::detailed(event, "a link was sent")]).await?.is_some() {
                // Whose language it is, is not known here.
                let language = config.portal.languages.first().copied().unwrap_or(Language::En);
                let link = link::address(&config, &token);
                context.mailer.link(&config, language, &found.user, SentBy::Manager, &link);
                return Ok(Ok(()));
            }
        }
        Err(ServiceError::Contended)
    }

    /// Whose password this link sets, for its page; `None`: it is good for nothing (any more). Spends nothing.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn open(&self, visit: &Visit, token: &Token) -> Result<Option<ResetView>, ServiceError> {
        set::view(&self.context, visit, token).await
    }

    /// Sets the password, and spends the link. `code`: a recovery code, where [`ResetView::needs_recovery_code`].
    ///
    /// # Errors
    /// [`ServiceError::Busy`] where too many hashes wait; others where the store cannot.
    pub async fn set(
        &self,
        visit: &Visit,
        user_agent: Option<&str>,
        token: &Token,
        new: SecretString,
        code: &str,
    ) -> Result<Outcome, ServiceError> {
        set::set(&self.context, visit, user_agent, token, new, code).await
    }
}

#[cfg(test)]
mod tests;
