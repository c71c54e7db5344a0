//! Another password for somebody signed in, who wishes it (F29).

use super::*;
use crate::authn::password::Weakness;

const NEW: &str = "Quiet-river-22";

async fn alice(bench: &Bench) -> (Browser, App) {
    bench.add("alice").await;
    let mut browser = Browser::default();
    let app = browser.enrol(bench, "alice", true).await;
    (browser, app)
}

#[tokio::test]
async fn it_ends_everything_of_the_account_but_this_session_and_this_browsers_key() {
    let bench = Bench::new(|_| {});
    let (mut browser, app) = alice(&bench).await;
    let mut other = Browser::default();
    other.password(&bench, "alice", PASSWORD).await;
    bench.advance(STEP);
    assert!(matches!(other.code(&bench, &app.code(bench.now()), true).await, Step::SignedIn { .. }));
    let mut begun = Browser::default();
    begun.password(&bench, "alice", PASSWORD).await;

    let before = browser.session();
    assert!(matches!(browser.own_password(&bench, PASSWORD, NEW).await, Ok(Step::SignedIn { device: None, .. })));
    assert_ne!(before.digest(), browser.session().digest(), "a new value");
    assert!(!bench.passes(&before).await);
    assert!(bench.passes(&browser.session()).await);
    assert!(!bench.passes(&other.session()).await);
    bench.advance(STEP);
    let late = begun.code(&bench, &app.code(bench.now()), false).await;
    assert!(matches!(late, Step::Refused(_)), "a login begun with the old password: {late:?}");
    assert!(
        matches!(browser.password(&bench, "alice", NEW).await, Step::SignedIn { .. }),
        "its key still spares the code"
    );
    assert!(matches!(other.password(&bench, "alice", NEW).await, Step::Code { .. }));
    assert!(matches!(other.password(&bench, "alice", PASSWORD).await, Step::Refused(Refusal::InvalidCredentials)));
}

#[tokio::test]
async fn nothing_is_said_of_the_new_password_before_the_current_one_was_right() {
    let bench = Bench::new(|_| {});
    let (mut browser, _) = alice(&bench).await;
    for new in [NEW, "short", PASSWORD, "Password123!"] {
        let refused = browser.own_password(&bench, "wrong", new).await;
        assert!(matches!(refused, Ok(Step::Refused(Refusal::InvalidCredentials))), "{new}: {refused:?}");
    }
    let rows = [(PASSWORD, Weakness::Unchanged), ("short", Weakness::TooShort(10)), ("Password123!", Weakness::Leaked)];
    for (new, weakness) in rows {
        assert_eq!(browser.own_password(&bench, PASSWORD, new).await.unwrap_err(), weakness);
    }
    assert!(matches!(browser.own_password(&bench, PASSWORD, NEW).await, Ok(Step::SignedIn { .. })));
}

#[tokio::test]
async fn wrong_ones_lock_as_at_the_login_and_during_a_lock_a_right_one_is_a_wrong_one() {
    let bench = Bench::new(|_| {});
    let (mut browser, app) = alice(&bench).await;
    for _ in 0..5 {
        browser.own_password(&bench, "wrong", NEW).await.unwrap();
    }
    let hashes = bench.hashes();
    let locked = browser.own_password(&bench, PASSWORD, NEW).await;
    assert!(matches!(locked, Ok(Step::Refused(Refusal::InvalidCredentials))), "{locked:?}");
    let right = bench.hashes() - hashes;
    browser.own_password(&bench, "wrong", NEW).await.unwrap();
    assert_eq!(bench.hashes() - hashes - right, right, "and costs the same");
    assert!(
        matches!(browser.password(&bench, "alice", PASSWORD).await, Step::Refused(_)),
        "the login is locked as well"
    );
    bench.advance(Duration::from_secs(15 * 60));
    browser.code_again(&bench, &app).await;
    assert!(matches!(browser.own_password(&bench, PASSWORD, NEW).await, Ok(Step::SignedIn { .. })));
    let kinds: Vec<_> = events(&bench).await.into_iter().map(|event| (event.kind, event.result)).collect();
    assert!(kinds.contains(&(Kind::PasswordChanged, crate::audit::Result::Failure)));
    assert!(kinds.contains(&(Kind::PasswordChanged, crate::audit::Result::Success)));
}

#[tokio::test]
async fn the_second_factor_is_asked_for_again_after_five_minutes() {
    let bench = Bench::new(|_| {});
    let (mut browser, app) = alice(&bench).await;
    bench.advance(Duration::from_secs(5 * 60));
    let hashes = bench.hashes();
    for password in [PASSWORD, "wrong"] {
        let refused = browser.own_password(&bench, password, NEW).await;
        assert!(matches!(refused, Ok(Step::Refused(Refusal::RestartLogin))), "{refused:?}");
    }
    assert_eq!(bench.hashes(), hashes, "no password is judged before it");
    browser.code_again(&bench, &app).await;
    assert!(matches!(browser.own_password(&bench, PASSWORD, NEW).await, Ok(Step::SignedIn { .. })));
}

#[tokio::test]
async fn of_two_at_once_one_changes_it() {
    let bench = Bench::new(|_| {});
    let (browser, _) = alice(&bench).await;
    let (mut one, mut two) = (browser.clone(), browser);
    let both = tokio::join!(
        one.own_password(&bench, PASSWORD, "Quiet-river-33"),
        two.own_password(&bench, PASSWORD, "Quiet-river-44")
    );
    let won = [both.0, both.1].iter().filter(|step| matches!(step, Ok(Step::SignedIn { .. }))).count();
    assert_eq!(won, 1);
}
