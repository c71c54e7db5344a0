//! Accounts from other gates: lists made by the real tools go in, the old passwords work, and are hashed anew at the first login.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::harness::{Builder, Client, PASSWORD, Recorder, Sekisho, form_with, text};

const OLD: &str = "old Pässword 7";

fn builder(upstream: &Recorder) -> Builder {
    Sekisho::builder().cheap_hashes().set("second_factor.policy", "off").upstream(&upstream.url())
}

/// What a tool from a Debian package prints; `password` goes to its standard input.
#[track_caller]
fn tool(command: &str, args: &[&str], password: &str) -> String {
    let mut child = Command::new(command)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{command}: {error} (is its Debian package installed?)"));
    child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The line of `login`, as htpasswd makes it.
#[track_caller]
fn htpasswd(option: &str, login: &str, password: &str) -> String {
    tool("htpasswd", &["-n", "-i", option, login], password)
}

fn argon2(password: &str) -> String {
    tool("argon2", &["somesalt16bytes!", "-id", "-k", "16384", "-t", "3", "-p", "4", "-e"], password)
}

/// Every way in which htpasswd hashes a password, by the login that has it; two of them are refused.
fn every_htpasswd() -> String {
    let options = [
        ("bcrypt", "-B"),
        ("apr1", "-m"),
        ("sha1", "-s"),
        ("sha256", "-2"),
        ("sha512", "-5"),
        ("des", "-d"),
        ("plain", "-p"),
    ];
    let mut list = "# made by htpasswd\n".to_owned();
    for (login, option) in options {
        writeln!(list, "{}", htpasswd(option, login, OLD)).unwrap();
    }
    list
}

fn write(gate: &Sekisho, name: &str, text: &str) -> String {
    let file = gate.path(name);
    std::fs::write(&file, text).unwrap();
    // Neither a hash nor a password of the list may be logged.
    for secret in text.split([':', '\'', '\n']).filter(|part| part.starts_with(['$', '{']) || *part == OLD) {
        gate.secrets().add(secret);
    }
    file.to_str().unwrap().to_owned()
}

fn rows(output: &Output) -> Vec<Json> {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Sends the password form; whether it signed in.
fn signs_in(gate: &Sekisho, login: &str, password: &str) -> bool {
    let mut browser = Client::new(gate);
    browser.give_password(login, password);
    browser.cookie("session").is_some()
}

#[test]
fn every_hash_of_htpasswd_goes_in_works_and_is_renewed_or_is_refused_with_its_reason() {
    let upstream = Recorder::ok();
    let mut gate = builder(&upstream).prepare();
    let list = write(&gate, "staff.htpasswd", &every_htpasswd());

    // First without a gateway, and only to see.
    let rehearsed = gate.cli(&["user", "import", &list, "--dry-run"]);
    let said = String::from_utf8_lossy(&rehearsed.stdout).into_owned();
    assert!(said.contains("htpasswd: 5 would be added, 0 there already, 2 refused"), "{said}");
    assert!(!gate.path("store").exists(), "a rehearsal makes no store");

    let output =
        gate.cli(&["user", "import", &list, "--group", "staff", "--group", "ops", "--role", "viewer", "--json"]);
    assert_eq!(output.status.code(), Some(1), "two were refused: {output:?}");
    let rows = rows(&output);
    let of = |login: &str| rows.iter().find(|row| row["login"] == login).unwrap();
    for (login, scheme) in [
        ("bcrypt", "bcrypt"),
        ("apr1", "apr1"),
        ("sha1", "sha1"),
        ("sha256", "sha256-crypt"),
        ("sha512", "sha512-crypt"),
    ] {
        assert_eq!((&of(login)["outcome"], &of(login)["hash"]), (&json!("added"), &json!(scheme)));
    }
    assert_eq!((&of("des")["line"], &of("des")["outcome"]), (&json!(7), &json!("refused")));
    assert!(of("des")["reason"].as_str().unwrap().contains("first 8 characters"), "{}", of("des"));
    assert!(of("plain")["reason"].as_str().unwrap().contains("plain text"), "{}", of("plain"));
    assert!(!String::from_utf8_lossy(&output.stdout).contains(OLD));

    let account = gate.cli_json(&["user", "show", "apr1"]);
    assert_eq!((&account["groups"], &account["role"]), (&json!(["ops", "staff"]), &json!("viewer")));
    assert_eq!(account["password_set"], true);

    gate.serve();
    for login in ["bcrypt", "apr1", "sha1", "sha256", "sha512"] {
        assert!(!signs_in(&gate, login, &format!("{OLD} ")), "{login}: a wrong one");
        assert!(signs_in(&gate, login, OLD), "{login}");
        assert!(signs_in(&gate, login, OLD), "{login}: renewed");
        assert!(!signs_in(&gate, login, PASSWORD), "{login}: a wrong one");
    }
    gate.stop();
    // Nothing of the old hashes is left in what the store says now.
    let store = gate.cli_json(&["user", "list"]);
    assert_eq!(store.as_array().unwrap().len(), 5);
}

#[test]
fn who_is_there_already_is_never_overwritten_while_the_gateway_runs() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).user("ann", &["--role", "admin"]).start();
    let text = format!("{}\n{}\n", htpasswd("-m", "Ann", OLD), htpasswd("-m", "Ben", OLD));
    let list = write(&gate, "list", &text);
    let rehearsed = gate.cli(&["user", "import", &list, "--dry-run", "--json"]);
    assert!(rehearsed.status.success(), "{rehearsed:?}");
    assert_eq!(rows(&rehearsed).iter().map(|row| &row["outcome"]).collect::<Vec<_>>(), ["exists", "added"]);
    assert!(!gate.cli(&["user", "show", "ben"]).status.success(), "a rehearsal adds nobody");

    let output = gate.cli(&["user", "import", &list]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("htpasswd: 1 added, 1 there already, 0 refused"), "{output:?}");
    assert!(signs_in(&gate, "ann", PASSWORD) && !signs_in(&gate, "ann", OLD));
    assert!(signs_in(&gate, "ben", OLD), "capital letters make no other login");
    let events = gate.cli_json(&["audit", "search", "--user", "ben"]);
    let events = serde_json::to_string(&events).unwrap();
    assert!(events.contains("imported with its apr1 hash"), "{events}");

    let again = gate.cli(&["user", "import", &list]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("0 added, 2 there already"), "{again:?}");
    assert!(signs_in(&gate, "ben", OLD));
}

