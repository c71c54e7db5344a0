use std::ops::Bound;
use std::time::Duration;

use super::kept::{OfSession, Total};
use super::*;
use crate::authn::user::Role;
use crate::secret::Token;
use crate::service::actor::Actor;
use crate::service::testing::{Bench, Browser, PASSWORD};
use crate::store::engine::{Key, Versioned};

const ORIGIN: &str = "https://shop.test";
const MINUTE: Duration = Duration::from_secs(60);
const INPUT: &str = "what-nobody-must-read";

fn bench() -> Bench {
    bench_with(30 * MINUTE)
}

fn bench_with(idle: Duration) -> Bench {
    Bench::new(|config| {
        config.session.idle_timeout = idle;
        let off = crate::authz::Policy::Off;
        config.second_factor.demand.policy = off;
        config.session.max_lifetime = 120 * MINUTE;
    })
}

fn form(bytes: usize) -> Form {
    let mut body = format!("memo={INPUT}&rest=");
    body.extend(std::iter::repeat_n('x', bytes.saturating_sub(body.len())));
    Form {
        target: format!("/orders/7/edit?token={INPUT}"),
        content_type: "application/x-www-form-urlencoded".to_owned(),
        body: body.into(),
    }
}

async fn signed_in(bench: &Bench, login: &str) -> Browser {
    let mut browser = Browser::default();
    browser.password(bench, login, PASSWORD).await;
    assert!(browser.cookies.session.is_some(), "{login}");
    browser
}

fn claim(token: &Token) -> Claim {
    claim_at(token, Place::Alone, "shop.test")
}

fn claim_at(token: &Token, place: Place, host: &str) -> Claim {
    let host = Host::parse(host).unwrap();
    Claim { live: None, value: token.digest(), host, place, origin: ORIGIN.to_owned() }
}

async fn keep(bench: &Bench, token: &Token, bytes: usize) -> Result<HeldId, NotKept> {
    let config = bench.services.config.load_full();
    let scene = Scene { config: &config, now: bench.now(), route: Some("tool") };
    bench.services.held.keep(&claim(token), &form(bytes), Origin::default(), scene).await.unwrap()
}

async fn find(bench: &Bench, id: HeldId, browser: &Browser, origin: &str) -> Option<Found> {
    let config = bench.services.config.load_full();
    let scene = Scene { config: &config, now: bench.now(), route: None };
    let live = bench.live(&browser.session()).await.unwrap();
    bench.services.held.find(id, &live, origin, scene).await.unwrap()
}

async fn spend(bench: &Bench, id: HeldId, browser: &Browser, origin: &str) -> bool {
    let config = bench.services.config.load_full();
    let scene = Scene { config: &config, now: bench.now(), route: None };
    let live = bench.live(&browser.session()).await.unwrap();
    bench.services.held.spend(id, &live, origin, Origin::default(), scene).await.unwrap()
}

