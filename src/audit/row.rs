//! An event as files, exports and `--json` show it: flat, every field always there.

use serde::{Deserialize, Serialize};

use super::{Event, Kind, Result, SessionMark};
use crate::clock::Timestamp;
use crate::id::{EventId, UserId};

/// One event, for readers outside of sekisho. `user_id` and `login` are whom it is about, `actor_id` and `actor` who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// UTC, RFC 3339, to the millisecond.
    pub time: String,
    pub event: Kind,
    pub result: Result,
    pub user_id: Option<UserId>,
    pub login: String,
    pub actor_id: Option<UserId>,
    /// A login, `cli` or `sekisho`; absent where it is only claimed who it was.
    pub actor: Option<String>,
    pub address: String,
    pub user_agent: String,
    pub session: Option<SessionMark>,
    pub route: Option<String>,
    pub reason: String,
    pub id: EventId,
}

impl From<&Event> for EventRow {
    fn from(event: &Event) -> Self {
        Self {
            time: precise(event.at),
            event: event.kind,
            result: event.result,
            user_id: event.user,
            login: event.login.clone(),
            actor_id: event.actor_id,
            actor: event.actor.clone(),
            address: event.client.address.clone(),
            user_agent: event.client.user_agent.clone(),
            session: event.session.clone(),
            route: event.route.clone(),
            reason: event.detail.clone(),
            id: event.id,
        }
    }
}

/// `2026-11-22T09:30:05.123Z`
pub(super) fn precise(at: Timestamp) -> String {
    match i64::try_from(at.millis()).map(jiff::Timestamp::from_millisecond) {
        Ok(Ok(moment)) => format!("{moment:.3}"),
        _ => at.to_string(),
    }
}

impl EventRow {
    /// One line of JSON, with its end.
    #[must_use]
    pub fn line(&self) -> String {
        // Strings and names alone: there is nothing that could fail.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}
