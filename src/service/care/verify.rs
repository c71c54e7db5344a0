//! Everything is read and opened, and what names another record is followed, both ways.
//!
//! A gateway goes on meanwhile. Records that belong together are committed together, so where one of them seems to lack the other,
//! it is read again: only if it still stands there unchanged was something wrong.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::kinds;
use super::{Care, Listener, PAGE, Piece};
use crate::audit::Event;
use crate::authn::device::Device;
use crate::authn::session::Session;
use crate::authn::sign_on::HostSession;
use crate::authn::user::User;
use crate::clock::Timestamp;
use crate::id::UserId;
use crate::secret::{Keys, TokenDigest};
use crate::service::ServiceError;
use crate::service::records::{
    DeviceIndex, EventIndex, LoginIndex, SessionAt, SessionIndex, device_index, device_name, event_index, event_name,
    login_name, parse_digest, session_at, session_index, session_place,
};
use crate::store::engine::{Key, StoreError};
use crate::store::record::{Raw, Record};

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Where: the record's key.
    pub record: String,
    /// A sentence; never a secret.
    pub problem: String,
}

/// What a verification has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// How many records of each kind were read, expired ones too.
    pub records: BTreeMap<String, u64>,
    pub problems: u64,
    /// How many values are sealed with the newest key of the key file.
    pub sealed_with_newest_key: u64,
    /// And how many with older ones.
    pub sealed_with_older_keys: u64,
}

/// After how many problems it is enough to count them.
const TOLD: u64 = 1000;

