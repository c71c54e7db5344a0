//! Routes: what a host, a path and a method lead to, and what is asked of whoever comes that way.
//!
//! The most specific route wins: exact host over wildcard over none, then the longest path, then the narrower methods.
//! Two routes equal in all of these are an error of the configuration ([`RouteTable::new`]).
//!
//! Methods are narrower where they are a true part of the other's: `[GET]` before `[GET, POST]` before all. Lists that
//! overlap in any other way are an error too. A list with GET is for HEAD as well, unless HEAD is named beside it: servers
//! run the same code for both, so a HEAD must not slip past a route that guards GET.
//!
//! The table is a tree of path segments for each host pattern, so that a search costs as many look-ups as the path has
//! segments, however many routes there are.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use http::Method;
use ipnet::IpNet;

use super::host::Host;
use super::identity::Account;
use super::path::RoutePath;
use super::requirement::SecondFactorDemand;
use super::target::{BadTarget, NormalTarget};
use crate::authn::user::{Group, LoginName};

/// A route's place in the table and in every list that goes along with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub usize);

/// What a decision needs of a route; where it leads (upstream, timeouts, headers) is the configuration's.
#[derive(Debug, Clone)]
pub struct Route {
    pub name: String,
    pub host: HostPattern,
    /// A prefix that ends at a segment.
    pub path: RoutePath,
    /// Empty: all.
    pub methods: Vec<Method>,
    pub access: Access,
    pub allow: Allow,
    pub second_factor: SecondFactorDemand,
    pub idle_timeout: Duration,
    /// The route has an idle timeout of its own, so that activity elsewhere does not count for it.
    pub own_idle_timeout: bool,
    /// Paths below which requests do not count as activity.
    pub idle_exempt: Vec<RoutePath>,
    /// Names in clients' certificates that this route is open to.
    pub client_certificates: Vec<String>,
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

impl HostPattern {
    /// Reads `host` or `*.host`.
    ///
    /// # Errors
    /// [`BadTarget::Host`].
    pub fn parse(text: &str) -> Result<Self, BadTarget> {
        match text.strip_prefix("*.") {
            Some(suffix) => Host::parse(suffix).map(Self::Wildcard),
            None => Host::parse(text).map(Self::Exact),
        }
    }

    /// Whether requests for this host may take such a route.
    #[must_use]
    pub fn covers(&self, host: &Host) -> bool {
        match self {
            Self::Exact(exact) => exact == host,
            Self::Wildcard(suffix) => suffixes(host).any(|above| above == suffix.as_str()),
            Self::Any => true,
        }
    }
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

impl Allow {
    /// Whether this account is among those that the lists of people name, wherever it comes from.
    #[must_use]
    pub fn names(&self, account: &Account) -> bool {
        let user = self.users.is_empty() || self.users.contains(&account.login);
        let group = self.groups.is_empty() || account.groups.iter().any(|group| self.groups.contains(group));
        user && group
    }
}

/// All routes, ready to be searched.
#[derive(Debug, Clone)]
pub struct RouteTable {
    routes: Vec<Route>,
    exact: HashMap<Host, Node>,
    /// By what follows `*.`.
    wildcard: HashMap<Host, Node>,
    any: Node,
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
    /// Every pair of routes equal in host and path whose methods overlap without one being the narrower.
    pub fn new(routes: Vec<Route>) -> Result<Self, Vec<Ambiguous>> {
        let mut table =
            Self { routes: Vec::new(), exact: HashMap::new(), wildcard: HashMap::new(), any: Node::default() };
        let mut ambiguous = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            let root = match &route.host {
                HostPattern::Exact(host) => table.exact.entry(host.clone()).or_default(),
                HostPattern::Wildcard(suffix) => table.wildcard.entry(suffix.clone()).or_default(),
                HostPattern::Any => &mut table.any,
            };
            let second = RouteId(index);
            let clashes = root.place(route.path.as_str()).insert(&route.methods, second);
            ambiguous.extend(clashes.into_iter().map(|first| Ambiguous { first, second }));
        }
        table.routes = routes;
        if ambiguous.is_empty() { Ok(table) } else { Err(ambiguous) }
    }

