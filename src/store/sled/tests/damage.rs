//! Damaged files: the store is intact, or it is refused. Never a panic, never a store with something missing.

use std::fs;

use super::*;
use crate::store::open;
use crate::store::record::testing::{numbers, write_numbers};

/// How a file is damaged at a place.
type Damage = fn(&mut Vec<u8>, usize);

const DAMAGES: [(&str, Damage); 4] = [
    ("a byte flipped", |bytes, at| bytes[at] ^= 0x40),
    ("4 KiB zeroed", |bytes, at| {
        let end = bytes.len().min(at + 4096);
        bytes[at..end].fill(0);
    }),
    ("cut off", |bytes, at| bytes.truncate(at)),
    ("overwritten to its end", |bytes, at| bytes[at..].fill(0xA5)),
];

struct Original {
    files: Vec<(PathBuf, Vec<u8>)>,
    records: Vec<(String, u64)>,
}

/// A store that has seen some use: opened several times, records overwritten and removed.
async fn original(dir: &Path) -> Original {
    let path = dir.join("store");
    for round in 0..4_u64 {
        let store = open::open_or_create(&path, &dir.join("key")).unwrap();
        write_numbers(&store, round, 150).await;
    }
    let store = open::open(&path, &dir.join("key")).unwrap();
    let records = numbers(&store).await.unwrap();
    assert!(records.len() > 100);
    drop(store);
    let files = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let files: Vec<_> = files.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    assert!(files.len() >= 3);
    Original { files, records }
}

#[tokio::test]
async fn a_damaged_store_is_intact_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let original = original(dir.path()).await;
    let (mut refused, mut intact) = (0, 0);
    for (damaged, content) in &original.files {
        for (what, damage) in DAMAGES {
            // Where something stands, more closely at the end, where the newest is.
            let used = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            let mut places: Vec<usize> = (0..24).map(|step| used * step / 24).collect();
            places.extend((1..=12).filter_map(|back| used.checked_sub(back * 7)));
            for at in places.into_iter().filter(|at| *at < content.len()) {
                let fresh = tempfile::tempdir().unwrap();
                let path = fresh.path().join("store");
                fs::create_dir_all(path.join("blobs")).unwrap();
                fs::copy(dir.path().join("key.store-id"), fresh.path().join("key.store-id")).unwrap();
                for (file, bytes) in &original.files {
                    let mut bytes = bytes.clone();
                    if file == damaged {
                        damage(&mut bytes, at);
                    }
                    fs::write(path.join(file.file_name().unwrap()), bytes).unwrap();
                }
                let place = format!("{} {what} at {at}", damaged.file_name().unwrap().to_string_lossy());
                match open::open(&path, &fresh.path().join("key")) {
                    Err(StoreError::Corrupt { .. } | StoreError::Unavailable(_)) => refused += 1,
                    Err(other) => panic!("{place}: {other}"),
                    Ok(store) => {
                        assert!(numbers(&store).await.unwrap() == original.records, "{place}: records are missing");
                        intact += 1;
                    }
                }
            }
        }
    }
    assert!(refused > 50 && intact > 20, "refused {refused}, intact {intact}");
}

/// What a start has no time to read is read beside the requests.
#[tokio::test]
async fn damage_that_is_found_while_it_serves_closes_the_store_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path()).unwrap();
    for number in 0..3000 {
        let commit = put(&format!("n/{number:04}"), format!("{number:0300}"));
        committed(&engine, Commit { durability: Durability::Lazy, ..commit }).await;
    }
    drop(engine);
    // sled looks at the end of its log by itself; this place is behind what it keeps of it in a snapshot.
    for number in 0..3 {
        committed(&start(dir.path()).unwrap(), put(&format!("n/later{number}"), "x")).await;
    }
    let log = dir.path().join(files::LOG);
    let mut bytes = fs::read(&log).unwrap();
    let at = bytes.windows(300).rposition(|window| window == format!("{:0300}", 1200).as_bytes()).unwrap();
    bytes[at + 150] ^= 1;
    fs::write(&log, bytes).unwrap();

    // As if the time of the start had been over after the first records.
    let unread = || {
        let disk = Disk::open(dir.path()).unwrap();
        let mut survey = Survey::of(&disk).unwrap();
        assert!(!survey.go_on(&disk, Instant::now()).unwrap());
        (disk, survey)
    };
    let (disk, survey) = unread();
    let engine = SledEngine::start(disk, Directory::take(dir.path()).unwrap(), Some(survey)).unwrap();
    let mut watch = engine.watch("n/");
    assert_eq!(watch.next().await, Some(crate::store::engine::Change::Lagged));
    for _ in 0..2 {
        assert!(matches!(engine.get(&key("n/0000")).await, Err(StoreError::Corrupt { .. })));
        assert!(matches!(engine.commit(put("n/0000", "x")).await, Err(StoreError::Corrupt { .. })));
        assert!(matches!(engine.durable().await, Err(StoreError::Corrupt { .. } | StoreError::Unavailable(_))));
    }
    assert!(!engine.figures().unwrap().open);
    drop(engine);
    assert!(Directory::take(dir.path()).unwrap().is_condemned(), "the next start reads all of it first");
}

