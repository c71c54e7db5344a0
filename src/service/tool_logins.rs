//! What people sign in with at tools behind the wall, each for a route that asks for it (F37): kept sealed, set and taken away by
//! their owner or by a manager, shown to the tool and never again to anybody.
//!
//! All of an account's stand in one record, so that an account is deleted with them in one commit, whoever sets another one meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ServiceError;
use super::actor::Actor;
use super::context::{Context, Found, TRIES};
use super::events::{self, By};
use super::rights::Authority;
use super::users::Rejection;
use crate::audit;
use crate::authn::tool_login::{Credentials, Kind, Part, Unusable};
use crate::authn::user::User;
use crate::authz::Account;
use crate::authz::permission::Act;
use crate::clock::Timestamp;
use crate::config::{Config, Whose};
use crate::id::UserId;
use crate::secret::{Purpose, Sealed};
use crate::store::engine::Expect;
use crate::store::record::{Change, Record};

/// `tool-login/USER`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Kept {
    by_route: BTreeMap<String, One>,
}

/// For one route.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct One {
    sealed: Sealed,
    changed_at: Timestamp,
}

impl Record for Kept {
    const KIND: &'static str = "tool-login";
}

/// A tool that asks each account for its own, and whether there is something to show it.
#[derive(Debug, Clone)]
pub struct ToolView {
    pub route: String,
    pub kind: Kind,
    /// Since when it is there.
    pub changed_at: Option<Timestamp>,
}

/// What is stored for an account and a route, whether or not the route asks for it still.
#[derive(Debug, Clone)]
pub struct StoredView {
    pub user: UserId,
    pub route: String,
    pub changed_at: Timestamp,
}

/// Why nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// No route of this name asks each account for its own.
    NoSuchTool,
    /// The tool could not be shown it.
    Unusable(Part, Unusable),
    Rejection(Rejection),
}

/// How many accounts' are read at once.
const PIECE: usize = 256;

/// What is to become of it.
enum Wish {
    Set(Credentials),
    Forget,
}

/// All of them.
pub struct ToolLogins {
    context: Arc<Context>,
}

impl ToolLogins {
    pub(super) const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// What the tool of this route is shown for this account; `None`: nothing is stored that it could be shown. Read anew each time, so
    /// that what was taken away is not shown once more.
    ///
    /// # Errors
    /// Where the store cannot tell, or what is stored does not open.
    pub async fn of(
        &self,
        user: UserId,
        route: &str,
        kind: Kind,
        now: Timestamp,
    ) -> Result<Option<(Credentials, Timestamp)>, ServiceError> {
        let slot = self.context.store.get::<Kept>(&user.to_string(), now).await?;
        let Some(one) = slot.record.as_ref().and_then(|kept| kept.by_route.get(route)) else { return Ok(None) };
        let keys = self.context.config.load_full().keys.clone();
        let plain = keys.open(Purpose::ToolLogin, &owner(user, route), &one.sealed)?;
        Ok(Credentials::decode(kind, &plain).map(|credentials| (credentials, one.changed_at)))
    }

