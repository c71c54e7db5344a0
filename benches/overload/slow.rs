//! Clients that take their time (A23): heads and forms that come byte by byte.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::round::pass;
use super::stage::{Gains, HOST, Scenario, Stage};
use crate::harness::{Conn, tcp_from, tls};

const CONNECTIONS: usize = 500;

/// Five hundred heads, a byte of each every other second.
pub const HEADS: Scenario =
    Scenario { rounds: 3, length: Duration::from_secs(20), ..Scenario::new("slow-heads", heads) };

fn heads(stage: &Stage, until: Instant) -> Gains {
    let head = format!("GET /public/x HTTP/1.1\r\nHost: {HOST}\r\nX-Slow: {}", "x".repeat(100));
    drip(stage, until, Duration::from_secs(2), "", head.as_bytes())
}

/// Five hundred login forms, all but sent.
pub const FORMS: Scenario =
    Scenario { rounds: 2, length: Duration::from_secs(35), ..Scenario::new("slow-forms", forms) };

fn forms(stage: &Stage, until: Instant) -> Gains {
    let head = format!(
        "POST /.sekisho/login HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    );
    drip(stage, until, Duration::from_secs(2), &head, &[b'x'; 1000])
}

/// Opens the connections, sends `first` on each, then one byte of `slowly` now and then.
fn drip(stage: &Stage, until: Instant, every: Duration, first: &str, slowly: &[u8]) -> Gains {
    let mut gains = Gains::default();
    let mut open = Vec::new();
    for number in 0..CONNECTIONS {
        if Instant::now() >= until {
            break;
        }
        // From fifty addresses, ten from each.
        let source = Ipv4Addr::new(127, 0, 1, u8::try_from(number % 50).unwrap_or(0));
        let conn = tcp_from(source, stage.tls()).ok().and_then(|tcp| tls::try_connect_over(&stage.http1, tcp, HOST));
        let Some(mut conn) = conn else {
            gains.add("connections refused", 1);
            continue;
        };
        if conn.try_send(first.as_bytes()).is_ok() {
            open.push(conn);
        }
    }
    let count = open.len() as u64;
    gains.add("connections", count);
    for byte in slowly {
        if open.is_empty() || Instant::now() >= until {
            break;
        }
        let next = Instant::now() + every;
        open.retain_mut(|conn| goes_on(conn, *byte));
        pass(next.saturating_duration_since(Instant::now()).min(until.saturating_duration_since(Instant::now())));
    }
    gains.add("cut in time", count - open.len() as u64);
    gains
}

fn goes_on(conn: &mut Conn, byte: u8) -> bool {
    conn.try_send(&[byte]).is_ok() && conn.is_silent_for(Duration::from_millis(1))
}
