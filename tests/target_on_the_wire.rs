//! Request line, Host and path: what reaches the upstream is what was judged, byte by byte (attack cases A01–A07).

use crate::harness::{Client, Recorder};
use crate::wire::{ask, ask_and_see_it_close, gate, get, status};

/// Target, and the status that somebody who is not signed in gets. Nothing of it may reach the upstream.
const CLOSED_TO_STRANGERS: &[(&str, u16)] = &[
    // A01: ways out of the public corner.
    ("/public/../admin", 401),
    ("/public/%2e%2e/admin", 401),
    ("/public/.%2e/admin", 401),
    ("/public/%2E./admin", 401),
    ("/public//../admin", 401),
    ("//public/../admin", 401),
    ("/public/x/../../admin", 401),
    ("/public/./../admin", 401),
    ("/public/..", 401),
    ("/public/..;/admin", 400),
    ("/public/..;x=y/admin", 400),
    ("/public/..%3f", 400),
    ("/public/..%23x", 400),
    ("/public/..%253bx/admin", 400),
    ("/public/%2e%2e;/admin", 400),
    ("/public/%2e%2e%3b/admin", 400),
    ("/public/.;/../admin", 400),
    ("/public/..%2fadmin", 400),
    ("/public%2f..%2fadmin", 400),
    ("/public%2fx", 400),
    ("/public/..%5cadmin", 400),
    ("/public/..\\admin", 400),
    ("/public\\..\\admin", 400),
    ("/public/%252e%252e/admin", 400),
    ("/public/%252e%252e%252fadmin", 400),
    ("/public/%25252e%25252e/admin", 400),
    ("/public/%c0%ae%c0%ae/admin", 400),
    ("/public/%e0%80%ae%e0%80%ae/admin", 400),
    ("/public/..%c0%afadmin", 400),
    ("/public/..%00/admin", 400),
    ("/public/%u002e%u002e/admin", 400),
    ("/public/%2/admin", 400),
    ("/public/%0d%0aX: y", 400),
    ("/public/x\u{b}", 400),
    ("/public/あ", 400),
    ("/public/../../admin", 400),
    ("/../public/x", 400),
    // A02: queries, fragments and other names are no part of a path.
    ("/admin?/public/x", 401),
    ("/admin?x=/public/", 401),
    ("/admin?x=/../public/", 401),
    ("/admin#/public/", 400),
    ("/public/x#y", 400),
    ("/admin%23/public/", 401),
    ("/admin%3f/public/", 401),
    ("/PUBLIC/x", 401),
    ("/PUBLIC/../admin", 401),
    ("/publicx/a", 401),
    ("/public", 401),
    ("/public;x", 401),
    ("/public;x/a", 400),
    ("/public%3bx/a", 400),
    ("/public%3fx/a", 401),
    // A04: no name of a monitor opens a door.
    ("/healthz/../admin", 401),
    ("/healthz", 401),
    // A07 and fact 1: targets that are no path.
    ("admin", 400),
    ("?x", 400),
    ("@evil/x", 400),
    ("*", 400),
    ("http:\\\\app.test\\x", 400),
    ("ftp://HOST/public/x", 400),
    ("https://HOST/public/x", 400),
    ("http://other.test/public/x", 400),
    ("http://a@HOST/public/x", 400),
    ("http:///public/x", 400),
];

#[test]
fn no_spelling_of_a_path_gets_past_the_wall() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    for (target, expected) in CLOSED_TO_STRANGERS {
        let target = target.replace("HOST", &gate.address().to_string());
        let response = ask(&gate, get(&gate, &target, ""));
        assert_eq!(status(&response), *expected, "{target}");
    }
    assert_eq!(upstream.bytes(), 0);
}

