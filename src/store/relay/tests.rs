//! What every engine must do, over a stream; and what happens when the stream breaks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::store::conformance::conformance_tests;
use crate::store::engine::Engine;
use crate::store::sled::testing::empty;
use crate::store::switch::Switch;

conformance_tests!(fresh());

/// The same over a chain: the owner's owner has the store, as while a second upgrade comes before the first has ended.
mod over_two_processes {
    use super::*;

    conformance_tests!(chain());
}

const PATIENCE: Duration = Duration::from_secs(20);

fn over(engine: Arc<dyn Engine>) -> (Remote, JoinHandle<()>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Remote::new(ours), tokio::spawn(serve(engine, theirs)))
}

fn fresh() -> (Arc<dyn Engine>, TempDir) {
    let (engine, dir) = empty();
    (Arc::new(over(engine).0), dir)
}

fn chain() -> (Arc<dyn Engine>, TempDir) {
    let (engine, dir) = empty();
    let between = Switch::new(Arc::new(over(engine).0));
    (Arc::new(over(Arc::new(between)).0), dir)
}

fn put(name: &str) -> Commit {
    Commit { puts: vec![(Key::new(name.to_owned()), Bytes::from_static(b"x"))], ..Commit::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_made_by_the_owner_is_told_to_the_other_process() {
    let (engine, _dir) = empty();
    let (remote, _served) = over(Arc::clone(&engine));
    let mut watch = remote.watch("session/");
    // Whoever has an answer is served, and so is told.
    remote.durable().await.unwrap();
    engine.commit(put("session/1")).await.unwrap();
    let told = timeout(PATIENCE, watch.next()).await.unwrap();
    assert_eq!(told, Some(Change::Put(Key::new("session/1".into()))));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_owner_is_gone_whoever_waits_and_whoever_comes_gets_an_error() {
    let (engine, _dir) = empty();
    let (remote, served) = over(engine);
    let mut watch = remote.watch("");
    remote.commit(put("a")).await.unwrap();
    served.abort();
    timeout(PATIENCE, remote.broken().cancelled()).await.unwrap();
    assert!(timeout(PATIENCE, remote.get(&Key::new("a".into()))).await.unwrap().is_err());
    assert_eq!(timeout(PATIENCE, watch.next()).await.unwrap(), Some(Change::Put(Key::new("a".into()))));
    assert_eq!(timeout(PATIENCE, watch.next()).await.unwrap(), None);
    assert_eq!(timeout(PATIENCE, watch.next()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_speaks_no_sense_is_as_good_as_gone() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let remote = Remote::new(ours);
    let mut frames = tokio_util::codec::Framed::new(theirs, codec());
    futures_util::SinkExt::send(&mut frames, Bytes::from_static(b"\xc1nonsense")).await.unwrap();
    timeout(PATIENCE, remote.broken().cancelled()).await.unwrap();
    assert!(remote.durable().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_goes_on_when_the_other_process_is_gone() {
    let (engine, _dir) = empty();
    let (remote, served) = over(Arc::clone(&engine));
    remote.commit(put("a")).await.unwrap();
    drop(remote);
    timeout(PATIENCE, served).await.unwrap().unwrap();
    assert!(engine.get(&Key::new("a".into())).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_engine_comes_over_as_it_was() {
    let switch = Switch::new(empty().0);
    let mut paused = switch.pause().await;
    drop(paused.take());
    drop(paused);
    let (remote, _served) = over(Arc::new(switch));
    let said = remote.get(&Key::new("a".into())).await.unwrap_err().to_string();
    assert!(said.contains("given to another process") || said.contains("is gone"), "{said}");
}
