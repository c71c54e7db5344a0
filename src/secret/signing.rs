//! Signatures by which others can tell that sekisho said something: Ed25519 (RFC 8032), under keys that are derived from those of the key
//! file, so that there is no second file to guard, and a rotation of that file is one of these too.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use sha2::{Digest, Sha256};

use super::{KeyError, Keys};

/// Signs with the newest key; the others are published as long as they are in the file.
pub struct Signer {
    newest: SigningKey,
    others: Vec<SigningKey>,
}

struct SigningKey {
    id: String,
    public: String,
    pair: Ed25519KeyPair,
}

/// A public key, as a JSON Web Key has it (RFC 8037 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey<'a> {
    /// Its name: the key's thumbprint (RFC 7638), so that nothing of the key file shows in it.
    pub id: &'a str,
    /// The 32 bytes in base64url.
    pub x: &'a str,
}

impl Signer {
    /// The signing keys of a key file.
    ///
    /// # Errors
    /// Where there is no key, which [`Keys::parse`] rules out.
    pub fn new(keys: &Keys) -> Result<Self, KeyError> {
        let mut signing = keys.signing_seeds().map(|seed| SigningKey::new(&seed));
        let newest = signing.next().ok_or(KeyError::Empty)??;
        Ok(Self { newest, others: signing.collect::<Result<_, _>>()? })
    }

    /// The name of the key that signs.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.newest.id
    }

    /// The signature, in base64url.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> String {
        BASE64URL_NOPAD.encode(self.newest.pair.sign(message).as_ref())
    }

    /// What whoever checks a signature needs; the newest first.
    pub fn public_keys(&self) -> impl Iterator<Item = PublicKey<'_>> {
        std::iter::once(&self.newest).chain(&self.others).map(|key| PublicKey { id: &key.id, x: &key.public })
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

impl SigningKey {
    fn new(seed: &[u8; 32]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Forged)?;
        let public = BASE64URL_NOPAD.encode(pair.public_key().as_ref());
        // RFC 7638 §3: the required members alone, in this order, without blanks.
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{public}"}}"#);
        Ok(Self { id: BASE64URL_NOPAD.encode(&Sha256::digest(canonical)), public, pair })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::ExposeSecret;
    use ring::signature::{ED25519, UnparsedPublicKey};

    fn keys(lines: &[&str]) -> Keys {
        Keys::parse(&lines.concat()).unwrap()
    }

    #[test]
    fn what_one_signs_the_published_key_verifies_and_no_other() {
        let (old, new) = (Keys::generate_line().unwrap(), Keys::generate_line().unwrap());
        let (old, new) = (old.expose_secret(), new.expose_secret());
        let signer = Signer::new(&keys(&[new, old])).unwrap();
        let signature = BASE64URL_NOPAD.decode(signer.sign(b"text").as_bytes()).unwrap();
        let fits = |key: PublicKey<'_>, text: &[u8]| {
            let public = BASE64URL_NOPAD.decode(key.x.as_bytes()).unwrap();
            UnparsedPublicKey::new(&ED25519, public).verify(text, &signature).is_ok()
        };
        let published: Vec<_> = signer.public_keys().collect();
        assert_eq!(published.len(), 2);
        assert_eq!(published[0].id, signer.key_id());
        assert!(fits(published[0], b"text") && !fits(published[0], b"texts") && !fits(published[1], b"text"));
        let before = Signer::new(&keys(&[old])).unwrap();
        assert_eq!(before.key_id(), published[1].id, "the same key has the same name, wherever it stands in the file");
    }

    /// RFC 8037 A.3: the thumbprint of the key of its example.
    #[test]
    fn a_key_is_named_by_its_thumbprint() {
        let seed = BASE64URL_NOPAD.decode(b"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let key = SigningKey::new(&seed.try_into().unwrap()).unwrap();
        assert_eq!(key.public, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(key.id, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