#[test]
fn authelias_users_come_with_all_that_is_kept_of_them() {
    let upstream = Recorder::ok();
    let mut gate = builder(&upstream).prepare();
    let (hash, bcrypt) = (argon2(OLD), htpasswd("-B", "x", OLD).replace("x:", ""));
    let text = format!(
        "---\nusers:\n  hanako:\n    displayname: '山田 花子'\n    password: '{hash}'\n    email: hanako@example.com\n    \
         groups: [ops, dev]\n  ben:\n    disabled: true\n    displayname: Ben\n    password: '{bcrypt}'\n    groups: []\n  \
         'no blanks':\n    password: '{hash}'\n  bomb:\n    password: '$argon2id$v=19$m=16777216,t=1,p=1$c29tZXNhbHQxNmJ5dGVzIQ$Lc/o11re+bvO3LEc6447nzGwLyuUtrqSH6KVRKl0k0Q'\n"
    );
    let list = write(&gate, "users_database.yml", &text);
    let output = gate.cli(&["user", "import", &list]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("Authelia: 2 added, 0 there already, 2 refused"), "{said}");
    assert!(said.contains("256 MiB of memory at most") && said.contains("the login must be 1 to 64"), "{said}");
    let hanako = gate.cli_json(&["user", "show", "hanako"]);
    assert_eq!(
        (&hanako["name"], &hanako["email"], &hanako["groups"]),
        (&json!("山田 花子"), &json!("hanako@example.com"), &json!(["dev", "ops"]))
    );
    gate.serve();
    assert!(signs_in(&gate, "hanako", OLD));
    assert!(!signs_in(&gate, "ben", OLD), "disabled there, disabled here");
    gate.cli_json(&["user", "enable", "ben"]);
    assert!(signs_in(&gate, "ben", OLD));
}

#[test]
fn a_file_that_is_no_list_changes_nothing() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).prepare();
    for (text, words) in [("", "no account"), ("users: 3\n", "plain text"), ("users:\n  a: [\n", "line ")] {
        let list = write(&gate, "list", text);
        let output = gate.cli(&["user", "import", &list]);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.code() == Some(1) && said.contains(words), "{text}: {output:?}");
    }
    assert_eq!(gate.cli(&["user", "import", "/nonexistent"]).status.code(), Some(1));
    assert_eq!(gate.cli(&["user", "import"]).status.code(), Some(2));
    assert!(!gate.path("store").exists());
}

/// An account with a cheap hash, one with a dear one, one that was renewed and a login that nobody has: all the same to a clock.
#[test]
fn no_clock_tells_whose_hash_is_an_old_one() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream)
        .set("lockout", "{max_failures: 100, per_address: {max_failures: 100000}}")
        .user("new", &[])
        .start();
    let dear = tool("htpasswd", &["-n", "-i", "-B", "-C", "10", "dear"], OLD);
    let list = write(&gate, "list", &format!("{}\n{dear}\n", htpasswd("-s", "cheap", OLD)));
    assert!(gate.cli(&["user", "import", &list]).status.success());
    let mut browser = Client::new(&gate);
    let page = browser.open("/.sekisho/login");
    let mut times: Vec<(&str, Vec<Duration>)> =
        ["cheap", "dear", "new", "nobody"].map(|login| (login, Vec::new())).into();
    for _ in 0..15 {
        for (login, times) in &mut times {
            let form = form_with(&page, "password").with("login", login).with("password", "wrong-Password-1");
            let began = Instant::now();
            let answer = browser.send(&form);
            times.push(began.elapsed());
            assert!(browser.cookie("session").is_none(), "{}", text(&answer.text()));
        }
    }
    let medians: Vec<(&str, Duration)> = times
        .into_iter()
        .map(|(login, mut times)| {
            times.sort();
            (login, times[times.len() / 2])
        })
        .collect();
    println!("{medians:?}");
    let least = medians.iter().map(|(_, median)| *median).min().unwrap();
    let most = medians.iter().map(|(_, median)| *median).max().unwrap();
    // Coarse, as other tests run beside it: without the hashes beside it, a SHA-1 takes a tenth of that bcrypt's time.
    assert!(most < least * 2, "{medians:?}");
}
