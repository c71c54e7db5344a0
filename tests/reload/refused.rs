//! What is not taken: the configuration before stays in force, whole, and what is wrong is said on the command line and in the log.

use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use super::{alice, gate, logged, reloads, route, said};
use crate::harness::{Client, Recorder, Sekisho, wait_until};

/// It must be refused with this status, and with an error on this line that has these words, on the command line and in the log.
#[track_caller]
fn refused(gate: &Sekisho, status: i32, key: &str, words: &str) {
    let line = gate.line_of(key);
    let place = format!("{}:{line}:", gate.config().display());
    let output = gate.cli(&["reload"]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(status), "{said}");
    let told = said.lines().any(|line| line.contains(&place) && line.contains(": error: ") && line.contains(words));
    assert!(told, "no `{words}` at {place}\n{said}");
    assert!(said.contains("the configuration was not taken"), "{said}");
    assert!(gate.logs().iter().any(|line| line.contains(&place) && line.contains(words)), "the log says nothing");
    wait_until("it is kept", || {
        let (_, result, reason) = reloads(gate).pop()?;
        (result == "failure" && reason.contains(&place)).then_some(())
    });
}

#[test]
fn a_file_that_is_wrong_changes_nothing_and_says_where() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream.url()).start();
    let mut alice = alice(&gate);
    let good = std::fs::read_to_string(gate.config()).unwrap();

    gate.change("routes", &route(&upstream, "access: deny, idle_timeout: soon"));
    refused(&gate, 78, "idle_timeout", "idle_timeout");
    assert_eq!(alice.get("/x").status, 200, "not even the part of it that was right is in force");
    let json = gate.cli(&["reload", "--json"]);
    assert_eq!(json.status.code(), Some(78));
    let array: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let wrong = array.as_array().unwrap().iter().find(|problem| problem["severity"] == "error").unwrap();
    assert_eq!(wrong["line"], gate.line_of("idle_timeout"), "{array}");

    // No YAML at all: where the gateway is can still be made out.
    std::fs::write(gate.config(), good.replace("routes:", "routes: [{")).unwrap();
    let output = gate.cli(&["reload"]);
    assert_eq!(output.status.code(), Some(78), "{}", said(&output));
    assert!(said(&output).contains(&format!("{}:", gate.config().display())), "{}", said(&output));
    let before = logged(&gate, "the configuration was not taken");
    assert_eq!(before, 3, "the gateway was told each time");
    gate.signal(Signal::HUP);
    wait_until("the signal is answered in the log", || {
        (logged(&gate, "the configuration was not taken") == before + 1).then_some(())
    });
    assert_eq!(alice.get("/x").status, 200);

    std::fs::write(gate.config(), good).unwrap();
    gate.reload();
    assert_eq!(alice.get("/x").status, 200);
}

#[test]
fn what_cannot_change_while_it_runs_is_refused_as_a_whole() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream.url()).start();
    let mut alice = alice(&gate);
    let good = std::fs::read_to_string(gate.config()).unwrap();
    for (path, value, key, was) in [
        ("store.path", "elsewhere", "path: elsewhere", "/store"),
        ("server.workers", "7", "workers", "where it is 2"),
        ("log.format", "text", "format", "where it is json"),
        ("secrets.key_file", "other.key", "key_file", "/secret.key"),
    ] {
        std::fs::copy(gate.path("secret.key"), gate.path("other.key")).unwrap();
        gate.change("routes", &route(&upstream, "access: deny"));
        gate.change(path, value);
        refused(&gate, 1, key, "cannot change while the gateway runs");
        assert!(logged(&gate, was) > 0, "{path}: {was}");
        assert_eq!(alice.get("/x").status, 200, "{path}: the other change waits for the restart too");
        std::fs::write(gate.config(), &good).unwrap();
    }
    // Another control socket is none that anybody could be asked at.
    gate.change("server.admin_socket", "other.sock");
    let output = gate.cli(&["reload"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("no gateway listens"), "{}", said(&output));
    gate.signal(Signal::HUP);
    wait_until("the log says so", || {
        (logged(&gate, "`server.admin_socket` cannot change while the gateway runs") > 0).then_some(())
    });
}

#[test]
fn what_cannot_be_had_now_is_refused_as_a_whole() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream.url()).start();
    let mut alice = alice(&gate);
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (good, address) = (std::fs::read_to_string(gate.config()).unwrap(), busy.local_addr().unwrap());
    gate.change("routes", &route(&upstream, "access: deny"));
    // On an address of its own, so that no other test takes the port meanwhile.
    let other = std::net::SocketAddr::from(([127, 0, 0, 2], crate::harness::free_address().port()));
    gate.change("server.listen", &format!("[\"127.0.0.1:0\", {other:?}, {address:?}]"));
    refused(&gate, 1, "listen", "cannot listen on");
    assert!(std::net::TcpStream::connect(other).is_err(), "the one that could be had was given back");
    assert_eq!(alice.get("/x").status, 200);
    std::fs::write(gate.config(), &good).unwrap();

    std::fs::create_dir(gate.path("folder")).unwrap();
    gate.change("audit.file", "folder");
    refused(&gate, 1, "file: folder", "cannot write the audit file");
    std::fs::write(gate.config(), &good).unwrap();

    let key = std::fs::read(gate.path("secret.key")).unwrap();
    std::fs::set_permissions(gate.path("secret.key"), PermissionsExt::from_mode(0o644)).unwrap();
    refused(&gate, 78, "key_file", "secret.key");
    std::fs::write(gate.path("secret.key"), "").unwrap();
    refused(&gate, 78, "key_file", "secret.key");
    std::fs::write(gate.path("secret.key"), key).unwrap();
    std::fs::set_permissions(gate.path("secret.key"), PermissionsExt::from_mode(0o600)).unwrap();
    gate.reload();
}

#[test]
fn the_gateway_reads_the_file_that_it_was_started_with_and_no_other() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream.url()).start();
    let other = gate.path("other.yaml");
    std::fs::copy(gate.config(), &other).unwrap();
    let output = gate.run(&["reload", "--config", other.to_str().unwrap()], "");
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("started with {}, not with {}", gate.config().display(), other.display());
    assert!(said(&output).contains(&expected), "{}", said(&output));
    // The same file by another name, and from its own folder.
    std::os::unix::fs::symlink(gate.config(), gate.path("link.yaml")).unwrap();
    for name in ["link.yaml", "sekisho.yaml", "./sekisho.yaml"] {
        let output = gate.run(&["reload", "--config", name], "");
        assert!(output.status.success(), "{name}: {}", said(&output));
    }
}

#[test]
fn without_a_gateway_there_is_nobody_to_take_it() {
    let gate = gate("http://127.0.0.1:9").prepare();
    let output = gate.cli(&["reload"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("no gateway listens"), "{}", said(&output));
    gate.change("session.idle_timeout", "soon");
    let output = gate.cli(&["reload"]);
    assert_eq!(output.status.code(), Some(78), "the file is wrong as well: {}", said(&output));
    assert!(said(&output).contains("idle_timeout"), "{}", said(&output));
}

#[test]
fn many_at_once_take_their_turns() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream.url()).start();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..6).map(|_| scope.spawn(|| gate.cli(&["reload"]))).collect();
        (0..3).for_each(|_| gate.signal(Signal::HUP));
        for one in all {
            let output = one.join().unwrap();
            assert!(output.status.success(), "{}", said(&output));
        }
    });
    assert_eq!(Client::new(&gate).get("/x").status, 303);
    assert!(reloads(&gate).len() >= 6 && reloads(&gate).iter().all(|(_, result, _)| result == "success"));
}
