//! gRPC through the wall (`protocol: http2`): a real tool and a real client, with calls of every kind, see of each other what they see
//! without it; the tool learns who is there; and a call lasts no longer than its session.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio_rustls::TlsConnector;

use crate::harness::fronts::Front;
use crate::harness::tls::{Authority, CertificateFiles};
use crate::harness::{
    Builder, Client, Conn, PASSWORD, PATIENCE, Process, Recorder, Sekisho, h2 as http2, poll, wait_until,
};

const HOST: &str = "app.test";
/// What the promise about ended sessions says.
const LIMIT: Duration = Duration::from_secs(5);

/// The Python that has gRPC.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let prepare = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/grpc/prepare");
        let output = Command::new(prepare).output().expect("tests/grpc/prepare can be run");
        assert!(output.status.success(), "{output:?}");
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    })
}

fn script(name: &str) -> Command {
    let mut command = Command::new(python());
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/grpc").join(name));
    command
}

/// A gRPC server that runs.
struct Tool {
    process: Process,
    port: u16,
    tls: bool,
}

impl Tool {
    fn start(certificate: Option<&CertificateFiles>) -> Self {
        let mut command = script("tool.py");
        if let Some(files) = certificate {
            command.args([&files.certificate, &files.key]);
        }
        let mut process = Process::start_group("tool.py", &mut command);
        let port = process.wait_for("the gRPC tool listens", |lines| {
            lines.iter().find_map(|line| line.strip_prefix("listens on ")?.parse().ok())
        });
        Self { process, port, tls: certificate.is_some() }
    }

    fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", if self.tls { "https" } else { "http" }, self.port)
    }

    fn has_said(&self, words: &str) -> bool {
        self.process.lines().iter().any(|line| line == words)
    }
}

fn builder() -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .tls(&[HOST])
        .set("server.tls.redirect_http", "false")
        .user("alice", &["--group", "ops"])
        .user("bob", &["--group", "ops"])
}

fn gate(tool: &Tool) -> Sekisho {
    let route = "{name: grpc, protocol: http2, timeouts: {read: 1s}, allow: {groups: [ops]}, upstream: UPSTREAM}";
    builder().user("carol", &[]).route(route, &tool.url()).start()
}

fn signed_in(gate: &Sekisho, login: &str) -> Client {
    let mut client = Client::tls(gate, HOST);
    client.give_password(login, PASSWORD);
    assert!(client.cookie("session").is_some(), "{login}");
    client
}

/// The gRPC client, through the wall, as somebody or as nobody.
fn through(gate: &Sekisho, client: Option<&Client>, arguments: &[&str]) -> Command {
    let authority = gate.folder().join("authority-for-grpc.pem");
    std::fs::write(&authority, gate.authority().pem()).unwrap();
    let cookie = client.map(|client| {
        let pairs: Vec<_> = client.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    });
    let mut command = script("client.py");
    command.arg(gate.tls_address().to_string()).arg(HOST).arg(authority);
    command.arg(cookie.as_deref().unwrap_or("-")).args(arguments);
    command
}

#[track_caller]
fn told(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn f30_calls_of_every_kind_come_through_the_wall_as_they_do_without_it() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    let certificate = authority.issue(folder.path(), &["127.0.0.1"]);
    let (plain, tls) = (Tool::start(None), Tool::start(Some(&certificate)));
    let mut straight = script("client.py");
    straight.args([&format!("127.0.0.1:{}", plain.port), HOST, "-", "-", "everything"]);
    let expected = told(&mut straight);
    assert_eq!(
        expected["fail"],
        json!({"code": "INVALID_ARGUMENT", "details": "no such thing: 茶 %", "trailers": [["why", "because"]]})
    );
    assert_eq!(expected["late"]["came"], json!(["one", "two"]));
    for (tool, more) in [
        (&plain, String::new()),
        (&tls, format!("upstream_tls: {{ca: '{}'}}, ", folder.path().join("ca.pem").display())),
    ] {
        let route = format!("{{name: grpc, protocol: http2, {more}upstream: UPSTREAM}}");
        let gate = builder().route(&route, &tool.url()).start();
        let alice = signed_in(&gate, "alice");
        assert_eq!(told(&mut through(&gate, Some(&alice), &["everything"])), expected, "{}", tool.url());
    }
}

