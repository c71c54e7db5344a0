//! Other people's accounts, as managers handle them on their pages (F5, F6, F10, F23, F25, F27, F28).

use std::sync::Arc;

use http::StatusCode;

use super::journeys::{bench_that_asks, enrolled_as, give_password};
use super::{Answer, Browser};
use crate::authn::user::{Method, Role, User};
use crate::authz::Policy;
use crate::config::SwitchedOnBy;
use crate::id::UserId;
use crate::service::actor::Actor;
use crate::service::testing::{Bench, Browser as Person, PASSWORD};
use crate::service::users::UserChange;
use crate::service::visit::SekishoCookies;

const LIST: &str = "/.sekisho/admin/users";
const DEEDS: [&str; 10] = [
    "disable",
    "enable",
    "unlock",
    "reset-second-factor",
    "send-link",
    "end-session",
    "end-sessions",
    "forget-device",
    "forget-devices",
    "delete",
];

/// Alice, signed in with this role.
async fn alice(role: Role) -> Browser {
    enrolled_as(Bench::new(|_| {}), role).await.0
}

async fn user(browser: &Browser, login: &str) -> User {
    browser.bench.services.users.show(login, browser.bench.now()).await.unwrap().unwrap().user
}

fn path(id: UserId) -> String {
    format!("{LIST}/{id}")
}

/// The token of the page's form whose address ends so.
fn token(page: &Answer, action: &str) -> Option<String> {
    let (_, form) = page.body.split_once(&format!("{action}\""))?;
    let (_, rest) = form.split_once("name=\"csrf\" value=\"")?;
    rest.split('"').next().map(str::to_owned)
}

