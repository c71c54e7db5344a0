//! From a request to what becomes of it. One reading of the clock, one pass over the cookies, one decision.
//!
//! What few requests wait for is in a box: every request would take, and touch, the room that the largest of its waits needs.

use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, ORIGIN, UPGRADE, USER_AGENT};
use http::{HeaderValue, Method, StatusCode, Version};
use pingora::proxy::Session;

use super::GatewayState;
use super::access_log::Said;
use super::certificate;
use super::context::{Call, Context, Passage, Request, Stage};
use super::credential::authorization::{self, Shown};
use super::credential::{Cookies, Presented};
use super::forward_auth;
use super::gate::{Verdict, has_body, is_websocket};
use super::listener::head::{MAX_FIELDS, check_method};
use super::open_calls::Passed;
use super::sign_in::SignIn;
use super::sign_in::form::Asking;
use super::target::{Arrival, settle};
use super::upstream::{Sharing, http2};
use crate::authn::session::Origin;
use crate::authz::decision::WebSocketOrigin;
use crate::authz::{
    BadTarget, Challenge, Decision, Denial, Facts, Identity, NormalTarget, Route, decide, decide_machine,
};
use crate::config::{Config, Protocol};
use crate::service::ServiceError;
use crate::service::session::LiveSession;
use crate::service::tokens::{Judged, Shower};
use crate::service::visit::{Ask, BadToken, Failure};

impl GatewayState {
    /// Judges a request. What it finds out stays in `ctx`; only a permit makes [`Verdict::Forward`], or [`Verdict::Told`] where another
    /// proxy asks.
    pub(super) async fn judge(&self, session: &mut Session, ctx: &mut Context) -> Verdict {
        let verdict = self.judge_whatever_comes(session, ctx).await;
        match ctx.request.as_ref().and_then(|request| request.asked.as_ref()) {
            Some(asked) => forward_auth::answer(verdict, asked),
            None => verdict,
        }
    }

