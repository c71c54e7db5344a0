//! The key of `secrets.key_file`, and the keys derived from it: one for each purpose, so that a value made for one can
//! never be taken for another.
//!
//! The file holds one line a key, `sekisho-key-1:` and 43 characters of base64url. The first one encrypts; the others
//! still open what they once sealed (rotation).

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::{EntropyError, SecretString, random_bytes};

const LINE_PREFIX: &str = "sekisho-key-1:";

/// What a derived key is for. The name enters the derivation, and it enters the sealed value's authenticated data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// TOTP keys at rest.
    TotpKey,
    /// Hashes of recovery codes at rest.
    RecoveryCodes,
    /// Personal data in login flows at rest.
    Flow,
    /// Digests of mailed codes.
    MailedCode,
    /// Digests of the codes that prove a new mail address.
    AddressCode,
    /// The form tokens against cross-site requests.
    Csrf,
    /// Lists of accounts between their upload and their import.
    Import,
    /// Forms kept over a login.
    HeldForm,
    /// The slot in which failures of an unknown login are counted.
    UnknownLogin,
    /// What the account was that a link to a new password was sent for.
    ResetLink,
    /// Marks whose the tool's own cookies in a browser are.
    ToolCookies,
    /// The way of somebody who is led to the portal host to sign in, and back.
    SignOn,
    /// What people sign in with at tools, at rest.
    ToolLogin,
    /// Signs what tools are told of a person.
    Assertion,
}

impl Purpose {
    const fn label(self) -> &'static str {
        match self {
            Self::TotpKey => "sekisho/1/totp-key",
            Self::RecoveryCodes => "sekisho/1/recovery-codes",
            Self::Flow => "sekisho/1/flow",
            Self::MailedCode => "sekisho/1/mailed-code",
            Self::AddressCode => "sekisho/1/address-code",
            Self::Csrf => "sekisho/1/csrf",
            Self::Import => "sekisho/1/import",
            Self::HeldForm => "sekisho/1/held-form",
            Self::UnknownLogin => "sekisho/1/unknown-login",
            Self::ResetLink => "sekisho/1/reset-link",
            Self::ToolCookies => "sekisho/1/tool-cookies",
            Self::SignOn => "sekisho/1/sign-on",
            Self::ToolLogin => "sekisho/1/tool-login",
            Self::Assertion => "sekisho/1/assertion",
        }
    }
}

/// Something encrypted at rest: key name (4 bytes), nonce (24 bytes), ciphertext and tag.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sealed(Vec<u8>);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

impl From<Sealed> for String {
    fn from(sealed: Sealed) -> Self {
        BASE64URL_NOPAD.encode(&sealed.0)
    }
}

impl Sealed {
    /// Which key sealed it: see [`Keys::fingerprints`].
    #[must_use]
    pub fn fingerprint(&self) -> String {
        HEXLOWER.encode(self.0.get(..4).unwrap_or_default())
    }
}

impl TryFrom<String> for Sealed {
    type Error = data_encoding::DecodeError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        BASE64URL_NOPAD.decode(text.as_bytes()).map(Self)
    }
}

/// A keyed digest (HMAC-SHA-256); compared in constant time.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mac([u8; 32]);

impl Mac {
    /// The digest's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads the 43 characters of base64url that [`Mac::encode`] wrote, and no other spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    /// As it stands in a cookie: 43 characters of base64url (RFC 4648 §5) without padding.
    #[must_use]
    pub fn encode(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    /// Whether `other` is the same digest, in constant time.
    #[must_use]
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.as_slice().ct_eq(other).into()
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(…)")
    }
}

/// Why a key or a sealed value cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key file holds no key.
    #[error("the key file holds no key; `sekisho key generate FILE` makes one")]
    Empty,
    /// A line of the key file is not a key.
    #[error("line {0} of the key file is not a sekisho key")]
    Malformed(usize),
    /// The value was sealed under a key that the key file does not hold.
    #[error("sealed under a key that is not in the key file")]
    UnknownKey,
    /// The value was changed, or was sealed for something else.
    #[error("a sealed value does not open: it was changed, or was sealed for something else")]
    Forged,
    /// No randomness for a nonce.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// All keys of the key file, ready for use.
