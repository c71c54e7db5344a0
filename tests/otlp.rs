//! Spans over OTLP/HTTP, as a collector gets them (cargo feature `otlp`, which `tests/full` builds).

use std::collections::HashMap;
use std::io::Write;

use crate::harness::{Recorded, Recorder, Sekisho, wait_until};
use crate::wire::{ask, gate, get, status};

const ID: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const SERVER: u64 = 2;
const CLIENT: u64 = 3;

/// A collector that takes whatever it is sent.
fn collector() -> Recorder {
    Recorder::with(|_, stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")
            .is_ok()
    })
}

fn sending(upstream: &Recorder, collector: &Recorder, more: &[(&str, &str)]) -> Sekisho {
    let gate = gate(upstream).set("server.trusted_proxies", "[127.0.0.1/32]");
    let gate =
        gate.environment("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()).environment("OTEL_BSP_SCHEDULE_DELAY", "50");
    more.iter().fold(gate, |gate, (name, value)| gate.environment(name, value)).start()
}

/// A span, with what its attributes say.
#[derive(Debug, Clone)]
struct Span {
    trace: String,
    id: String,
    parent: String,
    name: String,
    kind: u64,
    attributes: HashMap<String, String>,
}

fn spans(requests: &[Recorded]) -> Vec<Span> {
    let mut all = Vec::new();
    for request in requests {
        assert_eq!(request.target(), "/v1/traces");
        for resource in inner(&request.body, 1) {
            assert!(find(&resource, b"sekisho"), "the service is named");
            for span in inner(&resource, 2).iter().flat_map(|scope| inner(scope, 2)) {
                let one = |field| inner(&span, field).into_iter().next().unwrap_or_default();
                let hex = |field| one(field).iter().map(|byte| format!("{byte:02x}")).collect();
                let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
                let attributes = inner(&span, 9).into_iter().map(|pair| {
                    let value = inner(&pair, 2).remove(0);
                    let value = match inner(&value, 1).pop() {
                        Some(words) => text(words),
                        None => number(&value, 3).unwrap_or_default().to_string(),
                    };
                    (text(inner(&pair, 1).remove(0)), value)
                });
                all.push(Span {
                    trace: hex(1),
                    id: hex(2),
                    parent: hex(4),
                    name: text(one(5)),
                    kind: number(&span, 6).unwrap(),
                    attributes: attributes.collect(),
                });
            }
        }
    }
    all
}

/// Protocol buffers, as far as this test reads them: a field's number, and a number or bytes.
fn fields(bytes: &[u8]) -> Vec<(u64, Result<u64, Vec<u8>>)> {
    let mut rest = bytes;
    let varint = move |rest: &mut &[u8]| {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let (&byte, tail) = rest.split_first().unwrap();
            *rest = tail;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    };
    let mut all = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest);
        let value = match tag & 7 {
            0 => Ok(varint(&mut rest)),
            wire => {
                let length = match wire {
                    1 => 8,
                    5 => 4,
                    2 => usize::try_from(varint(&mut rest)).unwrap(),
                    _ => panic!("wire type {wire}"),
                };
                let (value, tail) = rest.split_at(length);
                rest = tail;
                Err(value.to_vec())
            }
        };
        all.push((tag >> 3, value));
    }
    all
}

fn inner(bytes: &[u8], field: u64) -> Vec<Vec<u8>> {
    fields(bytes).into_iter().filter(|(number, _)| *number == field).filter_map(|(_, value)| value.err()).collect()
}

fn number(bytes: &[u8], field: u64) -> Option<u64> {
    fields(bytes).into_iter().find(|(number, _)| *number == field).and_then(|(_, value)| value.ok())
}

fn find(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

#[test]
fn a_request_and_its_call_to_the_upstream_are_spans_of_one_trace() {
    let (upstream, collector) = (Recorder::ok(), collector());
    let mut gate = sending(&upstream, &collector, &[]);
    let headers = format!("traceparent: 00-{ID}-{PARENT}-01\r\nCookie: tool=hidden\r\nUser-Agent: curl/8\r\n");
    assert_eq!(status(&ask(&gate, get(&gate, "/public/x?q=hidden", &headers))), 200);
    assert_eq!(status(&ask(&gate, get(&gate, "/nowhere", ""))), 401);
    let all = wait_until("three spans", || Some(spans(&collector.requests())).filter(|all| all.len() >= 3));
    let server = all.iter().find(|span| span.kind == SERVER && span.trace == ID).expect("the request");
    let client = all.iter().find(|span| span.kind == CLIENT).expect("the call");
    assert_eq!((server.parent.as_str(), client.parent.as_str()), (PARENT, server.id.as_str()));
    assert_eq!(client.trace, ID);
    let told = upstream.last().header("traceparent").unwrap().to_owned();
    assert_eq!(told, format!("00-{ID}-{}-01", client.id), "the upstream goes on under the call");
    assert_eq!(server.name, "GET public");
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("url.path", "/public/x"),
        ("url.scheme", "http"),
        ("client.address", "127.0.0.1"),
        ("user_agent.original", "curl/8"),
        ("network.protocol.version", "1.1"),
    ] {
        assert_eq!(server.attributes.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(client.attributes["server.port"], upstream.address().port().to_string());
    let page = all.iter().find(|span| span.trace != ID).expect("the page");
    assert_eq!(
        (page.kind, page.parent.as_str(), page.attributes["http.response.status_code"].as_str()),
        (SERVER, "", "401")
    );
    gate.stop();
    assert!(collector.connections().iter().all(|bytes| !find(bytes, b"hidden")), "no query, no cookie");
}

#[test]
fn what_was_not_asked_for_is_not_sent_and_the_last_spans_are() {
    let (upstream, collector) = (Recorder::ok(), collector());
    let mut gate = sending(&upstream, &collector, &[("OTEL_BSP_SCHEDULE_DELAY", "60000")]);
    // A trusted proxy's word that it is not recorded.
    let quiet = format!("traceparent: 00-{ID}-{PARENT}-00\r\n");
    assert_eq!(status(&ask(&gate, get(&gate, "/public/x", &quiet))), 200);
    assert!(upstream.last().header("traceparent").unwrap().ends_with("-00"));
    assert_eq!(status(&ask(&gate, get(&gate, "/public/x", ""))), 200);
    gate.stop();
    let all = spans(&collector.requests());
    assert_eq!((all.len(), all.iter().filter(|span| span.trace == ID).count()), (2, 0), "{all:?}");

    let off = sending(&upstream, &collector, &[("OTEL_TRACES_SAMPLER", "always_off")]);
    let seen = collector.requests().len();
    assert_eq!(status(&ask(&off, get(&off, "/public/x", ""))), 200);
    drop(off);
    assert_eq!(collector.requests().len(), seen);
}
