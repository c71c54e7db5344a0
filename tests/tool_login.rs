//! sekisho signs in to the tool itself (F37): the tool sees its own credentials and never the client's, for whoever was let through and
//! for nobody else; the client never sees them.

use data_encoding::BASE64;

use crate::harness::{Builder, Client, PASSWORD, Recorder, Sekisho, h2, tools};

const SECRET: &str = "Tool-secret-91";

fn builder() -> Builder {
    Sekisho::builder().cheap_hashes().set("second_factor.policy", "off").user("alice", &["--group", "ops"])
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{username}:{password}").as_bytes()))
}

/// Neither the password nor what stands in the header may be in any log.
fn keep_secret(gate: &Sekisho) {
    gate.secrets().add(SECRET);
    gate.secrets().add(&BASE64.encode(format!("admin:{SECRET}").as_bytes()));
}

fn signed_in(gate: &Sekisho) -> Client {
    let mut alice = Client::new(gate);
    alice.give_password("alice", PASSWORD);
    assert!(alice.cookie("session").is_some());
    alice
}

/// One gate with a route for each way, and with one that signs in nowhere.
fn gate(tool: &Recorder, other: &Recorder) -> Sekisho {
    let builder = builder();
    std::fs::write(builder.folder().join("password"), format!("{SECRET}\n")).unwrap();
    std::fs::write(builder.folder().join("token"), SECRET).unwrap();
    let gate = builder
        .route("{name: basic, path: /basic, upstream: UPSTREAM, upstream_auth: {basic: {username: admin, password_file: password}}}", &tool.url())
        .route("{name: bearer, path: /bearer, upstream: UPSTREAM, upstream_auth: {bearer: {token_file: token}}}", &tool.url())
        .route("{name: ops, path: /others, allow: {groups: [nobody]}, upstream: UPSTREAM, upstream_auth: {bearer: {token_file: token}}}", &tool.url())
        .route("{name: plain, upstream: UPSTREAM}", &other.url())
        .start();
    keep_secret(&gate);
    gate
}

#[test]
fn the_tool_sees_its_own_credentials_and_never_the_clients() {
    let (tool, other) = (Recorder::ok(), Recorder::ok());
    let gate = gate(&tool, &other);
    let mut alice = signed_in(&gate);
    let bearer = format!("Bearer {SECRET}");
    for (path, expected) in [("/basic/x", basic("admin", SECRET)), ("/bearer/x", bearer)] {
        for own in [
            "",
            "Authorization: Basic cm9vdDpyb290\r\n",
            "authorization: Bearer forged\r\nAuthorization: Basic cm9vdDpyb290\r\n",
            "Authorization: Negotiate YII=\r\n",
            "AUTHORIZATION: NTLM x\r\nConnection: authorization\r\n",
        ] {
            assert_eq!(alice.request("GET", path, own, b"").status, 200, "{own}");
            assert_eq!(tool.last().header("authorization"), Some(expected.as_str()), "{own}");
        }
        assert_eq!(alice.request("POST", path, "Content-Type: text/plain\r\n", b"words").status, 200);
        assert_eq!(tool.last().header("authorization"), Some(expected.as_str()));
        assert_eq!(tool.last().body, b"words");
    }
    // A client that names our header in its `Connection` cannot have it removed; where sekisho signs in nowhere, its own passes.
    assert_eq!(alice.request("GET", "/", "Authorization: Basic cm9vdDpyb290\r\n", b"").status, 200);
    assert_eq!(other.last().header("authorization"), Some("Basic cm9vdDpyb290"));
    // What signs a connection in elsewhere signs nothing in here: the connection is everybody's.
    let connections: std::collections::BTreeSet<_> = tool.requests().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections.len(), 1, "{connections:?}");
}

#[test]
fn nobody_who_may_not_pass_has_the_tool_shown_anything() {
    let (tool, other) = (Recorder::ok(), Recorder::ok());
    let gate = gate(&tool, &other);
    let mut nobody = Client::new(&gate);
    for own in ["", "Authorization: Basic cm9vdDpyb290\r\n", "Cookie: sekisho-session=x\r\n"] {
        assert_eq!(nobody.request("GET", "/basic/", own, b"").status, 401);
        assert_eq!(nobody.request("GET", "/bearer/", own, b"").status, 401);
    }
    let mut alice = signed_in(&gate);
    assert_eq!(alice.get("/others/").status, 403);
    // Another route's tool never sees them, whatever leads there.
    for path in ["/", "/basicx", "/x/..%2fbasic/", "/basic%2f"] {
        alice.get(path);
    }
    assert_eq!(tool.requests().len(), 0);
    assert!(other.requests().iter().all(|seen| seen.header("authorization").is_none()));
    alice.sign_out();
    assert_eq!(alice.request("GET", "/basic/", "", b"").status, 401);
    assert_eq!(tool.requests().len(), 0);
}

