//! What people do to their own account (F4, F5, F7, F29), through the product's own sockets and a real mail server.

use std::sync::Barrier;
use std::time::Duration;

use crate::harness::{
    Builder, Client, MailServer, PASSWORD, Recorder, Response, Sekisho, form_to, form_with, key_of, text,
};

const OLD: &str = "alice@example.com";
const NEW: &str = "alice.new@example.com";
const MINUTE: Duration = Duration::from_secs(60);

fn builder(upstream: &Recorder, mail: &MailServer) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("lockout.per_address", "{max_failures: 100000, window: 1m}")
        .mail(mail)
        .upstream(&upstream.url())
        .user("alice", &["--email", OLD])
        .clock()
}

/// Follows the way that leads over `/account/confirm`: the password, then the code where one is asked for.
fn confirm(browser: &mut Client, gate: &Sekisho, page: &Response, key: &str) -> Response {
    assert!(browser.path.contains("/account/confirm"), "nothing is asked for at {}: {}", browser.path, page.status);
    let form = form_with(page, "password").with("password", PASSWORD);
    let page = browser.submit(&form);
    assert!(browser.path.ends_with("/second-factor"), "no code is asked for at {}", browser.path);
    browser.give_code(&page, &gate.fresh_code(key), false)
}

/// Presses the button on `page` that leads to `action`.
fn press(browser: &mut Client, page: &str, action: &str) -> Response {
    let page = browser.open(page);
    let form = form_to(&page, action);
    browser.submit(&form)
}

#[test]
fn f29_after_five_minutes_a_change_asks_for_all_again_and_not_before() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail).start();
    let mut alice = Client::new(&gate);
    let key = alice.sign_in_and_enrol(&gate, "alice");
    gate.advance(4 * MINUTE);
    let (page, action) = ("/.sekisho/account/second-factor", "/account/second-factor/app");
    let shown = press(&mut alice, page, action);
    assert!(alice.path.ends_with("/.sekisho/enrol"), "{}", alice.path);
    gate.secrets().add(&key_of(&shown));
    gate.advance(2 * MINUTE);
    let asked = press(&mut alice, page, action);
    let session = alice.cookie("session");
    let back = confirm(&mut alice, &gate, &asked, &key);
    assert_ne!(alice.cookie("session"), session, "the session has a new value");
    let form = form_to(&back, action);
    let shown = alice.submit(&form);
    let new_key = key_of(&shown);
    assert_ne!(new_key, key);
    let enrolled = alice.finish_enrolment(&gate, &shown);
    assert!(alice.path.starts_with(page), "back where it began: {}", alice.path);
    assert_eq!(enrolled.codes.len(), 10);
    let told = || mail.mails_to(OLD).iter().filter(|mail| mail.text.contains("authenticator app was set up")).count();
    crate::harness::wait_until("both apps are told by mail", || (told() == 2).then_some(()));
    // The old app is worth nothing any more.
    let mut elsewhere = Client::new(&gate);
    let page = elsewhere.give_password("alice", PASSWORD);
    elsewhere.give_code(&page, &gate.fresh_code(&key), false);
    assert!(elsewhere.cookie("session").is_none());
    let page = elsewhere.open("/.sekisho/second-factor");
    elsewhere.give_code(&page, &gate.fresh_code(&new_key), false);
    assert!(elsewhere.cookie("session").is_some());
}

