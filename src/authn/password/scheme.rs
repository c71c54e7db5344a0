//! By what rule a stored hash was made: sekisho's own, or another gate's, until its owner signs in the next time.
//!
//! | hash | where from | |
//! | --- | --- | --- |
//! | `$argon2id$…` | sekisho, Authelia | argon2i and argon2d too |
//! | `$2y$…` `$2a$…` `$2b$…` | `htpasswd -B`, Authelia | bcrypt; the first 72 bytes count |
//! | `$apr1$…` `$1$…` | `htpasswd`, `htpasswd -m` | a thousand rounds of MD5 |
//! | `{SHA}…` | `htpasswd -s` | one SHA-1, without salt |
//! | `$5$…` `$6$…` | `htpasswd -2`, `-5`, Authelia | SHA-crypt |
//! | `$pbkdf2-sha512$…` | Authelia | with SHA-1, SHA-256 and SHA-512 |
//! | `$scrypt$…` | Authelia | |
//!
//! A [`Scheme`] holds all that the cost of a check depends on, so that the login page can compute the same for everybody, and
//! an import can refuse what would cost too much ([`super::foreign`]).

use std::fmt;

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordVerifier as _, Version};
use data_encoding::{BASE64, BASE64_NOPAD};
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;

use super::md5_crypt;
use super::{Cost, HashError, Memory};

/// What a check of a hash computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    Argon2(Cost),
    Bcrypt {
        /// The rounds are two to the power of this.
        cost: u32,
    },
    Md5Crypt(Mark),
    Sha1,
    ShaCrypt {
        digest: ShaCrypt,
        rounds: u32,
    },
    Pbkdf2 {
        digest: Pbkdf2,
        iterations: u32,
        /// How long the hash is, in bytes: each digest's length costs all iterations once more.
        length: usize,
    },
    Scrypt {
        /// N is two to the power of this (RFC 7914 §2).
        log_n: u8,
        r: u32,
        p: u32,
        length: usize,
    },
}

/// Whose MD5 it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    Apache,
    FreeBsd,
}

/// Which digest a SHA-crypt goes round with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ShaCrypt {
    Sha256,
    Sha512,
}

/// Which digest a PBKDF2 goes round with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pbkdf2 {
    Sha1,
    Sha256,
    Sha512,
}

