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

/// Accounts that differ in everything one can ask for, put straight into the store.
async fn company(bench: &Bench) {
    use crate::authn::user::{SecondFactor, StoredPassword, TotpEnrolment};
    let sealed = crate::secret::Sealed::try_from("AAAA".to_owned()).unwrap();
    let account = |number: u8, login: &str, name: &str| User {
        id: UserId::from_bytes([number; 10]),
        login: login.parse().unwrap(),
        name: name.parse().unwrap(),
        email: Some(format!("{login}@example.com").parse().unwrap()),
        groups: BTreeSet::new(),
        role: Role::User,
        password: Some(StoredPassword { hash: String::new(), changed_at: bench.now(), must_change: false }),
        disabled: false,
        second_factor: SecondFactor { switched_on: true, method: Method::Totp, totp: None, recovery: None },
        epoch: 0,
        registered_at: Timestamp::from_secs(1_790_000_000 + u64::from(number)),
        last_login: Some(Timestamp::from_secs(1_795_000_000 - u64::from(number) * 86_400)),
    };
    let app = || Some(TotpEnrolment { key: sealed.clone(), last_step: 0, enrolled_at: bench.now() });
    let groups = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    let mut hanako = account(1, "hanako", "山田　花子");
    (hanako.role, hanako.groups, hanako.second_factor.totp) = (Role::Admin, groups(&["ops"]), app());
    let mut taro = account(2, "taro", "ﾔﾏﾀﾞ ﾀﾛｳ");
    (taro.second_factor.method, taro.groups) = (Method::Mail, groups(&["ops", "shop"]));
    let mut kim = account(3, "kim", "KIM Lee");
    (kim.disabled, kim.second_factor.switched_on, kim.email) = (true, false, None);
    let mut new = account(4, "newcomer", "");
    (new.last_login, new.role) = (None, Role::Viewer);
    for user in [hanako, taro, kim, new] {
        let change = crate::store::record::Change::new().put(&user.id.to_string(), &user);
        bench.store.commit(change).await.unwrap();
    }
}

#[tokio::test]
async fn f24_every_filter_keeps_those_who_match_and_nobody_else() {
    let bench = Bench::new(|_| {});
    company(&bench).await;
    let day = |days: u64| Some(Timestamp::from_secs(1_795_000_000 - days * 86_400));
    let none = Filter::default;
    let text = |text: &str| Filter { text: text.to_owned(), ..none() };
    let id = UserId::from_bytes([2; 10]).to_string();
    for (filter, expected) in [
        (none(), vec!["hanako", "kim", "newcomer", "taro"]),
        (text("HANAKO"), vec!["hanako"]),
        (text("  kim  LEE "), vec!["kim"]),
        (text("lee kim"), vec!["kim"]),
        (text("山田 花子"), vec!["hanako"]),
        (text("花子　山田"), vec!["hanako"]),
        (text("ヤマダ"), vec!["taro"]),
        (text("ﾀﾛｳ"), vec!["taro"]),
        (text("ｔａｒｏ＠example"), vec!["taro"]),
        (text("kim hanako"), vec![]),
        (text(&id), vec!["taro"]),
        (text(&id.to_uppercase()), vec!["taro"]),
        (text(id.get(..4).unwrap()), vec!["taro"]),
        (text(id.get(..3).unwrap()), vec![]),
        (text(&format!("{id}0")), vec![]),
        (Filter { role: Some(Role::Admin), ..none() }, vec!["hanako"]),
        (Filter { group: Some("ops".parse().unwrap()), ..none() }, vec!["hanako", "taro"]),
        (Filter { group: Some("op".parse().unwrap()), ..none() }, vec![]),
        (Filter { switched_on: Some(false), ..none() }, vec!["kim"]),
        (Filter { switched_on: Some(true), ..none() }, vec!["hanako", "newcomer", "taro"]),
        (Filter { enrolled: Some(true), ..none() }, vec!["hanako", "taro"]),
        (Filter { enrolled: Some(false), ..none() }, vec!["kim", "newcomer"]),
        (Filter { method: Some(Method::Mail), ..none() }, vec!["taro"]),
        (Filter { state: Some(State::Disabled), ..none() }, vec!["kim"]),
        (Filter { state: Some(State::Active), ..none() }, vec!["hanako", "newcomer", "taro"]),
        (Filter { state: Some(State::Locked), ..none() }, vec![]),
        (Filter { last_login: Some(LastLogin::Never), ..none() }, vec!["newcomer"]),
        (
            Filter { last_login: Some(LastLogin::Within { from: day(2), before: None }), ..none() },
            vec!["hanako", "taro"],
        ),
        (Filter { last_login: Some(LastLogin::Within { from: None, before: day(2) }), ..none() }, vec!["kim"]),
        (Filter { last_login: Some(LastLogin::Within { from: day(2), before: day(1) }), ..none() }, vec!["taro"]),
        (Filter { group: Some("ops".parse().unwrap()), method: Some(Method::Mail), ..text("t") }, vec!["taro"]),
    ] {
        assert_eq!(logins(&bench, filter.clone()).await, expected, "{filter:?}");
    }
    let counts = bench.services.directory.counts(bench.now()).await.unwrap();
    let expected = Counts { accounts: 4, switched_on: 3, enrolled: 2, locked: 0, disabled: 1, unused: 1, admins: 1 };
    assert_eq!(counts, expected);
}

