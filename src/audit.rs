//! The events that are kept: who, what, when, from where, with what result. `service` commits an event together with the
//! act it tells of.

use serde::{Deserialize, Serialize};

use crate::authn::session::Origin;
use crate::clock::Timestamp;
use crate::id::{EventId, UserId};

/// One event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    pub id: EventId,
    pub at: Timestamp,
    pub kind: Kind,
    pub result: Result,
    /// Whom it is about.
    #[serde(default)]
    pub user: Option<UserId>,
    /// The login, as it was at the time, or as it was typed (at most 64 characters, no control characters).
    #[serde(default)]
    pub login: String,
    /// Who did it, where that is somebody else: a manager's login, or `cli`.
    #[serde(default)]
    pub actor: Option<String>,
    pub client: Origin,
    /// Further words, never a secret.
    #[serde(default)]
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Login,
    SecondFactor,
    Enrolment,
    Logout,
    Lockout,
    SessionEnded,
    DeviceForgotten,
    UserAdded,
    UserChanged,
    UserDeleted,
    PasswordChanged,
    SecondFactorReset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Result {
    Success,
    Failure,
}
