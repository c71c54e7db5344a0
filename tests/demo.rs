//! `sekisho demo`: one command, through the wall with what it prints, and nothing left behind.

use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::{Conn, Process};

/// A demo whose temporary files are in a folder of the test's own.
fn start(folder: &TempDir, listen: &str, language: &str) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho"));
    command.args(["demo", "--listen", listen, "--lang", language]).env("TMPDIR", folder.path());
    Process::start("sekisho demo", &mut command)
}

/// The addresses that it prints first: the wall, and the page with the codes.
fn addresses(demo: &mut Process) -> Vec<String> {
    demo.wait_for("the demo says where it is", |lines| {
        let words = lines.iter().flat_map(|line| line.split_whitespace());
        let found: Vec<String> =
            words.filter_map(|word| Some(word.strip_prefix("http://")?.trim_end_matches('/').to_owned())).collect();
        found.get(..2).map(<[String]>::to_vec)
    })
}

fn get(address: &str, path: &str) -> crate::harness::Response {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/html\r\nAccept-Language: en\r\n\
         Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nConnection: close\r\n\r\n"
    );
    Conn::plain(address.parse().unwrap()).send(request).response()
}

#[test]
fn the_demo_stands_behind_its_wall_and_leaves_nothing_behind() {
    for (language, signal) in [("en", Signal::INT), ("ja", Signal::TERM)] {
        let folder = TempDir::new().unwrap();
        let mut demo = start(&folder, "127.0.0.1:0", language);
        let found = addresses(&mut demo);
        let [wall, phone] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(get(wall, "/").status, 303);
        assert_eq!(get(wall, "/notice").status, 200);
        let codes: serde_json::Value = serde_json::from_str(&get(phone, "/codes").text()).unwrap();
        assert_eq!(codes[0]["label"], "alice");
        assert_eq!(codes[0]["code"].as_str().unwrap().len(), 6);
        assert_ne!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "its files are in the folder it was given");

        demo.signal(signal);
        assert!(demo.wait().success());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something was left behind");
    }
}

#[test]
fn a_busy_port_is_told_with_the_way_out() {
    let folder = TempDir::new().unwrap();
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut demo = start(&folder, &busy.local_addr().unwrap().to_string(), "en");
    assert_eq!(demo.wait().code(), Some(1));
    let said = demo.lines().join("\n");
    assert!(said.contains("cannot listen on") && said.contains("--listen 127.0.0.1:8081"), "{said}");
}

#[test]
fn the_demo_is_for_this_machine_alone() {
    let folder = TempDir::new().unwrap();
    let mut demo = start(&folder, "0.0.0.0:0", "en");
    assert_eq!(demo.wait().code(), Some(1));
    assert!(demo.lines().join("\n").contains("this machine's own addresses alone"));
}
