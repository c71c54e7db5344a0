//! One sign-on for several hosts (`portal.host`): which pages are where, and the way between the hosts.
//!
//! ```text
//! tool's host      a page, nobody there ──▶ 303, sets the handoff cookie
//! portal host      /sign-on?to=WAY      ──▶ the login, the code, whatever is due; then 303
//! tool's host      /handoff?code=CODE   ──▶ 303 to the page, sets the host's own session cookie
//! ```
//!
//! The way is sealed: nobody else can make one, so it leads to hosts that a route names and to paths that were checked there. What comes with
//! a code decides where it is good, never its address.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderName, Method};

use super::error::PortalError;
use super::exchange::Exchange;
use super::headers::Forms;
use super::message::{self, Kind};
use super::{answers, guard, negotiate, return_to, tool_cookies};
use crate::authz::{Challenge, HostPattern, NormalTarget, Place, RawTarget, Route, SecondFactorDemand, decision};
use crate::secret::{ExposeSecret, Token};
use crate::service::Services;
use crate::service::cookies::CookieKind;
use crate::service::session::LiveSession;
use crate::service::sign_on::{Redeemed, Way};
use crate::service::visit::Visit;

/// On the portal host: carries the sign-in on.
pub const PATH: &str = "/sign-on";
/// On the host that it is carried to.
pub const BACK: &str = "/handoff";

const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// What there is on a tool's host: the way in and out, what belongs to that host alone, and what pages are dressed with.
const ON_TOOLS_HOSTS: [&str; 9] =
    [BACK, "/login", "/logout", "/api/session", "/api/logout", "/jwks.json", "/held", "/auth", "/static"];

/// The answer to a page that is not on this host; `None`: it is.
#[must_use]
pub fn elsewhere(visit: &Visit, page: &str, method: &Method, headers: &HeaderMap) -> Option<Response> {
    let is = |name: &str| page.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let reads = matches!(*method, Method::GET | Method::HEAD);
    match visit.place() {
        Place::Alone | Place::Portal => return None,
        Place::Unnamed if is("/static") => return None,
        Place::Tool if !is("/login") && ON_TOOLS_HOSTS.iter().any(|own| is(own)) => return None,
        Place::Tool | Place::Unnamed => {}
    }
    let exchange = Exchange::new(visit.clone(), method.clone(), headers.clone());
    if visit.place() == Place::Unnamed || !reads || is("/api") || is(PATH) {
        let audience = exchange.audience();
        return Some(answers::refuse(exchange, audience, Kind::NotFound));
    }
    if !visit.may_sign_in {
        return Some(message::page(exchange, Kind::PlainHttp));
    }
    if is("/login") {
        let return_to = return_to::path(visit, exchange.query.get("return_to"));
        return Some(begin(exchange, &return_to, None));
    }
    let path = format!("{}{}", portal_origin(visit), visit.target.path_and_query());
    Some(exchange.redirect(&path))
}

/// Leads a browser from a tool's host to the portal host.
#[must_use]
pub fn begin(mut exchange: Exchange, return_to: &str, notice: Option<&str>) -> Response {
    // Several windows share the cookie: what was begun in one is not lost by the next.
    let cookie = match exchange.visit.cookies.handoff.clone() {
        Some(known) => Ok(known),
        None => Token::generate(),
    };
    let visit = &exchange.visit;
    let spelled =
        cookie.as_ref().ok().and_then(|cookie| Way::from(visit, cookie, return_to).spelled(&visit.config).ok());
    let (Ok(cookie), Some(spelled)) = (cookie, spelled) else {
        return message::page(exchange, Kind::Internal);
    };
    let way = format!("{}?to={spelled}", exchange.page_path(PATH));
    let path = match notice {
        None => way,
        // Whoever has just signed out is not signed in again unasked.
        Some(notice) => {
            format!("{}?return_to={}&notice={notice}", exchange.page_path("/login"), return_to::encoded(&way))
        }
    };
    let path = format!("{}{path}", portal_origin(visit));
    exchange.set_cookie(CookieKind::Handoff, &cookie);
    exchange.redirect(&path)
}

