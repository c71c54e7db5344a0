//! The second step as people see it, in a real browser, in Japanese and in English: codes by mail, recovery codes, a new app.

use std::time::Duration;

use crate::harness::browser::Setup;
use crate::harness::mail::Behaviour;
use crate::harness::second_step::another;
use crate::harness::{Browser, Builder, MailServer, PASSWORD, Recorder, Sekisho};

const BOB: &str = "bob@example.com";

/// What the pages say on the way, in one language.
struct Words {
    language: &'static str,
    on_its_way: &'static str,
    wrong_code: &'static str,
    resent: &'static str,
    failed: &'static str,
    codes: &'static str,
    saved: &'static str,
    another_way: &'static str,
    wrong_recovery_code: &'static str,
    by_recovery_code: &'static str,
    days: &'static str,
}

const ENGLISH: Words = Words {
    language: "en",
    on_its_way: "to b••@example.com",
    wrong_code: "That code is wrong. Enter the one from the newest mail.",
    resent: "A new code is on its way",
    failed: "could not be delivered",
    codes: "Save your recovery codes",
    saved: "I have saved them",
    another_way: "Try another way",
    wrong_recovery_code: "wrong or was already used",
    by_recovery_code: "You logged in with a recovery code",
    days: "Skip the code on this device for 7 days",
};

const JAPANESE: Words = Words {
    language: "ja",
    on_its_way: "b••@example.com に",
    wrong_code: "コードが違います。最新のメールに記載されたコードを入力してください。",
    resent: "新しいコードをお送りしています",
    failed: "送信できませんでした",
    codes: "リカバリーコードの保存",
    saved: "保存しました",
    another_way: "別の方法を試す",
    wrong_recovery_code: "リカバリーコードが違うか",
    by_recovery_code: "リカバリーコードでログインしました",
    days: "コードの入力を7日間省略する",
};

fn builder(upstream: &Recorder, mail: &MailServer) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("portal.title", "Shop admin")
        .set("portal.languages", "[ja, en]")
        .mail(mail)
        .upstream(&upstream.url())
        .user("bob", &["--email", BOB, "--method", "mail"])
        .user("alice", &[])
        .clock()
}

async fn start(words: &Words) -> Browser {
    Browser::with(Setup { language: words.language, ..Setup::default() }).await
}

async fn give_password(browser: &Browser, login: &str) {
    browser.fill("input[name=login]", login).await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.click("main form button[type=submit]").await;
}

async fn give_code(browser: &Browser, code: &str) {
    browser.fill("input[name=code]", code).await;
    browser.click("main form button[type=submit]").await;
}

async fn sign_out(gate: &Sekisho, browser: &Browser) {
    browser.open(&gate.url("/.sekisho/logout")).await;
    browser.click("main form button[type=submit]").await;
    browser.arrive("/.sekisho/login").await;
}

/// Proves the app whose key the page shows as a QR code.
async fn prove_the_app(gate: &Sekisho, browser: &Browser) -> String {
    let key = browser.key_in_qr_code(".qr").await.expect("a QR code that a phone can read");
    gate.secrets().add(&key);
    give_code(browser, &gate.fresh_code(&key)).await;
    key
}

/// The recovery codes on the page.
async fn codes_shown(gate: &Sekisho, browser: &Browser) -> Vec<String> {
    let text = browser.text_of("ul.codes").await;
    let codes: Vec<String> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    codes.iter().for_each(|code: &String| gate.secrets().add(code));
    assert_eq!(codes.len(), 10, "{codes:?}");
    codes
}

