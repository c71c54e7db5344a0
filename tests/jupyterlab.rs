//! JupyterLab as it comes, in a real browser: its kernels speak over a WebSocket, its files go up in pieces, and one sign-in at sekisho
//! is the only one.

use std::path::Path;
use std::time::{Duration, Instant};

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::harness::tools::{self, Jupyter, Tool};
use crate::harness::{Browser, Client, Conn, Sekisho, wait_until};

/// Some 300 kB from one cell, none of whose lines is like another.
const MUCH: &str = "for i in range(5000): print(f'{i:06} {i * i:012} \u{6025}\u{9808} {i * 7919 % 10007:040}')";
const LAST: &str = "004999 000024990001";

/// Before any script of a page: how its WebSockets end is kept, and a file chooser is put where a driver can reach it.
const WATCH: &str = "window.ended = [];\
    const Native = WebSocket;\
    window.WebSocket = class extends Native {\
      constructor(...all) {\
        super(...all);\
        this.addEventListener('close', (event) =>\
          window.ended.push(`${event.code} ${event.reason} ${new URL(this.url).pathname}`));\
      }\
    };\
    const click = HTMLInputElement.prototype.click;\
    HTMLInputElement.prototype.click = function () {\
      if (this.type !== 'file') return click.call(this);\
      this.id = 'chooser';\
      document.body.append(this);\
    };";

async fn watching() -> Browser {
    let browser = Browser::start().await;
    browser.devtools("Page.enable", json!({})).await;
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({"source": WATCH})).await;
    browser
}

async fn evaluated(browser: &Browser, expression: &str) -> Value {
    let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
    let answer = browser.devtools("Runtime.evaluate", asked).await;
    assert!(answer.get("exceptionDetails").is_none(), "{answer}");
    answer["result"]["value"].clone()
}

/// Types a cell's text, runs it, and stays in the cell behind it.
async fn run_cell(browser: &Browser, number: usize, text: &str) {
    let editor = format!(".jp-Notebook .jp-Cell[data-windowed-list-index='{number}'] .cm-content");
    browser.click(&editor).await;
    browser.devtools("Input.insertText", json!({"text": text})).await;
    let keys = format!("{}{}", Key::Shift, Key::Enter);
    browser.find_soon(&editor).await.send_keys(&keys).await.unwrap();
}

fn saved(tool: &Tool) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(tool.folder().join("work/Untitled.ipynb")).ok()?).ok()
}

/// The text that the cells of a saved notebook printed or had as their value.
fn outputs(notebook: &Value) -> Vec<String> {
    let joined = |text: &Value| match text {
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        text => text.as_str().unwrap_or_default().to_owned(),
    };
    let of_cell = |cell: &Value| -> String {
        let all = cell["outputs"].as_array().into_iter().flatten();
        all.map(|output| joined(&output["text"]) + &joined(&output["data"]["text/plain"])).collect()
    };
    notebook["cells"].as_array().into_iter().flatten().map(of_cell).collect()
}

/// An hour at it: a new notebook, cells with small and big results, saved; a file sent up. What the server then lists, and the results.
async fn work(browser: &Browser, tool: &Tool, file: &Path) -> (Value, Vec<String>) {
    browser.click(".jp-LauncherCard[data-category='Notebook']").await;
    // A cell that is run before is dropped.
    browser.see("(ipykernel) | Idle").await;
    run_cell(browser, 0, "answer = 6 * 7; answer").await;
    browser.find_soon(".jp-OutputArea-executeResult").await;
    assert_eq!(browser.text_of(".jp-OutputArea-executeResult .jp-OutputArea-output").await, "42");
    run_cell(browser, 1, MUCH).await;
    let shown = format!("document.querySelector('.jp-Notebook').textContent.includes('{LAST}')");
    browser.until("all of the big result is shown", async || evaluated(browser, &shown).await == true).await;

    browser.click(".jp-FileBrowser-toolbar [data-jp-item-name='uploader'] jp-button").await;
    browser.find_soon("#chooser").await.send_keys(file.to_str().unwrap()).await.unwrap();
    let name = file.file_name().unwrap();
    let came = tool.folder().join("work").join(name);
    let sent = std::fs::read(file).unwrap();
    wait_until("the file is there whole", || (std::fs::read(&came).ok()? == sent).then_some(()));

    browser.click(".jp-NotebookPanel-toolbar [data-jp-item-name='save'] jp-button").await;
    // It asks for a name, and has one in mind.
    browser.click(".jp-Dialog .jp-mod-accept").await;
    let results = wait_until("the notebook is saved with its results", || {
        let results = outputs(&saved(tool)?);
        results.iter().any(|result| result.contains(LAST)).then_some(results)
    });
    let list = "fetch('/api/contents?content=1').then((answer) => answer.json()).then((folder) =>\
                folder.content.map((file) => [file.name, file.type, file.mimetype, file.writable]).sort())";
    (evaluated(browser, list).await, results)
}

