//! A programme that asks as itself, by a token: nobody is signed in, and there is no account.
//!
//! It has names of its own kind wherever people have theirs. A login has no colon, so no tool can take a machine for a person, and no
//! `allow.users` can mean one.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::id::TokenId;

/// What is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    pub id: TokenId,
    pub name: String,
    /// The names of the routes that it may use.
    pub routes: BTreeSet<String>,
    pub since: Timestamp,
    pub expires_at: Timestamp,
}

impl Machine {
    /// Where a person's login would stand: `token:deploy`.
    #[must_use]
    pub fn login(&self) -> String {
        format!("token:{}", self.name)
    }

    /// Where an account's id would stand.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("token:{}", self.id)
    }
}