    /// The most specific route for this request; `None` is a 404.
    ///
    /// # Errors
    /// [`BadTarget`] where the route would differ with and without `;parameters` (or by another reading of the path that
    /// some upstream may have), or where the target has an encoded slash that the route does not admit.
    pub fn find(&self, target: &NormalTarget, method: &Method) -> Result<Option<RouteId>, BadTarget> {
        let found = self.find_path(target.host(), target.matching_path(), method);
        if target.readings().any(|reading| self.find_path(target.host(), reading, method) != found) {
            return Err(BadTarget::Parameters);
        }
        let admits = || found.and_then(|id| self.get(id)).is_some_and(|route| route.allow_encoded_slash);
        if target.has_encoded_slash() && !admits() {
            return Err(BadTarget::EncodedSlash);
        }
        Ok(found)
    }

    /// Whether a route names this host, in full or by a wildcard.
    #[must_use]
    pub fn names(&self, host: &Host) -> bool {
        self.exact.contains_key(host) || suffixes(host).any(|suffix| self.wildcard.contains_key(suffix))
    }

    fn find_path(&self, host: &Host, path: &str, method: &Method) -> Option<RouteId> {
        let exact = self.exact.get(host);
        let wildcards = || suffixes(host).filter_map(|suffix| self.wildcard.get(suffix));
        let wildcards = (!self.wildcard.is_empty()).then(wildcards).into_iter().flatten();
        let mut roots = exact.into_iter().chain(wildcards).chain([&self.any]);
        roots.find_map(|root| root.find(path, method))
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

/// What stands after each dot of a name, the longest first. An address has none that a wildcard could be for: no [`Host`]
/// ends in a number but a whole address.
fn suffixes(host: &Host) -> impl Iterator<Item = &str> {
    let mut rest = host.as_str();
    std::iter::from_fn(move || {
        rest = rest.split_once('.')?.1;
        Some(rest)
    })
}

/// One place in the tree of paths.
#[derive(Debug, Clone, Default)]
struct Node {
    /// Routes whose path ends here: `/shop`.
    here: Methods,
    /// Routes whose path ends in a slash here: `/shop/`. For what lies below only, and so the longer path.
    below: Methods,
    children: HashMap<Box<str>, Node>,
}

impl Node {
    /// Where a route with this path belongs.
    fn place(&mut self, path: &str) -> &mut Methods {
        let mut node = self;
        let mut rest = path.strip_prefix('/');
        while let Some(tail) = rest {
            if tail.is_empty() {
                return &mut node.below;
            }
            let (segment, after) = first_segment(tail);
            node = node.children.entry(segment.into()).or_default();
            rest = after;
        }
        &mut node.here
    }

    fn find(&self, path: &str, method: &Method) -> Option<RouteId> {
        let mut node = self;
        let mut found = None;
        let mut rest = path.strip_prefix('/');
        while let Some(tail) = rest {
            found = node.below.find(method).or(found);
            let (segment, after) = first_segment(tail);
            let Some(child) = node.children.get(segment) else { break };
            found = child.here.find(method).or(found);
            node = child;
            rest = after;
        }
        found
    }
}

fn first_segment(path: &str) -> (&str, Option<&str>) {
    match path.split_once('/') {
        Some((segment, after)) => (segment, Some(after)),
        None => (path, None),
    }
}

/// The routes of one place: the narrower before the wider, then the one for all methods.
#[derive(Debug, Clone, Default)]
struct Methods {
    listed: Vec<(Vec<Method>, RouteId)>,
    all: Option<RouteId>,
}

impl Methods {
    /// Adds a route, and returns those that it cannot be told from.
    fn insert(&mut self, methods: &[Method], id: RouteId) -> Vec<RouteId> {
        if methods.is_empty() {
            return match self.all {
                Some(first) => vec![first],
                None => {
                    self.all = Some(id);
                    Vec::new()
                }
            };
        }
        let mut methods = methods.to_vec();
        methods.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        methods.dedup();
        let clashes = self.listed.iter().filter(|(other, _)| clash(other, &methods)).map(|(_, first)| *first).collect();
        self.listed.push((methods, id));
        self.listed.sort_by_key(|(methods, _)| methods.len());
        clashes
    }

    fn find(&self, method: &Method) -> Option<RouteId> {
        let listed = |wanted: &Method| self.listed.iter().find(|(methods, _)| methods.contains(wanted));
        let found = listed(method).or_else(|| if *method == Method::HEAD { listed(&Method::GET) } else { None });
        found.map(|(_, id)| *id).or(self.all)
    }
}

/// Whether two lists overlap and neither is a true part of the other.
fn clash(one: &[Method], other: &[Method]) -> bool {
    let shared = one.iter().filter(|method| other.contains(method)).count();
    let narrower = one.len() != other.len() && shared == one.len().min(other.len());
    shared > 0 && !narrower
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
