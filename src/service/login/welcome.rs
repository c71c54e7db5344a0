//! What there is to tell somebody who has just signed in: few recovery codes are left, or they were never saved, or the app
//! is lost.

use super::Welcome;
use crate::authn::session::Session;
use crate::authn::user::User;
use crate::config::Config;
use crate::service::ServiceError;
use crate::service::context::Context;
use crate::service::visit::Visit;

pub async fn welcome(context: &Context, visit: &Visit) -> Result<Option<Welcome>, ServiceError> {
    let (Some(live), Some(token)) = (&visit.session, &visit.cookies.session) else { return Ok(None) };
    if !live.is_alive(visit.now) {
        return Ok(None);
    }
    let record = context.store.get::<Session>(&token.digest().to_string(), visit.now).await?.record;
    let Some(session) = record.filter(|session| session.id == live.id()) else { return Ok(None) };
    let Some(account) = context.user(session.user, visit.now).await? else { return Ok(None) };
    let recovery_left = low_water(&visit.config, &account.user);
    let recovery_unsaved = unsaved(&account.user);
    let by_recovery_code = session.by_recovery_code;
    if recovery_left.is_none() && !recovery_unsaved && !by_recovery_code {
        return Ok(None);
    }
    let demand = visit.config.portal_demand();
    let new_app_possible = crate::authn::login::has_lost_app(&session, &account.user, demand, visit.now);
    Ok(Some(Welcome { recovery_left, recovery_unsaved, by_recovery_code, new_app_possible }))
}

/// Whether a login of this account has something to tell, by whatever it was begun.
pub fn is_due(config: &Config, user: &User) -> bool {
    low_water(config, user).is_some() || unsaved(user)
}

/// Whether recovery codes were made that nobody has said to have saved.
fn unsaved(user: &User) -> bool {
    user.second_factor.recovery.as_ref().is_some_and(|set| !set.is_saved())
}

/// How many recovery codes are left, where that is worth a warning.
fn low_water(config: &Config, user: &User) -> Option<usize> {
    let left = user.second_factor.recovery.as_ref()?.left();
    (left <= usize::from(config.second_factor.recovery_codes.low_water)).then_some(left)
}
