//! Mails that tell an account's owner what happened to it: a factor added or removed, a new device.

use crate::harness::{Client, MailServer, PASSWORD, Recorder, Sekisho};

#[test]
fn a_notice_tells_the_owner_of_a_new_factor_and_of_a_new_device() {
    let upstream = Recorder::ok();
    let mail = MailServer::start();
    let gate = Sekisho::builder()
        .cheap_hashes()
        .mail(&mail)
        .upstream(&upstream.url())
        .user("alice", &["--email", "alice@example.com"])
        .clock()
        .start();
    let mut alice = Client::new(&gate);
    let key = alice.sign_in_and_enrol(&gate, "alice");
    let notice = mail.next_to("alice@example.com");
    assert!(!notice.text.contains(&key) && !notice.text.contains(&key.replace(' ', "")), "{}", notice.text);
    let told = mail.mails_to("alice@example.com").len();
    alice.sign_out();

    let mut elsewhere = Client::new(&gate);
    let page = elsewhere.give_password("alice", PASSWORD);
    elsewhere.give_code(&page, &gate.fresh_code(&key), true);
    crate::harness::wait_until("a notice of the new device", || {
        (mail.mails_to("alice@example.com").len() > told).then_some(())
    });
    let told = mail.mails_to("alice@example.com").len();
    assert!(gate.cli(&["user", "reset-second-factor", "alice"]).status.success());
    crate::harness::wait_until("a notice of the reset", || {
        (mail.mails_to("alice@example.com").len() > told).then_some(())
    });
}