/// Alice, whose session a manager has ended.
async fn ended(bench: &Bench) -> Token {
    let token = signed_in(bench, "alice").await.session();
    let alice = bench.services.users.show("alice", bench.now()).await.unwrap().unwrap().user.id;
    bench.services.sessions.end_all_of(alice, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    token
}

#[tokio::test]
async fn how_a_session_has_ended_decides_whether_a_form_of_it_is_kept() {
    let bench = bench();
    let alice = bench.add("alice").await.user;
    let (sessions, users, now) = (&bench.services.sessions, &bench.services.users, || bench.now());
    let token = || async { signed_in(&bench, "alice").await.session() };

    let living = token().await;
    assert_eq!(keep(&bench, &living, 0).await, Err(NotKept::Nobodys), "a living session does not claim by its value");
    let unknown = Token::generate().unwrap();
    assert_eq!(keep(&bench, &unknown, 0).await, Err(NotKept::Nobodys));

    let by_a_manager = token().await;
    let id = bench.live(&by_a_manager).await.unwrap().id();
    sessions.end_by_id(id, &Actor::CommandLine, now()).await.unwrap().unwrap();
    assert!(keep(&bench, &by_a_manager, 0).await.is_ok());

    let idle = token().await;
    drop(bench.live(&idle).await.unwrap());
    bench.advance(31 * MINUTE);
    sessions.end_overdue(now(), Duration::ZERO).await;
    assert!(keep(&bench, &idle, 0).await.is_ok());
    bench.advance(10 * MINUTE);
    assert_eq!(keep(&bench, &idle, 0).await, Err(NotKept::Nobodys), "it is forgotten by then");

    let logged_out = token().await;
    sessions.end(&logged_out, "192.0.2.1".parse().unwrap(), now()).await.unwrap();
    assert_eq!(keep(&bench, &logged_out, 0).await, Err(NotKept::Nobodys));
    let fallen = token().await;
    sessions.end_all_of(alice.id, &Actor::CommandLine, now()).await.unwrap().unwrap();
    users.set_disabled("alice", true, &Actor::CommandLine, now()).await.unwrap().unwrap();
    assert_eq!(keep(&bench, &fallen, 0).await, Err(NotKept::Nobodys), "disabled");
    users.set_disabled("alice", false, &Actor::CommandLine, now()).await.unwrap().unwrap();
    assert_eq!(keep(&bench, &fallen, 0).await, Err(NotKept::Nobodys), "and enabled again");
}

#[tokio::test]
async fn a_lifetime_that_has_run_out_is_noticed_whoever_is_first_to_look() {
    let bench = bench_with(600 * MINUTE);
    bench.add("alice").await;
    let (sessions, now) = (&bench.services.sessions, || bench.now());
    let over = || async {
        let token = signed_in(&bench, "alice").await.session();
        bench.advance(125 * MINUTE);
        token
    };
    let unnoticed = over().await;
    assert!(keep(&bench, &unnoticed, 0).await.is_ok());
    bench.advance(5 * MINUTE);
    assert_eq!(keep(&bench, &unnoticed, 0).await, Err(NotKept::Nobodys), "it ended ten minutes ago");
    let swept = over().await;
    sessions.remember_expired(now()).await.unwrap();
    bench.store.sweep(now()).await.unwrap();
    assert!(keep(&bench, &swept, 0).await.is_ok());
    bench.advance(5 * MINUTE);
    assert_eq!(keep(&bench, &swept, 0).await, Err(NotKept::Nobodys));
    let seen = signed_in(&bench, "alice").await.session();
    drop(bench.live(&seen).await.unwrap());
    bench.advance(121 * MINUTE);
    sessions.end_overdue(now(), Duration::ZERO).await;
    bench.store.sweep(now()).await.unwrap();
    assert!(keep(&bench, &seen, 0).await.is_ok());
    for swept in [false, true] {
        let logged_out = over().await;
        if swept {
            sessions.remember_expired(now()).await.unwrap();
            bench.store.sweep(now()).await.unwrap();
        }
        sessions.end(&logged_out, "192.0.2.1".parse().unwrap(), now()).await.unwrap();
        assert_eq!(keep(&bench, &logged_out, 0).await, Err(NotKept::Nobodys), "its owner has logged out");
    }
}

#[tokio::test]
async fn a_form_is_its_owners_and_goes_once() {
    let bench = bench();
    bench.add("alice").await;
    bench.add_as("root", Role::Admin).await;
    let token = ended(&bench).await;
    let id = keep(&bench, &token, 0).await.unwrap();
    let root = signed_in(&bench, "root").await;
    assert!(find(&bench, id, &root, ORIGIN).await.is_none() && !spend(&bench, id, &root, ORIGIN).await);
    let alice = signed_in(&bench, "alice").await;
    for other in ["https://other.test", "http://shop.test", "https://shop.test:8443", ""] {
        assert!(find(&bench, id, &alice, other).await.is_none() && !spend(&bench, id, &alice, other).await, "{other}");
    }
    let found = find(&bench, id, &alice, ORIGIN).await.unwrap();
    let sent = form(0);
    assert_eq!(
        (found.form.target, found.form.content_type, found.form.body),
        (sent.target, sent.content_type, sent.body)
    );
    let tries = (0..50).map(|_| spend(&bench, id, &alice, ORIGIN));
    let sent = futures_util::future::join_all(tries).await;
    assert_eq!(sent.into_iter().filter(|sent| *sent).count(), 1);
    assert!(find(&bench, id, &alice, ORIGIN).await.is_none());
}

#[tokio::test]
async fn its_time_and_a_new_epoch_end_it() {
    let bench = bench();
    bench.add("alice").await;
    let token = ended(&bench).await;
    let id = keep(&bench, &token, 0).await.unwrap();
    let other = keep(&bench, &token, 0).await.unwrap();
    bench.advance(5 * MINUTE);
    let mut alice = signed_in(&bench, "alice").await;
    assert!(find(&bench, id, &alice, ORIGIN).await.is_some());
    assert!(alice.own_password(&bench, PASSWORD, "Quiet-river-22").await.is_ok());
    assert!(find(&bench, id, &alice, ORIGIN).await.is_none() && !spend(&bench, id, &alice, ORIGIN).await);
    bench.advance(5 * MINUTE);
    assert!(find(&bench, other, &alice, ORIGIN).await.is_none());
    bench.store.sweep(bench.now()).await.unwrap();
    assert!(stored(&bench).await.iter().all(|(key, _)| !key.as_str().starts_with("held/")));
}

#[tokio::test]
async fn bounds_hold_however_many_come_at_once() {
    let bench = bench();
    bench.add("alice").await;
    let token = ended(&bench).await;
    assert_eq!(keep(&bench, &token, (1 << 20) + 1).await, Err(NotKept::TooLarge));
    let kept = futures_util::future::join_all((0..20).map(|_| keep(&bench, &token, 1 << 20))).await;
    let ids: Vec<_> = kept.iter().filter_map(|kept| kept.as_ref().ok()).collect();
    assert_eq!(ids.len(), 3);
    assert!(kept.iter().all(|kept| !matches!(kept, Err(why) if *why != NotKept::TooMany)), "{kept:?}");
    let alice = signed_in(&bench, "alice").await;
    assert!(spend(&bench, *ids[0], &alice, ORIGIN).await);
    assert!(keep(&bench, &token, 0).await.is_ok(), "there is room again");
    assert_eq!(keep(&bench, &token, 0).await, Err(NotKept::TooMany));
}

#[tokio::test]
async fn all_sessions_together_have_so_much_room() {
    let bench = bench();
    let mut config = bench.config();
    config.held.total = 3 * (1 << 20);
    config.second_factor.demand.policy = crate::authz::Policy::Off;
    bench.services.config.store(std::sync::Arc::new(config));
    bench.add("alice").await;
    let tokens = [ended(&bench).await, ended(&bench).await, ended(&bench).await];
    let tries = tokens.iter().flat_map(|token| [token; 3]).map(|token| keep(&bench, token, 1_000_000));
    let kept = futures_util::future::join_all(tries).await;
    assert_eq!(kept.iter().filter(|kept| kept.is_ok()).count(), 3, "{kept:?}");
    assert!(kept.contains(&Err(NotKept::Full)), "{kept:?}");
    bench.advance(9 * MINUTE);
    assert_eq!(keep(&bench, &tokens[2], 1_000_000).await, Err(NotKept::Full));
    bench.advance(MINUTE + MINUTE);
    let token = ended(&bench).await;
    assert!(keep(&bench, &token, 1_000_000).await.is_ok(), "those of before are gone");
}

#[test]
fn the_sum_stays_small_and_counts_what_is_there() {
    let (lifetime, mut total) = (10 * MINUTE, Total::default());
    let mut now = Timestamp::from_secs(1_800_000_000);
    let mut kept = std::collections::VecDeque::new();
    for _ in 0..2_000 {
        let share = Share::of(&form(10_000), now, lifetime);
        total.add(share, now);
        kept.push_back((share, now.plus(lifetime)));
        now = now.plus(Duration::from_secs(1));
        while kept.front().is_some_and(|(_, until)| *until <= now) {
            kept.pop_front();
        }
        let there: u64 = kept.iter().map(|(share, _)| share.bytes).sum();
        assert!(total.bytes(now) >= there, "less than there is");
    }
    let size = serde_json::to_vec(&total).unwrap().len();
    assert!(size < 2_000, "{size}");
    kept.iter().for_each(|(share, _)| total.remove(*share, now));
    assert!(total.bytes(now) < 50 * 11_000, "{}", total.bytes(now));
    assert_eq!(total.bytes(now.plus(2 * lifetime)), 0);
    assert_eq!(OfSession::default().count(now), 0);
}

async fn stored(bench: &Bench) -> Vec<(Key, Versioned)> {
    bench.store.clone().into_engine().scan("", Bound::Unbounded, 10_000).await.unwrap()
}

#[tokio::test]
async fn nothing_of_it_is_readable_where_it_is_stored() {
    let bench = bench();
    bench.add("alice").await;
    let token = ended(&bench).await;
    keep(&bench, &token, 100).await.unwrap();
    let all = stored(&bench).await;
    assert!(all.iter().any(|(key, _)| key.as_str().starts_with("held/")));
    for (_, found) in &all {
        let text = String::from_utf8_lossy(&found.value);
        let inside = data_encoding::BASE64URL_NOPAD.encode(INPUT.as_bytes());
        assert!(
            !text.contains(INPUT) && !text.contains(inside.get(4..20).unwrap()) && !text.contains("/orders"),
            "{text}"
        );
    }
}
