//! The request's phases: settle, find the route, ask who it is, decide, and only then connect.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::protocols::http::v2::server::H2Options;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};
use tokio::time::Instant;

use super::access_log::{self, End};
use super::bridge::Answered;
use super::context::{Context, Passage, Request, Stage};
use super::hold::Keepable;
use super::open_calls::Passed;
use super::sign_in::form::{Asking, FormPlan};
use super::tally::Tally;
use super::upload::Upload;
use super::upstream::{Break, http2};
use super::{Gateway, GatewayState, bridge, headers, hold, sign_in, upstream};
use crate::config::Protocol;
use crate::service::visit::{Ask, Failure};

/// How long a client may take over a piece of an upload, or to read a piece of an answer.
pub const CLIENT_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a body is still read that nobody wanted, so that its connection can serve the next request.
const DRAIN: Duration = Duration::from_secs(10);

/// An answer of at most so many bytes is over before anything could change.
const SHORT: u64 = 1024 * 1024;
/// The tool does not take what sekisho signs in with.
const TOOL_REFUSED: ErrorType = ErrorType::Custom("ToolRefusedLogin");
/// The tool's own session is over.
const TOOL_SESSION_OVER: ErrorType = ErrorType::Custom("ToolSessionOver");
const EVENT_STREAM: &[u8] = b"text/event-stream";

/// What Pingora calls for each request.
pub struct Gate {
    pub state: Arc<GatewayState>,
}

/// What becomes of a request.
pub enum Verdict {
    Forward,
    Page(Ask),
    /// A page, too, and meanwhile the form that came is kept.
    Keep(Keepable),
    /// Too broken for a page.
    Plain(StatusCode),
    ToTls(String),
    /// Another proxy may pass the request on, with these headers.
    Told(Vec<(HeaderName, HeaderValue)>),
}

