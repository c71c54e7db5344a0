//! F27, F28: who may do what to whom, as the services do it, whatever page asks.

use super::*;
use crate::authn::session::Origin;
use crate::authz::permission::{self, Party};
use crate::id::SessionId;
use crate::service::actor::Person;
use crate::service::testing::{Bench, new_user};
use crate::service::tool_logins;

const ROLES: [Role; 4] = [Role::User, Role::Viewer, Role::Manager, Role::Admin];

/// Somebody signed in with this account.
fn person(user: &User) -> Actor {
    Actor::Person(Person {
        user: user.id,
        login: user.login.clone(),
        role: user.role,
        session: SessionId::from_bytes([7; 10]),
        client: Origin { address: "192.0.2.7".into(), user_agent: "test".into() },
    })
}

async fn add(bench: &Bench, new: NewUser) -> User {
    bench.services.users.add(new, &Actor::CommandLine, bench.now()).await.unwrap().unwrap().user
}

/// With the groups `own`, and a mail address.
async fn somebody(bench: &Bench, login: &str, role: Role) -> User {
    let email = Some(format!("{login}@example.com").parse().unwrap());
    let new =
        NewUser { role, email, groups: groups("own"), password: Some("Correct-horse-7".into()), ..new_user(login) };
    add(bench, new).await
}

fn groups(names: &str) -> BTreeSet<Group> {
    names.split_whitespace().map(|name| name.parse().unwrap()).collect()
}

async fn set(bench: &Bench, who: &User, change: UserChange, actor: &Actor) -> Result<(), Rejection> {
    bench.services.users.set(&who.id.to_string(), change, actor, bench.now()).await.unwrap().map(drop)
}

/// Does `act` to the account; what the services say of it.
async fn attempt(bench: &Bench, act: Act, who: &User, actor: &Actor) -> Result<(), Rejection> {
    let (services, id, now) = (&bench.services, who.id.to_string(), bench.now());
    let none = UserChange::default;
    match act {
        Act::View => services.users.open(who.id, actor, now).await.unwrap().map(drop),
        Act::EditName => set(bench, who, UserChange { name: Some("New".parse().unwrap()), ..none() }, actor).await,
        Act::EditLogin => {
            set(bench, who, UserChange { login: Some("renamed".parse().unwrap()), ..none() }, actor).await
        }
        Act::EditAddress => {
            let email = Some(Some("other@example.com".parse().unwrap()));
            set(bench, who, UserChange { email, ..none() }, actor).await
        }
        Act::EditGroups => set(bench, who, UserChange { groups: Some(groups("")), ..none() }, actor).await,
        Act::ChangeRole => {
            let role = if who.role == Role::User { Role::Viewer } else { Role::User };
            set(bench, who, UserChange { role: Some(role), ..none() }, actor).await
        }
        Act::Disable => services.users.set_disabled(&id, true, actor, now).await.unwrap().map(drop),
        Act::Unlock => services.users.unlock(&id, actor, now).await.unwrap().map(drop),
        Act::SwitchSecondFactor => set(bench, who, UserChange { second_factor: Some(false), ..none() }, actor).await,
        Act::ResetSecondFactor => services.users.reset_second_factor(&id, actor, now).await.unwrap().map(drop),
        Act::ChangeMethod => set(bench, who, UserChange { method: Some(Method::Mail), ..none() }, actor).await,
        Act::SetPassword => {
            let password = Some("Another-horse-8".into());
            set(bench, who, UserChange { password, ..none() }, actor).await
        }
        Act::ForcePasswordChange => set(bench, who, UserChange { must_change: Some(true), ..none() }, actor).await,
        Act::SendLink => services.resets.send(who.id, actor, now).await.unwrap(),
        Act::EndSessions => services.sessions.end_all_of(who.id, actor, now).await.unwrap().map(drop),
        Act::ForgetDevices => services.devices.forget_all(who.id, actor, now).await.unwrap().map(drop),
        Act::SetToolLogin => match services.tool_logins.forget(who.id, "none", actor, now).await.unwrap() {
            Err(tool_logins::Refused::Rejection(rejection)) => Err(rejection),
            _ => Ok(()),
        },
        Act::Delete => services.users.delete(&id, actor, now).await.unwrap(),
    }
}

/// Whether the actor was refused; what else stands in the way is no question of rights.
fn refused(got: Result<(), Rejection>) -> Option<Rejection> {
    got.err().filter(|rejection| matches!(rejection, Rejection::Forbidden | Rejection::Oneself))
}

