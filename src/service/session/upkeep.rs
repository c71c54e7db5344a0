//! Sessions' background work: last-seen times written behind, sessions ended whose time is over, changes made elsewhere.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::lines::{SET_BACK, over};
use super::{Lifeline, PAGE, ServiceError, Sessions, lock};
use crate::audit::{Event, Kind};
use crate::authn::session::{Ended, Session};
use crate::clock::Timestamp;
use crate::config::{self, Config};
use crate::secret::TokenDigest;
use crate::service::actor::Actor;
use crate::service::events::{self, By};
use crate::service::records::parse_digest;
use crate::store::engine::{Change as Seen, Expect, Outcome};
use crate::store::record::Change;

/// A last-seen time is written at most once in this share of the idle timeout: so much earlier may a session end that only a node which has
/// died has seen.
const SHARE: u32 = 20;
/// The shortest that it waits for, however short the idle timeout is.
const OFTENEST: Duration = Duration::from_secs(30);
/// The longest, however long the timeout.
pub(in crate::service) const SELDOMEST: Duration = Duration::from_secs(120);
/// How many of them go to the store in one commit.
const TOGETHER: usize = 100;

/// How much of what is known here a session's record says.
enum Recorded {
    /// All of it; or it is gone.
    All,
    /// Less, but another node wrote it a moment ago: its turn comes. All nodes together write no oftener than one.
    Lately(Timestamp),
    /// Less: this is to be written.
    Less(Box<Session>),
}

impl Recorded {
    /// `every`: in which time it is written once; `None`: whenever there is something to write.
    fn of(line: &Lifeline, record: Option<Session>, now: Timestamp, every: Option<Duration>) -> Self {
        let Some(mut session) = record else { return Self::All };
        let before = session.last_seen;
        match line.write_into(&mut session) {
            false => Self::All,
            true if every.is_some_and(|every| now.since(before) < every) => Self::Lately(before),
            true => Self::Less(Box::new(session)),
        }
    }
}

/// In which time a session's last-seen time is written once, by the shortest idle timeout of all routes.
fn write_every(config: &Config) -> Duration {
    let own = config.routes.iter().filter(|(_, route)| route.own_idle_timeout);
    let timeouts = own.map(|(_, route)| route.idle_timeout);
    let shortest = timeouts.fold(config.session.idle_timeout, Duration::min);
    (shortest / SHARE).clamp(OFTENEST, SELDOMEST)
}

impl Sessions {
    /// Writes last-seen times behind. `all`: also those that were written a moment ago, durably (at a stop).
    pub(in crate::service) async fn write_behind(&self, now: Timestamp, all: bool) {
        let dirty = std::mem::take(&mut *lock(&self.dirty));
        let every = (!all).then(|| write_every(&self.config.load()));
        let is_due = |line: &Arc<Lifeline>| {
            every
                .is_none_or(|every| now.since(Timestamp::from_millis(line.written_at.load(Ordering::Relaxed))) >= every)
        };
        let (due, recent): (Vec<_>, Vec<_>) = dirty.into_iter().partition(is_due);
        lock(&self.dirty).extend(recent);
        let mut due = due.chunks(TOGETHER);
        while let Some(lines) = due.next() {
            // What is seen from here on puts it into the list again.
            lines.iter().for_each(|line| line.dirty.store(false, Ordering::Release));
            if let Err(error) = self.write_together(lines, now, every).await {
                tracing::warn!(%error, sessions = lines.len(), "sessions' last-seen times could not be written");
                lines.iter().for_each(|line| self.again(line));
                // Nor could the others': where the store is out of reach, each would wait for it.
                lock(&self.dirty).extend(due.flatten().cloned());
                return;
            }
        }
    }

    fn again(&self, line: &Arc<Lifeline>) {
        if !line.dirty.swap(true, Ordering::AcqRel) {
            lock(&self.dirty).push(Arc::clone(line));
        }
    }

