//! Recovery codes (F7, F8).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;

/// Enrols, and keeps the recovery codes.
async fn enrolled(bench: &Bench, browser: &mut Browser) -> (App, Vec<String>) {
    browser.password(bench, "alice", PASSWORD).await;
    let app = browser.offered(bench).await;
    assert!(matches!(browser.confirm(bench, &app.code(bench.now()), false).await, Step::RecoveryCodes { .. }));
    let codes = browser.recovery_codes(bench).await;
    assert!(matches!(browser.saved(bench).await, Step::SignedIn { welcome: false, .. }));
    (app, codes)
}

/// A browser that has given the password.
async fn before_the_code(bench: &Bench) -> Browser {
    let mut browser = Browser::default();
    assert!(matches!(browser.password(bench, "alice", PASSWORD).await, Step::Code { .. }));
    browser
}

fn is_wrong(step: &Step) -> bool {
    matches!(step, Step::Refused(Refusal::WrongRecoveryCode))
}

async fn welcome(bench: &Bench, browser: &Browser) -> Option<Welcome> {
    let visit = browser.visit(bench).await;
    bench.services.login.welcome(&visit).await.unwrap()
}

#[tokio::test]
async fn ten_codes_of_eight_digits_are_shown_until_they_are_saved() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut browser = Browser::default();
    browser.password(&bench, "alice", PASSWORD).await;
    let app = browser.offered(&bench).await;
    assert!(browser.recovery_codes(&bench).await.is_empty(), "before the app is proved there are none");
    let step = browser.confirm(&bench, &app.code(bench.now()), true).await;
    assert!(matches!(step, Step::RecoveryCodes { .. }));
    assert!(browser.cookies.session.is_none(), "nobody is signed in yet");
    assert_eq!(browser.view(&bench).await.unwrap().stage, Stage::RecoveryCodesShown);
    let codes = browser.recovery_codes(&bench).await;
    assert_eq!(codes, browser.recovery_codes(&bench).await, "a reload shows the same");
    let distinct: BTreeSet<_> = codes.iter().collect();
    assert_eq!(distinct.len(), 10);
    assert!(codes.iter().all(|code| code.len() == 8 && code.bytes().all(|byte| byte.is_ascii_digit())));
    let before = browser.clone();
    assert!(matches!(browser.saved(&bench).await, Step::SignedIn { welcome: false, device: Some(_), .. }));
    assert!(bench.passes(&browser.session()).await);
    assert!(before.recovery_codes(&bench).await.is_empty(), "once saved, never again");
    assert!(matches!(before.clone().saved(&bench).await, Step::Refused(Refusal::RestartLogin)));
    // The tick box of the enrolment page was kept over the codes' page.
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
}

#[tokio::test]
async fn codes_can_be_read_for_ten_minutes_and_are_nowhere_in_the_store() {
    let bench = Bench::new(|config| config.second_factor.recovery_codes.count = 4);
    bench.add("alice").await;
    let mut browser = Browser::default();
    browser.password(&bench, "alice", PASSWORD).await;
    let app = browser.offered(&bench).await;
    bench.advance(Duration::from_secs(14 * 60));
    browser.confirm(&bench, &app.code(bench.now()), false).await;
    bench.advance(Duration::from_secs(10 * 60) - Duration::from_millis(1));
    let codes = browser.recovery_codes(&bench).await;
    assert_eq!(codes.len(), 4);
    let flow = browser.cookies.flow.as_ref().unwrap().digest().to_string();
    let flow = bench.store.get::<states::Flow>(&flow, bench.now()).await.unwrap().record.unwrap();
    let user = bench.services.users.show("alice", bench.now()).await.unwrap().unwrap().user;
    let stored = serde_json::to_string(&flow).unwrap() + &serde_json::to_string(&user).unwrap();
    let told = format!("{flow:?} {user:?} {:?}", events(&bench).await);
    assert!(codes.iter().all(|code| !stored.contains(code) && !told.contains(code)));
    bench.advance(Duration::from_millis(1));
    assert!(browser.recovery_codes(&bench).await.is_empty());
    // The app is enrolled all the same.
    let mut browser = before_the_code(&bench).await;
    assert!(matches!(browser.code(&bench, &app.code(bench.now()), false).await, Step::SignedIn { .. }));
}