#[tokio::test(flavor = "multi_thread")]
async fn f09_a_person_passes_with_a_code_by_mail_in_english() {
    by_mail(&ENGLISH).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f09_a_person_passes_with_a_code_by_mail_in_japanese() {
    by_mail(&JAPANESE).await;
}

async fn by_mail(words: &Words) {
    let (upstream, mail) = (page("the tool"), MailServer::start());
    let gate = builder(&upstream, &mail).start();
    let browser = start(words).await;
    mail.behave(Behaviour::Refuse);
    browser.open(&gate.url("/orders")).await;
    give_password(&browser, "bob").await;
    browser.arrive("/second-factor").await;
    until_shown(&gate, &browser, words.failed).await;

    mail.behave(Behaviour::Accept);
    gate.advance(Duration::from_secs(31));
    browser.click("form[action$=resend] button").await;
    browser.see(words.resent).await;
    browser.see(words.on_its_way).await;
    browser.see(words.days).await;
    let code = mail.code_to(&gate, BOB);
    give_code(&browser, &another(&code)).await;
    browser.see(words.wrong_code).await;
    browser.click("input[name=remember]").await;
    give_code(&browser, &code).await;
    browser.see("the tool").await;
    assert!(browser.address().await.ends_with("/orders"), "{}", browser.address().await);

    sign_out(&gate, &browser).await;
    browser.open(&gate.url("/")).await;
    give_password(&browser, "bob").await;
    browser.see("the tool").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a53_a_refused_mail_is_told_without_a_reload_and_what_was_typed_stays() {
    for (words, sent) in [(&ENGLISH, "A mail with a code was sent to"), (&JAPANESE, "認証コードをお送りしました")]
    {
        let (upstream, mail) = (page("the tool"), MailServer::start());
        let gate = builder(&upstream, &mail).start();
        let browser = start(words).await;
        mail.behave(Behaviour::Stall);
        browser.open(&gate.url("/orders")).await;
        give_password(&browser, "bob").await;
        browser.arrive("/second-factor").await;
        browser.see(words.on_its_way).await;
        browser.fill("input[name=code]", "1234").await;
        browser.click("input[name=remember]").await;
        let script = "window.here = true; return window.performance.getEntriesByType('navigation').length";
        browser.execute(script, vec![]).await.unwrap();
        mail.behave(Behaviour::Refuse);
        browser.see(words.failed).await;
        assert_eq!(browser.text_of("#delivery[role=alert] p").await.matches("b••@example.com").count(), 1);
        let kept = "return [window.here, document.querySelector('input[name=code]').value, \
                    document.querySelector('input[name=remember]').checked, document.activeElement.name]";
        let kept = browser.execute(kept, vec![]).await.unwrap();
        assert_eq!(kept, serde_json::json!([true, "1234", true, "remember"]), "the page is the same");

        mail.behave(Behaviour::Accept);
        gate.advance(Duration::from_secs(31));
        browser.click("form[action$=resend] button").await;
        browser.see(words.resent).await;
        browser.see(sent).await;
        let code = mail.code_to(&gate, BOB);
        give_code(&browser, &code).await;
        browser.see("the tool").await;
    }
}

/// Reloads the page for the code until it says this.
async fn until_shown(gate: &Sekisho, browser: &Browser, words: &str) {
    let end = tokio::time::Instant::now() + crate::harness::PATIENCE;
    while !browser.text().await.contains(words) {
        assert!(tokio::time::Instant::now() < end, "never said `{words}`: {}", browser.describe().await);
        browser.open(&gate.url("/.sekisho/second-factor")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f07_f08_a_person_who_lost_the_phone_gets_in_and_sets_up_another_in_english() {
    lost_phone(&ENGLISH).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f07_f08_a_person_who_lost_the_phone_gets_in_and_sets_up_another_in_japanese() {
    lost_phone(&JAPANESE).await;
}

async fn lost_phone(words: &Words) {
    let (upstream, mail) = (page("the tool"), MailServer::start());
    let gate = builder(&upstream, &mail).start();
    let browser = start(words).await;
    browser.open(&gate.url("/orders")).await;
    give_password(&browser, "alice").await;
    let old = prove_the_app(&gate, &browser).await;
    browser.see(words.codes).await;
    let codes = codes_shown(&gate, &browser).await;
    assert!(browser.has("a[download][href$='recovery-codes.txt']").await, "a file to keep");
    assert_eq!(browser.text_of("main form button[type=submit]").await, words.saved);
    browser.click("main form button[type=submit]").await;
    browser.see("the tool").await;
    assert!(browser.address().await.ends_with("/orders"), "{}", browser.address().await);
    sign_out(&gate, &browser).await;

    browser.open(&gate.url("/stock")).await;
    give_password(&browser, "alice").await;
    browser.see(words.another_way).await;
    browser.click("a[href$='/second-factor/recovery']").await;
    browser.arrive("/second-factor/recovery").await;
    give_code(&browser, &another(&codes[0])).await;
    browser.see(words.wrong_recovery_code).await;
    give_code(&browser, &codes[0]).await;
    browser.see(words.by_recovery_code).await;

    // The page offers to set the app up anew.
    browser.click("main form button[type=submit]").await;
    browser.find_soon(".qr").await;
    let new = prove_the_app(&gate, &browser).await;
    assert_ne!(new, old);
    browser.see(words.codes).await;
    let fresh = codes_shown(&gate, &browser).await;
    assert!(fresh.iter().all(|code| !codes.contains(code)), "a new set");
    browser.click("main form button[type=submit]").await;
    browser.leave("/.sekisho/enrol").await;
    sign_out(&gate, &browser).await;

    browser.open(&gate.url("/")).await;
    give_password(&browser, "alice").await;
    browser.arrive("/second-factor").await;
    give_code(&browser, &gate.fresh_code(&new)).await;
    browser.see("the tool").await;
}

/// A tool whose every answer is this HTML.
fn page(body: &str) -> Recorder {
    let body = format!("<!doctype html><title>tool</title>{body}");
    Recorder::raw(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}
