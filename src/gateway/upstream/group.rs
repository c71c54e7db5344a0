//! The upstreams of one route, and whose turn it is.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;
use tokio::time::Instant;

use super::member::{Member, Members};
use super::tls::{PeerTls, Shared};
use crate::config::{RouteUpstream, Upstream};

/// The upstreams of one route.
pub struct Group {
    places: Vec<Place>,
    pub tls: Option<PeerTls>,
    turn: AtomicU64,
    /// Two failures at once must not eject the last two upstreams.
    ejecting: Mutex<()>,
}

/// One of them.
pub struct Place {
    pub member: Arc<Member>,
    pub upstream: Upstream,
    /// There where the upstream is named by its address, so that there is nothing to look up.
    pub address: Option<SocketAddr>,
    /// The upstream's own name, as it stands in `Host`.
    pub authority: HeaderValue,
    weight: u32,
}

impl Group {
    pub fn new(route: &str, upstream: &RouteUpstream, members: &Members, shared: &mut Shared) -> Self {
        let settings = upstream.tls.as_ref().map_or(0, |tls| tls.fingerprint());
        let place = |one: &crate::config::WeightedUpstream| {
            let (authority, address) = match &one.upstream {
                Upstream::Http { host, port } => (authority(host, *port, 80), literal(host, *port)),
                Upstream::Https { host, port } => (authority(host, *port, 443), literal(host, *port)),
                Upstream::Unix { .. } => (HeaderValue::from_static("localhost"), None),
            };
            let member = members.of(route, &one.upstream.to_string(), settings);
            if upstream.health_check.is_none() {
                member.is_not_checked();
            }
            Place { member, upstream: one.upstream.clone(), address, authority, weight: one.weight }
        };
        Self {
            places: upstream.upstreams.iter().map(place).collect(),
            tls: upstream.tls.as_ref().map(|tls| PeerTls::new(tls, shared)),
            turn: AtomicU64::new(0),
            ejecting: Mutex::new(()),
        }
    }

    pub fn place(&self, index: usize) -> Option<&Place> {
        self.places.get(index)
    }

    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.iter()
    }

    /// Whose turn it is among those that are not in `tried` (a bit for each): one that is in, or else, as it is better to try than
    /// to give up, any.
    pub fn pick(&self, tried: u64) -> Option<usize> {
        if let [_] = self.places.as_slice() {
            return (tried == 0).then_some(0);
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let untried = |(index, place): (usize, &Place)| if is_in(tried, index) { 0 } else { place.weight };
        let share = |(index, place): (usize, &Place)| if place.member.is_in() { untried((index, place)) } else { 0 };
        let shares = || self.places.iter().enumerate().map(share);
        draw(turn, shares).or_else(|| draw(turn, || self.places.iter().enumerate().map(untried)))
    }

    /// Whether there is one that is not in `tried`.
    pub fn has_untried(&self, tried: u64) -> bool {
        self.places.iter().enumerate().any(|(index, place)| place.weight > 0 && !is_in(tried, index))
    }

    /// A request found no answer at this upstream.
    pub fn failed(&self, index: usize) {
        let Some(place) = self.places.get(index) else { return };
        if self.places.len() < 2 || !place.member.failed() {
            return;
        }
        let _one_by_one = self.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_other = |(other, place): (usize, &Place)| other != index && place.weight > 0 && place.member.is_in();
        if self.places.iter().enumerate().any(is_other) {
            place.member.eject(Instant::now());
        }
    }
}

fn is_in(tried: u64, index: usize) -> bool {
    u32::try_from(index).ok().and_then(|index| tried.checked_shr(index)).is_some_and(|rest| rest & 1 == 1)
}

/// Turns are spread over the shares by steps of the golden ratio: after any number of turns each has had what its share says, to
/// within a few, without runs, and whoever is left out leaves the others' proportions as they were. No lock, no state but the turn.
fn draw<I: Iterator<Item = u32>>(turn: u64, shares: impl Fn() -> I) -> Option<usize> {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let total: u64 = shares().map(u64::from).sum();
    let point = (u128::from(turn.wrapping_mul(GOLDEN)) * u128::from(total)) >> 64;
    let mut below = 0_u128;
    let mut last = None;
    for (index, share) in shares().enumerate().filter(|(_, share)| *share > 0) {
        below += u128::from(share);
        if point < below {
            return Some(index);
        }
        // One may have left since the sum was made.
        last = Some(index);
    }
    last
}

fn authority(host: &str, port: u16, default: u16) -> HeaderValue {
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    let text = if port == default { host } else { format!("{host}:{port}") };
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("invalid"))
}

fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().map(|address| SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests;