#[test]
fn what_reaches_the_upstream_is_the_path_that_was_matched() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    for (target, forwarded) in [
        ("/public/x", "/public/x"),
        ("/public/x?a=/../%2e%2e\\&b=%00|{}", "/public/x?a=/../%2e%2e\\&b=%00|{}"),
        ("/public/x?", "/public/x?"),
        ("/public/x?'^[]~%zz", "/public/x?'^[]~%zz"),
        ("/public/<x>?q={\"a\":`<1>`}", "/public/%3Cx%3E?q={%22a%22:%60%3C1%3E%60}"),
        ("/x/../public/y", "/public/y"),
        ("//public///y", "/public/y"),
        ("/%70ublic/%7Ey%2a", "/public/~y%2A"),
        ("/public/a;b=c/d;e", "/public/a;b=c/d;e"),
        ("/public/%e3%81%82", "/public/%E3%81%82"),
        ("/public/y/%2e", "/public/y/"),
        ("/public/a{b}|c", "/public/a%7Bb%7D%7Cc"),
        ("http://HOST/public/x?y", "/public/x?y"),
        ("HTTP://HOST/public/../public/x", "/public/x"),
    ] {
        let target = target.replace("HOST", &gate.address().to_string());
        assert_eq!(status(&ask(&gate, get(&gate, &target, ""))), 200, "{target}");
        assert_eq!(upstream.last().line, format!("GET {forwarded} HTTP/1.1"), "{target}");
    }
}

/// A03: headers that name another path, for the upstream or for us, are not heard and not passed on.
#[test]
fn the_request_line_alone_says_what_is_asked_for() {
    const NAMES: [&str; 9] = [
        "X-Forwarded-Uri",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Script-Name",
        "X-Original-Uri",
        "X-Forwarded-Prefix",
        "X-Forwarded-Path",
        "X-Forwarded-Method",
        "X_Original_URL",
    ];
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    for name in NAMES.into_iter().chain(["X-HTTP-Method-Override"]) {
        let response = ask(&gate, get(&gate, "/admin", &format!("{name}: /public/x\r\n")));
        assert!(matches!(status(&response), 401 | 403), "{name}: {}", status(&response));
        assert_eq!(upstream.bytes(), 0, "{name}");
    }
    for agent in ["GoogleHC/1.0", "kube-probe/1.30", "ELB-HealthChecker/2.0"] {
        assert_eq!(status(&ask(&gate, get(&gate, "/admin", &format!("User-Agent: {agent}\r\n")))), 401, "{agent}");
        assert_eq!(upstream.bytes(), 0, "{agent}");
    }
    for name in NAMES {
        assert_eq!(status(&ask(&gate, get(&gate, "/public/x", &format!("{name}: /admin\r\n")))), 200, "{name}");
        let seen = upstream.last();
        assert_eq!(seen.target(), "/public/x", "{name}");
        assert!(seen.all(name).is_empty(), "{name} reached the upstream");
    }
}

/// A05: RFC 9112 §3.2.
#[test]
fn a_request_without_one_plain_host_is_refused() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    for lines in [
        "",
        "Host: app.test\r\nHost: app.test\r\n",
        "Host: app.test\r\nhost: other.test\r\n",
        "Host:\r\n",
        "Host: app.test, other.test\r\n",
        "Host: app.test other\r\n",
        "Host: app.test/x\r\n",
        "Host: a@app.test\r\n",
        "Host: app.test:99999\r\n",
        "Host: app.test:\r\n",
        "Host: app.test:80:80\r\n",
        "Host: app..test\r\n",
        "Host: app.test..\r\n",
        "Host: 127.1\r\n",
        "Host: [::1\r\n",
        "Host: app%2etest\r\n",
        "Host : app.test\r\n",
        " Host: app.test\r\n",
    ] {
        let response = ask_and_see_it_close(&gate, format!("GET /public/x HTTP/1.1\r\n{lines}\r\n"));
        assert_eq!(status(&response), 400, "{lines:?}");
        // An absolute-form does not stand in for it.
        let absolute = format!("GET http://app.test/public/x HTTP/1.1\r\n{lines}\r\n");
        assert_eq!(status(&ask_and_see_it_close(&gate, absolute)), 400, "absolute, {lines:?}");
    }
    let old = ask_and_see_it_close(&gate, "GET /public/x HTTP/1.0\r\n\r\n");
    assert_eq!(status(&old), 400, "HTTP/1.0 without Host");
    assert_eq!(upstream.bytes(), 0);
}

