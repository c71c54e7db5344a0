//! Who the upstream is told about: nobody but sekisho says so (attack cases A13–A16, A18).

use crate::harness::{Client, Recorded, Recorder, Sekisho};
use crate::wire::gate as open_gate;

/// Names that tools take a person from, besides the configured ones.
const WELL_KNOWN: &[&str] = &[
    "Remote-User",
    "remote-user",
    "REMOTE-USER",
    "Remote-Groups",
    "Remote-Email",
    "Remote-Name",
    "Remote-Anything",
    "X-Remote-User",
    "X-Remote-Group",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Access-Token",
    "X-Auth-Request-User",
    "X-Auth-Request-Email",
    "X-WEBAUTH-USER",
    "X-authentik-username",
    "X-Sekisho-Assertion",
    "X-SSL-Client-Cert",
    "X-Shop-Login",
    "X-Custom-Strip",
    // A14: spellings that CGI and its heirs take for the same names.
    "Remote_User",
    "Remote.User",
    "remote__user",
    "REMOTE__USER",
    "Remote-_User",
    "_Remote_User",
    "Remote~User",
    "Remote!User",
    "Remote_User_",
    "X_Forwarded_User",
    "X_Forwarded_For",
    "X_Real_IP",
    "X.Forwarded.Proto",
    "X_Shop_Login",
    "X_Custom_Strip",
];

fn gate(upstream: &Recorder) -> Sekisho {
    open_gate(upstream)
        .set("identity.headers", "{Remote-User: '{login}', Remote-Groups: '{groups}', Remote-Email: '{email}', Remote-Name: '{name}', X-Shop-Login: '{login}'}")
        .set("identity.strip", "[X-Custom-Strip]")
        .tls(&["app.test"])
        .user("alice", &["--group", "ops", "--group", "dev", "--email", "alice@app.test", "--name", "山田 アリス"])
        .user("bob", &[])
        .start()
}

/// Sends a request of alice's with further header lines, and hands back what the upstream saw.
#[track_caller]
fn seen(client: &Client, upstream: &Recorder, path: &str, lines: &str) -> Recorded {
    let mut conn = client.connect();
    conn.send(format!("GET {path} HTTP/1.1\r\nHost: app.test\r\n{}{lines}\r\n", client.cookie_header()));
    assert_eq!(conn.response().status, 200, "{lines:?}");
    upstream.last()
}

#[test]
fn the_upstream_hears_of_the_person_from_sekisho_alone() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream);
    let mut alice = Client::tls(&gate, "app.test");
    alice.sign_in(&gate, "alice", None);

    let plain = seen(&alice, &upstream, "/x", "");
    let groups = plain.header("remote-groups").unwrap_or_default();
    assert!(matches!(groups, "ops,dev" | "dev,ops"), "{groups}");
    assert_eq!(plain.header("remote-user"), Some("alice"));
    assert_eq!(plain.header("remote-email"), Some("alice@app.test"));
    assert_eq!(plain.header("remote-name"), Some("%E5%B1%B1%E7%94%B0 %E3%82%A2%E3%83%AA%E3%82%B9"));
    assert_eq!(plain.header("x-shop-login"), Some("alice"));

    for name in WELL_KNOWN {
        for lines in [
            format!("{name}: root\r\n"),
            format!("{name}: root\r\n{name}: root\r\n"),
            format!("{name}:\troot\r\n"),
            format!("{name}:\r\n"),
        ] {
            check(&seen(&alice, &upstream, "/x", &lines), Some("alice"), &lines);
        }
    }
    // Fact 14: what the client's `Connection` nominates cannot take them away, upgrade or not.
    for lines in [
        "Connection: Remote-User, Remote-Groups, X-Shop-Login, X-Request-Id\r\n",
        "Connection: keep-alive, remote-user\r\nRemote-User: root\r\n",
        "Connection: Upgrade, Remote-User\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ] {
        let request = seen(&alice, &upstream, "/x", lines);
        check(&request, Some("alice"), lines);
        assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"), "{lines:?}");
        assert!(request.header("x-request-id").is_some(), "{lines:?}");
    }
    for lines in [
        "Connection: X-Forwarded-For\r\n",
        "Connection: Host\r\n",
        "Remote-User : root\r\n",
        "X: y\r\n Remote-User: root\r\n",
        "Remote-User\r\n",
        "Remote User: root\r\n",
    ] {
        let before = upstream.requests().len();
        let mut conn = alice.connect();
        conn.send(format!("GET /x HTTP/1.1\r\nHost: app.test\r\n{}{lines}\r\n", alice.cookie_header()));
        assert_eq!(conn.response().status, 400, "{lines:?}");
        assert_eq!(upstream.requests().len(), before, "{lines:?}");
    }
}

