//! The ways in which upstreams read one and the same path.

use percent_encoding::percent_decode_str;

use super::{escape, may_be_dots, push_byte};
use crate::authz::target::BadTarget;

/// How a reader takes parameters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parameters {
    /// `;x` and `%3Bx` are none of the path.
    Removed,
    /// `;x` is none of it, `%3Bx` is.
    PlainRemoved,
    /// Both belong to it.
    Kept,
}

/// The path as it is matched, and every other reading of it that differs.
pub(super) fn read_all(forwarded: &str) -> Result<(String, Vec<String>), BadTarget> {
    let matching = read(forwarded, Parameters::Removed, false);
    let mut readings = Vec::new();
    if forwarded.contains(';') || forwarded.contains("%3B") {
        let mut segments = forwarded.split('/').skip(1).peekable();
        while let Some(segment) = segments.next() {
            // `/;x/admin` without its parameters is `//admin`, which some merge and some do not.
            if (segment.starts_with(';') || segment.starts_with("%3B")) && segments.peek().is_some() {
                return Err(BadTarget::Parameters);
            }
        }
        let kept = read(forwarded, Parameters::Kept, false);
        // Some servers take the parameters to reach to the path's end.
        readings.extend(kept.split(';').next().map(str::to_owned));
        readings.push(kept);
        readings.push(read(forwarded, Parameters::PlainRemoved, false));
    }
    let mut decoded = decoded_again(&matching, false);
    if forwarded.contains("%2F") {
        decoded.extend(decoded_again(&read(forwarded, Parameters::Removed, true), true));
    }
    let respelt: Vec<String> = decoded.iter().filter_map(|path| with_short_forms(path)).collect();
    for path in respelt {
        if path.split('/').any(|segment| may_be_dots(&percent_decode_str(segment).collect::<Vec<u8>>())) {
            return Err(BadTarget::Path);
        }
        decoded.extend(decoded_again(&read(&path, Parameters::Removed, false), false));
    }
    // Who decodes before splitting the query off has the path end there.
    let before_query = |path: &String| path.split_once(['?', '#']).map(|(before, _)| before.to_owned());
    readings.extend(decoded.iter().filter_map(before_query));
    readings.extend(decoded);
    readings.retain(|reading| *reading != matching);
    Ok((matching, readings))
}

/// This reading, and what further rounds of decoding make of it. There are few: a path that takes many is refused.
fn decoded_again(reading: &str, split_encoded_slash: bool) -> Vec<String> {
    let mut all = vec![reading.to_owned()];
    while let Some(last) = all.last().filter(|last| last.contains("%25")) {
        let next = read(&last.replace("%25", "%"), Parameters::Removed, split_encoded_slash);
        if next == *last {
            break;
        }
        all.push(next);
    }
    all
}

/// One reading of a path. A `%` that escapes nothing is read as itself.
fn read(path: &str, parameters: Parameters, split_encoded_slash: bool) -> String {
    let mut out = String::with_capacity(path.len());
    for segment in path.split('/').skip(1) {
        // Slashes with nothing between them, as in `/a/%2F/b` or `/a/%253Bx/b`, are merged by nearly all.
        if !out.ends_with('/') {
            out.push('/');
        }
        let mut rest = segment.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            let (value, after, escaped) = match escape(rest) {
                Some((value, after)) => (value, after, true),
                None => (byte, after, false),
            };
            rest = after;
            match value {
                b';' if parameters == Parameters::Removed => break,
                b';' if parameters == Parameters::PlainRemoved && !escaped => break,
                b'/' if split_encoded_slash && out.ends_with('/') => {}
                b'/' => push_byte(&mut out, value, split_encoded_slash),
                _ => push_byte(&mut out, value, value.is_ascii() && value != b'%'),
            }
        }
    }
    out
}

/// The path with one byte for every ASCII character that is there in a longer UTF-8 form, as old Java runtimes read it
/// (CVE-2008-2938); `None`: there is none.
fn with_short_forms(path: &str) -> Option<String> {
    let mut out = String::with_capacity(path.len());
    let mut any = false;
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        match escape(rest).and_then(|(lead, after)| overlong(lead, after)) {
            Some((value, after)) => {
                push_byte(&mut out, value, value.is_ascii_alphanumeric());
                any = true;
                rest = after;
            }
            None => {
                out.push(char::from(byte));
                rest = after;
            }
        }
    }
    any.then_some(out)
}

/// The ASCII character of which `lead` and the escapes after it are a longer UTF-8 form, read as leniently as the decoders
/// that fell for it: only the payload bits count; and what follows. Such bytes may be innocent: old tools name their files in
/// Shift_JIS and EUC-JP.
pub(super) fn overlong(lead: u8, after: &[u8]) -> Option<(u8, &[u8])> {
    let (length, payload) = match lead {
        0xC0..=0xDF => (1, lead & 0x1F),
        0xE0..=0xEF => (2, lead & 0x0F),
        0xF0..=0xF7 => (3, lead & 0x07),
        0xF8..=0xFB => (4, lead & 0x03),
        0xFC..=0xFF => (5, lead & 0x01),
        _ => return None,
    };
    let mut point = u64::from(payload);
    let mut rest = after;
    for _ in 0..length {
        let (value, after) = escape(rest)?;
        point = point << 6 | u64::from(value & 0x3F);
        rest = after;
    }
    let value = u8::try_from(point).ok().filter(u8::is_ascii)?;
    Some((value, rest))
}
