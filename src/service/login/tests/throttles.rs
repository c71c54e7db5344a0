//! What guessing may cost, and what it must not tell (A26, A27).

use super::*;

/// From now on a hash costs more than those that were made before.
fn dearer(bench: &Bench) {
    let mut config = bench.config();
    no_second_factor(&mut config);
    config.password.argon2 = Argon2 { memory_kib: 64, iterations: 2, parallelism: 1 };
    bench.services.config.store(Arc::new(config));
}

async fn judged(bench: &Bench) -> usize {
    let failed = |event: &&Event| event.kind == Kind::Login && event.detail != "locked";
    events(bench).await.iter().filter(failed).count()
}

/// A right password that is not judged must take no longer than a wrong one: a hash of old days is not renewed by it.
#[tokio::test]
async fn a26_during_a_lock_a_right_password_costs_as_much_as_a_wrong_one_whatever_the_hash() {
    let bench = Bench::new(no_second_factor);
    for login in ["locked", "disabled", "inside"] {
        bench.add(login).await;
    }
    bench.services.users.set_disabled("disabled", true, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    let mut inside = Browser::default();
    inside.password(&bench, "inside", PASSWORD).await;
    for _ in 0..5 {
        Browser::default().password(&bench, "locked", "wrong").await;
        inside.password_again(&bench, "wrong").await;
    }
    dearer(&bench);
    let mut cost = Vec::new();
    for password in [PASSWORD, "Wrong-horse-8"] {
        for login in ["locked", "disabled", "inside"] {
            let (work, hashes) = (bench.hash_work(), bench.hashes());
            let step = match login {
                "inside" => inside.password_again(&bench, password).await,
                _ => Browser::default().password(&bench, login, password).await,
            };
            assert!(matches!(step, Step::Refused(Refusal::InvalidCredentials)), "{login}: {step:?}");
            cost.push((bench.hash_work() - work, bench.hashes() - hashes));
        }
    }
    assert!(cost.iter().all(|one| *one == cost[0]), "{cost:?}");
    // Where it lets in, it is.
    bench.advance(Duration::from_secs(15 * 60));
    let hashes = bench.hashes();
    assert!(matches!(Browser::default().password(&bench, "locked", PASSWORD).await, Step::SignedIn { .. }));
    assert_eq!(bench.hashes() - hashes, cost[0].1 + 1);
}

#[tokio::test]
async fn a27_of_many_guesses_at_once_from_one_address_no_more_are_judged_than_it_may_have_wrong() {
    let bench = Bench::new(|config| {
        no_second_factor(config);
        config.lockout.per_address.max_failures = 3;
    });
    let (bench, guess) = (&bench, async |bench: &Bench, number: usize| {
        Browser::from("2001:db8::1").password(bench, &format!("nobody{number}"), "wrong").await
    });
    let steps = futures_util::future::join_all((0..40).map(|number| guess(bench, number))).await;
    let told = |step: &&Step| matches!(step, Step::Refused(Refusal::InvalidCredentials));
    assert_eq!((steps.iter().filter(told).count(), judged(bench).await), (3, 3));
    // A whole network of IPv6 is one address, and another one is not kept waiting.
    let waits = |step| matches!(step, Step::Refused(Refusal::TooManyAttempts { .. }));
    assert!(waits(Browser::from("2001:db8::ffff:1").password(bench, "nobody", "wrong").await));
    assert!(!waits(Browser::from("2001:db8:0:1::1").password(bench, "nobody", "wrong").await));
}

#[tokio::test]
async fn a27_an_address_that_waits_keeps_no_owner_out_of_a_browser_with_a_key() {
    let bench = Bench::new(|config| config.lockout.per_address.max_failures = 10);
    for login in ["alice", "bob"] {
        bench.add(login).await;
    }
    let mut alice = Browser::from("198.51.100.1");
    alice.enrol(&bench, "alice", true).await;
    alice.cookies.session = None;
    for number in 0..10 {
        Browser::from("198.51.100.1").password(&bench, &format!("nobody{number}"), "wrong").await;
    }
    let waits = |step: &Step| matches!(step, Step::Refused(Refusal::TooManyAttempts { .. }));
    assert!(waits(&Browser::from("198.51.100.1").password(&bench, "alice", PASSWORD).await));
    assert!(waits(&alice.clone().password(&bench, "bob", PASSWORD).await), "the key is alice's alone");
    assert!(matches!(alice.clone().password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
    // It is no way to guess on: five wrong ones, and the browser waits like any other.
    for _ in 0..5 {
        assert!(!waits(&alice.password(&bench, "alice", "wrong").await));
    }
    let before = bench.hashes();
    assert!(waits(&alice.password(&bench, "alice", PASSWORD).await));
    assert_eq!(bench.hashes(), before);
}

#[tokio::test]
async fn a27_right_passwords_never_make_an_address_wait() {
    let bench = Bench::new(|config| {
        no_second_factor(config);
        config.lockout.per_address.max_failures = 2;
    });
    for number in 0..6 {
        bench.add(&format!("user{number}")).await;
    }
    Browser::from("198.51.100.1").password(&bench, "user0", "wrong").await;
    for number in 0..6 {
        let step = Browser::from("198.51.100.1").password(&bench, &format!("user{number}"), PASSWORD).await;
        assert!(matches!(step, Step::SignedIn { .. }), "{number}: {step:?}");
    }
}

#[tokio::test]
async fn a36_a_recovery_code_that_is_not_judged_is_not_hashed() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let app = Browser::default().enrol(&bench, "alice", false).await;
    bench.advance(STEP * 3);
    let mut browser = Browser::default();
    browser.password(&bench, "alice", PASSWORD).await;
    for _ in 0..10 {
        browser.code(&bench, &wrong(&app, &bench), false).await;
    }
    let before = bench.hashes();
    let step = browser.recovery(&bench, "12345678", false).await;
    assert!(matches!(step, Step::Refused(Refusal::TooManyAttempts { .. })), "{step:?}");
    assert_eq!(bench.hashes(), before);
}
