//! A form that was being sent when the session had just ended is kept, and sent after the login by the same person (F34): once, and
//! never by anybody else, from anywhere else or from another site.

use std::sync::Barrier;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use serde_json::Value as Json;

use crate::harness::{
    Builder, Client, Form, PASSWORD, Recorder, Response, Sekisho, form_to, forms, h2, text, wait_until,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const TARGET: &str = "/orders/7/edit?view=full";
const BODY: &str = "memo=Pack+it+well&items%5B%5D=apples&items%5B%5D=pears";
const INPUT: &str = "Pack";
const NEW: &str = "Quiet-river-22";
const ALICE: &str = "alice";

fn builder(upstream: &Recorder) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .set("session", "{idle_timeout: 30m, max_lifetime: 3h}")
        .upstream(&upstream.url())
        .user(ALICE, &["--role", "admin"])
        .user("bob", &["--role", "admin"])
        .clock()
}

/// What a browser of today says when a page of this host sends a form as the whole window.
fn own(browser: &Client) -> String {
    let scheme = if browser.host.contains(':') { "http" } else { "https" };
    format!(
        "Accept: text/html\r\nOrigin: {scheme}://{}\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\n\
         Sec-Fetch-Dest: document\r\nContent-Type: application/x-www-form-urlencoded\r\n",
        browser.host
    )
}

fn post(browser: &mut Client, body: &[u8]) -> Response {
    let lines = own(browser);
    browser.request("POST", TARGET, &lines, body)
}

/// Where the login leads from an answer by which a form was kept.
fn kept(answer: &Response) -> Option<String> {
    let location = answer.header("location").filter(|_| answer.status == 303)?;
    let wish = location.strip_prefix("/.sekisho/login?return_to=")?.split('&').next()?;
    let wish = percent_encoding::percent_decode_str(wish).decode_utf8().unwrap().into_owned();
    wish.starts_with("/.sekisho/held/").then_some(wish)
}

#[track_caller]
fn must_be_kept(answer: &Response) -> String {
    kept(answer).unwrap_or_else(|| panic!("{} {:?} {}", answer.status, answer.header("location"), text(&answer.text())))
}

#[track_caller]
fn must_not_be_kept(answer: &Response, what: &str) {
    assert_eq!(answer.status, 401, "{what}: {:?}", answer.header("location"));
    let page = text(&answer.text());
    assert!(page.contains("What you entered was not sent") && page.contains("Back button"), "{what}: {page}");
}

fn signed_in(gate: &Sekisho, login: &str) -> Client {
    let mut browser = Client::new(gate);
    browser.sign_in(gate, login, None);
    browser
}

/// Alice in a browser whose session has just ended.
fn ended(gate: &Sekisho) -> Client {
    let alice = signed_in(gate, ALICE);
    end(gate, ALICE);
    alice
}

fn cli(gate: &Sekisho, args: &[&str]) {
    let output = gate.cli(args);
    assert!(output.status.success(), "{args:?}: {output:?}");
}

fn end(gate: &Sekisho, login: &str) {
    cli(gate, &["session", "end", "--user", login]);
}

/// Logs in where the browser was led, and comes to the form's page.
#[track_caller]
fn log_in(browser: &mut Client, held: &str, login: &str) -> Response {
    let path = format!("/.sekisho/login?return_to={}&notice=held", crate::harness::encoded(held));
    let page = browser.open(&path);
    assert!(text(&page.text()).contains("What you entered was kept"), "{}", text(&page.text()));
    browser.fill_password(&page, login, PASSWORD)
}

#[track_caller]
fn button(page: &Response) -> Form {
    let held = forms(&page.text()).into_iter().find(|form| form.action.starts_with("/.sekisho/held/"));
    held.unwrap_or_else(|| panic!("no button ({}): {}", page.status, text(&page.text())))
}

/// The posts that the tool has seen.
fn posts(upstream: &Recorder) -> Vec<crate::harness::Recorded> {
    upstream.requests().into_iter().filter(|request| request.line.starts_with("POST ")).collect()
}

#[track_caller]
fn is_gone(answer: &Response) {
    assert_eq!(answer.status, 410, "{}", text(&answer.text()));
    assert!(text(&answer.text()).contains("There is nothing here to be sent"), "{}", text(&answer.text()));
}

