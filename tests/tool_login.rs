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

/// Two routes that ask each account for its own.
fn own_gate(tool: &Recorder) -> Sekisho {
    let gate = builder()
        .user("bob", &[])
        .user("mia", &["--role", "manager"])
        .route("{name: sup, path: /sup, upstream: UPSTREAM, upstream_auth: {basic: {per_account: true}}}", &tool.url())
        .route("{name: api, path: /api, upstream: UPSTREAM, upstream_auth: {bearer: {per_account: true}}}", &tool.url())
        .route(
            "{name: far, path: /far, allow: {groups: [ops]}, upstream: UPSTREAM, upstream_auth: {basic: {per_account: true}}}",
            &tool.url(),
        )
        .upstream(&tool.url())
        .start();
    keep_secret(&gate);
    gate
}

fn client(gate: &Sekisho, login: &str) -> Client {
    let mut client = Client::new(gate);
    client.give_password(login, PASSWORD);
    assert!(client.cookie("session").is_some());
    client
}

#[test]
fn each_account_is_shown_to_the_tool_with_its_own_and_nobody_with_anothers() {
    let tool = Recorder::ok();
    let gate = own_gate(&tool);
    let (mut alice, mut bob) = (client(&gate, "alice"), client(&gate, "bob"));
    tool.clear();
    let page = alice.request("GET", "/sup/", "Accept: text/html\r\n", b"");
    assert_eq!(page.status, 403);
    assert!(page.text().contains("/.sekisho/account/tools"), "{}", page.text());
    let programme = alice.request("GET", "/api/x", "Authorization: Bearer mine\r\nAccept: application/json\r\n", b"");
    assert_eq!((programme.status, &programme.json()["code"]), (403, &"tool_login_missing".into()));
    assert_eq!(tool.requests().len(), 0);

    // Alice stores hers on her page; it is not shown again.
    let page = alice.open("/.sekisho/account/tools");
    assert!(page.text().contains("far"), "she is let through there");
    let form = crate::harness::forms(&page.text()).into_iter().find(|form| form.field("route") == Some("sup")).unwrap();
    let page = alice.submit(&form.with("username", "alice-there").with("secret", SECRET));
    assert!(page.text().contains("Stored"), "{}", page.text());
    assert!(!page.text().contains(SECRET) && !page.text().contains("alice-there"));
    assert_eq!(alice.get("/sup/").status, 200);
    assert_eq!(tool.last().header("authorization"), Some(basic("alice-there", SECRET).as_str()));
    // For this route and this account alone.
    assert_eq!(alice.get("/far/").status, 403);
    assert_eq!(alice.get("/api/").status, 403);
    assert_eq!(bob.get("/sup/").status, 403);
    assert!(!bob.open("/.sekisho/account/tools").text().contains("far"), "he is not let through there");

    // Bob's is stored on the server, and a token by a manager.
    let set = ["tool-login", "set", "bob", "--route", "sup", "--username", "bob-there", "--password-stdin"];
    assert!(gate.cli_with_input(&set, &format!("{SECRET}-2\n")).status.success());
    assert_eq!(bob.get("/sup/").status, 200);
    assert_eq!(tool.last().header("authorization"), Some(basic("bob-there", &format!("{SECRET}-2")).as_str()));
    let mut mia = client(&gate, "mia");
    let id = gate.cli_json(&["user", "show", "bob"])["id"].as_str().unwrap().to_owned();
    let page = mia.open(&format!("/.sekisho/admin/users/{id}"));
    let form = crate::harness::forms(&page.text())
        .into_iter()
        .find(|form| form.action.ends_with("/tool-login") && form.field("route") == Some("api"))
        .unwrap();
    let page = mia.submit(&form.with("secret", &format!("{SECRET}-3")));
    assert!(page.text().contains("was stored"), "{}", page.text());
    assert_eq!(bob.get("/api/").status, 200);
    assert_eq!(tool.last().header("authorization"), Some(format!("Bearer {SECRET}-3").as_str()));

    // It survives a restart and another key, is told of without what it is, and is gone with a word.
    let listed = gate.cli_json(&["tool-login", "list", "--user", "bob"]);
    assert_eq!(
        listed.as_array().unwrap().iter().map(|row| row["route"].as_str().unwrap()).collect::<Vec<_>>(),
        ["api", "sup"]
    );
    let rotated = gate.cli(&["key", "rotate"]);
    assert!(rotated.status.success(), "{rotated:?}");
    assert_eq!(bob.get("/sup/").status, 200);
    let verified = gate.cli_json(&["store", "verify"]);
    assert_eq!((&verified["problem_count"], &verified["sealed_with_older_keys"]), (&0.into(), &0.into()), "{verified}");
    let export = gate.path("export.jsonl");
    assert!(gate.cli(&["store", "export", export.to_str().unwrap()]).status.success());
    let text = std::fs::read_to_string(export).unwrap();
    assert!(text.contains("tool-login/") && !text.contains(SECRET) && !text.contains("bob-there"));
    assert!(gate.cli(&["tool-login", "forget", "bob", "--route", "sup"]).status.success());
    tool.clear();
    assert_eq!(bob.get("/sup/").status, 403);
    assert_eq!(tool.requests().len(), 0);
    let events = gate.cli_json(&["audit", "search", "--event", "tool_login_changed"]);
    assert_eq!(events.as_array().unwrap().len(), 4, "{events}");
    assert!(!events.to_string().contains("there"), "{events}");
}

