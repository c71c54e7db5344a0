//! sled itself: what is written how, and what its errors mean. Everything here blocks, and nothing here has threads or
//! retries; `super` has them.
//!
//! One tree; how a value stands in it is told in `super::value`. Beside the records stands the tip, the version of the
//! newest commit, written in the same batch (`apply`). Outside of sled the file `watermark` holds the newest version
//! that is known to be durable: sled takes a damaged end of its log for a torn write and drops it without a word, which
//! only shows when the tip lies below the watermark.

mod apply;
mod survey;

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use ::sled::{Db, IVec};
use bytes::Bytes;

#[cfg(test)]
pub(super) use self::apply::MOST_KEYS;
pub(super) use self::apply::fits;
pub(in crate::store) use self::survey::Survey;
use super::files::{self, WATERMARK, io_error};
use super::value::{self, Head, TIP};
use crate::store::engine::{Commit, Expect, Key, StoreError, Version, Versioned};

/// Pages kept in memory. The whole of a small store; sled's own default is four times as much.
const CACHE_BYTES: u64 = 256 * 1024 * 1024;

/// Lazy commits reach the disk within this time.
const FLUSH_EVERY_MS: u64 = 500;

/// How long sled's threads may take to let go of a store.
const LET_GO: Duration = Duration::from_secs(5);

pub(in crate::store) struct Disk {
    // An Option so that closing can be guarded: sled's own drop may panic on a broken disk.
    db: Option<Db>,
    path: PathBuf,
    log: File,
    watermark: File,
    /// How many keys were written that sled may not have written out yet: see [`apply`].
    ahead: AtomicU64,
}

impl Disk {
    /// Opens what is at `path`, and creates it if nothing is there: whether that is right, the caller has settled. Whether its records are
    /// whole, a [`Survey`] tells.
    pub(in crate::store) fn open(path: &Path) -> Result<Self, StoreError> {
        guarded(path, || {
            files::drop_unfinished(path)?;
            let config = ::sled::Config::new().path(path).cache_capacity(CACHE_BYTES);
            let db = open_when_free(path, &config.flush_every_ms(Some(FLUSH_EVERY_MS)))?;
            let unavailable = |error| io_error(path, &error);
            let watermark = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(path.join(WATERMARK))
                .map_err(unavailable)?;
            let log = File::open(path.join(files::LOG)).map_err(unavailable)?;
            let disk = Self { db: Some(db), path: path.into(), log, watermark, ahead: AtomicU64::new(0) };
            disk.reaches_its_watermark()?;
            Ok(disk)
        })
    }

    fn reaches_its_watermark(&self) -> Result<(), StoreError> {
        let (tip, durable) = (self.tip()?, self.watermark()?);
        if tip >= durable {
            return Ok(());
        }
        let detail = format!("it has lost its newest changes (it ends at {}, {} was reached)", tip.0, durable.0);
        Err(self.corrupt(detail))
    }

    /// The version of the newest commit.
    pub(in crate::store) fn tip(&self) -> Result<Version, StoreError> {
        match self.raw(TIP)? {
            None => Ok(Version(0)),
            Some(value) => Ok(self.head(&value)?.version),
        }
    }

