//! A configuration is taken while everything goes on: what follows, what is refused, and what nobody notices.

mod load;
mod open_connections;
mod refused;

use std::process::Output;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value as Json;

use crate::harness::{Builder, Client, Conn, MailServer, Recorder, Sekisho, form_with, wait_until};

/// A gateway with one route for everything, where the password alone signs in.
fn gate(upstream: &str) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .route("{name: all, upstream: UPSTREAM}", upstream)
        .user("alice", &["--group", "ops", "--role", "admin"])
}

fn alice(gate: &Sekisho) -> Client {
    let mut alice = Client::new(gate);
    alice.sign_in_by_password_alone(gate);
    alice
}

/// `routes` with one for everything; `more` are its further keys.
fn route(upstream: &Recorder, more: &str) -> String {
    format!("[{{name: all, upstream: {:?}, {more}}}]", upstream.url())
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The events of reloads in the file of events: by whom, how it went, why.
fn reloads(gate: &Sekisho) -> Vec<(String, String, String)> {
    let file = std::fs::read_to_string(gate.path("audit.jsonl")).unwrap();
    let word = |event: &Json, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let events = file.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let reloads = events.filter(|event| event["event"] == "config_reloaded");
    reloads.map(|event| (word(&event, "actor"), word(&event, "result"), word(&event, "reason"))).collect()
}

fn logged(gate: &Sekisho, words: &str) -> usize {
    gate.logs().iter().filter(|line| line.contains(words)).count()
}

#[test]
fn a_new_configuration_is_taken_on_the_command_and_on_the_signal() {
    let (first, second) = (Recorder::ok(), Recorder::ok());
    let gate = gate(&first.url()).start();
    let mut alice = alice(&gate);
    assert_eq!(alice.get("/x").status, 200);
    gate.change("routes", &route(&second, "access: public"));
    gate.reload();
    let reached = first.requests().len();
    assert_eq!(Client::new(&gate).get("/x").status, 200, "the route is public now");
    assert_eq!((first.requests().len(), second.requests().len()), (reached, 1), "and leads elsewhere");

    gate.change("routes", &route(&second, "access: deny"));
    gate.signal(Signal::HUP);
    wait_until("the signal is heeded", || (alice.get("/x").status == 403).then_some(()));
    wait_until("it is kept", || (reloads(&gate).len() == 2).then_some(()));
    assert_eq!(
        reloads(&gate),
        [("cli", "success", ""), ("sekisho", "success", "SIGHUP")].map(|(a, b, c)| (a.into(), b.into(), c.into()))
    );
    assert_eq!(logged(&gate, "the configuration was taken"), 2);
}

#[test]
fn what_may_be_wise_to_change_is_said_and_taken_all_the_same() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream.url()).start();
    gate.change("session.idle_timeout", "2h");
    let output = gate.cli(&["reload"]);
    assert!(output.status.success() && said(&output).contains(": warning: "), "{}", said(&output));
    let array = gate.cli_json(&["reload"]);
    assert_eq!(array[0]["severity"], "warning", "{array}");
}

/// The portal's pages, the links on them and the way to them move together.
#[test]
fn the_portal_moves_to_another_path() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream.url()).start();
    gate.change("portal.path", "/gate");
    gate.reload();
    let mut browser = Client::new(&gate);
    let page = browser.open("/x");
    assert!(browser.path.starts_with("/gate/login?"), "{}", browser.path);
    assert!(form_with(&page, "password").action.starts_with("/gate/"), "{}", page.text());
    browser.fill_password(&page, "alice", crate::harness::PASSWORD);
    assert_eq!(upstream.last().target(), "/x", "and the way back is found");
    assert_eq!(browser.get("/gate/account").status, 200);
    browser.get("/.sekisho/login");
    assert_eq!(upstream.last().target(), "/.sekisho/login", "the path of before is the tool's");
}

