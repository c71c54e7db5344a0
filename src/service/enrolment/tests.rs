use super::*;
use crate::authz::Policy;
use crate::secret::ExposeSecret;
use crate::service::actor::Actor;
use crate::service::testing::{Bench, Browser as Person, PASSWORD};

async fn offer(bench: &Bench, person: &Person) -> Option<Offer> {
    let visit = person.visit(bench).await;
    bench.services.enrolment.offer(&visit, person.cookies.flow.as_ref().unwrap()).await.unwrap()
}

async fn cancel(bench: &Bench, person: &Person) -> Step {
    let visit = person.visit(bench).await;
    let flow = person.cookies.flow.as_ref().unwrap();
    bench.services.enrolment.cancel(&visit, None, flow).await.unwrap()
}

async fn enrolled(bench: &Bench) -> bool {
    bench.services.users.show("alice", bench.now()).await.unwrap().unwrap().user.second_factor.totp.is_some()
}

#[tokio::test]
async fn the_key_on_offer_stays_at_a_reload_is_new_each_time_and_is_never_shown_again() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut person = Person::default();
    person.password(&bench, "alice", PASSWORD).await;
    let first = offer(&bench, &person).await.unwrap();
    let again = offer(&bench, &person).await.unwrap();
    assert_eq!(first.key.expose_secret(), again.key.expose_secret());
    assert_eq!(first.key.expose_secret().replace(' ', "").len(), 32, "160 bits");
    assert_eq!((first.account.as_str(), first.optional), ("alice", false));
    let flow_of_the_first = person.clone();
    person.password(&bench, "alice", PASSWORD).await;
    let other = offer(&bench, &person).await.unwrap();
    assert_ne!(first.key.expose_secret(), other.key.expose_secret());
    let app = person.offered(&bench).await;
    assert!(!enrolled(&bench).await, "before a right code nothing is enrolled");
    assert!(matches!(person.confirm(&bench, &app.code(bench.now()), false).await, Step::RecoveryCodes { .. }));
    assert!(offer(&bench, &flow_of_the_first).await.is_none());
}

#[tokio::test]
async fn many_first_looks_at_once_show_one_key() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut person = Person::default();
    person.password(&bench, "alice", PASSWORD).await;
    let offers = futures_util::future::join_all((0..10).map(|_| offer(&bench, &person))).await;
    let keys: std::collections::BTreeSet<_> =
        offers.iter().map(|offer| offer.as_ref().unwrap().key.expose_secret().to_owned()).collect();
    assert_eq!(keys.len(), 1);
}

#[tokio::test]
async fn the_first_app_that_is_proved_stays() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let (mut first, mut second) = (Person::default(), Person::default());
    first.password(&bench, "alice", PASSWORD).await;
    second.password(&bench, "alice", PASSWORD).await;
    let (app, other) = (first.offered(&bench).await, second.offered(&bench).await);
    assert!(matches!(first.confirm(&bench, &app.code(bench.now()), false).await, Step::RecoveryCodes { .. }));
    let step = second.confirm(&bench, &other.code(bench.now()), false).await;
    assert!(matches!(step, Step::Refused(Refusal::RestartLogin)));
}

#[tokio::test]
async fn a_wrong_first_code_enrols_nothing_and_ten_are_enough() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut person = Person::default();
    person.password(&bench, "alice", PASSWORD).await;
    let step = person.confirm(&bench, "123456", false).await;
    assert!(matches!(step, Step::Enrol { .. }), "no key was shown yet");
    let app = person.offered(&bench).await;
    for _ in 0..10 {
        assert!(matches!(person.confirm(&bench, "", false).await, Step::Refused(_)));
    }
    let step = person.confirm(&bench, &app.code(bench.now()), false).await;
    assert!(matches!(step, Step::Refused(Refusal::TooManyAttempts { .. })));
    assert!(!enrolled(&bench).await);
}

#[tokio::test]
async fn a_cancelled_enrolment_ends_the_login_where_it_is_required() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut person = Person::default();
    person.password(&bench, "alice", PASSWORD).await;
    offer(&bench, &person).await.unwrap();
    assert!(matches!(cancel(&bench, &person).await, Step::Refused(Refusal::RestartLogin)));
    assert!(offer(&bench, &person).await.is_none(), "the flow is over");
    assert!(!enrolled(&bench).await);
    // The account is not broken: the next login offers anew.
    assert!(matches!(person.password(&bench, "alice", PASSWORD).await, Step::Enrol { .. }));
}

#[tokio::test]
async fn an_account_that_a_manager_switched_on_cannot_cancel_its_way_in() {
    let bench = Bench::new(|config| config.second_factor.demand.policy = Policy::PerUser);
    bench.add("alice").await;
    let mut person = Person::default();
    assert!(matches!(person.password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
    let change = crate::service::users::UserChange { second_factor: Some(true), ..Default::default() };
    bench.services.users.set("alice", change, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    assert!(matches!(person.password(&bench, "alice", PASSWORD).await, Step::Enrol { .. }));
    assert!(!offer(&bench, &person).await.unwrap().optional);
    assert!(matches!(cancel(&bench, &person).await, Step::Refused(Refusal::RestartLogin)));
}

#[tokio::test]
async fn an_enrolled_key_is_sealed_for_its_account() {
    let bench = Bench::new(|_| {});
    let (alice, bob) = (bench.add("alice").await.user, bench.add("bob").await.user);
    Person::default().enrol(&bench, "alice", false).await;
    let view = bench.services.users.show("alice", bench.now()).await.unwrap().unwrap();
    let key = view.user.second_factor.totp.unwrap().key;
    let keys = &bench.services.config.load().keys;
    assert_eq!(keys.open(Purpose::TotpKey, &alice.id.to_string(), &key).unwrap().len(), KEY_BYTES);
    assert!(keys.open(Purpose::TotpKey, &bob.id.to_string(), &key).is_err());
}
