//! What is sealed in which records: to see whether it opens, and to seal it anew.

use crate::authn::login::Flow;
use crate::authn::sign_on::Handoff;
use crate::authn::user::User;
use crate::id::{HeldId, SessionId, UserId};
use crate::secret::{KeyError, Keys, Purpose, Sealed};
use crate::service::login::flows;
use crate::service::records::parse_digest;
use crate::service::{held, import, sign_on, tool_logins};
use crate::store::engine::StoreError;
use crate::store::record::{Change, Raw, Record};

/// A record that holds something sealed.
pub trait Sealing: Record {
    /// Each sealed value of the record under this name, what it was sealed for, and to whom it is bound.
    fn sealed(&mut self, name: &str) -> Vec<(Purpose, String, &mut Sealed)>;
}

impl Sealing for User {
    fn sealed(&mut self, _: &str) -> Vec<(Purpose, String, &mut Sealed)> {
        let id = self.id.to_string();
        let key = self.second_factor.totp.as_mut().map(|app| (Purpose::TotpKey, id.clone(), &mut app.key));
        let codes = self.second_factor.recovery.as_mut().map(|set| (Purpose::RecoveryCodes, id, &mut set.hashes));
        key.into_iter().chain(codes).collect()
    }
}

impl Sealing for Flow {
    fn sealed(&mut self, name: &str) -> Vec<(Purpose, String, &mut Sealed)> {
        let Some(digest) = parse_digest(name) else { return Vec::new() };
        let parts = Self::sealed(self);
        parts.map(|(part, sealed)| (Purpose::Flow, flows::owner(&digest, part), sealed)).collect()
    }
}

impl Sealing for Handoff {
    fn sealed(&mut self, name: &str) -> Vec<(Purpose, String, &mut Sealed)> {
        let code = parse_digest(name);
        code.map(|code| (Purpose::SignOn, sign_on::return_owner(&code), &mut self.return_to)).into_iter().collect()
    }
}

impl Sealing for import::Kept {
    fn sealed(&mut self, name: &str) -> Vec<(Purpose, String, &mut Sealed)> {
        let Ok(session) = name.parse::<SessionId>() else { return Vec::new() };
        let (owner, sealed) = import::sealed(self, session);
        vec![(Purpose::Import, owner, sealed)]
    }
}

impl Sealing for held::Held {
    fn sealed(&mut self, name: &str) -> Vec<(Purpose, String, &mut Sealed)> {
        let Ok(id) = name.parse::<HeldId>() else { return Vec::new() };
        let (owner, sealed) = held::sealed(self, id);
        vec![(Purpose::HeldForm, owner, sealed)]
    }
}

impl Sealing for tool_logins::Kept {
    fn sealed(&mut self, name: &str) -> Vec<(Purpose, String, &mut Sealed)> {
        let Ok(user) = name.parse::<UserId>() else { return Vec::new() };
        tool_logins::sealed(self, user).map(|(owner, sealed)| (Purpose::ToolLogin, owner, sealed)).collect()
    }
}

/// How many sealed values were made with which keys, and which do not open.
#[derive(Debug, Default)]
pub struct Seals {
    pub newest: u64,
    pub older: u64,
    pub faults: Vec<String>,
}

/// Opens everything that is sealed in `record`.
pub fn look<R: Sealing>(record: &mut R, name: &str, keys: &Keys) -> Seals {
    let mut seals = Seals::default();
    for (purpose, owner, sealed) in record.sealed(name) {
        match keys.open(purpose, &owner, sealed) {
            Ok(_) if keys.is_newest_of(sealed) => seals.newest += 1,
            Ok(_) => seals.older += 1,
            Err(KeyError::UnknownKey) => {
                let key = sealed.fingerprint();
                seals.faults.push(format!("it is sealed with the key {key}, which the key file does not hold"));
            }
            Err(_) => seals.faults.push("a sealed value in it was changed, or belongs to another record".into()),
        }
    }
    seals
}

/// A change that seals with the newest key what older ones have sealed, if the record is still the same; `None`: there is nothing
/// like that in it.
pub fn renew<R: Sealing>(raw: &Raw, keys: &Keys) -> Result<Option<Change>, Unsealed> {
    let name = raw.name::<R>().unwrap_or_default();
    let mut record: R = raw.decode()?;
    let mut renewed = false;
    for (purpose, owner, sealed) in record.sealed(name) {
        if !keys.is_newest_of(sealed) {
            let plain = keys.open(purpose, &owner, sealed).map_err(|_| Unsealed::Closed(sealed.fingerprint()))?;
            *sealed = keys.seal(purpose, &owner, &plain).map_err(Unsealed::Key)?;
            renewed = true;
        }
    }
    Ok(renewed.then(|| Change::new().unchanged::<R>(name, raw.seen()).put(name, &record).lazy()))
}

/// Why something was not sealed anew.
#[derive(Debug)]
pub enum Unsealed {
    /// It does not open; the name of the key that it was sealed with.
    Closed(String),
    Key(KeyError),
    Store(StoreError),
}

impl From<StoreError> for Unsealed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
