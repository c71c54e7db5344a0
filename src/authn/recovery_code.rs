//! Recovery codes (F7, F8): a set of codes, each good once, for whoever has lost the app.
//!
//! Eight digits are few (27 bits), so that a stolen store must not let them be guessed: each code is kept under argon2id
//! with the set's salt (one, so that a check costs one hash), and the hashes are sealed with the key of `secrets`. Hashing
//! and sealing are the caller's; what may be spent is judged here.

use serde::{Deserialize, Serialize};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::authn::code::random_digits;
use crate::clock::Timestamp;
use crate::secret::{ExposeSecret, Sealed, SecretString};

/// The length of one code's hash, in bytes.
pub const HASH_BYTES: usize = 32;

/// A set as it is kept in the account. Enrolling again, switching off and a new set each void it as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecoverySet {
    pub salt: [u8; 16],
    /// The hashing cost when the set was made: memory in KiB, iterations, parallelism.
    pub cost: (u32, u32, u32),
    /// The hashes, [`HASH_BYTES`] each, sealed for [`crate::secret::Purpose::RecoveryCodes`] and the account's id.
    pub hashes: Sealed,
    /// Which ones are spent, in the order of the hashes.
    spent: Vec<bool>,
    pub made_at: Timestamp,
    /// Whether the owner has said that the codes are saved. Sets from before this was noted count as saved.
    #[serde(default = "saved")]
    saved: bool,
}

const fn saved() -> bool {
    true
}

/// Which code of a set was given: only [`RecoverySet::find`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unspent(usize);

impl RecoverySet {
    /// A fresh set, which nobody has saved yet.
    #[must_use]
    pub fn new(salt: [u8; 16], cost: (u32, u32, u32), hashes: Sealed, count: usize, made_at: Timestamp) -> Self {
        Self { salt, cost, hashes, spent: vec![false; count], made_at, saved: false }
    }

    /// The owner has saved the codes.
    #[must_use]
    pub fn saved(self) -> Self {
        Self { saved: true, ..self }
    }

    /// Whether the owner has said so.
    #[must_use]
    pub const fn is_saved(&self) -> bool {
        self.saved
    }

    /// How many are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.spent.iter().filter(|spent| !**spent).count()
    }

    /// Looks for `hash` among the unspent ones; `hashes` is what [`RecoverySet::hashes`] opens to. Every hash is compared,
    /// whichever matches.
    #[must_use]
    pub fn find(&self, hashes: &[u8], hash: &[u8; HASH_BYTES]) -> Option<Unspent> {
        let mut found = Choice::from(0);
        let mut place = u64::MAX;
        for (index, (known, spent)) in (0_u64..).zip(hashes.chunks_exact(HASH_BYTES).zip(&self.spent)) {
            let matches = known.ct_eq(hash) & Choice::from(u8::from(!*spent));
            place.conditional_assign(&index, matches);
            found |= matches;
        }
        if !bool::from(found) {
            return None;
        }
        usize::try_from(place).ok().map(Unspent)
    }

    /// The set after one code was spent; the caller commits it before it answers.
    #[must_use]
    pub fn spend(mut self, code: Unspent) -> Self {
        if let Some(spent) = self.spent.get_mut(code.0) {
            *spent = true;
        }
        self
    }
}

/// `count` different codes of `digits` digits, from `draw`'s random 32-bit numbers.
///
/// # Errors
/// As `draw`.
pub fn generate<E>(count: usize, digits: u8, mut draw: impl FnMut() -> Result<u32, E>) -> Result<Vec<SecretString>, E> {
    let mut codes: Vec<SecretString> = Vec::with_capacity(count);
    while codes.len() < count {
        let code = SecretString::from(random_digits(digits, &mut draw)?);
        if codes.iter().all(|other| other.expose_secret() != code.expose_secret()) {
            codes.push(code);
        }
    }
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Keys, Purpose};
    use std::collections::BTreeSet;

    fn set(count: usize) -> (RecoverySet, Vec<u8>) {
        let hashes: Vec<u8> = (0..count).flat_map(|n| [u8::try_from(n).unwrap(); HASH_BYTES]).collect();
        let keys = Keys::parse(Keys::generate_line().unwrap().expose_secret()).unwrap();
        let sealed = keys.seal(Purpose::RecoveryCodes, "alice", &hashes).unwrap();
        (RecoverySet::new([0; 16], (19_456, 2, 1), sealed, count, Timestamp::from_secs(0)), hashes)
    }

    #[test]
    fn each_code_is_good_once() {
        let (set, hashes) = set(10);
        let code = set.find(&hashes, &[7; HASH_BYTES]).unwrap();
        let set = set.spend(code);
        assert_eq!(set.left(), 9);
        assert_eq!(set.find(&hashes, &[7; HASH_BYTES]), None);
        assert!(set.find(&hashes, &[8; HASH_BYTES]).is_some());
    }

    #[test]
    fn a_set_is_saved_once_its_owner_says_so_and_an_old_record_counts_as_saved() {
        let (set, hashes) = set(10);
        assert!(!set.is_saved());
        let code = set.find(&hashes, &[7; HASH_BYTES]).unwrap();
        let mut record = serde_json::to_value(&set).unwrap();
        assert!(set.saved().spend(code).is_saved());
        record.as_object_mut().unwrap().remove("saved");
        assert!(serde_json::from_value::<RecoverySet>(record).unwrap().is_saved());
    }

    #[test]
    fn what_is_not_in_the_set_is_not_found() {
        let (set, hashes) = set(10);
        assert_eq!(set.find(&hashes, &[10; HASH_BYTES]), None);
        assert_eq!(set.find(&[], &[0; HASH_BYTES]), None);
    }

    #[test]
    fn the_codes_of_a_set_differ_and_have_their_length() {
        let mut state = 1_u32;
        // Every number comes twice: the second one must not become a second code.
        let mut twice = false;
        let codes = generate(10, 8, || {
            if twice {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            }
            twice = !twice;
            Ok::<_, ()>(state)
        })
        .unwrap();
        let distinct: BTreeSet<_> = codes.iter().map(|code| code.expose_secret().to_owned()).collect();
        assert_eq!(distinct.len(), 10);
        assert!(distinct.iter().all(|code| code.len() == 8 && code.bytes().all(|b| b.is_ascii_digit())));
    }
}
