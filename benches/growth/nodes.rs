//! Three nodes on one PostgreSQL with a million sessions: what a request costs there whose session the node does not know, and one whose
//! session it knows; what it costs to write down when sessions were last seen; how much memory they take; what goes on while nobody asks.
//!
//! The nodes share a core, and the database, the tool and the load share the other, so it is the CPU time of each that counts, and not how
//! many requests there are in a second. What nodes look through at leisure goes on meanwhile; how much that is, is measured by itself.

mod database;
mod stage;

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use self::stage::{NODES, Stage, pause};
use super::contestant::{Load, value};
use super::filling::{Full, begin_now, synced};
use super::rounds::{self, Row};
use super::table::Table;
use crate::harness::{Conn, PASSWORD};

const COLUMNS: &[(&str, usize)] = &[
    ("nodes: CPU µs/request", 1),
    ("PostgreSQL: CPU µs/request", 1),
    ("reads/request", 2),
    ("records put/request", 2),
    ("requests/s, all nodes", 0),
    ("p50 ms", 2),
    ("p99 ms, slowest node", 2),
];
/// People at work: each node is asked by all of them.
const AT_WORK: usize = 30_000;
/// Each node's own, where what is written behind is measured.
const SEEN: usize = 6_000;
/// So many requests by one connection, where round trips are counted.
const COUNTED: usize = 20;
const LOGINS: usize = 8;
/// How long a session's last-seen time is not written again, with the default idle timeout.
const WRITE_EVERY: Duration = Duration::from_secs(90);
const NOBODY: Duration = Duration::from_secs(60);

pub fn measure(_: &Full) {
    let mut stage = Stage::new();
    println!(
        "\n{} sessions of {} accounts, {} MiB in PostgreSQL, {NODES} nodes",
        stage.sessions,
        stage.accounts,
        stage.database.size()
    );
    stage.begin_anew();
    round_trips(&stage);
    requests(&mut stage);
    stage.begin_anew();
    written_behind(&stage);
    stage.begin_anew();
    memory(&stage);
    at_rest(&stage);
}

/// Statements of requests that come one after the other, at a moment when no last-seen time is due to be written.
fn round_trips(stage: &Stage) {
    let first = stage.sessions - at_work(stage) - COUNTED;
    let same_accounts = first - stage.accounts;
    let (gate, accounts) = (stage.gate(0), stage.accounts);
    println!("\n| | reads | commits | WAL bytes |\n| --- | --- | --- | --- |");
    let count = |name: &str, times: usize, ask: &dyn Fn(&mut Conn, usize)| {
        let mut conn = Conn::plain(gate.address());
        let began = stage.begin();
        for number in 0..times {
            ask(&mut conn, number);
            assert_eq!(conn.response().status, 200, "{name}");
        }
        let taken = stage.taken(&began).database;
        let each = |figure: f64| figure / times as f64;
        println!("| {name} | {:.2} | {:.2} | {:.0} |", each(taken.reads), each(taken.commits), each(taken.wal));
    };
    let show = |name: &str, from: usize| {
        begin_now(gate, from..from + COUNTED, accounts);
        count(name, COUNTED, &|conn, number| {
            conn.send(format!(
                "GET /orders/1 HTTP/1.1\r\nHost: {}\r\nCookie: sekisho-session={}\r\n\r\n",
                gate.address(),
                value(from + number)
            ));
        });
    };
    show("session and account not known", first);
    show("session not known, account known", same_accounts);
    count("a login, by its password alone", LOGINS, &|conn, _| {
        let body = format!("{{\"login\":\"alice\",\"password\":\"{PASSWORD}\"}}");
        conn.send(format!(
            "POST /.sekisho/api/login HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            gate.address(),
            body.len(),
        ));
    });
    let took = synced(gate, 200);
    println!("\nA commit that waits for this machine's disk takes {:.2} ms.", took.as_secs_f64() * 1e3);
}

