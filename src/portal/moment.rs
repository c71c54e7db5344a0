//! A moment as pages show it: `2026-11-22 09:30 UTC`, to the second for machines. In a template:
//! `{% with at = page.begun %}{% include "moment.html" %}{% endwith %}`.

use serde::Serialize;

use crate::clock::Timestamp;

/// A moment on a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    iso: String,
    text: String,
}

impl Moment {
    /// The moment in UTC.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        let iso = at.to_string();
        // RFC 3339 in UTC: the date, a T, the time to the second, a Z.
        let text = match iso.split_once('T').and_then(|(date, time)| Some((date, time.get(..5)?))) {
            Some((date, minute)) => format!("{date} {minute} UTC"),
            None => iso.clone(),
        };
        Self { iso, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_in_utc_to_the_minute() {
        let moment = Moment::of(Timestamp::from_millis(1_795_339_805_999));
        assert_eq!((moment.iso.as_str(), moment.text.as_str()), ("2026-11-22T09:30:05Z", "2026-11-22 09:30 UTC"));
        assert_eq!(Moment::of(Timestamp::from_secs(0)).text, "1970-01-01 00:00 UTC");
        assert!(!Moment::of(Timestamp::from_millis(u64::MAX)).text.is_empty());
    }
}
