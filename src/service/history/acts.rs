//! Every act, and the one event that it leaves.

use super::*;
use crate::authn::user::Role;
use crate::authz::Denial;
use crate::service::actor::Actor;
use crate::service::denials::Denied;
use crate::service::testing::{Bench, Browser, PASSWORD};
use crate::service::users::UserChange;

/// What an act has left: kind, result, about whom, by whom, from where, whether in or of a session, why.
type Left = (Kind, Outcome, String, Option<String>, String, bool, String);

struct Scene {
    bench: Bench,
    place: u64,
}

impl Scene {
    fn new(change: impl FnOnce(&mut crate::config::Config)) -> Self {
        Self { bench: Bench::new(change), place: 0 }
    }

    /// The events since the last time that it was asked.
    fn events(&mut self) -> Vec<Event> {
        let followed = self.bench.services.context.journal.after(self.place, 1000);
        self.place = followed.place;
        followed.events
    }

    fn left(&mut self) -> Vec<Left> {
        let left = |event: Event| {
            assert_eq!(event.user.is_some(), event.login != "nobody", "{event:?}");
            assert_eq!(event.actor_id.is_some(), !matches!(event.actor.as_deref(), None | Some("cli" | "sekisho")));
            let Event { kind, result, login, actor, client, session, detail, .. } = event;
            (kind, result, login, actor, client.address, session.is_some(), detail)
        };
        self.events().into_iter().map(left).collect()
    }
}

/// What somebody did themself, at the address of the tests.
fn own(kind: Kind, session: bool, why: &str) -> Left {
    let (login, address) = ("alice".to_owned(), "192.0.2.1".to_owned());
    (kind, Outcome::Success, login, Some("alice".to_owned()), address, session, why.to_owned())
}

/// What somebody tried who said that they were `login`.
fn tried(kind: Kind, login: &str, why: &str) -> Left {
    (kind, Outcome::Failure, login.to_owned(), None, "192.0.2.1".to_owned(), false, why.to_owned())
}

fn by(actor: &str, kind: Kind, session: bool, why: &str) -> Left {
    let (login, actor) = ("alice".to_owned(), Some(actor.to_owned()));
    (kind, Outcome::Success, login, actor, String::new(), session, why.to_owned())
}

#[tokio::test]
async fn every_step_of_a_login_leaves_one_event() {
    let mut scene = Scene::new(|config| config.lockout.max_failures = 3);
    scene.bench.add("alice").await;
    assert_eq!(scene.left(), [by("cli", Kind::UserAdded, false, "")]);
    let mut browser = Browser::default();
    browser.password(&scene.bench, "nobody", PASSWORD).await;
    assert_eq!(scene.left(), [tried(Kind::Login, "nobody", "no such account")]);
    browser.password(&scene.bench, "alice", "wrong").await;
    assert_eq!(scene.left(), [tried(Kind::Login, "alice", "wrong password")]);
    browser.password(&scene.bench, "alice", PASSWORD).await;
    assert_eq!(scene.left(), [], "a right password alone is no login");
    let app = browser.offered(&scene.bench).await;
    browser.confirm(&scene.bench, "000000", false).await;
    assert_eq!(scene.left(), [tried(Kind::Enrolment, "alice", "wrong code")]);
    browser.confirm(&scene.bench, &app.code(scene.bench.now()), true).await;
    assert_eq!(scene.left(), [own(Kind::Enrolment, false, "")]);
    browser.saved(&scene.bench).await;
    assert_eq!(scene.left(), [own(Kind::Login, true, "code, from a new device")]);
    // The same browser again: it is spared the code, and its session before ends.
    scene.bench.advance(Duration::from_secs(60));
    browser.password(&scene.bench, "alice", PASSWORD).await;
    let ended = own(Kind::SessionEnded, true, "the browser has signed in anew");
    assert_eq!(scene.left(), [own(Kind::Login, true, "remembered device"), ended]);
    let mut other = Browser::default();
    other.password(&scene.bench, "alice", PASSWORD).await;
    other.code(&scene.bench, "000000", false).await;
    assert_eq!(scene.left(), [tried(Kind::SecondFactor, "alice", "wrong code")]);
    other.recovery(&scene.bench, "00000000", false).await;
    assert_eq!(scene.left(), [tried(Kind::SecondFactor, "alice", "wrong or used recovery code")]);
    other.code(&scene.bench, &app.code(scene.bench.now()), false).await;
    assert_eq!(scene.left(), [own(Kind::Login, true, "code, from a new device")]);
    for _ in 0..2 {
        Browser::default().password(&scene.bench, "alice", "wrong").await;
    }
    scene.left();
    Browser::default().password(&scene.bench, "alice", "wrong").await;
    assert_eq!(
        scene.left(),
        [tried(Kind::Login, "alice", "wrong password"), tried(Kind::Lockout, "alice", "too many wrong passwords")]
    );
    Browser::default().password(&scene.bench, "alice", PASSWORD).await;
    assert_eq!(scene.left(), [tried(Kind::Login, "alice", "locked")]);
}

