//! Machine tokens (F38): made, listed and revoked by the command line; found again by their digest; those that are no good are counted.
//!
//! A token that was shown once is kept in memory until it ends, so that the next request costs no read of the store. How a revoked one
//! cannot come back: whoever revokes deletes the record first (durably), then, under the lock, raises the generation and takes it out;
//! whoever puts one in has read the generation before the record, and does so only where it is unchanged.

mod live;
mod upkeep;

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

pub use self::live::LiveToken;
use super::ServiceError;
use super::actor::Actor;
use super::events::{self, By};
use super::journal::Journal;
use super::records::{parse_digest, token_throttle};
use crate::audit::{Event, Kind, printable};
use crate::authn::lockout::AddressThrottle;
use crate::authn::machine_token::{self, MachineToken, TokenName};
use crate::authn::session::Origin;
use crate::clock::Timestamp;
use crate::config::Current;
use crate::id::TokenId;
use crate::secret::{SecretString, Token, TokenDigest, random_bytes};
use crate::store::engine::{Expect, Outcome};
use crate::store::record::{Change, Listed, Store};

/// How many records are read at once where all have to be looked at.
const PAGE: usize = 500;
/// How often a step is judged anew because others changed what it had read.
const TRIES: usize = 32;
/// The shortest and the longest that a token can be good for.
pub const SHORTEST: Duration = Duration::from_secs(60);
pub const LONGEST: Duration = Duration::from_secs(3660 * 24 * 3600);

/// All tokens.
pub struct Tokens {
    store: Store,
    config: Current,
    journal: Arc<Journal>,
    living: RwLock<Living>,
    /// Whose last use is to be written behind.
    dirty: Mutex<Vec<Arc<LiveToken>>>,
}

/// Those that were shown and are good.
#[derive(Default)]
struct Living {
    generation: u64,
    tokens: HashMap<TokenDigest, Arc<LiveToken>>,
}

/// What a token is to be.
#[derive(Debug, Clone)]
pub struct NewToken {
    pub name: TokenName,
    pub routes: BTreeSet<String>,
    pub lifetime: Duration,
}

/// A new token, and its value: nobody is shown it again.
#[derive(Debug)]
pub struct Added {
    pub token: MachineToken,
    pub value: SecretString,
}

/// Why there is no such token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("a token is for one route at least")]
    NoRoute,
    #[error("there is no route named {0:?} in the configuration")]
    UnknownRoute(String),
    #[error("a token is good for a minute at least and for ten years at most")]
    Lifetime,
}

/// What became of what a request showed.
#[derive(Debug, Clone)]
pub enum Judged {
    Good(Arc<LiveToken>),
    Bad,
    /// Too many from there were bad: nothing is looked up for so long.
    TooMany {
        wait: Duration,
    },
}

/// Who shows a token.
#[derive(Debug, Clone, Copy)]
pub struct Shower<'a> {
    pub client: IpAddr,
    pub user_agent: Option<&'a str>,
}

impl Tokens {
    pub(super) fn new(store: Store, config: Current, journal: Arc<Journal>) -> Self {
        Self { store, config, journal, living: RwLock::default(), dirty: Mutex::default() }
    }

