//! A list of accounts on its way: uploaded, looked at, confirmed, and what became of it.

use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};

use super::journeys::enrolled_as;
use super::{Answer, BROWSER, Browser, ORIGIN, assert_protected};
use crate::authn::user::Role;
use crate::service::testing::Bench;
use crate::service::visit::Ask;

const PAGE: &str = "/.sekisho/admin/users/import";
const PREVIEW: &str = "/.sekisho/admin/users/import/preview";
const RESULT: &str = "/.sekisho/admin/users/import/result";
const REFUSED: &str = "/.sekisho/admin/users/import/refused.csv";

async fn manager() -> Browser {
    enrolled_as(Bench::new(|_| {}), Role::Manager).await.0
}

fn multipart(parts: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, more, content) in parts {
        let head = format!("--------X\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n");
        body.extend(head.into_bytes());
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--------X--\r\n");
    body
}

async fn send(browser: &mut Browser, origin: &str, body: Vec<u8>) -> Answer {
    let request = Request::builder()
        .method("POST")
        .uri(PAGE)
        .header("accept", BROWSER)
        .header("origin", origin)
        .header(CONTENT_TYPE, "multipart/form-data; boundary=------X")
        .body(body.into())
        .unwrap();
    browser.send(Ask::Page, request).await
}

async fn upload(browser: &mut Browser, file: &[u8]) -> Answer {
    let token = own_token(&browser.get(PAGE).await);
    let body = multipart(&[
        ("csrf", "", token.as_bytes()),
        ("file", "; filename=\"people.csv\"\r\nContent-Type: text/csv", file),
        ("text", "", b""),
    ]);
    send(browser, ORIGIN, body).await
}

/// The token of the page's own form; the first one is that of logging out.
fn own_token(page: &Answer) -> String {
    let (_, rest) = page.body.rsplit_once("name=\"csrf\" value=\"").expect("a form with a token");
    rest.split('"').next().unwrap().to_owned()
}

fn field(page: &Answer, name: &str) -> String {
    let (_, rest) = page.body.split_once(&format!("name=\"{name}\" value=\"")).expect(name);
    rest.split('"').next().unwrap().to_owned()
}

fn confirmation(page: &Answer) -> String {
    format!("csrf={}&id={}&seen={}", own_token(page), field(page, "id"), field(page, "seen"))
}

async fn logins(browser: &Browser) -> Vec<String> {
    let views = browser.bench.services.users.list(browser.bench.now()).await.unwrap();
    views.into_iter().map(|view| view.user.login.to_string()).collect()
}

#[tokio::test]
async fn a_list_of_a_japanese_spreadsheet_is_looked_at_then_imported_once() {
    let mut browser = manager().await;
    let list = "ログインID,名前,権限,部署\r\nhanako,山田 花子,利用者,営業\r\nalice,重複,,\r\nboss,社長,管理者,\r\n,名無し,,\r\n";
    let (list, _, _) = encoding_rs::SHIFT_JIS.encode(list);
    let answer = upload(&mut browser, &list).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, PREVIEW));
    let page = browser.get(PREVIEW).await;
    assert_protected(&page);
    for part in [
        "Shift_JIS",
        "山田 花子",
        "部署",
        "このログインIDはすでに登録されています。",
        "ログインIDが入力されていません。",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    assert!(page.body.contains("この操作を行う権限がありません。"), "a manager makes nobody an administrator");
    assert_eq!(logins(&browser).await, ["alice"], "nothing changes before the confirmation");

    let form = confirmation(&page);
    let done = browser.post(PREVIEW, &form).await;
    assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, RESULT));
    assert_eq!(logins(&browser).await, ["alice", "hanako"]);
    let result = browser.get(RESULT).await;
    assert_eq!(result.status, StatusCode::OK);
    assert!(result.body.contains("3行は取り込まれませんでした。"), "{}", result.body);
    assert_eq!(browser.post(PREVIEW, &form).await.location(), RESULT, "once more is the same");
    assert_eq!(browser.get(PREVIEW).await.location(), format!("{PAGE}?done=gone"));
    assert_eq!(logins(&browser).await, ["alice", "hanako"]);
}