#[tokio::test]
async fn every_end_of_a_session_leaves_one_event() {
    let mut scene = Scene::new(|config| {
        config.second_factor.demand.policy = crate::authz::Policy::Off;
        config.session.max_per_user = 2;
    });
    scene.bench.add("alice").await;
    let services = scene.bench.services.clone();
    let mut browsers = [Browser::default(), Browser::default(), Browser::default()];
    for browser in &mut browsers {
        scene.bench.advance(Duration::from_secs(1));
        browser.password(&scene.bench, "alice", PASSWORD).await;
    }
    let left = scene.left();
    assert_eq!(
        left[left.len() - 2..],
        [
            own(Kind::Login, true, "password alone"),
            by("sekisho", Kind::SessionEnded, true, "more than session.max_per_user")
        ]
    );
    let address = "192.0.2.1".parse().unwrap();
    services.sessions.end(&browsers[2].session(), address, scene.bench.now()).await.unwrap();
    assert_eq!(scene.left(), [own(Kind::Logout, true, "")]);
    let live = browsers[1].visit(&scene.bench).await.session.unwrap();
    services.sessions.end_by_id(live.id(), &Actor::CommandLine, scene.bench.now()).await.unwrap().unwrap();
    let events = scene.events();
    assert_eq!((events[0].kind, &events[0].session), (Kind::SessionEnded, &Some(SessionMark::of(live.id()))));
    assert_eq!((events.len(), events[0].actor.as_deref()), (1, Some("cli")));
    let limits = services.config.load().session;
    for (over, why) in [(limits.idle_timeout, "idle"), (limits.max_lifetime, "lifetime")] {
        browsers[0].password(&scene.bench, "alice", PASSWORD).await;
        let live = browsers[0].visit(&scene.bench).await.session.unwrap();
        scene.events();
        scene.bench.advance(over);
        services.sessions.end_overdue(scene.bench.now(), std::time::Duration::ZERO).await;
        services.sessions.end_overdue(scene.bench.now(), std::time::Duration::ZERO).await;
        assert_eq!(scene.left(), [by("sekisho", Kind::SessionEnded, true, why)]);
        assert!(!live.is_alive(scene.bench.now()));
    }
}

#[tokio::test]
async fn every_change_of_an_account_leaves_one_event() {
    let mut scene = Scene::new(|_| {});
    scene.bench.add("alice").await;
    scene.events();
    let (users, actor) = (scene.bench.services.users.clone(), &Actor::CommandLine);
    let now = scene.bench.now();
    let set = async |change: UserChange| users.set("alice", change, actor, now).await.unwrap().unwrap();
    set(UserChange { role: Some(Role::Viewer), ..UserChange::default() }).await;
    assert_eq!(scene.left(), [by("cli", Kind::UserChanged, false, "role")]);
    set(UserChange { password: Some("Another-Passw0rd".into()), ..UserChange::default() }).await;
    assert_eq!(scene.left(), [by("cli", Kind::PasswordChanged, false, "password")]);
    users.set_disabled("alice", true, actor, now).await.unwrap().unwrap();
    assert_eq!(scene.left(), [by("cli", Kind::UserChanged, false, "disabled")]);
    users.set_disabled("alice", false, actor, now).await.unwrap().unwrap();
    assert_eq!(scene.left(), [by("cli", Kind::UserChanged, false, "enabled")]);
    users.unlock("alice", actor, now).await.unwrap().unwrap();
    assert_eq!(scene.left(), [by("cli", Kind::UserChanged, false, "unlocked")]);
    users.reset_second_factor("alice", actor, now).await.unwrap().unwrap();
    assert_eq!(scene.left(), [by("cli", Kind::SecondFactorReset, false, "")]);
    users.delete("alice", actor, now).await.unwrap().unwrap();
    assert_eq!(scene.left(), [by("cli", Kind::UserDeleted, false, "")]);
}

#[tokio::test]
async fn a_denied_access_leaves_one_event_a_minute_for_each_session_and_route() {
    let mut scene = Scene::new(|config| config.second_factor.demand.policy = crate::authz::Policy::Off);
    scene.bench.add("alice").await;
    let mut browser = Browser::default();
    let denials = scene.bench.services.denials.clone();
    let denied = Denied::Route(Denial::NotAllowed);
    denials.note(&browser.visit(&scene.bench).await, None, denied).await;
    browser.password(&scene.bench, "alice", PASSWORD).await;
    scene.events();
    for _ in 0..3 {
        let mut visit = browser.visit(&scene.bench).await;
        visit.route = Some(crate::authz::RouteId(0));
        let notes: Vec<_> = (0..20).map(|_| denials.note(&visit, Some("Test/1"), denied)).collect();
        for note in notes {
            note.await;
        }
        let events = scene.events();
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(
            (event.kind, event.result, event.route.as_deref()),
            (Kind::AccessDenied, Outcome::Failure, Some("tool"))
        );
        assert_eq!((event.actor.as_deref(), event.detail.as_str()), (Some("alice"), "not among those allowed"));
        assert!(event.session.is_some() && event.client.user_agent == "Test/1");
        scene.bench.advance(Duration::from_secs(60));
    }
    let visit = browser.visit(&scene.bench).await;
    denials.note(&visit, None, Denied::AdminRole).await;
    assert_eq!(scene.events().len(), 1, "another place");
}

#[tokio::test]
async fn what_strangers_type_stands_in_events_in_letters() {
    let mut scene = Scene::new(|_| {});
    let evil = "a\n2026 INFO login ok user=root\x1b[31m\u{202e}";
    let visit = scene.bench.visit(&crate::service::visit::SekishoCookies::default()).await;
    let credentials = crate::service::login::Credentials { login: evil.into(), password: PASSWORD.into() };
    let login = &scene.bench.services.login;
    login.password(&visit, Some("\u{2066}UA\u{7}"), credentials, scene.bench.destination()).await.unwrap();
    let events = scene.events();
    assert_eq!(events[0].login, r"a\u{a}2026 info login ok user=root\u{1b}[31m\u{202e}");
    assert_eq!(events[0].client.user_agent, r"\u{2066}UA\u{7}");
}
