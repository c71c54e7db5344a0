//! `/auth` (CONTRACT §3): another proxy asks whether it may pass a request on to a tool. What it says of that request is brought into the same
//! form, finds the same route and is decided by the same rules as a request that came here; the answer names who it is.
//!
//! What is different: sekisho does not send the request on, so it cannot put it right. Whatever it would have put right on the way (a path
//! that is not in its normal form, a header in a spelling that some tool takes for `Remote-User`) is refused instead.
//!
//! A proxy that says too little, or two things at once, is wrongly set up, and somebody may be trying out by which of the two it is believed:
//! 403 and a line in the log, never a guess.

use http::header::{AUTHORIZATION, COOKIE, HeaderName, UPGRADE};
use http::{HeaderMap, HeaderValue, Method};
use pingora::http::RequestHeader;

use super::context::Request;
use super::credential::authorization;
use super::gate::Verdict;
use super::headers;
use super::headers::cookies;
use super::judge::is_portal_path;
use super::listener::head::check_method;
use super::plan::Plan;
use super::target::{Arrival, X_FORWARDED_HOST};
use crate::authz::{BadTarget, NormalTarget, Permit, RawTarget, RouteId};
use crate::config::Config;
use crate::service::visit::{Ask, BadToken, Failure};

const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const X_ORIGINAL_HOST: HeaderName = HeaderName::from_static("x-original-host");
const X_ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
/// Scheme, host and URI in one.
const X_ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");
const SEC_WEBSOCKET_KEY: HeaderName = HeaderName::from_static("sec-websocket-key");

/// What the proxy asks about.
#[derive(Debug)]
pub struct Asked {
    pub method: Method,
    pub target: NormalTarget,
    /// Whether a 401 would be better a way to the login: the proxy wishes it, and the person would come back to where they were.
    pub redirect: bool,
}

