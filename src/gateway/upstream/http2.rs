//! Connections to tools that speak HTTP/2 (`protocol: http2`): by ALPN over TLS, by prior knowledge in clear (RFC 9113 §3.3), and
//! never HTTP/1.1 in its place.
//!
//! Many people's requests share one connection, each with its own identity headers. So that nobody's stream holds up another's, the
//! window of the connection is as large as those of all its streams together: what one reader does not take fills that stream's
//! window and no more. A stream may be silent for as long as both ends like; whether the tool is still there is asked by PING.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use pingora::http::RequestHeader;
use pingora::upstreams::peer::HttpPeer;

use super::Sharing;

/// Streams over one connection; then another one is opened.
const STREAMS: u32 = 100;
/// Bytes that may wait for one reader.
const WINDOW: u32 = 256 * 1024;
/// How often a tool is asked whether it is there; Pingora gives it five seconds.
const ASK: Duration = Duration::from_secs(30);
const GRPC: &[u8] = b"application/grpc";

/// Has `peer` speak HTTP/2 and nothing else.
pub fn apply(peer: &mut HttpPeer, sharing: Sharing) {
    let options = &mut peer.options;
    options.set_http_version(2, 2);
    // A connection for one request alone takes no second one, so that it goes with it.
    let streams = if sharing == Sharing::Everybody { STREAMS } else { 1 };
    options.max_h2_streams = usize::try_from(streams).unwrap_or(1);
    options.h2_stream_window_size = Some(WINDOW);
    options.h2_connection_window_size = Some(WINDOW * streams);
    options.h2_ping_interval = Some(ASK);
}

/// Whether a request is a call of gRPC's, each side of which may speak and be silent as it likes until the call ends, and whose
/// outcome comes in trailers. Its limit of time, if it has one, is between client and tool (`grpc-timeout`).
pub fn is_grpc(head: &RequestHeader) -> bool {
    let kind = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let rest =
        kind.get(..GRPC.len()).filter(|kind| kind.eq_ignore_ascii_case(GRPC)).and_then(|_| kind.get(GRPC.len()..));
    // Not `application/grpc-web`, which is a request like any other.
    head.version == Version::HTTP_2 && rest.is_some_and(|rest| rest.first().is_none_or(|next| b"+; ".contains(next)))
}

/// What a tool says behind its answer, before the client sees it: fields that would mean something else in a head stay out
/// (RFC 9110 §6.5.1).
pub fn for_client(trailers: &mut HeaderMap) {
    let unwanted: Vec<HeaderName> = trailers.keys().filter(|name| is_of_a_head(name.as_str())).cloned().collect();
    for name in &unwanted {
        trailers.remove(name);
    }
}

fn is_of_a_head(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "set-cookie",
        "content-length",
        "content-type",
        "content-encoding",
        "content-range",
        "transfer-encoding",
        "trailer",
        "connection",
        "location",
        "www-authenticate",
        "authorization",
        "cache-control",
    ];
    NAMES.contains(&name) || name.starts_with("x-sekisho-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_told_by_its_content_type_and_by_how_it_comes() {
        let is = |version: Version, kind: Option<&'static str>| {
            let mut head = RequestHeader::build("POST", b"/shop.Admin/Echo", None).unwrap();
            head.set_version(version);
            if let Some(kind) = kind {
                head.insert_header("Content-Type", kind).unwrap();
            }
            is_grpc(&head)
        };
        for kind in ["application/grpc", "application/grpc+proto", "Application/gRPC;x=y", "application/grpc ; x"] {
            assert!(is(Version::HTTP_2, Some(kind)), "{kind}");
            assert!(!is(Version::HTTP_11, Some(kind)), "{kind}");
        }
        for kind in ["application/grpc-web", "application/grpc-web+proto", "application/grpcx", "application/json", ""]
        {
            assert!(!is(Version::HTTP_2, Some(kind)), "{kind}");
        }
        assert!(!is(Version::HTTP_2, None));
    }

    #[test]
    fn trailers_keep_what_is_theirs() {
        let mut trailers = HeaderMap::new();
        for name in
            ["grpc-status", "grpc-message", "spent-bin", "set-cookie", "content-length", "x-sekisho-session-expires"]
        {
            trailers.append(name, HeaderValue::from_static("x"));
        }
        for_client(&mut trailers);
        let kept: Vec<_> = trailers.keys().map(HeaderName::as_str).collect();
        assert_eq!(kept, ["grpc-status", "grpc-message", "spent-bin"]);
    }

    #[test]
    fn one_readers_window_leaves_room_for_everybody_elses() {
        for (sharing, streams) in [(Sharing::Everybody, 100), (Sharing::Nobody { number: 1 }, 1)] {
            let mut peer = HttpPeer::new(("127.0.0.1", 80), false, String::new());
            apply(&mut peer, sharing);
            let options = &peer.options;
            let (stream, connection) =
                (options.h2_stream_window_size.unwrap(), options.h2_connection_window_size.unwrap());
            assert_eq!((options.max_h2_streams, connection), (streams, stream * u32::try_from(streams).unwrap()));
            assert_eq!((options.alpn.get_min_http_version(), options.alpn.get_max_http_version()), (2, 2));
        }
    }
}
