//! The file of events: one JSON object a line, appended by a thread of its own. Whoever hands an event over never waits: what
//! the disk is too slow for is counted, and told in the log and in the file. The store has it all.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::row::precise;
use super::{Event, EventRow};
use crate::clock::{Clock, Timestamp};

/// How many events may wait for the disk; some 500 bytes each.
const WAITING: usize = 8192;
/// The most that is written at once, in bytes.
const BATCH: usize = 256 * 1024;
/// A file that could not be opened or written is tried again after this time.
const AGAIN: Duration = Duration::from_secs(5);
/// How often the log says that events are lost to the file.
const SAY_EVERY: Duration = Duration::from_secs(60);
/// How long a stop waits for what is still to be written.
const LET_GO: Duration = Duration::from_secs(5);

/// The hand that gives events to the writing thread. Dropping it writes what waits.
pub struct AuditFile {
    jobs: Option<SyncSender<Job>>,
    done: Mutex<Receiver<()>>,
    lost: Arc<Lost>,
}

enum Job {
    Line(String),
    /// Opens the file by its name again, and answers when that is done.
    Reopen(SyncSender<()>),
    /// Makes durable what was written, and answers when that is done.
    Sync(SyncSender<()>),
}

/// What did not get into the file.
struct Lost {
    /// Since the last gap that was written.
    untold: AtomicU64,
    /// Since the start.
    all: AtomicU64,
    said_at: AtomicU64,
    clock: Arc<dyn Clock>,
}

impl AuditFile {
    /// Begins to append to the file at `path`; makes it, with mode 0640, where it is not there.
    ///
    /// # Errors
    /// Where no thread can be started. A file that cannot be opened is tried again and again.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let (jobs, queue) = sync_channel(WAITING);
        let (ended, done) = sync_channel(1);
        let lost =
            Arc::new(Lost { untold: AtomicU64::new(0), all: AtomicU64::new(0), said_at: AtomicU64::new(0), clock });
        let writer = Writer { path: path.to_owned(), file: None, failed_at: None, lost: Arc::clone(&lost) };
        std::thread::Builder::new().name("audit file".to_owned()).spawn(move || {
            writer.run(&queue);
            let _ = ended.send(());
        })?;
        Ok(Self { jobs: Some(jobs), done: Mutex::new(done), lost })
    }

    /// Whether the file at `path` can be written, which is made where it is not there. Waits for the disk.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn probe(path: &Path) -> io::Result<()> {
        self::open(path).map(drop)
    }

    /// Hands an event over. Never waits.
    pub fn write(&self, event: &Event) {
        let line = EventRow::from(event).line();
        match self.jobs.as_ref().map(|jobs| jobs.try_send(Job::Line(line))) {
            Some(Ok(())) => {}
            None | Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) => self.lost.add(1),
        }
    }

    /// How many events could not be written to it since it was opened.
    pub fn lost(&self) -> u64 {
        self.lost.all.load(Ordering::Relaxed)
    }

    /// Lets go of the file and opens it by its name again, as after a rotation; what was handed over before is in the old one.
    /// Waits for the disk.
    pub fn reopen(&self) {
        self.ask(Job::Reopen);
    }

    /// Returns when what was handed over is on the disk, or the disk takes too long.
    pub fn sync(&self) {
        self.ask(Job::Sync);
    }

    fn ask(&self, job: fn(SyncSender<()>) -> Job) {
        let Some(jobs) = self.jobs.clone() else { return };
        let (told, done) = sync_channel(1);
        // The queue may be full, and the disk hang.
        let asked = std::thread::Builder::new().spawn(move || jobs.send(job(told)));
        if asked.is_ok() {
            let _ = done.recv_timeout(LET_GO);
        }
    }
}

impl Drop for AuditFile {
    fn drop(&mut self) {
        self.jobs = None;
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if done.recv_timeout(LET_GO) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the audit file's disk takes too long; its last events are in the store alone");
        }
    }
}

