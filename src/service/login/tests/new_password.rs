//! The password that a login asks for before it lets anybody in (F22).

use super::*;
use crate::authz::SecondFactorDemand;
use crate::service::testing::new_user;
use crate::service::users::NewUser;

const NEW: &str = "Quiet-river-22";

/// Alice has enrolled an app; her password must be changed from now on.
async fn marked(bench: &Bench) -> (Browser, App) {
    bench.add("alice").await;
    let mut browser = Browser::default();
    let app = browser.enrol(bench, "alice", true).await;
    mark(bench).await;
    (browser, app)
}

async fn mark(bench: &Bench) {
    let change = UserChange { must_change: Some(true), ..UserChange::default() };
    bench.services.users.set("alice", change, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
}

async fn code(browser: &mut Browser, bench: &Bench, app: &App) -> Step {
    bench.advance(Duration::from_secs(30));
    browser.code(bench, &app.code(bench.now()), false).await
}

#[tokio::test]
async fn f22_a_marked_password_is_changed_behind_the_code_and_before_the_session() {
    let bench = Bench::new(|_| {});
    let (old, app) = marked(&bench).await;
    assert!(bench.passes(&old.session()).await, "the mark is for the next login");
    let mut browser = Browser::default();
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::Code { .. }));
    let Ok(Step::Code { .. }) = browser.change_password(&bench, NEW).await else { panic!("before the code") };
    assert!(matches!(code(&mut browser, &bench, &app).await, Step::ChangePassword { .. }));
    assert!(browser.cookies.session.is_none());
    assert_eq!(browser.view(&bench).await.unwrap().stage, Stage::PasswordChangeDue);
    for (password, weakness) in [
        ("short", Weakness::TooShort(10)),
        ("Password123!", Weakness::Leaked),
        ("x-ALICE-x-99", Weakness::Personal),
        (PASSWORD, Weakness::Unchanged),
    ] {
        assert_eq!(browser.change_password(&bench, password).await.unwrap_err(), weakness);
    }
    let step = browser.change_password(&bench, NEW).await.unwrap();
    assert!(
        matches!(&step, Step::SignedIn { device: Some(_), return_to, .. } if return_to == "/orders?id=7"),
        "{step:?}"
    );
    assert!(bench.passes(&browser.session()).await);
    assert!(!bench.passes(&old.session()).await, "other sessions end");
    let mut again = Browser::default();
    assert!(matches!(again.password(&bench, "alice", PASSWORD).await, Step::Refused(Refusal::InvalidCredentials)));
    assert!(matches!(again.password(&bench, "alice", NEW).await, Step::Code { .. }));
    assert!(matches!(code(&mut again, &bench, &app).await, Step::SignedIn { .. }), "and it is asked for once");
}

#[tokio::test]
async fn f22_a_password_older_than_max_age_must_be_changed_and_a_new_one_has_its_whole_time() {
    let bench = Bench::new(|config| {
        config.password.max_age = Some(DAY * 90);
        config.second_factor.demand.policy = crate::authz::Policy::Off;
    });
    bench.add("alice").await;
    bench.advance(DAY * 90 - Duration::from_secs(1));
    let mut browser = Browser::default();
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
    bench.advance(Duration::from_secs(1));
    assert!(bench.passes(&browser.session()).await, "a session goes on");
    let mut browser = Browser::default();
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::ChangePassword { .. }));
    assert!(matches!(browser.change_password(&bench, NEW).await, Ok(Step::SignedIn { .. })));
    bench.advance(DAY * 89);
    assert!(matches!(browser.password(&bench, "alice", NEW).await, Step::SignedIn { .. }));
}

#[tokio::test]
async fn f22_a_route_that_asks_for_no_code_leads_to_no_new_password_without_one() {
    let bench = Bench::new(|_| {});
    let (_, app) = marked(&bench).await;
    let mut browser = Browser::default();
    let off = Destination {
        demand: SecondFactorDemand { policy: Policy::Off, ..bench.destination().demand },
        ..bench.destination()
    };
    assert!(matches!(browser.password_to(&bench, "alice", PASSWORD, off.clone()).await, Step::Code { .. }));
    assert!(matches!(code(&mut browser, &bench, &app).await, Step::ChangePassword { .. }));
    assert!(matches!(browser.change_password(&bench, NEW).await, Ok(Step::SignedIn { .. })));
    let mut again = Browser::default();
    let step = again.password_to(&bench, "alice", NEW, off).await;
    assert!(matches!(step, Step::SignedIn { .. }), "with a password that is good the route has its way: {step:?}");
}

#[tokio::test]
async fn f22_a_spared_browser_keeps_its_key_and_no_other_one_does() {
    let bench = Bench::new(|_| {});
    let (mut browser, app) = marked(&bench).await;
    let mut other = Browser::default();
    other.password(&bench, "alice", PASSWORD).await;
    bench.advance(Duration::from_secs(30));
    assert!(matches!(other.code(&bench, &app.code(bench.now()), true).await, Step::ChangePassword { .. }));
    assert!(
        matches!(browser.password(&bench, "alice", PASSWORD).await, Step::ChangePassword { .. }),
        "spared the code"
    );
    assert!(matches!(browser.change_password(&bench, NEW).await, Ok(Step::SignedIn { .. })));
    let late = other.change_password(&bench, "Quiet-river-33").await;
    assert!(!matches!(late, Ok(Step::SignedIn { .. })), "a login begun with the old password: {late:?}");
    assert!(matches!(browser.password(&bench, "alice", NEW).await, Step::SignedIn { .. }), "its key is still good");
    assert!(matches!(other.password(&bench, "alice", NEW).await, Step::Code { .. }));
}

#[tokio::test]
async fn f22_a_new_account_enrols_saves_its_codes_and_then_changes_its_password() {
    let bench = Bench::new(|_| {});
    let new = NewUser { password: Some(PASSWORD.into()), must_change: true, ..new_user("alice") };
    bench.services.users.add(new, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    let mut browser = Browser::default();
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::Enrol { .. }));
    let app = browser.offered(&bench).await;
    assert!(matches!(browser.confirm(&bench, &app.code(bench.now()), true).await, Step::RecoveryCodes { .. }));
    assert!(matches!(browser.saved(&bench).await, Step::ChangePassword { .. }));
    assert!(matches!(browser.change_password(&bench, NEW).await, Ok(Step::SignedIn { device: Some(_), .. })));
    // Its wish to be spared the code came along.
    assert!(matches!(browser.password(&bench, "alice", NEW).await, Step::SignedIn { .. }));
}

#[tokio::test]
async fn f22_the_owner_is_told_of_a_new_password_by_mail_and_the_log_keeps_it() {
    let (bench, mut mailbox) = Bench::with_mail(|config| {
        config.second_factor.demand.policy = crate::authz::Policy::Off;
    })
    .await;
    bench.add_with_mail("alice", Method::Totp).await;
    mark(&bench).await;
    let mut browser = Browser::default();
    browser.password(&bench, "alice", PASSWORD).await;
    assert!(matches!(browser.change_password(&bench, NEW).await, Ok(Step::SignedIn { .. })));
    let letter = mailbox.letter().await;
    assert!(letter.contains("alice@example.com") && !letter.contains(NEW), "{letter}");
}
