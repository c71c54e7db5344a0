//! However many logins somebody begins, the owner's mailbox is not flooded (F9).

use std::sync::Arc;

use super::*;
use crate::authn::mail_limit::MailThrottle;
use crate::service::testing::Mailbox;

const HOUR: Duration = Duration::from_secs(3600);

/// A gateway with a mail server, and alice, who gets her codes by mail.
async fn bench() -> (Bench, Mailbox) {
    let (bench, mailbox) = Bench::with_mail(|_| {}).await;
    bench.add_with_mail("alice", Method::Mail).await;
    (bench, mailbox)
}

/// A login from a browser that nobody knows; whether it was sent a code.
async fn begin(bench: &Bench) -> (Browser, bool) {
    let mut browser = Browser::default();
    browser.cookies.language = Some("en");
    let step = browser.password(bench, "alice", PASSWORD).await;
    assert!(matches!(step, Step::Code { .. }), "{step:?}");
    let sent = sent(bench, &browser).await;
    (browser, sent)
}

async fn sent(bench: &Bench, browser: &Browser) -> bool {
    browser.view(bench).await.unwrap().mail.unwrap().delivery.is_some()
}

async fn wait(bench: &Bench, browser: &Browser) -> Duration {
    browser.view(bench).await.unwrap().mail.unwrap().resend_wait
}

fn is_to_wait(step: &Step) -> bool {
    matches!(step, Step::Refused(Refusal::TooManyAttempts { .. }))
}

#[tokio::test]
async fn a_hundred_logins_at_once_send_one_mail_and_a_restart_makes_it_no_more() {
    let (bench, mut mailbox) = bench().await;
    let mut bench = Arc::new(bench);
    for round in 0..2 {
        // Not more at once than the hashing threads let wait.
        for _ in 0..2 {
            let logins = (0..50).map(|_| {
                let bench = Arc::clone(&bench);
                tokio::spawn(async move { begin(&bench).await })
            });
            for login in futures_util::future::join_all(logins).await {
                let (browser, _) = login.unwrap();
                assert!(is_to_wait(&browser.resend(&bench).await), "round {round}");
            }
        }
        Arc::get_mut(&mut bench).unwrap().restart();
    }
    mailbox.code().await;
    let flood_over = begin(&bench).await;
    assert!(!flood_over.1);
    bench.advance(STEP);
    assert!(begin(&bench).await.1);
    mailbox.code().await;
    assert!(mailbox.is_empty(), "two in all");
}

#[tokio::test]
async fn somebody_who_never_stops_asking_has_ten_mails_sent_in_an_hour_and_forty_in_a_day() {
    let (bench, mut mailbox) = bench().await;
    let (mut within_the_hour, mut all) = (0, 0);
    let start = bench.now();
    while bench.now().since(start) < DAY {
        let (browser, mut is_sent) = begin(&bench).await;
        is_sent |= matches!(browser.resend(&bench).await, Step::Code { .. });
        if is_sent {
            all += 1;
            within_the_hour += u32::from(bench.now().since(start) < HOUR);
            mailbox.code().await;
        }
        bench.advance(wait(&bench, &browser).await.max(STEP));
    }
    assert!(mailbox.is_empty());
    assert_eq!((within_the_hour, all), (10, 40));
}

#[tokio::test]
async fn whoever_begins_again_at_once_is_sent_a_code_a_little_later() {
    let (bench, mut mailbox) = bench().await;
    let (mut first, _) = begin(&bench).await;
    let code = mailbox.code().await;
    bench.advance(Duration::from_secs(10));
    let (mut second, is_sent) = begin(&bench).await;
    assert!(!is_sent);
    assert_eq!(wait(&bench, &second).await, Duration::from_secs(20));
    let step = second.code(&bench, &code, false).await;
    assert!(matches!(step, Step::Refused(Refusal::NoCodeYet)), "a code is another flow's: {step:?}");
    assert!(is_to_wait(&second.resend(&bench).await));
    bench.advance(Duration::from_secs(20));
    assert!(wait(&bench, &second).await.is_zero());
    assert!(matches!(second.resend(&bench).await, Step::Code { .. }));
    assert!(is_to_wait(&first.resend(&bench).await), "the account's, not the flow's");
    let own = mailbox.code().await;
    assert!(matches!(second.code(&bench, &own, false).await, Step::SignedIn { .. }));
    assert!(matches!(first.code(&bench, &code, false).await, Step::SignedIn { .. }), "good in its own flow");
}

