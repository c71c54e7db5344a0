//! Somebody signed in came to what is not for them: an event, once a minute for each session and place, so that a page that
//! polls does not flood the store. An anonymous 401 is no event.

use std::sync::Arc;
use std::time::Duration;

use moka::ops::compute::{CompResult, Op};
use moka::sync::Cache;

use super::context::Context;
use super::events::{self, By};
use super::visit::Visit;
use crate::audit::{Event, Kind};
use crate::authz::Denial;
use crate::clock::Timestamp;
use crate::id::SessionId;
use crate::store::record::Change;

const ONCE_IN: Duration = Duration::from_secs(60);
/// Of how many sessions and places it is remembered when the last event was.
const REMEMBERED: u64 = 10_000;

/// Why they were denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// By a route.
    Route(Denial),
    /// By the pages of administration: the role is too low, or the network another one.
    AdminRole,
    AdminNetwork,
}

/// What was denied.
pub struct Denials {
    context: Arc<Context>,
    told: Cache<(SessionId, Option<String>), Timestamp>,
}

impl Denials {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context, told: Cache::new(REMEMBERED) }
    }

    /// Keeps the event, if somebody is signed in and there was none a moment ago. The denial stands, whether it can be kept
    /// or not.
    pub async fn note(&self, visit: &Visit, user_agent: Option<&str>, denied: Denied) {
        let Some(live) = visit.session.as_ref().filter(|live| live.is_alive(visit.now)) else { return };
        let route = visit.route.and_then(|id| visit.config.routes.get(id)).map(|route| route.name.clone());
        let place = (live.id(), route.clone());
        let now = visit.now;
        // Of many requests at once, one is told: the cache lets one after the other look at a place.
        let told = self.told.entry(place).and_compute_with(|told| match told {
            Some(told) if now.since(*told.value()) < ONCE_IN => Op::Nop,
            _ => Op::Put(now),
        });
        if !matches!(told, CompResult::Inserted(_) | CompResult::ReplacedWith(_)) {
            return;
        }
        let account = live.account();
        let by = By::InSession(visit.origin(user_agent), live.id());
        let event = events::failure(Kind::AccessDenied, now, Some(account.id), account.login.as_str(), by);
        let kept = match event {
            Ok(event) => {
                let event = Event { route, ..events::detailed(event, reason(denied)) };
                self.context.commit(Change::new(), &[event]).await.map(|_| ())
            }
            Err(error) => Err(error.into()),
        };
        if let Err(error) = kept {
            tracing::error!(%error, "a denied access could not be kept");
        }
    }
}

const fn reason(denied: Denied) -> &'static str {
    match denied {
        Denied::Route(Denial::Route) => "the route lets nobody through",
        Denied::Route(Denial::NotAllowed) => "not among those allowed",
        Denied::Route(Denial::Network) => "not from this network",
        Denied::Route(Denial::WebSocketOrigin) => "a WebSocket from another origin",
        Denied::AdminRole => "administration needs a higher role",
        Denied::AdminNetwork => "administration is not open to this network",
    }
}
