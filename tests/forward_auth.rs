//! Another proxy asks whether it may pass a request on (`/auth`): what it is told, and which questions are refused. [`proxies`] has real ones
//! in front.

mod proxies;

use std::time::Duration;

use crate::harness::{Builder, Client, Response, Sekisho, wait_until};

const HOST: &str = "tool.example.com";
const IDENTITY: [&str; 4] = ["remote-user", "remote-groups", "remote-email", "remote-name"];

fn builder(upstream: &str) -> Builder {
    let route = |more: &str| format!("{{host: {HOST}, upstream: UPSTREAM, {more}}}");
    Sekisho::builder()
        .cheap_hashes()
        .set("server.trusted_proxies", "[127.0.0.1]")
        .set("second_factor.policy", "off")
        .route(&route("name: tool"), upstream)
        .route(&route("name: open, path: /open, access: public"), upstream)
        .route(&route("name: shut, path: /shut, access: deny"), upstream)
        .route(&route("name: ops, path: /ops, allow: {groups: [ops]}"), upstream)
        .route(&route("name: write, path: /doc, methods: [POST], allow: {groups: [ops]}"), upstream)
        .route(&route("name: strict, path: /strict, second_factor: required"), upstream)
        .user("alice", &["--group", "staff", "--email", "alice@example.com"])
}

/// A proxy's question about a request, with these further lines of the client's.
#[track_caller]
fn ask(client: &mut Client, query: &str, method: &str, uri: &str, lines: &str) -> Response {
    let question =
        format!("X-Forwarded-Method: {method}\r\nX-Forwarded-Host: {HOST}\r\nX-Forwarded-Uri: {uri}\r\n{lines}");
    client.request("GET", &format!("/.sekisho/auth{query}"), &question, b"")
}

/// What log lines said why a question was refused.
fn refusals(gate: &mut Sekisho) -> Vec<String> {
    gate.process().lines().into_iter().filter(|line| line.contains("forward-auth refused")).collect()
}

#[test]
fn a_trusted_proxy_is_told_who_it_is_or_that_nobody_is_there() {
    let mut gate = builder("http://127.0.0.1:9").start();
    let mut nobody = Client::new(&gate);
    let answer = ask(&mut nobody, "", "GET", "/orders?page=2", "");
    assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("login_required")));
    assert_eq!(answer.header("location"), None);
    let answer = ask(&mut nobody, "?redirect=1", "GET", "/orders?page=2", "");
    let login = "/.sekisho/login?return_to=%2Forders%3Fpage%3D2";
    assert_eq!((answer.status, answer.header("location")), (303, Some(login)));
    // A script gets no page, and what would be lost on the way to the login neither.
    for (method, lines) in
        [("GET", "Sec-Fetch-Mode: cors\r\n"), ("GET", "X-Requested-With: XMLHttpRequest\r\n"), ("POST", "")]
    {
        assert_eq!(ask(&mut nobody, "?redirect=1", method, "/orders", lines).status, 401);
    }
    let answer = ask(&mut nobody, "", "GET", "/open/x", "Cookie: tool=1\r\nAuthorization: Basic dTpw\r\n");
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert!(IDENTITY.iter().all(|name| answer.header(name).is_none()), "nobody is nobody");
    assert_eq!((answer.header("cookie"), answer.header("authorization")), (Some("tool=1"), Some("Basic dTpw")));

    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    alice.cookies.insert("tool".to_owned(), "2".to_owned());
    let answer = ask(&mut alice, "", "GET", "/orders", "Remote-User: root\r\nRemote-Groups: ops\r\n");
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(answer.all("remote-user"), ["alice"]);
    assert_eq!((answer.all("remote-groups"), answer.all("remote-email")), (vec!["staff"], vec!["alice@example.com"]));
    assert_eq!(answer.header("cookie"), Some("tool=2"), "sekisho's own cookies are not the tool's");
    assert_eq!(answer.header("cache-control"), Some("no-store"));

    // The same routes, the same rules.
    for (method, uri, status) in [
        ("GET", "/shut", 403),
        ("GET", "/ops/x", 403),
        ("POST", "/doc/1", 403),
        ("GET", "/doc/1", 204),
        ("GET", "/strict", 401),
    ] {
        let answer = ask(&mut alice, "", method, uri, "");
        assert_eq!(answer.status, status, "{method} {uri}: {}", answer.text());
        assert!(status == 204 || IDENTITY.iter().all(|name| answer.header(name).is_none()));
    }
    let lines = "X-Forwarded-Method: GET\r\nX-Forwarded-Host: other.example.com\r\nX-Forwarded-Uri: /\r\n";
    assert_eq!(alice.request("GET", "/.sekisho/auth", lines, b"").status, 403, "no route");
    assert!(refusals(&mut gate).is_empty());
    assert!(gate.cli(&["session", "end", "--user", "alice"]).status.success());
    assert_eq!(ask(&mut alice, "", "GET", "/orders", "").status, 401);
}

