//! Living sessions: found in the cache without an await, read from the store on a miss, ended everywhere at once.
//!
//! How an ended session cannot come back: whoever ends one deletes the record first (durably), then raises the generation of
//! the value's stripe and empties the cache, both under the stripe's lock. Whoever fills the cache has read the generation
//! before the record, and inserts under the same lock only where it is unchanged.
//!
//! How a changed account takes effect: its cell is read anew, one reader at a time, before the change is answered.

mod accounts;
mod cache;
mod count;
mod elsewhere;
mod ended;
mod ending;
mod lines;
mod live;
mod own;
mod upkeep;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use self::accounts::Reading;
use self::cache::Cache;
pub(in crate::service) use self::ended::Remembered;
use self::lines::Lines;
use self::live::AccountCell;
pub(in crate::service) use self::live::Lifeline;
pub use self::live::LiveSession;
pub(in crate::service) use self::upkeep::SELDOMEST;
use super::ServiceError;
use super::actor::Actor;
use super::events;
use super::history::Cursor;
use super::journal::Journal;
use super::records::{SessionAt, SessionIndex, parse_digest, session_at, session_index};
use super::rights::Authority;
use super::users::Rejection;
use crate::audit::Event;
use crate::authn::session::Session;
use crate::authn::user::{Role, User};
use crate::authz::Route;
use crate::authz::permission::{Act, Task};
use crate::clock::Timestamp;
use crate::config::Current;
use crate::id::{SessionId, UserId};
use crate::secret::TokenDigest;
use crate::store::engine::Outcome;
use crate::store::record::{Change, Store};

/// Locks that keep those who end sessions and those who cache them apart.
const STRIPES: usize = 64;
/// How many records are read at once where all have to be looked at.
const PAGE: usize = 500;
/// How many values of one account's sessions are listed at once: more than it has, as what moves between two pages would be on neither.
const VALUES: usize = 2000;
/// How often a page is filled up in the place of sessions that are over.
const PAGES: usize = 20;
/// How often a read is repeated that others came in between of.
const TRIES: usize = 32;

/// All sessions.
pub struct Sessions {
    store: Store,
    config: Current,
    cache: Cache,
    /// The generation of each stripe of cookie values.
    stripes: Vec<Mutex<u64>>,
    cells: Mutex<HashMap<UserId, Weak<AccountCell>>>,
    /// One reader of an account at a time, so that an old reading never replaces a newer one.
    loading: Vec<tokio::sync::Mutex<()>>,
    /// Counts the changes of accounts; rises before the cell of a changed account is looked for in `cells`.
    changes: AtomicU64,
    /// Counts those among them of which nobody could say whose they were.
    missed: AtomicU64,
    lines: Mutex<Lines>,
    /// Whose last-seen time is to be written behind.
    dirty: Mutex<Vec<Arc<Lifeline>>>,
    journal: Arc<Journal>,
    /// Judges anew what is open as this account.
    judge_what_is_open: OnceLock<Box<dyn Fn(UserId) + Send + Sync>>,
}

/// A session as its owner or a manager sees it.
#[derive(Debug, Clone)]
pub struct SessionView {
    pub session: Session,
    pub login: String,
    pub role: Role,
}

/// Some of all living sessions, newest first.
#[derive(Debug, Clone, Default)]
pub struct SessionPage {
    pub sessions: Vec<SessionView>,
    /// Where to go on; `None`: that is all there is.
    pub next: Option<Cursor>,
}

impl Sessions {
    pub(super) fn new(store: Store, config: Current, journal: Arc<Journal>) -> Self {
        Self {
            store,
            config,
            cache: Cache::new(),
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            cells: Mutex::default(),
            loading: (0..STRIPES).map(|_| tokio::sync::Mutex::default()).collect(),
            changes: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            lines: Mutex::default(),
            dirty: Mutex::default(),
            journal,
            judge_what_is_open: OnceLock::new(),
        }
    }

    /// The cached session of this cookie value: no await and no allocation. `None` says only that it is not cached.
    #[must_use]
    pub fn cached(&self, digest: &TokenDigest) -> Option<Arc<LiveSession>> {
        self.cache.get(digest).filter(|live| self.store.trust().holds(live.read_in))
    }

