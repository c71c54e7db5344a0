//! What a person signs in with at a tool behind the wall (F37): rules for names and passwords that can be shown to one.
//!
//! Whoever holds [`Credentials`] need not check them again: they can stand where they are to stand. Where they are kept belongs to
//! `service`, who gets to see them to `gateway`.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::secret::{ExposeSecret, SecretString};

/// What a tool takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// HTTP Basic (RFC 7617).
    Basic,
    /// A bearer token (RFC 6750), without a name.
    Bearer,
    /// A login page of the tool's own.
    Form,
}

/// In bytes.
const LONGEST_NAME: usize = 256;
const LONGEST_SECRET: usize = 4096;

/// A name and a password, or a token. Prints neither.
#[derive(Clone)]
pub struct Credentials {
    username: String,
    secret: SecretString,
}

/// Why they cannot be shown to a tool: a predicate of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("must not be empty")]
    Empty,
    #[error("must be one line, without control characters")]
    Control,
    #[error("is too long")]
    TooLong,
    #[error("must not have a colon, which ends a name in HTTP Basic")]
    Colon,
    #[error("must be visible ASCII characters, without blanks")]
    NotVisible,
    /// A token is all there is.
    #[error("is not asked for here")]
    NotAskedFor,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Name,
    Secret,
}

/// As it is sealed.
#[derive(Serialize)]
struct Stored<'s> {
    username: &'s str,
    secret: &'s str,
}

impl Kind {
    /// Whether there is a name to it.
    #[must_use]
    pub const fn has_name(self) -> bool {
        !matches!(self, Self::Bearer)
    }

    /// # Errors
    /// Why a tool cannot be shown this name.
    pub fn check_name(self, name: &str) -> Result<(), Unusable> {
        match self {
            Self::Bearer if name.is_empty() => Ok(()),
            Self::Bearer => Err(Unusable::NotAskedFor),
            Self::Basic if name.contains(':') => Err(Unusable::Colon),
            Self::Basic | Self::Form => check_text(name, LONGEST_NAME),
        }
    }

    /// # Errors
    /// Why a tool cannot be shown this password or token.
    pub fn check_secret(self, secret: &str) -> Result<(), Unusable> {
        check_text(secret, LONGEST_SECRET)?;
        // What tools call a token is not always the `b64token` of RFC 6750 §2.1.
        let fits = self != Self::Bearer || secret.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(()) } else { Err(Unusable::NotVisible) }
    }
}

fn check_text(text: &str, longest: usize) -> Result<(), Unusable> {
    match text {
        "" => Err(Unusable::Empty),
        _ if text.chars().any(char::is_control) => Err(Unusable::Control),
        _ if text.len() > longest => Err(Unusable::TooLong),
        _ => Ok(()),
    }
}

impl Credentials {
    /// # Errors
    /// Which part a tool of this kind cannot be shown, and why.
    pub fn new(kind: Kind, username: &str, secret: SecretString) -> Result<Self, (Part, Unusable)> {
        kind.check_name(username).map_err(|why| (Part::Name, why))?;
        kind.check_secret(secret.expose_secret()).map_err(|why| (Part::Secret, why))?;
        Ok(Self { username: username.to_owned(), secret })
    }

    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    #[must_use]
    pub const fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// As they are sealed.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let stored = Stored { username: &self.username, secret: self.secret.expose_secret() };
        // Two texts always make JSON.
        Zeroizing::new(serde_json::to_vec(&stored).unwrap_or_default())
    }

    /// What [`Credentials::encode`] made, if they are still good for a tool of this kind: a route may have come to ask for others.
    #[must_use]
    pub fn decode(kind: Kind, bytes: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Read {
            username: String,
            secret: String,
        }
        let read: Read = serde_json::from_slice(bytes).ok()?;
        Self::new(kind, &read.username, read.secret.into()).ok()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(kind: Kind, name: &str, secret: &str) -> Option<(Part, Unusable)> {
        Credentials::new(kind, name, secret.into()).err()
    }

    #[test]
    fn what_could_not_stand_where_it_is_to_stand_is_refused() {
        use Kind::{Basic, Bearer, Form};
        use Part::{Name, Secret};
        for (kind, name, secret, expected) in [
            (Basic, "admin", "open sesame: ü", None),
            (Basic, "ad:min", "x", Some((Name, Unusable::Colon))),
            (Basic, "", "x", Some((Name, Unusable::Empty))),
            (Basic, "a\nb", "x", Some((Name, Unusable::Control))),
            (Basic, "a", "x\r\nEvil: 1", Some((Secret, Unusable::Control))),
            (Form, "ad:min", "x", None),
            (Form, "a", "", Some((Secret, Unusable::Empty))),
            (Bearer, "", "mF_9.B5f-4.1JqM", None),
            (Bearer, "a", "x", Some((Name, Unusable::NotAskedFor))),
            (Bearer, "", "two words", Some((Secret, Unusable::NotVisible))),
            (Bearer, "", "\u{fc}", Some((Secret, Unusable::NotVisible))),
        ] {
            assert_eq!(judged(kind, name, secret), expected, "{kind:?} {name:?}");
        }
        assert_eq!(judged(Basic, "a", &"x".repeat(5000)), Some((Secret, Unusable::TooLong)));
    }

    #[test]
    fn what_is_read_again_is_what_was_written_and_nothing_is_printed() {
        let made = Credentials::new(Kind::Form, "花子:1", "p\"a ss".into()).unwrap();
        let read = Credentials::decode(Kind::Form, &made.encode()).unwrap();
        assert_eq!((read.username(), read.secret().expose_secret()), ("花子:1", "p\"a ss"));
        assert!(Credentials::decode(Kind::Basic, &made.encode()).is_none());
        assert_eq!(format!("{made:?}"), "Credentials(…)");
    }
}
