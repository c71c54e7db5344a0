//! Audit events: made here, committed with the act, told to the log afterwards.

use crate::audit::{Event, Kind, Result as Outcome};
use crate::authn::session::Origin;
use crate::clock::Timestamp;
use crate::id::{EventId, UserId};
use crate::secret::{EntropyError, random_bytes};
use crate::store::record::Change;

use super::actor::Actor;
use super::records::event_name;

/// The longest login that is kept as it was typed.
const TYPED: usize = 64;

/// Who did it.
#[derive(Debug, Clone)]
pub enum By<'a> {
    /// The person themself, from here.
    Oneself(Origin),
    /// Somebody who may be another: a manager, or the command line.
    Actor(&'a Actor),
}

pub fn success(
    kind: Kind,
    at: Timestamp,
    user: Option<UserId>,
    login: &str,
    by: By<'_>,
) -> Result<Event, EntropyError> {
    let (actor, client) = match by {
        By::Oneself(client) => (None, client),
        By::Actor(actor) => (Some(actor.name().to_owned()), actor.client()),
    };
    Ok(Event {
        id: EventId::from_bytes(random_bytes()?),
        at,
        kind,
        result: Outcome::Success,
        user,
        login: login.chars().filter(|c| !c.is_control()).take(TYPED).collect(),
        actor,
        client,
        detail: String::new(),
    })
}

pub fn failure(
    kind: Kind,
    at: Timestamp,
    user: Option<UserId>,
    login: &str,
    by: By<'_>,
) -> Result<Event, EntropyError> {
    Ok(Event { result: Outcome::Failure, ..success(kind, at, user, login, by)? })
}

/// With further words, which are never a secret.
pub fn detailed(event: Event, detail: impl Into<String>) -> Event {
    Event { detail: detail.into(), ..event }
}

/// The change, and that it happened.
pub fn with(mut change: Change, events: &[Event]) -> Change {
    for event in events {
        change = change.put(&event_name(event), event);
    }
    change
}

/// What was committed, in the log.
pub fn log(event: &Event) {
    tracing::info!(
        kind = ?event.kind,
        result = ?event.result,
        login = event.login,
        user = event.user.map(|id| id.to_string()),
        actor = event.actor,
        address = event.client.address,
        detail = event.detail,
        "audit"
    );
}
