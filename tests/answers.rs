//! What the gateway says itself: to browsers, to scripts, about tools that are down, about requests that make no sense.

use std::net::TcpListener;
use std::time::Duration;

use crate::harness::{Client, Conn, PASSWORD, Recorder, Response, Sekisho, form_with, text};

/// What every page and every answer of the gateway's own carries.
#[track_caller]
fn is_ours(answer: &Response) {
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{:?}", answer.headers);
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{:?}", answer.headers);
    if answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("frame-ancestors") && !policy.contains("unsafe-inline"), "{policy}");
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
        assert!(!answer.text().contains("<script"), "no page of ours needs a script");
    }
}

#[track_caller]
fn is_problem(answer: &Response, status: u16, code: Option<&str>) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.json()["status"], status);
    if let Some(code) = code {
        assert_eq!(answer.json()["code"], code);
    }
    is_ours(answer);
}

fn open_gate(upstream: &str) -> Sekisho {
    Sekisho::builder()
        .set("second_factor.policy", "off")
        .route("{name: all, upstream: UPSTREAM, timeouts: {connect: 1s, read: 1s, write: 1s}}", upstream)
        .route("{name: public, path: /public, access: public, upstream: UPSTREAM}", upstream)
        .route("{name: shut, path: /shut, access: deny}", upstream)
        .route("{name: ops, path: /ops, allow: {groups: [ops]}, upstream: UPSTREAM}", upstream)
        .user("alice", &[])
        .start()
}

#[test]
fn a_browser_is_led_to_the_login_and_a_script_is_told() {
    let upstream = Recorder::ok();
    let gate = open_gate(&upstream.url());
    let mut nobody = Client::new(&gate);
    let led = nobody.get("/orders?a=1&b=2");
    assert_eq!(led.status, 303);
    assert_eq!(led.header("location"), Some("/.sekisho/login?return_to=%2Forders%3Fa%3D1%26b%3D2"));
    assert_eq!(led.header("cache-control"), Some("no-store"));
    assert!(led.header("vary").is_some(), "the answer depends on who asks");

    is_problem(&nobody.fetch("GET", "/orders", b""), 401, Some("login_required"));
    is_problem(&nobody.fetch("POST", "/orders", b"x=1"), 401, Some("login_required"));
    let curl = nobody.request("GET", "/orders", "Accept: */*\r\n", b"");
    is_problem(&curl, 401, Some("login_required"));
    let frame = "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n";
    let frame = nobody.request("GET", "/orders", frame, b"");
    assert_eq!(frame.status, 401, "a frame is not led to a login page inside the tool's page");
    assert!(frame.text().contains("target=\"_top\""), "{}", frame.text());
    assert_eq!(upstream.bytes(), 0);
}

#[test]
fn public_routes_pass_denied_ones_do_not_and_groups_are_asked_for() {
    let upstream = Recorder::ok();
    let gate = open_gate(&upstream.url());
    let mut nobody = Client::new(&gate);
    let forged = "Remote-User: root\r\nRemote_User: root\r\nX-Forwarded-User: root\r\n";
    assert_eq!(nobody.request("GET", "/public/a", forged, b"").status, 200);
    let request = upstream.last();
    assert!(!String::from_utf8_lossy(&request.head).contains("root"), "{}", String::from_utf8_lossy(&request.head));
    upstream.clear();

    is_problem(&nobody.fetch("GET", "/shut/a", b""), 403, Some("forbidden"));
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    upstream.clear();
    is_problem(&alice.fetch("GET", "/ops/a", b""), 403, Some("forbidden"));
    let page = alice.get("/ops/a");
    assert_eq!(page.status, 403);
    is_ours(&page);
    assert!(text(&page.text()).contains("You may not open this page"), "{}", text(&page.text()));
    assert_eq!(upstream.bytes(), 0);
}

#[test]
fn a_host_that_no_route_knows_gets_404() {
    let upstream = Recorder::ok();
    let gate = Sekisho::builder()
        .route("{name: app, host: app.test, upstream: UPSTREAM}", &upstream.url())
        .user("alice", &[])
        .start();
    let mut nobody = Client::new(&gate);
    nobody.host = "other.test".into();
    is_problem(&nobody.fetch("GET", "/", b""), 404, None);
    let page = nobody.get("/");
    assert_eq!(page.status, 404);
    is_ours(&page);
    assert_eq!(upstream.bytes(), 0);
}

