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

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE,
    LOCATION, ORIGIN, REFERER, USER_AGENT,
};
use http::{HeaderName, HeaderValue, Method};
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::v1::Connector;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, ErrorType};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use url::Url;

use super::jar::Jar;
use super::page::{self, Filled};
use crate::authn::tool_login::{Credentials, Kind};
use crate::authz;
use crate::clock::Timestamp;
use crate::config::{LoginForm, RouteUpstream, ToolCookies, Whose};
use crate::gateway::certificate::Certificate;
use crate::gateway::context::{Passage, Request};
use crate::gateway::upstream::{self, Resolver, Sharing};
use crate::gateway::{NO_AUTHORITIES, access_log, headers};
use crate::id::UserId;
use crate::secret::ExposeSecret;
use crate::service::end::End;
use crate::service::tool_logins::ToolLogins;
use crate::service::visit::Failure;

/// For how long what the tool refused is not tried again.
const HELD_OFF: Duration = Duration::from_secs(60);
/// The largest login page that is read.
const LARGEST_PAGE: usize = 1024 * 1024;
/// How often the way to the login page may lead on.
const MOST_REDIRECTS: usize = 3;
/// How many logins one session may cost the tool within [`HELD_OFF`].
const MOST_LOGINS: usize = 10;
/// How many logins there are at once with what everybody is shown to the tool as: so many may be refused before one is known to be.
const AT_ONCE: usize = 4;

/// How a route's tool is signed in to by its form, prepared.
#[derive(Debug)]
pub struct FormPlan {
    pub form: LoginForm,
    whose: Whose,
    /// Tells configurations apart under which a session at the tool was begun.
    fingerprint: u64,
}

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
pub struct Slot {
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

/// What one request knows of the session at the tool.
#[derive(Debug, Clone)]
pub struct ToolSession {
    slot: Arc<Slot>,
    pub generation: u64,
    /// Signed in anew for this request, which is sent for the second time.
    pub renewed: bool,
    /// The tool has answered that its session is over, and it is signed in anew before the next try.
    pub again: bool,
    /// Whatever the tool answers is passed on.
    pub left_alone: bool,
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Unfit(#[from] page::Unfit),
    #[error("its login page answers {0}")]
    PageStatus(u16),
    #[error("its login page is larger than can be read, or compressed")]
    PageBody,
    #[error("its login page, or its form, leads to another host")]
    Elsewhere,
    #[error("it did not take the name and the password: its answer was {status}, to {location}")]
    Refused { status: u16, location: String },
    #[error("it was refused a moment ago, and is not tried again yet")]
    HeldOff,
    #[error("it has ended too many sessions within a minute")]
    TooOften,
    #[error("it cannot be reached: {}", access_log::shown(.0))]
    Unreachable(Box<Error>),
    #[error("it takes too long to answer")]
    Slow,
}

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

impl FormPlan {
    pub fn new(form: &LoginForm, whose: &Whose, route: &RouteUpstream) -> Self {
        let mut hasher = DefaultHasher::new();
        format!("{form:?} {:?} {}", route.upstreams, route.preserve_host).hash(&mut hasher);
        form.fields.hash(&mut hasher);
        if let Whose::Everybody(credentials) = whose {
            (credentials.username(), credentials.secret().expose_secret()).hash(&mut hasher);
        }
        Self { form: form.clone(), whose: whose.clone(), fingerprint: hasher.finish() }
    }

    fn keeps(&self) -> bool {
        self.form.cookies == ToolCookies::Kept
    }

    /// Whether this answer to a request says that the tool knows nobody any more.
    pub fn is_over(&self, head: &ResponseHeader, request: &Request) -> bool {
        !self.is_about_sessions(request) && self.turns_away(head, &base(request))
    }

    /// Its login page and its logout answer as they like.
    fn is_about_sessions(&self, request: &Request) -> bool {
        let own = path_of(request.arrival.target.path_and_query());
        same_path(own, self.form.page_path()) || self.form.logout.as_deref().is_some_and(|path| same_path(own, path))
    }

    fn turns_away(&self, head: &ResponseHeader, base: &Option<Url>) -> bool {
        let status = head.status.as_u16();
        if self.form.ended.status == Some(status) {
            return true;
        }
        let Some(location) = redirect(head, base) else { return false };
        same_path(location.path(), self.form.leads_back_to())
    }
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

