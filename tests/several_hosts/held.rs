//! Forms kept over a login (F34) at the tools' hosts: the login is at the portal host, and the form stays its sender's, at its own host.

use std::time::Duration;

use super::person::{PORTAL, Person};
use super::{MINUTE, builder as hosts};
use crate::harness::{
    Builder, Form, PASSWORD, Recorded, Recorder, Response, Sekisho, form_to, forms, text, wait_until,
};

const TARGET: &str = "/orders/7/edit?view=full";
const BODY: &str = "memo=Pack+it+well&items%5B%5D=apples";
const ALICE: &str = "alice";

fn builder(upstream: &Recorder) -> Builder {
    hosts(upstream)
        .route("{name: portals, host: auth.test, upstream: UPSTREAM}", &upstream.url())
        .set("session", "{idle_timeout: 30m, max_lifetime: 3h}")
        .set("held.per_session", "50")
        .clock()
}

/// What a browser sends when a page of this host sends a form as the whole window.
fn post_from(person: &mut Person, host: &str, page: &str) -> Response {
    let lines = format!(
        "Accept: text/html\r\nOrigin: https://{page}\r\nSec-Fetch-Site: {}\r\nSec-Fetch-Mode: navigate\r\n\
         Sec-Fetch-Dest: document\r\nContent-Type: application/x-www-form-urlencoded\r\n",
        if page == host { "same-origin" } else { "same-site" }
    );
    person.at = (host.to_owned(), TARGET.to_owned());
    person.on(host).request("POST", TARGET, &lines, BODY.as_bytes())
}

fn post(person: &mut Person, host: &str) -> Response {
    post_from(person, host, host)
}

#[track_caller]
fn is_kept(answer: &Response, what: &str) {
    let to = answer.header("location").unwrap_or_default();
    assert!(answer.status == 303 && to.contains("notice=held"), "{what}: {} {to} {}", answer.status, answer.text());
}

#[track_caller]
fn is_not_kept(answer: &Response, what: &str) {
    assert_eq!(answer.status, 401, "{what}: {:?}", answer.header("location"));
    assert!(text(&answer.text()).contains("What you entered was not sent"), "{what}: {}", text(&answer.text()));
}

/// Alice at two tools' hosts and at the portal host.
#[track_caller]
fn signed_in(gate: &Sekisho) -> Person {
    let mut alice = Person::new(gate);
    for host in ["a.test", "b.test", PORTAL] {
        let page = alice.open(host, "/");
        if alice.at.1.starts_with("/.sekisho/login") {
            alice.give_password(&page, ALICE);
        }
    }
    assert!(["a.test", "b.test", PORTAL].iter().all(|host| alice.is_in(host)));
    alice
}

fn cli(gate: &Sekisho, args: &[&str]) {
    let output = gate.cli(args);
    assert!(output.status.success(), "{args:?}: {output:?}");
}

fn end(gate: &Sekisho) {
    cli(gate, &["session", "end", "--user", ALICE]);
}

#[track_caller]
fn button(page: &Response) -> Form {
    let held = forms(&page.text()).into_iter().find(|form| form.action.starts_with("/.sekisho/held/"));
    held.unwrap_or_else(|| panic!("no button ({}): {}", page.status, text(&page.text())))
}

fn posts(upstream: &Recorder) -> Vec<Recorded> {
    upstream.requests().into_iter().filter(|request| request.line.starts_with("POST ")).collect()
}

#[test]
fn f34_a_form_of_a_tools_host_comes_back_there_from_the_login_at_the_portal_host() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut alice = signed_in(&gate);
    end(&gate);
    let answer = post(&mut alice, "a.test");
    is_kept(&answer, "ended");
    let to = answer.header("location").unwrap().to_owned();
    assert!(to.starts_with("https://auth.test/.sekisho/login?") && !to.contains("orders"), "{to}");
    let page = alice.land(answer);
    assert!(text(&page.text()).contains("What you entered was kept"), "{}", text(&page.text()));

    let page = alice.give_password(&page, ALICE);
    assert_eq!(alice.at.0, "a.test");
    let held = alice.at.1.clone();
    assert!(held.starts_with("/.sekisho/held/"), "{held}");
    let words = text(&page.text());
    for shown in ["Send what you entered?", TARGET, "memo", ALICE] {
        assert!(words.contains(shown), "{shown}: {words}");
    }
    assert!(!page.text().contains("Pack") && posts(&upstream).is_empty(), "{words}");

    // No other host has it, not even for her; nor has anybody else.
    for host in ["b.test", PORTAL] {
        assert!(alice.is_in(host) || alice.open(host, "/").status == 200);
        assert_eq!(alice.on(host).get(&held).status, 410, "{host}");
    }
    let mut mallory = Person::new(&gate);
    mallory.sign_in("a.test", "/", "mallory");
    assert_eq!(mallory.on("a.test").get(&held).status, 410);

    let answer = alice.on("a.test").send(&button(&page));
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    let [sent] = posts(&upstream).try_into().expect("one");
    assert_eq!((sent.target(), sent.body.as_slice()), (TARGET, BODY.as_bytes()));
    assert_eq!((sent.header("remote-user"), sent.header("host")), (Some(ALICE), Some("a.test")));
    assert_eq!(alice.on("a.test").send(&button(&page)).status, 410, "once");
    assert!(gate.cli(&["store", "verify"]).status.success());
}