/// Requests of one kind to all nodes at once.
struct Asked<'s> {
    name: &'static str,
    stage: &'s Stage,
    /// Which session of a node's is shown, of the request's number `at`.
    session: Box<dyn Fn(usize) -> String + 's>,
    /// Where the next round goes on, for each node, and how far it may go.
    next: RefCell<[usize; NODES]>,
    most: usize,
    /// How many a node took in a second, last time.
    pace: Cell<usize>,
}

impl<'s> Asked<'s> {
    fn by(name: &'static str, stage: &'s Stage, most: usize, session: impl Fn(usize) -> String + 's) -> Self {
        Self { name, stage, session: Box::new(session), next: RefCell::default(), most, pace: Cell::new(0) }
    }

    fn play(&self, seconds: u32) -> Vec<f64> {
        let (stage, from) = (self.stage, *self.next.borrow());
        // On a fast machine sessions last for a shorter time: for five rounds, and what is played before them.
        let lasts = (self.most / 6).checked_div(self.pace.get()).and_then(|lasts| u32::try_from(lasts).ok());
        let seconds = seconds.min(lasts.unwrap_or(seconds).max(1));
        let began = stage.begin();
        let load = |node: usize| load((self.session)(node), from[node]);
        let answers = stage.ask_all(load, seconds);
        let taken = stage.taken(&began);
        for (next, answers) in self.next.borrow_mut().iter_mut().zip(&answers) {
            // wrk has asked a little more than it was answered.
            *next += answers.requests as usize * 11 / 10 + 200;
            assert!(*next < self.most, "{}: not enough sessions for so many seconds", self.name);
        }
        let most = answers.iter().map(|one| one.requests).fold(0.0, f64::max);
        self.pace.set(most as usize * 11 / 10 / seconds as usize);
        let requests: f64 = answers.iter().map(|one| one.requests).sum();
        let each = |figure: f64| figure / requests;
        vec![
            each(taken.nodes) * 1e6,
            each(taken.database.cpu) * 1e6,
            each(taken.database.reads),
            each(taken.database.put),
            answers.iter().map(|one| one.rate).sum(),
            answers.iter().map(|one| one.p50).sum::<f64>() / NODES as f64,
            answers.iter().map(|one| one.p99).fold(0.0, f64::max),
        ]
    }

    fn rounds(self) -> Vec<Row> {
        rounds::all(&[self], |one| one.name, Self::play)
    }
}

fn load(session: String, from: usize) -> Load {
    Load { session, path: "\"/orders/1\"".into(), from: from.to_string() }
}

/// Each of these is over before last-seen times are due again, if there are not many more rounds.
fn requests(stage: &mut Stage) {
    let (sessions, accounts) = (stage.sessions, stage.accounts);
    let own = |node: usize| format!("({} + at) % {sessions}", node * sessions / NODES);
    let mut rows = Vec::new();

    stage.begin_anew();
    rows.extend(Asked::by("session and account not known", stage, accounts, own).rounds());

    stage.begin_anew();
    let answers = stage.ask_all(|node| load(own(node), 0), 6);
    let known = answers.iter().map(|one| one.requests).fold(f64::MAX, f64::min) as usize;
    // The second session of each account that is known, then the third.
    let more = |node: usize| {
        let from = node * sessions / NODES;
        format!("({from} + at % {known} + {accounts} * (1 + math.floor(at / {known}))) % {sessions}")
    };
    rows.extend(Asked::by("session not known, account known", stage, known * 8, more).rounds());

    stage.begin_anew();
    let people = at_work(stage);
    let all = |_: usize| format!("{} + at % {people}", sessions - people);
    let known = Asked::by("session known", stage, usize::MAX, all);
    while known.next.borrow().iter().any(|next| *next < people * 12 / 10) {
        known.play(1);
    }
    rows.extend(known.rounds());
    println!("{}", Table { title: "", columns: COLUMNS, compared: &[], measures: &[] }.of(&rows));
}

fn at_work(stage: &Stage) -> usize {
    AT_WORK.min(stage.sessions / 20)
}

