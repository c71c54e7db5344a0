//! Which database belongs to which key file.

use super::*;
use crate::store::record::testing::{numbers, write_numbers};

fn remove(scratch: &Scratch, name: &str) {
    std::fs::remove_file(scratch.folder.path().join(name)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_made_when_asked_for_and_opened_by_whoever_has_both_files() {
    let scratch = Scratch::new();
    assert!(matches!(scratch.open(Making::Refused).await, Err(StoreError::Missing(_))));
    assert_eq!(scratch.sql("SELECT to_regnamespace('sekisho') IS NULL"), "t", "looking has made something");
    let first = scratch.open(Making::Allowed).await.unwrap();
    write_numbers(&first, 1, 20).await;
    let second = scratch.open(Making::Refused).await.unwrap();
    assert_eq!(numbers(&first).await.unwrap(), numbers(&second).await.unwrap());
    remove(&scratch, "key.store-id");
    for making in [Making::Refused, Making::Allowed] {
        assert!(matches!(scratch.open(making).await, Err(StoreError::Foreign { .. })), "without the second file");
    }
    std::fs::write(scratch.folder.path().join("key.store-id"), "another").unwrap();
    assert!(matches!(scratch.open(Making::Allowed).await, Err(StoreError::Foreign { .. })), "another store's");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_gone_or_emptied_is_refused_and_not_made_anew() {
    let scratch = Scratch::new();
    scratch.open(Making::Allowed).await.unwrap();
    scratch.sql("TRUNCATE sekisho.record");
    assert!(matches!(scratch.open(Making::Allowed).await, Err(StoreError::Corrupt { .. })));
    scratch.sql("DROP SCHEMA sekisho CASCADE");
    assert!(matches!(scratch.open(Making::Allowed).await, Err(StoreError::Foreign { .. })));
    remove(&scratch, "key.store-id");
    scratch.open(Making::Allowed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_begun_is_gone_on_with() {
    let scratch = Scratch::new();
    scratch.open(Making::Allowed).await.unwrap();
    let (kept, begun) = (scratch.folder.path().join("key.store-id"), scratch.folder.path().join("key.store-id.new"));
    std::fs::rename(&kept, &begun).unwrap();
    scratch.open(Making::Refused).await.unwrap();
    assert!(kept.exists() && !begun.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_being_filled_is_no_store_and_nobody_else_fills_it() {
    let scratch = Scratch::new();
    let filling = scratch.fill().await.unwrap();
    write_numbers(filling.store(), 1, 20).await;
    assert!(matches!(scratch.open(Making::Allowed).await, Err(StoreError::Unfinished(_))));
    assert!(matches!(scratch.fill().await, Err(StoreError::Locked(_))));
    drop(filling);
    // Its connection is closed a moment later.
    let filling = loop {
        match scratch.fill().await {
            Err(StoreError::Locked(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            filling => break filling.unwrap(),
        }
    };
    assert!(numbers(filling.store()).await.unwrap().is_empty(), "what was left of the first attempt");
    write_numbers(filling.store(), 2, 20).await;
    let store = filling.finish().await.unwrap();
    assert_eq!(numbers(&store).await.unwrap(), numbers(&scratch.open(Making::Refused).await.unwrap()).await.unwrap());
    assert!(matches!(scratch.fill().await, Err(StoreError::Present(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_form_is_used_for_one_step_and_refused_after_it() {
    let scratch = Scratch::new();
    scratch.open(Making::Allowed).await.unwrap();
    scratch.sql("UPDATE sekisho.form SET number = 2, least = 1");
    scratch.open(Making::Refused).await.unwrap();
    scratch.sql("UPDATE sekisho.form SET number = 3, least = 2");
    let Err(error) = scratch.open(Making::Refused).await else { panic!("it was opened") };
    assert!(matches!(error, StoreError::TooNew { found: 3, known: 1, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_that_make_the_same_one_at_once_make_one() {
    let scratch = Scratch::new();
    let places: Vec<TempDir> = (0..6).map(|_| tempfile::tempdir().unwrap()).collect();
    let database = scratch.database();
    let attempts = places.iter().map(|place| {
        let (database, key) = (database.clone(), place.path().join("key"));
        async move { super::super::open(&database, Duration::from_secs(30), &key, Making::Allowed).await.is_ok() }
    });
    let made = futures_util::future::join_all(attempts).await;
    assert_eq!(made.iter().filter(|made| **made).count(), 1, "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reached_is_told_in_time_and_without_the_password() {
    let url = format!("postgresql://tester:{}@127.0.0.1:1,127.0.0.2:1/none", server::PASSWORD);
    let database = crate::config::testing::database(&url);
    let folder = tempfile::tempdir().unwrap();
    let opened = super::super::open(&database, Duration::ZERO, &folder.path().join("key"), Making::Refused).await;
    let Err(error) = opened else { panic!("it was opened") };
    assert!(error.to_string().contains("127.0.0.1:1,127.0.0.2:1/none: "), "{error}");
    assert!(!format!("{error:?} {error} {database:?}").contains(server::PASSWORD));
}
