//! A form kept over a login (F34), in a real browser: what its headers really say, where the person ends up, and what "back" keeps.

use std::time::Duration;

use crate::harness::{Browser, PASSWORD, Sekisho, tools};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A tool of the old kind: one address for everything, an answer to a post that is a page, links that are relative to it.
const TOOL: &str = r#"<?php
$posts = __DIR__ . '/posts';
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    file_put_contents($posts, 'x', FILE_APPEND);
    echo '<p id="got">', htmlspecialchars($_POST['memo'] ?? 'nothing'), ' by ', $_SERVER['HTTP_REMOTE_USER'], '</p>',
        '<p id="referer">', htmlspecialchars($_SERVER['HTTP_REFERER'] ?? ''), '</p><a id="next" href="?next=1">next</a>';
} elseif (isset($_GET['next'])) {
    echo '<p id="count">', @filesize($posts) ?: 0, '</p>';
} else {
    echo '<form method="post" action="?act=save&amp;id=7"><textarea name="memo"></textarea><button>Save</button></form>';
}
"#;

async fn sign_in(browser: &Browser) {
    browser.arrive("/.sekisho/login").await;
    browser.fill("input[name=login]", "alice").await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.click("main form button[type=submit]").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f34_what_was_typed_arrives_and_another_sites_form_does_not() {
    let tool = tools::php(TOOL);
    let gate = Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .set("held.max_size", "2KiB")
        .route("{name: tool, path: /tool, upstream: UPSTREAM}", &tool.url())
        .user("alice", &[])
        .clock()
        .start();
    let browser = Browser::start().await;
    browser.open(&gate.url("/tool/")).await;
    sign_in(&browser).await;
    browser.fill("textarea[name=memo]", "Pack it well, 山田様").await;
    gate.advance(HOUR);
    browser.click("form button").await;
    browser.see("What you entered was kept").await;
    sign_in(&browser).await;
    browser.arrive("/.sekisho/held/").await;
    let page = browser.text().await;
    assert!(page.contains("/tool/?act=save&id=7") && page.contains("memo") && !page.contains("Pack"), "{page}");
    browser.click("main form button[type=submit]").await;
    assert_eq!(browser.text_of("#got").await, "Pack it well, 山田様 by alice");
    // The tool's page stands at its own address, so that what is relative on it leads where it should.
    let here = browser.address().await;
    assert!(here.ends_with("/tool/?act=save&id=7"), "{here}");
    let referer = browser.text_of("#referer").await;
    assert!(referer.ends_with("/tool/"), "no tool gets to know sekisho's page: {referer}");
    browser.click("#next").await;
    assert_eq!(browser.text_of("#count").await, "1");

    // Too large to be kept: it is said so, and "back" has it still.
    browser.open(&gate.url("/tool/")).await;
    let long = "long ".repeat(500);
    browser.fill("textarea[name=memo]", &long).await;
    gate.advance(HOUR);
    browser.click("form button").await;
    browser.see("What you entered was not sent").await;
    browser.devtools("Runtime.evaluate", serde_json::json!({"expression": "history.back()"})).await;
    browser.find_soon("textarea[name=memo]").await;
    let typed = serde_json::json!({"expression": "document.querySelector('textarea').value", "returnByValue": true});
    let kept = browser.devtools("Runtime.evaluate", typed).await;
    assert_eq!(kept["result"]["value"].as_str().map(str::trim), Some(long.trim()), "{kept}");

    // A page of another origin at the same site, whose posts have the cookie: no door.
    let form = format!(
        r#"<form method="post" action="{}"><input name="memo" value="evil"><button>win</button></form>"#,
        gate.url("/tool/?act=save")
    );
    let evil = tools::php(&form);
    browser.open(&evil.url()).await;
    browser.click("form button").await;
    browser.see("What you entered was not sent").await;
    let events = gate.cli_json(&["audit", "search", "--event", "form_held"]);
    assert_eq!(events.as_array().unwrap().len(), 1, "{events}");
}
