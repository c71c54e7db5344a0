//! The device access key (F11–F13, A42): whom it spares the code, for how long, and what ends it.

use std::time::Duration;

use crate::harness::second_step::asked_for;
use crate::harness::{Builder, Client, PASSWORD, Recorder, Response, Sekisho, form_with, text};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

fn builder(upstream: &Recorder) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("session", "{idle_timeout: 12h, max_lifetime: 1d}")
        .upstream(&upstream.url())
        .user("alice", &["--email", "alice@example.com"])
        .clock()
}

fn offers_the_box(page: &Response) -> bool {
    crate::harness::forms(&page.text()).iter().any(|form| form.names.iter().any(|name| name == "remember"))
}

#[test]
fn f13_ask_spares_the_code_where_the_box_was_ticked() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut alice = Client::new(&gate);
    let key = alice.sign_in_and_enrol(&gate, "alice");
    alice.sign_out();
    let page = alice.give_password("alice", PASSWORD);
    assert_eq!(asked_for(&page), "code", "the box was not ticked");
    assert!(offers_the_box(&page));
    assert!(text(&page.text()).contains("on this device for 7 days"), "{}", text(&page.text()));
    alice.give_code(&page, &gate.fresh_code(&key), true);
    alice.sign_out();
    assert_eq!(alice.give_password("alice", PASSWORD).text(), "ok");
}

#[test]
fn f13_always_spares_the_code_without_a_box() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).set("second_factor.remember_device", "always").start();
    let mut alice = Client::new(&gate);
    let page = alice.give_password("alice", PASSWORD);
    assert!(!offers_the_box(&page), "nothing to choose");
    alice.finish_enrolment(&gate, &page);
    alice.sign_out();
    assert_eq!(alice.give_password("alice", PASSWORD).text(), "ok");
    let mut elsewhere = Client::new(&gate);
    let page = elsewhere.give_password("alice", PASSWORD);
    assert_eq!(asked_for(&page), "code");
    assert!(!offers_the_box(&page));
}

#[test]
fn f13_never_asks_each_time_whatever_the_form_says() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).set("second_factor.remember_device", "never").start();
    let mut alice = Client::new(&gate);
    let key = alice.sign_in_and_enrol(&gate, "alice");
    alice.sign_out();
    let page = alice.give_password("alice", PASSWORD);
    assert_eq!(asked_for(&page), "code");
    assert!(!offers_the_box(&page));
    let form = form_with(&page, "code").with("code", &gate.fresh_code(&key)).with("remember", "on");
    assert_eq!(alice.submit(&form).text(), "ok");
    alice.sign_out();
    assert_eq!(asked_for(&alice.give_password("alice", PASSWORD)), "code", "a box of one's own making spares nothing");
}

#[test]
fn f13_the_box_names_the_days_in_force_on_the_route() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream)
        .route("{name: daily, path: /daily, upstream: UPSTREAM, recheck_interval: 1d}", &upstream.url())
        .route("{name: monthly, path: /monthly, upstream: UPSTREAM, recheck_interval: 30d}", &upstream.url())
        .start();
    let mut alice = Client::new(&gate);
    alice.sign_in_and_enrol(&gate, "alice");
    for (language, path, words) in [
        ("en", "/daily", "for 1 day"),
        ("en", "/monthly/x", "for 30 days"),
        ("en", "/other", "for 7 days"),
        ("ja", "/daily", "1日"),
        ("ja", "/other", "7日"),
    ] {
        let mut browser = Client::new(&gate);
        browser.language = language.into();
        let login = browser.open(path);
        let page = browser.fill_password(&login, "alice", PASSWORD);
        assert!(text(&page.text()).contains(words), "{path}: {}", text(&page.text()));
    }
}

#[test]
fn f12_the_interval_counts_from_the_last_code_and_ends_by_itself() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).set("second_factor.recheck_interval", "2d").start();
    let mut alice = Client::new(&gate);
    let key = alice.sign_in_enrol_and_remember(&gate, "alice");
    alice.sign_out();
    gate.advance(2 * DAY - HOUR);
    assert_eq!(alice.give_password("alice", PASSWORD).text(), "ok");
    gate.advance(HOUR);
    let page = alice.open("/orders");
    assert_eq!(asked_for(&page), "code", "during a session too: {}", alice.path);
    assert_eq!(alice.give_code(&page, &gate.fresh_code(&key), false).text(), "ok");
}

#[test]
fn a42_a_device_key_is_one_accounts_and_one_values() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).user("bob", &[]).start();
    let mut browser = Client::new(&gate);
    browser.sign_in_enrol_and_remember(&gate, "alice");
    browser.sign_out();
    let device = browser.cookie("device").expect("the browser has a device key");
    let mut bobs = Client::new(&gate);
    bobs.sign_in_and_enrol(&gate, "bob");
    bobs.sign_out();

    let mut as_bob = browser.copy();
    assert_eq!(asked_for(&as_bob.give_password("bob", PASSWORD)), "code");
    let flipped = |at: usize| {
        let mut bytes = device.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    for value in
        [flipped(0), flipped(device.len() / 2), device.to_lowercase(), device[1..].to_owned(), format!("{device}A")]
    {
        if value == device {
            continue;
        }
        let mut other = browser.copy();
        other.cookies.insert("sekisho-device".into(), value);
        assert_eq!(asked_for(&other.give_password("alice", PASSWORD)), "code");
    }
    assert_eq!(browser.give_password("alice", PASSWORD).text(), "ok", "its own value spares its own account");
}

#[test]
fn a42_what_ends_a_device_key() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let new_password = "Battery-staple-8";
    gate.secrets().add(new_password);
    let cases: [(&str, &[&str], &str); 3] = [
        ("a reset", &["user", "reset-second-factor", "alice"], PASSWORD),
        ("off and on", &["user", "set", "alice", "--second-factor", "off"], PASSWORD),
        ("another password", &["user", "passwd", "alice", "--password-stdin"], new_password),
    ];
    for (what, args, password) in cases {
        let mut browser = Client::new(&gate);
        browser.sign_in_enrol_and_remember(&gate, "alice");
        browser.sign_out();
        assert_eq!(browser.give_password("alice", PASSWORD).text(), "ok", "{what}: the device is known");
        browser.sign_out();
        let output = gate.cli_with_input(args, &format!("{password}\n"));
        assert!(output.status.success(), "{what}: {output:?}");
        let page = browser.give_password("alice", password);
        assert_eq!(asked_for(&page), "code", "{what}: {}", browser.path);
    }
}

#[test]
fn f11_one_browser_keeps_a_key_for_each_account_and_each_code_renews_its_value() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).user("bob", &[]).start();
    let mut browser = Client::new(&gate);
    browser.sign_in_enrol_and_remember(&gate, "alice");
    let first = browser.cookie("device").expect("a device key");
    let mut kept_copy = browser.copy();
    browser.sign_out();
    browser.sign_in_enrol_and_remember(&gate, "bob");
    let second = browser.cookie("device").expect("a device key");
    assert_ne!(first, second, "a new value at every second factor");
    browser.sign_out();
    for login in ["alice", "bob", "alice"] {
        let page = browser.give_password(login, PASSWORD);
        assert_eq!(page.text(), "ok", "{login} is spared the code by the same cookie");
        browser.sign_out();
    }
    kept_copy.cookies.retain(|name, _| name == "sekisho-device");
    assert_eq!(asked_for(&kept_copy.give_password("alice", PASSWORD)), "code", "the old value spares nobody");
}