/// Why a hash of another gate cannot be taken over. None quotes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("it has no password hash")]
    Empty,
    #[error("its password stands there in plain text, or hashed in a way that is not known")]
    Unknown,
    #[error("its password is hashed by the old crypt(3), which reads only the first 8 characters")]
    Des,
    #[error("its password is hashed with {0}, which sekisho does not read")]
    Unread(&'static str),
    #[error("its {0} hash is damaged")]
    Damaged(&'static str),
    #[error("its {0} hash would take more than a login may: {1} at most")]
    TooDear(&'static str, &'static str),
}

/// The longest password that is tried against a hash whose rounds each read all of it, in bytes; htpasswd takes no longer one.
const LONGEST_IN_ROUNDS: usize = 256;
/// How many bytes of a password bcrypt reads.
const BCRYPT_BYTES: usize = 72;

impl Scheme {
    /// The scheme of a stored hash.
    ///
    /// # Errors
    /// Why it is none that is read.
    pub fn of(stored: &str) -> Result<Self, Unusable> {
        if stored.is_empty() {
            return Err(Unusable::Empty);
        }
        if let Some(digest) = stored.strip_prefix("{SHA}") {
            let decoded = BASE64.decode(digest.as_bytes()).unwrap_or_default();
            return if decoded.len() == 20 { Ok(Self::Sha1) } else { Err(Unusable::Damaged("SHA-1")) };
        }
        let Some((id, rest)) = stored.strip_prefix('$').and_then(|rest| rest.split_once('$')) else {
            return Err(if is_des(stored) { Unusable::Des } else { Unusable::Unknown });
        };
        match id {
            "argon2id" | "argon2i" | "argon2d" => argon2(stored),
            "2a" | "2b" | "2y" => bcrypt(stored, rest),
            "apr1" => md5_crypt(Mark::Apache, rest),
            "1" => md5_crypt(Mark::FreeBsd, rest),
            "5" => sha_crypt(ShaCrypt::Sha256, stored, rest),
            "6" => sha_crypt(ShaCrypt::Sha512, stored, rest),
            "pbkdf2" | "pbkdf2-sha1" => pbkdf2(Pbkdf2::Sha1, rest),
            "pbkdf2-sha256" => pbkdf2(Pbkdf2::Sha256, rest),
            "pbkdf2-sha512" => pbkdf2(Pbkdf2::Sha512, rest),
            "scrypt" => scrypt(rest),
            "2x" => Err(Unusable::Unread("the faulty bcrypt of 2011 ($2x$)")),
            "bcrypt-sha256" => Err(Unusable::Unread("bcrypt-sha256")),
            "y" | "gy" => Err(Unusable::Unread("yescrypt")),
            "7" => Err(Unusable::Unread("the scrypt of crypt(3)")),
            "sha1" | "md5" => Err(Unusable::Unread("a crypt(3) of NetBSD or Solaris")),
            "pbkdf2-sha224" | "pbkdf2-sha384" => Err(Unusable::Unread("PBKDF2 over SHA-224 or SHA-384")),
            _ => Err(Unusable::Unknown),
        }
    }

    /// As reports and lists name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Argon2(_) => "argon2",
            Self::Bcrypt { .. } => "bcrypt",
            Self::Md5Crypt(Mark::Apache) => "apr1",
            Self::Md5Crypt(Mark::FreeBsd) => "md5-crypt",
            Self::Sha1 => "sha1",
            Self::ShaCrypt { digest: ShaCrypt::Sha256, .. } => "sha256-crypt",
            Self::ShaCrypt { digest: ShaCrypt::Sha512, .. } => "sha512-crypt",
            Self::Pbkdf2 { .. } => "pbkdf2",
            Self::Scrypt { .. } => "scrypt",
        }
    }

    /// Whether `password` is the one behind `stored`, which is of this scheme.
    pub(super) fn verify(self, stored: &str, password: &str, memory: &mut Memory) -> Result<bool, HashError> {
        let password = password.as_bytes();
        let damaged = || HashError::from(Unusable::Damaged(self.name()));
        Ok(match self {
            Self::Argon2(_) => {
                let stored = PasswordHash::new(stored)?;
                let (Some(salt), Some(hash)) = (&stored.salt, &stored.hash) else { return Err(damaged()) };
                let version = stored.version.map(Version::try_from).transpose()?.unwrap_or_default();
                let params = Params::try_from(&stored)?;
                let blocks = memory.of(&params)?;
                let argon2 = Argon2::new(Algorithm::try_from(stored.algorithm.as_str())?, version, params);
                let mut made = vec![0; hash.len()];
                argon2.hash_password_into_with_memory(password, salt, &mut made, blocks)?;
                made.ct_eq(hash.as_bytes()).into()
            }
            Self::Bcrypt { .. } => {
                let matches = ::bcrypt::verify(password, stored).map_err(|_| damaged())?;
                // bcrypt goes round the password and a zero byte behind it without end, so that to it "a", zero, "a" is "a".
                // No other tool can have hashed one with a zero byte in it.
                matches && !password.contains(&0)
            }
            Self::Md5Crypt(mark) if password.len() <= LONGEST_IN_ROUNDS => {
                let (salt, hash) =
                    stored.strip_prefix(mark.text()).and_then(|r| r.split_once('$')).ok_or_else(damaged)?;
                let made = md5_crypt::hash(mark.text(), password, salt.as_bytes());
                made.as_bytes().ct_eq(hash.as_bytes()).into()
            }
            Self::Sha1 => {
                let hash = stored.strip_prefix("{SHA}").ok_or_else(damaged)?;
                let hash = BASE64.decode(hash.as_bytes()).map_err(|_| damaged())?;
                Sha1::digest(password).ct_eq(hash.as_slice()).into()
            }
            Self::ShaCrypt { .. } if password.len() <= LONGEST_IN_ROUNDS => {
                let hash = ::sha_crypt::PasswordHashRef::new(stored).map_err(|_| damaged())?;
                ::sha_crypt::ShaCrypt::default().verify_password(password, hash).is_ok()
            }
            Self::Md5Crypt(_) | Self::ShaCrypt { .. } => false,
            Self::Pbkdf2 { digest, iterations, length } => {
                let (salt, hash) = pbkdf2_parts(stored).ok_or_else(damaged)?;
                let mut made = vec![0; length];
                digest.derive(password, &salt, iterations, &mut made);
                made.ct_eq(&hash).into()
            }
            Self::Scrypt { log_n, r, p, length } => {
                let (salt, hash) = scrypt_parts(stored).ok_or_else(damaged)?;
                let params = ::scrypt::Params::new(log_n, r, p).map_err(|_| damaged())?;
                let mut made = vec![0; length];
                ::scrypt::scrypt(password, &salt, &params, &mut made).map_err(|_| damaged())?;
                made.ct_eq(&hash).into()
            }
        })
    }

    /// Whether every byte of a password that matched was compared. Where not, what was typed may not be what its owner knows.
    pub(super) const fn reads_all_of(self, password: &str) -> bool {
        !matches!(self, Self::Bcrypt { .. }) || password.len() < BCRYPT_BYTES
    }

    /// A hash of this scheme that belongs to no password: to check against it costs the same.
    pub(super) fn decoy(self, salt: &[u8; 16], output: &[u8; 32]) -> Result<String, HashError> {
        let letters = |bytes: &[u8], most: usize| -> String {
            // Letters and digits alone, which every alphabet of these has.
            bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).take(most).map(|n| char::from(b'a' + n)).collect()
        };
        let long = |length: usize| output.iter().copied().cycle().take(length).collect::<Vec<u8>>();
        Ok(match self {
            Self::Argon2(cost) => return super::written(salt, output, cost),
            // The last letter of each part has bits that must be zero.
            Self::Bcrypt { cost } => format!("$2y${cost:02}${}u{}u", letters(salt, 21), letters(output, 30)),
            Self::Md5Crypt(mark) => {
                format!("{}{}${}", mark.text(), letters(salt, md5_crypt::LONGEST_SALT), letters(output, 22))
            }
            Self::Sha1 => format!("{{SHA}}{}", BASE64.encode(&long(20))),
            Self::ShaCrypt { digest, rounds } => {
                let (id, chars) = digest.form();
                let twice: Vec<u8> = [*output, *output].concat();
                // The last of these characters has four bits that must be zero, as '.' has.
                let hash = letters(&twice, chars - 1);
                format!("${id}$rounds={rounds}${}${hash}.", letters(salt, 16))
            }
            Self::Pbkdf2 { digest, iterations, length } => format!(
                "${}${iterations}${}${}",
                digest.id(),
                adapted(&BASE64_NOPAD.encode(salt)),
                adapted(&BASE64_NOPAD.encode(&long(length)))
            ),
            Self::Scrypt { log_n, r, p, length } => {
                let (salt, hash) = (BASE64_NOPAD.encode(salt), BASE64_NOPAD.encode(&long(length)));
                format!("$scrypt$ln={log_n},r={r},p={p}${salt}${hash}")
            }
        })
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Mark {
    const fn text(self) -> &'static str {
        match self {
            Self::Apache => "$apr1$",
            Self::FreeBsd => "$1$",
        }
    }
}

