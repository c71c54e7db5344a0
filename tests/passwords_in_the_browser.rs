//! Forgetting a password and choosing another one, as people meet it on a phone, in Japanese and in English.

use crate::harness::browser::Setup;
use crate::harness::{Browser, MailServer, Recorder, Sekisho};
use crate::passwords::link_to;

const ALICE: &str = "alice@example.com";

/// What the pages say on the way, in one language.
struct Words {
    language: &'static str,
    forgot: &'static str,
    sent: &'static str,
    leaked: &'static str,
    set: &'static str,
    due: &'static str,
    changed: &'static str,
}

const ENGLISH: Words = Words {
    language: "en",
    forgot: "Forgot your password?",
    sent: "If there is such an account",
    leaked: "This password has leaked before",
    set: "Your new password is set.",
    due: "An administrator asks for a new password.",
    changed: "Your password was changed.",
};

const JAPANESE: Words = Words {
    language: "ja",
    forgot: "パスワードをお忘れの方",
    sent: "該当するアカウントがあれば",
    leaked: "このパスワードは過去に漏えいしたことがあり",
    set: "新しいパスワードを設定しました。",
    due: "管理者の設定により、パスワードの変更が必要です。",
    changed: "パスワードを変更しました。",
};

#[tokio::test(flavor = "multi_thread")]
async fn f22_a_person_forgets_resets_and_changes_a_password_on_a_phone_in_english() {
    forget_and_change(&ENGLISH, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f22_a_person_forgets_resets_and_changes_a_password_on_a_phone_in_japanese() {
    forget_and_change(&JAPANESE, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f22_the_same_without_javascript() {
    forget_and_change(&ENGLISH, false).await;
}

async fn forget_and_change(words: &Words, javascript: bool) {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = Sekisho::builder()
        .cheap_hashes()
        .set("portal.languages", "[ja, en]")
        .set("second_factor.policy", "off")
        .mail(&mail)
        .upstream(&upstream.url())
        .user("alice", &["--email", ALICE, "--must-change"])
        .start();
    let setup = Setup { language: words.language, javascript, size: (390, 844), scale: 2.0, ..Setup::default() };
    let browser = Browser::with(setup).await;
    browser.open(&gate.url("/orders")).await;
    browser.see(words.forgot).await;
    picture(&browser, words, "1-login").await;
    browser.click("a[href$=forgot]").await;
    browser.fill("input[name=who]", ALICE).await;
    picture(&browser, words, "2-forgot").await;
    browser.click("main form button[type=submit]").await;
    browser.see(words.sent).await;
    picture(&browser, words, "3-sent").await;

    let link = link_to(&gate, &mail, ALICE);
    browser.open(&gate.url(&link)).await;
    browser.arrive("/password/reset").await;
    assert!(!browser.address().await.contains("token"), "{}", browser.address().await);
    assert!(!browser.has("li.met").await);
    choose(&browser, "Password123!").await;
    if javascript {
        // Length, kinds, and nothing of the person: three rules are marked while one types.
        assert_eq!(browser.find_all(fantoccini::Locator::Css("li.met")).await.unwrap().len(), 3);
        browser.click("button[data-reveal]").await;
        assert_eq!(browser.find_soon("#new").await.attr("type").await.unwrap().as_deref(), Some("text"));
    }
    picture(&browser, words, "4-reset").await;
    browser.click("main form button[type=submit]").await;
    browser.see(words.leaked).await;
    picture(&browser, words, "5-leaked").await;
    choose(&browser, "Quiet-river-22").await;
    browser.click("main form button[type=submit]").await;
    browser.see(words.set).await;
    picture(&browser, words, "6-set").await;

    // The link was the owner's own choice: nothing is left to be changed.
    sign_in(&browser, "Quiet-river-22").await;
    browser.leave("/.sekisho/").await;
    browser.open(&gate.url("/.sekisho/password")).await;
    browser.fill("input[name=current]", "Quiet-river-22").await;
    choose(&browser, "Quiet-river-33").await;
    picture(&browser, words, "7-own").await;
    browser.click("main form[action$=password] button[type=submit]").await;
    browser.see(words.changed).await;
    picture(&browser, words, "8-changed").await;

    let marked = gate.cli(&["user", "set", "alice", "--must-change"]);
    assert!(marked.status.success());
    browser.open(&gate.url("/.sekisho/logout")).await;
    browser.click("main form button[type=submit]").await;
    browser.arrive("/.sekisho/login").await;
    sign_in(&browser, "Quiet-river-33").await;
    browser.see(words.due).await;
    picture(&browser, words, "9-due").await;
    choose(&browser, "Quiet-river-44").await;
    browser.click("main form button[type=submit]").await;
    browser.leave("/.sekisho/").await;
    assert!(browser.cookie("sekisho-session").await.is_some());
}

async fn sign_in(browser: &Browser, password: &str) {
    browser.fill("input[name=login]", "alice").await;
    browser.fill("input[name=password]", password).await;
    browser.click("main form button[type=submit]").await;
}

async fn choose(browser: &Browser, new: &str) {
    browser.fill("#new", new).await;
    browser.fill("#again", new).await;
}

/// Where `SEKISHO_PICTURES` names a folder, the page as it is now, to be looked at. No page is wider than the phone.
async fn picture(browser: &Browser, words: &Words, name: &str) {
    let width = browser.execute("return document.documentElement.scrollWidth", Vec::new()).await;
    if let Ok(width) = width {
        assert!(width.as_u64().is_some_and(|width| width <= 390), "{name} is {width} pixels wide");
    }
    let Some(folder) = std::env::var_os("SEKISHO_PICTURES") else { return };
    std::fs::create_dir_all(&folder).unwrap();
    let file = std::path::Path::new(&folder).join(format!("{name}.{}.png", words.language));
    std::fs::write(file, browser.screenshot().await.unwrap()).unwrap();
}
