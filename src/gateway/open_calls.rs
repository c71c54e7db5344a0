//! What stays open for long on the strength of one decision: WebSockets, streams of events, long answers, uploads. A configuration
//! that is taken meanwhile is for them, too: what it would not let through any more is closed. So is what an account may not do any
//! more, the moment that its groups change, or whatever else routes go by.
//!
//! Tunnels and streams of events have no end of their own: they are judged at once. An answer that merely is long, or on its
//! way just then, is judged when the time has passed that a stop would give it.
//!
//! What time alone would have brought about under the configuration that let it through, a re-check that has fallen due say, closes
//! nothing: taking the same configuration again changes nothing for anybody.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use http::Method;
use tokio_util::sync::CancellationToken;

use super::certificate::Certificate;
use super::context::Request;
use super::judge::is_portal_path;
use super::plan::Plan;
use crate::authz::decision::WebSocketOrigin;
use crate::authz::{
    Decision, Facts, Identity, Machine, MachineId, NormalTarget, Permit, Route, RouteId, Whose, decide, decide_machine,
};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::id::UserId;
use crate::service::session::LiveSession;

/// From how many on the list is cleared of what has ended.
const CLEAR_FROM: usize = 64;

/// A call that was let through, as far as one must know it to judge it anew.
pub struct Passed {
    plan: Arc<Plan>,
    route: RouteId,
    target: NormalTarget,
    method: Method,
    client: IpAddr,
    /// Of a WebSocket: the origin it came from, and its own.
    handshake: Option<(Option<String>, String)>,
    session: Option<Arc<LiveSession>>,
    machine: Option<Arc<Machine>>,
    /// The connection's, where it is by this that the machine is known.
    certificate: Option<Arc<Certificate>>,
    /// As whom it was let through.
    named: Option<Whose>,
    at: Timestamp,
    /// Known when its answer begins, at the latest.
    endless: AtomicBool,
    cut: CancellationToken,
}

impl std::fmt::Debug for Passed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passed").field("route", &self.route).field("named", &self.named).finish_non_exhaustive()
    }
}

impl Passed {
    pub fn new(request: &Request, route: RouteId, permit: &Permit, endless: bool) -> Self {
        Self {
            plan: Arc::clone(&request.plan),
            route,
            target: request.arrival.target.clone(),
            method: request.method.clone(),
            client: request.arrival.client,
            handshake: None,
            session: request.session.clone(),
            machine: request.machine.clone(),
            certificate: None,
            named: permit.whose(),
            at: request.now,
            endless: AtomicBool::new(endless),
            cut: CancellationToken::new(),
        }
    }

    /// A WebSocket from this origin.
    pub fn with_handshake(self, origin: Option<&str>, own: String) -> Self {
        Self { handshake: Some((origin.map(str::to_owned), own)), ..self }
    }

    /// Over a connection whose client showed this certificate.
    pub fn by(self, certificate: Option<&Arc<Certificate>>) -> Self {
        let by_certificate =
            self.machine.as_ref().is_some_and(|machine| matches!(machine.id, MachineId::Certificate(_)));
        Self { certificate: certificate.filter(|_| by_certificate).cloned(), ..self }
    }

    /// Whether it has no end of its own.
    pub fn is_endless(&self) -> bool {
        self.endless.load(Ordering::SeqCst)
    }

    /// Its answer turned out to have none.
    pub fn becomes_endless(&self) {
        self.endless.store(true, Ordering::SeqCst);
    }

    /// Fires when it may not go on.
    pub const fn cut(&self) -> &CancellationToken {
        &self.cut
    }

    /// Whether it is still let through, now that it is on the list: what merely is on its way has the grace of another
    /// configuration before it.
    pub fn may_begin(&self, plan: &Plan, now: Timestamp) -> bool {
        self.may_go_on(if self.is_endless() { plan } else { &self.plan }, now)
    }

    /// Whether it would be let through by this plan, and with what is known of its account by now.
    fn may_go_on(&self, plan: &Plan, now: Timestamp) -> bool {
        let config = &plan.config;
        let found = config.routes.find(&self.target, &self.method).ok().flatten();
        let route = found.and_then(|id| config.routes.get(id));
        let before = self.plan.config.routes.get(self.route);
        let (Some(route), Some(before)) = (route, before) else { return false };
        if route.name != before.name || is_portal_path(&self.target, config) {
            return false;
        }
        // Had it come just as it did; and as things are now, unless the old configuration would say no by now as well.
        let old = &self.plan.config;
        self.passes(config, route, self.at) && (self.passes(config, route, now) || !self.passes(old, before, now))
    }

    fn passes(&self, config: &Config, route: &Route, now: Timestamp) -> bool {
        let mut identity = self.session.as_ref().and_then(|live| live.identity_of_what_is_open(route));
        if now == self.at {
            identity = identity.map(|identity| Identity { last_seen: now, ..identity });
        }
        let handshake = self.handshake.as_ref();
        let websocket_origin = handshake.map(|(origin, own)| WebSocketOrigin { origin: origin.as_deref(), own });
        let facts = Facts { client: self.client, websocket_origin };
        // What the certificate is worth is asked of the configuration that the route is of.
        let machine = match &self.certificate {
            Some(certificate) => certificate.machine(route, config, now),
            None => self.machine.clone(),
        };
        let decision = match &machine {
            Some(machine) => decide_machine(route, &facts, machine, now),
            None => decide(route, &facts, identity.as_ref(), now),
        };
        match decision {
            Decision::Forward(permit) => permit.whose() == self.named,
            Decision::Challenge(_) | Decision::Deny(_) => false,
        }
    }
}

/// All that is open.
#[derive(Default)]
pub struct OpenCalls(Mutex<List>);

#[derive(Default)]
struct List {
    calls: Vec<Weak<Passed>>,
    clear_at: usize,
}

impl OpenCalls {
    /// From now on this is judged with the others, for as long as somebody holds it.
    pub fn add(&self, passed: Passed) -> Arc<Passed> {
        let passed = Arc::new(passed);
        let mut list = self.list();
        if list.calls.len() >= list.clear_at.max(CLEAR_FROM) {
            list.calls.retain(|call| call.strong_count() > 0);
            list.clear_at = list.calls.len() * 2;
        }
        list.calls.push(Arc::downgrade(&passed));
        passed
    }

    /// Closes what `plan` does not let through any more: what has no end of its own, or all of it.
    pub fn judge(&self, plan: &Plan, only_endless: bool, now: Timestamp) {
        let closed = self.close(|call| (call.is_endless() || !only_endless) && !call.may_go_on(plan, now));
        if closed > 0 {
            tracing::info!(closed, "closed what the configuration does not let through any more");
        }
    }

    /// Closes what this account may not do any more.
    pub fn judge_account(&self, user: UserId, plan: &Plan, now: Timestamp) {
        let is_theirs = |call: &Passed| call.session.as_ref().is_some_and(|live| live.account().id == user);
        let closed = self.close(|call| is_theirs(call) && !call.may_go_on(plan, now));
        if closed > 0 {
            tracing::info!(closed, %user, "closed what the account may not do any more");
        }
    }

    fn close(&self, unwanted: impl Fn(&Passed) -> bool) -> usize {
        let calls: Vec<Arc<Passed>> = self.list().calls.iter().filter_map(Weak::upgrade).collect();
        let closed = calls.iter().filter(|call| !call.cut.is_cancelled() && unwanted(call));
        closed.inspect(|call| call.cut.cancel()).count()
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
