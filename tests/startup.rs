//! Starts that must fail: each says what happened and what to do, changes nothing, and never panics.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use crate::harness::{Builder, Client, PASSWORD, Recorder, Sekisho};

const INVALID_CONFIGURATION: i32 = 78;

fn builder() -> Builder {
    Sekisho::builder().set("second_factor.policy", "off").upstream("http://127.0.0.1:9").user("alice", &[])
}

/// `serve` must give up by itself: its status, and what it said.
#[track_caller]
fn fails_to_serve(gate: &Sekisho) -> (Option<i32>, String) {
    let mut process = gate.spawn_serve();
    let status = process.wait();
    let said = process.lines().join("\n");
    assert!(!status.success(), "it ended with status 0:\n{said}");
    assert!(!said.contains("panicked"), "{said}");
    (status.code(), said)
}

#[track_caller]
fn says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.to_lowercase().contains(&word.to_lowercase()), "`{word}` is not said:\n{said}");
    }
}

fn stderr(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn every_mistake_in_the_yaml_is_told_at_once_with_its_place_and_a_hint() {
    let gate = builder().prepare();
    let text = "server: {listen: [\"127.0.0.1:0\"], admin_sokcet: /tmp/x.sock}\n\
                session:\n  idle_timeout: soon\n\
                store: {path: s}\nsecrets: {key_file: secret.key}\n\
                routes:\n  - {name: a, upstrem: \"http://127.0.0.1:9\"}\n  - {name: a, upstream: \"ftp://x\"}\n";
    std::fs::write(gate.config(), text).unwrap();
    let file = gate.config().display().to_string();
    let check = gate.cli(&["check"]);
    let said = stderr(&check);
    assert_eq!(check.status.code(), Some(INVALID_CONFIGURATION), "{said}");
    says(&said, &["admin_socket", "idle_timeout", "upstream", "must be an upstream"]);
    for place in [":1:", ":3:", ":7:", ":8:"] {
        assert!(said.contains(&format!("{file}{place}")), "{file}{place} is not named:\n{said}");
    }
    let (status, said) = fails_to_serve(&gate);
    assert_eq!(status, Some(INVALID_CONFIGURATION));
    says(&said, &["admin_socket", "must be an upstream"]);
}

#[test]
fn a_file_that_is_no_yaml_is_told_by_its_line() {
    let gate = builder().prepare();
    std::fs::write(gate.config(), "server:\n  listen: [\"127.0.0.1:0\"\nroutes: {}\n").unwrap();
    let check = gate.cli(&["check"]);
    assert_eq!(check.status.code(), Some(INVALID_CONFIGURATION));
    assert!(stderr(&check).contains(&format!("{}:", gate.config().display())), "{}", stderr(&check));
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let gate = builder().write_only();
    std::fs::remove_file(gate.config()).unwrap();
    let (status, said) = fails_to_serve(&gate);
    assert_eq!(status, Some(INVALID_CONFIGURATION), "{said}");
    says(&said, &["sekisho.yaml"]);
}

#[test]
fn a_key_that_is_not_there_or_broken_is_refused() {
    let gate = builder().prepare();
    let key = gate.path("secret.key");
    let kept = std::fs::read_to_string(&key).unwrap();

    std::fs::remove_file(&key).unwrap();
    let (status, said) = fails_to_serve(&gate);
    assert_eq!(status, Some(INVALID_CONFIGURATION), "{said}");
    says(&said, &["secret.key", "sekisho key generate"]);

    std::fs::write(&key, "sekisho-key-1:tooshort\n").unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    let (_, said) = fails_to_serve(&gate);
    says(&said, &["secret.key"]);
    assert!(!said.contains("tooshort"), "what a key file says is told to nobody:\n{said}");

    std::fs::create_dir(gate.path("folder.key")).unwrap();
    std::fs::remove_file(&key).unwrap();
    std::fs::rename(gate.path("folder.key"), &key).unwrap();
    let (_, said) = fails_to_serve(&gate);
    says(&said, &["secret.key"]);

    std::fs::remove_dir(&key).unwrap();
    std::fs::write(&key, kept).unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    assert!(gate.cli(&["check"]).status.success(), "with the key back, all is well");
}

#[test]
fn a_key_is_made_for_its_owner_alone_and_never_written_over() {
    let gate = builder().prepare();
    let key = gate.path("secret.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read(&key).unwrap();
    let again = gate.run(&["key", "generate", key.to_str().unwrap()], "");
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert_eq!(std::fs::read(&key).unwrap(), before);
}

#[test]
fn a_store_that_was_never_made_is_not_made_by_serving() {
    let gate = Sekisho::builder().upstream("http://127.0.0.1:9").write_only();
    gate.make_key();
    let (status, said) = fails_to_serve(&gate);
    assert_eq!(status, Some(1), "{said}");
    says(&said, &["store", "sekisho user add"]);
    assert!(!gate.path("store").exists(), "nothing was created");
}

#[test]
fn a_store_that_is_suddenly_empty_or_another_one_is_refused() {
    let upstream = Recorder::ok();
    let mut gate = builder().start();
    gate.stop();
    std::fs::rename(gate.path("store"), gate.path("kept")).unwrap();
    for empty in [false, true] {
        if empty {
            std::fs::create_dir(gate.path("store")).unwrap();
        }
        let (status, said) = fails_to_serve(&gate);
        assert_eq!(status, Some(1), "{said}");
        says(&said, &["store"]);
        let added = gate.cli_with_input(&["user", "add", "eve", "--password-stdin"], "Another-horse-9\n");
        assert!(!added.status.success(), "no new store is made where one was: {added:?}");
    }
    let other = Sekisho::builder().upstream(&upstream.url()).user("bob", &[]).prepare();
    std::fs::remove_dir_all(gate.path("store")).unwrap();
    std::fs::rename(other.path("store"), gate.path("store")).unwrap();
    let (status, said) = fails_to_serve(&gate);
    assert_eq!(status, Some(1), "{said}");
    says(&said, &["store"]);

    std::fs::remove_dir_all(gate.path("store")).unwrap();
    std::fs::rename(gate.path("kept"), gate.path("store")).unwrap();
    gate.serve();
    assert_eq!(gate.cli_json(&["user", "list"]).as_array().map(Vec::len), Some(1), "with the store back, all is there");
}

#[test]
fn a_damaged_store_shows_everything_or_is_refused_and_stays_refused() {
    let mut gate = (0..20).fold(builder(), |builder, number| builder.user(&format!("user{number}"), &[])).start();
    gate.stop();
    let accounts = gate.cli_json(&["user", "list"]);
    assert_eq!(accounts.as_array().map(Vec::len), Some(21));
    let file = gate.path("store").join("db");
    let whole = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    assert!(used < whole.len(), "sled sets space aside, which is where a cut does no harm");
    let kept = gate.path("kept");
    std::fs::create_dir(&kept).unwrap();
    copy_files(&gate.path("store"), &kept);
    let (mut refused, mut served) = (0, 0);
    for end in [used / 4, used / 2, used - 1, used, whole.len() - 1] {
        copy_files(&kept, &gate.path("store"));
        std::fs::write(&file, &whole[..end]).unwrap();
        let mut process = gate.spawn_serve();
        let settled = crate::harness::poll(std::time::Duration::from_secs(20), || {
            (!process.is_running() || process.lines().iter().any(|line| line.contains("\"listening\""))).then_some(())
        });
        assert!(settled.is_some(), "cut at {end}: neither serves nor gives up: {:?}", process.lines());
        if process.is_running() {
            assert_eq!(gate.cli_json(&["user", "list"]), accounts, "cut at {end}: it serves with something missing");
            assert!(process.stop(std::time::Duration::from_secs(10)).is_some_and(|status| status.success()));
            served += 1;
        } else {
            assert!(!process.wait().success(), "cut at {end}");
            says(&process.lines().join("\n"), &["store", "damaged"]);
            // sled has cleared what it could not read; that must not make it whole in anybody's eyes.
            let (_, said) = fails_to_serve(&gate);
            says(&said, &["store", "damaged"]);
            refused += 1;
        }
        let said = process.lines().join("\n");
        assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "cut at {end}: {said}");
    }
    assert!(refused >= 2 && served >= 1, "{refused} refused, {served} served");
}

/// Every file of `from`, written over those of the same name in `to`.
fn copy_files(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn a_store_in_use_is_not_opened_twice() {
    let gate = builder().start();
    let mut second = gate.spawn_serve();
    assert!(!second.wait().success());
    let said = second.lines().join("\n");
    says(&said, &["store"]);
    assert!(!said.contains("panicked"), "{said}");
    assert!(gate.cli(&["user", "show", "alice"]).status.success(), "the first one goes on");
}

#[test]
fn a_busy_port_is_named() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let gate = builder().set("server.listen", &format!("[{address:?}]")).prepare();
    let (status, said) = fails_to_serve(&gate);
    assert_eq!(status, Some(1), "{said}");
    says(&said, &[&address, "in use"]);
    drop(busy);
}

#[test]
fn a_certificate_that_does_not_fit_is_refused() {
    let gate = builder().tls(&["app.test"]).prepare();
    let certificate = gate.path("app.test.pem");
    std::fs::write(&certificate, "no certificate").unwrap();
    let (status, said) = fails_to_serve(&gate);
    assert_eq!(status, Some(INVALID_CONFIGURATION), "{said}");
    says(&said, &["app.test.pem"]);
    std::fs::copy(gate.path("localhost.pem"), &certificate).unwrap();
    let (status, said) = fails_to_serve(&gate);
    assert_eq!(status, Some(INVALID_CONFIGURATION), "another key's certificate: {said}");
}

#[test]
fn a_password_that_is_too_weak_is_refused_and_no_account_is_made() {
    let gate = builder().prepare();
    for weak in ["short-1A", "aaaaaaaaaaaaaaa"] {
        let output = gate.cli_with_input(&["user", "add", "bob", "--password-stdin"], &format!("{weak}\n"));
        assert_eq!(output.status.code(), Some(1), "{weak}: {output:?}");
        assert!(output.stderr.len() > 10, "it says why");
    }
    let empty = gate.cli_with_input(&["user", "add", "bob", "--password-stdin"], "\n");
    assert!(!empty.status.success(), "{empty:?}");
    let logins: Vec<String> = gate
        .cli_json(&["user", "list"])
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["login"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(logins, ["alice"]);
    let twice = gate.cli_with_input(&["user", "add", "ALICE", "--password-stdin"], &format!("{PASSWORD}\n"));
    assert_eq!(twice.status.code(), Some(1), "{twice:?}");
    assert_eq!(gate.run(&["user", "frobnicate"], "").status.code(), Some(2), "wrong usage");
}

#[test]
fn the_example_configuration_is_valid() {
    let gate = builder().prepare();
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/example.yaml")).unwrap();
    for key in ["server:", "session:", "second_factor:", "password:", "lockout:", "portal:", "identity:", "routes:"] {
        assert!(example.contains(key), "{key} is not in the example");
    }
    let key = gate.path("secret.key");
    let text: String = example
        .lines()
        .map(|line| match line.split_once("key_file:") {
            Some((before, _)) if !before.contains('#') => format!("{before}key_file: {key:?}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    std::fs::write(gate.config(), text).unwrap();
    let check = gate.cli(&["check"]);
    assert!(check.status.success(), "{}", stderr(&check));
}

/// The guide's own words, but for the folders and the port.
#[test]
fn the_readmes_guide_leads_to_a_gateway_that_serves() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let yaml = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let upstream = Recorder::ok();
    let mut gate = Sekisho::builder().tls(&["tool.example.com"]).write_only();
    let (store, socket) = (gate.path("store"), gate.path("admin.sock"));
    let text: String = yaml.lines().map(|line| format!("{}\n", line.strip_prefix("   ").unwrap_or(line))).collect();
    let text = text
        .replace("0.0.0.0:443", "127.0.0.1:0")
        .replace("/var/lib/sekisho", store.to_str().unwrap())
        .replace("server:\n", &format!("server:\n  admin_socket: {socket:?}\n"))
        .replace("http://127.0.0.1:9000", &upstream.url());
    std::fs::write(gate.config(), text).unwrap();
    std::fs::copy(gate.path("tool.example.com.pem"), gate.path("cert.pem")).unwrap();
    std::fs::copy(gate.path("tool.example.com.key"), gate.path("key.pem")).unwrap();
    gate.make_key();
    let check = gate.cli(&["check"]);
    assert!(check.status.success(), "{}", stderr(&check));
    gate.add_user("hanako", PASSWORD, &["--name", "Yamada Hanako", "--group", "ops"]);
    gate.serve();
    let mut hanako = Client::tls(&gate, "tool.example.com");
    hanako.sign_in_and_enrol(&gate, "hanako");
    assert_eq!(upstream.last().header("remote-user"), Some("hanako"));
}
