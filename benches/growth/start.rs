//! How soon a gateway answers after its start.

use std::time::{Duration, Instant};

use super::contestant::{gateway, tool, value};
use super::filling::{ACCOUNTS, Full, MANY, fill};
use crate::harness::{Conn, Sekisho, poll};

const STARTS: usize = 5;

type Fill<'a> = &'a dyn Fn(&Sekisho);

pub fn measure(full: &Full) {
    let tool = tool();
    println!(
        "\n| accounts | sessions | store MiB | ready in s, median of {STARTS} (lowest–highest) |\n| --- | --- | --- | --- |"
    );
    let fills: [(usize, usize, Fill<'_>); 2] =
        [(100, 1000, &|gate: &Sekisho| fill(gate, 100, 1000)), (ACCOUNTS, MANY, &|gate: &Sekisho| full.fill(gate))];
    for (accounts, sessions, fill) in fills {
        let mut gate = gateway().set("server.workers", "2").started_by(&[]).upstream(&tool.url()).prepare();
        fill(&gate);
        let mut took: Vec<Duration> = Vec::new();
        for _ in 0..STARTS {
            let began = Instant::now();
            gate.serve();
            let request = format!(
                "GET /orders/1 HTTP/1.1\r\nHost: {}\r\nCookie: sekisho-session={}\r\nConnection: close\r\n\r\n",
                gate.address(),
                value(sessions / 2)
            );
            let answered = poll(Duration::from_secs(60), || {
                let mut conn = Conn::plain(gate.address());
                conn.try_send(request.as_bytes()).ok()?;
                conn.read_response(false).filter(|answer| answer.status == 200)
            });
            took.push(began.elapsed());
            assert!(answered.is_some(), "nobody is let through");
            gate.stop();
        }
        took.sort_unstable();
        let seconds = |time: Option<&Duration>| time.copied().unwrap_or_default().as_secs_f64();
        println!(
            "| {accounts} | {sessions} | {} | {:.2} ({:.2}–{:.2}) |",
            size(&gate.path("store")) / 1024 / 1024,
            seconds(took.get(STARTS / 2)),
            seconds(took.first()),
            seconds(took.last()),
        );
    }
}

fn size(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries.map(|entry| entry.metadata().map_or(0, |about| if about.is_file() { about.len() } else { 0 })).sum()
}
