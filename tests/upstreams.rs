//! Several upstreams for a route, and how they are reached: by weight and health, over TLS and Unix sockets, within limits; and that
//! nothing is ever done twice.

use std::io::Write;
use std::net::Shutdown;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::harness::fronts::{Front, Unanswered, refused};
use crate::harness::tls::{Authority, CertificateFiles};
use crate::harness::{Builder, Conn, Recorder, Response, Sekisho, wait_until};

const SECOND: &str = "timeouts: {connect: 1s, read: 1s, write: 1s}";

/// A gateway that is open to everybody, with one route: what matters here is behind it.
fn open(route: &str) -> Builder {
    route_of(Sekisho::builder(), "all", "/", route)
}

fn route_of(gate: Builder, name: &str, path: &str, rest: &str) -> Builder {
    gate.route(&format!("{{name: {name}, path: {path}, access: public, {rest}}}"), "")
}

/// The gateway, which must not serve an empty store.
fn start(builder: Builder) -> Sekisho {
    builder.user("keeper", &["--role", "admin"]).start()
}

/// `upstreams: […]`, each of weight 1.
fn upstreams(urls: &[String]) -> String {
    let items: Vec<_> = urls.iter().map(|url| format!("{{url: '{url}'}}")).collect();
    format!("upstreams: [{}]", items.join(", "))
}

fn ask(gate: &Sekisho, method: &str, path: &str, body: &[u8]) -> Response {
    let mut conn = Conn::plain(gate.address());
    let head = format!("{method} {path} HTTP/1.1\r\nHost: tool.test\r\nContent-Length: {}\r\n\r\n", body.len());
    let _ = conn.try_send(&[head.as_bytes(), body].concat());
    conn.read_response(method == "HEAD").expect("an answer")
}

fn get(gate: &Sekisho) -> u16 {
    ask(gate, "GET", "/", b"").status
}

/// Log lines that say this, as their JSON.
fn said(gate: &Sekisho, message: &str) -> Vec<Json> {
    let lines = gate.logs();
    let lines = lines.iter().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    lines.filter(|line| line.to_string().contains(message)).collect()
}

/// The same once there are so many: lines are read a moment later than answers.
#[track_caller]
fn said_so_often(gate: &Sekisho, count: usize, message: &str) -> Vec<Json> {
    wait_until(message, || Some(said(gate, message)).filter(|lines| lines.len() >= count))
}

/// Reads each request and closes without a word.
fn closes() -> Recorder {
    Recorder::with(|_, stream| {
        let _ = stream.shutdown(Shutdown::Both);
        false
    })
}

/// Answers `/health` by whether this folder has a file `well`, everything else with 200.
fn with_health(file: &Path) -> Recorder {
    let file = file.to_owned();
    Recorder::with(move |request, stream| {
        let ill = request.target() == "/health" && !file.exists();
        let status = if ill { "503 Service Unavailable" } else { "200 OK" };
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok").is_ok()
    })
}

fn served(recorder: &Recorder) -> usize {
    recorder.requests().iter().filter(|request| request.target() != "/health").count()
}

#[test]
fn requests_are_shared_by_weight_and_none_goes_to_a_weight_of_zero() {
    let (three, one, none) = (Recorder::ok(), Recorder::ok(), Recorder::ok());
    let list = format!(
        "upstreams: [{{url: '{}', weight: 3}}, {{url: '{}'}}, {{url: '{}', weight: 0}}]",
        three.url(),
        one.url(),
        none.url()
    );
    let gate = start(open(&list));
    assert!((0..200).all(|_| get(&gate) == 200));
    let (three, one) = (served(&three), served(&one));
    assert!(three.abs_diff(150) <= 4 && one.abs_diff(50) <= 4, "{three}, {one}");
    assert_eq!(none.bytes(), 0);
}

