//! Machine tokens (F38): what a programme shows for itself instead of a session. Good for the routes that it names and until a day that is
//! known from the start; there is none for everything, and none for ever.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::user::InvalidField;
use crate::clock::Timestamp;
use crate::id::TokenId;
use crate::secret::{ExposeSecret, SecretString, Token};

/// What every one begins with: by this, programmes that look for secrets in repositories know one, and sekisho knows its own.
pub const PREFIX: &str = "skt_";

/// A token, as it is stored under `token/SHA256`. Its value is not in it: the key is its digest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MachineToken {
    pub id: TokenId,
    pub name: TokenName,
    /// The names of the routes that it is good for.
    pub routes: BTreeSet<String>,
    pub created_at: Timestamp,
    /// From this moment on it is good for nothing.
    pub expires_at: Timestamp,
    /// Written behind.
    #[serde(default)]
    pub last_used: Option<Timestamp>,
    #[serde(default)]
    pub last_address: Option<String>,
}

/// A token as whoever was given it writes it: `skt_` and 43 characters.
#[must_use]
pub fn spelled(token: &Token) -> SecretString {
    format!("{PREFIX}{}", token.encode().expose_secret()).into()
}

/// Reads what [`spelled`] wrote. One token has one spelling.
#[must_use]
pub fn read(text: &str) -> Option<Token> {
    text.strip_prefix(PREFIX).and_then(Token::parse)
}

/// What a token is for, as it stands in logs and in what tools are told: 1 to 64 letters, digits or `. _ -`, of ASCII, as tools and shells
/// take them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenName(String);

impl TokenName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenName {
    type Err = InvalidField;
    fn from_str(text: &str) -> Result<Self, InvalidField> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let begins = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        // Whoever puts the token where its name belongs would have it in every log.
        if begins && text.len() <= 64 && text.bytes().all(allowed) && !text.starts_with(PREFIX) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidField("1 to 64 letters, digits or . _ -, and begin with a letter or a digit"))
        }
    }
}

impl TryFrom<String> for TokenName {
    type Error = InvalidField;
    fn try_from(text: String) -> Result<Self, InvalidField> {
        text.parse()
    }
}

impl From<TokenName> for String {
    fn from(name: TokenName) -> Self {
        name.0
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_spelling() {
        let token = Token::from_bytes([7; 32]);
        let text = spelled(&token).expose_secret().to_owned();
        assert_eq!(text.len(), 47);
        assert_eq!(read(&text).unwrap().digest(), token.digest());
        let upper = text.replacen("skt_", "SKT_", 1);
        let (bare, cut) = (text.get(4..).unwrap(), text.get(..46).unwrap());
        for other in ["", "skt_", bare, cut, &format!("{text}="), &format!(" {text}"), &upper] {
            assert!(read(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_name_is_one_for_headers_logs_and_shells_and_never_a_token() {
        for name in ["deploy", "Backup-2.nightly_1", "7"] {
            assert_eq!(name.parse::<TokenName>().unwrap().as_str(), name);
        }
        let token = spelled(&Token::from_bytes([7; 32]));
        for name in ["", "a b", "-x", ".x", "a:b", "a,b", "äpfel", "a\n", token.expose_secret(), &"a".repeat(65)] {
            assert!(name.parse::<TokenName>().is_err(), "{name:?}");
        }
    }
}
