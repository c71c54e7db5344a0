//! Debian's nginx in front, configured as `docs/behind-nginx.md` says, word for word but for addresses and file names.

use std::net::TcpStream;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use tokio_tungstenite::tungstenite::{self, Message, client::IntoClientRequest};

use crate::harness::nginx::{self, Nginx};
use crate::harness::{Client, Recorder, Sekisho, tools};

const HOST: &str = "tool.example.com";

/// In front of this gateway.
fn before(gate: &Sekisho) -> Nginx {
    let site = nginx::documented("behind-nginx.md");
    Nginx::start(HOST, &site[0].replace("http://127.0.0.1:8080", &format!("http://{}", gate.address())))
}

fn gate(upstream: &str) -> Sekisho {
    Sekisho::builder()
        .cheap_hashes()
        .set("server.trusted_proxies", "[127.0.0.1]")
        .set("second_factor.policy", "off")
        .route(&format!("{{name: tool, host: {HOST}, upstream: UPSTREAM}}"), upstream)
        .user("alice", &[])
        .start()
}

#[test]
fn people_sign_in_through_nginx_and_nothing_that_a_client_claims_is_believed() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream.url());
    let nginx = before(&gate);
    let mut alice = nginx.client(&gate);
    let away = alice.get("/orders?page=2");
    assert_eq!((away.status, away.header("location")), (303, Some("/.sekisho/login?return_to=%2Forders%3Fpage%3D2")));
    alice.sign_in(&gate, "alice", None);
    assert!(alice.cookies.contains_key("__Host-sekisho-session"), "it came by HTTPS: {:?}", alice.cookies.keys());

    let claims = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: http\r\n\
         Forwarded: for=203.0.113.9;host=evil.test\r\nX-Real-IP: 203.0.113.9\r\nRemote-User: root\r\nRemote_User: root\r\n";
    let answer = alice.request("POST", "/a%20b//c/../d?x=%2F", claims, &[b'x'; 3_000_000]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = upstream.last();
    assert_eq!(seen.target(), "/a%20b/d?x=%2F", "the path as it came, in sekisho's normal form");
    assert_eq!(seen.header("host"), Some(HOST));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("x-forwarded-host"), Some(HOST));
    assert_eq!(seen.all("remote-user"), ["alice"]);
    assert_eq!(seen.body.len(), 3_000_000, "no limit of nginx's");
    let head = String::from_utf8_lossy(&seen.head).into_owned();
    assert!(!head.contains("203.0.113.9") && !head.contains("evil.test") && !head.contains("root"), "{head}");
    let sessions = gate.cli_json(&["session", "list", "--user", "alice"]);
    assert_eq!(sessions[0]["address"], "127.0.0.1");
}

#[test]
fn without_nginx_the_plain_port_signs_nobody_in_who_claims_https() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream.url());
    let mut stranger = Client::new(&gate);
    stranger.host = HOST.to_owned();
    let claims =
        "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nX-Forwarded-For: 203.0.113.9\r\n";
    let answer = stranger.request("GET", "/.sekisho/login", claims, b"");
    // The proxy itself, which forgot to say that it was reached by HTTPS: no form to sign in with.
    assert!(!answer.text().contains("name=\"password\""), "{}", answer.status);
}

#[test]
fn a_websocket_passes_through_nginx() {
    let upstream = tools::WebSocketEcho::start();
    let gate = gate(&upstream.url());
    let nginx = before(&gate);
    let mut alice = nginx.client(&gate);
    alice.sign_in_by_password_alone(&gate);
    let tcp = TcpStream::connect(nginx.address()).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    let stream = StreamOwned::new(ClientConnection::new(nginx.authority().client(&["http/1.1"]), name).unwrap(), tcp);
    let mut request = format!("wss://{HOST}/ticks").into_client_request().unwrap();
    request.headers_mut().insert("origin", format!("https://{HOST}").parse().unwrap());
    let cookies = alice.cookie_header();
    request.headers_mut().insert("cookie", cookies.trim().strip_prefix("Cookie: ").unwrap().parse().unwrap());
    let (mut socket, _) = tungstenite::client(request, stream).expect("the WebSocket opens");
    for round in 0..20 {
        let message = Message::text(format!("{round} 関所"));
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message);
    }
}
