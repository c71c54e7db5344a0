//! One's own settings as people meet them (F4, F5, F7, F29): what asks for the password and the code again, what is not theirs to
//! touch, and the words of it.

use std::time::Duration;

use http::StatusCode;

use super::journeys::{App, another, bench_that_asks, enrolled, give_password, saved};
use super::{Answer, Browser};
use crate::authz::Policy;
use crate::service::actor::Actor;
use crate::service::cookies::CookieKind;
use crate::service::testing::{Bench, PASSWORD};

const MINUTE: Duration = Duration::from_secs(60);

/// Posts the form of this page with its own token.
async fn post_from(browser: &mut Browser, page: &str, action: &str, fields: &str) -> Answer {
    // The first token of a page is that of the bar's "log out".
    let page = browser.get(page).await;
    let form = page.body.split("<main").nth(1).expect("a page with a frame").to_owned();
    let (_, rest) = form.split_once("name=\"csrf\" value=\"").expect("a form with a token");
    let token = rest.split('"').next().unwrap();
    browser.post(action, &format!("csrf={token}{fields}")).await
}

/// Gives what `/account/confirm` asks for, from the page that it was led to.
async fn confirm(browser: &mut Browser, app: &App, way: &str) -> Answer {
    let page = browser.get(way).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let back = way.split_once("return_to=").unwrap().1.to_owned();
    let fields = format!("&password={PASSWORD}&return_to={back}");
    let given = post_from(browser, way, "/.sekisho/account/confirm", &fields).await;
    assert!(given.sets(CookieKind::Session), "the session has a new value");
    let next = given.location().to_owned();
    let step_up = browser.get(&next).await;
    assert_eq!(step_up.location(), "/.sekisho/second-factor");
    let page = browser.get("/.sekisho/second-factor").await;
    assert!(!page.body.contains("name=\"remember\""), "whether to skip the code is not asked here");
    let form = format!("code={}&csrf={}", app.code(&browser.bench), page.csrf());
    browser.post("/.sekisho/second-factor", &form).await
}

#[tokio::test]
async fn f29_another_app_takes_the_password_and_the_code_again_and_leads_back() {
    let (mut browser, app) = enrolled(Bench::new(|_| {})).await;
    browser.bench.advance(6 * MINUTE);
    let page = "/.sekisho/account/second-factor";
    let asked = post_from(&mut browser, page, "/.sekisho/account/second-factor/app", "").await;
    let way = asked.location().to_owned();
    assert!(way.starts_with("/.sekisho/account/confirm?for=app&return_to="), "{way}");
    let back = confirm(&mut browser, &app, &way).await;
    assert_eq!(back.location(), "/.sekisho/account/second-factor?done=confirmed");
    let asked = post_from(&mut browser, page, "/.sekisho/account/second-factor/app", "").await;
    assert_eq!(asked.location(), "/.sekisho/enrol");
    let page = browser.get("/.sekisho/enrol").await;
    browser.bench.advance(Duration::from_secs(30));
    let form = format!("code={}&csrf={}", App::read(&page).code(&browser.bench), page.csrf());
    let shown = browser.post("/.sekisho/enrol", &form).await;
    assert_eq!(saved(&mut browser, shown).await.location(), "/.sekisho/account/second-factor");
    assert_eq!(browser.get("/.sekisho/account").await.status, StatusCode::OK);
}

