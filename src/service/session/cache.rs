//! Cookie values that requests have shown, and the sessions they are good for.
//!
//! Many small tables, each with a lock of its own that is held for one look-up: a hit takes a third of the time that a cache with
//! queues of its own takes for its bookkeeping, and a million sessions fit into a third of a gibibyte. A table holds nothing but
//! pointers; the value stands in the session. What is evicted is only forgotten: the store has it.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashTable;

use super::live::LiveSession;
use crate::secret::TokenDigest;

/// How many cookie values are kept in all, about: a million, and some more, as tables do not fill evenly. Sessions that nobody uses leave
/// earlier, by their idle timeout.
const MOST: usize = 1_200_000;
/// How many tables there are: so many that those who read seldom meet, and that one of them is quickly gone through.
const SHARDS: usize = 256;
/// A full table loses one in so many, those that were not used for longest.
const SHARE: usize = 16;
/// Below this many a table is not made smaller again.
const SMALL: usize = 64;

type Shard = HashTable<Arc<LiveSession>>;

pub(super) struct Cache {
    shards: Vec<RwLock<Shard>>,
    /// How many each table holds.
    most: usize,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self::of(MOST / SHARDS)
    }

    /// With tables of another size.
    pub(super) fn of(most: usize) -> Self {
        Self { shards: (0..SHARDS).map(|_| RwLock::default()).collect(), most }
    }

    pub(super) fn get(&self, value: &TokenDigest) -> Option<Arc<LiveSession>> {
        self.read(value).find(place(value), |live| live.value == *value).map(Arc::clone)
    }

    /// Keeps it under its value, in the place of what was there.
    pub(super) fn insert(&self, live: Arc<LiveSession>) {
        let value = live.value;
        let mut shard = self.write(&value);
        if let Some(known) = shard.find_mut(place(&value), |known| known.value == value) {
            *known = live;
            return;
        }
        if shard.len() >= self.most {
            make_room(&mut shard);
        }
        shard.insert_unique(place(&value), live, |live| place(&live.value));
    }

    pub(super) fn remove(&self, value: &TokenDigest) -> Option<Arc<LiveSession>> {
        let mut shard = self.write(value);
        let found = shard.find_entry(place(value), |live| live.value == *value).ok()?;
        let (live, _) = found.remove();
        if shard.capacity() > SMALL && shard.len() < shard.capacity() / 4 {
            let fit = shard.len() * 2;
            shard.shrink_to(fit, |live| place(&live.value));
        }
        Some(live)
    }

    pub(super) fn clear(&self) {
        for shard in &self.shards {
            *shard.write().unwrap_or_else(PoisonError::into_inner) = Shard::new();
        }
    }

    /// The values of all that `wanted` says yes to.
    pub(super) fn values(&self, wanted: impl Fn(&LiveSession) -> bool) -> Vec<TokenDigest> {
        let mut values = Vec::new();
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            values.extend(shard.iter().filter(|live| wanted(live)).map(|live| live.value));
        }
        values
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().unwrap().len()).sum()
    }

    fn read(&self, value: &TokenDigest) -> RwLockReadGuard<'_, Shard> {
        self.shard(value).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, value: &TokenDigest) -> RwLockWriteGuard<'_, Shard> {
        self.shard(value).write().unwrap_or_else(PoisonError::into_inner)
    }

    #[expect(clippy::indexing_slicing, reason = "any number modulo SHARDS is within a list of SHARDS")]
    fn shard(&self, value: &TokenDigest) -> &RwLock<Shard> {
        let [.., last] = value.as_bytes();
        &self.shards[usize::from(*last) % SHARDS]
    }
}

/// Digests are as good as random, and only of values that we have given out: some of their bytes are hash enough.
pub(super) fn place(value: &TokenDigest) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *value.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

fn make_room(shard: &mut Shard) {
    let mut seen: Vec<_> = shard.iter().map(|live| live.line.last_seen()).collect();
    let mut goes = (seen.len() / SHARE).max(1);
    let Some(last) = goes.checked_sub(1).filter(|last| *last < seen.len()) else { return };
    let (_, limit, _) = seen.select_nth_unstable(last);
    let limit = *limit;
    shard.retain(|live| {
        let old = goes > 0 && live.line.last_seen() <= limit;
        goes -= usize::from(old);
        !old
    });
}

#[cfg(test)]
mod tests;
