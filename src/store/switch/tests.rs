//! A switch is an engine like any other, and stays one while the engine behind it changes.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::store::conformance::conformance_tests;
use crate::store::open::{open, open_or_create};
use crate::store::sled::testing::empty;

conformance_tests!(fresh());

const PATIENCE: Duration = Duration::from_secs(20);

fn fresh() -> (Arc<dyn Engine>, TempDir) {
    let (engine, dir) = empty();
    (Arc::new(Switch::new(engine)), dir)
}

fn switch() -> (Switch, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let store = open_or_create(&dir.path().join("store"), &dir.path().join("key")).unwrap();
    (Switch::new(store.into_engine()), dir)
}

fn put(name: &str) -> Commit {
    Commit { puts: vec![(Key::new(name.to_owned()), Bytes::from_static(b"x"))], ..Commit::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_while_it_is_paused_waits_and_is_served_by_the_next_engine() {
    let (switch, dir) = switch();
    let switch = Arc::new(switch);
    switch.commit(put("a")).await.unwrap();
    let mut paused = switch.pause().await;
    let reading = tokio::spawn({
        let switch = Arc::clone(&switch);
        async move { switch.get(&Key::new("a".into())).await }
    });
    drop(paused.take().unwrap());
    assert!(!reading.is_finished());
    let again = open(&dir.path().join("store"), &dir.path().join("key")).unwrap();
    paused.resume(again.into_engine());
    assert!(timeout(PATIENCE, reading).await.unwrap().unwrap().unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_waits_for_what_is_under_way() {
    let (switch, _dir) = switch();
    let under_way = Arc::clone(&switch.place).read_owned().await;
    let mut pausing = Box::pin(switch.pause());
    assert!(pausing.as_mut().now_or_never().is_none());
    drop(under_way);
    timeout(PATIENCE, pausing).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_stays_over_a_change_of_engines_and_learns_of_it() {
    let (switch, dir) = switch();
    let mut watch = switch.watch("n/");
    switch.commit(put("n/1")).await.unwrap();
    let mut paused = switch.pause().await;
    let mut late = switch.watch("n/");
    drop(paused.take().unwrap());
    assert_eq!(watch.next().await, Some(Change::Put(Key::new("n/1".into()))));
    assert!(watch.next().now_or_never().is_none(), "it waits for the next engine");
    let again = open(&dir.path().join("store"), &dir.path().join("key")).unwrap();
    paused.resume(again.into_engine());
    for watch in [&mut watch, &mut late] {
        assert_eq!(timeout(PATIENCE, watch.next()).await.unwrap(), Some(Change::Lagged));
    }
    switch.commit(put("n/2")).await.unwrap();
    for watch in [&mut watch, &mut late] {
        assert_eq!(timeout(PATIENCE, watch.next()).await.unwrap(), Some(Change::Put(Key::new("n/2".into()))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_was_taken_and_never_given_back_refuses_everything() {
    let (switch, _dir) = switch();
    let mut watch = switch.watch("");
    let mut paused = switch.pause().await;
    drop(paused.take());
    drop(paused);
    assert!(switch.get(&Key::new("a".into())).await.is_err());
    assert!(switch.commit(put("a")).await.is_err());
    assert_eq!(timeout(PATIENCE, watch.next()).await.unwrap(), None);
}
