//! `kill -9` at any moment: what was acknowledged as durable is there afterwards.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};

use super::*;

/// Four writers, each writing one number after the other and saying so when it is durable. In every commit two keys get
/// the same number: half a commit would show.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a child of acknowledged_commits_survive_kill_9"]
async fn writes_until_it_is_killed() {
    let engine = Arc::new(start(&given()).unwrap());
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let engine = Arc::clone(&engine);
        writers.spawn(async move {
            for number in 0_u64.. {
                let value = Bytes::from(number.to_string());
                let mut commit = put(&format!("w{writer}/left"), value.clone());
                commit.puts.push((key(&format!("w{writer}/right")), value.clone()));
                commit.puts.push((key(&format!("w{writer}/all/{number:06}")), value));
                committed(&engine, commit).await;
                println!("acknowledged {writer} {number}");
            }
        });
    }
    writers.join_all().await;
}

#[tokio::test]
async fn acknowledged_commits_survive_kill_9() {
    for round in 0..6 {
        let dir = tempfile::tempdir().unwrap();
        let mut process = child("crash::writes_until_it_is_killed", dir.path()).spawn().unwrap();
        let mut acknowledged = BTreeMap::new();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut note = |line: String| {
            let words: Vec<_> = line.split(' ').collect();
            if let ["acknowledged", writer, number] = words[..] {
                acknowledged.insert(writer.to_owned(), number.parse::<u64>().unwrap());
            }
        };
        // At another moment in each round, and then whatever it managed to say before it died.
        lines.by_ref().take(20 + 97 * round).for_each(&mut note);
        process.kill().unwrap();
        process.wait().unwrap();
        lines.for_each(&mut note);
        assert!(!acknowledged.is_empty());

        let engine = start(dir.path()).unwrap();
        for (writer, number) in acknowledged {
            let left = engine.get(&key(&format!("w{writer}/left"))).await.unwrap().unwrap();
            let right = engine.get(&key(&format!("w{writer}/right"))).await.unwrap().unwrap();
            assert_eq!(left, right, "half a commit of writer {writer} in round {round}");
            let present: u64 = std::str::from_utf8(&left.value).unwrap().parse().unwrap();
            assert!(present >= number, "writer {writer} lost {number} in round {round}: it has {present}");
            for earlier in 0..=number {
                let key = key(&format!("w{writer}/all/{earlier:06}"));
                assert!(engine.get(&key).await.unwrap().is_some(), "{key:?} is lost in round {round}");
            }
        }
    }
}
