//! Events: found by command, followed, exported, appended to a file that is rotated; and never a secret among them.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value as Json;

use crate::harness::{Builder, Client, PASSWORD, Process, Recorder, Sekisho, wait_until};

fn builder() -> Builder {
    Sekisho::builder().cheap_hashes().set("second_factor.policy", "off").upstream("http://127.0.0.1:9")
}

fn lines(text: &str) -> Vec<Json> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn export(gate: &Sekisho, args: &[&str]) -> Vec<Json> {
    let all: Vec<&str> = ["audit", "export"].into_iter().chain(args.iter().copied()).collect();
    let output = gate.cli(&all);
    assert!(output.status.success(), "{output:?}");
    lines(&String::from_utf8(output.stdout).unwrap())
}

fn in_file(gate: &Sekisho, name: &str) -> Vec<Json> {
    lines(&std::fs::read_to_string(gate.path(name)).unwrap_or_default())
}

fn ids(events: &[Json]) -> BTreeSet<String> {
    let ids: BTreeSet<String> = events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), events.len(), "an event stands twice");
    ids
}

#[test]
fn events_are_found_by_each_filter_beside_a_gateway_and_without_one() {
    let upstream = Recorder::ok();
    let mut gate = Sekisho::builder()
        .cheap_hashes()
        .route("{name: all, upstream: UPSTREAM, allow: {users: [bob]}}", &upstream.url())
        .user("alice", &[])
        .user("bob", &[])
        .start();
    let mut alice = Client::new(&gate);
    alice.sign_in_and_enrol(&gate, "alice");
    let denied = alice.get("/");
    assert_eq!(denied.status, 403);
    Client::new(&gate).give_password("nobody", PASSWORD);
    let alice_id = gate.cli_json(&["user", "show", "alice"])["id"].clone();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let search = |args: &[&str]| {
            let all: Vec<&str> = ["audit", "search"].into_iter().chain(args.iter().copied()).collect();
            gate.cli_json(&all).as_array().unwrap().clone()
        };
        let all = search(&[]);
        let of_alice = search(&["--user", "alice"]);
        assert!(!of_alice.is_empty() && of_alice.len() < all.len());
        assert!(of_alice.iter().all(|event| event["user_id"] == alice_id && event["login"] == "alice"));
        assert_eq!(search(&["--user", alice_id.as_str().unwrap()]), of_alice);
        let failed = search(&["--event", "login", "--result", "failure"]);
        assert_eq!((failed.len(), &failed[0]["login"], &failed[0]["user_id"]), (1, &"nobody".into(), &Json::Null));
        assert_eq!(failed[0]["reason"], "no such account");
        let denied = search(&["--event", "access_denied"]);
        assert_eq!((denied.len(), &denied[0]["route"], &denied[0]["actor_id"]), (1, &"all".into(), &alice_id));
        let signed_in = search(&["--event", "login", "--user", "alice"]);
        assert_eq!(denied[0]["session"], signed_in[0]["session"]);
        assert_eq!(search(&["--address", "127.0.0.0/8", "--text", "NOBODY"]), failed);
        assert!(search(&["--address", "192.0.2.1"]).is_empty());
        assert!(search(&["--until", "1h"]).is_empty());
        assert_eq!(search(&["--since", "1h"]), all);
        assert_eq!(search(&["--limit", "2"]), all[..2]);
        assert_eq!(search(&["--since", all[0]["time"].as_str().unwrap()])[0], all[0]);
        let mut oldest_first = all.clone();
        oldest_first.reverse();
        assert_eq!(export(&gate, &[]), oldest_first);
        assert_eq!(gate.cli_json(&["audit", "export"]), Json::Array(oldest_first));
        seen.push(all);
        if seen.len() == 1 {
            gate.stop();
        }
    }
    assert_eq!(seen[0], seen[1][seen[1].len() - seen[0].len()..]);
    let told = String::from_utf8(gate.cli(&["audit", "search", "--user", "alice"]).stdout).unwrap();
    assert!(told.starts_with("TIME (UTC)") && told.contains("access_denied") && !told.contains("nobody"), "{told}");
    for wrong in [["--event", "logn"], ["--since", "soon"], ["--address", "host"], ["--result", "maybe"]] {
        assert_eq!(gate.cli(&["audit", "search", wrong[0], wrong[1]]).status.code(), Some(2), "{wrong:?}");
    }
    let alone = gate.cli(&["audit", "follow"]);
    assert_eq!(alone.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&alone.stderr).contains("sekisho serve"), "{alone:?}");
}

