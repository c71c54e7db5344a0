//! Headers as proxies write them, and as they do not.

use proptest::prelude::*;

use super::*;

fn of(source: &str, destination: &str) -> Header {
    Header::Of { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

fn v2(command: u8, family: u8, length: u16, rest: &[u8]) -> Vec<u8> {
    [SIGNATURE.as_slice(), &[command, family], &length.to_be_bytes(), rest].concat()
}

const V4: [u8; 12] = [203, 0, 113, 7, 192, 0, 2, 1, 0x12, 0x34, 0x01, 0xbb];

#[test]
fn version_1_is_read_to_its_line_break() {
    let rows: [(&str, Header); 7] = [
        ("PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n", of("203.0.113.7:56324", "192.0.2.1:443")),
        ("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", of("0.0.0.0:0", "255.255.255.255:65535")),
        ("PROXY TCP6 2001:db8::7 ::1 1 2\r\n", of("[2001:db8::7]:1", "[::1]:2")),
        (
            "PROXY TCP6 ::ffff:203.0.113.7 ::ffff:192.0.2.1 1 2\r\n",
            of("[::ffff:203.0.113.7]:1", "[::ffff:192.0.2.1]:2"),
        ),
        ("PROXY UNKNOWN\r\n", Header::Unknown),
        ("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", Header::Unknown),
        ("PROXY UNKNOWN  what ever\r\n", Header::Unknown),
    ];
    for (line, header) in rows {
        let with_more = format!("{line}GET / HTTP/1.1\r\n");
        assert_eq!(parse(with_more.as_bytes()).unwrap(), Some((header, line.len())), "{line}");
    }
}

#[test]
fn version_1_takes_no_other_spelling() {
    for line in [
        "PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\n",
        "PROXY  TCP4 203.0.113.7 192.0.2.1 56324 443\r\n",
        "PROXY TCP4 203.0.113.7  192.0.2.1 56324 443\r\n",
        "PROXY TCP4 203.0.113.7 192.0.2.1 56324 443 \r\n",
        "PROXY TCP4 203.0.113.7 192.0.2.1 56324 443 9\r\n",
        "PROXY TCP4 203.0.113.7 192.0.2.1 56324\r\n",
        "PROXY TCP4 203.0.113.7 192.0.2.1 +80 443\r\n",
        "PROXY TCP4 203.0.113.7 192.0.2.1 080 443\r\n",
        "PROXY TCP4 203.0.113.7 192.0.2.1 65536 443\r\n",
        "PROXY TCP4 203.0.113.07 192.0.2.1 1 443\r\n",
        "PROXY TCP4 203.0.113 192.0.2.1 1 443\r\n",
        "PROXY TCP4 2001:db8::7 2001:db8::8 1 443\r\n",
        "PROXY TCP6 203.0.113.7 192.0.2.1 1 443\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 1 443\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY UDP4 203.0.113.7 192.0.2.1 1 443\r\n",
        "PROXY tcp4 203.0.113.7 192.0.2.1 1 443\r\n",
        "PROXY \r\n",
    ] {
        assert!(matches!(parse(line.as_bytes()), Err(BadHeader::Malformed(_))), "{line}");
    }
    for line in [
        "PROXY_TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "GET / HTTP/1.1\r\n",
        "\x16\x03\x01",
    ] {
        assert!(matches!(parse(line.as_bytes()), Err(BadHeader::Absent)), "{line}");
    }
}

#[test]
fn a_line_of_version_1_has_107_bytes_at_most() {
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_V1 - 16));
    assert_eq!(long.len(), MAX_V1);
    assert_eq!(parse(long.as_bytes()).unwrap(), Some((Header::Unknown, MAX_V1)));
    let longer = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_V1 - 15));
    assert!(matches!(parse(longer.as_bytes()), Err(BadHeader::TooLong)));
    assert!(matches!(parse(&longer.as_bytes()[..MAX_V1]), Err(BadHeader::TooLong)));
    assert!(matches!(parse(&longer.as_bytes()[..MAX_V1 - 1]), Ok(None)));
}

