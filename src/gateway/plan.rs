//! What is worked out once for each configuration, so that no request has to.

use std::sync::Arc;

use http::HeaderValue;

use super::headers::assertion::Assertions;
use super::headers::managed::Managed;
use super::sign_in::SignIn;
use super::upstream::group::Group;
use super::upstream::member::Members;
use super::upstream::tls::Shared;
use crate::authz::{Route, RouteId};
use crate::config::{Config, HeaderNames, RouteUpstream};
use crate::metrics::{Requests, RouteMeter};

/// A configuration, prepared.
pub struct Plan {
    pub config: Arc<Config>,
    pub managed: Managed,
    /// Where the configuration asks for them.
    pub assertions: Option<Assertions>,
    routes: Vec<RoutePlan>,
}

/// A route's way to its upstream, prepared.
pub struct RoutePlan {
    /// Its upstreams.
    pub group: Group,
    /// How sekisho signs in to the tool, where it does.
    pub sign_in: Option<SignIn>,
    preserve_host: bool,
    /// How names of fields are written to its upstreams.
    pub header_names: HeaderNames,
    /// Where its requests are counted.
    pub meter: RouteMeter,
}

impl Plan {
    /// Prepares a configuration; its routes are counted among `requests`. `members` keeps what is known of upstreams from one to the
    /// next, and forgets those that are gone.
    #[must_use]
    pub fn new(config: Arc<Config>, requests: &Requests, members: &Members) -> Self {
        let managed = Managed::new(&config);
        let mut shared = Shared::default();
        let route = |(id, route): (RouteId, &Route)| {
            let upstream = config.upstream(id)?;
            let group = Group::new(&route.name, upstream, members, &mut shared);
            Some(RoutePlan::new(upstream, group, requests.route(&route.name)))
        };
        let routes: Vec<_> = config.routes.iter().filter_map(route).collect();
        members.keep(routes.iter().flat_map(|route| route.group.places()).map(|place| &place.member));
        let assertions = config.identity.assertion.then(|| Assertions::new(&config));
        Self { managed, assertions, routes, config }
    }

    /// Every route's upstreams.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.routes.iter().map(|route| &route.group)
    }

    /// The route's part of it.
    #[must_use]
    pub fn route(&self, id: RouteId) -> Option<&RoutePlan> {
        self.routes.get(id.0)
    }
}

impl RoutePlan {
    fn new(route: &RouteUpstream, group: Group, meter: RouteMeter) -> Self {
        let sign_in = route.auth.as_ref().map(|auth| SignIn::new(auth, route));
        Self { group, sign_in, preserve_host: route.preserve_host, header_names: route.header_names, meter }
    }

    /// The Host for this one of its upstreams, where the client's is not preserved.
    #[must_use]
    pub fn host(&self, upstream: Option<usize>) -> Option<&HeaderValue> {
        let place = upstream.and_then(|index| self.group.place(index)).filter(|_| !self.preserve_host);
        place.map(|place| &place.authority)
    }
}
