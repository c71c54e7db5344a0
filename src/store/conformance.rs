//! What every engine must do, as one suite. Each function takes an engine that is empty; [`conformance_tests`] makes a
//! test of each, so that an engine cannot leave one out.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::task::JoinSet;

use super::engine::{Change, Commit, Durability, Engine, Expect, Key, Naming, Outcome, Version, Versioned, Watch};

/// Makes a test of each demand; `$fresh` is an expression that gives an engine and whatever must be kept alive with it.
macro_rules! conformance_tests {
    ($fresh:expr) => {
        $crate::store::conformance::conformance_tests!($fresh;
            what_is_put_is_read_until_it_is_deleted,
            a_record_is_read_with_the_one_that_it_names,
            several_records_come_in_the_order_in_which_they_were_asked_for,
            odd_keys_and_values_come_back_as_they_were,
            a_compare_holds_only_for_what_was_seen,
            a_record_that_went_and_came_back_is_another_one,
            a_conflict_changes_nothing_at_all,
            a_commit_has_one_version_and_versions_rise,
            a_key_both_deleted_and_put_is_put,
            a_commit_without_changes_compares_all_the_same,
            a_scan_keeps_to_order_prefix_bounds_and_limit,
            a_scan_back_is_the_scan_backwards,
            pages_backwards_leave_nothing_out,
            a_scan_sees_a_commit_whole_or_not_at_all,
            of_many_writers_exactly_one_wins_each_round,
            commits_on_overlapping_keys_lose_nothing,
            a_watcher_is_told_what_is_under_its_prefix_in_order,
            what_a_watcher_is_told_is_visible_already,
            what_was_committed_here_is_told_before_the_commit_returns,
            a_watcher_that_falls_behind_learns_it,
            a_watcher_learns_that_the_engine_is_closed,
            lazy_commits_are_visible_at_once_and_durable_when_asked,
        );
    };
    ($fresh:expr; $($name:ident),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $name() {
            let (engine, _kept) = $fresh;
            $crate::store::conformance::$name(engine).await;
        })+
    };
}
pub(crate) use conformance_tests;

