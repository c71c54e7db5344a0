//! The browsers that an account is known on (F11, F29): seeing them, and forgetting them.
//!
//! A key stands under its browser's value, where the login looks for it, and in an index by account, where this looks. Both are
//! written by [`with`] and taken away by [`without`], and by nobody else.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::ServiceError;
use super::actor::Actor;
use super::context::{Context, Found, TRIES};
use super::events::{self, By};
use super::records::{self, DeviceIndex, device_index, device_name};
use super::rights::Authority;
use super::users::Rejection;
use super::visit::Visit;
use crate::audit::Kind;
use crate::authn::device::Device;
use crate::authn::session::Session;
use crate::authn::user::User;
use crate::authz::permission::Act;
use crate::clock::Timestamp;
use crate::id::{DeviceId, SessionId, UserId};
use crate::secret::TokenDigest;
use crate::store::record::{Change, Record};

/// How many records are read at once where all have to be looked at.
const PAGE: usize = 500;
/// How many are forgotten in one commit, each with its event.
const FORGOTTEN_AT_ONCE: usize = 100;

/// All device keys.
pub struct Devices {
    context: Arc<Context>,
}

/// A browser as its owner or a manager sees it.
#[derive(Debug, Clone)]
pub struct DeviceView {
    pub device: Device,
    pub login: String,
}

/// What was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    pub devices: u64,
    /// The sessions that these browsers had begun. That of whoever asked stays.
    pub sessions: u64,
}

impl Devices {
    pub(super) const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The browsers that this account is known on, last seen first. A key that is worth nothing any more is none.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn list(&self, user: UserId, now: Timestamp) -> Result<Vec<DeviceView>, ServiceError> {
        let Some(Found { user, .. }) = self.context.user(user, now).await? else { return Ok(Vec::new()) };
        let mut views: Vec<_> = of_user(&self.context, user.id, now)
            .await?
            .into_iter()
            .filter(|(_, device)| device.is_of(&user))
            .map(|(_, device)| DeviceView { device, login: user.login.to_string() })
            .collect();
        views.sort_by_key(|view| Reverse(view.device.last_seen));
        Ok(views)
    }

