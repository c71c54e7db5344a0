//! What an engine must do, in the manner of etcd's transactions: every change is one atomic commit over all its keys,
//! conditional on the versions that were read.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::figures::Snapshot;
use super::trust::Trust;

/// A record's key: segments parted by `/`, as `session/…`; ordered by its UTF-8 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key(String);

impl Key {
    /// A key from its text.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Keys of sessions hold digests, which are no secrets, but long: the kind and the first characters are enough in a log.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:.20})", self.0)
    }
}

/// Which state of a record was read. Never used again for the same key, not even after a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version(pub u64);

/// A record's bytes and the version they have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioned {
    pub version: Version,
    pub value: Bytes,
}

/// How a record names another one: by the text in a field of its JSON.
#[derive(Debug, Clone)]
pub struct Naming {
    /// How many bytes stand before the JSON.
    pub before: usize,
    pub field: &'static str,
    /// What the other's key begins with.
    pub prefix: String,
}

impl Naming {
    /// The other's key, by the bytes of the one that names it.
    #[must_use]
    pub fn key(&self, value: &[u8]) -> Option<Key> {
        let json: serde_json::Value = serde_json::from_slice(value.get(self.before..)?).ok()?;
        Some(Key::new(format!("{}{}", self.prefix, json.get(self.field)?.as_str()?)))
    }
}

/// A record, and the one that it names.
pub type Named = (Versioned, Option<Versioned>);

/// What must still be true for a commit to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expect {
    Absent,
    At(Version),
}

/// When a commit returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Durability {
    /// After the change would survive a power cut.
    #[default]
    Durable,
    /// At once; a crash may lose it. For last-seen times alone.
    Lazy,
}

/// One atomic change, of a thousand records at most. What is both deleted and put is put.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Commit {
    pub compares: Vec<(Key, Expect)>,
    pub puts: Vec<(Key, Bytes)>,
    pub deletes: Vec<Key>,
    pub durability: Durability,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Every put has this version now; it is higher than every version before it.
    Committed(Version),
    /// A compare did not hold; nothing was changed.
    Conflict,
}

/// Why the store could not do it. Fail closed: whoever gets one refuses what depended on it.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub enum StoreError {
    /// Somebody else owns the embedded store.
    #[error("the store at {0} is in use by another process")]
    Locked(String),
    /// No store where one must be.
    #[error("there is no store at {0}; `sekisho user add LOGIN --role admin --config FILE` makes one")]
    Missing(String),
    /// A store where a new one was to be made.
    #[error("there is a store at {0} already; nothing was changed in it")]
    Present(String),
    /// One that was to be filled from an export, of which only a part is in it.
    #[error("the import into the store at {0} was not finished; `sekisho store import` begins it again")]
    Unfinished(String),
    /// Another store than the one that belongs to the key file, or none where there was one.
    #[error("the store at {path} is not the one that belongs to the key file: {detail}")]
    Foreign { path: String, detail: String },
    /// Something else stands where the store should: nothing is written beside it or over it.
    #[error(
        "{path} is no store: it holds `{entry}`, which sekisho did not make; give the store a directory of its own"
    )]
    NotAStore { path: String, entry: String },
    /// A database whose schema a newer sekisho has brought to a form that this one does not know.
    #[error("the store at {path} has form {found}, and this sekisho knows {known} and the one after it")]
    TooNew { path: String, found: i32, known: i32 },
    /// Damaged files.
    #[error("the store at {path} is damaged: {detail}; restore it from an export")]
    Corrupt { path: String, detail: String },
    /// No space, no permission, a broken disk: whatever was to be written was not.
    #[error("the store cannot be written or read: {0}")]
    Unavailable(String),
    /// A record of a newer sekisho, or one that its type does not understand.
    #[error("the record {key} cannot be read: {detail}")]
    Record { key: String, detail: String },
}

/// A change that a watcher is told about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    Put(Key),
    Delete(Key),
    /// The watcher fell behind: whatever it caches may be old.
    Lagged,
}

/// A receiver of changes under one prefix. What was committed through the same engine is there to be received before its
/// commit returns.
#[async_trait]
pub trait Watch: Send {
    /// The next change; `None` when the engine is closed. Nothing is lost where it is given up while it waits.
    async fn next(&mut self) -> Option<Change>;
}

/// How many records are asked for at the same time, where they cannot be had together.
const AT_ONCE: usize = 8;

/// A store. `store::conformance` says what every engine must do.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// The record under `key`.
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError>;

    /// The record under `key`, and the one that it names, where there is one. An engine that is far away asks once.
    async fn get_named(&self, key: &Key, naming: &Naming) -> Result<Option<Named>, StoreError> {
        let Some(found) = self.get(key).await? else { return Ok(None) };
        let other = match naming.key(&found.value) {
            Some(other) => self.get(&other).await?,
            None => None,
        };
        Ok(Some((found, other)))
    }

    /// The records under `keys`, in their order; each as it stands at some moment meanwhile. An engine that is far away asks once.
    async fn get_all(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        let found = stream::iter(keys.iter().cloned()).map(|key| async move { self.get(&key).await });
        found.buffered(AT_ONCE).try_collect().await
    }

    /// Records in key order, from `from` on, under `prefix`, at most `limit`.
    async fn scan(&self, prefix: &str, from: Bound<Key>, limit: usize) -> Result<Vec<(Key, Versioned)>, StoreError>;

    /// The same backwards: from the last one under `prefix` that is not beyond `before`, at most `limit`.
    async fn scan_back(
        &self,
        prefix: &str,
        before: Bound<Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError>;

    /// All or nothing: if every compare holds, all puts and deletes happen, visible together.
    async fn commit(&self, commit: Commit) -> Result<Outcome, StoreError>;

    /// Changes under `prefix`, by whomever they were made; those that one process has made in the order of its commits. Whoever is told reads
    /// anew: what stands there may be newer than what was told.
    fn watch(&self, prefix: &str) -> Box<dyn Watch>;

    /// Returns when everything committed before is durable.
    async fn durable(&self) -> Result<(), StoreError>;

    /// What it has counted of itself, where it counts. Never waits for a commit.
    fn figures(&self) -> Option<Snapshot> {
        None
    }

    /// How far what was read from it earlier may be believed: always the same one.
    fn trust(&self) -> Arc<Trust> {
        Trust::complete()
    }

    /// Whether other processes may use the same store at the same time.
    fn is_shared(&self) -> bool {
        false
    }
}
