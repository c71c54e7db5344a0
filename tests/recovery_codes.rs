//! Recovery codes (F7, F8, A36): shown once, good once each, counted when wrong, void as a whole when a new set is made.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::harness::second_step::{another, asked_for, full_width, recovery_codes_in};
use crate::harness::{Builder, Client, PASSWORD, Recorder, Response, Sekisho, form_to, key_of, text};

const CODES_PAGE: &str = "/.sekisho/enrol/recovery-codes";

fn builder(upstream: &Recorder) -> Builder {
    Sekisho::builder().cheap_hashes().upstream(&upstream.url()).user("alice", &["--group", "ops"]).clock()
}

/// Through the welcome page, where there is one, to the tool.
#[track_caller]
fn past_the_welcome(browser: &mut Client, page: Response) -> Response {
    if browser.path.contains("/.sekisho/welcome") {
        return browser.open("/");
    }
    page
}

#[track_caller]
fn refused(browser: &Client, page: &Response) {
    assert!(browser.cookie("session").is_none(), "let in: {}", browser.path);
    assert_ne!(page.status, 200, "{}", text(&page.text()));
}

/// Password, then a recovery code.
#[track_caller]
fn recover(browser: &mut Client, login: &str, code: &str) -> Response {
    let page = browser.give_password(login, PASSWORD);
    assert_eq!(asked_for(&page), "code", "{}: {}", browser.path, text(&page.text()));
    browser.give_recovery_code(code)
}

#[test]
fn f07_recovery_codes_are_shown_once_before_the_login_goes_on() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut alice = Client::new(&gate);
    let page = alice.give_password("alice", PASSWORD);
    let key = key_of(&page);
    gate.secrets().add(&key);
    let shown = alice.give_code(&page, &gate.code(&key), false);
    assert_eq!(alice.path, CODES_PAGE);
    let codes = recovery_codes_in(&shown);
    assert_eq!(codes.len(), 10, "{}", text(&shown.text()));
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), 10, "all differ");
    codes.iter().for_each(|code| gate.secrets().add(code));
    assert!(shown.header("cache-control").is_some_and(|value| value.contains("no-store")));
    assert!(alice.cookie("session").is_none(), "no session before they are saved");
    assert_eq!(upstream.bytes(), 0);

    // As long as they are not saved they can be seen again, in this browser alone.
    assert_eq!(recovery_codes_in(&alice.get(CODES_PAGE)), codes);
    let mut elsewhere = Client::new(&gate);
    assert!(recovery_codes_in(&elsewhere.get(CODES_PAGE)).is_empty());

    let file = alice.get(&format!("{CODES_PAGE}.txt"));
    assert_eq!(file.status, 200);
    assert!(file.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    assert!(file.header("content-disposition").is_some_and(|how| how.starts_with("attachment")));
    assert!(file.header("cache-control").is_some_and(|value| value.contains("no-store")));
    assert_eq!(recovery_codes_in(&file), codes, "{}", file.text());
    assert!(file.text().contains("alice"), "whose they are: {}", file.text());
    assert!(file.text().contains("20"), "when they were made: {}", file.text());
    assert_eq!(file.text().matches("[ ]").count(), 10, "boxes to tick: {}", file.text());

    let mut back = alice.copy();
    let landed = alice.submit(&form_to(&shown, "/enrol/recovery-codes"));
    assert_eq!(landed.text(), "ok");
    for browser in [&mut alice, &mut back] {
        assert!(recovery_codes_in(&browser.get(CODES_PAGE)).is_empty(), "never again");
        assert!(recovery_codes_in(&browser.get(&format!("{CODES_PAGE}.txt"))).is_empty());
    }
}

