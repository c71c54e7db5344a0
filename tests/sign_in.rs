//! Signing in, staying in, signing out: the road of one person through the wall, with the clock moved where time matters.

use std::time::Duration;

use crate::harness::{Client, PASSWORD, Recorder, Sekisho, form_to, form_with, key_of, text};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Loose enough that only what a test is about runs out.
fn gate(upstream: &Recorder) -> crate::harness::Builder {
    Sekisho::builder()
        .set("session", "{idle_timeout: 12h, max_lifetime: 1d}")
        .route("{name: all, upstream: UPSTREAM}", &upstream.url())
        .user("alice", &["--name", "山田 花子", "--email", "alice@example.com", "--group", "ops", "--group", "shop"])
}

/// Whether this page asks for a password, a code, or nothing.
fn asked_for(page: &crate::harness::Response) -> &'static str {
    let names: Vec<String> = crate::harness::forms(&page.text()).into_iter().flat_map(|form| form.names).collect();
    let has = |name: &str| names.iter().any(|known| known == name);
    match (has("password"), has("code")) {
        (true, _) => "password",
        (_, true) => "code",
        _ => "nothing",
    }
}

#[test]
fn a_first_login_enrols_and_leads_back_to_where_one_was() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    let mut alice = Client::new(&gate);
    alice.cookies.insert("tool".into(), "kept".into());

    let login = alice.open("/orders/7?sort=%E5%90%8D&page=2");
    assert!(alice.path.starts_with("/.sekisho/login?return_to="), "{}", alice.path);
    let enrol = alice.fill_password(&login, "alice", PASSWORD);
    assert!(alice.path.starts_with("/.sekisho/enrol"), "{}", alice.path);
    assert!(alice.cookie("session").is_none(), "a password alone makes no session");
    assert_eq!(upstream.bytes(), 0, "nothing reaches the tool before the second factor");

    let key = key_of(&enrol);
    assert_eq!(key.replace(' ', "").len(), 32, "160 bits in base32");
    let codes = alice.give_code(&enrol, &gate.code(&key), false);
    assert!(alice.cookie("session").is_none(), "not before the recovery codes are saved");
    let landed = alice.save_recovery_codes(codes);
    assert_eq!((landed.status, landed.text().as_str()), (200, "ok"));
    assert_eq!(alice.path, "/orders/7?sort=%E5%90%8D&page=2");

    let request = upstream.last();
    assert_eq!(request.target(), "/orders/7?sort=%E5%90%8D&page=2");
    assert_eq!(request.header("remote-user"), Some("alice"));
    assert_eq!(request.header("remote-groups"), Some("ops,shop"));
    assert_eq!(request.header("remote-email"), Some("alice@example.com"));
    assert_eq!(request.header("remote-name"), Some("%E5%B1%B1%E7%94%B0 %E8%8A%B1%E5%AD%90"));
    assert_eq!(request.header("cookie"), Some("tool=kept"), "only the tool's own cookies reach the tool");
}

#[test]
fn an_enrolled_key_is_never_shown_again() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    let mut alice = Client::new(&gate);
    alice.sign_in_and_enrol(&gate, "alice");

    let mut elsewhere = Client::new(&gate);
    let page = elsewhere.give_password("alice", PASSWORD);
    assert_eq!(asked_for(&page), "code");
    let enrol = elsewhere.open("/.sekisho/enrol");
    assert!(crate::harness::totp::key_in(&text(&enrol.text())).is_none(), "{}", enrol.text());
}

#[test]
fn a_cancelled_enrolment_leaves_nothing_behind() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    let mut alice = Client::new(&gate);
    let page = alice.give_password("alice", PASSWORD);
    let first = key_of(&page);
    let page = alice.submit(&crate::harness::form_to(&page, "/enrol/cancel"));
    assert_eq!(asked_for(&page), "password", "{}", alice.path);
    assert!(alice.cookie("session").is_none());

    let page = alice.give_password("alice", PASSWORD);
    assert_ne!(key_of(&page), first, "each enrolment has a key of its own");
    let refused = alice.give_code(&page, &gate.code(&first), false);
    assert_eq!(asked_for(&refused), "code", "the cancelled key opens nothing");
}

