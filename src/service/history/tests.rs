use std::future::poll_fn;
use std::ops::Bound;
use std::task::Poll;

use super::*;
use crate::audit::Event;
use crate::authn::session::Origin;
use crate::id::UserId;
use crate::service::actor::Actor;
use crate::service::events::{self, By};
use crate::service::testing::{Bench, Browser, PASSWORD};
use crate::store::record::Change;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Keeps an event that happened at this moment.
async fn keep(bench: &Bench, at: Timestamp, kind: Kind, user: Option<UserId>, login: &str, from: &str) -> Event {
    let client = Origin { address: from.to_owned(), user_agent: "Test/1".to_owned() };
    let event = events::success(kind, at, user, login, By::Oneself(client)).unwrap();
    bench.store.commit(events::with(Change::new(), std::slice::from_ref(&event))).await.unwrap();
    event
}

async fn search(bench: &Bench, filter: &Filter, seek: &Seek, limit: usize) -> Page {
    bench.services.history.search(filter, seek, limit, bench.now()).await.unwrap()
}

/// The logins of what is found, oldest first.
async fn found(bench: &Bench, filter: Filter) -> Vec<String> {
    let page = search(bench, &filter, &Seek::Oldest, 100).await;
    let back = search(bench, &filter, &Seek::Newest, 100).await;
    let ids = |page: &Page| page.events.iter().map(|event| event.id).collect::<Vec<_>>();
    assert_eq!(ids(&page), ids(&back).into_iter().rev().collect::<Vec<_>>(), "{filter:?}");
    page.events.into_iter().map(|event| event.login).collect()
}

#[tokio::test]
async fn each_filter_finds_what_it_names_and_nothing_else() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user.id;
    let begun = bench.now();
    let at = |minutes: u64| begun.plus(Duration::from_secs(minutes * 60));
    keep(&bench, at(1), Kind::Login, Some(alice), "alice", "192.0.2.7").await;
    keep(&bench, at(2), Kind::Logout, Some(alice), "alice", "2001:db8::7").await;
    let nobody = events::failure(
        Kind::Login,
        at(3),
        None,
        "Mallory",
        By::Oneself(Origin { address: "::ffff:198.51.100.9".to_owned(), user_agent: "curl/8".to_owned() }),
    );
    let nobody = events::detailed(nobody.unwrap(), "no such account");
    bench.store.commit(events::with(Change::new(), &[nobody])).await.unwrap();
    bench.advance(DAY);
    let filter = Filter::default;
    let person = |person: &str| Filter { person: Some(person.to_owned()), ..filter() };
    let text = |text: &str| Filter { text: Some(text.to_owned()), ..filter() };
    let address = |text: &str| Filter { address: Some(text.parse().unwrap()), ..filter() };
    let all = ["alice", "alice", "alice", "Mallory"];
    for (filter, expected) in [
        (filter(), all.as_slice()),
        (person("alice"), &all[..3]),
        (person(" Alice "), &all[..3]),
        (person(&alice.to_string()), &all[..3]),
        (person("mallory"), &all[3..]),
        (person("nobody"), &[]),
        (Filter { kind: Some(Kind::Login), ..filter() }, &["alice", "Mallory"]),
        (Filter { result: Some(Outcome::Failure), ..filter() }, &["Mallory"]),
        (Filter { since: Some(at(2)), ..filter() }, &["alice", "Mallory"]),
        (Filter { until: Some(at(1)), ..filter() }, &["alice", "alice"]),
        (Filter { since: Some(at(1)), until: Some(at(2)), ..filter() }, &["alice", "alice"]),
        (Filter { since: Some(at(1)), until: Some(at(2)), ..person("alice") }, &["alice", "alice"]),
        (Filter { since: Some(at(4)), ..filter() }, &[]),
        (address("192.0.2.7"), &["alice"]),
        (address("192.0.2.0/24"), &["alice"]),
        (address("2001:db8::/32"), &["alice"]),
        (address("198.51.100.9"), &["Mallory"]),
        (text("CURL"), &["Mallory"]),
        (text("such account"), &["Mallory"]),
        (text("test/1"), &["alice", "alice"]),
    ] {
        assert_eq!(found(&bench, filter.clone()).await, expected, "{filter:?}");
    }
    assert!("192.0.2".parse::<Network>().is_err());
}

