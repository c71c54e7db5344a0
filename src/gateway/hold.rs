//! Forms kept over a login, on their two roads through the gateway: read and kept in the place of the answer "log in first", and, once
//! its page says so, sent to the tool by the same judgement as any request.
//!
//! Nothing is read of a form before it is known that it will be kept: whoever cannot show that it is somebody's cannot have sekisho take
//! in more of it than of any other request that is refused.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, REFERER, TRANSFER_ENCODING, USER_AGENT};
use http::{Method, StatusCode};
use pingora::Error;
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

use super::GatewayState;
use super::bridge::{self, Form as Body, Limit};
use super::context::{Context, Request, Stage};
use super::credential::Presented;
use super::gate::Verdict;
use super::judge::{announced_length, is_portal_path};
use crate::authn::session::Origin;
use crate::authz::{Challenge, NormalTarget, RawTarget, RouteId, hold};
use crate::id::HeldId;
use crate::service::held::{self, Claim, Form, Found, Scene};
use crate::service::session::LiveSession;
use crate::service::visit::{Ask, Failure};
use crate::service::{ServiceError, printable};

/// How many forms are read at once in order to be kept, and how long one may take.
static READING: Semaphore = Semaphore::const_new(16);
const TIME: Duration = Duration::from_secs(60);

/// How much of a browser's name goes into the event.
const USER_AGENT_LENGTH: usize = 256;

/// A form that will be kept if it is as it says.
pub struct Keepable {
    challenge: Challenge,
    claim: Claim,
    content_type: String,
    /// The most that is read of it.
    most: usize,
}

impl Keepable {
    /// Why it may not pass yet.
    pub const fn challenge(&self) -> Challenge {
        self.challenge
    }
}

impl GatewayState {
    /// Whether a request that may not pass yet is a form to be kept meanwhile. `live`: the session that it came with, if there is one.
    pub(super) async fn keepable(
        &self,
        head: &RequestHeader,
        request: &Request,
        route: RouteId,
        challenge: Challenge,
        live: Option<Arc<LiveSession>>,
    ) -> Result<Option<Keepable>, ServiceError> {
        // Who has yet to enrol will be under another epoch then: the form would be nobody's. Another proxy's question has no form with it.
        if challenge == Challenge::Enrolment || !request.arrival.may_sign_in || request.asked.is_some() {
            return Ok(None);
        }
        let origin = request.arrival.target.origin(request.arrival.secure);
        let Presented::Session(token) = request.cookies.presented() else { return Ok(None) };
        if !hold::is_own_form(&head.method, &head.headers, &origin) {
            return Ok(None);
        }
        let config = &request.plan.config;
        let of_route = config.upstream(route).and_then(|upstream| upstream.max_body).unwrap_or(u64::MAX);
        let most = config.held.max_size.min(usize::try_from(of_route).unwrap_or(usize::MAX));
        let announced = announced_length(head.headers.get(CONTENT_LENGTH));
        if announced.is_some_and(|length| length > most as u64) {
            return Ok(None);
        }
        let Some(content_type) = hold::form_type(&head.headers).map(str::to_owned) else { return Ok(None) };
        let host = request.arrival.target.host().clone();
        let claim = Claim { live, value: token.digest(), place: config.place(&host), host, origin };
        let somebodys = self.services.held.is_somebodys(&claim, request.now).await?;
        Ok(somebodys.then_some(Keepable { challenge, claim, content_type, most }))
    }

    /// Reads and keeps it; what the page is to be asked for then. `Err`: there is no time for a page.
    pub(super) async fn keep(
        &self,
        session: &mut Session,
        request: &Request,
        keepable: Keepable,
    ) -> Result<Result<Ask, StatusCode>, Box<Error>> {
        let Keepable { challenge, claim, content_type, most } = keepable;
        let not_kept = Ok(Ok(Ask::Challenge(challenge)));
        let Ok(_place) = READING.try_acquire() else { return not_kept };
        let body = match bridge::read_form(session, Limit { most, time: TIME }).await? {
            Body::Whole(body) => body,
            Body::TooLarge => return not_kept,
            Body::TooSlow => return Ok(Err(StatusCode::REQUEST_TIMEOUT)),
        };
        let form = Form { target: request.arrival.target.path_and_query().to_owned(), content_type, body };
        let from = origin(request, session.req_header());
        match self.services.held.keep(&claim, &form, from, scene(request)).await {
            Ok(Ok(id)) => Ok(Ok(Ask::Kept(challenge, id))),
            Ok(Err(why)) => {
                tracing::info!(client = %request.arrival.client, ?why, "a form was not kept over the login");
                not_kept
            }
            Err(error) => {
                tracing::error!(%error, "a form could not be kept over the login");
                not_kept
            }
        }
    }

