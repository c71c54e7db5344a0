//! `kill -9` (A58): the gateway is killed at random moments while people sign in by codes of every kind, sign out, and a manager
//! changes their accounts. What was acknowledged is the oracle: an act counts once its whole answer was read. After each start
//! none of those is lost, no spent code is good again, what was under way happened or did not, and nothing is half there.
//!
//! `SEKISHO_KILLS` says how often (10; 200 with `SEKISHO_LONG_TESTS`), `SEKISHO_SEED` repeats a run's choices.

mod acts;
mod chance;
mod check;
mod person;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

pub use self::chance::Chance;
use self::person::{Method, Person};
use crate::harness::{MailServer, Recorder, Sekisho, poll, unix_now};

/// The gateway may take so long from its start until it listens.
const START: Duration = Duration::from_secs(5);
/// The kill comes within this time.
const MILLISECONDS: u64 = 1200;
/// How far the clock goes between two kills: so that everybody has codes again, and may be sent mails.
const BETWEEN: Duration = Duration::from_secs(3 * 3600);

/// What everybody shares.
struct World<'a> {
    gate: &'a Sekisho,
    mail: &'a MailServer,
    /// From now on an answer may fail to come.
    killing: AtomicBool,
    /// How often each act was acknowledged.
    acknowledged: &'a Mutex<BTreeMap<&'static str, u32>>,
}

impl World<'_> {
    fn count(&self, act: &'static str) {
        *self.acknowledged.lock().unwrap().entry(act).or_default() += 1;
    }

    /// What was answered; `None` once it may be the kill's fault that nothing was.
    #[track_caller]
    fn answered<T>(&self, answer: Option<T>, what: &str) -> Option<T> {
        assert!(
            answer.is_some() || self.killing.load(Ordering::SeqCst),
            "not answered, and nothing was killed: {what}"
        );
        answer
    }
}

fn kills() -> u32 {
    let given = std::env::var("SEKISHO_KILLS").ok().and_then(|text| text.parse().ok());
    given.unwrap_or(if std::env::var_os("SEKISHO_LONG_TESTS").is_some() { 200 } else { 10 })
}

#[test]
fn a58_what_was_acknowledged_survives_kill_9_and_no_spent_code_does() {
    let seed = std::env::var("SEKISHO_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(unix_now);
    println!("SEKISHO_SEED={seed}");
    let mut chance = Chance::new(seed);
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let mut gate = gate(&upstream, &mail);
    let mut people: Vec<Person> =
        ["ann", "ben", "cho", "dee"].into_iter().map(|login| Person::enrolled(login, Method::App, &gate)).collect();
    people.extend(["eli", "fay"].map(|login| Person::enrolled(login, Method::Mail, &gate)));
    gate.advance(BETWEEN);

    let acknowledged = Mutex::default();
    let (mut slowest, mut in_doubt, mut done) = (Duration::ZERO, 0, 0);
    for round in 1..=kills() {
        let world = World { gate: &gate, mail: &mail, killing: AtomicBool::new(false), acknowledged: &acknowledged };
        let moment = Duration::from_millis(chance.below(MILLISECONDS));
        std::thread::scope(|scope| {
            for person in &mut people {
                let (world, chance) = (&world, chance.fork());
                scope.spawn(move || person.act_until_killed(world, chance));
            }
            let early = poll(moment, || None::<()>);
            assert!(early.is_none());
            world.killing.store(true, Ordering::SeqCst);
            gate.signal(Signal::KILL);
        });
        gate.kill();
        if chance.below(3) == 0 {
            kill_while_it_starts(&gate, Duration::from_millis(chance.below(250)));
        }
        let verified = gate.cli_json(&["store", "verify"]);
        assert_eq!(verified["problem_count"], 0, "round {round}, seed {seed}: {verified}");

        mail.empty();
        people.iter_mut().for_each(|person| person.mails = 0);
        let begun = Instant::now();
        gate.serve();
        let took = begun.elapsed();
        assert!(took < START, "round {round}: it took {took:?} to start");
        slowest = slowest.max(took);

        in_doubt += people.iter().filter(|person| person.is_in_doubt()).count();
        let world = World { gate: &gate, mail: &mail, killing: AtomicBool::new(false), acknowledged: &acknowledged };
        done += all(&mut people, |person| usize::from(person.check(&world))).into_iter().sum::<usize>();
        // Two steps on: codes that were not needed yet.
        gate.advance(Duration::from_secs(60));
        all(&mut people, |person| person.go_on(&world));
        people.iter_mut().for_each(|person| person.renew(&gate));
        gate.advance(BETWEEN);
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    let total: u32 = acknowledged.values().sum();
    println!(
        "{} kills, {total} acts acknowledged ({acknowledged:?}), {in_doubt} under way when it was killed, of which {done} had \
         happened; slowest start {slowest:?}",
        kills()
    );
    assert!(total >= 20 * kills(), "too little was going on: {acknowledged:?}");
}

fn gate(upstream: &Recorder, mail: &MailServer) -> Sekisho {
    let builder = Sekisho::builder()
        .cheap_hashes()
        .mail(mail)
        .clock()
        .set("log.access", "off")
        .set("lockout.per_address", "{max_failures: 100000, window: 1m}")
        .set("session", "{idle_timeout: 60d, max_lifetime: 300d, max_per_user: 1000}")
        .set("second_factor.recheck_interval", "300d")
        .set("second_factor.recovery_codes", "{count: 50, digits: 8, low_water: 0}")
        .upstream(&upstream.url());
    let builder = ["ann", "ben", "cho", "dee"].into_iter().fold(builder, |builder, login| builder.user(login, &[]));
    let with_mail = |builder: crate::harness::Builder, login: &str| {
        builder.user(login, &["--email", &person::address(login), "--method", "mail"])
    };
    ["eli", "fay"].into_iter().fold(builder, with_mail).start()
}

/// Once more, before it may listen.
fn kill_while_it_starts(gate: &Sekisho, moment: Duration) {
    let mut process = gate.spawn_serve();
    assert!(poll(moment, || None::<()>).is_none());
    process.signal(Signal::KILL);
    process.wait();
}

/// Everybody at once.
fn all<T: Send>(people: &mut [Person], act: impl Fn(&mut Person) -> T + Sync) -> Vec<T> {
    let act = &act;
    std::thread::scope(|scope| {
        let threads: Vec<_> = people.iter_mut().map(|person| scope.spawn(move || act(person))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
