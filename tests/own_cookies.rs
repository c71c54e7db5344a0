//! sekisho's own cookies: which value counts (attack case A39), and every line that sets one (A41).

use std::collections::BTreeSet;

use crate::harness::second_step::asked_for;
use crate::harness::{Client, MailServer, PASSWORD, Recorder, Response, Sekisho, form_to, form_with, key_of};
use crate::passwords::{ask_for_a_link, link_to};

const SESSION: &str = "__Host-sekisho-session";

#[test]
fn a39_a_sessions_value_counts_in_one_spelling_and_from_its_cookie_alone() {
    let upstream = Recorder::ok();
    let gate = Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .upstream(&upstream.url())
        .tls(&["app.test"])
        .user("alice", &[])
        .start();
    let mut alice = Client::tls(&gate, "app.test");
    alice.sign_in_by_password_alone(&gate);
    let value = alice.cookie("session").unwrap();
    let ask = |cookies: &str, path: &str, lines: &str| {
        let mut conn = alice.connect();
        conn.send(format!("GET {path} HTTP/1.1\r\nHost: app.test\r\nCookie: {cookies}\r\n{lines}\r\n"));
        conn.response().status
    };
    assert_eq!(ask(&format!("{SESSION}={value}"), "/", ""), 200);
    upstream.clear();

    for other in respellings(&value) {
        gate.secrets().add(&other);
        assert_eq!(ask(&format!("{SESSION}={other}"), "/", ""), 401, "{other:?}");
    }
    for cookies in [
        format!("{}={value}", SESSION.to_lowercase()),
        format!("{}={value}", SESSION.to_uppercase()),
        format!("sekisho-session={value}"),
        format!("__Secure-sekisho-session={value}"),
        format!("${SESSION}={value}"),
        format!("{SESSION}[]={value}"),
        format!("{SESSION}={value}; {SESSION}={value}"),
        format!("{SESSION}=; {SESSION}={value}"),
        format!("x=\"; {SESSION}={value}\"; y=z"),
        format!("__Host-sekisho-device={value}; __Host-sekisho-flow={value}"),
    ] {
        assert_eq!(ask(&cookies, "/", ""), 401, "{cookies}");
    }
    for path in [format!("/?{SESSION}={value}"), format!("/x?SID={value}"), format!("/x;sid?session={value}")] {
        assert_eq!(ask("x=y", &path, ""), 401, "{path}");
    }
    for line in [
        format!("Authorization: Bearer {value}\r\n"),
        format!("X-Auth-Token: {value}\r\n"),
        format!("Cookie2: {SESSION}={value}\r\n"),
        format!("Set-Cookie: {SESSION}={value}\r\n"),
    ] {
        assert_eq!(ask("x=y", "/", &line), 401, "{line}");
    }
    assert_eq!(upstream.bytes(), 0);
    assert_eq!(ask(&format!("{SESSION}={value}"), "/", ""), 200, "none of that has ended the session");
}

/// Texts that a careless reader takes for `value`.
fn respellings(value: &str) -> Vec<String> {
    let swapped: String = value
        .chars()
        .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    let encoded: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let mut all = vec![
        value[1..].to_owned(),
        value[..value.len() - 1].to_owned(),
        format!("{value}A"),
        format!("{value}="),
        format!("{value}%00"),
        format!("{value},x"),
        format!("\"{value}\""),
        format!("'{value}'"),
        format!("%{:02x}{}", value.as_bytes()[0], &value[1..]),
        value.to_lowercase(),
        value.to_uppercase(),
        value.replace('-', "+").replace('_', "/"),
        swapped,
        encoded,
        value.repeat(2),
        value.repeat(90),
        "A".repeat(43),
        String::new(),
    ];
    // 43 characters have 258 bits: two more than the value. A reader that passes over them knows four spellings of it.
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = ALPHABET.iter().position(|byte| *byte == value.as_bytes()[42]).unwrap();
    all.extend((1..4).map(|bits| format!("{}{}", &value[..42], char::from(ALPHABET[last ^ bits]))));
    all.retain(|other| other != value);
    all
}

