//! HTTP/2 on its way to Pingora's server: frames are followed as they are read (RFC 9113 §4.1), and nothing is kept or changed.
//!
//! That server waits for the client's preface, and for the rest of a field block, for ever, and does whatever a frame asks for, however
//! often it is asked. Here
//!
//! - the preface, the head of a frame and a field block with all its CONTINUATIONs are whole within the time that a head of HTTP/1
//!   has, counted from their first byte;
//! - frames that no request needs many of, RST_STREAM, PING, SETTINGS and the like, have a budget that refills with time. WINDOW_UPDATE
//!   answers what the gateway sends, so that its budget refills with that.
//!
//! Whoever breaks either is cut off. What a frame says, and in which order frames may come, is the server's to judge.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// RFC 9113 §3.4.
const PREFACE: u32 = 24;
/// The head of a frame: three bytes of length, kind, flags, stream.
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;

/// How many such frames may come at once, and how many more each second: as nghttp2 has it for resets.
const BURST: u32 = 1000;
const EACH_SECOND: u32 = 33;
/// One more WINDOW_UPDATE for so many bytes that the gateway has written: the least that two of them for each of its DATA frames, were
/// those as small as can be, could ask for.
const BYTES_PER_UPDATE: u64 = 5;

/// Follows the frames of one connection.
pub struct Watch {
    at: At,
    /// Whether a field block has begun that the next frame must go on with.
    block: bool,
    /// When what must soon be whole began.
    began: Option<Instant>,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    /// `None`: the client answers for many, and is not counted.
    budget: Option<Budget>,
}

#[derive(Debug, Clone, Copy)]
enum At {
    Preface { left: u32 },
    Head { bytes: [u8; HEAD], have: usize },
    Payload { left: u32 },
}

const NEXT_HEAD: At = At::Head { bytes: [0; HEAD], have: 0 };

/// Why a connection is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Abuse {
    #[error("a head of HTTP/2 took too long")]
    Slow,
    #[error("too many frames of HTTP/2 that carry nothing")]
    Flood,
}

impl From<Abuse> for io::Error {
    fn from(abuse: Abuse) -> Self {
        let kind = if abuse == Abuse::Slow { io::ErrorKind::TimedOut } else { io::ErrorKind::ConnectionAborted };
        Self::new(kind, abuse)
    }
}

impl Watch {
    /// Of a connection on which everything is still to come. A head may take `limit`.
    pub fn new(limit: Duration, counted: bool) -> Self {
        let now = Instant::now();
        Self {
            at: At::Preface { left: PREFACE },
            block: false,
            began: Some(now),
            limit,
            timer: Box::pin(sleep_until(now + limit)),
            budget: counted.then(|| Budget::new(now)),
        }
    }

    /// These bytes were read.
    ///
    /// # Errors
    /// Where the connection must not go on.
    pub fn read(&mut self, bytes: &[u8], now: Instant) -> Result<(), Abuse> {
        if self.began.is_some_and(|began| now >= began + self.limit) {
            return Err(Abuse::Slow);
        }
        let mut rest = bytes;
        while let Some((&byte, behind)) = rest.split_first() {
            match &mut self.at {
                At::Preface { left } | At::Payload { left } => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= u32::try_from(taken).unwrap_or(0);
                    rest = rest.get(taken..).unwrap_or_default();
                    if *left == 0 {
                        self.frame_ends();
                    }
                }
                At::Head { bytes, have } => {
                    if let Some(place) = bytes.get_mut(*have) {
                        *place = byte;
                    }
                    *have += 1;
                    rest = behind;
                    if *have == HEAD {
                        let head = *bytes;
                        self.frame_begins(head, now)?;
                    } else {
                        self.began.get_or_insert(now);
                    }
                }
            }
        }
        Ok(())
    }

    /// Nothing came: waits no longer than may be waited.
    pub fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Abuse> {
        let Some(began) = self.began else { return Poll::Pending };
        let deadline = began + self.limit;
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        self.timer.as_mut().poll(cx).map(|()| Abuse::Slow)
    }

    /// The gateway has written so many bytes.
    pub fn wrote(&mut self, bytes: usize) {
        if let Some(budget) = &mut self.budget {
            budget.wrote(bytes as u64);
        }
    }

    fn frame_begins(&mut self, head: [u8; HEAD], now: Instant) -> Result<(), Abuse> {
        let [a, b, c, kind, flags, ..] = head;
        if kind == HEADERS || kind == CONTINUATION {
            self.block = flags & END_HEADERS == 0;
        }
        if let Some(budget) = &mut self.budget {
            budget.spend(kind, now)?;
        }
        let left = u32::from_be_bytes([0, a, b, c]);
        self.at = At::Payload { left };
        // How fast a body comes is judged where it goes to.
        self.began = if kind == DATA { None } else { self.began.or(Some(now)) };
        if left == 0 {
            self.frame_ends();
        }
        Ok(())
    }

    fn frame_ends(&mut self) {
        self.at = NEXT_HEAD;
        if !self.block {
            self.began = None;
        }
    }
}

/// How many frames may still come.
struct Budget {
    frames: u32,
    refilled: Instant,
    updates: u64,
    written: u64,
}

impl Budget {
    fn new(now: Instant) -> Self {
        Self { frames: BURST, refilled: now, updates: u64::from(BURST), written: 0 }
    }

