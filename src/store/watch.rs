//! Changes, told to whoever watches a prefix: for engines that tell each commit's changes once, to all.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::engine::{Change, Key, Watch};

/// How many commits a watcher may be behind before it is told that it missed some.
pub(super) const BACKLOG: usize = 4096;

/// What an engine tells after each commit.
#[derive(Debug, Clone)]
pub(super) enum Told {
    /// The changes of one commit.
    Changes(Arc<[Change]>),
    /// Something may have changed, or not have happened, that nobody can name.
    Missed,
}

/// A receiver of changes under one prefix.
pub(super) struct PrefixWatch {
    told: Receiver<Told>,
    prefix: String,
    waiting: VecDeque<Change>,
}

impl PrefixWatch {
    pub(super) fn new(told: Receiver<Told>, prefix: &str) -> Self {
        Self { told, prefix: prefix.to_owned(), waiting: VecDeque::new() }
    }

    fn concerns(&self, key: &Key) -> bool {
        key.as_str().starts_with(&self.prefix)
    }
}

#[async_trait]
impl Watch for PrefixWatch {
    async fn next(&mut self) -> Option<Change> {
        loop {
            if let Some(change) = self.waiting.pop_front() {
                return Some(change);
            }
            match self.told.recv().await {
                Ok(Told::Changes(changes)) => {
                    for change in changes.iter() {
                        match change {
                            Change::Put(key) | Change::Delete(key) if !self.concerns(key) => {}
                            _ => self.waiting.push_back(change.clone()),
                        }
                    }
                }
                Ok(Told::Missed) | Err(RecvError::Lagged(_)) => return Some(Change::Lagged),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