#[tokio::test]
async fn nothing_that_changes_a_factor_is_done_without_giving_all_again() {
    let (mut browser, _) = enrolled(bench_that_asks(|demand| demand.policy = Policy::Required)).await;
    browser.bench.advance(6 * MINUTE);
    for (page, action, fields) in [("second-factor", "second-factor/app", ""), ("recovery-codes", "recovery-codes", "")]
    {
        let (page, action) = (format!("/.sekisho/account/{page}"), format!("/.sekisho/account/{action}"));
        let answer = post_from(&mut browser, &page, &action, fields).await;
        assert!(answer.location().starts_with("/.sekisho/account/confirm?"), "{action}: {}", answer.location());
    }
    let removed =
        post_from(&mut browser, "/.sekisho/account/second-factor", "/.sekisho/account/second-factor/remove", "").await;
    assert_eq!(removed.status, StatusCode::CONFLICT, "required, whoever asks");
    // The way back leads to one's own pages alone.
    let way = "/.sekisho/account/confirm?return_to=https://evil.test/";
    for way in [way, "/.sekisho/account/confirm?return_to=/orders", "/.sekisho/account/confirm?return_to=//evil.test"] {
        let page = browser.get(way).await;
        assert!(page.body.contains("name=\"return_to\" value=\"/.sekisho/account\""), "{}", page.body);
    }
    let wrong = post_from(&mut browser, way, "/.sekisho/account/confirm", "&password=wrong").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.body.contains("パスワードが違うか"), "{}", wrong.body);
}

#[tokio::test]
async fn changes_without_an_end_are_told_when_to_come_again() {
    let (mut browser, _) = enrolled(bench_that_asks(|demand| demand.policy = Policy::Required)).await;
    let page = "/.sekisho/account/recovery-codes";
    for _ in 0..5 {
        let renewed = post_from(&mut browser, page, page, "").await;
        assert_eq!(renewed.location(), "/.sekisho/enrol/recovery-codes");
    }
    let waits = post_from(&mut browser, page, page, "").await;
    assert_eq!((waits.status, waits.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "60"));
    assert!(waits.body.contains("1分"), "{}", waits.body);
}

#[tokio::test]
async fn f5_f4_where_it_is_optional_the_owner_sets_an_app_up_or_goes_on_without() {
    let mut browser = Browser::with(bench_that_asks(|demand| demand.policy = Policy::PerUser));
    browser.bench.add("alice").await;
    assert_eq!(give_password(&mut browser, PASSWORD).await.location(), "/orders");
    let (page, app) = ("/.sekisho/account/second-factor", "/.sekisho/account/second-factor/app");
    assert_eq!(post_from(&mut browser, page, app, "").await.location(), "/.sekisho/enrol");
    let enrol = browser.get("/.sekisho/enrol").await;
    let later = browser.post("/.sekisho/enrol/cancel", &format!("csrf={}", enrol.csrf())).await;
    assert_eq!(later.location(), page, "without breaking anything");
    post_from(&mut browser, page, app, "").await;
    let enrol = browser.get("/.sekisho/enrol").await;
    let key = App::read(&enrol);
    let form = format!("code={}&csrf={}", key.code(&browser.bench), enrol.csrf());
    let shown = browser.post("/.sekisho/enrol", &form).await;
    assert_eq!(saved(&mut browser, shown).await.location(), page);
    let mut elsewhere = another(browser);
    assert_eq!(give_password(&mut elsewhere, PASSWORD).await.location(), "/.sekisho/second-factor");
    // And gives it up again.
    elsewhere.bench.advance(MINUTE);
    let code = elsewhere.get("/.sekisho/second-factor").await;
    let form = format!("code={}&csrf={}", key.code(&elsewhere.bench), code.csrf());
    assert_eq!(elsewhere.post("/.sekisho/second-factor", &form).await.location(), "/orders");
    let removed = post_from(&mut elsewhere, page, "/.sekisho/account/second-factor/remove", "").await;
    assert_eq!(removed.location(), "/.sekisho/account/second-factor?done=removed");
    let mut again = another(elsewhere);
    assert_eq!(give_password(&mut again, PASSWORD).await.location(), "/orders");
}

