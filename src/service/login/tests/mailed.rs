//! Codes by mail (F2, F9, F10, F14).

use std::sync::Arc;

use super::*;
use crate::service::testing::Mailbox;

/// A gateway with a mail server, and alice, who gets her codes by mail.
async fn bench(change: impl FnOnce(&mut Config)) -> (Bench, Mailbox) {
    let (bench, mailbox) = Bench::with_mail(change).await;
    bench.add_with_mail("alice", Method::Mail).await;
    (bench, mailbox)
}

/// A browser that reads English.
fn browser() -> Browser {
    let mut browser = Browser::default();
    browser.cookies.language = Some("en");
    browser
}

async fn before_the_code(bench: &Bench, mailbox: &mut Mailbox) -> (Browser, String) {
    let mut browser = browser();
    assert!(matches!(browser.password(bench, "alice", PASSWORD).await, Step::Code { .. }));
    (browser, mailbox.code().await)
}

/// A code that is not this one.
fn other(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000)
}

async fn delivered(bench: &Bench, browser: &Browser) -> MailView {
    loop {
        let mail = browser.view(bench).await.unwrap().mail.unwrap();
        if mail.delivery != Some(Delivery::Waiting) {
            return mail;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_code_comes_with_the_page_and_signs_in_once() {
    let (bench, mut mailbox) = bench(|_| {}).await;
    let (mut browser, code) = before_the_code(&bench, &mut mailbox).await;
    let mail = delivered(&bench, &browser).await;
    assert_eq!((mail.address.as_str(), mail.delivery), ("a••@example.com", Some(Delivery::Delivered)));
    assert_eq!((mail.lifetime, mail.resend_wait), (Duration::from_secs(1800), Duration::from_secs(30)));
    let view = browser.view(&bench).await.unwrap();
    assert_eq!((view.method, view.recovery_codes), (Method::Mail, false));
    let spent = browser.clone();
    let step = browser.code(&bench, &code, false).await;
    assert!(matches!(step, Step::SignedIn { device: Some(_), .. }), "{step:?}");
    assert!(mailbox.letter().await.contains("A new device has signed in"));
    assert!(matches!(spent.clone().code(&bench, &code, false).await, Step::Refused(Refusal::RestartLogin)));
}

#[tokio::test]
async fn a_code_is_good_in_its_own_login_alone() {
    let (bench, mut mailbox) = bench(|_| {}).await;
    bench.add_with_mail("bob", Method::Mail).await;
    let (mut one, code_of_one) = before_the_code(&bench, &mut mailbox).await;
    bench.advance(STEP);
    let (mut two, _) = before_the_code(&bench, &mut mailbox).await;
    let mut bob = browser();
    bob.password(&bench, "bob", PASSWORD).await;
    for other in [&mut two, &mut bob] {
        let step = other.code(&bench, &code_of_one, false).await;
        assert!(matches!(step, Step::Refused(Refusal::WrongCode { clock_hint: false })), "{step:?}");
    }
    assert!(matches!(one.code(&bench, &code_of_one, false).await, Step::SignedIn { .. }));
}

#[tokio::test]
async fn another_code_can_be_sent_after_a_while_and_voids_the_one_before() {
    let (bench, mut mailbox) = bench(|_| {}).await;
    let (mut browser, old) = before_the_code(&bench, &mut mailbox).await;
    bench.advance(Duration::from_secs(29));
    let step = browser.resend(&bench).await;
    let second = Duration::from_secs(1);
    assert!(matches!(step, Step::Refused(Refusal::TooManyAttempts { retry_after }) if retry_after == second));
    bench.advance(second);
    assert!(matches!(browser.resend(&bench).await, Step::Code { .. }));
    let new = mailbox.code().await;
    assert!(mailbox.is_empty(), "one mail each");
    assert!(old == new || matches!(browser.code(&bench, &old, false).await, Step::Refused(_)));
    assert!(matches!(browser.resend(&bench).await, Step::Refused(Refusal::TooManyAttempts { .. })));
    assert!(matches!(browser.code(&bench, &new, false).await, Step::SignedIn { .. }));
}

#[tokio::test]
async fn an_expired_code_says_so_and_another_one_can_be_sent() {
    let (bench, mut mailbox) = bench(|_| {}).await;
    let (mut browser, code) = before_the_code(&bench, &mut mailbox).await;
    bench.advance(Duration::from_secs(1800) - Duration::from_millis(1));
    assert!(matches!(
        browser.clone().code(&bench, &other(&code), false).await,
        Step::Refused(Refusal::WrongCode { .. })
    ));
    bench.advance(Duration::from_millis(1));
    assert!(matches!(browser.code(&bench, &code, false).await, Step::Refused(Refusal::ExpiredCode)));
    assert!(matches!(browser.resend(&bench).await, Step::Code { .. }));
    let code = mailbox.code().await;
    assert!(matches!(browser.code(&bench, &code, false).await, Step::SignedIn { .. }));
}

#[tokio::test]
async fn a_code_dies_of_ten_wrong_tries_and_the_account_of_a_hundred() {
    let (bench, mut mailbox) = bench(|config| config.lockout.max_in_row = 15).await;
    let (mut browser, code) = before_the_code(&bench, &mut mailbox).await;
    for n in 1..=10 {
        let step = browser.code(&bench, &other(&code), false).await;
        assert_eq!(matches!(step, Step::Refused(Refusal::TooManyTries)), n == 10, "{n}: {step:?}");
    }
    assert!(matches!(browser.code(&bench, &code, false).await, Step::Refused(Refusal::TooManyTries)));
    // The row goes on over a new code and a new login.
    bench.advance(STEP);
    assert!(matches!(browser.resend(&bench).await, Step::Code { .. }));
    let code = mailbox.code().await;
    for _ in 0..3 {
        browser.code(&bench, &other(&code), false).await;
    }
    bench.advance(STEP);
    let (mut browser, code) = before_the_code(&bench, &mut mailbox).await;
    for _ in 0..2 {
        browser.code(&bench, &other(&code), false).await;
    }
    assert!(matches!(browser.code(&bench, &code, false).await, Step::Refused(Refusal::Locked)));
    bench.advance(STEP);
    let (browser, _) = before_the_code(&bench, &mut mailbox).await;
    bench.advance(STEP);
    assert!(matches!(browser.resend(&bench).await, Step::Refused(Refusal::Locked)));
    assert!(mailbox.is_empty());
}

#[tokio::test]
async fn of_fifty_posts_of_one_mailed_code_one_signs_in() {
    let (bench, mut mailbox) = bench(|_| {}).await;
    let bench = Arc::new(bench);
    for round in 0..3 {
        let (browser, code) = before_the_code(&bench, &mut mailbox).await;
        let posts = (0..50).map(|_| {
            let (bench, code, mut browser) = (Arc::clone(&bench), code.clone(), browser.clone());
            tokio::spawn(async move { browser.code(&bench, &code, false).await })
        });
        let steps = futures_util::future::join_all(posts).await;
        let winners = steps.iter().filter(|step| matches!(step.as_ref().unwrap(), Step::SignedIn { .. })).count();
        assert_eq!(winners, 1, "round {round}");
        assert!(mailbox.letter().await.contains("A new device has signed in"));
        bench.advance(STEP);
    }
}

#[tokio::test]
async fn a_mail_that_cannot_be_sent_is_known_and_lets_nobody_in() {
    let (bench, _mailbox) = bench(|config| config.mail.as_mut().unwrap().from = "no sender".to_owned()).await;
    let mut browser = browser();
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::Code { .. }));
    assert_eq!(delivered(&bench, &browser).await.delivery, Some(Delivery::Failed));
    assert!(matches!(browser.code(&bench, "", false).await, Step::Refused(Refusal::WrongCode { .. })));
}

#[tokio::test]
async fn a_step_up_by_mail_sends_one_code_however_often_the_page_is_asked_for() {
    let (bench, mut mailbox) = bench(|_| {}).await;
    let (mut browser, code) = before_the_code(&bench, &mut mailbox).await;
    browser.code(&bench, &code, true).await;
    mailbox.letter().await;
    bench.advance(DAY / 2);
    let mut strict = bench.destination();
    strict.demand.recheck_interval = Duration::from_secs(60);
    // Seen on the way, so that the session is not idle.
    let live = bench.live(&browser.session()).await.unwrap();
    bench.services.sessions.touch(&live, &bench.route(), bench.now());
    let login = &bench.services.login;
    for _ in 0..3 {
        let visit = browser.visit(&bench).await;
        let Step::Code { flow } = login.step_up(&visit, strict.clone()).await.unwrap() else { panic!("no code") };
        browser.cookies.flow = Some(flow);
    }
    let code = mailbox.code().await;
    assert!(mailbox.is_empty());
    assert!(matches!(browser.code(&bench, &code, false).await, Step::SignedIn { .. }));
}

#[tokio::test]
async fn another_mailbox_is_another_factor() {
    let (bench, mut mailbox) = bench(|_| {}).await;
    let (mut browser, code) = before_the_code(&bench, &mut mailbox).await;
    bench.advance(STEP);
    let (mut begun, code_begun) = before_the_code(&bench, &mut mailbox).await;
    browser.code(&bench, &code, true).await;
    mailbox.letter().await;
    let change = UserChange { email: Some(Some("new@example.com".parse().unwrap())), ..UserChange::default() };
    bench.services.users.set("alice", change, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    assert!(!bench.passes(&browser.session()).await);
    assert!(matches!(begun.code(&bench, &code_begun, false).await, Step::Refused(Refusal::Locked)));
    let letter = mailbox.letter().await;
    assert!(letter.contains("To: alice@example.com"), "told at the address before: {letter}");
    let change = UserChange { email: Some(None), ..UserChange::default() };
    let refused = bench.services.users.set("alice", change, &Actor::CommandLine, bench.now()).await.unwrap();
    assert!(refused.is_err(), "codes by mail need an address");
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::Code { .. }), "not spared");
}