#[tokio::test]
async fn whoever_never_said_that_the_codes_are_saved_is_told_at_every_login() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut browser = Browser::default();
    browser.password(&bench, "alice", PASSWORD).await;
    let app = browser.offered(&bench).await;
    browser.confirm(&bench, &app.code(bench.now()), false).await;
    let codes = browser.recovery_codes(&bench).await;
    for _ in 0..2 {
        bench.advance(Duration::from_secs(11 * 60));
        let mut browser = before_the_code(&bench).await;
        let step = browser.code(&bench, &app.code(bench.now()), false).await;
        assert!(matches!(step, Step::SignedIn { welcome: true, .. }), "{step:?}");
        let told = welcome(&bench, &browser).await.unwrap();
        assert!(told.recovery_unsaved && !told.by_recovery_code && told.recovery_left.is_none());
    }
    // A recovery code leads to a new app, whose codes are saved.
    let mut browser = before_the_code(&bench).await;
    assert!(matches!(browser.recovery(&bench, &codes[0], false).await, Step::SignedIn { .. }));
    assert!(welcome(&bench, &browser).await.unwrap().recovery_unsaved);
    let visit = browser.visit(&bench).await;
    let Step::Enrol { flow } = bench.services.enrolment.again(&visit, "/").await.unwrap() else {
        panic!("no enrolment")
    };
    browser.cookies.flow = Some(flow);
    let app = browser.offered(&bench).await;
    browser.confirm(&bench, &app.code(bench.now()), false).await;
    assert!(matches!(browser.saved(&bench).await, Step::SignedIn { welcome: false, .. }));
    assert_eq!(welcome(&bench, &browser).await, None);
}

#[tokio::test]
async fn a_used_recovery_code_is_refused_and_the_login_is_marked() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut first = Browser::default();
    let (app, codes) = enrolled(&bench, &mut first).await;
    let mut browser = before_the_code(&bench).await;
    assert!(browser.view(&bench).await.unwrap().recovery_codes, "another way is offered");
    // Typed as people type.
    let (start, end) = codes[3].split_at(4);
    let typed = format!(" {start}-{end} ");
    let step = browser.recovery(&bench, &typed, true).await;
    assert!(matches!(step, Step::SignedIn { welcome: true, device: Some(_), .. }), "{step:?}");
    let told = welcome(&bench, &browser).await.unwrap();
    let nothing =
        Welcome { recovery_left: None, recovery_unsaved: false, by_recovery_code: false, new_app_possible: false };
    assert_eq!(told, Welcome { by_recovery_code: true, new_app_possible: true, ..nothing });
    assert_eq!(bench.live(&browser.session()).await.unwrap().second_factor_at(), Some(bench.now()));
    let mut again = before_the_code(&bench).await;
    assert!(is_wrong(&again.recovery(&bench, &codes[3], false).await));
    assert!(is_wrong(&again.recovery(&bench, "12345", false).await));
    assert!(matches!(again.recovery(&bench, &codes[4], false).await, Step::SignedIn { .. }));
    // With the app, a login is an ordinary one.
    bench.advance(STEP);
    let mut ordinary = before_the_code(&bench).await;
    let step = ordinary.code(&bench, &app.code(bench.now()), false).await;
    assert!(matches!(step, Step::SignedIn { welcome: false, .. }));
    assert_eq!(welcome(&bench, &ordinary).await, None);
}

