//! Codes by mail (F2, F9, F10, F14, F15), through a real mail server: what comes, how long it is good, for whom, how often.

use std::time::Duration;

use crate::harness::second_step::{another, asked_for, full_width};
use crate::harness::{Builder, Client, MailServer, PASSWORD, Recorder, Response, Sekisho, form_to, form_with, text};

const MINUTE: Duration = Duration::from_secs(60);
const BOB: &str = "bob@example.com";

/// Two people who get their codes by mail.
fn builder(upstream: &Recorder, mail: &MailServer) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .mail(mail)
        .upstream(&upstream.url())
        .user("bob", &["--email", BOB, "--method", "mail", "--name", "Bob \"B\" Martin, <x>"])
        .user("alice", &["--email", "alice@example.com", "--method", "mail"])
        .clock()
}

/// Asks for another code.
#[track_caller]
fn resend(browser: &mut Client) -> Response {
    let page = browser.open("/.sekisho/second-factor");
    browser.submit(&form_to(&page, "/second-factor/resend"))
}

/// A login with the right password, up to the page that asks for the code; hands back the code that was mailed.
#[track_caller]
fn begin(gate: &Sekisho, mail: &MailServer, browser: &mut Client) -> (Response, String) {
    let page = browser.give_password("bob", PASSWORD);
    assert_eq!(asked_for(&page), "code", "{}: {}", browser.path, text(&page.text()));
    (page, mail.code_to(gate, BOB))
}

#[track_caller]
fn refused(browser: &Client, page: &Response) {
    assert!(browser.cookie("session").is_none(), "let in: {}", browser.path);
    assert_ne!(page.status, 200, "{}", text(&page.text()));
}

#[test]
fn f02_f10_a_code_comes_by_mail_and_opens_the_door() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail).start();
    let mut bob = Client::new(&gate);
    let page = bob.give_password("bob", PASSWORD);
    let shown = text(&page.text());
    assert!(shown.contains("@example.com") && !shown.contains(BOB), "the address is shown masked: {shown}");
    assert!(!shown.contains("authenticator app"), "bob has no app: {shown}");

    let letter = mail.next_to(BOB);
    let code = letter.code();
    gate.secrets().add(&code);
    assert_eq!((letter.from.as_str(), letter.to.as_slice()), ("no-reply@example.com", [BOB.to_owned()].as_slice()));
    assert_eq!(letter.addressees, [BOB], "a name with quotes, commas and brackets makes no second recipient");
    assert_eq!(letter.header("From"), Some("Shop admin <no-reply@example.com>"));
    assert_eq!(letter.header("Auto-Submitted"), Some("auto-generated"));
    assert!(letter.header("Subject").is_some_and(|subject| !subject.is_empty()));
    assert!(letter.header("Date").is_some() && letter.header("Message-ID").is_some());
    assert!(letter.defects.is_empty(), "{:?}", letter.defects);
    for part in [&letter.text, &letter.html] {
        assert!(part.contains(&code), "{part}");
        assert!(part.contains("30 minutes"), "it says how long the code is good: {part}");
        assert!(part.to_lowercase().contains("automatic"), "it says that a machine sent it: {part}");
    }

    let landed = bob.give_code(&page, &code, false);
    assert_eq!((landed.status, landed.text().as_str()), (200, "ok"));
    assert_eq!(upstream.last().header("remote-user"), Some("bob"));
}

#[test]
fn f10_the_mail_is_japanese_where_the_page_was() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail).start();
    let mut bob = Client::new(&gate);
    bob.language = "ja".into();
    let page = bob.give_password("bob", PASSWORD);
    let letter = mail.next_to(BOB);
    let code = letter.code();
    for part in [&letter.text, &letter.html] {
        assert!(part.contains(&code) && part.contains("自動") && part.contains("30分"), "{part}");
    }
    assert!(!letter.header("Subject").unwrap().is_ascii(), "{:?}", letter.header("Subject"));
    assert!(letter.raw.is_ascii(), "on the wire it is ASCII, which every server takes");
    assert_eq!(bob.give_code(&page, &code, false).text(), "ok");
}