#[test]
fn nobody_sets_what_is_not_theirs_or_cannot_be_shown_to_a_tool() {
    let tool = Recorder::ok();
    let gate = own_gate(&tool);
    let mut bob = client(&gate, "bob");
    let form = |page: &str, route: &str| {
        crate::harness::forms(page).into_iter().find(|form| form.field("route") == Some(route)).unwrap()
    };
    let page = bob.open("/.sekisho/account/tools").text();
    for (route, username, secret) in [
        ("sup", "a:b", SECRET),
        ("sup", "a", ""),
        ("sup", "a", "two\r\nX-Evil: 1"),
        // Not on his page; not there at all.
        ("far", "a", SECRET),
        ("none", "a", SECRET),
    ] {
        let answer =
            bob.send(&form(&page, "sup").with("route", route).with("username", username).with("secret", secret));
        assert!(matches!(answer.status, 404 | 422), "{route} {username:?}: {}", answer.status);
    }
    let forged = bob.send(&form(&page, "sup").with("username", "a").with("secret", SECRET).with("csrf", "x"));
    assert_eq!(forged.status, 403);
    // Another account's, by the managers' address, and by a manager for somebody above them.
    let id = |login: &str| gate.cli_json(&["user", "show", login])["id"].as_str().unwrap().to_owned();
    let path = format!("/.sekisho/admin/users/{}/tool-login", id("alice"));
    assert_eq!(
        bob.request(
            "POST",
            &path,
            "Content-Type: application/x-www-form-urlencoded\r\n",
            b"route=sup&username=a&secret=b"
        )
        .status,
        403
    );
    gate.add_user("ada", "Other-horse-9", &["--role", "admin"]);
    let mut mia = client(&gate, "mia");
    let page = mia.open(&format!("/.sekisho/admin/users/{}", id("bob")));
    let mut above = crate::harness::form_to(&page, "/tool-login").with("username", "a").with("secret", SECRET);
    above.action = above.action.replace(&id("bob"), &id("ada"));
    assert_eq!(mia.send(&above).status, 403);
    assert_eq!(gate.cli_json(&["tool-login", "list"]).as_array().unwrap().len(), 0);
    // What goes with an account goes for good.
    let set = ["tool-login", "set", "alice", "--route", "sup", "--username", "a", "--password-stdin"];
    assert!(gate.cli_with_input(&set, SECRET).status.success());
    assert!(gate.cli(&["user", "delete", "alice"]).status.success());
    let verified = gate.cli_json(&["store", "verify"]);
    assert_eq!(verified["records"]["tool-login"], serde_json::Value::Null, "{verified}");
    for wrong in [["--route", "none", "--username", "a"], ["--route", "api", "--username", "a"]] {
        let all = [&["tool-login", "set", "bob"][..], &wrong, &["--password-stdin"]].concat();
        assert_eq!(gate.cli_with_input(&all, SECRET).status.code(), Some(1), "{wrong:?}");
    }
}
