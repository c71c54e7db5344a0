//! One commit: one call of `sekisho.commit_1`, so one round trip, and one transaction of the server's own making.
//!
//! The function (in [`super::schema`]) first takes a lock for each key, in the order of their numbers, so that two commits never wait for
//! each other in a circle; also for keys that are not there, so that nobody else makes one that was found absent. With the locks in hand
//! every statement sees all that was committed before. Keys that are only compared are locked for reading.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::connect::{Sessions, Trouble};
use super::statements::Which;
use super::{Shared, news};
use crate::store::engine::{Change, Commit, Durability, Expect, Key, Outcome, StoreError, Version};
use crate::store::watch::Told;

/// Which lock is everybody's: taken for reading by each commit, and alone by one with so many keys that a lock for each would be too much
/// for the server's table of locks.
const ALL: i64 = 0;
const MANY: usize = 256;
/// How often one is tried that the server has turned down because of others.
const TRIES: u32 = 4;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// A commit in the words of the function.
struct Call {
    lazy: bool,
    locks: Vec<i64>,
    /// For each lock, whether others may have it at the same time.
    shared: Vec<bool>,
    compared: Vec<(Key, Option<i64>)>,
    deletes: Vec<Key>,
    puts: BTreeMap<Key, bytes::Bytes>,
}

/// Commits, and tells it to this node's watchers before it returns. Goes on to its end even where nobody waits for it.
pub(super) async fn commit(shared: &Arc<Shared>, commit: Commit) -> Result<Outcome, StoreError> {
    let shared = Arc::clone(shared);
    let task = tokio::spawn(async move {
        let call = Call::of(commit);
        let changes = call.changes();
        let told = news::write(&shared.voice(), &changes);
        let answer = carry_out(&shared, &call, &told).await;
        match &answer {
            Ok(Outcome::Committed(_)) if !changes.is_empty() => _ = shared.changes.send(Told::Changes(changes.into())),
            Ok(_) => {}
            // Whether it has happened, or will, nobody knows.
            Err(trouble) if !trouble.is_refusal() => shared.lost_sight(),
            Err(_) => {}
        }
        shared.answered(answer)
    });
    task.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the commit broke off".into())))
}

/// Tried again only where the server has said that nothing was done.
async fn carry_out(shared: &Shared, call: &Call, told: &[String]) -> Result<Outcome, Trouble> {
    let mut left = TRIES;
    loop {
        left -= 1;
        match call.send(&shared.sessions, told).await {
            Err(trouble) if left > 0 && trouble.is_collision() => tokio::time::sleep(BETWEEN_TRIES).await,
            answer => return answer,
        }
    }
}

impl Call {
    fn of(commit: Commit) -> Self {
        let puts: BTreeMap<Key, bytes::Bytes> = commit.puts.into_iter().collect();
        let deletes: BTreeSet<Key> = commit.deletes.into_iter().filter(|key| !puts.contains_key(key)).collect();
        let mut locks: BTreeMap<i64, bool> = commit.compares.iter().map(|(key, _)| (lock_of(key), true)).collect();
        locks.extend(puts.keys().chain(&deletes).map(|key| (lock_of(key), false)));
        let (locks, shared) = match locks.len() {
            many if many > MANY => (vec![ALL], vec![false]),
            _ => std::iter::once((ALL, true)).chain(locks).unzip(),
        };
        let expected = |expect| match expect {
            Expect::Absent => None,
            Expect::At(Version(version)) => Some(i64::try_from(version).unwrap_or(i64::MAX)),
        };
        Self {
            lazy: commit.durability == Durability::Lazy,
            locks,
            shared,
            compared: commit.compares.into_iter().map(|(key, expect)| (key, expected(expect))).collect(),
            deletes: deletes.into_iter().collect(),
            puts,
        }
    }

    fn changes(&self) -> Vec<Change> {
        let gone = self.deletes.iter().cloned().map(Change::Delete);
        gone.chain(self.puts.keys().cloned().map(Change::Put)).collect()
    }

    async fn send(&self, sessions: &Sessions, told: &[String]) -> Result<Outcome, Trouble> {
        let compared: Vec<&str> = self.compared.iter().map(|(key, _)| key.as_str()).collect();
        let expected: Vec<Option<i64>> = self.compared.iter().map(|(_, version)| *version).collect();
        let deletes: Vec<&str> = self.deletes.iter().map(Key::as_str).collect();
        let puts: Vec<&str> = self.puts.keys().map(Key::as_str).collect();
        let values: Vec<&[u8]> = self.puts.values().map(AsRef::as_ref).collect();
        // The answer has ended when the server has committed, not when it has said what the function returned.
        let rows = sessions
            .ask(
                Which::Commit,
                &[&self.lazy, &self.locks, &self.shared, &compared, &expected, &deletes, &puts, &values, &told],
            )
            .await?;
        let version =
            rows.first().map(|row| row.try_get::<_, Option<i64>>(0)).transpose().map_err(Trouble::Driver)?.flatten();
        Ok(version.map_or(Outcome::Conflict, |version| Outcome::Committed(Version(version.unsigned_abs()))))
    }
}

/// The number of a key's lock: the same in every version of sekisho. Two keys that share one wait for each other now and then.
fn lock_of(key: &Key) -> i64 {
    let digest = Sha256::digest(key.as_str());
    i64::from_be_bytes(digest.first_chunk::<8>().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::new(text.to_owned())
    }

    #[test]
    fn what_is_only_compared_is_locked_for_reading_and_all_in_one_order() {
        let call = Call::of(Commit {
            compares: vec![(key("a"), Expect::Absent), (key("b"), Expect::At(Version(7)))],
            puts: vec![(key("b"), "1".into()), (key("c"), "2".into())],
            deletes: vec![key("c"), key("d")],
            ..Commit::default()
        });
        assert!(call.locks.iter().skip(1).is_sorted());
        let mode =
            |name| call.locks.iter().position(|lock| *lock == lock_of(&key(name))).and_then(|at| call.shared.get(at));
        assert_eq!(["a", "b", "c", "d"].map(mode), [Some(&true), Some(&false), Some(&false), Some(&false)]);
        assert_eq!((call.locks.first(), call.shared.first()), (Some(&ALL), Some(&true)));
        assert_eq!(call.changes(), [Change::Delete(key("d")), Change::Put(key("b")), Change::Put(key("c"))]);
    }

    #[test]
    fn a_commit_with_many_keys_takes_the_one_lock_of_all() {
        let deletes = (0..1000).map(|index| key(&index.to_string())).collect();
        let call = Call::of(Commit { deletes, ..Commit::default() });
        assert_eq!((call.locks, call.shared), (vec![ALL], vec![false]));
    }
}
