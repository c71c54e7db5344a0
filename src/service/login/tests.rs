use std::ops::Bound;
use std::time::Duration;

use super::*;

mod confirm;
mod devices;
mod mail_flood;
mod mailed;
mod new_password;
mod own_password;
mod recovery;
mod throttles;
use crate::audit::{Event, Kind};
use crate::authn::device::Device;
use crate::authz::{Decision, Facts, Policy, decide};
use crate::config::{Argon2, Config};
use crate::service::actor::Actor;
use crate::service::testing::{App, Bench, Browser, PASSWORD};
use crate::service::users::UserChange;

const STEP: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(86_400);

fn wrong(app: &App, bench: &Bench) -> String {
    let right: u32 = app.code(bench.now()).parse().unwrap();
    // Neither the present step's nor, but for one chance in 500,000, a neighbour's.
    format!("{:06}", (right + 500_000) % 1_000_000)
}

fn no_second_factor(config: &mut Config) {
    config.second_factor.demand.policy = Policy::Off;
}

/// Keys of records, of any kind.
async fn devices(bench: &Bench) -> Vec<(String, Device)> {
    let listed = bench.store.list::<Device>("", Bound::Unbounded, 100, bench.now()).await.unwrap();
    listed.into_iter().map(|listed| (listed.name, listed.record)).collect()
}

async fn events(bench: &Bench) -> Vec<Event> {
    let listed = bench.store.list::<Event>("", Bound::Unbounded, 1000, bench.now()).await.unwrap();
    listed.into_iter().map(|listed| listed.record).collect()
}

#[tokio::test]
async fn a_first_login_enrols_and_a_second_one_asks_for_the_code() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut browser = Browser::default();
    let app = browser.enrol(&bench, "alice", false).await;
    assert!(bench.passes(&browser.session()).await);
    bench.advance(STEP);
    let mut browser = Browser::default();
    assert!(matches!(browser.password(&bench, " Alice ", PASSWORD).await, Step::Code { .. }));
    let step = browser.code(&bench, &app.code(bench.now()), false).await;
    assert!(matches!(step, Step::SignedIn { return_to, device: Some(_), .. } if return_to == "/orders?id=7"));
    let live = bench.live(&browser.session()).await.unwrap();
    assert_eq!(live.second_factor_at(), Some(bench.now()));
    let view = bench.services.users.show("alice", bench.now()).await.unwrap().unwrap();
    assert_eq!(view.user.last_login, Some(bench.now()));
}

#[tokio::test]
async fn nothing_between_the_password_and_the_code_is_a_session() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    Browser::default().enrol(&bench, "alice", false).await;
    let mut browser = Browser::default();
    let Step::Code { flow } = browser.password(&bench, "alice", PASSWORD).await else { panic!("no code asked for") };
    assert!(!bench.passes(&flow).await);
    for code in ["", " ", "000000", "null", "１２３"] {
        assert!(matches!(browser.code(&bench, code, true).await, Step::Refused(_)), "{code}");
    }
    assert!(browser.cookies.session.is_none());
    assert!(devices(&bench).await.len() == 1, "a wrong code makes no device key");
}

#[tokio::test]
async fn a_flow_is_good_for_fifteen_minutes_and_for_one_login() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let app = Browser::default().enrol(&bench, "alice", false).await;
    let restart = |step: Step| matches!(step, Step::Refused(Refusal::RestartLogin));
    let mut browser = Browser::default();
    browser.password(&bench, "alice", PASSWORD).await;
    bench.advance(Duration::from_secs(15 * 60));
    assert!(restart(browser.code(&bench, &app.code(bench.now()), false).await));
    browser.password(&bench, "alice", PASSWORD).await;
    let spent = browser.clone();
    assert!(matches!(browser.code(&bench, &app.code(bench.now()), false).await, Step::SignedIn { .. }));
    bench.advance(STEP);
    assert!(restart(spent.clone().code(&bench, &app.code(bench.now()), false).await));
    let mut invented = Browser::default();
    invented.cookies.flow = Some(Token::generate().unwrap());
    assert!(restart(invented.code(&bench, &app.code(bench.now()), false).await));
}

