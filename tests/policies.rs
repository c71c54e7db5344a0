//! Who has to give a second factor (F1): the gateway's word, the route's over it, the account's switch under `per_user`.

use crate::harness::second_step::asked_for;
use crate::harness::{Client, PASSWORD, Recorder, Sekisho, form_with, key_of, text, totp};

/// What the page after the password asks for: nothing (the tool's own page), or an app to be enrolled.
fn after_the_password(gate: &Sekisho, login: &str, path: &str) -> &'static str {
    let mut browser = Client::new(gate);
    let page = browser.open(path);
    let page = browser.fill_password(&page, login, PASSWORD);
    match (page.text().as_str(), totp::key_in(&text(&page.text()))) {
        ("ok", _) => "nothing",
        (_, Some(key)) => {
            gate.secrets().add(&key);
            "enrolment"
        }
        _ => panic!("neither let in nor asked: {} {}", browser.path, text(&page.text())),
    }
}

#[test]
fn f01_the_gateway_the_route_and_the_account_each_have_their_say() {
    let upstream = Recorder::ok();
    for gateway in ["required", "per_user", "off"] {
        let mut builder =
            Sekisho::builder().cheap_hashes().set("second_factor.policy", gateway).upstream(&upstream.url());
        for route in ["required", "per_user", "off"] {
            let yaml = format!("{{name: r-{route}, path: /{route}, upstream: UPSTREAM, second_factor: {route}}}");
            builder = builder.route(&yaml, &upstream.url());
        }
        let gate = builder.user("on", &["--second-factor", "on"]).user("off", &["--second-factor", "off"]).start();
        for (path, word) in [("/plain", gateway), ("/required", "required"), ("/per_user", "per_user"), ("/off", "off")]
        {
            for (login, switched_on) in [("on", true), ("off", false)] {
                let expected = match word {
                    "required" => "enrolment",
                    "per_user" if switched_on => "enrolment",
                    _ => "nothing",
                };
                let got = after_the_password(&gate, login, path);
                assert_eq!(got, expected, "gateway {gateway}, route {path}, account {login}");
            }
        }
    }
}

#[test]
fn f01_new_accounts_are_switched_on_where_the_policy_is_required() {
    let upstream = Recorder::ok();
    let gate = Sekisho::builder().cheap_hashes().upstream(&upstream.url()).user("alice", &[]).start();
    assert_eq!(after_the_password(&gate, "alice", "/"), "enrolment");
}

#[test]
fn f01_a_session_without_a_second_factor_is_stopped_at_a_route_that_requires_one() {
    let upstream = Recorder::ok();
    let gate = Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .upstream(&upstream.url())
        .route("{name: strict, path: /strict, upstream: UPSTREAM, second_factor: required}", &upstream.url())
        .user("alice", &[])
        .clock()
        .start();
    let mut alice = Client::new(&gate);
    assert_eq!(alice.give_password("alice", PASSWORD).text(), "ok");
    upstream.clear();
    for path in ["/strict", "/strict/deep?x=1"] {
        assert_eq!(alice.get(path).status, 303);
        let script = alice.fetch("GET", path, b"");
        assert_eq!(script.status, 401);
        let code = script.json()["code"].as_str().map(ToOwned::to_owned);
        assert!(matches!(code.as_deref(), Some("second_factor_required" | "enrolment_required")), "{code:?}");
        let post = alice.request("POST", path, "Accept: application/json\r\nContent-Type: text/plain\r\n", b"x");
        assert!(matches!(post.status, 401 | 403), "{}", post.status);
    }
    assert_eq!(upstream.bytes(), 0, "nothing reached the tool");
    assert_eq!(alice.get("/").text(), "ok", "elsewhere the session goes on");

    // Whoever enrols must have given the password just now.
    let page = alice.open("/strict");
    assert_eq!(asked_for(&page), "password", "{}: {}", alice.path, text(&page.text()));
    let page = alice.fill_password(&page, "alice", PASSWORD);
    let enrolled = alice.finish_enrolment(&gate, &page);
    assert_eq!(alice.get("/strict").text(), "ok");

    // From now on the strict route asks for a code where the session has none.
    alice.sign_out();
    assert_eq!(alice.give_password("alice", PASSWORD).text(), "ok", "the gateway's word is off");
    let page = alice.open("/strict/orders");
    assert_eq!(asked_for(&page), "code", "{}", alice.path);
    assert_eq!(alice.give_code(&page, &gate.fresh_code(&enrolled.key), false).text(), "ok");
    assert_eq!(alice.path, "/strict/orders");
}

#[test]
fn f01_under_required_switching_off_is_a_reset() {
    let upstream = Recorder::ok();
    let gate = Sekisho::builder().cheap_hashes().upstream(&upstream.url()).user("alice", &[]).clock().start();
    let mut alice = Client::new(&gate);
    let old = alice.sign_in_enrol_and_remember(&gate, "alice");
    assert!(gate.cli(&["user", "set", "alice", "--second-factor", "off"]).status.success());
    assert_eq!(alice.get("/").status, 303);
    alice.cookies.retain(|name, _| name != "sekisho-session");
    let page = alice.give_password("alice", PASSWORD);
    assert_ne!(key_of(&page), old);
    let form = form_with(&page, "code").with("code", &gate.fresh_code(&old));
    alice.send(&form);
    assert!(alice.cookie("session").is_none());
}
