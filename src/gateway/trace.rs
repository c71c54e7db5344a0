//! By what name a request is known: sekisho's own in its log and at the upstream, and the trace that it belongs to (W3C
//! Trace Context, <https://www.w3.org/TR/trace-context/>).
//!
//! A well-formed `traceparent` is carried on, whoever sent it, and the upstream's parent becomes a span of ours; anything else
//! begins a new trace. The ids are names and give no right. What a stranger can do is what they can do without sekisho: choose
//! a trace's name, and ask for it to be recorded. So where sekisho records itself, only a trusted proxy's word on that counts.

use std::sync::atomic::{AtomicU64, Ordering};

use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use crate::id::RequestId;

pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// §3.2.2.5: somebody upstream of here records it.
pub const SAMPLED: u8 = 1;
/// Level 2 §3.2.2.5: the trace's id is random. No other flag is known.
const RANDOM: u8 = 2;
/// §3.3.1.5: how much of it everybody must carry on.
const MAX_STATE: usize = 512;

/// The trace of one request, and its two spans here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    pub id: [u8; 16],
    /// The span of whoever asked.
    pub parent: Option<[u8; 8]>,
    pub flags: u8,
    /// The span of the request at sekisho.
    pub own: [u8; 8],
    /// The span of the call to the upstream.
    pub call: [u8; 8],
    /// Whether a trusted proxy spoke of it.
    pub vouched: bool,
}

/// The names of a request that nobody has named yet.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    pub request: RequestId,
    trace: [u8; 16],
    own: [u8; 8],
    call: [u8; 8],
}

impl Trace {
    /// The trace that these headers name, or else a new one.
    pub fn of(headers: &HeaderMap, names: &Names, trusted: bool) -> Self {
        let mut given = headers.get_all(TRACEPARENT).iter();
        let first = given.next().and_then(|value| parse(value.as_bytes()));
        let (own, call) = (names.own, names.call);
        match first.filter(|_| given.next().is_none()) {
            Some((id, parent, flags)) => Self { id, parent: Some(parent), flags, own, call, vouched: trusted },
            // Whoever records by default records what nobody spoke of: a flag that said "not sampled" would switch that off.
            None => Self { id: names.trace, parent: None, flags: SAMPLED | RANDOM, own, call, vouched: false },
        }
    }

    /// What the upstream is told.
    pub fn header(&self) -> HeaderValue {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        for (range, bytes) in [(3..35, &self.id[..]), (36..52, &self.call), (53..55, &[self.flags])] {
            if let Some(digits) = text.get_mut(range) {
                HEXLOWER.encode_mut(bytes, digits);
            }
        }
        HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// Whether what the client sent as `tracestate` goes on with it (§3.3: never without its `traceparent`).
    pub fn keeps_state(&self, headers: &HeaderMap) -> bool {
        if self.parent.is_none() {
            return false;
        }
        let sizes = headers.get_all(TRACESTATE).iter().map(|value| value.to_str().ok().map(str::len));
        sizes.sum::<Option<usize>>().is_some_and(|size| size <= MAX_STATE)
    }

    /// The trace's id as logs have it.
    pub fn shown(&self) -> String {
        hex(&self.id)
    }
}

/// §3.2: `version "-" trace-id "-" parent-id "-" flags` in lower case; later versions may have more behind another `-`.
fn parse(text: &[u8]) -> Option<([u8; 16], [u8; 8], u8)> {
    let fixed: &[u8; 55] = text.first_chunk()?;
    let rest = text.get(55..).unwrap_or_default();
    let mut parts = fixed.split(|&b| b == b'-');
    let [version] = bytes::<1>(parts.next()?)?;
    let id = bytes::<16>(parts.next()?)?;
    let parent = bytes::<8>(parts.next()?)?;
    let [flags] = bytes::<1>(parts.next()?)?;
    let ends = match version {
        0xff => false,
        0 => rest.is_empty(),
        _ => rest.is_empty() || rest.starts_with(b"-"),
    };
    (ends && parts.next().is_none() && id != [0; 16] && parent != [0; 8]).then_some((
        id,
        parent,
        flags & (SAMPLED | RANDOM),
    ))
}

fn bytes<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    HEXLOWER.decode(text).ok()?.try_into().ok()
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// Makes names: unique, no secrets, and no call to the kernel for each.
#[derive(Debug)]
pub struct Naming {
    seed: [u8; 32],
    next: AtomicU64,
}

impl Naming {
    /// Names that begin with the first bytes of `seed`, and traces that follow from all of it.
    #[must_use]
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed, next: AtomicU64::new(0) }
    }

    pub fn next(&self) -> Names {
        let count = self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let [_, _, low @ ..] = count;
        let mut request = [0; 10];
        for (byte, value) in request.iter_mut().zip(self.seed.iter().take(4).chain(&low)) {
            *byte = *value;
        }
        let digest: [u8; 32] = Sha256::new().chain_update(self.seed).chain_update(count).finalize().into();
        let (trace, own, call) = (part(&digest, 0), part(&digest, 16), part(&digest, 24));
        Names { request: RequestId::from_bytes(request), trace, own, call }
    }
}

