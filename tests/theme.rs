//! A theme (`portal.theme`): a folder that replaces logo, colours, texts and templates, through the real pages.

use std::path::Path;

use serde_json::Value as Json;

use crate::harness::{Builder, Client, Conn, PASSWORD, Recorder, Response, Sekisho, forms};

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join("theme").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn themed(upstream: &Recorder, files: &[(&str, &str)]) -> Builder {
    let gate = Sekisho::builder()
        .set("second_factor.policy", "off")
        .set("portal.theme", "theme")
        .user("alice", &[])
        .route("{name: all, upstream: UPSTREAM}", &upstream.url());
    write(gate.folder(), files);
    gate
}

fn get(gate: &Sekisho, path: &str) -> Response {
    let mut conn = Conn::plain(gate.address());
    conn.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\n\r\n", gate.address()));
    conn.response()
}

/// The address in the first tag that has these words.
fn address(page: &str, words: &str) -> String {
    let tag = page.split('<').find(|tag| tag.contains(words)).unwrap_or_else(|| panic!("{words}: {page}"));
    let after = tag.split_once("src=\"").or_else(|| tag.split_once("href=\"")).expect("an address").1;
    after.split('"').next().unwrap().to_owned()
}

fn checked(gate: &Sekisho) -> (Option<i32>, Vec<Json>) {
    let output = gate.cli(&["check", "--json"]);
    let problems: Vec<Json> =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let problems =
        problems.into_iter().filter(|problem| problem["file"].as_str().unwrap().contains("/theme")).collect();
    (output.status.code(), problems)
}

#[test]
fn the_worked_example_dresses_the_pages_and_leaves_them_working() {
    let upstream = Recorder::ok();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/theme-example");
    let gate = themed(&upstream, &[]).set("portal.theme", example).start();
    assert_eq!(checked(&gate), (Some(0), Vec::new()));
    let page = get(&gate, "/.sekisho/login");
    let text = page.text();
    assert!(text.contains("Go to the shop&#39;s back room") && text.contains("help-desk"), "{text}");
    let policy = page.header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("style-src 'self'"), "{policy}");

    let (style, logo) = (address(&text, "/static/theme."), address(&text, "class=\"mark logo\""));
    let sheets: Vec<_> = text.match_indices("rel=\"stylesheet\"").map(|(at, _)| &text[at..at + 60]).collect();
    assert!(sheets.last().unwrap().contains("/theme."), "it comes after all others: {sheets:?}");
    let sheet = get(&gate, &style);
    assert_eq!((sheet.status, sheet.header("content-type")), (200, Some("text/css; charset=utf-8")));
    assert_eq!(sheet.header("cache-control"), Some("public, max-age=31536000, immutable"));
    let picture = get(&gate, &logo);
    assert_eq!((picture.status, picture.header("content-type")), (200, Some("image/svg+xml; charset=utf-8")));
    assert_eq!(picture.header("x-content-type-options"), Some("nosniff"));
    assert!(picture.header("content-security-policy").unwrap().starts_with("default-src 'none'; sandbox"));
    assert_eq!(get(&gate, "/.sekisho/static/../theme/style.css").status, 404, "no other file of the folder is served");

    let mut alice = Client::new(&gate);
    let login = alice.open("/orders");
    assert_eq!(alice.fill_password(&login, "alice", PASSWORD).text(), "ok");
    assert!(get(&gate, "/.sekisho/login?lang=ja").text().contains("店舗管理へ進む"));
}

#[test]
fn a_page_that_cannot_be_made_with_the_theme_is_made_without_it() {
    let upstream = Recorder::ok();
    let gate = themed(
        &upstream,
        &[
            (
                "templates/login.html",
                "{% extends 'builtin/login.html' %}\n{% block main %}{{ page.nothing }}{% endblock %}",
            ),
            ("templates/logout.html", "{% if %}"),
            ("messages/en.ftl", "login-submit = { $nobody }\nlogin-password = The word\n"),
        ],
    );
    let gate = gate.start();
    let page = get(&gate, "/.sekisho/login");
    assert_eq!(page.status, 200);
    assert!(forms(&page.text()).iter().any(|form| form.names.iter().any(|name| name == "password")), "{}", page.text());
    let mut alice = Client::new(&gate);
    let login = alice.open("/orders");
    assert_eq!(alice.fill_password(&login, "alice", PASSWORD).text(), "ok", "people get in");
    assert_eq!(alice.get("/.sekisho/logout").status, 200);
    let logs = gate.logs();
    let said = |words: &str| logs.iter().any(|line| line.contains(words));
    assert!(
        said("a page could not be made with the theme") && said("a template of the theme cannot be read"),
        "{logs:?}"
    );
}

#[test]
fn check_tells_file_line_and_what() {
    let upstream = Recorder::ok();
    let gate = themed(
        &upstream,
        &[
            (
                "templates/login.html",
                "{% extends 'layout.html' %}\n{% block main %}\n<form method=\"post\" action=\"{{ page.action }}\">\n<input name=\"login\"></form>{% endblock %}",
            ),
            ("templates/enrol.html", "{% extends 'layout.html' %}\n\n{% block main %}{{ page.qrr }}{% endblock %}"),
            ("templates/recovery.html", "{% for %}"),
            ("style.css", "body {\n  background: url(https://cdn.test/x.png);\n}"),
            ("messages/en.ftl", "\nlogin-submitt = x"),
            ("pictures/x.png", "x"),
        ],
    );
    let gate = gate.write_only();
    gate.make_key();
    let (status, problems) = checked(&gate);
    assert_eq!(status, Some(78));
    let told: Vec<String> = problems
        .iter()
        .map(|problem| {
            let file = problem["file"].as_str().unwrap().rsplit_once("/theme/").unwrap().1;
            format!(
                "{file}:{} {} {}",
                problem["line"],
                problem["severity"].as_str().unwrap(),
                problem["message"].as_str().unwrap()
            )
        })
        .collect();
    for part in [
        "templates/login.html:3 error login.html: the form that sends to /.sekisho/login has no csrf field",
        "templates/login.html:3 error login.html: the form that sends to /.sekisho/login lacks the fields password, return_to",
        "templates/enrol.html:3 error enrol.html cannot be made",
        "templates/recovery.html:1 error recovery.html cannot be made",
        "style.css:2 warning url( loads",
        "messages/en.ftl:2 warning no page has a text login-submitt",
        "pictures:1 warning is read by nobody",
    ] {
        assert!(told.iter().any(|line| line.starts_with(part)), "{part}: {told:#?}");
    }
    let plain = gate.cli(&["check"]);
    let text = String::from_utf8(plain.stdout).unwrap();
    assert!(
        text.contains("theme/templates/login.html:3:1: error: ") && text.contains("hint: did you mean login-submit?"),
        "{text}"
    );

    // What cannot be read at all stops the configuration.
    write(&gate.path(""), &[("logo.png", "no picture")]);
    let (status, problems) = checked(&gate);
    assert_eq!(status, Some(78));
    assert!(problems.iter().any(|problem| problem["message"] == "is no PNG picture"), "{problems:?}");
}
