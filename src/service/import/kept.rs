//! An upload between the pages: kept for a short while, sealed, for the one session that brought it. A later upload takes the
//! place of an earlier one, so that a session holds one list at most.
//!
//! ```text
//! Uploaded ──confirmed──▶ Begun ──all rows tried──▶ Done
//!    ▲  └──another upload, or thrown away
//! ```

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{ImportId, SessionId};
use crate::secret::{KeyError, Keys, Purpose, Sealed};
use crate::store::engine::Expect;
use crate::store::record::{Change, Record};

/// For how long a list can be looked at and confirmed, and for how long its result can be read.
pub const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// `import/SESSION`
#[derive(Serialize, Deserialize)]
pub struct Kept {
    pub id: ImportId,
    pub expires_at: Timestamp,
    stage: Stage,
    content: Sealed,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    Uploaded,
    Begun,
    Done,
}

impl Record for Kept {
    const KIND: &'static str = "import";
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

impl Kept {
    /// Something to keep from `now` on.
    pub fn new(
        keys: &Keys,
        session: SessionId,
        id: ImportId,
        stage: Stage,
        content: &impl Serialize,
        now: Timestamp,
    ) -> Result<Self, KeyError> {
        // What is kept are our own types of text and numbers: there is nothing in them that JSON could not say.
        let plain = serde_json::to_vec(content).unwrap_or_default();
        let content = keys.seal(Purpose::Import, &owner(session, id, stage), &plain)?;
        Ok(Self { id, expires_at: now.plus(LIFETIME), stage, content })
    }

    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// What was kept for this session at this stage.
    pub fn open<T: DeserializeOwned>(&self, keys: &Keys, session: SessionId) -> Result<T, KeyError> {
        let plain = keys.open(Purpose::Import, &owner(session, self.id, self.stage), &self.content)?;
        serde_json::from_slice(&plain).map_err(|_| KeyError::Forged)
    }
}

/// What is sealed in it, and what that is bound to: for sealing it anew.
pub fn sealed(kept: &mut Kept, session: SessionId) -> (String, &mut Sealed) {
    (owner(session, kept.id, kept.stage), &mut kept.content)
}

/// A change that puts `next` in the place of what was seen.
pub fn replace(session: SessionId, seen: Expect, next: &Kept) -> Change {
    let name = session.to_string();
    Change::new().unchanged::<Kept>(&name, seen).put(&name, next)
}

fn owner(session: SessionId, id: ImportId, stage: Stage) -> String {
    format!("{session}/{id}/{stage:?}")
}
