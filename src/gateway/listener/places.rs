//! How many connections there may be: in all, and of one address.
//!
//! Without the second number whoever can open connections keeps everybody else out by holding all of them. An address that has its
//! share finds the door closed before anything is read or computed for it. What a trusted proxy brings are other people's
//! connections: they count for the address that its PROXY header names, or, where it sends none, for nobody's share.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// An address has one of so many parts of all places.
const SHARES: usize = 4;

/// The places of one gateway.
pub struct Places {
    all: Arc<Semaphore>,
    each: usize,
    taken: Mutex<HashMap<Source, Taken>>,
}

/// Whose connections count together: one person has a whole /64 of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

#[derive(Default)]
struct Taken {
    count: usize,
    /// Whether it was said that this address has all it can have.
    told: bool,
}

/// One of an address's places, until it is dropped.
pub struct Place {
    places: Arc<Places>,
    source: Source,
}

/// The address has its share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// How many that is.
    pub share: usize,
    /// Whether this is the first connection that was refused since the address had none.
    pub first: bool,
}

impl Places {
    /// So many in all.
    #[must_use]
    pub fn new(all: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), each: (all / SHARES).max(1), taken: Mutex::default() }
    }

    /// Waits until there is room for one more; `None`: there never will be.
    pub async fn any(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// One of this address's share.
    ///
    /// # Errors
    /// Where it has all of it.
    pub fn of(self: &Arc<Self>, address: IpAddr) -> Result<Place, Full> {
        let source = Source::of(address);
        let mut all = self.taken();
        let taken = all.entry(source).or_default();
        if taken.count >= self.each {
            let first = !std::mem::replace(&mut taken.told, true);
            return Err(Full { share: self.each, first });
        }
        taken.count += 1;
        Ok(Place { places: Arc::clone(self), source })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Source, Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.places.taken();
        let Some(taken) = all.get_mut(&self.source) else { return };
        taken.count = taken.count.saturating_sub(1);
        if taken.count == 0 {
            all.remove(&self.source);
        }
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
        let places = Arc::new(Places::new(8));
        let held = [places.of(address("192.0.2.1")).unwrap(), places.of(address("::ffff:192.0.2.1")).unwrap()];
        assert_eq!(places.of(address("192.0.2.1")).err(), Some(Full { share: 2, first: true }));
        assert_eq!(places.of(address("192.0.2.1")).err(), Some(Full { share: 2, first: false }));
        let other = places.of(address("192.0.2.2")).unwrap();
        drop(held);
        assert!(places.of(address("192.0.2.1")).is_ok());
        drop(other);
        assert!(places.taken().is_empty(), "an address without connections is forgotten");
    }

    #[test]
    fn a_network_of_ipv6_that_one_person_has_counts_as_one_address() {
        let places = Arc::new(Places::new(4));
        let held = places.of(address("2001:db8:1:2::1"));
        assert!(places.of(address("2001:db8:1:2:ffff::1")).is_err());
        assert!(places.of(address("2001:db8:1:3::1")).is_ok());
        drop(held);
    }
}
