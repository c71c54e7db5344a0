//! Odd requests without end: paths put together from the pieces that have led servers astray, most of them near a route.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// One request line, and the host that it goes to.
#[derive(Debug, Clone)]
pub struct Ask {
    pub method: &'static str,
    pub host: &'static str,
    pub target: String,
}

/// Where most paths begin, so that there is something to get out of and into.
const BEGINNINGS: &[&str] = &[
    "/public/",
    "/public/",
    "/public/",
    "/public/inner/",
    "/public",
    "/admin/",
    "/admin/open/",
    "/shop",
    "/shop/",
    "/queues/",
    "/queues/",
    "/queues/locked/",
    "/",
    "//",
    "/;/",
    "/./",
    "/%2f",
    "/%2e/",
    "",
];

const PLACES: &[&str] = &[
    "/public/",
    "/public/",
    "/public/",
    "/public/inner/",
    "/admin/",
    "/admin/open/",
    "/admin/open/",
    "/shop/",
    "/shop/",
    "/queues/",
    "/queues/locked/",
    "/",
];

const NAMES: &[&str] = &[
    "public",
    "inner",
    "admin",
    "admin",
    "admin",
    "open",
    "shop",
    "queues",
    "locked",
    "a",
    "index.php",
    "x.jsp",
    "PUBLIC",
    "Admin",
    "WEB-INF",
    "\u{3042}",
    "%E3%81%82",
    "%83e",
    "%83%5c",
    "%C3%DE",
    "%ef%bc%8f",
];

/// A way up to most servers.
const WAYS_UP: &[&str] = &["..", "%2e%2E", ".%2e", "..;", "..;x=y", "..%2f..", "./.."];

/// What is a way up to somebody.
const DOTS: &[&str] = &[
    ".",
    "..",
    "..",
    "...",
    "%2e",
    "%2E%2e",
    ".%2e",
    "%2e.",
    "..;",
    "..;x=y",
    ".;",
    ".;x",
    "%2e%2e;",
    "..%3b",
    "%2e%2e%3Bx",
    "%252e%252e",
    "%25252e.",
    "%u002e%u002e",
    "%c0%ae%c0%ae",
    "%e0%80%ae.",
    "..%00",
    "..%01",
    "..%20",
    "%20..",
    "..%09",
    ".%0d.",
    "..+",
    "..~",
    "..%ff",
    ".. ",
];

/// What stands beside a name.
const DECORATIONS: &[&str] = &[
    ";",
    ";x=y",
    ";jsessionid=1",
    ";a;b",
    "%3b",
    "%3Bx",
    "%253b",
    "%3f",
    "%3Fx",
    "%253f",
    "%23",
    "%2523",
    "%00",
    "%01",
    "%7f",
    "%0a",
    "%20",
    "%2520",
    "+",
    "~",
    ".",
    "..",
    "%2e",
    "%25",
    "%",
    "%4",
    "%zz",
    "%u0061",
    "%80",
    "%ff",
    "%c1%a1",
    "%e0%81%a1",
    "\\",
    "%5c",
    "%255c",
    "|",
    ":",
    "@",
    "!",
    "*",
    ",",
    "=",
    "&",
    "'",
    "\"",
    "<",
    "^",
    "`",
    "{",
    "[",
    " ",
    "\t",
    "#",
    "?",
];

const SLASHES: &[&str] = &[
    "//",
    "///",
    "/./",
    "/x/../",
    "/%2e/",
    "%2f",
    "%2F",
    "%2f%2F",
    "/%2f",
    "%2f/",
    "%252f",
    "\\",
    "%5c",
    "%255C",
    "%c0%af",
    "%e0%80%af",
    "%ef%bc%8f",
    ";/",
    "/;/",
    "/;x/",
    "%3b/",
    "%u2215",
];

const QUERIES: &[&str] = &["", "", "", "", "", "?", "?x=/../admin", "?/public/", "?%2e%2e/", "?a;b#c"];

