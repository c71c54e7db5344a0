//! HTTP/2 frames written by hand, which no decent client would send (attack case A20), and what a decent one's become.

use bytes::Bytes;
use http::Request;

use crate::harness::frames::{
    self, ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS, block, frame,
};
use crate::harness::{Client, Conn, Recorder, Sekisho, h2};
use crate::wire::gate as open_gate;

/// How a stream ended.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// 200: the upstream's answer.
    Passed,
    /// Any other status.
    Answered,
    Reset,
    /// GOAWAY, or the connection was closed.
    Ended,
}

fn gate(upstream: &Recorder) -> Sekisho {
    open_gate(upstream).tls(&["app.test"]).user("alice", &[]).start()
}

fn connect(gate: &Sekisho) -> Conn {
    let mut conn = gate.authority().connect(gate.tls_address(), "app.test", &["h2"]);
    conn.send([PREFACE, &frame(SETTINGS, 0, 0, b"")].concat());
    conn
}

/// Sends one request on stream 1 and waits for how it ends.
fn ask(gate: &Sekisho, fields: &[(&str, &str)], data: Option<&str>) -> Outcome {
    let mut conn = connect(gate);
    let flags = if data.is_some() { END_HEADERS } else { END_HEADERS | END_STREAM };
    let _ = conn.try_send(&frame(HEADERS, flags, 1, &block(fields)));
    if let Some(data) = data {
        let _ = conn.try_send(&frame(DATA, END_STREAM, 1, data.as_bytes()));
    }
    outcome(&mut conn)
}

fn outcome(conn: &mut Conn) -> Outcome {
    loop {
        let Some(frame) = frames::next(conn) else { return Outcome::Ended };
        match frame.kind {
            // RFC 7541 appendix A: `:status: 200` is entry 8 of the static table.
            HEADERS if frame.payload.first() == Some(&0x88) => return Outcome::Passed,
            HEADERS => return Outcome::Answered,
            RST_STREAM => return Outcome::Reset,
            GOAWAY => return Outcome::Ended,
            SETTINGS if frame.flags & ACK == 0 => {
                let _ = conn.try_send(&frames::frame(SETTINGS, ACK, 0, b""));
            }
            _ => {}
        }
    }
}

const PLAIN: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":authority", "app.test"), (":path", "/public/x")];

type Fields = Vec<(&'static str, &'static str)>;

/// The plain request with one field replaced, or left out, or with more behind it.
fn with(name: &'static str, value: Option<&'static str>, more: &[(&'static str, &'static str)]) -> Fields {
    let mut fields: Vec<_> = PLAIN
        .iter()
        .filter_map(|field| if field.0 == name { value.map(|value| (name, value)) } else { Some(*field) })
        .collect();
    fields.extend(more);
    fields
}

