//! Changes to an account that exists: fields, the disabled switch, the second factor.

use std::collections::BTreeSet;

use super::edition::Edition;
use super::{Rejection, UserChange, UserView, Users, is_effective_admin, possible};
use crate::audit::Kind;
use crate::authn::lockout::AccountThrottle;
use crate::authn::user::{Method, Role, StoredPassword, User};
use crate::authz::permission::Act;
use crate::clock::Timestamp;
use crate::config::{Config, Language, SwitchedOnBy};
use crate::service::ServiceError;
use crate::service::actor::Actor;
use crate::service::context::{Found, TRIES};
use crate::service::events::{self, By};
use crate::service::mailer::Notice;
use crate::service::records::{self, LoginIndex};
use crate::service::rights::Authority;
use crate::store::record::Change;

/// What a change brings with it.
pub(super) struct Effect {
    kind: Kind,
    detail: String,
    /// The sessions go, also those that the epoch would let live.
    ends_sessions: bool,
    throttle: Throttle,
}

/// What becomes of the failures counted.
#[derive(PartialEq, Eq)]
enum Throttle {
    Stays,
    /// A new password: its wrong ones are forgotten.
    WithoutPasswords,
    /// A new second factor: its wrong codes are forgotten.
    WithoutCodes,
}

impl Users {
    /// Changes fields. A changed password or second factor, or a higher role, ends the account's sessions; groups, names and
    /// a lower role take effect at the next request.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn set(
        &self,
        who: &str,
        change: UserChange,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<UserView, Rejection>, ServiceError> {
        let mut password = None;
        if let Some(new) = &change.password {
            let mut renamed = match self.subject(who, Act::SetPassword, actor, now).await? {
                Ok((Found { user, .. }, _)) => user,
                Err(rejection) => return Ok(Err(rejection)),
            };
            rename(&mut renamed, &change);
            match self.hash(&renamed, new.clone(), now).await? {
                Ok(stored) => password = Some(stored),
                Err(rejection) => return Ok(Err(rejection)),
            }
        }
        let config = self.context.config.load_full();
        self.alter(who, Act::EditName, actor, now, |user| apply(&config, user, &change, password.as_ref())).await
    }

    /// Disables (ends all sessions at once) or enables.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn set_disabled(
        &self,
        who: &str,
        disabled: bool,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<UserView, Rejection>, ServiceError> {
        self.alter(who, Act::Disable, actor, now, |user| {
            if disabled && !user.disabled {
                user.raise_epoch();
            }
            user.disabled = disabled;
            Ok(Effect {
                kind: Kind::UserChanged,
                detail: if disabled { "disabled" } else { "enabled" }.to_owned(),
                ends_sessions: disabled,
                throttle: Throttle::Stays,
            })
        })
        .await
    }

    /// Removes the factor, the device keys and the sessions: the next login enrols anew.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn reset_second_factor(
        &self,
        who: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<UserView, Rejection>, ServiceError> {
        self.alter(who, Act::ResetSecondFactor, actor, now, |user| {
            forget_factor(user);
            Ok(Effect {
                kind: Kind::SecondFactorReset,
                detail: String::new(),
                ends_sessions: true,
                throttle: Throttle::WithoutCodes,
            })
        })
        .await
    }