#[tokio::test]
async fn few_codes_are_warned_of_from_the_low_water_mark_on() {
    let bench = Bench::new(|config| {
        config.second_factor.recovery_codes.count = 4;
        config.second_factor.recovery_codes.low_water = 2;
    });
    bench.add("alice").await;
    let mut first = Browser::default();
    let (app, codes) = enrolled(&bench, &mut first).await;
    assert_eq!(welcome(&bench, &first).await, None);
    for (code, left) in codes.iter().zip([None, Some(2), Some(1), Some(0)]) {
        let mut browser = before_the_code(&bench).await;
        browser.recovery(&bench, code, false).await;
        assert_eq!(welcome(&bench, &browser).await.unwrap().recovery_left, left);
    }
    bench.advance(STEP);
    let mut browser = before_the_code(&bench).await;
    assert!(!browser.view(&bench).await.unwrap().recovery_codes, "there is no other way any more");
    let step = browser.code(&bench, &app.code(bench.now()), false).await;
    assert!(matches!(step, Step::SignedIn { welcome: true, .. }), "the warning comes at an ordinary login too");
    let told = welcome(&bench, &browser).await.unwrap();
    assert_eq!(told.recovery_left, Some(0));
    assert!(!told.recovery_unsaved && !told.by_recovery_code && !told.new_app_possible);
}

#[tokio::test]
async fn every_try_costs_one_hash_whether_there_are_codes_or_not() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    enrolled(&bench, &mut Browser::default()).await;
    for _ in 0..2 {
        let mut browser = before_the_code(&bench).await;
        for typed in ["00000000", "", "no code", "1"] {
            let before = bench.hashes();
            assert!(is_wrong(&browser.recovery(&bench, typed, false).await), "{typed}");
            assert_eq!(bench.hashes() - before, 1, "{typed}");
        }
        // And in the second round, an account that has none.
        let name = bench.services.users.show("alice", bench.now()).await.unwrap().unwrap().user.id.to_string();
        let slot = bench.store.get::<crate::authn::user::User>(&name, bench.now()).await.unwrap();
        let mut user = slot.record.unwrap();
        user.second_factor.recovery = None;
        bench.store.commit(crate::store::record::Change::new().put(&name, &user)).await.unwrap();
    }
}

#[tokio::test]
async fn wrong_ones_use_up_the_flow_and_count_towards_the_row() {
    let bench = Bench::new(|config| config.lockout.max_in_row = 12);
    bench.add("alice").await;
    let (app, codes) = enrolled(&bench, &mut Browser::default()).await;
    bench.advance(STEP);
    let mut browser = before_the_code(&bench).await;
    for _ in 0..9 {
        assert!(is_wrong(&browser.recovery(&bench, "00000000", false).await));
    }
    // The app's wrong codes and the recovery codes' are one count.
    let too_many = |step| matches!(step, Step::Refused(Refusal::TooManyAttempts { .. }));
    assert!(too_many(browser.code(&bench, &wrong(&app, &bench), false).await));
    assert!(too_many(browser.recovery(&bench, &codes[0], false).await));
    let mut browser = before_the_code(&bench).await;
    for _ in 0..2 {
        assert!(is_wrong(&browser.recovery(&bench, "00000000", false).await));
    }
    assert!(matches!(browser.recovery(&bench, &codes[0], false).await, Step::Refused(Refusal::Locked)));
}

