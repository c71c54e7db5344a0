//! Accounts, as a manager or the command line handles them.
//!
//! Every change is one commit over the account, its login's index, what it ends, and the audit event. What must not be
//! survived (sessions, device keys) ends by the account's epoch, which every request compares; removing the records is
//! tidying up.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::ServiceError;
use super::actor::Actor;
use super::context::{self, Context, Found, TRIES};
use super::events::{self, By};
use super::records::{self, AdminGuard, LoginIndex};
use super::session::Sessions;
use crate::audit::Kind;
use crate::authn::lockout::AccountThrottle;
use crate::authn::password::{Personal, Policy, Weakness};
use crate::authn::user::{DisplayName, Email, Group, LoginName, Method, Role, SecondFactor, StoredPassword, User};
use crate::authz::Policy as Demand;
use crate::clock::Timestamp;
use crate::config::{Config, SwitchedOnBy};
use crate::id::UserId;
use crate::secret::{ExposeSecret, SecretString, random_bytes};
use crate::store::engine::Expect;
use crate::store::record::Change;

mod change;

/// How many records are read at once where all have to be looked at.
const PAGE: usize = 500;

/// All accounts.
pub struct Users {
    context: Arc<Context>,
}

/// What `user add` is given.
#[derive(Debug)]
pub struct NewUser {
    pub login: LoginName,
    pub name: DisplayName,
    pub email: Option<Email>,
    pub groups: BTreeSet<Group>,
    pub role: Role,
    /// `None`: the configuration's default.
    pub method: Option<Method>,
    /// `None`: on where the policy is `required`, else off.
    pub second_factor: Option<bool>,
    pub password: Option<SecretString>,
    pub must_change: bool,
}

/// What `user set` changes; `None` leaves a field as it is.
#[derive(Debug, Default)]
pub struct UserChange {
    pub name: Option<DisplayName>,
    /// `Some(None)` removes the address.
    pub email: Option<Option<Email>>,
    pub groups: Option<BTreeSet<Group>>,
    pub role: Option<Role>,
    pub method: Option<Method>,
    pub second_factor: Option<bool>,
    pub password: Option<SecretString>,
    pub must_change: Option<bool>,
}

/// An account as it is shown: what the list of F24 has.
#[derive(Debug, Clone)]
pub struct UserView {
    pub user: User,
    /// Until when failures have locked it; [`crate::authn::lockout::INDEFINITELY`]: until a manager unlocks it.
    pub locked_until: Option<Timestamp>,
}

/// Why an account was not added or changed: the caller's mistake, in words the caller can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("there is an account {0} already")]
    LoginTaken(LoginName),
    #[error("there is no account {0}")]
    NoSuchUser(String),
    #[error("the mail method needs a mail address")]
    MailWithoutAddress,
    #[error("the password is too weak: {0}")]
    WeakPassword(Weakness),
    #[error("{0} is the last administrator who can sign in; make another one first")]
    LastAdmin(LoginName),
    #[error("codes by mail need the section `mail` in the configuration")]
    MailNotConfigured,
    #[error("the account {0} has no mail address")]
    NoAddress(LoginName),
    #[error("the account {0} is disabled")]
    Disabled(LoginName),
    #[error("too many mails were sent to the account {0}; try again later")]
    TooManyMails(LoginName),
    /// `second_factor.switched_on_by: owner` (F5).
    #[error("only the owner of an account switches its second factor on (second_factor.switched_on_by: owner)")]
    OwnerSwitchesOn,
    /// Accepted now, it would lock the person out, or be ignored.
    #[error("this version of sekisho has no {0} yet")]
    NotYet(&'static str),
}

