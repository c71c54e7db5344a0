//! One line for each request where the configuration wants it, and one for each that failed. No query, no cookie, no body.
//!
//! The lines of requests go to standard output, each as it is meant, so that the programs which read such lines can; the
//! gateway's own lines go to standard error, through `tracing`.

mod entry;
mod sink;

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Version};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType};

use super::GatewayState;
use super::context::{Context, Endpoints};
use super::gate::Outcome;
use super::trace::Trace;
use crate::config::AccessLog;
use entry::Entry;
pub use sink::Sink;

/// What nginx writes where the client went away before there was an answer; no server sends it.
const NO_ANSWER: u16 = 499;

/// What a request says of its sender, kept for the line at its end.
#[derive(Debug)]
pub struct Said {
    version: Version,
    agent: Option<HeaderValue>,
    referer: Option<HeaderValue>,
}

impl Said {
    pub fn of(head: &RequestHeader) -> Self {
        let first = |headers: &HeaderMap, name| headers.get(name).cloned();
        Self {
            version: head.version,
            agent: first(&head.headers, http::header::USER_AGENT),
            referer: first(&head.headers, http::header::REFERER),
        }
    }

    pub const fn protocol(&self) -> &'static str {
        match self.version {
            Version::HTTP_2 => "HTTP/2.0",
            Version::HTTP_10 => "HTTP/1.0",
            _ => "HTTP/1.1",
        }
    }

    /// The programme that asked, in its own words as far as they are text.
    #[cfg(feature = "otlp")]
    pub fn agent(&self) -> Option<String> {
        self.agent.as_ref().map(|agent| entry::said(agent.as_bytes()))
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// 499 where there was no answer.
    pub status: u16,
    /// Of the answer's body; `None`: nobody counted them.
    pub bytes: Option<u64>,
}

impl End {
    pub fn of(session: &Session) -> Self {
        let status = session.response_written().map_or(NO_ANSWER, |head| head.status.as_u16());
        Self { status, bytes: Some(session.body_bytes_sent() as u64) }
    }

    /// Of a request that was cut with its session, or at a stop; how much of the answer went out nobody knows.
    pub fn cut_short(ctx: &Context) -> Self {
        Self { status: ctx.status.map_or(NO_ANSWER, |status| status.as_u16()), bytes: None }
    }
}

impl GatewayState {
    /// Writes the line of a request that has ended.
    pub(super) fn log_request(&self, ctx: &Context, end: End) {
        let (Some(call), Some(request)) = (&ctx.call, &ctx.request) else {
            return ctx.call.iter().for_each(|call| self.log_refusal(call.endpoints, end));
        };
        let format = request.plan.config.log.access;
        if format == AccessLog::Off {
            return;
        }
        // Over a page of sekisho's nobody passes, but somebody may be there all the same.
        let account = ctx.account().cloned();
        let account = account.or_else(|| request.session.as_ref().map(|live| live.account()));
        let machine = request.machine.as_ref().map(|machine| machine.login());
        let route = request.route.and_then(|id| request.plan.config.routes.get(id));
        let trace = call.trace().map(Trace::shown);
        self.access.write(
            Entry {
                at: request.now,
                request: Some(call.names.request),
                trace: trace.as_deref(),
                client: request.arrival.client,
                login: account.as_ref().map(|account| account.login.as_str()).or(machine.as_deref()),
                route: route.map(|route| route.name.as_str()),
                method: Some(request.method.as_str()),
                host: Some(request.arrival.target.host().as_str()),
                path: Some(request.arrival.target.path()),
                status: end.status,
                bytes: end.bytes,
                duration: call.started.elapsed(),
                upstream: ctx.upstream_took,
                agent: request.said.agent.as_ref().map(HeaderValue::as_bytes),
                referer: request.said.referer.as_ref().map(HeaderValue::as_bytes),
                protocol: Some(request.said.protocol()),
                tls: call.endpoints.tls_version,
            }
            .line(format),
        );
    }

    /// The line of a request that was too broken to be read.
    pub(super) fn log_refusal(&self, endpoints: Endpoints, end: End) {
        let format = self.services.config.load().log.access;
        if format == AccessLog::Off {
            return;
        }
        self.access.write(
            Entry {
                at: self.services.clock.now(),
                request: None,
                trace: None,
                client: endpoints.peer,
                login: None,
                route: None,
                method: None,
                host: None,
                path: None,
                status: end.status,
                bytes: end.bytes,
                duration: Duration::ZERO,
                upstream: None,
                agent: None,
                referer: None,
                protocol: None,
                tls: endpoints.tls_version,
            }
            .line(format),
        );
    }
}

/// The line of a request that could not be served.
pub fn failure(e: &Error, outcome: &Outcome, ctx: &Context) {
    let route = ctx.passage().and_then(|(request, passage)| request.plan.config.routes.get(passage.route));
    let route = route.map_or("-", |route| route.name.as_str());
    let kind = e.etype().as_str();
    if matches!(outcome, Outcome::ClientGone | Outcome::Plain(_)) {
        tracing::debug!(route, kind, "the client broke off, or asked for too much");
    } else if may_be_shown(e.etype()) {
        tracing::warn!(route, kind, error = %e, "a request could not be served");
    } else {
        tracing::warn!(route, kind, "a request could not be served");
    }
}

/// An error as it may stand in a log line.
pub fn shown(e: &Error) -> String {
    if may_be_shown(e.etype()) { e.to_string() } else { e.etype().as_str().to_owned() }
}

/// Errors about malformed heads quote them, cookies and all.
const fn may_be_shown(kind: &ErrorType) -> bool {
    use ErrorType::{
        ConnectError, ConnectNoRoute, ConnectRefused, ConnectTimedout, ConnectionClosed, InternalError, InvalidCert,
        ReadTimedout, SocketError, TLSHandshakeFailure, TLSHandshakeTimedout, WriteTimedout,
    };
    matches!(
        kind,
        ConnectError
            | ConnectNoRoute
            | ConnectRefused
            | ConnectTimedout
            | ConnectionClosed
            | InternalError
            | InvalidCert
            | ReadTimedout
            | SocketError
            | TLSHandshakeFailure
            | TLSHandshakeTimedout
            | WriteTimedout
    )
}