#[test]
fn a_tool_that_is_down_is_a_502_and_one_that_is_silent_a_504() {
    // Bound and dropped: nothing listens there.
    let nowhere = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let silent = Recorder::silent();
    for (upstream, status, words) in
        [(nowhere, 502, "The admin tool cannot be reached"), (silent.url(), 504, "The admin tool does not answer")]
    {
        let gate = open_gate(&upstream);
        let mut alice = Client::new(&gate);
        alice.sign_in_by_password_alone(&gate);
        let page = alice.get("/");
        assert_eq!(page.status, status);
        assert!(text(&page.text()).contains(words), "{}", text(&page.text()));
        assert!(!page.text().contains("127.0.0.1:"), "the page must not tell where the tool is");
        is_ours(&page);
        is_problem(&alice.fetch("GET", "/", b""), status, None);
        let mut japanese = alice.copy();
        japanese.language = "ja".into();
        assert!(japanese.get("/").text().contains("lang=\"ja\""));
    }
}

#[test]
fn a_tool_that_dies_in_its_answer_ends_the_connection() {
    let upstream = Recorder::dies_in_its_body();
    let gate = open_gate(&upstream.url());
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    let mut conn = alice.connect();
    conn.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n{}\r\n", alice.host, alice.cookie_header()));
    let head = conn.read_head().expect("the head was passed on");
    assert_eq!((head.status, head.header("content-length")), (200, Some("1000")));
    assert!(conn.until_close().len() < 1000, "a cut answer must not look whole");
    assert_eq!(alice.get("/.sekisho/logout").status, 200, "and the gateway goes on");
}

#[test]
fn a_form_that_is_too_large_is_refused_before_it_is_read() {
    let upstream = Recorder::ok();
    let gate = open_gate(&upstream.url());
    let mut nobody = Client::new(&gate);
    let page = nobody.open("/");
    let form = form_with(&page, "password");
    let large = form.clone().with("login", "alice").with("password", &"x".repeat(70 * 1024));
    let answer = nobody.copy().send(&large);
    assert_eq!(answer.status, 413);
    is_ours(&answer);

    // Promised and never sent: the answer must not wait for it.
    let mut conn = nobody.connect();
    conn.send(format!(
        "POST /.sekisho/login HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: 2000000000\r\n\r\nlogin=",
        nobody.host
    ));
    assert_eq!(conn.response().status, 413);
    let right = form.with("login", "alice").with("password", PASSWORD);
    assert_eq!(nobody.submit(&right).text(), "ok", "the gateway goes on");
}

#[test]
fn malformed_requests_get_400_and_reach_nobody() {
    let upstream = Recorder::ok();
    let gate = open_gate(&upstream.url());
    let host = gate.address();
    for (what, bytes) in [
        ("no request at all", "nonsense\r\n\r\n".to_owned()),
        ("no Host", "GET /public/ HTTP/1.1\r\n\r\n".to_owned()),
        ("two Hosts", format!("GET /public/ HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n")),
        ("a broken escape", format!("GET /public/%zz HTTP/1.1\r\nHost: {host}\r\n\r\n")),
        ("climbing out", format!("GET /public/../../etc HTTP/1.1\r\nHost: {host}\r\n\r\n")),
        ("an encoded slash", format!("GET /public/..%2fadmin HTTP/1.1\r\nHost: {host}\r\n\r\n")),
        ("a strange target", format!("GET @evil/public/ HTTP/1.1\r\nHost: {host}\r\n\r\n")),
        ("a blank in a name", format!("GET /public/ HTTP/1.1\r\nHost: {host}\r\nContent-Length : 1\r\n\r\nx")),
        (
            "two lengths",
            format!("POST /public/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
        ),
    ] {
        let mut conn = Conn::plain(gate.address());
        let answer = conn.send(bytes).response();
        assert_eq!(answer.status, 400, "{what}: {}", text(&answer.text()));
        assert!(conn.closes_within(Duration::from_secs(10)), "{what}: the connection stays open");
    }
    assert_eq!(upstream.bytes(), 0);
}

#[test]
fn plain_http_from_behind_an_unknown_proxy_signs_nobody_in() {
    let upstream = Recorder::ok();
    let gate = open_gate(&upstream.url());
    let mut nobody = Client::new(&gate);
    let headers =
        "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nX-Forwarded-For: 192.0.2.1\r\n";
    let answer = nobody.request("GET", "/.sekisho/login", headers, b"");
    assert_eq!(answer.status, 403, "{}", text(&answer.text()));
    assert!(text(&answer.text()).contains("No login over this connection"), "{}", text(&answer.text()));
    is_ours(&answer);
}
