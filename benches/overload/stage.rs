//! Where an attack takes place: a gateway with a tool behind it, and somebody who is signed in.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use super::upstream::Upstream;
use crate::harness::{Client, Lane, Sekisho};

/// The host of every request.
pub const HOST: &str = "app.test";

/// One attack.
pub struct Scenario {
    /// As the command line and the table call it.
    pub name: &'static str,
    /// How often it is made, and for how long at most.
    pub rounds: u32,
    pub length: Duration,
    /// Makes it once. Whatever it does must be bounded in number, and be over when the moment comes.
    pub attack: fn(&Stage, Instant) -> Gains,
    /// More of the gateway's configuration: dotted paths and YAML.
    pub settings: &'static [(&'static str, &'static str)],
}

impl Scenario {
    /// What most attacks have in common; `attack` is their own.
    pub const fn new(name: &'static str, attack: fn(&Stage, Instant) -> Gains) -> Self {
        Self { name, rounds: 4, length: Duration::from_secs(5), attack, settings: &[] }
    }
}

/// What the attackers got, counted: `connections cut: 500`.
#[derive(Default)]
pub struct Gains(pub BTreeMap<&'static str, u64>);

impl Gains {
    /// So many more of these.
    pub fn add(&mut self, what: &'static str, count: u64) {
        *self.0.entry(what).or_default() += count;
    }

    /// Both together.
    pub fn take(&mut self, other: Self) {
        other.0.into_iter().for_each(|(what, count)| self.add(what, count));
    }
}

/// A gateway under attack, and all that belongs to it.
pub struct Stage {
    pub gate: Sekisho,
    /// The attackers' TLS settings: HTTP/1.1, HTTP/2.
    pub http1: Arc<ClientConfig>,
    pub http2: Arc<ClientConfig>,
    /// Alice's, signed in.
    pub cookies: String,
    _upstream: Upstream,
}

impl Stage {
    /// Starts a gateway, and signs alice in.
    pub fn set(scenario: &Scenario) -> Self {
        let upstream = Upstream::start();
        let mut builder = Sekisho::builder()
            .set("second_factor.policy", "off")
            .set("log.access", "off")
            .set("server.tls.redirect_http", "false")
            .tls(&[HOST])
            .user("alice", &[])
            .user("keeper", &["--role", "admin"])
            .route("{name: public, path: /public/, access: public, upstream: UPSTREAM}", &upstream.url())
            .route("{name: tool, upstream: UPSTREAM}", &upstream.url());
        for (path, value) in scenario.settings {
            builder = builder.set(path, value);
        }
        let gate = builder.start();
        let mut alice = Client::tls(&gate, HOST);
        alice.sign_in_by_password_alone(&gate);
        let cookies = alice.cookie_header().trim().trim_start_matches("Cookie: ").to_owned();
        let (http1, http2) = (gate.authority().client(&["http/1.1"]), gate.authority().client(&["h2"]));
        Self { gate, http1, http2, cookies, _upstream: upstream }
    }

    /// Where TLS is spoken.
    pub fn tls(&self) -> SocketAddr {
        self.gate.tls_address()
    }

    /// Alice's connections, half of them over HTTP/2.
    pub fn lanes(&self) -> Vec<Lane> {
        let lane = |config: &Arc<ClientConfig>| Lane {
            address: self.tls(),
            tls: Some((Arc::clone(config), HOST.to_owned())),
            host: HOST.to_owned(),
            path: "/x".to_owned(),
            cookies: self.cookies.clone(),
            body: "ok",
        };
        (0..4).flat_map(|_| [lane(&self.http1), lane(&self.http2)]).collect()
    }
}
