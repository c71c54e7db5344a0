//! Bodies that come too slowly (attack case A23), while whoever is merely slow goes on. Heads are in `smuggling` and `http2_floods`.

use std::time::{Duration, Instant};

use crate::harness::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS, block, frame,
};
use crate::harness::{Client, Conn, Recorder, Sekisho, poll, wait_until};
use crate::wire::gate as open_gate;

const SECOND: Duration = Duration::from_secs(1);

/// A body that somebody drips into the gateway, a piece each second.
struct Drip {
    name: &'static str,
    conn: Conn,
    piece: Vec<u8>,
    /// When, after its beginning, the gateway ended it.
    cut: Option<Duration>,
    /// What came until then.
    said: Vec<u8>,
}

impl Drip {
    fn new(name: &'static str, mut conn: Conn, head: impl AsRef<[u8]>, piece: impl Into<Vec<u8>>) -> Self {
        conn.send(head);
        Self { name, conn, piece: piece.into(), cut: None, said: Vec::new() }
    }

    /// Sends the next piece, and looks whether that was the end. Over HTTP/2 the end of the stream is one.
    fn goes_on(&mut self, since: Instant) {
        if self.cut.is_some() {
            return;
        }
        let taken = self.conn.try_send(&self.piece).is_ok();
        let came = self.conn.came(Duration::from_millis(20));
        let over = !taken || came.is_none();
        self.said.extend(came.unwrap_or_default());
        if over || self.ends_its_stream() {
            self.cut = Some(since.elapsed());
        }
    }

    fn ends_its_stream(&self) -> bool {
        let mut rest = self.said.as_slice();
        while let [a, b, c, kind, flags, _, _, _, stream, behind @ ..] = rest {
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            let of_the_stream =
                *stream == 1 && (*kind == RST_STREAM || matches!(*kind, DATA | HEADERS) && flags & END_STREAM != 0);
            if self.said.starts_with(b"HTTP/") || of_the_stream || *kind == GOAWAY {
                return !self.said.starts_with(b"HTTP/");
            }
            rest = behind.get(length..).unwrap_or_default();
        }
        false
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.said).into_owned()
    }
}

/// All at once, until the last is cut or time is up.
fn drip(drips: &mut [Drip], longest: Duration) {
    let began = Instant::now();
    while drips.iter().any(|drip| drip.cut.is_none()) && began.elapsed() < longest {
        let next = Instant::now() + SECOND;
        drips.iter_mut().for_each(|drip| drip.goes_on(began));
        poll(next.saturating_duration_since(Instant::now()), || None::<()>);
    }
}

fn http1(gate: &Sekisho) -> Conn {
    gate.authority().connect(gate.tls_address(), "app.test", &["http/1.1"])
}

fn http2(gate: &Sekisho) -> Conn {
    gate.authority().connect(gate.tls_address(), "app.test", &["h2"])
}

fn post(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: app.test\r\nAccept: application/json\r\nContent-Length: {length}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    )
}

/// The beginning of a POST on stream 1.
fn post2(path: &str) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "app.test"),
        (":path", path),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    [
        PREFACE,
        &frame(SETTINGS, 0, 0, b""),
        &frame(SETTINGS, ACK, 0, b""),
        &frame(HEADERS, END_HEADERS, 1, &block(&fields)),
    ]
    .concat()
}

/// Thirty seconds in all for a form, ten for a body that nobody wants: a byte each second helps nothing.
#[test]
fn a23_forms_and_unwanted_bodies_are_read_for_so_long_and_no_longer() {
    let upstream = Recorder::ok();
    let gate = open_gate(&upstream).tls(&["app.test"]).user("alice", &[]).start();
    let byte = frame(DATA, 0, 1, b"x");
    let login = "/.sekisho/login";
    let mut drips = [
        Drip::new("a login form", http1(&gate), post(login, 1000), "x"),
        Drip::new("a login form over HTTP/2", http2(&gate), post2(login), byte.clone()),
        Drip::new("the JSON login", http1(&gate), post("/.sekisho/api/login", 1000), "x"),
        Drip::new("what is refused unread", http1(&gate), post("/admin", 1000), "x"),
    ];
    drip(&mut drips, 50 * SECOND);
    for (drip, (least, most)) in drips.iter().zip([(25, 45), (25, 45), (25, 45), (0, 30)]) {
        let cut = drip.cut.unwrap_or_else(|| panic!("{} was never cut", drip.name));
        assert!((least * SECOND..most * SECOND).contains(&cut), "{} was cut after {cut:?}", drip.name);
    }
    for drip in [&drips[0], &drips[2]] {
        assert!(drip.text().starts_with("HTTP/1.1 408 "), "{}: {}", drip.name, drip.text());
    }
    assert!(drips[3].text().starts_with("HTTP/1.1 401 "), "{}", drips[3].text());
    assert_eq!(upstream.bytes(), 0);
}

