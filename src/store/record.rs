//! Typed records over an engine: one kind, one version, an expiry; opened by one type each.

mod raw;

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::engine::{Commit, Durability, Engine, Expect, Key, Naming, Outcome, StoreError, Versioned, Watch};
use super::figures::Snapshot;
use super::trust::Trust;
use crate::clock::Timestamp;

pub use raw::Raw;

/// Something that is kept under keys of one kind.
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The first segment of its keys: `user`, `session`.
    const KIND: &'static str;
    /// Raised when the stored form changes in a way that older programs would misread.
    const FORMAT: u8 = 1;

    /// From this moment on the record counts as absent, and the sweeper removes it.
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
    trust: Arc<Trust>,
}

/// A change in the making: what was read is compared, what is new is put.
#[derive(Default)]
pub struct Change {
    commit: Commit,
    failed: Option<StoreError>,
}

/// Which way a list goes.
#[derive(Clone, Copy)]
enum Order {
    Forwards,
    Backwards,
}

impl Store {
    /// A store over this engine.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        let trust = engine.trust();
        Self { engine, trust }
    }

    /// How far what was read from it earlier may be believed.
    #[must_use]
    pub const fn trust(&self) -> &Arc<Trust> {
        &self.trust
    }

    /// The engine behind it.
    #[must_use]
    pub fn into_engine(self) -> Arc<dyn Engine> {
        self.engine
    }

    /// What stands under `name` at `now`.
    ///
    /// # Errors
    /// As the engine's, or where the record is not understood.
    pub async fn get<R: Record>(&self, name: &str, now: Timestamp) -> Result<Slot<R>, StoreError> {
        let key = key::<R>(name);
        slot(&key, self.engine.get(&key).await?, now)
    }

    /// What stands under each of `names`, in their order.
    ///
    /// # Errors
    /// As the engine's, or where one of them is not understood.
    pub async fn get_all<R: Record>(&self, names: &[String], now: Timestamp) -> Result<Vec<Slot<R>>, StoreError> {
        let keys: Vec<_> = names.iter().map(|name| key::<R>(name)).collect();
        let found = self.engine.get_all(&keys).await?;
        keys.iter().zip(found).map(|(key, found)| slot(key, found, now)).collect()
    }

    /// Whether a living record that is understood stands under each of `names`, in their order.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn are_there<R: Record>(&self, names: &[String], now: Timestamp) -> Result<Vec<bool>, StoreError> {
        let keys: Vec<_> = names.iter().map(|name| key::<R>(name)).collect();
        let found = self.engine.get_all(&keys).await?;
        let is_there = |(key, found)| slot::<R>(key, found, now).is_ok_and(|slot| slot.record.is_some());
        Ok(keys.iter().zip(found).map(is_there).collect())
    }

    /// What stands under `name`, and the living record of kind `O` that it names in this field of its own.
    ///
    /// # Errors
    /// As the engine's, or where one of them is not understood.
    pub async fn get_named<R: Record, O: Record>(
        &self,
        name: &str,
        field: &'static str,
        now: Timestamp,
    ) -> Result<(Slot<R>, Option<O>), StoreError> {
        let key = key::<R>(name);
        let naming = Naming { before: HEADER, field, prefix: format!("{}/", O::KIND) };
        let Some((found, other)) = self.engine.get_named(&key, &naming).await? else {
            return Ok((Slot { record: None, seen: Expect::Absent }, None));
        };
        let slot = slot(&key, Some(found), now)?;
        let other = other.map(|other| decode_living(&self::key::<O>("…"), &other.value, now)).transpose()?;
        Ok((slot, other.flatten()))
    }

    /// All records of kind `R` whose name begins with `prefix` and comes after `after`, at most `limit`, in the order of
    /// their names (by bytes).
    ///
    /// # Errors
    /// As the engine's, or where a record is not understood.
    pub async fn list<R: Record>(
        &self,
        prefix: &str,
        after: Bound<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Listed<R>>, StoreError> {
        self.walk(prefix, after, limit, now, Order::Forwards).await
    }

    /// The same backwards: from the last one before `before`.
    ///
    /// # Errors
    /// As the engine's, or where a record is not understood.
    pub async fn list_back<R: Record>(
        &self,
        prefix: &str,
        before: Bound<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Listed<R>>, StoreError> {
        self.walk(prefix, before, limit, now, Order::Backwards).await
    }

    async fn walk<R: Record>(
        &self,
        prefix: &str,
        from: Bound<&str>,
        limit: usize,
        now: Timestamp,
        order: Order,
    ) -> Result<Vec<Listed<R>>, StoreError> {
        let prefix = key::<R>(prefix);
        let mut from = match from {
            Bound::Included(name) => Bound::Included(key::<R>(name)),
            Bound::Excluded(name) => Bound::Excluded(key::<R>(name)),
            Bound::Unbounded => Bound::Unbounded,
        };
        let mut living = Vec::new();
        loop {
            // Expired records are met and passed over, so one page may not be enough.
            let wanted = limit.saturating_sub(living.len()).min(PAGE);
            let page = match order {
                _ if wanted == 0 => Vec::new(),
                Order::Forwards => self.engine.scan(prefix.as_str(), from, wanted).await?,
                Order::Backwards => self.engine.scan_back(prefix.as_str(), from, wanted).await?,
            };
            let full = page.len() == wanted && wanted > 0;
            let last = page.last().map(|(key, _)| key.clone());
            for (key, found) in page {
                if let Some(record) = decode_living(&key, &found.value, now)? {
                    let name = name::<R>(&key).to_owned();
                    living.push(Listed { name, record, seen: Expect::At(found.version) });
                }
            }
            match last {
                Some(last) if full => from = Bound::Excluded(last),
                _ => return Ok(living),
            }
        }
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

    /// How many living records of kind `R` there are. None of them is decoded.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn count<R: Record>(&self, now: Timestamp) -> Result<u64, StoreError> {
        let prefix = key::<R>("");
        let (mut count, mut from) = (0, Bound::Unbounded);
        loop {
            let page = self.engine.scan(prefix.as_str(), from, PAGE).await?;
            let living = |value: &[u8]| header(value).is_none_or(|header| !header.expired(now));
            count += page.iter().filter(|(_, found)| living(&found.value)).count() as u64;
            match page.last() {
                Some((last, _)) if page.len() == PAGE => from = Bound::Excluded(last.clone()),
                _ => return Ok(count),
            }
        }
    }

    /// What the engine has counted of itself.
    #[must_use]
    pub fn figures(&self) -> Option<Snapshot> {
        self.engine.figures()
    }

    /// Whether other nodes have the store as well.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.engine.is_shared()
    }

    /// Changes to records of kind `R`.
    #[must_use]
    pub fn watch<R: Record>(&self) -> Box<dyn Watch> {
        self.engine.watch(&format!("{}/", R::KIND))
    }

    /// Returns when everything committed before, lazily too, is durable: for a stop in good order.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn durable(&self) -> Result<(), StoreError> {
        self.engine.durable().await
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
        let key = key::<R>(name);
        match encode(&key, record) {
            Ok(bytes) => self.commit.puts.push((key, bytes)),
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

/// The name of a record of kind `R`; empty where the key is of another kind.
#[must_use]
pub fn name<R: Record>(key: &Key) -> &str {
    key.as_str().strip_prefix(R::KIND).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default()
}

fn key<R: Record>(name: &str) -> Key {
    Key::new(format!("{}/{name}", R::KIND))
}

fn slot<R: Record>(key: &Key, found: Option<Versioned>, now: Timestamp) -> Result<Slot<R>, StoreError> {
    match found {
        None => Ok(Slot { record: None, seen: Expect::Absent }),
        Some(found) => Ok(Slot { record: decode_living(key, &found.value, now)?, seen: Expect::At(found.version) }),
    }
}

/// How many records are looked at in one step.
const PAGE: usize = 256;

/// What stands before every record's JSON, the same for all kinds, so that the sweeper needs to know none of them: the
/// kind's format (1 byte) and the expiry in milliseconds since the Unix epoch (8 bytes, big-endian; all ones: never).
struct Header {
    format: u8,
    expires_at: u64,
}

const HEADER: usize = 9;
const NEVER: u64 = u64::MAX;

impl Header {
    fn expired(&self, now: Timestamp) -> bool {
        self.expires_at != NEVER && self.expires_at <= now.millis()
    }
}

fn header(value: &[u8]) -> Option<Header> {
    let (format, rest) = value.split_first()?;
    let expiry = rest.first_chunk::<8>()?;
    Some(Header { format: *format, expires_at: u64::from_be_bytes(*expiry) })
}

pub(super) fn encode<R: Record>(key: &Key, record: &R) -> Result<Bytes, StoreError> {
    let mut bytes = Vec::with_capacity(256);
    bytes.push(R::FORMAT);
    bytes.extend(record.expires_at().map_or(NEVER, Timestamp::millis).to_be_bytes());
    serde_json::to_writer(&mut bytes, record).map_err(|error| unreadable(key, describe(&error)))?;
    Ok(bytes.into())
}

pub(super) fn decode<R: Record>(key: &Key, value: &[u8]) -> Result<R, StoreError> {
    let header = header(value).ok_or_else(|| unreadable(key, "it is too short".into()))?;
    if header.format == 0 || header.format > R::FORMAT {
        let detail = format!("its format is {}, this sekisho knows up to {}", header.format, R::FORMAT);
        return Err(unreadable(key, detail));
    }
    let body = value.get(HEADER..).unwrap_or_default();
    serde_json::from_slice(body).map_err(|error| unreadable(key, describe(&error)))
}

/// The record, unless it has expired.
fn decode_living<R: Record>(key: &Key, value: &[u8], now: Timestamp) -> Result<Option<R>, StoreError> {
    match header(value) {
        Some(header) if header.expired(now) => Ok(None),
        _ => decode(key, value).map(Some),
    }
}

/// Where the JSON went wrong; serde's own sentence would quote what it found there, which may be somebody's secret.
fn describe(error: &serde_json::Error) -> String {
    format!("{:?} error at byte {} of its JSON", error.classify(), error.column())
}

fn unreadable(key: &Key, detail: String) -> StoreError {
    StoreError::Record { key: format!("{key:?}"), detail }
}

#[cfg(test)]
mod tests;

/// For tests of the store: records whose contents are easy to compare.
#[cfg(test)]
pub(super) mod testing {
    use super::*;

    #[derive(Serialize, serde::Deserialize)]
    struct Number(u64);

    impl Record for Number {
        const KIND: &'static str = "number";
    }

    /// Writes, overwrites and removes some of `count` numbers, differently in each round.
    pub(crate) async fn write_numbers(store: &Store, round: u64, count: u64) {
        for index in 0..count {
            let name = format!("{index:04}");
            let change = match (index + round) % 5 {
                0 => Change::new().delete::<Number>(&name),
                _ => Change::new().put(&name, &Number(round * 1_000_000 + index)),
            };
            store.commit(if index % 10 == 0 { change } else { change.lazy() }).await.unwrap();
        }
        store.durable().await.unwrap();
    }

    pub(crate) async fn numbers(store: &Store) -> Result<Vec<(String, u64)>, StoreError> {
        let listed = store.list::<Number>("", Bound::Unbounded, usize::MAX, Timestamp::from_secs(0)).await?;
        Ok(listed.into_iter().map(|one| (one.name, one.record.0)).collect())
    }
}
