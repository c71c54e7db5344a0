//! Two readers of the same bytes must see the same requests: framing, bodies, upgrades (attack cases A08–A12, A17).

use std::io::Write;
use std::time::Duration;

use crate::harness::{Conn, Recorder, Sekisho};
use crate::wire::{ask_and_see_it_close, gate, status};

/// A request that must never be seen, neither by the upstream nor by the gateway.
const SMUGGLED: &str = "GET /public/smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n";

/// Header lines and body, each behind `POST /public/x HTTP/1.1` and a Host.
const MALFORMED: &[(&str, &str)] = &[
    // A08 and fact 15: two lengths of different kinds.
    ("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nG"),
    ("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n", "0\r\n\r\nG"),
    // A09 and fact 5.
    ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
    ("Transfer-Encoding: identity\r\n", "0\r\n\r\n"),
    ("Transfer-Encoding:  chunked, identity\r\n", "0\r\n\r\n"),
    ("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
    ("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
    ("Transfer-Encoding: \u{b}chunked\r\n", "0\r\n\r\n"),
    ("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"),
    ("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"),
    ("Transfer-Encoding:\r\n", "0\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    ("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
    ("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"),
    ("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
    ("X: y\r\n Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    ("Content-Length : 5\r\n", "hello"),
    ("Content-Length: +5\r\n", "hello"),
    ("Content-Length: 0x5\r\n", "hello"),
    ("Content-Length: -1\r\n", "hello"),
    ("Content-Length: 5, 6\r\n", "hello"),
    ("Content-Length: 5, 5\r\n", "hello"),
    ("Content-Length: 5 5\r\n", "hello"),
    ("Content-Length: 5;\r\n", "hello"),
    ("Content-Length: \r\n", ""),
    ("Content-Length: 5e0\r\n", "hello"),
    ("Content-Length: 18446744073709551621\r\n", "hello"),
    ("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
    ("Content-Length: 1\r\nContent-Length: 2\r\n", "he"),
    // Fact 15: heads whose lines end differently.
    ("Content-Length: 5\n", "hello"),
    ("X: y\nContent-Length: 5\r\n", "hello"),
    ("X: y\rContent-Length: 5\r\n", "hello"),
    ("X: y\0\r\nContent-Length: 0\r\n", ""),
    ("X\r\nContent-Length: 0\r\n", ""),
    (": y\r\nContent-Length: 0\r\n", ""),
    ("X Y: z\r\nContent-Length: 0\r\n", ""),
    ("X\u{e9}: z\r\nContent-Length: 0\r\n", ""),
];

#[test]
fn a_body_whose_end_is_in_doubt_is_refused() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    for (lines, body) in MALFORMED {
        let request = format!("POST /public/x HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n{body}{SMUGGLED}");
        assert_eq!(status(&ask_and_see_it_close(&gate, request)), 400, "{lines:?}");
        assert_eq!(upstream.bytes(), 0, "{lines:?}");
    }
    let old = format!(
        "POST /public/x HTTP/1.0\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{SMUGGLED}"
    );
    assert_eq!(status(&ask_and_see_it_close(&gate, old)), 400);
    assert_eq!(upstream.bytes(), 0);
    for line in
        ["GET /public/x HTTP/1.1\n", "GET  /public/x HTTP/1.1\r\n", "GET /public/x HTTP/1.1 \r\n", "GET /public/x\r\n"]
    {
        let request = format!("{line}Host: app.test\r\n\r\n{SMUGGLED}");
        assert_eq!(status(&ask_and_see_it_close(&gate, request)), 400, "{line:?}");
    }
    for (version, expected) in
        [("HTTP/2.0", 505), ("HTTP/1.2", 505), ("HTTP/0.9", 505), ("HTTP/1.10", 400), ("http/1.1", 400)]
    {
        let request = format!("GET /public/x {version}\r\nHost: app.test\r\n\r\n{SMUGGLED}");
        assert_eq!(status(&ask_and_see_it_close(&gate, request)), expected, "{version}");
    }
    assert_eq!(upstream.bytes(), 0);
}

/// A10. The head may have gone on before the body was read, but what is no chunk ends it, and nothing comes after it.
#[test]
fn a_malformed_chunk_ends_the_connection() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    let long_extension = format!("2;{}\r\nab\r\n0\r\n\r\n", "a".repeat(64 * 1024));
    for body in [
        "0x2\r\nab\r\n0\r\n\r\n",
        "2\r\nabc\r\n0\r\n\r\n",
        "2\nab\n0\n\n",
        "2\r\nab\n0\r\n\r\n",
        "2;\nxx\r\nab\r\n0\r\n\r\n",
        "2;a=\"\n\"\r\nab\r\n0\r\n\r\n",
        "2;\rxx\r\nab\r\n0\r\n\r\n",
        "ffffffffffffffff1\r\nab\r\n0\r\n\r\n",
        "8000000000000000\r\nab\r\n0\r\n\r\n",
        "-2\r\nab\r\n0\r\n\r\n",
        " 2\r\nab\r\n0\r\n\r\n",
        "2 \r\nab\r\n0\r\n\r\n",
        "\r\nab\r\n0\r\n\r\n",
        "0\r\n\n",
        long_extension.as_str(),
    ] {
        let before = upstream.requests().len();
        let request =
            format!("POST /public/x HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n{body}{SMUGGLED}");
        let name = body.get(..20).unwrap_or(body).escape_debug().to_string();
        let response = ask_and_see_it_close(&gate, request);
        assert!(matches!(status(&response), 0 | 400), "{name}: {}", status(&response));
        assert_eq!(upstream.requests().len(), before, "a whole request came of {name}");
        assert!(!saw(&upstream, "smuggled"), "{name}");
    }
}

/// A11: one answer for whoever may not pass, and the body is no request.
#[test]
fn a_refused_body_is_never_read_as_a_request() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    let length = SMUGGLED.len();
    let chunked = format!("{length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n");
    for (method, lines, body) in [
        ("POST", format!("Content-Length: {length}\r\n"), SMUGGLED.to_owned()),
        ("POST", format!("Content-Length: {length}\r\nExpect: 100-continue\r\n"), SMUGGLED.to_owned()),
        ("POST", "Transfer-Encoding: chunked\r\n".to_owned(), chunked),
        ("GET", format!("Content-Length: {length}\r\n"), SMUGGLED.to_owned()),
        ("HEAD", format!("Content-Length: {length}\r\n"), SMUGGLED.to_owned()),
        ("DELETE", format!("Content-Length: {length}\r\n"), SMUGGLED.to_owned()),
    ] {
        let head = format!("{method} /admin HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n");
        for in_two in [false, true] {
            let mut conn = Conn::plain(gate.address());
            if in_two {
                conn.send(&head);
                let _ = conn.try_send(body.as_bytes());
            } else {
                conn.send([head.as_bytes(), body.as_bytes()].concat());
            }
            let first = conn.read_response(method == "HEAD").expect("one answer");
            assert_eq!(first.status, 401, "{method} {lines:?} {in_two}");
            // Either the connection ends, or it goes on behind the body: the next answer is to the next request.
            let _ = conn.try_send(b"GET /next HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n");
            if let Some(second) = conn.read_response(false) {
                assert_eq!(second.status, 401, "{method} {lines:?} {in_two}: the body was read as a request");
                assert!(conn.read_response(false).is_none(), "{method} {lines:?} {in_two}: a third answer");
            }
        }
    }
    assert_eq!(upstream.bytes(), 0);
}

/// A body that may pass is the body, whatever stands in it; what comes behind it is a request of its own.
#[test]
fn a_body_reaches_the_upstream_whole_and_alone() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    let length = SMUGGLED.len();
    let mut conn = Conn::plain(gate.address());
    conn.send(format!("POST /public/a HTTP/1.1\r\nHost: app.test\r\nContent-Length: {length}\r\n\r\n{SMUGGLED}"));
    assert_eq!(conn.response().status, 200);
    conn.send(format!(
        "POST /public/b HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n{length:x};x=y\r\n{SMUGGLED}\r\n0\r\n\r\n"
    ));
    assert_eq!(conn.response().status, 200);
    let pipelined = "GET /public/c HTTP/1.1\r\nHost: app.test\r\n\r\nGET /admin HTTP/1.1\r\nHost: app.test\r\n\r\n";
    conn.send(pipelined);
    assert_eq!(conn.response().status, 200);
    assert_eq!(conn.response().status, 401);
    let seen: Vec<(String, usize)> =
        upstream.requests().iter().map(|request| (request.target().to_owned(), request.body.len())).collect();
    assert_eq!(seen, [("/public/a".into(), length), ("/public/b".into(), length), ("/public/c".into(), 0)]);
}

/// A12 and fact 9: bytes behind the head of an upgrade wait until the upstream has agreed.
#[test]
fn bytes_behind_an_upgrade_that_was_not_granted_are_no_tunnel() {
    let upstream = Recorder::with(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        false
    });
    let gate = gate(&upstream).start();
    for (lines, kept) in [
        (
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            true,
        ),
        ("Connection: Upgrade\r\nUpgrade: foo\r\n", false),
        ("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n", false),
        ("Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", false),
        ("Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n", false),
        ("Upgrade: websocket\r\n", false),
    ] {
        upstream.clear();
        let mut conn = Conn::plain(gate.address());
        conn.send(format!("GET /public/ws HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n{SMUGGLED}"));
        let first = conn.read_response(false);
        assert!(matches!(status(&first), 200 | 400 | 403), "{lines:?}: {}", status(&first));
        // What follows is either dropped with the connection or answered as the request that it is, never sent on raw.
        let _ = conn.read_response(false);
        for bytes in upstream.connections() {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(!text.contains("Host: app.test\r\n\r\nGET /public/smuggled"), "{lines:?}: {text}");
            let upgrades = text.to_ascii_lowercase().matches("upgrade: ").count();
            assert_eq!(upgrades, usize::from(kept && text.contains("/public/ws")), "{lines:?}: {text}");
            assert!(!text.to_ascii_lowercase().contains("http2-settings"), "{lines:?}: {text}");
        }
    }
}

/// Facts 9 and 18.
#[test]
fn a_handshake_has_no_body_and_is_a_whole_one() {
    let upstream = Recorder::echo();
    let gate = gate(&upstream).start();
    let handshake = |lines: &str, body: &str| {
        let mut conn = Conn::plain(gate.address());
        conn.send(format!(
            "GET /public/ws HTTP/1.1\r\nHost: app.test\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n{body}"
        ));
        conn.read_head().map_or(0, |head| head.status)
    };
    assert_eq!(handshake("Connection: Upgrade\r\nUpgrade: websocket\r\n", ""), 101);
    let before = upstream.requests().len();
    for (lines, body) in [
        ("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n", "hello"),
        ("Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
    ] {
        assert_eq!(handshake(lines, body), 400, "{lines:?}");
    }
    assert_eq!(upstream.requests().len(), before, "a handshake with a body reached the upstream");
    assert_ne!(handshake("Upgrade: websocket\r\n", ""), 101, "an upgrade that the connection does not ask for");
}

/// A17.
#[test]
fn trailers_never_become_headers() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    let request = "POST /public/x HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\nTrailer: Remote-User\r\n\r\n\
                   5\r\nhello\r\n0\r\nRemote-User: root\r\nContent-Length: 5\r\n\r\n";
    let mut conn = Conn::plain(gate.address());
    conn.send(request);
    assert_eq!(conn.response().status, 200);
    assert_eq!(upstream.last().body, b"hello");
    assert!(!saw(&upstream, "root"), "a trailer reached the upstream");
    assert!(!String::from_utf8_lossy(&upstream.last().head).contains("Content-Length"));
    conn.send("GET /public/next HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(conn.response().status, 200);
    assert_eq!(upstream.last().target(), "/public/next");
}

/// Fact 10: a 101 that nobody asked for is no tunnel.
#[test]
fn an_upstream_cannot_make_a_tunnel_by_itself() {
    let upstream = Recorder::with(|request, stream| {
        let asked = request.target() == "/public/plain";
        let answer = if asked {
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        } else {
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        };
        stream.write_all(answer.as_bytes()).is_ok()
    });
    let gate = gate(&upstream).start();
    let mut conn = Conn::plain(gate.address());
    conn.send("GET /public/plain HTTP/1.1\r\nHost: app.test\r\n\r\n");
    let answer = conn.read_response(false);
    assert_eq!(status(&answer), 502);
    let _ = conn.try_send(SMUGGLED.as_bytes());
    let _ = conn.read_response(false);
    let tunnelled = upstream.connections().iter().any(|bytes| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.contains("/public/plain") && text.contains("smuggled")
    });
    assert!(!tunnelled, "bytes of the client reached the upstream raw");
}

/// Fact 13 and 7: whatever comes first is answered, in time.
#[test]
fn a_short_or_old_request_is_answered_at_once() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    let quickly = |bytes: &str| {
        let mut conn = Conn::plain(gate.address());
        conn.send(bytes);
        status(&conn.read_response(false))
    };
    assert_eq!(quickly("GET / HTTP/1.0\r\n\r\n"), 400);
    assert_eq!(quickly("GET /public/x HTTP/1.0\r\nHost: app.test\r\n\r\n"), 200);
    assert_eq!(quickly("\r\nGET /public/x HTTP/1.1\r\nHost: app.test\r\n\r\n"), 200);
    assert_eq!(quickly("\n"), 400);
    assert_eq!(quickly("\x16\x03\x01\x02\0\x01\0\x01\n"), 400, "a TLS handshake on the plain socket");
    assert_eq!(quickly("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 501, "HTTP/2 without TLS");
}

fn saw(upstream: &Recorder, text: &str) -> bool {
    upstream.connections().iter().any(|bytes| String::from_utf8_lossy(bytes).contains(text))
}

/// Facts 7 and 16, A22, A23.
#[test]
fn heads_are_bounded_in_size_and_in_time() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    let long = |n: usize| "a".repeat(n);
    for (request, expected) in [
        (format!("GET /public/{} HTTP/1.1\r\nHost: app.test\r\n\r\n", long(64 * 1024)), 414),
        (format!("GET /public/{} HTTP/1.1\r\nHost: app.test\r\n\r\n", long(9 * 1024)), 414),
        (format!("GET /public/x HTTP/1.1\r\nHost: app.test\r\nX: {}\r\n\r\n", long(200 * 1024)), 431),
        (format!("GET /public/x HTTP/1.1\r\nHost: app.test\r\n{}\r\n", "X: y\r\n".repeat(300)), 431),
        (format!("{} / HTTP/1.1\r\nHost: app.test\r\n\r\n", long(20 * 1024)), 414),
    ] {
        let name = request.get(..40).unwrap_or(&request).to_owned();
        assert_eq!(status(&ask_and_see_it_close(&gate, request)), expected, "{name}");
    }
    assert_eq!(upstream.bytes(), 0);
    dripped_heads_are_cut(&gate);
    assert_eq!(upstream.bytes(), 0);
}

/// Heads that never end: from the first byte, in the middle of a second request, and a byte now and then.
#[track_caller]
fn dripped_heads_are_cut(gate: &Sekisho) {
    let mut half = Conn::plain(gate.address());
    half.send("GET /public/x HTTP/1.1\r\nHost: ap");
    let mut second = Conn::plain(gate.address());
    second.send("GET /admin HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(second.response().status, 401);
    second.send("GET /publ");
    let mut dripping = Conn::plain(gate.address());
    let mut cut = false;
    for byte in "GET /public/x HTTP/1.1\r\nHost: app.test\r\nX: y".bytes() {
        if dripping.try_send(&[byte]).is_err() || !dripping.is_silent_for(Duration::from_secs(1)) {
            cut = true;
            break;
        }
    }
    assert!(cut, "a head of forty seconds was waited for");
    for (name, conn) in [("half a head", &mut half), ("half a second head", &mut second)] {
        let answer = conn.read_response(false);
        assert!(matches!(status(&answer), 0 | 408), "{name}: {}", status(&answer));
        assert!(conn.until_close().is_empty(), "{name}");
    }
}