    /// One commit over the account and all that follows; judged again where others came in between. `act` is what is asked
    /// for; what the step changes is judged by itself.
    async fn alter(
        &self,
        who: &str,
        act: Act,
        actor: &Actor,
        now: Timestamp,
        step: impl Fn(&mut User) -> Result<Effect, Rejection>,
    ) -> Result<Result<UserView, Rejection>, ServiceError> {
        let context = &self.context;
        for _ in 0..TRIES {
            let (Found { user: before, seen }, authority) = match self.subject(who, act, actor, now).await? {
                Ok(subject) => subject,
                Err(rejection) => return Ok(Err(rejection)),
            };
            let mut user = before.clone();
            let effect = match step(&mut user) {
                Ok(effect) => effect,
                Err(rejection) => return Ok(Err(rejection)),
            };
            if let Err(rejection) = self.may_change(&authority, &before, &user) {
                return Ok(Err(rejection));
            }
            let name = user.id.to_string();
            let mut change = authority.held(Change::new()).unchanged::<User>(&name, seen).put(&name, &user);
            if before.login != user.login {
                change = match self.with_login(change, &user, now).await? {
                    Ok(change) => change.delete::<LoginIndex>(&records::login_name(&before.login)),
                    Err(rejection) => return Ok(Err(rejection)),
                };
            }
            if !is_effective_admin(&context.config.load(), &user) {
                change = match self.without_admin(change, &before, now).await? {
                    Ok(change) => change,
                    Err(rejection) => return Ok(Err(rejection)),
                };
            }
            let sessions =
                if effect.ends_sessions { context.sessions.of_user(user.id, now).await? } else { Vec::new() };
            change = context.sessions.without_all(change, &sessions).await?;
            change = self.throttle(change, &user, &effect.throttle, now).await?;
            let event = events::success(effect.kind, now, Some(user.id), user.login.as_str(), By::Actor(actor))?;
            if context.commit(change, &[events::detailed(event, effect.detail)]).await?.is_some() {
                self.after(user.id, &sessions, now).await?;
                self.tell(&before, &user, now);
                return Ok(Ok(self.view(user, now).await?));
            }
        }
        Err(ServiceError::Contended)
    }

    /// Judges each thing that became different, whatever was asked for.
    pub(super) fn may_change(&self, authority: &Authority, before: &User, after: &User) -> Result<(), Rejection> {
        for act in acts(before, after) {
            authority.may(act, before)?;
        }
        if before.role != after.role {
            authority.may_give_role(after.role)?;
        }
        if before.login != after.login {
            self.may_give_login(authority, &after.login)?;
        }
        if before.email != after.email {
            let held = authority.may_change_groups(&BTreeSet::new(), &before.groups);
            let reached = held.and_then(|()| self.may_give_login(authority, &before.login));
            reached.map_err(|_| Rejection::AddressOutOfReach)?;
        }
        authority.may_change_groups(&before.groups, &after.groups)
    }

    /// Tells the owner by mail where a factor of theirs was taken away, or their address: at the one that they had until now.
    fn tell(&self, before: &User, after: &User, now: Timestamp) {
        let config = self.context.config.load_full();
        // Whose language it is, is not known here.
        let language = config.portal.languages.first().copied().unwrap_or(Language::En);
        if before.email != after.email {
            self.context.mailer.notice(&config, language, before, Notice::AddressChanged, now);
        }
        let had = before.second_factor.totp.is_some() || before.second_factor.method == Method::Mail;
        let factor = |user: &User| {
            let factor = &user.second_factor;
            let mailbox = user.email.clone().filter(|_| factor.method == Method::Mail);
            (factor.method, factor.totp.as_ref().map(|app| app.enrolled_at), mailbox)
        };
        let switched_off = before.second_factor.switched_on && !after.second_factor.switched_on;
        if had && (switched_off || factor(before) != factor(after)) {
            self.context.mailer.notice(&config, language, before, Notice::FactorRemoved, now);
        }
    }

    async fn throttle(
        &self,
        change: Change,
        user: &User,
        effect: &Throttle,
        now: Timestamp,
    ) -> Result<Change, ServiceError> {
        if *effect == Throttle::Stays {
            return Ok(change);
        }
        let name = records::account_throttle(user.id);
        let slot = self.context.store.get::<AccountThrottle>(&name, now).await?;
        let Some(mut throttle) = slot.record else { return Ok(change) };
        match effect {
            Throttle::Stays => {}
            Throttle::WithoutPasswords => throttle = throttle.without_passwords(),
            Throttle::WithoutCodes => throttle.right_code(),
        }
        Ok(change.unchanged::<AccountThrottle>(&name, slot.seen).put(&name, &throttle))
    }
}

