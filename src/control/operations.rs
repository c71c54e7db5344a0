//! What is asked of the running gateway as a whole, and so cannot be done on a store alone. `server` does it.

use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Reply;

/// Something that only a gateway that runs can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Take the configuration file anew. `file`: the one that is meant, absolute; the gateway reads the one that it was started with, and
    /// no other.
    Reload { file: PathBuf },
    /// Hand over to a new process, which takes the configuration file anew. `file`: the one that is meant, absolute; it must be the one
    /// that the gateway was started with.
    Upgrade { file: PathBuf },
}

/// Whoever does it.
#[async_trait]
pub trait Operations: Send + Sync + 'static {
    async fn operate(&self, operation: Operation) -> Reply;
}
