//! The first page of administration: what it shows is how things stand.

use super::Browser;
use super::journeys::enrolled_as;
use crate::authn::user::Role;
use crate::service::testing::{self, Bench};

const PAGE: &str = "/.sekisho/admin";
const ALONE: &str = "ログインできる管理者が1人だけです。";

async fn page(browser: &mut Browser) -> String {
    let answer = browser.get(PAGE).await;
    assert_eq!(answer.status, 200);
    answer.body
}

#[tokio::test]
async fn f28_it_warns_while_only_one_administrator_can_log_in() {
    let (mut browser, _) = enrolled_as(Bench::new(|_| {}), Role::Admin).await;
    assert!(page(&mut browser).await.contains(ALONE));
    // One who has no password yet is none who could help.
    let new = crate::service::users::NewUser { role: Role::Admin, ..testing::new_user("carol") };
    let (users, actor) = (&browser.bench.services.users, crate::service::actor::Actor::CommandLine);
    users.add(new, &actor, browser.bench.now()).await.unwrap().unwrap();
    assert!(page(&mut browser).await.contains(ALONE));
    browser.bench.add_as("bob", Role::Admin).await;
    assert!(!page(&mut browser).await.contains(ALONE));
}

#[tokio::test]
async fn it_names_who_is_locked_and_counts_logins_and_failures() {
    let (mut browser, _) = enrolled_as(Bench::new(|_| {}), Role::Viewer).await;
    let quiet = page(&mut browser).await;
    assert!(quiet.contains("ロック中のアカウントはありません。"));
    assert!(quiet.contains("<title>2027-01-15: 1</title>"), "one login today: {quiet}");
    let bob = browser.bench.add("bob").await.user;
    for _ in 0..5 {
        testing::Browser::default().password(&browser.bench, "bob", "wrong").await;
    }
    let page = page(&mut browser).await;
    assert!(page.contains(&format!("href=\"/.sekisho/admin/users/{}\">bob</a>", bob.id)), "{page}");
    assert!(page.contains("<title>2027-01-15: 5</title>"), "five failures today: {page}");
    assert!(page.contains("href=\"/.sekisho/admin/users?state=locked\">1</a>"));
    assert!(page.contains("href=\"/.sekisho/admin/sessions\">1</a>"));
}

#[tokio::test]
async fn it_is_not_for_everybody() {
    let (mut browser, _) = enrolled_as(Bench::new(|_| {}), Role::User).await;
    assert_eq!(browser.get(PAGE).await.status, 403);
}
