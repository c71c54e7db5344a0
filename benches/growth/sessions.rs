//! A thousand sessions in the store, and a million: with the same thousand people at work, and with all of them.
//!
//! These are two comparisons. Whoever is at work for the first time in a minute and a half has that written to the store; with a million by turns
//! that is a write for most requests, and it goes on while the other one is asked.

use super::contestant::{Contestant, Load, compare, gateway, tool};
use super::filling::{Full, MANY, fill};
use crate::harness::Sekisho;

const FEW: usize = 1000;
const FEWEST: &str = "a thousand stored";
/// How long it is asked at a time, until all who are at work are known.
const WARM: u32 = 5;

/// The same thousand people again and again.
pub fn of_whom_few_work(full: &Full) {
    beside_few(full, "a million stored, a thousand at work", the_same(), FEW);
}

/// All of them by turns, from a place that is another one in each round.
pub fn who_all_work(full: &Full) {
    let load =
        Load { session: format!("at % {MANY}"), path: "\"/orders/1\"".into(), from: format!("math.random({MANY})") };
    beside_few(full, "a million stored, all at work", load, MANY);
}

fn the_same() -> Load {
    Load { session: format!("at % {FEW}"), path: "\"/orders/1\"".into(), from: "0".into() }
}

fn beside_few(full: &Full, name: &'static str, load: Load, at_work: usize) {
    let tool = tool();
    let contestant = |name, fill: &dyn Fn(&Sekisho), load: Load| {
        let gate = gateway().upstream(&tool.url()).prepare();
        fill(&gate);
        Contestant::of(name, gate, load)
    };
    let few = contestant(FEWEST, &|gate: &Sekisho| fill(gate, FEW / 10, FEW), the_same());
    let many = contestant(name, &|gate: &Sekisho| full.fill(gate), load);
    many.settle();
    many.meet(at_work, WARM);
    compare(&[FEWEST], &[few, many]);
}