#[test]
fn a_malformed_stream_never_reaches_the_upstream() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream);
    assert_eq!(ask(&gate, &PLAIN, None), Outcome::Passed, "the plain request itself");
    upstream.clear();
    let keep = |more: &[(&'static str, &'static str)]| with("", None, more);
    let path = |value: &'static str| with(":path", Some(value), &[]);
    let authority = |value: &'static str| with(":authority", Some(value), &[]);
    assert_eq!(ask(&gate, &path("/public/x#/../admin"), None), Outcome::Passed);
    assert_eq!(upstream.last().target(), "/public/x", "a fragment is no part of a path, and is not passed on");
    upstream.clear();
    let cases: Vec<(&str, Fields, Option<&str>)> = vec![
        ("two hosts", keep(&[("host", "other.test")]), None),
        ("two hosts, one empty", keep(&[("host", "")]), None),
        ("host twice", with(":authority", None, &[("host", "app.test"), ("host", "app.test")]), None),
        ("no host at all", with(":authority", None, &[]), None),
        ("empty authority", authority(""), None),
        ("userinfo", authority("a@app.test"), None),
        ("authority with a path", authority("app.test/x"), None),
        ("authority with a comma", authority("app.test,other.test"), None),
        ("authority with a port out of range", authority("app.test:99999"), None),
        ("unknown host", authority("127.1"), None),
        ("connection", keep(&[("connection", "close")]), None),
        ("keep-alive", keep(&[("keep-alive", "1")]), None),
        ("proxy-connection", keep(&[("proxy-connection", "close")]), None),
        ("transfer-encoding", keep(&[("transfer-encoding", "chunked")]), None),
        ("upgrade", keep(&[("upgrade", "websocket")]), None),
        ("te other than trailers", keep(&[("te", "gzip")]), None),
        ("upper case", keep(&[("X-Upper", "y")]), None),
        ("CRLF in a value", keep(&[("x", "a\r\nb: c")]), None),
        ("LF in a value", keep(&[("x", "a\nb: c")]), None),
        ("NUL in a value", keep(&[("x", "a\0b")]), None),
        ("CRLF in a name", keep(&[("x\r\ny", "a")]), None),
        ("colon in a name", keep(&[("x:y", "a")]), None),
        ("space in a name", keep(&[("x y", "a")]), None),
        ("empty name", keep(&[("", "a")]), None),
        ("path without slash", path("public/x"), None),
        ("empty path", path(""), None),
        ("no path", with(":path", None, &[]), None),
        ("asterisk", path("*"), None),
        ("absolute path", path("https://app.test/public/x"), None),
        ("space in the path", path("/public/x y"), None),
        ("CRLF in the path", path("/public/x HTTP/1.1\r\nHost: other.test\r\n\r\n"), None),
        ("tab in the path", path("/public/x\ty"), None),
        ("backslash", path("/public\\x"), None),
        ("dots", path("/public/../admin"), None),
        ("encoded dots with parameters", path("/public/%2e%2e;/admin"), None),
        ("encoded slash", path("/public/..%2fadmin"), None),
        ("duplicate path", keep(&[(":path", "/public/y")]), None),
        ("duplicate method", keep(&[(":method", "POST")]), None),
        ("pseudo behind regular", with(":path", None, &[("x", "y"), (":path", "/public/x")]), None),
        ("unknown pseudo", keep(&[(":other", "y")]), None),
        ("a response's pseudo", keep(&[(":status", "200")]), None),
        ("no method", with(":method", None, &[]), None),
        ("no scheme", with(":scheme", None, &[]), None),
        ("trace", with(":method", Some("TRACE"), &[]), None),
        ("lower-case method", with(":method", Some("get"), &[]), None),
        ("unknown method", with(":method", Some("FOO"), &[]), None),
        ("method with a space", with(":method", Some("GET /admin HTTP/1.1\r\nx:"), &[]), None),
        ("connect", with(":method", Some("CONNECT"), &[]), None),
        ("extended connect", with(":method", Some("CONNECT"), &[(":protocol", "websocket")]), None),
        (
            "two lengths",
            with(":method", Some("POST"), &[("content-length", "5"), ("content-length", "6")]),
            Some("hello"),
        ),
        ("negative length", with(":method", Some("POST"), &[("content-length", "-5")]), Some("hello")),
    ];
    for (name, fields, data) in cases {
        let outcome = ask(&gate, &fields, data);
        assert_ne!(outcome, Outcome::Passed, "{name}");
        assert_eq!(upstream.bytes(), 0, "{name} ({outcome:?}): {:?}", upstream.connections());
    }
}

/// A05, A06 and A07 once more: `:authority`, or the Host field in its place (RFC 9113 §8.3.1), is judged as Host is over
/// HTTP/1.1, and a scheme says nothing about where a request goes.
#[test]
fn a_host_has_one_spelling_over_http2_too() {
    let upstream = Recorder::ok();
    let gate = Sekisho::builder()
        .route("{name: app, host: app.test, path: /public/, access: public, upstream: UPSTREAM}", &upstream.url())
        .tls(&["app.test"])
        .user("alice", &[])
        .start();
    for (authority, seen) in [
        ("app.test", "app.test"),
        ("APP.test", "app.test"),
        ("app.test.", "app.test"),
        ("App.Test.:443", "app.test"),
        ("app.test:8443", "app.test:8443"),
    ] {
        assert_eq!(ask(&gate, &with(":authority", Some(authority), &[]), None), Outcome::Passed, "{authority}");
        assert_eq!(upstream.last().header("host"), Some(seen), "{authority}");
    }
    upstream.clear();
    for host in [
        "other.test",
        "test",
        "app.test.evil",
        "evil-app.test",
        "127.0.0.1",
        "[::1]",
        "localhost",
        "",
        ".",
        "app.test..",
        "app..test",
        ".app.test",
        "app.test:",
        "app.test:0",
        "app.test:0443",
        "app.test:99999",
        "app.test:443:443",
        "app.test, other.test",
        "app.test other",
        "app.test\t",
        "app.test\\x",
        "app.test#x",
        "app.test?x",
        "app%2etest",
        "other.test@app.test",
        "[app.test]",
        "2130706433",
    ] {
        for fields in [with(":authority", Some(host), &[]), with(":authority", None, &[("host", host)])] {
            let outcome = ask(&gate, &fields, None);
            assert_ne!(outcome, Outcome::Passed, "{fields:?}");
            assert_eq!(upstream.bytes(), 0, "{fields:?} ({outcome:?}): {:?}", upstream.connections());
        }
    }
    for scheme in ["http", "ftp", "HTTPS", "https://other.test/?x="] {
        ask(&gate, &with(":scheme", Some(scheme), &[]), None);
        for seen in upstream.requests() {
            assert_eq!((seen.target(), seen.header("host")), ("/public/x", Some("app.test")), "{scheme}");
        }
    }
}

