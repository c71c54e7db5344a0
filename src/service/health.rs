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

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use async_trait::async_trait;
    use tokio_util::sync::CancellationToken;

    use super::super::Services;
    use super::super::testing::Bench;
    use super::*;
    use crate::clock::Clock;
    use crate::store::engine::{Commit, Engine, Key, Outcome, StoreError, Versioned, Watch};
    use crate::store::record::Store;

    /// A disk that hangs until it is let go.
    struct Hanging(CancellationToken);

    impl Hanging {
        async fn hang<T>(&self) -> Result<T, StoreError> {
            self.0.cancelled().await;
            Err(StoreError::Unavailable("it hung".into()))
        }
    }

    #[async_trait]
    impl Engine for Hanging {
        async fn get(&self, _: &Key) -> Result<Option<Versioned>, StoreError> {
            self.hang().await
        }
        async fn scan(&self, _: &str, _: Bound<Key>, _: usize) -> Result<Vec<(Key, Versioned)>, StoreError> {
            self.hang().await
        }
        async fn scan_back(&self, _: &str, _: Bound<Key>, _: usize) -> Result<Vec<(Key, Versioned)>, StoreError> {
            self.hang().await
        }
        async fn commit(&self, _: Commit) -> Result<Outcome, StoreError> {
            self.hang().await
        }
        fn watch(&self, _: &str) -> Box<dyn Watch> {
            unreachable!("nothing in the background runs here")
        }
        async fn durable(&self) -> Result<(), StoreError> {
            self.hang().await
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_store_that_hangs_is_told_in_time_and_holds_one_thread_alone() {
        let bench = Bench::new(|_| {});
        assert!(bench.services.health.store_can_be_read(bench.now()).await);
        let config = Arc::clone(&bench.services.config);
        let end = CancellationToken::new();
        let _at_the_end = end.clone().drop_guard();
        let hanging = Services::new(config, Store::new(Arc::new(Hanging(end))), bench.clock.clone(), None);
        let began = tokio::time::Instant::now();
        let asked = (0..4).map(|_| hanging.health.store_can_be_read(bench.clock.now()));
        assert!(futures_util::future::join_all(asked).await.iter().all(|read| !read));
        assert!(!hanging.health.store_can_be_read(bench.clock.now()).await);
        assert!(began.elapsed() < READ * 4);
        assert!(!hanging.health.passwords_are_stuck());
    }
}