    /// The kept form that this request is to be answered with, where it comes from that form's page to the form's own address.
    pub(super) fn sends_kept(&self, head: &RequestHeader, request: &Request) -> Option<HeldId> {
        if head.method != Method::POST || request.asked.is_some() {
            return None;
        }
        let origin = request.arrival.target.origin(request.arrival.secure);
        held::named_by(&head.headers, &origin, &request.plan.config.portal.path)
    }

    /// Makes this request into the kept one and judges that. Where it may pass, the form is spent, and its body is in `ctx`; only then
    /// [`Verdict::Forward`] comes back.
    pub(super) async fn send_kept(&self, session: &mut Session, ctx: &mut Context, found: &Found) -> Verdict {
        // What has come is held, so that Pingora will ask for the body that goes on in its place.
        let is_held = session.as_ref().get_retry_buffer().is_some();
        let verdict = match is_held.then(|| retarget(session, ctx, &found.form)).flatten() {
            Some(()) => self.judge_again(session, ctx).await,
            None => Verdict::Page(Ask::Failure(Failure::BadRequest)),
        };
        if !matches!(verdict, Verdict::Forward) {
            return match verdict {
                // It is kept already.
                Verdict::Keep(keepable) => Verdict::Page(Ask::Challenge(keepable.challenge)),
                other => other,
            };
        }
        let spent = match ctx.request.as_deref() {
            Some(request) => self.spend(session, request, found.id).await,
            None => Ok(false),
        };
        let failure = match spent {
            Ok(true) => {
                ctx.kept = Some(found.form.body.clone());
                return Verdict::Forward;
            }
            Ok(false) => Failure::FormGone,
            Err(error) => {
                tracing::error!(%error, "a kept form could not be taken away, and is not sent");
                Failure::Unavailable
            }
        };
        ctx.stage = Stage::Undecided;
        Verdict::Page(Ask::Failure(failure))
    }

    async fn spend(&self, session: &Session, request: &Request, id: HeldId) -> Result<bool, ServiceError> {
        let Some(live) = &request.session else { return Ok(false) };
        let own = request.arrival.target.origin(request.arrival.secure);
        let from = origin(request, session.req_header());
        self.services.held.spend(id, live, &own, from, scene(request)).await
    }
}

/// Gives the request the kept form's target, type and length. `None`: the target is none any more, by the configuration of today.
fn retarget(session: &mut Session, ctx: &mut Context, form: &Form) -> Option<()> {
    let request = ctx.request.as_mut()?;
    let arrival = &mut request.arrival;
    let authority = arrival.target.authority();
    let raw =
        RawTarget { target: form.target.as_bytes(), authority: Some(authority.as_bytes()), secure: arrival.secure };
    let target = NormalTarget::parse(raw).ok()?;
    if is_portal_path(&target, &request.plan.config) {
        return None;
    }
    let head = session.req_header_mut();
    for name in [TRANSFER_ENCODING, CONTENT_ENCODING, EXPECT] {
        head.remove_header(&name);
    }
    head.insert_header(CONTENT_TYPE, form.content_type.as_str()).ok()?;
    head.insert_header(CONTENT_LENGTH, form.body.len()).ok()?;
    if head.headers.contains_key(REFERER) {
        // The tool gets to know its own address, as it would have, and not that of our page.
        let own = format!("{}{}", target.origin(arrival.secure), target.path());
        head.insert_header(REFERER, own).ok()?;
    }
    arrival.target = target;
    Some(())
}

/// The body that goes on in the place of the one that came.
pub fn replaced(kept: &Bytes, end: bool) -> Option<Bytes> {
    // Before the end nothing, which is not the end.
    if end { Some(kept.clone()) } else { Some(Bytes::new()) }
}

fn scene(request: &Request) -> Scene<'_> {
    let config = &request.plan.config;
    let route = request.route.and_then(|id| config.routes.get(id)).map(|route| route.name.as_str());
    Scene { config, now: request.now, route }
}

fn origin(request: &Request, head: &RequestHeader) -> Origin {
    let user_agent = head.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Origin { address: request.arrival.client.to_string(), user_agent: printable(user_agent, USER_AGENT_LENGTH) }
}
