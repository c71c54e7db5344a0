//! Upstreams that lie, never end or never begin (attack case A59): the answer is a page of sekisho's or looks broken off, the
//! gateway's memory stays flat, and nobody else notices.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Client, Conn, Recorder, Sekisho, poll, wait_until};
use crate::wire::{ask, gate, get, status};

const MIB: u64 = 1024 * 1024;
/// A terabyte.
const ENDLESS: u64 = 1 << 40;

/// The most memory that the gateway has held, in KiB.
fn peak(gate: &mut Sekisho) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gate.process().pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// How much an upstream has got rid of, and whether it was told to stop.
#[derive(Default)]
struct Flood {
    sent: AtomicU64,
    ended: AtomicBool,
}

impl Flood {
    /// Writes a body without end, until nobody takes it any more.
    fn pour(&self, stream: &mut TcpStream) {
        let piece = vec![7; 64 * 1024];
        while stream.write_all(&piece).is_ok() {
            self.sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
        }
        self.ended.store(true, Ordering::SeqCst);
    }
}

/// An upstream whose every answer is a terabyte.
fn terabyte() -> (Recorder, Arc<Flood>) {
    let flood = Arc::new(Flood::default());
    let pouring = Arc::clone(&flood);
    let upstream = Recorder::with(move |_, stream| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {ENDLESS}\r\n\r\n");
        if stream.write_all(head.as_bytes()).is_ok() {
            pouring.pour(stream);
        }
        false
    });
    (upstream, flood)
}

#[test]
fn a59_a_terabyte_is_passed_on_piece_by_piece_and_ends_with_its_reader() {
    let (upstream, flood) = terabyte();
    let mut gate = gate(&upstream).start();
    let before = peak(&mut gate);
    let mut reader = Conn::plain(gate.address());
    reader.send(get(&gate, "/public/x", ""));
    let head = reader.read_head().expect("an answer");
    assert_eq!(head.header("content-length"), Some(ENDLESS.to_string().as_str()));
    for _ in 0..256 {
        assert!(reader.take(usize::try_from(MIB).unwrap()).iter().all(|byte| *byte == 7));
    }
    let grown = peak(&mut gate).saturating_sub(before);
    assert!(grown < 32 * 1024, "256 MiB went through, and {grown} KiB stayed");
    drop(reader);
    wait_until("the upstream is told that nobody reads on", || flood.ended.load(Ordering::SeqCst).then_some(()));
}

/// Whoever does not read holds the upstream up, and nobody's memory.
#[test]
fn a59_what_nobody_reads_waits_at_the_upstream() {
    let (upstream, flood) = terabyte();
    let mut gate = gate(&upstream).start();
    let before = peak(&mut gate);
    let mut readers: Vec<Conn> = (0..8).map(|_| Conn::plain(gate.address())).collect();
    for reader in &mut readers {
        reader.send(get(&gate, "/public/x", ""));
        assert_eq!(reader.read_head().map(|head| head.status), Some(200));
    }
    let (mut seen, mut since) = (0, Instant::now());
    let stands = poll(Duration::from_secs(30), || {
        let now = flood.sent.load(Ordering::SeqCst);
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        (seen > 0 && since.elapsed() > Duration::from_secs(1)).then_some(())
    });
    assert!(stands.is_some(), "the upstream goes on writing: {} MiB", seen / MIB);
    let grown = peak(&mut gate).saturating_sub(before);
    assert!(grown < 32 * 1024, "{} MiB were written for eight who do not read, and {grown} KiB stayed", seen / MIB);
    drop(readers);
    wait_until("the upstreams are told", || flood.ended.load(Ordering::SeqCst).then_some(()));
}

/// A promise of a terabyte in the other direction.
#[test]
fn a59_a_terabyte_of_a_form_is_refused_by_its_promise() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream)
        .route(
            "{name: small, path: /public/small, access: public, max_body: 1MiB, upstream: UPSTREAM}",
            &upstream.url(),
        )
        .start();
    for path in ["/public/small", "/.sekisho/login"] {
        let request = format!("POST {path} HTTP/1.1\r\nHost: app.test\r\nContent-Length: {ENDLESS}\r\n\r\nabc");
        assert_eq!(status(&ask(&gate, request)), 413, "{path}");
    }
    assert_eq!(upstream.bytes(), 0);
}