#[async_trait]
impl ProxyHttp for Gate {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new(Arc::clone(&self.state), Tally::begin(&self.state.services.metrics))
    }

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<bool> {
        session.set_read_timeout(Some(CLIENT_TIMEOUT));
        session.set_write_timeout(Some(CLIENT_TIMEOUT));
        session.set_total_drain_timeout(Some(DRAIN));
        let mut verdict = self.state.judge(session, ctx).await;
        ctx.tally.judged(&verdict);
        if let Verdict::Page(ask) = verdict
            && let Some(request) = &ctx.request
        {
            let visit = request.visit(ask, session.req_header());
            match Box::pin(bridge::ask(&self.state.portal, ctx.call.as_deref(), session, visit)).await? {
                Answered::Shown(status) => {
                    ctx.tally.shown(status);
                    return Ok(true);
                }
                Answered::Release(found) => {
                    verdict = Box::pin(self.state.send_kept(session, ctx, &found)).await;
                    ctx.tally.judged(&verdict);
                }
            }
        }
        let answered = match verdict {
            Verdict::Forward if ctx.wait_to_ask(session).await? => {
                headers::spelling::forget(session.req_header_mut());
                return Ok(false);
            }
            Verdict::Forward => bridge::plain(session, StatusCode::SERVICE_UNAVAILABLE).await,
            Verdict::Page(ask) => match &ctx.request {
                Some(request) => {
                    let visit = request.visit(ask, session.req_header());
                    Box::pin(bridge::answer(&self.state.portal, ctx.call.as_deref(), session, visit)).await
                }
                None => bridge::plain(session, StatusCode::INTERNAL_SERVER_ERROR).await,
            },
            Verdict::Keep(keepable) => match &ctx.request {
                Some(request) => match Box::pin(self.state.keep(session, request, keepable)).await? {
                    Ok(ask) => {
                        let visit = request.visit(ask, session.req_header());
                        Box::pin(bridge::answer(&self.state.portal, ctx.call.as_deref(), session, visit)).await
                    }
                    Err(status) => bridge::plain(session, status).await,
                },
                None => bridge::plain(session, StatusCode::INTERNAL_SERVER_ERROR).await,
            },
            Verdict::Plain(status) => bridge::plain(session, status).await,
            Verdict::Told(headers) => bridge::told(session, headers).await,
            Verdict::ToTls(location) => bridge::redirect(session, StatusCode::PERMANENT_REDIRECT, &location).await,
        };
        ctx.tally.shown(answered?);
        Ok(true)
    }

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Context) -> Result<Box<HttpPeer>> {
        let asked = Instant::now();
        ctx.tally.asks(asked);
        if let Some(failure) = self.state.signed_in_again(session.req_header(), ctx).await {
            ctx.instead = Some(failure);
            return Err(Error::new(TOOL_REFUSED).into_up());
        }
        let (Some((request, passage)), Some(call)) = (ctx.passage(), &ctx.call) else {
            return Error::e_explain(ErrorType::InternalError, "no permit");
        };
        let mut tries = ctx.tries;
        let chosen = upstream::choose(&self.state.resolver, call, request, passage, &mut tries, asked).await;
        ctx.tries = tries;
        // A body that is sent once more is counted once more.
        ctx.body_seen = 0;
        ctx.upstream_asked.get_or_insert(asked);
        #[cfg(feature = "otlp")]
        if let Ok(peer) = &chosen {
            use pingora::upstreams::peer::Peer as _;
            ctx.upstream_address = peer.address().as_inet().copied();
        }
        chosen
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        head: &mut RequestHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        let Some((request, passage)) = ctx.passage() else {
            return Error::e_explain(ErrorType::InternalError, "no permit");
        };
        let speaks = request.plan.config.upstream(passage.route).map(|route| route.protocol);
        if speaks == Some(Protocol::Http2) && head.version != Version::HTTP_2 {
            let what = "the upstream does not speak HTTP/2";
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, what).into_up());
        }
        if let (Some(call), false) = (&ctx.call, passage.websocket || passage.streams || session.is_body_empty()) {
            let upstream = request.plan.config.upstream(passage.route).map(|route| route.timeouts.write);
            call.expects_body(Upload::new(Instant::now(), upstream.unwrap_or_default()));
        }
        headers::for_upstream(head, request, passage, ctx.tries.current)
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Context,
    ) -> Result<()> {
        if let Some(kept) = &ctx.kept {
            *body = hold::replaced(kept, end);
        }
        let came = body.as_ref().map_or(0, |piece| piece.len() as u64);
        ctx.body_seen += came;
        if let Some(call) = &ctx.call {
            call.note_body(came, end);
        }
        if !end
            && let (Some((request, passage)), Some(call)) = (ctx.passage(), &ctx.call)
            && call.passed().is_none()
        {
            // More of it is to come, and who knows for how long.
            self.state.stays_open(call, Passed::new(request, passage.route, &passage.permit, passage.streams));
        }
        match ctx.max_body() {
            Some(most) if ctx.body_seen > most => Err(Error::new(ErrorType::HTTPStatus(413)).into_down()),
            _ => Ok(()),
        }
    }

    async fn response_filter(&self, session: &mut Session, head: &mut ResponseHeader, ctx: &mut Context) -> Result<()> {
        if let Some(call) = &ctx.call {
            call.note_answer();
        }
        if let (Some(place), false) = (&mut ctx.place, head.status.is_informational()) {
            place.answered();
        }
        ctx.status = Some(head.status);
        let now = Instant::now();
        ctx.tally.answered(head.status, ctx.request.as_deref().and_then(Request::meter), now);
        ctx.upstream_took = ctx.upstream_asked.map(|asked| now - asked);
        if let Some((request, passage)) = ctx.passage() {
            if passage.sharing.is_broken_by(head) {
                let what = "the upstream signs a connection in that everybody shares";
                return Err(Error::explain(ErrorType::InvalidHTTPHeader, what).into_up());
            }
            upstream::answered(request, passage, &ctx.tries);
        }
        if !head.status.is_informational() && self.state.tool_session_is_over(session, head, ctx) {
            return Err(Error::new(TOOL_SESSION_OVER).into_up());
        }
        let signs_in = ctx.passage().is_some_and(|(_, passage)| passage.shown_to_tool.is_some());
        if signs_in && sign_in::is_refused(head) {
            ctx.instead = Some(Failure::ToolRefused);
            return Err(Error::new(TOOL_REFUSED).into_up());
        }
        if signs_in || ctx.passage().is_some_and(|(_, passage)| passage.tool_session.is_some()) {
            head.remove_header(&WWW_AUTHENTICATE);
        }
        if let Some((request, passage)) = ctx.passage()
            && let (Some(form), Some(tool)) = (passage.form(request), &passage.tool_session)
        {
            tool.answered(form, head, request);
        }
        let length = content_length(head);
        if session.req_header().method != Method::HEAD {
            ctx.begin_answer(head, length)?;
        }
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            let asked = ctx.passage().is_some_and(|(_, passage)| passage.websocket);
            let is_websocket =
                head.headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
            if !asked || !is_websocket || head.version != Version::HTTP_11 {
                let what = "a switch of protocols that nobody asked for";
                return Err(Error::explain(ErrorType::InvalidHTTPHeader, what).into_up());
            }
            session.set_read_timeout(None);
            if let Some(call) = &ctx.call {
                call.signals.open_tunnel();
                ctx.tally.becomes_a_tunnel();
            }
        }
        if let (Some((request, passage)), Some(call)) = (ctx.passage(), &ctx.call)
            && (may_last(head, length) || has_changed(request, passage))
        {
            let endless = passage.streams || is_event_stream(head);
            let passed = Passed::new(request, passage.route, &passage.permit, endless);
            if !self.state.stays_open(call, passed) {
                let what = "whoever asked may not do that any more";
                return Err(Error::explain(ErrorType::ConnectionClosed, what).into_down());
            }
        }
        let left = ctx.passage().and_then(|(request, passage)| Some(passage.session_ends?.since(request.now)));
        let asked = ctx.call.as_ref().map(|call| now - call.started).unwrap_or_default();
        headers::response::for_client(head, left.map(|left| left.saturating_sub(asked)));
        Ok(())
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _end: bool,
        ctx: &mut Context,
    ) -> Result<Option<Duration>> {
        ctx.pass_answer(body.as_ref().map_or(0, Bytes::len))?;
        Ok(None)
    }

    async fn response_trailer_filter(
        &self,
        _session: &mut Session,
        trailers: &mut HeaderMap,
        _ctx: &mut Context,
    ) -> Result<Option<Bytes>> {
        http2::for_client(trailers);
        Ok(None)
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut Context,
        mut e: Box<Error>,
    ) -> Box<Error> {
        let mut tries = ctx.tries;
        let again = ctx.passage().is_some_and(|(request, passage)| upstream::unreachable(request, passage, &mut tries));
        ctx.tries = tries;
        e.set_retry(again);
        e
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut e: Box<Error>,
        ctx: &mut Context,
        client_reused: bool,
    ) -> Box<Error> {
        if *e.etype() == TOOL_SESSION_OVER {
            let again = ctx.passage().and_then(|(_, passage)| passage.tool_session.as_ref());
            e.set_retry(again.is_some_and(|tool| tool.again) && session.response_written().is_none());
            return e;
        }
        let unanswered = session.response_written().is_none();
        // What changes nothing, as RFC 9110 §9.2.1 has it, and can be sent a second time as it was.
        let harmless = session.req_header().method.is_safe() && !session.retry_buffer_truncated();
        let mut tries = ctx.tries;
        let broken = Break { error: &e, repeatable: unanswered && harmless, reused: client_reused, unanswered };
        let again =
            ctx.passage().is_some_and(|(request, passage)| upstream::broken(request, passage, &mut tries, &broken));
        ctx.tries = tries;
        e.set_retry(again);
        e
    }

    async fn fail_to_proxy(&self, session: &mut Session, e: &Error, ctx: &mut Context) -> FailToProxy {
        let outcome = outcome(e, ctx);
        access_log::failure(e, &outcome, ctx);
        ctx.tally.failed(&outcome);
        let answered =
            session.response_written().is_some_and(|head| !head.status.is_informational() || head.status == 101);
        session.set_keepalive(None);
        let error_code = match (outcome, &ctx.request) {
            _ if answered => 0,
            (Outcome::ClientGone, _) => 0,
            (Outcome::Page(failure), Some(request)) => {
                let visit = request.visit(Ask::Failure(failure), session.req_header());
                bridge::answer(&self.state.portal, None, session, visit).await.map_or(0, |status| status.as_u16())
            }
            (Outcome::Page(_), None) => {
                bridge::plain(session, StatusCode::INTERNAL_SERVER_ERROR).await.map_or(0, |status| status.as_u16())
            }
            (Outcome::Plain(status), _) => bridge::plain(session, status).await.map_or(0, |status| status.as_u16()),
        };
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _e: Option<&Error>, ctx: &mut Context) {
        ctx.logged = true;
        if let (Some(place), false) = (&mut ctx.place, ctx.tally.client_has_gone()) {
            place.ended_in_order();
        }
        self.state.note_end(ctx, End::of(session));
    }

    // Pingora's own lines name the target with its query; ours do not.
    fn suppress_error_log(&self, _session: &Session, _ctx: &Context, _error: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _ctx: &Context,
        _error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}