    /// The tools that ask each account for its own: those that this account may be let through to, or all.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn tools(
        &self,
        config: &Config,
        user: UserId,
        account: Option<&Account>,
        now: Timestamp,
    ) -> Result<Vec<ToolView>, ServiceError> {
        let kept = self.context.store.get::<Kept>(&user.to_string(), now).await?.record.unwrap_or_default();
        let may_pass = |route: &crate::authz::Route| account.is_none_or(|account| route.allow.names(account));
        let view = |(id, route): (crate::authz::RouteId, &crate::authz::Route)| {
            let kind = per_account(config, id)?;
            let changed_at = kept.by_route.get(&route.name).map(|one| one.changed_at);
            may_pass(route).then(|| ToolView { route: route.name.clone(), kind, changed_at })
        };
        Ok(config.routes.iter().filter_map(view).collect())
    }

    /// Everything that is stored for these accounts, in their order.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn stored(&self, users: &[UserId], now: Timestamp) -> Result<Vec<StoredView>, ServiceError> {
        let mut stored = Vec::new();
        for users in users.chunks(PIECE) {
            let names: Vec<String> = users.iter().map(ToString::to_string).collect();
            let found = self.context.store.get_all::<Kept>(&names, now).await?;
            for (user, slot) in users.iter().zip(found) {
                let kept = slot.record.unwrap_or_default();
                let view = |(route, one): (String, One)| StoredView { user: *user, route, changed_at: one.changed_at };
                stored.extend(kept.by_route.into_iter().map(view));
            }
        }
        Ok(stored)
    }

    /// Stores what the tool of this route is shown for this account from now on.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn set(
        &self,
        user: UserId,
        route: &str,
        username: &str,
        secret: crate::secret::SecretString,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<(), Refused>, ServiceError> {
        let config = self.context.config.load_full();
        let found = config.routes.iter().find(|(_, known)| known.name == route);
        let Some(kind) = found.and_then(|(id, _)| per_account(&config, id)) else {
            return Ok(Err(Refused::NoSuchTool));
        };
        match Credentials::new(kind, username, secret) {
            Ok(credentials) => self.change(user, route, &Wish::Set(credentials), actor, now).await,
            Err((part, why)) => Ok(Err(Refused::Unusable(part, why))),
        }
    }

    /// Takes away what is stored, whether or not the route asks for it still.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn forget(
        &self,
        user: UserId,
        route: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<(), Refused>, ServiceError> {
        self.change(user, route, &Wish::Forget, actor, now).await
    }

    async fn change(
        &self,
        user: UserId,
        route: &str,
        wish: &Wish,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<(), Refused>, ServiceError> {
        let context = &self.context;
        let rejected = |rejection| Ok(Err(Refused::Rejection(rejection)));
        for _ in 0..TRIES {
            let authority = match Authority::of(&context.store, actor, now).await? {
                Ok(authority) => authority,
                Err(rejection) => return rejected(rejection),
            };
            let Some(Found { user: subject, seen }) = context.user(user, now).await? else {
                return rejected(Rejection::NoSuchUser(user.to_string()));
            };
            if let Err(rejection) = authority.may(Act::SetToolLogin, &subject) {
                return rejected(rejection);
            }
            let name = user.to_string();
            let slot = context.store.get::<Kept>(&name, now).await?;
            let mut kept = slot.record.unwrap_or_default();
            let words = match wish {
                Wish::Set(credentials) => {
                    let keys = context.config.load_full().keys.clone();
                    let sealed = keys.seal(Purpose::ToolLogin, &owner(user, route), &credentials.encode())?;
                    kept.by_route.insert(route.to_owned(), One { sealed, changed_at: now });
                    "set"
                }
                Wish::Forget if kept.by_route.remove(route).is_none() => return Ok(Err(Refused::NoSuchTool)),
                Wish::Forget => "removed",
            };
            // The account as it was read: one that is being deleted gets nothing any more.
            let change = authority.held(Change::new()).unchanged::<User>(&name, seen);
            let change = change.unchanged::<Kept>(&name, slot.seen);
            let change = if kept.by_route.is_empty() { change.delete::<Kept>(&name) } else { change.put(&name, &kept) };
            let by = match actor {
                Actor::Person(person) if person.user == user => By::InSession(person.client.clone(), person.session),
                _ => By::Actor(actor),
            };
            let kind = audit::Kind::ToolLoginChanged;
            let event = events::success(kind, now, Some(user), subject.login.as_str(), by)?;
            let event = audit::Event { route: Some(route.to_owned()), ..events::detailed(event, words) };
            if context.commit(change, &[event]).await?.is_some() {
                return Ok(Ok(()));
            }
        }
        Err(ServiceError::Contended)
    }
}

/// What this route's tool takes, where it takes something else from each account.
#[must_use]
pub fn per_account(config: &Config, id: crate::authz::RouteId) -> Option<Kind> {
    let auth = config.upstream(id)?.auth.as_ref()?;
    matches!(auth.whose, Whose::PerAccount).then(|| auth.way.kind())
}

/// The change takes away whatever is stored for an account, as it was seen.
pub(super) fn without(change: Change, user: UserId, seen: Expect) -> Change {
    let name = user.to_string();
    change.unchanged::<Kept>(&name, seen).delete::<Kept>(&name)
}

/// To whom each sealed value of a record is bound.
pub(super) fn sealed(kept: &mut Kept, user: UserId) -> impl Iterator<Item = (String, &mut Sealed)> {
    kept.by_route.iter_mut().map(move |(route, one)| (owner(user, route), &mut one.sealed))
}

fn owner(user: UserId, route: &str) -> String {
    format!("{user}/{route}")
}
