//! What an upstream says that is not the client's to hear, or not the upstream's to say (attack case A19, fact 11).

use std::io::Write;

use crate::harness::{Client, Recorder};
use crate::wire::{ask, gate, get, status};

#[test]
fn what_is_between_upstream_and_gateway_stays_there() {
    let upstream = Recorder::raw(
        "HTTP/1.1 200 OK\r\nConnection: X-Secret, keep-alive, X-Other\r\nX-Secret: 1\r\nx-other: 2\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Authenticate: Basic\r\nProxy-Authentication-Info: x\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\nTE: x\r\n\
         Trailer: X\r\nX-Mine: kept\r\nWWW-Authenticate: Basic realm=tool\r\nContent-Length: 2\r\n\r\nok",
    );
    let gate = gate(&upstream).start();
    let response = ask(&gate, get(&gate, "/public/x", "")).expect("an answer");
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    for name in [
        "x-secret",
        "x-other",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-connection",
        "upgrade",
        "te",
        "trailer",
    ] {
        assert_eq!(response.header(name), None, "{name}");
    }
    assert_eq!(response.header("x-mine"), Some("kept"));
    assert_eq!(response.header("www-authenticate"), Some("Basic realm=tool"), "the tool's own login");
}

#[test]
fn an_upstream_sets_its_own_cookies_and_none_of_sekishos() {
    let cookies = [
        ("tool=1; Path=/; HttpOnly", true),
        ("tool=2; Domain=app.test; Secure; SameSite=None", true),
        ("xsekisho-session=1", true),
        ("tool-sekisho-x=1", true),
        ("tool=\"__Host-sekisho-session=1\"", true),
        ("__Host-sekisho-session=evil; Secure; Path=/", false),
        ("__Host-sekisho-device=evil; Secure; Path=/", false),
        ("__host-sekisho-session=evil; Secure; Path=/", false),
        ("__HOST-SEKISHO-anything=evil", false),
        ("sekisho-session=evil; Max-Age=0", false),
        ("SEKISHO-session=evil", false),
        (" sekisho-session=evil", false),
        ("\tsekisho-session=evil", false),
        ("sekisho-session =evil", false),
        ("sekisho-session", false),
        ("=sekisho-session=evil", false),
        ("=__Host-sekisho-session=evil; Secure; Path=/", false),
    ];
    let lines: String = cookies.iter().map(|(cookie, _)| format!("Set-Cookie: {cookie}\r\n")).collect();
    let upstream = Recorder::raw(format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\nok"));
    let gate = gate(&upstream).start();
    let response = ask(&gate, get(&gate, "/public/x", "")).expect("an answer");
    let expected: Vec<&str> = cookies.iter().filter(|(_, passes)| *passes).map(|(cookie, _)| *cookie).collect();
    assert_eq!(response.all("set-cookie"), expected);
}

/// A59.
#[test]
fn a_failing_upstream_is_a_page_or_problem_of_sekishos() {
    let cases: [(&str, Recorder, u16); 4] = [
        ("garbage", Recorder::raw("garbage\r\n\r\n"), 502),
        ("closes", Recorder::with(|_, _| false), 502),
        ("two lengths", Recorder::raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"), 502),
        ("silent", Recorder::silent(), 504),
    ];
    for (name, upstream, expected) in cases {
        let gate = gate(&upstream)
            .route(
                "{name: slow, path: /public/slow, access: public, upstream: UPSTREAM, timeouts: {connect: 1s, read: 1s, write: 1s}}",
                &upstream.url(),
            )
            .start();
        for (accept, kind) in [("text/html", "text/html"), ("application/json", "application/problem+json")] {
            let response = ask(&gate, get(&gate, "/public/slow", &format!("Accept: {accept}\r\n"))).expect(name);
            assert_eq!(response.status, expected, "{name}");
            assert_eq!(response.header("cache-control"), Some("no-store"), "{name}");
            assert!(response.header("content-type").unwrap_or_default().starts_with(kind), "{name}: {response:?}");
            assert!(!response.text().contains(&upstream.address().to_string()), "{name}: internals on the page");
        }
    }
}

#[test]
fn an_unreachable_upstream_is_502() {
    let upstream = Recorder::ok();
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let gate = gate(&upstream)
        .route("{name: gone, path: /public/gone, access: public, upstream: UPSTREAM}", &format!("http://{closed}"))
        .route("{name: nowhere, path: /public/nowhere, access: public, upstream: 'http://no-such-host.invalid:80'}", "")
        .start();
    for path in ["/public/gone", "/public/nowhere"] {
        assert_eq!(status(&ask(&gate, get(&gate, path, ""))), 502, "{path}");
    }
    assert_eq!(status(&ask(&gate, get(&gate, "/public/x", ""))), 200, "one upstream's trouble is not another's");
}

#[test]
fn an_answer_that_breaks_off_ends_the_connection() {
    let upstream = Recorder::dies_in_its_body();
    let gate = gate(&upstream).start();
    let mut conn = crate::harness::Conn::plain(gate.address());
    conn.send(get(&gate, "/public/x", ""));
    let response = conn.read_response(false).expect("a head came");
    assert_eq!(response.status, 200);
    assert_eq!(response.body, b"0123456789", "the client can tell that something is missing");
    assert!(conn.until_close().is_empty());
}

/// Early hints are for the client, and no answer.
#[test]
fn interim_answers_do_not_end_the_exchange() {
    let upstream = Recorder::with(|_, stream| {
        stream
            .write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nSet-Cookie: sekisho-session=evil\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .is_ok()
    });
    let gate = gate(&upstream).start();
    let mut conn = crate::harness::Conn::plain(gate.address());
    conn.send(get(&gate, "/public/x", ""));
    let mut heads = Vec::new();
    while let Some(head) = conn.read_head() {
        let last = head.status == 200;
        heads.push(head);
        if last {
            break;
        }
    }
    assert_eq!(heads.last().map(|head| head.status), Some(200));
    assert!(heads.iter().all(|head| head.header("set-cookie").is_none()), "{heads:?}");
}

/// A retry could do twice what a person asked for once (fact 17).
#[test]
fn a_form_is_sent_to_the_upstream_once() {
    let upstream = Recorder::with(|request, stream| {
        // The first request keeps the connection; the one that reuses it is met with silence and a close.
        request.target() == "/public/first"
            && stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok()
    });
    let gate = gate(&upstream).start();
    let mut client = Client::new(&gate);
    assert_eq!(client.get("/public/first").status, 200);
    let answer = client.request("POST", "/public/pay", "", b"amount=1");
    assert_eq!(answer.status, 502);
    let paid = upstream.requests().iter().filter(|request| request.target() == "/public/pay").count();
    assert_eq!(paid, 1, "the form was sent {paid} times");
}