/// How a request ends that could not be served.
#[derive(Debug)]
pub enum Outcome {
    Page(Failure),
    Plain(StatusCode),
    ClientGone,
}

fn outcome(e: &Error, ctx: &Context) -> Outcome {
    use ErrorType::{
        ConnectTimedout, ConnectionClosed, H2Error, HTTPStatus, ReadError, ReadTimedout, TLSHandshakeTimedout,
        WriteError, WriteTimedout,
    };
    if ctx.call.as_ref().is_some_and(|call| call.signals.body_is_malformed()) {
        return Outcome::Plain(StatusCode::BAD_REQUEST);
    }
    if let Some(failure) = ctx.instead {
        return Outcome::Page(failure);
    }
    match (e.esource(), e.etype()) {
        (_, HTTPStatus(413)) => Outcome::Page(Failure::TooLarge),
        (_, HTTPStatus(503)) => Outcome::Plain(StatusCode::SERVICE_UNAVAILABLE),
        (ErrorSource::Upstream, ConnectTimedout | TLSHandshakeTimedout | ReadTimedout | WriteTimedout) => {
            Outcome::Page(Failure::UpstreamTimeout)
        }
        (ErrorSource::Upstream, _) => Outcome::Page(Failure::UpstreamUnreachable),
        (ErrorSource::Downstream, ReadTimedout) => Outcome::Plain(StatusCode::REQUEST_TIMEOUT),
        (ErrorSource::Downstream, ReadError | WriteError | WriteTimedout | ConnectionClosed) => Outcome::ClientGone,
        // How a stream ends that the client resets.
        (ErrorSource::Downstream | ErrorSource::Unset, H2Error) => Outcome::ClientGone,
        (ErrorSource::Downstream, _) => Outcome::Page(Failure::BadRequest),
        (ErrorSource::Internal | ErrorSource::Unset, _) => Outcome::Page(Failure::Internal),
    }
}

