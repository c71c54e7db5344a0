//! What is sled's own: files, damage, full disks, crashes. What every engine must do is in `store::conformance`.

mod crash;
mod damage;
mod full_disk;
mod large;
mod possession;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::store::conformance::conformance_tests;
use crate::store::engine::{Durability, Version};

conformance_tests!(fresh());

fn fresh() -> (Arc<dyn Engine>, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path()).unwrap();
    (Arc::new(engine), dir)
}

/// An engine over whatever is in `path`, without the questions of `store::open`.
fn start(path: &Path) -> Result<SledEngine, StoreError> {
    let directory = Directory::take(path)?;
    let disk = Disk::open(path)?;
    let mut survey = Survey::of(&disk)?;
    while !survey.go_on(&disk, Instant::now())? {}
    disk.drop_parts(survey.orphans().into_iter())?;
    SledEngine::start(disk, directory, None)
}

fn key(name: &str) -> Key {
    Key::new(name.to_owned())
}

fn put(name: &str, value: impl Into<Bytes>) -> Commit {
    Commit { puts: vec![(key(name), value.into())], ..Commit::default() }
}

async fn committed(engine: &SledEngine, commit: Commit) -> Version {
    match engine.commit(commit).await.unwrap() {
        Outcome::Committed(version) => version,
        Outcome::Conflict => panic!("nothing stood against it"),
    }
}

/// Tries again and again, until it succeeds.
async fn until<T>(what: &str, mut attempt: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    let began = Instant::now();
    let mut retry = tokio::time::interval(Duration::from_millis(10));
    loop {
        retry.tick().await;
        match attempt().await {
            Ok(done) => return done,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(30), "not so yet that {what}: {error}"),
        }
    }
}

/// This test binary again, running one ignored test as another process.
fn child(test: &str, store: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "--nocapture", &format!("store::sled::tests::{test}")])
        .env("SEKISHO_TEST_STORE", store)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// Runs one ignored test as root, in namespaces of its own (`unshare`'s `options`): with root's rights where we have them, else
/// as root of a user namespace. Root within a chroot gets neither, and runs it as it is. Where nothing can be had it fails,
/// since a test that is passed over proves nothing.
fn in_its_own_namespace(test: &str, options: &[&str]) {
    let unshare = |user: &[&'static str]| {
        let mut command = Command::new("unshare");
        command.args(user).args(options).arg(std::env::current_exe().unwrap());
        command
    };
    let user = unshare(&["--user", "--map-root-user"]);
    let ways = match rustix::process::geteuid().is_root() {
        true => vec![unshare(&[]), user, Command::new(std::env::current_exe().unwrap())],
        false => vec![user],
    };
    let mut said = String::new();
    for mut command in ways {
        command.args(["--ignored", "--exact", "--nocapture", &format!("store::sled::tests::{test}")]);
        let output = command.output().expect("util-linux has `unshare`");
        said += &format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if output.status.success() && said.contains("1 passed") {
            return;
        }
        if said.contains("running 1 test") {
            break;
        }
    }
    panic!("{test} failed, or needs root, or user namespaces (with ids of their own in /etc/subuid):\n{said}");
}

/// Where a child finds its store.
fn given() -> PathBuf {
    std::env::var_os("SEKISHO_TEST_STORE").expect("only ever started by another test").into()
}

#[tokio::test]
async fn what_was_committed_is_there_after_opening_again_and_versions_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path()).unwrap();
    let durable = committed(&engine, put("a", "durable")).await;
    committed(&engine, put("gone", "x")).await;
    committed(&engine, Commit { deletes: vec![key("gone")], ..Commit::default() }).await;
    let lazy = committed(&engine, Commit { durability: Durability::Lazy, ..put("b", "lazy") }).await;
    let before = engine.scan("", Bound::Unbounded, 100).await.unwrap();
    drop(engine);
    let engine = start(dir.path()).unwrap();
    assert_eq!(engine.scan("", Bound::Unbounded, 100).await.unwrap(), before);
    assert_eq!(before.iter().map(|(_, found)| found.version).collect::<Vec<_>>(), [durable, lazy]);
    assert!(committed(&engine, put("c", "")).await > lazy);
}

#[tokio::test]
async fn a_watcher_more_than_the_backlog_behind_is_told_that_it_lagged() {
    let (engine, _dir) = fresh();
    let mut watch = engine.watch("a");
    for _ in 0..=watch::BACKLOG {
        engine.commit(Commit { durability: Durability::Lazy, ..put("a", "") }).await.unwrap();
    }
    assert_eq!(watch.next().await, Some(crate::store::engine::Change::Lagged));
}

/// Not a test but a measurement: `cargo test --release --lib -- --ignored --nocapture durable_commits_per_second`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn durable_commits_per_second() {
    for writers in [1_u32, 16, 256] {
        let dir = tempfile::tempdir_in(".").unwrap();
        let engine = Arc::new(start(dir.path()).unwrap());
        let began = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        let each = 4_000 / writers;
        for writer in 0..writers {
            let engine = Arc::clone(&engine);
            tasks.spawn(async move {
                for round in 0..each {
                    engine.commit(put(&format!("n/{writer}/{round}"), vec![7; 200])).await.unwrap();
                }
            });
        }
        tasks.join_all().await;
        println!(
            "{writers} writers: {:.0} durable commits/s",
            f64::from(each * writers) / began.elapsed().as_secs_f64()
        );
    }
}
