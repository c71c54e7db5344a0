//! Mail servers in bad moods (A53), and people who would write headers of their own (A44, A52): nobody waits, nothing goes out
//! in clear, and what could not be delivered is told.

use std::time::{Duration, Instant};

use crate::harness::mail::{Behaviour, Security, Setup};
use crate::harness::second_step::asked_for;
use crate::harness::tls::Authority;
use crate::harness::{
    Builder, Client, MailServer, PASSWORD, Recorder, Response, Sekisho, form_to, form_with, text, wait_until,
};

const BOB: &str = "bob@example.com";
/// Nobody waits longer for a page, whatever the mail server does (A53).
const AT_MOST: Duration = Duration::from_secs(2);

fn builder(upstream: &Recorder, mail_yaml: &str) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("mail", mail_yaml)
        .set("portal.url", "https://shop-admin.example.com")
        .upstream(&upstream.url())
        .user("bob", &["--email", BOB, "--method", "mail"])
        .user("alice", &["--email", "alice@example.com"])
}

/// How long something took, beside what it gave.
fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let done = act();
    (done, begin.elapsed())
}

/// Bob's password, which is answered with the page for the code without a wait.
#[track_caller]
fn begin(gate: &Sekisho) -> (Client, Response) {
    begin_as(gate, "bob")
}

#[track_caller]
fn begin_as(gate: &Sekisho, login: &str) -> (Client, Response) {
    let mut bob = Client::new(gate);
    let page = bob.open("/");
    let (page, took) = timed(|| bob.fill_password(&page, login, PASSWORD));
    assert_eq!((page.status, asked_for(&page)), (200, "code"), "{}", text(&page.text()));
    assert!(took < AT_MOST, "the page took {took:?}");
    (bob, page)
}

/// Another person is not touched by it.
#[track_caller]
fn alice_passes(gate: &Sekisho) {
    let mut alice = Client::new(gate);
    let (_, took) = timed(|| alice.sign_in_and_enrol(gate, "alice"));
    assert!(took < 3 * AT_MOST, "{took:?} for a whole enrolment");
    assert_eq!(alice.get("/").text(), "ok");
}

/// Waits until the page says that the mail did not arrive.
#[track_caller]
fn is_told(bob: &mut Client, words: &str) {
    crate::harness::wait_until("the page tells that the mail was not delivered", || {
        let page = bob.get("/.sekisho/second-factor");
        text(&page.text()).contains(words).then_some(())
    });
}

const FAILED_EN: &str = "could not be delivered";
const FAILED_JA: &str = "送信できませんでした";

#[test]
fn a53_a_refused_mail_is_told_and_another_one_arrives_without_a_restart() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail.yaml(None)).clock().start();
    mail.behave(Behaviour::Refuse);
    let (mut bob, _) = begin(&gate);
    is_told(&mut bob, FAILED_EN);
    bob.language = "ja".into();
    is_told(&mut bob, FAILED_JA);
    bob.language = "en".into();
    alice_passes(&gate);

    mail.behave(Behaviour::Accept);
    gate.advance(Duration::from_secs(31));
    let page = bob.open("/.sekisho/second-factor");
    let page = bob.submit(&form_to(&page, "/second-factor/resend"));
    let code = mail.code_to(&gate, BOB);
    assert_eq!(bob.give_code(&page, &code, false).text(), "ok");
}

#[test]
fn a53_while_the_mail_server_is_down_pages_answer_and_the_mail_comes_when_it_is_back() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail.yaml(None)).start();
    mail.behave(Behaviour::Down);
    let (mut bob, page) = begin(&gate);
    alice_passes(&gate);
    mail.behave(Behaviour::Accept);
    let code = mail.code_to(&gate, BOB);
    assert_eq!(bob.give_code(&page, &code, false).text(), "ok");
}

#[test]
fn a53_a_temporary_refusal_is_tried_again() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail.yaml(None)).start();
    mail.behave(Behaviour::Defer);
    let (mut bob, page) = begin(&gate);
    crate::harness::wait_until("the first try was refused", || mail.clear().contains("RCPT").then_some(()));
    mail.behave(Behaviour::Accept);
    let code = mail.code_to(&gate, BOB);
    assert_eq!(bob.give_code(&page, &code, false).text(), "ok");
    assert_eq!(mail.mails_to(BOB).len(), 1);
}

