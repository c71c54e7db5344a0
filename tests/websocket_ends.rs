//! How a WebSocket ends whose session does (F35): by a close frame with code 1008 between two frames, never within one; and the page
//! in the browser learns it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::{self, Message};

use crate::harness::{Browser, Client, Conn, PASSWORD, Recorder, Sekisho, wait_until};

/// What the promise says.
const LIMIT: Duration = Duration::from_secs(5);
const CLOSE: [u8; 17] = *b"\x88\x0f\x03\xf0session ended";

fn gate(upstream: &str) -> (Sekisho, Client) {
    let gate = Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .upstream(upstream)
        .user("alice", &[])
        .start();
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    (gate, alice)
}

fn open(gate: &Sekisho, alice: &Client) -> Conn {
    let mut conn = alice.connect();
    conn.send(format!(
        "GET /socket HTTP/1.1\r\nHost: {0}\r\n{1}Origin: http://{0}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        gate.address(),
        alice.cookie_header()
    ));
    assert_eq!(conn.read_head().expect("a switch").status, 101);
    conn
}

/// A tool that opens a WebSocket for each request and writes to it what `speak` does. All that comes is kept, if it `reads` at all.
fn tool(reads: bool, speak: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let got: Arc<Mutex<Vec<u8>>> = Arc::default();
    let (kept, speak) = (Arc::clone(&got), Arc::new(speak));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (kept, speak) = (Arc::clone(&kept), Arc::clone(&speak));
            std::thread::spawn(move || {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if stream.read(&mut byte).unwrap_or(0) == 0 {
                        return;
                    }
                    head.push(byte[0]);
                }
                let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
                stream.write_all(answer.as_bytes()).unwrap();
                let mut writing = stream.try_clone().unwrap();
                std::thread::spawn(move || speak(&mut writing));
                if !reads {
                    return std::mem::forget(stream);
                }
                let mut piece = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut piece) {
                    kept.lock().unwrap().extend(&piece[..n]);
                }
            });
        }
    });
    (url, got)
}

#[expect(clippy::disallowed_methods, reason = "a tool that takes its time")]
fn a_moment() {
    std::thread::sleep(Duration::from_millis(3));
}

/// Writes a frame of so many bytes, in pieces with pauses between them; false: nobody takes it any more.
fn drip(stream: &mut TcpStream, length: u64) -> bool {
    let head = [&[0x82, 127][..], &length.to_be_bytes()].concat();
    let mut left = length;
    let mut goes_on = stream.write_all(&head).is_ok();
    while goes_on && left > 0 {
        let piece = left.min(1000);
        goes_on = stream.write_all(&vec![0x88; usize::try_from(piece).unwrap()]).is_ok();
        left -= piece;
        a_moment();
    }
    goes_on
}

#[test]
fn f35_the_frame_that_is_under_way_comes_whole_and_behind_it_the_close() {
    // One frame after the other, so that the end always comes within one.
    const FRAME: usize = 100_000;
    let (url, _) = tool(true, |stream| while drip(stream, FRAME as u64) {});
    let (gate, mut alice) = gate(&url);
    let mut conn = open(&gate, &alice);
    assert_eq!(conn.take(FRAME / 2).len(), FRAME / 2);
    alice.sign_out();
    let ended = Instant::now();
    let came = conn.until_close();
    assert!(ended.elapsed() < LIMIT, "{:?}", ended.elapsed());
    let whole = came.len() - CLOSE.len() + FRAME / 2;
    assert_eq!(came[came.len() - CLOSE.len()..], CLOSE, "{} bytes came", came.len());
    assert_eq!(whole % (FRAME + 10), 0, "no frame is cut off");
    assert!(whole <= 2 * (FRAME + 10), "and none begins after the end: {whole}");
}

#[test]
fn f35_a_frame_that_does_not_end_is_cut_off_without_a_close_frame_in_it() {
    let (url, _) = tool(true, |stream| assert!(!drip(stream, 1 << 40), "it came to its end"));
    let (gate, mut alice) = gate(&url);
    let mut conn = open(&gate, &alice);
    assert_eq!(conn.take(1000).len(), 1000);
    alice.sign_out();
    let ended = Instant::now();
    let came = conn.until_close();
    assert!(ended.elapsed() < LIMIT, "{:?}", ended.elapsed());
    assert!(came.iter().all(|byte| *byte == 0x88), "something was said within the frame");
}

