//! What whoever is on call looks at: `/metrics`, `/live` and `/ready` of the real binary, the dashboard and the documentation
//! that speak of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use promql_parser::parser::Expr;
use promql_parser::util::ExprVisitor;
use rustix::process::Signal;
use serde_json::Value as Json;

use crate::harness::mail::Behaviour;
use crate::harness::{Builder, Client, Conn, MailServer, PASSWORD, Recorder, Response, Sekisho, h2, wait_until};

const BOB: &str = "bob@example.com";

/// A gateway that has every kind of figure to tell: routes of each kind, TLS, mail, accounts.
fn builder(upstream: &Recorder, mail: &MailServer) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .mail(mail)
        .set("server.metrics", "\"127.0.0.1:0\"")
        .set("lockout.max_failures", "2")
        .tls(&["app.test"])
        .route("{name: shop, host: 127.0.0.1, upstream: UPSTREAM}", &upstream.url())
        .route("{name: open, host: 127.0.0.1, path: /open/, access: public, upstream: UPSTREAM}", &upstream.url())
        .route("{name: gone, host: 127.0.0.1, path: /gone/, access: public, upstream: UPSTREAM}", "http://127.0.0.1:9")
        .route("{name: shut, host: 127.0.0.1, path: /shut/, access: deny, upstream: UPSTREAM}", &upstream.url())
        .user("bob", &["--email", BOB, "--method", "mail", "--role", "admin"])
        .user("carol", &[])
}

fn ask(gate: &Sekisho, method: &str, path: &str) -> Response {
    let mut conn = Conn::plain(gate.metrics_address());
    conn.send(format!("{method} {path} HTTP/1.1\r\nHost: metrics\r\n\r\n"));
    if method == "HEAD" { conn.head_response() } else { conn.response() }
}

fn text(gate: &Sekisho) -> String {
    let answer = ask(gate, "GET", "/metrics");
    assert_eq!(answer.status, 200);
    answer.text()
}

/// Every sample by its name and labels, as they are written.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap_or_else(|error| panic!("{error}: {line}")))
    };
    lines.map(sample).collect()
}

/// Waits until each of these is so.
#[track_caller]
fn expect(gate: &Sekisho, expected: &[(&str, f64)]) {
    let mut missing = Vec::new();
    let all = crate::harness::poll(crate::harness::PATIENCE, || {
        let found = samples(&text(gate));
        missing = expected
            .iter()
            .filter(|(name, value)| found.get(*name) != Some(value))
            .map(|(name, value)| format!("{name}: {value} expected, {:?} found", found.get(*name)))
            .collect();
        missing.is_empty().then_some(())
    });
    assert!(all.is_some(), "{}", missing.join("\n"));
}

fn plain(gate: &Sekisho, host: &str, target: &str) -> u16 {
    let mut conn = Conn::plain(gate.address());
    conn.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n\r\n"));
    conn.response().status
}

