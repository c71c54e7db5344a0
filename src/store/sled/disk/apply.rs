//! How a commit is written, and how much of it at once.
//!
//! sled writes by seven threads of its own, of which it never starts more: it counts those that wait wrongly. Each of them, at the end of
//! its write, takes the lock of sled's segments. That lock is held by whoever needs another segment for as long as the file is being made
//! shorter before, and making it shorter is work for one of the same seven. So with seven writes on their way all may stand still for
//! ever: no batch, and no row of batches, may fill that many segments (512 KiB each) before it was written out.
//!
//! What one key can cost is the value itself and, every tenth time, the page that it stands on; a page has up to three dozen values of
//! at most [`value::PART_BYTES`]. Therefore:
//!
//! - After [`AHEAD`] keys everything is written out before more is written.
//! - A commit has [`MOST_KEYS`] at most.
//! - The parts of long values are written before the commit itself, and those that nothing leads to any more after it, each a few at
//!   a time. The batch that makes the commit holds heads alone. Parts that a crash leaves behind are removed when the store is opened.

use std::sync::atomic::Ordering;

use ::sled::Batch;

use super::{Disk, explain, guarded};
use crate::store::engine::{Commit, StoreError, Version};
use crate::store::sled::value::{self, TIP};

/// How many keys may be written before sled has written them out.
const AHEAD: u64 = 32;

/// How many keys one commit may have. With pages as small as those of lists and indexes are, they stay within the segments.
pub(in crate::store::sled) const MOST_KEYS: usize = 1024;

/// How many parts go in one batch.
const PARTS: usize = 16;

/// Whether the commit is one that may be written.
pub(in crate::store::sled) fn fits(commit: &Commit) -> Result<(), StoreError> {
    match commit.puts.len() + commit.deletes.len() {
        ..=MOST_KEYS => Ok(()),
        keys => Err(StoreError::Unavailable(format!("a change of {keys} records at once is too large"))),
    }
}

impl Disk {
    /// Writes all of `commit` as `version`: after a crash all of it is there, or nothing.
    pub(in crate::store) fn apply(&self, commit: &Commit, version: Version) -> Result<(), StoreError> {
        let keys = commit.puts.len() + commit.deletes.len();
        let mut batch = Batch::default();
        let mut left = Vec::new();
        for key in commit.deletes.iter().chain(commit.puts.iter().map(|(key, _)| key)) {
            if let Some(old) = self.raw(key.as_str().as_bytes())? {
                let old = self.head(&old)?;
                left.extend(value::part_keys(old.version, old.parts));
                batch.remove(key.as_str().as_bytes());
            }
        }
        let mut parts_before = 0;
        let mut parts = Vec::new();
        for (key, bytes) in &commit.puts {
            let split = value::split(version, parts_before, bytes);
            parts_before = split.next_part;
            parts.extend(split.parts);
            batch.insert(key.as_str().as_bytes(), split.head);
        }
        batch.insert(TIP, value::split(version, 0, &[]).head);
        for some in parts.chunks(PARTS) {
            let mut batch = Batch::default();
            some.iter().for_each(|(key, part)| batch.insert(key.as_slice(), part.as_slice()));
            self.write(batch, some.len())?;
        }
        self.write(batch, keys + 1)?;
        self.drop_parts(left.into_iter())
    }

    /// Removes parts that no head leads to.
    pub(in crate::store) fn drop_parts(&self, parts: impl Iterator<Item = Vec<u8>>) -> Result<(), StoreError> {
        let parts: Vec<_> = parts.collect();
        for some in parts.chunks(PARTS) {
            let mut batch = Batch::default();
            some.iter().for_each(|key| batch.remove(key.as_slice()));
            self.write(batch, some.len())?;
        }
        Ok(())
    }

    fn write(&self, batch: Batch, keys: usize) -> Result<(), StoreError> {
        let keys = u64::try_from(keys).unwrap_or(u64::MAX);
        guarded(&self.path, || {
            if self.ahead.load(Ordering::Relaxed).saturating_add(keys) > AHEAD {
                self.write_out()?;
            }
            self.ahead.fetch_add(keys, Ordering::Relaxed);
            self.db()?.apply_batch(batch).map_err(|error| explain(&self.path, error))
        })
    }

    /// Returns when sled has written out everything written before.
    pub(super) fn write_out(&self) -> Result<(), StoreError> {
        let before = self.ahead.load(Ordering::Relaxed);
        self.db()?.flush().map_err(|error| explain(&self.path, error))?;
        // What was written meanwhile stays counted.
        let rest = |ahead: u64| Some(ahead.saturating_sub(before));
        let _ = self.ahead.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest);
        Ok(())
    }
}