    /// The session of this cookie value, from the cache or from the store; `None`: there is no such session any more.
    ///
    /// # Errors
    /// Where the store cannot tell: then nobody passes.
    pub async fn find(&self, digest: &TokenDigest, now: Timestamp) -> Result<Option<Arc<LiveSession>>, ServiceError> {
        match self.find_stored(digest, now).await {
            // It has turned out meanwhile that the store is out of reach: then what is known may count for a while.
            Err(error) => self.cached(digest).map(|live| Some(live).filter(|live| live.stands())).ok_or(error),
            found => found,
        }
    }

    async fn find_stored(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
    ) -> Result<Option<Arc<LiveSession>>, ServiceError> {
        for _ in 0..TRIES {
            if let Some(live) = self.cached(digest) {
                return Ok(Some(live).filter(|live| live.stands()));
            }
            let seen = *self.stripe(digest);
            let (changes, read_in) = self.before_reading();
            let (slot, user) = self.store.get_named::<Session, User>(&digest.to_string(), "user", now).await?;
            let Some(session) = slot.record else {
                return self.find_elsewhere(digest, now).await;
            };
            let reading = Reading { user, read_in, changes };
            let Some(cell) = self.cell(session.user, reading, now).await? else { return Ok(None) };
            if !cell.stands(session.epoch) {
                return Ok(None);
            }
            let generation = self.stripe(digest);
            if *generation == seen {
                let line = lock(&self.lines).join(&session, *digest);
                let config = Arc::clone(&self.config);
                let live = LiveSession {
                    value: *digest,
                    epoch: session.epoch,
                    second_factor_at: session.second_factor_at,
                    host: None,
                    line,
                    cell,
                    config,
                    read_in,
                };
                let live = Arc::new(live);
                self.cache.insert(Arc::clone(&live));
                return Ok(Some(live));
            }
        }
        Err(ServiceError::Contended)
    }

    /// Notes activity; written behind.
    pub fn touch(&self, session: &LiveSession, route: &Route, now: Timestamp) {
        let line = &session.line;
        if route.own_idle_timeout {
            line.seen_on(&route.name, now);
        }
        self.note(line, now);
    }

    fn note(&self, line: &Arc<Lifeline>, now: Timestamp) {
        line.seen(now);
        if !line.dirty.load(Ordering::Relaxed) && !line.dirty.swap(true, Ordering::AcqRel) {
            lock(&self.dirty).push(Arc::clone(line));
        }
    }

    /// Notes activity on a page of sekisho's own, which belongs to no route.
    pub fn touch_own(&self, session: &LiveSession, now: Timestamp) {
        self.note(&session.line, now);
    }

    /// Before a session is ended for idleness, another node may have seen it: reads the store once and tells whether it is
    /// idle there too.
    ///
    /// # Errors
    /// Where the store cannot tell.
    pub async fn still_idle(&self, session: &LiveSession, route: &Route, now: Timestamp) -> Result<bool, ServiceError> {
        let line = &session.line;
        let Some(record) = self.store.get::<Session>(&line.digest().to_string(), now).await?.record else {
            return Ok(true);
        };
        line.merge(&record);
        Ok(now.since(line.last_seen_on(route)) >= route.idle_timeout)
    }