    /// In one commit; where somebody changes one of the records meanwhile, each by itself, and that one later.
    async fn write_together(
        &self,
        lines: &[Arc<Lifeline>],
        now: Timestamp,
        every: Option<Duration>,
    ) -> Result<(), ServiceError> {
        if self.write_seen(lines, now, every).await? {
            return Ok(());
        }
        for line in lines {
            if !self.write_seen(std::slice::from_ref(line), now, every).await? {
                self.again(line);
            }
        }
        Ok(())
    }

    /// Compares each record's version, and never makes one: an ended session does not come back by having been seen. False:
    /// somebody came in between.
    async fn write_seen(
        &self,
        lines: &[Arc<Lifeline>],
        now: Timestamp,
        every: Option<Duration>,
    ) -> Result<bool, ServiceError> {
        let names: Vec<_> = lines.iter().map(|line| line.digest().to_string()).collect();
        let records = self.store.get_all::<Session>(&names, now).await?;
        let (mut change, mut written) = (Change::new(), Vec::new());
        for ((line, name), slot) in lines.iter().zip(&names).zip(records) {
            match Recorded::of(line, slot.record, now, every) {
                Recorded::Less(session) => {
                    change = change.unchanged::<Session>(name, slot.seen).put(name, &*session);
                    written.push(line);
                }
                Recorded::All => line.written_at.store(now.millis(), Ordering::Relaxed),
                Recorded::Lately(at) => {
                    line.written_at.store(at.millis(), Ordering::Relaxed);
                    self.again(line);
                }
            }
        }
        if written.is_empty() {
            return Ok(true);
        }
        // At a stop, durably.
        let change = if every.is_none() { change } else { change.lazy() };
        let committed = matches!(self.store.commit(change).await?, Outcome::Committed(_));
        if committed {
            written.iter().for_each(|line| line.written_at.store(now.millis(), Ordering::Relaxed));
        }
        Ok(committed)
    }

    /// Ends what time has ended, so that open streams end with it.
    /// `slack`: how much longer idleness is borne.
    pub(in crate::service) async fn end_overdue(&self, now: Timestamp, slack: Duration) {
        let mut limits = self.config.load().session;
        limits.idle_timeout = limits.idle_timeout.saturating_add(slack);
        let overdue = lock(&self.lines).overdue(limits, now);
        for line in overdue {
            if let Err(error) = self.end_one(&line, limits, now).await {
                tracing::warn!(%error, session = %line.id, "a session that is over could not be removed");
            }
        }
    }

    async fn end_one(&self, line: &Lifeline, limits: config::Session, now: Timestamp) -> Result<(), ServiceError> {
        let digest = line.digest();
        let name = digest.to_string();
        let slot = self.store.get::<Session>(&name, now).await?;
        let Some(session) = slot.record else {
            // The maximum lifetime is the record's own expiry, too.
            if let Expect::At(_) = slot.seen {
                let event = events::detailed(self.ended(line, now).await?, "lifetime");
                let change = Change::new().unchanged::<Session>(&name, slot.seen);
                let change = match self.expired(&digest, now).await? {
                    Some(session) => {
                        let change = Self::remembering(change, &digest, &session, now);
                        Self::without(change, &[(digest, session)])
                    }
                    // Nobody has looked for longer than anything is remembered of it, but for what is in memory.
                    None => {
                        let (session, user, epoch) = (line.id, line.user, line.epoch());
                        change.delete::<Session>(&name).put(&name, &Ended { session, user, epoch, ended_at: now })
                    }
                };
                if let Outcome::Committed(_) =
                    self.store.commit(events::with(change, std::slice::from_ref(&event))).await?
                {
                    self.journal.tell(&[event]);
                }
            }
            self.forget(&digest, Some(line.id));
            return Ok(());
        };
        line.merge(&session);
        let Some(reason) = over(line, limits, now) else { return Ok(()) };
        let event = events::detailed(self.ended(line, now).await?, reason);
        let mut change = Change::new().unchanged::<Session>(&name, slot.seen);
        if reason != SET_BACK {
            change = Self::remembering(change, &digest, &session, now);
        }
        let change = Self::without(events::with(change, std::slice::from_ref(&event)), &[(digest, session)]);
        if let Outcome::Committed(_) = self.store.commit(change).await? {
            self.forget(&digest, Some(line.id));
            self.journal.tell(&[event]);
        }
        Ok(())
    }