#[test]
fn a_remembered_device_is_spared_the_code_until_the_interval_has_passed() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).user("bob", &[]).clock().start();
    let mut browser = Client::new(&gate);
    let key = browser.sign_in_enrol_and_remember(&gate, "alice");
    browser.sign_out();

    gate.advance(6 * DAY);
    let page = browser.give_password("alice", PASSWORD);
    assert_eq!((page.status, page.text().as_str()), (200, "ok"), "six days later the device is still known");
    browser.sign_out();

    let other = browser.give_password("bob", PASSWORD);
    assert_eq!(asked_for(&other), "code", "the device is known for alice alone");
    let mut elsewhere = Client::new(&gate);
    assert_eq!(asked_for(&elsewhere.give_password("alice", PASSWORD)), "code", "another browser is not known");

    gate.advance(DAY + HOUR);
    let page = browser.give_password("alice", PASSWORD);
    assert_eq!(asked_for(&page), "code", "a spared login must not have moved the interval forward");
    let landed = browser.give_code(&page, &gate.fresh_code(&key), true);
    assert_eq!(landed.text(), "ok");
    browser.sign_out();
    assert_eq!(browser.give_password("alice", PASSWORD).text(), "ok", "and the new code counts for seven more days");
}

#[test]
fn a_device_that_is_not_to_be_remembered_is_asked_each_time() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).clock().start();
    let mut alice = Client::new(&gate);
    let key = alice.sign_in_and_enrol(&gate, "alice");
    alice.sign_out();
    let page = alice.give_password("alice", PASSWORD);
    assert_eq!(asked_for(&page), "code");
    assert_eq!(alice.give_code(&page, &gate.fresh_code(&key), false).text(), "ok");
}

#[test]
fn a_route_with_a_shorter_interval_asks_for_the_code_during_a_session() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream)
        .route("{name: payouts, path: /payouts, upstream: UPSTREAM, recheck_interval: 1h}", &upstream.url())
        .clock()
        .start();
    let mut alice = Client::new(&gate);
    let key = alice.sign_in_and_enrol(&gate, "alice");
    let before = alice.cookie("session");
    assert_eq!(alice.get("/payouts").status, 200, "the code was given just now");

    gate.advance(HOUR + MINUTE);
    assert_eq!(alice.get("/orders").status, 200, "elsewhere the session goes on");
    upstream.clear();
    let script = alice.fetch("GET", "/payouts/9", b"");
    assert_eq!((script.status, script.json()["code"].as_str()), (401, Some("second_factor_required")));
    let page = alice.open("/payouts/9?a=b");
    assert_eq!(asked_for(&page), "code", "{}", alice.path);
    assert_eq!(upstream.bytes(), 0);
    let landed = alice.give_code(&page, &gate.fresh_code(&key), false);
    assert_eq!((landed.status, alice.path.as_str()), (200, "/payouts/9?a=b"));
    assert_ne!(alice.cookie("session"), before, "what may do more has a new value");
    assert_eq!(upstream.last().target(), "/payouts/9?a=b");
}

#[test]
fn a_logged_out_session_is_dead_for_whoever_kept_its_cookie() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    let mut alice = Client::new(&gate);
    alice.sign_in_and_enrol(&gate, "alice");
    let mut thief = alice.copy();
    assert_eq!(thief.get("/").status, 200);

    let asked = alice.open("/.sekisho/logout");
    assert_eq!(alice.get("/").status, 200, "GET /logout asks and ends nothing");
    alice.submit(&crate::harness::form_to(&asked, "/logout"));
    assert!(alice.cookie("session").is_none(), "the browser's cookie is cleared");
    upstream.clear();
    assert_eq!(thief.get("/").status, 303);
    assert_eq!(thief.fetch("GET", "/", b"").status, 401);
    assert_eq!(upstream.bytes(), 0);
}

#[test]
fn an_idle_session_ends_and_one_in_use_does_not() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).set("session.idle_timeout", "30m").clock().start();
    let mut alice = Client::new(&gate);
    alice.sign_in_and_enrol(&gate, "alice");
    for _ in 0..4 {
        gate.advance(20 * MINUTE);
        assert_eq!(alice.get("/").status, 200, "used within the half hour");
    }
    gate.advance(31 * MINUTE);
    upstream.clear();
    assert_eq!(alice.get("/").status, 303);
    assert_eq!(upstream.bytes(), 0);
}

