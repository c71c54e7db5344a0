//! Two hundred logins at once (A29): how many passwords are hashed and how many wait is bounded, who is too many is told to come
//! again, memory is what the threads take, and whoever is signed in notices nothing. `benches/overload.rs` prints the times.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::harness::{Client, Lane, PASSWORD, Recorder, Response, Sekisho, Steady, form_with, text};
use crate::login_under_attack::figure;

const AT_ONCE: usize = 200;
/// `service::hasher`'s queue.
const QUEUE: u64 = 64;
const MEMORY_MIB: u64 = 19;
/// What two hundred connections and their answers take, TLS included, with room to spare; MiB.
const BESIDE: u64 = 64;

/// A line of `/proc/PID/status`, in MiB.
fn memory(gate: &mut Sekisho, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gate.process().pid())).unwrap();
    let value = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':')?.strip_suffix("kB"));
    value.unwrap().trim().parse::<u64>().unwrap() / 1024
}

/// Two hundred at once; each is given its number.
fn all_at_once(login: impl Fn(usize) -> Response + Sync) -> Vec<Response> {
    let start = Barrier::new(AT_ONCE);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..AT_ONCE)
            .map(|number| {
                let (start, login) = (&start, &login);
                scope.spawn(move || {
                    start.wait();
                    login(number)
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// Says at its end that it is over.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a29_of_two_hundred_logins_at_once_a_bounded_number_waits_and_the_rest_come_again() {
    let upstream = Recorder::ok();
    // Dear enough that two hundred are more than are hashed while they arrive.
    let mut gate = Sekisho::builder()
        .upstream(&upstream.url())
        .set("server.metrics", "\"127.0.0.1:0\"")
        .set("second_factor.policy", "off")
        .set("password.argon2", &format!("{{memory: {MEMORY_MIB}MiB, iterations: 4, parallelism: 1}}"))
        .set("lockout.per_address.max_failures", "1000000")
        .user("alice", &[])
        .start();
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    let threads = figure(&gate, "sekisho_hash_threads");
    let cores = u64::try_from(std::thread::available_parallelism().unwrap().get()).unwrap();
    assert!((1..=cores).contains(&threads), "{threads} threads");
    let browsers: Vec<_> = (0..AT_ONCE)
        .map(|number| {
            let mut browser = Client::new(&gate);
            browser.language = if number % 2 == 0 { "en" } else { "ja" }.to_owned();
            let form = form_with(&browser.open("/.sekisho/login"), "password");
            (browser, form.with("login", &format!("user{number}")).with("password", "Wrong-horse-8"))
        })
        .collect();
    let before = memory(&mut gate, "VmRSS");

    let lane = Lane {
        address: gate.address(),
        tls: None,
        host: alice.host.clone(),
        path: "/orders".to_owned(),
        cookies: alice.cookie_header().trim_start_matches("Cookie: ").trim_end().to_owned(),
        body: "ok",
    };
    let signed_in = Steady::start(vec![lane.clone(), lane], 50);
    signed_in.more(10);
    let over = AtomicBool::new(false);
    let (answers, most_waiting, most_busy) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut waiting, mut busy) = (0, 0);
            while !over.load(Ordering::SeqCst) {
                waiting = waiting.max(figure(&gate, "sekisho_hash_waiting"));
                busy = busy.max(figure(&gate, "sekisho_hash_threads_busy"));
            }
            (waiting, busy)
        });
        // Also where one of them panics: the watch ends with it.
        let ends = Ending(&over);
        let answers = all_at_once(|number| {
            let (browser, form) = &browsers[number];
            browser.copy().send(form)
        });
        drop(ends);
        let (waiting, busy) = watch.join().unwrap();
        (answers, waiting, busy)
    });
    signed_in.more(10);
    let (answered, faults) = signed_in.stop();
    assert!(faults.is_empty(), "{} of {answered} went wrong: {:?}", faults.len(), &faults[..faults.len().min(5)]);

    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    let most = memory(&mut gate, "VmHWM");
    let (judged, refused) = (count(401), count(503));
    println!(
        "{judged} judged, {refused} told to come again; at most {most_waiting} waited, {most_busy} of {threads} busy"
    );
    println!("{before} MiB before, {most} MiB at most");
    assert_eq!(
        count(401) + count(503),
        AT_ONCE,
        "{:?}",
        answers.iter().map(|answer| answer.status).collect::<Vec<_>>()
    );
    assert!(count(503) > 0 && count(401) > 0);
    // Told before it is sent, so one of each request may be counted that finds the queue full.
    assert!(
        most_busy <= threads && most_waiting <= QUEUE + u64::try_from(AT_ONCE).unwrap(),
        "{most_waiting}, {most_busy}"
    );
    assert_eq!(figure(&gate, "sekisho_hash_rejected_total"), u64::try_from(count(503)).unwrap());
    for (number, answer) in answers.iter().enumerate().filter(|(_, answer)| answer.status == 503) {
        let wait: u32 = answer.header("retry-after").expect("when to come again").parse().unwrap();
        assert!((1..=10).contains(&wait));
        let words = if number % 2 == 0 { "Wait a few seconds, then try again" } else { "数秒" };
        assert!(text(&answer.text()).contains(words), "{}", text(&answer.text()));
    }
    assert!(most <= before + threads * MEMORY_MIB + BESIDE, "{before} MiB before, {most} MiB at most");

    // Programmes are told as well, and afterwards everything is as before.
    let answers = all_at_once(|number| {
        let who = json!({"login": format!("user{number}"), "password": "Wrong-horse-8"});
        Client::new(&gate).post_json("/.sekisho/api/login", &who)
    });
    for answer in &answers {
        match answer.status {
            401 => assert_eq!(answer.json()["code"], "invalid_credentials"),
            503 => assert!(answer.json()["code"] == "unavailable" && answer.header("retry-after").is_some()),
            other => panic!("{other}: {}", answer.text()),
        }
    }
    assert_eq!(Client::new(&gate).give_password("alice", PASSWORD).text(), "ok");
}