impl ShaCrypt {
    /// Its number, and how many characters its hash has.
    const fn form(self) -> (&'static str, usize) {
        match self {
            Self::Sha256 => ("5", 43),
            Self::Sha512 => ("6", 86),
        }
    }
}

impl Pbkdf2 {
    const fn id(self) -> &'static str {
        match self {
            Self::Sha1 => "pbkdf2",
            Self::Sha256 => "pbkdf2-sha256",
            Self::Sha512 => "pbkdf2-sha512",
        }
    }

    /// How often the iterations are gone through for a hash of so many bytes (RFC 8018 §5.2).
    pub(super) fn times(self, length: usize) -> u64 {
        let digest = match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        };
        length.div_ceil(digest).try_into().unwrap_or(u64::MAX)
    }

    fn derive(self, password: &[u8], salt: &[u8], iterations: u32, output: &mut [u8]) {
        match self {
            Self::Sha1 => ::pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, output),
            Self::Sha256 => ::pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, output),
            Self::Sha512 => ::pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations, output),
        }
    }
}

fn argon2(stored: &str) -> Result<Scheme, Unusable> {
    let parsed = PasswordHash::new(stored).map_err(|_| Unusable::Damaged("argon2"))?;
    let params = Params::try_from(&parsed).map_err(|_| Unusable::Damaged("argon2"))?;
    if parsed.salt.is_none() || parsed.hash.is_none() {
        return Err(Unusable::Damaged("argon2"));
    }
    Ok(Scheme::Argon2(Cost { memory_kib: params.m_cost(), iterations: params.t_cost(), parallelism: params.p_cost() }))
}

fn bcrypt(stored: &str, rest: &str) -> Result<Scheme, Unusable> {
    const DAMAGED: Unusable = Unusable::Damaged("bcrypt");
    stored.parse::<::bcrypt::HashParts>().map_err(|_| DAMAGED)?;
    let cost = rest.split('$').next().and_then(|cost| cost.parse().ok()).ok_or(DAMAGED)?;
    if (4..=31).contains(&cost) { Ok(Scheme::Bcrypt { cost }) } else { Err(DAMAGED) }
}