/// Answers that are none. Each ends in a page of ours, or breaks off; none is waited for, and none is passed on as it came.
#[test]
fn a59_an_answer_that_is_none_is_502_and_says_nothing_of_it() {
    let long = "a".repeat(2 * 1024 * 1024);
    let many = "X: y\r\n".repeat(10_000);
    let secret = "hidden-inside";
    for (what, answer) in [
        ("no status line", format!("{secret}\r\n\r\n")),
        ("a status that is no number", format!("HTTP/1.1 abc {secret}\r\n\r\n")),
        ("a status of six digits", format!("HTTP/1.1 200000 {secret}\r\nContent-Length: 0\r\n\r\n")),
        ("another protocol", format!("SSH-2.0-{secret}\r\n")),
        ("a header without a colon", format!("HTTP/1.1 200 OK\r\n{secret}\r\n\r\n")),
        ("NUL in a header", format!("HTTP/1.1 200 OK\r\nX: {secret}\0\r\nContent-Length: 0\r\n\r\n")),
        ("a negative length", format!("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{secret}")),
        ("a length that is no number", format!("HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n{secret}")),
        ("two lengths", format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{secret}")),
        ("a head of megabytes", format!("HTTP/1.1 200 OK\r\nX: {long}{secret}\r\nContent-Length: 0\r\n\r\n")),
        ("ten thousand headers", format!("HTTP/1.1 200 OK\r\n{many}X: {secret}\r\nContent-Length: 0\r\n\r\n")),
        ("half a head", format!("HTTP/1.1 200 OK\r\nX: {secret}")),
        ("nothing", String::new()),
    ] {
        let upstream = Recorder::with(move |_, stream| {
            let _ = stream.write_all(answer.as_bytes());
            false
        });
        let gate = gate(&upstream).set("log.access", "off").start();
        for accept in ["text/html", "application/json"] {
            let mut conn = Conn::plain(gate.address());
            conn.send(get(&gate, "/public/x", &format!("Accept: {accept}\r\n")));
            let answer = conn.response();
            assert_eq!(answer.status, 502, "{what}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
            let whole = format!("{}{}", String::from_utf8_lossy(&answer.head), answer.text());
            assert!(!whole.contains(secret) && !whole.contains(&upstream.address().to_string()), "{what}: {whole}");
        }
    }
}

#[test]
fn a59_interim_answers_are_passed_over_however_many_and_the_real_one_comes() {
    let upstream = Recorder::with(|request, stream| {
        let count = if request.target().ends_with("many") { 1_000 } else { 1 };
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n".repeat(count);
        stream.write_all(hints.as_bytes()).is_ok()
            && stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok()
    });
    let gate = gate(&upstream).start();
    let mut client = Client::new(&gate);
    for path in ["/public/one", "/public/many", "/public/one"] {
        let answer = client.request("GET", path, "", b"");
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "{path}");
    }
}

/// Chunks that break off, or are none, are not made whole on the way.
#[test]
fn a59_a_body_that_dies_looks_dead() {
    for (what, body) in [
        ("breaks off in a chunk", "5\r\nhel"),
        ("breaks off between chunks", "5\r\nhello\r\n"),
        ("is no chunk", "5\r\nhello\r\nzz\r\nworld\r\n0\r\n\r\n"),
        ("a chunk beyond all numbers", "5\r\nhello\r\nfffffffffffffffff\r\nworld"),
    ] {
        let upstream = Recorder::with(move |_, stream| {
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
            false
        });
        let gate = gate(&upstream).start();
        let mut conn = Conn::plain(gate.address());
        conn.send(get(&gate, "/public/x", ""));
        let head = conn.read_head().expect("a head");
        let rest = String::from_utf8_lossy(&conn.until_close()).into_owned();
        assert!(head.status == 502 || !rest.ends_with("0\r\n\r\n"), "{what}: {rest:?}");
        assert_eq!(status(&ask(&gate, get(&gate, "/.sekisho/login", ""))), 200, "{what}: the gateway goes on");
    }
}
