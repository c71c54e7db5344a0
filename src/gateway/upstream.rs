//! From a route to an address to connect to, with a limit on every wait.

mod handshake;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};
use tokio::time::{Instant, timeout};

use self::handshake::HandshakeConnector;
use super::context::{Call, Passage, Request};
use crate::config::Upstream;

/// How long an idle connection to an upstream is kept: less than what common servers allow (Apache 5 s is the exception, and
/// a connection found closed is opened again).
const POOL_IDLE: Duration = Duration::from_secs(55);
/// Keeps the sockets of handshakes apart from the others in the pool.
const HANDSHAKES: u64 = 1;
/// How long an answer of the resolver is used; the resolver has its own cache by the records' own lifetimes.
const RESOLVED: Duration = Duration::from_secs(10);

/// A peer, and how many other addresses could be tried.
pub struct Choice {
    pub peer: Box<HttpPeer>,
    pub addresses: usize,
}

/// Where to connect for this request; `attempt` counts from 0 and goes through the upstream's addresses.
///
/// # Errors
/// Where there is no address to be had.
pub async fn choose(
    resolver: &Resolver,
    call: &Call,
    request: &Request,
    passage: &Passage,
    attempt: usize,
) -> Result<Choice, Box<Error>> {
    let Some(route) = request.plan.config.upstream(passage.route) else { return Err(nowhere()) };
    let literal = request.plan.route(passage.route).and_then(|plan| plan.address);
    let connect = route.timeouts.connect;
    let (mut peer, addresses) = match &route.upstream {
        Upstream::Http { host, port } => {
            let (address, count) = resolver.pick(literal, host, *port, connect, attempt).await?;
            (HttpPeer::new(address, false, String::new()), count)
        }
        Upstream::Https { host, port } => {
            let (address, count) = resolver.pick(literal, host, *port, connect, attempt).await?;
            // Pingora verifies nothing where there is no name to verify.
            (HttpPeer::new(address, true, host.trim_matches(['[', ']']).to_owned()), count)
        }
        Upstream::Unix { path } => {
            let path = path.to_str().ok_or_else(nowhere)?;
            (HttpPeer::new_uds(path, false, String::new())?, 1)
        }
        Upstream::Nowhere => return Err(nowhere()),
    };
    let options = &mut peer.options;
    options.connection_timeout = Some(connect);
    options.total_connection_timeout = Some(connect);
    options.write_timeout = Some(route.timeouts.write);
    options.idle_timeout = Some(POOL_IDLE);
    if passage.websocket {
        // A WebSocket may be silent for as long as both sides like, once it is one.
        options.read_timeout = None;
        call.must_be_answered_within(connect + route.timeouts.read);
        let connector = HandshakeConnector { limit: connect, signals: Arc::clone(&call.signals) };
        options.custom_l4 = Some(Arc::new(connector));
        peer.group_key = HANDSHAKES;
    } else {
        options.read_timeout = Some(route.timeouts.read);
    }
    Ok(Choice { peer: Box::new(peer), addresses })
}

fn nowhere() -> Box<Error> {
    Error::explain(ErrorType::ConnectNoRoute, "the route leads to no upstream").into_up()
}

/// Host names and the addresses they had a moment ago.
#[derive(Debug, Default)]
pub struct Resolver {
    known: Mutex<HashMap<(String, u16), Resolved>>,
}

#[derive(Debug, Clone)]
struct Resolved {
    at: Instant,
    addresses: Arc<[SocketAddr]>,
}

impl Resolver {
    async fn pick(
        &self,
        literal: Option<SocketAddr>,
        host: &str,
        port: u16,
        limit: Duration,
        attempt: usize,
    ) -> Result<(SocketAddr, usize), Box<Error>> {
        if let Some(address) = literal {
            return Ok((address, 1));
        }
        let addresses = self.resolve(host, port, limit).await?;
        let count = addresses.len();
        let chosen = attempt.checked_rem(count).and_then(|index| addresses.get(index));
        chosen.map(|address| (*address, count)).ok_or_else(|| unresolved(host, "it has no address"))
    }

    async fn resolve(&self, host: &str, port: u16, limit: Duration) -> Result<Arc<[SocketAddr]>, Box<Error>> {
        let key = (host.to_owned(), port);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(fresh) = known.as_ref().filter(|known| known.at.elapsed() < RESOLVED) {
            return Ok(Arc::clone(&fresh.addresses));
        }
        let failure = match timeout(limit, tokio::net::lookup_host((host, port))).await {
            Ok(Ok(found)) => {
                let addresses: Arc<[SocketAddr]> = found.collect();
                let resolved = Resolved { at: Instant::now(), addresses: Arc::clone(&addresses) };
                self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, resolved);
                return Ok(addresses);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the resolver did not answer in time".to_owned(),
        };
        // An address that was right a moment ago is better than none.
        known.map(|old| old.addresses).ok_or_else(|| unresolved(host, &failure))
    }
}

fn unresolved(host: &str, why: &str) -> Box<Error> {
    Error::explain(ErrorType::ConnectNoRoute, format!("cannot resolve {host}: {why}")).into_up()
}
