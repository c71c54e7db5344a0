//! The tool's own session does not outlive the person's (F41): its cookies go at a logout, and when somebody else signs in.

use std::time::Duration;

use crate::harness::{Browser, Builder, Client, PASSWORD, Recorder, Response, Sekisho, form_to, form_with, tools};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A tool that believes its own cookie, once it has one, as old tools do.
const PAGE: &str = r#"<?php
session_set_cookie_params(['path' => '/tool/']);
session_start();
if (!isset($_SESSION['user'])) { $_SESSION['user'] = $_SERVER['HTTP_REMOTE_USER']; }
setcookie('seen', 'x', ['path' => '/', 'domain' => 'localhost']);
echo '<p id="whose">', $_SESSION['user'], ' ', session_id(), '</p>';
"#;

fn gate(upstream: &str, forget: &str) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .route(&format!("{{name: tool, path: /tool, upstream: UPSTREAM, forget_cookies: {forget}}}"), upstream)
        .user("alice", &[])
        .user("bob", &[])
}

async fn sign_in(browser: &Browser, login: &str) -> String {
    browser.arrive("/.sekisho/login").await;
    browser.fill("input[name=login]", login).await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.click("main form button[type=submit]").await;
    browser.text_of("#whose").await
}

#[tokio::test(flavor = "multi_thread")]
async fn f41_nobody_comes_into_what_another_one_has_left_in_the_browser() {
    let tool = tools::php(PAGE);
    let gate = gate(&tool.url(), "[PHPSESSID]").clock().start();
    let browser = Browser::start().await;
    browser.open(&gate.url("/tool/")).await;
    let of_alice = sign_in(&browser, "alice").await;
    assert!(of_alice.starts_with("alice "), "{of_alice}");

    // Nobody has logged out: the session has run out.
    gate.advance(HOUR);
    browser.open(&gate.url("/tool/")).await;
    assert_eq!(sign_in(&browser, "alice").await, of_alice, "her own work is still there");
    gate.advance(HOUR);
    browser.open(&gate.url("/tool/")).await;
    let of_bob = sign_in(&browser, "bob").await;
    assert!(of_bob.starts_with("bob "), "he is {of_bob} to the tool");

    browser.open(&gate.url("/.sekisho/logout")).await;
    browser.click("main form button[type=submit]").await;
    browser.arrive("/.sekisho/login").await;
    browser.open(&gate.url("/tool/")).await;
    let anew = sign_in(&browser, "bob").await;
    assert!(anew.starts_with("bob ") && anew != of_bob, "the tool's session is older than his: {anew}");
}

fn expired<'a>(answer: &'a Response, name: &str) -> Vec<&'a str> {
    let begins = format!("{name}=;");
    answer
        .all("set-cookie")
        .into_iter()
        .filter(|line| line.starts_with(&begins) && line.contains("Max-Age=0"))
        .collect()
}

#[test]
fn f41_each_place_where_a_tool_may_have_set_it_is_named() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream.url(), "[sid, __Host-tool]")
        .route("{name: other, host: other.test, upstream: UPSTREAM, forget_cookies: [elsewhere]}", &upstream.url())
        .route("{name: wide, host: \"*.example.test\", upstream: UPSTREAM, forget_cookies: [wide]}", &upstream.url())
        .tls(&["admin.example.test", "other.test"])
        .start();
    let mut alice = Client::tls(&gate, "admin.example.test");
    let form = form_with(&alice.open("/.sekisho/login"), "password");
    let answer = alice.send(&form.with("login", "alice").with("password", PASSWORD));
    let lines = expired(&answer, "sid");
    for place in ["Path=/;", "Path=/tool;", "Path=/tool/;", "Domain=admin.example.test", "Domain=example.test"] {
        assert!(lines.iter().any(|line| format!("{line};").contains(place)), "{place}: {lines:#?}");
    }
    assert!(lines.iter().all(|line| line.contains("Secure")), "{lines:#?}");
    assert!(!expired(&answer, "__Host-tool").iter().any(|line| line.contains("Domain")), "no browser would hear that");
    assert!(!expired(&answer, "wide").is_empty(), "a route of this host");
    assert!(expired(&answer, "elsewhere").is_empty(), "a route of another host");
    let form = form_to(&alice.open("/.sekisho/logout"), "/logout");
    let out = alice.send(&form);
    assert_eq!(expired(&out, "sid"), lines);
    assert_eq!(alice.cookie("owner"), None);
}

#[test]
fn f41_a_mark_that_is_made_up_or_another_ones_keeps_nothing() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream.url(), "[sid]").start();
    let sign_in = |client: &mut Client, login: &str| {
        let form = form_with(&client.open("/.sekisho/login?return_to=/tool/"), "password");
        client.send(&form.with("login", login).with("password", PASSWORD))
    };
    let mut bob = Client::new(&gate);
    sign_in(&mut bob, "bob");
    let of_bob = bob.cookie("owner").expect("a mark");
    for mark in [of_bob.as_str(), "alice", &"A".repeat(43)] {
        let mut alice = Client::new(&gate);
        alice.cookies.insert("sekisho-owner".to_owned(), mark.to_owned());
        assert!(!expired(&sign_in(&mut alice, "alice"), "sid").is_empty(), "{mark}");
        let own = alice.cookie("owner").unwrap();
        alice.cookies.retain(|name, _| name != "sekisho-session");
        assert!(expired(&sign_in(&mut alice, "alice"), "sid").is_empty(), "her own");
        assert_eq!(alice.cookie("owner").unwrap(), own);
        alice.get("/tool/");
    }
    let seen = upstream.connections().concat();
    assert!(!String::from_utf8_lossy(&seen).contains("sekisho-owner"), "no cookie of sekisho's reaches the tool");
}