#[tokio::test]
async fn f24_every_column_sorts_both_ways() {
    let bench = Bench::new(|_| {});
    company(&bench).await;
    for (column, expected) in [
        (Column::Id, ["hanako", "taro", "kim", "newcomer"]),
        (Column::Login, ["hanako", "kim", "newcomer", "taro"]),
        // Nothing first; then as folded: Latin, katakana, kanji.
        (Column::Name, ["newcomer", "kim", "taro", "hanako"]),
        (Column::Email, ["kim", "hanako", "newcomer", "taro"]),
        (Column::Role, ["kim", "taro", "newcomer", "hanako"]),
        (Column::Groups, ["kim", "newcomer", "hanako", "taro"]),
        (Column::SecondFactor, ["kim", "newcomer", "hanako", "taro"]),
        (Column::LastLogin, ["newcomer", "kim", "taro", "hanako"]),
        (Column::Registered, ["hanako", "taro", "kim", "newcomer"]),
        (Column::State, ["hanako", "newcomer", "taro", "kim"]),
    ] {
        for descending in [false, true] {
            let query = Query { sort: Sort { column, descending }, ..query(Filter::default()) };
            let page = bench.services.directory.query(&query, bench.now()).await.unwrap();
            let got: Vec<&str> = page.rows.iter().map(|row| row.login.as_str()).collect();
            if descending {
                // Equal ones stand by login either way.
                assert_eq!((got.len(), got[0]), (4, descending_first(column)), "{column:?}");
            } else {
                assert_eq!(got, expected, "{column:?}");
            }
        }
    }
}

fn descending_first(column: Column) -> &'static str {
    match column {
        Column::Id | Column::Registered => "newcomer",
        Column::Login | Column::Email | Column::Groups | Column::SecondFactor => "taro",
        Column::Name | Column::Role | Column::LastLogin => "hanako",
        Column::State => "kim",
    }
}

/// With many equal keys every account stands on exactly one page, in the same order however the pages are cut.
#[tokio::test]
async fn f24_pages_are_stable_where_keys_are_equal() {
    let bench = Bench::new(|_| {});
    let mut change = crate::store::record::Change::new();
    let template = bench.add("template").await.user;
    for number in 0..237_u8 {
        let mut user = template.clone();
        user.id = UserId::from_bytes([number.wrapping_mul(83), number, 0, 0, 0, 0, 0, 0, 0, 0]);
        user.login = format!("u{:03}", number.wrapping_mul(29)).parse().unwrap();
        user.role = if number % 3 == 0 { Role::Viewer } else { Role::User };
        change = change.put(&user.id.to_string(), &user);
    }
    bench.store.commit(change).await.unwrap();
    for column in [Column::Id, Column::Role, Column::Name, Column::LastLogin, Column::State] {
        for descending in [false, true] {
            let sort = Sort { column, descending };
            let whole = Query { sort, per_page: usize::MAX, ..query(Filter::default()) };
            let whole = bench.services.directory.ids(&whole, bench.now()).await.unwrap();
            assert_eq!(whole.len(), 238);
            for per_page in [1, 7, 50, 237, 238, 500] {
                let mut paged = Vec::new();
                for page in 0..238_usize.div_ceil(per_page) {
                    let query = Query { sort, page, per_page, ..query(Filter::default()) };
                    let found = bench.services.directory.query(&query, bench.now()).await.unwrap();
                    assert_eq!((found.total, found.page), (238, page));
                    paged.extend(found.rows.iter().map(|row| row.id));
                }
                assert_eq!(paged, whole, "{column:?} {descending} by {per_page}");
            }
        }
    }
}
