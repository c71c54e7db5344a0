//! Large commits, one after the other: sled must not stand still over them, and what a crash leaves of them must go.

use super::*;

/// The largest value there is: a list of accounts, sealed.
const LARGE: usize = 6 * 1024 * 1024;

/// Rounds of the ordinary run, and of `tests/full`.
fn rounds() -> u64 {
    std::env::var("SEKISHO_LARGE_COMMITS").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_commits_in_a_row_and_small_ones_beside_them_never_stand_still() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path()).unwrap();
    let work = async {
        for round in 0..rounds() {
            let byte = u8::try_from(round % 251).unwrap();
            // Grown, replaced and removed, so that sled's file is made shorter again and again.
            let large = committed(&engine, put(&format!("large/{}", round % 3), vec![byte; LARGE]));
            let many: Vec<_> = (0..200)
                .map(|n| (key(&format!("many/{:03}", (n * 7 + round) % 1000)), vec![byte; 700].into()))
                .collect();
            let many = committed(&engine, Commit { puts: many, ..Commit::default() });
            tokio::join!(large, many);
            let gone = Commit { deletes: vec![key(&format!("large/{}", (round + 1) % 3))], ..Commit::default() };
            committed(&engine, gone).await;
            let found = engine.get(&key(&format!("large/{}", round % 3))).await.unwrap().unwrap();
            assert!(found.value.len() == LARGE && found.value.iter().all(|found| *found == byte), "round {round}");
        }
    };
    let limit = Duration::from_secs(60 + rounds() * 10);
    tokio::time::timeout(limit, work).await.expect("the store goes on");
}

#[tokio::test]
async fn a_commit_of_too_many_records_is_refused_and_the_store_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path()).unwrap();
    let many = |count: usize| Commit {
        puts: (0..count).map(|n| (key(&format!("many/{n:05}")), Bytes::from_static(b"x"))).collect(),
        ..Commit::default()
    };
    assert!(engine.commit(many(MOST_KEYS + 1)).await.is_err());
    committed(&engine, many(MOST_KEYS)).await;
    assert_eq!(engine.scan("many/", Bound::Unbounded, 5000).await.unwrap().len(), MOST_KEYS);
}

#[tokio::test]
async fn parts_that_no_value_has_are_removed_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path()).unwrap();
    committed(&engine, put("kept", vec![7; 100_000])).await;
    drop(engine);
    // As a crash leaves them: the parts of a value whose head was never written.
    let db = disk::open_when_free(dir.path(), &::sled::Config::new().path(dir.path())).unwrap();
    let before = db.len();
    for number in 0_u32..40 {
        let key = [&b"\0part"[..], &9_u64.to_be_bytes(), &number.to_be_bytes()].concat();
        db.insert(key, vec![1; 4096]).unwrap();
    }
    db.flush().unwrap();
    drop(db);
    let engine = start(dir.path()).unwrap();
    assert_eq!(engine.get(&key("kept")).await.unwrap().unwrap().value.len(), 100_000);
    drop(engine);
    let db = disk::open_when_free(dir.path(), &::sled::Config::new().path(dir.path())).unwrap();
    assert_eq!(db.len(), before);
}
