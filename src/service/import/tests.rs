//! Imports over a real store: nothing before the confirmation, everything once, and only by whoever uploaded.

use std::time::{Duration, Instant};

use super::*;
use crate::authn::session::Origin;
use crate::authn::user::{Email, Role};
use crate::id::SessionId;
use crate::service::testing::{Bench, new_user};
use crate::service::users::UserChange;

/// Somebody with a role, in a session of their own.
async fn person(bench: &Bench, login: &str, role: Role) -> Actor {
    let user = bench.add_as(login, role).await.user;
    in_session(&user, u8::try_from(login.len()).unwrap())
}

fn in_session(user: &crate::authn::user::User, session: u8) -> Actor {
    Actor::Person(Person {
        user: user.id,
        login: user.login.clone(),
        role: user.role,
        session: SessionId::from_bytes([session; 10]),
        client: Origin::default(),
    })
}

async fn upload_with(bench: &Bench, actor: &Actor, text: impl AsRef<[u8]>, update: bool) -> Preview {
    let upload = Upload { bytes: text.as_ref().to_vec(), update };
    bench.services.imports.upload(upload, actor, bench.now()).await.unwrap().unwrap().unwrap();
    preview(bench, actor).await.unwrap()
}

async fn upload(bench: &Bench, actor: &Actor, text: impl AsRef<[u8]>) -> Preview {
    upload_with(bench, actor, text, false).await
}

async fn preview(bench: &Bench, actor: &Actor) -> Option<Preview> {
    bench.services.imports.preview(actor, bench.now()).await.unwrap().unwrap()
}

async fn confirm(bench: &Bench, actor: &Actor, preview: &Preview) -> Confirmed {
    let imports = &bench.services.imports;
    imports.confirm(preview.id, &preview.seen, false, actor, bench.now()).await.unwrap().unwrap()
}

async fn report(bench: &Bench, actor: &Actor) -> Report {
    match bench.services.imports.report(actor, bench.now()).await.unwrap() {
        Some(Progress::Done(report)) => report,
        other => panic!("{other:?}"),
    }
}

async fn logins(bench: &Bench) -> Vec<String> {
    let views = bench.services.users.list(bench.now()).await.unwrap();
    views.into_iter().map(|view| view.user.login.to_string()).collect()
}

fn verdicts(preview: &Preview) -> Vec<(u64, &Verdict)> {
    preview.rows.iter().map(|row| (row.line, &row.verdict)).collect()
}

fn only(column: Column, reason: Reason, other: u64) -> Verdict {
    Verdict::Refused(vec![Fault { other, ..Fault::new(column, reason, "") }])
}

#[tokio::test]
async fn nothing_changes_before_the_confirmation_and_then_each_row_has_its_result() {
    let bench = Bench::new(|_| {});
    let manager = person(&bench, "mana", Role::Manager).await;
    bench.add("bob").await;
    let list = "login,name,email\nann,Ann,ann@example.com\nbob,Bob,\n!,Nobody,\ncarol,Carol,\n";
    let seen = upload(&bench, &manager, list).await;
    assert_eq!(verdicts(&seen)[..2], [(2, &Verdict::Add), (3, &only(Column::Login, Reason::Exists, 0))]);
    assert!(matches!(verdicts(&seen)[2], (4, Verdict::Refused(_))));
    assert_eq!(logins(&bench).await, ["bob", "mana"]);

    assert_eq!(confirm(&bench, &manager, &seen).await, Confirmed::Done);
    assert_eq!(logins(&bench).await, ["ann", "bob", "carol", "mana"]);
    let report = report(&bench, &manager).await;
    let outcomes: Vec<_> = report.rows.iter().map(|row| (row.line, row.outcome == Outcome::Added)).collect();
    assert_eq!(outcomes, [(2, true), (3, false), (4, false), (5, true)]);
    assert_eq!(report.rows[2].cells, ["!", "Nobody", ""], "what was refused can be put right and brought again");
    let ann = bench.services.users.show("ann", bench.now()).await.unwrap().unwrap().user;
    assert!(ann.password.is_none(), "nobody can sign in before they have chosen a password themselves");
    assert_eq!((ann.name.as_str(), ann.email.as_ref().map(Email::as_str)), ("Ann", Some("ann@example.com")));
}

