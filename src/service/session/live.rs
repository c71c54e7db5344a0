//! What is kept in memory of living sessions and their accounts, so that a request costs no read of the store.
//!
//! Three things, each shared by whoever needs it: an [`AccountCell`] for each account, a [`Lifeline`] for each session (it
//! outlives a change of the cookie's value, and the cache), and a [`LiveSession`] for each cookie value.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::Notify;

use crate::authn::login::facts;
use crate::authn::session::Session;
use crate::authn::user::User;
use crate::authz::{Account, Identity, Route};
use crate::clock::Timestamp;
use crate::config::{self, Current};
use crate::id::{SessionId, UserId};
use crate::secret::TokenDigest;
use crate::service::end::End;
use crate::store::trust::Turn;

/// The standing of an account that nobody may act as: disabled, deleted, or not readable. No epoch ever gets there.
const GONE: u64 = u64::MAX;

/// An account's facts, shared by all its sessions.
pub(super) struct AccountCell {
    account: ArcSwap<Account>,
    /// The account's epoch, or [`GONE`]: one read tells whether a session still stands.
    standing: AtomicU64,
    read_in: Mutex<Turn>,
}

impl AccountCell {
    pub(super) fn new(user: &User, read_in: Turn) -> Self {
        let (account, standing) = (ArcSwap::from_pointee(account(user)), AtomicU64::new(standing(user)));
        Self { account, standing, read_in: Mutex::new(read_in) }
    }

    /// When it was last read.
    pub(super) fn read_in(&self) -> Turn {
        *self.read_in.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what the store says now, and tells what is different.
    pub(super) fn update(&self, user: Option<&User>, read_in: Turn) -> Changed {
        *self.read_in.lock().unwrap_or_else(PoisonError::into_inner) = read_in;
        let new = user.map_or(GONE, standing);
        let mut facts = false;
        if let Some(user) = user {
            let account = account(user);
            facts = **self.account.load() != account;
            self.account.store(Arc::new(account));
        }
        Changed { standing: self.standing.swap(new, Ordering::AcqRel) != new, facts }
    }

    pub(super) fn stands(&self, epoch: u64) -> bool {
        self.standing.load(Ordering::Acquire) == epoch
    }
}

/// What is different since an account was read before.
pub(super) struct Changed {
    /// Sessions that stood before do not any more.
    pub(super) standing: bool,
    /// What decisions go by: groups, the second factor, the login.
    pub(super) facts: bool,
}

const fn standing(user: &User) -> u64 {
    if user.disabled { GONE } else { user.epoch }
}

fn account(user: &User) -> Account {
    Account {
        id: user.id,
        login: user.login.clone(),
        name: user.name.clone(),
        email: user.email.clone(),
        groups: user.groups.iter().cloned().collect(),
        role: user.role,
        second_factor: facts(user),
    }
}

/// A session's own state: when it was last seen, and whether it is over.
pub(in crate::service) struct Lifeline {
    pub(super) id: SessionId,
    pub(super) user: UserId,
    /// The account's epoch that the session has got to: it is carried over a rise that it has brought about itself.
    epoch: AtomicU64,
    created_at: Timestamp,
    /// As the configuration had it when the session began; see [`Lifeline::expires_at`].
    granted_until: Timestamp,
    last_seen: AtomicU64,
    /// Each route with an idle timeout of its own, from the first request there on.
    routes: ArcSwapOption<Vec<Arc<RouteSeen>>>,
    over: AtomicBool,
    /// Wakes those who wait for that.
    ended: Notify,
    /// In the list of what is to be written behind.
    pub(super) dirty: AtomicBool,
    pub(super) written_at: AtomicU64,
    /// Under which value the record stands now.
    digest: Mutex<TokenDigest>,
}

struct RouteSeen {
    route: String,
    at: AtomicU64,
}

impl Lifeline {
    pub(super) fn new(session: &Session, digest: TokenDigest) -> Self {
        let line = Self {
            id: session.id,
            user: session.user,
            epoch: AtomicU64::new(session.epoch),
            created_at: session.created_at,
            granted_until: session.expires_at,
            last_seen: AtomicU64::new(session.last_seen.millis()),
            routes: ArcSwapOption::default(),
            over: AtomicBool::new(false),
            ended: Notify::new(),
            dirty: AtomicBool::new(false),
            written_at: AtomicU64::new(session.last_seen.millis()),
            digest: Mutex::new(digest),
        };
        line.merge(session);
        line
    }

