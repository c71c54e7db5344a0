//! What the gateway has matched is what servers understand of what it forwards.
//!
//! Odd paths are sent to the gateway. Where one passes, the request that reached the upstream is given, byte for byte, to
//! Tomcat, nginx and PHP, and each says which path it has read. That path must lead to the very route that the gateway chose:
//! then nothing is reached by a route of weaker rules, and nothing lies outside of what was allowed.

mod grammar;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;

use percent_encoding::percent_decode_str;

use crate::harness::readers::{Reader, Readers};
use crate::harness::{Client, Conn, Recorder, Response, Sekisho};
use grammar::Ask;

/// A host where little is open, and one where little is closed.
const HOST: &str = "app.test";
const OPEN_HOST: &str = "open.test";

/// A route of the gateway.
#[derive(Debug, PartialEq, Eq)]
struct Rule {
    name: &'static str,
    host: &'static str,
    path: &'static str,
    public: bool,
    /// Its further keys.
    more: &'static str,
}

const fn rule(name: &'static str, host: &'static str, path: &'static str, public: bool, more: &'static str) -> Rule {
    Rule { name, host, path, public, more }
}

const READING: &str = "methods: [GET]";
const SLASHES: &str = "allow_encoded_slash: true";

const RULES: [Rule; 13] = [
    rule("public", HOST, "/public/", true, ""),
    rule("inner", HOST, "/public/inner", false, ""),
    rule("admin", HOST, "/admin", false, "allow: {groups: [ops]}"),
    rule("open", HOST, "/admin/open/", true, ""),
    rule("reading", HOST, "/shop", true, READING),
    rule("shop", HOST, "/shop", false, ""),
    rule("queues", HOST, "/queues", true, SLASHES),
    rule("locked", HOST, "/queues/locked", false, SLASHES),
    rule("rest", HOST, "/", false, ""),
    rule("everything", OPEN_HOST, "/", true, SLASHES),
    rule("closed", OPEN_HOST, "/admin", false, ""),
    rule("closed-reading", OPEN_HOST, "/public", false, READING),
    rule("within", OPEN_HOST, "/admin/open/", true, SLASHES),
];

/// The route for a path as a server has read it: written without a look at the product's own search.
fn route_of(host: &str, method: &str, path: &[u8]) -> &'static Rule {
    let covers = |rule: &Rule| match path.strip_prefix(rule.path.as_bytes()) {
        Some(rest) => rest.is_empty() || rest.starts_with(b"/") || rule.path.ends_with('/'),
        None => false,
    };
    let fits = |rule: &&Rule| rule.host == host && covers(rule) && (rule.more != READING || method == "GET");
    let found = RULES.iter().filter(fits).max_by_key(|rule| (rule.path.len(), rule.more == READING));
    found.unwrap_or_else(|| panic!("no route for {}", String::from_utf8_lossy(path)))
}

/// A gateway with these routes, and a person for whom all of them are open.
struct Gate {
    gate: Sekisho,
    cookies: String,
    _upstreams: Vec<Recorder>,
}

/// What the gateway did.
enum Outcome {
    Refused(u16),
    /// The route it matched, and the head that the upstream got.
    Passed(&'static Rule, String),
}

impl Gate {
    fn start() -> Self {
        let mut builder = Sekisho::builder()
            .cheap_hashes()
            .set("second_factor.policy", "off")
            .set("log.access", "off")
            .user("alice", &["--group", "ops"])
            .route("{name: entrance, upstream: UPSTREAM}", "http://127.0.0.1:9");
        let mut upstreams = Vec::new();
        for Rule { name, host, path, public, more } in &RULES {
            let upstream = Recorder::with(move |request, stream| {
                let head = &request.head;
                let answer = format!("HTTP/1.1 200 OK\r\nX-Matched: {name}\r\nContent-Length: {}\r\n\r\n", head.len());
                stream.write_all(&[answer.as_bytes(), head].concat()).is_ok()
            });
            let access = if *public { "public" } else { "authenticated" };
            let route =
                format!("{{name: {name}, host: {host}, path: {path}, access: {access}, upstream: UPSTREAM, {more}}}");
            builder = builder.route(&route, &upstream.url());
            upstreams.push(upstream);
        }
        let gate = builder.start();
        let mut alice = Client::new(&gate);
        alice.sign_in_by_password_alone(&gate);
        let cookies = alice.cookie_header();
        Self { gate, cookies, _upstreams: upstreams }
    }

