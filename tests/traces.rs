//! W3C Trace Context: what the upstream is told of the trace that a request belongs to.

use serde_json::Value as Json;

use crate::harness::{Recorded, Recorder, Sekisho};
use crate::wire::{ask, gate, get, status};

const ID: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn told(gate: &Sekisho, upstream: &Recorder, headers: &str) -> Recorded {
    assert_eq!(status(&ask(gate, get(gate, "/public/x", headers))), 200, "{headers}");
    upstream.last()
}

/// Trace, span and flags, of a header that is well-formed.
#[track_caller]
fn parts(request: &Recorded) -> (String, String, String) {
    let header = request.header("traceparent").expect("there is one");
    let parts: Vec<&str> = header.split('-').collect();
    let [version, trace, span, flags] = parts[..] else { panic!("{header}") };
    let hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    assert!(version == "00" && hex(trace, 32) && hex(span, 16) && hex(flags, 2), "{header}");
    (trace.to_owned(), span.to_owned(), flags.to_owned())
}

#[test]
fn a_trace_is_carried_on_and_one_that_is_not_well_formed_is_begun_anew() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    for flags in ["00", "01"] {
        let headers =
            format!("traceparent: 00-{ID}-{SPAN}-{flags}\r\ntracestate: a=1\r\nTracestate: b=2\r\nTraceparent_: x\r\n");
        let request = told(&gate, &upstream, &headers);
        let (trace, span, flag) = parts(&request);
        assert_eq!((trace.as_str(), flag.as_str()), (ID, flags));
        assert_ne!(span, SPAN, "the upstream's parent is a span of ours");
        assert_eq!(request.all("tracestate"), ["a=1", "b=2"]);
        assert_eq!(request.header("traceparent_"), None);
    }
    let mut seen = Vec::new();
    for headers in [
        String::new(),
        format!("traceparent: 00-{ID}-{SPAN}\r\ntracestate: a=1\r\n"),
        format!("traceparent: 00-{ID}-{SPAN}-01\r\ntraceparent: 00-{ID}-{SPAN}-01\r\ntracestate: a=1\r\n"),
        format!("traceparent: 00-{}-{SPAN}-01\r\ntracestate: a=1\r\n", "0".repeat(32)),
        "tracestate: a=1\r\n".to_owned(),
    ] {
        let request = told(&gate, &upstream, &headers);
        let (trace, _, flags) = parts(&request);
        assert!(trace != ID && flags == "03", "{headers}");
        assert!(request.all("tracestate").is_empty(), "{headers}");
        seen.push(trace);
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 5, "each has a trace of its own");
    let logged =
        gate.access_log(7).iter().filter(|line| serde_json::from_str::<Json>(line).unwrap()["trace"] == ID).count();
    assert_eq!(logged, 2, "the log has the trace's name");
}

#[test]
fn a_clients_request_id_is_replaced() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    let first = told(&gate, &upstream, "X-Request-Id: chosen\r\nX_Request_Id: chosen\r\n");
    let second = told(&gate, &upstream, "");
    let id = |request: &Recorded| request.header("x-request-id").unwrap().to_owned();
    assert_eq!((id(&first).len(), first.header("x_request_id")), (16, None));
    assert_ne!(id(&first), id(&second));
}
