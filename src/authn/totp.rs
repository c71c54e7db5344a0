//! Time-based codes (RFC 6238): keys, the judgement of a code, and what an authenticator app is given to read.
//!
//! A code is good once: [`verify`] refuses the newest step that was accepted and all before it (§5.2). Spending the step
//! is the caller's commit.

use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use subtle::ConstantTimeEq;
use totp_rs::{Algorithm, Builder, Totp};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::clock::Timestamp;
use crate::secret::SecretString;

/// The length of a key in bytes: 160 bits (RFC 4226 §4 R6).
pub const KEY_BYTES: usize = 20;

/// How codes are made and how far clocks may be apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The length of a time step; whole seconds, at least one.
    pub period: Duration,
    /// 6 to 8.
    pub digits: u8,
    /// Accepted clock skew, in steps either way (RFC 6238 §5.2).
    pub skew: u8,
}

/// The secret that the app and we share.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct TotpKey([u8; KEY_BYTES]);

impl std::fmt::Debug for TotpKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpKey(…)")
    }
}

/// A proof that a code was right and not used before: only [`verify`] makes one.
#[derive(Debug)]
pub struct Accepted {
    step: u64,
}

impl Accepted {
    /// The time step that it spends, together with all before it.
    #[must_use]
    pub const fn step(&self) -> u64 {
        self.step
    }
}

/// What became of a code.
#[derive(Debug)]
pub enum Verdict {
    Accepted(Accepted),
    /// Right, but of a step that is spent.
    Used,
    Wrong,
}

/// Judges `code` (digits, as [`super::code::normalise`] gives them) at `now`. `last_step`: the newest step spent, if any.
///
/// All steps within the skew are compared, each in constant time. Where several match, the newest is spent, so that the
/// same digits are not good once more.
#[must_use]
pub fn verify(key: &TotpKey, settings: Settings, code: &str, last_step: Option<u64>, now: Timestamp) -> Verdict {
    let Some(generator) = generator(key, settings, None) else { return Verdict::Wrong };
    let period = generator.step();
    let present = now.secs() / period;
    let skew = u64::from(settings.skew);
    let mut matched = None;
    for step in present.saturating_sub(skew)..=present.saturating_add(skew) {
        let expected = generator.generate(step.saturating_mul(period)).to_string();
        if expected.as_bytes().ct_eq(code.as_bytes()).into() {
            matched = Some(step);
        }
    }
    match matched {
        None => Verdict::Wrong,
        Some(step) if last_step.is_some_and(|last| step <= last) => Verdict::Used,
        Some(step) => Verdict::Accepted(Accepted { step }),
    }
}

impl TotpKey {
    /// From 160 random bits.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// From what was sealed; `None` where it is not 160 bits long.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes, for sealing.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Base32 (RFC 4648 §6) in groups of four, one space apart, for typing into an app.
    #[must_use]
    pub fn grouped(&self) -> SecretString {
        let mut text = String::with_capacity(KEY_BYTES * 2);
        for (index, c) in BASE32_NOPAD.encode(&self.0).chars().enumerate() {
            if index > 0 && index % 4 == 0 {
                text.push(' ');
            }
            text.push(c);
        }
        text.into()
    }

    /// `otpauth://totp/ISSUER:ACCOUNT?secret=…`, the text of the QR code. `None` where the settings are out of range.
    #[must_use]
    pub fn uri(&self, settings: Settings, issuer: &str, account: &str) -> Option<SecretString> {
        generator(self, settings, Some((issuer, account)))?.to_url().ok().map(Into::into)
    }
}

/// SHA-1, as every app understands it; its collisions do not touch HMAC (RFC 4226 appendix B.2).
fn generator(key: &TotpKey, settings: Settings, label: Option<(&str, &str)>) -> Option<Totp> {
    let builder = Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(settings.digits)
        .with_skew(settings.skew.into())
        .with_step_duration(settings.period.as_secs())
        .with_secret(key.0);
    let builder = match label {
        // A colon parts issuer and account in the label, so neither may hold one.
        Some((issuer, account)) => {
            builder.with_issuer(Some(issuer.replace(':', " "))).with_account_name(account.replace(':', " "))
        }
        None => builder,
    };
    builder.build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::ExposeSecret;

    const SIX: Settings = Settings { period: Duration::from_secs(30), digits: 6, skew: 1 };

    fn rfc_key() -> TotpKey {
        TotpKey::from_bytes(*b"12345678901234567890")
    }

    fn code_of_step(step: u64) -> String {
        generator(&rfc_key(), SIX, None).unwrap().generate(step * 30).to_string()
    }

    /// RFC 6238 appendix B, the SHA-1 rows.
    #[test]
    fn the_codes_are_those_of_rfc_6238() {
        let eight = Settings { digits: 8, skew: 0, ..SIX };
        for (secs, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            let verdict = verify(&rfc_key(), eight, code, None, Timestamp::from_secs(secs));
            assert!(matches!(verdict, Verdict::Accepted(accepted) if accepted.step() == secs / 30), "{secs}");
        }
    }

    #[test]
    fn one_step_either_way_is_accepted_and_two_are_not() {
        let now = Timestamp::from_secs(1000 * 30 + 7);
        for (step, right) in [(998, false), (999, true), (1000, true), (1001, true), (1002, false)] {
            let verdict = verify(&rfc_key(), SIX, &code_of_step(step), None, now);
            assert_eq!(matches!(verdict, Verdict::Accepted(_)), right, "step {step}");
        }
    }

    #[test]
    fn a_used_step_and_all_before_it_are_refused() {
        let now = Timestamp::from_secs(1000 * 30);
        assert!(matches!(verify(&rfc_key(), SIX, &code_of_step(1000), Some(1000), now), Verdict::Used));
        assert!(matches!(verify(&rfc_key(), SIX, &code_of_step(999), Some(1000), now), Verdict::Used));
        assert!(matches!(verify(&rfc_key(), SIX, &code_of_step(1001), Some(1000), now), Verdict::Accepted(_)));
    }

    #[test]
    fn a_code_of_another_length_is_wrong() {
        let now = Timestamp::from_secs(1000 * 30);
        let code = code_of_step(1000);
        for typed in [code.strip_suffix(|_| true).unwrap(), &format!("0{code}"), ""] {
            assert!(matches!(verify(&rfc_key(), SIX, typed, None, now), Verdict::Wrong));
        }
    }

    #[test]
    fn the_key_is_shown_in_groups_of_four_and_the_uri_names_issuer_and_account() {
        let key = rfc_key();
        assert_eq!(key.grouped().expose_secret(), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        let uri = key.uri(SIX, "Shop: 管理", "alice").unwrap();
        let uri = uri.expose_secret();
        assert!(uri.starts_with("otpauth://totp/Shop%20%20%E7%AE%A1%E7%90%86:alice?"), "{uri}");
        assert!(uri.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), "{uri}");
    }
}
