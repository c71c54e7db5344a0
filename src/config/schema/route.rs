//! `routes`: one route as the file says it. What it inherits, and whether it collides with another, comes later.

use std::time::Duration;

use http::Method;

use super::access::{Header, headers};
use super::login::POLICIES;
use super::{upstream, upstream_auth};
use crate::authz::{Access, Allow, HostPattern, Policy, RoutePath};
use crate::config::reader::{Field, Section};
use crate::config::values::{self, days, hours, minutes, seconds};
use crate::config::{HeaderNames, HealthCheck, Protocol, Timeouts, ToolCookies, address, diagnostic::Place};

/// One route. The parts that decide what it matches are `None` where they are wrong, so that no collision is reported
/// that is not there.
pub(in crate::config) struct Draft {
    pub place: Place,
    pub name: String,
    pub host: Option<HostPattern>,
    pub path: Option<(RoutePath, Place)>,
    pub methods: Option<Vec<Method>>,
    pub access: Access,
    pub allow: Allow,
    pub second_factor: Option<Policy>,
    pub recheck_interval: Option<Duration>,
    pub idle_timeout: Option<(Duration, Place)>,
    pub idle_exempt: Vec<RoutePath>,
    /// Header names and templates; an empty template removes the gateway's.
    pub headers: Vec<(http::HeaderName, crate::config::HeaderTemplate, Place)>,
    pub upstreams: Vec<upstream::Draft>,
    pub health_check: Option<HealthCheck>,
    pub upstream_tls: Option<upstream::TlsDraft>,
    pub upstream_auth: Option<upstream_auth::Draft>,
    pub protocol: (Protocol, Place),
    pub preserve_host: bool,
    pub header_names: HeaderNames,
    pub timeouts: Timeouts,
    pub max_body: Option<u64>,
    pub client_certificates: (Vec<String>, Place),
    pub allow_encoded_slash: bool,
    pub websocket_origins: Vec<String>,
    pub forget_cookies: Vec<String>,
}

pub(super) fn routes(root: &mut Section<'_>) -> Vec<Draft> {
    let field = root.field("routes").required("at least one, with `name` and `upstream`");
    if field.is_empty_list() {
        field.error("must hold at least one route", None);
    }
    field.list(|item| item.read_section(route)).unwrap_or_default()
}

fn route(section: &mut Section<'_>) -> Draft {
    let name = section.field("name").required("a short name for logs and tokens").parse(values::route_name);
    let host = section.field("host");
    let host_pattern = if host.given() { host.parse(values::host_pattern) } else { Some(HostPattern::Any) };
    let path = section.field("path");
    let path_prefix = if path.given() { path.parse(values::path) } else { Some(RoutePath::root()) };
    let (methods, methods_are_all) = methods(section);
    let access = section.field("access");
    let words = [("authenticated", Access::Authenticated), ("public", Access::Public), ("deny", Access::Deny)];
    let access_is = access.choice(&words).unwrap_or(Access::Authenticated);
    if access_is == Access::Public
        && path_prefix.as_ref().is_some_and(|path| *path == RoutePath::root())
        && methods_are_all
    {
        let hint = "give the route a path of its own; what else there is stands behind the login";
        access.warn("lets everybody through to everything on this host", Some(hint.to_owned()));
    }
    let allow = section.within("allow", |section| allow(section, access_is));
    let second_factor = section.field("second_factor").choice(POLICIES);
    let recheck = section.field("recheck_interval");
    let recheck_interval = recheck.duration(seconds(1)..=days(3650));
    if recheck_interval.is_some_and(|interval| interval > days(30)) {
        recheck.warn("is longer than 30 days", Some("NIST SP 800-63B-4 §2.1.3 advises at most 30d".to_owned()));
    }
    let idle = section.field("idle_timeout");
    let idle_timeout = idle.duration(seconds(1)..=days(365)).map(|timeout| (timeout, idle.place()));
    let idle_exempt = idle_exempt(section, path_prefix.as_ref());
    let headers = section.within("identity", |section| {
        let field = section.field("headers");
        if field.given() { headers(&field) } else { Vec::new() }
    });
    let upstreams = upstream::upstreams(section, access_is);
    let health_check = upstream::health_check(section);
    let upstream_auth = upstream_auth::upstream_auth(section, access_is);
    let preserve_host = section.boolean("preserve_host", true);
    let timeouts = section.within("timeouts", |section| Timeouts {
        connect: section.duration("connect", seconds(5), seconds(1)..=minutes(10)),
        read: section.duration("read", seconds(60), seconds(1)..=hours(24)),
        write: section.duration("write", seconds(60), seconds(1)..=hours(24)),
    });
    let max_body = section.field("max_body").size_or_zero(1..=1 << 40).filter(|bytes| *bytes > 0);
    let certificates = section.field("client_certificates");
    let names = certificates.list(|item| item.parse(values::certificate_name)).unwrap_or_default();
    let client_certificates = (names, certificates.place());
    let allow_encoded_slash = section.boolean("allow_encoded_slash", false);
    let protocol = protocol(section, health_check.is_some());
    let header_names = header_names(section, protocol.0);
    let websocket_origins =
        section.field("websocket_origins").list(|item| item.secret().parse(address::web_origin)).unwrap_or_default();
    let upstream_tls = upstream::tls(section, &upstreams);
    let forget_cookies =
        section.field("forget_cookies").list(|item| item.parse(values::cookie_name)).unwrap_or_default();
    if let Some(form) = upstream_auth.as_ref().and_then(|(auth, _)| auth.form()) {
        let field = section.field("upstream_auth");
        let is_forgotten = |cookie: &String| forget_cookies.contains(cookie);
        let forgets = !forget_cookies.is_empty() && form.success.cookie.as_ref().is_none_or(is_forgotten);
        if form.cookies == ToolCookies::Browser && !forgets {
            let hint = "name them in `forget_cookies`, or let sekisho keep them: `cookies: kept`".to_owned();
            let message = "with `cookies: browser`, the tool's cookies would stay behind for whoever signs in next";
            field.error_at_key(message, Some(hint));
        }
        if protocol.0 == Protocol::Http2 {
            let hint = "login forms are sent over HTTP/1.1; leave `protocol` out".to_owned();
            field.error_at_key("a tool that speaks HTTP/2 alone cannot be signed in to by its form", Some(hint));
        }
    }
    Draft {
        place: section.place(),
        name: name.unwrap_or_default(),
        host: host_pattern,
        path: path_prefix.map(|prefix| (prefix, path.place())),
        methods,
        access: access_is,
        allow,
        second_factor,
        recheck_interval,
        idle_timeout,
        idle_exempt,
        headers: headers
            .into_iter()
            .map(|Header { name, template, field }| (name, template, field.key_place()))
            .collect(),
        upstreams,
        health_check,
        upstream_tls,
        upstream_auth,
        protocol,
        preserve_host,
        header_names,
        timeouts,
        max_body,
        client_certificates,
        allow_encoded_slash,
        websocket_origins,
        forget_cookies,
    }
}

