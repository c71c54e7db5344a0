//! Asks upstreams whether they are well, and lets those in again whose ejection is over.
//!
//! Runs under whatever configuration is in force: a reload begins new rounds of checks, what was known of upstreams that stay is
//! kept with them.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, USER_AGENT};
use http::{HeaderName, HeaderValue};
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::v1::Connector;
use pingora::http::RequestHeader;
use pingora::{Error, ErrorType};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::group::{Group, Place};
use super::{Resolver, connectable};
use crate::authz::{HostPattern, RouteId};
use crate::config::HealthCheck;
use crate::gateway::plan::Plan;
use crate::gateway::{GatewayState, NO_AUTHORITIES, access_log};

/// How often it is looked whether an ejection is over or there is another configuration.
const GLANCE: Duration = Duration::from_millis(250);
/// How long an upstream may take over a check, connection and all; no longer than until the next one.
const LONGEST_CHECK: Duration = Duration::from_secs(5);

/// Does both until `stop` fires.
pub async fn watch(state: Arc<GatewayState>, stop: CancellationToken) {
    let mut options = ConnectorOptions::new(1);
    options.ca_file = Some(NO_AUTHORITIES.to_owned());
    let client = Arc::new(Connector::new(Some(options)));
    let mut glances = interval(GLANCE);
    glances.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut plan = state.plan();
    let mut rounds = begin(&state, &client, &plan);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = glances.tick() => {}
        }
        let present = state.plan();
        if !Arc::ptr_eq(&plan, &present) {
            plan = present;
            rounds = begin(&state, &client, &plan);
        }
        // What ended by itself (it does not) must not pile up.
        while rounds.try_join_next().is_some() {}
        let now = Instant::now();
        plan.groups().flat_map(Group::places).for_each(|place| place.member.let_in(now));
    }
}

/// One task for each upstream that is to be asked; they end with the set.
fn begin(state: &Arc<GatewayState>, client: &Arc<Connector>, plan: &Arc<Plan>) -> JoinSet<()> {
    let mut rounds = JoinSet::new();
    for (id, _) in plan.config.routes.iter() {
        let check = plan.config.upstream(id).and_then(|upstream| upstream.health_check.as_ref());
        let (Some(check), Some(route)) = (check, plan.route(id)) else { continue };
        for index in 0..route.group.places().count() {
            let round =
                Round { state: Arc::clone(state), client: Arc::clone(client), plan: Arc::clone(plan), id, index };
            rounds.spawn(round.go(check.clone()));
        }
    }
    rounds
}

/// The checks of one upstream of one route.
struct Round {
    state: Arc<GatewayState>,
    client: Arc<Connector>,
    plan: Arc<Plan>,
    id: RouteId,
    index: usize,
}

impl Round {
    async fn go(self, check: HealthCheck) {
        let Some(place) = self.plan.route(self.id).and_then(|route| route.group.place(self.index)) else { return };
        let limit = LONGEST_CHECK.min(check.interval);
        let mut times = interval(check.interval);
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            times.tick().await;
            let failure = match timeout(limit, self.ask(place, &check, limit)).await {
                Ok(Ok(status)) if (200..400).contains(&status) => None,
                Ok(Ok(status)) => Some(format!("{} answers {status}", check.path)),
                Ok(Err(error)) => Some(access_log::shown(&error)),
                Err(_) => Some(format!("{} is not answered within {} s", check.path, limit.as_secs())),
            };
            place.member.checked(failure.as_deref());
        }
    }

    /// One check, over a connection of its own, so that connecting is checked as well. The status of the answer.
    async fn ask(&self, place: &Place, check: &HealthCheck, limit: Duration) -> Result<u16, Box<Error>> {
        let resolver: &Resolver = &self.state.resolver;
        let route = self.plan.route(self.id).ok_or_else(super::nowhere)?;
        let (mut peer, _) = connectable(resolver, &route.group, place, limit, 0).await?;
        peer.options.read_timeout = Some(limit);
        peer.options.write_timeout = Some(limit);
        let mut head = RequestHeader::build("GET", check.path.as_bytes(), None)?;
        let fields = [
            (HOST, self.host(place)),
            (USER_AGENT, HeaderValue::from_static("sekisho-health-check")),
            (HeaderName::from_static("connection"), HeaderValue::from_static("close")),
        ];
        for (name, value) in fields {
            head.insert_header(name, value)?;
        }
        let (mut session, _) = self.client.get_http_session(&peer).await?;
        session.write_request_header(Box::new(head)).await?;
        session.read_response().await?;
        let status = session.get_status();
        status.map(|status| status.as_u16()).ok_or_else(|| Error::explain(ErrorType::ReadError, "no answer"))
    }

    /// The Host of the route's requests, where there is but one.
    fn host(&self, place: &Place) -> HeaderValue {
        let preserved = self.plan.config.upstream(self.id).is_some_and(|upstream| upstream.preserve_host);
        match self.plan.config.routes.get(self.id).map(|route| &route.host) {
            Some(HostPattern::Exact(host)) if preserved => {
                HeaderValue::try_from(host.to_string()).unwrap_or_else(|_| place.authority.clone())
            }
            _ => place.authority.clone(),
        }
    }
}
