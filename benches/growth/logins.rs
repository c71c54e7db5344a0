//! Logins in a second, beside what argon2id itself does on the same core in the same time.

use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::contestant::{OURS, THEIRS, gateway};
use super::filling::Full;
use super::table::spread;
use crate::harness::{Conn, PASSWORD, Sekisho};

/// The first argument of the process that does nothing but hash.
pub const WORD: &str = "argon2id-alone";
/// The gateway's default: KiB, passes, lanes.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
/// How many log in at a time.
const AT_ONCE: usize = 8;
/// So many that nobody gets to the most sessions that an account may have, of which a login then has to end one.
const PEOPLE: usize = 120;
const ROUNDS: usize = 5;
const LENGTH: Duration = Duration::from_secs(5);

pub fn measure(_: &Full) {
    let mut cores = CpuSet::new();
    cores.set(OURS.parse().unwrap());
    sched_setaffinity(None, &cores).unwrap();
    let mut gate = (0..PEOPLE)
        .fold(gateway(), |gate, number| gate.user(&format!("user{number}"), &[]))
        .set("password.argon2", "{memory: 19MiB, iterations: 2, parallelism: 1}")
        .upstream("http://127.0.0.1:1")
        .prepare();
    gate.serve();
    logins(&gate, Duration::from_secs(1));
    let (mut alone, mut through, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let (hashes, logins) = (hashes(), logins(&gate, LENGTH));
        eprintln!("round {round}: {hashes:.1} hashes, {logins:.1} logins in a second");
        ratios.push(logins / hashes);
        alone.push(hashes);
        through.push(logins);
    }
    println!("\n| argon2id alone, hashes/s | through the gateway, logins/s | ratio |\n| --- | --- | --- |");
    println!("| {} | {} | {} |", spread(alone), spread(through), spread(ratios));
}

/// What a process does that does nothing else, in a second.
fn hashes() -> f64 {
    let mut command = Command::new("taskset");
    let output = command.args(["-c", THEIRS]).arg(std::env::current_exe().unwrap()).arg(WORD).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// That process.
pub fn hash() {
    let (memory, passes, lanes) = COST;
    let argon2 =
        Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(memory, passes, lanes, Some(32)).unwrap());
    // As the gateway does it: memory is taken once.
    let mut blocks = vec![Block::default(); argon2.params().block_count()];
    let (mut count, mut output) = (0_u32, [0; 32]);
    let began = Instant::now();
    while began.elapsed() < LENGTH {
        argon2.hash_password_into_with_memory(PASSWORD.as_bytes(), &[7; 16], &mut output, &mut blocks).unwrap();
        count += 1;
    }
    let _ = writeln!(std::io::stdout(), "{}", f64::from(count) / began.elapsed().as_secs_f64());
}

/// People who log in by turns, some at a time: how many logins in a second.
fn logins(gate: &Sekisho, length: Duration) -> f64 {
    let began = Instant::now();
    let count: u32 = std::thread::scope(|scope| {
        let people: Vec<_> = (0..AT_ONCE)
            .map(|first| {
                scope.spawn(move || {
                    let mut conn = Conn::plain(gate.address());
                    let mut count = 0_u32;
                    for number in (first..PEOPLE).step_by(AT_ONCE).cycle() {
                        if began.elapsed() >= length {
                            break;
                        }
                        let body = format!("{{\"login\":\"user{number}\",\"password\":\"{PASSWORD}\"}}");
                        let request = format!(
                            "POST /.sekisho/api/login HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nContent-Type: \
                             application/json\r\nContent-Length: {}\r\n\r\n{body}",
                            gate.address(),
                            body.len(),
                        );
                        let answer = conn.send(&request).response();
                        assert_eq!(answer.status, 200, "{}", answer.text());
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        people.into_iter().map(|one| one.join().unwrap()).sum()
    });
    f64::from(count) / began.elapsed().as_secs_f64()
}