impl Lost {
    fn add(&self, count: u64) {
        self.all.fetch_add(count, Ordering::Relaxed);
        let untold = self.untold.fetch_add(count, Ordering::Relaxed) + count;
        let now = self.clock.now();
        let said_at = Timestamp::from_millis(self.said_at.load(Ordering::Relaxed));
        let is_due = said_at.millis() == 0 || now.since(said_at) >= SAY_EVERY;
        if is_due
            && self
                .said_at
                .compare_exchange(said_at.millis(), now.millis(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            tracing::warn!(lost = untold, "the audit file cannot take these events; they are in the store");
        }
    }
}

/// What the thread has.
struct Writer {
    path: PathBuf,
    file: Option<File>,
    failed_at: Option<Timestamp>,
    lost: Arc<Lost>,
}

impl Writer {
    fn run(mut self, queue: &Receiver<Job>) {
        self.open();
        while let Ok(first) = queue.recv() {
            let mut next = Some(first);
            while let Some(job) = next.take() {
                match job {
                    Job::Line(line) => {
                        let mut batch = vec![line];
                        let mut bytes = batch.iter().map(String::len).sum::<usize>();
                        while bytes < BATCH {
                            match queue.try_recv() {
                                Ok(Job::Line(line)) => {
                                    bytes += line.len();
                                    batch.push(line);
                                }
                                Ok(other) => {
                                    next = Some(other);
                                    break;
                                }
                                Err(_) => break,
                            }
                        }
                        self.write(&batch);
                    }
                    Job::Reopen(told) => {
                        self.open();
                        let _ = told.send(());
                    }
                    Job::Sync(told) => {
                        self.sync();
                        let _ = told.send(());
                    }
                }
            }
        }
        self.sync();
    }

    fn sync(&mut self) {
        if self.lost.untold.load(Ordering::Relaxed) > 0 {
            self.write(&[]);
        }
        if let Some(file) = &self.file {
            let _ = file.sync_data();
        }
    }

    /// Opens the file anew; where that cannot be done, goes on with the one that is open.
    fn open(&mut self) {
        match open(&self.path) {
            Ok((file, torn)) => {
                self.file = Some(file);
                self.failed_at = None;
                if torn {
                    self.lost.add(1);
                }
            }
            Err(error) => {
                self.failed_at = Some(self.lost.clock.now());
                tracing::error!(path = %self.path.display(), %error, "the audit file cannot be opened");
            }
        }
    }

    fn write(&mut self, lines: &[String]) {
        let now = self.lost.clock.now();
        if self.file.is_none() && self.failed_at.is_none_or(|failed_at| now.since(failed_at) >= AGAIN) {
            self.open();
        }
        let lost = self.lost.untold.swap(0, Ordering::Relaxed);
        let mut bytes = if lost > 0 { gap(now, lost) } else { String::new() };
        lines.iter().for_each(|line| bytes.push_str(line));
        let written = self.file.as_mut().map(|file| append(file, bytes.as_bytes()));
        if !matches!(written, Some(Ok(()))) {
            if let Some(Err(error)) = written {
                tracing::error!(path = %self.path.display(), %error, "the audit file cannot be written");
                self.file = None;
                self.failed_at = Some(now);
            }
            self.lost.untold.fetch_add(lost, Ordering::Relaxed);
            if !lines.is_empty() {
                self.lost.add(lines.len() as u64);
            }
        }
    }
}

/// Opens for appending. A line that a crash has cut short is taken away, so that every line is whole; true: there was one.
fn open(path: &Path) -> io::Result<(File, bool)> {
    let mut options = OpenOptions::new();
    options.append(true).read(true).mode(0o640);
    let mut file = match options.clone().create_new(true).open(path) {
        Ok(file) => {
            give_away(&file, path);
            file
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path)?,
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok((file, false));
    }
    let mut end = metadata.len();
    let mut buffer = vec![0; 4096];
    while end > 0 {
        let begin = end.saturating_sub(buffer.len() as u64);
        let length = usize::try_from(end - begin).unwrap_or_default();
        let part = buffer.get_mut(..length).unwrap_or_default();
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(part)?;
        if let Some(newline) = part.iter().rposition(|byte| *byte == b'\n') {
            end = begin + newline as u64 + 1;
            break;
        }
        end = begin;
    }
    if end < metadata.len() {
        file.set_len(end)?;
    }
    Ok((file, end < metadata.len()))
}

/// What root makes on the command line belongs to the folder's owner, so that the service can go on with it.
fn give_away(file: &File, path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if rustix::process::geteuid().is_root()
        && let Ok(owner) = std::fs::metadata(folder)
    {
        let (user, group) = (rustix::fs::Uid::from_raw(owner.uid()), rustix::fs::Gid::from_raw(owner.gid()));
        let _ = rustix::fs::fchown(file, Some(user), Some(group));
    }
}

/// All of it, or nothing: half a line would spoil the next one.
fn append(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let before = file.metadata()?;
    file.write_all(bytes).inspect_err(|_| {
        if before.is_file() {
            let _ = file.set_len(before.len());
        }
    })
}

/// The record of a gap: so many events are in the store alone.
fn gap(at: Timestamp, lost: u64) -> String {
    format!("{}\n", serde_json::json!({ "time": precise(at), "event": "gap", "lost": lost }))
}

#[cfg(test)]
mod tests;
