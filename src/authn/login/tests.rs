use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::authn::confirmation::{self, Confirmed};
use crate::authn::password::Cost;
use crate::authn::session::Origin;
use crate::authn::totp::{Settings, TotpKey, Verdict};
use crate::authn::user::{DisplayName, Role, SecondFactor, StoredPassword};
use crate::authz::Policy;
use crate::id::DeviceId;
use crate::secret::{ExposeSecret, Keys, Purpose};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_015);
const DAY: Duration = Duration::from_secs(86_400);
const SETTINGS: Settings = Settings { period: Duration::from_secs(30), digits: 6, skew: 1 };

fn sealed() -> Sealed {
    let keys = Keys::parse(Keys::generate_line().unwrap().expose_secret()).unwrap();
    keys.seal(Purpose::TotpKey, "x", b"key").unwrap()
}

fn new_factor() -> NewFactor {
    let recovery = RecoverySet::new([1; 16], (16, 1, 1), sealed(), 10, NOW);
    NewFactor { key: sealed(), recovery, codes: sealed(), remember: false }
}

fn user(enrolled: bool, switched_on: bool) -> User {
    let cost = Cost { memory_kib: 16, iterations: 1, parallelism: 1 };
    let totp = enrolled.then(|| TotpEnrolment { key: sealed(), last_step: 5, enrolled_at: NOW });
    User {
        id: UserId::from_bytes([1; 10]),
        login: "alice".parse().unwrap(),
        name: DisplayName::default(),
        email: None,
        groups: BTreeSet::new(),
        role: Role::User,
        password: Some(StoredPassword {
            hash: password::hash("right", &[1; 16], cost, &mut password::Memory::default()).unwrap(),
            changed_at: NOW,
            must_change: false,
        }),
        disabled: false,
        second_factor: SecondFactor { switched_on, method: Method::Totp, totp, recovery: None },
        epoch: 3,
        registered_at: NOW,
        last_login: None,
    }
}

fn demand(policy: Policy) -> SecondFactorDemand {
    SecondFactorDemand { policy, recheck_interval: DAY }
}

fn key(user: &User, spares: bool, age: Duration) -> Device {
    Device {
        id: DeviceId::from_bytes([2; 10]),
        user: user.id,
        epoch: user.epoch,
        second_factor_at: Timestamp::from_millis(NOW.millis() - u64::try_from(age.as_millis()).unwrap()),
        spares,
        first_seen: NOW,
        last_seen: NOW,
        client: Origin::default(),
    }
}

fn proof(user: &User) -> password::Matches {
    password::verify(&user.password.as_ref().unwrap().hash, "right", &mut password::Memory::default()).unwrap().unwrap()
}

fn passed(user: &User, policy: Policy) -> FirstFactorPassed {
    Start.password(user, &proof(user), demand(policy)).unwrap()
}

fn accepted() -> totp::Accepted {
    let totp_key = TotpKey::from_bytes([7; 20]);
    let generator = totp_rs::Builder::new().with_secret([7; 20]).build().unwrap();
    match totp::verify(&totp_key, SETTINGS, &generator.generate(NOW.secs()).to_string(), None, NOW) {
        Verdict::Accepted(accepted) => accepted,
        other => panic!("{other:?}"),
    }
}

const ALONG: Along = Along { remember: Some(true), tells_of_new_device: true };

/// In, where the password is good for ever.
fn inside(ready: Ready, user: &User) -> SignedIn {
    match ready.arrive(user, ALONG, None, NOW) {
        Arrival::SignedIn(signed_in) => signed_in,
        Arrival::PasswordChange(due) => panic!("{due:?}"),
    }
}

/// What is due after the password: a row for each policy, account and key.
#[test]
fn what_is_due_after_the_password_is_a_truth_table() {
    let fresh = Duration::from_secs(60);
    let rows = [
        // policy, enrolled, switched on, key (spares, age), what follows
        (Policy::Off, true, true, None, "in"),
        (Policy::Off, false, true, None, "in"),
        (Policy::PerUser, true, false, None, "in"),
        (Policy::PerUser, true, true, None, "code"),
        (Policy::PerUser, false, true, None, "enrol"),
        (Policy::PerUser, false, false, None, "in"),
        (Policy::Required, false, false, None, "enrol"),
        (Policy::Required, true, false, None, "code"),
        (Policy::Required, true, true, None, "code"),
        (Policy::Required, true, true, Some((true, fresh)), "in"),
        (Policy::Required, true, true, Some((false, fresh)), "code"),
        (Policy::Required, true, true, Some((true, DAY)), "code"),
        (Policy::Required, false, true, Some((true, fresh)), "enrol"),
    ];
    for (policy, enrolled, switched_on, device, expected) in rows {
        let user = user(enrolled, switched_on);
        let device = device.map(|(spares, age)| key(&user, spares, age));
        let next = passed(&user, policy).next(&user, device.as_ref(), NOW).unwrap();
        let follows = match next {
            Next::Ready(_) => "in",
            Next::Code(_) => "code",
            Next::Enrolment(_) => "enrol",
        };
        assert_eq!(follows, expected, "{policy:?} enrolled={enrolled} on={switched_on} {device:?}");
    }
}

