//! The list of accounts as a manager and a viewer work with it (F24, F27).

use http::StatusCode;

use super::journeys::enrolled_as;
use super::{Answer, Browser};
use crate::authn::user::{Method, Role};
use crate::service::actor::Actor;
use crate::service::testing::{Bench, new_user};
use crate::service::users::NewUser;

const LIST: &str = "/.sekisho/admin/users";

/// alice, who looks, and three others.
async fn office(role: Role) -> Browser {
    office_on(Bench::new(|_| {}), role).await
}

async fn office_on(bench: Bench, role: Role) -> Browser {
    bench.add_with_mail("hanako", Method::Totp).await;
    bench.add("taro").await;
    let named =
        NewUser {
            name: "ﾔﾏﾀﾞ <花子>".parse().unwrap(), groups: [r"ops".parse().unwrap()].into(), ..new_user("yamada")
        };
    bench.services.users.add(named, &Actor::CommandLine, bench.now()).await.unwrap().unwrap();
    enrolled_as(bench, role).await.0
}

/// The logins on the page, in order.
fn logins(page: &Answer) -> Vec<String> {
    assert_eq!(page.status, StatusCode::OK);
    let cells = page.body.split("data-label=\"ログインID\">").skip(1);
    cells.map(|cell| cell.split('<').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn f24_the_list_is_searched_narrowed_and_sorted_by_its_address() {
    let mut browser = office(Role::Viewer).await;
    for (query, expected) in [
        ("", vec!["alice", "hanako", "taro", "yamada"]),
        ("?sort=-login", vec!["yamada", "taro", "hanako", "alice"]),
        ("?q=HANAKO%40EXAMPLE", vec!["hanako"]),
        // Half-width katakana in the account, full-width in the search, and the other way round.
        ("?q=%E3%83%A4%E3%83%9E%E3%83%80", vec!["yamada"]),
        ("?q=%EF%BD%99%EF%BD%81%EF%BD%8D%EF%BD%81", vec!["yamada"]),
        ("?role=viewer", vec!["alice"]),
        ("?group=ops", vec!["yamada"]),
        ("?enrolled=yes", vec!["alice"]),
        ("?last-login=never", vec!["hanako", "taro", "yamada"]),
        ("?from=2027-01-15&to=2027-01-15", vec!["alice"]),
        ("?to=2027-01-14", vec![]),
        ("?role=root&state=gone&sort=password&page=-7&unknown=1", vec!["alice", "hanako", "taro", "yamada"]),
    ] {
        let page = browser.get(&format!("{LIST}{query}")).await;
        assert_eq!(logins(&page), expected, "{query}");
    }
    let id = browser.bench.services.users.show("taro", browser.bench.now()).await.unwrap().unwrap().user.id;
    assert_eq!(logins(&browser.get(&format!("{LIST}?q={id}")).await), ["taro"]);
}

#[tokio::test]
async fn f24_what_people_wrote_is_text_on_the_page_and_in_its_links() {
    let mut browser = office(Role::Viewer).await;
    let page = browser.get(&format!("{LIST}?q=%22%3E%3Cscript%3E&lang=ja")).await;
    assert!(
        page.body.contains("value=\"&quot;&gt;&lt;script&gt;\"") && !page.body.contains("<script"),
        "{}",
        page.body
    );
    assert!(page.body.contains("条件に一致するアカウントはありません"));
    // The same list in another language, and sorted otherwise.
    assert!(page.body.contains("?lang=en&amp;q=%22%3E%3Cscript%3E\""), "{}", page.body);
    let sorted = browser.get(&format!("{LIST}?q=hana%26")).await;
    assert_eq!(logins(&sorted), Vec::<String>::new());
    let sorted = browser.get(&format!("{LIST}?q=hana")).await;
    assert!(sorted.body.contains("?q=hana&amp;sort=%2Dlogin\""));
    assert!(browser.get(LIST).await.body.contains("ﾔﾏﾀﾞ &lt;花子&gt;"));
}

#[tokio::test]
async fn f24_the_export_is_the_list_as_it_is_narrowed_and_sorted() {
    let mut browser = office(Role::Viewer).await;
    let all = browser.get(&format!("{LIST}.csv?sort=-login&page=7")).await;
    assert_eq!((all.status, all.header("content-type")), (StatusCode::OK, "text/csv; charset=utf-8"));
    assert_eq!(all.header("content-disposition"), "attachment; filename=\"accounts-2027-01-15.csv\"");
    let lines: Vec<&str> = all.body.split_terminator("\r\n").collect();
    assert!(
        lines[0].starts_with("\u{feff}id,login,name,email,role,groups,second_factor,method,enrolled,"),
        "{}",
        lines[0]
    );
    let logins: Vec<&str> = lines[1..].iter().map(|line| line.split(',').nth(1).unwrap()).collect();
    assert_eq!(logins, ["yamada", "taro", "hanako", "alice"]);
    assert!(lines[1].contains(",ﾔﾏﾀﾞ <花子>,,user,ops,on,totp,no,,2027-01-15T08:00:15Z,active,"), "{}", lines[1]);
    let some = browser.get(&format!("{LIST}.csv?group=ops")).await;
    assert_eq!(some.body.lines().count(), 2);
}

#[tokio::test]
async fn f24_a_page_behind_the_last_one_is_the_last_one() {
    let mut browser = office(Role::Viewer).await;
    for number in 0..60 {
        browser.bench.add(&format!("user{number:02}")).await;
    }
    let first = browser.get(LIST).await;
    assert_eq!(logins(&first).len(), 50);
    assert!(first.body.contains("全64件中 1～50件"), "{}", first.body);
    let last = browser.get(&format!("{LIST}?page=2")).await;
    assert_eq!(logins(&last).len(), 14);
    assert!(last.body.contains("全64件中 51～64件"));
    let behind = browser.get(&format!("{LIST}?page=9")).await;
    assert_eq!(logins(&behind), logins(&last));
    assert!(first.body.contains("?page=2\" rel=\"next\"") && !first.body.contains("rel=\"prev\""));
    assert!(last.body.contains("rel=\"prev\"") && !last.body.contains("rel=\"next\""));
}

/// Ticks these, chooses, and confirms what the next page asks; the last page.
async fn do_to(browser: &mut Browser, act: &str, logins: &[&str]) -> (Answer, Answer) {
    let list = browser.get(&format!("{LIST}?q=&sort=email")).await;
    let mut form = format!("act={act}&list=sort%3Demail&csrf={}", csrf_of(&list, LIST));
    for login in logins {
        form += &format!("&user-{}=on", id(browser, login).await);
    }
    let ask = browser.post(LIST, &form).await;
    assert_eq!(ask.status, StatusCode::OK);
    let mut form = format!("act={act}&confirmed=yes&list=sort%3Demail&csrf={}", csrf_of(&ask, LIST));
    for name in ask.body.split("name=\"user-").skip(1) {
        form += &format!("&user-{}=on", name.split('"').next().unwrap());
    }
    let done = browser.post(LIST, &form).await;
    (ask, done)
}

/// The token of the form that is posted to `path`.
fn csrf_of(page: &Answer, path: &str) -> String {
    let (_, form) = page.body.split_once(&format!("method=\"post\" action=\"{path}\"")).expect("the form");
    let (_, value) = form.split_once("name=\"csrf\" value=\"").unwrap();
    value.split('"').next().unwrap().to_owned()
}

async fn id(browser: &Browser, login: &str) -> String {
    user(browser, login).await.id.to_string()
}

async fn user(browser: &Browser, login: &str) -> crate::authn::user::User {
    browser.bench.services.users.show(login, browser.bench.now()).await.unwrap().unwrap().user
}

fn with_mail_server() -> Bench {
    Bench::new(|config| config.mail = Some(crate::service::testing::mail()))
}

#[tokio::test]
async fn f26_the_second_factor_of_many_is_switched_at_once_and_each_is_told_of() {
    let mut browser = office_on(Bench::new(|_| {}), Role::Manager).await;
    let (ask, done) = do_to(&mut browser, "second-factor-off", &["hanako", "taro"]).await;
    assert!(ask.body.contains("次の2件のアカウントが対象です") && ask.body.contains(">hanako<"), "{}", ask.body);
    assert!(done.body.contains("2件を変更しました。変更しなかったもの：0件"), "{}", done.body);
    assert!(done.body.contains(&format!("{LIST}?sort=email")));
    assert!(!user(&browser, "hanako").await.second_factor.switched_on);
    assert!(!user(&browser, "taro").await.second_factor.switched_on);
    assert!(user(&browser, "yamada").await.second_factor.switched_on);
    let (_, done) = do_to(&mut browser, "second-factor-on", &["hanako"]).await;
    assert!(done.body.contains("1件を変更しました"));
    assert!(user(&browser, "hanako").await.second_factor.switched_on);
    // It is on already: nothing is left to be confirmed.
    let token = csrf_of(&browser.get(LIST).await, LIST);
    let hanako = id(&browser, "hanako").await;
    let ask = browser.post(LIST, &format!("act=second-factor-on&user-{hanako}=on&csrf={token}")).await;
    assert!(ask.body.contains("すでにその状態です") && !ask.body.contains("name=\"confirmed\""), "{}", ask.body);
}

#[tokio::test]
async fn f26_an_account_without_a_mail_address_is_not_given_codes_by_mail() {
    let mut browser = office_on(with_mail_server(), Role::Manager).await;
    let list = browser.get(LIST).await;
    assert!(list.body.contains("メールアドレスのないアカウントは、メール方式に変更できません"));
    let (ask, done) = do_to(&mut browser, "method-mail", &["hanako", "taro"]).await;
    assert!(
        ask.body.contains("次の1件は対象外です") && ask.body.contains("メールアドレスが登録されていません"),
        "{}",
        ask.body
    );
    assert!(done.body.contains("1件を変更しました"), "{}", done.body);
    assert_eq!(user(&browser, "hanako").await.second_factor.method, Method::Mail);
    // Whoever leaves the page that asks aside is refused all the same.
    let token = csrf_of(&browser.get(LIST).await, LIST);
    let taro = id(&browser, "taro").await;
    let forged = browser.post(LIST, &format!("act=method-mail&confirmed=yes&user-{taro}=on&csrf={token}")).await;
    assert!(forged.body.contains("0件を変更しました"), "{}", forged.body);
    assert_eq!(user(&browser, "taro").await.second_factor.method, Method::Totp);
}

#[tokio::test]
async fn f26_rights_hold_for_each_of_many() {
    let mut browser = office_on(Bench::new(|_| {}), Role::Manager).await;
    browser.bench.add_as("root", Role::Admin).await;
    // A manager does nothing to an administrator; the others are done all the same.
    let (_, done) = do_to(&mut browser, "disable", &["root", "taro"]).await;
    assert!(done.body.contains("1件を変更しました。変更しなかったもの：1件"), "{}", done.body);
    assert!(done.body.contains("この操作を行う権限がありません"), "{}", done.body);
    assert!(!user(&browser, "root").await.disabled && user(&browser, "taro").await.disabled);
    // Nor does somebody who was demoted since the page was made.
    let token = csrf_of(&browser.get(LIST).await, LIST);
    let demoted = crate::service::users::UserChange { role: Some(Role::Viewer), ..Default::default() };
    let now = browser.bench.now();
    browser.bench.services.users.set("alice", demoted, &Actor::CommandLine, now).await.unwrap().unwrap();
    let taro = id(&browser, "taro").await;
    let late = browser.post(LIST, &format!("act=enable&confirmed=yes&user-{taro}=on&csrf={token}")).await;
    assert_eq!(late.status, StatusCode::FORBIDDEN);
    assert!(user(&browser, "taro").await.disabled);
}

#[tokio::test]
async fn f26_the_last_administrator_is_not_disabled_with_the_others() {
    let mut browser = office_on(Bench::new(|_| {}), Role::Admin).await;
    let (_, done) = do_to(&mut browser, "disable", &["alice", "taro"]).await;
    assert!(done.body.contains("1件を変更しました。変更しなかったもの：1件"), "{}", done.body);
    assert!(!user(&browser, "alice").await.disabled && user(&browser, "taro").await.disabled);
}

#[tokio::test]
async fn f26_locks_and_sessions_of_many_end_at_once() {
    let mut browser = office_on(Bench::new(|_| {}), Role::Manager).await;
    for _ in 0..5 {
        crate::service::testing::Browser::default().password(&browser.bench, "taro", "wrong").await;
    }
    assert_eq!(logins(&browser.get(&format!("{LIST}?state=locked")).await), ["taro"]);
    let (_, done) = do_to(&mut browser, "unlock", &["taro"]).await;
    assert!(done.body.contains("1件を変更しました"));
    assert_eq!(logins(&browser.get(&format!("{LIST}?state=locked")).await), Vec::<String>::new());
    let mut hanako = crate::service::testing::Browser::default();
    hanako.enrol(&browser.bench, "hanako", false).await;
    let (_, done) = do_to(&mut browser, "end-sessions", &["hanako"]).await;
    assert!(done.body.contains("1件を変更しました"), "{}", done.body);
    assert!(browser.bench.live(&hanako.session()).await.is_none());
}

#[tokio::test]
async fn f26_nothing_ticked_or_chosen_or_too_many_is_said() {
    let mut browser = office_on(Bench::new(|_| {}), Role::Manager).await;
    let token = csrf_of(&browser.get(LIST).await, LIST);
    let taro = id(&browser, "taro").await;
    let many: String = (0..501).map(|n| format!("&user-{n:0>16}=on")).collect();
    for (form, expected) in [
        ("act=unlock".to_owned(), "nothing-ticked"),
        (format!("act=drop&user-{taro}=on"), "no-act"),
        (format!("user-{taro}=on"), "no-act"),
        (format!("act=unlock{many}"), "too-many"),
    ] {
        let answer = browser.post(LIST, &format!("{form}&list=q%3Da%26evil%3D1&csrf={token}")).await;
        assert_eq!(answer.location(), format!("{LIST}?q=a&done={expected}"));
        assert!(browser.get(answer.location()).await.body.contains("id=\"alert\""));
    }
    let answer = browser.post(LIST, &format!("act=disable&confirmed=yes&user-{taro}=on&csrf=x")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(!user(&browser, "taro").await.disabled);
}

#[tokio::test]
async fn f27_a_viewer_sees_the_list_but_has_nothing_to_tick() {
    let mut browser = office(Role::Viewer).await;
    let page = browser.get(LIST).await;
    assert!(!page.body.contains("type=\"checkbox\"") && !page.body.contains("/admin/users/new"));
    let taro = id(&browser, "taro").await;
    let answer = browser.post(LIST, &format!("act=disable&confirmed=yes&user-{taro}=on&csrf=x")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(!user(&browser, "taro").await.disabled);
}