#[test]
fn a_tool_that_refuses_asks_no_browser_for_a_password() {
    let refusing = Recorder::with(|request, stream| {
        use std::io::Write;
        let challenge =
            if request.target().ends_with("bare") { "" } else { "WWW-Authenticate: Basic realm=\"tool\"\r\n" };
        let status = if request.target().ends_with("open") { "200 OK" } else { "401 Unauthorized" };
        let echo = request.all("authorization").join("");
        write!(stream, "HTTP/1.1 {status}\r\n{challenge}Content-Length: {}\r\n\r\n{echo}", echo.len()).is_ok()
    });
    let other = Recorder::ok();
    let gate = gate(&refusing, &other);
    let mut alice = signed_in(&gate);
    for (method, body) in [("GET", &b""[..]), ("POST", b"words")] {
        let page = alice.request(method, "/basic/", "Accept: text/html\r\n", body);
        assert_eq!(page.status, 502);
        assert_eq!(page.header("www-authenticate"), None);
        assert!(page.text().contains("did not take the login"), "{}", page.text());
        assert!(!page.text().contains(SECRET) && !page.text().contains(&basic("admin", SECRET)));
    }
    let programme = alice.request("GET", "/basic/", "Accept: application/json\r\n", b"");
    assert_eq!((programme.status, &programme.json()["code"]), (502, &"tool_login_refused".into()));
    // Asked once each: no retry would make it better.
    assert_eq!(refusing.requests().len(), 3);
    let bare = alice.get("/basic/bare");
    assert_eq!((bare.status, bare.header("www-authenticate")), (401, None));
    let open = alice.get("/basic/open");
    assert_eq!((open.status, open.header("www-authenticate")), (200, None));
    assert!(gate.logs().iter().any(|line| line.contains("ToolRefusedLogin") && line.contains("basic")));
}

#[test]
fn over_http2_it_is_the_same() {
    let tool = Recorder::ok();
    let builder = builder().tls(&["app.test"]);
    std::fs::write(builder.folder().join("token"), SECRET).unwrap();
    let gate = builder
        .route("{name: all, upstream: UPSTREAM, upstream_auth: {bearer: {token_file: token}}}", &tool.url())
        .start();
    keep_secret(&gate);
    let mut alice = Client::tls(&gate, "app.test");
    alice.give_password("alice", PASSWORD);
    let cookies = alice.cookie_header().trim().trim_start_matches("Cookie: ").to_owned();
    let request = http::Request::get("https://app.test/x")
        .header("cookie", cookies)
        .header("authorization", "Basic cm9vdDpyb290")
        .header("authorization", "Bearer forged")
        .body(bytes::Bytes::new())
        .unwrap();
    assert_eq!(h2::request(&gate, "app.test", request).status, 200);
    assert_eq!(tool.last().header("authorization"), Some(format!("Bearer {SECRET}").as_str()));
}

/// Debian's supervisor behind its own HTTP Basic: people sign in to sekisho alone, and work.
#[test]
fn people_work_in_supervisor_without_its_password() {
    let tool = tools::supervisor_behind("admin", SECRET);
    let mut past = crate::harness::Conn::plain(tool.address());
    past.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(past.response().status, 401, "the tool asks for its own password");
    let builder = builder();
    std::fs::write(builder.folder().join("password"), SECRET).unwrap();
    let gate = builder
        .route(
            "{name: all, upstream: UPSTREAM, upstream_auth: {basic: {username: admin, password_file: password}}}",
            &tool.url(),
        )
        .start();
    keep_secret(&gate);
    let mut alice = signed_in(&gate);
    let page = alice.open("/");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("Supervisor Status"), "{}", page.text());
    let stopped = alice.open("/index.html?processname=keeper&action=stop");
    assert_eq!(stopped.status, 200);
    crate::harness::wait_until("the program is stopped", || alice.open("/").text().contains("stopped").then_some(()));

    // Another password at the tool: sekisho's page says so, and no browser asks.
    std::fs::write(gate.path("password"), "Another-secret-2").unwrap();
    gate.reload();
    let refused = alice.request("GET", "/", "Accept: text/html\r\n", b"");
    assert_eq!((refused.status, refused.header("www-authenticate")), (502, None));
}