#[test]
fn a_session_in_constant_use_ends_at_its_longest_lifetime() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).set("session", "{idle_timeout: 1h, max_lifetime: 3h}").clock().start();
    let mut alice = Client::new(&gate);
    alice.sign_in_and_enrol(&gate, "alice");
    for _ in 0..5 {
        gate.advance(35 * MINUTE);
        assert_eq!(alice.get("/").status, 200);
    }
    gate.advance(10 * MINUTE);
    assert_eq!(alice.get("/").status, 303);
}

#[test]
fn wrong_passwords_and_codes_are_told_apart_from_right_ones_and_nothing_more() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).clock().start();
    let mut alice = Client::new(&gate);
    let key = alice.sign_in_and_enrol(&gate, "alice");
    alice.sign_out();

    let wrong = alice.give_password("alice", "Wrong-horse-8");
    let unknown = Client::new(&gate).give_password("nobody", "Wrong-horse-8");
    for page in [&wrong, &unknown] {
        assert_eq!(page.status, 401);
        assert!(text(&page.text()).contains("The login or password is wrong"), "{}", text(&page.text()));
    }
    assert_eq!(wrong.body.len(), unknown.body.len(), "not even the length tells whether there is such an account");

    let page = alice.give_password("alice", PASSWORD);
    let refused = alice.give_code(&page, "000000", false);
    assert!(text(&refused.text()).contains("That code is wrong"), "{}", text(&refused.text()));
    let code = gate.fresh_code(&key);
    // Full-width digits and blanks, as phones and input methods write them.
    let wide: String = code.chars().map(|c| char::from_u32(c as u32 - '0' as u32 + '０' as u32).unwrap()).collect();
    let landed = alice.give_code(&refused, &format!(" {} {}", &wide[..9], &wide[9..]), false);
    assert_eq!(landed.text(), "ok", "{}", text(&landed.text()));

    let mut again = Client::new(&gate);
    let page = again.give_password("alice", PASSWORD);
    let refused = again.give_code(&page, &code, false);
    assert!(text(&refused.text()).contains("used already"), "{}", text(&refused.text()));
    assert!(again.cookie("session").is_none());
}

#[test]
fn an_account_is_locked_after_five_wrong_passwords_and_opens_with_time_or_by_hand() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).clock().start();
    let mut browser = Client::new(&gate);
    for _ in 0..5 {
        assert_eq!(browser.give_password("alice", "Wrong-horse-8").status, 401);
    }
    let locked = browser.give_password("alice", PASSWORD);
    assert_eq!(asked_for(&locked), "password");
    assert!(text(&locked.text()).contains("locked for a while"), "{}", text(&locked.text()));
    gate.advance(16 * MINUTE);
    assert_eq!(asked_for(&browser.give_password("alice", PASSWORD)), "code", "time opens it");

    for _ in 0..5 {
        browser.give_password("alice", "Wrong-horse-8");
    }
    assert_eq!(asked_for(&browser.give_password("alice", PASSWORD)), "password");
    let unlocked = gate.cli(&["user", "unlock", "alice"]);
    assert!(unlocked.status.success(), "{unlocked:?}");
    assert_eq!(asked_for(&browser.give_password("alice", PASSWORD)), "code", "and so does a manager");
}

#[test]
fn nobody_is_led_off_the_host_after_a_login() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).set("second_factor.policy", "off").start();
    for evil in [
        "//evil.test",
        "///evil.test",
        "/\\evil.test",
        "\\/evil.test",
        "https:evil.test",
        "https://evil.test",
        "//app.test@evil.test",
        "javascript:alert(1)",
        "/%5cevil.test",
        "%2f%2fevil.test",
        "http://app.test.evil.test/",
        "/a\r\nSet-Cookie: x=1",
        "/.sekisho/logout",
        "",
    ] {
        let mut alice = Client::new(&gate);
        let page = alice.open(&format!("/.sekisho/login?return_to={}", crate::harness::encoded(evil)));
        let form = form_with(&page, "password").with("login", "alice").with("password", PASSWORD);
        // The page's own field, and one changed by hand.
        for form in [form.clone(), form.with("return_to", evil)] {
            let answer = alice.copy().send(&form);
            assert_eq!(answer.status, 303, "{evil:?}: {}", text(&answer.text()));
            assert_eq!(answer.header("location"), Some("/"), "{evil:?}");
            assert_eq!(answer.cookie("x"), None, "{evil:?}");
        }
    }
}