/// A bench where the mail method is possible, with an admin who is never the last one.
async fn bench() -> Bench {
    let (bench, _) = Bench::with_mail(|_| {}).await;
    somebody(&bench, "root", Role::Admin).await;
    bench
}

#[tokio::test]
async fn f27_every_act_is_judged_by_the_services_themselves() {
    for actor_role in ROLES {
        let bench = bench().await;
        let actor = somebody(&bench, "actor", actor_role).await;
        for subject_role in ROLES {
            for act in Act::ALL {
                let subject = somebody(&bench, "subject", subject_role).await;
                let party = |user: &User| Party { id: user.id, role: user.role };
                let expected = permission::judge(party(&actor), act, party(&subject));
                let got = attempt(&bench, act, &subject, &person(&actor)).await;
                assert_eq!(refused(got), expected.err().map(Rejection::from), "{actor_role} {act:?} {subject_role}");
                let users = &bench.services.users;
                // Whatever was done: away with it.
                let gone = users.delete(&subject.id.to_string(), &Actor::CommandLine, bench.now()).await.unwrap();
                assert!(gone.is_ok() || act == Act::Delete);
            }
        }
    }
}

#[tokio::test]
async fn f27_what_one_does_to_oneself_is_judged_too() {
    for role in ROLES {
        for act in Act::ALL {
            let bench = bench().await;
            let actor = somebody(&bench, "actor", role).await;
            let party = Party { id: actor.id, role };
            let expected = permission::judge(party, act, party).err().map(Rejection::from);
            let got = attempt(&bench, act, &actor, &person(&actor)).await;
            assert_eq!(refused(got), expected, "{role} {act:?}");
        }
    }
}

#[tokio::test]
async fn f27_nobody_raises_anybody_above_their_own_rights() {
    let bench = bench().await;
    let manager = somebody(&bench, "manager", Role::Manager).await;
    let user = somebody(&bench, "user", Role::User).await;
    let by = person(&manager);
    let none = UserChange::default;
    for role in [Role::Manager, Role::Admin] {
        let raised = set(&bench, &user, UserChange { role: Some(role), ..none() }, &by).await;
        assert_eq!(raised, Err(Rejection::Forbidden), "{role}");
        let oneself = set(&bench, &manager, UserChange { role: Some(role), ..none() }, &by).await;
        assert_eq!(oneself, Err(Rejection::Forbidden), "{role}");
        let new = NewUser { role, ..new_user("new") };
        let added = bench.services.users.add(new, &by, bench.now()).await.unwrap().map(drop);
        assert_eq!(added, Err(Rejection::Forbidden), "{role}");
    }
    let foreign = Err(Rejection::GroupNotHeld("secret".parse().unwrap()));
    assert_eq!(set(&bench, &user, UserChange { groups: Some(groups("own secret")), ..none() }, &by).await, foreign);
    let new = NewUser { groups: groups("secret"), ..new_user("new") };
    assert_eq!(bench.services.users.add(new, &by, bench.now()).await.unwrap().map(drop), foreign);
    // A form that sends back the groups as they are changes none of them.
    let change = || UserChange { groups: Some(groups("secret")), ..UserChange::default() };
    set(&bench, &user, change(), &Actor::CommandLine).await.unwrap();
    set(&bench, &user, UserChange { name: Some("New".parse().unwrap()), ..change() }, &by).await.unwrap();
    assert_eq!(set(&bench, &user, UserChange { groups: Some(groups("")), ..none() }, &by).await, foreign, "taking too");
}

#[tokio::test]
async fn f27_a_manager_moves_no_mailbox_of_an_account_that_reaches_further_than_they_do() {
    let bench = bench().await;
    let manager = somebody(&bench, "manager", Role::Manager).await;
    let admin = somebody(&bench, "admin", Role::Admin).await;
    let user = somebody(&bench, "user", Role::User).await;
    let further = UserChange { groups: Some(groups("own secret")), ..UserChange::default() };
    set(&bench, &user, further, &Actor::CommandLine).await.unwrap();
    for email in [None, Some("mine@example.com".parse().unwrap())] {
        let change = || UserChange { email: Some(email.clone()), ..UserChange::default() };
        assert_eq!(set(&bench, &user, change(), &person(&manager)).await, Err(Rejection::AddressOutOfReach));
    }
    attempt(&bench, Act::EditAddress, &user, &person(&admin)).await.unwrap();
    attempt(&bench, Act::SendLink, &user, &person(&manager)).await.unwrap();
}

