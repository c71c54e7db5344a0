//! The threads that read. sled lets nobody read while it applies a batch, and a batch may wait for the disk: where that is busy
//! with other people's writes, for a second. Threads that serve requests would stand still with it, all of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::{closed, writer};
use crate::store::engine::StoreError;

/// A page that is not in memory keeps one of them waiting; the others go on.
const THREADS: usize = 4;

type Job = Box<dyn FnOnce() + Send>;

/// They end, with all they have to do, when this is dropped.
pub(super) struct Readers {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts them.
    ///
    /// # Errors
    /// Where there can be no more threads.
    pub(super) fn start() -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        let thread = || {
            let queue = Arc::clone(&queue);
            writer::spawn("store-read", move || read(&queue))
        };
        let threads = std::iter::repeat_with(thread).take(THREADS).collect::<Result<_, _>>()?;
        Ok(Self { jobs: Some(jobs), threads })
    }

    /// Has one of them do this.
    ///
    /// # Errors
    /// Where they have ended.
    pub(super) fn give(&self, job: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let jobs = self.jobs.as_ref().ok_or_else(closed)?;
        jobs.send(Box::new(job)).map_err(|_| closed())
    }
}

fn read(queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // Whoever asked finds that there is no answer; the next one has one.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        drop(self.jobs.take());
        self.threads.drain(..).for_each(|thread| _ = thread.join());
    }
}
