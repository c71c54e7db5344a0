//! What strangers type and what the logs make of it (attack case A54): a record is a line, nothing typed ends it, steers the
//! terminal it is read on, or fills the disk; and a secret is in none.

use serde_json::Value as Json;

use crate::harness::{Client, Conn, PASSWORD, Recorder, Sekisho, form_with};

/// Longer than any record of ours, and much shorter than what was typed.
const LONGEST_LINE: usize = 8 * 1024;

fn typed() -> Vec<String> {
    vec![
        "a\n2026-01-01T00:00:00Z  INFO login ok user=root".into(),
        "a\r\n{\"timestamp\":\"2026-01-01T00:00:00Z\",\"level\":\"INFO\",\"fields\":{\"message\":\"signed in\"}}"
            .into(),
        "\u{1b}[2J\u{1b}[31mroot\u{1b}]0;x\u{7}".into(),
        "\u{9b}31m \u{85} \u{2028} \u{2029} \u{202e}toor\u{202c}".into(),
        "a\0b\tc\u{8}\u{8}\u{8}root".into(),
        "\",\"result\":\"success\",\"x\":\"".into(),
        "a".repeat(10_000),
        "関".repeat(3_000),
    ]
}

fn try_all(gate: &Sekisho) -> usize {
    let mut tries = 0;
    for login in typed() {
        let mut form = Client::new(gate);
        let page = form.open("/.sekisho/login");
        let answer = form.send(&form_with(&page, "password").with("login", &login).with("password", "Wrong-horse-8"));
        assert_eq!(answer.status, 401, "{:?}", login.get(..20));
        let mut script = Client::new(gate);
        let body = serde_json::json!({"login": login, "password": "Wrong-horse-8"});
        assert_eq!(script.post_json("/.sekisho/api/login", &body).status, 401);
        tries += 2;
        // The same as a browser's name for itself, as far as HTTP lets it through.
        let mut conn = Conn::plain(gate.address());
        let agent: Vec<u8> = login.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)).collect();
        let head = format!("GET /x HTTP/1.1\r\nHost: app.test\r\nReferer: https://app.test/{tries}\r\nUser-Agent: ");
        let _ = conn.try_send(&[head.as_bytes(), &agent, b"\r\n\r\n"].concat());
        assert!(matches!(conn.response().status, 400 | 401 | 431));
    }
    tries
}

/// Nothing in it ends a line, moves a cursor or turns the direction of reading.
fn is_harmless(line: &str) -> bool {
    let steers =
        |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c);
    line.len() <= LONGEST_LINE && !line.contains(|c| steers(c) || matches!(c, '\u{2028}' | '\u{2029}'))
}

fn gate(upstream: &Recorder, format: &str) -> Sekisho {
    Sekisho::builder()
        .set("log.format", format)
        .set("lockout.per_address", "{max_failures: 100000, window: 1m}")
        .upstream(&upstream.url())
        .user("alice", &[])
        .start()
}

#[test]
fn a54_each_try_is_one_record_that_says_what_was_typed_in_letters() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream, "json");
    let tries = try_all(&gate);
    for line in gate.logs().iter().chain(&gate.access_log(3 * typed().len())) {
        assert!(is_harmless(line), "{line:?}");
        let record: Json = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let time = record["timestamp"].as_str().or(record["time"].as_str()).expect("each record has its time");
        assert!(time.ends_with('Z') && time.parse::<jiff::Timestamp>().is_ok(), "UTC: {line}");
    }
    let file = std::fs::read_to_string(gate.path("audit.jsonl")).unwrap();
    let events: Vec<Json> = file.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(file.lines().all(is_harmless), "{file}");
    let logins: Vec<&Json> = events.iter().filter(|event| event["event"] == "login").collect();
    assert_eq!(logins.len(), tries, "one for each: {logins:#?}");
    for login in logins {
        assert_eq!(
            (&login["result"], &login["user_id"], &login["actor"]),
            (&"failure".into(), &Json::Null, &Json::Null)
        );
        assert!(login["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{login}");
        assert!(login["login"].as_str().is_some_and(|login| login.chars().count() <= 512), "{login}");
    }
    // As it is read on the terminal, and by programmes.
    for args in [&["audit", "search"][..], &["audit", "search", "--json"]] {
        let output = gate.cli(args);
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && shown.lines().all(|line| args.len() > 2 || is_harmless(line)), "{shown:?}");
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}

#[test]
fn a54_lines_for_people_are_not_forged_either_and_hold_no_secret() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream, "text");
    try_all(&gate);
    let mut alice = Client::new(&gate);
    gate.secrets().add(PASSWORD);
    gate.secrets().add("Wrong-horse-8");
    let key = alice.sign_in_and_enrol(&gate, "alice");
    // A password typed where the login belongs is one that should not stand there; a code in an address neither.
    gate.secrets().add(&key);
    alice.get(&format!("/x?password={PASSWORD}&code=1"));
    alice.get(&format!("/.sekisho/login?password={PASSWORD}&return_to=/x%3Fpassword={PASSWORD}"));
    alice.sign_out();
    for line in gate.logs() {
        assert!(is_harmless(&line), "{line:?}");
        let forged = ["2026-01-01", "{\"timestamp\":\"2026-01-01", "\",\"result\"", "toor", "root"];
        assert!(!forged.iter().any(|begin| line.trim_start().starts_with(begin)), "{line:?}");
    }
    // All lines are searched for every secret named above, cookies included, when the gateway is dropped.
}

/// The proxy library's finer lines have whole heads in them: whoever asks for a part of it by name gets none of those either.
#[test]
fn a54_no_filter_of_the_log_brings_cookies_into_it() {
    let upstream = Recorder::ok();
    let mut gate = Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .upstream(&upstream.url())
        .user("alice", &[])
        .prepare();
    gate.set_environment(
        "SEKISHO_LOG",
        "debug,pingora_proxy::proxy_h1=trace,pingora_core::protocols::http=trace,h2::codec=trace",
    );
    gate.serve();
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    gate.secrets().add("cookie-of-the-tool");
    let mut conn = alice.connect();
    let cookies = alice.cookie_header().trim_end().to_owned();
    conn.send(format!("GET /x HTTP/1.1\r\nHost: {}\r\n{cookies}; tool=cookie-of-the-tool\r\n\r\n", alice.host));
    assert_eq!(conn.response().status, 200);
    assert!(upstream.last().header("cookie").is_some_and(|cookie| cookie.contains("cookie-of-the-tool")));
    assert!(gate.logs().iter().any(|line| line.contains("DEBUG")), "the filter is in use");
    // Secrets are looked for when the gateway is dropped.
}
