//! Who is believed about the road: a table.

use std::net::SocketAddr;
use std::sync::Arc;

use super::*;
use crate::gateway::listener::proxy_protocol::Header;
use crate::secret::{ExposeSecret, Keys};

pub(super) fn config() -> Arc<Config> {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("secret.key");
    std::fs::write(&key, Keys::generate_line().unwrap().expose_secret()).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let text = "server: {listen: ['127.0.0.1:0'], trusted_proxies: [10.9.0.0/16, 127.0.0.2/32]}\nstore: {path: store}\n\
                secrets: {key_file: secret.key}\nroutes: [{name: all, upstream: 'http://127.0.0.1:9'}]\n";
    Arc::new(crate::config::parse(text, &folder.path().join("sekisho.yaml"), &|_| None).unwrap().config)
}

/// Client, whether https, whether anybody may sign in.
fn arrive(peer: &str, local: &str, tls: bool, fields: &[(&'static str, &'static str)]) -> (String, bool, bool) {
    let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
    arrive_by(Endpoints { tls, ..Endpoints::new(peer, local.parse().unwrap()) }, fields)
}

fn arrive_by(endpoints: Endpoints, fields: &[(&'static str, &'static str)]) -> (String, bool, bool) {
    let mut head = RequestHeader::build("GET", b"/", None).unwrap();
    head.append_header("Host", "app.test").unwrap();
    for (name, value) in fields {
        head.append_header(*name, *value).unwrap();
    }
    let arrival = settle(&head, endpoints, &config()).unwrap();
    (arrival.client.to_string(), arrival.secure, arrival.may_sign_in)
}

