use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::secret::Token;
use crate::service::actor::Actor;
use crate::service::testing::Bench;
use crate::store::engine::{Commit, Key};
use crate::store::record::Slot;

const MINUTE: Duration = Duration::from_secs(60);

async fn stored(bench: &Bench, token: &Token) -> Option<Session> {
    bench.store.get::<Session>(&token.digest().to_string(), bench.now()).await.unwrap().record
}

#[tokio::test]
async fn a_session_is_found_once_in_the_store_and_then_in_the_cache() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user;
    let (token, session) = bench.begin(&alice).await;
    let sessions = &bench.services.sessions;
    assert!(sessions.cached(&token.digest()).is_none());
    let live = bench.live(&token).await.unwrap();
    assert_eq!(live.id(), session.id);
    assert_eq!(sessions.cached(&token.digest()).unwrap().account().login, alice.login);
    assert!(bench.live(&Token::generate().unwrap()).await.is_none());
}

#[tokio::test]
async fn a_logged_out_session_is_dead_at_once_and_what_is_open_is_told() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user;
    let (token, _) = bench.begin(&alice).await;
    let live = bench.live(&token).await.unwrap();
    let sessions = &bench.services.sessions;
    sessions.end(&token, "192.0.2.1".parse().unwrap(), bench.now()).await.unwrap();
    assert!(sessions.cached(&token.digest()).is_none());
    assert!(stored(&bench, &token).await.is_none());
    assert!(live.ended().is_cancelled());
    assert!(live.identity(&bench.route()).is_none());
    assert!(bench.live(&token).await.is_none());
    // And once more changes nothing.
    sessions.end(&token, "192.0.2.1".parse().unwrap(), bench.now()).await.unwrap();
}

#[tokio::test]
async fn however_many_sessions_an_account_has_they_can_be_ended() {
    let bench = Bench::new(|_| {});
    let (alice, bob) = (bench.add("alice").await.user, bench.add("bob").await.user);
    let sessions = &bench.services.sessions;
    let of_bob = bench.begin(&bob).await.0;
    let live = bench.everywhere(&alice).await;
    assert_eq!(sessions.end_all_of(alice.id, &Actor::CommandLine, bench.now()).await.unwrap(), Ok(60));
    assert!(live.iter().all(|live| live.ended().is_cancelled()));
    assert_eq!(sessions.end_all_of(alice.id, &Actor::CommandLine, bench.now()).await.unwrap(), Ok(0));

    let live = bench.everywhere(&alice).await;
    let disabled = bench.services.users.set_disabled("alice", true, &Actor::CommandLine, bench.now()).await;
    assert!(disabled.unwrap().is_ok());
    assert!(live.iter().all(|live| live.ended().is_cancelled()));
    assert!(sessions.of_user(alice.id, bench.now()).await.unwrap().is_empty());
    assert!(bench.live(&of_bob).await.is_some(), "nobody else's");
}

/// Gives a session one new value after the other, until it is over.
async fn restless(bench: Arc<Bench>, token: Token) {
    let mut value = token.digest();
    while let Slot { record: Some(session), seen } =
        bench.store.get::<Session>(&value.to_string(), bench.now()).await.unwrap()
    {
        let next = Token::generate().unwrap().digest();
        let change = Change::new().unchanged::<Session>(&value.to_string(), seen);
        let change = Sessions::renewed(change, (&value, &session), (&next, &session));
        if let Outcome::Committed(_) = bench.store.commit(change).await.unwrap() {
            bench.services.sessions.rotated(&value, next, session.id);
            value = next;
        }
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_session_that_was_given_a_new_value_while_it_was_ended() {
    let bench = Arc::new(Bench::new(|_| {}));
    let alice = bench.add("alice").await.user;
    let (sessions, actor) = (&bench.services.sessions, Actor::CommandLine);
    for way in 0..30 {
        let (token, session) = bench.begin(&alice).await;
        let restless = tokio::spawn(restless(Arc::clone(&bench), token.clone()));
        match way % 3 {
            0 => assert_eq!(sessions.end_by_id(session.id, &actor, bench.now()).await.unwrap(), Ok(true)),
            1 => {
                let place = Cursor::of_session(&session);
                assert_eq!(sessions.end_at(&place, &actor, bench.now()).await.unwrap(), Ok(true));
            }
            _ => {
                let ended = sessions.of_user(alice.id, bench.now()).await.unwrap();
                bench.store.commit(sessions.without_all(Change::new(), &ended).await.unwrap()).await.unwrap();
                sessions.forget_all(&ended, bench.now()).await.unwrap();
            }
        }
        assert_eq!(sessions.of_user(alice.id, bench.now()).await.unwrap().len(), 0, "way {}", way % 3);
        restless.await.unwrap();
    }
}

#[tokio::test]
async fn an_ended_session_does_not_come_back_through_a_read_that_was_under_way() {
    let bench = Arc::new(Bench::new(|_| {}));
    let alice = bench.add("alice").await.user;
    for _ in 0..50 {
        let (token, _) = bench.begin(&alice).await;
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (bench, token) = (Arc::clone(&bench), token.clone());
                tokio::spawn(async move { bench.live(&token).await })
            })
            .collect();
        bench.services.sessions.end(&token, "192.0.2.1".parse().unwrap(), bench.now()).await.unwrap();
        for reader in readers {
            reader.await.unwrap();
        }
        assert!(bench.services.sessions.cached(&token.digest()).is_none());
    }
}

