//! A store that counts how often it is asked for records: each time is a way to the database and back.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use crate::store::engine::{Commit, Engine, Key, Named, Naming, Outcome, StoreError, Versioned, Watch};
use crate::store::figures::Snapshot;
use crate::store::trust::Trust;

/// How many reads there were.
#[derive(Debug, Clone, Default)]
pub struct Reads(Arc<AtomicU64>);

impl Reads {
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn one(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub struct Counting {
    pub engine: Arc<dyn Engine>,
    pub reads: Reads,
}

#[async_trait]
impl Engine for Counting {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.reads.one();
        self.engine.get(key).await
    }

    async fn get_named(&self, key: &Key, naming: &Naming) -> Result<Option<Named>, StoreError> {
        self.reads.one();
        self.engine.get_named(key, naming).await
    }

    async fn get_all(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        self.reads.one();
        self.engine.get_all(keys).await
    }

    async fn scan(&self, prefix: &str, from: Bound<Key>, limit: usize) -> Result<Vec<(Key, Versioned)>, StoreError> {
        self.reads.one();
        self.engine.scan(prefix, from, limit).await
    }

    async fn scan_back(
        &self,
        prefix: &str,
        before: Bound<Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        self.reads.one();
        self.engine.scan_back(prefix, before, limit).await
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        self.engine.commit(commit).await
    }

    fn watch(&self, prefix: &str) -> Box<dyn Watch> {
        self.engine.watch(prefix)
    }

    async fn durable(&self) -> Result<(), StoreError> {
        self.engine.durable().await
    }

    fn figures(&self) -> Option<Snapshot> {
        self.engine.figures()
    }

    fn trust(&self) -> Arc<Trust> {
        self.engine.trust()
    }

    fn is_shared(&self) -> bool {
        self.engine.is_shared()
    }
}