#[test]
fn mails_go_to_the_new_server_from_the_next_one_on() {
    let (old, new, upstream) = (MailServer::start(), MailServer::start(), Recorder::ok());
    let gate = Sekisho::builder()
        .cheap_hashes()
        .set("mail", &old.yaml(None))
        .set("portal.url", "http://localhost")
        .upstream(&upstream.url())
        .user("alice", &["--method", "mail", "--email", "alice@example.com"])
        .user("bob", &["--method", "mail", "--email", "bob@example.com"])
        .start();
    Client::new(&gate).give_password("alice", crate::harness::PASSWORD);
    old.code_to(&gate, "alice@example.com");
    gate.change("mail", &new.yaml(None));
    gate.reload();
    Client::new(&gate).give_password("bob", crate::harness::PASSWORD);
    new.code_to(&gate, "bob@example.com");
    assert!(old.mails_to("bob@example.com").is_empty());
}

#[test]
fn events_go_to_another_file_and_none_is_lost_on_the_way() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream.url()).start();
    drop(alice(&gate));
    gate.change("audit.file", "elsewhere.jsonl");
    gate.reload();
    drop(alice(&gate));
    let lines = |name: &str| {
        let text = std::fs::read_to_string(gate.path(name)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str::<Json>(line).unwrap()["event"].clone()).collect::<Vec<_>>()
    };
    wait_until("the new file has its events", || (lines("elsewhere.jsonl").len() >= 2).then_some(()));
    assert_eq!(lines("audit.jsonl"), ["user_added", "login"]);
    assert_eq!(lines("elsewhere.jsonl"), ["config_reloaded", "login"]);
}

#[test]
fn sessions_that_live_are_bound_by_a_stricter_policy_at_once() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream.url()).clock().start();
    let mut alice = alice(&gate);
    let answers = |alice: &mut Client, more: &str| {
        gate.change("routes", &route(&upstream, more));
        gate.reload();
        alice.get("/x").status
    };
    assert_eq!(answers(&mut alice, "allow: {groups: [ops]}"), 200);
    assert_eq!(answers(&mut alice, "allow: {groups: [finance]}"), 403, "another group is asked for");
    assert_eq!(answers(&mut alice, "allow: {networks: [10.0.0.0/8]}"), 403, "another network");
    assert_eq!(answers(&mut alice, "second_factor: required"), 303, "a second factor");
    assert_eq!(answers(&mut alice, "preserve_host: true"), 200, "the session itself lives on through all of it");
    gate.advance(Duration::from_secs(120));
    assert_eq!(answers(&mut alice, "idle_timeout: 1m"), 303, "a shorter idle timeout of the route");
    assert_eq!(answers(&mut alice, "preserve_host: true"), 200);
    gate.advance(Duration::from_secs(120));
    gate.change("session.idle_timeout", "1m");
    assert_eq!(answers(&mut alice, "preserve_host: true"), 303, "a shorter idle timeout");
    wait_until("the session ends", || gate.cli_json(&["session", "list"]).as_array().unwrap().is_empty().then_some(()));
}

#[test]
fn a_shorter_lifetime_ends_the_sessions_that_are_older() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream.url()).clock().start();
    let mut old = alice(&gate);
    gate.advance(Duration::from_secs(600));
    let mut young = alice(&gate);
    assert_eq!((old.get("/x").status, young.get("/x").status), (200, 200));
    gate.change("session", "{idle_timeout: 5m, max_lifetime: 5m}");
    gate.reload();
    assert_eq!((old.get("/x").status, young.get("/x").status), (303, 200));
    wait_until("one is left", || (gate.cli_json(&["session", "list"]).as_array().unwrap().len() == 1).then_some(()));
    wait_until("it is told why", || {
        let ended = gate.cli_json(&["audit", "search", "--event", "session_ended"]);
        (ended[0]["reason"] == "lifetime").then_some(())
    });
}

#[test]
fn a_recheck_interval_that_is_shorter_asks_for_the_code_again() {
    let upstream = Recorder::ok();
    let gate = Sekisho::builder()
        .cheap_hashes()
        .clock()
        .route("{name: all, upstream: UPSTREAM}", &upstream.url())
        .user("alice", &[])
        .start();
    let mut alice = Client::new(&gate);
    alice.sign_in_and_enrol(&gate, "alice");
    gate.advance(Duration::from_secs(600));
    assert_eq!(alice.get("/x").status, 200);
    gate.change("second_factor.recheck_interval", "5m");
    gate.reload();
    let answer = alice.get("/x");
    assert_eq!(answer.status, 303);
    assert!(answer.header("location").unwrap().starts_with("/.sekisho/second-factor"), "{answer:?}");
}

