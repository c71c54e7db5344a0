//! The two threads behind the engine: the writer, through which every commit goes, and the syncer, which makes them
//! durable, as many at a time as wait.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::disk::{Disk, fits};
use super::{Shared, closed, reopening};
use crate::store::engine::{Change, Commit, Durability, Key, Outcome, StoreError, Version};
use crate::store::watch::Told;

/// How long between two attempts to open the store again, and how long writes are refused after a failed one, so that a
/// disk that stays full does not keep the store from being read.
pub(super) const RETRY: Duration = Duration::from_millis(250);

/// While fewer bytes than this are free after a failed write, none is tried: sled grows by segments of 512 KiB.
const ENOUGH_SPACE: u64 = 1024 * 1024;

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

pub(super) enum Job {
    Commit(Commit, Reply<Outcome>),
    Durable(Reply<()>),
    /// In this generation something failed.
    Suspect(u64),
    /// Parts of long values that nothing leads to.
    Drop(Vec<Vec<u8>>),
    Close,
}

/// Starts both threads; versions go on after `newest`. The thread that is returned ends last.
pub(super) fn start(shared: &Arc<Shared>, newest: Version) -> Result<(Sender<Job>, JoinHandle<()>), StoreError> {
    let (jobs, queue) = mpsc::channel();
    let (syncs, sync_queue) = mpsc::channel();
    let syncer = Syncer { shared: Arc::clone(shared), queue: sync_queue, jobs: jobs.clone() };
    let syncing = spawn("store-sync", move || syncer.run())?;
    let shared = Arc::clone(shared);
    let writing = spawn("store-write", move || {
        let mut writer = Writer { shared: Arc::clone(&shared), queue, syncs, newest, trouble: None, reopened: None };
        writer.run();
        let newest = writer.newest;
        // With it goes the writing end of the syncer's queue.
        drop(writer);
        let _ = syncing.join();
        close(&shared, newest);
    })?;
    Ok((jobs, writing))
}

pub(super) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let thread = std::thread::Builder::new().name(name.into()).spawn(run);
    thread.map_err(|error| StoreError::Unavailable(format!("no thread for it: {error}")))
}

/// Makes the last lazy commits durable and lets go of the files.
fn close(shared: &Shared, newest: Version) {
    let disk = shared.disk.write().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(disk) = disk
        && let Err(error) = disk.sync(newest)
    {
        tracing::error!(%error, "the store was closed, but its last lazy changes may be lost");
    }
    shared.directory.settle();
}

fn answer<T>(reply: Reply<T>, result: Result<T, StoreError>) {
    // Whoever asked may have gone; the commit stands all the same.
    let _ = reply.send(result);
}

struct Writer {
    shared: Arc<Shared>,
    queue: Receiver<Job>,
    syncs: Sender<Pending>,
    /// The newest version given out. It only rises, over reopenings too: a version that somebody may still hold never
    /// comes back for something else.
    newest: Version,
    /// When a write failed last; `None` again after one that did not.
    trouble: Option<Instant>,
    /// When it was last tried to open the disk again.
    reopened: Option<Instant>,
}

