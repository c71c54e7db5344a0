//! Audit events: made here, committed with the act, told to the log afterwards.

use crate::audit::{Event, Kind, Result as Outcome, SessionMark, printable};
use crate::authn::session::Origin;
use crate::clock::Timestamp;
use crate::id::{EventId, SessionId, UserId};
use crate::secret::{EntropyError, random_bytes};
use crate::store::record::Change;

use super::actor::Actor;
use super::records::{EventIndex, event_index, event_name};

/// The longest login that is kept as it was typed, and the longest reason.
const TYPED: usize = 64;
const REASON: usize = 256;

/// Who did it.
#[derive(Debug, Clone)]
pub enum By<'a> {
    /// The person themself, from here. A failure is nobody's whose session is not known.
    Oneself(Origin),
    /// The person themself, in this session.
    InSession(Origin, SessionId),
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
    let login = printable(login, TYPED);
    let (actor, actor_id, client, session) = match by {
        By::Oneself(client) => (Some(login.clone()), user, client, None),
        By::InSession(client, session) => (Some(login.clone()), user, client, Some(session)),
        By::Actor(actor) => (Some(actor.name().to_owned()), actor.user(), actor.client(), actor.session()),
    };
    Ok(Event {
        id: EventId::from_bytes(random_bytes()?),
        at,
        kind,
        result: Outcome::Success,
        user,
        login,
        actor,
        actor_id,
        client,
        session: session.map(SessionMark::of),
        route: None,
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
    let claimed = matches!(by, By::Oneself(_));
    let event = Event { result: Outcome::Failure, ..success(kind, at, user, login, by)? };
    Ok(if claimed { Event { actor: None, actor_id: None, ..event } } else { event })
}

/// With a reason or further words, which are never a secret.
pub fn detailed(event: Event, detail: impl Into<String>) -> Event {
    Event { detail: printable(&detail.into(), REASON), ..event }
}

/// About this session, or in it.
pub fn in_session(event: Event, session: SessionId) -> Event {
    Event { session: Some(SessionMark::of(session)), ..event }
}

/// The change, and that it happened; found again by time, and by whom it concerns.
pub fn with(mut change: Change, events: &[Event]) -> Change {
    for event in events {
        let name = event_name(event);
        change = change.put(&name, event);
        for account in event.accounts() {
            change = change.put(&event_index(account, &name), &EventIndex {});
        }
    }
    change
}

/// The change, and that it is forgotten that this happened.
pub fn without(change: Change, event: &Event) -> Change {
    let name = event_name(event);
    let indexes = event.accounts().map(|account| event_index(account, &name));
    indexes.fold(change.delete::<Event>(&name), |change, index| change.delete::<EventIndex>(&index))
}

/// What was committed, in the log.
pub fn log(event: &Event) {
    tracing::info!(
        event = event.kind.name(),
        result = event.result.name(),
        login = event.login,
        user = event.user.map(|id| id.to_string()),
        actor = event.actor,
        address = event.client.address,
        session = event.session.as_ref().map(SessionMark::as_str),
        route = event.route,
        reason = event.detail,
        "audit"
    );
}
