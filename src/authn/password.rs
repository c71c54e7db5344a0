//! Passwords: what a new one must be, and how one is kept (argon2id, in the PHC string format).
//!
//! A hash that another gate made ([`Scheme`]) is good until its owner next signs in, and is then made anew.
//!
//! A password counts as it was typed: nothing is trimmed, cut off or normalised. [`hash`] and [`verify`] take a while and a
//! lot of memory; `service::hasher` runs them on threads of their own.

mod foreign;
mod leaked;
mod md5_crypt;
mod memory;
mod scheme;

pub use foreign::{ForeignHash, MOST_SCHEMES};
pub use memory::Memory;
pub use scheme::{Scheme, Unusable};

use super::recovery_code::HASH_BYTES;
use argon2::password_hash::phc::{Output, ParamsString, Salt};
use argon2::{Algorithm, Argon2, Params, PasswordHash, Version};

/// The longest password, in characters (A28 asks for 64 at least).
pub const MAX_CHARS: usize = 256;
/// The longest password, in bytes of UTF-8.
pub const MAX_BYTES: usize = 1024;

/// What a new password must be (F21). Those that were set earlier stay good.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// In characters.
    pub min_length: usize,
    /// Of the four: lower case, upper case, digits, others.
    pub min_classes: u8,
}

/// What everybody can guess of a person, and a password must not hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Personal<'a> {
    pub login: &'a str,
    pub name: &'a str,
    pub email: &'a str,
}

/// What is wrong with a new password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    #[error("it needs at least {0} characters")]
    TooShort(usize),
    #[error("it may have at most {MAX_CHARS} characters")]
    TooLong,
    #[error("it needs characters of at least {0} of these kinds: lower case, upper case, digits, others")]
    TooFewClasses(u8),
    #[error("it must not contain the login, the name or the mail address")]
    Personal,
    #[error("it is one of the passwords that leaked most often, or one of them with a few digits or marks behind")]
    Leaked,
    #[error("it is the one that it takes the place of")]
    Unchanged,
}

impl Policy {
    /// Judges a new password.
    ///
    /// # Errors
    /// The first [`Weakness`] found.
    pub fn check(&self, password: &str, personal: Personal<'_>) -> Result<(), Weakness> {
        if !is_possible(password) {
            return Err(Weakness::TooLong);
        }
        if password.chars().count() < self.min_length {
            return Err(Weakness::TooShort(self.min_length));
        }
        if classes(password) < self.min_classes {
            return Err(Weakness::TooFewClasses(self.min_classes));
        }
        if personal.is_in(password) {
            return Err(Weakness::Personal);
        }
        if leaked::holds(password) {
            return Err(Weakness::Leaked);
        }
        Ok(())
    }
}

/// Whether this could be anybody's password at all; what is longer is refused without hashing it.
#[must_use]
pub fn is_possible(password: &str) -> bool {
    password.len() <= MAX_BYTES && password.chars().count() <= MAX_CHARS
}

fn classes(password: &str) -> u8 {
    let has = |class: fn(char) -> bool| u8::from(password.chars().any(class));
    has(char::is_lowercase)
        + has(char::is_uppercase)
        + has(|c| c.is_ascii_digit())
        + has(|c| !c.is_lowercase() && !c.is_uppercase() && !c.is_ascii_digit())
}

impl Personal<'_> {
    /// Words of three characters and more, without regard to case; a name also by each of its words.
    fn is_in(&self, password: &str) -> bool {
        let password = password.to_lowercase();
        let local_part = self.email.split('@').next().unwrap_or_default();
        [self.login, self.email, local_part, self.name]
            .into_iter()
            .chain(self.name.split_whitespace())
            .filter(|word| word.chars().count() >= 3)
            .any(|word| password.contains(&word.to_lowercase()))
    }
}

/// Cost of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost {
    pub memory_kib: u32,
    pub iterations: u32,
    pub parallelism: u32,
}

/// A hash that no scheme understands, or parameters that none takes. Names neither hash nor password.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct HashError(String);

