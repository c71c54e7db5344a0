use super::*;

fn settle(target: &str) -> Result<NormalTarget, BadTarget> {
    parse(target.as_bytes(), "app.test", true)
}

fn parse(target: &[u8], authority: &str, secure: bool) -> Result<NormalTarget, BadTarget> {
    NormalTarget::parse(RawTarget { target, authority: Some(authority.as_bytes()), secure })
}

/// What came, what is forwarded, what is matched.
#[test]
fn a_path_is_brought_to_its_normal_form() {
    for (raw, forwarded, matching) in [
        ("/", "/", "/"),
        ("/a/b", "/a/b", "/a/b"),
        ("/a/b/", "/a/b/", "/a/b/"),
        ("/a.b/..c/.d/...", "/a.b/..c/.d/...", "/a.b/..c/.d/..."),
        ("/.sekisho/login", "/.sekisho/login", "/.sekisho/login"),
        ("//a///b//", "/a/b/", "/a/b/"),
        ("/a/./b", "/a/b", "/a/b"),
        ("/a/.", "/a/", "/a/"),
        ("/a/..", "/", "/"),
        ("/a/b/..", "/a/", "/a/"),
        ("/a//../b", "/b", "/b"),
        ("/a/b/../../c", "/c", "/c"),
        ("/a/%2e%2E/b", "/b", "/b"),
        ("/a/.%2e/b", "/b", "/b"),
        ("/a/%2e/b", "/a/b", "/a/b"),
        ("/%41%7e%2d", "/A~-", "/A~-"),
        ("/a%20b", "/a%20b", "/a b"),
        ("/a%21", "/a%21", "/a!"),
        ("/a!", "/a!", "/a!"),
        ("/%e3%81%82", "/%E3%81%82", "/%E3%81%82"),
        ("/{a}|\"<b>^`[c]", "/%7Ba%7D%7C%22%3Cb%3E%5E%60%5Bc%5D", "/{a}|\"<b>^`[c]"),
        ("/100%25", "/100%25", "/100%25"),
        ("/a;x=1/b;y", "/a;x=1/b;y", "/a/b"),
        ("/a%3bx/b", "/a%3Bx/b", "/a/b"),
        ("/;jsessionid=1", "/;jsessionid=1", "/"),
        ("/a;../b", "/a;../b", "/a/b"),
        ("/a%2fb", "/a%2Fb", "/a%2Fb"),
        ("/a%3fb%23c", "/a%3Fb%23c", "/a?b#c"),
        ("/..a%3fb", "/..a%3Fb", "/..a?b"),
        // Shift_JIS and EUC-JP names of old tools.
        ("/%83%65%83%58%83%67.html", "/%83e%83X%83g.html", "/%83e%83X%83g.html"),
        ("/%C3%DE%B0%C0.csv", "/%C3%DE%B0%C0.csv", "/%C3%DE%B0%C0.csv"),
        ("/%C3%DE%B0%C0/x", "/%C3%DE%B0%C0/x", "/%C3%DE%B0%C0/x"),
        ("/%C0%BB%C0%DE", "/%C0%BB%C0%DE", "/%C0%BB%C0%DE"),
    ] {
        let target = settle(raw).unwrap_or_else(|error| panic!("{raw}: {error}"));
        assert_eq!((target.path(), target.matching_path()), (forwarded, matching), "{raw}");
        assert_eq!(target.query(), None, "{raw}");
    }
}

