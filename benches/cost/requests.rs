//! Requests for 1 KiB over connections that stay open: over HTTP/1.1 by wrk, over TLS and HTTP/2 by h2load.

use std::process::Command;

use super::contestant::{Contestant, OURS, caddy, caddy_asks, nginx, nginx_asks, pingora, sekisho};
use super::part::{MEASURES, Part};
use super::table::Table;
use super::wrk::{self, COLUMNS, CONNECTIONS};
use super::{bare, cpu};

const COMPARED: &[usize] = &[0, 3];

/// A thousand people, each with a session.
pub const PLAIN: Part = Part {
    table: Table { title: "", columns: COLUMNS, compared: COMPARED, measures: MEASURES },
    contestants: &[
        ("nginx", nginx),
        ("nginx + auth_request", nginx_asks),
        ("caddy", caddy),
        ("caddy + forward_auth", caddy_asks),
        ("pingora", |name| pingora(name, bare::PLAIN)),
        ("pingora, timed", |name| pingora(name, bare::TIMED)),
        ("sekisho", |name| sekisho(name, |builder| builder.set("log.access", "off"))),
        ("sekisho, access log", |name| sekisho(name, |builder| builder.set("log.access", "json"))),
    ],
    play: by_script,
};

/// The same thousand people, with the embedded store and with a database: all of them are known from memory.
pub const ENGINES: Part = Part {
    table: Table { title: "store", columns: COLUMNS, compared: COMPARED, measures: &["sled"] },
    contestants: &[
        ("sled", |name| sekisho(name, |builder| builder.set("log.access", "off"))),
        ("postgres", |name| sekisho(name, |builder| builder.set("log.access", "off").shared_database())),
    ],
    play: by_script,
};

/// One person, as h2load says the same in each request.
pub const TLS: Part = Part {
    table: Table { title: "TLS, HTTP/2", columns: COLUMNS, compared: COMPARED, measures: MEASURES },
    contestants: &[
        ("pingora", |name| pingora(name, bare::TLS)),
        ("sekisho", |name| sekisho(name, |builder| builder.set("log.access", "off").tls(&["app.test"]))),
    ],
    play: by_h2load,
};

fn by_script(contestant: &Contestant, seconds: u32) -> Vec<f64> {
    wrk::play(&contestant.script(), contestant.address, &contestant.processes, seconds)
}

fn by_h2load(contestant: &Contestant, seconds: u32) -> Vec<f64> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let before = cpu::of(&contestant.processes);
    let output = Command::new("taskset")
        .args(["-c", OURS, "h2load", "--threads", "1", "--clients", CONNECTIONS, "--max-concurrent-streams", "1"])
        .args(["--duration", &seconds.to_string(), "--connect-to", &contestant.address.to_string()])
        .args(["--header", &format!("cookie: {}", contestant.cookies[0]), "--header", "remote-user: forged"])
        .args(["--header", "accept: text/html", "--header", "user-agent: Mozilla/5.0", "--log-file"])
        .arg(log.path())
        .arg(format!("https://localhost:{}/orders/1", contestant.address.port()))
        .output()
        .unwrap();
    let taken = cpu::of(&contestant.processes).saturating_sub(before);
    // Each line: when it was sent, the status, and microseconds until its answer was there.
    let text = std::fs::read_to_string(log.path()).unwrap();
    let mut took = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [_, status, microseconds] = fields[..] else { panic!("{line}") };
        assert_eq!(status, "200", "{}: {}", contestant.name, String::from_utf8_lossy(&output.stdout));
        took.push(microseconds.parse::<f64>().unwrap());
    }
    assert!(!took.is_empty(), "{}: {output:?}", contestant.name);
    took.sort_by(f64::total_cmp);
    let (count, at) = (took.len(), |share: f64| took[(took.len() as f64 * share) as usize] / 1000.0);
    let cpu = taken.as_secs_f64() * 1e6 / count as f64;
    vec![cpu, count as f64 / f64::from(seconds), at(0.5), at(0.99), cpu::mebibytes(&contestant.processes)]
}
