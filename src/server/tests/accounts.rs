//! How long the list of accounts takes where there are many (F24): through the service, and as a whole page over a socket.
//!
//! The full measurement is run by hand, on a machine that has nothing else to do:
//! `cargo test --profile demo --lib server::tests::accounts -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use super::bench::{Answer, Gate, OK, Upstream, user};
use crate::authn::user::{Method, Role, User};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::service::directory::{Column, Filter, Query, Sort};
use crate::store::record::{Change, Store};

const FAMILIES: [&str; 8] = ["佐藤", "鈴木", "高橋", "田中", "Wilson", "山田", "Nguyen", "渡辺"];
const GIVEN: [&str; 7] = ["花子", "太郎", "Mary", "健", "さくら", "Lee", "大輔"];
const GROUPS: [&str; 5] = ["ops", "support", "shop", "finance", "受注担当"];

/// How often each thing is measured; the middle of them counts.
const ROUNDS: usize = 21;

/// The accounts from number `from` on, as a company with many of them has them.
async fn fill(store: &Store, from: usize, to: usize) {
    for first in (from..to).step_by(500) {
        let mut change = Change::new().lazy();
        for number in first..(first + 500).min(to) {
            let account = account(number);
            change = change.put(&account.id.to_string(), &account);
        }
        store.commit(change).await.unwrap();
    }
    store.durable().await.unwrap();
}

fn account(number: usize) -> User {
    let (family, given) = (FAMILIES[number % 8], GIVEN[number / 8 % 7]);
    let mut account = user(&format!("user.{number:06}"));
    account.name = format!("{family} {given}").parse().unwrap();
    account.email = Some(format!("user.{number:06}@shop{}.example.com", number % 10).parse().unwrap());
    account.groups = GROUPS.iter().take(number % 4).map(|group| group.parse().unwrap()).collect();
    account.role = if number.is_multiple_of(1000) { Role::Manager } else { Role::User };
    account.second_factor.switched_on = !number.is_multiple_of(3);
    account.second_factor.method = if number.is_multiple_of(5) { Method::Mail } else { Method::Totp };
    account.registered_at = Timestamp::from_secs(1_700_000_000 + number as u64);
    // In no order that the number gives.
    let last_login = 1_750_000_000 + (number as u64).wrapping_mul(7_919) % 40_000_000;
    account.last_login = (!number.is_multiple_of(11)).then(|| Timestamp::from_secs(last_login));
    account
}

fn queries() -> Vec<(&'static str, &'static str, Query)> {
    let query = |text: &str, column, descending, page| Query {
        filter: Filter { text: text.to_owned(), ..Filter::default() },
        sort: Sort { column, descending },
        page,
        per_page: 50,
    };
    let off = Filter { switched_on: Some(false), method: Some(Method::Mail), ..Filter::default() };
    vec![
        ("the first page", "", query("", Column::Login, false, 0)),
        ("the last page", "page=99999", query("", Column::Login, false, usize::MAX)),
        ("by name", "sort=name", query("", Column::Name, false, 0)),
        ("by last login, newest first", "sort=-last-login", query("", Column::LastLogin, true, 0)),
        ("by groups", "sort=groups", query("", Column::Groups, false, 0)),
        ("search that few match", "q=user.0421", query("user.0421", Column::Login, false, 0)),
        ("search that many match", "q=%E4%BD%90%E8%97%A4", query("佐藤", Column::Login, false, 0)),
        ("search that nobody matches", "q=xyzzy+plugh", query("xyzzy plugh", Column::Login, false, 0)),
        (
            "narrowed, by mail address",
            "second-factor=off&method=mail&sort=-email",
            Query { filter: off, ..query("", Column::Email, true, 0) },
        ),
    ]
}

/// The middle of several rounds.
async fn middle<F: Future<Output = ()>>(mut work: impl FnMut() -> F) -> Duration {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        work().await;
        times.push(start.elapsed());
    }
    times.sort();
    times[ROUNDS / 2]
}

async fn through_the_service(gate: &Gate, query: &Query) -> Duration {
    middle(|| async {
        gate.services().directory.query(query, SystemClock.now()).await.unwrap();
    })
    .await
}

