//! Every page and method × everybody who may come: nobody, a login at each of its stages, somebody signed in in each role. A
//! page without a row fails.

use std::collections::BTreeSet;

use super::journeys::{App, another, enrolled, enrolled_as, give_password};
use super::{Answer, BROWSER, Browser, assert_protected, request};
use crate::authn::user::Role;
use crate::service::cookies::CookieKind;
use crate::service::testing::{Bench, PASSWORD};
use crate::service::visit::Ask;

/// Method and path; then what everybody gets, in the order of [`everybody`]. `→` is a redirect, to a path below the portal's
/// unless two slashes follow. Posts come without a token.
const ROWS: &[(&str, &str, [&str; 8])] = &[
    ("GET", "/", everybody_alike("→/login", "200", "→/login", "→/login", "→/login")),
    ("GET", "/login", everybody_alike("200", "200", "200", "200", "200")),
    ("POST", "/login", everybody_alike("403", "403", "403", "403", "403")),
    ("GET", "/second-factor", everybody_alike("→/login", "→//", "200", "→/enrol", "→/enrol/recovery-codes")),
    ("POST", "/second-factor", everybody_alike("401", "401", "403", "→/enrol", "→/enrol/recovery-codes")),
    (
        "POST",
        "/second-factor/resend",
        everybody_alike("401", "401", "→/second-factor", "→/enrol", "→/enrol/recovery-codes"),
    ),
    // Asked by the page's script; the code that is due here is an app's.
    ("GET", "/second-factor/delivery", everybody_alike("401", "401", "404", "404", "404")),
    ("GET", "/second-factor/recovery", everybody_alike("→/login", "→//", "200", "→/enrol", "→/enrol/recovery-codes")),
    ("POST", "/second-factor/recovery", everybody_alike("401", "401", "403", "→/enrol", "→/enrol/recovery-codes")),
    ("GET", "/enrol", everybody_alike("→/login", "→//", "→/second-factor", "200", "→/enrol/recovery-codes")),
    ("POST", "/enrol", everybody_alike("401", "401", "→/second-factor", "403", "→/enrol/recovery-codes")),
    ("POST", "/enrol/cancel", everybody_alike("→/login", "→//", "→/second-factor", "403", "→/enrol/recovery-codes")),
    ("GET", "/enrol/recovery-codes", everybody_alike("→/login", "→//", "→/second-factor", "→/enrol", "200")),
    ("POST", "/enrol/recovery-codes", everybody_alike("→/login", "→//", "→/second-factor", "→/enrol", "403")),
    ("GET", "/enrol/recovery-codes.txt", everybody_alike("→/login", "→//", "→/second-factor", "→/enrol", "200")),
    ("POST", "/enrol/again", everybody_alike("→/login", "→//", "→/login", "→/login", "→/login")),
    ("GET", "/welcome", everybody_alike("→/login", "→//", "→/login", "→/login", "→/login")),
    ("GET", "/password", everybody_alike("→/login", "200", "→/second-factor", "→/enrol", "→/enrol/recovery-codes")),
    ("POST", "/password", everybody_alike("→/login", "403", "→/second-factor", "→/enrol", "→/enrol/recovery-codes")),
    // Nowhere without `mail`; with it everybody may come, whoever they are.
    ("GET", "/password/forgot", everybody_alike("404", "404", "404", "404", "404")),
    ("POST", "/password/forgot", everybody_alike("404", "404", "404", "404", "404")),
    ("GET", "/password/reset", everybody_alike("410", "410", "410", "410", "410")),
    ("POST", "/password/reset", everybody_alike("410", "410", "410", "410", "410")),
    // There is no such form.
    ("GET", "/held/{id}", everybody_alike("→/login", "410", "→/login", "→/login", "→/login")),
    ("POST", "/held/{id}", everybody_alike("→/login", "410", "→/login", "→/login", "→/login")),
    ("GET", "/logout", everybody_alike("→/login", "200", "→/login", "→/login", "→/login")),
    ("POST", "/logout", everybody_alike("→/login", "403", "→/login", "→/login", "→/login")),
    // Nowhere without `portal.host`; what they do with it is told in the integration tests.
    ("GET", "/sign-on", everybody_alike("404", "404", "404", "404", "404")),
    ("GET", "/handoff", everybody_alike("404", "404", "404", "404", "404")),
    // A form is nothing for the API; what it does with JSON is told in `api`.
    ("POST", "/api/login", everybody_alike("415", "415", "415", "415", "415")),
    ("POST", "/api/second-factor", everybody_alike("415", "415", "415", "415", "415")),
    ("POST", "/api/logout", everybody_alike("415", "415", "415", "415", "415")),
    ("GET", "/api/session", everybody_alike("401", "200", "401", "401", "401")),
    // Nowhere without `identity.assertion`; with it everybody may come.
    ("GET", "/jwks.json", everybody_alike("404", "404", "404", "404", "404")),
    ("GET", "/static/{file}", everybody_alike("404", "404", "404", "404", "404")),
    ("GET", "/admin/sessions", by_role("→/login", "→/login", ["403", "200", "200", "200"])),
    ("POST", "/admin/sessions/end", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("GET", "/admin/audit", by_role("→/login", "→/login", ["403", "200", "200", "200"])),
    ("GET", "/admin/audit.jsonl", by_role("→/login", "→/login", ["403", "200", "200", "200"])),
    ("GET", "/admin/users.csv", by_role("→/login", "→/login", ["403", "200", "200", "200"])),
    ("POST", "/admin/users", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("GET", "/admin/users", by_role("→/login", "→/login", ["403", "200", "200", "200"])),
    ("GET", "/admin/users/new", by_role("→/login", "→/login", ["403", "403", "200", "200"])),
    ("POST", "/admin/users/new", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("GET", "/admin/users/{id}", by_role("→/login", "→/login", ["403", "200", "200", "200"])),
    ("GET", "/admin/users/{id}/edit", by_role("→/login", "→/login", ["403", "403", "200", "200"])),
    ("POST", "/admin/users/{id}/edit", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/admin/users/{id}/disable", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/admin/users/{id}/enable", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/admin/users/{id}/unlock", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/admin/users/{id}/reset-second-factor", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/admin/users/{id}/send-link", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/admin/users/{id}/end-session", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/admin/users/{id}/end-sessions", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/admin/users/{id}/forget-device", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/admin/users/{id}/forget-devices", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/admin/users/{id}/tool-login", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/admin/users/{id}/forget-tool-login", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/admin/users/{id}/delete", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("GET", "/account", by_role("→/login", "→/login", ["200", "200", "200", "200"])),
    // They have signed in a moment ago, so nothing is asked again.
    ("GET", "/account/confirm", by_role("→/login", "→/login", ["→/account", "→/account", "→/account", "→/account"])),
    ("POST", "/account/confirm", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("GET", "/account/second-factor", by_role("→/login", "→/login", ["200", "200", "200", "200"])),
    ("POST", "/account/second-factor/app", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/account/second-factor/on", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/account/second-factor/remove", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("GET", "/account/recovery-codes", by_role("→/login", "→/login", ["200", "200", "200", "200"])),
    ("POST", "/account/recovery-codes", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("GET", "/account/email", by_role("→/login", "→/login", ["200", "200", "200", "200"])),
    ("POST", "/account/email", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/account/email/confirm", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/account/email/resend", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/account/email/cancel", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("GET", "/account/devices", by_role("→/login", "→/login", ["200", "200", "200", "200"])),
    ("POST", "/account/devices/forget", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/account/devices/forget-all", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("GET", "/account/tools", by_role("→/login", "→/login", ["200", "200", "200", "200"])),
    ("POST", "/account/tools", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/account/tools/forget", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("GET", "/account/sessions", by_role("→/login", "→/login", ["200", "200", "200", "200"])),
    ("POST", "/account/sessions/end", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("POST", "/account/sessions/end-others", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    ("GET", "/admin", by_role("→/login", "→/login", ["403", "200", "200", "200"])),
    ("GET", "/admin/users/import", by_role("→/login", "→/login", ["403", "403", "200", "200"])),
    // A form without a file is nothing for this page.
    ("POST", "/admin/users/import", by_role("→/login", "→/login", ["403", "403", "415", "415"])),
    (
        "GET",
        "/admin/users/import/preview",
        by_role("→/login", "→/login", ["403", "403", "→/admin/users/import", "→/admin/users/import"]),
    ),
    ("POST", "/admin/users/import/preview", by_role("→/login", "→/login", ["403", "403", "403", "403"])),
    (
        "GET",
        "/admin/users/import/result",
        by_role("→/login", "→/login", ["403", "403", "→/admin/users/import", "→/admin/users/import"]),
    ),
    (
        "GET",
        "/admin/users/import/refused.csv",
        by_role("→/login", "→/login", ["403", "403", "→/admin/users/import", "→/admin/users/import"]),
    ),
];

/// A page on which roles make no difference: nobody, somebody signed in, then a login that waits for a code, one that waits
/// for an enrolment, and one that shows recovery codes.
const fn everybody_alike(
    nobody: &'static str,
    signed_in: &'static str,
    code_due: &'static str,
    enrolment_due: &'static str,
    codes_shown: &'static str,
) -> [&'static str; 8] {
    [nobody, code_due, enrolment_due, codes_shown, signed_in, signed_in, signed_in, signed_in]
}

/// A page of one's own or of administration: nobody, a login at whatever stage, then user, viewer, manager, admin.
const fn by_role(nobody: &'static str, first_factor: &'static str, roles: [&'static str; 4]) -> [&'static str; 8] {
    let [user, viewer, manager, admin] = roles;
    [nobody, first_factor, first_factor, first_factor, user, viewer, manager, admin]
}

/// The eight who come, each with a browser of their own.
async fn everybody() -> [Browser; 8] {
    let nobody = Browser::new();
    let (browser, _) = enrolled(Bench::new(|_| {})).await;
    let mut code_due = another(browser);
    assert_eq!(give_password(&mut code_due, PASSWORD).await.location(), "/.sekisho/second-factor");
    let mut enrolment_due = Browser::new();
    enrolment_due.bench.add("alice").await;
    assert_eq!(give_password(&mut enrolment_due, PASSWORD).await.location(), "/.sekisho/enrol");
    let mut codes_shown = Browser::new();
    codes_shown.bench.add("alice").await;
    give_password(&mut codes_shown, PASSWORD).await;
    let page = codes_shown.get("/.sekisho/enrol").await;
    let form = format!("code={}&csrf={}", App::read(&page).code(&codes_shown.bench), page.csrf());
    assert_eq!(codes_shown.post("/.sekisho/enrol", &form).await.location(), "/.sekisho/enrol/recovery-codes");
    let mut everybody = vec![nobody, code_due, enrolment_due, codes_shown];
    for role in [Role::User, Role::Viewer, Role::Manager, Role::Admin] {
        let browser = enrolled_as(Bench::new(|_| {}), role).await.0;
        browser.bench.add("bob").await;
        everybody.push(browser);
    }
    everybody.try_into().unwrap_or_else(|_| unreachable!("eight"))
}

#[tokio::test]
async fn everybody_gets_of_every_page_what_is_theirs() {
    let mut everybody = everybody().await;
    let mut wrong = Vec::new();
    for (method, path, expected) in ROWS {
        for (who, (browser, expected)) in everybody.iter_mut().zip(expected).enumerate() {
            let answer = ask(browser, method, path).await;
            assert_protected(&answer);
            let sets = |kind| answer.cookies().iter().any(|(set, value)| *set == kind && !value.is_empty());
            assert!(!sets(CookieKind::Session) && !sets(CookieKind::Device), "{method} {path} lets {who} in");
            let got = outcome(&answer);
            if got != *expected {
                wrong.push(format!("{method} {path} for {who}: {got} instead of {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn every_page_and_method_has_a_row() {
    let rows: BTreeSet<(&str, &str)> = ROWS.iter().map(|(method, path, _)| (*method, *path)).collect();
    assert_eq!(rows.len(), ROWS.len(), "a row stands twice");
    let mut browser = Browser::new();
    let mut pages = BTreeSet::new();
    for (path, _) in super::super::table() {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if ask(&mut browser, method, path).await.status != 405 {
                pages.insert((method, path));
            }
        }
    }
    assert_eq!(pages, rows);
}

#[tokio::test]
async fn over_an_open_line_there_is_no_page_of_a_login() {
    let mut browser = Browser::new();
    browser.may_sign_in = false;
    for (method, path, _) in ROWS {
        let expected = match *path {
            // Nothing to be signed in with comes over such a line.
            "/" => "→/login",
            "/logout" if *method == "GET" => "→/login",
            "/api/session" => "401",
            "/static/{file}" => "404",
            _ => "403",
        };
        let answer = ask(&mut browser, method, path).await;
        assert_eq!(outcome(&answer), expected, "{method} {path}");
        assert_eq!(answer.cookies(), [], "{method} {path}");
    }
}

async fn ask(browser: &mut Browser, method: &str, path: &str) -> Answer {
    let users = &browser.bench.services.users;
    // Somebody else's account, where there is one.
    let id = match users.show("bob", browser.bench.now()).await.unwrap() {
        Ok(bob) => bob.user.id.to_string(),
        Err(_) => "0000000000000000".to_owned(),
    };
    let path = format!("/.sekisho{path}").replace("{file}", "none.css").replace("{id}", &id);
    match method {
        "POST" => browser.post(&path, "code=123456").await,
        method => browser.send(Ask::Page, request(method, &path, &[("accept", BROWSER)], "")).await,
    }
}

fn outcome(answer: &Answer) -> String {
    if answer.status != 303 {
        return answer.status.as_str().to_owned();
    }
    let path = answer.location().split('?').next().unwrap();
    match path.strip_prefix("/.sekisho") {
        Some(below) => format!("→{below}"),
        None => format!("→/{path}"),
    }
}
