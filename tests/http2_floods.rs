//! Floods of HTTP/2 frames (attack case A21) and heads beyond every measure (A22), in their short form: each ends its own connection,
//! costs the gateway little, and leaves everybody else in peace. `benches/overload.rs` has the long form, with figures.

use std::io::Write;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::harness::frames::{
    self, ACK, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, NEWEST, PING,
    PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame, remembered, setting,
};
use crate::harness::{Client, Conn, PATIENCE, Recorder, Sekisho, tcp_from, tls, wait_until};
use crate::wire::gate as open_gate;

/// More than a connection may have of frames that nobody needs, and far more than it needs.
const MANY: usize = 5000;
/// What all of one test's attacks may cost.
const MOST_MEMORY: u64 = 64 * 1024 * 1024;
const INITIAL_WINDOW_SIZE: u16 = 4;
const PRIORITY: u8 = 2;
/// RFC 9113 §6.9.1.
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// A gateway, alice who is signed in, and what it had in memory then.
struct Siege {
    gate: Sekisho,
    alice: Client,
    before: u64,
    lines: usize,
}

impl Siege {
    fn begin(upstream: &Recorder) -> Self {
        let gate = open_gate(upstream).tls(&["app.test"]).set("log.access", "off").user("alice", &[]).start();
        let mut alice = Client::tls(&gate, "app.test");
        alice.sign_in_by_password_alone(&gate);
        assert_eq!(alice.get("/x").status, 200);
        let mut siege = Self { gate, alice, before: 0, lines: 0 };
        siege.before = siege.memory();
        siege.lines = siege.gate.logs().len();
        siege
    }

    fn connect(&self) -> Conn {
        connect(&self.gate)
    }

    fn memory(&mut self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.gate.process().pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Nobody else noticed anything, neither people nor whoever reads the logs or pays for memory.
    #[track_caller]
    fn was_withstood(&mut self) {
        assert_eq!(self.alice.get("/x").status, 200);
        let grown = self.memory().saturating_sub(self.before);
        assert!(grown < MOST_MEMORY, "{grown} bytes");
        let said = self.gate.logs().split_off(self.lines);
        assert!(said.len() < 50, "{} lines, such as {:?}", said.len(), said.last());
    }
}

fn connect(gate: &Sekisho) -> Conn {
    let mut conn = gate.authority().connect(gate.tls_address(), "app.test", &["h2"]);
    conn.send([PREFACE, &frame(SETTINGS, 0, 0, b""), &frame(SETTINGS, ACK, 0, b"")].concat());
    conn
}

/// How many requests reached the upstream that were not alice's.
fn strangers(upstream: &Recorder) -> usize {
    upstream.requests().iter().filter(|request| request.target() != "/x").count()
}

/// How an attack ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// GOAWAY, with its reason.
    SentAway(u32),
    Closed,
}

/// Sends all of it, as far as it is taken, and waits for the connection's end. `None`: there was none.
fn end_of(conn: &mut Conn, bytes: &[u8]) -> Option<End> {
    conn.send_within(Duration::from_secs(10));
    let sent = conn.try_send(bytes).is_ok();
    // Had it been taken for good, this would be answered.
    let asked = sent && conn.try_send(&frame(PING, 0, 0, b"the last")).is_ok();
    loop {
        let Some(frame) = frames::next(conn) else {
            assert!(conn.came(Duration::ZERO).is_none(), "neither an answer nor an end");
            return Some(End::Closed);
        };
        match frame.kind {
            GOAWAY => return frame.reason().map(End::SentAway),
            PING if asked && frame.flags & ACK != 0 && frame.payload == b"the last" => return None,
            _ => {}
        }
    }
}

fn get(stream: u32, path: &str) -> Vec<u8> {
    let fields = [(":method", "GET"), (":scheme", "https"), (":authority", "app.test"), (":path", path)];
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&fields))
}