impl Care {
    /// Tells what is wrong as it is found, and sums up.
    ///
    /// # Errors
    /// Where the store cannot be read at all.
    pub async fn verify(&self, to: &dyn Listener) -> Result<Verified, ServiceError> {
        let keys = self.context.config.load_full().keys.clone();
        to.hear(Piece::Progress { done: 0, total: 0 }).await;
        let total = self.count(&[String::new()], to).await?;
        let mut verified = Verified::default();
        let (mut done, mut after) = (0, None::<Key>);
        loop {
            let page = self.context.store.raw_page("", after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            done += page.len() as u64;
            let mut found = Vec::new();
            for raw in page {
                for problem in self.look(&raw, &keys, &mut verified).await? {
                    found.push(Problem { record: raw.key.as_str().to_owned(), problem });
                }
            }
            let told = verified.problems;
            verified.problems += found.len() as u64;
            if !found.is_empty() && told < TOLD {
                to.hear(Piece::Problems(found)).await;
            }
            to.hear(Piece::Progress { done, total: total.max(done) }).await;
        }
        Ok(verified)
    }

    async fn look(&self, raw: &Raw, keys: &Keys, verified: &mut Verified) -> Result<Vec<String>, ServiceError> {
        let Some(kind) = kinds::of(&raw.key) else {
            return Ok(vec!["this sekisho knows no records of this kind".into()]);
        };
        *verified.records.entry(kind.name.to_owned()).or_default() += 1;
        if raw.expired(self.clock.now()) {
            return Ok(Vec::new());
        }
        let seals = match (kind.read)(raw, keys) {
            Ok(seals) => seals,
            Err(StoreError::Record { detail, .. }) => return Ok(vec![format!("it cannot be read: {detail}")]),
            Err(error) => return Err(error.into()),
        };
        verified.sealed_with_newest_key += seals.newest;
        verified.sealed_with_older_keys += seals.older;
        let mut faults = seals.faults;
        let loose = self.loose_ends(raw).await?;
        if !loose.is_empty() && self.is_still(raw).await? {
            faults.extend(loose);
        }
        Ok(faults)
    }

    /// Whether the record stands there as it was read, and counts.
    async fn is_still(&self, raw: &Raw) -> Result<bool, ServiceError> {
        let present = self.context.store.raw(&raw.key).await?;
        Ok(present.is_some_and(|present| present.version == raw.version) && !raw.expired(self.clock.now()))
    }

    /// What it should lead to and does not.
    async fn loose_ends(&self, raw: &Raw) -> Result<Vec<String>, ServiceError> {
        let mut loose = Vec::new();
        if raw.name::<User>().is_some() {
            let user: User = raw.decode()?;
            let login = self.get::<LoginIndex>(&login_name(&user.login)).await?;
            if login.is_none_or(|login| login.user != user.id) {
                loose.push("its login does not lead to it".into());
            }
            if raw.name::<User>() != Some(&user.id.to_string()) {
                loose.push("it has another account's id".into());
            }
        } else if let Some(name) = raw.name::<LoginIndex>() {
            let login: LoginIndex = raw.decode()?;
            let user = self.get::<User>(&login.user.to_string()).await?;
            if user.is_none_or(|user| login_name(&user.login) != name) {
                loose.push("it leads to no account that has this login".into());
            }
        } else if let Some(name) = raw.name::<Session>() {
            let session: Session = raw.decode()?;
            let digest = parse_digest(name);
            let of = digest.map(|digest| session_index(session.user, &digest)).unwrap_or_default();
            if self.get::<SessionIndex>(&of).await?.is_none() {
                loose.push("it is not among its account's sessions".into());
            }
            let at = self.get::<SessionAt>(&session_at(&session)).await?;
            if at.is_none_or(|at| Some(at.digest) != digest) {
                loose.push("it is not in the list of all sessions".into());
            }
            self.expect_account(session.user, &mut loose).await?;
        } else if let Some(name) = raw.name::<HostSession>() {
            let here: HostSession = raw.decode()?;
            let at = self.get::<SessionAt>(&session_place(here.begun_at, here.session)).await?;
            let session = self.session(at.map(|at| at.digest)).await?;
            let named = |session: Session, value| session.elsewhere.has(&here.host, &value);
            if !session.zip(parse_digest(name)).is_some_and(|(session, value)| named(session, value)) {
                loose.push("its session does not name it".into());
            }
        } else if let Some(name) = raw.name::<SessionIndex>() {
            let (user, digest) = account_and_digest(name);
            if self.session(digest).await?.is_none_or(|session| Some(session.user) != user) {
                loose.push("it leads to no session of this account".into());
            }
        } else if let Some(name) = raw.name::<SessionAt>() {
            let at: SessionAt = raw.decode()?;
            if self.session(Some(at.digest)).await?.is_none_or(|session| session_at(&session) != name) {
                loose.push("it leads to no session that began then".into());
            }
        } else if let Some(name) = raw.name::<Device>() {
            let device: Device = raw.decode()?;
            let digest = name.split('/').next().and_then(parse_digest);
            let of = digest.map(|digest| device_index(device.user, &digest)).unwrap_or_default();
            if self.get::<DeviceIndex>(&of).await?.is_none() {
                loose.push("it is not among its account's devices".into());
            }
            self.expect_account(device.user, &mut loose).await?;
        } else if let Some(name) = raw.name::<DeviceIndex>() {
            let device = match account_and_digest(name) {
                (Some(user), Some(digest)) => self.get::<Device>(&device_name(&digest, user)).await?,
                _ => None,
            };
            if device.is_none() {
                loose.push("it leads to no device of this account".into());
            }
        } else if raw.name::<Event>().is_some() {
            let event: Event = raw.decode()?;
            let name = event_name(&event);
            for account in event.accounts() {
                if self.get::<EventIndex>(&event_index(account, &name)).await?.is_none() {
                    loose.push(format!("it is not among the events of the account {account}"));
                }
            }
        } else if let Some(name) = raw.name::<EventIndex>() {
            let (user, event) = name.split_once('/').unwrap_or_default();
            let event = self.get::<Event>(event).await?;
            if event.is_none_or(|event| event.accounts().all(|account| account.to_string() != user)) {
                loose.push("it leads to no event of this account".into());
            }
        }
        Ok(loose)
    }

    async fn expect_account(&self, user: UserId, loose: &mut Vec<String>) -> Result<(), ServiceError> {
        if self.get::<User>(&user.to_string()).await?.is_none() {
            loose.push("its account is gone".into());
        }
        Ok(())
    }

    async fn session(&self, digest: Option<TokenDigest>) -> Result<Option<Session>, ServiceError> {
        match digest {
            Some(digest) => self.get(&digest.to_string()).await,
            None => Ok(None),
        }
    }

    /// The record, expired or not; one that cannot be read is told of where its turn comes.
    async fn get<R: Record>(&self, name: &str) -> Result<Option<R>, ServiceError> {
        match self.context.store.get::<R>(name, Timestamp::from_millis(0)).await {
            Ok(slot) => Ok(slot.record),
            Err(StoreError::Record { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// What stands in `USER/SHA256`.
fn account_and_digest(name: &str) -> (Option<UserId>, Option<TokenDigest>) {
    let (user, digest) = name.split_once('/').unwrap_or_default();
    (user.parse().ok(), parse_digest(digest))
}
