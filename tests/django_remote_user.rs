//! Django behind the wall, set up as `docs/tools/django.md` says, word for word but for the host: it takes who is there from the header, in
//! its admin pages too, and nobody is anybody else there.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::tools::{Tool, prepared, start_on_free_port};
use crate::harness::{Browser, Client, Conn, PASSWORD, Sekisho};

const HOST: &str = "shop.test";

/// The site, with its database in `folder`.
fn site(folder: &TempDir) -> Tool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/tools/django.md")).unwrap();
    let mut blocks = page.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next());
    let (middleware, settings) = (blocks.next().unwrap(), blocks.next().unwrap());
    let settings = settings.replace("shop.example.com", HOST);
    let python = prepared("django_remote_user");
    start_on_free_port("django", |address, _| {
        let mut command = Command::new(&python);
        command.arg(root.join("tests/django_remote_user/tool.py")).arg(address.port().to_string()).arg(folder.path());
        command
            .env("DJANGO_MIDDLEWARE", middleware)
            .env("DJANGO_SETTINGS", &settings)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    })
}

/// What Django says past the wall to whoever sends these headers: it believes anybody.
fn past(tool: &Tool, path: &str, headers: &str) -> String {
    let mut conn = Conn::plain(tool.address());
    conn.send(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{headers}Connection: close\r\n\r\n"));
    conn.response().text()
}

#[tokio::test(flavor = "multi_thread")]
async fn django_takes_who_is_there_from_sekisho_and_from_nobody_else() {
    let folder = TempDir::with_prefix("sekisho-django-").unwrap();
    let tool = site(&folder);
    let gate = Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .tls(&[HOST])
        .user("alice", &[])
        .user("bob", &[])
        .route(&format!("{{name: shop, host: {HOST}, upstream: UPSTREAM}}"), &tool.url())
        .start();
    let url = |path: &str| format!("https://{HOST}:{}{path}", gate.tls_address().port());

    // Staff work in the admin pages at once; forms pass Django's own check of where they come from.
    let browser = Browser::start().await;
    browser.open(&url("/admin/auth/group/add/")).await;
    browser.sign_in("alice").await;
    browser.fill("input[name=name]", "Shop keepers 三").await;
    browser.click("input[name=_save]").await;
    browser.see("was added successfully").await;
    let listed = past(&tool, "/admin/auth/group/", "Remote-User: alice\r\n");
    assert!(listed.contains("Shop keepers 三"), "{listed}");
    assert!(
        past(&tool, "/admin/", "Remote-User: alice\r\n").contains("Shop keepers 三"),
        "among alice's recent actions"
    );

    // Another person in the same browser is another person there, in spite of Django's own cookie.
    browser.open(&url("/.sekisho/logout")).await;
    browser.click("main form button[type=submit]").await;
    browser.open(&url("/me")).await;
    browser.sign_in("bob").await;
    assert_eq!(browser.text_of("#me").await, "bob");
    browser.open(&url("/admin/")).await;
    browser.see("You are authenticated as bob, but are not authorized").await;

    // A forged header does nothing, in whatever spelling; past the wall it would.
    let forged = ["Remote-User", "REMOTE-USER", "Remote_User", "remote_user", "REMOTE-user"];
    assert!(past(&tool, "/me", "Remote_User: alice\r\n").contains("alice"));
    let mut bob = Client::tls(&gate, HOST);
    for name in forged {
        assert!(!bob.request("GET", "/me", &format!("{name}: alice\r\n"), b"").text().contains("alice"), "{name}");
    }
    bob.give_password("bob", PASSWORD);
    for name in forged {
        let page = bob.request("GET", "/me", &format!("{name}: alice\r\n"), b"");
        assert_eq!((page.status, page.text().as_str()), (200, "<p id='me'>bob</p>"), "{name}");
    }
}
