//! A person's ways through the pages: in, with what is due on the way, and out.

use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use http::StatusCode;

use super::{Answer, BROWSER, Browser, assert_protected, request};
use crate::authn::user::Role;
use crate::authz::{Challenge, Policy, RouteTable, SecondFactorDemand};
use crate::service::cookies::CookieKind;
use crate::service::testing::{Bench, PASSWORD};
use crate::service::visit::Ask;

const MINUTE: Duration = Duration::from_secs(60);

/// The app of a person, fed with what the enrolment page shows.
pub struct App(Vec<u8>);

impl App {
    pub fn read(page: &Answer) -> Self {
        let (_, rest) = page.body.split_once("<code id=\"key\" translate=\"no\">").expect("a key on the page");
        let key = rest.split('<').next().unwrap();
        assert_eq!(key.split(' ').map(str::len).collect::<Vec<_>>(), [4; 8], "{key}");
        Self(BASE32_NOPAD.decode(key.replace(' ', "").as_bytes()).unwrap())
    }

    pub fn code(&self, bench: &Bench) -> String {
        let totp = totp_rs::Builder::new().with_secret(self.0.clone()).build().unwrap();
        totp.generate(bench.now().secs()).to_string()
    }
}

/// What the gateway and its route ask for; a route has its own copy from the moment the file was read.
pub fn bench_that_asks(change: impl Fn(&mut SecondFactorDemand)) -> Bench {
    Bench::new(|config| {
        let mut routes: Vec<_> = config.routes.iter().map(|(_, route)| route.clone()).collect();
        routes.iter_mut().for_each(|route| change(&mut route.second_factor));
        config.routes = RouteTable::new(routes).unwrap();
        change(&mut config.second_factor.demand);
    })
}

pub async fn give_password(browser: &mut Browser, password: &str) -> Answer {
    let token = browser.get("/.sekisho/login?return_to=%2Forders").await.csrf();
    let form = format!("login=alice&password={password}&return_to=%2Forders&csrf={token}");
    browser.post("/.sekisho/login", &form).await
}

/// A person who has signed in for the first time, and their app.
pub async fn enrolled(bench: Bench) -> (Browser, App) {
    enrolled_as(bench, Role::User).await
}

/// The same with a role.
pub async fn enrolled_as(bench: Bench, role: Role) -> (Browser, App) {
    let mut browser = Browser::with(bench);
    browser.bench.add_as("alice", role).await;
    assert_eq!(give_password(&mut browser, PASSWORD).await.location(), "/.sekisho/enrol");
    let page = browser.get("/.sekisho/enrol").await;
    let app = App::read(&page);
    let form = format!("code={}&csrf={}", app.code(&browser.bench), page.csrf());
    let answer = browser.post("/.sekisho/enrol", &form).await;
    assert_eq!(saved(&mut browser, answer).await.location(), "/orders");
    (browser, app)
}

/// Says "saved" where recovery codes are shown.
pub async fn saved(browser: &mut Browser, answer: Answer) -> Answer {
    if answer.location() != "/.sekisho/enrol/recovery-codes" {
        return answer;
    }
    let page = browser.get("/.sekisho/enrol/recovery-codes").await;
    browser.post("/.sekisho/enrol/recovery-codes", &format!("csrf={}", page.csrf())).await
}

/// Another browser of the same person.
pub fn another(browser: Browser) -> Browser {
    Browser::with(browser.bench)
}

#[tokio::test]
async fn without_a_second_factor_the_password_leads_in_and_logging_out_leads_back() {
    let mut browser = Browser::with(bench_that_asks(|demand| demand.policy = Policy::Off));
    browser.bench.add("alice").await;
    let answer = give_password(&mut browser, PASSWORD).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/orders"));
    assert!(answer.sets(CookieKind::Session) && !answer.sets(CookieKind::Device));
    assert_protected(&answer);

    let landing = browser.get("/.sekisho").await;
    assert!(landing.body.contains("<p class=\"person-login\">alice</p>"));
    let ask = browser.get("/.sekisho/logout").await;
    let wrong = browser.post("/.sekisho/logout", "csrf=x").await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert_eq!(wrong.cookies(), [], "nothing but a logout takes a session's cookie away");
    assert_eq!(browser.get("/.sekisho").await.status, StatusCode::OK);

    let session = browser.cookies.session.clone().unwrap();
    let out = browser.post("/.sekisho/logout", &format!("csrf={}", ask.csrf())).await;
    assert_eq!(out.location(), "/.sekisho/login?return_to=%2F&notice=signed-out");
    assert_eq!(out.header("clear-site-data"), "\"cache\"");
    assert_eq!(out.cookies(), [(CookieKind::Session, String::new())]);
    assert!(browser.bench.live(&session).await.is_none());
    browser.cookies.session = Some(session);
    assert_eq!(browser.get("/.sekisho").await.status, StatusCode::SEE_OTHER, "the old value is worth nothing");
}

#[tokio::test]
async fn a_wrong_password_and_a_wrong_login_look_the_same() {
    let mut browser = Browser::new();
    browser.bench.add("alice").await;
    let wrong = give_password(&mut browser, "wrong").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert_eq!(wrong.header("www-authenticate"), "");
    assert!(wrong.body.contains("id=\"alert\" role=\"alert\"") && wrong.body.contains("aria-invalid=\"true\""));
    let token = wrong.csrf();
    let form = format!("login=nobody.here&password=wrong&return_to=%2Forders&csrf={token}");
    let unknown = browser.post("/.sekisho/login", &form).await;
    assert_eq!(unknown.status, wrong.status);
    assert_eq!(unknown.body.len(), wrong.body.len());
    assert_eq!(unknown.cookies(), wrong.cookies());
    assert_eq!(unknown.head.headers().len(), wrong.head.headers().len());
}

