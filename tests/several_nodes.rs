//! Several gateways on one PostgreSQL: whatever happens on one holds on the others; and what happens while the database is away.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::harness::postgres::Server;
use crate::harness::{Builder, Client, PASSWORD, Recorder, Sekisho, form_with, poll, text, wait_until};

fn builder(upstream: &Recorder) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("lockout.per_address", "{max_failures: 100000, window: 1m}")
        .upstream(&upstream.url())
        .shared_database()
}

/// Two nodes, both serving.
fn two(builder: Builder) -> [Sekisho; 2] {
    let first = builder.start();
    let mut second = first.beside();
    second.serve();
    [first, second]
}

#[test]
fn a_login_that_was_begun_on_one_node_is_finished_on_another() {
    let upstream = Recorder::ok();
    let [a, b] = two(builder(&upstream).user("alice", &[]));
    let mut alice = Client::new(&a);
    let key = alice.sign_in_and_enrol(&a, "alice");
    alice.sign_out();
    let page = alice.give_password("alice", PASSWORD);
    alice.follow(&b);
    alice.give_code(&page, &a.fresh_code(&key), false);
    for node in [&b, &a] {
        alice.follow(node);
        assert_eq!(alice.get("/").text(), "ok");
    }
}

#[test]
fn what_ends_a_session_on_one_node_ends_it_on_the_other_within_a_second() {
    let upstream = Recorder::ok();
    let builder = builder(&upstream).set("second_factor.policy", "off").user("alice", &[]).user("bob", &[]);
    let [a, b] = two(builder.user("carol", &[]));
    type End<'e> = (&'e str, &'e dyn Fn(&mut Client));
    let ends: [End<'_>; 3] = [
        ("alice", &|client| drop(client.sign_out())),
        ("bob", &|_| assert!(a.cli(&["session", "end", "--user", "bob"]).status.success())),
        ("carol", &|_| assert!(a.cli(&["user", "disable", "carol"]).status.success())),
    ];
    for (login, end) in ends {
        let mut here = Client::new(&a);
        here.sign_in(&a, login, None);
        let mut there = here.copy();
        there.follow(&b);
        // Known there from memory.
        assert_eq!([there.get("/").status, there.get("/").status], [200, 200], "{login}");
        end(&mut here);
        let ended = Instant::now();
        let denied = poll(Duration::from_secs(5), || (there.get("/").status != 200).then(|| ended.elapsed()));
        assert!(denied.is_some_and(|after| after < Duration::from_secs(1)), "{login}: {denied:?}");
    }
}

#[test]
fn of_fifty_posts_of_one_code_over_two_nodes_one_is_in() {
    let upstream = Recorder::ok();
    let nodes = two(builder(&upstream).user("alice", &[]));
    let mut alice = Client::new(&nodes[0]);
    let key = alice.sign_in_and_enrol(&nodes[0], "alice");
    alice.sign_out();
    let ready: Vec<_> = (0..10)
        .map(|number| {
            let mut browser = Client::new(&nodes[number % 2]);
            let page = browser.give_password("alice", PASSWORD);
            (browser, form_with(&page, "code"))
        })
        .collect();
    let (code, start) = (nodes[0].fresh_code(&key), Barrier::new(50));
    let winners: usize = std::thread::scope(|scope| {
        let posts: Vec<_> = (0..50)
            .map(|number| {
                let (browser, form) = &ready[number % ready.len()];
                let (mut browser, form, start) = (browser.copy(), form.clone().with("code", &code), &start);
                // The same login at the other node half of the time.
                browser.follow(&nodes[number / 10 % 2]);
                scope.spawn(move || {
                    start.wait();
                    let answer = browser.send(&form);
                    assert!(answer.status < 500, "{}: {}", answer.status, text(&answer.text()));
                    usize::from(browser.cookie("session").is_some())
                })
            })
            .collect();
        posts.into_iter().map(|post| post.join().unwrap()).sum()
    });
    assert_eq!(winners, 1);
}

