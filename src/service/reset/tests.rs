use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::audit::{Event, Result as Outcomes};
use crate::authn::lockout::AccountThrottle;
use crate::authn::password::Weakness;
use crate::authn::user::{Method, User};
use crate::authz::Policy;
use crate::config::Config;
use crate::secret::ExposeSecret;
use crate::service::login::{Refusal, Step};
use crate::service::records;
use crate::service::testing::{App, Bench, Browser, Mailbox, PASSWORD, new_user};
use crate::service::users::{NewUser, UserChange};

const NEW: &str = "Quiet-river-22";
const STEP: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);

fn no_second_factor(config: &mut Config) {
    config.second_factor.demand.policy = Policy::Off;
}

impl Mailbox {
    /// The value of the next letter's link.
    async fn link(&mut self) -> Token {
        link_in(&self.letter().await)
    }

    /// The value of the next link, whatever comes before it.
    async fn next_link(&mut self) -> Token {
        loop {
            let letter = self.letter().await;
            if text_of(&letter).contains("token=") {
                return link_in(&letter);
            }
        }
    }
}

fn text_of(letter: &str) -> String {
    let parsed = mail_parser::MessageParser::default().parse(letter).unwrap();
    parsed.body_text(0).unwrap().into_owned()
}

fn link_in(letter: &str) -> Token {
    let text = text_of(letter);
    let (_, rest) = text.split_once("/password/reset?token=").unwrap_or_else(|| panic!("no link in\n{text}"));
    Token::parse(rest.get(..43).unwrap()).unwrap_or_else(|| panic!("no value in\n{text}"))
}

async fn ask(bench: &Bench, who: &str) -> Asked {
    let visit = Browser::default().visit(bench).await;
    bench.services.resets.ask(&visit, Some("test"), who).await.unwrap()
}

async fn set(bench: &Bench, link: &Token, new: &str, code: &str) -> Outcome {
    let visit = Browser::default().visit(bench).await;
    bench.services.resets.set(&visit, Some("test"), link, new.into(), code).await.unwrap()
}

async fn send(bench: &Bench, user: UserId) -> Result<(), Rejection> {
    bench.services.resets.send(user, &Actor::CommandLine, bench.now()).await.unwrap()
}

async fn enrolled(bench: &Bench, login: &str) -> (Browser, App) {
    let mut browser = Browser::default();
    let app = browser.enrol(bench, login, true).await;
    (browser, app)
}

async fn events(bench: &Bench) -> Vec<Event> {
    let listed = bench.store.list::<Event>("", std::ops::Bound::Unbounded, 1000, bench.now()).await.unwrap();
    listed.into_iter().map(|listed| listed.record).filter(|event| event.kind == Kind::PasswordReset).collect()
}

