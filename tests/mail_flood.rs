//! Whoever knows a password can begin login after login; the owner's mailbox is not flooded by it (F9), and nobody else's mail
//! is kept waiting.

use std::time::Duration;

use serde_json::json;

use crate::harness::second_step::asked_for;
use crate::harness::{Builder, Client, MailServer, PASSWORD, Recorder, Response, Sekisho, form_to, form_with, text};

const BOB: &str = "bob@example.com";
const MINUTE: Duration = Duration::from_secs(60);

fn builder(upstream: &Recorder, mail: &MailServer) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .mail(mail)
        .upstream(&upstream.url())
        .user("bob", &["--email", BOB, "--method", "mail"])
        .user("carol", &["--email", "carol@example.com", "--method", "mail"])
        .clock()
}

#[track_caller]
fn begin(gate: &Sekisho, login: &str) -> (Client, Response) {
    let mut browser = Client::new(gate);
    let page = browser.give_password(login, PASSWORD);
    assert_eq!((page.status, asked_for(&page)), (200, "code"), "{}", text(&page.text()));
    (browser, page)
}

#[track_caller]
fn resend(browser: &mut Client) -> Response {
    let page = browser.open("/.sekisho/second-factor");
    browser.submit(&form_to(&page, "/second-factor/resend"))
}

/// A hundred logins, twenty at a time, each of which asks for another mail as well.
fn flood(gate: &Sekisho) {
    for _ in 0..5 {
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    let (mut browser, _) = begin(gate, "bob");
                    assert_eq!(resend(&mut browser).status, 429);
                });
            }
        });
    }
}

#[test]
fn f09_a_hundred_logins_at_once_send_one_mail_over_kills_and_unlocks_too() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let mut gate = builder(&upstream, &mail).start();
    gate.secrets().add(PASSWORD);
    flood(&gate);
    assert!(gate.cli(&["user", "unlock", "bob"]).status.success());
    gate.kill();
    gate.serve();
    flood(&gate);
    gate.restart();

    let (mut browser, page) = begin(&gate, "bob");
    let said = text(&page.text());
    assert!(said.contains("a moment ago") && said.contains("sent in"), "{said}");
    // Nobody else waits for it.
    let (mut carol, page) = begin(&gate, "carol");
    let code = mail.code_to(&gate, "carol@example.com");
    assert_eq!(carol.give_code(&page, &code, false).text(), "ok");

    let first = mail.code_to(&gate, BOB);
    gate.advance(Duration::from_secs(31));
    let page = resend(&mut browser);
    assert_eq!((page.status, asked_for(&page)), (200, "code"), "{}", text(&page.text()));
    let code = mail.code_to(&gate, BOB);
    if first != code {
        let refused = browser.give_code(&page, &first, false);
        assert!(browser.cookie("session").is_none(), "another login's code: {}", text(&refused.text()));
    }
    assert_eq!(browser.give_code(&page, &code, false).text(), "ok");
    let mails = mail.mails_to(BOB);
    let codes = mails.iter().filter(|mail| mail.header("Subject").is_some_and(|subject| subject.contains("code")));
    assert_eq!(codes.count(), 2, "of {} mails", mails.len());
}

#[test]
fn f09_a_programme_is_told_to_come_again_and_a_known_browser_is_sent_its_code() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail).start();
    let (mut owner, page) = begin(&gate, "bob");
    let code = mail.code_to(&gate, BOB);
    assert_eq!(owner.give_code(&page, &code, false).text(), "ok");
    owner.sign_out();

    let mut script = Client::new(&gate);
    let mut mailed = 0;
    for _ in 0..60 {
        let answer = script.post_json("/.sekisho/api/login", &json!({"login": "bob", "password": PASSWORD}));
        if answer.status == 200 {
            mailed += 1;
        } else {
            assert_eq!((answer.status, answer.json()["code"].as_str()), (429, Some("too_many_attempts")));
            assert!(answer.header("retry-after").is_some_and(|wait| wait.parse::<u32>().unwrap() > 0));
        }
        gate.advance(MINUTE);
    }
    assert!((4..=10).contains(&mailed), "{mailed} mails within an hour");

    for _ in 0..mailed {
        mail.code_to(&gate, BOB);
    }
    let page = owner.give_password("bob", PASSWORD);
    let code = mail.code_to(&gate, BOB);
    let form = form_with(&page, "code").with("code", &code);
    assert_eq!(owner.submit(&form).text(), "ok", "the owner's browser has a count of its own");
}
