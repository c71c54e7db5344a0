//! What somebody tries who has got hold of a code, a value or a way that is not theirs, or who wants another to have theirs.

use std::sync::Barrier;
use std::time::Duration;

use super::builder;
use super::person::{HOSTS, PORTAL, Person};
use crate::harness::{Client, Recorder, Response, Sekisho, form_to, text};

const AT_ONCE: usize = 50;
const CHOSEN: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Signed in at the portal host, and nowhere else.
fn signed_in(gate: &Sekisho, login: &str) -> Person {
    let mut person = Person::new(gate);
    let page = person.open(PORTAL, "/.sekisho/login");
    person.give_password(&page, login);
    assert!(person.on(PORTAL).cookie("session").is_some());
    person
}

#[track_caller]
fn is_refused(answer: &Response) {
    assert_eq!(answer.status, 403, "{}", text(&answer.text()));
    assert_eq!(answer.cookie("__Host-sekisho-session"), None);
    assert_eq!(answer.header("location"), None);
}

#[test]
fn a_code_without_its_cookie_is_worth_nothing_and_is_burnt() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut alice = signed_in(&gate, "alice");
    for planted in [None, Some(CHOSEN), Some("own")] {
        let stolen = alice.code_for("a.test", "/secret?x=1");
        let mut thief = Person::new(&gate);
        match planted {
            Some("own") => drop(thief.on("a.test").get("/")),
            Some(value) => drop(thief.on("a.test").cookies.insert("__Host-sekisho-handoff".into(), value.into())),
            None => {}
        }
        let answer = thief.on("a.test").get(&stolen);
        is_refused(&answer);
        assert!(!answer.text().contains("secret"), "nor does it tell where she wanted to go");
        assert!(!thief.is_in("a.test"));
        is_refused(&alice.on("a.test").get(&stolen));
    }
    let events = gate.cli_json(&["audit", "search", "--event", "sign_on", "--result", "failure"]);
    assert_eq!(events.as_array().unwrap().len(), 3, "{events}");
    assert_eq!(events[0]["login"], "alice");
    // She comes in all the same.
    assert_eq!(alice.open("a.test", "/").text(), "ok");
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_code_is_good_at_its_host_alone() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut alice = signed_in(&gate, "alice");
    for other in ["b.test", "one.wild.test", "two.wild.test"] {
        let from = if other == "two.wild.test" { "one.wild.test" } else { "a.test" };
        let code = alice.code_for(from, "/");
        let cookie = alice.on(from).cookie("handoff").unwrap();
        alice.on(other).cookies.insert("__Host-sekisho-handoff".into(), cookie);
        is_refused(&alice.on(other).get(&code));
        is_refused(&alice.on(from).get(&code));
    }
    let code = alice.code_for("a.test", "/");
    assert_eq!(alice.on(PORTAL).get(&code).status, 404);
    // A host that no route names, by the same certificate.
    let mut unnamed = alice.on("a.test").copy();
    unnamed.host = "evil.test".into();
    assert_eq!(unnamed.get(&code).status, 404);
    assert_eq!(alice.on("a.test").get(&code).status, 303, "its own host takes it");
    assert!(alice.is_in("a.test") && !alice.is_in("b.test"));
}

#[test]
fn a_code_is_good_once_however_many_ask_at_once() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut alice = signed_in(&gate, "alice");
    for round in 0..5 {
        alice.on("a.test").cookies.remove("__Host-sekisho-session");
        let code = alice.code_for("a.test", "/");
        let start = Barrier::new(AT_ONCE);
        let in_there: Vec<Client> = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..AT_ONCE)
                .map(|_| {
                    let (mut browser, code, start) = (alice.on("a.test").copy(), &code, &start);
                    scope.spawn(move || {
                        start.wait();
                        let answer = browser.get(code);
                        assert!(answer.status < 500, "{}: {}", answer.status, answer.text());
                        browser.cookie("session").is_some().then_some(browser)
                    })
                })
                .collect();
            tries.into_iter().filter_map(|tried| tried.join().unwrap()).collect()
        });
        assert_eq!(in_there.len(), 1, "round {round}");
        let mut winner = in_there.into_iter().next().unwrap();
        assert_eq!(winner.get("/").text(), "ok", "round {round}");
        is_refused(&alice.on("a.test").get(&code));
    }
    let sessions = gate.cli_json(&["session", "list"]);
    assert_eq!(sessions[0]["hosts"], serde_json::json!(["a.test"]), "one value a host");
}

