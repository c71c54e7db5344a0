//! A store full of accounts and sessions, written through its engine, many records to a commit.

use std::ops::{Bound, Range};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sekisho::authn::session::{Origin, Session};
use sekisho::authn::sign_on::Elsewhere;
use sekisho::authn::user::User;
use sekisho::clock::Timestamp;
use sekisho::id::{SessionId, UserId};
use sekisho::secret::Token;
use sekisho::service::session::Sessions;
use sekisho::store::open;
use sekisho::store::record::{Change, Store};
use tempfile::TempDir;

use super::contestant::value;
use crate::harness::{Sekisho, unix_now};

/// What a gateway with very many has.
pub const MANY: usize = 1_000_000;
pub const ACCOUNTS: usize = 100_000;

/// How many records one commit takes.
const AT_ONCE: usize = 900;
/// What belongs together in a gateway's folder.
const FILES: [&str; 2] = ["secret.key", "secret.key.store-id"];

/// [`MANY`] sessions of [`ACCOUNTS`] accounts. Written once, which takes minutes, and then copied.
#[derive(Default)]
pub struct Full(OnceLock<TempDir>);

impl Full {
    pub fn fill(&self, gate: &Sekisho) {
        if let Some(full) = self.0.get() {
            return copy(full.path(), &gate.folder());
        }
        fill(gate, ACCOUNTS, MANY);
        let full = self.0.get_or_init(|| TempDir::with_prefix("sekisho-growth-").unwrap());
        copy(&gate.folder(), full.path());
    }
}

fn copy(from: &Path, to: &Path) {
    for name in FILES {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
    let (from, to) = (from.join("store"), to.join("store"));
    let _ = std::fs::remove_dir_all(&to);
    std::fs::DirBuilder::new().mode(0o700).create(&to).unwrap();
    for entry in std::fs::read_dir(&from).unwrap().flatten() {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// So many accounts like the one that is there, and so many sessions, which are theirs by turns.
pub fn fill(gate: &Sekisho, accounts: usize, sessions: usize) {
    let began = Instant::now();
    write(gate, async |store, first, now| {
        let user = |number: usize| User {
            id: UserId::from_bytes(ten_bytes(number)),
            login: format!("user{number}").parse().unwrap(),
            ..first.clone()
        };
        let put = |change: Change, number: usize| {
            let user = user(number);
            change.put(&user.id.to_string(), &user)
        };
        commit(store, 0..accounts, AT_ONCE, put).await;
        begin(store, 0..sessions, accounts, first, now).await;
    });
    eprintln!("{accounts} accounts and {sessions} sessions took {:.1} s to write", began.elapsed().as_secs_f64());
}

/// The sessions of these numbers begin now, whether they are there or not.
pub fn begin_now(gate: &Sekisho, sessions: Range<usize>, accounts: usize) {
    write(gate, async |store, first, now| begin(store, sessions, accounts, first, now).await);
}

/// How long a commit takes that waits for the disk, one after the other.
pub fn synced(gate: &Sekisho, times: u32) -> Duration {
    let mut took = Duration::ZERO;
    write(gate, async |store, _, _| {
        let began = Instant::now();
        for _ in 0..times {
            store.durable().await.unwrap();
        }
        took = began.elapsed() / times;
    });
    took
}

/// Into the store that the gateway's configuration names, which nobody else has open where it is the embedded one.
fn write(gate: &Sekisho, write: impl AsyncFnOnce(&Store, &User, Timestamp)) {
    let config = sekisho::config::load(&gate.config()).unwrap().config;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = open::configured(&config.store, &config.key_file, false).await.unwrap();
        let now = Timestamp::from_secs(unix_now());
        let first = store.list::<User>("", Bound::Unbounded, 1, now).await.unwrap().remove(0).record;
        write(&store, &first, now).await;
        store.durable().await.unwrap();
    });
}

async fn begin(store: &Store, numbers: Range<usize>, accounts: usize, owner: &User, now: Timestamp) {
    let begin = |change: Change, number: usize| {
        let session = session(number, UserId::from_bytes(ten_bytes(number % accounts)), owner.epoch, now);
        Sessions::with(change, &Token::parse(&value(number)).unwrap().digest(), &session)
    };
    commit(store, numbers, AT_ONCE / 3, begin).await;
}

async fn commit(store: &Store, numbers: Range<usize>, at_once: usize, add: impl Fn(Change, usize) -> Change) {
    for from in numbers.clone().step_by(at_once) {
        let change = (from..(from + at_once).min(numbers.end)).fold(Change::new(), &add);
        store.commit(change.lazy()).await.unwrap();
    }
}

fn session(number: usize, user: UserId, epoch: u64, now: Timestamp) -> Session {
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
    Session {
        id: SessionId::from_bytes(ten_bytes(number)),
        user,
        epoch,
        created_at: now,
        expires_at: now.plus(Duration::from_secs(24 * 3600)),
        last_seen: now,
        route_last_seen: Vec::new(),
        second_factor_at: None,
        by_recovery_code: false,
        password_at: Some(now),
        device: None,
        client: Origin { address: "192.0.2.1".to_owned(), user_agent: agent.to_owned() },
        elsewhere: Elsewhere::default(),
    }
}

/// An id; each number's is another one.
fn ten_bytes(number: usize) -> [u8; 10] {
    let mut bytes = [7; 10];
    // Spread over all ids, as those of a random source are.
    let spread = (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bytes[..8].copy_from_slice(&spread.to_be_bytes());
    bytes
}