#[tokio::test]
async fn a_session_ends_by_its_id_or_with_all_of_its_account() {
    let bench = Bench::new(|_| {});
    let (alice, bob) = (bench.add("alice").await.user, bench.add("bob").await.user);
    let mut tokens = Vec::new();
    for user in [&alice, &alice, &alice, &bob] {
        tokens.push(bench.begin(user).await);
    }
    let sessions = &bench.services.sessions;
    assert_eq!(sessions.end_by_id(tokens[0].1.id, &Actor::CommandLine, bench.now()).await.unwrap(), Ok(true));
    assert_eq!(sessions.end_by_id(tokens[0].1.id, &Actor::CommandLine, bench.now()).await.unwrap(), Ok(false));
    assert!(!bench.passes(&tokens[0].0).await);
    assert_eq!(sessions.end_all_of(alice.id, &Actor::CommandLine, bench.now()).await.unwrap(), Ok(2));
    assert!(!bench.passes(&tokens[1].0).await && !bench.passes(&tokens[2].0).await);
    assert!(bench.passes(&tokens[3].0).await);
    let left = sessions.list(None, bench.now()).await.unwrap();
    assert_eq!(left.iter().map(|view| view.login.as_str()).collect::<Vec<_>>(), ["bob"]);
    assert!(sessions.list(Some(alice.id), bench.now()).await.unwrap().is_empty());
}

#[tokio::test]
async fn activity_in_many_sessions_is_written_together_and_brings_no_ended_one_back() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user;
    let (route, sessions) = (bench.route(), &bench.services.sessions);
    let mut all = Vec::new();
    for _ in 0..250 {
        let (token, _) = bench.begin(&alice).await;
        all.push((bench.live(&token).await.unwrap(), token));
    }
    let commits = || bench.store.figures().unwrap().commits.count;

    bench.advance(2 * MINUTE);
    all.iter().for_each(|(live, _)| sessions.touch(live, &route, bench.now()));
    // This one's record was ended by another node, which nobody has told here yet.
    let (_, gone) = &all[100];
    bench.store.commit(Change::new().delete::<Session>(&gone.digest().to_string())).await.unwrap();
    let before = commits();
    sessions.write_behind(bench.now(), false).await;
    assert_eq!(commits() - before, 3);
    for (number, (_, token)) in all.iter().enumerate() {
        let seen = stored(&bench, token).await.map(|session| session.last_seen);
        assert_eq!(seen, (number != 100).then(|| bench.now()));
    }
    sessions.write_behind(bench.now(), true).await;
    assert_eq!(commits() - before, 3, "what was written is not written again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_somebody_changes_meanwhile_holds_the_others_up_for_no_time() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user;
    let (route, sessions) = (bench.route(), &bench.services.sessions);
    let mut all = Vec::new();
    for _ in 0..20 {
        let (token, session) = bench.begin(&alice).await;
        all.push((bench.live(&token).await.unwrap(), token, session));
    }
    let (_, busy, session) = &all[0];
    let (name, store, session) = (busy.digest().to_string(), bench.store.clone(), session.clone());
    let elsewhere = tokio::spawn(async move {
        loop {
            store.commit(Change::new().put(&name, &session).lazy()).await.unwrap();
        }
    });
    let conflicts = || bench.store.figures().unwrap().conflicts;
    for round in 0.. {
        assert!(round < 1000, "nobody ever came in between");
        bench.advance(2 * MINUTE);
        all.iter().for_each(|(live, ..)| sessions.touch(live, &route, bench.now()));
        sessions.write_behind(bench.now(), false).await;
        for (_, token, _) in &all[1..] {
            assert_eq!(stored(&bench, token).await.unwrap().last_seen, bench.now());
        }
        if conflicts() > 0 {
            break;
        }
    }
    elsewhere.abort();
    let _ = elsewhere.await;
    bench.advance(2 * MINUTE);
    sessions.touch(&all[0].0, &route, bench.now());
    sessions.write_behind(bench.now(), true).await;
    assert_eq!(stored(&bench, busy).await.unwrap().last_seen, bench.now());
}