#[test]
fn who_owes_a_second_factor_is_led_to_it() {
    let gate = builder("http://127.0.0.1:9")
        .set("second_factor", "{policy: required, recheck_interval: 1h}")
        .set("session", "{idle_timeout: 10h, max_lifetime: 1d}")
        .clock()
        .start();
    let mut alice = Client::new(&gate);
    let page = alice.open("/.sekisho/login");
    let page = alice.fill_password(&page, "alice", crate::harness::PASSWORD);
    alice.finish_enrolment(&gate, &page);
    assert_eq!(ask(&mut alice, "", "GET", "/orders", "").status, 204);
    gate.advance(Duration::from_secs(3660));
    let answer = ask(&mut alice, "", "GET", "/orders", "");
    assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("second_factor_required")));
    let answer = ask(&mut alice, "?redirect=1", "GET", "/orders", "");
    let location = answer.header("location").unwrap_or_default().to_owned();
    assert!(answer.status == 303 && location.starts_with("/.sekisho/second-factor"), "{}: {location}", answer.status);
    let page = alice.get(&location);
    assert!(page.status == 200 && page.text().contains("name=\"code\""), "{}", page.text());
}

/// Traefik can be told to ask by the method of the request, and nginx does unless it is told not to.
#[test]
fn a_question_that_is_posted_is_answered_like_any_other_and_keeps_no_form() {
    let gate = builder("http://127.0.0.1:9").clock().start();
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    let lines = format!(
        "X-Forwarded-Method: POST\r\nX-Forwarded-Host: {HOST}\r\nX-Forwarded-Uri: /orders\r\n\
         Origin: http://{HOST}\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\
         Accept: text/html\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    );
    assert_eq!(alice.request("POST", "/.sekisho/auth", &lines, b"").status, 204);
    gate.advance(Duration::from_secs(31 * 60));
    for (query, body) in [("", &b""[..]), ("?redirect=1", b""), ("?redirect=1", b"memo=1")] {
        let answer = alice.request("POST", &format!("/.sekisho/auth{query}"), &lines, body);
        assert_eq!((answer.status, answer.header("location")), (401, None), "{query} {body:?}");
    }
}

#[test]
fn a_question_that_leaves_a_doubt_is_refused_and_logged() {
    let mut gate = builder("http://127.0.0.1:9").start();
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    let (method, host, uri) =
        ("X-Forwarded-Method: GET\r\n", format!("X-Forwarded-Host: {HOST}\r\n"), "X-Forwarded-Uri: /open\r\n");
    let whole = format!("{method}{host}{uri}");
    assert_eq!(alice.request("GET", "/.sekisho/auth", &whole, b"").status, 204);
    let doubtful = [
        String::new(),
        format!("{host}{uri}"),
        format!("{method}{uri}"),
        format!("{method}{host}"),
        format!("{whole}X-Original-URI: /ops\r\n"),
        format!("{whole}X-Original-Method: POST\r\n"),
        format!("{whole}X-Original-Host: other.example.com\r\n"),
        format!("{whole}X-Original-URL: http://{HOST}/ops\r\n"),
        format!("{whole}X-Forwarded-Uri: /ops\r\n"),
        format!("{whole}X-Forwarded-Host: other.example.com\r\n"),
        format!("{method}{host}X-Forwarded-Uri: /open/../ops\r\n"),
        format!("{method}{host}X-Forwarded-Uri: /open/%2e%2e/ops\r\n"),
        format!("{method}{host}X-Forwarded-Uri: //ops\r\n"),
        format!("{method}{host}X-Forwarded-Uri: http://{HOST}/open\r\n"),
        format!("{method}{host}X-Forwarded-Uri: /.sekisho/admin\r\n"),
        format!("{whole}Remote_User: root\r\n"),
        format!("{whole}X-WEBAUTH-USER: root\r\n"),
    ];
    for lines in &doubtful {
        let answer = alice.request("GET", "/.sekisho/auth?redirect=1", lines, b"");
        assert_eq!((answer.status, answer.header("location")), (403, None), "{lines}");
        assert!(IDENTITY.iter().all(|name| answer.header(name).is_none()));
    }
    let said =
        wait_until("every refusal is logged", || Some(refusals(&mut gate)).filter(|said| said.len() == doubtful.len()));
    assert!(said.iter().all(|line| line.contains("reason")), "{said:?}");
    assert!(said[0].contains("no method of the request is named"), "{}", said[0]);
    // What only a route can say is no fault of the proxy's.
    assert_eq!(ask(&mut alice, "", "GET", "/open/..%2fops", "").status, 403);
}

#[test]
fn a_stranger_is_told_nothing_whoever_signs_in_there() {
    let mut gate = builder("http://127.0.0.1:9").set("server.trusted_proxies", "[192.0.2.1]").start();
    let mut alice = Client::new(&gate);
    let lines = format!("X-Original-Method: GET\r\nX-Original-URL: http://{HOST}/open\r\n");
    for path in ["/.sekisho/auth", "/.sekisho/auth?redirect=1", "/.sekisho/%61uth", "/x/../.sekisho/auth"] {
        assert_eq!(alice.request("GET", path, &lines, b"").status, 403, "{path}");
        assert_eq!(ask(&mut alice, "", "GET", "/open", "").status, 403);
    }
    let said = wait_until("it is logged", || Some(refusals(&mut gate)).filter(|said| said.len() == 8));
    assert!(said[0].contains("trusted proxy"), "{}", said[0]);
    assert_eq!(alice.request("GET", "/.sekisho/auth/x", "", b"").status, 404);
}

#[test]
fn what_came_over_an_open_line_is_refused() {
    let gate = builder("http://127.0.0.1:9").start();
    let mut alice = Client::new(&gate);
    for lines in ["X-Forwarded-For: 203.0.113.9\r\n", "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: http\r\n"] {
        assert_eq!(ask(&mut alice, "", "GET", "/open", lines).status, 403, "{lines}");
    }
    let https = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n";
    assert_eq!(ask(&mut alice, "", "GET", "/open", https).status, 204);
}

#[test]
fn a_page_of_another_site_opens_no_websocket_by_way_of_a_proxy() {
    let gate = builder("http://127.0.0.1:9").start();
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    for (lines, status) in [
        (format!("Sec-WebSocket-Key: x\r\nOrigin: http://{HOST}\r\n"), 204),
        ("Sec-WebSocket-Key: x\r\nOrigin: http://evil.test\r\n".to_owned(), 403),
        ("Upgrade: websocket\r\nConnection: Upgrade\r\nOrigin: http://evil.test\r\n".to_owned(), 403),
    ] {
        assert_eq!(ask(&mut alice, "", "GET", "/ticks", &lines).status, status, "{lines}");
    }
}

#[test]
fn a_machines_token_is_judged_for_the_request_and_not_told() {
    let gate = builder("http://127.0.0.1:9").start();
    let row = gate.cli_json(&["token", "add", "deploy", "--route", "ops", "--expires", "90d"]);
    let token = row["token"].as_str().unwrap().to_owned();
    gate.secrets().add(&token);
    let shows = format!("Authorization: Bearer {token}\r\n");
    let mut machine = Client::new(&gate);
    let answer = ask(&mut machine, "", "GET", "/ops/x", &shows);
    assert_eq!((answer.status, answer.header("remote-user")), (204, Some("token:deploy")));
    assert_eq!((answer.header("authorization"), answer.header("remote-groups")), (None, None));
    assert_eq!(ask(&mut machine, "?redirect=1", "GET", "/orders", &shows).status, 403);
    let bad = ask(&mut machine, "?redirect=1", "GET", "/ops", "Authorization: Bearer skt_x\r\n");
    assert_eq!((bad.status, bad.header("location")), (401, None));
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    assert_eq!(ask(&mut alice, "", "GET", "/ops", &shows).status, 403, "one credential at a time");
}
