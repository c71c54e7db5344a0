//! A proxy in front that passes on bytes and says by a PROXY header whose they are (`server.proxy_protocol`).

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use rustix::net::{AddressFamily, SocketType};

use crate::harness::{Conn, Recorder, Response, Sekisho, h2, tls};
use crate::wire::gate as open_gate;

/// Where the trusted proxy connects from; everybody else is at 127.0.0.1.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// From 203.0.113.7:4660 to 192.0.2.1:443.
const V4: [u8; 12] = [203, 0, 113, 7, 192, 0, 2, 1, 0x12, 0x34, 0x01, 0xbb];
const V1: &str = "PROXY TCP4 203.0.113.7 192.0.2.1 4660 443\r\n";
const GET: &str = "GET /public/x HTTP/1.1\r\nHost: app.test\r\n\r\n";

fn gate(upstream: &Recorder) -> Sekisho {
    open_gate(upstream)
        .set("server.proxy_protocol", "true")
        .set("server.trusted_proxies", "[127.0.0.2/32, 10.9.0.0/16]")
        .tls(&["app.test"])
        .set("server.tls.redirect_http", "false")
        .start()
}

fn from_proxy(to: SocketAddr) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from((PROXY, 0))).unwrap();
    rustix::net::connect(&socket, &to).unwrap();
    TcpStream::from(socket)
}

fn v2(command: u8, family: u8, length: usize, rest: &[u8]) -> Vec<u8> {
    [SIGNATURE, &[command, family], &u16::try_from(length).unwrap().to_be_bytes(), rest].concat()
}

/// One request behind this header, over plain HTTP.
fn ask(gate: &Sekisho, header: impl AsRef<[u8]>, request: &str) -> Option<Response> {
    let mut conn = Conn::over(from_proxy(gate.address()));
    let _ = conn.try_send(&[header.as_ref(), request.as_bytes()].concat());
    conn.read_response(false)
}

#[track_caller]
fn assert_client(upstream: &Recorder, client: &str) {
    let request = upstream.last();
    assert_eq!((request.header("x-real-ip"), request.header("x-forwarded-for")), (Some(client), Some(client)));
}

#[test]
fn the_header_of_a_trusted_proxy_names_the_client() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream);
    let values = [V4.as_slice(), &[0x04, 0, 3, 1, 2, 3], &[0x20, 0, 5, 7, 0, 0, 0, 0]].concat();
    let v6 = [&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7], [9; 16].as_slice(), &[0, 1, 0, 2]].concat();
    let rows: [(Vec<u8>, &str); 7] = [
        (V1.into(), "203.0.113.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 4660 443\r\n".into(), "2001:db8::7"),
        (b"PROXY TCP6 ::ffff:203.0.113.7 ::ffff:192.0.2.1 4660 443\r\n".into(), "203.0.113.7"),
        (v2(0x21, 0x11, 12, &V4), "203.0.113.7"),
        (v2(0x21, 0x11, values.len(), &values), "203.0.113.7"),
        (v2(0x21, 0x21, 36, &v6), "2001:db8::7"),
        // A health check: the proxy itself.
        (v2(0x20, 0x00, 0, &[]), "127.0.0.2"),
    ];
    for (header, client) in rows {
        assert_eq!(ask(&gate, &header, GET).map(|answer| answer.status), Some(200), "{header:?}");
        assert_client(&upstream, client);
    }
    assert_eq!(ask(&gate, "PROXY UNKNOWN\r\n", GET).map(|answer| answer.status), Some(200));
    assert_client(&upstream, "127.0.0.2");
}

#[test]
fn it_may_come_byte_by_byte_and_is_asked_for_once_a_connection() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream);
    for header in [V1.as_bytes().to_vec(), v2(0x21, 0x11, 12, &V4)] {
        let mut tcp = from_proxy(gate.address());
        tcp.set_nodelay(true).unwrap();
        for byte in [header.as_slice(), b"GE"].concat() {
            tcp.write_all(&[byte]).unwrap();
        }
        let mut conn = Conn::over(tcp);
        conn.send(&GET[2..]);
        assert_eq!(conn.response().status, 200);
        assert_client(&upstream, "203.0.113.7");
        conn.send(GET);
        assert_eq!(conn.response().status, 200);
        assert_client(&upstream, "203.0.113.7");
        conn.send([header.as_slice(), GET.as_bytes()].concat());
        assert_eq!(conn.response().status, 400, "a second header is no request");
    }
}

