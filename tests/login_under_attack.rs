//! The login under attack (A26–A28): what it tells, how often one may guess, what it reads. What it bears at once stands in
//! `login_storm`.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::second_step::asked_for;
use crate::harness::{
    Builder, Client, Conn, MailServer, PASSWORD, Recorder, Response, Sekisho, form_with, text, wait_until,
};

const API: &str = "/.sekisho/api/login";
const WRONG: &str = "Wrong-horse-8";
const OLD: &str = "old Pässword 7";
const QUARTER: Duration = Duration::from_secs(15 * 60 + 1);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn builder(upstream: &Recorder) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .upstream(&upstream.url())
        .set("server.metrics", "\"127.0.0.1:0\"")
        .set("second_factor.policy", "off")
}

/// A figure of `/metrics`, by its whole name.
#[track_caller]
pub fn figure(gate: &Sekisho, name: &str) -> u64 {
    let mut conn = Conn::plain(gate.metrics_address());
    conn.send("GET /metrics HTTP/1.1\r\nHost: metrics\r\n\r\n");
    let all = conn.response().text();
    let value = all.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {all}"))
}

/// How many passwords were hashed, once no thread is at one any more.
#[track_caller]
fn hashed(gate: &Sekisho) -> u64 {
    wait_until("every password is hashed", || {
        let under_way = figure(gate, "sekisho_hash_waiting") + figure(gate, "sekisho_hash_threads_busy");
        (under_way == 0).then_some(())
    });
    figure(gate, "sekisho_hash_duration_seconds_count")
}

/// A login through a trusted proxy, which says that it comes from `address`.
#[track_caller]
fn from(gate: &Sekisho, address: &str, login: &str, password: &str) -> Response {
    gate.secrets().add(password);
    let headers = format!(
        "X-Forwarded-For: {address}\r\nX-Forwarded-Proto: https\r\nAccept: application/json\r\n\
         Content-Type: application/json\r\n"
    );
    Client::new(gate).request(
        "POST",
        API,
        &headers,
        json!({"login": login, "password": password}).to_string().as_bytes(),
    )
}

/// How many passwords of this account were judged and wrong.
fn judged(gate: &Sekisho, login: &str) -> usize {
    let events = gate.cli_json(&["audit", "search", "--user", login, "--limit", "1000"]);
    events.as_array().unwrap().iter().filter(|event| event["reason"] == "wrong password").count()
}

/// An answer without what differs between any two.
fn shape(answer: &Response) -> (u16, Vec<String>, usize, String) {
    let header = |(name, value): &(String, String)| match name.to_ascii_lowercase().as_str() {
        "date" | "x-request-id" | "content-security-policy" => name.clone(),
        "set-cookie" => format!("{name}: {}", value.split_once('=').map_or(value.as_str(), |(name, _)| name)),
        _ => format!("{name}: {value}"),
    };
    (answer.status, answer.headers.iter().map(header).collect(), answer.body.len(), text(&answer.text()))
}

/// Accounts of every kind that is let in by no password, each with what is typed for it. All but one have the right one.
fn closed_doors(gate: &Sekisho) -> Vec<(&'static str, &'static str)> {
    let bcrypt = std::process::Command::new("htpasswd").args(["-nbB", "bcrypt", OLD]).output().unwrap();
    let list = gate.path("old.htpasswd");
    std::fs::write(&list, bcrypt.stdout).unwrap();
    gate.secrets().add(OLD);
    assert!(gate.cli(&["user", "import", list.to_str().unwrap()]).status.success());
    assert!(gate.cli(&["user", "disable", "disabled"]).status.success());
    for login in ["locked", "bcrypt"] {
        for _ in 0..100 {
            from(gate, "192.0.2.1", login, WRONG);
        }
    }
    vec![
        ("nobody", PASSWORD),
        ("no such login!", PASSWORD),
        ("alice", WRONG),
        ("disabled", PASSWORD),
        ("locked", PASSWORD),
        ("bcrypt", OLD),
    ]
}

/// As many failures as the test makes; what is locked was locked by a hundred in a row.
fn without_time(upstream: &Recorder) -> Builder {
    builder(upstream)
        .set("server.trusted_proxies", "[127.0.0.1]")
        .set("lockout", "{max_failures: 100, window: 1s, per_address: {max_failures: 1000000}}")
        .user("alice", &["--email", "alice@example.com"])
        .user("disabled", &["--email", "disabled@example.com"])
        .user("locked", &["--email", "locked@example.com"])
}

