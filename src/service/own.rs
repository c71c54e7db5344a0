//! Whoever is signed in at a visit, read anew from the store: what one's own settings are judged by.

use super::ServiceError;
use super::context::{Context, Found};
use super::visit::Visit;
use crate::authn::confirmation::{self, Confirmed, Missing};
use crate::authn::session::Session;
use crate::secret::{Token, TokenDigest};
use crate::store::engine::Expect;

/// A living session with its account, and what a commit must compare.
pub struct Own {
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

    /// The account's other sessions.
    pub async fn others(&self, context: &Context, visit: &Visit) -> Result<Vec<(TokenDigest, Session)>, ServiceError> {
        let mut others = context.sessions.of_user(self.session.user, visit.now).await?;
        others.retain(|(_, session)| session.id != self.session.id);
        Ok(others)
    }
}
