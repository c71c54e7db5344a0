//! One route, and a thousand: half of them by their paths, half by their hosts, asked for by turns.

use std::fmt::Write;

use super::contestant::{Contestant, Load, compare, gateway, tool};
use super::filling::{Full, fill};

const ONE: &str = "one route";
const ROUTES: usize = 1000;
const SESSIONS: usize = 1000;

pub fn measure(_: &Full) {
    let tool = tool();
    let contestant = |name, gate: crate::harness::Builder| {
        let gate = gate.prepare();
        fill(&gate, SESSIONS, SESSIONS);
        let path = format!("string.format(\"/section/tool%d/orders/1\", at * 7 % {ROUTES})");
        Contestant::of(name, gate, Load { session: format!("at % {SESSIONS}"), path, from: "0".into() })
    };
    let mut many = String::from("[{name: all, upstream: UPSTREAM}");
    for number in 0..ROUTES {
        let _ = write!(many, ", {{name: path-{number}, path: /section/tool{number}, upstream: UPSTREAM}}");
        let _ = write!(many, ", {{name: host-{number}, host: tool{number}.example.com, upstream: UPSTREAM}}");
    }
    many.push(']');
    let contestants = [
        contestant(ONE, gateway().upstream(&tool.url())),
        contestant("two thousand routes", gateway().set("routes", &many.replace("UPSTREAM", &tool.url()))),
    ];
    compare(&[ONE], &contestants);
}
