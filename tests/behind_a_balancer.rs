//! Three nodes on one database behind nginx, which asks them by turns and knows nobody: configured as `docs/postgresql.md` says, but for
//! addresses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::harness::nginx::{Nginx, documented};
use crate::harness::{Builder, Load, PASSWORD, Recorder, Sekisho, poll, text, wait_until};
use crate::single_use::{ROUNDS, Ready, one_is_in, post_all};

const HOST: &str = "tool.example.com";

fn builder(upstream: &Recorder) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("server.trusted_proxies", "[127.0.0.1]")
        .set("server.metrics", "\"127.0.0.1:0\"")
        .set("lockout.per_address", "{max_failures: 100000, window: 1m}")
        .route(&format!("{{name: tool, host: {HOST}, upstream: UPSTREAM}}"), &upstream.url())
        .shared_database()
}

/// Three nodes that serve, and what stands before them.
fn three(builder: Builder) -> ([Sekisho; 3], Nginx) {
    let first = builder.start();
    let [mut second, mut third] = [first.beside(), first.beside()];
    second.serve();
    third.serve();
    let nodes = [first, second, third];
    let blocks = documented("postgresql.md");
    let [upstream, location] = &blocks[..] else { panic!("two blocks are nginx's: {blocks:?}") };
    let site = documented("behind-nginx.md").remove(0);
    let site = site.replace("        proxy_pass http://127.0.0.1:8080;\n", location);
    let mut upstream = upstream.clone();
    for (number, node) in nodes.iter().enumerate() {
        let documented = format!("10.0.1.2{}:8080", number + 1);
        assert!(upstream.contains(&documented), "{upstream}");
        upstream = upstream.replace(&documented, &node.address().to_string());
    }
    assert!(site.contains("proxy_pass http://sekisho;"), "{site}");
    let nginx = Nginx::start(HOST, &format!("{upstream}\n{site}"));
    (nodes, nginx)
}

fn requests(node: &Sekisho, route: &str, outcome: &str) -> f64 {
    node.sample(&format!("sekisho_requests_total{{outcome={outcome:?},route={route:?}}}"))
}

#[test]
fn people_sign_in_and_out_over_three_nodes_by_turns() {
    let upstream = Recorder::ok();
    let (nodes, nginx) = three(builder(&upstream).user("alice", &[]));
    let mut alice = nginx.client(&nodes[0]);
    let key = alice.sign_in_and_enrol(&nodes[0], "alice");
    alice.sign_out();
    alice.sign_in(&nodes[0], "alice", Some(&key));
    for _ in 0..9 {
        assert_eq!(alice.get("/").text(), "ok");
    }
    for node in &nodes {
        assert!(requests(node, "tool", "forwarded_2xx") >= 3.0 && requests(node, "(portal)", "page") >= 1.0);
    }
    let mut thief = alice.copy();
    alice.sign_out();
    let ended = Instant::now();
    // As many in a row as there are nodes: none of them lets in any more.
    let mut refused = 0;
    let out = poll(Duration::from_secs(5), || {
        refused = if thief.get("/").status == 200 { 0 } else { refused + 1 };
        (refused == nodes.len()).then(|| ended.elapsed())
    });
    assert!(out.is_some_and(|after| after < Duration::from_secs(1)), "{out:?}");
}

#[test]
fn of_fifty_posts_of_one_code_over_three_nodes_one_is_in() {
    let upstream = Recorder::ok();
    let (nodes, nginx) = three(builder(&upstream).clock().user("alice", &[]));
    let mut alice = nginx.client(&nodes[0]);
    let key = alice.sign_in_and_enrol(&nodes[0], "alice");
    alice.sign_out();
    for round in 0..ROUNDS {
        let ready = (0..5)
            .map(|_| Ready::with(nginx.client(&nodes[0]), "alice", "/.sekisho/second-factor"))
            .collect::<Vec<_>>();
        one_is_in(post_all(&ready, &nodes[0].fresh_code(&key)), round);
    }
    for node in &nodes {
        assert!(requests(node, "(portal)", "page") >= 300.0, "posts went to each of them");
    }
}

