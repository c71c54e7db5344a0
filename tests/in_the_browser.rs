//! The main job, on real input: a person in a real browser passes the wall, with password and TOTP, to real admin tools
//! that were not changed.

use std::time::Duration;

use fantoccini::Locator;

use crate::harness::browser::Setup;
use crate::harness::{Browser, Builder, PASSWORD, Recorder, Sekisho, tools};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn builder() -> Builder {
    Sekisho::builder().set("portal.title", "Shop admin").user("alice", &["--group", "ops"])
}

/// Fills the login page in and sends it.
async fn give_password(browser: &Browser, password: &str) {
    browser.fill("input[name=login]", "alice").await;
    browser.fill("input[name=password]", password).await;
    browser.click("main form button[type=submit]").await;
}

async fn give_code(browser: &Browser, code: &str, remember: bool) {
    browser.fill("input[name=code]", code).await;
    if remember {
        browser.click("input[name=remember]").await;
    }
    browser.click("main form button[type=submit]").await;
}

/// From the login page through the enrolment; hands back the key that the page shows.
async fn enrol(gate: &Sekisho, browser: &Browser, remember: bool) -> String {
    give_password(browser, PASSWORD).await;
    browser.arrive("/.sekisho/enrol").await;
    let key = browser.text_of("#key").await;
    gate.secrets().add(&key);
    assert_eq!(
        browser.key_in_qr_code(".qr").await.as_deref(),
        Some(key.replace(' ', "").as_str()),
        "QR and text differ"
    );
    give_code(browser, &gate.code(&key), remember).await;
    browser.save_recovery_codes().await;
    browser.leave("/.sekisho/").await;
    key
}

