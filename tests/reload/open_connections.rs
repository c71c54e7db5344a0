//! What was open when the configuration was taken: connections, tunnels, streams.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use tokio_tungstenite::tungstenite::{self, Message};

use super::{alice, gate, route};
use crate::harness::{Conn, Recorder, tools, wait_until};

const A_WHILE: Duration = Duration::from_millis(300);

#[track_caller]
fn echoes(socket: &mut tungstenite::WebSocket<TcpStream>, word: &str) {
    socket.send(Message::text(word)).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text(word));
}

#[test]
fn a_new_certificate_is_shown_to_the_next_handshake_and_the_old_connection_lives() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream.url()).tls(&["app.test"]).start();
    let ask = |conn: &mut Conn| {
        conn.send("GET /x HTTP/1.1\r\nHost: app.test\r\n\r\n");
        conn.response().status
    };
    // One client for all its connections: it would resume a session, and see no certificate, if it could.
    let client = gate.authority().client(&["http/1.1"]);
    let mut before = crate::harness::tls::connect(&client, gate.tls_address(), "app.test");
    assert_eq!(ask(&mut before), 401);
    let shown = || crate::harness::tls::certificate_shown(&client, gate.tls_address(), "app.test");
    let old = shown();
    gate.authority().issue(&gate.folder(), &["app.test"]);
    assert_eq!(shown(), old, "files alone change nothing");
    gate.reload();
    assert_ne!(shown(), old);
    assert_eq!(ask(&mut before), 401);
}

#[test]
fn a_websocket_stays_open_where_it_may_and_closes_where_it_may_not() {
    let upstream = tools::WebSocketEcho::start();
    let gate = gate(&upstream.url()).start();
    let alice = alice(&gate);
    let mut socket = tools::websocket(&gate, &alice);
    echoes(&mut socket, "before");
    for more in ["allow: {groups: [ops]}", "timeouts: {read: 50s}", "idle_timeout: 5m", "second_factor: per_user"] {
        gate.change("routes", &format!("[{{name: all, upstream: {:?}, {more}}}]", upstream.url()));
        gate.reload();
        echoes(&mut socket, more);
    }
    for more in [
        "access: deny",
        "allow: {groups: [finance]}",
        "second_factor: required",
        "allow: {networks: [10.0.0.0/8]}",
        "path: /elsewhere",
    ] {
        gate.change("routes", &format!("[{{name: all, upstream: {:?}}}]", upstream.url()));
        gate.reload();
        let mut socket = tools::websocket(&gate, &alice);
        echoes(&mut socket, "once more");
        gate.change("routes", &format!("[{{name: all, upstream: {:?}, {more}}}]", upstream.url()));
        gate.reload();
        assert!(!matches!(socket.read(), Ok(Message::Text(_) | Message::Binary(_))), "{more}: it stays open");
        wait_until("the tool sees it end", || (upstream.open() <= 1).then_some(()));
    }
    gate.change("routes", &format!("[{{name: another, upstream: {:?}}}]", upstream.url()));
    gate.reload();
    wait_until("the route of the first is gone, and so is it", || (upstream.open() == 0).then_some(()));
}

/// What time alone would end some day is not ended by a reload that changes nothing of it.
#[test]
fn a_tunnel_outlives_its_routes_idle_timeout_through_a_reload() {
    let upstream = tools::WebSocketEcho::start();
    let gate = gate(&upstream.url()).clock().start();
    gate.change("routes", &format!("[{{name: all, upstream: {:?}, idle_timeout: 5m}}]", upstream.url()));
    gate.reload();
    let mut alice = alice(&gate);
    let mut socket = tools::websocket(&gate, &alice);
    gate.advance(Duration::from_secs(600));
    assert_eq!(alice.get("/x").status, 303, "the route's idle timeout has passed");
    gate.change("session.max_per_user", "5");
    gate.reload();
    echoes(&mut socket, "still here");
    gate.change("routes", &format!("[{{name: all, upstream: {:?}, access: deny}}]", upstream.url()));
    gate.reload();
    assert!(!matches!(socket.read(), Ok(Message::Text(_) | Message::Binary(_))), "but a route that is denied ends it");
}

#[test]
fn an_event_stream_ends_where_its_route_is_denied_and_not_before() {
    let upstream = tools::EventStream::start();
    let gate = gate(&upstream.url()).start();
    let alice = alice(&gate);
    let mut conn = alice.connect();
    conn.send(format!("GET /events HTTP/1.1\r\nHost: {}\r\n{}\r\n", alice.host, alice.cookie_header()));
    assert_eq!(conn.read_head().unwrap().status, 200);
    gate.change("session.max_per_user", "5");
    gate.reload();
    upstream.say("second");
    wait_until("the event comes", || conn.line().contains("second").then_some(()));
    gate.change("routes", &format!("[{{name: all, upstream: {:?}, access: deny}}]", upstream.url()));
    gate.reload();
    conn.until_close();
}

/// It is known as one only when it is answered: until then it is a request whose body comes slowly.
#[test]
fn an_event_stream_that_answers_a_form_in_pieces_ends_at_once_as_well() {
    let upstream = tools::EventStream::start();
    let gate = gate(&upstream.url()).set("server.shutdown_grace", "10m").start();
    let alice = alice(&gate);
    let mut conn = alice.connect();
    let head = format!("POST /events HTTP/1.1\r\nHost: {}\r\n{}", alice.host, alice.cookie_header());
    conn.send(format!("{head}Origin: http://{}\r\nContent-Length: 6\r\n\r\nfirst", alice.host));
    assert!(conn.is_silent_for(A_WHILE), "its last byte has yet to come");
    conn.send("!");
    assert_eq!(conn.read_head().unwrap().status, 200);
    gate.change("routes", &format!("[{{name: all, upstream: {:?}, access: deny}}]", upstream.url()));
    gate.reload();
    conn.until_close();
}

/// What was let through and is only on its way may end; what does not within the grace is ended.
#[test]
fn an_answer_on_its_way_ends_in_peace_or_with_the_grace() {
    let (go, told) = std::sync::mpsc::channel::<bool>();
    let told = std::sync::Mutex::new(told);
    let upstream = Recorder::with(move |request, stream| {
        if !request.target().starts_with("/long") {
            return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok();
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        if told.lock().unwrap().recv().unwrap_or(false) {
            let _ = stream.write_all(b"4\r\nlast\r\n0\r\n\r\n");
        }
        true
    });
    let gate = gate(&upstream.url()).start();
    let alice = alice(&gate);
    for in_time in [true, false] {
        gate.change("routes", &route(&upstream, "access: authenticated"));
        gate.reload();
        let mut conn = alice.connect();
        conn.send(format!("GET /long HTTP/1.1\r\nHost: {}\r\n{}\r\n", alice.host, alice.cookie_header()));
        assert_eq!(conn.read_head().unwrap().status, 200);
        assert_eq!((conn.line().as_str(), conn.line().as_str()), ("5", "first"));
        gate.change("routes", &route(&upstream, "access: deny"));
        gate.reload();
        if in_time {
            assert!(conn.is_silent_for(A_WHILE), "it is not cut at once");
            go.send(true).unwrap();
            assert_eq!((conn.line().as_str(), conn.line().as_str()), ("4", "last"));
        } else {
            conn.until_close();
            go.send(false).unwrap();
        }
    }
}