/// Every Set-Cookie of a long way through all that sets one.
#[test]
fn a41_every_cookie_is_this_hosts_over_tls_and_no_scripts() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = Sekisho::builder()
        .cheap_hashes()
        .mail(&mail)
        .upstream(&upstream.url())
        .tls(&["app.test"])
        .user("alice", &["--email", "alice@example.com"])
        .clock()
        .start();
    let mut alice = Client::tls(&gate, "app.test");
    let mut lines = Vec::new();
    let mut note = |answer: Response| {
        lines.extend(answer.all("set-cookie").into_iter().map(str::to_owned));
        answer
    };
    note(alice.get("/"));
    note(alice.get("/.sekisho/login?lang=ja"));
    note(alice.get("/.sekisho/login?lang=en"));
    let page = note(alice.get("/.sekisho/login?return_to=%2Forders"));
    let form = form_with(&page, "password").with("login", "alice");
    note(alice.send(&form.clone().with("password", "Wrong-horse-8")));
    note(alice.send(&form.with("password", PASSWORD)));
    let page = note(alice.get("/.sekisho/enrol"));
    let key = key_of(&page);
    gate.secrets().add(&key);
    note(alice.send(&form_with(&page, "code").with("code", "000000")));
    let page = note(alice.get("/.sekisho/enrol"));
    note(alice.send(&form_with(&page, "code").with("code", &gate.code(&key)).ticked("remember")));
    let page = note(alice.get("/.sekisho/enrol/recovery-codes"));
    note(alice.send(&form_to(&page, "/enrol/recovery-codes")));
    assert!(alice.cookie("session").is_some() && alice.cookie("device").is_some());
    // Given again, with another value for the session.
    gate.advance(std::time::Duration::from_secs(600));
    let page = note(alice.get("/.sekisho/account/confirm?return_to=%2F.sekisho%2Faccount"));
    note(alice.send(&form_with(&page, "password").with("password", PASSWORD)));
    let page = note(alice.get("/.sekisho/second-factor"));
    if asked_for(&page) == "code" {
        note(alice.send(&form_with(&page, "code").with("code", &gate.fresh_code(&key))));
    }
    let page = note(alice.get("/.sekisho/logout"));
    note(alice.send(&form_to(&page, "/logout")));
    assert!(alice.cookie("session").is_none());
    // A forgotten password: the link's value goes from the address into a cookie, and out of it.
    ask_for_a_link(&gate, "alice");
    let link = link_to(&gate, &mail, "alice@example.com");
    note(alice.get(&link));
    let page = note(alice.open("/.sekisho/password/reset"));
    let new = "Quiet-river-17";
    gate.secrets().add(new);
    note(alice.send(&form_with(&page, "again").with("new", new).with("again", new)));
    // A programme's.
    let mut script = Client::tls(&gate, "app.test");
    note(script.post_json("/.sekisho/api/login", &serde_json::json!({"login": "alice", "password": new})));

    let mut seen = BTreeSet::new();
    for line in &lines {
        let (pair, attributes) = line.split_once(';').expect(line);
        let (name, value) = pair.split_once('=').expect(line);
        let kind = name.strip_prefix("__Host-sekisho-").unwrap_or_else(|| panic!("{line}"));
        seen.insert(kind.to_owned());
        let attributes: Vec<&str> = attributes.split(';').map(str::trim).collect();
        let has = |attribute: &str| attributes.contains(&attribute);
        assert!(
            has("Secure") && has("HttpOnly") && has("Path=/") && (has("SameSite=Lax") || has("SameSite=Strict")),
            "{line}"
        );
        assert!(attributes.iter().all(|attribute| !attribute.to_lowercase().starts_with("domain")), "{line}");
        assert!(name.len() + value.len() <= 4096 && line.len() <= 4096, "{line}");
        assert!(value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{line}");
        let age = attributes.iter().find_map(|attribute| attribute.strip_prefix("Max-Age="));
        assert!(age.is_none_or(|age| age.parse::<u32>().unwrap() <= 400 * 24 * 3600), "{line}");
        assert!(attributes.iter().all(|attribute| !attribute.starts_with("Expires")), "{line}");
    }
    let all: BTreeSet<String> = ["session", "device", "flow", "csrf", "reset", "language"].map(str::to_owned).into();
    assert_eq!(seen, all, "the way leads past all of them: {lines:#?}");
}