    async fn ended(&self, line: &Lifeline, now: Timestamp) -> Result<Event, ServiceError> {
        let login = self.login_of(line.user, now).await?;
        let by = By::Actor(&Actor::Sekisho);
        let event = events::success(Kind::SessionEnded, now, Some(line.user), &login, by)?;
        Ok(events::in_session(event, line.id))
    }

    /// A session's record was changed, here or on another node.
    pub(in crate::service) async fn session_changed(&self, seen: Seen, now: Timestamp) {
        match seen {
            // What may change under one value is the last-seen time, which is read again before it matters.
            Seen::Put(_) => {}
            Seen::Delete(key) => {
                if let Some(digest) = key.as_str().strip_prefix("session/").and_then(parse_digest) {
                    self.value_gone(&digest, now).await;
                }
            }
            Seen::Lagged => _ = self.look_at_all(now).await,
        }
    }

    /// Nothing that was read earlier can be believed: what is open is looked at anew, and all of it ends where the store cannot tell.
    pub(in crate::service) async fn look_anew(&self, now: Timestamp) {
        if self.look_at_all(now).await {
            self.user_changed(Seen::Lagged, now).await;
        }
    }

    /// False: the store cannot tell which are left, and none is.
    async fn look_at_all(&self, now: Timestamp) -> bool {
        let lines: Vec<_> = lock(&self.lines).iter().cloned().collect();
        for some in lines.chunks(PAGE) {
            let digests: Vec<_> = some.iter().map(|line| line.digest()).collect();
            let names: Vec<_> = digests.iter().map(TokenDigest::to_string).collect();
            match self.store.are_there::<Session>(&names, now).await {
                Ok(there) => {
                    for (digest, _) in digests.iter().zip(there).filter(|(_, there)| !there) {
                        self.value_gone(digest, now).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, sessions = lines.len(), "nobody can tell which sessions have ended: what is open is closed");
                    self.cache.clear();
                    lines.iter().for_each(|line| self.forget(&line.digest(), Some(line.id)));
                    return false;
                }
            }
        }
        true
    }

    /// The value is dead at once; what is open ends too, unless the session lives on under another value.
    async fn value_gone(&self, digest: &TokenDigest, now: Timestamp) {
        let line = {
            let mut generation = self.stripe(digest);
            *generation = generation.wrapping_add(1);
            self.cache.remove(digest);
            lock(&self.lines).under(digest).cloned()
        };
        let Some(line) = line else { return };
        let others = self.of_user(line.user, now).await.unwrap_or_default();
        match others.iter().find(|(_, session)| session.id == line.id) {
            Some((new, _)) => lock(&self.lines).rename(&line, *new),
            None => self.forget(digest, Some(line.id)),
        }
    }

    /// An account's record was changed, here or on another node.
    pub(in crate::service) async fn user_changed(&self, seen: Seen, now: Timestamp) {
        let users = match seen {
            Seen::Put(key) | Seen::Delete(key) => {
                key.as_str().strip_prefix("user/").and_then(|id| id.parse().ok()).into_iter().collect()
            }
            Seen::Lagged => {
                self.changes.fetch_add(1, Ordering::AcqRel);
                self.missed.fetch_add(1, Ordering::AcqRel);
                let mut cells = lock(&self.cells);
                cells.retain(|_, cell| cell.strong_count() > 0);
                cells.keys().copied().collect::<Vec<_>>()
            }
        };
        for user in users {
            self.refresh(user, now).await;
        }
    }

    /// Forgets cells that no session needs any more.
    pub(in crate::service) fn tidy(&self) {
        lock(&self.cells).retain(|_, cell| cell.strong_count() > 0);
    }
}
