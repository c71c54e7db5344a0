//! The decision: one pure function from what is known to what happens.
//!
//! ```text
//! route.access   identity            answer
//! deny           whoever             Deny(Route)
//! public         whoever             Forward, as the person if there is one who may be named, else as nobody
//! public, but with users or groups: as authenticated
//! authenticated  none, or over       Challenge(Login)
//! authenticated  not allowed         Deny(NotAllowed | Network)
//! authenticated  factor due          Challenge(SecondFactor | Enrolment)
//! authenticated  all in order        Forward(Permit)
//! ```
//!
//! A machine's token is judged by itself ([`decide_machine`]), on public routes too: it is good on the routes that it names, and nowhere
//! else. Lists of people and second factors do not ask after it, as who made it said where it may go; networks and WebSockets' origins do.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::identity::{Account, Identity};
use super::machine::{Machine, MachineId};
use super::requirement::Due;
use super::route::{Access, Route};
use crate::clock::Timestamp;
use crate::id::SessionId;

/// What is judged of the request itself.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The effective client address: the peer, or what a trusted proxy says.
    pub client: IpAddr,
    /// The `Origin` of a WebSocket handshake; `None` for any other request. Two of them come as `null`.
    pub websocket_origin: Option<WebSocketOrigin<'a>>,
}

/// Where a WebSocket handshake comes from.
#[derive(Debug, Clone, Copy)]
pub struct WebSocketOrigin<'a> {
    /// The header's value; `None` where a client that is no browser sent none.
    pub origin: Option<&'a str>,
    /// The origin of the host asked for, as a browser would spell it.
    pub own: &'a str,
}

/// What happens with a request.
#[derive(Debug, Clone)]
pub enum Decision {
    Forward(Permit),
    Challenge(Challenge),
    Deny(Denial),
}

/// What is missing, and could be supplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// Nobody is signed in, or the session is over.
    Login,
    /// Signed in, and a second factor is due by the re-check interval.
    SecondFactor,
    /// Signed in, and a second factor is due that has yet to be enrolled.
    Enrolment,
}

/// What cannot be supplied: 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The route lets nobody through.
    Route,
    /// The person is not among those allowed.
    NotAllowed,
    /// The address is not within the networks allowed.
    Network,
    /// A page of another origin opens a WebSocket.
    WebSocketOrigin,
    /// The token is not for this route, or is over.
    Scope,
}

/// The right to forward one request as one person, or as nobody. Only [`decide`] makes one.
#[derive(Debug, Clone)]
pub struct Permit {
    whom: Whom,
}

#[derive(Debug, Clone)]
enum Whom {
    Nobody,
    Person(Bearer),
    Machine(Arc<Machine>),
}

/// Which session, token or certificate a permit was given for: whatever is shared or kept for one bearer is kept under this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    Session(SessionId),
    Machine(MachineId),
}

/// As whom, and on what strength.
#[derive(Debug, Clone)]
pub struct Bearer {
    pub account: Arc<Account>,
    pub session: SessionId,
    /// When they signed in.
    pub begun_at: Timestamp,
    /// The last second factor that counts within this session.
    pub second_factor_at: Option<Timestamp>,
}

impl Permit {
    /// Whom the upstream is told about; `None` on a public route without a session, and for a machine.
    #[must_use]
    pub fn account(&self) -> Option<&Arc<Account>> {
        self.bearer().map(|bearer| &bearer.account)
    }

    /// The same, with the session's part.
    #[must_use]
    pub fn bearer(&self) -> Option<&Bearer> {
        match &self.whom {
            Whom::Person(bearer) => Some(bearer),
            Whom::Nobody | Whom::Machine(_) => None,
        }
    }

    /// The machine that the upstream is told about.
    #[must_use]
    pub fn machine(&self) -> Option<&Arc<Machine>> {
        match &self.whom {
            Whom::Machine(machine) => Some(machine),
            Whom::Nobody | Whom::Person(_) => None,
        }
    }

    /// The session on whose strength it was given.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        self.bearer().map(|bearer| bearer.session)
    }

    /// The session, token or certificate on whose strength it was given; `None`: nobody's.
    #[must_use]
    pub fn whose(&self) -> Option<Whose> {
        match &self.whom {
            Whom::Nobody => None,
            Whom::Person(bearer) => Some(Whose::Session(bearer.session)),
            Whom::Machine(machine) => Some(Whose::Machine(machine.id)),
        }
    }
}