#[test]
fn a26_whatever_is_wrong_with_a_login_the_answer_and_its_cost_are_the_same() {
    let upstream = Recorder::ok();
    let gate = without_time(&upstream).start();
    let doors = closed_doors(&gate);
    let mut pages = Vec::new();
    let mut answers = Vec::new();
    for (login, password) in doors {
        let before = hashed(&gate);
        let mut browser = Client::new(&gate);
        let form = form_with(&browser.open("/.sekisho/login?return_to=/x"), "password");
        let page = browser.send(&form.with("login", login).with("password", password));
        pages.push((login, shape(&page), hashed(&gate) - before));
        let answer = from(&gate, "192.0.2.2", login, password);
        answers.push((login, shape(&answer), hashed(&gate) - before));
    }
    for all in [pages, answers] {
        let (first, shape, cost) = &all[0];
        assert_eq!(shape.0, 401, "{shape:?}");
        for other in &all {
            assert_eq!((&other.1, &other.2), (shape, cost), "{first} and {}", other.0);
        }
    }
}

#[test]
fn a26_whoever_asks_for_a_link_gets_the_same_answer_for_every_account() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = without_time(&upstream).mail(&mail).start();
    closed_doors(&gate);
    let answers = ["nobody", "no such login!", "alice", "disabled", "locked", "bcrypt"].map(|who| {
        let mut browser = Client::new(&gate);
        let form = form_with(&browser.open("/.sekisho/password/forgot"), "who").with("who", who);
        (who, shape(&browser.send(&form)))
    });
    for (who, answer) in &answers {
        assert_eq!(answer, &answers[0].1, "{who}");
    }
}

/// Taken in turns, so that whatever else the machine does hits all alike. The long run takes five hundred of each and is strict;
/// the ordinary one would see no more than a hash that is left out or made twice, at that cost.
#[test]
fn a26_whatever_is_wrong_with_a_login_it_takes_as_long() {
    let long = std::env::var_os("SEKISHO_LONG_TESTS").is_some();
    let rounds = if long { 500 } else { 12 };
    let upstream = Recorder::ok();
    let gate = without_time(&upstream).set("password.argon2", "{memory: 19MiB, iterations: 2, parallelism: 1}").start();
    let doors = closed_doors(&gate);
    let mut taken = vec![Duration::ZERO; doors.len()];
    for round in 0..rounds {
        if round % 50 == 0 {
            // So that alice's row never ends in a lock.
            assert_eq!(from(&gate, "192.0.2.3", "alice", PASSWORD).status, 200);
        }
        for (door, (login, password)) in doors.iter().enumerate() {
            let began = Instant::now();
            assert_eq!(from(&gate, "192.0.2.3", login, password).status, 401);
            taken[door] += began.elapsed();
        }
    }
    let means: Vec<_> = taken.iter().zip(&doors).map(|(taken, door)| (*taken / rounds, door.0)).collect();
    println!("{means:?}");
    let (most, least) = (means.iter().max().unwrap().0, means.iter().min().unwrap().0);
    let bound = if long { Duration::from_millis(5) } else { Duration::from_millis(50) + least };
    assert!(most - least < bound, "{means:?}");
}