#[test]
fn a_key_of_another_account_or_an_older_epoch_spares_nothing() {
    let user = user(true, true);
    let good = key(&user, true, Duration::ZERO);
    let foreign = Device { user: UserId::from_bytes([9; 10]), ..good.clone() };
    let old = Device { epoch: user.epoch - 1, ..good.clone() };
    for (device, spared) in [(&good, true), (&foreign, false), (&old, false)] {
        let next = passed(&user, Policy::Required).next(&user, Some(device), NOW).unwrap();
        assert_eq!(matches!(next, Next::Ready(_)), spared);
    }
}

#[test]
fn a_spared_login_takes_over_the_keys_second_factor_and_gives_none() {
    let user = user(true, true);
    let device = key(&user, true, Duration::from_secs(3600));
    let Next::Ready(ready) = passed(&user, Policy::Required).next(&user, Some(&device), NOW).unwrap() else {
        panic!("not spared")
    };
    let signed_in = inside(ready, &user);
    assert_eq!(signed_in.second_factor_at(), Some(device.second_factor_at));
    assert!(!signed_in.gave_second_factor());
}

#[test]
fn the_password_of_another_hash_or_a_disabled_account_leads_nowhere() {
    let alice = user(true, true);
    let proof = proof(&alice);
    let mut changed = alice.clone();
    changed.password.as_mut().unwrap().hash = password::hash(
        "right",
        &[2; 16],
        Cost { memory_kib: 16, iterations: 1, parallelism: 1 },
        &mut password::Memory::default(),
    )
    .unwrap();
    let disabled = User { disabled: true, ..alice.clone() };
    let empty = User { password: None, ..alice.clone() };
    for account in [&changed, &disabled, &empty] {
        assert!(Start.password(account, &proof, demand(Policy::Off)).is_err());
    }
    assert!(Start.password(&alice, &proof, demand(Policy::Off)).is_ok());
}

#[test]
fn a_right_code_spends_its_step_and_is_the_sessions_second_factor() {
    let mut alice = user(true, true);
    let Next::Code(due) = passed(&alice, Policy::Required).next(&alice, None, NOW).unwrap() else { panic!("no code") };
    let accepted = accepted();
    let ready = due.accept(&mut alice, &accepted, NOW).unwrap();
    let signed_in = inside(ready, &alice);
    assert_eq!(alice.second_factor.totp.unwrap().last_step, accepted.step());
    assert_eq!((signed_in.second_factor_at(), signed_in.gave_second_factor()), (Some(NOW), true));
    assert_eq!(signed_in.session(), None);
}

#[test]
fn whatever_ends_an_account_ends_what_it_has_begun() {
    let alice = user(true, true);
    let Next::Code(due) = passed(&alice, Policy::Required).next(&alice, None, NOW).unwrap() else { panic!("no code") };
    let state = State::CodeDue(due.clone());
    assert!(state.stands(&alice));
    for mut changed in [
        User { epoch: alice.epoch + 1, ..alice.clone() },
        User { disabled: true, ..alice.clone() },
        User { id: UserId::from_bytes([9; 10]), ..alice.clone() },
    ] {
        assert!(!state.stands(&changed));
        assert!(due.clone().accept(&mut changed, &accepted(), NOW).is_err());
    }
}

#[test]
fn a_state_survives_being_stored() {
    let alice = user(false, true);
    let Next::Enrolment(due) = passed(&alice, Policy::Required).next(&alice, None, NOW).unwrap() else {
        panic!("no enrolment")
    };
    let key = sealed();
    let state = State::EnrolmentDue(due.offering(key.clone()).wrong().wrong());
    let again: State = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
    let State::EnrolmentDue(due) = again else { panic!("another state") };
    assert_eq!((due.offered(), due.wrong_so_far()), (Some(&key), 2));
    // And a key on offer stays.
    assert_eq!(due.offering(sealed()).offered(), Some(&key));
}

