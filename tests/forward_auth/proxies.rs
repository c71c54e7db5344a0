//! Debian's nginx and Caddy (PyPI), configured as `docs/forward-auth.md` says, word for word but for addresses and file names: in front of a
//! tool, asking sekisho about each request. They let in whom they should, and nobody by.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::{self, Message, client::IntoClientRequest};

use super::{HOST, IDENTITY, builder};
use crate::harness::{Client, Process, Recorder, Sekisho, tls::Authority, tools, wait_until};

/// The block of the page in this language.
fn documented(language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/forward-auth.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rest = page.split(&format!("```{language}\n")).nth(1).and_then(|rest| rest.split("```").next());
    rest.expect("the block").to_owned()
}

/// A proxy in front of a tool, which asks this gateway.
struct Front {
    address: SocketAddr,
    authority: Authority,
    _process: Process,
    _folder: TempDir,
}

impl Front {
    fn start(name: &'static str, mut configure: impl FnMut(SocketAddr, &Path, &Authority) -> Command) -> Self {
        let (authority, folder) = (Authority::new(), TempDir::with_prefix("sekisho-front-").unwrap());
        for _ in 0..5 {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let mut command = configure(address, folder.path(), &authority);
            let mut process = Process::start_group(name, &mut command);
            let answers = wait_until("the proxy answers", || match TcpStream::connect(address).is_ok() {
                true => Some(true),
                false => (!process.is_running()).then_some(false),
            });
            if answers && process.is_running() {
                return Self { address, authority, _process: process, _folder: folder };
            }
        }
        panic!("{name} does not start");
    }

    fn nginx(gate: &Sekisho, tool: &str) -> Self {
        Self::start("nginx", |address, folder, authority| {
            let files = authority.issue(folder, &[HOST]);
            let site = documented("nginx")
                .replace("listen 443 ssl", &format!("listen {address} ssl"))
                .replace("/etc/nginx/tool.example.com.pem", files.certificate.to_str().unwrap())
                .replace("/etc/nginx/tool.example.com.key", files.key.to_str().unwrap())
                .replace("http://127.0.0.1:8080", &format!("http://{}", gate.address()))
                .replace("http://127.0.0.1:9000", tool);
            let path = folder.display();
            let whole = format!(
                "daemon off; pid {path}/pid; error_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n\
                 client_body_temp_path {path}/body; proxy_temp_path {path}/proxy; fastcgi_temp_path {path}/fastcgi; \
                 uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;\n{site}}}\n"
            );
            let file = folder.join("nginx.conf");
            std::fs::write(&file, whole).unwrap();
            let mut command = Command::new("/usr/sbin/nginx");
            command.arg("-e").arg("stderr").arg("-p").arg(folder).arg("-c").arg(&file);
            command
        })
    }

    fn caddy(gate: &Sekisho, tool: &str) -> Self {
        Self::start("caddy", |address, folder, authority| {
            let files = authority.issue(folder, &[HOST]);
            let (certificate, key) = (files.certificate.display(), files.key.display());
            let head = format!("{HOST}:{} {{\n    bind 127.0.0.1\n    tls {certificate} {key}", address.port());
            let site = documented("caddy")
                .replacen("tool.example.com {", &head, 1)
                .replace("127.0.0.1:8080", &gate.address().to_string())
                .replace("127.0.0.1:9000", tool.trim_start_matches("http://"));
            let options = "{\n    admin off\n    persist_config off\n    auto_https disable_redirects\n    \
                           servers {\n        protocols h1 h2\n    }\n}\n";
            let file = folder.join("Caddyfile");
            std::fs::write(&file, format!("{options}{site}")).unwrap();
            let mut command = Command::new(caddy());
            command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
            for variable in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
                command.env(variable, folder);
            }
            command
        })
    }

    fn client(&self, gate: &Sekisho) -> Client {
        Client::through(gate, self.address, &self.authority, HOST)
    }
}

