//! Enrolling an app (F3–F6, F16, A31, A32): who may, what is shown, what happens when two are at it, and how it is undone.

use std::time::Duration;

use crate::harness::second_step::asked_for;
use crate::harness::{Builder, Client, PASSWORD, Recorder, Sekisho, form_to, form_with, key_of, text, totp};

fn builder(upstream: &Recorder) -> Builder {
    Sekisho::builder().cheap_hashes().upstream(&upstream.url()).user("alice", &["--email", "alice@example.com"]).clock()
}

#[test]
fn f03_each_login_offers_a_key_of_its_own_that_counts_only_once_it_is_proved() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut first = Client::new(&gate);
    let mut second = Client::new(&gate);
    let (here, there) = (first.give_password("alice", PASSWORD), second.give_password("alice", PASSWORD));
    assert_ne!(key_of(&here), key_of(&there));
    assert_eq!(key_of(&first.open("/.sekisho/enrol")), key_of(&here), "a reload shows the same key");
    let page = first.give_code(&here, "000000", false);
    assert_eq!(key_of(&page), key_of(&here), "and so does a wrong code");
    assert_eq!(first.get("/").status, 303, "nothing is open before it is proved");
    first.finish_enrolment(&gate, &page);
}

#[test]
fn f04_where_it_is_required_cancelling_leads_back_to_the_login() {
    let upstream = Recorder::ok();
    for policy in ["required", "per_user"] {
        let gate =
            builder(&upstream).set("second_factor.policy", policy).user("bob", &["--second-factor", "on"]).start();
        let mut bob = Client::new(&gate);
        let page = bob.give_password("bob", PASSWORD);
        let key = key_of(&page);
        gate.secrets().add(&key);
        let page = bob.submit(&form_to(&page, "/enrol/cancel"));
        assert_eq!(asked_for(&page), "password", "{policy}: {}", bob.path);
        assert!(bob.cookie("session").is_none());
        // Nothing of it is left, and the account is as it was.
        let shown = gate.cli_json(&["user", "show", "bob"]);
        assert_eq!(
            shown["second_factor"]["enrolled"].as_bool().or(shown["enrolled"].as_bool()),
            Some(false),
            "{shown}"
        );
        let page = bob.give_password("bob", PASSWORD);
        assert_ne!(key_of(&page), key);
        bob.finish_enrolment(&gate, &page);
    }
}

#[test]
fn f04_where_it_is_switched_off_meanwhile_nobody_is_stuck() {
    let upstream = Recorder::ok();
    let gate =
        builder(&upstream).set("second_factor.policy", "per_user").user("bob", &["--second-factor", "on"]).start();
    let mut bob = Client::new(&gate);
    let page = bob.give_password("bob", PASSWORD);
    let key = key_of(&page);
    assert!(gate.cli(&["user", "set", "bob", "--second-factor", "off"]).status.success());
    let code = gate.fresh_code(&key);
    let page = bob.submit(&form_with(&page, "code").with("code", &code));
    assert_eq!(asked_for(&page), "password", "settings were changed meanwhile (F14): {}", text(&page.text()));
    assert_eq!(bob.give_password("bob", PASSWORD).text(), "ok", "and now no code is asked for");
}

#[test]
fn f05_a_managers_on_makes_the_owner_enrol_and_shows_the_manager_no_key() {
    let upstream = Recorder::ok();
    let gate =
        builder(&upstream).set("second_factor.policy", "per_user").user("bob", &["--second-factor", "off"]).start();
    let mut bob = Client::new(&gate);
    assert_eq!(bob.give_password("bob", PASSWORD).text(), "ok");
    let on = gate.cli(&["user", "set", "bob", "--second-factor", "on", "--json"]);
    assert!(on.status.success(), "{on:?}");
    let said = format!("{}{}", String::from_utf8_lossy(&on.stdout), String::from_utf8_lossy(&on.stderr));
    assert!(totp::key_in(&said).is_none() && !said.contains("otpauth"), "{said}");

    // The session that had only a password is asked for more at its next request.
    let page = bob.open("/");
    assert_ne!(page.text(), "ok");
    let page = if asked_for(&page) == "password" { bob.fill_password(&page, "bob", PASSWORD) } else { page };
    bob.finish_enrolment(&gate, &page);
    assert_eq!(bob.get("/").text(), "ok");
}

#[test]
fn f06_off_and_on_again_is_a_reset_with_a_new_key() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut alice = Client::new(&gate);
    let old = alice.sign_in_enrol_and_remember(&gate, "alice");
    for word in ["off", "on"] {
        assert!(gate.cli(&["user", "set", "alice", "--second-factor", word]).status.success());
    }
    assert_eq!(alice.get("/").status, 303, "sessions end with it");
    alice.cookies.retain(|name, _| name != "sekisho-session");
    let page = alice.give_password("alice", PASSWORD);
    assert_ne!(key_of(&page), old, "a new QR code at the next login, the remembered device notwithstanding");
    let refused = alice.give_code(&page, &gate.fresh_code(&old), false);
    assert_eq!(asked_for(&refused), "code");
    assert!(alice.cookie("session").is_none());
    alice.finish_enrolment(&gate, &refused);
}

