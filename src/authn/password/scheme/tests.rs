use super::*;
use crate::authn::password::{self, ForeignHash, Matches};

fn verify(stored: &str, password: &str) -> Result<Option<Matches>, HashError> {
    password::verify(stored, password, &mut Memory::default())
}

/// What these were made of, by htpasswd 2.4, Debian's argon2, OpenSSL and Python's hashlib.
const PASSWORD: &str = "Tr0ub4dor&3 ümlaut";

const MADE: &[(&str, &str)] = &[
    ("bcrypt", "$2y$05$h1nJ9ijDts3GevxxoGMeeOuJXkjHzjO0Mqow.ovW.Ag92u/qul0Ra"),
    ("apr1", "$apr1$KiLiF1e9$QSjtuQyrqt7DklQcY/eSN."),
    ("sha1", "{SHA}Xc3SBVLfddFJYNuZk1xP3Zn4JGc="),
    ("sha256-crypt", "$5$vUjt6edbTiUqIMT2$gdmTS1LL.I1th2qM5znAfhqDKHHYWvFSreuLk7X3Ma0"),
    (
        "sha512-crypt",
        "$6$2fwCef208NtW1F81$HqiZ.UMlAqsKBaARvEIh3sgpm8exzeGV0MDthH3O9O6uf3zD5d/t.wrLuC8NgKMSM2wPGt5hAVayr.32FeMlR.",
    ),
    (
        "sha512-crypt",
        "$6$rounds=1000$edwq/zOB.UpsOVsd$ZOZfxKGugKbC302JbLLESxRL60lmQvL5tJGXPACwFzTnHReYCi4GQpCnAfF2Gmu7XR80rBrRZdXnwieqyPzCZ.",
    ),
    ("md5-crypt", "$1$abcdefgh$0ShGDQuMeJyK0zqGsfjQK1"),
    ("argon2", "$argon2i$v=19$m=4096,t=3,p=1$c29tZXNhbHQxNmJ5dGVzIQ$f4rqDXDUhmwHZPIy7K9Jk0FQGAAOm2EN2GBMMGzB+dg"),
    ("argon2", "$argon2d$v=19$m=4096,t=3,p=1$c29tZXNhbHQxNmJ5dGVzIQ$2JSn+pxepGDVzpRGxZirf61daJQVMTgb1rh1HsjmdbA"),
    ("argon2", "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQxNmJ5dGVzIQ$Lc/o11re+bvO3LEc6447nzGwLyuUtrqSH6KVRKl0k0Q"),
    ("pbkdf2", "$pbkdf2$2000$AAECAwQFBgcICQoLDA0ODw$vl0GMMPjOcrtjKSr.pLz4geqGQI"),
    ("pbkdf2", "$pbkdf2-sha256$2000$AAECAwQFBgcICQoLDA0ODw$Qc8FolFVBEpzzb1NMJRozup8tGTeFazjm8R5fZmfF2Y"),
    (
        "pbkdf2",
        "$pbkdf2-sha512$2000$AAECAwQFBgcICQoLDA0ODw$9eeRHkGL58M3ADowDFiApQ10KbtExPj54YM4YItwXMZiIoIoeM9SzVl9mizdvnkRWLNJ1qddDs8fFiNxf.PdRQ",
    ),
    ("scrypt", "$scrypt$ln=10,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$W+JRYDraqIxQxEqAhT+QnaB9zzHl7obxAe3FrSaaDlM"),
];

#[test]
fn every_tools_hash_is_of_its_password_and_of_no_other() {
    for (name, stored) in MADE {
        assert_eq!(ForeignHash::parse(stored).unwrap().scheme().name(), *name);
        assert!(
            verify(stored, PASSWORD).unwrap().is_some_and(|proof| proof.is_of(stored) && proof.is_whole()),
            "{name}"
        );
        for other in ["", "Tr0ub4dor&3 umlaut", "Tr0ub4dor&3 ümlau", "tr0ub4dor&3 ümlaut", "Tr0ub4dor&3 ümlaut "] {
            assert!(verify(stored, other).unwrap().is_none(), "{name}: {other}");
        }
    }
    let old = format!("{{CRYPT}}{}", MADE[5].1);
    assert_eq!(ForeignHash::parse(&old).unwrap().as_str(), MADE[5].1);
}

#[test]
fn a_decoy_is_of_the_same_scheme_and_matches_nothing() {
    for (name, stored) in MADE {
        let scheme = Scheme::of(stored).unwrap();
        let decoy = scheme.decoy(&[0x5a; 16], &[0xc3; 32]).unwrap();
        assert_eq!(Scheme::of(&decoy), Ok(scheme), "{name}");
        assert!(verify(&decoy, PASSWORD).unwrap().is_none(), "{name}");
    }
}

