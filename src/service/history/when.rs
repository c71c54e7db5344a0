//! A moment as people write one: `2026-11-22`, `2026-11-22 09:30`, `2026-11-22T09:30:05Z`, or `2h` ago. What is less than
//! exact is a span: a day, a minute, a second. Without a zone it is UTC.

use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::clock::Timestamp;

/// What was named: its first and its last millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub first: Timestamp,
    pub last: Timestamp,
}

/// No moment was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time like 2026-11-22, 2026-11-22T09:30 or 2026-11-22T09:30:05Z (UTC), or 30m, 12h, 7d ago, is expected")]
pub struct BadMoment;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Span {
    /// Reads what was written at `now`.
    ///
    /// # Errors
    /// [`BadMoment`].
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, BadMoment> {
        let text = text.trim();
        ago(text, now).or_else(|| zoned(text)).or_else(|| civil(text)).ok_or(BadMoment)
    }

    const fn new(first: u64, length: u64) -> Self {
        let last = first.saturating_add(length.saturating_sub(1));
        Self { first: Timestamp::from_millis(first), last: Timestamp::from_millis(last) }
    }
}

fn ago(text: &str, now: Timestamp) -> Option<Span> {
    let unit = match text.chars().last()? {
        's' => SECOND,
        'm' => MINUTE,
        'h' => HOUR,
        'd' => DAY,
        _ => return None,
    };
    let count: u64 = text.get(..text.len() - 1)?.parse().ok()?;
    let ago = Duration::from_millis(count.checked_mul(unit)?);
    Some(Span::new(now.millis().saturating_sub(u64::try_from(ago.as_millis()).ok()?), 1))
}

/// With a zone, to the second or more exact.
fn zoned(text: &str) -> Option<Span> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    let length = if text.contains('.') { 1 } else { SECOND };
    Some(Span::new(u64::try_from(moment.as_millisecond()).ok()?, length))
}

fn civil(text: &str) -> Option<Span> {
    let length = match text.len() {
        10 => DAY,
        16 => MINUTE,
        19 => SECOND,
        _ => return None,
    };
    let moment: DateTime = match length {
        DAY => text.parse::<Date>().ok()?.into(),
        _ => text.parse().ok()?,
    };
    let moment = moment.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(Span::new(u64::try_from(moment.as_millisecond()).ok()?, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_339_805);

    fn parsed(text: &str) -> Option<(String, u64)> {
        let span = Span::parse(text, NOW).ok()?;
        Some((span.first.to_string(), span.last.millis() - span.first.millis() + 1))
    }

    #[test]
    fn what_people_write_is_a_span_in_utc() {
        for (text, first, length) in [
            ("2026-11-22", "2026-11-22T00:00:00Z", DAY),
            ("2026-11-22T09:30", "2026-11-22T09:30:00Z", MINUTE),
            (" 2026-11-22 09:30 ", "2026-11-22T09:30:00Z", MINUTE),
            ("2026-11-22T09:30:05", "2026-11-22T09:30:05Z", SECOND),
            ("2026-11-22T09:30:05Z", "2026-11-22T09:30:05Z", SECOND),
            ("2026-11-22T18:30:05+09:00", "2026-11-22T09:30:05Z", SECOND),
            ("2026-11-22T09:30:05.000Z", "2026-11-22T09:30:05Z", 1),
            ("2h", "2026-11-22T07:30:05Z", 1),
            ("7d", "2026-11-15T09:30:05Z", 1),
        ] {
            assert_eq!(parsed(text), Some((first.to_owned(), length)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_moment() {
        for text in
            ["", "yesterday", "2026-13-01", "2026-11-22T25:00", "h", "-2h", "99999999999999999999d", "1960-01-01"]
        {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