#[test]
fn f15_full_width_digits_and_blanks_are_taken() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail).start();
    let mut bob = Client::new(&gate);
    let (page, code) = begin(&gate, &mail, &mut bob);
    let wide = full_width(&code);
    let typed = format!("　{} {} ", &wide[..9], &wide[9..]);
    assert_eq!(bob.give_code(&page, &typed, false).text(), "ok");
}

#[test]
fn f09_a_mailed_code_can_be_sent_again_and_the_newest_counts() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail).start();
    let mut bob = Client::new(&gate);
    let (_, first) = begin(&gate, &mail, &mut bob);

    let early = resend(&mut bob);
    assert_eq!(early.status, 429, "{}", text(&early.text()));
    assert!(early.header("retry-after").is_some_and(|wait| (1..=30).contains(&wait.parse::<u32>().unwrap())));
    assert_eq!(mail.mails_to(BOB).len(), 1, "too early: nothing is sent");

    gate.advance(Duration::from_secs(31));
    let page = resend(&mut bob);
    assert_eq!(asked_for(&page), "code", "{}", text(&page.text()));
    let second = mail.code_to(&gate, BOB);
    if first != second {
        let page = bob.give_code(&page, &first, false);
        refused(&bob, &page);
    }
    assert_eq!(bob.give_code(&page, &second, false).text(), "ok");
}

#[test]
fn f09_a_mailed_code_is_good_for_its_lifetime_alone() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail).start();
    for (language, words) in [("en", "expired"), ("ja", "有効期限")] {
        let mut bob = Client::new(&gate);
        bob.language = language.into();
        let (page, code) = begin(&gate, &mail, &mut bob);
        gate.advance(30 * MINUTE);
        let late = bob.give_code(&page, &code, false);
        refused(&bob, &late);
        assert!(text(&late.text()).contains(words), "{}", text(&late.text()));
        form_to(&late, "/second-factor/resend");
        let page = resend(&mut bob);
        let code = mail.code_to(&gate, BOB);
        gate.advance(29 * MINUTE);
        assert_eq!(bob.give_code(&page, &code, false).text(), "ok", "within the lifetime it is good");
    }
}

#[test]
fn f09_f14_after_ten_wrong_tries_the_right_code_is_dead_and_a_new_one_is_not() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail).start();
    for (language, words) in [("en", "too many times"), ("ja", "回数が多すぎる")] {
        let mut bob = Client::new(&gate);
        bob.language = language.into();
        let (mut page, code) = begin(&gate, &mail, &mut bob);
        for _ in 0..10 {
            page = bob.give_code(&page, &another(&code), false);
            refused(&bob, &page);
        }
        let page = bob.give_code(&page, &code, false);
        refused(&bob, &page);
        assert!(text(&page.text()).contains(words), "{}", text(&page.text()));
        gate.advance(Duration::from_secs(31));
        let page = resend(&mut bob);
        let code = mail.code_to(&gate, BOB);
        assert_eq!(bob.give_code(&page, &code, false).text(), "ok", "a new code begins with fresh tries");
        gate.advance(MINUTE);
    }
}

#[test]
fn f09_wrong_tries_are_counted_over_restarts_and_kills() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let mut gate = builder(&upstream, &mail).start();
    let mut bob = Client::new(&gate);
    let (mut page, code) = begin(&gate, &mail, &mut bob);
    for try_number in 0..10 {
        match try_number {
            4 => gate.restart(),
            8 => {
                gate.kill();
                gate.serve();
            }
            _ => {}
        }
        bob.follow(&gate);
        page = bob.give_code(&page, &another(&code), false);
        refused(&bob, &page);
    }
    let page = bob.give_code(&page, &code, false);
    refused(&bob, &page);
}