#[test]
fn what_cannot_be_reached_is_asked_for_elsewhere_whatever_the_method_and_then_left_out() {
    let well = Recorder::ok();
    let gate = start(open(&upstreams(&[refused(), well.url()])));
    for turn in 0..40 {
        let method = ["GET", "POST", "DELETE"][turn % 3];
        assert_eq!(ask(&gate, method, "/", b"once").status, 200);
    }
    assert_eq!(served(&well), 40, "each of them once");
    let left_out = said_so_often(&gate, 1, "an upstream is left out for a while");
    assert_eq!(left_out.len(), 1, "one line for the change, none for each failure: {left_out:?}");
    assert!(said(&gate, "a request could not be served").is_empty());
}

#[test]
fn what_broke_off_is_sent_again_where_it_changes_nothing_and_never_else() {
    let (closing, well) = (closes(), Recorder::ok());
    let gate = start(open(&upstreams(&[closing.url(), well.url()])));
    let mut twice = 0;
    for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"] {
        // One of two in a row comes to the one that closes.
        for _ in 0..2 {
            let before = closing.requests().len() + served(&well);
            let met_closing = closing.requests().len();
            let status = ask(&gate, method, "/", b"").status;
            let copies = closing.requests().len() + served(&well) - before;
            let closed = closing.requests().len() > met_closing;
            if matches!(method, "GET" | "HEAD" | "OPTIONS") {
                assert_eq!((status, copies), (200, 1 + usize::from(closed)), "{method}");
                twice += copies - 1;
            } else {
                assert_eq!((status, copies), (if closed { 502 } else { 200 }, 1), "{method}");
            }
        }
    }
    assert!(twice > 0, "some were sent again");
}

#[test]
fn a_single_upstream_that_closes_is_asked_once() {
    let closing = closes();
    let gate = start(open(&format!("upstream: '{}'", closing.url())));
    for method in ["GET", "POST"] {
        assert_eq!(ask(&gate, method, "/", b"x").status, 502);
    }
    assert_eq!(closing.requests().len(), 2);
    wait_until("both are told of", || (said(&gate, "a request could not be served").len() == 2).then_some(()));
}

#[test]
fn a_body_that_is_sent_again_is_the_same_and_counts_once_for_max_body() {
    let (closing, well) = (closes(), Recorder::ok());
    let gate = start(open(&format!("max_body: 1KiB, {}", upstreams(&[closing.url(), well.url()]))));
    let body = [b'x'; 700];
    for _ in 0..2 {
        assert_eq!(ask(&gate, "GET", "/", &body).status, 200);
    }
    assert!(!closing.requests().is_empty());
    assert!(well.requests().iter().all(|request| request.body == body));
    // Announced or not, too much is refused.
    assert_eq!(ask(&gate, "POST", "/", &[b'x'; 1025]).status, 413);
    let mut conn = Conn::plain(gate.address());
    let chunk = format!("258\r\n{}\r\n", "x".repeat(600));
    let head = "POST / HTTP/1.1\r\nHost: tool.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let _ = conn.try_send(format!("{head}{chunk}{chunk}0\r\n\r\n").as_bytes());
    assert_eq!(conn.response().status, 413);
}

#[test]
fn an_upstream_that_is_not_healthy_gets_nothing_until_it_is_well_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("well");
    let (ill, well) = (with_health(&file), Recorder::ok());
    let check = "health_check: {path: /health, interval: 1s}, identity: {headers: {X-Who: nobody}}";
    let gate = start(open(&format!("{check}, {}", upstreams(&[ill.url(), well.url()]))));
    wait_until("the first check says it", || (!said(&gate, "an upstream is not healthy").is_empty()).then_some(()));
    let before = served(&ill);
    assert!((0..20).all(|_| get(&gate) == 200));
    assert_eq!(served(&ill), before);

    let check = ill.requests().into_iter().find(|request| request.target() == "/health").unwrap();
    assert!(check.line.starts_with("GET /health HTTP/1.1"), "{}", check.line);
    assert_eq!(check.header("host"), Some(ill.address().to_string().as_str()));
    for name in ["x-who", "remote-user", "cookie", "x-forwarded-for", "authorization"] {
        assert_eq!(check.header(name), None, "{name}");
    }

    std::fs::write(&file, "").unwrap();
    wait_until("it is well again", || (!said(&gate, "an upstream is healthy again").is_empty()).then_some(()));
    assert!((0..20).all(|_| get(&gate) == 200));
    assert!(served(&ill) >= before + 8, "{}", served(&ill));
    assert_eq!(said(&gate, "an upstream is not healthy").len(), 1);
}