#[test]
fn a53_a_mail_server_that_stalls_holds_up_nobody() {
    for behaviour in [Behaviour::Stall, Behaviour::StallAtEnd] {
        let (upstream, mail) = (Recorder::ok(), MailServer::start());
        // More letters than are under way at a time, and one account is sent one of them.
        let others = ["carol", "dora", "erin", "frank"];
        let with_mail = |builder: Builder, login: &&str| {
            builder.user(login, &["--email", &format!("{login}@example.com"), "--method", "mail"])
        };
        let gate = others.iter().fold(builder(&upstream, &mail.yaml(None)), with_mail).clock().start();
        mail.behave(behaviour);
        let mut waiting: Vec<Client> = others.iter().chain(&["bob"]).map(|login| begin_as(&gate, login).0).collect();
        for bob in &mut waiting {
            let (page, took) = timed(|| bob.get("/.sekisho/second-factor"));
            assert_eq!(page.status, 200);
            assert!(took < AT_MOST, "{behaviour:?}: a reload took {took:?}");
        }
        gate.advance(Duration::from_secs(31));
        let mut bob = waiting.pop().unwrap();
        let page = bob.open("/.sekisho/second-factor");
        let (again, took) = timed(|| bob.submit(&form_to(&page, "/second-factor/resend")));
        assert_eq!((again.status, asked_for(&again)), (200, "code"), "{}", text(&again.text()));
        assert!(took < AT_MOST, "{behaviour:?}: sending again took {took:?}");
        alice_passes(&gate);

        mail.behave(Behaviour::Accept);
        // One of the two is the newest of this browser.
        let opened = (0..2).any(|_| {
            let code = mail.code_to(&gate, BOB);
            bob.give_code(&again, &code, false).text() == "ok"
        });
        assert!(opened, "{behaviour:?}: the newest code arrives after all");
    }
}

#[test]
fn a53_mails_go_over_starttls_and_tls_with_a_login_where_the_server_asks_for_one() {
    for security in [Security::StartTls, Security::Tls] {
        let authority = Authority::new();
        let setup = Setup { security, auth: Some("sekisho:Mail-pass-7"), ..Setup::default() };
        let (upstream, mail) = (Recorder::ok(), MailServer::with(setup, &authority));
        let builder = Sekisho::builder();
        let ca = builder.folder().join("mail-ca.pem");
        std::fs::write(&ca, authority.pem()).unwrap();
        let gate = builder
            .cheap_hashes()
            .set("mail", &mail.yaml(Some(&ca)))
            .set("portal.url", "https://shop-admin.example.com")
            .upstream(&upstream.url())
            .user("bob", &["--email", BOB, "--method", "mail"])
            .start();
        gate.secrets().add("Mail-pass-7");
        let (mut bob, page) = begin(&gate);
        let letter = mail.next_to(BOB);
        assert!(letter.encrypted && letter.authenticated, "{security:?}");
        assert_eq!(bob.give_code(&page, &letter.code(), false).text(), "ok");
        let clear = mail.clear().to_uppercase();
        assert!(!clear.contains("AUTH") && !clear.contains("MAIL FROM"), "{security:?}: sent in clear: {clear}");
    }
}

#[test]
fn a53_nothing_goes_out_where_the_server_is_not_who_it_should_be() {
    let name = "localhost";
    let cases = [
        ("its certificate is for another name", Security::StartTls, Security::StartTls, "mail.example.net", true),
        ("its certificate is for another name", Security::Tls, Security::Tls, "mail.example.net", true),
        ("nobody knows its authority", Security::StartTls, Security::StartTls, name, false),
        ("nobody knows its authority", Security::Tls, Security::Tls, name, false),
        ("it offers no STARTTLS", Security::None, Security::StartTls, name, true),
    ];
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || sends_nothing(case));
        }
    });
}

