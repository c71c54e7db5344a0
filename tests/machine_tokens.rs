//! Machine tokens (F38): what a programme may do by one, what it may not, and what is left of it when it is over.

use std::time::{Duration, Instant};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Value, json};

use crate::harness::{Builder, Client, Conn, Recorder, Response, Sekisho, wait_until};

fn builder(upstream: &Recorder) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("server.trusted_proxies", "[127.0.0.9]")
        .route("{name: shop, path: /, upstream: UPSTREAM, allow: {groups: [ops]}, identity: {headers: {X-Who: \"{id} {name} {role}.\"}}}", &upstream.url())
        .route("{name: stock, path: /stock, upstream: UPSTREAM}", &upstream.url())
        .route("{name: open, path: /open, access: public, upstream: UPSTREAM}", &upstream.url())
        .route("{name: shut, path: /shut, access: deny, upstream: UPSTREAM}", &upstream.url())
        .route("{name: near, path: /near, upstream: UPSTREAM, allow: {networks: [192.0.2.0/24]}}", &upstream.url())
        .user("alice", &["--group", "ops"])
}

struct Token {
    id: String,
    value: String,
}

#[track_caller]
fn add(gate: &Sekisho, args: &[&str]) -> Token {
    let all: Vec<&str> = ["token", "add"].into_iter().chain(args.iter().copied()).collect();
    let row = gate.cli_json(&all);
    let value = row["token"].as_str().expect("the token").to_owned();
    gate.secrets().add(&value);
    Token { id: row["id"].as_str().unwrap().to_owned(), value }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn basic(user: &str, token: &str) -> String {
    format!("Authorization: Basic {}\r\n", BASE64.encode(format!("{user}:{token}").as_bytes()))
}

#[track_caller]
fn get(gate: &Sekisho, path: &str, headers: &str) -> Response {
    Client::new(gate).request("GET", path, headers, b"")
}

#[track_caller]
fn problem(answer: &Response, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.json()["code"], code);
    assert_eq!(answer.header("location"), None);
}

fn events(gate: &Sekisho, event: &str) -> Vec<Value> {
    gate.cli_json(&["audit", "search", "--event", event]).as_array().unwrap().clone()
}

#[test]
fn f38_a_programme_comes_in_by_its_token_and_the_tool_never_sees_it() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let token = add(&gate, &["deploy", "--route", "shop", "--expires", "90d"]);
    assert!(token.value.starts_with("skt_") && token.value.len() == 47);

    for headers in [bearer(&token.value), basic("anybody", &token.value), basic("", &token.value)] {
        let claims = format!("{headers}Remote-User: root\r\nRemote-Groups: ops\r\nRemote-Email: root@example.com\r\n");
        let answer = get(&gate, "/export.csv", &claims);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("set-cookie"), None);
        let seen = upstream.last();
        assert_eq!(seen.header("authorization"), None);
        assert_eq!(seen.header("remote-user"), Some("token:deploy"));
        assert_eq!(seen.header("remote-name"), Some("deploy"));
        assert_eq!((seen.header("remote-groups"), seen.header("remote-email")), (None, None));
        assert_eq!(seen.header("x-who"), Some(format!("token:{} deploy .", token.id).as_str()));
        let head = String::from_utf8_lossy(&seen.head).into_owned();
        assert!(!head.contains("root") && !head.contains(&token.value[4..]), "{head}");
    }

    // It is nowhere: not in the store's export, not in a list, not in the events.
    let file = gate.path("export.jsonl");
    assert!(gate.cli(&["store", "export", file.to_str().unwrap()]).status.success());
    let export = std::fs::read_to_string(&file).unwrap();
    assert!(export.contains("\"token/") && !export.contains(&token.value[4..]));
    let listed = gate.cli_json(&["token", "list"]);
    assert_eq!((&listed[0]["name"], &listed[0]["routes"]), (&json!("deploy"), &json!(["shop"])));
    assert_eq!((&listed[0]["last_address"], listed[0].get("token")), (&json!("127.0.0.1"), None));
    assert!(listed[0]["last_used"].is_string());
    assert_eq!(events(&gate, "token_added")[0]["login"], "token:deploy");
}

