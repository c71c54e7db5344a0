//! Hashes that come from another gate's list of accounts, each of which a login can bear.

use std::fmt;

use super::{Scheme, Unusable};

/// How many schemes, each with its parameters, accounts may have at a time: every login computes one hash of each.
pub const MOST_SCHEMES: usize = 8;

/// The dearest hashes that are taken over: about a second each on a slow machine. sekisho's own may cost what the configuration
/// says.
mod most {
    /// KiB.
    pub const ARGON2_MEMORY: u32 = 256 * 1024;
    /// As [`Cost::work`](crate::authn::password::Cost::work) counts it.
    pub const ARGON2_WORK: u64 = 1024 * 1024;
    pub const BCRYPT_COST: u32 = 14;
    pub const SHA_CRYPT_ROUNDS: u32 = 1_000_000;
    pub const PBKDF2_ITERATIONS: u64 = 1_000_000;
    /// Bytes.
    pub const SCRYPT_MEMORY: u64 = 256 * 1024 * 1024;
    /// Bytes, over all of its passes.
    pub const SCRYPT_WORK: u64 = 512 * 1024 * 1024;
}

/// A hash that is understood, whole, and not too dear. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct ForeignHash {
    hash: String,
    scheme: Scheme,
}

impl ForeignHash {
    /// Reads a hash as it stands in the list.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        // OpenLDAP's mark, which Authelia's lists of earlier years have before what crypt(3) understands.
        let hash = text.strip_prefix("{CRYPT}").unwrap_or(text);
        let scheme = Scheme::of(hash)?;
        match limit(scheme) {
            None => Ok(Self { hash: hash.to_owned(), scheme }),
            Some(limit) => Err(Unusable::TooDear(scheme.name(), limit)),
        }
    }

    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.hash
    }
}

impl fmt::Debug for ForeignHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForeignHash({}, …)", self.scheme)
    }
}

/// The limit that this scheme goes beyond, in words.
fn limit(scheme: Scheme) -> Option<&'static str> {
    match scheme {
        Scheme::Argon2(cost) if cost.memory_kib > most::ARGON2_MEMORY => Some("256 MiB of memory"),
        Scheme::Argon2(cost) if cost.work() > most::ARGON2_WORK => {
            Some("1 GiB, counting memory once for each iteration")
        }
        Scheme::Bcrypt { cost } if cost > most::BCRYPT_COST => Some("cost 14"),
        Scheme::ShaCrypt { rounds, .. } if rounds > most::SHA_CRYPT_ROUNDS => Some("a million rounds"),
        Scheme::Pbkdf2 { iterations, length, digest }
            if u64::from(iterations).saturating_mul(digest.times(length)) > most::PBKDF2_ITERATIONS =>
        {
            Some("a million iterations")
        }
        Scheme::Scrypt { log_n, r, p, .. } => {
            let memory = 1_u64.checked_shl(log_n.into()).and_then(|n| n.checked_mul(128)?.checked_mul(r.into()));
            let work = memory.and_then(|memory| memory.checked_mul(p.into()));
            let fits = memory.is_some_and(|memory| memory <= most::SCRYPT_MEMORY)
                && work.is_some_and(|work| work <= most::SCRYPT_WORK);
            (!fits).then_some("256 MiB of memory, and 512 MiB, counting it once for each pass")
        }
        _ => None,
    }
}