/// A field block in as many frames as it takes.
fn whole(stream: u32, block: &[u8]) -> Vec<u8> {
    let pieces: Vec<&[u8]> = block.chunks(16_000).collect();
    let last = pieces.len() - 1;
    let frames = pieces.iter().enumerate().map(|(index, piece)| {
        let ends = if index == last { END_HEADERS } else { 0 };
        if index == 0 {
            frame(HEADERS, ends | END_STREAM, stream, piece)
        } else {
            frame(CONTINUATION, ends, stream, piece)
        }
    });
    frames.collect::<Vec<_>>().concat()
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
}

/// The odd numbers, which are the client's streams (RFC 9113 §5.1.1).
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|index| 2 * index + 1)
}

/// CVE-2023-44487: two thousand requests taken back in the breath in which they are made.
#[test]
fn a21_requests_reset_as_they_are_made_end_the_connection() {
    let upstream = Recorder::ok();
    let mut siege = Siege::begin(&upstream);
    let flood: Vec<u8> = streams(2000).flat_map(|stream| [get(stream, "/public/x"), reset(stream)].concat()).collect();
    let end = end_of(&mut siege.connect(), &flood);
    assert!(end.is_some(), "two thousand resets were taken");
    siege.was_withstood();
    assert!(strangers(&upstream) < 1100, "{} of them went on", strangers(&upstream));
}

/// Requests that wait until others of their address were answered, and are taken back meanwhile: the tool never hears of them, and they are
/// kept no longer. (Streams that were reset do not count among those that a connection may have, so there could be any number.)
#[test]
fn a21_requests_that_are_taken_back_while_they_wait_do_not_wait_on() {
    let upstream = Recorder::with(|request, stream| {
        if request.target() == "/public/slow" {
            let _ = std::io::copy(stream, &mut std::io::sink());
            return false;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok()
    });
    let gate = open_gate(&upstream).tls(&["app.test"]).set("server.metrics", "\"127.0.0.1:0\"").start();
    let under_way = || gate.sample("sekisho_requests_in_flight");
    let mut conns = [(); 3].map(|()| connect(&gate));
    for conn in &mut conns {
        conn.send(streams(80).flat_map(|stream| get(stream, "/public/slow")).collect::<Vec<u8>>());
    }
    wait_until("all have come", || (under_way() >= 240.0).then_some(()));
    for conn in &mut conns {
        conn.send(streams(80).flat_map(reset).collect::<Vec<u8>>());
    }
    wait_until("all are over", || (under_way() == 0.0).then_some(()));
    assert!(strangers(&upstream) < 200, "{} of 240 went on", strangers(&upstream));

    // What the tool was asked in vain counts for a second: of a hundred such the last wait for two.
    let (began, mut conn) = (Instant::now(), connect(&gate));
    for stream in streams(100) {
        let seen = strangers(&upstream);
        conn.send(get(stream, "/public/slow"));
        wait_until("the tool is asked", || (strangers(&upstream) > seen).then_some(()));
        conn.send(reset(stream));
    }
    assert!(began.elapsed() >= Duration::from_secs(2), "a hundred in {:?}", began.elapsed());
    assert_eq!(status(&mut connect(&gate), &get(1, "/public/x")), Some(200));
}

/// CVE-2025-8671: as many resets, which the gateway itself is made to send.
#[test]
fn a21_requests_that_the_gateway_is_made_to_reset_end_the_connection() {
    let upstream = Recorder::ok();
    let mut siege = Siege::begin(&upstream);
    let too_wide = LARGEST_WINDOW.to_be_bytes();
    let provoked = |stream| [get(stream, "/public/x"), frame(WINDOW_UPDATE, 0, stream, &too_wide)].concat();
    let end = end_of(&mut siege.connect(), &streams(500).flat_map(provoked).collect::<Vec<u8>>());
    assert!(matches!(end, Some(End::SentAway(ENHANCE_YOUR_CALM) | End::Closed)), "{end:?}");
    siege.was_withstood();
    assert!(strangers(&upstream) < 300, "{} of them went on", strangers(&upstream));
}

/// Frames that cost more to take than to send. What each is, is known to be taken once.
#[test]
fn a21_frames_that_carry_nothing_end_the_connection() {
    let upstream = Recorder::ok();
    let mut siege = Siege::begin(&upstream);
    let post = [(":method", "POST"), (":scheme", "https"), (":authority", "app.test"), (":path", "/public/x")];
    let begun = frame(HEADERS, END_HEADERS, 1, &block(&post));
    let floods = [
        ("resets of a stream that is over", reset(1)),
        ("data without data", frame(DATA, 0, 1, b"")),
        ("pings", frame(PING, 0, 0, b"how now?")),
        ("answers to pings that nobody sent", frame(PING, ACK, 0, b"as well!")),
        ("settings without a setting", frame(SETTINGS, 0, 0, b"")),
        ("the same setting", setting(INITIAL_WINDOW_SIZE, 65_535)),
        ("priorities", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])),
        ("frames of an unknown kind", frame(0xf0, 0, 0, b"")),
        ("windows that need not grow", frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())),
    ];
    for (name, one) in floods {
        assert_eq!(end_of(&mut siege.connect(), &[begun.as_slice(), &one].concat()), None, "{name}, once");
        let end = end_of(&mut siege.connect(), &[begun.as_slice(), &one.repeat(MANY)].concat());
        assert!(end.is_some(), "{name}: {MANY} of them were taken");
    }
    siege.was_withstood();
}