#[test]
fn who_follows_sees_a_login_when_it_happens() {
    let gate = builder().user("alice", &[]).start();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho"));
    command.args(["audit", "follow", "--json", "--event", "login", "--config"]).arg(gate.config());
    let mut follower = Process::start("sekisho audit follow", &mut command);
    // It may not have asked yet: whoever follows sees what happens from then on.
    let first = wait_until("a login is seen", || {
        Client::new(&gate).give_password("alice", "Not-the-one-7");
        follower.lines().into_iter().find(|line| line.starts_with('{'))
    });
    let first: Json = serde_json::from_str(&first).unwrap();
    assert_eq!((&first["login"], &first["result"]), (&"alice".into(), &"failure".into()));
    Client::new(&gate).give_password("alice", PASSWORD);
    follower.wait_for("the right password is seen", |lines| {
        let seen = lines.iter().filter_map(|line| serde_json::from_str::<Json>(line).ok());
        seen.into_iter().find(|event| event["result"] == "success").filter(|event| event["event"] == "login")
    });
    assert!(follower.is_running());
}

#[test]
fn a_reader_that_leaves_ends_an_export() {
    let gate = builder().user("alice", &[]).start();
    (0..5).for_each(|_| drop(Client::new(&gate).give_password("nobody", PASSWORD)));
    let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho"));
    command.args(["audit", "export", "--config"]).arg(gate.config()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_file_has_every_event_once_over_rotations_and_restarts() {
    let mut gate = builder().user("alice", &[]).start();
    let attempts = |gate: &Sekisho| {
        for index in 0..15 {
            let login = format!("\u{202e}nobody{index}\"}}\n");
            Client::new(gate).give_password(&login, PASSWORD);
        }
    };
    for round in 0..3 {
        std::thread::scope(|scope| {
            let busy = scope.spawn(|| attempts(&gate));
            std::fs::rename(gate.path("audit.jsonl"), gate.path(&format!("audit.jsonl.{round}"))).unwrap();
            gate.signal(Signal::HUP);
            busy.join().unwrap();
        });
        wait_until("the file is there again", || gate.path("audit.jsonl").exists().then_some(()));
    }
    gate.restart();
    attempts(&gate);
    gate.stop();
    let all = export(&gate, &[]);
    let names = ["audit.jsonl.0", "audit.jsonl.1", "audit.jsonl.2", "audit.jsonl"];
    let written: Vec<Json> = names.iter().flat_map(|name| in_file(&gate, name)).collect();
    assert!(names.iter().all(|name| !in_file(&gate, name).is_empty()));
    assert_eq!(ids(&written), ids(&all));
    assert_eq!(all.len(), 64, "an account, four times fifteen attempts, and a reload by each signal");
    for event in &all {
        assert!(written.contains(event), "{event}");
        let bad = |text: &str| text.chars().any(|c| c.is_control() || c == '\u{202e}');
        assert!(event.as_object().unwrap().values().all(|value| !value.as_str().is_some_and(bad)), "{event}");
    }
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(gate.path("audit.jsonl")).unwrap().permissions());
    assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
}

#[test]
fn a_file_that_cannot_be_written_is_warned_of_and_holds_nobody_up() {
    let gate = builder().set("audit.file", "none/audit.jsonl").user("alice", &[]).start();
    let checked = gate.cli(&["check"]);
    assert!(checked.status.success());
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(said.contains("`audit.file`: there is no folder"), "{said}");
    Client::new(&gate).give_password("alice", PASSWORD);
    assert_eq!(gate.cli_json(&["session", "list"]).as_array().unwrap().len(), 1);
    assert!(gate.logs().iter().any(|line| line.contains("the audit file cannot be opened")));
}
