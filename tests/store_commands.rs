//! `sekisho store` and `sekisho key rotate`: what an export is good for, what is refused, and what is left when the power goes in the
//! middle.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::harness::second_step::asked_for;
use crate::harness::{Builder, Client, MailServer, PASSWORD, Process, Recorder, Sekisho, wait_until};
use crate::passwords::{ask_for_a_link, link_to};

fn builder() -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("lockout.per_address", "{max_failures: 100000, window: 1m}")
        .upstream("http://127.0.0.1:9")
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn fails(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not said:\n{said}");
    }
}

#[track_caller]
fn export(gate: &Sekisho, name: &str) -> (PathBuf, Json) {
    let file = gate.path(name);
    let told = gate.cli_json(&["store", "export", file.to_str().unwrap()]);
    (file, told["records"].clone())
}

/// A gateway with the same key and nothing else.
fn elsewhere(gate: &Sekisho, builder: Builder) -> Sekisho {
    let other = builder.write_only();
    std::fs::copy(gate.path("secret.key"), other.path("secret.key")).unwrap();
    other
}

#[track_caller]
fn import(gate: &Sekisho, file: &std::path::Path) -> Output {
    gate.cli(&["store", "import", file.to_str().unwrap()])
}

/// The same export with so many more events.
fn with_events(text: &str, count: usize) -> String {
    const LETTERS: &[u8] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut end: Json = serde_json::from_str(&lines.pop().unwrap()).unwrap();
    let index = lines.iter().position(|line| line.starts_with("{\"key\":\"audit/")).unwrap();
    let event: Json = serde_json::from_str(&lines[index]).unwrap();
    let more = (0..count).map(|number| {
        let id: String = (0..16).rev().map(|place| char::from(LETTERS[(number >> (2 * place)) % 4])).collect();
        let mut event = event.clone();
        event["record"]["id"] = id.clone().into();
        event["key"] = format!("audit/{:016}-{id}", event["record"]["at"].as_u64().unwrap()).into();
        event.to_string()
    });
    let more: Vec<String> = more.collect();
    lines.splice(index..index, more);
    end["end"]["records"]["audit"] = (end["end"]["records"]["audit"].as_u64().unwrap() + count as u64).into();
    let text = lines.join("\n") + "\n";
    end["end"]["sha256"] = HEXLOWER.encode(&Sha256::digest(&text)).into();
    format!("{text}{end}\n")
}

#[test]
fn an_export_makes_the_same_store_again_and_nobody_is_signed_in_there() {
    let upstream = Recorder::ok();
    let mut gate = builder().route("{name: shop, path: /shop, upstream: UPSTREAM}", &upstream.url());
    gate = gate.user("alice", &["--role", "admin"]).user("花子", &["--group", "ops"]);
    let mut gate = gate.clock().start();
    let mut alice = Client::new(&gate);
    let key = alice.sign_in_enrol_and_remember(&gate, "alice");
    assert_eq!(alice.get("/shop").status, 200);

    let (file, records) = export(&gate, "backup.jsonl");
    assert_eq!(records["user"], 2);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(&key) && !text.contains(PASSWORD), "what is sealed stays sealed");
    fails(&gate.cli(&["store", "export", file.to_str().unwrap()]), &["exists", "--force"]);
    succeeds(&gate.cli(&["store", "export", file.to_str().unwrap(), "--force"]));
    let piped = succeeds(&gate.cli(&["store", "export", "-"]));
    assert!(piped.lines().last().unwrap().starts_with("{\"end\":"), "{piped}");
    fails(&import(&gate, &file), &["a gateway runs"]);

    gate.stop();
    fails(&import(&gate, &file), &["there is a store at", "already", ".store-id"]);
    let stopped = export(&gate, "stopped.jsonl");
    assert_eq!(stopped.1["user"], 2);
    std::fs::rename(gate.path("store"), gate.path("lost")).unwrap();
    fails(&import(&gate, &stopped.0), &["names a store, but here is none"]);
    std::fs::rename(gate.path("secret.key.store-id"), gate.path("lost.store-id")).unwrap();
    let told = gate.cli_json(&["store", "import", stopped.0.to_str().unwrap()]);
    assert_eq!((&told["in_export"], &told["in_store"]), (&stopped.1, &stopped.1));
    assert_eq!(gate.cli_json(&["store", "verify"])["problem_count"], 0);
    assert_eq!(gate.cli_json(&["user", "list"]).as_array().unwrap().len(), 2);

    gate.serve();
    alice.follow(&gate);
    assert_ne!(alice.get("/shop").status, 200, "the session did not come along");
    assert_eq!(gate.cli_json(&["session", "list"]), serde_json::json!([]));
    assert_eq!(gate.cli_json(&["device", "list"]), serde_json::json!([]));
    let page = alice.give_password("alice", PASSWORD);
    assert_eq!(asked_for(&page), "code", "the browser is not remembered any more");
    let code = gate.fresh_code(&key);
    alice.give_code(&page, &code, false);
    assert_eq!(alice.get("/shop").status, 200, "the app is known still");
}