fn sends_nothing((what, offers, wanted, certificate_for, known): (&str, Security, Security, &'static str, bool)) {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let setup = Setup { security: offers, certificate_for, auth: None };
    let (upstream, mail) = (Recorder::ok(), MailServer::with(setup, &authority));
    let folder = Sekisho::builder();
    let ca = folder.folder().join("mail-ca.pem");
    std::fs::write(&ca, if known { authority.pem() } else { stranger.pem() }).unwrap();
    let mut yaml = mail.yaml_as(wanted, Some(&ca));
    yaml = yaml.replace("smtp: {", "smtp: {username: sekisho, password: \"Mail-pass-7\", ");
    let gate = folder
        .cheap_hashes()
        .set("mail", &yaml)
        .set("portal.url", "https://shop-admin.example.com")
        .upstream(&upstream.url())
        .user("bob", &["--email", BOB, "--method", "mail"])
        .start();
    gate.secrets().add("Mail-pass-7");
    let (mut bob, _) = begin(&gate);
    is_told(&mut bob, FAILED_EN);
    assert!(mail.mails().is_empty(), "{what}: a mail went out");
    let clear = mail.clear().to_uppercase();
    assert!(!clear.contains("AUTH") && !clear.contains("MAIL FROM") && !clear.contains("DATA"), "{what}: {clear}");
    let told = || gate.logs().iter().any(|line| line.contains("a mail was not delivered")).then_some(());
    wait_until(&format!("{what}: the operator is told"), told);
    let logs = gate.logs().join("\n");
    assert!(!logs.contains("tried again"), "{what}: another try would end the same way: {logs}");
}

#[test]
fn a44_a52_no_request_writes_into_a_mail() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail.yaml(None)).set("portal.title", "\".\"").clock().start();
    for (what, value) in [("--name", "x\r\nBcc: eve@evil.test"), ("--email", "x@example.com\r\nBcc: eve@evil.test")] {
        let output = gate.cli(&["user", "set", "bob", what, value]);
        assert!(!output.status.success(), "{what}: {output:?}");
    }
    for name in [
        "\"x\" <eve@evil.test>",
        "eve@evil.test, Bob",
        ".",
        "=?utf-8?q?a=0D=0ABcc:_eve=40evil.test?=",
        "山田 \u{202e}花子",
    ] {
        if !gate.cli(&["user", "set", "bob", "--name", name]).status.success() {
            continue;
        }
        let mut bob = Client::new(&gate);
        let login = bob.open("/");
        let form = form_with(&login, "password").with("login", "bob").with("password", PASSWORD);
        gate.secrets().add(PASSWORD);
        let host = bob.host.clone();
        // What a proxy in front might be made to say, and what nobody checked.
        let headers = format!(
            "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: same-origin\r\n\
             Origin: http://{host}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             X-Original-Host: evil.test\r\nX-Host: evil.test\r\nUser-Agent: x\tBcc: eve@evil.test\r\n"
        );
        let answer = bob.request("POST", &form.action, &headers, form.encoded().as_bytes());
        assert_eq!(answer.status, 303, "{name}: {}", text(&answer.text()));
        let letter = mail.next_to(BOB);
        assert_eq!(letter.to, [BOB], "{name}");
        assert_eq!(letter.addressees, [BOB], "{name}");
        assert!(letter.header("Bcc").is_none() && letter.header("Cc").is_none(), "{name}: {:?}", letter.headers);
        let body = String::from_utf8_lossy(&letter.raw).into_owned();
        assert!(letter.defects.is_empty(), "{name}: {:?}", letter.defects);
        assert!(!letter.text.replace(name, "").contains("evil.test"), "{name}: {}", letter.text);
        assert!(!body.replace("\r\n", "").contains(['\r', '\n']), "{name}: a bare line break: {body:?}");
        for link in letter.html.split("href=\"").skip(1) {
            assert!(link.starts_with("https://shop-admin.example.com"), "{name}: {link}");
        }
        gate.secrets().add(&letter.code());
        gate.advance(Duration::from_secs(60));
    }
    // The Host that sekisho itself would believe: another name of the same wall.
    let mut bob = Client::new(&gate);
    bob.host = "evil.test".into();
    let page = bob.get("/.sekisho/login");
    if asked_for(&page) == "password" {
        let form = form_with(&page, "password").with("login", "bob").with("password", PASSWORD);
        if bob.send(&form).status == 303 {
            let letter = mail.next_to(BOB);
            gate.secrets().add(&letter.code());
            assert!(!letter.text.contains("evil.test") && !letter.html.contains("evil.test"), "{}", letter.text);
        }
    }
}