#[test]
fn f07_unsaved_codes_are_forgotten_after_ten_minutes() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut alice = Client::new(&gate);
    let page = alice.give_password("alice", PASSWORD);
    let key = key_of(&page);
    gate.secrets().add(&key);
    let shown = alice.give_code(&page, &gate.code(&key), false);
    assert_eq!(recovery_codes_in(&shown).len(), 10);
    gate.advance(Duration::from_secs(10 * 60 + 1));
    assert!(recovery_codes_in(&alice.get(CODES_PAGE)).is_empty());
    assert!(recovery_codes_in(&alice.get(&format!("{CODES_PAGE}.txt"))).is_empty());
    let mut again = Client::new(&gate);
    let page = again.give_password("alice", PASSWORD);
    assert_eq!(asked_for(&page), "code", "the app was enrolled all the same");
    let welcome = again.give_code(&page, &gate.fresh_code(&key), false);
    assert!(again.path.contains("/welcome") && text(&welcome.text()).contains("recovery codes are saved"));
    assert!(welcome.text().contains("href=\"/.sekisho/account/recovery-codes\""), "new ones can be made");
    assert_eq!(again.get("/").text(), "ok");
    let shown = String::from_utf8(gate.cli(&["user", "show", "alice"]).stdout).unwrap();
    assert!(shown.contains("10 left"), "{shown}");
    let output = gate.cli(&["user", "show", "alice", "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["second_factor"]["recovery_codes_left"], 10, "{shown}");
}

#[test]
fn f08_a_recovery_code_opens_the_door_once() {
    let upstream = Recorder::ok();
    let mut gate = builder(&upstream).user("bob", &[]).start();
    let mut browser = Client::new(&gate);
    let alice = browser.enrol_with_codes(&gate, "alice");
    browser.sign_out();
    let mut other = Client::new(&gate);
    let bob = other.enrol_with_codes(&gate, "bob");
    other.sign_out();

    let page = browser.give_password("alice", PASSWORD);
    assert!(page.text().contains("/second-factor/recovery"), "the code page leads to another way: {}", page.text());
    let answer = browser.give_recovery_code(&bob.codes[0]);
    refused(&browser, &answer);
    assert!(text(&answer.text()).contains("wrong or was already used"), "{}", text(&answer.text()));
    browser.language = "ja".into();
    let answer = browser.give_recovery_code(&another(&alice.codes[1]));
    refused(&browser, &answer);
    assert!(text(&answer.text()).contains("使用され"), "{}", text(&answer.text()));
    browser.language = "en".into();

    let landed = browser.give_recovery_code(&alice.codes[0]);
    assert!(browser.cookie("session").is_some(), "{}: {}", browser.path, text(&landed.text()));
    assert_eq!(past_the_welcome(&mut browser, landed).text(), "ok");
    assert_eq!(upstream.last().header("remote-user"), Some("alice"));
    browser.sign_out();

    for step in ["at once", "after kill -9"] {
        if step == "after kill -9" {
            gate.kill();
            gate.serve();
            browser.follow(&gate);
        }
        let answer = recover(&mut browser, "alice", &alice.codes[0]);
        refused(&browser, &answer);
        assert!(text(&answer.text()).contains("wrong or was already used"), "{step}: {}", text(&answer.text()));
    }
    // F15: full-width digits, with a gap.
    let wide = full_width(&alice.codes[1]);
    let answer = browser.give_recovery_code(&format!("{}　{}", &wide[..12], &wide[12..]));
    assert!(browser.cookie("session").is_some(), "{}", text(&answer.text()));
}

#[test]
fn f08_after_a_recovery_code_the_app_can_be_set_up_anew() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut alice = Client::new(&gate);
    let before = alice.enrol_with_codes(&gate, "alice");
    alice.sign_out();
    let welcome = recover(&mut alice, "alice", &before.codes[3]);
    assert!(alice.path.contains("/.sekisho/welcome"), "{}: {}", alice.path, text(&welcome.text()));
    let again = crate::harness::forms(&welcome.text())
        .into_iter()
        .find(|form| form.action.contains("enrol"))
        .unwrap_or_else(|| panic!("no way to a new app: {}", welcome.text()));
    let page = alice.submit(&again);
    let key = key_of(&page);
    assert_ne!(key, before.key);
    let after = alice.finish_enrolment(&gate, &page);
    assert!(before.codes.iter().all(|code| !after.codes.contains(code)), "a new set of codes");
    assert_eq!(alice.get("/").text(), "ok");

    let mut elsewhere = Client::new(&gate);
    let page = elsewhere.give_password("alice", PASSWORD);
    let page = elsewhere.give_code(&page, &gate.fresh_code(&before.key), false);
    refused(&elsewhere, &page);
    let page = elsewhere.give_recovery_code(&before.codes[4]);
    refused(&elsewhere, &page);
    let page = elsewhere.open("/.sekisho/second-factor");
    assert_eq!(elsewhere.give_code(&page, &gate.fresh_code(&after.key), false).text(), "ok");
}

