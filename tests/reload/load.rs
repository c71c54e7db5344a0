//! 500 requests a second go through reloads that change routes and certificates, and none of them notices.

use super::gate;
use crate::harness::{Client, Lane, Recorder, Sekisho, Steady};

/// Reloads in the ordinary run, and in the long one.
const RELOADS: (u32, u32) = (5, 20);
const RATE: u32 = 500;

/// Over HTTP/1.1 without and with TLS, over HTTP/2, with a session and without one.
fn lanes(gate: &Sekisho, alice: &Client) -> Vec<Lane> {
    let cookies = alice.cookie_header().trim().trim_start_matches("Cookie: ").to_owned();
    let tls = |alpn: &str| Some((gate.authority().client(&[alpn]), "app.test".to_owned()));
    let lane = |tls: Option<_>, path: &str, cookies: &str| Lane {
        address: if tls.is_some() { gate.tls_address() } else { gate.address() },
        tls,
        host: "app.test".to_owned(),
        path: path.to_owned(),
        cookies: cookies.to_owned(),
        body: "ok",
    };
    let mut lanes = Vec::new();
    for _ in 0..2 {
        lanes.push(lane(None, "/public/x", ""));
        for alpn in ["http/1.1", "h2"] {
            lanes.push(lane(tls(alpn), "/public/x", ""));
            lanes.push(lane(tls(alpn), "/x", &cookies));
        }
    }
    lanes
}

#[test]
fn no_request_fails_and_no_connection_is_dropped_through_reloads() {
    let long = std::env::var_os("SEKISHO_LONG_TESTS").is_some();
    let reloads = if long { RELOADS.1 } else { RELOADS.0 };
    let (upstream, other) = (Recorder::ok(), Recorder::ok());
    let gate = gate(&upstream.url())
        .tls(&["app.test"])
        .set("server.tls.redirect_http", "false")
        .set("log.access", "off")
        .start();
    let routes = |upstream: &Recorder, round: u32| {
        format!(
            "[{{name: all, upstream: {0:?}, idle_timeout: {1}m}}, \
              {{name: public, path: /public/, access: public, upstream: {0:?}, preserve_host: {2}}}, \
              {{name: r{round}, path: /r{round}, upstream: {0:?}}}]",
            upstream.url(),
            20 + round % 5,
            round.is_multiple_of(2),
        )
    };
    gate.change("routes", &routes(&upstream, 0));
    gate.reload();
    let mut alice = Client::tls(&gate, "app.test");
    alice.sign_in_by_password_alone(&gate);

    let load = Steady::start(lanes(&gate, &alice), RATE);
    load.more(u64::from(RATE) / 2);
    for round in 1..=reloads {
        let leads_to = if round % 2 == 0 { &upstream } else { &other };
        gate.change("routes", &routes(leads_to, round));
        gate.authority().issue(&gate.folder(), &["app.test"]);
        gate.reload();
        load.more(u64::from(RATE) / 2);
    }
    let (answered, faults) = load.stop();
    assert!(faults.is_empty(), "{} of {answered} went wrong: {:?}", faults.len(), &faults[..faults.len().min(5)]);
    assert!(answered >= u64::from(RATE / 2 * reloads));
    assert!(!other.requests().is_empty(), "the reloads had their effect");
}
