//! One scenario: rounds without and with the attack by turns, while alice's requests go on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::stage::{Gains, Scenario, Stage};
use super::table::{milliseconds, p99};
use crate::harness::{Answer, Steady, poll};

/// Alice's requests in a second, over all of her connections.
const RATE: u32 = 200;
/// Before anything is measured: pools fill, and memory is what it will be without an attack.
const WARM_UP: Duration = Duration::from_secs(3);
/// A round without the attack.
const IDLE: Duration = Duration::from_secs(5);
/// After an attack, until it is idle again.
const PAUSE: Duration = Duration::from_secs(1);

/// What a scenario came to.
pub struct Row {
    pub name: &'static str,
    pub idle: Vec<Duration>,
    pub attacked: Vec<Duration>,
    /// The gateway's memory before the first attack, and its most during one, in bytes.
    pub before: u64,
    pub most: u64,
    pub gains: Gains,
    /// What went wrong with alice's requests.
    pub faults: Vec<String>,
}

/// Plays all rounds of it.
pub fn run(scenario: &Scenario) -> Row {
    eprintln!("{} …", scenario.name);
    let mut stage = Stage::set(scenario);
    let pid = stage.gate.process().pid();
    let stage = stage;
    let traffic = Steady::start(stage.lanes(), RATE);
    pass(WARM_UP);
    let before = resident(pid);
    let mut row = Row {
        name: scenario.name,
        idle: Vec::new(),
        attacked: Vec::new(),
        before,
        most: before,
        gains: Gains::default(),
        faults: Vec::new(),
    };
    for _ in 0..scenario.rounds {
        traffic.answers();
        pass(IDLE);
        row.idle.extend(traffic.answers().iter().map(|answer| answer.took));
        let began = Instant::now();
        let (gains, most) = attacked(scenario, &stage, pid);
        let answers = traffic.answers();
        tell_of_slow_ones(&answers, began, p99(&row.idle) * 2);
        row.attacked.extend(answers.iter().map(|answer| answer.took));
        row.gains.take(gains);
        row.most = row.most.max(most);
        pass(PAUSE);
    }
    row.faults = traffic.stop().1;
    row
}

/// Says how many of a round's answers took longer than they should, and when: all at its beginning, or again and again.
fn tell_of_slow_ones(answers: &[Answer], began: Instant, limit: Duration) {
    let slow: Vec<&Answer> = answers.iter().filter(|answer| answer.took > limit).collect();
    let due = || slow.iter().map(|answer| answer.due.saturating_duration_since(began));
    let (Some(first), Some(last)) = (due().min(), due().max()) else { return };
    let longest = slow.iter().map(|answer| answer.took).max().unwrap_or_default();
    eprintln!(
        "  {} of {} took more than {}, {} at most; due {} to {} after the attack began, {} within its first half second",
        slow.len(),
        answers.len(),
        milliseconds(limit),
        milliseconds(longest),
        milliseconds(first),
        milliseconds(last),
        due().filter(|due| *due < Duration::from_millis(500)).count(),
    );
}

/// Makes the attack once; what it got, and the most memory that the gateway had meanwhile.
fn attacked(scenario: &Scenario, stage: &Stage, pid: u32) -> (Gains, u64) {
    let (over, most) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let attack = scope.spawn(|| {
            // Threads that it starts are as modest.
            let _ = rustix::process::setpriority_process(None, 19);
            let gains = (scenario.attack)(stage, Instant::now() + scenario.length);
            over.store(true, Ordering::SeqCst);
            gains
        });
        poll(scenario.length * 3, || {
            most.fetch_max(resident(pid), Ordering::SeqCst);
            over.load(Ordering::SeqCst).then_some(())
        });
        (attack.join().unwrap(), most.load(Ordering::SeqCst))
    })
}

/// Lets time pass, which is what is measured here. Two hundred attackers that looked at their watches now and then would be a load of
/// their own.
#[expect(clippy::disallowed_methods, reason = "there is no condition to wait for")]
pub fn pass(time: Duration) {
    std::thread::sleep(time);
}

/// A process's resident memory, in bytes.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
