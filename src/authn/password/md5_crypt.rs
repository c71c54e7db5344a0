//! The MD5 password hashes of FreeBSD's crypt(3) (`$1$`) and of Apache's htpasswd (`$apr1$`), which differ in their mark alone.
//!
//! No kept crate has them. The steps are those of Poul-Henning Kamp's original, by which APR's `apr_md5_encode` goes too: a
//! thousand rounds over password, salt and the result so far, then 22 characters of an alphabet and an order of their own.

use md5::{Digest, Md5};

/// How long a salt is at most.
pub const LONGEST_SALT: usize = 8;
/// How many characters the hash itself has.
pub const HASH_CHARS: usize = 22;

const ROUNDS: usize = 1000;
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Three bytes of the digest become four characters; the sixteenth stands alone in the last two.
const ORDER: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];

/// The last part of the hash. `mark` is `$1$` or `$apr1$`.
pub fn hash(mark: &str, password: &[u8], salt: &[u8]) -> String {
    let alternate = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let mut first = Md5::new().chain_update(password).chain_update(mark).chain_update(salt);
    for part in password.chunks(alternate.len()) {
        first.update(alternate.get(..part.len()).unwrap_or(&alternate));
    }
    // For each bit of the length, from the lowest: a zero byte, or the password's first one.
    let mut bits = password.len();
    while bits != 0 {
        first.update(if bits & 1 == 1 { &[0][..] } else { password.get(..1).unwrap_or_default() });
        bits >>= 1;
    }
    let mut digest = first.finalize();
    for round in 0..ROUNDS {
        let mut next = Md5::new();
        next.update(if round % 2 == 1 { password } else { &digest });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if round % 2 == 1 { &digest } else { password });
        digest = next.finalize();
    }
    spell(&digest)
}

fn spell(digest: &[u8]) -> String {
    let byte = |index: usize| u32::from(digest.get(index).copied().unwrap_or_default());
    let mut text = String::with_capacity(HASH_CHARS);
    let mut push = |mut bits: u32, chars: usize| {
        for _ in 0..chars {
            let letter = ALPHABET.get((bits & 63) as usize).copied().unwrap_or(b'.');
            text.push(char::from(letter));
            bits >>= 6;
        }
    };
    for [high, middle, low] in ORDER {
        push(byte(high) << 16 | byte(middle) << 8 | byte(low), 4);
    }
    push(byte(11), 2);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `openssl passwd -apr1 -salt …` and `openssl passwd -1 -salt …`.
    #[test]
    fn hashes_are_those_that_openssl_makes() {
        let long = "correct horse battery staple and more than sixteen";
        for (mark, salt, password, expected) in [
            ("$apr1$", "r31.8bQ9", "", "OC82Pg65XdR6Omye5j6Zz/"),
            ("$apr1$", "r31.8bQ9", "a", "dh.uIE60rDaGPDUjE6LmN."),
            ("$apr1$", "r31.8bQ9", "password", "a.//5MVbqWgFckIiwU2WE."),
            ("$apr1$", "r31.8bQ9", long, "guYB/ONeJsDcIGhtQ8R.l."),
            ("$1$", "ab", "", "rn6aQS/o7141mj179E/zA."),
            ("$1$", "ab", "a", "NM4FR4Dl/CzoTSJTd3YJ3."),
            ("$1$", "ab", "password", "oKsM6dtDD2L1bKowOBX.7."),
            ("$1$", "ab", long, "G8cdYvC1nDgcgzl4q96mr0"),
        ] {
            assert_eq!(hash(mark, password.as_bytes(), salt.as_bytes()), expected, "{mark} {password}");
        }
    }
}
