//! Signing in by the tool's own login form, for one person, session and route, and again when the tool's session is over.
//!
//! ```text
//!              first request               the tool's session is over: a redirect to its login page, or the status that says so
//!   nothing ───────────────▶ generation 1 ────────────────────────────────────────────────────────▶ generation 2 ─▶ …
//!      ▲          login                      one login, however many requests found out; GET and HEAD are sent once more
//!      └──── the session of sekisho's ends, other credentials, another configuration
//! ```
//!
//! One login at a time for a session, and for what an account has of its own. What is refused is not tried again for a minute, for nobody
//! who would be shown to the tool as the same: so nothing here can lock an account at the tool or go round in circles. Where the tool knows
//! nobody just after a login, it is left alone for a minute: whoever asks sees what it shows to strangers. A request that may have
//! changed something is never sent twice.
//!
//! ```text
//! plan      what the configuration says, and what an answer means      login   one login at the tool
//! session   what one request shows the tool, and what it takes from the answer
//! ```
//!
//! Here is what is known of all sessions at tools, and when one is begun.

mod login;
mod plan;
mod session;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::v1::Connector;
use pingora::http::RequestHeader;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use self::login::Trouble;
pub use self::plan::FormPlan;
pub use self::session::ToolSession;
use super::jar::Jar;
use crate::authn::tool_login::{Credentials, Kind};
use crate::authz;
use crate::clock::Timestamp;
use crate::config::Whose;
use crate::gateway::NO_AUTHORITIES;
use crate::gateway::certificate::Certificate;
use crate::gateway::context::{Passage, Request};
use crate::gateway::upstream::Resolver;
use crate::id::UserId;
use crate::service::end::End;
use crate::service::tool_logins::ToolLogins;
use crate::service::visit::Failure;

/// For how long what the tool refused is not tried again.
const HELD_OFF: Duration = Duration::from_secs(60);
/// How many logins one session may cost the tool within [`HELD_OFF`].
const MOST_LOGINS: usize = 10;
/// How many logins there are at once with what everybody is shown to the tool as: so many may be refused before one is known to be.
const AT_ONCE: usize = 4;

/// What the tool is shown: the route's name, and whose it is (`None`: everybody's).
type Shown = (String, Option<UserId>);

/// Until when something is not tried again.
type HeldOff = HashMap<Shown, (Instant, Origin)>;

/// All sessions at tools that are known here.
pub struct FormLogins {
    slots: Mutex<HashMap<(authz::Whose, String), Arc<Slot>>>,
    /// What was refused.
    held_off: Mutex<HeldOff>,
    /// Who is being signed in.
    places: Mutex<HashMap<Shown, Arc<Semaphore>>>,
    client: Connector,
}

/// The session at one route's tool that belongs to one session of sekisho's, or to a token.
#[derive(Debug, Default)]
struct Slot {
    one_at_a_time: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How often was signed in.
    generation: u64,
    /// `None`: not yet, or not any more.
    jar: Option<Jar>,
    origin: Option<Origin>,
    /// When the latest logins were.
    logins: Vec<Instant>,
    /// The tool knew nobody just after a login: until then, nobody is signed in to it.
    left_alone: Option<Instant>,
}

/// By what a session at the tool was begun: the configuration, and since when the account's credentials are what they are.
type Origin = (u64, Option<Timestamp>);

/// One request's view of all that is needed.
pub struct Asking<'a> {
    pub logins: &'a ToolLogins,
    pub resolver: &'a Resolver,
    pub request: &'a Request,
    pub passage: &'a Passage,
    /// The client's, of the connection.
    pub certificate: Option<&'a Certificate>,
    /// The client's head.
    pub head: &'a RequestHeader,
}

impl FormLogins {
    pub fn new() -> Self {
        let mut options = ConnectorOptions::new(1);
        options.ca_file = Some(NO_AUTHORITIES.to_owned());
        Self {
            slots: Mutex::default(),
            held_off: Mutex::default(),
            places: Mutex::default(),
            client: Connector::new(Some(options)),
        }
    }

