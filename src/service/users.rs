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
use super::mail_limit;
use super::passwords;
use super::records::{self, AdminGuard, LoginIndex};
use super::rights::Authority;
use super::tool_logins;
use crate::audit::Kind;
use crate::authn::address_change::AddressChange;
use crate::authn::lockout::AccountThrottle;
use crate::authn::login::facts;
use crate::authn::password::{ForeignHash, Weakness};
use crate::authn::reset_link::NewestLink;
use crate::authn::user::{DisplayName, Email, Group, LoginName, Method, Role, SecondFactor, StoredPassword, User};
use crate::authz::Policy as Demand;
use crate::authz::permission::{Act, Task};
use crate::clock::Timestamp;
use crate::config::{Config, SwitchedOnBy};
use crate::id::UserId;
use crate::secret::{SecretString, random_bytes};
use crate::store::engine::Expect;
use crate::store::record::Change;

mod change;
pub mod edition;
mod trial;

use self::edition::Edition;

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
    /// The password as another gate has hashed it; no rule for new ones is asked of it.
    pub hash: Option<ForeignHash>,
    pub must_change: bool,
    pub disabled: bool,
}

/// What `user set` changes; `None` leaves a field as it is.
#[derive(Debug, Default)]
pub struct UserChange {
    /// What a form was made from: refused where the account looks different by now.
    pub made_from: Option<Edition>,
    pub login: Option<LoginName>,
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
    #[error("mails need the section `mail` in the configuration")]
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
    /// The actor's role does not reach as far, or no longer.
    #[error("this is not allowed to your role")]
    Forbidden,
    /// Not to one's own account, from the pages of administration.
    #[error("nobody does this to their own account here")]
    Oneself,
    /// A manager gives and takes only groups that they have themselves: groups open routes.
    #[error("the group {0} is given and taken by those who have it, and by administrators")]
    GroupNotHeld(Group),
    /// A route's `allow.users` names it: whoever has the login passes there.
    #[error("a route names the login {0}: only an administrator may give it")]
    LoginNamedByRoute(LoginName),
    /// A new password goes to the mail address: whoever changes it can get to all that the account's groups and login open.
    #[error("the account reaches where you do not: only an administrator may change its mail address")]
    AddressOutOfReach,
    /// The form was made from an account that looked different.
    #[error("the account was changed meanwhile")]
    ChangedMeanwhile,
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
        let mut user = match self.drafted(&new, actor, now).await? {
            Ok(user) => user,
            Err(rejection) => return Ok(Err(rejection)),
        };
        if let Some(password) = new.password {
            match self.hash(&user, password, now).await? {
                Ok(stored) => user.password = Some(StoredPassword { must_change: new.must_change, ..stored }),
                Err(rejection) => return Ok(Err(rejection)),
            }
        }
        let imported = new.hash.as_ref().map(ForeignHash::scheme);
        if let Some(hash) = new.hash {
            let hash = hash.as_str().to_owned();
            user.password = Some(StoredPassword { hash, changed_at: now, must_change: new.must_change });
        }
        for _ in 0..TRIES {
            let authority = match self.may_add(&user, false, actor, now).await? {
                Ok(authority) => authority,
                Err(rejection) => return Ok(Err(rejection)),
            };
            let change = authority.held(Change::new()).unchanged::<User>(&user.id.to_string(), Expect::Absent);
            let change = match self.with_login(change, &user, now).await? {
                Ok(change) => change.put(&user.id.to_string(), &user),
                Err(rejection) => return Ok(Err(rejection)),
            };
            let event = events::success(Kind::UserAdded, now, Some(user.id), user.login.as_str(), By::Actor(actor))?;
            let event = match imported {
                Some(scheme) => events::detailed(event, format!("imported with its {scheme} hash")),
                None => event,
            };
            if self.context.commit(change, &[event]).await?.is_some() {
                return Ok(Ok(UserView { user, locked_until: None }));
            }
        }
        Err(ServiceError::Contended)
    }

    /// The account that is asked for, if the actor may add it and the configuration can serve it. Before anything is hashed; the
    /// right is judged again with each try to commit.
    async fn drafted(
        &self,
        new: &NewUser,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<User, Rejection>, ServiceError> {
        let config = self.context.config.load_full();
        let method = new.method.unwrap_or(config.second_factor.default_method);
        let on_by_default = config.second_factor.demand.policy == Demand::Required;
        let user = User {
            id: UserId::from_bytes(random_bytes()?),
            login: new.login.clone(),
            name: new.name.clone(),
            email: new.email.clone(),
            groups: new.groups.clone(),
            role: new.role,
            password: None,
            disabled: new.disabled,
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
        let with_password = new.password.is_some() || new.hash.is_some();
        if let Err(rejection) = self.may_add(&user, with_password, actor, now).await? {
            return Ok(Err(rejection));
        }
        if let Err(rejection) = possible(&config, method, user.email.as_ref()) {
            return Ok(Err(rejection));
        }
        if new.second_factor == Some(true) && config.second_factor.switched_on_by == SwitchedOnBy::Owner {
            return Ok(Err(Rejection::OwnerSwitchesOn));
        }
        Ok(Ok(user))
    }

    /// How many administrators can sign in (F28).
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn effective_admins(&self, now: Timestamp) -> Result<usize, ServiceError> {
        let config = self.context.config.load_full();
        let all = self.all(now).await?;
        Ok(all.iter().filter(|user| is_effective_admin(&config, user)).count())
    }

    /// How many of these are administrators who can sign in: the same without reading all accounts, for who knows whom it can be.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn effective_admins_among(&self, ids: &[UserId], now: Timestamp) -> Result<usize, ServiceError> {
        let config = self.context.config.load_full();
        let mut effective = 0;
        for id in ids {
            let found = self.context.user(*id, now).await?;
            effective += usize::from(found.is_some_and(|found| is_effective_admin(&config, &found.user)));
        }
        Ok(effective)
    }

    /// All accounts, by login.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn list(&self, now: Timestamp) -> Result<Vec<UserView>, ServiceError> {
        let mut views = self.views(self.all(now).await?, now).await?;
        views.sort_by(|a, b| a.user.login.cmp(&b.user.login));
        Ok(views)
    }

    /// These accounts, in this order; those that there are not (any more) are left out.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn these(&self, ids: &[UserId], now: Timestamp) -> Result<Vec<UserView>, ServiceError> {
        let mut users = Vec::with_capacity(ids.len());
        for ids in ids.chunks(PAGE) {
            let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
            let found = self.context.store.get_all::<User>(&names, now).await?;
            users.extend(found.into_iter().filter_map(|slot| slot.record));
        }
        self.views(users, now).await
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

    /// One account, by its id alone, for whoever may see accounts.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn open(
        &self,
        id: UserId,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<UserView, Rejection>, ServiceError> {
        match self.subject(&id.to_string(), Act::View, actor, now).await? {
            Ok((Found { user, .. }, _)) if user.id == id => Ok(Ok(self.view(user, now).await?)),
            // Another one whose login is the id of one that was deleted.
            Ok(_) => Ok(Err(Rejection::NoSuchUser(id.to_string()))),
            Err(rejection) => Ok(Err(rejection)),
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
        for _ in 0..TRIES {
            let (Found { user, .. }, authority) = match self.subject(who, Act::Unlock, actor, now).await? {
                Ok(subject) => subject,
                Err(rejection) => return Ok(Err(rejection)),
            };
            let event = events::success(Kind::UserChanged, now, Some(user.id), user.login.as_str(), By::Actor(actor))?;
            let event = events::detailed(event, "unlocked");
            let change = authority.held(Change::new());
            let change = change.delete::<AccountThrottle>(&records::account_throttle(user.id));
            if self.context.commit(change, &[event]).await?.is_some() {
                return Ok(Ok(UserView { user, locked_until: None }));
            }
        }
        Err(ServiceError::Contended)
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
            let (Found { user, seen }, authority) = match self.subject(who, Act::Delete, actor, now).await? {
                Ok(subject) => subject,
                Err(rejection) => return Ok(Err(rejection)),
            };
            let change = match self.without_admin(authority.held(Change::new()), &user, now).await? {
                Ok(change) => change,
                Err(rejection) => return Ok(Err(rejection)),
            };
            let sessions = self.context.sessions.of_user(user.id, now).await?;
            let event = events::success(Kind::UserDeleted, now, Some(user.id), user.login.as_str(), By::Actor(actor))?;
            let name = user.id.to_string();
            let change = self.context.sessions.without_all(change, &sessions).await?;
            let change = change
                .unchanged::<User>(&name, seen)
                .delete::<User>(&name)
                .delete::<LoginIndex>(&records::login_name(&user.login))
                .delete::<AccountThrottle>(&records::account_throttle(user.id));
            let tools = self.context.store.get::<tool_logins::Kept>(&name, now).await?;
            let change = tool_logins::without(change, user.id, tools.seen);
            let change = mail_limit::forget(change, user.id).delete::<AddressChange>(&name).delete::<NewestLink>(&name);
            let change = self.context.without_devices(change, user.id, now).await?;
            if self.context.commit(change, &[event]).await?.is_some() {
                self.after(user.id, &sessions, now).await?;
                return Ok(Ok(()));
            }
        }
        Err(ServiceError::Contended)
    }

    /// The account, by id or login. The id comes first: nobody must be able to stand in for an account by taking its id for a
    /// login.
    async fn resolve(&self, who: &str, now: Timestamp) -> Result<Option<Found>, ServiceError> {
        if let Ok(id) = who.parse::<UserId>()
            && let Some(found) = self.context.user(id, now).await?
        {
            return Ok(Some(found));
        }
        match who.parse::<LoginName>() {
            Ok(login) => self.context.user_by_login(&login, now).await,
            Err(_) => Ok(None),
        }
    }

    /// The account that `act` is to be done to, and the right to do it.
    async fn subject(
        &self,
        who: &str,
        act: Act,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<(Found, Authority), Rejection>, ServiceError> {
        let authority = match Authority::of(&self.context.store, actor, now).await? {
            Ok(authority) => authority,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let Some(found) = self.resolve(who, now).await? else {
            return Ok(Err(Rejection::NoSuchUser(who.to_owned())));
        };
        Ok(authority.may(act, &found.user).map(|()| (found, authority)))
    }

    /// The right to add an account like this one, with a password that the actor has chosen or without.
    async fn may_add(
        &self,
        user: &User,
        with_password: bool,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<Authority, Rejection>, ServiceError> {
        let authority = match Authority::of(&self.context.store, actor, now).await? {
            Ok(authority) => authority,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let judged = authority
            .may_do(Task::Add)
            .and_then(|()| if with_password { authority.may(Act::SetPassword, user) } else { Ok(()) })
            .and_then(|()| authority.may_give_role(user.role))
            .and_then(|()| authority.may_change_groups(&BTreeSet::new(), &user.groups))
            .and_then(|()| self.may_give_login(&authority, &user.login));
        Ok(judged.map(|()| authority))
    }

    /// Whoever has a login that a route names passes there, so that only an administrator gives it.
    fn may_give_login(&self, authority: &Authority, login: &LoginName) -> Result<(), Rejection> {
        let config = self.context.config.load();
        let named = config.routes.iter().any(|(_, route)| route.allow.users.contains(login));
        if named && !authority.is_full() { Err(Rejection::LoginNamedByRoute(login.clone())) } else { Ok(()) }
    }

    /// The change also gives `user` its login, if nobody has it.
    async fn with_login(
        &self,
        change: Change,
        user: &User,
        now: Timestamp,
    ) -> Result<Result<Change, Rejection>, ServiceError> {
        let index = records::login_name(&user.login);
        let slot = self.context.store.get::<LoginIndex>(&index, now).await?;
        let is_an_id = match user.login.as_str().parse::<UserId>() {
            Ok(id) => self.context.user(id, now).await?.is_some(),
            Err(_) => false,
        };
        if slot.record.is_some() || is_an_id {
            return Ok(Err(Rejection::LoginTaken(user.login.clone())));
        }
        Ok(Ok(change.unchanged::<LoginIndex>(&index, slot.seen).put(&index, &LoginIndex { user: user.id })))
    }

    async fn view(&self, user: User, now: Timestamp) -> Result<UserView, ServiceError> {
        let throttle = self.context.store.get::<AccountThrottle>(&records::account_throttle(user.id), now).await?;
        Ok(self.seen(user, throttle.record, now))
    }

    async fn views(&self, users: Vec<User>, now: Timestamp) -> Result<Vec<UserView>, ServiceError> {
        let names: Vec<String> = users.iter().map(|user| records::account_throttle(user.id)).collect();
        let mut throttles = Vec::with_capacity(users.len());
        for names in names.chunks(PAGE) {
            throttles.extend(self.context.store.get_all::<AccountThrottle>(names, now).await?);
        }
        Ok(users.into_iter().zip(throttles).map(|(user, slot)| self.seen(user, slot.record, now)).collect())
    }

    fn seen(&self, user: User, throttle: Option<AccountThrottle>, now: Timestamp) -> UserView {
        let limits = context::limits(&self.context.config.load());
        let locked_until = throttle.and_then(|throttle| throttle.locked_until(limits, now));
        UserView { user, locked_until }
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
        let made = passwords::make(&self.context, &config, user, password, now).await?;
        Ok(made.map_err(Rejection::WeakPassword))
    }

    /// The change takes `user` out of the administrators: only where another one is left who can sign in. Two such changes
    /// at once compare the same guard, so that one of them is judged again.
    async fn without_admin(
        &self,
        change: Change,
        user: &User,
        now: Timestamp,
    ) -> Result<Result<Change, Rejection>, ServiceError> {
        let config = self.context.config.load_full();
        if !is_effective_admin(&config, user) {
            return Ok(Ok(change));
        }
        let guard = self.context.store.get::<AdminGuard>(AdminGuard::NAME, now).await?;
        if !self.another_admin(&config, user.id, now).await? {
            return Ok(Err(Rejection::LastAdmin(user.login.clone())));
        }
        let changed = AdminGuard { changed_at: Some(now) };
        Ok(Ok(change.unchanged::<AdminGuard>(AdminGuard::NAME, guard.seen).put(AdminGuard::NAME, &changed)))
    }

    /// Whether somebody else is an administrator who can sign in. The index says whom to ask first; what counts is the store, and
    /// nobody is the last one before everybody was looked at.
    async fn another_admin(&self, config: &Config, user: UserId, now: Timestamp) -> Result<bool, ServiceError> {
        for other in self.context.directory.admins(now).await? {
            if other != user
                && let Some(found) = self.context.user(other, now).await?
                && is_effective_admin(config, &found.user)
            {
                return Ok(true);
            }
        }
        let others = self.all(now).await?;
        Ok(others.iter().any(|other| other.id != user && is_effective_admin(config, other)))
    }

    /// What follows a commit: the facts in memory are the new ones, the sessions that ended are gone.
    async fn after(
        &self,
        user: UserId,
        ended: &[(crate::secret::TokenDigest, crate::authn::session::Session)],
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        self.context.sessions.refresh(user, now).await;
        self.context.sessions.forget_all(ended, now).await
    }
}

/// Whether this is an administrator who can sign in: not disabled, with a password, and with a second factor that can be
/// asked for where one is due on sekisho's own pages.
pub(super) fn is_effective_admin(config: &Config, user: &User) -> bool {
    let demanded = config.portal_demand().applies_to(facts(user));
    let mail_arrives = user.email.is_some() && config.mail.is_some();
    let factor_works = !demanded || user.second_factor.method == Method::Totp || mail_arrives;
    user.role == Role::Admin && !user.disabled && user.password.is_some() && factor_works
}

/// What this version can do for an account.
fn possible(config: &Config, method: Method, email: Option<&Email>) -> Result<(), Rejection> {
    if method == Method::Mail && email.is_none() {
        return Err(Rejection::MailWithoutAddress);
    }
    if method == Method::Mail && config.mail.is_none() {
        return Err(Rejection::MailNotConfigured);
    }
    Ok(())
}

#[cfg(test)]
mod rights_tests;
#[cfg(test)]
mod tests;
