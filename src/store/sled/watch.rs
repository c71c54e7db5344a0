//! Changes, told to whoever watches a prefix.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::store::engine::{Change, Key, Watch};

/// What the writer tells after each commit.
#[derive(Debug, Clone)]
pub(super) enum Told {
    /// The changes of one commit.
    Changes(Arc<[Change]>),
    /// The store was opened again; what was lazy or in flight may not have happened.
    Reopened,
}

pub(super) struct SledWatch {
    told: Receiver<Told>,
    prefix: String,
    waiting: VecDeque<Change>,
}

impl SledWatch {
    pub(super) fn new(told: Receiver<Told>, prefix: &str) -> Self {
        Self { told, prefix: prefix.to_owned(), waiting: VecDeque::new() }
    }

    fn concerns(&self, key: &Key) -> bool {
        key.as_str().starts_with(&self.prefix)
    }
}

#[async_trait]
impl Watch for SledWatch {
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
                Ok(Told::Reopened) | Err(RecvError::Lagged(_)) => return Some(Change::Lagged),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
