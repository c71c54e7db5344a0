//! The TLS listener: each name its own certificate, HTTP/1.1 and HTTP/2, and plain HTTP led to it.

use crate::harness::{Conn, Recorder};
use crate::wire::gate;

#[test]
fn each_name_is_shown_its_own_certificate() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).tls(&["app.test", "other.test"]).start();
    for name in ["app.test", "other.test", "localhost"] {
        // The client trusts one authority and verifies the name: another's certificate ends the handshake.
        let mut conn = gate.authority().connect(gate.tls_address(), name, &["http/1.1"]);
        conn.send(format!("GET /public/x HTTP/1.1\r\nHost: {name}\r\n\r\n"));
        assert_eq!(conn.response().status, 200, "{name}");
    }
}

#[test]
fn a_client_that_chooses_no_protocol_speaks_http1() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).tls(&["app.test"]).start();
    let mut conn = gate.authority().connect(gate.tls_address(), "app.test", &[]);
    conn.send("GET /public/x HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(conn.response().status, 200);
}

/// A handshake that never comes, or is none, holds nobody else up.
#[test]
fn broken_handshakes_are_closed_and_others_served() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).tls(&["app.test"]).start();
    let mut silent = Conn::plain(gate.tls_address());
    let mut plain = Conn::plain(gate.tls_address());
    plain.send("GET /public/x HTTP/1.1\r\nHost: app.test\r\n\r\n");
    let mut conn = gate.authority().connect(gate.tls_address(), "app.test", &["http/1.1"]);
    conn.send("GET /public/x HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(conn.response().status, 200);
    assert!(!plain.until_close().starts_with(b"HTTP/1.1 200"));
    assert!(silent.until_close().is_empty(), "a handshake that never comes is waited for for ever");
    assert_eq!(upstream.requests().len(), 1);
}
