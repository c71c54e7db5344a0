//! `sekisho upgrade`: a new process takes over, and nobody notices; what was open on the old one stays under control.

use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use sha2::{Digest, Sha256};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::harness::{Builder, Client, Conn, Load, Process, Recorder, Sekisho, is_gone, poll, tools, wait_until};

/// `tests/full` asks for more upgrades, and for a download of a minute.
fn rounds() -> (usize, Duration) {
    match std::env::var("SEKISHO_UPGRADES") {
        Ok(rounds) => (rounds.parse().expect("SEKISHO_UPGRADES is a number"), Duration::from_secs(60)),
        Err(_) => (3, Duration::ZERO),
    }
}

fn gateway(upstream: &str) -> Builder {
    Sekisho::builder()
        .set("second_factor.policy", "off")
        .route("{name: all, upstream: UPSTREAM}", upstream)
        .user("alice", &[])
}

fn signed_in(upstream: &str) -> (Sekisho, Client) {
    let gate = gateway(upstream).start();
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    (gate, alice)
}

#[track_caller]
fn echoes(socket: &mut tungstenite::WebSocket<TcpStream>, text: &str) {
    socket.send(Message::text(text)).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text(text));
}

fn get(conn: &mut Conn, client: &Client, path: &str) -> crate::harness::Response {
    conn.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{}\r\n", client.host, client.cookie_header()));
    conn.response()
}

#[test]
fn under_load_no_upgrade_refuses_resets_or_fails_anything_and_a_download_goes_on() {
    const PIECE: usize = 64 * 1024;
    let (rounds, least) = rounds();
    let enough = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&enough);
    let upstream = Recorder::with(move |request, stream| {
        if request.target() != "/download" {
            return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok();
        }
        // Piece by piece until the test has seen all it wants to.
        let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_ok();
        for number in 0_u32.. {
            let last = stop.load(Ordering::SeqCst);
            let piece = number.to_be_bytes().repeat(PIECE / 4);
            sent = sent && write!(stream, "{PIECE:x}\r\n").is_ok() && stream.write_all(&piece).is_ok();
            sent = sent && stream.write_all(b"\r\n").is_ok();
            if last || !sent {
                break;
            }
            poll(Duration::from_millis(50), || None::<()>);
        }
        sent && stream.write_all(b"0\r\n\r\n").is_ok()
    });
    let mut gate = Sekisho::builder()
        .set("second_factor.policy", "off")
        .route("{name: all, upstream: UPSTREAM}", &upstream.url())
        .user("alice", &[])
        .tls(&["app.test"])
        .start();
    let (mut plain, mut tls) = (Client::new(&gate), Client::tls(&gate, "app.test"));
    plain.sign_in_by_password_alone(&gate);
    tls.sign_in_by_password_alone(&gate);

    let began = Instant::now();
    let mut download = plain.connect();
    download.send(format!("GET /download HTTP/1.1\r\nHost: {}\r\n{}\r\n", plain.host, plain.cookie_header()));
    assert_eq!(download.read_head().expect("the download begins").status, 200);
    let reading = std::thread::spawn(move || {
        // The pieces' borders are not the chunks': one may be cut in two on the way.
        let (mut digest, mut bytes) = (Sha256::new(), 0);
        loop {
            let size = usize::from_str_radix(download.line().trim(), 16).expect("the download goes on to its end");
            if size == 0 {
                return (digest.finalize(), bytes);
            }
            digest.update(download.take(size));
            download.line();
            bytes += size;
        }
    });

    let load = Load::new()
        .fresh_connections(&plain, gate.address())
        .kept_connections(&plain, gate.address())
        .kept_connections(&plain, gate.address())
        .http2(&gate, &tls);
    load.goes_on_for(20);
    for _ in 0..rounds {
        gate.upgrade();
        load.goes_on_for(20);
    }
    if let Some(left) = least.checked_sub(began.elapsed()) {
        poll(left, || None::<()>);
    }
    load.goes_on_for(20);
    enough.store(true, Ordering::SeqCst);
    let (digest, bytes) = reading.join().expect("the download completes");
    assert_eq!(bytes % PIECE, 0, "the last piece is whole");
    let pieces = u32::try_from(bytes / PIECE).unwrap();
    let expected = (0..pieces).fold(Sha256::new(), |mut digest, number| {
        digest.update(number.to_be_bytes().repeat(PIECE / 4));
        digest
    });
    assert_eq!(digest, expected.finalize(), "the download came through unchanged");
    println!("{} answers over {rounds} upgrades, {pieces} pieces of the download", load.done());
    gate.wait_for_predecessors();
    assert_eq!(plain.get("/after").status, 200);
}

