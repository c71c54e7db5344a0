//! What may have reached an upstream and could change something there is never sent a second time, however the upstream dies: at no
//! other connection, at no other upstream.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::harness::{Conn, Recorder, Sekisho};

/// How an upstream dies of a request.
#[derive(Debug, Clone, Copy)]
enum Death {
    /// When it has read its head.
    AfterTheHead,
    /// When it has read so many bytes.
    After(usize),
    /// When it has read all of it, without a word, by a reset.
    Reset,
    /// The same after an interim answer.
    AfterContinue,
    /// In its own head.
    InItsHead,
    /// On a connection that has served one request well: when the next one begins.
    AtTheSecond,
    /// The same, when it has read all of it.
    AfterTheSecond,
    /// It closes each connection after one answer, without having said so.
    WhenIdle,
}

const ALL: [Death; 9] = [
    Death::AfterTheHead,
    Death::After(1),
    Death::After(60),
    Death::Reset,
    Death::AfterContinue,
    Death::InItsHead,
    Death::AtTheSecond,
    Death::AfterTheSecond,
    Death::WhenIdle,
];

/// An upstream that dies so, and keeps what it was sent.
struct Dying {
    address: SocketAddr,
    read: Arc<Mutex<Vec<u8>>>,
}

impl Dying {
    fn start(death: Death) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dying = Self { address: listener.local_addr().unwrap(), read: Arc::default() };
        let read = Arc::clone(&dying.read);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let read = Arc::clone(&read);
                std::thread::spawn(move || serve(stream, death, &read));
            }
        });
        dying
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn copies(&self, marker: &str) -> usize {
        count(&self.read.lock().unwrap(), marker)
    }
}

fn count(bytes: &[u8], marker: &str) -> usize {
    String::from_utf8_lossy(bytes).matches(marker).count()
}

fn serve(mut stream: TcpStream, death: Death, all: &Mutex<Vec<u8>>) {
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    match death {
        Death::AfterTheHead => read_until(&mut stream, all, |read| count(read, "\r\n\r\n") > 0),
        Death::After(bytes) => read_until(&mut stream, all, |read| read.len() >= bytes),
        Death::Reset => {
            read_until(&mut stream, all, is_whole);
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
        }
        Death::AfterContinue => {
            read_until(&mut stream, all, is_whole);
            let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        Death::InItsHead => {
            read_until(&mut stream, all, is_whole);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le");
        }
        Death::AtTheSecond | Death::AfterTheSecond => {
            read_until(&mut stream, all, is_whole);
            let _ = stream.write_all(ok);
            let whole = matches!(death, Death::AfterTheSecond);
            read_until(&mut stream, all, |read| !whole || is_whole(read));
        }
        Death::WhenIdle => {
            read_until(&mut stream, all, is_whole);
            let _ = stream.write_all(ok);
            let _ = stream.shutdown(Shutdown::Write);
            // What comes all the same is seen.
            read_until(&mut stream, all, |_| false);
        }
    }
}

/// Whether this is a whole request of those that are sent here.
fn is_whole(read: &[u8]) -> bool {
    let text = String::from_utf8_lossy(read);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let head = head.to_lowercase();
    if head.contains("transfer-encoding") { body.ends_with("0\r\n\r\n") } else { body.len() >= length(&head) }
}

fn length(head: &str) -> usize {
    let value = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

/// One request's bytes, and into the list with them.
fn read_until(stream: &mut TcpStream, all: &Mutex<Vec<u8>>, enough: impl Fn(&[u8]) -> bool) {
    let (mut read, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        read.extend_from_slice(&piece[..count]);
        all.lock().unwrap().extend_from_slice(&piece[..count]);
        if enough(&read) {
            return;
        }
    }
}

/// Sends it over a connection of its own; the status of the answer.
fn send(gate: &Sekisho, request: &str) -> u16 {
    let mut conn = Conn::plain(gate.address());
    let _ = conn.try_send(request.as_bytes());
    loop {
        let status = conn.read_response(false).expect("an answer").status;
        if status >= 200 {
            return status;
        }
    }
}

#[test]
fn a_request_that_could_change_something_reaches_upstreams_once_however_they_die() {
    let well = Recorder::ok();
    let dying = ALL.map(|death| (death, Dying::start(death)));
    let mut builder = Sekisho::builder().user("keeper", &["--role", "admin"]);
    for (index, (_, upstream)) in dying.iter().enumerate() {
        for (kind, list) in [
            ("alone", format!("upstream: '{}'", upstream.url())),
            ("pair", format!("upstreams: [{{url: '{}'}}, {{url: '{}'}}]", upstream.url(), well.url())),
        ] {
            let route = format!("{{name: {kind}{index}, path: /{kind}/{index}, access: public, {list}}}");
            builder = builder.route(&route, "");
        }
    }
    let gate = builder.start();
    let mut number = 0;
    for (index, (death, upstream)) in dying.iter().enumerate() {
        let (mut reached, mut failed) = (0, 0);
        for kind in ["alone", "pair"] {
            for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"] {
                for body in [
                    "Content-Length: 0\r\n\r\n",
                    "Content-Length: 12\r\n\r\nonly-this-1x",
                    "Transfer-Encoding: chunked\r\n\r\nc\r\nonly-this-1x\r\n0\r\n\r\n",
                ] {
                    number += 1;
                    let marker = format!("marker-{number}-");
                    let head = format!("{method} /{kind}/{index}/{marker} HTTP/1.1\r\nHost: tool.test\r\n");
                    let status = send(&gate, &format!("{head}{body}"));
                    let at_the_other = well.requests().iter().filter(|r| r.target().contains(&marker)).count();
                    let copies = upstream.copies(&marker) + at_the_other;
                    assert!(copies <= 1, "{death:?}, {method}: sent {copies} times");
                    assert!(status == 502 || copies == 1, "{death:?}, {method}: {status}, sent {copies} times");
                    reached += copies;
                    failed += usize::from(status == 502);
                }
            }
        }
        // The test would prove nothing of upstreams that nothing reached, or that did not die.
        assert!(reached > 0, "{death:?}");
        assert!(failed > 0 || matches!(death, Death::WhenIdle), "{death:?}: {reached} reached it");
    }
}

#[test]
fn half_an_upload_is_not_taken_up_again_at_another_upstream() {
    let (dying, well) = (Dying::start(Death::After(100_000)), Recorder::ok());
    let list = format!("upstreams: [{{url: '{}'}}, {{url: '{}'}}]", dying.url(), well.url());
    let gate = Sekisho::builder()
        .user("keeper", &["--role", "admin"])
        .route(&format!("{{name: all, access: public, {list}}}"), "")
        .start();
    let mut failed = 0;
    for number in 0..6 {
        let marker = format!("marker-{number}-");
        let body = "x".repeat(4 << 20);
        let head = format!("POST /{marker} HTTP/1.1\r\nHost: tool.test\r\nContent-Length: {}\r\n\r\n", body.len());
        let status = send(&gate, &format!("{head}{body}"));
        let at_the_other = well.requests().iter().filter(|r| r.target().contains(&marker)).count();
        assert_eq!(dying.copies(&marker) + at_the_other, 1, "{status}");
        failed += usize::from(status == 502);
    }
    assert!(failed > 0);
}
