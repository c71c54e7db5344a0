//! What would become of a change, without making it: for lists that are looked at before anything is done. The judgement
//! that counts is made again with the commit.

use super::{NewUser, Rejection, UserChange, Users, change};
use crate::authn::user::User;
use crate::authz::permission::Act;
use crate::clock::Timestamp;
use crate::service::ServiceError;
use crate::service::actor::Actor;
use crate::service::rights::Authority;

impl Users {
    /// Whether [`Users::add`] would take it, but for the login, which may be somebody's.
    pub(in crate::service) async fn would_add(
        &self,
        new: &NewUser,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<(), Rejection>, ServiceError> {
        Ok(self.drafted(new, actor, now).await?.map(|_| ()))
    }

    /// Whether [`Users::set`] would make this change to `user`, but for what only a commit can tell, as who is the last
    /// administrator.
    pub(in crate::service) async fn would_set(
        &self,
        user: &User,
        asked: &UserChange,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<(), Rejection>, ServiceError> {
        let authority = match Authority::of(&self.context.store, actor, now).await? {
            Ok(authority) => authority,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let config = self.context.config.load_full();
        let mut after = user.clone();
        let judged = authority
            .may(Act::EditName, user)
            .and_then(|()| change::apply(&config, &mut after, asked, None))
            .and_then(|_| self.may_change(&authority, user, &after));
        Ok(judged)
    }
}
