//! From a route to a connection: which upstream, which address, under which limits; and what a failure there leads to.
//!
//! ```text
//! group      the upstreams of a route, by weight     member     one of them: is it in, and why not
//! tries      what one request has tried so far       health     asks whether they are well, lets ejected ones in again
//! resolver   names and their addresses               tls        what TLS to them asks for
//! handshake  sockets for WebSocket handshakes       sharing    whose requests may go over one connection
//! http2      connections to tools that speak it (gRPC)
//! ```

pub mod group;
mod handshake;
pub mod health;
pub mod http2;
pub mod member;
mod resolver;
mod sharing;
pub mod tls;
mod tries;

use std::sync::Arc;
use std::time::Duration;

use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType};
use tokio::time::Instant;

use self::group::{Group, Place};
use self::handshake::HandshakeConnector;
pub use self::resolver::Resolver;
pub use self::sharing::Sharing;
pub use self::tries::Tries;
use super::context::{Call, Passage, Request};
use crate::config::{Protocol, Upstream};

/// How long an idle connection to an upstream is kept: less than what common servers allow (Apache 5 s is the exception, and
/// a connection found closed is opened again).
const POOL_IDLE: Duration = Duration::from_secs(55);
/// Keeps the sockets of handshakes apart from the others in the pool.
const HANDSHAKES: u64 = 1;

/// Where to connect for this request's next try.
///
/// # Errors
/// Where there is no address to be had; the error says whether another upstream may be tried.
pub async fn choose(
    resolver: &Resolver,
    call: &Call,
    request: &Request,
    passage: &Passage,
    tries: &mut Tries,
    now: Instant,
) -> Result<Box<HttpPeer>, Box<Error>> {
    let route = request.plan.config.upstream(passage.route).ok_or_else(nowhere)?;
    let group = &request.plan.route(passage.route).ok_or_else(nowhere)?.group;
    let place = tries.next(group).and_then(|index| group.place(index)).ok_or_else(nowhere)?;
    let timeouts = &route.timeouts;
    let connect = tries.time_left(timeouts.connect, now).clamp(Duration::from_millis(1), timeouts.connect);
    let (mut peer, addresses) = match connectable(resolver, group, place, connect, tries.round).await {
        Ok(found) => found,
        Err(mut error) => {
            error.set_retry(unreachable(request, passage, tries));
            return Err(error);
        }
    };
    tries.saw_addresses(addresses);
    peer.options.write_timeout = Some(timeouts.write);
    peer.options.idle_timeout = Some(POOL_IDLE);
    passage.sharing.apply(&mut peer);
    let options = &mut peer.options;
    if passage.websocket {
        // A WebSocket may be silent for as long as both sides like, once it is one.
        options.read_timeout = None;
        call.must_be_answered_within(timeouts.connect * 2 + timeouts.read);
        let connector = HandshakeConnector { limit: connect, signals: Arc::clone(&call.signals) };
        options.custom_l4 = Some(Arc::new(connector));
        peer.group_key |= HANDSHAKES;
    } else if !passage.streams {
        options.read_timeout = Some(timeouts.read);
    }
    if route.protocol == Protocol::Http2 {
        http2::apply(&mut peer, passage.sharing);
    }
    Ok(Box::new(peer))
}

/// An address of this upstream with what TLS to it asks for, and how many addresses there are.
pub(super) async fn connectable(
    resolver: &Resolver,
    group: &Group,
    place: &Place,
    connect: Duration,
    round: usize,
) -> Result<(HttpPeer, usize), Box<Error>> {
    let (mut peer, addresses) = match &place.upstream {
        Upstream::Http { host, port } | Upstream::Https { host, port } => {
            let (address, count) = match place.address {
                Some(address) => (address, 1),
                None => resolver.pick(host, *port, connect, round).await?,
            };
            let mut peer = HttpPeer::new(address, matches!(place.upstream, Upstream::Https { .. }), String::new());
            if peer.is_tls() {
                group.tls.as_ref().ok_or_else(nowhere)?.apply(&mut peer, host.trim_matches(['[', ']']));
            }
            (peer, count)
        }
        Upstream::Unix { path } => (HttpPeer::new_uds(path.to_str().ok_or_else(nowhere)?, false, String::new())?, 1),
    };
    peer.options.connection_timeout = Some(connect);
    peer.options.total_connection_timeout = Some(connect);
    Ok((peer, addresses))
}

/// The newest try found no connection, so that nothing was sent: true where another one may follow, whatever the method.
pub fn unreachable(request: &Request, passage: &Passage, tries: &mut Tries) -> bool {
    let Some((group, index, place)) = newest(request, passage, tries) else { return false };
    place.member.figures.connect_failures.inc();
    group.failed(index);
    again(request, passage, tries, group, place)
}

/// How a try ended that had a connection.
pub struct Break<'a> {
    pub error: &'a Error,
    /// Nothing of the answer has come, and the request can be sent once more without harm.
    pub repeatable: bool,
    /// The connection came from the pool.
    pub reused: bool,
    /// Nothing of the answer has come.
    pub unanswered: bool,
}

/// The newest try broke off: true where another upstream may be asked.
pub fn broken(request: &Request, passage: &Passage, tries: &mut Tries, broken: &Break<'_>) -> bool {
    use ErrorType::{ConnectionClosed, ReadError, ReadTimedout, WriteError, WriteTimedout};
    let Some((group, index, place)) = newest(request, passage, tries) else { return false };
    if *broken.error.esource() != ErrorSource::Upstream || !broken.unanswered {
        return false;
    }
    let is_gone = matches!(broken.error.etype(), ConnectionClosed | ReadError | WriteError);
    if is_gone && broken.reused {
        // An idle connection that the upstream closed just then says nothing of how it is.
        place.member.figures.retries.inc_by(u64::from(broken.repeatable));
        return broken.repeatable;
    }
    let is_slow = matches!(broken.error.etype(), ReadTimedout | WriteTimedout);
    if is_gone || is_slow {
        group.failed(index);
    }
    // Who is slow to answer here is slow elsewhere, and the client has waited long enough.
    is_gone && broken.repeatable && group.has_untried(tries.tried()) && again(request, passage, tries, group, place)
}

/// The newest try was answered.
pub fn answered(request: &Request, passage: &Passage, tries: &Tries) {
    if let Some((_, _, place)) = newest(request, passage, tries) {
        place.member.answered();
    }
}

fn again(request: &Request, passage: &Passage, tries: &mut Tries, group: &Group, place: &Place) -> bool {
    let connect = request.plan.config.upstream(passage.route).map(|route| route.timeouts.connect);
    let again = connect.is_some_and(|connect| tries.may_go_elsewhere(group, connect));
    place.member.figures.retries.inc_by(u64::from(again));
    again
}

fn newest<'r>(request: &'r Request, passage: &Passage, tries: &Tries) -> Option<(&'r Group, usize, &'r Place)> {
    let group = &request.plan.route(passage.route)?.group;
    let index = tries.current?;
    Some((group, index, group.place(index)?))
}

pub(super) fn nowhere() -> Box<Error> {
    Error::explain(ErrorType::ConnectNoRoute, "the route leads to no upstream").into_up()
}