    /// The login of an account, and the right to end its sessions. What is left of an account that was deleted, anybody may
    /// tidy up who may see it.
    async fn may_end(
        &self,
        user: UserId,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<(String, Authority), Rejection>, ServiceError> {
        let authority = match Authority::of(&self.store, actor, now).await? {
            Ok(authority) => authority,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let judged = match self.store.get::<User>(&user.to_string(), now).await?.record {
            Some(user) => authority.may(Act::EndSessions, &user).map(|()| user.login.to_string()),
            None => authority.may_do(Task::See).map(|()| String::new()),
        };
        Ok(judged.map(|login| (login, authority)))
    }

    /// Living sessions, of one account or of all.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn list(&self, user: Option<UserId>, now: Timestamp) -> Result<Vec<SessionView>, ServiceError> {
        let sessions = match user {
            Some(user) => self.of_user(user, now).await?,
            None => self.search(|_| true, now).await?,
        };
        let mut owners = HashMap::new();
        let mut views = Vec::with_capacity(sessions.len());
        let sessions: Vec<_> = sessions.into_iter().map(|(_, session)| session).collect();
        for some in sessions.chunks(PAGE) {
            self.know_owners(some, &mut owners, now).await?;
            views.extend(some.iter().filter_map(|session| self.view(session.clone(), &owners, now)));
        }
        Ok(views)
    }

    /// Living sessions of everybody, at most `limit`: those that began last, or before the one at `older_than`.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn page(
        &self,
        older_than: Option<&Cursor>,
        limit: usize,
        now: Timestamp,
    ) -> Result<SessionPage, ServiceError> {
        let mut page = SessionPage::default();
        let mut owners = HashMap::new();
        let mut before = older_than.map(|cursor| cursor.as_str().to_owned());
        // Those that are over and not yet gone are passed over; not for ever, though.
        for _ in 0..PAGES {
            let from = before.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let listed = self.store.list_back::<SessionAt>("", from, limit + 1, now).await?;
            let full = listed.len() > limit;
            let names: Vec<_> = listed.iter().map(|entry| entry.record.digest.to_string()).collect();
            let sessions = self.store.get_all::<Session>(&names, now).await?;
            let sessions: Vec<_> = sessions.into_iter().map(|slot| slot.record).collect();
            self.know_owners(sessions.iter().flatten(), &mut owners, now).await?;
            for (entry, session) in listed.into_iter().zip(sessions) {
                if page.sessions.len() == limit {
                    return Ok(page);
                }
                page.sessions.extend(session.and_then(|session| self.view(session, &owners, now)));
                page.next = Cursor::parse(&entry.name);
                before = Some(entry.name);
            }
            if !full {
                return Ok(SessionPage { next: None, ..page });
            }
        }
        Ok(page)
    }

    /// A session as it is shown, with what was not written yet; `None`: it is over.
    fn view(
        &self,
        mut session: Session,
        owners: &HashMap<UserId, Option<User>>,
        now: Timestamp,
    ) -> Option<SessionView> {
        let line = lock(&self.lines).get(session.id).cloned();
        if let Some(line) = line {
            line.write_into(&mut session);
        }
        let owner = owners.get(&session.user).and_then(Option::as_ref);
        let limits = self.config.load().session;
        let standing = owner.filter(|owner| !owner.disabled && owner.epoch == session.epoch);
        let lives = now.since(session.last_seen) < limits.idle_timeout
            && !session.last_seen.is_ahead_of(now)
            && now.since(session.created_at) < limits.max_lifetime;
        let living = standing.filter(|_| lives);
        living.map(|owner| SessionView { login: owner.login.to_string(), role: owner.role, session })
    }

    /// Reads those of their accounts that are not among `owners` yet.
    async fn know_owners<'s>(
        &self,
        sessions: impl IntoIterator<Item = &'s Session>,
        owners: &mut HashMap<UserId, Option<User>>,
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        let unknown: BTreeSet<_> =
            sessions.into_iter().map(|session| session.user).filter(|user| !owners.contains_key(user)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = unknown.iter().map(UserId::to_string).collect();
        let accounts = self.store.get_all::<User>(&names, now).await?;
        owners.extend(unknown.into_iter().zip(accounts.into_iter().map(|slot| slot.record)));
        Ok(())
    }

    /// Those of these cookie values' sessions that are there.
    async fn under(
        &self,
        digests: Vec<TokenDigest>,
        now: Timestamp,
    ) -> Result<Vec<(TokenDigest, Session)>, ServiceError> {
        let names: Vec<_> = digests.iter().map(TokenDigest::to_string).collect();
        let found = self.store.get_all::<Session>(&names, now).await?;
        let records = digests.into_iter().zip(found);
        Ok(records.filter_map(|(digest, slot)| Some((digest, slot.record?))).collect())
    }

