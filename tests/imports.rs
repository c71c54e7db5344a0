//! Lists of accounts through the running gateway (F27): who may bring them and how much, that nothing happens before it is
//! confirmed, and that it happens once.

use std::time::Instant;

use crate::harness::{Builder, Client, MailServer, Recorder, Response, Sekisho, form_with, text};

const PAGE: &str = "/.sekisho/admin/users/import";
const PREVIEW: &str = "/.sekisho/admin/users/import/preview";
const RESULT: &str = "/.sekisho/admin/users/import/result";

fn builder(upstream: &Recorder) -> Builder {
    Sekisho::builder().cheap_hashes().upstream(&upstream.url()).user("mana", &["--role", "manager"]).clock()
}

fn upload(gate: &Sekisho, client: &mut Client, csrf: &str, list: &[u8]) -> Response {
    let mut body = format!("--X\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n{csrf}\r\n").into_bytes();
    body.extend(b"--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"people.csv\"\r\n\r\n");
    body.extend(list);
    body.extend(b"\r\n--X--\r\n");
    let origin = format!("http://{}", gate.address());
    let headers = format!(
        "Accept: text/html\r\nSec-Fetch-Site: same-origin\r\nOrigin: {origin}\r\n\
         Content-Type: multipart/form-data; boundary=X\r\n"
    );
    client.request("POST", PAGE, &headers, &body)
}

fn token(client: &mut Client) -> String {
    let page = client.open(PAGE);
    form_with(&page, "update").field("csrf").expect("a token").to_owned()
}

fn people(count: usize, more: &str) -> String {
    (0..count)
        .fold("login,name,email\n".to_owned(), |list, number| list + &format!("new{number},Person {number},{more}\n"))
}

#[test]
fn f27_a_manager_brings_a_large_list_and_nobody_else_is_even_read() {
    let upstream = Recorder::ok();
    let gate = builder(&upstream).user("vera", &["--role", "viewer"]).start();
    let list = people(3000, &"x".repeat(40));
    assert!(list.len() > 100 * 1024);

    let mut viewer = Client::new(&gate);
    viewer.sign_in_and_enrol(&gate, "vera");
    assert_eq!(viewer.get(PAGE).status, 403);
    assert_eq!(upload(&gate, &mut viewer, "x", list.as_bytes()).status, 413, "more than a form");
    assert_eq!(upload(&gate, &mut viewer, "x", b"login\nann\n").status, 403);
    let mut nobody = Client::new(&gate);
    assert_eq!(upload(&gate, &mut nobody, "x", list.as_bytes()).status, 413);

    let mut manager = Client::new(&gate);
    manager.sign_in_and_enrol(&gate, "mana");
    let csrf = token(&mut manager);
    let answer = upload(&gate, &mut manager, &csrf, list.as_bytes());
    assert_eq!((answer.status, answer.header("location")), (303, Some(PREVIEW)), "{}", text(&answer.text()));
    let preview = manager.open(PREVIEW);
    assert!(text(&preview.text()).contains("No row of this list can be imported"), "{}", text(&preview.text()));
    assert_eq!(upload(&gate, &mut manager, &csrf, &vec![b'a'; 5 * 1024 * 1024]).status, 413);
    // Everywhere else a form is a form, for managers too.
    let form = format!("csrf={csrf}&name={}", "x".repeat(100 * 1024));
    let headers = "Accept: text/html\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    assert_eq!(manager.request("POST", PREVIEW, headers, form.as_bytes()).status, 413);
}

#[test]
fn a_thousand_people_are_added_once_by_one_confirmation() {
    let (upstream, mail) = (Recorder::ok(), MailServer::start());
    let gate = builder(&upstream).mail(&mail).start();
    let mut manager = Client::new(&gate);
    manager.sign_in_and_enrol(&gate, "mana");
    let csrf = token(&mut manager);
    let list = format!("{}ann,Ann,ann@example.com\n", people(999, ""));
    assert_eq!(upload(&gate, &mut manager, &csrf, list.as_bytes()).header("location"), Some(PREVIEW));
    let page = manager.open(PREVIEW);
    assert_eq!(gate.cli_json(&["user", "list"]).as_array().unwrap().len(), 1, "nothing before the confirmation");

    let form = form_with(&page, "seen").ticked("links");
    let began = Instant::now();
    let answer = manager.send(&form);
    println!("1,000 accounts in {:?}", began.elapsed());
    assert_eq!((answer.status, answer.header("location")), (303, Some(RESULT)), "{}", text(&answer.text()));
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    assert_eq!(gate.cli_json(&["user", "list"]).as_array().unwrap().len(), 1001);
    assert_eq!(manager.send(&form).header("location"), Some(RESULT), "once more is the same");
    assert_eq!(gate.cli_json(&["user", "list"]).as_array().unwrap().len(), 1001);
    let result = manager.open(RESULT);
    assert!(text(&result.text()).contains("Everything was imported."), "{}", text(&result.text()));
    // Whoever can be reached gets a link, and chooses a password by it.
    let _ = mail.next_to("ann@example.com");
}
