//! One sign-on for several hosts (`portal.host`): one login opens all that a route names, each with a cookie of its own, and a sign-out
//! anywhere closes all.

use std::time::Duration;

use serde_json::json;

use self::person::{PORTAL, Person};
use crate::harness::second_step::asked_for;
use crate::harness::{Builder, Client, Recorder, Sekisho, key_of, text, wait_until};

mod attacks;
mod held;
mod in_the_browser;
mod person;

const MINUTE: Duration = Duration::from_secs(60);

pub fn builder(upstream: &Recorder) -> Builder {
    let url = upstream.url();
    Sekisho::builder()
        .cheap_hashes()
        .tls(&person::HOSTS)
        .set("portal.host", PORTAL)
        .set("second_factor.policy", "off")
        .route("{name: a, host: a.test, upstream: UPSTREAM}", &url)
        .route("{name: b, host: b.test, upstream: UPSTREAM}", &url)
        .route("{name: wild, host: '*.wild.test', upstream: UPSTREAM}", &url)
        .user("alice", &["--role", "admin"])
        .user("mallory", &[])
}

#[test]
fn one_login_opens_every_host_and_each_has_a_cookie_of_its_own() {
    let upstream = Recorder::ok();
    let mut gate = builder(&upstream).start();
    let mut alice = Person::new(&gate);

    let led = alice.on("a.test").get("/orders?page=2&x=%2F");
    assert_eq!(led.status, 303, "{}", led.text());
    let cookie = led.all("set-cookie").join("\n");
    assert!(cookie.contains("__Host-sekisho-handoff=") && cookie.contains("; Secure"), "{cookie}");
    assert!(cookie.contains("HttpOnly") && cookie.contains("Path=/") && !cookie.contains("Domain"), "{cookie}");
    let to = led.header("location").unwrap().to_owned();
    assert!(to.starts_with("https://auth.test/.sekisho/sign-on?to="), "{to}");
    assert!(!to.contains("orders") && !to.contains("a.test/"), "the way is sealed: {to}");

    let page = alice.sign_in("a.test", "/orders?page=2&x=%2F", "alice");
    assert_eq!((alice.at.0.as_str(), alice.at.1.as_str()), ("a.test", "/orders?page=2&x=%2F"));
    assert_eq!(page.text(), "ok");
    assert_eq!(upstream.last().header("remote-user"), Some("alice"));
    assert_eq!(upstream.last().header("cookie"), None, "no cookie of ours");
    assert_eq!(alice.on("a.test").cookie("handoff"), None, "it has done its work");

    for host in ["b.test", "one.wild.test", "two.wild.test"] {
        let page = alice.open(host, "/x");
        assert_eq!(
            (alice.at.0.as_str(), alice.at.1.as_str(), page.text().as_str()),
            (host, "/x", "ok"),
            "no login again"
        );
        assert_eq!(upstream.last().header("remote-user"), Some("alice"));
    }
    let hosts = [PORTAL, "a.test", "b.test", "one.wild.test", "two.wild.test"];
    let mut values: Vec<_> = hosts.iter().map(|host| alice.on(host).cookie("session").expect("a value")).collect();
    values.sort();
    values.dedup();
    assert_eq!(values.len(), hosts.len());

    // It is one session, that all lists and commands know by one name.
    let sessions = gate.cli_json(&["session", "list"]);
    assert_eq!(sessions.as_array().unwrap().len(), 1, "{sessions}");
    assert_eq!(sessions[0]["hosts"], json!(["a.test", "b.test", "one.wild.test", "two.wild.test"]));
    assert!(gate.cli(&["session", "list"]).status.success());
    gate.kill();
    gate.serve();
    alice.follow(&gate);
    assert!(hosts[1..].iter().all(|host| alice.is_in(host)), "it outlives a restart");
    let verified = gate.cli(&["store", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
    let events = gate.cli_json(&["audit", "search", "--event", "sign_on"]);
    assert_eq!(events.as_array().unwrap().len(), 4, "{events}");
}

#[test]
fn a_sign_out_on_any_host_closes_all_of_them_and_whatever_is_open_there() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    for host in ["a.test", "b.test", PORTAL] {
        let mut alice = Person::new(&gate);
        alice.sign_in("a.test", "/", "alice");
        alice.open("b.test", "/");
        alice.open("one.wild.test", "/");
        let mut open = alice.on("b.test").connect();
        let cookies = alice.on("b.test").cookie_header();
        open.send(format!("POST /upload HTTP/1.1\r\nHost: b.test\r\n{cookies}Content-Length: 100000\r\n\r\nx"));
        let has_it = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).contains("POST /upload");
        wait_until("the tool has it", || upstream.connections().iter().any(has_it).then_some(()));
        let before = alice.copy();
        let page = alice.sign_out(host);
        assert!(open.ends_within(Duration::from_secs(5)), "{host}: what is open ends");
        assert_eq!(alice.at.0, PORTAL);
        assert!(text(&page.text()).contains("You have logged out"), "{host}: {}", text(&page.text()));
        for other in ["a.test", "b.test", "one.wild.test"] {
            assert!(!before.is_in(other), "signed out at {host}, and in at {other}");
            assert!(!alice.is_in(other));
        }
        assert_eq!(before.copy().on(PORTAL).fetch("GET", "/.sekisho/api/session", b"").status, 401);
        assert_eq!(gate.cli_json(&["session", "list"]), json!([]));
        // The login page leads back to where one was.
        if host != PORTAL {
            alice.give_password(&page, "alice");
            assert_eq!(alice.at, (host.to_owned(), "/".to_owned()));
            alice.sign_out(host);
        }
        upstream.clear();
    }
    // By a manager, and by another login of the same browser.
    let mut alice = Person::new(&gate);
    alice.sign_in("a.test", "/", "alice");
    let id = gate.cli_json(&["session", "list"])[0]["id"].as_str().unwrap().to_owned();
    assert!(gate.cli(&["session", "end", &id]).status.success());
    assert!(!alice.is_in("a.test"));
    alice.sign_in("a.test", "/", "alice");
    let page = alice.open(PORTAL, "/.sekisho/login");
    alice.give_password(&page, "mallory");
    assert!(!alice.is_in("a.test"), "the browser has changed hands");
    alice.open("a.test", "/");
    assert_eq!(upstream.last().header("remote-user"), Some("mallory"));
    assert!(gate.cli(&["store", "verify"]).status.success());
    assert!(gate.cli(&["user", "disable", "mallory"]).status.success());
    assert!(!alice.is_in("a.test"));
}