#[test]
fn a_code_is_good_for_a_minute_and_while_its_session_lives() {
    let upstream = Recorder::ok();
    let mut gate = builder(&upstream).clock().start();
    let mut alice = signed_in(&gate, "alice");
    let late = alice.code_for("a.test", "/");
    gate.advance(Duration::from_secs(61));
    is_refused(&alice.on("a.test").get(&late));

    // What only looks at it does not spend it.
    let code = alice.code_for("a.test", "/x");
    let head = alice.on("a.test").request("HEAD", &code, "Accept: text/html\r\n", b"");
    assert_eq!(head.status, 405);
    assert_eq!(alice.on("a.test").get(&code).header("location"), Some("/x"));

    // It is there after a crash, and spent after one.
    let code = alice.code_for("b.test", "/x");
    gate.kill();
    gate.serve();
    alice.follow(&gate);
    let mut again = alice.on("b.test").copy();
    assert_eq!(alice.on("b.test").get(&code).header("location"), Some("/x"));
    gate.kill();
    gate.serve();
    alice.follow(&gate);
    again.follow(&gate);
    is_refused(&again.get(&code));

    let orphan = alice.code_for("one.wild.test", "/");
    let page = alice.open(PORTAL, "/.sekisho/logout");
    alice.on(PORTAL).send(&form_to(&page, "/logout"));
    is_refused(&alice.on("one.wild.test").get(&orphan));
    assert!(gate.cli(&["store", "verify"]).status.success());
}

#[test]
fn nobody_is_signed_in_as_somebody_else_by_an_address() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let (mut mallory, mut alice) = (signed_in(&gate, "mallory"), signed_in(&gate, "alice"));
    // His code in her browser: without a cookie there, with one, and when she is in.
    let his = mallory.code_for("a.test", "/trap");
    is_refused(&alice.on("a.test").get(&his));
    alice.on("a.test").get("/");
    let his = mallory.code_for("a.test", "/trap");
    is_refused(&alice.on("a.test").get(&his));
    alice.open("a.test", "/");
    let before = alice.on("a.test").cookie("session");
    let his = mallory.code_for("a.test", "/trap");
    let answer = alice.on("a.test").get(&his);
    assert_eq!(answer.header("location"), Some("/"), "and not to where he wanted her");
    assert_eq!(alice.on("a.test").cookie("session"), before);
    alice.on("a.test").get("/");
    assert_eq!(upstream.last().header("remote-user"), Some("alice"));

    // His way in her browser: the code that comes of it is good in his browser alone, and burnt by hers.
    let mut mallory = Person::new(&gate);
    let way = mallory.on("b.test").get("/").header("location").unwrap().to_owned();
    let way = way.strip_prefix("https://auth.test").unwrap().to_owned();
    let led = alice.on(PORTAL).get(&way);
    let (host, code) = alice.next(&led).unwrap();
    gate.secrets().add(code.split_once("code=").unwrap().1);
    assert_eq!(host, "b.test");
    is_refused(&alice.on("b.test").get(&code));
    is_refused(&mallory.on("b.test").get(&code));
    assert!(!mallory.is_in("b.test") && !alice.is_in("b.test"));
}

#[test]
fn a_value_counts_at_the_host_that_it_was_given_out_for_and_nowhere_else() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut alice = signed_in(&gate, "alice");
    alice.open("a.test", "/");
    alice.open("one.wild.test", "/");
    upstream.clear();
    let values = [PORTAL, "a.test", "one.wild.test"].map(|host| (host, alice.on(host).cookie("session").unwrap()));
    for (of, value) in &values {
        for at in HOSTS {
            let mut thief = Person::new(&gate);
            thief.on(at).cookies.insert("__Host-sekisho-session".into(), value.clone());
            let path = if at == PORTAL { "/.sekisho/api/session" } else { "/" };
            let status = thief.on(at).fetch("GET", path, b"").status;
            assert_eq!(status, if at == *of { 200 } else { 401 }, "of {of} at {at}");
            if at == PORTAL && at != *of {
                assert_ne!(thief.on(at).get("/.sekisho/account").status, 200);
            }
        }
        // A host of nobody's, by the certificate of another.
        let mut thief = alice.on("a.test").copy();
        thief.host = "evil.test".into();
        thief.cookies.insert("__Host-sekisho-session".into(), value.clone());
        assert_eq!(thief.fetch("GET", "/.sekisho/api/session", b"").status, 404);
    }
    assert_eq!(upstream.requests().len(), 2);

    // A portal host taken out of the configuration, and another one.
    gate.change("portal.host", "b.test");
    gate.reload();
    assert!(!alice.is_in("b.test"), "no value of the portal's was given to it");
    assert_eq!(alice.copy().on(PORTAL).fetch("GET", "/.sekisho/api/session", b"").status, 404);
}

