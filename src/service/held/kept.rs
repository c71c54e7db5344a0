//! What is stored of kept forms: each sealed under a key of its own purpose, and two small sums that bounds are judged by.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Form;
use crate::authz::hold::Owner;
use crate::clock::Timestamp;
use crate::id::{HeldId, SessionId};
use crate::secret::{KeyError, Keys, Purpose, Sealed};
use crate::store::record::Record;

/// What the smallest form counts as: its record is not for nothing, however little is in it.
const LEAST: u64 = 4 * 1024;
/// In how many parts the lifetime is divided for the sum: what expires in the same part is one number, so that the sum stays small.
const PARTS: u64 = 16;

/// `held/ID`
#[derive(Serialize, Deserialize)]
pub struct Held {
    pub owner: Owner,
    /// The session that it was sent in, by whose count it is bounded.
    pub session: SessionId,
    pub kept_at: Timestamp,
    pub expires_at: Timestamp,
    pub share: Share,
    content: Sealed,
}

impl Record for Held {
    const KIND: &'static str = "held";
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// What stands before the body in a sealed form.
#[derive(Serialize, Deserialize)]
struct Head {
    target: String,
    content_type: String,
}

impl Held {
    pub fn seal(
        keys: &Keys,
        id: HeldId,
        owner: Owner,
        session: SessionId,
        form: &Form,
        (kept_at, expires_at): (Timestamp, Timestamp),
        share: Share,
    ) -> Result<Self, KeyError> {
        let head = Head { target: form.target.clone(), content_type: form.content_type.clone() };
        // Two texts: there is nothing in them that JSON could not say, and no line feed that it would not escape.
        let mut plain = serde_json::to_vec(&head).unwrap_or_default();
        plain.push(b'\n');
        plain.extend_from_slice(&form.body);
        let content = keys.seal(Purpose::HeldForm, &bound_to(&owner, id), &plain)?;
        Ok(Self { owner, session, kept_at, expires_at, share, content })
    }

    pub fn open(&self, keys: &Keys, id: HeldId) -> Result<Form, KeyError> {
        let plain = keys.open(Purpose::HeldForm, &bound_to(&self.owner, id), &self.content)?;
        let end = plain.iter().position(|byte| *byte == b'\n').ok_or(KeyError::Forged)?;
        let (head, body) = plain.split_at_checked(end).ok_or(KeyError::Forged)?;
        let Head { target, content_type } = serde_json::from_slice(head).map_err(|_| KeyError::Forged)?;
        Ok(Form { target, content_type, body: Bytes::copy_from_slice(body.get(1..).unwrap_or_default()) })
    }
}

/// What is sealed in it, and what that is bound to: for sealing it anew.
pub fn sealed(held: &mut Held, id: HeldId) -> (String, &mut Sealed) {
    (bound_to(&held.owner, id), &mut held.content)
}

fn bound_to(owner: &Owner, id: HeldId) -> String {
    format!("{id}/{}/{}/{}", owner.user, owner.epoch, owner.origin)
}

/// What one form takes of the room for all, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    pub bytes: u64,
    until: Timestamp,
}

impl Share {
    pub fn of(form: &Form, now: Timestamp, lifetime: Duration) -> Self {
        let size = form.body.len() + form.target.len() + form.content_type.len();
        let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let part = (lifetime / PARTS).max(1);
        let until = now.millis().saturating_add(lifetime).div_ceil(part).saturating_mul(part);
        Self { bytes: (size as u64).max(LEAST), until: Timestamp::from_millis(until) }
    }
}

/// The name of the only one.
pub const TOTAL: &str = "all";

/// `held-total/all`: how much is kept in all.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Total {
    shares: Vec<Share>,
}

impl Record for Total {
    const KIND: &'static str = "held-total";
}

impl Total {
    pub fn bytes(&self, now: Timestamp) -> u64 {
        self.shares.iter().filter(|share| share.until > now).fold(0, |sum, share| sum.saturating_add(share.bytes))
    }

    pub fn add(&mut self, new: Share, now: Timestamp) {
        self.shares.retain(|share| share.until > now);
        match self.shares.iter_mut().find(|share| share.until == new.until) {
            Some(share) => share.bytes = share.bytes.saturating_add(new.bytes),
            None => self.shares.push(new),
        }
    }

    pub fn remove(&mut self, old: Share, now: Timestamp) {
        self.shares.retain(|share| share.until > now);
        if let Some(share) = self.shares.iter_mut().find(|share| share.until == old.until) {
            share.bytes = share.bytes.saturating_sub(old.bytes);
        }
    }
}

/// `held-of/SESSION`: which forms of one session are kept.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct OfSession {
    forms: Vec<(HeldId, Timestamp)>,
}

impl Record for OfSession {
    const KIND: &'static str = "held-of";
    fn expires_at(&self) -> Option<Timestamp> {
        self.forms.iter().map(|(_, expires_at)| *expires_at).max().or(Some(Timestamp::from_millis(0)))
    }
}

impl OfSession {
    pub fn count(&self, now: Timestamp) -> usize {
        self.forms.iter().filter(|(_, expires_at)| *expires_at > now).count()
    }

    pub fn add(&mut self, id: HeldId, expires_at: Timestamp, now: Timestamp) {
        self.forms.retain(|(_, expires_at)| *expires_at > now);
        self.forms.push((id, expires_at));
    }

    pub fn remove(&mut self, id: HeldId, now: Timestamp) {
        self.forms.retain(|(known, expires_at)| *known != id && *expires_at > now);
    }
}
