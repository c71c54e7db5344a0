//! What is known of a request while it is under way: the call it came by, and how far it was decided.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT_LANGUAGE;
use http::{HeaderValue, Method, StatusCode};
use pingora::http::RequestHeader;
use tokio::time::Instant;

use super::GatewayState;
use super::access_log::{End, Said};
use super::certificate::Certificate;
use super::credential::Cookies;
use super::forward_auth::Asked;
use super::listener::proxy_protocol::Header;
use super::listener::stream::Signals;
use super::long_answer::Length;
use super::open_calls::Passed;
use super::plan::Plan;
use super::queues::Place;
use super::sign_in::form::ToolSession;
use super::tally::{self, Tally};
use super::target::Arrival;
use super::trace::{Names, Trace};
use super::upload::Upload;
use super::upstream::{Sharing, Tries};
use crate::authz::{Account, Machine, Permit, RouteId};
use crate::clock::Timestamp;
use crate::i18n;
use crate::id::RequestId;
use crate::metrics::RouteMeter;
use crate::service::end;
use crate::service::session::LiveSession;
use crate::service::tokens::LiveToken;
use crate::service::visit::{Ask, Failure, Visit};

/// What a client's connection tells of its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoints {
    /// Whose connection it is: the socket's peer, or whom a trusted proxy named in its PROXY header.
    pub peer: IpAddr,
    /// Whether every address that is known of it is one of this machine's own: both ends of the socket, and both that a
    /// PROXY header names. So no header makes a connection look nearer than it is.
    pub loopback: bool,
    /// Somebody's of whom the proxy could not say who it is: nothing that they say of the road counts, although the socket's
    /// peer is one whose word does.
    pub anonymous: bool,
    pub tls: bool,
    /// `1.3`, where it is TLS.
    pub tls_version: Option<&'static str>,
}

impl Endpoints {
    /// Of a socket.
    pub fn new(peer: SocketAddr, local: SocketAddr) -> Self {
        let (peer, local) = (peer.ip().to_canonical(), local.ip().to_canonical());
        Self {
            peer,
            loopback: peer.is_loopback() && local.is_loopback(),
            anonymous: false,
            tls: false,
            tls_version: None,
        }
    }

    /// The same behind a proxy that said this of it.
    #[must_use]
    pub fn behind(self, header: Header) -> Self {
        match header {
            Header::Local => self,
            Header::Unknown => Self { loopback: false, anonymous: true, ..self },
            Header::Of { source, destination } => {
                let named = Self::new(source, destination);
                Self { peer: named.peer, loopback: self.loopback && named.loopback, ..self }
            }
        }
    }
}

/// One call of Pingora for one request: by it the phases speak to whoever drives them.
#[derive(Debug)]
pub struct Call {
    pub endpoints: Endpoints,
    pub signals: Arc<Signals>,
    pub names: Names,
    pub started: Instant,
    /// What the client showed in its TLS handshake.
    pub certificate: Option<Arc<Certificate>>,
    /// Known when the head is.
    trace: OnceLock<Trace>,
    /// Fires when the session on whose strength the request passed has ended.
    ended: OnceLock<end::End>,
    /// Judged anew when another configuration is taken.
    passed: OnceLock<Arc<Passed>>,
    /// Until when the upstream must have begun to answer, where Pingora's own limits do not tell.
    answer_by: OnceLock<Instant>,
    answered: AtomicBool,
    /// The body that the client still owes.
    upload: Mutex<Option<Upload>>,
}

impl Call {
    pub fn new(endpoints: Endpoints, signals: Arc<Signals>, names: Names) -> Self {
        Self {
            endpoints,
            signals,
            names,
            started: Instant::now(),
            certificate: None,
            trace: OnceLock::new(),
            ended: OnceLock::new(),
            passed: OnceLock::new(),
            answer_by: OnceLock::new(),
            answered: AtomicBool::new(false),
            upload: Mutex::default(),
        }
    }