/// `GET /sign-on`, on the portal host.
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let exchange = match guard::page(exchange) {
        Ok(exchange) => exchange,
        Err(answer) => return Ok(*answer),
    };
    if exchange.visit.place() != Place::Portal {
        return Ok(message::not_found(exchange).await);
    }
    // A HEAD would have the answer's head, with the code in it, seen by nobody.
    if exchange.method != Method::GET {
        return Ok(message::method_not_allowed(exchange).await);
    }
    if !is_whole_window(&exchange) {
        return Ok(message::page(exchange, Kind::BadRequest));
    }
    let Some(there) = target(&exchange.visit, &exchange.visit.target) else {
        let path = exchange.page_path("/");
        return Ok(exchange.redirect(&path));
    };
    if exchange.visit.config.place(there.target.host()) != Place::Tool {
        return Ok(message::page(exchange, Kind::NotFound));
    }
    let origin = exchange.visit.origin_of(there.target.host().as_str());
    if !there.way.is_fresh(exchange.visit.now) {
        // It begins anew there.
        return Ok(exchange.redirect(&format!("{origin}{}", there.target.path_and_query())));
    }
    let here = return_to::of_request(&exchange.visit);
    match missing(&services, &exchange, &there).await? {
        None => {}
        Some(Challenge::Login) => return Ok(exchange.redirect_to_login(&here, None)),
        Some(challenge) => return Ok(answers::lead_to_page(&services, exchange, challenge, &here).await),
    }
    match services.sign_on.mint(&exchange.visit, &there.way).await? {
        Some(code) => {
            let back = exchange.page_path(BACK);
            Ok(exchange.redirect(&format!("{origin}{back}?code={}", code.encode().expose_secret())))
        }
        None => Ok(exchange.redirect_to_login(&here, None)),
    }
}

/// `GET /handoff`, on a tool's host.
pub async fn redeem(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let mut exchange = match guard::page(exchange) {
        Ok(exchange) => exchange,
        Err(answer) => return Ok(*answer),
    };
    if exchange.visit.place() != Place::Tool {
        return Ok(message::not_found(exchange).await);
    }
    // A HEAD spends nothing.
    if exchange.method != Method::GET {
        return Ok(message::method_not_allowed(exchange).await);
    }
    let code = exchange.query.get("code").and_then(Token::parse);
    let redeemed = match code {
        Some(code) => services.sign_on.redeem(&exchange.visit, exchange.user_agent(), &code).await?,
        None => Redeemed::Refused,
    };
    match redeemed {
        Redeemed::SignedIn { account, session, return_to } => {
            exchange.set_cookie(CookieKind::Session, &session);
            exchange.clear_cookie(CookieKind::Handoff);
            tool_cookies::hand_to(&mut exchange, account);
            // It was checked when it was set down; routes may have changed since.
            let path = return_to::path(&exchange.visit, Some(&return_to));
            Ok(exchange.redirect(&path))
        }
        // Another window was quicker.
        Redeemed::Refused if exchange.session().is_some() => Ok(exchange.redirect("/")),
        Redeemed::Refused => Ok(message::page(exchange, Kind::SignOnFailed)),
    }
}

/// Where a way leads.
pub struct There {
    way: Way,
    target: NormalTarget,
    /// The second factor that is asked for there.
    pub demand: SecondFactorDemand,
}

/// Whether this is a page of the portal host that carries a sign-in on.
#[must_use]
pub fn is_way(visit: &Visit, page: &NormalTarget) -> bool {
    target(visit, page).is_some()
}

/// Where the way of this page leads; `None`: it is no such page, or no way of ours.
#[must_use]
pub fn target(visit: &Visit, page: &NormalTarget) -> Option<There> {
    let below = page.matching_path().strip_prefix(visit.config.portal.path.as_str())?;
    if below != PATH || visit.config.place(page.host()) != Place::Portal {
        return None;
    }
    let query = super::form::Fields::of_query(page.query());
    let way = Way::read(query.get("to")?, &visit.config)?;
    let authority = match page.port() {
        Some(port) => format!("{}:{port}", way.host),
        None => way.host.clone(),
    };
    let raw =
        RawTarget { target: way.return_to.as_bytes(), authority: Some(authority.as_bytes()), secure: visit.secure };
    let target = NormalTarget::parse(raw).ok()?;
    let demand = route(visit, &target).map_or_else(|| visit.config.portal_demand(), |route| route.second_factor);
    Some(There { way, target, demand })
}

