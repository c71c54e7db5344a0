//! Pingora: sockets, the request's phases, headers, upstreams. What may pass is decided by `authz`; what is shown by `portal`.
//!
//! ```text
//! listener   accept, TLS, head judged byte by byte ─▶ app       one call for each request, cut when its session ends
//! gate       Pingora's phases                      ─▶ judge     target, route, credential, decision: a permit, or a page
//! headers    strip, then set                          upstream  an address, with a limit on every wait
//! sign_in    what the tool is shown for somebody
//! bridge     sekisho's own pages                      access_log   trace   spans
//! ```

mod access_log;
mod allocations;
mod app;
mod bridge;
mod certificate;
mod context;
mod credential;
mod forward_auth;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gate;
mod headers;
mod hold;
mod judge;
pub mod listener;
mod long_answer;
mod open_calls;
mod plan;
mod queues;
#[doc(hidden)]
pub mod road;
mod shares;
mod sign_in;
#[cfg(feature = "otlp")]
pub mod spans;
mod tally;
mod target;
mod trace;
mod turns;
mod upload;
mod upstream;

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora::apps::HttpServerOptions;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::configuration::ServerConf;

pub use bridge::Portal;
pub use context::under_way;

use crate::metrics::Metrics;
use crate::service::Services;
use context::Call;
use gate::Gate;
use long_answer::LongAnswers;
use open_calls::{OpenCalls, Passed};
use plan::Plan;
use queues::Queues;
use sign_in::form::FormLogins;
use tokio_util::sync::CancellationToken;
use trace::Naming;
use turns::Turns;
use upstream::Resolver;
use upstream::member::Members;

/// How long an HTTP/2 connection may be without a stream.
const HTTP2_IDLE: Duration = Duration::from_secs(75);
/// How much of one stream's answer is held while the client takes nothing of it.
const UNSENT: usize = 64 * 1024;
/// After so many streams that break the protocol, or are more than were granted, an HTTP/2 connection ends (CVE-2025-8671).
const STREAM_FAULTS: usize = 200;
/// Tries for one request: over its upstreams and their addresses, and once more where a pooled connection was stale. Time is the
/// narrower limit (see `upstream::Tries`).
const MAX_TRIES: usize = 8;
/// An empty list of certification authorities: Pingora panics where it finds none on the machine, or one that it cannot read.
/// Routes bring theirs along.
const NO_AUTHORITIES: &str = "/dev/null";

/// The gateway without its sockets.
pub struct Gateway {
    proxy: Arc<HttpProxy<Gate>>,
    http2: HttpServerOptions,
    streams: H2Options,
    turns: Turns,
    state: Arc<GatewayState>,
}

/// What the phases share.
pub struct GatewayState {
    pub(crate) services: Services,
    pub(crate) portal: Portal,
    resolver: Resolver,
    plan: ArcSwap<Plan>,
    /// What is known of the upstreams; held while a plan is made.
    planning: Mutex<Members>,
    naming: Naming,
    access: access_log::Sink,
    #[cfg(feature = "otlp")]
    spans: std::sync::OnceLock<spans::Spans>,
    open_calls: OpenCalls,
    long_answers: LongAnswers,
    queues: Arc<Queues>,
    form_logins: Arc<FormLogins>,
    /// The port of the first TLS listener, for redirects; 0 where there is none.
    tls_port: AtomicU16,
}

impl Gateway {
    /// A gateway for these services; the names of its requests come from `seed`, which is random.
    #[must_use]
    pub fn new(services: Services, portal: Portal, seed: [u8; 32]) -> Self {
        let config = services.config.load_full();
        let turns = Turns::new(config.server.workers);
        let portal = bridge::by_turns(portal, turns.clone());
        let conf = ServerConf {
            threads: config.server.workers,
            max_retries: MAX_TRIES,
            ca_file: Some(NO_AUTHORITIES.to_owned()),
            ..ServerConf::default()
        };
        let members = Members::new(services.metrics.upstreams.clone());
        let plan = Plan::new(config, &services.metrics.requests, &members);
        let state = GatewayState {
            services,
            portal,
            resolver: Resolver::default(),
            plan: ArcSwap::from_pointee(plan),
            planning: Mutex::new(members),
            naming: Naming::new(seed),
            access: access_log::Sink::default(),
            #[cfg(feature = "otlp")]
            spans: std::sync::OnceLock::new(),
            open_calls: OpenCalls::default(),
            long_answers: LongAnswers::default(),
            queues: Arc::default(),
            form_logins: Arc::new(FormLogins::new()),
            tls_port: AtomicU16::new(0),
        };
        let state = Arc::new(state);
        let watching = Arc::downgrade(&state);
        state.services.sessions.when_facts_change(move |user| {
            if let Some(state) = watching.upgrade() {
                state.open_calls.judge_account(user, &state.plan(), state.services.clock.now());
            }
        });
        let proxy = http_proxy(&Arc::new(conf), Gate { state: Arc::clone(&state) });
        let mut http2 = HttpServerOptions::default();
        http2.h2_idle_timeout = Some(HTTP2_IDLE);
        // Pingora's defaults have a hundred streams at once, and 64 KiB for a head.
        let mut streams = default_h2_options();
        streams.max_send_buffer_size(UNSENT).max_local_error_reset_streams(Some(STREAM_FAULTS));
        Self { proxy: Arc::new(proxy), http2, streams, turns, state }
    }

