//! The control socket from outside (attack case A55): whom it lets in, and what they can cost.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tempfile::TempDir;

use crate::harness::{Client, Recorder, Sekisho};

fn gate(upstream: &Recorder, socket: &Path) -> Sekisho {
    Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .set("server.admin_socket", socket.to_str().unwrap())
        .upstream(&upstream.url())
        .user("alice", &["--role", "admin"])
        .start()
}

/// A folder that everybody may go through, so that the socket's own mode is what keeps others out.
fn open_folder() -> TempDir {
    let folder = TempDir::with_prefix("sekisho-test-").unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Connects as somebody who is nobody here, asks for all accounts, and prints what came of it.
fn as_nobody(socket: &Path) -> Output {
    const ASK: &str = "import socket, struct, sys\n\
        s = socket.socket(socket.AF_UNIX)\n\
        s.settimeout(20)\n\
        try:\n    s.connect(sys.argv[1])\n\
        except PermissionError:\n    print('EACCES')\n    sys.exit()\n\
        body = b'{\"version\":1,\"command\":\"user_list\"}'\n\
        try:\n    s.sendall(struct.pack('>I', len(body)) + body)\n    print('answer', s.recv(100000))\n\
        except (BrokenPipeError, ConnectionResetError):\n    print('answer', b'')\n";
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", ASK]).arg(socket);
    command.output().expect("setpriv and Debian's python3 run")
}

#[test]
fn a55_the_socket_is_for_its_owner_and_group_alone() {
    let (upstream, folder) = (Recorder::ok(), open_folder());
    let socket = folder.path().join("admin.sock");
    let mut gate = gate(&upstream, &socket);
    let file = std::fs::symlink_metadata(&socket).unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!(file.mode() & 0o777, 0o660);
    // Only root can become somebody else.
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        let output = as_nobody(&socket);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "EACCES", "{output:?}");
        // Somebody has opened the file: the gateway itself looks who it is.
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
        let output = as_nobody(&socket);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "answer b''", "{output:?}");
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o660)).unwrap();
    }
    assert_eq!(gate.cli_json(&["user", "list"]).as_array().unwrap().len(), 1, "its owner is heard");
    gate.kill();
    assert!(socket.exists(), "kill -9 leaves the file");
    gate.serve();
    assert_eq!(std::fs::symlink_metadata(&socket).unwrap().mode() & 0o777, 0o660);
    assert_eq!(gate.cli_json(&["user", "list"]).as_array().unwrap().len(), 1);
}

/// The most memory that the process has held, in KiB, and its open files.
fn costs(gate: &mut Sekisho) -> (u64, usize) {
    let process = format!("/proc/{}", gate.process().pid());
    let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let files = std::fs::read_dir(format!("{process}/fd")).unwrap().count();
    (peak.trim().trim_end_matches(" kB").parse().unwrap(), files)
}

#[test]
fn a55_giant_lines_and_garbage_end_their_own_connection() {
    let (upstream, folder) = (Recorder::ok(), open_folder());
    let socket = folder.path().join("admin.sock");
    let mut gate = gate(&upstream, &socket);
    let (memory, _) = costs(&mut gate);
    let line = [vec![b'a'; 1024 * 1024], b"\n".to_vec()].concat();
    let giant = [&0x7fff_ffff_u32.to_be_bytes()[..], &line].concat();
    let deep = "[".repeat(200_000);
    let framed = |body: &[u8]| [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat();
    for bytes in [
        line,
        giant,
        framed(deep.as_bytes()),
        framed(&[0xff; 1000]),
        framed(b"{\"version\":1,\"command\":\"user_list\",\"x\":1}"),
        framed(b"{\"version\":1}"),
        framed(b""),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        vec![0; 3],
    ] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(25))).unwrap();
        // It may have closed before all of it was written.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
        assert!(!String::from_utf8_lossy(&answer).contains("alice"), "{:?}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(gate.cli_json(&["user", "list"]).as_array().unwrap().len(), 1);
    let grown = costs(&mut gate).0.saturating_sub(memory);
    assert!(grown < 32 * 1024, "{grown} KiB");
}

/// Connects without waiting: where there is no more room, that is said at once.
fn connect_now(address: &SocketAddrUnix) -> Option<std::os::fd::OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
    rustix::net::connect(&socket, address).ok().map(|()| socket)
}

#[test]
fn a55_a_thousand_idle_clients_hold_few_seats_and_none_for_long() {
    let (upstream, folder) = (Recorder::ok(), open_folder());
    let socket = folder.path().join("admin.sock");
    let mut gate = gate(&upstream, &socket);
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    let (_, files) = costs(&mut gate);
    let address = SocketAddrUnix::new(&socket).unwrap();
    let idle: Vec<_> = (0..1_000).filter_map(|_| connect_now(&address)).collect();
    assert!(idle.len() < 200, "{} were let in", idle.len());
    let (_, now) = costs(&mut gate);
    assert!(now < files + 100, "{files} open files before, {now} with them");
    assert_eq!(alice.get("/").text(), "ok", "people notice nothing");
    // Each is sent away for its silence, and whoever has something to say gets a seat.
    assert_eq!(gate.cli_json(&["user", "list"]).as_array().unwrap().len(), 1);
    drop(idle);
}
