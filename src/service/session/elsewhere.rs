//! A session at other hosts than the portal's: their values lead to the one session, whose life they share.
//!
//! A value is good while its own record is there, while the session names it, and while both are of the account's epoch. So whoever ends the
//! session, by whatever way, has ended it everywhere, and there is nothing to be told to other hosts.

use std::sync::Arc;

use super::live::{AccountCell, LiveSession};
use super::{Reading, STRIPES, ServiceError, Sessions, TRIES, lock};
use crate::authn::session::Session;
use crate::authn::sign_on::{Elsewhere, Handoff, HostSession};
use crate::authn::user::User;
use crate::clock::Timestamp;
use crate::secret::TokenDigest;
use crate::service::records::{SessionAt, parse_digest, session_place};
use crate::store::engine::Change as Seen;
use crate::store::record::Change;
use crate::store::trust::Turn;

/// What a value was found to be, and the generations before it was looked for.
struct Read {
    here: HostSession,
    session: Session,
    cell: Arc<AccountCell>,
    seen: u64,
    session_seen: u64,
    read_in: Turn,
}

impl Sessions {
    /// The session of a value that was given out for a host; `None`: it is none, or not any more.
    pub(super) async fn find_elsewhere(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
    ) -> Result<Option<Arc<LiveSession>>, ServiceError> {
        if self.config.load().portal.host.is_none() {
            return Ok(None);
        }
        for _ in 0..TRIES {
            if let Some(live) = self.cached(digest) {
                return Ok(Some(live).filter(|live| live.stands()));
            }
            let seen = *self.stripe(digest);
            let read_in = self.store.trust().turn();
            let Some(here) = self.store.get::<HostSession>(&digest.to_string(), now).await?.record else {
                return Ok(None);
            };
            let Some(value) = self.value_of(&here, now).await? else { return Ok(None) };
            let session_seen = *self.stripe(&value);
            let (changes, account_read_in) = self.before_reading();
            let (slot, user) = self.store.get_named::<Session, User>(&value.to_string(), "user", now).await?;
            let Some(session) = slot.record else {
                match self.value_of(&here, now).await? {
                    // It has taken another value in between.
                    Some(other) if other != value => continue,
                    _ => return Ok(None),
                }
            };
            if session.id != here.session || !session.elsewhere.has(&here.host, digest) {
                return Ok(None);
            }
            let reading = Reading { user, read_in: account_read_in, changes };
            let Some(cell) = self.cell(session.user, reading, now).await? else { return Ok(None) };
            if !cell.stands(here.epoch) {
                return Ok(None);
            }
            let read = Read { here, session, cell, seen, session_seen, read_in };
            if let Some(live) = self.keep(digest, &value, read) {
                return Ok(Some(live));
            }
        }
        Err(ServiceError::Contended)
    }

    /// Caches what was read, unless it was ended meanwhile, the value or its session.
    #[expect(clippy::indexing_slicing, reason = "any number modulo STRIPES is within a list of STRIPES")]
    fn keep(&self, digest: &TokenDigest, value: &TokenDigest, read: Read) -> Option<Arc<LiveSession>> {
        let (own, sessions) = (place(digest), place(value));
        // Two locks are always taken in the same order.
        let first = lock(&self.stripes[own.min(sessions)]);
        let second = (own != sessions).then(|| lock(&self.stripes[own.max(sessions)]));
        let of = |stripe: usize| if stripe == own.min(sessions) { Some(*first) } else { second.as_deref().copied() };
        if of(own) != Some(read.seen) || of(sessions) != Some(read.session_seen) {
            return None;
        }
        let line = lock(&self.lines).join(&read.session, *value);
        let live = Arc::new(LiveSession {
            value: *digest,
            epoch: read.here.epoch,
            second_factor_at: read.here.second_factor_at,
            host: Some(read.here.host.into()),
            line,
            cell: read.cell,
            config: Arc::clone(&self.config),
            read_in: read.read_in,
        });
        self.cache.insert(Arc::clone(&live));
        Some(live)
    }

    /// The value under which the session stands that this belongs to.
    pub(super) async fn value_of(
        &self,
        here: &HostSession,
        now: Timestamp,
    ) -> Result<Option<TokenDigest>, ServiceError> {
        let place = session_place(here.begun_at, here.session);
        Ok(self.store.get::<SessionAt>(&place, now).await?.record.map(|at| at.digest))
    }

    /// The session that this value belongs to, its own or that of a host, with its own value.
    pub(in crate::service) async fn record_of(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
    ) -> Result<Option<(TokenDigest, Session)>, ServiceError> {
        if let Some(session) = self.store.get::<Session>(&digest.to_string(), now).await?.record {
            return Ok(Some((*digest, session)));
        }
        let Some(here) = self.store.get::<HostSession>(&digest.to_string(), now).await?.record else { return Ok(None) };
        for _ in 0..TRIES {
            let Some(value) = self.value_of(&here, now).await? else { return Ok(None) };
            if let Some(session) = self.store.get::<Session>(&value.to_string(), now).await?.record {
                return Ok((session.id == here.session).then_some((value, session)));
            }
            if self.value_of(&here, now).await? == Some(value) {
                return Ok(None);
            }
        }
        Err(ServiceError::Contended)
    }

    /// A change that gives the session its new value, with what else is new about it. What it has out elsewhere stays good as far as it
    /// went, unless it has come under another epoch.
    pub(in crate::service) fn renewed(
        change: Change,
        before: (&TokenDigest, &Session),
        after: (&TokenDigest, &Session),
    ) -> Change {
        let ((old, before), (new, after)) = (before, after);
        let fallen = Session { elsewhere: Elsewhere::default(), ..after.clone() };
        let kept = Session { elsewhere: Elsewhere::default(), ..before.clone() };
        match before.epoch == after.epoch {
            true => Self::with(Self::without(change, &[(*old, kept)]), new, after),
            false => Self::with(Self::without(change, &[(*old, before.clone())]), new, &fallen),
        }
    }

    /// A change that also takes what the session has out elsewhere.
    pub(super) fn without_elsewhere(change: Change, elsewhere: &Elsewhere) -> Change {
        let hosts = elsewhere.hosts.iter().map(|seat| seat.value.to_string());
        let change = hosts.fold(change, |change, value| change.delete::<HostSession>(&value));
        elsewhere.codes.iter().fold(change, |change, code| change.delete::<Handoff>(&code.to_string()))
    }

    /// This host's value is dead; the session lives on.
    pub(in crate::service) fn forget_value(&self, digest: &TokenDigest) {
        let mut generation = self.stripe(digest);
        *generation = generation.wrapping_add(1);
        self.cache.remove(digest);
    }

    /// A host's session was changed, here or on another node.
    pub(in crate::service) fn host_session_changed(&self, seen: &Seen) {
        match seen {
            // Nothing ever changes under one value.
            Seen::Put(_) => {}
            Seen::Delete(key) => {
                if let Some(digest) = key.as_str().strip_prefix("host-session/").and_then(parse_digest) {
                    self.forget_value(&digest);
                }
            }
            // They are read anew when they are asked for.
            Seen::Lagged => {
                let values = self.cache.values(|live| live.host().is_some());
                values.iter().for_each(|digest| self.forget_value(digest));
            }
        }
    }
}

fn place(digest: &TokenDigest) -> usize {
    let [first, ..] = digest.as_bytes();
    usize::from(*first) % STRIPES
}
