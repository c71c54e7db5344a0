//! Clocks that jump. Set back, a clock makes no spent code good, unlocks nobody and lets no session last longer than it may; set
//! ahead, it ends what has a time limit. Whoever waits for either to be set right is in again by an ordinary login.

use std::time::Duration;

use serde_json::json;

use crate::harness::second_step::{Enrolled, asked_for};
use crate::harness::{Builder, Client, MailServer, PASSWORD, Recorder, Response, Sekisho, text, wait_until};
use crate::passwords::{ask_for_a_link, link_to};

const LOGIN: &str = "/.sekisho/api/login";
const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn builder(upstream: &Recorder) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .upstream(&upstream.url())
        .user("alice", &["--role", "admin", "--email", ALICE])
        .clock()
}

fn with_bob(upstream: &Recorder, mail: &MailServer) -> Builder {
    builder(upstream).mail(mail).user("bob", &["--email", BOB, "--method", "mail"])
}

fn status(browser: &Client) -> u16 {
    browser.copy().fetch("GET", "/", b"").status
}

/// Alice with her app and codes, signed out again.
#[track_caller]
fn alice(gate: &Sekisho) -> Enrolled {
    let mut browser = Client::new(gate);
    let enrolled = browser.enrol_with_codes(gate, "alice");
    browser.sign_out();
    enrolled
}

/// A login with a code; the page behind it.
#[track_caller]
fn by_code(gate: &Sekisho, code: &str) -> (Client, Response) {
    let mut browser = Client::new(gate);
    let page = browser.give_password("alice", PASSWORD);
    assert_eq!(asked_for(&page), "code", "{}", text(&page.text()));
    let page = browser.give_code(&page, code, false);
    (browser, page)
}

#[track_caller]
fn by_recovery_code(gate: &Sekisho, code: &str) -> Client {
    let mut browser = Client::new(gate);
    browser.give_password("alice", PASSWORD);
    browser.give_recovery_code(code);
    browser
}

#[track_caller]
fn is_told(gate: &Sekisho, words: &str) {
    wait_until(words, || gate.logs().iter().any(|line| line.contains(words)).then_some(()));
}

#[test]
fn a_clock_set_back_makes_no_spent_code_good_and_ends_the_sessions_of_the_time_after_it() {
    let upstream = Recorder::ok();
    let mut gate = builder(&upstream).start();
    let mut enrolled = alice(&gate);
    for (back, restarts) in [(HOUR, false), (DAY, true)] {
        let spent = gate.fresh_code(&enrolled.key);
        let (mut signed_in, _) = by_code(&gate, &spent);
        assert_eq!(status(&signed_in), 200);
        let recovery = enrolled.codes.pop().unwrap();
        assert!(by_recovery_code(&gate, &recovery).cookie("session").is_some());

        gate.set_back(back);
        if restarts {
            gate.restart();
            signed_in.follow(&gate);
        } else {
            is_told(&gate, "the machine's clock was set back");
        }
        assert_eq!(status(&signed_in), 401, "a session that is from the future");
        assert_eq!(gate.cli_json(&["session", "list"]), json!([]));
        for code in [spent.clone(), gate.code(&enrolled.key)] {
            assert!(by_code(&gate, &code).0.cookie("session").is_none(), "a code of a step that is spent");
        }
        assert!(by_recovery_code(&gate, &recovery).cookie("session").is_none(), "a recovery code that is spent");
        // There is a way in all the same.
        let unspent = enrolled.codes.pop().unwrap();
        let mut back_in = by_recovery_code(&gate, &unspent);
        assert_eq!(back_in.open("/").status, 200);

        gate.advance(back);
        let (browser, page) = by_code(&gate, &gate.fresh_code(&enrolled.key));
        assert!(browser.cookie("session").is_some(), "{}", text(&page.text()));
    }
}

#[test]
fn a_clock_set_back_unlocks_nobody_and_keeps_nobody_out_for_good() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).set("second_factor.policy", "off").start();
    let attempt = |password: &str| {
        let body = json!({"login": "alice", "password": password});
        Client::new(&gate).post_json(LOGIN, &body).status
    };
    for _ in 0..5 {
        assert_eq!(attempt("Wrong-horse-8"), 401);
    }
    assert_eq!(attempt(PASSWORD), 401, "locked");
    gate.set_back(DAY);
    assert_eq!(attempt(PASSWORD), 401, "locked still");
    gate.advance(Duration::from_secs(14 * 60));
    assert_eq!(attempt(PASSWORD), 401, "locked still");
    gate.advance(Duration::from_secs(61));
    assert_eq!(attempt(PASSWORD), 200, "not longer than a lock lasts");
}

