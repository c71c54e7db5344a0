//! A request's head takes the real steps here, without sockets, sessions and pages: settle, route, decide, strip and set. For those who look
//! at these steps from outside of the crate, the fuzz targets (`fuzz/`) and `benches/pieces.rs`; the gateway itself never calls it.
//!
//! No way in: what comes out is a head in memory, and whoever can call it has the account that it is for.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, Version};
use pingora::http::RequestHeader;

use super::access_log::Said;
use super::context::{Endpoints, Passage, Request};
use super::headers::for_upstream;
use super::plan::Plan;
use super::target::settle;
use super::trace::{Naming, Trace};
use super::upstream::Sharing;
use super::upstream::member::Members;
use crate::authz::{Account, Decision, Facts, Identity, NormalTarget, decide};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::id::SessionId;
use crate::metrics::Metrics;

pub use super::credential::{Cookies, Presented};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A configuration in force.
pub struct Road(pub(super) Arc<Plan>);

/// What an upstream gets.
#[derive(Debug)]
pub struct Forwarded {
    /// What was judged.
    pub judged: NormalTarget,
    /// The target of the request line that is sent.
    pub target: Vec<u8>,
    pub headers: HeaderMap,
}

/// A request that may pass.
pub struct Passed {
    head: RequestHeader,
    request: Request,
    passage: Passage,
}

impl Road {
    /// Prepares a configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let metrics = Metrics::new();
        Self(Arc::new(Plan::new(Arc::new(config), &metrics.requests, &Members::new(metrics.upstreams.clone()))))
    }

    /// Sends a head that came from `peer` on its way, as `account` or as nobody; `None`: it goes to no upstream.
    #[must_use]
    pub fn take(
        &self,
        peer: IpAddr,
        target: &[u8],
        headers: &HeaderMap,
        account: Option<Account>,
    ) -> Option<Forwarded> {
        let passed = self.pass(peer, target, headers, account)?;
        let mut head = passed.head();
        passed.set_headers(&mut head)?;
        Some(Forwarded {
            target: head.raw_path().to_vec(),
            headers: head.headers.clone(),
            judged: passed.request.arrival.target,
        })
    }

    /// The same as far as the decision.
    #[must_use]
    pub fn pass(&self, peer: IpAddr, target: &[u8], headers: &HeaderMap, account: Option<Account>) -> Option<Passed> {
        let mut head = RequestHeader::build("GET", target, None).ok()?;
        head.set_version(Version::HTTP_11);
        for (name, value) in headers {
            head.append_header(name.clone(), value.clone()).ok()?;
        }
        self.pass_head(peer, head, account)
    }

    /// The same for a head that is made already.
    pub(super) fn pass_head(&self, peer: IpAddr, head: RequestHeader, account: Option<Account>) -> Option<Passed> {
        let Self(plan) = self;
        let endpoints = Endpoints::new(SocketAddr::new(peer, 4711), SocketAddr::from(([127, 0, 0, 1], 80)));
        let arrival = settle(&head, endpoints, &plan.config).ok()?;
        let id = plan.config.routes.find(&arrival.target, &Method::GET).ok()??;
        let route = plan.config.routes.get(id)?;
        let identity = account.map(|account| Identity {
            account: Arc::new(account),
            session: SessionId::from_bytes([2; 10]),
            begun_at: NOW,
            expires_at: NOW.plus(Duration::from_secs(60)),
            last_seen: NOW,
            second_factor_at: Some(NOW),
        });
        let facts = Facts { client: arrival.client, websocket_origin: None };
        let Decision::Forward(permit) = decide(route, &facts, identity.as_ref(), NOW) else { return None };
        let names = Naming::new([7; 32]).next();
        let request = Request {
            id: names.request,
            trace: Trace::of(&head.headers, &names, arrival.trusted),
            said: Said::of(&head),
            now: NOW,
            method: Method::GET,
            plan: Arc::clone(plan),
            cookies: Cookies::read(&head.headers, arrival.secure),
            arrival,
            session: None,
            token: None,
            machine: None,
            asked: None,
            route: Some(id),
        };
        let passage = Passage {
            permit,
            route: id,
            websocket: false,
            streams: false,
            sharing: Sharing::Everybody,
            shown_to_tool: None,
            session_ends: None,
            tool_session: None,
        };
        Some(Passed { head, request, passage })
    }
}

impl Passed {
    /// The head as the client sent it.
    #[must_use]
    pub fn head(&self) -> RequestHeader {
        self.head.clone()
    }

    /// Makes it into the one that the upstream gets.
    #[must_use]
    pub fn set_headers(&self, head: &mut RequestHeader) -> Option<()> {
        for_upstream(head, &self.request, &self.passage, Some(0)).ok()
    }
}
