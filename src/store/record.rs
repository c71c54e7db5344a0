//! Typed records over an engine: one kind, one version, an expiry; opened by one type each.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::engine::{Commit, Durability, Engine, Expect, Key, Outcome, StoreError, Watch};
use crate::clock::Timestamp;

/// Something that is kept under keys of one kind.
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The first segment of its keys: `user`, `session`.
    const KIND: &'static str;
    /// Raised when the stored form changes in a way that older programs would misread.
    const FORMAT: u8 = 1;

    /// After this moment the record counts as absent, and the sweeper removes it.
    fn expires_at(&self) -> Option<Timestamp> {
        None
    }
}

/// What was found under a name: the record, if there is a living one, and what a commit must compare so that nobody
/// came in between. An expired record that the sweeper has not met yet is no record, but still has its version.
#[derive(Debug, Clone)]
pub struct Slot<R> {
    pub record: Option<R>,
    pub seen: Expect,
}

/// A record from a list.
#[derive(Debug, Clone)]
pub struct Listed<R> {
    pub name: String,
    pub record: R,
    pub seen: Expect,
}

/// The store as the services use it.
#[derive(Clone)]
pub struct Store {
    engine: Arc<dyn Engine>,
}

/// A change in the making: what was read is compared, what is new is put.
#[derive(Default)]
pub struct Change {
    commit: Commit,
    failed: Option<StoreError>,
}

impl Store {
    /// A store over this engine.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine }
    }

    /// What stands under `name` at `now`.
    ///
    /// # Errors
    /// As the engine's, or where the record is not understood.
    pub async fn get<R: Record>(&self, _name: &str, _now: Timestamp) -> Result<Slot<R>, StoreError> {
        let _ = &self.engine;
        todo!("store helper")
    }

    /// All records of kind `R` whose name begins with `prefix` and comes after `after`, at most `limit`, in the order of
    /// their names.
    ///
    /// # Errors
    /// As the engine's, or where a record is not understood.
    pub async fn list<R: Record>(
        &self,
        _prefix: &str,
        _after: Bound<&str>,
        _limit: usize,
        _now: Timestamp,
    ) -> Result<Vec<Listed<R>>, StoreError> {
        todo!("store helper")
    }

    /// Commits a change.
    ///
    /// # Errors
    /// As the engine's; after an error nothing may be assumed to have happened.
    pub async fn commit(&self, change: Change) -> Result<Outcome, StoreError> {
        match change.failed {
            Some(error) => Err(error),
            None => self.engine.commit(change.commit).await,
        }
    }

    /// Changes to records of kind `R`.
    #[must_use]
    pub fn watch<R: Record>(&self) -> Box<dyn Watch> {
        self.engine.watch(&format!("{}/", R::KIND))
    }

    /// Removes what has expired at `now`; returns how many records went.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn sweep(&self, _now: Timestamp) -> Result<u64, StoreError> {
        todo!("store helper")
    }
}

impl Change {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Holds only while `name` is as it was seen.
    #[must_use]
    pub fn unchanged<R: Record>(mut self, name: &str, seen: Expect) -> Self {
        self.commit.compares.push((key::<R>(name), seen));
        self
    }

    /// Writes `record` under `name`.
    #[must_use]
    pub fn put<R: Record>(mut self, name: &str, record: &R) -> Self {
        match encode(record) {
            Ok(bytes) => self.commit.puts.push((key::<R>(name), bytes)),
            Err(error) => self.failed = Some(error),
        }
        self
    }

    /// Removes what is under `name`, if anything.
    #[must_use]
    pub fn delete<R: Record>(mut self, name: &str) -> Self {
        self.commit.deletes.push(key::<R>(name));
        self
    }

    /// Returns before the change is durable. For last-seen times alone.
    #[must_use]
    pub fn lazy(mut self) -> Self {
        self.commit.durability = Durability::Lazy;
        self
    }
}

fn key<R: Record>(name: &str) -> Key {
    Key::new(format!("{}/{name}", R::KIND))
}

fn encode<R: Record>(_record: &R) -> Result<Bytes, StoreError> {
    todo!("store helper")
}
