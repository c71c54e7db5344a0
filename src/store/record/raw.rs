//! Records of all kinds as they are stored, for what goes through the whole store: sweeping, exports, verification.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::{HEADER, NEVER, Record, Store, decode, header, name};
use crate::clock::Timestamp;
use crate::store::engine::{Commit, Durability, Expect, Key, Outcome, StoreError, Version};

/// A record whose type is not known yet.
#[derive(Debug, Clone)]
pub struct Raw {
    pub key: Key,
    pub version: Version,
    value: Bytes,
}

/// How many records are removed in one commit. Each stands on a page of its own in the worst case, and all pages of a commit
/// are written at once (see the embedded engine).
const AT_ONCE: usize = 64;

impl Raw {
    /// A record that came from elsewhere: never stored as it is, but read and put anew.
    #[must_use]
    pub fn assembled(key: Key, format: u8, body: &[u8]) -> Self {
        let value = [&[format][..], &NEVER.to_be_bytes(), body].concat().into();
        Self { key, version: Version(0), value }
    }

    /// Which format of its kind it has; `None` where it is too short to be a record.
    #[must_use]
    pub fn format(&self) -> Option<u8> {
        header(&self.value).map(|header| header.format)
    }

    /// The record itself, in JSON.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.value.get(HEADER..).unwrap_or_default()
    }

    /// Whether it counts as absent at `now`.
    #[must_use]
    pub fn expired(&self, now: Timestamp) -> bool {
        header(&self.value).is_some_and(|header| header.expired(now))
    }

    /// Its name, where it is of kind `R`.
    #[must_use]
    pub fn name<R: Record>(&self) -> Option<&str> {
        Some(name::<R>(&self.key)).filter(|name| !name.is_empty())
    }

    /// The record, read as `R`.
    ///
    /// # Errors
    /// Where it is not understood.
    pub fn decode<R: Record>(&self) -> Result<R, StoreError> {
        decode(&self.key, &self.value)
    }

    /// As it stands in a store.
    #[cfg(fuzzing)]
    #[must_use]
    pub const fn stored(key: Key, value: Bytes) -> Self {
        Self { key, version: Version(0), value }
    }

    /// The record, as it would be stored now.
    ///
    /// # Errors
    /// Where it is not understood.
    #[cfg(fuzzing)]
    pub fn again<R: Record>(&self) -> Result<Bytes, StoreError> {
        super::encode(&self.key, &self.decode::<R>()?)
    }

    /// What a commit must compare so that it is still this one.
    #[must_use]
    pub const fn seen(&self) -> Expect {
        Expect::At(self.version)
    }
}

impl Store {
    /// Records of all kinds under `prefix` that come after `after`, expired ones too.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn raw_page(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Vec<Raw>, StoreError> {
        let from = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.clone()));
        let page = self.engine.scan(prefix, from, limit).await?;
        Ok(page.into_iter().map(|(key, found)| Raw { key, version: found.version, value: found.value }).collect())
    }

    /// Whatever stands under `key`, expired or not.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn raw(&self, key: &Key) -> Result<Option<Raw>, StoreError> {
        let found = self.engine.get(key).await?;
        Ok(found.map(|found| Raw { key: key.clone(), version: found.version, value: found.value }))
    }

    /// Removes what has expired at `now`, a bounded number in each commit; returns how many records of each kind went. A record
    /// that is renewed meanwhile stays.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn sweep(&self, now: Timestamp) -> Result<BTreeMap<String, u64>, StoreError> {
        let (mut swept, mut after) = (BTreeMap::new(), None);
        loop {
            after = self.sweep_piece(after, now, &mut swept).await?;
            if after.is_none() {
                return Ok(swept);
            }
        }
    }

    /// The same for the next few records behind `after`, which are counted in `swept`; returns where to go on, if there is more.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn sweep_piece(
        &self,
        after: Option<Key>,
        now: Timestamp,
        swept: &mut BTreeMap<String, u64>,
    ) -> Result<Option<Key>, StoreError> {
        let page = self.raw_page("", after.as_ref(), super::PAGE).await?;
        let last = page.last().map(|last| last.key.clone());
        let expired: Vec<Raw> = page.into_iter().filter(|raw| raw.expired(now)).collect();
        for some in expired.chunks(AT_ONCE) {
            self.remove(some, swept).await?;
        }
        Ok(last)
    }

    /// In one commit where nobody came in between, else each by itself. Lazily: what a crash brings back has expired still.
    pub(super) async fn remove(&self, expired: &[Raw], swept: &mut BTreeMap<String, u64>) -> Result<(), StoreError> {
        let removal = |expired: &[Raw]| Commit {
            compares: expired.iter().map(|raw| (raw.key.clone(), raw.seen())).collect(),
            deletes: expired.iter().map(|raw| raw.key.clone()).collect(),
            durability: Durability::Lazy,
            ..Commit::default()
        };
        let mut count = |gone: &[Raw]| {
            for raw in gone {
                let kind = raw.key.as_str().split('/').next().unwrap_or_default();
                *swept.entry(kind.to_owned()).or_default() += 1;
            }
        };
        if let Outcome::Committed(_) = self.engine.commit(removal(expired)).await? {
            count(expired);
            return Ok(());
        }
        for one in expired.chunks(1) {
            if let Outcome::Committed(_) = self.engine.commit(removal(one)).await? {
                count(one);
            }
        }
        Ok(())
    }
}
