//! After a new key was put in front of the key file: what older ones have sealed is sealed anew.
//!
//! ```text
//! key file  old          new, old                          new
//! gateway   old ─taken─▶ new, old ─────────────────▶ taken new
//! records   old          old … sealed anew … new           new
//! ```
//!
//! At every moment the key file holds whatever opens every record: a crash anywhere is gone on from by doing the same again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::kinds::{self, KINDS, Kind};
use super::seals::Unsealed;
use super::{Care, Listener, PAGE, Piece};
use crate::clock::Timestamp;
use crate::config;
use crate::secret::Keys;
use crate::service::ServiceError;
use crate::store::engine::{Key, StoreError};

/// For how long a request may still seal with the keys that it began with. No head, body and answer of a page takes longer.
const IN_FLIGHT: Duration = Duration::from_secs(120);

/// How one pass went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedAnew {
    /// Names of the keys in force, the newest first.
    pub keys: Vec<String>,
    /// How many records were sealed anew.
    pub records: u64,
    /// For how many more seconds something might still be sealed with an older key.
    pub wait: u64,
}

/// The newest key of which this process knows, and since when; `None`: since its start.
pub(super) struct Newest(Mutex<(String, Option<Timestamp>)>);

impl Newest {
    pub(super) fn new(keys: &Keys) -> Self {
        Self(Mutex::new((name(keys), None)))
    }

    /// For how long something may still be sealed with an older key.
    fn wait(&self, keys: &Keys, now: Timestamp) -> Duration {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.0 != name(keys) {
            *newest = (name(keys), Some(now));
        }
        newest.1.map(|since| IN_FLIGHT.saturating_sub(now.since(since))).unwrap_or_default()
    }
}

fn name(keys: &Keys) -> String {
    keys.fingerprints().into_iter().next().unwrap_or_default()
}

impl Care {
    /// Reads the key file again: what it says is in force when this returns. `fewer`: some keys may be missing that were in force.
    ///
    /// # Errors
    /// Where it cannot be read, or keys are missing; they are as they were then.
    pub fn take_keys(&self, fewer: bool) -> Result<(), String> {
        let file = self.context.config.load().keys_from.clone();
        let keys = Arc::new(config::read_keys(&file)?);
        let (before, after) = (self.context.config.load().keys.fingerprints(), keys.fingerprints());
        if before == after {
            return Ok(());
        }
        if let Some(missing) = before.iter().find(|key| !fewer && !after.contains(key)) {
            return Err(format!("{} lacks the key {missing}, which is in force", file.display()));
        }
        self.context.config.rcu(|config| {
            let mut next = (**config).clone();
            next.keys = Arc::clone(&keys);
            next
        });
        self.newest.wait(&keys, self.clock.now());
        tracing::info!(keys = keys.fingerprints().join(" "), "the key file was read again");
        Ok(())
    }

    /// Seals with the newest key whatever an older one has sealed, once through the store. Where it returns no record and nothing to
    /// wait for, nothing needs the older keys any more.
    ///
    /// # Errors
    /// Where the store cannot, or something does not open: then no key may go.
    pub async fn seal_anew(&self, to: &dyn Listener) -> Result<SealedAnew, ServiceError> {
        let keys = self.context.config.load_full().keys.clone();
        let wait = self.newest.wait(&keys, self.clock.now()).as_millis().div_ceil(1000);
        let prefixes: Vec<_> = KINDS.iter().filter(|kind| kind.seals).map(Kind::prefix).collect();
        let total = self.count(&prefixes, to).await?;
        let (mut done, mut records) = (0, 0);
        for prefix in &prefixes {
            let mut after: Option<Key> = None;
            loop {
                let page = self.context.store.raw_page(prefix, after.as_ref(), PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.key.clone());
                done += page.len() as u64;
                for raw in page {
                    records += u64::from(self.renew(raw.key).await?);
                }
                to.hear(Piece::Progress { done, total: total.max(done) }).await;
            }
        }
        self.context.store.durable().await?;
        Ok(SealedAnew { keys: keys.fingerprints(), records, wait: u64::try_from(wait).unwrap_or(u64::MAX) })
    }

    /// Whether there was something to do. Somebody who changes the record at the same time is waited for.
    async fn renew(&self, key: Key) -> Result<bool, ServiceError> {
        let Some(kind) = kinds::of(&key) else { return Ok(false) };
        loop {
            let Some(raw) = self.context.store.raw(&key).await? else { return Ok(false) };
            // Whatever has expired is opened by nobody.
            if raw.expired(self.clock.now()) {
                return Ok(false);
            }
            let keys = self.context.config.load_full().keys.clone();
            let change = match (kind.renew)(&raw, &keys) {
                Ok(Some(change)) => change,
                Ok(None) => return Ok(false),
                Err(Unsealed::Store(error)) => return Err(error.into()),
                Err(Unsealed::Key(error)) => return Err(error.into()),
                Err(Unsealed::Closed(key)) => {
                    let detail = format!("what the key {key} has sealed in it does not open; no key was taken away");
                    return Err(StoreError::Record { key: raw.key.as_str().to_owned(), detail }.into());
                }
            };
            if self.context.commit(change, &[]).await?.is_some() {
                return Ok(true);
            }
        }
    }
}