#[test]
fn any_other_authorization_is_the_tools() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    for value in ["Bearer x", "Basic dTpw", "Bearer SKT_x", "Digest a=b", "skt_x", "Token skt_x", "Basic c2t0X3g6"] {
        assert_eq!(get(&gate, "/open", &format!("Authorization: {value}\r\n")).status, 200);
        assert_eq!(upstream.last().header("authorization"), Some(value));
        assert_eq!(upstream.last().header("remote-user"), None);
    }
    let mut alice = Client::new(&gate);
    alice.sign_in_and_enrol(&gate, "alice");
    assert_eq!(alice.request("GET", "/", "Authorization: Basic dTpw\r\n", b"").status, 200);
    assert_eq!(upstream.last().header("authorization"), Some("Basic dTpw"));
    assert_eq!(upstream.last().header("remote-user"), Some("alice"));
}

#[test]
fn a_token_is_good_where_it_says_and_nowhere_else() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let token = add(&gate, &["stock", "--route", "stock", "near", "shut", "--expires", "30d"]);
    let shows = bearer(&token.value);
    assert_eq!(get(&gate, "/stock/1", &shows).status, 200);
    let asked = upstream.requests().len();
    for path in ["/", "/open", "/stock/../export", "/stocks", "/stock/..;/x"] {
        let answer = get(&gate, path, &shows);
        assert!(matches!(answer.status, 403 | 400), "{path}: {}", answer.status);
    }
    problem(&get(&gate, "/open", &shows), 403, "forbidden");
    for path in ["/shut", "/near"] {
        problem(&get(&gate, path, &format!("{shows}Accept: application/json\r\n")), 403, "forbidden");
    }
    for path in ["/.sekisho/account", "/.sekisho/admin/users", "/.sekisho/login", "/.sekisho/", "/.sekisho/api/session"]
    {
        problem(
            &get(&gate, path, &format!("{shows}Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n")),
            403,
            "forbidden",
        );
    }
    assert_eq!(upstream.requests().len(), asked, "none of that reached the tool");
    let denied = events(&gate, "access_denied");
    assert!(denied.iter().any(|event| event["login"] == "token:stock" && event["route"] == "shop"), "{denied:?}");
    assert!(denied.iter().filter(|event| event["route"] == "open").count() == 1, "once a minute: {denied:?}");
}

#[test]
fn what_is_no_token_is_nobody_nowhere_not_even_on_public_routes() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let token = add(&gate, &["deploy", "--route", "shop", "open", "--expires", "90d"]);
    let other = "skt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let url_safe = format!("Authorization: Basic {}\r\n", BASE64URL_NOPAD.encode(format!("?>:{other}").as_bytes()));
    for headers in [
        bearer(other),
        bearer("skt_"),
        bearer(&token.value[..46]),
        bearer(&format!("{}x", token.value)),
        bearer(&token.value.to_lowercase()),
        basic("u", other),
        url_safe,
        format!("{}{}", bearer(&token.value), bearer(&token.value)),
        format!("{}Authorization: NTLM x\r\n", bearer(&token.value)),
        format!("Authorization: Bearer {}, Basic dTpw\r\n", token.value),
    ] {
        for path in ["/", "/open", "/.sekisho/login"] {
            let answer = get(&gate, path, &format!("{headers}Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n"));
            problem(&answer, 401, "invalid_credentials");
            assert!(answer.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer")));
        }
    }
    assert!(upstream.requests().is_empty());
    let refused = events(&gate, "token_refused");
    assert_eq!(refused.len(), 30);
    assert_eq!((&refused[0]["result"], &refused[0]["address"]), (&json!("failure"), &json!("127.0.0.1")));
}

#[test]
fn a_token_beside_a_session_is_refused_whatever_either_is() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let token = add(&gate, &["deploy", "--route", "shop", "--expires", "90d"]);
    let mut alice = Client::new(&gate);
    alice.sign_in_and_enrol(&gate, "alice");
    let asked = upstream.requests().len();
    problem(&alice.request("GET", "/", &bearer(&token.value), b""), 400, "bad_request");
    problem(&alice.request("GET", "/.sekisho/account", &bearer(&token.value), b""), 400, "bad_request");
    for cookie in ["sekisho-session=x", "sekisho-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        problem(&get(&gate, "/", &format!("{}Cookie: {cookie}\r\n", bearer(&token.value))), 400, "bad_request");
    }
    assert_eq!(upstream.requests().len(), asked);
    assert_eq!(alice.get("/").status, 200, "and her session is as it was");
}

