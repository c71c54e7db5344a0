//! Whose requests may go over one connection to an upstream.
//!
//! NTLM, and Negotiate as most servers speak it, sign a *connection* in, not a request: whoever's request comes over it next is
//! taken for the same person. So a request with such credentials never gets a connection from the common pool and never leaves one
//! there. Over HTTP/1 it gets one that belongs to the client's connection and to the session that it came in; everything that
//! follows on that client's connection in that session goes over it too, as a browser sends its credentials once. Where many
//! people's requests may come over one connection (HTTP/2, which browsers leave for HTTP/1 to speak such schemes; a proxy before
//! us, without a session or token to tell people apart by), the connection to the upstream serves that one request.
//!
//! It is not known which schemes there are: so those are named that are about one request each, and every other one is taken for one
//! about the connection.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::upstreams::peer::HttpPeer;

use crate::authz::Whose;
use crate::gateway::context::Call;
use crate::gateway::target::Arrival;

/// Schemes whose credentials are about the one request that carries them (IANA's registry, and what else is in use).
const FOR_ONE_REQUEST: [&str; 14] = [
    "basic",
    "bearer",
    "digest",
    "dpop",
    "gnap",
    "hoba",
    "oauth",
    "privatetoken",
    "vapid",
    "token",
    "apikey",
    "api-key",
    "aws4-hmac-sha256",
    "hawk",
];
/// What a server says that has signed the connection in ([MS-N2HT]).
const PERSISTENT_AUTH: HeaderName = HeaderName::from_static("persistent-auth");
/// How a message of NTLM's begins, in base64.
const NTLM_MESSAGE: &[u8] = b"TlRMTVNTUA";
/// As good as none.
const NOT_KEPT: Duration = Duration::from_millis(1);

/// Numbers for connections that are not shared by everybody.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// With whom a request shares its connection to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// With everybody.
    Everybody,
    /// With what comes over the client's connection of this number, in the same session or by the same token.
    Client { number: u64, whose: Option<Whose> },
    /// With none.
    Nobody { number: u64 },
}

impl Sharing {
    /// Of this request, which was let through in this session, or by this token.
    pub fn of(head: &RequestHeader, call: &Call, arrival: &Arrival, whose: Option<Whose>) -> Self {
        let signs_in = signs_a_connection_in(&head.headers);
        let many_people = head.version == Version::HTTP_2 || (arrival.trusted && whose.is_none());
        if many_people {
            return if signs_in { Self::Nobody { number: next_number() } } else { Self::Everybody };
        }
        let number = if signs_in { Some(call.signals.own_number(next_number)) } else { call.signals.number() };
        number.map_or(Self::Everybody, |number| Self::Client { number, whose })
    }

    /// Has `peer` use no other connections than these.
    pub fn apply(self, peer: &mut HttpPeer) {
        if self == Self::Everybody {
            return;
        }
        let mut hasher = DefaultHasher::new();
        peer.group_key.hash(&mut hasher);
        match self {
            Self::Everybody => {}
            Self::Client { number, whose } => (number, whose).hash(&mut hasher),
            Self::Nobody { number } => {
                number.hash(&mut hasher);
                peer.options.idle_timeout = Some(NOT_KEPT);
            }
        }
        // Even, and never that of the common pool: the last bit tells the sockets of handshakes apart.
        peer.group_key = (hasher.finish() & !1).max(2);
    }

    /// Whether this answer, to a request that went over a common connection, says that the connection is signed in now. No server
    /// does that which was sent no such credentials; if one does, nobody else may come after.
    pub fn is_broken_by(self, head: &ResponseHeader) -> bool {
        let says_so =
            head.headers.get(PERSISTENT_AUTH).is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"false"));
        self == Self::Everybody && (says_so || head.headers.get_all(WWW_AUTHENTICATE).iter().any(goes_on))
    }
}