#[test]
fn f34_what_was_being_sent_arrives_once_after_the_login() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let mut alice = signed_in(&gate, ALICE);
    alice.cookies.insert("tool".to_owned(), "its-own".to_owned());
    gate.advance(HOUR);
    let held = must_be_kept(&post(&mut alice, BODY.as_bytes()));
    assert!(posts(&upstream).is_empty());

    let page = log_in(&mut alice, &held, ALICE);
    let words = text(&page.text());
    for shown in ["Send what you entered?", "POST", TARGET, "memo", "items[]", ALICE] {
        assert!(words.contains(shown), "{shown}: {words}");
    }
    assert!(!page.text().contains(INPUT) && !page.text().contains("apples"), "{words}");
    assert!(posts(&upstream).is_empty(), "nothing goes before the button is pressed");

    let answer = alice.send(&button(&page));
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    let [sent] = posts(&upstream).try_into().expect("one");
    assert_eq!((sent.target(), sent.body.as_slice()), (TARGET, BODY.as_bytes()));
    assert_eq!(sent.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(sent.header("content-length"), Some(BODY.len().to_string().as_str()));
    assert_eq!(sent.header("remote-user"), Some(ALICE));
    assert_eq!(sent.header("cookie"), Some("tool=its-own"), "those of the browser now, and none of sekisho's");
    assert_eq!(sent.header("referer"), None);

    is_gone(&alice.get(&held));
    is_gone(&alice.send(&button(&page)));
    assert_eq!(posts(&upstream).len(), 1);
    let [kept, sent] = ["form_held", "form_sent"].map(|kind| {
        let events = gate.cli_json(&["audit", "search", "--event", kind]);
        let [event] = <[Json; 1]>::try_from(events.as_array().unwrap().clone()).expect("one event");
        event
    });
    assert_eq!((&kept["login"], &sent["login"], &sent["result"]), (&ALICE.into(), &ALICE.into(), &"success".into()));
    assert!(
        kept["route"].is_string() && sent["route"].is_string() && sent["session"] != kept["session"],
        "{kept} {sent}"
    );
}

#[test]
fn f34_multipart_and_a_form_of_the_largest_size_arrive_byte_by_byte() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let all: Vec<u8> = (0..=255).cycle().take(1_048_000).collect();
    let part = "--XyZ\r\nContent-Disposition: form-data; name=\"picture\"; filename=\"secret-name.png\"\r\n\r\n";
    let body = [part.as_bytes(), &all, b"\r\n--XyZ--\r\n"].concat();
    let mut alice = ended(&gate);
    let lines = own(&alice).replace("application/x-www-form-urlencoded", "multipart/form-data; boundary=XyZ");
    let held = must_be_kept(&alice.request("POST", TARGET, &lines, &body));
    let page = log_in(&mut alice, &held, ALICE);
    let words = text(&page.text());
    assert!(words.contains("picture") && !words.contains("secret-name"), "{words}");
    assert_eq!(alice.send(&button(&page)).status, 200);
    let [sent] = posts(&upstream).try_into().expect("one");
    assert_eq!(sent.header("content-type"), Some("multipart/form-data; boundary=XyZ"));
    assert!(sent.body == body, "{} bytes of {}", sent.body.len(), body.len());

    let mut alice = ended(&gate);
    let empty = must_be_kept(&post(&mut alice, b""));
    let page = log_in(&mut alice, &empty, ALICE);
    assert_eq!(alice.send(&button(&page)).status, 200);
    let sent = posts(&upstream).pop().unwrap();
    assert_eq!((sent.header("content-length"), sent.body.len()), (Some("0"), 0));
}

/// What ends a session.
type End = fn(&Sekisho, &mut Client);

