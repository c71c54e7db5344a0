//! Somebody signed in came to what is not for them: an event, once a minute for each session and place, so that a page that
//! polls does not flood the store. An anonymous 401 is no event.

use std::sync::Arc;
use std::time::Duration;

use moka::ops::compute::{CompResult, Op};
use moka::sync::Cache;

use super::context::Context;
use super::events::{self, By};
use super::visit::Visit;
use crate::audit::{Event, Kind, Result as Outcome};
use crate::authn::session::Origin;
use crate::authz::{Denial, Machine, Whose};
use crate::clock::Timestamp;
use crate::secret::EntropyError;
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
    told: Cache<(Whose, Option<String>), Timestamp>,
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
        let now = visit.now;
        if !self.is_news(Whose::Session(live.id()), route.as_ref(), now) {
            return;
        }
        let account = live.account();
        let by = By::InSession(visit.origin(user_agent), live.id());
        let event = events::failure(Kind::AccessDenied, now, Some(account.id), account.login.as_str(), by);
        self.keep(event, route, denied).await;
    }

    /// The same for a machine, which came to this route.
    pub async fn note_machine(&self, machine: &Machine, route: &str, denial: Denial, client: Origin, now: Timestamp) {
        let route = Some(route.to_owned());
        if !self.is_news(Whose::Machine(machine.id), route.as_ref(), now) {
            return;
        }
        // It has shown its token: nothing here is only claimed.
        let by = By::Oneself(client);
        let event = events::success(Kind::AccessDenied, now, None, &machine.login(), by);
        let event = event.map(|event| Event { result: Outcome::Failure, ..event });
        self.keep(event, route, Denied::Route(denial)).await;
    }

    /// Of many requests at once, one is told: the cache lets one after the other look at a place.
    fn is_news(&self, whose: Whose, route: Option<&String>, now: Timestamp) -> bool {
        let told = self.told.entry((whose, route.cloned())).and_compute_with(|told| match told {
            Some(told) if now.since(*told.value()) < ONCE_IN => Op::Nop,
            _ => Op::Put(now),
        });
        matches!(told, CompResult::Inserted(_) | CompResult::ReplacedWith(_))
    }

    async fn keep(&self, event: Result<Event, EntropyError>, route: Option<String>, denied: Denied) {
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
        Denied::Route(Denial::Scope) => "the token is not for this route",
        Denied::AdminRole => "administration needs a higher role",
        Denied::AdminNetwork => "administration is not open to this network",
    }
}
