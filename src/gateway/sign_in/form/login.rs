//! One login at the tool: its login page is asked for, filled in and posted, and its answer says whether that was it.
//!
//! Requests of sekisho's own go to this route's upstreams, wherever the tool leads, and each over a connection of its own. Whether it is time
//! for a login is `form`'s to say, what an answer means `plan`'s; the page is read by `page`.

use http::header::{ACCEPT_LANGUAGE, CONTENT_ENCODING, USER_AGENT};
use http::{HeaderValue, Method};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, ErrorType};
use tokio::time::{Instant, timeout};
use url::Url;

use super::plan::{FormPlan, base, redirect};
use super::{Asking, FormLogins, HELD_OFF, Origin, Shown, Slot, lock, shown};
use crate::authn::tool_login::Credentials;
use crate::gateway::context::Passage;
use crate::gateway::sign_in::jar::Jar;
use crate::gateway::sign_in::page::{self, Filled};
use crate::gateway::upstream::{self, Sharing};
use crate::gateway::{access_log, headers};

/// The largest login page that is read.
const LARGEST_PAGE: usize = 1024 * 1024;
/// How often the way to the login page may lead on.
const MOST_REDIRECTS: usize = 3;

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
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

impl FormLogins {
    /// Signs in, where it is time for that: the cookies of the new session.
    pub(super) async fn sign_in(
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
            ("Content-Type", HeaderValue::from_static("application/x-www-form-urlencoded")),
            ("Referer", value(address.as_str())?),
            ("Origin", value(&base.origin().ascii_serialization())?),
        ];
        // From here on the tool may count a failure, also where its answer does not get here.
        let mut attempt = Attempt { all: self, shown, origin, is_right: false };
        let posted = self.exchange(ask, Method::POST, &action, &jar, &more, filled.body().as_bytes()).await;
        let (head, _) = posted?;
        jar.take(&head.headers, action.path(), ask.request.now);
        if plan.has_signed_in(&head, &base, ask.request.now) {
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

    /// One request of sekisho's own to the tool, over a connection of its own. The body is `None` where it is too large.
    async fn exchange(
        &self,
        ask: &Asking<'_>,
        method: Method,
        address: &Url,
        jar: &Jar,
        more: &[(&'static str, HeaderValue)],
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
        more: &[(&'static str, HeaderValue)],
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
        head.insert_header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")?;
        head.insert_header("Accept-Encoding", "identity")?;
        head.insert_header("Connection", "close")?;
        for (name, value) in more {
            head.insert_header(*name, value.clone())?;
        }
        if posts {
            head.insert_header("Content-Length", HeaderValue::from(body.len()))?;
        }
        if let Some(cookies) = jar.header(address.path(), request.now) {
            head.insert_header("Cookie", cookies)?;
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

/// Whether this address is on the tool's own host. Whatever it says, nothing ever goes to another than this route's upstreams.
fn leads_here(address: &Url, base: &Url) -> bool {
    matches!(address.scheme(), "http" | "https") && address.host_str() == base.host_str()
}

fn value(text: &str) -> Result<HeaderValue, Trouble> {
    HeaderValue::try_from(text).map_err(|_| Trouble::Elsewhere)
}
