//! The threads that read. sled lets nobody read while it applies a batch, and a batch may wait for the disk: where that is busy
//! with other people's writes, for a second. Threads that serve requests would stand still with it, all of them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::{closed, writer};
use crate::store::engine::StoreError;

/// A page that is not in memory keeps one of them waiting; the others go on.
const THREADS: usize = 4;

type Job = Box<dyn FnOnce() + Send>;

/// They end, with all they have to do, when this is dropped.
pub(super) struct Readers {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts them.
    ///
    /// # Errors
    /// Where there can be no more threads.
    pub(super) fn start() -> Result<Self, StoreError> {
        let mut readers = Self { queue: Arc::default(), threads: Vec::with_capacity(THREADS) };
        for _ in 0..THREADS {
            let queue = Arc::clone(&readers.queue);
            readers.threads.push(writer::spawn("store-read", move || read(&queue))?);
        }
        Ok(readers)
    }

    /// Has one of them do this.
    ///
    /// # Errors
    /// Where they are ending.
    pub(super) fn give(&self, job: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let mut waiting = self.queue.lock();
        if waiting.ends {
            return Err(closed());
        }
        waiting.jobs.push_back(Box::new(job));
        drop(waiting);
        self.queue.filled.notify_one();
        Ok(())
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.lock().ends = true;
        self.queue.filled.notify_all();
        self.threads.drain(..).for_each(|thread| _ = thread.join());
    }
}

/// What is to be read. Each job wakes one thread; at the receiver of a channel it would wake two, the one that takes it and the one that is to
/// wait there next.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// Nothing more comes.
    ends: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job, as soon as there is one; `None`: there will be none.
    fn next(&self) -> Option<Job> {
        let idle = |waiting: &mut Waiting| waiting.jobs.is_empty() && !waiting.ends;
        let waiting = self.filled.wait_while(self.lock(), idle);
        waiting.unwrap_or_else(PoisonError::into_inner).jobs.pop_front()
    }
}

fn read(queue: &Queue) {
    while let Some(job) = queue.next() {
        // Whoever asked finds that there is no answer; the next one has one.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}
