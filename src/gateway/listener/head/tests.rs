use super::*;

fn judge(head: &[u8]) -> Result<Framing, u16> {
    let mut scanner = Scanner::default();
    match scanner.advance(head) {
        Ok(Some(end)) => check(&head[..end]).map_err(Refusal::status),
        Ok(None) => Err(0),
        Err(refusal) => Err(refusal.status()),
    }
}

fn with_fields(fields: &str) -> Result<Framing, u16> {
    judge(format!("POST /x HTTP/1.1\r\n{fields}\r\n").as_bytes())
}

#[test]
fn a_plain_request_passes() {
    assert_eq!(judge(b"GET / HTTP/1.1\r\nHost: app.test\r\n\r\n"), Ok(Framing::Length(0)));
    assert_eq!(judge(b"GET / HTTP/1.0\r\nHost: app.test:8080\r\n\r\n"), Ok(Framing::Length(0)));
    assert_eq!(judge(b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(Framing::Length(0)));
    assert_eq!(judge(b"PROPFIND /d HTTP/1.1\r\nhost:[::1]:80\r\n\r\n"), Ok(Framing::Length(0)));
    assert_eq!(with_fields("Host: a\r\nContent-Length: 17\r\n"), Ok(Framing::Length(17)));
    assert_eq!(with_fields("Host: a\r\nTransfer-Encoding: Chunked \r\n"), Ok(Framing::Chunked));
    assert_eq!(with_fields("Host: a\r\nX-Name: \u{5c71}\u{7530}\r\n"), Ok(Framing::Length(0)));
}

#[test]
fn what_two_servers_could_read_differently_is_refused() {
    let fields = [
        "",
        "Host:\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
        "Host: a, b\r\n",
        "Host: a b\r\n",
        "Host: a/x\r\n",
        "Host: u@a\r\n",
        "Host : a\r\n",
        "Host: a\r\nX: y\r\n folded\r\n",
        " Host: a\r\n",
        "Host: a\r\nX: y\0\r\n",
        "Host: a\r\nX: y\x7f\r\n",
        "Host: a\r\nX: y\rz\r\n",
        "Host: a\r\nX y: z\r\n",
        "Host: a\r\n: z\r\n",
        "Host: a\r\nnocolon\r\n",
        "Host: a\r\nContent-Length : 5\r\n",
        "Host: a\r\nContent-Length: +5\r\n",
        "Host: a\r\nContent-Length: 0x5\r\n",
        "Host: a\r\nContent-Length: -1\r\n",
        "Host: a\r\nContent-Length: 5, 5\r\n",
        "Host: a\r\nContent-Length: 5, 6\r\n",
        "Host: a\r\nContent-Length:\r\n",
        "Host: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n",
        "Host: a\r\nContent-Length: 1\r\ncontent-length: 2\r\n",
        "Host: a\r\nContent-Length: 99999999999999999999\r\n",
        "Host: a\r\nContent-Length: 18446744073709551615\r\n",
        "Host: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Host: a\r\nTransfer-Encoding: xchunked\r\n",
        "Host: a\r\nTransfer-Encoding: identity\r\n",
        "Host: a\r\nTransfer-Encoding: chunked, identity\r\n",
        "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n",
        "Host: a\r\nTransfer-Encoding: \x0bchunked\r\n",
        "Host: a\r\nTransfer-Encoding:\r\n",
        "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    ];
    for case in fields {
        assert_eq!(with_fields(case), Err(400), "{case:?}");
    }
    let heads: [&[u8]; 22] = [
        b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://ab/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http:\\\\a\\x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET admin HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET ?x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET @evil/x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        b"GET / HTTP/1.1\rHost: a\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / \r\nHost: a\r\n\r\n",
        b"GET /\r\nHost: a\r\n\r\n",
        b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xe5\xb1\xb1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / http/1.1\r\nHost: a\r\n\r\n",
        b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    ];
    for case in heads {
        assert_eq!(judge(case), Err(400), "{}", case.escape_ascii());
    }
}

#[test]
fn methods_that_are_not_served_are_refused() {
    for (method, status) in
        [("TRACE", 405), ("CONNECT", 405), ("TRACK", 405), ("get", 501), ("Get", 501), ("FOO", 501), ("", 400)]
    {
        assert_eq!(judge(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()), Err(status), "{method}");
    }
    assert_eq!(judge(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"), Err(505));
}

#[test]
fn a_head_has_limits() {
    let long_target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(64 * 1024));
    assert_eq!(judge(long_target.as_bytes()), Err(414));
    let long_line = format!("Host: a\r\nX: {}\r\n", "a".repeat(200 * 1024));
    assert_eq!(with_fields(&long_line), Err(431));
    let many = format!("Host: a\r\n{}", "X: y\r\n".repeat(300));
    assert_eq!(with_fields(&many), Err(431));
    let just = format!("Host: a\r\n{}", "X: y\r\n".repeat(MAX_FIELDS - 1));
    assert_eq!(with_fields(&just), Ok(Framing::Length(0)));
    assert_eq!(with_fields(&format!("{just}X: y\r\n")), Err(431));
}

#[test]
fn a_head_is_judged_the_same_however_it_comes() {
    let heads: [&[u8]; 3] =
        [b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest", b"GET / HTTP/1.1\nHost: a\n\n", b"GET / HTTP/1.1\r\nA: b\r\n\r\n"];
    for head in heads {
        let mut whole = Scanner::default();
        let at_once = whole.advance(head);
        let mut scanner = Scanner::default();
        let dripped = (1..=head.len())
            .find_map(|end| match scanner.advance(&head[..end]) {
                Ok(None) => None,
                other => Some(other),
            })
            .unwrap_or(Ok(None));
        assert_eq!(at_once, dripped, "{}", head.escape_ascii());
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let _ = judge(&bytes);
        let _ = check(&bytes);
    }
}
