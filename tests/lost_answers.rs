//! A connection to PostgreSQL ends in the middle of a commit: whether it was made nobody knows, so it is an error, and what it would have spent is
//! spent or not, and never good twice.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::database_failover::let_in;
use crate::harness::postgres::{Server, url_of};
use crate::harness::{Client, PASSWORD, Recorder, Sekisho, form_to, form_with, poll, text, wait_until};

/// Where a connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// The commit does not come to the server.
    Before,
    /// It does, and the server's answer does not come back.
    After,
}

/// Stands between a node and the server, and passes on what comes.
struct Between {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    /// The words by which the next commit to be lost is known.
    armed: Mutex<Option<(&'static str, Cut)>>,
    has_cut: AtomicBool,
}

impl Between {
    fn before(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared =
            Arc::new(Shared { server: server.address(), armed: Mutex::default(), has_cut: AtomicBool::new(false) });
        let passing = Arc::clone(&shared);
        // It ends with the process.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(passing.server) else { continue };
                let silenced = Arc::new(AtomicBool::new(false));
                let up = (client.try_clone().unwrap(), server.try_clone().unwrap(), Arc::clone(&silenced));
                let shared = Arc::clone(&passing);
                std::thread::spawn(move || requests(&shared, up.0, up.1, &up.2));
                let shared = Arc::clone(&passing);
                std::thread::spawn(move || answers(&shared, server, client, &silenced));
            }
        });
        Self { address, shared }
    }

    /// The next commit in which these words stand is lost.
    fn lose(&self, words: &'static str, cut: Cut) {
        self.shared.has_cut.store(false, Ordering::SeqCst);
        *self.shared.armed.lock().unwrap() = Some((words, cut));
    }

    #[track_caller]
    fn has_lost_it(&self) {
        wait_until("the commit was lost", || self.shared.has_cut.load(Ordering::SeqCst).then_some(()));
    }
}

fn end(one: &TcpStream, other: &TcpStream) {
    for stream in [one, other] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn requests(shared: &Shared, mut client: TcpStream, mut server: TcpStream, silenced: &AtomicBool) {
    let mut bytes = [0; 64 * 1024];
    while let Ok(count @ 1..) = client.read(&mut bytes) {
        let text = String::from_utf8_lossy(&bytes[..count]);
        let met = shared.armed.lock().unwrap().take_if(|(words, _)| text.contains(*words));
        match met {
            Some((_, Cut::Before)) => {
                shared.has_cut.store(true, Ordering::SeqCst);
                break;
            }
            Some((_, Cut::After)) => silenced.store(true, Ordering::SeqCst),
            None => {}
        }
        if server.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    end(&client, &server);
}

fn answers(shared: &Shared, mut server: TcpStream, mut client: TcpStream, silenced: &AtomicBool) {
    let (mut bytes, mut kept) = ([0; 64 * 1024], Vec::new());
    while let Ok(count @ 1..) = server.read(&mut bytes) {
        if silenced.load(Ordering::SeqCst) {
            kept.extend_from_slice(&bytes[..count]);
            // ReadyForQuery, outside of a transaction: it is committed.
            if kept.ends_with(&[b'Z', 0, 0, 0, 5, b'I']) {
                shared.has_cut.store(true, Ordering::SeqCst);
                break;
            }
        } else if client.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    end(&client, &server);
}

/// Two nodes, of which the first reaches the database through what may lose its commits.
struct Nodes {
    nodes: [Sekisho; 2],
    between: Between,
    _server: Server,
}

impl Nodes {
    fn start(upstream: &Recorder, policy: &str) -> Self {
        let server = Server::start();
        let between = Between::before(&server);
        let database = server.database();
        let mut first = Sekisho::builder()
            .cheap_hashes()
            .set("lockout.per_address", "{max_failures: 100000, window: 1m}")
            .set("second_factor.policy", policy)
            .upstream(&upstream.url())
            .database(&url_of(&[between.address], &database))
            .user("alice", &[])
            .prepare();
        let mut second = first.beside();
        let url = second.path("database-url");
        std::fs::write(&url, server.tcp_url(&database)).unwrap();
        second.change("store.url_file", &format!("{url:?}"));
        first.serve();
        second.serve();
        Self { nodes: [first, second], between, _server: server }
    }
}

#[test]
fn a_code_whose_commit_was_lost_is_an_error_and_good_once_at_most() {
    let upstream = Recorder::ok();
    let all = Nodes::start(&upstream, "required");
    let node = &all.nodes[0];
    let mut alice = Client::new(node);
    let mut key = alice.sign_in_and_enrol(node, "alice");
    for (cut, left) in [(Cut::After, 0), (Cut::Before, 1)] {
        alice.sign_out();
        let page = alice.give_password("alice", PASSWORD);
        let (form, code) = (form_with(&page, "code"), node.fresh_code(&key));
        all.between.lose("+session/", cut);
        let answer = alice.send(&form.with("code", &code));
        assert_eq!((answer.status, alice.cookie("session")), (503, None), "{cut:?}: {}", text(&answer.text()));
        all.between.has_lost_it();
        assert_eq!(let_in(&all.nodes, "alice", &code), left, "{cut:?}");
        assert_eq!(let_in(&all.nodes, "alice", &code), 0, "{cut:?}: once more");
        // Another app for the next round, as this one's codes are used up for a while.
        assert!(node.cli(&["user", "reset-second-factor", "alice"]).status.success());
        alice = Client::new(node);
        key = alice.sign_in_and_enrol(node, "alice");
    }
}

#[test]
fn a_session_whose_end_was_lost_is_over_where_it_was_committed() {
    let upstream = Recorder::ok();
    let all = Nodes::start(&upstream, "off");
    for cut in [Cut::After, Cut::Before] {
        let mut alice = Client::new(&all.nodes[0]);
        alice.sign_in(&all.nodes[0], "alice", None);
        let mut copies = all.nodes.each_ref().map(|node| {
            let mut copy = alice.copy();
            copy.follow(node);
            assert_eq!([copy.get("/").status, copy.get("/").status], [200, 200], "known from memory");
            copy
        });
        let page = alice.open("/.sekisho/logout");
        all.between.lose("-session/", cut);
        let answer = alice.send(&form_to(&page, "/logout"));
        assert_eq!(answer.status, 503, "{cut:?}: {}", text(&answer.text()));
        all.between.has_lost_it();
        for copy in &mut copies {
            let out = poll(Duration::from_secs(2), || (copy.get("/").status != 200).then_some(()));
            assert_eq!(out.is_some(), cut == Cut::After, "{cut:?}");
        }
    }
}
