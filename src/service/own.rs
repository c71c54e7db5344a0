//! What people do to their own account (F29). Everything is judged by the session and the account as the store has them at that
//! moment, and what changes how they sign in asks for the password and the second factor again
//! ([`crate::authn::confirmation`]), here and not on a page.

use std::sync::Arc;
use std::time::Duration;

use super::ServiceError;
use super::context::{Context, Found};
use super::visit::Visit;
use crate::authn::confirmation::{self, Confirmed, Missing};
use crate::authn::session::Session;
use crate::authz::Policy;
use crate::config::Config;
use crate::secret::Token;
use crate::store::engine::Expect;

mod address;
mod factor;
mod renewal;
mod view;

pub use self::address::{AddressView, Given};
pub use self::view::{FactorView, OwnView};

/// One's own settings.
pub struct OwnSettings {
    context: Arc<Context>,
}

impl OwnSettings {
    pub(super) const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

/// What became of a wish.
#[derive(Debug)]
pub enum Outcome<T = ()> {
    Done(T),
    /// The password, or the second factor, has to be given again first.
    ConfirmationDue,
    /// Nobody is signed in any more.
    SignedOut,
    Refused(Obstacle),
}

impl<T> Outcome<T> {
    /// What stood in the way, where it was not done; done, it leads nowhere else.
    #[must_use]
    pub fn not_done<U>(self) -> Outcome<U> {
        match self {
            Self::Done(_) | Self::SignedOut => Outcome::SignedOut,
            Self::ConfirmationDue => Outcome::ConfirmationDue,
            Self::Refused(obstacle) => Outcome::Refused(obstacle),
        }
    }
}

/// Why it cannot be, whoever wishes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The gateway or one of its routes asks everybody for a second factor.
    FactorRequired,
    /// No route asks anybody for one.
    NotInUse,
    /// There is no second factor that recovery codes could stand in for, or that could be given up.
    NoSecondFactor,
    /// Without the section `mail` no address can be proved.
    MailNotConfigured,
    SameAddress,
    /// The next mail has to wait.
    TooManyMails(Duration),
    /// No change waits for codes in this session.
    NothingBegun,
}

/// Whether a second factor is asked for by the gateway or any of its routes.
pub(super) fn is_asked_for_anywhere(config: &Config) -> bool {
    policies(config).any(|policy| policy != Policy::Off)
}

/// Whether there is no way to do without.
fn is_required_anywhere(config: &Config) -> bool {
    policies(config).any(|policy| policy == Policy::Required)
}

/// What the gateway and all of its routes ask for alike; `None`: not the same.
#[must_use]
pub fn policy_everywhere(config: &Config) -> Option<Policy> {
    let gateway = config.second_factor.demand.policy;
    policies(config).all(|policy| policy == gateway).then_some(gateway)
}

fn policies(config: &Config) -> impl Iterator<Item = Policy> {
    let routes = config.routes.iter().map(|(_, route)| route.second_factor.policy);
    std::iter::once(config.second_factor.demand.policy).chain(routes)
}

/// A living session with its account, and what a commit must compare.
pub(super) struct Own {
    pub token: Token,
    pub session: Session,
    pub seen: Expect,
    pub account: Found,
}

impl Own {
    /// `None`: nobody is signed in any more, or the connection is not one to be signed in over.
    pub async fn load(context: &Context, visit: &Visit) -> Result<Option<Self>, ServiceError> {
        let (Some(live), Some(token)) = (&visit.session, &visit.cookies.session) else { return Ok(None) };
        if !visit.may_sign_in || !live.is_alive(visit.now) {
            return Ok(None);
        }
        let slot = context.store.get::<Session>(&token.digest().to_string(), visit.now).await?;
        let Some(session) = slot.record.filter(|session| session.id == live.id()) else { return Ok(None) };
        let Some(account) = context.user(session.user, visit.now).await? else { return Ok(None) };
        let stands = session.epoch == account.user.epoch && !account.user.disabled;
        Ok(stands.then(|| Self { token: token.clone(), session, seen: slot.seen, account }))
    }

    /// Whether all was given again, as a change of the account's factors asks for.
    pub fn confirmed(&self, visit: &Visit) -> Result<Confirmed, Missing> {
        confirmation::judge(&self.session, &self.account.user, visit.now)
    }

    /// The same for taking another app.
    pub fn for_another_app(&self, visit: &Visit) -> Result<Confirmed, Missing> {
        let demand = visit.config.portal_demand();
        confirmation::for_another_app(&self.session, &self.account.user, demand, visit.now)
    }

    /// Whether the second factor has to be given again for a change that the password comes along with.
    pub fn lacks_code(&self, visit: &Visit) -> bool {
        confirmation::lacks_code(&self.session, &self.account.user, visit.now)
    }
}

#[cfg(test)]
mod tests;