#[tokio::test]
async fn the_rows_that_were_refused_come_back_as_a_list_that_can_be_mended_and_brought_again() {
    let mut browser = manager().await;
    upload(&mut browser, "login,name,email\n!,=1+1,\n+ann,\"two, \"\"parts\"\"\",nobody\nbob,Bob,\n".as_bytes()).await;
    let list = browser.get(REFUSED).await;
    assert_protected(&list);
    assert_eq!(list.header("content-type"), "text/csv; charset=utf-8");
    assert!(list.header("content-disposition").starts_with("attachment"));
    let text = list.body.strip_prefix('\u{feff}').expect("a byte order mark");
    let rows: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(rows[0], "login,name,email,行,理由");
    assert!(rows[1].starts_with("!,'=1+1,,2,"), "{}", rows[1]);
    assert!(rows[2].starts_with("'+ann,\"two, \"\"parts\"\"\",nobody,3,"), "{}", rows[2]);
    assert_eq!((rows.len(), rows[3]), (4, ""), "the good row is not among them");

    let mended = list.body.replace("!,'=1+1", "calc,'=1+1").replace("nobody", "ann@example.com");
    upload(&mut browser, mended.as_bytes()).await;
    let page = browser.get(PREVIEW).await;
    assert_eq!(browser.post(PREVIEW, &confirmation(&page)).await.location(), RESULT);
    assert_eq!(logins(&browser).await, ["+ann", "alice", "calc"]);
    let show = |login: &'static str| browser.bench.services.users.show(login, browser.bench.now());
    assert_eq!(show("calc").await.unwrap().unwrap().user.name.as_str(), "=1+1", "no apostrophe is left");
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_told_why_and_keeps_what_was_pasted() {
    let mut browser = manager().await;
    browser.cookies.language = Some("en");
    let token = own_token(&browser.get(PAGE).await);
    let paste = |text: &str| {
        multipart(&[
            ("csrf", "", token.as_bytes()),
            ("file", "; filename=\"\"\r\nContent-Type: application/octet-stream", b""),
            ("text", "", text.as_bytes()),
            ("update", "", b"yes"),
        ])
    };
    for (text, said) in [
        ("lgoin,name\r\na,b\r\n", "Is “login” meant?"),
        ("login,password\r\na,b\r\n", "nobody chooses a password for somebody else"),
        ("", "There are no rows in this list."),
        ("<b>,name\r\na,b\r\n", "names no column “login”"),
    ] {
        let answer = send(&mut browser, ORIGIN, paste(text)).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{text}");
        assert!(answer.body.contains(said), "{said}");
        assert!(!answer.body.contains("<b>"), "what was pasted is text");
        assert!(answer.body.contains("name=\"update\" value=\"yes\" checked"));
    }
    let refused = upload(&mut browser, &vec![b'a'; 5 * 1024 * 1024]).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(browser.get(PREVIEW).await.location(), format!("{PAGE}?done=gone"));
}

#[tokio::test]
async fn a_form_from_elsewhere_or_of_another_session_imports_nothing() {
    let mut browser = manager().await;
    let token = own_token(&browser.get(PAGE).await);
    let body = |token: &str| multipart(&[("csrf", "", token.as_bytes()), ("text", "", b"login\nann\n")]);
    assert_eq!(send(&mut browser, "https://evil.test", body(&token)).await.status, StatusCode::FORBIDDEN);
    assert_eq!(send(&mut browser, ORIGIN, body("x")).await.status, StatusCode::FORBIDDEN);
    assert_eq!(browser.get(PREVIEW).await.location(), format!("{PAGE}?done=gone"), "nothing was kept");

    send(&mut browser, ORIGIN, body(&token)).await;
    let page = browser.get(PREVIEW).await;
    let old = browser.cookies.session.take();
    assert_eq!(browser.post(PREVIEW, &confirmation(&page)).await.status, StatusCode::SEE_OTHER, "to the login");
    browser.cookies.session = old;
    let mut wrong = confirmation(&page);
    wrong.push('0');
    assert_eq!(browser.post(PREVIEW, &wrong).await.status, StatusCode::CONFLICT, "not what was shown");
    assert_eq!(logins(&browser).await, ["alice"]);
    let discard = format!("csrf={}&discard=yes", own_token(&page));
    assert_eq!(browser.post(PREVIEW, &discard).await.location(), PAGE);
    assert_eq!(browser.post(PREVIEW, &confirmation(&page)).await.location(), format!("{PAGE}?done=gone"));
    assert_eq!(logins(&browser).await, ["alice"]);
}
