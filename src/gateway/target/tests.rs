//! Who is believed about the road: a table.

use std::sync::Arc;

use super::*;
use crate::secret::{ExposeSecret, Keys};

fn config() -> Arc<Config> {
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
    let mut head = RequestHeader::build("GET", b"/", None).unwrap();
    head.append_header("Host", "app.test").unwrap();
    for (name, value) in fields {
        head.append_header(*name, *value).unwrap();
    }
    let endpoints = Endpoints { peer: peer.parse().unwrap(), local: local.parse().unwrap(), tls };
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