#[test]
fn an_import_voids_codes_and_links_on_their_way_and_says_so() {
    let mail = MailServer::start();
    let upstream = Recorder::ok();
    let make = || self::builder().mail(&mail).route("{name: shop, path: /shop, upstream: UPSTREAM}", &upstream.url());
    let gate = make()
        .user("bob", &["--email", "bob@example.com", "--method", "mail", "--role", "admin"])
        .user("carol", &["--email", "carol@example.com"])
        .clock()
        .start();
    let mut bob = Client::new(&gate);
    let page = bob.give_password("bob", PASSWORD);
    let code = mail.code_to(&gate, "bob@example.com");
    bob.give_code(&page, &code, true);
    assert_eq!(bob.get("/shop").status, 200);
    // One login that waits for its code, and one link to a new password.
    let mut waiting = bob.copy();
    waiting.cookies.clear();
    gate.advance(Duration::from_secs(60));
    let begun =
        waiting.post_json("/.sekisho/api/login", &serde_json::json!({"login": "bob", "password": PASSWORD})).json();
    let flow = begun["flow"].as_str().unwrap().to_owned();
    let code = mail.code_to(&gate, "bob@example.com");
    ask_for_a_link(&gate, "carol");
    let link = link_to(&gate, &mail, "carol@example.com");
    assert_eq!(Client::new(&gate).open(&link).status, 200, "it would be good");
    let (file, _) = export(&gate, "backup.jsonl");

    let mut other = elsewhere(&gate, make().clock());
    let said = succeeds(&import(&other, &file));
    for word in ["Sessions", "remembered browsers", "codes", "links", "void", "everybody signs in anew"] {
        assert!(said.contains(word), "`{word}` is not said: {said}");
    }
    // Mails are counted still.
    other.advance(Duration::from_secs(240));
    other.serve();
    for browser in [&mut bob, &mut waiting] {
        browser.follow(&other);
    }
    assert_ne!(bob.get("/shop").status, 200, "the session");
    let body = serde_json::json!({"flow": flow, "code": code});
    assert_eq!(waiting.post_json("/.sekisho/api/second-factor", &body).status, 401, "the code");
    assert!(waiting.cookie("session").is_none());
    assert_eq!(Client::new(&other).open(&link).status, 410, "the link");
    assert_eq!(other.cli_json(&["device", "list"]), serde_json::json!([]));
    let page = bob.give_password("bob", PASSWORD);
    assert_eq!(asked_for(&page), "code", "the browser is not remembered any more");
    let code = mail.code_to(&other, "bob@example.com");
    bob.give_code(&page, &code, false);
    assert_eq!(bob.get("/shop").status, 200);
}

