//! What stands around everything that the gateway says itself: every page, every error (attack case A46); who is led to the login
//! and who is told (A47); who is led from plain HTTP to TLS.

use bytes::Bytes;
use http::Request;

use crate::harness::{Client, Conn, Recorder, Response, Sekisho, h2, text};
use crate::wire::{id_of, pages_of_the_portal};

fn gate(upstream: &Recorder) -> Sekisho {
    // Bound and dropped: nothing listens there.
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent =
        "{name: slow, host: app.test, path: /slow, upstream: UPSTREAM, timeouts: {connect: 1s, read: 1s, write: 1s}}";
    Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .route("{name: all, host: app.test, upstream: UPSTREAM, max_body: 1KiB}", &upstream.url())
        .route("{name: public, host: app.test, path: /public, access: public, upstream: UPSTREAM}", &upstream.url())
        .route("{name: shut, host: app.test, path: /shut, access: deny}", "")
        .route("{name: gone, host: app.test, path: /gone, upstream: UPSTREAM}", &format!("http://{nowhere}"))
        .route(silent, &upstream.url())
        .tls(&["app.test"])
        .user("alice", &["--role", "admin"])
        .start()
}

fn upstream() -> Recorder {
    Recorder::with(|request, stream| {
        let slow = request.target().starts_with("/slow");
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
        slow || std::io::Write::write_all(stream, answer).is_ok()
    })
}

