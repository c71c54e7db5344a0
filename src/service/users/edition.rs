//! What an account looked like when a form was made from it, so that two people do not overwrite each other's changes unseen.
//! Only what forms change counts: a login of the owner's in between is no change.

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use crate::authn::user::User;

/// The digest of an account's fields. No secret: whoever gets it sees the fields beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edition(String);

impl Edition {
    /// What the account looks like now.
    #[must_use]
    pub fn of(user: &User) -> Self {
        let factor = &user.second_factor;
        let mut digest = Sha256::new();
        let mut field = |text: &str| {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        };
        field(user.login.as_str());
        field(user.name.as_str());
        field(user.email.as_ref().map_or("", |email| email.as_str()));
        field(&user.role.to_string());
        field(&factor.method.to_string());
        field(if factor.switched_on { "on" } else { "off" });
        user.groups.iter().for_each(|group| field(group.as_str()));
        Self(BASE64URL_NOPAD.encode(&digest.finalize()))
    }

    /// As a form has sent it.
    #[must_use]
    pub fn sent(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// As a form carries it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
