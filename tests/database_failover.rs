//! The primary is lost, and its synchronous standby promoted: nothing that was acknowledged is lost, and the nodes go on by themselves.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::postgres::{Server, url_of};
use crate::harness::{Builder, Client, PASSWORD, Recorder, Sekisho, form_to, form_with, poll, text, wait_until};

/// From the promotion on.
const HEALED: Duration = Duration::from_secs(10);

/// A primary, and a standby that has whatever the primary has acknowledged.
struct Pair {
    primary: Server,
    standby: Server,
    database: String,
}

impl Pair {
    fn start() -> Self {
        let primary = Server::start();
        let database = primary.database();
        let standby = primary.standby();
        primary.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        primary.sql("postgres", "SELECT pg_reload_conf()");
        let state = "SELECT sync_state FROM pg_stat_replication";
        wait_until("it is synchronous", || (primary.sql("postgres", state) == "sync").then_some(()));
        Self { primary, standby, database }
    }

    fn url(&self) -> String {
        let hosts = [self.primary.address(), self.standby.address()];
        format!("{}?target_session_attrs=read-write", url_of(&hosts, &self.database))
    }

    /// From when it has happened.
    fn promote(&self) -> Instant {
        assert_eq!(self.standby.sql("postgres", "SELECT pg_promote()"), "t");
        Instant::now()
    }
}

fn builder(upstream: &Recorder, pair: &Pair) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("lockout.per_address", "{max_failures: 100000, window: 1m}")
        .set("second_factor.policy", "per_user")
        .upstream(&upstream.url())
        .database(&pair.url())
}

fn two(builder: Builder) -> [Sekisho; 2] {
    let first = builder.start();
    let mut second = first.beside();
    second.serve();
    [first, second]
}

/// Whether somebody without a second factor gets in there.
fn signs_in(node: &Sekisho, login: &str) -> bool {
    let mut browser = Client::new(node);
    let page = browser.open("/.sekisho/login");
    if page.status != 200 {
        return false;
    }
    browser.send(&form_with(&page, "password").with("login", login).with("password", PASSWORD));
    browser.cookie("session").is_some()
}

/// A browser that stands before the code; and the form.
fn before_the_code(node: &Sekisho, login: &str) -> (Client, crate::harness::Form) {
    let mut browser = Client::new(node);
    let page = browser.give_password(login, PASSWORD);
    let form = form_with(&page, "code");
    (browser, form)
}

/// How many of eight browsers a code lets in, given at all nodes at once.
pub fn let_in(nodes: &[Sekisho; 2], login: &str, code: &str) -> usize {
    let browsers: Vec<_> = (0..8).map(|number| before_the_code(&nodes[number % 2], login)).collect();
    let start = Barrier::new(browsers.len());
    std::thread::scope(|scope| {
        let posts: Vec<_> = browsers
            .into_iter()
            .map(|(mut browser, form)| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    let answer = browser.send(&form.with("code", code));
                    assert!(answer.status < 500, "{}", text(&answer.text()));
                    usize::from(browser.cookie("session").is_some())
                })
            })
            .collect();
        posts.into_iter().map(|post| post.join().unwrap()).sum()
    })
}