fn key(text: &str) -> Key {
    Key::new(text.to_owned())
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// A change in a few words.
#[derive(Default)]
struct Making(Commit);

impl Making {
    fn when(mut self, name: &str, expect: Expect) -> Self {
        self.0.compares.push((key(name), expect));
        self
    }
    fn put(mut self, name: &str, value: &str) -> Self {
        self.0.puts.push((key(name), bytes(value)));
        self
    }
    fn delete(mut self, name: &str) -> Self {
        self.0.deletes.push(key(name));
        self
    }
    fn lazy(mut self) -> Self {
        self.0.durability = Durability::Lazy;
        self
    }
    async fn commit(self, engine: &dyn Engine) -> Outcome {
        engine.commit(self.0).await.unwrap()
    }
    async fn version(self, engine: &dyn Engine) -> Version {
        match self.commit(engine).await {
            Outcome::Committed(version) => version,
            Outcome::Conflict => panic!("nothing stood against it"),
        }
    }
}

fn change() -> Making {
    Making::default()
}

async fn read(engine: &dyn Engine, name: &str) -> Option<(String, Version)> {
    let found = engine.get(&key(name)).await.unwrap()?;
    Some((String::from_utf8(found.value.to_vec()).unwrap(), found.version))
}

async fn value(engine: &dyn Engine, name: &str) -> Option<String> {
    read(engine, name).await.map(|(value, _)| value)
}

async fn names(engine: &dyn Engine, prefix: &str, from: Bound<Key>, limit: usize) -> Vec<String> {
    let found = engine.scan(prefix, from, limit).await.unwrap();
    found.into_iter().map(|(key, _)| key.as_str().to_owned()).collect()
}

/// The next change, or a failure of the test: no engine may keep a watcher waiting for so long.
async fn next(watch: &mut dyn Watch) -> Option<Change> {
    tokio::time::timeout(Duration::from_secs(30), watch.next()).await.expect("a change is told")
}

pub(crate) async fn what_is_put_is_read_until_it_is_deleted(engine: Arc<dyn Engine>) {
    assert_eq!(read(&*engine, "a/1").await, None);
    let version = change().put("a/1", "one").version(&*engine).await;
    assert_eq!(read(&*engine, "a/1").await, Some(("one".into(), version)));
    let newer = change().put("a/1", "two").version(&*engine).await;
    assert_eq!(read(&*engine, "a/1").await, Some(("two".into(), newer)));
    change().delete("a/1").delete("a/never").version(&*engine).await;
    assert_eq!(read(&*engine, "a/1").await, None);
    assert!(names(&*engine, "", Bound::Unbounded, 10).await.is_empty());
}

pub(crate) async fn a_record_is_read_with_the_one_that_it_names(engine: Arc<dyn Engine>) {
    let naming = Naming { before: 3, field: "of", prefix: "a/".to_owned() };
    let read = async |name: &str| {
        let found = engine.get_named(&key(name), &naming).await.unwrap()?;
        Some((found.0.version, found.1.map(|other| (other.version, String::from_utf8(other.value.to_vec()).unwrap()))))
    };
    assert_eq!(read("b/1").await, None);
    let names = "\u{1}\u{2}\u{3}{\"more\":[{\"of\":\"3\"}],\"of\":\"関 2\"}";
    let naming_it = change().put("b/1", names).put("b/2", "123{\"of\":null}").version(&*engine).await;
    assert_eq!(read("b/1").await, Some((naming_it, None)));
    let other = change().put("a/関 2", "two").put("a/3", "three").put("a/", "none").version(&*engine).await;
    assert_eq!(read("b/1").await, Some((naming_it, Some((other, "two".to_owned())))));
    assert_eq!(read("b/2").await, Some((naming_it, None)));
    change().delete("a/関 2").version(&*engine).await;
    assert_eq!(read("b/1").await, Some((naming_it, None)));
}

pub(crate) async fn several_records_come_in_the_order_in_which_they_were_asked_for(engine: Arc<dyn Engine>) {
    let read = async |names: &[&str]| {
        let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
        let found = engine.get_all(&keys).await.unwrap();
        let text = |found: Versioned| (found.version, String::from_utf8(found.value.to_vec()).unwrap());
        found.into_iter().map(|found| found.map(text)).collect::<Vec<_>>()
    };
    assert_eq!(read(&[]).await, []);
    assert_eq!(read(&["a/1"]).await, [None]);
    let first = change().put("a/1", "one").put("a/関 2", "two").version(&*engine).await;
    let later = change().put("a/3", "three").version(&*engine).await;
    let (one, two) = (Some((first, "one".to_owned())), Some((first, "two".to_owned())));
    let three = Some((later, "three".to_owned()));
    let names = ["a/3", "a/", "a/関 2", "a/1", "b/1", "a/3"];
    assert_eq!(read(&names).await, [three.clone(), None, two, one, None, three]);
    let many: Vec<_> = (0..300).map(|number| format!("many/{number}")).collect();
    for some in many.chunks(100) {
        some.iter().fold(change(), |change, name| change.put(name, name)).version(&*engine).await;
    }
    let names: Vec<_> = many.iter().rev().map(String::as_str).collect();
    let found = read(&names).await;
    assert!(found.iter().zip(&names).all(|(found, name)| found.as_ref().is_some_and(|(_, text)| text == name)));
    assert_eq!(found.len(), names.len());
}

pub(crate) async fn odd_keys_and_values_come_back_as_they_were(engine: Arc<dyn Engine>) {
    let large = Bytes::from((0..3_000_000_u32).map(|index| (index % 251) as u8).collect::<Vec<_>>());
    let all: Vec<(Key, Bytes)> = vec![
        (key("k/"), Bytes::new()),
        (key("k/関所"), Bytes::from_static(&[0, 255, 0])),
        (key("k/ %_'\"\\"), bytes("quoted")),
        (key(&format!("k/{}", "x".repeat(500))), bytes("long")),
        (key("k/large"), large.clone()),
        (key("k/larger"), [large.clone(), large].concat().into()),
    ];
    engine.commit(Commit { puts: all.clone(), ..Commit::default() }).await.unwrap();
    for (key, value) in &all {
        assert!(engine.get(key).await.unwrap().unwrap().value == *value, "{key:?}");
    }
    assert_eq!(engine.scan("k/", Bound::Unbounded, 100).await.unwrap().len(), all.len());
}

pub(crate) async fn a_compare_holds_only_for_what_was_seen(engine: Arc<dyn Engine>) {
    let old = change().when("a", Expect::Absent).put("a", "1").version(&*engine).await;
    assert_eq!(change().when("a", Expect::Absent).put("a", "2").commit(&*engine).await, Outcome::Conflict);
    let new = change().when("a", Expect::At(old)).put("a", "3").version(&*engine).await;
    assert_eq!(change().when("a", Expect::At(old)).put("a", "4").commit(&*engine).await, Outcome::Conflict);
    assert_eq!(change().when("a", Expect::At(old)).delete("a").commit(&*engine).await, Outcome::Conflict);
    assert_eq!(change().when("b", Expect::At(new)).put("b", "5").commit(&*engine).await, Outcome::Conflict);
    assert_eq!(read(&*engine, "a").await, Some(("3".into(), new)));
    assert_eq!(read(&*engine, "b").await, None);
    change().when("a", Expect::At(new)).when("b", Expect::Absent).delete("a").version(&*engine).await;
    assert_eq!(read(&*engine, "a").await, None);
}

pub(crate) async fn a_record_that_went_and_came_back_is_another_one(engine: Arc<dyn Engine>) {
    let first = change().put("a", "same").version(&*engine).await;
    change().delete("a").version(&*engine).await;
    assert_eq!(change().when("a", Expect::At(first)).put("a", "x").commit(&*engine).await, Outcome::Conflict);
    let second = change().put("a", "same").version(&*engine).await;
    assert_ne!(first, second);
    assert_eq!(change().when("a", Expect::At(first)).put("a", "x").commit(&*engine).await, Outcome::Conflict);
    assert_eq!(read(&*engine, "a").await, Some(("same".into(), second)));
}

pub(crate) async fn a_conflict_changes_nothing_at_all(engine: Arc<dyn Engine>) {
    let mut base = change();
    for index in 0..20 {
        base = base.put(&format!("k/{index:02}"), "old");
    }
    let version = base.version(&*engine).await;
    let mut watch = engine.watch("");
    let mut doomed = change().put("k/new", "new").delete("k/00");
    for index in 0..20 {
        let name = format!("k/{index:02}");
        let seen = if index == 13 { Expect::Absent } else { Expect::At(version) };
        doomed = doomed.when(&name, seen).put(&name, "new");
    }
    assert_eq!(doomed.commit(&*engine).await, Outcome::Conflict);
    let all = engine.scan("", Bound::Unbounded, 100).await.unwrap();
    assert_eq!(all.len(), 20);
    assert!(all.iter().all(|(_, found)| found.version == version && found.value == bytes("old")));
    change().put("after", "").version(&*engine).await;
    assert_eq!(next(&mut *watch).await, Some(Change::Put(key("after"))));
}

pub(crate) async fn a_commit_has_one_version_and_versions_rise(engine: Arc<dyn Engine>) {
    let mut last = Version(0);
    for round in 0..20 {
        let text = round.to_string();
        let version = change().put("a", &text).put("b", &text).version(&*engine).await;
        assert!(version > last);
        assert_eq!(read(&*engine, "a").await.unwrap().1, version);
        assert_eq!(read(&*engine, "b").await.unwrap().1, version);
        last = version;
    }
}

pub(crate) async fn a_key_both_deleted_and_put_is_put(engine: Arc<dyn Engine>) {
    change().put("a", "old").version(&*engine).await;
    let mut watch = engine.watch("a");
    change().put("a", "new").delete("a").version(&*engine).await;
    assert_eq!(value(&*engine, "a").await.as_deref(), Some("new"));
    assert_eq!(next(&mut *watch).await, Some(Change::Put(key("a"))));
}

pub(crate) async fn a_commit_without_changes_compares_all_the_same(engine: Arc<dyn Engine>) {
    let version = change().put("a", "1").version(&*engine).await;
    change().when("a", Expect::At(version)).version(&*engine).await;
    assert_eq!(change().when("a", Expect::Absent).commit(&*engine).await, Outcome::Conflict);
    assert_eq!(read(&*engine, "a").await, Some(("1".into(), version)));
}

pub(crate) async fn a_scan_keeps_to_order_prefix_bounds_and_limit(engine: Arc<dyn Engine>) {
    let sorted = ["a", "b", "b/", "b/1", "b/10", "b/2", "b/A", "b/a", "b/é", "b/関", "b0", "c"];
    let mut all = change();
    for name in sorted.iter().rev() {
        all = all.put(name, name);
    }
    all.version(&*engine).await;
    let engine = &*engine;
    let under = ["b/", "b/1", "b/10", "b/2", "b/A", "b/a", "b/é", "b/関"];
    assert_eq!(names(engine, "", Bound::Unbounded, 100).await, sorted);
    assert_eq!(names(engine, "b/", Bound::Unbounded, 100).await, under);
    assert_eq!(names(engine, "b/1", Bound::Unbounded, 100).await, ["b/1", "b/10"]);
    assert_eq!(names(engine, "b/", Bound::Unbounded, 3).await, under[..3]);
    assert_eq!(names(engine, "b/", Bound::Unbounded, 0).await, [""; 0]);
    assert_eq!(names(engine, "b/", Bound::Included(key("b/10")), 2).await, under[2..4]);
    assert_eq!(names(engine, "b/", Bound::Excluded(key("b/10")), 2).await, under[3..5]);
    assert_eq!(names(engine, "b/", Bound::Excluded(key("b/11")), 1).await, ["b/2"]);
    assert_eq!(names(engine, "b/", Bound::Included(key("a")), 100).await, under);
    assert_eq!(names(engine, "b/", Bound::Excluded(key("b/")), 100).await, under[1..]);
    assert_eq!(names(engine, "b/", Bound::Included(key("c")), 100).await, [""; 0]);
    assert_eq!(names(engine, "x", Bound::Unbounded, 100).await, [""; 0]);
    for (key, found) in engine.scan("", Bound::Unbounded, 100).await.unwrap() {
        assert_eq!(key.as_str().as_bytes(), found.value);
    }
}

pub(crate) async fn a_scan_back_is_the_scan_backwards(engine: Arc<dyn Engine>) {
    let sorted = ["a", "b", "b/", "b/1", "b/10", "b/2", "b/A", "b/a", "b/é", "b/関", "b/\u{10ffff}x", "b0", "c"];
    let mut all = change();
    for name in sorted {
        all = all.put(name, name);
    }
    all.version(&*engine).await;
    for prefix in ["", "a", "b", "b/", "b/1", "b/é", "x"] {
        let forwards = names(&*engine, prefix, Bound::Unbounded, 100).await;
        for limit in [0, 1, 3, 100] {
            for before in ["", "a", "b/10", "b/関", "b/11", "zz"] {
                let below = |name: &&String| name.as_str() < before;
                let reversed = |wanted: &dyn Fn(&&String) -> bool| -> Vec<String> {
                    forwards.iter().filter(wanted).rev().take(limit).cloned().collect()
                };
                let back = async |before| -> Vec<String> {
                    let found = engine.scan_back(prefix, before, limit).await.unwrap();
                    found
                        .into_iter()
                        .map(|(key, found)| {
                            assert_eq!(key.as_str().as_bytes(), found.value);
                            key.as_str().to_owned()
                        })
                        .collect()
                };
                assert_eq!(back(Bound::Unbounded).await, reversed(&|_| true));
                assert_eq!(back(Bound::Excluded(key(before))).await, reversed(&below), "{prefix} {before}");
                let upto = reversed(&|name| below(name) || name.as_str() == before);
                assert_eq!(back(Bound::Included(key(before))).await, upto, "{prefix} {before}");
            }
        }
    }
}

/// Enough records for many of an engine's own pages, some added and some deleted on the way.
pub(crate) async fn pages_backwards_leave_nothing_out(engine: Arc<dyn Engine>) {
    for chunk in 0..40 {
        let all = (0..100).fold(change(), |all, index| all.put(&format!("n/{:05}", index * 40 + chunk), "x"));
        all.lazy().version(&*engine).await;
    }
    let mut expected: Vec<String> = (0..4000).map(|index| format!("n/{index:05}")).collect();
    let (mut seen, mut before) = (Vec::new(), Bound::Unbounded);
    loop {
        let page = engine.scan_back("n/", before, 37).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        // One that is yet to come goes, and one comes that is behind.
        let gone = format!("n/{:05}", last.as_str().strip_prefix("n/").unwrap().parse::<u32>().unwrap() / 2);
        if gone.as_str() < last.as_str() {
            change().delete(&gone).put(&format!("n/1{:04}", seen.len()), "new").lazy().version(&*engine).await;
            expected.retain(|name| *name != gone);
        }
        before = Bound::Excluded(last.clone());
        seen.extend(page.into_iter().map(|(key, _)| key.as_str().to_owned()));
    }
    seen.reverse();
    assert_eq!(seen, expected);
}

pub(crate) async fn a_scan_sees_a_commit_whole_or_not_at_all(engine: Arc<dyn Engine>) {
    let write = |round: u32| {
        let text = round.to_string();
        (0..40).fold(change(), |all, index| all.put(&format!("k/{index:02}"), &text)).lazy()
    };
    write(0).version(&*engine).await;
    let writer = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move {
            for round in 1..=300 {
                write(round).version(&*engine).await;
            }
        }
    });
    let mut differing = 0;
    let mut last = Bytes::new();
    while !writer.is_finished() {
        let all = engine.scan("k/", Bound::Unbounded, 100).await.unwrap();
        let first = all[0].1.value.clone();
        assert!(all.len() == 40 && all.iter().all(|(_, found)| found.value == first), "a commit was seen in part");
        differing += u32::from(first != last);
        last = first;
    }
    writer.await.unwrap();
    assert!(differing > 1, "the scans did not run beside the commits");
}

