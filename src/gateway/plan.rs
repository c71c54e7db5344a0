//! What is worked out once for each configuration, so that no request has to.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::headers::managed::Managed;
use crate::authz::RouteId;
use crate::config::{Config, HeaderTemplate, RouteUpstream, Upstream};
use crate::metrics::{Requests, RouteMeter};

/// A configuration, prepared.
pub struct Plan {
    pub config: Arc<Config>,
    pub managed: Managed,
    routes: Vec<RoutePlan>,
}

/// A route's way to its upstream, prepared.
pub struct RoutePlan {
    /// Names as they are written, in the order of the configuration.
    pub identity: Vec<(Bytes, HeaderTemplate)>,
    /// The Host where the client's is not preserved.
    pub host: Option<HeaderValue>,
    /// Where the upstream is named by its address, so that there is nothing to look up.
    pub address: Option<SocketAddr>,
    /// Where its requests are counted.
    pub meter: RouteMeter,
}

impl Plan {
    /// Prepares a configuration; its routes are counted among `requests`.
    #[must_use]
    pub fn new(config: Arc<Config>, requests: &Requests) -> Self {
        let managed = Managed::new(&config);
        let routes = config.upstreams.iter().enumerate().map(|(index, upstream)| {
            let name = config.routes.get(RouteId(index)).map_or("", |route| route.name.as_str());
            RoutePlan::new(upstream, requests.route(name))
        });
        let routes = routes.collect();
        Self { config, managed, routes }
    }

    /// The route's part of it.
    #[must_use]
    pub fn route(&self, id: RouteId) -> Option<&RoutePlan> {
        self.routes.get(id.0)
    }
}

impl RoutePlan {
    fn new(route: &RouteUpstream, meter: RouteMeter) -> Self {
        let identity = route.identity.iter().map(|(name, template)| (written_form(name), template.clone())).collect();
        let (host, address) = match &route.upstream {
            Upstream::Http { host, port } => (authority(host, *port, 80), literal(host, *port)),
            Upstream::Https { host, port } => (authority(host, *port, 443), literal(host, *port)),
            Upstream::Unix { .. } => (HeaderValue::from_static("localhost"), None),
            Upstream::Nowhere => (HeaderValue::from_static("invalid"), None),
        };
        Self { identity, host: (!route.preserve_host).then_some(host), address, meter }
    }
}

/// `Remote-User` rather than `remote-user`: names do not depend on case, but people who read a tool's log do.
fn written_form(name: &HeaderName) -> Bytes {
    let mut at_start = true;
    let titled = name.as_str().chars().map(|c| {
        let titled = if at_start { c.to_ascii_uppercase() } else { c };
        at_start = !c.is_ascii_alphanumeric();
        titled
    });
    Bytes::from(titled.collect::<String>())
}

fn authority(host: &str, port: u16, default: u16) -> HeaderValue {
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    let text = if port == default { host } else { format!("{host}:{port}") };
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("invalid"))
}

fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().map(|address| SocketAddr::new(address, port))
}
