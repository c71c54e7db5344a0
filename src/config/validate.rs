//! What no section can judge by itself; then the draft becomes a [`Config`].

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::diagnostic::Place;
use super::reader::Context;
use super::schema::{self, route};
use super::values::spell_duration;
use super::{Config, HeaderTemplates, Listen, RouteUpstream, Upstream};
use crate::authz::{Route, RoutePath, RouteTable, SecondFactorDemand};

/// The configuration, where every part of it is there. What is wrong is reported to `ctx`.
pub(super) fn assemble(ctx: &Context<'_>, draft: schema::Draft) -> Option<Config> {
    report_shared_names(ctx, &draft.routes);
    for route in &draft.routes {
        report_portal_collision(ctx, &draft, route);
        report_longer_idle_timeout(ctx, &draft, route);
        report_loop(ctx, &draft, route);
        report_idle_removals(ctx, &draft, route);
    }
    let upstreams = draft.routes.iter().map(|route| upstream(&draft, route)).collect();
    let routes = route_table(ctx, &draft)?;
    let (key_file, keys) = draft.keys?;
    Some(Config {
        server: draft.server,
        log: draft.log,
        store: draft.store?,
        keys: Arc::new(keys),
        key_file,
        session: draft.session,
        second_factor: draft.second_factor,
        password: draft.password,
        lockout: draft.lockout,
        mail: draft.mail,
        portal: draft.portal,
        identity: draft.identity,
        audit: draft.audit,
        routes,
        upstreams,
    })
}

fn report_shared_names(ctx: &Context<'_>, routes: &[route::Draft]) {
    for (index, route) in routes.iter().enumerate() {
        let earlier = routes.iter().take(index).find(|earlier| !route.name.is_empty() && earlier.name == route.name);
        if let Some(earlier) = earlier {
            let hint = format!("the first one stands on line {}", earlier.place.line);
            ctx.error(route.place, format!("a second route has the name `{}`", route.name), Some(hint));
        }
    }
}

fn report_portal_collision(ctx: &Context<'_>, draft: &schema::Draft, route: &route::Draft) {
    let Some((path, place)) = &route.path else { return };
    if RoutePath::parse(&draft.portal.path).is_ok_and(|portal| portal.covers(path.as_str())) {
        let message = format!("route `{}`: {} is reserved for sekisho's own pages", route.name, draft.portal.path);
        ctx.error(*place, message, Some("choose another path, or another `portal.path`".to_owned()));
    }
}

fn report_longer_idle_timeout(ctx: &Context<'_>, draft: &schema::Draft, route: &route::Draft) {
    let gateway = draft.session.idle_timeout;
    if let Some((timeout, place)) = route.idle_timeout
        && timeout > gateway
    {
        let message = format!(
            "route `{}`: `idle_timeout` may only be shorter than `session.idle_timeout`, {}",
            route.name,
            spell_duration(gateway)
        );
        ctx.error(place, message, Some("raise `session.idle_timeout`, and shorten it on the other routes".to_owned()));
    }
}

/// A route that leads to one of sekisho's own sockets would go round in circles.
fn report_loop(ctx: &Context<'_>, draft: &schema::Draft, route: &route::Draft) {
    let (Upstream::Http { host, port } | Upstream::Https { host, port }) = &route.upstream else { return };
    let address = if host == "localhost" { Some(IpAddr::from([127, 0, 0, 1])) } else { host.parse().ok() };
    let Some(address) = address else { return };
    let own = draft.server.listen.iter().chain(draft.server.tls.iter().flat_map(|tls| &tls.listen));
    let leads_here = |listen: &Listen| match listen {
        Listen::Address(own) => own.port() == *port && reaches(*own, address),
        Listen::Systemd(_) => false,
    };
    if own.into_iter().any(leads_here) {
        let hint = "the tool must listen on another port".to_owned();
        ctx.error(route.upstream_place, format!("route `{}`: the upstream is sekisho itself", route.name), Some(hint));
    }
}

fn reaches(own: SocketAddr, address: IpAddr) -> bool {
    own.ip() == address || (own.ip().is_unspecified() && (address.is_loopback() || address.is_unspecified()))
}

fn report_idle_removals(ctx: &Context<'_>, draft: &schema::Draft, route: &route::Draft) {
    for (name, template, place) in &route.headers {
        if template.0.is_empty() && !draft.identity.headers.iter().any(|(known, _)| known == name) {
            let message =
                format!("route `{}`: {name} is not among `identity.headers`, so nothing is removed", route.name);
            ctx.warn(*place, message, None);
        }
    }
}

fn upstream(draft: &schema::Draft, route: &route::Draft) -> RouteUpstream {
    let mut identity: HeaderTemplates = draft.identity.headers.clone();
    for (name, template, _) in &route.headers {
        identity.retain(|(known, _)| known != name);
        if !template.0.is_empty() {
            identity.push((name.clone(), template.clone()));
        }
    }
    RouteUpstream {
        upstream: route.upstream.clone(),
        identity,
        preserve_host: route.preserve_host,
        timeouts: route.timeouts,
        max_body: route.max_body,
        forget_cookies: route.forget_cookies.clone(),
    }
}

/// The table of all routes; `None` where one of them is wrong. Collisions among the others are reported all the same.
fn route_table(ctx: &Context<'_>, draft: &schema::Draft) -> Option<RouteTable> {
    let (routes, places): (Vec<Route>, Vec<Place>) =
        draft.routes.iter().filter_map(|route| settle(draft, route)).unzip();
    let complete = routes.len() == draft.routes.len();
    let names: Vec<String> = routes.iter().map(|route| route.name.clone()).collect();
    match RouteTable::new(routes) {
        Ok(table) => complete.then_some(table),
        Err(collisions) => {
            for collision in collisions {
                let (first, second) = (collision.first.0, collision.second.0);
                let (Some(first_place), Some(place)) = (places.get(first), places.get(second)) else { continue };
                let (Some(first_name), Some(name)) = (names.get(first), names.get(second)) else { continue };
                let message = format!(
                    "route `{name}` has the same host and path as `{first_name}` on line {}, and they share methods",
                    first_place.line
                );
                ctx.error(*place, message, Some("change one of them, or remove it".to_owned()));
            }
            None
        }
    }
}

/// The route with what it inherits from the gateway, and its place.
fn settle(draft: &schema::Draft, route: &route::Draft) -> Option<(Route, Place)> {
    let gateway = draft.second_factor.demand;
    let settled = Route {
        name: route.name.clone(),
        host: route.host.clone()?,
        path: route.path.as_ref().map(|(path, _)| path.clone())?,
        methods: route.methods.clone()?,
        access: route.access,
        allow: route.allow.clone(),
        second_factor: SecondFactorDemand {
            policy: route.second_factor.unwrap_or(gateway.policy),
            recheck_interval: route.recheck_interval.unwrap_or(gateway.recheck_interval),
        },
        idle_timeout: route.idle_timeout.map_or(draft.session.idle_timeout, |(timeout, _)| timeout),
        own_idle_timeout: route.idle_timeout.is_some(),
        idle_exempt: route.idle_exempt.clone(),
        allow_encoded_slash: route.allow_encoded_slash,
        websocket_origins: route.websocket_origins.clone(),
    };
    Some((settled, route.place))
}
