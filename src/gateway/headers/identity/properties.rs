//! What a tool reads is what is known of the person, whatever that is.

use proptest::prelude::*;

use super::*;
use crate::authn::user::{DisplayName, Email, Group, LoginName, Method, Role};
use crate::authz::identity::AccountSecondFactor;
use crate::id::UserId;

fn account(name: DisplayName) -> Account {
    Account {
        id: UserId::from_bytes([1; 10]),
        login: "alice".parse().unwrap(),
        name,
        email: None,
        groups: Vec::new(),
        role: Role::User,
        second_factor: AccountSecondFactor { switched_on: false, method: Method::Totp, usable: false },
    }
}

/// A name as the account keeps it: whatever is a name at all, and what looks like an encoding of another one.
fn name() -> impl Strategy<Value = DisplayName> {
    let lookalike = prop_oneof![
        Just("=?UTF-8?B?cm9vdA==?=".to_owned()),
        Just("x =?utf-8?q?root?=".to_owned()),
        Just("%72oot".to_owned()),
        Just("100%".to_owned()),
    ];
    let text = prop_oneof![4 => any::<String>(), 2 => "[ -~]{0,60}", 1 => "\\PC{0,100}", 2 => lookalike];
    text.prop_filter_map("no name", |text| text.parse().ok())
}

fn value(name: &DisplayName, encoding: HeaderEncoding) -> Vec<u8> {
    let template = HeaderTemplate(vec![TemplatePart::Name]);
    let value = render(&template, &account(name.clone()), encoding);
    value.map_or_else(Vec::new, |value| value.as_bytes().to_vec())
}

/// RFC 2047 §2 and §6.2, as a mail reader does it: encoded words, and nothing of the blanks between them.
fn decoded_words(value: &str) -> String {
    let word = |word: &str| {
        let text = word.strip_prefix("=?UTF-8?B?")?.strip_suffix("?=")?;
        String::from_utf8(BASE64.decode(text.as_bytes()).ok()?).ok()
    };
    let words: Option<Vec<String>> = value.split(' ').map(word).collect();
    words.map_or_else(|| value.to_owned(), |words| words.concat())
}

proptest! {
    #[test]
    fn every_encoding_can_be_taken_back(name in name()) {
        let percent = value(&name, HeaderEncoding::Percent);
        prop_assert_eq!(percent_encoding::percent_decode(&percent).decode_utf8().unwrap(), name.as_str());
        let words = String::from_utf8(value(&name, HeaderEncoding::Rfc2047)).unwrap();
        prop_assert_eq!(decoded_words(&words), name.as_str());
        prop_assert!(words.split(' ').all(|word| !word.starts_with("=?") || word.len() <= 75), "{}", words);
        prop_assert_eq!(value(&name, HeaderEncoding::Utf8), name.as_str().as_bytes());
    }

    #[test]
    fn no_value_has_a_control_character(name in name()) {
        for encoding in [HeaderEncoding::Percent, HeaderEncoding::Utf8, HeaderEncoding::Rfc2047] {
            let value = value(&name, encoding);
            prop_assert!(value.iter().all(|byte| !byte.is_ascii_control()), "{:?}", value);
            prop_assert!(encoding == HeaderEncoding::Utf8 || value.is_ascii(), "{:?}", value);
        }
    }

    /// Two accounts never differ in a way that is lost where they are kept, or where groups are listed.
    #[test]
    fn a_field_is_its_own_normal_form(text in prop_oneof![any::<String>(), "[ A-Za-zÀ-žΑ-ωİſ@._+,:/-]{0,20}"]) {
        if let Ok(login) = text.parse::<LoginName>() {
            prop_assert_eq!(login.as_str().parse::<LoginName>(), Ok(login.clone()));
        }
        if let Ok(email) = text.parse::<Email>() {
            prop_assert_eq!(email.as_str().parse::<Email>(), Ok(email.clone()));
        }
        if let Ok(name) = text.parse::<DisplayName>() {
            prop_assert_eq!(name.as_str().parse::<DisplayName>(), Ok(name.clone()));
        }
        if let Ok(group) = text.parse::<Group>() {
            prop_assert!(!group.as_str().contains([',', ' ', ';']), "{:?}", group);
            prop_assert_eq!(group.as_str().parse::<Group>(), Ok(group.clone()));
        }
    }
}