/// Decides one request. Pure: one reading of the clock comes in as `now`.
#[must_use]
pub fn decide(route: &Route, facts: &Facts<'_>, identity: Option<&Identity>, now: Timestamp) -> Decision {
    if route.access == Access::Deny {
        return Decision::Deny(Denial::Route);
    }
    if !is_within(&route.allow.networks, facts.client) {
        return Decision::Deny(Denial::Network);
    }
    let identity = identity.filter(|identity| is_alive(route, identity, now));
    if is_open(route) {
        // Nobody is named who would not pass an authenticated route just now: a half-valid session is nobody, and so is
        // one whose cookie came along with the WebSocket of a foreign page.
        let named = identity.filter(|identity| {
            second_factor_due(route, identity, now) == Due::Nothing && origin_is_welcome(route, facts)
        });
        return Decision::Forward(Permit {
            whom: named.map_or(Whom::Nobody, |identity| Whom::Person(bearer(identity))),
        });
    }
    let Some(identity) = identity else {
        return Decision::Challenge(Challenge::Login);
    };
    if !origin_is_welcome(route, facts) {
        return Decision::Deny(Denial::WebSocketOrigin);
    }
    if !route.allow.names(&identity.account) {
        return Decision::Deny(Denial::NotAllowed);
    }
    match second_factor_due(route, identity, now) {
        Due::Nothing => Decision::Forward(Permit { whom: Whom::Person(bearer(identity)) }),
        Due::Code => Decision::Challenge(Challenge::SecondFactor),
        Due::Enrolment => Decision::Challenge(Challenge::Enrolment),
    }
}

/// Decides a request that comes with a machine's token, or by a certificate that the route lists.
#[must_use]
pub fn decide_machine(route: &Route, facts: &Facts<'_>, machine: &Arc<Machine>, now: Timestamp) -> Decision {
    if route.access == Access::Deny {
        return Decision::Deny(Denial::Route);
    }
    if !is_within(&route.allow.networks, facts.client) {
        return Decision::Deny(Denial::Network);
    }
    if now >= machine.expires_at || !machine.routes.contains(&route.name) {
        return Decision::Deny(Denial::Scope);
    }
    // A browser that was once given a token as a password, or a certificate, shows it for the WebSockets of foreign pages, too.
    if !origin_is_welcome(route, facts) {
        return Decision::Deny(Denial::WebSocketOrigin);
    }
    Decision::Forward(Permit { whom: Whom::Machine(Arc::clone(machine)) })
}

/// What has to be supplied before this identity may pass, whatever else the route asks.
#[must_use]
pub fn missing(route: &Route, identity: &Identity, now: Timestamp) -> Option<Challenge> {
    if !is_alive(route, identity, now) {
        return Some(Challenge::Login);
    }
    match second_factor_due(route, identity, now) {
        Due::Nothing => None,
        Due::Code => Some(Challenge::SecondFactor),
        Due::Enrolment => Some(Challenge::Enrolment),
    }
}

/// An empty list is everywhere. A socket that takes both families shows an IPv4 client as `::ffff:…`.
fn is_within(networks: &[IpNet], client: IpAddr) -> bool {
    let client = client.to_canonical();
    networks.is_empty() || networks.iter().any(|network| network.contains(&client))
}

/// Whether one may pass without being anybody. Who writes `public` beside a list of people gets the list.
fn is_open(route: &Route) -> bool {
    route.access == Access::Public && route.allow.users.is_empty() && route.allow.groups.is_empty()
}

fn is_alive(route: &Route, identity: &Identity, now: Timestamp) -> bool {
    now < identity.expires_at
        && now.since(identity.last_seen) < route.idle_timeout
        && !identity.last_seen.is_ahead_of(now)
}

fn second_factor_due(route: &Route, identity: &Identity, now: Timestamp) -> Due {
    route.second_factor.due(identity.account.second_factor, identity.second_factor_at, now)
}

/// RFC 6455 §10.2: a browser always tells the origin of the page that opens a WebSocket; cookies go along whatever it is.
fn origin_is_welcome(route: &Route, facts: &Facts<'_>) -> bool {
    let Some(handshake) = facts.websocket_origin else { return true };
    let Some(origin) = handshake.origin else { return true };
    origin.eq_ignore_ascii_case(handshake.own)
        || route.websocket_origins.iter().any(|allowed| origin.eq_ignore_ascii_case(allowed))
}

fn bearer(identity: &Identity) -> Bearer {
    Bearer {
        account: Arc::clone(&identity.account),
        session: identity.session,
        begun_at: identity.begun_at,
        second_factor_at: identity.second_factor_at,
    }
}

#[cfg(test)]
mod tests;
