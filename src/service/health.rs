//! Whether the parts that every login needs still work. Looking costs next to nothing and ends in time, whatever hangs.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::context::Context;
use super::records::AdminGuard;
use crate::clock::Timestamp;

/// How long the store may take over a read.
const READ: Duration = Duration::from_secs(2);

/// The parts, as they are now.
pub struct Health {
    context: Arc<Context>,
    /// The read that is under way. One at a time: where the disk hangs, each would hold a thread for as long.
    reading: Mutex<Option<JoinHandle<bool>>>,
}

impl Health {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context, reading: Mutex::default() }
    }

    /// Whether the store answers a read in time. One that takes no writes, with its disk full say, still lets in who is signed in.
    pub async fn store_can_be_read(&self, now: Timestamp) -> bool {
        let answer = async {
            let mut slot = self.reading.lock().await;
            let reading = slot.get_or_insert_with(|| self.read(now));
            let answered = reading.await.unwrap_or(false);
            *slot = None;
            answered
        };
        timeout(READ, answer).await.unwrap_or(false)
    }

    /// On a thread that may block, as the embedded store reads in place.
    fn read(&self, now: Timestamp) -> JoinHandle<bool> {
        let (context, runtime) = (Arc::clone(&self.context), Handle::current());
        tokio::task::spawn_blocking(move || {
            let read = runtime.block_on(context.store.get::<AdminGuard>(AdminGuard::NAME, now));
            read.inspect_err(|error| tracing::warn!(%error, "the store cannot be read")).is_ok()
        })
    }

    /// Whether every thread that hashes passwords has been at the same one for far too long.
    #[must_use]
    pub fn passwords_are_stuck(&self) -> bool {
        self.context.hasher.is_stuck()
    }
}
