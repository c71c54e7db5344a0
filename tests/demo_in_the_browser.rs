//! The demo keeps its promise: what it prints is all that a stranger needs, and nothing is left when it ends.

use crate::harness::browser::Setup;
use crate::harness::{Browser, Demo, totp};

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_through_the_wall_with_what_the_demo_prints() {
    let mut demo = Demo::start("en");
    let password = demo.password("alice");
    let browser = Browser::start().await;
    browser.open(&demo.url).await;
    sign_in(&browser, "alice", &password).await;
    browser.see("Enter your code").await;
    give_code(&browser, &demo.code("alice")).await;
    browser.see("Kanda Tea").await;
    browser.see("Alice Martin").await;

    browser.open(&format!("{}/live", demo.url)).await;
    browser.see("Connected").await;
    browser.open(&format!("{}/orders", demo.url)).await;
    browser.click("tbody a").await;
    browser.fill("input[name=remark]", "sent through the wall").await;
    browser.click("main form button").await;
    browser.see("Saved.").await;

    assert!(demo.interrupt().success());
    let left: Vec<_> = std::fs::read_dir(demo.folder()).unwrap().flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    assert!(!demo.lines().iter().any(|line| line.contains("panicked")), "{:#?}", demo.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demos_accounts_show_a_first_login_and_a_closed_page() {
    let mut demo = Demo::start("ja");
    let (bob, carol) = (demo.password("bob"), demo.password("carol"));
    let browser = Browser::with(Setup { language: "ja", ..Setup::default() }).await;
    browser.open(&demo.url).await;
    sign_in(&browser, "bob", &bob).await;
    browser.see("2段階認証の設定").await;
    let key = browser.key_in_qr_code(".qr").await.expect("a QR code that a phone can read");
    give_code(&browser, &totp::code_now(&key)).await;
    browser.save_recovery_codes().await;
    browser.see("Bob Tanaka").await;
    browser.open(&format!("{}/.sekisho/logout", demo.url)).await;
    browser.click("main form button").await;
    browser.see("ログアウトしました").await;

    browser.open(&format!("{}/accounting", demo.url)).await;
    sign_in(&browser, "carol", &carol).await;
    browser.see("認証コードの入力").await;
    give_code(&browser, &demo.code("carol")).await;
    browser.see("このページを開く権限がありません").await;
}

async fn sign_in(browser: &Browser, login: &str, password: &str) {
    browser.fill("input[name=login]", login).await;
    browser.fill("input[name=password]", password).await;
    browser.click("main form button[type=submit]").await;
}

async fn give_code(browser: &Browser, code: &str) {
    browser.fill("input[name=code]", code).await;
    browser.click("main form button[type=submit]").await;
}
