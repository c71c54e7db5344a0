//! A programme that asks as itself, by a token or by its certificate: nobody is signed in, and there is no account.
//!
//! It has names of its own kind wherever people have theirs. A login has no colon, so no tool can take a machine for a person, and no
//! `allow.users` can mean one.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::id::TokenId;

/// By what it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MachineId {
    Token(TokenId),
    /// SHA-256 of the certificate and the name that it is known by.
    Certificate([u8; 32]),
}

/// What is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    pub id: MachineId,
    pub name: String,
    /// The names of the routes that it may use.
    pub routes: BTreeSet<String>,
    pub since: Timestamp,
    pub expires_at: Timestamp,
}

impl Machine {
    /// Where a person's login would stand: `token:deploy`, `certificate:backup.example.com`.
    #[must_use]
    pub fn login(&self) -> String {
        match self.id {
            MachineId::Token(_) => format!("token:{}", self.name),
            MachineId::Certificate(_) => format!("certificate:{}", self.name),
        }
    }

    /// Where an account's id would stand. A certificate is renewed, and its name is what stays.
    #[must_use]
    pub fn subject(&self) -> String {
        match self.id {
            MachineId::Token(id) => format!("token:{id}"),
            MachineId::Certificate(_) => self.login(),
        }
    }

    /// By what it has shown who it is: a word of sekisho's own for a bearer's token, of which RFC 8176 knows none, and that RFC's (§2) for the
    /// proof that one has a key.
    #[must_use]
    pub const fn means(&self) -> &'static [&'static str] {
        match self.id {
            MachineId::Token(_) => &["token"],
            MachineId::Certificate(_) => &["pop"],
        }
    }
}