    /// Takes over what its record says: activity that was seen elsewhere, and how far it was carried.
    pub(super) fn merge(&self, session: &Session) {
        self.epoch.fetch_max(session.epoch, Ordering::AcqRel);
        self.last_seen.fetch_max(session.last_seen.millis(), Ordering::Relaxed);
        for (route, at) in &session.route_last_seen {
            self.seen_on(route, *at);
        }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The end of the longest that it can last: a lifetime that was made shorter binds the sessions that live.
    pub(super) fn expires_at(&self, limits: config::Session) -> Timestamp {
        self.granted_until.min(self.created_at.plus(limits.max_lifetime))
    }

    pub(super) fn seen(&self, now: Timestamp) {
        self.last_seen.fetch_max(now.millis(), Ordering::Relaxed);
    }

    pub(super) fn seen_on(&self, route: &str, now: Timestamp) {
        if let Some(known) =
            self.routes.load().iter().flat_map(|routes| routes.iter()).find(|known| known.route == route)
        {
            known.at.fetch_max(now.millis(), Ordering::Relaxed);
            return;
        }
        self.routes.rcu(|routes| {
            let mut routes = routes.as_deref().cloned().unwrap_or_default();
            match routes.iter().find(|known| known.route == route) {
                Some(known) => drop(known.at.fetch_max(now.millis(), Ordering::Relaxed)),
                None => routes.push(Arc::new(RouteSeen { route: route.to_owned(), at: now.millis().into() })),
            }
            Some(Arc::new(routes))
        });
    }

    pub(super) fn last_seen(&self) -> Timestamp {
        Timestamp::from_millis(self.last_seen.load(Ordering::Relaxed))
    }

    /// The last activity that counts on `route`. Where there was none yet on a route with an idle timeout of its own, the
    /// session's counts: the way there was no idling.
    pub(super) fn last_seen_on(&self, route: &Route) -> Timestamp {
        if route.own_idle_timeout
            && let Some(known) =
                self.routes.load().iter().flat_map(|routes| routes.iter()).find(|known| known.route == route.name)
        {
            return Timestamp::from_millis(known.at.load(Ordering::Relaxed));
        }
        self.last_seen()
    }

    /// Writes what was seen into the record; false: it says so already.
    pub(super) fn write_into(&self, session: &mut Session) -> bool {
        let mut changed = self.last_seen() > session.last_seen;
        session.last_seen = session.last_seen.max(self.last_seen());
        for seen in self.routes.load().iter().flat_map(|routes| routes.iter()) {
            let at = Timestamp::from_millis(seen.at.load(Ordering::Relaxed));
            match session.route_last_seen.iter_mut().find(|(route, _)| *route == seen.route) {
                Some((_, known)) if *known >= at => {}
                Some((_, known)) => (*known, changed) = (at, true),
                None => {
                    session.route_last_seen.push((seen.route.clone(), at));
                    changed = true;
                }
            }
        }
        changed
    }

    pub(super) fn digest(&self) -> TokenDigest {
        *self.digest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_digest(&self, digest: TokenDigest) {
        *self.digest.lock().unwrap_or_else(PoisonError::into_inner) = digest;
    }

    /// It is over: whatever is open on its strength is closed.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.ended.notify_waiters();
    }

    pub(in crate::service) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Returns when it is over.
    pub(in crate::service) async fn ends(&self) {
        // From here on a call is heard, so none can come between the look and the waiting.
        let ended = self.ended.notified();
        if !self.is_over() {
            ended.await;
        }
    }
}

/// A session that may be used right now, with its account's shared facts.
pub struct LiveSession {
    /// The digest of the cookie's value that it was found by.
    pub(super) value: TokenDigest,
    /// Of the account when this value was given out: with another value the session may be carried over a rise, this one is not.
    pub(super) epoch: u64,
    pub(super) second_factor_at: Option<Timestamp>,
    /// The one host that this value was given out for; none for a value that a login has made.
    pub(super) host: Option<Box<str>>,
    pub(super) line: Arc<Lifeline>,
    pub(super) cell: Arc<AccountCell>,
    pub(super) config: Current,
    /// When it was read: once changes were missed, it is read anew.
    pub(super) read_in: Turn,
}

impl std::fmt::Debug for LiveSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveSession").field("id", &self.line.id).finish_non_exhaustive()
    }
}

impl LiveSession {
    /// The session's inner id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.line.id
    }

    /// The one host that this value counts at; `None`: a login has made it.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Of the account when this value was given out.
    pub(in crate::service) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The account's facts as they are now.
    #[must_use]
    pub fn account(&self) -> Arc<Account> {
        self.cell.account.load_full()
    }

    /// What a decision on `route` needs. `None`: ended by logout, epoch or a disabled account.
    #[must_use]
    pub fn identity(&self, route: &Route) -> Option<Identity> {
        self.stands().then(|| self.facts(route))
    }

    /// The same for what is open on the session's strength, whatever has become of the value that it came with.
    #[must_use]
    pub fn identity_of_what_is_open(&self, route: &Route) -> Option<Identity> {
        let stands = !self.is_over() && self.cell.stands(self.line.epoch());
        stands.then(|| self.facts(route))
    }

    fn facts(&self, route: &Route) -> Identity {
        Identity {
            account: self.account(),
            session: self.line.id,
            begun_at: self.line.created_at,
            expires_at: self.expires_at(),
            last_seen: self.line.last_seen_on(route),
            second_factor_at: self.second_factor_at,
        }
    }

    /// Whether it may still be used for sekisho's own pages at `now` (lifetime, idle timeout of the gateway).
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        let limits = self.config.load().session;
        let seen = self.line.last_seen();
        let idle = now.since(seen) >= limits.idle_timeout || seen.is_ahead_of(now);
        self.stands() && now < self.line.expires_at(limits) && !idle
    }

    /// When this session last gave, or was spared, a second factor.
    #[must_use]
    pub fn second_factor_at(&self) -> Option<Timestamp> {
        self.second_factor_at
    }

    /// The end of the longest that it can last.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.line.expires_at(self.config.load().session)
    }

    /// Fires when the session ends, so that whatever is open on its strength can be closed.
    #[must_use]
    pub fn ended(&self) -> End {
        End::of(Arc::clone(&self.line))
    }

    /// Whether nothing but time has ended it.
    #[must_use]
    pub fn stands(&self) -> bool {
        !self.is_over() && self.cell.stands(self.epoch)
    }

    fn is_over(&self) -> bool {
        self.line.is_over()
    }
}
