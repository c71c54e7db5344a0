//! How a record's bytes stand in sled.
//!
//! A head under the record's key: the version (8 bytes), the numbers of its first part and of the one after its last (4
//! bytes each, all big-endian), and then, where these are equal, the record's bytes. Longer ones stand in parts, under
//! keys made of the version and the part's number.
//!
//! Parts keep sled from its blobs: a page of more than 128 KiB goes to a file beside its log, which it never syncs, and
//! where such a file is gone sled opens as if the records in it had never been.

use std::ops::Range;

use crate::store::engine::Version;

/// A leaf of sled's has some two dozen values at most, and a page of more than 128 KiB becomes a blob.
pub(super) const PART_BYTES: usize = 4 * 1024;

/// The newest version stands under it. No record's key begins with a zero byte.
pub(super) const TIP: &[u8] = b"\0tip";
pub(super) const PART: &[u8] = b"\0part";
/// No record's key is before this one.
pub(super) const FIRST_RECORD: &[u8] = b"\x01";

/// Whether what stands under `key` is something else than a record.
pub(super) fn is_internal(key: &[u8]) -> bool {
    key.first() == Some(&0)
}

/// A head that was read.
pub(super) struct Head<'v> {
    pub(super) version: Version,
    pub(super) parts: Range<u32>,
    pub(super) rest: &'v [u8],
}

impl<'v> Head<'v> {
    pub(super) fn read(value: &'v [u8]) -> Option<Self> {
        let (version, rest) = value.split_first_chunk()?;
        let (first, rest) = rest.split_first_chunk()?;
        let (end, rest) = rest.split_first_chunk()?;
        let parts = u32::from_be_bytes(*first)..u32::from_be_bytes(*end);
        Some(Self { version: Version(u64::from_be_bytes(*version)), parts, rest })
    }
}

/// A value as it is to be written.
pub(super) struct Split {
    pub(super) head: Vec<u8>,
    pub(super) parts: Vec<(Vec<u8>, Vec<u8>)>,
    /// The number of the first part of the commit's next value.
    pub(super) next_part: u32,
}

/// Makes a head and, of a long value, parts that are numbered from `first` on.
pub(super) fn split(version: Version, first: u32, bytes: &[u8]) -> Split {
    let chunks = if bytes.len() > PART_BYTES { bytes.chunks(PART_BYTES) } else { [].chunks(1) };
    let parts: Vec<_> =
        (first..).zip(chunks).map(|(number, part)| (part_key(version, number), part.to_vec())).collect();
    let end = first.saturating_add(u32::try_from(parts.len()).unwrap_or(u32::MAX));
    let mut head = Vec::with_capacity(16 + bytes.len().min(PART_BYTES));
    head.extend(version.0.to_be_bytes());
    head.extend(first.to_be_bytes());
    head.extend(end.to_be_bytes());
    if parts.is_empty() {
        head.extend(bytes);
    }
    Split { head, parts, next_part: end }
}

/// Where the parts of a value of this version stand.
pub(super) fn part_keys(version: Version, parts: Range<u32>) -> impl Iterator<Item = Vec<u8>> {
    parts.map(move |number| part_key(version, number))
}

/// Before which key the parts of values of this version and older ones stand.
pub(super) fn first_part_after(version: Version) -> Vec<u8> {
    part_key(Version(version.0.saturating_add(1)), 0)
}

fn part_key(version: Version, number: u32) -> Vec<u8> {
    [PART, &version.0.to_be_bytes(), &number.to_be_bytes()].concat()
}