#[test]
fn activity_on_one_host_keeps_all_of_them_and_idling_ends_all() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream)
        .set("session", "{idle_timeout: 10m, max_lifetime: 1h}")
        .route("{name: strict, host: b.test, path: /strict, upstream: UPSTREAM, idle_timeout: 5m}", &upstream.url())
        .clock()
        .start();
    let mut alice = Person::new(&gate);
    alice.sign_in("a.test", "/", "alice");
    alice.open("b.test", "/");
    for _ in 0..3 {
        gate.advance(8 * MINUTE);
        assert!(alice.is_in("a.test"), "on this host something happens");
    }
    assert!(alice.is_in("b.test"));
    assert_eq!(alice.open(PORTAL, "/.sekisho/account").status, 200);
    assert_eq!(alice.at.0, PORTAL);

    // A route with less patience asks for the login, and is content with it.
    alice.open("b.test", "/strict");
    gate.advance(6 * MINUTE);
    assert!(alice.is_in("a.test"));
    alice.sign_in("b.test", "/strict", "alice");
    assert_eq!(alice.at, ("b.test".to_owned(), "/strict".to_owned()));

    gate.advance(11 * MINUTE);
    assert!(!alice.is_in("a.test") && !alice.is_in("b.test"));
    alice.sign_in("a.test", "/", "alice");
    for _ in 0..8 {
        gate.advance(8 * MINUTE);
        alice.is_in("a.test");
    }
    assert!(!alice.is_in("a.test"), "no activity carries it over its lifetime");
}

