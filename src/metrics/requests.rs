//! Requests: how each ended, and how long it took, by route. What a request needs is worked out with the plan of the
//! configuration, so that counting costs a few additions and no look-up.

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry};
use std::time::Duration;

use super::{Held, counter, counters, gauge, registered};

/// In seconds: from what a cached page takes on one machine to what a long report does.
const BOUNDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// What stands for the route of sekisho's own pages, and of what came to no route. No route's name has parentheses.
const PORTAL: &str = "(portal)";
const NOWHERE: &str = "(none)";

macro_rules! outcomes {
    ($($(#[$doc:meta])* $outcome:ident = $name:literal),+ $(,)?) => {
        /// How a request ended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Outcome {
            $($(#[$doc])* $outcome),+
        }

        impl Outcome {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$outcome),+];

            /// The label.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$outcome => $name),+
                }
            }
        }
    };
}

outcomes! {
    /// It passed, and this is the class of the tool's own answer; 1xx: a WebSocket.
    Forwarded1xx = "forwarded_1xx",
    Forwarded2xx = "forwarded_2xx",
    Forwarded3xx = "forwarded_3xx",
    Forwarded4xx = "forwarded_4xx",
    Forwarded5xx = "forwarded_5xx",
    /// Nobody is signed in: 303 to the login, or 401.
    Challenge = "challenge",
    /// Somebody is, and a second factor is due.
    StepUp = "step_up",
    Denied = "denied",
    /// A page of sekisho's own.
    Page = "page",
    /// To the same address over TLS.
    Redirect = "redirect",
    PlainHttp = "plain_http",
    BadRequest = "bad_request",
    NotFound = "not_found",
    TooLarge = "too_large",
    UpstreamUnreachable = "upstream_unreachable",
    UpstreamTimeout = "upstream_timeout",
    /// sekisho signs in to the tool, and could not.
    ToolLogin = "tool_login",
    ClientGone = "client_gone",
    ClientTimeout = "client_timeout",
    /// Cut with its session, or at the end of a stop's grace.
    Cut = "cut",
    /// The store could not tell who it is, or something was too busy.
    Unavailable = "unavailable",
    Internal = "internal",
}

impl Outcome {
    /// The tool's answer had this status.
    #[must_use]
    pub const fn forwarded(status: u16) -> Self {
        match status {
            0..200 => Self::Forwarded1xx,
            200..300 => Self::Forwarded2xx,
            300..400 => Self::Forwarded3xx,
            400..500 => Self::Forwarded4xx,
            _ => Self::Forwarded5xx,
        }
    }

    /// An answer of sekisho's own had this status.
    #[must_use]
    pub const fn of_page(status: u16) -> Self {
        match status {
            0..500 => Self::Page,
            503 => Self::Unavailable,
            _ => Self::Internal,
        }
    }

    /// A request was refused for what it is, with this status.
    #[must_use]
    pub const fn refused(status: u16) -> Self {
        match status {
            408 => Self::ClientTimeout,
            413 => Self::TooLarge,
            503 => Self::Unavailable,
            // Over another version of HTTP than the route is for.
            505 => Self::BadRequest,
            500.. => Self::Internal,
            _ => Self::BadRequest,
        }
    }
}

/// All requests.
pub struct Requests {
    total: IntCounterVec,
    duration: HistogramVec,
    first_byte: HistogramVec,
    in_flight: IntGauge,
    portal: RouteMeter,
    nowhere: RouteMeter,
    /// An address had its share of long answers.
    pub long_answers_refused: IntCounter,
}

/// What is counted of one route's requests.
#[derive(Debug, Clone)]
pub struct RouteMeter {
    /// In the order of [`Outcome::ALL`].
    outcomes: Vec<IntCounter>,
    duration: Histogram,
    first_byte: Histogram,
}

impl Requests {
    pub(super) fn new(registry: &Registry) -> Self {
        let total = counters(
            "sekisho_requests_total",
            "Requests by the route that they came to and how they ended.",
            &["route", "outcome"],
        );
        let duration = by_route(
            "sekisho_request_duration_seconds",
            "From the end of a request's head to the end of its answer, WebSockets and what was cut left out.",
        );
        let first_byte = by_route(
            "sekisho_upstream_first_byte_seconds",
            "From the choice of an upstream to the head of its answer, with connecting and the request's body.",
        );
        let in_flight =
            gauge("sekisho_requests_in_flight", "Requests that have begun and not ended, WebSockets included.");
        let (total, duration) = (registered(registry, total), registered(registry, duration));
        let first_byte = registered(registry, first_byte);
        let refused = counter(
            "sekisho_long_answers_refused_total",
            "Answers that were refused or cut, as the address had its share of long ones.",
        );
        let meter = |name: &str| RouteMeter::new(name, &total, &duration, &first_byte);
        let (portal, nowhere) = (meter(PORTAL), meter(NOWHERE));
        let (in_flight, long_answers_refused) = (registered(registry, in_flight), registered(registry, refused));
        Self { total, duration, first_byte, in_flight, portal, nowhere, long_answers_refused }
    }

    /// What counts for the route of this name; kept with the route, as this looks it up.
    #[must_use]
    pub fn route(&self, name: &str) -> RouteMeter {
        RouteMeter::new(name, &self.total, &self.duration, &self.first_byte)
    }

    /// What counts for sekisho's own pages.
    #[must_use]
    pub const fn portal(&self) -> &RouteMeter {
        &self.portal
    }

    /// What counts for requests that came to no route.
    #[must_use]
    pub const fn nowhere(&self) -> &RouteMeter {
        &self.nowhere
    }

    /// A request has begun.
    #[must_use]
    pub fn begin(&self) -> Held {
        Held::new(&self.in_flight)
    }
}

impl RouteMeter {
    fn new(route: &str, total: &IntCounterVec, duration: &HistogramVec, first_byte: &HistogramVec) -> Self {
        let outcome = |outcome: &Outcome| total.with_label_values(&[route, outcome.name()]);
        Self {
            outcomes: Outcome::ALL.iter().map(outcome).collect(),
            duration: duration.with_label_values(&[route]),
            first_byte: first_byte.with_label_values(&[route]),
        }
    }

    /// A request has ended like this before it was one whose time can be told.
    pub fn refused(&self, outcome: Outcome) {
        if let Some(counter) = self.outcomes.get(outcome as usize) {
            counter.inc();
        }
    }

    /// A request has ended like this.
    pub fn ended(&self, outcome: Outcome, after: Duration) {
        self.refused(outcome);
        // How long somebody was signed in, or a console open, is no measure of the gateway.
        if !matches!(outcome, Outcome::Forwarded1xx | Outcome::Cut) {
            self.duration.observe(after.as_secs_f64());
        }
    }

    /// The upstream's answer has begun.
    pub fn answered(&self, after: Duration) {
        self.first_byte.observe(after.as_secs_f64());
    }
}

#[expect(clippy::expect_used, reason = "names, helps and bounds are constants, each made by a test")]
fn by_route(name: &str, help: &str) -> HistogramVec {
    let opts = HistogramOpts::new(name, help).buckets(BOUNDS.to_vec());
    HistogramVec::new(opts, &["route"]).expect("a valid name")
}
