//! The CPU time of processes, as the kernel counts it.

use std::collections::BTreeMap;
use std::time::Duration;

/// What these processes and all that descend from them have taken so far, with those that have ended. The kernel counts in hundredths of a
/// second.
pub fn of(roots: &[u32]) -> Duration {
    Duration::from_millis(sum(roots, |process| process.ticks) * 1000 / rustix::param::clock_ticks_per_second())
}

/// The memory that they hold, in bytes.
fn resident(roots: &[u32]) -> u64 {
    sum(roots, |process| process.pages) * rustix::param::page_size() as u64
}

/// The same in MiB.
pub fn mebibytes(roots: &[u32]) -> f64 {
    resident(roots) as f64 / (1024.0 * 1024.0)
}

fn sum(roots: &[u32], figure: fn(&Process) -> u64) -> u64 {
    let all = processes();
    let mut wanted: Vec<u32> = roots.to_vec();
    let mut sum = 0;
    while let Some(id) = wanted.pop() {
        sum += all.get(&id).map_or(0, figure);
        wanted.extend(all.iter().filter(|(_, process)| process.parent == id).map(|(child, _)| *child));
    }
    sum
}

struct Process {
    parent: u32,
    ticks: u64,
    pages: u64,
}

fn processes() -> BTreeMap<u32, Process> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter_map(|id| Some((id, process(id)?))).collect()
}

/// See proc(5), `/proc/[pid]/stat`: what comes behind the name, whose parentheses may hold anything. A child's time is its parent's when that has
/// waited for its end.
fn process(id: u32) -> Option<Process> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Process {
        parent: fields.get(1)?.parse().ok()?,
        ticks: (11..=14).map(number).sum::<Option<u64>>()?,
        pages: number(21)?,
    })
}
