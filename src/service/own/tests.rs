use std::sync::Arc;

use super::*;
use crate::authn::user::{Email, Method};
use crate::authz::{RouteTable, SecondFactorDemand};
use crate::config::SwitchedOnBy;
use crate::service::actor::Actor;
use crate::service::login::{Refusal, Step};
use crate::service::testing::{App, Bench, Browser, Mailbox, PASSWORD};
use crate::service::users::UserChange;

const STEP: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);

/// What the gateway and its route ask for; a route has its own copy from the moment the file was read.
fn policy(config: &mut Config, policy: Policy) {
    let demand = |before: SecondFactorDemand| SecondFactorDemand { policy, ..before };
    let mut routes: Vec<_> = config.routes.iter().map(|(_, route)| route.clone()).collect();
    routes.iter_mut().for_each(|route| route.second_factor = demand(route.second_factor));
    config.routes = RouteTable::new(routes).unwrap();
    config.second_factor.demand = demand(config.second_factor.demand);
}

fn english() -> Browser {
    let mut browser = Browser::default();
    browser.cookies.language = Some("en");
    browser
}

async fn another_app(bench: &Bench, browser: &mut Browser) -> Outcome<Step> {
    let visit = browser.visit(bench).await;
    let outcome = bench.services.enrolment.another_app(&visit, "/back").await.unwrap();
    if let Outcome::Done(Step::Enrol { flow }) = &outcome {
        browser.cookies.flow = Some(flow.clone());
    }
    outcome
}

async fn give_up(bench: &Bench, browser: &mut Browser) -> Outcome<Token> {
    let outcome = bench.services.own.give_up_factor(&browser.visit(bench).await, None).await.unwrap();
    keep(browser, &outcome);
    outcome
}

async fn switch_on(bench: &Bench, browser: &mut Browser) -> Outcome<Token> {
    let outcome = bench.services.own.switch_factor_on(&browser.visit(bench).await, None).await.unwrap();
    keep(browser, &outcome);
    outcome
}

fn keep(browser: &mut Browser, outcome: &Outcome<Token>) {
    if let Outcome::Done(session) = outcome {
        browser.cookies.session = Some(session.clone());
    }
}

/// Another browser of the same person.
async fn elsewhere(bench: &Bench, app: &App) -> Browser {
    let mut browser = english();
    assert!(matches!(browser.password(bench, "alice", PASSWORD).await, Step::Code { .. }));
    assert!(matches!(browser.code(bench, &app.code(bench.now()), true).await, Step::SignedIn { .. }));
    browser
}

async fn user(bench: &Bench) -> crate::authn::user::User {
    bench.services.users.show("alice", bench.now()).await.unwrap().unwrap().user
}

