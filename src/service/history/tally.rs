//! How many sign-ins and failures each day had. Counted once and kept; the last minutes are counted anew each time, because an
//! event that was committed late may still come to stand there.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use super::{Event, Kind, Outcome};
use crate::clock::Timestamp;
use crate::service::ServiceError;
use crate::service::context::Context;
use crate::store::record::Listed;

/// The most days that are counted.
const MOST: u64 = 90;
const DAY: u64 = 24 * 3600 * 1000;
/// How long after its time an event may still be committed.
const SETTLED_AFTER: Duration = Duration::from_secs(120);
/// How many events are read at once.
const CHUNK: usize = 1000;

/// One day, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// Its first moment.
    pub begins: Timestamp,
    pub sign_ins: u64,
    /// Wrong passwords and wrong codes.
    pub failures: u64,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The first moment that is counted; `None`: nothing was asked for so far.
    from: Option<u64>,
    settled: Counted,
}

/// What was counted, and how far.
#[derive(Debug, Default, Clone)]
struct Counted {
    /// By the day's number since the epoch.
    days: BTreeMap<u64, Counts>,
    /// The name of the last event that is in it, or what comes before the first one's.
    place: String,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    sign_ins: u64,
    failures: u64,
}

impl Tally {
    pub(super) async fn days(
        &mut self,
        context: &Context,
        days: usize,
        now: Timestamp,
    ) -> Result<Vec<Day>, ServiceError> {
        let today = now.millis() / DAY;
        let days = u64::try_from(days).unwrap_or(MOST).clamp(1, MOST);
        let first = today.saturating_sub(days - 1);
        if self.from.is_none_or(|from| first * DAY < from) {
            let place = format!("{:016}", first * DAY);
            *self = Self { from: Some(first * DAY), settled: Counted { place, ..Counted::default() } };
        }
        let settled = now.millis().saturating_sub(u64::try_from(SETTLED_AFTER.as_millis()).unwrap_or_default());
        self.settled.go_on(context, settled, now).await?;
        self.settled.days.retain(|day, _| *day >= today.saturating_sub(MOST));
        let mut counted = self.settled.clone();
        counted.go_on(context, u64::MAX, now).await?;
        let day = |number: u64| {
            let Counts { sign_ins, failures } = counted.days.get(&number).copied().unwrap_or_default();
            Day { begins: Timestamp::from_millis(number * DAY), sign_ins, failures }
        };
        Ok((first..=today).map(day).collect())
    }
}

impl Counted {
    /// Adds the events before the moment `upto`. Whoever waits for it may leave: what was read until then is counted, and the next
    /// one goes on from there.
    async fn go_on(&mut self, context: &Context, upto: u64, now: Timestamp) -> Result<(), ServiceError> {
        loop {
            let chunk = context.store.list::<Event>("", Bound::Excluded(self.place.as_str()), CHUNK, now).await?;
            let full = chunk.len() == CHUNK;
            for Listed { name, record: event, .. } in chunk {
                if event.at.millis() >= upto {
                    return Ok(());
                }
                let counts = self.days.entry(event.at.millis() / DAY).or_default();
                match (event.kind, event.result) {
                    (Kind::Login, Outcome::Success) => counts.sign_ins += 1,
                    (Kind::Login | Kind::SecondFactor, Outcome::Failure) => counts.failures += 1,
                    _ => {}
                }
                self.place = name;
            }
            if !full {
                return Ok(());
            }
        }
    }
}