#[tokio::test]
async fn f27_a_manager_chooses_no_password_and_takes_no_login_that_a_route_lets_in() {
    let (bench, _) = Bench::with_mail(|config| {
        let mut routes: Vec<_> = config.routes.iter().map(|(_, route)| route.clone()).collect();
        routes[0].allow.users = BTreeSet::from(["toolmaster".parse().unwrap()]);
        config.routes = crate::authz::RouteTable::new(routes).unwrap();
    })
    .await;
    let manager = somebody(&bench, "manager", Role::Manager).await;
    let admin = somebody(&bench, "admin", Role::Admin).await;
    let user = somebody(&bench, "user", Role::User).await;
    let users = &bench.services.users;
    for by in [&manager, &admin].map(person) {
        let new = NewUser { password: Some("Another-horse-8".into()), ..new_user("new") };
        assert_eq!(users.add(new, &by, bench.now()).await.unwrap().map(drop), Err(Rejection::Forbidden));
    }
    let named = Err(Rejection::LoginNamedByRoute("toolmaster".parse().unwrap()));
    let added = users.add(new_user("toolmaster"), &person(&manager), bench.now()).await.unwrap().map(drop);
    assert_eq!(added, named);
    let change = || UserChange { login: Some("toolmaster".parse().unwrap()), ..UserChange::default() };
    assert_eq!(set(&bench, &user, change(), &person(&manager)).await, named);
    set(&bench, &user, change(), &person(&admin)).await.unwrap();
}

#[tokio::test]
async fn f27_whoever_was_demoted_disabled_or_deleted_a_moment_ago_does_nothing_any_more() {
    for how in ["demoted", "disabled", "deleted"] {
        let bench = bench().await;
        let manager = somebody(&bench, "manager", Role::Manager).await;
        let user = somebody(&bench, "user", Role::User).await;
        // As the page has found them at the door.
        let by = person(&manager);
        let (users, cli, now) = (&bench.services.users, &Actor::CommandLine, bench.now());
        match how {
            "demoted" => {
                let change = UserChange { role: Some(Role::User), ..UserChange::default() };
                set(&bench, &manager, change, cli).await.unwrap();
            }
            "disabled" => drop(users.set_disabled("manager", true, cli, now).await.unwrap().unwrap()),
            _ => users.delete("manager", cli, now).await.unwrap().unwrap(),
        }
        for act in Act::ALL {
            let got = attempt(&bench, act, &user, &by).await;
            assert_eq!(got, Err(Rejection::Forbidden), "{how}: {act:?}");
        }
        let added = users.add(new_user("new"), &by, now).await.unwrap().map(drop);
        assert_eq!(added, Err(Rejection::Forbidden), "{how}");
    }
}

#[tokio::test]
async fn f27_a_demotion_at_the_same_time_comes_before_the_act_or_after_it_never_between() {
    for round in 0..20 {
        let bench = bench().await;
        let manager = somebody(&bench, "manager", Role::Manager).await;
        let user = somebody(&bench, "user", Role::User).await;
        let by = person(&manager);
        let demotion = UserChange { role: Some(Role::User), ..UserChange::default() };
        let promotion = UserChange { role: Some(Role::Viewer), ..UserChange::default() };
        let (demoted, promoted) = if round % 2 == 0 {
            tokio::join!(set(&bench, &manager, demotion, &Actor::CommandLine), set(&bench, &user, promotion, &by))
        } else {
            let (promoted, demoted) =
                tokio::join!(set(&bench, &user, promotion, &by), set(&bench, &manager, demotion, &Actor::CommandLine));
            (demoted, promoted)
        };
        demoted.unwrap();
        let events = bench.store.list::<crate::audit::Event>("", Bound::Unbounded, 100, bench.now()).await.unwrap();
        let promotions = events.iter().filter(|event| event.record.actor.as_deref() == Some("manager")).count();
        assert_eq!(promotions, usize::from(promoted.is_ok()));
        assert!(promoted.is_ok() || promoted == Err(Rejection::Forbidden));
    }
}