#[tokio::test]
async fn what_is_written_while_the_rest_is_read_stays_and_parts_that_nothing_leads_to_go() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path()).unwrap();
    let long = |letter: &str| Bytes::from(letter.repeat(50_000));
    for number in 0..2500 {
        let value = if number % 500 == 0 { long("a") } else { "short".into() };
        let commit = put(&format!("n/{number:04}"), value);
        committed(&engine, Commit { durability: Durability::Lazy, ..commit }).await;
    }
    let left = committed(&engine, put("n/2499", long("b"))).await;
    drop(engine);
    let disk = Disk::open(dir.path()).unwrap();
    // As a crash between a value's parts and its head leaves them, and one after a value was replaced.
    let orphans = || {
        let newer = value::split(Version(left.0 + 1), 0, &long("c")).parts;
        newer.into_iter().chain(value::split(Version(1), 90, &long("d")).parts)
    };
    for (key, part) in orphans() {
        disk.db().unwrap().insert(key, part).unwrap();
    }
    let parts = |disk: &Disk| disk.db().unwrap().scan_prefix(value::PART).count();
    let before = parts(&disk);
    let mut survey = Survey::of(&disk).unwrap();
    assert_eq!(before - parts(&disk), value::split(left, 0, &long("c")).parts.len(), "those of no commit go at once");
    assert!(!survey.go_on(&disk, Instant::now()).unwrap());
    let engine = SledEngine::start(disk, Directory::take(dir.path()).unwrap(), Some(survey)).unwrap();
    for number in [0, 500, 1000, 2400, 2499] {
        committed(&engine, put(&format!("n/{number:04}"), long("e"))).await;
    }
    let shared = Arc::clone(&engine.shared);
    let led_to = 7 * value::split(left, 0, &long("e")).parts.len();
    until("what nothing leads to is gone", async || {
        let parts = shared.with_disk(|disk, _| Ok(parts(disk)))?;
        if parts == led_to { Ok(()) } else { Err(StoreError::Unavailable(format!("{parts} of {led_to}"))) }
    })
    .await;
    for number in [0, 500, 1000, 2400, 2499] {
        let found = engine.get(&key(&format!("n/{number:04}"))).await.unwrap().unwrap();
        assert_eq!(found.value, long("e"), "{number}");
    }
    assert_eq!(engine.get(&key("n/1500")).await.unwrap().unwrap().value, long("a"));
}

/// As a kill in the middle of a start leaves it, or a full disk.
#[tokio::test]
async fn a_snapshot_that_was_not_finished_is_no_damage() {
    for content in [&b""[..], b"x", &[7; 5000]] {
        let dir = tempfile::tempdir().unwrap();
        let original = original(dir.path()).await;
        let path = dir.path().join("store");
        for name in ["snap.0000000000000000.generating", "snap.7FFFFFFFFFFFFFFF.generating"] {
            fs::write(path.join(name), content).unwrap();
        }
        for _ in 0..2 {
            let store = open::open(&path, &dir.path().join("key")).unwrap();
            assert!(numbers(&store).await.unwrap() == original.records, "{} bytes", content.len());
        }
        let left = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(!left.into_iter().any(|name| name.to_string_lossy().ends_with(".generating")));
    }
}

#[tokio::test]
async fn a_store_whose_log_lost_its_newest_changes_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path()).unwrap();
    committed(&engine, put("a", "old")).await;
    drop(engine);
    let old = fs::read(dir.path().join(files::LOG)).unwrap();
    let engine = start(dir.path()).unwrap();
    committed(&engine, put("a", "new")).await;
    drop(engine);
    for entry in fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    fs::write(dir.path().join(files::LOG), old).unwrap();
    assert!(matches!(start(dir.path()), Err(StoreError::Corrupt { .. })));
    assert!(matches!(start(dir.path()), Err(StoreError::Corrupt { .. })), "refused once, accepted the next time");
}

/// sled keeps large pages in files of their own, and takes a record whose file is gone for one that never was.
#[tokio::test]
async fn large_values_stay_in_the_log_and_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path()).unwrap();
    let large = |fill: u8| Bytes::from(vec![fill; 1_000_000]);
    for round in 0..10 {
        let mut commit = put("a", large(round));
        commit.puts.extend((0..40).map(|index| (key(&format!("m/{index}")), Bytes::from(vec![round; 4_096]))));
        commit.puts.push((key("b"), large(round + 100)));
        committed(&engine, commit).await;
    }
    drop(engine);
    assert_eq!(fs::read_dir(dir.path().join(files::BLOBS)).unwrap().count(), 0);
    let engine = start(dir.path()).unwrap();
    assert!(engine.get(&key("a")).await.unwrap().unwrap().value == large(9));
    assert!(engine.get(&key("b")).await.unwrap().unwrap().value == large(109));
    committed(&engine, put("a", "small")).await;
    committed(&engine, Commit { deletes: vec![key("b")], ..Commit::default() }).await;
    drop(engine);
    let db = disk::open_when_free(dir.path(), &::sled::Config::new().path(dir.path())).unwrap();
    assert!(db.scan_prefix(b"\0part").next().is_none(), "parts of values that are gone were left behind");
}

#[tokio::test]
async fn a_value_that_lost_a_part_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    committed(&start(dir.path()).unwrap(), put("a", vec![7; 100_000])).await;
    let db = disk::open_when_free(dir.path(), &::sled::Config::new().path(dir.path())).unwrap();
    let part = db.scan_prefix(b"\0part").keys().nth(5).unwrap().unwrap();
    db.remove(part).unwrap();
    drop(db);
    assert!(matches!(start(dir.path()), Err(StoreError::Corrupt { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_value_is_read_whole_while_it_is_replaced() {
    let (engine, _dir) = fresh();
    let fill = |round: u32| vec![(round % 256) as u8; 20_000 + round as usize * 10];
    engine.commit(put("a", fill(0))).await.unwrap();
    let writer = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move {
            for round in 1..500 {
                engine.commit(Commit { durability: Durability::Lazy, ..put("a", fill(round)) }).await.unwrap();
            }
        }
    });
    while !writer.is_finished() {
        let value = engine.get(&key("a")).await.unwrap().unwrap().value;
        assert!(value.iter().all(|byte| *byte == value[0]) && value.len() >= 20_000);
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
}