#[tokio::test]
async fn nothing_but_time_allows_another_mail() {
    let (bench, mut mailbox) = bench().await;
    let (mut browser, _) = begin(&bench).await;
    let code = mailbox.code().await;
    let users = &bench.services.users;
    let by = Actor::CommandLine;
    // A wrong password and a right one.
    Browser::default().password(&bench, "alice", "Wrong-horse-8").await;
    assert!(!begin(&bench).await.1);
    // A wrong code, an unlock, a right code.
    browser.code(&bench, "no code", false).await;
    users.unlock("alice", &by, bench.now()).await.unwrap().unwrap();
    assert!(!begin(&bench).await.1, "after an unlock");
    assert!(matches!(browser.code(&bench, &code, false).await, Step::SignedIn { .. }));
    assert!(!begin(&bench).await.1, "after a right code");
    users.reset_second_factor("alice", &by, bench.now()).await.unwrap().unwrap();
    assert!(!begin(&bench).await.1, "after a reset");
    let change = UserChange { email: Some(Some("new@example.com".parse().unwrap())), ..UserChange::default() };
    users.set("alice", change, &by, bench.now()).await.unwrap().unwrap();
    assert!(!begin(&bench).await.1, "after another address");
    let change = UserChange { password: Some(PASSWORD.into()), ..UserChange::default() };
    users.set("alice", change, &by, bench.now()).await.unwrap().unwrap();
    assert!(!begin(&bench).await.1, "after another password");
    bench.advance(STEP);
    assert!(begin(&bench).await.1);
}

#[tokio::test]
async fn a_browser_that_is_known_is_not_kept_waiting_by_strangers() {
    let (bench, mut mailbox) = bench().await;
    let (mut owner, _) = begin(&bench).await;
    let code = mailbox.code().await;
    owner.code(&bench, &code, false).await;
    mailbox.letter().await;
    for _ in 0..10 {
        bench.advance(STEP);
        begin(&bench).await;
    }
    assert!(!begin(&bench).await.1);
    assert!(matches!(owner.password(&bench, "alice", PASSWORD).await, Step::Code { .. }));
    assert!(sent(&bench, &owner).await);
    // The owner's own haste is counted all the same.
    assert!(matches!(owner.password(&bench, "alice", PASSWORD).await, Step::Code { .. }));
    assert!(!sent(&bench, &owner).await);
}

#[tokio::test]
async fn a_step_up_sends_no_more_than_a_login() {
    let (bench, mut mailbox) = bench().await;
    let (mut browser, _) = begin(&bench).await;
    let code = mailbox.code().await;
    browser.code(&bench, &code, true).await;
    mailbox.letter().await;
    bench.advance(Duration::from_secs(61));
    let mut strict = bench.destination();
    strict.demand.recheck_interval = Duration::from_secs(60);
    let mut mails = 0;
    for _ in 0..10 {
        // Each time without the flow that the browser has begun.
        browser.cookies.flow = None;
        let visit = browser.visit(&bench).await;
        let step = bench.services.login.step_up(&visit, strict.clone()).await.unwrap();
        let Step::Code { flow } = step else { panic!("{step:?}") };
        browser.cookies.flow = Some(flow);
        mails += u32::from(sent(&bench, &browser).await);
    }
    assert_eq!(mails, 1);
    bench.advance(STEP);
    assert!(matches!(browser.resend(&bench).await, Step::Code { .. }));
    mailbox.code().await;
    let code = mailbox.code().await;
    assert!(matches!(browser.code(&bench, &code, false).await, Step::SignedIn { .. }));
}

#[tokio::test]
async fn with_the_account_its_counts_are_deleted() {
    let (bench, _mailbox) = bench().await;
    begin(&bench).await;
    let counts = async || bench.store.list::<MailThrottle>("", Bound::Unbounded, 10, bench.now()).await.unwrap().len();
    assert_eq!(counts().await, 1);
    bench.services.users.delete("alice", &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    assert_eq!(counts().await, 0);
}