fn md5_crypt(mark: Mark, rest: &str) -> Result<Scheme, Unusable> {
    let scheme = Scheme::Md5Crypt(mark);
    let whole = rest.split_once('$').is_some_and(|(salt, hash)| {
        salt.len() <= md5_crypt::LONGEST_SALT && hash.len() == md5_crypt::HASH_CHARS && hash.chars().all(is_of_crypt)
    });
    if whole { Ok(scheme) } else { Err(Unusable::Damaged(scheme.name())) }
}

fn sha_crypt(digest: ShaCrypt, stored: &str, rest: &str) -> Result<Scheme, Unusable> {
    /// Where no number is given (the specification, §"Unix crypt using SHA-256 and SHA-512").
    const ROUNDS: u32 = 5000;
    let (_, chars) = digest.form();
    let damaged = Unusable::Damaged(Scheme::ShaCrypt { digest, rounds: ROUNDS }.name());
    let (rounds, rest) = match rest.strip_prefix("rounds=") {
        Some(rest) => {
            rest.split_once('$').and_then(|(rounds, rest)| Some((rounds.parse().ok()?, rest))).ok_or(damaged)?
        }
        None => (ROUNDS, rest),
    };
    let whole = rest
        .split_once('$')
        .is_some_and(|(salt, hash)| salt.len() <= 16 && hash.len() == chars && hash.chars().all(is_of_crypt));
    if whole && (1000..=999_999_999).contains(&rounds) && ::sha_crypt::PasswordHashRef::new(stored).is_ok() {
        Ok(Scheme::ShaCrypt { digest, rounds })
    } else {
        Err(damaged)
    }
}

fn pbkdf2(digest: Pbkdf2, rest: &str) -> Result<Scheme, Unusable> {
    const DAMAGED: Unusable = Unusable::Damaged("PBKDF2");
    let (iterations, _) = rest.split_once('$').ok_or(DAMAGED)?;
    let iterations = iterations.parse().ok().filter(|iterations| *iterations > 0).ok_or(DAMAGED)?;
    let (_, hash) = pbkdf2_parts(&format!("$pbkdf2${rest}")).ok_or(DAMAGED)?;
    if (10..=128).contains(&hash.len()) {
        Ok(Scheme::Pbkdf2 { digest, iterations, length: hash.len() })
    } else {
        Err(DAMAGED)
    }
}

/// Salt and hash.
fn pbkdf2_parts(stored: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut parts = stored.split('$').skip(3);
    let mut part = || BASE64_NOPAD.decode(parts.next()?.replace('.', "+").as_bytes()).ok();
    let (salt, hash) = (part()?, part()?);
    parts.next().is_none().then_some((salt, hash))
}

/// Base64 as passlib writes it in PBKDF2's hashes.
fn adapted(base64: &str) -> String {
    base64.replace('+', ".")
}

fn scrypt(rest: &str) -> Result<Scheme, Unusable> {
    const DAMAGED: Unusable = Unusable::Damaged("scrypt");
    let (params, _) = rest.split_once('$').ok_or(DAMAGED)?;
    let mut params = params.split(',');
    let mut number = |name: &str| params.next()?.strip_prefix(name)?.parse::<u32>().ok();
    let (log_n, r, p) = (number("ln="), number("r="), number("p="));
    let (Some(log_n), Some(r), Some(p)) = (log_n.and_then(|n| u8::try_from(n).ok()), r, p) else { return Err(DAMAGED) };
    let (_, hash) = scrypt_parts(&format!("$scrypt${rest}")).ok_or(DAMAGED)?;
    let possible = log_n > 0 && log_n < 64 && ::scrypt::Params::new(log_n, r, p).is_ok();
    if possible && (10..=64).contains(&hash.len()) {
        Ok(Scheme::Scrypt { log_n, r, p, length: hash.len() })
    } else {
        Err(DAMAGED)
    }
}

/// Salt and hash.
fn scrypt_parts(stored: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut parts = stored.split('$').skip(3);
    let mut part = || BASE64_NOPAD.decode(parts.next()?.as_bytes()).ok();
    let (salt, hash) = (part()?, part()?);
    parts.next().is_none().then_some((salt, hash))
}

fn is_of_crypt(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '.' || c == '/'
}

/// Thirteen characters of crypt(3)'s alphabet: most likely DES.
fn is_des(stored: &str) -> bool {
    stored.len() == 13 && stored.chars().all(is_of_crypt)
}

#[cfg(test)]
mod tests;
