//! Reading: one round trip each, and one snapshot, so that a commit is seen whole or not at all.

use std::collections::HashMap;
use std::ops::Bound;

use bytes::Bytes;
use tokio_postgres::Row;

use super::Shared;
use super::connect::Trouble;
use super::statements::Which;
use crate::store::engine::{Key, Named, Naming, StoreError, Version, Versioned};

pub(super) async fn get(shared: &Shared, key: &Key) -> Result<Option<Versioned>, StoreError> {
    let rows = shared.sessions.read(Which::Get, &[&key.as_str()]).await;
    let found = rows.and_then(|rows| rows.first().map(|row| versioned(row, 0)).transpose());
    shared.answered(found)
}

pub(super) async fn get_named(shared: &Shared, key: &Key, naming: &Naming) -> Result<Option<Named>, StoreError> {
    let before = i32::try_from(naming.before).unwrap_or(i32::MAX);
    let rows = shared.sessions.read(Which::GetNamed, &[&key.as_str(), &naming.prefix, &before, &naming.field]).await;
    let named = |row: &Row| {
        let other = row.try_get::<_, Option<i64>>(2).map_err(Trouble::Driver)?;
        Ok((versioned(row, 0)?, other.map(|_| versioned(row, 2)).transpose()?))
    };
    let found = rows.and_then(|rows| rows.first().map(named).transpose());
    shared.answered(found)
}

pub(super) async fn get_all(shared: &Shared, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
    let names: Vec<_> = keys.iter().map(Key::as_str).collect();
    let rows = shared.sessions.read(Which::GetAll, &[&names]).await;
    let found = rows.and_then(|rows| rows.iter().map(record).collect::<Result<HashMap<_, _>, _>>());
    shared.answered(found).map(|found| keys.iter().map(|key| found.get(key).cloned()).collect())
}

pub(super) async fn scan(
    shared: &Shared,
    prefix: &str,
    from: &Bound<Key>,
    limit: usize,
) -> Result<Vec<(Key, Versioned)>, StoreError> {
    let (from, after) = match from {
        Bound::Included(key) => (key.as_str(), false),
        Bound::Excluded(key) => (key.as_str(), true),
        Bound::Unbounded => (prefix, false),
    };
    // What lies before the prefix is not under it.
    let (from, after) = if from < prefix { (prefix, false) } else { (from, after) };
    let end = end_of(prefix);
    page(shared, Which::Scan { after, below: end.is_some() }, from, end, limit).await
}

pub(super) async fn scan_back(
    shared: &Shared,
    prefix: &str,
    before: &Bound<Key>,
    limit: usize,
) -> Result<Vec<(Key, Versioned)>, StoreError> {
    let end = match before {
        Bound::Excluded(key) => Some(key.as_str().to_owned()),
        // The next text of all.
        Bound::Included(key) => Some(format!("{}\u{1}", key.as_str())),
        Bound::Unbounded => None,
    };
    let end = match (end, end_of(prefix)) {
        (Some(end), Some(last)) => Some(end.min(last)),
        (end, last) => end.or(last),
    };
    page(shared, Which::ScanBack { below: end.is_some() }, prefix, end, limit).await
}

async fn page(
    shared: &Shared,
    which: Which,
    from: &str,
    end: Option<String>,
    limit: usize,
) -> Result<Vec<(Key, Versioned)>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = match &end {
        Some(end) => shared.sessions.read(which, &[&from, &limit, end]).await,
        None => shared.sessions.read(which, &[&from, &limit]).await,
    };
    shared.answered(rows.and_then(|rows| rows.iter().map(record).collect()))
}

/// Behind everything that begins with `prefix`, by bytes; `None`: nothing lies there. Letters stand in UTF-8 in the order of their numbers.
fn end_of(prefix: &str) -> Option<String> {
    let mut letters: Vec<char> = prefix.chars().collect();
    while let Some(last) = letters.pop() {
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            letters.push(next);
            return Some(letters.into_iter().collect());
        }
    }
    None
}

fn record(row: &Row) -> Result<(Key, Versioned), Trouble> {
    Ok((Key::new(row.try_get(0).map_err(Trouble::Driver)?), versioned(row, 1)?))
}

fn versioned(row: &Row, first: usize) -> Result<Versioned, Trouble> {
    let version: i64 = row.try_get(first).map_err(Trouble::Driver)?;
    let value: &[u8] = row.try_get(first + 1).map_err(Trouble::Driver)?;
    // The sequence begins at 1 and never turns over.
    Ok(Versioned { version: Version(version.unsigned_abs()), value: Bytes::copy_from_slice(value) })
}

#[cfg(test)]
mod tests {
    use super::end_of;

    #[test]
    fn the_end_of_a_prefix_lies_behind_all_that_begins_with_it() {
        for (prefix, end) in [
            ("user/", Some("user0")),
            ("a\u{10ffff}", Some("b")),
            ("\u{d7ff}", Some("\u{e000}")),
            ("é", Some("ê")),
            ("", None),
            ("\u{10ffff}", None),
        ] {
            assert_eq!(end_of(prefix).as_deref(), end, "{prefix:?}");
        }
    }
}
