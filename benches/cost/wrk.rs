//! Requests by wrk, over connections that stay open.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use super::contestant::OURS;
use super::cpu;

/// Connections that stay open.
pub const CONNECTIONS: &str = "64";
/// What [`play`] returns.
pub const COLUMNS: &[(&str, usize)] =
    &[("CPU µs/request", 1), ("requests/s", 0), ("p50 ms", 2), ("p99 ms", 2), ("MiB", 0)];

/// Has these processes at this address asked by a script, which prints a line of figures at its end ([`DONE`]), for so many seconds.
pub fn play(script: &str, address: SocketAddr, processes: &[u32], seconds: u32) -> Vec<f64> {
    let file = tempfile::NamedTempFile::with_suffix(".lua").unwrap();
    std::fs::write(file.path(), script.to_owned() + DONE).unwrap();
    let before = cpu::of(processes);
    let output = Command::new("taskset")
        .args(["-c", OURS, "wrk", "--threads", "1", "--connections", CONNECTIONS, "--timeout", "10"])
        .args(["--duration", &format!("{seconds}s"), "--script"])
        .arg(file.path())
        .arg(format!("http://{address}/"))
        .output()
        .unwrap();
    let taken = cpu::of(processes).saturating_sub(before);
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("figures "));
    let fields: Vec<f64> =
        line.unwrap_or_else(|| panic!("{text}\n{output:?}")).split(' ').map(|field| field.parse().unwrap()).collect();
    let [requests, microseconds, bytes, broken, refused, p50, p99] = fields[..] else { panic!("{text}") };
    assert!(broken == 0.0 && refused == 0.0, "{broken} connections broke, {refused} answers were no 200");
    assert!(bytes / requests > 1024.0, "an answer was less than the tool's");
    let rate = requests / Duration::from_micros(microseconds as u64).as_secs_f64();
    let cpu = taken.as_secs_f64() * 1e6 / requests;
    vec![cpu, rate, p50 / 1000.0, p99 / 1000.0, cpu::mebibytes(processes)]
}

/// The end of each script.
const DONE: &str = r#"
function done(summary, latency)
  local errors = summary.errors
  print(string.format("figures %d %d %d %d %d %d %d", summary.requests, summary.duration, summary.bytes,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status, latency:percentile(50), latency:percentile(99)))
end
"#;
