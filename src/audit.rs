//! The events that are kept: who, what, when, from where, with what result. `service` commits an event together with the
//! act it tells of.
//!
//! Nothing secret is ever part of one, and every text in it is [`printable`]: lines are read on terminals and pages.

mod file;
mod row;
mod text;

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::file::AuditFile;
pub use self::row::EventRow;
pub use self::text::printable;
use crate::authn::session::Origin;
use crate::clock::Timestamp;
use crate::id::{EventId, SessionId, UserId};

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
    /// The login, as it was at the time, or as it was typed (at most 64 characters).
    #[serde(default)]
    pub login: String,
    /// Who did it: a login, `cli` or `sekisho`. Nobody, where it is only claimed who it was: a login that failed.
    #[serde(default)]
    pub actor: Option<String>,
    /// The actor's account.
    #[serde(default)]
    pub actor_id: Option<UserId>,
    pub client: Origin,
    /// The session in which it was done, or that it is about.
    #[serde(default)]
    pub session: Option<SessionMark>,
    /// The route's name, where it happened on one.
    #[serde(default)]
    pub route: Option<String>,
    /// The reason, or further words; never a secret.
    #[serde(default)]
    pub detail: String,
}

impl Event {
    /// The accounts whose events it is among: whom it is about, and who did it.
    pub fn accounts(&self) -> impl Iterator<Item = UserId> {
        let actor = self.actor_id.filter(|actor| Some(*actor) != self.user);
        self.user.into_iter().chain(actor)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal),+ $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Kind {
            $($(#[$doc])* #[serde(rename = $name)] $kind),+
        }

        impl Kind {
            /// Every kind, in the order of their table in the README.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The name that files and filters know it by.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name),+
                }
            }
        }
    };
}

kinds! {
    /// Somebody signed in, or tried to.
    Login = "login",
    /// A code within a login or a session: wrong, or right in a session that stepped up.
    SecondFactor = "second_factor",
    /// The password was given again before a change, or a wrong one was.
    Confirmation = "confirmation",
    /// An app was enrolled, or a wrong code was given while enrolling.
    Enrolment = "enrolment",
    /// A sign-in was carried to another host, or the code for that came where it should not have.
    SignOn = "sign_on",
    Logout = "logout",
    /// Too many failures: the account is locked.
    Lockout = "lockout",
    /// By a manager, by time, or because the browser signed in anew.
    SessionEnded = "session_ended",
    DeviceForgotten = "device_forgotten",
    UserAdded = "user_added",
    UserChanged = "user_changed",
    UserDeleted = "user_deleted",
    PasswordChanged = "password_changed",
    /// A link for a new password was asked for or sent.
    PasswordReset = "password_reset",
    SecondFactorReset = "second_factor_reset",
    RecoveryCodesRenewed = "recovery_codes_renewed",
    /// A machine token was made.
    TokenAdded = "token_added",
    TokenRevoked = "token_revoked",
    /// What was shown as one was none.
    TokenRefused = "token_refused",
    /// What a tool is shown for an account was set or removed.
    ToolLoginChanged = "tool_login_changed",
    /// Somebody signed in came to what is not for them.
    AccessDenied = "access_denied",
    /// A form came when its sender's session had ended: kept until they have signed in again.
    FormHeld = "form_held",
    /// Its sender has had it sent on.
    FormSent = "form_sent",
    /// The configuration was read anew.
    ConfigReloaded = "config_reloaded",
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Kind {
    type Err = Unknown;

    fn from_str(text: &str) -> std::result::Result<Self, Unknown> {
        Self::ALL.iter().find(|kind| kind.name() == text).copied().ok_or(Unknown)
    }
}

/// No event has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such name")]
pub struct Unknown;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Result {
    Success,
    Failure,
}

impl Result {
    pub const ALL: &'static [Self] = &[Self::Success, Self::Failure];

    /// The name that files and filters know it by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

impl std::str::FromStr for Result {
    type Err = Unknown;

    fn from_str(text: &str) -> std::result::Result<Self, Unknown> {
        Self::ALL.iter().find(|result| result.name() == text).copied().ok_or(Unknown)
    }
}

/// A session by a short digest of its inner id: joins the lines of one session, and names it to nobody who does not know the
/// id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionMark(String);

impl SessionMark {
    /// 12 hex digits of the id's SHA-256.
    #[must_use]
    pub fn of(session: SessionId) -> Self {
        let digest = Sha256::digest(session.to_string());
        Self(HEXLOWER.encode(&digest).chars().take(12).collect())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_serialised_ones_and_are_read_again() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert_eq!(kind.name().parse(), Ok(*kind));
        }
        for result in Result::ALL {
            assert_eq!(serde_json::to_value(result).unwrap(), result.name());
            assert_eq!(result.name().parse(), Ok(*result));
        }
        assert_eq!("Login".parse::<Kind>(), Err(Unknown));
    }

    #[test]
    fn a_session_has_one_short_mark_that_is_not_its_id() {
        let (one, other) = (SessionId::from_bytes([1; 10]), SessionId::from_bytes([2; 10]));
        let mark = SessionMark::of(one);
        assert_eq!(mark.as_str().len(), 12);
        assert_eq!(mark, SessionMark::of(one));
        assert_ne!(mark, SessionMark::of(other));
        assert!(!one.to_string().contains(mark.as_str()));
    }
}
