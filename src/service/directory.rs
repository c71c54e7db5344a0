//! All accounts in memory: what the list of F24 shows, is searched and sorted by. No secret is in it.
//!
//! It is read from the store once and then follows `watch`. What this process has committed is told before the commit returns,
//! and every question first takes in what was told: so whoever has changed an account sees the change. The store stays what
//! counts; nobody is let in, and nothing is changed, by what stands here.

mod index;
mod query;
mod text;

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use futures_util::FutureExt as _;
use tokio::sync::Mutex;

use self::index::Index;
pub use self::query::{Column, Filter, LastLogin, Query, Sort, State};
use super::ServiceError;
use super::context;
use super::records::{account_throttle, account_throttle_owner};
use crate::authn::lockout::AccountThrottle;
use crate::authn::password::Scheme;
use crate::authn::user::{Email, Group, Method, Role, User};
use crate::clock::Timestamp;
use crate::config::Current;
use crate::id::UserId;
use crate::store::engine::{Change as Seen, Watch};
use crate::store::record::{self, Store};

/// How many records are read at once.
const PAGE: usize = 500;

/// How often everything is read again because too much has changed meanwhile.
const TRIES: usize = 5;

/// The index of all accounts.
pub struct Directory {
    store: Store,
    config: Current,
    /// One who takes in news at a time, so that an old reading never replaces a newer one. `None`: nothing was read yet.
    feed: Mutex<Option<Feed>>,
    index: RwLock<Index>,
    /// Whether everything was read once.
    loaded: AtomicBool,
}

/// Where news comes from, and what has come but was not taken in yet.
struct Feed {
    users: Box<dyn Watch>,
    throttles: Box<dyn Watch>,
    waiting: BTreeSet<UserId>,
}

/// An account as the list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub id: UserId,
    pub login: String,
    /// Empty where there is none.
    pub name: String,
    pub email: Option<String>,
    pub role: Role,
    pub groups: Arc<BTreeSet<Group>>,
    /// The account's own switch.
    pub switched_on: bool,
    pub method: Method,
    /// An app is enrolled.
    pub app_enrolled: bool,
    pub password_set: bool,
    pub must_change_password: bool,
    pub last_login: Option<Timestamp>,
    pub registered_at: Timestamp,
    pub disabled: bool,
    /// As in [`super::users::UserView`].
    pub locked_until: Option<Timestamp>,
}

impl Row {
    /// It has what its method needs: an app, or a mail address.
    #[must_use]
    pub const fn is_enrolled(&self) -> bool {
        match self.method {
            Method::Totp => self.app_enrolled,
            Method::Mail => self.email.is_some(),
        }
    }
}

/// One page of the accounts asked for.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub rows: Vec<Row>,
    /// How many there are on all pages.
    pub total: usize,
    /// Which page this is, from 0: the last one where the one asked for lies behind it.
    pub page: usize,
    /// How many pages there are, at least one.
    pub pages: usize,
    /// All groups that accounts are in, whatever was asked for.
    pub groups: BTreeSet<Group>,
}

/// What there is in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub accounts: usize,
    /// Their second factor is switched on.
    pub switched_on: usize,
    /// They have one: an app, or a mail address with codes by mail.
    pub enrolled: usize,
    pub locked: usize,
    pub disabled: usize,
    /// Not disabled, and nobody has signed in as them in the last 90 days, nor were they registered since.
    pub unused: usize,
    /// Administrators who can sign in.
    pub admins: usize,
}

impl Directory {
    pub(super) fn new(store: Store, config: Current) -> Self {
        Self { store, config, feed: Mutex::default(), index: RwLock::default(), loaded: AtomicBool::new(false) }
    }

    /// A page of the accounts that `query` asks for.
    ///
    /// # Errors
    /// Where the store cannot tell what has changed.
    pub async fn query(&self, query: &Query, now: Timestamp) -> Result<Page, ServiceError> {
        self.catch_up(now).await?;
        let limits = context::limits(&self.config.load());
        Ok(self.read().page(query, limits, now))
    }

    /// Who is meant by `query`, on all pages, in its order: for an export, which reads the rows piece by piece.
    ///
    /// # Errors
    /// As [`Directory::query`].
    pub async fn ids(&self, query: &Query, now: Timestamp) -> Result<Vec<UserId>, ServiceError> {
        self.catch_up(now).await?;
        let limits = context::limits(&self.config.load());
        Ok(self.read().ids(query, limits, now))
    }

    /// These accounts, in this order; those that there are not (any more) are left out.
    ///
    /// # Errors
    /// As [`Directory::query`].
    pub async fn rows(&self, ids: &[UserId], now: Timestamp) -> Result<Vec<Row>, ServiceError> {
        self.catch_up(now).await?;
        let limits = context::limits(&self.config.load());
        let index = self.read();
        Ok(ids.iter().filter_map(|id| index.row(*id, limits, now)).collect())
    }