fn next_number() -> u64 {
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

/// Lists are looked at whole: a lenient server may take another element than the first.
fn signs_a_connection_in(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(AUTHORIZATION).iter();
    let elements = lines.flat_map(|line| line.as_bytes().split(|&b| b == b','));
    elements
        .filter_map(scheme)
        .any(|scheme| !FOR_ONE_REQUEST.iter().any(|known| scheme.eq_ignore_ascii_case(known.as_bytes())))
}

/// The scheme that an element names; `None`: it is a parameter of the one before.
fn scheme(element: &[u8]) -> Option<&[u8]> {
    let element = element.trim_ascii();
    let word = element.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    (!element.is_empty() && !word.contains(&b'=')).then_some(word)
}

/// A message in a dialogue that is under way, rather than the offer to begin one.
fn goes_on(value: &HeaderValue) -> bool {
    let mut words = value.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let scheme = words.next().unwrap_or_default();
    let is_one = [&b"ntlm"[..], b"negotiate"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    is_one && words.next().is_some_and(|message| message.starts_with(NTLM_MESSAGE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::MachineId;
    use crate::id::{SessionId, TokenId};

    fn signs_in(values: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        signs_a_connection_in(&headers)
    }

    #[test]
    fn only_schemes_that_are_known_to_be_about_one_request_share_a_connection() {
        for shared in [
            &[][..],
            &["Basic dTpw"],
            &["bearer skt_x"],
            &["Digest username=\"a\", realm=\"r\", nonce=\"n==\", uri=\"/x\", response=\"0\""],
            &["AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=0"],
            &[""],
        ] {
            assert!(!signs_in(shared), "{shared:?}");
        }
        for own in [
            &["NTLM TlRMTVNTUAAB"][..],
            &["Negotiate YII="],
            &["nEgOtIaTe YII="],
            &["\tNTLM x"],
            &["NTLM"],
            &["Nego2 x"],
            &["Kerberos x"],
            &["Whatever-comes-next x"],
            &["Basic dTpw", "NTLM x"],
            &["Basic dTpw, NTLM x"],
            &["Basic dTpw,Negotiate"],
        ] {
            assert!(signs_in(own), "{own:?}");
        }
    }

    #[test]
    fn an_answer_that_signs_a_common_connection_in_is_seen() {
        let answer = |name: &'static str, value: &'static str| {
            let mut head = ResponseHeader::build(401, None).unwrap();
            head.append_header(name, value).unwrap();
            head
        };
        let own = Sharing::Nobody { number: 7 };
        for (name, value, breaks) in [
            ("WWW-Authenticate", "NTLM", false),
            ("WWW-Authenticate", "Negotiate", false),
            ("WWW-Authenticate", "Basic realm=x", false),
            ("Persistent-Auth", "false", false),
            ("Persistent-Auth", "true", true),
            ("WWW-Authenticate", "NTLM TlRMTVNTUAACAAAA", true),
            ("WWW-Authenticate", "negotiate  TlRMTVNTUAACAAAA", true),
        ] {
            assert_eq!(Sharing::Everybody.is_broken_by(&answer(name, value)), breaks, "{name}: {value}");
            assert!(!own.is_broken_by(&answer(name, value)));
        }
    }

    #[test]
    fn no_two_of_them_share_a_group_nor_the_common_one() {
        let session = |byte| Some(Whose::Session(SessionId::from_bytes([byte; 10])));
        let token = Some(Whose::Machine(MachineId::Token(TokenId::from_bytes([1; 10]))));
        let all = [
            Sharing::Everybody,
            Sharing::Client { number: 1, whose: None },
            Sharing::Client { number: 1, whose: session(1) },
            Sharing::Client { number: 1, whose: session(2) },
            Sharing::Client { number: 1, whose: token },
            Sharing::Client { number: 2, whose: session(1) },
            Sharing::Nobody { number: 1 },
            Sharing::Nobody { number: 2 },
        ];
        let key = |sharing: Sharing, group| {
            let mut peer = HttpPeer::new(("127.0.0.1", 80), false, String::new());
            peer.group_key = group;
            sharing.apply(&mut peer);
            assert_eq!(peer.group_key & 1, 0);
            peer.group_key
        };
        let keys: std::collections::BTreeSet<u64> =
            all.iter().flat_map(|sharing| [0, 6].map(|group| key(*sharing, group))).collect();
        assert_eq!(keys.len(), all.len() * 2);
        assert_eq!(key(all[2], 0), key(all[2], 0));
    }
}
