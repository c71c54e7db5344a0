//! Programmes that are no browser (F17, F33, A25): the JSON API, and bodies that are not what they should be.

use serde_json::{Value, json};

use crate::harness::second_step::{another, full_width};
use crate::harness::{Builder, Client, MailServer, PASSWORD, Recorder, Response, Sekisho};

const LOGIN: &str = "/.sekisho/api/login";
const CODE: &str = "/.sekisho/api/second-factor";
const SESSION: &str = "/.sekisho/api/session";
const LOGOUT: &str = "/.sekisho/api/logout";

fn builder(upstream: &Recorder) -> Builder {
    Sekisho::builder().cheap_hashes().upstream(&upstream.url()).user("alice", &["--group", "ops"]).clock()
}

#[track_caller]
fn is_problem(answer: &Response, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.text());
    assert!(answer.header("cache-control").is_some_and(|value| value.contains("no-store")));
    let body = answer.json();
    assert_eq!((body["code"].as_str(), body["status"].as_u64()), (Some(code), Some(u64::from(status))), "{body}");
    assert!(body["title"].as_str().is_some_and(|title| !title.is_empty()), "{body}");
}

/// Gives login and password; the flow that waits for a code.
#[track_caller]
fn begin(script: &mut Client, login: &str, method: &str) -> String {
    script.cookies.clear();
    let answer = script.post_json(LOGIN, &json!({"login": login, "password": PASSWORD}));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["status"], "second_factor_required");
    assert_eq!(body["method"], method);
    assert!(script.cookie("session").is_none());
    body["flow"].as_str().expect("a flow").to_owned()
}

#[test]
fn f17_a_programme_logs_in_with_an_app_code_and_out() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut script = Client::new(&gate);
    is_problem(&script.fetch("GET", SESSION, b""), 401, "login_required");
    let answer = script.post_json(LOGIN, &json!({"login": "alice", "password": PASSWORD}));
    gate.secrets().add(PASSWORD);
    is_problem(&answer, 403, "enrolment_required");
    assert!(script.cookie("session").is_none());
    let key = Client::new(&gate).sign_in_and_enrol(&gate, "alice");

    let wrong = script.post_json(LOGIN, &json!({"login": "alice", "password": "Wrong-horse-8"}));
    is_problem(&wrong, 401, "invalid_credentials");
    let flow = begin(&mut script, "alice", "totp");
    gate.secrets().add(&flow);
    let code = gate.fresh_code(&key);
    let refused = script.post_json(CODE, &json!({"flow": flow, "code": another(&code)}));
    is_problem(&refused, 401, "invalid_code");
    assert!(script.cookie("session").is_none());
    let wide = full_width(&code);
    let answer = script.post_json(CODE, &json!({"flow": flow, "code": wide, "remember": false}));
    assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("signed_in")), "{}", answer.text());
    assert_eq!(script.fetch("GET", "/orders", b"").text(), "ok");
    assert_eq!(upstream.last().header("remote-user"), Some("alice"));
    let session = script.fetch("GET", SESSION, b"");
    assert_eq!((session.status, session.json()["login"].as_str()), (200, Some("alice")), "{}", session.text());

    let again = script.copy().post_json(CODE, &json!({"flow": flow, "code": code}));
    is_problem(&again, 401, "restart_login");

    let mut thief = script.copy();
    let answer = script.post_json(LOGOUT, &json!({}));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(script.cookie("session").is_none());
    is_problem(&thief.fetch("GET", "/orders", b""), 401, "login_required");
    is_problem(&thief.fetch("GET", SESSION, b""), 401, "login_required");
}

