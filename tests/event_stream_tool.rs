//! Nchan (Debian's nginx with its module) behind the wall, set up as `docs/tools/nchan.md` says, word for word but for addresses and times:
//! in a real browser its events come when they come without the wall, and the stream ends with the session.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::tools::{Tool, start_on_free_port};
use crate::harness::{Browser, Client, Conn, Response, Sekisho, free_address, poll, wait_until};

/// Within which a stream ends after its session.
const LIMIT: Duration = Duration::from_secs(5);

/// The first block of this kind on the page.
fn documented(kind: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tools/nchan.md");
    let page = std::fs::read_to_string(page).unwrap();
    let block = page.split(&format!("```{kind}\n")).nth(1).and_then(|rest| rest.split("```").next());
    block.unwrap_or_else(|| panic!("a block of {kind}")).to_owned()
}

/// What the page shows and counts besides what the documentation has it do.
fn page() -> String {
    format!(
        "<!doctype html><pre id=all></pre><script>\n\
         const came = []; let opened = 0, pings = 0;\n\
         const show = (text) => {{ came.push(Date.now()); document.getElementById('all').textContent += `[${{text}}]`; }};\n\
         {}\n\
         source.addEventListener('open', () => opened += 1);\n\
         source.addEventListener('ping', () => pings += 1);\n\
         source.addEventListener('error', () => sessionStorage.cut ??= Date.now());\n</script>",
        documented("js"),
    )
}

struct Nchan {
    tool: Tool,
    publish: SocketAddr,
}