/// The one upgrade that is passed on (RFC 6455 §4.1): a GET over HTTP/1.1, without a body, whose `Connection` asks for it.
pub fn is_websocket(head: &RequestHeader) -> bool {
    let mut upgrades = head.headers.get_all(UPGRADE).iter();
    let websocket = upgrades.next().is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if !websocket || upgrades.next().is_some() {
        return false;
    }
    let asks = head.headers.get_all(http::header::CONNECTION).iter().any(|value| {
        value.as_bytes().split(|&b| b == b',').any(|token| token.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    });
    asks && head.method == Method::GET && head.version == Version::HTTP_11
}

/// Whether a handshake has a body, which none may have.
pub fn has_body(head: &RequestHeader) -> bool {
    let length = head.headers.get(CONTENT_LENGTH).is_some_and(|value| value.as_bytes() != b"0");
    length || head.headers.contains_key(TRANSFER_ENCODING)
}

/// Whether the account is another one by now than it was when the request was let through: its groups, say.
fn has_changed(request: &Request, passage: &Passage) -> bool {
    let now = request.session.as_ref().map(|live| live.account());
    let then = passage.permit.account();
    now.zip(then).is_some_and(|(now, then)| !Arc::ptr_eq(&now, then) && *now != **then)
}

/// Whether the answer may be under way for long: of unknown length, or a long one.
fn may_last(head: &ResponseHeader, length: Option<u64>) -> bool {
    !head.status.is_informational() && length.is_none_or(|length| length > SHORT)
}

fn content_length(head: &ResponseHeader) -> Option<u64> {
    head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok())
}