/// Waits until so many requests for links were looked at.
async fn looked_at(bench: &Bench, count: usize) -> Vec<Event> {
    for _ in 0..2000 {
        let events = events(bench).await;
        if events.len() >= count {
            return events;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("only {:?}", events(bench).await)
}

#[tokio::test]
async fn a_link_is_good_however_many_sessions_the_account_has() {
    let (bench, mut mailbox) = Bench::with_mail(no_second_factor).await;
    let alice = bench.add_with_mail("alice", Method::Totp).await.user;
    let live = bench.everywhere(&alice).await;
    assert_eq!(ask(&bench, "alice").await, Asked::Taken);
    let link = mailbox.link().await;
    assert_eq!(set(&bench, &link, NEW, "").await, Outcome::Set);
    assert!(live.iter().all(|live| live.ended().is_cancelled()));
}

#[tokio::test]
async fn a_link_sets_a_password_once_ends_every_session_and_leads_past_no_code() {
    let (bench, mut mailbox) = Bench::with_mail(|_| {}).await;
    bench.add_with_mail("alice", Method::Totp).await;
    let (old, app) = enrolled(&bench, "alice").await;
    mailbox.letter().await; // about the app
    assert_eq!(ask(&bench, "alice").await, Asked::Taken);
    let link = mailbox.link().await;
    let visit = Browser::default().visit(&bench).await;
    for _ in 0..3 {
        let view = bench.services.resets.open(&visit, &link).await.unwrap().unwrap();
        assert_eq!((view.login.as_str(), view.needs_recovery_code, view.first), ("alice", false, false));
    }
    for (new, weakness) in
        [("short", Weakness::TooShort(10)), ("Password123!", Weakness::Leaked), (PASSWORD, Weakness::Unchanged)]
    {
        assert_eq!(set(&bench, &link, new, "").await, Outcome::Weak(weakness));
    }
    assert_eq!(set(&bench, &link, NEW, "").await, Outcome::Set);
    assert_eq!(set(&bench, &link, "Quiet-river-33", "").await, Outcome::Gone);
    assert!(bench.services.resets.open(&visit, &link).await.unwrap().is_none());
    assert!(!bench.passes(&old.session()).await);
    let mut known = old;
    assert!(matches!(known.password(&bench, "alice", NEW).await, Step::Code { .. }), "no device is trusted any more");
    bench.advance(STEP);
    assert!(matches!(known.code(&bench, &app.code(bench.now()), false).await, Step::SignedIn { .. }));
    let told = text_of(&mailbox.letter().await);
    assert!(!told.contains("token") && !told.contains(NEW), "{told}");
}

#[tokio::test]
async fn a_newer_link_a_new_password_another_address_or_time_voids_a_link() {
    let (bench, mut mailbox) = Bench::with_mail(no_second_factor).await;
    let alice = bench.add_with_mail("alice", Method::Totp).await.user;
    let change = async |change: UserChange| {
        bench.services.users.set("alice", change, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    };
    ask(&bench, "alice").await;
    let first = mailbox.link().await;
    bench.advance(MINUTE);
    ask(&bench, "ALICE@example.com").await;
    let second = mailbox.link().await;
    assert_eq!(set(&bench, &first, NEW, "").await, Outcome::Gone);
    bench.advance(Duration::from_secs(30 * 60));
    assert_eq!(set(&bench, &second, NEW, "").await, Outcome::Gone);

    bench.advance(MINUTE);
    ask(&bench, "alice").await;
    let link = mailbox.link().await;
    change(UserChange { password: Some("Another-horse-8".into()), ..UserChange::default() }).await;
    assert_eq!(set(&bench, &link, NEW, "").await, Outcome::Gone);

    bench.advance(MINUTE);
    send(&bench, alice.id).await.unwrap();
    let link = mailbox.link().await;
    change(UserChange { email: Some(Some("other@example.com".parse().unwrap())), ..UserChange::default() }).await;
    assert_eq!(set(&bench, &link, NEW, "").await, Outcome::Gone, "the mailbox is not theirs any more");

    bench.advance(MINUTE);
    send(&bench, alice.id).await.unwrap();
    let link = mailbox.next_link().await;
    bench.services.users.set_disabled("alice", true, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    bench.services.users.set_disabled("alice", false, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    assert_eq!(set(&bench, &link, NEW, "").await, Outcome::Gone);
    assert_eq!(set(&bench, &Token::generate().unwrap(), NEW, "").await, Outcome::Gone);
}

#[tokio::test]
async fn whoever_is_named_the_answer_costs_the_same_and_no_mail_goes_to_the_wrong_ones() {
    let (bench, mut mailbox) = Bench::with_mail(no_second_factor).await;
    bench.add_with_mail("alice", Method::Totp).await;
    bench.add("noaddress").await;
    bench.add_with_mail("disabled", Method::Totp).await;
    bench.services.users.set_disabled("disabled", true, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    let new = NewUser { email: Some("never@example.com".parse().unwrap()), ..new_user("never") };
    bench.services.users.add(new, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    let hashes = bench.hashes();
    for who in ["alice", "noaddress", "disabled", "never", "nobody", "nobody@example.com", "<b>\"", "alice"] {
        assert_eq!(ask(&bench, who).await, Asked::Taken, "{who}");
    }
    assert_eq!(bench.hashes(), hashes);
    let events = looked_at(&bench, 8).await;
    let whys: Vec<_> = events.iter().map(|event| (event.result, event.detail.as_str())).collect();
    for why in [
        (Outcomes::Success, "asked for"),
        (Outcomes::Failure, "no mail address"),
        (Outcomes::Failure, "the account is disabled"),
        (Outcomes::Failure, "no password was ever set"),
        (Outcomes::Failure, "no such account"),
        (Outcomes::Failure, "too many mails"),
    ] {
        assert!(whys.contains(&why), "{why:?} in {whys:?}");
    }
    assert_eq!(events.len(), 8, "one event, and so one commit, for each");
    assert!(events.iter().all(|event| event.actor.is_none()), "nobody knows who asked");
    mailbox.link().await;
    assert!(mailbox.is_empty());
}

#[tokio::test]
async fn an_address_asks_for_twenty_links_in_a_quarter_of_an_hour() {
    let (bench, _mailbox) = Bench::with_mail(no_second_factor).await;
    for _ in 0..20 {
        assert_eq!(ask(&bench, "nobody").await, Asked::Taken);
    }
    assert!(matches!(ask(&bench, "alice").await, Asked::TooMany { .. }));
    let elsewhere = Browser::from("198.51.100.7").visit(&bench).await;
    assert_eq!(bench.services.resets.ask(&elsewhere, None, "nobody").await.unwrap(), Asked::Taken);
    bench.advance(Duration::from_secs(15 * 60));
    assert_eq!(ask(&bench, "nobody").await, Asked::Taken);
}

#[tokio::test]
async fn a_link_lifts_the_row_of_wrong_passwords_and_not_that_of_wrong_codes() {
    let (bench, mut mailbox) = Bench::with_mail(no_second_factor).await;
    let alice = bench.add_with_mail("alice", Method::Totp).await.user;
    let mut counted = AccountThrottle::default();
    let limits = crate::service::context::limits(&bench.config());
    for n in 0..100 {
        counted.wrong_password(None, limits, crate::clock::Timestamp::from_secs(1_700_000_000 + n * 1000));
    }
    (0..7).for_each(|_| counted.wrong_code());
    let name = records::account_throttle(alice.id);
    bench.store.commit(Change::new().put(&name, &counted)).await.unwrap();
    let mut browser = Browser::default();
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::Refused(Refusal::InvalidCredentials)));
    ask(&bench, "alice").await;
    let link = mailbox.link().await;
    assert_eq!(set(&bench, &link, NEW, "").await, Outcome::Set);
    assert!(matches!(browser.password(&bench, "alice", NEW).await, Step::SignedIn { .. }));
    let after = bench.store.get::<AccountThrottle>(&name, bench.now()).await.unwrap().record.unwrap();
    let mut codes_alone = AccountThrottle::default();
    (0..7).for_each(|_| codes_alone.wrong_code());
    assert_eq!(after, codes_alone);
}

/// Enrols an app, which makes recovery codes, then moves to codes by mail with the codes put back: as an account that had an app
/// before would not keep them, the record is written by hand.
async fn mail_with_codes(bench: &Bench, mailbox: &mut Mailbox) -> (User, Vec<String>) {
    let user = bench.add_with_mail("bob", Method::Totp).await.user;
    let mut browser = Browser::default();
    browser.password(bench, "bob", PASSWORD).await;
    let app = browser.offered(bench).await;
    browser.confirm(bench, &app.code(bench.now()), false).await;
    let codes = browser.recovery_codes(bench).await;
    browser.saved(bench).await;
    mailbox.letter().await;
    let mut stored = bench.store.get::<User>(&user.id.to_string(), bench.now()).await.unwrap().record.unwrap();
    stored.second_factor.method = Method::Mail;
    stored.second_factor.totp = None;
    bench.store.commit(Change::new().put(&user.id.to_string(), &stored)).await.unwrap();
    (stored, codes)
}

#[tokio::test]
async fn where_the_mailbox_is_the_second_factor_a_recovery_code_is_needed_too_and_spent_with_the_link() {
    let (bench, mut mailbox) = Bench::with_mail(|_| {}).await;
    let (user, codes) = mail_with_codes(&bench, &mut mailbox).await;
    ask(&bench, "bob").await;
    let link = mailbox.link().await;
    let visit = Browser::default().visit(&bench).await;
    assert!(bench.services.resets.open(&visit, &link).await.unwrap().unwrap().needs_recovery_code);
    for code in ["", "00000000", "x"] {
        assert_eq!(set(&bench, &link, NEW, code).await, Outcome::WrongCode, "{code}");
    }
    let counted = bench.store.get::<AccountThrottle>(&records::account_throttle(user.id), bench.now()).await.unwrap();
    let mut three = AccountThrottle::default();
    (0..3).for_each(|_| three.wrong_code());
    assert_eq!(counted.record.unwrap(), three, "wrong ones count for the account");
    assert_eq!(set(&bench, &link, NEW, &codes[0]).await, Outcome::Set);
    bench.advance(MINUTE);
    ask(&bench, "bob").await;
    let link = mailbox.next_link().await;
    assert_eq!(set(&bench, &link, "Quiet-river-33", &codes[0]).await, Outcome::WrongCode, "spent");
    for _ in 0..9 {
        set(&bench, &link, "Quiet-river-33", "00000000").await;
    }
    assert_eq!(
        set(&bench, &link, "Quiet-river-33", &codes[1]).await,
        Outcome::Gone,
        "ten wrong ones are the end of it"
    );
}

#[tokio::test]
async fn without_recovery_codes_such_an_account_is_sent_word_and_a_managers_link_works() {
    let (bench, mut mailbox) = Bench::with_mail(|_| {}).await;
    let bob = bench.add_with_mail("bob", Method::Mail).await.user;
    ask(&bench, "bob").await;
    let word = text_of(&mailbox.letter().await);
    assert!(!word.contains("token="), "{word}");
    send(&bench, bob.id).await.unwrap();
    let link = mailbox.link().await;
    bench.advance(MINUTE);
    ask(&bench, "bob").await;
    looked_at(&bench, 3).await;
    assert!(mailbox.is_empty());
    assert_eq!(set(&bench, &link, NEW, "").await, Outcome::Set, "nobody voids a manager's link by asking");
    let mut browser = Browser::default();
    assert!(matches!(browser.password(&bench, "bob", NEW).await, Step::Code { .. }));
}

#[tokio::test]
async fn a_managers_link_sets_a_first_password_and_says_why_where_none_can_be_sent() {
    let (bench, mut mailbox) = Bench::with_mail(no_second_factor).await;
    let new = NewUser { email: Some("carol@example.com".parse().unwrap()), ..new_user("carol") };
    let carol = bench.services.users.add(new, &Actor::CommandLine, bench.now()).await.unwrap().unwrap().user;
    send(&bench, carol.id).await.unwrap();
    assert!(matches!(send(&bench, carol.id).await, Err(Rejection::TooManyMails(_))), "not two at once");
    let link = mailbox.link().await;
    assert_eq!(set(&bench, &link, NEW, "").await, Outcome::Set);
    let mut browser = Browser::default();
    assert!(matches!(browser.password(&bench, "carol", NEW).await, Step::SignedIn { .. }));
    let dave = bench.add("dave").await.user;
    assert!(matches!(send(&bench, dave.id).await, Err(Rejection::NoAddress(_))));
    let eve = bench.add_with_mail("eve", Method::Totp).await.user;
    bench.services.users.set_disabled("eve", true, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    assert!(matches!(send(&bench, eve.id).await, Err(Rejection::Disabled(_))));
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user;
    assert_eq!(send(&bench, alice.id).await, Err(Rejection::MailNotConfigured));
}

#[tokio::test]
async fn of_fifty_at_once_with_one_link_one_sets_its_password() {
    let (bench, mut mailbox) = Bench::with_mail(no_second_factor).await;
    let alice = bench.add_with_mail("alice", Method::Totp).await.user;
    let bench = Arc::new(bench);
    send(&bench, alice.id).await.unwrap();
    let link = mailbox.link().await;
    let all = (0..50).map(|number| {
        let (bench, link) = (Arc::clone(&bench), link.clone());
        tokio::spawn(async move {
            let visit = Browser::default().visit(&bench).await;
            let new = format!("Quiet-river-{number}x");
            loop {
                match bench.services.resets.set(&visit, None, &link, new.clone().into(), "").await {
                    Ok(outcome) => return outcome,
                    Err(ServiceError::Busy { .. }) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    let outcomes = futures_util::future::join_all(all).await;
    let won = outcomes.iter().filter(|outcome| *outcome.as_ref().unwrap() == Outcome::Set).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn the_value_of_a_link_is_nowhere_in_the_store() {
    let (bench, mut mailbox) = Bench::with_mail(no_second_factor).await;
    let alice = bench.add_with_mail("alice", Method::Totp).await.user;
    send(&bench, alice.id).await.unwrap();
    let link = mailbox.link().await;
    let value = link.encode();
    let listed =
        bench.store.list::<crate::authn::reset_link::ResetLink>("", std::ops::Bound::Unbounded, 10, bench.now());
    let listed = listed.await.unwrap();
    assert_eq!(listed.len(), 1);
    let kept = format!("{} {}", listed[0].name, serde_json::to_string(&listed[0].record).unwrap());
    assert!(!kept.contains(value.expose_secret()));
}