#[test]
fn what_is_not_as_it_was_exported_is_refused_and_nothing_is_written() {
    let gate = builder().user("alice", &["--role", "admin"]).start();
    Client::new(&gate).sign_in_and_enrol(&gate, "alice");
    let (file, _) = export(&gate, "backup.jsonl");
    let text = std::fs::read(&file).unwrap();
    let other = elsewhere(&gate, builder());
    let refused = |name: &str, bytes: &[u8], words: &[&str]| {
        let file = other.path(name);
        std::fs::write(&file, bytes).unwrap();
        fails(&import(&other, &file), words);
        assert!(!other.path("store").exists(), "{name}: something was written");
        assert!(!other.path("secret.key.store-id.new").exists(), "{name}: something was written");
    };
    refused("empty", b"", &["no export"]);
    refused("other", b"login,name\n", &["no export"]);
    for part in 1..20 {
        refused("truncated", &text[..text.len() * part / 20], &["nothing was written"]);
        let mut flipped = text.clone();
        flipped[text.len() * part / 20] ^= 4;
        refused("flipped", &flipped, &["nothing was written"]);
    }
    let without_end = &text[..text.len() - 1];
    refused("without-end", without_end, &["not complete"]);

    std::fs::remove_file(other.path("secret.key")).unwrap();
    other.make_key();
    let header: Json = serde_json::from_slice(text.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    refused("wrong-key", &text, &[header["keys"][0].as_str().unwrap(), "the key file does not hold"]);
}

#[test]
fn an_import_that_was_killed_is_no_store_until_it_is_done_again() {
    let gate = builder().user("alice", &["--role", "admin"]).prepare();
    let (file, _) = export(&gate, "backup.jsonl");
    let text = with_events(&std::fs::read_to_string(file).unwrap(), 8000);
    let other = elsewhere(&gate, builder());
    let file = other.path("large.jsonl");
    std::fs::write(&file, &text).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sekisho"));
    command.args(["store", "import", file.to_str().unwrap(), "--config", other.config().to_str().unwrap()]);
    let mut running = Process::start("import", &mut command);
    wait_until("something is in the store", || {
        other.path("store/db").metadata().is_ok_and(|about| about.len() > 1024 * 1024).then_some(())
    });
    running.signal(rustix::process::Signal::KILL);
    running.wait();
    assert!(!other.path("secret.key.store-id").exists(), "it was killed too late to be in the middle");

    for args in [&["user", "list"][..], &["store", "verify"], &["store", "export", "-"]] {
        fails(&other.cli(args), &["not finished", "sekisho store import"]);
    }
    fails(&other.cli_with_input(&["user", "add", "bob", "--password-stdin"], PASSWORD), &["not finished"]);
    let mut serving = other.spawn_serve();
    serving.wait();
    assert!(serving.lines().iter().any(|line| line.contains("not finished")), "{:?}", serving.lines());

    let told = other.cli_json(&["store", "import", file.to_str().unwrap()]);
    assert_eq!(told["in_store"], told["in_export"]);
    assert!(told["in_store"]["audit"].as_u64().unwrap() >= 8000);
    assert_eq!(other.cli_json(&["store", "verify"])["problem_count"], 0);
}

#[test]
fn how_far_it_is_shows_on_a_terminal_once_it_takes_long() {
    let gate = builder().user("alice", &["--role", "admin"]).prepare();
    let (file, _) = export(&gate, "backup.jsonl");
    let text = with_events(&std::fs::read_to_string(file).unwrap(), 8000);
    let other = elsewhere(&gate, builder());
    let file = other.path("large.jsonl");
    std::fs::write(&file, &text).unwrap();
    let (program, config) = (env!("CARGO_BIN_EXE_sekisho"), other.config());
    let (file, config) = (file.display(), config.display());
    // `script` lends the terminal; by `strace` the file is on a slow disk, at least three seconds long for each reading.
    let each = 3_000_000 * 8192 / text.len();
    let slow =
        format!("strace -f --seccomp-bpf -qq -o /dev/null -P {file} -e trace=read -e inject=read:delay_enter={each}");
    let line = format!("stty cols 100; {slow} {program} store import {file} --config {config}");
    let output =
        std::process::Command::new("script").args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").output().unwrap();
    let shown = succeeds(&output);
    assert!(shown.contains("importing [") && shown.contains("everybody signs in anew"), "{shown}");
    let counts: Vec<&str> = shown.lines().filter_map(|line| line.split_once("audit ")).map(|(_, rest)| rest).collect();
    assert!(counts.len() == 2 && counts[0] == counts[1], "both counts are the same: {shown}");
}

#[test]
fn a_damaged_store_is_told_of_and_left_as_it_is() {
    let gate = builder().user("alice", &["--role", "admin"]).prepare();
    let told = gate.cli_json(&["store", "verify"]);
    assert_eq!((&told["problem_count"], &told["records"]["user"]), (&0.into(), &1.into()));
    assert!(succeeds(&gate.cli(&["store", "verify"])).contains("no problems"));
    let log = gate.path("store/db");
    let mut bytes = std::fs::read(&log).unwrap();
    let login = bytes.windows(5).position(|window| window == b"alice").unwrap();
    bytes[login] ^= 1;
    std::fs::write(&log, &bytes).unwrap();
    let output = gate.cli(&["store", "verify"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(std::fs::read(&log).unwrap(), bytes, "verifying has changed it");
}

#[test]
fn what_has_expired_is_swept_through_the_gateway() {
    let gate = builder().user("alice", &[]).clock().start();
    // A login that stops before its code.
    Client::new(&gate).give_password("alice", PASSWORD);
    assert_eq!(gate.cli_json(&["store", "sweep"]), serde_json::json!({}));
    assert_eq!(succeeds(&gate.cli(&["store", "sweep"])), "nothing had expired\n");
    gate.advance(Duration::from_secs(3600));
    let told = succeeds(&gate.cli(&["store", "sweep"]));
    // The gateway may have been the first.
    assert!(told.contains("removed: ") || told.contains("nothing had expired"), "{told}");
    assert_eq!(gate.cli_json(&["store", "verify"])["records"]["flow"], Json::Null);
}

#[test]
fn exports_under_a_load_of_logins_can_all_be_imported() {
    let mut builder = builder();
    for number in 0..6 {
        builder = builder.user(&format!("user{number}"), &["--role", "admin"]);
    }
    let gate = builder.set("second_factor.policy", "off").start();
    let (stop, logins) = (AtomicBool::new(false), AtomicUsize::new(0));
    let files: Vec<PathBuf> = std::thread::scope(|scope| {
        for number in 0..3 {
            let (gate, stop, logins) = (&gate, &stop, &logins);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut browser = Client::new(gate);
                    browser.give_password(&format!("user{number}"), PASSWORD);
                    assert!(browser.cookie("session").is_some(), "logins go on");
                    logins.fetch_add(1, Ordering::Relaxed);
                    browser.sign_out();
                }
            });
        }
        let files = (0..4)
            .map(|round| {
                let before = logins.load(Ordering::Relaxed);
                let (file, _) = export(&gate, &format!("{round}.jsonl"));
                wait_until("a login in between", || (logins.load(Ordering::Relaxed) > before).then_some(()));
                file
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        files
    });
    for file in files {
        let other = elsewhere(&gate, self::builder());
        succeeds(&import(&other, &file));
        let told = other.cli_json(&["store", "verify"]);
        assert_eq!((&told["problem_count"], &told["records"]["user"]), (&0.into(), &6.into()), "{told}");
    }
    assert_eq!(gate.cli_json(&["store", "verify"])["problem_count"], 0);
}

#[test]
fn a_key_is_rotated_over_kills_at_each_moment_and_a_login_begun_before_gets_in() {
    let logins = ["ann", "ben", "cho"];
    let mut gate = builder().clock();
    for login in logins {
        gate = gate.user(login, &["--role", "admin"]);
    }
    let mut gate = gate.start();
    let keys: Vec<String> = logins.iter().map(|login| Client::new(&gate).sign_in_and_enrol(&gate, login)).collect();
    let everybody_gets_in = |gate: &Sekisho| {
        for (login, key) in logins.iter().zip(&keys) {
            let mut browser = Client::new(gate);
            let page = browser.give_password(login, PASSWORD);
            let code = gate.fresh_code(key);
            browser.give_code(&page, &code, false);
            assert!(browser.cookie("session").is_some(), "{login} gets in");
        }
    };
    let lines = |gate: &Sekisho| std::fs::read_to_string(gate.path("secret.key")).unwrap().lines().count();
    fails(&gate.cli(&["key", "rotate", "--finish"]), &["nothing to finish"]);

    // A login that has the code still before it goes on over the rotation.
    let mut waiting = Client::new(&gate);
    let page = waiting.give_password("ann", PASSWORD);
    let told = gate.cli_json(&["key", "rotate"]);
    assert!(told["sealed_anew"].as_u64().unwrap() >= 3, "{told}");
    assert_eq!((lines(&gate), told["keys"].as_array().unwrap().len()), (2, 2));
    let mode = gate.path("secret.key").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let code = gate.fresh_code(&keys[0]);
    waiting.give_code(&page, &code, false);
    assert!(waiting.cookie("session").is_some(), "a login that was under way");
    everybody_gets_in(&gate);
    assert_eq!(gate.cli_json(&["store", "verify"])["sealed_with_older_keys"], 0);

    // The same again while the gateway is killed: nothing is lost, and the command goes on from there.
    gate.kill();
    gate.serve();
    everybody_gets_in(&gate);
    assert_eq!(gate.cli_json(&["key", "rotate"])["keys"], told["keys"], "no third key while two are there");
    gate.advance(Duration::from_secs(600));
    let told = gate.cli_json(&["key", "rotate", "--finish"]);
    assert_eq!((lines(&gate), &told["finished"]), (1, &true.into()));
    everybody_gets_in(&gate);

    // Killed at some moment of a rotation, the command and the gateway.
    for milliseconds in [1, 30, 60, 120, 240] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sekisho"));
        command.args(["key", "rotate", "--config", gate.config().to_str().unwrap()]);
        let mut running = Process::start("rotate", &mut command);
        let began = std::time::Instant::now();
        wait_until("its moment has come", || (began.elapsed() >= Duration::from_millis(milliseconds)).then_some(()));
        running.signal(rustix::process::Signal::KILL);
        gate.kill();
        running.wait();
        gate.serve();
        everybody_gets_in(&gate);
    }
    succeeds(&gate.cli(&["key", "rotate"]));
    gate.advance(Duration::from_secs(600));
    gate.stop();
    succeeds(&gate.cli(&["key", "rotate", "--finish"]));
    assert_eq!(lines(&gate), 1);
    let told = gate.cli_json(&["store", "verify"]);
    assert_eq!((&told["problem_count"], &told["sealed_with_older_keys"]), (&0.into(), &0.into()));
    gate.serve();
    everybody_gets_in(&gate);
    for line in std::fs::read_to_string(gate.path("secret.key")).unwrap().lines() {
        gate.secrets().add(line.rsplit(':').next().unwrap_or(line));
    }
}

#[test]
fn where_a_new_key_stands_in_front_already_no_third_one_is_made() {
    let gate = builder().user("alice", &["--role", "admin"]).prepare();
    let before = std::fs::read(gate.path("secret.key")).unwrap();
    let second = gate.path("second.key");
    let told = gate.run(&["key", "generate", second.to_str().unwrap(), "--json"], "");
    assert_eq!(serde_json::from_slice::<Json>(&told.stdout).unwrap()["file"], second.to_str().unwrap());
    // As where it comes from elsewhere: a new key was put in front there.
    let both = [std::fs::read(&second).unwrap(), before].concat();
    std::fs::write(gate.path("secret.key"), both).unwrap();
    let told = gate.cli_json(&["key", "rotate"]);
    assert_eq!(told["keys"].as_array().unwrap().len(), 2, "no third one");
    for line in std::fs::read_to_string(gate.path("secret.key")).unwrap().lines() {
        gate.secrets().add(line.rsplit(':').next().unwrap_or(line));
    }
}
