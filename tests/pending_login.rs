//! What a right password alone opens (attack case A24): the pages of the login's own next step, and nothing else: no tool, no
//! WebSocket, no page of a person or of administration, whoever the person is.

use crate::harness::second_step::asked_for;
use crate::harness::{Client, PASSWORD, Recorder, Response, Sekisho, key_of, text};
use crate::wire::{id_of, pages_of_the_portal};

/// What a login between its steps may see: its own pages, and those that are everybody's.
const ITS_OWN: [&str; 8] =
    ["/login", "/second-factor", "/enrol", "/password", "/static/", "/jwks.json", "/sign-on", "/handoff"];

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn gate(upstream: &Recorder) -> Sekisho {
    let accounts = ["alice", "carol", "dave", "erin"];
    let builder = Sekisho::builder().cheap_hashes().upstream(&upstream.url()).clock();
    accounts.into_iter().fold(builder, |builder, login| builder.user(login, &["--role", "admin"])).start()
}

/// Each place at which a login can stand between a right password and a session: what it waits for, and the browser.
fn between_the_steps(gate: &Sekisho) -> Vec<(&'static str, Client)> {
    Client::new(gate).sign_in_and_enrol(gate, "alice");
    let mut code_due = Client::new(gate);
    assert_eq!(asked_for(&code_due.give_password("alice", PASSWORD)), "code");

    let mut enrolment_due = Client::new(gate);
    key_of(&enrolment_due.give_password("carol", PASSWORD));

    let mut codes_shown = Client::new(gate);
    let page = codes_shown.give_password("dave", PASSWORD);
    codes_shown.give_code(&page, &gate.code(&key_of(&page)), false);
    assert!(codes_shown.path.ends_with("/enrol/recovery-codes"), "{}", codes_shown.path);

    let key = Client::new(gate).sign_in_and_enrol(gate, "erin");
    assert!(gate.cli(&["user", "set", "erin", "--must-change"]).status.success());
    let mut new_password_due = Client::new(gate);
    let page = new_password_due.give_password("erin", PASSWORD);
    new_password_due.give_code(&page, &gate.fresh_code(&key), false);
    assert!(new_password_due.path.ends_with("/password"), "{}", new_password_due.path);

    vec![
        ("a code", code_due),
        ("an enrolment", enrolment_due),
        ("codes to be saved", codes_shown),
        ("a new password", new_password_due),
    ]
}

/// Led to a page of the login's, or told that nobody is signed in.
fn is_turned_back(answer: &Response) -> bool {
    let led = answer.header("location").unwrap_or_default();
    let to_login = ["login", "second-factor", "enrol", "password"]
        .iter()
        .any(|page| led.strip_prefix("/.sekisho/").is_some_and(|below| below.starts_with(page)));
    matches!(answer.status, 401 | 403) || (answer.status == 303 && to_login)
}

#[test]
fn a24_a_password_alone_reaches_no_tool_and_opens_no_websocket() {
    let upstream = Recorder::echo();
    let gate = gate(&upstream);
    let logins = between_the_steps(&gate);
    upstream.clear();
    for (due, login) in &logins {
        assert!(login.cookie("session").is_none() && login.cookie("flow").is_some(), "{due}");
        for path in ["/", "/admin", "/.sekishox/account", "/x?return_to=/.sekisho/login"] {
            assert!(is_turned_back(&login.copy().get(path)), "{due}: {path}");
            for method in ["GET", "POST", "HEAD", "DELETE"] {
                let answer = login.copy().fetch(method, path, b"");
                assert_eq!(answer.status, 401, "{due}: {method} {path}");
            }
            assert_eq!(login.copy().request("GET", path, WEBSOCKET, b"").status, 401, "{due}: {path}");
        }
        // What it was given is worth nothing under another name.
        let flow = login.cookie("flow").unwrap();
        for name in ["sekisho-session", "__Host-sekisho-session"] {
            let mut thief = Client::new(&gate);
            thief.cookies.insert(name.into(), flow.clone());
            assert_eq!(thief.fetch("GET", "/", b"").status, 401, "{due}: as {name}");
        }
    }
    let mut script = Client::new(&gate);
    let answer = script.post_json("/.sekisho/api/login", &serde_json::json!({"login": "alice", "password": PASSWORD}));
    let flow = answer.json()["flow"].as_str().expect("a code is due").to_owned();
    gate.secrets().add(&flow);
    script.cookies.insert("sekisho-session".into(), flow);
    assert_eq!(script.fetch("GET", "/", b"").status, 401, "what the API gives for the code is no session");
    assert_eq!(upstream.bytes(), 0);
}

#[test]
fn a24_a_password_alone_opens_no_page_but_those_of_its_next_step() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream);
    let logins = between_the_steps(&gate);
    upstream.clear();
    let before = gate.cli_json(&["user", "list"]);
    let id = id_of(&gate, "alice");
    let mut wrong = Vec::new();
    for page in pages_of_the_portal() {
        let path = format!("/.sekisho{}", page.path.replace("{id}", &id).replace("{file}", "none.css"));
        let own = ITS_OWN.iter().any(|own| page.path.starts_with(own));
        for (due, login) in &logins {
            if page.get && !own {
                let answer = login.copy().get(&path);
                if !is_turned_back(&answer) {
                    wrong.push(format!("GET {path}, {due}: {} {}", answer.status, text(&answer.text())));
                }
            }
            if page.post {
                let mut browser = login.copy();
                let headers = format!(
                    "Accept: text/html\r\nOrigin: http://{}\r\nContent-Type: application/x-www-form-urlencoded\r\n",
                    gate.address()
                );
                let form = format!("code=000000&id={id}&login=alice&role=admin&confirm=yes");
                let answer = browser.request("POST", &path, &headers, form.as_bytes());
                if answer.status < 300 || browser.cookie("session").is_some() {
                    wrong.push(format!("POST {path}, {due}: {} {}", answer.status, text(&answer.text())));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(gate.cli_json(&["user", "list"]), before, "and nothing was changed");
    assert_eq!(upstream.bytes(), 0);
}