#[test]
fn f09_wrong_codes_in_a_row_are_counted_over_codes_logins_and_restarts() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let mut gate = builder(&upstream, &mail).set("lockout.max_in_row", "20").start();
    for round in 0..4 {
        let mut bob = Client::new(&gate);
        let (mut page, code) = begin(&gate, &mail, &mut bob);
        for _ in 0..5 {
            page = bob.give_code(&page, &another(&code), false);
            refused(&bob, &page);
        }
        if round == 1 {
            gate.restart();
        }
        gate.advance(MINUTE);
    }
    let mut bob = Client::new(&gate);
    let page = bob.give_password("bob", PASSWORD);
    let codes: Vec<String> = mail.mails_to(BOB).iter().skip(4).map(crate::harness::Mail::code).collect();
    if asked_for(&page) == "code" {
        let code = codes.last().map_or("123456", String::as_str);
        let page = bob.give_code(&page, code, false);
        assert!(text(&page.text()).contains("locked"), "{}", text(&page.text()));
    }
    assert!(bob.cookie("session").is_none(), "after twenty wrong codes in a row no code is judged");
    assert!(gate.cli(&["user", "unlock", "bob"]).status.success());
    gate.advance(MINUTE);
    let mut bob = Client::new(&gate);
    let page = bob.give_password("bob", PASSWORD);
    let code = mail.mails_to(BOB).last().unwrap().code();
    gate.secrets().add(&code);
    let code = crate::harness::wait_until("the newest code", || {
        let page = bob.copy().give_code(&page, &mail.mails_to(BOB).last()?.code(), false);
        (page.text() == "ok").then_some(page)
    });
    assert_eq!(code.text(), "ok", "a manager opens it");
}

#[test]
fn a34_a_code_is_for_one_login_in_one_browser() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail).start();
    let mut here = Client::new(&gate);
    let (_, code_here) = begin(&gate, &mail, &mut here);
    gate.advance(MINUTE);
    let mut there = Client::new(&gate);
    let (page_there, code_there) = begin(&gate, &mail, &mut there);
    if code_here != code_there {
        let answer = there.give_code(&page_there, &code_here, false);
        refused(&there, &answer);
    }

    // Alice, who gave her own password, types Bob's.
    let mut alice = Client::new(&gate);
    let page = alice.give_password("alice", PASSWORD);
    let own = mail.code_to(&gate, "alice@example.com");
    if own != code_there {
        let answer = alice.give_code(&page, &code_there, false);
        refused(&alice, &answer);
    }
    assert_eq!(there.give_code(&page_there, &code_there, false).text(), "ok");
    assert_eq!(alice.give_code(&page, &own, false).text(), "ok");
}

#[test]
fn a34_a_code_is_good_once_also_after_a_kill() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let mut gate = builder(&upstream, &mail).start();
    let mut bob = Client::new(&gate);
    let (page, code) = begin(&gate, &mail, &mut bob);
    let mut thief = bob.copy();
    assert_eq!(bob.give_code(&page, &code, false).text(), "ok");
    gate.kill();
    gate.serve();
    thief.follow(&gate);
    let answer = thief.send(&form_with(&page, "code").with("code", &code));
    assert!(thief.cookie("session").is_none(), "{}", answer.status);

    gate.advance(MINUTE);
    let mut again = Client::new(&gate);
    let (page, fresh) = begin(&gate, &mail, &mut again);
    if fresh != code {
        let page = again.give_code(&page, &code, false);
        refused(&again, &page);
    }
    assert_eq!(again.give_code(&page, &fresh, false).text(), "ok");
}

