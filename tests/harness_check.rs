//! The harness itself: the parts that it starts really run, and do what the tests take for granted.

use std::io::Write;

use crate::harness::browser::Setup;
use crate::harness::{Browser, Conn, Recorder, forms, tools, totp};

#[test]
fn the_recorder_keeps_every_byte() {
    let upstream = Recorder::ok();
    let sent = "POST /a?b HTTP/1.1\r\nHost: x\r\nX-One:  two \r\nContent-Length: 3\r\n\r\nabc";
    let response = Conn::plain(upstream.address()).send(sent).response();
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    assert_eq!(upstream.connections(), [sent.as_bytes()]);
    let request = upstream.last();
    assert_eq!(
        (request.target(), request.header("x-one"), request.body.as_slice()),
        ("/a?b", Some("two"), &b"abc"[..])
    );
}

#[test]
fn chunks_are_read_on_both_sides() {
    let upstream = Recorder::with(|request, stream| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
            .is_ok()
    });
    let sent = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let mut conn = Conn::plain(upstream.address());
    assert_eq!(conn.send(sent).response().text(), "abcde");
    assert_eq!(conn.send(sent).response().text(), "abcde", "the connection goes on after a chunked body");
}

#[test]
fn forms_are_read_as_a_browser_reads_them() {
    let page = r#"<form method=post action='/go?a=1&amp;b'><input name="a" value="&lt;1&quot;"><input type=checkbox name=c>
        <input type="checkbox" checked name="d" value="on"><textarea name='t'></textarea><button name=b value=x>B</button></form>
        <input name=outside>"#;
    let found = forms(page);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].action.as_str(), found[0].method.as_str()), ("/go?a=1&b", "POST"));
    assert_eq!(found[0].fields, [("a".into(), "<1\"".into()), ("d".into(), "on".into()), ("t".into(), String::new())]);
    assert_eq!(found[0].names, ["a", "c", "d", "t", "b"]);
}

/// The example of RFC 6238, appendix B, cut to six digits.
#[test]
fn oathtool_shows_the_standards_own_code() {
    assert_eq!(totp::code_at("GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ", 59), "287082");
    let page = "Your key: GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ (alice)";
    assert_eq!(totp::key_in(page).as_deref(), Some("GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"));
}

#[test]
fn the_admin_tools_answer() {
    for (tool, words) in [(tools::adminer(), "Adminer"), (tools::supervisor(), "Supervisor Status")] {
        let request = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", tool.address());
        let response = Conn::plain(tool.address()).send(request).response();
        assert_eq!(response.status, 200);
        assert!(response.text().contains(words), "{}", response.text());
    }
}

#[tokio::test]
async fn chromium_follows_its_setup() {
    let page = "<p>plain</p><script>document.body.textContent='scripted'</script>";
    let length = page.len();
    let upstream =
        Recorder::raw(format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n{page}"));
    let scripted = Browser::start().await;
    scripted.open(&upstream.url()).await;
    scripted.see("scripted").await;
    drop(scripted);
    let plain = Browser::with(Setup { javascript: false, language: "ja", ..Setup::default() }).await;
    plain.open(&upstream.url()).await;
    plain.see("plain").await;
    let asked = upstream.requests().into_iter().rfind(|request| request.target() == "/").unwrap();
    assert!(asked.header("accept-language").unwrap_or_default().starts_with("ja"), "{asked:?}");
}
