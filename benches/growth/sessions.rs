//! A thousand sessions in the store, and a million.

use super::contestant::{Contestant, Load, compare, gateway, tool};
use super::filling::{Full, MANY, fill};
use crate::harness::Sekisho;

const FEW: usize = 1000;
const FEWEST: &str = "a thousand stored";
/// Until nearly all of a million sessions have been asked with once.
const WARM: u32 = 100;

pub fn measure(full: &Full) {
    let tool = tool();
    let contestant = |name, fill: &dyn Fn(&Sekisho), load: Load| {
        let gate = gateway().upstream(&tool.url()).prepare();
        fill(&gate);
        Contestant::of(name, gate, load)
    };
    // The same thousand people again and again; then all of them by turns, from a place that is another one in each round.
    let the_same = || Load { session: format!("at % {FEW}"), path: "\"/orders/1\"".into(), from: "0".into() };
    let everybody =
        || Load { session: format!("at % {MANY}"), path: "\"/orders/1\"".into(), from: format!("math.random({MANY})") };
    let contestants = [
        contestant(FEWEST, &|gate: &Sekisho| fill(gate, FEW / 10, FEW), the_same()),
        contestant("a million stored, a thousand at work", &|gate: &Sekisho| full.fill(gate), the_same()),
        contestant("a million stored, all at work", &|gate: &Sekisho| full.fill(gate), everybody()),
    ];
    // From the beginning, so that each is read once.
    let warm = std::env::var("GROWTH_WARM").ok().and_then(|text| text.parse().ok()).unwrap_or(WARM);
    let [.., all] = &contestants;
    all.play(warm);
    compare(&[FEWEST], &contestants);
}
