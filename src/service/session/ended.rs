//! Ended sessions, remembered for a while (see [`Ended`]): by them the cookie is recognised that a browser still shows when it sends a form.

use std::ops::Bound;

use super::{PAGE, ServiceError, Sessions};
use crate::authn::session::{Ended, REMEMBERED, Session};
use crate::clock::Timestamp;
use crate::secret::TokenDigest;
use crate::service::records::SessionAt;
use crate::store::record::{Change, Slot};

impl Sessions {
    /// A change that also leaves a memory of this session, which ends with it.
    pub(super) fn remembering(change: Change, digest: &TokenDigest, session: &Session, at: Timestamp) -> Change {
        change.put(&digest.to_string(), &Ended::of(session, at))
    }

    /// What is remembered under this value, and what a commit must compare.
    pub(in crate::service) async fn remembered(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
    ) -> Result<Slot<Ended>, ServiceError> {
        let slot = self.store.get::<Ended>(&digest.to_string(), now).await?;
        if slot.record.is_some() {
            return Ok(slot);
        }
        // Its lifetime has just run out, and nobody has noticed yet.
        let session = self.expired(digest, now).await?;
        Ok(Slot { record: session.map(|session| Ended::of(&session, session.expires_at)), ..slot })
    }

    /// The session under this value whose lifetime has run out while its record is still there.
    pub(super) async fn expired(&self, digest: &TokenDigest, now: Timestamp) -> Result<Option<Session>, ServiceError> {
        let slot = self.store.get::<Session>(&digest.to_string(), a_while_before(now)).await?;
        Ok(slot.record.filter(|session| session.expires_at <= now))
    }

    /// It is logged out by its owner: nothing is remembered any more.
    pub(super) async fn forget_ended(&self, digest: &TokenDigest, now: Timestamp) -> Result<(), ServiceError> {
        if self.remembered(digest, now).await?.record.is_some() {
            let name = digest.to_string();
            self.store.commit(Change::new().delete::<Ended>(&name).delete::<Session>(&name)).await?;
        }
        Ok(())
    }

    /// Before the sweeper takes the records whose lifetime has run out: those that nobody has asked for since a restart would leave no
    /// memory. They began before all others, so few are looked at.
    pub(in crate::service) async fn remember_expired(&self, now: Timestamp) -> Result<(), ServiceError> {
        let before = a_while_before(now);
        let mut after: Option<String> = None;
        loop {
            let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let page = self.store.list::<SessionAt>("", from, PAGE, before).await?;
            let (full, mut living) = (page.len() == PAGE, 0);
            after = page.last().map(|last| last.name.clone());
            for SessionAt { digest, expires_at } in page.into_iter().map(|entry| entry.record) {
                living += usize::from(expires_at > now);
                if expires_at > now || self.store.get::<Ended>(&digest.to_string(), now).await?.record.is_some() {
                    continue;
                }
                if let Some(session) = self.expired(&digest, now).await? {
                    self.store.commit(Self::remembering(Change::new(), &digest, &session, session.expires_at)).await?;
                }
            }
            if !full || living == PAGE {
                return Ok(());
            }
        }
    }
}

/// Records that have expired since then are found as of that moment.
fn a_while_before(now: Timestamp) -> Timestamp {
    let remembered = u64::try_from(REMEMBERED.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_millis(now.millis().saturating_sub(remembered))
}