impl From<argon2::Error> for HashError {
    fn from(error: argon2::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<argon2::password_hash::Error> for HashError {
    fn from(error: argon2::password_hash::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<argon2::password_hash::phc::Error> for HashError {
    fn from(error: argon2::password_hash::phc::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<Unusable> for HashError {
    fn from(error: Unusable) -> Self {
        Self(error.to_string())
    }
}

/// A proof that a password belongs to a stored hash: only [`verify`] makes one.
#[derive(Debug)]
pub struct Matches {
    hash: String,
    is_whole: bool,
}

impl Matches {
    /// Whether it proves the password behind `hash`.
    #[must_use]
    pub fn is_of(&self, hash: &str) -> bool {
        self.hash == hash
    }

    /// Whether all of the password was compared: bcrypt reads the first 72 bytes, and what was typed behind them may be wrong.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }
}

/// `$argon2id$…` of a password.
///
/// # Errors
/// Where `cost` is out of range.
pub fn hash(password: &str, salt: &[u8; 16], cost: Cost, memory: &mut Memory) -> Result<String, HashError> {
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    argon2id(password, salt, cost, memory, &mut output)?;
    written(salt, &output, cost)
}

/// Whether `password` is the one behind `stored`, by the parameters that stand in it.
///
/// # Errors
/// Where `stored` is no hash that is understood.
pub fn verify(stored: &str, password: &str, memory: &mut Memory) -> Result<Option<Matches>, HashError> {
    let scheme = Scheme::of(stored)?;
    let matches = scheme.verify(stored, password, memory)?;
    Ok(matches.then(|| Matches { hash: stored.to_owned(), is_whole: scheme.reads_all_of(password) }))
}

fn argon2id(
    password: &str,
    salt: &[u8; 16],
    cost: Cost,
    memory: &mut Memory,
    output: &mut [u8],
) -> Result<(), HashError> {
    let params = cost.params()?;
    let blocks = memory.of(&params)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Ok(argon2.hash_password_into_with_memory(password.as_bytes(), salt, output, blocks)?)
}

/// A hash in the PHC string format.
fn written(salt: &[u8; 16], output: &[u8; 32], cost: Cost) -> Result<String, HashError> {
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&cost.params()?)?,
        salt: Some(Salt::new(salt)?),
        hash: Some(Output::new(output)?),
    };
    Ok(hash.to_string())
}

/// The bare argon2id hash of a recovery code.
///
/// # Errors
/// Where `cost` is out of range.
pub fn derive(code: &str, salt: &[u8; 16], cost: Cost, memory: &mut Memory) -> Result<[u8; HASH_BYTES], HashError> {
    let mut hash = [0; HASH_BYTES];
    argon2id(code, salt, cost, memory, &mut hash)?;
    Ok(hash)
}

/// With what cost `stored` should be made anew, now that `wanted` is asked for. `None`: it costs that much already. Nothing
/// of it ever becomes cheaper.
#[must_use]
pub fn renewed(stored: &str, wanted: Cost) -> Option<Cost> {
    let Ok(parsed) = PasswordHash::new(stored) else { return Some(wanted) };
    let Ok(params) = Params::try_from(&parsed) else { return Some(wanted) };
    if parsed.algorithm != Algorithm::Argon2id.ident() {
        return Some(wanted);
    }
    let rises = params.m_cost() < wanted.memory_kib || params.t_cost() < wanted.iterations;
    rises.then(|| Cost {
        memory_kib: params.m_cost().max(wanted.memory_kib),
        iterations: params.t_cost().max(wanted.iterations),
        parallelism: wanted.parallelism,
    })
}

/// What is to be computed beside a check of `stored` (`None`: of nobody's password), so that it is as much as for anybody else:
/// whoever asks must not tell by the time that somebody has this login, nor by what gate's hash.
///
/// Everybody's check comes to the same: one argon2 of the dearest cost that any account has, or that new ones get, and one hash
/// of each other scheme that any account still has. Less than any clock shows is left out.
#[must_use]
pub fn beside(stored: Option<&str>, in_use: &[Scheme], wanted: Cost) -> Vec<Scheme> {
    let own = stored.and_then(|stored| Scheme::of(stored).ok());
    let argon2 = |scheme: &Scheme| if let Scheme::Argon2(cost) = scheme { Some(*cost) } else { None };
    let dearest = in_use.iter().filter_map(argon2).chain([wanted]).max_by_key(|cost| cost.work()).unwrap_or(wanted);
    let argon2_beside = match own {
        Some(Scheme::Argon2(cost)) => missing(cost, dearest),
        _ => Some(dearest),
    };
    let others = in_use.iter().filter(|scheme| argon2(scheme).is_none() && own != Some(**scheme));
    others.copied().chain(argon2_beside.map(Scheme::Argon2)).collect()
}

/// What `made` lacks of as much work as `wanted`. `None`: nothing, or so little that no clock shows it.
fn missing(made: Cost, wanted: Cost) -> Option<Cost> {
    let missing = wanted.work().checked_sub(made.work())?.checked_div(u64::from(wanted.iterations))?;
    let memory_kib = u32::try_from(missing).ok()?;
    // Less than argon2 takes at all (RFC 9106 §3.1).
    (memory_kib >= wanted.parallelism.saturating_mul(8)).then_some(Cost { memory_kib, ..wanted })
}

/// A hash of `scheme` that belongs to no password: to check against it costs as much as against one that somebody has.
///
/// # Errors
/// Where a cost is out of range.
pub fn decoy_of(scheme: Scheme, salt: &[u8; 16], output: &[u8; 32]) -> Result<String, HashError> {
    scheme.decoy(salt, output)
}

/// How much a check against `stored` computes, as [`Cost::work`] counts it. `None`: it is no hash of argon2.
#[must_use]
pub fn work_of(stored: &str) -> Option<u64> {
    if let Ok(Scheme::Argon2(cost)) = Scheme::of(stored) { Some(cost.work()) } else { None }
}

impl Cost {
    /// How much is computed: KiB of memory, times the passes over them.
    #[must_use]
    pub const fn work(self) -> u64 {
        self.memory_kib as u64 * self.iterations as u64
    }

    fn params(self) -> Result<Params, HashError> {
        Ok(Params::new(self.memory_kib, self.iterations, self.parallelism, None)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 16, iterations: 1, parallelism: 1 };
    const POLICY: Policy = Policy { min_length: 10, min_classes: 3 };

    #[test]
    fn a_new_password_must_be_long_and_mixed_enough() {
        let check = |password: &str| POLICY.check(password, Personal::default());
        assert_eq!(check("Abcdefg12"), Err(Weakness::TooShort(10)));
        assert_eq!(check("abcdefgh12"), Err(Weakness::TooFewClasses(3)));
        assert_eq!(check("Abcde-fgh12"), Ok(()));
        // Length is counted in characters, and other scripts are a class of their own.
        assert_eq!(check("ひらがなカタカナAb"), Ok(()));
        assert_eq!(check(&"aB3".repeat(86)), Err(Weakness::TooLong));
        assert_eq!(check(&format!("{}aB3", "x".repeat(253))), Ok(()));
    }

    #[test]
    fn a_new_password_must_not_hold_what_is_known_of_the_person() {
        let alice = Personal { login: "alice", name: "Alice Liddell", email: "al.lid@example.com" };
        for password in ["xxALICExx123!", "12Liddell!!ab", "Al.Lid@example.com", "my-al.lid-Pw1"] {
            assert_eq!(POLICY.check(password, alice), Err(Weakness::Personal), "{password}");
        }
        assert_eq!(POLICY.check("Rabbit-hole-123", alice), Ok(()));
        // Two letters prove nothing.
        assert_eq!(POLICY.check("Rabbit-hole-123", Personal { login: "an", ..alice }), Ok(()));
    }

    #[test]
    fn a_new_password_must_not_be_a_leaked_one() {
        let check = |password: &str| POLICY.check(password, Personal::default());
        assert_eq!(check("Password123!"), Err(Weakness::Leaked));
        assert_eq!(check("1Q2w3e4r5t"), Err(Weakness::Leaked));
        assert_eq!(check("Correct-horse-7"), Ok(()));
    }

    #[test]
    fn every_character_counts_blanks_too() {
        for password in ["correct horse", " correct horse", "correct horse ", &"ü".repeat(128), &"a".repeat(64)] {
            let stored = hash(password, &[7; 16], CHEAP, &mut Memory::default()).unwrap();
            assert!(
                verify(&stored, password, &mut Memory::default()).unwrap().is_some_and(|proof| proof.is_of(&stored))
            );
            for other in [format!("{password} "), password.trim().to_uppercase(), password.chars().take(2).collect()] {
                assert!(verify(&stored, &other, &mut Memory::default()).unwrap().is_none(), "{other}");
            }
        }
    }

    #[test]
    fn what_is_no_hash_is_an_error_and_no_match() {
        for stored in ["", "x", "$argon2id$v=19$m=16,t=1,p=1", "$2b$10$abc"] {
            assert!(!matches!(verify(stored, "", &mut Memory::default()), Ok(Some(_))), "{stored}");
        }
    }

    #[test]
    fn a_decoy_costs_the_same_and_matches_nothing() {
        let real = hash("x", &[1; 16], CHEAP, &mut Memory::default()).unwrap();
        let decoy = written(&[1; 16], &[2; 32], CHEAP).unwrap();
        assert_eq!(real.rsplit_once('$').unwrap().0, decoy.rsplit_once('$').unwrap().0);
        assert_eq!(real.len(), decoy.len());
        assert!(verify(&decoy, "x", &mut Memory::default()).unwrap().is_none());
    }

    #[test]
    fn what_is_missing_makes_a_cheap_hash_as_much_work_as_a_dear_one() {
        let cost = |memory_kib, iterations| Cost { memory_kib, iterations, parallelism: 1 };
        for (stored, wanted) in [(CHEAP, cost(64, 2)), (cost(64, 1), cost(64, 2)), (cost(8, 3), cost(19_456, 2))] {
            let added = missing(stored, wanted).unwrap();
            assert_eq!(stored.work() + added.work(), wanted.work(), "{stored:?} for {wanted:?}");
            assert!(added.memory_kib <= wanted.memory_kib);
            assert!(written(&[1; 16], &[2; 32], added).is_ok());
        }
        for (stored, wanted) in [(cost(64, 2), cost(64, 2)), (cost(64, 3), cost(64, 2)), (cost(60, 1), cost(64, 1))] {
            assert_eq!(missing(stored, wanted), None, "{stored:?} for {wanted:?}");
        }
    }

    #[test]
    fn everybodys_check_comes_to_the_same() {
        let wanted = Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
        let dear = Cost { memory_kib: 64, iterations: 2, parallelism: 2 };
        let (bcrypt, sha1) = (Scheme::Bcrypt { cost: 5 }, Scheme::Sha1);
        let in_use = [Scheme::Argon2(wanted), Scheme::Argon2(dear), bcrypt, sha1];
        let stored = |scheme: Scheme| scheme.decoy(&[1; 16], &[2; 32]).unwrap();
        let all = |own: Option<Scheme>| {
            let own_hash = own.map(stored);
            let computed: Vec<_> = beside(own_hash.as_deref(), &in_use, wanted).into_iter().chain(own).collect();
            let argon2 = computed.iter().map(|scheme| if let Scheme::Argon2(cost) = scheme { cost.work() } else { 0 });
            let argon2: u64 = argon2.sum();
            let mut others: Vec<_> = computed.into_iter().filter(|s| !matches!(s, Scheme::Argon2(_))).collect();
            others.sort();
            (argon2, others)
        };
        assert_eq!(all(None), (dear.work(), vec![bcrypt, sha1]));
        for own in in_use {
            assert_eq!(all(Some(own)), all(None), "{own:?}");
        }
        assert_eq!(beside(None, &[], wanted), [Scheme::Argon2(wanted)]);
        assert_eq!(beside(Some(&stored(Scheme::Argon2(wanted))), &[], wanted), []);
    }

    #[test]
    fn a_hash_is_renewed_when_the_cost_rises_and_never_gets_cheaper() {
        let cost = Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
        let stored = hash("x", &[1; 16], cost, &mut Memory::default()).unwrap();
        assert_eq!(renewed(&stored, Cost { memory_kib: 64, iterations: 1, parallelism: 1 }), None);
        assert_eq!(renewed(&stored, CHEAP), None);
        let mixed = Cost { memory_kib: 32, iterations: 2, parallelism: 1 };
        assert_eq!(renewed(&stored, mixed), Some(Cost { memory_kib: 64, iterations: 2, parallelism: 1 }));
        assert_eq!(renewed("$2b$10$abc", CHEAP), Some(CHEAP));
    }
}
