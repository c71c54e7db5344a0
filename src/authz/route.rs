//! Routes: what a host, a path and a method lead to, and what is asked of whoever comes that way.
//!
//! The most specific route wins: exact host over wildcard over none, then the longest path, then the narrower methods.
//! Two routes equal in all of these are an error of the configuration ([`RouteTable::new`]).

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use ipnet::IpNet;

use super::requirement::SecondFactorDemand;
use super::target::{BadTarget, Host, NormalTarget};
use crate::authn::user::{Group, LoginName};

/// A route's place in the table and in every list that goes along with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub usize);

/// What a decision needs of a route; where it leads (upstream, timeouts, headers) is the configuration's.
#[derive(Debug, Clone)]
pub struct Route {
    pub name: String,
    pub host: HostPattern,
    /// Normal form, beginning with `/`; a prefix that ends at a segment.
    pub path: String,
    /// Empty: all.
    pub methods: Vec<Method>,
    pub access: Access,
    pub allow: Allow,
    pub second_factor: SecondFactorDemand,
    pub idle_timeout: Duration,
    /// The route has an idle timeout of its own, so that activity elsewhere does not count for it.
    pub own_idle_timeout: bool,
    /// Paths below which requests do not count as activity.
    pub idle_exempt: Vec<String>,
    pub allow_encoded_slash: bool,
    /// Further origins, beside the route's own, whose pages may open WebSockets: `https://host[:port]`.
    pub websocket_origins: Vec<String>,
}

/// Which hosts a route is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    Exact(Host),
    /// `*.example.com`: every host that ends in this suffix and has one label or more before it. Holds `example.com`.
    Wildcard(Host),
    Any,
}

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Authenticated,
    Public,
    Deny,
}

/// Each list that is not empty must match.
#[derive(Debug, Clone, Default)]
pub struct Allow {
    pub groups: BTreeSet<Group>,
    pub users: BTreeSet<LoginName>,
    pub networks: Vec<IpNet>,
}

/// All routes, ready to be searched.
#[derive(Debug, Clone)]
pub struct RouteTable {
    routes: Vec<Route>,
}

/// Two routes for the very same requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ambiguous {
    pub first: RouteId,
    pub second: RouteId,
}

impl RouteTable {
    /// Builds the table.
    ///
    /// # Errors
    /// Every pair of routes equal in host, path and methods.
    pub fn new(routes: Vec<Route>) -> Result<Self, Vec<Ambiguous>> {
        Ok(Self { routes })
    }

    /// The most specific route for this request; `None` is a 404.
    ///
    /// # Errors
    /// [`BadTarget`] where the route would differ with and without `;parameters`, or where the target has an encoded slash
    /// that the route does not admit.
    pub fn find(&self, _target: &NormalTarget, _method: &Method) -> Result<Option<RouteId>, BadTarget> {
        let _ = Host::parse;
        todo!("authz helper")
    }

    /// The route at this place.
    #[must_use]
    pub fn get(&self, id: RouteId) -> Option<&Route> {
        self.routes.get(id.0)
    }

    /// All routes with their places, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = (RouteId, &Route)> {
        self.routes.iter().enumerate().map(|(index, route)| (RouteId(index), route))
    }
}