#[test]
fn f08_a_session_by_the_app_cannot_set_up_another_app_by_that_way() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut alice = Client::new(&gate);
    alice.enrol_with_codes(&gate, "alice");
    let page = alice.open("/.sekisho/welcome");
    let forms = crate::harness::forms(&page.text());
    assert!(!forms.iter().any(|form| form.action.contains("enrol")), "{}", page.text());
}

#[test]
fn f07_the_number_left_is_told_when_few_are_left() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).set("second_factor.recovery_codes", "{count: 5, digits: 8, low_water: 3}").start();
    let mut alice = Client::new(&gate);
    let enrolled = alice.enrol_with_codes(&gate, "alice");
    assert_eq!(enrolled.codes.len(), 5);
    for (used, code) in enrolled.codes.iter().enumerate() {
        alice.sign_out();
        let page = recover(&mut alice, "alice", code);
        let left = 4 - used;
        let shown = text(&page.text());
        let told = shown.contains(&format!("{left} recovery code"));
        assert_eq!(told || (left == 0 && shown.contains("recovery code")), left <= 3, "{left} left: {shown}");
    }
    // By the app too, as long as few are left.
    alice.sign_out();
    let page = alice.give_password("alice", PASSWORD);
    assert!(!page.text().contains("/second-factor/recovery"), "no other way is offered where no code is left");
    let page = alice.give_code(&page, &gate.fresh_code(&enrolled.key), false);
    assert!(text(&page.text()).contains("recovery code"), "{}: {}", alice.path, text(&page.text()));
}

#[test]
fn a36_wrong_recovery_codes_are_counted() {
    let upstream = Recorder::ok();
    let mut gate = builder(&upstream).set("lockout.max_in_row", "20").start();
    let mut alice = Client::new(&gate);
    let enrolled = alice.enrol_with_codes(&gate, "alice");
    alice.sign_out();

    for round in 0..2 {
        alice.give_password("alice", PASSWORD);
        for _ in 0..10 {
            let page = alice.give_recovery_code(&another(&enrolled.codes[0]));
            refused(&alice, &page);
        }
        if round == 0 {
            // Ten wrong ones end this login; the right one is not looked at.
            let page = alice.get("/.sekisho/second-factor/recovery");
            if asked_for(&page) == "code" {
                let page = alice.give_recovery_code(&enrolled.codes[0]);
                refused(&alice, &page);
            }
            gate.restart();
            alice.follow(&gate);
        }
    }
    // Twenty in a row: neither way is open any more, in any browser.
    let mut elsewhere = Client::new(&gate);
    let page = elsewhere.give_password("alice", PASSWORD);
    if asked_for(&page) == "code" {
        let page = elsewhere.give_code(&page, &gate.fresh_code(&enrolled.key), false);
        refused(&elsewhere, &page);
        elsewhere.give_password("alice", PASSWORD);
        let page = elsewhere.give_recovery_code(&enrolled.codes[0]);
        refused(&elsewhere, &page);
    }
    assert!(gate.cli(&["user", "unlock", "alice"]).status.success());
    let mut elsewhere = Client::new(&gate);
    recover(&mut elsewhere, "alice", &enrolled.codes[0]);
    assert!(elsewhere.cookie("session").is_some(), "a manager opens it");
}

