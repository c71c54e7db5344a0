//! What systemd is told: readiness, the end, signs of life. The test is the service manager, behind a real socket.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Builder, Client, PATIENCE, Sekisho};

/// The socket that messages come to, one datagram each.
struct Manager {
    socket: UnixDatagram,
    address: String,
}

impl Manager {
    fn at_path(folder: &Path) -> Self {
        let path = folder.join("notify");
        Self { socket: UnixDatagram::bind(&path).unwrap(), address: path.to_str().unwrap().to_owned() }
    }

    fn abstract_one() -> Self {
        let name = format!("sekisho-test-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        Self { socket: UnixDatagram::bind_addr(&address).unwrap(), address: format!("@{name}") }
    }

    /// The next message that comes within this time, as lines.
    fn next(&self, within: Duration) -> Option<Vec<String>> {
        self.socket.set_read_timeout(Some(within.max(Duration::from_millis(1)))).unwrap();
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(std::str::from_utf8(&buffer[..length]).unwrap().lines().map(str::to_owned).collect())
    }

    /// The first message that has this line; what comes before it is passed over.
    #[track_caller]
    fn wait_for(&self, line: &str) -> Vec<String> {
        let until = Instant::now() + PATIENCE;
        while let Some(message) = self.next(until.saturating_duration_since(Instant::now())) {
            if message.iter().any(|said| said == line) {
                return message;
            }
        }
        panic!("no message has `{line}`");
    }
}

fn builder() -> Builder {
    Sekisho::builder().upstream("http://127.0.0.1:9").user("alice", &[])
}

/// A gateway that is watched, with the given limit.
fn watched(limit: Duration) -> (Builder, Manager) {
    let builder = builder();
    let manager = Manager::at_path(builder.folder());
    let limit = limit.as_micros().to_string();
    (builder.environment("NOTIFY_SOCKET", &manager.address).environment("WATCHDOG_USEC", &limit), manager)
}

#[test]
fn systemd_learns_that_the_gateway_is_ready_and_that_it_stops() {
    for kind in ["path", "abstract"] {
        let builder = builder().set("server.shutdown_grace", "3s");
        let manager = if kind == "path" { Manager::at_path(builder.folder()) } else { Manager::abstract_one() };
        let mut gate = builder.environment("NOTIFY_SOCKET", &manager.address).start();
        let ready = manager.wait_for("READY=1");
        assert!(ready.iter().any(|line| line.starts_with("STATUS=")), "{kind}: {ready:?}");
        assert_eq!(Client::new(&gate).get("/.sekisho/login").status, 200, "{kind}: ready means that it serves");
        gate.signal(Signal::TERM);
        let stopping = manager.wait_for("STOPPING=1");
        assert!(stopping.contains(&"EXTEND_TIMEOUT_USEC=33000000".to_owned()), "{kind}: {stopping:?}");
        assert!(gate.process().wait().success());
    }
}

#[test]
fn a_gateway_that_does_not_start_never_says_that_it_is_ready() {
    let builder = Sekisho::builder().upstream("http://127.0.0.1:9");
    let manager = Manager::at_path(builder.folder());
    let gate = builder.environment("NOTIFY_SOCKET", &manager.address).write_only();
    gate.make_key();
    assert!(!gate.spawn_serve().wait().success());
    assert_eq!(manager.next(Duration::ZERO), None);
}

#[test]
fn signs_of_life_come_well_within_the_time_that_systemd_allows() {
    let limit = Duration::from_millis(1500);
    let (builder, manager) = watched(limit);
    let _gate = builder.start();
    manager.wait_for("WATCHDOG=1");
    for _ in 0..3 {
        let began = Instant::now();
        manager.wait_for("WATCHDOG=1");
        assert!(began.elapsed() < limit, "{:?}", began.elapsed());
    }
}

#[test]
fn somebody_elses_watchdog_hears_nothing() {
    let (builder, manager) = watched(Duration::from_millis(300));
    let _gate = builder.environment("WATCHDOG_PID", "1").start();
    manager.wait_for("READY=1");
    assert_eq!(manager.next(Duration::from_millis(600)), None);
}

/// A disk that never answers again, by strace: every fdatasync from the fourth on takes five seconds, which is for ever here. Pages are served from memory
/// all the while, so that nothing but the watchdog would notice.
#[test]
fn a_store_that_stands_still_gives_no_sign_of_life_however_well_pages_are_served() {
    let limit = Duration::from_secs(1);
    let (builder, manager) = watched(limit);
    let hang = ["strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync"];
    let hang = [&hang[..], &["-e", "inject=fdatasync:delay_enter=5000000:when=4+"]].concat();
    let mut gate = builder.started_by(&hang).start();
    manager.wait_for("WATCHDOG=1");
    gate.process().wait_for("it says that the store hangs", |lines| {
        lines.iter().find(|line| line.contains("the store has not answered")).cloned()
    });
    // Those that were given before.
    while manager.next(Duration::ZERO).is_some() {}
    assert_eq!(manager.next(limit), None, "a sign of life without a store");
    assert_eq!(Client::new(&gate).get("/.sekisho/login").status, 200);
    gate.kill();
}
