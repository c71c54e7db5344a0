//! What would become of a change, without making it: for lists that are looked at before anything is done. The judgement
//! that counts is made again with the commit.

use super::{NewUser, Rejection, UserChange, Users, change, possible};
use crate::authn::user::User;
use crate::clock::Timestamp;
use crate::config::SwitchedOnBy;
use crate::service::ServiceError;
use crate::service::actor::Actor;

impl Users {
    /// Whether [`Users::add`] would take it, but for the login, which may be somebody's.
    pub(in crate::service) async fn would_add(
        &self,
        new: &NewUser,
        _actor: &Actor,
        _now: Timestamp,
    ) -> Result<Result<(), Rejection>, ServiceError> {
        let config = self.context.config.load_full();
        let method = new.method.unwrap_or(config.second_factor.default_method);
        if let Err(rejection) = possible(&config, method, new.email.as_ref(), new.must_change) {
            return Ok(Err(rejection));
        }
        if new.second_factor == Some(true) && config.second_factor.switched_on_by == SwitchedOnBy::Owner {
            return Ok(Err(Rejection::OwnerSwitchesOn));
        }
        Ok(Ok(()))
    }

    /// Whether [`Users::set`] would make this change to `user`.
    pub(in crate::service) async fn would_set(
        &self,
        user: &User,
        asked: &UserChange,
        _actor: &Actor,
        _now: Timestamp,
    ) -> Result<Result<(), Rejection>, ServiceError> {
        let config = self.context.config.load_full();
        let mut after = user.clone();
        Ok(change::apply(&config, &mut after, asked, None).map(|_| ()))
    }
}