#[test]
fn a27_a_hundred_and_one_wrong_passwords_in_every_spelling_from_as_many_addresses_meet_one_count() {
    let upstream = Recorder::ok();
    let mut gate = builder(&upstream)
        .set("server.trusted_proxies", "[127.0.0.1]")
        .user("alice", &["--email", "alice@example.com"])
        .clock()
        .start();
    // Neither of these is her login, so they are no way around her count either.
    for other in ["alice@example.com", "ａｌｉｃｅ"] {
        assert_eq!(from(&gate, "203.0.113.1", other, PASSWORD).status, 401, "{other}");
    }
    let spellings = ["alice", "Alice", "alice ", "\u{3000}aLICE", "alice@example.com", "ａｌｉｃｅ", "ALICE\t"];
    for number in 1..=101 {
        let answer = from(&gate, &format!("198.51.100.{number}"), spellings[number % spellings.len()], WRONG);
        assert_eq!((answer.status, &answer.json()["code"]), (401, &json!("invalid_credentials")));
    }
    assert_eq!(judged(&gate, "alice"), 5);
    for restarted in [false, true] {
        if restarted {
            gate.kill();
            gate.serve();
        }
        for spelling in spellings {
            assert_eq!(from(&gate, "203.0.113.2", spelling, PASSWORD).status, 401, "{spelling}");
        }
    }
    // However long somebody goes on, a hundred are judged in all (SP 800-63B-4 §3.2.2), and then none, right or wrong.
    for window in 0..25 {
        gate.advance(QUARTER);
        for number in 1..=6 {
            from(&gate, &format!("2001:db8:{window:x}:{number}::1"), spellings[number % 4], WRONG);
        }
    }
    assert_eq!(judged(&gate, "alice"), 100);
    gate.kill();
    gate.serve();
    gate.advance(DAY);
    assert_eq!(from(&gate, "203.0.113.3", "alice", PASSWORD).status, 401);
    assert!(gate.cli(&["user", "unlock", "alice"]).status.success());
    assert_eq!(from(&gate, "203.0.113.3", "alice", PASSWORD).status, 200);
}

#[test]
fn a27_an_address_that_tries_many_accounts_waits_and_an_owner_behind_it_does_not() {
    let upstream = Recorder::ok();
    let mut gate = builder(&upstream)
        .tls(&["app.test"])
        .set("server.trusted_proxies", "[127.0.0.1]")
        .set("second_factor.policy", "required")
        .set("lockout.per_address.max_failures", "20")
        .user("alice", &[])
        .user("bob", &[])
        .clock()
        .start();
    // An office behind one address: alice's browser is known, and right passwords are never counted.
    let mut alice = Client::tls(&gate, "app.test");
    alice.sign_in_enrol_and_remember(&gate, "alice");
    alice.sign_out();
    for _ in 0..25 {
        assert_eq!(Client::tls(&gate, "app.test").give_password("bob", PASSWORD).status, 200);
    }
    for number in 0..20 {
        let answer = from(&gate, "127.0.0.1", &format!("user{number}"), WRONG);
        assert_eq!(answer.status, 401, "{number}");
    }
    for restarted in [false, true] {
        if restarted {
            gate.kill();
            gate.serve();
            alice.follow(&gate);
        }
        let before = hashed(&gate);
        let answer = from(&gate, "127.0.0.1", "bob", PASSWORD);
        assert_eq!((answer.status, &answer.json()["code"]), (429, &json!("too_many_attempts")));
        for (language, words) in [("en", "Too many tries. Wait 15"), ("ja", "試行回数が多すぎます")] {
            let mut bob = Client::tls(&gate, "app.test");
            bob.language = language.to_owned();
            let page = bob.give_password("bob", PASSWORD);
            assert_eq!((page.status, asked_for(&page)), (429, "password"));
            assert!(page.header("retry-after").is_some_and(|wait| (1..=900).contains(&wait.parse::<u32>().unwrap())));
            assert!(text(&page.text()).contains(words), "{}", text(&page.text()));
        }
        assert_eq!(hashed(&gate), before, "nothing is hashed for it");
        assert_eq!(alice.give_password("alice", PASSWORD).text(), "ok");
        alice.sign_out();
        assert_eq!(from(&gate, "203.0.113.9", "bob", PASSWORD).status, 403, "elsewhere goes on, to an app");
    }
    gate.advance(QUARTER);
    assert_eq!(from(&gate, "127.0.0.1", "bob", PASSWORD).status, 403);
}

