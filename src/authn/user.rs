//! The account: the aggregate that a login step changes, and the types of its parts, none of which can hold a wrong value.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::recovery_code::RecoverySet;
use crate::clock::Timestamp;
use crate::id::UserId;
use crate::secret::Sealed;

/// An account, as it is stored under `user/ID`. A single-use code is spent by the commit that compares this record's
/// version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    pub login: LoginName,
    /// The person's name, as shown and as sent in `Remote-Name`.
    #[serde(default)]
    pub name: DisplayName,
    #[serde(default)]
    pub email: Option<Email>,
    #[serde(default)]
    pub groups: BTreeSet<Group>,
    #[serde(default)]
    pub role: Role,
    /// None: nobody can sign in with a password until one is set.
    #[serde(default)]
    pub password: Option<StoredPassword>,
    #[serde(default)]
    pub disabled: bool,
    pub second_factor: SecondFactor,
    /// Raising it ends every session and device key of this account at once.
    #[serde(default)]
    pub epoch: u64,
    pub registered_at: Timestamp,
    #[serde(default)]
    pub last_login: Option<Timestamp>,
}

/// A password as it is stored: only its hash, in the PHC string format (`$argon2id$…`).
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredPassword {
    pub hash: String,
    pub changed_at: Timestamp,
    #[serde(default)]
    pub must_change: bool,
}

impl StoredPassword {
    /// Whether the next login asks for another one (F22): it was set by somebody else, or is older than `max_age`.
    #[must_use]
    pub fn change_is_due(&self, max_age: Option<Duration>, now: Timestamp) -> bool {
        self.must_change || max_age.is_some_and(|max_age| now.since(self.changed_at) >= max_age)
    }
}

impl User {
    /// Every session, device key and login in progress ends. The last value is not reached: it stands for "nobody".
    pub fn raise_epoch(&mut self) {
        self.epoch = self.epoch.saturating_add(1).min(u64::MAX - 1);
    }

    /// Another password: what was opened with the one before ends.
    pub fn change_password(&mut self, new: StoredPassword) {
        self.password = Some(new);
        self.raise_epoch();
    }
}

impl fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredPassword").field("changed_at", &self.changed_at).finish_non_exhaustive()
    }
}

/// The account's side of the second factor; whether one is asked for is decided with the route's policy (`authz`).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SecondFactor {
    /// The account's own switch; it counts where the policy is `per_user`.
    pub switched_on: bool,
    pub method: Method,
    /// The app, once a first code has proved it.
    #[serde(default)]
    pub totp: Option<TotpEnrolment>,
    /// The recovery codes that were made when the app was enrolled.
    #[serde(default)]
    pub recovery: Option<RecoverySet>,
}

/// By what the second factor is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// An authenticator app (RFC 6238).
    #[default]
    Totp,
    /// A code by mail.
    Mail,
}

/// An enrolled authenticator app.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TotpEnrolment {
    /// The key of 160 bits, sealed for [`crate::secret::Purpose::TotpKey`] and this account's id.
    pub key: Sealed,
    /// The newest time step whose code was accepted; this and older ones are refused (RFC 6238 §5.2).
    pub last_step: u64,
    pub enrolled_at: Timestamp,
}

/// What a person may do in sekisho itself (F27).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Passes the wall; sees own settings.
    #[default]
    User,
    /// Sees the users.
    Viewer,
    /// Sees, adds, edits users.
    Manager,
    /// Everything, roles too.
    Admin,
}

macro_rules! words {
    ($type:ident, $($word:literal => $variant:ident),+) => {
        impl FromStr for $type {
            type Err = InvalidField;
            fn from_str(text: &str) -> Result<Self, InvalidField> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err(InvalidField(concat!("one of", $(" ", $word),+))) }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $word,)+ })
            }
        }
    };
}
words!(Role, "user" => User, "viewer" => Viewer, "manager" => Manager, "admin" => Admin);
words!(Method, "totp" => Totp, "mail" => Mail);

/// What a field must be; the sentence names the rule, not the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub struct InvalidField(pub &'static str);

macro_rules! text_field {
    ($(#[$doc:meta])* $name:ident, $parse:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = InvalidField;
            fn from_str(text: &str) -> Result<Self, InvalidField> {
                $parse(text).map(Self)
            }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidField;
            fn try_from(text: String) -> Result<Self, InvalidField> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(field: $name) -> Self {
                field.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text_field! {
    /// What a person types to sign in: 1 to 64 characters, compared without regard to case or surrounding blanks.
    LoginName, parse_login
}
text_field! {
    /// A mail address.
    Email, parse_email
}
text_field! {
    /// A group's name, as it stands in `allow.groups` and `Remote-Groups`: no comma, no blank.
    Group, parse_group
}
text_field! {
    /// A person's name: up to 128 characters of any script, no control characters.
    #[derive(Default)]
    DisplayName, parse_display_name
}

fn parse_login(text: &str) -> Result<String, InvalidField> {
    let login = text.trim().to_lowercase();
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+');
    if login.is_empty() || login.chars().count() > 64 || !login.chars().all(allowed) {
        return Err(InvalidField("1 to 64 letters, digits or . _ - @ +"));
    }
    Ok(login)
}

/// One `@` with something on both sides, printable, no blanks, no quoted local part: what every mail system takes.
fn parse_email(text: &str) -> Result<String, InvalidField> {
    const RULE: InvalidField = InvalidField("a mail address like name@example.com");
    let text = text.trim();
    let (local, domain) = text.split_once('@').ok_or(RULE)?;
    let local_ok = !local.is_empty()
        && local.len() <= 64
        && local.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c))
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..");
    let domain_ok = domain.len() <= 253
        && domain.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        });
    if local_ok && domain_ok { Ok(text.to_owned()) } else { Err(RULE) }
}

fn parse_group(text: &str) -> Result<String, InvalidField> {
    let text = text.trim();
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '/' | '@');
    if text.is_empty() || text.chars().count() > 64 || !text.chars().all(allowed) {
        return Err(InvalidField("1 to 64 letters, digits or . _ - : / @"));
    }
    Ok(text.to_owned())
}

fn parse_display_name(text: &str) -> Result<String, InvalidField> {
    let text = text.trim();
    if text.chars().count() > 128 || text.chars().any(char::is_control) {
        return Err(InvalidField("at most 128 characters, none of them a control character"));
    }
    Ok(text.to_owned())
}
