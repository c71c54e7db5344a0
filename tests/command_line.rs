//! `sekisho user` and `sekisho session`: the same with a gateway and without one, for people and for scripts.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value as Json, json};

use crate::harness::{Builder, Client, PASSWORD, Recorder, Sekisho};

fn builder() -> Builder {
    Sekisho::builder().set("second_factor.policy", "off").upstream("http://127.0.0.1:9")
}

/// Status, and what was said on standard error.
fn outcome(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[track_caller]
fn fails(output: &Output, status: i32, words: &[&str]) {
    let (code, said) = outcome(output);
    assert_eq!(code, Some(status), "{said}");
    assert!(output.stdout.is_empty(), "a failure prints no result: {output:?}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not said:\n{said}");
    }
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn wrong_usage_is_told_from_what_cannot_be_done() {
    let gate = builder().prepare();
    for args in [&["user"][..], &["user", "list"], &["usr", "list"], &["user", "add"], &["session", "end"], &["--no"]] {
        assert_eq!(gate.run(args, "").status.code(), Some(2), "{args:?}");
    }
    fails(&gate.cli(&["user", "add", "no blanks", "--password-stdin"]), 2, &["letters, digits"]);
    fails(&gate.cli(&["user", "add", "bob", "--role", "king", "--password-stdin"]), 2, &["viewer", "manager"]);
    fails(&gate.cli(&["session", "end", "not-an-id"]), 2, &["not a valid id"]);
    fails(&gate.cli(&["session", "end", "0000000000000000", "--user", "bob"]), 2, &["cannot be used with"]);
    for args in [&["--help"][..], &["user", "--help"], &["--version"], &["man"], &["completions", "bash"]] {
        let said = succeeds(&gate.run(args, ""));
        assert!(said.contains("sekisho"), "{args:?}: {said}");
    }
}

#[test]
fn only_adding_an_account_makes_a_store() {
    let gate = builder().prepare();
    for args in [&["user", "list"][..], &["user", "show", "alice"], &["session", "list"]] {
        fails(&gate.cli(args), 1, &["there is no store at", "sekisho user add"]);
        assert!(!gate.path("store").exists());
    }
    gate.add_user("alice", PASSWORD, &[]);
    assert_eq!(gate.cli_json(&["user", "list"])[0]["login"], "alice");
}

#[test]
fn a_password_that_cannot_be_one_is_refused() {
    let gate = builder().user("alice", &[]).prepare();
    for (input, words) in [("", "is empty"), ("\n", "is empty"), ("two\nlines\n", "line break")] {
        fails(&gate.cli_with_input(&["user", "passwd", "alice", "--password-stdin"], input), 2, &[words]);
    }
    fails(&gate.cli_with_input(&["user", "passwd", "nobody", "--password-stdin"], "x"), 1, &["no account nobody"]);
}

/// Everything that there is to do with an account, and what a list and a detail show of it (F24).
#[track_caller]
fn lead_an_account_through_its_life(gate: &Sekisho) {
    let new = "user add bob --name 山田 --email bob@example.com --group ops --group dev --role viewer \
               --second-factor on --password-stdin";
    let args: Vec<&str> = new.split_whitespace().collect();
    assert_eq!(succeeds(&gate.cli_with_input(&args, PASSWORD)), "bob added\n");
    fails(&gate.cli_with_input(&args, PASSWORD), 1, &["there is an account bob already"]);

    let list = gate.cli_json(&["user", "list"]);
    let bob = list.as_array().unwrap().iter().find(|row| row["login"] == "bob").unwrap();
    assert_eq!(bob, &gate.cli_json(&["user", "show", "bob"]));
    assert_eq!(bob["id"], gate.cli_json(&["user", "show", bob["id"].as_str().unwrap()])["id"]);
    assert_eq!(
        (&bob["name"], &bob["email"], &bob["role"], &bob["groups"], &bob["second_factor"]),
        (
            &json!("山田"),
            &json!("bob@example.com"),
            &json!("viewer"),
            &json!(["dev", "ops"]),
            &json!({"switched_on": true, "method": "totp", "enrolled": false})
        )
    );
    assert_eq!((&bob["last_login"], &bob["locked_until"], &bob["disabled"]), (&Json::Null, &Json::Null, &json!(false)));
    assert_eq!((&bob["password_set"], &bob["must_change_password"]), (&json!(true), &json!(false)));
    assert!(bob["registered_at"].as_str().unwrap().ends_with('Z'));

    let table = succeeds(&gate.cli(&["user", "list"]));
    assert!(table.lines().next().unwrap().starts_with("ID"), "{table}");
    assert!(table.contains("bob@example.com") && table.contains("dev,ops"), "{table}");
    assert!(succeeds(&gate.cli(&["user", "show", "bob"])).contains("on, totp, not enrolled"));

    for (filter, is_meant) in [
        (&["--search", "山田 BOB"][..], true),
        (&["--search", bob["id"].as_str().unwrap()], true),
        (&["--search", "nobody"], false),
        (&["--role", "viewer", "--group", "ops", "--second-factor", "on", "--state", "active"], true),
        (&["--role", "manager"], false),
        (&["--group", "op"], false),
        (&["--second-factor", "off"], false),
        (&["--state", "locked"], false),
        (&["--state", "disabled"], false),
    ] {
        let rows = gate.cli_json(&[&["user", "list"][..], filter].concat());
        assert_eq!(rows.as_array().unwrap().iter().any(|row| row["login"] == "bob"), is_meant, "{filter:?}");
    }
    let few = gate.cli(&["user", "list", "--role", "viewer"]);
    assert!(!String::from_utf8_lossy(&few.stderr).contains("administrator"), "a part of the list tells of no lack");
    fails(&gate.cli(&["user", "list", "--state", "gone"]), 2, &["active", "locked", "disabled"]);

    let set = ["user", "set", "bob", "--name", "Bob", "--email", "", "--no-groups", "--role", "user"];
    let bob = gate.cli_json(&set);
    assert_eq!(
        (&bob["name"], &bob["email"], &bob["role"], &bob["groups"]),
        (&json!("Bob"), &Json::Null, &json!("user"), &json!([]))
    );
    fails(&gate.cli(&["user", "set", "bob", "--email", "no address"]), 2, &["name@example.com"]);

    assert_eq!(gate.cli_json(&["user", "disable", "bob"])["disabled"], true);
    assert_eq!(gate.cli_json(&["user", "enable", "bob"])["disabled"], false);
    assert_eq!(succeeds(&gate.cli(&["user", "unlock", "bob"])), "bob unlocked\n");
    succeeds(&gate.cli(&["user", "reset-second-factor", "bob"]));
    let passwd = gate.cli_with_input(&["user", "passwd", "bob", "--password-stdin"], "Another-horse-8\n");
    assert_eq!(succeeds(&passwd), "bob has a new password\n");

    assert_eq!(succeeds(&gate.cli(&["user", "delete", "bob"])), "bob deleted\n");
    for command in ["show", "disable", "unlock", "delete", "reset-second-factor"] {
        fails(&gate.cli(&["user", command, "bob"]), 1, &["there is no account bob", "hint: "]);
    }
    fails(&gate.cli(&["user", "delete", "alice"]), 1, &["alice is the last administrator", "hint: "]);
}

#[test]
fn an_account_is_managed_without_a_gateway() {
    let gate = builder().user("alice", &["--role", "admin"]).prepare();
    lead_an_account_through_its_life(&gate);
}

#[test]
fn an_account_is_managed_while_the_gateway_runs() {
    let gate = builder().user("alice", &["--role", "admin"]).start();
    lead_an_account_through_its_life(&gate);
}

#[test]
fn a_list_that_is_empty_is_still_json() {
    let gate = builder().user("alice", &[]).prepare();
    assert_eq!(gate.cli_json(&["session", "list"]), json!([]));
}

#[test]
fn an_ended_session_is_over_at_once() {
    let upstream = Recorder::ok();
    let gate = Sekisho::builder()
        .set("second_factor.policy", "off")
        .upstream(&upstream.url())
        .user("alice", &[])
        .user("bob", &[])
        .start();
    let mut browsers: Vec<Client> = ["alice", "alice", "bob"]
        .into_iter()
        .map(|login| {
            let mut browser = Client::new(&gate);
            browser.sign_in(&gate, login, None);
            assert_eq!(browser.get("/").status, 200);
            browser
        })
        .collect();

    let of_alice = gate.cli_json(&["session", "list", "--user", "alice"]);
    assert_eq!((of_alice.as_array().unwrap().len(), &of_alice[0]["login"]), (2, &json!("alice")));
    assert_eq!(of_alice[0]["address"], "127.0.0.1");
    assert!(succeeds(&gate.cli(&["session", "list"])).contains("bob"));

    assert_eq!(succeeds(&gate.cli(&["session", "end", "--user", "alice"])), "2 sessions ended\n");
    assert_eq!(
        [browsers[0].get("/").status, browsers[1].get("/").status, browsers[2].get("/").status],
        [303, 303, 200]
    );

    let of_bob = gate.cli_json(&["session", "list"]);
    assert_eq!(of_bob.as_array().unwrap().len(), 1);
    let id = of_bob[0]["id"].as_str().unwrap();
    assert_eq!(gate.cli_json(&["session", "end", id]), json!({"ended": 1}));
    assert_eq!(browsers[2].get("/").status, 303);
    fails(&gate.cli(&["session", "end", id]), 1, &["there is no session", "hint: "]);
    fails(&gate.cli(&["session", "list", "--user", "nobody"]), 1, &["there is no account nobody"]);
}

#[test]
fn a_gateway_that_was_killed_leaves_no_socket_in_the_way() {
    let mut gate = builder().user("alice", &[]).start();
    let socket = gate.path("admin.sock");
    gate.kill();
    assert!(socket.exists(), "kill -9 leaves the file");
    assert_eq!(gate.cli_json(&["user", "show", "alice"])["login"], "alice");
    gate.serve();
    assert_eq!(gate.cli_json(&["user", "show", "alice"])["login"], "alice");
    gate.stop();
    assert!(!socket.exists(), "a gateway that ends takes its socket along");
}

#[test]
fn a_store_in_use_behind_another_socket_is_said_to_be_so() {
    let gate = builder().user("alice", &[]).start();
    let other = std::fs::read_to_string(gate.config()).unwrap().replace("admin.sock", "other.sock");
    let file = gate.path("other.yaml");
    std::fs::write(&file, other).unwrap();
    let output = gate.run(&["user", "list", "--config", file.to_str().unwrap()], "");
    fails(&output, 1, &["in use by another process", "hint: ", "other.sock"]);
}

#[test]
fn nothing_waits_while_somebody_thinks_of_a_password() {
    let mut gate = builder().user("alice", &[]).prepare();
    let config = gate.config();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho"));
    command.args(["user", "passwd", "alice", "--password-stdin", "--config", config.to_str().unwrap()]);
    let mut passwd = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // The gateway can have the store, and the command finds the gateway.
    gate.serve();
    gate.secrets().add("Another-horse-8");
    passwd.stdin.take().unwrap().write_all(b"Another-horse-8\n").unwrap();
    assert_eq!(succeeds(&passwd.wait_with_output().unwrap()), "alice has a new password\n");
}

#[test]
fn f28_one_administrator_alone_is_warned_of_and_cannot_be_taken_away_by_the_command_line_either() {
    let mut gate = builder().user("alice", &["--role", "admin"]).user("bob", &[]).start();
    gate.process().wait_for("the warning", |lines| {
        lines.iter().any(|line| line.contains("only one administrator can sign in")).then_some(())
    });
    let (_, said) = outcome(&gate.cli(&["user", "list"]));
    assert!(said.contains("only one administrator"), "{said}");
    for args in [
        &["user", "disable", "alice"][..],
        &["user", "delete", "alice"],
        &["user", "set", "alice", "--role", "manager"],
    ] {
        fails(&gate.cli(args), 1, &["alice is the last administrator", "hint: "]);
    }
    succeeds(&gate.cli(&["user", "set", "bob", "--role", "admin"]));
    let (_, said) = outcome(&gate.cli(&["user", "list"]));
    assert_eq!(said, "");
    succeeds(&gate.cli(&["user", "disable", "alice"]));
    fails(&gate.cli(&["user", "delete", "bob"]), 1, &["bob is the last administrator"]);
}

/// Whoever lost their password, their phone, or guessed too often: the server's command line helps without a gateway too.
#[test]
fn f28_the_command_line_gets_the_last_administrator_back_in() {
    let upstream = Recorder::ok();
    let mut gate = Sekisho::builder()
        .set("second_factor.policy", "off")
        .set("lockout.max_failures", "2")
        .upstream(&upstream.url())
        .user("alice", &["--role", "admin"])
        .user("bob", &["--role", "admin"])
        .start();
    succeeds(&gate.cli(&["user", "disable", "bob"]));
    // The only one left guesses until the account is locked.
    let mut browser = Client::new(&gate);
    for _ in 0..2 {
        browser.give_password("alice", "Wrong-horse-9");
        assert!(browser.cookie("session").is_none());
    }
    gate.stop();
    gate.secrets().add("Another-horse-8");
    succeeds(&gate.cli_with_input(&["user", "passwd", "alice", "--password-stdin"], "Another-horse-8\n"));
    succeeds(&gate.cli(&["user", "unlock", "alice"]));
    succeeds(&gate.cli(&["user", "reset-second-factor", "alice"]));
    succeeds(&gate.cli(&["user", "enable", "bob"]));
    gate.serve();
    for (login, password) in [("alice", "Another-horse-8"), ("bob", PASSWORD)] {
        let mut browser = Client::new(&gate);
        browser.give_password(login, password);
        assert_eq!(browser.get("/").status, 200, "{login}");
    }
}