#[test]
fn a_way_leads_where_it_was_said_and_cannot_be_made_up() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).route("{name: any, path: /any, upstream: UPSTREAM}", &upstream.url()).start();
    let mut alice = signed_in(&gate, "alice");

    // No path of another host's is taken along.
    for evil in ["//evil.test", "https://evil.test/", "/%5cevil.test", "/.sekisho/login", "/.sekisho/sign-on?to=x"] {
        let led = alice.on("a.test").get(&format!("/.sekisho/login?return_to={}", crate::harness::encoded(evil)));
        let (host, path) = alice.next(&led).unwrap();
        assert_eq!(host, PORTAL, "{evil}");
        let led = alice.on(PORTAL).get(&path);
        let (host, path) = alice.next(&led).unwrap();
        gate.secrets().add(path.split_once("code=").unwrap().1);
        assert_eq!(host, "a.test", "{evil}");
        assert_eq!(alice.on("a.test").get(&path).header("location"), Some("/"), "{evil}");
    }
    // A longer path than fits is left out.
    let long = format!("/{}", "x".repeat(3900));
    assert_eq!(alice.open("b.test", &long).text(), "ok");

    let led = alice.on("one.wild.test").get("/");
    let (_, good) = alice.next(&led).unwrap();
    let mut forged = good.clone();
    let at = forged.len() - 8;
    let other = if forged[at..].starts_with('A') { "B" } else { "A" };
    forged.replace_range(at..=at, other);
    let ways = [
        "/.sekisho/sign-on".to_owned(),
        "/.sekisho/sign-on?to=".to_owned(),
        "/.sekisho/sign-on?to=https://evil.test/".to_owned(),
        format!("/.sekisho/sign-on?to={}", "A".repeat(200)),
        forged,
        format!("{good}&to=x"),
        format!("{good}A"),
    ];
    for way in ways {
        let answer = alice.on(PORTAL).get(&way);
        assert_eq!(answer.header("location"), Some("/.sekisho/"), "{way}");
        // Nor does a login lead there.
        let mut nobody = Person::new(&gate);
        let page = nobody.open(PORTAL, &format!("/.sekisho/login?return_to={}", crate::harness::encoded(&way)));
        let form = crate::harness::form_with(&page, "password");
        assert_eq!(form.field("return_to"), Some("/"), "{way}");
    }
    // In a frame, or by a script, nothing is given out.
    for dest in ["iframe", "empty", "image"] {
        let headers = format!(
            "Accept: text/html\r\nSec-Fetch-Dest: {dest}\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-site\r\n"
        );
        let answer = alice.on(PORTAL).request("GET", &good, &headers, b"");
        assert_eq!((answer.status, answer.header("location")), (400, None), "{dest}");
    }

    // A host that only a route for any host would take: nobody is led away from there.
    let mut unnamed = alice.on("a.test").copy();
    unnamed.host = "evil.test".into();
    unnamed.cookies.clear();
    for path in ["/any", "/.sekisho/login", "/.sekisho/account", "/.sekisho/sign-on?to=x", "/.sekisho/logout"] {
        let answer = unnamed.get(path);
        assert_eq!((answer.status, answer.header("location")), (404, None), "{path}");
        assert!(answer.all("set-cookie").is_empty());
    }

    // A route that was taken out meanwhile.
    let text = std::fs::read_to_string(gate.config()).unwrap();
    std::fs::write(
        gate.config(),
        text.replace("'*.wild.test'", "'*.other.test'").replace("\"*.wild.test\"", "\"*.other.test\""),
    )
    .unwrap();
    gate.reload();
    assert_eq!(alice.on(PORTAL).get(&good).status, 404);
}

#[test]
fn a_way_that_lies_about_for_long_begins_anew() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).clock().set("session", "{idle_timeout: 12h, max_lifetime: 1d}").start();
    let mut alice = Person::new(&gate);
    let led = alice.on("a.test").get("/page");
    let (_, way) = alice.next(&led).unwrap();
    gate.advance(Duration::from_secs(2 * 60 * 60));
    let page = alice.open(PORTAL, &way);
    assert_eq!(alice.at, (PORTAL.to_owned(), alice.at.1.clone()), "{}", page.status);
    alice.give_password(&page, "alice");
    assert_eq!(alice.at, ("a.test".to_owned(), "/page".to_owned()));
    let mut mallory = Person::new(&gate);
    let led = mallory.on("a.test").get("/page");
    let (_, way) = mallory.next(&led).unwrap();
    gate.advance(Duration::from_secs(2 * 60 * 60));
    let answer = alice.on(PORTAL).get(&way);
    assert_eq!(answer.header("location"), Some("https://a.test/page"), "no code comes of it");
}

#[test]
fn strangers_fill_no_store() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let kept = || {
        let mut kept = gate.cli_json(&["store", "verify"]);
        // What a node says of itself, where several may share the store.
        kept["records"].as_object_mut().unwrap().remove("node");
        kept
    };
    let before = kept();
    for number in 0..50 {
        let led = Person::new(&gate).on("one.wild.test").get(&format!("/{number}"));
        let (_, way) = Person::new(&gate).next(&led).unwrap();
        assert_eq!(Person::new(&gate).on(PORTAL).get(&way).status, 303);
        Person::new(&gate).on("a.test").get(&format!("/.sekisho/handoff?code={CHOSEN}"));
    }
    assert_eq!(kept(), before);
    // Whoever is signed in has so many codes and no more, the newest.
    let mut alice = signed_in(&gate, "alice");
    let codes: Vec<String> = (0..20).map(|_| alice.code_for("a.test", "/")).collect();
    is_refused(&alice.on("a.test").get(&codes[0]));
    assert_eq!(alice.on("a.test").get(codes.last().unwrap()).status, 303);
}