#[tokio::test]
async fn moved_to_mail_nobody_enrols_an_app_any_more() {
    let (bench, mut mailbox) = bench(|_| {}).await;
    bench.add_with_mail("bob", Method::Totp).await;
    let mut bob = browser();
    bob.enrol(&bench, "bob", true).await;
    mailbox.letter().await;
    let change = UserChange { method: Some(Method::Mail), ..UserChange::default() };
    bench.services.users.set("bob", change, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    assert!(mailbox.letter().await.contains("To: bob@example.com"), "a factor was taken away");
    assert!(matches!(bob.password(&bench, "bob", PASSWORD).await, Step::Code { .. }));
    let code = mailbox.code().await;
    assert!(matches!(bob.code(&bench, &code, false).await, Step::SignedIn { .. }));
    mailbox.letter().await;
    // And back: the next login enrols, with a new key.
    let change = UserChange { method: Some(Method::Totp), ..UserChange::default() };
    bench.services.users.set("bob", change, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    assert!(matches!(bob.password(&bench, "bob", PASSWORD).await, Step::Enrol { .. }));
}

#[tokio::test]
async fn no_code_is_in_the_store_in_an_event_or_in_a_debug_form() {
    let (bench, mut mailbox) = bench(|_| {}).await;
    let (mut browser, code) = before_the_code(&bench, &mut mailbox).await;
    let name = browser.cookies.flow.as_ref().unwrap().digest().to_string();
    let flow = bench.store.get::<states::Flow>(&name, bench.now()).await.unwrap().record.unwrap();
    let view = browser.view(&bench).await.unwrap();
    let told = format!("{} {flow:?} {view:?}", serde_json::to_string(&flow).unwrap());
    assert!(!told.contains(&code), "{told}");
    let step = browser.code(&bench, &code, false).await;
    let told = format!("{step:?} {}", serde_json::to_string(&events(&bench).await).unwrap());
    assert!(!told.contains(&code), "{told}");
}