    fn spend(&mut self, kind: u8, now: Instant) -> Result<(), Abuse> {
        match kind {
            // Bounded by the streams and windows that the server grants.
            DATA | HEADERS => return Ok(()),
            WINDOW_UPDATE => {
                let earned = std::mem::take(&mut self.written);
                self.written = earned % BYTES_PER_UPDATE;
                self.updates = self.updates.saturating_add(earned / BYTES_PER_UPDATE);
                self.updates = self.updates.checked_sub(1).ok_or(Abuse::Flood)?;
                return Ok(());
            }
            _ => {}
        }
        let seconds = now.saturating_duration_since(self.refilled).as_secs();
        if seconds > 0 {
            self.refilled = now;
            let more = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(EACH_SECOND);
            self.frames = self.frames.saturating_add(more).min(BURST);
        }
        self.frames = self.frames.checked_sub(1).ok_or(Abuse::Flood)?;
        Ok(())
    }

    const fn wrote(&mut self, bytes: u64) {
        self.written = self.written.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// A watch that has seen the preface.
    fn begun() -> (Watch, Instant) {
        let (mut watch, now) = (Watch::new(Duration::from_secs(10), true), Instant::now());
        watch.read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", now).unwrap();
        (watch, now)
    }

    fn flood(one: &[u8], count: usize, at_once: usize) -> Result<(), Abuse> {
        let (mut watch, now) = begun();
        one.repeat(count).chunks(at_once).try_for_each(|piece| watch.read(piece, now))
    }

    #[tokio::test]
    async fn frames_are_counted_however_they_come() {
        let requests = [frame(HEADERS, END_HEADERS, b"abc"), frame(DATA, 1, &[0; 300])].concat();
        for at_once in [1, 2, 8, 9, 10, 1000, 100_000] {
            assert_eq!(flood(&requests, 2000, at_once), Ok(()), "requests are not: {at_once}");
            assert_eq!(flood(&frame(PING, 0, &[0; 8]), 1000, at_once), Ok(()), "{at_once}");
            assert_eq!(flood(&frame(PING, 0, &[0; 8]), 1001, at_once), Err(Abuse::Flood), "{at_once}");
        }
        assert_eq!(flood(&frame(0xbb, 0, &[]), 1001, 64), Err(Abuse::Flood), "an unknown kind");
        // What looks like frames within a payload is none.
        assert_eq!(flood(&frame(DATA, 0, &frame(PING, 0, &[0; 8]).repeat(50)), 100, 7), Ok(()));
    }

    #[tokio::test]
    async fn the_budget_refills_with_time_and_that_of_windows_with_what_was_sent() {
        let (mut watch, now) = begun();
        let (ping, update) = (frame(PING, 0, &[0; 8]), frame(WINDOW_UPDATE, 0, &[0, 0, 1, 0]));
        watch.read(&ping.repeat(1000), now).unwrap();
        watch.read(&ping.repeat(33), now + Duration::from_secs(1)).unwrap();
        assert_eq!(watch.read(&ping, now + Duration::from_secs(1)), Err(Abuse::Flood));
        let (mut watch, now) = begun();
        watch.read(&update.repeat(1000), now).unwrap();
        watch.wrote(3);
        watch.wrote(12);
        watch.read(&update.repeat(3), now + Duration::from_secs(1000)).unwrap();
        assert_eq!(watch.read(&update, now + Duration::from_secs(1000)), Err(Abuse::Flood));
    }

    #[tokio::test]
    async fn whoever_brings_many_is_not_counted_but_must_be_as_quick() {
        let (mut watch, now) = (Watch::new(Duration::from_secs(10), false), Instant::now());
        assert_eq!(watch.read(&[0; 24], now), Ok(()));
        assert_eq!(watch.read(&frame(PING, 0, &[0; 8]).repeat(5000), now), Ok(()));
        assert_eq!(watch.read(&frame(HEADERS, 0, b""), now), Ok(()));
        assert_eq!(watch.read(b"\0", now + Duration::from_secs(11)), Err(Abuse::Slow));
    }

    #[tokio::test]
    async fn what_has_begun_is_whole_in_time() {
        let late = Duration::from_secs(11);
        let (ping, head) = (frame(PING, 0, &[0; 8]), frame(HEADERS, 0, b"abc"));
        let continued = [head.clone(), frame(CONTINUATION, 0, b"d")].concat();
        for begun_with in [&ping[..1], &ping[..9], &ping[..12], &head[..10], &head, &continued, &continued[..14]] {
            let (mut watch, now) = begun();
            watch.read(begun_with, now).unwrap();
            assert_eq!(watch.read(b"\0", now + late), Err(Abuse::Slow), "{begun_with:?}");
        }
        let whole = [continued.clone(), frame(CONTINUATION, END_HEADERS, b"")].concat();
        let body = frame(DATA, 0, &[0; 100]);
        for complete in [ping.as_slice(), &whole, &body, &body[..20], b""] {
            let (mut watch, now) = begun();
            watch.read(complete, now).unwrap();
            assert_eq!(watch.read(b"\0", now + late), Ok(()), "{complete:?}");
        }
        let mut silent = Watch::new(Duration::from_secs(10), true);
        assert_eq!(silent.read(b"PRI", Instant::now() + late), Err(Abuse::Slow), "the preface");
    }
}