/// Something of everything.
fn traffic(gate: &Sekisho, mail: &MailServer) {
    for (host, target, status) in [
        ("127.0.0.1", "/", 401),
        ("127.0.0.1", "/open/a", 200),
        ("127.0.0.1", "/open/b", 200),
        ("127.0.0.1", "/open/%zz", 400),
        ("127.0.0.1", "/gone/x", 502),
        ("127.0.0.1", "/shut/x", 403),
        ("elsewhere.test", "/x", 404),
        ("127.0.0.1", "/.sekisho/login", 200),
    ] {
        assert_eq!(plain(gate, host, target), status, "{host}{target}");
    }
    // Refused by the listener, before anything else sees it.
    let mut broken = Conn::plain(gate.address());
    broken.send("GET /open/c HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(broken.response().status, 400);
    // No TLS at all.
    Conn::plain(gate.tls_address()).send("GET / HTTP/1.1\r\n\r\n").until_close();
    for _ in 0..2 {
        Client::new(gate).give_password("carol", "not-the-password");
    }
    let mut bob = Client::new(gate);
    let page = bob.give_password("bob", PASSWORD);
    let code = mail.code_to(gate, BOB);
    bob.give_code(&page, &code, true);
    assert_eq!(bob.get("/orders").status, 200);
}

#[test]
fn known_traffic_is_counted_by_route_and_outcome_and_nobody_is_named() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail).start();
    traffic(&gate, &mail);
    let requests =
        |route: &str, outcome: &str| format!("sekisho_requests_total{{outcome=\"{outcome}\",route=\"{route}\"}}");
    let counted = [
        (requests("open", "forwarded_2xx"), 2.0),
        (requests("gone", "upstream_unreachable"), 1.0),
        (requests("shut", "denied"), 1.0),
        (requests("(none)", "not_found"), 1.0),
        (requests("(none)", "bad_request"), 2.0),
        (requests("open", "upstream_unreachable"), 0.0),
        ("sekisho_request_duration_seconds_count{route=\"open\"}".to_owned(), 2.0),
        ("sekisho_upstream_first_byte_seconds_count{route=\"open\"}".to_owned(), 2.0),
        ("sekisho_upstream_first_byte_seconds_count{route=\"gone\"}".to_owned(), 0.0),
        ("sekisho_tls_handshakes_failed_total{reason=\"error\"}".to_owned(), 1.0),
        ("sekisho_logins_total{result=\"success\"}".to_owned(), 1.0),
        ("sekisho_logins_total{result=\"failure\"}".to_owned(), 2.0),
        ("sekisho_lockouts_total".to_owned(), 1.0),
        ("sekisho_audit_events_total{event=\"lockout\",result=\"failure\"}".to_owned(), 1.0),
        ("sekisho_mails_total{kind=\"login_code\",result=\"delivered\"}".to_owned(), 1.0),
        ("sekisho_mails_total{kind=\"login_code\",result=\"failed\"}".to_owned(), 0.0),
        ("sekisho_mails_waiting".to_owned(), 0.0),
        ("sekisho_sessions".to_owned(), 1.0),
        ("sekisho_devices".to_owned(), 1.0),
        ("sekisho_accounts".to_owned(), 2.0),
        ("sekisho_accounts_by_state{state=\"locked\"}".to_owned(), 1.0),
        ("sekisho_admins".to_owned(), 1.0),
        ("sekisho_hash_duration_seconds_count".to_owned(), 3.0),
        ("sekisho_hash_waiting".to_owned(), 0.0),
        ("sekisho_requests_in_flight".to_owned(), 0.0),
        ("sekisho_store_up".to_owned(), 1.0),
        ("sekisho_audit_file_lost_events_total".to_owned(), 0.0),
    ];
    let counted: Vec<(&str, f64)> = counted.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    expect(&gate, &counted);

    let text = text(&gate);
    let found = samples(&text);
    let above = |name: &str, least: f64| {
        let value = found.get(name).unwrap_or_else(|| panic!("{name} in:\n{text}"));
        assert!(*value >= least, "{name}: {value}");
    };
    above(&requests("shop", "challenge"), 2.0);
    above(&requests("shop", "forwarded_2xx"), 1.0);
    above(&requests("(portal)", "page"), 3.0);
    above("sekisho_store_commit_duration_seconds_count", 3.0);
    above("sekisho_store_sync_duration_seconds_count", 1.0);
    above("sekisho_store_size_bytes", 1000.0);
    above("sekisho_connections_limit", 16.0);
    above("sekisho_connections_accepted_total", 10.0);
    above("process_resident_memory_bytes", 1e6);
    above("process_open_fds", 10.0);
    above("process_start_time_seconds", 1.6e9);
    let certificate = |found: &&String| found.starts_with("sekisho_certificate_expiry_timestamp_seconds{");
    assert_eq!(found.keys().filter(certificate).count(), 2, "{text}");
    let now = gate.unix_now() as f64;
    assert!(found.iter().filter(|(name, _)| certificate(name)).all(|(_, expiry)| *expiry > now));
    // An upstream is named as the configuration names it; nobody else is.
    let told = |line: &&str| !line.starts_with("sekisho_upstream_") && !line.starts_with("# HELP ");
    let labels = text.lines().filter(told).collect::<Vec<_>>().join("\n");
    for word in ["bob", "carol", "example.com", "127.0.0.1", "/open", "orders", "elsewhere"] {
        assert!(!labels.contains(word), "{word} in:\n{labels}");
    }
}

