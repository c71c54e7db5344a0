//! How a request is counted: once, when its context goes, whatever has ended it. Counters are at hand from the start, so that
//! nothing is looked up, allocated or locked for a request.

use std::sync::Arc;

use http::StatusCode;
use tokio::time::Instant;

use super::context::{Context, Request};
use super::gate::{Outcome as Failed, Verdict};
use crate::authz::Challenge;
use crate::metrics::{Held, Metrics, Outcome, RouteMeter, Tunnel};
use crate::service::visit::{Ask, BadToken, Failure};

/// What is known so far of how a request ends.
pub struct Tally {
    metrics: Arc<Metrics>,
    _under_way: Held,
    /// The last word counts.
    outcome: Option<Outcome>,
    /// A page of sekisho's own was asked for, which belongs to no route.
    own_page: bool,
    /// When the upstream was chosen, until its answer begins.
    asked: Option<Instant>,
    tunnel: Option<Tunnel>,
}

impl Tally {
    pub fn begin(metrics: &Arc<Metrics>) -> Self {
        Self {
            metrics: Arc::clone(metrics),
            _under_way: metrics.requests.begin(),
            outcome: None,
            own_page: false,
            asked: None,
            tunnel: None,
        }
    }

    /// The request was judged.
    pub fn judged(&mut self, verdict: &Verdict) {
        self.own_page = matches!(verdict, Verdict::Page(Ask::Page | Ask::SendKept(_)));
        self.outcome = match verdict {
            Verdict::Forward => None,
            Verdict::Page(Ask::Page | Ask::SendKept(_)) => Some(Outcome::Page),
            // Another proxy was told yes: what the tool answers nobody here will know.
            Verdict::Told(_) => Some(Outcome::Page),
            Verdict::Page(Ask::Auth { challenge, .. } | Ask::Challenge(challenge) | Ask::Kept(challenge, _)) => {
                Some(challenged(*challenge))
            }
            Verdict::Keep(keepable) => Some(challenged(keepable.challenge())),
            Verdict::Page(Ask::Denied(_)) => Some(Outcome::Denied),
            Verdict::Page(Ask::Failure(failure)) => Some(of(*failure)),
            Verdict::Page(Ask::Token(bad)) => Some(match bad {
                BadToken::Unknown => Outcome::Challenge,
                BadToken::BesideSession => Outcome::BadRequest,
                BadToken::TooMany { .. } | BadToken::OwnPage | BadToken::OtherRoute => Outcome::Denied,
            }),
            Verdict::Plain(status) => Some(Outcome::refused(status.as_u16())),
            Verdict::ToTls(_) => Some(Outcome::Redirect),
        };
    }

    /// An answer of sekisho's own has gone out.
    pub fn shown(&mut self, status: StatusCode) {
        if self.outcome == Some(Outcome::Page) {
            self.outcome = Some(Outcome::of_page(status.as_u16()));
        }
    }

    /// An upstream is asked.
    pub fn asks(&mut self, now: Instant) {
        self.asked.get_or_insert(now);
    }

    /// Its answer has begun.
    pub fn answered(&mut self, status: StatusCode, meter: Option<&RouteMeter>, now: Instant) {
        self.outcome = Some(Outcome::forwarded(status.as_u16()));
        if let (Some(asked), Some(meter)) = (self.asked.take(), meter) {
            meter.answered(now - asked);
        }
    }

    /// The connection is a WebSocket from now on.
    pub fn becomes_a_tunnel(&mut self) {
        self.tunnel = Some(self.metrics.connections.tunnel());
    }

    /// It could not be served, or not to its end.
    pub fn failed(&mut self, failed: &Failed) {
        self.outcome = Some(match failed {
            Failed::Page(failure) => of(*failure),
            Failed::Plain(status) => Outcome::refused(status.as_u16()),
            Failed::ClientGone => Outcome::ClientGone,
        });
    }

    /// It was not served to its end because the client did not wait for that.
    pub fn client_has_gone(&self) -> bool {
        self.outcome == Some(Outcome::ClientGone)
    }

    fn meter<'a>(&'a self, request: Option<&'a Request>) -> &'a RouteMeter {
        match request.and_then(Request::meter) {
            Some(meter) => meter,
            None if self.own_page => self.metrics.requests.portal(),
            None => self.metrics.requests.nowhere(),
        }
    }
}

/// Counts a request that is over.
pub fn count(ctx: &Context) {
    let Some(call) = &ctx.call else { return };
    let outcome = match ctx.tally.outcome {
        // A tunnel that was closed with its session ends in order.
        _ if call.signals.farewell().is_some() => Outcome::Cut,
        Some(outcome) if ctx.logged => outcome,
        None if ctx.logged => Outcome::Internal,
        // Cut from outside: by the end of its session, by a stop, or because a handshake had no answer in time.
        _ if call.answer_by().is_some_and(|limit| Instant::now() >= limit) => Outcome::UpstreamTimeout,
        _ => Outcome::Cut,
    };
    ctx.tally.meter(ctx.request.as_deref()).ended(outcome, call.started.elapsed());
}

const fn challenged(challenge: Challenge) -> Outcome {
    match challenge {
        Challenge::Login => Outcome::Challenge,
        Challenge::SecondFactor | Challenge::Enrolment => Outcome::StepUp,
    }
}

const fn of(failure: Failure) -> Outcome {
    match failure {
        Failure::BadRequest => Outcome::BadRequest,
        Failure::NoRoute | Failure::FormGone => Outcome::NotFound,
        Failure::TooLarge => Outcome::TooLarge,
        Failure::Internal => Outcome::Internal,
        Failure::UpstreamUnreachable => Outcome::UpstreamUnreachable,
        Failure::Unavailable => Outcome::Unavailable,
        Failure::UpstreamTimeout => Outcome::UpstreamTimeout,
        Failure::ToolRefused | Failure::ToolLoginMissing | Failure::ToolSignedOut => Outcome::ToolLogin,
        Failure::PlainHttp => Outcome::PlainHttp,
    }
}