    /// The key that the visit's own browser has for its account, where it has one.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn here(&self, visit: &Visit) -> Result<Option<DeviceId>, ServiceError> {
        let (Some(live), Some(token)) = (&visit.session, &visit.cookies.device) else { return Ok(None) };
        let name = device_name(&token.digest(), live.account().id);
        Ok(self.context.store.get::<Device>(&name, visit.now).await?.record.map(|device| device.id))
    }

    /// The browsers of all accounts, account by account.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn list_all(&self, now: Timestamp) -> Result<Vec<DeviceView>, ServiceError> {
        let store = &self.context.store;
        let mut devices = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let page = store.list::<Device>("", from, PAGE, now).await?;
            let full = page.len() == PAGE;
            after = page.last().map(|last| last.name.clone());
            devices.extend(page.into_iter().map(|listed| listed.record));
            if !full {
                break;
            }
        }
        devices.sort_by_key(|device| (device.user, Reverse(device.last_seen)));
        let users: BTreeSet<UserId> = devices.iter().map(|device| device.user).collect();
        let names: Vec<String> = users.iter().map(UserId::to_string).collect();
        let mut owners = HashMap::new();
        for names in names.chunks(PAGE) {
            let found = store.get_all::<User>(names, now).await?;
            owners.extend(found.into_iter().filter_map(|slot| slot.record).map(|user| (user.id, user)));
        }
        let view = |device: Device| {
            let owner = owners.get(&device.user).filter(|owner| device.is_of(owner))?;
            Some(DeviceView { login: owner.login.to_string(), device })
        };
        Ok(devices.into_iter().filter_map(view).collect())
    }

    /// Forgets one browser of this account, with the sessions that it has begun; `None`: the account has no such browser.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn forget_of(
        &self,
        user: UserId,
        id: DeviceId,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<Option<Forgotten>, Rejection>, ServiceError> {
        let forgotten = self.take(user, |device| device.id == id, actor, now).await?;
        Ok(forgotten.map(|forgotten| Some(forgotten).filter(|forgotten| forgotten.devices > 0)))
    }

    /// Forgets one browser, whosever it is: for whoever may do so to everybody. `None`: there is no such browser.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn forget(
        &self,
        id: DeviceId,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<Option<Forgotten>, Rejection>, ServiceError> {
        let mut after: Option<String> = None;
        loop {
            let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let page = self.context.store.list::<Device>("", from, PAGE, now).await?;
            if let Some(found) = page.iter().find(|listed| listed.record.id == id) {
                return self.forget_of(found.record.user, id, actor, now).await;
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.name.clone()),
                _ => return Ok(Ok(None)),
            }
        }
    }

    /// Forgets all browsers of an account, with the sessions that they have begun.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn forget_all(
        &self,
        user: UserId,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<Forgotten, Rejection>, ServiceError> {
        self.take(user, |_| true, actor, now).await
    }

    async fn take(
        &self,
        user: UserId,
        wanted: impl Fn(&Device) -> bool,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<Forgotten, Rejection>, ServiceError> {
        let context = &self.context;
        let mut forgotten = Forgotten::default();
        let mut tries = 0..TRIES;
        while tries.next().is_some() {
            let authority = match Authority::of(&context.store, actor, now).await? {
                Ok(authority) => authority,
                Err(rejection) => return Ok(Err(rejection)),
            };
            let Some(Found { user: owner, .. }) = context.user(user, now).await? else {
                return Ok(Ok(forgotten));
            };
            if let Err(rejection) = authority.may(Act::ForgetDevices, &owner) {
                return Ok(Err(rejection));
            }
            let mut devices = of_user(context, user, now).await?;
            devices.retain(|(_, device)| wanted(device));
            if devices.is_empty() {
                return Ok(Ok(forgotten));
            }
            let more = devices.len() > FORGOTTEN_AT_ONCE;
            devices.truncate(FORGOTTEN_AT_ONCE);
            let sessions = self.begun_by(&devices, user, own_session(actor), now).await?;
            let by = match actor {
                Actor::Person(person) if person.user == user => By::InSession(person.client.clone(), person.session),
                _ => By::Actor(actor),
            };
            let change = without(authority.held(Change::new()), &devices);
            let mut change = context.sessions.without_all(change, &sessions).await?;
            let mut kept = Vec::with_capacity(devices.len());
            let names: Vec<_> = devices.iter().map(|(digest, _)| device_name(digest, user)).collect();
            let slots = context.store.get_all::<Device>(&names, now).await?;
            // A key that takes a new value in this very moment must not be left over under it: neither before this read, nor after.
            if slots.iter().any(|slot| slot.record.is_none()) {
                continue;
            }
            for ((_, device), (name, slot)) in devices.iter().zip(names.iter().zip(slots)) {
                change = change.unchanged::<Device>(name, slot.seen);
                let event = events::success(Kind::DeviceForgotten, now, Some(user), owner.login.as_str(), by.clone())?;
                kept.push(events::detailed(event, device.id.to_string()));
            }
            if context.commit(change, &kept).await?.is_some() {
                context.sessions.forget_all(&sessions, now).await?;
                forgotten.devices += devices.len() as u64;
                forgotten.sessions += sessions.len() as u64;
                if !more {
                    return Ok(Ok(forgotten));
                }
                tries = 0..TRIES;
            }
        }
        Err(ServiceError::Contended)
    }

    /// The sessions that were begun by these browsers, but for `own`.
    async fn begun_by(
        &self,
        devices: &[(TokenDigest, Device)],
        user: UserId,
        own: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Vec<(TokenDigest, Session)>, ServiceError> {
        let mut sessions = self.context.sessions.of_user(user, now).await?;
        sessions.retain(|(_, session)| {
            let begun = session.device.is_some_and(|id| devices.iter().any(|(_, device)| device.id == id));
            begun && Some(session.id) != own
        });
        Ok(sessions)
    }
}

const fn own_session(actor: &Actor) -> Option<SessionId> {
    match actor {
        Actor::Person(person) => Some(person.session),
        Actor::CommandLine | Actor::Sekisho => None,
    }
}

/// The records of an account's keys, with their browsers' digests. Each that is there all the while is among them, also one that takes
/// a new value meanwhile.
pub(super) async fn of_user(
    context: &Context,
    user: UserId,
    now: Timestamp,
) -> Result<Vec<(TokenDigest, Device)>, ServiceError> {
    let mut missed = Vec::new();
    for _ in 0..TRIES {
        let (mut found, mut gone) = (Vec::new(), Vec::new());
        for digests in digests_of(context, user, now).await?.chunks(PAGE) {
            let names: Vec<_> = digests.iter().map(|digest| device_name(digest, user)).collect();
            let devices = context.store.get_all::<Device>(&names, now).await?;
            for (digest, slot) in digests.iter().zip(devices) {
                match slot.record {
                    Some(device) => found.push((*digest, device)),
                    None => gone.push(*digest),
                }
            }
        }
        // Forgotten, or under a value by now that was not listed yet.
        if gone.is_empty() || gone == missed {
            return Ok(found);
        }
        missed = gone;
    }
    Err(ServiceError::Contended)
}

async fn digests_of(context: &Context, user: UserId, now: Timestamp) -> Result<Vec<TokenDigest>, ServiceError> {
    let prefix = format!("{user}/");
    let mut digests = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let page = context.store.list::<DeviceIndex>(&prefix, from, PAGE, now).await?;
        let known = page.iter().filter_map(|entry| entry.name.strip_prefix(&prefix).and_then(records::parse_digest));
        digests.extend(known);
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.name.clone()),
            _ => return Ok(digests),
        }
    }
}

/// A change that also writes this key.
pub(super) fn with(change: Change, digest: &TokenDigest, device: &Device) -> Change {
    let index = device.expires_at().map(|expires_at| DeviceIndex { expires_at });
    let change = change.put(&device_name(digest, device.user), device);
    match index {
        Some(index) => change.put(&device_index(device.user, digest), &index),
        None => change,
    }
}

/// A change that also takes these keys away.
pub(super) fn without(mut change: Change, devices: &[(TokenDigest, Device)]) -> Change {
    for (digest, device) in devices {
        change = change
            .delete::<Device>(&device_name(digest, device.user))
            .delete::<DeviceIndex>(&device_index(device.user, digest));
    }
    change
}

#[cfg(test)]
mod tests;
