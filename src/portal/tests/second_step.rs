//! Mailed codes, recovery codes and the welcome as people meet them, with the words of F14 in both languages.

use std::time::Duration;

use http::StatusCode;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::journeys::{App, another, enrolled, give_password};
use super::{Answer, Browser, assert_protected};
use crate::authn::user::Method;
use crate::service::actor::Actor;
use crate::service::cookies::CookieKind;
use crate::service::testing::{Bench, Mailbox, PASSWORD};

const SECOND: Duration = Duration::from_secs(1);

/// Somebody whose code comes by mail, behind the password.
async fn mailed(language: &'static str) -> (Browser, Mailbox) {
    let (bench, mailbox) = Bench::with_mail(|_| {}).await;
    bench.add_with_mail("alice", Method::Mail).await;
    let mut browser = Browser::with(bench);
    browser.cookies.language = Some(language);
    assert_eq!(give_password(&mut browser, PASSWORD).await.location(), "/.sekisho/second-factor");
    (browser, mailbox)
}

/// Somebody who has enrolled an app, in another browser and behind the password; with the app and the codes.
async fn behind_the_password(bench: Bench, language: &'static str) -> (Browser, App, Vec<String>) {
    let mut browser = Browser::with(bench);
    browser.bench.add("alice").await;
    give_password(&mut browser, PASSWORD).await;
    let (app, codes) = enrol(&mut browser).await;
    browser.bench.advance(60 * SECOND);
    let mut browser = another(browser);
    browser.cookies.language = Some(language);
    assert_eq!(give_password(&mut browser, PASSWORD).await.location(), "/.sekisho/second-factor");
    (browser, app, codes)
}

/// From the page with the key to behind the recovery codes.
async fn enrol(browser: &mut Browser) -> (App, Vec<String>) {
    let page = browser.get("/.sekisho/enrol").await;
    let app = App::read(&page);
    let form = format!("code={}&csrf={}", app.code(&browser.bench), page.csrf());
    assert_eq!(browser.post("/.sekisho/enrol", &form).await.location(), "/.sekisho/enrol/recovery-codes");
    let page = browser.get("/.sekisho/enrol/recovery-codes").await;
    let codes = codes_on(&page);
    let saved = browser.post("/.sekisho/enrol/recovery-codes", &format!("csrf={}", page.csrf())).await;
    assert!(saved.sets(CookieKind::Session), "{}", saved.body);
    (app, codes)
}

fn codes_on(page: &Answer) -> Vec<String> {
    page.body.split("<li><code>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
}

async fn give_code(browser: &mut Browser, page: &str, code: &str) -> Answer {
    let path = format!("/.sekisho/{page}");
    let csrf = browser.get(&path).await.csrf();
    let answer = browser.post(&path, &format!("code={code}&csrf={csrf}")).await;
    assert_protected(&answer);
    answer
}

async fn resend(browser: &mut Browser) -> Answer {
    let csrf = browser.get("/.sekisho/second-factor").await.csrf();
    browser.post("/.sekisho/second-factor/resend", &format!("csrf={csrf}")).await
}

/// A refusal on a page, in these words; nobody is in.
#[track_caller]
fn says(answer: &Answer, status: u16, words: &str) {
    assert!(answer.body.contains(words), "{words}: {}", answer.body);
    assert_eq!(answer.status.as_u16(), status, "{words}");
    assert!(answer.body.contains("id=\"alert\" role=\"alert\""));
    assert!(!answer.sets(CookieKind::Session));
}

/// A code that is not this one.
fn other_than(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000)
}

