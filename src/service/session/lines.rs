//! All lifelines, by inner id, by account and by the value under which each record stands, and which of them has to be looked at when.
//!
//! A session's time is over at a moment that only moves away while it is used. So each line waits in a queue for the moment that was
//! known when it was last looked at, and a look costs as much as there is to be looked at, however many sessions live.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashTable;

use super::cache::place;
use super::live::Lifeline;
use crate::authn::session::Session;
use crate::clock::Timestamp;
use crate::config;
use crate::id::{SessionId, UserId};
use crate::secret::TokenDigest;

/// The clock was set back behind what was noted: nothing of that session is trusted.
pub(super) const SET_BACK: &str = "clock set back";

/// What goes for every line alike: when one of these has changed, each may be due at any moment.
type Rules = (Duration, Duration);

#[derive(Default)]
pub(super) struct Lines {
    // Tables of pointers: what they are found by stands in the lines.
    by_id: HashTable<Arc<Lifeline>>,
    by_user: HashTable<Arc<Lifeline>>,
    by_value: HashTable<Arc<Lifeline>>,
    hasher: RandomState,
    queue: BinaryHeap<Reverse<Due>>,
    /// By what, and when, was last looked.
    looked: Option<(Rules, Timestamp)>,
}

/// Not to be looked at before.
struct Due(Timestamp, Arc<Lifeline>);

impl Lines {
    pub(super) fn get(&self, id: SessionId) -> Option<&Arc<Lifeline>> {
        self.by_id.find(self.hasher.hash_one(id), |line| line.id == id)
    }

    /// The session whose record stands under this value.
    pub(super) fn under(&self, digest: &TokenDigest) -> Option<&Arc<Lifeline>> {
        self.by_value.find(place(digest), |line| line.digest() == *digest)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Lifeline>> {
        self.by_id.iter()
    }

    /// All of this account's.
    pub(super) fn of(&self, user: UserId) -> impl Iterator<Item = &Arc<Lifeline>> {
        self.by_user.iter_hash(self.hasher.hash_one(user)).filter(move |line| line.user == user)
    }

    /// The session's lifeline, begun here if it is new.
    pub(super) fn join(&mut self, session: &Session, digest: TokenDigest) -> Arc<Lifeline> {
        if let Some(line) = self.get(session.id).cloned() {
            line.merge(session);
            self.rename(&line, digest);
            return line;
        }
        let line = Arc::new(Lifeline::new(session, digest));
        let Self { by_id, by_user, hasher, .. } = self;
        by_id.insert_unique(hasher.hash_one(line.id), Arc::clone(&line), |line| hasher.hash_one(line.id));
        by_user.insert_unique(hasher.hash_one(line.user), Arc::clone(&line), |line| hasher.hash_one(line.user));
        self.by_value.insert_unique(place(&digest), Arc::clone(&line), |line| place(&line.digest()));
        // The next look finds out when it is due.
        self.queue.push(Reverse(Due(Timestamp::from_millis(0), Arc::clone(&line))));
        line
    }

    /// The session's record stands under another value now.
    pub(super) fn rename(&mut self, line: &Arc<Lifeline>, digest: TokenDigest) {
        if line.digest() == digest {
            return;
        }
        self.forget_value(line);
        line.set_digest(digest);
        self.by_value.insert_unique(place(&digest), Arc::clone(line), |line| place(&line.digest()));
    }

    /// The session is over.
    pub(super) fn end(&mut self, id: SessionId) {
        let Ok(found) = self.by_id.find_entry(self.hasher.hash_one(id), |line| line.id == id) else { return };
        let (line, _) = found.remove();
        let user = self.hasher.hash_one(line.user);
        if let Ok(found) = self.by_user.find_entry(user, |known| Arc::ptr_eq(known, &line)) {
            found.remove();
        }
        self.forget_value(&line);
        line.end();
    }

    fn forget_value(&mut self, line: &Arc<Lifeline>) {
        if let Ok(found) = self.by_value.find_entry(place(&line.digest()), |known| Arc::ptr_eq(known, line)) {
            found.remove();
        }
    }

    /// Those whose time is over at `now`. Each is named again until it was ended.
    pub(super) fn overdue(&mut self, limits: config::Session, now: Timestamp) -> Vec<Arc<Lifeline>> {
        let rules = (limits.idle_timeout, limits.max_lifetime);
        if self.looked.is_none_or(|(before, at)| before != rules || now < at) {
            let all = self.by_id.iter().map(|line| Reverse(Due(Timestamp::from_millis(0), Arc::clone(line))));
            self.queue = all.collect();
        }
        self.looked = Some((rules, now));
        let mut overdue = Vec::new();
        while self.queue.peek().is_some_and(|Reverse(Due(at, _))| *at <= now) {
            let Some(Reverse(Due(_, line))) = self.queue.pop() else { break };
            if line.is_over() {
                continue;
            }
            if over(&line, limits, now).is_some() {
                overdue.push(line);
            } else {
                self.queue.push(Reverse(Due(due(&line, limits), line)));
            }
        }
        let soon = now.plus(Duration::from_millis(1));
        self.queue.extend(overdue.iter().map(|line| Reverse(Due(soon, Arc::clone(line)))));
        overdue
    }
}

/// Why its time is over, if it is.
pub(super) fn over(line: &Lifeline, limits: config::Session, now: Timestamp) -> Option<&'static str> {
    if now >= line.expires_at(limits) {
        Some("lifetime")
    } else if now.since(line.last_seen()) >= limits.idle_timeout {
        Some("idle")
    } else if line.last_seen().is_ahead_of(now) {
        Some(SET_BACK)
    } else {
        None
    }
}

/// When its time is over if nobody uses it any more.
fn due(line: &Lifeline, limits: config::Session) -> Timestamp {
    line.expires_at(limits).min(line.last_seen().plus(limits.idle_timeout))
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

#[cfg(test)]
mod tests;