#[test]
fn f34_what_ended_the_session_decides() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream)
        .route("{name: strict, path: /orders/strict, idle_timeout: 5m, upstream: UPSTREAM}", &upstream.url())
        .start();
    gate.secrets().add(NEW);
    let after_them: [(&str, End); 3] = [
        ("idle", |gate, _| gate.advance(31 * MINUTE)),
        ("session end", |gate, _| {
            let sessions = gate.cli_json(&["session", "list"]);
            for id in sessions.as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap()) {
                cli(gate, &["session", "end", id]);
            }
        }),
        ("the end of its lifetime", |gate, alice| {
            for _ in 0..7 {
                gate.advance(25 * MINUTE);
                assert_eq!(alice.get("/").text(), "ok");
            }
            gate.advance(6 * MINUTE);
        }),
    ];
    for (before, (what, end)) in after_them.into_iter().enumerate() {
        let mut alice = signed_in(&gate, ALICE);
        end(&gate, &mut alice);
        assert!(kept(&post(&mut alice, BODY.as_bytes())).is_some(), "{what}");
        // Once more when the record itself is gone.
        wait_until("its end is noticed", || {
            let events = gate.cli_json(&["audit", "search", "--event", "session_ended"]);
            (events.as_array().unwrap().len() == before + 1).then_some(())
        });
        assert!(kept(&post(&mut alice, BODY.as_bytes())).is_some(), "{what}, a while later");
        gate.advance(11 * MINUTE);
        must_not_be_kept(&post(&mut alice, BODY.as_bytes()), what);
    }
    let mut alice = signed_in(&gate, ALICE);
    gate.advance(6 * MINUTE);
    let lines = own(&alice);
    assert!(
        kept(&alice.request("POST", "/orders/strict", &lines, BODY.as_bytes())).is_some(),
        "idle on this route alone"
    );

    let not_after_them: [(&str, End); 5] = [
        ("logout", |_, alice| drop(alice.copy().sign_out())),
        ("ended by its owner", |gate, alice| {
            let mut elsewhere = signed_in(gate, ALICE);
            let page = elsewhere.open("/.sekisho/account/sessions");
            elsewhere.submit(&form_to(&page, "/sessions/end-others"));
            assert_ne!(alice.copy().get("/").text(), "ok");
        }),
        ("factor reset", |gate, _| cli(gate, &["user", "reset-second-factor", ALICE])),
        ("password set", |gate, _| {
            let set = gate.cli_with_input(&["user", "passwd", ALICE, "--password-stdin"], &format!("{PASSWORD}\n"));
            assert!(set.status.success(), "{set:?}");
        }),
        ("disabled", |gate, _| cli(gate, &["user", "disable", ALICE])),
    ];
    for (what, end) in not_after_them {
        let mut alice = signed_in(&gate, ALICE);
        end(&gate, &mut alice);
        must_not_be_kept(&post(&mut alice, BODY.as_bytes()), what);
    }
    assert!(posts(&upstream).is_empty());
}

#[test]
fn f34_a_gateway_that_was_down_for_longer_than_the_session_keeps_the_form_too() {
    let upstream = Recorder::ok();
    let mut gate = builder(&upstream).tls(&["app.test"]).set("server.tls.redirect_http", "false").start();
    let mut alice = Client::tls(&gate, "app.test");
    alice.sign_in(&gate, ALICE, None);
    let mut bob = Client::tls(&gate, "app.test");
    bob.sign_in(&gate, "bob", None);
    gate.stop();
    gate.advance(35 * MINUTE);
    gate.serve();
    alice.follow(&gate);
    let held = must_be_kept(&post(&mut alice, BODY.as_bytes()));
    // And what is kept outlives a crash.
    gate.kill();
    gate.serve();
    alice.follow(&gate);
    let page = log_in(&mut alice, &held, ALICE);
    assert_eq!(alice.send(&button(&page)).status, 200);
    assert_eq!(posts(&upstream).len(), 1);
    // Three hours and five minutes after his login, of which nobody has seen the end.
    gate.stop();
    gate.advance(150 * MINUTE);
    gate.serve();
    bob.follow(&gate);
    must_be_kept(&post(&mut bob, BODY.as_bytes()));
    gate.advance(6 * MINUTE);
    must_not_be_kept(&post(&mut bob, BODY.as_bytes()), "eleven minutes after its end");
}