/// The page that asks was open when the session ended, and its button is pressed later.
fn log_out_late(gate: &Sekisho, alice: &mut Person, host: &str) {
    let page = alice.open(host, "/.sekisho/logout");
    end(gate);
    is_kept(&post(&mut alice.copy(), "a.test"), "before it");
    let answer = alice.copy().on(host).send(&form_to(&page, "/logout"));
    assert_eq!(answer.status, 303, "{}", answer.text());
}

/// What ends a session.
type End = fn(&Sekisho, &mut Person);

#[test]
fn f34_what_ended_the_session_decides_at_every_host() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).user("keeper", &["--role", "admin"]).start();
    let after_them: [(&str, End); 3] = [
        ("idle", |gate, _| gate.advance(31 * MINUTE)),
        ("session end", |gate, _| end(gate)),
        ("the end of its lifetime", |gate, alice| {
            for _ in 0..7 {
                gate.advance(25 * MINUTE);
                assert!(alice.is_in("b.test"));
            }
            gate.advance(6 * MINUTE);
        }),
    ];
    for (before, (what, end)) in after_them.into_iter().enumerate() {
        let mut alice = signed_in(&gate);
        end(&gate, &mut alice);
        for host in ["a.test", "b.test", PORTAL] {
            is_kept(&post(&mut alice.copy(), host), &format!("{what}, at {host}"));
        }
        // Once more when the records themselves are gone.
        wait_until("its end is noticed", || {
            let events = gate.cli_json(&["audit", "search", "--event", "session_ended"]);
            (events.as_array().unwrap().len() == before + 1).then_some(())
        });
        for host in ["a.test", "b.test", PORTAL] {
            is_kept(&post(&mut alice.copy(), host), &format!("{what}, at {host}, a while later"));
        }
        is_not_kept(&post_from(&mut alice.copy(), "a.test", "b.test"), "another host's page");
        gate.advance(11 * MINUTE);
        for host in ["a.test", "b.test", PORTAL] {
            is_not_kept(&post(&mut alice.copy(), host), what);
        }
    }

    let not_after_them: [(&str, End); 8] = [
        ("a logout at the same host", |_, alice| drop(alice.copy().sign_out("a.test"))),
        ("a logout at another one", |_, alice| drop(alice.copy().sign_out("b.test"))),
        ("a logout at the portal host", |_, alice| drop(alice.copy().sign_out(PORTAL))),
        ("a logout at another host when it had ended", |gate, alice| log_out_late(gate, alice, "b.test")),
        ("a logout at the portal host when it had ended", |gate, alice| log_out_late(gate, alice, PORTAL)),
        ("a programme's logout when it had ended", |gate, alice| {
            end(gate);
            let answer = alice.copy().on("b.test").post_json("/.sekisho/api/logout", &serde_json::json!({}));
            assert_eq!(answer.status, 200, "{}", answer.text());
        }),
        ("a new password", |gate, _| {
            end(gate);
            let set = gate.cli_with_input(&["user", "passwd", ALICE, "--password-stdin"], &format!("{PASSWORD}\n"));
            assert!(set.status.success(), "{set:?}");
        }),
        ("an account that was disabled", |gate, _| {
            end(gate);
            let disabled = gate.cli(&["user", "disable", ALICE]);
            assert!(disabled.status.success(), "{disabled:?}");
        }),
    ];
    for (what, end) in not_after_them {
        let mut alice = signed_in(&gate);
        end(&gate, &mut alice);
        for host in ["a.test", "b.test", PORTAL] {
            is_not_kept(&post(&mut alice.copy(), host), &format!("{what}, at {host}"));
        }
    }
    assert!(posts(&upstream).is_empty());
}

#[test]
fn f34_an_ended_value_counts_at_its_own_host_alone() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut alice = signed_in(&gate);
    let values = [PORTAL, "a.test", "b.test"].map(|host| (host, alice.on(host).cookie("session").unwrap()));
    for noticed in [false, true] {
        if noticed {
            end(&gate);
        }
        for (of, value) in &values {
            for at in [PORTAL, "a.test", "b.test"] {
                let mut shows = Person::new(&gate);
                shows.on(at).cookies.insert("__Host-sekisho-session".into(), value.clone());
                let answer = post(&mut shows, at);
                match (noticed, of == &at) {
                    (false, true) => assert_eq!(answer.status, 200, "{of}"),
                    (true, true) => is_kept(&answer, of),
                    (_, false) => is_not_kept(&answer, &format!("of {of} at {at}")),
                }
            }
        }
    }
    // Taken out of the configuration, no tool's value counts any more.
    gate.change("portal.host", "other.test");
    gate.reload();
    let answer = post(&mut alice.copy(), PORTAL);
    assert_ne!(answer.status, 303, "the portal's value at a host that is a tool's now");
}

#[test]
fn f34_a_gateway_that_was_down_for_longer_than_the_session_keeps_forms_of_tools_hosts_too() {
    let upstream = Recorder::ok();
    let mut gate = builder(&upstream).start();
    let mut alice = signed_in(&gate);
    gate.stop();
    gate.advance(3 * 60 * MINUTE + Duration::from_secs(1));
    gate.serve();
    alice.follow(&gate);
    for host in ["a.test", "b.test"] {
        is_kept(&post(&mut alice.copy(), host), host);
    }
}