#[test]
fn it_stands_before_the_handshake_of_tls() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream);
    let begun = |header: &[u8]| {
        let mut tcp = from_proxy(gate.tls_address());
        tcp.write_all(header).unwrap();
        tcp
    };
    for header in [V1.as_bytes().to_vec(), v2(0x21, 0x11, 12, &V4)] {
        let mut conn = tls::connect_over(&gate.authority().client(&["http/1.1"]), begun(&header), "app.test");
        conn.send(GET);
        assert_eq!(conn.response().status, 200);
        assert_client(&upstream, "203.0.113.7");

        let request = Request::get("https://app.test/public/h2").body(Bytes::new()).unwrap();
        assert_eq!(h2::request_over(&gate, begun(&header), "app.test", request).status, 200);
        assert_client(&upstream, "203.0.113.7");
    }
}

#[test]
fn what_begins_with_no_proper_header_is_closed_unheard() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream);
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(93));
    let headers: [Vec<u8>; 8] = [
        Vec::new(),
        long.into(),
        b"PROXY TCP4 203.0.113.7 192.0.2.1 4660\r\n".into(),
        b"PROXY TCP4 203.0.113.7 192.0.2.1 4660 443\n".into(),
        v2(0x21, 0x11, 11, &V4),
        v2(0x21, 0x11, 65_535, &V4),
        v2(0x31, 0x11, 12, &V4),
        v2(0x21, 0x12, 12, &V4),
    ];
    for header in headers {
        let mut conn = Conn::over(from_proxy(gate.address()));
        let _ = conn.try_send(&[header.as_slice(), GET.as_bytes()].concat());
        assert!(conn.until_close().is_empty(), "{header:?}");
    }
    let mut handshake = from_proxy(gate.tls_address());
    handshake.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").unwrap();
    assert!(Conn::over(handshake).until_close().is_empty());
    assert_eq!(upstream.bytes(), 0);
}

#[test]
fn it_is_not_waited_for_longer_than_for_a_head() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream);
    let begun = Instant::now();
    let mut silent = Conn::over(from_proxy(gate.address()));
    let mut half = Conn::over(from_proxy(gate.address()));
    half.send("PROXY TC");
    // More is promised than comes.
    let mut liar = Conn::over(from_proxy(gate.address()));
    liar.send(v2(0x21, 0x11, 400, &V4)).send(GET);
    for conn in [&mut silent, &mut half, &mut liar] {
        assert!(conn.closes_within(Duration::from_secs(15)));
    }
    assert!(begun.elapsed() > Duration::from_secs(5), "a slow proxy has some time");
    assert_eq!(upstream.bytes(), 0);
}

#[test]
fn nobody_else_can_claim_anything() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream);
    for header in [V1.as_bytes().to_vec(), v2(0x21, 0x11, 12, &V4)] {
        let mut conn = Conn::plain(gate.address());
        let _ = conn.try_send(&[header.as_slice(), GET.as_bytes()].concat());
        let answers = conn.until_close();
        assert!(answers.is_empty() || answers.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answers));
    }
    assert_eq!(upstream.bytes(), 0);
    // Without a header they are who they are.
    let mut conn = Conn::plain(gate.address());
    conn.send("GET /public/x HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n");
    assert_eq!(conn.response().status, 200);
    assert_client(&upstream, "127.0.0.1");
    // The client of a trusted proxy is no trusted proxy.
    let claim = "GET /public/x HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n";
    assert_eq!(ask(&gate, V1, claim).map(|answer| answer.status), Some(200));
    assert_client(&upstream, "203.0.113.7");
    assert_eq!(ask(&gate, "PROXY UNKNOWN\r\n", claim).map(|answer| answer.status), Some(200));
    assert_client(&upstream, "127.0.0.2");
    // Unless it is one.
    let second = "PROXY TCP4 10.9.0.3 192.0.2.1 4660 443\r\n";
    assert_eq!(ask(&gate, second, claim).map(|answer| answer.status), Some(200));
    let request = upstream.last();
    assert_eq!(request.header("x-real-ip"), Some("198.51.100.1"));
    assert_eq!(request.header("x-forwarded-for"), Some("198.51.100.1, 10.9.0.3"));
}

#[test]
fn no_header_opens_the_login_over_plain_http() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream);
    let login = "GET /.sekisho/login HTTP/1.1\r\nHost: app.test\r\n\r\n";
    let status = |header: &str| ask(&gate, header, login).map_or(0, |answer| answer.status);
    // This machine's own addresses all the way: as without a proxy.
    assert_eq!(status("PROXY TCP4 127.0.0.1 127.0.0.1 4660 80\r\n"), 200);
    for header in
        [V1, "PROXY UNKNOWN\r\n", "PROXY TCP4 127.0.0.1 192.0.2.1 1 80\r\n", "PROXY TCP4 192.0.2.9 127.0.0.1 1 80\r\n"]
    {
        assert_eq!(status(header), 403, "{header}");
    }
}
