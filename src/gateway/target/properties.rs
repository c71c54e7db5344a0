//! Forwarding headers, whatever stands in them: a stranger's say nothing, a trusted proxy's name the last stranger.

use std::net::SocketAddr;

use http::HeaderValue;
use proptest::prelude::*;

use super::tests::config;
use super::*;

/// Addresses of trusted proxies (see [`config`]), of strangers, and of whoever wants to look near.
fn address() -> impl Strategy<Value = IpAddr> {
    let of = |address: [u8; 4]| IpAddr::from(address);
    prop_oneof![
        (0..=255_u8).prop_map(move |last| of([10, 9, 0, last])),
        Just(of([127, 0, 0, 2])),
        Just(of([127, 0, 0, 1])),
        any::<[u8; 4]>().prop_map(of),
        any::<[u8; 16]>().prop_map(|address| IpAddr::from(address).to_canonical()),
    ]
}

/// An address as one proxy or another writes it.
fn written(address: IpAddr, how: u8) -> String {
    match (how % 3, address) {
        (1, _) => SocketAddr::new(address, 4711).to_string(),
        (2, IpAddr::V6(address)) => format!("[{address}]"),
        _ => address.to_string(),
    }
}

fn arrived(peer: IpAddr, fields: &[(HeaderName, Vec<u8>)], config: &Config) -> Option<Arrival> {
    let mut head = RequestHeader::build("GET", b"/", None).unwrap();
    head.append_header("Host", "app.test").unwrap();
    for (name, value) in fields {
        head.append_header(name.clone(), HeaderValue::from_bytes(value).ok()?).unwrap();
    }
    let endpoints = Endpoints::new(SocketAddr::new(peer, 4711), "127.0.0.1:80".parse().unwrap());
    Some(settle(&head, endpoints, config).unwrap())
}

fn noise() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop::collection::vec(prop_oneof![Just(b','), Just(b' '), 0x21..=0x7E_u8, 0x80..=0xFF_u8], 0..30);
    prop_oneof![bytes, Just(b"https".to_vec()), Just(b"127.0.0.1".to_vec()), Just(b"127.0.0.1, 10.9.0.1".to_vec())]
}

#[test]
fn a_strangers_headers_say_nothing() {
    let config = config();
    proptest!(|(peer in address(), proto in noise(), client in noise(), other in noise())| {
        prop_assume!(!config.trusts(peer));
        let fields = [(X_FORWARDED_PROTO, proto), (X_FORWARDED_FOR, client), (X_FORWARDED_HOST, other)];
        let Some(arrival) = arrived(peer, &fields, &config) else { return Ok(()) };
        prop_assert_eq!((arrival.client, arrival.peer), (peer, peer));
        prop_assert!(!arrival.trusted && !arrival.secure && !arrival.may_sign_in);
        prop_assert_eq!(arrival.target.authority(), "app.test");
    });
}

#[test]
fn the_client_is_the_last_stranger_in_the_chain() {
    let config = config();
    let chain = prop::collection::vec((address(), any::<u8>(), any::<bool>()), 0..6);
    proptest!(|(chain in chain, before in noise())| {
        let peer = IpAddr::from([10, 9, 0, 1]);
        // Each proxy appends to the line, or adds one.
        let mut lines = vec![before];
        for (address, how, own_line) in &chain {
            let text = written(*address, *how).into_bytes();
            match lines.last_mut().filter(|_| !own_line) {
                Some(line) => {
                    line.extend(b", ");
                    line.extend(text);
                }
                None => lines.push(text),
            }
        }
        let all: Vec<_> = lines.into_iter().map(|line| (X_FORWARDED_FOR, line)).collect();
        let Some(arrival) = arrived(peer, &all, &config) else { return Ok(()) };
        let stranger = chain.iter().rev().map(|(address, ..)| *address).find(|address| !config.trusts(*address));
        if let Some(stranger) = stranger {
            prop_assert_eq!(arrival.client, stranger);
        }
    });
}

/// A client's bytes stand in the same line as what a proxy has appended to them.
#[test]
fn bytes_that_are_no_text_hide_nobody() {
    let config = config();
    for line in
        [b"\xff, 203.0.113.7".as_slice(), b"127.0.0.1, \x80, 203.0.113.7, 10.9.0.2", b"\xe3\x81\x82,203.0.113.7"]
    {
        let arrival = arrived(IpAddr::from([10, 9, 0, 1]), &[(X_FORWARDED_FOR, line.to_vec())], &config).unwrap();
        assert_eq!(arrival.client, IpAddr::from([203, 0, 113, 7]), "{}", String::from_utf8_lossy(line));
    }
}
