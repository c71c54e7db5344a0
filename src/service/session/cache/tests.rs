use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::authn::session::Session;
use crate::authn::user::User;
use crate::clock::Timestamp;
use crate::id::{SessionId, UserId};
use crate::secret::{Token, random_bytes};
use crate::service::session::lines::Lines;
use crate::service::session::live::AccountCell;
use crate::service::testing::Bench;
use crate::store::trust::Trust;

/// What sessions hang on.
struct Stand {
    bench: Bench,
    user: User,
    lines: Lines,
}

impl Stand {
    async fn new() -> Self {
        let bench = Bench::new(|_| {});
        let user = bench.add("alice").await.user;
        Self { bench, user, lines: Lines::default() }
    }

    fn cell(&self, user: UserId) -> (UserId, Arc<AccountCell>) {
        (user, Arc::new(AccountCell::new(&User { id: user, ..self.user.clone() }, Trust::complete().turn())))
    }

    /// A session as `find` makes one of its record.
    fn session(&mut self, (user, cell): &(UserId, Arc<AccountCell>), seen: Timestamp) -> Arc<LiveSession> {
        let value = Token::generate().unwrap().digest();
        let session = Session {
            second_factor_at: Some(seen),
            password_at: Some(seen),
            ..Session::begun(SessionId::from_bytes(random_bytes().unwrap()), *user, 0, seen)
        };
        Arc::new(LiveSession {
            value,
            epoch: 0,
            second_factor_at: session.second_factor_at,
            host: None,
            line: self.lines.join(&session, value),
            cell: Arc::clone(cell),
            config: Arc::clone(&self.bench.services.config),
            read_in: Trust::complete().turn(),
        })
    }
}

#[tokio::test]
async fn what_was_not_used_for_longest_makes_room() {
    let mut stand = Stand::new().await;
    let cell = stand.cell(stand.user.id);
    let cache = Cache::of(16);
    let begin = stand.bench.now();
    let all: Vec<_> = (0..16 * SHARDS as u64 * 2)
        .map(|index| stand.session(&cell, begin.plus(Duration::from_millis(index))))
        .collect();
    for live in &all {
        cache.insert(Arc::clone(live));
        assert!(cache.get(&live.value).is_some(), "the newest is there");
    }
    assert!(cache.len() <= 16 * SHARDS);
    let (old, new) = all.split_at(all.len() / 2);
    let kept = |part: &[Arc<LiveSession>]| part.iter().filter(|live| cache.get(&live.value).is_some()).count();
    assert!(kept(new) > new.len() * 8 / 10, "{} of {}", kept(new), new.len());
    assert!(kept(old) < old.len() / 5, "{} of {}", kept(old), old.len());
    // Each is found under its own value.
    assert!(all.iter().all(|live| cache.get(&live.value).is_none_or(|found| Arc::ptr_eq(&found, live))));
}

#[tokio::test]
async fn a_value_stands_for_one_session_until_it_is_taken_out() {
    let mut stand = Stand::new().await;
    let cell = stand.cell(stand.user.id);
    let cache = Cache::new();
    let now = stand.bench.now();
    let all: Vec<_> = (0..5000).map(|_| stand.session(&cell, now)).collect();
    all.iter().for_each(|live| cache.insert(Arc::clone(live)));
    all.iter().for_each(|live| cache.insert(Arc::clone(live)));
    assert_eq!(cache.len(), all.len());
    assert_eq!(cache.values(|live| live.host().is_some()), []);
    for live in &all[..4900] {
        assert!(Arc::ptr_eq(&cache.remove(&live.value).unwrap(), live));
        assert!(cache.remove(&live.value).is_none() && cache.get(&live.value).is_none());
    }
    assert!(all[4900..].iter().all(|live| cache.get(&live.value).is_some()), "the tables were made smaller");
    cache.clear();
    assert_eq!(cache.len(), 0);
}

/// What sessions take in memory; ten of them to an account, as `docs/performance.md` says. Run by name:
/// `cargo test --profile demo --lib a_cached_session_takes_little_memory -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement: a million sessions take a while"]
async fn a_cached_session_takes_little_memory() {
    let mut stand = Stand::new().await;
    for (sessions, each) in [(100_000, 10), (1_000_000, 10), (100_000, 1)] {
        let (cache, now) = (Cache::new(), stand.bench.now());
        stand.lines = Lines::default();
        let (before, resident_before) = (crate::counting::live(), resident());
        let mut users = Vec::with_capacity(sessions / each);
        for _ in 0..sessions / each {
            users.push(stand.cell(UserId::from_bytes(random_bytes().unwrap())));
        }
        let accounts = crate::counting::live() - before;
        for index in 0..sessions {
            let live = stand.session(&users[index / each], now);
            cache.insert(live);
        }
        stand.lines.overdue(stand.bench.config().session, now);
        let taken = crate::counting::live() - before - accounts;
        println!(
            "{sessions} sessions of {} accounts: {} bytes for a session, {} for an account; {} of memory for a session in all",
            users.len(),
            taken / sessions,
            accounts / users.len(),
            resident().saturating_sub(resident_before) / sessions,
        );
        assert_eq!(cache.len(), sessions);
        assert!(taken / sessions <= 400);
    }
}

/// The memory of this process, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * rustix::param::page_size()
}