#[test]
fn f34_a_second_factor_that_has_come_due_counts_too() {
    let upstream = Recorder::ok();
    let gate = Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "required")
        .set("held.lifetime", "30m")
        .route("{name: strict, path: /orders, recheck_interval: 10m, upstream: UPSTREAM}", &upstream.url())
        .upstream(&upstream.url())
        .user(ALICE, &[])
        .clock()
        .start();
    let mut alice = Client::new(&gate);
    let key = alice.sign_in_and_enrol(&gate, ALICE);
    gate.advance(11 * MINUTE);
    let answer = post(&mut alice, BODY.as_bytes());
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/.sekisho/second-factor")),
        "{}",
        text(&answer.text())
    );
    let page = alice.open("/.sekisho/second-factor");
    let page = alice.give_code(&page, &gate.fresh_code(&key), false);
    assert!(alice.path.starts_with("/.sekisho/held/"), "{}", alice.path);
    // Before the button is pressed it comes due once more: asked for again, and nothing is spent.
    gate.advance(11 * MINUTE);
    let answer = alice.send(&button(&page));
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/.sekisho/second-factor")),
        "{}",
        text(&answer.text())
    );
    let page = alice.open("/.sekisho/second-factor");
    let page = alice.give_code(&page, &gate.fresh_code(&key), false);
    assert!(posts(&upstream).is_empty());
    assert_eq!(alice.send(&button(&page)).status, 200);
    assert_eq!(posts(&upstream).len(), 1);

    // The session ends; the login asks for what is asked for there.
    let mut alice = Client::new(&gate);
    alice.sign_in(&gate, ALICE, Some(&key));
    end(&gate, ALICE);
    let held = must_be_kept(&post(&mut alice, BODY.as_bytes()));
    let page = log_in(&mut alice, &held, ALICE);
    assert_eq!(alice.path, "/.sekisho/second-factor");
    let page = alice.give_code(&page, &gate.fresh_code(&key), false);
    assert_eq!(alice.send(&button(&page)).status, 200);
    assert_eq!(posts(&upstream).len(), 2);
}

#[test]
fn f34_nothing_that_another_site_or_a_script_sends_is_kept() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    let alice = ended(&gate);
    let own = own(&alice);
    let with = |from: &str, to: &str| own.replace(from, to);
    let host = alice.host.clone();
    let origin = format!("Origin: http://{host}");
    let site = "Sec-Fetch-Site: same-origin";
    for (what, lines) in [
        ("another origin", with(&origin, "Origin: https://evil.test")),
        ("no origin that has a name", with(&origin, "Origin: null")),
        ("another port", with(&origin, "Origin: http://127.0.0.1:1")),
        ("another scheme", with(&origin, &format!("Origin: https://{host}"))),
        ("two origins", with(&origin, &format!("{origin}\r\nOrigin: https://evil.test"))),
        ("another site", with(site, "Sec-Fetch-Site: cross-site")),
        ("a sister host", with(site, "Sec-Fetch-Site: same-site")),
        ("two sites", with(site, &format!("{site}\r\nSec-Fetch-Site: cross-site"))),
        ("nobody says where from", with(&format!("{origin}\r\n"), "").replace(&format!("{site}\r\n"), "")),
        ("a frame", with("Dest: document", "Dest: iframe")),
    ] {
        must_not_be_kept(&alice.copy().request("POST", TARGET, &lines, BODY.as_bytes()), what);
    }
    for (what, method, lines) in [
        ("a script", "POST", with("Mode: navigate", "Mode: cors").replace("text/html", "*/*")),
        ("a script of old", "POST", format!("{own}X-Requested-With: XMLHttpRequest\r\n")),
        ("JSON", "POST", with("application/x-www-form-urlencoded", "application/json")),
        ("another method", "PUT", own.clone()),
    ] {
        let answer = alice.copy().request(method, TARGET, &lines, BODY.as_bytes());
        assert_eq!((answer.status, kept(&answer)), (401, None), "{what}");
    }
    let mut stranger = Client::new(&gate);
    must_not_be_kept(&post(&mut stranger, BODY.as_bytes()), "no cookie");
    stranger.cookies.insert("sekisho-session".to_owned(), "A".repeat(43));
    must_not_be_kept(&post(&mut stranger, BODY.as_bytes()), "a made-up cookie");
    assert!(gate.cli_json(&["audit", "search", "--event", "form_held"]).as_array().unwrap().is_empty());
    assert!(kept(&post(&mut alice.copy(), BODY.as_bytes())).is_some(), "her own page's form is");
}

