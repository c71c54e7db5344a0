//! Passwords from end to end: the rules for a new one (F21), those that must be changed (F22), and those that were forgotten, by
//! links over real SMTP.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::second_step::asked_for;
use crate::harness::{
    Builder, Client, MailServer, PASSWORD, Recorder, Response, Sekisho, form_to, form_with, text, wait_until,
};

const NEW: &str = "Quiet-river-22";
const ALICE: &str = "alice@example.com";
const DAY: Duration = Duration::from_secs(86_400);

fn builder(upstream: &Recorder) -> Builder {
    Sekisho::builder().cheap_hashes().upstream(&upstream.url()).clock()
}

impl Client {
    /// Fills in the form for a new password that `page` shows.
    #[track_caller]
    fn choose_password(&mut self, page: &Response, new: &str) -> Response {
        let form = form_with(page, "again").with("new", new).with("again", new);
        self.submit(&form)
    }
}

/// Somebody asks for a link.
#[track_caller]
pub fn ask_for_a_link(gate: &Sekisho, who: &str) -> Response {
    let mut somebody = Client::new(gate);
    let page = somebody.open("/.sekisho/password/forgot");
    somebody.submit(&form_with(&page, "who").with("who", who))
}

/// Path and query of the link in the next mail to `address` that has one; its value must be in no log.
#[track_caller]
pub fn link_to(gate: &Sekisho, mail: &MailServer, address: &str) -> String {
    loop {
        let letter = mail.next_to(address);
        let Some((_, rest)) = letter.text.split_once("https://shop-admin.example.com/.sekisho/password/reset?token=")
        else {
            continue;
        };
        let value = &rest[..43];
        gate.secrets().add(value);
        assert!(letter.html.contains(value));
        return format!("/.sekisho/password/reset?token={value}");
    }
}

#[test]
fn f21_a_new_password_is_held_to_the_rules_on_the_command_line_and_on_pages() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream)
        .set("second_factor.policy", "off")
        .user("alice", &["--name", "Alice Liddell", "--email", ALICE, "--must-change"])
        .start();
    for (password, why) in [
        ("Ab1-short", "at least 10 characters"),
        ("abcdefghijk", "at least 3 of these kinds"),
        ("my-Liddell-77", "the login, the name or the mail address"),
        ("Password123!", "leaked most often"),
    ] {
        let passwd = gate.cli_with_input(&["user", "passwd", "alice", "--password-stdin"], &format!("{password}\n"));
        let said = String::from_utf8_lossy(&passwd.stderr).into_owned();
        assert!(passwd.status.code() == Some(1) && said.contains(why), "{password}: {said}");
    }
    let mut alice = Client::new(&gate);
    let mut page = alice.give_password("alice", PASSWORD);
    for (password, en, ja) in [
        ("Ab1-short", "at least 10 characters", "10文字以上"),
        ("abcdefghijk", "at least 3 of", "3種類以上"),
        ("my-Liddell-77", "must not contain your login", "含むパスワードは使えません"),
        ("Password123!", "has leaked before", "過去に漏えい"),
        (PASSWORD, "the password that you have now", "現在のパスワードと同じ"),
        (&"aB3".repeat(86), "at most 256 characters", "256文字以内"),
    ] {
        for (language, words) in [("en", en), ("ja", ja)] {
            alice.language = language.into();
            page = alice.choose_password(&page, password);
            assert_eq!(page.status, 400, "{password}");
            assert!(text(&page.text()).contains(words), "{password}: {}", text(&page.text()));
            assert!(!page.text().contains(password), "it is not shown again");
        }
    }
    alice.language = "en".into();
    let differs = alice.submit(&form_with(&page, "again").with("new", NEW).with("again", "Quiet-river-33"));
    assert!(text(&differs.text()).contains("not the same"));
    // All 256 characters count.
    let long = format!("{}aB3", "x".repeat(253));
    assert_eq!(alice.choose_password(&differs, &long).text(), "ok");
    assert_eq!(asked_for(&Client::new(&gate).give_password("alice", &long[..255])), "password");
    assert_eq!(Client::new(&gate).give_password("alice", &long).text(), "ok");
}