/// What no answer of the gateway's own goes without. `tls`: it came over TLS.
#[track_caller]
fn is_guarded(what: &str, answer: &Response, tls: bool) {
    let header = |name: &str| answer.header(name).unwrap_or_default();
    let policy = header("content-security-policy");
    let kind = header("content-type");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors '"), "{what}: {policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{what}: {policy}");
    let asset = header("cache-control").contains("immutable");
    if !asset {
        assert_eq!(header("cache-control"), "no-store", "{what}");
        assert!(policy.contains("object-src 'none'") && policy.contains("base-uri 'none'"), "{what}: {policy}");
        assert_eq!(header("referrer-policy"), "same-origin", "{what}");
    }
    assert_eq!(header("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(header("strict-transport-security").starts_with("max-age=31536000"), tls, "{what}");
    for name in ["server", "x-powered-by", "via", "access-control-allow-origin", "x-aspnet-version"] {
        assert_eq!(answer.header(name), None, "{what}: {name}");
    }
    let has_text = kind.starts_with("text/") || kind.contains("xml");
    assert!(!has_text || kind.ends_with("; charset=utf-8"), "{what}: {kind}");
    let body = answer.text();
    if kind.starts_with("text/html") {
        assert_eq!(header("cross-origin-opener-policy"), "same-origin", "{what}");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin", "{what}");
        for tag in body.split('<').skip(1).map(|tag| tag.split('>').next().unwrap_or_default()) {
            assert!(!tag.split_whitespace().skip(1).any(is_inline), "{what}: <{tag}>");
            assert!(!tag.starts_with("script") || tag.contains(" src=\"/.sekisho/static/"), "{what}: <{tag}>");
            assert!(!tag.starts_with("style"), "{what}: <{tag}>");
        }
    }
    for inside in ["panicked", ".rs:", "backtrace", "127.0.0.1:", "sled", "pingora"] {
        assert!(asset || !body.contains(inside), "{what} tells of {inside}: {}", text(&body));
    }
}

/// Whether an attribute is script or style.
fn is_inline(attribute: &str) -> bool {
    let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
    name == "style" || (name.starts_with("on") && name.len() > 4) || value.contains("javascript:")
}

#[test]
fn a46_every_page_and_file_is_guarded_whoever_asks() {
    let upstream = upstream();
    let gate = gate(&upstream);
    let mut alice = Client::tls(&gate, "app.test");
    alice.sign_in_by_password_alone(&gate);
    let id = id_of(&gate, "alice");
    let mut files = std::collections::BTreeSet::new();
    for page in pages_of_the_portal() {
        let path = format!("/.sekisho{}", page.path.replace("{id}", &id).replace("{file}", "none.css"));
        for (who, person) in [("nobody", Client::tls(&gate, "app.test")), ("alice", alice.copy())] {
            for method in ["GET", "HEAD", "POST", "DELETE", "OPTIONS"] {
                let answer = person.copy().request(method, &path, "Accept: text/html\r\n", b"");
                is_guarded(&format!("{method} {path} for {who}: {}", answer.status), &answer, true);
                let body = answer.text();
                let linked = body.split(['"', '\'']).filter(|word| word.starts_with("/.sekisho/static/"));
                files.extend(linked.map(str::to_owned));
            }
        }
    }
    assert!(files.len() >= 3, "style sheets and an icon: {files:?}");
    for file in files {
        let answer = alice.get(&file);
        assert_eq!(answer.status, 200, "{file}");
        is_guarded(&file, &answer, true);
    }
}

#[test]
fn a46_every_error_is_guarded_and_tells_nothing_of_the_inside() {
    let upstream = upstream();
    let gate = gate(&upstream);
    let mut alice = Client::tls(&gate, "app.test");
    alice.sign_in_by_password_alone(&gate);
    let cookies = alice.cookie_header();
    let long = |length: usize| "a".repeat(length);
    let host = "Host: app.test\r\n";
    for (status, request) in [
        (400, format!("GET /%zz HTTP/1.1\r\n{host}\r\n")),
        (400, format!("GET /public/..%2fadmin HTTP/1.1\r\n{host}\r\n")),
        (400, "nonsense\r\n\r\n".to_owned()),
        (400, format!("POST / HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx")),
        (401, format!("GET /x HTTP/1.1\r\n{host}\r\n")),
        (403, format!("GET /shut HTTP/1.1\r\n{host}Accept: text/html\r\n\r\n")),
        (403, format!("GET /shut HTTP/1.1\r\n{host}{cookies}\r\n")),
        (404, "GET / HTTP/1.1\r\nHost: other.test\r\nAccept: text/html\r\n\r\n".to_owned()),
        (404, format!("GET /.sekisho/no/such/page HTTP/1.1\r\n{host}Accept: text/html\r\n\r\n")),
        (405, format!("TRACE / HTTP/1.1\r\n{host}\r\n")),
        (405, format!("DELETE /.sekisho/login HTTP/1.1\r\n{host}Accept: text/html\r\n\r\n")),
        (413, format!("POST /.sekisho/login HTTP/1.1\r\n{host}Content-Length: 99999999\r\n\r\n")),
        (413, format!("POST /x HTTP/1.1\r\n{host}{cookies}Content-Length: 2000\r\n\r\n{}", long(2000))),
        (414, format!("GET /{} HTTP/1.1\r\n{host}\r\n", long(20_000))),
        (415, format!("POST /.sekisho/api/login HTTP/1.1\r\n{host}Content-Length: 2\r\n\r\n{{}}")),
        (431, format!("GET / HTTP/1.1\r\n{host}X: {}\r\n\r\n", long(200_000))),
        (501, format!("FOO / HTTP/1.1\r\n{host}\r\n")),
        (502, format!("GET /gone HTTP/1.1\r\n{host}{cookies}Accept: text/html\r\n\r\n")),
        (502, format!("GET /gone HTTP/1.1\r\n{host}{cookies}\r\n")),
        (504, format!("GET /slow HTTP/1.1\r\n{host}{cookies}Accept: text/html\r\n\r\n")),
        (505, format!("GET / HTTP/1.2\r\n{host}\r\n")),
    ] {
        let what = request.get(..50).unwrap_or(&request).to_owned();
        let mut conn = alice.connect();
        let _ = conn.try_send(request.as_bytes());
        let answer = conn.response();
        assert_eq!(answer.status, status, "{what}");
        is_guarded(&what, &answer, true);
    }
    let over_h2 = |path: &str| {
        let request = Request::get(format!("https://app.test{path}")).header("accept", "text/html");
        h2::request(&gate, "app.test", request.body(Bytes::new()).unwrap())
    };
    for (path, status) in [("/public/..%2fadmin", 400), ("/shut", 403), ("/.sekisho/nowhere", 404), ("/x", 303)] {
        let answer = over_h2(path);
        assert_eq!(answer.status, status, "{path} over HTTP/2");
        is_guarded(path, &answer, true);
    }
}

/// What makes a request come over an open line: a proxy that nobody named stands in between.
const OPEN_LINE: &str = "X-Forwarded-For: 192.0.2.1\r\n";

/// Whoever has sent a form or a password has sent it in clear. A redirect would hide that from a programme for ever.
#[test]
fn only_what_asks_for_a_page_is_led_from_plain_http_to_tls() {
    let upstream = upstream();
    let gate = gate(&upstream);
    let ask = |method: &str, path: &str, more: &str| {
        let mut conn = Conn::plain(gate.address());
        conn.send(format!("{method} {path} HTTP/1.1\r\nHost: app.test\r\n{OPEN_LINE}{more}\r\n"));
        conn.read_response(method == "HEAD").expect("an answer")
    };
    let port = gate.tls_address().port();
    for (method, path) in
        [("GET", "/x?a=b"), ("HEAD", "/public/x"), ("GET", "/.sekisho/login"), ("GET", "/.sekisho/apis")]
    {
        let answer = ask(method, path, "");
        assert_eq!(answer.status, 308, "{method} {path}");
        assert_eq!(answer.header("location"), Some(format!("https://app.test:{port}{path}").as_str()));
        is_guarded(path, &answer, false);
    }
    let json = "Content-Type: application/json\r\nContent-Length: 2\r\n";
    for (method, path, more) in [
        ("POST", "/public/x", "Content-Length: 0\r\n"),
        ("PUT", "/x", "Content-Length: 0\r\n"),
        ("DELETE", "/x", ""),
        ("OPTIONS", "/x", ""),
        ("POST", "/.sekisho/login", "Content-Length: 0\r\n"),
        ("GET", "/.sekisho/api/session", ""),
        ("POST", "/.sekisho/api/login", json),
    ] {
        let mut conn = Conn::plain(gate.address());
        let body = if more == json { "{}" } else { "" };
        conn.send(format!("{method} {path} HTTP/1.1\r\nHost: app.test\r\n{OPEN_LINE}{more}\r\n{body}"));
        let answer = conn.response();
        assert_eq!((answer.status, answer.header("location")), (403, None), "{method} {path}");
        assert_eq!(answer.json()["code"], "https_required", "{method} {path}");
        is_guarded(path, &answer, false);
    }
    assert_eq!(upstream.bytes(), 0);
}

#[test]
fn a47_only_a_window_that_goes_somewhere_is_redirected_and_no_answer_is_kept() {
    const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let html = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";
    let mode = |mode: &str, dest: &str| format!("{html}Sec-Fetch-Mode: {mode}\r\nSec-Fetch-Dest: {dest}\r\n");
    let upstream = upstream();
    let gate = gate(&upstream);
    let nobody = Client::tls(&gate, "app.test");
    let mut stale = nobody.copy();
    stale.cookies.insert("__Host-sekisho-session".into(), "A".repeat(43));
    for (method, lines, status) in [
        ("GET", html.to_owned(), 303),
        ("GET", mode("navigate", "document"), 303),
        ("GET", mode("navigate", "iframe"), 401),
        ("GET", mode("navigate", "frame"), 401),
        ("GET", mode("cors", "empty"), 401),
        ("GET", mode("no-cors", "image"), 401),
        ("GET", mode("no-cors", "script"), 401),
        ("GET", format!("{html}X-Requested-With: XMLHttpRequest\r\n"), 401),
        ("GET", "Accept: application/json\r\n".to_owned(), 401),
        ("GET", "Accept: */*\r\n".to_owned(), 401),
        ("GET", "Accept: text/html;q=0\r\n".to_owned(), 401),
        ("GET", String::new(), 401),
        ("GET", WEBSOCKET.to_owned(), 401),
        ("GET", format!("{html}{WEBSOCKET}"), 401),
        ("HEAD", html.to_owned(), 401),
        ("POST", html.to_owned(), 401),
        ("POST", mode("navigate", "document"), 401),
        ("PUT", html.to_owned(), 401),
        ("OPTIONS", html.to_owned(), 401),
    ] {
        for who in [&nobody, &stale] {
            let answer = who.copy().request(method, "/orders/7", &lines, b"");
            let what = format!("{method} {lines:?}");
            assert_eq!(answer.status, status, "{what}");
            assert_eq!(answer.header("location").is_some(), status == 303, "{what}");
            assert_eq!(answer.header("www-authenticate"), None, "a browser would ask for a password: {what}");
            let vary = answer.header("vary").unwrap_or_default().to_lowercase();
            for name in ["cookie", "accept", "sec-fetch-mode", "sec-fetch-dest", "x-requested-with"] {
                assert!(vary.split(',').any(|varies| varies.trim() == name), "{what}: {name} is not in {vary}");
            }
            is_guarded(&what, &answer, true);
        }
    }
    assert_eq!(upstream.bytes(), 0);
}