#[tokio::test]
async fn a_confirmation_counts_once_also_where_two_come_together() {
    let bench = Bench::new(|_| {});
    let manager = person(&bench, "mana", Role::Manager).await;
    let seen = upload(&bench, &manager, "login\nann\nbob\n").await;
    let (first, second) = tokio::join!(confirm(&bench, &manager, &seen), confirm(&bench, &manager, &seen));
    let mut both = [first, second];
    both.sort_by_key(|confirmed| *confirmed != Confirmed::Done);
    assert_eq!(both, [Confirmed::Done, Confirmed::Already]);
    assert!(report(&bench, &manager).await.rows.iter().all(|row| row.outcome == Outcome::Added));
    assert_eq!(confirm(&bench, &manager, &seen).await, Confirmed::Already);
    assert!(preview(&bench, &manager).await.is_none());
}

#[tokio::test]
async fn another_session_cannot_see_or_confirm_it_not_even_the_same_persons() {
    let bench = Bench::new(|_| {});
    let user = bench.add_as("mana", Role::Manager).await.user;
    let (here, elsewhere) = (in_session(&user, 1), in_session(&user, 2));
    let other = person(&bench, "admin", Role::Admin).await;
    let seen = upload(&bench, &here, "login\nann\n").await;
    for actor in [&elsewhere, &other, &Actor::CommandLine] {
        let preview = bench.services.imports.preview(actor, bench.now()).await.unwrap();
        assert!(matches!(preview, Ok(None) | Err(Forbidden)), "{actor:?}");
        let confirmed = bench.services.imports.confirm(seen.id, &seen.seen, false, actor, bench.now()).await.unwrap();
        assert!(matches!(confirmed, Ok(Confirmed::Gone) | Err(Forbidden)), "{actor:?}");
    }
    assert_eq!(logins(&bench).await, ["admin", "mana"]);
    assert_eq!(confirm(&bench, &here, &seen).await, Confirmed::Done);
}

