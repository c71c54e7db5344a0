//! The clients: each knows which answer is its own.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::HOST;
use super::upstream::KINDS;
use crate::harness::{Client, Conn, PATIENCE, Sekisho};

const METHODS: [&str; 4] = ["GET", "POST", "HEAD", "GET"];
/// Streams at a time of one HTTP/2 connection.
const AT_ONCE: usize = 8;

/// Whose requests go over an HTTP/2 connection.
#[derive(Clone, Copy)]
pub enum Share {
    First,
    Second,
    Both,
}

/// How the request of this number goes: its kind, its method, and whether it is given up half way.
fn plan(number: usize) -> (&'static str, &'static str, bool) {
    (KINDS[number % KINDS.len()], METHODS[(number / 3) % METHODS.len()], number % 23 == 22)
}

/// Requests over kept connections, the next one where one has ended.
pub fn http1(client: &Client, who: &str, index: usize, count: usize) {
    let mut conn: Option<Conn> = None;
    for number in 0..count {
        let (kind, method, given_up) = plan(number);
        let marker = format!("{who}-h1-{index}-{number}");
        let body = match (method, number % 2) {
            ("POST", 0) => "Content-Length: 5\r\n\r\nhello".to_owned(),
            ("POST", _) => "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_owned(),
            _ => "\r\n".to_owned(),
        };
        let request = format!("{method} /{kind}/{marker} HTTP/1.1\r\nHost: {HOST}\r\n{}{body}", client.cookie_header());
        let one = conn.get_or_insert_with(|| client.connect());
        if given_up {
            // Half of the request, or all of it and nobody who waits for the answer.
            let sent = if number % 2 == 0 { request.len() - 3 } else { request.len() };
            let _ = one.try_send(&request.as_bytes()[..sent]);
            conn = None;
            continue;
        }
        one.send(&request);
        let answer = loop {
            let answer = one.read_response(method == "HEAD").unwrap_or_else(|| panic!("no answer to {method} {kind}"));
            if answer.status >= 200 {
                break answer;
            }
        };
        judge(answer.status, answer.header("x-saw"), who, &marker, kind, method);
        if answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            conn = None;
        }
    }
}

/// An answer is the request's own. An upstream that closes before it has read a body may make it a failure, never another's.
#[track_caller]
fn judge(status: u16, saw: Option<&str>, who: &str, marker: &str, kind: &str, method: &str) {
    if status == 502 {
        let breaks = kind.starts_with("stray") || matches!(kind, "unread" | "closes");
        assert!(breaks || method == "POST", "{method} {kind}");
        return;
    }
    assert_eq!(saw, Some(format!("{who} {marker}").as_str()), "{status} to {method} {kind}");
}

/// Requests over one HTTP/2 connection, several at a time, some given up half way.
pub fn http2(gate: &Sekisho, people: [(&str, &Client); 2], share: Share, index: usize, count: usize) {
    let config = gate.authority().client(&["h2"]);
    let address = gate.tls_address();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        let tls = TlsConnector::from(Arc::clone(&config)).connect(name, tcp).await.unwrap();
        // Answers are read one after the other: those that wait must not hold up the one that is read.
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(1 << 20).initial_connection_window_size(1 << 24);
        let (mut sender, connection) = builder.handshake::<_, Bytes>(tls).await.unwrap();
        tokio::spawn(connection);
        for first in (0..count).step_by(AT_ONCE) {
            let mut waiting = Vec::new();
            for number in first..(first + AT_ONCE).min(count) {
                let (who, client) = match share {
                    Share::First => people[0],
                    Share::Second => people[1],
                    Share::Both => people[number % 2],
                };
                let (kind, method, given_up) = plan(number);
                let marker = format!("{who}-h2-{index}-{number}");
                let mut request = Request::builder().method(method).uri(format!("https://{HOST}/{kind}/{marker}"));
                for (name, value) in &client.cookies {
                    request = request.header("cookie", format!("{name}={value}"));
                }
                std::future::poll_fn(|cx| sender.poll_ready(cx)).await.expect("the connection stays");
                let ends = method != "POST";
                let (response, mut body) = sender.send_request(request.body(()).unwrap(), ends).unwrap();
                if !ends {
                    body.send_data(Bytes::from_static(b"hello"), !given_up).unwrap();
                }
                if given_up {
                    body.send_reset(h2::Reason::CANCEL);
                } else {
                    waiting.push((who, marker, kind, method, response, body));
                }
            }
            for (who, marker, kind, method, response, _body) in waiting {
                let answered = tokio::time::timeout(PATIENCE, response).await.expect("an answer in time");
                let Ok(response) = answered else {
                    // An upstream that closes on a body can end the stream, which is nobody's answer.
                    assert!(matches!(kind, "unread" | "closes") || kind.starts_with("stray"), "{method} {kind}");
                    continue;
                };
                let saw = response.headers().get("x-saw").map(|value| value.to_str().unwrap().to_owned());
                judge(response.status().as_u16(), saw.as_deref(), who, &marker, kind, method);
                let expected = saw.map(String::into_bytes);
                let mut stream = response.into_body();
                let mut body = Vec::new();
                while let Some(Ok(piece)) = stream.data().await {
                    let _ = stream.flow_control().release_capacity(piece.len());
                    body.extend_from_slice(&piece);
                }
                let own = expected.is_none_or(|expected| body == expected) || body.iter().all(|byte| *byte == b'x');
                assert!(own, "{method} {kind}: {}", String::from_utf8_lossy(&body));
            }
        }
    });
}