impl Writer {
    fn run(&mut self) {
        loop {
            let job = match self.is_usable() {
                true => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => self.queue.recv_timeout(RETRY),
            };
            match job {
                Ok(Job::Commit(commit, reply)) => self.commit(&commit, reply),
                Ok(Job::Durable(reply)) => self.when_durable(Waiting::Asked(reply)),
                Ok(Job::Suspect(generation)) => self.suspect(generation),
                Ok(Job::Drop(parts)) => self.drop_parts(parts),
                Ok(Job::Close) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if !self.is_usable() && self.may_reopen() && !self.shared.is_condemned() {
                self.reopen();
            }
        }
    }

    fn is_usable(&self) -> bool {
        self.shared.usable.load(Ordering::SeqCst)
    }

    fn may_reopen(&self) -> bool {
        self.reopened.is_none_or(|last| last.elapsed() >= RETRY)
    }

    fn commit(&mut self, commit: &Commit, reply: Reply<Outcome>) {
        match self.apply(commit) {
            Ok(Outcome::Committed(version)) if commit.durability == Durability::Durable => {
                self.when_durable(Waiting::Committed(reply, version));
            }
            result => answer(reply, result),
        }
    }

    fn apply(&mut self, commit: &Commit) -> Result<Outcome, StoreError> {
        self.refuse_in_trouble()?;
        if !self.is_usable() {
            return Err(self.shared.refusal());
        }
        fits(commit)?;
        let version = Version(self.newest.0.saturating_add(1));
        let applied = self.shared.with_disk(|disk, _| {
            if !disk.holds(commit)? {
                return Ok(false);
            }
            let _view = self.shared.view.write().unwrap_or_else(PoisonError::into_inner);
            disk.apply(commit, version)?;
            Ok(true)
        });
        match applied {
            Ok(false) => Ok(Outcome::Conflict),
            Ok(true) => {
                self.newest = version;
                self.trouble = None;
                self.tell(commit);
                Ok(Outcome::Committed(version))
            }
            Err(error) => {
                // Whether or not something of it was written: nobody else gets this version.
                self.newest = version;
                self.fail(&error);
                Err(error)
            }
        }
    }

    /// After a failed write: some time passes and some space is there before the next is tried.
    fn refuse_in_trouble(&self) -> Result<(), StoreError> {
        let Some(since) = self.trouble else { return Ok(()) };
        if since.elapsed() < RETRY {
            return Err(StoreError::Unavailable("the last write failed a moment ago".into()));
        }
        match self.shared.directory.free_space() {
            Some(free) if free < ENOUGH_SPACE => {
                Err(StoreError::Unavailable("no space is left on its disk; it goes on when there is some".into()))
            }
            _ => Ok(()),
        }
    }

    fn tell(&self, commit: &Commit) {
        if self.shared.changes.receiver_count() == 0 {
            return;
        }
        let put = |key: &Key| commit.puts.iter().any(|(put, _)| put == key);
        let deletes = commit.deletes.iter().filter(|key| !put(key)).cloned().map(Change::Delete);
        let puts = commit.puts.iter().map(|(key, _)| Change::Put(key.clone()));
        let _ = self.shared.changes.send(Told::Changes(deletes.chain(puts).collect()));
    }

    fn when_durable(&self, waiting: Waiting) {
        let generation = self.shared.generation.load(Ordering::SeqCst);
        if let Err(unsent) = self.syncs.send(Pending { generation, version: self.newest, waiting }) {
            unsent.0.waiting.answer(Err(closed()));
        }
    }

    fn drop_parts(&mut self, parts: Vec<Vec<u8>>) {
        if let Err(error) = self.shared.with_disk(|disk, _| disk.drop_parts(parts.into_iter())) {
            self.fail(&error);
        }
    }

    fn suspect(&mut self, generation: u64) {
        let current = self.shared.generation.load(Ordering::SeqCst) == generation;
        // A disk that fails every read is not opened again at each of them.
        if current && (!self.is_usable() || self.may_reopen()) {
            self.fail(&StoreError::Unavailable("a read or a sync failed".into()));
        }
    }

    fn fail(&mut self, error: &StoreError) {
        if self.shared.is_condemned() {
            return;
        }
        tracing::error!(%error, "the store failed; it is opened again");
        self.trouble = Some(Instant::now());
        self.reopen();
    }

    fn reopen(&mut self) {
        self.shared.usable.store(false, Ordering::SeqCst);
        self.reopened = Some(Instant::now());
        let mut slot = self.shared.disk.write().unwrap_or_else(PoisonError::into_inner);
        // Two at a time cannot be: sled locks its file.
        *slot = None;
        match self.open() {
            Ok((disk, tip)) => {
                self.newest = self.newest.max(tip);
                *slot = Some(disk);
                self.shared.generation.fetch_add(1, Ordering::SeqCst);
                self.shared.usable.store(true, Ordering::SeqCst);
                self.shared.figures.reopened.fetch_add(1, Ordering::Relaxed);
                drop(slot);
                let _ = self.shared.changes.send(Told::Missed);
                tracing::info!("the store is open again");
            }
            Err(error) => tracing::error!(%error, "the store cannot be opened again yet"),
        }
    }

    fn open(&self) -> Result<(Disk, Version), StoreError> {
        let path = self.shared.directory.path();
        self.shared.directory.still_there()?;
        let disk = Disk::open(path)?;
        let (tip, durable) = (disk.tip()?, Version(self.shared.durable.load(Ordering::SeqCst)));
        if tip < durable {
            let detail = "it came back without changes that were durable".into();
            return Err(StoreError::Corrupt { path: path.display().to_string(), detail });
        }
        Ok((disk, tip))
    }
}

/// Somebody who waits until what was applied is durable.
struct Pending {
    generation: u64,
    version: Version,
    waiting: Waiting,
}

enum Waiting {
    Committed(Reply<Outcome>, Version),
    Asked(Reply<()>),
}

impl Waiting {
    fn answer(self, result: Result<(), StoreError>) {
        match self {
            Self::Committed(reply, version) => answer(reply, result.map(|()| Outcome::Committed(version))),
            Self::Asked(reply) => answer(reply, result),
        }
    }
}

struct Syncer {
    shared: Arc<Shared>,
    queue: Receiver<Pending>,
    jobs: Sender<Job>,
}

impl Syncer {
    fn run(self) {
        while let Ok(first) = self.queue.recv() {
            let mut group = vec![first];
            group.extend(self.queue.try_iter());
            self.sync(group);
        }
    }

    fn sync(&self, group: Vec<Pending>) {
        // The last is the newest: the writer queued them in order.
        let Some((generation, version)) = group.last().map(|last| (last.generation, last.version)) else { return };
        let began = Instant::now();
        let synced = self.shared.with_disk(|disk, present| {
            if present != generation {
                return Err(reopening());
            }
            disk.sync(version).inspect_err(|_| {
                self.shared.usable.store(false, Ordering::SeqCst);
                let _ = self.jobs.send(Job::Suspect(generation));
            })
        });
        match synced {
            Ok(reached) => {
                self.shared.figures.syncs.note(began.elapsed());
                self.shared.durable.fetch_max(reached.0, Ordering::SeqCst);
                for pending in group {
                    // Applied to a disk that was closed before it was synced: it may be gone.
                    let kept = pending.generation == generation;
                    pending.waiting.answer(if kept { Ok(()) } else { Err(reopening()) });
                }
            }
            Err(error) => {
                let said = error.to_string();
                for pending in group {
                    pending.waiting.answer(Err(StoreError::Unavailable(said.clone())));
                }
            }
        }
    }
}
