//! Names of things: random, short enough to read aloud, one type for each so that they cannot be mixed up.
//!
//! An id is no secret and gives no right; what gives rights is a [`crate::secret::Token`].

use std::fmt;
use std::str::FromStr;

use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// Crockford's alphabet in lower case: no i, l, o, u to be misread.
static ALPHABET: LazyLock<Encoding> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    #[expect(clippy::expect_used, reason = "a constant of 32 distinct ASCII symbols is a valid specification")]
    spec.encoding().expect("32 distinct symbols")
});

/// What does not look like an id of the kind asked for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a valid id: 16 characters of 0-9 and a-z without i, l, o, u are expected")]
pub struct InvalidId;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 10]);

        impl $name {
            /// From 80 random bits.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 10]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&ALPHABET.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let bytes = ALPHABET.decode(text.as_bytes()).map_err(|_| InvalidId)?;
                bytes.try_into().map(Self).map_err(|_| InvalidId)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                ALPHABET.encode(&id.0)
            }
        }
    )+};
}

ids! {
    /// An account. Stays the same when its login is changed.
    UserId,
    /// A session: the same over every change of its cookie value.
    SessionId,
    /// A browser that passed the second factor as one account.
    DeviceId,
    /// One request, in logs and in `X-Request-Id`.
    RequestId,
    /// An audit event.
    EventId,
    /// A list of accounts that was uploaded.
    ImportId,
    /// A machine token, by which it is listed and revoked.
    TokenId,
    /// A form that is kept over a login.
    HeldId,
}