#[tokio::test]
async fn what_another_node_has_written_a_moment_ago_is_written_again_when_its_time_has_come() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user;
    let (token, session) = bench.begin(&alice).await;
    let live = bench.live(&token).await.unwrap();
    let (sessions, route) = (&bench.services.sessions, bench.route());
    bench.advance(2 * MINUTE);
    let seen_there = bench.now();
    bench.put(&token, &Session { last_seen: seen_there, ..session }).await;
    bench.advance(Duration::from_secs(10));
    sessions.touch(&live, &route, bench.now());
    let seen_here = bench.now();
    for (wait, recorded) in [(0, seen_there), (79, seen_there), (1, seen_here)] {
        bench.advance(Duration::from_secs(wait));
        sessions.write_behind(bench.now(), false).await;
        assert_eq!(stored(&bench, &token).await.unwrap().last_seen, recorded, "after {wait} more");
    }
}

#[tokio::test]
async fn an_account_that_was_changed_since_it_was_read_with_its_session_is_read_again() {
    let bench = Bench::new(|_| {});
    let sessions = &bench.services.sessions;
    for by_name in [true, false] {
        let login = format!("user{by_name}");
        let user = bench.add(&login).await.user;
        let (changes, read_in) = sessions.before_reading();
        let reading = Reading { user: Some(user.clone()), read_in, changes };
        if by_name {
            let disabled = bench.services.users.set_disabled(&login, true, &Actor::CommandLine, bench.now()).await;
            assert!(disabled.unwrap().is_ok());
        } else {
            // Behind our back, and then nobody can say which.
            let slot = bench.store.get::<User>(&user.id.to_string(), bench.now()).await.unwrap();
            let disabled = User { disabled: true, ..slot.record.unwrap() };
            let change = Change::new().put(&user.id.to_string(), &disabled);
            assert!(matches!(bench.store.commit(change).await.unwrap(), Outcome::Committed(_)));
            sessions.user_changed(crate::store::engine::Change::Lagged, bench.now()).await;
        }
        let cell = sessions.cell(user.id, reading, bench.now()).await.unwrap().unwrap();
        assert!(!cell.stands(user.epoch), "{login}");
    }
}

#[tokio::test]
async fn where_changes_were_missed_a_record_that_nobody_understands_ends_its_own_session_alone() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user;
    let (token, _) = bench.begin(&alice).await;
    let (other, _) = bench.begin(&alice).await;
    let (live, broken) = (bench.live(&token).await.unwrap(), bench.live(&other).await.unwrap());
    let key = Key::new(format!("session/{}", other.digest()));
    let puts = vec![(key, Bytes::from_static(b"neither"))];
    bench.store.clone().into_engine().commit(Commit { puts, ..Commit::default() }).await.unwrap();
    bench.services.sessions.session_changed(crate::store::engine::Change::Lagged, bench.now()).await;
    assert!(broken.ended().is_cancelled());
    assert!(!live.ended().is_cancelled());
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_are_changed_all_the_time_hold_up_nobody_elses() {
    let bench = Bench::new(|_| {});
    let sessions = Arc::clone(&bench.services.sessions);
    let (now, busy) = (bench.now(), bench.add("busy").await.user.id);
    let others = tokio::spawn(async move {
        loop {
            sessions.refresh(busy, now).await;
            tokio::task::yield_now().await;
        }
    });
    let sessions = &bench.services.sessions;
    for number in 0..20 {
        let user = bench.add(&format!("user{number}")).await.user;
        let (changes, read_in) = sessions.before_reading();
        let reading = Reading { user: None, read_in, changes };
        while sessions.before_reading().0 == changes {
            tokio::task::yield_now().await;
        }
        assert!(sessions.cell(user.id, reading, now).await.unwrap().unwrap().stands(user.epoch));
    }
    others.abort();
}

