//! How many sign-ins and failures each day had. Counted once and kept; the last minutes are counted anew each time, because an
//! event that was committed late may still come to stand there.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use super::{Event, Kind, Outcome};
use crate::clock::Timestamp;
use crate::service::ServiceError;
use crate::service::context::Context;

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
    /// By the day's number since the epoch.
    days: BTreeMap<u64, Counts>,
    /// Every event from the first of these moments on and before the second is counted.
    from: Option<u64>,
    upto: u64,
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
        self.settle(context, first * DAY, now).await?;
        let mut counted = self.days.clone();
        count(context, self.upto, u64::MAX, now, &mut counted).await?;
        let day = |number: u64| {
            let Counts { sign_ins, failures } = counted.get(&number).copied().unwrap_or_default();
            Day { begins: Timestamp::from_millis(number * DAY), sign_ins, failures }
        };
        Ok((first..=today).map(day).collect())
    }

    /// Counts what will not change any more, from `first` on.
    async fn settle(&mut self, context: &Context, first: u64, now: Timestamp) -> Result<(), ServiceError> {
        let settled = now.millis().saturating_sub(u64::try_from(SETTLED_AFTER.as_millis()).unwrap_or_default());
        if self.from.is_none_or(|from| first < from) {
            *self = Self { days: BTreeMap::new(), from: Some(first), upto: first };
        }
        if settled > self.upto {
            let mut days = self.days.clone();
            count(context, self.upto, settled, now, &mut days).await?;
            let oldest = (now.millis() / DAY).saturating_sub(MOST);
            days.retain(|day, _| *day >= oldest);
            (self.days, self.upto) = (days, settled);
        }
        Ok(())
    }
}

/// Adds the events from the moment `from` on and before `upto`.
async fn count(
    context: &Context,
    from: u64,
    upto: u64,
    now: Timestamp,
    days: &mut BTreeMap<u64, Counts>,
) -> Result<(), ServiceError> {
    let mut after = Bound::Included(format!("{from:016}"));
    loop {
        let bound = match &after {
            Bound::Included(name) => Bound::Included(name.as_str()),
            Bound::Excluded(name) => Bound::Excluded(name.as_str()),
            Bound::Unbounded => Bound::Unbounded,
        };
        let chunk = context.store.list::<Event>("", bound, CHUNK, now).await?;
        let last = chunk.last().map(|last| last.name.clone());
        let full = chunk.len() == CHUNK;
        for event in chunk.into_iter().map(|listed| listed.record) {
            if event.at.millis() >= upto {
                return Ok(());
            }
            let counts = days.entry(event.at.millis() / DAY).or_default();
            match (event.kind, event.result) {
                (Kind::Login, Outcome::Success) => counts.sign_ins += 1,
                (Kind::Login | Kind::SecondFactor, Outcome::Failure) => counts.failures += 1,
                _ => {}
            }
        }
        match last {
            Some(last) if full => after = Bound::Excluded(last),
            _ => return Ok(()),
        }
    }
}
