//! How often one request may try, where, and for how long.

use std::time::Duration;

use tokio::time::Instant;

use super::group::Group;

/// The tries of one request so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tries {
    begun: Option<Instant>,
    /// A bit for each upstream of this round.
    tried: u64,
    /// How often all upstreams were tried; chooses among an upstream's addresses.
    pub round: usize,
    /// The most addresses that any of them had.
    addresses: usize,
    /// The upstream of the newest try.
    pub current: Option<usize>,
}

impl Tries {
    /// Chooses the upstream of the next try.
    pub fn next(&mut self, group: &Group) -> Option<usize> {
        let index = match group.pick(self.tried) {
            Some(index) => index,
            None => {
                self.tried = 0;
                self.round += 1;
                group.pick(0)?
            }
        };
        self.tried |= u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)).unwrap_or(0);
        self.current = Some(index);
        Some(index)
    }

    /// What is left of the time for connecting, over all tries: so many slow ones do not add up.
    pub fn time_left(&mut self, connect: Duration, now: Instant) -> Duration {
        let begun = *self.begun.get_or_insert(now);
        (connect * 2).saturating_sub(now - begun)
    }

    /// The upstreams of this round, a bit for each.
    pub const fn tried(&self) -> u64 {
        self.tried
    }

    pub fn saw_addresses(&mut self, count: usize) {
        self.addresses = self.addresses.max(count);
    }

    /// Whether another upstream, or another address of one, was not tried yet.
    pub fn may_go_elsewhere(&mut self, group: &Group, connect: Duration) -> bool {
        (group.has_untried(self.tried) || self.round + 1 < self.addresses)
            && !self.time_left(connect, Instant::now()).is_zero()
    }
}
