//! Events, found again: by whom, what, when and from where; newest first or oldest first, a page at a time; what happened on
//! each day; and what happens just now.
//!
//! Events stand by time, and in an index by account, so that a search for one person reads that person's alone. Any other
//! search reads in the order of time, and looks at so many events at most: then it says how far it came.

mod filter;
mod tally;
mod when;

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

pub use self::filter::{BadNetwork, Filter, Network};
pub use self::tally::Day;
use self::tally::Tally;
pub use self::when::{BadMoment, Span};
use super::ServiceError;
use super::context::Context;
pub use super::journal::Followed;
use super::records::{EventIndex, event_index, event_name, session_at};
pub use crate::audit::{Event, EventRow, Kind, Result as Outcome, SessionMark};
use crate::authn::session::Session;
use crate::authn::user::LoginName;
use crate::clock::Timestamp;
use crate::id::{EventId, UserId};
use crate::store::record::{Change, Listed};

/// How many events are read at once, and how many one search looks at.
const CHUNK: usize = 250;
const LOOKED_AT: usize = 5000;

/// The events that were kept.
pub struct History {
    context: Arc<Context>,
    tally: Mutex<Tally>,
}

/// A place in the order of time: that of one event, or of one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor(String);

/// Where a search begins, and which way it goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seek {
    #[default]
    Newest,
    Oldest,
    /// Backwards in time from here.
    OlderThan(Cursor),
    /// Forwards.
    NewerThan(Cursor),
}

/// What a search has found, in the order in which it went.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub events: Vec<Event>,
    /// Where to go on the same way; `None`: that is all there is.
    pub next: Option<Cursor>,
}

impl History {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context, tally: Mutex::default() }
    }

    /// At most `limit` events that `filter` wants. A page may hold fewer, or none, and have a next one all the same.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn search(
        &self,
        filter: &Filter,
        seek: &Seek,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page, ServiceError> {
        let account = self.account(filter, now).await?;
        // A person that is nobody's account is looked for by what was typed.
        let typed = filter.person.as_deref().filter(|_| account.is_none());
        let mut walk = Walk::begin(account, filter, seek);
        let mut page = Page::default();
        let mut looked_at = 0;
        loop {
            let chunk = walk.chunk(&self.context, now).await?;
            let full = chunk.len() == CHUNK;
            for (cursor, event) in chunk {
                walk.from = Bound::Excluded(cursor.0.clone());
                let Some(event) = event else { continue };
                if walk.is_beyond(filter, event.at) {
                    return Ok(Page { next: None, ..page });
                }
                if filter.wants(&event, typed) {
                    if page.events.len() == limit {
                        return Ok(page);
                    }
                    page.events.push(event);
                    page.next = Some(cursor);
                }
            }
            looked_at += CHUNK;
            match &walk.from {
                Bound::Excluded(name) if full && looked_at >= LOOKED_AT => {
                    return Ok(Page { next: Some(Cursor(name.clone())), ..page });
                }
                _ if full => {}
                _ => return Ok(Page { next: None, ..page }),
            }
        }
    }

    /// The newest events of one account: about it, or done by it.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn of_user(&self, user: UserId, limit: usize, now: Timestamp) -> Result<Vec<Event>, ServiceError> {
        let filter = Filter { person: Some(user.to_string()), ..Filter::default() };
        Ok(self.search(&filter, &Seek::Newest, limit, now).await?.events)
    }

    /// Sign-ins and failures on each of the last `days` days (UTC, 90 at most), oldest first; today is the last one.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn days(&self, days: usize, now: Timestamp) -> Result<Vec<Day>, ServiceError> {
        self.tally.lock().await.days(&self.context, days, now).await
    }

    /// The place from which on everything is new.
    #[must_use]
    pub fn place(&self) -> u64 {
        self.context.journal.place()
    }

    /// What was committed after `place`, in the order of the commits. Waits for up to `wait` until there is something.
    pub async fn follow(&self, place: u64, wait: Duration) -> Followed {
        let journal = &self.context.journal;
        let _ = tokio::time::timeout(wait, journal.grown(place)).await;
        journal.after(place, CHUNK)
    }

    /// Keeps what happened before this store was there: the past of the demo. An act of today commits its own event.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn keep(&self, past: &[Event]) -> Result<(), ServiceError> {
        self.context.commit(Change::new(), past).await.map(drop)
    }

    /// The account that the filter's person is. One that was deleted is still known by its id.
    async fn account(&self, filter: &Filter, now: Timestamp) -> Result<Option<UserId>, ServiceError> {
        let Some(person) = filter.person.as_deref() else { return Ok(None) };
        // Nobody hides the events of a deleted account behind another one whose login is its id.
        let id = person.trim().parse::<UserId>().ok();
        if let Some(id) = id
            && !self.context.store.list::<EventIndex>(&event_index(id, ""), Bound::Unbounded, 1, now).await?.is_empty()
        {
            return Ok(Some(id));
        }
        if let Ok(login) = person.parse::<LoginName>()
            && let Some(found) = self.context.user_by_login(&login, now).await?
        {
            return Ok(Some(found.user.id));
        }
        Ok(id)
    }
}