    /// Makes one, and the event of it. Only the command line gives tokens.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn add(&self, new: NewToken, now: Timestamp) -> Result<Result<Added, Rejection>, ServiceError> {
        let config = self.config.load_full();
        let is_route = |name: &str| config.routes.iter().any(|(_, route)| route.name == name);
        if new.routes.is_empty() {
            return Ok(Err(Rejection::NoRoute));
        }
        if let Some(unknown) = new.routes.iter().find(|name| !is_route(name)) {
            return Ok(Err(Rejection::UnknownRoute(unknown.clone())));
        }
        if !(SHORTEST..=LONGEST).contains(&new.lifetime) {
            return Ok(Err(Rejection::Lifetime));
        }
        let value = Token::generate()?;
        let token = MachineToken {
            id: TokenId::from_bytes(random_bytes()?),
            name: new.name,
            routes: new.routes,
            created_at: now,
            expires_at: now.plus(new.lifetime),
            last_used: None,
            last_address: None,
        };
        let routes = token.routes.iter().cloned().collect::<Vec<_>>().join(", ");
        let detail = format!("{}; routes {routes}; until {}", token.id, token.expires_at);
        let event = Self::event(Kind::TokenAdded, &token, now)?;
        let event = events::detailed(event, detail);
        let name = value.digest().to_string();
        let change = Change::new().unchanged::<MachineToken>(&name, Expect::Absent).put(&name, &token);
        match self.store.commit(events::with(change, std::slice::from_ref(&event))).await? {
            Outcome::Committed(_) => {}
            Outcome::Conflict => return Err(ServiceError::Contended),
        }
        self.journal.tell(&[event]);
        Ok(Ok(Added { value: machine_token::spelled(&value), token }))
    }

    /// All that are good still, the oldest first.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn list(&self, now: Timestamp) -> Result<Vec<MachineToken>, ServiceError> {
        let mut tokens = Vec::new();
        for Listed { name, mut record, .. } in self.all(now).await? {
            let live = parse_digest(&name).and_then(|digest| self.read().tokens.get(&digest).cloned());
            if let Some(live) = live {
                live.write_into(&mut record);
            }
            tokens.push(record);
        }
        tokens.sort_by_key(|token| (token.created_at, token.id));
        Ok(tokens)
    }

    /// Ends one: durable before it returns, and whatever is open on its strength is closed. False: there is none.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn revoke(&self, id: TokenId, now: Timestamp) -> Result<bool, ServiceError> {
        for _ in 0..TRIES {
            let found = self.all(now).await?.into_iter().find(|listed| listed.record.id == id);
            let Some(Listed { name, record, seen }) = found else { return Ok(false) };
            let event = events::detailed(Self::event(Kind::TokenRevoked, &record, now)?, record.id.to_string());
            let change = Change::new().unchanged::<MachineToken>(&name, seen).delete::<MachineToken>(&name);
            match self.store.commit(events::with(change, std::slice::from_ref(&event))).await? {
                Outcome::Committed(_) => {}
                Outcome::Conflict => continue,
            }
            if let Some(digest) = parse_digest(&name) {
                self.forget(&digest);
            }
            self.journal.tell(&[event]);
            return Ok(true);
        }
        Err(ServiceError::Contended)
    }

    /// Whether what a request shows is good at `now`; `None`: it began like a token and was none. A bad one is counted and kept before
    /// this returns, as long as its address has not shown too many: whatever more comes from there then costs one read. What was found
    /// good before is good, whoever else is at that address.
    ///
    /// # Errors
    /// Where the store cannot tell: then it is not good.
    pub async fn judge(&self, shown: Option<&Token>, by: Shower<'_>, now: Timestamp) -> Result<Judged, ServiceError> {
        let digest = shown.map(Token::digest);
        if let Some(live) = digest.as_ref().and_then(|digest| self.cached(digest, now)) {
            return Ok(Judged::Good(live));
        }
        let limits = self.config.load().lockout.per_address;
        let name = token_throttle(by.client);
        for _ in 0..TRIES {
            let slot = self.store.get::<AddressThrottle>(&name, now).await?;
            if let Some(wait) = slot.record.as_ref().and_then(|counted| counted.wait(limits.max_failures, now)) {
                return Ok(Judged::TooMany { wait });
            }
            if let Some(digest) = &digest
                && let Some(live) = self.find(digest, now).await?
            {
                return Ok(Judged::Good(live));
            }
            let counted = AddressThrottle::count(slot.record, limits.window, now);
            let user_agent = printable(by.user_agent.unwrap_or_default(), 256);
            let client = Origin { address: by.client.to_string(), user_agent };
            let event = events::failure(Kind::TokenRefused, now, None, "", By::Oneself(client))?;
            let why = if digest.is_some() { "no such token, or it is over" } else { "not a whole token" };
            let event = events::detailed(event, why);
            let change = Change::new().unchanged::<AddressThrottle>(&name, slot.seen).put(&name, &counted);
            if let Outcome::Committed(_) = self.store.commit(events::with(change, std::slice::from_ref(&event))).await?
            {
                self.journal.tell(&[event]);
                return Ok(Judged::Bad);
            }
        }
        Err(ServiceError::Contended)
    }

    /// Notes that it was used; written behind.
    pub fn touch(&self, token: &Arc<LiveToken>, client: IpAddr, now: Timestamp) {
        if token.used(client, now) {
            lock(&self.dirty).push(Arc::clone(token));
        }
    }

    fn cached(&self, digest: &TokenDigest, now: Timestamp) -> Option<Arc<LiveToken>> {
        let trusted = |live: &Arc<LiveToken>| live.stands(now) && self.store.trust().holds(live.read_in());
        self.read().tokens.get(digest).filter(|live| trusted(live)).cloned()
    }

    async fn find(&self, digest: &TokenDigest, now: Timestamp) -> Result<Option<Arc<LiveToken>>, ServiceError> {
        for _ in 0..TRIES {
            if let Some(live) = self.cached(digest, now) {
                return Ok(Some(live));
            }
            let seen = self.read().generation;
            let read_in = self.store.trust().turn();
            let Some(record) = self.store.get::<MachineToken>(&digest.to_string(), now).await?.record else {
                if self.read().tokens.contains_key(digest) {
                    self.forget(digest);
                }
                return Ok(None);
            };
            if now >= record.expires_at {
                return Ok(None);
            }
            let mut living = self.write();
            if living.generation == seen {
                let new = || Arc::new(LiveToken::new(&record, *digest, read_in));
                let live = living.tokens.entry(*digest).or_insert_with(new);
                live.set_read_in(read_in);
                return Ok(Some(Arc::clone(live)).filter(|live| live.stands(now)));
            }
        }
        Err(ServiceError::Contended)
    }

    /// The record of this value is gone.
    fn forget(&self, digest: &TokenDigest) {
        let mut living = self.write();
        living.generation = living.generation.wrapping_add(1);
        if let Some(live) = living.tokens.remove(digest) {
            live.end();
        }
    }

    async fn all(&self, now: Timestamp) -> Result<Vec<Listed<MachineToken>>, ServiceError> {
        let mut all: Vec<Listed<MachineToken>> = Vec::new();
        loop {
            let after = all.last().map(|last| last.name.clone());
            let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let page = self.store.list::<MachineToken>("", from, PAGE, now).await?;
            let full = page.len() == PAGE;
            all.extend(page);
            if !full {
                return Ok(all);
            }
        }
    }

    fn event(kind: Kind, token: &MachineToken, now: Timestamp) -> Result<Event, ServiceError> {
        let login = format!("token:{}", token.name);
        Ok(events::success(kind, now, None, &login, By::Actor(&Actor::CommandLine))?)
    }

    fn read(&self) -> RwLockReadGuard<'_, Living> {
        self.living.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Living> {
        self.living.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A panic elsewhere does not make what these locks guard wrong: each holder leaves it whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