#[tokio::test]
async fn activity_is_written_behind_once_in_a_twentieth_of_the_idle_timeout() {
    for (minutes, every) in [(30, 90), (5, 30), (20, 60), (480, 120)] {
        let bench = Bench::new(|config| config.session.idle_timeout = minutes * MINUTE);
        let alice = bench.add("alice").await.user;
        let (token, begun) = bench.begin(&alice).await;
        let live = bench.live(&token).await.unwrap();
        let (sessions, route) = (&bench.services.sessions, bench.route());
        let begin = bench.now();
        bench.advance(Duration::from_secs(10));
        sessions.touch(&live, &route, bench.now());
        bench.advance(Duration::from_secs(every - 11));
        sessions.write_behind(bench.now(), false).await;
        assert_eq!(stored(&bench, &token).await.unwrap().last_seen, begun.last_seen, "{minutes} minutes");
        bench.advance(Duration::from_secs(1));
        sessions.write_behind(bench.now(), false).await;
        assert_eq!(
            stored(&bench, &token).await.unwrap().last_seen,
            begin.plus(Duration::from_secs(10)),
            "{minutes} minutes"
        );
        bench.advance(Duration::from_secs(5));
        sessions.touch(&live, &route, bench.now());
        sessions.write_behind(bench.now(), true).await;
        assert_eq!(stored(&bench, &token).await.unwrap().last_seen, bench.now());
    }
}

#[tokio::test]
async fn an_ended_session_does_not_come_back_by_having_been_seen() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user;
    let (token, session) = bench.begin(&alice).await;
    let live = bench.live(&token).await.unwrap();
    bench.advance(MINUTE);
    bench.services.sessions.touch(&live, &bench.route(), bench.now());
    bench.services.sessions.end_by_id(session.id, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    bench.services.sessions.write_behind(bench.now(), true).await;
    assert!(stored(&bench, &token).await.is_none());
}

#[tokio::test]
async fn a_session_idles_out_unless_it_was_seen_elsewhere() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user;
    let (token, mut session) = bench.begin(&alice).await;
    let live = bench.live(&token).await.unwrap();
    let (sessions, route) = (&bench.services.sessions, bench.route());
    bench.advance(30 * MINUTE);
    assert!(!live.is_alive(bench.now()));
    assert!(sessions.still_idle(&live, &route, bench.now()).await.unwrap());
    // Another node has seen it.
    session.last_seen = bench.now();
    bench.put(&token, &session).await;
    assert!(!sessions.still_idle(&live, &route, bench.now()).await.unwrap());
    assert!(live.is_alive(bench.now()));
}

#[tokio::test]
async fn what_time_has_ended_is_removed_with_what_is_open() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user;
    let (token, _) = bench.begin(&alice).await;
    let live = bench.live(&token).await.unwrap();
    let sessions = &bench.services.sessions;
    bench.advance(30 * MINUTE - Duration::from_millis(1));
    sessions.end_overdue(bench.now(), std::time::Duration::ZERO).await;
    assert!(!live.ended().is_cancelled());
    bench.advance(Duration::from_millis(1));
    sessions.end_overdue(bench.now(), std::time::Duration::ZERO).await;
    assert!(live.ended().is_cancelled());
    assert!(stored(&bench, &token).await.is_none());
}

#[tokio::test]
async fn continuous_use_does_not_outlive_the_maximum_lifetime() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user;
    let (token, _) = bench.begin(&alice).await;
    let (sessions, route) = (&bench.services.sessions, bench.route());
    for _ in 0..24 * 3 {
        assert!(bench.passes(&token).await);
        sessions.touch(&bench.live(&token).await.unwrap(), &route, bench.now());
        bench.advance(20 * MINUTE);
    }
    assert!(!bench.passes(&token).await);
}

#[tokio::test]
async fn a_route_with_an_idle_timeout_of_its_own_counts_its_own_activity() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user;
    let (token, _) = bench.begin(&alice).await;
    let live = bench.live(&token).await.unwrap();
    let sessions = &bench.services.sessions;
    let elsewhere = bench.route();
    let strict = Route { name: "strict".into(), own_idle_timeout: true, idle_timeout: 10 * MINUTE, ..bench.route() };
    let seen = |route: &Route| live.identity(route).unwrap().last_seen;
    // The way to the first request there is no idling.
    bench.advance(5 * MINUTE);
    sessions.touch(&live, &elsewhere, bench.now());
    assert_eq!(seen(&strict), bench.now());
    let on_strict = bench.now();
    sessions.touch(&live, &strict, on_strict);
    bench.advance(5 * MINUTE);
    sessions.touch(&live, &elsewhere, bench.now());
    assert_eq!(seen(&strict), on_strict);
    assert_eq!(seen(&elsewhere), bench.now());
    // It survives a restart.
    sessions.write_behind(bench.now(), true).await;
    let stored = stored(&bench, &token).await.unwrap();
    assert_eq!(stored.route_last_seen, [("strict".to_owned(), on_strict)]);
}