impl Users {
    pub(super) const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Adds an account.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn add(
        &self,
        new: NewUser,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<UserView, Rejection>, ServiceError> {
        let config = self.context.config.load_full();
        let method = new.method.unwrap_or(config.second_factor.default_method);
        if let Err(rejection) = possible(&config, method, new.email.as_ref(), new.must_change) {
            return Ok(Err(rejection));
        }
        if new.second_factor == Some(true) && config.second_factor.switched_on_by == SwitchedOnBy::Owner {
            return Ok(Err(Rejection::OwnerSwitchesOn));
        }
        let on_by_default = config.second_factor.demand.policy == Demand::Required;
        let mut user = User {
            id: UserId::from_bytes(random_bytes()?),
            login: new.login,
            name: new.name,
            email: new.email,
            groups: new.groups,
            role: new.role,
            password: None,
            disabled: false,
            second_factor: SecondFactor {
                switched_on: new.second_factor.unwrap_or(on_by_default),
                method,
                totp: None,
                recovery: None,
            },
            epoch: 0,
            registered_at: now,
            last_login: None,
        };
        if let Some(password) = new.password {
            match self.hash(&user, password, now).await? {
                Ok(stored) => user.password = Some(stored),
                Err(rejection) => return Ok(Err(rejection)),
            }
        }
        let index = records::login_name(&user.login);
        let slot = self.context.store.get::<LoginIndex>(&index, now).await?;
        if slot.record.is_some() {
            return Ok(Err(Rejection::LoginTaken(user.login)));
        }
        let event = events::success(Kind::UserAdded, now, Some(user.id), user.login.as_str(), By::Actor(actor))?;
        let change = Change::new()
            .unchanged::<LoginIndex>(&index, slot.seen)
            .unchanged::<User>(&user.id.to_string(), Expect::Absent)
            .put(&index, &LoginIndex { user: user.id })
            .put(&user.id.to_string(), &user);
        match self.context.commit(change, &[event]).await? {
            Some(_) => Ok(Ok(UserView { user, locked_until: None })),
            None => Ok(Err(Rejection::LoginTaken(user.login))),
        }
    }

    /// All accounts, by login.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn list(&self, now: Timestamp) -> Result<Vec<UserView>, ServiceError> {
        let mut views = Vec::new();
        for user in self.all(now).await? {
            views.push(self.view(user, now).await?);
        }
        views.sort_by(|a, b| a.user.login.cmp(&b.user.login));
        Ok(views)
    }