#[test]
fn a_path_that_two_servers_could_read_differently_is_refused() {
    use BadTarget::{Climbs, EncodedSlash, Form, Parameters, Path};
    for (raw, error) in [
        ("/..", Climbs),
        ("/../a", Climbs),
        ("/a/../../b", Climbs),
        ("/%2e%2e/a", Climbs),
        ("/%", Path),
        ("/%4", Path),
        ("/%zz", Path),
        ("/%+1", Path),
        ("/%u002e", Path),
        ("/a\\b", Path),
        ("/a%5cb", Path),
        ("/a%5Cb", Path),
        ("/a%00", Path),
        ("/a%0d%0ab", Path),
        ("/a%09", Path),
        ("/a%7f", Path),
        ("/a b", Path),
        ("/a\tb", Path),
        ("/a\0b", Path),
        ("/あ", Path),
        ("/a#b", Path),
        ("/..;/a", Path),
        ("/p/..;/a", Path),
        ("/p/..;x=y/a", Path),
        ("/p/.;x/a", Path),
        ("/p/%2e%2e;/a", Path),
        ("/p/%2e%2e%3b/a", Path),
        ("/p/..%3B/a", Path),
        ("/p/..%20/a", Path),
        ("/p/..%3f", Path),
        ("/p/..%3Fx/a", Path),
        ("/p/.%3fx", Path),
        ("/p/%2e%2e%23x", Path),
        ("/p/..%20%3fx", Path),
        ("/p/..%253fx", Path),
        ("/p/..%253bx/a", Path),
        ("/p/..%2520/a", Path),
        ("/p/..%2523", Path),
        ("/p/%20./a", Path),
        ("/p/..%2fa", Path),
        ("/p%2f..%2fa", Path),
        ("/p%2f..", Path),
        ("/p%2f.%2fa", Path),
        ("/p%2f..;x%2fa", Path),
        ("/p%2fa;x", EncodedSlash),
        ("/p/%252e%252e/a", Path),
        ("/p%252fa", Path),
        ("/p%255Ca", Path),
        ("/p%2500", Path),
        ("/p/%25%32%65/a", Path),
        ("/p/%2%65", Path),
        ("/p/%25252e/a", Path),
        ("/p/%2525252e/a", Path),
        ("/p/%252525252525252541/a", Path),
        ("/p/%25u002e/a", Path),
        ("/p/%25c0%25ae/a", Path),
        ("/p/%c0%ae/a", Path),
        ("/p/%C0%2E/a", Path),
        ("/p/%c0%6e/a", Path),
        ("/p/%c0%afa", Path),
        ("/p/%c1%9ca", Path),
        ("/p/%e0%80%ae/a", Path),
        ("/p/%e0%80%afa", Path),
        ("/p/%e0%81%9ca", Path),
        ("/p/%f0%80%80%ae/a", Path),
        ("/p/%f8%80%80%80%ae/a", Path),
        ("/p/%fc%80%80%80%80%ae/a", Path),
        ("/p/..%c0%bbx/a", Path),
        ("/p/..%c0%bf", Path),
        ("/p/..%c0%a0/a", Path),
        ("/p/..%25c0%25bb/a", Path),
        ("/;x/a", Parameters),
        ("/p/;x/a", Parameters),
        ("/p/%3bx/a", Parameters),
        ("", Form),
        ("*", Form),
        ("admin", Form),
        ("?x", Form),
        ("@evil/x", Form),
        ("app.test:443", Form),
    ] {
        assert_eq!(settle(raw).map(|target| target.path().to_owned()), Err(error), "{raw}");
    }
    for byte in (0..=0x20).chain([b'\\', b'#']).chain(0x7F..=0xFF) {
        assert_eq!(parse(&[b'/', byte], "app.test", true), Err(BadTarget::Path), "{byte:#x}");
        if byte != b'\\' {
            assert_eq!(parse(&[b'/', b'?', byte], "app.test", true), Err(BadTarget::Query), "?{byte:#x}");
        }
    }
}

#[test]
fn a_query_is_passed_on_byte_by_byte() {
    for query in ["", "a=b", "/../x", "x=%2e%2e%2f%00%", "a\\b", "{|^[]}'", "?&?", "%u3042"] {
        let target = settle(&format!("/a/../b?{query}")).unwrap();
        assert_eq!(target.path_and_query(), format!("/b?{query}"));
        assert_eq!((target.path(), target.matching_path(), target.query()), ("/b", "/b", Some(query)));
        assert_eq!(settle(&format!("/b?{query}")).unwrap(), target);
    }
    for path in ["/b", "/a/../b"] {
        let target = settle(&format!("{path}?q={{\"a\":`<1>`}}")).unwrap();
        assert_eq!(target.path_and_query(), "/b?q={%22a%22:%60%3C1%3E%60}");
    }
}

