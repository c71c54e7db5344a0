//! The request's road from socket to socket, within one process: raw bytes in, what reached a raw upstream, raw bytes out.

mod accounts;
pub(super) mod bench;
mod upstreams;

use std::time::Duration;

use bench::{Answer, Gate, OK, Upstream, read_answer, read_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for whatever is wrong to show itself.
const A_WHILE: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_in_request_reaches_the_upstream_as_it_was_matched() {
    let up = Upstream::start(Answer::Bytes(OK)).await;
    let gate = Gate::start(&up, "").await;
    let cookie = gate.sign_in("alice").await;
    let request = format!(
        "GET /a//b/../c?q=1 HTTP/1.1\r\nHost: APP.test\r\nCookie: t=1; {cookie}\r\nRemote_User: root\r\nX-Mine: y\r\n\
         Connection: Remote-User, X-Hop\r\nX-Hop: 1\r\n\r\n"
    );
    let answer = gate.ask(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"), "{answer}");
    let seen = up.seen();
    assert!(seen.starts_with("GET /a/c?q=1 HTTP/1.1\r\n"), "{seen}");
    for line in ["Host: app.test", "cookie: t=1", "remote-user: alice", "x-mine: y", "x-forwarded-for: 127.0.0.1"] {
        assert_eq!(seen.lines().filter(|seen| *seen == line).count(), 1, "{line}: {seen}");
    }
    for word in ["root", "sekisho-session", "X-Hop"] {
        assert!(!seen.contains(word), "{word}: {seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_nothing_reaches_the_upstream() {
    let up = Upstream::start(Answer::Bytes(OK)).await;
    let gate = Gate::start(&up, "").await;
    let requests = [
        "GET /x HTTP/1.1\r\nHost: a\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\r\nCookie: sekisho-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n",
        "GET /public/..;/x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://other.test/x HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for request in requests {
        let answers = gate.ask_and_wait(request.as_bytes()).await;
        let status = answers.get(9..12).unwrap_or_default();
        assert!(["303", "400", "401"].contains(&status), "{request:?}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "one answer: {request:?}: {answers}");
        assert!(answers.to_lowercase().contains("cache-control: no-store"), "{answers}");
    }
    assert_eq!(up.seen(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_chunk_ends_the_connection_and_nothing_follows_it_upstream() {
    let up = Upstream::start(Answer::Bytes(OK)).await;
    let gate = Gate::start(&up, "").await;
    let bodies = ["2;\nxx\r\nab\r\n0\r\n\r\n", "0x2\r\nab\r\n0\r\n\r\n", "2\r\nabc\r\n0\r\n\r\n", "2\nab\n0\n\n"];
    for body in bodies {
        let request = format!(
            "POST /public/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}GET /public/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        );
        let answers = gate.ask_and_wait(request.as_bytes()).await;
        assert!(answers.starts_with("HTTP/1.1 400 "), "{body:?}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{body:?}: {answers}");
    }
    assert!(!up.seen().contains("smuggled"), "{}", up.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_go_through_whole_in_both_directions() {
    let up = Upstream::start(Answer::Echo).await;
    let gate = Gate::start(&up, "").await;
    let body: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let plain =
        [format!("POST /public/up HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), &body]
            .concat();
    let mut chunked = b"POST /public/up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for piece in body.chunks(70_000) {
        chunked.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        chunked.extend_from_slice(piece);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    for request in [plain, chunked] {
        let (mut read, mut write) = gate.connect().await.into_split();
        let sending = tokio::spawn(async move { write.write_all(&request).await.map(|()| write) });
        let answer = timeout(PATIENCE, read_answer(&mut read)).await.unwrap();
        sending.await.unwrap().unwrap();
        assert!(answer.ends_with(&body), "{} bytes came back", answer.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_a_row_are_answered_in_a_row() {
    let up = Upstream::start(Answer::Bytes(OK)).await;
    let gate = Gate::start(&up, "").await;
    let mut client = gate.connect().await;
    let two =
        "GET /public/1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /public/2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
    client.write_all(two.as_bytes()).await.unwrap();
    for _ in 0..2 {
        assert!(read_answer(&mut client).await.starts_with(b"HTTP/1.1 200 OK"));
    }
    client.write_all(b"\r\nGET /public/3 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(read_answer(&mut client).await.starts_with(b"HTTP/1.1 200 OK"));
    let seen = up.seen();
    let lines: Vec<_> = seen.lines().filter(|line| line.contains("HTTP/1.1")).collect();
    assert_eq!(lines, ["GET /public/1 HTTP/1.1", "POST /public/2 HTTP/1.1", "GET /public/3 HTTP/1.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_websocket_that_was_asked_for_becomes_a_tunnel() {
    let up = Upstream::start(Answer::Switch).await;
    let gate = Gate::start(&up, "").await;
    let handshake = "GET /public/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
                     Sec-WebSocket-Protocol: chat\r\n\r\n";
    let mut client = gate.connect().await;
    client.write_all(handshake.as_bytes()).await.unwrap();
    let head = read_until(&mut client, b"\r\n\r\n").await;
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", head.escape_ascii());
    for frame in [b"first".as_slice(), &[7; 100_000], b"GET / HTTP/1.1\r\n\r\n"] {
        client.write_all(frame).await.unwrap();
        let mut echo = vec![0; frame.len()];
        timeout(PATIENCE, client.read_exact(&mut echo)).await.unwrap().unwrap();
        assert_eq!(echo, frame);
    }
    assert!(up.seen().contains("Sec-WebSocket-Protocol: chat"));
    for head in ["", "Upgrade: foo\r\nConnection: Upgrade\r\n", "Upgrade: websocket\r\n"] {
        let answer = gate.ask(format!("GET /public/x HTTP/1.1\r\nHost: a\r\n{head}\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{head:?}: {answer}");
    }
    let with_body = format!("{}Content-Length: 4\r\n\r\nabcd", handshake.trim_end_matches("\r\n").to_owned() + "\r\n");
    assert!(gate.ask(with_body.as_bytes()).await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_refused_upgrade_never_reaches_the_upstream() {
    let up = Upstream::start(Answer::Bytes(OK)).await;
    let gate = Gate::start(&up, "").await;
    for upgrade in ["websocket", "foo", "h2c"] {
        let request = format!(
            "GET /public/x HTTP/1.1\r\nHost: a\r\nUpgrade: {upgrade}\r\nConnection: Upgrade, HTTP2-Settings\r\n\
             HTTP2-Settings: AAMAAABk\r\n\r\nGET /public/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        );
        let answers = gate.ask_and_wait(request.as_bytes()).await;
        assert_eq!(answers.matches("HTTP/1.1 200").count(), 1, "{answers}");
    }
    let seen = up.seen();
    for word in ["smuggled", "foo", "h2c", "HTTP2-Settings"] {
        assert!(!seen.contains(word), "{word}: {seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_ends_with_its_session() {
    let up = Upstream::start(Answer::Switch).await;
    let gate = Gate::start(&up, "").await;
    let cookie = gate.sign_in("alice").await;
    let mut client = gate.connect().await;
    let handshake =
        format!("GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nCookie: {cookie}\r\n\r\n");
    client.write_all(handshake.as_bytes()).await.unwrap();
    assert!(read_until(&mut client, b"\r\n\r\n").await.starts_with(b"HTTP/1.1 101 "));
    let mut byte = [0];
    assert!(timeout(A_WHILE, client.read(&mut byte)).await.is_err(), "open as long as the session is");
    gate.end_all().await;
    let mut said = Vec::new();
    let ended = timeout(Duration::from_secs(5), client.read_to_end(&mut said)).await;
    assert!(ended.expect("closed within five seconds").is_ok());
    assert_eq!(said, *b"\x88\x0f\x03\xf0session ended");
    assert!(gate.ask(handshake.as_bytes()).await.starts_with("HTTP/1.1 401 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_fails_is_a_page_without_internals() {
    let gone = Upstream::gone().await;
    let silent = Upstream::start(Answer::Silent).await;
    let garbage = Upstream::start(Answer::Bytes(b"garbage\r\n\r\n")).await;
    let other = Upstream::start(Answer::Bytes(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")).await;
    for (up, status) in [(&gone, 502), (&silent, 504), (&garbage, 502), (&other, 502)] {
        let gate = Gate::start(up, "timeouts: {connect: 1s, read: 1s}").await;
        let answer = gate.ask(b"GET /public/x HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n").await;
        let handshake = b"GET /public/x HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        assert!(gate.ask(handshake).await.starts_with(&format!("HTTP/1.1 {status} ")));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let port = up.address.port().to_string();
        assert!(!answer.contains(&port) && !answer.contains("127.0.0.1"), "{answer}");
        assert!(answer.to_lowercase().contains("cache-control: no-store"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_over_the_limit_are_refused_and_the_answer_arrives() {
    let up = Upstream::start(Answer::Bytes(OK)).await;
    let gate = Gate::start(&up, "max_body: 64KiB").await;
    let large = vec![b'a'; 1_000_000];
    let announced =
        [b"POST /public/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n".as_slice(), &large].concat();
    let chunked = [
        b"POST /public/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nf4240\r\n".as_slice(),
        &large,
        b"\r\n0\r\n\r\n",
    ]
    .concat();
    let form =
        [b"POST /.sekisho/login HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n".as_slice(), &large].concat();
    for request in [announced, chunked, form] {
        let (mut read, mut write) = gate.connect().await.into_split();
        let sending = tokio::spawn(async move {
            let _ = write.write_all(&request).await;
            write
        });
        let answer = timeout(PATIENCE, read_answer(&mut read)).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", answer.escape_ascii());
        let _ = sending.await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_cleaned_on_its_way_back() {
    let answer = b"HTTP/1.1 200 OK\r\nConnection: X-Secret\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: x\r\n\
                   Set-Cookie: a=1\r\nSet-Cookie: sekisho-session=evil\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok";
    let up = Upstream::start(Answer::Bytes(answer)).await;
    let gate = Gate::start(&up, "").await;
    let answer = gate.ask(b"GET /public/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.contains("Set-Cookie: a=1\r\n") && answer.contains("Set-Cookie: b=2\r\n"), "{answer}");
    for word in ["X-Secret", "Keep-Alive:", "Proxy-Authenticate", "evil"] {
        assert!(!answer.contains(word), "{word}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_what_is_under_way_end_and_closes_what_is_idle() {
    let up = Upstream::start(Answer::Slow).await;
    let gate = Gate::start(&up, "").await;
    let mut idle = gate.connect().await;
    let mut busy = gate.connect().await;
    busy.write_all(b"GET /public/x HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let head = read_until(&mut busy, b"\r\n\r\n").await;
    assert!(head.starts_with(b"HTTP/1.1 200 "));
    let address = gate.address;
    let stopped = tokio::spawn(gate.stop());
    assert_eq!(timeout(PATIENCE, idle.read(&mut [0])).await.unwrap().unwrap(), 0);
    up.go_on();
    let mut rest = Vec::new();
    timeout(PATIENCE, busy.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest, b"ok");
    timeout(PATIENCE, stopped).await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