#[test]
fn where_none_is_healthy_all_are_tried() {
    let nowhere = Path::new("/nonexistent/well");
    let (one, other) = (with_health(nowhere), with_health(nowhere));
    let check = "health_check: {path: /health, interval: 1s}";
    let gate = start(open(&format!("{check}, {}", upstreams(&[one.url(), other.url()]))));
    wait_until("both are not healthy", || (said(&gate, "an upstream is not healthy").len() == 2).then_some(()));
    assert!((0..20).all(|_| get(&gate) == 200));
    assert!(served(&one) > 0 && served(&other) > 0);
}

#[test]
fn slow_connections_do_not_add_up() {
    let slow: Vec<_> = (0..5).map(|_| Unanswered::start()).collect();
    let urls: Vec<_> = slow.iter().map(Unanswered::url).collect();
    let gate = start(open(&format!("{SECOND}, {}", upstreams(&urls))));
    let begun = Instant::now();
    assert_eq!(get(&gate), 504);
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn each_timeout_ends_in_a_504() {
    let (unanswered, silent) = (Unanswered::start(), Recorder::silent());
    // Takes connections and reads nothing.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf_url = format!("http://{}", deaf.local_addr().unwrap());
    let gate =
        route_of(Sekisho::builder(), "connect", "/connect", &format!("{SECOND}, upstream: '{}'", unanswered.url()));
    let gate = route_of(gate, "read", "/read", &format!("{SECOND}, upstream: '{}'", silent.url()));
    let gate = start(route_of(gate, "write", "/write", &format!("{SECOND}, upstream: '{deaf_url}'")));
    for path in ["/connect", "/read"] {
        let begun = Instant::now();
        assert_eq!(ask(&gate, "GET", path, b"").status, 504, "{path}");
        assert!(begun.elapsed() < Duration::from_secs(4), "{path}: {:?}", begun.elapsed());
    }
    let begun = Instant::now();
    assert_eq!(ask(&gate, "POST", "/write", &vec![0; 24 << 20]).status, 504);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// An authority, and a folder with its certificate and those that it has signed.
struct Pki {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Pki {
    fn new() -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        Self { folder, authority }
    }

    fn ca(&self) -> String {
        format!("ca: '{}'", self.folder.path().join("ca.pem").display())
    }

    fn issue(&self, names: &[&str]) -> CertificateFiles {
        self.authority.issue(self.folder.path(), names)
    }

    fn shown(&self, names: &[&str]) -> String {
        let files = self.issue(names);
        format!("certificate: '{}', key: '{}'", files.certificate.display(), files.key.display())
    }
}

/// Routes `/0`, `/1`, … to one https upstream, each with its own `upstream_tls`.
fn tls_gate(url: &str, settings: &[String]) -> Sekisho {
    let mut gate = Sekisho::builder();
    for (index, settings) in settings.iter().enumerate() {
        let rest = format!("upstream: '{url}', upstream_tls: {{{settings}}}");
        gate = route_of(gate, &format!("r{index}"), &format!("/{index}"), &rest);
    }
    start(gate)
}

#[test]
fn an_upstreams_certificate_is_always_verified() {
    let (pki, other, behind) = (Pki::new(), Pki::new(), Recorder::ok());
    let front = Front::tls(&pki.issue(&["tool.internal", "127.0.0.1"]), None, behind.address());
    let gate = tls_gate(
        &front.url(),
        &[
            pki.ca(),
            format!("{}, server_name: tool.internal", pki.ca()),
            // Another authority, another name, the machine's authorities.
            other.ca(),
            format!("{}, server_name: other.internal", pki.ca()),
            String::new(),
        ],
    );
    let statuses: Vec<_> = (0..5).map(|index| ask(&gate, "GET", &format!("/{index}"), b"").status).collect();
    assert_eq!(statuses, [200, 200, 502, 502, 502]);
    assert_eq!(behind.requests().len(), 2, "nothing was sent where the certificate is not right");
    let log = said_so_often(&gate, 3, "a request could not be served");
    assert_eq!(log.len(), 3);
    assert!(log.iter().all(|line| line.to_string().contains("invalid peer certificate")), "{log:?}");
}

#[test]
fn a_connection_is_never_shared_between_routes_with_other_tls_settings() {
    let (pki, other, behind) = (Pki::new(), Pki::new(), Recorder::ok());
    let front = Front::tls(&pki.issue(&["127.0.0.1"]), None, behind.address());
    let both = pki.folder.path().join("both.pem");
    std::fs::write(&both, [pki.authority.pem(), other.authority.pem()].concat()).unwrap();
    let gate = tls_gate(
        &front.url(),
        &[
            pki.ca(),
            // The same setting again: may share.
            pki.ca(),
            other.ca(),
            format!("ca: '{}'", both.display()),
            format!("{}, {}", pki.ca(), pki.shown(&["client.test"])),
            format!("{}, {}", pki.ca(), other.shown(&["client.test"])),
        ],
    );
    let setting = |path| if path == "/1" { "/0" } else { path };
    let (mut settings, mut answered) = (std::collections::HashMap::new(), 0);
    for path in ["/0", "/1", "/0", "/2", "/3", "/4", "/5"].repeat(5) {
        let expected = if path == "/2" { 502 } else { 200 };
        assert_eq!(ask(&gate, "GET", path, b"").status, expected, "{path}");
        if expected == 200 {
            answered += 1;
            let connection = behind.last().connection;
            let first = settings.entry(connection).or_insert_with(|| setting(path));
            assert_eq!(*first, setting(path), "connection {connection} is of another setting");
        }
    }
    // An answer may be read a moment before its connection is back in the pool.
    assert!(settings.len() <= answered / 2, "connections are used again: {} for {answered} requests", settings.len());
}

#[test]
fn an_upstream_that_asks_for_a_certificate_gets_it() {
    let (pki, behind) = (Pki::new(), Recorder::ok());
    let front = Front::tls(&pki.issue(&["127.0.0.1"]), Some(&pki.authority), behind.address());
    let shown = pki.shown(&["client.test"]);
    let gate = tls_gate(&front.url(), &[format!("{}, {shown}", pki.ca()), pki.ca()]);
    assert_eq!(ask(&gate, "POST", "/0", b"x").status, 200);
    assert_eq!(ask(&gate, "GET", "/1", b"").status, 502);
    assert_eq!(behind.requests().len(), 1);
}

#[test]
fn a_self_signed_certificate_can_be_its_own_authority_and_health_is_asked_for_over_the_same_tls() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["tool.internal".to_owned()]).unwrap();
    let files = CertificateFiles { certificate: folder.path().join("tool.pem"), key: folder.path().join("tool.key") };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let behind = Recorder::ok();
    let front = Front::tls(&files, None, behind.address());
    let gate = start(open(&format!(
        "upstream: '{}', health_check: {{path: /health, interval: 1s}}, upstream_tls: {{ca: '{}', server_name: tool.internal}}",
        front.url(),
        files.certificate.display()
    )));
    assert_eq!(get(&gate), 200);
    wait_until("health is asked for", || behind.requests().iter().any(|r| r.target() == "/health").then_some(()));
    assert!(said(&gate, "an upstream is not healthy").is_empty());
}