#[tokio::test]
async fn users_and_viewers_import_nothing_nor_does_a_manager_who_is_one_no_more() {
    let bench = Bench::new(|_| {});
    for (login, role) in [("u", Role::User), ("vi", Role::Viewer)] {
        let actor = person(&bench, login, role).await;
        let upload = Upload { bytes: b"login\nann\n".to_vec(), update: false };
        assert!(bench.services.imports.upload(upload, &actor, bench.now()).await.unwrap().is_err(), "{role}");
    }
    let manager = person(&bench, "mana", Role::Manager).await;
    let seen = upload(&bench, &manager, "login\nann\n").await;
    let change = UserChange { role: Some(Role::Viewer), ..UserChange::default() };
    bench.services.users.set("mana", change, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    let confirmed = bench.services.imports.confirm(seen.id, &seen.seen, false, &manager, bench.now()).await.unwrap();
    assert_eq!(confirmed, Err(Forbidden));
    assert_eq!(logins(&bench).await, ["mana", "u", "vi"]);
}

#[tokio::test]
async fn what_is_not_as_it_was_shown_is_shown_again_first() {
    let bench = Bench::new(|_| {});
    let manager = person(&bench, "mana", Role::Manager).await;
    let seen = upload(&bench, &manager, "login\nann\nbob\n").await;
    bench.add("ann").await;
    assert_eq!(confirm(&bench, &manager, &seen).await, Confirmed::Changed);
    let again = preview(&bench, &manager).await.unwrap();
    assert_eq!(verdicts(&again), [(2, &only(Column::Login, Reason::Exists, 0)), (3, &Verdict::Add)]);
    assert_eq!(confirm(&bench, &manager, &again).await, Confirmed::Done);
    assert_eq!(logins(&bench).await, ["ann", "bob", "mana"]);
}

#[tokio::test]
async fn a_list_is_kept_for_ten_minutes_and_until_the_next_one() {
    let bench = Bench::new(|_| {});
    let manager = person(&bench, "mana", Role::Manager).await;
    let first = upload(&bench, &manager, "login\nann\n").await;
    let second = upload(&bench, &manager, "login\nbob\n").await;
    assert_eq!(confirm(&bench, &manager, &first).await, Confirmed::Gone);
    bench.advance(Duration::from_secs(10 * 60));
    assert_eq!(confirm(&bench, &manager, &second).await, Confirmed::Gone);
    let third = upload(&bench, &manager, "login\ncarol\n").await;
    bench.services.imports.discard(&manager, bench.now()).await.unwrap();
    assert_eq!(confirm(&bench, &manager, &third).await, Confirmed::Gone);
    assert_eq!(logins(&bench).await, ["mana"]);
}

#[tokio::test]
async fn a_login_that_stands_twice_is_refused_on_every_line() {
    let bench = Bench::new(|_| {});
    let manager = person(&bench, "mana", Role::Manager).await;
    let seen = upload(&bench, &manager, "login,email\nann,\nbob,\nANN,nonsense\n").await;
    assert_eq!(verdicts(&seen)[0], (2, &only(Column::Login, Reason::Repeated, 4)));
    assert_eq!(verdicts(&seen)[1], (3, &Verdict::Add));
    let Verdict::Refused(faults) = &seen.rows[2].verdict else { panic!("{:?}", seen.rows[2]) };
    assert_eq!(faults.iter().map(|fault| fault.reason).collect::<Vec<_>>(), [Reason::EmailRule, Reason::Repeated]);
}

#[tokio::test]
async fn existing_accounts_are_changed_only_where_that_was_asked_for_and_only_in_what_differs() {
    let bench = Bench::new(|_| {});
    let manager = person(&bench, "mana", Role::Manager).await;
    bench.add("ann").await;
    bench.add("bob").await;
    let epoch = || async { bench.services.users.show("ann", bench.now()).await.unwrap().unwrap().user.epoch };
    let before = epoch().await;
    let list = "login,name,groups,method,second_factor\nann,Ann,,totp,on\nbob,,,,\n";
    let seen = upload_with(&bench, &manager, list, true).await;
    assert_eq!(verdicts(&seen), [(2, &Verdict::Change(vec![Column::Name])), (3, &Verdict::Same)]);
    assert_eq!(confirm(&bench, &manager, &seen).await, Confirmed::Done);
    let ann = bench.services.users.show("ann", bench.now()).await.unwrap().unwrap().user;
    assert_eq!((ann.name.as_str(), ann.epoch), ("Ann", before), "no session ends for what was so before");
    let outcomes: Vec<_> = report(&bench, &manager).await.rows.into_iter().map(|row| row.outcome).collect();
    assert_eq!(outcomes, [Outcome::Changed, Outcome::Same]);
}

#[tokio::test]
async fn the_accounts_rules_are_told_before_anything_is_done() {
    let bench = Bench::new(|config| config.second_factor.switched_on_by = crate::config::SwitchedOnBy::Owner);
    let manager = person(&bench, "mana", Role::Manager).await;
    let list = "login,email,method,second_factor\na,,mail,\nb,b@example.com,mail,\nc,,,on\n";
    let seen = upload(&bench, &manager, list).await;
    assert_eq!(
        verdicts(&seen),
        [
            (2, &only(Column::Email, Reason::MailWithoutAddress, 0)),
            (3, &only(Column::Method, Reason::MailNotConfigured, 0)),
            (4, &only(Column::SecondFactor, Reason::OwnerSwitchesOn, 0)),
        ]
    );
}

#[tokio::test]
async fn a_manager_raises_nobody_and_gives_no_group_they_lack_and_the_list_says_so_first() {
    let bench = Bench::new(|_| {});
    let manager = person(&bench, "mana", Role::Manager).await;
    let admin = bench.add_as("boss", Role::Admin).await.user;
    let change = UserChange { groups: Some(["ops".parse().unwrap()].into()), ..UserChange::default() };
    bench.services.users.set("mana", change, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    let list = "login,role,groups,name\na,admin,,\nb,manager,,\nc,viewer,ops,\nd,,root,\nboss,,,Fool\nmana,,root,\n";
    let seen = upload_with(&bench, &manager, list, true).await;
    let not_held = Verdict::Refused(vec![Fault::new(Column::Groups, Reason::GroupNotHeld, "root")]);
    let forbidden = Verdict::Refused(vec![Fault::of_row(Reason::Forbidden)]);
    assert_eq!(
        verdicts(&seen)[..5],
        [(2, &forbidden), (3, &forbidden), (4, &Verdict::Add), (5, &not_held), (6, &forbidden)]
    );
    assert!(matches!(verdicts(&seen)[5], (7, Verdict::Refused(_))));
    assert_eq!(confirm(&bench, &manager, &seen).await, Confirmed::Done);
    assert_eq!(logins(&bench).await, ["boss", "c", "mana"]);

    let admin = in_session(&admin, 9);
    let seen = upload_with(&bench, &admin, list, true).await;
    assert_eq!(verdicts(&seen)[..2], [(2, &Verdict::Add), (3, &Verdict::Add)]);
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused_and_what_was_there_stays() {
    let bench = Bench::new(|_| {});
    let manager = person(&bench, "mana", Role::Manager).await;
    let seen = upload(&bench, &manager, "login\nann\n").await;
    for (bytes, why) in [
        (vec![b'a'; 5 * 1024 * 1024], Unreadable::TooLarge),
        (format!("login\n{}", "a\n".repeat(MAX_ROWS + 1)).into_bytes(), Unreadable::TooManyRows),
        (b"login,password\na,b\n".to_vec(), Unreadable::Password { name: "password".to_owned() }),
    ] {
        let upload = Upload { bytes, update: false };
        let refused = bench.services.imports.upload(upload, &manager, bench.now()).await.unwrap().unwrap();
        assert_eq!(refused.unwrap_err(), why);
    }
    assert_eq!(confirm(&bench, &manager, &seen).await, Confirmed::Done);
}

/// The largest file there can be goes into the store and out again, and nobody waits long for a thousand accounts.
#[tokio::test(flavor = "multi_thread")]
async fn the_largest_list_is_kept_and_a_thousand_accounts_are_added_within_seconds() {
    let bench = Bench::new(|_| {});
    let manager = person(&bench, "mana", Role::Manager).await;
    let filler = "x".repeat(4100);
    let large: String =
        (0..1000).fold("login,note\n".to_owned(), |list, number| list + &format!("n{number},{filler}\n"));
    assert!(large.len() > MAX_FILE - 100_000 && large.len() <= MAX_FILE, "{}", large.len());
    let began = Instant::now();
    let seen = upload(&bench, &manager, large).await;
    let kept = began.elapsed();
    let began = Instant::now();
    assert_eq!(confirm(&bench, &manager, &seen).await, Confirmed::Done);
    let added = began.elapsed();
    println!("4 MiB uploaded and previewed in {kept:?}; 1,000 accounts in {added:?}");
    assert_eq!(logins(&bench).await.len(), 1001);
    assert!(added < Duration::from_secs(30), "{added:?}");
}

#[tokio::test]
async fn links_go_to_those_who_were_added_and_can_be_reached() {
    let (bench, _mailbox) = Bench::with_mail(|_| {}).await;
    let manager = person(&bench, "mana", Role::Manager).await;
    let seen = upload(&bench, &manager, "login,email\nann,ann@example.com\nbob,\nmana,\n").await;
    let imports = &bench.services.imports;
    let confirmed = imports.confirm(seen.id, &seen.seen, true, &manager, bench.now()).await.unwrap().unwrap();
    assert_eq!(confirmed, Confirmed::Done);
    assert_eq!(report(&bench, &manager).await.links, Some(1));
}

#[tokio::test]
async fn only_whoever_may_import_may_send_more_than_a_form() {
    use crate::authz::{NormalTarget, RawTarget};
    use crate::service::testing::Browser;

    let bench = Bench::new(|_| {});
    let at = |path: &'static str| {
        NormalTarget::parse(RawTarget { target: path.as_bytes(), authority: Some(b"shop.test"), secure: true }).unwrap()
    };
    let nobody = Browser::default().visit(&bench).await;
    assert_eq!(may_upload(&Visit { target: at("/.sekisho/admin/users/import"), ..nobody }), None);
    for (role, expected) in
        [(Role::User, None), (Role::Viewer, None), (Role::Manager, Some(MAX_UPLOAD)), (Role::Admin, Some(MAX_UPLOAD))]
    {
        let login = format!("some-{role}");
        bench
            .services
            .users
            .add(
                crate::service::users::NewUser {
                    password: Some(crate::service::testing::PASSWORD.into()),
                    role,
                    ..new_user(&login)
                },
                &Actor::CommandLine,
                bench.now(),
            )
            .await
            .unwrap()
            .unwrap();
        let mut browser = Browser::default();
        browser.enrol(&bench, &login, false).await;
        let visit = browser.visit(&bench).await;
        let asked = |path| may_upload(&Visit { target: at(path), ..visit.clone() });
        assert_eq!(asked("/.sekisho/admin/users/import"), expected, "{role}");
        for elsewhere in ["/.sekisho/admin/users/import/preview", "/.sekisho/admin/users", "/admin/users/import"] {
            assert_eq!(asked(elsewhere), None, "{role} {elsewhere}");
        }
        let open_line = Visit { may_sign_in: false, target: at("/.sekisho/admin/users/import"), ..visit.clone() };
        assert_eq!(may_upload(&open_line), None);
        bench.advance(Duration::from_secs(8 * 24 * 3600));
        let late = browser.visit(&bench).await;
        assert_eq!(may_upload(&Visit { target: at("/.sekisho/admin/users/import"), ..late }), None, "over");
    }
}