#[tokio::test]
async fn events_by_a_person_are_found_as_those_about_one() {
    let bench = Bench::new(|_| {});
    let root = bench.add_as("root", crate::authn::user::Role::Admin).await.user;
    let mut browser = Browser::default();
    browser.enrol(&bench, "root", false).await;
    bench.add("alice").await;
    let actor = Actor::of(&browser.visit(&bench).await, Some("Test/2")).unwrap();
    bench.advance(Duration::from_secs(1));
    bench.services.users.set_disabled("alice", true, &actor, bench.now()).await.unwrap().unwrap();
    let of_root = bench.services.history.of_user(root.id, 1, bench.now()).await.unwrap();
    let [event] = of_root.as_slice() else { panic!("{of_root:?}") };
    assert_eq!((event.login.as_str(), event.actor.as_deref(), event.actor_id), ("alice", Some("root"), Some(root.id)));
    assert_eq!(
        (event.client.user_agent.as_str(), event.session.clone()),
        ("Test/2", Some(SessionMark::of(browser.visit(&bench).await.session.unwrap().id())))
    );
    let alice = bench.services.users.show("alice", bench.now()).await.unwrap().unwrap().user.id;
    let of_alice = bench.services.history.of_user(alice, 10, bench.now()).await.unwrap();
    assert_eq!(of_alice[0].id, event.id);
}

#[tokio::test]
async fn pages_follow_each_other_both_ways_and_leave_nothing_out() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user.id;
    let begun = bench.now();
    for index in 0..700_u64 {
        let login = if index % 2 == 0 { "alice" } else { "bob" };
        let user = Some(alice).filter(|_| index % 2 == 0);
        keep(&bench, begun.plus(Duration::from_secs(index / 3)), Kind::Login, user, login, "192.0.2.1").await;
    }
    for person in [None, Some("alice".to_owned())] {
        let filter = Filter { kind: Some(Kind::Login), person, ..Filter::default() };
        let (mut backwards, mut seek) = (Vec::new(), Seek::Newest);
        loop {
            let page = search(&bench, &filter, &seek, 60).await;
            backwards.extend(page.events.iter().map(|event| event.id));
            let Some(next) = page.next else { break };
            assert_eq!(page.events.len(), 60);
            assert_eq!(Cursor::parse(next.as_str()), Some(next.clone()));
            seek = Seek::OlderThan(next);
        }
        let (mut forwards, mut seek) = (Vec::new(), Seek::Oldest);
        loop {
            let page = search(&bench, &filter, &seek, 70).await;
            forwards.extend(page.events.iter().map(|event| event.id));
            let Some(next) = page.next else { break };
            seek = Seek::NewerThan(next);
        }
        assert_eq!(forwards.len(), if filter.person.is_some() { 350 } else { 700 });
        backwards.reverse();
        assert_eq!(backwards, forwards);
    }
}

#[tokio::test]
async fn a_search_that_finds_nothing_for_long_says_how_far_it_came() {
    let bench = Bench::new(|_| {});
    let mut change = Change::new();
    for index in 0..LOOKED_AT as u64 + 600 {
        let at = bench.now().plus(Duration::from_millis(index));
        let client = Origin::default();
        change = events::with(change, &[events::success(Kind::Login, at, None, "a", By::Oneself(client)).unwrap()]);
        if index % 1000 == 999 {
            bench.store.commit(std::mem::replace(&mut change, Change::new())).await.unwrap();
        }
    }
    bench.store.commit(change).await.unwrap();
    let filter = Filter { text: Some("not there".to_owned()), ..Filter::default() };
    let page = search(&bench, &filter, &Seek::Newest, 10).await;
    assert!(page.events.is_empty());
    let next = page.next.unwrap();
    assert!(next.at() < bench.now().plus(Duration::from_millis(601)));
    assert!(search(&bench, &filter, &Seek::OlderThan(next), 10).await.next.is_none());
}

#[tokio::test]
async fn what_is_no_place_is_none() {
    for text in [
        "",
        "0",
        "0001800000015000-",
        "0001800000015000-0000000000000000x",
        "../user/1",
        "x001800000015000-0000000000000000",
    ] {
        assert_eq!(Cursor::parse(text), None, "{text}");
    }
}