#[tokio::test]
async fn f7_a_new_set_of_codes_is_shown_once_and_kept_as_a_file() {
    let (mut browser, _) = enrolled(Bench::new(|_| {})).await;
    let page = "/.sekisho/account/recovery-codes";
    assert!(browser.get(page).await.body.contains("残り10個"));
    let renewed = post_from(&mut browser, page, page, "").await;
    assert_eq!(renewed.location(), "/.sekisho/enrol/recovery-codes");
    let shown = browser.get("/.sekisho/enrol/recovery-codes").await;
    assert!(shown.body.contains("以前のコードは使えなくなりました"), "{}", shown.body);
    let file = browser.get("/.sekisho/enrol/recovery-codes.txt").await;
    assert!(file.header("content-disposition").contains("recovery-codes.txt"));
    assert_eq!(file.body.matches("[ ] ").count(), 10);
    assert_eq!(saved(&mut browser, renewed).await.location(), page);
    assert_eq!(browser.get("/.sekisho/enrol/recovery-codes").await.location(), "/", "never again");
}

#[tokio::test]
async fn f29_a_device_or_session_of_somebody_else_is_not_there() {
    let (mut alice, app) = enrolled(Bench::new(|_| {})).await;
    alice.bench.advance(MINUTE);
    // So that there is a form on each page.
    let mut there = crate::service::testing::Browser::default();
    there.password(&alice.bench, "alice", PASSWORD).await;
    there.code(&alice.bench, &app.code(&alice.bench), true).await;
    let bob = alice.bench.add("bob").await.user;
    let mut bobs = crate::service::testing::Browser::default();
    bobs.enrol(&alice.bench, "bob", true).await;
    let now = alice.bench.now();
    let device = alice.bench.services.devices.list(bob.id, now).await.unwrap().remove(0).device.id;
    let session = alice.bench.services.sessions.list(Some(bob.id), now).await.unwrap().remove(0).session.id;
    for (page, action, id) in [
        ("/.sekisho/account/devices", "/.sekisho/account/devices/forget", device.to_string()),
        ("/.sekisho/account/sessions", "/.sekisho/account/sessions/end", session.to_string()),
        ("/.sekisho/account/devices", "/.sekisho/account/devices/forget", "0000000000000000".to_owned()),
        ("/.sekisho/account/sessions", "/.sekisho/account/sessions/end", "../../x".to_owned()),
    ] {
        let answer = post_from(&mut alice, page, action, &format!("&id={id}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{action}");
        assert!(answer.body.contains("すでに"), "{}", answer.body);
    }
    assert!(alice.bench.passes(&bobs.session()).await);
    assert_eq!(alice.bench.services.devices.list(bob.id, now).await.unwrap().len(), 1);
}

#[tokio::test]
async fn f29_people_forget_their_devices_and_log_out_elsewhere() {
    let (mut here, app) = enrolled(Bench::new(|_| {})).await;
    here.bench.advance(MINUTE);
    let mut there = crate::service::testing::Browser::default();
    there.password(&here.bench, "alice", PASSWORD).await;
    there.code(&here.bench, &app.code(&here.bench), true).await;
    let devices = here.get("/.sekisho/account/devices").await;
    assert_eq!(devices.body.matches("name=\"id\"").count(), 2);
    assert_eq!(devices.body.matches("このブラウザー</span>").count(), 1, "this one is marked");
    let sessions = here.get("/.sekisho/account/sessions").await;
    assert_eq!(sessions.body.matches("name=\"id\"").count(), 1, "one's own is ended by logging out");
    let (page, action) = ("/.sekisho/account/sessions", "/.sekisho/account/sessions/end-others");
    assert_eq!(post_from(&mut here, page, action, "").await.location(), "/.sekisho/account/sessions?done=others-ended");
    assert!(!here.bench.passes(&there.session()).await);
    let (page, action) = ("/.sekisho/account/devices", "/.sekisho/account/devices/forget-all");
    assert_eq!(post_from(&mut here, page, action, "").await.location(), "/.sekisho/account/devices?done=all-forgotten");
    assert!(here.get("/.sekisho/account/devices?done=all-forgotten").await.body.contains("すべての端末を削除しました"));
    assert!(!here.get("/.sekisho/account/devices?done=%3Cb%3E").await.body.contains("class=\"alert"));
    assert!(here.bench.services.users.show("alice", here.bench.now()).await.is_ok());
    let person = Actor::of(&here.bench.visit(&here.cookies).await, None);
    assert!(person.is_some(), "whoever does it stays logged in");
}