#[tokio::test]
async fn wrong_login_wrong_password_disabled_and_locked_look_and_cost_the_same() {
    let bench = Bench::new(|_| {});
    for login in ["alice", "disabled", "locked", "empty"] {
        bench.add(login).await;
    }
    bench.services.users.set_disabled("disabled", true, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    let without = crate::service::testing::new_user("passwordless");
    bench.services.users.add(without, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    for _ in 0..5 {
        Browser::default().password(&bench, "locked", "wrong").await;
    }
    let attempts = [
        ("nobody", PASSWORD),
        ("no such login!", PASSWORD),
        ("alice", "wrong"),
        ("disabled", PASSWORD),
        ("locked", PASSWORD),
        ("passwordless", PASSWORD),
    ];
    for (login, password) in attempts {
        let (before, told) = (bench.hashes(), events(&bench).await.len());
        let step = Browser::default().password(&bench, login, password).await;
        assert!(matches!(step, Step::Refused(Refusal::InvalidCredentials)), "{login}: {step:?}");
        assert_eq!(bench.hashes() - before, 1, "{login}");
        assert_eq!(events(&bench).await.len() - told, 1, "{login}: one commit, with one event");
    }
}

#[tokio::test]
async fn the_store_is_asked_as_often_whether_or_not_there_is_such_an_account() {
    let bench = Bench::new(|config| config.lockout.per_address.max_failures = 8);
    bench.add("alice").await;
    let mut known = Browser::default();
    known.enrol(&bench, "alice", true).await;
    known.cookies.session = None;
    let mut strange = known.clone();
    strange.cookies.device = Some(Token::generate().unwrap());
    // By which schemes passwords are hashed is looked up once.
    Browser::default().password(&bench, "alice", "wrong").await;
    let (mut judged, mut waits) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        for browser in [Browser::default(), strange.clone()] {
            let mut asked = Vec::new();
            for login in ["alice", "nobody"] {
                let before = bench.reads.count();
                let step = browser.clone().password(&bench, login, "wrong").await;
                asked.push((bench.reads.count() - before, matches!(step, Step::Refused(Refusal::InvalidCredentials))));
            }
            match asked[..] {
                [(alice, true), (nobody, true)] => judged.push((alice, nobody)),
                [(alice, false), (nobody, false)] => waits.push((alice, nobody)),
                // From the second one on the address has to wait.
                _ => {}
            }
        }
    }
    assert!(judged.len() > 2 && waits.len() > 2, "{judged:?} {waits:?}");
    assert!(judged.iter().chain(&waits).all(|(alice, nobody)| alice == nobody), "{judged:?} {waits:?}");
}

#[tokio::test]
async fn another_login_in_the_same_browser_voids_the_one_before_it_and_no_other() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let app = Browser::default().enrol(&bench, "alice", false).await;
    bench.advance(STEP);
    let (mut browser, mut elsewhere) = (Browser::default(), Browser::default());
    for begins in [&mut browser, &mut elsewhere] {
        assert!(matches!(begins.password(&bench, "alice", PASSWORD).await, Step::Code { .. }));
    }
    let mut before = browser.clone();
    // A wrong password is no login.
    browser.password(&bench, "alice", "wrong").await;
    assert!(before.view(&bench).await.is_some());
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::Code { .. }));
    let code = app.code(bench.now());
    assert!(matches!(before.code(&bench, &code, false).await, Step::Refused(Refusal::RestartLogin)));
    assert!(elsewhere.view(&bench).await.is_some());
    assert!(matches!(browser.code(&bench, &code, false).await, Step::SignedIn { .. }));
}