#[test]
fn f29_of_fifty_posts_of_the_codes_of_a_new_address_one_wins_and_the_old_address_is_told() {
    const AT_ONCE: usize = 50;
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail).start();
    let mut alice = Client::new(&gate);
    alice.sign_in_and_enrol(&gate, "alice");
    let page = alice.open("/.sekisho/account/email");
    let form = form_with(&page, "email").with("email", NEW);
    let page = alice.submit(&form);
    let (old, new) = (mail.code_to(&gate, OLD), mail.code_to(&gate, NEW));
    assert_ne!(old, new);
    let only_new = form_with(&page, "old_code").with("old_code", &new).with("new_code", &new);
    let refused = alice.send(&only_new);
    assert_eq!(refused.status, 401, "one mailbox is not enough");
    let form = form_with(&refused, "old_code").with("old_code", &old).with("new_code", &new);
    let start = Barrier::new(AT_ONCE);
    let done = std::thread::scope(|scope| {
        let posts: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let (mut browser, form, start) = (alice.copy(), form.clone(), &start);
                scope.spawn(move || {
                    start.wait();
                    let answer = browser.send(&form);
                    assert!(answer.status < 500, "{}: {}", answer.status, answer.text());
                    answer.header("location").is_some_and(|to| to.contains("done=changed"))
                })
            })
            .collect();
        posts.into_iter().map(|post| post.join().unwrap()).filter(|done| *done).count()
    });
    assert_eq!(done, 1);
    assert_eq!(gate.cli_json(&["user", "show", "alice"])["email"], NEW);
    let told = mail.mails_to(OLD).len();
    crate::harness::wait_until("the old address is told", || {
        mail.mails_to(OLD).iter().any(|mail| mail.text.contains("another mail address")).then_some(told)
    });
    assert!(mail.mails_to(NEW).iter().all(|mail| !mail.text.contains("another mail address")));
    let events = gate.cli_json(&["audit", "search", "--user", "alice"]);
    let reasons: Vec<&str> = events.as_array().unwrap().iter().filter_map(|event| event["reason"].as_str()).collect();
    assert_eq!(reasons.iter().filter(|reason| **reason == "mail address").count(), 1, "{reasons:?}");
}

#[test]
fn f29_a_forgotten_device_is_asked_for_the_code_and_its_open_session_is_over() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail).user("bob", &[]).start();
    let mut here = Client::new(&gate);
    let key = here.sign_in_enrol_and_remember(&gate, "alice");
    let mut lost = Client::new(&gate);
    let page = lost.give_password("alice", PASSWORD);
    lost.give_code(&page, &gate.fresh_code(&key), true);
    assert_eq!(lost.get("/").text(), "ok");
    let listed = gate.cli_json(&["device", "list", "--user", "alice"]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let mut bob = Client::new(&gate);
    bob.sign_in_and_enrol(&gate, "bob");
    // Somebody else's device is not there, for whoever asks.
    let page = bob.open("/.sekisho/account/devices");
    for device in listed.as_array().unwrap() {
        let form = form_to(&page, "/devices/forget").with("id", device["id"].as_str().unwrap());
        assert_eq!(bob.send(&form).status, 404);
    }
    assert_eq!(gate.cli_json(&["device", "list", "--user", "alice"]), listed);
    let page = here.open("/.sekisho/account/devices");
    let marked = text(&page.text());
    assert!(marked.contains("This browser") && marked.contains("127.0.0.1"), "{marked}");
    let newest = &listed[0];
    let form = form_to(&page, "/devices/forget").with("id", newest["id"].as_str().unwrap());
    let page = here.submit(&form);
    assert!(text(&page.text()).contains("The device was forgotten"), "{}", text(&page.text()));
    assert_ne!(lost.get("/").text(), "ok");
    let page = lost.give_password("alice", PASSWORD);
    assert_eq!(crate::harness::second_step::asked_for(&page), "code");
    // And by the command line, all that are left.
    let forgotten = gate.cli_json(&["device", "forget", "--user", "alice"]);
    assert_eq!((&forgotten["forgotten"], &forgotten["sessions_ended"]), (&1.into(), &1.into()));
    assert_ne!(here.get("/").text(), "ok");
    let unknown = gate.cli(&["device", "forget", "0000000000000000"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no device"), "{unknown:?}");
}

#[test]
fn f29_logging_out_all_others_ends_them_at_once() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream, &mail).set("second_factor.policy", "off").start();
    let mut browsers = [Client::new(&gate), Client::new(&gate), Client::new(&gate)];
    browsers.iter_mut().for_each(|browser| browser.sign_in_by_password_alone(&gate));
    let [here, second, third] = &mut browsers;
    let page = press(here, "/.sekisho/account/sessions", "/sessions/end-others");
    assert!(text(&page.text()).contains("All other sessions were logged out"), "{}", text(&page.text()));
    assert_eq!(here.get("/").text(), "ok");
    assert!(second.get("/").text() != "ok" && third.get("/").text() != "ok");
    assert_eq!(gate.cli_json(&["session", "list"]).as_array().unwrap().len(), 1);
}