#[test]
fn f22_a_password_set_by_somebody_else_is_changed_at_the_first_login_behind_the_code() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).user("alice", &["--must-change"]).start();
    assert_eq!(gate.cli_json(&["user", "show", "alice"])["must_change_password"], json!(true));
    let mut alice = Client::new(&gate);
    let page = alice.give_password("alice", PASSWORD);
    let key = crate::harness::key_of(&page);
    gate.secrets().add(&key);
    let shown = alice.give_code(&page, &gate.fresh_code(&key), false);
    let page = alice.save_recovery_codes(shown);
    assert!(alice.path.ends_with("/password") && alice.cookie("session").is_none(), "{}", alice.path);
    // Nothing else is open meanwhile.
    for path in ["/", "/.sekisho/account", "/.sekisho/second-factor"] {
        assert!(alice.copy().open(path).text() != "ok", "{path}");
        assert!(alice.copy().cookie("session").is_none());
    }
    assert_eq!(alice.choose_password(&page, NEW).text(), "ok");
    assert_eq!(gate.cli_json(&["user", "show", "alice"])["must_change_password"], json!(false));
    alice.sign_out();
    let page = alice.give_password("alice", NEW);
    assert_eq!(alice.give_code(&page, &gate.fresh_code(&key), false).text(), "ok", "once");

    // A programme is told.
    assert!(gate.cli(&["user", "set", "alice", "--must-change"]).status.success());
    let mut script = Client::new(&gate);
    let begun = script.post_json("/.sekisho/api/login", &json!({"login": "alice", "password": NEW})).json();
    let flow = begun["flow"].as_str().unwrap();
    let code = json!({"flow": flow, "code": gate.fresh_code(&key)});
    let answer = script.post_json("/.sekisho/api/second-factor", &code);
    assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("password_change_required")));
    assert!(script.cookie("session").is_none());
    assert!(gate.cli(&["user", "set", "alice", "--must-change=off"]).status.success());
    let mut alice = Client::new(&gate);
    let page = alice.give_password("alice", NEW);
    assert_eq!(alice.give_code(&page, &gate.fresh_code(&key), false).text(), "ok");
}

#[test]
fn f22_an_expired_password_is_changed_at_the_login_and_other_sessions_end() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream)
        .set("second_factor.policy", "off")
        .set("password.max_age", "90d")
        .set("session.idle_timeout", "12h")
        .user("alice", &[])
        .start();
    gate.advance(DAY * 90 - Duration::from_secs(600));
    let mut old = Client::new(&gate);
    assert_eq!(old.give_password("alice", PASSWORD).text(), "ok");
    gate.advance(Duration::from_secs(601));
    let mut alice = Client::new(&gate);
    let page = alice.give_password("alice", PASSWORD);
    assert!(text(&page.text()).contains("in use for long"), "{}", text(&page.text()));
    assert_eq!(old.get("/").text(), "ok", "a session is not asked");
    assert_eq!(alice.choose_password(&page, NEW).text(), "ok");
    assert_eq!(old.get("/").status, 303, "and ends with the old password");
    let mut alice = Client::new(&gate);
    assert_eq!(alice.give_password("alice", NEW).text(), "ok");
}

#[test]
fn one_changes_ones_own_password_behind_the_one_that_one_has() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate =
        builder(&upstream).mail(&mail).set("second_factor.policy", "off").user("alice", &["--email", ALICE]).start();
    let (mut alice, mut other) = (Client::new(&gate), Client::new(&gate));
    alice.give_password("alice", PASSWORD);
    other.give_password("alice", PASSWORD);
    let page = alice.open("/.sekisho/password");
    let form = form_with(&page, "current").with("new", NEW).with("again", NEW);
    let wrong = alice.submit(&form.clone().with("current", "wrong"));
    assert_eq!(wrong.status, 401);
    assert!(text(&wrong.text()).contains("current password is wrong"), "{}", text(&wrong.text()));
    let before = alice.cookie("session");
    let page = alice.submit(&form.with("current", PASSWORD));
    assert!(text(&page.text()).contains("Your password was changed"), "{}", text(&page.text()));
    assert_ne!(alice.cookie("session"), before);
    assert_eq!(alice.get("/").text(), "ok");
    assert_eq!(other.get("/").status, 303);
    let letter = mail.next_to(ALICE);
    assert!(letter.text.contains("was changed") && !letter.text.contains(NEW), "{}", letter.text);
}