#[tokio::test]
async fn each_day_has_its_sign_ins_and_failures() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let history = &bench.services.history;
    let counts = async || {
        let days = history.days(3, bench.now()).await.unwrap();
        assert!(days.windows(2).all(|pair| pair[1].begins.since(pair[0].begins) == DAY));
        days.iter().map(|day| (day.sign_ins, day.failures)).collect::<Vec<_>>()
    };
    assert_eq!(counts().await, [(0, 0); 3]);
    Browser::default().password(&bench, "alice", "wrong").await;
    Browser::default().enrol(&bench, "alice", false).await;
    assert_eq!(counts().await, [(0, 0), (0, 0), (1, 1)]);
    bench.advance(DAY);
    Browser::default().password(&bench, "alice", "wrong").await;
    assert_eq!(counts().await, [(0, 0), (1, 1), (0, 1)]);
    // Committed late, and counted all the same.
    let earlier = Timestamp::from_millis(bench.now().millis() - 60_000);
    keep(&bench, earlier, Kind::Login, None, "alice", "").await;
    assert_eq!(counts().await, [(0, 0), (1, 1), (1, 1)]);
    bench.advance(DAY);
    assert_eq!(counts().await, [(1, 1), (1, 1), (0, 0)]);
    assert_eq!(history.days(1000, bench.now()).await.unwrap().len(), 90);
}

#[tokio::test]
async fn a_count_that_its_reader_left_goes_on_where_it_was() {
    let bench = Bench::new(|_| {});
    for chunk in 0..10 {
        let mut change = Change::new();
        for index in 0..1000 {
            let at = bench.now().plus(Duration::from_millis(chunk * 1000 + index));
            let by = By::Oneself(Origin::default());
            change = events::with(change, &[events::success(Kind::Login, at, None, "a", by).unwrap()]);
        }
        bench.store.commit(change).await.unwrap();
    }
    bench.advance(DAY);
    let now = bench.now();
    let mut readers = 1;
    // Each is gone after a few looks.
    let days = loop {
        let mut reading = Box::pin(bench.services.history.days(2, now));
        let mut looks = 0;
        let seen = poll_fn(|context| {
            looks += 1;
            match reading.as_mut().poll(context) {
                Poll::Pending if looks == 4 => Poll::Ready(None),
                seen => seen.map(Some),
            }
        });
        if let Some(days) = seen.await {
            break days.unwrap();
        }
        readers += 1;
        assert!(readers < 20, "none of them gets anywhere");
    };
    assert!(readers > 1, "one was enough");
    assert_eq!(days.iter().map(|day| day.sign_ins).sum::<u64>(), 10_000);
}

#[tokio::test]
async fn who_follows_sees_a_login() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let place = bench.services.history.place();
    let following = tokio::spawn({
        let services = bench.services.clone();
        async move { services.history.follow(place, Duration::from_secs(30)).await }
    });
    Browser::default().password(&bench, "alice", "wrong").await;
    let followed = following.await.unwrap();
    assert_eq!((followed.events[0].kind, followed.events[0].result), (Kind::Login, Outcome::Failure));
    let nothing = bench.services.history.follow(followed.place, Duration::from_millis(1)).await;
    assert!(nothing.events.is_empty());
    assert!(!format!("{followed:?}").contains(PASSWORD));
}

#[tokio::test]
async fn what_is_too_old_goes_with_its_place_in_every_index() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user.id;
    Browser::default().password(&bench, "alice", "wrong").await;
    let retain = bench.services.config.load().audit.retain;
    bench.advance(retain + Duration::from_secs(1));
    let newer = keep(&bench, bench.now(), Kind::Login, Some(alice), "alice", "").await;
    crate::service::background::forget_events(&bench.services.context, bench.now()).await.unwrap();
    let events = bench.store.list::<Event>("", Bound::Unbounded, 10, bench.now()).await.unwrap();
    let index = bench.store.list::<EventIndex>("", Bound::Unbounded, 10, bench.now()).await.unwrap();
    assert_eq!(events.iter().map(|event| event.record.id).collect::<Vec<_>>(), [newer.id]);
    assert_eq!(index.len(), 1);
    assert_eq!(bench.services.history.of_user(alice, 10, bench.now()).await.unwrap().len(), 1);
}
