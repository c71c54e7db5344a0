//! Sockets that systemd holds (sd_listen_fds(3)). systemd is played by the test: it keeps the sockets, and passes them to each
//! process that it starts.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::io::FdFlags;

use crate::harness::{Builder, Client, Load, Recorder, Sekisho, poll};

/// The sockets of a `.socket` unit.
struct Unit {
    sockets: Vec<(String, OwnedFd, SocketAddr)>,
}

impl Unit {
    fn with(names: &[&str]) -> Self {
        let sockets = names.iter().map(|name| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            // Far from the numbers that they are passed under.
            let socket = rustix::io::fcntl_dupfd_cloexec(&listener, 50).unwrap();
            rustix::io::fcntl_setfd(&socket, FdFlags::empty()).unwrap();
            ((*name).to_owned(), socket, address)
        });
        Self { sockets: sockets.collect() }
    }

    fn address(&self, name: &str) -> SocketAddr {
        self.sockets.iter().find(|(own, _, _)| own == name).unwrap().2
    }

    /// `sekisho serve` is started as systemd starts it.
    fn starts(&self, builder: Builder) -> Builder {
        use std::fmt::Write as _;
        let mut script = String::new();
        for (index, (_, socket, _)) in self.sockets.iter().enumerate() {
            write!(script, "exec {}<&{}; exec {}<&-; ", index + 3, socket.as_raw_fd(), socket.as_raw_fd()).unwrap();
        }
        let names: Vec<&str> = self.sockets.iter().map(|(name, _, _)| name.as_str()).collect();
        write!(
            script,
            "export LISTEN_FDS={} LISTEN_PID=$$ LISTEN_FDNAMES={}; exec \"$@\"",
            names.len(),
            names.join(":")
        )
        .unwrap();
        builder.started_by(&["bash", "-c", &script, "systemd"])
    }
}

fn gateway(upstream: &Recorder) -> Builder {
    Sekisho::builder()
        .set("second_factor.policy", "off")
        .route("{name: all, upstream: UPSTREAM}", &upstream.url())
        .user("alice", &[])
}

#[test]
fn plain_restarts_refuse_nothing_as_connections_wait_in_the_backlog() {
    let upstream = Recorder::ok();
    let unit = Unit::with(&["http", "https"]);
    let builder = gateway(&upstream).tls(&["app.test"]).set("server.listen", "[\"systemd:http\"]");
    let mut gate = unit.starts(builder.set("server.tls.listen", "[\"systemd:https\"]")).start();
    assert_eq!((gate.address(), gate.tls_address()), (unit.address("http"), unit.address("https")));
    let (mut plain, mut tls) = (Client::new(&gate), Client::tls(&gate, "app.test"));
    plain.sign_in_by_password_alone(&gate);
    tls.sign_in_by_password_alone(&gate);
    let load = Load::new().fresh_connections(&plain, gate.address()).fresh_connections(&plain, gate.address());
    load.goes_on_for(20);
    for _ in 0..3 {
        gate.restart();
        load.goes_on_for(20);
    }
    load.done();
    assert_eq!((plain.get("/").status, tls.get("/").status), (200, 200));
}

#[test]
fn an_upgrade_under_sockets_of_systemd_passes_them_on() {
    let upstream = Recorder::ok();
    let unit = Unit::with(&["http"]);
    let mut gate = unit.starts(gateway(&upstream).set("server.listen", "[\"systemd:http\"]")).start();
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    let load = Load::new().fresh_connections(&alice, gate.address());
    gate.upgrade();
    gate.upgrade();
    load.goes_on_for(20);
    load.done();
    gate.wait_for_predecessors();
    assert_eq!(alice.get("/").status, 200);
}

#[test]
fn sockets_of_one_name_are_all_listened_on() {
    let upstream = Recorder::ok();
    let unit = Unit::with(&["http", "http"]);
    let mut gate = unit.starts(gateway(&upstream).set("server.listen", "[\"systemd:http\"]")).prepare();
    gate.serve();
    for (_, _, address) in &unit.sockets {
        let answered = poll(crate::harness::PATIENCE, || {
            let mut conn = crate::harness::Conn::plain(*address);
            conn.send(format!("GET /x HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"));
            conn.read_response(false)
        });
        assert_eq!(answered.map(|answer| answer.status), Some(401), "{address}");
    }
}

#[test]
fn what_is_missing_and_what_nobody_asked_for_is_said() {
    let upstream = Recorder::ok();
    for (passed, listen, words, hint) in [
        (&["web"][..], "[\"systemd:http\"]", "no socket named \"http\", but: systemd:web", "FileDescriptorName="),
        (&[][..], "[\"systemd:http\"]", "no socket named \"http\"", "FileDescriptorName="),
        (&["http", "extra"][..], "[\"systemd:http\"]", "nothing listens on: systemd:extra", "server.listen"),
    ] {
        let unit = Unit::with(passed);
        let gate = unit.starts(gateway(&upstream).set("server.listen", listen)).prepare();
        let mut process = gate.spawn_serve();
        assert_eq!(process.wait().code(), Some(1));
        let said = process.lines().join("\n");
        assert!(said.contains(words) && said.contains(hint), "{said}");
    }
}