#[tokio::test]
async fn f5_the_owner_sets_an_app_up_and_is_asked_for_it_from_then_on() {
    let (bench, mut mailbox) = Bench::with_mail(|config| {
        policy(config, Policy::PerUser);
        config.second_factor.switched_on_by = SwitchedOnBy::Owner;
    })
    .await;
    bench.add_with_mail("alice", Method::Totp).await;
    let mut other = english();
    assert!(matches!(other.password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
    let mut browser = english();
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
    bench.advance(5 * MINUTE);
    assert!(matches!(another_app(&bench, &mut browser).await, Outcome::ConfirmationDue));
    browser.password_again(&bench, PASSWORD).await;
    assert!(matches!(another_app(&bench, &mut browser).await, Outcome::Done(_)));
    // Whoever changes their mind goes on as before (F4).
    let visit = browser.visit(&bench).await;
    let flow = visit.cookies.flow.clone().unwrap();
    let step = bench.services.enrolment.cancel(&visit, None, &flow).await.unwrap();
    assert!(matches!(step, Step::SignedIn { return_to, .. } if return_to == "/back"));
    assert!(user(&bench).await.second_factor.totp.is_none() && bench.passes(&browser.session()).await);

    another_app(&bench, &mut browser).await;
    let app = browser.offered(&bench).await;
    assert!(matches!(browser.confirm(&bench, &app.code(bench.now()), false).await, Step::RecoveryCodes { .. }));
    assert!(mailbox.letter().await.contains("An authenticator app was set up"));
    assert!(!bench.passes(&other.session()).await, "what was open elsewhere is closed");
    assert!(matches!(browser.saved(&bench).await, Step::SignedIn { return_to, .. } if return_to == "/back"));
    let alice = user(&bench).await;
    assert!(alice.second_factor.switched_on && alice.second_factor.recovery.unwrap().is_saved());
    assert!(matches!(english().password(&bench, "alice", PASSWORD).await, Step::Code { .. }));
}

#[tokio::test]
async fn the_old_app_is_good_until_the_new_one_is_proved_and_its_codes_are_void_then() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut browser = english();
    let old = browser.enrol(&bench, "alice", true).await;
    let before = user(&bench).await.second_factor;
    assert!(matches!(another_app(&bench, &mut browser).await, Outcome::Done(_)));
    let new = browser.offered(&bench).await;
    bench.advance(STEP);
    let other = elsewhere(&bench, &old).await;
    bench.advance(STEP);
    assert!(matches!(browser.confirm(&bench, &new.code(bench.now()), true).await, Step::RecoveryCodes { .. }));
    assert!(!bench.passes(&other.session()).await);
    assert_ne!(user(&bench).await.second_factor.recovery.unwrap().salt, before.recovery.unwrap().salt);
    browser.saved(&bench).await;
    assert!(bench.passes(&browser.session()).await);
    bench.advance(STEP);
    let mut fresh = english();
    fresh.password(&bench, "alice", PASSWORD).await;
    assert!(matches!(fresh.code(&bench, &old.code(bench.now()), false).await, Step::Refused(_)));
    assert!(matches!(fresh.code(&bench, &new.code(bench.now()), false).await, Step::SignedIn { .. }));
}

#[tokio::test]
async fn another_app_gives_the_session_a_new_value_and_ends_a_login_that_owed_no_more_than_a_password() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut browser = english();
    let old = browser.enrol(&bench, "alice", true).await;
    let change = UserChange { must_change: Some(true), ..UserChange::default() };
    bench.services.users.set("alice", change, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    bench.advance(STEP);
    let mut stranger = english();
    stranger.password(&bench, "alice", PASSWORD).await;
    assert!(matches!(stranger.code(&bench, &old.code(bench.now()), true).await, Step::ChangePassword { .. }));

    assert!(matches!(another_app(&bench, &mut browser).await, Outcome::Done(_)));
    let new = browser.offered(&bench).await;
    let (before, open) = (browser.session(), bench.live(&browser.session()).await.unwrap());
    browser.confirm(&bench, &new.code(bench.now()), true).await;
    assert!(browser.session().digest() != before.digest() && !bench.passes(&before).await);
    assert!(bench.passes(&browser.session()).await && !open.ended().is_cancelled(), "what is open stays open");
    let late = stranger.change_password(&bench, "Quiet-river-22").await;
    assert!(!matches!(late, Ok(Step::SignedIn { .. })), "{late:?}");
    assert!(matches!(browser.saved(&bench).await, Step::SignedIn { .. }));
    assert!(bench.passes(&browser.session()).await);
}

#[tokio::test]
async fn whoever_sets_up_one_app_after_another_has_to_wait_and_keeps_the_one_that_is_there() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut browser = english();
    let mut app = browser.enrol(&bench, "alice", true).await;
    let mut apps = 0;
    let wait = loop {
        assert!(matches!(another_app(&bench, &mut browser).await, Outcome::Done(_)));
        let next = browser.offered(&bench).await;
        match browser.confirm(&bench, &next.code(bench.now()), true).await {
            Step::RecoveryCodes { .. } if apps < 10 => (app, apps) = (next, apps + 1),
            Step::Refused(Refusal::TooManyChanges { retry_after }) => break retry_after,
            other => panic!("{other:?}"),
        }
        browser.saved(&bench).await;
    };
    assert_eq!((apps, wait), (5, MINUTE));
    bench.advance(STEP);
    let mut other = elsewhere(&bench, &app).await;
    assert!(matches!(another_app(&bench, &mut other).await, Outcome::Done(_)), "the last app is asked for");
    // What was scanned already is good once the wait is over.
    bench.advance(wait);
    let next = browser.offered(&bench).await;
    let step = browser.confirm(&bench, &next.code(bench.now()), true).await;
    assert!(matches!(step, Step::RecoveryCodes { .. }), "{step:?}");
}

