//! Where the way leads after a login: a path on the same host, and nothing else (attack cases A43, A44).
//!
//! An address is read by the same rules as a request's target, so that what is checked here is what the browser will ask
//! for and what the gateway will match. Anything that does not pass is replaced by `/`.

use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{held, sign_on};
use crate::authz::{NormalTarget, RawTarget, SecondFactorDemand};
use crate::service::login::Destination;
use crate::service::visit::Visit;

/// Longer ones would make a `Location` that some browsers and proxies refuse. In bytes.
const LONGEST: usize = 4096;

/// Pages of ours that one may come back to.
const OWN_PAGES: [&str; 3] = ["account", "admin", "held"];

/// The destination that `wish` names, with the second factor that is asked for there.
#[must_use]
pub fn destination(visit: &Visit, wish: Option<&str>) -> Destination {
    let target = wish.and_then(|wish| checked(visit, wish));
    let target = target.or_else(|| parsed(visit, "/"));
    Destination {
        demand: target.as_ref().map_or_else(|| visit.config.portal_demand(), |target| demand(visit, target)),
        return_to: target.map_or_else(|| "/".to_owned(), |target| target.path_and_query().to_owned()),
    }
}

/// The path that `wish` names.
#[must_use]
pub fn path(visit: &Visit, wish: Option<&str>) -> String {
    destination(visit, wish).return_to
}

/// The path that this very request asked for.
#[must_use]
pub fn of_request(visit: &Visit) -> String {
    path(visit, Some(visit.target.path_and_query()))
}

/// `path` as the value of a query parameter.
#[must_use]
pub fn encoded(path: &str) -> String {
    utf8_percent_encode(path, NON_ALPHANUMERIC).to_string()
}

fn checked(visit: &Visit, wish: &str) -> Option<NormalTarget> {
    // Before anything is normalised: slashes would be merged, and `//evil` must not become a path of ours.
    let is_path = wish.starts_with('/') && !wish.starts_with("//") && !wish.contains(['\\', '#']);
    if !is_path || wish.len() > LONGEST || !wish.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let target = parsed(visit, wish)?;
    // Whatever the rules above and those of targets are one day: a `Location` of ours begins with one slash.
    let safe = target.path().starts_with('/') && !target.path().starts_with("//");
    // Escapes make it longer.
    let safe = safe && target.path_and_query().len() <= LONGEST;
    (safe && may_come_back(visit, &target)).then_some(target)
}

fn parsed(visit: &Visit, path: &str) -> Option<NormalTarget> {
    let authority = visit.target.authority();
    let raw = RawTarget { target: path.as_bytes(), authority: Some(authority.as_bytes()), secure: visit.secure };
    NormalTarget::parse(raw).ok()
}

/// Any path that can be asked for, but of the portal's own only the pages that one works on, not those of the login.
fn may_come_back(visit: &Visit, target: &NormalTarget) -> bool {
    match below(visit, target) {
        Some(_) if sign_on::is_way(visit, target) => true,
        Some(page) => !target.has_encoded_slash() && OWN_PAGES.contains(&page.split('/').next().unwrap_or_default()),
        None => visit.config.routes.find(target, &Method::GET).is_ok(),
    }
}

/// The page's path below the portal's, without the slash between them.
fn below<'a>(visit: &Visit, target: &'a NormalTarget) -> Option<&'a str> {
    let rest = target.matching_path().strip_prefix(visit.config.portal.path.as_str())?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// What is asked for at `target`. Where no route is, the gateway's own word: stricter than need be harms nobody.
fn demand(visit: &Visit, target: &NormalTarget) -> SecondFactorDemand {
    if let Some(there) = sign_on::target(visit, target) {
        return there.demand;
    }
    let route = match below(visit, target) {
        Some(page) => match held::leads_to(page, target.query()).and_then(|path| parsed(visit, &path)) {
            // What is asked for where the kept form goes. Whatever it says there, the form is judged by its own target.
            Some(form) => visit.config.routes.find(&form, &Method::POST).ok().flatten(),
            None => None,
        },
        None => visit.config.routes.find(target, &Method::GET).ok().flatten(),
    };
    let route = route.and_then(|id| visit.config.routes.get(id));
    route.map_or_else(|| visit.config.portal_demand(), |route| route.second_factor)
}
