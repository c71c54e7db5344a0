use super::*;
use crate::authn::device::Device;
use crate::authn::session::{Origin, Session};
use crate::id::DeviceId;
use crate::secret::Token;
use crate::service::testing::{Bench, PASSWORD, new_user};

async fn set(bench: &Bench, who: &str, change: UserChange) -> Result<UserView, Rejection> {
    bench.services.users.set(who, change, &Actor::CommandLine, bench.now()).await.unwrap()
}

#[tokio::test]
async fn an_account_is_found_by_login_in_any_spelling_and_by_id() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("Alice").await;
    let users = &bench.services.users;
    for who in ["alice", " ALICE ", &alice.user.id.to_string()] {
        assert_eq!(users.show(who, bench.now()).await.unwrap().unwrap().user.id, alice.user.id, "{who}");
    }
    assert_eq!(users.show("bob", bench.now()).await.unwrap().unwrap_err(), Rejection::NoSuchUser("bob".into()));
    assert!(alice.user.second_factor.switched_on, "the policy is `required`");
}

#[tokio::test]
async fn a_login_is_given_once() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let again = bench.services.users.add(new_user("ALICE"), &Actor::CommandLine, bench.now()).await.unwrap();
    assert!(matches!(again, Err(Rejection::LoginTaken(_))));
    assert_eq!(bench.services.users.list(bench.now()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn two_who_add_the_same_login_at_once_make_one_account() {
    let bench = Bench::new(|_| {});
    let all = (0..8).map(|_| bench.services.users.add(new_user("alice"), &Actor::CommandLine, bench.now()));
    let all = futures_util::future::join_all(all).await;
    assert_eq!(all.into_iter().filter(|one| one.as_ref().unwrap().is_ok()).count(), 1);
}

#[tokio::test]
async fn a_weak_password_and_a_method_that_cannot_work_are_rejected() {
    let bench = Bench::new(|_| {});
    let add = |new: NewUser| async {
        bench.services.users.add(new, &Actor::CommandLine, bench.now()).await.unwrap().unwrap_err()
    };
    let weak = NewUser { password: Some("short".into()), ..new_user("alice") };
    assert!(matches!(add(weak).await, Rejection::WeakPassword(_)));
    let own_login = NewUser { password: Some("Xx-alice-12345".into()), ..new_user("alice") };
    assert!(matches!(add(own_login).await, Rejection::WeakPassword(_)));
    let mail = NewUser { method: Some(Method::Mail), ..new_user("alice") };
    assert_eq!(add(mail).await, Rejection::MailWithoutAddress);
    let email = Some("a@example.com".parse().unwrap());
    let mail = NewUser { method: Some(Method::Mail), email, ..new_user("alice") };
    assert_eq!(add(mail).await, Rejection::MailNotConfigured);
    assert!(bench.services.users.list(bench.now()).await.unwrap().is_empty());
}

#[tokio::test]
async fn disabling_a_password_a_reset_and_deletion_end_every_session_before_they_are_answered() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    let users = &bench.services.users;
    for what in ["disable", "password", "reset", "role", "off", "delete"] {
        users.set_disabled("alice", false, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
        let user = users.show("alice", bench.now()).await.unwrap().unwrap().user;
        let (token, _) = bench.begin(&user).await;
        assert!(bench.passes(&token).await, "{what}");
        let live = bench.live(&token).await.unwrap();
        let now = bench.now();
        match what {
            "disable" => drop(users.set_disabled("alice", true, &Actor::CommandLine, now).await.unwrap().unwrap()),
            "password" => {
                let password = Some("Another-horse-8".into());
                drop(set(&bench, "alice", UserChange { password, ..UserChange::default() }).await.unwrap());
            }
            "reset" => drop(users.reset_second_factor("alice", &Actor::CommandLine, now).await.unwrap().unwrap()),
            "role" => {
                let role = Some(Role::Manager);
                drop(set(&bench, "alice", UserChange { role, ..UserChange::default() }).await.unwrap());
            }
            "off" => {
                let second_factor = Some(false);
                drop(set(&bench, "alice", UserChange { second_factor, ..UserChange::default() }).await.unwrap());
            }
            _ => users.delete("alice", &Actor::CommandLine, now).await.unwrap().unwrap(),
        }
        assert!(live.identity(&bench.route()).is_none(), "{what}: who holds it already");
        assert!(live.ended().is_cancelled(), "{what}: what is open");
        assert!(!bench.passes(&token).await, "{what}: a new request");
        assert!(bench.services.sessions.list(None, now).await.unwrap().is_empty(), "{what}");
    }
}

#[tokio::test]
async fn groups_and_names_take_effect_at_once_and_end_nothing() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user;
    let (token, _) = bench.begin(&alice).await;
    let live = bench.live(&token).await.unwrap();
    let groups = Some(BTreeSet::from(["ops".parse().unwrap()]));
    set(&bench, "alice", UserChange { groups, ..UserChange::default() }).await.unwrap();
    assert_eq!(live.account().groups.len(), 1);
    assert!(bench.passes(&token).await);
}

#[tokio::test]
async fn deleting_leaves_nothing_of_the_account_behind() {
    let bench = Bench::new(|_| {});
    let alice = bench.add("alice").await.user;
    let (now, digest) = (bench.now(), Token::generate().unwrap().digest());
    bench.begin(&alice).await;
    let device = Device {
        id: DeviceId::from_bytes([1; 10]),
        user: alice.id,
        epoch: 0,
        second_factor_at: now,
        spares: true,
        first_seen: now,
        last_seen: now,
        client: Origin::default(),
    };
    let (device_name, throttle) = (records::device_name(&digest, alice.id), records::account_throttle(alice.id));
    let change = crate::service::devices::with(Change::new(), &digest, &device);
    let change = change.put(&throttle, &AccountThrottle::default());
    bench.store.commit(change).await.unwrap();
    bench.services.users.delete("alice", &Actor::CommandLine, now).await.unwrap().unwrap();
    assert!(bench.store.get::<Device>(&device_name, now).await.unwrap().record.is_none());
    assert!(bench.store.get::<AccountThrottle>(&throttle, now).await.unwrap().record.is_none());
    assert!(bench.store.list::<Session>("", Bound::Unbounded, 10, now).await.unwrap().is_empty());
    assert!(bench.store.list::<User>("", Bound::Unbounded, 10, now).await.unwrap().is_empty());
    bench.add("alice").await;
}

#[tokio::test]
async fn the_last_administrator_who_can_sign_in_is_not_taken_away() {
    let bench = Bench::new(|_| {});
    bench.add_as("root", Role::Admin).await;
    let users = &bench.services.users;
    // An administrator without a password, or disabled, cannot stand in.
    users
        .add(NewUser { role: Role::Admin, ..new_user("empty") }, &Actor::CommandLine, bench.now())
        .await
        .unwrap()
        .unwrap();
    let demote = || UserChange { role: Some(Role::User), ..UserChange::default() };
    let last = Rejection::LastAdmin("root".parse().unwrap());
    assert_eq!(set(&bench, "root", demote()).await.unwrap_err(), last);
    assert_eq!(users.set_disabled("root", true, &Actor::CommandLine, bench.now()).await.unwrap().unwrap_err(), last);
    assert_eq!(users.delete("root", &Actor::CommandLine, bench.now()).await.unwrap().unwrap_err(), last);
    bench.add_as("second", Role::Admin).await;
    set(&bench, "root", demote()).await.unwrap();
}

#[tokio::test]
async fn of_two_administrators_taken_away_at_once_one_stays() {
    for _ in 0..10 {
        let bench = Bench::new(|_| {});
        bench.add_as("one", Role::Admin).await;
        bench.add_as("two", Role::Admin).await;
        let users = &bench.services.users;
        let (a, b) = tokio::join!(
            users.delete("one", &Actor::CommandLine, bench.now()),
            users.set_disabled("two", true, &Actor::CommandLine, bench.now())
        );
        assert_ne!(a.unwrap().is_ok(), b.unwrap().is_ok());
    }
}

#[tokio::test]
async fn every_change_leaves_an_event_that_says_who_did_it() {
    let bench = Bench::new(|_| {});
    bench.add("alice").await;
    bench.services.users.set_disabled("alice", true, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    let events = bench.store.list::<crate::audit::Event>("", Bound::Unbounded, 10, bench.now()).await.unwrap();
    let disabled = events.iter().find(|event| event.record.detail == "disabled").unwrap();
    assert_eq!(disabled.record.actor.as_deref(), Some("cli"));
    assert_eq!(disabled.record.login, "alice");
    assert_eq!(events.len(), 2);
    assert!(!format!("{events:?}").contains(PASSWORD));
}