fn protocol(section: &mut Section<'_>, has_health_check: bool) -> (Protocol, Place) {
    let field = section.field("protocol");
    let protocol = field.choice(&[("http1", Protocol::Http1), ("http2", Protocol::Http2)]).unwrap_or(Protocol::Http1);
    if protocol == Protocol::Http2 && has_health_check {
        let hint = "leave `health_check` out: an upstream that fails is left out for a while all the same";
        field.error("contradicts `health_check`, which asks over HTTP/1.1", Some(hint.to_owned()));
    }
    (protocol, field.place())
}

fn header_names(section: &mut Section<'_>, protocol: Protocol) -> HeaderNames {
    let field = section.field("header_names");
    let names = field.choice(&[("lower", HeaderNames::Lower), ("title", HeaderNames::Title)]);
    let names = names.unwrap_or(HeaderNames::Lower);
    if names == HeaderNames::Title && protocol == Protocol::Http2 {
        field.error("contradicts `protocol: http2`, which has names in lower case alone", None);
    }
    names
}

/// The methods, `None` where one is wrong; and whether the route is for all of them.
fn methods(section: &mut Section<'_>) -> (Option<Vec<Method>>, bool) {
    let field = section.field("methods");
    if !field.given() {
        return (Some(Vec::new()), true);
    }
    let Some(items) = field.list(|item| Some(item.parse(values::method))) else { return (None, false) };
    let is_all = items.is_empty();
    let mut methods = Vec::with_capacity(items.len());
    for method in items {
        let Some(method) = method else { return (None, is_all) };
        if methods.contains(&method) {
            field.error(format!("names {method} twice"), None);
            return (None, is_all);
        }
        methods.push(method);
    }
    (Some(methods), is_all)
}

fn allow(section: &mut Section<'_>, access: Access) -> Allow {
    let (groups, users, networks) = (section.field("groups"), section.field("users"), section.field("networks"));
    let allow = Allow {
        groups: groups.list(|item| item.parse(values::group)).unwrap_or_default().into_iter().collect(),
        users: users.list(|item| item.parse(values::login)).unwrap_or_default().into_iter().collect(),
        networks: networks.list(|item| item.parse(values::network)).unwrap_or_default(),
    };
    if access == Access::Public {
        for (field, given) in [(groups, !allow.groups.is_empty()), (users, !allow.users.is_empty())] {
            if given {
                let hint = "use `access: authenticated`, or limit the route by `networks`".to_owned();
                field.error("contradicts `access: public`: whom a list names is known after a login alone", Some(hint));
            }
        }
    }
    allow
}

fn idle_exempt(section: &mut Section<'_>, route: Option<&RoutePath>) -> Vec<RoutePath> {
    let read = |item: Field<'_>| {
        let path = item.parse(values::path)?;
        if route.is_some_and(|route| !route.covers(path.as_str())) {
            item.warn("does not lie below the route's path, so no request of this route has it", None);
        }
        Some(path)
    };
    section.field("idle_exempt").list(read).unwrap_or_default()
}