/// Caddy's program, from PyPI.
fn caddy() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let prepare = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/caddy/prepare");
        let output = Command::new(prepare).output().expect("tests/caddy/prepare can be run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "Caddy cannot be fetched (Debian's `python3-venv`, and PyPI): {said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}

const CLAIMS: &str = "Remote-User: root\r\nRemote-Groups: root\r\nRemote-Email: root\r\nRemote-Name: root\r\n";

/// A day with the tool behind a proxy that asks.
fn people_and_machines_pass_and_nobody_else(front: impl Fn(&Sekisho, &str) -> Front) {
    let tool = Recorder::ok();
    let mut gate = builder(&tool.url()).start();
    let front = front(&gate, &tool.url());
    let token = gate.cli_json(&["token", "add", "deploy", "--route", "ops", "--expires", "90d"]);
    let token = token["token"].as_str().unwrap().to_owned();
    gate.secrets().add(&token);
    let seen_by_the_tool = || {
        let seen = tool.last();
        let head = String::from_utf8_lossy(&seen.head).into_owned();
        assert!(!head.contains("root") && !head.contains("sekisho-") && !head.contains(&token[4..]), "{head}");
        seen
    };

    // Nobody.
    let mut alice = front.client(&gate);
    let away = alice.get("/orders?page=2&x=%2F");
    let login = "/.sekisho/login?return_to=%2Forders%3Fpage%3D2%26x%3D%252F";
    assert_eq!((away.status, away.header("location")), (303, Some(login)), "{}", away.text());
    let script = alice.fetch("GET", "/orders", b"");
    assert_eq!((script.status, script.header("location")), (401, None));
    assert_eq!(script.json()["code"], "login_required");
    let form = "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    let posted = alice.request("POST", "/orders", form, b"lost=1");
    assert_eq!((posted.status, posted.header("location")), (401, None), "{}", posted.text());
    assert!(tool.requests().is_empty());
    // A public route, with somebody's claims.
    let open = alice.request("GET", "/open/x", CLAIMS, b"");
    assert_eq!(open.status, 200, "{}", open.text());
    assert!(IDENTITY.iter().all(|name| seen_by_the_tool().header(name).is_none_or(str::is_empty)));

    // Alice.
    alice.sign_in(&gate, "alice", None);
    assert!(alice.cookies.contains_key("__Host-sekisho-session"), "it came by HTTPS: {:?}", alice.cookies.keys());
    alice.cookies.insert("tool".to_owned(), "1".to_owned());
    let forged = format!("{CLAIMS}Remote_User: root\r\nremote_groups: root\r\nAuthorization: Basic dTpw\r\n");
    let answer = alice.request("POST", "/orders/a%20b?x=%2F", &forged, &[b'x'; 300_000]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = seen_by_the_tool();
    assert_eq!((seen.target(), seen.body.len()), ("/orders/a%20b?x=%2F", 300_000));
    assert_eq!((seen.header("remote-user"), seen.header("remote-groups")), (Some("alice"), Some("staff")));
    assert_eq!((seen.header("cookie"), seen.header("authorization")), (Some("tool=1"), Some("Basic dTpw")));
    let sessions = gate.cli_json(&["session", "list", "--user", "alice"]);
    assert_eq!(sessions[0]["address"], "127.0.0.1");
    let elsewhere = "X-Original-URI: /open\r\nX-Original-Method: HEAD\r\nX-Original-URL: https://x.test/open\r\n\
                     X-Forwarded-Uri: /open\r\nX-Forwarded-Method: HEAD\r\nX-Forwarded-Host: x.test\r\nX-Forwarded-For: 10.0.0.1\r\n";
    assert_eq!(alice.request("GET", "/orders", elsewhere, b"").status, 200, "as if nothing had been said");
    assert_eq!(alice.request("GET", "/ops", elsewhere, b"").status, 403);

    // What is not for her, however she spells it.
    let asked = tool.requests().len();
    for path in [
        "/ops",
        "/ops/x",
        "/shut",
        "/open/../ops",
        "/open/%2e%2e/ops",
        "/open/..%2fops",
        "//ops",
        "/open/..;/ops",
        "/open/%2e%2e%3b/ops",
        "/%6fps",
    ] {
        let answer = alice.request("GET", path, "", b"");
        assert!(matches!(answer.status, 400 | 403 | 404), "{path}: {}", answer.status);
    }
    assert_eq!(alice.request("POST", "/doc/1", "", b"x").status, 403);
    for path in
        ["/.sekisho/auth", "/.sekisho/auth?redirect=1", "/.sekisho/%61uth", "/x/../.sekisho/auth", "/.sekisho//auth"]
    {
        let answer = alice.request("GET", path, elsewhere, b"");
        assert!(matches!(answer.status, 400 | 403 | 404), "{path}: {}", answer.status);
        assert!(IDENTITY.iter().all(|name| answer.header(name).is_none()), "{path}");
    }
    assert_eq!(alice.request("GET", "/orders", "X-WEBAUTH-USER: root\r\n", b"").status, 403);
    assert_eq!(tool.requests().len(), asked, "none of that reached the tool");

    // A machine.
    let mut machine = front.client(&gate);
    let shows = format!("Authorization: Bearer {token}\r\n{CLAIMS}");
    assert_eq!(machine.request("GET", "/ops/export", &shows, b"").status, 200);
    let seen = seen_by_the_tool();
    assert_eq!(seen.header("remote-user"), Some("token:deploy"));
    assert!(seen.header("authorization").is_none_or(str::is_empty));
    assert_eq!(machine.request("GET", "/orders", &shows, b"").status, 403);
    assert_eq!(machine.request("GET", "/ops", "Authorization: Bearer skt_x\r\n", b"").status, 401);

    // The end.
    assert!(gate.cli(&["session", "end", "--user", "alice"]).status.success());
    assert_eq!(alice.get("/orders").status, 303);
    // Nobody passes while sekisho cannot say who may.
    let asked = tool.requests().len();
    gate.stop();
    let answer = machine.request("GET", "/open/x", "", b"");
    assert!(answer.status >= 500, "{}", answer.status);
    assert_eq!(tool.requests().len(), asked);
}

fn a_websocket_passes(front: impl Fn(&Sekisho, &str) -> Front) {
    let tool = tools::WebSocketEcho::start();
    let gate = builder(&tool.url()).start();
    let front = front(&gate, &tool.url());
    let mut alice = front.client(&gate);
    alice.sign_in_by_password_alone(&gate);
    let open = |origin: &str| {
        let tcp = TcpStream::connect(front.address).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        let stream = StreamOwned::new(ClientConnection::new(front.authority.client(&["http/1.1"]), name).unwrap(), tcp);
        let mut request = format!("wss://{HOST}/ticks").into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        let cookies = alice.cookie_header();
        request.headers_mut().insert("cookie", cookies.trim().strip_prefix("Cookie: ").unwrap().parse().unwrap());
        tungstenite::client(request, stream).ok()
    };
    let (mut socket, _) = open(&format!("https://{HOST}")).expect("the WebSocket opens");
    for round in 0..5 {
        let message = Message::text(format!("{round} 関所"));
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message);
    }
    assert!(open("https://evil.test").is_none(), "another site's page opens none");
}

#[test]
fn behind_nginx_that_asks_people_and_machines_pass_and_nobody_else() {
    people_and_machines_pass_and_nobody_else(Front::nginx);
}

#[test]
fn behind_caddy_that_asks_people_and_machines_pass_and_nobody_else() {
    people_and_machines_pass_and_nobody_else(Front::caddy);
}

#[test]
fn a_websocket_passes_nginx_that_asks() {
    a_websocket_passes(Front::nginx);
}

#[test]
fn a_websocket_passes_caddy_that_asks() {
    a_websocket_passes(Front::caddy);
}