#[test]
fn a_form_without_its_token_does_nothing() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).set("second_factor.policy", "off").start();
    let mut alice = Client::new(&gate);
    let page = alice.open("/");
    let form = form_with(&page, "password").with("login", "alice").with("password", PASSWORD);
    let mut stranger = Client::new(&gate);
    for (who, form) in [(&mut alice.copy(), form.clone().with("csrf", "")), (&mut stranger, form.clone())] {
        let answer = who.send(&form);
        assert!(answer.cookie("sekisho-session").is_none(), "{}", answer.status);
        assert_ne!(answer.status, 303);
    }
    let cross = "Origin: https://evil.test\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n";
    let answer = alice.copy().request("POST", &form.action, cross, form.encoded().as_bytes());
    assert_eq!(answer.status, 403, "another site's form is refused, token or not");
    assert_eq!(alice.submit(&form).text(), "ok", "the page's own form works");

    let asked = alice.open("/.sekisho/logout");
    let logout = crate::harness::form_to(&asked, "/logout").with("csrf", "forged");
    alice.copy().send(&logout);
    assert_eq!(alice.get("/").status, 200, "a forged logout ends nothing");
}

#[test]
fn sessions_and_devices_survive_a_restart_and_a_kill() {
    let upstream = Recorder::ok();
    let mut gate = gate(&upstream).start();
    let mut alice = Client::new(&gate);
    alice.sign_in_enrol_and_remember(&gate, "alice");
    assert!(gate.stop().success(), "asked to end, it ends with status 0");
    gate.serve();
    alice.follow(&gate);
    assert_eq!(alice.get("/").status, 200, "after a restart");
    gate.kill();
    gate.serve();
    alice.follow(&gate);
    assert_eq!(alice.get("/").status, 200, "after kill -9");
    alice.sign_out();
    gate.kill();
    gate.serve();
    alice.follow(&gate);
    assert_eq!(alice.get("/").status, 303, "a logout that was answered is never undone");
    assert_eq!(alice.give_password("alice", PASSWORD).text(), "ok", "the device is still known");
}

#[test]
fn a_disabled_account_is_out_at_its_next_request() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    let mut alice = Client::new(&gate);
    alice.sign_in_and_enrol(&gate, "alice");
    let disabled = gate.cli(&["user", "disable", "alice"]);
    assert!(disabled.status.success(), "{disabled:?}");
    assert_eq!(alice.get("/").status, 303);
    let page = alice.give_password("alice", PASSWORD);
    assert!(text(&page.text()).contains("The login or password is wrong"), "{}", text(&page.text()));
}

#[test]
fn over_tls_every_cookie_is_bound_to_host_and_scheme() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).tls(&["app.test"]).start();
    let mut alice = Client::tls(&gate, "app.test");
    let page = alice.give_password("alice", PASSWORD);
    let key = key_of(&page);
    let form = form_with(&page, "code").with("code", &gate.code(&key)).ticked("remember");
    alice.send(&form);
    let codes = alice.get("/.sekisho/enrol/recovery-codes");
    let answer = alice.send(&form_to(&codes, "/enrol/recovery-codes"));
    let set = answer.all("set-cookie");
    assert!(set.iter().any(|line| line.starts_with("__Host-sekisho-session=")), "{set:?}");
    assert!(set.iter().any(|line| line.starts_with("__Host-sekisho-device=")), "{set:?}");
    for line in set {
        for part in ["; Secure", "; HttpOnly", "; Path=/", "; SameSite="] {
            assert!(line.contains(part), "{part} is missing: {line}");
        }
        assert!(!line.to_lowercase().contains("domain="), "{line}");
    }
    assert_eq!(alice.get("/").status, 200);
    let value = alice.cookie("session").unwrap();
    let mut plain_name = Client::tls(&gate, "app.test");
    plain_name.cookies.insert("sekisho-session".into(), value);
    assert_eq!(plain_name.get("/").status, 303, "the name that plain HTTP uses means nothing here");
}
