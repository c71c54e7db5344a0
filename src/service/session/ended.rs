//! Ended sessions, remembered for a while (see [`Ended`]): by them the cookie is recognised that a browser still shows when it sends a form.
//!
//! There is one memory of a session, under its own value; what other hosts' values have ([`EndedElsewhere`]) only leads to it. So a logout has
//! one record to take away, and is as good on every host.

use std::ops::Bound;

use super::{PAGE, ServiceError, Sessions};
use crate::authn::session::{Ended, EndedElsewhere, REMEMBERED, Session};
use crate::authn::sign_on::HostSession;
use crate::clock::Timestamp;
use crate::secret::TokenDigest;
use crate::service::records::SessionAt;
use crate::store::engine::Expect;
use crate::store::record::{Change, Slot};

/// What is remembered of an ended session, found by one of its values.
pub(in crate::service) struct Remembered {
    pub ended: Ended,
    /// The host that the value was given out for; none for one that a login made.
    pub host: Option<String>,
    /// The value under which it is remembered, and what a commit must compare there.
    pub value: TokenDigest,
    pub seen: Expect,
}

impl Sessions {
    /// A change that also leaves a memory of this session, which ends with it.
    pub(super) fn remembering(change: Change, digest: &TokenDigest, session: &Session, at: Timestamp) -> Change {
        let change = change.put(&digest.to_string(), &Ended::of(session, at));
        session.elsewhere.remembered().fold(change, |change, seat| {
            let here = EndedElsewhere { host: seat.host.clone(), value: *digest, ended_at: at };
            change.put(&seat.value.to_string(), &here)
        })
    }

    /// What is remembered of the session that had this value, at the portal host or at another one.
    pub(in crate::service) async fn remembered(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
    ) -> Result<Option<Remembered>, ServiceError> {
        if let Some(found) = self.remembered_under(digest, now).await? {
            return Ok(Some(found));
        }
        let slot = self.store.get::<EndedElsewhere>(&digest.to_string(), now).await?;
        let (host, value) = match slot.record {
            Some(here) => (here.host, here.value),
            None => match self.expired_elsewhere(digest, now).await? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        let found = self.remembered_under(&value, now).await?;
        Ok(found.map(|found| Remembered { host: Some(host), ..found }))
    }

    async fn remembered_under(&self, digest: &TokenDigest, now: Timestamp) -> Result<Option<Remembered>, ServiceError> {
        let Slot { record, seen } = self.store.get::<Ended>(&digest.to_string(), now).await?;
        let ended = match record {
            Some(ended) => Some(ended),
            // Its lifetime has just run out, and nobody has noticed yet.
            None => self.expired(digest, now).await?.map(|session| Ended::of(&session, session.expires_at)),
        };
        Ok(ended.map(|ended| Remembered { ended, host: None, value: *digest, seen }))
    }

    /// The same for a host's value: the host, and the value of the session.
    async fn expired_elsewhere(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
    ) -> Result<Option<(String, TokenDigest)>, ServiceError> {
        let before = a_while_before(now);
        let Some(here) = self.store.get::<HostSession>(&digest.to_string(), before).await?.record else {
            return Ok(None);
        };
        let Some(value) = self.value_of(&here, before).await? else { return Ok(None) };
        let session = self.expired(&value, now).await?;
        let is_its_own = |session: &Session| session.id == here.session && session.elsewhere.has(&here.host, digest);
        Ok(session.filter(is_its_own).map(|_| (here.host, value)))
    }

    /// The session under this value whose lifetime has run out while its record is still there.
    pub(super) async fn expired(&self, digest: &TokenDigest, now: Timestamp) -> Result<Option<Session>, ServiceError> {
        let slot = self.store.get::<Session>(&digest.to_string(), a_while_before(now)).await?;
        Ok(slot.record.filter(|session| session.expires_at <= now))
    }

    /// It is logged out by its owner, on whichever host: nothing is remembered any more on any.
    pub(super) async fn forget_ended(&self, digest: &TokenDigest, now: Timestamp) -> Result<(), ServiceError> {
        if let Some(Remembered { value, .. }) = self.remembered(digest, now).await? {
            let name = value.to_string();
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