#[test]
fn a36_of_a_hundred_and_one_wrong_ones_a_hundred_are_judged_and_then_not_even_a_right_one() {
    let upstream = Recorder::ok();
    let mut gate = builder(&upstream).start();
    let mut alice = Client::new(&gate);
    let enrolled = alice.enrol_with_codes(&gate, "alice");
    alice.sign_out();
    for _ in 0..10 {
        // A right password begins another login, not another row.
        alice.give_password("alice", PASSWORD);
        let page = alice.open("/.sekisho/second-factor/recovery");
        let form = crate::harness::form_with(&page, "code");
        for _ in 0..10 {
            let page = alice.send(&form.clone().with("code", &another(&enrolled.codes[0])));
            refused(&alice, &page);
        }
    }
    gate.kill();
    gate.serve();
    alice.follow(&gate);
    for code in [another(&enrolled.codes[0]), enrolled.codes[0].clone()] {
        let page = alice.give_password("alice", PASSWORD);
        assert_eq!(asked_for(&page), "code");
        let page = alice.open("/.sekisho/second-factor/recovery");
        let form = crate::harness::form_with(&page, "code").with("code", &code);
        let page = alice.submit(&form);
        refused(&alice, &page);
        assert_eq!(asked_for(&page), "password", "{}", text(&page.text()));
    }
    let events = gate.cli_json(&["audit", "search", "--user", "alice", "--limit", "1000"]);
    let judged = events.as_array().unwrap().iter().filter(|event| event["reason"] == "wrong or used recovery code");
    assert_eq!(judged.count(), 100);
}

#[test]
fn a36_a_new_set_made_by_its_owner_voids_the_one_before() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut alice = Client::new(&gate);
    let before = alice.enrol_with_codes(&gate, "alice").codes;
    let page = alice.open("/.sekisho/account/recovery-codes");
    let shown = alice.submit(&form_to(&page, "/account/recovery-codes"));
    let after = recovery_codes_in(&shown);
    assert_eq!(after.iter().collect::<BTreeSet<_>>().len(), 10, "{}: {}", alice.path, text(&shown.text()));
    assert!(after.iter().all(|code| code.len() == 8 && !before.contains(code)));
    after.iter().for_each(|code| gate.secrets().add(code));
    alice.save_recovery_codes(shown);
    alice.sign_out();
    for code in &before {
        let answer = recover(&mut alice, "alice", code);
        refused(&alice, &answer);
    }
    recover(&mut alice, "alice", &after[0]);
    assert!(alice.cookie("session").is_some());
    assert_eq!(gate.cli_json(&["user", "show", "alice"])["second_factor"]["recovery_codes_left"], 9);
}

#[test]
fn f07_a_reset_or_another_method_voids_the_codes() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut alice = Client::new(&gate);
    let mut codes = alice.enrol_with_codes(&gate, "alice").codes;
    for command in [&["user", "reset-second-factor", "alice"][..], &["user", "set", "alice", "--second-factor", "off"]]
    {
        assert!(gate.cli(command).status.success());
        let mut browser = Client::new(&gate);
        let fresh = browser.enrol_with_codes(&gate, "alice").codes;
        assert!(fresh.iter().all(|code| !codes.contains(code)));
        browser.sign_out();
        let answer = recover(&mut browser, "alice", &codes[0]);
        refused(&browser, &answer);
        let answer = browser.give_recovery_code(&fresh[0]);
        assert!(browser.cookie("session").is_some(), "{}", text(&answer.text()));
        codes = fresh;
    }
}

#[test]
fn f07_odd_settings_are_followed() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).set("second_factor.recovery_codes", "{count: 20, digits: 8, low_water: 0}").start();
    let mut alice = Client::new(&gate);
    let codes = alice.enrol_with_codes(&gate, "alice").codes;
    assert_eq!(codes.len(), 20);
    alice.sign_out();
    let answer = recover(&mut alice, "alice", &codes[19]);
    assert!(alice.cookie("session").is_some(), "{}", text(&answer.text()));
}