#[test]
fn many_bad_ones_from_one_address_wait_and_keep_nobody_else_out() {
    let upstream = Recorder::ok();
    let limit = "{max_failures: 5, window: 10m}";
    let gate = builder(&upstream).set("lockout.per_address", limit).clock().start();
    let token = add(&gate, &["deploy", "--route", "shop", "--expires", "90d"]);
    let fresh = add(&gate, &["fresh", "--route", "shop", "--expires", "90d"]);
    assert_eq!(get(&gate, "/", &bearer(&token.value)).status, 200);
    for _ in 0..5 {
        problem(&get(&gate, "/", &bearer("skt_x")), 401, "invalid_credentials");
    }
    let answer = get(&gate, "/", &bearer("skt_x"));
    problem(&answer, 429, "too_many_attempts");
    let wait: u64 = answer.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=600).contains(&wait), "{wait}");
    // What more comes is looked up no more: not even a good one that was never seen. One that was goes on.
    problem(&get(&gate, "/", &bearer(&fresh.value)), 429, "too_many_attempts");
    assert_eq!(get(&gate, "/", &bearer(&token.value)).status, 200);
    assert_eq!(events(&gate, "token_refused").len(), 5);
    // People's logins are counted apart.
    let mut alice = Client::new(&gate);
    alice.sign_in_and_enrol(&gate, "alice");
    assert_eq!(alice.get("/").status, 200);
    gate.advance(Duration::from_secs(601));
    assert_eq!(get(&gate, "/", &bearer(&fresh.value)).status, 200);
}

/// A stream of events that never ends.
fn feed() -> Recorder {
    Recorder::raw(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n6\r\ndata: \r\n",
    )
}

#[track_caller]
fn open_stream(gate: &Sekisho, token: &str) -> Conn {
    let mut conn = Conn::plain(gate.address());
    let host = gate.address();
    conn.send(format!("GET /feed HTTP/1.1\r\nHost: {host}\r\n{}\r\n", bearer(token)));
    let came = wait_until("the stream begins", || conn.came(Duration::from_secs(5)));
    assert!(came.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&came));
    conn
}

#[track_caller]
fn ends(conn: &mut Conn) {
    let begun = Instant::now();
    wait_until("the stream ends", || conn.came(Duration::from_millis(200)).is_none().then_some(()));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_revoked_token_is_dead_at_once_and_what_is_open_by_it_is_closed() {
    let upstream = feed();
    let gate = builder(&upstream).start();
    let token = add(&gate, &["deploy", "--route", "shop", "--expires", "90d"]);
    let twin = add(&gate, &["deploy", "--route", "shop", "--expires", "90d"]);
    let (mut open, mut twins) = (open_stream(&gate, &token.value), open_stream(&gate, &twin.value));
    assert!(gate.cli(&["token", "revoke", &token.id]).status.success());
    ends(&mut open);
    problem(&get(&gate, "/", &bearer(&token.value)), 401, "invalid_credentials");
    assert!(twins.came(Duration::from_millis(300)).is_some(), "another token's stream goes on");
    let listed = gate.cli_json(&["token", "list"]);
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["id"]), (1, &json!(twin.id)));
    assert_eq!(events(&gate, "token_revoked")[0]["login"], "token:deploy");
    let again = gate.cli(&["token", "revoke", &token.id]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
}

#[test]
fn time_ends_a_token_and_what_is_open_by_it() {
    let upstream = feed();
    let gate = builder(&upstream).clock().start();
    let token = add(&gate, &["deploy", "--route", "shop", "--expires", "2h"]);
    let mut open = open_stream(&gate, &token.value);
    gate.advance(Duration::from_secs(2 * 3600 + 1));
    ends(&mut open);
    problem(&get(&gate, "/", &bearer(&token.value)), 401, "invalid_credentials");
    assert_eq!(gate.cli_json(&["token", "list"]), json!([]));
}

#[test]
fn another_configuration_closes_what_a_token_may_not_do_any_more() {
    let upstream = feed();
    let gate = builder(&upstream).start();
    let token = add(&gate, &["deploy", "--route", "shop", "--expires", "90d"]);
    let mut open = open_stream(&gate, &token.value);
    gate.reload();
    assert!(open.came(Duration::from_millis(300)).is_some(), "the same configuration changes nothing");
    let text = std::fs::read_to_string(gate.config()).unwrap();
    std::fs::write(gate.config(), text.replace("name: shop", "name: shop2")).unwrap();
    gate.reload();
    ends(&mut open);
    problem(&get(&gate, "/", &bearer(&token.value)), 403, "forbidden");
}