/// The head may have gone on before the body shows that it lied; then the upstream never sees a whole request.
#[test]
fn a_body_of_another_length_than_promised_is_no_request() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream);
    for (length, data) in [("6", "hello"), ("4", "hello"), ("0", "hello"), ("5", "")] {
        let fields = with(":method", Some("POST"), &[]);
        let fields: Vec<(&str, &str)> = fields.into_iter().chain([("content-length", length)]).collect();
        assert_ne!(ask(&gate, &fields, Some(data)), Outcome::Passed, "{length} for {data:?}");
    }
    // A promise of nothing is kept by a head alone; what came against it went nowhere.
    assert!(upstream.requests().iter().all(|request| request.header("content-length") == Some("0")));
}

/// A17: what stands behind a body is no header of the request, and goes no further.
#[test]
fn a17_trailers_over_http2_never_become_headers() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream);
    let mut conn = connect(&gate);
    conn.send(frame(HEADERS, END_HEADERS, 1, &block(&with(":method", Some("POST"), &[]))));
    conn.send(frame(DATA, 0, 1, b"hello"));
    let trailers = [("remote-user", "root"), ("content-length", "500500500500"), ("x-forwarded-for", "10.0.0.1")];
    conn.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&trailers)));
    assert_eq!(outcome(&mut conn), Outcome::Passed);
    let seen = upstream.last();
    assert_eq!(seen.body, b"hello");
    assert_eq!((seen.header("remote-user"), seen.header("x-forwarded-for")), (None, Some("127.0.0.1")));
    let all = String::from_utf8_lossy(&upstream.connections().concat()).into_owned();
    assert!(!all.contains("root") && !all.contains("500500500500") && !all.contains("10.0.0.1"), "{all}");
    // Pseudo-headers have no place there (RFC 9113 §8.1), and mean nothing.
    let mut conn = connect(&gate);
    conn.send(frame(HEADERS, END_HEADERS, 1, &block(&with(":method", Some("POST"), &[]))));
    conn.send(frame(DATA, 0, 1, b"hello"));
    let pseudo = [(":path", "/admin"), (":authority", "other.test"), (":method", "DELETE")];
    let _ = conn.try_send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&pseudo)));
    outcome(&mut conn);
    let all = String::from_utf8_lossy(&upstream.connections().concat()).into_owned();
    assert!(!all.contains("/admin") && !all.contains("other.test") && !all.contains("DELETE"), "{all}");
}

/// Facts 12 and 22: the upstream speaks HTTP/1.1 and gets one Host and one Cookie.
#[test]
fn a_request_over_http2_becomes_a_plain_one() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream);
    let mut alice = Client::tls(&gate, "app.test");
    alice.sign_in(&gate, "alice", None);
    let session = alice.cookie_header().replace("Cookie: ", "").replace("\r\n", "");
    let request = Request::builder()
        .method("POST")
        .uri("https://App.Test./a/../x%41?b=c")
        .header("cookie", "a=1")
        .header("cookie", session.as_str())
        .header("cookie", "b=2")
        .header("remote-user", "root")
        .header("remote_user", "root")
        .header("x-forwarded-for", "10.0.0.1")
        .header("te", "trailers")
        .body(Bytes::from_static(b"hello"))
        .unwrap();
    let response = h2::request(&gate, "app.test", request);
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    let seen = upstream.last();
    assert_eq!(seen.line, "POST /xA?b=c HTTP/1.1");
    assert_eq!(seen.header("host"), Some("app.test"));
    assert_eq!(seen.header("cookie").map(|cookies| cookies.replace(' ', "")), Some("a=1;b=2".to_owned()));
    assert_eq!(seen.header("remote-user"), Some("alice"));
    assert!(seen.all("remote_user").is_empty());
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.body, b"hello");
    assert!(seen.headers.iter().all(|(name, _)| !name.starts_with(':')), "{:?}", seen.headers);
}

/// One stream's fault is not another's.
#[test]
fn a_refused_stream_leaves_the_others_alone() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream);
    let get = |path: &str| {
        Request::builder()
            .uri(format!("https://app.test{path}"))
            .header("accept", "application/json")
            .body(Bytes::new())
            .unwrap()
    };
    let answers = h2::exchange(
        &gate,
        "app.test",
        vec![get("/public/a"), get("/admin"), get("/public/b;..%2f"), get("/public/c")],
    );
    let statuses: Vec<u16> = answers.into_iter().map(|answer| answer.map_or(0, |answer| answer.status)).collect();
    assert_eq!(statuses, [200, 401, 400, 200]);
    assert_eq!(upstream.requests().len(), 2);
}
