//! One morning of a manager's, in a real browser: somebody new, somebody with another phone, somebody who forgot their password
//! (F5, F6, F23, F25).

use crate::harness::browser::Setup;
use crate::harness::{Browser, Client, MailServer, PASSWORD, Recorder, Sekisho, form_with};

const BOB: &str = "bob@example.com";
const CHOSEN: &str = "Chosen-horse-91";

/// Signs in for the first time, and enrols.
async fn sign_in(gate: &Sekisho, browser: &Browser, login: &str, path: &str) {
    browser.open(&gate.url(path)).await;
    browser.fill("input[name=login]", login).await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.click("main form button[type=submit]").await;
    let key = browser.key_in_qr_code(".qr").await.expect("a QR code that a phone can read");
    gate.secrets().add(&key);
    browser.fill("input[name=code]", &gate.fresh_code(&key)).await;
    browser.click("main form button[type=submit]").await;
    browser.save_recovery_codes().await;
}

/// Opens what asks first, and presses the button in it.
async fn press_and_confirm(browser: &Browser, action: &str) {
    browser.click(&format!("details:has(form[action$='/{action}']) > summary")).await;
    browser.click(&format!("form[action$='/{action}'] button")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f25_a_managers_morning() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = Sekisho::builder()
        .cheap_hashes()
        .mail(&mail)
        .upstream(&upstream.url())
        .user("root", &["--role", "admin"])
        .user("mana", &["--role", "manager", "--group", "shop"])
        .clock()
        .start();
    gate.secrets().add(CHOSEN);
    let browser = Browser::with(Setup { language: "en", ..Setup::default() }).await;
    sign_in(&gate, &browser, "mana", "/.sekisho/admin/users").await;

    // Somebody new begins: the manager types all but a password.
    browser.click("a[href$='/admin/users/new']").await;
    browser.fill("input[name=login]", "bob").await;
    browser.fill("input[name=email]", "bob at example.com").await;
    browser.fill("input[name=groups]", "shop").await;
    browser.click("main form[action$='/new'] button[type=submit]").await;
    browser.see("Enter an address like").await;
    browser.fill("input[name=email]", BOB).await;
    browser.click("main form[action$='/new'] button[type=submit]").await;
    browser.see("A link to set a password is on its way by mail.").await;
    browser.see("No password has been set.").await;
    let page = browser.address().await.split('?').next().unwrap_or_default().to_owned();

    // Bob follows the link, on his own machine, and is in with a password that only he knows.
    let link = link_to(&gate, &mail);
    let mut bob = Client::new(&gate);
    let form = form_with(&bob.open(&link), "again");
    bob.submit(&form.with("new", CHOSEN).with("again", CHOSEN));
    let enrolment = bob.give_password("bob", CHOSEN);
    bob.finish_enrolment(&gate, &enrolment);
    assert_eq!(bob.get("/").status, 200);

    // Bob has another phone.
    browser.open(&page).await;
    browser.see("set up").await;
    press_and_confirm(&browser, "reset-second-factor").await;
    browser.see("The second factor was reset.").await;
    browser.see("not set up yet").await;
    assert_eq!(bob.get("/").status, 303, "the session is over");
    let enrolment = bob.give_password("bob", CHOSEN);
    bob.finish_enrolment(&gate, &enrolment);
    assert_eq!(bob.get("/").status, 200);

    // Somebody guesses.
    let mut guesser = Client::new(&gate);
    for _ in 0..5 {
        guesser.give_password("bob", "Wrong-horse-9");
    }
    browser.open(&page).await;
    browser.see("after too many failed attempts").await;
    browser.click("form[action$='/unlock'] button").await;
    browser.see("The account is unlocked.").await;
    guesser.give_password("bob", CHOSEN);
    assert!(guesser.path.contains("/second-factor"), "the password is judged again: {}", guesser.path);

    // What is not a manager's to do is not there, and the admin's page has no button at all.
    let root = gate.cli_json(&["user", "show", "root"])["id"].as_str().unwrap_or_default().to_owned();
    browser.open(&gate.url(&format!("/.sekisho/admin/users/{root}"))).await;
    browser.see("Administrator").await;
    assert!(!browser.has("main form").await, "no button");

    // Bob leaves.
    browser.open(&page).await;
    browser.click("details:has(form[action$='/delete']) > summary").await;
    browser.fill("form[action$='/delete'] input[name=login]", "bob").await;
    browser.click("form[action$='/delete'] button").await;
    browser.see("The account was deleted.").await;
    assert_eq!(bob.get("/").status, 303);
}

/// The path of the link in the newest mail to Bob.
fn link_to(gate: &Sekisho, mail: &MailServer) -> String {
    let text = mail.next_to(BOB).text;
    let (_, rest) = text.split_once("/.sekisho/password/reset?token=").unwrap_or_else(|| panic!("no link in {text}"));
    let token = rest.split_whitespace().next().unwrap_or_default();
    gate.secrets().add(token);
    format!("/.sekisho/password/reset?token={token}")
}