/// A way through the events.
struct Walk {
    /// Those of one account alone.
    account: Option<UserId>,
    backwards: bool,
    from: Bound<String>,
}

impl Walk {
    fn begin(account: Option<UserId>, filter: &Filter, seek: &Seek) -> Self {
        // Names begin with the time: this one stands before all of its millisecond, and the next one's before all later ones.
        let at = |millis: u64| format!("{millis:016}");
        let begin = filter.since.map(|since| at(since.millis()));
        let end = filter.until.map(|until| at(until.millis().saturating_add(1)));
        let (backwards, from) = match seek {
            Seek::Newest => (true, end.map_or(Bound::Unbounded, Bound::Excluded)),
            Seek::OlderThan(cursor) => {
                let end = end.filter(|end| *end < cursor.0).unwrap_or_else(|| cursor.0.clone());
                (true, Bound::Excluded(end))
            }
            Seek::Oldest => (false, begin.map_or(Bound::Unbounded, Bound::Included)),
            Seek::NewerThan(cursor) => {
                let begin = begin.filter(|begin| *begin > cursor.0).unwrap_or_else(|| cursor.0.clone());
                (false, Bound::Excluded(begin))
            }
        };
        Self { account, backwards, from }
    }

    fn is_beyond(&self, filter: &Filter, at: Timestamp) -> bool {
        if self.backwards {
            filter.since.is_some_and(|since| at < since)
        } else {
            filter.until.is_some_and(|until| at > until)
        }
    }

    /// The next events. One that is gone although the index still has it is none.
    async fn chunk(&self, context: &Context, now: Timestamp) -> Result<Vec<(Cursor, Option<Event>)>, ServiceError> {
        let store = &context.store;
        let Some(account) = self.account else {
            let from = as_str(&self.from);
            let listed = match self.backwards {
                true => store.list_back::<Event>("", from, CHUNK, now).await?,
                false => store.list::<Event>("", from, CHUNK, now).await?,
            };
            return Ok(listed.into_iter().map(|listed| (Cursor(listed.name), Some(listed.record))).collect());
        };
        let prefix = event_index(account, "");
        let from = match &self.from {
            Bound::Included(name) => Bound::Included(event_index(account, name)),
            Bound::Excluded(name) => Bound::Excluded(event_index(account, name)),
            Bound::Unbounded => Bound::Unbounded,
        };
        let listed = match self.backwards {
            true => store.list_back::<EventIndex>(&prefix, as_str(&from), CHUNK, now).await?,
            false => store.list::<EventIndex>(&prefix, as_str(&from), CHUNK, now).await?,
        };
        let name = |entry: &Listed<_>| entry.name.strip_prefix(&prefix).unwrap_or_default().to_owned();
        let names: Vec<_> = listed.iter().map(name).collect();
        let events = store.get_all::<Event>(&names, now).await?;
        Ok(names.into_iter().map(Cursor).zip(events.into_iter().map(|slot| slot.record)).collect())
    }
}

fn as_str(bound: &Bound<String>) -> Bound<&str> {
    match bound {
        Bound::Included(name) => Bound::Included(name),
        Bound::Excluded(name) => Bound::Excluded(name),
        Bound::Unbounded => Bound::Unbounded,
    }
}

impl Cursor {
    /// The place of this event.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        Self(event_name(event))
    }

    /// The place of this session, among all that began.
    #[must_use]
    pub fn of_session(session: &Session) -> Self {
        Self(session_at(session))
    }

    /// As it stands in an address. Whatever else is written there is no place.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (time, id) = text.split_once('-')?;
        let is_time = time.len() == 16 && time.bytes().all(|byte| byte.is_ascii_digit());
        (is_time && id.parse::<EventId>().is_ok()).then(|| Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The time of the event there.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.0.get(..16).and_then(|time| time.parse().ok()).unwrap_or_default())
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.0
    }
}

impl TryFrom<String> for Cursor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("no place between events")
    }
}

#[cfg(test)]
mod acts;
#[cfg(test)]
mod tests;
