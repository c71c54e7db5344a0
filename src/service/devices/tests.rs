use std::ops::Bound;
use std::time::Duration;

use super::*;
use crate::audit::Event;
use crate::secret::Token;
use crate::service::login::Step;
use crate::service::testing::{Bench, Browser, PASSWORD};
use crate::service::visit::SekishoCookies;
use crate::store::engine::Outcome;
use crate::store::record::Slot;

const MINUTE: Duration = Duration::from_secs(60);

async fn indexed(bench: &Bench) -> Vec<String> {
    let listed = bench.store.list::<DeviceIndex>("", Bound::Unbounded, 100, bench.now()).await.unwrap();
    listed.into_iter().map(|listed| listed.name).collect()
}

async fn keys(bench: &Bench) -> Vec<String> {
    let listed = bench.store.list::<Device>("", Bound::Unbounded, 100, bench.now()).await.unwrap();
    let name = |listed: crate::store::record::Listed<Device>| {
        let (digest, user) = listed.name.split_once('/').unwrap();
        format!("{user}/{digest}")
    };
    let mut names: Vec<_> = listed.into_iter().map(name).collect();
    names.sort();
    names
}

/// Alice on two browsers, and the sessions that she has there.
async fn alice_on_two(bench: &Bench) -> (UserId, Browser, Browser) {
    let alice = bench.add("alice").await.user;
    let mut first = Browser::default();
    let app = first.enrol(bench, "alice", true).await;
    bench.advance(MINUTE);
    let mut second = Browser::default();
    assert!(matches!(second.password(bench, "alice", PASSWORD).await, Step::Code { .. }));
    assert!(matches!(second.code(bench, &app.code(bench.now()), true).await, Step::SignedIn { .. }));
    (alice.id, first, second)
}

async fn actor(bench: &Bench, browser: &Browser) -> Actor {
    Actor::of(&browser.visit(bench).await, Some("test")).unwrap()
}