/// What was done to an account that looked like `before` and looks like `after` now.
fn acts(before: &User, after: &User) -> impl Iterator<Item = Act> {
    let (factor_before, factor) = (&before.second_factor, &after.second_factor);
    let must_change = |user: &User| user.password.as_ref().is_some_and(|password| password.must_change);
    let hash = |user: &User| user.password.as_ref().map(|password| password.hash.clone());
    let is_enrolled = |user: &User| user.second_factor.totp.is_some();
    [
        (before.name != after.name, Act::EditName),
        (before.login != after.login, Act::EditLogin),
        (before.email != after.email, Act::EditAddress),
        (before.groups != after.groups, Act::EditGroups),
        (before.role != after.role, Act::ChangeRole),
        (before.disabled != after.disabled, Act::Disable),
        (factor_before.switched_on != factor.switched_on, Act::SwitchSecondFactor),
        (factor_before.method != factor.method, Act::ChangeMethod),
        (is_enrolled(before) != is_enrolled(after), Act::ResetSecondFactor),
        (hash(before) != hash(after), Act::SetPassword),
        (hash(before) == hash(after) && must_change(before) != must_change(after), Act::ForcePasswordChange),
    ]
    .into_iter()
    .filter_map(|(changed, act)| changed.then_some(act))
}

pub(super) fn apply(
    config: &Config,
    user: &mut User,
    change: &UserChange,
    password: Option<&StoredPassword>,
) -> Result<Effect, Rejection> {
    if change.made_from.as_ref().is_some_and(|edition| *edition != Edition::of(user)) {
        return Err(Rejection::ChangedMeanwhile);
    }
    let role_before = user.role;
    let address_before = user.email.clone();
    let mut detail = rename(user, change);
    let mut ends_sessions = false;
    let mut throttle = Throttle::Stays;
    if let Some(groups) = &change.groups {
        user.groups.clone_from(groups);
        detail.push("groups");
    }
    if let Some(role) = change.role {
        user.role = role;
        detail.push("role");
        ends_sessions |= rises(role_before, role);
    }
    let method = change.method.unwrap_or(user.second_factor.method);
    if change.method.is_some() || change.email.is_some() {
        possible(config, method, user.email.as_ref())?;
    }
    if method != user.second_factor.method {
        forget_factor(user);
        user.second_factor.method = method;
        detail.push("method");
        ends_sessions = true;
        throttle = Throttle::WithoutCodes;
    } else if method == Method::Mail && user.email != address_before {
        // The mailbox is the second factor: another one is another factor.
        user.raise_epoch();
        ends_sessions = true;
    }
    if let Some(on) = change.second_factor {
        if !on {
            // Under `required` this is a reset; under `per_user` "on" enrols anew. Either way nothing of it survives.
            forget_factor(user);
            ends_sessions = true;
            throttle = Throttle::WithoutCodes;
        }
        if on && !user.second_factor.switched_on && config.second_factor.switched_on_by == SwitchedOnBy::Owner {
            return Err(Rejection::OwnerSwitchesOn);
        }
        user.second_factor.switched_on = on;
        detail.push(if on { "second factor on" } else { "second factor off" });
    }
    if let Some(password) = password {
        user.change_password(password.clone());
        detail.push("password");
        ends_sessions = true;
        throttle = Throttle::WithoutPasswords;
    }
    if let (Some(must_change), Some(stored)) = (change.must_change, user.password.as_mut()) {
        stored.must_change = must_change;
        detail.push(if must_change { "must change the password" } else { "need not change the password" });
    }
    let kind = if password.is_some() { Kind::PasswordChanged } else { Kind::UserChanged };
    Ok(Effect { kind, detail: detail.join(", "), ends_sessions, throttle })
}

fn rename(user: &mut User, change: &UserChange) -> Vec<&'static str> {
    let mut detail = Vec::new();
    if let Some(login) = &change.login {
        user.login.clone_from(login);
        detail.push("login");
    }
    if let Some(name) = &change.name {
        user.name.clone_from(name);
        detail.push("name");
    }
    if let Some(email) = &change.email {
        user.email.clone_from(email);
        detail.push("mail address");
    }
    detail
}

/// A session's value never comes to mean more than it did when it was given out.
fn rises(before: Role, after: Role) -> bool {
    after > before
}

fn forget_factor(user: &mut User) {
    user.second_factor.totp = None;
    user.second_factor.recovery = None;
    user.raise_epoch();
}