#[test]
fn wrong_passwords_count_over_all_nodes() {
    let upstream = Recorder::ok();
    let nodes = two(builder(&upstream).set("lockout.max_failures", "4").user("alice", &[]));
    for number in 0..4 {
        Client::new(&nodes[number % 2]).give_password("alice", "wrong-Password-1");
    }
    for node in &nodes {
        let mut alice = Client::new(node);
        let page = alice.give_password("alice", PASSWORD);
        assert_eq!((page.status, alice.cookie("session")), (401, None), "{}", text(&page.text()));
    }
}

/// The sections of the last warning that another node differs.
fn warned_of(node: &Sekisho) -> Option<String> {
    let warning = |line: &String| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let fields = &line["fields"];
        let warns = line["level"] == "WARN"
            && fields["message"] == "another node on this database has another configuration"
            && fields["node"].as_str().is_some_and(|name| !name.is_empty());
        warns.then(|| fields["sections"].as_str().unwrap().to_owned())
    };
    node.logs().iter().rev().find_map(warning)
}

#[test]
fn nodes_with_another_configuration_are_noticed_and_told_and_go_on_serving() {
    let upstream = Recorder::ok();
    let builder = builder(&upstream).set("server.metrics", "\"127.0.0.1:0\"").set("second_factor.policy", "off");
    let a = builder.user("alice", &[]).start();
    let mut b = a.beside();
    // Each machine's own.
    b.change("log.access", "off");
    b.change("server.workers", "1");
    b.serve();
    let figures = |node: &Sekisho| [node.sample("sekisho_nodes"), node.sample("sekisho_nodes_differing")];
    let all = |expected: [f64; 2]| {
        wait_until("both have noticed", || [&a, &b].iter().all(|node| figures(node) == expected).then_some(()));
    };
    all([2.0, 0.0]);
    assert_eq!((warned_of(&a), warned_of(&b)), (None, None));

    b.change("lockout.max_failures", "7");
    b.change("routes", &format!("[{{name: all, upstream: \"{}\", idle_timeout: 5m}}]", upstream.url()));
    b.reload();
    all([2.0, 1.0]);
    assert_eq!(
        (warned_of(&a).as_deref(), warned_of(&b).as_deref()),
        (Some("lockout, routes"), Some("lockout, routes"))
    );
    let listed = a.cli_json(&["store", "nodes"]);
    let mut differs: Vec<_> = listed.as_array().unwrap().iter().map(|node| node["differs"].clone()).collect();
    differs.sort_by_key(|sections| sections.as_array().unwrap().len());
    assert_eq!(differs, [serde_json::json!([]), serde_json::json!(["lockout", "routes"])], "{listed}");
    for node in [&a, &b] {
        Client::new(node).sign_in(node, "alice", None);
    }

    // The new one goes round.
    a.change("lockout.max_failures", "7");
    a.change("routes", &format!("[{{name: all, upstream: \"{}\", idle_timeout: 5m}}]", upstream.url()));
    a.reload();
    all([2.0, 0.0]);
    let table = String::from_utf8(a.cli(&["store", "nodes"]).stdout).unwrap();
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(!table.contains("lockout"), "{table}");
    b.stop();
    wait_until("it is gone", || (a.sample("sekisho_nodes") == 1.0).then_some(()));
}

#[test]
fn a_store_that_is_the_machines_own_is_said_to_have_no_other_nodes() {
    let builder = Sekisho::builder();
    let store = format!("{{path: {:?}}}", builder.folder().join("store"));
    let builder = builder.set("store", &store).upstream("http://127.0.0.1:9");
    let mut gate = builder.cheap_hashes().user("alice", &[]).prepare();
    let is_said = |gate: &Sekisho| {
        assert_eq!(gate.cli_json(&["store", "nodes"]), serde_json::json!([]));
        let output = gate.cli(&["store", "nodes"]);
        let told = String::from_utf8(output.stdout).unwrap();
        assert_eq!(told, "there are no other nodes: the store is this machine's alone\n");
    };
    gate.serve();
    is_said(&gate);
    gate.stop();
    is_said(&gate);
}

