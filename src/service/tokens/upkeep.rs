//! Tokens' background work: last uses written behind, tokens ended whose time is over, changes made elsewhere.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{LiveToken, ServiceError, Tokens, lock};
use crate::authn::machine_token::MachineToken;
use crate::clock::Timestamp;
use crate::secret::TokenDigest;
use crate::service::records::parse_digest;
use crate::store::engine::{Change as Seen, Outcome};
use crate::store::record::Change;

/// At most one write of last uses a token in this time.
const WRITE_EVERY: Duration = Duration::from_secs(60);

impl Tokens {
    /// Writes last uses behind. `all`: also those that were written a moment ago, durably (at a stop).
    pub(in crate::service) async fn write_behind(&self, now: Timestamp, all: bool) {
        let mut dirty = std::mem::take(&mut *lock(&self.dirty)).into_iter();
        while let Some(live) = dirty.next() {
            let written_at = Timestamp::from_millis(live.written_at.load(Ordering::Relaxed));
            if !all && now.since(written_at) < WRITE_EVERY {
                lock(&self.dirty).push(live);
                continue;
            }
            // What is used from here on puts it into the list again.
            live.dirty.store(false, Ordering::Release);
            match self.write_one(&live, now, all).await {
                Ok(true) => live.written_at.store(now.millis(), Ordering::Relaxed),
                Ok(false) => self.again(live),
                Err(error) => {
                    tracing::warn!(%error, "a token's last use could not be written");
                    self.again(live);
                    lock(&self.dirty).extend(dirty);
                    return;
                }
            }
        }
    }

    fn again(&self, live: Arc<LiveToken>) {
        if !live.dirty.swap(true, Ordering::AcqRel) {
            lock(&self.dirty).push(live);
        }
    }

    /// Compares the record's version, and never makes one: a revoked token does not come back by having been used. False: somebody came
    /// in between.
    async fn write_one(&self, live: &LiveToken, now: Timestamp, durable: bool) -> Result<bool, ServiceError> {
        let name = live.digest.to_string();
        let slot = self.store.get::<MachineToken>(&name, now).await?;
        let Some(mut record) = slot.record else { return Ok(true) };
        if !live.write_into(&mut record) {
            return Ok(true);
        }
        let change = Change::new().unchanged::<MachineToken>(&name, slot.seen).put(&name, &record);
        let change = if durable { change } else { change.lazy() };
        Ok(matches!(self.store.commit(change).await?, Outcome::Committed(_)))
    }

    /// Ends what time has ended, so that open streams end with it. The records are swept with all others.
    pub(in crate::service) fn end_overdue(&self, now: Timestamp) {
        let overdue = |living: &super::Living| -> Vec<TokenDigest> {
            living.tokens.values().filter(|live| !live.stands(now)).map(|live| live.digest).collect()
        };
        let overdue = overdue(&self.read());
        for digest in overdue {
            self.forget(&digest);
        }
    }

    /// Nothing that was read earlier can be believed: what is open is looked at anew, and all of it ends where the store cannot tell.
    pub(in crate::service) async fn look_anew(&self, now: Timestamp) {
        let digests: Vec<_> = self.read().tokens.keys().copied().collect();
        let names: Vec<_> = digests.iter().map(TokenDigest::to_string).collect();
        match self.store.are_there::<MachineToken>(&names, now).await {
            Ok(there) => {
                let gone = digests.iter().zip(there).filter(|(_, there)| !there);
                gone.for_each(|(digest, _)| self.forget(digest));
            }
            Err(_) => digests.iter().for_each(|digest| self.forget(digest)),
        }
    }

    /// A token's record was changed, here or on another node.
    pub(in crate::service) async fn changed(&self, seen: Seen, now: Timestamp) {
        match seen {
            // What may change of one is when it was last used.
            Seen::Put(_) => {}
            Seen::Delete(key) => {
                if let Some(digest) = key.as_str().strip_prefix("token/").and_then(parse_digest) {
                    self.forget(&digest);
                }
            }
            Seen::Lagged => self.look_anew(now).await,
        }
    }
}
