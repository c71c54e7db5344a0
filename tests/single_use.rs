//! A code is good once, however many ask at once (A30, A37): of fifty parallel posts of one valid code exactly one succeeds,
//! round after round, and what was spent stays spent after `kill -9`.

use std::sync::Barrier;
use std::time::Duration;

use serde_json::json;

use crate::harness::second_step::{asked_for, full_width};
use crate::harness::{Builder, Client, Form, MailServer, PASSWORD, Recorder, Response, Sekisho, form_with};
use crate::passwords::{ask_for_a_link, link_to};

const AT_ONCE: usize = 50;
pub(crate) const ROUNDS: usize = 20;

fn builder(upstream: &Recorder) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("lockout.per_address", "{max_failures: 100000, window: 1m}")
        .upstream(&upstream.url())
        .clock()
}

/// A browser that stands before the code, with the form that it is about to send.
pub(crate) struct Ready {
    browser: Client,
    form: Form,
}

impl Ready {
    /// This browser, with the right password.
    #[track_caller]
    pub(crate) fn with(mut browser: Client, login: &str, path: &str) -> Self {
        let page = browser.give_password(login, PASSWORD);
        assert_eq!(asked_for(&page), "code", "{}", browser.path);
        let page = browser.open(path);
        Self { browser, form: form_with(&page, "code") }
    }
}

/// `count` browsers with the right password.
#[track_caller]
fn before_the_code(gate: &Sekisho, login: &str, path: &str, count: usize) -> Vec<Ready> {
    (0..count).map(|_| Ready::with(Client::new(gate), login, path)).collect()
}

/// Sends the same code from all of them at once, fifty times in all; the browsers that got in.
pub(crate) fn post_all(ready: &[Ready], code: &str) -> Vec<Client> {
    let start = Barrier::new(AT_ONCE);
    std::thread::scope(|scope| {
        let posts: Vec<_> = (0..AT_ONCE)
            .map(|number| {
                let Ready { browser, form } = &ready[number % ready.len()];
                let (mut browser, form, start) = (browser.copy(), form.clone().with("code", code), &start);
                scope.spawn(move || {
                    start.wait();
                    let answer: Response = browser.send(&form);
                    assert!(answer.status < 500, "{}: {}", answer.status, answer.text());
                    browser.cookie("session").is_some().then_some(browser)
                })
            })
            .collect();
        posts.into_iter().filter_map(|post| post.join().unwrap()).collect()
    })
}

/// Exactly one is in, and its session is a living one.
#[track_caller]
pub(crate) fn one_is_in(mut winners: Vec<Client>, round: usize) {
    assert_eq!(winners.len(), 1, "round {round}");
    let winner = &mut winners[0];
    assert_eq!(winner.get("/").text(), "ok", "round {round}");
    winner.sign_out();
}

#[test]
fn a30_an_app_code_is_good_once_however_it_is_written_and_wherever_it_is_given() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).user("alice", &[]).start();
    let mut alice = Client::new(&gate);
    let key = alice.sign_in_and_enrol(&gate, "alice");
    alice.sign_out();
    for round in 0..ROUNDS {
        let before = gate.fresh_code(&key);
        let code = gate.fresh_code(&key);
        let mut ready = before_the_code(&gate, "alice", "/.sekisho/second-factor", 2);
        let (mut other, mut same) = (ready.remove(0), ready.remove(0));
        same.browser.send(&same.form.with("code", &code));
        assert!(same.browser.cookie("session").is_some(), "round {round}");
        same.browser.sign_out();
        // The one before it is within the accepted skew, and is dead with the newer one.
        for again in [code.clone(), full_width(&code), format!("{} {}", &code[..3], &code[3..]), before] {
            let page = other.browser.send(&other.form.clone().with("code", &again));
            assert!(other.browser.cookie("session").is_none() && page.status == 401, "round {round}: {}", page.status);
            let page = same.browser.give_password("alice", PASSWORD);
            let page = same.browser.give_code(&page, &again, false);
            assert!(same.browser.cookie("session").is_none() && page.status == 401, "round {round}: {}", page.status);
        }
        let begun = other.browser.post_json("/.sekisho/api/login", &json!({"login": "alice", "password": PASSWORD}));
        let answer = json!({"flow": begun.json()["flow"], "code": code});
        let answer = other.browser.post_json("/.sekisho/api/second-factor", &answer);
        assert_eq!((answer.status, &answer.json()["code"]), (401, &json!("invalid_code")), "round {round}");
    }
}

