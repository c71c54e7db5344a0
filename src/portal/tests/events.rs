//! Events and everybody's sessions, as a viewer and a manager look at them.

use std::time::Duration;

use http::StatusCode;

use super::journeys::enrolled_as;
use super::{Answer, Browser};
use crate::authn::user::Role;
use crate::service::testing::{self, Bench, PASSWORD};

const EVENTS: &str = "/.sekisho/admin/audit";
const SESSIONS: &str = "/.sekisho/admin/sessions";

/// alice, who looks, and bob, who has signed in and tried to.
async fn office(role: Role) -> (Browser, testing::Browser) {
    let bench = Bench::new(|_| {});
    bench.add("bob").await;
    let mut bob = testing::Browser::from("198.51.100.7");
    bob.password(&bench, "bob", "wrong").await;
    bob.enrol(&bench, "bob", false).await;
    bench.advance(Duration::from_secs(60));
    (enrolled_as(bench, role).await.0, bob)
}

/// How many events the page shows.
fn count(page: &Answer) -> usize {
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page.body.matches("<th scope=\"row\">").count()
}

fn link(page: &Answer, rel: &str) -> Option<String> {
    let (before, _) = page.body.split_once(&format!("\" rel=\"{rel}\">"))?;
    Some(before.rsplit_once("href=\"")?.1.replace("&amp;", "&"))
}

#[tokio::test]
async fn events_are_searched_by_the_address_of_the_page() {
    let (mut browser, _) = office(Role::Viewer).await;
    let all = count(&browser.get(EVENTS).await);
    assert!(all > 5);
    for (query, expected) in [
        ("?person=bob", 4),
        ("?person=%20BOB%20&event=login", 2),
        ("?event=login&result=failure", 1),
        ("?person=nobody", 0),
        ("?address=198.51.100.0/24", 3),
        ("?q=wrong+password", 1),
        ("?to=2000-01-01", 0),
        ("?from=2027-01-15&to=2027-01-15", all),
        ("?from=1d", all),
        ("?event=&result=&person=&x=y", all),
    ] {
        assert_eq!(count(&browser.get(&format!("{EVENTS}{query}")).await), expected, "{query}");
    }
    for (query, said) in [("?address=%3Cb%3E", "192.0.2.0/24"), ("?from=soon", "12h")] {
        let page = browser.get(&format!("{EVENTS}{query}")).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(page.body.contains("role=\"alert\"") && page.body.contains(said) && !page.body.contains("<b>"));
        let file = browser.get(&format!("{EVENTS}.jsonl{query}")).await;
        assert_eq!(file.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn pages_of_events_lead_to_each_other_and_the_file_has_them_all() {
    let (mut browser, _) = office(Role::Viewer).await;
    for index in 0..120 {
        browser.bench.advance(Duration::from_secs(1));
        let login = format!("nobody{index}");
        testing::Browser::default().password(&browser.bench, &login, PASSWORD).await;
    }
    let asked = format!("{EVENTS}?q=nobody");
    let first = browser.get(&asked).await;
    assert_eq!((count(&first), link(&first, "prev")), (50, None));
    let second = browser.get(&link(&first, "next").unwrap()).await;
    let third = browser.get(&link(&second, "next").unwrap()).await;
    assert_eq!((count(&second), count(&third), link(&third, "next")), (50, 20, None));
    assert!(first.body.contains("nobody119<") && third.body.contains(">nobody0<"));
    let back = browser.get(&link(&third, "prev").unwrap()).await;
    assert_eq!(count(&back), 50);
    assert!(back.body.contains("nobody20<") && back.body.contains("nobody69<"));
    let back = browser.get(&link(&back, "prev").unwrap()).await;
    assert!(back.body.contains("nobody119<") && back.body.contains("nobody70<"));
    let file = browser.get(&format!("{EVENTS}.jsonl?q=nobody")).await;
    assert!(file.header("content-disposition").starts_with("attachment; filename=\"events-2027-01-15.jsonl\""));
    let logins: Vec<String> = file
        .body
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["login"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(logins, (0..120).map(|index| format!("nobody{index}")).collect::<Vec<_>>());
    assert!(!file.body.contains(PASSWORD));
}

#[tokio::test]
async fn what_strangers_typed_is_text_on_the_page() {
    let (mut browser, _) = office(Role::Viewer).await;
    testing::Browser::default().password(&browser.bench, "<b>\u{202e}\"onx=", PASSWORD).await;
    let page = browser.get(&format!("{EVENTS}?event=login&result=failure")).await;
    assert!(page.body.contains(r"&lt;b&gt;\u{202e}&quot;onx=") && !page.body.contains('\u{202e}'), "{}", page.body);
}

#[tokio::test]
async fn a_manager_ends_a_session_and_a_viewer_does_not() {
    for (role, ends) in [(Role::Viewer, false), (Role::Manager, true), (Role::Admin, true)] {
        let (mut browser, bob) = office(role).await;
        let page = browser.get(&format!("{SESSIONS}?person=bob")).await;
        assert_eq!((count(&page), page.body.contains("name=\"session\"")), (1, ends));
        assert_eq!(count(&browser.get(&format!("{SESSIONS}?person=nobody")).await), 0);
        let all = browser.get(SESSIONS).await;
        assert_eq!((count(&all), link(&all, "next")), (2, None));
        // A viewer makes the form up, with a token that is good and the place of bob's session.
        let session = bob.visit(&browser.bench).await.session.unwrap();
        let record =
            browser.bench.services.sessions.list(Some(session.account().id), browser.bench.now()).await.unwrap();
        let place = crate::service::history::Cursor::of_session(&record[0].session);
        let csrf = csrf_of(&mut browser).await;
        let answer = browser.post(&format!("{SESSIONS}/end"), &format!("session={}&csrf={csrf}", place.as_str())).await;
        if ends {
            assert_eq!(answer.location(), format!("{SESSIONS}?done=ended"));
            let again = format!("session={}&csrf={csrf}", place.as_str());
            assert_eq!(browser.post(&format!("{SESSIONS}/end"), &again).await.status, StatusCode::NOT_FOUND);
        } else {
            assert_eq!(answer.status, StatusCode::FORBIDDEN);
        }
        assert_eq!(bob.visit(&browser.bench).await.session.is_none(), ends, "{role:?}");
        let ended = browser.get(&format!("{EVENTS}?person=bob&event=session_ended")).await;
        assert_eq!(count(&ended), usize::from(ends));
    }
}

/// A token for the form that ends sessions, whether the page shows one or not.
async fn csrf_of(browser: &mut Browser) -> String {
    let session = browser.cookies.session.clone().unwrap();
    browser.get(SESSIONS).await;
    let (keys, cookie) = (browser.bench.services.config.load().keys.clone(), browser.cookies.csrf.clone().unwrap());
    let form = super::super::csrf::Form::Own { form: "all-sessions", session: &session };
    super::super::csrf::token(&keys, &cookie, form).unwrap()
}
