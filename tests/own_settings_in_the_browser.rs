//! One's own settings on a phone, in Japanese, in a real browser: another address, another app, other recovery codes.

use std::time::Duration;

use crate::harness::browser::Setup;
use crate::harness::{Browser, Client, MailServer, PASSWORD, Recorder, Sekisho};

const OLD: &str = "hanako@example.com";
const NEW: &str = "hanako.new@example.com";

async fn press(browser: &Browser, action: &str) {
    browser.click(&format!("main form[action$='{action}'] button[type=submit]")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f29_on_a_phone_in_japanese_people_see_to_their_own_account() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = Sekisho::builder()
        .cheap_hashes()
        .set("portal.languages", "[ja, en]")
        .mail(&mail)
        .upstream(&upstream.url())
        .user("hanako", &["--email", OLD])
        .clock()
        .start();
    // The app is set up elsewhere, so that the phone begins as a second browser.
    let mut desk = Client::new(&gate);
    let key = desk.sign_in_and_enrol(&gate, "hanako");
    let phone = Browser::with(Setup { language: "ja", javascript: false, size: (390, 844), ..Setup::default() }).await;
    phone.open(&gate.url("/.sekisho/account")).await;
    phone.fill("input[name=login]", "hanako").await;
    phone.fill("input[name=password]", PASSWORD).await;
    phone.click("main form button[type=submit]").await;
    phone.fill("input[name=code]", &gate.fresh_code(&key)).await;
    phone.click("main form button[type=submit]").await;
    phone.see("ログイン方法").await;
    phone.see("残り10個").await;

    // Where else: the desk is there, and goes.
    phone.click("main a[href$='/account/sessions']").await;
    phone.see("現在のログイン").await;
    press(&phone, "/sessions/end-others").await;
    phone.see("ほかの場所をすべてログアウトしました。").await;
    assert_ne!(desk.get("/").text(), "ok");

    // Another address, by both codes; full-width digits are what a Japanese keyboard writes.
    phone.open(&gate.url("/.sekisho/account/email")).await;
    phone.fill("input[name=email]", NEW).await;
    press(&phone, "/account/email").await;
    phone.see("認証コードをお送りしています").await;
    let (old, new) = (mail.code_to(&gate, OLD), mail.code_to(&gate, NEW));
    phone.fill("input[name=old_code]", &crate::harness::second_step::full_width(&old)).await;
    phone.fill("input[name=new_code]", &new).await;
    press(&phone, "/account/email/confirm").await;
    phone.see("メールアドレスを変更しました。").await;
    phone.see(NEW).await;

    // Six minutes later new recovery codes take the password and the code again.
    gate.advance(Duration::from_secs(360));
    phone.open(&gate.url("/.sekisho/account/recovery-codes")).await;
    press(&phone, "/account/recovery-codes").await;
    phone.see("ご本人の確認").await;
    phone.fill("input[name=password]", PASSWORD).await;
    phone.click("main form button[type=submit]").await;
    phone.see("もう一度ご本人の確認をお願いします").await;
    phone.fill("input[name=code]", &gate.fresh_code(&key)).await;
    phone.click("main form button[type=submit]").await;
    phone.see("ご本人の確認が完了しました。").await;
    press(&phone, "/account/recovery-codes").await;
    phone.see("新しいリカバリーコードです。").await;
    for code in phone.text_of("ul.codes").await.lines() {
        gate.secrets().add(&code.split_whitespace().collect::<String>());
    }
    press(&phone, "/enrol/recovery-codes").await;
    phone.see("残り10個").await;

    // Another app, within the five minutes, and its first code.
    phone.open(&gate.url("/.sekisho/account/second-factor")).await;
    press(&phone, "/second-factor/app").await;
    let new_key = phone.key_in_qr_code(".qr").await.expect("a QR code that a phone can read");
    gate.secrets().add(&new_key);
    phone.fill("input[name=code]", &gate.fresh_code(&new_key)).await;
    phone.click("main form button[type=submit]").await;
    phone.save_recovery_codes().await;
    phone.see("認証アプリを変更する").await;

    // Nothing on these pages is wider than the phone.
    for page in ["", "/second-factor", "/recovery-codes", "/email", "/devices", "/sessions"] {
        phone.open(&gate.url(&format!("/.sekisho/account{page}"))).await;
        let size = phone.devtools("Page.getLayoutMetrics", serde_json::json!({})).await;
        let width = size["cssContentSize"]["width"].as_f64().unwrap();
        assert!(width <= 390.5, "/account{page} is {width} wide");
    }
}