#[test]
fn an_address_that_has_to_wait_waits_on_when_the_clock_is_set_back_and_no_longer_than_ever() {
    let upstream = Recorder::ok();
    let per_address = "{max_failures: 5, window: 10m}";
    let gate = builder(&upstream)
        .set("second_factor.policy", "off")
        .set("lockout", &format!("{{max_failures: 50, per_address: {per_address}}}"))
        .start();
    let attempt = |login: &str, password: &str| {
        Client::new(&gate).post_json(LOGIN, &json!({"login": login, "password": password})).status
    };
    for number in 0..5 {
        assert_eq!(attempt(&format!("nobody{number}"), "Wrong-horse-8"), 401);
    }
    assert_eq!(attempt("alice", PASSWORD), 429);
    gate.set_back(DAY);
    assert_eq!(attempt("alice", PASSWORD), 429, "the count stands");
    gate.advance(Duration::from_secs(9 * 60));
    assert_eq!(attempt("alice", PASSWORD), 429);
    gate.advance(Duration::from_secs(61));
    assert_eq!(attempt("alice", PASSWORD), 200, "not longer than a window");
}

#[test]
fn a_login_in_progress_ends_when_the_clock_jumps_either_way_and_begins_anew() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = with_bob(&upstream, &mail).start();
    let enrolled = alice(&gate);
    for jump in [-1, 1] {
        let mut waiting = Client::new(&gate);
        let page = waiting.give_password("alice", PASSWORD);
        let mut mailed = Client::new(&gate);
        let mailed_page = mailed.give_password("bob", PASSWORD);
        assert_eq!(asked_for(&mailed_page), "code", "{}", text(&mailed_page.text()));
        let code = mail.code_to(&gate, BOB);
        ask_for_a_link(&gate, "alice");
        let link = link_to(&gate, &mail, ALICE);
        match jump {
            -1 => gate.set_back(2 * HOUR),
            _ => gate.advance(YEAR),
        }
        // A step that was never used: set back, the app shows those that are before the last one that was.
        let app_code = gate.fresh_code(&enrolled.key);
        let told = waiting.give_code(&page, &app_code, false);
        assert!(waiting.cookie("session").is_none(), "{jump}: {}", text(&told.text()));
        let told = mailed.give_code(&mailed_page, &code, false);
        assert!(mailed.cookie("session").is_none(), "{jump}: {}", text(&told.text()));
        assert_eq!(Client::new(&gate).open(&link).status, 410, "{jump}: a link of another time");

        // From the start it goes on.
        let mut again = Client::new(&gate);
        let page = again.give_password("bob", PASSWORD);
        assert_eq!(asked_for(&page), "code", "{jump}: {}", text(&page.text()));
        let code = mail.code_to(&gate, BOB);
        assert_eq!(again.give_code(&page, &code, false).text(), "ok", "{jump}");
        // As it was, and far enough for the next one.
        match jump {
            -1 => gate.advance(2 * HOUR + DAY),
            _ => gate.set_back(YEAR - DAY),
        }
    }
}

#[test]
fn a_year_ahead_ends_sessions_and_asks_remembered_browsers_and_a_year_back_trusts_nothing_of_it() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = with_bob(&upstream, &mail).start();
    let login = |browser: &mut Client| {
        let page = browser.give_password("bob", PASSWORD);
        assert_eq!(asked_for(&page), "code", "{}", text(&page.text()));
        let code = mail.code_to(&gate, BOB);
        assert_eq!(browser.give_code(&page, &code, true).text(), "ok");
    };
    let mut now = Client::new(&gate);
    login(&mut now);
    gate.advance(YEAR);
    is_told(&gate, "the machine's clock was set ahead");
    assert_eq!(status(&now), 401, "over by its lifetime");
    // It is remembered, but not for a year.
    login(&mut now);
    for _ in 0..5 {
        Client::new(&gate).post_json(LOGIN, &json!({"login": "alice", "password": "Wrong-horse-8"}));
    }
    assert_eq!(status(&now), 200);

    gate.set_back(YEAR);
    is_told(&gate, "the machine's clock was set back");
    assert_eq!(status(&now), 401, "its session would live for a year");
    login(&mut now);
    assert_eq!(status(&now), 200);
    // Nobody is locked out for a year: the first try says from when on the lock counts.
    let attempt = || Client::new(&gate).post_json(LOGIN, &json!({"login": "alice", "password": PASSWORD})).status;
    assert_eq!(attempt(), 401);
    gate.advance(Duration::from_secs(15 * 60 + 1));
    assert_eq!(attempt(), 403, "an enrolment is due, so the password was judged");
}
