//! Stored records: a record is refused, or it is read and written alike for ever. And exports, which are records in lines.

use std::sync::LazyLock;

use bytes::Bytes;
use sekisho::secret::Keys;
use sekisho::service::care::{fuzzing, restore};
use sekisho::store::engine::StoreError;

use crate::sample;

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys::parse(sample::KEY).expect("a key"));

/// The format of all records, and an expiry of "never".
const HEADER: [u8; 9] = [1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];

/// The first line is a key, or the word `export`. Behind it stands the record's JSON (behind `=`, the value with its header), or the
/// lines of an export.
pub fn check(data: &[u8]) {
    let mut parts = data.splitn(2, |b| *b == b'\n');
    let (key, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Ok(key) = std::str::from_utf8(key) else { return };
    if key == "export" {
        export(rest);
    } else if let Some(value) = rest.strip_prefix(b"=") {
        record(key, value);
    } else {
        record(key, &[&HEADER, rest].concat());
    }
}

fn record(key: &str, value: &[u8]) {
    let known = fuzzing::kinds().any(|kind| key.strip_prefix(kind).is_some_and(|rest| rest.starts_with('/')));
    let again = |value: &[u8]| fuzzing::again(key, Bytes::copy_from_slice(value), &KEYS);
    let Some(read) = again(value) else {
        assert!(!known, "{key} is of no kind");
        return;
    };
    match read {
        Ok(written) => {
            assert_eq!(written.first(), Some(&1), "the format of today");
            assert!(written.len() >= HEADER.len());
            let rewritten = again(&written).expect("the kind is known").expect("what was written can be read");
            assert_eq!(rewritten, written, "{key}: {}", String::from_utf8_lossy(&written));
            // What is read is not made larger than it was, but for defaults and escapes.
            assert!(written.len() <= 6 * value.len() + 4096, "{key}");
        }
        Err(StoreError::Record { detail, .. }) => {
            // What stands in a record may be somebody's secret: only its place is told.
            assert!(detail.len() < 120 && detail.is_ascii(), "{detail}");
        }
        Err(error) => panic!("{error}"),
    }
}

/// Whatever the lines are, with a right first one and a right sum.
fn export(lines: &[u8]) {
    let _ = restore::examine(lines, &KEYS, |_| ());
    let mut whole = br#"{"sekisho_export":1,"made_by":"0.1.0","made_at":"2026-11-21T08:15:00Z","keys":[]}"#.to_vec();
    whole.push(b'\n');
    whole.extend(lines);
    if !whole.ends_with(b"\n") {
        whole.push(b'\n');
    }
    // Without its last line it is never complete.
    let cut = restore::examine(&whole[..], &KEYS, |_| ());
    assert!(cut.is_err() || lines.windows(5).any(|word| word == b"\"end\""), "an export without an end was taken");
}
