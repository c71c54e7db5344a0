//! Clients' connections: how many are open and for what, how many may be, and which never came about.

use prometheus::{IntCounter, IntGauge, Registry};

use super::{Held, counter, counters, gauge, gauges, registered};

/// What a connection is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Accepted, and the PROXY header or the TLS handshake is not over.
    Handshake,
    Http1,
    Http2,
    /// An HTTP/1 connection that has become a WebSocket.
    WebSocket,
}

impl Protocol {
    const ALL: [Self; 4] = [Self::Handshake, Self::Http1, Self::Http2, Self::WebSocket];

    const fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::WebSocket => "websocket",
        }
    }
}

/// All of them.
pub struct Connections {
    /// In the order of [`Protocol::ALL`].
    open: [IntGauge; 4],
    /// How many may be open at once.
    pub limit: IntGauge,
    pub accepted: IntCounter,
    /// The system gave no socket: out of file descriptors more often than not.
    pub accept_errors: IntCounter,
    pub bad_proxy_headers: IntCounter,
    pub tls_failed: IntCounter,
    pub tls_timed_out: IntCounter,
    /// An address had its share of all places; a head of HTTP/2 took too long; frames came that carry nothing.
    pub cut_share: IntCounter,
    pub cut_slow: IntCounter,
    pub cut_flood: IntCounter,
}

/// An HTTP/1 connection while it is a WebSocket.
#[derive(Debug)]
pub struct Tunnel {
    _open: Held,
    http1: IntGauge,
}

impl Connections {
    pub(super) fn new(registry: &Registry) -> Self {
        let open =
            gauges("sekisho_connections", "Open connections of clients, by what they are used for.", &["protocol"]);
        let open = registered(registry, open);
        let limit = gauge("sekisho_connections_limit", "How many connections may be open at once.");
        let accepted = counter("sekisho_connections_accepted_total", "Connections that clients have opened.");
        let errors = counter("sekisho_accept_errors_total", "Connections that the system would not hand over.");
        let failed =
            counters("sekisho_tls_handshakes_failed_total", "TLS handshakes that came to nothing.", &["reason"]);
        let failed = registered(registry, failed);
        let bad = counter("sekisho_proxy_headers_refused_total", "Connections without the PROXY header that was due.");
        let cut = counters(
            "sekisho_connections_cut_total",
            "Connections that were ended to protect the others.",
            &["reason"],
        );
        let cut = registered(registry, cut);
        Self {
            open: Protocol::ALL.map(|protocol| open.with_label_values(&[protocol.name()])),
            limit: registered(registry, limit),
            accepted: registered(registry, accepted),
            accept_errors: registered(registry, errors),
            bad_proxy_headers: registered(registry, bad),
            tls_failed: failed.with_label_values(&["error"]),
            tls_timed_out: failed.with_label_values(&["timeout"]),
            cut_share: cut.with_label_values(&["share"]),
            cut_slow: cut.with_label_values(&["slow"]),
            cut_flood: cut.with_label_values(&["flood"]),
        }
    }

    /// A connection that is used for this from now on.
    #[must_use]
    pub fn open(&self, protocol: Protocol) -> Held {
        Held::new(self.gauge(protocol))
    }

    /// An HTTP/1 connection has become a WebSocket, until this is dropped.
    #[must_use]
    pub fn tunnel(&self) -> Tunnel {
        let http1 = self.gauge(Protocol::Http1).clone();
        http1.dec();
        Tunnel { _open: self.open(Protocol::WebSocket), http1 }
    }

    #[expect(clippy::indexing_slicing, reason = "there is one for each protocol")]
    const fn gauge(&self, protocol: Protocol) -> &IntGauge {
        &self.open[protocol as usize]
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.http1.inc();
    }
}
