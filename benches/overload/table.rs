//! The figures, for people.

use std::fmt::Write;
use std::time::Duration;

use super::round::Row;

/// All rows, as a table in Markdown.
pub fn of(rows: &[Row]) -> String {
    let mut text = String::from(
        "\n| attack | p99 idle | p99 under attack | ratio | memory before | growth | what the attackers got | alice's faults |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        let (idle, attacked) = (p99(&row.idle), p99(&row.attacked));
        let gains: Vec<String> = row.gains.0.iter().map(|(what, count)| format!("{what}: {count}")).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.2} | {} | {} | {} | {} of {} |",
            row.name,
            milliseconds(idle),
            milliseconds(attacked),
            attacked.as_secs_f64() / idle.as_secs_f64().max(f64::EPSILON),
            mebibytes(row.before),
            mebibytes(row.most.saturating_sub(row.before)),
            gains.join(", "),
            row.faults.len(),
            row.idle.len() + row.attacked.len(),
        );
        for fault in row.faults.iter().take(3) {
            eprintln!("{}: {fault}", row.name);
        }
    }
    text
}

/// The 99th percentile; zero of nothing.
pub fn p99(all: &[Duration]) -> Duration {
    let mut sorted = all.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * 99).div_ceil(100);
    sorted.get(at.saturating_sub(1)).copied().unwrap_or_default()
}

/// For people.
pub fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

#[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}