type Fields = &'static [(&'static str, &'static str)];
type Row = (&'static str, &'static str, bool, Fields, (&'static str, bool, bool));

#[test]
fn only_trusted_proxies_are_believed() {
    const LOCAL: &str = "127.0.0.1:80";
    const WIDE: &str = "192.0.2.1:80";
    const FOR: &str = "X-Forwarded-For";
    const PROTO: &str = "X-Forwarded-Proto";
    let rows: [Row; 20] = [
        ("127.0.0.1", LOCAL, false, &[], ("127.0.0.1", false, true)),
        ("::1", "[::1]:80", false, &[], ("::1", false, true)),
        ("192.0.2.9", WIDE, false, &[], ("192.0.2.9", false, false)),
        ("192.0.2.9", WIDE, true, &[], ("192.0.2.9", true, true)),
        // Loopback on both sides, but something that is not trusted stands between.
        ("127.0.0.1", LOCAL, false, &[(FOR, "127.0.0.1")], ("127.0.0.1", false, false)),
        ("127.0.0.1", LOCAL, false, &[(PROTO, "https")], ("127.0.0.1", false, false)),
        ("127.0.0.1", LOCAL, false, &[("Forwarded", "for=127.0.0.1")], ("127.0.0.1", false, false)),
        ("127.0.0.1", LOCAL, false, &[("Via", "1.1 x")], ("127.0.0.1", false, false)),
        ("127.0.0.1", WIDE, false, &[], ("127.0.0.1", false, false)),
        // Nobody's word makes a connection safe but a trusted proxy's.
        ("192.0.2.9", WIDE, false, &[(PROTO, "https"), (FOR, "127.0.0.1")], ("192.0.2.9", false, false)),
        ("10.9.0.1", WIDE, false, &[(PROTO, "https"), (FOR, "203.0.113.1")], ("203.0.113.1", true, true)),
        ("10.9.0.1", WIDE, false, &[(PROTO, "http"), (FOR, "203.0.113.1")], ("203.0.113.1", false, false)),
        ("10.9.0.1", WIDE, false, &[(PROTO, "https, http")], ("10.9.0.1", false, false)),
        ("10.9.0.1", WIDE, false, &[(PROTO, "https"), (PROTO, "http")], ("10.9.0.1", false, false)),
        // What stands to the left of the first stranger is the stranger's word.
        ("10.9.0.1", WIDE, true, &[(FOR, "127.0.0.1, 203.0.113.1, 10.9.0.2")], ("203.0.113.1", true, true)),
        ("10.9.0.1", WIDE, true, &[(FOR, "127.0.0.1"), (FOR, "203.0.113.1")], ("203.0.113.1", true, true)),
        ("10.9.0.1", WIDE, true, &[(FOR, "203.0.113.1, nonsense, 10.9.0.2")], ("10.9.0.2", true, true)),
        ("10.9.0.1", WIDE, true, &[(FOR, "[2001:db8::1]:4711")], ("2001:db8::1", true, true)),
        ("127.0.0.2", LOCAL, false, &[(FOR, "127.0.0.1")], ("127.0.0.1", false, true)),
        ("127.0.0.2", LOCAL, false, &[(FOR, "203.0.113.1")], ("203.0.113.1", false, false)),
    ];
    for (peer, local, tls, fields, (client, secure, may_sign_in)) in rows {
        assert_eq!(
            arrive(peer, local, tls, fields),
            (client.to_owned(), secure, may_sign_in),
            "{peer} {local} {fields:?}"
        );
    }
}

/// A header, and what it makes of a plain connection from `peer` to `local` that says `fields`.
type Behind = (&'static str, &'static str, Header, Fields, (&'static str, bool, bool));

#[test]
fn a_proxy_header_names_the_peer_and_makes_nothing_look_nearer() {
    const LOCAL: &str = "127.0.0.1:80";
    const WIDE: &str = "192.0.2.1:80";
    const HTTPS: (&str, &str) = ("X-Forwarded-Proto", "https");
    const FOR: &str = "X-Forwarded-For";
    let of = |source: &str, destination: &str| Header::Of {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    };
    let near = of("127.0.0.1:1", "127.0.0.1:80");
    let rows: [Behind; 17] = [
        // From another machine, whatever is claimed, nobody signs in over plain HTTP.
        ("10.9.0.1", WIDE, near, &[], ("127.0.0.1", false, false)),
        ("10.9.0.1", LOCAL, near, &[], ("127.0.0.1", false, false)),
        ("127.0.0.2", WIDE, near, &[], ("127.0.0.1", false, false)),
        ("10.9.0.1", WIDE, of("[::ffff:127.0.0.1]:1", "[::1]:80"), &[], ("127.0.0.1", false, false)),
        ("10.9.0.1", WIDE, Header::Local, &[], ("10.9.0.1", false, false)),
        ("10.9.0.1", WIDE, Header::Unknown, &[], ("10.9.0.1", false, false)),
        // All four addresses are this machine's own.
        ("127.0.0.2", LOCAL, near, &[], ("127.0.0.1", false, true)),
        ("127.0.0.2", LOCAL, of("127.0.0.1:1", "192.0.2.1:80"), &[], ("127.0.0.1", false, false)),
        ("127.0.0.2", LOCAL, of("203.0.113.7:1", "127.0.0.1:80"), &[], ("203.0.113.7", false, false)),
        ("127.0.0.2", LOCAL, Header::Local, &[], ("127.0.0.2", false, true)),
        ("127.0.0.2", LOCAL, Header::Unknown, &[], ("127.0.0.2", false, false)),
        ("127.0.0.2", LOCAL, near, &[HTTPS], ("127.0.0.1", false, false)),
        // The client named is the peer: it is believed if it is a trusted proxy itself, not because one brought it.
        (
            "10.9.0.1",
            WIDE,
            of("203.0.113.7:1", "192.0.2.1:80"),
            &[(FOR, "8.8.8.8"), HTTPS],
            ("203.0.113.7", false, false),
        ),
        ("10.9.0.1", WIDE, of("10.9.0.2:1", "192.0.2.1:80"), &[(FOR, "8.8.8.8"), HTTPS], ("8.8.8.8", true, true)),
        ("10.9.0.1", WIDE, of("[::ffff:10.9.0.2]:1", "[::1]:80"), &[(FOR, "8.8.8.8"), HTTPS], ("8.8.8.8", true, true)),
        ("10.9.0.1", WIDE, Header::Local, &[(FOR, "8.8.8.8"), HTTPS], ("8.8.8.8", true, true)),
        // The socket's peer would be believed, but these are not its words.
        ("10.9.0.1", WIDE, Header::Unknown, &[(FOR, "8.8.8.8"), HTTPS], ("10.9.0.1", false, false)),
    ];
    for (peer, local, header, fields, (client, secure, may_sign_in)) in rows {
        let socket = Endpoints::new(SocketAddr::new(peer.parse().unwrap(), 4711), local.parse().unwrap());
        let expected = (client.to_owned(), secure, may_sign_in);
        assert_eq!(arrive_by(socket.behind(header), fields), expected, "{peer} {local} {header:?} {fields:?}");
    }
}
