//! How slowly a request's body may come on its way to an upstream. The tool spends a worker on each, and knows no better than to wait.
//!
//! Pingora has a limit between two reads over HTTP/1, and none at all over HTTP/2; a byte every minute is within both. So a body
//! must come at a least rate on the whole, low enough for the slowest line, and without long pauses. How large it is does not matter.

use std::time::Duration;

use tokio::time::Instant;

use super::gate::CLIENT_TIMEOUT;

/// Bytes in a second, on the whole: what others ask for, too (Kestrel's and IIS's default).
const LEAST_RATE: u64 = 240;
/// How long a body has before its rate counts.
const GRACE: Duration = Duration::from_secs(60);

/// A body that is under way.
#[derive(Debug)]
pub struct Upload {
    began: Instant,
    last: Instant,
    bytes: u64,
    /// How long the upstream may take to accept a piece, which is not the client's fault.
    upstream: Duration,
}

impl Upload {
    /// One that begins now.
    pub const fn new(now: Instant, upstream: Duration) -> Self {
        Self { began: now, last: now, bytes: 0, upstream }
    }

    /// So much more has come.
    pub const fn came(&mut self, bytes: u64, now: Instant) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.last = now;
    }

    /// Until when more must have come. Never earlier than it was before.
    pub fn due(&self) -> Instant {
        let pause = self.last + CLIENT_TIMEOUT;
        let rate = self.began + GRACE + Duration::from_secs(self.bytes / LEAST_RATE);
        pause.min(rate) + self.upstream
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn drip(bytes: u64, every: Duration) -> Option<Duration> {
        let began = Instant::now();
        let mut upload = Upload::new(began, Duration::ZERO);
        let mut now = began;
        for _ in 0..10_000 {
            now += every;
            if now > upload.due() {
                return Some(upload.due() - began);
            }
            upload.came(bytes, now);
        }
        None
    }

    #[test]
    fn a_body_that_drips_ends_soon_and_a_slow_line_may_go_on() {
        assert_eq!(drip(1, 59 * SECOND), Some(60 * SECOND), "a byte within every pause that is allowed");
        assert_eq!(drip(100, SECOND), Some(102 * SECOND), "less than the least rate");
        assert_eq!(drip(1_000_000, 61 * SECOND), Some(60 * SECOND), "a pause");
        assert_eq!(drip(300, SECOND), None, "a very slow modem");
        assert_eq!(drip(64 * 1024, 50 * SECOND), None, "pauses in which a line is gone");
    }

    #[test]
    fn what_the_upstream_takes_its_time_for_is_not_the_clients_fault() {
        let now = Instant::now();
        let upload = Upload::new(now, 300 * SECOND);
        assert_eq!(upload.due() - now, 360 * SECOND);
    }
}