#[tokio::test]
async fn of_fifty_posts_of_one_recovery_code_one_signs_in() {
    let bench = Arc::new(Bench::new(|config| config.lockout.max_in_row = 100));
    bench.add("alice").await;
    let (_, codes) = enrolled(&bench, &mut Browser::default()).await;
    for (round, code) in codes.iter().enumerate().take(3) {
        let mut browsers = Vec::new();
        for _ in 0..10 {
            browsers.extend(vec![before_the_code(&bench).await; 5]);
        }
        let posts = browsers.into_iter().map(|mut browser| {
            let (bench, code) = (Arc::clone(&bench), code.clone());
            tokio::spawn(async move { browser.recovery(&bench, &code, false).await })
        });
        let steps = futures_util::future::join_all(posts).await;
        let winners = steps.iter().filter(|step| matches!(step.as_ref().unwrap(), Step::SignedIn { .. })).count();
        assert_eq!(winners, 1, "round {round}");
        bench.services.users.unlock("alice", &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_lost_app_is_replaced_on_the_strength_of_a_recovery_code() {
    let (bench, mut mailbox) = Bench::with_mail(|_| {}).await;
    bench.add_with_mail("alice", Method::Totp).await;
    let english = |browser: &mut Browser| browser.cookies.language = Some("en");
    let mut elsewhere = Browser::default();
    english(&mut elsewhere);
    let (old_app, codes) = enrolled(&bench, &mut elsewhere).await;
    assert!(mailbox.letter().await.contains("An authenticator app was set up"));
    assert!(mailbox.is_empty(), "no second mail about the same browser");
    let again = |browser: Browser| {
        let bench = &bench;
        async move {
            let visit = browser.visit(bench).await;
            bench.services.enrolment.again(&visit, "/orders?id=7").await.unwrap()
        }
    };
    assert!(matches!(again(elsewhere.clone()).await, Step::Refused(Refusal::RestartLogin)), "an ordinary session");
    assert!(matches!(again(Browser::default()).await, Step::Refused(Refusal::RestartLogin)), "nobody");
    let mut browser = before_the_code(&bench).await;
    english(&mut browser);
    browser.recovery(&bench, &codes[0], false).await;
    assert!(mailbox.letter().await.contains("A new device has signed in"));
    let before = browser.session();
    let Step::Enrol { flow } = again(browser.clone()).await else { panic!("no enrolment") };
    browser.cookies.flow = Some(flow);
    // Whoever changes their mind goes on as before.
    let visit = browser.visit(&bench).await;
    let offer = bench.services.enrolment.offer(&visit, visit.cookies.flow.as_ref().unwrap()).await.unwrap().unwrap();
    assert!(offer.optional);
    let step = bench.services.enrolment.cancel(&visit, None, visit.cookies.flow.as_ref().unwrap()).await.unwrap();
    assert!(matches!(step, Step::SignedIn { session, return_to, .. }
        if session.digest() == before.digest() && return_to == "/orders?id=7"));
    assert!(bench.passes(&before).await);

    let Step::Enrol { flow } = again(browser.clone()).await else { panic!("no enrolment") };
    browser.cookies.flow = Some(flow);
    let app = browser.offered(&bench).await;
    assert!(matches!(browser.confirm(&bench, &app.code(bench.now()), false).await, Step::RecoveryCodes { .. }));
    assert!(mailbox.letter().await.contains("An authenticator app was set up"));
    assert!(bench.live(&elsewhere.session()).await.is_none(), "other sessions end");
    let new_codes = browser.recovery_codes(&bench).await;
    let step = browser.saved(&bench).await;
    assert!(
        matches!(&step, Step::SignedIn { welcome: false, return_to, .. } if return_to == "/orders?id=7"),
        "back to where the person wanted to go: {step:?}"
    );
    assert!(!bench.passes(&before).await, "the session has a new value");
    assert!(matches!(again(browser.clone()).await, Step::Refused(_)), "once is enough");
    bench.advance(STEP);
    let mut browser = before_the_code(&bench).await;
    assert!(is_wrong(&browser.recovery(&bench, &codes[1], false).await), "the old set is void");
    assert!(matches!(browser.code(&bench, &old_app.code(bench.now()), false).await, Step::Refused(_)));
    assert!(matches!(browser.recovery(&bench, &new_codes[1], false).await, Step::SignedIn { .. }));
}

#[tokio::test]
async fn a_reset_switching_off_and_another_method_void_the_codes() {
    let (bench, _mailbox) = Bench::with_mail(|_| {}).await;
    let changes = [
        None,
        Some(UserChange { second_factor: Some(false), ..UserChange::default() }),
        Some(UserChange { method: Some(Method::Mail), ..UserChange::default() }),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let login = ["alice", "bob", "carol"][n];
        bench.add_with_mail(login, Method::Totp).await;
        let mut browser = Browser::default();
        browser.enrol(&bench, login, false).await;
        let users = &bench.services.users;
        let view = users.show(login, bench.now()).await.unwrap().unwrap();
        assert_eq!(view.user.second_factor.recovery.unwrap().left(), 10);
        let view = match change {
            None => users.reset_second_factor(login, &Actor::CommandLine, bench.now()).await,
            Some(change) => users.set(login, change, &Actor::CommandLine, bench.now()).await,
        };
        let user = view.unwrap().unwrap().user;
        assert!(user.second_factor.recovery.is_none() && user.second_factor.totp.is_none(), "{login}");
        assert!(!bench.passes(&browser.session()).await, "{login}");
    }
}