#[tokio::test]
async fn f7_recovery_codes_are_shown_and_downloaded_until_they_are_saved() {
    let mut browser = Browser::new();
    browser.bench.add("alice").await;
    give_password(&mut browser, PASSWORD).await;
    let page = browser.get("/.sekisho/enrol").await;
    let form = format!("code={}&csrf={}", App::read(&page).code(&browser.bench), page.csrf());
    let answer = browser.post("/.sekisho/enrol", &form).await;
    assert_eq!(answer.location(), "/.sekisho/enrol/recovery-codes");
    assert!(!answer.sets(CookieKind::Session), "not in before they are saved");

    let page = browser.get("/.sekisho/enrol/recovery-codes").await;
    assert_protected(&page);
    let codes = codes_on(&page);
    assert_eq!(codes.len(), 10);
    assert!(codes.iter().all(|code| code.len() == 8 && code.bytes().all(|byte| byte.is_ascii_digit())));

    let file = browser.get("/.sekisho/enrol/recovery-codes.txt").await;
    assert_protected(&file);
    assert_eq!(file.status, StatusCode::OK);
    assert_eq!(file.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"recovery-codes.txt\"");
    let boxes: Vec<&str> = file.body.split("\r\n").filter_map(|line| line.strip_prefix("[ ] ")).collect();
    assert_eq!(boxes, codes);
    assert!(file.body.contains("2027-01-15") && file.body.contains(": alice\r\n"), "{}", file.body);

    let flow = browser.cookies.flow.take();
    for page in ["/.sekisho/enrol/recovery-codes", "/.sekisho/enrol/recovery-codes.txt"] {
        assert_eq!(browser.get(page).await.location(), "/.sekisho/login?return_to=%2F&notice=restart", "{page}");
    }
    browser.cookies.flow = flow;

    let forged = browser.post("/.sekisho/enrol/recovery-codes", "csrf=x").await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    assert_eq!(codes_on(&forged), codes, "they can still be read");
    let saved = browser.post("/.sekisho/enrol/recovery-codes", &format!("csrf={}", page.csrf())).await;
    assert_eq!(saved.location(), "/orders");
    assert!(saved.sets(CookieKind::Session) && browser.cookies.flow.is_none());
    for page in ["/.sekisho/enrol/recovery-codes", "/.sekisho/enrol/recovery-codes.txt"] {
        assert_eq!(browser.get(page).await.location(), "/", "{page}");
    }
}

#[tokio::test]
async fn f8_another_way_leads_to_a_recovery_code_and_the_app_is_set_up_anew() {
    for (language, wrong) in [
        ("ja", "リカバリーコードが違うか、すでに使用されています"),
        ("en", "That recovery code is wrong or was already used"),
    ] {
        let (mut browser, _, codes) = behind_the_password(Bench::new(|_| {}), language).await;
        let page = browser.get("/.sekisho/second-factor").await;
        assert!(page.body.contains("href=\"/.sekisho/second-factor/recovery\""), "{}", page.body);
        says(&give_code(&mut browser, "second-factor/recovery", "00000000").await, 401, wrong);
        says(&give_code(&mut browser, "second-factor/recovery", "nonsense").await, 401, wrong);
        assert_eq!(give_code(&mut browser, "second-factor/recovery", "+").await.status, StatusCode::BAD_REQUEST);
        let code = codes.first().unwrap();
        let right = give_code(&mut browser, "second-factor/recovery", code).await;
        assert_eq!(right.location(), "/.sekisho/welcome?return_to=%2Forders");
        assert!(right.sets(CookieKind::Session));

        let welcome = browser.get(right.location()).await;
        assert_protected(&welcome);
        assert!(welcome.body.contains("href=\"/orders\"") && welcome.body.contains("action=\"/.sekisho/enrol/again\""));
        let bad = browser.get("/.sekisho/welcome?return_to=https://evil.test/").await;
        assert!(bad.body.contains("href=\"/\"") && !bad.body.contains("evil.test"), "{}", bad.body);
        let forged = browser.post("/.sekisho/enrol/again", "csrf=x").await;
        assert_eq!(forged.status, StatusCode::FORBIDDEN);
        assert!(welcome.body.contains("name=\"return_to\" value=\"/orders\""), "{}", welcome.body);
        // Only ever to a path of this host.
        for (wish, back) in [("https://evil.test/", "/"), ("/orders", "/orders")] {
            let form = format!("csrf={}&return_to={wish}", welcome.csrf());
            let again = browser.post("/.sekisho/enrol/again", &form).await;
            assert_eq!(again.location(), "/.sekisho/enrol");
            let page = browser.get("/.sekisho/enrol").await;
            let left = browser.post("/.sekisho/enrol/cancel", &format!("csrf={}", page.csrf())).await;
            assert_eq!(left.location(), back);
        }
        let form = format!("csrf={}&return_to=/orders", welcome.csrf());
        assert_eq!(browser.post("/.sekisho/enrol/again", &form).await.location(), "/.sekisho/enrol");
        let (app, new) = enrol(&mut browser).await;
        assert!(new.iter().all(|code| !codes.contains(code)), "new ones");
        assert_eq!(browser.get("/.sekisho/welcome?return_to=%2Forders").await.location(), "/orders", "nothing to tell");

        browser.bench.advance(60 * SECOND);
        let mut browser = another(browser);
        browser.cookies.language = Some(language);
        give_password(&mut browser, PASSWORD).await;
        says(&give_code(&mut browser, "second-factor/recovery", code).await, 401, wrong);
        says(&give_code(&mut browser, "second-factor/recovery", &codes[1]).await, 401, wrong);
        let code = app.code(&browser.bench);
        assert_eq!(give_code(&mut browser, "second-factor", &code).await.location(), "/orders");
    }
}