#[tokio::test]
async fn of_two_browsers_that_change_the_app_at_once_one_wins() {
    for _ in 0..10 {
        let bench = Bench::new(|_| {});
        bench.add("alice").await;
        let mut one = english();
        let app = one.enrol(&bench, "alice", true).await;
        bench.advance(STEP);
        let mut two = elsewhere(&bench, &app).await;
        for browser in [&mut one, &mut two] {
            assert!(matches!(another_app(&bench, browser).await, Outcome::Done(_)));
        }
        let (first, second) = (one.offered(&bench).await, two.offered(&bench).await);
        let (code_one, code_two) = (first.code(bench.now()), second.code(bench.now()));
        let (a, b) = tokio::join!(one.confirm(&bench, &code_one, false), two.confirm(&bench, &code_two, false));
        let won = |step: &Step| matches!(step, Step::RecoveryCodes { session: Some(_), .. });
        assert_ne!(won(&a), won(&b), "{a:?} {b:?}");
        let (winner, loser, app) = if won(&a) { (one, two, first) } else { (two, one, second) };
        assert!(bench.passes(&winner.session()).await && !bench.passes(&loser.session()).await);
        bench.advance(STEP);
        elsewhere(&bench, &app).await;
    }
}

#[tokio::test]
async fn a_second_factor_is_given_up_only_where_nobody_asks_for_it() {
    let (bench, mut mailbox) = Bench::with_mail(|config| policy(config, Policy::PerUser)).await;
    bench.add_with_mail("alice", Method::Totp).await;
    let change = UserChange { second_factor: Some(true), ..UserChange::default() };
    bench.services.users.set("alice", change, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    let mut browser = english();
    let app = browser.enrol(&bench, "alice", true).await;
    assert!(mailbox.letter().await.contains("An authenticator app was set up"));
    bench.advance(STEP);
    let other = elsewhere(&bench, &app).await;
    mailbox.letter().await;
    bench.advance(5 * MINUTE);
    assert!(matches!(give_up(&bench, &mut browser).await, Outcome::ConfirmationDue));
    browser.password_again(&bench, PASSWORD).await;
    assert!(
        matches!(give_up(&bench, &mut browser).await, Outcome::ConfirmationDue),
        "the password alone is not enough"
    );
    browser.code_again(&bench, &app).await;
    assert!(matches!(give_up(&bench, &mut browser).await, Outcome::Done(_)));
    assert!(mailbox.letter().await.contains("Two-step login was reset or changed"));
    let factor = user(&bench).await.second_factor;
    assert!(factor.totp.is_none() && factor.recovery.is_none() && !factor.switched_on);
    assert!(bench.passes(&browser.session()).await && !bench.passes(&other.session()).await);
    assert!(matches!(english().password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
    assert!(matches!(give_up(&bench, &mut browser).await, Outcome::Refused(Obstacle::NoSecondFactor)));

    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut browser = english();
    browser.enrol(&bench, "alice", true).await;
    assert!(matches!(give_up(&bench, &mut browser).await, Outcome::Refused(Obstacle::FactorRequired)));
    // One route that asks everybody is enough.
    let bench = Bench::new(|config| config.second_factor.demand.policy = Policy::PerUser);
    bench.add("alice").await;
    let mut browser = english();
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
    another_app(&bench, &mut browser).await;
    let app = browser.offered(&bench).await;
    browser.confirm(&bench, &app.code(bench.now()), false).await;
    browser.saved(&bench).await;
    assert!(matches!(give_up(&bench, &mut browser).await, Outcome::Refused(Obstacle::FactorRequired)));
}

#[tokio::test]
async fn f5_the_owner_of_a_mailbox_switches_its_codes_on_by_giving_one() {
    let (bench, mut mailbox) = Bench::with_mail(|config| {
        policy(config, Policy::PerUser);
        config.second_factor.switched_on_by = SwitchedOnBy::Owner;
    })
    .await;
    bench.add_with_mail("alice", Method::Mail).await;
    let mut browser = english();
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
    let mut other = english();
    assert!(matches!(other.password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
    let on = switch_on(&bench, &mut browser).await;
    assert!(matches!(on, Outcome::ConfirmationDue), "the mailbox has yet to be proved");
    let visit = browser.visit(&bench).await;
    let Step::Code { flow } = bench.services.login.confirm_code(&visit, "/").await.unwrap() else { panic!("no code") };
    browser.cookies.flow = Some(flow);
    let code = mailbox.code().await;
    assert!(matches!(browser.code(&bench, &code, false).await, Step::SignedIn { .. }));
    mailbox.letter().await;
    assert!(matches!(switch_on(&bench, &mut browser).await, Outcome::Done(_)));
    assert!(bench.passes(&browser.session()).await && !bench.passes(&other.session()).await);
    assert!(mailbox.letter().await.contains("Two-step login was switched on"));
    // What is on already is no change: nothing ends, and nobody is told.
    let before = browser.session();
    assert!(matches!(switch_on(&bench, &mut browser).await, Outcome::Done(token) if token.digest() == before.digest()));
    // Whoever has no end of it has to wait, or mails would have no end either.
    let mut changes = 1;
    let wait = loop {
        let outcome = match changes % 2 {
            0 => switch_on(&bench, &mut browser).await,
            _ => give_up(&bench, &mut browser).await,
        };
        match outcome {
            Outcome::Done(_) => changes += 1,
            Outcome::Refused(Obstacle::TooManyMails(wait)) => break wait,
            other => panic!("{other:?}"),
        }
        mailbox.letter().await;
    };
    assert_eq!((changes, wait), (5, MINUTE));
    bench.advance(wait);
    assert!(matches!(give_up(&bench, &mut browser).await, Outcome::Done(_)));
    mailbox.letter().await;
    bench.advance(2 * MINUTE);
    assert!(matches!(switch_on(&bench, &mut browser).await, Outcome::Done(_)));
    mailbox.letter().await;
    assert!(matches!(english().password(&bench, "alice", PASSWORD).await, Step::Code { .. }));
}

#[tokio::test]
async fn f7_new_recovery_codes_void_the_earlier_ones_and_prove_nothing() {
    let (bench, mut mailbox) = Bench::with_mail(|_| {}).await;
    bench.add_with_mail("alice", Method::Totp).await;
    let mut browser = english();
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::Enrol { .. }));
    let app = browser.offered(&bench).await;
    browser.confirm(&bench, &app.code(bench.now()), false).await;
    mailbox.letter().await;
    let old = browser.recovery_codes(&bench).await;
    browser.saved(&bench).await;
    let given_at = bench.live(&browser.session()).await.unwrap().second_factor_at();
    bench.advance(4 * MINUTE);
    let renew = |browser: Browser| {
        let bench = &bench;
        async move {
            let visit = browser.visit(bench).await;
            bench.services.enrolment.renew_codes(&visit, None, "/back").await.unwrap()
        }
    };
    let Outcome::Done(Step::RecoveryCodes { flow, .. }) = renew(browser.clone()).await else { panic!("no codes") };
    browser.cookies.flow = Some(flow);
    assert!(mailbox.letter().await.contains("New recovery codes were made"));
    let new = browser.recovery_codes(&bench).await;
    assert!(new.len() == 10 && new.iter().all(|code| !old.contains(code)));
    let session = browser.session();
    let step = browser.saved(&bench).await;
    assert!(matches!(&step, Step::SignedIn { device: None, return_to, .. } if return_to == "/back"), "{step:?}");
    assert_eq!(browser.session().digest(), session.digest());
    let live = bench.live(&session).await.unwrap();
    assert_eq!(live.second_factor_at(), given_at, "codes that were shown are no second factor that was given");
    bench.advance(MINUTE);
    assert!(matches!(renew(browser.clone()).await, Outcome::ConfirmationDue));
    let mut fresh = english();
    fresh.password(&bench, "alice", PASSWORD).await;
    let refused = fresh.recovery(&bench, &old[0], false).await;
    assert!(matches!(refused, Step::Refused(Refusal::WrongRecoveryCode)));
    assert!(matches!(fresh.recovery(&bench, &new[0], false).await, Step::SignedIn { .. }));
}

/// Alice with an address and without a second factor, signed in, and the mails that she gets.
async fn with_address(method: Method) -> (Bench, Mailbox, Browser) {
    let (bench, mut mailbox) = Bench::with_mail(|_| {}).await;
    bench.add_with_mail("alice", method).await;
    let mut browser = english();
    match browser.password(&bench, "alice", PASSWORD).await {
        Step::Enrol { .. } => {
            let app = browser.offered(&bench).await;
            browser.confirm(&bench, &app.code(bench.now()), false).await;
            browser.saved(&bench).await;
        }
        _ => {
            let code = mailbox.code().await;
            browser.code(&bench, &code, true).await;
        }
    }
    mailbox.letter().await;
    (bench, mailbox, browser)
}

fn new_address() -> Email {
    "alice.new@example.com".parse().unwrap()
}

/// Both codes, in whichever order the mails come: that to the old address, then that to the new.
async fn both_codes(mailbox: &mut Mailbox) -> (String, String) {
    let (mut old, mut new) = (String::new(), String::new());
    for _ in 0..2 {
        let letter = mailbox.letter().await;
        let is_code = |line: &&str| line.len() == 6 && line.bytes().all(|byte| byte.is_ascii_digit());
        let code = letter.lines().map(str::trim).find(is_code).unwrap().to_owned();
        match letter.contains("To: alice.new@example.com") {
            true => new = code,
            false => old = code,
        }
    }
    assert!(!old.is_empty() && !new.is_empty() && old != new);
    (old, new)
}

async fn prove(bench: &Bench, browser: &Browser, old: &str, new: &str) -> Given {
    bench.services.own.prove_address(&browser.visit(bench).await, None, old, new).await.unwrap()
}

#[tokio::test]
async fn another_address_takes_a_code_from_the_old_one_and_one_from_the_new() {
    let (bench, mut mailbox, browser) = with_address(Method::Totp).await;
    let own = &bench.services.own;
    let begun = own.begin_address_change(&browser.visit(&bench).await, &new_address()).await.unwrap();
    assert!(matches!(begun, Outcome::Done(())));
    let (old, new) = both_codes(&mut mailbox).await;
    let view = own.address_change(&browser.visit(&bench).await).await.unwrap().unwrap();
    assert_eq!((view.to, view.from.as_deref()), (new_address(), Some("a••@example.com")));
    assert!(matches!(prove(&bench, &browser, "", &new).await, Given::Wrong { old: true, new: false }));
    assert!(matches!(prove(&bench, &browser, &new, &old).await, Given::Wrong { old: true, new: true }));
    assert_eq!(user(&bench).await.email.unwrap().as_str(), "alice@example.com");
    let Given::Done(session) = prove(&bench, &browser, &old, &new).await else { panic!("not changed") };
    assert_eq!(user(&bench).await.email.unwrap(), new_address());
    let told = mailbox.letter().await;
    assert!(told.contains("To: \"\"") || told.contains("alice@example.com"), "{told}");
    assert!(told.contains("Your mail address was changed") && !told.contains("alice.new@"), "{told}");
    assert!(matches!(prove(&bench, &browser, &old, &new).await, Given::Gone), "once");
    assert!(!bench.passes(&browser.session()).await && bench.passes(&session).await, "under another value");
}

#[tokio::test]
async fn of_fifty_posts_of_the_right_codes_one_changes_the_address() {
    let (bench, mut mailbox, browser) = with_address(Method::Totp).await;
    let bench = Arc::new(bench);
    bench.services.own.begin_address_change(&browser.visit(&bench).await, &new_address()).await.unwrap();
    let (old, new) = both_codes(&mut mailbox).await;
    let posts = (0..50).map(|_| {
        let (bench, browser, old, new) = (Arc::clone(&bench), browser.clone(), old.clone(), new.clone());
        tokio::spawn(async move { prove(&bench, &browser, &old, &new).await })
    });
    let given = futures_util::future::join_all(posts).await;
    let (done, others): (Vec<_>, Vec<_>) =
        given.into_iter().map(Result::unwrap).partition(|given| matches!(given, Given::Done(_)));
    assert_eq!((done.len(), others.len()), (1, 49));
    assert!(others.iter().all(|given| matches!(given, Given::Gone)));
}

#[tokio::test]
async fn codes_of_an_address_are_bound_to_their_session_and_limited_in_tries_and_mails() {
    let (bench, mut mailbox, browser) = with_address(Method::Totp).await;
    let own = &bench.services.own;
    own.begin_address_change(&browser.visit(&bench).await, &new_address()).await.unwrap();
    let (old, new) = both_codes(&mut mailbox).await;
    for _ in 0..10 {
        assert!(matches!(prove(&bench, &browser, "000000", &new).await, Given::Wrong { old: true, new: false }));
    }
    assert!(matches!(prove(&bench, &browser, &old, &new).await, Given::TooManyTries));
    let resend = || async { own.resend_address_codes(&browser.visit(&bench).await).await.unwrap() };
    assert!(matches!(resend().await, Outcome::Refused(Obstacle::TooManyMails(_))), "not at once");
    bench.advance(STEP);
    assert!(matches!(resend().await, Outcome::Done(())));
    let (old_again, new_again) = both_codes(&mut mailbox).await;
    assert!(matches!(prove(&bench, &browser, &old, &new).await, Given::Wrong { .. }), "the earlier ones are void");
    bench.advance(30 * MINUTE - STEP);
    let mut fresh = browser.clone();
    fresh.cookies.session = None;
    // Kept alive on the way: the idle timeout is as long as the codes are good.
    assert!(matches!(prove(&bench, &fresh, &old_again, &new_again).await, Given::Gone), "nobody");
    bench.advance(2 * STEP);
    own.cancel_address_change(&browser.visit(&bench).await).await.unwrap();
    assert_eq!(user(&bench).await.email.unwrap().as_str(), "alice@example.com");
}

#[tokio::test]
async fn a_hundred_wrong_codes_of_an_address_lock_all_codes_of_the_account() {
    let (bench, mut mailbox, browser) = with_address(Method::Totp).await;
    let mut config = bench.config();
    config.mail.clone_from(&bench.services.config.load().mail);
    config.lockout.max_in_row = 6;
    bench.services.config.store(Arc::new(config));
    bench.services.own.begin_address_change(&browser.visit(&bench).await, &new_address()).await.unwrap();
    let (old, new) = both_codes(&mut mailbox).await;
    for _ in 0..6 {
        assert!(matches!(prove(&bench, &browser, "000000", "000000").await, Given::Wrong { .. }));
    }
    assert!(matches!(prove(&bench, &browser, &old, &new).await, Given::Locked));
}

#[tokio::test]
async fn where_the_mailbox_is_the_second_factor_another_one_ends_what_is_open_elsewhere() {
    let (bench, mut mailbox, browser) = with_address(Method::Mail).await;
    bench.advance(STEP);
    let mut other = english();
    assert!(matches!(other.password(&bench, "alice", PASSWORD).await, Step::Code { .. }));
    let code = mailbox.code().await;
    other.code(&bench, &code, true).await;
    mailbox.letter().await;
    bench.services.own.begin_address_change(&browser.visit(&bench).await, &new_address()).await.unwrap();
    let (old, new) = both_codes(&mut mailbox).await;
    let Given::Done(session) = prove(&bench, &browser, &old, &new).await else { panic!("not changed") };
    assert!(bench.passes(&session).await && !bench.passes(&other.session()).await);
    let mut known = Browser { cookies: browser.cookies.clone(), ..Browser::default() };
    known.cookies.session = None;
    assert!(matches!(known.password(&bench, "alice", PASSWORD).await, Step::Code { .. }), "no key spares the code");
}

#[tokio::test]
async fn a_code_that_was_sent_to_the_mailbox_before_signs_nobody_in() {
    let (bench, mut mailbox, browser) = with_address(Method::Mail).await;
    bench.advance(STEP);
    let mut stranger = english();
    assert!(matches!(stranger.password(&bench, "alice", PASSWORD).await, Step::Code { .. }));
    let sent = mailbox.code().await;
    bench.services.own.begin_address_change(&browser.visit(&bench).await, &new_address()).await.unwrap();
    let (old, new) = both_codes(&mut mailbox).await;
    assert!(matches!(prove(&bench, &browser, &old, &new).await, Given::Done(_)));
    let refused = stranger.code(&bench, &sent, true).await;
    assert!(matches!(refused, Step::Refused(Refusal::Locked)), "{refused:?}");
}

#[tokio::test]
async fn a_change_of_address_asks_for_all_again_and_needs_a_way_to_send() {
    let (bench, _mailbox, browser) = with_address(Method::Totp).await;
    let own = &bench.services.own;
    let begin = |to: Email| {
        let (bench, browser) = (&bench, &browser);
        async move { own.begin_address_change(&browser.visit(bench).await, &to).await.unwrap() }
    };
    let same = "alice@example.com".parse().unwrap();
    assert!(matches!(begin(same).await, Outcome::Refused(Obstacle::SameAddress)));
    bench.advance(5 * MINUTE);
    assert!(matches!(begin(new_address()).await, Outcome::ConfirmationDue));
    let bench = Bench::new(|config| policy(config, Policy::Off));
    bench.add("alice").await;
    let mut browser = english();
    browser.password(&bench, "alice", PASSWORD).await;
    let begun = bench.services.own.begin_address_change(&browser.visit(&bench).await, &new_address()).await.unwrap();
    assert!(matches!(begun, Outcome::Refused(Obstacle::MailNotConfigured)));
}

#[tokio::test]
async fn people_end_their_own_sessions_and_nobody_elses() {
    let bench = Bench::new(|config| policy(config, Policy::Off));
    bench.add("alice").await;
    bench.add("bob").await;
    let mut browsers = vec![english(), english(), english()];
    for browser in &mut browsers {
        browser.password(&bench, "alice", PASSWORD).await;
    }
    let mut bob = english();
    bob.password(&bench, "bob", PASSWORD).await;
    let person = match Actor::of(&browsers[0].visit(&bench).await, None).unwrap() {
        Actor::Person(person) => person,
        other => panic!("{other:?}"),
    };
    let sessions = &bench.services.sessions;
    let bobs = bench.live(&bob.session()).await.unwrap().id();
    assert!(!sessions.end_own(bobs, &person, bench.now()).await.unwrap());
    assert!(bench.passes(&bob.session()).await);
    let second = bench.live(&browsers[1].session()).await.unwrap().id();
    assert!(sessions.end_own(second, &person, bench.now()).await.unwrap());
    assert!(!bench.passes(&browsers[1].session()).await && bench.passes(&browsers[2].session()).await);
    assert_eq!(sessions.end_others(&person, bench.now()).await.unwrap(), 1);
    assert!(bench.passes(&browsers[0].session()).await && !bench.passes(&browsers[2].session()).await);
    assert!(bench.passes(&bob.session()).await);
}