#[test]
fn a_logout_on_the_new_process_cuts_what_is_open_on_the_one_before_the_last() {
    let upstream = tools::WebSocketEcho::start();
    let (mut gate, mut alice) = signed_in(&upstream.url());
    let mut socket = tools::websocket(&gate, &alice);
    echoes(&mut socket, "before");
    gate.upgrade();
    echoes(&mut socket, "after one");
    gate.upgrade();
    echoes(&mut socket, "after two");
    assert_eq!(upstream.open(), 1);
    alice.sign_out();
    wait_until("the tool's end is closed", || (upstream.open() == 0).then_some(()));
    assert!(!matches!(socket.read(), Ok(Message::Text(_) | Message::Binary(_))), "the browser's end is closed");
    gate.wait_for_predecessors();
}

#[test]
fn an_administrator_on_the_new_process_cuts_a_stream_of_events_on_the_old() {
    let upstream = tools::EventStream::start();
    let (mut gate, alice) = signed_in(&upstream.url());
    let mut conn = alice.connect();
    conn.send(format!("GET /events HTTP/1.1\r\nHost: {}\r\n{}\r\n", alice.host, alice.cookie_header()));
    assert_eq!(conn.read_head().expect("the stream begins").status, 200);
    gate.upgrade();
    upstream.say("after the upgrade");
    assert!(poll(Duration::from_secs(20), || conn.line().contains("after the upgrade").then_some(())).is_some());
    let ended = gate.cli(&["session", "end", "--user", "alice"]);
    assert!(ended.status.success(), "{ended:?}");
    conn.until_close();
    gate.wait_for_predecessors();
}

#[test]
fn a_kept_connection_is_answered_once_more_with_the_store_behind_it_and_told_to_close() {
    let upstream = Recorder::ok();
    let (mut gate, mut alice) = signed_in(&upstream.url());
    let (mut one, mut other) = (alice.connect(), Client::new(&gate).connect());
    assert_ne!(get(&mut one, &alice, "/1").header("connection"), Some("close"));
    assert_eq!(get(&mut other, &alice, "/1").status, 200);
    gate.upgrade();
    // The old process has this session in its memory.
    let answer = get(&mut one, &alice, "/2");
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    // And asks the new one for a session that begins there.
    let mut bob = Client::new(&gate);
    bob.sign_in_by_password_alone(&gate);
    let answer = get(&mut other, &bob, "/3");
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(other.closes_within(Duration::from_secs(5)));
    gate.wait_for_predecessors();
    assert_eq!(alice.get("/4").status, 200);
}

#[test]
fn a_login_that_began_before_ends_after() {
    let upstream = Recorder::ok();
    let mut gate = Sekisho::builder().upstream(&upstream.url()).user("alice", &[]).clock().start();
    let mut alice = Client::new(&gate);
    let key = alice.sign_in_and_enrol(&gate, "alice");
    let mut again = Client::new(&gate);
    let page = again.give_password("alice", crate::harness::PASSWORD);
    gate.upgrade();
    let landed = again.give_code(&page, &gate.fresh_code(&key), false);
    assert_eq!((landed.status, landed.text()), (200, "ok".into()));
    assert_eq!(alice.get("/").status, 200);
    gate.wait_for_predecessors();
}

#[test]
fn when_the_new_process_dies_the_old_one_cuts_what_it_can_vouch_for_no_longer() {
    let upstream = tools::WebSocketEcho::start();
    let (mut gate, alice) = signed_in(&upstream.url());
    let mut socket = tools::websocket(&gate, &alice);
    echoes(&mut socket, "before");
    let pid = gate.upgrade();
    echoes(&mut socket, "after");
    kill_process(pid, Signal::KILL).unwrap();
    wait_until("the tool's end is closed", || (upstream.open() == 0).then_some(()));
    gate.wait_for_predecessors();
}

#[test]
fn when_the_old_process_is_killed_the_new_one_serves_on() {
    let upstream = tools::WebSocketEcho::start();
    let recorder = Recorder::ok();
    let mut gate =
        gateway(&upstream.url()).route("{name: page, path: /page, upstream: UPSTREAM}", &recorder.url()).start();
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    let mut socket = tools::websocket(&gate, &alice);
    echoes(&mut socket, "before");
    gate.upgrade();
    gate.signal(Signal::KILL);
    gate.wait_for_predecessors();
    assert_eq!(alice.get("/page").status, 200);
    alice.sign_out();
    alice.sign_in_by_password_alone(&gate);
    assert_eq!(alice.get("/page").status, 200);
}