#[test]
fn what_was_acknowledged_outlives_the_primary_and_the_nodes_go_on_by_themselves() {
    const PEOPLE: usize = 6;
    let (upstream, pair) = (Recorder::ok(), Pair::start());
    let mut all = builder(&upstream, &pair).user("bob", &[]).user("carol", &[]);
    for number in 0..=PEOPLE {
        all = all.user(&format!("user{number}"), &["--second-factor", "on"]);
    }
    let nodes = two(all);
    let keys: Vec<String> = (0..=PEOPLE)
        .map(|number| {
            let node = &nodes[number % 2];
            let mut browser = Client::new(node);
            let key = browser.sign_in_and_enrol(node, &format!("user{number}"));
            browser.sign_out();
            key
        })
        .collect();
    // What is about to be done when the primary goes: codes are given, people sign out, a name is changed.
    let codes: Vec<String> = keys.iter().map(|key| nodes[0].fresh_code(key)).collect();
    let standing: Vec<_> =
        (0..PEOPLE).map(|number| before_the_code(&nodes[number % 2], &format!("user{number}"))).collect();
    let leaving: Vec<Client> = (0..PEOPLE)
        .map(|number| {
            let mut browser = Client::new(&nodes[number % 2]);
            browser.sign_in(&nodes[number % 2], "bob", None);
            browser
        })
        .collect();
    let mut carol = nodes.each_ref().map(|node| {
        let mut carol = Client::new(node);
        carol.sign_in(node, "carol", None);
        carol
    });
    let (acknowledged, over, named) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicUsize::new(0));
    let one_more = || acknowledged.fetch_add(1, Ordering::SeqCst);
    let (spent, left, promoted) = std::thread::scope(|scope| {
        let giving: Vec<_> = standing
            .into_iter()
            .zip(&codes)
            .map(|((mut browser, form), code)| {
                scope.spawn(move || {
                    browser.send(&form.with("code", code));
                    browser.cookie("session").is_some().then(one_more).is_some()
                })
            })
            .collect();
        let going: Vec<_> = leaving
            .into_iter()
            .map(|mut browser| {
                scope.spawn(move || {
                    let thief = browser.copy();
                    let page = browser.open("/.sekisho/logout");
                    if page.status == 200 {
                        browser.send(&form_to(&page, "/logout"));
                    }
                    (thief, browser.cookie("session").is_none().then(one_more).is_some())
                })
            })
            .collect();
        let renaming = scope.spawn(|| {
            let mut last = 0;
            while !over.load(Ordering::SeqCst) {
                if nodes[0].cli(&["user", "set", "bob", "--name", &format!("Bob {}", last + 1)]).status.success() {
                    last += 1;
                    named.store(last, Ordering::SeqCst);
                    one_more();
                }
            }
            last
        });
        let known = scope.spawn(|| {
            let mut asked = 0;
            while !over.load(Ordering::SeqCst) {
                for carol in &mut carol {
                    assert_eq!(carol.get("/").text(), "ok", "those who are signed in notice nothing");
                    asked += 1;
                }
            }
            asked
        });
        wait_until("some is acknowledged", || (acknowledged.load(Ordering::SeqCst) >= 4).then_some(()));
        pair.primary.crash();
        let promoted = pair.promote();
        let spent: Vec<bool> = giving.into_iter().map(|thread| thread.join().unwrap()).collect();
        let left: Vec<(Client, bool)> = going.into_iter().map(|thread| thread.join().unwrap()).collect();
        let healed = poll(HEALED, || nodes.iter().all(|node| signs_in(node, "carol")).then(|| promoted.elapsed()));
        assert!(healed.is_some_and(|after| after < HEALED), "{healed:?}");
        let before = named.load(Ordering::SeqCst);
        wait_until("names are changed again", || (named.load(Ordering::SeqCst) > before).then_some(()));
        over.store(true, Ordering::SeqCst);
        assert!(known.join().unwrap() > 20);
        renaming.join().unwrap();
        (spent, left, promoted)
    });
    // A code that was taken is spent; one whose fate nobody knows is good once at most; one that nobody has given is good.
    for (number, was_spent) in spent.iter().enumerate() {
        let more = let_in(&nodes, &format!("user{number}"), &codes[number]);
        assert!(more <= usize::from(!was_spent), "user{number}: {more} more, after {:?}", promoted.elapsed());
    }
    assert_eq!(let_in(&nodes, &format!("user{PEOPLE}"), &codes[PEOPLE]), 1, "after {:?}", promoted.elapsed());
    for (mut thief, has_left) in left {
        for node in &nodes {
            thief.follow(node);
            let answer = thief.get("/");
            assert!(!has_left || answer.status != 200, "signed out, and in again");
        }
    }
    assert_eq!(nodes[1].cli_json(&["user", "show", "bob"])["name"], format!("Bob {}", named.load(Ordering::SeqCst)));
    eprintln!("{} codes, {} names", spent.iter().filter(|spent| **spent).count(), named.load(Ordering::SeqCst));
}

#[test]
fn a_primary_that_hangs_is_left_with_all_connections_to_it() {
    let (upstream, pair) = (Recorder::ok(), Pair::start());
    let nodes = two(builder(&upstream, &pair).user("alice", &[]).user("bob", &[]));
    // As many connections as there may be.
    std::thread::scope(|scope| {
        for number in 0..40 {
            let node = &nodes[number % 2];
            scope.spawn(move || assert!(signs_in(node, "bob")));
        }
    });
    let mut alice = Client::new(&nodes[0]);
    alice.sign_in(&nodes[0], "alice", None);
    let thief = alice.copy();
    pair.primary.freeze();
    let promoted = pair.promote();
    let healed = poll(HEALED, || nodes.iter().all(|node| signs_in(node, "bob")).then(|| promoted.elapsed()));
    assert!(healed.is_some_and(|after| after < HEALED), "{healed:?}");
    // From here on no request meets one of the old connections any more, also when they come to life.
    let begun = Instant::now();
    for number in 0..40 {
        if number == 20 {
            pair.primary.thaw();
        }
        assert!(signs_in(&nodes[number % 2], "bob"), "{number}");
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    alice.sign_out();
    for node in &nodes {
        let mut thief = thief.copy();
        thief.follow(node);
        let out = poll(Duration::from_secs(2), || (thief.get("/").status != 200).then_some(()));
        assert!(out.is_some(), "the old primary is asked still");
    }
}

#[test]
fn a_commit_whose_wait_for_the_standby_was_cancelled_is_not_acknowledged() {
    let (upstream, pair) = (Recorder::ok(), Pair::start());
    let gate = builder(&upstream, &pair).user("alice", &[]).start();
    let mut alice = Client::new(&gate);
    let page = alice.open("/.sekisho/login");
    let form = form_with(&page, "password").with("login", "alice").with("password", PASSWORD);
    pair.standby.freeze();
    let waits = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let status = std::thread::scope(|scope| {
        let answer = scope.spawn(|| alice.send(&form).status);
        wait_until("it was cancelled", || {
            let cancelled = pair.primary.sql(&pair.database, waits) != "0";
            (cancelled || answer.is_finished()).then_some(())
        });
        wait_until("it is answered", || {
            pair.primary.sql(&pair.database, waits);
            answer.is_finished().then_some(())
        });
        answer.join().unwrap()
    });
    assert_eq!((status, alice.cookie("session")), (503, None));
    pair.standby.thaw();
    let back = poll(HEALED, || signs_in(&gate, "alice").then_some(()));
    assert!(back.is_some());
}