#[tokio::test]
async fn f7_few_codes_left_are_told_of_behind_the_login() {
    for (language, words) in [("ja", "リカバリーコードは残り9個です"), ("en", "You have only 9 recovery codes left")]
    {
        let bench = Bench::new(|config| config.second_factor.recovery_codes.low_water = 9);
        let (mut browser, app, codes) = behind_the_password(bench, language).await;
        give_code(&mut browser, "second-factor/recovery", codes.first().unwrap()).await;
        let mut browser = another(browser);
        browser.cookies.language = Some(language);
        give_password(&mut browser, PASSWORD).await;
        let code = app.code(&browser.bench);
        let answer = give_code(&mut browser, "second-factor", &code).await;
        assert_eq!(answer.location(), "/.sekisho/welcome?return_to=%2Forders");
        let page = browser.get(answer.location()).await;
        assert!(page.body.contains(words) && page.body.contains("href=\"/orders\""), "{}", page.body);
        assert!(!page.body.contains("/enrol/again"), "the app is there: this session may not replace it");
    }
}

#[tokio::test]
async fn f9_the_page_says_that_the_mail_is_on_its_way_and_sends_it_again_after_a_while() {
    let (mut browser, mut mailbox) = mailed("en").await;
    let page = browser.get("/.sekisho/second-factor").await;
    assert_protected(&page);
    assert!(page.body.contains("a••@example.com") && !page.body.contains("alice@"), "{}", page.body);
    assert!(page.body.contains("6 digits, valid for 30 minutes") && page.body.contains("sent again in 30 seconds"));
    let first = mailbox.code().await;
    assert!(!page.body.contains(&first));

    let soon = resend(&mut browser).await;
    says(&soon, 429, "It is too soon to send another mail. Wait 30 seconds, then try again.");
    assert_eq!(soon.header("retry-after"), "30");
    browser.bench.advance(31 * SECOND);
    assert!(!browser.get("/.sekisho/second-factor").await.body.contains("sent again in"));
    let forged = browser.post("/.sekisho/second-factor/resend", "csrf=x").await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let again = resend(&mut browser).await;
    assert_eq!(again.location(), "/.sekisho/second-factor?notice=resent");
    assert!(browser.get(again.location()).await.body.contains("A new code is on its way"));
    let second = mailbox.code().await;
    if first != second {
        says(&give_code(&mut browser, "second-factor", &first).await, 401, "That code is wrong");
    }
    let right = give_code(&mut browser, "second-factor", &second).await;
    assert_eq!(right.location(), "/orders");
    assert!(right.sets(CookieKind::Session));
}

#[tokio::test]
async fn f9_a_mail_that_cannot_be_delivered_is_said_to_be_so() {
    let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = refusing.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = refusing.accept().await {
            let _ = stream.write_all(b"554 not here\r\n").await;
        }
    });
    let (bench, _mailbox) = Bench::with_mail(|config| config.mail.as_mut().unwrap().smtp.port = port).await;
    bench.add_with_mail("alice", Method::Mail).await;
    let mut browser = Browser::with(bench);
    browser.cookies.language = Some("en");
    assert_eq!(give_password(&mut browser, PASSWORD).await.location(), "/.sekisho/second-factor");
    let told = async {
        loop {
            let page = browser.get("/.sekisho/second-factor").await;
            assert_eq!(page.status, StatusCode::OK);
            if page.body.contains("The mail to a••@example.com could not be delivered.") {
                return page;
            }
            tokio::task::yield_now().await;
        }
    };
    let page = tokio::time::timeout(20 * SECOND, told).await.expect("the page tells of it");
    assert!(page.body.contains("Send it again, or ask your administrator") && page.body.contains("role=\"alert\""));
    assert!(!page.body.contains("<script"), "there is nothing more to wait for");
    let told = browser.get("/.sekisho/second-factor/delivery").await;
    assert_protected(&told);
    let told: serde_json::Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(told["delivery"], "failed");
    assert_eq!(told["text"], "Enter the code that was sent to you by mail.");
    assert!(told["problem"].as_str().unwrap().starts_with("The mail to a••@example.com could not be delivered."));
}

