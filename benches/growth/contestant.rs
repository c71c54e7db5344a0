//! Gateways that are compared with each other: each alone on its core, one tool behind all of them.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use super::rounds;
use super::table::Table;
use super::wrk::{self, COLUMNS};
use crate::harness::tools::{Tool, start_on_free_port};
use crate::harness::{Builder, Sekisho, poll};

/// Where gateways run, and where everything else does.
pub const THEIRS: &str = "1";
pub const OURS: &str = "0";
/// Where requests/s stand in [`COLUMNS`].
const RATE: usize = 1;
/// How long a gateway may take to read its whole store.
const PATIENCE: Duration = Duration::from_secs(300);

/// One that runs.
pub struct Contestant {
    pub name: &'static str,
    pub address: SocketAddr,
    pub processes: Vec<u32>,
    load: Load,
    gate: Sekisho,
}

/// Who asks for what, as Lua expressions over the request's number `at`.
#[derive(Clone)]
pub struct Load {
    /// Which session it shows.
    pub session: String,
    pub path: String,
    /// The number of the first request.
    pub from: String,
}

/// What everything is passed on to: 1 KiB whatever is asked.
pub fn tool() -> Tool {
    start_on_free_port("the tool", |address, folder| {
        let (path, answer) = (folder.path().display(), "x".repeat(1024));
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {path}/{kind}; "))
            .concat();
        let text = format!(
            "daemon off; worker_processes 1; pid {path}/pid; error_log stderr crit;\nevents {{ worker_connections 4096; }}\n\
             http {{ access_log off; keepalive_requests 1000000000; {temporary}\n\
             server {{ listen {address}; location / {{ return 200 \"{answer}\"; }} }} }}\n"
        );
        std::fs::write(folder.path().join("nginx.conf"), text).unwrap();
        let mut command = Command::new("taskset");
        command.args(["-c", OURS, "/usr/sbin/nginx", "-e", "stderr", "-p"]).arg(folder.path());
        command.arg("-c").arg(folder.path().join("nginx.conf"));
        command
    })
}

/// One with alice, which does not run yet.
pub fn gateway() -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .set("server.workers", "1")
        .set("log.access", "off")
        .user("alice", &[])
        .started_by(&["taskset", "-c", THEIRS])
}

/// A cookie's value: that of the session of this number.
pub fn value(number: usize) -> String {
    format!("{number:042}A")
}

impl Contestant {
    pub fn of(name: &'static str, mut gate: Sekisho, load: Load) -> Self {
        gate.serve();
        let processes = vec![gate.process().pid()];
        Self { name, address: gate.address(), processes, load, gate }
    }

    /// Waits until it has read the rest of a large store, which it does beside the requests after a start.
    pub fn settle(&self) {
        let is_done = || self.gate.logs().iter().any(|line| line.contains("every record of the store was read"));
        assert!(poll(PATIENCE, || is_done().then_some(())).is_some(), "{} still reads its store", self.name);
    }

    /// Has it asked, for so many seconds at a time, until each of so many has been there.
    pub fn meet(&self, people: usize, seconds: u32) {
        let mut asked = 0;
        while asked < people {
            let load = Load { from: asked.to_string(), ..self.load.clone() };
            let figures = wrk::play(&load.script(self.address), self.address, &self.processes, seconds);
            asked += (figures[RATE] * f64::from(seconds)) as usize;
        }
    }

    /// Has it asked for so many seconds.
    pub fn play(&self, seconds: u32) -> Vec<f64> {
        wrk::play(&self.load.script(self.address), self.address, &self.processes, seconds)
    }
}

impl Load {
    /// wrk's script.
    pub fn script(&self, address: SocketAddr) -> String {
        let Self { session, path, from } = self;
        format!(
            "math.randomseed(os.time())\nlocal at = {from}\n\
             local tail = \"A\\r\\nRemote-User: forged\\r\\nAccept: text/html\\r\\nUser-Agent: Mozilla/5.0\\r\\n\\r\\n\"\n\
             function request()\n  at = at + 1\n  return \"GET \" .. {path} .. \" HTTP/1.1\\r\\nHost: {address}\\r\\nCookie: \
             sekisho-session=\" .. string.format(\"%042d\", {session}) .. tail\nend\n"
        )
    }
}

/// Has them asked by turns, and prints what it cost, beside the first.
pub fn compare(first: &'static [&'static str], contestants: &[Contestant]) {
    let rows = rounds::all(contestants, |one| one.name, Contestant::play);
    println!("{}", Table { title: "", columns: COLUMNS, compared: &[0], measures: first }.of(&rows));
}