#[tokio::test(flavor = "multi_thread")]
async fn people_work_in_jupyterlab_as_without_the_wall_and_lose_its_kernels_with_their_session() {
    let tool = tools::jupyterlab(Jupyter::Socket);
    let builder = Sekisho::builder().cheap_hashes().set("second_factor.policy", "off").user("alice", &[]);
    let file = builder.folder().join("stock.bin");
    // More than the 1 MiB that goes up in one piece.
    let bytes: Vec<u8> = (0_u32..700_000).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    std::fs::write(&file, bytes).unwrap();
    let gate = builder.upstream(&format!("unix:{}", tool.folder().join("jupyter.sock").display())).start();

    // Its own guard against cross-site requests stands, which a token would switch off.
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    assert_eq!(alice.fetch("POST", "/api/contents", b"{}").status, 403);

    let browser = watching().await;
    browser.open(&gate.url("/lab/workspaces/fresh")).await;
    browser.sign_in("alice").await;
    let through_the_wall = work(&browser, &tool, &file).await;
    assert_eq!(through_the_wall.1[0], "42");
    let lines: Vec<&str> = through_the_wall.1[1].lines().collect();
    assert_eq!(lines.len(), 5000);
    assert!(through_the_wall.1[1].len() > 300_000 && lines[4999].starts_with(LAST));

    let ended = Instant::now();
    assert!(gate.cli(&["session", "end", "--user", "alice"]).status.success());
    let closed = "ended.some((close) => close.startsWith('1008 session ended /api/kernels/'))";
    browser.until("the kernel's WebSocket is closed", async || evaluated(&browser, closed).await == true).await;
    assert!(ended.elapsed() < Duration::from_secs(5), "{:?}", ended.elapsed());
    drop(browser);
    // The kernel itself runs on, whatever the page says of it.
    alice.sign_in_by_password_alone(&gate);
    let kernels = alice.request("GET", "/api/kernels", &format!("Referer: {}\r\n", gate.url("/lab")), b"");
    let kernels: Value = serde_json::from_slice(&kernels.body).unwrap();
    assert_eq!(kernels[0]["execution_state"], "idle", "{kernels}");

    // A visit without the wall comes to the same.
    const TOKEN: &str = "jupyters-own-token-8361";
    let tool = tools::jupyterlab(Jupyter::Token(TOKEN));
    let browser = watching().await;
    browser.open(&format!("{}/lab/workspaces/fresh?token={TOKEN}", tool.url())).await;
    assert_eq!(work(&browser, &tool, &file).await, through_the_wall);
}

/// On a port, with the token that sekisho has and people have not.
#[tokio::test(flavor = "multi_thread")]
async fn people_work_in_jupyterlab_by_a_token_of_sekishos() {
    const TOKEN: &str = "jupyters-own-token-2290";
    let tool = tools::jupyterlab(Jupyter::Token(TOKEN));
    let builder = Sekisho::builder().cheap_hashes().set("second_factor.policy", "off").user("alice", &[]);
    std::fs::write(builder.folder().join("token"), TOKEN).unwrap();
    let route = "{name: jupyter, upstream: UPSTREAM, upstream_auth: {bearer: {token_file: token}}}";
    let gate = builder.route(route, &tool.url()).start();

    let mut past = Conn::plain(tool.address());
    past.send(format!("GET /api/kernels HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", tool.address()));
    assert_eq!(past.response().status, 403, "nobody comes in without it");
    assert_ne!(Client::new(&gate).get("/api/kernels").status, 200, "nor through the wall by being there");

    let browser = watching().await;
    browser.open(&gate.url("/lab/workspaces/fresh")).await;
    browser.sign_in("alice").await;
    browser.click(".jp-LauncherCard[data-category='Notebook']").await;
    browser.see("(ipykernel) | Idle").await;
    run_cell(&browser, 0, "answer = 6 * 7; answer").await;
    browser.find_soon(".jp-OutputArea-executeResult").await;
    assert_eq!(browser.text_of(".jp-OutputArea-executeResult .jp-OutputArea-output").await, "42");
}