#[test]
fn a35_the_code_stands_in_the_mail_and_nowhere_else() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail).start();
    let mut bob = Client::new(&gate);
    let login = bob.open("/orders");
    let form = form_with(&login, "password").with("login", "bob").with("password", PASSWORD);
    let mut answers = vec![bob.send(&form)];
    let code = mail.code_to(&gate, BOB);
    answers.push(bob.get("/.sekisho/second-factor"));
    let wrong = form_with(answers.last().unwrap(), "code").with("code", &another(&code));
    answers.push(bob.send(&wrong));
    answers.push(bob.get("/.sekisho/second-factor/recovery"));
    let again = form_to(&bob.get("/.sekisho/second-factor"), "/second-factor/resend");
    answers.push(bob.send(&again));
    gate.advance(MINUTE);
    answers.push(bob.send(&again));
    let second = mail.code_to(&gate, BOB);
    answers.push(bob.get("/.sekisho/second-factor"));
    answers.push(bob.get("/.sekisho/second-factor?code=1"));
    let mut script = Client::new(&gate);
    gate.advance(MINUTE);
    answers.push(script.post_json("/.sekisho/api/login", &serde_json::json!({"login": "bob", "password": PASSWORD})));
    let third = mail.code_to(&gate, BOB);
    for (number, answer) in answers.iter().enumerate() {
        let whole = format!("{}{}", String::from_utf8_lossy(&answer.head), answer.text());
        for code in [&code, &second, &third] {
            assert!(!whole.contains(code.as_str()), "answer {number} tells the code: {whole}");
        }
    }
    // That no log line holds it is looked at when the gateway is dropped: every code above was declared a secret.
    let output = gate.cli(&["user", "show", "bob"]);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!shown.contains(&third), "{shown}");
}

#[test]
fn f10_an_account_without_an_address_cannot_have_the_mail_method() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail).user("carol", &[]).start();
    let added =
        gate.cli_with_input(&["user", "add", "dora", "--method", "mail", "--password-stdin"], &format!("{PASSWORD}\n"));
    assert_eq!(added.status.code(), Some(1), "{added:?}");
    for (what, output) in [
        ("added", added),
        ("moved", gate.cli(&["user", "set", "carol", "--method", "mail"])),
        ("robbed of the address", gate.cli(&["user", "set", "bob", "--email", ""])),
    ] {
        assert_eq!(output.status.code(), Some(1), "{what}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("mail address"), "{what}: {said}");
    }
}

#[test]
fn f02_an_account_can_be_moved_from_the_app_to_mail_and_back() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail).user("erin", &["--email", "erin@example.com"]).start();
    let mut erin = Client::new(&gate);
    let key = erin.sign_in_and_enrol(&gate, "erin");
    assert!(gate.cli(&["user", "set", "erin", "--method", "mail"]).status.success());
    assert_eq!(erin.get("/").status, 303, "what the app had opened is closed");
    let mut erin = Client::new(&gate);

    let page = erin.give_password("erin", PASSWORD);
    assert_eq!(asked_for(&page), "code");
    let by_app = erin.give_code(&page, &gate.fresh_code(&key), false);
    refused(&erin, &by_app);
    let code = mail.code_to(&gate, "erin@example.com");
    assert_eq!(erin.give_code(&page, &code, false).text(), "ok");

    assert!(gate.cli(&["user", "set", "erin", "--method", "totp"]).status.success());
    let mut erin = Client::new(&gate);
    let page = erin.give_password("erin", PASSWORD);
    let fresh = crate::harness::key_of(&page);
    assert_ne!(fresh, key, "the app is enrolled anew, with another key");
    erin.finish_enrolment(&gate, &page);
    assert_eq!(erin.get("/").text(), "ok");
}

#[test]
fn a42_another_method_ends_a_device_key() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail).user("erin", &["--email", "erin@example.com"]).start();
    let mut erin = Client::new(&gate);
    erin.sign_in_enrol_and_remember(&gate, "erin");
    erin.sign_out();
    assert!(gate.cli(&["user", "set", "erin", "--method", "mail"]).status.success());
    assert_eq!(asked_for(&erin.give_password("erin", PASSWORD)), "code");
    mail.code_to(&gate, "erin@example.com");
}

