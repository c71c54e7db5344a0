//! Sessions end where they should, at once (A40, F35): whatever ends a session or the right to go on closes everything that is open on
//! its strength, here and at the tool, within five seconds; and nothing of anybody else's, not over the same connection either.

mod open;
mod tool;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use self::open::{Http1, Http2, Stalled};
use self::tool::Tool;
use crate::harness::{Builder, Client, MailServer, PASSWORD, Sekisho, form_to, form_with, poll, text, wait_until};
use crate::passwords::{ask_for_a_link, link_to};

const HOST: &str = "app.test";
const NEW: &str = "Quiet-river-22";
/// What the promise says.
const LIMIT: Duration = Duration::from_secs(5);
const MINUTE: u64 = 60;

fn builder(tool: &Tool) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "per_user")
        .set("session", "{idle_timeout: 30m, max_lifetime: 3h}")
        .route("{name: all, upstream: UPSTREAM}", &tool.url())
        .route("{name: ops, path: /ops, allow: {groups: [ops]}, upstream: UPSTREAM}", &tool.url())
        .tls(&[HOST])
        .set("server.tls.redirect_http", "false")
        .user("bob", &["--group", "ops"])
        .user("keeper", &["--role", "admin"])
}

fn signed_in(gate: &Sekisho, login: &str) -> Client {
    let mut client = Client::tls(gate, HOST);
    let page = client.give_password(login, PASSWORD);
    assert!(client.cookie("session").is_some(), "{login}: {}", text(&page.text()));
    client
}

/// The victim's browser that everything is open in, and another one of theirs.
struct Victim<'a> {
    gate: &'a Sekisho,
    login: &'a str,
    here: Client,
    elsewhere: Client,
}

/// One way to end a session: what it is called, and how it is done.
type End = (&'static str, fn(&mut Victim<'_>));

fn cli(victim: &Victim<'_>, args: &[&str]) {
    let output = victim.gate.cli(args);
    assert!(output.status.success(), "{args:?}: {output:?}");
}