    async fn sign_in(
        &self,
        plan: &FormPlan,
        ask: &Asking<'_>,
        slot: &Slot,
        credentials: &Credentials,
        origin: Origin,
    ) -> Result<Jar, Trouble> {
        let shown = shown(plan, ask.request, ask.passage);
        let place = self.place(&shown);
        let Ok(Ok(_place)) = timeout(ask.limit() * 2, place.acquire()).await else { return Err(Trouble::Slow) };
        self.may_be_tried(&shown, origin)?;
        slot.state().counts_login()?;
        let base = base(ask.request).ok_or(Trouble::Elsewhere)?;
        let mut jar = Jar::default();
        let (address, filled) = self.login_page(plan, ask, &base, &mut jar, credentials).await?;
        self.may_be_tried(&shown, origin)?;
        let action = match &plan.form.submit_to {
            Some(path) => base.join(path),
            None => {
                let from = filled.base.as_deref().map_or(Ok(address.clone()), |base| address.join(base));
                from.and_then(
                    |from| if filled.action.is_empty() { Ok(address.clone()) } else { from.join(&filled.action) },
                )
            }
        };
        let action = action.ok().filter(|action| leads_here(action, &base)).ok_or(Trouble::Elsewhere)?;
        let more = [
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (REFERER, value(address.as_str())?),
            (ORIGIN, value(&base.origin().ascii_serialization())?),
        ];
        // From here on the tool may count a failure, also where its answer does not get here.
        let mut attempt = Attempt { all: self, shown, origin, is_right: false };
        let posted = self.exchange(ask, Method::POST, &action, &jar, &more, filled.body().as_bytes()).await;
        let (head, _) = posted?;
        jar.take(&head.headers, action.path(), ask.request.now);
        if self.has_signed_in(plan, ask, &head, &base) {
            attempt.is_right = true;
            return Ok(jar);
        }
        let location = redirect(&head, &Some(base)).map_or_else(|| "nowhere".to_owned(), |url| url.path().to_owned());
        Err(Trouble::Refused { status: head.status.as_u16(), location })
    }

    /// The login page filled in, and its address. What the way there sets is kept.
    async fn login_page(
        &self,
        plan: &FormPlan,
        ask: &Asking<'_>,
        base: &Url,
        jar: &mut Jar,
        credentials: &Credentials,
    ) -> Result<(Url, Filled), Trouble> {
        let mut address = base.join(&plan.form.page).map_err(|_| Trouble::Elsewhere)?;
        for _ in 0..=MOST_REDIRECTS {
            let (head, body) = self.exchange(ask, Method::GET, &address, jar, &[], b"").await?;
            jar.take(&head.headers, address.path(), ask.request.now);
            if let Some(next) = redirect(&head, &Some(address.clone())) {
                address = Some(next).filter(|next| leads_here(next, base)).ok_or(Trouble::Elsewhere)?;
                continue;
            }
            // Some tools say 401 with their login page.
            if !head.status.is_success() && head.status.as_u16() != 401 && head.status.as_u16() != 403 {
                return Err(Trouble::PageStatus(head.status.as_u16()));
            }
            let identity = head.headers.get(CONTENT_ENCODING).is_none_or(|coding| coding == "identity");
            let body = body.filter(|_| identity).ok_or(Trouble::PageBody)?;
            let (form, credentials) = (plan.form.clone(), credentials.clone());
            // A page of this size may take a while to read.
            let read = move || page::fill(&String::from_utf8_lossy(&body), &form, &credentials);
            let filled = tokio::task::spawn_blocking(read).await.map_err(|_| Trouble::PageBody)??;
            return Ok((address, filled));
        }
        Err(Trouble::Elsewhere)
    }

    /// Whether every sign that the configuration names is there.
    fn has_signed_in(&self, plan: &FormPlan, ask: &Asking<'_>, head: &ResponseHeader, base: &Url) -> bool {
        let wanted = &plan.form.success;
        let base = Some(base.clone());
        let mut set = Jar::default();
        set.take(&head.headers, "/", ask.request.now);
        let status = wanted.status.is_none_or(|status| head.status.as_u16() == status);
        let cookie = wanted.cookie.as_deref().is_none_or(|name| set.has(name, ask.request.now));
        let led = wanted
            .redirect_to
            .as_deref()
            .is_none_or(|path| redirect(head, &base).is_some_and(|location| same_path(location.path(), path)));
        status && cookie && led && !plan.turns_away(head, &base)
    }