pub(crate) async fn of_many_writers_exactly_one_wins_each_round(engine: Arc<dyn Engine>) {
    for round in 0..100_u32 {
        let seen = match read(&*engine, "code").await {
            None => Expect::Absent,
            Some((_, version)) => Expect::At(version),
        };
        let mut writers = JoinSet::new();
        for writer in 0..8_u32 {
            let engine = Arc::clone(&engine);
            writers.spawn(async move {
                let attempt = change().when("code", seen).put("code", &format!("{round}-{writer}"));
                attempt.commit(&*engine).await
            });
        }
        let outcomes = writers.join_all().await;
        let winners: Vec<_> = outcomes.iter().filter(|outcome| **outcome != Outcome::Conflict).collect();
        assert_eq!(winners.len(), 1, "round {round}");
        let (_, version) = read(&*engine, "code").await.unwrap();
        assert_eq!(winners, [&Outcome::Committed(version)]);
    }
}

/// Eight writers move amounts between five accounts, two at a time: what one loses another gets, whoever comes in between.
pub(crate) async fn commits_on_overlapping_keys_lose_nothing(engine: Arc<dyn Engine>) {
    (0..5).fold(change(), |all, account| all.put(&format!("account/{account}"), "100")).version(&*engine).await;
    let mut writers = JoinSet::new();
    for writer in 0..8_usize {
        let engine = Arc::clone(&engine);
        writers.spawn(async move {
            let mut conflicts = 0;
            for round in 0..30_usize {
                let from = format!("account/{}", (writer + round) % 5);
                let to = format!("account/{}", (writer + round + 1 + round % 4) % 5);
                loop {
                    let (left, left_seen) = read(&*engine, &from).await.unwrap();
                    let (right, right_seen) = read(&*engine, &to).await.unwrap();
                    let moved = change()
                        .when(&from, Expect::At(left_seen))
                        .when(&to, Expect::At(right_seen))
                        .put(&from, &(left.parse::<i64>().unwrap() - 1).to_string())
                        .put(&to, &(right.parse::<i64>().unwrap() + 1).to_string())
                        .lazy();
                    match moved.commit(&*engine).await {
                        Outcome::Committed(_) => break,
                        Outcome::Conflict => conflicts += 1,
                    }
                }
            }
            conflicts
        });
    }
    let conflicts: u32 = writers.join_all().await.into_iter().sum();
    let mut sum = 0;
    for account in 0..5 {
        sum += value(&*engine, &format!("account/{account}")).await.unwrap().parse::<i64>().unwrap();
    }
    assert_eq!(sum, 500);
    assert!(conflicts > 0, "the writers never met");
}

