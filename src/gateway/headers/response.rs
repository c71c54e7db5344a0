//! What comes back from an upstream, before the client sees it.

use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, SET_COOKIE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, StatusCode};
use pingora::http::ResponseHeader;

use super::cookies::sets_own;

/// Fields that are between the upstream and us (RFC 9110 §7.6.1); `Transfer-Encoding` is Pingora's to renew.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "close"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "http2-settings"
    )
}

/// How many whole seconds are left of the session, if nothing happens until then that counts as activity (F36): a page can warn
/// whoever reads it. Seconds, as a time of day would be read by another clock.
const SESSION_EXPIRES: HeaderName = HeaderName::from_static("x-sekisho-session-expires");
const SESSION_EXPIRES_SPELT: &str = "X-Sekisho-Session-Expires";

/// Removes what is not the client's to see, and what is not the upstream's to say; then says what is left of the session.
pub fn for_client(head: &mut ResponseHeader, session: Option<Duration>) {
    let switching = head.status == StatusCode::SWITCHING_PROTOCOLS;
    if head.headers.contains_key(CONNECTION) {
        for name in nominated(head) {
            head.remove_header(&name);
        }
        if !switching {
            head.remove_header(&CONNECTION);
        }
    }
    let unwanted = |name: &HeaderName| is_hop_by_hop(name) || (!switching && *name == UPGRADE);
    while let Some(name) = head.headers.keys().find(|name| unwanted(name)).cloned() {
        head.remove_header(&name);
    }
    if head.headers.get_all(SET_COOKIE).iter().any(sets_own) {
        let kept: Vec<HeaderValue> =
            head.headers.get_all(SET_COOKIE).iter().filter(|value| !sets_own(value)).cloned().collect();
        head.remove_header(&SET_COOKIE);
        for value in kept {
            let _ = head.append_header("Set-Cookie", value);
        }
    }
    match session.filter(|_| !head.status.is_informational()) {
        Some(left) => _ = head.insert_header(SESSION_EXPIRES_SPELT, HeaderValue::from(left.as_secs())),
        None => _ = head.remove_header(&SESSION_EXPIRES),
    }
}

/// What the upstream's `Connection` names, but for what delimits the body.
fn nominated(head: &ResponseHeader) -> Vec<HeaderName> {
    let values = head.headers.get_all(CONNECTION).iter();
    let tokens = values.flat_map(|value| value.as_bytes().split(|&b| b == b',')).map(<[u8]>::trim_ascii);
    // What nearly every `Connection` says: fields of these names go whether it names them or not.
    let tokens =
        tokens.filter(|token| ![&b"close"[..], b"keep-alive"].iter().any(|word| token.eq_ignore_ascii_case(word)));
    let names = tokens.filter_map(|token| HeaderName::from_bytes(token).ok());
    names.filter(|name| ![CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE].contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(status: u16, fields: &[(&'static str, &'static str)]) -> Vec<(String, String)> {
        let mut head = ResponseHeader::build(status, None).unwrap();
        for (name, value) in fields {
            head.append_header(*name, *value).unwrap();
        }
        for_client(&mut head, None);
        head.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
    }

    #[test]
    fn what_is_between_upstream_and_gateway_stays_there() {
        let fields = [
            ("Connection", "X-Secret, keep-alive, Content-Length"),
            ("X-Secret", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Close", "1"),
            ("Proxy-Authenticate", "Basic"),
            ("Upgrade", "h2c"),
            ("Content-Length", "2"),
            ("WWW-Authenticate", "Basic"),
        ];
        let kept = [("content-length".to_owned(), "2".to_owned()), ("www-authenticate".to_owned(), "Basic".to_owned())];
        assert_eq!(filtered(200, &fields), kept);
    }

    #[test]
    fn a_switch_of_protocols_keeps_its_fields() {
        let fields = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Accept", "x")];
        assert_eq!(filtered(101, &fields).len(), 3);
    }

    #[test]
    fn what_is_left_of_the_session_is_sekishos_to_say() {
        let said = |status: u16, left: Option<Duration>| {
            let mut head = ResponseHeader::build(status, None).unwrap();
            for _ in 0..2 {
                head.append_header("x-sekisho-session-expires", "999999").unwrap();
            }
            for_client(&mut head, left);
            let all = head.headers.get_all(SESSION_EXPIRES).iter();
            all.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(said(200, None), [""; 0]);
        assert_eq!(said(200, Some(Duration::from_millis(61_999))), ["61"]);
        assert_eq!(said(404, Some(Duration::ZERO)), ["0"]);
        assert_eq!(said(103, Some(Duration::from_secs(9))), [""; 0]);
    }

    #[test]
    fn the_upstreams_cookies_pass_and_sekishos_do_not() {
        let fields = [
            ("Set-Cookie", "a=1; Path=/"),
            ("Set-Cookie", "__Host-sekisho-session=evil; Secure; Path=/"),
            ("Set-Cookie", "b=2"),
            ("Set-Cookie", "=sekisho-session=evil"),
        ];
        let cookies: Vec<_> = filtered(200, &fields).into_iter().map(|(_, value)| value).collect();
        assert_eq!(cookies, ["a=1; Path=/", "b=2"]);
    }
}
