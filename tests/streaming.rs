//! What flows through the wall: WebSockets, event streams, large bodies in both directions, HTTP/2.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use sha2::{Digest, Sha256};
use tokio_tungstenite::tungstenite::{self, Message, client::IntoClientRequest};

use crate::harness::{Client, Conn, Recorder, Sekisho, h2, poll, tools, wait_until};

const MIB: usize = 1024 * 1024;

fn signed_in(upstream: &str) -> (Sekisho, Client) {
    let gate = Sekisho::builder()
        .set("second_factor.policy", "off")
        .route("{name: all, upstream: UPSTREAM}", upstream)
        .user("alice", &[])
        .start();
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    (gate, alice)
}

/// Opens a WebSocket with this client's cookies.
fn websocket(
    gate: &Sekisho,
    client: &Client,
    origin: &str,
) -> tungstenite::Result<tungstenite::WebSocket<std::net::TcpStream>> {
    let stream = std::net::TcpStream::connect(gate.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut request = format!("ws://{}/ticks", gate.address()).into_client_request()?;
    request.headers_mut().insert("origin", origin.parse().unwrap());
    if let Some(cookies) = client.cookie_header().trim().strip_prefix("Cookie: ") {
        request.headers_mut().insert("cookie", cookies.parse().unwrap());
    }
    match tungstenite::client(request, stream) {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::HandshakeError::Failure(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn refused_with<S>(answer: tungstenite::Result<S>) -> u16 {
    match answer {
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("the WebSocket was opened"),
    }
}

#[test]
fn a_websocket_passes_with_a_session_and_its_own_origin_and_not_without() {
    let upstream = tools::WebSocketEcho::start();
    let (gate, alice) = signed_in(&upstream.url());
    let own = format!("http://{}", gate.address());
    assert_eq!(refused_with(websocket(&gate, &Client::new(&gate), &own)), 401, "nobody's handshake");
    assert_eq!(refused_with(websocket(&gate, &alice, "https://evil.test")), 403, "another site's handshake");
    assert_eq!(upstream.open(), 0);

    let mut socket = websocket(&gate, &alice, &own).expect("the WebSocket opens");
    for round in 0..1_000_u32 {
        let message =
            if round % 2 == 0 { Message::text(format!("{round} 関所")) } else { Message::binary(vec![7; 300]) };
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message, "round {round}");
    }
    let big = Message::binary(vec![9; MIB]);
    socket.send(big.clone()).unwrap();
    assert_eq!(socket.read().unwrap(), big);
}

/// Opens a tunnel by hand; the status of the answer, and the connection.
fn tunnel(gate: &Sekisho, client: &Client, origin: &str) -> (u16, Conn) {
    let mut conn = client.connect();
    conn.send(format!(
        "GET /ws HTTP/1.1\r\nHost: {}\r\n{}Origin: {origin}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        gate.address(),
        client.cookie_header()
    ));
    (conn.read_head().expect("an answer").status, conn)
}

/// A frame as a browser sends it (RFC 6455 §5.2), masked, of any kind and length.
fn frame(number: usize) -> Vec<u8> {
    const KINDS: [u8; 6] = [0x81, 0x82, 0x01, 0x80, 0x89, 0x8a];
    let body = noise(if number.is_multiple_of(997) { 70_000 } else { number * 7 % 300 });
    let mut frame = vec![KINDS[number % KINDS.len()]];
    match body.len() {
        short @ 0..126 => frame.push(0x80 | u8::try_from(short).unwrap()),
        middling @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(middling).unwrap().to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    let mask = u32::try_from(number).unwrap().to_be_bytes();
    frame.extend(mask);
    frame.extend(body.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Nothing in between looks into a frame: what is sent comes back byte for byte, whatever is in it.
#[test]
fn a48_ten_thousand_frames_pass_byte_for_byte_and_none_of_a_foreign_page() {
    const FRAMES: usize = 10_000;
    let upstream = Recorder::echo();
    let (gate, alice) = signed_in(&upstream.url());
    let before = upstream.bytes();
    for origin in ["https://evil.test", "null", "http://127.0.0.1:1"] {
        assert_eq!(tunnel(&gate, &alice, origin).0, 403, "{origin}");
    }
    assert_eq!(upstream.bytes(), before);
    let (status, mut conn) = tunnel(&gate, &alice, &format!("http://{}", gate.address()));
    assert_eq!(status, 101);
    let frames: Vec<Vec<u8>> = (0..FRAMES).map(frame).collect();
    for (number, batch) in frames.chunks(20).enumerate() {
        let sent = batch.concat();
        conn.send(&sent);
        assert!(conn.take(sent.len()) == sent, "batch {number} came back as something else");
    }
    assert!(conn.is_silent_for(Duration::from_millis(1)), "and not a byte more");
}

#[test]
fn an_open_websocket_ends_with_its_session() {
    let upstream = tools::WebSocketEcho::start();
    let (gate, mut alice) = signed_in(&upstream.url());
    let mut socket = websocket(&gate, &alice, &format!("http://{}", gate.address())).expect("the WebSocket opens");
    wait_until("the tool sees the WebSocket", || (upstream.open() == 1).then_some(()));
    alice.sign_out();
    wait_until("the tool's end is closed", || (upstream.open() == 0).then_some(()));
    assert!(!matches!(socket.read(), Ok(Message::Text(_) | Message::Binary(_))), "the browser's end is closed");
}

#[test]
fn events_arrive_when_they_are_sent() {
    let upstream = tools::EventStream::start();
    let (_gate, alice) = signed_in(&upstream.url());
    let mut conn = alice.connect();
    conn.send(format!("GET /events HTTP/1.1\r\nHost: {}\r\n{}\r\n", alice.host, alice.cookie_header()));
    let head = conn.read_head().expect("the stream begins");
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    // Read by marks, as the gateway may frame the stream as chunks.
    for event in ["first", "second", "三番目"] {
        if event != "first" {
            upstream.say(event);
        }
        let mut line = String::new();
        let found = poll(Duration::from_secs(20), || {
            line = conn.line();
            line.contains(event).then_some(())
        });
        assert!(found.is_some(), "{event} did not arrive while the stream was open");
    }
}

#[test]
fn a_large_upload_and_a_large_download_are_streamed_unchanged() {
    // A body that does not compress and does not repeat, told apart by its digest; never whole in the gateway's memory.
    const SIZE: usize = 64 * MIB;
    let upstream = Recorder::with(|request, stream| {
        if request.line.starts_with("POST") {
            let digest = hex(&Sha256::digest(&request.body));
            return write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{digest}", digest.len()).is_ok();
        }
        let body = noise(SIZE);
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").is_ok() && stream.write_all(&body).is_ok()
    });
    let (mut gate, mut alice) = signed_in(&upstream.url());
    let body = noise(SIZE);
    let digest = hex(&Sha256::digest(&body));
    let before = peak_memory(gate.process().pid());

    let up = alice.request("POST", "/upload", "Content-Type: application/octet-stream\r\n", &body);
    assert_eq!((up.status, up.text()), (200, digest.clone()));
    let down = alice.get("/download");
    assert_eq!((down.status, down.body.len(), hex(&Sha256::digest(&down.body))), (200, SIZE, digest));

    let grown = peak_memory(gate.process().pid()).saturating_sub(before);
    assert!(grown < 32 * 1024, "the gateway's memory grew by {grown} KiB over bodies of {} KiB", SIZE / 1024);
}

#[test]
fn http2_over_tls_serves_many_requests_at_once() {
    let upstream = Recorder::with(|request, stream| {
        let body = format!("{} {}", request.target(), request.header("remote-user").unwrap_or("nobody"));
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).is_ok()
    });
    let gate = Sekisho::builder()
        .set("second_factor.policy", "off")
        .route("{name: app, host: app.test, upstream: UPSTREAM}", &upstream.url())
        .user("alice", &[])
        .tls(&["app.test"])
        .start();
    let mut alice = Client::tls(&gate, "app.test");
    alice.sign_in_by_password_alone(&gate);

    let request = |path: &str, cookie: bool| {
        let mut request = Request::get(format!("https://app.test{path}"));
        if cookie {
            // One field for each, as browsers split them over HTTP/2.
            for (name, value) in &alice.cookies {
                request = request.header("cookie", format!("{name}={value}"));
            }
        }
        request.body(Bytes::new()).unwrap()
    };
    let paths: Vec<String> = (0..50).map(|number| format!("/page/{number}")).collect();
    let answers = h2::exchange(&gate, "app.test", paths.iter().map(|path| request(path, true)).collect());
    assert_eq!(answers.len(), paths.len());
    for (path, answer) in paths.iter().zip(answers) {
        let answer = answer.expect("the stream is answered");
        assert_eq!((answer.status, answer.text()), (200, format!("{path} alice")));
    }
    let stranger = h2::request(&gate, "app.test", request("/page/1", false));
    assert_eq!(stranger.status, 401, "{}", stranger.text());
    let host = upstream.last();
    assert_eq!(host.header("host"), Some("app.test"), "HTTP/1.1 to the tool has its Host");
}

/// Bytes that look random and are the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// The most memory that a process has ever held, in KiB.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