/// A15, and the same for somebody whose session is no more.
#[test]
fn on_a_public_route_a_client_cannot_name_itself() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream);
    let nobody = Client::tls(&gate, "app.test");
    for name in WELL_KNOWN {
        let lines = format!("{name}: root\r\n");
        check(&seen(&nobody, &upstream, "/public/x", &lines), None, &lines);
    }
    let made_up = format!("Cookie: __Host-sekisho-session={}\r\n", "A".repeat(43));
    check(&seen(&nobody, &upstream, "/public/x", &made_up), None, &made_up);

    let mut alice = Client::tls(&gate, "app.test");
    alice.sign_in(&gate, "alice", None);
    check(&seen(&alice, &upstream, "/public/x", "Remote-User: root\r\n"), Some("alice"), "signed in");
    let thief = alice.copy();
    alice.sign_out();
    check(&seen(&thief, &upstream, "/public/x", "Remote-User: root\r\n"), None, "signed out");
}

/// A foreign page can open a WebSocket that carries the person's cookies. On a public route that is nobody's.
#[test]
fn a_websocket_of_a_foreign_page_is_nobodys() {
    let upstream = Recorder::echo();
    let gate = gate(&upstream);
    let mut alice = Client::tls(&gate, "app.test");
    alice.sign_in(&gate, "alice", None);
    let handshake = |path: &str, origin: &str| {
        let mut conn = alice.connect();
        conn.send(format!(
            "GET {path} HTTP/1.1\r\nHost: app.test\r\n{}{origin}Connection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            alice.cookie_header()
        ));
        let head = conn.read_head().expect("an answer");
        (head.status, conn)
    };
    const FOREIGN: [&str; 5] = [
        "Origin: https://evil.test\r\n",
        "Origin: null\r\n",
        "Origin: http://app.test\r\n",
        "Origin: https://app.test:8443\r\n",
        "Origin: https://app.test\r\nOrigin: https://evil.test\r\n",
    ];
    for origin in FOREIGN {
        let before = upstream.requests().len();
        let (status, _conn) = handshake("/ws", origin);
        assert_eq!((status, upstream.requests().len()), (403, before), "{origin}");
        let (status, _conn) = handshake("/public/ws", origin);
        assert_eq!(status, 101, "{origin}");
        check(&upstream.last(), None, origin);
    }
    for origin in ["Origin: https://app.test\r\n", ""] {
        for path in ["/ws", "/public/ws"] {
            let (status, mut conn) = handshake(path, origin);
            assert_eq!(status, 101, "{path} {origin}");
            check(&upstream.last(), Some("alice"), origin);
            conn.send(b"\x81\x02hi");
            assert_eq!(conn.take(4), b"\x81\x02hi", "the tunnel works");
        }
    }
}

/// One person's name never sticks to another's request, on one upstream connection or several (A60 in small).
#[test]
fn requests_of_two_people_are_never_mixed() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream);
    let people: Vec<Client> = ["alice", "bob"]
        .into_iter()
        .map(|login| {
            let mut client = Client::tls(&gate, "app.test");
            client.sign_in(&gate, login, None);
            client
        })
        .collect();
    upstream.clear();
    std::thread::scope(|scope| {
        for (name, client) in ["alice", "bob"].into_iter().zip(&people) {
            scope.spawn(move || {
                let mut conn = client.connect();
                for _ in 0..100 {
                    conn.send(format!("GET /{name} HTTP/1.1\r\nHost: app.test\r\n{}\r\n", client.cookie_header()));
                    assert_eq!(conn.response().status, 200);
                }
            });
        }
    });
    let requests = upstream.requests();
    assert_eq!(requests.len(), 200);
    for request in requests {
        assert_eq!(Some(request.target().trim_start_matches('/')), request.header("remote-user"));
    }
}

