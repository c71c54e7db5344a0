//! Clients that take their time (A23): heads and forms that come byte by byte.

use std::time::{Duration, Instant};

use super::round::pass;
use super::stage::{Gains, HOST, Scenario, Stage};
use crate::harness::{Conn, tls};

const CONNECTIONS: usize = 500;

/// Five hundred heads, a byte of each every other second.
pub const HEADS: Scenario =
    Scenario { rounds: 3, length: Duration::from_secs(20), ..Scenario::new("slow-heads", heads) };

fn heads(stage: &Stage, until: Instant) -> Gains {
    let head = format!("GET /public/x HTTP/1.1\r\nHost: {HOST}\r\nX-Slow: {}", "x".repeat(100));
    drip(stage, until, Duration::from_secs(2), "", head.as_bytes())
}

/// Opens the connections, sends `first` on each, then one byte of `slowly` now and then.
fn drip(stage: &Stage, until: Instant, every: Duration, first: &str, slowly: &[u8]) -> Gains {
    let mut gains = Gains::default();
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        if Instant::now() >= until {
            break;
        }
        let mut conn = tls::connect(&stage.http1, stage.tls(), HOST);
        let began = Instant::now();
        if conn.try_send(first.as_bytes()).is_ok() {
            open.push((conn, began));
        }
    }
    gains.add("connections", open.len() as u64);
    for byte in slowly {
        if open.is_empty() || Instant::now() >= until {
            break;
        }
        let next = Instant::now() + every;
        open.retain_mut(|(conn, _)| goes_on(conn, *byte));
        pass(next.saturating_duration_since(Instant::now()).min(until.saturating_duration_since(Instant::now())));
    }
    gains.add("still open at the end", open.len() as u64);
    gains
}

fn goes_on(conn: &mut Conn, byte: u8) -> bool {
    conn.try_send(&[byte]).is_ok() && conn.is_silent_for(Duration::from_millis(1))
}