/// RUSTSEC-2024-0332.
#[test]
fn a21_a_head_without_an_end_is_refused() {
    let upstream = Recorder::ok();
    let mut siege = Siege::begin(&upstream);
    for piece in [block(&[("x", &"y".repeat(4000))]), Vec::new()] {
        let begun = frame(HEADERS, 0, 1, &block(&[(":method", "GET")]));
        let end = end_of(&mut siege.connect(), &[begun, frame(CONTINUATION, 0, 1, &piece).repeat(2000)].concat());
        assert!(matches!(end, Some(End::SentAway(ENHANCE_YOUR_CALM) | End::Closed)), "{end:?}");
    }
    siege.was_withstood();
    assert_eq!(strangers(&upstream), 0);
}

/// A byte each for copies of one large field: 48 megabytes in sixteen kilobytes. Then as much as is refused by an answer.
#[test]
fn a21_a_bomb_of_references_is_refused() {
    let upstream = Recorder::ok();
    let mut siege = Siege::begin(&upstream);
    let base = block(&[(":method", "GET"), (":scheme", "https"), (":authority", "app.test"), (":path", "/public/x")]);
    let bomb =
        |copies| whole(1, &[base.clone(), remembered("x-bomb", &"b".repeat(4000)), vec![NEWEST; copies]].concat());
    for _ in 0..20 {
        let end = end_of(&mut siege.connect(), &bomb(12_000));
        assert!(matches!(end, Some(End::SentAway(_) | End::Closed)), "{end:?}");
    }
    assert_eq!(status(&mut siege.connect(), &bomb(20)), Some(431), "80 KiB of a head");
    siege.was_withstood();
    assert_eq!(strangers(&upstream), 0);
}

/// Heads that HTTP/1.1 answers with 414 and 431 get no further over HTTP/2.
#[test]
fn a22_heads_over_http2_are_as_bounded_as_over_http1() {
    let upstream = Recorder::ok();
    let mut siege = Siege::begin(&upstream);
    let long = |length: usize| format!("/public/{}", "a".repeat(length));
    let head = |path: &str, more: &[(&str, &str)]| {
        let base = [(":method", "GET"), (":scheme", "https"), (":authority", "app.test"), (":path", path)];
        whole(1, &block(&[&base, more].concat()))
    };
    let value = "y".repeat(200 * 1024);
    assert_eq!(status(&mut siege.connect(), &head("/public/x", &[])), Some(200), "the plain request itself");
    assert_eq!(status(&mut siege.connect(), &head(&long(9 * 1024), &[])), Some(414));
    assert_eq!(status(&mut siege.connect(), &head("/public/x", &[("x", "y"); 300])), Some(431));
    for (name, bytes) in [
        ("64 KiB of a target", head(&long(64 * 1024), &[])),
        ("200 KiB of a field", head("/public/x", &[("x", &value)])),
    ] {
        let status = status(&mut siege.connect(), &bytes);
        assert!(matches!(status, None | Some(414 | 431)), "{name}: {status:?}");
    }
    siege.was_withstood();
    assert_eq!(strangers(&upstream), 1, "the plain request");
}

