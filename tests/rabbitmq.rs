//! Debian's RabbitMQ behind the wall, as `docs/tools/rabbitmq.md` says: each account has a login of its own there that nobody types. In a
//! real browser its management pages do what they do without the wall, and RabbitMQ itself is asked what has come of it.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::harness::tools::{Tool, prepared, start_within};
use crate::harness::{Browser, Client, Conn, PASSWORD, Process, Response, Sekisho, free_address, poll, wait_until};

const SECRET: &str = "Broker-secret-63";
/// Erlang and the broker take half a minute where the machine is busy.
const START: Duration = Duration::from_secs(180);
const PAYLOAD: &str = "Order 7: 三 × \"blue\" & <b>bold</b>";

/// A broker with its management pages, a port mapper of its own, and no other listener.
struct Broker {
    tool: Tool,
    _port_mapper: Process,
}

impl Broker {
    fn start() -> Self {
        let root = prepared("rabbitmq");
        let erlang = root.join("usr/lib/erlang");
        let mapper = free_address();
        let epmd = std::fs::read_dir(&erlang).unwrap().map(|entry| entry.unwrap().path().join("bin/epmd"));
        let mut epmd = Command::new(epmd.into_iter().find(|path| path.exists()).expect("Erlang's epmd"));
        epmd.args(["-address", "127.0.0.1", "-port", &mapper.port().to_string()]);
        let port_mapper = Process::start("epmd", &mut epmd);
        wait_until("epmd listens", || std::net::TcpStream::connect(mapper).ok());
        let tool = start_within(START, "rabbitmq", |address, folder| {
            let folder = folder.path();
            let conf = format!(
                "listeners.tcp = none\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {}\n",
                address.port()
            );
            std::fs::write(folder.join("rabbitmq.conf"), conf).unwrap();
            std::fs::write(folder.join("plugins"), "[rabbitmq_management].").unwrap();
            let mut command = Command::new(root.join("usr/lib/rabbitmq/bin/rabbitmq-server"));
            let path = std::env::var("PATH").unwrap_or_default();
            command.env("PATH", format!("{}:{path}", erlang.join("bin").display())).env("HOME", folder);
            command.env("ERL_EPMD_PORT", mapper.port().to_string());
            command.env("RABBITMQ_DIST_PORT", free_address().port().to_string());
            command.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}");
            command.env("RABBITMQ_NODENAME", "rabbit@localhost").env("RABBITMQ_LOGS", "-");
            command.env("RABBITMQ_CONF_ENV_FILE", "/dev/null");
            for (variable, file) in [
                ("MNESIA_BASE", "data"),
                ("LOG_BASE", "log"),
                ("PID_FILE", "pid"),
                ("ENABLED_PLUGINS_FILE", "plugins"),
                ("CONFIG_FILE", "rabbitmq.conf"),
            ] {
                command.env(format!("RABBITMQ_{variable}"), folder.join(file));
            }
            command
        });
        let complete = |line: &String| line.contains("Server startup complete");
        poll(START, || tool.lines().iter().any(complete).then_some(())).expect("the broker starts");
        Self { tool, _port_mapper: port_mapper }
    }

    fn address(&self) -> SocketAddr {
        self.tool.address()
    }

    /// RabbitMQ's own API, past the wall.
    fn api(&self, user: (&str, &str), method: &str, path: &str, body: &Value) -> Response {
        let login = BASE64.encode(format!("{}:{}", user.0, user.1).as_bytes());
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let length = body.len();
        let mut conn = Conn::plain(self.address());
        conn.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ));
        conn.response()
    }

    fn add_user(&self, name: &str) {
        let guest = ("guest", "guest");
        let user = json!({"password": SECRET, "tags": "administrator"});
        assert_eq!(self.api(guest, "PUT", &format!("/api/users/{name}"), &user).status, 201);
        let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
        assert_eq!(self.api(guest, "PUT", &format!("/api/permissions/%2F/{name}"), &all).status, 201);
    }
}

/// Fills RabbitMQ's login form in.
async fn give(browser: &Browser, name: &str, password: &str) {
    browser.fill("#login input[name=username]", name).await;
    browser.fill("#login input[name=password]", password).await;
    browser.click("#login input[type=submit]").await;
}