#[test]
fn f31_the_tool_learns_who_calls_over_a_connection_that_everybody_shares() {
    let tool = Tool::start(None);
    let gate = gate(&tool);
    let mut ports = Vec::new();
    for login in ["alice", "bob", "alice"] {
        let client = signed_in(&gate, login);
        let answer = told(&mut through(&gate, Some(&client), &["unary", "Who", ""]));
        assert_eq!(answer["code"], "OK", "{answer}");
        let seen: Value = serde_json::from_str(answer["answer"].as_str().unwrap()).unwrap();
        let metadata: Vec<(String, String)> = serde_json::from_value(seen["metadata"].clone()).unwrap();
        let all = |name: &str| {
            metadata.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(all("remote-user"), [login]);
        assert_eq!(all("x-forwarded-proto"), ["https"]);
        assert_eq!((all("x-forwarded-user"), all("cookie")), (vec![], vec![]), "{metadata:?}");
        ports.push(seen["peer"].clone());
    }
    ports.dedup();
    assert_eq!(ports.len(), 1, "one connection is enough: {ports:?}");
}

#[test]
fn f33_who_is_not_signed_in_or_may_not_gets_a_status_that_grpc_has_a_name_for() {
    let tool = Tool::start(None);
    let gate = gate(&tool);
    let call = |client: Option<&Client>| told(&mut through(&gate, client, &["unary", "Who", ""]))["code"].clone();
    assert_eq!(call(None), "UNAUTHENTICATED");
    assert_eq!(call(Some(&signed_in(&gate, "carol"))), "PERMISSION_DENIED");
    let alice = signed_in(&gate, "alice");
    assert_eq!(call(Some(&alice)), "OK");
    alice.copy().sign_out();
    assert_eq!(call(Some(&alice)), "UNAUTHENTICATED", "an ended session");

    let request =
        http::Request::post(format!("https://{HOST}/shop.Admin/Who")).header("content-type", "application/grpc");
    let refused = http2::request(&gate, HOST, request.body(Bytes::from_static(&[0; 5])).unwrap());
    assert_eq!((refused.status, refused.json()["code"].clone()), (401, json!("login_required")));
}

#[test]
fn f30_over_http1_such_a_route_is_not_to_be_had_by_whoever_may_pass_and_tells_nobody_else_so() {
    let tool = Tool::start(None);
    let gate = gate(&tool);
    let alice = signed_in(&gate, "alice");
    let ask = |cookies: &str, more: &str| {
        let mut conn: Conn = alice.connect();
        conn.send(format!("GET /x HTTP/1.1\r\nHost: {HOST}\r\n{cookies}{more}\r\n"));
        conn.read_response(false).unwrap().status
    };
    let websocket = format!(
        "Connection: Upgrade\r\nUpgrade: websocket\r\nOrigin: https://{HOST}\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    for more in [
        "",
        "Content-Type: application/grpc\r\n",
        &websocket,
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n",
    ] {
        assert_eq!(ask(&alice.cookie_header(), more), 505, "{more}");
        assert_eq!(ask("", more), 401, "{more}");
    }
    assert_eq!(alice.copy().get("/.sekisho/account").status, 200);
}

#[test]
fn f35_a_call_ends_with_its_session_at_both_ends_and_nobody_elses_does() {
    let tool = Tool::start(None);
    let gate = gate(&tool);
    let begin = |login: &str| {
        let client = signed_in(&gate, login);
        let mut process = Process::start_group("client.py", &mut through(&gate, Some(&client), &["ticks", login]));
        process.wait_for("it ticks", |lines| lines.iter().any(|line| line.contains("10")).then_some(()));
        process
    };
    let bob = begin("bob");
    let cut = |what: &str, end: &dyn Fn()| {
        let mut alice = begin("alice");
        let over = || tool.process.lines().iter().filter(|line| *line == "ended alice").count();
        let before = over();
        end();
        let ended = Instant::now();
        assert!(poll(LIMIT, || (over() > before).then_some(())).is_some(), "{what}: it goes on at the tool");
        let said =
            alice.wait_for("the client is told", |lines| lines.iter().find(|line| line.contains("code")).cloned());
        assert!(said.contains("CANCELLED"), "{what}: {said}");
        assert!(ended.elapsed() < LIMIT, "{what}: {:?}", ended.elapsed());
    };
    let cli = |args: &[&str]| assert!(gate.cli(args).status.success(), "{args:?}");
    cut("its session is ended", &|| cli(&["session", "end", "--user", "alice"]));
    cut("the account leaves the group", &|| cli(&["user", "set", "alice", "--group", "none"]));
    cli(&["user", "set", "alice", "--group", "ops"]);
    cut("a configuration keeps it out", &|| {
        let route = format!("{{name: grpc, protocol: http2, allow: {{users: [bob]}}, upstream: '{}'}}", tool.url());
        gate.change("routes", &format!("[{route}]"));
        gate.reload();
    });
    assert!(!tool.has_said("ended bob"), "bob's call over the same connection");
    drop(bob);
    wait_until("a client that goes ends its call at the tool", || tool.has_said("ended bob").then_some(()));
}

#[test]
fn f30_either_side_of_a_call_may_be_silent_for_longer_than_an_answer_may_take() {
    let tool = Tool::start(None);
    let gate = gate(&tool);
    let alice = signed_in(&gate, "alice");
    let answer = told(&mut through(&gate, Some(&alice), &["unary", "Quiet", "2.5"]));
    assert_eq!((&answer["code"], &answer["answer"]), (&json!("OK"), &json!("at last")));
    let answer = told(&mut through(&gate, Some(&alice), &["wait", "2.5"]));
    assert_eq!((&answer["code"], &answer["answer"]), (&json!("OK"), &json!("10")));
}

#[test]
fn a_tool_that_does_not_speak_http2_is_out_of_reach_and_gets_no_request() {
    let recorder = Recorder::ok();
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    let front = Front::tls(&authority.issue(folder.path(), &["127.0.0.1"]), None, recorder.address());
    let tls = format!("upstream_tls: {{ca: '{}'}}, ", folder.path().join("ca.pem").display());
    for (url, more) in [(recorder.url(), String::new()), (front.url(), tls)] {
        let gate = builder().route(&format!("{{name: grpc, protocol: http2, {more}upstream: UPSTREAM}}"), &url).start();
        let alice = signed_in(&gate, "alice");
        let answer = told(&mut through(&gate, Some(&alice), &["unary", "Echo", "x"]));
        assert_eq!(answer["code"], "UNAVAILABLE", "{url}: {answer}");
    }
    let heads: Vec<_> = recorder.requests().into_iter().map(|request| request.line).collect();
    assert!(heads.iter().all(|line| matches!(line.as_str(), "PRI * HTTP/2.0" | "SM")), "{heads:?}");
}

/// Readers that take nothing, over a connection of theirs, hold up nobody whose calls share the connection to the tool.
#[test]
fn f30_who_reads_nothing_holds_up_nobody_else() {
    const STALLED: usize = 30;
    let tool = Tool::start(None);
    let gate = gate(&tool);
    let (alice, bob) = (signed_in(&gate, "alice"), signed_in(&gate, "bob"));
    let (config, address) = (gate.authority().client(&["h2"]), gate.tls_address());
    let cookies: Vec<String> = alice.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let (begun, begins) = std::sync::mpsc::channel();
    let (_stop, stopped) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
            let tls = TlsConnector::from(config).connect(ServerName::try_from(HOST).unwrap(), tcp).await.unwrap();
            let mut builder = ::h2::client::Builder::new();
            builder.initial_window_size(8);
            let (mut sender, connection) = builder.handshake::<_, Bytes>(tls).await.unwrap();
            tokio::spawn(connection);
            // A million bytes there, and as many back.
            let message = [&[0, 0, 0x0f, 0x42, 0x40][..], &[b'x'; 1_000_000]].concat();
            let mut kept = Vec::new();
            for _ in 0..STALLED {
                let mut request = http::Request::post(format!("https://{HOST}/shop.Admin/Echo"))
                    .header("content-type", "application/grpc")
                    .header("te", "trailers");
                for cookie in &cookies {
                    request = request.header("cookie", cookie);
                }
                std::future::poll_fn(|cx| sender.poll_ready(cx)).await.unwrap();
                let (response, mut body) = sender.send_request(request.body(()).unwrap(), false).unwrap();
                body.send_data(Bytes::from(message.clone()), true).unwrap();
                let response = response.await.unwrap();
                assert_eq!(response.status(), 200);
                kept.push(response.into_body());
            }
            begun.send(()).unwrap();
            let _ = stopped.await;
        });
    });
    begins.recv_timeout(PATIENCE).expect("all of them have begun");
    let answer = told(&mut through(&gate, Some(&bob), &["unary", "Echo", "through"]));
    assert_eq!((&answer["code"], &answer["answer"]), (&json!("OK"), &json!("through")));
}