#[test]
fn f03_of_two_browsers_that_enrol_at_once_the_first_wins() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut first = Client::new(&gate);
    let mut second = Client::new(&gate);
    let (here, there) = (first.give_password("alice", PASSWORD), second.give_password("alice", PASSWORD));
    let (own, other) = (key_of(&here), key_of(&there));
    first.finish_enrolment(&gate, &here);
    gate.secrets().add(&other);
    second.submit(&form_with(&there, "code").with("code", &gate.fresh_code(&other)));
    assert!(second.cookie("session").is_none(), "the second one enrols nothing: {}", second.path);
    let mut elsewhere = Client::new(&gate);
    let page = elsewhere.give_password("alice", PASSWORD);
    let page = elsewhere.give_code(&page, &gate.fresh_code(&other), false);
    assert!(elsewhere.cookie("session").is_none(), "{}", text(&page.text()));
    assert_eq!(elsewhere.give_code(&page, &gate.fresh_code(&own), false).text(), "ok");
}

#[test]
fn f03_of_many_that_prove_their_keys_in_the_same_moment_one_wins() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    for _ in 0..5 {
        let ready: Vec<_> = (0..8)
            .map(|_| {
                let mut browser = Client::new(&gate);
                let page = browser.give_password("alice", PASSWORD);
                let key = key_of(&page);
                let code = gate.code(&key);
                (browser, form_with(&page, "code").with("code", &code))
            })
            .collect();
        let start = std::sync::Barrier::new(ready.len());
        let won = std::thread::scope(|scope| {
            let posts: Vec<_> = ready
                .into_iter()
                .map(|(mut browser, form)| {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        let answer = browser.send(&form);
                        assert!(answer.status < 500, "{}", answer.status);
                        let led = answer.header("location").is_some_and(|to| to.ends_with("/enrol/recovery-codes"));
                        led || browser.cookie("session").is_some()
                    })
                })
                .collect();
            posts.into_iter().map(|post| post.join().unwrap()).filter(|won| *won).count()
        });
        assert_eq!(won, 1);
        assert!(gate.cli(&["user", "reset-second-factor", "alice"]).status.success());
    }
}

#[test]
fn a31_one_step_of_drift_either_way_is_forgiven_and_two_are_not() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    for (steps, good) in [(-2_i64, false), (-1, true), (0, true), (1, true), (2, false)] {
        let mut alice = Client::new(&gate);
        let key = alice.sign_in_and_enrol(&gate, "alice");
        alice.sign_out();
        // Well past the step that the enrolment spent.
        gate.advance(Duration::from_secs(300));
        let page = alice.give_password("alice", PASSWORD);
        // In the middle of a step, so that none begins while the code travels.
        let into = gate.unix_now() % 30;
        gate.advance(Duration::from_secs((40 - into) % 30));
        let at = gate.unix_now().checked_add_signed(30 * steps).unwrap();
        let code = totp::code_at(&key, at);
        gate.secrets().add(&code);
        alice.give_code(&page, &code, false);
        assert_eq!(alice.cookie("session").is_some(), good, "{steps} steps away");
        assert!(gate.cli(&["user", "reset-second-factor", "alice"]).status.success());
    }
}

#[test]
fn f16_the_clock_is_blamed_after_repeated_failures() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut alice = Client::new(&gate);
    let key = alice.sign_in_and_enrol(&gate, "alice");
    alice.sign_out();
    for (language, words) in [("en", "clock"), ("ja", "時刻")] {
        let mut alice = Client::new(&gate);
        alice.language = language.into();
        let mut page = alice.give_password("alice", PASSWORD);
        for tried in 1..=3 {
            // A phone that is an hour slow.
            let code = totp::code_at(&key, gate.unix_now() - 3600);
            page = alice.give_code(&page, &code, false);
            let said = text(&page.text());
            assert_eq!(said.contains(words), tried >= 3, "try {tried}: {said}");
        }
    }
}

#[test]
fn f05_where_owners_alone_switch_on_a_manager_only_switches_off() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream)
        .set("second_factor.policy", "per_user")
        .set("second_factor.switched_on_by", "owner")
        .user("bob", &[])
        .start();
    let on = gate.cli(&["user", "set", "bob", "--second-factor", "on"]);
    assert_eq!(on.status.code(), Some(1), "{on:?}");
    assert!(String::from_utf8_lossy(&on.stderr).contains("owner"), "{on:?}");
    let added = gate.cli_with_input(
        &["user", "add", "carol", "--second-factor", "on", "--password-stdin"],
        &format!("{PASSWORD}\n"),
    );
    assert_eq!(added.status.code(), Some(1), "{added:?}");
    assert!(gate.cli(&["user", "set", "bob", "--second-factor", "off"]).status.success());
    assert_eq!(Client::new(&gate).give_password("bob", PASSWORD).text(), "ok");
}

#[test]
fn f16_other_digits_and_another_period_are_followed_by_page_and_judge() {
    let upstream = Recorder::ok();
    let gate =
        builder(&upstream).set("second_factor.totp", "{issuer: \"Shop\", period: 60s, digits: 8, skew: 0}").start();
    let mut alice = Client::new(&gate);
    let page = alice.give_password("alice", PASSWORD);
    let key = key_of(&page);
    gate.secrets().add(&key);
    assert!(page.text().contains("digits=8") && page.text().contains("period=60"), "{}", page.text());
    let code_at = |unix: u64| {
        let output = std::process::Command::new("oathtool")
            .args(["--totp", "--base32", "--digits=8", "--time-step-size=60s", "--now", &format!("@{unix}")])
            .arg(key.replace(' ', ""))
            .output()
            .expect("oathtool runs");
        let code = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        gate.secrets().add(&code);
        code
    };
    // Without skew the step before is refused.
    let refused = alice.give_code(&page, &code_at(gate.unix_now() - 60), false);
    assert_eq!(asked_for(&refused), "code");
    let shown = alice.give_code(&refused, &code_at(gate.unix_now()), false);
    alice.save_recovery_codes(shown);
    assert_eq!(alice.get("/").text(), "ok");
}
