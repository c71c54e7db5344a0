//! The embedded engine, over sled 0.34.
//!
//! ```text
//!  get, scan ──▶ readers: some threads ───────▶ Disk       (side by side)
//!  commit ──▶ writer: compare, apply, tell ──▶ Disk       (one thread: the order of the commits is the order of its queue)
//!               └─ durable ──▶ syncer: one flush and fsync for all that wait at that moment, then their answers
//! ```
//!
//! sled refuses every write after a failed one, even when there is space again, until it is dropped and opened anew. So
//! after an error the writer closes the [`Disk`] and opens it again, at intervals while that fails; in between reads and
//! writes are refused. What had been applied but was not yet durable may be gone then: its callers get an error, and
//! watchers are told that they have lost the thread.
//!
//! What a start had no time to read is read beside all that, by `looker`; where it finds damage, the store is closed for good.

mod disk;
pub(super) mod files;
mod looker;
mod readers;
mod value;
mod writer;

#[cfg(test)]
mod tests;

use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;

use async_trait::async_trait;
use tokio::sync::{broadcast, oneshot};

#[cfg(test)]
use self::disk::MOST_KEYS;
pub(super) use self::disk::{Disk, Survey};
use self::files::Directory;
use self::looker::Looker;
use self::readers::Readers;
use self::writer::{Job, Reply};
use super::engine::{Commit, Engine, Key, Named, Naming, Outcome, StoreError, Versioned, Watch};
use super::figures::{Figures, Snapshot};
use super::watch::{self, PrefixWatch, Told};

/// The embedded store. Dropping it makes everything durable and lets go of the files.
pub struct SledEngine {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
    readers: Readers,
    looker: Option<Looker>,
    thread: Option<JoinHandle<()>>,
}

/// What the readers, the writer and the syncer have in common.
struct Shared {
    /// `None` while it is being opened again.
    disk: RwLock<Option<Disk>>,
    /// Counts the openings; changes under the lock of `disk` alone. What was applied in one generation is only known to
    /// be durable if it was synced in the same one.
    generation: AtomicU64,
    /// Cleared at an error, so that nobody waits for the lock of `disk` while it is opened again.
    usable: AtomicBool,
    /// What is damaged in it. From then on nothing can be had from it any more.
    condemned: OnceLock<String>,
    /// The newest version that is durable.
    durable: AtomicU64,
    /// Held alone while a commit is applied, so that a scan sees all of it or nothing.
    view: RwLock<()>,
    changes: broadcast::Sender<Told>,
    figures: Figures,
    /// The lock on the directory, and what is put right with its files at the end.
    directory: Directory,
}

impl SledEngine {
    /// Starts the engine over an opened disk. `unread`: what is still to be read of it, to see whether it is whole.
    ///
    /// # Errors
    /// Where the disk cannot be read or no thread can be started.
    pub(super) fn start(disk: Disk, directory: Directory, unread: Option<Survey>) -> Result<Self, StoreError> {
        let newest = disk.tip()?;
        let shared = Arc::new(Shared {
            disk: RwLock::new(Some(disk)),
            generation: AtomicU64::new(0),
            usable: AtomicBool::new(true),
            condemned: OnceLock::new(),
            durable: AtomicU64::new(0),
            view: RwLock::new(()),
            changes: broadcast::Sender::new(watch::BACKLOG),
            figures: Figures::default(),
            directory,
        });
        let readers = Readers::start()?;
        let (jobs, thread) = writer::start(&shared, newest)?;
        let looker = unread.map(|survey| Looker::start(&shared, &jobs, survey)).transpose()?;
        Ok(Self { shared, jobs, readers, looker, thread: Some(thread) })
    }

    /// Reads on one of the readers' threads.
    async fn read<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Shared, &Disk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (shared, jobs) = (Arc::clone(&self.shared), self.jobs.clone());
        let (reply, answer) = oneshot::channel();
        self.readers.give(move || {
            if !reply.is_closed() {
                let _ = reply.send(shared.read(&jobs, |disk| act(&shared, disk)));
            }
        })?;
        answer.await.map_err(|_| closed())?
    }

    /// Reads many records, while no commit is half applied.
    async fn view<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Disk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read(move |shared, disk| {
            let _view = shared.view.read().unwrap_or_else(PoisonError::into_inner);
            act(disk)
        })
        .await
    }

    /// Hands the writer a job and waits for its answer.
    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