#[test]
fn open_connections_and_failed_mails_are_counted_as_they_are() {
    let (upstream, mail) = (Recorder::silent(), MailServer::start());
    let gate = builder(&upstream, &mail).start();
    let mut waiting = Conn::plain(gate.address());
    waiting.send("GET /open/slow HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    let open = |protocol: &str| format!("sekisho_connections{{protocol=\"{protocol}\"}}");
    let handshake = Conn::plain(gate.tls_address());
    expect(
        &gate,
        &[("sekisho_requests_in_flight", 1.0), (&open("http1"), 1.0), (&open("handshake"), 1.0), (&open("http2"), 0.0)],
    );
    drop((waiting, handshake));
    mail.behave(Behaviour::Refuse);
    Client::new(&gate).give_password("bob", PASSWORD);
    expect(
        &gate,
        &[
            ("sekisho_requests_in_flight", 0.0),
            (&open("http1"), 0.0),
            (&open("handshake"), 0.0),
            ("sekisho_requests_total{outcome=\"client_gone\",route=\"open\"}", 1.0),
            ("sekisho_mails_total{kind=\"login_code\",result=\"failed\"}", 1.0),
        ],
    );
    let request = http::Request::get("https://app.test/x").body(bytes::Bytes::new()).unwrap();
    assert_eq!(h2::request(&gate, "app.test", request).status, 404);
    expect(&gate, &[("sekisho_requests_total{outcome=\"not_found\",route=\"(none)\"}", 1.0), (&open("http2"), 0.0)]);
}

#[test]
fn a_websocket_is_counted_as_one_and_its_time_is_no_measure() {
    let (upstream, mail) = (Recorder::echo(), MailServer::start());
    let gate = builder(&upstream, &mail).start();
    let mut socket = Conn::plain(gate.address());
    socket.send(
        "GET /open/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(socket.response().status, 101);
    let open = |protocol: &str| format!("sekisho_connections{{protocol=\"{protocol}\"}}");
    expect(&gate, &[(&open("websocket"), 1.0), (&open("http1"), 0.0), ("sekisho_requests_in_flight", 1.0)]);
    drop(socket);
    expect(&gate, &[(&open("websocket"), 0.0), (&open("http1"), 0.0), ("sekisho_requests_in_flight", 0.0)]);
    expect(&gate, &[("sekisho_request_duration_seconds_count{route=\"open\"}", 0.0)]);
}

#[test]
fn metrics_and_health_are_served_on_their_own_socket_and_on_no_other() {
    let upstream = Recorder::ok();
    let gate = Sekisho::builder()
        .set("server.metrics", "\"127.0.0.1:0\"")
        .upstream(&upstream.url())
        .user("keeper", &["--role", "admin"])
        .start();
    let metrics = ask(&gate, "GET", "/metrics");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let head = ask(&gate, "HEAD", "/metrics");
    assert_eq!((head.status, head.header("content-type")), (200, metrics.header("content-type")));
    for (method, path, status, said) in [
        ("GET", "/live", 200, "live\n"),
        ("GET", "/ready", 200, "ready\n"),
        ("HEAD", "/ready", 200, ""),
        ("GET", "/ready?verbose", 200, "ready\n"),
        ("POST", "/metrics", 405, "method not allowed\n"),
        ("GET", "/", 404, "not found\n"),
        ("GET", "/.sekisho/login", 404, "not found\n"),
    ] {
        let answer = ask(&gate, method, path);
        assert_eq!((answer.status, answer.text().as_str()), (status, said), "{method} {path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    // Over the gateway's own socket these are the tool's paths, behind the login.
    for path in ["/metrics", "/live", "/ready"] {
        assert_eq!(plain(&gate, "a", path), 401, "{path}");
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn without_the_key_nothing_is_served() {
    let gate = Sekisho::builder().upstream("http://127.0.0.1:9").user("keeper", &["--role", "admin"]).start();
    assert!(gate.logs().iter().all(|line| !line.contains("metrics are served")));
}

/// As many as are served at once, and none of them says anything.
#[test]
fn clients_that_are_silent_or_slow_keep_nobody_out_for_long() {
    let gate = Sekisho::builder()
        .set("server.metrics", "\"127.0.0.1:0\"")
        .upstream("http://127.0.0.1:9")
        .user("keeper", &["--role", "admin"])
        .start();
    let mut silent: Vec<Conn> = (0..40).map(|_| Conn::plain(gate.metrics_address())).collect();
    for slow in silent.iter_mut().step_by(2) {
        slow.send("GET /metrics HTTP/1.1\r\nHost:");
    }
    assert_eq!(ask(&gate, "GET", "/live").status, 200);
    assert!(silent.iter_mut().all(|conn| conn.closes_within(Duration::from_secs(20))));
    let mut long = Conn::plain(gate.metrics_address());
    let _ = long.try_send(&[b"GET /".as_slice(), &[b'a'; 100_000]].concat());
    assert_ne!(long.read_response(false).map(|answer| answer.status), Some(200));
}

#[test]
fn at_a_stop_ready_says_so_first_and_live_goes_on_until_the_end() {
    let upstream = Recorder::silent();
    let mut gate = Sekisho::builder()
        .set("server.metrics", "\"127.0.0.1:0\"")
        .set("server.shutdown_grace", "5s")
        .route("{name: open, access: public, upstream: UPSTREAM}", &upstream.url())
        .user("keeper", &["--role", "admin"])
        .start();
    assert_eq!(ask(&gate, "GET", "/ready").status, 200);
    let mut under_way = Conn::plain(gate.address());
    under_way.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    upstream.wait_for(1);
    gate.signal(Signal::TERM);
    let began = Instant::now();
    let stopping =
        wait_until("it is not ready", || Some(ask(&gate, "GET", "/ready")).filter(|answer| answer.status == 503));
    assert_eq!(stopping.text(), "not ready: it stops\n");
    assert_eq!(ask(&gate, "GET", "/live").status, 200);
    assert!(samples(&text(&gate)).contains_key("sekisho_requests_in_flight"));
    assert!(began.elapsed() < Duration::from_secs(5), "within the grace");
    let address = gate.metrics_address();
    assert!(gate.process().wait().success());
    assert!(std::net::TcpStream::connect(address).is_err());
}

/// Names of families, from the lines that tell their type.
fn families(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).map(str::to_owned).collect()
}

/// Whatever in a text looks like the name of a metric.
fn names_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_part(c));
    let is_name = |word: &&str| !["sekisho_", "process_"].contains(word);
    let ours = words.filter(|word| word.starts_with("sekisho_") || word.starts_with("process_"));
    ours.filter(is_name).map(str::to_owned).collect()
}

fn read(path: &str) -> String {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every string under one of these keys, wherever it stands.
fn strings_under(value: &Json, key: &str, found: &mut Vec<String>) {
    match value {
        Json::Object(object) => object.iter().for_each(|(name, value)| match value {
            Json::String(text) if name == key => found.push(text.clone()),
            _ => strings_under(value, key, found),
        }),
        Json::Array(items) => items.iter().for_each(|item| strings_under(item, key, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_and_the_documentation_name_what_is_served() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail).start();
    traffic(&gate, &mail);
    let text = text(&gate);
    let served = families(&text);
    let found = taken_apart(&text);
    let known = |name: &String| found.iter().any(|sample| sample.name == *name);

    let dashboard: Json = serde_json::from_str(&read("assets/grafana/sekisho.json")).unwrap();
    let mut queries = Vec::new();
    strings_under(&dashboard, "expr", &mut queries);
    assert!(queries.len() > 50, "the dashboard was not understood: {} queries", queries.len());
    let page = read("docs/monitoring.md");
    let alerts: serde_yaml::Value = serde_yaml::from_str(alert_rules(&page)).unwrap();
    let alerts = alerts["groups"][0]["rules"].as_sequence().unwrap();
    assert!(alerts.len() > 10);
    queries.extend(alerts.iter().map(|alert| alert["expr"].as_str().unwrap().to_owned()));
    for query in &queries {
        is_served(query, &found);
    }
    let mut variables = Vec::new();
    strings_under(&dashboard["templating"], "query", &mut variables);
    for variable in variables.iter().filter_map(|query| query.strip_prefix("label_values(")?.strip_suffix(')')) {
        let (name, label) = variable.split_once(", ").unwrap();
        let has = |sample: &Sample| sample.name == name && (label == "instance" || sample.labels.contains_key(label));
        assert!(found.iter().any(has), "{variable}");
    }

    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next());
    let described: Vec<String> = rows.map(str::to_owned).filter(|name| !names_in(name).is_empty()).collect();
    let named: BTreeSet<String> = described.iter().cloned().collect();
    assert_eq!(named.len(), described.len(), "a metric is described twice");
    assert_eq!(named.difference(&served).collect::<Vec<_>>(), Vec::<&String>::new(), "described and not served");
    assert_eq!(served.difference(&named).collect::<Vec<_>>(), Vec::<&String>::new(), "served and not described");
    let elsewhere: Vec<_> = names_in(&page).into_iter().filter(|name| !known(name) && !served.contains(name)).collect();
    assert!(elsewhere.is_empty(), "the page names {elsewhere:?}");
}

/// The block of YAML that has the alerts.
fn alert_rules(page: &str) -> &str {
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.into_iter().find(|block| block.starts_with("groups:")).expect("the page has alerts")
}

/// One line of `/metrics`, taken apart.
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
}

fn taken_apart(text: &str) -> Vec<Sample> {
    let sample = |written: String| {
        let (name, labels) = written.split_once('{').unwrap_or((&written, "}"));
        let pairs = labels.trim_end_matches('}').split("\",").filter_map(|pair| pair.split_once("=\""));
        let labels = pairs.map(|(label, value)| (label.to_owned(), value.trim_end_matches('"').to_owned()));
        Sample { name: name.to_owned(), labels: labels.collect() }
    };
    samples(text).into_keys().map(sample).collect()
}

/// Whether a query is one, and asks for nothing that is not there: each name, each label, and each value that it spells out.
#[track_caller]
fn is_served(query: &str, found: &[Sample]) {
    let filled =
        query.replace("$__rate_interval", "5m").replace("\"$instance\"", "\".*\"").replace("\"$route\"", "\".*\"");
    let parsed = promql_parser::parser::parse(&filled).unwrap_or_else(|error| panic!("{query}: {error}"));
    let mut selectors = Selectors::default();
    promql_parser::util::walk_expr(&mut selectors, &parsed).unwrap();
    assert!(!selectors.0.is_empty(), "no metric in {query}");
    for (name, matchers) in selectors.0 {
        let named: Vec<&Sample> = found.iter().filter(|sample| sample.name == name).collect();
        assert!(!named.is_empty() || name == "up", "{name} of {query} is not served");
        for (label, value) in matchers {
            // What Prometheus itself adds.
            if ["job", "instance"].contains(&label.as_str()) {
                continue;
            }
            for value in value.split('|') {
                let is_there =
                    |sample: &&Sample| sample.labels.get(&label).is_some_and(|found| value == ".*" || found == value);
                assert!(named.iter().any(is_there), "{label}={value} of {query} is not served");
            }
        }
    }
}

/// The metrics that a query names, with what it selects of them.
#[derive(Default)]
struct Selectors(Vec<(String, Vec<(String, String)>)>);

impl ExprVisitor for Selectors {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        let selector = match expr {
            Expr::VectorSelector(selector) => Some(selector),
            Expr::MatrixSelector(matrix) => Some(&matrix.vs),
            _ => None,
        };
        if let Some(selector) = selector {
            let matchers = selector.matchers.matchers.iter().map(|one| (one.name.clone(), one.value.clone()));
            self.0.push((selector.name.clone().unwrap_or_default(), matchers.collect()));
        }
        Ok(true)
    }
}