#[tokio::test]
async fn f28_of_two_administrators_who_demote_each_other_one_stays() {
    for _ in 0..20 {
        let bench = Bench::new(|_| {});
        let one = somebody(&bench, "one", Role::Admin).await;
        let two = somebody(&bench, "two", Role::Admin).await;
        let demotion = || UserChange { role: Some(Role::User), ..UserChange::default() };
        let (by_one, by_two) = (person(&one), person(&two));
        let (a, b) = tokio::join!(set(&bench, &two, demotion(), &by_one), set(&bench, &one, demotion(), &by_two));
        assert_ne!(a.is_ok(), b.is_ok(), "{a:?} {b:?}");
        assert_eq!(bench.services.users.effective_admins(bench.now()).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn f28_the_last_administrator_who_can_sign_in_stays_whoever_asks_and_however() {
    let (bench, _) = Bench::with_mail(|_| {}).await;
    let last = somebody(&bench, "last", Role::Admin).await;
    let users = &bench.services.users;
    // Three who cannot stand in: disabled, without a password, with codes by mail that arrive nowhere.
    let disabled = somebody(&bench, "disabled", Role::Admin).await;
    users.set_disabled("disabled", true, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    let empty = add(&bench, NewUser { role: Role::Admin, ..new_user("empty") }).await;
    let by_mail = somebody(&bench, "by-mail", Role::Admin).await;
    let change = UserChange { method: Some(Method::Mail), ..UserChange::default() };
    set(&bench, &by_mail, change, &Actor::CommandLine).await.unwrap();
    let config = crate::config::Config { mail: None, ..bench.config() };
    bench.services.config.store(Arc::new(config));
    assert_eq!(users.effective_admins(bench.now()).await.unwrap(), 1);
    for by in [person(&empty), person(&by_mail), Actor::CommandLine] {
        for act in [Act::Disable, Act::ChangeRole, Act::Delete] {
            let got = attempt(&bench, act, &last, &by).await;
            assert_eq!(got, Err(Rejection::LastAdmin("last".parse().unwrap())), "{act:?} by {}", by.name());
        }
        // What does not lock them out is done.
        attempt(&bench, Act::ResetSecondFactor, &last, &by).await.unwrap();
    }
    // Those who cannot sign in anyway may go.
    users.delete(&disabled.id.to_string(), &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_account_cannot_take_anothers_place_by_having_its_id_for_a_login() {
    let bench = bench().await;
    let user = somebody(&bench, "user", Role::User).await;
    let taken =
        bench.services.users.add(new_user(&user.id.to_string()), &Actor::CommandLine, bench.now()).await.unwrap();
    assert!(matches!(taken, Err(Rejection::LoginTaken(_))));
    let found = bench.services.users.show(&user.id.to_string(), bench.now()).await.unwrap().unwrap();
    assert_eq!(found.user.login.as_str(), "user");
}

#[tokio::test]
async fn a_form_made_from_an_account_that_looks_different_by_now_changes_nothing() {
    let bench = bench().await;
    let user = somebody(&bench, "user", Role::User).await;
    let made_from = Some(Edition::of(&user));
    let change = |name: &str| UserChange {
        made_from: made_from.clone(),
        name: Some(name.parse().unwrap()),
        ..UserChange::default()
    };
    // What the owner does meanwhile is no change: neither a reset nor a login.
    attempt(&bench, Act::ResetSecondFactor, &user, &Actor::CommandLine).await.unwrap();
    set(&bench, &user, change("First"), &Actor::CommandLine).await.unwrap();
    let second = set(&bench, &user, change("Second"), &Actor::CommandLine).await;
    assert_eq!(second, Err(Rejection::ChangedMeanwhile));
    assert_eq!(bench.services.users.show("user", bench.now()).await.unwrap().unwrap().user.name.as_str(), "First");
}

#[tokio::test]
async fn a_login_is_changed_in_one_commit_and_the_account_keeps_its_id() {
    let bench = bench().await;
    let user = somebody(&bench, "user", Role::User).await;
    let other = somebody(&bench, "other", Role::User).await;
    let rename = |login: &str| UserChange { login: Some(login.parse().unwrap()), ..UserChange::default() };
    let taken = set(&bench, &other, rename("user"), &Actor::CommandLine).await;
    assert_eq!(taken, Err(Rejection::LoginTaken("user".parse().unwrap())));
    set(&bench, &user, rename("user"), &Actor::CommandLine).await.unwrap();
    set(&bench, &user, rename("renamed"), &Actor::CommandLine).await.unwrap();
    let users = &bench.services.users;
    assert_eq!(users.show("renamed", bench.now()).await.unwrap().unwrap().user.id, user.id);
    assert!(users.show("user", bench.now()).await.unwrap().is_err());
    set(&bench, &other, rename("user"), &Actor::CommandLine).await.unwrap();
    assert_eq!(users.list(bench.now()).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_changed_mail_address_is_told_to_the_old_one() {
    let (bench, mut mailbox) = Bench::with_mail(|_| {}).await;
    let user = somebody(&bench, "user", Role::User).await;
    attempt(&bench, Act::EditAddress, &user, &Actor::CommandLine).await.unwrap();
    let mail = mailbox.letter().await;
    assert!(mail.contains("user@example.com") && !mail.contains("other@example.com"), "{mail}");
}