#[test]
fn a_machine_without_authorities_is_told_of_where_an_https_upstream_needs_them_and_nowhere_else() {
    let pki = Pki::new();
    let empty = pki.folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for (rest, fits) in [
        ("upstream: 'https://a.test'".to_owned(), false),
        ("upstream: 'http://a.test'".to_owned(), true),
        (format!("upstream: 'https://a.test', upstream_tls: {{{}}}", pki.ca()), true),
    ] {
        let gate = open(&rest).write_only();
        gate.make_key();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho"));
        command.args(["check", "--config"]).arg(gate.config());
        let output = command.env("SSL_CERT_FILE", &empty).env_remove("SSL_CERT_DIR").output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.success(), fits, "{rest}: {text}");
        assert_eq!(text.contains("this machine has no list of certification authorities"), !fits, "{text}");
    }
}

/// A WebSocket's handshake and a few bytes there and back.
fn talks(gate: &Sekisho, path: &str) {
    for _ in 0..10 {
        let mut conn = Conn::plain(gate.address());
        conn.send(format!(
            "GET {path} HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            gate.address()
        ));
        assert_eq!(conn.read_head().expect("the handshake is answered").status, 101);
        conn.send("as it came");
        assert_eq!(conn.take(10), b"as it came");
    }
}

