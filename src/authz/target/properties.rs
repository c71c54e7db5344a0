//! What must hold of every target, whatever somebody thinks up.

use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn settle(target: &[u8]) -> Result<NormalTarget, BadTarget> {
    NormalTarget::parse(RawTarget { target, authority: Some(b"app.test"), secure: true })
}

/// Targets out of the pieces that attacks are made of, so that many get far and few are plain noise.
fn hostile_target() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&str] = &[
        "/",
        "/",
        "/",
        ".",
        "..",
        "a",
        "Admin",
        "%2e",
        "%2E",
        "%2f",
        "%5c",
        "%00",
        "%25",
        "%252e",
        "%",
        "2e",
        "2f",
        "%41",
        "%7e",
        ";",
        "%3b",
        ";x=y",
        "\\",
        " ",
        "%20",
        "%c0%ae",
        "%e0%80%af",
        "%83%65",
        "あ",
        "%e3%81%82",
        "?",
        "#",
        "%3f",
        "%u002e",
        "|",
        "{",
        "\"",
        "\t",
        "~",
        "!",
        ":",
        "@",
    ];
    let pieces = prop::collection::vec(select(PIECES), 0..12).prop_map(|pieces| pieces.concat().into_bytes());
    let rooted = pieces.prop_map(|mut bytes| {
        bytes.insert(0, b'/');
        bytes
    });
    prop_oneof![9 => rooted, 1 => prop::collection::vec(any::<u8>(), 0..40)]
}

