//! What the fuzz targets (`fuzz/`) ask of this room, and nobody else: compiled under `--cfg fuzzing` alone, as `cargo fuzz` sets it.

use bytes::Bytes;

use super::kinds::{KINDS, of};
use crate::secret::Keys;
use crate::store::engine::{Key, StoreError};
use crate::store::record::Raw;

/// What all keys of each kind of record begin with.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name)
}

/// Reads what is stored under `key` as a record of its kind, opens what is sealed in it, and writes the record anew; `None`: there
/// are no records under such a key.
pub fn again(key: &str, value: Bytes, keys: &Keys) -> Option<Result<Bytes, StoreError>> {
    let raw = Raw::stored(Key::new(key.to_owned()), value);
    let kind = of(&raw.key)?;
    Some((kind.read)(&raw, keys).and_then(|_| (kind.again)(&raw)))
}
