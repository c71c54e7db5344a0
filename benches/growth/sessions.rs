//! A thousand sessions in the store, and a million: with the same thousand people at work, and with all of them.
//!
//! These are two comparisons. Whoever is at work for the first time in a minute and a half has that written to the store; with a million by turns
//! that is a write for most requests, and it goes on while the other one is asked.

use super::contestant::{Contestant, Load, compare, gateway, tool};
use super::filling::{Full, MANY, fill};
use crate::harness::Sekisho;

const FEW: usize = 1000;
const FEWEST: &str = "a thousand stored";
/// Until the thousand are known.
const START: u32 = 5;
/// Until nearly all of a million sessions have been asked with once.
const WARM: u32 = 100;

/// The same thousand people again and again.
pub fn of_whom_few_work(full: &Full) {
    beside_few(full, "a million stored, a thousand at work", the_same(), START);
}

/// All of them by turns, from a place that is another one in each round.
pub fn who_all_work(full: &Full) {
    let load =
        Load { session: format!("at % {MANY}"), path: "\"/orders/1\"".into(), from: format!("math.random({MANY})") };
    let warm = std::env::var("GROWTH_WARM").ok().and_then(|text| text.parse().ok()).unwrap_or(WARM);
    beside_few(full, "a million stored, all at work", load, warm);
}

fn the_same() -> Load {
    Load { session: format!("at % {FEW}"), path: "\"/orders/1\"".into(), from: "0".into() }
}

fn beside_few(full: &Full, name: &'static str, load: Load, warm: u32) {
    let tool = tool();
    let contestant = |name, fill: &dyn Fn(&Sekisho), load: Load| {
        let gate = gateway().upstream(&tool.url()).prepare();
        fill(&gate);
        Contestant::of(name, gate, load)
    };
    let few = contestant(FEWEST, &|gate: &Sekisho| fill(gate, FEW / 10, FEW), the_same());
    let many = contestant(name, &|gate: &Sekisho| full.fill(gate), load);
    many.settle();
    // From the beginning, so that each is read once.
    many.play(warm);
    compare(&[FEWEST], &[few, many]);
}