pub(crate) async fn a_watcher_is_told_what_is_under_its_prefix_in_order(engine: Arc<dyn Engine>) {
    change().put("user/before", "").version(&*engine).await;
    let (mut users, mut all) = (engine.watch("user/"), engine.watch(""));
    for round in 0..50 {
        let name = format!("user/{round}");
        change().put(&name, "").version(&*engine).await;
        change().put(&format!("session/{round}"), "").lazy().version(&*engine).await;
        change().delete(&name).put("users", "").version(&*engine).await;
    }
    for round in 0..50 {
        let (user, session) = (key(&format!("user/{round}")), key(&format!("session/{round}")));
        assert_eq!(next(&mut *users).await, Some(Change::Put(user.clone())));
        assert_eq!(next(&mut *users).await, Some(Change::Delete(user.clone())));
        assert_eq!(next(&mut *all).await, Some(Change::Put(user.clone())));
        assert_eq!(next(&mut *all).await, Some(Change::Put(session)));
        let mut both = [next(&mut *all).await.unwrap(), next(&mut *all).await.unwrap()];
        both.sort_by_key(|change| matches!(change, Change::Put(_)));
        assert_eq!(both, [Change::Delete(user), Change::Put(key("users"))]);
    }
}

pub(crate) async fn what_a_watcher_is_told_is_visible_already(engine: Arc<dyn Engine>) {
    let mut watch = engine.watch("n");
    let writer = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move {
            for round in 1..=200_u32 {
                change().put("n", &round.to_string()).lazy().version(&*engine).await;
            }
        }
    });
    for told in 1..=200_u32 {
        assert_eq!(next(&mut *watch).await, Some(Change::Put(key("n"))));
        let present: u32 = value(&*engine, "n").await.unwrap().parse().unwrap();
        assert!(present >= told, "told of {told} while {present} was visible");
    }
    writer.await.unwrap();
}

