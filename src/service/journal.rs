//! Where an event goes once it is committed: to the log, to the counters, to those who follow, to the file. Nothing here waits: a request
//! is never held up by whoever reads of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntCounter;
use tokio::sync::watch;

use super::events;
use crate::audit::{AuditFile, Event, Kind, Result as Ended};
use crate::metrics::Metrics;

/// How many of the newest events those who follow can be behind.
const KEPT: usize = 1024;

/// The newest events, in the order of their commits.
pub struct Journal {
    recent: Mutex<Recent>,
    /// How many there have been since the start.
    count: watch::Sender<u64>,
    counters: Counters,
}

/// What is counted of events.
struct Counters {
    /// In the order of [`Kind::ALL`], successes and failures.
    kinds: Vec<[IntCounter; 2]>,
    signed_in: IntCounter,
    failed: IntCounter,
    lockouts: IntCounter,
}

#[derive(Default)]
struct Recent {
    events: VecDeque<Event>,
    count: u64,
    file: Option<Arc<AuditFile>>,
}

/// What came after a place in the order of the commits.
#[derive(Debug, Clone, Default)]
pub struct Followed {
    pub events: Vec<Event>,
    /// Where to go on.
    pub place: u64,
    /// So many had gone from memory before they were asked for; the store has them.
    pub missed: u64,
}

impl Journal {
    pub fn new(metrics: &Metrics) -> Self {
        Self { recent: Mutex::default(), count: watch::Sender::new(0), counters: Counters::new(metrics) }
    }

    /// From now on events go to this file, too; to none, where there is none. The one before comes back: to let go of it is to
    /// wait for its disk.
    pub fn write_to(&self, file: Option<AuditFile>) -> Option<Arc<AuditFile>> {
        std::mem::replace(&mut self.lock().file, file.map(Arc::new))
    }

    pub fn file(&self) -> Option<Arc<AuditFile>> {
        self.lock().file.clone()
    }

    /// Tells of what was committed.
    pub fn tell(&self, committed: &[Event]) {
        if committed.is_empty() {
            return;
        }
        for event in committed {
            events::log(event);
            self.counters.count(event);
        }
        let count = {
            // Under the lock, so that the file has the same order.
            let mut recent = self.lock();
            for event in committed {
                if let Some(file) = &recent.file {
                    file.write(event);
                }
                if recent.events.len() == KEPT {
                    recent.events.pop_front();
                }
                recent.events.push_back(event.clone());
                recent.count += 1;
            }
            recent.count
        };
        self.count.send_if_modified(|told| {
            let rises = count > *told;
            *told = count.max(*told);
            rises
        });
    }

    /// How many events there have been: the place from which on everything is new.
    pub fn place(&self) -> u64 {
        self.lock().count
    }

    /// What came after `place`, at most `limit` events; nothing, where nothing has.
    pub fn after(&self, place: u64, limit: usize) -> Followed {
        let recent = self.lock();
        let oldest = recent.count - recent.events.len() as u64;
        // A place that is yet to come is one of a gateway that ran before.
        let from = if place > recent.count { oldest } else { place.max(oldest) };
        let missed = from.saturating_sub(place);
        let skipped = usize::try_from(from - oldest).unwrap_or(usize::MAX);
        let events: Vec<Event> = recent.events.iter().skip(skipped).take(limit).cloned().collect();
        Followed { place: from + events.len() as u64, events, missed }
    }

    /// Returns when there is something after `place`.
    pub async fn grown(&self, place: u64) {
        let mut count = self.count.subscribe();
        // The sender lives as long as this does.
        let _ = count.wait_for(|count| *count != place).await;
    }

    /// Lets go of whoever waits: another process has the next events.
    pub fn let_go(&self) {
        // No place is there.
        self.count.send_replace(u64::MAX);
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters {
    fn new(metrics: &Metrics) -> Self {
        let of =
            |kind: &Kind| [Ended::Success, Ended::Failure].map(|ended| metrics.events.of(kind.name(), ended.name()));
        Self {
            kinds: Kind::ALL.iter().map(of).collect(),
            signed_in: metrics.logins.succeeded.clone(),
            failed: metrics.logins.failed.clone(),
            lockouts: metrics.logins.lockouts.clone(),
        }
    }

    fn count(&self, event: &Event) {
        if let Some([succeeded, failed]) = self.kinds.get(event.kind as usize) {
            match event.result {
                Ended::Success => succeeded.inc(),
                Ended::Failure => failed.inc(),
            }
        }
        match (event.kind, event.result) {
            (Kind::Login, Ended::Success) => self.signed_in.inc(),
            (Kind::Login, Ended::Failure) => self.failed.inc(),
            (Kind::Lockout, _) => self.lockouts.inc(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Kind;
    use crate::authn::session::Origin;
    use crate::clock::Timestamp;
    use crate::service::events::By;

    fn event(index: u64) -> Event {
        let by = By::Oneself(Origin::default());
        events::success(Kind::Login, Timestamp::from_millis(index), None, "alice", by).unwrap()
    }

    fn times(followed: &Followed) -> Vec<u64> {
        followed.events.iter().map(|event| event.at.millis()).collect()
    }

    #[test]
    fn who_follows_gets_every_event_once_in_the_order_of_the_commits() {
        let journal = Journal::new(&Metrics::new());
        journal.tell(&[event(5)]);
        let place = journal.place();
        assert!(journal.after(place, 10).events.is_empty());
        journal.tell(&[event(9), event(7)]);
        journal.tell(&[event(8)]);
        let first = journal.after(place, 2);
        assert_eq!((times(&first), first.missed), (vec![9, 7], 0));
        let second = journal.after(first.place, 2);
        assert_eq!((times(&second), second.missed), (vec![8], 0));
        assert!(journal.after(second.place, 2).events.is_empty());
    }

    #[test]
    fn who_is_too_far_behind_is_told_how_many_were_missed() {
        let journal = Journal::new(&Metrics::new());
        (0..KEPT as u64 + 10).for_each(|index| journal.tell(&[event(index)]));
        let followed = journal.after(3, 5);
        assert_eq!((times(&followed), followed.missed), (vec![10, 11, 12, 13, 14], 7));
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let journal = std::sync::Arc::new(Journal::new(&Metrics::new()));
        let place = journal.place();
        let waiting = tokio::spawn({
            let journal = std::sync::Arc::clone(&journal);
            async move { journal.grown(place).await }
        });
        journal.tell(&[event(1)]);
        waiting.await.unwrap();
        journal.grown(place).await;
    }
}
