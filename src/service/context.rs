//! What all use cases work with: the store, the configuration in force, the hashing threads, the living sessions.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, MutexGuard};
use tokio_util::task::TaskTracker;

use super::ServiceError;
use super::devices;
use super::directory::Directory;
use super::events;
use super::hasher::Hasher;
use super::journal::Journal;
use super::mailer::Mailer;
use super::records::{self, LoginIndex};
use super::session::Sessions;
use super::tokens::Tokens;
use crate::audit::Event;
use crate::authn::lockout::Limits;
use crate::authn::mail_code;
use crate::authn::password::Cost;
use crate::authn::totp;
use crate::authn::user::{LoginName, User};
use crate::clock::Timestamp;
use crate::config::{Config, Current};
use crate::id::UserId;
use crate::mail::Outbox;
use crate::metrics::Metrics;
use crate::store::engine::{Expect, Outcome, Version};
use crate::store::record::{Change, Store};

/// How often a step is judged anew because others changed what it had read.
pub const TRIES: usize = 64;

/// How many device keys go in one commit with whatever takes them away.
const DEVICES_AT_ONCE: usize = 200;

/// Locks that make steps of one account wait for each other within this process, so that they seldom meet in the store.
const STRIPES: usize = 256;

pub struct Context {
    pub store: Store,
    pub config: Current,
    pub hasher: Hasher,
    pub sessions: Arc<Sessions>,
    pub tokens: Arc<Tokens>,
    pub directory: Arc<Directory>,
    pub mailer: Mailer,
    pub journal: Arc<Journal>,
    pub metrics: Arc<Metrics>,
    /// What goes on when the request that began it has its answer.
    pub errands: TaskTracker,
    /// Another process has the store, and does what one alone has to do.
    retired: AtomicBool,
    stripes: Vec<Mutex<()>>,
}

/// An id that no account has, for reads that are made so that nobody learns from their absence that there is no account.
pub const NOBODY: UserId = UserId::from_bytes([0; 10]);

/// An account as it was read, and what a commit must compare.
pub struct Found {
    pub user: User,
    pub seen: Expect,
}

impl Context {
    pub fn new(config: Current, store: Store, outbox: Option<Outbox>) -> Self {
        let metrics = Arc::new(Metrics::new());
        let journal = Arc::new(Journal::new(&metrics));
        let sessions = Arc::new(Sessions::new(store.clone(), Arc::clone(&config), Arc::clone(&journal)));
        let tokens = Arc::new(Tokens::new(store.clone(), Arc::clone(&config), Arc::clone(&journal)));
        let directory = Arc::new(Directory::new(store.clone(), Arc::clone(&config)));
        let stripes = (0..STRIPES).map(|_| Mutex::default()).collect();
        let mailer = Mailer::new(outbox, Arc::clone(&metrics));
        let hasher = Hasher::start(&metrics.hashing);
        let (errands, retired) = (TaskTracker::new(), AtomicBool::new(false));
        Self { store, config, hasher, sessions, tokens, directory, mailer, journal, metrics, errands, retired, stripes }
    }

    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    pub async fn user(&self, id: UserId, now: Timestamp) -> Result<Option<Found>, ServiceError> {
        let slot = self.store.get::<User>(&id.to_string(), now).await?;
        Ok(slot.record.map(|user| Found { user, seen: slot.seen }))
    }

    /// As many reads, whether or not there is one.
    pub async fn user_by_login(&self, login: &LoginName, now: Timestamp) -> Result<Option<Found>, ServiceError> {
        let index = self.store.get::<LoginIndex>(&records::login_name(login), now).await?.record;
        let found = self.user(index.as_ref().map_or(NOBODY, |index| index.user), now).await?;
        Ok(found.filter(|_| index.is_some()))
    }

    /// Commits the change with its events; `None`: somebody came in between. What has happened is told to the journal.
    pub async fn commit(&self, change: Change, events: &[Event]) -> Result<Option<Version>, ServiceError> {
        match self.store.commit(events::with(change, events)).await? {
            Outcome::Committed(version) => {
                self.journal.tell(events);
                Ok(Some(version))
            }
            Outcome::Conflict => Ok(None),
        }
    }

    /// A change that also takes all device keys of an account.
    pub async fn without_devices(&self, change: Change, user: UserId, now: Timestamp) -> Result<Change, ServiceError> {
        let mut all = devices::of_user(self, user, now).await?;
        // They go either way. What is more than one commit can take goes before it; nobody gets anything by a key that is gone.
        for some in all.split_off(all.len().min(DEVICES_AT_ONCE)).chunks(DEVICES_AT_ONCE) {
            self.store.commit(devices::without(Change::new(), some).lazy()).await?;
        }
        Ok(devices::without(change, &all))
    }

    /// One step at a time for whatever `name` stands for, within this process. Never held twice by one step.
    #[expect(clippy::indexing_slicing, reason = "any number modulo STRIPES is within a list of STRIPES")]
    pub async fn turn(&self, name: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        self.stripes[usize::try_from(hasher.finish() % STRIPES as u64).unwrap_or_default()].lock().await
    }
}

pub fn limits(config: &Config) -> Limits {
    let lockout = &config.lockout;
    Limits {
        max_failures: lockout.max_failures,
        window: lockout.window,
        duration: lockout.duration,
        max_in_row: lockout.max_in_row,
    }
}

pub fn cost(config: &Config) -> Cost {
    let argon2 = config.password.argon2;
    Cost { memory_kib: argon2.memory_kib, iterations: argon2.iterations, parallelism: argon2.parallelism }
}

pub fn totp_settings(config: &Config) -> totp::Settings {
    let totp = &config.second_factor.totp;
    totp::Settings { period: totp.period, digits: totp.digits, skew: totp.skew }
}

pub const fn mail_settings(config: &Config) -> mail_code::Settings {
    let mail_code = config.second_factor.mail_code;
    mail_code::Settings {
        lifetime: mail_code.lifetime,
        max_attempts: mail_code.max_attempts,
        resend_after: mail_code.resend_after,
    }
}