pub(crate) async fn what_was_committed_here_is_told_before_the_commit_returns(engine: Arc<dyn Engine>) {
    let mut watch = engine.watch("user/");
    for round in 0..200 {
        assert_eq!(tokio::task::unconstrained(watch.next()).now_or_never(), None, "a change that nobody made");
        change().put("session/other", "").lazy().version(&*engine).await;
        let name = format!("user/{round}");
        change().put(&name, "").version(&*engine).await;
        let told = tokio::task::unconstrained(watch.next()).now_or_never();
        assert_eq!(told, Some(Some(Change::Put(key(&name)))), "not there at once");
    }
}

pub(crate) async fn a_watcher_that_falls_behind_learns_it(engine: Arc<dyn Engine>) {
    let mut watch = engine.watch("");
    for round in 0..20_000_u32 {
        change().put(&format!("n/{}", round % 100), "").lazy().version(&*engine).await;
    }
    change().put("last", "").version(&*engine).await;
    let (mut told, mut lagged) = (0, false);
    loop {
        match next(&mut *watch).await.unwrap() {
            Change::Put(last) if last == key("last") => break,
            Change::Lagged => lagged = true,
            _ => told += 1,
        }
    }
    assert!(lagged || told == 20_000, "{} changes were lost without a word", 20_000 - told);
    change().put("later", "").version(&*engine).await;
    assert_eq!(next(&mut *watch).await, Some(Change::Put(key("later"))));
}

pub(crate) async fn a_watcher_learns_that_the_engine_is_closed(engine: Arc<dyn Engine>) {
    let mut watch = engine.watch("");
    change().put("a", "").version(&*engine).await;
    drop(engine);
    assert_eq!(next(&mut *watch).await, Some(Change::Put(key("a"))));
    assert_eq!(next(&mut *watch).await, None);
}

pub(crate) async fn lazy_commits_are_visible_at_once_and_durable_when_asked(engine: Arc<dyn Engine>) {
    for round in 0..50_u32 {
        let version = change().put("seen", &round.to_string()).lazy().version(&*engine).await;
        assert_eq!(read(&*engine, "seen").await, Some((round.to_string(), version)));
    }
    engine.durable().await.unwrap();
}