    /// Plain HTTP is redirected to this port from now on; `None`: there is no TLS.
    pub fn redirect_to(&self, tls_port: Option<u16>) {
        self.state.tls_port.store(tls_port.unwrap_or_default(), Ordering::Release);
    }

    /// What is counted.
    fn metrics(&self) -> &Metrics {
        &self.state.services.metrics
    }

    /// Asks upstreams whether they are well, and lets those in again that were left out for a while, until `stop` fires.
    pub async fn watch_upstreams(&self, stop: CancellationToken) {
        upstream::health::watch(Arc::clone(&self.state), stop).await;
    }

    /// Sends spans from now on.
    #[cfg(feature = "otlp")]
    pub fn send_spans(&self, spans: spans::Spans) {
        let _ = self.state.spans.set(spans);
    }

    /// Waits a little until what was taken down about requests is written and sent. Blocks.
    pub fn finish_records(&self) {
        self.state.access.flush();
        #[cfg(feature = "otlp")]
        self.state.spans.get().into_iter().for_each(spans::Spans::finish);
    }

    /// The line of those who are not signed in yet.
    const fn turns(&self) -> &Turns {
        &self.turns
    }

    fn state(&self) -> &GatewayState {
        &self.state
    }

    /// Another configuration is in force: what is open and would not pass any more is closed.
    pub fn judge_what_is_open(&self) {
        let state = &self.state;
        let plan = state.plan();
        state.open_calls.judge(&plan, true, state.services.clock.now());
        let (state, grace) = (Arc::downgrade(state), plan.config.server.shutdown_grace);
        tokio::spawn(async move {
            tokio::time::sleep(grace).await;
            // It must not keep the store open that a stop closes.
            if let Some(state) = state.upgrade() {
                state.open_calls.judge(&state.plan(), false, state.services.clock.now());
            }
        });
    }

    fn proxy(&self) -> &Arc<HttpProxy<Gate>> {
        &self.proxy
    }

    /// Whether whoever connects from here brings other people's requests.
    fn is_trusted_proxy(&self, peer: std::net::IpAddr) -> bool {
        self.state.services.config.load().trusts(peer)
    }

    /// Whether a connection from `peer` must begin with a header of the PROXY protocol.
    fn expects_proxy_header(&self, peer: std::net::IpAddr) -> bool {
        let config = self.state.services.config.load();
        config.server.proxy_protocol && config.trusts(peer)
    }
}

impl GatewayState {
    fn tls_port(&self) -> Option<u16> {
        Some(self.tls_port.load(Ordering::Acquire)).filter(|port| *port != 0)
    }

    /// Takes down a request that has ended, wherever that is wanted.
    fn note_end(&self, ctx: &context::Context, end: access_log::End) {
        self.log_request(ctx, end);
        #[cfg(feature = "otlp")]
        self.spans.get().into_iter().for_each(|spans| spans.record(ctx, end));
    }

    /// The trace that a request belongs to.
    fn trace(&self, headers: &http::HeaderMap, names: &trace::Names, trusted: bool) -> trace::Trace {
        #[cfg_attr(not(feature = "otlp"), expect(unused_mut, reason = "nobody decides anything about it"))]
        let mut trace = trace::Trace::of(headers, names, trusted);
        #[cfg(feature = "otlp")]
        self.spans.get().into_iter().for_each(|spans| spans.decide(&mut trace));
        trace
    }

    /// From now on the call is judged anew whenever another configuration is taken, or its account changes.
    /// False: it may not go on already.
    fn stays_open(&self, call: &Call, passed: Passed) -> bool {
        let endless = passed.is_endless();
        let passed = call.stays_open(|| self.open_calls.add(passed.by(call.certificate.as_ref())));
        if endless {
            passed.becomes_endless();
        }
        // Either may have come about between this request's judgement and now.
        let may_begin = passed.may_begin(&self.plan(), self.services.clock.now());
        if !may_begin {
            passed.cut().cancel();
        }
        may_begin
    }

    /// The plan of the configuration in force.
    fn plan(&self) -> Arc<Plan> {
        let config = self.services.config.load();
        let plan = self.plan.load();
        if Arc::ptr_eq(&plan.config, &config) {
            return Arc::clone(&plan);
        }
        // One at a time, each from the configuration that is then in force: never back to an older one.
        let members = self.planning.lock().unwrap_or_else(PoisonError::into_inner);
        let (config, plan) = (self.services.config.load_full(), self.plan.load());
        if Arc::ptr_eq(&plan.config, &config) {
            return Arc::clone(&plan);
        }
        let plan = Arc::new(Plan::new(config, &self.services.metrics.requests, &members));
        self.plan.store(Arc::clone(&plan));
        plan
    }
}
