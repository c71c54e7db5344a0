//! Whole heads: what a client sent, and what the upstream gets of it.

use std::path::Path;
use std::sync::Arc;

use http::Version;

use super::*;
use crate::authz::Account;
use crate::authz::identity::AccountSecondFactor;
use crate::gateway::plan::Plan;
use crate::gateway::road::Road;
use crate::gateway::upstream::member::Members;
use crate::id::UserId;
use crate::metrics::Metrics;
use crate::secret::{ExposeSecret, Keys};

pub(in crate::gateway) fn plan(more: &str) -> Arc<Plan> {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("secret.key");
    std::fs::write(&key, Keys::generate_line().unwrap().expose_secret()).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let text = format!(
        "server: {{listen: ['127.0.0.1:0'], trusted_proxies: [10.9.0.0/16]}}\nstore: {{path: store}}\n\
         secrets: {{key_file: secret.key}}\nroutes:\n  - {{name: all, path: /, second_factor: 'off', upstream: 'http://127.0.0.1:9'}}\n\
         {more}\n"
    );
    let loaded = crate::config::parse(&text, &folder.path().join("sekisho.yaml"), &|_| None).unwrap();
    let _: &Path = folder.path();
    let metrics = Metrics::new();
    Arc::new(Plan::new(Arc::new(loaded.config), &metrics.requests, &Members::new(metrics.upstreams.clone())))
}

fn alice() -> Account {
    Account {
        id: UserId::from_bytes([1; 10]),
        login: "alice".parse().unwrap(),
        name: "山田 50%".parse().unwrap(),
        email: Some("alice@example.com".parse().unwrap()),
        groups: vec!["ops".parse().unwrap(), "shop".parse().unwrap()],
        role: crate::authn::user::Role::User,
        second_factor: AccountSecondFactor {
            switched_on: false,
            method: crate::authn::user::Method::Totp,
            usable: false,
        },
    }
}

/// What the upstream gets, as lines in lower case, of a head that came from `peer`.
fn sent(plan: &Arc<Plan>, peer: &str, target: &str, fields: &[(&'static str, &str)]) -> Vec<String> {
    let mut head = RequestHeader::build("GET", target.as_bytes(), None).unwrap();
    head.set_version(Version::HTTP_11);
    for (name, value) in fields {
        head.append_header(*name, *value).unwrap();
    }
    let passed = Road(Arc::clone(plan)).pass_head(peer.parse().unwrap(), head, Some(alice())).expect("forwarded");
    let mut head = passed.head();
    passed.set_headers(&mut head).unwrap();
    let mut lines = vec![format!("GET {}", String::from_utf8_lossy(head.raw_path()))];
    lines.extend(
        head.headers.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))),
    );
    lines
}

fn values<'a>(lines: &'a [String], name: &str) -> Vec<&'a str> {
    lines.iter().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
}

#[test]
fn whatever_the_client_says_the_upstream_hears_the_truth_once() {
    let plan = plan("");
    let spoofs: [&[(&'static str, &str)]; 6] = [
        &[],
        &[("Remote-User", "root")],
        &[("Remote-User", "root"), ("remote-user", "root2"), ("REMOTE-USER", "")],
        &[("Remote_User", "root"), ("Remote.User", "root"), ("REMOTE__USER", "root"), ("X_Forwarded_User", "root")],
        &[("X-Forwarded-For", "10.0.0.1"), ("X-Real-IP", "10.0.0.1"), ("Forwarded", "for=10.0.0.1;host=evil")],
        &[("X-Forwarded-Host", "evil"), ("X-Forwarded-Proto", "https"), ("X_Forwarded_For", "10.0.0.1")],
    ];
    for fields in spoofs {
        let fields: Vec<_> = [("Host", "app.test")].iter().chain(fields).copied().collect();
        let lines = sent(&plan, "192.0.2.7", "/x", &fields);
        assert_eq!(values(&lines, "remote-user"), ["alice"]);
        assert_eq!(values(&lines, "remote-groups"), ["ops,shop"]);
        assert_eq!(values(&lines, "remote-email"), ["alice@example.com"]);
        assert_eq!(values(&lines, "remote-name"), ["%E5%B1%B1%E7%94%B0 50%25"]);
        assert_eq!(values(&lines, "x-forwarded-for"), ["192.0.2.7"]);
        assert_eq!(values(&lines, "x-real-ip"), ["192.0.2.7"]);
        assert_eq!(values(&lines, "x-forwarded-proto"), ["http"]);
        assert_eq!(values(&lines, "x-forwarded-host"), ["app.test"]);
        assert_eq!(values(&lines, "traceparent").len(), 1);
        assert_eq!(lines.len(), 12, "nothing else is left: {lines:?}");
    }
}

#[test]
fn addresses_are_written_as_everybody_writes_them() {
    for octet in 0..=u8::MAX {
        let numbers = [octet, 255 - octet, octet / 3, 0];
        assert_eq!(address(IpAddr::from(numbers)), IpAddr::from(numbers).to_string());
    }
    assert_eq!(address("2001:db8::7".parse().unwrap()), "2001:db8::7");
}

#[test]
fn a_trusted_proxy_is_believed_and_continued() {
    let fields = [
        ("Host", "app.test"),
        ("X-Forwarded-For", "203.0.113.9, 10.9.1.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "shop.example.com"),
        ("X-Forwarded-User", "root"),
    ];
    let lines = sent(&plan(""), "10.9.0.1", "/", &fields);
    assert_eq!(values(&lines, "x-forwarded-for"), ["203.0.113.9, 10.9.1.1, 10.9.0.1"]);
    assert_eq!(values(&lines, "x-real-ip"), ["203.0.113.9"]);
    assert_eq!(values(&lines, "x-forwarded-proto"), ["https"]);
    assert_eq!(values(&lines, "x-forwarded-host"), ["shop.example.com"]);
    assert!(values(&lines, "x-forwarded-user").is_empty());
}

#[test]
fn what_was_matched_is_what_is_sent() {
    let lines = sent(&plan(""), "192.0.2.7", "/a//b/./c;v=1?q=/../x", &[("Host", "APP.test.")]);
    assert_eq!(lines.first().map(String::as_str), Some("GET /a/b/c;v=1?q=/../x"));
    assert_eq!(values(&lines, "host"), ["app.test"]);
}

#[test]
fn cookies_of_sekishos_stay_here() {
    let fields =
        [("Host", "a"), ("Cookie", "sid=1; sekisho-session=x"), ("Cookie", "__Host-sekisho-device=y; t=\"2\"")];
    assert_eq!(values(&sent(&plan(""), "192.0.2.7", "/", &fields), "cookie"), ["sid=1; t=\"2\""]);
    let fields = [("Host", "a"), ("Cookie", "sekisho-session=x")];
    assert!(values(&sent(&plan(""), "192.0.2.7", "/", &fields), "cookie").is_empty());
}

#[test]
fn names_are_encoded_as_the_configuration_says() {
    let utf8 = sent(&plan("identity: {encoding: utf8}"), "192.0.2.7", "/", &[("Host", "a")]);
    assert_eq!(values(&utf8, "remote-name"), ["山田 50%"]);
    let words = sent(&plan("identity: {encoding: rfc2047}"), "192.0.2.7", "/", &[("Host", "a")]);
    assert_eq!(values(&words, "remote-name"), ["=?UTF-8?B?5bGx55SwIDUwJQ==?="]);
    assert_eq!(values(&words, "remote-user"), ["alice"]);
}