#[test]
fn a_forgotten_password_is_set_by_a_link_and_the_second_factor_is_asked_for_all_the_same() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream).mail(&mail).user("alice", &["--email", ALICE]).start();
    let mut alice = Client::new(&gate);
    let key = alice.sign_in_enrol_and_remember(&gate, "alice");
    let login = Client::new(&gate).open("/.sekisho/login");
    assert!(login.text().contains("/.sekisho/password/forgot"));
    let sent = ask_for_a_link(&gate, "Alice@Example.com");
    assert!(text(&sent.text()).contains("If there is such an account"), "{}", text(&sent.text()));
    let link = link_to(&gate, &mail, ALICE);

    // What opens every link of a mail spends nothing.
    for _ in 0..3 {
        let opened = Client::new(&gate).get(&link);
        assert_eq!((opened.status, opened.header("location")), (303, Some("/.sekisho/password/reset")));
        let line = opened.all("set-cookie").into_iter().find(|line| line.starts_with("sekisho-reset=")).unwrap();
        assert!(line.contains("HttpOnly") && line.contains("SameSite=Lax") && line.contains("Max-Age=1800"), "{line}");
        assert_eq!(opened.header("referrer-policy"), Some("same-origin"));
    }
    let mut elsewhere = Client::new(&gate);
    let page = elsewhere.open(&link);
    assert_eq!((page.status, elsewhere.path.as_str()), (200, "/.sekisho/password/reset"));
    assert!(!page.text().contains(&link[link.len() - 43..]), "the value stands on no page");
    let weak = elsewhere.choose_password(&page, "Password123!");
    assert!(text(&weak.text()).contains("has leaked before"));
    let login = elsewhere.choose_password(&weak, NEW);
    assert!(text(&login.text()).contains("Your new password is set"), "{}", text(&login.text()));
    assert!(elsewhere.cookie("session").is_none() && elsewhere.cookie("reset").is_none());
    assert_eq!(alice.get("/").status, 303, "every session ends");
    let again = Client::new(&gate).open(&link);
    assert_eq!(again.status, 410, "good once");

    assert_eq!(asked_for(&Client::new(&gate).give_password("alice", PASSWORD)), "password");
    let page = alice.give_password("alice", NEW);
    assert_eq!(asked_for(&page), "code", "no device is trusted any more");
    assert_eq!(alice.give_code(&page, &gate.fresh_code(&key), false).text(), "ok");
    wait_until("the owner is told", || {
        mail.mails_to(ALICE).iter().any(|letter| letter.text.contains("was changed")).then_some(())
    });
}

#[test]
fn a_link_is_over_after_half_an_hour_and_with_a_newer_one() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream).mail(&mail).user("alice", &["--email", ALICE]).start();
    ask_for_a_link(&gate, "alice");
    let first = link_to(&gate, &mail, ALICE);
    gate.advance(Duration::from_secs(61));
    ask_for_a_link(&gate, "alice");
    let second = link_to(&gate, &mail, ALICE);
    let gone = Client::new(&gate).open(&first);
    assert_eq!(gone.status, 410);
    assert!(text(&gone.text()).contains("good no more"));
    let mut alice = Client::new(&gate);
    let page = alice.open(&second);
    assert_eq!(page.status, 200);
    gate.advance(Duration::from_secs(30 * 60));
    assert_eq!(alice.choose_password(&page, NEW).status, 410);
    for link in ["?token=", "?token=x", "?token=%00", ""] {
        assert_eq!(Client::new(&gate).open(&format!("/.sekisho/password/reset{link}")).status, 410, "{link}");
    }
}

#[test]
fn codes_by_mail_and_a_link_to_the_same_mailbox_are_not_two_factors() {
    const BOB: &str = "bob@example.com";
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream).mail(&mail).user("bob", &["--email", BOB, "--method", "mail"]).start();
    ask_for_a_link(&gate, "bob");
    let word = mail.next_to(BOB);
    assert!(word.text.contains("only a link from an administrator") && !word.text.contains("token="), "{}", word.text);
}

/// The answer is given before anybody is looked up, so it takes as long for those who exist. The medians of thirty each, taken in
/// turns, lie closer together than the noise of the machine.
#[test]
fn whoever_is_named_the_answer_is_the_same_and_takes_as_long() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let mut gate = builder(&upstream).mail(&mail);
    for number in 0..10 {
        let (login, address) = (format!("user{number}"), format!("user{number}@example.com"));
        gate = gate.user(&login, &["--email", &address]);
    }
    let gate = gate.start();
    let mut times = [Vec::new(), Vec::new()];
    let mut answers = Vec::new();
    for round in 0..30 {
        let both = [format!("user{}@example.com", round % 10), format!("none{}@example.com", round % 10)];
        // By turns first: whoever comes second shares the machine with what is still done for the first.
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for (kind, who) in order.map(|kind| (kind, &both[kind])) {
            let mut somebody = Client::new(&gate);
            let form = form_with(&somebody.open("/.sekisho/password/forgot"), "who").with("who", who);
            let begin = Instant::now();
            let answer = somebody.send(&form);
            times[kind].push(begin.elapsed());
            answers.push((answer.status, answer.header("location").map(str::to_owned), answer.text()));
        }
        if round % 9 == 8 {
            gate.advance(Duration::from_secs(15 * 60));
        }
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let [known, unknown] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    println!("known {known:?}, unknown {unknown:?}");
    let (less, more) = (known.min(unknown), known.max(unknown));
    assert!(
        more - less < Duration::from_millis(5) + less / 2,
        "{known:?} for who is there, {unknown:?} for who is not"
    );
}

#[test]
fn without_a_mail_server_there_is_no_way_to_a_link() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).user("alice", &[]).start();
    let login = Client::new(&gate).open("/.sekisho/login");
    assert!(!login.text().contains("password/forgot"));
    assert_eq!(Client::new(&gate).open("/.sekisho/password/forgot").status, 404);
    assert!(form_to(&login, "/login").names.contains(&"password".to_owned()));
}
