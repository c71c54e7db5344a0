//! The shared engine, over PostgreSQL: several nodes on one database, whose replication and failover are its own.
//!
//! | part | what it is for |
//! | --- | --- |
//! | `connect` | hosts, limits to every wait, the pool |
//! | `tls` | rustls under the driver |
//! | `schema` | one table with versions, and the function that commits |
//! | `statements` | what every connection has prepared |
//! | `read`, `commit` | one round trip each |
//! | `news` | what a commit tells other nodes |
//! | `listener` | hears it, and knows how long it has heard nothing |
//! | `opening` | which database belongs to which key file |
//!
//! After an error that the server has not spoken itself nobody knows whether a commit has happened: it is an error, it is never sent again,
//! and watchers are told that they may have missed something.

mod commit;
mod connect;
mod listener;
mod news;
mod opening;
mod read;
mod schema;
mod statements;
mod tls;

#[cfg(test)]
mod tests;

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;
use tokio::task::AbortHandle;

use self::connect::{Hosts, Sessions, Trouble};
use self::listener::Ear;
pub(super) use self::opening::{fill, open};
use self::statements::Which;
use super::engine::{Commit, Engine, Key, Named, Naming, Outcome, StoreError, Versioned, Watch};
use super::figures::{Figures, Snapshot};
use super::trust::{Trust, UNHEARD};
use super::watch::{self, PrefixWatch, Told};

/// The shared store. Dropping it closes its connections.
pub struct PostgresEngine {
    shared: Arc<Shared>,
    listening: AbortHandle,
}

/// What reads, commits and the listener have in common.
struct Shared {
    sessions: Sessions,
    changes: broadcast::Sender<Told>,
    trust: Arc<Trust>,
    figures: Figures,
    /// Whether the database answered when it was last asked.
    reachable: AtomicBool,
    /// Something of this node's may have been committed that its watchers were not told of.
    doubt: AtomicBool,
    /// How many commits have ended without an answer: each may take effect at any later moment.
    unanswered: AtomicU64,
    /// What this engine calls itself to others, in part: see [`Shared::voice`].
    node: String,
    shown: String,
}

impl PostgresEngine {
    /// Starts the engine over a database that has its schema; it hears of changes before this returns.
    async fn start(hosts: Hosts, stale_for: Duration, node: String) -> Result<Self, StoreError> {
        let sessions = Sessions::new(&hosts)?;
        let ear = Ear::open_at_leisure(&hosts).await.map_err(|trouble| trouble.into_store(hosts.shown()))?;
        let trust = Trust::none_yet();
        trust.extend(ear.since(), UNHEARD);
        let shared = Arc::new(Shared {
            sessions,
            changes: broadcast::Sender::new(watch::BACKLOG),
            trust,
            figures: Figures::default(),
            reachable: AtomicBool::new(true),
            doubt: AtomicBool::new(false),
            unanswered: AtomicU64::new(0),
            node,
            shown: hosts.shown().to_owned(),
        });
        let listening = tokio::spawn(listener::run(Arc::clone(&shared), hosts, stale_for, ear)).abort_handle();
        Ok(Self { shared, listening })
    }
}

impl Shared {
    /// The name under which this engine's commits are told, by which it knows its own: another one after each commit that nobody
    /// knows the end of. Where that takes effect yet, it is heard here as from anybody else, and watchers look.
    fn voice(&self) -> String {
        format!("{}.{}", self.node, self.unanswered.load(Ordering::SeqCst))
    }

    /// A commit has ended without an answer. Its watchers learn what has become of it when the database answers again, and at
    /// whatever later moment it takes effect.
    fn lost_sight(&self) {
        self.unanswered.fetch_add(1, Ordering::SeqCst);
        self.doubt.store(true, Ordering::SeqCst);
    }

    /// Takes note of whether the database has answered.
    fn answered<T>(&self, answer: Result<T, Trouble>) -> Result<T, StoreError> {
        match &answer {
            Ok(_) => self.seen(),
            Err(trouble) if trouble.is_refusal() => self.seen(),
            Err(_) => self.unseen(),
        }
        answer.map_err(|trouble| trouble.into_store(&self.shown))
    }

    fn seen(&self) {
        self.reachable.store(true, Ordering::Relaxed);
    }

    fn unseen(&self) {
        self.reachable.store(false, Ordering::Relaxed);
    }
}

#[async_trait]
impl Engine for PostgresEngine {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        let found = read::get(&self.shared, key).await;
        found.inspect_err(|_| self.failed_read())
    }

    async fn get_named(&self, key: &Key, naming: &Naming) -> Result<Option<Named>, StoreError> {
        let found = read::get_named(&self.shared, key, naming).await;
        found.inspect_err(|_| self.failed_read())
    }

    async fn get_all(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        let found = read::get_all(&self.shared, keys).await;
        found.inspect_err(|_| self.failed_read())
    }

    async fn scan(&self, prefix: &str, from: Bound<Key>, limit: usize) -> Result<Vec<(Key, Versioned)>, StoreError> {
        let found = read::scan(&self.shared, prefix, &from, limit).await;
        found.inspect_err(|_| self.failed_read())
    }

    async fn scan_back(
        &self,
        prefix: &str,
        before: Bound<Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        let found = read::scan_back(&self.shared, prefix, &before, limit).await;
        found.inspect_err(|_| self.failed_read())
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        let waiting = self.shared.figures.begin();
        let answer = commit::commit(&self.shared, commit).await;
        waiting.answered(&answer);
        answer
    }

    fn watch(&self, prefix: &str) -> Box<dyn Watch> {
        Box::new(PrefixWatch::new(self.shared.changes.subscribe(), prefix))
    }

    /// A commit of its own: the server writes its log in order, so what was committed lazily before is on the disk with it.
    async fn durable(&self) -> Result<(), StoreError> {
        let flushed = self.shared.sessions.ask(Which::Flush, &[]).await;
        self.shared.answered(flushed).map(drop)
    }

    fn figures(&self) -> Option<Snapshot> {
        let open = self.shared.reachable.load(Ordering::Relaxed);
        Some(Snapshot { open, ..self.shared.figures.snapshot() })
    }

    fn trust(&self) -> Arc<Trust> {
        Arc::clone(&self.shared.trust)
    }

    fn is_shared(&self) -> bool {
        true
    }
}

impl PostgresEngine {
    fn failed_read(&self) {
        self.shared.figures.failed_reads.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for PostgresEngine {
    fn drop(&mut self) {
        self.listening.abort();
        self.shared.sessions.close();
    }
}
