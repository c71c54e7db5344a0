//! Whether the machine's clock jumps: its hands have moved further than time has passed, or less far. Whoever runs the gateway is
//! told, and events are not forgotten by a clock that may be wrong: everything else that a jump ends comes anew with the next login.

use std::time::Duration;

use crate::clock::Timestamp;

/// After a jump ahead no event is forgotten for so long: somebody notices a wrong clock meanwhile.
const HELD: Duration = Duration::from_secs(24 * 3600);
/// What is less is set right all the time.
const TOLERANCE: Duration = Duration::from_secs(60);

/// The clock as it was last looked at, and the monotonic one beside it.
pub struct ClockWatch {
    wall: Timestamp,
    monotonic: Duration,
    set_ahead_at: Option<Duration>,
}

/// By how much the clock was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jump {
    Ahead(Duration),
    Back(Duration),
}

impl ClockWatch {
    pub const fn new(wall: Timestamp, monotonic: Duration) -> Self {
        Self { wall, monotonic, set_ahead_at: None }
    }

    /// Looks again; the jump since the last time.
    pub fn look(&mut self, wall: Timestamp, monotonic: Duration) -> Option<Jump> {
        let expected = self.wall.plus(monotonic.saturating_sub(self.monotonic));
        (self.wall, self.monotonic) = (wall, monotonic);
        let (ahead, back) = (wall.since(expected), expected.since(wall));
        if ahead > TOLERANCE {
            self.set_ahead_at = Some(monotonic);
            Some(Jump::Ahead(ahead))
        } else if back > TOLERANCE {
            Some(Jump::Back(back))
        } else {
            None
        }
    }

    /// Whether events may be forgotten because of their age.
    pub fn is_trusted(&self) -> bool {
        self.set_ahead_at.is_none_or(|at| self.monotonic.saturating_sub(at) >= HELD)
    }
}

impl Jump {
    /// Tells whoever runs the gateway.
    pub fn tell(self) {
        match self {
            Self::Ahead(by) => tracing::warn!(
                seconds = by.as_secs(),
                "the machine's clock was set ahead: what has a time limit ends; no event is forgotten for a day"
            ),
            Self::Back(by) => tracing::warn!(
                seconds = by.as_secs(),
                "the machine's clock was set back: sessions and logins of the time after it end, and codes that were given stay spent"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_000_000);

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_clock_that_runs_as_time_passes_has_not_jumped_however_seldom_it_is_looked_at() {
        let mut watch = ClockWatch::new(START, secs(5));
        for (wall, monotonic) in [(1, 6), (3600, 3605), (100_000, 100_030), (100_030, 100_000)] {
            assert_eq!(watch.look(START.plus(secs(wall)), secs(monotonic)), None, "{wall}");
            assert!(watch.is_trusted());
        }
    }

    #[test]
    fn a_jump_is_told_once_and_one_ahead_keeps_events_for_a_day() {
        let mut watch = ClockWatch::new(START, secs(0));
        assert_eq!(watch.look(START.plus(secs(3601)), secs(1)), Some(Jump::Ahead(secs(3600))));
        assert_eq!(watch.look(START.plus(secs(3602)), secs(2)), None);
        assert!(!watch.is_trusted());
        assert_eq!(watch.look(START.plus(secs(3)), secs(3)), Some(Jump::Back(secs(3600))));
        assert!(!watch.is_trusted());
        watch.look(START.plus(secs(86_400)), secs(86_400));
        assert!(!watch.is_trusted());
        watch.look(START.plus(secs(86_401)), secs(86_401));
        assert!(watch.is_trusted());
    }
}