#[test]
fn f12_a_stricter_route_asks_by_mail_within_the_session() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail)
        .set("session.idle_timeout", "12h")
        .route("{name: payouts, path: /payouts, upstream: UPSTREAM, recheck_interval: 1h}", &upstream.url())
        .start();
    let mut bob = Client::new(&gate);
    let (page, code) = begin(&gate, &mail, &mut bob);
    assert_eq!(bob.give_code(&page, &code, false).text(), "ok");
    gate.advance(61 * MINUTE);
    assert_eq!(bob.get("/orders").text(), "ok");
    upstream.clear();
    let page = bob.open("/payouts/9");
    assert_eq!(asked_for(&page), "code", "{}", bob.path);
    assert_eq!(upstream.bytes(), 0);
    let fresh = mail.code_to(&gate, BOB);
    assert_eq!(bob.give_code(&page, &fresh, false).text(), "ok");
    assert_eq!(bob.path, "/payouts/9");
}

#[test]
fn f14_what_was_changed_meanwhile_leads_back_to_the_start() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail).start();
    let undo = ["user", "enable", "bob"];
    for (language, words) in [("en", "from the start"), ("ja", "最初から")] {
        for command in [&["user", "reset-second-factor", "bob"][..], &["user", "disable", "bob"]] {
            let mut bob = Client::new(&gate);
            bob.language = language.into();
            let (page, code) = begin(&gate, &mail, &mut bob);
            assert!(gate.cli(command).status.success());
            let page = bob.give_code(&page, &code, false);
            assert_eq!(asked_for(&page), "password", "{command:?}: {}", bob.path);
            assert!(text(&page.text()).contains(words), "{command:?}: {}", text(&page.text()));
            assert!(bob.cookie("session").is_none(), "{command:?}");
            assert!(gate.cli(&undo).status.success());
            gate.advance(MINUTE);
        }
    }
}

#[test]
fn f02_new_accounts_get_the_default_method() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail)
        .set("second_factor.default_method", "mail")
        .user("carol", &["--email", "carol@example.com"])
        .start();
    let mut carol = Client::new(&gate);
    let page = carol.give_password("carol", PASSWORD);
    let code = mail.code_to(&gate, "carol@example.com");
    assert_eq!(carol.give_code(&page, &code, false).text(), "ok");
    let added = gate.cli_with_input(&["user", "add", "dora", "--password-stdin"], &format!("{PASSWORD}\n"));
    assert_eq!(added.status.code(), Some(1), "without an address there is no code by mail: {added:?}");
}

#[test]
fn f10_the_sender_and_the_subject_are_the_configurations() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let yaml = mail.yaml(None).replace("Shop admin <no-reply@", "店舗管理 <codes@");
    let gate = builder(&upstream, &mail)
        .set("mail", &yaml)
        .set("mail.subject", "\"[{title}] {subject} 店\"")
        .set("portal.title", "Shop & Co")
        .start();
    let (_, code) = begin(&gate, &mail, &mut Client::new(&gate));
    let letter = mail.mails_to(BOB).pop().unwrap();
    assert_eq!(letter.from, "codes@example.com");
    assert_eq!(letter.header("From"), Some("店舗管理 <codes@example.com>"));
    let subject = letter.header("Subject").unwrap();
    assert!(subject.starts_with("[Shop & Co] ") && subject.ends_with(" 店"), "{subject}");
    assert!(!subject.contains(&code), "a subject shows on locked screens");
}

#[test]
fn f09_check_hints_at_a_long_lifetime() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    for (lifetime, hinted) in [("30m", true), ("11m", true), ("10m", false)] {
        let gate =
            builder(&upstream, &mail).set("second_factor.mail_code.lifetime", lifetime).set("session", "{}").prepare();
        let output = gate.cli(&["check"]);
        assert!(output.status.success(), "{output:?}");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(said.contains("second_factor.mail_code.lifetime"), hinted, "{lifetime}: {said}");
    }
}
