//! What is somebody else's (attack case A49): administration for a user, and ids of another account's devices and sessions.

use serde_json::Value as Json;

use crate::harness::{Client, Recorder, Response, Sekisho, form_to, text};
use crate::wire::{id_of, pages_of_the_portal};

struct Scene {
    gate: Sekisho,
    carol: Client,
    alice: Client,
}

/// Alice, an administrator with a device and a session, and Carol, a user with the same.
fn scene(upstream: &Recorder) -> Scene {
    let gate = Sekisho::builder()
        .cheap_hashes()
        .upstream(&upstream.url())
        .user("alice", &["--role", "admin"])
        .user("carol", &[])
        .start();
    let mut carol = Client::new(&gate);
    let key = carol.sign_in_enrol_and_remember(&gate, "carol");
    // A second browser of hers, so that her pages have forms.
    let mut elsewhere = Client::new(&gate);
    let page = elsewhere.give_password("carol", crate::harness::PASSWORD);
    elsewhere.give_code(&page, &gate.fresh_code(&key), true);
    let mut alice = Client::new(&gate);
    alice.sign_in_enrol_and_remember(&gate, "alice");
    Scene { gate, carol, alice }
}

fn ids(list: &Json) -> Vec<String> {
    let mut ids: Vec<String> =
        list.as_array().unwrap().iter().map(|entry| entry["id"].as_str().expect("an id").to_owned()).collect();
    ids.sort();
    ids
}

/// All that an act of administration could change.
fn state(gate: &Sekisho) -> (Json, Vec<String>, Vec<String>) {
    let [users, devices, sessions] = ["user", "device", "session"].map(|what| gate.cli_json(&[what, "list"]));
    (users, ids(&devices), ids(&sessions))
}

/// A post of this browser's own page, as far as anybody can tell.
fn post(browser: &Client, path: &str, body: &str) -> Response {
    let lines = format!(
        "Accept: text/html\r\nOrigin: http://{}\r\nSec-Fetch-Site: same-origin\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n",
        browser.host
    );
    browser.copy().request("POST", path, &lines, body.as_bytes())
}

#[test]
fn a49_a_user_opens_no_page_of_administration_and_posts_none_of_its_forms() {
    let upstream = Recorder::ok();
    let Scene { gate, mut carol, mut alice } = scene(&upstream);
    let before = state(&gate);
    let accounts = ["alice", "carol"].map(|login| id_of(&gate, login));
    // Her own token, and an administrator's, which is of another session.
    let own = form_to(&carol.open("/.sekisho/account/devices"), "/devices/forget");
    let theirs = form_to(&alice.open("/.sekisho/admin/users/new"), "/users/new");
    let (sessions, devices) = (&before.2, &before.1);
    let mut asked = 0;
    for page in pages_of_the_portal().into_iter().filter(|page| page.path.starts_with("/admin")) {
        for id in accounts.iter().map(String::as_str).chain(["0000000000000000", "alice", "../users"]) {
            let path = format!("/.sekisho{}", page.path.replace("{id}", id));
            let tokens = [own.field("csrf").unwrap(), theirs.field("csrf").unwrap()];
            if page.get {
                let answer = carol.get(&path);
                assert!(matches!(answer.status, 403 | 404), "{path}: {} {}", answer.status, text(&answer.text()));
            }
            for token in tokens.into_iter().filter(|_| page.post) {
                for target in sessions.iter().chain(devices).take(4) {
                    let form = format!(
                        "csrf={token}&id={target}&login=carol&role=admin&groups=ops&name=x&confirm=carol&act=disable&user={}",
                        accounts[0]
                    );
                    let answer = post(&carol, &path, &form);
                    let told = text(&answer.text());
                    // By her rights, before anything else of the form is looked at; or there is no such page.
                    let refused = answer.status == 403 && told.contains("may not open this page");
                    assert!(refused || matches!(answer.status, 404 | 405), "{path}: {} {told}", answer.status);
                    asked += 1;
                }
            }
            if !page.path.contains("{id}") {
                break;
            }
        }
    }
    assert!(asked > 100, "{asked}");
    assert_eq!(state(&gate), before);
    let events = gate.cli_json(&["audit", "search", "--event", "access_denied"]);
    assert!(events.as_array().unwrap().iter().any(|event| event["login"] == "carol"), "{events}");
}

#[test]
fn a49_devices_and_sessions_of_another_account_are_not_there() {
    let upstream = Recorder::ok();
    let Scene { gate, mut carol, mut alice } = scene(&upstream);
    let of = |what: &str, login: &str| ids(&gate.cli_json(&[what, "list", "--user", login]));
    let before = state(&gate);
    for (page, action, kind) in [
        ("/.sekisho/account/devices", "/devices/forget", "device"),
        ("/.sekisho/account/sessions", "/sessions/end", "session"),
    ] {
        let form = form_to(&carol.open(page), action);
        let mine = of(kind, "carol");
        let hers = of(kind, "alice");
        assert!(!hers.is_empty() && mine.iter().all(|id| !hers.contains(id)));
        let wrong = hers.iter().map(String::as_str).chain(["", "0", "0000000000000000", "../../x", "%00", "*"]);
        for id in wrong {
            let answer = carol.copy().send(&form.clone().with("id", id));
            assert_eq!(answer.status, 404, "{action} {id:?}: {}", text(&answer.text()));
        }
        // One id is taken; a second one beside it is an error, not another try.
        let mut twice = form.clone();
        twice.fields.push(("id".into(), hers[0].clone()));
        assert_eq!(carol.copy().send(&twice).status, 400, "{action}");
        // Her form's token is her session's.
        let answer = alice.copy().send(&form.clone().with("id", &mine[0]));
        assert_eq!(answer.status, 403, "{action} with another session's token");
    }
    assert_eq!(state(&gate), before);
    assert_eq!(alice.get("/").text(), "ok");
}
