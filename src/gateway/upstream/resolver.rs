//! Host names and the addresses they had a moment ago.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pingora::{Error, ErrorType};
use tokio::time::{Instant, timeout};

/// How long an answer of the resolver is used; the resolver has its own cache by the records' own lifetimes.
const RESOLVED: Duration = Duration::from_secs(10);

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
    /// One of the host's addresses, by `round` in turn, and how many there are.
    ///
    /// # Errors
    /// Where it has none, or `limit` is over.
    pub async fn pick(
        &self,
        host: &str,
        port: u16,
        limit: Duration,
        round: usize,
    ) -> Result<(SocketAddr, usize), Box<Error>> {
        let addresses = self.resolve(host, port, limit).await?;
        let count = addresses.len();
        let chosen = round.checked_rem(count).and_then(|index| addresses.get(index));
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