/// The value of a field of the page.
fn value(page: &Answer, name: &str) -> String {
    let (_, rest) = page.body.split_once(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("no field {name}"));
    let (_, rest) = rest.split_once("value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// Presses a button of the account's page, as a browser does.
async fn press(browser: &mut Browser, id: UserId, deed: &str, more: &str) -> Answer {
    let page = browser.get(&path(id)).await;
    let token = token(&page, &format!("/{deed}")).unwrap_or_else(|| panic!("no button {deed}"));
    browser.post(&format!("{}/{deed}", path(id)), &format!("csrf={token}{more}")).await
}

fn edit_form(page: &Answer, change: &[(&str, &str)]) -> String {
    let field = |name: &str| {
        let given = change.iter().find(|(changed, _)| *changed == name).map(|(_, value)| (*value).to_owned());
        given.unwrap_or_else(|| match name {
            "csrf" => token(page, "/edit").unwrap(),
            "role" | "method" | "second-factor" => chosen(page, name),
            name => value(page, name),
        })
    };
    let names = ["csrf", "edition", "login", "name", "email", "groups", "role", "method", "second-factor"];
    let pairs = names.map(|name| {
        let text = field(name);
        let encoded = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC);
        format!("{name}={encoded}")
    });
    pairs.join("&")
}

/// What a list of choices says now.
fn chosen(page: &Answer, name: &str) -> String {
    let (_, list) = page.body.split_once(&format!("<select id=\"{name}\"")).unwrap();
    let (list, _) = list.split_once("</select>").unwrap();
    let (before, _) = list.split_once("\" selected").unwrap();
    before.rsplit('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn f25_an_account_has_a_page_with_all_that_belongs_to_it() {
    let mut browser = alice(Role::Viewer).await;
    let own = user(&browser, "alice").await;
    let page = browser.get(&path(own.id)).await;
    assert_eq!(page.status, StatusCode::OK);
    for part in
        [&own.id.to_string(), ">alice<", "閲覧者", "認証アプリ", "リカバリーコード 残り10個", "現在のセッション"]
    {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    // What has happened, and where there is more of it.
    let all = format!("/.sekisho/admin/audit?person={}", own.id);
    assert!(page.body.contains(">認証アプリの登録<") || page.body.contains(">ログイン</p>"), "{}", page.body);
    assert!(page.body.contains(&format!("href=\"{all}\"")));
    assert_eq!(browser.get(&all).await.status, StatusCode::OK);
    for no_account in ["0000000000000000", "nobody", "alice"] {
        assert_eq!(browser.get(&format!("{LIST}/{no_account}")).await.status, StatusCode::NOT_FOUND, "{no_account}");
    }
}

#[tokio::test]
async fn f27_a_page_shows_only_the_buttons_that_its_reader_may_press() {
    for (role, on_bob, on_carol) in
        [(Role::Viewer, false, false), (Role::Manager, true, false), (Role::Admin, true, true)]
    {
        let mut browser = alice(role).await;
        let bob = browser.bench.add("bob").await.user;
        let carol = browser.bench.add_as("carol", Role::Admin).await.user;
        for (who, may) in [(bob.id, on_bob), (carol.id, on_carol)] {
            let page = browser.get(&path(who)).await;
            for deed in ["/disable", "/delete"] {
                assert_eq!(token(&page, deed).is_some(), may, "{role} {deed}");
            }
            assert_eq!(page.body.contains("/edit\""), may, "{role}");
            let edit = browser.get(&format!("{}/edit", path(who))).await.status;
            assert_eq!(edit, if may { StatusCode::OK } else { StatusCode::FORBIDDEN }, "{role}");
        }
        let own = user(&browser, "alice").await;
        let page = browser.get(&path(own.id)).await;
        for deed in ["/disable", "/delete", "/reset-second-factor", "/send-link"] {
            assert!(token(&page, deed).is_none(), "{role} {deed} themselves");
        }
    }
}

#[tokio::test]
async fn f27_what_no_button_leads_to_is_refused_by_the_server_all_the_same() {
    let mut browser = alice(Role::Manager).await;
    let bob = browser.bench.add("bob").await.user;
    let carol = browser.bench.add_as("carol", Role::Admin).await.user;
    let before = serde_json::to_string(&carol).unwrap();
    // Tokens are a form's and a session's: those of a page where the buttons are fit the addresses where they are not.
    let tokens = browser.get(&path(bob.id)).await;
    for deed in DEEDS {
        let Some(token) = token(&tokens, &format!("/{deed}")) else { continue };
        let answer = browser.post(&format!("{}/{deed}", path(carol.id)), &format!("csrf={token}&login=carol")).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{deed}");
    }
    let page = browser.get(&format!("{}/edit", path(bob.id))).await;
    for change in [("role", "admin"), ("role", "manager"), ("groups", "ops")] {
        let answer = browser.post(&format!("{}/edit", path(bob.id)), &edit_form(&page, &[change])).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{change:?}");
    }
    let answer = browser.post(&format!("{}/edit", path(carol.id)), &edit_form(&page, &[("name", "Mallory")])).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "another's form");
    assert_eq!(serde_json::to_string(&user(&browser, "carol").await).unwrap(), before);
    assert_eq!((user(&browser, "bob").await.role, user(&browser, "bob").await.groups.len()), (Role::User, 0));
}

#[tokio::test]
async fn f27_somebody_demoted_with_the_page_open_does_nothing_any_more() {
    let mut browser = alice(Role::Manager).await;
    let bob = browser.bench.add("bob").await.user;
    let page = browser.get(&path(bob.id)).await;
    let change = UserChange { role: Some(Role::Viewer), ..UserChange::default() };
    let (users, now) = (browser.bench.services.users.clone(), browser.bench.now());
    users.set("alice", change, &Actor::CommandLine, now).await.unwrap().unwrap();
    let token = token(&page, "/disable").unwrap();
    let answer = browser.post(&format!("{}/disable", path(bob.id)), &format!("csrf={token}")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(!user(&browser, "bob").await.disabled);
    assert_eq!(browser.get(&path(bob.id)).await.status, StatusCode::OK, "seeing stays");
}

#[tokio::test]
async fn an_account_is_added_and_what_was_typed_wrongly_is_kept_with_a_word_beside_it() {
    let mut browser = alice(Role::Manager).await;
    let page = browser.get(&format!("{LIST}/new")).await;
    assert!(!page.body.contains("value=\"manager\"") && !page.body.contains("value=\"admin\""), "roles of their own");
    let token = token(&page, "/new").unwrap();
    let add = |fields: &str| format!("csrf={token}&{fields}");
    let wrong =
        add("login=two+words&name=%E8%8A%B1%E5%AD%90&email=nowhere&groups=&role=user&method=totp&second-factor=on");
    let answer = browser.post(&format!("{LIST}/new"), &wrong).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    for part in
        ["value=\"two words\"", "value=\"花子\"", "value=\"nowhere\"", "id=\"login-problem\"", "id=\"email-problem\""]
    {
        assert!(answer.body.contains(part), "{part}");
    }
    let taken = browser.post(&format!("{LIST}/new"), &add("login=ALICE&role=user&method=totp")).await;
    assert_eq!(taken.status, StatusCode::CONFLICT);
    assert!(taken.body.contains("id=\"login-problem\""), "{}", taken.body);
    let foreign = browser.post(&format!("{LIST}/new"), &add("login=bob&role=manager&method=totp")).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let nothing = browser.post(&format!("{LIST}/new"), &add("login=&role=user&method=totp")).await;
    assert_eq!(nothing.status, StatusCode::UNPROCESSABLE_ENTITY);
    let right = add("login=Bob&name=Bob&email=bob%40example.com&groups=&role=viewer&method=totp&second-factor=on");
    let answer = browser.post(&format!("{LIST}/new"), &right).await;
    let bob = user(&browser, "bob").await;
    assert_eq!(answer.location(), format!("{}?done=added", path(bob.id)));
    assert_eq!((bob.role, bob.password.is_none(), bob.second_factor.switched_on), (Role::Viewer, true, true));
    let page = browser.get(answer.location()).await;
    assert!(page.body.contains("id=\"alert\"") && page.body.contains("sekisho user passwd bob"), "{}", page.body);
    // Nobody guesses themselves in before there is a password.
    assert!(bob.last_login.is_none());
}

#[tokio::test]
async fn f10_an_account_without_a_mail_address_cannot_get_codes_by_mail() {
    let (bench, _mailbox) = Bench::with_mail(|_| {}).await;
    let mut browser = enrolled_as(bench, Role::Manager).await.0;
    let page = browser.get(&format!("{LIST}/new")).await;
    let form = format!("csrf={}&login=bob&role=user&method=mail", token(&page, "/new").unwrap());
    let answer = browser.post(&format!("{LIST}/new"), &form).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.body.contains("id=\"email-problem\""), "beside the field: {}", answer.body);
    let bob = browser.bench.add("bob").await.user;
    let page = browser.get(&format!("{}/edit", path(bob.id))).await;
    let answer = browser.post(&format!("{}/edit", path(bob.id)), &edit_form(&page, &[("method", "mail")])).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.body.contains("id=\"email-problem\""));
    let both = edit_form(&page, &[("method", "mail"), ("email", "bob@example.com")]);
    let answer = browser.post(&format!("{}/edit", path(bob.id)), &both).await;
    assert_eq!(answer.location(), format!("{}?done=saved", path(bob.id)));
    assert_eq!(user(&browser, "bob").await.second_factor.method, Method::Mail);
}

#[tokio::test]
async fn two_who_edit_one_account_at_once_do_not_overwrite_each_other_unseen() {
    let mut browser = alice(Role::Manager).await;
    let bob = browser.bench.add("bob").await.user;
    let edit = format!("{}/edit", path(bob.id));
    let (first, second) = (browser.get(&edit).await, browser.get(&edit).await);
    let saved = browser.post(&edit, &edit_form(&first, &[("name", "First"), ("email", "bob@example.com")])).await;
    assert_eq!(saved.location(), format!("{}?done=saved", path(bob.id)));
    let late = browser.post(&edit, &edit_form(&second, &[("name", "Second")])).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert_eq!((value(&late, "name").as_str(), value(&late, "email").as_str()), ("First", "bob@example.com"));
    assert_eq!(user(&browser, "bob").await.name.as_str(), "First");
    // Nor over a mistake that has to be put right first.
    let third = browser.post(&edit, &edit_form(&second, &[("name", "Third"), ("email", "nobody")])).await;
    assert_eq!((third.status, value(&third, "name").as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "Third"));
    let late_again = browser.post(&edit, &edit_form(&third, &[("email", "")])).await;
    assert_eq!((late_again.status, user(&browser, "bob").await.email.is_some()), (StatusCode::CONFLICT, true));
    // What the page shows now can be changed.
    let again = browser.post(&edit, &edit_form(&late, &[("name", "Second")])).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    let bob = user(&browser, "bob").await;
    assert_eq!((bob.name.as_str(), bob.email.is_some()), ("Second", true));
    // Saving it as it is changes nothing, a switched-off second factor neither.
    let same = browser.get(&edit).await;
    let same = browser.post(&edit, &edit_form(&same, &[])).await;
    assert_eq!(same.location(), format!("{}?done=unchanged", path(bob.id)));
    let renamed = browser.get(&edit).await;
    browser.post(&edit, &edit_form(&renamed, &[("login", "Robert")])).await;
    assert_eq!(user(&browser, "robert").await.id, bob.id);
}

#[tokio::test]
async fn f6_after_a_managers_reset_the_next_login_enrols_anew_and_the_old_app_is_worth_nothing() {
    let (mut browser, app) = enrolled_as(Bench::new(|_| {}), Role::User).await;
    let alice = user(&browser, "alice").await;
    let manager = manager(&browser.bench).await;
    let own = std::mem::replace(&mut browser.cookies, manager);
    let answer = press(&mut browser, alice.id, "reset-second-factor", "").await;
    assert_eq!(answer.location(), format!("{}?done=reset", path(alice.id)));
    assert!(user(&browser, "alice").await.second_factor.totp.is_none());
    browser.cookies = own;
    assert_eq!(browser.get("/.sekisho/account").await.status, StatusCode::SEE_OTHER, "the session is over");
    browser.cookies.session = None;
    assert_eq!(give_password(&mut browser, PASSWORD).await.location(), "/.sekisho/enrol", "remembered or not");
    let page = browser.get("/.sekisho/enrol").await;
    let old = format!("code={}&csrf={}", app.code(&browser.bench), page.csrf());
    assert_eq!(browser.post("/.sekisho/enrol", &old).await.status, StatusCode::UNAUTHORIZED);
}

/// The cookies of somebody else, signed in as a manager.
async fn manager(bench: &Bench) -> SekishoCookies {
    bench.add_as("manager", Role::Manager).await;
    let mut person = Person::default();
    person.enrol(bench, "manager", false).await;
    person.cookies
}

#[tokio::test]
async fn f5_a_managers_on_makes_the_owner_enrol_at_the_next_login_unless_it_is_the_owners_alone() {
    for (by, allowed) in [(SwitchedOnBy::Managers, true), (SwitchedOnBy::Owner, false)] {
        let bench = bench_that_asks(|demand| demand.policy = Policy::PerUser);
        let mut config = bench.services.config.load().as_ref().clone();
        config.second_factor.switched_on_by = by;
        bench.services.config.store(Arc::new(config));
        let mut browser = Browser::with(bench);
        browser.bench.add_as("alice", Role::Manager).await;
        assert_eq!(give_password(&mut browser, PASSWORD).await.location(), "/orders");
        let bob = browser.bench.add("bob").await.user;
        let edit = format!("{}/edit", path(bob.id));
        let page = browser.get(&edit).await;
        let answer = browser.post(&edit, &edit_form(&page, &[("second-factor", "on")])).await;
        assert_eq!(answer.status == StatusCode::SEE_OTHER, allowed, "{by:?}");
        assert_eq!(user(&browser, "bob").await.second_factor.switched_on, allowed);
        if !allowed {
            assert!(answer.body.contains("id=\"second-factor-problem\""));
        }
    }
}

#[tokio::test]
async fn f23_a_manager_unlocks_an_account_that_guessing_has_locked() {
    let mut browser = alice(Role::Manager).await;
    let bob = browser.bench.add("bob").await.user;
    assert!(token(&browser.get(&path(bob.id)).await, "/unlock").is_none(), "there is nothing to unlock");
    let own = std::mem::take(&mut browser.cookies);
    for _ in 0..5 {
        let page = browser.get("/.sekisho/login").await;
        browser.post("/.sekisho/login", &format!("login=bob&password=wrong&csrf={}", page.csrf())).await;
    }
    let guessers = std::mem::replace(&mut browser.cookies, own);
    let page = browser.get(&path(bob.id)).await;
    assert!(page.body.contains("ロック中"), "{}", page.body);
    let answer = press(&mut browser, bob.id, "unlock", "").await;
    assert_eq!(answer.location(), format!("{}?done=unlocked", path(bob.id)));
    let page = browser.get(answer.location()).await;
    assert!(!page.body.contains("ロック中"));
    browser.cookies = guessers;
    let page = browser.get("/.sekisho/login").await;
    let right = format!("login=bob&password={PASSWORD}&csrf={}", page.csrf());
    assert_eq!(browser.post("/.sekisho/login", &right).await.location(), "/.sekisho/enrol");
}

#[tokio::test]
async fn an_account_is_disabled_enabled_and_with_its_login_typed_deleted() {
    let mut browser = alice(Role::Manager).await;
    let bob = browser.bench.add("bob").await.user;
    assert_eq!(press(&mut browser, bob.id, "disable", "").await.location(), format!("{}?done=disabled", path(bob.id)));
    assert!(user(&browser, "bob").await.disabled);
    assert_eq!(press(&mut browser, bob.id, "enable", "").await.location(), format!("{}?done=enabled", path(bob.id)));
    for typed in ["", "alice", "bo"] {
        let answer = press(&mut browser, bob.id, "delete", &format!("&login={typed}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{typed}");
    }
    let answer = press(&mut browser, bob.id, "delete", "&login=+Bob").await;
    assert_eq!(answer.location(), format!("{LIST}?done=deleted"));
    assert!(browser.get(answer.location()).await.body.contains("id=\"alert\""));
    assert_eq!(browser.get(&path(bob.id)).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn f28_the_last_administrator_stays_by_the_pages_too() {
    let mut browser = alice(Role::Admin).await;
    let carol = browser.bench.add_as("carol", Role::Admin).await.user;
    assert_eq!(press(&mut browser, carol.id, "disable", "").await.status, StatusCode::SEE_OTHER);
    // Oneself, by whatever form.
    let alice = user(&browser, "alice").await;
    let tokens = browser.get(&path(carol.id)).await;
    let token = token(&tokens, "/delete").unwrap();
    let answer = browser.post(&format!("{}/delete", path(alice.id)), &format!("csrf={token}&login=alice")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let edit = browser.get(&format!("{}/edit", path(carol.id))).await;
    let own = browser.get(&format!("{}/edit", path(alice.id))).await;
    let form = edit_form(&edit, &[("role", "user"), ("edition", &value(&own, "edition")), ("login", "alice")]);
    let answer = browser.post(&format!("{}/edit", path(alice.id)), &form).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.body);
    assert_eq!(user(&browser, "alice").await.role, Role::Admin);
    assert_eq!(browser.bench.services.users.effective_admins(browser.bench.now()).await.unwrap(), 1);
}

#[tokio::test]
async fn sessions_and_devices_are_ended_one_by_one_or_all() {
    let mut browser = alice(Role::Manager).await;
    let bob = browser.bench.add("bob").await.user;
    let mut bobs = Person::default();
    let app = bobs.enrol(&browser.bench, "bob", true).await;
    browser.bench.advance(std::time::Duration::from_secs(60));
    let mut elsewhere = Person::from("192.0.2.9");
    elsewhere.password(&browser.bench, "bob", PASSWORD).await;
    elsewhere.code(&browser.bench, &app.code(browser.bench.now()), false).await;
    let (sessions, devices) = (browser.bench.services.sessions.clone(), browser.bench.services.devices.clone());
    let now = browser.bench.now();
    let count = async || {
        (sessions.list(Some(bob.id), now).await.unwrap().len(), devices.list(bob.id, now).await.unwrap().len())
    };
    assert_eq!(count().await, (2, 2));
    let page = browser.get(&path(bob.id)).await;
    let id = value(&page, "session");
    let answer = press(&mut browser, bob.id, "end-session", &format!("&session={id}")).await;
    assert_eq!(answer.location(), format!("{}?done=session-ended", path(bob.id)));
    assert_eq!(count().await, (1, 2));
    let answer = press(&mut browser, bob.id, "end-sessions", "").await;
    assert_eq!(answer.location(), format!("{}?done=sessions-ended", path(bob.id)));
    assert_eq!(count().await, (0, 2));
    let page = browser.get(&path(bob.id)).await;
    let id = value(&page, "device");
    let answer = press(&mut browser, bob.id, "forget-device", &format!("&device={id}")).await;
    assert_eq!(answer.location(), format!("{}?done=device-forgotten", path(bob.id)));
    assert_eq!(count().await, (0, 1));
    press(&mut browser, bob.id, "forget-devices", "").await;
    assert_eq!(count().await, (0, 0));
}

#[tokio::test]
async fn a_word_in_the_address_says_nothing_that_it_is_not_known_for() {
    let mut browser = alice(Role::Manager).await;
    let bob = browser.bench.add("bob").await.user;
    for word in ["x", "user-done-saved", "%3Cb%3E", ""] {
        let page = browser.get(&format!("{}?done={word}", path(bob.id))).await;
        assert!(!page.body.contains("id=\"alert\""), "{word}");
    }
    assert!(browser.get(&format!("{}?done=saved", path(bob.id))).await.body.contains("id=\"alert\""));
}
