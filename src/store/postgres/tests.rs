//! Against a real PostgreSQL, Debian's, which runs for as long as this test process does.

mod nodes;
mod possession;
#[path = "../../../tests/postgres/server.rs"]
mod server;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use self::server::Server;
use super::super::conformance::conformance_tests;
use super::super::engine::{Engine, StoreError};
use super::super::open::{Filling, Making};
use super::super::record::Store;
use crate::config::Database;

/// A database of its own, and a folder for key files.
struct Scratch {
    name: String,
    folder: TempDir,
}

impl Scratch {
    fn new() -> Self {
        Self { name: Server::shared().database(), folder: tempfile::tempdir().unwrap() }
    }

    fn database(&self) -> Database {
        crate::config::testing::database(&Server::shared().url(&self.name))
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    async fn open(&self, making: Making) -> Result<Store, StoreError> {
        super::open(&self.database(), Duration::from_secs(30), &self.key(), making).await
    }

    async fn fill(&self) -> Result<Filling, StoreError> {
        super::fill(&self.database(), Duration::from_secs(30), &self.key()).await
    }

    fn sql(&self, statement: &str) -> String {
        Server::shared().sql(&self.name, statement)
    }
}

/// An engine over a database of its own.
async fn empty() -> (Arc<dyn Engine>, Scratch) {
    let scratch = Scratch::new();
    let engine = scratch.open(Making::Allowed).await.unwrap().into_engine();
    // The store's id is no record of the suite's.
    scratch.sql("TRUNCATE sekisho.record");
    (engine, scratch)
}

mod conformance {
    use super::*;
    conformance_tests!(empty().await);
}