#[test]
fn version_2_is_read_to_the_length_that_it_names() {
    let v6: Vec<u8> =
        [&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7], [0; 16].as_slice(), &[0, 1, 0, 2]].concat();
    let with_values = [V4.as_slice(), &[0x04, 0, 3, 1, 2, 3, 0x20, 0, 0]].concat();
    let rows: [(Vec<u8>, Header); 9] = [
        (v2(0x21, 0x11, 12, &V4), of("203.0.113.7:4660", "192.0.2.1:443")),
        (v2(0x21, 0x11, 21, &with_values), of("203.0.113.7:4660", "192.0.2.1:443")),
        (v2(0x21, 0x21, 36, &v6), of("[2001:db8::7]:1", "[::]:2")),
        (v2(0x20, 0x00, 0, &[]), Header::Local),
        (v2(0x20, 0x11, 12, &V4), Header::Local),
        (v2(0x20, 0x11, 3, &[1, 2, 3]), Header::Local),
        (v2(0x21, 0x00, 0, &[]), Header::Unknown),
        (v2(0x21, 0x00, 2, &[1, 2]), Header::Unknown),
        (v2(0x21, 0x31, 216, &[b'/'; 216]), Header::Unknown),
    ];
    for (bytes, header) in rows {
        let with_more = [bytes.as_slice(), b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(parse(&with_more).unwrap(), Some((header, bytes.len())), "{bytes:?}");
    }
}

#[test]
fn version_2_takes_no_unknown_command_or_family_and_no_lie_about_its_length() {
    for (command, family) in
        [(0x11, 0x11), (0x22, 0x11), (0x2f, 0x11), (0x31, 0x11), (0x21, 0x12), (0x21, 0x22), (0x21, 0x10), (0x21, 0x41)]
    {
        assert!(matches!(parse(&v2(command, family, 12, &V4)), Err(BadHeader::Malformed(_))), "{command:x} {family:x}");
    }
    for (family, length) in [(0x11, 11), (0x11, 0), (0x21, 12), (0x21, 35), (0x31, 215)] {
        assert!(matches!(parse(&v2(0x21, family, length, &V4)), Err(BadHeader::Malformed(_))), "{family:x} {length}");
    }
    // Longer than what comes: it is waited for, within the deadline, and never beyond the largest.
    assert!(matches!(parse(&v2(0x21, 0x11, 13, &V4)), Ok(None)));
    assert!(matches!(parse(&v2(0x21, 0x11, u16::MAX, &V4)), Err(BadHeader::TooLong)));
}

proptest! {
    #[test]
    fn any_beginning_of_a_header_waits_for_the_rest(
        source in any::<[u8; 4]>(), destination in any::<[u8; 4]>(), ports in any::<(u16, u16)>(), values in prop::collection::vec(any::<u8>(), 0..40)
    ) {
        let (source, destination) = (SocketAddr::from((source, ports.0)), SocketAddr::from((destination, ports.1)));
        let line = format!("PROXY TCP4 {} {} {} {}\r\n", source.ip(), destination.ip(), ports.0, ports.1);
        let octets = |address: SocketAddr| match address.ip() { IpAddr::V4(ip) => ip.octets(), IpAddr::V6(_) => [0; 4] };
        let rest = [octets(source).as_slice(), &octets(destination), &ports.0.to_be_bytes(), &ports.1.to_be_bytes(), &values].concat();
        for bytes in [line.into_bytes(), v2(0x21, 0x11, u16::try_from(rest.len()).unwrap(), &rest)] {
            for end in 0..bytes.len() {
                prop_assert!(matches!(parse(&bytes[..end]), Ok(None)), "{end}");
            }
            prop_assert_eq!(parse(&bytes).unwrap(), Some((Header::Of { source, destination }, bytes.len())));
        }
    }

    #[test]
    fn nothing_makes_it_panic_or_read_beyond_what_is_there(start in 0..3usize, noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let start: &[u8] = [b"PROXY ".as_slice(), SIGNATURE, b""][start];
        let bytes = [start, &noise].concat();
        if let Ok(Some((_, length))) = parse(&bytes) {
            prop_assert!(length <= bytes.len());
            // It is decided by these bytes alone.
            prop_assert!(matches!(parse(&bytes[..length]), Ok(Some(_))));
        }
    }
}