/// Gives a key one new value after another, as a browser does at each second factor, until it is gone.
async fn restless(bench: Arc<Bench>, mut digest: TokenDigest, user: UserId) {
    while let Slot { record: Some(device), seen } =
        bench.store.get::<Device>(&device_name(&digest, user), bench.now()).await.unwrap()
    {
        let next = Token::generate().unwrap().digest();
        let change = Change::new().unchanged::<Device>(&device_name(&digest, user), seen);
        let change = with(without(change, &[(digest, device.clone())]), &next, &device);
        if let Outcome::Committed(_) = bench.store.commit(change).await.unwrap() {
            digest = next;
        }
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_key_that_was_given_a_new_value_while_it_was_forgotten() {
    let bench = Arc::new(Bench::new(|_| {}));
    let alice = bench.add("alice").await.user;
    let mut browser = Browser::default();
    let app = browser.enrol(&bench, "alice", true).await;
    for round in 0..20 {
        let known = bench.services.devices.list(alice.id, bench.now()).await.unwrap();
        let id = known.first().expect("the browser is known").device.id;
        let digest = browser.cookies.device.as_ref().unwrap().digest();
        let restless = tokio::spawn(restless(Arc::clone(&bench), digest, alice.id));
        let devices = &bench.services.devices;
        let forgotten = match round % 2 {
            0 => devices.forget_all(alice.id, &Actor::CommandLine, bench.now()).await.unwrap().unwrap(),
            _ => devices.forget_of(alice.id, id, &Actor::CommandLine, bench.now()).await.unwrap().unwrap().unwrap(),
        };
        assert_eq!((forgotten.devices, keys(&bench).await.len()), (1, 0), "round {round}");
        restless.await.unwrap();
        bench.advance(MINUTE);
        browser.password(&bench, "alice", PASSWORD).await;
        browser.code(&bench, &app.code(bench.now()), true).await;
    }
}

#[tokio::test]
async fn every_key_stands_in_the_index_of_its_account_and_nothing_else_does() {
    let bench = Bench::new(|_| {});
    let (alice, mut shared, _) = alice_on_two(&bench).await;
    let bob = bench.add("bob").await.user;
    // The browser gets a new value, and alice's key there moves along.
    shared.enrol(&bench, "bob", true).await;
    assert_eq!(keys(&bench).await.len(), 3);
    assert_eq!(indexed(&bench).await, keys(&bench).await);
    let devices = &bench.services.devices;
    assert_eq!(devices.list(alice, bench.now()).await.unwrap().len(), 2);
    assert_eq!(devices.list(bob.id, bench.now()).await.unwrap().len(), 1);
    assert_eq!(devices.list_all(bench.now()).await.unwrap().len(), 3);
    bench.services.users.delete("alice", &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    assert_eq!(keys(&bench).await.len(), 1);
    assert_eq!(indexed(&bench).await, keys(&bench).await);
}

#[tokio::test]
async fn a_forgotten_browser_is_asked_for_the_code_and_its_sessions_are_over() {
    let bench = Bench::new(|_| {});
    let (alice, first, second) = alice_on_two(&bench).await;
    let devices = &bench.services.devices;
    let listed = devices.list(alice, bench.now()).await.unwrap();
    let lost = listed.iter().find(|view| view.device.first_seen < bench.now()).unwrap().device.id;
    let by = actor(&bench, &second).await;
    let forgotten = devices.forget_of(alice, lost, &by, bench.now()).await.unwrap();
    assert_eq!(forgotten, Ok(Some(Forgotten { devices: 1, sessions: 1 })));
    assert!(!bench.passes(&first.session()).await);
    assert!(bench.passes(&second.session()).await);
    let mut first = Browser { cookies: SekishoCookies { session: None, ..first.cookies }, ..first };
    assert!(matches!(first.password(&bench, "alice", PASSWORD).await, Step::Code { .. }));
    let events = bench.store.list::<Event>("", Bound::Unbounded, 100, bench.now()).await.unwrap();
    let event = &events.iter().find(|event| event.record.kind == Kind::DeviceForgotten).unwrap().record;
    assert_eq!((event.user, event.detail.as_str()), (Some(alice), lost.to_string().as_str()));
    assert_eq!(devices.forget_of(alice, lost, &by, bench.now()).await.unwrap(), Ok(None), "once is enough");
}

#[tokio::test]
async fn forgetting_all_browsers_keeps_the_session_of_whoever_asks() {
    let bench = Bench::new(|_| {});
    let (alice, first, second) = alice_on_two(&bench).await;
    let by = actor(&bench, &second).await;
    let devices = &bench.services.devices;
    let forgotten = devices.forget_all(alice, &by, bench.now()).await.unwrap();
    assert_eq!(forgotten, Ok(Forgotten { devices: 2, sessions: 1 }));
    assert!(!bench.passes(&first.session()).await);
    assert!(bench.passes(&second.session()).await);
    assert_eq!(devices.forget_all(alice, &by, bench.now()).await.unwrap(), Ok(Forgotten::default()));
    assert_eq!(keys(&bench).await, Vec::<String>::new());
}

/// A programme that keeps no cookies leaves a key at each login.
#[tokio::test]
async fn more_browsers_than_one_commit_can_take_are_forgotten_all_the_same() {
    let bench = Bench::new(|_| {});
    let (alice, _, _) = alice_on_two(&bench).await;
    let sample = bench.services.devices.list(alice, bench.now()).await.unwrap().remove(0).device;
    for index in 0..2 * u16::try_from(FORGOTTEN_AT_ONCE).unwrap() {
        let id = [[3; 8].as_slice(), &index.to_be_bytes()].concat();
        let device = Device { id: DeviceId::from_bytes(id.try_into().unwrap()), ..sample.clone() };
        let change = with(Change::new(), &crate::secret::Token::generate().unwrap().digest(), &device);
        bench.store.commit(change.lazy()).await.unwrap();
    }
    let forgotten = bench.services.devices.forget_all(alice, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    assert_eq!(forgotten.devices, 2 * FORGOTTEN_AT_ONCE as u64 + 2);
    assert_eq!(indexed(&bench).await, keys(&bench).await);
    assert_eq!(keys(&bench).await, Vec::<String>::new());
}

#[tokio::test]
async fn nobody_forgets_a_browser_of_somebody_else() {
    let bench = Bench::new(|_| {});
    let (alice, first, _) = alice_on_two(&bench).await;
    let bob = bench.add("bob").await.user;
    let mut bobs = Browser::default();
    bobs.enrol(&bench, "bob", true).await;
    let by = actor(&bench, &bobs).await;
    let devices = &bench.services.devices;
    for view in devices.list(alice, bench.now()).await.unwrap() {
        assert_eq!(devices.forget_of(bob.id, view.device.id, &by, bench.now()).await.unwrap(), Ok(None));
        let of_alice = devices.forget_of(alice, view.device.id, &by, bench.now()).await.unwrap();
        assert_eq!(of_alice, Err(Rejection::Forbidden));
        assert_eq!(devices.forget(view.device.id, &by, bench.now()).await.unwrap(), Err(Rejection::Forbidden));
    }
    assert_eq!(devices.forget_all(alice, &by, bench.now()).await.unwrap(), Err(Rejection::Forbidden));
    assert_eq!(devices.list(alice, bench.now()).await.unwrap().len(), 2);
    assert!(bench.passes(&first.session()).await);
}

#[tokio::test]
async fn the_command_line_forgets_a_browser_by_its_id_alone() {
    let bench = Bench::new(|_| {});
    let (alice, _, second) = alice_on_two(&bench).await;
    let devices = &bench.services.devices;
    let newest = devices.list(alice, bench.now()).await.unwrap().remove(0).device;
    let forgotten = devices.forget(newest.id, &Actor::CommandLine, bench.now()).await.unwrap();
    assert_eq!(forgotten, Ok(Some(Forgotten { devices: 1, sessions: 1 })));
    assert!(!bench.passes(&second.session()).await);
    assert_eq!(devices.forget(newest.id, &Actor::CommandLine, bench.now()).await.unwrap(), Ok(None));
}