#[test]
fn f35_nothing_of_the_client_reaches_the_tool_after_the_end_and_half_a_frame_stays_half() {
    let (url, got) = tool(true, |_| ());
    let (gate, mut alice) = gate(&url);
    let mut conn = open(&gate, &alice);
    let half = [&[0x82, 0x80 | 126, 1, 0, 9, 9, 9, 9][..], &[0; 100]].concat();
    conn.send(&half);
    wait_until("the tool has half a frame", || (got.lock().unwrap().len() == half.len()).then_some(()));
    alice.sign_out();
    // The other half, and whatever a client might send that was told nothing.
    let _ = conn.try_send(&[0; 2000]);
    assert_eq!(conn.until_close(), CLOSE);
    assert_eq!(*got.lock().unwrap(), half, "the tool got something of an ended session");
}

#[test]
fn f35_a_tool_that_reads_nothing_keeps_no_browser_waiting() {
    let (url, _) = tool(false, |_| ());
    let (gate, mut alice) = gate(&url);
    let mut conn = open(&gate, &alice);
    conn.send_within(Duration::from_millis(500));
    let frame = [&[0x82, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 0, 9, 9, 9, 9][..], &[0; 65_536]].concat();
    while conn.try_send(&frame).is_ok() {}
    alice.sign_out();
    let ended = Instant::now();
    assert_eq!(conn.until_close(), CLOSE);
    assert!(ended.elapsed() < LIMIT, "{:?}", ended.elapsed());
}

/// What a page's own script is told, in a browser.
async fn close_event(browser: &Browser, what: impl AsyncFnOnce()) -> (String, Duration) {
    browser.see("open").await;
    what().await;
    let ended = Instant::now();
    browser.see("closed").await;
    (browser.text_of("#said").await, ended.elapsed())
}

const PAGE: &str = "<!doctype html><title>tool</title><p id=said>-</p><script>\
    const said = (words) => document.getElementById('said').textContent = words;\
    const socket = new WebSocket(`ws://${location.host}/socket`);\
    let messages = 0;\
    socket.onmessage = (event) => said(`open ${++messages}`);\
    socket.onclose = (event) => said(`closed ${event.code} ${event.wasClean} ${event.reason}`);\
    </script>";

/// A WebSocket server that speaks as one, and pours messages out, some of them in several frames.
fn pouring() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let Ok(mut socket) = tungstenite::accept(stream) else { return };
                if socket.send(Message::text("first")).is_err() {
                    return;
                }
                let stream = socket.get_mut();
                let part = [&[0x01, 126, 0x40, 0][..], &[b'x'; 0x4000]].concat();
                let last = [&[0x80, 126, 0x40, 0][..], &[b'x'; 0x4000]].concat();
                while [&part, &last].into_iter().all(|frame| {
                    frame.chunks(3000).all(|piece| {
                        a_moment();
                        stream.write_all(piece).is_ok()
                    })
                }) {}
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn f35_a_page_learns_by_code_1008_that_its_session_has_ended() {
    let page = Recorder::raw(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{PAGE}",
        PAGE.len()
    ));
    let socket = pouring();
    let gate = Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .route("{name: page, upstream: UPSTREAM}", &page.url())
        .route("{name: socket, path: /socket, upstream: UPSTREAM}", &socket)
        .user("alice", &[])
        .start();
    let browser = Browser::start().await;
    let sign_in = async || {
        browser.open(&gate.url("/")).await;
        browser.arrive("/.sekisho/login").await;
        browser.fill("input[name=login]", "alice").await;
        browser.fill("input[name=password]", PASSWORD).await;
        browser.click("main form button[type=submit]").await;
    };
    for round in 0..3 {
        sign_in().await;
        let (said, took) = close_event(&browser, async || {
            assert!(gate.cli(&["session", "end", "--user", "alice"]).status.success());
        })
        .await;
        assert_eq!(said, "closed 1008 true session ended", "round {round}");
        assert!(took < LIMIT, "{took:?}");
    }
    sign_in().await;
    let (said, _) = close_event(&browser, async || {
        let socket = format!("{{name: socket, path: /socket, upstream: '{socket}', allow: {{users: [bob]}}}}");
        gate.change("routes", &format!("[{{name: page, upstream: '{}'}}, {socket}]", page.url()));
        gate.reload();
    })
    .await;
    assert_eq!(said, "closed 1008 true not allowed any more");
}