#[test]
fn a37_of_fifty_posts_of_one_app_code_one_succeeds() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).user("alice", &[]).start();
    let mut alice = Client::new(&gate);
    let key = alice.sign_in_and_enrol(&gate, "alice");
    alice.sign_out();
    for round in 0..ROUNDS {
        let ready = before_the_code(&gate, "alice", "/.sekisho/second-factor", 5);
        one_is_in(post_all(&ready, &gate.fresh_code(&key)), round);
    }
}

#[test]
fn a37_of_fifty_posts_of_one_recovery_code_one_succeeds() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream)
        .user("alice", &[])
        .set("second_factor.recovery_codes", "{count: 20, digits: 8, low_water: 0}")
        .start();
    let mut alice = Client::new(&gate);
    let codes = alice.enrol_with_codes(&gate, "alice").codes;
    alice.sign_out();
    assert_eq!(codes.len(), ROUNDS);
    for (round, code) in codes.iter().enumerate() {
        let ready = before_the_code(&gate, "alice", "/.sekisho/second-factor/recovery", 5);
        one_is_in(post_all(&ready, code), round);
    }
}

#[test]
fn a37_of_fifty_posts_of_one_mailed_code_one_succeeds() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream).mail(&mail).user("bob", &["--email", "bob@example.com", "--method", "mail"]).start();
    for round in 0..ROUNDS {
        // A mailed code belongs to one browser: all fifty are that one.
        let ready = before_the_code(&gate, "bob", "/.sekisho/second-factor", 1);
        let code = mail.code_to(&gate, "bob@example.com");
        one_is_in(post_all(&ready, &code), round);
        // The account's mails are limited: so many rounds take hours.
        gate.advance(Duration::from_secs(600));
    }
}

#[test]
fn a37_of_fifty_posts_of_one_link_one_sets_the_password() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream)
        .mail(&mail)
        .set("second_factor.policy", "off")
        .user("bob", &["--email", "bob@example.com"])
        .start();
    for round in 0..ROUNDS {
        ask_for_a_link(&gate, "bob");
        let link = link_to(&gate, &mail, "bob@example.com");
        let ready: Vec<_> = (0..5)
            .map(|_| {
                let mut browser = Client::new(&gate);
                let page = browser.open(&link);
                Ready { browser, form: form_with(&page, "again") }
            })
            .collect();
        let start = Barrier::new(AT_ONCE);
        let passwords: Vec<String> = std::thread::scope(|scope| {
            let posts: Vec<_> = (0..AT_ONCE)
                .map(|number| {
                    let Ready { browser, form } = &ready[number % ready.len()];
                    let new = format!("Quiet-river-{round}-{number}");
                    let (mut browser, start) = (browser.copy(), &start);
                    let form = form.clone().with("new", &new).with("again", &new);
                    scope.spawn(move || {
                        start.wait();
                        let answer = browser.send(&form);
                        assert!([303, 410].contains(&answer.status), "{}: {}", answer.status, answer.text());
                        (answer.status == 303).then_some(new)
                    })
                })
                .collect();
            posts.into_iter().filter_map(|post| post.join().unwrap()).collect()
        });
        let [password] = passwords.as_slice() else {
            panic!("round {round}: {} were told that it is set", passwords.len())
        };
        let mut bob = Client::new(&gate);
        assert_eq!(
            bob.give_password("bob", password).text(),
            "ok",
            "round {round}: the one that is told is the one that is"
        );
        // So that there is always a mail left to be sent.
        gate.advance(Duration::from_secs(2 * 3600));
    }
}

#[test]
fn a58_a_spent_code_stays_spent_after_kill_9() {
    let upstream = Recorder::ok();
    let mut gate = builder(&upstream).user("alice", &[]).start();
    let mut alice = Client::new(&gate);
    let enrolled = alice.enrol_with_codes(&gate, "alice");
    alice.sign_out();
    for round in 0..3 {
        let code = gate.fresh_code(&enrolled.key);
        let recovery = &enrolled.codes[round];
        for (path, code) in [("/.sekisho/second-factor", &code), ("/.sekisho/second-factor/recovery", recovery)] {
            let ready = before_the_code(&gate, "alice", path, 2);
            let [first, second] = ready.as_slice() else { panic!("two browsers") };
            let mut browser = first.browser.copy();
            let answer = browser.send(&first.form.clone().with("code", code));
            gate.kill();
            assert!(browser.cookie("session").is_some(), "{path}: {}", answer.status);
            gate.serve();
            let mut thief = second.browser.copy();
            thief.follow(&gate);
            let answer = thief.send(&second.form.clone().with("code", code));
            assert!(thief.cookie("session").is_none(), "{path}: {}", answer.status);
            browser.follow(&gate);
            assert_eq!(browser.get("/").text(), "ok", "{path}: what was answered counts");
        }
    }
}
