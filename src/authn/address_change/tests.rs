use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::authn::confirmation;
use crate::authn::user::{DisplayName, Method, Role, SecondFactor};
use crate::secret::{ExposeSecret, Keys, Purpose};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const SETTINGS: Settings =
    Settings { lifetime: Duration::from_secs(1800), max_attempts: 3, resend_after: Duration::from_secs(30) };

fn after(secs: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(secs))
}

fn user(email: Option<&str>) -> User {
    User {
        id: UserId::from_bytes([1; 10]),
        login: "alice".parse().unwrap(),
        name: DisplayName::default(),
        email: email.map(|email| email.parse().unwrap()),
        groups: BTreeSet::new(),
        role: Role::User,
        password: None,
        disabled: false,
        second_factor: SecondFactor { switched_on: false, method: Method::Totp, totp: None, recovery: None },
        epoch: 3,
        registered_at: NOW,
        last_login: None,
    }
}

fn session() -> Session {
    Session {
        password_at: Some(NOW),
        ..Session::begun(SessionId::from_bytes([3; 10]), UserId::from_bytes([1; 10]), 3, NOW)
    }
}

/// Digests of codes by their names.
struct Macs(Keys);

impl Macs {
    fn new() -> Self {
        Self(Keys::parse(Keys::generate_line().unwrap().expose_secret()).unwrap())
    }

    fn codes(&self, old: Option<&str>, new: &str) -> Codes {
        let mac = |code: &str| self.0.mac(Purpose::AddressCode, &[code.as_bytes()]).unwrap();
        Codes { old: old.map(mac), new: mac(new) }
    }
}

fn begun(user: &User, codes: Codes) -> AddressChange {
    let confirmed = confirmation::judge(&session(), user, NOW).unwrap();
    AddressChange::begin(&confirmed, user, "new@example.com".parse().unwrap(), codes, NOW, after(2700)).unwrap()
}

#[test]
fn both_codes_together_and_nothing_less_give_the_account_another_address() {
    let macs = Macs::new();
    let mut alice = user(Some("old@example.com"));
    let change = begun(&alice, macs.codes(Some("o"), "n"));
    for (old, new, wrong) in [
        (Some("x"), "n", (true, false)),
        (Some("o"), "x", (false, true)),
        (Some("n"), "o", (true, true)),
        (None, "n", (true, false)),
    ] {
        let Verdict::Wrong { old, new, .. } = change.judge(macs.codes(old, new), SETTINGS, after(60)) else {
            panic!("not wrong: {old:?} {new}")
        };
        assert_eq!((old, new), wrong);
    }
    let Verdict::Proved(proved) = change.judge(macs.codes(Some("o"), "n"), SETTINGS, after(60)) else {
        panic!("not proved")
    };
    proved.apply(&mut alice).unwrap();
    assert_eq!((alice.email.unwrap().as_str(), alice.epoch), ("new@example.com", 3));
}

#[test]
fn where_codes_come_by_mail_another_mailbox_ends_what_was_begun_with_the_one_before() {
    let macs = Macs::new();
    let mut alice = user(Some("old@example.com"));
    let change = begun(&alice, macs.codes(Some("o"), "n"));
    alice.second_factor.method = Method::Mail;
    let Verdict::Proved(proved) = change.judge(macs.codes(Some("o"), "n"), SETTINGS, NOW) else { panic!("not proved") };
    proved.apply(&mut alice).unwrap();
    assert_eq!(alice.epoch, 4);
}

#[test]
fn without_an_old_address_the_new_one_alone_is_proved() {
    let macs = Macs::new();
    let change = begun(&user(None), macs.codes(None, "n"));
    assert!(matches!(change.judge(macs.codes(None, "n"), SETTINGS, NOW), Verdict::Proved(_)));
    assert!(matches!(change.judge(macs.codes(None, "x"), SETTINGS, NOW), Verdict::Wrong { .. }));
    // A code for the old address cannot be left out where there is one, nor be made up where there is none.
    let confirmed = |user: &User| confirmation::judge(&session(), user, NOW).unwrap();
    let begin = |user: &User, codes| {
        let to = "new@example.com".parse().unwrap();
        AddressChange::begin(&confirmed(user), user, to, codes, NOW, after(2700))
    };
    assert!(begin(&user(Some("old@example.com")), macs.codes(None, "n")).is_err());
    assert!(begin(&user(None), macs.codes(Some("o"), "n")).is_err());
}

#[test]
fn each_code_dies_of_its_own_wrong_tries_and_of_time() {
    let macs = Macs::new();
    let alice = user(Some("old@example.com"));
    let mut change = begun(&alice, macs.codes(Some("o"), "n"));
    for _ in 0..3 {
        let Verdict::Wrong { next, .. } = change.judge(macs.codes(Some("x"), "n"), SETTINGS, NOW) else {
            panic!("not wrong")
        };
        change = *next;
    }
    assert!(matches!(change.judge(macs.codes(Some("o"), "n"), SETTINGS, NOW), Verdict::TooManyTries));
    let again = change.sent_again(macs.codes(Some("p"), "m"), after(60), after(2760));
    assert!(matches!(again.judge(macs.codes(Some("o"), "n"), SETTINGS, after(61)), Verdict::Wrong { .. }), "void");
    assert!(matches!(again.judge(macs.codes(Some("p"), "m"), SETTINGS, after(1859)), Verdict::Proved(_)));
    assert!(matches!(again.judge(macs.codes(Some("p"), "m"), SETTINGS, after(1860)), Verdict::Expired));
}

#[test]
fn it_ends_with_the_session_and_with_whatever_changes_the_account() {
    let macs = Macs::new();
    let alice = user(Some("old@example.com"));
    let change = begun(&alice, macs.codes(Some("o"), "n"));
    assert!(change.stands(&session(), &alice));
    let another = Session { id: SessionId::from_bytes([4; 10]), ..session() };
    assert!(!change.stands(&another, &alice));
    let elsewhere = Some("elsewhere@example.com".parse().unwrap());
    for changed in [
        User { epoch: 4, ..alice.clone() },
        User { disabled: true, ..alice.clone() },
        User { email: elsewhere, ..alice.clone() },
        User { email: None, ..alice },
    ] {
        assert!(!change.stands(&session(), &changed));
        let Verdict::Proved(proved) = change.judge(macs.codes(Some("o"), "n"), SETTINGS, NOW) else {
            panic!("not proved")
        };
        assert!(proved.apply(&mut changed.clone()).is_err());
    }
}