#[test]
fn a27_nobody_gets_another_address_by_saying_so_and_an_ipv6_network_is_one() {
    let upstream = Recorder::ok();
    let build =
        || builder(&upstream).tls(&["app.test"]).set("lockout.per_address.max_failures", "3").user("alice", &[]);
    let tried = |gate: &Sekisho, headers: &dyn Fn(usize) -> String| -> Vec<u16> {
        let tries = (0..5).map(|number| {
            let headers = format!("{}Accept: application/json\r\nContent-Type: application/json\r\n", headers(number));
            let body = json!({"login": format!("user{number}"), "password": WRONG}).to_string();
            Client::tls(gate, "app.test").request("POST", API, &headers, body.as_bytes()).status
        });
        tries.collect()
    };
    let counted = [401, 401, 401, 429, 429];
    let gate = build().start();
    let forged = |number| format!("X-Forwarded-For: 198.51.100.{number}\r\nX-Real-IP: 198.51.100.{number}\r\n");
    assert_eq!(tried(&gate, &forged), counted, "from somebody who is no trusted proxy");
    let gate = build().set("server.trusted_proxies", "[127.0.0.1]").start();
    let before_it = |number| format!("X-Forwarded-For: 203.0.113.{number}, 198.51.100.7\r\n");
    assert_eq!(tried(&gate, &before_it), counted, "what stood there before the proxy added its own");
    let network = |number| format!("X-Forwarded-For: 2001:db8:7:7:{number}::{number}\r\n");
    assert_eq!(tried(&gate, &network), counted, "one network of IPv6");
    let networks = |number| format!("X-Forwarded-For: 2001:db8:8:{number}::1\r\n");
    assert_eq!(tried(&gate, &networks), [401; 5]);
}

#[test]
fn a28_a_long_password_counts_to_its_last_character_and_blanks_are_kept() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).user("alice", &[]).start();
    let sixty_four = format!("Aa1{}", "x".repeat(61));
    let two_hundred_fifty_six_bytes = format!("Aa1é{}éZ99", "字".repeat(82));
    assert_eq!((sixty_four.len(), two_hundred_fifty_six_bytes.len()), (64, 256));
    for password in
        [sixty_four.as_str(), &two_hundred_fifty_six_bytes, "  Quiet river 22  ", "\u{3000}Quiet-river-22\u{3000}"]
    {
        let set = gate.cli_with_input(&["user", "passwd", "alice", "--password-stdin"], &format!("{password}\n"));
        assert!(set.status.success(), "{password}: {set:?}");
        let all_but_one = &password[..password.char_indices().next_back().unwrap().0];
        for wrong in [all_but_one, password.trim(), &password.to_lowercase(), &format!("{password} ")] {
            if wrong != password {
                assert_eq!(asked_for(&Client::new(&gate).give_password("alice", wrong)), "password", "{wrong}");
            }
        }
        assert!(gate.cli(&["user", "unlock", "alice"]).status.success());
        assert_eq!(Client::new(&gate).give_password("alice", password).text(), "ok", "{password}");
    }
}

#[test]
fn a28_a_password_that_nobody_can_have_is_refused_before_it_is_there_and_never_hashed() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).user("alice", &[]).start();
    let mut browser = Client::new(&gate);
    let form = form_with(&browser.open("/.sekisho/login"), "password").with("login", "alice");
    let before = hashed(&gate);
    for length in [257, 60 * 1024] {
        let began = Instant::now();
        let page = browser.copy().send(&form.clone().with("password", &"x".repeat(length)));
        println!("{length} characters: {} in {:?}", page.status, began.elapsed());
        assert_eq!((page.status, asked_for(&page)), (401, "password"), "{length}");
        let answer = browser.copy().post_json(API, &json!({"login": "alice", "password": "x".repeat(length)}));
        assert_eq!(answer.status, 401, "{length}");
    }
    // Of a mebibyte nothing has to come at all: its length is enough.
    for (path, kind) in [("/.sekisho/login", "application/x-www-form-urlencoded"), (API, "application/json")] {
        let began = Instant::now();
        let mut conn = browser.connect();
        conn.send(format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nOrigin: http://{0}\r\nContent-Type: {kind}\r\nContent-Length: 1048576\r\n\r\n",
            browser.host
        ));
        let answer = conn.response();
        println!("1 MiB to {path}: {} in {:?}", answer.status, began.elapsed());
        assert_eq!(answer.status, 413, "{path}");
        // And without a length, no more of it is read than a form may have.
        let mut conn = browser.connect();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nOrigin: http://{0}\r\nContent-Type: {kind}\r\n\
             Transfer-Encoding: chunked\r\n\r\n100000\r\n",
            browser.host
        );
        let _ = conn.try_send(&[head.as_bytes(), &[b'x'; 1024 * 1024]].concat());
        assert_eq!(conn.response().status, 413, "{path}, chunked");
    }
    assert_eq!(hashed(&gate), before);
}
