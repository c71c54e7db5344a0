//! Whether an actor may do it, judged by their account as it is in the store at the moment of the act.
//!
//! Whoever signed in as a manager may have been demoted since. So the actor's account is read anew, and the commit of the act
//! compares its version: a change in between makes the act fail and be judged again.

use std::collections::BTreeSet;

use super::ServiceError;
use super::actor::Actor;
use super::users::Rejection;
use crate::authn::user::{Group, Role, User};
use crate::authz::permission::{self, Act, Party, Refusal, Task};
use crate::clock::Timestamp;
use crate::store::engine::Expect;
use crate::store::record::{Change, Store};

/// By what right somebody acts.
pub enum Authority {
    /// The command line, or what happens by itself: bound by no role.
    All,
    Of(Box<Holder>),
}

/// The actor's account as it was read, and what a commit must compare.
pub struct Holder {
    user: User,
    seen: Expect,
}

impl Authority {
    /// Reads it anew. Rejected: whoever it was has no account any more, or a disabled one.
    pub async fn of(store: &Store, actor: &Actor, now: Timestamp) -> Result<Result<Self, Rejection>, ServiceError> {
        let person = match actor {
            Actor::CommandLine | Actor::Sekisho => return Ok(Ok(Self::All)),
            Actor::Person(person) => person,
        };
        let slot = store.get::<User>(&person.user.to_string(), now).await?;
        let standing = slot.record.filter(|user| !user.disabled);
        Ok(standing.map(|user| Self::Of(Box::new(Holder { user, seen: slot.seen }))).ok_or(Rejection::Forbidden))
    }

    pub fn may(&self, act: Act, subject: &User) -> Result<(), Rejection> {
        let Self::Of(holder) = self else { return Ok(()) };
        let party = |user: &User| Party { id: user.id, role: user.role };
        permission::judge(party(&holder.user), act, party(subject)).map_err(Rejection::from)
    }

    pub fn may_do(&self, task: Task) -> Result<(), Rejection> {
        match self {
            Self::Of(holder) if holder.user.role < task.least() => Err(Rejection::Forbidden),
            _ => Ok(()),
        }
    }

    pub fn may_give_role(&self, role: Role) -> Result<(), Rejection> {
        let Self::Of(holder) = self else { return Ok(()) };
        permission::give_role(holder.user.role, role).map_err(Rejection::from)
    }

    pub fn may_change_groups(&self, before: &BTreeSet<Group>, after: &BTreeSet<Group>) -> Result<(), Rejection> {
        let Self::Of(holder) = self else { return Ok(()) };
        let out_of_reach = permission::group_out_of_reach(holder.user.role, &holder.user.groups, before, after);
        out_of_reach.map_or(Ok(()), |group| Err(Rejection::GroupNotHeld(group.clone())))
    }

    /// Whether it is an admin's, or not bound by roles at all.
    pub fn is_full(&self) -> bool {
        match self {
            Self::All => true,
            Self::Of(holder) => holder.user.role == Role::Admin,
        }
    }

    /// A change that holds only while the actor's account is as it was when it was judged.
    pub fn held(&self, change: Change) -> Change {
        match self {
            Self::All => change,
            Self::Of(holder) => change.unchanged::<User>(&holder.user.id.to_string(), holder.seen),
        }
    }
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Role => Self::Forbidden,
            Refusal::Oneself => Self::Oneself,
        }
    }
}