#[test]
fn f17_a_programme_logs_in_with_a_mailed_code() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream).mail(&mail).user("bob", &["--email", "bob@example.com", "--method", "mail"]).start();
    let mut script = Client::new(&gate);
    let flow = begin(&mut script, "bob", "mail");
    let code = mail.code_to(&gate, "bob@example.com");
    is_problem(&script.post_json(CODE, &json!({"flow": flow, "code": another(&code)})), 401, "invalid_code");
    let answer = script.post_json(CODE, &json!({"flow": flow, "code": code}));
    assert_eq!(answer.json()["status"], "signed_in", "{}", answer.text());
    assert_eq!(script.fetch("GET", "/", b"").text(), "ok");

    gate.advance(std::time::Duration::from_secs(60));
    let flow = begin(&mut script, "bob", "mail");
    let code = mail.code_to(&gate, "bob@example.com");
    gate.advance(std::time::Duration::from_secs(30 * 60));
    is_problem(&script.post_json(CODE, &json!({"flow": flow, "code": code})), 401, "expired");
}

#[test]
fn f17_a_device_is_remembered_for_a_programme_too() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let key = Client::new(&gate).sign_in_and_enrol(&gate, "alice");
    let mut script = Client::new(&gate);
    let flow = begin(&mut script, "alice", "totp");
    let code = gate.fresh_code(&key);
    script.post_json(CODE, &json!({"flow": flow, "code": code, "remember": true}));
    assert!(script.cookie("device").is_some());
    script.post_json(LOGOUT, &json!({}));
    let answer = script.post_json(LOGIN, &json!({"login": "alice", "password": PASSWORD}));
    assert_eq!(answer.json()["status"], "signed_in", "{}", answer.text());
}

#[test]
fn f17_too_many_tries_are_told_with_a_time_to_wait() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let key = Client::new(&gate).sign_in_and_enrol(&gate, "alice");
    let mut script = Client::new(&gate);
    let flow = begin(&mut script, "alice", "totp");
    let code = gate.fresh_code(&key);
    for _ in 0..10 {
        script.post_json(CODE, &json!({"flow": flow, "code": another(&code)}));
    }
    let answer = script.post_json(CODE, &json!({"flow": flow, "code": code}));
    is_problem(&answer, 429, "too_many_attempts");
    assert!(answer.header("retry-after").is_some());
    assert!(script.cookie("session").is_none());
}

#[test]
fn f33_a_script_gets_an_answer_and_a_browser_a_page() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut nobody = Client::new(&gate);
    is_problem(&nobody.fetch("GET", "/orders", b""), 401, "login_required");
    is_problem(&nobody.fetch("POST", "/orders", b"{}"), 401, "login_required");
    assert_eq!(nobody.get("/orders").status, 303);
    assert_eq!(upstream.bytes(), 0);
}

