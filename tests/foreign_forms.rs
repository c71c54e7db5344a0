//! Forms and calls that another site's page sends with somebody's cookies (attack case A45): refused on every page, with the right
//! token too; and nothing changes by GET.

use crate::harness::{Client, Form, MailServer, PASSWORD, Recorder, Response, Sekisho, form_to, form_with, text};
use crate::wire::{id_of, pages_of_the_portal};

/// What a browser says of a request that another site's page makes; `OWN` is the gateway's own host and port.
const FOREIGN: [&str; 10] = [
    "Origin: https://evil.test\r\n",
    "Origin: null\r\n",
    "Origin:\r\n",
    "Origin: https://OWN\r\n",
    "Origin: http://OWN.evil.test\r\n",
    "Origin: http://127.0.0.1:1\r\n",
    "Origin: http://OWN\r\nOrigin: https://evil.test\r\n",
    "Sec-Fetch-Site: cross-site\r\n",
    "Sec-Fetch-Site: same-site\r\n",
    "Origin: http://OWN\r\nSec-Fetch-Site: cross-site\r\n",
];

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

fn gate(upstream: &Recorder, mail: &MailServer) -> Sekisho {
    Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .mail(mail)
        .upstream(&upstream.url())
        .user("alice", &["--role", "admin", "--email", "alice@example.com"])
        .user("bob", &[])
        .user("dora", &[])
        .start()
}

fn signed_in(gate: &Sekisho) -> Client {
    let mut alice = Client::new(gate);
    alice.sign_in_by_password_alone(gate);
    alice
}

fn post(browser: &mut Client, path: &str, lines: &str, body: &str) -> Response {
    browser.request("POST", path, &format!("Accept: text/html\r\n{lines}"), body.as_bytes())
}

#[test]
fn a45_no_page_takes_a_form_of_a_foreign_page() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = gate(&upstream, &mail);
    let own = gate.address().to_string();
    let people = [("nobody", Client::new(&gate)), ("alice", signed_in(&gate))];
    let (before, bob) = (gate.cli_json(&["user", "list"]), id_of(&gate, "bob"));
    let mut wrong = Vec::new();
    for page in pages_of_the_portal().into_iter().filter(|page| page.post) {
        let path = format!("/.sekisho{}", page.path.replace("{id}", &bob));
        let api = page.path.starts_with("/api/");
        let (kind, body) = match api {
            true => ("Content-Type: application/json\r\n", r#"{"login":"alice","password":"x"}"#),
            false => (FORM, "id=1&login=alice&password=x&code=000000"),
        };
        for (who, person) in &people {
            for marks in FOREIGN {
                let marks = marks.replace("OWN", &own);
                let answer = post(&mut person.copy(), &path, &format!("{kind}{marks}"), body);
                let refused = answer.status == 403
                    && answer.all("set-cookie").is_empty()
                    && match api {
                        true => answer.json()["code"] == "forbidden",
                        false => text(&answer.text()).contains("sent by another site"),
                    };
                if !refused {
                    wrong.push(format!("{path} for {who}, {marks:?}: {} {}", answer.status, text(&answer.text())));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} let through:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(gate.cli_json(&["user", "list"]), before);
    assert_eq!(people[1].1.copy().get("/").text(), "ok", "nobody was logged out");
}

/// Forms as their own pages have them, tokens and all. What a foreign page sends of them changes nothing, nor does their address
/// with everything in it; the page's own button does.
#[test]
fn a45_a_right_token_is_of_no_use_to_a_foreign_page_and_nothing_changes_by_get() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = gate(&upstream, &mail);
    let own = gate.address().to_string();
    let mut alice = signed_in(&gate);
    let other = signed_in(&gate);
    let [bob, dora] = ["bob", "dora"].map(|login| format!("/.sekisho/admin/users/{}", id_of(&gate, login)));
    let form = |browser: &mut Client, page: &str, action: &str| form_to(&browser.open(page), action);
    let new = "Quiet-river-17";
    gate.secrets().add(new);
    let chosen = |form: Form| form.with("role", "user").with("second-factor", "off").with("method", "totp");
    let mut forms: Vec<Form> = vec![
        chosen(form(&mut alice, "/.sekisho/admin/users/new", "/users/new").with("login", "newbie")),
        form(&mut alice, &bob, "/disable"),
        chosen(form(&mut alice, &format!("{dora}/edit"), "/edit").with("name", "Mallory")),
        form(&mut alice, "/.sekisho/account/sessions", "/sessions/end-others"),
        form(&mut alice, "/.sekisho/password", "/password")
            .with("current", PASSWORD)
            .with("new", new)
            .with("again", new),
        form(&mut alice, "/.sekisho/logout", "/logout"),
    ];
    let before = gate.cli_json(&["user", "list"]);
    for form in &forms {
        for marks in FOREIGN {
            let marks = marks.replace("OWN", &own);
            let answer = post(&mut alice.copy(), &form.action, &format!("{FORM}{marks}"), &form.encoded());
            assert_eq!(answer.status, 403, "{} {marks:?}: {}", form.action, text(&answer.text()));
        }
        for lines in ["", "Sec-Fetch-Site: none\r\n"] {
            let answer = alice.copy().request("GET", &format!("{}?{}", form.action, form.encoded()), lines, b"");
            assert!(matches!(answer.status, 200 | 405), "{}: {}", form.action, answer.status);
        }
        for kind in [
            "text/plain",
            "application/json",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded, text/plain",
        ] {
            let lines = format!("Content-Type: {kind}\r\nOrigin: http://{own}\r\nSec-Fetch-Site: same-origin\r\n");
            let answer = post(&mut alice.copy(), &form.action, &lines, &form.encoded());
            assert!(matches!(answer.status, 400 | 415), "{} as {kind}: {}", form.action, answer.status);
        }
        let mut unsigned = form.clone();
        unsigned.fields.retain(|(name, _)| name != "csrf");
        let answer = post(&mut alice.copy(), &unsigned.action, FORM, &unsigned.encoded());
        assert_eq!(answer.status, 403, "{} without a token", form.action);
    }
    assert_eq!(gate.cli_json(&["user", "list"]), before);
    assert!(alice.get("/").text() == "ok" && other.copy().get("/").text() == "ok", "both sessions live");

    // The first login of all: no session is needed to sign somebody in as somebody else.
    let mut victim = Client::new(&gate);
    let login = form_with(&victim.open("/"), "password").with("login", "alice").with("password", PASSWORD);
    for marks in FOREIGN {
        let marks = marks.replace("OWN", &own);
        let answer = post(&mut victim, &login.action, &format!("{FORM}{marks}"), &login.encoded());
        assert_eq!((answer.status, victim.cookie("session")), (403, None), "{marks:?}");
    }
    assert_eq!(victim.submit(&login).text(), "ok");

    // Each works where it stands. The last one's token is the session's from before the new password.
    forms.pop();
    for form in forms {
        let answer = alice.send(&form);
        assert!(answer.status < 400, "{} by its own button: {} {}", form.action, answer.status, text(&answer.text()));
    }
    let shown = |login: &str| gate.cli_json(&["user", "show", login]);
    assert_eq!((&shown("newbie")["login"], &shown("dora")["name"]), (&"newbie".into(), &"Mallory".into()));
    assert_ne!(gate.cli_json(&["user", "list"]), before);
    assert_ne!(other.copy().get("/").text(), "ok");
}
