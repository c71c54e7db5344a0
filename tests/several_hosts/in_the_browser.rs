//! The same in a real browser, which keeps cookies by host and holds every redirect behind a form to the page's policy.

use std::io::Write;
use std::time::Duration;

use super::builder;
use crate::harness::{Browser, PASSWORD, Recorder, Sekisho};

fn page() -> Recorder {
    let body = "<!doctype html><title>tool</title><p id=\"tool\">the tool</p>";
    Recorder::raw(format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

fn url(gate: &Sekisho, host: &str, path: &str) -> String {
    format!("https://{host}:{}{path}", gate.tls_address().port())
}

async fn give_password(browser: &Browser, login: &str) {
    browser.arrive("/.sekisho/login").await;
    browser.fill("input[name=login]", login).await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.click("main form button[type=submit]").await;
}

async fn sign_out(gate: &Sekisho, browser: &Browser, host: &str) {
    browser.open(&url(gate, host, "/.sekisho/logout")).await;
    browser.click("main form button[type=submit]").await;
    browser.see("You have logged out").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_logs_in_once_for_two_hosts_and_out_of_both() {
    let upstream = page();
    let gate = builder(&upstream)
        .route("{name: strict, host: b.test, path: /strict, upstream: UPSTREAM, second_factor: required, recheck_interval: 1h}", &upstream.url())
        .set("session", "{idle_timeout: 12h, max_lifetime: 1d}")
        .clock()
        .start();
    let browser = Browser::start().await;

    // The form's redirects lead over three hosts' worth of addresses, and the policy lets them.
    browser.open(&url(&gate, "a.test", "/orders?page=2")).await;
    give_password(&browser, "alice").await;
    browser.see("the tool").await;
    assert_eq!(browser.address().await, url(&gate, "a.test", "/orders?page=2"), "no code is left in the address");
    let first = browser.cookie("__Host-sekisho-session").await.expect("the host's own cookie");
    gate.secrets().add(&first);
    assert_eq!(browser.cookie("__Host-sekisho-handoff").await, None);

    browser.open(&url(&gate, "b.test", "/")).await;
    browser.see("the tool").await;
    assert_eq!(browser.address().await, url(&gate, "b.test", "/"), "without another login");
    let second = browser.cookie("__Host-sekisho-session").await.expect("the host's own cookie");
    gate.secrets().add(&second);
    assert_ne!(first, second);

    // A second factor is set up at the portal host on the way to the one path that wants it.
    browser.open(&url(&gate, "b.test", "/strict/1")).await;
    give_password(&browser, "alice").await;
    browser.arrive("/.sekisho/enrol").await;
    let key = browser.text_of("#key").await;
    gate.secrets().add(&key);
    gate.secrets().add(&key.replace(' ', ""));
    browser.fill("input[name=code]", &gate.code(&key)).await;
    browser.click("main form button[type=submit]").await;
    browser.save_recovery_codes().await;
    browser.arrive("/strict/1").await;
    browser.see("the tool").await;
    gate.advance(Duration::from_secs(2 * 60 * 60));
    browser.open(&url(&gate, "b.test", "/strict/2")).await;
    browser.see("Enter your code").await;
    browser.fill("input[name=code]", &gate.fresh_code(&key)).await;
    browser.click("main form button[type=submit]").await;
    browser.arrive("b.test").await;
    browser.see("the tool").await;
    assert_eq!(browser.address().await, url(&gate, "b.test", "/strict/2"));
    browser.open(&url(&gate, "a.test", "/")).await;
    browser.see("the tool").await;

    // Out at one host is out at all.
    sign_out(&gate, &browser, "a.test").await;
    browser.open(&url(&gate, "b.test", "/")).await;
    browser.arrive("auth.test").await;
    browser.arrive("/.sekisho/login").await;
    assert_eq!(browser.text_of("h1").await, "Log in");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_somebody_elses_code_says_so_and_the_way_in_is_open() {
    let upstream = page();
    let gate = builder(&upstream).start();
    let code = tokio::task::block_in_place(|| {
        let mut mallory = super::Person::new(&gate);
        let page = mallory.open(super::PORTAL, "/.sekisho/login");
        mallory.give_password(&page, "mallory");
        mallory.code_for("a.test", "/")
    });
    let browser = Browser::start().await;
    browser.open(&url(&gate, "a.test", &code)).await;
    browser.see("The login did not get here").await;
    assert_eq!(browser.cookie("__Host-sekisho-session").await, None);
    browser.click("main .aside a").await;
    give_password(&browser, "alice").await;
    browser.see("the tool").await;
    assert_eq!(upstream.last().header("remote-user"), Some("alice"));
    for host in ["a.test", "auth.test"] {
        browser.open(&url(&gate, host, "/")).await;
        if let Some(value) = browser.cookie("__Host-sekisho-session").await {
            gate.secrets().add(&value);
        }
    }
}

/// A page with a form, and what was sent by it. Another leads to the other host.
fn form() -> Recorder {
    Recorder::with(|request, stream| {
        if request.line.starts_with("POST /move") {
            let host = request.header("host").unwrap_or_default().replace("a.test", "b.test");
            let answer =
                format!("HTTP/1.1 303 See Other\r\nLocation: https://{host}/moved\r\nContent-Length: 0\r\n\r\n");
            return stream.write_all(answer.as_bytes()).is_ok();
        }
        let body = match request.line.starts_with("POST ") {
            true => format!("<!doctype html><p id=\"got\">{}</p>", String::from_utf8_lossy(&request.body)),
            false if request.target() == "/moved" => "<!doctype html><p id=\"moved\">moved</p>".to_owned(),
            false if request.target() == "/other" => "<!doctype html><form method=\"post\" action=\"/move\"><input name=\"memo\"><button>Move</button></form>".to_owned(),
            false => "<!doctype html><form method=\"post\" action=\"/save\"><textarea name=\"memo\"></textarea><button>Save</button></form>".to_owned(),
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).is_ok()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn f34_what_was_typed_at_a_tools_host_arrives_there_after_the_login() {
    let upstream = form();
    let gate = builder(&upstream).clock().start();
    let browser = Browser::start().await;
    browser.open(&url(&gate, "a.test", "/edit")).await;
    give_password(&browser, "alice").await;
    browser.find_soon("textarea[name=memo]").await;
    browser.fill("textarea[name=memo]", "Pack-it-well").await;
    gate.advance(Duration::from_secs(60 * 60));
    browser.click("form button").await;
    browser.see("What you entered was kept").await;
    assert!(browser.address().await.starts_with(&url(&gate, "auth.test", "/.sekisho/login")));
    give_password(&browser, "alice").await;
    browser.arrive("/.sekisho/held/").await;
    let page = browser.text().await;
    assert!(page.contains("/save") && page.contains("memo") && !page.contains("Pack"), "{page}");
    browser.click("main form button[type=submit]").await;
    assert_eq!(browser.text_of("#got").await, "memo=Pack-it-well");
    assert_eq!(browser.address().await, url(&gate, "a.test", "/save"));
    let value = browser.cookie("__Host-sekisho-session").await.expect("the host's own cookie");
    gate.secrets().add(&value);
    let sent: Vec<_> = upstream.requests().into_iter().filter(|request| request.line.starts_with("POST ")).collect();
    assert_eq!((sent.len(), sent[0].header("remote-user")), (1, Some("alice")));
}

/// Chromium holds what the tool redirects to against the policy of the page that the kept form was sent from.
#[tokio::test(flavor = "multi_thread")]
async fn f34_a_kept_form_leads_out_of_its_host_where_the_tool_says_so() {
    let upstream = form();
    let gate = builder(&upstream).clock().start();
    let browser = Browser::start().await;
    browser.open(&url(&gate, "a.test", "/other")).await;
    give_password(&browser, "alice").await;
    browser.find_soon("input[name=memo]").await;
    gate.advance(Duration::from_secs(60 * 60));
    browser.click("form button").await;
    browser.see("What you entered was kept").await;
    give_password(&browser, "alice").await;
    browser.arrive("/.sekisho/held/").await;
    browser.click("main form button[type=submit]").await;
    browser.see("moved").await;
    assert_eq!(browser.address().await, url(&gate, "b.test", "/moved"));
    assert_eq!(upstream.last().header("remote-user"), Some("alice"));
}