/// A16.
#[test]
fn forwarding_headers_count_from_trusted_proxies_alone() {
    const CLAIMS: &str = "X-Forwarded-For: 10.0.0.1\r\nX-Real-IP: 10.0.0.2\r\nForwarded: for=10.0.0.3;host=evil\r\n\
        X-Forwarded-Host: evil\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\nTrue-Client-IP: 10.0.0.4\r\n\
        X-Forwarded-Server: evil\r\n";
    let upstream = Recorder::ok();
    let untrusting = gate(&upstream);
    let client = Client::tls(&untrusting, "app.test");
    let request = seen(&client, &upstream, "/public/x", CLAIMS);
    assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.header("x-real-ip"), Some("127.0.0.1"));
    assert_eq!(request.header("x-forwarded-proto"), Some("https"));
    assert_eq!(request.header("x-forwarded-host"), Some("app.test"));
    let head = String::from_utf8_lossy(&request.head).into_owned();
    assert!(!head.contains("10.0.0.") && !head.contains("evil"), "{head}");

    let trusting = open_gate(&upstream)
        .set("server.trusted_proxies", "[127.0.0.0/8]")
        .route(
            "{name: near, path: /near, access: public, allow: {networks: [10.0.0.1/32]}, upstream: UPSTREAM}",
            &upstream.url(),
        )
        .route(
            "{name: house, path: /house, access: public, allow: {networks: [127.0.0.0/8]}, upstream: UPSTREAM}",
            &upstream.url(),
        )
        .tls(&["app.test"])
        .start();
    let client = Client::tls(&trusting, "app.test");
    let request = seen(&client, &upstream, "/near", "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n");
    assert!(request.header("x-forwarded-for").unwrap_or_default().starts_with("10.0.0.1"), "{request:?}");
    assert_eq!(request.header("x-real-ip"), Some("10.0.0.1"));
    assert_eq!(request.header("x-forwarded-proto"), Some("https"));
    // What stands left of the client's own address is the client's word.
    for claim in [
        "",
        "X-Forwarded-For: 10.0.0.1, 10.0.0.9\r\n",
        "X-Forwarded-For: 10.0.0.1, nonsense\r\n",
        "X-Real-IP: 10.0.0.1\r\n",
        "X_Forwarded_For: 10.0.0.1\r\n",
    ] {
        let mut conn = client.connect();
        conn.send(format!("GET /near HTTP/1.1\r\nHost: app.test\r\n{claim}\r\n"));
        assert_eq!(conn.response().status, 403, "{claim:?}");
    }
    // Bytes that are no text, in the line to which a proxy has appended the address that it saw, do not make its own address
    // the client's.
    for (path, status) in [("/house", 403), ("/near", 200)] {
        let mut conn = client.connect();
        conn.send(format!("GET {path} HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: "));
        conn.send(b"\xFF, 10.0.0.1\r\n\r\n");
        assert_eq!(conn.response().status, status, "{path}");
    }
    assert_eq!(upstream.last().header("x-forwarded-for"), Some("10.0.0.1, 127.0.0.1"));
}

/// A18, CONTRACT §4.
#[test]
fn sekishos_cookies_never_reach_the_upstream_and_others_always_do() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream);
    let mut alice = Client::tls(&gate, "app.test");
    alice.sign_in(&gate, "alice", None);
    let own = alice.cookie_header().replace("Cookie: ", "").replace("\r\n", "");
    let session = alice.cookie("session").expect("signed in");
    for (lines, expected) in [
        (format!("Cookie: {own}\r\n"), None),
        (format!("Cookie: a=1; {own}; b=\"2 3\"; c=d=e\r\n"), Some("a=1; b=\"2 3\"; c=d=e")),
        (format!("Cookie: a=1;{own};a=2; ;x\r\n"), Some("a=1;a=2;x")),
        (format!("Cookie: a=1\r\nCookie: {own}\r\nCookie: b=2\r\n"), Some("a=1; b=2")),
        (
            format!("Cookie: {own}; sekisho-session=x; __Host-sekisho-other=y; Xsekisho-session=z\r\n"),
            Some("Xsekisho-session=z"),
        ),
        (format!("Cookie: {own}; sekisho-=x; b=2\r\n"), Some("b=2")),
    ] {
        let mut conn = alice.connect();
        conn.send(format!("GET /x HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n"));
        assert_eq!(conn.response().status, 200, "{lines:?}");
        let request = upstream.last();
        let squeezed = |text: &str| text.replace(' ', "");
        assert_eq!(request.header("cookie").map(squeezed), expected.map(squeezed), "{lines:?}");
        let head = String::from_utf8_lossy(&request.head).into_owned();
        assert!(!head.contains(&session), "{lines:?}");
    }
    // Two session cookies are none.
    let mut conn = alice.connect();
    conn.send(format!("GET /x HTTP/1.1\r\nHost: app.test\r\nCookie: {own}; __Host-sekisho-session=other\r\n\r\n"));
    assert_eq!(conn.response().status, 401);
}

/// The person is named by `login` or not at all, once, and nothing that the client sent is left.
#[track_caller]
fn check(request: &Recorded, login: Option<&str>, lines: &str) {
    assert_eq!(request.header("remote-user"), login, "{lines:?}");
    assert_eq!(request.header("x-shop-login"), login, "{lines:?}");
    let head = String::from_utf8_lossy(&request.head).into_owned();
    assert!(!head.contains("root"), "{lines:?}: {head}");
    let sent: Vec<&str> = lines.lines().filter_map(|line| Some(line.split_once(':')?.0)).collect();
    let foreign = request.headers.iter().filter(|(name, _)| {
        let squeezed: String =
            name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        let odd = name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        odd && sent.contains(&name.as_str()) && (squeezed.starts_with("remote") || squeezed.starts_with('x'))
    });
    assert_eq!(foreign.count(), 0, "{lines:?}: {head}");
}