#[test]
fn a_key_is_added_and_taken_away_once_nothing_needs_it() {
    let upstream = Recorder::ok();
    let gate = Sekisho::builder()
        .cheap_hashes()
        .route("{name: all, upstream: UPSTREAM}", &upstream.url())
        .user("alice", &[])
        .start();
    let mut alice = Client::new(&gate);
    alice.sign_in_and_enrol(&gate, "alice");
    let file = gate.path("secret.key");
    let old = std::fs::read_to_string(&file).unwrap();
    let made = gate.run(&["key", "generate", gate.path("another.key").to_str().unwrap()], "");
    assert!(made.status.success(), "{made:?}");
    let new = std::fs::read_to_string(gate.path("another.key")).unwrap();
    new.lines().for_each(|line| gate.secrets().add(line.rsplit(':').next().unwrap()));

    std::fs::write(&file, &new).unwrap();
    let output = gate.cli(&["reload"]);
    assert_eq!(output.status.code(), Some(1), "alice's app is sealed under the old key: {}", said(&output));
    assert!(said(&output).contains("the key file no longer holds a key"), "{}", said(&output));
    std::fs::write(&file, format!("{new}{old}")).unwrap();
    gate.reload();
    assert_eq!(alice.get("/x").status, 200);
    // Without anything that is sealed, the key is free to go.
    assert!(gate.cli(&["user", "reset-second-factor", "alice"]).status.success());
    std::fs::write(&file, &new).unwrap();
    wait_until("the logins in progress are over", || gate.cli(&["reload"]).status.success().then_some(()));
}

#[test]
fn listeners_come_and_go() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream.url()).start();
    let (first, mut kept) = (gate.address(), Conn::plain(gate.address()));
    let ask = |conn: &mut Conn| {
        conn.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
        conn.response().status
    };
    assert_eq!(ask(&mut kept), 401);
    let new = crate::harness::free_address();
    gate.change("server.listen", &format!("[\"127.0.0.1:0\", {new:?}]"));
    gate.reload();
    assert_eq!(ask(&mut Conn::plain(new)), 401);
    assert_eq!(ask(&mut Conn::plain(first)), 401, "port 0 stays the port that it became");
    gate.change("server.listen", &format!("[{new:?}]"));
    gate.reload();
    wait_until("nobody listens any more", || std::net::TcpStream::connect(first).is_err().then_some(()));
    assert_eq!(ask(&mut kept), 401, "what was open stays open");
    assert_eq!(ask(&mut Conn::plain(new)), 401);
    assert_eq!(logged(&gate, "no longer listening"), 1);
    // Taken back in the same breath.
    gate.change("server.listen", &format!("[{:?}]", "127.0.0.1:0"));
    gate.reload();
    gate.change("server.listen", &format!("[{new:?}]"));
    gate.reload();
    assert_eq!(ask(&mut Conn::plain(new)), 401);
}

/// The same address, first without and then with TLS: it cannot be bound twice.
#[test]
fn a_listener_changes_to_tls() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream.url()).tls(&["app.test"]).start();
    let address = crate::harness::free_address();
    gate.change("server.listen", &format!("[{address:?}]"));
    gate.reload();
    assert!(std::net::TcpStream::connect(address).is_ok());
    gate.change("server.listen", "[]");
    gate.change("server.tls.listen", &format!("[{address:?}]"));
    gate.reload();
    let mut conn = gate.authority().connect(address, "app.test", &["http/1.1"]);
    conn.send("GET /x HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(conn.response().status, 401);
}

#[test]
fn what_is_redirected_to_tls_goes_to_the_port_of_now() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream.url()).tls(&["app.test"]).start();
    let location = || {
        let mut conn = Conn::plain(gate.address());
        conn.send("GET /x HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
        conn.response().header("location").map(str::to_owned)
    };
    assert_eq!(location(), Some(format!("https://app.test:{}/x", gate.tls_address().port())));
    let new = crate::harness::free_address();
    gate.change("server.tls.listen", &format!("[{new:?}]"));
    gate.reload();
    assert_eq!(location(), Some(format!("https://app.test:{}/x", new.port())));
    gate.change("server.tls.redirect_http", "false");
    gate.reload();
    assert_eq!(location(), None);
}