/// The inner ids of their sessions.
fn session_ids(victim: &Victim<'_>) -> Vec<String> {
    let listed = victim.gate.cli_json(&["session", "list"]);
    let theirs = listed.as_array().unwrap().iter().filter(|session| session["login"] == victim.login);
    theirs.map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

/// What ends it, each for an account of its own.
const ENDS: [End; 13] = [
    ("logout", |victim| drop(victim.here.copy().sign_out())),
    ("logout-by-script", |victim| {
        let answer = victim.here.copy().post_json("/.sekisho/api/logout", &serde_json::json!({}));
        assert!(answer.status < 300, "{}: {}", answer.status, answer.text());
    }),
    ("ended-by-its-owner", |victim| {
        let page = victim.elsewhere.open("/.sekisho/account/sessions");
        victim.elsewhere.submit(&form_to(&page, "/sessions/end"));
    }),
    ("others-ended-by-its-owner", |victim| {
        let page = victim.elsewhere.open("/.sekisho/account/sessions");
        victim.elsewhere.submit(&form_to(&page, "/sessions/end-others"));
    }),
    ("ended-by-a-manager", |victim| {
        let mut keeper = signed_in(victim.gate, "keeper");
        for _ in 0..2 {
            let page = keeper.open(&format!("/.sekisho/admin/sessions?person={}", victim.login));
            let ends =
                crate::harness::forms(&page.text()).into_iter().find(|form| form.action.ends_with("/sessions/end"));
            keeper.submit(&ends.expect("a session to end"));
        }
    }),
    ("session-end", |victim| session_ids(victim).iter().for_each(|id| cli(victim, &["session", "end", id]))),
    ("session-end-user", |victim| cli(victim, &["session", "end", "--user", victim.login])),
    ("disabled", |victim| cli(victim, &["user", "disable", victim.login])),
    ("deleted", |victim| cli(victim, &["user", "delete", victim.login])),
    ("promoted", |victim| cli(victim, &["user", "set", victim.login, "--role", "viewer"])),
    ("password-set", |victim| {
        let output =
            victim.gate.cli_with_input(&["user", "passwd", victim.login, "--password-stdin"], &format!("{NEW}\n"));
        assert!(output.status.success(), "{output:?}");
    }),
    ("factor-reset", |victim| cli(victim, &["user", "reset-second-factor", victim.login])),
    ("own-password-changed-elsewhere", |victim| {
        let page = victim.elsewhere.open("/.sekisho/password");
        let form = form_with(&page, "current").with("current", PASSWORD).with("new", NEW).with("again", NEW);
        let page = victim.elsewhere.submit(&form);
        assert!(text(&page.text()).contains("Your password was changed"), "{}", text(&page.text()));
    }),
];

/// What each WebSocket is told.
fn told(words: &str) -> [Option<(u16, String)>; 2] {
    [(); 2].map(|()| Some((1008, words.to_owned())))
}

/// What the tool was told by a close frame of a client's (RFC 6455 §5.3), and by nothing else.
fn tool_was_told(tool: &Tool, who: &str, path: &str) -> Option<(u16, String)> {
    let got = wait_until("the tool has read to the end", || tool.got(who, path));
    let [0x88, length, rest @ ..] = got.as_slice() else { return None };
    let (mask, masked) = rest.split_at(4);
    let plain: Vec<u8> = masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    assert_eq!((length & 0x7f, length & 0x80), (u8::try_from(plain.len()).unwrap(), 0x80));
    let (code, words) = plain.split_at(2);
    Some((u16::from_be_bytes(code.try_into().unwrap()), String::from_utf8_lossy(words).into_owned()))
}

#[test]
fn f35_whatever_ends_a_session_closes_all_that_is_open_in_it_and_nothing_else() {
    let tool = Tool::start();
    let mut builder = builder(&tool);
    for (name, _) in ENDS {
        builder = builder.user(name, &["--group", "ops"]);
    }
    let gate = builder.start();
    gate.secrets().add(NEW);
    let bob = signed_in(&gate, "bob");
    for (login, end) in ENDS {
        let mut bobs = Http1::open(&tool, &bob, "bob", "/ops");
        let here = signed_in(&gate, login);
        let mut victim = Victim { gate: &gate, login, here, elsewhere: signed_in(&gate, login) };
        let mut theirs = Http1::open(&tool, &victim.here, login, "/ops");
        let mut shared = Http2::open(&gate, &tool, &[(login, &victim.here), ("bob", &bob)], "/ops");
        end(&mut victim);
        let ended = Instant::now();
        assert_ne!(victim.here.copy().get("/ops/quick").text(), "ok", "{login}: the next request");
        let closed = poll(LIMIT, || tool.open(login).is_empty().then_some(()));
        assert!(closed.is_some(), "{login}: at the tool is still open: {:?}", tool.open(login));
        let left = theirs.left_open_after(LIMIT.saturating_sub(ended.elapsed()).max(Duration::from_millis(500)));
        assert!(left.is_empty(), "{login}: over HTTP/1.1 is still open: {left:?}");
        assert_eq!(theirs.told(), told("session ended"), "{login}");
        assert_eq!(tool_was_told(&tool, login, "/ops/idle"), Some((1008, "session ended".to_owned())), "{login}");
        assert!(shared.all_end(login, LIMIT), "{login}: over HTTP/2 only these ended: {:?}", shared.ended(login));
        assert_eq!(shared.ended("bob"), [""; 0], "{login}: bob's streams over the same connection");
        assert_eq!(bobs.ended(), [""; 0], "{login}: bob's own connections");
        assert_eq!(tool.open("bob").len(), 6, "{login}: bob's, at the tool: {:?}", tool.open("bob"));
        drop((bobs, shared));
        wait_until("bob's are closed for the next round", || tool.open("bob").is_empty().then_some(()));
    }
    assert_eq!(bob.copy().get("/ops/quick").text(), "ok");
}

/// The session lives on, but not the right to be on that route. A page that the tool is still at work on is not cut off, and not
/// shown either.
#[test]
fn f35_who_leaves_a_routes_group_is_off_that_route_with_all_that_is_open() {
    let tool = Tool::start();
    let gate = builder(&tool).user("alice", &["--group", "ops"]).start();
    let (alice, bob) = (signed_in(&gate, "alice"), signed_in(&gate, "bob"));
    let mut hers = Http1::open(&tool, &alice, "alice", "/ops");
    let mut elsewhere = Http1::open(&tool, &alice, "alice", "/else");
    let mut shared = Http2::open(&gate, &tool, &[("alice", &alice), ("bob", &bob)], "/ops");
    assert!(
        gate.cli(&["user", "set", "alice", "--name", "Alice", "--group", "ops", "--group", "more"]).status.success()
    );
    assert_eq!((hers.ended(), shared.ended("alice")), (vec![], vec![]), "what makes no difference ends nothing");
    assert!(gate.cli(&["user", "set", "alice", "--group", "more"]).status.success());
    let on_the_route = || tool.open("alice").into_keys().filter(|path| path.starts_with("/ops")).collect::<Vec<_>>();
    let closed = poll(LIMIT, || (on_the_route() == ["/ops/waiting"]).then_some(()));
    assert!(closed.is_some(), "still open: {:?}", on_the_route());
    tool.answer_who_waits();
    assert_eq!(hers.left_open_after(LIMIT), [""; 0]);
    assert_eq!(hers.told(), told("not allowed any more"));
    assert_eq!(hers.taken("waiting"), b"", "no answer is shown to who may not see it any more");
    assert!(shared.all_end("alice", LIMIT), "only these ended: {:?}", shared.ended("alice"));
    wait_until("everybody else is answered", || (shared.ended("bob") == ["waiting"]).then_some(()));
    wait_until("and so is she, on another route", || (elsewhere.ended() == ["waiting"]).then_some(()));
    assert_eq!(alice.copy().get("/ops/quick").status, 403);
    assert_eq!(alice.copy().get("/quick").text(), "ok");
}

/// Opens everything as this person in a browser of theirs, has it ended, and waits until it is.
#[track_caller]
fn all_ends(gate: &Sekisho, tool: &Tool, login: &str, client: &Client, end: impl FnOnce()) {
    let mut theirs = Http1::open(tool, client, login, "");
    let mut shared = Http2::open(gate, tool, &[(login, client)], "");
    end();
    let closed = poll(LIMIT, || tool.open(login).is_empty().then_some(()));
    assert!(closed.is_some(), "at the tool is still open: {:?}", tool.open(login));
    assert_eq!(theirs.left_open_after(LIMIT), [""; 0]);
    assert_eq!(theirs.told(), told("session ended"));
    assert!(shared.all_end(login, LIMIT), "only these ended: {:?}", shared.ended(login));
    assert_ne!(client.copy().get("/quick").text(), "ok");
}

#[test]
fn a40_what_time_ends_is_closed_too() {
    let tool = Tool::start();
    let gate = builder(&tool).user("alice", &[]).clock().start();
    let alice = signed_in(&gate, "alice");
    all_ends(&gate, &tool, "alice", &alice, || gate.advance(Duration::from_secs(31 * MINUTE)));
    let alice = signed_in(&gate, "alice");
    for _ in 0..8 {
        gate.advance(Duration::from_secs(20 * MINUTE));
        assert_eq!(alice.copy().get("/quick").text(), "ok", "constant use");
    }
    all_ends(&gate, &tool, "alice", &alice, || gate.advance(Duration::from_secs(25 * MINUTE)));
}

#[test]
fn f35_a_password_set_by_a_link_and_a_forgotten_device_close_what_is_open() {
    let (tool, mail) = (Tool::start(), MailServer::start());
    let gate = builder(&tool)
        .mail(&mail)
        .user("alice", &["--email", "alice@example.com"])
        .user("carol", &["--second-factor", "on"])
        .start();
    let alice = signed_in(&gate, "alice");
    all_ends(&gate, &tool, "alice", &alice, || {
        ask_for_a_link(&gate, "alice");
        let link = link_to(&gate, &mail, "alice@example.com");
        let mut elsewhere = Client::new(&gate);
        let page = elsewhere.open(&link);
        gate.secrets().add(NEW);
        elsewhere.submit(&form_with(&page, "again").with("new", NEW).with("again", NEW));
    });
    let mut carol = Client::tls(&gate, HOST);
    carol.sign_in_enrol_and_remember(&gate, "carol");
    all_ends(&gate, &tool, "carol", &carol, || {
        let forgotten = gate.cli_json(&["device", "forget", "--user", "carol"]);
        assert_eq!(forgotten["sessions_ended"], 1);
    });
}

/// Lists that sekisho itself sends, to somebody who takes their time.
#[test]
fn f35_an_export_ends_with_the_session_and_with_the_role_that_it_was_asked_for_in() {
    let tool = Tool::start();
    let gate = builder(&tool).user("carol", &["--role", "admin"]).start();
    for list in ["/.sekisho/admin/users.csv", "/.sekisho/admin/audit.jsonl"] {
        let begin = || Stalled::begin(&gate, &signed_in(&gate, "carol"), list);
        let whole = begin();
        whole.go_on();
        assert_eq!(whole.is_whole(LIMIT), Some(true), "{list}");
        let cut = begin();
        assert!(gate.cli(&["session", "end", "--user", "carol"]).status.success());
        assert_eq!(cut.is_whole(LIMIT), Some(false), "{list}: it goes on without a session");
    }
    let cut = Stalled::begin(&gate, &signed_in(&gate, "carol"), "/.sekisho/admin/users.csv");
    assert!(gate.cli(&["user", "set", "carol", "--role", "viewer"]).status.success());
    cut.go_on();
    assert_eq!(cut.is_whole(LIMIT), Some(false), "it goes on as before the demotion");
}

/// The session that the password is changed in lives on under a new value, and so does what is open in it: all the others end.
#[test]
fn f29_a_new_password_of_ones_own_closes_nothing_in_the_session_it_was_given_in() {
    let tool = Tool::start();
    let gate = builder(&tool).user("alice", &["--group", "ops"]).start();
    gate.secrets().add(NEW);
    let (mut alice, other) = (signed_in(&gate, "alice"), signed_in(&gate, "alice"));
    let mut hers = Http1::open(&tool, &alice, "alice", "/ops");
    let stolen = alice.copy();
    let page = alice.open("/.sekisho/password");
    let form = form_with(&page, "current").with("current", PASSWORD).with("new", NEW).with("again", NEW);
    alice.submit(&form);
    assert_eq!(alice.get("/quick").text(), "ok");
    assert_ne!(stolen.copy().get("/quick").text(), "ok", "the value from before is dead");
    assert_ne!(other.copy().get("/quick").text(), "ok");
    // A reload judges what is open anew, by an account of another epoch than it was opened under.
    gate.change("session.max_per_user", "5");
    gate.reload();
    assert_eq!(hers.ended(), [""; 0]);
    assert_eq!(tool.open("alice").len(), 6, "{:?}", tool.open("alice"));
    assert_ne!(stolen.copy().get("/quick").text(), "ok", "nor does it come to life later");
    // It is the same session: what ends it ends that.
    alice.sign_out();
    let closed = poll(LIMIT, || (tool.open("alice") == BTreeMap::new()).then_some(()));
    assert!(closed.is_some(), "still open: {:?}", tool.open("alice"));
    assert_eq!(hers.left_open_after(LIMIT), [""; 0]);
}