/// Two hundred answers of a mebibyte, asked for and not taken: by a window of nothing, and by not reading at all.
#[test]
fn a21_answers_that_nobody_takes_are_not_held_in_memory() {
    let big = [b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n".as_slice(), &[b'x'; 1 << 20]].concat();
    let upstream = Recorder::with(move |request, stream| {
        let answer: &[u8] =
            if request.target() == "/public/big" { &big } else { b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" };
        stream.write_all(answer).is_ok()
    });
    let mut siege = Siege::begin(&upstream);
    let wide = [
        setting(INITIAL_WINDOW_SIZE, LARGEST_WINDOW),
        frame(WINDOW_UPDATE, 0, 0, &(LARGEST_WINDOW - 65_535).to_be_bytes()),
    ];
    for settings in [setting(INITIAL_WINDOW_SIZE, 0), wide.concat()] {
        let mut conn = siege.connect();
        let asked: Vec<u8> = streams(100).flat_map(|stream| get(stream, "/public/big")).collect();
        let seen = upstream.requests().len();
        conn.send([settings, asked].concat());
        upstream.wait_for(seen + 100);
        siege.was_withstood();
        drop(conn);
    }
    // Nor do they leave a line each when they are given up.
    siege.was_withstood();
}

/// Three hundred long answers that one address asks for and does not take: what is more than its share is refused. Other addresses have
/// theirs, and it has its own again when it lets go.
#[test]
fn a21_one_address_cannot_have_any_number_of_long_answers_held() {
    const SHARE: usize = 64;
    let body = vec![b'x'; 1 << 20];
    let upstream = Recorder::with(move |request, stream| {
        let head = match request.target() {
            "/public/long" | "/long" => "Content-Length: 1048576",
            "/public/endless" => "Connection: close",
            _ => return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok(),
        };
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes()).is_ok()
            && stream.write_all(&body).is_ok()
            && head.starts_with("Content")
    });
    let mut siege = Siege::begin(&upstream);
    let config = siege.gate.authority().client(&["h2"]);
    let address = siege.gate.tls_address();
    let connect = |from: Ipv4Addr, settings: &[u8]| {
        let tcp = tcp_from(from, address).unwrap();
        let mut conn = tls::connect_over(&config, tcp, "app.test");
        conn.send([PREFACE, &frame(SETTINGS, 0, 0, b""), settings, &frame(SETTINGS, ACK, 0, b"")].concat());
        conn
    };
    let (greedy, other) = (Ipv4Addr::new(127, 0, 0, 68), Ipv4Addr::new(127, 0, 0, 69));
    let nothing = setting(INITIAL_WINDOW_SIZE, 0);
    let ask = |path: &str| streams(100).flat_map(|stream| get(stream, path)).collect::<Vec<u8>>();
    let mut held: Vec<Conn> = (0..3).map(|_| connect(greedy, &nothing)).collect();
    let mut served = 0;
    for conn in &mut held {
        conn.send(ask("/public/long"));
        let mut first_refusal = None;
        for _ in 0..100 {
            let head = std::iter::from_fn(|| frames::next(conn)).find(|frame| frame.kind == HEADERS);
            let block = head.expect("each is answered").payload;
            if block.first() == Some(&0x88) {
                served += 1;
            } else {
                // Spelt out once, and a reference (RFC 7541 §6.1) from then on.
                assert_eq!(*first_refusal.get_or_insert_with(|| literal_status(&block)), 503);
            }
        }
    }
    assert_eq!(served, SHARE);
    // A quarter of a mebibyte for each, and what three hundred requests take besides.
    let grown = siege.memory().saturating_sub(siege.before);
    assert!(grown < MOST_MEMORY, "{grown} bytes");
    // What does not say how long it is begins, and is cut off when it has turned out to be long.
    let wide = [setting(INITIAL_WINDOW_SIZE, LARGEST_WINDOW), frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes())];
    let wide = wide.concat();
    let mut conn = connect(greedy, &wide);
    conn.send(get(1, "/public/endless"));
    let ends = |conn: &mut Conn| loop {
        let frame = frames::next(conn).expect("the stream ends");
        if frame.kind == RST_STREAM || (frame.kind == DATA && frame.flags & END_STREAM != 0) {
            break frame.kind;
        }
    };
    assert_eq!(ends(&mut conn), RST_STREAM);
    // Small ones are for everybody, and somebody else has a share of their own.
    assert_eq!(status(&mut conn, &get(3, "/public/small")), Some(200));
    let mut theirs = connect(other, &wide);
    assert_eq!(status(&mut theirs, &get(1, "/public/long")), Some(200));
    // So has who is signed in, at whatever address.
    let header = siege.alice.cookie_header();
    let cookie = header.trim().trim_start_matches("Cookie: ").to_owned();
    let long = [(":method", "GET"), (":scheme", "https"), (":authority", "app.test"), (":path", "/long")];
    let long = block(&[&long[..], &[("cookie", cookie.as_str())]].concat());
    let mut known = connect(greedy, &wide);
    assert_eq!(status(&mut known, &frame(HEADERS, END_HEADERS | END_STREAM, 1, &long)), Some(200));
    let said = |gate: &Sekisho| gate.logs().iter().filter(|line| line.contains("as many long answers as one")).count();
    wait_until("it is said", || (said(&siege.gate) > 0).then_some(()));
    assert_eq!(said(&siege.gate), 1, "and once");
    drop(held);
    let mut freed = connect(greedy, &nothing);
    let mut next = 1;
    wait_until("there is room again", || {
        freed.send(get(next, "/public/long"));
        next += 2;
        let head = std::iter::from_fn(|| frames::next(&mut freed)).find(|frame| frame.kind == HEADERS);
        (head.expect("it is answered").payload.first() == Some(&0x88)).then_some(())
    });
    drop((conn, theirs, known, freed));
    assert_eq!(siege.alice.get("/x").status, 200);
}

