//! What a device key spares, whom, and for how long.

use super::*;
use crate::id::{DeviceId, UserId};
use crate::secret::{TokenDigest, random_bytes};
use crate::service::devices;
use crate::store::record::Change;

#[tokio::test]
async fn a_remembered_device_is_spared_the_code_until_the_interval_is_over() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut browser = Browser::default();
    browser.enrol(&bench, "alice", true).await;
    let given_at = bench.now();
    bench.advance(DAY * 3);
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::SignedIn { device: None, .. }));
    // A spared login moves nothing forward.
    assert_eq!(bench.live(&browser.session()).await.unwrap().second_factor_at(), Some(given_at));
    bench.advance(DAY * 4 - Duration::from_millis(1));
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
    bench.advance(Duration::from_millis(1));
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::Code { .. }));
}

#[tokio::test]
async fn a_route_may_ask_for_a_fresher_second_factor() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut browser = Browser::default();
    browser.enrol(&bench, "alice", true).await;
    bench.advance(DAY * 2);
    let mut strict = bench.destination();
    strict.demand.recheck_interval = DAY;
    assert!(matches!(browser.password_to(&bench, "alice", PASSWORD, strict).await, Step::Code { .. }));
}

#[tokio::test]
async fn a_device_that_was_not_to_be_remembered_is_not_spared() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut browser = Browser::default();
    browser.enrol(&bench, "alice", false).await;
    assert!(browser.cookies.device.is_some(), "it is known all the same");
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::Code { .. }));
}

#[tokio::test]
async fn remembering_is_always_or_never_where_the_configuration_says_so() {
    for (setting, remember, spared) in [(RememberDevice::Always, false, true), (RememberDevice::Never, true, false)] {
        let bench = Bench::new(|config| config.second_factor.remember_device = setting);
        bench.add("alice").await;
        let mut browser = Browser::default();
        browser.enrol(&bench, "alice", remember).await;
        let step = browser.password(&bench, "alice", PASSWORD).await;
        assert_eq!(matches!(step, Step::SignedIn { .. }), spared, "{setting:?}");
    }
    // And a key from other days does not spare where nobody is to be spared now.
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut browser = Browser::default();
    browser.enrol(&bench, "alice", true).await;
    let mut config = bench.config();
    config.second_factor.remember_device = RememberDevice::Never;
    bench.services.config.store(std::sync::Arc::new(config));
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::Code { .. }));
}

#[tokio::test]
async fn a_device_key_is_worth_nothing_for_others_or_when_changed_forgotten_or_reset() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user;
    bench.add("bob").await;
    Browser::default().enrol(&bench, "bob", false).await;
    let mut browser = Browser::default();
    browser.enrol(&bench, "alice", true).await;
    browser.cookies.session = None;
    let asked = |mut browser: Browser, login: &'static str, password: &'static str| {
        let bench = &bench;
        async move { matches!(browser.password(bench, login, password).await, Step::Code { .. } | Step::Enrol { .. }) }
    };
    assert!(!asked(browser.clone(), "alice", PASSWORD).await);
    assert!(asked(browser.clone(), "bob", PASSWORD).await, "another account");
    let mut flipped = browser.clone();
    flipped.cookies.device = Some(Token::generate().unwrap());
    assert!(asked(flipped, "alice", PASSWORD).await, "another value");
    let change = UserChange { password: Some("Another-horse-8".into()), ..UserChange::default() };
    bench.services.users.set("alice", change, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    assert!(asked(browser.clone(), "alice", "Another-horse-8").await, "after a change of password");
    let (name, _) = devices(&bench).await.into_iter().find(|(_, device)| device.user == alice.id).unwrap();
    bench.store.commit(crate::store::record::Change::new().delete::<Device>(&name)).await.unwrap();
    assert!(asked(browser, "alice", "Another-horse-8").await, "after it was forgotten");
}

#[tokio::test]
async fn a_new_device_value_takes_the_keys_of_all_accounts_along() {
    let bench = Bench::new(|_| {});
    let (alice, bob) = (bench.add("alice").await.user, bench.add("bob").await.user);
    let mut browser = Browser::default();
    let app = browser.enrol(&bench, "alice", true).await;
    let old = browser.clone();
    bench.advance(STEP);
    browser.enrol(&bench, "bob", true).await;
    assert_ne!(old.cookies.device.unwrap().digest(), browser.cookies.device.as_ref().unwrap().digest());
    let now = devices(&bench).await;
    let digest = browser.cookies.device.as_ref().unwrap().digest().to_string();
    assert_eq!(now.len(), 2);
    assert!(now.iter().all(|(name, _)| name.starts_with(&digest)), "nothing is left under the old value");
    assert!(now.iter().any(|(_, device)| device.user == alice.id && device.spares));
    assert!(now.iter().any(|(_, device)| device.user == bob.id && device.spares));
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::SignedIn { .. }));
    // The same browser stays the same device over a new second factor.
    let id = now.iter().find(|(_, device)| device.user == alice.id).unwrap().1.id;
    bench.advance(DAY * 8);
    browser.password(&bench, "alice", PASSWORD).await;
    assert!(matches!(browser.code(&bench, &app.code(bench.now()), true).await, Step::SignedIn { .. }));
    assert_eq!(devices(&bench).await.iter().find(|(_, device)| device.user == alice.id).unwrap().1.id, id);
}

#[tokio::test]
async fn a_browser_that_hundreds_have_used_lets_people_in_and_knows_those_who_came_last() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let mut browser = Browser::default();
    let app = browser.enrol(&bench, "alice", true).await;
    let value = |browser: &Browser| browser.cookies.device.as_ref().unwrap().digest();
    let own = device_keys_under(&bench, &value(&browser)).await.pop().unwrap();
    for number in 0..250 {
        let other = Device {
            id: DeviceId::from_bytes(random_bytes().unwrap()),
            user: UserId::from_bytes(random_bytes().unwrap()),
            last_seen: bench.now().plus(Duration::from_millis(number)),
            ..own.clone()
        };
        bench.store.commit(devices::with(Change::new(), &value(&browser), &other)).await.unwrap();
    }
    let before = value(&browser);
    bench.advance(DAY * 7);
    assert!(matches!(browser.password(&bench, "alice", PASSWORD).await, Step::Code { .. }));
    let code = app.code(bench.now());
    assert!(matches!(browser.code(&bench, &code, true).await, Step::SignedIn { device: Some(_), .. }));
    assert!(device_keys_under(&bench, &before).await.is_empty());
    let mut left = device_keys_under(&bench, &value(&browser)).await;
    assert_eq!(left.len(), 101);
    left.retain(|device| device.user != own.user);
    assert!(left.iter().all(|device| device.last_seen >= own.last_seen.plus(Duration::from_millis(150))));
}

async fn device_keys_under(bench: &Bench, value: &TokenDigest) -> Vec<Device> {
    let listed = bench.store.list::<Device>(&format!("{value}/"), Bound::Unbounded, 1000, bench.now()).await.unwrap();
    listed.into_iter().map(|listed| listed.record).collect()
}
