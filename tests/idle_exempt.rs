//! A page that polls keeps no session alive where the route says so, and can warn whoever reads it in time (F36).

use std::time::Duration;

use crate::harness::{Browser, Builder, Client, PASSWORD, Recorder, Sekisho, h2};

const MINUTE: u64 = 60;
const IDLE: u64 = 30 * MINUTE;

fn builder(upstream: &Recorder) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .set("session", "{idle_timeout: 30m, max_lifetime: 2h}")
        .route("{name: all, idle_exempt: [/poll], upstream: UPSTREAM}", &upstream.url())
        .route(
            "{name: short, path: /short, idle_timeout: 10m, idle_exempt: [/short/poll], upstream: UPSTREAM}",
            &upstream.url(),
        )
        .route("{name: open, path: /open, access: public, upstream: UPSTREAM}", &upstream.url())
        .user("alice", &[])
        .clock()
}

fn signed_in(gate: &Sekisho) -> Client {
    let mut alice = Client::new(gate);
    alice.sign_in_by_password_alone(gate);
    alice
}

fn advance(gate: &Sekisho, minutes: u64) {
    gate.advance(Duration::from_secs(minutes * MINUTE));
}

/// Says for ever that a session lasts for ever.
fn tool() -> Recorder {
    Recorder::raw(
        "HTTP/1.1 200 OK\r\nX-Sekisho-Session-Expires: 999999\r\nx-sekisho-session-expires: 99\r\nContent-Length: 2\r\n\r\nok",
    )
}

/// How long the session is said to last; the tool's word is not among it.
#[track_caller]
fn left(answer: &crate::harness::Response) -> u64 {
    let said = answer.all("x-sekisho-session-expires");
    assert_eq!((answer.status, said.len()), (200, 1), "{said:?}");
    said[0].parse().unwrap()
}

#[test]
fn f36_a_request_below_an_exempt_path_is_no_activity_however_it_is_spelled_and_every_other_one_is() {
    let upstream = tool();
    let gate = builder(&upstream).start();
    for (path, exempt) in [
        ("/poll", true),
        ("/poll/", true),
        ("/poll/deeper/still", true),
        ("/poll?since=7", true),
        ("//poll", true),
        ("/p%6fll", true),
        ("/x/../poll", true),
        ("/x/%2e%2e/poll", true),
        ("/poll;a=b", true),
        ("/polls", false),
        ("/pol", false),
        ("/Poll", false),
        ("/x/poll", false),
        ("/?/poll", false),
        ("/poll/../x", false),
        ("/short/poll", true),
        ("/short/polls", false),
    ] {
        let mut alice = signed_in(&gate);
        let (on, idle) = if path.starts_with("/short") { ("/short/x", 10) } else { ("/x", 30) };
        assert_eq!(alice.get(on).status, 200);
        advance(&gate, idle * 2 / 3);
        assert_eq!(alice.get(path).status, 200, "{path}");
        advance(&gate, idle * 2 / 3);
        let alive = alice.get(on).text() == "ok";
        assert_eq!(alive, !exempt, "{path}");
    }
}

#[test]
fn f36_a_page_that_polls_without_end_is_signed_out_when_its_reader_is_idle() {
    let upstream = tool();
    let gate = builder(&upstream).start();
    let mut alice = signed_in(&gate);
    assert_eq!(alice.get("/x").status, 200);
    for _ in 0..9 {
        advance(&gate, 3);
        assert_eq!(alice.get("/poll").status, 200);
    }
    // What was polled last was no activity after a restart either, when last-seen times come from the store.
    let mut gate = gate;
    gate.restart();
    alice.follow(&gate);
    advance(&gate, 4);
    assert_eq!(alice.fetch("GET", "/poll", b"").status, 401);
}

#[test]
fn f36_an_answer_says_how_many_seconds_are_left_of_the_session() {
    let upstream = tool();
    let gate = builder(&upstream).tls(&["app.test"]).start();
    let mut alice = signed_in(&gate);
    // A moment passes between any two lines.
    let near = |seconds: u64, expected: u64| {
        assert!(seconds <= expected && seconds + 20 > expected, "{seconds} s left, and not about {expected}");
    };
    near(left(&alice.get("/x")), IDLE);
    near(left(&alice.get("/short/x")), 10 * MINUTE);
    advance(&gate, 5);
    near(left(&alice.get("/poll")), 25 * MINUTE);
    near(left(&alice.get("/short/poll")), 5 * MINUTE);
    near(left(&alice.get("/open")), IDLE);
    near(left(&alice.get("/poll")), IDLE);
    near(left(&alice.get("/x")), IDLE);
    advance(&gate, 25);
    near(left(&alice.get("/poll")), 5 * MINUTE);
    assert_eq!(left(&alice.get("/x")) / MINUTE, 29);
    for _ in 0..3 {
        advance(&gate, 25);
        alice.get("/x");
    }
    // A quarter of an hour of two hours is left, whatever is done in them.
    near(left(&alice.get("/x")), 15 * MINUTE);
    near(left(&alice.get("/poll")), 15 * MINUTE);
    assert_eq!(alice.get("/.sekisho/account").header("x-sekisho-session-expires"), None, "sekisho's own pages");

    let mut nobody = Client::new(&gate);
    assert_eq!(
        nobody.get("/open").header("x-sekisho-session-expires"),
        None,
        "there is no session, whatever the tool says"
    );

    let mut over_tls = Client::tls(&gate, "app.test");
    over_tls.give_password("alice", PASSWORD);
    let cookie = over_tls.cookie_header();
    let cookie = cookie.trim().trim_start_matches("Cookie: ");
    let request = http::Request::get("https://app.test/x").header("cookie", cookie).body(bytes::Bytes::new()).unwrap();
    near(left(&h2::request(&gate, "app.test", request)), IDLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn f36_a_page_warns_in_time_and_its_polling_does_not_keep_it_alive() {
    const PAGE: &str = "<!doctype html><title>tool</title><p id=said>-</p><script>\
        const poll = async () => {\
            const answer = await fetch('/poll', {cache: 'no-store'});\
            const left = Number(answer.headers.get('X-Sekisho-Session-Expires'));\
            said.textContent = !answer.ok ? `over ${answer.status}` : left < 300 ? 'soon' : 'fine';\
            setTimeout(poll, 100);\
        };\
        poll();\
        </script>";
    let upstream = Recorder::raw(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{PAGE}",
        PAGE.len()
    ));
    let gate = builder(&upstream).start();
    let browser = Browser::start().await;
    browser.open(&gate.url("/")).await;
    browser.fill("input[name=login]", "alice").await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.click("main form button[type=submit]").await;
    browser.see("fine").await;
    advance(&gate, 27);
    browser.see("soon").await;
    advance(&gate, 5);
    browser.see("over 401").await;
}
