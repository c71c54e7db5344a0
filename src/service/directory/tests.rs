use std::time::Duration;

use super::*;
use crate::service::actor::Actor;
use crate::service::testing::{Bench, new_user};
use crate::service::users::{NewUser, UserChange};

const PER_PAGE: usize = 50;

fn query(filter: Filter) -> Query {
    Query { filter, sort: Sort::default(), page: 0, per_page: PER_PAGE }
}

async fn logins(bench: &Bench, filter: Filter) -> Vec<String> {
    let page = bench.services.directory.query(&query(filter), bench.now()).await.unwrap();
    page.rows.into_iter().map(|row| row.login).collect()
}

/// What a manager has done stands in the very next answer: nothing is waited for, and no background work runs here.
#[tokio::test]
async fn f24_the_next_query_sees_every_change_of_this_process() {
    let bench = Bench::new(|_| {});
    let (directory, users) = (&bench.services.directory, &bench.services.users);
    assert_eq!(logins(&bench, Filter::default()).await, Vec::<String>::new());
    let alice = bench.add("alice").await.user;
    bench.add("bob").await;
    assert_eq!(logins(&bench, Filter::default()).await, ["alice", "bob"]);
    let renamed = UserChange { name: Some("Alice A.".parse().unwrap()), ..UserChange::default() };
    users.set("alice", renamed, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    users.set_disabled("bob", true, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    let rows = directory.query(&query(Filter::default()), bench.now()).await.unwrap().rows;
    assert_eq!((rows[0].name.as_str(), rows[1].disabled), ("Alice A.", true));
    users.delete("alice", &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    assert_eq!(logins(&bench, Filter::default()).await, ["bob"]);
    assert_eq!(directory.rows(&[alice.id, rows[1].id], bench.now()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn f24_a_lock_is_seen_while_it_lasts() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    assert_eq!(logins(&bench, Filter { state: Some(State::Active), ..Filter::default() }).await, ["alice"]);
    for _ in 0..5 {
        crate::service::testing::Browser::default().password(&bench, "alice", "wrong").await;
    }
    let locked = Filter { state: Some(State::Locked), ..Filter::default() };
    assert_eq!(logins(&bench, locked.clone()).await, ["alice"]);
    assert_eq!(bench.services.directory.counts(bench.now()).await.unwrap().locked, 1);
    bench.advance(Duration::from_secs(15 * 60));
    assert_eq!(logins(&bench, locked).await, Vec::<String>::new());
}

/// Changes that nobody takes in for so long that the store forgets them are no reason to show an old list.
#[tokio::test]
async fn after_too_many_changes_everything_is_read_anew() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    assert_eq!(logins(&bench, Filter::default()).await, ["alice"]);
    let mut user = bench.services.users.show("alice", bench.now()).await.unwrap().unwrap().user;
    bench.services.users.delete("alice", &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    user.login = "carol".parse().unwrap();
    user.id = UserId::from_bytes([7; 10]);
    for _ in 0..10_000 {
        let change = crate::store::record::Change::new().put(&user.id.to_string(), &user).lazy();
        bench.store.commit(change).await.unwrap();
    }
    assert_eq!(logins(&bench, Filter::default()).await, ["carol"]);
}

#[tokio::test]
async fn groups_that_nobody_is_in_any_more_are_forgotten() {
    let bench = Bench::new(|_| {});
    let groups = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<BTreeSet<Group>>();
    let new = NewUser { groups: groups(&["ops", "shop"]), ..new_user("alice") };
    bench.services.users.add(new, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    let known = async || bench.services.directory.query(&query(Filter::default()), bench.now()).await.unwrap().groups;
    assert_eq!(known().await, groups(&["ops", "shop"]));
    let change = UserChange { groups: Some(groups(&["shop"])), ..UserChange::default() };
    bench.services.users.set("alice", change, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    assert_eq!(known().await, groups(&["shop"]));
}

/// The figure on the overview leads to the list of exactly these.
#[tokio::test]
async fn the_unused_accounts_that_are_counted_are_those_that_are_listed() {
    let bench = Bench::new(|_| {});
    bench.add("old").await;
    bench.add("gone").await;
    bench.add("used").await;
    bench.services.users.set_disabled("gone", true, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    bench.advance(Duration::from_secs(90 * 24 * 3600));
    crate::service::testing::Browser::default().enrol(&bench, "used", false).await;
    bench.advance(Duration::from_secs(1));
    bench.add("new").await;
    assert_eq!(bench.services.directory.counts(bench.now()).await.unwrap().unused, 1);
    let unused = Filter { last_login: Some(LastLogin::Unused), ..Filter::default() };
    assert_eq!(logins(&bench, unused).await, ["old"]);
}
