use std::collections::BTreeSet;

use super::*;
use crate::authn::password::Cost;
use crate::authn::user::{DisplayName, Method, Role, SecondFactor, StoredPassword, TotpEnrolment};
use crate::id::UserId;
use crate::secret::{ExposeSecret, Keys, Purpose};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_secs(86_400);

fn before(secs: u64) -> Option<Timestamp> {
    Some(Timestamp::from_secs(NOW.secs() - secs))
}

fn hash(password: &str) -> String {
    password::hash(
        password,
        &[1; 16],
        Cost { memory_kib: 16, iterations: 1, parallelism: 1 },
        &mut password::Memory::default(),
    )
    .unwrap()
}

fn user(enrolled: bool) -> User {
    let keys = Keys::parse(Keys::generate_line().unwrap().expose_secret()).unwrap();
    let key = keys.seal(Purpose::TotpKey, "x", b"key").unwrap();
    User {
        id: UserId::from_bytes([1; 10]),
        login: "alice".parse().unwrap(),
        name: DisplayName::default(),
        email: None,
        groups: BTreeSet::new(),
        role: Role::User,
        password: Some(StoredPassword { hash: hash("right"), changed_at: NOW, must_change: false }),
        disabled: false,
        second_factor: SecondFactor {
            switched_on: false,
            method: Method::Totp,
            totp: enrolled.then_some(TotpEnrolment { key, last_step: 5, enrolled_at: NOW }),
            recovery: None,
        },
        epoch: 3,
        registered_at: NOW,
        last_login: None,
    }
}

fn session(password_at: Option<Timestamp>, second_factor_at: Option<Timestamp>) -> Session {
    Session {
        second_factor_at,
        password_at,
        ..Session::begun(SessionId::from_bytes([3; 10]), UserId::from_bytes([1; 10]), 3, NOW)
    }
}

#[test]
fn both_count_for_five_minutes_and_not_a_second_longer() {
    use Missing::{Code, Password};
    let later = |secs: u64| Some(NOW.plus(Duration::from_secs(secs)));
    for (password_at, second_factor_at, missing) in [
        (before(299), before(299), None),
        (before(0), before(0), None),
        (before(300), before(10), Some(Password)),
        (before(10), before(300), Some(Code)),
        (before(300), before(300), Some(Password)),
        (None, before(1), Some(Password)),
        (before(1), None, Some(Code)),
        // Given at another node, whose clock is a little ahead.
        (later(1), later(60), None),
        // A clock that was set back makes nothing younger.
        (later(61), before(1), Some(Password)),
        (before(1), later(61), Some(Code)),
    ] {
        let judged = judge(&session(password_at, second_factor_at), &user(true), NOW).err();
        assert_eq!(judged, missing, "{password_at:?} {second_factor_at:?}");
    }
}

#[test]
fn without_a_usable_second_factor_the_password_is_enough_and_with_one_it_never_is() {
    assert!(judge(&session(before(1), None), &user(false), NOW).is_ok());
    // The switch is off, and the app is asked for all the same.
    assert!(!user(true).second_factor.switched_on);
    assert_eq!(judge(&session(before(1), None), &user(true), NOW).err(), Some(Missing::Code));
    let mut by_mail = user(false);
    by_mail.second_factor.method = Method::Mail;
    assert!(judge(&session(before(1), None), &by_mail, NOW).is_ok(), "no address");
    by_mail.email = Some("alice@example.com".parse().unwrap());
    assert_eq!(judge(&session(before(1), None), &by_mail, NOW).err(), Some(Missing::Code));
}

#[test]
fn a_session_of_another_account_or_of_before_a_reset_proves_nothing() {
    let fresh = session(before(1), before(1));
    let alice = user(true);
    assert!(judge(&fresh, &alice, NOW).is_ok());
    for other in [
        User { id: UserId::from_bytes([9; 10]), ..alice.clone() },
        User { epoch: 4, ..alice.clone() },
        User { disabled: true, ..alice },
    ] {
        assert_eq!(judge(&fresh, &other, NOW).err(), Some(Missing::Password));
    }
}

#[test]
fn for_another_app_a_recovery_code_counts_as_long_as_any_second_factor() {
    let demand = SecondFactorDemand { policy: Policy::Required, recheck_interval: DAY };
    let lost = |password, factor| Session { by_recovery_code: true, ..session(before(password), before(factor)) };
    let judged = |session: &Session| for_another_app(session, &user(true), demand, NOW).err();
    assert_eq!(judged(&lost(10, 3600)), None);
    assert_eq!(judged(&lost(301, 3600)), Some(Missing::Password), "the password is asked for as ever");
    assert_eq!(judged(&lost(10, 86_400)), Some(Missing::Code));
    assert_eq!(judged(&session(before(10), before(3600))), Some(Missing::Code), "an app's code does not");
    assert_eq!(judge(&lost(10, 3600), &user(true), NOW).err(), Some(Missing::Code), "nor for anything else");
}

#[test]
fn the_password_counts_only_while_it_is_the_accounts() {
    let alice = user(true);
    let old = session(None, before(1));
    let proof =
        |password: &str, hash: &str| password::verify(hash, password, &mut password::Memory::default()).unwrap();
    let right = proof("right", &alice.password.as_ref().unwrap().hash).unwrap();
    let given = password_given(&old, &alice, &right, NOW).unwrap();
    assert_eq!((given.password_at, given.second_factor_at, given.id), (Some(NOW), before(1), old.id));
    let mut changed = alice.clone();
    changed.password.as_mut().unwrap().hash = hash("another");
    assert_eq!(password_given(&old, &changed, &right, NOW).unwrap_err(), Stale);
    assert_eq!(password_given(&old, &User { epoch: 4, ..alice }, &right, NOW).unwrap_err(), Stale);
}