    /// One account, by login or id.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn show(&self, who: &str, now: Timestamp) -> Result<Result<UserView, Rejection>, ServiceError> {
        match self.resolve(who, now).await? {
            Some(found) => Ok(Ok(self.view(found.user, now).await?)),
            None => Ok(Err(Rejection::NoSuchUser(who.to_owned()))),
        }
    }

    /// Lifts a lock and forgets the failures counted.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn unlock(
        &self,
        who: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<UserView, Rejection>, ServiceError> {
        let Some(Found { user, .. }) = self.resolve(who, now).await? else {
            return Ok(Err(Rejection::NoSuchUser(who.to_owned())));
        };
        let event = events::success(Kind::UserChanged, now, Some(user.id), user.login.as_str(), By::Actor(actor))?;
        let event = events::detailed(event, "unlocked");
        let change = Change::new().delete::<AccountThrottle>(&records::account_throttle(user.id));
        match self.context.commit(change, &[event]).await? {
            Some(_) => Ok(Ok(UserView { user, locked_until: None })),
            None => Err(ServiceError::Contended),
        }
    }

    /// Deletes an account with everything that belongs to it.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn delete(
        &self,
        who: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<(), Rejection>, ServiceError> {
        for _ in 0..TRIES {
            let Some(Found { user, seen }) = self.resolve(who, now).await? else {
                return Ok(Err(Rejection::NoSuchUser(who.to_owned())));
            };
            let change = match self.without_admin(Change::new(), &user, now).await? {
                Ok(change) => change,
                Err(rejection) => return Ok(Err(rejection)),
            };
            let sessions = self.context.sessions.of_user(user.id, now).await?;
            let event = events::success(Kind::UserDeleted, now, Some(user.id), user.login.as_str(), By::Actor(actor))?;
            let name = user.id.to_string();
            let change = Sessions::without(change, &sessions)
                .unchanged::<User>(&name, seen)
                .delete::<User>(&name)
                .delete::<LoginIndex>(&records::login_name(&user.login))
                .delete::<AccountThrottle>(&records::account_throttle(user.id));
            let change = self.context.without_devices(change, user.id, now).await?;
            if self.context.commit(change, &[event]).await?.is_some() {
                self.after(user.id, &sessions, now).await;
                return Ok(Ok(()));
            }
        }
        Err(ServiceError::Contended)
    }

    /// The account, by login or id.
    async fn resolve(&self, who: &str, now: Timestamp) -> Result<Option<Found>, ServiceError> {
        if let Ok(login) = who.parse::<LoginName>()
            && let Some(found) = self.context.user_by_login(&login, now).await?
        {
            return Ok(Some(found));
        }
        match who.parse::<UserId>() {
            Ok(id) => self.context.user(id, now).await,
            Err(_) => Ok(None),
        }
    }

    async fn view(&self, user: User, now: Timestamp) -> Result<UserView, ServiceError> {
        let limits = context::limits(&self.context.config.load());
        let throttle = self.context.store.get::<AccountThrottle>(&records::account_throttle(user.id), now).await?;
        let locked_until = throttle.record.and_then(|throttle| throttle.locked_until(limits, now));
        Ok(UserView { user, locked_until })
    }

    async fn all(&self, now: Timestamp) -> Result<Vec<User>, ServiceError> {
        let mut users = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let page = self.context.store.list::<User>("", from, PAGE, now).await?;
            let full = page.len() == PAGE;
            after = page.last().map(|last| last.name.clone());
            users.extend(page.into_iter().map(|listed| listed.record));
            if !full {
                return Ok(users);
            }
        }
    }

    /// A new password, judged and hashed.
    async fn hash(
        &self,
        user: &User,
        password: SecretString,
        now: Timestamp,
    ) -> Result<Result<StoredPassword, Rejection>, ServiceError> {
        let config = self.context.config.load_full();
        let policy = Policy { min_length: config.password.min_length, min_classes: config.password.min_classes };
        let personal = Personal {
            login: user.login.as_str(),
            name: user.name.as_str(),
            email: user.email.as_ref().map(Email::as_str).unwrap_or_default(),
        };
        if let Err(weakness) = policy.check(password.expose_secret(), personal) {
            return Ok(Err(Rejection::WeakPassword(weakness)));
        }
        let hash = self.context.hasher.hash(password, context::cost(&config)).await?;
        Ok(Ok(StoredPassword { hash, changed_at: now, must_change: false }))
    }

    /// The change takes `user` out of the administrators: only where another one is left who can sign in. Two such changes
    /// at once compare the same guard, so that one of them is judged again.
    async fn without_admin(
        &self,
        change: Change,
        user: &User,
        now: Timestamp,
    ) -> Result<Result<Change, Rejection>, ServiceError> {
        if !is_effective_admin(user) {
            return Ok(Ok(change));
        }
        let guard = self.context.store.get::<AdminGuard>(AdminGuard::NAME, now).await?;
        let others = self.all(now).await?;
        if !others.iter().any(|other| other.id != user.id && is_effective_admin(other)) {
            return Ok(Err(Rejection::LastAdmin(user.login.clone())));
        }
        let changed = AdminGuard { changed_at: Some(now) };
        Ok(Ok(change.unchanged::<AdminGuard>(AdminGuard::NAME, guard.seen).put(AdminGuard::NAME, &changed)))
    }

    /// What follows a commit: the facts in memory are the new ones, the sessions that ended are gone.
    async fn after(
        &self,
        user: UserId,
        ended: &[(crate::secret::TokenDigest, crate::authn::session::Session)],
        now: Timestamp,
    ) {
        self.context.sessions.refresh(user, now).await;
        ended.iter().for_each(|(digest, session)| self.context.sessions.forget(digest, Some(session.id)));
    }
}

fn is_effective_admin(user: &User) -> bool {
    user.role == Role::Admin && !user.disabled && user.password.is_some()
}

/// What this version can do for an account.
fn possible(config: &Config, method: Method, email: Option<&Email>, must_change: bool) -> Result<(), Rejection> {
    if method == Method::Mail && email.is_none() {
        return Err(Rejection::MailWithoutAddress);
    }
    if method == Method::Mail && config.mail.is_none() {
        return Err(Rejection::MailNotConfigured);
    }
    if must_change {
        return Err(Rejection::NotYet("forced change of password"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