#[test]
fn what_is_refused_is_told_with_its_reason() {
    let bcrypt = "$2y$05$h1nJ9ijDts3GevxxoGMeeOuJXkjHzjO0Mqow.ovW.Ag92u/qul0Ra";
    let argon2 = |params: &str| {
        format!("$argon2id$v=19${params}$c29tZXNhbHQxNmJ5dGVzIQ$Lc/o11re+bvO3LEc6447nzGwLyuUtrqSH6KVRKl0k0Q")
    };
    let scrypt =
        |params: &str| format!("$scrypt${params}$AAECAwQFBgcICQoLDA0ODw$W+JRYDraqIxQxEqAhT+QnaB9zzHl7obxAe3FrSaaDlM");
    for (stored, reason) in [
        (String::new(), "no password hash"),
        ("b2wTIouaY82ec".into(), "first 8 characters"),
        ("Tr0ub4dor&3 ümlaut".into(), "plain text"),
        ("$unknown$x".into(), "not known"),
        ("$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7".into(), "yescrypt"),
        ("$bcrypt-sha256$v=2,t=2b,r=12$x$y".into(), "bcrypt-sha256"),
        (bcrypt.replace("$2y$", "$2x$"), "2011"),
        (bcrypt.replace("$05$", "$15$"), "cost 14"),
        (bcrypt.replace("$05$", "$31$"), "cost 14"),
        (bcrypt.replace("$05$", "$03$"), "damaged"),
        (bcrypt.get(..59).unwrap().into(), "damaged"),
        ("$apr1$KiLiF1e9$QSjtuQyrqt7DklQcY/eSN".into(), "damaged"),
        ("{SHA}Xc3SBVLfddFJYNuZk1xP3Zn4JA==".into(), "damaged"),
        ("$6$rounds=1000001$edwq/zOB.UpsOVsd$ZOZfxKGugKbC302JbLLESxRL60lmQvL5tJGXPACwFzTnHReYCi4GQpCnAfF2Gmu7XR80rBrRZdXnwieqyPzCZ.".into(), "a million rounds"),
        ("$6$rounds=x$edwq$ZO".into(), "damaged"),
        (argon2("m=16777216,t=1,p=1"), "256 MiB"),
        (argon2("m=262144,t=5,p=1"), "1 GiB"),
        (argon2("m=1,t=1,p=1"), "damaged"),
        ("$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQxNmJ5dGVzIQ".into(), "damaged"),
        (scrypt("ln=20,r=8,p=1"), "256 MiB"),
        (scrypt("ln=16,r=8,p=9"), "512 MiB"),
        (scrypt("ln=63,r=4294967295,p=4294967295"), "damaged"),
        (scrypt("ln=64,r=8,p=1"), "damaged"),
        (scrypt("ln=0,r=8,p=1"), "damaged"),
        (scrypt("r=8,p=1"), "damaged"),
        ("$pbkdf2-sha512$1000001$AAECAwQFBgcICQoLDA0ODw$9eeRHkGL58M3ADowDFiApQ10KbtExPj54YM4YItwXMZiIoIoeM9SzVl9mizdvnkRWLNJ1qddDs8fFiNxf.PdRQ".into(), "a million iterations"),
        ("$pbkdf2-sha512$600000$AAECAwQFBgcICQoLDA0ODw$vl0GMMPjOcrtjKSr.pLz4geqGQIvl0GMMPjOcrtjKSr.pLz4geqGQIvl0GMMPjOcrtjKSr.pLz4geqGQIvl0GMMPjOcrtjKSr.pLz4geqGQI".into(), "a million iterations"),
        ("$pbkdf2-sha512$0$AAEC$vl0GMMPjOcrtjKSr.pLz4geqGQI".into(), "damaged"),
    ] {
        let refused = ForeignHash::parse(&stored).unwrap_err().to_string();
        assert!(refused.contains(reason), "{stored}: {refused}");
        assert!(stored.len() < 6 || !refused.contains(&stored), "{refused}");
    }
}

#[test]
fn bcrypt_counts_72_bytes_and_no_zero_byte() {
    let of = |password: &str| ::bcrypt::hash_with_salt(password, 4, [7; 16]).unwrap().to_string();
    let a = |count: usize| "a".repeat(count);
    let long = a(80);
    let stored = of(&long);
    // As every bcrypt has it: what stands behind the 72nd byte is not looked at, so nobody knows whether it was right.
    for matching in [a(80), a(72), a(79)] {
        assert!(verify(&stored, &matching).unwrap().is_some_and(|proof| !proof.is_whole()), "{}", matching.len());
    }
    assert!(verify(&stored, &a(71)).unwrap().is_none());
    let stored = of(&a(71));
    assert!(verify(&stored, &a(71)).unwrap().is_some_and(|proof| proof.is_whole()));
    assert!(verify(&stored, &a(72)).unwrap().is_none());
    // htpasswd 2.4 -B, of 80 times "a".
    let real = "$2y$05$K1QYzsEx.zuyh2a8If21y.SUWXAxHq2CS8vzuvNJy/SOAVruFdDga";
    assert!(verify(real, &long).unwrap().is_some());
    let stored = of("a");
    assert!(verify(&stored, "a").unwrap().is_some());
    for zero in ["a\0a", "a\0", "a\0a\0a", "\0"] {
        assert!(verify(&stored, zero).unwrap().is_none(), "{zero:?}");
    }
}

#[test]
fn a_long_password_is_not_hashed_thousands_of_times() {
    for name in ["apr1", "sha256-crypt", "md5-crypt"] {
        let (_, stored) = MADE.iter().find(|(known, _)| *known == name).unwrap();
        assert!(verify(stored, &"a".repeat(257)).unwrap().is_none());
    }
}

#[test]
fn neither_a_hash_nor_a_reason_shows_what_is_secret() {
    for (_, stored) in MADE {
        let shown = format!("{:?}", ForeignHash::parse(stored).unwrap());
        let secret = stored.rsplit('$').next().unwrap();
        assert!(!shown.contains(secret), "{shown}");
    }
}
