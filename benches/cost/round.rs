//! Rounds: each contestant for some seconds, then the next one.

use std::process::Command;
use std::time::Duration;

use super::contestant::{Contestant, OURS};
use super::cpu;

/// Connections that stay open.
const CONNECTIONS: u32 = 64;

/// What a contestant came to in one round.
#[derive(Clone, Copy)]
pub struct Figures {
    /// Microseconds of CPU for each request.
    pub cpu: f64,
    /// Requests in a second.
    pub rate: f64,
    /// Milliseconds.
    pub p50: f64,
    pub p99: f64,
}

/// A contestant's rounds.
pub struct Row {
    pub name: &'static str,
    pub rounds: Vec<Figures>,
    /// Bytes, at the end.
    pub memory: u64,
}

/// Plays them all.
pub fn all(contestants: &[Contestant]) -> Vec<Row> {
    let number = |name: &str, usual: u32| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (rounds, seconds) = (number("COST_ROUNDS", 5), number("COST_SECONDS", 6));
    let mut rows: Vec<Row> =
        contestants.iter().map(|contestant| Row { name: contestant.name, rounds: vec![], memory: 0 }).collect();
    // Pools fill, and caches.
    for contestant in contestants {
        play(contestant, 1);
    }
    for round in 1..=rounds {
        for (contestant, row) in contestants.iter().zip(&mut rows) {
            let figures = play(contestant, seconds);
            eprintln!("round {round}: {:22} {:6.2} µs, p99 {:.2} ms", row.name, figures.cpu, figures.p99);
            row.rounds.push(figures);
            row.memory = cpu::resident(&contestant.processes);
        }
    }
    rows
}

fn play(contestant: &Contestant, seconds: u32) -> Figures {
    let script = tempfile::NamedTempFile::with_suffix(".lua").unwrap();
    std::fs::write(script.path(), contestant.script()).unwrap();
    let before = cpu::of(&contestant.processes);
    let output = Command::new("taskset")
        .args(["-c", OURS, "wrk", "--threads", "1", "--connections", &CONNECTIONS.to_string()])
        .args(["--duration", &seconds.to_string(), "--timeout", "10", "--script"])
        .arg(script.path())
        .arg(format!("http://{}/", contestant.address))
        .output()
        .unwrap();
    let taken = cpu::of(&contestant.processes).saturating_sub(before);
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("figures "));
    let fields: Vec<f64> =
        line.unwrap_or_else(|| panic!("{text}\n{output:?}")).split(' ').map(|field| field.parse().unwrap()).collect();
    let [requests, microseconds, bytes, broken, refused, p50, p99] = fields[..] else { panic!("{text}") };
    let name = contestant.name;
    assert!(broken == 0.0 && refused == 0.0, "{name}: {broken} connections broke, {refused} answers were no 200");
    assert!(bytes / requests > 1024.0, "{name} answered with less than the tool's answer");
    Figures {
        cpu: taken.as_secs_f64() * 1e6 / requests,
        rate: requests / Duration::from_micros(microseconds as u64).as_secs_f64(),
        p50: p50 / 1000.0,
        p99: p99 / 1000.0,
    }
}
