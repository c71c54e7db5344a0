//! Care of the store as a whole: what an administrator does to it now and then, beside all that happens to single records.
//!
//! | part | what it is for |
//! | --- | --- |
//! | [`Care::export`] | everything that a new store needs, line by line |
//! | [`restore`] | an export, examined as a whole and then written into a new store |
//! | [`Care::verify`] | everything is read, opened and compared |
//! | [`Care::sweep`] | what has expired goes now |
//! | [`Care::nodes`] | which nodes share the store, and whose configuration is another one |
//! | [`Care::seal_anew`] | after a new key: whatever the old ones have sealed |
//!
//! All of it goes through the store piece by piece, so that a gateway under load goes on and memory stays flat; what it finds on
//! the way, and how far it is, goes to a [`Listener`].

mod export;
mod format;
#[cfg(fuzzing)]
pub mod fuzzing;
mod kinds;
pub mod restore;
mod rotation;
mod seals;
mod verify;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

pub use self::rotation::SealedAnew;
pub use self::verify::{Problem, Verified};
pub use super::nodes::NodeView;

use super::ServiceError;
use super::background;
use super::context::Context;
use super::nodes;
use crate::clock::Clock;
use crate::store::engine::Key;

/// How many records are read in one step.
const PAGE: usize = 256;

/// After how many records that were only counted somebody hears that it goes on.
const PROGRESS: u64 = 256 * 256;

/// Something on the way of what takes long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// So many records of so many; 0: it is not known yet.
    Progress {
        done: u64,
        total: u64,
    },
    /// Lines of an export, without their ends.
    Lines(Vec<String>),
    Problems(Vec<Problem>),
}

/// Whoever waits. What it cannot take any more is lost, and it does not come back for it.
#[async_trait]
pub trait Listener: Send + Sync {
    async fn hear(&self, piece: Piece);
}

/// See the module.
pub struct Care {
    context: Arc<Context>,
    clock: Arc<dyn Clock>,
    newest: rotation::Newest,
}

impl Care {
    pub(super) fn new(context: Arc<Context>, clock: Arc<dyn Clock>) -> Self {
        let newest = rotation::Newest::new(&context.config.load().keys);
        Self { context, clock, newest }
    }

    /// Removes what has expired, and events older than `audit.retain`; returns how many records of each kind.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn sweep(&self) -> Result<BTreeMap<String, u64>, ServiceError> {
        let now = self.clock.now();
        let mut swept = self.context.store.sweep(now).await?;
        let forgotten = background::forget_events(&self.context, now).await?;
        if forgotten > 0 {
            *swept.entry("audit".into()).or_default() += forgotten as u64;
        }
        Ok(swept)
    }

    /// The nodes on a shared store, with what differs from the configuration here; `None`: the store is this machine's alone.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn nodes(&self) -> Result<Option<Vec<NodeView>>, ServiceError> {
        nodes::list(&self.context, self.clock.now()).await
    }

    /// How many records there are under these prefixes, expired ones too.
    async fn count(&self, prefixes: &[String], to: &dyn Listener) -> Result<u64, ServiceError> {
        let mut count = 0;
        for prefix in prefixes {
            let mut after: Option<Key> = None;
            loop {
                let page = self.context.store.raw_page(prefix, after.as_ref(), PAGE).await?;
                let Some(last) = page.last() else { break };
                count += page.len() as u64;
                after = Some(last.key.clone());
                if count.is_multiple_of(PROGRESS) {
                    to.hear(Piece::Progress { done: 0, total: 0 }).await;
                }
            }
        }
        Ok(count)
    }
}