#[tokio::test]
async fn a_new_value_keeps_what_is_open_and_kills_the_old_one() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user;
    let (old, session) = bench.begin(&alice).await;
    let live = bench.live(&old).await.unwrap();
    let sessions = &bench.services.sessions;
    let new = Token::generate().unwrap();
    let change = Sessions::without(Change::new(), &[(old.digest(), session.clone())]);
    bench.store.commit(Sessions::with(change, &new.digest(), &session)).await.unwrap();
    sessions.rotated(&old.digest(), new.digest(), session.id);
    // As the store's own watch will tell.
    let key = crate::store::engine::Key::new(format!("session/{}", old.digest()));
    sessions.session_changed(crate::store::engine::Change::Delete(key), bench.now()).await;
    assert!(!live.ended().is_cancelled());
    assert!(!bench.passes(&old).await);
    assert!(bench.passes(&new).await);
    sessions.end_by_id(session.id, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    assert!(live.ended().is_cancelled(), "what was opened under the old value ends with the session");
}

#[tokio::test]
async fn what_another_node_ends_ends_here() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user;
    let (token, session) = bench.begin(&alice).await;
    let live = bench.live(&token).await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let background = tokio::spawn({
        let (services, stop) = (bench.services.clone(), stop.clone());
        async move { services.background(stop).await }
    });
    // Wait until it follows: a first look at everything.
    tokio::task::yield_now().await;
    bench.store.commit(Sessions::without(Change::new(), &[(token.digest(), session)])).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), live.ended().cancelled()).await.unwrap();
    assert!(!bench.passes(&token).await);
    stop.cancel();
    background.await.unwrap();
}

/// Ten thousand sessions of five hundred accounts, begun a second apart.
#[tokio::test]
async fn a_page_of_sessions_costs_what_it_shows() {
    let bench = Bench::new(|config| config.session.max_lifetime = Duration::from_secs(30 * 24 * 3600));
    let template = bench.add("alice").await.user;
    let (_, sample) = bench.begin(&template).await;
    bench.services.sessions.end_all_of(template.id, &Actor::Sekisho, bench.now()).await.unwrap().unwrap();
    let mut change = Change::new();
    let mut users = Vec::new();
    for index in 0..500_u16 {
        let id = UserId::from_bytes([[0; 8].as_slice(), &index.to_be_bytes()].concat().try_into().unwrap());
        let login = format!("user{index}").parse().unwrap();
        let user = User { id, login, ..template.clone() };
        change = change.put(&id.to_string(), &user);
        users.push(id);
    }
    for index in 0..10_000_u64 {
        let number = u16::try_from(index).unwrap().to_be_bytes();
        let begun = Timestamp::from_millis(bench.now().millis() + index);
        let session = Session {
            id: SessionId::from_bytes([[1; 8].as_slice(), &number].concat().try_into().unwrap()),
            user: users[usize::try_from(index % 500).unwrap()],
            epoch: 0,
            created_at: begun,
            expires_at: begun.plus(Duration::from_secs(24 * 3600)),
            last_seen: begun,
            ..sample.clone()
        };
        change = Sessions::with(change, &Token::generate().unwrap().digest(), &session);
        if index % 100 == 99 {
            bench.store.commit(std::mem::replace(&mut change, Change::new())).await.unwrap();
        }
    }
    bench.store.commit(change).await.unwrap();
    bench.advance(Duration::from_secs(10));
    let sessions = &bench.services.sessions;
    let (mut seen, mut cursor) = (std::collections::BTreeSet::new(), None);
    let mut longest = Duration::ZERO;
    loop {
        let begun = std::time::Instant::now();
        let page = sessions.page(cursor.as_ref(), 50, bench.now()).await.unwrap();
        longest = longest.max(begun.elapsed());
        assert!(page.sessions.windows(2).all(|pair| pair[0].session.created_at > pair[1].session.created_at));
        seen.extend(page.sessions.iter().map(|view| view.session.id));
        assert!(page.sessions.len() == 50 || page.next.is_none());
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 10_000);
    println!("the slowest of 200 pages took {longest:?}");
}