#[test]
fn a_stricter_host_asks_at_the_portal_and_the_session_rises_there_and_here() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream)
        .route("{name: payouts, host: b.test, path: /payouts, upstream: UPSTREAM, second_factor: required, recheck_interval: 1h}", &upstream.url())
        .clock()
        .set("session", "{idle_timeout: 12h, max_lifetime: 1d}")
        .start();
    let mut alice = Person::new(&gate);
    alice.sign_in("b.test", "/", "alice");
    let low = alice.copy();
    // Nothing is enrolled yet: the password again, then the app.
    let page = alice.open("b.test", "/payouts/1");
    assert_eq!(alice.at.0, PORTAL);
    let page = alice.give_password(&page, "alice");
    let key = key_of(&page);
    gate.secrets().add(&key.replace(' ', ""));
    let page = alice.give_code(&page, &gate.code(&key));
    let page = {
        let form = crate::harness::form_to(&page, "/enrol/recovery-codes");
        let answer = alice.on(PORTAL).send(&form);
        alice.land(answer)
    };
    assert_eq!(alice.at, ("b.test".to_owned(), "/payouts/1".to_owned()), "{}", text(&page.text()));
    assert_eq!(page.text(), "ok");
    assert_ne!(low.copy().on("b.test").fetch("GET", "/payouts/1", b"").status, 200, "the old value has not risen");

    alice.open("a.test", "/");
    let (low, before) = (alice.copy(), alice.on(PORTAL).cookie("session"));
    gate.advance(61 * MINUTE);
    assert!(alice.is_in("b.test") && alice.is_in("a.test"));
    let page = alice.open("b.test", "/payouts/1");
    assert_eq!(asked_for(&page), "code");
    assert_eq!(alice.at.0, PORTAL);
    alice.give_code(&page, &gate.fresh_code(&key));
    assert_eq!(alice.at, ("b.test".to_owned(), "/payouts/1".to_owned()));
    assert_ne!(alice.on(PORTAL).cookie("session"), before, "the portal's value is new");
    assert!(!low.is_in("b.test"), "the host's value before is dead");
    assert!(alice.is_in("a.test"), "other hosts go on");
    // A host that was not asked yet is content without another code.
    assert_eq!(alice.open("one.wild.test", "/").text(), "ok");
    assert_eq!(gate.cli_json(&["session", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn pages_are_on_the_portal_host_and_a_tools_host_has_the_way_there_alone() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).route("{name: any, path: /any, upstream: UPSTREAM}", &upstream.url()).start();
    let mut alice = Person::new(&gate);
    alice.sign_in("a.test", "/", "alice");
    for path in ["", "/", "/account", "/account/sessions?x=1", "/admin/users", "/password", "/second-factor"] {
        let answer = alice.on("a.test").get(&format!("/.sekisho{path}"));
        assert_eq!(answer.status, 303, "{path}");
        assert_eq!(answer.header("location"), Some(format!("https://auth.test/.sekisho{path}").as_str()));
    }
    for path in ["/login", "/password", "/account/confirm", "/enrol", "/api/login", "/api/second-factor"] {
        let answer = alice.copy().on("a.test").request(
            "POST",
            &format!("/.sekisho{path}"),
            "Origin: https://a.test\r\nSec-Fetch-Site: same-origin\r\nAccept: text/html\r\nContent-Type: application/x-www-form-urlencoded\r\n",
            b"login=alice&password=x",
        );
        assert_eq!(answer.status, 404, "{path}");
    }
    let session = alice.on("a.test").fetch("GET", "/.sekisho/api/session", b"");
    assert_eq!((session.status, session.json()["login"].as_str()), (200, Some("alice")));
    assert_eq!(alice.on("a.test").get("/.sekisho/sign-on").status, 404);
    assert_eq!(alice.on(PORTAL).get("/.sekisho/handoff").status, 404);

    // The portal host has a first page, whether a tool is there or not, and the tools' forms may lead through.
    let page = alice.open(PORTAL, "/");
    assert_eq!((alice.at.1.as_str(), page.status), ("/.sekisho/", 200));
    assert_eq!(alice.open(PORTAL, "/any").text(), "ok", "a route for any host is the portal host's, too");
    let login = Person::new(&gate).open(PORTAL, "/.sekisho/login");
    let policy = login.header("content-security-policy").unwrap();
    assert!(policy.contains("; form-action 'self' https://a.test https://b.test https://*.wild.test;"), "{policy}");
    let logout = alice.on("a.test").get("/.sekisho/logout");
    let policy = logout.header("content-security-policy").unwrap();
    assert!(policy.contains("; form-action 'self' https://auth.test;"), "{policy}");

    // Whoever is not signed in and no window is told so, and never led away.
    let mut nobody = Person::new(&gate);
    assert_eq!(nobody.on("a.test").fetch("GET", "/", b"").json()["code"], "login_required");
    let frame = nobody.on("a.test").request(
        "GET",
        "/",
        "Accept: text/html\r\nSec-Fetch-Dest: iframe\r\nSec-Fetch-Mode: navigate\r\n",
        b"",
    );
    assert_eq!(frame.status, 401);
    assert!(frame.text().contains("/.sekisho/login?return_to="), "{}", frame.text());
    // A dead session's logout does not bring anybody in.
    alice.on("a.test").cookies.clear();
    let asked = alice.open("a.test", "/.sekisho/logout");
    assert_eq!((alice.at.0.as_str(), asked.status), (PORTAL, 200));
}

#[test]
fn a_programme_signs_in_at_the_portal_host_and_is_carried_on() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut script = Person::new(&gate);
    let answer = script
        .on(PORTAL)
        .post_json("/.sekisho/api/login", &json!({"login": "alice", "password": crate::harness::PASSWORD}));
    assert_eq!(answer.json()["status"], "signed_in");
    // As `curl --location` does it: no word of what it accepts.
    script.at = ("b.test".to_owned(), String::new());
    let mut answer = script.on("b.test").request("GET", "/.sekisho/login?return_to=/report", "Accept: */*\r\n", b"");
    while let Some((host, path)) = script.next(&answer) {
        script.at = (host.clone(), path.clone());
        answer = script.on(&host).request("GET", &path, "Accept: */*\r\n", b"");
    }
    assert_eq!((script.at.1.as_str(), answer.text().as_str()), ("/report", "ok"));
    let out = script.on("b.test").post_json("/.sekisho/api/logout", &json!({}));
    assert_eq!(out.json()["status"], "signed_out");
    assert!(!script.is_in("b.test"));
    assert_eq!(script.on(PORTAL).fetch("GET", "/.sekisho/api/session", b"").status, 401);
}

