//! A length of time as a person says it: "7 days", "12 hours", "15 minutes".

use std::time::Duration;

use serde::Serialize;

/// A count of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Span {
    pub count: u64,
    pub unit: Unit,
}

/// The unit's name is the end of its text's key: `span-days`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    Days,
    Hours,
    Minutes,
    Seconds,
}

impl Span {
    /// The largest unit that says it exactly; odd seconds over a minute are dropped, so that nobody is promised more than
    /// holds.
    #[must_use]
    pub const fn exactly(duration: Duration) -> Self {
        let secs = duration.as_secs();
        match secs {
            0..60 => Self { count: secs, unit: Unit::Seconds },
            secs if secs.is_multiple_of(86_400) => Self { count: secs / 86_400, unit: Unit::Days },
            secs if secs.is_multiple_of(3600) => Self { count: secs / 3600, unit: Unit::Hours },
            secs => Self { count: secs / 60, unit: Unit::Minutes },
        }
    }

    /// How long to wait: rounded up, so that whoever waits that long is not sent away again.
    #[must_use]
    pub const fn waiting(duration: Duration) -> Self {
        match duration.as_secs() {
            secs @ 0..60 => Self { count: if secs == 0 { 1 } else { secs }, unit: Unit::Seconds },
            secs @ 60..5400 => Self { count: secs.div_ceil(60), unit: Unit::Minutes },
            secs => Self { count: secs.div_ceil(3600), unit: Unit::Hours },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_exact_unit_is_used() {
        let said = |secs| {
            let span = Span::exactly(Duration::from_secs(secs));
            (span.count, span.unit)
        };
        assert_eq!(said(7 * 86_400), (7, Unit::Days));
        assert_eq!(said(12 * 3600), (12, Unit::Hours));
        assert_eq!(said(900), (15, Unit::Minutes));
        assert_eq!(said(45), (45, Unit::Seconds));
        assert_eq!(said(86_400 + 60), (1441, Unit::Minutes));
    }

    #[test]
    fn waiting_is_rounded_up() {
        let said = |secs| {
            let span = Span::waiting(Duration::from_secs(secs));
            (span.count, span.unit)
        };
        assert_eq!(said(0), (1, Unit::Seconds));
        assert_eq!(said(61), (2, Unit::Minutes));
        assert_eq!(said(900), (15, Unit::Minutes));
        assert_eq!(said(7201), (3, Unit::Hours));
    }
}
