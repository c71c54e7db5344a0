//! The values of session cookies (A38, A40): each rise in what one may do makes a new one and kills the old one, none is ever taken
//! over from a client, and a dead one stays dead.

use std::time::Duration;

use crate::harness::{Builder, Client, PASSWORD, Recorder, Sekisho, form_to, form_with, key_of, text};

const CHOSEN: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const HOUR: Duration = Duration::from_secs(60 * 60);

fn builder(upstream: &Recorder) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("session", "{idle_timeout: 12h, max_lifetime: 1d}")
        .route("{name: all, upstream: UPSTREAM}", &upstream.url())
        .route("{name: payouts, path: /payouts, upstream: UPSTREAM, recheck_interval: 1h}", &upstream.url())
        .user("alice", &[])
}

/// Whether this value of the session cookie is worth anything, with whatever else the browser has.
fn opens(browser: &Client, value: &str) -> bool {
    let mut thief = browser.copy();
    thief.cookies.insert("sekisho-session".into(), value.into());
    thief.get("/").text() == "ok"
}

#[test]
fn a38_a_session_value_is_new_after_every_step_and_never_one_that_a_client_chose() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).clock().start();
    let mut alice = Client::new(&gate);
    let mut before: Vec<String> = vec![CHOSEN.to_owned()];
    let mut step = |alice: &Client, what: &str| {
        let value = alice.cookie("session").unwrap_or_else(|| panic!("no session {what}"));
        assert_eq!(value.len(), 43, "256 bits in base64url");
        assert!(!before.contains(&value), "the value is an old one {what}");
        assert!(opens(alice, &value), "{what}");
        for old in &before {
            assert!(!opens(alice, old), "a value from before still opens {what}");
        }
        before.push(value);
    };

    // Before the login: what somebody else has put there is nobody's, and is not taken over at any step.
    alice.cookies.insert("sekisho-session".into(), CHOSEN.into());
    alice.cookies.insert("sekisho-flow".into(), CHOSEN.into());
    assert!(!opens(&alice, CHOSEN));
    let login = alice.open("/");
    let enrol = alice.fill_password(&login, "alice", PASSWORD);
    assert_ne!(alice.cookie("flow").as_deref(), Some(CHOSEN), "after the password");
    assert!(alice.cookie("session").is_none_or(|value| value == CHOSEN), "a password alone makes no session");
    let key = key_of(&enrol);
    gate.secrets().add(&key.replace(' ', ""));
    let shown = alice.give_code(&enrol, &gate.code(&key), false);
    alice.save_recovery_codes(shown);
    step(&alice, "after the second factor");

    alice.open("/.sekisho/account");
    gate.advance(HOUR + Duration::from_secs(60));
    let page = alice.open("/payouts/1");
    alice.give_code(&page, &gate.fresh_code(&key), false);
    step(&alice, "after the code that a stricter route asked for");

    // Given again for a change of what one signs in by.
    gate.advance(HOUR);
    let page = alice.open("/.sekisho/account/confirm?return_to=/.sekisho/account");
    if crate::harness::forms(&page.text()).iter().any(|form| form.names.iter().any(|name| name == "password")) {
        let form = form_with(&page, "password").with("password", PASSWORD);
        let page = alice.submit(&form);
        step(&alice, "after the password that was given again");
        if crate::harness::forms(&page.text()).iter().any(|form| form.names.iter().any(|name| name == "code")) {
            alice.give_code(&page, &gate.fresh_code(&key), false);
            step(&alice, "after the code that was given again");
        }
    }

    // Two logins of the same person are two sessions, and one browser's next login is a new one.
    let held = alice.cookie("session").unwrap();
    alice.cookies.remove("sekisho-session");
    alice.sign_in(&gate, "alice", Some(&key));
    assert_ne!(alice.cookie("session").unwrap(), held);
    alice.sign_out();
    assert!(alice.cookie("session").is_none());
}

#[test]
fn a38_two_values_at_once_or_one_that_is_malformed_are_nobody() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).set("second_factor.policy", "off").start();
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    let value = alice.cookie("session").unwrap();
    upstream.clear();
    for cookies in [
        format!("sekisho-session={CHOSEN}; sekisho-session={value}"),
        format!("sekisho-session={value}; sekisho-session={CHOSEN}"),
        format!("sekisho-session={value}A"),
        format!("sekisho-session={}", &value[..42]),
        format!("sekisho-session={}", value.to_lowercase()),
        format!("sekisho-session=\"{value}\""),
        format!("__Host-sekisho-session={value}"),
        "sekisho-session=".to_owned(),
    ] {
        if cookies.ends_with(&value) && value == value.to_lowercase() {
            continue;
        }
        let mut conn = alice.connect();
        conn.send(format!("GET / HTTP/1.1\r\nHost: {}\r\nCookie: {cookies}\r\n\r\n", alice.host));
        let answer = conn.response();
        assert_eq!(answer.status, 401, "{}", cookies.replace(&value, "VALUE"));
        assert_eq!(answer.cookie("sekisho-session"), None, "none is set or taken over");
    }
    assert_eq!(upstream.bytes(), 0);
    assert_eq!(alice.get("/").text(), "ok");
}

#[test]
fn a40_a_logout_is_for_good_and_takes_nothing_else_with_it() {
    let upstream = Recorder::ok();
    let mut gate = builder(&upstream).set("second_factor.policy", "off").start();
    let mut alice = Client::new(&gate);
    alice.cookies.insert("tool".into(), "kept".into());
    alice.sign_in_by_password_alone(&gate);
    let mut thief = alice.copy();
    // A form that was opened before the logout, and sent after it.
    let form = form_to(&thief.open("/.sekisho/logout"), "/logout");
    let page = alice.open("/.sekisho/logout");
    let answer = alice.send(&form_to(&page, "/logout"));
    assert_eq!(answer.header("clear-site-data"), Some("\"cache\""), "{}", text(&answer.text()));
    assert_eq!(alice.cookies.get("tool").map(String::as_str), Some("kept"));
    upstream.clear();
    for round in 0..3 {
        for path in ["/", "/payouts/1", "/.sekisho/account"] {
            assert_ne!(thief.copy().get(path).status, 200, "{path}, round {round}");
        }
        assert_eq!(thief.copy().fetch("POST", "/", b"x").status, 401);
        let api = thief.copy().fetch("GET", "/.sekisho/api/session", b"");
        assert_ne!(api.status, 200, "{}", api.text());
        let set = thief.copy().send(&form).cookie("sekisho-session");
        assert!(set.is_none_or(|value| value.is_empty()), "it gives no session");
        if round == 0 {
            gate.restart();
        } else {
            gate.kill();
            gate.serve();
        }
        thief.follow(&gate);
    }
    assert_eq!(upstream.bytes(), 0);
}