#[test]
fn over_plain_http_on_this_machine_it_works_as_well() {
    let upstream = Recorder::ok();
    let gate = Sekisho::builder()
        .cheap_hashes()
        .set("portal.host", "auth.localhost")
        .set("second_factor.policy", "off")
        .route("{name: a, host: a.localhost, upstream: UPSTREAM}", &upstream.url())
        .user("alice", &[])
        .start();
    let port = gate.address().port();
    let at = |name: &str| {
        let mut client = Client::new(&gate);
        client.host = format!("{name}.localhost:{port}");
        client
    };
    let (mut portal, mut tool) = (at("auth"), at("a"));
    let to = |answer: &crate::harness::Response, host: &str| {
        let origin = format!("http://{host}.localhost:{port}");
        answer.header("location").and_then(|to| to.strip_prefix(&origin)).expect("led there").to_owned()
    };
    portal.sign_in_by_password_alone(&gate);
    let led = tool.get("/x");
    assert!(tool.cookies.contains_key("sekisho-handoff"), "{:?}", tool.cookies.keys());
    let led = portal.get(&to(&led, "auth"));
    let back = to(&led, "a");
    gate.secrets().add(back.split_once("code=").unwrap().1);
    assert_eq!(tool.get(&back).header("location"), Some("/x"));
    assert_eq!(tool.get("/x").text(), "ok");
}