#[test]
fn with_the_database_away_those_who_are_known_go_on_for_a_while_and_all_heals_by_itself() {
    let upstream = Recorder::ok();
    let server = Server::start();
    let gate = Sekisho::builder()
        .cheap_hashes()
        .upstream(&upstream.url())
        .database(&server.url(&server.database()))
        .set("store.stale_for", "6s")
        .set("second_factor.policy", "off")
        .user("alice", &[])
        .user("bob", &[])
        .start();
    let mut alice = Client::new(&gate);
    alice.sign_in(&gate, "alice", None);
    let mut bob = Client::new(&gate);
    let login = bob.open("/");
    server.stop();
    let away = Instant::now();
    // Nobody new gets in, and is told so at once.
    let form = form_with(&login, "password").with("login", "bob").with("password", PASSWORD);
    let refused = bob.send(&form);
    assert_eq!(refused.status, 503, "{}", text(&refused.text()));
    assert!(away.elapsed() < Duration::from_secs(5), "{:?}", away.elapsed());
    let mut asked = 0;
    while away.elapsed() < Duration::from_secs(4) {
        assert_eq!(alice.get("/").text(), "ok", "after {:?}", away.elapsed());
        asked += 1;
    }
    assert!(asked > 10);
    wait_until("it is closed", || (alice.get("/").status == 503).then_some(()));
    assert!(away.elapsed() < Duration::from_secs(12), "{:?}", away.elapsed());
    assert!(alice.cookie("session").is_some(), "the session was not ended");

    server.go_on();
    let back = Instant::now();
    wait_until("alice goes on", || (alice.get("/").text() == "ok").then_some(()));
    wait_until("bob gets in", || {
        let mut bob = Client::new(&gate);
        bob.give_password("bob", PASSWORD);
        bob.cookie("session").map(drop)
    });
    assert!(back.elapsed() < Duration::from_secs(10), "{:?}", back.elapsed());
}

#[test]
fn an_upgrade_leaves_sessions_as_they_are_and_the_old_process_ends() {
    let upstream = Recorder::ok();
    let mut gate = builder(&upstream).set("second_factor.policy", "off").user("alice", &[]).start();
    let mut alice = Client::new(&gate);
    alice.sign_in(&gate, "alice", None);
    gate.upgrade();
    assert_eq!(alice.get("/").text(), "ok");
    gate.wait_for_predecessors();
    assert_eq!(alice.get("/").text(), "ok");
    alice.sign_out();
    assert_ne!(alice.get("/").status, 200);
}

#[test]
fn accounts_move_from_the_embedded_store_into_a_database_and_back() {
    let sled =
        Sekisho::builder().cheap_hashes().upstream("http://127.0.0.1:9").set("store", "{engine: sled, path: store}");
    let sled = sled.user("alice", &["--group", "ops"]).user("bob", &["--role", "admin"]).prepare();
    let file = |gate: &Sekisho, name: &str| gate.path(name).to_str().unwrap().to_owned();
    let first = file(&sled, "export-1");
    assert!(sled.cli(&["store", "export", &first]).status.success());

    let server = Server::shared();
    let database = Sekisho::builder().cheap_hashes().upstream("http://127.0.0.1:9");
    let database = database.database(&server.url(&server.database())).write_only();
    std::fs::copy(sled.path("secret.key"), database.path("secret.key")).unwrap();
    let taken = database.cli_json(&["store", "import", &first]);
    assert_eq!(taken["in_export"], taken["in_store"]);
    assert_eq!(taken["in_store"]["user"], 2);
    let again = database.cli(&["store", "import", &first]);
    assert_eq!(again.status.code(), Some(1), "into one that is there: {again:?}");
    assert_eq!(database.cli_json(&["store", "verify"])["problem_count"], 0);
    assert_eq!(database.cli_json(&["user", "list"]), sled.cli_json(&["user", "list"]));
    assert!(database.cli(&["store", "sweep"]).status.success());

    let second = file(&database, "export-2");
    assert!(database.cli(&["store", "export", &second]).status.success());
    let home =
        Sekisho::builder().cheap_hashes().upstream("http://127.0.0.1:9").set("store", "{engine: sled, path: store}");
    let home = home.write_only();
    std::fs::copy(sled.path("secret.key"), home.path("secret.key")).unwrap();
    let back = home.cli_json(&["store", "import", &second]);
    assert_eq!((&back["in_store"], &back["in_export"]), (&taken["in_store"], &taken["in_store"]));
    assert_eq!(home.cli_json(&["user", "list"]), sled.cli_json(&["user", "list"]));
}