#[tokio::test]
async fn the_page_that_waits_for_a_mail_alone_has_a_script_and_it_asks_in_the_readers_language() {
    // Takes connections and never says a word, so that the mail stays on its way.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let (bench, _mailbox) = Bench::with_mail(|config| config.mail.as_mut().unwrap().smtp.port = port).await;
    bench.add_with_mail("alice", Method::Mail).await;
    let mut browser = Browser::with(bench);
    let login = browser.get("/.sekisho/login").await;
    assert!(!login.body.contains("<script") && !login.header("content-security-policy").contains("script-src"));
    give_password(&mut browser, PASSWORD).await;
    for (language, words) in [("ja", "認証コードをお送りしています"), ("en", "A mail with a code is on its way")]
    {
        browser.cookies.language = Some(language);
        let page = browser.get("/.sekisho/second-factor").await;
        assert_protected(&page);
        let policy = page.header("content-security-policy");
        assert!(policy.contains("script-src 'nonce-") && policy.contains("connect-src 'self'"), "{policy}");
        let (_, rest) = page.body.split_once("<script src=\"").expect("a script");
        let script = browser.get(rest.split('"').next().unwrap()).await;
        assert_eq!(script.status, StatusCode::OK);
        assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
        let told = browser.get("/.sekisho/second-factor/delivery").await;
        assert_protected(&told);
        assert_eq!((told.status, told.header("content-type")), (StatusCode::OK, "application/json"));
        let told: serde_json::Value = serde_json::from_str(&told.body).unwrap();
        assert_eq!(told["delivery"], "on-its-way");
        assert!(told["text"].as_str().unwrap().contains(words) && told["problem"].is_null(), "{told}");
    }
    // Another browser learns nothing.
    let mut stranger = another(browser);
    assert_eq!(stranger.get("/.sekisho/second-factor/delivery").await.code(), "restart_login");
}

#[tokio::test]
async fn f9_whoever_begins_again_at_once_is_told_when_a_code_can_be_sent() {
    for (language, held, wait, foreign) in [
        (
            "ja",
            "a••@example.com へコードをお送りしています",
            "あと20秒間お待ちいただくと",
            "別のログインのコードは使えません",
        ),
        (
            "en",
            "mailed to a••@example.com a moment ago",
            "sent in 20 seconds",
            "that of another login does not work here",
        ),
    ] {
        let (browser, mut mailbox) = mailed("en").await;
        let code = mailbox.code().await;
        browser.bench.advance(10 * SECOND);
        let mut browser = another(browser);
        browser.cookies.language = Some(language);
        assert_eq!(give_password(&mut browser, PASSWORD).await.location(), "/.sekisho/second-factor");
        let page = browser.get("/.sekisho/second-factor").await;
        assert!(page.body.contains(held) && page.body.contains(wait), "{}", page.body);
        assert!(page.body.contains("name=\"code\""), "the page is the same");
        says(&give_code(&mut browser, "second-factor", &code).await, 401, foreign);
        let soon = resend(&mut browser).await;
        assert_eq!((soon.status.as_u16(), soon.header("retry-after")), (429, "20"));
        browser.bench.advance(20 * SECOND);
        browser.cookies.language = Some("en");
        assert_eq!(resend(&mut browser).await.location(), "/.sekisho/second-factor?notice=resent");
        let code = mailbox.code().await;
        assert_eq!(give_code(&mut browser, "second-factor", &code).await.location(), "/orders");
    }
}

