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
    let bench = Bench::new(|_| {});
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