    /// The session at the tool that this request goes on in, begun here if its cookies are kept on this side and there is none.
    pub async fn session(self: &Arc<Self>, plan: &FormPlan, ask: &Asking<'_>) -> Result<ToolSession, Failure> {
        let (credentials, origin) = credentials(plan, ask).await?;
        let slot = self.slot(ask)?;
        let generation = {
            let mut state = slot.state();
            if state.origin.is_some_and(|known| known != origin) {
                // Somebody else's, or another tool's by now.
                *state = State { generation: state.generation, ..State::default() };
            }
            let needed = plan.form.success.cookie.as_deref();
            let now = ask.request.now;
            let signed_in = |jar: &Jar| needed.is_none_or(|cookie| jar.has(cookie, now));
            let is_there = state.jar.as_ref().is_some_and(signed_in);
            let left_alone = !is_there && state.left_alone.is_some_and(|until| Instant::now() < until);
            if !plan.keeps() || is_there || left_alone {
                if plan.keeps() && !is_there {
                    // Whoever signs in by hand meanwhile is signed in.
                    state.jar.get_or_insert_default();
                    state.origin = Some(origin);
                }
                let generation = state.generation;
                drop(state);
                return Ok(ToolSession { slot, generation, renewed: false, again: false, left_alone });
            }
            state.generation
        };
        let generation = self.renew(plan, ask, &slot, generation, &credentials, origin).await?;
        Ok(ToolSession { slot, generation, renewed: false, again: false, left_alone: false })
    }

    /// The same anew, for a request that found the session over.
    pub async fn again(&self, plan: &FormPlan, ask: &Asking<'_>, before: &ToolSession) -> Result<ToolSession, Failure> {
        let (credentials, origin) = credentials(plan, ask).await?;
        let generation = self.renew(plan, ask, &before.slot, before.generation, &credentials, origin).await?;
        Ok(ToolSession { slot: Arc::clone(&before.slot), generation, renewed: true, again: false, left_alone: false })
    }

    fn slot(self: &Arc<Self>, ask: &Asking<'_>) -> Result<Arc<Slot>, Failure> {
        let whose = ask.passage.permit.whose().ok_or(Failure::Internal)?;
        let ended = ended(ask, whose).ok_or(Failure::Internal)?;
        let key = (whose, route_name(ask.request, ask.passage));
        let mut slots = lock(&self.slots);
        if let Some(slot) = slots.get(&key) {
            return Ok(Arc::clone(slot));
        }
        let slot = Arc::new(Slot::default());
        slots.insert(key.clone(), Arc::clone(&slot));
        drop(slots);
        let all = Arc::downgrade(self);
        tokio::spawn(async move {
            ended.cancelled().await;
            if let Some(all) = all.upgrade() {
                lock(&all.slots).remove(&key);
            }
        });
        Ok(slot)
    }

    /// Signs in, unless somebody has since `before`. One at a time.
    async fn renew(
        &self,
        plan: &FormPlan,
        ask: &Asking<'_>,
        slot: &Slot,
        before: u64,
        credentials: &Credentials,
        origin: Origin,
    ) -> Result<u64, Failure> {
        // Who waits here waits for others' logins.
        let Ok(_one_at_a_time) = timeout(ask.limit() * 2, slot.one_at_a_time.lock()).await else {
            return Err(Failure::UpstreamTimeout);
        };
        {
            let state = slot.state();
            if state.generation != before && state.jar.is_some() && state.origin == Some(origin) {
                return Ok(state.generation);
            }
        }
        let (route, login) = (route_name(ask.request, ask.passage), ask.login());
        match self.sign_in(plan, ask, slot, credentials, origin).await {
            Ok(jar) => {
                tracing::info!(route, login, "signed in to the tool by its form");
                let mut state = slot.state();
                let (generation, logins) = (state.generation + 1, std::mem::take(&mut state.logins));
                *state = State { generation, jar: Some(jar), origin: Some(origin), logins, left_alone: None };
                Ok(generation)
            }
            Err(trouble) => {
                slot.state().jar = None;
                tracing::warn!(route, login, reason = %trouble, "signing in to the tool failed");
                Err(match trouble {
                    Trouble::Unreachable(_) => Failure::UpstreamUnreachable,
                    Trouble::Slow => Failure::UpstreamTimeout,
                    _ => Failure::ToolRefused,
                })
            }
        }
    }