    /// The same over a connection whose client showed this certificate.
    #[must_use]
    pub fn by(self, certificate: Option<Arc<Certificate>>) -> Self {
        Self { certificate, ..self }
    }

    /// The request belongs to this trace.
    pub fn belongs_to(&self, trace: Trace) {
        let _ = self.trace.set(trace);
    }

    pub fn trace(&self) -> Option<&Trace> {
        self.trace.get()
    }

    /// The call lives no longer than the session or token of which this is the end.
    pub fn lives_until(&self, ended: impl Into<end::End>) {
        let _ = self.ended.set(ended.into());
    }

    pub fn ended(&self) -> Option<&end::End> {
        self.ended.get()
    }

    /// The call goes on only as long as the configuration in force lets it: as what it was let through as at first, if that was
    /// known before.
    pub fn stays_open(&self, passed: impl FnOnce() -> Arc<Passed>) -> &Arc<Passed> {
        self.passed.get_or_init(passed)
    }

    pub fn passed(&self) -> Option<&Arc<Passed>> {
        self.passed.get()
    }

    /// The call is late if no answer has begun within `limit`.
    pub fn must_be_answered_within(&self, limit: Duration) {
        let _ = self.answer_by.set(Instant::now() + limit);
    }

    /// An answer has begun.
    pub fn note_answer(&self) {
        self.answered.store(true, Ordering::Release);
    }

    /// Whether an answer has begun.
    pub fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Acquire)
    }

    /// From now on the client owes a body.
    pub fn expects_body(&self, upload: Upload) {
        *self.upload() = Some(upload);
    }

    /// So much more of it has come; `end`: that was all.
    pub fn note_body(&self, bytes: u64, end: bool) {
        let mut upload = self.upload();
        match &mut *upload {
            Some(_) if end => *upload = None,
            Some(upload) => upload.came(bytes, Instant::now()),
            None => {}
        }
    }

    /// Until when more of it must have come.
    pub fn body_by(&self) -> Option<Instant> {
        self.upload().as_ref().map(Upload::due)
    }

    fn upload(&self) -> MutexGuard<'_, Option<Upload>> {
        self.upload.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when an answer must have begun that has not.
    pub fn answer_by(&self) -> Option<Instant> {
        self.answer_by.get().filter(|_| !self.answered.load(Ordering::Acquire)).copied()
    }
}

tokio::task_local! {
    /// The call that the task at work serves; Pingora makes a request's context itself and passes nothing to it.
    pub static CALL: Arc<Call>;
}

/// The names of the request that the task at work serves, and of its trace: for whoever writes a line meanwhile.
pub fn under_way() -> Option<(RequestId, Option<String>)> {
    CALL.try_with(|call| (call.names.request, call.trace().map(Trace::shown))).ok()
}

/// Pingora's context of a request.
pub struct Context {
    pub(super) state: Arc<GatewayState>,
    pub call: Option<Arc<Call>>,
    pub request: Option<Box<Request>>,
    pub stage: Stage,
    /// The body of a kept form, which goes on in the place of the one that came.
    pub kept: Option<Bytes>,
    /// Bytes of the request's body that went on to the upstream.
    pub body_seen: u64,
    pub length: Length,
    /// Among those of its address that wait for a tool to answer.
    pub place: Option<Place>,
    /// Upstreams tried so far.
    pub tries: Tries,
    /// The status of the upstream's answer, once it has begun.
    pub status: Option<StatusCode>,
    /// When the upstream was first turned to, and how long it took until its answer began.
    pub upstream_asked: Option<Instant>,
    pub upstream_took: Option<Duration>,
    #[cfg(feature = "otlp")]
    pub upstream_address: Option<SocketAddr>,
    /// The tool's answer is not handed on, and this is said instead.
    pub instead: Option<Failure>,
    /// Whether the access log has its line.
    pub logged: bool,
    pub tally: Tally,
}