#[test]
fn the_old_process_stops_at_once_when_it_is_told_to() {
    let upstream = tools::WebSocketEcho::start();
    let (mut gate, alice) = signed_in(&upstream.url());
    let mut socket = tools::websocket(&gate, &alice);
    echoes(&mut socket, "before");
    gate.upgrade();
    gate.signal(Signal::TERM);
    gate.wait_for_predecessors();
    assert_eq!(upstream.open(), 0);
}

#[test]
fn what_outlasts_the_grace_of_an_upgrade_is_cut() {
    let upstream = tools::WebSocketEcho::start();
    let mut gate = gateway(&upstream.url()).set("server.upgrade_grace", "1s").start();
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    let mut socket = tools::websocket(&gate, &alice);
    echoes(&mut socket, "before");
    gate.upgrade();
    gate.wait_for_predecessors();
    assert_eq!(upstream.open(), 0);
}

#[test]
fn a_bad_configuration_leaves_the_old_process_as_it_was() {
    let upstream = Recorder::ok();
    let (mut gate, mut alice) = signed_in(&upstream.url());
    let good = std::fs::read_to_string(gate.config()).unwrap();
    std::fs::write(gate.config(), good.replace("policy:", "polisy:")).unwrap();
    let refused = gate.cli(&["upgrade"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(78), "{said}");
    assert!(said.contains("sekisho.yaml:") && said.contains("polisy"), "{said}");
    assert_eq!(alice.get("/").status, 200);

    // Valid, but not to be had: the port is somebody else's.
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let two = format!("[\"127.0.0.1:0\", \"{}\"]", busy.local_addr().unwrap());
    let mut yaml: serde_yaml::Value = serde_yaml::from_str(&good).unwrap();
    yaml["server"]["listen"] = serde_yaml::from_str(&two).unwrap();
    std::fs::write(gate.config(), serde_yaml::to_string(&yaml).unwrap()).unwrap();
    let refused = gate.cli(&["upgrade"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot listen on") && said.contains("another program listens there"), "{said}");
    assert_eq!(alice.get("/").status, 200);

    drop(busy);
    gate.upgrade();
    gate.wait_for_predecessors();
    assert_eq!(alice.get("/").status, 200);
}

#[test]
fn what_the_file_takes_from_the_services_surroundings_need_not_be_there_for_who_asks() {
    let upstream = Recorder::ok();
    let known = gateway(&upstream.url()).set("session.idle_timeout", "\"${IDLE}\"").environment("IDLE", "30m");
    let mut gate = known.start();
    gate.set_environment("IDLE", "soon");
    gate.upgrade();
    gate.wait_for_predecessors();
    assert_eq!(Client::new(&gate).get("/").status, 303);
}

#[test]
fn metrics_and_the_command_line_are_answered_by_the_new_process_at_the_same_places() {
    let upstream = Recorder::ok();
    let mut gate = gateway(&upstream.url()).set("server.metrics", "\"127.0.0.1:0\"").start();
    let served = |gate: &Sekisho| -> Vec<std::net::SocketAddr> {
        let said: Vec<serde_json::Value> =
            gate.logs().iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let places = said.iter().filter(|line| line["fields"]["message"] == "metrics are served");
        places.map(|line| line["fields"]["address"].as_str().unwrap().parse().unwrap()).collect()
    };
    let before = wait_until("metrics are served", || served(&gate).first().copied());
    gate.upgrade();
    gate.wait_for_predecessors();
    assert_eq!(served(&gate), [before, before]);
    let mut conn = Conn::plain(before);
    conn.send("GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!(conn.response().status, 200);
    assert!(gate.cli_json(&["user", "list"]).as_array().is_some_and(|accounts| accounts.len() == 1));
}

#[test]
fn who_follows_the_events_goes_on_with_those_of_the_new_process() {
    let (mut gate, _alice) = signed_in(&Recorder::ok().url());
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sekisho"));
    command.args(["audit", "follow", "--json", "--event", "login", "--config"]).arg(gate.config());
    let mut follower = Process::start("sekisho audit follow", &mut command);
    let seen = |follower: &Process| follower.lines().iter().filter(|line| line.starts_with('{')).count();
    // It may not have asked yet: whoever follows sees what happens from then on.
    wait_until("a login is seen", || {
        Client::new(&gate).sign_in_by_password_alone(&gate);
        (seen(&follower) > 0).then_some(())
    });
    gate.upgrade();
    gate.wait_for_predecessors();
    let before = seen(&follower);
    wait_until("a login at the new process is seen", || {
        Client::new(&gate).sign_in_by_password_alone(&gate);
        (seen(&follower) > before).then_some(())
    });
    assert!(follower.is_running());
}

/// A program that says what a successor says, and fails where its first argument tells.
const FALSE_SUCCESSOR: &str = r#"#!/usr/bin/env python3
import array, json, os, socket, subprocess, sys, time
if sys.argv[-1] == "launch":
    subprocess.Popen([sys.argv[0], *sys.argv[1:-1], "take-over"])
    sys.exit(0)
stage = open(os.path.join(os.path.dirname(sys.argv[0]), "stage")).read().strip()
link = socket.socket(fileno=0)
def say(message):
    body = json.dumps(message).encode()
    link.sendall(len(body).to_bytes(4, "big") + body)
def read(count):
    data = b""
    while len(data) < count:
        piece = link.recv(count - len(data))
        if not piece:
            sys.exit(0)
        data += piece
    return data
def hear():
    return json.loads(read(int.from_bytes(read(4), "big")))
def fail_at(here):
    if stage == here:
        os.kill(os.getpid(), 9)
fail_at("silent")
say({"hello": {"protocol": {"messages": 99 if stage == "stranger" else 1, "relay": 1}, "pid": os.getpid(), "version": "9.9.9"}})
fail_at("hello")
inheritance = hear()
link.recvmsg(1, 4096)
fail_at("inheritance")
if stage == "unfit":
    say({"unfit": {"reason": "it does not want to", "hint": "ask nicely"}})
    sys.exit(0)
say("prepared")
fail_at("prepared")
assert hear() == "store"
fail_at("store")
if stage == "garbage":
    say({"tea": 1})
    time.sleep(1000)
"#;

#[test]
fn wherever_the_new_process_fails_the_old_one_goes_on_with_everything() {
    let upstream = Recorder::ok();
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("sekisho");
    // The gateway runs under the name of the program that its successors are started by.
    let by_name = ["bash", "-c", "exec -a \"$0\" \"$@\"", program.to_str().unwrap()];
    let mut gate = gateway(&upstream.url()).started_by(&by_name).start();
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);

    std::fs::write(&program, FALSE_SUCCESSOR).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    for (stage, words) in [
        ("silent", "before it said who it is"),
        ("hello", "before it"),
        ("inheritance", "before it had all it needs"),
        ("unfit", "it does not want to"),
        ("prepared", "before it"),
        ("store", "before it served"),
        ("garbage", "not understood"),
        ("stranger", "is sekisho 9.9.9"),
    ] {
        std::fs::write(folder.path().join("stage"), stage).unwrap();
        let load = Load::new().kept_connections(&alice, gate.address()).fresh_connections(&alice, gate.address());
        let refused = gate.cli(&["upgrade"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{stage}: {said}");
        assert!(said.contains(words), "{stage}: {said}");
        load.goes_on_for(5);
        load.done();
        // The store is there, and is written to.
        let mut again = Client::new(&gate);
        again.sign_in_by_password_alone(&gate);
        again.sign_out();
    }
    std::fs::remove_file(&program).unwrap();
    let missing = gate.cli(&["upgrade"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("cannot be started"), "{missing:?}");

    // What stands at the path now is what is started, as after a package was replaced.
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_sekisho"), &program).unwrap();
    let pid = gate.upgrade();
    gate.wait_for_predecessors();
    assert_eq!(alice.get("/").status, 200);
    assert!(!is_gone(pid));
}

#[test]
fn systemd_is_told_which_process_is_the_main_one() {
    let upstream = Recorder::ok();
    let folder = tempfile::tempdir().unwrap();
    let told = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    told.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let socket = folder.path().join("notify");
    let mut gate = gateway(&upstream.url()).environment("NOTIFY_SOCKET", socket.to_str().unwrap()).start();
    let pid = gate.upgrade().as_raw_nonzero();
    let mut buffer = [0; 4096];
    let main = format!("MAINPID={pid}");
    loop {
        let length = told.recv(&mut buffer).expect("systemd is told");
        if String::from_utf8_lossy(&buffer[..length]).lines().any(|line| line == main) {
            break;
        }
    }
    gate.wait_for_predecessors();
    // The old process ends without a word: the service goes on.
    told.set_nonblocking(true).unwrap();
    while let Ok(length) = told.recv(&mut buffer) {
        let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(!said.contains("STOPPING"), "{said}");
    }
}