pub fn is_event_stream(head: &ResponseHeader) -> bool {
    let kind = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.get(..EVENT_STREAM.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(EVENT_STREAM))
}

impl GatewayState {
    /// Signs in to the tool anew, where its last answer was that its session is over. Why not, where that was in vain.
    async fn signed_in_again(&self, head: &RequestHeader, ctx: &mut Context) -> Option<Failure> {
        let (request, passage) = ctx.passage()?;
        let tool = passage.tool_session.as_ref().filter(|tool| tool.again)?;
        let form = passage.form(request)?;
        let certificate = ctx.call.as_ref().and_then(|call| call.certificate.as_deref());
        let (logins, resolver) = (&self.services.tool_logins, &self.resolver);
        let ask = Asking { logins, resolver, request, passage, certificate, head };
        let renewed = match Box::pin(self.form_logins.again(form, &ask, tool)).await {
            Ok(renewed) => renewed,
            Err(failure) => return Some(failure),
        };
        if let Stage::Permitted(passage) = &mut ctx.stage {
            passage.tool_session = Some(renewed);
        }
        // What was tried so far was another request.
        ctx.tries = upstream::Tries::default();
        None
    }

    /// Whether this answer says that the tool's own session is over, and is not passed on; then what becomes of the request is noted. It is
    /// sent once more if it changes nothing, has no body, and was sent once.
    fn tool_session_is_over(&self, session: &mut Session, head: &ResponseHeader, ctx: &mut Context) -> bool {
        let Some((request, passage)) = ctx.passage() else { return false };
        let (Some(form), Some(tool)) = (passage.form(request), &passage.tool_session) else { return false };
        let repeatable = matches!(request.method, Method::GET | Method::HEAD) && !passage.websocket;
        let repeatable = repeatable && session.is_body_empty();
        if !(form.is_over(head, request) || repeatable && tool.is_taken_away(form, head, request)) {
            return false;
        }
        if tool.renewed {
            tracing::warn!(route = passage.route_name(request), "the tool does not know whom it has just signed in");
            tool.leave_alone();
        }
        if tool.is_left_alone() {
            return false;
        }
        tool.is_over();
        if !repeatable {
            ctx.instead = Some(Failure::ToolSignedOut);
        } else if let Stage::Permitted(passage) = &mut ctx.stage
            && let Some(tool) = &mut passage.tool_session
        {
            tool.again = true;
        }
        true
    }
}

impl Passage {
    fn route_name<'r>(&self, request: &'r Request) -> &'r str {
        request.plan.config.routes.get(self.route).map_or("", |route| route.name.as_str())
    }

    /// How the tool is signed in to by its form, where it is.
    fn form<'r>(&self, request: &'r Request) -> Option<&'r FormPlan> {
        request.plan.route(self.route)?.sign_in.as_ref()?.form()
    }
}

impl Context {
    fn max_body(&self) -> Option<u64> {
        let (request, passage) = self.passage()?;
        let websocket_body = passage.websocket;
        request.plan.config.upstream(passage.route).filter(|_| !websocket_body)?.max_body
    }
}

impl Gateway {
    /// HTTP/2 limits, for the connections' applications.
    pub const fn http2_options(&self) -> &pingora::apps::HttpServerOptions {
        &self.http2
    }

    /// The same for what is within a connection.
    pub const fn stream_options(&self) -> &H2Options {
        &self.streams
    }
}
