//! The thread that goes on with a [`Survey`] beside the requests, where a start had no time for all of it.
//!
//! Where it finds damage the store is closed for good: whatever is asked of it is refused from then on, watchers are told that nothing which
//! they remember counts, and a mark is left in its folder, by which the next start reads all of it before it lets anybody in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::disk::Survey;
use super::writer::{self, Job, RETRY};
use super::{Shared, StoreError};

/// For how long it keeps the disk from being opened again after an error.
const SLICE: Duration = Duration::from_millis(20);
/// Added to its niceness: it competes with requests that are waited for.
const NICENESS: i32 = 10;

/// It ends when this is dropped, wherever it is.
pub(super) struct Looker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Looker {
    /// Starts it.
    ///
    /// # Errors
    /// Where there can be no more threads.
    pub(super) fn start(shared: &Arc<Shared>, jobs: &Sender<Job>, survey: Survey) -> Result<Self, StoreError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, jobs, told) = (Arc::clone(shared), jobs.clone(), Arc::clone(&stop));
        let thread = writer::spawn("store-look", move || look(&shared, &jobs, survey, &told))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn look(shared: &Shared, jobs: &Sender<Job>, mut survey: Survey, stop: &AtomicBool) {
    // On Linux niceness is each thread's own. Where it cannot be changed, it merely competes on equal terms.
    let _ = rustix::process::nice(NICENESS);
    let began = Instant::now();
    while !stop.load(Ordering::Acquire) {
        match shared.read(jobs, |disk| survey.go_on(disk, Instant::now() + SLICE)) {
            Ok(false) => {}
            Ok(true) => {
                tracing::info!(seconds = began.elapsed().as_secs(), "every record of the store was read, and is whole");
                // The writer alone writes.
                let _ = jobs.send(Job::Drop(survey.orphans()));
                return;
            }
            Err(StoreError::Corrupt { detail, .. }) => return shared.condemn(detail),
            // It is opened again, or being closed.
            Err(_) => std::thread::park_timeout(RETRY),
        }
    }
}