/// `N` bytes from this one on; all that are asked for lie within the digest.
fn part<const N: usize>(digest: &[u8; 32], from: usize) -> [u8; N] {
    digest.get(from..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0af7651916cd43dd8448eb211c80319c";

    fn trace(values: &[&str]) -> Trace {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Trace::of(&headers, &Naming::new([7; 32]).next(), false)
    }

    #[test]
    fn a_well_formed_trace_goes_on_under_a_span_of_ours() {
        for (value, flags) in [
            (format!("00-{ID}-b7ad6b7169203331-01"), "01"),
            (format!("00-{ID}-b7ad6b7169203331-00"), "00"),
            (format!("00-{ID}-b7ad6b7169203331-ff"), "03"),
            // Of a later version, what is known is taken.
            (format!("01-{ID}-b7ad6b7169203331-01"), "01"),
            (format!("cc-{ID}-b7ad6b7169203331-01-what-the-future-will-be-like"), "01"),
        ] {
            let trace = trace(&[&value]);
            assert_eq!(
                (trace.shown().as_str(), hex(&trace.parent.unwrap()).as_str()),
                (ID, "b7ad6b7169203331"),
                "{value}"
            );
            let header = trace.header();
            let parts: Vec<_> = header.to_str().unwrap().split('-').collect();
            assert_eq!((parts[0], parts[1], parts[3], parts.len()), ("00", ID, flags, 4), "{value}");
            assert_ne!(parts[2], "b7ad6b7169203331");
        }
    }

    #[test]
    fn anything_else_begins_a_new_one() {
        let zeros = "0".repeat(32);
        for value in [
            String::new(),
            format!("00-{zeros}-b7ad6b7169203331-01"),
            format!("00-{ID}-0000000000000000-01"),
            format!("ff-{ID}-b7ad6b7169203331-01"),
            format!("00-{}-b7ad6b7169203331-01", ID.to_ascii_uppercase()),
            format!("00-{ID}-b7ad6b7169203331-01-more"),
            format!("00-{ID}-b7ad6b7169203331-01 "),
            format!("01-{ID}-b7ad6b7169203331-01more"),
            format!("00-{ID}-b7ad6b7169203331"),
            format!("00-{ID}-b7ad6b716920333-011"),
            format!("00_{ID}_b7ad6b7169203331_01"),
            format!("00-{}-b7ad6b7169203331-0x", "g".repeat(32)),
            "é".repeat(40),
        ] {
            let trace = trace(&[&value]);
            assert!(trace.parent.is_none() && trace.shown() != ID, "{value}");
        }
        let good = format!("00-{ID}-b7ad6b7169203331-01");
        assert!(trace(&[&good, &good]).parent.is_none(), "two are none");
        assert!(trace(&[]).parent.is_none());
    }

    #[test]
    fn what_a_trace_carries_goes_on_with_it_alone() {
        let mut headers = HeaderMap::new();
        headers.append(TRACESTATE, HeaderValue::from_static("vendor=1"));
        let kept = trace(&[&format!("00-{ID}-b7ad6b7169203331-01")]);
        assert!(kept.keeps_state(&headers));
        assert!(!trace(&[]).keeps_state(&headers));
        headers.append(TRACESTATE, HeaderValue::try_from("x".repeat(505)).unwrap());
        assert!(!kept.keeps_state(&headers), "too long");
    }

    #[test]
    fn no_two_requests_have_a_name_in_common() {
        let naming = Naming::new([7; 32]);
        let all: Vec<_> = (0..1000).map(|_| naming.next()).collect();
        let distinct =
            |name: fn(&Names) -> String| all.iter().map(name).collect::<std::collections::HashSet<_>>().len();
        assert_eq!(distinct(|names| names.request.to_string()), 1000);
        assert_eq!(distinct(|names| hex(&names.trace)), 1000);
        assert_eq!(distinct(|names| hex(&names.own)), 1000);
        assert!(all.iter().all(|names| names.own != names.call));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..120)) {
            let _ = parse(&bytes);
        }
    }
}