/// A call that was cut short is logged too, and each is counted.
impl Drop for Context {
    fn drop(&mut self) {
        if !self.logged {
            self.state.note_end(self, End::cut_short(self));
        }
        tally::count(self);
    }
}

/// How far a request was decided. Only [`Stage::Permitted`] has what the upstream phases need.
pub enum Stage {
    Undecided,
    Permitted(Passage),
}

/// The way through, for a request that may pass.
#[derive(Debug)]
pub struct Passage {
    pub permit: Permit,
    pub route: RouteId,
    /// A WebSocket handshake: the one upgrade that is passed on.
    pub websocket: bool,
    /// A signed-in person's call of gRPC's: both sides may be silent for as long as they like.
    pub streams: bool,
    /// With whom it may share its connection to the upstream.
    pub sharing: Sharing,
    /// What the tool is shown in the place of the client's `Authorization`; `None`: sekisho does not sign in to it.
    pub shown_to_tool: Option<HeaderValue>,
    /// When the session ends that it passes in, if nothing happens until then that counts as activity.
    pub session_ends: Option<Timestamp>,
    /// The session at the tool that the request goes on in, where sekisho has signed in by the tool's form.
    pub tool_session: Option<ToolSession>,
}

/// A request whose target was settled.
pub struct Request {
    pub id: RequestId,
    pub trace: Trace,
    pub said: Said,
    pub now: Timestamp,
    pub method: Method,
    pub plan: Arc<Plan>,
    pub arrival: Arrival,
    pub cookies: Cookies,
    pub session: Option<Arc<LiveSession>>,
    /// A machine's token; then there is no session.
    pub token: Option<Arc<LiveToken>>,
    /// The machine whose token, or whose connection's certificate, lets it through.
    pub machine: Option<Arc<Machine>>,
    /// Another proxy asks about a request that it has itself: method and target are that one's.
    pub asked: Option<Asked>,
    pub route: Option<RouteId>,
}

impl Context {
    pub fn new(state: Arc<GatewayState>, tally: Tally) -> Self {
        Self {
            state,
            call: CALL.try_with(Arc::clone).ok(),
            request: None,
            stage: Stage::Undecided,
            kept: None,
            body_seen: 0,
            length: Length::default(),
            place: None,
            tries: Tries::default(),
            status: None,
            upstream_asked: None,
            upstream_took: None,
            #[cfg(feature = "otlp")]
            upstream_address: None,
            instead: None,
            logged: false,
            tally,
        }
    }

    /// What the upstream phases need; `None`: nothing permits them.
    pub fn passage(&self) -> Option<(&Request, &Passage)> {
        match (&self.request, &self.stage) {
            (Some(request), Stage::Permitted(passage)) => Some((request, passage)),
            _ => None,
        }
    }

    /// As whom the request was let through.
    pub fn account(&self) -> Option<&Arc<Account>> {
        self.passage().and_then(|(_, passage)| passage.permit.account())
    }
}

impl Request {
    /// Where its route's requests are counted.
    pub fn meter(&self) -> Option<&RouteMeter> {
        self.route.and_then(|id| self.plan.route(id)).map(|route| &route.meter)
    }

    /// The request as the pages see it.
    pub fn visit(&self, ask: Ask, head: &RequestHeader) -> Visit {
        let chosen = self.cookies.own.language;
        let accepted = head.headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Visit {
            request_id: self.id,
            now: self.now,
            config: Arc::clone(&self.plan.config),
            client: self.arrival.client,
            secure: self.arrival.secure,
            may_sign_in: self.arrival.may_sign_in,
            target: self.arrival.target.clone(),
            route: self.route,
            cookies: self.cookies.own.clone(),
            language: i18n::choose(&self.plan.config.portal.languages, chosen, accepted),
            session: self.session.clone().filter(|live| live.is_alive(self.now)),
            ask,
        }
    }
}