pub struct Keys(Vec<Key>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

struct Key {
    /// The first bytes of the key's own SHA-256: tells which key sealed a value.
    name: [u8; 4],
    derive: Hkdf<Sha256>,
}

impl Keys {
    /// A new key's line, as `sekisho key generate` writes it.
    ///
    /// # Errors
    /// Where the operating system gives no random bytes.
    pub fn generate_line() -> Result<SecretString, EntropyError> {
        let mut bytes = random_bytes::<32>()?;
        let line = format!("{LINE_PREFIX}{}\n", BASE64URL_NOPAD.encode(&bytes));
        bytes.zeroize();
        Ok(line.into())
    }

    /// Reads the text of a key file.
    ///
    /// # Errors
    /// [`KeyError::Empty`] or [`KeyError::Malformed`]; neither tells what the file says.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bytes = line
                .strip_prefix(LINE_PREFIX)
                .and_then(|encoded| BASE64URL_NOPAD.decode(encoded.as_bytes()).ok())
                .map(Zeroizing::new)
                .filter(|bytes| bytes.len() == 32)
                .ok_or(KeyError::Malformed(index + 1))?;
            keys.push(Key::new(&bytes));
        }
        if keys.is_empty() { Err(KeyError::Empty) } else { Ok(Self(keys)) }
    }

    /// Whether every key of these is among `others`, too.
    #[must_use]
    pub fn all_in(&self, others: &Self) -> bool {
        self.0.iter().all(|key| others.0.iter().any(|other| other.name == key.name))
    }

    /// Whether the key that sealed this is among them. It says nothing of whether the value opens.
    #[must_use]
    pub fn know(&self, sealed: &Sealed) -> bool {
        self.0.iter().any(|key| sealed.0.starts_with(&key.name))
    }

    /// Encrypts `plain` under the first key. `owner` (a user's id, say) is authenticated with it: the value opens for
    /// the same purpose and owner alone.
    ///
    /// # Errors
    /// Where the operating system gives no random bytes.
    pub fn seal(&self, purpose: Purpose, owner: &str, plain: &[u8]) -> Result<Sealed, KeyError> {
        let key = self.0.first().ok_or(KeyError::Empty)?;
        let nonce = random_bytes::<24>()?;
        let payload = Payload { msg: plain, aad: owner.as_bytes() };
        let ciphertext = key.cipher(purpose).encrypt(&XNonce::from(nonce), payload).map_err(|_| KeyError::Forged)?;
        let mut sealed = Vec::with_capacity(28 + ciphertext.len());
        sealed.extend_from_slice(&key.name);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(Sealed(sealed))
    }

    /// Decrypts what [`Keys::seal`] made for the same purpose and owner.
    ///
    /// # Errors
    /// [`KeyError::UnknownKey`] or [`KeyError::Forged`].
    pub fn open(&self, purpose: Purpose, owner: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let (name, rest) = sealed.0.split_first_chunk::<4>().ok_or(KeyError::Forged)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<24>().ok_or(KeyError::Forged)?;
        let key = self.0.iter().find(|key| key.name == *name).ok_or(KeyError::UnknownKey)?;
        let payload = Payload { msg: ciphertext, aad: owner.as_bytes() };
        key.cipher(purpose).decrypt(&XNonce::from(*nonce), payload).map(Zeroizing::new).map_err(|_| KeyError::Forged)
    }

    /// Short names of the keys, the newest first: enough to tell them apart, and nothing to guess one by.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<String> {
        self.0.iter().map(|key| HEXLOWER.encode(&key.name)).collect()
    }

    /// Whether the newest key sealed it.
    #[must_use]
    pub fn is_newest_of(&self, sealed: &Sealed) -> bool {
        self.0.first().is_some_and(|key| sealed.0.starts_with(&key.name))
    }

    /// A keyed digest of `parts`, to be compared with `known`: under the key that `known` was made with, where it is of these
    /// parts; else under the first. So what was digested before a rotation is still good after it.
    ///
    /// # Errors
    /// Where there is no key, which [`Keys::parse`] rules out.
    pub fn mac_like(&self, known: &Mac, purpose: Purpose, parts: &[&[u8]]) -> Result<Mac, KeyError> {
        let first = self.mac(purpose, parts)?;
        let others = self.0.iter().skip(1).map(|key| key.mac(purpose, parts));
        Ok(others.fold(first, |chosen, mac| if mac.matches(known.as_bytes()) { mac } else { chosen }))
    }

    /// A keyed digest of `parts` under the first key. The parts' lengths enter it, so that `["ab", "c"]` and
    /// `["a", "bc"]` differ.
    ///
    /// # Errors
    /// Where there is no key, which [`Keys::parse`] rules out.
    pub fn mac(&self, purpose: Purpose, parts: &[&[u8]]) -> Result<Mac, KeyError> {
        self.0.first().map(|key| key.mac(purpose, parts)).ok_or(KeyError::Empty)
    }

    /// What the keys that sign are made of, the newest first: see [`super::Signer`].
    pub(super) fn signing_seeds(&self) -> impl Iterator<Item = Zeroizing<[u8; 32]>> {
        self.0.iter().map(|key| key.derived(Purpose::Assertion))
    }

    /// Whether `mac` is the digest of `parts` under any of the keys.
    #[must_use]
    pub fn verify(&self, purpose: Purpose, parts: &[&[u8]], mac: &[u8]) -> bool {
        self.0.iter().fold(false, |found, key| found | key.mac(purpose, parts).matches(mac))
    }
}