async fn as_a_page(gate: &Gate, cookie: &str, query: &str) -> Duration {
    let request = format!("GET /.sekisho/admin/users?{query} HTTP/1.1\r\nHost: app.test\r\nCookie: {cookie}\r\n\r\n");
    middle(|| async {
        let answer = gate.ask(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("</html>"), "{answer}");
    })
    .await
}

/// What this process holds in memory, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn ratio(time: Duration, baseline: Duration) -> f64 {
    time.as_secs_f64() / baseline.as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn f24_the_list_of_100_000_accounts() {
    let up = Upstream::start(Answer::Bytes(OK)).await;
    let gate = Gate::start(&up, "").await;
    let cookie = gate.sign_in_to_manage("manager", Role::Manager).await;
    fill(gate.store(), 0, 50).await;
    let few: Vec<Duration> = {
        let mut few = Vec::new();
        for (_, address, _) in queries() {
            few.push(as_a_page(&gate, &cookie, address).await);
        }
        few
    };
    fill(gate.store(), 50, 100_000).await;
    // What writing them has left behind is not the index's.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = resident();
    let start = Instant::now();
    let fresh = crate::service::directory::Directory::measured(gate.store().clone(), gate.services().config.clone());
    fresh.counts(SystemClock.now()).await.unwrap();
    println!("read into memory in {:?}, {} KiB more", start.elapsed(), resident() - before);
    let scan = Instant::now();
    gate.services().users.list(SystemClock.now()).await.unwrap();
    println!("all of them from the store: {:?}", scan.elapsed());
    println!("{:30} {:>12} {:>12} {:>22}", "", "service", "page", "page with 51 accounts");
    for ((name, address, query), few) in queries().into_iter().zip(few) {
        let service = through_the_service(&gate, &query).await;
        let page = as_a_page(&gate, &cookie, address).await;
        println!("{name:30} {service:>12.2?} {page:>12.2?} {few:>12.2?} (× {:.1})", ratio(page, few));
        assert!(page < Duration::from_millis(100) || cfg!(debug_assertions), "{name}: {page:?}");
    }
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f24_an_export_is_sent_piece_by_piece_and_whole() {
    let up = Upstream::start(Answer::Bytes(OK)).await;
    let gate = Gate::start(&up, "").await;
    let cookie = gate.sign_in_to_manage("manager", Role::Viewer).await;
    fill(gate.store(), 0, 1200).await;
    let lines = format!("/.sekisho/admin/users.csv HTTP/1.1\r\nHost: app.test\r\nCookie: {cookie}\r\n\r\n");
    let answer = gate.ask(format!("GET {lines}").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("Transfer-Encoding: chunked\r\n"), "{answer}");
    assert!((0..1200).all(|number| answer.contains(&format!(",user.{number:06},"))));
    assert!(answer.contains(",manager,"));
    let head = gate.ask(format!("HEAD {lines}").as_bytes()).await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    gate.stop().await;
}

/// The bound is a ratio to what is measured in the same run, with room for a machine that has other things to do: that a page
/// costs what it shows, not what there is, and far less than reading every account.
#[tokio::test(flavor = "multi_thread")]
async fn f24_a_page_of_5000_accounts_costs_little_more_than_one_of_fifty() {
    let up = Upstream::start(Answer::Bytes(OK)).await;
    let gate = Gate::start(&up, "").await;
    let cookie = gate.sign_in_to_manage("manager", Role::Manager).await;
    fill(gate.store(), 0, 50).await;
    let few = as_a_page(&gate, &cookie, "sort=name").await;
    fill(gate.store(), 50, 5000).await;
    let (page, found) = (as_a_page(&gate, &cookie, "sort=name").await, as_a_page(&gate, &cookie, "q=user.0042").await);
    let start = Instant::now();
    gate.services().users.list(SystemClock.now()).await.unwrap();
    let scan = start.elapsed();
    println!("{few:?} with 51 accounts; {page:?}, searched {found:?} with 5001; all read {scan:?}");
    assert!(ratio(page, few) < 10.0 && ratio(found, few) < 10.0, "{page:?} and {found:?} against {few:?}");
    assert!(page < scan && found < scan, "{page:?} and {found:?} against {scan:?}");
    gate.stop().await;
}
