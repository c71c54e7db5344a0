//! One attacker's HTTP/2 connection: frames by hand, and what the gateway says to them.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::stage::{Gains, HOST, Stage};
use crate::harness::frames::{
    ACK, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS, block, frame,
};
use crate::harness::{Conn, tls};

/// How long an attacker waits until its bytes are taken.
const PATIENCE: Duration = Duration::from_secs(1);

/// An open connection. What becomes of it goes into the gains.
pub struct Attacker {
    conn: Option<Conn>,
    /// What came and is no whole frame yet.
    partial: Vec<u8>,
    stream: u32,
    pub open: bool,
}

impl Attacker {
    /// Connects and shakes hands; further settings may follow.
    pub fn new(stage: &Stage, gains: &mut Gains) -> Self {
        Self::from(Ipv4Addr::LOCALHOST, stage, gains)
    }

    /// The same from another address of this machine.
    pub fn from(source: Ipv4Addr, stage: &Stage, gains: &mut Gains) -> Self {
        let tcp = crate::harness::tcp_from(source, stage.tls());
        let conn = tcp.ok().and_then(|tcp| tls::try_connect_over(&stage.http2, tcp, HOST));
        gains.add(if conn.is_some() { "connections" } else { "connections refused" }, 1);
        let mut attacker = Self { open: conn.is_some(), conn, partial: Vec::new(), stream: 1 };
        attacker.conn.iter_mut().for_each(|conn| conn.send_within(PATIENCE));
        attacker.send(&[PREFACE, &frame(SETTINGS, 0, 0, b""), &frame(SETTINGS, ACK, 0, b"")].concat(), gains);
        attacker
    }

    /// A stream that was not used yet.
    pub fn next_stream(&mut self) -> u32 {
        self.stream += 2;
        self.stream - 2
    }

    /// Sends, if it is still open.
    pub fn send(&mut self, bytes: &[u8], gains: &mut Gains) {
        if self.open && self.conn.as_mut().is_some_and(|conn| conn.try_send(bytes).is_err()) {
            self.listen(gains);
            if self.open {
                self.ends(gains, "connections cut");
            }
        }
    }

    /// Takes down what the gateway has said so far.
    pub fn listen(&mut self, gains: &mut Gains) {
        self.listen_for(Duration::from_millis(1), gains);
    }

    /// The same, for so long.
    pub fn listen_for(&mut self, time: Duration, gains: &mut Gains) {
        let end = Instant::now() + time;
        while self.open {
            let came = self.conn.as_mut().and_then(|conn| conn.came(end.saturating_duration_since(Instant::now())));
            match came {
                Some(bytes) => self.partial.extend(bytes),
                None => self.ends(gains, "connections cut"),
            }
            while let Some(head) = self.partial.get(..9) {
                let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
                if self.partial.len() < 9 + length {
                    break;
                }
                let whole: Vec<u8> = self.partial.drain(..9 + length).collect();
                match whole[3] {
                    HEADERS => gains.add("answers", 1),
                    RST_STREAM => gains.add("streams reset", 1),
                    GOAWAY if whole.get(13..17) == Some(&ENHANCE_YOUR_CALM.to_be_bytes()) => {
                        self.ends(gains, "told to calm down");
                    }
                    GOAWAY => self.ends(gains, "sent away"),
                    _ => {}
                }
            }
            if Instant::now() >= end {
                break;
            }
        }
    }

    fn ends(&mut self, gains: &mut Gains, how: &'static str) {
        if self.open {
            gains.add(how, 1);
        }
        self.open = false;
    }
}

/// A request's HEADERS, with these fields beside the usual ones.
pub fn request(stream: u32, method: &str, path: &str, ends: bool) -> Vec<u8> {
    let fields = [(":method", method), (":scheme", "https"), (":authority", HOST), (":path", path)];
    frame(HEADERS, END_HEADERS | if ends { END_STREAM } else { 0 }, stream, &block(&fields))
}