async fn sign_out(gate: &Sekisho, browser: &Browser) {
    browser.open(&gate.url("/.sekisho/logout")).await;
    browser.click("main form button[type=submit]").await;
    browser.arrive("/.sekisho/login").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_passes_the_wall_to_adminer_in_english() {
    let tool = tools::adminer();
    let gate = builder().upstream(&tool.url()).clock().start();
    let browser = Browser::start().await;

    browser.open(&gate.url("/?sqlite=&username=")).await;
    browser.arrive("/.sekisho/login").await;
    assert_eq!(browser.text_of("h1").await, "Log in");
    give_password(&browser, "Wrong-horse-8").await;
    browser.see("The login or password is wrong").await;
    let key = enrol(&gate, &browser, true).await;
    browser.see("Adminer").await;
    assert!(
        browser.address().await.ends_with("/?sqlite=&username="),
        "back where one was: {}",
        browser.address().await
    );
    // Its own style sheet and form came through, and its own cookie is kept.
    assert!(browser.has("form input[name='auth[server]'], form input[name='auth[username]']").await);
    assert!(browser.cookie("adminer_sid").await.is_some(), "the tool's own cookie passes");

    sign_out(&gate, &browser).await;
    browser.see("You have logged out").await;
    browser.open(&gate.url("/")).await;
    browser.arrive("/.sekisho/login").await;
    give_password(&browser, PASSWORD).await;
    browser.see("Adminer").await;

    // The interval has passed for this device, and the session is long over.
    gate.advance(8 * DAY);
    browser.open(&gate.url("/")).await;
    browser.arrive("/.sekisho/login").await;
    give_password(&browser, PASSWORD).await;
    browser.see("Enter your code").await;
    give_code(&browser, "000000", false).await;
    browser.see("That code is wrong").await;
    give_code(&browser, &gate.fresh_code(&key), true).await;
    browser.see("Adminer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_passes_the_wall_to_supervisor_in_japanese() {
    let tool = tools::supervisor();
    let gate =
        builder().set("portal.languages", "[ja, en]").route("{name: all, upstream: UPSTREAM}", &tool.url()).start();
    let browser = Browser::with(Setup { language: "ja", ..Setup::default() }).await;
    browser.open(&gate.url("/")).await;
    browser.arrive("/.sekisho/login").await;
    assert_eq!(browser.text_of("h1").await, "ログイン");
    give_password(&browser, "Wrong-horse-8").await;
    browser.see("パスワードが違うか").await;
    give_password(&browser, PASSWORD).await;
    browser.see("2段階認証の設定").await;
    let key = browser.text_of("#key").await;
    give_code(&browser, &gate.code(&key), false).await;
    browser.save_recovery_codes().await;
    browser.see("keeper").await;

    // The tool's own buttons work: the program is stopped through the wall.
    browser.see("running").await;
    let stop = browser.find(Locator::LinkText("Stop")).await.unwrap();
    stop.click().await.unwrap();
    browser.see("stopped").await;
    let through_the_wall = browser.text_of("tbody").await;

    browser.open(&gate.url("/.sekisho/logout")).await;
    browser.click("main form button[type=submit]").await;
    browser.see("ログアウトしました").await;
    // Without the wall there is the same.
    browser.open(&tool.url()).await;
    assert_eq!(browser.text_of("tbody").await, through_the_wall);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_works_without_scripts() {
    let upstream = page("the tool");
    let gate = builder().upstream(&upstream.url()).start();
    let browser = Browser::with(Setup { javascript: false, size: (390, 844), ..Setup::default() }).await;
    browser.open(&gate.url("/orders")).await;
    browser.arrive("/.sekisho/login").await;
    let key = enrol(&gate, &browser, false).await;
    browser.see("the tool").await;
    sign_out(&gate, &browser).await;
    browser.open(&gate.url("/orders")).await;
    give_password(&browser, PASSWORD).await;
    give_code(&browser, &gate.fresh_code(&key), false).await;
    browser.see("the tool").await;
    assert!(browser.address().await.ends_with("/orders"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_chooses_the_language_and_it_stays() {
    let upstream = page("the tool");
    let gate = builder().upstream(&upstream.url()).start();
    let browser = Browser::start().await;
    browser.open(&gate.url("/")).await;
    assert_eq!(browser.text_of("h1").await, "Log in");
    browser.click("footer a[hreflang=ja]").await;
    browser.see("ログイン").await;
    browser.arrive("/.sekisho/login").await;
    browser.open(&gate.url("/orders")).await;
    assert_eq!(browser.text_of("h1").await, "ログイン", "the next page is Japanese too");
    enrol(&gate, &browser, false).await;
    assert!(browser.address().await.ends_with("/orders"), "{}", browser.address().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stricter_route_asks_for_a_code_within_the_session() {
    let upstream = page("the tool");
    let gate = builder()
        .set("session.idle_timeout", "12h")
        .route("{name: all, upstream: UPSTREAM}", &upstream.url())
        .route("{name: payouts, path: /payouts, upstream: UPSTREAM, recheck_interval: 1h}", &upstream.url())
        .clock()
        .start();
    let browser = Browser::start().await;
    browser.open(&gate.url("/")).await;
    let key = enrol(&gate, &browser, false).await;
    gate.advance(2 * HOUR);
    browser.open(&gate.url("/orders")).await;
    browser.see("the tool").await;
    browser.open(&gate.url("/payouts?month=11")).await;
    browser.see("Please confirm once more that it is you").await;
    give_code(&browser, &gate.fresh_code(&key), false).await;
    browser.see("the tool").await;
    assert!(browser.address().await.ends_with("/payouts?month=11"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pages_own_websocket_and_events_pass_the_wall() {
    let echo = tools::WebSocketEcho::start();
    let events = tools::EventStream::start();
    let page = page(
        "<p id=a>-</p><p id=b>-</p><script>\
         const socket = new WebSocket(`ws://${location.host}/socket`);\
         socket.onopen = () => socket.send('through the wall');\
         socket.onmessage = (message) => document.getElementById('a').textContent = `echo: ${message.data}`;\
         new EventSource('/events').onmessage = (event) => document.getElementById('b').textContent = `event: ${event.data}`;\
         </script>",
    );
    let gate = builder()
        .route("{name: page, upstream: UPSTREAM}", &page.url())
        .route("{name: socket, path: /socket, upstream: UPSTREAM}", &echo.url())
        .route("{name: events, path: /events, upstream: UPSTREAM}", &events.url())
        .start();
    let browser = Browser::start().await;
    browser.open(&gate.url("/")).await;
    enrol(&gate, &browser, false).await;
    browser.see("echo: through the wall").await;
    browser.see("event: first").await;
    events.say("second");
    browser.see("event: second").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_over_tls_speaks_http2_to_the_wall() {
    let upstream = page(
        "the tool <p id=v></p><script>document.getElementById('v').textContent = \
        performance.getEntriesByType('navigation')[0].nextHopProtocol</script>",
    );
    let gate = builder().upstream(&upstream.url()).tls(&["localhost"]).start();
    let browser = Browser::start().await;
    browser.open(&format!("https://localhost:{}/orders", gate.tls_address().port())).await;
    browser.arrive("/.sekisho/login").await;
    enrol(&gate, &browser, false).await;
    browser.see("h2").await;
    assert!(browser.cookie("__Host-sekisho-session").await.is_some());
    assert_eq!(upstream.last().header("x-forwarded-proto"), Some("https"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_lost_the_phone_comes_in_by_a_recovery_code_and_sets_the_app_up_anew() {
    let upstream = page("the tool");
    let gate = builder().upstream(&upstream.url()).start();
    let browser = Browser::with(Setup { javascript: false, size: (390, 844), ..Setup::default() }).await;
    browser.open(&gate.url("/orders")).await;
    give_password(&browser, PASSWORD).await;
    let key = browser.text_of("#key").await;
    give_code(&browser, &gate.code(&key), false).await;
    browser.see("Save your recovery codes").await;
    let code = browser.text_of(".codes li:first-child").await;
    gate.secrets().add(&code);
    browser.save_recovery_codes().await;
    browser.see("the tool").await;

    sign_out(&gate, &browser).await;
    browser.open(&gate.url("/orders")).await;
    give_password(&browser, PASSWORD).await;
    browser.click("a[href$='/second-factor/recovery']").await;
    browser.see("Use a recovery code").await;
    give_code(&browser, &code, false).await;
    browser.see("You logged in with a recovery code").await;
    assert!(browser.has("main a[href='/orders']").await, "the way on");
    browser.click("main form button[type=submit]").await;
    let new = browser.text_of("#key").await;
    assert_ne!(new, key);
    give_code(&browser, &gate.fresh_code(&new), false).await;
    browser.save_recovery_codes().await;
    browser.see("the tool").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_leads_on_to_another_site_is_followed_there_from_the_login() {
    let elsewhere = page("quite another site");
    let elsewhere_url = elsewhere.url().replace("127.0.0.1", "localhost");
    let tool = Recorder::raw(format!("HTTP/1.1 302 Found\r\nLocation: {elsewhere_url}/\r\nContent-Length: 0\r\n\r\n"));
    let browser = Browser::start().await;
    for policy in ["off", "required"] {
        let gate = builder().set("second_factor.policy", policy).upstream(&tool.url()).start();
        browser.open(&gate.url("/.sekisho/login")).await;
        match policy {
            "off" => give_password(&browser, PASSWORD).await,
            _ => drop(enrol(&gate, &browser, false).await),
        }
        browser.see("quite another site").await;
        assert!(browser.address().await.starts_with(&elsewhere_url));
    }
}

/// A tool whose every answer is this HTML.
fn page(body: &str) -> Recorder {
    let body = format!("<!doctype html><title>tool</title>{body}");
    Recorder::raw(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}
