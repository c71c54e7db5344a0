//! Whatever an upstream does with a path, it ends at the route that was found, or the path was refused.
//!
//! The upstream here is a model of the servers that have been seen: each differs in what it decodes, how often, and what it
//! takes for a part of the path. `tests/target_differential.rs` asks real ones.

use proptest::prelude::*;
use proptest::sample::select;

use super::super::target::RawTarget;
use super::tests::table;
use super::*;

/// What an upstream makes of a path.
#[derive(Debug, Clone, Copy)]
struct Upstream {
    /// How often it decodes: a proxy that hands on what it has decoded is one round more.
    rounds: u32,
    parameters: Parameters,
    /// It looks for the query, and for a fragment, in what it has decoded.
    late_query: bool,
    /// It takes longer UTF-8 forms of ASCII characters.
    lenient_utf8: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Parameters {
    Kept,
    /// From `;` to the segment's end.
    RemovedBeforeDecoding,
    RemovedAfterDecoding,
    /// From the first `;` to the path's end.
    RestRemoved,
}

impl Upstream {
    fn reads(self, path: &str) -> String {
        let mut bytes = path.as_bytes().to_vec();
        if self.parameters == Parameters::RemovedBeforeDecoding {
            bytes = without_parameters(&bytes);
        }
        for _ in 0..self.rounds {
            bytes = percent_encoding::percent_decode(&bytes).collect();
            if self.lenient_utf8 {
                bytes = with_short_forms(&bytes);
            }
        }
        match self.parameters {
            Parameters::RemovedAfterDecoding => bytes = without_parameters(&bytes),
            Parameters::RestRemoved => bytes = until(&bytes, |byte| byte == b';'),
            _ => {}
        }
        if self.late_query {
            bytes = until(&bytes, |byte| matches!(byte, b'?' | b'#'));
        }
        resolved(&bytes)
    }
}

fn until(bytes: &[u8], is_end: impl Fn(u8) -> bool) -> Vec<u8> {
    bytes.iter().copied().take_while(|byte| !is_end(*byte)).collect()
}

fn without_parameters(path: &[u8]) -> Vec<u8> {
    let segments = path.split(|byte| *byte == b'/').map(|segment| until(segment, |byte| byte == b';'));
    segments.collect::<Vec<_>>().join(&b'/')
}

/// Two-byte and three-byte forms of what takes one.
fn with_short_forms(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        (out, rest) = match rest {
            [0xC0 | 0xC1, second @ 0x80..=0xBF, after @ ..] => {
                ([&out[..], &[(first & 1) << 6 | second & 0x3F]].concat(), after)
            }
            [0xE0, second @ 0x80..=0x81, third @ 0x80..=0xBF, after @ ..] => {
                ([&out[..], &[(second & 1) << 6 | third & 0x3F]].concat(), after)
            }
            _ => ([&out[..], &[first]].concat(), after),
        };
    }
    out
}

/// Empty segments and dot segments taken out, in the form of matching paths.
fn resolved(path: &[u8]) -> String {
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut is_folder = true;
    for segment in path.split(|byte| *byte == b'/') {
        is_folder = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    let mut out = String::new();
    for segment in segments {
        out.push('/');
        segment
            .iter()
            .for_each(|byte| super::super::path::push_byte(&mut out, *byte, byte.is_ascii() && *byte != b'%'));
    }
    if is_folder {
        out.push('/');
    }
    out
}

fn upstream() -> impl Strategy<Value = Upstream> {
    let parameters = select(
        &[
            Parameters::Kept,
            Parameters::RemovedBeforeDecoding,
            Parameters::RemovedAfterDecoding,
            Parameters::RestRemoved,
        ][..],
    );
    (1..=3_u32, parameters, any::<bool>(), any::<bool>()).prop_map(|(rounds, parameters, late_query, lenient_utf8)| {
        Upstream { rounds, parameters, late_query, lenient_utf8 }
    })
}

/// A few routes within one another; some admit encoded slashes.
const ROUTES: [&str; 8] = ["- /", "- /a", "- /a/", "- /a/b", "- /a/b/", "- /b", "- /b/a/", "- /a/b/a"];

fn routes() -> impl Strategy<Value = RouteTable> {
    let some = prop::collection::vec((any::<bool>(), any::<bool>()), ROUTES.len());
    some.prop_map(|chosen| {
        let texts: Vec<String> = ROUTES
            .iter()
            .zip(chosen)
            .filter(|(_, (there, _))| *there)
            .map(|(text, (_, encoded))| if encoded { format!("{text} - encoded") } else { (*text).to_owned() })
            .collect();
        table(&texts.iter().map(String::as_str).collect::<Vec<_>>()).unwrap()
    })
}

fn path() -> impl Strategy<Value = String> {
    const NAMES: &[&str] =
        &["a", "a", "b", "b", "%61", "%62", "%2561", "%2562", "%252561", "%c1%a1", "%e0%81%a2", "%25c1%25a1", "c"];
    const ODDITIES: &[&str] = &[
        ".", "..", "%2e", "%2e%2E", ";", ";x", "%3b", "%3Bx", "%253b", "%25253bx", "%3f", "%253f", "%23", "%c0%bb",
        "%c0%bf", "%2f", "%2F", "%252f", "%c0%af", "%c0%ae", "%5c", "%25", "%2525", "%", "//", "%20", "/./", "/../",
        "/%2f",
    ];
    let segment = prop_oneof![
        4 => select(NAMES).prop_map(str::to_owned),
        2 => (select(NAMES), select(ODDITIES)).prop_map(|(name, oddity)| name.to_owned() + oddity),
        1 => (select(ODDITIES), select(NAMES)).prop_map(|(oddity, name)| oddity.to_owned() + name),
        1 => (select(&["..", ".", "%2e%2E"][..]), select(ODDITIES)).prop_map(|(dots, oddity)| dots.to_owned() + oddity),
        1 => prop::collection::vec(select(ODDITIES), 1..3).prop_map(|oddities| oddities.concat()),
    ];
    let segments = prop::collection::vec(segment, 0..5);
    (segments, any::<bool>())
        .prop_map(|(segments, end)| format!("/{}{}", segments.join("/"), if end { "/" } else { "" }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn an_upstream_ends_at_the_route_that_was_found(routes in routes(), path in path(), upstream in upstream()) {
        let raw = RawTarget { target: path.as_bytes(), authority: Some(b"a.test"), secure: true };
        let Ok(target) = NormalTarget::parse(raw) else { return Ok(()) };
        let Ok(found) = routes.find(&target, &Method::GET) else { return Ok(()) };
        let read = upstream.reads(target.path());
        let end = routes.find_path(target.host(), &read, &Method::GET);
        prop_assert_eq!(found, end, "{} is forwarded as {} and read as {}", path, target.path(), read);
    }
}