/// A minute for a pause, and so long until the least rate counts. The tool's worker is free again, and a slow line is no attack.
#[test]
fn a23_an_upload_that_drips_is_ended_and_one_that_is_slow_goes_on() {
    const LENGTH: usize = 90 * 300;
    let upstream = Recorder::ok();
    let gate = open_gate(&upstream)
        .route(
            "{name: uploads, path: /uploads, access: public, upstream: UPSTREAM, timeouts: {write: 1s}}",
            &upstream.url(),
        )
        .tls(&["app.test"])
        .start();
    let mut drips = [
        Drip::new("a byte each second", http1(&gate), post("/uploads/a", 100_000), "x"),
        Drip::new("the same over HTTP/2", http2(&gate), post2("/uploads/b"), frame(DATA, 0, 1, b"x")),
        Drip::new("nothing at all over HTTP/2", http2(&gate), post2("/uploads/c"), ""),
        Drip::new("a slow line", http1(&gate), post("/uploads/d", LENGTH), vec![b'x'; 300]),
    ];
    drip(&mut drips, 75 * SECOND);
    let (slow, attacks) = drips.split_last_mut().unwrap();
    for attack in attacks {
        let cut = attack.cut.unwrap_or_else(|| panic!("{} was never cut", attack.name));
        assert!((40 * SECOND..75 * SECOND).contains(&cut), "{} was cut after {cut:?}", attack.name);
    }
    assert_eq!(slow.cut, None, "{}", slow.text());
    // Its rest at once: it was not remembered against it.
    let _ = slow.conn.try_send(&[b'x'; LENGTH]);
    assert!(slow.text().is_empty() || slow.text().starts_with("HTTP/1.1 200 "), "{}", slow.text());
    let requests = upstream.wait_for(1);
    assert!(requests.iter().any(|request| request.target() == "/uploads/d" && request.body.len() == LENGTH));
}

/// Each is held until it is whole, so that a client that leaves many unfinished would be memory without a bound.
#[test]
fn a23_forms_on_their_way_are_counted_for_each_address_and_who_is_signed_in_has_other_places() {
    let upstream = Recorder::ok();
    let gate = Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .upstream(&upstream.url())
        .user("alice", &[])
        .start();
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    let unfinished = |path: &str| {
        let mut conn = Conn::plain(gate.address());
        conn.send(post(path, 20));
        conn.send("login=");
        conn
    };
    let answer = || {
        let mut conn = Conn::plain(gate.address());
        conn.send(post("/.sekisho/login", 5));
        conn.send("login");
        conn.response().status
    };
    // At pages of any kind, whether or not there is one.
    let paths = ["/.sekisho/login", "/.sekisho/forgot", "/.sekisho/nowhere"];
    let mut held: Vec<Conn> = (0..64).map(|number| unfinished(paths[number % 3])).collect();
    wait_until("the address has its share", || (answer() == 503).then_some(()));
    let line = "as many forms on their way as one address may have";
    let told = || gate.logs().iter().filter(|said| said.contains(line)).count();
    wait_until("it is said", || (told() > 0).then_some(()));
    assert_eq!((answer(), told()), (503, 1), "said once");
    assert_eq!(alice.open("/.sekisho/account").status, 200, "what has no body waits for nobody");
    assert!(alice.sign_out().status < 400, "who is signed in has places of their own");
    // One of them comes to its end, and its place is another's.
    held[0].send("x".repeat(14));
    assert_ne!(held[0].response().status, 503);
    wait_until("there is a place again", || (answer() != 503).then_some(()));
}