/// A harmless path, and another way to spell it.
fn two_spellings() -> impl Strategy<Value = (String, String)> {
    let segment = "[a-zA-Z0-9_~!$&'()*+,=:@-]{1,6}";
    let spelled =
        (segment, prop::collection::vec(0..3_u8, 6), select(&["/", "//", "/./", "/%2E/", "/x/../", "/x//%2e./"][..]));
    prop::collection::vec(spelled, 1..5).prop_map(|segments| {
        let (mut plain, mut other) = (String::new(), String::new());
        for (segment, how, slash) in segments {
            plain.push('/');
            plain.push_str(&segment);
            other.push_str(slash);
            for (character, how) in segment.chars().zip(how) {
                match how {
                    0 => other.push(character),
                    1 => other.push_str(&format!("%{:02x}", u32::from(character))),
                    _ => other.push_str(&format!("%{:02X}", u32::from(character))),
                }
            }
        }
        (plain, other)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_panics(target in prop::collection::vec(any::<u8>(), 0..60), authority: Option<Vec<u8>>, secure: bool) {
        let _ = NormalTarget::parse(RawTarget { target: &target, authority: authority.as_deref(), secure });
    }

    #[test]
    fn the_normal_form_is_its_own_normal_form(target in hostile_target()) {
        if let Ok(target) = settle(&target) {
            prop_assert_eq!(settle(target.path_and_query().as_bytes()), Ok(target));
        }
    }

    #[test]
    fn the_normal_form_leaves_nothing_to_interpret(target in hostile_target()) {
        let Ok(target) = settle(&target) else { return Ok(()) };
        for path in [target.path(), target.matching_path()] {
            prop_assert!(path.starts_with('/'));
            prop_assert!(path.is_ascii() && !path.contains(|c: char| c.is_ascii_control() || c == '\\'), "{}", path);
            prop_assert!(!path.contains("//"), "{}", path);
            let upper = path.to_ascii_uppercase();
            for escape in ["%2E", "%5C", "%00", "%252E", "%252F", "%255C", "%C0%AE"] {
                prop_assert!(!upper.contains(escape), "{}", path);
            }
            for segment in upper.replace("%2F", "/").split('/') {
                let name = segment.split(';').next().unwrap_or_default().trim_ascii();
                prop_assert!(name != "." && name != "..", "{}", path);
            }
        }
    }

    /// An upstream decodes what it gets, and drops the parameters or leaves them: the first is what was matched.
    #[test]
    fn what_is_matched_is_what_is_forwarded(target in hostile_target()) {
        let Ok(target) = settle(&target) else { return Ok(()) };
        let without = |path: &str| -> Vec<Vec<u8>> {
            let whole = path.split('/').map(|segment| percent_decode_str(segment).collect::<Vec<u8>>());
            whole.map(|segment| segment.split(|byte| *byte == b';').next().unwrap().to_vec()).collect()
        };
        prop_assert_eq!(without(target.path()), without(target.matching_path()));
    }

    #[test]
    fn two_spellings_of_a_path_are_one((plain, other) in two_spellings()) {
        let (plain, other) = (settle(plain.as_bytes()).unwrap(), settle(other.as_bytes()).unwrap());
        prop_assert_eq!(plain.matching_path(), other.matching_path());
        let decoded = |target: &NormalTarget| percent_decode_str(target.path()).collect::<Vec<u8>>();
        prop_assert_eq!(decoded(&plain), decoded(&other));
    }

    #[test]
    fn a_canonical_host_is_its_own_canonical_form(host in "[a-zA-Z0-9_.:\\[\\]-]{0,20}|\\[[0-9a-fA-F:.]{2,20}\\]") {
        if let Ok(host) = Host::parse(&host) {
            prop_assert_eq!(Host::parse(host.as_str()), Ok(host.clone()));
            prop_assert!(!host.as_str().contains(|c: char| c.is_ascii_uppercase()) && !host.as_str().ends_with('.'));
        }
    }

    #[test]
    fn every_spelling_of_an_authority_is_one(
        host in "[a-z0-9]([a-z0-9_-]{0,5}[a-z0-9])?(\\.[a-z]{1,5}){0,3}|127\\.0\\.0\\.[1-9]|\\[::[1-9a-f]{1,4}\\]",
        upper: bool,
        dot: bool,
        port in prop_oneof![Just(None), Just(Some(443)), Just(Some(80)), (1..=u16::MAX).prop_map(Some)],
        secure: bool,
    ) {
        let parse = |authority: &str| {
            NormalTarget::parse(RawTarget { target: b"/", authority: Some(authority.as_bytes()), secure })
        };
        prop_assume!(Host::parse(&host).is_ok());
        let mut spelled = if upper { host.to_ascii_uppercase() } else { host.clone() };
        if dot && !host.ends_with(']') {
            spelled.push('.');
        }
        let port = port.filter(|port| *port != if secure { 443 } else { 80 });
        let implied = format!("{spelled}:{}", port.unwrap_or(if secure { 443 } else { 80 }));
        let plain = parse(&port.map_or(host.clone(), |port| format!("{host}:{port}"))).unwrap();
        prop_assert_eq!(&parse(&implied).unwrap(), &plain);
        if port.is_none() {
            prop_assert_eq!(&parse(&spelled).unwrap(), &plain);
        }
        // What is told to the upstream is read as the same again.
        prop_assert_eq!(&parse(&plain.authority()).unwrap(), &plain);
        for other in [&spelled, &implied, &host, &format!("{host}:0{}", port.unwrap_or(0)), &format!("{host}:+8080")] {
            prop_assert_eq!(plain.has_authority(other.as_bytes()), *other == plain.authority());
        }
        prop_assert!(plain.has_authority(plain.authority().as_bytes()));
    }

    /// An absolute-form is its path, or it is refused.
    #[test]
    fn an_absolute_form_says_no_more_than_its_path(target in hostile_target()) {
        let absolute = [b"https://APP.test:443".as_slice(), &target].concat();
        if target.first() == Some(&b'/') {
            prop_assert_eq!(settle(&absolute), settle(&target));
        } else if let Ok(settled) = settle(&absolute) {
            prop_assert_eq!(settled.host().as_str(), "app.test");
        }
    }
}
