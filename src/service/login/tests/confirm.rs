//! The password and the second factor given again (ASVS 7.5.1).

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn both_are_asked_for_again_after_five_minutes_and_not_before() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut browser = Browser::default();
    let app = browser.enrol(&bench, "alice", true).await;
    bench.advance(5 * MINUTE - Duration::from_secs(1));
    assert_eq!(browser.missing(&bench).await, None);
    bench.advance(Duration::from_secs(1));
    assert_eq!(browser.missing(&bench).await, Some(Missing::Password));
    let before = browser.session();
    let live = bench.live(&before).await.unwrap();
    assert!(matches!(browser.password_again(&bench, PASSWORD).await, Step::SignedIn { device: None, .. }));
    assert!(bench.live(&before).await.is_none(), "the session has a new value");
    let now = bench.live(&browser.session()).await.unwrap();
    assert_eq!(now.id(), live.id(), "and is the same session");
    assert!(!live.ended().is_cancelled(), "what is open stays open");
    assert_eq!(browser.missing(&bench).await, Some(Missing::Code));
    assert!(matches!(browser.code_again(&bench, &app).await, Step::SignedIn { device: Some(_), .. }));
    assert_eq!(browser.missing(&bench).await, None);
    bench.advance(5 * MINUTE);
    assert_eq!(browser.missing(&bench).await, Some(Missing::Password));
}

#[tokio::test]
async fn confirming_leaves_it_as_it_is_whether_the_browser_is_spared_the_code() {
    for remembered in [true, false] {
        let bench = Bench::new(|_| {});
        bench.add("alice").await;
        let mut browser = Browser::default();
        let app = browser.enrol(&bench, "alice", remembered).await;
        bench.advance(6 * MINUTE);
        browser.password_again(&bench, PASSWORD).await;
        assert!(matches!(browser.code_again(&bench, &app).await, Step::SignedIn { .. }));
        let (_, device) = devices(&bench).await.remove(0);
        assert_eq!(device.spares, remembered);
        assert_eq!(device.second_factor_at, bench.now());
    }
}

#[tokio::test]
async fn wrong_passwords_given_again_are_counted_with_those_of_the_login() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut browser = Browser::default();
    browser.enrol(&bench, "alice", true).await;
    bench.advance(6 * MINUTE);
    for _ in 0..5 {
        let step = browser.password_again(&bench, "wrong").await;
        assert!(matches!(step, Step::Refused(Refusal::InvalidCredentials)));
    }
    let step = browser.password_again(&bench, PASSWORD).await;
    assert!(matches!(step, Step::Refused(Refusal::InvalidCredentials)), "the lock holds here too: {step:?}");
    let mut same = Browser { cookies: browser.cookies.clone(), ..Browser::default() };
    same.cookies.session = None;
    assert!(matches!(same.password(&bench, "alice", PASSWORD).await, Step::Refused(Refusal::InvalidCredentials)));
    assert!(bench.passes(&browser.session()).await, "the session itself goes on");
    let told: Vec<_> = events(&bench).await.into_iter().map(|event| event.kind).collect();
    assert_eq!(told.iter().filter(|kind| **kind == Kind::Confirmation).count(), 6);
    assert!(told.contains(&Kind::Lockout));
    bench.advance(15 * MINUTE);
    assert!(matches!(browser.password_again(&bench, PASSWORD).await, Step::SignedIn { .. }));
}

#[tokio::test]
async fn of_passwords_given_again_at_once_one_renews_the_session() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut browser = Browser::default();
    browser.enrol(&bench, "alice", false).await;
    bench.advance(6 * MINUTE);
    let tries = (0..8).map(|_| {
        let (mut browser, bench) = (browser.clone(), &bench);
        async move { matches!(browser.password_again(bench, PASSWORD).await, Step::SignedIn { .. }) }
    });
    let renewed = futures_util::future::join_all(tries).await;
    assert_eq!(renewed.into_iter().filter(|won| *won).count(), 1);
    assert_eq!(bench.services.sessions.list(None, bench.now()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_second_factor_the_password_alone_confirms() {
    let bench = Bench::new(no_second_factor);
    bench.add("alice").await;
    let mut browser = Browser::default();
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
    assert_eq!(browser.missing(&bench).await, None);
    bench.advance(5 * MINUTE);
    assert_eq!(browser.missing(&bench).await, Some(Missing::Password));
    browser.password_again(&bench, PASSWORD).await;
    assert_eq!(browser.missing(&bench).await, None);
}

#[tokio::test]
async fn nobody_confirms_for_a_session_that_is_over() {
    let bench = Bench::new(no_second_factor);
    let alice = bench.add("alice").await.user;
    let mut browser = Browser::default();
    browser.password(&bench, "alice", PASSWORD).await;
    let visit = browser.visit(&bench).await;
    bench.services.sessions.end_all_of(alice.id, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    let login = &bench.services.login;
    let step = login.confirm_password(&visit, None, PASSWORD.into(), "/").await.unwrap();
    assert!(matches!(step, Step::Refused(Refusal::RestartLogin)), "{step:?}");
    assert_eq!(login.missing(&visit, Wish::Anything).await.unwrap(), Some(Missing::Password));
    let step = login.confirm_code(&visit, "/").await.unwrap();
    assert!(matches!(step, Step::Refused(Refusal::RestartLogin)), "{step:?}");
}
