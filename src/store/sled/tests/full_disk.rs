//! A full disk: refused while it is full, everything acknowledged kept, and on again without a restart.

use std::fs::File;
use std::io::Write;

use super::*;
use crate::store::engine::Change;

/// A tiny file system of its own, for as long as this lives.
struct TinyDisk(TempDir);

impl TinyDisk {
    fn mount() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        let done = mount.args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(dir.path()).output().unwrap();
        assert!(done.status.success(), "a tiny disk cannot be mounted: {done:?}");
        Self(dir)
    }

    /// The place of a store on it.
    fn store(&self) -> PathBuf {
        let store = self.0.path().join("store");
        Directory::make(&store).unwrap();
        store
    }

    /// Writes a file until nothing more fits.
    fn fill(&self) {
        let mut file = File::create(self.0.path().join("filler")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_space_again() {
    in_its_own_namespace("full_disk::durable_writes", &["--mount"]);
}

#[test]
fn a_full_disk_refuses_lazy_writes_too_until_there_is_space_again() {
    in_its_own_namespace("full_disk::lazy_writes", &["--mount"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a child of a_full_disk_refuses_writes_until_there_is_space_again"]
async fn durable_writes() {
    refuses_until_there_is_space_again(Durability::Durable).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a child of a_full_disk_refuses_lazy_writes_too_until_there_is_space_again"]
async fn lazy_writes() {
    refuses_until_there_is_space_again(Durability::Lazy).await;
}

#[test]
fn what_a_full_disk_refused_is_not_missed_when_the_store_is_opened_again() {
    in_its_own_namespace("full_disk::nothing_is_missed", &["--mount"]);
}

/// Nothing is written between the refusal and the end: that would make up for a number that came to nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a child of what_a_full_disk_refused_is_not_missed_when_the_store_is_opened_again"]
async fn nothing_is_missed() {
    let disk = TinyDisk::mount();
    let store = disk.store();
    let engine = start(&store).unwrap();
    committed(&engine, put("kept", vec![1; 500])).await;
    for round in 0..2 {
        disk.fill();
        let mut written = 0;
        while engine.commit(put(&format!("late/{round}/{written}"), vec![2; 500])).await.is_ok() {
            written += 1;
        }
        disk.free();
        until("it can be read", async || engine.get(&key("kept")).await).await;
        // As the watchdog does.
        until("it answers", async || engine.durable().await).await;
    }
    drop(engine);
    let engine = start(&store).unwrap();
    assert!(engine.get(&key("kept")).await.unwrap().is_some());
    committed(&engine, put("after", "x")).await;
}

async fn refuses_until_there_is_space_again(durability: Durability) {
    let disk = TinyDisk::mount();
    let store = disk.store();
    let engine = start(&store).unwrap();
    let mut watch = engine.watch("kept/");
    let mut acknowledged = Vec::new();
    for number in 0..50 {
        let name = format!("kept/{number}");
        committed(&engine, put(&name, vec![1; 500])).await;
        acknowledged.push(name);
    }
    for _ in 0..50 {
        assert!(matches!(watch.next().await, Some(Change::Put(_))));
    }

    disk.fill();
    let mut written = 0;
    let refused = loop {
        // Some still fit in what sled has set aside.
        let name = format!("late/{written}");
        match engine.commit(Commit { durability, ..put(&name, vec![2; 500]) }).await {
            Ok(_) if durability == Durability::Durable => acknowledged.push(name),
            Ok(_) => {}
            Err(error) => break error,
        }
        written += 1;
        assert!(written < 100_000, "a full disk takes everything");
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
    for number in 0..20 {
        let answer = engine.commit(put(&format!("full/{number}"), vec![3; 500])).await;
        assert!(answer.is_err(), "a full disk took number {number}");
    }
    // It is answered, one way or the other: a watchdog that waits for it must not end a gateway whose disk is full.
    tokio::time::timeout(Duration::from_secs(20), engine.durable())
        .await
        .expect("a full disk keeps nobody waiting")
        .ok();
    // Refused or right, never absent.
    if let Ok(found) = engine.get(&key("kept/0")).await {
        assert_eq!(found.unwrap().value, vec![1; 500]);
    }

    disk.free();
    until("it can be written", async || engine.commit(Commit { durability, ..put("after", "x") }).await).await;
    for name in &acknowledged {
        assert!(engine.get(&key(name)).await.unwrap().is_some(), "{name} is lost");
    }
    while watch.next().await.unwrap() != Change::Lagged {}
    drop(engine);
    let engine = start(&store).unwrap();
    assert!(engine.get(&key("after")).await.unwrap().is_some());
    for name in &acknowledged {
        assert!(engine.get(&key(name)).await.unwrap().is_some(), "{name} is lost after opening again");
    }
}