#[test]
fn the_tenth_wrong_code_is_the_last_one() {
    let alice = user(true, true);
    let Next::Code(mut due) = passed(&alice, Policy::Required).next(&alice, None, NOW).unwrap() else {
        panic!("no code")
    };
    for _ in 0..9 {
        due = due.wrong();
        assert!(!due.is_exhausted());
    }
    assert!(due.wrong().is_exhausted());
}

#[test]
fn the_first_enrolment_wins() {
    let mut alice = user(false, true);
    let begin = |alice: &User| match passed(alice, Policy::Required).next(alice, None, NOW).unwrap() {
        Next::Enrolment(due) => due,
        other => panic!("{other:?}"),
    };
    let (one, two) = (begin(&alice), begin(&alice));
    let shown = one.proved(&mut alice, new_factor(), &accepted(), NOW).unwrap();
    assert!(!alice.second_factor.recovery.as_ref().unwrap().is_saved());
    let ready = shown.saved(&mut alice).unwrap();
    let signed_in = inside(ready, &alice);
    assert!(alice.second_factor.recovery.as_ref().unwrap().is_saved());
    assert!(signed_in.gave_second_factor());
    assert_eq!(alice.second_factor.totp.as_ref().unwrap().last_step, accepted().step(), "the first code is spent");
    assert!(two.proved(&mut alice, new_factor(), &accepted(), NOW).is_err());
}

#[test]
fn an_enrolment_is_declined_only_where_none_is_asked_for() {
    let on = user(false, true);
    let Next::Enrolment(due) = passed(&on, Policy::PerUser).next(&on, None, NOW).unwrap() else { panic!("none due") };
    assert!(!due.is_optional(&on));
    assert!(due.clone().declined(&on).is_err());
    let off = User { second_factor: SecondFactor { switched_on: false, ..on.second_factor.clone() }, ..on };
    assert!(due.is_optional(&off));
    let signed_in = inside(due.declined(&off).unwrap(), &off);
    assert_eq!((signed_in.second_factor_at(), signed_in.gave_second_factor()), (None, false));
}

#[test]
fn a_step_up_asks_for_what_is_due_in_this_session() {
    let session = |at| Session {
        second_factor_at: at,
        ..Session::begun(SessionId::from_bytes([3; 10]), UserId::from_bytes([1; 10]), 3, NOW)
    };
    let (enrolled, bare) = (user(true, true), user(false, true));
    let begin = |session: &Session, user: &User| step_up(session, user, demand(Policy::Required), NOW);
    assert!(matches!(begin(&session(Some(NOW)), &enrolled), Ok(StepUp::Nothing)));
    assert!(matches!(begin(&session(None), &enrolled), Ok(StepUp::Code(_))));
    assert!(matches!(begin(&session(None), &bare), Ok(StepUp::PasswordDue)));
    let old = Session { epoch: 2, ..session(Some(NOW)) };
    assert!(matches!(begin(&old, &enrolled), Err(Stale)));
}

fn with_password(age: Duration, must_change: bool) -> User {
    let mut user = user(true, true);
    let changed_at = Timestamp::from_millis(NOW.millis() - u64::try_from(age.as_millis()).unwrap());
    let stored = user.password.as_mut().unwrap();
    (stored.changed_at, stored.must_change) = (changed_at, must_change);
    user
}

/// F22: a row for each age, limit and mark.
#[test]
fn f22_a_password_that_is_too_old_or_marked_must_be_changed_before_anybody_is_in() {
    let rows = [
        // age in days, must change, max_age in days, whether a change is due
        (0, false, None, false),
        (4000, false, None, false),
        (0, true, None, true),
        (89, false, Some(90), false),
        (90, false, Some(90), true),
        (0, true, Some(90), true),
    ];
    for (age, must_change, max_age, due) in rows {
        let user = with_password(DAY * age, must_change);
        let ready = Ready { attempt: attempt(&user, None), second_factor_at: Some(NOW), given: Some(Given::Method) };
        let arrival = ready.arrive(&user, ALONG, max_age.map(|days| DAY * days), NOW);
        assert_eq!(matches!(arrival, Arrival::PasswordChange(_)), due, "{age} {must_change} {max_age:?}");
    }
}