#[test]
fn absolute_form_must_say_what_the_connection_says() {
    for (raw, secure, expected) in [
        ("https://app.test/x?y", true, Ok("/x?y")),
        ("HTTPS://APP.test./x", true, Ok("/x")),
        ("https://app.test:443/x", true, Ok("/x")),
        ("https://app.test", true, Ok("/")),
        ("https://app.test?y", true, Ok("/?y")),
        ("https://app.test/a/../b", true, Ok("/b")),
        ("http://app.test/x", false, Ok("/x")),
        ("http://app.test/x", true, Err(BadTarget::Form)),
        ("https://app.test/x", false, Err(BadTarget::Form)),
        ("https://other.test/x", true, Err(BadTarget::Form)),
        ("https://app.test:8443/x", true, Err(BadTarget::Form)),
        ("https://user@app.test/x", true, Err(BadTarget::Form)),
        ("https:///x", true, Err(BadTarget::Form)),
        ("https:/app.test/x", true, Err(BadTarget::Form)),
        ("https:\\\\app.test\\x", true, Err(BadTarget::Form)),
        ("https://app.test\\x", true, Err(BadTarget::Form)),
        ("https://app.test#/x", true, Err(BadTarget::Form)),
        ("ftp://app.test/x", true, Err(BadTarget::Form)),
        ("https://app.test/..", true, Err(BadTarget::Climbs)),
    ] {
        let target = parse(raw.as_bytes(), "app.test", secure);
        assert_eq!(target.as_ref().map(NormalTarget::path_and_query).map_err(|error| *error), expected, "{raw}");
    }
}

#[test]
fn a_host_has_one_spelling() {
    for (raw, secure, canonical) in [
        ("app.test", true, "app.test"),
        ("APP.Test", true, "app.test"),
        ("app.test.", true, "app.test"),
        ("app.test:443", true, "app.test"),
        ("app.test:80", true, "app.test:80"),
        ("app.test:80", false, "app.test"),
        ("App.Test.:8443", true, "app.test:8443"),
        ("build_server", true, "build_server"),
        ("xn--eckwd4c7c.jp", true, "xn--eckwd4c7c.jp"),
        ("3com.test", true, "3com.test"),
        ("127.0.0.1:8080", false, "127.0.0.1:8080"),
        ("[::1]:8080", false, "[::1]:8080"),
        ("[2001:DB8:0::1]", true, "[2001:db8::1]"),
    ] {
        let target = parse(b"/", raw, secure).unwrap_or_else(|error| panic!("{raw}: {error}"));
        assert_eq!(target.authority(), canonical, "{raw}");
        assert_eq!(target.has_authority(raw.as_bytes()), raw == canonical, "{raw}");
        assert!(target.has_authority(canonical.as_bytes()), "{canonical}");
    }
}

#[test]
fn what_is_no_host_is_refused() {
    let long_label = "a".repeat(64);
    let long_name = "a.".repeat(128);
    for raw in [
        "",
        ".",
        "..",
        "app..test",
        ".app.test",
        "app.test..",
        "app.test, other.test",
        "app.test,other.test",
        "app.test other",
        " app.test",
        "app.test ",
        "app.test/x",
        "a@app.test",
        "app.test?x",
        "app.test#x",
        "app.test\\x",
        "app%2etest",
        "日本.jp",
        "app.test:",
        "app.test:0",
        "app.test:080",
        "app.test:99999",
        "app.test:+80",
        "app.test:8 0",
        "app.test:80:80",
        ":80",
        "-app.test",
        "app-.test",
        "app\0.test",
        "127.1",
        "127.0.0.01",
        "0x7f.0.0.1",
        "app.0x7f",
        "2130706433",
        "256.0.0.1",
        "::1",
        "[::1",
        "[]",
        "[::1]x",
        "[::1].",
        "[fe80::1%25eth0]",
        "[app.test]",
        long_label.as_str(),
        long_name.as_str(),
    ] {
        assert_eq!(parse(b"/", raw, true), Err(BadTarget::Host), "{raw:?}");
    }
    assert_eq!(NormalTarget::parse(RawTarget { target: b"/", authority: None, secure: true }), Err(BadTarget::Host));
    assert_eq!(
        NormalTarget::parse(RawTarget { target: b"/", authority: Some(b"app\xFF"), secure: true }),
        Err(BadTarget::Host)
    );
}

#[test]
fn a_target_has_a_greatest_length() {
    let longest = format!("/{}", "a".repeat(MAX_TARGET - 1));
    assert_eq!(settle(&longest).unwrap().path(), longest);
    assert_eq!(settle(&format!("{longest}a")), Err(BadTarget::TooLong));
}