    async fn judge_whatever_comes(&self, session: &mut Session, ctx: &mut Context) -> Verdict {
        let Some(call) = ctx.call.clone() else { return Verdict::Plain(StatusCode::INTERNAL_SERVER_ERROR) };
        let head = session.req_header();
        // HTTP/1 was judged by the listener already; HTTP/2 comes here first.
        if let Err(refusal) = check_method(head.method.as_str().as_bytes()) {
            return Verdict::Plain(StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST));
        }
        // HTTP/2 clients send each cookie in a field of its own.
        let all = head.headers.len();
        if all > MAX_FIELDS && all - head.headers.get_all(COOKIE).iter().count() > MAX_FIELDS {
            return Verdict::Plain(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        let plan = self.plan();
        let arrival = match settle(head, call.endpoints, &plan.config) {
            Ok(arrival) => arrival,
            Err(refused) => {
                tracing::debug!(client = %call.endpoints.peer, %refused, "target refused");
                return Verdict::Plain(match refused {
                    BadTarget::TooLong => StatusCode::URI_TOO_LONG,
                    _ => StatusCode::BAD_REQUEST,
                });
            }
        };
        let cookies = Cookies::read(&head.headers, arrival.secure);
        let trace = self.trace(&head.headers, &call.names, arrival.trusted);
        call.belongs_to(trace);
        let request = Request {
            id: call.names.request,
            trace,
            said: Said::of(head),
            now: self.services.clock.now(),
            plan,
            arrival,
            cookies,
            method: head.method.clone(),
            session: None,
            token: None,
            machine: None,
            asked: None,
            route: None,
        };
        let shown = authorization::shown(&head.headers);
        let user_agent = if matches!(shown, Shown::Nothing) { None } else { user_agent(head) };
        let request = ctx.request.insert(Box::new(request));
        if forward_auth::is_question(&request.arrival.target, &request.plan.config) {
            match forward_auth::question(head, &request.arrival, &request.plan) {
                Ok(asked) => {
                    (request.method, request.arrival.target) = (asked.method.clone(), asked.target.clone());
                    request.asked = Some(asked);
                }
                Err(why) => {
                    let (proxy, client) = (request.arrival.peer, request.arrival.client);
                    tracing::warn!(%proxy, %client, reason = %why, "forward-auth refused");
                    return Verdict::Plain(StatusCode::FORBIDDEN);
                }
            }
        }
        if !request.arrival.may_sign_in {
            // Over this connection anybody could read along: nobody is anybody here.
            request.cookies.own = crate::service::visit::SekishoCookies::default();
            if !matches!(shown, Shown::Nothing) {
                // A programme that were redirected would go on sending it in clear, and nobody would notice.
                return Verdict::Page(Ask::Failure(Failure::PlainHttp));
            }
            if let Some(location) = self.tls_address(request) {
                let leads_on = may_be_led_to_tls(&request.method, &request.arrival.target, &request.plan.config);
                return if leads_on {
                    Verdict::ToTls(location)
                } else {
                    Verdict::Page(Ask::Failure(Failure::PlainHttp))
                };
            }
        }
        if let Some(verdict) = self.take_token(request, shown, user_agent).await {
            return verdict;
        }
        if request.token.is_none() {
            match self.find_session(request).await {
                Ok(found) => request.session = found,
                Err(error) => return unavailable(&error),
            }
        }
        if is_portal_path(&request.arrival.target, &request.plan.config) {
            if request.token.is_some() {
                return Verdict::Page(Ask::Token(BadToken::OwnPage));
            }
            if request.arrival.target.has_encoded_slash() {
                return Verdict::Page(Ask::Failure(Failure::BadRequest));
            }
            let open = request.arrival.may_sign_in || is_dress(&request.arrival, &request.plan.config);
            let ask = if open { Ask::Page } else { Ask::Failure(Failure::PlainHttp) };
            return Verdict::Page(ask);
        }
        if let Some(id) = self.sends_kept(session.req_header(), request) {
            return Verdict::Page(Ask::SendKept(id));
        }
        self.judge_route(session, ctx, &call).await
    }

    /// The same for what a request was made into that a page of ours was asked with (see `hold`).
    pub(super) async fn judge_again(&self, session: &mut Session, ctx: &mut Context) -> Verdict {
        let Some(call) = ctx.call.clone() else { return Verdict::Plain(StatusCode::INTERNAL_SERVER_ERROR) };
        self.judge_route(session, ctx, &call).await
    }

    async fn judge_route(&self, session: &mut Session, ctx: &mut Context, call: &Call) -> Verdict {
        let Some(request) = ctx.request.as_mut() else { return Verdict::Page(Ask::Failure(Failure::Internal)) };
        let plan = Arc::clone(&request.plan);
        let config = &plan.config;
        let id = match config.routes.find(&request.arrival.target, &request.method) {
            Ok(Some(id)) => id,
            Ok(None) => return Verdict::Page(Ask::Failure(Failure::NoRoute)),
            Err(refused) => {
                tracing::debug!(client = %request.arrival.client, %refused, "target refused");
                return Verdict::Page(Ask::Failure(Failure::BadRequest));
            }
        };
        let Some(route) = config.routes.get(id) else { return Verdict::Page(Ask::Failure(Failure::NoRoute)) };
        request.route = Some(id);
        let websocket = match request.asked {
            Some(_) => forward_auth::opens_websocket(session.req_header()),
            None => is_websocket(session.req_header()),
        };
        if websocket && has_body(session.req_header()) {
            return Verdict::Page(Ask::Failure(Failure::BadRequest));
        }
        let identity = match self.identity(request, route).await {
            Ok(identity) => identity,
            Err(error) => return unavailable(&error),
        };
        let head = session.req_header();
        let (own, origin) = if websocket {
            (request.arrival.target.origin(request.arrival.secure), origin(&head.headers))
        } else {
            (String::new(), None)
        };
        let facts = Facts {
            client: request.arrival.client,
            websocket_origin: websocket.then_some(WebSocketOrigin { origin, own: &own }),
        };
        if let Some(certificate) =
            call.certificate.as_ref().filter(|_| certificate::may_speak_for(request, &head.headers))
        {
            request.machine = certificate.machine(route, config, request.now);
        }
        let decision = match &request.machine {
            Some(machine) => decide_machine(route, &facts, machine, request.now),
            None => decide(route, &facts, identity.as_ref(), request.now),
        };
        let permit = match decision {
            Decision::Forward(permit) => permit,
            Decision::Challenge(challenge) => {
                let live = request.session.clone();
                if challenge == Challenge::Login {
                    // If there is a session, it is over for this route: the pages must not take it for a living one.
                    request.session = None;
                }
                return match self.keepable(head, request, id, challenge, live).await {
                    Ok(Some(keepable)) => Verdict::Keep(keepable),
                    Ok(None) => Verdict::Page(Ask::Challenge(challenge)),
                    Err(error) => unavailable(&error),
                };
            }
            Decision::Deny(denial) => {
                if let Some(machine) = &request.machine {
                    let client = Origin { address: request.arrival.client.to_string(), user_agent: String::new() };
                    let denials = &self.services.denials;
                    denials.note_machine(machine, &route.name, denial, client, request.now).await;
                }
                return Verdict::Page(match denial {
                    Denial::Scope => Ask::Token(BadToken::OtherRoute),
                    denial => Ask::Denied(denial),
                });
            }
        };
        let speaks_http2 = config.upstream(id).is_some_and(|upstream| upstream.protocol == Protocol::Http2);
        if speaks_http2 && head.version != Version::HTTP_2 {
            // Trailers would be lost, and with them how a call has ended.
            return Verdict::Plain(StatusCode::HTTP_VERSION_NOT_SUPPORTED);
        }
        // Nobody knows who holds a call of nobody's open: it has the limits of any other request.
        let streams = speaks_http2 && http2::is_grpc(head) && permit.whose().is_some();
        if let Some(most) = config.upstream(id).and_then(|upstream| upstream.max_body)
            && announced_length(head.headers.get(CONTENT_LENGTH)).is_some_and(|length| length > most)
        {
            return Verdict::Page(Ask::Failure(Failure::TooLarge));
        }
        let mut session_ends = None;
        if let (Some(live), Some(_), Some(identity)) = (&request.session, permit.session(), &identity) {
            let mut seen = identity.last_seen;
            if !is_exempt(route, &request.arrival) {
                self.services.sessions.touch(live, route, request.now);
                seen = request.now;
            }
            session_ends = Some(identity.expires_at.min(seen.plus(route.idle_timeout)));
            call.lives_until(live.ended());
        }
        if let (Some(certificate), Some(_), None) = (&call.certificate, permit.machine(), &request.token) {
            call.lives_until(certificate.ended());
        }
        if let Some(token) = &request.token {
            self.services.tokens.touch(token, request.arrival.client, request.now);
            call.lives_until(token.ended());
        }
        if request.asked.is_some() {
            if session.req_header().headers.contains_key(UPGRADE) {
                session.set_keepalive(None);
            }
            return match forward_auth::told(session.req_header(), request, id, &permit) {
                Ok(headers) => Verdict::Told(headers),
                Err(error) => {
                    tracing::error!(%error, "another proxy cannot be told who it is");
                    Verdict::Page(Ask::Failure(Failure::Internal))
                }
            };
        }
        if websocket {
            self.stays_open(call, Passed::new(request, id, &permit, true).with_handshake(origin, own));
        }
        if session.req_header().headers.contains_key(UPGRADE) {
            if !websocket {
                session.req_header_mut().remove_header(&UPGRADE);
            }
            // Refused or not, an upgrade is the last thing on its connection.
            session.set_keepalive(None);
        }
        let shown_to_tool = match plan.route(id).and_then(|route| route.sign_in.as_ref()) {
            Some(sign_in) => {
                session.req_header_mut().remove_header(&AUTHORIZATION);
                match sign_in.shown_to_tool(&self.services.tool_logins, &permit, &route.name, request.now).await {
                    Ok(value) => value,
                    Err(failure) => return Verdict::Page(Ask::Failure(failure)),
                }
            }
            None => None,
        };
        let sharing = Sharing::of(session.req_header(), call, &request.arrival, permit.whose());
        let mut passage =
            Passage { permit, route: id, websocket, streams, sharing, shown_to_tool, session_ends, tool_session: None };
        if let Some(form) = plan.route(id).and_then(|route| route.sign_in.as_ref()).and_then(SignIn::form) {
            let ask = Asking {
                logins: &self.services.tool_logins,
                resolver: &self.resolver,
                request,
                passage: &passage,
                certificate: call.certificate.as_deref(),
                head: session.req_header(),
            };
            match Box::pin(self.form_logins.session(form, &ask)).await {
                Ok(found) => passage.tool_session = Some(found),
                Err(failure) => return Verdict::Page(Ask::Failure(failure)),
            }
        }
        ctx.stage = Stage::Permitted(passage);
        Verdict::Forward
    }

    /// Keeps the token that was shown. A verdict comes of one that is no good, and of one beside a session's cookie: a bad credential never
    /// gives way to another one.
    async fn take_token(&self, request: &mut Request, shown: Shown, user_agent: Option<String>) -> Option<Verdict> {
        let token = match &shown {
            Shown::Nothing => return None,
            Shown::Malformed => None,
            Shown::Token(token) => Some(token),
        };
        if request.cookies.shows_session() {
            return Some(Verdict::Page(Ask::Token(BadToken::BesideSession)));
        }
        let by = Shower { client: request.arrival.client, user_agent: user_agent.as_deref() };
        match self.services.tokens.judge(token, by, request.now).await {
            Ok(Judged::Good(token)) => {
                request.machine = Some(Arc::clone(token.machine()));
                request.token = Some(token);
                None
            }
            Ok(Judged::Bad) => Some(Verdict::Page(Ask::Token(BadToken::Unknown))),
            Ok(Judged::TooMany { wait }) => Some(Verdict::Page(Ask::Token(BadToken::TooMany { wait }))),
            Err(error) => Some(unavailable(&error)),
        }
    }

    /// The living session of the request's cookie. Cached ones cost no await.
    async fn find_session(&self, request: &Request) -> Result<Option<Arc<LiveSession>>, ServiceError> {
        if !request.arrival.may_sign_in {
            return Ok(None);
        }
        let Presented::Session(token) = request.cookies.presented() else { return Ok(None) };
        let digest = token.digest();
        let found = match self.services.sessions.cached(&digest) {
            Some(live) => Some(live),
            None => Box::pin(self.services.sessions.find(&digest, request.now)).await?,
        };
        // With a portal host each host has values of its own, and no other's count there.
        let (config, host) = (&request.plan.config, request.arrival.target.host());
        Ok(found.filter(|live| config.place(host).takes(live.host(), host)))
    }

    /// Who asks, as the decision needs it.
    async fn identity(&self, request: &Request, route: &Route) -> Result<Option<Identity>, ServiceError> {
        let Some(live) = &request.session else { return Ok(None) };
        let Some(identity) = live.identity(route) else { return Ok(None) };
        let idle = request.now.since(identity.last_seen) >= route.idle_timeout;
        if !idle || request.now >= identity.expires_at {
            return Ok(Some(identity));
        }
        // Another node may have seen the session since.
        if self.services.sessions.still_idle(live, route, request.now).await? {
            return Ok(Some(identity));
        }
        Ok(live.identity(route))
    }

    /// Where this target is served over TLS, if it is.
    fn tls_address(&self, request: &Request) -> Option<String> {
        let redirect = request.plan.config.server.tls.as_ref().is_some_and(|tls| tls.redirect_http);
        let port = self.tls_port().filter(|_| redirect)?;
        let target = &request.arrival.target;
        let host = target.host();
        let path = target.path_and_query();
        Some(if port == 443 { format!("https://{host}{path}") } else { format!("https://{host}:{port}{path}") })
    }
}

fn unavailable(error: &ServiceError) -> Verdict {
    tracing::error!(%error, "cannot tell who it is: nobody passes");
    Verdict::Page(Ask::Failure(Failure::Unavailable))
}

pub(super) fn is_portal_path(target: &NormalTarget, config: &Config) -> bool {
    is_below(target.matching_path(), &config.portal.path)
}

/// Whether somebody who came over plain HTTP is led to TLS: a browser that asks for a page. Whoever sends more than that has sent
/// it in clear; a programme that were redirected would go on doing so, and nobody would notice.
fn may_be_led_to_tls(method: &Method, target: &NormalTarget, config: &Config) -> bool {
    let below = target.matching_path().strip_prefix(config.portal.path.as_str());
    matches!(*method, Method::GET | Method::HEAD) && !below.is_some_and(|rest| is_below(rest, "/api"))
}

/// Style sheet and pictures: the page that refuses to sign anybody in looks like the others.
fn is_dress(arrival: &Arrival, config: &Config) -> bool {
    let below = arrival.target.matching_path().strip_prefix(config.portal.path.as_str());
    below.is_some_and(|rest| is_below(rest, "/static"))
}

fn is_exempt(route: &Route, arrival: &Arrival) -> bool {
    route.idle_exempt.iter().any(|prefix| prefix.covers(arrival.target.matching_path()))
}

/// Whether `path` is `prefix` or below it, at a segment.
fn is_below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Two origins, or one that is no text, are nobody's: `null`, which no route welcomes.
fn origin(headers: &http::HeaderMap) -> Option<&str> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let origin = origins.next()?.to_str().unwrap_or("null");
    Some(if origins.next().is_some() { "null" } else { origin })
}

fn user_agent(head: &pingora::http::RequestHeader) -> Option<String> {
    head.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

pub(super) fn announced_length(value: Option<&HeaderValue>) -> Option<u64> {
    value?.to_str().ok()?.parse().ok()
}