    /// Whether there is no record at all.
    pub(in crate::store) fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.scan("", &Bound::Unbounded, 1)?.is_empty())
    }

    pub(in crate::store) fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        loop {
            let Some(value) = self.raw(key.as_bytes())? else { return Ok(None) };
            match self.whole(&value) {
                // Somebody may have replaced it between its head and its parts.
                Err(error) if self.raw(key.as_bytes())?.as_ref() == Some(&value) => return Err(error),
                Err(_) => {}
                whole => return whole.map(Some),
            }
        }
    }

    pub(in crate::store) fn scan(
        &self,
        prefix: &str,
        from: &Bound<Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        guarded(&self.path, || {
            let start: Bound<&[u8]> = match from {
                Bound::Included(key) if key.as_str() > prefix => Bound::Included(key.as_str().as_bytes()),
                Bound::Excluded(key) if key.as_str() >= prefix => Bound::Excluded(key.as_str().as_bytes()),
                _ => Bound::Included(prefix.as_bytes()),
            };
            let range: (Bound<&[u8]>, Bound<&[u8]>) = (start, Bound::Unbounded);
            self.gather(prefix, self.db()?.range::<&[u8], _>(range), limit)
        })
    }

    pub(in crate::store) fn scan_back(
        &self,
        prefix: &str,
        before: &Bound<Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        guarded(&self.path, || {
            // No text has the byte 0xff (RFC 3629 §3), so this is behind everything under the prefix.
            let behind = [prefix.as_bytes(), &[0xff]].concat();
            let end: Bound<&[u8]> = match before {
                Bound::Included(key) if key.as_str().as_bytes() < behind.as_slice() => {
                    Bound::Included(key.as_str().as_bytes())
                }
                Bound::Excluded(key) if key.as_str().as_bytes() < behind.as_slice() => {
                    Bound::Excluded(key.as_str().as_bytes())
                }
                _ => Bound::Excluded(&behind),
            };
            let range: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Unbounded, end);
            self.gather(prefix, self.db()?.range::<&[u8], _>(range).rev(), limit)
        })
    }

    /// The first records of a walk, for as long as it is under the prefix.
    fn gather(
        &self,
        prefix: &str,
        walk: impl Iterator<Item = ::sled::Result<(IVec, IVec)>>,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        let mut found = Vec::new();
        for pair in walk {
            if found.len() >= limit {
                break;
            }
            let (key, value) = pair.map_err(|error| explain(&self.path, error))?;
            if !key.starts_with(prefix.as_bytes()) {
                break;
            }
            if value::is_internal(&key) {
                continue;
            }
            let key = String::from_utf8(key.to_vec()).map_err(|_| self.corrupt("a key is no text".into()))?;
            found.push((Key::new(key), self.whole(&value)?));
        }
        Ok(found)
    }

    /// Whether every compare of `commit` holds.
    pub(in crate::store) fn holds(&self, commit: &Commit) -> Result<bool, StoreError> {
        for (key, expect) in &commit.compares {
            let present = match self.raw(key.as_str().as_bytes())? {
                None => None,
                Some(value) => Some(self.head(&value)?.version),
            };
            let holds = match expect {
                Expect::Absent => present.is_none(),
                Expect::At(version) => present == Some(*version),
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns when everything applied before would survive a power cut, with the version up to which that is so: `upto`, or a
    /// lower one, since a commit that failed has a version too and may have left nothing on the disk. sled's flush ends in
    /// `sync_file_range`, which is no such promise.
    pub(in crate::store) fn sync(&self, upto: Version) -> Result<Version, StoreError> {
        guarded(&self.path, || {
            let reached = upto.min(self.tip()?);
            self.write_out()?;
            let unavailable = |error| io_error(&self.path, &error);
            // fdatasync: what it leaves out are times; a grown file's length is in it.
            self.log.sync_data().map_err(unavailable)?;
            if self.log.metadata().map_err(unavailable)?.nlink() == 0 {
                return Err(StoreError::Unavailable("its files were removed while it was open".into()));
            }
            self.raise_watermark(reached);
            Ok(reached)
        })
    }

    fn watermark(&self) -> Result<Version, StoreError> {
        let mut bytes = [0; 16];
        match self.watermark.read_exact_at(&mut bytes, 0) {
            Ok(()) => {}
            // Just made, or never reached the disk.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Version(0)),
            Err(error) => return Err(io_error(&self.path, &error)),
        }
        let both = u128::from_be_bytes(bytes);
        if both == 0 {
            // Its length reached the disk before a power cut, its content did not.
            return Ok(Version(0));
        }
        let (version, check) = ((both >> 64) as u64, both as u64);
        if version != !check {
            return Err(self.corrupt(format!("its file `{WATERMARK}` is not as it was written")));
        }
        Ok(Version(version))
    }

    /// Not synced itself: an older watermark checks less, and is never wrong.
    fn raise_watermark(&self, version: Version) {
        let both = u128::from(version.0) << 64 | u128::from(!version.0);
        if let Err(error) = self.watermark.write_all_at(&both.to_be_bytes(), 0) {
            tracing::warn!(%error, "the store's watermark cannot be written");
        }
    }

    fn raw(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        guarded(&self.path, || self.db()?.get(key).map_err(|error| explain(&self.path, error)))
    }

    pub(super) fn db(&self) -> Result<&Db, StoreError> {
        self.db.as_ref().ok_or_else(|| StoreError::Unavailable("it is closed".into()))
    }

    fn whole(&self, value: &[u8]) -> Result<Versioned, StoreError> {
        let head = self.head(value)?;
        if head.parts.is_empty() {
            return Ok(Versioned { version: head.version, value: Bytes::copy_from_slice(head.rest) });
        }
        let mut bytes = Vec::new();
        for part in value::part_keys(head.version, head.parts) {
            bytes.extend_from_slice(&self.raw(&part)?.ok_or_else(|| self.corrupt("a part of a value is gone".into()))?);
        }
        Ok(Versioned { version: head.version, value: bytes.into() })
    }

    fn head<'v>(&self, value: &'v [u8]) -> Result<Head<'v>, StoreError> {
        Head::read(value).ok_or_else(|| self.corrupt("a value is too short".into()))
    }

    fn corrupt(&self, detail: String) -> StoreError {
        StoreError::Corrupt { path: self.path.display().to_string(), detail }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let db = self.db.take();
        let _ = guarded(&self.path, || {
            drop(db);
            Ok(())
        });
    }
}

/// The directory is ours alone by now, so a lock that is still there is one of this process: sled's own threads let go of
/// a store a moment after it was dropped.
pub(super) fn open_when_free(path: &Path, config: &::sled::Config) -> Result<Db, StoreError> {
    let began = Instant::now();
    loop {
        match config.open().map_err(|error| explain(path, error)) {
            Err(StoreError::Locked(_)) if began.elapsed() < LET_GO => std::thread::park_timeout(LET_GO / 500),
            result => return result,
        }
    }
}

/// sled panics on some damages where it should return an error; whatever it was about to do then did not happen.
fn guarded<T>(path: &Path, act: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| {
        Err(StoreError::Corrupt { path: path.display().to_string(), detail: "the engine gave up on it".into() })
    })
}

fn explain(path: &Path, error: ::sled::Error) -> StoreError {
    use ::sled::Error;
    let shown = path.display().to_string();
    match error {
        // The only word that sled has for it.
        Error::Io(error) if error.to_string().contains("could not acquire lock") => StoreError::Locked(shown),
        Error::Io(error) => io_error(path, &error),
        Error::Corruption { .. } => StoreError::Corrupt { path: shown, detail: "a checksum does not match".into() },
        Error::Unsupported(detail) | Error::ReportableBug(detail) => StoreError::Corrupt { path: shown, detail },
        Error::CollectionNotFound(_) => StoreError::Corrupt { path: shown, detail: "a part of it is gone".into() },
    }
}