#[test]
fn f22_a_session_that_steps_up_goes_on_with_the_password_it_has() {
    let user = with_password(Duration::ZERO, true);
    let attempt = attempt(&user, Some(SessionId::from_bytes([4; 10])));
    let ready = Ready { attempt, second_factor_at: Some(NOW), given: Some(Given::Method) };
    assert!(matches!(ready.arrive(&user, ALONG, None, NOW), Arrival::SignedIn(_)));
}

#[test]
fn f22_a_changed_password_ends_everything_but_the_login_that_changed_it() {
    let mut alice = with_password(Duration::ZERO, true);
    let before = alice.epoch;
    let ready = Ready { attempt: attempt(&alice, None), second_factor_at: Some(NOW), given: Some(Given::Method) };
    let Arrival::PasswordChange(due) = ready.arrive(&alice, ALONG, None, NOW) else { panic!("in") };
    let other = due.clone();
    let new = StoredPassword { hash: "new".to_owned(), changed_at: NOW, must_change: false };
    let signed_in = due.changed(&mut alice, new.clone(), NOW).unwrap();
    assert_eq!((signed_in.epoch(), signed_in.epoch_before()), (before + 1, before));
    assert_eq!((alice.epoch, alice.password.as_ref().unwrap().hash.as_str()), (before + 1, "new"));
    assert!(signed_in.changed_password() && signed_in.gave_second_factor());
    assert_eq!(other.changed(&mut alice, new, NOW).unwrap_err(), Stale, "another login that was begun before");
}

/// A login to which nothing is missing but another password; `given_at`: when its second factor was given.
fn owing_a_password(user: &User, policy: Policy, given_at: Option<Timestamp>) -> PasswordChangeDue {
    let attempt = Attempt { demand: demand(policy), ..attempt(user, None) };
    let given = given_at.map(|_| Given::Method);
    PasswordChangeDue { attempt, second_factor_at: given_at, given, along: ALONG }
}

fn another_password() -> StoredPassword {
    StoredPassword { hash: "new".to_owned(), changed_at: NOW, must_change: false }
}

#[test]
fn another_factor_ends_what_was_begun_with_the_one_before() {
    type Step = fn(&Confirmed, &mut User);
    let steps: [(&str, Step); 3] = [
        ("another app", |confirmed, user| {
            let due = another_app(confirmed, user, demand(Policy::Required)).unwrap();
            let shown = due.proved(user, new_factor(), &accepted(), NOW).unwrap();
            assert!(shown.saved(user).is_ok(), "the enrolment itself goes on");
        }),
        ("given up", |confirmed, user| give_up(confirmed, user, demand(Policy::PerUser)).unwrap()),
        ("switched on", |confirmed, user| switch_on(confirmed, user, demand(Policy::PerUser)).unwrap()),
    ];
    for (what, step) in steps {
        let mut alice = user(true, true);
        let begun = owing_a_password(&alice, Policy::PerUser, Some(NOW));
        let session = Session {
            second_factor_at: Some(NOW),
            password_at: Some(NOW),
            ..Session::begun(SessionId::from_bytes([3; 10]), alice.id, alice.epoch, NOW)
        };
        let confirmed = confirmation::judge(&session, &alice, NOW).unwrap();
        step(&confirmed, &mut alice);
        assert_eq!(alice.epoch, session.epoch + 1, "{what}");
        assert_eq!(begun.changed(&mut alice, another_password(), NOW).unwrap_err(), Stale, "{what}");
    }
}

#[test]
fn a_login_without_a_second_factor_sets_no_password_once_one_is_asked_for() {
    let mut alice = user(false, false);
    let begun = owing_a_password(&alice, Policy::PerUser, None);
    alice.second_factor = user(true, true).second_factor;
    assert_eq!(begun.changed(&mut alice, another_password(), NOW).unwrap_err(), Stale);
    let mut bob = user(true, false);
    assert!(owing_a_password(&bob, Policy::PerUser, None).changed(&mut bob, another_password(), NOW).is_ok());
    // One that was given goes on being good, however long the person thinks of a password.
    let given = owing_a_password(&alice, Policy::PerUser, Some(NOW));
    assert!(given.changed(&mut alice, another_password(), NOW.plus(DAY * 2)).is_ok());
}

fn attempt(user: &User, session: Option<SessionId>) -> Attempt {
    Attempt { user: user.id, epoch: user.epoch, demand: demand(Policy::Required), session, confirms: false }
}
