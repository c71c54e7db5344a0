//! sled itself: what is written how, and what its errors mean. Everything here blocks, and nothing here has threads or
//! retries; `super` has them.
//!
//! One tree. A value is its version (8 bytes, big-endian) and the record's bytes. Beside the records stands the tip, the
//! version of the newest commit, written in the same batch. Outside of sled the file `watermark` holds the newest version
//! that is known to be durable: sled takes a damaged end of its log for a torn write and drops it without a word, which
//! only shows when the tip lies below the watermark.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ::sled::{Batch, Db, IVec};
use bytes::Bytes;

use super::files::{self, WATERMARK, io_error};
use crate::store::engine::{Commit, Expect, Key, StoreError, Version, Versioned};

/// No record's key begins with a zero byte.
const TIP: &[u8] = b"\0tip";

/// Pages kept in memory. The whole of a small store; sled's own default is four times as much.
const CACHE_BYTES: u64 = 256 * 1024 * 1024;

/// Lazy commits reach the disk within this time.
const FLUSH_EVERY_MS: u64 = 500;

pub(in crate::store) struct Disk {
    // An Option so that closing can be guarded: sled's own drop may panic on a broken disk.
    db: Option<Db>,
    path: PathBuf,
    log: File,
    watermark: File,
    synced_blobs: Mutex<BTreeSet<OsString>>,
}

/// How much is looked at before a store is trusted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Check {
    /// Every record is read once: damage shows at the start and not in the middle of somebody's login.
    Everything,
    /// For opening again after an error: what was sound a moment ago.
    Tip,
}

impl Disk {
    /// Opens what is at `path`, and creates it if nothing is there: whether that is right, the caller has settled.
    pub(in crate::store) fn open(path: &Path, check: Check) -> Result<Self, StoreError> {
        guarded(path, || {
            let config = ::sled::Config::new().path(path).cache_capacity(CACHE_BYTES);
            let db = config.flush_every_ms(Some(FLUSH_EVERY_MS)).open().map_err(|error| explain(path, error))?;
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
            let synced_blobs = Mutex::default();
            let disk = Self { db: Some(db), path: path.into(), log, watermark, synced_blobs };
            disk.verify(check)?;
            Ok(disk)
        })
    }

    fn verify(&self, check: Check) -> Result<(), StoreError> {
        let tip = self.tip()?;
        let durable = self.watermark()?;
        if tip < durable {
            let detail = format!("it has lost its newest changes (it ends at {}, {} was reached)", tip.0, durable.0);
            return Err(self.corrupt(detail));
        }
        if check == Check::Everything {
            for pair in self.db()?.iter() {
                let (_, value) = pair.map_err(|error| explain(&self.path, error))?;
                let version = self.split(&value)?.0;
                if version > tip {
                    return Err(self.corrupt("a record is newer than the newest change".into()));
                }
            }
        }
        Ok(())
    }

    /// The version of the newest commit.
    pub(in crate::store) fn tip(&self) -> Result<Version, StoreError> {
        match self.raw(TIP)? {
            None => Ok(Version(0)),
            Some(value) => Ok(self.split(&value)?.0),
        }
    }

    /// Whether there is no record at all.
    pub(in crate::store) fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.scan("", &Bound::Unbounded, 1)?.is_empty())
    }

    pub(in crate::store) fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.raw(key.as_bytes())?.map(|value| self.versioned(&value)).transpose()
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
            let mut found = Vec::new();
            for pair in self.db()?.range::<&[u8], _>(range) {
                if found.len() >= limit {
                    break;
                }
                let (key, value) = pair.map_err(|error| explain(&self.path, error))?;
                if !key.starts_with(prefix.as_bytes()) {
                    break;
                }
                if key.as_ref() == TIP {
                    continue;
                }
                let key = String::from_utf8(key.to_vec()).map_err(|_| self.corrupt("a key is no text".into()))?;
                found.push((Key::new(key), self.versioned(&value)?));
            }
            Ok(found)
        })
    }

    /// Whether every compare of `commit` holds.
    pub(in crate::store) fn holds(&self, commit: &Commit) -> Result<bool, StoreError> {
        for (key, expect) in &commit.compares {
            let present = match self.raw(key.as_str().as_bytes())? {
                None => None,
                Some(value) => Some(self.split(&value)?.0),
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

    /// Writes all of `commit` as `version`, in one batch of sled's: after a crash all of it is there, or nothing.
    pub(in crate::store) fn apply(&self, commit: &Commit, version: Version) -> Result<(), StoreError> {
        let stamp = version.0.to_be_bytes();
        let mut batch = Batch::default();
        for key in &commit.deletes {
            batch.remove(key.as_str().as_bytes());
        }
        for (key, value) in &commit.puts {
            let mut stamped = Vec::with_capacity(stamp.len() + value.len());
            stamped.extend(stamp);
            stamped.extend(value);
            batch.insert(key.as_str().as_bytes(), stamped);
        }
        batch.insert(TIP, &stamp);
        guarded(&self.path, || self.db()?.apply_batch(batch).map_err(|error| explain(&self.path, error)))
    }

    /// Returns when everything applied before would survive a power cut. sled's flush ends in `sync_file_range`, which is
    /// no such promise, and it does not sync its blobs (values of more than about half a segment) at all.
    pub(in crate::store) fn sync(&self, upto: Version) -> Result<(), StoreError> {
        guarded(&self.path, || {
            self.db()?.flush().map_err(|error| explain(&self.path, error))?;
            let unavailable = |error| io_error(&self.path, &error);
            // fdatasync: what it leaves out are times; a grown file's length is in it.
            self.log.sync_data().map_err(unavailable)?;
            self.sync_blobs().map_err(unavailable)?;
            self.raise_watermark(upto);
            Ok(())
        })
    }

    fn sync_blobs(&self) -> io::Result<()> {
        let folder = self.path.join(files::BLOBS);
        let mut synced = self.synced_blobs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut present = BTreeSet::new();
        for entry in folder.read_dir()? {
            let name = entry?.file_name();
            if !synced.contains(&name) {
                match File::open(folder.join(&name)) {
                    Ok(blob) => blob.sync_all()?,
                    // sled removes blobs whose value was replaced.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
            }
            present.insert(name);
        }
        if !present.is_subset(&synced) {
            File::open(&folder)?.sync_all()?;
        }
        *synced = present;
        Ok(())
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

    fn db(&self) -> Result<&Db, StoreError> {
        self.db.as_ref().ok_or_else(|| StoreError::Unavailable("it is closed".into()))
    }

    fn versioned(&self, value: &[u8]) -> Result<Versioned, StoreError> {
        let (version, rest) = self.split(value)?;
        Ok(Versioned { version, value: Bytes::copy_from_slice(rest) })
    }

    fn split<'v>(&self, value: &'v [u8]) -> Result<(Version, &'v [u8]), StoreError> {
        let (stamp, rest) =
            value.split_first_chunk::<8>().ok_or_else(|| self.corrupt("a value is too short".into()))?;
        Ok((Version(u64::from_be_bytes(*stamp)), rest))
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
