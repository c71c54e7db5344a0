//! The owner gives the second factor up, or switches codes by mail on (F5). What was open elsewhere ends with it, and so does every
//! login that was begun before.

use std::time::Duration;

use super::{Obstacle, Outcome, Own, OwnSettings, is_asked_for_anywhere, is_required_anywhere};
use crate::audit::Kind;
use crate::authn::confirmation::Confirmed;
use crate::authn::lockout::AccountThrottle;
use crate::authn::login::{self, Stale, facts};
use crate::authn::user::{Method, User};
use crate::config::Config;
use crate::secret::Token;
use crate::service::ServiceError;
use crate::service::context::TRIES;
use crate::service::events::{self, By};
use crate::service::mail_limit::{self, Letter};
use crate::service::mailer::Notice;
use crate::service::records;
use crate::service::visit::Visit;
use crate::store::record::Change;

/// What becomes of the second factor.
#[derive(Clone, Copy)]
enum Step {
    GiveUp,
    SwitchOn,
}

impl OwnSettings {
    /// Removes the app, or switches codes by mail off: where no route asks everybody for a second factor. Done, the session has a
    /// new value.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn give_up_factor(
        &self,
        visit: &Visit,
        user_agent: Option<&str>,
    ) -> Result<Outcome<Token>, ServiceError> {
        self.change_factor(visit, user_agent, Step::GiveUp).await
    }

    /// Has codes by mail asked for from now on. The code that this asks for again proves that they arrive. Done, the session has a
    /// new value.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn switch_factor_on(
        &self,
        visit: &Visit,
        user_agent: Option<&str>,
    ) -> Result<Outcome<Token>, ServiceError> {
        self.change_factor(visit, user_agent, Step::SwitchOn).await
    }

    async fn change_factor(
        &self,
        visit: &Visit,
        user_agent: Option<&str>,
        step: Step,
    ) -> Result<Outcome<Token>, ServiceError> {
        let (context, now) = (&self.context, visit.now);
        for _ in 0..TRIES {
            let Some(own) = Own::load(context, visit).await? else { return Ok(Outcome::SignedOut) };
            let before = &own.account.user;
            if let Some(obstacle) = step.obstacle(before, &visit.config) {
                return Ok(Outcome::Refused(obstacle));
            }
            let Ok(confirmed) = own.confirmed(visit) else { return Ok(Outcome::ConfirmationDue) };
            if step.is_so(before) {
                return Ok(Outcome::Done(own.token));
            }
            let allowance = mail_limit::read(context, before.id, Letter::Notice, None, Duration::ZERO, now).await?;
            if !allowance.wait().is_zero() {
                return Ok(Outcome::Refused(Obstacle::TooManyMails(allowance.wait())));
            }
            let mut user = before.clone();
            if step.take(&confirmed, &mut user, &visit.config).is_err() {
                return Ok(Outcome::SignedOut);
            }
            let change = context.without_devices(allowance.spend(Change::new()), user.id, now).await?;
            let (change, renewal) = own.renewed(context, visit, change, own.session.clone(), Some(&user)).await?;
            let throttle_name = records::account_throttle(user.id);
            let throttle = context.store.get::<AccountThrottle>(&throttle_name, now).await?;
            let change = match throttle.record {
                Some(mut counted) => {
                    counted.right_code();
                    change.unchanged::<AccountThrottle>(&throttle_name, throttle.seen).put(&throttle_name, &counted)
                }
                None => change,
            };
            let by = By::InSession(visit.origin(user_agent), own.session.id);
            let event = events::success(step.kind(), now, Some(user.id), user.login.as_str(), by)?;
            let event = events::detailed(event, step.words());
            if context.commit(change, &[event]).await?.is_some() {
                let token = renewal.took_place(context, now).await;
                context.mailer.notice(&visit.config, visit.language, before, step.notice(), now);
                return Ok(Outcome::Done(token));
            }
        }
        Err(ServiceError::Contended)
    }
}

impl Step {
    fn obstacle(self, user: &User, config: &Config) -> Option<Obstacle> {
        match self {
            Self::GiveUp if is_required_anywhere(config) => Some(Obstacle::FactorRequired),
            Self::GiveUp if !facts(user).usable || self.is_so(user) => Some(Obstacle::NoSecondFactor),
            Self::SwitchOn if !is_asked_for_anywhere(config) => Some(Obstacle::NotInUse),
            Self::SwitchOn if user.second_factor.method != Method::Mail || config.mail.is_none() => {
                Some(Obstacle::NoSecondFactor)
            }
            Self::GiveUp | Self::SwitchOn => None,
        }
    }

    /// Whether there is nothing left to do.
    fn is_so(self, user: &User) -> bool {
        let on = user.second_factor.switched_on;
        match self {
            Self::GiveUp => user.second_factor.method == Method::Mail && !on,
            Self::SwitchOn => on,
        }
    }

    fn take(self, confirmed: &Confirmed, user: &mut User, config: &Config) -> Result<(), Stale> {
        match self {
            Self::GiveUp => login::give_up(confirmed, user, config.portal_demand()),
            Self::SwitchOn => login::switch_on(confirmed, user, config.portal_demand()),
        }
    }

    const fn kind(self) -> Kind {
        match self {
            Self::GiveUp => Kind::SecondFactorReset,
            Self::SwitchOn => Kind::UserChanged,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::GiveUp => "given up by the owner",
            Self::SwitchOn => "second factor on",
        }
    }

    const fn notice(self) -> Notice {
        match self {
            Self::GiveUp => Notice::FactorRemoved,
            Self::SwitchOn => Notice::SwitchedOn,
        }
    }
}
