use std::collections::BTreeSet;

use super::*;
use crate::authn::user::{Method, Role, SecondFactor, StoredPassword};
use crate::id::UserId;
use crate::service::testing::Bench;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_015);

/// How many of them hold a code.
const CODES: usize = 3;

/// Every mail in one language: its name, subject, text and HTML.
pub fn samples(config: &Config, language: Language, user: &User) -> Vec<(String, String, String, String)> {
    let mut mails = vec![("code", code_mail(config, language, user, &"123456".into()))];
    let new: Email = "hanako.new@example.com".parse().unwrap();
    for (name, letter) in
        [("address-old", AddressLetter::ToOld { new: &new }), ("address-new", AddressLetter::ToNew { new: &new })]
    {
        mails.push((name, address_mail(config, language, user, letter, &"123456".into())));
    }
    let address = "192.0.2.7".parse().unwrap();
    for (name, notice) in [
        ("app-added", Notice::AppAdded),
        ("factor-removed", Notice::FactorRemoved),
        ("address-changed", Notice::AddressChanged),
        ("switched-on", Notice::SwitchedOn),
        ("codes-renewed", Notice::RecoveryCodesRenewed),
        ("new-device", Notice::NewDevice { address }),
        ("password-changed", Notice::PasswordChanged { address }),
        ("link-needs-manager", Notice::LinkNeedsManager { address }),
    ] {
        mails.push((name, notice_mail(config, language, user, notice, NOW)));
    }
    let link = "https://shop.example.com/.sekisho/password/reset?token=abc".into();
    let set = StoredPassword { hash: String::new(), changed_at: NOW, must_change: false };
    let with_password = User { password: Some(set), ..user.clone() };
    mails.push(("link asked", link_mail(config, language, user, SentBy::Asker, &link)));
    mails.push(("link sent", link_mail(config, language, &with_password, SentBy::Manager, &link)));
    mails.push(("link first", link_mail(config, language, user, SentBy::Manager, &link)));
    let told = |secret: &SecretString| secret.expose_secret().to_owned();
    mails
        .into_iter()
        .map(|(name, mail)| (name, mail.unwrap_or_else(|error| panic!("{name}: {error:#}"))))
        .map(|(name, mail)| (name.to_owned(), mail.subject.clone(), told(&mail.text), told(&mail.html)))
        .collect()
}

/// Every mail, as it stands with the defaults of the configuration.
pub fn every_mail(language: Language) {
    samples(&Bench::new(|_| {}).config(), language, &somebody());
}

fn somebody() -> User {
    User {
        id: UserId::from_bytes([1; 10]),
        login: "alice".parse().unwrap(),
        name: "Alice".parse().unwrap(),
        email: Some("alice@example.com".parse().unwrap()),
        groups: BTreeSet::new(),
        role: Role::User,
        password: None,
        disabled: false,
        second_factor: SecondFactor { switched_on: true, method: Method::Mail, totp: None, recovery: None },
        epoch: 0,
        registered_at: NOW,
        last_login: None,
    }
}

#[test]
fn a_code_mail_says_that_a_machine_sent_it_the_code_and_how_long_it_is_good() {
    let bench = Bench::new(|_| {});
    let (config, user) = (bench.config(), somebody());
    let rows = [
        (Language::En, ["123456", "automatically", "30 minutes", "alice"]),
        (Language::Ja, ["123456", "自動的に送信", "30分", "alice"]),
    ];
    for (language, words) in rows {
        let mails = samples(&config, language, &user);
        let (_, _, text, html) = mails.first().unwrap();
        for word in words {
            assert!(text.contains(word) && html.contains(word), "{word}: {text}");
        }
        assert!(!html.contains("href"), "a code leads nowhere");
    }
}

#[test]
fn notices_hold_no_code_and_link_to_the_configured_address_alone() {
    let bench = Bench::new(|_| {});
    let user = somebody();
    for url in [None, Some("https://shop.example.com".to_owned())] {
        let mut config = bench.config();
        config.portal.url = url.clone();
        for language in [Language::Ja, Language::En] {
            for (name, _, text, html) in samples(&config, language, &user)
                .into_iter()
                .skip(CODES)
                .filter(|(name, ..)| !name.starts_with("link "))
            {
                assert!(text.contains("2027-01-15 08:00 UTC"), "{text}");
                assert_eq!(
                    text.contains("192.0.2.7"),
                    ["new-device", "password-changed", "link-needs-manager"].contains(&name.as_str())
                );
                let links = html.matches("http").count();
                assert_eq!(links, if url.is_some() { 2 } else { 0 }, "{name}: {html}");
            }
        }
    }
}

#[test]
fn what_people_are_called_stays_text_in_html() {
    let bench = Bench::new(|_| {});
    let user = somebody();
    let mut config = bench.config();
    config.portal.title = "<b>&\"Shop'".to_owned();
    for (name, _, text, html) in samples(&config, Language::En, &user) {
        assert!(text.contains("<b>&\"Shop'"), "{name}: the text is no HTML");
        assert!(!html.contains("<b>") && html.contains("&lt;b&gt;&amp;"), "{name}: {html}");
    }
}

#[test]
fn the_subject_is_filled_in_once() {
    let bench = Bench::new(|_| {});
    let mut config = bench.config();
    config.portal.title = "{subject}".to_owned();
    config.mail = Some(crate::service::testing::mail());
    assert_eq!(subject(&config, "Your code"), "Your code - {subject}");
}

#[test]
fn lifetimes_are_told_in_the_largest_unit_that_divides_them() {
    let rows = [(3600, (1, "hours")), (5400, (90, "minutes")), (90, (90, "seconds"))];
    for (seconds, expected) in rows {
        assert_eq!(amount_and_unit(Duration::from_secs(seconds)), expected);
    }
}