    /// Sends it as a stranger, and where the gateway asks who that is, as Alice.
    fn ask(&self, ask: &Ask) -> Outcome {
        match self.ask_with(ask, "") {
            Outcome::Refused(401 | 403) => match self.ask_with(ask, &self.cookies) {
                Outcome::Passed(rule, head) => {
                    assert!(!rule.public, "{ask:?} came through {} for Alice alone", rule.name);
                    Outcome::Passed(rule, head)
                }
                refused @ Outcome::Refused(_) => refused,
            },
            Outcome::Passed(rule, head) => {
                assert!(rule.public, "a stranger came through {}: {ask:?}", rule.name);
                Outcome::Passed(rule, head)
            }
            refused @ Outcome::Refused(_) => refused,
        }
    }

    fn ask_with(&self, ask: &Ask, cookies: &str) -> Outcome {
        let mut conn = Conn::plain(self.gate.address());
        let _ = conn.try_send(raw(ask, cookies).as_bytes());
        let Some(response) = conn.read_response(false) else { return Outcome::Refused(0) };
        match matched(&response) {
            Some(rule) => Outcome::Passed(rule, response.text()),
            None => Outcome::Refused(response.status),
        }
    }
}

fn matched(response: &Response) -> Option<&'static Rule> {
    let name = response.header("x-matched")?;
    RULES.iter().find(|rule| rule.name == name)
}

/// The request as it stands, for the gateway or for a server without it.
fn raw(Ask { method, host, target }: &Ask, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n{headers}\r\n")
}

/// Every folder that a rule is about.
fn readers() -> Readers {
    let folders: Vec<&str> = RULES.iter().map(|rule| rule.path).collect();
    Readers::start(&folders)
}

fn is_below_admin(path: &[u8]) -> bool {
    path == b"/admin" || path.starts_with(b"/admin/")
}

/// What is wrong with how this server has read what the gateway forwarded, if anything is.
fn fault(reader: &Reader, ask: &Ask, rule: &'static Rule, head: &str) -> Option<String> {
    let reading = reader.read(head)?;
    let read = route_of(ask.host, ask.method, &reading.path);
    let what = || {
        let line = head.lines().next().unwrap_or_default();
        format!(
            "{} {ask:?}\n  forwarded: {line}\n  matched {}, read by {}: {reading:?}",
            read.name, rule.name, reader.name
        )
    };
    // A folder's own name runs the file within it: `/admin/open` is matched as a page of `/admin`, which is the stricter.
    let is_file = reader.name == "php's choice of a file";
    if read != rule && !(is_file && read.public && !rule.public) {
        return Some(format!("another route, {}", what()));
    }
    if reading.place.starts_with("/admin") && !rule.path.starts_with("/admin") {
        return Some(format!("another place, {}", what()));
    }
    let target = head.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let plainly_read = match reader.name {
        "nginx" | "php" => decoded(path),
        "tomcat" => decoded(&without_parameters(path)),
        _ => return None,
    };
    // Tomcat has text where others have bytes.
    let comparable = reader.name != "tomcat" || std::str::from_utf8(&plainly_read).is_ok();
    (comparable && plainly_read != reading.path).then(|| format!("more than decoding was left to do, {}", what()))
}

/// A path with its escapes decoded and encoded slashes merged with their neighbours, and no further thought.
fn decoded(path: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = percent_decode_str(path).collect();
    bytes.dedup_by(|one, other| (*one, *other) == (b'/', b'/'));
    bytes
}

fn without_parameters(path: &str) -> String {
    path.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect::<Vec<_>>().join("/")
}