    /// The records of an account's sessions, with their values' digests. Each that is there all the while is among them, also one that takes
    /// a new value meanwhile.
    pub(super) async fn of_user(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Vec<(TokenDigest, Session)>, ServiceError> {
        let mut missed = Vec::new();
        for _ in 0..TRIES {
            let values = self.values_of(user, now).await?;
            let found = self.under(values.clone(), now).await?;
            let there: HashSet<_> = found.iter().map(|(value, _)| *value).collect();
            let gone: Vec<_> = values.into_iter().filter(|value| !there.contains(value)).collect();
            // Over, or under a value by now that was not listed yet.
            if gone.is_empty() || gone == missed {
                return Ok(found);
            }
            missed = gone;
        }
        Err(ServiceError::Contended)
    }

    async fn values_of(&self, user: UserId, now: Timestamp) -> Result<Vec<TokenDigest>, ServiceError> {
        let prefix = format!("{user}/");
        let mut values = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let page = self.store.list::<SessionIndex>(&prefix, from, VALUES, now).await?;
            values.extend(page.iter().filter_map(|entry| entry.name.strip_prefix(&prefix).and_then(parse_digest)));
            match page.last() {
                Some(last) if page.len() == VALUES => after = Some(last.name.clone()),
                _ => return Ok(values),
            }
        }
    }

    /// A change that also begins this session, or gives it its new value.
    #[must_use]
    pub fn with(change: Change, digest: &TokenDigest, session: &Session) -> Change {
        let index = SessionIndex { expires_at: session.expires_at, created_at: session.created_at };
        let at = SessionAt { expires_at: session.expires_at, digest: *digest };
        change
            .put(&digest.to_string(), session)
            .put(&session_index(session.user, digest), &index)
            .put(&session_at(session), &at)
    }

    /// The record of this value is gone: so is the session, unless it lives on under another value.
    pub(super) fn forget(&self, digest: &TokenDigest, id: Option<SessionId>) {
        let mut generation = self.stripe(digest);
        *generation = generation.wrapping_add(1);
        let live = self.cache.remove(digest);
        let mut lines = lock(&self.lines);
        let id = id.or_else(|| live.map(|live| live.line.id));
        if let Some(id) = id {
            lines.end(id);
        }
    }

    /// The session has a new value: the old one is dead, and what is open stays open.
    pub(super) fn rotated(&self, old: &TokenDigest, new: TokenDigest, id: SessionId) {
        let mut generation = self.stripe(old);
        *generation = generation.wrapping_add(1);
        let mut lines = lock(&self.lines);
        if let Some(line) = lines.get(id).cloned() {
            lines.rename(&line, new);
        }
        self.cache.remove(old);
    }

    /// False: what the change compares was not so any more, and nothing was done.
    async fn delete(
        &self,
        change: Change,
        sessions: &[(TokenDigest, Session)],
        event: Event,
    ) -> Result<bool, ServiceError> {
        let change = Self::without(events::with(change, std::slice::from_ref(&event)), sessions);
        match self.store.commit(change).await? {
            Outcome::Committed(_) => {}
            Outcome::Conflict => return Ok(false),
        }
        sessions.iter().for_each(|(digest, session)| self.forget(digest, Some(session.id)));
        self.journal.tell(&[event]);
        Ok(true)
    }

    /// All sessions that `wanted` says yes to.
    async fn search(
        &self,
        wanted: impl Fn(&Session) -> bool,
        now: Timestamp,
    ) -> Result<Vec<(TokenDigest, Session)>, ServiceError> {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let page = self.store.list::<Session>("", from, PAGE, now).await?;
            let full = page.len() == PAGE;
            after = page.last().map(|last| last.name.clone());
            for entry in page {
                if let Some(digest) = parse_digest(&entry.name).filter(|_| wanted(&entry.record)) {
                    found.push((digest, entry.record));
                }
            }
            if !full {
                return Ok(found);
            }
        }
    }

    async fn login_of(&self, user: UserId, now: Timestamp) -> Result<String, ServiceError> {
        let user = self.store.get::<User>(&user.to_string(), now).await?.record;
        Ok(user.map(|user| user.login.to_string()).unwrap_or_default())
    }

    #[expect(clippy::indexing_slicing, reason = "any number modulo STRIPES is within a list of STRIPES")]
    fn stripe(&self, digest: &TokenDigest) -> MutexGuard<'_, u64> {
        let [first, ..] = digest.as_bytes();
        lock(&self.stripes[usize::from(*first) % STRIPES])
    }
}

/// A panic elsewhere does not make what these locks guard wrong: each holder leaves it whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
