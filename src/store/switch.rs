//! An engine whose place another one can take while it is used: the store's owner changes, those who use it do not notice.
//!
//! ```text
//!  in use ──pause──▶ (who is under way ends, who comes waits) ──take──▶ empty ──resume(engine)──▶ in use
//! ```
//!
//! Watchers stay over a change of engines, and learn that they may have missed something.

use std::ops::Bound;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};

use super::engine::{Change, Commit, Engine, Key, Named, Naming, Outcome, StoreError, Versioned, Watch};
use super::figures::Snapshot;
use super::trust::Trust;

/// An engine that stands for another one.
pub struct Switch {
    place: Arc<RwLock<Place>>,
    /// Of the first engine. One that is shared is never exchanged; the others are complete, like whatever takes their place.
    trust: Arc<Trust>,
    is_shared: bool,
}

struct Place {
    engine: Arc<dyn Engine>,
    /// Counts the engines that have stood here.
    turn: u64,
}

impl Switch {
    /// Stands for `engine` at first.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        let (trust, is_shared) = (engine.trust(), engine.is_shared());
        Self { place: Arc::new(RwLock::new(Place { engine, turn: 0 })), trust, is_shared }
    }

    /// Waits until nobody uses the engine; from then on whoever wants to, waits.
    pub async fn pause(&self) -> Paused {
        Paused { place: Arc::clone(&self.place).write_owned().await }
    }
}

/// Nobody uses the engine while this exists. Dropped after [`Paused::take`], it leaves a store that refuses everything.
pub struct Paused {
    place: OwnedRwLockWriteGuard<Place>,
}

impl Paused {
    /// Takes the engine out, to be closed; where `None`, somebody else has it too.
    #[must_use]
    pub fn take(&mut self) -> Option<Arc<dyn Engine>> {
        let engine = std::mem::replace(&mut self.place.engine, Arc::new(Nothing));
        if Arc::strong_count(&engine) == 1 {
            return Some(engine);
        }
        self.place.engine = engine;
        None
    }

    /// Goes on with this engine.
    pub fn resume(mut self, engine: Arc<dyn Engine>) {
        self.place.engine = engine;
        self.place.turn += 1;
    }
}

#[async_trait]
impl Engine for Switch {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.place.read().await.engine.get(key).await
    }

    async fn get_named(&self, key: &Key, naming: &Naming) -> Result<Option<Named>, StoreError> {
        self.place.read().await.engine.get_named(key, naming).await
    }

    async fn get_all(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        self.place.read().await.engine.get_all(keys).await
    }

    async fn scan(&self, prefix: &str, from: Bound<Key>, limit: usize) -> Result<Vec<(Key, Versioned)>, StoreError> {
        self.place.read().await.engine.scan(prefix, from, limit).await
    }

    async fn scan_back(
        &self,
        prefix: &str,
        before: Bound<Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        self.place.read().await.engine.scan_back(prefix, before, limit).await
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        self.place.read().await.engine.commit(commit).await
    }

    fn watch(&self, prefix: &str) -> Box<dyn Watch> {
        // While it is paused nothing can be committed: the watch begins when somebody waits at it.
        let begun = self.place.try_read().ok().map(|place| (place.engine.watch(prefix), place.turn));
        let (watch, turn) = begun.map_or((None, None), |(watch, turn)| (Some(watch), Some(turn)));
        Box::new(SwitchWatch { place: Arc::downgrade(&self.place), prefix: prefix.to_owned(), watch, turn })
    }

    async fn durable(&self) -> Result<(), StoreError> {
        self.place.read().await.engine.durable().await
    }

    fn figures(&self) -> Option<Snapshot> {
        // While it is paused there are none.
        self.place.try_read().ok().and_then(|place| place.engine.figures())
    }

    fn trust(&self) -> Arc<Trust> {
        Arc::clone(&self.trust)
    }

    fn is_shared(&self) -> bool {
        self.is_shared
    }
}

struct SwitchWatch {
    place: Weak<RwLock<Place>>,
    prefix: String,
    watch: Option<Box<dyn Watch>>,
    /// Whose changes `watch` tells, or told.
    turn: Option<u64>,
}

#[async_trait]
impl Watch for SwitchWatch {
    async fn next(&mut self) -> Option<Change> {
        if let Some(watch) = &mut self.watch {
            match watch.next().await {
                Some(change) => return Some(change),
                None => self.watch = None,
            }
        }
        let place = self.place.upgrade()?;
        let place = place.read().await;
        if self.turn == Some(place.turn) {
            // It has closed, and none came after it.
            return None;
        }
        self.watch = Some(place.engine.watch(&self.prefix));
        self.turn = Some(place.turn);
        Some(Change::Lagged)
    }
}

/// What stands where an engine was taken out.
struct Nothing;

fn nothing() -> StoreError {
    StoreError::Unavailable("it was given to another process".into())
}

#[async_trait]
impl Engine for Nothing {
    async fn get(&self, _key: &Key) -> Result<Option<Versioned>, StoreError> {
        Err(nothing())
    }

    async fn scan(&self, _prefix: &str, _from: Bound<Key>, _limit: usize) -> Result<Vec<(Key, Versioned)>, StoreError> {
        Err(nothing())
    }

    async fn scan_back(
        &self,
        _prefix: &str,
        _before: Bound<Key>,
        _limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        Err(nothing())
    }

    async fn commit(&self, _commit: Commit) -> Result<Outcome, StoreError> {
        Err(nothing())
    }

    fn watch(&self, _prefix: &str) -> Box<dyn Watch> {
        Box::new(Self)
    }

    async fn durable(&self) -> Result<(), StoreError> {
        Err(nothing())
    }
}

#[async_trait]
impl Watch for Nothing {
    async fn next(&mut self) -> Option<Change> {
        None
    }
}

#[cfg(test)]
mod tests;