#[test]
fn a25_a_code_without_its_login_is_nobodys() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).user("bob", &[]).start();
    let key = Client::new(&gate).sign_in_and_enrol(&gate, "alice");
    let bobs = Client::new(&gate).sign_in_and_enrol(&gate, "bob");
    let mut script = Client::new(&gate);
    let flow = begin(&mut script, "alice", "totp");
    let mut bob = Client::new(&gate);
    let bobs_flow = begin(&mut bob, "bob", "totp");
    let code = gate.fresh_code(&key);

    for (what, body) in [
        ("no flow", json!({"code": code})),
        ("an empty flow", json!({"flow": "", "code": code})),
        ("an unknown flow", json!({"flow": flow.chars().rev().collect::<String>(), "code": code})),
        ("no code", json!({"flow": flow})),
        ("an empty code", json!({"flow": flow, "code": ""})),
        ("null", json!({"flow": flow, "code": null})),
        ("true", json!({"flow": flow, "code": true})),
        ("a number", json!({"flow": flow, "code": code.parse::<u32>().unwrap()})),
        ("a list", json!({"flow": flow, "code": [code]})),
        ("an object", json!({"flow": flow, "code": {"$ne": ""}})),
        ("a list of all", json!([flow, code])),
        ("another key beside", json!({"flow": flow, "code": code, "user": "root"})),
        ("a long code", json!({"flow": flow, "code": format!("{code}{}", "0".repeat(5000))})),
        ("bob's flow with alice's code", json!({"flow": bobs_flow, "code": code})),
    ] {
        for mut who in [script.copy(), Client::new(&gate)] {
            let answer = who.post_json(CODE, &body);
            assert!((400..500).contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
            assert!(who.cookie("session").is_none(), "{what}");
        }
    }
    // The same as a form, and as what is no JSON at all.
    let bodies: [&[u8]; 6] =
        [b"", b"{", b"null", b"\xff\xfe", b"{\"flow\":\"x\",\"flow\":\"y\",\"code\":\"1\"}", b"flow=x&code=1"];
    for body in bodies {
        let headers = "Accept: application/json\r\nContent-Type: application/json\r\n";
        for path in [CODE, LOGIN] {
            let answer = script.request("POST", path, headers, body);
            assert!((400..500).contains(&answer.status), "{path} {body:?}: {}", answer.status);
        }
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let body = json!({"flow": flow, "code": code}).to_string();
        let headers = format!("Accept: application/json\r\nContent-Type: {kind}\r\n");
        let answer = script.request("POST", CODE, &headers, body.as_bytes());
        assert_eq!(answer.status, 415, "{kind}: what a foreign page may send without asking is not taken");
    }
    let headers = "Accept: application/json\r\nContent-Type: application/json\r\nOrigin: https://evil.test\r\nSec-Fetch-Site: cross-site\r\n";
    let answer = script.request("POST", CODE, headers, json!({"flow": flow, "code": code}).to_string().as_bytes());
    is_problem(&answer, 403, "forbidden");
    assert_eq!(script.request("GET", CODE, "Accept: application/json\r\n", b"").status, 405);

    // After all that the right one still works: none of it was judged as a code of this login.
    let answer = script.post_json(CODE, &json!({"flow": flow, "code": gate.fresh_code(&key)}));
    assert_eq!(answer.json()["status"], "signed_in", "{}", answer.text());
    let _ = bobs;
}

#[test]
fn a25_a_form_for_the_code_needs_its_own_pending_login() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).user("bob", &[]).start();
    let mut alice = Client::new(&gate);
    let key = alice.sign_in_and_enrol(&gate, "alice");
    alice.sign_out();
    let mut bob = Client::new(&gate);
    bob.sign_in_and_enrol(&gate, "bob");
    bob.sign_out();
    let page = alice.give_password("alice", PASSWORD);
    bob.give_password("bob", PASSWORD);
    let form = crate::harness::form_with(&page, "code");
    let right = gate.fresh_code(&key);

    let mut nobody = Client::new(&gate);
    nobody.send(&form.clone().with("code", &right));
    assert!(nobody.cookie("session").is_none(), "without a pending login");
    bob.send(&form.clone().with("code", &right));
    assert!(bob.cookie("session").is_none(), "with another's");
    for name in ["code[]", "Code", "codes"] {
        let mut odd = form.clone();
        odd.fields.retain(|(key, _)| key != "code");
        let mut browser = alice.copy();
        browser.send(&odd.with(name, &right));
        assert!(browser.cookie("session").is_none(), "{name}");
    }
    let mut twice = form.clone().with("code", "000000");
    twice.fields.push(("code".into(), right.clone()));
    let mut browser = alice.copy();
    let answer = browser.send(&twice);
    assert!(browser.cookie("session").is_none(), "two codes: {}", answer.status);
    assert_eq!(alice.give_code(&page, &gate.fresh_code(&key), false).text(), "ok");
}

#[test]
fn f17_what_a_session_says_of_itself_holds_no_secret() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut alice = Client::new(&gate);
    alice.sign_in_and_enrol(&gate, "alice");
    let answer = alice.fetch("GET", SESSION, b"");
    let body: Value = answer.json();
    assert_eq!(body["groups"], json!(["ops"]));
    let session = alice.cookie("session").unwrap();
    assert!(!answer.text().contains(&session));
}
