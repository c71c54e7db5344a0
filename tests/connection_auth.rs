//! Upstreams that sign a connection in rather than a request, as NTLM and Negotiate do: nobody else's request ever comes over a
//! connection that somebody has signed in.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Mutex;

use bytes::Bytes;
use http::Request;

use crate::harness::{Builder, Client, Conn, PASSWORD, Recorded, Recorder, Sekisho, h2};

/// What such an upstream knows of a connection.
#[derive(Clone)]
enum Known {
    Challenged,
    As(String),
}

/// Remembers by connection who has signed in, and says with each answer whom it takes the request for. `NTLM hello`, then `NTLM
/// i-am:NAME` on the same connection; or `Negotiate NAME` at once. It finds them wherever they stand.
fn by_connection() -> Recorder {
    let known: Mutex<HashMap<usize, Known>> = Mutex::default();
    Recorder::with(move |request, stream| {
        let mut known = known.lock().unwrap();
        let said = request.all("authorization").join(", ").to_lowercase();
        let mut challenge = "NTLM";
        if said.contains("ntlm hello") {
            known.insert(request.connection, Known::Challenged);
            challenge = "NTLM TlRMTVNTUAACAAAA";
        } else if let (Some((_, name)), Some(Known::Challenged)) =
            (said.split_once("ntlm i-am:"), known.get(&request.connection))
        {
            known.insert(request.connection, Known::As(name.to_owned()));
        } else if let Some((_, name)) = said.split_once("negotiate ").or_else(|| said.split_once("nego2 ")) {
            known.insert(request.connection, Known::As(name.to_owned()));
        }
        let (status, field, body) = match known.get(&request.connection) {
            Some(Known::As(name)) => ("200 OK", "Persistent-Auth: true".to_owned(), name.clone()),
            _ => ("401 Unauthorized", format!("WWW-Authenticate: {challenge}"), "nobody".to_owned()),
        };
        write!(stream, "HTTP/1.1 {status}\r\n{field}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).is_ok()
    })
}

fn builder(upstream: &Recorder) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .route("{name: all, upstream: UPSTREAM}", &upstream.url())
        .route("{name: open, path: /open, access: public, upstream: UPSTREAM}", &upstream.url())
        .user("alice", &[])
        .user("bob", &[])
}

fn signed_in(mut client: Client, login: &str) -> Client {
    client.give_password(login, PASSWORD);
    assert!(client.cookie("session").is_some());
    client
}

/// Whom the upstream takes a request for that comes over this connection with these cookies.
fn taken_for(conn: &mut Conn, client: &Client, path: &str, more: &str) -> String {
    conn.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{}{more}\r\n", client.host, client.cookie_header()));
    conn.response().text()
}

const HELLO: &str = "Authorization: NTLM hello\r\n";
const I_AM_ALICE: &str = "Authorization: NTLM i-am:alice\r\n";

#[test]
fn a60_a_connection_that_was_signed_in_serves_its_own_client_and_session_and_nobody_else() {
    let upstream = by_connection();
    let gate = builder(&upstream).start();
    let (alice, bob) = (signed_in(Client::new(&gate), "alice"), signed_in(Client::new(&gate), "bob"));
    let nobody = Client::new(&gate);
    for round in 0..20 {
        let mut hers = alice.connect();
        assert_eq!(taken_for(&mut hers, &alice, "/", ""), "nobody", "round {round}: a connection from the pool");
        assert_eq!(taken_for(&mut hers, &alice, "/", HELLO), "nobody");
        assert_eq!(taken_for(&mut hers, &alice, "/", I_AM_ALICE), "alice", "both went over one connection");
        assert_eq!(taken_for(&mut hers, &alice, "/", ""), "alice", "who is signed in stays so");
        for other in [&bob, &alice, &nobody] {
            let mut theirs = other.connect();
            assert_eq!(taken_for(&mut theirs, other, "/open", ""), "nobody", "another client's connection");
        }
        // A browser that somebody else signs in at, without a new connection.
        assert_eq!(taken_for(&mut hers, &bob, "/", ""), "nobody", "the same client's connection, another session");
        assert_eq!(taken_for(&mut hers, &nobody, "/open", ""), "nobody", "the same, and no session");
        assert_eq!(taken_for(&mut hers, &alice, "/", ""), "alice");
    }
    let requests = upstream.requests();
    let signed_in: Vec<usize> =
        requests.iter().filter(|request| request.header("authorization").is_some()).map(|r| r.connection).collect();
    for request in requests.iter().filter(|request| signed_in.contains(&request.connection)) {
        assert_eq!(request.header("remote-user"), Some("alice"), "{}", request.line);
    }
}