    /// One request of sekisho's own to the tool, over a connection of its own. The body is `None` where it is too large.
    async fn exchange(
        &self,
        ask: &Asking<'_>,
        method: Method,
        address: &Url,
        jar: &Jar,
        more: &[(HeaderName, HeaderValue)],
        body: &[u8],
    ) -> Result<(ResponseHeader, Option<Vec<u8>>), Trouble> {
        let exchanged = timeout(ask.limit(), self.exchanged(ask, method, address, jar, more, body)).await;
        match exchanged {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Trouble::Unreachable(error)),
            Err(_) => Err(Trouble::Slow),
        }
    }

    async fn exchanged(
        &self,
        ask: &Asking<'_>,
        method: Method,
        address: &Url,
        jar: &Jar,
        more: &[(HeaderName, HeaderValue)],
        body: &[u8],
    ) -> Result<(ResponseHeader, Option<Vec<u8>>), Box<Error>> {
        let (request, passage) = (ask.request, ask.passage);
        let group = &request.plan.route(passage.route).ok_or_else(upstream::nowhere)?.group;
        let index = group.pick(0).ok_or_else(upstream::nowhere)?;
        let place = group.place(index).ok_or_else(upstream::nowhere)?;
        let timeouts = request.plan.config.upstream(passage.route).ok_or_else(upstream::nowhere)?.timeouts;
        let (mut peer, _) = upstream::connectable(ask.resolver, group, place, timeouts.connect, 0).await?;
        peer.options.read_timeout = Some(timeouts.read);
        peer.options.write_timeout = Some(timeouts.write);
        let target = match address.query() {
            Some(query) => format!("{}?{query}", address.path()),
            None => address.path().to_owned(),
        };
        let posts = method == Method::POST;
        let mut head = RequestHeader::build(method, b"/", None)?;
        for name in [USER_AGENT, ACCEPT_LANGUAGE] {
            if let Some(value) = ask.head.headers.get(&name) {
                head.insert_header(name, value.clone())?;
            }
        }
        // Everything that the tool is told of a request of this person's.
        let own = Passage {
            permit: passage.permit.clone(),
            route: passage.route,
            websocket: false,
            streams: false,
            sharing: Sharing::Everybody,
            shown_to_tool: None,
            session_ends: None,
            tool_session: None,
        };
        headers::for_upstream(&mut head, request, &own, Some(index))?;
        head.set_raw_path(target.as_bytes())?;
        head.insert_header(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")?;
        head.insert_header(ACCEPT_ENCODING, "identity")?;
        head.insert_header(CONNECTION, "close")?;
        for (name, value) in more {
            head.insert_header(name.clone(), value.clone())?;
        }
        if posts {
            head.insert_header(CONTENT_LENGTH, HeaderValue::from(body.len()))?;
        }
        if let Some(cookies) = jar.header(address.path(), request.now) {
            head.insert_header(COOKIE, cookies)?;
        }
        let (mut session, _) = self.client.get_http_session(&peer).await?;
        session.write_request_header(Box::new(head)).await?;
        if posts {
            session.write_body(body).await?;
            session.finish_body().await?;
        }
        loop {
            session.read_response().await?;
            if !session.get_status().is_some_and(|status| status.is_informational()) {
                break;
            }
        }
        let head = session.resp_header().cloned();
        let head = head.ok_or_else(|| Error::explain(ErrorType::ReadError, "no answer"))?;
        let (mut read, mut whole) = (Vec::new(), true);
        while let Some(piece) = session.read_body_bytes().await? {
            if read.len() + piece.len() > LARGEST_PAGE {
                whole = false;
                break;
            }
            read.extend_from_slice(&piece);
        }
        Ok((head, whole.then_some(read)))
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

/// A name and a password that are on their way to the tool. Unless it takes them, they are not tried again for a while, whatever ends
/// the wait for its answer.
struct Attempt<'a> {
    all: &'a FormLogins,
    shown: Shown,
    origin: Origin,
    is_right: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.is_right {
            lock(&self.all.held_off).insert(self.shown.clone(), (Instant::now() + HELD_OFF, self.origin));
        }
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

impl ToolSession {
    /// Has the tool see the cookies of this session.
    ///
    /// # Errors
    /// As Pingora's.
    pub fn show(&self, plan: &FormPlan, head: &mut RequestHeader, request: &Request) -> Result<(), Box<Error>> {
        let path = path_of(request.arrival.target.path_and_query());
        let state = self.slot.state();
        let jar = state.jar.as_ref().filter(|_| state.generation == self.generation);
        let cookies = if plan.keeps() {
            jar.and_then(|jar| jar.header(path, request.now))
        } else if self.renewed {
            let others = head.headers.get(COOKIE).cloned();
            jar.and_then(|jar| jar.header_beside(others.as_ref(), path, request.now))
        } else {
            return Ok(());
        };
        drop(state);
        head.remove_header(&COOKIE);
        match cookies {
            Some(cookies) => head.insert_header(COOKIE, cookies),
            None => Ok(()),
        }
    }

    /// Takes what the tool sets, or hands the browser what the login has set.
    pub fn answered(&self, plan: &FormPlan, head: &mut ResponseHeader, request: &Request) {
        let path = path_of(request.arrival.target.path_and_query());
        let mut state = self.slot.state();
        let current = state.generation == self.generation;
        if plan.keeps() {
            if let Some(jar) = state.jar.as_mut().filter(|_| current) {
                jar.take(&head.headers, path, request.now);
            }
            drop(state);
            head.remove_header(&http::header::SET_COOKIE);
        } else if self.renewed && current {
            let lines: Vec<_> = state.jar.iter().flat_map(|jar| jar.lines_beside(&head.headers)).cloned().collect();
            drop(state);
            for line in lines {
                let _ = head.append_header(http::header::SET_COOKIE, line);
            }
        }
    }

    /// Whether this answer takes the cookie away that a login is known by: some tools show their login page under every address.
    pub fn is_taken_away(&self, plan: &FormPlan, head: &ResponseHeader, request: &Request) -> bool {
        let Some(name) = plan.form.success.cookie.as_deref().filter(|_| !plan.is_about_sessions(request)) else {
            return false;
        };
        let state = self.slot.state();
        let Some(jar) = state.jar.as_ref().filter(|_| state.generation == self.generation) else { return false };
        let mut after = jar.clone();
        after.take(&head.headers, path_of(request.arrival.target.path_and_query()), request.now);
        jar.has(name, request.now) && !after.has(name, request.now)
    }

    /// The tool does not know whom it has just signed in: nothing is gained by more of it.
    pub fn leave_alone(&self) {
        self.slot.state().left_alone = Some(Instant::now() + HELD_OFF);
    }

    /// Whether that was so a moment ago.
    pub fn is_left_alone(&self) -> bool {
        self.left_alone || self.slot.state().left_alone.is_some_and(|until| Instant::now() < until)
    }

    /// The tool knows it no more.
    pub fn is_over(&self) {
        let mut state = self.slot.state();
        if state.generation == self.generation {
            state.jar = None;
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

/// The origin that the tool's addresses are seen under.
fn base(request: &Request) -> Option<Url> {
    let scheme = if request.arrival.secure { "https" } else { "http" };
    Url::parse(&format!("{scheme}://{}/", request.arrival.target.authority())).ok()
}

fn value(text: &str) -> Result<HeaderValue, Trouble> {
    HeaderValue::try_from(text).map_err(|_| Trouble::Elsewhere)
}

/// Where this answer leads.
fn redirect(head: &ResponseHeader, base: &Option<Url>) -> Option<Url> {
    let leads = matches!(head.status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = head.headers.get(LOCATION).filter(|_| leads)?.to_str().ok()?;
    base.as_ref()?.join(location).ok()
}

/// Whether this address is on the tool's own host. Whatever it says, nothing ever goes to another than this route's upstreams.
fn leads_here(address: &Url, base: &Url) -> bool {
    matches!(address.scheme(), "http" | "https") && address.host_str() == base.host_str()
}

fn path_of(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or_default()
}

fn same_path(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