impl Shared {
    /// Does something with the disk of this generation, or refuses while there is none.
    fn with_disk<T>(&self, act: impl FnOnce(&Disk, u64) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if !self.usable.load(Ordering::SeqCst) {
            return Err(self.refusal());
        }
        let disk = self.disk.read().unwrap_or_else(PoisonError::into_inner);
        act(disk.as_ref().ok_or_else(reopening)?, self.generation.load(Ordering::SeqCst))
    }

    /// Why nothing can be had from it now.
    fn refusal(&self) -> StoreError {
        match self.condemned.get() {
            Some(detail) => {
                let path = self.directory.path().display().to_string();
                StoreError::Corrupt { path, detail: detail.clone() }
            }
            None => reopening(),
        }
    }

    fn is_condemned(&self) -> bool {
        self.condemned.get().is_some()
    }

    /// Damage was found: it is closed for good.
    fn condemn(&self, detail: String) {
        let _ = self.condemned.set(detail);
        self.usable.store(false, Ordering::SeqCst);
        self.directory.condemn();
        tracing::error!(error = %self.refusal(), "nobody is let in any more");
        let _ = self.changes.send(Told::Missed);
    }

    /// Reads; where the disk fails, the writer is told to look whether opening it again helps.
    fn read<T>(
        &self,
        jobs: &mpsc::Sender<Job>,
        act: impl FnOnce(&Disk) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let read = self.with_disk(|disk, generation| {
            act(disk).inspect_err(|error| {
                if let StoreError::Unavailable(_) = error {
                    let _ = jobs.send(Job::Suspect(generation));
                }
            })
        });
        read.inspect_err(|_| _ = self.figures.failed_reads.fetch_add(1, Ordering::Relaxed))
    }
}

#[async_trait]
impl Engine for SledEngine {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        let key = key.clone();
        self.read(move |_, disk| disk.get(key.as_str())).await
    }

    async fn get_named(&self, key: &Key, naming: &Naming) -> Result<Option<Named>, StoreError> {
        let (key, naming) = (key.clone(), naming.clone());
        self.read(move |_, disk| {
            let Some(found) = disk.get(key.as_str())? else { return Ok(None) };
            let other = naming.key(&found.value).map(|other| disk.get(other.as_str())).transpose()?;
            Ok(Some((found, other.flatten())))
        })
        .await
    }

    async fn get_all(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        let keys = keys.to_vec();
        self.read(move |_, disk| keys.iter().map(|key| disk.get(key.as_str())).collect()).await
    }

    async fn scan(&self, prefix: &str, from: Bound<Key>, limit: usize) -> Result<Vec<(Key, Versioned)>, StoreError> {
        let prefix = prefix.to_owned();
        self.view(move |disk| disk.scan(&prefix, &from, limit)).await
    }

    async fn scan_back(
        &self,
        prefix: &str,
        before: Bound<Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        let prefix = prefix.to_owned();
        self.view(move |disk| disk.scan_back(&prefix, &before, limit)).await
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        let waiting = self.shared.figures.begin();
        let answer = self.ask(|reply| Job::Commit(commit, reply)).await;
        waiting.answered(&answer);
        answer
    }

    fn watch(&self, prefix: &str) -> Box<dyn Watch> {
        Box::new(PrefixWatch::new(self.shared.changes.subscribe(), prefix))
    }

    async fn durable(&self) -> Result<(), StoreError> {
        self.ask(Job::Durable).await
    }

    fn figures(&self) -> Option<Snapshot> {
        let directory = &self.shared.directory;
        Some(Snapshot {
            open: self.shared.usable.load(Ordering::SeqCst),
            size: directory.size(),
            free: directory.free_space(),
            ..self.shared.figures.snapshot()
        })
    }
}

impl Drop for SledEngine {
    fn drop(&mut self) {
        drop(self.looker.take());
        let _ = self.jobs.send(Job::Close);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".into())
}

fn reopening() -> StoreError {
    StoreError::Unavailable("it is being opened again after an error".into())
}

/// For tests of this crate: a store in a directory that goes away.
#[cfg(test)]
pub(crate) mod testing {
    use std::sync::Arc;

    use super::super::engine::Engine;
    use super::super::record::Store;
    use super::{Directory, Disk, SledEngine};

    /// An engine without a record, not even the id that stands in every store.
    pub(crate) fn empty() -> (Arc<dyn Engine>, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::take(dir.path()).unwrap();
        let disk = Disk::open(dir.path()).unwrap();
        (Arc::new(SledEngine::start(disk, directory, None).unwrap()), dir)
    }

    /// A new store. Keep the directory for as long as the store is used.
    pub(crate) fn scratch() -> (Store, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let store = super::super::open::open_or_create(&dir.path().join("store"), &dir.path().join("key")).unwrap();
        (store, dir)
    }
}