#[test]
fn however_such_credentials_are_spelled_they_leave_no_connection_behind() {
    let upstream = by_connection();
    let gate = builder(&upstream).start();
    let (alice, bob) = (signed_in(Client::new(&gate), "alice"), signed_in(Client::new(&gate), "bob"));
    for credentials in [
        "Authorization: Negotiate alice\r\n",
        "AUTHORIZATION: nEGOTIATE alice\r\n",
        "Authorization: Nego2 alice\r\n",
        "Authorization: Basic eDp5, Negotiate alice\r\n",
        "Authorization: Basic eDp5\r\nAuthorization: Negotiate alice\r\n",
    ] {
        for path in ["/", "/open"] {
            let mut hers = alice.connect();
            let taken = taken_for(&mut hers, &alice, path, credentials);
            drop(hers);
            // More at once than the pool could have put aside.
            let mut theirs: Vec<Conn> = (0..4).map(|_| bob.connect()).collect();
            for conn in &mut theirs {
                assert_eq!(taken_for(conn, &bob, path, ""), "nobody", "{credentials:?} ({taken})");
            }
        }
    }
    // What is about one request shares connections as ever.
    let before = upstream.connections().len();
    for _ in 0..20 {
        let mut hers = alice.connect();
        taken_for(&mut hers, &alice, "/", "Authorization: Basic eDp5\r\n");
    }
    assert!(upstream.connections().len() <= before + 10, "{} connections", upstream.connections().len() - before);
}

#[test]
fn over_http2_and_through_a_proxy_that_many_people_come_by_it_serves_one_request() {
    let upstream = by_connection();
    let gate = builder(&upstream).tls(&["app.test"]).set("server.trusted_proxies", "[127.0.0.0/8]").start();
    let alice = signed_in(Client::tls(&gate, "app.test"), "alice");
    let request = |more: bool| {
        let mut request = Request::get("https://app.test/x");
        for (name, value) in &alice.cookies {
            request = request.header("cookie", format!("{name}={value}"));
        }
        if more {
            request = request.header("authorization", "Negotiate alice");
        }
        request.body(Bytes::new()).unwrap()
    };
    for _ in 0..5 {
        let all = [true, false, true, false, false].map(request).into_iter().collect();
        let answers: Vec<String> =
            h2::exchange(&gate, "app.test", all).into_iter().map(|answer| answer.unwrap().text()).collect();
        assert_eq!(answers, ["alice", "nobody", "alice", "nobody", "nobody"]);
    }
    // Two people whom nothing tells apart, over the proxy's one connection.
    let nobody = Client::tls(&gate, "app.test");
    let mut proxy = nobody.connect();
    for _ in 0..5 {
        let hers = "X-Forwarded-For: 192.0.2.1\r\nAuthorization: Negotiate alice\r\n";
        assert_eq!(taken_for(&mut proxy, &nobody, "/open", hers), "alice");
        assert_eq!(taken_for(&mut proxy, &nobody, "/open", "X-Forwarded-For: 192.0.2.2\r\n"), "nobody");
    }
}

#[test]
fn an_upstream_that_signs_a_common_connection_in_by_itself_is_not_passed_on() {
    let upstream = Recorder::with(|request: &Recorded, stream| {
        let field = if request.target() == "/open/odd" { "Persistent-Auth: true\r\n" } else { "" };
        write!(stream, "HTTP/1.1 200 OK\r\n{field}Content-Length: 2\r\n\r\nok").is_ok()
    });
    let gate = builder(&upstream).start();
    let mut nobody = Client::new(&gate);
    assert_eq!(nobody.get("/open/odd").status, 502);
    let odd = upstream.last().connection;
    assert_eq!(nobody.get("/open/even").text(), "ok");
    assert_ne!(upstream.last().connection, odd, "nor does anybody come after it");
}