#[tokio::test]
async fn a_hash_that_is_cheaper_than_todays_costs_the_same_as_an_unknown_login() {
    let bench = Bench::new(no_second_factor);
    bench.add("alice").await;
    let mut config = bench.config();
    no_second_factor(&mut config);
    config.password.argon2 = Argon2 { memory_kib: 64, iterations: 2, parallelism: 1 };
    bench.services.config.store(Arc::new(config));
    bench.add("bob").await;
    for login in ["nobody", "alice", "bob"] {
        let (work, told) = (bench.hash_work(), events(&bench).await.len());
        let step = Browser::default().password(&bench, login, "Wrong-horse-8").await;
        assert!(matches!(step, Step::Refused(Refusal::InvalidCredentials)), "{login}: {step:?}");
        assert_eq!(bench.hash_work() - work, 128, "{login}: KiB of memory times passes");
        assert_eq!(events(&bench).await.len() - told, 1);
    }
    // Once its owner has signed in, the hash itself costs that much.
    assert!(matches!(Browser::default().password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
    let (work, hashes) = (bench.hash_work(), bench.hashes());
    Browser::default().password(&bench, "alice", "Wrong-horse-8").await;
    assert_eq!((bench.hash_work() - work, bench.hashes() - hashes), (128, 1));
}

#[tokio::test]
async fn a_password_that_nobody_can_have_is_refused_without_hashing_it() {
    let bench = Bench::new(no_second_factor);
    bench.add("alice").await;
    let before = bench.hashes();
    let step = Browser::default().password(&bench, "alice", &"x".repeat(1 << 20)).await;
    assert!(matches!(step, Step::Refused(Refusal::InvalidCredentials)));
    assert_eq!(bench.hashes(), before);
    // As long as one may be, with blanks at both ends: nothing is cut off, nothing trimmed.
    for password in [format!(" {} ", "Aa1 ".repeat(60)), format!(" Aa1{} ", "ü".repeat(124))] {
        let change = UserChange { password: Some(password.as_str().into()), ..UserChange::default() };
        bench.services.users.set("alice", change, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
        let step = Browser::default().password(&bench, "alice", password.trim()).await;
        assert!(matches!(step, Step::Refused(_)));
        assert!(matches!(Browser::default().password(&bench, "alice", &password).await, Step::SignedIn { .. }));
    }
}

#[tokio::test]
async fn five_wrong_passwords_lock_for_a_while_in_every_spelling_and_from_everywhere() {
    let bench = Bench::new(no_second_factor);
    bench.add("alice").await;
    for (n, login) in ["alice", "Alice", "alice ", "ALICE", " aLiCe"].into_iter().enumerate() {
        Browser::from(&format!("192.0.2.{n}")).password(&bench, login, "wrong").await;
    }
    let right = async |bench| Browser::from("192.0.2.99").password(bench, "alice", PASSWORD).await;
    assert!(matches!(right(&bench).await, Step::Refused(Refusal::InvalidCredentials)));
    let view = bench.services.users.show("alice", bench.now()).await.unwrap().unwrap();
    assert_eq!(view.locked_until, Some(bench.now().plus(Duration::from_secs(15 * 60))));
    assert!(events(&bench).await.iter().any(|event| event.kind == Kind::Lockout));
    bench.advance(Duration::from_secs(15 * 60));
    assert!(matches!(right(&bench).await, Step::SignedIn { .. }));
}

#[tokio::test]
async fn a_manager_lifts_a_lock() {
    let bench = Bench::new(no_second_factor);
    bench.add("alice").await;
    for _ in 0..5 {
        Browser::default().password(&bench, "alice", "wrong").await;
    }
    bench.services.users.unlock("alice", &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    assert!(matches!(Browser::default().password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
}

#[tokio::test]
async fn of_many_guesses_at_once_no_more_are_judged_than_one_after_the_other() {
    let bench = Bench::new(no_second_factor);
    bench.add("alice").await;
    let guess = |n: usize| {
        let bench = &bench;
        async move {
            let password = if n < 23 { "wrong" } else { PASSWORD };
            Browser::default().password(bench, "alice", password).await
        }
    };
    let steps = futures_util::future::join_all((0..24).map(guess)).await;
    let view = bench.services.users.show("alice", bench.now()).await.unwrap().unwrap();
    assert!(view.locked_until.is_some());
    let wrong = events(&bench).await.into_iter().filter(|event| event.detail == "wrong password").count();
    // Whoever knows the password begins the count anew, where that comes before the lock.
    let signed_in = steps.iter().filter(|step| matches!(step, Step::SignedIn { .. })).count();
    assert!((5..=5 + 4 * signed_in).contains(&wrong), "{wrong} judged, {signed_in} signed in");
}

#[tokio::test]
async fn guessing_from_elsewhere_does_not_lock_the_owner_out_of_a_browser_with_a_key() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut owner = Browser::default();
    owner.enrol(&bench, "alice", true).await;
    owner.cookies.session = None;
    for _ in 0..6 {
        Browser::from("198.51.100.1").password(&bench, "alice", "wrong").await;
    }
    let stranger = Browser::from("198.51.100.1").password(&bench, "alice", PASSWORD).await;
    assert!(matches!(stranger, Step::Refused(_)));
    assert!(matches!(owner.password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
}

#[tokio::test]
async fn an_address_with_too_many_failures_waits_whatever_the_login() {
    let bench = Bench::new(|config| {
        no_second_factor(config);
        config.lockout.per_address.max_failures = 3;
    });
    bench.add("alice").await;
    for n in 0..3 {
        Browser::from("198.51.100.1").password(&bench, &format!("nobody{n}"), "wrong").await;
    }
    let before = bench.hashes();
    let step = Browser::from("198.51.100.1").password(&bench, "alice", PASSWORD).await;
    assert!(matches!(step, Step::Refused(Refusal::TooManyAttempts { retry_after }) if retry_after > Duration::ZERO));
    assert_eq!(bench.hashes(), before);
    assert!(matches!(Browser::from("198.51.100.2").password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
    bench.advance(Duration::from_secs(15 * 60));
    assert!(matches!(Browser::from("198.51.100.1").password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
}

#[tokio::test]
async fn a_hash_is_renewed_at_login_when_the_settings_rise_and_never_lowered() {
    let bench = Bench::new(no_second_factor);
    bench.add("alice").await;
    let cost = |bench: &Bench, memory_kib| {
        let mut config = bench.config();
        no_second_factor(&mut config);
        config.password.argon2 = Argon2 { memory_kib, iterations: 1, parallelism: 1 };
        bench.services.config.store(std::sync::Arc::new(config));
    };
    cost(&bench, 64);
    Browser::default().password(&bench, "alice", PASSWORD).await;
    assert!(stored_hash(&bench).await.contains("m=64,"));
    cost(&bench, 32);
    assert!(matches!(Browser::default().password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
    assert!(stored_hash(&bench).await.contains("m=64,"));
}

async fn stored_hash(bench: &Bench) -> String {
    bench.services.users.show("alice", bench.now()).await.unwrap().unwrap().user.password.unwrap().hash
}

#[tokio::test]
async fn a_code_is_good_once_in_this_and_in_any_other_browser() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let app = Browser::default().enrol(&bench, "alice", false).await;
    // The code that enrolled is spent, too.
    let mut browser = Browser::default();
    browser.password(&bench, "alice", PASSWORD).await;
    let code = app.code(bench.now());
    assert!(matches!(browser.code(&bench, &code, false).await, Step::Refused(Refusal::UsedCode)));
    bench.advance(STEP);
    let code = app.code(bench.now());
    let mut other = Browser::default();
    other.password(&bench, "alice", PASSWORD).await;
    assert!(matches!(browser.code(&bench, &code, false).await, Step::SignedIn { .. }));
    assert!(matches!(other.code(&bench, &code, false).await, Step::Refused(Refusal::UsedCode)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_requests_with_the_same_code_one_wins() {
    let bench = std::sync::Arc::new(Bench::new(|_| {}));
    bench.add("alice").await;
    let app = Browser::default().enrol(&bench, "alice", false).await;
    for round in 0..20 {
        bench.advance(STEP);
        // Half of them share a flow, half have one each.
        let mut shared = Browser::default();
        shared.password(&bench, "alice", PASSWORD).await;
        let mut browsers = vec![shared; 25];
        for _ in 0..5 {
            let mut own = Browser::default();
            own.password(&bench, "alice", PASSWORD).await;
            browsers.extend(vec![own; 5]);
        }
        let code = app.code(bench.now());
        let tasks: Vec<_> = browsers
            .into_iter()
            .map(|mut browser| {
                let (bench, code) = (std::sync::Arc::clone(&bench), code.clone());
                tokio::spawn(async move { browser.code(&bench, &code, false).await })
            })
            .collect();
        let mut winners = 0;
        for task in tasks {
            winners += usize::from(matches!(task.await.unwrap(), Step::SignedIn { .. }));
        }
        assert_eq!(winners, 1, "round {round}");
        // The others were counted as wrong ones; a right code has ended the row.
    }
}

#[tokio::test]
async fn ten_wrong_codes_use_a_flow_up_and_the_third_hints_at_the_clock() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let app = Browser::default().enrol(&bench, "alice", false).await;
    bench.advance(STEP * 3);
    let mut browser = Browser::default();
    browser.password(&bench, "alice", PASSWORD).await;
    let bad = wrong(&app, &bench);
    for n in 1..10 {
        let step = browser.code(&bench, &bad, false).await;
        assert!(matches!(step, Step::Refused(Refusal::WrongCode { clock_hint }) if clock_hint == (n >= 3)), "{n}");
    }
    let too_many = |step| matches!(step, Step::Refused(Refusal::TooManyAttempts { .. }));
    assert!(too_many(browser.code(&bench, &bad, false).await));
    assert!(too_many(browser.code(&bench, &app.code(bench.now()), false).await));
    // With the password again, it goes on.
    browser.password(&bench, "alice", PASSWORD).await;
    assert!(matches!(browser.code(&bench, &app.code(bench.now()), false).await, Step::SignedIn { .. }));
}

#[tokio::test]
async fn after_a_hundred_wrong_codes_in_a_row_no_code_is_judged_until_a_manager_helps() {
    let bench = Bench::new(|config| config.lockout.max_in_row = 20);
    bench.add("alice").await;
    let app = Browser::default().enrol(&bench, "alice", false).await;
    bench.advance(STEP * 3);
    let bad = wrong(&app, &bench);
    let mut browser = Browser::default();
    for n in 0..20 {
        if n % 10 == 0 {
            browser.password(&bench, "alice", PASSWORD).await;
        }
        browser.code(&bench, &bad, false).await;
    }
    let right = || async {
        let mut browser = Browser::default();
        assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::Code { .. }));
        browser.code(&bench, &app.code(bench.now()), false).await
    };
    assert!(matches!(right().await, Step::Refused(Refusal::Locked)));
    bench.advance(DAY * 100);
    assert!(matches!(right().await, Step::Refused(Refusal::Locked)));
    bench.services.users.unlock("alice", &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    assert!(matches!(right().await, Step::SignedIn { .. }));
}

#[tokio::test]
async fn an_account_changed_meanwhile_starts_from_the_beginning() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let app = Browser::default().enrol(&bench, "alice", false).await;
    bench.advance(STEP);
    let mut browser = Browser::default();
    browser.password(&bench, "alice", PASSWORD).await;
    let change = UserChange { password: Some("Another-horse-8".into()), ..UserChange::default() };
    bench.services.users.set("alice", change, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    let step = browser.code(&bench, &app.code(bench.now()), false).await;
    assert!(matches!(step, Step::Refused(Refusal::Locked)));
}

#[tokio::test]
async fn every_sign_in_has_a_value_of_its_own_and_ends_the_browsers_old_session() {
    let bench = Bench::new(no_second_factor);
    bench.add("alice").await;
    let mut browser = Browser::default();
    let planted = Token::generate().unwrap();
    browser.cookies.session = Some(planted.clone());
    browser.password(&bench, "alice", PASSWORD).await;
    let first = browser.session();
    assert_ne!(first.digest(), planted.digest());
    assert!(!bench.passes(&planted).await, "an unknown value is never adopted");
    let open = bench.live(&first).await.unwrap();
    browser.password(&bench, "alice", PASSWORD).await;
    assert!(!bench.passes(&first).await);
    assert!(open.ended().is_cancelled());
    assert!(bench.passes(&browser.session()).await);
}

#[tokio::test]
async fn of_too_many_sessions_the_oldest_goes() {
    let bench = Bench::new(|config| {
        no_second_factor(config);
        config.session.max_per_user = 3;
    });
    bench.add("alice").await;
    let mut browsers = vec![Browser::default(); 5];
    for browser in &mut browsers {
        bench.advance(Duration::from_secs(1));
        browser.password(&bench, "alice", PASSWORD).await;
    }
    for (n, browser) in browsers.iter().enumerate() {
        assert_eq!(bench.passes(&browser.session()).await, n >= 2, "{n}");
    }
}

#[tokio::test]
async fn however_many_sessions_are_too_many_a_login_ends_them_and_tells_of_each() {
    let bench = Bench::new(|config| {
        no_second_factor(config);
        config.session.max_per_user = 2;
    });
    let alice = bench.add("alice").await.user;
    for _ in 0..400 {
        bench.begin(&alice).await;
    }
    bench.advance(Duration::from_secs(1));
    assert!(matches!(Browser::default().password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
    assert_eq!(bench.services.sessions.of_user(alice.id, bench.now()).await.unwrap().len(), 2);
    let ends = events(&bench).await.into_iter().filter(|event| event.kind == Kind::SessionEnded);
    assert_eq!(ends.filter_map(|event| event.session).collect::<std::collections::HashSet<_>>().len(), 399);
}

#[tokio::test]
async fn a_node_whose_clock_is_a_little_behind_takes_what_was_given_at_another() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut browser = Browser::default();
    browser.enrol(&bench, "alice", true).await;
    bench.clock.set_back(Duration::from_millis(200));
    assert_eq!(browser.missing(&bench).await, None);
    let live = bench.live(&browser.session()).await.unwrap();
    let identity = live.identity(&bench.route()).unwrap();
    let facts = Facts { client: "192.0.2.1".parse().unwrap(), websocket_origin: None };
    let decision = decide(&bench.route(), &facts, Some(&identity), bench.now());
    assert!(matches!(decision, Decision::Forward(_)), "{decision:?}");
}

#[tokio::test]
async fn a_step_up_needs_no_password_and_gives_the_session_a_new_value() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut browser = Browser::default();
    let app = browser.enrol(&bench, "alice", true).await;
    let (old, id) = (browser.session(), bench.live(&browser.session()).await.unwrap().id());
    let open = bench.live(&old).await.unwrap();
    let mut strict = bench.destination();
    strict.demand.recheck_interval = Duration::from_secs(60);
    let login = &bench.services.login;
    let visit = browser.visit(&bench).await;
    let step = login.step_up(&visit, strict.clone()).await.unwrap();
    assert!(matches!(step, Step::SignedIn { session, .. } if session.digest() == old.digest()), "nothing is due yet");
    bench.advance(Duration::from_secs(120));
    let visit = browser.visit(&bench).await;
    let Step::Code { flow } = login.step_up(&visit, strict.clone()).await.unwrap() else { panic!("no code asked for") };
    browser.cookies.flow = Some(flow.clone());
    let visit = browser.visit(&bench).await;
    let view = login.view(&visit, &flow).await.unwrap().unwrap();
    assert!(view.step_up && view.stage == Stage::CodeDue && view.login == "alice");
    // A reload gives no new tries.
    let again = login.step_up(&visit, strict).await.unwrap();
    assert!(matches!(again, Step::Code { flow: same } if same.digest() == flow.digest()));
    // Without the session the flow leads nowhere.
    let mut thief = Browser::default();
    thief.cookies.flow = Some(flow);
    assert!(matches!(thief.code(&bench, &app.code(bench.now()), false).await, Step::Refused(Refusal::RestartLogin)));
    assert!(matches!(browser.code(&bench, &app.code(bench.now()), false).await, Step::SignedIn { .. }));
    assert!(!bench.passes(&old).await, "the old value is dead");
    let live = bench.live(&browser.session()).await.unwrap();
    assert_eq!((live.id(), live.second_factor_at()), (id, Some(bench.now())));
    assert!(!open.ended().is_cancelled(), "what is open stays open");
}

#[tokio::test]
async fn a_step_up_without_an_app_asks_for_the_password_again_and_enrols() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut browser = Browser::default();
    let mut lax = bench.destination();
    lax.demand.policy = Policy::Off;
    assert!(matches!(browser.password_to(&bench, "alice", PASSWORD, lax).await, Step::SignedIn { device: None, .. }));
    let visit = browser.visit(&bench).await;
    let step = bench.services.login.step_up(&visit, bench.destination()).await.unwrap();
    assert!(matches!(step, Step::Refused(Refusal::RestartLogin)));
    browser.enrol(&bench, "alice", false).await;
    let nobody = Browser::default().visit(&bench).await;
    let step = bench.services.login.step_up(&nobody, bench.destination()).await.unwrap();
    assert!(matches!(step, Step::Refused(Refusal::RestartLogin)));
}

#[tokio::test]
async fn where_nobody_may_sign_in_nobody_does() {
    let bench = Bench::new(no_second_factor);
    bench.add("alice").await;
    let mut visit = Browser::default().visit(&bench).await;
    visit.may_sign_in = false;
    let credentials = Credentials { login: "alice".into(), password: PASSWORD.into() };
    let step = bench.services.login.password(&visit, None, credentials, bench.destination()).await.unwrap();
    assert!(matches!(step, Step::Refused(_)));
}

#[tokio::test]
async fn events_tell_of_every_login_and_never_a_secret() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut browser = Browser::default();
    let app = browser.enrol(&bench, "alice", false).await;
    let evil = "a\n2026 INFO login ok user=root\x1b[31m";
    Browser::default().password(&bench, evil, PASSWORD).await;
    Browser::default().password(&bench, &"x".repeat(10_000), PASSWORD).await;
    let events = events(&bench).await;
    let of = |kind| events.iter().filter(|event| event.kind == kind).count();
    assert_eq!((of(Kind::Enrolment), of(Kind::Login)), (1, 3));
    assert!(events.iter().all(|event| event.login.chars().count() <= 64 && !event.login.contains(char::is_control)));
    let all = serde_json::to_string(&events).unwrap();
    for secret in [PASSWORD, &app.code(bench.now())] {
        assert!(!all.contains(secret));
    }
}
