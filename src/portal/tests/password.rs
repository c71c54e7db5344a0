//! The pages around passwords: where a login leads that waits for a new one, and what a form for one has to carry.

use http::StatusCode;

use super::journeys::{bench_that_asks, enrolled, give_password};
use super::{Answer, Browser, assert_protected};
use crate::authz::Policy;
use crate::service::actor::Actor;
use crate::service::cookies::CookieKind;
use crate::service::testing::{Bench, PASSWORD};
use crate::service::users::UserChange;

const NEW: &str = "Quiet-river-22";

async fn mark(bench: &Bench) {
    let change = UserChange { must_change: Some(true), ..UserChange::default() };
    bench.services.users.set("alice", change, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
}

/// Alice's login waits for a new password.
async fn due() -> Browser {
    let mut browser = Browser::with(bench_that_asks(|demand| demand.policy = Policy::Off));
    browser.bench.add("alice").await;
    mark(&browser.bench).await;
    assert_eq!(give_password(&mut browser, PASSWORD).await.location(), "/.sekisho/password");
    browser
}

fn below(answer: &Answer) -> &str {
    answer.location().split('?').next().unwrap_or_default()
}

#[tokio::test]
async fn f22_a_login_that_waits_for_a_new_password_leads_there_from_everywhere_and_opens_nothing_else() {
    let mut browser = due().await;
    for path in
        ["/second-factor", "/second-factor/recovery", "/enrol", "/enrol/recovery-codes", "/enrol/recovery-codes.txt"]
    {
        let answer = browser.get(&format!("/.sekisho{path}")).await;
        assert_eq!((answer.status, below(&answer)), (StatusCode::SEE_OTHER, "/.sekisho/password"), "{path}");
    }
    for path in ["", "/account", "/logout", "/welcome"] {
        assert_eq!(below(&browser.get(&format!("/.sekisho{path}")).await), "/.sekisho/login", "{path}");
    }
    let page = browser.get("/.sekisho/password").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_protected(&page);
    for form in [format!("new={NEW}&again={NEW}"), format!("new={NEW}&again={NEW}&csrf=x")] {
        let answer = browser.post("/.sekisho/password", &form).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(!answer.sets(CookieKind::Session));
    }
    let lines = [("origin", "https://evil.test"), ("sec-fetch-site", "cross-site")];
    let form = format!("new={NEW}&again={NEW}&csrf={}", page.csrf());
    assert_eq!(browser.post_with("/.sekisho/password", &lines, &form).await.status, StatusCode::FORBIDDEN);
    let answer = browser.post("/.sekisho/password", &form).await;
    assert_eq!((answer.location(), answer.sets(CookieKind::Session)), ("/orders", true));
}

#[tokio::test]
async fn somebody_signed_in_changes_their_own_and_goes_on_with_a_new_value() {
    let (mut browser, _) = enrolled(Bench::new(|_| {})).await;
    let page = browser.get("/.sekisho/password").await;
    assert_protected(&page);
    // The first form on the page is the one to log out.
    let (_, form) = page.body.split_once("action=\"/.sekisho/password\"").unwrap();
    let (_, rest) = form.split_once("name=\"csrf\" value=\"").unwrap();
    let token = rest.split('"').next().unwrap();
    let before = browser.cookies.session.clone().unwrap();
    let body = format!("current={PASSWORD}&new={NEW}&again={NEW}");
    assert_eq!(browser.post("/.sekisho/password", &body).await.status, StatusCode::FORBIDDEN, "no token");
    let answer = browser.post("/.sekisho/password", &format!("{body}&csrf={token}")).await;
    assert_eq!(answer.location(), "/.sekisho/account?done=password");
    assert!(!browser.bench.passes(&before).await);
    assert_eq!(browser.get("/.sekisho/account?done=password").await.status, StatusCode::OK);
}

#[tokio::test]
async fn asking_for_a_link_takes_a_form_of_ours_and_says_the_same_to_all() {
    let (bench, _mailbox) = Bench::with_mail(|_| {}).await;
    bench.add_with_mail("alice", crate::authn::user::Method::Totp).await;
    let mut browser = Browser::with(bench);
    let page = browser.get("/.sekisho/password/forgot").await;
    assert_protected(&page);
    assert_eq!(browser.post("/.sekisho/password/forgot", "who=alice").await.status, StatusCode::FORBIDDEN);
    let mut said = Vec::new();
    for who in ["alice", "nobody", "alice%40example.com"] {
        let answer = browser.post("/.sekisho/password/forgot", &format!("who={who}&csrf={}", page.csrf())).await;
        assert!(!answer.sets(CookieKind::Reset));
        said.push((answer.status, answer.location().to_owned(), answer.body));
    }
    assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
    let none = browser.post("/.sekisho/password/forgot", &format!("who=+&csrf={}", page.csrf())).await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
}