#[test]
fn a_restart_forgets_no_token_and_no_last_use() {
    let upstream = Recorder::ok();
    let mut gate = builder(&upstream).start();
    let token = add(&gate, &["deploy", "--route", "shop", "--expires", "90d"]);
    assert_eq!(get(&gate, "/", &bearer(&token.value)).status, 200);
    gate.stop();
    let listed = gate.cli_json(&["token", "list"]);
    assert_eq!((&listed[0]["last_address"], listed[0]["last_used"].is_string()), (&json!("127.0.0.1"), true));
    // Without a gateway the command line does the same by itself.
    let quiet = add(&gate, &["quiet", "--route", "shop", "--expires", "90d"]);
    assert!(gate.cli(&["token", "revoke", &quiet.id]).status.success());
    gate.serve();
    assert_eq!(get(&gate, "/", &bearer(&token.value)).status, 200);
    problem(&get(&gate, "/", &bearer(&quiet.value)), 401, "invalid_credentials");
}

#[test]
fn over_an_open_line_a_token_is_refused_and_never_led_on() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).tls(&["app.test"]).start();
    let token = add(&gate, &["deploy", "--route", "shop", "open", "--expires", "90d"]);
    // Something stands between: somebody may read along.
    for path in ["/", "/open", "/.sekisho/login"] {
        let answer = get(&gate, path, &format!("{}Via: 1.1 somewhere\r\n", bearer(&token.value)));
        assert_eq!((answer.status, answer.header("location")), (403, None), "{path}: {}", answer.text());
    }
    assert!(upstream.requests().is_empty());
    let mut secure = Client::tls(&gate, "app.test");
    assert_eq!(secure.request("GET", "/", &bearer(&token.value), b"").status, 200);
    assert_eq!(upstream.last().header("remote-user"), Some("token:deploy"));
}

#[test]
fn an_assertion_about_a_machine_says_so() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).set("identity.assertion", "true").start();
    let token = add(&gate, &["deploy", "--route", "shop", "--expires", "90d"]);
    assert_eq!(get(&gate, "/", &bearer(&token.value)).status, 200);
    let assertion = upstream.last().header("x-sekisho-assertion").expect("an assertion").to_owned();
    let claims = BASE64URL_NOPAD.decode(assertion.split('.').nth(1).unwrap().as_bytes()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["sub"], format!("token:{}", token.id));
    assert_eq!((&claims["login"], &claims["aud"]), (&json!("token:deploy"), &json!("shop")));
    assert_eq!((&claims["amr"], &claims["groups"]), (&json!(["token"]), &json!([])));
    assert_eq!(get(&gate, "/", &bearer(&token.value)).status, 200);
    assert_eq!(upstream.last().header("x-sekisho-assertion"), Some(assertion.as_str()), "signed once");
}

#[test]
fn the_command_line_says_what_is_wrong_with_a_token_that_is_asked_for() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).prepare();
    let said = |args: &[&str]| {
        let output = gate.cli(args);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for args in [
        &["token", "add", "deploy", "--route", "shop"][..],
        &["token", "add", "deploy", "--expires", "90d"],
        &["token", "add", "no blanks", "--route", "shop", "--expires", "90d"],
        &["token", "add", "deploy", "--route", "shop", "--expires", "never"],
        &["token", "add", "deploy", "--route", "shop", "--expires", "0s"],
        &["token", "add", "deploy", "--route", "shop", "--expires", "9999d"],
        &["token", "revoke", "skt_x"],
    ] {
        assert_eq!(said(args).0, Some(2), "{args:?}");
    }
    let (code, words) = said(&["token", "add", "deploy", "--route", "shop", "nowhere", "--expires", "90d"]);
    assert!(code == Some(1) && words.contains("nowhere") && words.contains("stock"), "{words}");
    assert_eq!(gate.cli_json(&["token", "list"]), json!([]));
    let output = gate.cli(&["token", "add", "deploy", "--route", "shop", "--route", "stock", "--expires", "90d"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let token = text.lines().find(|line| line.starts_with("skt_")).expect("the token on a line of its own");
    gate.secrets().add(token);
    assert!(text.contains("shop, stock") && text.contains("only time"), "{text}");
    let listed = gate.cli(&["token", "list"]);
    assert!(!String::from_utf8_lossy(&listed.stdout).contains(&token[4..]));
}
