//! Several engines on one database.

use std::ops::Bound;
use std::time::Duration;

use tokio::task::JoinSet;

use super::*;
use crate::store::engine::{Change, Commit, Expect, Key, Outcome, Watch};

fn key(text: &str) -> Key {
    Key::new(text.to_owned())
}

fn put(name: &str) -> Commit {
    Commit { puts: vec![(key(name), "x".into())], ..Commit::default() }
}

/// Three nodes, and what keeps their database.
async fn nodes() -> (Vec<Arc<dyn Engine>>, Scratch) {
    let scratch = Scratch::new();
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(scratch.open(Making::Allowed).await.unwrap().into_engine());
    }
    (nodes, scratch)
}

/// The next change, passing over what may have been missed before.
async fn next(watch: &mut dyn Watch) -> Change {
    loop {
        match tokio::time::timeout(Duration::from_secs(10), watch.next()).await.expect("a change is told") {
            Some(Change::Lagged) => {}
            change => return change.unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_node_commits_the_others_are_told_once_and_in_order() {
    let (nodes, _kept) = nodes().await;
    let mut watches: Vec<_> = nodes.iter().map(|node| node.watch("user/")).collect();
    for round in 0..30 {
        let name = format!("user/{round}");
        nodes[round % 3].commit(put(&name)).await.unwrap();
        nodes[round % 3].commit(Commit { deletes: vec![key(&name)], ..Commit::default() }).await.unwrap();
    }
    for watch in &mut watches {
        let mut told = Vec::new();
        while told.len() < 60 {
            told.push(next(&mut **watch).await);
        }
        for round in 0..30 {
            let name = key(&format!("user/{round}"));
            let at =
                |change: &Change| told.iter().position(|told| told == change).unwrap_or_else(|| panic!("{change:?}"));
            assert!(at(&Change::Put(name.clone())) < at(&Change::Delete(name)));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_over_all_nodes_exactly_one_makes_a_record_that_was_absent() {
    let (nodes, _kept) = nodes().await;
    for round in 0..20 {
        let mut writers = JoinSet::new();
        for writer in 0..50 {
            let node = Arc::clone(&nodes[writer % 3]);
            writers.spawn(async move {
                // What was found absent is only compared: what is written differs for each.
                let name = key(&format!("code/{round}"));
                let own = key(&format!("use/{round}/{writer}"));
                let compares = vec![(name.clone(), Expect::Absent)];
                let puts = vec![(name, "x".into()), (own, "x".into())];
                node.commit(Commit { compares, puts, ..Commit::default() }).await.unwrap()
            });
        }
        let outcomes = writers.join_all().await;
        let won = outcomes.iter().filter(|outcome| **outcome != Outcome::Conflict).count();
        assert_eq!(won, 1, "round {round}");
        let uses = nodes[0].scan(&format!("use/{round}/"), Bound::Unbounded, 100).await.unwrap();
        assert_eq!(uses.len(), 1);
    }
}

/// Each compares what the other writes: whoever comes second must see the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_commits_that_compare_what_the_other_writes_are_not_both_made() {
    let (nodes, _kept) = nodes().await;
    for round in 0..50 {
        let names = [key(&format!("a/{round}")), key(&format!("b/{round}"))];
        let attempt = |own: usize| {
            let compares = vec![(names[1 - own].clone(), Expect::Absent)];
            let commit = Commit { compares, puts: vec![(names[own].clone(), "x".into())], ..Commit::default() };
            let node = Arc::clone(&nodes[own]);
            async move { node.commit(commit).await.unwrap() }
        };
        let (left, right) = tokio::join!(attempt(0), attempt(1));
        assert!(left == Outcome::Conflict || right == Outcome::Conflict, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_records_at_once_go_beside_small_commits() {
    let (nodes, _kept) = nodes().await;
    let mut writers = JoinSet::new();
    for writer in 0..6 {
        let node = Arc::clone(&nodes[writer % 3]);
        writers.spawn(async move {
            for round in 0..10 {
                let names = (0..if writer < 2 { 1000 } else { 5 }).map(|index| key(&format!("n/{:04}", index + round)));
                let puts = names.map(|name| (name, "x".into())).collect();
                node.commit(Commit { puts, ..Commit::default() }).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    assert_eq!(nodes[0].scan("n/", Bound::Unbounded, 5000).await.unwrap().len(), 1009);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_whose_connections_are_cut_learns_it_and_goes_on() {
    let (nodes, scratch) = nodes().await;
    let mut watch = nodes[0].watch("");
    let trust = nodes[0].trust();
    let before = trust.turn();
    assert!(trust.holds(before));
    scratch.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()");
    loop {
        let told = tokio::time::timeout(Duration::from_secs(10), watch.next()).await.expect("it is told").unwrap();
        if told == Change::Lagged && trust.turn() != before {
            break;
        }
    }
    assert!(!trust.holds(before), "what was read before is believed still");
    assert!(trust.holds(trust.turn()));
    nodes[1].get(&key("x")).await.unwrap();
    nodes[1].commit(put("user/1")).await.or(nodes[1].commit(put("user/1")).await).unwrap();
    assert_eq!(next(&mut *watch).await, Change::Put(key("user/1")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_whose_connection_is_cut_while_it_waits_is_asked_again() {
    let (nodes, scratch) = nodes().await;
    nodes[0].commit(put("x")).await.unwrap();
    let cutting = tokio::task::spawn_blocking(move || {
        scratch.sql(
            "DO $$ DECLARE cut int; BEGIN
               LOCK TABLE sekisho.record IN ACCESS EXCLUSIVE MODE;
               FOR turn IN 1..1000 LOOP
                 PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
                 SELECT count(pg_terminate_backend(pid)) INTO cut FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock';
                 IF cut > 0 THEN RETURN; END IF;
               END LOOP;
               RAISE 'nobody has waited';
             END $$",
        )
    });
    while !cutting.is_finished() {
        assert!(nodes[0].get(&key("x")).await.unwrap().is_some());
    }
    cutting.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_nothing_is_heard_nothing_is_believed_for_longer_than_two_seconds() {
    let (nodes, scratch) = nodes().await;
    let trust = nodes[0].trust();
    nodes[0].get(&key("x")).await.unwrap();
    // No new connection is let in; those that are there go on, but for the one that listens.
    Server::shared().sql("postgres", &format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false", scratch.name));
    Server::shared().sql(
        "postgres",
        &format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{}' AND query IN ('LISTEN sekisho', 'SELECT 1')",
            scratch.name
        ),
    );
    let began = std::time::Instant::now();
    while !trust.is_over() {
        assert!(began.elapsed() < Duration::from_millis(2_500), "it is believed still");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(nodes[0].get(&key("x")).await.is_ok(), "the database answers");
    Server::shared().sql("postgres", &format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true", scratch.name));
    let began = std::time::Instant::now();
    while trust.is_over() {
        assert!(began.elapsed() < Duration::from_secs(10), "it has not healed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// As where its synchronous standby hangs: nobody waits any more by the time the server commits.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_takes_effect_after_its_answer_was_given_up_is_told_to_the_node_that_wrote_it_too() {
    let (nodes, scratch) = nodes().await;
    nodes[0].commit(put("token/x")).await.unwrap();
    scratch.sql(
        "CREATE TABLE public.go (said boolean);
         CREATE FUNCTION public.held() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           FOR turn IN 1..600 LOOP
             IF EXISTS (SELECT FROM public.go) THEN RETURN NULL; END IF;
             PERFORM pg_sleep(0.05);
           END LOOP;
           RAISE 'nobody said go';
         END $$;
         CREATE CONSTRAINT TRIGGER held AFTER DELETE ON sekisho.record DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW WHEN (old.key = 'token/x') EXECUTE FUNCTION public.held()",
    );
    let mut watch = nodes[0].watch("token/");
    let revoked = nodes[0].commit(Commit { deletes: vec![key("token/x")], ..Commit::default() }).await;
    assert!(matches!(revoked, Err(StoreError::Unavailable(_))), "{revoked:?}");
    // Whoever looks now finds it there still.
    let told = tokio::time::timeout(Duration::from_secs(10), watch.next()).await.expect("it is told").unwrap();
    assert_eq!(told, Change::Lagged);
    assert!(nodes[0].get(&key("token/x")).await.unwrap().is_some());
    scratch.sql("INSERT INTO public.go VALUES (true)");
    assert_eq!(next(&mut *watch).await, Change::Delete(key("token/x")));
    assert!(nodes[0].get(&key("token/x")).await.unwrap().is_none());
}