#[tokio::test]
async fn the_first_login_shows_a_key_until_a_code_proves_that_it_arrived_and_never_again() {
    let mut browser = Browser::new();
    browser.bench.add("alice").await;
    let answer = give_password(&mut browser, PASSWORD).await;
    assert_eq!(answer.location(), "/.sekisho/enrol");
    assert!(!answer.sets(CookieKind::Session));
    assert_eq!(browser.get("/.sekisho/second-factor").await.location(), "/.sekisho/enrol");

    let page = browser.get("/.sekisho/enrol").await;
    assert_protected(&page);
    let app = App::read(&page);
    for part in
        ["<svg class=\"qr\"", "href=\"otpauth://totp/", "inputmode=\"numeric\"", "\"one-time-code\"", ">alice</dd>"]
    {
        assert!(page.body.contains(part), "{part}");
    }
    let wrong = browser.post("/.sekisho/enrol", &format!("code=000000&csrf={}", page.csrf())).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert_eq!(App::read(&wrong).0, app.0, "the same key, as it may be in the app already");
    let code = app.code(&browser.bench);
    let forged = browser.post("/.sekisho/enrol", &format!("code={code}")).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let right = browser.post("/.sekisho/enrol", &format!("code={code}&csrf={}", page.csrf())).await;
    let right = saved(&mut browser, right).await;
    assert_eq!(right.location(), "/orders");
    assert!(right.sets(CookieKind::Session) && right.sets(CookieKind::Device));
    assert_eq!(browser.get("/.sekisho/enrol").await.location(), "/", "there is nothing left to see");
}

#[tokio::test]
async fn putting_a_required_enrolment_off_leaves_nothing_behind() {
    let mut browser = Browser::new();
    browser.bench.add("alice").await;
    give_password(&mut browser, PASSWORD).await;
    let page = browser.get("/.sekisho/enrol").await;
    let answer = browser.post("/.sekisho/enrol/cancel", &format!("csrf={}", page.csrf())).await;
    assert_eq!(answer.location(), "/.sekisho/login?return_to=%2Forders&notice=cancelled");
    assert!(!answer.sets(CookieKind::Session));
    assert!(browser.cookies.flow.is_none());
    assert_eq!(give_password(&mut browser, PASSWORD).await.location(), "/.sekisho/enrol");
}

#[tokio::test]
async fn a_new_browser_gives_a_code_and_may_be_spared_it_next_time() {
    let (browser, app) = enrolled(Bench::new(|_| {})).await;
    let mut browser = another(browser);
    assert_eq!(give_password(&mut browser, PASSWORD).await.location(), "/.sekisho/second-factor");
    assert_eq!(browser.get("/.sekisho/enrol").await.location(), "/.sekisho/second-factor");
    let page = browser.get("/.sekisho/second-factor").await;
    assert_protected(&page);
    assert!(page.body.contains("7日間"), "for how long, on the way this person is going");

    let used = format!("code={}&csrf={}", app.code(&browser.bench), page.csrf());
    let answer = browser.post("/.sekisho/second-factor", &used).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "spent by the enrolment");
    assert!(answer.body.contains("すでに使われました"), "{}", answer.body);
    let empty = browser.post("/.sekisho/second-factor", &format!("code=+&csrf={}", page.csrf())).await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);

    browser.bench.advance(MINUTE);
    let full_width: String = app
        .code(&browser.bench)
        .bytes()
        .map(|digit| char::from_u32(0xff10 + u32::from(digit - b'0')).unwrap())
        .collect();
    let encoded = percent_encoding::utf8_percent_encode(&full_width, percent_encoding::NON_ALPHANUMERIC);
    let form = format!("code={encoded}&remember=yes&csrf={}", page.csrf());
    let answer = browser.post("/.sekisho/second-factor", &form).await;
    assert_eq!(answer.location(), "/orders");
    assert!(answer.sets(CookieKind::Session) && answer.sets(CookieKind::Device));

    browser.cookies.session = None;
    let spared = give_password(&mut browser, PASSWORD).await;
    assert_eq!(spared.location(), "/orders");
    assert!(spared.sets(CookieKind::Session));
}

#[tokio::test]
async fn when_the_interval_has_passed_a_window_is_led_to_the_code_and_back() {
    let bench = bench_that_asks(|demand| demand.recheck_interval = 10 * MINUTE);
    let (mut browser, app) = enrolled(bench).await;
    browser.bench.advance(11 * MINUTE);
    let lines = [("accept", BROWSER), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let ask = Ask::Challenge(Challenge::SecondFactor);
    let old = browser.cookies.session.clone().unwrap().digest();
    let answer = browser.send(ask, request("GET", "/stock?x=1", &lines, "")).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/.sekisho/second-factor"));
    assert_protected(&answer);
    let page = browser.get("/.sekisho/second-factor").await;
    let form = format!("code={}&csrf={}", app.code(&browser.bench), page.csrf());
    let answer = browser.post("/.sekisho/second-factor", &form).await;
    assert_eq!(answer.location(), "/stock?x=1");
    assert_ne!(browser.cookies.session.clone().unwrap().digest(), old, "a new value at every rise");
}