#[test]
fn failures_count_over_all_nodes_for_an_account_and_for_an_address() {
    let upstream = Recorder::ok();
    let limits =
        "{max_failures: 3, window: 15m, duration: 15m, max_in_row: 100, per_address: {max_failures: 8, window: 15m}}";
    let (nodes, nginx) = three(builder(&upstream).set("lockout", limits).user("alice", &[]).user("bob", &[]));
    let attempt = |login: &str, password: &str| {
        let mut browser = nginx.client(&nodes[0]);
        let page = browser.give_password(login, password);
        assert!(browser.cookie("session").is_none());
        (page.status, text(&page.text()))
    };
    for _ in 0..3 {
        assert_eq!(attempt("alice", "wrong-Password-1").0, 401);
    }
    // Locked, on whichever node she comes to; and what is right is not told from what is wrong.
    for _ in 0..3 {
        assert_eq!(attempt("alice", PASSWORD).0, 401);
    }
    for number in 0..2 {
        assert_eq!(attempt(&format!("nobody{number}"), PASSWORD).0, 401);
    }
    for _ in 0..3 {
        let (status, page) = attempt("bob", PASSWORD);
        assert_eq!(status, 429, "{page}");
    }
}

/// What is in flight at the node that dies is counted, and so is every answer.
#[test]
fn a_node_that_is_killed_costs_the_posts_that_were_in_flight_there_and_nothing_else() {
    const HELD: usize = 12;
    let released = Arc::new(AtomicBool::new(false));
    let upstream = Recorder::with({
        let released = Arc::clone(&released);
        move |request, stream| {
            if request.target() == "/held" {
                wait_until("it is released", || released.load(Ordering::SeqCst).then_some(()));
            }
            std::io::Write::write_all(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok()
        }
    });
    let (mut nodes, nginx) = three(builder(&upstream).set("second_factor.policy", "off").user("alice", &[]));
    let mut alice = nginx.client(&nodes[0]);
    alice.sign_in(&nodes[0], "alice", None);
    let held = |method: &'static str| {
        let posts = (0..HELD).map(|_| {
            let mut browser = alice.copy();
            let body = if method == "POST" { b"x".as_slice() } else { b"" };
            std::thread::spawn(move || browser.request(method, "/held", "", body).status)
        });
        posts.collect::<Vec<_>>()
    };
    let reached = |method: &str| {
        let line = format!("{method} /held HTTP/1.1");
        upstream.requests().iter().filter(|request| request.line == line).count()
    };
    let in_flight =
        |nodes: &[Sekisho; 3]| nodes.each_ref().map(|node| node.sample("sekisho_requests_in_flight") as usize);
    let posts = held("POST");
    wait_until("the posts are at the tool", || (reached("POST") == HELD).then_some(()));
    let posts_at = in_flight(&nodes);
    let gets = held("GET");
    wait_until("the reads are at the tool", || (reached("GET") == HELD).then_some(()));
    let all_at = in_flight(&nodes);
    assert_eq!((posts_at.iter().sum::<usize>(), all_at.iter().sum::<usize>()), (HELD, 2 * HELD));
    let (posts_lost, gets_moved) = (posts_at[1], all_at[1] - posts_at[1]);
    assert!(posts_lost > 0 && gets_moved > 0, "{posts_at:?} {all_at:?}");

    let load = (0..6).fold(Load::new(), |load, _| load.kept_on_its_way(&alice));
    load.goes_on_for(30);
    nodes[1].keep_its_address();
    nodes[1].kill();
    load.goes_on_for(100);
    wait_until("the reads are made elsewhere", || (reached("GET") == HELD + gets_moved).then_some(()));
    released.store(true, Ordering::SeqCst);
    let statuses = |threads: Vec<std::thread::JoinHandle<u16>>| {
        let mut all: Vec<u16> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(statuses(gets), [200; HELD]);
    assert_eq!(statuses(posts), [vec![200; HELD - posts_lost], vec![502; posts_lost]].concat());
    assert_eq!(reached("POST"), HELD, "none was sent twice");

    // It comes back, and gets its share again.
    nodes[1].serve();
    wait_until("it is asked again", || (requests(&nodes[1], "tool", "forwarded_2xx") > 10.0).then_some(()));
    load.goes_on_for(30);
    assert!(load.done() > 800, "not one went wrong");
}
