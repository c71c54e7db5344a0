//! How much of something one address may have: its connections, its long answers.
//!
//! Without such a share whoever can have many keeps everybody else out by holding all of them. What a trusted proxy brings is
//! other people's: it counts for the address that the proxy names.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What each address has of one thing.
pub struct Shares {
    each: usize,
    taken: Mutex<HashMap<Source, Taken>>,
}

/// Whose count together: one person has a whole /64 of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

#[derive(Default)]
struct Taken {
    count: usize,
    /// Whether it was said that this address has all it can have.
    told: bool,
}

/// One of an address's share, until it is dropped.
pub struct Share {
    shares: Arc<Shares>,
    source: Source,
}

/// The address has its share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// How many that is.
    pub share: usize,
    /// Whether this is the first that was refused since the address had none.
    pub first: bool,
}

impl Shares {
    /// So many for each.
    #[must_use]
    pub fn new(each: usize) -> Self {
        Self { each: each.max(1), taken: Mutex::default() }
    }

    /// One more for this address.
    ///
    /// # Errors
    /// Where it has all that it may have.
    pub fn of(self: &Arc<Self>, address: IpAddr) -> Result<Share, Full> {
        let source = Source::of(address);
        let mut all = self.taken();
        let taken = all.entry(source).or_default();
        if taken.count >= self.each {
            let first = !std::mem::replace(&mut taken.told, true);
            return Err(Full { share: self.each, first });
        }
        taken.count += 1;
        Ok(Share { shares: Arc::clone(self), source })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Source, Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    /// The one that this address belongs to.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.shares.taken();
        let Some(taken) = all.get_mut(&self.source) else { return };
        taken.count = taken.count.saturating_sub(1);
        if taken.count == 0 {
            all.remove(&self.source);
        }
    }
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Share").field(&self.source).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_has_its_share_and_others_have_theirs() {
        let shares = Arc::new(Shares::new(2));
        let held = [shares.of(address("192.0.2.1")).unwrap(), shares.of(address("::ffff:192.0.2.1")).unwrap()];
        assert_eq!(shares.of(address("192.0.2.1")).err(), Some(Full { share: 2, first: true }));
        assert_eq!(shares.of(address("192.0.2.1")).err(), Some(Full { share: 2, first: false }));
        let other = shares.of(address("192.0.2.2")).unwrap();
        drop(held);
        assert!(shares.of(address("192.0.2.1")).is_ok());
        drop(other);
        assert!(shares.taken().is_empty(), "an address without connections is forgotten");
    }

    #[test]
    fn a_network_of_ipv6_that_one_person_has_counts_as_one_address() {
        let shares = Arc::new(Shares::new(1));
        let held = shares.of(address("2001:db8:1:2::1"));
        assert!(shares.of(address("2001:db8:1:2:ffff::1")).is_err());
        assert!(shares.of(address("2001:db8:1:3::1")).is_ok());
        drop(held);
    }
}
