//! Three nodes on one core; their database, the tool and the load on the other.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};

use super::super::contestant::{Load, OURS, THEIRS, gateway, tool};
use super::super::filling::{MANY, fill};
use super::super::{cpu, wrk};
use super::database::{Counted, Database};
use crate::harness::tools::Tool;
use crate::harness::{Sekisho, poll};

pub const NODES: usize = 3;
/// A node that has just been started reads what it needs to know, hundreds of pages in a second; then only what it looks through at leisure.
const QUIET: f64 = 100.0;
const LONG: Duration = Duration::from_secs(120);

pub struct Stage {
    gates: Vec<Sekisho>,
    /// Theirs, in the same order.
    processes: Vec<u32>,
    pub sessions: usize,
    pub accounts: usize,
    pub database: Database,
    _tool: Tool,
}

/// What was taken in some time.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    pub seconds: f64,
    /// Seconds of all nodes.
    pub nodes: f64,
    pub database: Counted,
}

/// The beginning of that time.
pub struct Began(Instant, f64, Counted);

/// What wrk has said of one node.
pub struct Answers {
    pub requests: f64,
    pub rate: f64,
    pub p50: f64,
    pub p99: f64,
    pub mebibytes: f64,
}

impl Stage {
    /// With so many sessions as `GROWTH_SESSIONS` says, of a tenth as many accounts. No node runs yet.
    pub fn new() -> Self {
        let sessions = std::env::var("GROWTH_SESSIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(MANY);
        let accounts = sessions / 10;
        run_on(&[OURS]);
        let (database, tool) = (Database::new(), tool());
        let first = gateway().upstream(&tool.url()).database(&database.url()).prepare();
        run_on(&[OURS, THEIRS]);
        fill(&first, accounts, sessions);
        run_on(&[OURS]);
        let others: Vec<Sekisho> = (1..NODES).map(|_| first.beside()).collect();
        let gates = std::iter::once(first).chain(others).collect();
        Self { gates, processes: Vec::new(), sessions, accounts, database, _tool: tool }
    }

    /// Nodes that know nobody: they are started, again where they run.
    pub fn begin_anew(&mut self) {
        for gate in &mut self.gates {
            if !gate.sockets().is_empty() {
                gate.kill();
            }
            gate.serve();
        }
        self.processes = self.gates.iter_mut().map(|gate| gate.process().pid()).collect();
        let quiet = || {
            let before = self.database.counted();
            pause(Duration::from_secs(1));
            let since = self.database.counted() - before;
            (since.reads + since.pages < QUIET).then_some(())
        };
        poll(LONG, quiet).expect("the nodes know what they need");
    }

    pub fn gate(&self, node: usize) -> &Sekisho {
        &self.gates[node]
    }

    pub fn address(&self, node: usize) -> SocketAddr {
        self.gates[node].address()
    }

    pub fn begin(&self) -> Began {
        let database = self.database.counted();
        Began(Instant::now(), cpu::of(&self.processes).as_secs_f64(), database)
    }

    pub fn taken(&self, began: &Began) -> Taken {
        let Began(at, nodes, database) = self.begin();
        Taken { seconds: (at - began.0).as_secs_f64(), nodes: nodes - began.1, database: database - began.2 }
    }

    /// Asks one node.
    pub fn ask(&self, node: usize, load: &Load, seconds: u32) -> Answers {
        let address = self.address(node);
        let figures = wrk::play(&load.script(address), address, &[self.processes[node]], seconds);
        let [_, rate, p50, p99, mebibytes] = figures[..] else { panic!("{figures:?}") };
        Answers { requests: rate * f64::from(seconds), rate, p50, p99, mebibytes }
    }

    /// Asks all of them at once.
    pub fn ask_all(&self, load: impl Fn(usize) -> Load, seconds: u32) -> Vec<Answers> {
        let loads: Vec<Load> = (0..NODES).map(load).collect();
        std::thread::scope(|scope| {
            let asking: Vec<_> = loads
                .iter()
                .enumerate()
                .map(|(node, load)| scope.spawn(move || self.ask(node, load, seconds)))
                .collect();
            asking.into_iter().map(|one| one.join().unwrap()).collect()
        })
    }

    /// Waits until so many records were put since then; false: it takes too long.
    pub fn has_put(&self, began: &Began, records: f64) -> bool {
        let is_there = || {
            pause(Duration::from_secs(1));
            ((self.database.counted() - began.2).put >= records).then_some(())
        };
        poll(LONG, is_there).is_some()
    }
}

/// What is measured here is time.
pub fn pause(length: Duration) {
    poll(length, || None::<()>);
}

/// Threads and processes that are started from here on are on these cores.
fn run_on(cores: &[&str]) {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(core.parse().unwrap()));
    sched_setaffinity(None, &set).unwrap();
}