#[test]
fn f34_over_http2_it_is_the_same() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).tls(&["app.test"]).set("server.tls.redirect_http", "false").start();
    let mut alice = Client::tls(&gate, "app.test");
    alice.sign_in(&gate, ALICE, None);
    end(&gate, ALICE);
    let post = |alice: &Client, path: &str, site: &str, referer: Option<&str>, body: &str| {
        let mut request = Request::post(format!("https://app.test{path}"))
            .header("accept", "text/html")
            .header("origin", "https://app.test")
            .header("sec-fetch-site", site)
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .header("content-type", "application/x-www-form-urlencoded");
        // HTTP/2 clients send each cookie in a field of its own.
        for (name, value) in &alice.cookies {
            request = request.header("cookie", format!("{name}={value}"));
        }
        let request = referer.into_iter().fold(request, |request, referer| request.header("referer", referer));
        h2::request(&gate, "app.test", request.body(Bytes::from(body.to_owned())).unwrap())
    };
    must_not_be_kept(&post(&alice, TARGET, "cross-site", None, BODY), "of another site");
    let held = must_be_kept(&post(&alice, TARGET, "same-origin", None, BODY));
    let page = log_in(&mut alice, &held, ALICE);
    assert!(posts(&upstream).is_empty());

    // As a browser presses the button: it is led to the form's own address, and sends the same once more.
    let (button, from) = (button(&page), format!("https://app.test{held}"));
    let answer = post(&alice, &button.action, "same-origin", Some(&from), &button.encoded());
    assert_eq!((answer.status, answer.header("location")), (307, Some(TARGET)), "{}", answer.text());
    let answer = post(&alice, TARGET, "same-origin", Some(&from), &button.encoded());
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    let [sent] = posts(&upstream).try_into().expect("one");
    assert_eq!((sent.target(), sent.body.as_slice()), (TARGET, BODY.as_bytes()));
    assert_eq!(
        (sent.header("remote-user"), sent.header("content-length")),
        (Some(ALICE), Some(BODY.len().to_string().as_str()))
    );
    is_gone(&post(&alice, TARGET, "same-origin", Some(&from), &button.encoded()));
    assert_eq!(posts(&upstream).len(), 1);
}

#[test]
fn f34_nobody_else_sees_or_sends_it() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).tls(&["a.test", "b.test"]).set("server.tls.redirect_http", "false").start();
    let mut alice = Client::tls(&gate, "a.test");
    alice.sign_in(&gate, ALICE, None);
    end(&gate, ALICE);
    let held = must_be_kept(&post(&mut alice, BODY.as_bytes()));

    // Somebody else at the same browser.
    let mut bob = alice.copy();
    let page = log_in(&mut bob, &held, "bob");
    is_gone(&page);
    assert!(!page.text().contains("memo") && !page.text().contains("/orders"), "{}", page.text());
    // Bob with a token of a page like it, made for himself.
    end(&gate, "bob");
    let of_bob = must_be_kept(&post(&mut bob, b"memo=bobs"));
    let his_page = log_in(&mut bob, &of_bob, "bob");
    let action = held.split('?').next().unwrap().to_owned();
    is_gone(&bob.send(&Form { action: action.clone(), ..button(&his_page) }));

    let page = log_in(&mut alice, &held, ALICE);
    let form = button(&page);
    // Her own session at another host of the same gateway.
    let mut elsewhere = Client::tls(&gate, "b.test");
    elsewhere.cookies = alice.cookies.clone();
    is_gone(&elsewhere.get(&held));
    is_gone(&elsewhere.send(&form));
    // Another site, which knows the address, and a token that is none, hers of another form, or bob's.
    let foreign = own(&alice).replace("a.test", "evil.test").replace("same-origin", "cross-site");
    assert_eq!(alice.copy().request("POST", &action, &foreign, form.encoded().as_bytes()).status, 403);
    let logout = form_to(&alice.copy().open("/.sekisho/account"), "/logout");
    for token in ["", "x", logout.field("csrf").unwrap(), button(&his_page).field("csrf").unwrap()] {
        assert_eq!(alice.copy().send(&form.clone().with("csrf", token)).status, 403, "{token}");
    }
    assert_eq!(alice.copy().get(&action.replace("/held/", "/held/x")).status, 410);
    assert!(posts(&upstream).is_empty());
    assert_eq!(alice.send(&form).status, 200);
    assert_eq!(posts(&upstream).len(), 1);
}