fn route<'a>(visit: &'a Visit, target: &NormalTarget) -> Option<&'a Route> {
    let id = visit.config.routes.find(target, &Method::GET).ok().flatten()?;
    visit.config.routes.get(id)
}

/// What has to be supplied before the sign-in may be carried there, so that it is enough when it arrives.
async fn missing(services: &Services, exchange: &Exchange, there: &There) -> Result<Option<Challenge>, PortalError> {
    let (visit, now) = (&exchange.visit, exchange.visit.now);
    let Some(live) = exchange.session() else { return Ok(Some(Challenge::Login)) };
    let Some(route) = route(visit, &there.target) else {
        return Ok(due(live, there.demand, visit));
    };
    let Some(identity) = live.identity(route) else { return Ok(Some(Challenge::Login)) };
    // Another node may have seen the session since.
    let idle = now.since(identity.last_seen) >= route.idle_timeout;
    if idle && !services.sessions.still_idle(live, route, now).await? {
        return Ok(live.identity(route).map_or(Some(Challenge::Login), |seen| decision::missing(route, &seen, now)));
    }
    Ok(decision::missing(route, &identity, now))
}

/// The same where no route is asked.
fn due(live: &LiveSession, demand: SecondFactorDemand, visit: &Visit) -> Option<Challenge> {
    use crate::authz::requirement::Due;
    match demand.due(live.account().second_factor, live.second_factor_at(), visit.now) {
        Due::Nothing => None,
        Due::Code => Some(Challenge::SecondFactor),
        Due::Enrolment => Some(Challenge::Enrolment),
    }
}

/// A frame, or a script of another host of ours, has no business here.
fn is_whole_window(exchange: &Exchange) -> bool {
    let told = exchange.headers.get(SEC_FETCH_DEST);
    told.is_none_or(|dest| dest == "document") && !negotiate::is_framed(&exchange.headers)
}

/// Where the forms of a page may lead. Chromium holds every redirect behind a form to the list.
#[must_use]
pub fn forms(visit: &Visit, leads_out: bool) -> Forms {
    match visit.place() {
        Place::Alone | Place::Unnamed | Place::Tool if leads_out => Forms::Anywhere,
        Place::Alone | Place::Unnamed => Forms::Home,
        // Signing out leads to the login.
        Place::Tool => Forms::Listed(vec![portal_origin(visit)]),
        Place::Portal if leads_out => hosts(visit).map_or(Forms::Anywhere, Forms::Listed),
        Place::Portal => Forms::Home,
    }
}

/// The page of the portal host at this path below the portal's.
#[must_use]
pub fn portal_page(exchange: &Exchange, below: &str) -> String {
    format!("{}{}", portal_origin(&exchange.visit), exchange.page_path(below))
}

/// The longest list of hosts in a policy: other proxies take a head of a few KiB at most.
const LONGEST_LIST: usize = 2048;

/// Every host that a route names, as a policy spells it; `None`: they are too many to be listed.
fn hosts(visit: &Visit) -> Option<Vec<String>> {
    let (mut hosts, mut known, mut length) = (Vec::new(), BTreeSet::new(), 0);
    for (_, route) in visit.config.routes.iter() {
        let host = match &route.host {
            HostPattern::Exact(host) => visit.origin_of(host.as_str()),
            HostPattern::Wildcard(suffix) => visit.origin_of(&format!("*.{suffix}")),
            HostPattern::Any => continue,
        };
        if !known.insert(host.clone()) {
            continue;
        }
        length += host.len() + 1;
        if length > LONGEST_LIST {
            return None;
        }
        hosts.push(host);
    }
    Some(hosts)
}

fn portal_origin(visit: &Visit) -> String {
    visit.config.portal.host.as_ref().map(|host| visit.origin_of(host.as_str())).unwrap_or_default()
}