#[test]
fn a_unix_socket_serves_requests_and_websockets() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, echo) = (Recorder::ok(), Recorder::echo());
    let tool = Front::unix(&folder.path().join("tool.sock"), plain.address());
    let talk = Front::unix(&folder.path().join("talk.sock"), echo.address());
    let gate = route_of(Sekisho::builder(), "tool", "/", &format!("preserve_host: false, upstream: '{}'", tool.url()));
    let gate = route_of(gate, "talk", "/talk", &format!("upstream: '{}'", talk.url()));
    let gone = format!("{SECOND}, upstream: 'unix:{}'", folder.path().join("gone.sock").display());
    let gate = start(route_of(gate, "gone", "/gone", &gone));
    for _ in 0..5 {
        assert_eq!(ask(&gate, "POST", "/", b"body").status, 200);
    }
    let last = plain.last();
    assert_eq!((last.header("host"), last.body.as_slice(), last.connection), (Some("localhost"), &b"body"[..], 0));
    talks(&gate, "/talk");
    assert_eq!(ask(&gate, "GET", "/gone", b"").status, 502);
}

#[test]
fn websockets_go_over_tls_and_to_whoever_is_there() {
    let (pki, echo) = (Pki::new(), Recorder::echo());
    let front = Front::tls(&pki.issue(&["127.0.0.1"]), None, echo.address());
    let gate = route_of(
        Sekisho::builder(),
        "tls",
        "/tls",
        &format!("upstream: '{}', upstream_tls: {{{}}}", front.url(), pki.ca()),
    );
    let gate = start(route_of(gate, "pair", "/pair", &upstreams(&[refused(), echo.url()])));
    talks(&gate, "/tls");
    talks(&gate, "/pair");
}

#[test]
fn names_of_headers_are_written_as_the_route_says_however_the_client_spells_them() {
    let (lower, title) = (Recorder::ok(), Recorder::ok());
    let gate = route_of(Sekisho::builder(), "lower", "/lower", &format!("upstream: '{}'", lower.url()));
    let to_title = format!("header_names: title, upstream: '{}'", title.url());
    let gate = start(route_of(gate, "title", "/title", &to_title));
    for path in ["/lower", "/title"] {
        let mut conn = Conn::plain(gate.address());
        let fields = "aCCEPT: a/b\r\nX-Odd_name: 1\r\nCookie: t=1\r\n";
        conn.send(format!("GET {path} HTTP/1.1\r\nHost: tool.test\r\n{fields}\r\n").as_bytes());
        assert_eq!(conn.read_response(false).unwrap().status, 200);
    }
    for (recorder, fields) in [
        (&lower, ["accept: a/b", "x-odd_name: 1", "cookie: t=1", "x-forwarded-for: 127.0.0.1", "x-real-ip: 127.0.0.1"]),
        (&title, ["Accept: a/b", "X-Odd_name: 1", "Cookie: t=1", "X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1"]),
    ] {
        let head = String::from_utf8(recorder.connections().concat()).unwrap();
        for field in fields {
            assert!(head.contains(&format!("\r\n{field}\r\n")), "{field}: {head}");
        }
    }
}

#[test]
fn the_host_is_the_chosen_upstreams_own_where_it_is_not_preserved() {
    let (one, other) = (Recorder::ok(), Recorder::ok());
    let gate = start(open(&format!("preserve_host: false, {}", upstreams(&[one.url(), other.url()]))));
    assert!((0..10).all(|_| get(&gate) == 200));
    for recorder in [&one, &other] {
        assert_eq!(recorder.last().header("host"), Some(recorder.address().to_string().as_str()));
    }
}