#[tokio::test]
async fn f14_every_refusal_of_a_mailed_code_has_its_own_words() {
    for (language, wrong, expired, too_many) in [
        (
            "ja",
            "コードが違います。最新のメールに記載されたコードを入力してください。",
            "コードの有効期限が切れました。コードを再送信してください。",
            "コードを間違えた回数が多すぎるため、このコードは使えなくなりました。コードを再送信してください。",
        ),
        (
            "en",
            "That code is wrong. Enter the one from the newest mail.",
            "That code has expired. Have a new one sent.",
            "That code was tried too many times and is no longer valid. Have a new one sent.",
        ),
    ] {
        // The mails are in English, to be read here; the pages are in the language that was chosen since.
        let (mut browser, mut mailbox) = mailed("en").await;
        browser.cookies.language = Some(language);
        let code = mailbox.code().await;
        let other = other_than(&code);
        for _ in 0..5 {
            let answer = give_code(&mut browser, "second-factor", &other).await;
            says(&answer, 401, wrong);
            assert!(!answer.body.contains("時計") && !answer.body.contains("clock"), "F16 is about apps alone");
        }
        let mut answer = give_code(&mut browser, "second-factor", &other).await;
        for _ in 0..9 {
            if answer.status == StatusCode::UNAUTHORIZED {
                answer = give_code(&mut browser, "second-factor", &other).await;
            }
        }
        says(&answer, 429, too_many);
        says(&give_code(&mut browser, "second-factor", &code).await, 429, too_many);
        assert!(answer.body.contains("action=\"/.sekisho/second-factor/resend\""));
        browser.bench.advance(31 * SECOND);
        browser.cookies.language = Some("en");
        assert_eq!(resend(&mut browser).await.location(), "/.sekisho/second-factor?notice=resent");
        browser.cookies.language = Some(language);
        let code = mailbox.code().await;
        browser.bench.advance(30 * 60 * SECOND);
        says(&give_code(&mut browser, "second-factor", &code).await, 401, expired);
    }
}

#[tokio::test]
async fn f14_an_app_code_that_is_wrong_and_what_was_changed_meanwhile() {
    for (language, wrong, clock, locked) in [
        (
            "ja",
            "コードが違います。アプリに表示されている最新のコードを入力してください。",
            "スマートフォンの時計がずれていると、コードが一致しません。",
            "最初からログインし直",
        ),
        (
            "en",
            "That code is wrong. Enter the one your app shows now.",
            "If your phone’s clock is off, codes do not match.",
            "Log in again from the start",
        ),
    ] {
        let (mut browser, _, _) = behind_the_password(Bench::new(|_| {}), language).await;
        let first = give_code(&mut browser, "second-factor", "000000").await;
        says(&first, 401, wrong);
        assert!(!first.body.contains(clock));
        let mut last = first;
        for _ in 0..3 {
            last = give_code(&mut browser, "second-factor", "000000").await;
        }
        says(&last, 401, clock);

        let csrf = browser.get("/.sekisho/second-factor").await.csrf();
        let now = browser.bench.now();
        browser.bench.services.users.set_disabled("alice", true, &Actor::CommandLine, now).await.unwrap().unwrap();
        let answer = browser.post("/.sekisho/second-factor", &format!("code=000000&csrf={csrf}")).await;
        assert!(answer.body.contains("action=\"/.sekisho/login\""), "from the start: {}", answer.body);
        assert!(browser.cookies.flow.is_none() && browser.cookies.session.is_none());
        says(&answer, answer.status.as_u16(), if language == "en" { "log in again from the start" } else { locked });
    }
}

#[tokio::test]
async fn an_account_by_mail_alone_has_no_other_way() {
    let (mut browser, _mailbox) = mailed("en").await;
    let page = browser.get("/.sekisho/second-factor").await;
    assert!(!page.body.contains("/second-factor/recovery") && page.body.contains("ask your administrator"));
    assert_eq!(browser.get("/.sekisho/second-factor/recovery").await.location(), "/.sekisho/second-factor");
    let csrf = page.csrf();
    let answer = browser.post("/.sekisho/second-factor/recovery", &format!("code=12345678&csrf={csrf}")).await;
    says(&answer, 401, "That recovery code is wrong or was already used");
    let (browser, _) = enrolled(Bench::new(|_| {})).await;
    let mut browser = another(browser);
    give_password(&mut browser, PASSWORD).await;
    let answer = resend(&mut browser).await;
    assert_eq!(answer.location(), "/.sekisho/second-factor", "nothing is sent to whoever has an app");
}
