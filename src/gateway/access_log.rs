//! One line for each request where the configuration wants it, and one for each that failed. No query, no cookie, no body.

use http::Version;
use pingora::proxy::Session;
use pingora::{Error, ErrorType};

use super::context::Context;
use super::gate::Outcome;
use crate::config::AccessLog;

/// The line of a request that has ended.
pub fn request(session: &Session, ctx: &Context) {
    if is_on(ctx) {
        write(
            ctx,
            &End {
                status: session.response_written().map_or(0, |head| head.status.as_u16()),
                bytes: session.body_bytes_sent(),
                version: if session.req_header().version == Version::HTTP_2 { "2.0" } else { "1.1" },
                agent: printable(session.get_header_bytes("user-agent")),
            },
        );
    }
}

/// The line of a request that was cut with its session, or at a stop; how much of the answer went out nobody knows.
pub fn cut_short(ctx: &Context) {
    if is_on(ctx) {
        let status = ctx.status.map_or(0, |status| status.as_u16());
        write(ctx, &End { status, bytes: 0, version: "1.1", agent: String::new() });
    }
}

/// How a request ended.
struct End {
    status: u16,
    bytes: usize,
    version: &'static str,
    agent: String,
}

fn is_on(ctx: &Context) -> bool {
    ctx.request.as_ref().is_some_and(|request| request.plan.config.log.access != AccessLog::Off)
}

fn write(ctx: &Context, end: &End) {
    let (Some(request), Some(call)) = (&ctx.request, &ctx.call) else { return };
    let login = ctx.account().map_or("-", |account| account.login.as_str());
    let path = request.arrival.target.path();
    let End { status, bytes, version, agent } = end;
    match request.plan.config.log.access {
        AccessLog::Off => {}
        AccessLog::Json => {
            let route = request.route.and_then(|id| request.plan.config.routes.get(id));
            tracing::info!(
                target: "sekisho::access",
                request = %request.id,
                client = %request.arrival.client,
                login,
                route = route.map_or("-", |route| route.name.as_str()),
                method = request.method.as_str(),
                host = request.arrival.target.host().as_str(),
                path,
                status,
                bytes,
                ms = u64::try_from(call.started.elapsed().as_millis()).unwrap_or(u64::MAX),
                "request"
            );
        }
        AccessLog::Combined => {
            tracing::info!(
                target: "sekisho::access",
                "{} - {login} [{}] \"{} {path} HTTP/{version}\" {status} {bytes} \"-\" \"{agent}\"",
                request.arrival.client,
                request.now,
                request.method,
            );
        }
    }
}

/// The line of a request that could not be served.
pub fn failure(e: &Error, outcome: &Outcome, ctx: &Context) {
    let id = ctx.request.as_ref().map(|request| request.id.to_string()).unwrap_or_default();
    let route = ctx.passage().and_then(|(request, passage)| request.plan.config.routes.get(passage.route));
    let route = route.map_or("-", |route| route.name.as_str());
    let kind = e.etype().as_str();
    if matches!(outcome, Outcome::ClientGone | Outcome::Plain(_)) {
        tracing::debug!(request = %id, route, kind, "the client broke off");
    } else if may_be_shown(e.etype()) {
        tracing::warn!(request = %id, route, kind, error = %e, "a request could not be served");
    } else {
        tracing::warn!(request = %id, route, kind, "a request could not be served");
    }
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

fn printable(bytes: &[u8]) -> String {
    let shown = String::from_utf8_lossy(bytes);
    shown.chars().filter(|c| !c.is_control() && *c != '"' && *c != '\\').take(256).collect()
}