/// As many requests as asked for; the same for the same seed.
pub fn asks(seed: u64, count: usize) -> Vec<Ask> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let ask = ask();
    (0..count).map(|_| ask.new_tree(&mut runner).expect("nothing is filtered out").current()).collect()
}

fn ask() -> impl Strategy<Value = Ask> {
    let method = prop_oneof![2 => Just("GET"), 1 => Just("POST")];
    let host = prop_oneof![3 => Just(super::HOST), 2 => Just(super::OPEN_HOST)];
    (method, host, target()).prop_map(|(method, host, target)| Ask { method, host, target })
}

fn target() -> impl Strategy<Value = String> {
    let path = prop_oneof![2 => wandering(), 3 => climbing(), 3 => tame()];
    (path, select(QUERIES)).prop_map(|(path, query)| path + query)
}

/// Anything behind anything.
fn wandering() -> impl Strategy<Value = String> {
    let slash = prop_oneof![5 => Just("/"), 2 => select(SLASHES)];
    let middle = prop::collection::vec((segment(), slash), 0..4);
    let middle = middle.prop_map(|parts| parts.into_iter().map(|(segment, slash)| segment + slash).collect::<String>());
    let end = prop_oneof![2 => Just(String::new()), 3 => segment()];
    (select(BEGINNINGS), middle, end).prop_map(|(beginning, middle, end)| [beginning, &middle, &end].concat())
}

/// Out of one place and into another.
fn climbing() -> impl Strategy<Value = String> {
    let slash = || prop_oneof![4 => Just("/"), 1 => select(SLASHES)];
    let down =
        prop_oneof![Just(String::new()), (name(), slash()).prop_map(|(name, slash)| name + slash + ".." + slash)];
    let dots = prop_oneof![select(WAYS_UP), select(DOTS)];
    let name = prop_oneof![Just("admin".to_owned()), name()];
    (select(PLACES), down, dots, slash(), name, prop_oneof![Just(String::new()), segment()])
        .prop_map(|(place, down, dots, slash, name, end)| [place, &down, dots, slash, &name, "/", &end].concat())
}

/// One oddity at the most, so that much gets through.
fn tame() -> impl Strategy<Value = String> {
    let end = prop_oneof![Just(String::new()), segment()];
    let slash = prop_oneof![2 => Just("/"), 1 => select(SLASHES)];
    (select(PLACES), prop_oneof![Just(String::new()), name()], slash, end)
        .prop_map(|(place, name, slash, end)| [place, &name, slash, &end].concat())
}

fn segment() -> impl Strategy<Value = String> {
    let dots = || select(DOTS).prop_map(str::to_owned);
    let decoration = || select(DECORATIONS).prop_map(str::to_owned);
    prop_oneof![
        8 => name(),
        4 => dots(),
        3 => (name(), decoration()).prop_map(|(name, behind)| name + &behind),
        1 => (decoration(), name()).prop_map(|(before, name)| before + &name),
        1 => (name(), decoration(), name()).prop_map(|(name, between, more)| name + &between + &more),
        1 => (dots(), decoration()).prop_map(|(dots, behind)| dots + &behind),
        1 => decoration(),
        1 => (name(), select(&[30_usize, 300][..])).prop_map(|(name, times)| name.repeat(times)),
    ]
}

/// A name, some of whose letters are escaped, once or twice.
fn name() -> impl Strategy<Value = String> {
    let plain = select(NAMES).prop_map(str::to_owned);
    let respelt = (select(NAMES), prop::collection::vec(0..12_u8, 8)).prop_map(|(name, how)| {
        let mut out = String::new();
        for (index, letter) in name.chars().enumerate() {
            match (how.get(index), letter.is_ascii_alphabetic()) {
                (Some(0), true) => out.push_str(&format!("%{:02x}", u32::from(letter))),
                (Some(1), true) => out.push_str(&format!("%{:02X}", u32::from(letter))),
                (Some(2), true) => out.push_str(&format!("%25{:02x}", u32::from(letter))),
                _ => out.push(letter),
            }
        }
        out
    });
    prop_oneof![3 => plain, 1 => respelt]
}
