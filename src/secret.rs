//! Secrets: bearer values, the keys at rest, and the operating system's random bytes.
//!
//! Nothing here prints what it holds: `Debug` shows a name, never a value, and memory is wiped on drop. How long a
//! secret is good for and what it opens belong to `authn`; where it is kept belongs to `store`.

mod keys;
mod signing;
mod token;

pub use keys::{KeyError, Keys, Mac, Purpose, Sealed};
pub use secrecy::{ExposeSecret, SecretString};
pub use signing::{PublicKey, Signer};
pub use token::{Token, TokenDigest};

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes: {0}")]
pub struct EntropyError(getrandom::Error);

/// `N` bytes from the operating system's random source.
///
/// # Errors
/// Where the source fails; the caller must then refuse what it was about to do.
#[expect(clippy::disallowed_methods, reason = "the one place that asks for random bytes")]
pub fn random_bytes<const N: usize>() -> Result<[u8; N], EntropyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(EntropyError)?;
    Ok(bytes)
}
