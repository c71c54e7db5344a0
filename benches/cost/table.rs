//! The figures, for people.

use std::fmt::Write;

use super::round::{Figures, Row};

/// Whom the others are compared with, where they run.
const MEASURES: [&str; 2] = ["pingora", "nginx + auth_request"];

/// All rows, as a table in Markdown: medians, and ratios taken round by round, with their lowest and highest.
pub fn of(rows: &[Row]) -> String {
    let measures: Vec<&Row> = MEASURES.iter().filter_map(|name| rows.iter().find(|row| row.name == *name)).collect();
    let mut text = String::from("\n| | CPU µs/request | requests/s | p50 ms | p99 ms | MiB |");
    for measure in &measures {
        let _ = write!(text, " CPU : {} | p99 : {} |", measure.name, measure.name);
    }
    let _ = writeln!(text, "\n|{}", " --- |".repeat(6 + 2 * measures.len()));
    for row in rows {
        let middle = |pick: fn(&Figures) -> f64| median(row.rounds.iter().map(pick).collect());
        let (cpu, rate, p50, p99) =
            (middle(|one| one.cpu), middle(|one| one.rate), middle(|one| one.p50), middle(|one| one.p99));
        let memory = row.memory / 1024 / 1024;
        let _ = write!(text, "| {} | {cpu:.1} | {rate:.0} | {p50:.2} | {p99:.2} | {memory} |", row.name);
        for measure in &measures {
            let ratios = |pick: fn(&Figures) -> f64| {
                spread(row.rounds.iter().zip(&measure.rounds).map(|(one, other)| pick(one) / pick(other)).collect())
            };
            let _ = write!(text, " {} | {} |", ratios(|one| one.cpu), ratios(|one| one.p99));
        }
        text.push('\n');
    }
    text
}

fn spread(ratios: Vec<f64>) -> String {
    let (lowest, highest) = ratios.iter().fold((f64::MAX, 0.0_f64), |(low, high), one| (low.min(*one), high.max(*one)));
    format!("{:.2} ({lowest:.2}–{highest:.2})", median(ratios))
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}