/// Each node's people ask at a moment when nothing of them is due to be written, and then no more.
fn written_behind(stage: &Stage) {
    let seen = SEEN.min(stage.sessions / 20);
    let all = (seen * NODES) as f64 * 0.99;
    let everybody = || {
        let mut asked = [0.0; NODES];
        while asked.iter().any(|asked| *asked < seen as f64 * 1.1) {
            let own =
                |node: usize| load(format!("{} + at % {seen}", node * stage.sessions / NODES), asked[node] as usize);
            let answers = stage.ask_all(own, 1);
            asked.iter_mut().zip(answers).for_each(|(asked, answers)| *asked += answers.requests);
        }
    };
    let (first, began) = (Instant::now(), stage.begin());
    everybody();
    assert!(stage.has_put(&began, all), "last-seen times are not written");
    everybody();
    // What was written first is due again in so long.
    let quiet = stage.begin();
    pause((first + WRITE_EVERY).saturating_duration_since(Instant::now()));
    let (quiet, began) = (stage.taken(&quiet), stage.begin());
    assert!(stage.has_put(&began, all), "last-seen times are not written");
    let taken = stage.taken(&began);
    let each = |figure: f64| figure / taken.database.put;
    let beside = |figure: f64, quiet_figure: f64| figure - quiet_figure / quiet.seconds * taken.seconds;
    println!(
        "\n| last-seen times written | in s | commits | records/commit | reads/record | WAL bytes/record | PostgreSQL: CPU µs/record | \
         nodes: CPU µs/record | pages read meanwhile |\n|{}",
        " --- |".repeat(9)
    );
    println!(
        "| {:.0} | {:.1} | {:.0} | {:.1} | {:.2} | {:.0} | {:.1} | {:.1} | {:.0} |",
        taken.database.put,
        taken.seconds,
        taken.database.commits,
        taken.database.put / taken.database.commits,
        each(taken.database.reads),
        each(taken.database.wal),
        each(beside(taken.database.cpu, quiet.database.cpu)) * 1e6,
        each(beside(taken.nodes, quiet.nodes)) * 1e6,
        taken.database.pages,
    );
}

/// One node is asked with a fifth of all sessions.
fn memory(stage: &Stage) {
    let session = || "at".to_owned();
    let before = stage.ask(0, &load(session(), 0), 1);
    let (mut known, mut after) = (before.requests, before.mebibytes);
    let began = Instant::now();
    while known < stage.sessions as f64 / 5.0 && began.elapsed() < Duration::from_secs(300) {
        let answers = stage.ask(0, &load(session(), known as usize), 10);
        (known, after) = (known + answers.requests, answers.mebibytes);
    }
    let took = began.elapsed().as_secs_f64();
    let each = (after - before.mebibytes) * 1024.0 * 1024.0 / (known - before.requests);
    println!(
        "\n| a node knows sessions | MiB | bytes/session more | not known before, requests/s |\n| --- | --- | --- | --- |"
    );
    println!("| {:.0} | {:.0} | | |", before.requests, before.mebibytes);
    println!("| {known:.0} | {after:.0} | {each:.0} | {:.0} |", (known - before.requests) / took);
}

/// Nodes look through the store for what has expired, count sessions, and tell that they are there.
fn at_rest(stage: &Stage) {
    let began = stage.begin();
    pause(NOBODY);
    let taken = stage.taken(&began);
    let each = |figure: f64| figure / taken.seconds;
    println!(
        "\n| nobody asks | PostgreSQL: CPU ms/s | nodes: CPU ms/s | pages/s | records read/s | reads/s | commits/s |\n|{}",
        " --- |".repeat(7)
    );
    println!(
        "| {:.0} s | {:.0} | {:.0} | {:.1} | {:.0} | {:.1} | {:.2} |",
        taken.seconds,
        each(taken.database.cpu) * 1e3,
        each(taken.nodes) * 1e3,
        each(taken.database.pages),
        each(taken.database.paged),
        each(taken.database.reads),
        each(taken.database.commits),
    );
}