impl Nchan {
    fn start() -> Self {
        let publish = free_address();
        let tool = start_on_free_port("nginx with Nchan", |address, folder| {
            let path = folder.path().display();
            let site = documented("nginx")
                .replace("127.0.0.1:8090", &address.to_string())
                .replace("127.0.0.1:8091", &publish.to_string())
                .replace("/srv/notices", &format!("{path}/site"))
                .replace("ping_interval 25s", "ping_interval 1s");
            let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|kind| format!("{kind}_temp_path {path}/{kind}; "))
                .concat();
            let whole = format!(
                "load_module /usr/lib/nginx/modules/ngx_nchan_module.so;\ndaemon off; pid {path}/pid; error_log stderr;\n\
                 events {{}}\nhttp {{ access_log off; types {{ text/html html; }} charset utf-8; {temporary}\n{site}}}\n"
            );
            std::fs::create_dir(folder.path().join("site")).unwrap();
            std::fs::write(folder.path().join("site/index.html"), page()).unwrap();
            std::fs::write(folder.path().join("nginx.conf"), whole).unwrap();
            let mut command = Command::new("/usr/sbin/nginx");
            command.args(["-e", "stderr", "-p"]).arg(folder.path()).arg("-c").arg(folder.path().join("nginx.conf"));
            command
        });
        Self { tool, publish }
    }

    /// Past the wall; what Nchan says of the channel.
    fn ask(&self, method: &str, body: &str) -> Value {
        let mut conn = Conn::plain(self.publish);
        let length = body.len();
        conn.send(format!(
            "{method} /publish HTTP/1.1\r\nHost: x\r\nAccept: text/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ));
        conn.response().json()
    }

    fn publish(&self, text: &str) {
        assert_eq!(self.ask("POST", text)["subscribers"], 2, "{text}");
    }

    /// How many streams are open.
    fn open(&self) -> u64 {
        self.ask("GET", "")["subscribers"].as_u64().unwrap()
    }

    /// To a script of another site.
    fn asked_from(&self, origin: &str) -> Response {
        let mut conn = Conn::plain(self.tool.address());
        conn.send(format!("GET /events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nOrigin: {origin}\r\n\r\n"));
        conn.read_head().expect("an answer")
    }
}

async fn ask(browser: &Browser, script: &str) -> Value {
    browser.execute(&format!("return {script}"), Vec::new()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_nchan_come_at_once_and_end_with_the_session() {
    let nchan = Nchan::start();
    let gate = Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .user("alice", &[])
        .route("{name: notices, upstream: UPSTREAM, idle_exempt: [/events], timeouts: {read: 6s}}", &nchan.tool.url())
        .start();

    // The same page twice, each in a window that is seen: through the wall, and past it.
    let browser = Browser::start().await;
    let behind = browser.window().await.unwrap();
    browser.open(&gate.url("/")).await;
    browser.sign_in("alice").await;
    let past = browser.new_window(false).await.unwrap().handle;
    browser.switch_to_window(past.clone()).await.unwrap();
    browser.open(&nchan.tool.url()).await;
    wait_until("both streams are open", || (nchan.open() == 2).then_some(()));

    // Each is published when the one before it has come: nothing that follows can push it on.
    let events: Vec<String> = (0..9).map(|number| format!("Notice {number}: 三 < \"4\" & so on")).collect();
    for event in &events {
        nchan.publish(event);
        for window in [&behind, &past] {
            browser.switch_to_window(window.clone()).await.unwrap();
            browser.see(&format!("[{event}]")).await;
        }
    }
    let (shown_past, came_past) = (browser.text_of("#all").await, ask(&browser, "came").await);
    browser.switch_to_window(behind.clone()).await.unwrap();
    assert_eq!(browser.text_of("#all").await, shown_past);
    assert_eq!(shown_past, events.iter().map(|event| format!("[{event}]")).collect::<String>());
    let came = ask(&browser, "came").await;
    let times = |list: &Value| list.as_array().unwrap().iter().map(|time| time.as_i64().unwrap()).collect::<Vec<_>>();
    let mut later: Vec<i64> = times(&came).iter().zip(times(&came_past)).map(|(behind, past)| behind - past).collect();
    later.sort_unstable();
    assert!(later[later.len() / 2] < 200, "later than past the wall, in ms: {later:?}");

    // With Nchan's pings it outlasts the time for which a tool may be silent.
    let pinged = "const [done] = arguments, wanted = pings + 8; const look = () => pings < wanted ? setTimeout(look, 50) : done(); look();";
    browser.execute_async(pinged, Vec::new()).await.expect("pings come");
    assert_eq!(ask(&browser, "[opened, sessionStorage.cut]").await, json!([1, null]), "one stream all the time");

    // Logged out in another window: the tool's end closes, and nobody else's; the page sees it and leads to the login.
    let third = browser.new_window(false).await.unwrap().handle;
    browser.switch_to_window(third).await.unwrap();
    browser.open(&gate.url("/.sekisho/logout")).await;
    let clicked = ask(&browser, "Date.now()").await.as_i64().unwrap();
    let start = Instant::now();
    browser.click("main form button[type=submit]").await;
    assert_eq!(
        poll(LIMIT.saturating_sub(start.elapsed()), || (nchan.open() == 1).then_some(())),
        Some(()),
        "cut at the tool"
    );
    browser.switch_to_window(behind).await.unwrap();
    browser.arrive("/.sekisho/login").await;
    let cut: i64 = ask(&browser, "sessionStorage.cut").await.as_str().expect("it was cut").parse().unwrap();
    assert!((0..=5000).contains(&(cut - clicked)), "cut at the browser after {} ms", cut - clicked);
    assert_eq!(nchan.ask("POST", "Said meanwhile")["subscribers"], 1, "the stream past the wall goes on");
    assert!(!browser.text().await.contains("Said meanwhile"));
    let anew = Client::new(&gate).request("GET", "/events", "Accept: text/event-stream\r\n", b"");
    assert_eq!(anew.status, 401);
    browser.sign_in("alice").await;
    browser.see("[Said meanwhile]").await;

    // Scripts of other sites are not given them, as the page says.
    assert_eq!(nchan.asked_from("https://notices.example.com").status, 200);
    assert_eq!(nchan.asked_from("https://elsewhere.example").status, 403);
}