    /// Whether the tool has refused the same a moment ago.
    fn may_be_tried(&self, shown: &Shown, origin: Origin) -> Result<(), Trouble> {
        let mut held_off = lock(&self.held_off);
        held_off.retain(|_, (until, _)| Instant::now() < *until);
        match held_off.get(shown) {
            Some((_, refused)) if *refused == origin => Err(Trouble::HeldOff),
            _ => Ok(()),
        }
    }

    /// Where logins with the same wait for each other.
    fn place(&self, shown: &Shown) -> Arc<Semaphore> {
        let mut places = lock(&self.places);
        places.retain(|_, place| Arc::strong_count(place) > 1);
        let count = if shown.1.is_some() { 1 } else { AT_ONCE };
        Arc::clone(places.entry(shown.clone()).or_insert_with(|| Arc::new(Semaphore::new(count))))
    }
}

impl Asking<'_> {
    /// How long one request of sekisho's own to the tool may take.
    fn limit(&self) -> Duration {
        let config = self.request.plan.config.upstream(self.passage.route);
        config.map(|route| route.timeouts.connect * 2 + route.timeouts.write + route.timeouts.read).unwrap_or_default()
    }

    /// As the log names whoever it is for.
    fn login(&self) -> String {
        let permit = &self.passage.permit;
        match (permit.account(), permit.machine()) {
            (Some(account), _) => account.login.as_str().to_owned(),
            (None, Some(machine)) => machine.login(),
            (None, None) => String::new(),
        }
    }
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn counts_login(&mut self) -> Result<(), Trouble> {
        let now = Instant::now();
        self.logins.retain(|login| now.duration_since(*login) < HELD_OFF);
        if self.logins.len() >= MOST_LOGINS {
            return Err(Trouble::TooOften);
        }
        self.logins.push(now);
        Ok(())
    }
}

/// Fires when the session, token or certificate is over that this request came with.
fn ended(ask: &Asking<'_>, whose: authz::Whose) -> Option<End> {
    match (whose, &ask.request.token) {
        (authz::Whose::Session(_), _) => Some(ask.request.session.as_ref()?.ended()),
        (authz::Whose::Machine(_), Some(token)) => Some(token.ended().into()),
        (authz::Whose::Machine(_), None) => Some(ask.certificate?.ended().into()),
    }
}

/// What the tool is to be shown, and since when that is so.
async fn credentials(plan: &FormPlan, ask: &Asking<'_>) -> Result<(Credentials, Origin), Failure> {
    // Nobody is signed in to a tool as nobody.
    ask.passage.permit.whose().ok_or(Failure::Internal)?;
    match &plan.whose {
        Whose::Everybody(credentials) => Ok((credentials.clone(), (plan.fingerprint, None))),
        Whose::PerAccount => {
            let route = route_name(ask.request, ask.passage);
            let stored = super::stored(ask.logins, &ask.passage.permit, &route, Kind::Form, ask.request.now).await?;
            Ok((stored.0, (plan.fingerprint, Some(stored.1))))
        }
    }
}

fn shown(plan: &FormPlan, request: &Request, passage: &Passage) -> Shown {
    let user = passage.permit.account().map(|account| account.id);
    (route_name(request, passage), user.filter(|_| matches!(plan.whose, Whose::PerAccount)))
}

fn route_name(request: &Request, passage: &Passage) -> String {
    request.plan.config.routes.get(passage.route).map_or_else(String::new, |route| route.name.clone())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