    /// The accounts with this mail address, in whatever letters, and no more than `most` of them.
    ///
    /// # Errors
    /// As [`Directory::query`].
    pub async fn with_address(
        &self,
        address: &Email,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<UserId>, ServiceError> {
        self.catch_up(now).await?;
        Ok(self.read().with_address(address.as_str(), most))
    }

    /// Administrators who are not disabled: a hint at whom to read from the store where that counts.
    pub(super) async fn admins(&self, now: Timestamp) -> Result<Vec<UserId>, ServiceError> {
        self.catch_up(now).await?;
        Ok(self.read().admins())
    }

    /// By what schemes the accounts' passwords are hashed, each once.
    ///
    /// # Errors
    /// As [`Directory::query`].
    pub async fn password_schemes(&self, now: Timestamp) -> Result<Vec<Scheme>, ServiceError> {
        self.catch_up(now).await?;
        Ok(self.read().schemes())
    }

    /// The same as far as it is known; the first time, everything is read. Logins take nothing in: by how long one takes it could be told
    /// whether the one before it was about an account that there is.
    ///
    /// # Errors
    /// As [`Directory::query`].
    pub async fn known_schemes(&self, now: Timestamp) -> Result<Vec<Scheme>, ServiceError> {
        if !self.loaded.load(Ordering::Acquire) {
            self.catch_up(now).await?;
        }
        Ok(self.read().schemes())
    }

    /// Totals.
    ///
    /// # Errors
    /// As [`Directory::query`].
    pub async fn counts(&self, now: Timestamp) -> Result<Counts, ServiceError> {
        self.catch_up(now).await?;
        let limits = context::limits(&self.config.load());
        Ok(self.read().counts(limits, now))
    }

    /// Takes in what has changed since the last time; the first time, everything. Whoever gives up waiting for it leaves
    /// nothing half done.
    ///
    /// # Errors
    /// Where the store cannot be read; the next one tries again.
    pub(super) async fn catch_up(&self, now: Timestamp) -> Result<(), ServiceError> {
        let mut slot = self.feed.lock().await;
        if !slot.as_mut().is_some_and(Feed::collect) {
            *slot = None;
            *slot = Some(self.load(now).await?);
        }
        let Some(feed) = slot.as_mut() else { return Ok(()) };
        while let Some(user) = feed.waiting.first().copied() {
            let account = self.store.get::<User>(&user.to_string(), now).await?.record;
            let throttle = self.store.get::<AccountThrottle>(&account_throttle(user), now).await?.record;
            self.write().set(user, account.as_ref(), throttle);
            feed.waiting.remove(&user);
        }
        Ok(())
    }

    /// Reads everything, again where so much has changed meanwhile that not all of it was told.
    async fn load(&self, now: Timestamp) -> Result<Feed, ServiceError> {
        for _ in 0..TRIES {
            let (mut feed, index) = self.read_all(now).await?;
            if feed.collect() {
                *self.write() = index;
                self.loaded.store(true, Ordering::Release);
                return Ok(feed);
            }
        }
        Err(ServiceError::Contended)
    }

    /// What there is, watched from before it is read, so that nothing is missed.
    async fn read_all(&self, now: Timestamp) -> Result<(Feed, Index), ServiceError> {
        let feed = Feed {
            users: self.store.watch::<User>(),
            throttles: self.store.watch::<AccountThrottle>(),
            waiting: BTreeSet::new(),
        };
        let mut index = Index::default();
        let mut accounts = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let page = self.store.list::<User>("", from, PAGE, now).await?;
            accounts.extend(page.iter().map(|listed| (listed.record.id, index.entry(&listed.record))));
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.name.clone()),
                _ => break,
            }
        }
        index.fill(accounts);
        after = None;
        loop {
            let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let page = self.store.list::<AccountThrottle>("user-", from, PAGE, now).await?;
            let last = page.last().filter(|_| page.len() == PAGE).map(|last| last.name.clone());
            for listed in page {
                if let Some(user) = account_throttle_owner(&listed.name) {
                    index.put_throttle(user, Some(listed.record));
                }
            }
            match last {
                Some(last) => after = Some(last),
                None => return Ok((feed, index)),
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    /// Notes what has been told until now. False: something was missed.
    fn collect(&mut self) -> bool {
        while let Some(seen) = told(&mut *self.users) {
            match seen {
                Seen::Put(key) | Seen::Delete(key) => self.waiting.extend(record::name::<User>(&key).parse::<UserId>()),
                Seen::Lagged => return false,
            }
        }
        while let Some(seen) = told(&mut *self.throttles) {
            match seen {
                Seen::Put(key) | Seen::Delete(key) => {
                    self.waiting.extend(account_throttle_owner(record::name::<AccountThrottle>(&key)));
                }
                Seen::Lagged => return false,
            }
        }
        true
    }
}

#[cfg(test)]
impl Directory {
    /// Another index beside the services' own, to see what one costs.
    pub fn measured(store: Store, config: Current) -> Self {
        Self::new(store, config)
    }
}

/// What is there to be received now. Not within tokio's budget for a task: a change that has come must not look as if it had
/// not.
fn told(watch: &mut dyn Watch) -> Option<Seen> {
    tokio::task::unconstrained(watch.next()).now_or_never().flatten()
}

#[cfg(test)]
mod tests;