/// A queue is made, a message published to it and got from it, with the mouse; hands back what the page shows of the message.
async fn work(browser: &Browser, queue: &str) -> String {
    browser.click("#tabs a[href='#/queues']").await;
    browser.click(".section-hidden:has(form[action='#/queues']) > h2").await;
    browser.fill("form[action='#/queues'] input[name=name]", queue).await;
    browser.click("form[action='#/queues'] input[type=submit]").await;
    browser.click(&format!("a[href='#/queues/%2F/{queue}']")).await;
    let publish = "form[action='#/exchanges/publish']";
    browser.click(&format!(".section-hidden:has({publish}) > h2")).await;
    browser.fill(&format!("{publish} textarea[name=payload]"), PAYLOAD).await;
    browser.click(&format!("{publish} input[type=submit]")).await;
    browser.see("Message published.").await;
    browser.click(".form-popup-info span").await;
    browser.click(".section-hidden:has(form[action='#/queues/get']) > h2").await;
    browser.click("form[action='#/queues/get'] input[type=submit]").await;
    browser.see("The server reported").await;
    // It slides open, and lines that are still below its edge count as not shown.
    browser.until("the message is all there", async || !browser.has("#msg-wrapper[style*=overflow]").await).await;
    browser.text_of("#msg-wrapper").await
}

#[tokio::test(flavor = "multi_thread")]
async fn people_work_in_rabbitmqs_pages_without_its_password() {
    let broker = Broker::start();
    ["alice-mq", "bob-mq"].iter().for_each(|name| broker.add_user(name));
    assert_eq!(
        broker.api(("anyone", "anything"), "GET", "/api/whoami", &Value::Null).status,
        401,
        "it asks for a login"
    );

    let gate = Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .user("alice", &[])
        .user("bob", &[])
        .route(
            "{name: rabbitmq, upstream: UPSTREAM, allow_encoded_slash: true, upstream_auth: {basic: {per_account: true}}}",
            &broker.tool.url(),
        )
        .start();
    gate.secrets().add(SECRET);
    for login in ["alice", "bob"] {
        let name = format!("{login}-mq");
        gate.secrets().add(&BASE64.encode(format!("{name}:{SECRET}").as_bytes()));
        let set = ["tool-login", "set", login, "--route", "rabbitmq", "--username", &name, "--password-stdin"];
        assert!(gate.cli_with_input(&set, &format!("{SECRET}\n")).status.success());
    }

    let browser = Browser::start().await;
    browser.open(&gate.url("/")).await;
    browser.sign_in("alice").await;
    // Its form comes all the same, as it comes before the pages ask anything; what is typed there does not count.
    give(&browser, "anyone", "anything").await;
    browser.see("User alice-mq").await;
    let behind = work(&browser, "behind").await;
    drop(browser);

    // With RabbitMQ's own word, and without the wall.
    let path = |queue: &str, rest: &str| format!("/api/queues/%2F/{queue}{rest}");
    let alice = ("alice-mq", SECRET);
    let read = json!({"count": 5, "ackmode": "ack_requeue_true", "encoding": "auto"});
    let messages = broker.api(alice, "POST", &path("behind", "/get"), &read).json();
    assert_eq!((messages.as_array().unwrap().len(), &messages[0]["payload"]), (1, &PAYLOAD.into()), "{messages}");
    let past = Browser::start().await;
    past.open(&broker.tool.url()).await;
    give(&past, "alice-mq", SECRET).await;
    past.see("User alice-mq").await;
    let direct = work(&past, "direct").await;
    assert!(behind.contains(PAYLOAD), "{behind}");
    assert_eq!(behind.replace("behind", "direct"), direct);

    // Each account is its own there, whatever is sent, and gets what it would get.
    let mut bob = Client::new(&gate);
    bob.give_password("bob", PASSWORD);
    for own in ["", "Authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n"] {
        assert_eq!(bob.request("GET", "/api/whoami", own, b"").json()["name"], "bob-mq", "{own}");
    }
    let ours = |answer: Response| {
        let queue = answer.json();
        [&queue["name"], &queue["vhost"], &queue["durable"], &queue["type"], &queue["arguments"]].map(Value::clone)
    };
    let (through, past) = (bob.get(&path("behind", "")), broker.api(alice, "GET", &path("behind", ""), &Value::Null));
    assert_eq!(ours(through), ours(past));
    // What the pages ask for with the login in the address (the broker's definitions, as a file) goes by what was typed, and is refused.
    let definitions = bob.get("/api/definitions?auth=YW55b25lOmFueXRoaW5n");
    assert_eq!(definitions.status, 502);
    assert!(definitions.text().contains("did not take the login"), "{}", definitions.text());
    assert_eq!(bob.get("/api/definitions").json()["product_name"], "RabbitMQ");
}