/// One address cannot take all connections; another one's are its own. `prlimit` leaves room for 72, of which 18 are one's share.
#[test]
fn a23_one_address_cannot_keep_everybody_out() {
    let upstream = Recorder::ok();
    let gate = open_gate(&upstream)
        .tls(&["app.test"])
        .set("server.metrics", "\"127.0.0.1:0\"")
        .started_by(&["prlimit", "--nofile=400:400"])
        .start();
    let config = gate.authority().client(&["http/1.1"]);
    let crowd = Ipv4Addr::new(127, 0, 0, 66);
    let mut held: Vec<Conn> = (0..100)
        .filter_map(|_| tls::try_connect_over(&config, tcp_from(crowd, gate.tls_address()).ok()?, "app.test"))
        .collect();
    assert!((10..40).contains(&held.len()), "{} connections", held.len());
    let tcp = tcp_from(Ipv4Addr::new(127, 0, 0, 67), gate.tls_address()).unwrap();
    let mut other = tls::connect_over(&config, tcp, "app.test");
    other.send("GET /public/x HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(other.response().status, 200);
    let told = || gate.logs().into_iter().filter(|line| line.contains("as many connections as one address")).count();
    wait_until("it is said", || (told() > 0).then_some(()));
    assert_eq!(told(), 1, "and once");
    let mut metrics = Conn::plain(gate.metrics_address());
    metrics.send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    let text = metrics.response().text();
    let refused = text.lines().find_map(|line| line.strip_prefix("sekisho_connections_cut_total{reason=\"share\"} "));
    assert_eq!(refused.and_then(|count| count.parse().ok()), Some(100 - held.len()));
    // Whoever leaves makes room.
    held.clear();
    wait_until("there is room again", || {
        tls::try_connect_over(&config, tcp_from(crowd, gate.tls_address()).ok()?, "app.test")
    });
}

/// Nothing at all, a head that drips, and a frame that does: each is as late after ten seconds as over HTTP/1.1.
#[test]
fn a23_http2_that_drips_is_cut() {
    let upstream = Recorder::ok();
    let mut siege = Siege::begin(&upstream);
    let config = siege.gate.authority().client(&["h2"]);
    let mut silent = tls::connect(&config, siege.gate.tls_address(), "app.test");
    let mut half = siege.connect();
    half.send(&frame(PING, 0, 0, b"whatever")[..12]);
    let mut dripping = siege.connect();
    dripping.send(frame(HEADERS, 0, 1, &block(&[(":method", "GET")])));
    let began = Instant::now();
    let drop = frame(CONTINUATION, 0, 1, b"");
    let mut drops = drop.iter().cycle();
    // A ping would be no answer to its own frame: whatever comes is the end.
    while dripping.try_send(&[*drops.next().unwrap()]).is_ok() && dripping.came(Duration::from_secs(1)).is_some() {
        assert!(began.elapsed() < PATIENCE, "a head of {PATIENCE:?} was waited for");
    }
    for (name, conn) in [("without a preface", &mut silent), ("half a frame", &mut half)] {
        conn.until_close();
        assert!(began.elapsed() < PATIENCE, "{name}");
    }
    siege.was_withstood();
}

/// The status of the answer on stream 1; `None`: the stream or the connection was ended.
fn status(conn: &mut Conn, bytes: &[u8]) -> Option<u16> {
    let _ = conn.try_send(bytes);
    loop {
        let Some(frame) = frames::next(conn) else {
            assert!(conn.came(Duration::ZERO).is_none(), "neither an answer nor an end");
            return None;
        };
        match (frame.kind, frame.payload.first()) {
            (RST_STREAM | GOAWAY, _) => return None,
            // RFC 7541 appendix A has 200 and 404 whole; others come as a literal behind the name's index, Huffman-coded or not.
            (HEADERS, Some(0x88)) => return Some(200),
            (HEADERS, _) => return Some(literal_status(&frame.payload)),
            _ => {}
        }
    }
}

/// `:status` by its name's index (8 to 14) and a value: three digits, or their Huffman codes (RFC 7541 §5.2, appendix B).
fn literal_status(block: &[u8]) -> u16 {
    let indexed = |index: u8| [200, 204, 206, 304, 400, 404, 500].get(usize::from(index).wrapping_sub(8)).copied();
    if let Some(status) = block.first().filter(|first| **first & 0x80 != 0).and_then(|first| indexed(first & 0x7f)) {
        return status;
    }
    let (length, value) = (block[1], &block[2..]);
    let length_in_bytes = usize::from(length & 0x7f);
    if length & 0x80 == 0 {
        return std::str::from_utf8(&value[..length_in_bytes]).unwrap().parse().unwrap();
    }
    let bits: String = value[..length_in_bytes].iter().map(|byte| format!("{byte:08b}")).collect();
    let codes = ["00000", "00001", "00010", "011001", "011010", "011011", "011100", "011101", "011110", "011111"];
    let (mut rest, mut status) = (bits.as_str(), 0);
    while let Some(digit) = codes.iter().position(|code| rest.starts_with(code)) {
        status = status * 10 + u16::try_from(digit).unwrap();
        rest = &rest[codes[digit].len()..];
        if status >= 100 {
            break;
        }
    }
    status
}
