//! What goes to the upstream and what comes back: strip always, then set.
//!
//! Runs after Pingora has removed what the client's `Connection` header nominates, so that nothing set here can be removed
//! by it.

pub mod assertion;
pub mod cookies;
pub mod identity;
pub mod managed;
pub mod response;
pub mod spelling;

use std::net::IpAddr;

use http::header::{AUTHORIZATION, COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::http::RequestHeader;
use pingora::{Error, ErrorType};

use super::context::{Passage, Request};
use super::credential::authorization;
use super::sign_in::{self, SignIn};
use super::target::{Arrival, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO};
use super::trace::{TRACEPARENT, TRACESTATE};
use crate::authz::{Permit, RouteId};
use crate::config::{HeaderNames, HeaderTemplate};

const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_SEKISHO_ASSERTION: HeaderName = HeaderName::from_static("x-sekisho-assertion");

/// How many fields are set in most heads: the map grows once and not by and by.
const SET: usize = 12;

/// Makes the client's head into the one that this upstream of the route's gets. Names of fields go out in lower case, as HTTP/2 has them,
/// however the client spelt them: to keep that in Pingora's second map costs more than all that is set here. Where a tool knows them by their
/// capitals alone, they are written so.
///
/// # Errors
/// Where a value cannot stand in a header, which [`crate::authz::NormalTarget`] and the account's types rule out.
pub fn for_upstream(
    head: &mut RequestHeader,
    request: &Request,
    passage: &Passage,
    upstream: Option<usize>,
) -> Result<(), Box<pingora::Error>> {
    let mut parts = spelling::parts(head);
    let fields = &mut parts.headers;
    strip(fields, request);
    fields.reserve(SET);
    let asked_for = asked_for(fields, &request.arrival);
    forwarding(fields, &request.arrival, &asked_for);
    let route = request.plan.route(passage.route);
    let authority = route.and_then(|route| route.host(upstream).cloned()).unwrap_or(asked_for);
    fields.insert(HOST, authority);
    fields.insert(X_REQUEST_ID, value(String::from(request.id)));
    fields.insert(TRACEPARENT, request.trace.header());
    for (name, value) in who(request, passage.route, &passage.permit)? {
        fields.insert(name, value);
    }
    if route.is_some_and(|route| route.sign_in.is_some()) {
        sign_in::show(fields, passage.shown_to_tool.as_ref());
    }
    let form = route.and_then(|route| route.sign_in.as_ref()).and_then(SignIn::form);
    if let (Some(form), Some(session)) = (form, &passage.tool_session) {
        session.show(form, fields, request);
    }
    let titled = route.is_some_and(|route| route.header_names == HeaderNames::Title);
    // Servers that somebody wrote by hand for a WebSocket's handshake often know RFC 6455's spelling alone.
    *head = if titled || passage.websocket { spelling::titled(parts)? } else { RequestHeader::from(parts) };
    let target = request.arrival.target.path_and_query();
    if head.raw_path() != target.as_bytes() || head.uri.authority().is_some() {
        head.set_raw_path(target.as_bytes())?;
    }
    Ok(())
}

/// What the route's tool is told of who is there; nothing where nobody is.
///
/// # Errors
/// Where the tool is to have an assertion, and none could be made: a tool that relies on it must not get the request without it.
pub fn who(
    request: &Request,
    id: RouteId,
    permit: &Permit,
) -> Result<Vec<(HeaderName, HeaderValue)>, Box<pingora::Error>> {
    let plan = &request.plan;
    let encoding = plan.config.identity.encoding;
    let templates = plan.config.upstream(id).map(|route| route.identity.as_slice()).unwrap_or_default();
    let value = |template: &HeaderTemplate| match (permit.account(), permit.machine()) {
        (Some(account), _) => identity::render(template, account, encoding),
        (None, Some(machine)) => identity::render_machine(template, machine, encoding),
        (None, None) => None,
    };
    let told = templates.iter().filter_map(|(name, template)| Some((name.clone(), value(template)?)));
    let mut told: Vec<_> = told.collect();
    if let (Some(_), Some(assertions)) = (permit.whose(), &plan.assertions) {
        let name = plan.config.routes.get(id).map_or("", |route| route.name.as_str());
        let value = assertions.value(permit, id, name, request.now);
        let value = value.ok_or_else(|| Error::explain(ErrorType::InternalError, "no assertion could be made"))?;
        told.push((X_SEKISHO_ASSERTION, value));
    }
    Ok(told)
}

/// Removes every name that sekisho manages, in every spelling, and its cookies.
fn strip(fields: &mut HeaderMap, request: &Request) {
    let managed = &request.plan.managed;
    let trusted = request.arrival.trusted;
    let is_unwanted = |name: &HeaderName| {
        let loose_state = *name == TRACESTATE && !request.trace.keeps_state(fields);
        loose_state || managed.is_removed(name.as_str(), trusted)
    };
    let unwanted: Vec<_> = fields.keys().filter(|name| is_unwanted(name)).cloned().collect();
    for name in &unwanted {
        fields.remove(name);
    }
    if authorization::is_own(fields) {
        fields.remove(AUTHORIZATION);
    }
    if request.cookies.any_own || request.cookies.lines > 1 {
        let lines = fields.get_all(COOKIE).iter();
        let rest = if request.cookies.any_other { cookies::without_own(lines) } else { None };
        fields.remove(COOKIE);
        if let Some(rest) = rest {
            fields.insert(COOKIE, rest);
        }
    }
}

/// RFC 7239 has a better header for it, but these are the ones that tools read.
fn forwarding(fields: &mut HeaderMap, arrival: &Arrival, asked_for: &HeaderValue) {
    let peer = address(arrival.peer);
    let client = if arrival.client == arrival.peer { peer.clone() } else { address(arrival.client) };
    // What a trusted proxy said is left there by `strip`; anybody else's is gone.
    let chain = if arrival.trusted { chain(fields, &peer) } else { peer };
    fields.insert(X_FORWARDED_FOR, chain);
    fields.insert(X_FORWARDED_PROTO, HeaderValue::from_static(if arrival.secure { "https" } else { "http" }));
    if !(arrival.trusted && fields.contains_key(X_FORWARDED_HOST)) {
        fields.insert(X_FORWARDED_HOST, asked_for.clone());
    }
    fields.insert(X_REAL_IP, client);
}

/// Those that were named before, and the one who brought it.
fn chain(headers: &HeaderMap, peer: &HeaderValue) -> HeaderValue {
    let named = headers.get_all(X_FORWARDED_FOR).iter().flat_map(|value| value.as_bytes().split(|&b| b == b','));
    let named = named.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty() && entry.is_ascii());
    let entries = named.chain([peer.as_bytes()]).collect::<Vec<_>>();
    HeaderValue::try_from(entries.join(b", ".as_slice())).unwrap_or_else(|_| peer.clone())
}

/// The host that the client asked for, which most clients spell as it is passed on.
fn asked_for(headers: &HeaderMap, arrival: &Arrival) -> HeaderValue {
    let spelt = headers.get(HOST).filter(|host| arrival.target.has_authority(host.as_bytes()));
    spelt.cloned().unwrap_or_else(|| value(arrival.target.authority()))
}

fn address(address: IpAddr) -> HeaderValue {
    let text = match address {
        // What formats all kinds of values takes twenty times as long for the four numbers that nearly every request has.
        IpAddr::V4(address) => {
            let mut text = String::with_capacity(15);
            for octet in address.octets() {
                let digits = [octet / 100, octet / 10 % 10, octet % 10];
                let zeros = if octet < 10 { 2 } else { usize::from(octet < 100) };
                text.extend(digits.into_iter().skip(zeros).map(|digit| char::from(b'0' + digit)));
                text.push('.');
            }
            text.pop();
            text
        }
        IpAddr::V6(address) => address.to_string(),
    };
    value(text)
}

/// Text of our own making; one that cannot be a header value becomes an empty one.
fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
pub(in crate::gateway) mod tests;