impl Key {
    fn new(bytes: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        let [a, b, c, d, ..] = digest;
        Self { name: [a, b, c, d], derive: Hkdf::new(None, bytes) }
    }

    fn derived(&self, purpose: Purpose) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        #[expect(clippy::expect_used, reason = "HKDF-SHA-256 gives up to 255 × 32 bytes; 32 are asked for")]
        self.derive.expand(purpose.label().as_bytes(), bytes.as_mut_slice()).expect("32 bytes are in range");
        bytes
    }

    fn cipher(&self, purpose: Purpose) -> XChaCha20Poly1305 {
        let bytes: [u8; 32] = *self.derived(purpose);
        XChaCha20Poly1305::new(&bytes.into())
    }

    fn mac(&self, purpose: Purpose, parts: &[&[u8]]) -> Mac {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(self.derived(purpose).as_slice())
            .expect("any length will do");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        Mac(mac.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::ExposeSecret;
    use super::*;

    fn keys() -> Keys {
        Keys::parse(Keys::generate_line().unwrap().expose_secret()).unwrap()
    }

    #[test]
    fn a_sealed_value_opens_for_its_purpose_and_owner_alone() {
        let keys = keys();
        let sealed = keys.seal(Purpose::TotpKey, "alice", b"key").unwrap();
        assert_eq!(keys.open(Purpose::TotpKey, "alice", &sealed).unwrap().as_slice(), b"key");
        assert!(matches!(keys.open(Purpose::TotpKey, "bob", &sealed), Err(KeyError::Forged)));
        assert!(matches!(keys.open(Purpose::Flow, "alice", &sealed), Err(KeyError::Forged)));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let keys = keys();
        let sealed = keys.seal(Purpose::Flow, "o", b"some text").unwrap();
        for index in 0..sealed.0.len() {
            let mut changed = sealed.clone();
            changed.0[index] ^= 1;
            assert!(keys.open(Purpose::Flow, "o", &changed).is_err(), "byte {index}");
        }
    }

    #[test]
    fn after_a_rotation_the_old_key_still_opens() {
        let old = Keys::generate_line().unwrap();
        let new = Keys::generate_line().unwrap();
        let sealed = Keys::parse(old.expose_secret()).unwrap().seal(Purpose::Flow, "o", b"x").unwrap();
        let both = Keys::parse(&format!("{}{}", new.expose_secret(), old.expose_secret())).unwrap();
        assert_eq!(both.open(Purpose::Flow, "o", &sealed).unwrap().as_slice(), b"x");
        let new_only = Keys::parse(new.expose_secret()).unwrap();
        assert!(matches!(new_only.open(Purpose::Flow, "o", &sealed), Err(KeyError::UnknownKey)));
    }

    #[test]
    fn what_was_digested_before_a_rotation_is_recognised_after_it() {
        let (old, new) = (Keys::generate_line().unwrap(), Keys::generate_line().unwrap());
        let known = Keys::parse(old.expose_secret()).unwrap().mac(Purpose::MailedCode, &[b"123456"]).unwrap();
        let both = Keys::parse(&format!("{}{}", new.expose_secret(), old.expose_secret())).unwrap();
        let like = |code: &[u8]| both.mac_like(&known, Purpose::MailedCode, &[code]).unwrap();
        assert!(known.matches(like(b"123456").as_bytes()));
        assert!(!known.matches(like(b"123457").as_bytes()));
        assert!(!known.matches(both.mac(Purpose::MailedCode, &[b"123456"]).unwrap().as_bytes()));
    }

    #[test]
    fn a_sealed_value_names_its_key() {
        let (old, new) = (Keys::generate_line().unwrap(), Keys::generate_line().unwrap());
        let before = Keys::parse(old.expose_secret()).unwrap();
        let sealed = before.seal(Purpose::Flow, "o", b"x").unwrap();
        let both = Keys::parse(&format!("{}{}", new.expose_secret(), old.expose_secret())).unwrap();
        assert_eq!(both.fingerprints()[1], sealed.fingerprint());
        assert!(before.is_newest_of(&sealed) && !both.is_newest_of(&sealed));
    }

    #[test]
    fn where_one_part_ends_enters_the_digest() {
        let keys = keys();
        let mac = keys.mac(Purpose::Csrf, &[b"ab", b"c"]).unwrap();
        assert!(!keys.verify(Purpose::Csrf, &[b"a", b"bc"], mac.as_bytes()));
        assert!(keys.verify(Purpose::Csrf, &[b"ab", b"c"], mac.as_bytes()));
    }
}
