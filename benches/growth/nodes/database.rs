//! The database of the nodes, set as one that is at work, and what it has done so far by its own count.

use std::ops::Sub;

use super::super::cpu;
use crate::harness::postgres::Server;

/// For a machine with some gigabytes. Whatever was acknowledged is on the disk.
const SETTINGS: &[&str] = &[
    "shared_buffers=2GB",
    "effective_cache_size=6GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=15min",
    "fsync=on",
    "full_page_writes=on",
    "shared_preload_libraries=pg_stat_statements",
    "pg_stat_statements.track=all",
];

/// Who counts is in another database, and is not counted.
const COUNTER: &str = "postgres";

pub struct Database {
    server: Server,
    name: String,
}

/// Sums since it was begun.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// Seconds of all its processes.
    pub cpu: f64,
    /// Statements that read a record or one with the other that it names, that commit, and that read pages of records.
    pub reads: f64,
    pub commits: f64,
    pub pages: f64,
    /// Records that pages held, and records that commits have put.
    pub paged: f64,
    pub put: f64,
    /// Bytes of its log that commits have made.
    pub wal: f64,
}

impl Database {
    pub fn new() -> Self {
        let server = Server::with(SETTINGS);
        let name = server.database();
        server.sql(COUNTER, "CREATE EXTENSION pg_stat_statements");
        Self { server, name }
    }

    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// MiB of everything in it.
    pub fn size(&self) -> String {
        self.server.sql(COUNTER, &format!("SELECT pg_database_size('{}') / 1024 / 1024", self.name))
    }

    pub fn counted(&self) -> Counted {
        let (one, page) = ("'^SELECT (found[.])?version, '", "'^SELECT key, version, '");
        let (commit, put) = ("'^SELECT sekisho.commit_1[(]'", "'^INSERT INTO sekisho.record '");
        let sum = |what: &str, of: &str| format!("coalesce(sum({what}) FILTER (WHERE query ~ {of}), 0)");
        let sums =
            [("calls", one), ("calls", commit), ("calls", page), ("rows", page), ("rows", put), ("wal_bytes", commit)]
                .map(|(what, of)| sum(what, of))
                .join(", ");
        let all = "pg_stat_statements JOIN pg_database ON pg_database.oid = dbid";
        let line = self.server.sql(COUNTER, &format!("SELECT {sums} FROM {all} WHERE datname = '{}'", self.name));
        let sums: Vec<f64> = line.split('|').map(|field| field.parse().unwrap()).collect();
        let [reads, commits, pages, paged, put, wal] = sums[..] else { panic!("{line}") };
        let cpu = cpu::of(&[self.server.process()]).as_secs_f64();
        Counted { cpu, reads, commits, pages, paged, put, wal }
    }
}

impl Sub for Counted {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            cpu: self.cpu - other.cpu,
            reads: self.reads - other.reads,
            commits: self.commits - other.commits,
            pages: self.pages - other.pages,
            paged: self.paged - other.paged,
            put: self.put - other.put,
            wal: self.wal - other.wal,
        }
    }
}