#[test]
fn servers_read_the_path_that_was_matched() {
    let long = std::env::var_os("SEKISHO_LONG_TESTS").is_some();
    let count = if long { 20_000 } else { 800 };
    let seed = match std::env::var("SEKISHO_TARGET_SEED") {
        Ok(seed) => seed.parse().expect("SEKISHO_TARGET_SEED is a number"),
        Err(_) => RandomState::new().hash_one(count),
    };
    println!("SEKISHO_TARGET_SEED={seed}, {count} requests");
    let (gate, readers) = (Gate::start(), readers());
    let mut tally: BTreeMap<String, u32> = BTreeMap::new();
    let mut faults = Vec::new();
    let mut led_astray = 0;
    for ask in grammar::asks(seed, count) {
        let outcome = gate.ask(&ask);
        match &outcome {
            Outcome::Refused(status) => *tally.entry(status.to_string()).or_default() += 1,
            Outcome::Passed(rule, head) => {
                *tally.entry(rule.name.to_owned()).or_default() += 1;
                faults.extend(readers.all().iter().filter_map(|reader| fault(reader, &ask, rule, head)));
            }
        }
        // Without the gateway, it may look like a public page and be read as one of the others.
        let is_public = matches!(outcome, Outcome::Passed(rule, _) if rule.public);
        if ask.host == HOST && ask.target.starts_with("/public/") && !is_public {
            let read = |name| readers.named(name).read(raw(&ask, ""));
            let is_admin = |name| read(name).is_some_and(|reading| is_below_admin(&reading.path));
            led_astray += usize::from(["tomcat", "nginx", "php"].into_iter().any(is_admin));
        }
    }
    println!("{tally:?}; {led_astray} look public, were not taken for it, and would have led a server astray");
    assert!(faults.is_empty(), "seed {seed}, {} faults:\n{}", faults.len(), faults.join("\n"));
    // Were everything refused, or everything harmless, this would have shown nothing.
    for rule in &RULES {
        assert!(tally.contains_key(rule.name), "seed {seed}: nothing came through {}: {tally:?}", rule.name);
    }
    assert!(led_astray > 0, "seed {seed}: no path would have led a server astray");
}

/// Each of these servers can be led astray by a path that looks public, so the test above can fail.
#[test]
fn without_the_gateway_each_server_is_led_astray() {
    const EVERY: &[&str] = &["tomcat", "nginx", "php"];
    let (gate, readers) = (Gate::start(), readers());
    for (target, names) in [
        ("/public/../admin/x", EVERY),
        ("/public/%2e%2E/admin/x", EVERY),
        ("/public/./..//admin/x", EVERY),
        ("/public/..;/admin/x", &["tomcat", "tomcat that decodes slashes and takes backslashes"]),
        ("/public/..;x=y/admin/x", &["tomcat"]),
        ("/public/..%2fadmin/x", &["nginx", "php", "tomcat that decodes slashes and takes backslashes"]),
        ("/public%2f..%2fadmin/x", &["nginx", "php"]),
        ("/public/..%5cadmin/x", &["tomcat that decodes slashes and takes backslashes"]),
        (
            "/public/..%3b/admin/x",
            &["nginx that writes the path anew for tomcat", "nginx that hands its $uri to tomcat"],
        ),
        ("/public/%252e%252e/admin/x", &["nginx that hands its $uri to tomcat"]),
        ("/public/../admin/", &["php's choice of a file"]),
        ("/admin/open/..%3fx", &["nginx that hands its $uri to tomcat"]),
    ] {
        let ask = Ask { method: "GET", host: HOST, target: target.to_owned() };
        for name in names {
            let reading = readers.named(name).read(raw(&ask, "")).unwrap_or_else(|| panic!("{name} refuses {target}"));
            assert!(is_below_admin(&reading.path), "{name} reads {target} as {reading:?}");
        }
        match gate.ask_with(&ask, "") {
            Outcome::Refused(_) => {}
            Outcome::Passed(rule, head) => panic!("{target} came through {}: {head}", rule.name),
        }
    }
}