/// What is wrong with the question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    #[error("it does not come from a trusted proxy (server.trusted_proxies)")]
    Stranger,
    #[error("the request did not come by https, as far as X-Forwarded-Proto says")]
    PlainHttp,
    #[error("no {0} of the request is named")]
    Missing(&'static str),
    #[error("{0} is there twice")]
    Twice(HeaderName),
    #[error("X-Forwarded-* and X-Original-* name different things for the {0}")]
    Disagree(&'static str),
    #[error("the method is none that is passed on")]
    Method,
    #[error("{0}")]
    Target(#[from] BadTarget),
    #[error("the path is not in its normal form, and the tool might read it as another one")]
    NotNormal,
    #[error("a path of sekisho's own, which has to come here itself")]
    OwnPath,
    #[error("the client sent {0}, by which tools know people, and the proxy would pass it on")]
    Claims(HeaderName),
}

/// Whether this is a question of another proxy's.
pub fn is_question(target: &NormalTarget, config: &Config) -> bool {
    target.matching_path().strip_prefix(config.portal.path.as_str()) == Some("/auth")
}

/// Reads a question.
///
/// # Errors
/// [`Misuse`]: 403.
pub fn question(head: &RequestHeader, arrival: &Arrival, plan: &Plan) -> Result<Asked, Misuse> {
    if !arrival.trusted {
        return Err(Misuse::Stranger);
    }
    if !arrival.may_sign_in {
        return Err(Misuse::PlainHttp);
    }
    let fields = &head.headers;
    let url = one(fields, &X_ORIGINAL_URL)?.map(|url| Url::read(url, arrival.secure)).transpose()?;
    let method = agreed("method", [one(fields, &X_FORWARDED_METHOD)?, one(fields, &X_ORIGINAL_METHOD)?, None])?;
    let uri = [one(fields, &X_FORWARDED_URI)?, one(fields, &X_ORIGINAL_URI)?, url.as_ref().map(|url| url.uri)];
    let uri = agreed("URI", uri)?;
    let hosts = [one(fields, &X_FORWARDED_HOST)?, one(fields, &X_ORIGINAL_HOST)?, url.as_ref().map(|url| url.host)];
    let target = target(uri, hosts, arrival.secure)?;
    if is_portal_path(&target, &plan.config) {
        return Err(Misuse::OwnPath);
    }
    check_method(method).map_err(|_| Misuse::Method)?;
    let method = Method::from_bytes(method).map_err(|_| Misuse::Method)?;
    if let Some(name) = fields.keys().find(|name| plan.managed.is_claim(name.as_str())) {
        return Err(Misuse::Claims(name.clone()));
    }
    let wished = arrival.target.query().unwrap_or_default().split('&').any(|pair| pair == "redirect=1");
    let redirect = wished && matches!(method, Method::GET | Method::HEAD);
    Ok(Asked { method, target, redirect })
}

/// The value of a field that nobody may send twice.
fn one<'a>(fields: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, Misuse> {
    let mut values = fields.get_all(name).iter();
    let value = values.next().map(HeaderValue::as_bytes);
    if values.next().is_some() { Err(Misuse::Twice(name.clone())) } else { Ok(value) }
}

/// What all say that say anything.
fn agreed<'a>(what: &'static str, said: [Option<&'a [u8]>; 3]) -> Result<&'a [u8], Misuse> {
    let mut said = said.into_iter().flatten();
    let first = said.next().filter(|first| !first.is_empty()).ok_or(Misuse::Missing(what))?;
    if said.all(|other| other == first) { Ok(first) } else { Err(Misuse::Disagree(what)) }
}

/// Hosts are compared as they are understood: one proxy may name a port that another leaves out.
fn target(uri: &[u8], hosts: [Option<&[u8]>; 3], secure: bool) -> Result<NormalTarget, Misuse> {
    // An absolute-form would name a second host.
    if uri.first() != Some(&b'/') {
        return Err(BadTarget::Form.into());
    }
    let read = |host: &[u8]| NormalTarget::parse(RawTarget { target: uri, authority: Some(host), secure });
    let mut said = hosts.into_iter().flatten().map(read);
    let target = said.next().ok_or(Misuse::Missing("host"))??;
    for other in said {
        if other? != target {
            return Err(Misuse::Disagree("host"));
        }
    }
    let path = uri.split(|&b| b == b'?').next().unwrap_or_default();
    if target.path().as_bytes() == path { Ok(target) } else { Err(Misuse::NotNormal) }
}

/// The parts of `https://host/path?query`.
struct Url<'a> {
    host: &'a [u8],
    uri: &'a [u8],
}

impl<'a> Url<'a> {
    fn read(url: &'a [u8], secure: bool) -> Result<Self, Misuse> {
        let scheme: &[u8] = if secure { b"https://" } else { b"http://" };
        let (own, rest) = url.split_at_checked(scheme.len()).ok_or(BadTarget::Form)?;
        if !own.eq_ignore_ascii_case(scheme) {
            return Err(Misuse::Disagree("scheme"));
        }
        let slash = rest.iter().position(|&b| b == b'/').ok_or(BadTarget::Form)?;
        let (host, uri) = rest.split_at_checked(slash).ok_or(BadTarget::Form)?;
        Ok(Self { host, uri })
    }
}

/// Whether the request would open a WebSocket. Not every proxy passes `Upgrade` on when it asks.
pub fn opens_websocket(head: &RequestHeader) -> bool {
    let upgrades = head.headers.get_all(UPGRADE).iter();
    let websocket =
        upgrades.filter(|value| value.as_bytes().to_ascii_lowercase().windows(9).any(|w| w == b"websocket"));
    head.headers.contains_key(SEC_WEBSOCKET_KEY) || websocket.count() > 0
}

/// What a permit is answered with: what the route's tool is told of who is there; and `Cookie` and `Authorization` as the tool may have
/// them, without what is sekisho's, for a proxy that puts them in the place of the client's.
///
/// # Errors
/// Where the tool is to have an assertion, and none could be made.
pub fn told(
    head: &RequestHeader,
    request: &Request,
    route: RouteId,
    permit: &Permit,
) -> Result<Vec<(HeaderName, HeaderValue)>, Box<pingora::Error>> {
    let mut told = headers::who(request, route, permit)?;
    if let Some(rest) = cookies::without_own(head.headers.get_all(COOKIE).iter()) {
        told.push((COOKIE, rest));
    }
    let mut lines = head.headers.get_all(AUTHORIZATION).iter();
    // Where sekisho would sign in to the tool, nobody chooses as whom the tool takes them; how it does is not for other proxies.
    let signs_in = request.plan.route(route).is_some_and(|route| route.sign_in.is_some());
    if let (Some(line), None, false) = (lines.next(), lines.next(), signs_in)
        && !authorization::is_own(&head.headers)
    {
        told.push((AUTHORIZATION, line.clone()));
    }
    Ok(told)
}

/// The verdict as the proxy is told it: yes, 401 or 403, as they know no others; what is sekisho's own trouble stays that.
pub fn answer(verdict: Verdict, asked: &Asked) -> Verdict {
    let no = || Verdict::Plain(http::StatusCode::FORBIDDEN);
    match verdict {
        Verdict::Page(Ask::Challenge(challenge)) => Verdict::Page(Ask::Auth { challenge, redirect: asked.redirect }),
        Verdict::Page(Ask::Token(BadToken::TooMany { .. } | BadToken::BesideSession)) => {
            Verdict::Page(Ask::Token(BadToken::OtherRoute))
        }
        Verdict::Page(Ask::Failure(Failure::Unavailable | Failure::Internal)) => verdict,
        Verdict::Page(Ask::Failure(_)) | Verdict::Plain(_) | Verdict::ToTls(_) => no(),
        Verdict::Page(Ask::Page) | Verdict::Forward => no(),
        other => other,
    }
}

#[cfg(test)]
mod tests;
