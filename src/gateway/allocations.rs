//! What a decision takes from the heap: nothing, where the session is in memory.
#![cfg(test)]

use std::net::SocketAddr;

use http::{Method, Version};
use pingora::http::RequestHeader;

use super::context::Endpoints;
use super::credential::{Cookies, Presented};
use super::target::settle;
use crate::authz::{Decision, Facts, Permit, decide};
use crate::config::parse;
use crate::counting::asked;
use crate::secret::{ExposeSecret, Token};
use crate::service::testing::Bench;

const ROUTES: &str = "\
routes:
- {name: tool, host: shop-admin.example.com, upstream: 'http://127.0.0.1:9', second_factor: 'off',
   allow: {networks: [127.0.0.0/8]}}
- {name: reports, host: '*.example.com', path: /reports/monthly, upstream: 'http://127.0.0.1:9', second_factor: 'off'}
- {name: any, path: /, methods: [GET, POST], upstream: 'http://127.0.0.1:9', second_factor: 'off', idle_timeout: 10m}
";

/// Host, target, and fields beside the session's cookie.
type Head = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// What browsers send.
const HEADS: &[Head] = &[
    ("shop-admin.example.com", "/", &[]),
    ("SHOP-admin.example.com:8443", "/orders/1042?filter=open&page=3", &[("accept-language", "ja")]),
    ("a.b.example.com", "/reports/monthly/2026-11.csv", &[("cookie", "theme=dark; PHPSESSID=0123456789abcdef")]),
    ("127.0.0.1:8080", "/x", &[("cookie", "sekisho-language=ja; sekisho-csrf=bad"), ("remote-user", "forged")]),
];

#[tokio::test]
async fn a_decision_on_a_session_in_memory_takes_nothing_from_the_heap() {
    let bench = Bench::new(|config| {
        let text = format!(
            "server: {{listen: ['127.0.0.1:0']}}\nstore: {{path: store}}\nsecrets: {{key_file: secret.key}}\n{ROUTES}"
        );
        config.routes = parse(&text, &config.file, &|_| None).unwrap().config.routes;
    });
    let alice = bench.add("alice").await.user;
    let (token, _) = bench.begin(&alice).await;
    bench.live(&token).await.unwrap();
    for (host, target, fields) in HEADS {
        let head = head(host, target, fields, &token);
        // Of what is made once, the first request makes it.
        assert!(permit(&bench, &head).is_some(), "{host}{target}");
        let (asked, passed) = asked(|| permit(&bench, &head).is_some());
        assert_eq!((asked, passed), (0, true), "{host}{target}");
    }
    // What is longer than usual takes memory of its own, and is seen here.
    let head = head("example.com", &format!("/{}", "x".repeat(1000)), &[], &token);
    assert_eq!(asked(|| permit(&bench, &head).is_some()), (1, true));
}

/// The way of `judge`, from the parsed head to the decision.
fn permit(bench: &Bench, head: &RequestHeader) -> Option<Permit> {
    let config = bench.services.config.load();
    let local = SocketAddr::from(([127, 0, 0, 1], 4711));
    let arrival = settle(head, Endpoints::new(local, local), &config).ok()?;
    let cookies = Cookies::read(&head.headers, arrival.secure);
    let Presented::Session(token) = cookies.presented() else { return None };
    let live = bench.services.sessions.cached(&token.digest())?;
    let route = config.routes.get(config.routes.find(&arrival.target, &Method::GET).ok()??)?;
    let identity = live.identity(route)?;
    let facts = Facts { client: arrival.client, websocket_origin: None };
    match decide(route, &facts, Some(&identity), bench.now()) {
        Decision::Forward(permit) => Some(permit),
        _ => None,
    }
}

fn head(host: &str, target: &str, fields: &[(&'static str, &str)], token: &Token) -> RequestHeader {
    let mut head = RequestHeader::build("GET", target.as_bytes(), None).unwrap();
    head.set_version(Version::HTTP_11);
    head.append_header("host", host).unwrap();
    for (name, value) in fields {
        head.append_header(*name, *value).unwrap();
    }
    head.append_header("cookie", format!("sekisho-session={}", token.encode().expose_secret())).unwrap();
    head
}