#[test]
fn f34_of_fifty_that_press_the_button_at_once_one_sends_it() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).start();
    for round in 1..=5 {
        let mut alice = ended(&gate);
        let held = must_be_kept(&post(&mut alice, BODY.as_bytes()));
        let form = button(&log_in(&mut alice, &held, ALICE));
        let start = Barrier::new(50);
        let answers: Vec<u16> = std::thread::scope(|scope| {
            let presses: Vec<_> = (0..50)
                .map(|_| {
                    let (mut alice, form, start) = (alice.copy(), &form, &start);
                    scope.spawn(move || {
                        start.wait();
                        alice.send(form).status
                    })
                })
                .collect();
            presses.into_iter().map(|press| press.join().unwrap()).collect()
        });
        assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
        assert!(answers.iter().all(|status| matches!(status, 200 | 410)), "{answers:?}");
        assert_eq!(posts(&upstream).len(), round);
    }
}

#[test]
fn f34_it_is_sent_once_even_where_the_tool_breaks_off() {
    let upstream = Recorder::with(|_, _| false);
    let gate = builder(&upstream).start();
    let mut alice = ended(&gate);
    let held = must_be_kept(&post(&mut alice, BODY.as_bytes()));
    let page = log_in(&mut alice, &held, ALICE);
    assert_eq!(alice.send(&button(&page)).status, 502);
    assert_eq!(posts(&upstream).len(), 1);
    is_gone(&alice.send(&button(&page)));
    assert_eq!(posts(&upstream).len(), 1);
}

#[test]
fn f34_bounds_of_size_number_time_and_room() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).set("held", "{max_size: 10KiB, lifetime: 5m, per_session: 3, total: 64KiB}").start();
    let mut alice = ended(&gate);
    let largest = vec![b'a'; 10 * 1024];
    must_not_be_kept(&post(&mut alice, &[largest.as_slice(), b"a"].concat()), "a byte too many");
    // The same without a length that is told beforehand.
    let mut conn = alice.connect();
    let head = format!("POST {TARGET} HTTP/1.1\r\nHost: {}\r\n{}{}", alice.host, alice.cookie_header(), own(&alice));
    conn.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n2801\r\n"));
    conn.send([largest.as_slice(), b"a\r\n0\r\n\r\n"].concat());
    must_not_be_kept(&conn.response(), "a byte too many, in chunks");

    let held = must_be_kept(&post(&mut alice, &largest));
    let others = [post(&mut alice, &largest), post(&mut alice, &largest)];
    assert!(others.iter().all(|answer| kept(answer).is_some()));
    must_not_be_kept(&post(&mut alice, b"x"), "a fourth one of this session");
    let mut another = ended(&gate);
    assert!(kept(&post(&mut another, &largest)).is_some(), "another session has room of its own");
    let full = (0..8).find(|_| {
        let mut one_more = ended(&gate);
        kept(&post(&mut one_more, &largest)).is_none()
    });
    assert!(full.is_some_and(|full| full < 4), "64 KiB are full after six of ten: {full:?}");

    let page = log_in(&mut alice, &held, ALICE);
    gate.advance(5 * MINUTE);
    is_gone(&alice.send(&button(&page)));
    is_gone(&alice.get(&held));
    assert!(posts(&upstream).is_empty());
}

#[test]
fn f34_what_is_kept_is_sealed_where_it_is_stored() {
    let upstream = Recorder::ok();
    let mut gate = builder(&upstream).start();
    let mut alice = ended(&gate);
    let secret = "nobody-may-read-this";
    gate.secrets().add(secret);
    let held = must_be_kept(&post(&mut alice, format!("memo={secret}").as_bytes()));
    gate.stop();
    let stored = gate.stored();
    assert!(stored.len() > 1000);
    for needle in [secret, "orders/7", "view=full"] {
        assert!(!stored.windows(needle.len()).any(|window| window == needle.as_bytes()), "{needle}");
    }
    gate.serve();
    alice.follow(&gate);
    let page = log_in(&mut alice, &held, ALICE);
    assert!(!page.text().contains(secret));
}