/// A06.
#[test]
fn every_spelling_of_a_host_is_one_host() {
    let upstream = Recorder::ok();
    let other = Recorder::ok();
    let gate = crate::harness::Sekisho::builder()
        .set("second_factor.policy", "off")
        .route("{name: app, host: app.test, upstream: UPSTREAM}", &upstream.url())
        .route("{name: wild, host: '*.wild.test', access: public, upstream: UPSTREAM}", &other.url())
        .tls(&["app.test"])
        .user("alice", &[])
        .start();
    let mut alice = Client::tls(&gate, "app.test");
    alice.sign_in(&gate, "alice", None);
    for (host, seen) in [
        ("app.test", "app.test"),
        ("APP.TEST", "app.test"),
        ("app.test.", "app.test"),
        ("App.Test.:443", "app.test"),
        ("app.test:8443", "app.test:8443"),
    ] {
        let mut conn = alice.connect();
        conn.send(format!("GET /x HTTP/1.1\r\nHost: {host}\r\n{}\r\n", alice.cookie_header()));
        assert_eq!(conn.response().status, 200, "{host}");
        assert_eq!(upstream.last().header("host"), Some(seen), "{host}");
    }
    let seen = upstream.bytes();
    for host in ["other.test", "test", "app.test.evil", "evil-app.test", "wild.test", "127.0.0.1", "[::1]", "localhost"]
    {
        let mut conn = alice.connect();
        conn.send(format!("GET /x HTTP/1.1\r\nHost: {host}\r\n{}\r\n", alice.cookie_header()));
        assert!(matches!(conn.response().status, 404 | 421), "{host}");
    }
    assert_eq!((upstream.bytes(), other.bytes()), (seen, 0), "an unknown host reached a tool");
}

/// Fact 8, and what a method may open.
#[test]
fn only_known_methods_in_their_own_spelling_are_served() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream)
        .route("{name: reading, path: /read, methods: [GET], access: public, upstream: UPSTREAM}", &upstream.url())
        .start();
    let host = gate.address();
    for (method, expected) in [
        ("TRACE", 405),
        ("CONNECT", 405),
        ("get", 501),
        ("Get", 501),
        ("FOO", 501),
        ("G(T", 400),
        ("POST", 401),
        ("PROPFIND", 401),
    ] {
        let request = format!("{method} /read HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(status(&ask(&gate, request)), expected, "{method}");
    }
    assert_eq!(upstream.bytes(), 0);
    let overridden = "X-HTTP-Method-Override: DELETE\r\nX-Method-Override: DELETE\r\nX-HTTP-Method: DELETE\r\n";
    assert_eq!(status(&ask(&gate, get(&gate, "/read", overridden))), 200);
    let seen = upstream.last();
    assert!(seen.headers.iter().all(|(name, _)| !name.to_ascii_lowercase().contains("method")), "{seen:?}");
}

/// A route that admits encoded slashes admits nothing else with them.
#[test]
fn encoded_slashes_pass_where_the_route_says_so() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream)
        .route(
            "{name: queues, path: /queues, access: public, allow_encoded_slash: true, upstream: UPSTREAM}",
            &upstream.url(),
        )
        .start();
    for (target, expected) in [
        ("/queues/%2f/x", Some("/queues/%2F/x")),
        ("/queues/a%2Fb?%2f", Some("/queues/a%2Fb?%2f")),
        ("/queues/..%2fadmin", None),
        ("/queues%2f..%2fadmin", None),
        ("/queues/a%2f../../admin", None),
        ("/queues/a%2f%2e%2e%2fadmin", None),
        ("/queues/%5c", None),
        ("/queues/%252f", None),
        ("/public/a%2fb", None),
    ] {
        let before = upstream.requests().len();
        let answer = status(&ask(&gate, get(&gate, target, "")));
        assert_eq!(answer, if expected.is_some() { 200 } else { 400 }, "{target}");
        let seen = upstream.requests();
        assert_eq!(seen.len() - before, usize::from(expected.is_some()), "{target}");
        if let Some(expected) = expected {
            assert_eq!(upstream.last().target(), expected);
        }
    }
}
