//! What no section can judge by itself; then the draft becomes a [`Config`].

use std::cell::LazyCell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls_pki_types::CertificateDer;

use super::diagnostic::Place;
use super::reader::Context;
use super::schema::{self, route, upstream};
use super::values::spell_duration;
use super::{Agreement, Config, HeaderTemplates, Listen, Protocol, RouteUpstream, Upstream, UpstreamTls, files};
use crate::authz::{Access, HostPattern, Route, RoutePath, RouteTable, SecondFactorDemand};

/// The configuration, where every part of it is there. What is wrong is reported to `ctx`.
pub(super) fn assemble(ctx: &Context<'_>, draft: schema::Draft) -> Option<Config> {
    report_shared_names(ctx, &draft.routes);
    for route in &draft.routes {
        report_portal_collision(ctx, &draft, route);
        report_longer_idle_timeout(ctx, &draft, route);
        report_loop(ctx, &draft, route);
        report_http2_in_clear(ctx, &draft, route);
        report_idle_removals(ctx, &draft, route);
        report_host_without_sign_on(ctx, &draft, route);
        report_certificates_of_nobody(ctx, &draft, route);
    }
    let routes = route_table(ctx, &draft);
    let upstreams = upstreams(ctx, draft.routes, &draft.identity.headers);
    let routes = routes?;
    let (key_file, keys_from, keys) = draft.keys?;
    Some(Config {
        file: ctx.path().to_owned(),
        server: draft.server,
        log: draft.log,
        store: draft.store?,
        keys: Arc::new(keys),
        key_file,
        keys_from,
        session: draft.session,
        second_factor: draft.second_factor,
        password: draft.password,
        lockout: draft.lockout,
        mail: draft.mail,
        portal: draft.portal,
        identity: draft.identity,
        held: draft.held,
        audit: draft.audit,
        routes,
        upstreams,
        agreed: Agreement::new(),
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

/// Only the TLS listener speaks HTTP/2.
fn report_http2_in_clear(ctx: &Context<'_>, draft: &schema::Draft, route: &route::Draft) {
    // One thing at a time: with a health check it is an error already.
    if route.protocol.0 == Protocol::Http2 && route.health_check.is_none() && draft.server.tls.is_none() {
        let message = format!("route `{}`: no client can reach the route without `server.tls`", route.name);
        let hint = "`protocol: http2` takes requests that come over HTTP/2, which is spoken over TLS";
        ctx.warn(route.protocol.1, message, Some(hint.to_owned()));
    }
}

/// A route that leads to one of sekisho's own sockets would go round in circles.
fn report_loop(ctx: &Context<'_>, draft: &schema::Draft, route: &route::Draft) {
    for upstream::Draft { weighted, place } in &route.upstreams {
        let (Upstream::Http { host, port } | Upstream::Https { host, port }) = &weighted.upstream else { continue };
        let address = if host == "localhost" { Some(IpAddr::from([127, 0, 0, 1])) } else { host.parse().ok() };
        let Some(address) = address else { continue };
        let mut own = draft.server.listen.iter().chain(draft.server.tls.iter().flat_map(|tls| &tls.listen));
        let leads_here = |listen: &Listen| match listen {
            Listen::Address(own) => own.port() == *port && reaches(*own, address),
            Listen::Systemd(_) => false,
        };
        if own.any(leads_here) {
            let hint = "the tool must listen on another port".to_owned();
            ctx.error(*place, format!("route `{}`: the upstream is sekisho itself", route.name), Some(hint));
        }
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

/// Whoever lists names wants somebody to come by them.
fn report_certificates_of_nobody(ctx: &Context<'_>, draft: &schema::Draft, route: &route::Draft) {
    let (names, place) = &route.client_certificates;
    if !names.is_empty() && draft.server.client_verifier().is_none() {
        let message = format!("route `{}`: no client can show a certificate", route.name);
        let hint = "`server.tls.client_certificates` names the authorities that sign them";
        ctx.error(*place, message, Some(hint.to_owned()));
    }
}

/// With a portal host people sign in at hosts that a route names; a route for any host names none.
fn report_host_without_sign_on(ctx: &Context<'_>, draft: &schema::Draft, route: &route::Draft) {
    let Some(portal) = &draft.portal.host else { return };
    if route.host == Some(HostPattern::Any) && route.access == Access::Authenticated {
        let message = format!(
            "route `{}` names no host: with `portal.host` people can sign in to it at {portal} alone",
            route.name
        );
        ctx.warn(route.place, message, Some("name the tool's host in `host`".to_owned()));
    }
    let is_wildcard = matches!(&route.host, Some(HostPattern::Wildcard(_)));
    let named =
        draft.routes.iter().any(|other| matches!(&other.host, Some(HostPattern::Exact(host)) if host == portal));
    if is_wildcard && !named && route.host.as_ref().is_some_and(|pattern| pattern.covers(portal)) {
        let message = format!("route `{}` takes {portal} as well, the host with sekisho's own pages", route.name);
        let hint = format!(
            "what it serves there can act on those pages; a route for {portal} with `access: deny` keeps it out"
        );
        ctx.warn(route.place, message, Some(hint));
    }
}

/// Where each route leads, in the table's order. The machine's authorities are read once, and only where they are needed.
fn upstreams(ctx: &Context<'_>, routes: Vec<route::Draft>, headers: &HeaderTemplates) -> Vec<RouteUpstream> {
    let system = LazyCell::new(files::system_authorities);
    let settle = |mut route: route::Draft| {
        let tls = upstream_tls(ctx, &mut route, &|| Arc::clone(&system));
        report_open_credentials(ctx, &route);
        let mut identity = headers.clone();
        for (name, template, _) in route.headers {
            identity.retain(|(known, _)| *known != name);
            if !template.0.is_empty() {
                identity.push((name, template));
            }
        }
        RouteUpstream {
            upstreams: route.upstreams.into_iter().map(|draft| draft.weighted).collect(),
            health_check: route.health_check,
            tls,
            identity,
            auth: route.upstream_auth.map(|(auth, _)| auth),
            protocol: route.protocol.0,
            preserve_host: route.preserve_host,
            header_names: route.header_names,
            timeouts: route.timeouts,
            max_body: route.max_body,
            forget_cookies: route.forget_cookies,
        }
    };
    routes.into_iter().map(settle).collect()
}

/// The credentials for a tool on another machine can be read on the way there.
fn report_open_credentials(ctx: &Context<'_>, route: &route::Draft) {
    let Some((_, place)) = &route.upstream_auth else { return };
    let is_elsewhere = |draft: &upstream::Draft| match &draft.weighted.upstream {
        Upstream::Http { host, .. } => {
            let bare = host.trim_matches(['[', ']']);
            host != "localhost" && !bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        Upstream::Https { .. } | Upstream::Unix { .. } => false,
    };
    if route.upstreams.iter().any(is_elsewhere) {
        let message = format!("route `{}`: the tool's credentials cross the network unencrypted", route.name);
        ctx.warn(*place, message, Some("let the tool speak https, or reach it through a tunnel".to_owned()));
    }
}

/// How TLS to the route's upstreams is spoken, where one of them speaks it.
fn upstream_tls(
    ctx: &Context<'_>,
    route: &mut route::Draft,
    system: &dyn Fn() -> Arc<[CertificateDer<'static>]>,
) -> Option<Arc<UpstreamTls>> {
    let speaks = |draft: &&upstream::Draft| matches!(draft.weighted.upstream, Upstream::Https { .. });
    let place = route.upstreams.iter().find(speaks)?.place;
    let asked = route.upstream_tls.take();
    let (own, server_name, client) =
        asked.map(|tls| (tls.authorities, tls.server_name, tls.client)).unwrap_or_default();
    let authorities = own.unwrap_or_else(system);
    if authorities.is_empty() {
        let message = format!(
            "route `{}`: the upstream speaks https, and this machine has no list of certification authorities",
            route.name
        );
        let hint = "install the package ca-certificates, or name the upstream's own authority in `upstream_tls.ca`";
        ctx.error(place, message, Some(hint.to_owned()));
    }
    Some(Arc::new(UpstreamTls::new(authorities, server_name, client)))
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
        client_certificates: route.client_certificates.0.clone(),
        allow_encoded_slash: route.allow_encoded_slash,
        websocket_origins: route.websocket_origins.clone(),
    };
    Some((settled, route.place))
}
